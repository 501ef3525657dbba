//! What the assessment has to know again after a restart, and what views need to know of incidents that are over.

use crate::StoreError;
use outband_health::Incident;
use outband_schemas::{ServerId, Timestamp};
use outband_ticket::TicketNumber;

/// The firmware of a server's BMC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BmcFirmware {
    /// The server.
    pub server: ServerId,
    /// The server's model, as the BMC gives it; empty where it does not.
    pub model: String,
    /// The version.
    pub version: String,
    /// When it was seen to have changed (the agent's clock); `None`: it was like that from the first.
    pub since: Option<Timestamp>,
}

/// Reads what was. Verbs block, as those of [`crate::Store`].
pub trait Recall {
    /// Incidents that ended at `since` or later, oldest first.
    fn ended_incidents(&self, since: Timestamp) -> Result<Vec<Incident>, StoreError>;

    /// The incidents that a ticket was opened for, oldest first; of a storm's ticket, its cause.
    fn incidents_of(&self, ticket: TicketNumber) -> Result<Vec<Incident>, StoreError>;

    /// The firmware of every server's BMC, by server.
    fn bmc_firmwares(&self) -> Result<Vec<BmcFirmware>, StoreError>;
}
