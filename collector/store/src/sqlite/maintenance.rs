//! Maintenance windows, and every change of them.

use super::SqliteStore;
use super::error::{During, from_json, to_json};
use crate::StoreError;
use crate::maintenance::{Maintenance, Window, WindowChange};
use rusqlite::{Connection, OptionalExtension};

impl Maintenance for SqliteStore {
    fn windows(&self, all: bool) -> Result<Vec<Window>, StoreError> {
        let sql = if all {
            "SELECT body FROM maintenance ORDER BY id"
        } else {
            "SELECT body FROM maintenance WHERE ended = 0 ORDER BY id"
        };
        self.read(|db| bodies(db, sql, []))
    }

    fn put_window(&self, change: &WindowChange) -> Result<Window, StoreError> {
        let change = change.clone();
        self.inner.writer.write(move |db, _| put(db, change))
    }

    fn window_changes(&self, id: u64) -> Result<Vec<WindowChange>, StoreError> {
        let sql = "SELECT body FROM maintenance_change WHERE window = ?1 ORDER BY revision";
        self.read(|db| bodies(db, sql, [signed(id)]))
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn bodies<T: serde::de::DeserializeOwned>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<T>, StoreError> {
    let doing = "reading maintenance windows";
    let mut query = db.prepare_cached(sql).during(doing)?;
    let mut rows = query.query(params).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        out.push(from_json("a maintenance window", r.get_ref(0).and_then(|v| Ok(v.as_str()?)).during(doing)?)?);
    }
    Ok(out)
}

fn put(db: &Connection, mut change: WindowChange) -> Result<Window, StoreError> {
    let doing = "storing a maintenance window";
    if change.window.id == 0 {
        // The number is in the body, so the row comes first.
        db.execute("INSERT INTO maintenance (ended, revision, body) VALUES (0, 0, '{}')", []).during(doing)?;
        change.window.id = db.last_insert_rowid().unsigned_abs();
        change.window.revision = 1;
    }
    let window = &change.window;
    let stored: Option<i64> = db
        .query_row("SELECT revision FROM maintenance WHERE id = ?1", [signed(window.id)], |r| r.get(0))
        .optional()
        .during(doing)?;
    let what = || format!("maintenance window {}", window.id);
    match stored {
        None => return Err(StoreError::NotFound { what: what() }),
        Some(revision) if revision + 1 != signed(window.revision) => return Err(StoreError::Conflict { what: what() }),
        Some(_) => {}
    }
    db.execute(
        "UPDATE maintenance SET ended = ?2, revision = ?3, body = ?4 WHERE id = ?1",
        (signed(window.id), window.ended_at.is_some(), signed(window.revision), to_json(doing, window)?),
    )
    .during(doing)?;
    db.execute(
        "INSERT INTO maintenance_change (window, revision, at, body) VALUES (?1, ?2, ?3, ?4)",
        (signed(window.id), signed(window.revision), change.at.as_millis(), to_json(doing, &change)?),
    )
    .during(doing)?;
    Ok(change.window)
}
