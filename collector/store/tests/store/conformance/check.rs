//! Health checks.

use crate::conformance::Behaviour;
use outband_schemas::{ServerId, Timestamp};
use outband_store::check::{Check, CheckFilter, CheckState, Checks};
use outband_store::{Page, Retention, Store, StoreError};

fn check(server: &str, plan: Option<&str>) -> Check {
    Check {
        id: 0,
        revision: 0,
        server: ServerId::new(server).unwrap(),
        requester: "ann".to_owned(),
        plan: plan.map(str::to_owned),
        requested_at: Timestamp::from_secs(1_000),
        state: CheckState::Waiting,
        why: String::new(),
        asked: None,
        unread: Vec::new(),
        ended_at: None,
        report: None,
    }
}

fn over(check: Check) -> Check {
    let report = Some(serde_json::json!({ "score": 97 }));
    Check { state: CheckState::Done, revision: check.revision + 1, report, ..check }
}

/// The behaviours of this file.
pub(crate) fn all<S: Store + Checks>() -> Vec<Behaviour<S>> {
    vec![
        ("a_check_goes_on_from_the_revision_that_is_stored_and_no_other", goes_on::<S>),
        ("a_turn_checks_a_server_once", once::<S>),
        ("checks_are_listed_newest_first_page_by_page", listed::<S>),
        ("what_is_over_goes_when_its_term_is_over_and_what_is_open_stays", expires::<S>),
    ]
}

fn goes_on<S: Store + Checks>(store: &S) {
    let stored = store.put_check(check("srv-1", None)).unwrap();
    assert_eq!((stored.id, stored.revision), (1, 1));
    assert_eq!(store.open_checks().unwrap(), std::slice::from_ref(&stored));
    let ended = store.put_check(over(stored.clone())).unwrap();
    assert_eq!(store.health_check(1).unwrap(), Some(ended));
    assert_eq!(store.open_checks().unwrap(), []);
    assert!(matches!(store.put_check(over(stored)), Err(StoreError::Conflict { .. })));
    assert_eq!(store.health_check(9).unwrap(), None);
}

fn once<S: Store + Checks>(store: &S) {
    store.put_check(check("srv-1", Some("2026-02-01"))).unwrap();
    assert!(matches!(store.put_check(check("srv-1", Some("2026-02-01"))), Err(StoreError::Conflict { .. })));
    store.put_check(check("srv-2", Some("2026-02-01"))).unwrap();
    store.put_check(check("srv-1", None)).unwrap();
    store.put_check(check("srv-1", None)).unwrap();
    let had: Vec<String> = store.checked_in("2026-02-01").unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(had, ["srv-1", "srv-2"]);
}

fn listed<S: Store + Checks>(store: &S) {
    for server in ["srv-1", "srv-2", "srv-1"] {
        store.put_check(check(server, None)).unwrap();
    }
    let of = |filter: &CheckFilter, page: &Page| {
        let listing = store.health_checks(filter, page).unwrap();
        (listing.rows.iter().map(|c| c.id).collect::<Vec<_>>(), listing.next)
    };
    let (first, next) = of(&CheckFilter::default(), &Page::first(2));
    assert_eq!(first, [3, 2]);
    assert_eq!(of(&CheckFilter::default(), &Page::after(next.unwrap(), 2)), (vec![1], None));
    let one = CheckFilter { server: Some(ServerId::new("srv-1").unwrap()) };
    assert_eq!(of(&one, &Page::first(9)), (vec![3, 1], None));
}

fn expires<S: Store + Checks>(store: &S) {
    store.put_check(check("srv-1", None)).unwrap();
    let second = store.put_check(check("srv-2", None)).unwrap();
    store.put_check(over(second)).unwrap();
    let retention = Retention { event_days: 1, ..Retention::default() };
    store.expire(Timestamp::from_secs(1_000 + 86_400), &retention).unwrap();
    assert!(store.health_check(2).unwrap().is_some(), "its term is not over");
    store.expire(Timestamp::from_secs(1_001 + 86_400), &retention).unwrap();
    assert!(store.health_check(2).unwrap().is_none() && store.health_check(1).unwrap().is_some());
}
