//! A month of tickets of two sites, and the reports of it.

use outband_collector::config::Config;
use outband_collector::discretion;
use outband_collector::judgement::Terms;
use outband_collector::report::period::Period;
use outband_collector::report::sla::Scope;
use outband_collector::report::{Report, gather};
use outband_collector::service::Service;
use outband_collector::sight::Sight;
use outband_collector::token::{Principal, Role};
use outband_collector::topology::Topology;
use outband_collector::words::Audience;
use outband_schemas::{ComponentId, Identity, ServerId, SiteId, Timestamp};
use outband_store::maintenance::{Maintenance, Selector, Window, WindowChange, WindowKind};
use outband_store::sqlite::Options;
use outband_store::{Applied, ServerRecord, SqliteStore, Store, TicketWrite};
use outband_ticket::{
    Action, Command, Opening, Priority, Resolution, Ticket, TicketNumber, Transition, Verdict, Visibility, apply,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Minutes from 2026-10-01T00:00+08:00 on.
pub fn t(minute: i64) -> Timestamp {
    "2026-09-30T16:00:00Z"
        .parse::<Timestamp>()
        .map(|t| Timestamp::from_millis(t.as_millis() + minute * 60_000))
        .unwrap()
}

pub const DAY: i64 = 1440;
pub const EVIL: &str = "=HYPERLINK(\"http://evil\",\"x\") <script>alert(1)</script> | a,b\nnext";

pub fn server(id: &str, site: &str) -> ServerRecord {
    ServerRecord {
        id: ServerId::new(id).unwrap(),
        site: SiteId::new(site).unwrap(),
        identity: Identity { serial: Some(format!("SN-{id}")), model: Some("R750".to_owned()), ..Identity::default() },
        targets: Vec::new(),
        first_seen: t(-90 * DAY),
        last_seen: t(60 * DAY),
        merged_into: None,
        rev: 0,
    }
}

pub fn opened(number: u64, of: &str, priority: Priority, minute: i64, title: &str) -> (Ticket, Vec<Transition>) {
    let opening = Opening {
        number: TicketNumber(number),
        priority,
        title: title.to_owned(),
        site: None,
        server: ServerId::new(of).unwrap(),
        component: format!("disk/Bay {number}").parse::<ComponentId>().unwrap(),
        fault: "disk_failure".to_owned(),
        rule: "disk.says_so".to_owned(),
        predicted: false,
        reason: "the drive reports a failure".to_owned(),
        evidence: Vec::new(),
        onset: t(minute),
        part_serial: Some("OLD-1".to_owned()),
    };
    let (ticket, first) = Ticket::open(opening, "collector", t(minute));
    (ticket, vec![first])
}

pub fn then((ticket, mut log): (Ticket, Vec<Transition>), minute: i64, action: Action) -> (Ticket, Vec<Transition>) {
    let command = Command { who: "wang".to_owned(), why: "internal reason".to_owned(), action };
    let entry = apply(&ticket, command, t(minute)).unwrap();
    log.push(entry.clone());
    (ticket.after(&entry), log)
}

pub fn put(store: &SqliteStore, servers: Vec<ServerRecord>, tickets: Vec<(Ticket, Vec<Transition>)>) {
    let tickets = tickets
        .into_iter()
        .map(|(ticket, transitions)| TicketWrite { ticket, expected_revision: None, transitions })
        .collect();
    store.apply(Applied { servers, tickets, ..Applied::default() }, t(0)).unwrap();
}

/// From 02:00 to 04:00 in Shanghai on the first Sunday of a month.
pub fn window(site: &str, name: &str) -> WindowChange {
    let window = Window {
        id: 0,
        kind: WindowKind::Maintenance,
        name: name.to_owned(),
        selector: Selector { site: Some(site.to_owned()), ..Selector::default() },
        starts: "2026-01-01T02:00".to_owned(),
        lasts_secs: 7200,
        zone: "Asia/Shanghai".to_owned(),
        recurrence: Some("FREQ=MONTHLY;BYDAY=1SU".to_owned()),
        reason: "firmware, ask wang, 13800000000".to_owned(),
        author: "wang".to_owned(),
        created_at: t(-DAY),
        ended_at: None,
        revision: 1,
    };
    WindowChange { at: t(-DAY), who: "wang".to_owned(), what: "create".to_owned(), window }
}

/// Two sites, and tickets of every kind.
pub fn fill(store: &SqliteStore) {
    let assign = || Action::Assign { to: "wang".to_owned() };
    let resolve = |resolution| Action::Resolve { resolution };
    let repaired = |number, of: &str, minute: i64, title: &str| {
        let ticket = then(opened(number, of, Priority::P2, minute, title), minute + 5, assign());
        let ticket = then(ticket, minute + 30, Action::WaitForParts);
        let said = |text: &str, visibility| Action::Comment { text: text.to_owned(), visibility };
        let ticket =
            then(ticket, minute + 40, said("why 1: the drive is old\nprevent: watch its age", Visibility::Customer));
        let ticket = then(ticket, minute + 41, said("why 2: we forgot it", Visibility::Internal));
        let ticket = then(ticket, minute + 350, Action::Resume);
        let ticket = then(ticket, minute + 360, Action::Locate { root_cause: "worn out".to_owned() });
        let ticket = then(ticket, minute + 400, resolve(Resolution::Repaired));
        then(ticket, minute + 401, Action::Verdict { verdict: Verdict::Confirmed, detail: String::new(), part: None })
    };
    let tickets = vec![
        repaired(1, "srv-1", 0, EVIL),
        repaired(2, "srv-2", 100, "+disk of another site"),
        then(opened(3, "srv-1", Priority::P1, 200, "recovered"), 203, resolve(Resolution::Recovered)),
        then(opened(4, "srv-1", Priority::P1, 300, "nothing"), 390, resolve(Resolution::FalseAlarm)),
        then(opened(5, "srv-1", Priority::P1, 400, "drill"), 401, Action::Drill),
        opened(6, "srv-1", Priority::P3, 30 * DAY, "still open"),
        // In October in Shanghai, in September in UTC.
        then(then(opened(7, "srv-1", Priority::P2, 60, "early"), 70, assign()), 100, resolve(Resolution::Repaired)),
    ];
    put(store, vec![server("srv-1", "dc1"), server("srv-2", "dc2")], tickets);
    for (site, name) in [("dc1", EVIL), ("dc2", "elsewhere")] {
        store.put_window(&window(site, name), None).unwrap();
    }
}

pub fn store() -> (tempfile::TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    (dir, store)
}

pub fn terms() -> Terms {
    let service = "[customers.acme]\nname = 'Acme'\nzone = 'UTC'\n[sites.dc1]\nzone = 'Asia/Shanghai'\n\
        [packages.gold]\nclocks = []\n[contracts.acme-2026]\ncustomer = 'acme'\npackage = 'gold'\n\
        from = '2026-01-01'\nuntil = '2026-12-31'\n";
    let topology = "server,model,customer\nsrv-1,PowerEdge R750,acme\nsrv-2,,acme\n";
    Terms::try_from(&Config::default())
        .unwrap()
        .with_service(Service::parse(service).unwrap(), Vec::new())
        .with_topology(Topology::parse(topology).unwrap())
}

pub fn all() -> Sight {
    let (role, name) = (Role::Operator, "operator".to_owned());
    let (sites, customers) = (BTreeSet::new(), BTreeSet::new());
    let principal = Principal { role, name, shared: true, sites, customers, only: None };
    Sight::of(&principal, Arc::new(terms()), t(0))
}

pub fn reports(store: &SqliteStore) -> Vec<Report> {
    let (terms, scope) = (terms(), Scope { customer: None, site: Some("dc1".to_owned()) });
    let month = || Period::parse("2026-10", &gather::zone(&terms, &scope, None)).unwrap();
    let now = t(70 * DAY);
    let fault = gather::fault(
        store,
        &terms,
        &all(),
        TicketNumber(1),
        (Audience::Operator, &discretion::Reader::default()),
        now,
    )
    .unwrap()
    .unwrap();
    vec![
        Report::Sla(Box::new(gather::sla(store, &terms, &all(), month(), scope.clone(), now).unwrap())),
        Report::Reliability(gather::reliability(store, &terms, &all(), month(), scope.clone(), now).unwrap()),
        Report::Fault(Box::new(fault), jiff::tz::TimeZone::get("Asia/Shanghai").unwrap()),
    ]
}
