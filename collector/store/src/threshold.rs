//! Thresholds that somebody set otherwise for some servers, and for how long.

use crate::StoreError;
use crate::audit::Note;
use crate::maintenance::Selector;
use outband_schemas::Timestamp;
use serde::{Deserialize, Serialize};

/// Another threshold than the config's, for what a selector covers, for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Its number; 0: given out by the store.
    pub id: u64,
    /// What it is for.
    pub selector: Selector,
    /// Which, e.g. `disk.increases`.
    pub parameter: String,
    /// What it is there, in the parameter's own unit.
    pub value: f64,
    /// Why, in words.
    pub reason: String,
    /// Who set it.
    pub author: String,
    /// When (the collector's clock).
    pub created_at: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// When somebody ended it before; `None`: nobody did.
    pub ended_at: Option<Timestamp>,
    /// Grows with each change.
    pub revision: u64,
}

impl Threshold {
    /// Whether it counts at `now`.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.until
    }
}

/// A change of a threshold: never forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdChange {
    /// When (the collector's clock).
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// `create`, `edit` or `end`.
    pub what: String,
    /// The threshold after it.
    pub threshold: Threshold,
}

/// Keeps thresholds and every change of them. Verbs block, as those of [`crate::Store`].
pub trait Thresholds {
    /// The thresholds that nobody ended, by their number, those whose time is over included; with `all`, the ended ones too.
    fn thresholds(&self, all: bool) -> Result<Vec<Threshold>, StoreError>;

    /// Writes a threshold, the change and what is noted of it in one transaction, and gives it back as it is stored. A new one gets a number; a known one has to be one revision
    /// ahead of the stored one, else [`StoreError::Conflict`].
    fn put_threshold(&self, change: &ThresholdChange, note: Option<Note<Threshold>>) -> Result<Threshold, StoreError>;

    /// The changes of one, oldest first.
    fn threshold_changes(&self, id: u64) -> Result<Vec<ThresholdChange>, StoreError>;
}
