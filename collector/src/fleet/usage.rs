//! Makes each server's days of what it told. To read a day is to read each chunk of it, so a day is not read each hour: today, and yesterday where hours of it
//! are missing, four times a day; and for a week once a day those of which hours are missing, since agents bring what they kept.

use outband_health::fleet::usage::{Day, DayBook, Sensor, date_of, day_start, is_used};
use outband_schemas::{Clock, ComponentId, Quality, SensorKind, ServerId, Timestamp};
use outband_store::history::{History, Run};
use outband_store::usage::{ServerUsage, Usage};
use outband_store::{Page, SeriesFilter, ServerRecord, Store, StoreError};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// So many days back a day is made where there is none: readings are not kept longer by default.
const BACK_DAYS: i32 = 30;
/// For so many days a day of which hours are missing is looked at again.
const LATE_DAYS: i32 = 7;
/// Days are kept so long: a year and a month, so that a year can be compared.
const KEEP_DAYS: i32 = 400;
const HOURS: u8 = 24;
/// Turns begin so long after each other at least.
const EVERY: Duration = Duration::from_secs(3600);
/// Between two servers it rests, so that a turn takes this part of a core's time at any moment.
const SHARE: u32 = 50;
/// And so long at once at most, so that it ends soon when it has to.
const REST: Duration = Duration::from_millis(50);
/// The first one begins when what was kept while the collector was away has had time to come.
const FIRST: Duration = Duration::from_secs(60);
/// Servers that are written at once, and rows that are read at once.
const SERVERS: usize = 64;
const BATCH: usize = 1000;

/// Works until `shutdown` is cancelled. A failure is logged and tried again. An error is a panic in it.
pub async fn run<S: Store + Usage + History, C: Clock + Send + Sync + 'static>(
    store: S,
    clock: Arc<C>,
    shutdown: CancellationToken,
) -> Result<(), JoinError> {
    let (mut wait, mut before) = (FIRST, None);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = sleep(wait) => {}
        }
        let (store, now, stop, began) = (store.clone(), clock.now(), shutdown.clone(), Instant::now());
        let work = move || {
            let worked = Cell::new(Instant::now());
            turn_since(&store, (before.unwrap_or(now.minus(EVERY)), now), &|| {
                rest(worked.get().elapsed() * (SHARE - 1), &stop);
                worked.set(Instant::now());
                stop.is_cancelled()
            })
        };
        match tokio::task::spawn_blocking(work).await? {
            Ok(made) => {
                before = Some(now);
                tracing::debug!(days = made, took = ?began.elapsed(), "servers' use of power and cooling was summed up")
            }
            Err(StoreError::Closed) => return Ok(()),
            Err(error) => tracing::warn!(%error, "servers' use could not be summed up; it is tried again"),
        }
        wait = EVERY.saturating_sub(began.elapsed()).max(FIRST);
    }
}

/// Waits on the thread of the work, and no longer than until `stop`.
fn rest(mut long: Duration, stop: &CancellationToken) {
    while !long.is_zero() && !stop.is_cancelled() {
        let now = long.min(REST);
        std::thread::sleep(now);
        long -= now;
    }
}

/// Makes what is missing, up to `now` or until it has to `stop`; answers how many days were read.
pub fn turn<S: Store + Usage + History>(
    store: &S,
    now: Timestamp,
    stop: &dyn Fn() -> bool,
) -> Result<usize, StoreError> {
    turn_since(store, (now.minus(EVERY), now), stop)
}

/// The same, where the turn before began at the first of these times: it may have taken hours.
fn turn_since<S: Store + Usage + History>(
    store: &S,
    (before, now): (Timestamp, Timestamp),
    stop: &dyn Fn() -> bool,
) -> Result<usize, StoreError> {
    let keep_from = date_of(now).saturating_sub(KEEP_DAYS);
    let mut made = 0;
    let mut page = Page::first(BATCH);
    loop {
        let listing = store.servers(None, &page)?;
        for some in listing.rows.chunks(SERVERS) {
            let mut of = Vec::with_capacity(some.len());
            for server in some {
                if stop() {
                    return Ok(made);
                }
                let usage = ServerUsage { server: server.id.clone(), days: missing(store, server, (before, now))? };
                made += usage.days.len();
                of.push(usage);
            }
            store.keep_usage(of, keep_from)?;
        }
        match listing.next {
            Some(token) => page = Page::after(token, BATCH),
            None => return Ok(made),
        }
    }
}

/// Whether a day is to be read now. `seen`: in how many of its hours anything was told when it was read last. The hours at which it is (UTC) lie behind those at
/// which others end, so that the last readings of these are there. Those count that began since the turn before: a long turn leaves none out.
fn is_due(date: i32, seen: Option<u8>, (before, now): (Timestamp, Timestamp)) -> bool {
    let hour = |at: Timestamp| at.as_secs().div_euclid(3600);
    let first = hour(before).max(hour(now) - i64::from(HOURS)) + 1;
    let began = |is: fn(i64) -> bool| (first..=hour(now)).any(|hour| is(hour.rem_euclid(i64::from(HOURS))));
    match (seen, date_of(now).saturating_sub(date)) {
        (None, _) => true,
        (Some(HOURS..), _) => false,
        (Some(_), 0 | 1) => began(|hour| hour % 6 == 1),
        (Some(_), age) => age <= LATE_DAYS && began(|hour| hour == 4),
    }
}

/// The days of a server that are not whole, read anew.
fn missing<S: Store + Usage + History>(
    store: &S,
    server: &ServerRecord,
    (before, now): (Timestamp, Timestamp),
) -> Result<Vec<(i32, Day)>, StoreError> {
    let today = date_of(now);
    let from = date_of(server.first_seen).max(today.saturating_sub(BACK_DAYS)).min(today);
    let known: BTreeMap<i32, u8> =
        store.usage_known(&server.id, from, today)?.iter().map(|k| (k.date, k.seen)).collect();
    let dates: Vec<i32> =
        (from..=today).filter(|date| is_due(*date, known.get(date).copied(), (before, now))).collect();
    if dates.is_empty() {
        return Ok(Vec::new());
    }
    let limits = limits(store, &server.id)?;
    let day = |date: i32| {
        let span = (day_start(date), day_start(date.saturating_add(1)));
        let mut book = DayBook::of(date);
        for run in store.runs(&server.id, span, &is_used)? {
            let Run { component, kind, sensor, source, points } = &run;
            let good = points.iter().filter(|p| p.quality == Quality::Good);
            let told = good.filter_map(|p| Some((p.at, p.value.as_ref()?.as_number()?)));
            book.take(Sensor { component, kind: *kind, name: sensor, source: &source.0 }, told);
        }
        Ok(book.close(|component, sensor| limits.get(&(component.clone(), sensor.to_owned())).copied()))
    };
    dates.into_iter().map(|date| Ok((date, day(date)?))).collect()
}

/// The upper warning thresholds of a server's temperatures.
fn limits<S: Store>(store: &S, server: &ServerId) -> Result<BTreeMap<(ComponentId, String), f64>, StoreError> {
    let kind = Some(SensorKind::Temperature);
    let filter = SeriesFilter { server: Some(server.clone()), kind, ..SeriesFilter::default() };
    let (mut limits, mut page) = (BTreeMap::new(), Page::first(BATCH));
    loop {
        let listing = store.latest(&filter, &page)?;
        for reading in listing.rows.into_iter().map(|row| row.reading) {
            if let Some(limit) = reading.thresholds.and_then(|t| t.finite().upper_non_critical) {
                limits.insert((reading.component, reading.sensor), limit);
            }
        }
        match listing.next {
            Some(token) => page = Page::after(token, BATCH),
            None => return Ok(limits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of hourly turns through a day, how many read a day of this age of which so many hours were seen.
    fn read(age: i32, seen: impl Fn(u8) -> Option<u8>) -> usize {
        let today = 20_000;
        let at = |hour: u8| day_start(today).plus(Duration::from_secs(3600 * u64::from(hour) + 600));
        (0..HOURS).filter(|hour| is_due(today - age, seen(*hour), (at(*hour).minus(EVERY), at(*hour)))).count()
    }

    #[test]
    fn a_day_of_which_nothing_is_kept_is_read_at_once() {
        assert_eq!((read(0, |_| None), read(BACK_DAYS, |_| None)), (24, 24));
    }

    #[test]
    fn today_is_read_four_times_and_a_whole_day_never_again() {
        assert_eq!(read(0, Some), 4);
        assert_eq!((read(1, |_| Some(HOURS)), read(5, |_| Some(HOURS))), (0, 0));
    }

    #[test]
    fn what_comes_late_counts_for_a_week() {
        assert_eq!(read(1, |_| Some(20)), 4);
        assert_eq!([2, LATE_DAYS, LATE_DAYS + 1].map(|age| read(age, |_| Some(20))), [1, 1, 0]);
    }

    #[test]
    fn what_was_due_while_a_long_turn_went_on_is_due_at_the_next() {
        let at = |hour: u64| day_start(20_000).plus(Duration::from_secs(3600 * hour + 600));
        assert!(is_due(19_997, Some(20), (at(1), at(8))) && is_due(20_000, Some(5), (at(1), at(8))));
        assert!(!is_due(19_997, Some(20), (at(4), at(8))) && !is_due(20_000, Some(5), (at(1), at(6))));
    }
}
