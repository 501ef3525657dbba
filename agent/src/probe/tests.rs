use super::report::{Failure, Report};
use super::{lines, table, target};
use crate::args::ProbeArgs;
use outband_bmc::{ConnectError, PollStats, Rung, RungReport};
use outband_schemas::{
    Cause, ComponentClass, ComponentId, EventKind, Identity, Inventory, LogEvent, Observation, Part, Quality, Reading,
    Section, SensorKind, Severity, Source, State, Suspicion, Timestamp, Value,
};
use serde_json::Value as Json;
use std::time::Duration;

const AT: Timestamp = Timestamp::from_secs(1_700_000_000);

fn report() -> Report {
    Report::new(&"ipmi://10.0.0.1".parse().unwrap())
}

fn reading(kind: SensorKind, value: Option<Value>, quality: Quality) -> Observation {
    Observation::Reading(Reading {
        component: ComponentId::new(ComponentClass::Fan, "1").unwrap(),
        kind,
        sensor: "FAN1".into(),
        value,
        quality,
        observed_at: AT,
        source: Source("ipmi:20.0.3b".into()),
        thresholds: None,
    })
}

fn full() -> Report {
    let mut report = report();
    let part = Part {
        component: ComponentId::new(ComponentClass::Firmware, "BMC").unwrap(),
        manufacturer: None,
        model: None,
        part_number: None,
        serial: None,
        firmware: Some("1.2".into()),
        capacity_bytes: None,
        source: Source::default(),
    };
    let identity = Identity { serial: Some("SN1".into()), ..Identity::default() };
    let inventory = Inventory {
        identity,
        parts: vec![part],
        bmc_clock_offset_ms: None,
        observed_at: AT,
        source: Source::default(),
    };
    report.add(Section::Inventory, vec![Observation::Inventory(inventory)]);
    let state = Value::State { state: State::Critical, text: "Failure detected".into() };
    report.add(
        Section::Sensors,
        vec![
            reading(SensorKind::FanSpeed, Some(Value::Number(5400.0)), Quality::Good),
            reading(SensorKind::FanSpeed, Some(Value::Number(-1.0)), Quality::Suspect(Suspicion::OutOfRange)),
            reading(SensorKind::State, Some(state), Quality::Good),
            reading(SensorKind::FanSpeed, None, Quality::Unavailable(Cause::NoReading)),
        ],
    );
    let event = LogEvent {
        component: ComponentId::new(ComponentClass::PowerSupply, "1").unwrap(),
        log: "sel".into(),
        id: "7".into(),
        kind: EventKind::PowerSupplyInputLost,
        severity: Severity::Critical,
        deasserted: false,
        message: "AC lost".into(),
        code: String::new(),
        bmc_time: None,
        observed_at: AT,
        source: Source("sel:7".into()),
        raw: "00".into(),
    };
    report.add(Section::Log, vec![Observation::Event(event)]);
    let detail = "no answer".to_owned();
    let failure = Failure {
        section: Some(Section::Drives),
        component: None,
        cause: Cause::Timeout,
        detail,
        source: String::new(),
    };
    report.section_failed(failure, AT);
    let stats =
        |requests| PollStats { requests, bytes_received: requests * 100, connections: 1, ..PollStats::default() };
    for (name, requests) in
        [("login", 3), ("inventory", 10), ("sensors", 14), ("drives", 14), ("log", 16), ("logout", 17)]
    {
        report.step(name, Duration::from_millis(1500), stats(requests));
    }
    report
}

fn json(report: &Report) -> Vec<Json> {
    let mut out = Vec::new();
    lines::print(report, &mut out).unwrap();
    String::from_utf8(out).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn printed(report: &Report) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    table::print(report, &mut out, &mut err).unwrap();
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn every_line_has_the_fields_that_scripts_rely_on() {
    let lines = json(&full());
    for line in &lines {
        for field in ["type", "component", "kind", "value", "unit", "quality", "source"] {
            assert!(line.get(field).is_some(), "{field} is missing in {line}");
        }
    }
    let types: Vec<&str> = lines.iter().map(|l| l["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        ["inventory", "inventory", "reading", "reading", "reading", "reading", "event", "gap", "summary"]
    );
}

#[test]
fn numbers_states_doubts_and_absence_are_told_apart() {
    let lines = json(&full());
    let brief = |n: usize| {
        (lines[n]["value"].clone(), lines[n]["quality"].as_str().unwrap().to_owned(), lines[n]["reason"].clone())
    };
    assert_eq!(brief(2), (5400.0.into(), "good".into(), Json::Null));
    assert_eq!(brief(3), ((-1.0).into(), "suspect".into(), "out_of_range".into()));
    assert_eq!(brief(4), ("Failure detected".into(), "good".into(), Json::Null));
    assert_eq!(lines[4]["state"], "critical");
    assert_eq!(brief(5), (Json::Null, "unavailable".into(), "no_reading".into()));
    assert_eq!(lines[2]["unit"], "rpm");
}

#[test]
fn the_summary_names_every_partial_failure_with_its_reason() {
    let summary = json(&full()).pop().unwrap();
    assert_eq!(summary["value"], "ok");
    assert_eq!(summary["failures"][0]["section"], "drives");
    assert_eq!(
        (&summary["failures"][0]["cause"], &summary["failures"][0]["detail"]),
        (&"timeout".into(), &"no answer".into())
    );
    for field in ["requests", "datagrams_sent", "bytes", "connections", "elapsed_ms"] {
        assert!(summary[field].is_u64(), "{field}");
    }
}

#[test]
fn each_step_is_told_with_what_it_alone_took() {
    let summary = json(&full()).pop().unwrap();
    let step = |n: usize| summary["steps"][n].clone();
    assert_eq!(
        (step(1)["step"].clone(), step(1)["requests"].clone(), step(1)["bytes"].clone(), step(1)["elapsed_ms"].clone()),
        ("inventory".into(), 7.into(), 700.into(), 1500.into())
    );
    assert_eq!((step(0)["connections"].clone(), step(1)["connections"].clone()), (1.into(), 0.into()));
    assert_eq!((step(5)["step"].clone(), step(5)["requests"].clone()), ("logout".into(), 1.into()));
    assert!(summary["session_left_open"].is_null());
    let (out, _) = printed(&full());
    assert!(out.contains("COST") && out.contains("logout"), "{out}");
}

#[test]
fn the_table_shows_what_is_wrong_in_words() {
    let (out, err) = printed(&full());
    for words in
        ["CRITICAL (Failure detected)", "5400 rpm", "suspect: out_of_range", "AC lost", "NOT READ", "no answer"]
    {
        assert!(out.contains(words), "{words} is missing in\n{out}");
    }
    assert!(err.is_empty());
}

#[test]
fn a_broken_ladder_shows_what_held_what_broke_and_the_remedy() {
    let mut report = report();
    let error = ConnectError {
        rung: Rung::Login,
        cause: Cause::Denied,
        detail: "the password is wrong".into(),
        remedy: "check the password".into(),
        offered: None,
        climbed: vec![RungReport { rung: Rung::Reach, found: "the BMC answers".into() }],
    };
    report.connect_failed(error, AT);
    assert!(!report.ok());
    let (out, err) = printed(&report);
    assert!(out.is_empty());
    let line = |word: &str| err.lines().find(|l| l.contains(word)).unwrap_or_default().to_owned();
    assert!(line("reach").contains("[ok]") && line("cipher/TLS").contains("[ok]"), "{err}");
    assert!(line("login").contains("[BROKEN]") && line("login").contains("the password is wrong"));
    assert!(line("privilege").contains("[ - ]"));
    assert!(err.contains("What to do: check the password"));
}

#[test]
fn flags_of_the_other_protocol_are_refused() {
    let args = |extra: &[&str]| -> ProbeArgs {
        let mut words = vec!["outband-agent", "probe"];
        words.extend(extra);
        words.extend(["--user", "u"]);
        match <crate::args::Cli as clap::Parser>::try_parse_from(words).unwrap().command {
            crate::args::Command::Probe(args) => *args,
            _ => unreachable!(),
        }
    };
    assert!(target(&args(&["https://h", "--cipher", "3"])).unwrap_err().to_string().contains("--cipher"));
    assert!(target(&args(&["ipmi://h", "--accept-new-cert"])).unwrap_err().to_string().contains("https://"));
}
