//! From the first format to the second: what is remembered of gone entries, of releases and of orders has checksums.

use super::SCHEMA;
use crate::{Lane, SkipReason, Skipped, keep, orders};
use rusqlite::Connection;

/// Tables that had none.
const TABLES: [&str; 3] = ["lost", "release_log", "seen_order"];

/// Writes the three tables anew, in one transaction. Rows of a lane that there is not are dropped: bytes that changed on the disk.
pub(super) fn write(connection: &mut Connection) -> rusqlite::Result<()> {
    let tx = connection.transaction()?;
    let mut lost = Vec::new();
    let mut released = Vec::new();
    for lane in Lane::ALL {
        let mut rows = tx.prepare("SELECT first, last, reason, from_ms, to_ms FROM lost WHERE lane = ?1")?;
        let rows = rows.query_map([lane.number()], |r| {
            let reason = SkipReason::from_number(r.get(2)?);
            Ok((lane, Skipped { first: r.get(0)?, last: r.get(1)?, reason, from_ms: r.get(3)?, to_ms: r.get(4)? }))
        })?;
        lost.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        let mut rows = tx.prepare("SELECT bucket, through FROM release_log WHERE lane = ?1")?;
        let rows = rows.query_map([lane.number()], |r| Ok((lane, r.get::<_, i64>(0)?, r.get::<_, i64>(1)?)))?;
        released.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    let seen: Vec<(String, i64)> = tx
        .prepare("SELECT id, at_ms FROM seen_order")?
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for table in TABLES {
        tx.execute_batch(&format!("DROP TABLE {table}"))?;
    }
    let is_one =
        |sql: &&str| TABLES.iter().any(|table| sql.trim_start().starts_with(&format!("CREATE TABLE {table} ")));
    for sql in SCHEMA.split(';').filter(is_one) {
        tx.execute_batch(sql.trim_start())?;
    }
    for (lane, lost) in &lost {
        keep::write_lost(&tx, *lane, lost)?;
    }
    for (lane, bucket, through) in released {
        keep::write_released(&tx, lane, bucket, through)?;
    }
    for (id, at_ms) in seen {
        orders::remember(&tx, &id, at_ms)?;
    }
    tx.pragma_update(None, "user_version", 2)?;
    tx.commit()
}
