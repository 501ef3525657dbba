//! What is wrong with the collector itself.

use super::*;
use crate::assess::own::Stuck;

impl Room {
    /// Time goes on, and the agent is heard.
    fn look(&mut self, n: usize) {
        for _ in 0..n {
            self.later();
            self.store.heard(&agent(), self.now).unwrap();
            self.step();
        }
    }
}

fn opens_and_ends(vitals: impl Fn(Timestamp) -> Vitals, fault: &str, title: &str) {
    let mut room = Room::new();
    room.feed(true);
    room.vitals = vitals(room.now);
    room.look(4);
    let ticket = room.only_ticket().ticket;
    assert_eq!((ticket.fault.as_str(), ticket.server.as_str()), (fault, "collector"));
    assert_eq!(ticket.title, title);
    let evidence = ticket.evidence.len();
    room.restart();
    room.look(30);
    assert_eq!(room.only_ticket().ticket.evidence.len(), evidence, "that it goes on is no news");
    room.vitals = Vitals::default();
    room.look(15);
    let ticket = room.only_ticket().ticket;
    assert_eq!((ticket.state, ticket.resolution), (State::Closed, Some(Resolution::Recovered)));
}

#[test]
fn a_clock_that_stepped_is_a_ticket_until_it_is_confirmed_or_set_right() {
    let vitals = |_| Vitals { clock_ahead_ms: Some(7_200_000), ..Vitals::default() };
    opens_and_ends(vitals, "clock_stepped", "The collector's clock stepped: clock");
}

#[test]
fn a_disk_that_is_nearly_full_is_a_ticket_until_there_is_room() {
    let vitals = |_| Vitals { disk: Some((9 << 20, 10 << 20)), ..Vitals::default() };
    opens_and_ends(vitals, "store_nearly_full", "The collector's disk is nearly full: disk");
    let mut room = Room::new();
    room.vitals = Vitals { disk: Some((9 << 20, 10 << 20)), ..Vitals::default() };
    room.look(4);
    assert_eq!(room.only_ticket().ticket.priority, Priority::P3);
    room.vitals.disk = Some((2 << 20, 10 << 20));
    room.look(4);
    assert_eq!(room.only_ticket().ticket.priority, Priority::P2, "nearly full becomes full");
}

#[test]
fn a_damaged_store_is_a_ticket_that_no_restart_ends() {
    let mut room = Room::new();
    room.feed(true);
    room.vitals = Vitals { damage: Some("the file: row 7 is not where it should be".to_owned()), ..Vitals::default() };
    room.look(4);
    let opened = room.only_ticket().ticket;
    assert_eq!((opened.fault.as_str(), opened.priority), ("store_damaged", Priority::P2));
    assert!(opened.reason.contains("row 7") && opened.reason.contains("restore a backup"), "{}", opened.reason);
    // After a restart nothing is known of it until the whole file was read again.
    room.vitals = Vitals::default();
    room.restart();
    room.look(30);
    assert_eq!(room.only_ticket().ticket.state, opened.state);
}

#[test]
fn a_disk_with_room_and_a_channel_that_is_only_slow_are_no_ticket() {
    let mut room = Room::new();
    let since = room.now;
    let stuck = Stuck { channel: "mail".to_owned(), count: 3, since, error: String::new() };
    room.vitals = Vitals { disk: Some((11 << 20, 10 << 20)), unsent: vec![stuck], ..Vitals::default() };
    room.look(20);
    assert_eq!(room.tickets().len(), 0);
}

#[test]
fn a_channel_that_does_not_deliver_is_a_ticket_until_it_does() {
    let vitals = |now: Timestamp| {
        let since = now.minus(Duration::from_secs(1000));
        let error = "connection refused".to_owned();
        Vitals { unsent: vec![Stuck { channel: "mail".to_owned(), count: 3, since, error }], ..Vitals::default() }
    };
    opens_and_ends(vitals, "notices_stuck", "Notices are not delivered: notices mail");
}

#[test]
fn bodies_that_were_kept_apart_are_one_ticket_of_their_agent_that_says_how_many_until_a_day_brings_none() {
    let vitals = |now: Timestamp| {
        let error = "the body is no observation set".to_owned();
        let poisoned = outband_store::Poisoned { agent: agent(), count: 3, since: now, error };
        Vitals { poisoned: vec![poisoned], ..Vitals::default() }
    };
    opens_and_ends(vitals, "agent_unreadable", "What an agent sends is not understood: a1");
    let mut room = Room::new();
    room.vitals = vitals(room.now);
    room.look(4);
    let ticket = room.only_ticket().ticket;
    assert!(ticket.reason.contains("3 bodies of agent a1"), "{}", ticket.reason);
    assert_eq!(ticket.component.to_string(), "agent/a1");
}

#[test]
fn an_agent_of_whose_host_nothing_is_known_is_missed_all_the_same() {
    let mut room = Room::new();
    room.feed(true);
    for _ in 0..20 {
        room.later();
        room.step();
    }
    let silent =
        |room: &Room| room.tickets().into_iter().filter(|t| t.ticket.fault == "agent_silent").collect::<Vec<_>>();
    let ticket = &silent(&room)[0].ticket;
    assert_eq!((ticket.component.to_string().as_str(), ticket.server.as_str()), ("agent/a1", "collector"));
    for _ in 0..12 {
        room.later();
        room.feed(true);
    }
    let all = silent(&room);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].ticket.resolution, Some(Resolution::Recovered));
}
