//! The collector's store: what agents sent, what was made of it, and the history of every sensor.
//!
//! Read in this order: [`ingest`] and [`record`] (the values that go in and out), [`store`] (the verbs), [`chunk`] and
//! [`head`] (how history is kept), `sqlite` (the backend). All calls block: a caller on an async runtime uses a blocking
//! thread, or [`Store::commit_then`] with a callback.

pub mod chunk;
pub mod error;
pub mod head;
pub mod ingest;
pub mod query;
pub mod record;
pub mod retention;
pub mod sqlite;
pub mod store;

pub use error::StoreError;
pub use ingest::{
    Admission, AgentHello, AgentRecord, Committed, Epoch, IncomingBatch, LaneRecord, LaneState, LogRow, Skipped,
};
pub use query::{EventFilter, GapFilter, HistoryFilter, Listing, Page, Scope, SeriesFilter, TicketFilter};
pub use record::{
    AgentTarget, Applied, EventRecord, GapRecord, HealthRecord, HistoryPoint, LatestReading, PartRecord, Poison,
    QuarantinedRow, ServerEvents, ServerGaps, ServerInventory, ServerReadings, ServerRecord, TicketRecord, TicketWrite,
};
pub use retention::Retention;
pub use sqlite::SqliteStore;
pub use store::{Sealed, Sequence, Store};
