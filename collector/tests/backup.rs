//! A backup of a collector that runs, restored elsewhere; and what is refused.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod common;

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use common::Home;
use outband_collector::backup::{Apart, Error, restore, restore_with, save, save_with};
use outband_schemas::Identity as Names;
use outband_schemas::{
    AgentId, ComponentClass, ComponentId, Lane, Quality, Reading, SensorKind, ServerId, SiteId, Source, SpoolId,
    Timestamp, Value,
};
use outband_store::audit::{Audit, AuditFilter};
use outband_store::query::{HistoryFilter, SeriesFilter, TicketFilter};
use outband_store::sqlite::Options;
use outband_store::{
    AgentHello, Applied, HistoryPoint, IncomingBatch, Page, Sequence, ServerReadings, ServerRecord, SqliteStore, Store,
    TicketWrite,
};
use outband_ticket::{Opening, Priority, Ticket, TicketNumber};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A text that stands in a ticket.
const PLANTED: &str = "Disk failed beside the blue door";

/// With `now` long ago, a running collector adds to it what became due since.
fn open_ticket(store: &SqliteStore, now: Timestamp) {
    let opening = Opening {
        number: TicketNumber(store.reserve(Sequence::Ticket).unwrap()),
        priority: Priority::P2,
        title: PLANTED.to_owned(),
        site: None,
        server: ServerId::new("server-a").unwrap(),
        component: ComponentId::new(ComponentClass::Disk, "Bay 1").unwrap(),
        fault: "disk_failure".to_owned(),
        rule: "disk.says_so".to_owned(),
        predicted: false,
        reason: "the drive says so".to_owned(),
        evidence: Vec::new(),
        onset: now,
        part_serial: None,
    };
    let (ticket, entry) = Ticket::open(opening, "collector", now);
    let write = TicketWrite { ticket, expected_revision: None, transitions: vec![entry] };
    store.apply(Applied { tickets: vec![write], ..Applied::default() }, now).unwrap();
}

/// A store with a ticket, a directory for backups, and who may read them.
struct Place {
    tmp: tempfile::TempDir,
    identity: Identity,
}

impl Place {
    fn new() -> Self {
        let place = Self { tmp: tempfile::tempdir().unwrap(), identity: Identity::generate() };
        fs::write(place.path("key"), place.identity.to_string().expose_secret()).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.tmp.path().join(name)
    }

    fn with_backup() -> Self {
        let place = Self::new();
        let store = SqliteStore::open(&Options::new(place.path("data"))).unwrap();
        open_ticket(&store, Timestamp::from_millis(1_700_000_000_000));
        save(&place.path("data"), &place.path("backup"), &[place.identity.to_public()]).unwrap();
        store.close().unwrap();
        place
    }

    fn restore(&self) -> Result<(), Error> {
        restore(&self.path("backup"), &self.path("key"), &self.path("new")).map(|_| ())
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.tmp.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

fn program(arguments: &[&str], paths: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outband-collector"));
    command.args(arguments);
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    command.output().unwrap()
}

#[tokio::test]
async fn a_backup_of_a_running_collector_starts_elsewhere_with_the_same_tickets_tokens_and_audit_log() {
    let (home, place) = (Home::new(), Place::new());
    let collector = home.start().await;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    open_ticket(collector.store(), Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap()));
    let config = place.path("collector.toml");
    fs::write(&config, format!("[data]\ndir = '{}'\n", home.dir().display())).unwrap();
    let recipient = place.identity.to_public().to_string();
    let paths = [("--to", place.path("backup")), ("--config", config)];
    let done = program(&["backup", "--recipient", &recipient], &paths.each_ref().map(|(f, p)| (*f, p.as_path())));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let before = collector.store().tickets(&TicketFilter::default(), &Page::first(9)).unwrap().rows;
    collector.stop().await.unwrap();

    // Its directory exists and is empty.
    let elsewhere = Home::new();
    fs::create_dir(elsewhere.dir()).unwrap();
    let paths = [("--from", place.path("backup")), ("--identity", place.path("key")), ("--dir", elsewhere.dir())];
    let done = program(&["restore"], &paths.each_ref().map(|(f, p)| (*f, p.as_path())));
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("restored 1 tickets") && said.contains("next: "), "{said}");

    let restored = elsewhere.start().await;
    assert_eq!(restored.store().tickets(&TicketFilter::default(), &Page::first(9)).unwrap().rows, before);
    for name in ["operator.token", "ca.pem"] {
        assert_eq!(fs::read(elsewhere.dir().join(name)).unwrap(), fs::read(home.dir().join(name)).unwrap(), "{name}");
    }
    let audited = restored.store().audited(&AuditFilter::default(), &Page::first(99)).unwrap().rows;
    let of_backup: Vec<&str> = audited
        .iter()
        .filter(|e| e.deed.method == "outband-collector backup")
        .map(|e| e.deed.detail.as_str())
        .collect();
    assert_eq!(of_backup, [format!("for {recipient}")]);
    assert_eq!(restored.store().verify_audit(None).unwrap().broken, None);
    restored.stop().await.unwrap();
}

#[test]
fn a_backup_is_closed_to_others_holds_nothing_in_clear_and_leaves_nothing_else() {
    let place = Place::with_backup();
    let path = place.path("backup");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let has = |path: &Path| fs::read(path).unwrap().windows(PLANTED.len()).any(|w| w == PLANTED.as_bytes());
    assert!(has(&place.path("data/store.db")), "else the next line says nothing");
    assert!(!has(&path));
    assert!(!place.path("data/backup.new").exists());
    assert_eq!(place.names(), ["backup", "data", "key"]);
}

#[test]
fn another_key_opens_nothing_and_leaves_nothing_behind() {
    let place = Place::with_backup();
    fs::write(place.path("key"), Identity::generate().to_string().expose_secret()).unwrap();
    let error = place.restore().unwrap_err();
    assert!(matches!(error, Error::Decrypt { source: age::DecryptError::NoMatchingKeys, .. }), "{error}");
    assert_eq!(place.names(), ["backup", "data", "key"]);
}

#[test]
fn a_backup_that_was_cut_off_or_changed_anywhere_is_refused_and_leaves_nothing_behind() {
    let place = Place::with_backup();
    let whole = fs::read(place.path("backup")).unwrap();
    let end = whole.len();
    for length in [0, 10, 150, end / 2, end - 70_000, end - 1] {
        fs::write(place.path("backup"), &whole[..length]).unwrap();
        assert!(place.restore().is_err(), "{length} of {end} bytes");
        assert_eq!(place.names(), ["backup", "data", "key"]);
    }
    for at in [30, end / 2, end - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(place.path("backup"), changed).unwrap();
        assert!(place.restore().is_err(), "byte {at} of {end}");
        assert_eq!(place.names(), ["backup", "data", "key"]);
    }
    fs::write(place.path("backup"), whole).unwrap();
    place.restore().unwrap();
}

#[test]
fn a_backup_of_which_only_the_zeros_at_its_end_are_gone_is_refused_too() {
    /// What is encrypted at once, and its tag (age, STREAM).
    const CHUNK: usize = 64 << 10;
    const TAG: usize = 16;
    let place = Place::with_backup();
    let whole = fs::read(place.path("backup")).unwrap();
    let mut clear = Vec::new();
    let opened = age::Decryptor::new(&whole[..]).unwrap().decrypt([&place.identity as &dyn age::Identity].into_iter());
    opened.unwrap().read_to_end(&mut clear).unwrap();
    // One more file, so that the second block of zeros at the end stands alone in the last chunk: who unpacks never reads it.
    let end = clear.len() - 1024;
    let room = (2 * CHUNK + 512 - (clear.len() + 512) % CHUNK) % CHUNK;
    let mut header = tar::Header::new_ustar();
    header.set_path("more").unwrap();
    header.set_size(room as u64);
    header.set_mode(0o600);
    header.set_cksum();
    clear.splice(end..end, header.as_bytes().iter().copied().chain(vec![7; room]));
    assert_eq!(clear.len() % CHUNK, 512);
    let recipient = place.identity.to_public();
    let mut sealed = Vec::new();
    let to = age::Encryptor::with_recipients([&recipient as &dyn age::Recipient].into_iter()).unwrap();
    let mut out = to.wrap_output(&mut sealed).unwrap();
    out.write_all(&clear).unwrap();
    out.finish().unwrap();
    fs::write(place.path("backup"), &sealed[..sealed.len() - 512 - TAG]).unwrap();
    assert!(place.restore().is_err());
    assert_eq!(place.names(), ["backup", "data", "key"]);
    fs::write(place.path("backup"), &sealed).unwrap();
    place.restore().unwrap();
}

#[test]
fn a_directory_that_holds_something_is_not_touched() {
    let place = Place::with_backup();
    fs::create_dir(place.path("new")).unwrap();
    fs::write(place.path("new/mine"), "mine").unwrap();
    assert!(matches!(place.restore(), Err(Error::NotEmpty(_))));
    assert_eq!(fs::read_dir(place.path("new")).unwrap().count(), 1);
}

#[test]
fn a_ticket_that_was_changed_behind_the_collectors_back_is_not_restored() {
    let place = Place::new();
    let store = SqliteStore::open(&Options::new(place.path("data"))).unwrap();
    open_ticket(&store, Timestamp::from_millis(1_700_000_000_000));
    store.close().unwrap();
    let flags = rusqlite::OpenFlags::default();
    // With its checksums, as somebody would who knows them.
    let db = rusqlite::Connection::open_with_flags_and_vfs(place.path("data/store.db"), flags, outband_pages::PAGES);
    let other = PLANTED.replacen('D', "d", 1);
    let changed = db.unwrap().execute("UPDATE ticket SET body = replace(body, ?1, ?2)", [PLANTED, &other]).unwrap();
    assert_eq!(changed, 1);
    save(&place.path("data"), &place.path("backup"), &[place.identity.to_public()]).unwrap();
    let error = place.restore().unwrap_err();
    assert!(matches!(error, Error::Tampered { tickets: 1, .. }), "{error}");
    assert!(!place.path("new").exists());
}

#[test]
fn a_store_of_which_a_byte_changed_on_the_disk_is_not_backed_up() {
    let place = Place::new();
    let store = SqliteStore::open(&Options::new(place.path("data"))).unwrap();
    open_ticket(&store, Timestamp::from_millis(1_700_000_000_000));
    store.close().unwrap();
    let path = place.path("data/store.db");
    let mut bytes = fs::read(&path).unwrap();
    let changed = bytes.windows(PLANTED.len()).position(|w| w == PLANTED.as_bytes()).unwrap();
    bytes[changed] = b'd';
    fs::write(&path, bytes).unwrap();
    let error = save(&place.path("data"), &place.path("backup"), &[place.identity.to_public()]).unwrap_err();
    assert!(matches!(error, Error::Store { .. }), "{error}");
    assert!(!place.path("backup").exists());
}

#[test]
fn an_identity_given_as_a_recipient_by_mistake_is_not_repeated() {
    let place = Place::new();
    let secret = place.identity.to_string();
    let text = format!("[data]\ndir = '{}'\n", place.path("data").display());
    fs::write(place.path("collector.toml"), text).unwrap();
    let paths = [("--to", place.path("backup")), ("--config", place.path("collector.toml"))];
    let done =
        program(&["backup", "--recipient", secret.expose_secret()], &paths.each_ref().map(|(f, p)| (*f, p.as_path())));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        !done.status.success() && said.contains("--recipient 1") && !said.contains(secret.expose_secret()),
        "{said}"
    );
}

/// A store with three weeks of a sensor, sealed.
fn with_history(place: &Place) -> SqliteStore {
    let store = SqliteStore::open(&Options::new(place.path("data"))).unwrap();
    open_ticket(&store, Timestamp::from_millis(1_700_000_000_000));
    let start = 1_700_000_000;
    let server = ServerRecord {
        id: ServerId::new("server-a").unwrap(),
        site: SiteId::new("dc1").unwrap(),
        identity: Names::default(),
        targets: Vec::new(),
        first_seen: Timestamp::from_secs(start),
        last_seen: Timestamp::from_secs(start),
        merged_into: None,
        rev: 0,
    };
    let reading = |n: i64| Reading {
        component: ComponentId::new(ComponentClass::Fan, "Fan 1").unwrap(),
        kind: SensorKind::FanSpeed,
        sensor: "rpm".to_owned(),
        value: Some(Value::Number(5000.0 + n as f64)),
        quality: Quality::Good,
        observed_at: Timestamp::from_secs(start + n * 6 * 3600),
        source: Source("ipmi:1".to_owned()),
        thresholds: None,
    };
    let readings = ServerReadings {
        server: server.id.clone(),
        received_at: Timestamp::from_secs(start),
        readings: (0..84).map(reading).collect(),
    };
    let applied = Applied { servers: vec![server], readings: vec![readings], ..Applied::default() };
    store.apply(applied, Timestamp::from_secs(start)).unwrap();
    store.seal(Timestamp::from_secs(start + 22 * 86_400)).unwrap();
    store
}

fn points(store: &SqliteStore) -> Vec<HistoryPoint> {
    let filter =
        HistoryFilter { series: SeriesFilter::default(), from: Timestamp::EPOCH, to: Timestamp::from_millis(i64::MAX) };
    store.history(&filter, &Page::first(999)).unwrap().rows
}

#[test]
fn the_files_of_history_come_back_with_the_store() {
    let place = Place::new();
    let store = with_history(&place);
    save(&place.path("data"), &place.path("backup"), &[place.identity.to_public()]).unwrap();
    place.restore().unwrap();
    let restored = SqliteStore::open(&Options::new(place.path("new"))).unwrap();
    assert_eq!(points(&restored), points(&store));
    assert_eq!(points(&store).len(), 84);
}

#[test]
fn closed_files_of_history_are_kept_apart_once_and_come_back_from_there() {
    let place = Place::new();
    let store = with_history(&place);
    let apart = place.path("apart");
    fs::create_dir(&apart).unwrap();
    let backup = || {
        let before = (1_700_000_000 + 15 * 86_400) * 1000;
        let apart = Apart { dir: &apart, before };
        save_with(&place.path("data"), &place.path("backup"), &[place.identity.to_public()], Some(apart)).unwrap();
        let mut kept: Vec<_> = fs::read_dir(apart.dir).unwrap().map(|e| e.unwrap()).collect();
        kept.sort_by_key(fs::DirEntry::file_name);
        kept.iter().map(|e| (e.file_name(), e.metadata().unwrap().modified().unwrap())).collect::<Vec<_>>()
    };
    let first = backup();
    assert!(first.len() >= 2, "{first:?}");
    assert_eq!(backup(), first, "none is written again");
    assert!(matches!(place.restore(), Err(Error::Foreign { .. })), "without the directory it is not whole");
    let restore = |dir: &Path| restore_with(&place.path("backup"), &place.path("key"), &place.path("new"), Some(dir));
    // One of them is spoilt, or gone: nothing is restored.
    let one = apart.join(&first[0].0);
    let whole = fs::read(&one).unwrap();
    fs::write(&one, &whole[..whole.len() - 9]).unwrap();
    assert!(restore(&apart).is_err() && !place.path("new").exists());
    fs::write(&one, whole).unwrap();
    restore(&apart).unwrap();
    let restored = SqliteStore::open(&Options::new(place.path("new"))).unwrap();
    assert_eq!(points(&restored), points(&store));
}

#[test]
fn a_backup_of_a_store_that_is_written_to_holds_what_was_acknowledged_and_holds_up_nobody() {
    let place = Place::new();
    let store = with_history(&place);
    let (agent, spool_id) = (AgentId::new("a1").unwrap(), SpoolId::from_bits(1));
    let hello = AgentHello {
        agent: agent.clone(),
        site: SiteId::new("dc1").unwrap(),
        spool_id,
        version: "0".to_owned(),
        targets: Vec::new(),
        sensor_interval: Duration::from_secs(60),
        lanes: Vec::new(),
    };
    let start = Timestamp::from_secs(1_700_000_000);
    let epoch = store.hello(&hello, start).unwrap().epoch;
    let (acked, ended) = (AtomicI64::new(0), AtomicBool::new(false));
    let (longest_commit, longest_seal) = std::thread::scope(|scope| {
        let ingest = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            for first_seq in (1..).step_by(10) {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let bodies = (0..10).map(|n| vec![b'x'; 1000 + n]).collect();
                let (agent, lane) = (agent.clone(), Lane::Telemetry);
                let batch = IncomingBatch { epoch, agent, spool_id, lane, first_seq, bodies, skipped: None };
                let begun = Instant::now();
                acked.store(store.commit(batch, start).unwrap().through, Ordering::Relaxed);
                longest = longest.max(begun.elapsed());
            }
            longest
        });
        let sealing = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            for n in 0.. {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let at = start.plus(Duration::from_secs(22 * 86_400 + 7200 * n));
                let begun = Instant::now();
                store.seal(at).unwrap();
                longest = longest.max(begun.elapsed());
            }
            longest
        });
        for _ in 0..5 {
            let before = acked.load(Ordering::Relaxed);
            save(&place.path("data"), &place.path("backup"), &[place.identity.to_public()]).unwrap();
            place.restore().unwrap();
            let restored = SqliteStore::open(&Options::new(place.path("new"))).unwrap();
            let mark =
                restored.agents().unwrap()[0].lanes.iter().find(|l| l.lane == Lane::Telemetry).unwrap().committed;
            assert!(mark >= before, "{before} was acknowledged before, the backup is of {mark}");
            let rows = restored.log_after(0, usize::MAX).unwrap();
            assert!(rows.iter().map(|r| r.seq).eq(1..=i64::try_from(rows.len()).unwrap()), "it is of one moment");
            assert_eq!(points(&restored).len(), 84);
            restored.close().unwrap();
            fs::remove_dir_all(place.path("new")).unwrap();
        }
        ended.store(true, Ordering::Relaxed);
        (ingest.join().unwrap(), sealing.join().unwrap())
    });
    let through = acked.load(Ordering::Relaxed);
    eprintln!(
        "five backups while {through} bodies came in: the longest commit {longest_commit:?}, the longest sealing {longest_seal:?}"
    );
    assert!(through > 100, "only {through} bodies came in meanwhile");
    assert!(longest_commit < Duration::from_secs(10), "{longest_commit:?}");
}
