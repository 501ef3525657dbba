//! The built program as people and systemd meet it: exit codes, what is printed, reload and stop.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

use outband_proto::convert::decode_set;
use outband_spool::{Lane, Options, Spool};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const AGENT: &str = env!("CARGO_BIN_EXE_outband-agent");
const SECRET: &str = "correct-horse-battery";

fn agent(args: &[&str]) -> Command {
    let mut command = Command::new(AGENT);
    command.args(args).env_remove("OUTBAND_PASSWORD").env_remove("CREDENTIALS_DIRECTORY").env_remove("NOTIFY_SOCKET");
    command
}

fn run(args: &[&str]) -> Output {
    agent(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn put(dir: &Path, name: &str, content: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// A directory with a config whose only target is where nothing listens.
fn site() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "ca.pem", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
    put(dir.path(), "token", SECRET);
    put(dir.path(), "pass", SECRET);
    let config = put(dir.path(), "agent.toml", &config("bmc1"));
    (dir, config)
}

fn config(target: &str) -> String {
    format!(
        r#"[agent]
id = "a1"
site = "dc1"
data_dir = "data"
[collector]
endpoints = ["https://127.0.0.1:1"]
ca_file = "ca.pem"
token_file = "token"
[credentials.c]
user = "u"
password_file = "pass"
[[targets]]
id = "{target}"
url = "https://127.0.0.1:1"
credentials = "c"
"#
    )
}

#[test]
fn a_good_config_is_called_good_and_holds_no_secret_in_its_output() {
    let (_dir, config) = site();
    let out = run(&["check-config", "--config", &config]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stdout));
    assert!(text(&out.stdout).contains("1 targets"));
    assert!(!text(&out.stdout).contains(SECRET) && !text(&out.stderr).contains(SECRET));
}

#[test]
fn a_bad_config_is_a_usage_error_with_every_problem_as_json() {
    let (dir, _) = site();
    let bad = put(dir.path(), "bad.toml", &config("b 1").replace("site = \"dc1\"", "sight = \"dc1\""));
    let out = run(&["check-config", "--config", &bad, "-o", "json"]);
    assert_eq!(out.status.code(), Some(2));
    let document: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(document["ok"], false);
    let fields: Vec<&str> =
        document["problems"].as_array().unwrap().iter().map(|p| p["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["agent.site", "agent.sight", "targets[0].id"]);
    assert_eq!(document["problems"][2]["line"], 13);
}

#[test]
fn run_with_a_bad_config_starts_nothing() {
    let (dir, _) = site();
    let bad = put(dir.path(), "bad.toml", &config("b 1"));
    let out = run(&["run", "--config", &bad]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("targets[0].id"));
    assert!(!dir.path().join("data").exists());
}

#[test]
fn the_example_config_is_good() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let unit = fs::read_to_string(deploy.join("outband-agent.service")).unwrap();
    let credentials = tempfile::tempdir().unwrap();
    for line in unit.lines().filter_map(|l| l.strip_prefix("LoadCredential=")) {
        put(credentials.path(), line.split(':').next().unwrap(), "-----BEGIN CERTIFICATE-----\n");
    }
    // What `outband-agent join` would have written.
    let state = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    let uri = "outband://dc1/agents/dc1-agent-1".try_into().unwrap();
    params.subject_alt_names = vec![rcgen::SanType::URI(uri)];
    let certificate = params.self_signed(&key).unwrap().pem();
    put(state.path(), "ca.pem", &certificate);
    put(state.path(), "identity.pem", &format!("{}{certificate}", key.serialize_pem()));
    let example = fs::read_to_string(deploy.join("agent.toml")).unwrap();
    let example = example.replace("/var/lib/outband-agent", &state.path().display().to_string());
    let out = agent(&["check-config", "--config", &put(state.path(), "agent.toml", &example)])
        .env("CREDENTIALS_DIRECTORY", credentials.path())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stdout));
}

#[test]
fn a_probe_that_reaches_nothing_shows_the_ladder_and_what_to_do() {
    let (dir, _) = site();
    let pass = dir.path().join("pass").display().to_string();
    let out = run(&["probe", "https://127.0.0.1:1", "--user", "u", "--password-file", &pass, "--accept-new-cert"]);
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out.stderr);
    assert!(said.contains("[BROKEN] reach") && said.contains("What to do:"), "{said}");
    assert!(out.stdout.is_empty() && !said.contains(SECRET));
}

#[test]
fn a_probe_of_the_own_server_asks_for_no_login_and_says_what_is_missing() {
    let out = run(&["probe", "local:///dev/ipmi7"]);
    let said = text(&out.stdout) + &text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("/dev/ipmi7") && said.contains("modprobe"), "{said}");
    assert_eq!(run(&["probe", "local://", "--user", "u"]).status.code(), Some(2));
    assert_eq!(run(&["probe", "local://", "--ca", "x.pem"]).status.code(), Some(2));
    let nobody = run(&["probe", "ipmi://127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(text(&nobody.stderr).contains("--user NAME"), "{}", text(&nobody.stderr));
}

#[test]
fn a_failed_probe_in_json_ends_in_a_summary_with_the_broken_rung() {
    let out = agent(&["probe", "https://127.0.0.1:1", "--user", "u", "-o", "json"])
        .env("OUTBAND_PASSWORD", SECRET)
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    let lines: Vec<Value> = text(&out.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines[0]["type"], "gap");
    let summary = lines.last().unwrap();
    assert_eq!((&summary["type"], &summary["broken"]["rung"]), (&Value::from("summary"), &Value::from("reach")));
    assert_eq!(summary["failures"].as_array().unwrap().len(), 1);
    assert!(!text(&out.stdout).contains(SECRET));
}

#[test]
fn a_probe_without_a_usable_password_is_a_usage_error_with_the_remedy() {
    let (dir, _) = site();
    let open = put(dir.path(), "open", SECRET);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let out = run(&["probe", "ipmi://127.0.0.1:1", "--user", "u", "--password-file", &open]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains(&format!("chmod 600 {open}")));
    assert_eq!(run(&["probe", "ipmi://127.0.0.1:1", "--user", "u"]).status.code(), Some(2));
    assert_eq!(run(&["probe", "ipmi://u:p@127.0.0.1", "--user", "u"]).status.code(), Some(2));
    assert_eq!(run(&["probe", "ipmi://127.0.0.1", "--user", "u", "--password", "x"]).status.code(), Some(2));
}

#[test]
fn accepting_a_certificate_pins_it_for_a_known_target_only() {
    let (dir, config) = site();
    let print = "ab".repeat(32);
    assert_eq!(run(&["accept-cert", "--config", &config, "nobody", &print]).status.code(), Some(2));
    assert_eq!(run(&["accept-cert", "--config", &config, "bmc1", &print]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(dir.path().join("data/pins/bmc1.pin")).unwrap().trim(), print);
    let expected = "cd".repeat(32);
    let with_print = fs::read_to_string(&config).unwrap() + &format!("fingerprint = \"{expected}\"\n");
    let config = put(dir.path(), "agent.toml", &with_print);
    let other = run(&["accept-cert", "--config", &config, "bmc1", &print]);
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains("fingerprint"), "{}", text(&other.stderr));
    assert_eq!(run(&["accept-cert", "--config", &config, "bmc1", &expected]).status.code(), Some(0));
}

#[test]
fn completions_and_help_are_printed() {
    assert!(text(&run(&["completions", "bash"]).stdout).contains("outband-agent"));
    assert!(text(&run(&["--help"]).stdout).contains("Examples:"));
}

/// A running agent, and its log line by line.
struct Service {
    child: Child,
    log: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Service {
    fn start(config: &str) -> Self {
        let mut child = agent(&["run", "--config", config]).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, log) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, log, seen: Vec::new() }
    }

    fn wait_for(&mut self, words: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left).unwrap_or_else(|_| panic!("never: {words}; seen {:#?}", self.seen));
            self.seen.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

#[test]
fn a_reload_keeps_the_old_config_when_the_new_one_is_bad_and_takes_a_good_one() {
    let (dir, path) = site();
    let mut service = Service::start(&path);
    service.wait_for("started");
    put(dir.path(), "agent.toml", &config("bmc 1"));
    service.signal("HUP");
    let line = service.wait_for("config not reloaded");
    assert!(line.contains("ERROR") && line.contains("targets[0].id"), "{line}");
    put(dir.path(), "agent.toml", &config("bmc2").replace("data_dir = \"data\"", "data_dir = \"elsewhere\""));
    service.signal("HUP");
    assert!(service.wait_for("data_dir").contains("restart"));
    put(dir.path(), "agent.toml", &config("bmc2"));
    service.signal("HUP");
    service.wait_for("target=bmc2");
    if !service.seen.iter().any(|line| line.contains("config reloaded")) {
        service.wait_for("config reloaded");
    }
    service.signal("TERM");
    service.wait_for("stopped");
    assert_eq!(service.child.wait().unwrap().code(), Some(0));
    assert!(service.seen.iter().all(|line| !line.contains(SECRET)), "{:#?}", service.seen);
}

#[test]
fn what_was_seen_while_there_was_no_collector_is_in_the_spool_after_a_kill() {
    let (dir, path) = site();
    let mut service = Service::start(&path);
    service.wait_for("target=bmc1");
    let spool = dir.path().join("data/spool.db");
    let deadline = Instant::now() + Duration::from_secs(20);
    // The gap is written right after it is told; a body begins as a zstd frame does, in the write-ahead log or the file.
    let written = || {
        let read = |suffix: &str| fs::read(format!("{}{suffix}", spool.display())).unwrap_or_default();
        [read(""), read("-wal")].iter().any(|bytes| bytes.windows(4).any(|w| w == [0x28, 0xb5, 0x2f, 0xfd]))
    };
    while !written() {
        assert!(Instant::now() < deadline, "the gap never reached the disk");
        std::thread::yield_now();
    }
    service.signal("KILL");
    service.child.wait().unwrap();
    let opened = Spool::open(&spool, Options::default(), 7, 0).unwrap();
    assert!(!opened.fresh && opened.set_aside.is_none());
    let held = Lane::ALL.map(|lane| opened.spool.peek(lane, 0, 1 << 20).unwrap().bodies).concat();
    let targets: Vec<String> = held.iter().map(|body| decode_set(body).unwrap().set.target.to_string()).collect();
    assert!(!targets.is_empty() && targets.iter().all(|target| target == "bmc1"), "{targets:?}");
    drop(opened);
    let mut again = Service::start(&path);
    again.wait_for("started");
    again.signal("TERM");
    again.wait_for("stopped");
    assert!(!again.seen.iter().any(|line| line.contains("damaged")));
}
