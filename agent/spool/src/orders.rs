//! Which orders were seen, so that none is carried out twice.

use crate::{Error, Spool};
use rusqlite::params;

/// Orders expire; long after that, their ids need no memory.
const REMEMBER_MS: i64 = 90 * 24 * 3600 * 1000;

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
        let new = tx.execute("INSERT OR IGNORE INTO seen_order VALUES (?1, ?2)", params![id, now_ms]).map_err(fail)?;
        tx.commit().map_err(fail)?;
        Ok(new == 0)
    }
}
