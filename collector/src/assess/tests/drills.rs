//! Exercises.

use super::*;
use outband_store::drill::{Drill, DrillChange, Drills};

impl Room {
    fn drill(&mut self, fault: &str, component: Option<&str>, pages: bool) -> Drill {
        let server = self.store.servers(None, &Page::first(9)).unwrap().rows[0].id.clone();
        let drill = Drill {
            id: 0,
            server,
            component: component.map(|c| c.parse().unwrap()),
            fault: fault.to_owned(),
            pages,
            reason: "night duty".to_owned(),
            runbook: "pick up, find it, close".to_owned(),
            author: "ann".to_owned(),
            plan: None,
            starts_at: self.now,
            ends_at: self.now.plus(Duration::from_secs(600)),
            ended_at: None,
            revision: 0,
        };
        self.put_drill("start", drill)
    }

    fn put_drill(&mut self, what: &str, drill: Drill) -> Drill {
        let change = DrillChange { at: self.now, who: "ann".to_owned(), what: what.to_owned(), drill };
        let drill = self.store.put_drill(&change, None).unwrap();
        self.step();
        drill
    }
}

#[test]
fn a_drill_is_a_ticket_that_says_so_and_ends_by_itself() {
    let mut room = Room::new();
    room.feed(true);
    room.drill("disk_failure", Some("disk/Bay 3"), true);
    let record = room.only_ticket();
    let ticket = &record.ticket;
    assert!(ticket.drill && ticket.title.starts_with("DRILL: Disk failed: disk/Bay 3 (drill 1)"), "{}", ticket.title);
    assert_eq!((ticket.rule.as_str(), ticket.suppressed.as_ref()), ("drill.synthetic", None));
    assert!(ticket.evidence.iter().any(|e| e.text.contains("pick up, find it, close")));
    let words: Vec<_> = record.log.iter().map(|e| e.action.word().into_owned()).collect();
    assert_eq!(words, ["open", "drill"], "the first notice is made of a log that says it");
    room.restart();
    for _ in 0..20 {
        room.later();
        room.feed(true);
    }
    assert_eq!(room.only_ticket().ticket.state, State::New);
    room.wait(600);
    room.feed(true);
    assert_eq!(room.only_ticket().ticket.state, State::Closed);
    assert!(room.store.open_incidents().unwrap().is_empty());
}

#[test]
fn a_drill_without_pages_pages_nobody() {
    let mut room = Room::new();
    room.feed(true);
    room.drill("psu_failure", None, false);
    let ticket = room.only_ticket().ticket;
    assert_eq!(ticket.suppressed.unwrap().by, "drill 1");
}

#[test]
fn a_drill_that_somebody_ends_is_over_at_once_over_a_restart_too() {
    let mut room = Room::new();
    room.feed(true);
    let drill = room.drill("bmc_silent", None, true);
    room.restart();
    let ended = Drill { ended_at: Some(room.now), revision: drill.revision + 1, ..drill };
    room.put_drill("end", ended);
    assert_eq!(room.only_ticket().ticket.state, State::Closed);
}

#[test]
fn a_drill_whose_ticket_was_closed_by_hand_does_not_open_another_one() {
    let mut room = Room::new();
    room.feed(true);
    room.drill("disk_failure", None, true);
    room.operator(Action::Resolve { resolution: Resolution::Repaired });
    room.operator(Action::Close);
    room.restart();
    for _ in 0..5 {
        room.later();
        room.feed(true);
    }
    assert_eq!(room.tickets().len(), 1);
}

#[test]
fn a_drill_takes_no_points_and_no_redundancy_and_is_no_part_of_the_telemetry() {
    let mut room = Room::new();
    room.feed(true);
    room.drill("psu_failure", Some("psu/2"), true);
    for _ in 0..4 {
        let at = room.later();
        let failed = Value::State { state: Condition::Critical, text: "Power Supply Failure detected".to_owned() };
        room.send(Section::Sensors, vec![reading("psu/1", SensorKind::State, failed, at)]);
    }
    let real = room.tickets().into_iter().find(|t| !t.ticket.drill).unwrap().ticket;
    assert_eq!(real.priority, Priority::P2, "the other supply has not failed");
    let health = room.store.health(&Scope::Server(real.server.clone())).unwrap().unwrap().health;
    assert!(health.penalties.iter().all(|p| p.rule != "drill.synthetic"), "{health:?}");
    let events = room.store.events(&outband_store::EventFilter::default(), &Page::first(9)).unwrap().rows;
    assert!(events.is_empty());
}

#[test]
fn what_people_did_in_a_drill_is_measured_from_its_ticket() {
    let mut room = Room::new();
    room.feed(true);
    room.drill("disk_failure", None, true);
    room.wait(20);
    room.operator(Action::Milestone { milestone: outband_ticket::Milestone::Pickup, reached_at: None });
    room.wait(40);
    room.operator(Action::Start);
    let measures = crate::drill::measure::measures(&room.only_ticket());
    let done: Vec<_> = measures.iter().map(|m| (m.what, m.done.as_ref().map(|(_, after)| after.as_secs()))).collect();
    assert_eq!(
        done,
        [
            ("acknowledged", None),
            ("picked_up", Some(20)),
            ("answered", None),
            ("taken", Some(60)),
            ("located", None),
            ("resolved", None)
        ]
    );
}
