//! What is kept, and what gives way: release, age, quota.

use crate::{Error, Lane, LaneState, Lanes, SkipReason, Skipped, Spool, open};
use rusqlite::{Connection, OptionalExtension, params};

/// Releases are remembered per ten minutes, which is exact enough for "a day".
const BUCKET_MS: i64 = 600_000;
/// So many entries go at a time, until there is room.
const EVICT_AT_ONCE: i64 = 32;

impl Spool {
    /// Everything through `through` is safe elsewhere. It is kept for a while in case it is asked for again. Idempotent; a number never appended counts as
    /// the last that was.
    ///
    /// Not forced to the disk: a release lost in a crash is told again by whoever has the entries.
    pub fn release(&mut self, lane: Lane, through: i64, now_ms: i64) -> Result<(), Error> {
        let path = self.path.clone();
        let fail = |e| Error::from_sqlite(&path, e);
        let mut state = self.lanes.get(lane);
        state.released = through.min(state.next - 1).max(state.released);
        if state.released == self.lanes.get(lane).released {
            return Ok(());
        }
        self.connection.pragma_update(None, "synchronous", "NORMAL").map_err(fail)?;
        let done = write_release(&mut self.connection, lane, &mut state, self.options.keep_released_ms, now_ms);
        self.connection.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
        done.map_err(fail)?;
        *self.lanes.get_mut(lane) = state;
        Ok(())
    }
}

fn write_release(
    connection: &mut Connection,
    lane: Lane,
    state: &mut LaneState,
    keep_ms: i64,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let tx = connection.transaction()?;
    let bucket = now_ms.div_euclid(BUCKET_MS);
    tx.prepare_cached(
        "INSERT INTO release_log VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET through = max(through, excluded.through)",
    )?
    .execute(params![lane.number(), bucket, state.released])?;
    // The bucket before the one that is just old enough: everything in it was released at least `keep_ms` ago.
    let old = now_ms.saturating_sub(keep_ms).div_euclid(BUCKET_MS);
    let through: Option<i64> = tx
        .prepare_cached("SELECT max(through) FROM release_log WHERE lane = ?1 AND bucket < ?2")?
        .query_row(params![lane.number(), old], |r| r.get(0))?;
    if let Some(through) = through {
        drop_through(&tx, lane, state, through, SkipReason::Released)?;
        tx.prepare_cached("DELETE FROM release_log WHERE lane = ?1 AND bucket < ?2")?
            .execute(params![lane.number(), old])?;
    }
    open::write_lane(&tx, lane, *state)?;
    tx.commit()
}

/// Evicts until `incoming` more bytes fit into the quota: the oldest released entries first, then the oldest telemetry. Returns whether they fit.
pub(crate) fn make_room(tx: &Connection, lanes: &mut Lanes, quota: u64, incoming: u64) -> rusqlite::Result<bool> {
    while used_bytes(tx)?.saturating_add(incoming) > quota {
        let oldest_released = oldest_released(tx, lanes)?;
        let (lane, reason) = match oldest_released {
            Some(lane) => (lane, SkipReason::Released),
            None if lanes.telemetry.oldest < lanes.telemetry.next => (Lane::Telemetry, SkipReason::Evicted),
            None => return Ok(false),
        };
        let state = lanes.get_mut(lane);
        let mut through = (state.oldest + EVICT_AT_ONCE - 1).min(state.next - 1);
        if reason == SkipReason::Released {
            through = through.min(state.released);
        }
        drop_through(tx, lane, state, through, reason)?;
    }
    Ok(true)
}

/// The lane whose oldest entry is released and older than the other lane's.
fn oldest_released(tx: &Connection, lanes: &Lanes) -> rusqlite::Result<Option<Lane>> {
    let mut found: Option<(i64, Lane)> = None;
    for lane in Lane::ALL {
        let state = lanes.get(lane);
        if state.oldest > state.released {
            continue;
        }
        let sql = format!("SELECT at_ms FROM {} WHERE seq = ?1", lane.table());
        let at: i64 = tx.prepare_cached(&sql)?.query_row([state.oldest], |r| r.get(0))?;
        if found.is_none_or(|(other, _)| at < other) {
            found = Some((at, lane));
        }
    }
    Ok(found.map(|(_, lane)| lane))
}

/// Bytes of the file in use, as of this transaction.
fn used_bytes(tx: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name: &str| tx.pragma_query_value(None, name, |r| r.get::<_, i64>(0));
    let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    Ok(u64::try_from(pages).unwrap_or(0) * open::PAGE_BYTES)
}

/// Deletes the entries through a number and remembers that they are gone.
fn drop_through(
    tx: &Connection,
    lane: Lane,
    state: &mut LaneState,
    through: i64,
    reason: SkipReason,
) -> rusqlite::Result<()> {
    if through < state.oldest {
        return Ok(());
    }
    let table = lane.table();
    let span: (Option<i64>, Option<i64>) = tx
        .prepare_cached(&format!("SELECT min(at_ms), max(at_ms) FROM {table} WHERE seq <= ?1"))?
        .query_row([through], |r| Ok((r.get(0)?, r.get(1)?)))?;
    if let (Some(from_ms), Some(to_ms)) = span {
        let lost = Skipped { first: state.oldest, last: through, reason, from_ms, to_ms };
        record_lost(tx, lane, &lost)?;
    }
    tx.prepare_cached(&format!("DELETE FROM {table} WHERE seq <= ?1"))?.execute([through])?;
    state.oldest = open::oldest(tx, lane)?.unwrap_or(state.next);
    Ok(())
}

/// Remembers a range that is gone, joined to the one before it where that has the same reason.
pub(crate) fn record_lost(tx: &Connection, lane: Lane, lost: &Skipped) -> rusqlite::Result<()> {
    let before: Option<(i64, i64, i64)> = tx
        .prepare_cached("SELECT first, from_ms, to_ms FROM lost WHERE lane = ?1 AND last = ?2 AND reason = ?3")?
        .query_row(params![lane.number(), lost.first - 1, lost.reason.number()], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })
        .optional()?;
    let (first, from_ms, to_ms) = before.unwrap_or((lost.first, lost.from_ms, lost.to_ms));
    tx.prepare_cached("INSERT OR REPLACE INTO lost VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        lane.number(),
        first,
        lost.last,
        lost.reason.number(),
        from_ms.min(lost.from_ms),
        to_ms.max(lost.to_ms)
    ])?;
    Ok(())
}
