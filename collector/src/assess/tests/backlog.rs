//! What comes late, and what is read seldom.

use super::super::{GATHER, pause};
use super::*;
use outband_schemas::{EventKind, LogEvent, Severity};
use outband_store::EventFilter;

#[test]
fn a_backlog_opens_a_ticket_only_for_what_still_holds_at_its_end() {
    let mut room = Room::new();
    room.wait(3 * 86_400);
    let past = |i: i64| Timestamp::from_secs(T0 + i * 10);
    let feed = |well: bool, at| {
        let state = if well { Condition::Ok } else { Condition::Critical };
        vec![reading(
            "psu/1",
            SensorKind::State,
            Value::State { state, text: "Power Supply input lost".to_owned() },
            at,
        )]
    };
    for i in 0..20 {
        let both = [("bmc1", i > 10), ("bmc2", false)];
        for (target, well) in both {
            room.send_of(past(i), Section::Sensors, target, feed(well, past(i)));
        }
    }
    assert_eq!(room.tickets().len(), 0, "nothing is known of now yet");
    for (target, well) in [("bmc1", true), ("bmc2", false)] {
        let at = room.later();
        room.send_of(at, Section::Sensors, target, feed(well, at));
    }
    let ticket = room.only_ticket().ticket;
    assert_eq!(ticket.onset, past(0), "the onset is told");
    assert_eq!(ticket.created_at, room.now, "the clocks start when the collector knew");
}

#[test]
fn readings_of_the_past_open_nothing_though_the_log_is_read_of_now() {
    let mut room = Room::new();
    let past = room.later();
    room.feed(true);
    let now = room.wait(3 * 86_400);
    room.send_of(now, Section::Log, "bmc1", Vec::new());
    for i in 1..9 {
        let at = past.plus(Duration::from_secs(10 * i));
        let lost = Value::State { state: Condition::Critical, text: "Power Supply input lost".to_owned() };
        room.send_of(at, Section::Sensors, "bmc1", vec![reading("psu/1", SensorKind::State, lost, at)]);
    }
    assert_eq!(room.tickets().len(), 0, "by now the feed may be back");
    for _ in 0..3 {
        room.later();
        room.feed(false);
    }
    assert_eq!(room.only_ticket().ticket.fault, "power_input_lost");
}

#[test]
fn an_agents_own_host_is_not_stale_for_being_read_less_often_than_bmcs() {
    let mut room = Room::new();
    let at = room.later();
    room.send_of(at, Section::Host, "host", vec![number("agent/a1", SensorKind::Utilization, 3.0, at)]);
    for _ in 0..10 {
        room.later();
        room.feed(true);
    }
    let servers = room.store.servers(None, &Page::first(9)).unwrap().rows;
    let statuses =
        servers.iter().map(|s| room.store.health(&Scope::Server(s.id.clone())).unwrap().unwrap().health.status);
    assert_eq!(statuses.collect::<Vec<_>>(), [outband_health::Status::Ok; 2]);
}

fn sensors(at: Timestamp) -> Vec<u8> {
    let observations = vec![number("disk/Bay 1", SensorKind::Temperature, 30.0, at)];
    body(Section::Sensors, at, observations)
}

fn failed_drive(at: Timestamp) -> Vec<u8> {
    let event = LogEvent {
        component: "disk/Bay 1".parse().unwrap(),
        log: "sel".to_owned(),
        id: "1".to_owned(),
        kind: EventKind::DriveFailed,
        severity: Severity::Critical,
        deasserted: false,
        message: "Drive 1 failed.".to_owned(),
        code: "PDR3".to_owned(),
        bmc_time: Some(at),
        observed_at: at,
        source: Source::default(),
        raw: "{}".to_owned(),
    };
    body(Section::Log, at, vec![Observation::Event(event)])
}

fn body(section: Section, polled_at: Timestamp, observations: Vec<Observation>) -> Vec<u8> {
    let target = TargetId::new("bmc1").unwrap();
    encode_set(&ObservationSet { target, section, polled_at, observations })
}

#[test]
fn a_failure_of_now_has_its_ticket_before_an_hour_that_was_spooled_is_assessed() {
    let mut room = Room::new();
    room.inventory("D1");
    let from = room.now;
    let now = room.wait(3600);
    room.commit(Lane::Telemetry, (1..=1000).map(|n| sensors(from.plus(Duration::from_millis(n * 3500)))).collect());
    room.commit(Lane::Event, vec![failed_drive(now)]);
    let mut assessor = room.assessor.take().unwrap();
    assert!(assessor.step(&room.terms, now, |_| Ok(Vitals::default())).unwrap().more);
    room.assessor = Some(assessor);
    assert_eq!(room.only_ticket().ticket.fault, "disk_failure");
    let waiting = |room: &Room| room.store.log_after(room.store.cursor().unwrap(), 10_000).unwrap().len();
    let events = |room: &Room| room.store.events(&EventFilter::default(), &Page::first(10)).unwrap().rows.len();
    assert!(waiting(&room) > 500, "most of the hour is still to be assessed");
    assert_eq!(events(&room), 1);
    room.step();
    assert_eq!((waiting(&room), room.tickets().len(), events(&room)), (0, 1, 1), "it is assessed once");
    room.restart();
    assert_eq!((room.tickets().len(), events(&room)), (1, 1));
}

/// Polls of 200 servers whose drives get worse, one of each server after the other.
fn polls(from: Timestamp) -> Vec<Vec<u8>> {
    let poll = |(n, server): (u64, u64)| {
        let at = from.plus(Duration::from_secs(n * 600));
        let sectors = if server.is_multiple_of(3) { 8.0 * n as f64 } else { 0.0 };
        encode_set(&ObservationSet {
            target: TargetId::new(format!("bmc{server}")).unwrap(),
            section: Section::Drives,
            polled_at: at,
            observations: vec![number("disk/Bay 1", SensorKind::ReallocatedSectors, sectors, at)],
        })
    };
    (0..5).flat_map(|n| (0..200).map(move |server| (n, server))).map(poll).collect()
}

#[test]
fn what_comes_by_the_hundred_is_judged_as_what_comes_one_by_one() {
    let found = |together: usize| {
        let mut room = Room::new();
        let from = room.now;
        room.wait(2410);
        for some in polls(from).chunks(together) {
            room.send_bodies(Lane::Telemetry, some.to_vec());
        }
        let told = |t: TicketRecord| (t.ticket.server, t.ticket.component, t.ticket.fault, t.ticket.onset);
        let mut tickets: Vec<_> = room.tickets().into_iter().map(told).collect();
        tickets.sort();
        (tickets, room.store.healths(None, &Page::first(1000)).unwrap().rows)
    };
    let (tickets, healths) = found(1000);
    assert_eq!((tickets.len(), healths.len()), (67, 201), "every third drive; each server and the site");
    assert_eq!((tickets, healths), found(1));
}

#[test]
fn only_where_fewer_rows_wait_than_a_step_takes_it_waits_for_more() {
    let mut room = Room::new();
    room.step();
    let from = room.now;
    room.wait(3600);
    room.commit(Lane::Telemetry, polls(from)[..300].to_vec());
    let mut assessor = room.assessor.take().unwrap();
    let mut step = || assessor.step(&room.terms, room.now, |_| Ok(room.vitals.clone())).unwrap();
    let steps = [step(), step()].map(|done| (done.more, done.full));
    assert_eq!(steps, [(true, true), (true, false)]);
    assert!(!step().more);
    let long = Duration::from_secs(1);
    assert_eq!([true, false].map(|full| pause(full, Duration::ZERO)), [Duration::ZERO, GATHER]);
    assert_eq!([true, false].map(|full| pause(full, long)), [long, long]);
}
