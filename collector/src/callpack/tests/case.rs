//! A case with everything in it, and its parts.

use crate::callpack::case::{Case, Neighbour};
use crate::service::{Contact, Contract};
use crate::topology::Place;
use outband_health::Fault;
use outband_schemas::{
    AgentId, Cause, ComponentClass, ComponentId, EventKind, Gap, Identity, LogEvent, Part, Quality, Reading,
    SensorKind, ServerId, Severity, SiteId, Source, State, TargetId, Timestamp, Value,
};
use outband_store::change::{BmcClock, FirmwareChange};
use outband_store::{
    AgentTarget, EventRecord, GapRecord, HistoryPoint, LatestReading, PartRecord, ServerRecord, TicketRecord,
};
use outband_ticket::{
    Action, Command, Evidence, Milestone, Opening, Priority, Ticket, TicketNumber, Visibility, apply,
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn server_id() -> ServerId {
    ServerId::new("srv-7").unwrap()
}

pub(super) fn disk() -> ComponentId {
    ComponentId::lenient(ComponentClass::Disk, "Bay 3")
}

pub(super) fn event(
    id: &str,
    kind: EventKind,
    bmc: Option<&str>,
    observed: &str,
    message: &str,
    raw: &str,
) -> EventRecord {
    let component = if kind == EventKind::DrivePredictedFailure {
        disk()
    } else {
        ComponentId::lenient(ComponentClass::Server, "1")
    };
    let event = LogEvent {
        component,
        log: if raw.starts_with('{') { "Systems/1/Sel" } else { "sel" }.to_owned(),
        id: id.to_owned(),
        kind,
        severity: Severity::Warning,
        deasserted: false,
        message: message.to_owned(),
        code: String::new(),
        bmc_time: bmc.map(at),
        observed_at: at(observed),
        source: Source(format!("sel:{id}")),
        raw: raw.to_owned(),
    };
    EventRecord { id: id.parse().unwrap_or(1), server: server_id(), event, received_at: at(observed) }
}

pub(super) fn opening() -> Opening {
    Opening {
        number: TicketNumber(12),
        priority: Priority::P3,
        title: "Disk in Bay 3 of web-07 will fail".to_owned(),
        site: SiteId::new("dc1").ok(),
        server: server_id(),
        component: disk(),
        fault: "disk_failure".to_owned(),
        rule: "disk.smart_growth".to_owned(),
        predicted: true,
        reason: "reallocated_sectors grew from 8 to 96 in 6 h".to_owned(),
        evidence: vec![Evidence {
            observed_at: at("2026-03-01T02:00:00Z"),
            text: "reallocated_sectors 8 → 96".to_owned(),
        }],
        onset: at("2026-03-01T02:00:00Z"),
        part_serial: Some("ZC1A2B3D".to_owned()),
    }
}

pub(super) fn ticket(actions: Vec<(&str, &str, Action)>) -> TicketRecord {
    let (mut ticket, first) = Ticket::open(opening(), "collector", at("2026-03-01T02:05:00Z"));
    let mut log = vec![first];
    for (when, who, action) in actions {
        let command = Command { who: who.to_owned(), why: String::new(), action };
        let entry = apply(&ticket, command, at(when)).unwrap();
        ticket = ticket.after(&entry);
        log.push(entry);
    }
    TicketRecord { ticket, log, change: 1 }
}

pub(super) fn part(
    class: ComponentClass,
    slot: &str,
    serial: Option<&str>,
    firmware: Option<&str>,
    seen: (&str, &str),
    current: bool,
) -> PartRecord {
    PartRecord {
        part: Part {
            component: ComponentId::lenient(class, slot),
            manufacturer: None,
            model: serial.map(|_| "ST4000NM".to_owned()),
            part_number: None,
            serial: serial.map(str::to_owned),
            firmware: firmware.map(str::to_owned),
            capacity_bytes: None,
            source: Source::default(),
        },
        first_seen: at(seen.0),
        last_seen: at(seen.1),
        current,
    }
}

pub(super) fn comment(text: &str) -> Action {
    Action::Comment { text: text.to_owned(), visibility: Visibility::Internal }
}

/// A predicted disk failure with everything on record, and what must not get out planted into it.
pub(super) fn full() -> Case {
    let record = ticket(vec![
        ("2026-03-01T02:06:00Z", "zhangsan", Action::Assign { to: "zhangsan".to_owned() }),
        ("2026-03-01T02:07:00Z", "zhangsan", Action::Start),
        (
            "2026-03-01T02:10:00Z",
            "zhangsan",
            comment("rescanned the controller from 10.77.66.55, password=Hunter2; 李雷 agrees"),
        ),
        ("2026-03-01T02:11:00Z", "李雷", comment("impact: core trading slow, 300 orders a minute")),
        (
            "2026-03-01T02:20:00Z",
            "zhangsan",
            Action::Milestone { milestone: Milestone::RemoteAccess, reached_at: None },
        ),
    ]);
    let first = "2025-06-01T00:00:00Z";
    let now = "2026-03-01T02:30:00Z";
    let mut case = Case {
        record: Some(record.clone()),
        server: Some(ServerRecord {
            id: server_id(),
            site: SiteId::new("dc1").unwrap(),
            identity: Identity {
                serial: Some("CN7A1B2C3D".to_owned()),
                uuid: None,
                manufacturer: Some("Northgate".to_owned()),
                model: Some("R740".to_owned()),
                hostname: Some("web-07".to_owned()),
                asset_tag: None,
            },
            targets: vec![AgentTarget { agent: AgentId::new("a1").unwrap(), target: TargetId::new("r1-u07").unwrap() }],
            first_seen: at(first),
            last_seen: at(now),
            merged_into: None,
            rev: 3,
        }),
        place: Some(Place {
            rack: Some("R1".to_owned()),
            unit: Some("U07".to_owned()),
            feeds: vec!["A".to_owned(), "B".to_owned()],
            ..Place::default()
        }),
        customer: Some("Acme Ltd".to_owned()),
        neighbours: vec![Neighbour {
            name: "web-08".to_owned(),
            same_rack: true,
            same_feed: true,
            faults: vec![Fault::FanFailure],
        }],
        ..Case::default()
    };
    let contact = |name: &str, phone: &str, verified: &str| Contact {
        name: name.to_owned(),
        recipients: Vec::new(),
        triage: Vec::new(),
        phone: Some(phone.to_owned()),
        source: Some("label on the chassis".to_owned()),
        verified_by: None,
        verified: Some(verified.to_owned()),
    };
    case.contract = Some((
        "acme-2026".to_owned(),
        Contract {
            customer: "acme".to_owned(),
            package: "gold".to_owned(),
            from: "2026-01-01".to_owned(),
            until: "2026-12-31".to_owned(),
            sites: BTreeSet::new(),
            serials: BTreeSet::new(),
            contacts: BTreeMap::from([
                ("hotline".to_owned(), vec![contact("Northgate hotline", "400-810-1234", "2026-01-15")]),
                ("manager".to_owned(), vec![contact("Account manager", "400-810-9999", "2025-01-15")]),
            ]),
        },
    ));
    let raw = r#"{"Id":"9","Message":"from 10.77.66.55","Oem":{"UserName":"mallory","Token":"s3cr3t-t0ken"}}"#;
    case.sources.events = vec![
        event(
            "1",
            EventKind::PowerChange,
            Some("2026-02-27T20:00:45Z"),
            "2026-02-27T20:01:00Z",
            "System power cycle",
            "00".repeat(16).as_str(),
        ),
        event(
            "2",
            EventKind::Audit,
            Some("2026-02-28T09:00:45Z"),
            "2026-02-28T09:01:00Z",
            "Login of mallory from 10.77.66.55",
            r#"{"Message":"mallory"}"#,
        ),
        event(
            "3",
            EventKind::Change,
            Some("2026-02-28T10:00:45Z"),
            "2026-02-28T10:01:00Z",
            "BMC firmware updated from 2.75.75.75 to 2.81.81.81 using mallory at fd00::77, mail root@bastion.example",
            raw,
        ),
        event(
            "4",
            EventKind::DrivePredictedFailure,
            Some("2026-03-01T02:04:15Z"),
            "2026-03-01T02:04:00Z",
            "Drive 3 predictive failure",
            "11".repeat(16).as_str(),
        ),
        event("5", EventKind::Other, None, "2026-03-01T02:05:00Z", "用户：mallory 登录，密码是Hunter2", "22"),
    ];
    case.sources.clocks = vec![BmcClock { source: "m".to_owned(), at: at(first), offset_ms: 45_000 }];
    case.sources.firmware = vec![FirmwareChange {
        component: ComponentId::lenient(ComponentClass::Bmc, "BMC"),
        serial: None,
        at: at("2026-02-28T10:05:00Z"),
        was: "2.75.75.75".to_owned(),
        now: "2.81.81.81".to_owned(),
    }];
    case.sources.parts = vec![
        part(ComponentClass::Firmware, "BIOS", None, Some("2.19.1"), (first, now), true),
        part(ComponentClass::Bmc, "BMC", None, Some("2.81.81.81"), (first, now), true),
        part(ComponentClass::Disk, "Bay 1", Some("OLD00001"), None, (first, "2026-01-10T00:00:00Z"), false),
        part(ComponentClass::Disk, "Bay 1", Some("NEW00001"), None, ("2026-02-10T00:00:00Z", now), true),
        part(ComponentClass::Disk, "Bay 3", Some("ZC1A2B3D"), Some("SN04"), (first, now), true),
    ];
    case.sources.first_seen = Some(at(first));
    case.sources.gaps = vec![GapRecord {
        id: 1,
        server: Some(server_id()),
        agent: None,
        gap: Gap {
            component: None,
            cause: Cause::Timeout,
            detail: "no answer of https://root:Hunter2@10.77.66.55/redfish/v1 within 5 s".to_owned(),
            observed_at: at("2026-03-01T01:00:00Z"),
            source: Source("/redfish/v1".to_owned()),
            span: None,
        },
        last_observed: at("2026-03-01T01:10:00Z"),
        count: 11,
    }];
    case.sources.power = ["On", "Off", "On"]
        .into_iter()
        .zip(["2026-02-01T00:00:00Z", "2026-02-20T00:00:00Z", "2026-02-20T00:10:00Z"])
        .map(|(text, when)| power(text, when))
        .collect();
    case.sources.tickets = vec![record];
    case.latest = vec![
        latest(ComponentClass::Chassis, SensorKind::Temperature, "Inlet Temp", 24.0),
        latest(ComponentClass::Fan, SensorKind::FanSpeed, "rpm", 5400.0),
    ];
    case
}

pub(super) fn power(text: &str, when: &str) -> HistoryPoint {
    state("1", ComponentClass::Server, "power_state", State::Ok, text, when)
}

pub(super) fn state(
    slot: &str,
    class: ComponentClass,
    sensor: &str,
    state: State,
    text: &str,
    when: &str,
) -> HistoryPoint {
    HistoryPoint {
        server: server_id(),
        component: ComponentId::lenient(class, slot),
        kind: SensorKind::State,
        sensor: sensor.to_owned(),
        source: Source("s".to_owned()),
        observed_at: at(when),
        value: Some(Value::State { state, text: text.to_owned() }),
        quality: Quality::Good,
    }
}

pub(super) fn latest(class: ComponentClass, kind: SensorKind, sensor: &str, value: f64) -> LatestReading {
    let reading = Reading {
        component: ComponentId::lenient(class, "1"),
        kind,
        sensor: sensor.to_owned(),
        value: Some(Value::Number(value)),
        quality: Quality::Good,
        observed_at: at("2026-03-01T02:29:00Z"),
        source: Source::default(),
        thresholds: None,
    };
    LatestReading { server: server_id(), reading, received_at: at("2026-03-01T02:29:01Z") }
}
