//! What becomes known of a prediction by how its ticket ends.

use super::*;
use outband_store::outcome::{OutcomeFilter, Outcomes};
use outband_ticket::{Answer, Basis, Verdict};

impl Room {
    fn outcome(&self) -> (Answer, Basis) {
        let mut all = self.store.outcomes(&OutcomeFilter::default()).unwrap();
        assert_eq!(all.len(), 1, "{all:#?}");
        let outcome = all.remove(0).outcome;
        (outcome.answer, outcome.basis)
    }

    fn polls(&mut self, n: usize, reallocated: f64) {
        for _ in 0..n {
            self.later();
            self.disk(reallocated);
        }
    }

    fn says(&mut self, verdict: Verdict) {
        self.operator(Action::Verdict { verdict, detail: "looked at it".to_owned(), part: None });
    }
}

#[test]
fn a_swap_that_nobody_tested_is_no_confirmation() {
    let mut room = Room::new();
    growing(&mut room, 4);
    assert_eq!(room.outcome().0, Answer::Pending);
    room.later();
    room.inventory("D2");
    let untested = (Answer::Unknown, Basis::Verdict(Verdict::ReplacedWithoutTest));
    assert_eq!(room.outcome(), untested);
    for _ in 0..8 {
        room.later();
        room.inventory("D2");
        room.disk(0.0);
    }
    let ticket = room.only_ticket().ticket;
    assert_eq!((ticket.state, ticket.verdict), (State::Closed, Some(Verdict::ReplacedWithoutTest)));
    assert_eq!(room.outcome(), untested);
    // The maker tells weeks later.
    room.wait(30 * 86_400);
    room.says(Verdict::Confirmed);
    assert_eq!(room.outcome(), (Answer::Right, Basis::Verdict(Verdict::Confirmed)));
}

#[test]
fn a_verdict_of_a_person_is_not_written_over_by_the_swap() {
    let mut room = Room::new();
    growing(&mut room, 4);
    room.later();
    room.says(Verdict::Confirmed);
    room.later();
    room.inventory("D2");
    assert_eq!(room.only_ticket().ticket.verdict, Some(Verdict::Confirmed));
    assert_eq!(room.outcome().0, Answer::Right);
}

#[test]
fn a_repair_that_only_clean_polls_verify_is_closed_as_not_tested() {
    let mut room = Room::new();
    growing(&mut room, 4);
    room.operator(Action::Resolve { resolution: Resolution::Repaired });
    room.polls(20, 32.0);
    let ticket = room.tickets().pop().unwrap().ticket;
    assert_eq!((ticket.state, ticket.verdict), (State::Closed, Some(Verdict::ReplacedWithoutTest)));
}

#[test]
fn a_prediction_that_was_wrong_stays_quiet_until_it_gets_worse() {
    let mut room = Room::new();
    growing(&mut room, 4);
    room.says(Verdict::NoFaultFound);
    room.operator(Action::Resolve { resolution: Resolution::FalseAlarm });
    room.operator(Action::Close);
    room.polls(40, 32.0);
    room.restart();
    room.polls(20, 32.0);
    assert_eq!(room.tickets().len(), 1, "the same condition is known to be nothing");
    assert_eq!(room.outcome(), (Answer::Wrong, Basis::Verdict(Verdict::NoFaultFound)));
}

#[test]
fn a_predicted_failure_that_is_seen_was_right_without_anybodys_word() {
    let mut room = Room::new();
    growing(&mut room, 4);
    for _ in 0..6 {
        let at = room.later();
        let failed = Value::State { state: Condition::Critical, text: "Failed".to_owned() };
        room.send(Section::Drives, vec![reading("disk/Bay 1", SensorKind::State, failed, at)]);
    }
    assert!(!room.only_ticket().ticket.predicted, "{:#?}", room.only_ticket().ticket);
    assert_eq!(room.outcome(), (Answer::Right, Basis::Seen));
    room.later();
    room.inventory("D2");
    assert_eq!(room.outcome(), (Answer::Right, Basis::Seen));
}
