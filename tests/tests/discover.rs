//! `outband-agent discover` as an operator meets it: real processes, simulated BMCs on loopback, and Debian's `ipmi_sim` where it is installed.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

#[path = "support_ipmi/mod.rs"]
mod support_ipmi;

use outband_tests::process;
use outband_tests::sim::ipmi_bmc::{self, IpmiBmc};
use outband_tests::sim::machine::{Machine, Shared, Spec};
use outband_tests::sim::redfish_bmc::{Login, Options, RedfishServer, Service};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tokio::runtime::Runtime;

const USER: &str = "monitor";
const PASSWORD: &str = "s3cret-of-the-bmc";

struct Site {
    dir: tempfile::TempDir,
    config: PathBuf,
    runtime: Runtime,
}

fn put(dir: &Path, name: &str, content: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A config with a right login, a wrong one of the same user and one of another user.
fn site() -> Site {
    process::build(&["outband-agent"], false).unwrap();
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "ca.pem", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
    put(dir.path(), "token", "token");
    put(dir.path(), "right.pass", PASSWORD);
    put(dir.path(), "wrong.pass", "wrong-password");
    let login = |name: &str, user: &str, pass: &str| {
        format!("[credentials.{name}]\nuser = \"{user}\"\npassword_file = \"{pass}.pass\"\n")
    };
    let config = format!(
        "[agent]\nid = \"a1\"\nsite = \"dc1\"\ndata_dir = \"data\"\n[collector]\nendpoints = [\"https://127.0.0.1:1\"]\nca_file = \"ca.pem\"\n\
         token_file = \"token\"\n{}{}{}",
        login("right", USER, "right"),
        login("wrong", USER, "wrong"),
        login("other", "factory", "wrong")
    );
    let config = put(dir.path(), "agent.toml", &config);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    Site { dir, config, runtime }
}

fn machine() -> Shared {
    Shared::new(Machine::new(Spec::new("r1-u01", "NG0000018", 18), Vec::new()), 1.0)
}

impl Site {
    fn redfish(&self) -> Service {
        let login = Some(Login { user: USER.to_owned(), password: PASSWORD.to_owned() });
        self.runtime.block_on(RedfishServer::serve(machine(), Options { login, ..Options::default() })).unwrap()
    }

    fn ipmi(&self) -> IpmiBmc {
        self.runtime.block_on(IpmiBmc::start(machine(), ipmi_bmc::Options::new(USER, PASSWORD))).unwrap()
    }

    fn discover(&self, arguments: &[String]) -> Output {
        let mut command = Command::new(process::program_path("outband-agent"));
        command
            .arg("discover")
            .args(arguments)
            .args(["--no-ssdp", "--request-deadline", "5"])
            .env_remove("OUTBAND_AGENT_CONFIG");
        command.output().unwrap()
    }

    fn with_logins(&self, names: &[&str]) -> Vec<String> {
        let mut arguments = vec!["--config".to_owned(), self.config.display().to_string()];
        arguments.extend(names.iter().flat_map(|n| ["--credentials".to_owned(), (*n).to_owned()]));
        arguments
    }
}

fn ports(redfish: u16, ipmi: u16) -> Vec<String> {
    ["--https-port".to_owned(), redfish.to_string(), "--ipmi-port".to_owned(), ipmi.to_string()].to_vec()
}

fn args(parts: &[&[String]]) -> Vec<String> {
    parts.concat()
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|w| (*w).to_owned()).collect()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}

/// A port on which nothing listens.
const CLOSED: u16 = 1;

#[test]
fn a_bmc_is_found_by_both_protocols_and_named_without_a_login() {
    let site = site();
    let (redfish, ipmi) = (site.redfish(), site.ipmi());
    let range = words(&["127.0.0.1-3", "-o", "json"]);
    let output = site.discover(&args(&[&range, &ports(redfish.addr.port(), ipmi.addr.port())]));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = lines(&output);
    assert_eq!(lines.len(), 2, "one BMC and the summary: {lines:?}");
    let bmc = &lines[0];
    assert_eq!(bmc["address"], "127.0.0.1");
    let print: String = redfish.fingerprint.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(bmc["redfish"]["fingerprint"], print.as_str());
    assert_eq!(bmc["redfish"]["vendor"], "Northgate");
    assert_eq!(bmc["ipmi"]["ipmi_2_0"], true);
    assert_eq!(
        (&lines[1]["type"], &lines[1]["found"], &lines[1]["addresses"]),
        (&"summary".into(), &1.into(), &3.into())
    );
    let logins = redfish.requests().into_iter().filter(|r| r.starts_with("POST")).count();
    assert_eq!(logins, 0, "nobody was logged in to: {:?}", redfish.requests());
    let progress = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(progress.contains("presence pings: 0 of") && progress.contains("HTTPS ports: 3 of 3"), "{progress}");
}

#[test]
fn the_login_that_a_bmc_accepts_is_found_and_written_as_a_target_that_the_config_takes() {
    let site = site();
    let (redfish, ipmi) = (site.redfish(), site.ipmi());
    let csv = site.dir.path().join("targets.csv");
    let range = args(&[&words(&["127.0.0.1"]), &ports(redfish.addr.port(), ipmi.addr.port())]);
    let write = words(&["--write", &csv.display().to_string(), "--prefer", "both"]);
    let output = site.discover(&args(&[&range, &site.with_logins(&["other", "wrong", "right"]), &write]));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&csv).unwrap();
    let print: String = redfish.fingerprint.iter().map(|b| format!("{b:02x}")).collect();
    let expected = format!(
        "id,url,credentials,fingerprint\nbmc-127-0-0-1,https://127.0.0.1:{},right,{print}\nbmc-127-0-0-1-ipmi,ipmi://127.0.0.1:{},right,\n",
        redfish.addr.port(),
        ipmi.addr.port()
    );
    assert_eq!(text, expected, "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(redfish.open_sessions(), 0, "the session was ended");
    let config = format!("targets_csv = \"targets.csv\"\n{}", fs::read_to_string(&site.config).unwrap());
    let config = put(site.dir.path(), "with.toml", &config);
    let check =
        Command::new(process::program_path("outband-agent")).args(["check-config", "--config"]).arg(&config).output();
    let check = check.unwrap();
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stdout));
    // What is a target already is not tried again.
    let before = redfish.requests().iter().filter(|r| r.starts_with("POST")).count();
    let again = args(&[&range, &words(&["--config", &config.display().to_string(), "--credentials", "right"])]);
    let output = site.discover(&again);
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("a target already"),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(redfish.requests().iter().filter(|r| r.starts_with("POST")).count(), before);
}

#[test]
fn a_user_is_refused_at_most_twice_an_hour_however_often_discovery_runs() {
    let site = site();
    let redfish = site.redfish();
    let arguments = args(&[&words(&["127.0.0.1"]), &ports(redfish.addr.port(), CLOSED), &site.with_logins(&["wrong"])]);
    for _ in 0..4 {
        site.discover(&arguments);
    }
    let logins = redfish.requests().iter().filter(|r| r.starts_with("POST")).count();
    assert_eq!(logins, 2, "{:?}", redfish.requests());
    let last = site.discover(&arguments);
    let said = String::from_utf8_lossy(&last.stdout).into_owned();
    assert!(said.contains("not tried") && said.contains("lock the account"), "{said}");
}

#[test]
fn no_password_is_shown_and_a_wrong_command_line_says_what_is_right() {
    let site = site();
    let redfish = site.redfish();
    let arguments =
        args(&[&words(&["127.0.0.1"]), &ports(redfish.addr.port(), CLOSED), &site.with_logins(&["right", "nobody"])]);
    let output = site.discover(&arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("no [credentials.nobody]") && said.contains("other, right, wrong"), "{said}");
    assert!(!said.contains(PASSWORD));
    for (range, hint) in [("10.0.0.0/8", "smaller ranges"), ("10.0.0", "10.0.0.0/24")] {
        let output = site.discover(&words(&[range]));
        assert_eq!(output.status.code(), Some(2), "{range}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(hint), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn where_nothing_is_found_the_exit_code_says_so() {
    let site = site();
    let output = site.discover(&args(&[&words(&["127.0.0.1", "-q"]), &ports(CLOSED, CLOSED)]));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn debians_ipmi_sim_is_found_by_its_answers() {
    let site = site();
    if !support_ipmi::have(&["ipmi_sim"]) {
        return;
    }
    let peer = support_ipmi::IpmiSim::ours();
    let output = site.discover(&args(&[&words(&["127.0.0.1", "-o", "json"]), &ports(CLOSED, peer.login.port)]));
    let lines = lines(&output);
    assert_eq!(lines[0]["ipmi"]["ipmi_2_0"], true, "{lines:?}");
}
