//! Brings a file to the newest schema: numbered files, forward only, each recorded with its checksum.

use super::error::During;
use crate::StoreError;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// The migrations with their numbers, in the order of these. To change the schema, add a file; never edit one that was
/// released.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../../../../schemas/sql/sqlite/0001_store.sql")),
    (2, include_str!("../../../../schemas/sql/sqlite/0002_deadlines.sql")),
    (3, include_str!("../../../../schemas/sql/sqlite/0003_outbox.sql")),
    (4, include_str!("../../../../schemas/sql/sqlite/0004_maintenance.sql")),
    (5, include_str!("../../../../schemas/sql/sqlite/0005_callpack.sql")),
    (6, include_str!("../../../../schemas/sql/sqlite/0006_orders.sql")),
    (7, include_str!("../../../../schemas/sql/sqlite/0007_audit.sql")),
    (8, include_str!("../../../../schemas/sql/sqlite/0008_drills.sql")),
    (9, include_str!("../../../../schemas/sql/sqlite/0009_keeping.sql")),
    (11, include_str!("../../../../schemas/sql/sqlite/0011_unsent.sql")),
    (13, include_str!("../../../../schemas/sql/sqlite/0013_drift.sql")),
    (14, include_str!("../../../../schemas/sql/sqlite/0014_members.sql")),
    (15, include_str!("../../../../schemas/sql/sqlite/0015_drives.sql")),
    (17, include_str!("../../../../schemas/sql/sqlite/0017_outcome.sql")),
    (18, include_str!("../../../../schemas/sql/sqlite/0018_parts.sql")),
    (19, include_str!("../../../../schemas/sql/sqlite/0019_checks.sql")),
    (20, include_str!("../../../../schemas/sql/sqlite/0020_volumes.sql")),
    (21, include_str!("../../../../schemas/sql/sqlite/0021_other_part.sql")),
    (22, include_str!("../../../../schemas/sql/sqlite/0022_erasure.sql")),
    (23, include_str!("../../../../schemas/sql/sqlite/0023_usage.sql")),
    (24, include_str!("../../../../schemas/sql/sqlite/0024_enrolment.sql")),
    (25, include_str!("../../../../schemas/sql/sqlite/0025_put_away.sql")),
    (27, include_str!("../../../../schemas/sql/sqlite/0027_body_checksum.sql")),
    (30, include_str!("../../../../schemas/sql/sqlite/0030_event_lane_first.sql")),
];

/// The newest schema that this version knows.
pub(super) const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// Applies what is missing, each file in a transaction of its own. Refuses a file of a newer version, or one whose
/// migrations were others.
pub(super) fn migrate(db: &mut Connection) -> Result<(), StoreError> {
    let doing = "migrating the store";
    db.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_version (number INTEGER PRIMARY KEY, checksum TEXT NOT NULL) STRICT",
    )
    .during(doing)?;
    let found: i64 =
        db.query_row("SELECT coalesce(max(number), 0) FROM schema_version", [], |r| r.get(0)).during(doing)?;
    if found > NEWEST {
        return Err(StoreError::NewerSchema { found, known: NEWEST });
    }
    for &(number, sql) in MIGRATIONS {
        let known = format!("{:08x}", crc32c::crc32c(sql.as_bytes()));
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).during(doing)?;
        let applied: Option<String> = tx
            .query_row("SELECT checksum FROM schema_version WHERE number = ?1", [number], |r| r.get(0))
            .optional()
            .during(doing)?;
        match applied {
            Some(found) if found != known => return Err(StoreError::MigrationChanged { number, found, known }),
            Some(_) => continue,
            None => {}
        }
        tx.execute_batch(sql).during(doing)?;
        tx.execute("INSERT INTO schema_version VALUES (?1, ?2)", (number, &known)).during(doing)?;
        tx.commit().during(doing)?;
        tracing::info!(number, "store migrated");
    }
    Ok(())
}
