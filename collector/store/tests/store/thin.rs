//! Kinds of sensors with terms of their own: files made anew without those whose term is over.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use super::conformance::make::*;
use outband_schemas::{Reading, SensorKind, Timestamp};
use outband_store::history::History;
use outband_store::retention::{KindTerm, KindTerms};
use outband_store::rollup::Resolution;
use outband_store::sqlite::Options;
use outband_store::volume::{Class, Volume};
use outband_store::{Applied, HistoryFilter, Page, Retention, SeriesFilter, SqliteStore, Store};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

const DAY: i64 = 86_400;
/// When it is: some days after three months of readings.
const NOW: i64 = 95 * DAY;

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(&Options::new(dir)).unwrap()
}

fn general() -> Retention {
    Retention { raw_days: 2, five_minute_days: 3, hour_days: 3000, ..Retention::default() }
}

/// Buckets of temperatures are kept for a year.
fn terms() -> KindTerms {
    KindTerms::from([(SensorKind::Temperature, KindTerm { five_minute_days: Some(366), hour_days: None })])
}

/// Three months of a fan and of a temperature, rolled up, their readings gone.
fn aged(dir: &Path) -> SqliteStore {
    let store = open(dir);
    let of = |kind| move |n: i64| Reading { kind, ..reading(fan("Fan 1"), n * DAY / 4, n as f64) };
    let both = [SensorKind::FanSpeed, SensorKind::Temperature].map(|kind| (0..4 * 91).map(of(kind)));
    let list = both.into_iter().flatten().collect();
    store.apply(Applied { readings: vec![readings("s1", list)], ..applied(&["s1"]) }, at(0)).unwrap();
    while store.seal(at(NOW)).unwrap().rolled > 0 {}
    store.expire(at(NOW), &general().of_files(&terms())).unwrap();
    store
}

fn count(store: &SqliteStore, kind: SensorKind, resolution: Resolution) -> usize {
    let filter = HistoryFilter {
        series: SeriesFilter { kind: Some(kind), ..SeriesFilter::default() },
        from: Timestamp::EPOCH,
        to: at(NOW),
    };
    store.summaries(&filter, resolution, &Page::first(100_000)).unwrap().rows.len()
}

/// Buckets of five minutes of fans and of temperatures, and hours of both.
fn told(store: &SqliteStore) -> [usize; 4] {
    [Resolution::FiveMinutes, Resolution::Hour]
        .map(|of| [SensorKind::FanSpeed, SensorKind::Temperature].map(|kind| count(store, kind, of)))
        .concat()
        .try_into()
        .unwrap()
}

fn file(dir: &Path, secs: i64) -> PathBuf {
    let class = Class::Rolled(Resolution::FiveMinutes);
    dir.join("history").join(Volume::holding(class, at(secs)).unwrap().file_name())
}

fn thin(store: &SqliteStore) -> usize {
    store.thin(at(NOW), &general(), &terms(), &|| true).unwrap()
}

#[test]
fn a_kind_whose_term_is_over_goes_from_its_files_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = aged(dir.path());
    let [fans, temperatures, hours, more] = told(&store);
    assert!(fans == temperatures && hours == more && fans > 4 * 85, "{:?}", told(&store));
    let made = thin(&store);
    assert!(made >= 2, "{made} months are over");
    let after = told(&store);
    assert!(after[0] < fans / 3, "{after:?}: only of the last month");
    assert_eq!(after[1..], [temperatures, hours, more]);
    assert_eq!(thin(&store), 0, "once");
    drop(store);
    let store = open(dir.path());
    assert_eq!((told(&store), store.damage()), (after, None), "after a restart, too");
}

#[test]
fn without_terms_of_kinds_no_file_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let store = aged(dir.path());
    let before = told(&store);
    let files = general().of_files(&terms());
    assert_eq!(store.thin(at(NOW), &files, &KindTerms::new(), &|| true).unwrap(), 0);
    assert_eq!(told(&store), before);
}

#[test]
fn a_crash_in_the_middle_leaves_the_old_file_and_the_next_one_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = aged(dir.path());
    let before = told(&store);
    let asked = Cell::new(0);
    let crash = || {
        asked.set(asked.get() + 1);
        assert!(asked.get() < 3, "the power is gone");
        true
    };
    let died = catch_unwind(AssertUnwindSafe(|| store.thin(at(NOW), &general(), &terms(), &crash)));
    assert!(died.is_err() && file(dir.path(), 0).with_extension("new").exists());
    assert_eq!(told(&store), before);
    drop(store);
    let store = open(dir.path());
    assert_eq!((told(&store), store.damage()), (before, None));
    assert!(thin(&store) >= 2 && told(&store)[1..] == before[1..]);
    assert!(!file(dir.path(), 0).with_extension("new").exists());
}

#[test]
fn what_changes_a_file_meanwhile_counts_and_it_is_made_anew_later() {
    let dir = tempfile::tempdir().unwrap();
    let store = aged(dir.path());
    let before = told(&store);
    let path = file(dir.path(), 0);
    let asked = Cell::new(0);
    let erase = || {
        asked.set(asked.get() + 1);
        if asked.get() == 3 {
            let db = rusqlite::Connection::open(&path).unwrap();
            db.execute("DELETE FROM chunk WHERE key = (SELECT max(key) FROM chunk)", []).unwrap();
        }
        asked.get() < 4
    };
    assert_eq!(store.thin(at(NOW), &general(), &terms(), &erase).unwrap(), 0);
    let [fans, temperatures, ..] = told(&store);
    assert_eq!(fans + temperatures, before[0] + before[1] - 4, "a day of one of the two is erased, nothing else");
    assert!(thin(&store) >= 2);
    assert_eq!(told(&store)[1], temperatures, "and stays so");
}

#[test]
fn it_stops_when_it_is_not_wanted_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = aged(dir.path());
    let before = told(&store);
    assert_eq!(store.thin(at(NOW), &general(), &terms(), &|| false).unwrap(), 0);
    assert_eq!(told(&store), before);
}

#[test]
fn who_reads_meanwhile_reads_a_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = aged(dir.path());
    let before = told(&store);
    let (done, reader) = (std::sync::atomic::AtomicBool::new(false), store.clone());
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                assert_eq!(count(&reader, SensorKind::Temperature, Resolution::FiveMinutes), before[1]);
            }
        });
        // Where readers are always at it, a turn may find no moment; the next does.
        let made =
            (0..50).map(|_| store.thin(at(NOW), &general(), &terms(), &|| true)).any(|made| made.is_ok_and(|n| n > 0));
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        reading.join().unwrap();
        assert!(made);
    });
}
