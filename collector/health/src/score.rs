//! Points and reasons. A score is 100 minus the penalties; every point lost says why.

use outband_schemas::Timestamp;
use serde::{Deserialize, Serialize};

/// What can be said of a component, a server or a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Well, and seen lately.
    Ok,
    /// Degraded, or a failure is predicted.
    Warning,
    /// Failed, or out of its critical limits.
    Critical,
    /// Too old to say. Not OK.
    Stale,
    /// Never seen. Not OK.
    Unknown,
}

/// Points lost, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Penalty {
    /// Points lost, 0 (its share of a larger whole rounds to nothing) to 100.
    pub points: u8,
    /// The component as `class/slot`; for a site, the server.
    pub component: String,
    /// The rule or the reason, e.g. `disk.smart_growth`.
    pub rule: String,
    /// Why, in words.
    pub reason: String,
}

/// The score of one resource with every point it lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// 0 to 100; `None` when nothing is known.
    pub score: Option<u8>,
    /// What can be said.
    pub status: Status,
    /// What the points were lost for, dearest first. They add up to 100 − score.
    pub penalties: Vec<Penalty>,
    /// When it was assessed (the collector's clock).
    pub assessed_at: Timestamp,
    /// The newest reading it rests on (the agent's clock).
    pub newest_reading: Option<Timestamp>,
}
