//! What is older than its term goes from a store that is kept in order, as its clock moves on: exactly that, and it is told.

#![allow(clippy::unwrap_used, reason = "tests")]

use outband_collector::config::Config;
use outband_collector::judgement::{self, Judgement};
use outband_collector::upkeep;
use outband_schemas::{Clock, ComponentClass, ComponentId, ServerId, SiteId, Timestamp};
use outband_store::audit::{Audit, AuditFilter};
use outband_store::sqlite::Options;
use outband_store::{Applied, Page, Retention, SqliteStore, Store, TicketFilter, TicketWrite};
use outband_ticket::{Action, Command, Opening, Priority, Resolution, Ticket, TicketNumber, apply};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_util::sync::CancellationToken;

/// A clock that stands on a day, and knows whether somebody looked.
#[derive(Debug)]
struct Hand(i64, AtomicBool);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        self.1.store(true, Ordering::SeqCst);
        at(self.0)
    }
}

fn at(day: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + day * 86_400)
}

/// Writes a ticket that was opened on that day, and closed on this one.
fn put(store: &SqliteStore, number: u64, opened: i64, closed: Option<i64>) {
    let opening = Opening {
        number: TicketNumber(number),
        priority: Priority::P2,
        title: "Disk failed".to_owned(),
        site: Some(SiteId::new("dc1").unwrap()),
        server: ServerId::new("srv-1").unwrap(),
        component: ComponentId::new(ComponentClass::Disk, format!("Bay {number}")).unwrap(),
        fault: "disk_failure".to_owned(),
        rule: "disk.says_so".to_owned(),
        predicted: false,
        reason: "the drive says so".to_owned(),
        evidence: Vec::new(),
        onset: at(opened),
        part_serial: None,
    };
    let (mut ticket, first) = Ticket::open(opening, "collector", at(opened));
    let mut transitions = vec![first];
    let ends = [Action::Start, Action::Resolve { resolution: Resolution::Repaired }, Action::Close];
    for (action, day) in ends.into_iter().zip(closed.iter().cycle()) {
        let command = Command { who: "wang".to_owned(), why: String::new(), action };
        let entry = apply(&ticket, command, at(*day)).unwrap();
        ticket = ticket.after(&entry);
        transitions.push(entry);
    }
    let write = TicketWrite { ticket, expected_revision: None, transitions };
    store.apply(Applied { tickets: vec![write], ..Applied::default() }, at(opened)).unwrap();
}

fn numbers(store: &SqliteStore) -> Vec<u64> {
    let all = store.tickets(&TicketFilter::default(), &Page::first(100)).unwrap().rows;
    all.iter().map(|row| row.ticket.number.0).collect()
}

/// What the audit log says of tickets that went, newest first.
fn told(store: &SqliteStore) -> Vec<String> {
    let all = store.audited(&AuditFilter::default(), &Page::first(100)).unwrap().rows;
    all.into_iter().filter(|e| e.deed.resource == "tickets").map(|e| e.deed.detail).collect()
}

/// Keeps the store in order on that day, once.
async fn keep(store: &SqliteStore, day: i64) {
    let clock = Arc::new(Hand(day, AtomicBool::new(false)));
    let terms = upkeep::Terms::new(Retention { ticket_days: 10, ..Retention::default() });
    let judgement = Judgement::new(judgement::Terms::try_from(&Config::default()).unwrap());
    let stop = CancellationToken::new();
    let running = tokio::spawn(upkeep::run(store.clone(), clock.clone(), terms, judgement, stop.clone()));
    while !clock.1.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    // What is under way is finished first.
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn as_the_clock_moves_on_each_ticket_goes_when_its_term_is_over_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    put(&store, 1, 0, Some(1));
    put(&store, 2, 0, Some(5));
    put(&store, 3, 0, None);
    let steps: [(i64, &[u64], usize); 5] =
        [(10, &[3, 2, 1], 0), (12, &[3, 2], 1), (14, &[3, 2], 1), (16, &[3], 2), (2000, &[3], 2)];
    for (day, left, gone) in steps {
        keep(&store, day).await;
        assert_eq!(numbers(&store), left, "day {day}");
        let told = told(&store);
        assert_eq!(told.len(), gone, "day {day}: {told:?}");
        assert!(told.first().is_none_or(|told| told.ends_with(&format!(": {gone}"))), "{told:?}");
    }
    assert_eq!(store.verify_audit(None).unwrap().broken, None);
}
