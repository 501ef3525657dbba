//! Real programs on disks that are really full: first the collector's, then the agent's. What could not be kept is read again, nothing is lost or doubled.

#![allow(clippy::expect_used, reason = "helpers of a test may fail it")]

use outband_spool::{Entry, Lane, Options, SkipReason, Spool};
use outband_tests::sim::fleet::{self, Credentials};
use outband_tests::sim::machine::Happening;
use outband_tests::stack::Stack;
use outband_tests::{skip, wait_until};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

/// A file system in memory, of so many MiB, that goes with its test.
struct Tmpfs(PathBuf);

impl Tmpfs {
    /// `None` where nobody may mount here.
    fn mount(at: PathBuf, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(&at).expect("a directory");
        let size = format!("size={mib}m,mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        mounted.is_ok_and(|o| o.status.success()).then_some(Self(at))
    }

    /// Takes every byte that is free; what is given back by [`Tmpfs::clear`].
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).expect("a file");
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn clear(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("the filler");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        if !unmounted.is_ok_and(|s| s.success()) {
            eprintln!("{} is still mounted", self.0.display());
        }
    }
}

fn store(path: &Path) -> Connection {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store");
    db.busy_timeout(Duration::from_secs(10)).expect("a timeout");
    db
}

fn number(path: &Path, sql: &str) -> i64 {
    store(path).query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

fn stored(path: &Path) -> i64 {
    number(path, "SELECT coalesce(max(id), 0) FROM ingest_log")
}

fn says(log: &Path, words: &str) -> bool {
    std::fs::read_to_string(log).is_ok_and(|text| text.contains(words))
}

/// What the spool handed out of both lanes, by lane and sequence.
fn sent(path: &Path) -> BTreeMap<(i64, i64), Vec<u8>> {
    let spool = Spool::open(path, outband_spool::Options::default(), 1, 0).expect("the spool").spool;
    let mut all = BTreeMap::new();
    for (lane, number) in [(Lane::Event, 1), (Lane::Telemetry, 2)] {
        let mut after = 0;
        loop {
            let peek = spool.peek(lane, after, 1 << 20).expect("entries");
            if let Some(skipped) = peek.skipped {
                assert_eq!(skipped.reason, SkipReason::Released, "only what the collector has was to give way");
            }
            if peek.bodies.is_empty() && peek.skipped.is_none() {
                break;
            }
            after = peek.first_seq - 1;
            for (seq, body) in (peek.first_seq..).zip(peek.bodies) {
                after = seq;
                all.insert((number, seq), body);
            }
        }
    }
    all
}

fn received(path: &Path) -> Vec<((i64, i64), Vec<u8>)> {
    let db = store(path);
    let mut rows = db
        .prepare("SELECT lane.lane, l.seq, l.body FROM ingest_log l JOIN lane ON lane.id = l.lane_id ORDER BY 1, 2")
        .expect("a statement");
    let rows = rows.query_map([], |r| Ok(((r.get(0)?, r.get(1)?), r.get(2)?))).expect("rows");
    rows.collect::<Result<_, _>>().expect("rows")
}

#[test]
fn full_disks_hold_up_what_is_seen_and_lose_none_of_it() {
    let root = tempfile::tempdir().expect("a directory");
    let (Some(collector), Some(agent)) =
        (Tmpfs::mount(root.path().join("collector"), 24), Tmpfs::mount(root.path().join("agent"), 24))
    else {
        return skip("full disks: no file system can be mounted here");
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let login = Credentials { user: "monitor".into(), password: "full-disks".into() };
    let site = runtime.block_on(fleet::start(fleet::sound_site(2, 5), &login, 1.0)).expect("a site");
    let mut stack = Stack::new(root.path(), &site, &login, "1s", "").expect("programs and configs");
    stack.start_collector().expect("a collector");
    stack.start_agent().expect("an agent");
    let path = stack.store();
    let (of_collector, of_agent) = (stack.log("outband-collector"), stack.log("outband-agent"));
    assert!(wait_until(PATIENCE, || stored(&path) > 10), "nothing arrived; see {}", of_agent.display());
    let happen = || {
        for server in &site {
            (0..3).for_each(|dimm| server.machine.now().log(Happening::EccCorrected { dimm }, true));
        }
    };

    collector.fill();
    happen();
    let refused = wait_until(PATIENCE, || says(&of_collector, "a batch cannot be stored; the agent keeps it"));
    assert!(refused, "the collector's disk is full, and it does not say so: {}", of_collector.display());
    assert!(stored(&path) > 10, "queries still answer");
    collector.clear();
    let goal = stored(&path) + 10;
    assert!(wait_until(PATIENCE, || stored(&path) >= goal), "the stream stands still at {}", stored(&path));

    agent.fill();
    happen();
    let says_so = wait_until(PATIENCE, || says(&of_agent, "the disk is full before the spool's quota is"));
    assert!(says_so, "the agent's disk is full, and it does not say so: {}", of_agent.display());
    let goal = stored(&path) + 10;
    assert!(wait_until(PATIENCE, || stored(&path) >= goal), "the stream stands still at {}", stored(&path));
    agent.clear();

    let written: usize = site.iter().map(|s| s.machine.now().log.len()).sum();
    let entries = || number(&path, "SELECT count(*) FROM event");
    let all = wait_until(PATIENCE, || entries() == i64::try_from(written).expect("a number"));
    assert!(all, "{written} log entries were written, {} are stored", entries());
    assert!(stack.stop_agent().expect("an end").is_some_and(|s| s.success()), "the agent did not end well");
    assert!(stack.stop_collector().expect("an end").is_some_and(|s| s.success()), "the collector did not end well");
    let (sent, received) = (sent(&stack.spool()), received(&path));
    assert!(received.len() > 30, "only {} records", received.len());
    let mut next = BTreeMap::from([(1, 1), (2, 1)]);
    for ((lane, seq), body) in &received {
        let next = next.get_mut(lane).expect("a lane");
        assert_eq!(seq, next, "each is stored once, and none is missing");
        *next += 1;
        assert!(sent.get(&(*lane, *seq)).is_none_or(|held| held == body), "what is stored is what was sent");
    }
    assert!(sent.keys().all(|(lane, seq)| *seq < next[lane]), "all that the spool holds is stored");
    assert_eq!(number(&path, "SELECT count(*) FROM gap WHERE agent IS NOT NULL AND server IS NULL"), 0);
}

#[test]
fn where_the_disk_is_full_before_the_quota_the_oldest_telemetry_gives_way_and_every_event_is_kept() {
    let root = tempfile::tempdir().expect("a directory");
    let Some(disk) = Tmpfs::mount(root.path().join("agent"), 32) else {
        return skip("full disks: no file system can be mounted here");
    };
    let path = disk.0.join("spool.db");
    let options = Options { quota_bytes: 1 << 30, spare_bytes: 6 << 20, ..Options::default() };
    let mut spool = Spool::open(&path, options, 1, 0).expect("a spool").spool;
    let mut rng = StdRng::seed_from_u64(1);
    let mut entry = |at_ms| Entry { body: (0..4000).map(|_| rng.random()).collect(), at_ms };
    let mut append = |spool: &mut Spool, lane, at_ms| spool.append(lane, &[entry(at_ms)], &[]);
    for i in 0..2000 {
        append(&mut spool, Lane::Telemetry, i).expect("room");
    }
    append(&mut spool, Lane::Event, 0).expect("room");
    disk.fill();
    for i in 2000..6000 {
        append(&mut spool, Lane::Telemetry, i).expect("room made on a full disk");
        if i % 20 == 0 {
            append(&mut spool, Lane::Event, i).expect("room for events");
        }
    }
    drop(spool);
    let spool = Spool::open(&path, options, 2, 0).expect("a spool");
    assert!(!spool.fresh, "the file was damaged");
    let events = spool.spool.peek(Lane::Event, 0, 1 << 30).expect("events");
    assert_eq!((events.skipped, events.bodies.len()), (None, 201));
    let peek = spool.spool.peek(Lane::Telemetry, 0, 1 << 30).expect("telemetry");
    let skipped = peek.skipped.expect("the oldest gave way");
    assert_eq!((skipped.first, skipped.reason), (1, SkipReason::Evicted));
    assert_eq!(peek.first_seq + i64::try_from(peek.bodies.len()).expect("a number"), 6001);
    assert!(peek.bodies.len() > 1000, "only {} are held", peek.bodies.len());
}
