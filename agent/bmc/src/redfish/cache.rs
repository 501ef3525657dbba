//! Resources kept for a while, so that what several sections need is asked for once, and what did not change is not sent again.
//!
//! A section never takes what it took before: a figure is told once for each time it was read. What is taken keeps the time at which it was read.

use super::lenient;
use outband_schemas::{Section, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes of bodies kept for one BMC.
const MOST_BYTES: usize = 384 << 10;
/// How long another section may take what one read.
const SHARED_FOR: Duration = Duration::from_secs(120);
/// How long the way to something (chassis, systems, managers, log services) is known without asking.
const STRUCTURE_FOR: Duration = Duration::from_secs(600);

#[derive(Debug, Clone)]
struct Entry {
    body: Box<str>,
    at: Timestamp,
    /// The `ETag`, and the URI it was given for, query included.
    etag: Option<(Box<str>, Box<str>)>,
    /// The sections that took it, a bit each.
    taken: u8,
}

impl Entry {
    fn is_good(&self, section: Section, want: Want, now: Timestamp) -> bool {
        let age = now.since(self.at);
        match want {
            Want::Way => age <= STRUCTURE_FOR,
            Want::Figures => age <= SHARED_FOR && self.taken & bit(section) == 0,
        }
    }
}

/// What a section wants of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// To tell of it.
    Figures,
    /// Only what it links to.
    Way,
}

/// The bodies of one BMC, by URI.
#[derive(Debug, Clone, Default)]
pub(super) struct Cache {
    entries: BTreeMap<String, Entry>,
    bytes: usize,
}

impl Cache {
    /// Keeps a body; the oldest go where there is no room.
    pub(super) fn put(&mut self, key: &str, body: &Value, etag: Option<(&str, &str)>, section: Section, at: Timestamp) {
        self.forget(key);
        let body = body.to_string().into_boxed_str();
        if body.len() > MOST_BYTES / 4 {
            return;
        }
        while self.bytes + body.len() > MOST_BYTES {
            let Some(oldest) = self.entries.iter().min_by_key(|(_, e)| e.at).map(|(k, _)| k.clone()) else { break };
            self.forget(&oldest);
        }
        self.bytes += body.len();
        let etag = etag.map(|(uri, tag)| (uri.into(), tag.into()));
        self.entries.insert(key.to_owned(), Entry { body, at, etag, taken: bit(section) });
    }

    /// Keeps a body that came with another one, for whoever asks for it.
    pub(super) fn put_aside(&mut self, key: &str, body: &Value, at: Timestamp) {
        self.put(key, body, None, Section::Host, at);
    }

    fn forget(&mut self, key: &str) {
        if let Some(gone) = self.entries.remove(key) {
            self.bytes -= gone.body.len();
        }
    }

    /// A body that need not be asked for, and when it was read.
    pub(super) fn take(
        &mut self,
        key: &str,
        section: Section,
        want: Want,
        now: Timestamp,
    ) -> Option<(Value, Timestamp)> {
        let entry = self.entries.get_mut(key).filter(|e| e.is_good(section, want, now))?;
        entry.taken |= bit(section);
        Some((lenient::parse(entry.body.as_bytes()).ok()?, entry.at))
    }

    /// Whether [`Cache::take`] would give something.
    pub(super) fn has(&self, key: &str, section: Section, want: Want, now: Timestamp) -> bool {
        self.entries.get(key).is_some_and(|e| e.is_good(section, want, now))
    }

    /// The tag under which `asked`, a URI with its query, was answered.
    pub(super) fn etag(&self, key: &str, asked: &str) -> Option<&str> {
        let (uri, tag) = self.entries.get(key)?.etag.as_ref()?;
        (**uri == *asked).then_some(&**tag)
    }

    /// The body of a resource that the BMC says is unchanged: it is as good as read now.
    pub(super) fn unchanged(&mut self, key: &str, section: Section, at: Timestamp) -> Option<Value> {
        let entry = self.entries.get_mut(key)?;
        entry.at = at;
        entry.taken |= bit(section);
        lenient::parse(entry.body.as_bytes()).ok()
    }

    /// Drops what nobody will take any more: old, and without a tag to ask again by.
    pub(super) fn tidy(&mut self, now: Timestamp) {
        let old: Vec<String> = self
            .entries
            .iter()
            .filter(|(_, e)| e.etag.is_none() && now.since(e.at) > STRUCTURE_FOR)
            .map(|(k, _)| k.clone())
            .collect();
        for key in old {
            self.forget(&key);
        }
    }
}

fn bit(section: Section) -> u8 {
    1 << match section {
        Section::Sensors => 0,
        Section::Drives => 1,
        Section::Log => 2,
        Section::Inventory => 3,
        Section::Host => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const T: fn(i64) -> Timestamp = Timestamp::from_secs;

    #[test]
    fn what_one_section_read_another_takes_once_with_the_time_of_reading() {
        let mut cache = Cache::default();
        cache.put("/d/1", &json!({"Id": "1"}), None, Section::Drives, T(100));
        assert_eq!(cache.take("/d/1", Section::Drives, Want::Figures, T(101)), None, "it told of it already");
        let taken = cache.take("/d/1", Section::Inventory, Want::Figures, T(130));
        assert_eq!(taken, Some((json!({"Id": "1"}), T(100))));
        assert_eq!(cache.take("/d/1", Section::Inventory, Want::Figures, T(131)), None);
        assert_eq!(cache.take("/d/1", Section::Log, Want::Figures, T(300)), None, "too old");
    }

    #[test]
    fn the_way_is_known_for_longer_and_as_often_as_it_is_gone() {
        let mut cache = Cache::default();
        cache.put("/s/1", &json!({"Id": "1"}), None, Section::Log, T(0));
        for now in [60, 600] {
            assert!(cache.take("/s/1", Section::Log, Want::Way, T(now)).is_some(), "{now}");
        }
        assert!(cache.take("/s/1", Section::Log, Want::Way, T(601)).is_none());
    }

    #[test]
    fn a_tag_holds_for_the_very_request_it_was_given_for() {
        let mut cache = Cache::default();
        cache.put("/c", &json!({"Id": "1"}), Some(("/c?$expand=.", "W/\"1\"")), Section::Drives, T(0));
        assert_eq!(cache.etag("/c", "/c?$expand=."), Some("W/\"1\""));
        assert_eq!(cache.etag("/c", "/c"), None);
        assert_eq!(cache.unchanged("/c", Section::Drives, T(900)), Some(json!({"Id": "1"})));
        assert!(cache.take("/c", Section::Inventory, Want::Figures, T(901)).is_some(), "as good as read at 900");
    }

    #[test]
    fn the_cache_does_not_outgrow_its_bytes_and_loses_the_oldest() {
        let mut cache = Cache::default();
        let body = json!({"x": "y".repeat(10_000)});
        for n in 0..200 {
            cache.put(&format!("/r/{n}"), &body, None, Section::Drives, T(n));
        }
        assert!(
            cache.bytes <= MOST_BYTES && cache.bytes == cache.entries.values().map(|e| e.body.len()).sum::<usize>()
        );
        assert!(cache.take("/r/199", Section::Log, Want::Figures, T(200)).is_some());
        assert!(cache.take("/r/0", Section::Log, Want::Figures, T(1)).is_none());
        cache.tidy(T(10_000));
        assert_eq!((cache.bytes, cache.entries.len()), (0, 0));
    }
}
