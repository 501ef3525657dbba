//! `kill -9` of agent and collector in mid-stream, at seeded moments: every record is stored exactly once, and tickets are not doubled.
//!
//! `OUTBAND_KILL_ROUNDS` (default 6) says how many kills; `OUTBAND_KILL_SEED` (default 1) where they fall.

#![allow(clippy::expect_used, reason = "helpers of a test may fail it")]

use outband_spool::{Lane, Spool};
use outband_tests::sim::fleet::{self, Credentials, Server};
use outband_tests::sim::machine::Happening;
use outband_tests::stack::Stack;
use outband_tests::wait_until;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rusqlite::{Connection, OpenFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn store(path: &Path) -> Connection {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store");
    db.busy_timeout(Duration::from_secs(10)).expect("a timeout");
    db
}

fn number(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// Rows that the collector has stored so far.
fn stored(path: &Path) -> i64 {
    number(&store(path), "SELECT coalesce(max(id), 0) FROM ingest_log")
}

/// Writes log entries into the simulated BMCs until told to stop, so that kills fall between them.
fn keep_logging(site: Arc<Vec<Server>>, seed: u64, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut random = StdRng::seed_from_u64(seed);
        while !stop.load(Ordering::Relaxed) {
            let server = &site[random.random_range(0..site.len())];
            let dimm = random.random_range(0..4);
            server.machine.now().log(Happening::EccCorrected { dimm }, true);
            // The pace of what happens in the world, not a wait for anything.
            std::thread::park_timeout(Duration::from_millis(random.random_range(50..400)));
        }
    })
}

/// What the spool holds and what the store holds, by lane and sequence.
fn compare(spool: &Path, db: &Connection) -> (usize, Vec<String>) {
    let opened = Spool::open(spool, outband_spool::Options::default(), 1, 0).expect("the spool");
    assert!(!opened.fresh, "the spool was set aside: {:?}", opened.set_aside);
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (lane, number) in [(Lane::Event, 1), (Lane::Telemetry, 2)] {
        let mut sent = BTreeMap::new();
        let mut after = 0;
        loop {
            let peek = opened.spool.peek(lane, after, 1 << 20).expect("entries");
            if let Some(skipped) = peek.skipped {
                wrong.push(format!("lane {number}: the spool skipped {skipped:?}"));
            }
            if peek.bodies.is_empty() {
                break;
            }
            for (seq, body) in (peek.first_seq..).zip(peek.bodies) {
                after = seq;
                sent.insert(seq, body);
            }
        }
        let mut statement = db
            .prepare("SELECT l.seq, l.body FROM ingest_log l JOIN lane ON lane.id = l.lane_id WHERE lane.lane = ?1 ORDER BY l.id")
            .expect("a statement");
        let rows =
            statement.query_map([number], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))).expect("rows");
        let mut got = BTreeSet::new();
        for row in rows {
            let (seq, body) = row.expect("a row");
            match sent.get(&seq) {
                _ if !got.insert(seq) => wrong.push(format!("lane {number}: {seq} is stored twice")),
                None => wrong.push(format!("lane {number}: {seq} was never sent")),
                Some(sent) if *sent != body => wrong.push(format!("lane {number}: {seq} differs")),
                Some(_) => compared += 1,
            }
        }
        wrong.extend(sent.keys().filter(|s| !got.contains(s)).map(|s| format!("lane {number}: {s} is lost")));
    }
    (compared, wrong)
}

#[test]
fn nothing_is_lost_or_doubled_when_agent_and_collector_are_killed_in_mid_stream() {
    let (rounds, seed) = (setting("OUTBAND_KILL_ROUNDS", 6), setting("OUTBAND_KILL_SEED", 1));
    let mut random = StdRng::seed_from_u64(seed);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let root = tempfile::tempdir().expect("a directory");
    let login = Credentials { user: "monitor".into(), password: "kill-rounds".into() };
    let plans = fleet::sound_site(6, seed);
    let site = Arc::new(runtime.block_on(fleet::start(plans, &login, 1.0)).expect("a site"));
    let mut stack = Stack::new(root.path(), &site, &login, "1s", "").expect("programs and configs");
    stack.start_collector().expect("a collector");
    stack.start_agent().expect("an agent");
    let path = stack.store();
    assert!(
        wait_until(PATIENCE, || stored(&path) > 20),
        "nothing arrived; see {}",
        stack.log("outband-agent").display()
    );
    // Enough corrected errors of one module for a ticket, on a BMC of either protocol: there must be one that could be doubled.
    for server in &site[..2] {
        for _ in 0..12 {
            server.machine.now().log(Happening::EccCorrected { dimm: 0 }, true);
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let logging = keep_logging(site.clone(), seed, stop.clone());

    for round in 0..rounds {
        // The moment: after so many more rows, and so many milliseconds into the next transaction.
        let goal = stored(&path) + random.random_range(1..25);
        assert!(
            wait_until(PATIENCE, || stored(&path) >= goal),
            "round {round}: the stream stands still at {}",
            stored(&path)
        );
        std::thread::park_timeout(Duration::from_millis(random.random_range(0..40)));
        match random.random_range(0..3) {
            0 => {
                stack.kill_agent().expect("a kill");
                stack.start_agent().expect("an agent");
            }
            1 => {
                stack.kill_collector().expect("a kill");
                stack.start_collector().expect("a collector");
            }
            _ => {
                stack.kill_agent().expect("a kill");
                stack.kill_collector().expect("a kill");
                stack.start_agent().expect("an agent");
                stack.start_collector().expect("a collector");
            }
        }
    }

    stop.store(true, Ordering::Relaxed);
    logging.join().expect("the logger");
    let written: usize = site.iter().map(|s| s.machine.now().log.len()).sum();
    let entries = "SELECT count(*) FROM event";
    let all_there = wait_until(PATIENCE, || number(&store(&path), entries) >= i64::try_from(written).unwrap());
    assert!(all_there, "{written} log entries were written, {} are stored", number(&store(&path), entries));

    // The stream flows again: an agent that is asked to end while it is not connected keeps the rest for its next start.
    let flowing = stored(&path) + 8;
    assert!(wait_until(PATIENCE, || stored(&path) >= flowing), "the stream stands still at {}", stored(&path));
    assert!(stack.stop_agent().expect("an end").is_some_and(|s| s.success()), "the agent did not end well");
    let assessed = wait_until(PATIENCE, || {
        let db = store(&path);
        number(&db, "SELECT cursor FROM state") == number(&db, "SELECT coalesce(max(id), 0) FROM ingest_log")
    });
    assert!(assessed, "the collector did not assess everything");
    assert!(stack.stop_collector().expect("an end").is_some_and(|s| s.success()), "the collector did not end well");

    let db = store(&path);
    let (compared, wrong) = compare(&stack.spool(), &db);
    let now: usize = site.iter().map(|s| s.machine.now().log.len()).sum();
    let events = number(&db, entries);
    let tickets = number(&db, "SELECT count(*) FROM ticket");
    let doubled = number(
        &db,
        "SELECT count(*) FROM (SELECT 1 FROM ticket GROUP BY server, component, fault HAVING count(*) > 1)",
    );
    eprintln!(
        "{rounds} kills, seed {seed}: {compared} records compared, {} lost or doubled; {events} log entries of {now}; {tickets} tickets",
        wrong.len()
    );
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(events, i64::try_from(now).unwrap(), "each entry of the BMCs' logs is stored exactly once");
    assert!(tickets >= 2, "two servers had enough errors for a ticket, {tickets} are there");
    assert_eq!(doubled, 0, "no ticket is doubled");
    assert_eq!(number(&db, "SELECT count(*) FROM quarantine"), 0, "nothing was poison");
}
