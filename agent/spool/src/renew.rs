//! A new id for a file whose numbers can no longer be trusted to mean one thing.

use crate::{Entry, Error, Lane, LaneState, Lanes, SkipReason, Skipped, Spool, append, crc, keep, open};

impl Spool {
    /// Takes a new id because somebody has entries of this one that the file does not know of: commits were lost with a damaged WAL, or the file was put back
    /// to an older copy, and numbers have been given twice. What is not released keeps its order and gets new numbers from 2; the rest is forgotten. Number 1 of
    /// either lane stands for what the file once held and nobody knows any more: told as lost, from the newest entry that surely was there to `now_ms`. Entries
    /// that turn out damaged are told as lost, too.
    pub fn renew(&mut self, new_id: u128, now_ms: i64) -> Result<(), Error> {
        let path = &self.path;
        let fail = |e| Error::from_sqlite(path, e);
        let tx = self.connection.transaction().map_err(fail)?;
        let old = self.lanes;
        let begun = LaneState { oldest: 2, next: 2, released: 0 };
        let mut lanes = Lanes { event: begun, telemetry: begun };
        let since = since(&tx, old).map_err(fail)?.unwrap_or(now_ms);
        tx.execute_batch("DELETE FROM release_log").map_err(fail)?;
        for lane in Lane::ALL {
            renumber(&tx, lane, old.get(lane), lanes.get_mut(lane)).map_err(fail)?;
            let (from_ms, to_ms) = (since.min(now_ms), since.max(now_ms));
            let lost = Skipped { first: 1, last: 1, reason: SkipReason::Corrupt, from_ms, to_ms };
            keep::record_lost(&tx, lane, &lost).map_err(fail)?;
            open::write_lane(&tx, lane, lanes.get(lane)).map_err(fail)?;
        }
        open::write_id(&tx, new_id).map_err(fail)?;
        tx.commit().map_err(fail)?;
        self.id = new_id;
        self.lanes = lanes;
        Ok(())
    }
}

/// The time of the newest entry that others surely have as it is here: one that was released.
fn since(tx: &rusqlite::Connection, old: Lanes) -> rusqlite::Result<Option<i64>> {
    let mut newest = None;
    for lane in Lane::ALL {
        let sql = format!("SELECT max(at_ms) FROM {} WHERE seq <= ?1", lane.table());
        newest = newest.max(tx.query_row(&sql, [old.get(lane).released], |r| r.get::<_, Option<i64>>(0))?);
    }
    Ok(newest)
}

fn renumber(tx: &rusqlite::Connection, lane: Lane, old: LaneState, new: &mut LaneState) -> rusqlite::Result<()> {
    let table = lane.table();
    tx.execute(&format!("DELETE FROM {table} WHERE seq <= ?1"), [old.released])?;
    let first = old.released + 1;
    let down = old.released - 1;
    // Moving a lane down keeps its gaps: the remembered ones move with it, and a broken entry leaves one behind.
    let gone: Vec<Option<Skipped>> = tx
        .prepare_cached(keep::LOST)?
        .query_map([lane.number()], |r| keep::read_lost(lane, r))?
        .collect::<rusqlite::Result<_>>()?;
    tx.execute("DELETE FROM lost WHERE lane = ?1", [lane.number()])?;
    for lost in gone.into_iter().flatten() {
        // What says that it reaches beyond the last number is damaged there.
        let (from, to) = (lost.first.max(first), lost.last.min(old.next - 1));
        if from <= to {
            keep::write_lost(tx, lane, &Skipped { first: from - down, last: to - down, ..lost })?;
        }
    }
    let (begin, end) = (old.oldest.max(first), old.next);
    for i in 0..end.saturating_sub(begin) {
        // Where numbers grow by one, the last goes first: its new place is free.
        let seq = if down < 0 { end - 1 - i } else { begin + i };
        let found: Result<(i64, i64, Vec<u8>), _> = tx
            .prepare_cached(&format!("SELECT at_ms, crc, body FROM {table} WHERE seq = ?1"))?
            .query_row([seq], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)));
        let (at_ms, sum, body) = match found {
            Ok(row) => row,
            Err(rusqlite::Error::QueryReturnedNoRows) => continue,
            Err(e) => return Err(e),
        };
        tx.prepare_cached(&format!("DELETE FROM {table} WHERE seq = ?1"))?.execute([seq])?;
        if crc::of_entry(lane, seq, at_ms, &body) == sum {
            append::insert(tx, lane, seq - down, &Entry { body, at_ms })?;
        }
    }
    new.next = old.next - down;
    new.oldest = open::oldest(tx, lane)?.unwrap_or(new.next);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    const T: i64 = 1_700_000_000_000;

    fn lost(spool: &Spool, lane: Lane) -> Vec<(i64, i64)> {
        let mut query = spool.connection.prepare(keep::LOST).unwrap();
        let rows = query.query_map([lane.number()], |r| keep::read_lost(lane, r)).unwrap();
        rows.filter_map(Result::unwrap).map(|s| (s.first, s.last)).collect()
    }

    #[test]
    fn a_lost_range_that_reaches_beyond_the_last_number_ends_at_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path().join("spool.db"), Options::default(), 7, T).unwrap().spool;
        let entry = |text: &str| Entry { body: text.as_bytes().to_vec(), at_ms: T };
        spool.append(Lane::Telemetry, &["a", "b", "c"].map(entry), &[]).unwrap();
        spool.connection.execute("DELETE FROM telemetry_entry WHERE seq >= 2", []).unwrap();
        // Nothing was released, so that every number grows by one: the greatest there is would overflow.
        let damaged = Skipped { first: 2, last: i64::MAX, reason: SkipReason::Evicted, from_ms: T, to_ms: T };
        keep::write_lost(&spool.connection, Lane::Telemetry, &damaged).unwrap();
        spool.renew(9, T).unwrap();
        assert_eq!(lost(&spool, Lane::Telemetry), [(1, 1), (3, 4)]);
        assert_eq!((spool.lanes.telemetry.oldest, spool.lanes.telemetry.next), (2, 5));
        assert_eq!(lost(&spool, Lane::Event), [(1, 1)]);
    }
}
