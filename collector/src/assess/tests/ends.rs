//! What ends a ticket, sentence by sentence.

use super::*;

impl Room {
    /// `n` polls of the drive's counter, 10 s apart.
    fn quiet_polls(&mut self, n: usize) {
        for _ in 0..n {
            self.later();
            self.disk(32.0);
        }
    }

    fn fan(&mut self, n: usize, well: bool) {
        for _ in 0..n {
            let at = self.later();
            let state = if well { Condition::Ok } else { Condition::Critical };
            let value = Value::State { state, text: "Failed".to_owned() };
            self.send(Section::Sensors, vec![reading("fan/1", SensorKind::State, value, at)]);
        }
    }

    fn state(&self) -> (State, Option<Resolution>) {
        let ticket = self.only_ticket().ticket;
        (ticket.state, ticket.resolution)
    }
}

#[test]
fn clean_polls_verify_a_repair_and_close_its_ticket() {
    let mut room = Room::new();
    room.fan(1, true);
    room.fan(4, false);
    room.operator(Action::Resolve { resolution: Resolution::Repaired });
    room.fan(4, true);
    assert_eq!(room.state(), (State::Resolved, Some(Resolution::Repaired)), "four are not enough");
    room.fan(1, true);
    assert_eq!(room.state(), (State::Closed, Some(Resolution::Repaired)));
}

#[test]
fn only_clean_polls_observed_after_the_repair_verify_it() {
    let mut room = Room::new();
    room.fan(1, true);
    room.fan(4, false);
    let before = room.now;
    room.wait(60);
    room.operator(Action::Resolve { resolution: Resolution::Repaired });
    // The agent tells late what it saw before the repair.
    for n in 1..=5 {
        let at = before.plus(Duration::from_secs(n));
        let well = Value::State { state: Condition::Ok, text: "OK".to_owned() };
        room.send_of(at, Section::Sensors, "bmc1", vec![reading("fan/1", SensorKind::State, well, at)]);
    }
    assert_eq!(room.state().0, State::Resolved);
    room.fan(5, true);
    assert_eq!(room.state().0, State::Closed);
}

#[test]
fn clean_polls_resolve_no_failure() {
    let mut room = Room::new();
    room.fan(1, true);
    room.fan(4, false);
    room.fan(40, true);
    assert_eq!(room.state(), (State::New, None));
}

#[test]
fn clean_polls_resolve_what_ends_by_itself_as_recovered() {
    let mut room = Room::new();
    room.feed(true);
    for well in [false, false, false] {
        room.later();
        room.feed(well);
    }
    assert_eq!(room.state().0, State::New);
    for _ in 0..10 {
        room.later();
        room.feed(true);
    }
    assert_eq!(room.state(), (State::Closed, Some(Resolution::Recovered)));
}

#[test]
fn a_predicted_failure_is_ended_by_no_quiet_and_no_restart() {
    let mut room = Room::new();
    growing(&mut room, 4);
    room.quiet_polls(20);
    room.restart();
    room.quiet_polls(20);
    assert_eq!(room.state(), (State::New, None));
}

#[test]
fn a_predicted_failure_is_ended_by_the_serial_of_another_part() {
    let mut room = Room::new();
    growing(&mut room, 4);
    room.later();
    room.inventory("D2");
    assert_eq!(room.state(), (State::Resolved, Some(Resolution::Repaired)));
}

#[test]
fn a_predicted_failure_is_ended_by_a_persons_word() {
    let mut room = Room::new();
    growing(&mut room, 4);
    room.later();
    room.operator(Action::Resolve { resolution: Resolution::FalseAlarm });
    room.operator(Action::Close);
    room.quiet_polls(20);
    assert_eq!(room.state(), (State::Closed, Some(Resolution::FalseAlarm)));
}

#[test]
fn a_drive_called_repaired_without_a_swap_gets_no_second_ticket_for_what_was_known_then() {
    let mut room = Room::new();
    growing(&mut room, 4);
    room.later();
    room.operator(Action::Resolve { resolution: Resolution::Repaired });
    room.quiet_polls(10);
    assert_eq!(room.state(), (State::Closed, Some(Resolution::Repaired)));
    assert_eq!(room.only_ticket().ticket.verdict, Some(outband_ticket::Verdict::ReplacedWithoutTest));
    // Its growth is remembered still.
    room.quiet_polls(20);
    room.restart();
    room.quiet_polls(20);
    assert_eq!(room.tickets().len(), 1);
    room.later();
    room.disk(40.0);
    assert_eq!(room.tickets().len(), 2, "it grows on: that is new");
}

#[test]
fn a_prediction_that_was_closed_as_not_found_stays_quiet_though_it_still_stands() {
    for verdict in [outband_ticket::Verdict::NoFaultFound, outband_ticket::Verdict::OtherPart] {
        let mut room = Room::new();
        growing(&mut room, 4);
        room.later();
        room.operator(Action::Verdict { verdict, detail: String::new(), part: None });
        room.operator(Action::Resolve { resolution: Resolution::Repaired });
        room.operator(Action::Close);
        for n in 1..=5 {
            room.later();
            room.disk(32.0 + 8.0 * f64::from(n));
            room.restart();
        }
        assert_eq!(room.tickets().len(), 1, "{verdict:?}");
    }
}

#[test]
fn the_same_serial_seen_again_is_no_swap() {
    let mut room = Room::new();
    growing(&mut room, 4);
    for _ in 0..5 {
        room.later();
        room.inventory("D1");
        room.disk(32.0);
    }
    assert_eq!(room.state(), (State::New, None));
}

#[test]
fn a_place_without_a_serial_is_no_swap() {
    let mut room = Room::new();
    growing(&mut room, 4);
    for _ in 0..5 {
        let at = room.later();
        room.send(Section::Inventory, vec![inventory("SN1", None, at)]);
    }
    assert_eq!(room.state(), (State::New, None));
}

#[test]
fn what_shows_again_after_the_repair_reopens_the_ticket_by_itself() {
    let mut room = Room::new();
    room.fan(1, true);
    room.fan(4, false);
    room.operator(Action::Resolve { resolution: Resolution::Repaired });
    room.fan(2, true);
    room.fan(4, false);
    let record = room.only_ticket();
    assert_eq!(record.ticket.state, State::Reopened);
    assert!(record.log.iter().any(|e| e.action == Action::Reopen && e.who == "collector"));
}

#[test]
fn what_shows_again_after_its_ticket_was_closed_opens_another_one() {
    let mut room = Room::new();
    room.fan(1, true);
    room.fan(4, false);
    room.operator(Action::Resolve { resolution: Resolution::Repaired });
    room.fan(5, true);
    assert_eq!(room.state().0, State::Closed);
    room.fan(4, false);
    assert_eq!(room.tickets().len(), 2);
}

#[test]
fn what_comes_back_within_the_window_follows_the_ticket_before_over_a_restart_too() {
    for restarts in [false, true] {
        let mut room = Room::new();
        room.feed(true);
        let spell = |room: &mut Room, well: bool, n: usize| {
            for _ in 0..n {
                room.later();
                room.feed(well);
            }
        };
        spell(&mut room, false, 4);
        spell(&mut room, true, 12);
        assert_eq!(room.state().0, State::Closed);
        if restarts {
            room.restart();
        }
        spell(&mut room, false, 4);
        let again = room.tickets().into_iter().find(|t| t.ticket.is_open()).unwrap().ticket;
        assert_eq!(again.links.len(), 1, "restarts: {restarts}: {:?}", again.links);
        assert!(again.evidence.iter().any(|e| e.text.starts_with("flapping: ")), "restarts: {restarts}");
    }
}

#[test]
fn an_old_backlog_opens_nothing_that_is_over_by_now() {
    let mut room = Room::new();
    let past = room.now;
    room.wait(2 * 86_400);
    for n in 0..20_u64 {
        let at = past.plus(Duration::from_secs(10 * n));
        let state = if n < 10 { Condition::Critical } else { Condition::Ok };
        let value = Value::State { state, text: "Failed".to_owned() };
        room.send_of(at, Section::Sensors, "bmc1", vec![reading("fan/1", SensorKind::State, value, at)]);
    }
    room.fan(6, true);
    assert_eq!(room.tickets().len(), 0);
}

#[test]
fn a_flap_goes_on_over_a_restart_in_its_middle() {
    let count = |restarts: bool| {
        let mut room = Room::new();
        room.feed(true);
        for _ in 0..4 {
            for well in [false, false, false, false, true, true, true, true, true, true, true, true] {
                room.later();
                room.feed(well);
            }
            if restarts {
                room.restart();
            }
        }
        let returns = |i: &outband_health::Incident| i.returns.len();
        (room.tickets().len(), room.store.open_incidents().unwrap().iter().map(returns).max())
    };
    assert_eq!(count(true), count(false));
}
