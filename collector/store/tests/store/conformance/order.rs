//! Orders.

use crate::conformance::Behaviour;
use crate::conformance::make;
use outband_schemas::{AgentId, OrderKind, ServerId, SiteId, TargetId, Timestamp};
use outband_store::audit::{Actor, Answer, Audit, AuditFilter, Deed, Note, Noted, Outcome, Sha256Hash};
use outband_store::order::{Order, OrderChange, OrderFile, OrderFilter, OrderState, OrderSwitch, Orders};
use outband_store::{IncomingBatch, Page, Store, StoreError};
use outband_ticket::TicketNumber;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn asked() -> Order {
    Order {
        id: 0,
        revision: 0,
        wire_id: String::new(),
        kind: OrderKind::Identify,
        server: ServerId::new("srv-1").unwrap(),
        site: SiteId::new("dc1").unwrap(),
        model: None,
        agent: AgentId::new("a1").unwrap(),
        target: TargetId::new("bmc1").unwrap(),
        ticket: None,
        reason: "which one is it".to_owned(),
        requester: "ann".to_owned(),
        requested_at: at(1),
        approver: None,
        approved_at: None,
        expires_at: at(99),
        state: OrderState::Requested,
        sent_at: None,
        sent_after: 0,
        spool_id: None,
        settled_at: None,
        detail: String::new(),
        content_bytes: 0,
        told: false,
    }
}

fn change(what: &str) -> OrderChange {
    OrderChange { at: at(9), who: "ann".to_owned(), what: what.to_owned() }
}

fn by(what: &str) -> (Actor, Deed) {
    let deed = Deed {
        at: at(9),
        role: "operator".to_owned(),
        method: what.to_owned(),
        resource: String::new(),
        detail: String::new(),
        outcome: Outcome::Done,
        request_id: None,
        before: None,
        after: None,
    };
    (Actor { name: "ann".to_owned(), peer: None }, deed)
}

/// Who did it, and what is answered: the order's number.
fn noted(method: &'static str, request_id: &'static str) -> Note<Order> {
    Box::new(move |stored: &Order| {
        let (actor, deed) = by(method);
        let deed = Deed { resource: format!("orders/{}", stored.id), request_id: Some(request_id.to_owned()), ..deed };
        let (request_id, body) = (request_id.to_owned(), stored.id.to_be_bytes().to_vec());
        Noted { actor, deed, answer: Some(Answer { request_id, digest: Sha256Hash([7; 32]), body }) }
    })
}

/// The behaviours of this file.
pub(crate) fn all<S: Store + Orders + Audit>() -> Vec<Behaviour<S>> {
    vec![
        ("orders_are_kept_with_every_change_and_who_did_it", kept::<S> as fn(&S)),
        ("orders_are_found_by_what_is_still_to_happen", found::<S>),
        ("the_switch_of_orders_is_kept", switch::<S>),
        ("only_the_event_lane_of_the_agent_is_read_for_answers", answers::<S>),
    ]
}

fn kept<S: Store + Orders + Audit>(store: &S) {
    let made = store.put_order(asked(), change("request"), None, Some(noted("Request", "r-1"))).unwrap();
    let other = store.put_order(asked(), change("request"), None, None).unwrap();
    assert!(made.id > 0 && made.revision == 1 && other.id != made.id);
    assert!(made.wire_id.len() == 32 && made.wire_id != other.wire_id);
    let sent = Order { state: OrderState::Sent, sent_at: Some(at(5)), ..made.clone() };
    let sent = store.put_order(sent, change("send"), None, None).unwrap();
    let late = store.put_order(Order { state: OrderState::Rejected, ..made.clone() }, change("reject"), None, None);
    assert!(matches!(late, Err(StoreError::Conflict { .. })));
    let lost = Order { state: OrderState::Rejected, ..made.clone() };
    let lost = store.put_order(lost, change("reject"), None, Some(noted("Reject", "r-3")));
    assert!(matches!(lost, Err(StoreError::Conflict { .. })));
    let answered = |id: &str| store.answered("ann", id, at(1)).unwrap().map(|answer| answer.body);
    assert_eq!(answered("r-1"), Some(made.id.to_be_bytes().to_vec()), "with the order");
    assert_eq!(answered("r-3"), None, "nor is what was not done");
    let file = OrderFile { media_type: "application/json".to_owned(), content: b"{}".to_vec() };
    let done = Order { state: OrderState::Done, told: true, ..sent };
    let done = store.put_order(done, change("done"), Some(file.clone()), Some(noted("Answer", "r-2"))).unwrap();
    assert_eq!((done.content_bytes, store.order_file(done.id).unwrap()), (2, Some(file)));
    let (order, changes) = store.order(done.id).unwrap().unwrap();
    assert_eq!(order, done);
    assert_eq!(changes.iter().map(|c| c.what.as_str()).collect::<Vec<_>>(), ["request", "send", "done"]);
    assert_eq!(store.order(99).unwrap(), None);
    let filter = AuditFilter { resource: Some(format!("orders/{}", done.id)), ..AuditFilter::default() };
    let audited = store.audited(&filter, &Page::first(9)).unwrap().rows;
    assert_eq!(audited.into_iter().map(|e| e.deed.method).collect::<Vec<_>>(), ["Answer", "Request"]);
}

fn found<S: Store + Orders + Audit>(store: &S) {
    let ticket = Some(TicketNumber(7));
    let put = |order: Order| store.put_order(order, change("x"), None, None).unwrap().id;
    let open = put(asked());
    let untold = put(Order { state: OrderState::Done, sent_at: Some(at(5)), ticket, ..asked() });
    let over = put(Order { state: OrderState::Done, sent_at: Some(at(3)), told: true, ..asked() });
    let ids = |orders: Vec<Order>| orders.into_iter().map(|o| o.id).collect::<Vec<_>>();
    assert_eq!(ids(store.pending_orders().unwrap()), [open, untold]);
    assert_eq!(ids(store.orders_sent_since(at(4)).unwrap()), [untold]);
    assert_eq!(ids(store.orders_sent_since(at(3)).unwrap()), [untold, over]);
    let all = OrderFilter::default();
    let first = store.orders(&all, &Page::first(2)).unwrap();
    assert_eq!(ids(first.rows), [over, untold]);
    assert_eq!(ids(store.orders(&all, &Page::after(first.next.unwrap(), 2)).unwrap().rows), [open]);
    let filter = |open, ticket| OrderFilter { open, ticket };
    assert_eq!(ids(store.orders(&filter(true, None), &Page::first(9)).unwrap().rows), [open]);
    assert_eq!(ids(store.orders(&filter(false, ticket), &Page::first(9)).unwrap().rows), [untold]);
}

fn switch<S: Store + Orders + Audit>(store: &S) {
    assert_eq!(store.order_switch().unwrap(), None);
    for stopped in [true, false] {
        let switch = OrderSwitch { stopped, who: "ann".to_owned(), why: "odd answers".to_owned(), at: at(4) };
        let note = Box::new(move |_: &OrderSwitch| {
            let (actor, deed) = by("Stop");
            Noted { actor, deed, answer: None }
        });
        assert_eq!(store.set_order_switch(switch.clone(), note).unwrap(), switch);
        assert_eq!(store.order_switch().unwrap(), Some(switch));
    }
    assert_eq!(store.audited(&AuditFilter::default(), &Page::first(9)).unwrap().rows.len(), 2);
}

fn answers<S: Store + Orders + Audit>(store: &S) {
    use outband_schemas::Lane;
    assert_eq!(store.last_log_row().unwrap(), 0);
    let one = store.hello(&make::hello("a1", 1), at(1)).unwrap().epoch;
    let two = store.hello(&make::hello("a2", 2), at(1)).unwrap().epoch;
    store.commit(make::batch(one, Lane::Event, 1, &["first", "second"]), at(2)).unwrap();
    store.commit(make::batch(one, Lane::Telemetry, 1, &["reading"]), at(2)).unwrap();
    let others = make::batch(two, Lane::Event, 1, &["other"]);
    let others = IncomingBatch { agent: make::agent("a2"), spool_id: make::spool(2), ..others };
    store.commit(others, at(2)).unwrap();
    let agent = AgentId::new("a1").unwrap();
    let rows = store.event_rows_after(&agent, 0, 9).unwrap();
    assert_eq!(rows.iter().map(|r| r.body.as_slice()).collect::<Vec<_>>(), [&b"first"[..], b"second"]);
    assert_eq!(store.event_rows_after(&agent, rows[0].id, 9).unwrap().len(), 1);
    assert_eq!(store.last_log_row().unwrap(), 4);
}
