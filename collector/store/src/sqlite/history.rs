//! Readings: latest values, the journal, chunks.

use super::error::{During, damaged, from_json, parsed};
use super::query::{next_token, series_where};
use super::writer::{Memory, Staged};
use crate::StoreError;
use crate::chunk::bits::{put_varint, take_bytes, take_varint};
use crate::chunk::{self, Point};
use crate::head::{Head, WINDOW_MS, WindowKey, window_start};
use crate::query::{HistoryFilter, Listing, Page, SeriesFilter};
use crate::record::{HistoryPoint, LatestReading, ServerReadings};
use crate::store::Sealed;
use outband_schemas::{ComponentId, Reading, SensorKind, ServerId, Source, Timestamp};
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// Windows sealed in one transaction: few enough that agents do not wait long behind it.
pub(super) const SEAL_AT_ONCE: usize = 4096;

/// Writes readings: each to the journal, and as the latest of its series where it is not older.
pub(super) fn store_readings(db: &Connection, memory: &mut Memory, sets: &[ServerReadings]) -> Result<(), StoreError> {
    let doing = "storing readings";
    let mut points: BTreeMap<i64, Vec<Point>> = BTreeMap::new();
    for set in sets {
        for reading in &set.readings {
            let series = memory.series.id(db, &set.server, reading)?;
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

/// Reads the journal back into memory, at start.
pub(super) fn load_head(db: &Connection) -> Result<Head, StoreError> {
    let doing = "reading the journal";
    let mut head = Head::default();
    let mut query = db.prepare("SELECT id, body FROM journal ORDER BY id").during(doing)?;
    let mut rows = query.query([]).during(doing)?;
    while let Some(r) = rows.next().during(doing)? {
        let row: i64 = r.get(0).during(doing)?;
        let mut rest = r.get_ref(1).and_then(|v| Ok(v.as_blob()?)).during(doing)?;
        let bad = |e: chunk::ChunkError| damaged(&format!("row {row} of the journal"), e);
        while !rest.is_empty() {
            let series = i64::try_from(take_varint(&mut rest).map_err(bad)?).map_err(|e| damaged("the journal", e))?;
            let length = take_varint(&mut rest).map_err(bad)?;
            for point in chunk::decode(take_bytes(&mut rest, length).map_err(bad)?).map_err(bad)? {
                head.add(row, series, point);
            }
        }
    }
    Ok(head)
}

/// Seals some windows: merges their points into their chunks and trims the journal.
pub(super) fn seal(
    db: &Connection,
    memory: &mut Memory,
    head: &RwLock<Head>,
    now: Timestamp,
    limit: usize,
) -> Result<Sealed, StoreError> {
    let doing = "sealing history";
    let head = head.read().unwrap_or_else(PoisonError::into_inner);
    let due = head.due(now, limit, SEAL_AT_ONCE);
    let mut sealed = Sealed::default();
    for key in &due {
        let mut points = stored_chunk(db, *key)?;
        points.extend_from_slice(head.window(*key));
        let points = chunk::normalise(points);
        let count = points.len();
        let body = chunk::encode(points);
        sealed.chunks += 1;
        sealed.points += count;
        sealed.bytes += body.len();
        db.prepare_cached(
            "INSERT INTO chunk (start, series, points, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (start, series) DO UPDATE SET points = excluded.points, body = excluded.body",
        )
        .and_then(|mut s| s.execute((key.0, key.1, count as i64, body)))
        .during(doing)?;
    }
    db.execute("DELETE FROM journal WHERE id <= ?1", [head.sealed_through(&due)]).during(doing)?;
    memory.staged.push(Staged::Sealed(due));
    Ok(sealed)
}

fn stored_chunk(db: &Connection, key: WindowKey) -> Result<Vec<Point>, StoreError> {
    let body: Option<Vec<u8>> = db
        .prepare_cached("SELECT body FROM chunk WHERE start = ?1 AND series = ?2")
        .and_then(|mut s| s.query_row(key, |r| r.get(0)).optional())
        .during("reading a chunk")?;
    match body {
        None => Ok(Vec::new()),
        Some(body) => chunk::decode(&body)
            .map_err(|e| damaged(&format!("the chunk of series {} at {}", key.1, Timestamp::from_millis(key.0)), e)),
    }
}

struct Series {
    id: i64,
    server: ServerId,
    component: ComponentId,
    kind: SensorKind,
    sensor: String,
    source: Source,
}

fn series_of(r: &rusqlite::Row<'_>) -> Result<Series, StoreError> {
    let doing = "reading a series";
    let text = |i: usize| r.get_ref(i).and_then(|v| Ok(v.as_str()?)).during(doing);
    let kind: u16 = r.get(3).during(doing)?;
    Ok(Series {
        id: r.get(0).during(doing)?,
        server: parsed("a server's id", text(1)?)?,
        component: parsed("a component", text(2)?)?,
        kind: SensorKind::from_number(kind).ok_or_else(|| damaged("a sensor kind", kind))?,
        sensor: text(4)?.to_owned(),
        source: Source(text(5)?.to_owned()),
    })
}

/// The newest value of each sensor.
pub(super) fn latest(
    db: &Connection,
    filter: &SeriesFilter,
    page: &Page,
) -> Result<Listing<LatestReading>, StoreError> {
    let doing = "reading the latest values";
    let (mut clause, mut params) = series_where(filter);
    if let Some(token) = &page.token {
        let key: (String, String, u16, String, String) =
            serde_json::from_str(token).map_err(|_| StoreError::BadToken)?;
        clause.push_str(" AND (s.server, s.component, s.kind, s.sensor, s.source) > (?, ?, ?, ?, ?)");
        params.extend([key.0.into(), key.1.into(), i64::from(key.2).into(), key.3.into(), key.4.into()]);
    }
    let limit = page.limit.max(1);
    params.push(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1).into());
    let sql = format!(
        "SELECT s.id, s.server, s.component, s.kind, s.sensor, s.source, s.thresholds, l.received_at, l.body
         FROM series s JOIN latest l ON l.series = s.id WHERE {clause}
         ORDER BY s.server, s.component, s.kind, s.sensor, s.source LIMIT ?"
    );
    let mut query = db.prepare_cached(&sql).during(doing)?;
    let mut rows = query.query(params_from_iter(params)).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        let series = series_of(r)?;
        let thresholds: Option<String> = r.get(6).during(doing)?;
        let body = r.get_ref(8).and_then(|v| Ok(v.as_blob()?)).during(doing)?;
        let what = "a latest value";
        let point =
            chunk::decode(body).map_err(|e| damaged(what, e))?.pop().ok_or_else(|| damaged(what, "it is empty"))?;
        out.push(LatestReading {
            server: series.server,
            reading: Reading {
                component: series.component,
                kind: series.kind,
                sensor: series.sensor,
                value: point.value,
                quality: point.quality,
                observed_at: point.at,
                source: series.source,
                thresholds: thresholds.map(|t| from_json("thresholds", &t)).transpose()?,
            },
            received_at: Timestamp::from_millis(r.get(7).during(doing)?),
        });
    }
    next_token(out, limit, |last: &LatestReading| {
        let r = &last.reading;
        let key = (last.server.as_str(), r.component.to_string(), r.kind.number(), &r.sensor, &r.source.0);
        serde_json::to_string(&key)
    })
}

/// History, sensor by sensor.
pub(super) fn history(
    db: &Connection,
    head: &dyn Fn(i64, Timestamp, Timestamp) -> Vec<Point>,
    filter: &HistoryFilter,
    page: &Page,
) -> Result<Listing<HistoryPoint>, StoreError> {
    let doing = "reading history";
    // Where the page before ended: the series, and the time of its last point.
    let after: Option<(i64, i64)> = match &page.token {
        Some(token) => Some(serde_json::from_str(token).map_err(|_| StoreError::BadToken)?),
        None => None,
    };
    let (mut clause, mut params) = series_where(&filter.series);
    if let Some((series, _)) = after {
        clause.push_str(" AND s.id >= ?");
        params.push(series.into());
    }
    let windows = windows(db, filter)?;
    let sql = format!(
        "SELECT s.id, s.server, s.component, s.kind, s.sensor, s.source FROM series s WHERE {clause} ORDER BY s.id"
    );
    let mut query = db.prepare_cached(&sql).during(doing)?;
    let mut rows = query.query(params_from_iter(params)).during(doing)?;
    let mut out: Vec<(i64, HistoryPoint)> = Vec::new();
    let limit = page.limit.max(1);
    while out.len() <= limit
        && let Some(r) = rows.next().during(doing)?
    {
        let series = series_of(r)?;
        let from = match after {
            Some((id, at)) if id == series.id => filter.from.max(Timestamp::from_millis(at.saturating_add(1))),
            _ => filter.from,
        };
        let fresh = head(series.id, from, filter.to);
        for point in span(db, &windows, series.id, from, filter.to, fresh, limit + 1 - out.len())? {
            let point = HistoryPoint {
                server: series.server.clone(),
                component: series.component.clone(),
                kind: series.kind,
                sensor: series.sensor.clone(),
                source: series.source.clone(),
                observed_at: point.at,
                value: point.value,
                quality: point.quality,
            };
            out.push((series.id, point));
        }
    }
    let listing = next_token(out, limit, |(id, last)| serde_json::to_string(&(id, last.observed_at.as_millis())))?;
    Ok(Listing { rows: listing.rows.into_iter().map(|(_, p)| p).collect(), next: listing.next })
}

/// The windows that have chunks in the span.
fn windows(db: &Connection, filter: &HistoryFilter) -> Result<Vec<i64>, StoreError> {
    let doing = "reading history";
    let (low, high): (Option<i64>, Option<i64>) = db
        .query_row(
            "SELECT (SELECT start FROM chunk WHERE start >= ?1 ORDER BY start LIMIT 1),
                    (SELECT start FROM chunk WHERE start < ?2 ORDER BY start DESC LIMIT 1)",
            (window_start(filter.from), filter.to.as_millis()),
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .during(doing)?;
    let (Some(low), Some(high)) = (low, high) else { return Ok(Vec::new()) };
    // From window to window: a clock that once ran years ahead leaves a long way with nothing in it.
    let mut query =
        db.prepare_cached("SELECT start FROM chunk WHERE start >= ?1 ORDER BY start LIMIT 1").during(doing)?;
    let (mut out, mut at) = (Vec::new(), low);
    while at <= high
        && let Some(start) = query.query_row([at], |r| r.get::<_, i64>(0)).optional().during(doing)?
        && start <= high
    {
        out.push(start);
        at = start.saturating_add(WINDOW_MS);
    }
    Ok(out)
}

/// Points of one series, oldest first, at most `most`.
fn span(
    db: &Connection,
    windows: &[i64],
    series: i64,
    from: Timestamp,
    to: Timestamp,
    fresh: Vec<Point>,
    most: usize,
) -> Result<Vec<Point>, StoreError> {
    let mut by_window: BTreeMap<i64, Vec<Point>> = BTreeMap::new();
    for point in fresh {
        by_window.entry(window_start(point.at)).or_default().push(point);
    }
    for start in windows.iter().filter(|s| window_start(from) <= **s) {
        by_window.entry(*start).or_default();
    }
    let mut out = Vec::new();
    for (start, fresh) in by_window {
        let mut points = stored_chunk(db, (start, series))?;
        points.extend(fresh);
        out.extend(chunk::normalise(points).into_iter().filter(|p| from <= p.at && p.at < to));
        if out.len() >= most {
            out.truncate(most);
            break;
        }
    }
    Ok(out)
}
