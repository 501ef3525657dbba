//! Readings that are asked for: latest values and history.

use super::error::{During, damaged, from_json, parsed};
use super::files::Look;
use super::query::{next_token, series_where};
use super::recent::Recent;
use super::seal::{stored_chunk, unreadable};
use crate::StoreError;
use crate::chunk::{self, Point};
use crate::head::{WINDOW_MS, window_start};
use crate::history::{Run, Wanted};
use crate::query::{HistoryFilter, Listing, Page, SeriesFilter};
use crate::record::{HistoryPoint, LatestReading};
use crate::volume::Class;
use outband_schemas::{ComponentId, Reading, SensorKind, ServerId, Source, Timestamp};
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use std::collections::BTreeMap;

/// A sensor and its number.
pub(super) struct Series {
    pub(super) id: i64,
    pub(super) server: ServerId,
    pub(super) component: ComponentId,
    pub(super) kind: SensorKind,
    pub(super) sensor: String,
    pub(super) source: Source,
}

/// The sensor of a row that begins with its number, server, component, kind, name and source.
pub(super) fn series_of(r: &rusqlite::Row<'_>) -> Result<Series, StoreError> {
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

/// The newest value of each sensor: in memory until it is sealed, else in the file.
pub(super) fn latest(
    db: &Connection,
    recent: &Recent<'_>,
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
    let sql = format!(
        "SELECT s.id, s.server, s.component, s.kind, s.sensor, s.source, s.thresholds, l.observed_at, l.received_at, l.body
         FROM series s LEFT JOIN latest l ON l.series = s.id WHERE {clause}
         ORDER BY s.server, s.component, s.kind, s.sensor, s.source"
    );
    let mut query = db.prepare_cached(&sql).during(doing)?;
    let mut rows = query.query(params_from_iter(params)).during(doing)?;
    let mut out = Vec::new();
    while out.len() <= limit
        && let Some(r) = rows.next().during(doing)?
    {
        let id = r.get(0).during(doing)?;
        let observed: Option<i64> = r.get(7).during(doing)?;
        let received: Option<i64> = r.get(8).during(doing)?;
        let fresh = recent.with(|head| head.newest(id)).filter(|f| match f.received_at {
            Some(_) => observed.is_none_or(|o| o <= f.point.at.as_millis()),
            // Of an older version, which stored the latest value as well, and when it came.
            None => observed.is_none_or(|o| o < f.point.at.as_millis()),
        });
        let (point, received) = match (fresh, observed) {
            (Some(fresh), _) => (fresh.point.clone(), fresh.received_at.unwrap_or(fresh.point.at)),
            (None, Some(observed)) => {
                let body = r.get_ref(9).and_then(|v| Ok(v.as_blob()?)).during(doing)?;
                let point = chunk::decode(body).ok().and_then(|mut points| points.pop()).unwrap_or_else(|| {
                    tracing::error!(series = id, "the latest value of a sensor is damaged");
                    unreadable(observed)
                });
                (point, Timestamp::from_millis(received.unwrap_or(observed)))
            }
            // Nothing was read of it for as long as readings are kept.
            (None, None) => continue,
        };
        let series = series_of(r)?;
        let thresholds: Option<String> = r.get(6).during(doing)?;
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
            received_at: received,
        });
    }
    next_token(out, limit, |last: &LatestReading| {
        let r = &last.reading;
        let key = (last.server.as_str(), r.component.to_string(), r.kind.number(), &r.sensor, &r.source.0);
        serde_json::to_string(&key)
    })
}

/// The sensors that a page has still to tell of, and how far the page before came in the first of them.
pub(super) struct Rest {
    pub(super) after: Option<(i64, i64)>,
    pub(super) sql: String,
    pub(super) params: Vec<rusqlite::types::Value>,
}

pub(super) fn rest(filter: &HistoryFilter, page: &Page) -> Result<Rest, StoreError> {
    let after: Option<(i64, i64)> = match &page.token {
        Some(token) => Some(serde_json::from_str(token).map_err(|_| StoreError::BadToken)?),
        None => None,
    };
    let (mut clause, mut params) = series_where(&filter.series);
    // A server's sensors are few, and found by its name. Left to itself, SQLite would go through those of all servers that have the kind, since
    // these lie in the order that is asked for: with `+` it cannot. Of all servers, that is the way, since a page ends early.
    let id = if filter.series.server.is_some() { "+s.id" } else { "s.id" };
    if let Some((series, _)) = after {
        clause.push_str(&format!(" AND {id} >= ?"));
        params.push(series.into());
    }
    let sql = format!(
        "SELECT s.id, s.server, s.component, s.kind, s.sensor, s.source FROM series s WHERE {clause} ORDER BY {id}"
    );
    Ok(Rest { after, sql, params })
}

/// History, sensor by sensor.
pub(super) fn history(
    db: &Connection,
    look: &Look<'_>,
    recent: &Recent<'_>,
    filter: &HistoryFilter,
    page: &Page,
) -> Result<Listing<HistoryPoint>, StoreError> {
    let doing = "reading history";
    // Where the page before ended: the series, and the time of its last point.
    let Rest { after, sql, params } = rest(filter, page)?;
    let windows = windows(db, look, filter)?;
    let lost = look.lost(filter.from, filter.to)?;
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
        let mut fresh = recent.with(|head| head.of_series(series.id, from, filter.to));
        // Where a file is lost, every sensor says so once.
        fresh.extend(lost.iter().filter(|at| from <= **at).map(|at| unreadable(at.as_millis())));
        for point in span(db, look, &windows, series.id, (from, filter.to), fresh, limit + 1 - out.len())? {
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

/// The readings of those sensors of a server that are wanted.
pub(super) fn runs(
    db: &Connection,
    look: &Look<'_>,
    recent: &Recent<'_>,
    server: &ServerId,
    (from, to): (Timestamp, Timestamp),
    wanted: Wanted<'_>,
) -> Result<Vec<Run>, StoreError> {
    let doing = "reading history";
    let series = SeriesFilter { server: Some(server.clone()), ..SeriesFilter::default() };
    let filter = HistoryFilter { series, from, to };
    let Rest { sql, params, .. } = rest(&filter, &Page::first(1))?;
    let windows = windows(db, look, &filter)?;
    let lost = look.lost(from, to)?;
    let mut query = db.prepare_cached(&sql).during(doing)?;
    let mut rows = query.query(params_from_iter(params)).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        let Series { id, component, kind, sensor, source, .. } = series_of(r)?;
        if !wanted(&component, kind, &sensor) {
            continue;
        }
        let mut fresh = recent.with(|head| head.of_series(id, from, to));
        fresh.extend(lost.iter().map(|at| unreadable(at.as_millis())));
        let points = span(db, look, &windows, id, (from, to), fresh, usize::MAX)?;
        out.push(Run { component, kind, sensor, source, points });
    }
    Ok(out)
}

/// The windows that have chunks in the span.
fn windows(db: &Connection, look: &Look<'_>, filter: &HistoryFilter) -> Result<Vec<i64>, StoreError> {
    let mut all = in_main(db, filter)?;
    all.extend(look.starts(Class::Raw, filter.from, filter.to)?);
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The windows in the span of which the main file has chunks: of wrong clocks, and of an older version.
pub(super) fn in_main(db: &Connection, filter: &HistoryFilter) -> Result<Vec<i64>, StoreError> {
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
    look: &Look<'_>,
    windows: &[i64],
    series: i64,
    (from, to): (Timestamp, Timestamp),
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
        let mut points = stored_chunk(db, look, (start, series))?;
        points.extend(fresh);
        out.extend(chunk::normalise(points).into_iter().filter(|p| from <= p.at && p.at < to));
        if out.len() >= most {
            out.truncate(most);
            break;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::Options;
    use crate::{SqliteStore, Store};

    fn plan(db: &Connection, series: SeriesFilter, token: Option<&str>) -> String {
        let filter = HistoryFilter { series, from: Timestamp::EPOCH, to: Timestamp::EPOCH };
        let page = Page { limit: 10, token: token.map(str::to_owned) };
        let Rest { sql, params, .. } = rest(&filter, &page).unwrap();
        let mut query = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = query.query_map(params_from_iter(params), |r| r.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn one_servers_sensors_are_not_looked_for_among_those_of_all() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
        let (server, component) = (ServerId::new("srv-1").unwrap(), "fan/1".parse().unwrap());
        let of = SeriesFilter {
            server: Some(server),
            component: Some(component),
            class: None,
            kind: Some(SensorKind::Temperature),
        };
        let read = |series: SeriesFilter, token| store.read(|db| Ok(plan(db, series, token))).unwrap();
        for token in [None, Some("[7,1000]")] {
            for component in [of.component.clone(), None] {
                let found = read(SeriesFilter { component, ..of.clone() }, token);
                assert!(found.contains("(server=?"), "{token:?}: {found}");
            }
            let found = read(SeriesFilter { server: None, ..of.clone() }, token);
            assert!(found.contains("series_by_kind") && !found.contains("TEMP B-TREE"), "{token:?}: {found}");
        }
        store.close().unwrap();
    }
}
