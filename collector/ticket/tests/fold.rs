//! A ticket is the fold of its log, whatever happened to it.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_schemas::{ComponentClass, ComponentId, ServerId, Timestamp, TriageClass};
use outband_ticket::{
    Action, Command, Evidence, LinkKind, Milestone, Opening, Priority, Rebase, Resolution, State, Target, Ticket,
    TicketNumber, Transition, Verdict, Visibility, apply,
};
use proptest::prelude::*;

const NUMBER: TicketNumber = TicketNumber(7);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

fn fact(secs: i64) -> Evidence {
    Evidence { observed_at: at(secs), text: format!("fact {secs}") }
}

fn opened() -> (Ticket, Transition) {
    let opening = Opening {
        number: NUMBER,
        priority: Priority::P3,
        title: "Disk failure predicted".to_owned(),
        site: None,
        server: ServerId::new("s1").unwrap(),
        component: ComponentId::new(ComponentClass::Disk, "3").unwrap(),
        fault: "disk_failure".to_owned(),
        rule: "disk.smart_growth".to_owned(),
        predicted: true,
        reason: "sectors grow".to_owned(),
        evidence: vec![fact(-5)],
        onset: at(-9),
        part_serial: None,
    };
    Ticket::open(opening, "collector", at(0))
}

/// One of every action that can follow an opening.
fn action(n: u8, m: i64) -> Action {
    let word = || format!("text {m}");
    let number = TicketNumber(m.unsigned_abs() % 3);
    let until = (m % 2 == 0).then(|| at(m));
    match n {
        0 => Action::Assign { to: word() },
        1 => Action::Start,
        2 => Action::Locate { root_cause: word() },
        3 => Action::WaitForCustomer,
        4 => Action::WaitForParts,
        5 => Action::Resume,
        6 => Action::Resolve { resolution: Resolution::ALL[m.unsigned_abs() as usize % 4] },
        7 => Action::Close,
        8 => Action::Reopen,
        9 => Action::Prioritise { priority: Priority::P1, rebase: Rebase::Change },
        10 => Action::Escalate,
        11 => Action::Breach { target: Target::REPAIR, cycle: 1 },
        12 => Action::Comment { text: word(), visibility: Visibility::Customer },
        13 => Action::Evidence {
            facts: (0..m % 30).map(|i| fact(i * 7)).collect(),
            reason: until.map(|_| word()),
            title: (m % 3 == 0).then(word),
            part_serial: (m % 5 == 0).then(word),
        },
        14 => Action::Milestone { milestone: Milestone::ALL[m.unsigned_abs() as usize % 7], reached_at: None },
        15 => Action::Policy { policy: word(), revision: 3, rebase: Rebase::Creation },
        16 => Action::Acknowledge { level: 2 },
        17 => Action::Link { kind: LinkKind::CausedBy, to: number },
        18 => Action::Unlink { kind: LinkKind::CausedBy, to: number },
        19 => Action::Merge { into: number },
        20 => Action::Parent { number: until.map(|_| number) },
        21 => Action::Verdict { verdict: Verdict::NoFaultFound, detail: word(), part: None },
        22 => Action::Suppress { by: word(), until },
        23 => Action::Release,
        24 => Action::Override { what: format!("what {}", m % 3), until },
        25 => Action::SetTriage { class: until.map(|_| TriageClass::Network) },
        _ => Action::Drill,
    }
}

/// The ticket as those who changed it step by step have it, and its log; what the states do not allow is passed over.
fn lived(wishes: &[(u8, i64)]) -> (Vec<Ticket>, Vec<Transition>) {
    let (ticket, first) = opened();
    let (mut tickets, mut log) = (vec![ticket], vec![first]);
    for (i, (n, m)) in (1..).zip(wishes) {
        let now = tickets.last().unwrap();
        let command = Command { who: format!("p{}", m % 3), why: String::new(), action: action(*n, *m) };
        if let Ok(entry) = apply(now, command, at(i * 10)) {
            tickets.push(now.after(&entry));
            log.push(entry);
        }
    }
    (tickets, log)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_ticket_is_the_fold_of_its_log_at_every_step_and_after_being_stored(
        wishes in prop::collection::vec((0u8..27, 0i64..100), 0..40)
    ) {
        let (tickets, log) = lived(&wishes);
        let stored: Vec<Transition> = serde_json::from_str(&serde_json::to_string(&log).unwrap()).unwrap();
        prop_assert_eq!(&stored, &log);
        for (n, ticket) in (1..).zip(&tickets) {
            prop_assert_eq!(Ticket::fold(NUMBER, &stored[..n]), Some(ticket.clone()));
            let text = serde_json::to_string(ticket).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Ticket>(&text).unwrap(), ticket);
        }
    }

    #[test]
    fn a_ticket_at_a_time_is_what_it_was_then(
        wishes in prop::collection::vec((0u8..27, 0i64..100), 0..40), time in -5i64..500
    ) {
        let (tickets, log) = lived(&wishes);
        let then = tickets.iter().zip(&log).rfind(|(_, entry)| entry.at <= at(time)).map(|(ticket, _)| ticket.clone());
        prop_assert_eq!(Ticket::at(NUMBER, &log, at(time)), then);
    }
}

#[test]
fn a_log_with_a_gap_or_of_another_ticket_has_no_fold() {
    let (_, log) = lived(&[(1, 0), (12, 1), (6, 0)]);
    assert!(Ticket::fold(NUMBER, &log).is_some());
    assert_eq!(Ticket::fold(TicketNumber(8), &log), None);
    assert_eq!(Ticket::fold(NUMBER, &log[1..]), None);
    assert_eq!(Ticket::fold(NUMBER, &[log[0].clone(), log[2].clone()]), None);
    assert_eq!(Ticket::fold(NUMBER, &[]), None);
}

#[test]
fn a_log_from_before_every_change_was_kept_folds_through_its_import() {
    let (tickets, mut log) = lived(&[(1, 0), (2, 4)]);
    log[0].action = Action::Open { priority: Priority::P3, opening: None };
    assert_eq!(Ticket::fold(NUMBER, &log), None, "nothing says what it is about");
    let mut snapshot = tickets.last().unwrap().clone();
    snapshot.revision = 9;
    let import = Command {
        who: "collector".to_owned(),
        why: String::new(),
        action: Action::Import { snapshot: Box::new(snapshot.clone()) },
    };
    let entry = apply(&snapshot, import, snapshot.updated_at).unwrap();
    let after = snapshot.after(&entry);
    log.push(entry);
    assert_eq!(Ticket::fold(NUMBER, &log), Some(after.clone()));
    assert_eq!((after.revision, after.transitions, after.evidence.len()), (10, 4, 1));
    let before = Ticket::at(NUMBER, &log, at(10)).unwrap();
    assert_eq!((before.state, before.root_cause, before.evidence), (State::InProgress, None, Vec::new()));
}

#[test]
fn facts_that_are_told_again_change_nothing_and_the_middle_of_many_is_left_out() {
    let many: Vec<_> = (0..200).map(fact).collect();
    let shown = Evidence::merged(&[], &many);
    assert_eq!((shown.len(), &shown[0], &shown[39]), (40, &many[0], &many[199]));
    assert_eq!(Evidence::merged(&shown, &shown), shown);
}

#[test]
fn a_closed_ticket_takes_remarks_and_nothing_else() {
    // A verdict, too: it is a prediction.
    let (tickets, _) = lived(&[(6, 0), (21, 0), (7, 0)]);
    let closed = tickets.last().unwrap();
    assert_eq!(closed.state, State::Closed);
    for n in 0..27 {
        let command = Command { who: "li".to_owned(), why: String::new(), action: action(n, 1) };
        let remark = matches!(n, 12 | 14 | 16..=21 | 25 | 26);
        assert_eq!(apply(closed, command, at(99)).is_ok(), remark, "{n}");
    }
}
