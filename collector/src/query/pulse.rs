//! Tells watchers that something changed. It does not say what: a watcher reads anew and sends what is different, so that one
//! that lags misses nothing but intermediate states.

use std::time::Duration;
use tokio::sync::watch;

/// Changes within this time are told together.
const SETTLE: Duration = Duration::from_millis(250);

/// The sender. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pulse {
    beats: watch::Sender<u64>,
    settled: watch::Sender<bool>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { beats: watch::Sender::new(0), settled: watch::Sender::new(false) }
    }
}

/// One watcher's ear.
#[derive(Debug)]
pub struct Ear {
    beats: watch::Receiver<u64>,
}

impl Pulse {
    /// Something changed.
    pub fn beat(&self) {
        self.beats.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// What the store held at start was assessed.
    pub fn settle(&self) {
        self.settled.send_replace(true);
    }

    /// Returns once what the store held at start was assessed.
    pub async fn settled(&self) {
        let mut seen = self.settled.subscribe();
        while !*seen.borrow_and_update() {
            if seen.changed().await.is_err() {
                return;
            }
        }
    }

    /// Hears every change from now on.
    pub fn listen(&self) -> Ear {
        Ear { beats: self.beats.subscribe() }
    }
}

impl Ear {
    /// Waits for the next change, and a little longer for those that come with it. `false`: there will be none.
    pub async fn next(&mut self) -> bool {
        if self.beats.changed().await.is_err() {
            return false;
        }
        tokio::time::sleep(SETTLE).await;
        self.beats.mark_unchanged();
        true
    }
}
