//! Health checks of servers: what was asked, how far it is, and what came of it.

use crate::StoreError;
use crate::query::{Listing, Page};
use outband_schemas::{AgentId, ServerId, TargetId, Timestamp};
use serde::{Deserialize, Serialize};

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// It waits for its agent.
    Waiting,
    /// The agent reads the BMC.
    Reading,
    /// It was read; the last of it is on its way, or being assessed.
    Assessing,
    /// There is a report that rests on what was just read.
    Done,
    /// There is a report, and it rests on what was known before: the BMC could not be read.
    Unread,
}

impl CheckState {
    /// The word on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Reading => "reading",
            Self::Assessing => "assessing",
            Self::Done => "done",
            Self::Unread => "unread",
        }
    }

    /// Whether nothing more happens to it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Unread)
    }
}

/// What an agent was asked for a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Which agent.
    pub agent: AgentId,
    /// Which of its targets.
    pub target: TargetId,
    /// When (the collector's clock).
    pub at: Timestamp,
    /// The last row of the ingest log then: the answer comes after it.
    pub after: i64,
    /// The answer says that all that was read is in the telemetry lane up to here.
    #[serde(default)]
    pub telemetry_through: Option<i64>,
    /// All that was read is in the ingest log up to this row.
    #[serde(default)]
    pub assess_through: Option<i64>,
    /// When it was answered (the collector's clock).
    #[serde(default)]
    pub answered_at: Option<Timestamp>,
}

/// A check of a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its number; 0: given out by the store.
    pub id: u64,
    /// Grows with each change.
    pub revision: u64,
    /// The server.
    pub server: ServerId,
    /// Who asked for it.
    pub requester: String,
    /// Which turn of the schedule asked for it; `None`: a person did.
    #[serde(default)]
    pub plan: Option<String>,
    /// When (the collector's clock).
    pub requested_at: Timestamp,
    /// How far it is.
    pub state: CheckState,
    /// Why it waits, or why nothing was read; empty: neither.
    #[serde(default)]
    pub why: String,
    /// What was asked of an agent.
    #[serde(default)]
    pub asked: Option<Asked>,
    /// What the agent could not read of the BMC, and why.
    #[serde(default)]
    pub unread: Vec<(String, String)>,
    /// When it was over (the collector's clock).
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// The report, as the collector writes it; `None`: not yet.
    #[serde(default)]
    pub report: Option<serde_json::Value>,
}

impl Check {
    /// The id by which the agent knows it: of no other store's the same.
    pub fn wire_id(&self) -> String {
        format!("check-{}-{}", self.id, self.requested_at.as_millis())
    }
}

/// Which checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckFilter {
    /// Of this server; `None`: of all.
    pub server: Option<ServerId>,
}

/// The room of checks. Verbs block, as those of [`crate::Store`].
pub trait Checks {
    /// Writes a check and gives it back as it is stored. A new one gets a number; a known one has to be one revision ahead of the stored one, and a turn of
    /// the schedule checks a server once: else [`StoreError::Conflict`].
    fn put_check(&self, check: Check) -> Result<Check, StoreError>;

    /// One check.
    fn health_check(&self, id: u64) -> Result<Option<Check>, StoreError>;

    /// Checks that are not over, by number.
    fn open_checks(&self) -> Result<Vec<Check>, StoreError>;

    /// Checks, newest first.
    fn health_checks(&self, filter: &CheckFilter, page: &Page) -> Result<Listing<Check>, StoreError>;

    /// The servers that a turn of the schedule has had.
    fn checked_in(&self, plan: &str) -> Result<Vec<ServerId>, StoreError>;
}
