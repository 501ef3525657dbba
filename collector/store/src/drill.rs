//! Drills: exercises that look like real faults and are marked as none.

use crate::StoreError;
use crate::audit::Note;
use outband_schemas::{ComponentId, ServerId, Timestamp};
use serde::{Deserialize, Serialize};

/// One exercise: a fault that is not there, said by the collector itself, for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// Its number; 0: given out by the store.
    pub id: u64,
    /// The server that is said to have the fault.
    pub server: ServerId,
    /// The place in it that was asked for; `None`: one that does not exist.
    #[serde(default)]
    pub component: Option<ComponentId>,
    /// The fault, e.g. `disk_failure`.
    pub fault: String,
    /// Whether people are paged for it.
    pub pages: bool,
    /// Why, in words.
    pub reason: String,
    /// What those who exercise are to do, for them to read. May be empty.
    #[serde(default)]
    pub runbook: String,
    /// Who began it.
    pub author: String,
    /// Which turn of which plan made it, e.g. `night/2026-Q4`; `None`: a person did.
    #[serde(default)]
    pub plan: Option<String>,
    /// When it begins (the collector's clock).
    pub starts_at: Timestamp,
    /// When it ends by itself.
    pub ends_at: Timestamp,
    /// When it ended; `None`: it has not.
    pub ended_at: Option<Timestamp>,
    /// Grows with each change.
    pub revision: u64,
}

impl Drill {
    /// Whether the fault is said to be there at `now`.
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && self.starts_at <= now && now < self.ends_at
    }
}

/// A change of a drill: never forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillChange {
    /// When (the collector's clock).
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// `start` or `end`.
    pub what: String,
    /// The drill after it.
    pub drill: Drill,
}

/// Keeps drills and every change of them. Verbs block, as those of [`crate::Store`].
pub trait Drills {
    /// The drills that have not ended, by their number; with `all`, the ended ones too.
    fn drills(&self, all: bool) -> Result<Vec<Drill>, StoreError>;

    /// One drill.
    fn drill(&self, id: u64) -> Result<Option<Drill>, StoreError>;

    /// Writes a drill, the change and what is noted of it in one transaction, and gives back the drill as it is stored. A new one gets a number; a known one has to be one
    /// revision ahead of the stored one, and a plan makes one drill a turn: else [`StoreError::Conflict`].
    fn put_drill(&self, change: &DrillChange, note: Option<Note<Drill>>) -> Result<Drill, StoreError>;

    /// Whether a plan has had this turn.
    fn had_turn(&self, plan: &str) -> Result<bool, StoreError>;
}
