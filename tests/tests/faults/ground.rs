//! A small site, its programs, and what the test knows of what was issued.

use outband_spool::{Lane, Spool};
use outband_tests::sim::fleet::{self, Credentials, Server};
use outband_tests::sim::machine::Happening;
use outband_tests::stack::Stack;
use outband_tests::wait_until;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The site and its programs. All ends with it.
pub(crate) struct Ground {
    pub(crate) stack: Stack,
    pub(crate) site: Arc<Vec<Server>>,
    pub(crate) root: TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Ground {
    /// Configured, not started.
    pub(crate) fn new(servers: usize, collector_more: &str) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let root = tempfile::tempdir().unwrap();
        let login = Credentials { user: "monitor".into(), password: "faulty-ground".into() };
        let site = runtime.block_on(fleet::start(fleet::sound_site(servers, 5), &login, 1.0)).unwrap();
        let stack = Stack::new(root.path(), &site, &login, "1s", collector_more).unwrap();
        Self { stack, site: Arc::new(site), root, _runtime: runtime }
    }

    pub(crate) fn start(&mut self) {
        self.stack.start_collector().unwrap();
        self.stack.start_agent().unwrap();
    }

    /// Both end well.
    pub(crate) fn stop(&mut self) {
        assert!(self.stack.stop_agent().unwrap().is_some_and(|s| s.success()), "the agent did not end well");
        assert!(self.stack.stop_collector().unwrap().is_some_and(|s| s.success()), "the collector did not end well");
    }

    /// So many log entries are written at every BMC.
    pub(crate) fn happen(&self, times: usize) {
        for server in self.site.iter() {
            for n in 0..times {
                server.machine.now().log(Happening::EccCorrected { dimm: n % 4 }, true);
            }
        }
    }

    /// How many log entries there are at the BMCs.
    pub(crate) fn written(&self) -> i64 {
        i64::try_from(self.site.iter().map(|s| s.machine.now().log.len()).sum::<usize>()).unwrap()
    }

    /// Writes log entries, one now and then, until told to stop.
    pub(crate) fn keep_happening(&self, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
        let (site, stop) = (Arc::clone(&self.site), Arc::clone(stop));
        std::thread::spawn(move || {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                site[n % site.len()].machine.now().log(Happening::EccCorrected { dimm: n % 4 }, true);
                // The pace of what happens in the world, not a wait for anything.
                std::thread::park_timeout(Duration::from_millis(150));
            }
        })
    }

    pub(crate) fn number(&self, sql: &str) -> i64 {
        number(&self.stack.store(), sql)
    }

    /// Rows that the collector has stored so far.
    pub(crate) fn stored(&self) -> i64 {
        self.number("SELECT coalesce(max(id), 0) FROM ingest_log")
    }

    /// So many more rows come in.
    pub(crate) fn flows(&self, rows: i64) {
        let goal = self.stored() + rows;
        let came = wait_until(PATIENCE, || self.stored() >= goal);
        assert!(came, "the stream stands still at {} of {goal}\n{}", self.stored(), self.tails());
    }

    /// Every log entry of the BMCs is stored, once.
    pub(crate) fn each_event_is_there_once(&self) {
        let entries = "SELECT count(*) FROM event";
        let all = wait_until(PATIENCE, || self.number(entries) >= self.written());
        assert!(
            all,
            "{} log entries were written, {} are stored\n{}",
            self.written(),
            self.number(entries),
            self.tails()
        );
        assert_eq!(self.number(entries), self.written(), "a log entry is doubled");
    }

    pub(crate) fn log(&self, program: &str) -> String {
        std::fs::read_to_string(self.stack.log(program)).unwrap_or_default()
    }

    /// The program said this.
    pub(crate) fn says(&self, program: &str, words: &str) {
        let said = wait_until(PATIENCE, || self.log(program).contains(words));
        assert!(said, "{program} does not say {words:?}\n{}", self.tails());
    }

    /// The ends of both logs.
    pub(crate) fn tails(&self) -> String {
        ["outband-collector", "outband-agent"]
            .map(|program| {
                let log = self.log(program);
                let lines: Vec<&str> = log.lines().collect();
                format!("--- {program}\n{}", lines[lines.len().saturating_sub(25)..].join("\n"))
            })
            .join("\n")
    }

    /// Another command of the collector's program, with its config.
    pub(crate) fn collector(&self, command: &str) -> std::process::Output {
        let program = outband_tests::process::program_path("outband-collector");
        Command::new(program).arg(command).arg("--config").arg(self.stack.collector_toml()).output().unwrap()
    }

    /// What stands in the store is what the spool still holds under the same number, and no number is missing that no gap tells of. How many were compared.
    pub(crate) fn ledger(&self) -> usize {
        let db = open(&self.stack.store());
        let missing: Vec<(String, i64, i64, i64)> = rows(
            &db,
            "SELECT l.spool_id, l.lane, l.committed, (SELECT count(*) FROM ingest_log g WHERE g.lane_id = l.id) FROM lane l
             WHERE l.committed <> (SELECT count(*) FROM ingest_log g WHERE g.lane_id = l.id)",
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)),
        );
        let told: i64 = number(&self.stack.store(), "SELECT count(*) FROM gap WHERE agent IS NOT NULL");
        assert!(missing.is_empty() || told > 0, "records are missing, and no gap tells of it: {missing:?}");
        let id: String = number_or(&db, "SELECT spool_id FROM agent");
        let sent = sent(&self.stack.spool());
        let mut compared = 0;
        let got: Vec<((i64, i64), Vec<u8>)> = rows(
            &db,
            &format!(
                "SELECT l.lane, g.seq, g.body FROM ingest_log g JOIN lane l ON l.id = g.lane_id WHERE l.spool_id = '{id}'"
            ),
            |r| Ok(((r.get(0)?, r.get(1)?), r.get(2)?)),
        );
        let got: BTreeMap<_, _> = got.into_iter().collect();
        for (key, body) in &got {
            if let Some(issued) = sent.get(key) {
                assert_eq!(issued, body, "{key:?} is stored with another body than was issued");
                compared += 1;
            }
        }
        let marks: BTreeMap<i64, i64> =
            rows(&db, &format!("SELECT lane, committed FROM lane WHERE spool_id = '{id}'"), |r| {
                Ok((r.get(0)?, r.get(1)?))
            })
            .into_iter()
            .collect();
        for (lane, seq) in sent.keys() {
            let acked = marks.get(lane).is_some_and(|mark| seq <= mark);
            assert!(!acked || got.contains_key(&(*lane, *seq)), "lane {lane}: {seq} was acknowledged, and is lost");
        }
        compared
    }
}

pub(crate) fn open(path: &Path) -> Connection {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store");
    db.busy_timeout(Duration::from_secs(10)).expect("a timeout");
    db
}

pub(crate) fn number(path: &Path, sql: &str) -> i64 {
    number_or(&open(path), sql)
}

fn number_or<T: rusqlite::types::FromSql>(db: &Connection, sql: &str) -> T {
    db.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

pub(crate) fn rows<T>(
    db: &Connection,
    sql: &str,
    map: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let mut statement = db.prepare(sql).expect("a statement");
    statement.query_map([], map).expect("rows").collect::<Result<_, _>>().expect("rows")
}

/// What a spool that nobody uses holds, by lane and sequence.
pub(crate) fn sent(path: &Path) -> BTreeMap<(i64, i64), Vec<u8>> {
    let spool = Spool::open(path, outband_spool::Options::default(), 1, 0).expect("the spool").spool;
    let mut all = BTreeMap::new();
    for (lane, number) in [(Lane::Event, 1), (Lane::Telemetry, 2)] {
        let mut after = 0;
        loop {
            let peek = spool.peek(lane, after, 1 << 20).expect("entries");
            if peek.bodies.is_empty() && peek.skipped.is_none() {
                break;
            }
            after = peek.skipped.map_or(after, |s| s.last);
            for (seq, body) in (peek.first_seq..).zip(peek.bodies) {
                after = seq;
                all.insert((number, seq), body);
            }
        }
    }
    all
}

/// A file system in memory, of so many KiB, that goes with its test.
pub(crate) struct Tmpfs(pub(crate) PathBuf);

impl Tmpfs {
    /// `None` where nobody may mount here.
    pub(crate) fn mount(at: PathBuf, kib: u32) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let size = format!("size={kib}k,mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        mounted.is_ok_and(|o| o.status.success()).then_some(Self(at))
    }

    /// Takes every byte that is free; what is given back by [`Tmpfs::clear`].
    pub(crate) fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    pub(crate) fn clear(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
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

/// A real file system on a file, which can be made to give up and go read-only under those who write to it, as one does when its disk fails.
pub(crate) struct Ext4 {
    image: PathBuf,
    pub(crate) at: PathBuf,
}

impl Ext4 {
    /// `None` where nobody may mount here, or there are no tools for it.
    pub(crate) fn mount(image: PathBuf, at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        std::fs::File::create(&image).unwrap().set_len(128 << 20).unwrap();
        let made = Command::new("mkfs.ext4").arg("-q").arg(&image).output();
        let it = Self { image, at };
        (made.is_ok_and(|o| o.status.success()) && it.mounts()).then_some(it)
    }

    fn mounts(&self) -> bool {
        let mounted = Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.at).output();
        mounted.is_ok_and(|o| o.status.success())
    }

    /// Every write fails from now on: EROFS.
    pub(crate) fn gives_up(&self) {
        let output = Command::new("mount").args(["-o", "remount,abort"]).arg(&self.at).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Mounted anew, after it was looked at as at a start of the machine.
    pub(crate) fn again(&self) {
        let output = Command::new("umount").arg(&self.at).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // 1: errors were put right.
        let checked = Command::new("fsck.ext4").arg("-p").arg(&self.image).output().unwrap();
        assert!(checked.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&checked.stdout));
        assert!(self.mounts(), "it does not mount again");
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.at).output();
        if !unmounted.is_ok_and(|o| o.status.success()) {
            eprintln!("{} is still mounted", self.at.display());
        }
    }
}
