//! Making rows of buckets: of five minutes, a day a row, once the day is over and sealed; of hours, a month a row, of these.
//!
//! What is to be made stands in the table `roll_due`, written with the seal that makes it so. Until it is made, whoever asks is
//! answered from what lies below. Made again, a row is the same; so nothing is lost by a crash between its file and the table.

use super::SqliteStore;
use super::error::During;
use super::files::{self, Found, Look};
use super::seal::stored_chunk;
use crate::StoreError;
use crate::chunk::{self, Point};
use crate::head::{WINDOW_MS, WindowKey};
use crate::rollup::{self, Bucket, Resolution};
use crate::volume::{Class, Volume};
use outband_schemas::Timestamp;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Rows made at once.
const AT_ONCE: usize = 1024;
/// Portions made in one go: what is left waits for the next.
const PORTIONS: usize = 64;
/// How long after its end a row is taken for finished: late readings within it make no second one.
const GRACE: Duration = Duration::from_secs(30 * 60);

const DAYS: Class = Class::Rolled(Resolution::FiveMinutes);
const MONTHS: Class = Class::Rolled(Resolution::Hour);

/// The start of a row and its series.
type RowKey = (i64, i64);

impl SqliteStore {
    /// Makes rows that are due. Answers how many. The caller has the turn.
    pub(super) fn roll(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut made = 0;
        for class in [DAYS, MONTHS] {
            for _ in 0..PORTIONS {
                let due = self.read(|db| due(db, class, now, AT_ONCE))?;
                if due.is_empty() {
                    break;
                }
                made += due.len();
                self.roll_some(class, due)?;
            }
        }
        Ok(made)
    }

    fn roll_some(&self, class: Class, due: Vec<RowKey>) -> Result<(), StoreError> {
        let (known, rows) = self.read(|db| {
            let look = Look::new(&self.inner.files, db)?;
            let rows: Result<Vec<(RowKey, Vec<Bucket>)>, StoreError> = due
                .iter()
                .map(|(start, series)| Ok(((*start, *series), made(db, &look, class, *start, *series)?)))
                .collect();
            Ok((files::known(db)?, rows?))
        })?;
        let mut by_file = BTreeMap::<Volume, Vec<(RowKey, Vec<Bucket>)>>::new();
        for row in rows {
            if let Some(volume) = Volume::holding(class, Timestamp::from_millis(row.0.0)) {
                by_file.entry(volume).or_default().push(row);
            }
        }
        let mut named = Vec::new();
        for (volume, rows) in &by_file {
            let (_, entry) = self.inner.files.write(volume, known.get(volume), |db| put(db, volume, rows))?;
            named.push((*volume, entry));
        }
        self.inner.writer.write(move |db, _| {
            for (volume, entry) in &named {
                files::name(db, volume, entry)?;
            }
            let mut done = db
                .prepare_cached("DELETE FROM roll_due WHERE class = ?1 AND start = ?2 AND series = ?3")
                .during("making roll-ups")?;
            for (start, series) in &due {
                done.execute((class.number(), start, series)).during("making roll-ups")?;
            }
            match class {
                DAYS => insert_due(db, MONTHS, due.into_iter()),
                _ => Ok(()),
            }
        })
    }
}

/// What memory holds of a series and no file does yet.
pub(super) struct Unsealed<'a> {
    /// The points of the window that begins then.
    pub(super) points: &'a dyn Fn(i64) -> Vec<Point>,
    /// The starts of the windows of which there are any.
    pub(super) windows: &'a BTreeSet<i64>,
}

impl Unsealed<'_> {
    /// Whether there is anything from a span.
    fn touches(&self, start: i64, end: i64) -> bool {
        self.windows.range(start..end.max(start)).next().is_some()
    }
}

/// What a row is made of.
fn made(db: &Connection, look: &Look<'_>, class: Class, start: i64, series: i64) -> Result<Vec<Bucket>, StoreError> {
    let none = Unsealed { points: &|_| Vec::new(), windows: &BTreeSet::new() };
    match class {
        MONTHS => {
            let mut days = Vec::new();
            let (_, end) = span(MONTHS, start);
            for day in days_of(start, end) {
                days.extend(of_day(db, look, &none, day, series)?);
            }
            Ok(rollup::coarsen(&days, Resolution::Hour))
        }
        _ => day_of_readings(db, look, &none, start, series),
    }
}

/// Hours of a month, from its row where that is made, else from its days. Only days that touch the span are looked at where there is no row.
pub(super) fn of_month(
    db: &Connection,
    look: &Look<'_>,
    fresh: &Unsealed<'_>,
    start: i64,
    series: i64,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<Bucket>, StoreError> {
    let (_, end) = span(MONTHS, start);
    if !fresh.touches(start, end)
        && let Some(row) = stored(db, look, MONTHS, start, series)?
    {
        return Ok(row);
    }
    let mut days = Vec::new();
    for day in days_of(start.max(floor_day(from)), end.min(to.as_millis())) {
        days.extend(of_day(db, look, fresh, day, series)?);
    }
    Ok(rollup::coarsen(&days, Resolution::Hour))
}

/// Buckets of five minutes of a day, from its row where that is made, else from its readings.
pub(super) fn of_day(
    db: &Connection,
    look: &Look<'_>,
    fresh: &Unsealed<'_>,
    start: i64,
    series: i64,
) -> Result<Vec<Bucket>, StoreError> {
    // Readings that come when the others of their day are gone change nothing.
    let (_, end) = span(DAYS, start);
    if (!fresh.touches(start, end) || start < look.raw_from())
        && let Some(row) = stored(db, look, DAYS, start, series)?
    {
        return Ok(row);
    }
    day_of_readings(db, look, fresh, start, series)
}

fn day_of_readings(
    db: &Connection,
    look: &Look<'_>,
    fresh: &Unsealed<'_>,
    start: i64,
    series: i64,
) -> Result<Vec<Bucket>, StoreError> {
    let (_, end) = span(DAYS, start);
    let mut out = Vec::new();
    let mut window = start;
    while window < end {
        let mut points = stored_chunk(db, look, (window, series))?;
        points.extend((fresh.points)(window));
        // No bucket reaches over the end of a window.
        out.extend(rollup::reduce(&chunk::normalise(points), Resolution::FiveMinutes));
        window += WINDOW_MS;
    }
    Ok(out)
}

/// A row as it was made; `None` where it is to be made, or made again, or cannot be read.
fn stored(
    db: &Connection,
    look: &Look<'_>,
    class: Class,
    start: i64,
    series: i64,
) -> Result<Option<Vec<Bucket>>, StoreError> {
    let Found::Row(body) = look.row(class, start, series)? else { return Ok(None) };
    let due: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM roll_due WHERE class = ?1 AND start = ?2 AND series = ?3)")
        .and_then(|mut s| s.query_row((class.number(), start, series), |r| r.get(0)))
        .during("looking for roll-ups that are due")?;
    if due {
        return Ok(None);
    }
    match rollup::decode(&body) {
        Ok((resolution, row)) if Class::Rolled(resolution) == class => Ok(Some(row)),
        Ok(_) => Ok(None),
        Err(error) => {
            tracing::error!(series, start = %Timestamp::from_millis(start), %error, "a roll-up of a sensor is damaged");
            Ok(None)
        }
    }
}

fn put(db: &Connection, volume: &Volume, rows: &[(RowKey, Vec<Bucket>)]) -> Result<(), StoreError> {
    let doing = "writing roll-ups";
    let Class::Rolled(resolution) = volume.class else { return Ok(()) };
    let mut insert = db
        .prepare_cached(
            "INSERT INTO chunk (key, body) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET body = excluded.body",
        )
        .during(doing)?;
    let mut remove = db.prepare_cached("DELETE FROM chunk WHERE key = ?1").during(doing)?;
    for ((start, series), buckets) in rows {
        let Some(key) = volume.key(*start, *series) else { continue };
        if buckets.is_empty() {
            remove.execute([key]).during(doing)?;
        } else {
            insert.execute((key, rollup::encode(buckets, resolution))).during(doing)?;
        }
    }
    Ok(())
}

/// Notes that the days of these windows are to be made, or made again, and so their months: one that was made tells nothing of what came after it.
/// Days whose readings are gone stay as they are.
pub(super) fn days_due(db: &Connection, windows: impl Iterator<Item = WindowKey>) -> Result<(), StoreError> {
    let raw_from = files::raw_from(db)?;
    let days: BTreeSet<RowKey> = windows
        .filter_map(|(start, series)| Some((DAYS.row(Timestamp::from_millis(start))?.0, series)))
        .filter(|(day, _)| *day >= raw_from)
        .collect();
    insert_due(db, MONTHS, month_of(&days).into_iter())?;
    insert_due(db, DAYS, days.into_iter())
}

/// The rows of months that hold these days.
fn month_of(days: &BTreeSet<RowKey>) -> BTreeSet<RowKey> {
    let month = |(day, series): &RowKey| Some((MONTHS.row(Timestamp::from_millis(*day))?.0, *series));
    days.iter().filter_map(month).collect()
}

fn insert_due(db: &Connection, class: Class, rows: impl Iterator<Item = RowKey>) -> Result<(), StoreError> {
    let doing = "noting roll-ups that are due";
    let mut insert = db
        .prepare_cached("INSERT INTO roll_due (class, start, series) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")
        .during(doing)?;
    for (start, series) in rows {
        if let Some((start, _)) = class.row(Timestamp::from_millis(start)) {
            insert.execute((class.number(), start, series)).during(doing)?;
        }
    }
    Ok(())
}

/// Rows whose span is over, the oldest first.
fn due(db: &Connection, class: Class, now: Timestamp, most: usize) -> Result<Vec<RowKey>, StoreError> {
    let doing = "looking for roll-ups that are due";
    let sql = "SELECT start, series FROM roll_due WHERE class = ?1 AND start < ?2 ORDER BY start, series LIMIT ?3";
    let mut query = db.prepare_cached(sql).during(doing)?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows =
        query.query_map((class.number(), now.as_millis(), most), |r| Ok((r.get(0)?, r.get(1)?))).during(doing)?;
    let over = |(start, _): &RowKey| Timestamp::from_millis(span(class, *start).1).plus(GRACE) <= now;
    let all: Vec<RowKey> = rows.collect::<Result<_, _>>().during(doing)?;
    Ok(all.into_iter().take_while(over).collect())
}

/// The span of a row; one that no file holds has none.
fn span(class: Class, start: i64) -> (i64, i64) {
    class.row(Timestamp::from_millis(start)).unwrap_or((start, start))
}

fn floor_day(at: Timestamp) -> i64 {
    DAYS.row(at).map_or(at.as_millis(), |(start, _)| start)
}

fn days_of(start: i64, end: i64) -> impl Iterator<Item = i64> {
    let mut at = start;
    std::iter::from_fn(move || {
        let day = (at < end).then_some(at)?;
        at = span(DAYS, day).1.max(day + 1);
        Some(day)
    })
}
