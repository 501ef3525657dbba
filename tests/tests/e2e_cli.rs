//! `outband` against a collector that runs and a site that lives: what it answers, in which form, with which exit code.

#![allow(clippy::expect_used, reason = "helpers of a test, outside of its functions")]

use outband_tests::sim::fleet;
use outband_tests::wait_until;
use outband_tests::world::{Answer, PATIENCE, World, eventually};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

fn world() -> (World, String) {
    let world = World::start(fleet::sound_site(2, 5)).expect("a site and its programs");
    let server = world.known(0).expect("a server");
    (world, server)
}

fn ask(world: &World, words: &[&str]) -> Answer {
    world.ask(words).expect("an answer")
}

fn refused(answer: &Answer, code: i32) {
    assert_eq!(answer.code, Some(code), "{answer:?}");
    assert!(answer.out.is_empty() && !answer.err.is_empty(), "{answer:?}");
}

/// What somebody with this CA and this token is told of the servers.
fn as_of(world: &World, ca: &Path, token: &Path) -> Answer {
    let mut command = Command::new(outband_tests::process::program_path("outband"));
    command.args(["--endpoint", &world.stack.operators(), "servers", "--ca"]).arg(ca).arg("--token-file").arg(token);
    let output = command.env("LC_ALL", "C").output().expect("outband");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Answer { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn each_way_to_fail_has_its_exit_code() {
    let (mut world, server) = world();
    assert_eq!(ask(&world, &["health", &server]).code, Some(0));
    refused(&ask(&world, &["tickets", "frobnicate"]), 2);
    refused(&ask(&world, &["readings", &server, "--from", "the day before yesterday"]), 2);
    refused(&ask(&world, &["readings", &server, "--kind", "charm"]), 2);
    refused(&ask(&world, &["servers", "get", "srv-999"]), 3);
    refused(&ask(&world, &["tickets", "get", "999"]), 3);
    refused(&ask(&world, &["readings", "srv-999"]), 3);

    // Neither a token that is none nor the agents' opens the operators' door.
    let other = world.root.path().join("other.token");
    fs::write(&other, "0000000000000000000000000000000000000000000").expect("a file");
    let agents = world.stack.collector_dir().join("agent.token");
    for token in [other, agents] {
        refused(&as_of(&world, &world.stack.collector_dir().join("ca.pem"), &token), 5);
    }
    // A CA that did not sign the collector's certificate is no collector of ours, and sees no token.
    let pem = match &world.site[0].bmc {
        fleet::Bmc::Redfish(service) => service.certificate_pem.clone(),
        fleet::Bmc::Ipmi(_) => panic!("server 0 speaks Redfish"),
    };
    let ca = world.root.path().join("other-ca.pem");
    fs::write(&ca, pem).expect("a file");
    refused(&as_of(&world, &ca, &world.stack.collector_dir().join("operator.token")), 4);

    world.stack.stop_collector().expect("an end");
    refused(&ask(&world, &["servers"]), 4);
}

#[test]
fn a_move_that_the_ticket_does_not_allow_changes_nothing_and_is_an_error() {
    let (world, server) = world();
    world.site[0].machine.now().psus[0].input_ok = false;
    let opened = eventually(|| world.tickets_of(&server).expect("an answer").into_iter().next());
    let ticket = opened.unwrap_or_else(|| panic!("no ticket\n{}", world.logs()));
    let number = ticket["name"].as_str().expect("a name");
    refused(&ask(&world, &["tickets", "resume", number]), 1);
    refused(&ask(&world, &["tickets", "assign", number, "wang", "--if-etag", "0-0"]), 1);
    let after = world.json(&["tickets", "get", number]).expect("an answer");
    assert_eq!((&after["state"], &after["assignee"]), (&"new".into(), &"".into()), "{after:#}");
}

/// Every question, with the list that its answer holds; `""`: the answer is one thing.
fn questions(server: &str) -> Vec<(Vec<&str>, &'static str)> {
    vec![
        (vec!["servers"], "servers"),
        (vec!["servers", "get", server], ""),
        (vec!["health"], "healths"),
        (vec!["health", server], ""),
        (vec!["readings", server], "readings"),
        (vec!["readings", server, "--kind", "temperature", "--from", "10m"], "readings"),
        (vec!["events", server], "events"),
        (vec!["gaps"], "gaps"),
        (vec!["tickets", "list", "--all"], "tickets"),
        (vec!["agents"], "agents"),
    ]
}

#[test]
fn every_answer_is_well_formed_in_every_format() {
    let (world, server) = world();
    for (words, list) in questions(&server) {
        let in_format = |format: &str| {
            let answer = ask(&world, &[&words[..], &["-o", format]].concat());
            assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""), "{words:?} -o {format}: {answer:?}");
            answer.out
        };
        let json: Value = serde_json::from_str(&in_format("json")).unwrap_or_else(|e| panic!("{words:?}: {e}"));
        let yaml: Value = serde_yaml_ng::from_str(&in_format("yaml")).unwrap_or_else(|e| panic!("{words:?}: {e}"));
        let keys = |value: &Value| value.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
        assert!(keys(&json).is_some() && keys(&json) == keys(&yaml), "{words:?}: {json:#} {yaml:#}");
        if !list.is_empty() {
            assert!(json[list].is_array(), "{words:?}: {json:#}");
        }
        let csv = in_format("csv");
        let mut table = csv::Reader::from_reader(csv.as_bytes());
        let head = table.headers().expect("a header").clone();
        assert!(head.len() > 1 && head.iter().all(|h| !h.is_empty()), "{words:?}: {head:?}");
        // The reader refuses rows that are not as long as the header.
        let rows: Vec<_> = table.records().map(|row| row.unwrap_or_else(|e| panic!("{words:?}: {e}"))).collect();
        assert!(
            list.is_empty() || json[list].as_array().map(Vec::is_empty) == Some(rows.is_empty()),
            "{words:?}: {csv}"
        );
        let widest = |text: String| text.lines().map(|l| l.chars().count()).max().unwrap_or_default();
        assert!(widest(in_format("wide")) >= widest(in_format("table")).saturating_sub(12), "{words:?}");
    }
}

#[test]
fn pages_of_history_are_followed_to_their_end_without_a_row_twice() {
    let (world, server) = world();
    let count = |rows: &[Value]| rows.len();
    let long = || {
        let rows = world.list("readings", &["readings", &server, "--from", "10m", "--limit", "0"]).expect("an answer");
        (count(&rows) > 1100).then_some(())
    };
    assert!(eventually(long).is_some(), "no history\n{}", world.logs());
    // Up to a moment that is past, so that nothing comes in between the questions.
    let newest = world.list("readings", &["readings", &server, "--from", "10m", "--limit", "0"]).expect("an answer");
    let to = newest.iter().filter_map(|r| r["observed_at"].as_str()).max().expect("a moment").to_owned();
    let until = |limit: &str| {
        world.json(&["readings", &server, "--from", "10m", "--to", &to, "--limit", limit]).expect("an answer")
    };
    let all = until("0");
    let rows = all["readings"].as_array().expect("rows");
    assert_eq!(all["truncated"], false);
    let distinct: BTreeSet<String> =
        rows.iter().map(|r| format!("{} {} {} {}", r["component"], r["kind"], r["sensor"], r["observed_at"])).collect();
    assert_eq!((distinct.len(), rows.len() > 1000), (rows.len(), true), "{} rows", rows.len());
    let some = until("700");
    assert_eq!(some["truncated"], true);
    assert_eq!(some["readings"].as_array().expect("rows")[..], rows[..700], "the same, from the start");
}

#[test]
fn watching_shows_a_change_without_being_asked_again() {
    let (world, server) = world();
    let mut command = world.stack.outband();
    command.args(["health", &server, "--watch", "-o", "json"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut watching = command.spawn().expect("outband");
    let (send, shown) = mpsc::channel();
    let out = watching.stdout.take().expect("its output");
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let status = serde_json::from_str::<Value>(&line).map(|v| v["health"]["status"].clone());
            if send.send(status.expect("a document a line")).is_err() {
                return;
            }
        }
    });
    let first = shown.recv_timeout(PATIENCE).expect("a first document");
    world.site[0].machine.now().psus[0].input_ok = false;
    let mut last = first.clone();
    let changed = wait_until(PATIENCE, || {
        last = shown.try_iter().last().unwrap_or(last.clone());
        last == "critical"
    });
    watching.kill().and_then(|()| watching.wait()).expect("its end");
    drop(shown);
    reader.join().expect("the reader");
    assert!(changed && first != last, "first {first}, last {last}\n{}", world.logs());
}
