//! A durable FIFO of opaque bytes in one SQLite file. It knows nothing of what the bytes mean, holds no clock and no dice: times and random bits are
//! arguments.
//!
//! Promises, and how each is kept:
//!
//! - What [`Spool::append`] returned from is on the disk: WAL with `synchronous=FULL`, one transaction for entries and bookmarks.
//! - What [`Spool::peek`] hands out is what was appended: CRC32C over lane, sequence, time and body. A bit flip in the main file passes SQLite unseen.
//! - A sequence number never means two things: it belongs to a [`Spool::id`], and whatever could make numbers repeat (a file set aside, commits lost with
//!   a damaged WAL) leads to a new id.
//! - Nothing goes missing in silence: every number that can no longer be handed out is told as [`Skipped`], with the reason and the span of time.
//! - The file has a bound: beyond the quota the oldest released entries go, then the oldest telemetry. Events are never evicted. A full disk is such a bound, too.
//!
//! Read in this order: this file (types), [`open`](Spool::open), `append`, `peek`, `keep` (release, quota, age).

mod append;
mod crc;
mod error;
mod keep;
mod open;
mod orders;
mod peek;
mod renew;
mod spare;

pub use append::Append;
pub use crc::of_body as body_crc32c;
pub use error::Error;
pub use orders::answered as order_answered;

use std::path::PathBuf;

/// One of the two queues, each with its own sequence beginning at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Few and urgent; never evicted.
    Event,
    /// Many; the oldest give way when the quota is reached.
    Telemetry,
}

impl Lane {
    /// Both lanes, the urgent one first.
    pub const ALL: [Lane; 2] = [Lane::Event, Lane::Telemetry];

    pub(crate) fn number(self) -> i64 {
        match self {
            Lane::Event => 1,
            Lane::Telemetry => 2,
        }
    }

    pub(crate) fn table(self) -> &'static str {
        match self {
            Lane::Event => "event_entry",
            Lane::Telemetry => "telemetry_entry",
        }
    }
}

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes of the file in use beyond which the oldest entries give way. Pages that are free do not count.
    pub quota_bytes: u64,
    /// How long released entries are kept, in milliseconds, so that a collector restored from a backup can get them again.
    pub keep_released_ms: i64,
    /// Bytes that lie ready in a file beside the spool for the day on which the disk is full: without them, not even an eviction could be written. 0: none.
    pub spare_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { quota_bytes: 1 << 30, keep_released_ms: 24 * 3600 * 1000, spare_bytes: 0 }
    }
}

/// Bytes to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The bytes.
    pub body: Vec<u8>,
    /// When what they tell was seen, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// What [`Spool::peek`] found after a sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek {
    /// Entries that will never come; reaches from the number asked after to `first_seq` exactly.
    pub skipped: Option<Skipped>,
    /// The sequence of the first body; where there is none, of the one that would be next.
    pub first_seq: i64,
    /// Consecutive bodies. May be empty although there is more, after a `skipped`.
    pub bodies: Vec<Vec<u8>>,
}

/// Consecutive entries that can no longer be handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// The first of them.
    pub first: i64,
    /// The last of them.
    pub last: i64,
    /// Why.
    pub reason: SkipReason,
    /// The time of the oldest of them, in milliseconds since the Unix epoch, as far as it is known.
    pub from_ms: i64,
    /// The time of the newest of them.
    pub to_ms: i64,
}

/// Why an entry can no longer be handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// It gave way to newer ones before it was released.
    Evicted,
    /// It was released and its time was up.
    Released,
    /// Its bytes are not those that were appended, or it was in a file that had to be set aside.
    Corrupt,
}

impl SkipReason {
    pub(crate) fn number(self) -> i64 {
        match self {
            SkipReason::Evicted => 1,
            SkipReason::Released => 2,
            SkipReason::Corrupt => 3,
        }
    }

    pub(crate) fn from_number(number: i64) -> Self {
        match number {
            1 => SkipReason::Evicted,
            2 => SkipReason::Released,
            _ => SkipReason::Corrupt,
        }
    }
}

/// What one lane holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneState {
    /// The oldest entry held, released ones included; `next` where there is none.
    pub oldest: i64,
    /// The sequence of the entry to be appended next.
    pub next: i64,
    /// Everything through this was released; 0: nothing.
    pub released: i64,
}

/// Both lanes, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes {
    /// The event lane.
    pub event: LaneState,
    /// The telemetry lane.
    pub telemetry: LaneState,
}

impl Lanes {
    /// One of them.
    pub fn get(&self, lane: Lane) -> LaneState {
        match lane {
            Lane::Event => self.event,
            Lane::Telemetry => self.telemetry,
        }
    }

    pub(crate) fn get_mut(&mut self, lane: Lane) -> &mut LaneState {
        match lane {
            Lane::Event => &mut self.event,
            Lane::Telemetry => &mut self.telemetry,
        }
    }
}

/// An open spool file. One process at a time: the file is locked.
#[derive(Debug)]
pub struct Spool {
    connection: rusqlite::Connection,
    path: PathBuf,
    options: Options,
    id: u128,
    lanes: Lanes,
    spare: spare::Spare,
}

/// What [`Spool::open`] found.
#[derive(Debug)]
pub struct Opened {
    /// The spool.
    pub spool: Spool,
    /// Whether the file is new: nothing was there, or what was there is set aside.
    pub fresh: bool,
    /// Where the unreadable file is now. What it still held unreleased is lost to the spool, and told as [`SkipReason::Corrupt`].
    pub set_aside: Option<PathBuf>,
}

impl Spool {
    /// The spool's id: sequence numbers belong to it.
    pub fn id(&self) -> u128 {
        self.id
    }

    /// What the lanes hold.
    pub fn lanes(&self) -> Lanes {
        self.lanes
    }
}
