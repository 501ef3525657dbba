//! What a store can do, in the words of the domain.

use crate::error::StoreError;
use crate::ingest::{Admission, AgentHello, AgentRecord, Committed, IncomingBatch, LogRow};
use crate::query::{EventFilter, GapFilter, HistoryFilter, Listing, Page, Scope, SeriesFilter, TicketFilter};
use crate::record::{
    Applied, EventRecord, GapRecord, HealthRecord, HistoryPoint, LatestReading, PartRecord, Poisoned, QuarantinedRow,
    ServerRecord, TicketRecord, TicketWrite,
};
use crate::retention::Retention;
use outband_health::Incident;
use outband_schemas::{AgentId, LogEvent, ServerId, Timestamp};
use outband_ticket::TicketNumber;
use std::sync::mpsc;

/// Numbers that the store gives out: each once, growing. One that was given out and not used is lost, which harms nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    /// Ticket numbers.
    Ticket,
    /// Numbers for server ids.
    Server,
}

/// What sealing did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Chunks written.
    pub chunks: usize,
    /// Points in them.
    pub points: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// Rows of buckets made of sealed history.
    pub rolled: usize,
}

/// The answer to a commit, given from the writer's thread.
pub type OnCommitted = Box<dyn FnOnce(Result<Committed, StoreError>) + Send>;

/// The answer to a hello, given from the writer's thread.
pub type OnAdmitted = Box<dyn FnOnce(Result<Admission, StoreError>) + Send>;

/// A store. A handle is cheap to clone; all of them are one store.
///
/// Every verb blocks until it is durable (writes) or answered (reads). Writes are atomic: all of it or nothing. Writes of
/// several callers may share one transaction; each gets its own result.
pub trait Store: Clone + Send + Sync + 'static {
    // ---- what comes in -------------------------------------------------------------------------------------------

    /// Admits an agent's stream, and fences its older ones. Calls `done` once that is durable, or refused; it must not block.
    fn hello_then(&self, hello: AgentHello, at: Timestamp, done: OnAdmitted);

    /// Like [`Store::hello_then`], waiting for the result.
    fn hello(&self, hello: &AgentHello, at: Timestamp) -> Result<Admission, StoreError> {
        let (tell, told) = mpsc::sync_channel(1);
        // The receiver waits below; it is gone only if this thread is.
        self.hello_then(hello.clone(), at, Box::new(move |result| tell.send(result).unwrap_or_default()));
        told.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Stores a batch in the ingest log and moves the mark, in one transaction. Bodies that are stored already are passed
    /// over. Calls `done` once it is durable, or refused: [`StoreError::Fenced`], [`StoreError::Jump`],
    /// [`StoreError::DifferentBody`], or [`StoreError::Unavailable`] when the agent should try again later. `done` must not
    /// block: it holds up every other writer.
    fn commit_then(&self, batch: IncomingBatch, at: Timestamp, done: OnCommitted);

    /// Like [`Store::commit_then`], waiting for the result.
    fn commit(&self, batch: IncomingBatch, at: Timestamp) -> Result<Committed, StoreError> {
        let (tell, told) = mpsc::sync_channel(1);
        self.commit_then(
            batch,
            at,
            Box::new(move |result| {
                // The receiver waits below; it is gone only if this thread is.
                tell.send(result).unwrap_or_default();
            }),
        );
        told.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Notes that an agent is alive. A commit notes it too.
    fn heard(&self, agent: &AgentId, at: Timestamp) -> Result<(), StoreError>;

    /// All agents, by name.
    fn agents(&self) -> Result<Vec<AgentRecord>, StoreError>;

    /// Has `wake` called, from the writer's thread, after each transaction that put rows into the ingest log. `wake` must
    /// not block.
    fn on_commit(&self, wake: Box<dyn Fn() + Send + Sync>);

    // ---- what is made of it --------------------------------------------------------------------------------------

    /// Ingest-log rows after `after`, oldest first, at most `max_rows` of them and about 4 MiB of bodies.
    fn log_after(&self, after: i64, max_rows: usize) -> Result<Vec<LogRow>, StoreError>;

    /// Ingest-log rows of the event lane that were not applied, oldest first, wherever the cursor is; as many as of [`Store::log_after`].
    fn urgent(&self, max_rows: usize) -> Result<Vec<LogRow>, StoreError>;

    /// The last ingest-log row that was applied; 0 for none.
    fn cursor(&self) -> Result<i64, StoreError>;

    /// Which of these log entries of a server are stored already, in their order.
    fn known_events(&self, server: &ServerId, events: &[LogEvent]) -> Result<Vec<bool>, StoreError>;

    /// Writes what was made of rows up to `applied.through`, with the cursor, in one transaction. Fails as a whole:
    /// [`StoreError::Conflict`] when a ticket was changed since it was read or the cursor is already there.
    fn apply(&self, applied: Applied, at: Timestamp) -> Result<(), StoreError>;

    /// Gives out the next number of a sequence.
    fn reserve(&self, sequence: Sequence) -> Result<u64, StoreError>;

    /// Incidents that have not ended, whatever their stage, by server, component and fault.
    fn open_incidents(&self) -> Result<Vec<Incident>, StoreError>;

    /// Agents of whose bodies some were kept apart since then, by name.
    fn poisoned(&self, since: Timestamp) -> Result<Vec<Poisoned>, StoreError>;

    /// Bodies that could not be understood, oldest first.
    fn quarantined(&self, page: &Page) -> Result<Listing<QuarantinedRow>, StoreError>;

    // ---- tickets -------------------------------------------------------------------------------------------------

    /// One ticket.
    fn ticket(&self, number: TicketNumber) -> Result<Option<TicketRecord>, StoreError>;

    /// Tickets, newest first; with `changed_after`, in the order of their changes.
    fn tickets(&self, filter: &TicketFilter, page: &Page) -> Result<Listing<TicketRecord>, StoreError>;

    /// Every ticket that is not closed (resolved ones included), by number.
    fn open_tickets(&self) -> Result<Vec<TicketRecord>, StoreError>;

    /// Changes one ticket. [`StoreError::Conflict`] where it is no longer at `write.expected_revision`.
    fn update_ticket(&self, write: TicketWrite) -> Result<TicketRecord, StoreError>;

    // ---- what operators ask --------------------------------------------------------------------------------------

    /// One server, a merged one too.
    fn server(&self, id: &ServerId) -> Result<Option<ServerRecord>, StoreError>;

    /// Servers by id, of one site or of all; merged ones are left out.
    fn servers(&self, site: Option<&outband_schemas::SiteId>, page: &Page)
    -> Result<Listing<ServerRecord>, StoreError>;

    /// The parts of a server by place, those that were replaced included.
    fn parts(&self, server: &ServerId) -> Result<Vec<PartRecord>, StoreError>;

    /// The newest value of each sensor, by server, component, kind and sensor.
    fn latest(&self, filter: &SeriesFilter, page: &Page) -> Result<Listing<LatestReading>, StoreError>;

    /// History. Pages go from sensor to sensor (in the order in which they were first seen), each oldest first.
    fn history(&self, filter: &HistoryFilter, page: &Page) -> Result<Listing<HistoryPoint>, StoreError>;

    /// Log entries, newest first in the order in which they came.
    fn events(&self, filter: &EventFilter, page: &Page) -> Result<Listing<EventRecord>, StoreError>;

    /// Gaps, newest first in the order in which they were first noticed.
    fn gaps(&self, filter: &GapFilter, page: &Page) -> Result<Listing<GapRecord>, StoreError>;

    /// The health of one thing.
    fn health(&self, scope: &Scope) -> Result<Option<HealthRecord>, StoreError>;

    /// Health by name. `parent` `None`: every site and every server; a site: its servers; a server: its components.
    fn healths(&self, parent: Option<&Scope>, page: &Page) -> Result<Listing<HealthRecord>, StoreError>;

    // ---- upkeep --------------------------------------------------------------------------------------------------

    /// Writes every finished window of history as a chunk, and makes the buckets of days and months that are over. A reading
    /// that comes later merges into its chunk, and its buckets are made again, the next time.
    fn seal(&self, now: Timestamp) -> Result<Sealed, StoreError>;

    /// Drops what is older than `retention`. Never drops an ingest-log row that was not applied.
    fn expire(&self, now: Timestamp, retention: &Retention) -> Result<(), StoreError>;

    /// What is wrong with what is stored, as far as it was looked at: a large store is checked while it is used.
    fn damage(&self) -> Option<String>;

    /// Ends the writer after what is queued, and folds the write-ahead log into the file. Later calls answer
    /// [`StoreError::Closed`].
    fn close(&self) -> Result<(), StoreError>;
}
