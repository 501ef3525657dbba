//! Which orders were seen, so that none is carried out twice.

use crate::{Error, Spool, crc};
use rusqlite::{Connection, params};

/// Orders expire; long after that, their ids need no memory.
const REMEMBER_MS: i64 = 90 * 24 * 3600 * 1000;

/// An id that differs from another in so many bits may be that one, damaged.
const FLIPPED: u32 = 4;

/// The bookmark that says that an order is answered. No target's name holds a colon.
const ANSWERED: &str = "order:";

/// The bookmark that belongs with the answer to an order, with what is to be remembered of that: [`Spool::append`] both at once.
pub fn answered(id: &str, answer: Vec<u8>) -> (String, Vec<u8>) {
    (format!("{ANSWERED}{id}"), answer)
}

impl Spool {
    /// Orders that were remembered and not answered: whoever did was killed in between, and nobody knows whether they were carried out.
    pub fn orders_unanswered(&self) -> Result<Vec<String>, Error> {
        self.connection
            .prepare_cached("SELECT id FROM seen_order WHERE NOT EXISTS (SELECT 1 FROM bookmark WHERE key = ?1 || id) ORDER BY at_ms, id")
            .and_then(|mut s| s.query_map([ANSWERED], |r| r.get(0))?.collect())
            .map_err(|e| Error::from_sqlite(&self.path, e))
    }

    /// Remembers an order's id on the disk, before anything is done about it. Returns whether it was seen before.
    pub fn order_seen(&mut self, id: &str, now_ms: i64) -> Result<bool, Error> {
        let path = &self.path;
        let fail = |e| Error::from_sqlite(path, e);
        let tx = self.connection.transaction().map_err(fail)?;
        tx.execute("DELETE FROM seen_order WHERE at_ms < ?1", [now_ms.saturating_sub(REMEMBER_MS)]).map_err(fail)?;
        // Sorted by key: those of orders end before the next character after the colon.
        tx.execute(
            "DELETE FROM bookmark WHERE key >= ?1 AND key < 'order;' AND substr(key, 7) NOT IN (SELECT id FROM seen_order)",
            [ANSWERED],
        )
        .map_err(fail)?;
        if was_perhaps(&tx, id).map_err(fail)? {
            tracing::warn!(path = %path.display(), id, "what is remembered of this order is damaged; it counts as seen and is not carried out");
            return Ok(true);
        }
        let new = remember(&tx, id, now_ms).map_err(fail)?;
        tx.commit().map_err(fail)?;
        Ok(new == 0)
    }
}

/// Remembers an order unless it is; how many are new.
pub(crate) fn remember(tx: &Connection, id: &str, at_ms: i64) -> rusqlite::Result<usize> {
    tx.execute("INSERT OR IGNORE INTO seen_order VALUES (?1, ?2, ?3)", params![id, at_ms, of_order(id, at_ms)])
}

fn of_order(id: &str, at_ms: i64) -> i64 {
    crc::of(&[id.as_bytes(), &at_ms.to_le_bytes()])
}

/// Whether an order whose bytes changed on the disk may have been this one: to carry it out once more would be worse than to ask a person.
fn was_perhaps(tx: &Connection, id: &str) -> rusqlite::Result<bool> {
    let mut statement = tx.prepare_cached("SELECT CAST(id AS BLOB), at_ms, crc FROM seen_order WHERE id <> ?1")?;
    let mut rows = statement.query_map([id], |r| {
        let (other, at_ms, sum): (Vec<u8>, i64, i64) = (r.get(0)?, r.get(1)?, r.get(2)?);
        let whole = crc::of(&[&other, &at_ms.to_le_bytes()]) == sum;
        let flipped: u32 = id.bytes().zip(&other).map(|(a, b)| (a ^ b).count_ones()).sum();
        Ok(!whole && other.len() == id.len() && flipped <= FLIPPED)
    })?;
    rows.try_fold(false, |found, row| Ok(found || row?))
}
