//! How much a record and a log entry look like one event.

use super::super::record::Record;
use outband_schemas::{LogEvent, Timestamp};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// Two stamps of one event, in milliseconds: they are taken by different parts of a BMC.
const SAME_MOMENT: u64 = 2000;
/// A log that is written late, or a stamp taken late.
const NEAR: u64 = 60_000;
/// Zones are whole quarters of an hour, and stamps without a zone are taken for UTC.
const ZONE_STEP: u64 = 15 * 60_000;
const ZONE_MOST: u64 = 26 * 3_600_000;
/// Without a time, what was shown so long before or after the record came may be it.
const TIMELESS: u64 = 15 * 60_000;

/// What of an event is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// Of a record: the entry that it names. Of an entry: its own URI, where it has one.
    uri: Option<String>,
    id: Option<String>,
    /// The message's key without its registry: `PSU0003` of `IDRAC.2.8.PSU0003`.
    code: Option<String>,
    message: Option<u64>,
    /// The BMC's time.
    pub(super) time: Option<Timestamp>,
    /// When the agent learned of it.
    pub(super) at: Timestamp,
}

/// Greater is more alike: the kind of evidence first, then the distance in time.
pub(super) type Likeness = (u8, Reverse<u64>);

impl Facts {
    pub(super) fn of_record(record: &Record, at: Timestamp) -> Self {
        Self { uri: record.entry.clone(), id: record.event_id.clone(), ..Self::of(&record.event, at) }
    }

    pub(super) fn of_entry(entry: &LogEvent, at: Timestamp) -> Self {
        // An entry served within its collection only has no URI that a record could name.
        let uri = Some(entry.source.0.clone()).filter(|uri| !uri.contains('#'));
        Self { uri, id: Some(entry.id.clone()), ..Self::of(entry, at) }
    }

    fn of(event: &LogEvent, at: Timestamp) -> Self {
        let code = event.code.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let words: Vec<String> = event.message.split_whitespace().map(str::to_lowercase).collect();
        Self {
            uri: None,
            id: None,
            code: Some(code).filter(|c| !c.is_empty()),
            message: (!words.is_empty()).then(|| fnv1a64(words.join(" ").trim_end_matches('.').as_bytes())),
            time: event.bmc_time,
            at,
        }
    }

    pub(super) fn names_entry(&self) -> bool {
        self.uri.is_some()
    }

    /// How much this record looks like `entry`; `None`: they are two events.
    pub(super) fn like(&self, entry: &Facts) -> Option<Likeness> {
        let apart = |a: Timestamp, b: Timestamp| a.as_millis().abs_diff(b.as_millis());
        let together = apart(self.at, entry.at) <= TIMELESS;
        let stamps = self.time.zip(entry.time).map(|(a, b)| apart(a, b));
        // What happens every hour is not one thing told in two zones: the agent learned of it at different times.
        let distance = stamps.map(|d| if together { in_some_zone(d) } else { d });
        let timeless = stamps.is_none() && together;
        let within = |most| distance.is_some_and(|d| d <= most);
        let grade = |grade| Some((grade, Reverse(distance.unwrap_or(TIMELESS))));
        if let (Some(named), Some(uri)) = (&self.uri, &entry.uri) {
            // An id that is used again after a clear has another time.
            return if named == uri && (timeless || within(10 * NEAR)) { grade(9) } else { None };
        }
        let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        let (codes, messages) = ((&self.code, &entry.code), (self.message, entry.message));
        let code = same(codes.0, codes.1);
        let message = messages.0.is_some() && messages.0 == messages.1;
        let code_open = codes.0.is_none() || codes.1.is_none();
        let message_open = messages.0.is_none() || messages.1.is_none();
        match () {
            () if same(&self.id, &entry.id) && (code || message) && (timeless || within(NEAR)) => grade(8),
            () if code && message && within(SAME_MOMENT) => grade(7),
            () if same(&self.id, &entry.id) && (code_open || message_open) && within(SAME_MOMENT) => grade(6),
            () if code && message && (timeless || within(NEAR)) => grade(5),
            () if message && code_open && (timeless || within(SAME_MOMENT)) => grade(4),
            () if code && message_open && within(SAME_MOMENT) => grade(3),
            // The texts of a log and of an event are sometimes worded apart.
            () if code && stamps.is_some_and(|d| d <= SAME_MOMENT / 2) => grade(2),
            () => None,
        }
    }
}

/// The distance of two stamps, of which one may be told in another zone without saying so.
fn in_some_zone(apart: u64) -> u64 {
    let rest = apart % ZONE_STEP;
    let rest = rest.min(ZONE_STEP - rest);
    if apart <= ZONE_MOST && rest <= SAME_MOMENT { rest } else { apart }
}

/// FNV-1a, 64 bit: what it gives is stored, so it must be the same in every version.
fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stamp_in_a_zone_that_it_does_not_name_is_the_same_moment() {
        assert_eq!(in_some_zone(6 * 3_600_000 + 800), 800);
        assert_eq!(in_some_zone(5 * 3_600_000 + 30 * 60_000 - 700), 700);
        assert_eq!(in_some_zone(7 * 60_000), 7 * 60_000);
        assert_eq!(in_some_zone(48 * 3_600_000), 48 * 3_600_000);
    }

    proptest! {
        #[test]
        fn a_distance_never_grows_by_zones(apart: u64) {
            prop_assert!(in_some_zone(apart) <= apart);
        }
    }
}
