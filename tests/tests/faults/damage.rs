//! Bits that flip in the store's files while nobody looks. Every value that is told afterwards was told before, or it is said that something is
//! damaged: the store refuses to open, a query fails, a value is unavailable, the store names its damage. Bits flip in files that nobody has open, and in the
//! store's own and its log while a store is open on them.

use crate::clock::{Clocks, DAY};
use crate::ground::{Ground, setting};
use crate::torn::flip;
use outband_schemas::{Cause, Quality, Timestamp};
use outband_store::history::History;
use outband_store::rollup::Resolution;
use outband_store::sqlite::Options;
use outband_store::{
    EventFilter, GapFilter, HistoryFilter, Listing, Page, SeriesFilter, SqliteStore, Store, StoreError, TicketFilter,
};
use outband_tests::skip;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a store tells, by what it is about; and whether something of it says of itself that it is damaged.
#[derive(Default)]
struct Facts {
    told: BTreeMap<String, String>,
    /// Of buckets. They are kept to one part in ten million; those that are made anew of the readings have all digits.
    numbers: BTreeMap<String, [f64; 4]>,
    spoilt: bool,
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_secs(i64::try_from(since.as_secs()).unwrap())
}

fn all<T>(ask: impl Fn(&Page) -> Result<Listing<T>, StoreError>) -> Result<Vec<T>, StoreError> {
    let (mut page, mut rows) = (Page::first(500), Vec::new());
    loop {
        let listing = ask(&page)?;
        rows.extend(listing.rows);
        match listing.next {
            Some(token) => page.token = Some(token),
            None => return Ok(rows),
        }
    }
}

impl Facts {
    fn put(&mut self, key: String, value: impl Debug) {
        self.told.insert(key, format!("{value:?}"));
    }

    /// Whether a value says of itself that it cannot be read; such a one is no fact.
    fn lost(&mut self, quality: &Quality) -> bool {
        let lost = matches!(quality, Quality::Unavailable(Cause::Malformed));
        self.spoilt |= lost;
        lost
    }

    fn of(store: &SqliteStore) -> Result<Self, StoreError> {
        let mut facts = Self::default();
        let (from, to) = (now().minus(Duration::from_secs(4 * 86_400)), now().plus(Duration::from_secs(86_400)));
        let filter = HistoryFilter { series: SeriesFilter::default(), from, to };
        for p in all(|page| store.history(&filter, page))? {
            if !facts.lost(&p.quality) {
                let key = format!(
                    "reading {} {} {:?} {} {:?} {}",
                    p.server, p.component, p.kind, p.sensor, p.source, p.observed_at
                );
                facts.put(key, (p.value, p.quality));
            }
        }
        for s in all(|page| store.summaries(&filter, Resolution::FiveMinutes, page))? {
            let key = format!(
                "bucket {} {} {:?} {} {:?} {:?}",
                s.server, s.component, s.kind, s.sensor, s.source, s.bucket.start
            );
            let mut bucket = s.bucket;
            let count = bucket.numbers.take().map(|n| {
                facts.numbers.insert(key.clone(), [n.min, n.max, n.sum, n.last]);
                n.count
            });
            facts.put(key, (bucket, count));
        }
        for l in all(|page| store.latest(&SeriesFilter::default(), page))? {
            let r = &l.reading;
            if !facts.lost(&r.quality) {
                facts.put(
                    format!("latest {} {} {:?} {} {:?}", l.server, r.component, r.kind, r.sensor, r.source),
                    (&r.value, r.observed_at),
                );
            }
        }
        for e in all(|page| store.events(&EventFilter::default(), page))? {
            facts.put(format!("event {}", e.id), e);
        }
        for g in all(|page| store.gaps(&GapFilter::default(), page))? {
            facts.put(format!("gap {}", g.id), g);
        }
        for t in all(|page| store.tickets(&TicketFilter::default(), page))? {
            facts.put(format!("ticket {}", t.ticket.number), (t.ticket, t.log));
        }
        for s in all(|page| store.servers(None, page))? {
            facts.put(format!("server {}", s.id), s);
        }
        let mut after = 0;
        loop {
            let rows = store.log_after(after, 500)?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            for row in rows {
                if row.damaged {
                    facts.spoilt = true;
                    continue;
                }
                facts.put(format!("body {} {} {:?} {}", row.agent, row.spool_id, row.lane, row.seq), row.body);
            }
        }
        Ok(facts)
    }
}

/// How a spoilt store fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fared {
    /// It does not open.
    Refused,
    /// A query fails, a value is unavailable, or the store names its damage.
    Told,
    /// Nothing that is told changed.
    Harmless,
    /// Something that was told is not there any more, and nothing says so.
    Missing,
    /// Something is told that was not.
    Wrong,
}

/// The store after something flipped in its files.
fn fared(dir: &Path, kind: &str, before: &Facts) -> (Fared, String) {
    match SqliteStore::open(&Options::new(dir)) {
        Ok(store) => tells(&store, kind, before),
        Err(error) => (Fared::Refused, error.to_string()),
    }
}

/// The store while something flips in its files, and once it is opened again after.
fn fared_open(dir: &Path, kind: &str, before: &Facts, flips: impl FnOnce()) -> (Fared, String) {
    let store = SqliteStore::open(&Options { check_up_to_bytes: 0, ..Options::new(dir) }).unwrap();
    flips();
    let meanwhile = tells(&store, "", before);
    if let Err(error) = store.close() {
        eprintln!("it does not close: {error}");
    }
    drop(store);
    meanwhile.max(fared(dir, kind, before))
}

fn tells(store: &SqliteStore, kind: &str, before: &Facts) -> (Fared, String) {
    let facts = match Facts::of(store) {
        Ok(facts) => facts,
        Err(error) => return (Fared::Told, error.to_string()),
    };
    let told = facts.spoilt || store.damage().is_some();
    // Without the end of its log the store is as it was some moments before: what changes as time goes on was another then.
    let torn = kind == "store.db-wal";
    let stays = |key: &str| !torn || ["reading", "event", "body"].iter().any(|what| key.starts_with(what));
    let other = facts.told.iter().find(|(key, value)| stays(key) && before.told.get(*key) != Some(*value));
    // A bucket over a span of which some cannot be read is another one; it is said that it cannot be read.
    match other {
        Some((key, _)) if told && key.starts_with("bucket") => return (Fared::Told, key.clone()),
        Some((key, value)) => return (Fared::Wrong, format!("{key}: {value}, was {:?}", before.told.get(key))),
        None => {}
    }
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-6 * a.abs().max(b.abs());
    let same = |key: &String, n: &[f64; 4]| before.numbers.get(key).is_some_and(|was| n.iter().zip(was).all(near));
    if let Some((key, n)) = facts.numbers.iter().find(|(key, n)| stays(key) && !same(key, n)) {
        let how = if told { Fared::Told } else { Fared::Wrong };
        return (how, format!("{key}: {n:?}, was {:?}", before.numbers.get(key)));
    }
    match before.told.keys().find(|key| !facts.told.contains_key(*key)) {
        // It comes again: the marks of the agents went with it.
        Some(_) if torn => (Fared::Told, String::new()),
        _ if told => (Fared::Told, String::new()),
        Some(gone) => (Fared::Missing, gone.clone()),
        None => (Fared::Harmless, String::new()),
    }
}

/// Flips bits of a file that somebody has open.
fn flip_in_place(path: &Path, bits: usize, random: &mut StdRng) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    for _ in 0..bits {
        let (at, mut byte) = (random.random_range(0..length), [0]);
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ (1 << random.random_range(0..8))], at).unwrap();
    }
    // No lock of SQLite's in this process may go with it, as it does when a file is closed.
    std::mem::forget(file);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &name);
        } else {
            fs::copy(&path, name).unwrap();
        }
    }
}

/// Files of a store by kind.
fn files(dir: &Path, kind: &str) -> Vec<PathBuf> {
    match kind {
        "store.db" | "store.db-wal" => vec![dir.join(kind)],
        kind => {
            let all = fs::read_dir(dir.join("history")).into_iter().flatten().map(|e| e.unwrap().path());
            all.filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(kind))).collect()
        }
    }
}

#[test]
fn flipped_bits_of_a_stored_file_never_become_values() {
    let (rounds, seed) = (setting("OUTBAND_FAULT_ROUNDS", 25), setting("OUTBAND_FAULT_SEED", 1));
    let mut random = StdRng::seed_from_u64(seed);
    let mut ground = Ground::new(2, "");
    let Some(clocks) = Clocks::under(&mut ground) else { return skip("flipped bits: there is no C compiler") };
    clocks.set("outband-agent", -DAY);
    ground.start();
    ground.happen(3);
    ground.flows(30);
    ground.each_event_is_there_once();
    // Killed: what was written last is in the write-ahead log.
    ground.stack.kill_agent().unwrap();
    ground.stack.kill_collector().unwrap();
    let torn = ground.root.path().join("torn");
    copy(&ground.stack.collector_dir(), &torn);
    let sealed = ground.root.path().join("sealed");
    copy(&torn, &sealed);
    {
        let store = SqliteStore::open(&Options::new(&sealed)).unwrap();
        store.seal(now()).unwrap();
        store.close().unwrap();
    }
    let mut table = BTreeMap::<(&str, bool, Fared), u64>::new();
    let mut bad = Vec::new();
    let (closed, open) = (false, true);
    let kinds = [
        (&sealed, "raw-", closed),
        (&sealed, "5m-", closed),
        (&sealed, "store.db", closed),
        (&sealed, "store.db", open),
        (&torn, "store.db-wal", closed),
        (&torn, "store.db-wal", open),
    ];
    for (dir, kind, is_open) in kinds {
        let before = {
            let whole = ground.root.path().join(format!("whole-{kind}-{is_open}"));
            copy(dir, &whole);
            let store = SqliteStore::open(&Options::new(&whole)).unwrap();
            Facts::of(&store).unwrap()
        };
        assert!(!before.spoilt && before.told.len() > 100, "{kind}: {} facts", before.told.len());
        assert!(!files(dir, kind).is_empty(), "there is no {kind}");
        for round in 0..rounds {
            // Each in a place of its own: a store that is gone may still be being looked at in the background.
            let spoilt = ground.root.path().join(format!("spoilt-{kind}-{is_open}-{round}"));
            copy(dir, &spoilt);
            let all = files(&spoilt, kind);
            let bits = random.random_range(1..4);
            let file = all[random.random_range(0..all.len())].clone();
            let (how, what) = if is_open {
                fared_open(&spoilt, kind, &before, || flip_in_place(&file, bits, &mut random))
            } else {
                assert!(flip(&file, bits, &mut random));
                fared(&spoilt, kind, &before)
            };
            *table.entry((kind, is_open, how)).or_default() += 1;
            if matches!(how, Fared::Wrong | Fared::Missing) {
                bad.push(format!("{kind}, open {is_open}, round {round}: {how:?} {what}"));
            }
            let gone = outband_tests::wait_until(crate::ground::PATIENCE, || fs::remove_dir_all(&spoilt).is_ok());
            assert!(gone, "{} cannot be removed", spoilt.display());
        }
    }
    eprintln!("{rounds} rounds of each kind of file (and whether it was open), seed {seed}: {table:?}");
    assert_eq!(bad, Vec::<String>::new());
}

/// The readings of the last days that `outband` tells of every server, one text each; `None` where it is refused.
fn told_by_the_program(ground: &Ground, servers: &[String]) -> Option<Vec<serde_json::Value>> {
    let mut all = Vec::new();
    for server in servers {
        let words = ["readings", server, "--span", "3d", "--resolution", "raw", "--limit", "0", "-o", "json"];
        let answer = ground.stack.outband().args(words).env("LC_ALL", "C").output().unwrap();
        if !answer.status.success() {
            return None;
        }
        let answer: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
        all.extend(answer["readings"].as_array().unwrap().iter().cloned());
    }
    Some(all)
}

#[test]
fn bits_of_history_that_flip_while_it_is_read_never_become_values() {
    let (rounds, seed) = (setting("OUTBAND_FAULT_ROUNDS", 10), setting("OUTBAND_FAULT_SEED", 1));
    let mut random = StdRng::seed_from_u64(seed);
    let mut ground = Ground::new(2, "");
    let Some(clocks) = Clocks::under(&mut ground) else { return skip("flipped bits: there is no C compiler") };
    clocks.set("outband-agent", -DAY);
    ground.start();
    ground.flows(30);
    ground.stack.stop_agent().unwrap();
    // At its start the collector seals what is due.
    ground.stack.stop_collector().unwrap();
    ground.stack.start_collector().unwrap();
    let sealed = || ground.number("SELECT count(*) FROM volume WHERE class = 0") > 0;
    assert!(outband_tests::wait_until(crate::ground::PATIENCE, sealed), "{}", ground.tails());
    let servers =
        crate::ground::rows(&crate::ground::open(&ground.stack.store()), "SELECT id FROM server", |r| r.get(0));
    let before = told_by_the_program(&ground, &servers).unwrap();
    assert!(before.len() > 100, "only {} readings", before.len());
    let raw = files(&ground.stack.collector_dir(), "raw-");
    let (mut refused, mut unavailable) = (0, 0);
    for round in 0..rounds {
        let path = &raw[random.random_range(0..raw.len())];
        let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let at = random.random_range(0..file.metadata().unwrap().len());
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ (1 << random.random_range(0..8))], at).unwrap();
        // What a connection has read already it does not read again: a new start looks at everything.
        if round + 1 == rounds {
            ground.stack.stop_collector().unwrap();
            ground.stack.start_collector().unwrap();
        }
        match told_by_the_program(&ground, &servers) {
            None => refused += 1,
            Some(told) => {
                for reading in &told {
                    let lost = reading["quality"] == "unavailable" && !before.contains(reading);
                    unavailable += usize::from(lost);
                    assert!(lost || before.contains(reading), "round {round}: {reading:#} was never measured");
                }
            }
        }
    }
    eprintln!(
        "{rounds} bits flipped while it runs, seed {seed}: {refused} answers refused, {unavailable} values unavailable"
    );
    ground.stack.stop_collector().unwrap();
}

#[test]
fn bits_of_the_store_and_of_the_spool_that_flip_while_the_programs_run_are_told_or_change_nothing() {
    let (rounds, seed) = (setting("OUTBAND_FAULT_ROUNDS", 10), setting("OUTBAND_FAULT_SEED", 1));
    let mut random = StdRng::seed_from_u64(seed);
    let mut ground = Ground::new(2, "");
    ground.start();
    ground.happen(2);
    ground.flows(20);
    ground.each_event_is_there_once();
    // What the agent is to hold while its spool is spoilt.
    ground.stack.stop_collector().unwrap();
    ground.happen(2);
    let before = {
        let whole = ground.root.path().join("whole");
        copy(&ground.stack.collector_dir(), &whole);
        let store = SqliteStore::open(&Options::new(&whole)).unwrap();
        Facts::of(&store).unwrap()
    };
    let spool = ground.stack.spool();
    for _ in 0..rounds {
        flip_in_place(&spool, 1, &mut random);
    }
    ground.stack.start_collector().unwrap();
    // It comes, or it is told as a gap, or the spool is set aside and begun anew, which is a gap too.
    ground.flows(6);
    ground.stack.stop_agent().unwrap();
    let bodies = "SELECT count(*) FROM ingest_log";
    assert!(ground.number(bodies) > 20);
    let store = ground.stack.store();
    for _ in 0..rounds {
        flip_in_place(&store, 1, &mut random);
        for words in [&["servers", "-o", "json"][..], &["events", "-o", "json"], &["tickets", "-o", "json"]] {
            let answer = ground.stack.outband().args(words).env("LC_ALL", "C").output().unwrap();
            let said = String::from_utf8_lossy(&answer.stderr).into_owned();
            assert!(answer.status.success() || said.contains("damaged") || said.contains("store"), "{words:?}: {said}");
        }
    }
    ground.stack.kill_collector().unwrap();
    // What it left is what it was, or is said to be damaged.
    let (how, what) = fared_running(&ground.stack.collector_dir(), &before);
    eprintln!("{rounds} bits of the spool and {rounds} of the store, seed {seed}: {how:?} {what}");
    assert!(!matches!(how, Fared::Wrong | Fared::Missing), "{how:?} {what}");
}

/// What was there before is there still, or damage is told; more may have come.
fn fared_running(dir: &Path, before: &Facts) -> (Fared, String) {
    let store = match SqliteStore::open(&Options::new(dir)) {
        Ok(store) => store,
        Err(error) => return (Fared::Refused, error.to_string()),
    };
    let facts = match Facts::of(&store) {
        Ok(facts) => facts,
        Err(error) => return (Fared::Told, error.to_string()),
    };
    let kept = |key: &str| ["reading", "event", "body"].iter().any(|what| key.starts_with(what));
    for (key, value) in before.told.iter().filter(|(key, _)| kept(key)) {
        match facts.told.get(key) {
            Some(now) if now == value => {}
            _ if facts.spoilt || store.damage().is_some() => return (Fared::Told, key.clone()),
            Some(now) => return (Fared::Wrong, format!("{key}: {now}, was {value}")),
            None => return (Fared::Missing, key.clone()),
        }
    }
    (Fared::Harmless, String::new())
}
