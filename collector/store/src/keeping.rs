//! How long records of people and customers are kept: terms, legal holds, and what is erased on order.

use crate::audit::{Actor, Deed, Note, Sha256Hash};
use crate::error::StoreError;
use crate::retention::Limits;
use outband_schemas::{ServerId, Timestamp};
use outband_ticket::TicketNumber;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A legal hold: nothing about these servers goes, by age or on order, before somebody releases it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its number; 0: given out by the store.
    pub id: u64,
    /// What was asked to be held: `customers/{name}` or `sites/{site}`. What it stands for later is held, too.
    pub of: String,
    /// The servers that this stood for when the hold was made.
    pub servers: BTreeSet<ServerId>,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub author: String,
    /// When (the collector's clock).
    pub created_at: Timestamp,
    /// When it was released, and by whom.
    pub released: Option<(Timestamp, String)>,
    /// Grows with each change.
    pub revision: u64,
}

/// What went, or would go, because it is older than its term.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Closed tickets.
    pub tickets: Vec<TicketNumber>,
    /// Rows of other tables that are about them.
    pub rows: usize,
    /// Entries of the audit log.
    pub audit: usize,
    /// Whether there may be more: this was a portion.
    pub more: bool,
}

/// What is to be erased of a customer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomerErasure {
    /// The customer's servers.
    pub servers: BTreeSet<ServerId>,
    /// The names of the customer's people, as they stand on tickets.
    pub people: BTreeSet<String>,
    /// The records as well: closed tickets with everything about them, log entries, gaps, past incidents and history.
    pub records: bool,
    /// Tickets closed after this stay all the same: the law wants them kept for a while.
    pub keep_after: Option<Timestamp>,
    /// Only count.
    pub dry_run: bool,
}

/// What was, or would be, erased of a customer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomerErased {
    /// What stands in place of the people's names; empty on a dry run.
    pub pseudonym: String,
    /// Entries of tickets' logs that lost a name or a text.
    pub entries: usize,
    /// Entries of the audit log that lost a name.
    pub audit: usize,
    /// Notices that lost their text and their recipient.
    pub notices: usize,
    /// Tickets that went.
    pub tickets: Vec<TicketNumber>,
    /// Tickets that stay: not closed, needed by one that is not, or closed too lately.
    pub kept: Vec<TicketNumber>,
    /// Other rows that went.
    pub rows: usize,
    /// Over the logs of the tickets that went, in their order: proves later, to whoever has a copy, that it was these.
    pub proof: Sha256Hash,
}

/// The room of terms and holds.
pub trait Keeping {
    /// Makes a hold or changes one, with what is noted of it. [`StoreError::Conflict`] where the stored one is not of the revision before.
    fn put_hold(&self, hold: &Hold, note: Option<Note<Hold>>) -> Result<Hold, StoreError>;

    /// Every hold, released ones included, by number.
    fn holds(&self) -> Result<Vec<Hold>, StoreError>;

    /// Drops a portion of the closed tickets and of the audit log that are older than the limits, with an entry in the audit log that says
    /// what went. Never an open ticket nor what one refers to, nor anything about servers that are held. With `dry_run`, counts all.
    fn prune(
        &self,
        limits: &Limits,
        held: &BTreeSet<ServerId>,
        at: Timestamp,
        dry_run: bool,
    ) -> Result<Pruned, StoreError>;

    /// Erases a customer. The erasure itself is an entry of the audit log: `deed`, about the pseudonym, with what `Erased` says in numbers.
    fn erase_customer(&self, erasure: &CustomerErasure, actor: Actor, deed: Deed)
    -> Result<CustomerErased, StoreError>;
}
