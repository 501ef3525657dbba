//! The agent's program at a simulated Redfish BMC: slow sections beside sensors, changed certificates, refused logins, and what a probe costs.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_tests::process::{self, Child};
use outband_tests::sim::machine::{Machine, Shared, Spec};
use outband_tests::sim::redfish_bmc::{Fault, Login, Misdeed, Options, RedfishServer, Service, Where};
use outband_tests::wait_until;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tokio::runtime::Runtime;

const USER: &str = "monitor";
const PASSWORD: &str = "s3cret-of-the-bmc";
const PATIENCE: Duration = Duration::from_secs(60);

struct Site {
    dir: tempfile::TempDir,
    runtime: Runtime,
}

fn put(dir: &Path, name: &str, content: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn site() -> Site {
    process::build(&["outband-agent"], false).unwrap();
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "ca.pem", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
    put(dir.path(), "token", "token");
    put(dir.path(), "pass", PASSWORD);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    Site { dir, runtime }
}

impl Site {
    fn bmc(&self, options: Options) -> Service {
        let login = Some(Login { user: USER.to_owned(), password: PASSWORD.to_owned() });
        let options = Options { login, ..options };
        let mut bmc = None;
        // A port that a BMC had before is free once that has ended.
        let started = wait_until(PATIENCE, || {
            let machine = Shared::new(Machine::new(Spec::new("r1-u01", "NG0000018", 18), Vec::new()), 1.0);
            bmc = self.runtime.block_on(RedfishServer::serve(machine, options.clone())).ok();
            bmc.is_some()
        });
        assert!(started);
        bmc.unwrap()
    }

    /// Starts an agent that polls the BMC; its log goes to a file.
    fn agent(&self, bmc: &Service) -> Child {
        let config = format!(
            "[agent]\nid = \"a1\"\nsite = \"dc1\"\ndata_dir = \"data\"\n[collector]\nendpoints = [\"https://127.0.0.1:1\"]\nca_file = \"ca.pem\"\n\
             token_file = \"token\"\n[cadence]\nsensors = \"1s\"\nlog = \"2s\"\ndrives = \"5m\"\ninventory = \"1h\"\n\
             [credentials.c]\nuser = \"{USER}\"\npassword_file = \"pass\"\n[[targets]]\nid = \"bmc1\"\nurl = \"{}\"\ncredentials = \"c\"\n",
            bmc.url()
        );
        let config = put(self.dir.path(), "agent.toml", &config);
        let log = fs::File::options().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        let mut command = Command::new(process::program_path("outband-agent"));
        command.arg("run").arg("--config").arg(config).stderr(log).stdout(Stdio::null());
        Child::start("outband-agent", &mut command).unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Runs a command of the agent to its end.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(process::program_path("outband-agent"));
        command.args(arguments).env_remove("OUTBAND_AGENT_CONFIG").env("XDG_STATE_HOME", self.dir.path());
        command.output().unwrap()
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }
}

fn hex(print: [u8; 32]) -> String {
    print.iter().map(|b| format!("{b:02x}")).collect()
}

fn thermal(bmc: &Service) -> usize {
    bmc.requests().iter().filter(|r| r.contains("/Thermal")).count()
}

#[test]
fn a_log_that_takes_many_seconds_leaves_the_sensors_their_cadence() {
    let site = site();
    let bmc = site.bmc(Options::default());
    let _agent = site.agent(&bmc);
    assert!(wait_until(PATIENCE, || thermal(&bmc) > 2), "{}", site.log());
    let slow = Fault::always(Where::Holding("/Entries".to_owned()), Misdeed::Slow(Duration::from_secs(8)));
    bmc.set_faults(vec![slow]);
    let asked = |bmc: &Service| bmc.requests().iter().filter(|r| r.contains("/Entries")).count();
    let before = asked(&bmc);
    assert!(wait_until(PATIENCE, || asked(&bmc) > before), "{}", site.log());
    // The log is being read now, for eight seconds: sensors are polled each second meanwhile.
    let (sensors, logs) = (thermal(&bmc), asked(&bmc));
    assert!(wait_until(Duration::from_secs(7), || thermal(&bmc) >= sensors + 4), "{}", site.log());
    assert_eq!(asked(&bmc), logs, "all of that beside one request");
    let stats = bmc.stats();
    assert_eq!((stats.logins, stats.open_sessions), (1, 1), "one session for both");
    assert!(stats.max_in_flight <= 2 && stats.max_connections <= 2, "{stats:?}");
}

#[test]
fn a_changed_certificate_stops_a_target_until_it_is_accepted() {
    let site = site();
    let first = site.bmc(Options::default());
    let mut agent = site.agent(&first);
    assert!(wait_until(PATIENCE, || thermal(&first) > 0), "{}", site.log());
    let (port, old) = (first.addr.port(), hex(first.fingerprint));
    drop(first);
    let second = site.bmc(Options { port, ..Options::default() });
    let new = hex(second.fingerprint);
    let told = || site.log().lines().any(|l| l.contains("WARN") && l.contains(&old) && l.contains(&new));
    assert!(wait_until(PATIENCE, told), "{}", site.log());
    let connections = second.connections();
    agent.stop(PATIENCE).unwrap();
    drop(agent);
    // A restart is no acceptance, and that it stands still is said again.
    let said = site.log().matches("accept-cert").count();
    let mut agent = site.agent(&second);
    assert!(wait_until(PATIENCE, || site.log().matches("accept-cert").count() > said), "{}", site.log());
    assert_eq!((second.requests(), second.connections()), (Vec::new(), connections), "nothing was asked");
    let accepted = site.run(&["accept-cert", "--config", &site.path("agent.toml"), "bmc1", &new]);
    assert_eq!(accepted.status.code(), Some(0), "{}", String::from_utf8_lossy(&accepted.stderr));
    assert!(wait_until(PATIENCE, || thermal(&second) > 0), "{}", site.log());
    agent.stop(PATIENCE).unwrap();
    assert_eq!(second.open_sessions(), 0, "the agent leaves no session behind");
}

#[test]
fn neither_restarts_nor_probes_make_a_third_refused_login() {
    let site = site();
    put(site.dir.path(), "pass", "wrong");
    let bmc = site.bmc(Options::default());
    let refused = |n: u64| wait_until(PATIENCE, || bmc.stats().failed_logins >= n);
    let mut agent = site.agent(&bmc);
    assert!(refused(1), "{}", site.log());
    agent.stop(PATIENCE).unwrap();
    let (url, pass, data) = (bmc.url(), site.path("pass"), site.path("data"));
    let probe = ["probe", &url, "--user", USER, "--password-file", &pass, "--accept-new-cert", "--data-dir", &data];
    assert_eq!(site.run(&probe).status.code(), Some(1));
    assert_eq!(bmc.stats().failed_logins, 2);
    let held = site.run(&probe);
    let said = String::from_utf8_lossy(&held.stderr).into_owned();
    assert!(held.status.code() == Some(1) && said.contains("not tried"), "{said}");
    let mut agent = site.agent(&bmc);
    assert!(wait_until(PATIENCE, || site.log().contains("not tried")), "{}", site.log());
    agent.stop(PATIENCE).unwrap();
    assert_eq!(bmc.stats().failed_logins, 2);
    assert!(!site.log().contains("wrong"));
}

#[test]
fn a_password_that_was_changed_at_the_bmc_is_tried_once_and_then_nothing_is_asked() {
    let site = site();
    let bmc = site.bmc(Options::default());
    let _agent = site.agent(&bmc);
    assert!(wait_until(PATIENCE, || thermal(&bmc) > 2), "{}", site.log());
    // As a BMC answers whose session ended and whose password is another one now.
    bmc.set_faults(vec![Fault::always(Where::Everywhere, Misdeed::Status(401))]);
    bmc.reset_stats();
    assert!(wait_until(PATIENCE, || site.log().contains("no longer accepts")), "{}", site.log());
    let asked = bmc.requests();
    let posts = |requests: &[String]| requests.iter().filter(|r| r.starts_with("POST")).count();
    assert_eq!(posts(&asked), 1, "{asked:?}");
    // Sensors would be due each second.
    assert!(!wait_until(Duration::from_secs(4), || bmc.requests().len() > asked.len() + 2), "{:?}", bmc.requests());
    assert_eq!(posts(&bmc.requests()), 1);
}

#[test]
fn a_probe_tells_what_each_step_cost_and_leaves_no_session() {
    let site = site();
    let bmc = site.bmc(Options::default());
    let (url, pass) = (bmc.url(), site.path("pass"));
    let login = ["probe", &url, "--user", USER, "--password-file", &pass, "--accept-new-cert"];
    let output = site.run(&[&login[..], &["-o", "json", "--steady"]].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let summary: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let steps = summary["steps"].as_array().unwrap();
    let names: Vec<&str> = steps.iter().map(|s| s["step"].as_str().unwrap()).collect();
    assert_eq!(names, ["login", "inventory", "sensors", "drives", "log", "steady", "logout"]);
    let sum: u64 = steps.iter().map(|s| s["requests"].as_u64().unwrap()).sum();
    let stats = bmc.stats();
    assert_eq!((sum, summary["requests"].as_u64().unwrap()), (stats.requests as u64, stats.requests as u64));
    assert_eq!((stats.logins, stats.open_sessions), (1, 0));
    assert!(stats.max_connections <= 2, "{stats:?}");
    assert!(summary["session_left_open"].is_null());
}

#[test]
fn a_probe_out_of_time_tells_what_it_read_and_leaves_no_session() {
    let site = site();
    let bmc = site.bmc(Options {
        faults: vec![Fault::always(Where::Holding("/Thermal".to_owned()), Misdeed::Slow(Duration::from_secs(60)))],
        ..Options::default()
    });
    let (url, pass) = (bmc.url(), site.path("pass"));
    let output = site.run(&[
        "probe",
        &url,
        "--user",
        USER,
        "--password-file",
        &pass,
        "--accept-new-cert",
        "-o",
        "json",
        "--deadline",
        "8",
        "--section",
        "sensors",
    ]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let gaps: Vec<&Value> = lines.iter().filter(|l| l["type"] == "gap").collect();
    assert!(gaps.iter().any(|g| g["source"].as_str().unwrap().contains("/Thermal")), "what hangs is named: {gaps:?}");
    assert!(lines.iter().any(|l| l["type"] == "reading"), "and what was read is told: {text}");
    assert_eq!(bmc.open_sessions(), 0);
}
