//! BMCs and agents that say nothing.

use super::*;

#[test]
fn a_bmc_that_falls_silent_is_a_ticket_and_its_return_ends_it() {
    let mut room = Room::new();
    for _ in 0..3 {
        room.later();
        room.feed(true);
    }
    for _ in 0..6 {
        let at = room.later();
        room.send(Section::Sensors, vec![silence("bmc1", at)]);
    }
    let ticket = room.only_ticket().ticket;
    assert_eq!(ticket.fault, "bmc_silent");
    assert!(ticket.reason.contains("no answer within 5 s"), "{}", ticket.reason);
    for _ in 0..11 {
        room.later();
        room.feed(true);
    }
    assert_eq!(room.only_ticket().ticket.state, State::Closed);
}

#[test]
fn an_agent_that_falls_silent_is_one_ticket_even_after_a_restart() {
    let mut room = Room::new();
    room.later();
    room.feed(true);
    let at = room.now;
    room.send_of(at, Section::Host, "host", vec![number("agent/a1", SensorKind::Utilization, 3.0, at)]);
    room.restart();
    for _ in 0..12 {
        room.wait(10);
        room.step();
    }
    let ticket = room.only_ticket().ticket;
    assert_eq!((ticket.fault.as_str(), ticket.component.to_string().as_str()), ("agent_silent", "agent/a1"));
    let servers = room.store.servers(None, &Page::first(9)).unwrap().rows;
    let stale = servers.iter().filter_map(|s| room.store.health(&Scope::Server(s.id.clone())).unwrap());
    assert!(stale.filter(|h| h.health.status == outband_health::Status::Stale).count() >= 1, "stale is not OK");
}

#[test]
fn a_sensor_that_is_read_in_turn_is_not_stale_between_its_turns_and_stale_when_they_are_left_out() {
    let mut room = Room::new();
    let (each, turns) = ("cpu/1", "board/P1");
    let stale = |room: &Room, component: &str| {
        let id = room.store.servers(None, &Page::first(9)).unwrap().rows[0].id.clone();
        let scope = Scope::Component(id, component.parse().unwrap());
        room.store.health(&scope).unwrap().is_some_and(|h| h.health.status == outband_health::Status::Stale)
    };
    let poll = |room: &mut Room, with: &[&str]| {
        let at = room.later();
        room.send(Section::Sensors, with.iter().map(|c| number(c, SensorKind::Temperature, 40.0, at)).collect());
    };
    for n in 0..33 {
        let both = [each, turns];
        poll(&mut room, if n % 8 == 0 { &both } else { &both[..1] });
        assert!(!stale(&room, turns), "poll {n}");
    }
    for _ in 0..8 {
        poll(&mut room, &[turns]);
    }
    assert!(stale(&room, each), "what was read with every poll is missed soon");
    for _ in 0..24 {
        poll(&mut room, &[each]);
    }
    assert!(stale(&room, turns));
}
