//! Readings that are asked for: latest values and history.

use super::error::{During, damaged, from_json, parsed};
use super::query::{next_token, series_where};
use super::seal::{stored_chunk, unreadable};
use crate::StoreError;
use crate::chunk::{self, Point};
use crate::head::{WINDOW_MS, window_start};
use crate::query::{HistoryFilter, Listing, Page, SeriesFilter};
use crate::record::{HistoryPoint, LatestReading};
use outband_schemas::{ComponentId, Reading, SensorKind, ServerId, Source, Timestamp};
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use std::collections::BTreeMap;

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
        "SELECT s.id, s.server, s.component, s.kind, s.sensor, s.source, s.thresholds, l.received_at, l.body, l.observed_at
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
        let observed: i64 = r.get(9).during(doing)?;
        let point = chunk::decode(body).ok().and_then(|mut points| points.pop()).unwrap_or_else(|| {
            tracing::error!(series = series.id, "the latest value of a sensor is damaged");
            unreadable(observed)
        });
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
