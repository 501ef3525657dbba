//! Maintenance windows: recorded and not told, and looked at again at the end.

use super::*;
use crate::topology::Topology;
use outband_health::{Fault, Hold, Incident};
use outband_store::maintenance::{Maintenance, Selector, Window, WindowChange, WindowKind};
use std::sync::Arc;

/// `T0` on the clocks of UTC.
const T0_UTC: &str = "2027-01-15T08:00:00";

fn window(selector: Selector, lasts_secs: u64) -> Window {
    Window {
        id: 0,
        kind: WindowKind::Maintenance,
        name: "new PDU".to_owned(),
        selector,
        starts: T0_UTC.to_owned(),
        lasts_secs,
        zone: "UTC".to_owned(),
        recurrence: None,
        reason: "the PDU is replaced".to_owned(),
        author: "ann".to_owned(),
        created_at: Timestamp::from_secs(T0),
        ended_at: None,
        revision: 0,
    }
}

impl Room {
    fn put(&self, what: &str, window: Window) -> Window {
        let change = WindowChange { at: self.now, who: "ann".to_owned(), what: what.to_owned(), window };
        self.store.put_window(&change, None).unwrap()
    }

    fn incident(&self, fault: Fault) -> Incident {
        let mut all = self.store.open_incidents().unwrap();
        all.retain(|i| i.key.fault == fault);
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    fn feeds(&mut self, n: usize, well: bool) {
        for _ in 0..n {
            self.later();
            self.feed(well);
        }
    }

    fn drive(&mut self, n: usize, well: bool) {
        for _ in 0..n {
            let at = self.later();
            let state = if well { Condition::Ok } else { Condition::Critical };
            let value = Value::State { state, text: if well { "OK" } else { "Drive Fault" }.to_owned() };
            self.send(Section::Drives, vec![reading("disk/Bay 1", SensorKind::State, value, at)]);
        }
    }
}

fn all() -> Selector {
    Selector { site: Some("dc1".to_owned()), ..Selector::default() }
}

#[test]
fn what_still_holds_at_the_end_of_its_window_gets_its_ticket_then_with_its_true_onset() {
    let mut room = Room::new();
    room.put("create", window(all(), 300));
    room.feeds(1, true);
    room.feeds(10, false);
    assert_eq!(room.tickets().len(), 0);
    let incident = room.incident(Fault::PowerInputLost);
    assert!(matches!(&incident.hold, Some(Hold::Suppressed { by, .. }) if by.contains("new PDU")), "{incident:?}");
    assert!(!incident.evidence.is_empty());
    room.restart();
    room.feeds(25, false);
    let ticket = room.only_ticket().ticket;
    assert_eq!((ticket.onset, ticket.state), (incident.onset, State::New));
    let end = Timestamp::from_secs(T0 + 300);
    assert!(
        ticket.created_at >= end && ticket.created_at <= end.plus(Duration::from_secs(20)),
        "{}",
        ticket.created_at
    );
}

#[test]
fn what_is_over_before_the_end_of_its_window_never_gets_a_ticket() {
    let mut room = Room::new();
    room.put("create", window(all(), 300));
    room.feeds(1, true);
    room.feeds(6, false);
    room.feeds(40, true);
    assert_eq!(room.tickets().len(), 0);
}

#[test]
fn a_drive_that_was_put_right_in_the_window_without_a_new_serial_is_verified_and_gets_no_ticket() {
    let mut room = Room::new();
    room.put("create", window(all(), 200));
    room.drive(1, true);
    room.drive(6, false);
    room.drive(30, true);
    assert_eq!(room.tickets().len(), 0);
    assert!(room.store.open_incidents().unwrap().is_empty());
}

#[test]
fn a_drive_that_still_fails_after_the_window_gets_its_ticket() {
    let mut room = Room::new();
    room.put("create", window(all(), 200));
    room.drive(1, true);
    room.drive(30, false);
    assert_eq!(room.only_ticket().ticket.fault, "disk_failure");
}

#[test]
fn a_window_that_somebody_ends_is_over_at_once() {
    let mut room = Room::new();
    let made = room.put("create", window(all(), 86_400));
    room.feeds(1, true);
    room.feeds(6, false);
    assert_eq!(room.tickets().len(), 0);
    let ended = Window { ended_at: Some(room.now), revision: made.revision + 1, ..made };
    room.put("end", ended);
    room.feeds(1, false);
    assert_eq!(room.only_ticket().ticket.fault, "power_input_lost");
}

#[test]
fn a_window_covers_only_what_it_names() {
    for (selector, tickets) in [
        (Selector { component: Some("psu".to_owned()), ..Selector::default() }, 0),
        (Selector { component: Some("psu/1".to_owned()), ..Selector::default() }, 0),
        (Selector { rack: Some("R1".to_owned()), ..Selector::default() }, 0),
        (Selector { customer: Some("Li".to_owned()), ..Selector::default() }, 0),
        (Selector { rule: Some("psu.input_lost".to_owned()), ..Selector::default() }, 0),
        (Selector { component: Some("psu/2".to_owned()), ..Selector::default() }, 1),
        (Selector { rack: Some("R2".to_owned()), ..Selector::default() }, 1),
        (Selector { rack: Some("R1".to_owned()), fault: Some("overheating".to_owned()), ..Selector::default() }, 1),
        (Selector { site: Some("dc2".to_owned()), ..Selector::default() }, 1),
    ] {
        let mut room = Room::new();
        room.terms.topology = Arc::new(Topology::parse("server,rack,customer\nbmc1,R1,Li\n").unwrap());
        room.put("create", window(selector.clone(), 86_400));
        room.feeds(1, true);
        room.feeds(4, false);
        assert_eq!(room.tickets().len(), tickets, "{selector:?}");
    }
}

#[test]
fn a_ticket_that_was_there_before_is_quiet_inside_and_is_told_of_again_after() {
    let mut room = Room::new();
    room.feeds(1, true);
    room.feeds(4, false);
    assert_eq!(room.only_ticket().ticket.suppressed, None);
    room.put("create", window(all(), 300));
    room.feeds(3, false);
    let by = room.only_ticket().ticket.suppressed.unwrap();
    assert_eq!(by.until, Some(Timestamp::from_secs(T0 + 300)));
    room.feeds(30, false);
    assert_eq!(room.only_ticket().ticket.suppressed, None);
    let words: Vec<String> = room.only_ticket().log.iter().map(|t| t.action.word().into_owned()).collect();
    let count = |word: &str| words.iter().filter(|w| *w == word).count();
    assert_eq!((count("suppress"), count("release")), (1, 1), "{words:?}");
}
