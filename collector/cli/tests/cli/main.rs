//! The program as its users run it, against a collector that answers from memory.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without, it may demand")]

mod server;

use serde_json::Value;
use server::{Collector, SERVERS, TOKEN};
use std::process::{Command, Output};

/// The program with nothing of this machine's settings.
fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outband"));
    for key in
        ["OUTBAND_ENDPOINT", "OUTBAND_CA", "OUTBAND_TOKEN_FILE", "LC_ALL", "LC_MESSAGES", "LANG", "XDG_STATE_HOME"]
    {
        command.env_remove(key);
    }
    command.env("HOME", "/nonexistent").env("XDG_CONFIG_HOME", "/nonexistent").env("OUTBAND_DATA_DIR", "/nonexistent");
    command
}

/// The program on the collector's own machine.
fn outband(collector: &Collector, args: &[&str]) -> Output {
    bare().env("OUTBAND_DATA_DIR", collector.dir.path()).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn failure(output: &Output) -> (i32, String) {
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code().unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

#[test]
fn on_the_collectors_machine_nothing_needs_to_be_told() {
    let collector = Collector::start();
    assert!(stdout(&outband(&collector, &["health"])).contains("srv-1"));
}

#[test]
fn address_ca_and_token_come_from_flags_environment_or_config_file() {
    let collector = Collector::start();
    let (ca, token) = (collector.path("ca.pem"), collector.path("operator.token"));
    let flags = bare()
        .args(["agents", "--endpoint", &collector.endpoint, "--ca"])
        .arg(&ca)
        .arg("--token-file")
        .arg(&token)
        .output();
    stdout(&flags.unwrap());
    let environment = bare()
        .arg("agents")
        .env("OUTBAND_ENDPOINT", &collector.endpoint)
        .env("OUTBAND_CA", &ca)
        .env("OUTBAND_TOKEN_FILE", &token)
        .output();
    stdout(&environment.unwrap());
    let config = collector.path("config");
    std::fs::create_dir_all(config.join("outband")).unwrap();
    let text = format!("endpoint = {:?}\nca = {ca:?}\ntoken_file = {token:?}\n", collector.endpoint);
    std::fs::write(config.join("outband/cli.toml"), text).unwrap();
    stdout(&bare().arg("agents").env("XDG_CONFIG_HOME", &config).output().unwrap());
}

#[test]
fn each_failure_has_its_exit_code_and_says_what_to_do() {
    let collector = Collector::start();
    let other = Collector::start();
    let wrong = collector.path("wrong.token");
    std::fs::write(&wrong, "another-token-that-is-secret").unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = format!("https://{closed}");
    let other_ca = other.path("ca.pem");
    let cases: [(&[&str], i32, &str); 12] = [
        (&["events"], 1, "journalctl"),
        (&["tickets", "close", "12"], 1, "state new allows: assign"),
        (&["wheels"], 2, "Usage"),
        (&["readings", "srv-1", "--from", "yesterday"], 2, "is no time"),
        (&["readings", "srv-1", "--span", "2026-01-31"], 2, "is no length of time"),
        (&["health", "--endpoint", "http://127.0.0.1:1"], 2, "https://HOST:PORT"),
        (&["servers", "get", "srv-x"], 3, "there is no servers/srv-x"),
        (&["tickets", "get", "99"], 3, "tickets/99"),
        (&["health", "srv-x"], 3, "mistyped"),
        (&["health", "--endpoint", &closed], 4, "systemctl status outband-collector"),
        (&["health", "--ca", other_ca.to_str().unwrap()], 4, "another collector's CA"),
        (&["health", "--token-file", wrong.to_str().unwrap()], 5, "revoked"),
    ];
    for (args, code, words) in cases {
        let (found, text) = failure(&outband(&collector, args));
        assert_eq!(found, code, "{args:?}: {text}");
        assert!(text.contains(words), "{args:?}: {text}");
        assert!(!text.contains("another-token") && !text.contains(TOKEN), "{text}");
    }
    let (code, text) = failure(&bare().arg("health").output().unwrap());
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("--ca FILE --token-file FILE"), "{text}");
}

#[test]
fn pages_are_followed_up_to_the_limit() {
    let collector = Collector::start();
    let count = |args: &[&str]| {
        let json: Value = serde_json::from_str(&stdout(&outband(&collector, args))).unwrap();
        (json["servers"].as_array().unwrap().len(), json["truncated"].as_bool().unwrap())
    };
    assert_eq!(count(&["servers", "-o", "json", "--limit", "0"]), (SERVERS, false));
    assert_eq!(count(&["servers", "-o", "json", "--limit", "700"]), (700, true));
    assert!(stdout(&outband(&collector, &["servers", "--limit", "3"])).contains("raise --limit"));
}

#[test]
fn json_yaml_and_csv_say_the_same() {
    let collector = Collector::start();
    let json: Value =
        serde_json::from_str(&stdout(&outband(&collector, &["readings", "srv-1", "-o", "json"]))).unwrap();
    let yaml: Value =
        serde_yaml_ng::from_str(&stdout(&outband(&collector, &["readings", "srv-1", "-o", "yaml"]))).unwrap();
    let without_time = |mut v: Value| {
        v["readings"].as_array_mut().unwrap().iter_mut().for_each(|r| r["observed_at"] = Value::Null);
        v
    };
    assert_eq!(without_time(json.clone()), without_time(yaml));
    let [fan, silent, newer, state] = &json["readings"].as_array().unwrap()[..] else { panic!("{json}") };
    assert_eq!((&fan["component"], &fan["value"], &fan["unit"]), (&"fan/Fan 1A".into(), &5400.0.into(), &"rpm".into()));
    assert!(fan["observed_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&silent["quality"], &silent["quality_reason"]), (&"unavailable".into(), &"timeout".into()));
    assert_eq!((&newer["kind"], &newer["quality_reason"]), (&"kind-9999".into(), &"unknown-77".into()));
    assert_eq!((&state["state"], &state["text"]), (&"critical".into(), &"Failure detected".into()));

    let text = stdout(&outband(&collector, &["servers", "-o", "csv", "--limit", "2"]));
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(&csv.headers().unwrap()[0], "name");
    let rows: Vec<_> = csv.records().map(Result::unwrap).collect();
    let model = csv.headers().unwrap().iter().position(|h| h == "model").unwrap();
    assert_eq!((rows.len(), &rows[0][model]), (2, "R750, \"rev 2\""));
}

#[test]
fn a_servers_drives_show_what_the_disk_model_says_or_why_it_says_nothing() {
    let collector = Collector::start();
    let told = stdout(&outband(&collector, &["servers", "get", "srv-disks"]));
    let line = |bay: u32| told.lines().find(|l| l.contains(&format!("disk/Bay {bay}"))).unwrap();
    assert!(line(1).ends_with("likely to fail within 30 days, 41 %"), "{told}");
    assert!(line(2).ends_with("not judged (it has no platters): rules and wear decide"), "{told}");
    assert!(line(3).ends_with("well"), "{told}");
    assert!(line(4).contains("a_reason_of_tomorrow"), "{told}");
    let chinese = stdout(&outband(&collector, &["servers", "get", "srv-disks", "--lang", "zh-CN"]));
    assert!(chinese.contains("模型不判断 (非机械硬盘): 由规则和磨损判断"), "{chinese}");
    let json: Value =
        serde_json::from_str(&stdout(&outband(&collector, &["servers", "get", "srv-disks", "-o", "json"]))).unwrap();
    assert_eq!(json["parts"][0]["disk_model"]["probability"], 0.413);
    assert!(json["parts"][4].get("disk_model").is_none());
}

#[test]
fn tables_say_ages_clocks_and_that_stale_is_not_ok() {
    let collector = Collector::start();
    let health = stdout(&outband(&collector, &["health"]));
    assert!(health.contains("WARNING") && health.contains("12 s ago") && health.contains("-38 disk/Bay 3"), "{health}");
    assert!(health.lines().any(|l| l.contains("srv-2") && l.contains("STALE")), "{health}");
    let one = stdout(&outband(&collector, &["health", "srv-1"]));
    assert!(one.contains("srv-1/disk/Bay 3") && one.contains("disk.smart_growth"), "{one}");
    let tickets = stdout(&outband(&collector, &["tickets"]));
    assert!(tickets.contains("repair due in 3 h 12 min") && tickets.contains("48 min ago"), "{tickets}");
    let agents = stdout(&outband(&collector, &["agents"]));
    assert!(agents.contains("1 min 5 s (+10)"), "{agents}");
    let readings = stdout(&outband(&collector, &["readings", "srv-1"]));
    assert!(readings.contains("5400 RPM") && readings.contains("unavailable:timeout"), "{readings}");
}

#[test]
fn a_gap_in_an_agents_stream_is_shown_as_the_agents() {
    let collector = Collector::start();
    let table = stdout(&outband(&collector, &["gaps"]));
    assert!(table.lines().any(|l| l.contains("srv-1") && !l.contains("dc1")), "{table}");
    assert!(table.lines().any(|l| l.contains("agents/dc1") && !l.contains("srv-1")), "{table}");
    let json: Value = serde_json::from_str(&stdout(&outband(&collector, &["gaps", "-o", "json"]))).unwrap();
    assert_eq!((&json["gaps"][1]["server"], &json["gaps"][1]["agent"]), (&"".into(), &"agents/dc1".into()));
}

#[test]
fn the_locale_chooses_the_language_of_headings_states_and_errors() {
    let collector = Collector::start();
    let chinese = |args: &[&str]| {
        bare().env("OUTBAND_DATA_DIR", collector.dir.path()).env("LANG", "zh_CN.UTF-8").args(args).output().unwrap()
    };
    let tickets = stdout(&chinese(&["tickets"]));
    assert!(
        tickets.contains("工单") && tickets.contains("新建") && tickets.contains("修复 3 小时 12 分钟后到期"),
        "{tickets}"
    );
    let (_, text) = failure(&chinese(&["tickets", "get", "99"]));
    assert!(text.contains("错误") && text.contains("可能原因"), "{text}");
    let json = |output: Output| serde_json::from_str::<Value>(&stdout(&output)).unwrap()["tickets"][0]["state"].clone();
    assert_eq!(json(chinese(&["tickets", "-o", "json"])), json(outband(&collector, &["tickets", "-o", "json"])));
}

#[test]
fn a_ticket_is_moved_with_who_why_and_what() {
    let collector = Collector::start();
    stdout(&outband(&collector, &["tickets", "assign", "12", "wang", "--why", "on duty", "--if-etag", "e1"]));
    stdout(&outband(&collector, &["tickets", "locate", "#12", "backplane cable"]));
    stdout(&outband(&collector, &["tickets", "resolve", "tickets/12", "--as", "false-alarm"]));
    stdout(&outband(&collector, &["tickets", "wait-parts", "12"]));
    stdout(&outband(&collector, &["tickets", "comment", "12", "rack door was open"]));
    let moves = collector.moves.lock().unwrap();
    let told: Vec<_> = moves.iter().map(|m| (m.action.as_str(), m.assignee.as_str(), m.detail.as_str())).collect();
    assert_eq!(
        told,
        [
            ("assign", "wang", ""),
            ("locate", "", "backplane cable"),
            ("resolve", "", "false_alarm"),
            ("wait_for_parts", "", "")
        ]
    );
    assert_eq!((moves[0].why.as_str(), moves[0].etag.as_str()), ("on duty", "e1"));
    assert!(moves.iter().all(|m| m.name == "tickets/12"));
}

#[test]
fn tickets_that_need_nobody_are_left_out_unless_asked_for() {
    let collector = Collector::start();
    assert!(
        stdout(&outband(&collector, &["tickets", "list", "--state", "closed,resolved"])).contains("no ticket matches")
    );
    assert!(stdout(&outband(&collector, &["tickets", "list", "--all"])).contains("P3"));
}

#[test]
fn watching_json_prints_a_document_a_line_and_goes_on() {
    use std::io::{BufRead, BufReader};
    let collector = Collector::start();
    let mut child = bare()
        .env("OUTBAND_DATA_DIR", collector.dir.path())
        .args(["tickets", "--watch", "-o", "json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let json: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["tickets"][0]["name"], "tickets/12");
    assert!(child.try_wait().unwrap().is_none(), "the watch ended");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn help_teaches_with_examples_and_completions_need_no_collector() {
    let help = stdout(&bare().arg("--help").output().unwrap());
    assert!(help.contains("Examples:") && help.contains("Exit codes: 0 ok"), "{help}");
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&bare().args(["completions", shell]).output().unwrap()).contains("outband"));
    }
}
