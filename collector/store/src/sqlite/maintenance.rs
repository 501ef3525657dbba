//! Maintenance windows, and every change of them.

use super::decision::{bodies, signed};
use super::error::{During, to_json};
use super::{SqliteStore, audit};
use crate::StoreError;
use crate::audit::Note;
use crate::maintenance::{Maintenance, Window, WindowChange};
use rusqlite::{Connection, OptionalExtension};

const WINDOW: &str = "a maintenance window";

impl Maintenance for SqliteStore {
    fn windows(&self, all: bool) -> Result<Vec<Window>, StoreError> {
        let sql = if all {
            "SELECT body FROM maintenance ORDER BY id"
        } else {
            "SELECT body FROM maintenance WHERE ended = 0 ORDER BY id"
        };
        self.read(|db| bodies(db, WINDOW, sql, []))
    }

    fn put_window(&self, change: &WindowChange, note: Option<Note<Window>>) -> Result<Window, StoreError> {
        let change = change.clone();
        self.inner.writer.write(move |db, _| {
            let window = put(db, change)?;
            audit::note(db, note, &window)?;
            Ok(window)
        })
    }

    fn window_changes(&self, id: u64) -> Result<Vec<WindowChange>, StoreError> {
        let sql = "SELECT body FROM maintenance_change WHERE window = ?1 ORDER BY revision";
        self.read(|db| bodies(db, WINDOW, sql, [signed(id)]))
    }
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
