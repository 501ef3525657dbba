//! Erasures that are not over.

use super::SqliteStore;
use super::error::{During, parsed};
use crate::StoreError;
use crate::erasure::{ErasedServer, Erasures};
use outband_schemas::ServerId;
use rusqlite::Connection;

const DOING: &str = "forgetting what was learnt of erased servers";

/// Drives that a server's parts name and that are in no place: they were in it.
pub(super) const TAKEN_OUT: &str =
    "server IS NULL AND key IN (SELECT 'serial:' || trim(serial) FROM part WHERE server = ?1 AND serial <> '')";

/// Notes that what was learnt of a server is to be forgotten.
pub(super) fn note(db: &Connection, server: &ServerId) -> Result<(), StoreError> {
    let notes = [
        "INSERT OR IGNORE INTO erasure VALUES (?1, '')".to_owned(),
        format!("INSERT OR IGNORE INTO erasure SELECT ?1, key FROM drive WHERE {TAKEN_OUT}"),
    ];
    for sql in notes {
        db.execute(&sql, [server.as_str()]).during(DOING)?;
    }
    Ok(())
}

impl Erasures for SqliteStore {
    fn erasures(&self) -> Result<Vec<ErasedServer>, StoreError> {
        self.read(|db| {
            let mut query =
                db.prepare_cached("SELECT server, drive FROM erasure ORDER BY server, drive").during(DOING)?;
            let mut rows = query.query([]).during(DOING)?;
            let mut erased: Vec<ErasedServer> = Vec::new();
            while let Some(row) = rows.next().during(DOING)? {
                let server: ServerId = parsed("a server's id", &row.get::<_, String>(0).during(DOING)?)?;
                let drive: String = row.get(1).during(DOING)?;
                if erased.last().is_none_or(|last| last.server != server) {
                    erased.push(ErasedServer { server, drives: Vec::new() });
                }
                if let Some(last) = erased.last_mut().filter(|_| !drive.is_empty()) {
                    last.drives.push(drive);
                }
            }
            Ok(erased)
        })
    }

    fn forgotten(&self, erased: &[ErasedServer]) -> Result<(), StoreError> {
        let erased = erased.to_vec();
        self.inner.writer.write(move |db, _| {
            for ErasedServer { server, drives } in &erased {
                for table in ["drift", "drive", "erasure"] {
                    let sql = format!("DELETE FROM {table} WHERE server = ?1");
                    db.execute(&sql, [server.as_str()]).during(DOING)?;
                }
                for key in drives {
                    db.execute("DELETE FROM drive WHERE key = ?1 AND component IS NULL", [key]).during(DOING)?;
                }
            }
            Ok(())
        })
    }
}
