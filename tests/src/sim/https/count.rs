//! How many connections and requests there are, and were at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that rises and falls, and the highest that it was.
#[derive(Debug, Default)]
struct Gauge {
    ever: AtomicU64,
    now: AtomicU64,
    most: AtomicU64,
}

/// What is and was open at a server.
#[derive(Debug, Default)]
pub struct Connections {
    connections: Arc<Gauge>,
    requests: Arc<Gauge>,
}

impl Connections {
    /// TCP connections taken so far.
    pub fn ever(&self) -> u64 {
        self.connections.ever.load(Ordering::Relaxed)
    }

    /// TCP connections open now.
    pub fn now(&self) -> u64 {
        self.connections.now.load(Ordering::Relaxed)
    }

    /// The most TCP connections that were open at once.
    pub fn most(&self) -> u64 {
        self.connections.most.load(Ordering::Relaxed)
    }

    /// Requests whose answer has not wholly gone out, streams among them.
    pub fn in_flight(&self) -> u64 {
        self.requests.now.load(Ordering::Relaxed)
    }

    /// The most requests in flight at once.
    pub fn most_in_flight(&self) -> u64 {
        self.requests.most.load(Ordering::Relaxed)
    }

    /// Forgets what was; what is open stays counted as open.
    pub fn forget(&self) {
        for gauge in [&self.connections, &self.requests] {
            let now = gauge.now.load(Ordering::Relaxed);
            gauge.ever.store(now, Ordering::Relaxed);
            gauge.most.store(now, Ordering::Relaxed);
        }
    }

    pub(super) fn opened(&self) -> Held {
        Held::new(&self.connections)
    }

    pub(super) fn asked(&self) -> Held {
        Held::new(&self.requests)
    }
}

/// Counts as open until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    gauge: Arc<Gauge>,
    number: u64,
}

impl Held {
    fn new(gauge: &Arc<Gauge>) -> Self {
        let number = gauge.ever.fetch_add(1, Ordering::Relaxed) + 1;
        let now = gauge.now.fetch_add(1, Ordering::Relaxed) + 1;
        gauge.most.fetch_max(now, Ordering::Relaxed);
        Self { gauge: Arc::clone(gauge), number }
    }

    /// Which one it is, from 1 on.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.now.fetch_sub(1, Ordering::Relaxed);
    }
}
