//! Dropping what is too old, a bounded part at a time.

use super::error::During;
use crate::StoreError;
use crate::head::WINDOW_MS;
use crate::retention::Limits;
use rusqlite::Connection;

/// Rows dropped in one transaction, of each table.
const AT_ONCE: i64 = 5000;

/// Drops some of what is older than the limits. Answers whether there may be more.
pub(super) fn expire(db: &Connection, limits: &Limits) -> Result<bool, StoreError> {
    let mut most = 0;
    let steps: [(&str, i64); 6] = [
        // Never beyond the cursor: what was not assessed stays, however old. Rows lie in the order in which they came, so
        // only the first ones are looked at.
        (
            "DELETE FROM ingest_log WHERE id IN (SELECT id FROM (SELECT id, received_at FROM ingest_log ORDER BY id LIMIT ?2)
             WHERE received_at < ?1 AND id <= (SELECT cursor FROM state))",
            limits.ingest_log.as_millis(),
        ),
        (
            "DELETE FROM chunk WHERE (start, series) IN (SELECT start, series FROM chunk WHERE start < ?1
             ORDER BY start, series LIMIT ?2)",
            limits.raw.as_millis().saturating_sub(WINDOW_MS),
        ),
        (
            "DELETE FROM latest WHERE series IN (SELECT series FROM latest WHERE observed_at < ?1 LIMIT ?2)",
            limits.raw.as_millis(),
        ),
        (
            "DELETE FROM event WHERE id IN (SELECT id FROM (SELECT id, received_at FROM event ORDER BY id LIMIT ?2)
             WHERE received_at < ?1)",
            limits.events.as_millis(),
        ),
        (
            "DELETE FROM gap WHERE id IN (SELECT id FROM gap WHERE last_observed < ?1 LIMIT ?2)",
            limits.events.as_millis(),
        ),
        (
            "DELETE FROM health_check WHERE id IN (SELECT id FROM (SELECT id, at, ended FROM health_check ORDER BY id LIMIT ?2)
             WHERE at < ?1 AND ended = 1)",
            limits.events.as_millis(),
        ),
    ];
    for (sql, limit) in steps {
        let gone =
            db.prepare_cached(sql).and_then(|mut s| s.execute((limit, AT_ONCE))).during("dropping what is too old")?;
        most = most.max(gone);
    }
    Ok(i64::try_from(most).is_ok_and(|n| n >= AT_ONCE))
}
