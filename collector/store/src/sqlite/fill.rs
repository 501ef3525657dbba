//! How full the store is. Nothing here looks at more rows than a few thousand.

use super::SqliteStore;
use super::error::During;
use crate::StoreError;
use crate::fill::{Fill, Filling};
use rusqlite::Connection;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bodies of at most so many rows are added up.
const MOST_ROWS: u64 = 20_000;

/// Counts what was handed to the writer and was not answered yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Queued(Arc<AtomicU64>);

impl Queued {
    /// `done`, counted until it is called. What is dropped without a call was not queued either.
    pub(super) fn count<T>(&self, done: impl FnOnce(T) + Send + 'static) -> Box<dyn FnOnce(T) + Send> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let one = One(Arc::clone(&self.0));
        Box::new(move |result| {
            drop(one);
            done(result);
        })
    }
}

struct One(Arc<AtomicU64>);

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Fill for SqliteStore {
    fn filling(&self) -> Result<Filling, StoreError> {
        let counted = self.read(counted)?;
        let bytes = |path: &Path| fs::metadata(path).map_or(0, |m| m.len());
        let main = self.inner.pool.path();
        let (points, held) = {
            let head = self.head();
            (head.len(), head.bytes())
        };
        Ok(Filling {
            main_bytes: bytes(main),
            wal_bytes: bytes(&main.with_extension("db-wal")),
            head_points: u64::try_from(points).unwrap_or(u64::MAX),
            head_bytes: u64::try_from(held).unwrap_or(u64::MAX),
            max_head_bytes: u64::try_from(self.inner.max_head_bytes).unwrap_or(u64::MAX),
            commits: self.inner.writer.commits(),
            queued: self.inner.queued.0.load(Ordering::Relaxed),
            ..counted
        })
    }
}

fn counted(db: &Connection) -> Result<Filling, StoreError> {
    let number = |sql: &str| {
        db.prepare_cached(sql)
            .and_then(|mut s| s.query_row([], |r| r.get::<_, i64>(0)))
            .map(|n| u64::try_from(n).unwrap_or(0))
            .during("looking how full the store is")
    };
    // Ids grow by one; what a rolled back transaction took is given out again.
    let (first, last) = (
        number("SELECT coalesce(min(id), 1) FROM ingest_log")?,
        number("SELECT coalesce(max(id), 0) FROM ingest_log")?,
    );
    let cursor = number("SELECT cursor FROM state")?;
    let waiting_rows = last.saturating_sub(cursor);
    let waiting_bytes = (waiting_rows <= MOST_ROWS)
        .then(|| number("SELECT coalesce(sum(length(body)), 0) FROM ingest_log WHERE id > (SELECT cursor FROM state)"))
        .transpose()?;
    Ok(Filling {
        free_bytes: number("PRAGMA freelist_count")?.saturating_mul(number("PRAGMA page_size")?),
        log_rows: (last + 1).saturating_sub(first),
        waiting_rows,
        waiting_bytes,
        quarantined: number("SELECT count(*) FROM quarantine")?,
        unsent: number("SELECT count(*) FROM notice WHERE state = 'pending'")?,
        ..Filling::default()
    })
}
