//! The collector's store: what agents sent, what was made of it, and the history of every sensor.
//!
//! Read in this order: [`ingest`] and [`record`] (the values that go in and out), [`store`] (the verbs), [`chunk`],
//! [`head`], [`rollup`] and [`volume`] (how history is kept), [`sqlite`] (the backend). All calls block: a caller on an async runtime uses a blocking
//! thread, or [`Store::commit_then`] with a callback.
//!
//! A body's way: `commit` puts it unopened into the ingest log, with the mark; the assess loop reads it with `log_after` and
//! gives what it made of it to `apply`, which writes all of that with the cursor. Readings go into the journal, one row per
//! `apply`, and into memory; `seal` moves finished windows of two hours from there into chunks, in a file for each week
//! ([`volume`]), and makes rows of buckets of them ([`rollup`]), in a file for each month and each year. At start the journal is
//! read back: nobody has to decode a body twice. The latest value of a sensor is the newest point in memory; the table `latest` holds those of which memory
//! holds nothing any more. Where the assessment is far behind, readings are put away ahead of it ([`putaway`]).

pub mod audit;
pub mod change;
pub mod check;
pub mod chunk;
pub mod deadline;
pub mod drift;
pub mod drill;
pub mod drives;
pub mod enrol;
pub mod erasure;
pub mod error;
pub mod fill;
pub mod grant;
pub mod head;
pub mod history;
pub mod ingest;
pub mod journal;
pub mod keeping;
pub mod maintenance;
pub mod order;
pub mod outbox;
pub mod outcome;
pub mod parts;
pub mod putaway;
pub mod query;
pub mod recall;
pub mod record;
pub mod retention;
pub mod rollup;
pub mod sqlite;
pub mod store;
pub mod threshold;
pub mod usage;
pub mod volume;

pub use error::StoreError;
pub use ingest::{
    Admission, AgentHello, AgentRecord, Committed, Epoch, IncomingBatch, KnownEntry, LaneRecord, LaneState, LogRow,
    Skipped,
};
pub use outbox::{Made, Notice, NoticeDraft, NoticeFilter, NoticeState, Outbox, Outcome, Unnoticed, Unsent};
pub use query::{EventFilter, GapFilter, HistoryFilter, Listing, Page, Scope, SeriesFilter, TicketFilter};
pub use record::{
    AgentTarget, Applied, EventRecord, GapRecord, HealthRecord, HistoryPoint, LatestReading, PartRecord, Poison,
    Poisoned, QuarantinedRow, ServerEvents, ServerGaps, ServerInventory, ServerReadings, ServerRecord, TicketRecord,
    TicketWrite,
};
pub use retention::Retention;
pub use sqlite::SqliteStore;
pub use store::{OnAdmitted, OnCommitted, Sealed, Sequence, Store};
