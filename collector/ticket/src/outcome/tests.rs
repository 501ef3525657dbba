//! What a ticket's log says of whether it was right.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use super::*;
use crate::{Command, Opening, Priority, Rejected, Ticket, TicketNumber, apply};
use outband_schemas::{ComponentId, ServerId};

fn at(day: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + day * 86_400)
}

struct Tale {
    ticket: Ticket,
    log: Vec<Transition>,
}

impl Tale {
    fn opened(predicted: bool) -> Self {
        let opening = Opening {
            number: TicketNumber(7),
            priority: Priority::P3,
            title: "Disk failure predicted".to_owned(),
            site: None,
            server: ServerId::new("s1").unwrap(),
            component: "disk/3".parse::<ComponentId>().unwrap(),
            fault: "disk_failure".to_owned(),
            rule: "disk.smart_growth".to_owned(),
            predicted,
            reason: "sectors grow".to_owned(),
            evidence: Vec::new(),
            onset: at(-1),
            part_serial: Some("D1".to_owned()),
        };
        let (ticket, first) = Ticket::open(opening, "collector", at(0));
        Self { ticket, log: vec![first] }
    }

    fn tries(&self, day: i64, action: Action) -> Result<Transition, Rejected> {
        apply(&self.ticket, Command { who: "wang".to_owned(), why: String::new(), action }, at(day))
    }

    fn then(mut self, day: i64, action: Action) -> Self {
        let entry = self.tries(day, action).unwrap();
        self.ticket = self.ticket.after(&entry);
        self.log.push(entry);
        self
    }

    fn said(self, day: i64, verdict: Verdict) -> Self {
        self.then(day, Action::Verdict { verdict, detail: String::new(), part: None })
    }

    fn outcome(&self) -> Outcome {
        Outcome::of(&self.log).unwrap()
    }

    fn answer(&self) -> (Answer, &'static str) {
        let outcome = self.outcome();
        (outcome.answer, outcome.basis.as_str())
    }
}

fn resolve(resolution: Resolution) -> Action {
    Action::Resolve { resolution }
}

fn repaired() -> Tale {
    Tale::opened(true).then(5, resolve(Resolution::Repaired))
}

#[test]
fn a_prediction_is_not_closed_before_somebody_says_what_it_was() {
    assert_eq!(repaired().tries(6, Action::Close), Err(Rejected::NoVerdict));
    for verdict in Verdict::ALL {
        assert!(repaired().said(6, verdict).tries(7, Action::Close).is_ok(), "{verdict:?}");
    }
    assert!(Tale::opened(false).then(5, resolve(Resolution::Repaired)).tries(6, Action::Close).is_ok());
}

#[test]
fn what_ended_by_itself_or_never_was_or_was_an_exercise_is_closed_without_a_word() {
    for resolution in [Resolution::Recovered, Resolution::FalseAlarm, Resolution::Merged] {
        let tale = Tale::opened(true).then(1, resolve(resolution));
        assert!(tale.tries(2, Action::Close).is_ok(), "{resolution:?}");
    }
    assert!(repaired().then(6, Action::Drill).tries(6, Action::Close).is_ok());
    assert!(repaired().then(6, Action::Merge { into: TicketNumber(9) }).tries(6, Action::Close).is_ok());
}

#[test]
fn a_verdict_decides_and_what_nobody_tested_is_not_known() {
    let told = |verdict| repaired().said(6, verdict).answer();
    assert_eq!(told(Verdict::Confirmed), (Answer::Right, "confirmed"));
    assert_eq!(told(Verdict::NoFaultFound), (Answer::Wrong, "no_fault_found"));
    assert_eq!(told(Verdict::FalseAlarm), (Answer::Wrong, "false_alarm"));
    assert_eq!(told(Verdict::OtherPart), (Answer::Wrong, "other_part"));
    assert_eq!(told(Verdict::ReplacedWithoutTest), (Answer::Unknown, "replaced_without_test"));
}

#[test]
fn a_maker_who_tests_the_part_later_is_heard_after_the_end() {
    let closed = repaired().said(6, Verdict::ReplacedWithoutTest).then(6, Action::Close);
    let tested = closed.said(40, Verdict::Confirmed);
    assert_eq!(tested.answer(), (Answer::Right, "confirmed"));
    assert_eq!(tested.outcome().lead(), Some(Duration::from_secs(40 * 86_400)));
}

#[test]
fn a_predicted_failure_that_is_seen_was_right_and_the_lead_counts_until_then() {
    let seen = Tale::opened(true).then(9, Action::Escalate);
    assert_eq!(seen.answer(), (Answer::Right, "seen"));
    assert_eq!(seen.outcome().lead(), Some(Duration::from_secs(9 * 86_400)));
    let swapped = seen.said(12, Verdict::ReplacedWithoutTest).then(12, resolve(Resolution::Repaired));
    assert_eq!(swapped.answer(), (Answer::Right, "seen"));
    let tested = swapped.said(30, Verdict::Confirmed);
    assert_eq!(tested.outcome().lead(), Some(Duration::from_secs(9 * 86_400)), "the test came after the failure");
    assert_eq!(tested.said(31, Verdict::NoFaultFound).answer().0, Answer::Wrong, "a person has the last word");
}

#[test]
fn what_was_said_of_a_fault_that_came_back_holds_only_if_it_said_that_there_was_one() {
    let back = |verdict| repaired().said(6, verdict).then(8, Action::Reopen).answer();
    assert_eq!(back(Verdict::NoFaultFound), (Answer::Pending, ""));
    assert_eq!(back(Verdict::Confirmed), (Answer::Right, "confirmed"));
    let alarm = Tale::opened(true).then(1, resolve(Resolution::FalseAlarm));
    assert_eq!(alarm.answer(), (Answer::Wrong, "resolved_false_alarm"));
    assert_eq!(alarm.then(2, Action::Reopen).answer(), (Answer::Pending, ""));
}

#[test]
fn exercises_and_merged_tickets_say_nothing_of_their_rule() {
    for action in [Action::Drill, Action::Merge { into: TicketNumber(9) }, resolve(Resolution::Merged)] {
        assert_eq!(Tale::opened(true).then(1, action).said(2, Verdict::Confirmed).answer().0, Answer::Aside);
    }
}

#[test]
fn a_part_failed_when_that_was_seen_or_confirmed_and_not_when_it_was_only_replaced() {
    let failed = |tale: Tale| tale.outcome().failed_at();
    assert_eq!(failed(repaired().said(6, Verdict::ReplacedWithoutTest)), None);
    assert_eq!(failed(repaired().said(6, Verdict::OtherPart)), None);
    assert_eq!(failed(repaired().said(6, Verdict::Confirmed)), Some(at(6)));
    assert_eq!(failed(Tale::opened(true).then(3, Action::Escalate).said(6, Verdict::Confirmed)), Some(at(3)));
    // A failure that was seen needs no prediction to be one, unless somebody denies it.
    assert_eq!(failed(Tale::opened(false).then(5, resolve(Resolution::Repaired))), Some(at(0)));
    assert_eq!(failed(Tale::opened(false).said(5, Verdict::NoFaultFound)), None);
}

#[test]
fn a_ticket_that_has_not_ended_is_pending_and_one_that_ended_by_itself_is_not_known() {
    assert_eq!(Tale::opened(true).answer(), (Answer::Pending, ""));
    let recovered = Tale::opened(true).then(1, resolve(Resolution::Recovered));
    assert_eq!(recovered.answer(), (Answer::Pending, ""));
    assert_eq!(recovered.then(2, Action::Close).answer(), (Answer::Unknown, "recovered"));
}

#[test]
fn words_read_back() {
    for answer in Answer::ALL {
        assert_eq!(Answer::from_word(answer.as_str()), Some(answer));
    }
    let others = [Basis::Nothing, Basis::Seen, Basis::FalseAlarm, Basis::Recovered];
    for basis in others.into_iter().chain(Verdict::ALL.map(Basis::Verdict)) {
        assert_eq!(Basis::from_word(basis.as_str()), Some(basis));
    }
}

#[test]
fn a_log_from_before_openings_were_kept_is_read_by_its_import() {
    let mut tale = Tale::opened(true);
    let snapshot = Box::new(tale.ticket.clone());
    tale.log[0].action = Action::Open { priority: Priority::P3, opening: None };
    let imported = tale.then(1, Action::Import { snapshot });
    assert!(imported.outcome().predicted);
    assert_eq!(Outcome::of(&imported.log[1..]), None);
}

#[test]
fn a_ticket_that_nobody_said_anything_of_lacks_a_verdict_and_one_that_ended_by_itself_does_not() {
    let closed = |tale: Tale| tale.then(6, Action::Close).outcome();
    let silent = closed(Tale::opened(false).then(5, resolve(Resolution::Repaired)));
    assert!(silent.lacks_verdict() && silent.answer == Answer::Unknown);
    let recovered = closed(Tale::opened(false).then(5, resolve(Resolution::Recovered)));
    assert_eq!((recovered.lacks_verdict(), recovered.basis), (false, Basis::Recovered));
    assert!(!closed(repaired().said(6, Verdict::ReplacedWithoutTest)).lacks_verdict());
    assert!(!repaired().outcome().lacks_verdict(), "it is not closed yet");
}

#[test]
fn the_part_that_was_at_fault_instead_failed_when_that_was_seen_or_said() {
    let other = |tale: Tale| {
        tale.then(
            9,
            Action::Verdict { verdict: Verdict::OtherPart, detail: String::new(), part: Some("PSU7".to_owned()) },
        )
    };
    let foretold = other(Tale::opened(true)).outcome();
    assert_eq!((foretold.other.as_deref(), foretold.other_failed_at()), (Some("PSU7"), Some(at(9))));
    assert_eq!((foretold.answer, foretold.failed_at()), (Answer::Wrong, None), "its own part did not fail");
    assert_eq!(other(Tale::opened(false)).outcome().other_failed_at(), Some(at(0)), "a failure was seen at once");
    let taken_back = other(Tale::opened(true)).said(10, Verdict::Confirmed).outcome();
    assert_eq!((taken_back.other.as_deref(), taken_back.other_failed_at()), (None, None));
    assert_eq!(
        other(Tale::opened(true)).then(10, resolve(Resolution::Repaired)).then(11, Action::Reopen).outcome().other,
        None
    );
}

#[test]
fn a_kind_that_a_person_set_counts_until_it_is_cleared_whatever_is_computed_meanwhile() {
    use outband_schemas::{Confidence, Triage, TriageClass};
    let computed =
        |class| Action::Triage { triage: Triage { class, confidence: Confidence::Strong, because: Vec::new() } };
    let set = |class| Command {
        who: "wang".to_owned(),
        why: "the switch is down".to_owned(),
        action: Action::SetTriage { class },
    };
    let mut ticket = Tale::opened(true).then(1, computed(TriageClass::Hardware)).ticket;
    let unsaid = Command { why: " ".to_owned(), ..set(Some(TriageClass::Network)) };
    assert_eq!(apply(&ticket, unsaid, at(2)), Err(Rejected::Empty { what: "why it is of another kind" }));
    ticket = ticket.after(&apply(&ticket, set(Some(TriageClass::Network)), at(2)).unwrap());
    let again =
        Command { who: "collector".to_owned(), why: String::new(), action: computed(TriageClass::EnvironmentPower) };
    ticket = ticket.after(&apply(&ticket, again, at(3)).unwrap());
    let kind = ticket.kind().unwrap();
    assert_eq!(
        (kind.class, kind.confidence, ticket.class()),
        (TriageClass::Network, Confidence::Set, Some(TriageClass::Network))
    );
    assert_eq!(kind.because, ["the switch is down"]);
    assert_eq!(ticket.triage_set.as_ref().map(|set| set.who.as_str()), Some("wang"));
    ticket = ticket.after(&apply(&ticket, set(None), at(4)).unwrap());
    assert_eq!(ticket.class(), Some(TriageClass::EnvironmentPower), "what was computed meanwhile");
}
