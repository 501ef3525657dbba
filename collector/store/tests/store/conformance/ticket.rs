use crate::behaviours;
use crate::conformance::make::*;
use outband_schemas::Timestamp;
use outband_store::{Applied, Page, Store, StoreError, TicketFilter, TicketRecord, TicketWrite};
use outband_ticket::{Action, Command, Comment, State, Ticket, TicketNumber, Visibility, apply};

behaviours![
    numbers_are_given_out_once,
    a_ticket_comes_back_with_its_log,
    a_change_made_from_an_old_revision_is_refused,
    a_second_open_ticket_of_the_same_fault_is_refused,
    a_resolved_ticket_makes_room_for_the_next,
    a_log_that_is_continued_from_the_wrong_place_is_refused,
    a_ticket_that_is_not_what_its_log_says_is_refused,
    a_comment_moves_nothing_but_the_revision,
    tickets_page_newest_first_and_by_state,
    a_period_finds_what_was_open_or_changed_in_it,
    a_watcher_sees_each_change_in_order,
];

fn numbers_are_given_out_once<S: Store>(store: &S) {
    use outband_store::Sequence::{Server, Ticket};
    assert_eq!((store.reserve(Ticket).unwrap(), store.reserve(Ticket).unwrap()), (1, 2));
    assert_eq!(store.reserve(Server).unwrap(), 1);
}

fn open<S: Store>(store: &S, slot: &str) -> TicketRecord {
    let write = new_ticket(store, "s1", slot);
    let number = write.ticket.number;
    store.apply(Applied { tickets: vec![write], ..applied(&["s1"]) }, at(3)).unwrap();
    store.ticket(number).unwrap().unwrap()
}

fn moved(record: &TicketRecord, action: Action, when: Timestamp) -> TicketWrite {
    let command = Command { who: "li".to_owned(), why: "test".to_owned(), action };
    let transition = apply(&record.ticket, command, when).unwrap();
    TicketWrite {
        ticket: record.ticket.after(&transition),
        expected_revision: Some(record.ticket.revision),
        transitions: vec![transition],
    }
}

fn a_ticket_comes_back_with_its_log<S: Store>(store: &S) {
    let new = open(store, "Bay 1");
    assert_eq!((new.ticket.state, new.log.len()), (State::New, 1));
    let after = store.update_ticket(moved(&new, Action::Start, at(9))).unwrap();
    assert_eq!((after.ticket.state, after.log.len()), (State::InProgress, 2));
    assert_eq!(store.ticket(new.ticket.number).unwrap(), Some(after.clone()));
    assert_eq!(after.log[1].action, Action::Start);
    assert_eq!(store.ticket(TicketNumber(99)).unwrap(), None);
    assert_eq!(store.open_tickets().unwrap(), vec![after]);
}

fn a_change_made_from_an_old_revision_is_refused<S: Store>(store: &S) {
    let new = open(store, "Bay 1");
    store.update_ticket(moved(&new, Action::Start, at(9))).unwrap();
    let late = store.update_ticket(moved(&new, Action::Assign { to: "wang".to_owned() }, at(10))).unwrap_err();
    assert!(matches!(late, StoreError::Conflict { .. }), "{late}");
    assert_eq!(store.ticket(new.ticket.number).unwrap().unwrap().log.len(), 2);
    let mut unknown = moved(&new, Action::Start, at(9));
    unknown.ticket.number = TicketNumber(99);
    assert!(matches!(store.update_ticket(unknown), Err(StoreError::NotFound { .. })));
}

fn a_second_open_ticket_of_the_same_fault_is_refused<S: Store>(store: &S) {
    open(store, "Bay 1");
    let second = new_ticket(store, "s1", "Bay 1");
    let refused = store.apply(Applied { tickets: vec![second], ..Applied::default() }, at(4)).unwrap_err();
    assert!(matches!(refused, StoreError::Conflict { .. }), "{refused}");
    open(store, "Bay 2");
    assert_eq!(store.open_tickets().unwrap().len(), 2);
}

fn a_resolved_ticket_makes_room_for_the_next<S: Store>(store: &S) {
    let first = open(store, "Bay 1");
    let resolution = outband_ticket::Resolution::Recovered;
    let resolved = store.update_ticket(moved(&first, Action::Resolve { resolution }, at(9))).unwrap();
    let second = open(store, "Bay 1");
    assert_ne!(first.ticket.number, second.ticket.number);
    // And it cannot come back while the next is open.
    let again = store.update_ticket(moved(&resolved, Action::Reopen, at(10)));
    assert!(matches!(again, Err(StoreError::Conflict { .. })));
    store.update_ticket(moved(&resolved, Action::Close, at(10))).unwrap();
    assert_eq!(store.open_tickets().unwrap().len(), 1);
}

fn a_log_that_is_continued_from_the_wrong_place_is_refused<S: Store>(store: &S) {
    let new = open(store, "Bay 1");
    let mut write = moved(&new, Action::Start, at(9));
    write.transitions[0].seq = 1;
    assert!(matches!(store.update_ticket(write), Err(StoreError::Conflict { .. })));
    assert_eq!(store.ticket(new.ticket.number).unwrap(), Some(new));
}

fn a_ticket_that_is_not_what_its_log_says_is_refused<S: Store>(store: &S) {
    let new = open(store, "Bay 1");
    let mut silent = moved(&new, Action::Start, at(9));
    silent.ticket.title = "something else".to_owned();
    assert!(matches!(store.update_ticket(silent), Err(StoreError::Refused { .. })));
    let mut other = new_ticket(store, "s1", "Bay 2");
    other.ticket.reason = "something else".to_owned();
    let refused = store.apply(Applied { tickets: vec![other], ..Applied::default() }, at(4));
    assert!(matches!(refused, Err(StoreError::Refused { .. })));
    assert_eq!(store.open_tickets().unwrap(), vec![new]);
}

fn a_comment_moves_nothing_but_the_revision<S: Store>(store: &S) {
    let new = open(store, "Bay 1");
    let text = "called the vendor".to_owned();
    let write = moved(&new, Action::Comment { text: text.clone(), visibility: Visibility::Customer }, at(5));
    let after = store.update_ticket(write.clone()).unwrap();
    assert!(matches!(store.update_ticket(write), Err(StoreError::Conflict { .. })), "it was said already");
    let comment = Comment { at: at(5), who: "li".to_owned(), text, visibility: Visibility::Customer };
    assert_eq!((after.ticket.state, &after.ticket.comments), (State::New, &vec![comment]));
    assert!(after.ticket.revision > new.ticket.revision);
    assert_eq!(Ticket::fold(after.ticket.number, &after.log), Some(after.ticket));
}

fn tickets_page_newest_first_and_by_state<S: Store>(store: &S) {
    let all: Vec<_> = (0..5).map(|n| open(store, &format!("Bay {n}"))).collect();
    store.update_ticket(moved(&all[3], Action::Start, at(9))).unwrap();
    let numbers = |filter: &TicketFilter, page: &Page| {
        let listing = store.tickets(filter, page).unwrap();
        (listing.rows.iter().map(|t| t.ticket.number.0).collect::<Vec<_>>(), listing.next)
    };
    let (first, next) = numbers(&TicketFilter::default(), &Page::first(3));
    assert_eq!(first, [5, 4, 3]);
    let (second, end) = numbers(&TicketFilter::default(), &Page::after(next.unwrap(), 3));
    assert_eq!((second, end), (vec![2, 1], None));
    let working = TicketFilter { states: vec![State::InProgress, State::Closed], ..TicketFilter::default() };
    assert_eq!(numbers(&working, &Page::first(9)).0, [4]);
    let parent = Some(all[0].ticket.number);
    store.update_ticket(moved(&all[1], Action::Parent { number: parent }, at(10))).unwrap();
    assert_eq!(numbers(&TicketFilter { parent, ..TicketFilter::default() }, &Page::first(9)).0, [2]);
    let elsewhere = TicketFilter { server: Some(server_id("s9")), ..TicketFilter::default() };
    assert!(numbers(&elsewhere, &Page::first(9)).0.is_empty());
}

fn a_period_finds_what_was_open_or_changed_in_it<S: Store>(store: &S) {
    let [_open, over, late] = ["Bay 1", "Bay 2", "Bay 3"].map(|bay| open(store, bay));
    let ends = |ticket: &TicketRecord, at| {
        let resolve = Action::Resolve { resolution: outband_ticket::Resolution::Repaired };
        store.update_ticket(moved(ticket, resolve, at)).unwrap();
    };
    ends(&over, at(20));
    ends(&late, at(40));
    let numbers = |from, to| {
        let filter = TicketFilter { between: Some((from, to)), ..TicketFilter::default() };
        let listing = store.tickets(&filter, &Page::first(9)).unwrap();
        listing.rows.iter().map(|t| t.ticket.number.0).collect::<Vec<_>>()
    };
    assert_eq!(numbers(at(10), at(30)), [3, 2, 1]);
    assert_eq!(numbers(at(20), at(30)), [3, 2, 1], "the first moment is a part of it");
    assert_eq!(numbers(at(21), at(30)), [3, 1]);
    let opened = over.ticket.created_at;
    assert!(numbers(at(0), opened).is_empty(), "what was opened at the end is of the next period");
}

fn a_watcher_sees_each_change_in_order<S: Store>(store: &S) {
    let (one, two) = (open(store, "Bay 1"), open(store, "Bay 2"));
    let seen = two.change;
    let three = open(store, "Bay 3");
    store.update_ticket(moved(&one, Action::Start, at(9))).unwrap();
    let filter = TicketFilter { changed_after: Some(seen), ..TicketFilter::default() };
    let first = store.tickets(&filter, &Page::first(1)).unwrap();
    assert_eq!(first.rows[0].ticket.number, three.ticket.number);
    let second = store.tickets(&filter, &Page::after(first.next.unwrap(), 1)).unwrap();
    assert_eq!(second.rows[0].ticket.number, one.ticket.number);
    assert_eq!(second.next, None);
}
