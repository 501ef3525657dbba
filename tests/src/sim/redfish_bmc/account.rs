//! What was asked and what it cost.

use super::locked;
use crate::sim::https::Call;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A request and its answer.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, …
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// The answer's status; `None`: no answer yet, or never.
    pub status: Option<u16>,
    /// Bytes of the answer's body.
    pub bytes: usize,
    /// How long the model says that it takes, without waiting for its turn. See [`super::Options::latency`].
    pub modelled: Duration,
    /// Resources put into the answer by `$expand`.
    pub expanded: usize,
    /// The TCP connection, from 1 on.
    pub connection: u64,
    /// When it came.
    pub at: Instant,
}

/// Sums over the requests since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests.
    pub requests: usize,
    /// Bytes of all bodies.
    pub bytes: usize,
    /// Answers with status 304.
    pub not_modified: usize,
    /// How long all of them take one after another, by the model.
    pub modelled: Duration,
    /// The longest of them.
    pub longest: Duration,
    /// The most requests in flight at once, streams among them.
    pub max_in_flight: u64,
    /// TCP connections taken.
    pub connections: u64,
    /// The most TCP connections at once.
    pub max_connections: u64,
    /// Sessions opened.
    pub logins: u64,
    /// Logins refused for their user or password, with Basic as well.
    pub failed_logins: u64,
    /// Sessions open now.
    pub open_sessions: usize,
    /// Event streams open now.
    pub streams: usize,
    /// Events that subscribers took.
    pub delivered: u64,
}

#[derive(Debug, Default)]
pub(super) struct Account {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// Number of the first one kept.
    first: usize,
    requests: Vec<Request>,
}

impl Account {
    /// Writes a request down; the number by which its answer is added.
    pub(super) fn begin(&self, call: &Call) -> usize {
        let mut book = locked(&self.book);
        book.requests.push(Request {
            method: call.method.clone(),
            uri: call.uri(),
            status: None,
            bytes: 0,
            modelled: Duration::ZERO,
            expanded: 0,
            connection: call.connection,
            at: Instant::now(),
        });
        book.first + book.requests.len() - 1
    }

    /// Adds what became of it.
    pub(super) fn note(&self, number: usize, note: impl FnOnce(&mut Request)) {
        let mut book = locked(&self.book);
        let at = number.checked_sub(book.first);
        if let Some(request) = at.and_then(|at| book.requests.get_mut(at)) {
            note(request);
        }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        locked(&self.book).requests.clone()
    }

    pub(super) fn forget(&self) {
        let mut book = locked(&self.book);
        book.first += book.requests.len();
        book.requests.clear();
    }
}
