//! What is kept, and what gives way: release, age, quota.

use crate::{Error, Lane, LaneState, Lanes, SkipReason, Skipped, Spool, crc, open};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Releases are remembered per ten minutes, which is exact enough for "a day".
const BUCKET_MS: i64 = 600_000;
/// On a full disk so much more goes than has to, so that not each append runs into it.
const EASE_BYTES: u64 = 256 << 10;
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
        self.ease(now_ms)
    }

    /// Where there is room on the disk again, the file may grow again.
    pub(crate) fn ease(&mut self, now_ms: i64) -> Result<(), Error> {
        if self.spare.make_again(now_ms) {
            open::set_bound(&self.connection, self.options.quota_bytes)
                .map_err(|e| Error::from_sqlite(&self.path, e))?;
        }
        Ok(())
    }

    /// The disk has no room for so many bytes: the oldest entries give way as they do at the quota, and their pages are used again. Returns whether any did.
    pub(crate) fn give_way(&mut self, incoming: u64) -> Result<bool, Error> {
        self.spare.spend();
        let path = &self.path;
        let fail = |e| Error::from_sqlite(path, e);
        let mut lanes = self.lanes;
        let tx = self.connection.transaction().map_err(fail)?;
        let goal = used_bytes(&tx).map_err(fail)?.saturating_sub(incoming.saturating_add(EASE_BYTES));
        make_room(&tx, &mut lanes, goal, 0).map_err(fail)?;
        if lanes == self.lanes {
            return Ok(false);
        }
        tx.commit().map_err(fail)?;
        self.lanes = lanes;
        if self.options.spare_bytes > 0 {
            // The bytes of the spare are for what the log needs, and not for growing into: until there is room again, the file keeps its size.
            open::set_bound(&self.connection, 0).map_err(fail)?;
        }
        // The log begins anew over its own bytes. Where not even this finds room, the next append says so.
        if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())) {
            tracing::debug!(path = %path.display(), %error, "the spool's log cannot be folded into the file");
        }
        tracing::warn!(
            path = %path.display(),
            telemetry_from = self.lanes.telemetry.oldest,
            "the disk is full before the spool's quota is: the oldest telemetry gives way, what the collector has not got of it is told as a gap"
        );
        Ok(true)
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
    write_released(&tx, lane, bucket, state.released)?;
    // The bucket before the one that is just old enough: everything in it was released at least `keep_ms` ago.
    let old = now_ms.saturating_sub(keep_ms).div_euclid(BUCKET_MS);
    if let Some(through) = released_before(&tx, lane, old)? {
        drop_through(&tx, lane, state, through, SkipReason::Released)?;
        tx.prepare_cached("DELETE FROM release_log WHERE lane = ?1 AND bucket < ?2")?
            .execute(params![lane.number(), old])?;
    }
    open::write_lane(&tx, lane, *state)?;
    tx.commit()
}

/// Remembers how far was released in these ten minutes.
pub(crate) fn write_released(tx: &Connection, lane: Lane, bucket: i64, through: i64) -> rusqlite::Result<()> {
    let sum = crc::of_numbers(&[lane.number(), bucket, through]);
    tx.prepare_cached("INSERT OR REPLACE INTO release_log VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        lane.number(),
        bucket,
        through,
        sum
    ])?;
    Ok(())
}

/// How far was released before these ten minutes. A row whose bytes changed on the disk says nothing: what it stood for goes a little later.
fn released_before(tx: &Connection, lane: Lane, bucket: i64) -> rusqlite::Result<Option<i64>> {
    let mut statement =
        tx.prepare_cached("SELECT bucket, through, crc FROM release_log WHERE lane = ?1 AND bucket < ?2")?;
    let mut rows = statement.query_map(params![lane.number(), bucket], |r| {
        let (bucket, through, sum): (i64, i64, i64) = (r.get(0)?, r.get(1)?, r.get(2)?);
        Ok((crc::of_numbers(&[lane.number(), bucket, through]) == sum).then_some(through))
    })?;
    rows.try_fold(None, |newest, row| Ok(newest.max(row?)))
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
    let before: Option<Skipped> = tx
        .prepare_cached(&format!("{LOST} AND last = ?2 AND reason = ?3"))?
        .query_row(params![lane.number(), lost.first - 1, lost.reason.number()], |r| read_lost(lane, r))
        .optional()?
        .flatten();
    let (first, from_ms, to_ms) =
        before.map_or((lost.first, lost.from_ms, lost.to_ms), |b| (b.first, b.from_ms, b.to_ms));
    write_lost(tx, lane, &Skipped { first, from_ms: from_ms.min(lost.from_ms), to_ms: to_ms.max(lost.to_ms), ..*lost })
}

/// The ranges of a lane that are remembered as gone; for [`read_lost`].
pub(crate) const LOST: &str = "SELECT first, last, reason, from_ms, to_ms, crc FROM lost WHERE lane = ?1";

/// One of these rows; `None` where its bytes changed on the disk: then nothing is known of why its entries are gone.
pub(crate) fn read_lost(lane: Lane, row: &Row<'_>) -> rusqlite::Result<Option<Skipped>> {
    let numbers: [i64; 5] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
    let [first, last, reason, from_ms, to_ms] = numbers;
    let sum: i64 = row.get(5)?;
    let lost = Skipped { first, last, reason: SkipReason::from_number(reason), from_ms, to_ms };
    Ok((lost_crc(lane, &lost) == sum).then_some(lost))
}

pub(crate) fn write_lost(tx: &Connection, lane: Lane, lost: &Skipped) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT OR REPLACE INTO lost VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
        lane.number(),
        lost.first,
        lost.last,
        lost.reason.number(),
        lost.from_ms,
        lost.to_ms,
        lost_crc(lane, lost)
    ])?;
    Ok(())
}

fn lost_crc(lane: Lane, lost: &Skipped) -> i64 {
    crc::of_numbers(&[lane.number(), lost.first, lost.last, lost.reason.number(), lost.from_ms, lost.to_ms])
}
