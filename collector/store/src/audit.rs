//! Who did what: an append-only log in which each entry carries the hash of the one before; and the answers to requests that
//! carried an id, so that one that comes twice is done once.

use crate::error::StoreError;
use crate::query::{Listing, Page};
use crate::record::{TicketRecord, TicketWrite};
use outband_schemas::Timestamp;
use outband_ticket::TicketNumber;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How long the answer to a request with an id is kept.
pub const ANSWERS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A SHA-256 hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sha256Hash(pub [u8; 32]);

impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Who did it, and from where. Can be erased later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The name of the token, or `collector`.
    pub name: String,
    /// The address of the connection, where there is one.
    pub peer: Option<String>,
}

/// Whether something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was.
    Done,
    /// Whoever asked may not.
    Denied,
}

impl Outcome {
    /// The word used on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
        }
    }
}

/// What was done, without who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When (the collector's clock).
    pub at: Timestamp,
    /// The role of whoever did it.
    pub role: String,
    /// The method, e.g. `outband.ticket.v1.TicketService/TransitionTicket`.
    pub method: String,
    /// What it was done to, e.g. `tickets/12`; empty: nothing in particular.
    pub resource: String,
    /// In a few words, without names of people.
    pub detail: String,
    /// Whether it was done.
    pub outcome: Outcome,
    /// The id of the request, where it had one.
    pub request_id: Option<String>,
    /// The etag before.
    pub before: Option<String>,
    /// The etag after.
    pub after: Option<String>,
}

/// What is kept of a change in the transaction that makes it: neither is there without the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// Who made it.
    pub actor: Actor,
    /// What was done.
    pub deed: Deed,
    /// What is answered to the request, where it has an id.
    pub answer: Option<Answer>,
}

/// Says what is kept of a change, by what was stored: only then a new row has its number.
pub type Note<T> = Box<dyn FnOnce(&T) -> Noted + Send>;

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place, from 1.
    pub seq: i64,
    /// Who did it.
    pub actor: Actor,
    /// What.
    pub deed: Deed,
    /// Over this entry and all before it.
    pub hash: Sha256Hash,
}

/// An entry as it was hashed: with it, anybody can redo the sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Its place.
    pub seq: i64,
    /// The hash of the entry before it.
    pub before: Sha256Hash,
    /// What was hashed after that hash and the place (8 bytes, the highest first).
    pub body: String,
    /// The SHA-256 of these.
    pub hash: Sha256Hash,
    /// With this before it and a zero byte between them, name and address have the SHA-256 that stands in the body as `actor`. `None`: erased.
    pub salt: Option<Vec<u8>>,
    /// Who did it.
    pub actor: Actor,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// It is not there; the one after it is.
    Missing,
    /// It is not what was written, or the one before it is not.
    Changed,
    /// Who it was is not what was written, and was not erased either.
    Actor,
}

impl Wrong {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Actor => "its actor was changed",
        }
    }
}

/// The log as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// How many entries are as they were written.
    pub entries: i64,
    /// The hash of the last of them: kept elsewhere, it shows later that nothing was cut off, nor the whole written anew.
    pub head: Sha256Hash,
    /// The first that is not, if any.
    pub broken: Option<(i64, Wrong)>,
}

/// The answer to a request that carried an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The id.
    pub request_id: String,
    /// Of the request: another one under the same id is a mistake.
    pub digest: Sha256Hash,
    /// What was answered.
    pub body: Vec<u8>,
}

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only of this person.
    pub who: Option<String>,
    /// Only of this resource.
    pub resource: Option<String>,
}

/// What was, or would be, erased of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    /// The name that stands in place of the person's; empty on a dry run.
    pub pseudonym: String,
    /// Entries of tickets' logs in which the name stood as that of whoever did something or has something.
    pub entries: usize,
    /// Entries of the audit log.
    pub audit: usize,
    /// Notices, temporary accesses, windows and whatever else people decided.
    pub others: usize,
    /// The tickets in whose texts the name still stands, as somebody wrote it. Only a person can tell whether it is one.
    pub mentions: Vec<TicketNumber>,
}

/// The room of the audit log.
pub trait Audit {
    /// Appends an entry; answers its place.
    fn audit(&self, actor: Actor, deed: Deed) -> Result<i64, StoreError>;

    /// Appends an entry, with the answer to be remembered in the same transaction. [`StoreError::Conflict`] where the request
    /// was answered already.
    fn audit_answer(&self, actor: Actor, deed: Deed, answer: Option<Answer>) -> Result<i64, StoreError>;

    /// Remembers the answer to a request of this person.
    fn remember(&self, who: &str, answer: Answer, at: Timestamp) -> Result<(), StoreError>;

    /// Entries, newest first.
    fn audited(&self, filter: &AuditFilter, page: &Page) -> Result<Listing<AuditEntry>, StoreError>;

    /// One entry as it was hashed.
    fn audit_proof(&self, seq: i64) -> Result<Option<Proof>, StoreError>;

    /// Walks the whole log. With `until`, the log as it was when that was its last entry.
    fn verify_audit(&self, until: Option<i64>) -> Result<Chain, StoreError>;

    /// Like [`crate::Store::update_ticket`], with the entry that says who did it and the answer to be remembered in the same
    /// transaction. [`StoreError::Conflict`] also where the request was answered already.
    fn change_ticket(
        &self,
        write: TicketWrite,
        actor: Actor,
        deed: Deed,
        answer: Option<Answer>,
    ) -> Result<TicketRecord, StoreError>;

    /// Puts a pseudonym, the same everywhere, in place of a person's name in all tickets and in the audit log, whose chain
    /// stays whole; forgets the addresses and the remembered answers. With `dry_run`, only counts. The erasure itself is
    /// an entry of the audit log: `deed`, about the pseudonym.
    fn erase_person(&self, name: &str, actor: Actor, deed: Deed, dry_run: bool) -> Result<Erased, StoreError>;

    /// What was answered to a request of this person, within [`ANSWERS_KEPT`].
    fn answered(&self, who: &str, request_id: &str, now: Timestamp) -> Result<Option<Answer>, StoreError>;
}
