//! How long things are kept. Pure.

use outband_schemas::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Bodies in the ingest log after they were assessed, in hours.
    pub ingest_log_hours: u32,
    /// Readings as they were taken, in days.
    pub raw_days: u32,
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
            event_days: 365,
            ticket_days: 5 * 366,
            audit_days: 7 * 366,
            ticket_least_days: 0,
        }
    }
}

/// Up to when things go: what is older than a limit is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Ingest log rows received before this.
    pub ingest_log: Timestamp,
    /// Chunks that ended before this.
    pub raw: Timestamp,
    /// Log entries and gaps seen before this.
    pub events: Timestamp,
    /// Tickets closed before this.
    pub tickets: Timestamp,
    /// Entries of the audit log from before this.
    pub audit: Timestamp,
}

impl Retention {
    /// The limits at `now`.
    pub fn limits(&self, now: Timestamp) -> Limits {
        let hours = |n: u32| Duration::from_secs(u64::from(n) * 3600);
        Limits {
            ingest_log: now.minus(hours(self.ingest_log_hours)),
            raw: now.minus(hours(self.raw_days.saturating_mul(24))),
            events: now.minus(hours(self.event_days.saturating_mul(24))),
            tickets: now.minus(hours(self.ticket_days.saturating_mul(24))),
            audit: now.minus(hours(self.audit_days.saturating_mul(24))),
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
    fn a_retention_longer_than_time_drops_nothing() {
        let limits = Retention { ingest_log_hours: u32::MAX, raw_days: u32::MAX, ..Retention::default() }
            .limits(Timestamp::from_secs(1));
        assert!(limits.raw < Timestamp::EPOCH);
    }
}
