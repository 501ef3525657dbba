//! Which orders were seen, so that none is carried out twice.

use crate::{Error, Spool};
use rusqlite::params;

/// Orders expire; long after that, their ids need no memory.
const REMEMBER_MS: i64 = 90 * 24 * 3600 * 1000;

impl Spool {
    /// Remembers an order's id on the disk, before anything is done about it. Returns whether it was seen before.
    pub fn order_seen(&mut self, id: &str, now_ms: i64) -> Result<bool, Error> {
        let path = &self.path;
        let fail = |e| Error::from_sqlite(path, e);
        let tx = self.connection.transaction().map_err(fail)?;
        tx.execute("DELETE FROM seen_order WHERE at_ms < ?1", [now_ms.saturating_sub(REMEMBER_MS)]).map_err(fail)?;
        let new = tx.execute("INSERT OR IGNORE INTO seen_order VALUES (?1, ?2)", params![id, now_ms]).map_err(fail)?;
        tx.commit().map_err(fail)?;
        Ok(new == 0)
    }
}
