//! The clocks of a ticket: respond, locate, repair.

use crate::{Priority, State};
use outband_schemas::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Somebody takes it: met by assigning or starting.
    Respond,
    /// The root cause is known: met by locating, or by resolving.
    Locate,
    /// It is done: met by resolving.
    Repair,
}

impl Target {
    /// Every target, in the order in which they are due.
    pub const ALL: [Target; 3] = [Self::Respond, Self::Locate, Self::Repair];

    /// The word on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Respond => "respond",
            Self::Locate => "locate",
            Self::Repair => "repair",
        }
    }
}

/// The hours in which a clock runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hours {
    /// Around the clock.
    Always,
    /// The calendar's open hours.
    Business,
}

/// How much time a target allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allowance {
    /// So much open time.
    Within(Duration),
    /// Until the end of the n-th business day after it began; 1 is the next business day.
    BusinessDays(u32),
}

/// What is promised for one priority. A target that is `None` has no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// The hours in which its clocks run.
    pub hours: Hours,
    /// To respond.
    pub respond: Option<Allowance>,
    /// To locate.
    pub locate: Option<Allowance>,
    /// To repair.
    pub repair: Option<Allowance>,
}

/// What is promised, and what stops the clocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlaPolicy {
    /// The promise of each priority. A priority that is missing has no clocks.
    pub promises: BTreeMap<Priority, Promise>,
    /// The states in which clocks pause.
    pub pauses: BTreeSet<State>,
}

/// Where a clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockStatus {
    /// Counting.
    Running,
    /// Stopped by the ticket's state.
    Paused,
    /// Met in time.
    Met,
    /// It ran out and is not met.
    Breached,
    /// Met, but after it was due.
    MetLate,
}

/// One clock, computed for a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlaClock {
    /// What is promised.
    pub target: Target,
    /// Where it stands.
    pub status: ClockStatus,
    /// The time allowed.
    pub allowance: Allowance,
    /// The hours in which it runs.
    pub hours: Hours,
    /// Open time used, without pauses.
    pub elapsed: Duration,
    /// When it will be, or was, breached if nothing pauses it; `None` while paused.
    pub due: Option<Timestamp>,
    /// When it was met.
    pub met_at: Option<Timestamp>,
    /// When it ran out, met later or not.
    pub breached_at: Option<Timestamp>,
}
