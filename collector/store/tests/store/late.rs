//! Readings in any order: late by minutes or by months, from the future, from clocks that are wrong, sent twice; between them seals, restarts, an erasure.
//! Whatever happened, history is what was sent, and buckets are what is made of that.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use super::conformance::make::*;
use outband_schemas::{Quality, Timestamp, Value};
use outband_store::audit::{Actor, Deed, Outcome};
use outband_store::chunk::Point;
use outband_store::history::History;
use outband_store::keeping::{CustomerErasure, Keeping};
use outband_store::rollup::{self, Resolution};
use outband_store::sqlite::Options;
use outband_store::{Applied, HistoryFilter, Page, SeriesFilter, SqliteStore, Store};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

const DAY: i64 = 86_400;
const NAMES: [&str; 2] = ["stays", "goes"];

#[derive(Debug, Clone)]
enum Step {
    /// Readings of a server: seconds after some moment, and values.
    Send(usize, Vec<(i64, u32)>),
    /// At so many seconds after that moment.
    Seal(i64),
    Restart,
    /// Of the second server.
    Erase,
}

/// Mostly of these days; some late by weeks, some of the future, some of clocks that never were right.
fn moment() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => 0..3 * DAY,
        4 => (0..40i64, 0..20i64).prop_map(|(hours, n)| hours * 7200 - 10 + n),
        2 => -60 * DAY..0,
        1 => 3 * DAY..500 * DAY,
        1 => prop_oneof![Just(-1_799_999_000i64), Just(-1_900_000_000), Just(8_600_000_000)],
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let points = prop::collection::vec((moment(), 0..5000u32), 1..40);
    prop_oneof![
        8 => (0..2usize, points).prop_map(|(of, points)| Step::Send(of, points)),
        4 => (0..80i64).prop_map(|days| Step::Seal(days * DAY / 2)),
        1 => Just(Step::Restart),
        1 => Just(Step::Erase),
    ]
}

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(&Options::new(dir)).unwrap()
}

fn send(store: &SqliteStore, name: &str, points: &[(i64, u32)]) {
    let list = points.iter().map(|(secs, value)| reading(fan("Fan 1"), *secs, f64::from(*value))).collect();
    store.apply(Applied { readings: vec![readings(name, list)], ..applied(&[name]) }, at(0)).unwrap();
}

fn erase(store: &SqliteStore, name: &str) {
    let erasure = CustomerErasure { servers: [server_id(name)].into(), records: true, ..CustomerErasure::default() };
    let deed = Deed {
        at: at(0),
        role: String::new(),
        method: "test".to_owned(),
        resource: String::new(),
        detail: String::new(),
        outcome: Outcome::Done,
        request_id: None,
        before: None,
        after: None,
    };
    store.erase_customer(&erasure, Actor { name: "wang".to_owned(), peer: None }, deed).unwrap();
}

/// What was sent of each server, by the time.
type Sent = BTreeMap<&'static str, BTreeMap<i64, u32>>;

fn points(of: &BTreeMap<i64, u32>) -> Vec<Point> {
    let point = |(secs, value): (&i64, &u32)| Point {
        at: at(*secs),
        value: Some(Value::Number(f64::from(*value))),
        quality: Quality::Good,
    };
    of.iter().map(point).collect()
}

fn is_told(store: &SqliteStore, sent: &Sent) -> Result<(), TestCaseError> {
    for (name, of) in sent {
        let expected = points(of);
        let series = SeriesFilter { server: Some(server_id(name)), ..SeriesFilter::default() };
        let (from, to) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
        let filter = HistoryFilter { series, from, to };
        let page = Page::first(100_000);
        let told = store.history(&filter, &page).unwrap().rows;
        let told: Vec<_> =
            told.into_iter().map(|p| Point { at: p.observed_at, value: p.value, quality: p.quality }).collect();
        prop_assert_eq!(&told, &expected);
        let runs = store.runs(&server_id(name), (from, to), &|_, _, _| true).unwrap();
        prop_assert_eq!(runs.into_iter().flat_map(|run| run.points).collect::<Vec<_>>(), expected.clone());
        prop_assert!(store.runs(&server_id(name), (from, to), &|_, _, _| false).unwrap().is_empty());
        for resolution in Resolution::ALL {
            let rows = store.summaries(&filter, resolution, &page).unwrap().rows;
            let told: Vec<_> = rows.into_iter().map(|s| s.bucket).collect();
            prop_assert_eq!(told, rollup::reduce(&expected, resolution), "{:?}", resolution);
        }
        // A span of it, to be held against what lies beside it.
        let (from, to) = (at(DAY / 2), at(2 * DAY + 7));
        let part = store.history(&HistoryFilter { from, to, ..filter }, &page).unwrap().rows;
        prop_assert_eq!(part.len(), of.range(DAY / 2..2 * DAY + 7).count());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn history_is_what_was_sent_in_whatever_order_it_came(steps in prop::collection::vec(step(), 1..16)) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let mut sent: Sent = NAMES.into_iter().map(|name| (name, BTreeMap::new())).collect();
        let mut erased = false;
        for step in &steps {
            match step {
                Step::Send(1, _) if erased => {}
                Step::Send(of, points) => {
                    send(&store, NAMES[*of], points);
                    sent.get_mut(NAMES[*of]).unwrap().extend(points.iter().copied());
                }
                Step::Seal(secs) => drop(store.seal(at(*secs)).unwrap()),
                Step::Restart => {
                    drop(store);
                    store = open(dir.path());
                }
                Step::Erase => {
                    erase(&store, NAMES[1]);
                    sent.insert(NAMES[1], BTreeMap::new());
                    erased = true;
                }
            }
            is_told(&store, &sent)?;
        }
        // All of it put away, and every day and month made.
        for days in [3, 45, 540] {
            store.seal(at(days * DAY)).unwrap();
            is_told(&store, &sent)?;
        }
    }
}

#[test]
fn what_a_clock_that_begins_in_1970_stamped_is_told_once_it_is_put_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let points = [0, 1000, 86_400, 3 * DAY, 4 * DAY].map(|secs| (secs - 1_800_000_000, 5));
    send(&store, NAMES[0], &points);
    let sent = Sent::from([(NAMES[0], points.into_iter().collect())]);
    for days in [1, 3, 45] {
        store.seal(at(days * DAY)).unwrap();
        is_told(&store, &sent).unwrap();
    }
}
