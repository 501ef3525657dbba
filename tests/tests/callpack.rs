//! Call packs, timelines and temporary accesses of tickets that the real collector opened for simulated servers.

#![allow(clippy::expect_used, reason = "helpers of a test, outside of its functions")]

use outband_tests::sim::fleet;
use outband_tests::sim::machine::{Fault, FaultKind};
use outband_tests::skip;
use outband_tests::world::{Answer, World, eventually};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

const REDFISH: usize = 0;
const IPMI: usize = 1;
/// What the BMCs' clocks are off by, in seconds.
const AHEAD: i64 = 75;
/// What stands on the tickets and is nobody's business.
const PLANTED: [&str; 3] = ["10.66.55.44", "Hunter2", "wanglili"];

/// Two servers in a rack, with a contract.
fn world() -> World {
    let mut plans = fleet::sound_site(2, 5);
    plans.iter_mut().for_each(|plan| plan.spec.clock_offset_s = AHEAD);
    let names: Vec<String> = plans.iter().map(|p| p.spec.name.clone()).collect();
    let mut world = World::new(plans).expect("a site and its programs");
    let root = world.root.path().to_owned();
    let rows: String = names.iter().map(|n| format!("{n},R12,U07,A;B,acme\n")).collect();
    fs::write(root.join("topology.csv"), format!("server,rack,unit,power_feed,customer\n{rows}")).expect("a file");
    let service = "[customers.acme]\nname = \"Acme Ltd\"\n[packages.gold]\nclocks = []\n[contracts.acme-2026]\ncustomer = \"acme\"\n\
        package = \"gold\"\nfrom = \"2020-01-01\"\nuntil = \"2099-12-31\"\n[[contracts.acme-2026.contacts.hotline]]\nname = \"Northgate\"\n\
        phone = \"400-810-1234\"\nsource = \"label on the chassis\"\nverified = \"2026-01-15\"\n";
    fs::write(root.join("service.toml"), service).expect("a file");
    let toml = world.stack.collector_toml();
    let text = fs::read_to_string(&toml).expect("a config");
    let more = format!("[topology]\nfile = '{0}/topology.csv'\n[service]\nfile = '{0}/service.toml'\n", root.display());
    fs::write(&toml, text + &more).expect("a file");
    world.edit_agent(|toml| toml.replace("inventory = \"1m\"", "inventory = \"2s\"")).expect("a config");
    world.stack.start_collector().expect("a collector");
    world.stack.start_agent().expect("an agent");
    world
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("a time")
}

/// A power supply without input, and the number of its ticket.
fn ticket(world: &World, at: usize) -> (String, String) {
    let server = world.known(at).expect("a server");
    {
        let mut machine = world.site[at].machine.now();
        let onset = machine.time;
        machine.add_fault(Fault { kind: FaultKind::PsuInputLost { psu: 0 }, onset, over: 1.0 });
    }
    let opened = eventually(|| world.tickets_of(&server).expect("an answer").into_iter().next());
    let ticket = opened.unwrap_or_else(|| panic!("no ticket\n{}", world.logs()));
    let number = ticket["name"].as_str().expect("a name").trim_start_matches("tickets/").to_owned();
    (server, number)
}

fn done(world: &World, words: &[&str]) -> Answer {
    let answer = world.ask(words).expect("an answer");
    assert_eq!(answer.code, Some(0), "{words:?} {answer:?}\n{}", world.logs());
    answer
}

/// Asks with another token.
fn as_of(world: &World, token: &Path, words: &[&str]) -> Answer {
    let mut command = Command::new(outband_tests::process::program_path("outband"));
    command.args(["--endpoint", &world.stack.operators(), "--ca"]).arg(world.stack.collector_dir().join("ca.pem"));
    let output = command.arg("--token-file").arg(token).args(words).env("LC_ALL", "C").output().expect("outband");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Answer { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn there(command: &str) -> bool {
    let found = Command::new(command).arg("--version").output().is_ok();
    if !found {
        skip(format!("{command} is not installed"));
    }
    found
}

#[test]
fn a_call_pack_of_a_real_ticket_has_what_is_known_asks_for_the_rest_and_keeps_secrets() {
    let world = world();
    for at in [REDFISH, IPMI] {
        let before = now_ms();
        let (server, number) = ticket(&world, at);
        done(
            &world,
            &[
                "tickets",
                "comment",
                &number,
                "reseated the cord; wanglili logged in from 10.66.55.44, password=Hunter2",
            ],
        );
        done(&world, &["tickets", "comment", &number, "impact: 300 orders a minute"]);
        let serial = world.site[at].plan.spec.serial.clone();

        // The entry of the log is told by corrected time, whatever the BMC's clock says.
        let mut pack = Value::Null;
        let log = eventually(|| {
            let text = done(&world, &["tickets", "callpack", &number, "--format", "json"]).out;
            pack = serde_json::from_str(&text).expect("JSON");
            let entries = pack["timeline"].as_array().expect("a list");
            entries.iter().find(|e| e["source"] == "log" && e["at_ms"].as_i64() > Some(before - 5_000)).cloned()
        });
        let log = log.unwrap_or_else(|| panic!("no entry of the log: {pack:#}\n{}", world.logs()));
        assert_eq!(log["clock"], "bmc_corrected", "{log}");
        let late = log["at_ms"].as_i64().expect("a time") - before;
        assert!((-5_000..20_000).contains(&late), "{late} ms after the fault began; the BMC is {AHEAD} s ahead");

        let fact = |key: &str| {
            let facts = pack["facts"].as_array().expect("a list");
            facts.iter().find(|f| f["key"] == key).map(|f| f["value"].clone()).unwrap_or_default()
        };
        assert_eq!(fact("serial"), serial.as_str());
        assert_eq!((fact("rack"), fact("unit"), fact("contract")), ("R12".into(), "U07".into(), "acme-2026".into()));
        assert_eq!((fact("customer"), fact("os")), ("Acme Ltd".into(), Value::Null));
        assert!(fact("bmc").is_string(), "{:#}", pack["facts"]);
        assert_eq!(pack["impact"], "300 orders a minute");
        let times: Vec<_> = pack["timeline"].as_array().expect("a list").iter().map(|e| e["at_ms"].as_i64()).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert!(times.len() >= 4, "log and ticket: {:#}", pack["timeline"]);
        let questions = pack["questions"].as_array().expect("a list");
        let strip = questions.iter().find(|q| q["question"].as_str().is_some_and(|q| q.contains("outlet strip")));
        assert!(
            strip.expect("it is asked")["answer"].as_str().is_some_and(|a| a.contains("of 1 other")),
            "{questions:#?}"
        );

        let chinese = done(&world, &["tickets", "callpack", &number, "--lang", "zh-CN", "--zone", "Asia/Shanghai"]).out;
        assert!(chinese.contains("一、哪台服务器") && chinese.contains("业务影响：300 orders a minute。"), "{chinese}");
        assert!(chinese.contains("操作系统：没有记录。") && chinese.contains("Asia/Shanghai"), "{chinese}");
        let spelled: String = chinese.lines().find(|l| l.starts_with("序列号")).unwrap_or_default().replace(' ', "");
        assert!(spelled.contains(&serial), "{spelled}");

        // Nothing that was planted is in any form of it, nor what the agent logs in with.
        let zip = world.root.path().join(format!("{number}.zip"));
        let html = world.root.path().join(format!("{number}.html"));
        done(&world, &["tickets", "callpack", &number, "--format", "zip", "--out", &zip.display().to_string()]);
        done(&world, &["tickets", "callpack", &number, "--format", "html", "--out", &html.display().to_string()]);
        assert_eq!(fs::metadata(&zip).expect("a file").permissions().mode() & 0o777, 0o600);
        let files = [
            fs::read(&zip).expect("a file"),
            fs::read(&html).expect("a file"),
            chinese.into_bytes(),
            pack.to_string().into_bytes(),
        ];
        for file in &files {
            let text = String::from_utf8_lossy(file);
            for secret in
                PLANTED.into_iter().chain([world.login.user.as_str(), world.login.password.as_str(), "127.0.0.1"])
            {
                assert!(!text.contains(secret), "{secret} got out");
            }
        }
        reads_as_zip(&zip, at);
        prints_on_two_pages(&html);

        let timeline = world.list("entries", &["timeline", &server, "--from", "1h"]).expect("an answer");
        assert!(timeline.iter().any(|e| e["source"] == "ticket") && timeline.iter().any(|e| e["source"] == "log"));
        let audited = world.list("entries", &["timeline", &server, "--to", "1h"]).expect("an answer");
        assert!(audited.len() < timeline.len());
    }
    let none = world.ask(&["tickets", "callpack", "999"]).expect("an answer");
    assert_eq!(none.code, Some(3), "{none:?}");
    let usage = world.ask(&["tickets", "callpack", "1", "--zone", "Mars/Olympus"]).expect("an answer");
    assert_eq!(usage.code, Some(2), "{usage:?}");
}

/// Python's reader finds it whole; the SEL is what `ipmitool` reads.
fn reads_as_zip(zip: &Path, at: usize) {
    if !there("python3") {
        return;
    }
    let tested = Command::new("python3").args(["-m", "zipfile", "-t"]).arg(zip).output().expect("python3");
    assert!(tested.status.success() && String::from_utf8_lossy(&tested.stdout).contains("Done testing"), "{tested:?}");
    let listed = Command::new("python3").args(["-m", "zipfile", "-l"]).arg(zip).output().expect("python3");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("callpack.json") && listed.contains("log/"), "{listed}");
    assert_eq!(listed.contains("log/sel.bin"), at == IPMI, "{listed}");
}

/// A real browser makes one or two pages of it.
fn prints_on_two_pages(html: &Path) {
    if !there("chromium") {
        return;
    }
    let pdf = html.with_extension("pdf");
    let profile = html.with_extension("profile");
    let mut chromium = Command::new("chromium");
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer"]);
    chromium.arg(format!("--user-data-dir={}", profile.display())).arg(format!("--print-to-pdf={}", pdf.display()));
    let printed = chromium.arg(format!("file://{}", html.display())).output().expect("chromium");
    let bytes = fs::read(&pdf).unwrap_or_else(|e| panic!("{e}: {printed:?}"));
    let text = String::from_utf8_lossy(&bytes);
    let pages = text.matches("/Type /Page").count() - text.matches("/Type /Pages").count();
    eprintln!("  {} prints on {pages} pages", html.display());
    assert!((1..=2).contains(&pages), "{pages} pages");
}

#[test]
fn a_temporary_access_opens_one_ticket_and_is_over_when_it_is_ended_or_the_ticket_closes() {
    let world = world();
    let (server, number) = ticket(&world, REDFISH);
    let (_, other) = ticket(&world, IPMI);
    let file = |name: &str| world.root.path().join(name);
    let add = |name: &str, more: &[&str]| {
        let out = file(name).display().to_string();
        let words = [
            "grants",
            "add",
            &number,
            "--to",
            "Zhao",
            "--verified",
            "staff number 4711",
            "--why",
            "log",
            "--out",
            &out,
        ];
        world.ask(&[&words, more].concat()).expect("an answer")
    };
    // Never the rights of those who run the house, never for longer than a day, never without knowing who it is.
    assert_eq!(add("no", &["--role", "operator"]).code, Some(2));
    assert_eq!(add("no", &["--for", "25h"]).code, Some(2));
    assert!(!file("no").exists() && !file("no.part").exists());
    let anonymous = ["grants", "add", &number, "--to", "Zhao", "--verified", " ", "--why", "log"];
    assert_eq!(world.ask(&anonymous).expect("an answer").code, Some(2));

    assert_eq!(add("zhao", &["--role", "engineer"]).code, Some(0));
    let token = file("zhao");
    assert_eq!(fs::metadata(&token).expect("a file").permissions().mode() & 0o777, 0o600);
    let code = |words: &[&str]| as_of(&world, &token, words).code;
    assert_eq!(code(&["tickets", "get", &number]), Some(0));
    assert_eq!(code(&["tickets", "callpack", &number]), Some(0));
    assert_eq!(code(&["timeline", &server]), Some(0));
    assert_eq!(code(&["tickets", "comment", &number, "read the log"]), Some(0));
    assert_eq!(code(&["tickets", "get", &other]), Some(3), "another ticket is none of Zhao's");
    assert_eq!(code(&["tickets", "callpack", &other]), Some(3));
    assert_eq!(code(&["agents"]), Some(5));
    assert_eq!(code(&["audit", "list"]), Some(5));
    let more = ["grants", "add", &number, "--to", "Li", "--verified", "x", "--why", "x"];
    assert_eq!(code(&more), Some(5), "who has an access gives none away");
    let seen: Value = serde_json::from_str(&as_of(&world, &token, &["tickets", "-o", "json"]).out).expect("JSON");
    assert_eq!(seen["tickets"].as_array().map(Vec::len), Some(1), "{seen:#}");

    let grants = world.list("grants", &["grants"]).expect("an answer");
    assert_eq!((grants.len(), &grants[0]["holder"]), (1, &"Zhao".into()));
    let name = grants[0]["name"].as_str().expect("a name");
    done(&world, &["grants", "end", name, "--why", "done"]);
    assert_eq!(code(&["tickets", "get", &number]), Some(5), "from the next call on");

    // The next one is reminded of when the ticket is resolved, and ends with it.
    assert_eq!(add("second", &[]).code, Some(0));
    let token = file("second");
    done(&world, &["tickets", "resolve", &number]);
    let reminded = eventually(|| {
        let ticket = world.json(&["tickets", "get", &number]).expect("an answer");
        let steps = ticket["history"].as_array().or(ticket["transitions"].as_array()).cloned().unwrap_or_default();
        steps.iter().any(|s| s["action"] == "access:reminded").then_some(())
    });
    assert!(reminded.is_some(), "{:#}", world.json(&["tickets", "get", &number]).expect("an answer"));
    done(&world, &["tickets", "close", &number]);
    assert_ne!(as_of(&world, &token, &["tickets", "get", &number]).code, Some(0), "closed is closed, at once");
    let over = eventually(|| {
        let all = world.list("grants", &["grants", "list", "--all", "--ticket", &number]).expect("an answer");
        let words: Vec<_> = all.iter().map(|g| g["ended"].as_str().unwrap_or_default().to_owned()).collect();
        (words == ["revoked", "ticket_closed"]).then_some(())
    });
    assert!(over.is_some(), "{:#?}", world.list("grants", &["grants", "list", "--all"]));
    // What is kept is no token.
    let text = fs::read_to_string(&token).expect("a file");
    let store = fs::read(world.stack.store()).expect("a file");
    assert!(!store.windows(text.trim().len()).any(|w| w == text.trim().as_bytes()));
}
