//! The whole loop, real programs around simulated BMCs: from what a BMC shows to a ticket, and from what people and parts do to the ticket's end.

#![allow(clippy::expect_used, reason = "helpers of a test, outside of its functions")]

use outband_schemas::Timestamp;
use outband_tests::sim::fleet;
use outband_tests::sim::machine::{Fault, FaultKind};
use outband_tests::world::{World, eventually};
use serde_json::Value;

const REDFISH: usize = 0;
const IPMI: usize = 1;
const BAY: usize = 3;
const FAN: usize = 2;

fn world() -> World {
    World::start(fleet::sound_site(2, 5)).expect("a site and its programs")
}

fn time(told: &Value) -> Timestamp {
    told.as_str().and_then(|text| text.parse().ok()).expect("a time")
}

/// Waits for the only ticket of this fault for which `is` holds.
fn ticket(world: &World, server: &str, fault: &str, is: impl Fn(&Value) -> bool) -> Value {
    let mut last = Vec::new();
    let found = eventually(|| {
        last = world.tickets_of(server).expect("an answer");
        let of_fault: Vec<&Value> = last.iter().filter(|t| t["fault"] == fault).collect();
        assert!(of_fault.len() < 2, "one condition, one ticket: {of_fault:#?}");
        of_fault.first().filter(|t| is(t)).map(|t| (*t).clone())
    });
    found.unwrap_or_else(|| panic!("no such ticket; there are {last:#?}\n{}", world.logs()))
}

fn health(world: &World, server: &str) -> Value {
    world.json(&["health", server]).expect("an answer")["health"].clone()
}

/// Lets a drive wear from now on.
fn wear_drive(world: &World) {
    let mut machine = world.site[REDFISH].machine.now();
    let onset = machine.time;
    machine.add_fault(Fault { kind: FaultKind::DiskWears { bay: BAY }, onset, over: 40.0 });
}

/// The status of each clock, by name.
fn clocks(ticket: &Value) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    ticket["clocks"].as_array().into_iter().flatten().map(|c| (text(&c["name"]), text(&c["status"]))).collect()
}

fn clock(ticket: &Value, name: &str) -> String {
    clocks(ticket).into_iter().find(|(n, _)| n == name).map(|(_, status)| status).unwrap_or_default()
}

fn evidence(ticket: &Value) -> usize {
    ticket["evidence"].as_array().map_or(0, Vec::len)
}

fn number(ticket: &Value) -> String {
    ticket["name"].as_str().expect("a name").trim_start_matches("tickets/").to_owned()
}

#[test]
fn a_wearing_drive_is_predicted_to_fail_with_reason_evidence_and_clocks() {
    let world = world();
    let server = world.known(REDFISH).expect("a server");
    wear_drive(&world);
    let ticket = ticket(&world, &server, "disk_failure", |_| true);

    assert_eq!((&ticket["predicted"], &ticket["priority"]), (&true.into(), &"P3".into()), "{ticket:#}");
    assert!(ticket["reason"].as_str().is_some_and(|r| r.contains("reallocated_sectors")), "{ticket:#}");
    assert!(evidence(&ticket) >= 3, "{ticket:#}");
    let names: Vec<String> = clocks(&ticket).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["respond", "locate", "repair"], "{ticket:#}");
    assert!(clocks(&ticket).iter().all(|(_, status)| status == "running"), "{ticket:#}");
    assert_eq!(ticket["part_serial"], world.site[REDFISH].machine.now().drives[BAY].serial.as_str());

    let health = health(&world, &server);
    assert!(health["score"].as_u64().is_some_and(|s| s < 100) && health["status"] == "warning", "{health:#}");
    let blamed = |p: &Value| p["component"] == ticket["component"] && p["points"].as_u64() > Some(0);
    assert!(health["penalties"].as_array().is_some_and(|p| p.iter().any(blamed)), "{health:#}");
}

#[test]
fn the_history_of_the_counter_behind_a_ticket_shows_what_the_drive_counted() {
    let world = world();
    let server = world.known(REDFISH).expect("a server");
    let before = world.site[REDFISH].machine.now().drives[BAY].reallocated;
    wear_drive(&world);
    let ticket = ticket(&world, &server, "disk_failure", |_| true);
    let component = ticket["component"].as_str().expect("a component");
    let ask = ["readings", &server, "--component", component, "--kind", "reallocated_sectors", "--from", "10m"];
    let history = world.list("readings", &ask).expect("an answer");
    let after = world.site[REDFISH].machine.now().drives[BAY].reallocated;
    let values: Vec<u64> = history.iter().map(|r| r["value"].as_f64().expect("a number") as u64).collect();
    assert!(values.is_sorted() && values.len() >= 4, "{values:?}");
    assert_eq!(values.first(), Some(&before), "{values:?}");
    assert!(values.last().is_some_and(|last| *last > before && *last <= after), "{values:?}, and then {after}");
    assert!(history.iter().all(|r| r["component"] == component), "{history:#?}");
}

#[test]
fn what_goes_on_growing_is_added_to_the_ticket_and_opens_no_other() {
    let world = world();
    let server = world.known(REDFISH).expect("a server");
    wear_drive(&world);
    let first = ticket(&world, &server, "disk_failure", |_| true);
    let later = ticket(&world, &server, "disk_failure", |t| evidence(t) >= evidence(&first) + 4);
    assert_eq!(later["name"], first["name"]);
    let of_drive = |t: &&Value| t["component"] == first["component"];
    let tickets = world.tickets_of(&server).expect("an answer");
    assert_eq!(tickets.iter().filter(of_drive).count(), 1, "{tickets:#?}");
    assert_eq!(&first["evidence"][0], &later["evidence"][0], "what it began with stays");
}

#[test]
fn a_fan_that_slows_down_at_equal_duty_is_predicted_to_fail_over_ipmi() {
    let world = world();
    let server = world.known(IPMI).expect("a server");
    // The rule compares with what the fan did before: it needs its six polls of good days.
    let polls = || {
        let ask = ["readings", &server, "--component", "fan/FAN3", "--kind", "fan_speed", "--from", "10m"];
        let history = world.list("readings", &ask).expect("an answer");
        (history.len() >= 8).then_some(history)
    };
    let sound = eventually(polls).unwrap_or_else(|| panic!("no history\n{}", world.logs()));
    {
        let mut machine = world.site[IPMI].machine.now();
        let onset = machine.time;
        machine.add_fault(Fault { kind: FaultKind::FanWears { fan: FAN }, onset, over: 12.0 });
    }
    let ticket = ticket(&world, &server, "fan_failure", |_| true);
    assert_eq!((&ticket["component"], &ticket["predicted"]), (&"fan/FAN3".into(), &true.into()), "{ticket:#}");
    assert!(ticket["reason"].as_str().is_some_and(|r| r.contains("FAN3") && r.contains("slower")), "{ticket:#}");
    let ask = ["readings", &server, "--component", "fan/FAN3", "--kind", "fan_speed"];
    let now = world.list("readings", &ask).expect("an answer")[0]["value"].as_f64().expect("a speed");
    assert!(now < sound[0]["value"].as_f64().expect("a speed") * 0.9, "{now} rpm, and before {:#}", sound[0]);
}

#[test]
fn what_operators_do_stops_the_clocks_and_is_logged_with_who_and_why() {
    let world = world();
    let server = world.known(REDFISH).expect("a server");
    wear_drive(&world);
    let opened = ticket(&world, &server, "disk_failure", |_| true);
    let n = number(&opened);
    let moved = |words: &[&str]| {
        let answer = world.ask(words).expect("an answer");
        assert_eq!(answer.code, Some(0), "{words:?}: {answer:?}");
        world.json(&["tickets", "get", &n]).expect("an answer")
    };

    let assigned = moved(&["tickets", "assign", &n, "wang", "--why", "on duty"]);
    assert_eq!((&assigned["state"], &assigned["assignee"]), (&"assigned".into(), &"wang".into()));
    assert_eq!([clock(&assigned, "respond"), clock(&assigned, "locate")], ["met", "running"], "{assigned:#}");
    let started = moved(&["tickets", "start", &n, "--why", "at the rack"]);
    assert_eq!(started["state"], "in_progress");
    let located = moved(&["tickets", "locate", &n, "worn medium", "--why", "self-test failed"]);
    assert_eq!([clock(&located, "locate"), clock(&located, "repair")], ["met", "running"], "{located:#}");
    assert_eq!(located["root_cause"], "worn medium");

    let log = located["transitions"].as_array().expect("a log");
    for (action, why) in [("assign", "on duty"), ("start", "at the rack"), ("locate", "self-test failed")] {
        let logged = |t: &&Value| t["action"].as_str().is_some_and(|a| a.starts_with(action)) && t["why"] == why;
        let entry = log.iter().find(logged).unwrap_or_else(|| panic!("no {action} in {log:#?}"));
        assert_eq!(entry["who"], "operator");
        assert!(time(&entry["at"]) >= time(&opened["created_at"]), "{entry:#}\n{opened:#}");
    }
    assert_eq!(log[0]["who"], "collector");
}

#[test]
fn a_new_drive_in_the_slot_resolves_the_ticket_and_clean_polls_close_it() {
    let world = world();
    let server = world.known(REDFISH).expect("a server");
    wear_drive(&world);
    let opened = ticket(&world, &server, "disk_failure", |_| true);
    let old = opened["part_serial"].as_str().expect("a serial").to_owned();
    {
        let mut machine = world.site[REDFISH].machine.now();
        machine.end_faults();
        let drive = &mut machine.drives[BAY];
        drive.serial = "NEWDRIVE01".to_owned();
        drive.power_on_hours = 1.0;
        (drive.reallocated, drive.pending, drive.failure_predicted) = (0, 0, false);
        (drive.offline_uncorrectable, drive.reported_uncorrectable) = (0, 0);
    }
    let closed = ticket(&world, &server, "disk_failure", |t| t["state"] == "closed");
    assert_eq!((&closed["name"], &closed["resolution"]), (&opened["name"], &"repaired".into()), "{closed:#}");
    let log = closed["transitions"].as_array().expect("a log");
    let resolved = log.iter().find(|t| t["to"] == "resolved").unwrap_or_else(|| panic!("{log:#?}"));
    let why = resolved["why"].as_str().expect("a reason");
    assert!(why.contains(&old) && why.contains("NEWDRIVE01"), "{why}");
    assert!(log.iter().any(|t| t["to"] == "closed" && t["who"] == "collector"), "{log:#?}");
    assert_eq!(clock(&closed, "repair"), "met");
    let well = eventually(|| (health(&world, &server)["score"] == 100).then_some(()));
    assert!(well.is_some(), "{:#}", health(&world, &server));
}

#[test]
fn a_lost_feed_is_a_ticket_of_priority_2_and_recovers_when_power_is_back() {
    let world = world();
    // The same happens to both servers; each protocol has its own way to show it.
    let servers = [REDFISH, IPMI].map(|s| world.known(s).expect("a server"));
    let feed = |on: bool| {
        for server in &world.site {
            server.machine.now().psus[1].input_ok = on;
        }
    };
    feed(false);
    for server in &servers {
        let lost = ticket(&world, server, "power_input_lost", |_| true);
        assert_eq!((&lost["component"], &lost["priority"]), (&"psu/2".into(), &"P2".into()), "{lost:#}");
        assert_eq!(lost["predicted"], false);
    }
    feed(true);
    for server in &servers {
        let over = ticket(&world, server, "power_input_lost", |t| t["state"] == "closed");
        assert_eq!(over["resolution"], "recovered", "{over:#}");
        let people = |t: &&Value| t["who"] != "collector";
        assert_eq!(over["transitions"].as_array().map(|log| log.iter().filter(people).count()), Some(0));
    }
}

#[test]
fn a_bmc_that_falls_silent_makes_its_server_stale_and_recovers_when_it_speaks_again() {
    let mut world = World::new(fleet::sound_site(2, 5)).expect("a site");
    // Only sensors, so that three failures of theirs do not wait behind those of all else.
    let only_sensors = |toml: String| {
        let slow =
            |toml: String, section: &str| toml.replace(&format!("{section} = \"1s\""), &format!("{section} = \"1m\""));
        slow(slow(toml, "drives"), "log").replace("request_deadline = \"3s\"", "request_deadline = \"1s\"")
    };
    world.edit_agent(only_sensors).expect("its config");
    world.stack.start_collector().expect("a collector");
    world.stack.start_agent().expect("an agent");
    let servers = [REDFISH, IPMI].map(|s| world.known(s).expect("a server"));
    let silent = |yes: bool| world.site.iter().for_each(|server| server.machine.now().silent = yes);
    silent(true);
    for server in &servers {
        ticket(&world, server, "bmc_silent", |_| true);
        let stale = eventually(|| (health(&world, server)["status"] == "stale").then_some(()));
        assert!(stale.is_some(), "silence is not OK: {:#}\n{}", health(&world, server), world.logs());
    }
    silent(false);
    for server in &servers {
        let over = ticket(&world, server, "bmc_silent", |t| t["state"] == "closed");
        assert_eq!(over["resolution"], "recovered", "{over:#}");
        let well = eventually(|| (health(&world, server)["status"] == "ok").then_some(()));
        assert!(well.is_some(), "{:#}", health(&world, server));
    }
    let agents = world.list("tickets", &["tickets", "list", "--all"]).expect("an answer");
    let of_agent = agents.iter().filter(|t| t["fault"] == "agent_silent").count();
    assert_eq!(of_agent, 0, "the agent was there all the time: {agents:#?}");
}
