//! What the store costs, in figures: `cargo test --release -p outband-store --test store -- --ignored --nocapture`.

use super::conformance::make::*;
use outband_schemas::{ComponentId, Lane, Quality, Reading, SensorKind, ServerId, Timestamp, Value};
use outband_store::chunk::{Point, decode, encode};
use outband_store::drift::{Drifts, Wear};
use outband_store::sqlite::Options;
use outband_store::{Applied, HistoryFilter, Page, SeriesFilter, SqliteStore, Store};
use std::sync::mpsc;
use std::time::Instant;

/// A small generator of its own (SplitMix64), so that the figures are the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// Two hours of a sensor read once a minute, with some tens of milliseconds of jitter.
fn two_hours(dice: &mut Dice, mut value: impl FnMut(&mut Dice, i64) -> f64) -> Vec<Point> {
    (0..120)
        .map(|n| {
            let jitter = dice.roll(60) as i64;
            let at = Timestamp::from_millis(at(0).as_millis() + 60_000 * n + jitter);
            Point { at, value: Some(Value::Number(value(dice, n))), quality: Quality::Good }
        })
        .collect()
}

#[test]
#[ignore = "a measurement"]
fn bytes_of_the_slow_change_of_a_server() {
    let mut dice = Dice(2);
    let mut wear = Wear::default();
    let place = |class: &str, n: usize| format!("{class}/{class} {n}").parse::<ComponentId>().unwrap();
    for hour in 0..70 * 24_i64 {
        let at = Timestamp::from_millis(at(0).as_millis() + hour * 3_600_000);
        let load = (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
        let mut tell = |component: ComponentId, kind, value: f64| {
            let value = value * (1.0 + load / 10.0) + dice.roll(100) as f64 / 50.0;
            wear.drift.take(&component, kind, "sensor", value, at);
        };
        for n in 0..12 {
            tell(place("fan", n), SensorKind::FanSpeed, 9000.0);
            tell(place("fan", n), SensorKind::FanDuty, 40.0);
        }
        for n in 0..27 {
            tell(place(if n < 16 { "memory" } else { "board" }, n), SensorKind::Temperature, 40.0);
        }
        for n in 0..2 {
            let kinds = [SensorKind::InputPower, SensorKind::OutputPower, SensorKind::Voltage, SensorKind::Temperature];
            for (kind, value) in kinds.into_iter().zip([300.0, 280.0, 12.0, 40.0]) {
                tell(place("psu", n), kind, value);
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    let kept: Vec<_> = (0..64).map(|n| (ServerId::new(format!("srv-{n}")).unwrap(), &wear)).collect();
    let begun = Instant::now();
    store.keep_wear(&kept).unwrap();
    let each = begun.elapsed().as_secs_f64() * 1e3 / 64.0;
    store.close().unwrap();
    let files = std::fs::read_dir(dir.path()).unwrap();
    let size: u64 = files.filter_map(|f| f.ok()?.metadata().ok()).map(|m| m.len()).sum();
    println!("{} bytes on disk a server, {each:.1} ms to keep it", size / 64);
}

#[test]
#[ignore = "a measurement"]
fn bytes_of_a_point() {
    let mut dice = Dice(1);
    let mut walk = 42.0;
    let mut volts = 0i64;
    let kinds: Vec<(&str, Vec<Point>)> = vec![
        ("constant", two_hours(&mut dice, |_, _| 1.0)),
        (
            "temperature, whole degrees",
            two_hours(&mut dice, |d, _| {
                walk += if d.roll(4) == 0 { d.roll(3) as f64 - 1.0 } else { 0.0 };
                walk
            }),
        ),
        ("fan, steps of 75 rpm", two_hours(&mut dice, |d, _| 5000.0 + 75.0 * d.roll(4) as f64)),
        (
            "voltage, steps of 0.063 V as they are multiplied",
            two_hours(&mut dice, |d, _| {
                volts = 192 + d.roll(3) as i64 - 1;
                volts as f64 * 0.063
            }),
        ),
        ("voltage, two decimals", two_hours(&mut dice, |d, _| (1209 + d.roll(12)) as f64 / 100.0)),
        ("power, whole watts", two_hours(&mut dice, |d, _| 312.0 + d.roll(40) as f64)),
        ("counter", two_hours(&mut dice, |_, n| (8 + n / 50) as f64)),
    ];
    for (name, points) in kinds {
        let count = points.len();
        let bytes = encode(points).len();
        println!("{name}: {:.2} bytes a point", bytes as f64 / count as f64);
    }
}

#[test]
#[ignore = "a measurement"]
fn speed_of_the_codec() {
    let points = two_hours(&mut Dice(1), |d, _| 5000.0 + 75.0 * d.roll(4) as f64);
    let rounds = 5000;
    let start = Instant::now();
    let mut bytes = Vec::new();
    for _ in 0..rounds {
        bytes = encode(points.clone());
    }
    let encoded = start.elapsed();
    let start = Instant::now();
    for _ in 0..rounds {
        assert_eq!(decode(&bytes).unwrap().len(), points.len());
    }
    let per = |t: std::time::Duration| t.as_nanos() as f64 / (rounds * points.len()) as f64;
    println!("encode {:.0} ns a point, decode {:.0} ns a point", per(encoded), per(start.elapsed()));
}

#[test]
#[ignore = "a measurement"]
fn speed_of_ingest() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    let body = "x".repeat(6000);
    for waiting in [1, 16, 128] {
        let epoch = store.hello(&hello("a1", 1), at(0)).unwrap();
        let mut next = epoch.marks[1].1 + 1;
        let total = 2000;
        let start = Instant::now();
        let (tell, told) = mpsc::channel();
        let mut sent = 0;
        let mut done = 0;
        while done < total {
            while sent < total && sent - done < waiting {
                let tell = tell.clone();
                store.commit_then(
                    batch(epoch.epoch, Lane::Telemetry, next, &[&body]),
                    at(1),
                    Box::new(move |r| tell.send(r.unwrap()).unwrap()),
                );
                next += 1;
                sent += 1;
            }
            told.recv().unwrap();
            done += 1;
        }
        println!(
            "{waiting} waiting: {:.0} batches a second, each durable",
            f64::from(total) / start.elapsed().as_secs_f64()
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn speed_of_apply_seal_and_history() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    let (servers, sensors, polls) = (100, 80, 120);
    let names: Vec<String> = (0..servers).map(|n| format!("s{n:03}")).collect();
    let fans: Vec<_> = (0..sensors).map(|n| fan(&format!("Fan {n}"))).collect();
    let mut dice = Dice(7);
    store.apply(applied(&names.iter().map(String::as_str).collect::<Vec<_>>()), at(0)).unwrap();
    let start = Instant::now();
    for poll in 0..polls {
        let readings = names
            .iter()
            .map(|name| {
                let list: Vec<Reading> =
                    fans.iter().map(|f| reading(f.clone(), 60 * poll, 5000.0 + 75.0 * dice.roll(4) as f64)).collect();
                readings(name, list)
            })
            .collect();
        store.apply(Applied { readings, ..Applied::default() }, at(60 * poll)).unwrap();
    }
    let count = f64::from(servers * sensors) * polls as f64;
    println!("apply: {:.0} readings a second", count / start.elapsed().as_secs_f64());
    let start = Instant::now();
    let sealed = store.seal(at(24 * 3600)).unwrap();
    println!(
        "seal: {:.0} chunks a second, {:.2} bytes a point",
        sealed.chunks as f64 / start.elapsed().as_secs_f64(),
        sealed.bytes as f64 / sealed.points as f64
    );
    let filter = HistoryFilter {
        series: SeriesFilter { server: Some(server_id("s042")), ..SeriesFilter::default() },
        from: at(0),
        to: at(24 * 3600),
    };
    let start = Instant::now();
    let rows = store.history(&filter, &Page::first(100_000)).unwrap().rows.len();
    println!("history of one server: {rows} points in {:?}", start.elapsed());
    store.close().unwrap();
    let size = std::fs::metadata(dir.path().join("store.db")).unwrap().len();
    println!("file: {:.2} bytes a point, journal and all", size as f64 / count);
}
