//! Connections for queries: opened when needed, at most so many at once.

use super::open::open_reader;
use crate::StoreError;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

/// A pool of read-only connections.
#[derive(Debug)]
pub(super) struct Pool {
    path: PathBuf,
    state: Mutex<Idle>,
    freed: Condvar,
}

#[derive(Debug)]
struct Idle {
    idle: Vec<Connection>,
    left: usize,
}

impl Pool {
    /// Opens nothing yet.
    pub(super) fn new(path: PathBuf, most: usize) -> Self {
        Self { path, state: Mutex::new(Idle { idle: Vec::new(), left: most.max(1) }), freed: Condvar::new() }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a query on a connection of the pool, in one read transaction: all of it sees the same state of the store.
    pub(super) fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        use super::error::During;
        let db = self.take()?;
        // A connection that failed in any way is not used again: dropping it ends its transaction.
        let answer = db
            .execute_batch("BEGIN")
            .during("beginning to read")
            .and_then(|()| query(&db))
            .and_then(|answer| db.execute_batch("COMMIT").during("ending to read").map(|()| answer));
        self.give_back(answer.is_ok().then_some(db));
        answer
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(db) = state.idle.pop() {
                return Ok(db);
            }
            if state.left > 0 {
                state.left -= 1;
                drop(state);
                return open_reader(&self.path).inspect_err(|_| self.give_back(None));
            }
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, db: Option<Connection>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match db {
            Some(db) => state.idle.push(db),
            None => state.left += 1,
        }
        drop(state);
        self.freed.notify_one();
    }
}
