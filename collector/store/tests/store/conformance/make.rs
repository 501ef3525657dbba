//! Values for the tests.

use outband_health::{Evidence, Fault, Health, Incident, IncidentKey, Level, RuleId, Stage, Status};
use outband_schemas::{
    AgentId, Cause, ComponentClass, ComponentId, EventKind, Gap, Identity, Lane, LogEvent, Part, Quality, Reading,
    SensorKind, ServerId, Severity, SiteId, Source, SpoolId, TargetId, Timestamp, Value,
};
use outband_store::{
    AgentHello, AgentTarget, Applied, Epoch, IncomingBatch, LaneState, ServerReadings, ServerRecord, Store, TicketWrite,
};
use outband_ticket::ticket::Opening;
use outband_ticket::{Priority, Ticket, TicketNumber};
use std::time::Duration;

/// A time, in seconds after some moment.
pub(crate) fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

/// The file of a store, for a test that changes what is in it behind the store's back.
pub(crate) fn on_disk(file: &std::path::Path) -> rusqlite::Connection {
    outband_pages::install().unwrap();
    rusqlite::Connection::open_with_flags_and_vfs(file, rusqlite::OpenFlags::default(), outband_pages::PAGES).unwrap()
}

pub(crate) fn agent(name: &str) -> AgentId {
    AgentId::new(name).unwrap()
}

pub(crate) fn server_id(name: &str) -> ServerId {
    ServerId::new(name).unwrap()
}

pub(crate) fn spool(bits: u128) -> SpoolId {
    SpoolId::from_bits(bits)
}

pub(crate) fn hello(name: &str, spool_bits: u128) -> AgentHello {
    AgentHello {
        agent: agent(name),
        site: SiteId::new("dc1").unwrap(),
        spool_id: spool(spool_bits),
        version: "0.1.0".to_owned(),
        targets: vec![TargetId::new("bmc-1").unwrap()],
        sensor_interval: Duration::from_secs(60),
        lanes: vec![LaneState { lane: Lane::Telemetry, oldest: 1, next: 11 }],
    }
}

pub(crate) fn batch(epoch: Epoch, lane: Lane, first_seq: i64, bodies: &[&str]) -> IncomingBatch {
    IncomingBatch {
        epoch,
        agent: agent("a1"),
        spool_id: spool(1),
        lane,
        first_seq,
        bodies: bodies.iter().map(|b| b.as_bytes().to_vec()).collect(),
        skipped: None,
    }
}

pub(crate) fn fan(slot: &str) -> ComponentId {
    ComponentId::new(ComponentClass::Fan, slot).unwrap()
}

pub(crate) fn disk(slot: &str) -> ComponentId {
    ComponentId::new(ComponentClass::Disk, slot).unwrap()
}

pub(crate) fn server(name: &str) -> ServerRecord {
    ServerRecord {
        id: server_id(name),
        site: SiteId::new("dc1").unwrap(),
        identity: Identity { serial: Some(format!("SN-{name}")), ..Identity::default() },
        targets: vec![AgentTarget { agent: agent("a1"), target: TargetId::new(format!("t-{name}")).unwrap() }],
        first_seen: at(0),
        last_seen: at(0),
        merged_into: None,
        rev: 0,
    }
}

pub(crate) fn reading(component: ComponentId, secs: i64, value: f64) -> Reading {
    Reading {
        component,
        kind: SensorKind::FanSpeed,
        sensor: "rpm".to_owned(),
        value: Some(Value::Number(value)),
        quality: Quality::Good,
        observed_at: at(secs),
        source: Source("ipmi:20.0.3b".to_owned()),
        thresholds: None,
    }
}

pub(crate) fn readings(name: &str, readings: Vec<Reading>) -> ServerReadings {
    ServerReadings { server: server_id(name), received_at: at(0), readings }
}

pub(crate) fn event(id: &str, severity: Severity) -> LogEvent {
    LogEvent {
        component: fan("Fan 1"),
        log: "sel".to_owned(),
        id: id.to_owned(),
        kind: EventKind::FanLimit,
        severity,
        deasserted: false,
        message: format!("entry {id}"),
        code: String::new(),
        bmc_time: Some(at(1)),
        observed_at: at(2),
        source: Source(format!("sel:{id}")),
        raw: format!("raw {id}"),
    }
}

pub(crate) fn gap(secs: i64, cause: Cause) -> Gap {
    Gap {
        component: Some(fan("Fan 1")),
        cause,
        detail: "no answer within 5 s".to_owned(),
        observed_at: at(secs),
        source: Source("ipmi:20.0.3b".to_owned()),
        span: None,
    }
}

pub(crate) fn part(component: ComponentId, serial: &str) -> Part {
    Part {
        component,
        manufacturer: None,
        model: Some("ST4000NM".to_owned()),
        part_number: None,
        serial: Some(serial.to_owned()),
        firmware: None,
        capacity_bytes: Some(4_000_000_000_000),
        source: Source::default(),
    }
}

pub(crate) fn health(score: u8) -> Health {
    Health { score: Some(score), status: Status::Ok, penalties: Vec::new(), assessed_at: at(9), newest_reading: None }
}

pub(crate) fn incident(name: &str, noted: i64, stage: Stage) -> Incident {
    Incident {
        key: IncidentKey { server: server_id(name), component: disk("Bay 1"), fault: Fault::DiskFailure },
        stage,
        predicted: true,
        level: Level::Warning,
        rules: vec![RuleId::new("disk.smart_growth")],
        reason: "reallocated_sectors grows".to_owned(),
        evidence: vec![Evidence { observed_at: at(1), text: "8 -> 24".to_owned() }],
        onset: at(1),
        noted_at: at(noted),
        newest: at(2),
        hits: 3,
        actual_hits: 0,
        clean: 0,
        clean_at: None,
        part_serial: Some("Z1".to_owned()),
        ticket: None,
        hold: None,
        members: Vec::new(),
        returns: Vec::new(),
        follows: None,
        sightings: Vec::new(),
    }
}

pub(crate) fn new_ticket<S: Store>(store: &S, name: &str, slot: &str) -> TicketWrite {
    let number = store.reserve(outband_store::Sequence::Ticket).unwrap();
    let opening = Opening {
        number: TicketNumber(number),
        priority: Priority::P3,
        title: "Disk in Bay 1 will fail".to_owned(),
        site: None,
        server: server_id(name),
        component: disk(slot),
        fault: "disk_failure".to_owned(),
        rule: "disk.smart_growth".to_owned(),
        predicted: true,
        reason: "reallocated_sectors grows".to_owned(),
        evidence: Vec::new(),
        onset: at(1),
        part_serial: None,
    };
    let (ticket, transition) = Ticket::open(opening, "collector", at(3));
    TicketWrite { ticket, expected_revision: None, transitions: vec![transition] }
}

/// What to apply with these servers known.
pub(crate) fn applied(names: &[&str]) -> Applied {
    Applied { servers: names.iter().map(|n| server(n)).collect(), ..Applied::default() }
}
