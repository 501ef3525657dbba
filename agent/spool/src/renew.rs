//! A new id for a file whose numbers can no longer be trusted to mean one thing.

use crate::{Entry, Error, Lane, LaneState, Lanes, Spool, append, crc, open};
use rusqlite::params;

impl Spool {
    /// Takes a new id because somebody has entries of this one that the file does not know of: commits were lost with a damaged WAL, and numbers have been
    /// given twice. What is not released keeps its order and gets new numbers from 1; the rest is forgotten. Entries that turn out damaged are told as lost.
    pub fn renew(&mut self, new_id: u128) -> Result<(), Error> {
        let path = &self.path;
        let fail = |e| Error::from_sqlite(path, e);
        let tx = self.connection.transaction().map_err(fail)?;
        let old = self.lanes;
        let mut lanes = Lanes { event: LaneState { oldest: 1, next: 1, released: 0 }, ..old };
        lanes.telemetry = lanes.event;
        tx.execute_batch("DELETE FROM release_log").map_err(fail)?;
        for lane in Lane::ALL {
            renumber(&tx, lane, old.get(lane), lanes.get_mut(lane)).map_err(fail)?;
            open::write_lane(&tx, lane, lanes.get(lane)).map_err(fail)?;
        }
        open::write_id(&tx, new_id).map_err(fail)?;
        tx.commit().map_err(fail)?;
        self.id = new_id;
        self.lanes = lanes;
        Ok(())
    }
}

fn renumber(tx: &rusqlite::Connection, lane: Lane, old: LaneState, new: &mut LaneState) -> rusqlite::Result<()> {
    let table = lane.table();
    tx.execute(&format!("DELETE FROM {table} WHERE seq <= ?1"), [old.released])?;
    let first = old.released + 1;
    // Moving a lane down keeps its gaps: the remembered ones move with it, and a broken entry leaves one behind.
    tx.execute("DELETE FROM lost WHERE lane = ?1 AND last < ?2", params![lane.number(), first])?;
    tx.execute("UPDATE lost SET first = max(first, ?2) WHERE lane = ?1", params![lane.number(), first])?;
    tx.execute(
        "UPDATE lost SET first = first - ?2, last = last - ?2 WHERE lane = ?1",
        params![lane.number(), old.released],
    )?;
    for seq in old.oldest.max(first)..old.next {
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
            append::insert(tx, lane, seq - old.released, &Entry { body, at_ms })?;
        }
    }
    new.next = old.next - old.released;
    new.oldest = open::oldest(tx, lane)?.unwrap_or(new.next);
    Ok(())
}
