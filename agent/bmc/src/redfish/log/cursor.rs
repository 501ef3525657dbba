//! How far a log was read: which of its entries were told, and where reading goes on.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::collections::BTreeMap;

/// How many digests are kept per log. A log that holds more is known by position too: see [`Cursor::cut`].
pub(super) const KEPT: usize = 4096;

/// How a log lists its entries, where that can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Order {
    /// The oldest first: new entries come at the end.
    #[serde(rename = "old")]
    OldestFirst,
    /// The newest first: new entries come at the beginning.
    #[serde(rename = "new")]
    NewestFirst,
}

/// Digests of 48 bits of entries, in the order in which the log lists them. As text: 8 characters each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Digests(pub(super) Vec<u64>);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Serialize for Digests {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let letter = |bits: u64| usize::try_from(bits & 63).ok().and_then(|i| ALPHABET.get(i)).copied();
        let letters = self.0.iter().flat_map(|digest| (0..8).rev().filter_map(move |i| letter(digest >> (i * 6))));
        serializer.serialize_str(&letters.map(char::from).collect::<String>())
    }
}

impl<'de> Deserialize<'de> for Digests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bits = |letter: &u8| ALPHABET.iter().position(|a| a == letter).and_then(|i| u64::try_from(i).ok());
        let digest = |eight: &[u8]| eight.iter().try_fold(0u64, |all, letter| Some((all << 6) | bits(letter)?));
        let digests: Option<Vec<u64>> = text.as_bytes().chunks(8).map(digest).collect();
        digests.map(Self).ok_or_else(|| D::Error::custom("no digests"))
    }
}

/// How far one log was read. An entry is known by a digest of what it is and says, so that neither ids that start again, nor a clock that was set, nor
/// another order makes one be missed; an entry that was edited in place has another digest, and is told again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Entries that were told. Of a log that lists the newest first, everything that is older than any of them was told too.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub(super) told: Digests,
    /// Entries that were told while something between them and `told` was not yet read: a long log of which reading was interrupted.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub(super) loose: Digests,
    /// The last page of which everything was told. A log that lists the oldest first is read on from there; one that lists the newest first goes on there
    /// once its new entries are read, where it was interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<String>,
    /// How the log lists its entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) order: Option<Order>,
    /// Whether the log held more entries than digests are kept: then those of a page that stand on the far side of a known one are old.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) cut: bool,
}

fn is_empty(digests: &Digests) -> bool {
    digests.0.is_empty()
}

/// The cursors of all logs of a BMC, by the URI of the log service.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Cursors {
    pub(super) v: u8,
    pub(super) logs: BTreeMap<String, Cursor>,
}

impl Cursors {
    /// The version of what is written.
    pub(super) const VERSION: u8 = 2;
}

/// The digests of `first` and then those of `second` that are not in it, at most `kept` from the given end; and whether some had to go.
pub(super) fn joined(first: &[u64], second: &[u64], order: Option<Order>, kept: usize) -> (Digests, bool) {
    let mut seen = std::collections::HashSet::new();
    let mut all: Vec<u64> = first.iter().chain(second).copied().filter(|d| seen.insert(*d)).collect();
    let cut = all.len() > kept;
    match order {
        Some(Order::NewestFirst) => all.truncate(kept),
        _ => drop(all.drain(..all.len().saturating_sub(kept))),
    }
    (Digests(all), cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back_what_was_written(digests in proptest::collection::vec(0u64..1 << 48, 0..40), page in proptest::option::of(".{0,20}")) {
            let cursor = Cursor { told: Digests(digests.clone()), loose: Digests(digests), page, order: Some(Order::NewestFirst), cut: true };
            let text = serde_json::to_string(&cursor).unwrap();
            prop_assert_eq!(serde_json::from_str::<Cursor>(&text).unwrap(), cursor);
        }

        #[test]
        fn any_text_is_digests_or_refused_without_panic(text in ".{0,40}") {
            drop(serde_json::from_value::<Digests>(text.into()));
        }
    }

    #[test]
    fn of_too_many_digests_the_newest_stay() {
        assert_eq!(joined(&[1, 2], &[2, 3], Some(Order::OldestFirst), 2), (Digests(vec![2, 3]), true));
        assert_eq!(joined(&[1, 2], &[2, 3], Some(Order::NewestFirst), 2), (Digests(vec![1, 2]), true));
        assert_eq!(joined(&[1, 2], &[2, 3], None, 3), (Digests(vec![1, 2, 3]), false));
    }
}
