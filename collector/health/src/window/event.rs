//! Log entries as rules remember them.

use outband_schemas::{EventKind, LogEvent, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A log entry as rules remember it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventNote {
    /// What happened.
    pub kind: EventKind,
    /// How grave the BMC calls it.
    pub severity: Severity,
    /// Whether the condition ended.
    pub deasserted: bool,
    /// When it came to the agent; for history, when the BMC says that it happened.
    pub at: Timestamp,
    /// The text of the entry.
    pub message: String,
}

impl EventNote {
    /// The note of an entry. On the first read of a log (`history` set), an entry counts only if the BMC's own time says that
    /// it is no older than `history`: a log holds years of failures long repaired.
    pub(super) fn of(event: &LogEvent, received_at: Timestamp, history: Option<Duration>) -> Option<Self> {
        let seen = event.observed_at.min(received_at);
        let at = match history {
            None => seen,
            Some(age) => event.bmc_time.filter(|t| seen.since(*t) <= age)?.min(seen),
        };
        Some(Self {
            kind: event.kind,
            severity: event.severity,
            deasserted: event.deasserted,
            at,
            message: event.message.clone(),
        })
    }
}
