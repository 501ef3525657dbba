//! What comes late, and what is read seldom.

use super::*;

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
