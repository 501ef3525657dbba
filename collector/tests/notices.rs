//! Notices through a real SMTP server and a real HTTP server, both of which fail half of the time, and a collector that is killed in the midst:
//! each notice arrives at least once, and all deliveries of one carry the same key and the same bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use outband_collector::react::WHO;
use outband_schemas::{ComponentClass, ComponentId, ServerId, SiteId, Timestamp};
use outband_store::sqlite::Options;
use outband_store::{Applied, NoticeFilter, NoticeState, Outbox, Page, Sequence, SqliteStore, Store, TicketWrite};
use outband_ticket::{Opening, Priority, Ticket, TicketNumber};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_secs(90);
const TICKETS: usize = 60;
const SECRET: &str = "a-shared-secret";
const PASSWORD: &str = "a-mail-password";

/// A process that ends with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().unwrap();
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not come about in {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Debian's Python, which has Debian's modules; another one where that is not there.
fn python() -> Command {
    let debian = Path::new("/usr/bin/python3");
    Command::new(if debian.exists() { debian } else { Path::new("python3") })
}

fn server(script: &str, arguments: &[&str]) -> (Process, u16) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(script);
    let mut child = python().arg(path).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Process(child), line.trim().parse().unwrap())
}

fn secret(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

fn open_tickets(dir: &Path, slots: std::ops::Range<usize>) {
    let store = SqliteStore::open(&Options::new(dir)).unwrap();
    store.begin_outbox("test", now()).unwrap();
    for slot in slots {
        let opening = Opening {
            number: TicketNumber(store.reserve(Sequence::Ticket).unwrap()),
            priority: Priority::P1,
            title: "Power supply failed".to_owned(),
            site: Some(SiteId::new("dc1").unwrap()),
            server: ServerId::new("s1").unwrap(),
            component: ComponentId::new(ComponentClass::PowerSupply, format!("{slot}")).unwrap(),
            fault: "psu_failure".to_owned(),
            rule: "psu.failed".to_owned(),
            predicted: false,
            reason: "no output".to_owned(),
            evidence: Vec::new(),
            onset: now(),
            part_serial: None,
        };
        let (ticket, entry) = Ticket::open(opening, WHO, now());
        let write = TicketWrite { ticket, expected_revision: None, transitions: vec![entry] };
        store.apply(Applied { tickets: vec![write], ..Applied::default() }, now()).unwrap();
    }
    store.close().unwrap();
}

fn collector(config: &Path, log: &Path) -> Process {
    let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_outband-collector"));
    command.env_remove("STATE_DIRECTORY").env_remove("NOTIFY_SOCKET").env("OUTBAND_LOG", "debug");
    Process(command.args(["run", "--config"]).arg(config).stderr(log).spawn().unwrap())
}

/// What a server took: key → the digests of what it took under it, how often.
#[derive(Debug, Default)]
struct Taken {
    bodies: BTreeMap<String, (BTreeSet<String>, usize)>,
    refused: usize,
    cut: usize,
}

fn taken(record: &Path) -> Taken {
    let mut taken = Taken::default();
    for line in fs::read_to_string(record).unwrap_or_default().lines() {
        // The last line may be half written.
        let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        assert!(line.get("bad").is_none(), "{line}");
        if line.get("refused").is_some() {
            taken.refused += 1;
            continue;
        }
        taken.cut += usize::from(line["answered"] == false);
        let of = taken.bodies.entry(line["key"].as_str().unwrap().to_owned()).or_default();
        of.0.insert(line["body"].as_str().unwrap().to_owned());
        of.1 += 1;
    }
    taken
}

/// Looks whether files have not grown for so long.
fn quiet_for(long: Duration, files: &[&Path]) -> impl FnMut() -> Option<()> {
    let size = |files: &[PathBuf]| files.iter().map(|f| fs::metadata(f).map_or(0, |m| m.len())).sum::<u64>();
    let files: Vec<PathBuf> = files.iter().map(|f| f.to_path_buf()).collect();
    let mut seen = (size(&files), Instant::now());
    move || {
        let now = size(&files);
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        (seen.1.elapsed() >= long).then_some(())
    }
}

fn certificate(dir: &Path) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (dir.join("mail.pem"), dir.join("mail.key"));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (cert, key)
}

#[test]
fn each_notice_arrives_at_least_once_under_one_key_though_both_servers_fail_and_the_collector_is_killed() {
    if !python().args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status().is_ok_and(|s| s.success()) {
        eprintln!("skipped: needs python3 with aiosmtpd (Debian: python3-aiosmtpd)");
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    let root = tmp.path();
    let (cert, key) = certificate(root);
    let (mails, posts) = (root.join("mails"), root.join("posts"));
    let text = |p: &Path| p.display().to_string();
    let (cert_path, key_path, mails_path) = (text(&cert), text(&key), text(&mails));
    let smtp_arguments = [&*cert_path, &*key_path, "outband", PASSWORD, "7", &*mails_path];
    let (_smtp, smtp_port) = server("smtp.py", &smtp_arguments);
    let (_web, web_port) = server("webhook.py", &[SECRET, "11", &text(&posts)]);
    let (password, shared) = (secret(root, "password", PASSWORD), secret(root, "secret", SECRET));
    let data = root.join("data");
    let config = root.join("collector.toml");
    let written = format!(
        "[listen]\nagents = '127.0.0.1:0'\noperators = '127.0.0.1:0'\n[data]\nkeep_free_mib = 0\ndir = '{data}'\n\
         [notify]\ntries = 60\nfirst_retry = '100ms'\nlongest_retry = '500ms'\n\
         [notify.channels.mail]\nkind = 'email'\nhost = 'localhost'\nport = {smtp_port}\nfrom = 'Outband <outband@example.com>'\n\
         user = 'outband'\npassword_file = '{password}'\nca_file = '{cert}'\nper_minute = 6000\n\
         [notify.channels.hook]\nkind = 'webhook'\nurl = 'http://127.0.0.1:{web_port}/notices'\nsecret_file = '{shared}'\nper_minute = 6000\n\
         [notify.recipients.li]\nchannel = 'mail'\nto = 'li@example.com'\nlanguage = 'zh-CN'\n\
         [notify.recipients.desk]\nchannel = 'hook'\n\
         [[notify.rules]]\nto = ['li', 'desk']\n",
        data = data.display(),
        password = password.display(),
        cert = cert.display(),
        shared = shared.display(),
    );
    fs::write(&config, written).unwrap();
    let log = root.join("log");

    // Killed twice in the midst of sending, with more to tell after the first time.
    open_tickets(&data, 0..TICKETS / 2);
    let started = Instant::now();
    let running = collector(&config, &log);
    wait_for("some deliveries", || (taken(&posts).bodies.len() >= 8 && taken(&mails).bodies.len() >= 4).then_some(()));
    drop(running);
    open_tickets(&data, TICKETS / 2..TICKETS);
    let before = taken(&posts).bodies.len();
    let running = collector(&config, &log);
    wait_for("more deliveries", || (taken(&posts).bodies.len() >= before + 8).then_some(()));
    drop(running);
    let running = collector(&config, &log);
    wait_for("every delivery", || {
        let all = taken(&posts).bodies.len() >= TICKETS && taken(&mails).bodies.len() >= TICKETS;
        all.then_some(())
    });
    let took = started.elapsed();
    // What the servers took but did not answer is still under way.
    wait_for("a while without deliveries", quiet_for(Duration::from_secs(3), &[&mails, &posts]));
    drop(running);

    let store = SqliteStore::open(&Options::new(&data)).unwrap();
    let all = store.notices(&NoticeFilter::default(), &Page::first(10 * TICKETS)).unwrap().rows;
    assert_eq!(all.len(), 2 * TICKETS, "made once each");
    assert!(all.iter().all(|n| n.state == NoticeState::Delivered));
    let mut deliveries = 0;
    for (channel, record) in [("mail", &mails), ("hook", &posts)] {
        let taken = taken(record);
        let keys: BTreeSet<&String> = all.iter().filter(|n| n.draft.channel == channel).map(|n| &n.key).collect();
        assert_eq!(taken.bodies.keys().collect::<BTreeSet<_>>(), keys, "{channel}");
        assert!(taken.bodies.values().all(|(bodies, _)| bodies.len() == 1), "{channel}: one key, other bytes");
        let count: usize = taken.bodies.values().map(|(_, n)| n).sum();
        let twice = taken.bodies.values().filter(|(_, n)| *n > 1).count();
        eprintln!(
            "{channel}: {} notices, {count} deliveries ({twice} notices more than once), {} refused, {} cut before the answer",
            keys.len(),
            taken.refused,
            taken.cut
        );
        assert!(taken.refused > 0 && taken.cut > 0, "{channel}: the server did not fail");
        deliveries += count;
    }
    assert!(deliveries >= 2 * TICKETS);
    let said = fs::read_to_string(&log).unwrap();
    assert!(!said.contains(SECRET) && !said.contains(PASSWORD) && !said.contains("li@example.com"));
    eprintln!("{} notices, {deliveries} deliveries, 2 kills, {:.1} s", 2 * TICKETS, took.as_secs_f64());
}
