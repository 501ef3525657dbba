//! One event once: pushed records are held against log entries, so that what was heard of twice is told once. Pure: times are arguments.
//!
//! - A record is held until the log was read. An entry that is the same event takes its place: the poll tells it, with the natural key that polling gives.
//! - A record that no read of the log shows is told as an event of its own; if its entry comes later still, that entry is not told again.
//! - Each record takes one entry and each entry one record, so two equal messages of one second stay two.

mod likeness;

use super::record::Record;
use likeness::{Facts, Likeness};
use outband_schemas::{LogEvent, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// A log may be written a moment after the event is pushed: a read that begins so long after the record came has to show it.
const SETTLE: Duration = Duration::from_secs(10);
/// A record that names its entry is given longer.
const SETTLE_NAMED: Duration = Duration::from_secs(120);
/// Where the log cannot be read, a record is told at last.
const MAX_HOLD: Duration = Duration::from_secs(900);
/// How long a repeat is known for one, and a record that was told for an entry that comes late.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// An entry that was shown so long ago and that nothing announced was not announced.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(60);
const MAX_HELD: usize = 256;
const MAX_ENTRIES: usize = 512;
const MAX_SEEN: usize = 1024;
/// So many entries in a row must have been announced before the announcements are relied on again.
const FULL_CREDIT: u8 = 3;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// News: the log is to be read.
    New,
    /// The log has shown its entry already.
    Known,
    /// The same delivery again, or the same event over another channel.
    Repeat,
}

/// Records that wait, and what is needed to know one event from another. Can be stored, so that a restart neither loses nor doubles one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    held: VecDeque<Held>,
    told: VecDeque<Facts>,
    entries: VecDeque<Shown>,
    seen: VecDeque<Seen>,
    ready: Vec<LogEvent>,
    /// Announcements that were missing; taken back by [`FULL_CREDIT`] that were not.
    debt: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    event: LogEvent,
    facts: Facts,
    /// A read of the log that began after [`SETTLE`] did not show it.
    looked: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Shown {
    facts: Facts,
    claimed: bool,
    /// It should be announced, since somebody listens.
    expected: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    key: String,
    delivery: Option<String>,
    channel: u64,
    at: Timestamp,
}

impl Pairing {
    /// A record came at `at`. `channel` is another number for each stream and for the listener, so that what one of them repeats of another is known.
    pub fn heard(&mut self, record: Record, channel: u64, at: Timestamp) -> Heard {
        self.forget(at);
        if self.is_repeat(&record, channel, at) {
            return Heard::Repeat;
        }
        let facts = Facts::of_record(&record, at);
        let best = self.entries.iter_mut().filter(|e| !e.claimed).filter_map(|e| Some((facts.like(&e.facts)?, e)));
        if let Some((_, entry)) = best.max_by_key(|(likeness, _)| *likeness) {
            entry.claimed = true;
            return Heard::Known;
        }
        if self.held.len() >= MAX_HELD
            && let Some(oldest) = self.held.pop_front()
        {
            self.tell(oldest);
        }
        self.held.push_back(Held { event: record.event, facts, looked: false });
        Heard::New
    }

    /// A read of the log that began at `began` brought `events`. Takes out of them what was told before, and gives the records that are to be told as events of
    /// their own. `listening`: whether a stream or subscription stood since before the last read.
    pub fn log_read(
        &mut self,
        began: Timestamp,
        now: Timestamp,
        listening: bool,
        events: &mut Vec<LogEvent>,
    ) -> Vec<LogEvent> {
        events.retain(|event| !self.was_told(event));
        let mut fresh: Vec<(Facts, Severity)> = events.iter().map(|e| (Facts::of_entry(e, now), e.severity)).collect();
        // The newest are kept, in whichever order the log lists them.
        fresh.sort_by_key(|(facts, _)| facts.time);
        let grave = |severity| matches!(severity, Severity::Warning | Severity::Critical);
        self.entries.extend(fresh.into_iter().map(|(facts, severity)| Shown {
            facts,
            claimed: false,
            expected: listening && grave(severity),
        }));
        self.pair();
        while self.entries.len() > MAX_ENTRIES {
            self.entries.pop_front();
        }
        for mut held in std::mem::take(&mut self.held) {
            if began >= held.facts.at.plus(held.patience()) {
                self.tell(held);
            } else {
                held.looked |= began >= held.facts.at.plus(SETTLE);
                self.held.push_back(held);
            }
        }
        self.settle_accounts(now);
        self.forget(now);
        std::mem::take(&mut self.ready)
    }

    /// When the log is to be read for the sake of the records that are held.
    pub fn due(&self) -> Option<Timestamp> {
        let due = |h: &Held| h.facts.at.plus(if h.looked { h.patience() } else { SETTLE });
        self.held.iter().map(due).min()
    }

    /// The records that were held for so long that the log can hardly be readable: they are told.
    pub fn overdue(&mut self, now: Timestamp) -> Vec<LogEvent> {
        for held in std::mem::take(&mut self.held) {
            if now >= held.facts.at.plus(MAX_HOLD) {
                self.tell(held);
            } else {
                self.held.push_back(held);
            }
        }
        std::mem::take(&mut self.ready)
    }

    /// Whether what the log shows is announced, so that it may be read less often.
    pub fn is_reliable(&self) -> bool {
        self.debt == 0
    }

    /// Whether anything is remembered that is worth storing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn tell(&mut self, held: Held) {
        self.told.push_back(held.facts);
        self.ready.push(held.event);
    }

    fn was_told(&mut self, event: &LogEvent) -> bool {
        if self.told.is_empty() {
            return false;
        }
        let facts = Facts::of_entry(event, event.observed_at);
        let alike = self.told.iter().enumerate().filter_map(|(i, told)| Some((told.like(&facts)?, i)));
        match alike.max_by_key(|(likeness, i)| (*likeness, std::cmp::Reverse(*i))) {
            Some((_, index)) => self.told.remove(index).is_some(),
            None => false,
        }
    }

    /// Gives each record that is held the entry that is most like it, the likest pairs first.
    fn pair(&mut self) {
        let mut pairs: Vec<(Likeness, usize, usize)> = Vec::new();
        for (h, held) in self.held.iter().enumerate() {
            for (e, entry) in self.entries.iter().enumerate().filter(|(_, e)| !e.claimed) {
                pairs.extend(held.facts.like(&entry.facts).map(|likeness| (likeness, h, e)));
            }
        }
        pairs.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mut gone = vec![false; self.held.len()];
        for (_, h, e) in pairs {
            if let (Some(gone @ false), Some(entry @ Shown { claimed: false, .. })) =
                (gone.get_mut(h), self.entries.get_mut(e))
            {
                *gone = true;
                entry.claimed = true;
            }
        }
        let mut gone = gone.into_iter();
        self.held.retain(|_| !gone.next().unwrap_or(false));
    }

    /// An event is known again by its instance's id or its time; what has neither is always news. Equal events of one channel are as many as came there.
    fn is_repeat(&mut self, record: &Record, channel: u64, at: Timestamp) -> bool {
        let key = record.event.natural_key();
        let same: Vec<&Seen> = self.seen.iter().filter(|s| s.key == key).collect();
        if same.iter().any(|s| s.channel == channel && s.delivery.is_some() && s.delivery == record.delivery) {
            return true;
        }
        let from = |channel| same.iter().filter(|s| s.channel == channel).count();
        let elsewhere = same.iter().filter(|s| s.channel != channel).map(|s| from(s.channel)).max().unwrap_or(0);
        let known = match (&record.event_id, record.event.bmc_time) {
            (Some(_), Some(_)) => !same.is_empty(),
            (None, None) => false,
            _ => from(channel) < elsewhere,
        };
        self.seen.push_back(Seen { key, delivery: record.delivery.clone(), channel, at });
        known
    }

    fn settle_accounts(&mut self, now: Timestamp) {
        for entry in self.entries.iter_mut().filter(|e| e.expected) {
            if entry.claimed {
                self.debt = self.debt.saturating_sub(1);
                entry.expected = false;
            } else if now >= entry.facts.at.plus(ANNOUNCED_WITHIN) {
                self.debt = FULL_CREDIT;
                entry.expected = false;
            }
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let old = now.minus(REMEMBERED);
        while self.seen.len() > MAX_SEEN || self.seen.front().is_some_and(|s| s.at < old) {
            self.seen.pop_front();
        }
        while self.told.len() > MAX_HELD || self.told.front().is_some_and(|t| t.at < old) {
            self.told.pop_front();
        }
    }
}

impl Held {
    fn patience(&self) -> Duration {
        if self.facts.names_entry() { SETTLE_NAMED } else { SETTLE }
    }
}

#[cfg(test)]
mod tests;
