//! What servers used of power and cooling, a row for each server and day. Made of their readings while these are there, and kept longer.

use crate::StoreError;
use outband_health::fleet::usage::Day;
use outband_schemas::ServerId;

/// Some days of a server that were read anew, by their dates (days since 1970, UTC).
#[derive(Debug, Clone, PartialEq)]
pub struct ServerUsage {
    /// The server.
    pub server: ServerId,
    /// Its days.
    pub days: Vec<(i32, Day)>,
}

/// How much is known of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Which day.
    pub date: i32,
    /// Hours in which anything was told.
    pub seen: u8,
    /// Hours that told the power.
    pub told: u8,
}

/// The room of what servers used. Verbs block, as those of [`crate::Store`].
pub trait Usage {
    /// Keeps these days in the place of what was known of them, and drops what these servers had before the day `keep_from`.
    fn keep_usage(&self, of: Vec<ServerUsage>, keep_from: i32) -> Result<(), StoreError>;

    /// A server's days from `from` to `to`, both included, in their order. One that cannot be read is left out, and logged.
    fn usage(&self, server: &ServerId, from: i32, to: i32) -> Result<Vec<(i32, Day)>, StoreError>;

    /// How much is known of each of these days, in their order; those of which there is no row are left out.
    fn usage_known(&self, server: &ServerId, from: i32, to: i32) -> Result<Vec<Known>, StoreError>;
}
