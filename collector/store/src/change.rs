//! What changed in a server, beside the parts themselves; and how wrong its BMC's clock is.

use crate::StoreError;
use outband_schemas::{ComponentId, ServerId, Timestamp};

/// A part that stayed in its place and got another firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareChange {
    /// The place.
    pub component: ComponentId,
    /// The part's serial, where it has one.
    pub serial: Option<String>,
    /// When the new version was first seen (the agent's clock).
    pub at: Timestamp,
    /// The version before.
    pub was: String,
    /// The version since.
    pub now: String,
}

/// How far a BMC's clock is ahead of the agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BmcClock {
    /// Where in the BMC that was read.
    pub source: String,
    /// From when on (the agent's clock); before the first of a source nothing else is known than that.
    pub at: Timestamp,
    /// By so many milliseconds; negative: it is behind.
    pub offset_ms: i64,
}

/// What was written down of changes when inventories came.
pub trait Changes {
    /// The changes of firmware in a server, oldest first.
    fn firmware_changes(&self, server: &ServerId) -> Result<Vec<FirmwareChange>, StoreError>;

    /// How wrong the clocks of a server's BMC were, by source, oldest first.
    fn bmc_clocks(&self, server: &ServerId) -> Result<Vec<BmcClock>, StoreError>;
}
