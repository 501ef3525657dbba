//! What falls due when, revisions of policies, and the collector's time.

use super::Behaviour;
use crate::conformance::make::*;
use outband_store::deadline::{Deadlines, Indexed, KeptTime, Settled};
use outband_store::{Applied, Store, StoreError, TicketRecord, TicketWrite};
use outband_ticket::{Action, Command, SlaPolicy, Target, TicketNumber, apply};

pub(crate) fn all<S: Store + Deadlines>() -> Vec<Behaviour<S>> {
    vec![
        ("what_is_due_comes_longest_overdue_first", due_first::<S>),
        ("a_ticket_with_nothing_to_come_is_not_asked_for", nothing_to_come::<S>),
        ("what_fell_due_is_logged_with_the_next_deadline", logged_together::<S>),
        ("a_ticket_that_was_changed_meanwhile_keeps_its_deadline", changed_meanwhile::<S>),
        ("the_index_says_how_far_it_goes", how_far::<S>),
        ("a_kept_revision_of_a_policy_is_never_changed", revisions::<S>),
        ("the_time_is_kept", time::<S>),
    ]
}

fn open<S: Store>(store: &S, slot: &str) -> TicketRecord {
    let write = new_ticket(store, "s1", slot);
    let number = write.ticket.number;
    store.apply(Applied { tickets: vec![write], ..applied(&["s1"]) }, at(3)).unwrap();
    store.ticket(number).unwrap().unwrap()
}

fn found(ticket: u64, next: Option<i64>) -> Settled {
    Settled { ticket: TicketNumber(ticket), next: next.map(at), write: None }
}

fn breached(record: &TicketRecord) -> TicketWrite {
    let action = Action::Breach { target: Target::REPAIR, cycle: 1 };
    let command = Command { who: "collector".to_owned(), why: "due".to_owned(), action };
    let entry = apply(&record.ticket, command, at(9)).unwrap();
    TicketWrite {
        ticket: record.ticket.after(&entry),
        expected_revision: Some(record.ticket.revision),
        transitions: vec![entry],
    }
}

fn due_first<S: Store + Deadlines>(store: &S) {
    store.settle(vec![found(1, Some(30)), found(2, Some(10)), found(3, Some(20))], None).unwrap();
    let due = |secs, max| store.due(at(secs), max).unwrap().into_iter().map(|n| n.0).collect::<Vec<_>>();
    assert_eq!(due(9, 10), Vec::<u64>::new());
    assert_eq!((due(20, 10), due(99, 10), due(99, 2)), (vec![2, 3], vec![2, 3, 1], vec![2, 3]));
}

fn nothing_to_come<S: Store + Deadlines>(store: &S) {
    store.settle(vec![found(1, Some(10))], None).unwrap();
    store.settle(vec![found(1, None)], None).unwrap();
    assert_eq!(store.due(at(99), 10).unwrap(), []);
}

fn logged_together<S: Store + Deadlines>(store: &S) {
    let record = open(store, "Bay 1");
    let number = record.ticket.number;
    let settled = Settled { ticket: number, next: Some(at(50)), write: Some(breached(&record)) };
    assert_eq!(store.settle(vec![settled], None).unwrap(), []);
    assert_eq!(store.ticket(number).unwrap().unwrap().log.len(), 2);
    assert_eq!((store.due(at(49), 9).unwrap(), store.due(at(50), 9).unwrap()), (vec![], vec![number]));
}

fn changed_meanwhile<S: Store + Deadlines>(store: &S) {
    let (one, two) = (open(store, "Bay 1"), open(store, "Bay 2"));
    let numbers = [one.ticket.number, two.ticket.number];
    store.settle(numbers.map(|n| found(n.0, Some(5))).to_vec(), None).unwrap();
    store.update_ticket(breached(&one)).unwrap();
    let settled = |r: &TicketRecord| Settled { ticket: r.ticket.number, next: None, write: Some(breached(r)) };
    assert_eq!(store.settle(vec![settled(&one), settled(&two)], None).unwrap(), [numbers[0]]);
    assert_eq!(store.due(at(9), 9).unwrap(), [numbers[0]]);
    assert_eq!(store.next_due(&numbers).unwrap().into_iter().collect::<Vec<_>>(), [(numbers[0], at(5))]);
    let logs = numbers.map(|n| store.ticket(n).unwrap().unwrap().log.len());
    assert_eq!(logs, [2, 2]);
}

fn how_far<S: Store + Deadlines>(store: &S) {
    assert_eq!(store.indexed().unwrap(), Indexed::default());
    let here = Indexed { change: 7, terms: "a".to_owned() };
    store.settle(Vec::new(), Some(here.clone())).unwrap();
    store.settle(vec![found(1, None)], None).unwrap();
    assert_eq!(store.indexed().unwrap(), here);
}

fn revisions<S: Store + Deadlines>(store: &S) {
    let (one, two) = (SlaPolicy::default(), SlaPolicy { revision: 2, ..SlaPolicy::default() });
    store.keep_policy(&two, at(2)).unwrap();
    store.keep_policy(&one, at(1)).unwrap();
    let other = SlaPolicy { clocks: Vec::new(), ..one.clone() };
    assert!(matches!(store.keep_policy(&other, at(3)), Err(StoreError::Conflict { .. })));
    assert_eq!(store.policies().unwrap(), [(at(1), one), (at(2), two)]);
}

fn time<S: Store + Deadlines>(store: &S) {
    assert_eq!(store.kept_time().unwrap(), None);
    for secs in [1, 2] {
        store.keep_time(KeptTime { at: at(secs), boot: secs * 1000, boot_id: "x".to_owned() }).unwrap();
    }
    assert_eq!(store.kept_time().unwrap().map(|k| (k.at, k.boot)), Some((at(2), 2000)));
}
