//! What became of tickets.

use super::Behaviour;
use super::make::{applied, at, disk, new_ticket, part, server_id};
use outband_schemas::{Inventory, Source};
use outband_store::outcome::{OutcomeFilter, Outcomes, TicketOutcome};
use outband_store::{ServerInventory, Store, TicketWrite};
use outband_ticket::{Action, Answer, Basis, Command, Resolution, Ticket, Verdict, apply};

pub(super) fn all<S: Store + Outcomes>() -> Vec<Behaviour<S>> {
    vec![
        ("what became of a ticket is known as soon as somebody says it", follows),
        ("the part that a ticket is about is known by its serial and model", parts),
        ("a verdict that names another part says which one of the server that is", others),
        ("outcomes are found by rule, by when they were opened, and by when they were verified", filters),
    ]
}

fn open<S: Store>(store: &S, slot: &str) -> Ticket {
    let write = new_ticket(store, "srv-1", slot);
    store.apply(applied(&["srv-1"]), at(1)).unwrap();
    store.update_ticket(write).unwrap().ticket
}

fn then<S: Store>(store: &S, ticket: &Ticket, action: Action, secs: i64) -> Ticket {
    let command = Command { who: "wang".to_owned(), why: String::new(), action };
    let entry = apply(ticket, command, at(secs)).unwrap();
    let after = ticket.after(&entry);
    let write = TicketWrite { ticket: after, expected_revision: Some(ticket.revision), transitions: vec![entry] };
    store.update_ticket(write).unwrap().ticket
}

fn said<S: Store>(store: &S, ticket: &Ticket, verdict: Verdict, secs: i64) -> Ticket {
    then(store, ticket, Action::Verdict { verdict, detail: String::new(), part: None }, secs)
}

fn only<S: Outcomes>(store: &S) -> TicketOutcome {
    let mut all = store.outcomes(&OutcomeFilter::default()).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn follows<S: Store + Outcomes>(store: &S) {
    let ticket = open(store, "Bay 1");
    let outcome = only(store);
    assert_eq!((outcome.ticket, outcome.rule.as_str()), (ticket.number, "disk.smart_growth"));
    assert_eq!((outcome.server, outcome.component), (server_id("srv-1"), disk("Bay 1")));
    assert!(outcome.outcome.predicted);
    assert_eq!((outcome.outcome.answer, outcome.outcome.opened_at), (Answer::Pending, at(3)));
    let ticket = then(store, &ticket, Action::Resolve { resolution: Resolution::Repaired }, 5);
    let ticket = said(store, &ticket, Verdict::ReplacedWithoutTest, 6);
    assert_eq!(only(store).outcome.answer, Answer::Unknown);
    let ticket = then(store, &ticket, Action::Close, 7);
    said(store, &ticket, Verdict::Confirmed, 90);
    let outcome = only(store).outcome;
    assert_eq!((outcome.answer, outcome.basis), (Answer::Right, Basis::Verdict(Verdict::Confirmed)));
    assert_eq!(outcome.known_at, Some(at(90)));
}

fn parts<S: Store + Outcomes>(store: &S) {
    let inventory = Inventory {
        identity: Default::default(),
        parts: vec![part(disk("Bay 1"), "Z1")],
        bmc_clock_offset_ms: None,
        observed_at: at(1),
        source: Source::default(),
    };
    let mut first = applied(&["srv-1"]);
    first.inventories = vec![ServerInventory { server: server_id("srv-1"), inventory }];
    store.apply(first, at(1)).unwrap();
    let ticket = store.update_ticket(new_ticket(store, "srv-1", "Bay 1")).unwrap().ticket;
    assert_eq!((only(store).serial, only(store).model.as_deref()), (None, Some("ST4000NM")));
    let told = Action::Evidence { facts: Vec::new(), reason: None, title: None, part_serial: Some("Z1".to_owned()) };
    then(store, &ticket, told, 5);
    assert_eq!((only(store).serial.as_deref(), only(store).model.as_deref()), (Some("Z1"), Some("ST4000NM")));
}

fn filters<S: Store + Outcomes>(store: &S) {
    let (one, two) = (open(store, "Bay 1"), open(store, "Bay 2"));
    said(store, &one, Verdict::Confirmed, 50);
    said(store, &two, Verdict::ReplacedWithoutTest, 60);
    let numbers =
        |filter: OutcomeFilter| -> Vec<u64> { store.outcomes(&filter).unwrap().iter().map(|o| o.ticket.0).collect() };
    let all = OutcomeFilter::default();
    let rule = |rule: &str| OutcomeFilter { rule: Some(rule.to_owned()), ..all.clone() };
    assert_eq!(numbers(rule("disk.smart_growth")), [one.number.0, two.number.0]);
    assert!(numbers(rule("fan.decay")).is_empty());
    assert!(numbers(OutcomeFilter { opened_since: Some(at(4)), ..all.clone() }).is_empty());
    let known = |secs| OutcomeFilter { known_since: Some(at(secs)), predicted: true, ..all.clone() };
    assert_eq!(numbers(known(50)), [one.number.0]);
    assert!(numbers(known(51)).is_empty());
}

fn others<S: Store + Outcomes>(store: &S) {
    let ticket = open(store, "Bay 1");
    let inventory = Inventory {
        identity: Default::default(),
        parts: vec![part(disk("Bay 2"), "Z2")],
        bmc_clock_offset_ms: None,
        observed_at: at(1),
        source: Source::default(),
    };
    let mut told = applied(&["srv-1"]);
    told.inventories = vec![ServerInventory { server: server_id("srv-1"), inventory }];
    store.apply(told, at(2)).unwrap();
    let says = |ticket: &Ticket, named: &str, secs| {
        let part = Some(named.to_owned());
        then(store, ticket, Action::Verdict { verdict: Verdict::OtherPart, detail: String::new(), part }, secs)
    };
    let mut ticket = says(&ticket, "Z2", 10);
    for (secs, named) in [(11, "Z2"), (12, "disk/Bay 2")] {
        ticket = says(&ticket, named, secs);
        let TicketOutcome { outcome, other, .. } = only(store);
        assert_eq!((outcome.answer, outcome.other.as_deref()), (Answer::Wrong, Some(named)));
        assert_eq!((other.component, other.serial.as_deref()), (Some(disk("Bay 2")), Some("Z2")), "{named}");
        assert_eq!(other.model.as_deref(), Some("ST4000NM"));
    }
    // A place of which nothing is known, a word that is none, and a verdict that takes it back.
    ticket = says(&ticket, "fan/3", 13);
    assert_eq!(only(store).other.component.map(|place| place.to_string()).as_deref(), Some("fan/3"));
    ticket = says(&ticket, "the cable", 14);
    assert_eq!((only(store).outcome.other.as_deref(), only(store).other.component), (Some("the cable"), None));
    said(store, &ticket, Verdict::Confirmed, 15);
    assert_eq!((only(store).outcome.other, only(store).other.serial), (None, None));
}
