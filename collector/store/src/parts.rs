//! The parts of the whole fleet, then and now: what rates of failure are made of.

use crate::StoreError;
use outband_schemas::{ComponentId, ServerId, Timestamp};

/// A part in a place, from when it was first seen there until it was last seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Stay {
    /// The place.
    pub component: ComponentId,
    /// The serial; empty where it has none: then parts that followed each other are one stay.
    pub serial: String,
    /// The maker.
    pub manufacturer: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The maker's part number.
    pub part_number: Option<String>,
    /// When it was first seen there (the agent's clock).
    pub first_seen: Timestamp,
    /// When it was last seen there.
    pub last_seen: Timestamp,
    /// Whether it is the newest part seen in that place.
    pub current: bool,
    /// How long it had run by its own count, where it tells.
    pub hours: Option<Hours>,
}

/// What a part told of its own running time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hours {
    /// When it first told (the agent's clock).
    pub first_at: Timestamp,
    /// Hours then.
    pub first: f64,
    /// When it told last.
    pub last_at: Timestamp,
    /// Hours then.
    pub last: f64,
}

/// Tells of the parts of the fleet. Verbs block, as those of [`crate::Store`].
pub trait Parts {
    /// Hands the stays of each server to `take`, server by server, by place, the newest of a place last. Servers that were merged into
    /// others are among them.
    fn each_server(&self, take: &mut dyn FnMut(&ServerId, Vec<Stay>)) -> Result<(), StoreError>;

    /// Places that have a sensor of their own and that no inventory has named, of servers that are not merged: a fan that only turns.
    fn each_bare_place(&self, take: &mut dyn FnMut(&ServerId, ComponentId)) -> Result<(), StoreError>;
}
