//! The loop over a real store, with time of its own.

mod ahead;
mod backlog;
mod disks;
mod drills;
mod ends;
mod erasure;
mod feeds;
mod outcomes;
mod outlook;
mod own;
mod racks;
mod silence;
mod sources;
mod storms;
mod thresholds;
mod triage;
mod wear;
mod windows;

use super::assessor::Assessor;
use super::own::Vitals;
use super::{Error, Learnt, Terms};
use outband_proto::convert::encode_set;
use outband_schemas::{
    AgentId, Cause, ComponentClass, ComponentId, Gap, Identity, Inventory, Lane, Observation, ObservationSet, Part,
    Quality, Reading, Section, SensorKind, SiteId, Source, SpoolId, State as Condition, TargetId, Thresholds,
    Timestamp, Value,
};
use outband_store::sqlite::Options;
use outband_store::{AgentHello, IncomingBatch, LaneState, Page, SqliteStore, Store, TicketFilter, TicketRecord};
use outband_store::{Epoch, Scope, TicketWrite};
use outband_ticket::{Action, Calendar, Command, Priority, Resolution, SlaPolicy, State, apply};
use std::collections::BTreeMap;
use std::time::Duration;

const T0: i64 = 1_800_000_000;

/// One agent, one collector, and a clock.
struct Room {
    _dir: tempfile::TempDir,
    store: SqliteStore,
    assessor: Option<Assessor<SqliteStore>>,
    learnt: Learnt,
    terms: Terms,
    vitals: Vitals,
    epoch: Epoch,
    next: BTreeMap<Lane, i64>,
    now: Timestamp,
}

fn agent() -> AgentId {
    AgentId::new("a1").unwrap()
}

fn spool() -> SpoolId {
    SpoolId::from_bits(7)
}

impl Room {
    fn new() -> Self {
        Self::read_every(Duration::from_secs(10))
    }

    /// Whose agent reads its sensors so often.
    fn read_every(sensor_interval: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
        let now = Timestamp::from_secs(T0);
        let lane = |lane| LaneState { lane, oldest: 1, next: 1 };
        let hello = AgentHello {
            agent: agent(),
            site: SiteId::new("dc1").unwrap(),
            spool_id: spool(),
            version: "test".to_owned(),
            targets: ["bmc1", "bmc2"].into_iter().map(|t| TargetId::new(t).unwrap()).collect(),
            sensor_interval,
            lanes: Lane::ALL.map(lane).to_vec(),
        };
        let epoch = store.hello(&hello, now).unwrap().epoch;
        let terms = Terms {
            policy: SlaPolicy::default().into(),
            calendar: Calendar::always().into(),
            ..Terms::try_from(&crate::config::Config::default()).unwrap()
        };
        Self {
            _dir: dir,
            store,
            assessor: None,
            learnt: Learnt::default(),
            terms,
            vitals: Vitals::default(),
            epoch,
            next: BTreeMap::new(),
            now,
        }
    }

    /// Time goes on by 10 s.
    fn later(&mut self) -> Timestamp {
        self.wait(10)
    }

    fn wait(&mut self, secs: u64) -> Timestamp {
        self.now = self.now.plus(Duration::from_secs(secs));
        self.now
    }

    /// Sends one poll, made at `at`, and assesses it now.
    fn send_of(&mut self, at: Timestamp, section: Section, target: &str, observations: Vec<Observation>) {
        let set = ObservationSet { target: TargetId::new(target).unwrap(), section, polled_at: at, observations };
        self.send_body(section.lane(), encode_set(&set));
    }

    fn send_body(&mut self, lane: Lane, body: Vec<u8>) {
        self.send_bodies(lane, vec![body]);
    }

    fn send_bodies(&mut self, lane: Lane, bodies: Vec<Vec<u8>>) {
        self.commit(lane, bodies);
        self.step();
    }

    fn commit(&mut self, lane: Lane, bodies: Vec<Vec<u8>>) {
        let seq = self.next.entry(lane).or_insert(1);
        let first_seq = *seq;
        *seq += i64::try_from(bodies.len()).unwrap();
        let batch = IncomingBatch {
            epoch: self.epoch,
            agent: agent(),
            spool_id: spool(),
            lane,
            first_seq,
            bodies,
            skipped: None,
        };
        self.store.commit(batch, self.now).unwrap();
    }

    fn send(&mut self, section: Section, observations: Vec<Observation>) {
        self.send_of(self.now, section, "bmc1", observations);
    }

    fn step(&mut self) {
        for _ in 0..10 {
            let mut assessor = match self.assessor.take() {
                Some(assessor) => assessor,
                None => Assessor::load(self.store.clone(), self.learnt.clone(), &self.terms, self.now).unwrap(),
            };
            match assessor.step(&self.terms, self.now, |_| Ok(self.vitals.clone())) {
                Ok(done) => {
                    self.assessor = Some(assessor);
                    if !done.more {
                        return;
                    }
                }
                Err(Error::Store(outband_store::StoreError::Conflict { .. })) => {}
                Err(error) => panic!("{error}"),
            }
        }
        panic!("it never comes to an end");
    }

    /// The collector dies and starts again.
    fn restart(&mut self) {
        (self.assessor, self.learnt) = (None, Learnt::default());
        self.step();
    }

    /// The collector ends in order and starts again.
    fn reopen(&mut self) {
        self.learnt.save(&self.store);
        self.restart();
    }

    fn tickets(&self) -> Vec<TicketRecord> {
        self.store.tickets(&TicketFilter::default(), &Page::first(100)).unwrap().rows
    }

    fn only_ticket(&self) -> TicketRecord {
        let mut tickets = self.tickets();
        assert_eq!(tickets.len(), 1, "{tickets:#?}");
        tickets.remove(0)
    }

    fn operator(&mut self, action: Action) {
        let record = self.only_ticket();
        let command = Command { who: "ann".to_owned(), why: "because".to_owned(), action };
        let transition = apply(&record.ticket, command, self.now).unwrap();
        let write = TicketWrite {
            ticket: record.ticket.after(&transition),
            expected_revision: Some(record.ticket.revision),
            transitions: vec![transition],
        };
        self.store.update_ticket(write).unwrap();
        self.step();
    }

    fn disk(&mut self, reallocated: f64) {
        let at = self.now;
        self.send(Section::Drives, vec![number("disk/Bay 1", SensorKind::ReallocatedSectors, reallocated, at)]);
    }

    fn inventory(&mut self, serial: &str) {
        let inventory = inventory("SN1", Some(("disk/Bay 1", serial)), self.now);
        self.send(Section::Inventory, vec![inventory]);
    }

    fn feed(&mut self, well: bool) {
        let state = if well {
            (Condition::Ok, "Presence detected")
        } else {
            (Condition::Critical, "Power Supply input lost (AC/DC)")
        };
        let at = self.now;
        self.send(
            Section::Sensors,
            vec![reading("psu/1", SensorKind::State, Value::State { state: state.0, text: state.1.to_owned() }, at)],
        );
    }
}

fn reading(component: &str, kind: SensorKind, value: Value, at: Timestamp) -> Observation {
    Observation::Reading(Reading {
        component: component.parse().unwrap(),
        kind,
        sensor: format!("{component} {kind}"),
        value: Some(value),
        quality: Quality::Good,
        observed_at: at,
        source: Source("/redfish/v1/x".to_owned()),
        thresholds: None,
    })
}

fn number(component: &str, kind: SensorKind, value: f64, at: Timestamp) -> Observation {
    reading(component, kind, Value::Number(value), at)
}

fn inventory(serial: &str, disk: Option<(&str, &str)>, at: Timestamp) -> Observation {
    let part = |(component, serial): (&str, &str)| Part {
        component: component.parse().unwrap(),
        manufacturer: None,
        model: None,
        part_number: None,
        serial: Some(serial.to_owned()),
        firmware: None,
        capacity_bytes: None,
        source: Source::default(),
    };
    Observation::Inventory(Inventory {
        identity: Identity { serial: Some(serial.to_owned()), ..Identity::default() },
        parts: disk.map(part).into_iter().collect(),
        bmc_clock_offset_ms: None,
        observed_at: at,
        source: Source::default(),
    })
}

fn silence(target: &str, at: Timestamp) -> Observation {
    Observation::Gap(Gap {
        component: Some(ComponentId::lenient(ComponentClass::Bmc, target)),
        cause: Cause::Timeout,
        detail: "no answer within 5 s".to_owned(),
        observed_at: at,
        source: Source("agent:sensors".to_owned()),
        span: None,
    })
}

/// A drive whose reallocated sectors grew in `n` polls after the first.
fn growing(room: &mut Room, n: u32) {
    room.inventory("D1");
    for i in 0..=n {
        room.later();
        room.disk(f64::from(i) * 8.0);
    }
}

#[test]
fn a_drive_whose_counters_keep_growing_gets_one_ticket_with_its_reason_and_part() {
    let mut room = Room::new();
    growing(&mut room, 2);
    assert_eq!(room.tickets().len(), 0, "two increases are not enough");
    room.later();
    room.disk(40.0);
    room.later();
    room.disk(48.0);
    let ticket = room.only_ticket().ticket;
    assert_eq!((ticket.fault.as_str(), ticket.rule.as_str()), ("disk_failure", "disk.smart_growth"));
    assert_eq!((ticket.predicted, ticket.priority, ticket.state), (true, Priority::P3, State::New));
    assert_eq!(ticket.part_serial.as_deref(), Some("D1"));
    assert!(ticket.reason.contains("reallocated_sectors"), "{}", ticket.reason);
    assert_eq!(ticket.evidence.last().unwrap().text, "reallocated_sectors 40 -> 48", "later evidence is appended");
    let health = room.store.health(&Scope::Server(ticket.server)).unwrap().unwrap().health;
    assert!(health.score.unwrap() < 70 && health.penalties[0].rule == "disk.smart_growth", "{health:?}");
}

#[test]
fn a_ticket_of_a_server_whose_host_nobody_knows_names_it_by_its_target_and_not_by_its_serial() {
    let mut room = Room::new();
    growing(&mut room, 4);
    let title = room.only_ticket().ticket.title;
    assert!(title.ends_with(" of bmc1"), "{title}");
}

#[test]
fn a_restart_neither_doubles_nor_forgets_a_ticket() {
    let mut room = Room::new();
    growing(&mut room, 2);
    room.restart();
    room.later();
    room.disk(40.0);
    let before = room.only_ticket().ticket;
    room.restart();
    for n in 0..5_u32 {
        room.later();
        room.disk(48.0 + f64::from(n));
        room.restart();
    }
    let after = room.only_ticket().ticket;
    assert_eq!((after.number, after.state), (before.number, before.state));
    assert!(after.evidence.len() > before.evidence.len());
}

#[test]
fn a_new_serial_in_the_place_resolves_a_predicted_failure_and_clean_polls_close_it() {
    let mut room = Room::new();
    growing(&mut room, 4);
    room.later();
    room.inventory("D2");
    let ticket = room.only_ticket().ticket;
    assert_eq!((ticket.state, ticket.resolution), (State::Resolved, Some(Resolution::Repaired)));
    for _ in 0..5 {
        room.later();
        room.disk(0.0);
    }
    let record = room.only_ticket();
    assert_eq!(record.ticket.state, State::Closed);
    let why: Vec<&str> = record.log.iter().map(|t| t.why.as_str()).collect();
    assert!(why.iter().any(|w| w.contains("D1") && w.contains("D2")), "{why:?}");
}

#[test]
fn a_predicted_failure_never_ends_because_it_is_quiet() {
    let mut room = Room::new();
    growing(&mut room, 4);
    for _ in 0..50 {
        room.later();
        room.disk(32.0);
    }
    assert_eq!(room.only_ticket().ticket.state, State::New);
}

#[test]
fn a_drive_that_is_called_repaired_and_grows_on_is_reopened() {
    let mut room = Room::new();
    growing(&mut room, 4);
    room.later();
    room.operator(Action::Resolve { resolution: Resolution::Repaired });
    room.later();
    room.disk(99.0);
    let record = room.only_ticket();
    assert_eq!(record.ticket.state, State::Reopened);
    assert_eq!(record.log.last().unwrap().who, "collector");
}

#[test]
fn a_false_alarm_stays_quiet_over_a_restart_until_the_failure_is_seen() {
    let mut room = Room::new();
    growing(&mut room, 4);
    room.later();
    room.operator(Action::Resolve { resolution: Resolution::FalseAlarm });
    room.restart();
    for n in 0..10_u32 {
        room.later();
        room.disk(100.0 + f64::from(n));
    }
    assert_eq!(room.only_ticket().ticket.state, State::Resolved);
    for _ in 0..3 {
        let at = room.later();
        let failed = Value::State { state: Condition::Critical, text: "Drive Fault".to_owned() };
        room.send(Section::Drives, vec![reading("disk/Bay 1", SensorKind::State, failed, at)]);
    }
    let tickets = room.tickets();
    assert_eq!(tickets.len(), 2);
    assert!(tickets.iter().any(|t| !t.ticket.predicted && t.ticket.state == State::New));
}

#[test]
fn a_lost_feed_that_returns_is_recovered_and_closed_and_counted_apart() {
    let mut room = Room::new();
    for well in [true, true, false, false, false] {
        room.later();
        room.feed(well);
    }
    let ticket = room.only_ticket().ticket;
    assert_eq!((ticket.fault.as_str(), ticket.priority), ("power_input_lost", Priority::P2));
    for _ in 0..10 {
        room.later();
        room.feed(true);
    }
    let ticket = room.only_ticket().ticket;
    assert_eq!((ticket.state, ticket.resolution), (State::Closed, Some(Resolution::Recovered)));
}

#[test]
fn absence_is_never_recovery() {
    let mut room = Room::new();
    for well in [true, false, false, false] {
        room.later();
        room.feed(well);
    }
    for _ in 0..30 {
        let at = room.later();
        room.send(Section::Sensors, vec![number("chassis/air", SensorKind::Temperature, 22.0, at)]);
    }
    assert_eq!(room.only_ticket().ticket.state, State::New);
}

#[test]
fn a_single_bad_read_opens_nothing() {
    let mut room = Room::new();
    for well in [true, false, true, true, false, true, true] {
        room.later();
        room.feed(well);
    }
    assert_eq!(room.tickets().len(), 0);
}

#[test]
fn a_body_that_is_none_is_kept_apart_and_stops_nothing() {
    let mut room = Room::new();
    room.send_body(Lane::Telemetry, vec![0xff; 20]);
    growing(&mut room, 4);
    assert_eq!(room.tickets().len(), 1);
}
