//! What falls due when: the index of deadlines, the revisions of policies and the collector's own time.

use crate::error::StoreError;
use crate::record::TicketWrite;
use outband_schemas::Timestamp;
use outband_ticket::{SlaPolicy, TicketNumber};
use std::collections::BTreeMap;

/// How far the index of deadlines goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Indexed {
    /// The last ticket change that it knows; 0: none.
    pub change: i64,
    /// A print of the promises by which it was computed.
    pub terms: String,
}

/// What was found when a ticket was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The ticket.
    pub ticket: TicketNumber,
    /// When something next falls due for it; `None`: nothing.
    pub next: Option<Timestamp>,
    /// What fell due, as entries of its log.
    pub write: Option<TicketWrite>,
}

/// The collector's time as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTime {
    /// The collector's time.
    pub at: Timestamp,
    /// Milliseconds since the machine started, at the same moment.
    pub boot: i64,
    /// Which start of the machine.
    pub boot_id: String,
}

/// A store that knows what falls due.
pub trait Deadlines {
    /// How far the index goes.
    fn indexed(&self) -> Result<Indexed, StoreError>;

    /// Tickets for which something is due by `now`, the longest overdue first, at most `max`.
    fn due(&self, now: Timestamp, max: usize) -> Result<Vec<TicketNumber>, StoreError>;

    /// Writes what was found of some tickets, and how far the index goes now, in one transaction. A ticket that was changed
    /// meanwhile is left as it is and answered.
    fn settle(&self, found: Vec<Settled>, indexed: Option<Indexed>) -> Result<Vec<TicketNumber>, StoreError>;

    /// When something next falls due for each of these tickets, as the index has it; one for which nothing does is left out.
    fn next_due(&self, tickets: &[TicketNumber]) -> Result<BTreeMap<TicketNumber, Timestamp>, StoreError>;

    /// Every revision of every policy with the time from which it is kept, by name and revision.
    fn policies(&self) -> Result<Vec<(Timestamp, SlaPolicy)>, StoreError>;

    /// Keeps a revision of a policy from then on. One that is kept already is never changed: [`StoreError::Conflict`].
    fn keep_policy(&self, policy: &SlaPolicy, since: Timestamp) -> Result<(), StoreError>;

    /// The collector's time as it was last kept.
    fn kept_time(&self) -> Result<Option<KeptTime>, StoreError>;

    /// Keeps the collector's time.
    fn keep_time(&self, time: KeptTime) -> Result<(), StoreError>;
}
