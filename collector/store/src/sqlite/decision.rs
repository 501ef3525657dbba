//! Rows that people decide on: a body with a revision, and every change of it. What drills and thresholds have in common.

use super::error::{During, from_json, is_duplicate, to_json};
use crate::StoreError;
use outband_schemas::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Where such rows are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// The table, and the room of its changes.
    pub(super) name: &'static str,
    /// One of its rows, for messages.
    pub(super) one: &'static str,
}

/// What of a row the table needs to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) revision: u64,
    pub(super) ended: bool,
    pub(super) at: Timestamp,
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The bodies that a query gives in its first column.
pub(super) fn bodies<T: DeserializeOwned>(
    db: &Connection,
    what: &'static str,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<T>, StoreError> {
    let mut query = db.prepare_cached(sql).during(what)?;
    let mut rows = query.query(params).during(what)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(what)? {
        out.push(from_json(what, r.get_ref(0).and_then(|v| Ok(v.as_str()?)).during(what)?)?);
    }
    Ok(out)
}

/// A number for a new row: the number is in the body, so the row comes first.
pub(super) fn number(db: &Connection, room: Room) -> Result<u64, StoreError> {
    let sql = format!("INSERT INTO {} (ended, revision, body) VALUES (0, 0, '{{}}')", room.name);
    db.execute(&sql, []).during(room.one)?;
    Ok(db.last_insert_rowid().unsigned_abs())
}

/// Writes a row and its change. It has to be one revision ahead of the stored one.
pub(super) fn put(
    db: &Connection,
    room: Room,
    row: Row,
    body: &impl Serialize,
    change: &impl Serialize,
) -> Result<(), StoreError> {
    let Room { name, one } = room;
    let what = || format!("{one} {}", row.id);
    let stored: Option<i64> = db
        .query_row(&format!("SELECT revision FROM {name} WHERE id = ?1"), [signed(row.id)], |r| r.get(0))
        .optional()
        .during(one)?;
    match stored {
        None => return Err(StoreError::NotFound { what: what() }),
        Some(revision) if revision + 1 != signed(row.revision) => return Err(StoreError::Conflict { what: what() }),
        Some(_) => {}
    }
    db.execute(
        &format!("UPDATE {name} SET ended = ?2, revision = ?3, body = ?4 WHERE id = ?1"),
        (signed(row.id), row.ended, signed(row.revision), to_json(one, body)?),
    )
    .during(one)?;
    let kept = db.execute(
        "INSERT INTO decision (room, id, revision, at, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        (name, signed(row.id), signed(row.revision), row.at.as_millis(), to_json(one, change)?),
    );
    match kept {
        Err(e) if is_duplicate(&e) => Err(StoreError::Conflict { what: what() }),
        other => other.map(|_| ()).during(one),
    }
}
