//! Summaries: rows of buckets where they are made, and what they would be where they are not.

use super::SqliteStore;
use super::error::During;
use super::files::{Look, holdings};
use super::history::{Rest, Series, in_main, rest, runs, series_of};
use super::query::next_token;
use super::recent::Recent;
use super::roll::{self, Unsealed};
use crate::StoreError;
use crate::chunk;
use crate::head::{WINDOW_MS, window_start};
use crate::history::{History, Holding, Run, Summary, Wanted};
use crate::query::{HistoryFilter, Listing, Page};
use crate::retention::{KindTerms, Retention};
use crate::rollup::{self, Bucket, Resolution};
use crate::volume::{Class, Volume};
use outband_schemas::catalog::CATALOG;
use outband_schemas::{ServerId, Timestamp};
use rusqlite::{Connection, params_from_iter};
use std::collections::BTreeSet;

impl History for SqliteStore {
    fn summaries(
        &self,
        filter: &HistoryFilter,
        resolution: Resolution,
        page: &Page,
    ) -> Result<Listing<Summary>, StoreError> {
        self.whole(|db, look, recent| list(db, look, recent, filter, resolution, page))
    }

    fn runs(
        &self,
        server: &ServerId,
        span: (Timestamp, Timestamp),
        wanted: Wanted<'_>,
    ) -> Result<Vec<Run>, StoreError> {
        self.whole(|db, look, recent| runs(db, look, recent, server, span, wanted))
    }

    fn thin(
        &self,
        now: Timestamp,
        retention: &Retention,
        kinds: &KindTerms,
        wanted: &dyn Fn() -> bool,
    ) -> Result<usize, StoreError> {
        let all =
            CATALOG.iter().map(|row| (row.kind, retention.of_kind(kinds, row.kind).limits(now))).collect::<Vec<_>>();
        let gone = |volume: &Volume| {
            let over = all.iter().filter(|(_, limits)| Timestamp::from_millis(volume.end) <= limits.of(volume.class));
            over.map(|(kind, _)| *kind).collect()
        };
        self.thin_files(gone, wanted)
    }

    fn holdings(&self) -> Result<Vec<Holding>, StoreError> {
        self.read(|db| holdings(db, &self.inner.files))
    }
}

fn list(
    db: &Connection,
    look: &Look<'_>,
    recent: &Recent<'_>,
    filter: &HistoryFilter,
    resolution: Resolution,
    page: &Page,
) -> Result<Listing<Summary>, StoreError> {
    let doing = "reading summaries";
    // Where the page before ended: the series, and the start of its last bucket.
    let Rest { after, sql, params } = rest(filter, page)?;
    let first = resolution.start_of(filter.from);
    let rows = rows(db, look, &HistoryFilter { from: first, ..filter.clone() }, resolution)?;
    let mut query = db.prepare_cached(&sql).during(doing)?;
    let mut found = query.query(params_from_iter(params)).during(doing)?;
    let mut out: Vec<(i64, Summary)> = Vec::new();
    let limit = page.limit.max(1);
    while out.len() <= limit
        && let Some(r) = found.next().during(doing)?
    {
        let series = series_of(r)?;
        let from = match after {
            Some((id, at)) if id == series.id => first.max(Timestamp::from_millis(at.saturating_add(1))),
            _ => first,
        };
        let most = limit + 1 - out.len();
        for bucket in buckets(db, look, recent, &rows, &series, (from, filter.to), resolution, most)? {
            let summary = Summary {
                server: series.server.clone(),
                component: series.component.clone(),
                kind: series.kind,
                sensor: series.sensor.clone(),
                source: series.source.clone(),
                bucket,
            };
            out.push((series.id, summary));
        }
    }
    let listing = next_token(out, limit, |(id, last)| serde_json::to_string(&(id, last.bucket.start.as_millis())))?;
    Ok(Listing { rows: listing.rows.into_iter().map(|(_, s)| s).collect(), next: listing.next })
}

/// Where to look: the starts of rows of which anything may be stored, and windows that lie outside of the calendar.
fn rows(
    db: &Connection,
    look: &Look<'_>,
    filter: &HistoryFilter,
    resolution: Resolution,
) -> Result<BTreeSet<i64>, StoreError> {
    let mut rows = BTreeSet::new();
    for class in Class::ALL {
        for start in look.starts(class, filter.from, filter.to)? {
            let end = class.row(Timestamp::from_millis(start)).map_or(start, |(_, end)| end).min(filter.to.as_millis());
            rows.extend(row_starts(start.max(filter.from.as_millis()), end, resolution));
        }
    }
    for window in in_main(db, filter)? {
        rows.insert(row_start(window, resolution));
    }
    Ok(rows)
}

/// The starts of the rows that touch a span of the calendar.
fn row_starts(start: i64, end: i64, resolution: Resolution) -> Vec<i64> {
    let class = Class::Rolled(resolution);
    let mut out = Vec::new();
    let mut at = class.row(Timestamp::from_millis(start));
    while let Some((row, next)) = at.filter(|(row, _)| *row < end) {
        out.push(row);
        at = class.row(Timestamp::from_millis(next));
    }
    out
}

/// The start of the row that holds a window; outside of the calendar, of the window itself.
fn row_start(window: i64, resolution: Resolution) -> i64 {
    Class::Rolled(resolution).row(Timestamp::from_millis(window)).map_or(window, |(start, _)| start)
}

/// Buckets of one series, oldest first, at most `most`.
#[allow(clippy::too_many_arguments, reason = "all of one query")]
fn buckets(
    db: &Connection,
    look: &Look<'_>,
    recent: &Recent<'_>,
    rows: &BTreeSet<i64>,
    series: &Series,
    (from, to): (Timestamp, Timestamp),
    resolution: Resolution,
    most: usize,
) -> Result<Vec<Bucket>, StoreError> {
    let in_span = |b: &Bucket| from <= b.start && b.start < to;
    let of_window = |window: i64| {
        let end = Timestamp::from_millis(window.saturating_add(WINDOW_MS));
        recent.with(|head| head.of_series(series.id, Timestamp::from_millis(window), end))
    };
    let touches = |window: &i64| *window < to.as_millis() && window.saturating_add(WINDOW_MS) > from.as_millis();
    let held: BTreeSet<i64> = recent.with(|head| head.starts(series.id)).into_iter().filter(touches).collect();
    let mut all: BTreeSet<i64> = rows.range(row_start(window_start(from), resolution)..).copied().collect();
    all.extend(held.iter().map(|window| row_start(*window, resolution)));
    let unsealed = Unsealed { points: &of_window, windows: &held };
    let mut out = Vec::new();
    for row in all {
        let made = match (Class::Rolled(resolution).row(Timestamp::from_millis(row)), resolution) {
            (Some(_), Resolution::Hour) => roll::of_month(db, look, &unsealed, row, series.id, (from, to))?,
            (Some(_), Resolution::FiveMinutes) => roll::of_day(db, look, &unsealed, row, series.id)?,
            (None, _) => {
                let mut points = super::seal::stored_chunk(db, look, (row, series.id))?;
                points.extend(of_window(row));
                rollup::reduce(&chunk::normalise(points), resolution)
            }
        };
        out.extend(made.into_iter().filter(in_span));
        if out.len() >= most {
            out.truncate(most);
            break;
        }
    }
    Ok(out)
}
