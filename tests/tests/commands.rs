//! Every command of `outband`, at a collector that runs: as a table, as JSON, in Chinese. Which commands there are, `--help` says; one that
//! is not tried here fails the test.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test, outside of its functions")]

use outband_tests::process::program_path;
use outband_tests::sim::fleet;
use outband_tests::wait_until;
use outband_tests::world::{Answer, PATIENCE, World, eventually};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// How an answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Table,
    Json,
    Chinese,
}

impl Form {
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Table => &["--lang", "en"],
            Self::Json => &["-o", "json"],
            Self::Chinese => &["--lang", "zh-CN"],
        }
    }
}

const SERVICE: &str = "[customers.acme]\nname = 'Acme'\n[packages.gold]\nclocks = [{ name = 'respond', targets = { P1 = '10m', P2 = '30m' } }]\n\
    [contracts.acme-gold]\ncustomer = 'acme'\npackage = 'gold'\nfrom = '2020-01-01'\nuntil = '2099-12-31'\n\
    [[contracts.acme-gold.contacts.on_call]]\nname = 'Wang'\nphone = '+86 1'\nrecipients = ['duty']\nverified = '2026-01-01'\n";

/// A site, its programs, and who works there.
struct Desk {
    world: World,
    /// Two servers: one by Redfish, one by IPMI.
    servers: Vec<String>,
    /// The number of a ticket that the collector opened by itself.
    ticket: String,
    tried: BTreeSet<String>,
    failures: Vec<String>,
    // Where notices go.
    _syslog: UdpSocket,
}

fn desk() -> Desk {
    let mut world = World::new(fleet::sound_site(2, 5)).expect("a site");
    let syslog = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let (root, toml) = (world.root.path(), fs::read_to_string(world.stack.collector_toml()).unwrap());
    fs::write(root.join("service.toml"), SERVICE).unwrap();
    fs::write(root.join("topology.csv"), "server,customer\nr1-u01,acme\n").unwrap();
    let more = format!(
        "[service]\nfile = '{0}'\n[topology]\nfile = '{2}'\n[orders]\nallow = ['identify', 'collect']\n\
         [notify.channels.log]\nkind = 'syslog'\nserver = '{1}'\ntransport = 'udp'\n\
         [notify.channels.other]\nkind = 'syslog'\nserver = '{1}'\ntransport = 'udp'\n\
         [notify.recipients.duty]\nchannel = 'log'\n[notify.recipients.desk]\nchannel = 'other'\n\
         [[notify.rules]]\nto = ['duty', 'desk']\n",
        root.join("service.toml").display(),
        syslog.local_addr().unwrap(),
        root.join("topology.csv").display(),
    );
    fs::write(world.stack.collector_toml(), format!("{toml}\n{more}")).unwrap();
    let allow = "[orders]\nallow = [\"identify\", \"collect\"]\n[credentials.bmc]\n";
    world.edit_agent(|toml| toml.replace("[credentials.bmc]\n", allow)).unwrap();
    for (role, who) in [("operator", "ann"), ("operator", "bob"), ("admin", "root")] {
        let mut make = Command::new(program_path("outband-collector"));
        make.args(["token", role, who, "--config"]).arg(world.stack.collector_toml());
        let made = make.stdin(Stdio::null()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let path = world.root.path().join(format!("{who}.token"));
        fs::write(&path, made.stdout).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    world.stack.start_collector().unwrap();
    world.stack.start_agent().unwrap();
    let servers: Vec<String> = [0, 1].map(|s| world.known(s).expect("a server")).to_vec();
    world.site[0].machine.now().psus[0].input_ok = false;
    let opened = eventually(|| world.tickets_of(&servers[0]).unwrap().into_iter().next());
    let ticket = bare(&opened.unwrap_or_else(|| panic!("no ticket\n{}", world.logs()))["name"]);
    Desk { world, servers, ticket, tried: BTreeSet::new(), failures: Vec::new(), _syslog: syslog }
}

/// The number in a resource's name.
fn bare(name: &Value) -> String {
    name.as_str().and_then(|n| n.rsplit('/').next()).unwrap_or_else(|| panic!("no name: {name}")).to_owned()
}

impl Desk {
    fn ask(&self, who: &str, words: &[&str]) -> Answer {
        let mut command = self.world.stack.outband();
        command.args(words).arg("--token-file").arg(self.world.root.path().join(format!("{who}.token")));
        let output = command.env("LC_ALL", "C").stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Answer { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// What stands there, to go on with.
    fn json(&self, words: &[&str]) -> Value {
        let answer = self.ask("root", &[words, &["-o", "json"]].concat());
        serde_json::from_str(&answer.out).unwrap_or_else(|e| panic!("{words:?}: {e}: {answer:?}"))
    }

    /// The newest of a list.
    fn newest(&self, list: &str, words: &[&str]) -> String {
        let rows = self.json(words)[list].as_array().cloned().unwrap_or_default();
        let number = |row: &Value| bare(&row["name"]).parse::<u64>().unwrap();
        rows.iter().map(number).max().unwrap_or_else(|| panic!("{words:?}: no {list}")).to_string()
    }

    /// Tries the command of so many words, with what follows them.
    fn does(&mut self, form: Form, path: &str, arguments: &[&str]) {
        self.does_as("ann", form, path, arguments);
    }

    fn does_as(&mut self, who: &str, form: Form, path: &str, arguments: &[&str]) {
        self.ends_with(0, who, form, path, arguments);
    }

    /// The same, where another exit code than 0 is no failure.
    fn ends_with(&mut self, code: i32, who: &str, form: Form, path: &str, arguments: &[&str]) {
        let words: Vec<&str> =
            path.split(' ').chain(arguments.iter().copied()).chain(form.words().iter().copied()).collect();
        let answer = self.ask(who, &words);
        self.tried.insert(path.to_owned());
        let wrong = if answer.code != Some(code) || !answer.err.is_empty() {
            "is no success"
        } else if answer.out.is_empty() {
            // What goes into a file, or is taken away, has nothing to say.
            if arguments.iter().any(|a| a.contains('/') && a.contains(".out")) { return } else { "says nothing" }
        } else if form == Form::Json && serde_json::from_str::<Value>(&answer.out).is_err() && path != "completions" {
            "is no JSON"
        } else if form == Form::Chinese && !answer.out.chars().any(is_chinese) && !speaks_for_itself(&words) {
            "is not Chinese"
        } else {
            return;
        };
        self.failures.push(format!("{words:?} {wrong}: {answer:?}"));
    }

    /// A ticket of its own, of an exercise at a drive.
    fn drilled(&self, component: &str) -> String {
        let before: BTreeSet<String> = self.numbers();
        let words = [
            "drill",
            "start",
            "--server",
            &self.servers[1],
            "--fault",
            "disk_failure",
            "--component",
            component,
            "--why",
            "to try",
        ];
        let started = self.ask("ann", &words);
        assert_eq!(started.code, Some(0), "{started:?}");
        eventually(|| self.numbers().difference(&before).next().cloned())
            .unwrap_or_else(|| panic!("no ticket for {component}\n{}", self.world.logs()))
    }

    fn numbers(&self) -> BTreeSet<String> {
        let tickets = self.json(&["tickets", "list", "--all"]);
        tickets["tickets"].as_array().unwrap().iter().map(|t| bare(&t["name"])).collect()
    }

    fn path(&self, name: &str) -> String {
        self.world.root.path().join(name).display().to_string()
    }
}

/// What has no language, and what the collector says as it says it.
fn speaks_for_itself(words: &[&str]) -> bool {
    words.contains(&"completions") || words.contains(&"--dry-run")
}

fn is_chinese(c: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&c)
}

/// Every command without commands of its own, and those which do something without one.
fn commands(path: &[&str]) -> Vec<String> {
    let help = Command::new(program_path("outband")).args(path).arg("--help").output().unwrap();
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
    let below: Vec<&str> = listed
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next())
        .filter(|c| *c != "help")
        .collect();
    // One that does something by itself does not ask for a command in its first line of usage.
    let usage = help.lines().find(|l| l.starts_with("Usage:")).unwrap();
    let itself = (!usage.contains("<COMMAND>")).then(|| path.join(" "));
    let below = below.into_iter().flat_map(|name| commands(&[path, &[name]].concat()));
    itself.into_iter().chain(below).collect()
}

/// What looks, and changes nothing.
fn looks(desk: &mut Desk, form: Form) {
    let (server, ticket) = (desk.servers[0].clone(), desk.ticket.clone());
    for path in
        ["servers", "servers list", "tickets", "incidents", "maintenance", "maintenance list", "orders", "agents"]
    {
        desk.does(form, path, &[]);
    }
    for path in ["drill", "overrides", "overrides parameters", "notices", "notices list", "grants", "contacts", "time"]
    {
        desk.does(form, path, &[]);
    }
    for path in ["orders list", "drill list", "overrides list", "grants list"] {
        desk.does(form, path, &["--all"]);
    }
    for path in ["servers get", "health", "readings", "events", "gaps", "incidents", "timeline"] {
        desk.does(form, path, &[&server]);
    }
    desk.does(form, "readings", &[&server, "--from", "10m", "--limit", "3"]);
    for resolution in ["auto", "raw", "5m", "1h"] {
        desk.does(form, "readings", &[&server, "--span", "40d", "--resolution", resolution, "--limit", "3"]);
    }
    desk.does(form, "tickets list", &["--all"]);
    for path in ["tickets get", "tickets sla", "tickets callpack"] {
        desk.does(form, path, &[&ticket]);
    }
    desk.does(form, "tickets get", &[&ticket, "--at", "2099-01-01T00:00:00Z"]);
    desk.does(form, "tickets callpack", &[&ticket, "--format", "zip", "--out", &desk.path("callpack.out")]);
    desk.does(form, "reports sla", &["--month", "2026-11"]);
    desk.does(form, "reports reliability", &["--year", "2026", "--site", "dc1"]);
    desk.does(form, "reports fault", &[&ticket]);
    desk.does(form, "reports fault", &[&ticket, "--format", "xlsx", "--out", &desk.path("fault.out")]);
    for path in ["fleet afr", "fleet trend", "fleet spares", "fleet health", "fleet load", "fleet headroom"] {
        desk.does(form, path, &[]);
    }
    desk.does(form, "fleet afr", &["--class", "disk", "--from", "30d", "--site", "dc1"]);
    desk.does(form, "fleet headroom", &["--site", "dc1", "--by", "server", "--span", "7d"]);
    desk.does(form, "fleet survival", &["disk"]);
    desk.does(form, "fleet spares", &["--all", "--level", "0.99", "--days", "14"]);
    desk.does(form, "completions", &["bash"]);
}

/// The way of a ticket, and what is said on it.
fn tickets(desk: &mut Desk, form: Form, tag: usize) {
    let number = desk.drilled(&format!("disk/Bay {tag}1"));
    let other = desk.drilled(&format!("disk/Bay {tag}2"));
    for (what, more) in [
        ("assign", &["ann"][..]),
        ("start", &[]),
        ("wait-customer", &["--why", "asks their people"]),
        ("resume", &[]),
        ("wait-parts", &[]),
        ("resume", &[]),
        ("locate", &["worn out"]),
        ("reached", &["contact"]),
        ("prioritise", &["P1", "--why", "the customer waits"]),
        ("policy", &["gold", "--why", "as promised"]),
        ("link", &[&other]),
        ("parent", &[&other]),
        ("parent", &["none"]),
        ("comment", &["looked at it", "--customer"]),
        ("triage", &["network", "--reason", "the switch of the rack"]),
        ("triage", &["--clear"]),
        ("resolve", &["--as", "repaired", "--verdict", "no_fault_found"]),
        ("verdict", &["other_part", "--part", "psu/2", "--detail", "pending sectors"]),
        ("reopen", &["--why", "again"]),
        ("resolve", &[]),
        ("close", &["--verdict", "confirmed"]),
    ] {
        desk.does(form, &format!("tickets {what}"), &[&[number.as_str()], more].concat());
        let parts = &desk.json(&["tickets", "get", &other])["members"];
        let is_part = parts[0]["name"] == format!("tickets/{number}");
        assert_eq!(is_part, what == "parent" && more != ["none"], "{what} {more:?}: {parts:#}");
    }
    let merged = desk.drilled(&format!("disk/Bay {tag}3"));
    desk.does(form, "tickets merge", &[&merged, &other, "--why", "the same drive"]);
    let key = format!("key-{tag}");
    desk.does(form, "notices ack", &[&desk.ticket.clone(), "--why", &key]);
    let notice = desk.newest("notices", &["notices", "list"]);
    desk.does(form, "notices show", &[&notice]);
    desk.does(form, "notices replay", &[&notice]);
    desk.does(
        form,
        "drill start",
        &["--server", &desk.servers[1].clone(), "--fault", "fan_failure", "--why", "to try"],
    );
    let drill = desk.newest("drills", &["drill", "list"]);
    desk.does(form, "drill show", &[&drill]);
    desk.does(form, "drill end", &[&drill]);
}

/// What people decide for servers.
fn decisions(desk: &mut Desk, form: Form) {
    let server = desk.servers[1].clone();
    let window = ["--server", &server, "--component", "fan", "--lasts", "4h", "--why", "new fans"];
    desk.does(form, "maintenance add", &window);
    let number = desk.newest("windows", &["maintenance", "list"]);
    desk.does(form, "maintenance edit", &[&number, "--lasts", "5h"]);
    desk.does(form, "maintenance end", &[&number]);
    desk.does(form, "maintenance mute", &window);
    let set = ["disk.increases", "6", "--server", &server, "--lasts", "9d", "--why", "this firmware counts twice"];
    desk.does(form, "overrides set", &set);
    let number = desk.newest("overrides", &["overrides", "list"]);
    desk.does(form, "overrides end", &[&number]);
    let ticket = desk.ticket.clone();
    let add = ["--to", "Zhao (maker)", "--verified", "called back", "--why", "reads the log"];
    let out = desk.path(&format!("{form:?}.token.out"));
    desk.does(form, "grants add", &[&[ticket.as_str()], &add[..], &["--out", &out]].concat());
    let number = desk.newest("grants", &["grants", "list"]);
    let open = &desk.json(&["tickets", "get", &ticket])["accesses"];
    assert_eq!(bare(&open[0]["grant"]), number, "{open:#}");
    desk.does(form, "grants end", &[&number, "--why", "done"]);
}

fn orders(desk: &mut Desk, form: Form) {
    let (server, why) = (desk.servers[0].clone(), ["--why", "a test"]);
    desk.does(form, "orders request", &[&["identify", server.as_str(), "--dry-run"], &why[..]].concat());
    desk.does(form, "orders request", &[&["identify", server.as_str()], &why[..]].concat());
    let number = desk.newest("orders", &["orders", "list"]);
    desk.does(form, "orders reject", &[&[number.as_str()], &why[..]].concat());
    desk.does(form, "orders request", &[&["collect", server.as_str()], &why[..]].concat());
    let number = desk.newest("orders", &["orders", "list"]);
    desk.does(form, "orders stop", &why);
    desk.does(form, "orders list", &[]);
    desk.does_as("bob", form, "orders approve", &[&number]);
    desk.does(form, "orders resume", &why);
    let is_done = wait_until(PATIENCE, || desk.json(&["orders", "get", &number])["state"] == "done");
    assert!(is_done, "{:#}\n{}", desk.json(&["orders", "get", &number]), desk.world.logs());
    desk.does(form, "orders get", &[&number]);
    desk.does(form, "orders file", &[&number, &desk.path(&format!("{form:?}.json.out"))]);
}

/// A server is read whole, and what is known of it told: this one has a finding, and the exit code says so.
fn checks(desk: &mut Desk, form: Form) {
    let server = desk.servers[0].clone();
    let page = desk.path(&format!("{form:?}.html.out"));
    desk.ends_with(6, "ann", form, "health check", &[&server, "--html", &page]);
    let html = fs::read_to_string(&page).unwrap_or_default();
    assert!(html.starts_with("<!DOCTYPE html>") && html.contains("id=\"findings\""), "{page}: {html:.200}");
    let number = desk.newest("checks", &["health", "checks", &server]);
    let check = desk.json(&["health", "show", &number]);
    let finding =
        check["report"]["findings"].as_array().and_then(|f| f.iter().find(|f| f["fault"] == "power_input_lost"));
    let finding = finding.unwrap_or_else(|| panic!("{check:#}"));
    assert_eq!((&check["state"], &check["report"]["fresh"]), (&"done".into(), &true.into()), "{check:#}");
    assert!(finding["advice"].as_str().is_some_and(|a| !a.is_empty()) && !finding["triage"].is_null(), "{finding:#}");
    desk.does(form, "health checks", &[&server]);
    desk.ends_with(6, "ann", form, "health show", &[&number]);
    let kind = finding["triage"].as_str().unwrap().to_owned();
    desk.does(form, "tickets list", &["--triage", &kind]);
}

/// A drive says that it will fail, and somebody says that it will not.
fn predictions(desk: &mut Desk, form: Form, bay: usize) {
    let server = desk.servers[0].clone();
    desk.world.site[0].machine.now().drives[bay].failure_predicted = true;
    let foretold = || {
        let answer = desk.json(&["predictions", "list", "--answer", "pending"]);
        answer["outcomes"].as_array()?.iter().find(|o| o["server"] == server.as_str()).cloned()
    };
    let outcome = eventually(foretold).unwrap_or_else(|| {
        panic!("nothing was foretold of {server}: {:#}\n{}", desk.json(&["predictions", "list"]), desk.world.logs())
    });
    let ticket = bare(&outcome["ticket"]);
    desk.does(form, "predictions wrong", &[&ticket, "--why", "a scan found nothing", "--verdict", "not_found"]);
    let of_rule =
        |desk: &Desk| desk.json(&["predictions", "precision", "--rule", "disk.says_so"])["precisions"][0].clone();
    let wrong = of_rule(desk);
    assert_eq!((&wrong["right"], wrong["wrong"].as_u64()), (&0.into(), Some(bay as u64 + 1)), "{wrong:#}");
    let closed = desk.json(&["tickets", "get", &ticket]);
    assert_eq!((&closed["state"], &closed["verdict"]), (&"closed".into(), &"no_fault_found".into()), "{closed:#}");
    desk.does(form, "predictions", &[]);
    desk.does(form, "predictions precision", &["--by", "site,model,predictor,customer,fault", "--since", "1d"]);
    desk.does(form, "predictions list", &["--answer", "wrong"]);
    let out = desk.path(&format!("{form:?}.fleet"));
    desk.does(form, "predictions export", &["--out", &out]);
    let drives = fs::read_to_string(format!("{out}/drives.csv")).unwrap_or_default();
    assert!(drives.starts_with("drive,model,vendor,tb,first_day,last_day,failed\n"), "{drives}");
}

/// What only an admin may.
fn records(desk: &mut Desk, form: Form) {
    let file = desk.path(&format!("{form:?}.zip.out"));
    for (path, arguments) in [
        ("audit list", &["--limit", "5"][..]),
        ("audit verify", &[]),
        ("record retention", &[]),
        ("record erase-person", &["nobody"]),
        ("record erase-customer", &["acme"]),
        ("record export", &["--site", "dc1", &file]),
        ("record verify", &[&file]),
        ("record holds", &[]),
        ("record holds list", &["--all"]),
        ("record holds add", &["--site", "dc1", "--why", "case 7"]),
    ] {
        desk.does_as("root", form, path, arguments);
    }
    let hold = desk.newest("holds", &["record", "holds", "list"]);
    desk.does_as("root", form, "record holds release", &[&hold, "--why", "over"]);
}

/// Who may join, and who no longer belongs.
fn enrolment(desk: &mut Desk, form: Form, tag: usize) {
    let (line, waiting) = (desk.path(&format!("line{tag}.out")), format!("waiting-{tag}"));
    desk.does_as("root", form, "agent invite", &["--site", "dc1", "--out", &line]);
    let number = desk.newest("invites", &["agent", "invites"]);
    desk.does_as("root", form, "agent invites", &["--all"]);
    desk.does_as("root", form, "agent revoke-invite", &[&number]);
    let toml = fs::read_to_string(desk.world.stack.agent_toml()).unwrap();
    let address = toml.split_once("https://").unwrap().1.split_once('"').unwrap().0.to_owned();
    let mut command = Command::new(program_path("outband-agent"));
    command.args(["join", "--collector", &address, "--agent", &waiting, "--dir", &desk.path(&waiting)]);
    let mut joining = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let words = eventually(|| desk.json(&["agent", "pending"])["agents"][0]["words"].as_str().map(str::to_owned));
    let words = words.expect("somebody who waits");
    desk.does_as("root", form, "agent pending", &[]);
    let words: Vec<&str> = words.split(' ').collect();
    desk.does_as("root", form, "agent approve", &[&words[..], &["--site", "dc1"]].concat());
    assert!(joining.wait().unwrap().success());
    desk.does_as("root", form, "agent revoke", &[&waiting, "--why", "to try"]);
}

#[test]
fn every_command_answers_as_a_table_as_json_and_in_chinese() {
    let mut desk = desk();
    for (tag, form) in [Form::Table, Form::Json, Form::Chinese].into_iter().enumerate() {
        tickets(&mut desk, form, tag + 1);
        decisions(&mut desk, form);
        orders(&mut desk, form);
        looks(&mut desk, form);
        checks(&mut desk, form);
        predictions(&mut desk, form, tag);
        records(&mut desk, form);
        enrolment(&mut desk, form, tag);
    }
    assert!(desk.failures.is_empty(), "{}\n", desk.failures.join("\n"));
    let all: BTreeSet<String> = commands(&[]).into_iter().collect();
    let untried: Vec<_> = all.difference(&desk.tried).collect();
    let unknown: Vec<_> = desk.tried.difference(&all).collect();
    assert!(
        all.len() > 70 && untried.is_empty() && unknown.is_empty(),
        "not tried: {untried:?}; no command: {unknown:?}"
    );
}

#[test]
fn what_cannot_be_done_is_refused_with_its_cause_and_the_next_command() {
    let desk = desk();
    let (server, ticket) = (desk.servers[0].as_str(), desk.ticket.as_str());
    let refused: [(&[&str], i32); 25] = [
        (&["predictions", "wrong", ticket, "--why", "x"], 1),
        (&["predictions", "wrong", "999", "--why", "x"], 3),
        (&["tickets", "get", "999"], 3),
        (&["tickets", "callpack", "999"], 3),
        (&["tickets", "sla", "999"], 3),
        (&["tickets", "resume", ticket], 1),
        (&["tickets", "prioritise", ticket, "P9"], 2),
        (&["reports", "fault", "999"], 3),
        (&["reports", "sla", "--month", "2026-13"], 2),
        (&["orders", "get", "999"], 3),
        (&["orders", "request", "reset_bmc", server, "--why", "x"], 1),
        (&["drill", "show", "999"], 3),
        (&["drill", "start", "--server", server, "--fault", "bad_mood", "--why", "x"], 2),
        (&["overrides", "set", "no.such", "1", "--server", server, "--lasts", "1d", "--why", "x"], 2),
        (&["overrides", "end", "999"], 3),
        (&["maintenance", "end", "999"], 3),
        (&["grants", "end", "999", "--why", "x"], 3),
        (&["notices", "show", "999"], 3),
        (&["timeline", "srv-999"], 3),
        (&["health", "check", "srv-999"], 3),
        (&["health", "show", "999"], 3),
        (&["fleet", "survival", "disk", "--model", "no such"], 3),
        (&["fleet", "afr", "--class", "wheel"], 2),
        (&["fleet", "headroom", "--span", "9000d"], 2),
        (&["record", "retention"], 5),
    ];
    let mut failures = Vec::new();
    for (words, code) in refused {
        for lang in ["en", "zh-CN"] {
            let answer = desk.ask("ann", &[words, &["--lang", lang]].concat());
            // The error, what it is likely from, and what to type next.
            let says = answer.err.lines().count() >= 3 && answer.err.contains("outband ");
            let speaks = lang == "en" || answer.err.chars().any(is_chinese);
            if answer.code != Some(code) || !answer.out.is_empty() || !says || !speaks {
                failures.push(format!("{words:?}: {answer:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
