use crate::conformance::Behaviour;
use crate::conformance::make::*;
use outband_schemas::Timestamp;
use outband_store::audit::{ANSWERS_KEPT, Actor, Answer, Audit, AuditFilter, Deed, Erased, Outcome, Sha256Hash};
use outband_store::{Applied, Page, Store, StoreError, TicketRecord, TicketWrite};
use outband_ticket::{Action, Command, Ticket, apply};

/// The behaviours of this file.
pub(crate) fn all<S: Store + Audit>() -> Vec<Behaviour<S>> {
    vec![
        ("entries_come_back_newest_first_and_page", entries_come_back_newest_first_and_page::<S> as fn(&S)),
        ("entries_are_found_by_person_and_by_resource", entries_are_found_by_person_and_by_resource::<S> as fn(&S)),
        (
            "a_chain_that_nobody_touched_is_whole_and_its_head_changes_with_every_entry",
            a_chain_that_nobody_touched_is_whole_and_its_head_changes_with_every_entry::<S> as fn(&S),
        ),
        (
            "a_change_of_a_ticket_its_entry_and_its_answer_are_one",
            a_change_of_a_ticket_its_entry_and_its_answer_are_one::<S> as fn(&S),
        ),
        ("an_answer_is_forgotten_after_a_day", an_answer_is_forgotten_after_a_day::<S> as fn(&S)),
        ("answers_are_kept_apart_by_person", answers_are_kept_apart_by_person::<S> as fn(&S)),
        (
            "an_erased_person_is_nowhere_and_everything_still_holds",
            an_erased_person_is_nowhere_and_everything_still_holds::<S> as fn(&S),
        ),
    ]
}

pub(crate) fn actor(name: &str) -> Actor {
    Actor { name: name.to_owned(), peer: Some("192.0.2.7".to_owned()) }
}

pub(crate) fn deed(when: Timestamp, resource: &str) -> Deed {
    Deed {
        at: when,
        role: "operator".to_owned(),
        method: "outband.ticket.v1.TicketService/TransitionTicket".to_owned(),
        resource: resource.to_owned(),
        detail: "start".to_owned(),
        outcome: Outcome::Done,
        request_id: None,
        before: Some("1-1".to_owned()),
        after: Some("1-2".to_owned()),
    }
}

fn answer(id: &str, digest: u8) -> Answer {
    Answer { request_id: id.to_owned(), digest: Sha256Hash([digest; 32]), body: b"done".to_vec() }
}

fn opened<S: Store>(store: &S) -> TicketRecord {
    let write = new_ticket(store, "s1", "Bay 1");
    let number = write.ticket.number;
    store.apply(Applied { tickets: vec![write], ..applied(&["s1"]) }, at(3)).unwrap();
    store.ticket(number).unwrap().unwrap()
}

fn started(record: &TicketRecord) -> TicketWrite {
    let command = Command { who: "li".to_owned(), why: String::new(), action: Action::Start };
    let entry = apply(&record.ticket, command, at(4)).unwrap();
    TicketWrite {
        ticket: record.ticket.after(&entry),
        expected_revision: Some(record.ticket.revision),
        transitions: vec![entry],
    }
}

fn entries_come_back_newest_first_and_page<S: Store + Audit>(store: &S) {
    for n in 1..=5 {
        assert_eq!(store.audit(actor("li"), deed(at(n), "tickets/1")).unwrap(), n);
    }
    let first = store.audited(&AuditFilter::default(), &Page::first(3)).unwrap();
    assert_eq!(first.rows.iter().map(|e| e.seq).collect::<Vec<_>>(), [5, 4, 3]);
    assert_eq!((&first.rows[0].actor, &first.rows[0].deed), (&actor("li"), &deed(at(5), "tickets/1")));
    let second = store.audited(&AuditFilter::default(), &Page::after(first.next.unwrap(), 3)).unwrap();
    assert_eq!((second.rows.len(), second.next), (2, None));
}

fn entries_are_found_by_person_and_by_resource<S: Store + Audit>(store: &S) {
    store.audit(actor("li"), deed(at(1), "tickets/1")).unwrap();
    store.audit(actor("wang"), deed(at(2), "tickets/2")).unwrap();
    let found = |filter: AuditFilter| {
        let rows = store.audited(&filter, &Page::first(9)).unwrap().rows;
        rows.iter().map(|e| e.seq).collect::<Vec<_>>()
    };
    assert_eq!(found(AuditFilter { who: Some("wang".to_owned()), ..AuditFilter::default() }), [2]);
    assert_eq!(found(AuditFilter { resource: Some("tickets/1".to_owned()), ..AuditFilter::default() }), [1]);
}

fn a_chain_that_nobody_touched_is_whole_and_its_head_changes_with_every_entry<S: Store + Audit>(store: &S) {
    assert_eq!((store.verify_audit(None).unwrap().entries, store.verify_audit(None).unwrap().broken), (0, None));
    store.audit(actor("li"), deed(at(1), "tickets/1")).unwrap();
    let one = store.verify_audit(None).unwrap();
    store.audit(actor("li"), deed(at(1), "tickets/1")).unwrap();
    let two = store.verify_audit(None).unwrap();
    assert_eq!((one.entries, one.broken, two.entries, two.broken), (1, None, 2, None));
    assert_ne!(one.head, two.head);
    assert_eq!(store.verify_audit(Some(1)).unwrap(), one, "the log as it was");
    assert!(store.verify_audit(Some(3)).unwrap().broken.is_some(), "there never was a third");
}

fn a_change_of_a_ticket_its_entry_and_its_answer_are_one<S: Store + Audit>(store: &S) {
    let record = opened(store);
    let change = |answer| store.change_ticket(started(&record), actor("li"), deed(at(4), "tickets/1"), answer);
    assert_eq!(change(Some(answer("r1", 1))).unwrap().log.len(), 2);
    assert_eq!(store.answered("li", "r1", at(5)).unwrap(), Some(answer("r1", 1)));
    // The ticket is no longer as it was read: nothing of this is kept.
    assert!(matches!(change(Some(answer("r2", 2))), Err(StoreError::Conflict { .. })));
    assert_eq!(store.answered("li", "r2", at(5)).unwrap(), None);
    assert_eq!(store.verify_audit(None).unwrap().entries, 1);
    // Nor is a ticket changed by a request that was answered.
    let now = store.ticket(record.ticket.number).unwrap().unwrap();
    let command = Command { who: "li".to_owned(), why: String::new(), action: Action::WaitForParts };
    let entry = apply(&now.ticket, command, at(6)).unwrap();
    let write = TicketWrite {
        ticket: now.ticket.after(&entry),
        expected_revision: Some(now.ticket.revision),
        transitions: vec![entry],
    };
    let again = store.change_ticket(write, actor("li"), deed(at(6), "tickets/1"), Some(answer("r1", 3)));
    assert!(matches!(again, Err(StoreError::Conflict { .. })));
    assert_eq!(store.ticket(now.ticket.number).unwrap(), Some(now));
}

fn an_answer_is_forgotten_after_a_day<S: Store + Audit>(store: &S) {
    let record = opened(store);
    store.change_ticket(started(&record), actor("li"), deed(at(4), "tickets/1"), Some(answer("r1", 1))).unwrap();
    let day = i64::try_from(ANSWERS_KEPT.as_secs()).unwrap();
    assert!(store.answered("li", "r1", at(4 + day - 1)).unwrap().is_some());
    assert_eq!(store.answered("li", "r1", at(4 + day)).unwrap(), None);
}

fn answers_are_kept_apart_by_person<S: Store + Audit>(store: &S) {
    let record = opened(store);
    store.change_ticket(started(&record), actor("li"), deed(at(4), "tickets/1"), Some(answer("r1", 1))).unwrap();
    assert_eq!(store.answered("wang", "r1", at(5)).unwrap(), None);
}

fn an_erased_person_is_nowhere_and_everything_still_holds<S: Store + Audit>(store: &S) {
    let record = opened(store);
    store.change_ticket(started(&record), actor("li"), deed(at(4), "tickets/1"), Some(answer("r1", 1))).unwrap();
    let mut now = store.ticket(record.ticket.number).unwrap().unwrap();
    for action in [
        Action::Comment { text: "li was here".to_owned(), visibility: outband_ticket::Visibility::Internal },
        Action::Assign { to: "li".to_owned() },
    ] {
        let command = Command { who: "wang".to_owned(), why: String::new(), action };
        let entry = apply(&now.ticket, command, at(6)).unwrap();
        let write = TicketWrite {
            ticket: now.ticket.after(&entry),
            expected_revision: Some(now.ticket.revision),
            transitions: vec![entry],
        };
        now = store.update_ticket(write).unwrap();
    }
    let erase = |dry| store.erase_person("li", actor("zhao"), deed(at(9), ""), dry).unwrap();
    let counted = erase(true);
    assert_eq!((counted.entries, counted.audit, &counted.mentions), (2, 1, &vec![now.ticket.number]));
    assert_eq!(store.ticket(now.ticket.number).unwrap(), Some(now.clone()), "a dry run changes nothing");

    let done = erase(false);
    assert_eq!((done.entries, done.audit), (counted.entries, counted.audit));
    let after = store.ticket(now.ticket.number).unwrap().unwrap();
    assert_eq!(after.ticket.assignee.as_ref(), Some(&done.pseudonym));
    assert_eq!((&after.log[1].who, after.log[2].who.as_str()), (&done.pseudonym, "wang"));
    assert_eq!(Ticket::fold(after.ticket.number, &after.log), Some(after.ticket.clone()));
    assert_eq!(store.answered("li", "r1", at(9)).unwrap(), None);
    let of = |who: &str| {
        let filter = AuditFilter { who: Some(who.to_owned()), ..AuditFilter::default() };
        store.audited(&filter, &Page::first(9)).unwrap().rows
    };
    assert_eq!((of("li").len(), of(&done.pseudonym).len(), of("zhao").len()), (0, 1, 1));
    assert_eq!((&of(&done.pseudonym)[0].actor.peer, &of("zhao")[0].deed.resource), (&None, &done.pseudonym));
    assert_eq!(store.verify_audit(None).unwrap().broken, None);
    assert_eq!(erase(true), Erased { mentions: vec![now.ticket.number], ..Erased::default() });
    // And logs are append-only again: the change that follows is a change as any other.
    let command = Command { who: "wang".to_owned(), why: String::new(), action: Action::WaitForParts };
    let entry = apply(&after.ticket, command, at(10)).unwrap();
    let write = TicketWrite {
        ticket: after.ticket.after(&entry),
        expected_revision: Some(after.ticket.revision),
        transitions: vec![entry],
    };
    store.update_ticket(write).unwrap();
}
