//! Temporary accesses: who may look at, or work on, one ticket for a while.
//!
//! A grant is a record, its changes are entries of the ticket's log and of the audit log; all of a change is one transaction.

use crate::StoreError;
use crate::audit::{Actor, Deed, Sha256Hash};
use crate::record::TicketWrite;
use outband_schemas::Timestamp;
use outband_ticket::TicketNumber;
use serde::{Deserialize, Serialize};

/// Why a grant is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantEnd {
    /// Its time was up.
    Expired,
    /// Somebody ended it.
    Revoked,
    /// Its ticket was closed.
    TicketClosed,
}

impl GrantEnd {
    /// The word used on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::TicketClosed => "ticket_closed",
        }
    }
}

/// Somebody's temporary access to one ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its number; 0: given out by the store.
    pub id: u64,
    /// The ticket.
    pub ticket: TicketNumber,
    /// Who has it.
    pub holder: String,
    /// With the rights of which role, as far as the ticket goes: `viewer` or `engineer`.
    pub role: String,
    /// How it was made sure that they are who they say: e.g. called back under a number of the contact book, staff number.
    pub verified: String,
    /// What for.
    pub reason: String,
    /// Who gave it.
    pub granted_by: String,
    /// When (the collector's clock).
    pub granted_at: Timestamp,
    /// Until when at most.
    pub until: Timestamp,
    /// When and why it ended; `None`: it is open.
    pub ended: Option<(Timestamp, GrantEnd)>,
    /// Whether somebody was reminded of it when the ticket was resolved.
    #[serde(default)]
    pub reminded: bool,
}

/// A change of a grant, with what has to be written together with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantWrite {
    /// The grant as it shall stand.
    pub grant: Grant,
    /// The entry in the ticket's log.
    pub ticket: TicketWrite,
    /// Who did it.
    pub actor: Actor,
    /// What, for the audit log.
    pub deed: Deed,
}

/// Keeps temporary accesses. Verbs block, as those of [`crate::Store`].
pub trait Grants {
    /// Gives out the number that a new grant is to have.
    fn reserve_grant(&self) -> Result<u64, StoreError>;

    /// Writes a new grant. `digest`: of its token.
    fn add_grant(&self, write: GrantWrite, digest: Sha256Hash) -> Result<(), StoreError>;

    /// Writes a grant that was open until now. [`StoreError::Conflict`] where it has ended meanwhile, or its ticket moved on.
    fn change_grant(&self, write: GrantWrite) -> Result<(), StoreError>;

    /// One grant.
    fn grant(&self, id: u64) -> Result<Option<Grant>, StoreError>;

    /// Grants by number: of one ticket or of all; with `all`, those too that are over.
    fn grants(&self, ticket: Option<TicketNumber>, all: bool) -> Result<Vec<Grant>, StoreError>;

    /// The open grants, each with the digest of its token: what the door has to know.
    fn open_grants(&self) -> Result<Vec<(Grant, Sha256Hash)>, StoreError>;
}
