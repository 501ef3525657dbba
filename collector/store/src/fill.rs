//! How full everything is that can fill up.

use crate::error::StoreError;

/// What waits, and what it takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filling {
    /// Bytes of the main file.
    pub main_bytes: u64,
    /// Of them, bytes that are free for the next rows: what was dropped leaves them behind.
    pub free_bytes: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Rows of the ingest log, as far as its numbers tell.
    pub log_rows: u64,
    /// Of them, those that wait to be assessed.
    pub waiting_rows: u64,
    /// Bytes of the bodies that wait. `None` where there are too many to add them up.
    pub waiting_bytes: Option<u64>,
    /// Readings in memory, not sealed yet.
    pub head_points: u64,
    /// The bytes of memory that they take.
    pub head_bytes: u64,
    /// With more bytes than these, sealing does not wait.
    pub max_head_bytes: u64,
    /// Commits and hellos of agents that wait for the writer.
    pub queued: u64,
    /// Transactions that were made durable since the start.
    pub commits: u64,
    /// Bodies that could not be understood.
    pub quarantined: u64,
    /// Notices that are to be sent.
    pub unsent: u64,
}

/// The room of figures of the store itself.
pub trait Fill {
    /// How full it is now.
    fn filling(&self) -> Result<Filling, StoreError>;
}
