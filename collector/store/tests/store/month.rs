//! History at size: a month of a large site on the disk, and what is asked of it.
//!
//! `OUTBAND_DIR=/var/tmp/month cargo test --release -p outband-store --test store -- --ignored --nocapture a_month_of_a_large_site` fills the directory where
//! it holds nothing yet, and asks. `OUTBAND_SERVERS` (10000), `OUTBAND_DAYS` (30, of which buckets are made), `OUTBAND_RAW_DAYS` (20, the last of them, of which
//! readings are), `OUTBAND_FREE_GB` (8: it does not begin where less would be left), `OUTBAND_ASKS` (500).
//!
//! Sealing 34,560,000,000 readings takes hours. So the chunks of 200 servers are made, by the codec, of readings of their own; the others get the same bytes
//! under their own keys, in the order in which the sealer would have written them. Trees and files have the shape and the size that they would have.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use super::conformance::make::on_disk;
use super::longterm::{Dice, KINDS, number, value};
use outband_schemas::{
    ComponentClass, ComponentId, Identity, Quality, Reading, SensorKind, ServerId, SiteId, Source, Timestamp, Value,
};
use outband_store::chunk::{self, Point};
use outband_store::head::WINDOW_MS;
use outband_store::history::{History, Holding};
use outband_store::rollup::{self, Bucket, Resolution};
use outband_store::sqlite::Options;
use outband_store::volume::{Class, Volume};
use outband_store::{Applied, HistoryFilter, Page, SeriesFilter, ServerReadings, ServerRecord, SqliteStore, Store};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SENSORS: u64 = 80;
const MADE: u64 = 200;
const DAY_MS: i64 = 86_400_000;
/// In the directory once it is filled: the first midnight after its days, UTC.
const FILLED: &str = "filled";

/// Days of which there are buckets.
fn days() -> i64 {
    number("OUTBAND_DAYS", 30) as i64
}

/// The first midnight after the days that were filled in, or are to be: the last one.
fn end() -> i64 {
    static END: OnceLock<i64> = OnceLock::new();
    *END.get_or_init(|| {
        let said =
            std::env::var_os("OUTBAND_DIR").and_then(|dir| std::fs::read_to_string(Path::new(&dir).join(FILLED)).ok());
        let now = || i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        said.map_or_else(|| now() / DAY_MS * DAY_MS, |end| end.trim().parse::<Timestamp>().unwrap().as_millis())
    })
}

fn server_id(n: u64) -> ServerId {
    ServerId::new(format!("s{n:05}")).unwrap()
}

fn record(n: u64) -> ServerRecord {
    ServerRecord {
        id: server_id(n),
        site: SiteId::new(format!("site-{}", n / 1000)).unwrap(),
        identity: Identity { serial: Some(format!("SN{n:05}")), ..Identity::default() },
        targets: Vec::new(),
        first_seen: Timestamp::from_millis(end() - days() * DAY_MS),
        last_seen: Timestamp::from_millis(end()),
        merged_into: None,
        rev: 0,
    }
}

fn component(n: u64) -> ComponentId {
    ComponentId::new(ComponentClass::Board, format!("Sensor {n}")).unwrap()
}

fn reading(n: u64, at: Timestamp, value: f64) -> Reading {
    Reading {
        component: component(n),
        kind: KINDS[(n % 10) as usize],
        sensor: format!("Sensor {n}"),
        value: Some(Value::Number(value)),
        quality: Quality::Good,
        observed_at: at,
        source: Source(format!("ipmi:20.0.{n:02x}")),
        thresholds: None,
    }
}

fn all_of(servers: u64) -> Vec<u64> {
    (0..servers).collect()
}

/// Servers, sensors, a latest value of each, and empty files of history, named and marked by the store.
fn prepare(dir: &Path, servers: u64) {
    let store = SqliteStore::open(&Options::new(dir)).unwrap();
    for some in all_of(servers).chunks(500) {
        let readings = |n: &u64| ServerReadings {
            server: server_id(*n),
            received_at: Timestamp::from_millis(end()),
            // Before what is filled in, so that it is in no row of that.
            readings: (0..SENSORS)
                .map(|k| reading(k, Timestamp::from_millis(end() - days() * DAY_MS - 1), 1.0))
                .collect(),
        };
        let servers = some.iter().map(|n| record(*n)).collect();
        let applied = Applied { servers, readings: some.iter().map(readings).collect(), ..Applied::default() };
        store.apply(applied, Timestamp::from_millis(end())).unwrap();
    }
    // One reading of each day makes every file.
    let all = days();
    let days = (0..all).map(|d| reading(0, Timestamp::from_millis(end() - (all - d) * DAY_MS), 1.0));
    let readings =
        ServerReadings { server: server_id(0), received_at: Timestamp::from_millis(end()), readings: days.collect() };
    store.apply(Applied { readings: vec![readings], ..Applied::default() }, Timestamp::from_millis(end())).unwrap();
    while store.seal(Timestamp::from_millis(end() + 20 * DAY_MS)).unwrap().rolled > 0 {}
    // What a server said last is as fresh as it would be: a collector forgets values of weeks ago.
    for some in all_of(servers).chunks(500) {
        let readings = |n: &u64| ServerReadings {
            server: server_id(*n),
            received_at: Timestamp::from_millis(end()),
            readings: (0..SENSORS).map(|k| reading(k, Timestamp::from_millis(end()), 1.0)).collect(),
        };
        let applied = Applied { readings: some.iter().map(readings).collect(), ..Applied::default() };
        store.apply(applied, Timestamp::from_millis(end())).unwrap();
    }
    store.close().unwrap();
}

/// A file that is filled, in one transaction, with nothing synced: a fill that is cut off begins anew.
struct Filling(Connection);

impl Filling {
    fn open(dir: &Path, volume: &Volume) -> Self {
        let db = Connection::open(dir.join("history").join(volume.file_name())).unwrap();
        db.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA cache_size = -65536; BEGIN; DELETE FROM chunk;",
        )
        .unwrap();
        Self(db)
    }

    fn put(&self, volume: &Volume, start: i64, servers: u64, bodies: &[Vec<u8>]) {
        let mut insert = self.0.prepare_cached("INSERT INTO chunk (key, body) VALUES (?1, ?2)").unwrap();
        for series in 0..servers * SENSORS {
            let body = &bodies[(series % (MADE * SENSORS)) as usize];
            let key = volume.key(start, i64::try_from(series).unwrap() + 1).unwrap();
            insert.execute((key, body)).unwrap();
        }
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.0.execute_batch("COMMIT").unwrap();
    }
}

fn free_gb(dir: &Path) -> u64 {
    let said = std::process::Command::new("df").args(["-BG", "--output=avail"]).arg(dir).output().unwrap();
    String::from_utf8_lossy(&said.stdout).lines().last().unwrap().trim().trim_end_matches('G').parse().unwrap()
}

/// Open files of a class, by their spans.
type Open = BTreeMap<Volume, Filling>;

fn filling<'a>(open: &'a mut Open, dir: &Path, class: Class, at: i64) -> (Volume, &'a Filling) {
    let volume = Volume::holding(class, Timestamp::from_millis(at)).unwrap();
    // Only one of a class is written at a time.
    open.retain(|v, _| v.class != class || *v == volume);
    (volume, open.entry(volume).or_insert_with(|| Filling::open(dir, &volume)))
}

fn fill(dir: &Path, servers: u64, raw_days: i64, least_free: u64) {
    let begun = Instant::now();
    let expected = servers * SENSORS * 1440 * u64::try_from(raw_days * 9 + days() * 2).unwrap() / 10_000_000_000;
    let free = free_gb(dir);
    assert!(free >= expected + least_free, "{free} GB are free: {expected} GB are to be written, {least_free} GB left");
    prepare(dir, servers);
    println!("{servers} servers, {} series: {:.0?}", servers * SENSORS, begun.elapsed());
    let (daily, months) = (Class::Rolled(Resolution::FiveMinutes), Class::Rolled(Resolution::Hour));
    let (mut dice, mut walks) = (Dice(1), vec![0i64; (MADE * SENSORS) as usize]);
    let mut open = Open::new();
    let mut hours: Vec<Vec<Bucket>> = vec![Vec::new(); walks.len()];
    let first = end() - days() * DAY_MS;
    for day in (first..end()).step_by(DAY_MS as usize) {
        let mut buckets: Vec<Vec<Bucket>> = vec![Vec::new(); walks.len()];
        for window in (day..day + DAY_MS).step_by(WINDOW_MS as usize) {
            let mut bodies = Vec::with_capacity(walks.len());
            for (n, walk) in walks.iter_mut().enumerate() {
                // Each server is read once a minute, at a second of its own.
                let second = (n as i64 / SENSORS as i64) * 7 % 60;
                let minutes = window / 60_000..window / 60_000 + 120;
                let point = |minute: i64| Point {
                    at: Timestamp::from_millis(minute * 60_000 + second * 1000),
                    value: Some(Value::Number(value(n as u64 % SENSORS, minute, walk, &mut dice))),
                    quality: Quality::Good,
                };
                let points: Vec<Point> = minutes.map(point).collect();
                buckets[n].extend(rollup::reduce(&points, Resolution::FiveMinutes));
                bodies.push(if day >= end() - raw_days * DAY_MS { chunk::encode(points) } else { Vec::new() });
            }
            if day >= end() - raw_days * DAY_MS {
                let (volume, file) = filling(&mut open, dir, Class::Raw, window);
                file.put(&volume, window, servers, &bodies);
            }
        }
        let bodies: Vec<Vec<u8>> = buckets.iter().map(|b| rollup::encode(b, Resolution::FiveMinutes)).collect();
        let (volume, file) = filling(&mut open, dir, daily, day);
        file.put(&volume, day, servers, &bodies);
        hours.iter_mut().zip(&buckets).for_each(|(h, b)| h.extend(rollup::coarsen(b, Resolution::Hour)));
        let (month, next) = months.row(Timestamp::from_millis(day)).unwrap();
        if day + DAY_MS == next {
            let rows = |h: &Vec<Bucket>| rollup::encode(h, Resolution::Hour);
            let bodies: Vec<Vec<u8>> = hours.iter().map(rows).collect();
            let (volume, file) = filling(&mut open, dir, months, month);
            file.put(&volume, month, servers, &bodies);
            hours.iter_mut().for_each(Vec::clear);
        }
        println!("{} after {:.0?}, {} GB free", Timestamp::from_millis(day), begun.elapsed(), free_gb(dir));
        assert!(free_gb(dir) >= 6, "the disk is nearly full");
    }
    open.clear();
    // The month that is not over yet: its hours are due, and made of its days until then.
    let db = on_disk(&dir.join("store.db"));
    let (month, _) = months.row(Timestamp::from_millis(end() - 1)).unwrap();
    let raw_from = Volume::holding(Class::Raw, Timestamp::from_millis(end() - raw_days * DAY_MS)).unwrap().start;
    db.execute("DELETE FROM roll_due", []).unwrap();
    db.execute("INSERT INTO roll_due (class, start, series) SELECT 2, ?1, id FROM series", [month]).unwrap();
    db.execute("DELETE FROM volume WHERE class = 0 AND start < ?1", [raw_from]).unwrap();
    db.execute("UPDATE history_state SET raw_from = ?1", [raw_from]).unwrap();
    drop(db);
    for entry in std::fs::read_dir(dir.join("history")).unwrap() {
        let path = entry.unwrap().path();
        let volume = Volume::named(path.file_name().unwrap().to_str().unwrap());
        if volume.is_some_and(|v| v.class == Class::Raw && v.start < raw_from) {
            std::fs::remove_file(path).unwrap();
        }
    }
    println!("filled in {:.0?}", begun.elapsed());
}

/// Writes everything out and has the kernel forget what it read. Only an administrator may.
fn chill() -> bool {
    let synced = std::process::Command::new("sync").status().is_ok_and(|s| s.success());
    synced && std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// Waits until the files are checked, which begins with the start and reads all of them.
fn checked() {
    let begun = Instant::now();
    let names = || {
        std::fs::read_dir("/proc/self/task").unwrap().flatten().map(|t| std::fs::read_to_string(t.path().join("comm")))
    };
    while names().flatten().any(|name| name.trim().ends_with("-check")) {
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("checked after {:.0?}", begun.elapsed());
}

fn said(what: &str, mut all: Vec<Duration>, rows: usize) {
    all.sort();
    let of = |part: usize| all[(all.len() * part / 100).min(all.len() - 1)];
    println!(
        "{what}: {} asks, {rows} rows each, p50 {:.2?}, p99 {:.2?}, worst {:.2?}",
        all.len(),
        of(50),
        of(99),
        of(100)
    );
}

/// Asks the same questions cold, each once, and warm, `rounds` times.
fn asked(what: &str, times: u64, rounds: u64, ask: impl Fn(u64) -> usize) {
    let cold = if chill() { "cold" } else { "first (the kernel's memory could not be emptied)" };
    let mut rows = 0;
    for round in 0..=rounds {
        let mut all = Vec::new();
        for n in 0..times {
            let begun = Instant::now();
            rows = ask(n);
            all.push(begun.elapsed());
        }
        match round {
            0 => said(&format!("{what}, {cold}"), all, rows),
            n if n == rounds => said(&format!("{what}, warm"), all, rows),
            _ => {}
        }
    }
}

#[test]
#[ignore = "a measurement; takes 27 GB of disk"]
fn a_month_of_a_large_site() {
    let Some(dir) = std::env::var_os("OUTBAND_DIR").map(PathBuf::from) else {
        println!("OUTBAND_DIR says where");
        return;
    };
    let (servers, raw_days) = (number("OUTBAND_SERVERS", 10_000), number("OUTBAND_RAW_DAYS", 20) as i64);
    let (asks, done) = (number("OUTBAND_ASKS", 500), dir.join(FILLED));
    if !done.exists() {
        std::fs::create_dir_all(&dir).unwrap();
        fill(&dir, servers, raw_days, number("OUTBAND_FREE_GB", 8));
        std::fs::write(&done, Timestamp::from_millis(end()).to_string()).unwrap();
    }
    let store = SqliteStore::open(&Options { check_up_to_bytes: 0, ..Options::new(&dir) }).unwrap();
    checked();
    let series = (servers * SENSORS) as f64;
    for Holding { class, files, bytes, .. } in store.holdings().unwrap() {
        let days = if class == Class::Raw { raw_days } else { days() };
        let each = bytes as f64 / (series * 1440.0 * days as f64);
        println!(
            "{}: {files} files, {:.2} GB, {days} days, {each:.3} bytes a reading",
            class.as_str(),
            bytes as f64 / 1e9
        );
    }
    let of = |server: Option<u64>, sensor: u64, days: (i64, i64)| HistoryFilter {
        series: SeriesFilter {
            server: server.map(server_id),
            component: Some(component(sensor)),
            class: None,
            kind: Some(KINDS[(sensor % 10) as usize]),
        },
        from: Timestamp::from_millis(end() - days.0 * DAY_MS),
        to: Timestamp::from_millis(end() - days.1 * DAY_MS),
    };
    // Any server, any sensor, any day of those that are there; the same of both rounds.
    let any = |n: u64| {
        let mut dice = Dice(n);
        (dice.roll(servers), dice.roll(SENSORS), 1 + dice.roll(raw_days as u64 - 1) as i64)
    };
    let page = Page::first(2000);
    asked("a series-day of readings", asks, 4, |n| {
        let (server, sensor, day) = any(n);
        store.history(&of(Some(server), sensor, (day + 1, day)), &page).unwrap().rows.len()
    });
    asked("a series-day of five minutes", asks, 4, |n| {
        let (server, sensor, day) = any(n);
        let filter = of(Some(server), sensor, (day + 1, day));
        store.summaries(&filter, Resolution::FiveMinutes, &page).unwrap().rows.len()
    });
    asked("all days of a series, hours", asks, 4, |n| {
        let (server, sensor, _) = any(n);
        store.summaries(&of(Some(server), sensor, (days(), 0)), Resolution::Hour, &page).unwrap().rows.len()
    });
    asked("a day of one temperature of 1,000 servers, five minutes, one page", 10, 4, |n| {
        let day = n as i64 % (days() - 1) + 1;
        let filter = of(None, 4, (day + 1, day));
        store.summaries(&filter, Resolution::FiveMinutes, &Page::first(288_000)).unwrap().rows.len()
    });
    asked("the same in pages of 1,000", 5, 2, |n| {
        let day = n as i64 % (days() - 1) + 1;
        let filter = of(None, 4, (day + 1, day));
        let (mut page, mut rows) = (Page::first(1000), 0);
        while rows < 288_000 {
            let listing = store.summaries(&filter, Resolution::FiveMinutes, &page).unwrap();
            rows += listing.rows.len();
            match listing.next {
                Some(token) => page = Page::after(token, 1000),
                None => break,
            }
        }
        rows
    });
    asked("latest of a server", asks, 4, |n| {
        let filter = SeriesFilter { server: Some(server_id(any(n).0)), ..SeriesFilter::default() };
        store.latest(&filter, &Page::first(1000)).unwrap().rows.len()
    });
    let temperatures = KINDS.iter().filter(|k| **k == SensorKind::Temperature).count();
    println!("of ten sensors {temperatures} are temperatures; chunks of {MADE} servers were made, and stand for all");
}
