use super::*;
use outband_schemas::{ComponentClass, ComponentId, ServerId};
use outband_store::audit::Sha256Hash;
use outband_store::sqlite::Options;
use outband_store::{Applied, SqliteStore};
use outband_ticket::{Opening, Priority, Resolution, TicketNumber};
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that is set by hand, in seconds.
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.0.load(Ordering::SeqCst))
    }
}

fn ticket() -> (Ticket, outband_ticket::Transition) {
    let opening = Opening {
        number: TicketNumber(1),
        priority: Priority::P2,
        title: "t".to_owned(),
        site: None,
        server: ServerId::new("srv-1").unwrap(),
        component: ComponentId::lenient(ComponentClass::Disk, "Bay 1"),
        fault: "disk_failure".to_owned(),
        rule: "disk.says_so".to_owned(),
        predicted: false,
        reason: String::new(),
        evidence: Vec::new(),
        onset: Timestamp::from_secs(1),
        part_serial: None,
    };
    Ticket::open(opening, WHO, Timestamp::from_secs(1))
}

fn grant(role: &str) -> Grant {
    Grant {
        id: 1,
        ticket: TicketNumber(1),
        holder: "zhao".to_owned(),
        role: role.to_owned(),
        verified: "called back".to_owned(),
        reason: "log".to_owned(),
        granted_by: "ann".to_owned(),
        granted_at: Timestamp::from_secs(10),
        until: Timestamp::from_secs(100),
        ended: None,
        reminded: false,
    }
}

fn in_state(state: State) -> Ticket {
    Ticket { state, ..ticket().0 }
}

#[test]
fn an_access_ends_when_its_time_is_up_or_its_ticket_is_closed_and_is_reminded_of_once() {
    let at = Timestamp::from_secs;
    let what = |grant: &Grant, state, now| {
        due(grant, &in_state(state), at(now)).map(|(g, step, _)| (g.ended.map(|e| e.1), step))
    };
    assert_eq!(what(&grant("viewer"), State::InProgress, 99), None);
    assert_eq!(what(&grant("viewer"), State::InProgress, 100), Some((Some(GrantEnd::Expired), AccessStep::Ended)));
    assert_eq!(what(&grant("viewer"), State::Closed, 20), Some((Some(GrantEnd::TicketClosed), AccessStep::Ended)));
    assert_eq!(what(&grant("viewer"), State::Resolved, 20), Some((None, AccessStep::Reminded)));
    assert_eq!(what(&Grant { reminded: true, ..grant("viewer") }, State::Resolved, 20), None);
}

/// A store with a ticket and a grant whose token is `secret`.
fn store(role: &str) -> (tempfile::TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    let (ticket, first) = ticket();
    let write = TicketWrite { ticket: ticket.clone(), expected_revision: None, transitions: vec![first] };
    store.apply(Applied { tickets: vec![write], ..Applied::default() }, Timestamp::from_secs(1)).unwrap();
    let grant = grant(role);
    let step = AccessStep::Granted { holder: grant.holder.clone(), role: role.to_owned(), until: grant.until };
    let write = write_of(grant, step, &ticket, 10);
    store.add_grant(write, Sha256Hash(Sha256::digest(b"secret").into())).unwrap();
    (dir, store)
}

fn write_of(grant: Grant, step: AccessStep, ticket: &Ticket, secs: i64) -> GrantWrite {
    let deed = Deed {
        at: Timestamp::from_secs(secs),
        role: "operator".to_owned(),
        method: "m".to_owned(),
        resource: "grants/1".to_owned(),
        detail: String::new(),
        outcome: Outcome::Done,
        request_id: None,
        before: None,
        after: None,
    };
    write(grant, step, "", ticket, Actor { name: "ann".to_owned(), peer: None }, deed).unwrap()
}

#[test]
fn the_door_knows_a_token_for_its_ticket_only_and_only_until_its_time_is_up() {
    let (_dir, store) = store("engineer");
    let clock = Arc::new(Hand(AtomicI64::new(50)));
    let live = Live::of(&store, clock.clone()).unwrap();
    let found = live.find("secret").unwrap();
    assert_eq!((found.role, found.only, found.is_limited()), (Role::Engineer, Some(TicketNumber(1)), true));
    assert!(live.find("secreT").is_none());
    clock.0.store(99, Ordering::SeqCst);
    assert!(live.find("secret").is_some());
    clock.0.store(100, Ordering::SeqCst);
    assert!(live.find("secret").is_none(), "before anything has ended it");
}

#[test]
fn no_token_opens_more_than_an_engineer_may_do_whatever_is_stored() {
    for role in ["operator", "admin", "agent", "customer", "root", ""] {
        let (_dir, store) = store(role);
        let live = Live::of(&store, Arc::new(Hand(AtomicI64::new(50)))).unwrap();
        assert!(live.find("secret").is_none(), "{role}");
    }
}

#[test]
fn what_is_over_is_ended_in_all_logs_and_forgotten_by_the_door() {
    let (_dir, store) = store("viewer");
    let live = Live::of(&store, Arc::new(Hand(AtomicI64::new(50)))).unwrap();
    assert!(!step(&store, Timestamp::from_secs(99)).unwrap());
    assert!(step(&store, Timestamp::from_secs(100)).unwrap());
    assert!(!step(&store, Timestamp::from_secs(101)).unwrap(), "once");
    live.refresh(&store).unwrap();
    assert!(live.find("secret").is_none());
    let record = store.ticket(TicketNumber(1)).unwrap().unwrap();
    assert!(record.ticket.access.is_empty());
    let words: Vec<String> = record.log.iter().map(|e| e.action.word().into_owned()).collect();
    assert_eq!(words, ["open", "access:granted", "access:ended"]);
    assert_eq!(store.grant(1).unwrap().unwrap().ended, Some((Timestamp::from_secs(100), GrantEnd::Expired)));
}

#[test]
fn a_ticket_that_is_resolved_with_an_open_access_says_so_and_ends_it_when_it_closes() {
    let (_dir, store) = store("viewer");
    let moves = |action, secs| {
        let ticket = store.ticket(TicketNumber(1)).unwrap().unwrap().ticket;
        let entry =
            apply(&ticket, Command { who: "ann".to_owned(), why: String::new(), action }, Timestamp::from_secs(secs))
                .unwrap();
        let expected_revision = Some(ticket.revision);
        store
            .update_ticket(TicketWrite { ticket: ticket.after(&entry), expected_revision, transitions: vec![entry] })
            .unwrap();
    };
    moves(Action::Resolve { resolution: Resolution::Repaired }, 20);
    assert!(step(&store, Timestamp::from_secs(21)).unwrap());
    assert!(!step(&store, Timestamp::from_secs(22)).unwrap());
    moves(Action::Close, 30);
    assert!(step(&store, Timestamp::from_secs(31)).unwrap());
    let log = store.ticket(TicketNumber(1)).unwrap().unwrap().log;
    let words: Vec<String> = log.iter().map(|e| e.action.word().into_owned()).collect();
    assert_eq!(words, ["open", "access:granted", "resolve", "access:reminded", "close", "access:ended"]);
}
