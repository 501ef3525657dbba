//! The thread that owns the spool, and the handle by which tasks speak to it.
//!
//! Appends that wait at the same moment are kept in one transaction: a disk that forces in 10 ms still takes thousands of polls a second.

mod service;
#[cfg(test)]
mod tests;

use outband_schemas::{Clock, Lane, SpoolId, Timestamp};
use outband_spool as spool;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Why a request to the spool failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The spool says so. After [`spool::Error::Full`] keep the bodies and try again later: nothing was written.
    #[error(transparent)]
    Spool(#[from] spool::Error),
    /// The file was damaged and a new spool begun: what was asked makes no sense there. Look at [`Spooler::held`] again.
    #[error("the spool was replaced by a new one")]
    Replaced,
    /// The thread has ended.
    #[error("the spool is closed")]
    Closed,
    /// The thread could not be started.
    #[error("the spool's thread cannot be started: {0}")]
    Thread(std::io::Error),
}

impl Error {
    /// Whether there was no room, or the disk takes nothing (read-only after an error, input/output errors): try the same again later.
    pub fn is_full(&self) -> bool {
        matches!(self, Error::Spool(spool::Error::Full { .. } | spool::Error::Sqlite { .. }))
    }
}

/// What [`Spooler::start`] needs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The spool file. Its directory must be there.
    pub path: PathBuf,
    /// Quota and keeping.
    pub spool: spool::Options,
    /// At least so long from one transaction of appends to the next: where appends come thick, those of that time share one sync of the disk. Zero: each goes at
    /// once, with those that came during the one before.
    pub gather: Duration,
}

/// What is to be sent: one body, i.e. one encoded observation set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The bytes, as `outband_proto::convert::encode_set` makes them.
    pub bytes: Vec<u8>,
    /// When the poll began (the agent's clock).
    pub at: Timestamp,
}

/// What the spool holds, as [`Spooler::held`] tells it after every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// To what the sequence numbers belong.
    pub id: SpoolId,
    /// Both lanes.
    pub lanes: spool::Lanes,
}

/// What [`Spooler::start`] found on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file is new.
    pub fresh: bool,
    /// A damaged file was moved here.
    pub set_aside: Option<PathBuf>,
}

/// A handle to the spool. Cheap to clone; when the last one is dropped, the file is closed.
#[derive(Debug, Clone)]
pub struct Spooler {
    requests: mpsc::Sender<Request>,
    held: watch::Receiver<Held>,
}

/// Key and bytes.
type Bookmark = (String, Vec<u8>);
type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What the thread is asked.
#[derive(Debug)]
enum Request {
    Append { lane: spool::Lane, entries: Vec<spool::Entry>, bookmarks: Vec<Bookmark>, reply: Reply<()> },
    Bookmark { key: String, reply: Reply<Option<Vec<u8>>> },
    Peek { id: SpoolId, lane: spool::Lane, after: i64, max_bytes: usize, reply: Reply<spool::Peek> },
    Release { id: SpoolId, lane: spool::Lane, through: i64, reply: Reply<()> },
    OrderSeen { id: String, reply: Reply<bool> },
    OrdersUnanswered { reply: Reply<Vec<String>> },
    Renew { id: SpoolId, reply: Reply<()> },
}

impl Spooler {
    /// Opens the spool, on a thread of its own that runs until the last handle is dropped; join it to be sure that the file is closed. `new_id` brings 128
    /// random bits whenever a new file is begun. Blocks while the file is opened.
    pub fn start(
        options: Options,
        clock: impl Clock + Send + 'static,
        new_id: impl FnMut() -> u128 + Send + 'static,
    ) -> Result<(Self, Found, std::thread::JoinHandle<()>), Error> {
        let (spooler, found, service) = Self::open(options, clock, new_id)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(Error::Thread)?;
        let thread = std::thread::Builder::new().name("spool".to_owned()).spawn(move || runtime.block_on(service));
        Ok((spooler, found, thread.map_err(Error::Thread)?))
    }

    /// Like [`Spooler::start`], for whoever runs the service himself: it ends when the last handle is dropped, and blocks whatever runs it while the disk
    /// works.
    pub fn open(
        options: Options,
        clock: impl Clock + Send + 'static,
        new_id: impl FnMut() -> u128 + Send + 'static,
    ) -> Result<(Self, Found, impl Future<Output = ()> + Send + 'static), Error> {
        service::open(options, clock, new_id)
    }

    /// Keeps bodies and sets bookmarks, all or nothing. Returns once they are on the disk.
    pub async fn append(&self, lane: Lane, bodies: Vec<Body>, bookmarks: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        let entries = bodies.into_iter().map(|b| spool::Entry { body: b.bytes, at_ms: b.at.as_millis() }).collect();
        self.ask(|reply| Request::Append { lane: lane_of(lane), entries, bookmarks, reply }).await
    }

    /// The bookmark of a key; `None` where none was ever set, or where it was lost with the file.
    pub async fn bookmark(&self, key: impl Into<String>) -> Result<Option<Vec<u8>>, Error> {
        let key = key.into();
        self.ask(|reply| Request::Bookmark { key, reply }).await
    }

    /// What is held, told again after every change.
    pub fn held(&self) -> watch::Receiver<Held> {
        self.held.clone()
    }

    /// What comes after `after` in spool `id`; see [`spool::Spool::peek`].
    pub async fn peek(&self, id: SpoolId, lane: Lane, after: i64, max_bytes: usize) -> Result<spool::Peek, Error> {
        self.ask(|reply| Request::Peek { id, lane: lane_of(lane), after, max_bytes, reply }).await
    }

    /// The collector has everything of spool `id` through `through`.
    pub async fn release(&self, id: SpoolId, lane: Lane, through: i64) -> Result<(), Error> {
        self.ask(|reply| Request::Release { id, lane: lane_of(lane), through, reply }).await
    }

    /// Remembers an order's id on the disk; returns whether it was seen before.
    pub async fn order_seen(&self, id: impl Into<String>) -> Result<bool, Error> {
        let id = id.into();
        self.ask(|reply| Request::OrderSeen { id, reply }).await
    }

    /// Orders that were remembered and not answered.
    pub async fn orders_unanswered(&self) -> Result<Vec<String>, Error> {
        self.ask(|reply| Request::OrdersUnanswered { reply }).await
    }

    /// Gives spool `id` a new id; see [`spool::Spool::renew`]. Nothing happens where it has another id already.
    pub async fn renew(&self, id: SpoolId) -> Result<(), Error> {
        self.ask(|reply| Request::Renew { id, reply }).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

/// The spool's word for a lane.
pub fn lane_of(lane: Lane) -> spool::Lane {
    match lane {
        Lane::Event => spool::Lane::Event,
        Lane::Telemetry => spool::Lane::Telemetry,
    }
}
