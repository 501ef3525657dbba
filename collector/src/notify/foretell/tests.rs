use super::*;
use crate::config::Config;
use outband_schemas::{ComponentClass, ComponentId, ServerId, SiteId};
use outband_store::sqlite::Options;
use outband_store::{Applied, Sequence, SqliteStore};
use outband_ticket::{Opening, Resolution, Ticket};

struct Site {
    store: SqliteStore,
    terms: Arc<Terms>,
    watch: Watch,
    dir: tempfile::TempDir,
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + minutes * 60)
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
        let terms = Arc::new(Terms::try_from(&Config::default()).unwrap());
        Self { store, terms, watch: Watch::default(), dir }
    }

    fn open(&self, slot: &str, minute: i64) -> TicketNumber {
        let number = TicketNumber(self.store.reserve(Sequence::Ticket).unwrap());
        let opening = Opening {
            number,
            priority: Priority::P2,
            title: "Disk failed".to_owned(),
            site: Some(SiteId::new("dc1").unwrap()),
            server: ServerId::new("s1").unwrap(),
            component: ComponentId::new(ComponentClass::Disk, slot).unwrap(),
            fault: "disk_failure".to_owned(),
            rule: "disk.says_so".to_owned(),
            predicted: false,
            reason: String::new(),
            evidence: Vec::new(),
            onset: at(minute),
            part_serial: None,
        };
        let (ticket, entry) = Ticket::open(opening, WHO, at(minute));
        let write = TicketWrite { ticket, expected_revision: None, transitions: vec![entry] };
        self.store.apply(Applied { tickets: vec![write], ..Applied::default() }, at(minute)).unwrap();
        number
    }

    fn does(&self, number: TicketNumber, who: &str, action: Action, minute: i64) {
        let record = self.store.ticket(number).unwrap().unwrap();
        let command = Command { who: who.to_owned(), why: String::new(), action };
        let entry = apply(&record.ticket, command, at(minute)).unwrap();
        let (ticket, expected_revision) = (record.ticket.after(&entry), Some(record.ticket.revision));
        self.store.update_ticket(TicketWrite { ticket, expected_revision, transitions: vec![entry] }).unwrap();
    }

    /// A ticket that somebody began at once and that took so long.
    fn done(&self, minute: i64, took: i64) {
        let number = self.open("9", minute);
        self.does(number, "li", Action::Start, minute);
        self.does(number, "li", Action::Resolve { resolution: Resolution::Repaired }, minute + took);
        self.does(number, "li", Action::Close, minute + took);
    }

    fn look(&mut self, minute: i64) -> usize {
        self.watch.look(&self.store, &self.terms, 75, at(minute)).unwrap()
    }

    /// The clocks that a ticket's log says are likely to be missed, and why.
    fn foretold(&self, number: TicketNumber) -> Vec<(String, String)> {
        let log = self.store.ticket(number).unwrap().unwrap().log;
        let told = log.iter().filter_map(|e| match &e.action {
            Action::Step { target, level: 0, .. } => Some((target.to_string(), e.why.clone())),
            _ => None,
        });
        told.collect()
    }
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
    let site = Site::new();
    let number = site.open("1", 0);
    // A store that was not read yet opens its file for it.
    let store = SqliteStore::clone(&site.store);
    let (file, away) = (site.dir.path().join("store.db"), site.dir.path().join("away.db"));
    std::fs::rename(&file, &away).unwrap();
    assert!(store.ticket(number).is_err());
    let shutdown = CancellationToken::new();
    let judgement = Judgement::new(Terms::clone(&site.terms));
    let telling = Telling::new(crate::config::notify::Notify::default(), judgement.clone());
    let every = Duration::from_millis(5);
    let task = tokio::spawn(look(every, store, Arc::new(Still(at(12))), telling, judgement, shutdown.clone()));
    let until = std::time::Instant::now() + Duration::from_millis(100);
    while std::time::Instant::now() < until {
        assert!(!task.is_finished(), "it gave up");
        tokio::task::yield_now().await;
    }
    std::fs::rename(&away, &file).unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while site.foretold(number).is_empty() {
        assert!(std::time::Instant::now() < until && !task.is_finished(), "nothing was foretold");
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    task.await.unwrap().unwrap();
}

#[test]
fn a_clock_of_a_ticket_that_nobody_touches_is_foretold_once() {
    let mut site = Site::new();
    let number = site.open("1", 0);
    // P2: 15 minutes to respond, one hour to locate, four to repair.
    assert_eq!((site.look(11), site.look(12), site.look(13), site.look(14)), (0, 1, 0, 0));
    let told = site.foretold(number);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, "respond");
    let outlook = Outlook::read(&told[0].1).unwrap();
    assert_eq!((outlook.used_percent, outlook.queue, outlook.due), (80, None, at(15)));
    // Whoever looks anew, after a restart, knows it from the log.
    site.watch = Watch::default();
    assert_eq!(site.look(14), 0);
}

#[test]
fn a_queue_that_takes_too_long_is_foretold_long_before_the_time_is_used() {
    let mut site = Site::new();
    for n in 0..6 {
        site.done(-10_000 + n * 200, 60);
    }
    let numbers: Vec<TicketNumber> = (0..6).map(|n| site.open(&n.to_string(), 0)).collect();
    for number in &numbers {
        site.does(*number, "li", Action::Assign { to: "wang".to_owned() }, 1);
    }
    site.look(2);
    // Each takes an hour of one man, and nearly four hours are left: the sixth is late even if all go faster by a quarter.
    let repairs = |n: &usize| site.foretold(numbers[*n]).iter().any(|(clock, _)| clock == "repair");
    assert_eq!((0..6).filter(repairs).collect::<Vec<_>>(), [5]);
    let (_, why) = site.foretold(numbers[5]).into_iter().find(|(clock, _)| clock == "repair").unwrap();
    let queue = Outlook::read(&why).unwrap().queue.unwrap();
    assert_eq!((queue.ahead, queue.people, queue.each.as_secs(), queue.samples), (5, 1, 3600, 6));
}

#[test]
fn a_ticket_under_way_that_takes_as_long_as_others_did_is_not_foretold() {
    let mut site = Site::new();
    for n in 0..6 {
        site.done(-10_000 + n * 200, 60);
    }
    let number = site.open("1", 0);
    site.does(number, "li", Action::Start, 5);
    site.does(number, "li", Action::Locate { root_cause: "disk".to_owned() }, 10);
    assert_eq!(site.look(50), 0);
}

#[test]
fn nobody_is_told_of_a_ticket_that_is_suppressed_or_waits() {
    let mut site = Site::new();
    let held = site.open("1", 0);
    site.does(held, WHO, Action::Suppress { by: "window 3".to_owned(), until: None }, 1);
    let waits = site.open("2", 0);
    site.does(waits, "li", Action::Start, 1);
    site.does(waits, "li", Action::WaitForCustomer, 2);
    assert_eq!(site.look(55), 0);
}

#[test]
#[ignore = "measures; run with --ignored --nocapture"]
fn what_it_costs_to_look_at_a_hundred_thousand_open_tickets() {
    const TICKETS: u64 = 100_000;
    let mut site = Site::new();
    let mut writes = Vec::new();
    for n in 0..TICKETS {
        let opening = Opening {
            number: TicketNumber(1_000_000 + n),
            priority: Priority::ALL[usize::try_from(n % 4).unwrap()],
            title: "Disk failed".to_owned(),
            site: Some(SiteId::new(format!("dc{}", n % 40)).unwrap()),
            server: ServerId::new(format!("s{}", n / 8)).unwrap(),
            component: ComponentId::new(ComponentClass::Disk, format!("{}", n % 8)).unwrap(),
            fault: "disk_failure".to_owned(),
            rule: "disk.says_so".to_owned(),
            predicted: false,
            reason: String::new(),
            evidence: Vec::new(),
            onset: at(0),
            part_serial: None,
        };
        let (ticket, entry) = Ticket::open(opening, WHO, at(0));
        writes.push(TicketWrite { ticket, expected_revision: None, transitions: vec![entry] });
        if writes.len() == 1000 {
            let tickets = std::mem::take(&mut writes);
            site.store.apply(Applied { tickets, ..Applied::default() }, at(0)).unwrap();
        }
    }
    for n in 0..30 {
        site.done(-10_000 + n * 200, 60);
    }
    let mut timed = |what: &str, minute: i64| {
        let began = std::time::Instant::now();
        let told = site.look(minute);
        eprintln!("{what}: {:.3} s, {told} told", began.elapsed().as_secs_f64());
    };
    timed("the first look, at all of them", 1);
    timed("a look at which nothing changed", 2);
    timed("a look at which nothing changed", 2);
    timed("a look at which the first clocks of many are likely to be missed", 12);
    timed("the look after it", 12);
}
