//! Drills, thresholds, and what a restart asks for.

use super::Behaviour;
use super::make::*;
use outband_health::Stage;
use outband_schemas::Timestamp;
use outband_store::audit::{Actor, Answer, Audit, AuditFilter, Deed, Note, Noted, Outcome, Sha256Hash};
use outband_store::drill::{Drill, DrillChange, Drills};
use outband_store::keeping::{Hold, Keeping};
use outband_store::maintenance::{Maintenance, Selector};
use outband_store::recall::{BmcFirmware, Recall};
use outband_store::threshold::{Threshold, ThresholdChange, Thresholds};
use outband_store::{Applied, Made, NoticeFilter, Outbox, Page, Store, StoreError};
use outband_ticket::TicketNumber;
use std::cell::Cell;
use std::collections::BTreeSet;

fn drill(plan: Option<&str>) -> DrillChange {
    let drill = Drill {
        id: 0,
        server: server_id("s1"),
        component: None,
        fault: "disk_failure".to_owned(),
        pages: true,
        reason: "night duty".to_owned(),
        runbook: String::new(),
        author: "ann".to_owned(),
        plan: plan.map(str::to_owned),
        starts_at: at(1),
        ends_at: at(100),
        ended_at: None,
        revision: 0,
    };
    DrillChange { at: at(1), who: "ann".to_owned(), what: "start".to_owned(), drill }
}

/// A drill is kept until somebody ends it, and a plan makes one drill a turn.
fn drills_are_kept_and_a_plan_makes_one_a_turn<S: Drills>(store: &S) {
    let one = store.put_drill(&drill(None), None).unwrap();
    let two = store.put_drill(&drill(Some("night/2026-Q4")), None).unwrap();
    assert_eq!((one.id, one.revision, two.id), (1, 1, 2));
    assert!(matches!(store.put_drill(&drill(Some("night/2026-Q4")), None), Err(StoreError::Conflict { .. })));
    assert!(store.had_turn("night/2026-Q4").unwrap() && !store.had_turn("night/2027-Q1").unwrap());
    let ended = Drill { ended_at: Some(at(5)), revision: 2, ..one.clone() };
    let change = DrillChange { at: at(5), who: "bob".to_owned(), what: "end".to_owned(), drill: ended.clone() };
    assert_eq!(store.put_drill(&change, None).unwrap(), ended);
    assert!(
        matches!(store.put_drill(&change, None), Err(StoreError::Conflict { .. })),
        "not one revision ahead any more"
    );
    assert_eq!(store.drills(false).unwrap(), std::slice::from_ref(&two));
    assert_eq!(store.drills(true).unwrap(), [ended.clone(), two]);
    assert_eq!((store.drill(1).unwrap(), store.drill(9).unwrap()), (Some(ended), None));
}

/// A threshold is kept with every change of it.
fn thresholds_are_kept_with_every_change<S: Thresholds>(store: &S) {
    let threshold = Threshold {
        id: 0,
        selector: Selector { model: Some("R750".to_owned()), ..Selector::default() },
        parameter: "disk.increases".to_owned(),
        value: 5.0,
        reason: "counts twice".to_owned(),
        author: "ann".to_owned(),
        created_at: at(1),
        until: at(100),
        ended_at: None,
        revision: 0,
    };
    let change = |what: &str, threshold| ThresholdChange { at: at(2), who: "ann".into(), what: what.into(), threshold };
    let kept = store.put_threshold(&change("create", threshold), None).unwrap();
    assert_eq!(store.thresholds(false).unwrap(), std::slice::from_ref(&kept));
    let ended = Threshold { ended_at: Some(at(3)), revision: kept.revision + 1, ..kept.clone() };
    store.put_threshold(&change("end", ended.clone()), None).unwrap();
    assert!(matches!(store.put_threshold(&change("end", ended), None), Err(StoreError::Conflict { .. })));
    assert_eq!((store.thresholds(false).unwrap().len(), store.thresholds(true).unwrap().len()), (0, 1));
    let what: Vec<String> = store.threshold_changes(kept.id).unwrap().into_iter().map(|c| c.what).collect();
    assert_eq!(what, ["create", "end"]);
}

/// What ended is found by when, by its ticket, and the firmware of BMCs is the newest.
fn what_ended_and_which_firmware_is_new_is_known_again<S: Store + Recall>(store: &S) {
    let ended = |name: &str, when: i64, ticket: u64| {
        let mut incident = incident(name, 1, Stage::Ended { at: at(when) });
        incident.ticket = Some(ticket);
        incident
    };
    let open = incident("s3", 1, Stage::Open);
    let firmware = |version: &str, since: Option<Timestamp>| BmcFirmware {
        server: server_id("s1"),
        model: "R750".to_owned(),
        version: version.to_owned(),
        since,
    };
    let some = Applied {
        incidents: vec![ended("s1", 50, 7), ended("s2", 90, 8), open],
        firmware: vec![firmware("7.00", None)],
        ..Applied::default()
    };
    store.apply(some, at(1)).unwrap();
    let more = Applied { firmware: vec![firmware("7.10", Some(at(60)))], ..Applied::default() };
    store.apply(more, at(2)).unwrap();
    let found = |since: i64| -> Vec<u64> {
        store.ended_incidents(at(since)).unwrap().iter().filter_map(|i| i.ticket).collect()
    };
    assert_eq!((found(0), found(50), found(51), found(91)), (vec![7, 8], vec![7, 8], vec![8], vec![]));
    assert_eq!(store.incidents_of(TicketNumber(8)).unwrap(), [ended("s2", 90, 8)]);
    assert_eq!(store.incidents_of(TicketNumber(9)).unwrap(), []);
    assert_eq!(store.bmc_firmwares().unwrap(), [firmware("7.10", Some(at(60)))]);
}

/// What a change is noted with: an entry of the audit log, and the answer to a request.
fn noted<T>(method: &'static str, request_id: &'static str) -> Option<Note<T>> {
    Some(Box::new(move |_: &T| {
        let actor = Actor { name: "ann".to_owned(), peer: None };
        let deed = Deed {
            at: at(4),
            role: "engineer".to_owned(),
            method: method.to_owned(),
            resource: String::new(),
            detail: String::new(),
            outcome: Outcome::Done,
            request_id: Some(request_id.to_owned()),
            before: None,
            after: None,
        };
        let answer = Answer { request_id: request_id.to_owned(), digest: Sha256Hash([1; 32]), body: vec![7] };
        Noted { actor, deed, answer: Some(answer) }
    }))
}

/// Puts something into a room, noted under a request.
type Put<'a> = &'a dyn Fn(&'static str) -> Result<(), StoreError>;

/// A change, its entry in the audit log and the answer to its request are there together or not at all: where the last of them cannot be written, nothing is.
fn a_change_and_what_is_noted_of_it_are_kept_together_or_not_at_all<
    S: Store + Drills + Thresholds + Maintenance + Keeping + Outbox + Audit,
>(
    store: &S,
) {
    store.begin_outbox("i1", at(1)).unwrap();
    let opened = new_ticket(store, "s1", "Bay 1");
    let ticket = opened.ticket.number.0;
    store.apply(Applied { tickets: vec![opened], ..applied(&["s1"]) }, at(3)).unwrap();
    let notices = vec![super::outbox::draft(ticket, "li")];
    store.make_notices(Made { through: 0, marks: Vec::new(), notices }, at(4)).unwrap();
    let notice = store.notices(&NoticeFilter::default(), &Page::first(9)).unwrap().rows[0].clone();
    let threshold = Threshold {
        id: 0,
        selector: Selector::default(),
        parameter: "disk.increases".to_owned(),
        value: 5.0,
        reason: String::new(),
        author: "ann".to_owned(),
        created_at: at(1),
        until: at(100),
        ended_at: None,
        revision: 0,
    };
    let threshold = ThresholdChange { at: at(2), who: "ann".to_owned(), what: "create".to_owned(), threshold };
    let window = super::maintenance::change("create", super::maintenance::window());
    let hold = Hold {
        id: 0,
        of: "customers/acme".to_owned(),
        servers: BTreeSet::from([server_id("s1")]),
        reason: "case 7".to_owned(),
        author: "ann".to_owned(),
        created_at: at(1),
        released: None,
        revision: 0,
    };
    let tries = Cell::new(0);
    // One by one: it is kept with its note; the same under a request that was answered already is not kept.
    let put: [(&'static str, Put<'_>); 5] = [
        ("drill", &|id| store.put_drill(&drill(None), noted("drill", id)).map(|_| ())),
        ("threshold", &|id| store.put_threshold(&threshold, noted("threshold", id)).map(|_| ())),
        ("window", &|id| store.put_window(&window, noted("window", id)).map(|_| ())),
        ("hold", &|id| store.put_hold(&hold, noted("hold", id)).map(|_| ())),
        ("notice", &|id| {
            tries.set(tries.get() + 1);
            store.replay_notice(notice.id, at(49 + tries.get()), noted("notice", id)).map(|_| ())
        }),
    ];
    for (room, put) in &put {
        put(room).unwrap();
        let again = put(room);
        assert!(matches!(again, Err(StoreError::Conflict { .. })), "{room}: {again:?}");
        assert_eq!(store.answered("ann", room, at(5)).unwrap().map(|a| a.body), Some(vec![7]), "{room}");
    }
    let kept = [
        store.drills(true).unwrap().len(),
        store.thresholds(true).unwrap().len(),
        store.windows(true).unwrap().len(),
        store.holds().unwrap().len(),
    ];
    assert_eq!(kept, [1; 4]);
    let mut noted: Vec<String> = store
        .audited(&AuditFilter::default(), &Page::first(99))
        .unwrap()
        .rows
        .into_iter()
        .map(|e| e.deed.method)
        .collect();
    noted.sort();
    assert_eq!(noted, ["drill", "hold", "notice", "threshold", "window"]);
    assert_eq!(store.notice(notice.id).unwrap().unwrap().draft.not_before, at(50), "not replayed again at 51");
}

/// The behaviours of this file.
pub(crate) fn all<S: Store + Drills + Thresholds + Recall + Maintenance + Keeping + Outbox + Audit>()
-> Vec<Behaviour<S>> {
    vec![
        (
            "a_change_and_what_is_noted_of_it_are_kept_together_or_not_at_all",
            a_change_and_what_is_noted_of_it_are_kept_together_or_not_at_all::<S> as fn(&S),
        ),
        ("drills_are_kept_and_a_plan_makes_one_a_turn", drills_are_kept_and_a_plan_makes_one_a_turn::<S> as fn(&S)),
        ("thresholds_are_kept_with_every_change", thresholds_are_kept_with_every_change::<S>),
        (
            "what_ended_and_which_firmware_is_new_is_known_again",
            what_ended_and_which_firmware_is_new_is_known_again::<S>,
        ),
    ]
}
