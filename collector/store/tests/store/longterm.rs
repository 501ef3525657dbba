//! What years of history cost, in figures:
//! `OUTBAND_SERIES=2000 OUTBAND_DAYS=8 cargo test --release -p outband-store --test store -- --ignored --nocapture longterm`.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use super::conformance::make::*;
use outband_schemas::{ComponentClass, ComponentId, Reading, SensorKind, ServerId};
use outband_store::history::{History, Holding};
use outband_store::rollup::Resolution;
use outband_store::sqlite::Options;
use outband_store::{Applied, HistoryFilter, Page, SeriesFilter, SqliteStore, Store};
use std::time::{Duration, Instant};

/// A small generator of its own (SplitMix64), so that the figures are the same everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// A sensor as BMCs have them: of ten, four stand still, three are temperatures in whole degrees that follow the day, one is a
/// fan in steps of 75 rpm, one a voltage in steps of 0.063 V, one a power meter in whole watts.
pub(crate) fn value(sensor: u64, minute: i64, walk: &mut i64, dice: &mut Dice) -> f64 {
    let day = (minute as f64 / 1440.0 * std::f64::consts::TAU).sin();
    match sensor % 10 {
        0..=3 => 1.0,
        4..=6 => {
            if dice.roll(12) == 0 {
                *walk = (*walk + dice.roll(3) as i64 - 1).clamp(-2, 2);
            }
            (40.0 + 3.0 * day).round() + *walk as f64
        }
        7 => 5025.0 + 75.0 * (dice.roll(3) as f64 + (2.0 * day).round()),
        8 => (192 + dice.roll(3) as i64 - 1) as f64 * 0.063,
        _ => (312.0 + 40.0 * day).round() + dice.roll(12) as f64,
    }
}

pub(crate) const KINDS: [SensorKind; 10] = [
    SensorKind::FanDuty,
    SensorKind::Airflow,
    SensorKind::ThermalMargin,
    SensorKind::Current,
    SensorKind::Temperature,
    SensorKind::Temperature,
    SensorKind::Temperature,
    SensorKind::FanSpeed,
    SensorKind::Voltage,
    SensorKind::Power,
];

fn sensor(n: u64, secs: i64, value: f64) -> Reading {
    let component = ComponentId::new(ComponentClass::Board, format!("Sensor {n}")).unwrap();
    let reading = reading(component, secs, value);
    Reading { kind: KINDS[(n % 10) as usize], ..reading }
}

/// Times of so many asks, the shortest first, with and without what is in the memory of SQLite.
fn timed(what: &str, times: usize, mut ask: impl FnMut(usize) -> usize) {
    let mut all: Vec<Duration> = Vec::new();
    let mut rows = 0;
    for n in 0..times {
        let begun = Instant::now();
        rows = ask(n);
        all.push(begun.elapsed());
    }
    let first = all[0];
    all.sort();
    let (p50, p99) = (all[times / 2], all[times * 99 / 100]);
    println!("{what}: {rows} rows, p50 {p50:.1?}, p99 {p99:.1?}, the first {first:.1?}");
}

#[test]
#[ignore = "a measurement"]
fn what_history_takes_and_how_fast_it_is_asked() {
    let (servers, days) = (number("OUTBAND_SERVERS", 1000), number("OUTBAND_DAYS", 3) as i64);
    let sensors = 10;
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options { max_head_bytes: usize::MAX, ..Options::new(dir.path()) }).unwrap();
    let names: Vec<String> = (0..servers).map(|n| format!("s{n:05}")).collect();
    store.apply(applied(&names.iter().map(String::as_str).collect::<Vec<_>>()), at(0)).unwrap();
    let mut dice = Dice(1);
    let mut walks = vec![0i64; (servers * sensors) as usize];
    // From a day's start on.
    let midnight = 16 * 3600;
    let (mut sealing, mut chunks, mut rolled) = (Duration::ZERO, 0, 0);
    for hours in 0..days * 12 {
        for (server, name) in names.iter().enumerate() {
            let mut list = Vec::new();
            for minute in hours * 120..hours * 120 + 120 {
                for n in 0..sensors {
                    let walk = &mut walks[server * sensors as usize + n as usize];
                    list.push(sensor(n, midnight + minute * 60, value(n, minute, walk, &mut dice)));
                }
            }
            store.apply(Applied { readings: vec![readings(name, list)], ..Applied::default() }, at(0)).unwrap();
        }
        let begun = Instant::now();
        let sealed = store.seal(at(midnight + (hours + 1) * 7200 + 1800)).unwrap();
        sealing += begun.elapsed();
        (chunks, rolled) = (chunks + sealed.chunks, rolled + sealed.rolled);
    }
    let readings = (servers * sensors) as f64 * days as f64 * 1440.0;
    println!(
        "{readings:.0} readings of {} series; {chunks} chunks and {rolled} rows of buckets in {sealing:.1?}: {:.2} µs a reading",
        servers * sensors,
        sealing.as_secs_f64() * 1e6 / readings
    );
    // The months as well: made at their end.
    let begun = Instant::now();
    let months = loop {
        let made = store.seal(at(80 * 86_400)).unwrap().rolled;
        if made == 0 {
            break begun.elapsed();
        }
    };
    println!("the months in {months:.1?}");
    for Holding { class, files, bytes, .. } in store.holdings().unwrap() {
        println!("{}: {files} files, {:.3} bytes a reading", class.as_str(), bytes as f64 / readings);
    }
    let of = |server: Option<usize>, kind, days: (i64, i64)| HistoryFilter {
        series: SeriesFilter {
            server: server.map(|n| ServerId::new(names[n % names.len()].clone()).unwrap()),
            component: Some(ComponentId::new(ComponentClass::Board, "Sensor 4").unwrap()),
            class: None,
            kind: Some(kind),
        },
        from: at(midnight + days.0 * 86_400),
        to: at(midnight + days.1 * 86_400),
    };
    let temperature = SensorKind::Temperature;
    let pages = |filter: &HistoryFilter, resolution| {
        let (mut page, mut rows) = (Page::first(1000), 0);
        loop {
            let listing = store.summaries(filter, resolution, &page).unwrap();
            rows += listing.rows.len();
            match listing.next {
                Some(token) => page = Page::after(token, 1000),
                None => return rows,
            }
        }
    };
    timed("a day of a sensor, readings", 500, |n| {
        store.history(&of(Some(n * 7), temperature, (1, 2)), &Page::first(2000)).unwrap().rows.len()
    });
    timed("a day of a sensor, five minutes", 500, |n| {
        pages(&of(Some(n * 7), temperature, (1, 2)), Resolution::FiveMinutes)
    });
    timed("all days of a sensor, hours", 500, |n| pages(&of(Some(n * 7), temperature, (0, days)), Resolution::Hour));
    timed("a day of one sensor of every server, five minutes, in one page", 10, |_| {
        let filter = of(None, temperature, (1, 2));
        store.summaries(&filter, Resolution::FiveMinutes, &Page::first(1_000_000)).unwrap().rows.len()
    });
    timed("the same, in pages of 1000", 3, |_| pages(&of(None, temperature, (1, 2)), Resolution::FiveMinutes));
    timed("latest of a server", 500, |n| {
        let filter = SeriesFilter { server: of(Some(n), temperature, (0, 1)).series.server, ..SeriesFilter::default() };
        store.latest(&filter, &Page::first(1000)).unwrap().rows.len()
    });
    drop(store);
    // Cold for SQLite, not for the kernel, whose memory only an administrator may empty.
    let mut all: Vec<Duration> = Vec::new();
    for n in 0..20 {
        let store = SqliteStore::open(&Options { check_up_to_bytes: u64::MAX, ..Options::new(dir.path()) }).unwrap();
        let begun = Instant::now();
        store.history(&of(Some(n * 31), temperature, (1, 2)), &Page::first(2000)).unwrap();
        all.push(begun.elapsed());
    }
    all.sort();
    println!("a day of a sensor, readings, after a restart: p50 {:.1?}, worst {:.1?}", all[10], all[19]);
}
