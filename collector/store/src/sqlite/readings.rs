//! Readings that come in: latest values and the journal.

use super::error::During;
use super::parts;
use super::writer::{Memory, Staged};
use crate::StoreError;
use crate::chunk::bits::{put_varint, take_bytes, take_varint};
use crate::chunk::{self, ChunkError, Point};
use crate::head::Head;
use crate::record::ServerReadings;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// Writes readings: each to the journal, and as the latest of its series where it is not older.
pub(super) fn store_readings(db: &Connection, memory: &mut Memory, sets: &[ServerReadings]) -> Result<(), StoreError> {
    let doing = "storing readings";
    let mut points: BTreeMap<i64, Vec<Point>> = BTreeMap::new();
    for set in sets {
        for reading in &set.readings {
            let series = memory.series.id(db, &set.server, reading)?;
            parts::note_hours(db, &set.server, reading)?;
            let point =
                Point { at: reading.observed_at, value: reading.value.clone(), quality: reading.quality.clone() };
            db.prepare_cached(
                "INSERT INTO latest (series, observed_at, received_at, body) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (series) DO UPDATE SET observed_at = excluded.observed_at,
                    received_at = excluded.received_at, body = excluded.body
                 WHERE excluded.observed_at >= observed_at",
            )
            .and_then(|mut s| {
                s.execute((
                    series,
                    point.at.as_millis(),
                    set.received_at.as_millis(),
                    chunk::encode(vec![point.clone()]),
                ))
            })
            .during(doing)?;
            points.entry(series).or_default().push(point);
        }
    }
    if points.is_empty() {
        return Ok(());
    }
    let row = db
        .prepare_cached("INSERT INTO journal (body) VALUES (?1)")
        .and_then(|mut s| s.insert([journal_body(&points)]))
        .during(doing)?;
    let flat = points.into_iter().flat_map(|(series, points)| points.into_iter().map(move |p| (series, p))).collect();
    memory.staged.push(Staged::Points(row, flat));
    Ok(())
}

/// A row of the journal: per series its number, the length of a chunk, the chunk.
fn journal_body(points: &BTreeMap<i64, Vec<Point>>) -> Vec<u8> {
    let mut out = Vec::new();
    for (series, points) in points {
        let chunk = chunk::encode(points.clone());
        put_varint(&mut out, series.unsigned_abs());
        put_varint(&mut out, chunk.len() as u64);
        out.extend(chunk);
    }
    out
}

/// Reads the journal back into memory, at start. A row that is damaged is lost, and said to be.
pub(super) fn load_head(db: &Connection) -> Result<Head, StoreError> {
    let doing = "reading the journal";
    let mut head = Head::default();
    let mut query = db.prepare("SELECT id, body FROM journal ORDER BY id").during(doing)?;
    let mut rows = query.query([]).during(doing)?;
    while let Some(r) = rows.next().during(doing)? {
        let row: i64 = r.get(0).during(doing)?;
        let body = r.get_ref(1).and_then(|v| Ok(v.as_blob()?)).during(doing)?;
        if let Err(error) = load_row(&mut head, row, body) {
            tracing::error!(row, %error, "a row of the journal is damaged: the readings behind this place of it are lost");
        }
    }
    Ok(head)
}

fn load_row(head: &mut Head, row: i64, mut rest: &[u8]) -> Result<(), ChunkError> {
    while !rest.is_empty() {
        let series = i64::try_from(take_varint(&mut rest)?).map_err(|_| ChunkError::Malformed("a series"))?;
        let length = take_varint(&mut rest)?;
        for point in chunk::decode(take_bytes(&mut rest, length)?)? {
            head.add(row, series, point);
        }
    }
    Ok(())
}
