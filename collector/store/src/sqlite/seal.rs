//! Chunks: sealing windows, and reading them back.

use super::error::During;
use super::writer::{Memory, Staged};
use crate::StoreError;
use crate::chunk::{self, ChunkError, Point};
use crate::head::{Head, WindowKey};
use crate::store::Sealed;
use outband_schemas::{Cause, Quality, Timestamp};
use rusqlite::{Connection, OptionalExtension};
use std::sync::{PoisonError, RwLock};

/// Windows sealed in one transaction: few enough that agents do not wait long behind it.
pub(super) const SEAL_AT_ONCE: usize = 4096;

/// Seals some windows: merges their points into their chunks and trims the journal.
pub(super) fn seal(
    db: &Connection,
    memory: &mut Memory,
    head: &RwLock<Head>,
    now: Timestamp,
    limit: usize,
) -> Result<Sealed, StoreError> {
    let doing = "sealing history";
    let head = head.read().unwrap_or_else(PoisonError::into_inner);
    let due = head.due(now, limit, SEAL_AT_ONCE);
    let mut sealed = Sealed::default();
    for key in &due {
        let mut points = before(db, *key)?;
        points.extend_from_slice(head.window(*key));
        let points = chunk::normalise(points);
        let count = points.len();
        let body = chunk::encode(points);
        sealed.chunks += 1;
        sealed.points += count;
        sealed.bytes += body.len();
        db.prepare_cached(
            "INSERT INTO chunk (start, series, points, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (start, series) DO UPDATE SET points = excluded.points, body = excluded.body",
        )
        .and_then(|mut s| s.execute((key.0, key.1, count as i64, body)))
        .during(doing)?;
    }
    db.execute("DELETE FROM journal WHERE id <= ?1", [head.sealed_through(&due)]).during(doing)?;
    memory.staged.push(Staged::Sealed(due));
    Ok(sealed)
}

/// The chunk that late points merge into. A damaged one is set aside, so that it holds up nothing.
fn before(db: &Connection, key: WindowKey) -> Result<Vec<Point>, StoreError> {
    match chunk_at(db, key)? {
        None => Ok(Vec::new()),
        Some(Ok(points)) => Ok(points),
        Some(Err(_)) => {
            db.execute(
                "INSERT INTO damaged_chunk (start, series, body) SELECT start, series, body FROM chunk
                 WHERE start = ?1 AND series = ?2",
                key,
            )
            .during("setting a damaged chunk aside")?;
            Ok(vec![unreadable(key.0)])
        }
    }
}

/// The points of a window that was sealed. In place of a damaged chunk stands one point that says so.
pub(super) fn stored_chunk(db: &Connection, key: WindowKey) -> Result<Vec<Point>, StoreError> {
    Ok(chunk_at(db, key)?.map_or_else(Vec::new, |c| c.unwrap_or_else(|_| vec![unreadable(key.0)])))
}

/// What stands in place of values that cannot be read any more.
pub(super) fn unreadable(at_ms: i64) -> Point {
    Point { at: Timestamp::from_millis(at_ms), value: None, quality: Quality::Unavailable(Cause::Malformed) }
}

fn chunk_at(db: &Connection, key: WindowKey) -> Result<Option<Result<Vec<Point>, ChunkError>>, StoreError> {
    let body: Option<Vec<u8>> = db
        .prepare_cached("SELECT body FROM chunk WHERE start = ?1 AND series = ?2")
        .and_then(|mut s| s.query_row(key, |r| r.get(0)).optional())
        .during("reading a chunk")?;
    Ok(body.map(|body| {
        chunk::decode(&body).inspect_err(|error| {
            tracing::error!(series = key.1, start = %Timestamp::from_millis(key.0), %error, "two hours of a sensor are damaged");
        })
    }))
}
