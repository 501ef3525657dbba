//! Findings that lasted. One incident per server, component and fault; what opens, escalates and ends one.

mod reconcile;
pub mod storm;

pub use reconcile::{Evaluation, Past, Watched, reconcile};

use crate::{Evidence, Fault, Level, RuleId};
use outband_schemas::{ComponentId, ServerId, Timestamp};
use serde::{Deserialize, Serialize};

/// What one incident, and so one open ticket, is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentKey {
    /// The server.
    pub server: ServerId,
    /// The place in it.
    pub component: ComponentId,
    /// What is wrong.
    pub fault: Fault,
}

/// Where an incident stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// Found, but not yet for long enough. No ticket.
    Pending,
    /// It lasted: there is a ticket.
    Open,
    /// A person or a new part says that it is repaired: clean polls observed after `since` verify it, another finding
    /// reopens it.
    Verifying {
        /// When the ticket was resolved (the collector's clock).
        since: Timestamp,
    },
    /// A person said that it is a false alarm: quiet until the condition ends, gets worse or moves to another part.
    Dismissed {
        /// When (the collector's clock).
        at: Timestamp,
    },
    /// Over. A later finding opens a new incident.
    Ended {
        /// When (the collector's clock).
        at: Timestamp,
    },
}

/// One condition of one component over its life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Server, component and fault.
    pub key: IncidentKey,
    /// Where it stands.
    pub stage: Stage,
    /// Whether a failure is predicted rather than seen.
    pub predicted: bool,
    /// The worst level so far.
    pub level: Level,
    /// The rules that spoke for it, in the order in which they first did.
    pub rules: Vec<RuleId>,
    /// Why, in words: of the gravest finding.
    pub reason: String,
    /// The facts, oldest first; bounded, the oldest and the newest are kept.
    pub evidence: Vec<Evidence>,
    /// When the condition began, as far as is known (the agent's clock).
    pub onset: Timestamp,
    /// When the collector first knew (the collector's clock). With the key it names this incident.
    pub noted_at: Timestamp,
    /// The newest moment at which the condition was observed to hold (the agent's clock).
    pub newest: Timestamp,
    /// In how many polls in a row it was found; counted anew after a repair.
    pub hits: u32,
    /// In how many of them the failure was seen rather than predicted.
    pub actual_hits: u32,
    /// How many clean polls have come in a row since.
    pub clean: u32,
    /// The newest clean poll (the agent's clock).
    pub clean_at: Option<Timestamp>,
    /// The serial of the part at fault, where it is known.
    pub part_serial: Option<String>,
    /// The number of its ticket, once it has one.
    pub ticket: Option<u64>,
    /// Why it is open and has no ticket; `None`: nothing keeps it from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Of a storm: every incident that was ever a part of it, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<IncidentKey>,
    /// When it came back after it had gone, oldest first (the collector's clock); bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<Timestamp>,
    /// When it was found, as far as rules count that which have to find it several times (the agent's clock); bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sightings: Vec<Timestamp>,
    /// The ticket of the incident before this one of the same component and fault, where it ended a short while ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<u64>,
}

/// Why an open incident has no ticket. It is kept with all its evidence, and gets one when this is over and it still holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Hold {
    /// A cause that it shares with others may show.
    Watched {
        /// Until then (the collector's clock).
        until: Timestamp,
    },
    /// It is a part of a storm.
    Folded {
        /// The number of the storm's ticket.
        into: u64,
    },
    /// A person said that nobody is to hear of it for a while.
    Suppressed {
        /// By what: the name of a maintenance window or of an override.
        by: String,
        /// Until then (the collector's clock).
        until: Timestamp,
    },
}

/// What happened to an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Counted on; nobody needs to know.
    Noted,
    /// It lasted: a ticket is due.
    Opened,
    /// New facts for the ticket.
    Evidence,
    /// It got worse: a predicted failure was seen, or the level rose.
    Escalated,
    /// It ended by itself.
    Recovered,
    /// Another part sits in the place.
    Replaced {
        /// The serial of the part at fault.
        old: String,
        /// The serial of the part there now.
        new: String,
    },
    /// Clean polls verified the repair.
    Verified,
    /// Found again after the repair.
    Recurred,
    /// It never lasted, or was dismissed and is over: forget it.
    Dropped,
}

/// An incident after a change, and the change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentChange {
    /// The incident as it is now. `Dropped`: as it was.
    pub incident: Incident,
    /// What happened.
    pub what: What,
}

/// What a person said of an incident by resolving its ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is repaired: clean polls verify it.
    Repaired,
    /// There was nothing.
    FalseAlarm,
    /// It is open again.
    Reopened,
    /// The ticket was closed by hand.
    Closed,
}

impl Incident {
    /// The incident after a person's verdict at `at` (the collector's clock).
    #[must_use]
    pub fn after_verdict(&self, verdict: Verdict, at: Timestamp) -> Incident {
        let stage = match verdict {
            Verdict::Repaired => Stage::Verifying { since: at },
            Verdict::FalseAlarm => Stage::Dismissed { at },
            Verdict::Reopened => Stage::Open,
            Verdict::Closed => Stage::Ended { at },
        };
        Incident { stage, hits: 0, actual_hits: 0, clean: 0, clean_at: None, ..self.clone() }
    }
}

#[cfg(test)]
mod tests;
