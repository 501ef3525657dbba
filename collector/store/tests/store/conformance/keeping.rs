//! Terms, holds and erasure.

use crate::conformance::Behaviour;
use crate::conformance::audit::{actor, deed};
use crate::conformance::make::*;
use outband_schemas::{Severity, Timestamp};
use outband_store::audit::{Audit, AuditFilter};
use outband_store::keeping::{CustomerErasure, Hold, Keeping};
use outband_store::maintenance::{Maintenance, Selector, Window, WindowChange, WindowKind};
use outband_store::retention::Limits;
use outband_store::{
    Applied, EventFilter, Made, NoticeDraft, NoticeFilter, Outbox, Page, ServerEvents, Store, StoreError, TicketFilter,
    TicketWrite,
};
use outband_ticket::{Action, Command, LinkKind, Priority, Ticket, TicketNumber, Visibility, apply};
use std::collections::BTreeSet;

/// The behaviours of this file.
pub(crate) fn all<S: Store + Audit + Keeping + Outbox + Maintenance>() -> Vec<Behaviour<S>> {
    vec![
        (
            "a_ticket_goes_with_everything_about_it_when_its_term_is_over_and_that_is_told",
            a_ticket_goes_with_everything_about_it_when_its_term_is_over_and_that_is_told::<S> as fn(&S),
        ),
        ("an_open_ticket_and_what_it_refers_to_never_go", an_open_ticket_and_what_it_refers_to_never_go::<S> as fn(&S)),
        ("what_is_held_stays_until_it_is_released", what_is_held_stays_until_it_is_released::<S> as fn(&S)),
        ("the_chain_holds_after_its_old_entries_went", the_chain_holds_after_its_old_entries_went::<S> as fn(&S)),
        ("entries_about_open_tickets_stay_however_old", entries_about_open_tickets_stay_however_old::<S> as fn(&S)),
        ("a_hold_of_an_old_version_is_a_conflict", a_hold_of_an_old_version_is_a_conflict::<S> as fn(&S)),
        (
            "an_erased_customers_words_and_names_are_nowhere_and_everything_still_holds",
            an_erased_customers_words_and_names_are_nowhere_and_everything_still_holds::<S> as fn(&S),
        ),
        (
            "the_records_of_an_erased_customer_go_on_order_but_for_open_tickets",
            the_records_of_an_erased_customer_go_on_order_but_for_open_tickets::<S> as fn(&S),
        ),
        ("an_erased_person_is_not_in_other_rooms_either", an_erased_person_is_not_in_other_rooms_either::<S> as fn(&S)),
    ]
}

fn opened<S: Store>(store: &S, server: &str, slot: &str) -> TicketNumber {
    let write = new_ticket(store, server, slot);
    let number = write.ticket.number;
    store.apply(Applied { tickets: vec![write], ..applied(&[server]) }, at(3)).unwrap();
    number
}

fn act<S: Store + Audit>(store: &S, number: TicketNumber, who: &str, action: Action, when: Timestamp) {
    let ticket = store.ticket(number).unwrap().unwrap().ticket;
    let entry = apply(&ticket, Command { who: who.to_owned(), why: String::new(), action }, when).unwrap();
    let write = TicketWrite {
        ticket: ticket.after(&entry),
        expected_revision: Some(ticket.revision),
        transitions: vec![entry],
    };
    store.change_ticket(write, actor(who), deed(when, &format!("tickets/{number}")), None).unwrap();
}

fn closed<S: Store + Audit>(store: &S, server: &str, slot: &str, when: i64) -> TicketNumber {
    let number = opened(store, server, slot);
    act(store, number, "li", Action::Start, at(when - 1));
    let resolution = outband_ticket::Resolution::Recovered;
    act(store, number, "li", Action::Resolve { resolution }, at(when - 1));
    act(store, number, "li", Action::Close, at(when));
    number
}

fn noticed<S: Outbox>(store: &S, number: TicketNumber, recipient: &str) {
    let draft = NoticeDraft {
        ticket: number,
        seq: 1,
        step: 0,
        cause: "opened".to_owned(),
        channel: "mail".to_owned(),
        recipient: recipient.to_owned(),
        lang: "en".to_owned(),
        priority: Priority::P3,
        subject: "A disk will fail".to_owned(),
        body: "Dear Ms Fang".to_owned(),
        not_before: at(3),
        digest: false,
    };
    store.begin_outbox("i", at(0)).unwrap();
    let through = store.unnoticed(10).unwrap().map_or(1_000, |u| u.through);
    store.make_notices(Made { through, marks: Vec::new(), notices: vec![draft] }, at(3)).unwrap();
}

fn limits(tickets: i64, audit: i64) -> Limits {
    Limits {
        ingest_log: at(0),
        raw: at(0),
        five_minutes: at(0),
        hours: at(0),
        events: at(0),
        tickets: at(tickets),
        audit: at(audit),
    }
}

fn nobody() -> BTreeSet<outband_schemas::ServerId> {
    BTreeSet::new()
}

fn numbers<S: Store>(store: &S) -> Vec<u64> {
    let all = store.tickets(&TicketFilter::default(), &Page::first(100)).unwrap().rows;
    all.iter().map(|r| r.ticket.number.0).collect()
}

fn a_ticket_goes_with_everything_about_it_when_its_term_is_over_and_that_is_told<
    S: Store + Audit + Keeping + Outbox + Maintenance,
>(
    store: &S,
) {
    let (old, new) = (closed(store, "s1", "Bay 1", 100), closed(store, "s1", "Bay 2", 200));
    noticed(store, old, "ann");
    let counted = store.prune(&limits(150, 0), &nobody(), at(500), true).unwrap();
    assert_eq!(counted.tickets, [old]);
    assert_eq!(numbers(store), [new.0, old.0], "nothing went yet");
    let pruned = store.prune(&limits(150, 0), &nobody(), at(500), false).unwrap();
    assert_eq!((pruned.tickets, pruned.more), (vec![old], false));
    assert_eq!(numbers(store), [new.0]);
    assert!(store.notices(&NoticeFilter::default(), &Page::first(9)).unwrap().rows.is_empty());
    let told = &store.audited(&AuditFilter::default(), &Page::first(1)).unwrap().rows[0].deed;
    assert_eq!(told.resource, "tickets");
    assert!(told.detail.contains(&format!(": {old}")), "{}", told.detail);
    assert_eq!(store.prune(&limits(150, 0), &nobody(), at(501), false).unwrap().tickets, []);
    assert_eq!(store.verify_audit(None).unwrap().broken, None);
}

fn an_open_ticket_and_what_it_refers_to_never_go<S: Store + Audit + Keeping + Outbox + Maintenance>(store: &S) {
    let before = closed(store, "s1", "Bay 1", 100);
    let open = opened(store, "s1", "Bay 2");
    act(store, open, "li", Action::Link { kind: LinkKind::Related, to: before }, at(4));
    assert_eq!(store.prune(&limits(9_000, 0), &nobody(), at(9_000), false).unwrap().tickets, []);
    act(store, open, "li", Action::Unlink { kind: LinkKind::Related, to: before }, at(5));
    assert_eq!(store.prune(&limits(9_000, 0), &nobody(), at(9_000), false).unwrap().tickets, [before]);
    assert_eq!(numbers(store), [open.0]);
}

fn what_is_held_stays_until_it_is_released<S: Store + Audit + Keeping + Outbox + Maintenance>(store: &S) {
    let number = closed(store, "s1", "Bay 1", 100);
    let held = BTreeSet::from([server_id("s1")]);
    let kept = store.prune(&limits(9_000, 9_000), &held, at(9_000), false).unwrap();
    assert_eq!((kept.tickets.len(), kept.audit), (0, 0), "what is about it in the audit log stays, too");
    assert_eq!(store.prune(&limits(9_000, 0), &nobody(), at(9_000), false).unwrap().tickets, [number]);
}

fn the_chain_holds_after_its_old_entries_went<S: Store + Audit + Keeping + Outbox + Maintenance>(store: &S) {
    for n in 1..=5 {
        store.audit(actor("li"), deed(at(n), "windows/1")).unwrap();
    }
    let noted = store.verify_audit(None).unwrap();
    let pruned = store.prune(&limits(0, 4), &nobody(), at(100), false).unwrap();
    assert_eq!(pruned.audit, 3);
    let all = store.audited(&AuditFilter::default(), &Page::first(9)).unwrap().rows;
    assert_eq!(all.iter().map(|e| e.seq).collect::<Vec<_>>(), [6, 5, 4]);
    assert!(all[0].deed.resource.starts_with("audit/3:"), "{}", all[0].deed.resource);
    let now = store.verify_audit(None).unwrap();
    assert_eq!((now.entries, now.broken), (6, None));
    assert_eq!(store.verify_audit(Some(5)).unwrap().head, noted.head, "what was noted before still shows");
    assert_eq!(store.prune(&limits(0, 4), &nobody(), at(101), false).unwrap().audit, 0);
    store.prune(&limits(0, 200), &nobody(), at(300), false).unwrap();
    assert_eq!(store.verify_audit(None).unwrap().broken, None, "again, from the new anchor");
}

fn entries_about_open_tickets_stay_however_old<S: Store + Audit + Keeping + Outbox + Maintenance>(store: &S) {
    store.audit(actor("li"), deed(at(1), "windows/1")).unwrap();
    let open = opened(store, "s1", "Bay 1");
    act(store, open, "li", Action::Start, at(4));
    store.audit(actor("li"), deed(at(5), "windows/1")).unwrap();
    assert_eq!(store.prune(&limits(0, 9_000), &nobody(), at(9_000), false).unwrap().audit, 1);
}

fn a_hold_of_an_old_version_is_a_conflict<S: Store + Audit + Keeping + Outbox + Maintenance>(store: &S) {
    let hold = Hold {
        id: 0,
        of: "customers/acme".to_owned(),
        servers: BTreeSet::from([server_id("s1")]),
        reason: "case 7".to_owned(),
        author: "zhao".to_owned(),
        created_at: at(1),
        released: None,
        revision: 0,
    };
    let made = store.put_hold(&hold, None).unwrap();
    assert_eq!((made.id, made.revision), (1, 1));
    let released = Hold { released: Some((at(2), "qian".to_owned())), revision: 2, ..made.clone() };
    assert_eq!(store.put_hold(&released, None).unwrap(), released);
    assert!(matches!(store.put_hold(&released, None), Err(StoreError::Conflict { .. })));
    assert_eq!(store.holds().unwrap(), [released]);
}

fn says<S: Store + Audit>(store: &S, number: TicketNumber, who: &str, text: &str) {
    let action = Action::Comment { text: text.to_owned(), visibility: Visibility::Customer };
    act(store, number, who, action, at(50));
}

fn erasure(records: bool, dry_run: bool) -> CustomerErasure {
    CustomerErasure {
        servers: BTreeSet::from([server_id("s1")]),
        people: BTreeSet::from(["fang".to_owned()]),
        records,
        keep_after: None,
        dry_run,
    }
}

fn an_erased_customers_words_and_names_are_nowhere_and_everything_still_holds<
    S: Store + Audit + Keeping + Outbox + Maintenance,
>(
    store: &S,
) {
    let (theirs, others) = (opened(store, "s1", "Bay 1"), opened(store, "s2", "Bay 1"));
    says(store, theirs, "fang", "call me at home");
    says(store, theirs, "li", "we will");
    says(store, others, "wu", "of another customer");
    let counted = store.erase_customer(&erasure(false, true), actor("zhao"), deed(at(60), "")).unwrap();
    assert_eq!((counted.entries, counted.audit, counted.pseudonym.as_str()), (1, 1, ""));
    let erased = store.erase_customer(&erasure(false, false), actor("zhao"), deed(at(60), "")).unwrap();
    assert_eq!((erased.entries, erased.audit), (1, 1));
    let record = store.ticket(theirs).unwrap().unwrap();
    let said: Vec<(&str, &str)> = record.ticket.comments.iter().map(|c| (c.who.as_str(), c.text.as_str())).collect();
    assert_eq!(said, [(erased.pseudonym.as_str(), "[erased]"), ("li", "we will")]);
    assert_eq!(Ticket::fold(theirs, &record.log).as_ref(), Some(&record.ticket));
    assert_eq!(store.ticket(others).unwrap().unwrap().ticket.comments[0].text, "of another customer");
    let told = store.audited(&AuditFilter::default(), &Page::first(9)).unwrap().rows;
    assert_eq!((told[0].actor.name.as_str(), &told[0].deed.resource), ("zhao", &erased.pseudonym));
    assert!(told.iter().all(|e| e.actor.name != "fang" && !e.deed.detail.contains("fang")));
    assert_eq!(store.verify_audit(None).unwrap().broken, None);
}

fn the_records_of_an_erased_customer_go_on_order_but_for_open_tickets<
    S: Store + Audit + Keeping + Outbox + Maintenance,
>(
    store: &S,
) {
    let (old, late, open) =
        (closed(store, "s1", "Bay 1", 100), closed(store, "s1", "Bay 2", 300), opened(store, "s1", "Bay 3"));
    let elsewhere = closed(store, "s2", "Bay 1", 100);
    let of = |name: &str| ServerEvents {
        server: server_id(name),
        received_at: at(5),
        events: vec![event("1", Severity::Warning)],
    };
    store.apply(Applied { events: vec![of("s1"), of("s2")], ..Applied::default() }, at(5)).unwrap();
    let order = CustomerErasure { keep_after: Some(at(200)), ..erasure(true, true) };
    let counted = store.erase_customer(&order, actor("zhao"), deed(at(400), "")).unwrap();
    assert_eq!((&counted.tickets, &counted.kept, counted.rows), (&vec![old], &vec![late, open], 1));
    assert_eq!(numbers(store).len(), 4, "nothing went yet");
    let order = CustomerErasure { dry_run: false, ..order };
    let erased = store.erase_customer(&order, actor("zhao"), deed(at(400), "")).unwrap();
    assert_eq!((&erased.tickets, &erased.kept, erased.proof), (&vec![old], &vec![late, open], counted.proof));
    assert_eq!(numbers(store), [elsewhere.0, open.0, late.0]);
    let left = store.events(&EventFilter::default(), &Page::first(9)).unwrap().rows;
    assert_eq!(left.iter().map(|e| e.server.as_str()).collect::<Vec<_>>(), ["s2"]);
    let told = &store.audited(&AuditFilter::default(), &Page::first(1)).unwrap().rows[0].deed;
    assert!(told.detail.contains(&erased.proof.to_string()), "{}", told.detail);
    assert_eq!(store.verify_audit(None).unwrap().broken, None);
}

fn an_erased_person_is_not_in_other_rooms_either<S: Store + Audit + Keeping + Outbox + Maintenance>(store: &S) {
    let window = Window {
        id: 0,
        kind: WindowKind::Maintenance,
        name: "rack R1".to_owned(),
        selector: Selector { rack: Some("R1".to_owned()), ..Selector::default() },
        starts: "2026-01-31T22:00:00".to_owned(),
        lasts_secs: 3600,
        zone: "UTC".to_owned(),
        recurrence: None,
        reason: "new PDU".to_owned(),
        author: "qian".to_owned(),
        created_at: at(1),
        ended_at: None,
        revision: 1,
    };
    let change = WindowChange { at: at(1), who: "qian".to_owned(), what: "create".to_owned(), window };
    let id = store.put_window(&change, None).unwrap().id;
    let number = opened(store, "s1", "Bay 1");
    noticed(store, number, "qian");
    assert_eq!(store.erase_person("qian", actor("zhao"), deed(at(9), ""), true).unwrap().others, 3);
    let erased = store.erase_person("qian", actor("zhao"), deed(at(9), ""), false).unwrap();
    assert_eq!(erased.others, 3, "the window, its change, the notice");
    assert_eq!(store.windows(true).unwrap()[0].author, erased.pseudonym);
    let changes = store.window_changes(id).unwrap();
    assert_eq!((&changes[0].who, &changes[0].window.author), (&erased.pseudonym, &erased.pseudonym));
    let notices = store.notices(&NoticeFilter::default(), &Page::first(9)).unwrap().rows;
    assert_eq!(notices[0].draft.recipient, erased.pseudonym);
    assert!(store.put_window(&change, None).is_ok(), "the room works as before");
}
