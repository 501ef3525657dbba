//! How long things are kept. Pure.

use crate::rollup::Resolution;
use crate::volume::Class;
use outband_schemas::{SensorKind, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Bodies in the ingest log after they were assessed, in hours.
    pub ingest_log_hours: u32,
    /// Readings as they were taken, in days.
    pub raw_days: u32,
    /// What was made of them for each five minutes, in days.
    pub five_minute_days: u32,
    /// What was made of them for each hour, in days.
    pub hour_days: u32,
    /// Log entries and gaps, in days.
    pub event_days: u32,
    /// Tickets after they were closed, with everything about them, in days.
    pub ticket_days: u32,
    /// Entries of the audit log, in days.
    pub audit_days: u32,
    /// Closed tickets that not even the erasure of their customer takes before this age, in days: what the law wants kept.
    pub ticket_least_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            ingest_log_hours: 24,
            raw_days: 30,
            five_minute_days: 366,
            hour_days: 5 * 366,
            event_days: 365,
            ticket_days: 5 * 366,
            audit_days: 7 * 366,
            ticket_least_days: 0,
        }
    }
}

/// How long what was made of the readings of a kind is kept, where that is not as long as of others. Readings themselves are kept equally long of all kinds:
/// they take most room for the shortest time, and everything else is made of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KindTerm {
    /// Instead of [`Retention::five_minute_days`].
    pub five_minute_days: Option<u32>,
    /// Instead of [`Retention::hour_days`].
    pub hour_days: Option<u32>,
}

/// The kinds that have terms of their own.
pub type KindTerms = BTreeMap<SensorKind, KindTerm>;

/// Up to when things go: what is older than a limit is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Ingest log rows received before this.
    pub ingest_log: Timestamp,
    /// Chunks that ended before this.
    pub raw: Timestamp,
    /// Buckets of five minutes from before this.
    pub five_minutes: Timestamp,
    /// Hours from before this.
    pub hours: Timestamp,
    /// Log entries and gaps seen before this.
    pub events: Timestamp,
    /// Tickets closed before this.
    pub tickets: Timestamp,
    /// Entries of the audit log from before this.
    pub audit: Timestamp,
}

impl Retention {
    /// What counts for a kind.
    pub fn of_kind(&self, terms: &KindTerms, kind: SensorKind) -> Self {
        let term = terms.get(&kind).copied().unwrap_or_default();
        Self {
            five_minute_days: term.five_minute_days.unwrap_or(self.five_minute_days),
            hour_days: term.hour_days.unwrap_or(self.hour_days),
            ..*self
        }
    }

    /// What counts for files, which hold all kinds: the longest term of any.
    pub fn of_files(&self, terms: &KindTerms) -> Self {
        terms.keys().map(|kind| self.of_kind(terms, *kind)).fold(*self, |files, kind| Self {
            five_minute_days: files.five_minute_days.max(kind.five_minute_days),
            hour_days: files.hour_days.max(kind.hour_days),
            ..files
        })
    }

    /// The limits at `now`.
    pub fn limits(&self, now: Timestamp) -> Limits {
        let hours = |n: u32| Duration::from_secs(u64::from(n) * 3600);
        Limits {
            ingest_log: now.minus(hours(self.ingest_log_hours)),
            raw: now.minus(hours(self.raw_days.saturating_mul(24))),
            five_minutes: now.minus(hours(self.five_minute_days.saturating_mul(24))),
            hours: now.minus(hours(self.hour_days.saturating_mul(24))),
            events: now.minus(hours(self.event_days.saturating_mul(24))),
            tickets: now.minus(hours(self.ticket_days.saturating_mul(24))),
            audit: now.minus(hours(self.audit_days.saturating_mul(24))),
        }
    }
}

impl Limits {
    /// Files of history of this class go when they ended before then.
    pub fn of(&self, class: Class) -> Timestamp {
        match class {
            Class::Raw => self.raw,
            Class::Rolled(Resolution::FiveMinutes) => self.five_minutes,
            Class::Rolled(Resolution::Hour) => self.hours,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_lie_as_far_back_as_the_retention_says() {
        let now = Timestamp::from_secs(100 * 86_400);
        let limits = Retention { ingest_log_hours: 2, raw_days: 3, event_days: 4, ..Retention::default() }.limits(now);
        assert_eq!(now.since(limits.ingest_log), Duration::from_secs(7200));
        assert_eq!(now.since(limits.raw), Duration::from_secs(3 * 86_400));
        assert_eq!(now.since(limits.events), Duration::from_secs(4 * 86_400));
    }

    #[test]
    fn a_kind_has_its_own_term_and_a_file_the_longest() {
        let general = Retention { five_minute_days: 100, hour_days: 400, ..Retention::default() };
        let term = |five_minute_days, hour_days| KindTerm { five_minute_days, hour_days };
        let terms = KindTerms::from([
            (SensorKind::Temperature, term(Some(200), None)),
            (SensorKind::FanSpeed, term(Some(50), Some(60))),
        ]);
        let of = |r: Retention| (r.raw_days, r.five_minute_days, r.hour_days);
        assert_eq!(of(general.of_kind(&terms, SensorKind::Temperature)), (30, 200, 400));
        assert_eq!(of(general.of_kind(&terms, SensorKind::FanSpeed)), (30, 50, 60));
        assert_eq!(of(general.of_kind(&terms, SensorKind::Power)), (30, 100, 400));
        assert_eq!(of(general.of_files(&terms)), (30, 200, 400));
        assert_eq!(general.of_files(&KindTerms::new()), general);
    }

    #[test]
    fn a_retention_longer_than_time_drops_nothing() {
        let limits = Retention { ingest_log_hours: u32::MAX, raw_days: u32::MAX, ..Retention::default() }
            .limits(Timestamp::from_secs(1));
        assert!(limits.raw < Timestamp::EPOCH);
    }
}
