//! Deadlines over a real store, with time as an argument.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use super::*;
use crate::config::Config;
use outband_schemas::{ComponentClass, ComponentId, Identity, ServerId, SiteId};
use outband_store::sqlite::Options;
use outband_store::{Applied, Sequence, ServerRecord, SqliteStore, TicketWrite};
use outband_ticket::{Action, Command, Opening, Priority, Resolution, SlaPolicy, Ticket, TicketNumber, apply};

struct House {
    dir: tempfile::TempDir,
    store: SqliteStore,
    terms: Arc<Terms>,
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

fn open(dir: &std::path::Path) -> SqliteStore {
    SqliteStore::open(&Options::new(dir)).unwrap()
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        Self { dir, store, terms: Arc::new(Terms::try_from(&Config::default()).unwrap()) }
    }

    /// Opens P2 tickets, one each second from `first` on: due after 15 min, 1 h and 4 h.
    fn tickets(&self, count: i64, first: i64) -> Vec<TicketNumber> {
        let (server, site) = (ServerId::new("s1").unwrap(), SiteId::new("dc1").unwrap());
        let mut applied = Applied::default();
        applied.servers.push(ServerRecord {
            id: server.clone(),
            site,
            identity: Identity::default(),
            targets: Vec::new(),
            first_seen: at(0),
            last_seen: at(0),
            merged_into: None,
            rev: 0,
        });
        let mut numbers = Vec::new();
        for i in 0..count {
            let number = TicketNumber(self.store.reserve(Sequence::Ticket).unwrap());
            let opening = Opening {
                number,
                priority: Priority::P2,
                title: String::new(),
                site: None,
                server: server.clone(),
                component: ComponentId::new(ComponentClass::Disk, number.to_string()).unwrap(),
                fault: "disk_failure".to_owned(),
                rule: String::new(),
                predicted: false,
                reason: String::new(),
                evidence: Vec::new(),
                onset: at(0),
                part_serial: None,
            };
            let (ticket, entry) = Ticket::open(opening, "collector", at(first + i));
            applied.tickets.push(TicketWrite { ticket, expected_revision: None, transitions: vec![entry] });
            numbers.push(number);
        }
        self.store.apply(applied, at(first + count)).unwrap();
        numbers
    }

    fn act(&self, number: TicketNumber, action: Action, now: Timestamp) {
        let record = self.store.ticket(number).unwrap().unwrap();
        let command = Command { who: "li".to_owned(), why: String::new(), action };
        let entry = apply(&record.ticket, command, now).unwrap();
        let expected_revision = Some(record.ticket.revision);
        let write = TicketWrite { ticket: record.ticket.after(&entry), expected_revision, transitions: vec![entry] };
        self.store.update_ticket(write).unwrap();
    }

    fn watch(&self) -> Watch<SqliteStore> {
        Watch::load(self.store.clone()).unwrap()
    }

    fn breaches(&self, number: TicketNumber) -> Vec<(String, Timestamp)> {
        let log = self.store.ticket(number).unwrap().unwrap().log;
        log.iter()
            .filter(|e| matches!(e.action, Action::Breach { .. }))
            .map(|e| (e.action.word().into(), e.at))
            .collect()
    }
}

fn settle(watch: &mut Watch<SqliteStore>, terms: &Arc<Terms>, now: Timestamp) -> usize {
    let mut fired = 0;
    loop {
        let done = watch.step(terms, now).unwrap();
        fired += done.fired;
        if !done.more {
            return fired;
        }
    }
}

#[test]
fn each_clock_of_each_ticket_runs_out_once_and_at_its_time() {
    let house = House::new();
    let numbers = house.tickets(600, 0);
    let mut watch = house.watch();
    let mut fired = 0;
    for second in 0..15_100 {
        // Every half minute; where much falls due, every second.
        if second % 30 == 0 || (3600..3700).contains(&second) {
            fired += settle(&mut watch, &house.terms, at(second));
        }
    }
    assert_eq!(fired, 3 * 600);
    for (i, number) in (0..).zip(numbers) {
        let told = house.breaches(number);
        assert_eq!(
            told.iter().map(|b| b.0.as_str()).collect::<Vec<_>>(),
            ["breach:respond", "breach:locate", "breach:repair"]
        );
        for ((_, when), due) in told.iter().zip([900, 3600, 14_400]) {
            assert!(when.since(at(i + due)) <= Duration::from_secs(31), "{when} is late for {}", at(i + due));
        }
    }
}

#[test]
fn what_falls_due_while_nobody_watches_is_logged_once_when_somebody_does_again() {
    let mut house = House::new();
    let numbers = house.tickets(3, 0);
    assert_eq!(settle(&mut house.watch(), &house.terms, at(10)), 0);
    house.store.close().unwrap();
    let dir = std::mem::replace(&mut house.dir, tempfile::tempdir().unwrap());
    house.store = open(house.dir.path());
    house.store = open(dir.path());
    assert_eq!(settle(&mut house.watch(), &house.terms, at(4000)), 6);
    assert_eq!(settle(&mut house.watch(), &house.terms, at(4001)), 0);
    assert_eq!(house.breaches(numbers[0]).len(), 2);
}

#[test]
fn a_paused_clock_is_not_waited_for_until_it_goes_on() {
    let house = House::new();
    let number = house.tickets(1, 0)[0];
    let mut watch = house.watch();
    house.act(number, Action::Assign { to: "li".to_owned() }, at(60));
    house.act(number, Action::WaitForCustomer, at(120));
    assert_eq!(settle(&mut watch, &house.terms, at(9000)), 0);
    assert_eq!(house.store.due(at(1_000_000), 9).unwrap(), []);
    house.act(number, Action::Resume, at(9000));
    assert_eq!(settle(&mut watch, &house.terms, at(9000 + 3400)), 0);
    assert_eq!(settle(&mut watch, &house.terms, at(9000 + 3600)), 1);
}

#[test]
fn a_ticket_that_is_done_has_no_deadlines() {
    let house = House::new();
    let number = house.tickets(1, 0)[0];
    let mut watch = house.watch();
    settle(&mut watch, &house.terms, at(1));
    house.act(number, Action::Resolve { resolution: Resolution::Repaired }, at(2));
    assert_eq!(settle(&mut watch, &house.terms, at(100_000)), 0);
    assert_eq!(house.store.due(at(1_000_000), 9).unwrap(), []);
}

#[test]
fn other_promises_move_the_deadlines_of_tickets_that_are_open() {
    let house = House::new();
    let number = house.tickets(1, 0)[0];
    let mut watch = house.watch();
    assert_eq!(settle(&mut watch, &house.terms, at(600)), 0);
    let mut strict = Terms::clone(&house.terms);
    let mut policy = SlaPolicy::default();
    let five_minutes = outband_ticket::Allowance::Within(Duration::from_secs(300));
    policy.clocks[0] = policy.clocks[0].clone().with(&[Priority::P2], outband_ticket::Hours::Always, five_minutes);
    strict.policy = policy.into();
    assert_eq!(settle(&mut watch, &Arc::new(strict), at(601)), 1);
    assert_eq!(house.breaches(number), [("breach:respond".to_owned(), at(601))]);
}

#[test]
fn a_clock_that_is_met_in_the_moment_in_which_it_is_due_is_no_breach() {
    let house = House::new();
    let number = house.tickets(1, 0)[0];
    let mut watch = house.watch();
    assert_eq!(settle(&mut watch, &house.terms, at(900)), 0);
    house.act(number, Action::Assign { to: "li".to_owned() }, at(900));
    assert_eq!(settle(&mut watch, &house.terms, at(901)), 0);
}

fn bought(house: &House, package: &str, within: &str) -> Arc<Terms> {
    let text = format!(
        "[customers.a]\nname = 'A'
         [contracts.c]\ncustomer = 'a'\npackage = '{package}'\nfrom = '2027-01-01'\nuntil = '2027-12-31'\nsites = ['dc1']
         [packages.{package}]\nclocks = [{{ name = 'repair', targets = {{ P2 = '{within}' }} }}]"
    );
    let service = crate::service::Service::parse(&text).unwrap();
    let revisions = crate::service::keep_revisions(&house.store, house.terms.policy.usual(), &service, at(0)).unwrap();
    Arc::new(Terms::clone(&house.terms).with_service(service, revisions))
}

fn promised(house: &House, number: TicketNumber) -> Option<(String, u32)> {
    house.store.ticket(number).unwrap().unwrap().ticket.policy.map(|p| (p.name, p.revision))
}

#[test]
fn a_new_ticket_names_what_its_contract_promises_and_keeps_it() {
    let house = House::new();
    let number = house.tickets(1, 0)[0];
    let mut watch = house.watch();
    let terms = bought(&house, "gold", "10m");
    settle(&mut watch, &terms, at(1));
    settle(&mut watch, &terms, at(2));
    assert_eq!(promised(&house, number), Some(("gold".to_owned(), 1)));
    assert_eq!(house.store.ticket(number).unwrap().unwrap().log.len(), 2);
    // The package is edited: the ticket keeps what it was promised.
    let terms = bought(&house, "gold", "1m");
    assert_eq!(settle(&mut watch, &terms, at(599)), 0);
    assert_eq!(promised(&house, number), Some(("gold".to_owned(), 1)));
    assert_eq!(settle(&mut watch, &terms, at(601)), 1);
    assert_eq!(house.breaches(number), [("breach:repair".to_owned(), at(601))]);
}

#[test]
fn a_ticket_that_comes_under_another_package_keeps_its_pauses() {
    let house = House::new();
    let number = house.tickets(1, 0)[0];
    let mut watch = house.watch();
    settle(&mut watch, &bought(&house, "silver", "20m"), at(1));
    house.act(number, Action::Assign { to: "li".to_owned() }, at(60));
    house.act(number, Action::WaitForCustomer, at(120));
    house.act(number, Action::Resume, at(420));
    let terms = bought(&house, "gold", "10m");
    assert_eq!(settle(&mut watch, &terms, at(430)), 0);
    assert_eq!(promised(&house, number), Some(("gold".to_owned(), 1)));
    assert_eq!((settle(&mut watch, &terms, at(900)), settle(&mut watch, &terms, at(901))), (0, 1));
}

/// A clock that stands still.
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_cannot_be_read_it_is_tried_again_and_then_goes_on() {
    let house = House::new();
    let number = house.tickets(1, 0)[0];
    let (file, away) = (house.dir.path().join("store.db"), house.dir.path().join("away.db"));
    std::fs::rename(&file, &away).unwrap();
    assert!(house.store.ticket(number).is_err());
    let shutdown = CancellationToken::new();
    let (clock, judgement) = (Arc::new(Still(at(16 * 60))), Judgement::new(Terms::clone(&house.terms)));
    let task = tokio::spawn(run(house.store.clone(), clock, judgement, Pulse::default(), shutdown.clone()));
    let until = std::time::Instant::now() + Duration::from_millis(100);
    while std::time::Instant::now() < until {
        assert!(!task.is_finished(), "it gave up");
        tokio::task::yield_now().await;
    }
    std::fs::rename(&away, &file).unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while house.breaches(number).is_empty() {
        assert!(std::time::Instant::now() < until && !task.is_finished(), "nothing fell due");
        tokio::task::yield_now().await;
    }
    assert_eq!(house.breaches(number), [("breach:respond".to_owned(), at(16 * 60))]);
    shutdown.cancel();
    task.await.unwrap().unwrap();
}
