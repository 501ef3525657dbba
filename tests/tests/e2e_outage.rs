//! What the agent does while the collector is away, and when its config changes.

#![allow(clippy::expect_used, reason = "helpers of a test, outside of its functions")]

use outband_schemas::Timestamp;
use outband_tests::sim::fleet::{self, Bmc};
use outband_tests::sim::machine::{Fault, FaultKind};
use outband_tests::wait_until;
use outband_tests::world::{PATIENCE, World, eventually};
use serde_json::Value;
use std::fs;

const REDFISH: usize = 0;
const IPMI: usize = 1;

fn time(told: &Value) -> Timestamp {
    told.as_str().and_then(|text| text.parse().ok()).expect("a time")
}

/// How often the Redfish server's fans were asked for.
fn asked(world: &World) -> usize {
    match &world.site[REDFISH].bmc {
        Bmc::Redfish(service) => service.requests().iter().filter(|r| r.ends_with("/Chassis/1/Thermal")).count(),
        Bmc::Ipmi(_) => panic!("server {REDFISH} speaks Redfish"),
    }
}

fn waits_for_polls(world: &World, more: usize) {
    let goal = asked(world) + more;
    assert!(wait_until(PATIENCE, || asked(world) >= goal), "polling stands still\n{}", world.logs());
}

/// How often a fan of the server is in its history.
fn told(world: &World, server: &str) -> usize {
    let ask = ["readings", server, "--component", "fan/Fan 1", "--kind", "fan_speed", "--from", "10m", "--limit", "0"];
    world.list("readings", &ask).expect("an answer").len()
}

fn of_fault(world: &World, server: &str, fault: &str) -> Vec<Value> {
    world.tickets_of(server).expect("an answer").into_iter().filter(|t| t["fault"] == fault).collect()
}

#[test]
fn what_was_seen_while_the_collector_was_away_arrives_and_opens_each_ticket_once() {
    let mut world = World::start(fleet::sound_site(2, 5)).expect("a site and its programs");
    let [redfish, ipmi] = [REDFISH, IPMI].map(|s| world.known(s).expect("a server"));
    {
        let mut machine = world.site[REDFISH].machine.now();
        let onset = machine.time;
        machine.add_fault(Fault { kind: FaultKind::DiskWears { bay: 3 }, onset, over: 40.0 });
    }
    let before = eventually(|| of_fault(&world, &redfish, "disk_failure").pop());
    let before = before.unwrap_or_else(|| panic!("no ticket\n{}", world.logs()));

    world.stack.stop_collector().expect("an end");
    let asked_before = asked(&world);
    // Comes and goes while nobody listens; and stays.
    world.site[IPMI].machine.now().psus[0].input_ok = false;
    waits_for_polls(&world, 5);
    world.site[IPMI].machine.now().psus[0].input_ok = true;
    world.site[REDFISH].machine.now().psus[1].input_ok = false;
    waits_for_polls(&world, 8);
    let missed = asked(&world) - asked_before;
    // What is older than this opens nothing by itself.
    let path = world.stack.collector_toml();
    let text = fs::read_to_string(&path).expect("its config");
    fs::write(&path, text.replace("clear_polls", "backlog_secs = 5\nclear_polls")).expect("its config");
    world.stack.start_collector().expect("a collector");

    let lost = eventually(|| of_fault(&world, &redfish, "power_input_lost").pop());
    let lost = lost.unwrap_or_else(|| panic!("what still holds opens no ticket\n{}", world.logs()));
    assert!(time(&lost["onset"]) < time(&lost["created_at"]), "clocks start when the collector knew: {lost:#}");
    let caught_up = |lanes: &Value| lanes.as_array().is_some_and(|l| l.iter().all(|l| l["behind"] == 0));
    let agents = || world.list("agents", &["agents"]).expect("an answer");
    assert!(wait_until(PATIENCE, || agents().iter().any(|a| caught_up(&a["lanes"]))), "{:#?}", agents());

    // Each poll that was made is in the history, those of the outage as those before and after.
    let (polls, history) = (asked(&world), told(&world, &redfish));
    let all = wait_until(PATIENCE, || told(&world, &redfish) >= polls - 1);
    assert!(all && missed >= 13, "{polls} polls, {missed} of them while it was away, {history} in the history");
    eprintln!("{missed} polls while the collector was away, all of them in the history");

    let disk = of_fault(&world, &redfish, "disk_failure");
    assert_eq!(disk.iter().map(|t| &t["name"]).collect::<Vec<_>>(), [&before["name"]], "one ticket before and after");
    assert_eq!(of_fault(&world, &redfish, "power_input_lost").len(), 1);
    assert_eq!(of_fault(&world, &ipmi, "power_input_lost"), Vec::<Value>::new(), "what was over opens nothing");
}

#[test]
fn a_bad_config_is_refused_while_polling_goes_on_and_a_good_one_adds_its_target() {
    let mut world = World::new(fleet::sound_site(3, 5)).expect("a site");
    let all = fs::read_to_string(world.stack.agent_toml()).expect("its config");
    let two = all.rmatch_indices("[[targets]]").next().map(|(at, _)| all[..at].to_owned()).expect("targets");
    world.edit_agent(|_| two.clone()).expect("its config");
    world.stack.start_collector().expect("a collector");
    world.stack.start_agent().expect("an agent");
    let server = world.known(REDFISH).expect("a server");

    world
        .edit_agent(|_| format!("{two}[[targets]]\nid = \"third\"\nurl = \"gopher://nowhere\"\n"))
        .expect("its config");
    world.stack.reload_agent().expect("a signal");
    let path = world.stack.log("outband-agent");
    let log = || fs::read_to_string(&path).expect("its log");
    assert!(wait_until(PATIENCE, || log().contains("config not reloaded")), "{}", log());
    assert!(log().contains("gopher"), "the log names what is wrong: {}", log());
    let (polls, history) = (asked(&world), told(&world, &server));
    waits_for_polls(&world, 3);
    let goes_on = wait_until(PATIENCE, || told(&world, &server) >= history + 3);
    assert!(goes_on, "{} polls, history of {history}", asked(&world) - polls);
    assert_eq!(world.name_of(2).expect("an answer"), None);

    world.edit_agent(|_| all).expect("its config");
    world.stack.reload_agent().expect("a signal");
    let third = world.known(2).expect("the new target's server");
    assert_ne!(third, server);
    assert!(world.stack.runs().expect("a look"), "{}", log());
}
