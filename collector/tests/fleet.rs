//! What the fleet as a whole teaches, over real TLS: counts, rates, survival, spare parts, roll-ups, load; each against a sum made here.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::{Home, WithToken, with_token};
use outband_collector::app::Collector;
use outband_collector::config::Config;
use outband_collector::datadir::DataDir;
use outband_collector::token::{Limits, Role, make_limited};
use outband_health::{Health, Penalty, Status};
use outband_proto::fleet as wire;
use outband_proto::fleet::fleet_service_client::FleetServiceClient;
use outband_proto::fleet::get_survival_response::Axis;
use outband_proto::fleet::spare_proposal::{Basis, Source as From};
use outband_schemas::{
    ComponentId, Identity, Inventory, Part, Quality, Reading, SensorKind, ServerId, SiteId, Source, Timestamp, Value,
};
use outband_store::sqlite::Options;
use outband_store::{
    Applied, HealthRecord, Scope, ServerInventory, ServerReadings, ServerRecord, SqliteStore, Store, TicketWrite,
};
use outband_ticket::{
    Action, Command, Opening, Priority, Resolution, Ticket, TicketNumber, Transition, Verdict, apply,
};
use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tonic::Code;

const MODEL: &str = "ST4000NM0023";
const DISKS: usize = 4;
const SERVERS: usize = 40;
/// Days for which the fleet has been watched.
const DAYS: i64 = 400;

/// So many days before the tests began.
fn ago(days: i64) -> Timestamp {
    static BEGAN: std::sync::LazyLock<i64> = std::sync::LazyLock::new(|| {
        i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap() - 60_000
    });
    Timestamp::from_millis(*BEGAN - days * 86_400_000)
}

fn years(days: i64) -> f64 {
    days as f64 / 365.2425
}

fn id(n: usize) -> ServerId {
    ServerId::new(format!("srv-{n}")).unwrap()
}

fn place(text: &str) -> ComponentId {
    text.parse().unwrap()
}

fn part(component: &str, model: Option<&str>, serial: Option<String>) -> Part {
    Part {
        component: place(component),
        manufacturer: Some("Seagate".to_owned()),
        model: model.map(str::to_owned),
        part_number: model.map(|m| format!("PN-{m}")),
        serial,
        firmware: None,
        capacity_bytes: None,
        source: Source("redfish".to_owned()),
    }
}

fn server(n: usize, site: &str, days: i64) -> ServerRecord {
    ServerRecord {
        id: id(n),
        site: SiteId::new(site).unwrap(),
        identity: Identity { model: Some("R750".to_owned()), ..Identity::default() },
        targets: Vec::new(),
        first_seen: ago(days),
        last_seen: ago(0),
        merged_into: None,
        rev: 0,
    }
}

fn inventory(n: usize, days: i64, parts: Vec<Part>) -> ServerInventory {
    let inventory = Inventory {
        identity: Identity::default(),
        parts,
        bmc_clock_offset_ms: None,
        observed_at: ago(days),
        source: Source("redfish".to_owned()),
    };
    ServerInventory { server: id(n), inventory }
}

/// The disks and fans of a server; serials of disks that were exchanged say so.
fn parts(n: usize, new: &[usize]) -> Vec<Part> {
    let disk = |d: usize| {
        let serial = format!("{}{n}-{d}", if new.contains(&d) { "NEW" } else { "OLD" });
        part(&format!("disk/Bay {d}"), Some(MODEL), Some(serial))
    };
    (0..DISKS).map(disk).chain((0..2).map(|f| part(&format!("fan/Fan {f}"), None, None))).collect()
}

/// Tickets with their logs, numbered in their order after those before.
#[derive(Default)]
struct Tickets {
    before: usize,
    all: Vec<(Ticket, Vec<Transition>)>,
}

impl Tickets {
    fn open(&mut self, n: usize, component: &str, fault: &str, predicted: bool, days: i64) -> &mut Self {
        let opening = Opening {
            number: TicketNumber((self.before + self.all.len() + 1) as u64),
            priority: Priority::P2,
            title: format!("{component} of srv-{n}"),
            site: None,
            server: id(n),
            component: place(component),
            fault: fault.to_owned(),
            rule: if predicted { "disk.smart_growth" } else { "disk.says_so" }.to_owned(),
            predicted,
            reason: "it says so".to_owned(),
            evidence: Vec::new(),
            onset: ago(days),
            part_serial: None,
        };
        let (ticket, first) = Ticket::open(opening, "collector", ago(days));
        self.all.push((ticket, vec![first]));
        self
    }

    fn then(&mut self, days: i64, action: Action) -> &mut Self {
        let (ticket, log) = self.all.last_mut().unwrap();
        let command = Command { who: "wang".to_owned(), why: "because".to_owned(), action };
        let entry = apply(ticket, command, ago(days)).unwrap();
        *ticket = ticket.after(&entry);
        log.push(entry);
        self
    }

    fn said(&mut self, days: i64, verdict: Verdict) -> &mut Self {
        self.then(days, Action::Verdict { verdict, detail: String::new(), part: None })
    }

    fn put(self, store: &SqliteStore) {
        for (ticket, transitions) in self.all {
            let write = TicketWrite { ticket, expected_revision: None, transitions };
            store.apply(Applied { tickets: vec![write], ..Applied::default() }, ago(0)).unwrap();
        }
    }
}

/// 40 servers of dc1 with four disks and two fans each, watched for 400 days. Disks 0 of servers 0, 1 and 2 failed 200 days ago and were
/// exchanged a day later; a fan of server 3 failed 100 days ago.
fn fill(store: &SqliteStore) {
    let servers = (0..SERVERS).map(|n| server(n, "dc1", DAYS)).collect();
    store.apply(Applied { servers, ..Applied::default() }, ago(0)).unwrap();
    let exchanged = |n: usize| if n < 3 { vec![0] } else { Vec::new() };
    for (days, done) in [(DAYS, false), (201, false), (199, true), (0, true)] {
        let new = |n| if done { exchanged(n) } else { Vec::new() };
        let inventories = (0..SERVERS).map(|n| inventory(n, days, parts(n, &new(n)))).collect();
        store.apply(Applied { inventories, ..Applied::default() }, ago(0)).unwrap();
    }
    let mut tickets = Tickets::default();
    for n in 0..3 {
        tickets.open(n, "disk/Bay 0", "disk_failure", false, 200);
        tickets.then(199, Action::Resolve { resolution: Resolution::Repaired });
    }
    tickets.said(198, Verdict::Confirmed);
    tickets.open(3, "fan/Fan 1", "fan_failure", false, 100);
    // What was only foretold, or denied, or is none of the hardware, is no failure.
    tickets.open(4, "disk/Bay 1", "disk_failure", true, 5);
    tickets.open(5, "disk/Bay 1", "disk_failure", false, 50).said(49, Verdict::NoFaultFound);
    tickets.open(6, "server/1", "bmc_silent", false, 40);
    tickets.put(store);
}

async fn start(home: &Home) -> Collector {
    home.start().await
}

async fn client(home: &Home, collector: &Collector) -> FleetServiceClient<WithToken> {
    FleetServiceClient::new(home.operator(collector).await)
}

async fn rates(client: &mut FleetServiceClient<WithToken>, class: &str) -> Vec<wire::FailureRate> {
    let request = wire::ListFailureRatesRequest { class: class.to_owned(), ..Default::default() };
    client.list_failure_rates(request).await.unwrap().into_inner().rates
}

fn near(found: f64, wanted: f64, within: f64) {
    assert!((found - wanted).abs() <= within, "{found} is not {wanted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_count_failures_that_were_seen_and_the_years_in_which_parts_could_fail() {
    let home = Home::new();
    let collector = start(&home).await;
    fill(collector.store());
    let mut client = client(&home, &collector).await;
    let disks = rates(&mut client, "disk").await;
    let disk = &disks[0];
    let model = disk.model.as_ref().unwrap();
    assert_eq!((disks.len(), model.name.as_str(), model.manufacturer.as_str()), (1, MODEL, "Seagate"));
    assert_eq!((disk.failures, disk.verified, disk.in_place, disk.parts), (3, 1, 160, 163));
    // 157 for all 400 days, three until they failed, three since they were put in.
    let watched = 157.0 * years(DAYS) + 3.0 * years(200) + 3.0 * years(199);
    near(disk.years, watched, 1e-6);
    let rate = disk.rate.unwrap();
    near(rate.mean, 3.0 / watched, 1e-9);
    near(rate.low, 0.618_67 / watched, 1e-6);
    near(rate.high, 8.767_27 / watched, 1e-6);
    // A fan tells neither model nor serial: its server's, and the new one in its place goes on.
    let fans = rates(&mut client, "fan").await;
    assert_eq!(fans[0].model.as_ref().unwrap().name, "in R750");
    assert_eq!((fans[0].failures, fans[0].in_place, fans[0].parts), (1, 80, 81));
    near(fans[0].years, 80.0 * years(DAYS), 1e-6);
    // Of the server's model every failure counts.
    let servers = rates(&mut client, "server").await;
    assert_eq!((servers[0].model.as_ref().unwrap().name.as_str(), servers[0].failures), ("R750", 4));
    near(servers[0].years, 40.0 * years(DAYS), 1e-6);
    // Since 150 days ago only the fan failed.
    let request = wire::ListFailureRatesRequest { from_ms: ago(150).as_millis(), ..Default::default() };
    let since = client.list_failure_rates(request).await.unwrap().into_inner();
    let of = |class: &str| since.rates.iter().find(|r| r.model.as_ref().unwrap().class == class).unwrap();
    assert_eq!((of("disk").failures, of("fan").failures, since.unplaced), (0, 1, 0));
    near(of("disk").years, 160.0 * years(150), 1e-6);
    let months = wire::ListMonthlyFailuresRequest { months: 14, class: "disk".to_owned(), ..Default::default() };
    let months = client.list_monthly_failures(months).await.unwrap().into_inner().months;
    assert_eq!(months.iter().map(|m| m.failures).sum::<u64>(), 3);
    near(months.iter().map(|m| m.years).sum(), watched, 1e-6);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_a_verdict_names_instead_of_another_has_failed_and_counts_once() {
    let home = Home::new();
    let collector = start(&home).await;
    let store = collector.store();
    fill(store);
    let mut tickets = Tickets { before: 50, all: Vec::new() };
    let other = |named: &str| Action::Verdict {
        verdict: Verdict::OtherPart,
        detail: String::new(),
        part: Some(named.to_owned()),
    };
    // By its serial, by its place, in a place of which nothing is known, and what is no part.
    tickets.open(7, "memory/A1", "memory_errors", true, 60).then(50, other("OLD7-2"));
    tickets.open(8, "disk/Bay 1", "disk_failure", true, 60).then(50, other("fan/Fan 1"));
    tickets.open(9, "disk/Bay 1", "disk_failure", true, 60).then(50, other("psu/9"));
    tickets.open(10, "chassis/inlet", "overheating", false, 60).then(50, other("a blind"));
    // That fan failed already, as a ticket of its own says.
    tickets.open(3, "disk/Bay 1", "disk_failure", true, 100).then(99, other("fan/Fan 1"));
    tickets.put(store);
    let mut client = client(&home, &collector).await;
    let disks = rates(&mut client, "disk").await;
    assert_eq!(
        (disks[0].failures, disks[0].verified),
        (4, 2),
        "three and OLD7-2, and none of those that were suspected"
    );
    let fans = rates(&mut client, "fan").await;
    assert_eq!((fans[0].failures, fans[0].verified), (2, 2), "one more, and the known one is verified now");
    let answer = client.list_failure_rates(wire::ListFailureRatesRequest::default()).await.unwrap().into_inner();
    assert_eq!(answer.unplaced, 1);
    let servers = rates(&mut client, "server").await;
    assert_eq!(servers[0].failures, 4 + 3);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn survival_is_by_the_hours_that_parts_tell_and_else_by_when_they_were_put_in() {
    let home = Home::new();
    let collector = start(&home).await;
    fill(collector.store());
    let mut client = client(&home, &collector).await;
    let asked = || wire::GetSurvivalRequest { class: "disk".to_owned(), ..Default::default() };
    // Of disks that were there from the beginning no age is known; that of the three new ones is.
    let young = client.get_survival(asked()).await.unwrap().into_inner();
    assert_eq!((young.axis(), young.parts, young.failures), (Axis::Age, 3, 0));
    assert_eq!((young.ageless_parts, young.ageless_failures), (160, 3));
    near(young.to_age, years(199), 1e-6);
    // Then all of them tell, a day before they fail: they were two years old when watching began.
    let told = |n: usize, d: usize| Reading {
        component: place(&format!("disk/Bay {d}")),
        kind: SensorKind::PowerOnHours,
        sensor: "smart".to_owned(),
        value: Some(Value::Number(if n < 3 && d == 0 { 199.0 * 24.0 } else { (2.0 + years(DAYS)) * 8765.82 })),
        quality: Quality::Good,
        observed_at: ago(0),
        source: Source("redfish".to_owned()),
        thresholds: None,
    };
    for n in 0..SERVERS {
        let readings = (0..DISKS).map(|d| told(n, d)).collect();
        let of = ServerReadings { server: id(n), received_at: ago(0), readings };
        collector.store().apply(Applied { readings: vec![of], ..Applied::default() }, ago(0)).unwrap();
    }
    let aged = client.get_survival(asked()).await.unwrap().into_inner();
    // The three that had failed were gone by then: their age is not known.
    assert_eq!((aged.parts, aged.ageless_parts, aged.ageless_failures), (160, 3, 3));
    near(aged.to_age, 2.0 + years(DAYS), 1e-3);
    let fans = wire::GetSurvivalRequest { class: "fan".to_owned(), model: "in R750".to_owned(), ..Default::default() };
    let fans = client.get_survival(fans).await.unwrap().into_inner();
    // The fan that took the place of a failed one is the only one of known age.
    assert_eq!((fans.parts, fans.failures, fans.ageless_parts, fans.ageless_failures), (1, 0, 80, 1));
    let none = wire::GetSurvivalRequest { class: "disk".to_owned(), model: "x".to_owned(), ..Default::default() };
    assert_eq!(client.get_survival(none).await.unwrap_err().code(), Code::NotFound);
    let none = wire::GetSurvivalRequest::default();
    assert_eq!(client.get_survival(none).await.unwrap_err().code(), Code::InvalidArgument);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn spare_parts_are_proposed_for_what_may_fail_and_what_was_foretold_less_the_shelf() {
    let home = Home::new();
    let stock = home.dir().with_file_name("stock.csv");
    std::fs::write(&stock, "site,part,quantity\ndc1,st4000nm0023,1\ndc1,NO-SUCH,7\ndc9,OTHER,1\n").unwrap();
    let mut config = home.config();
    config.spares.stock = Some(stock.clone());
    let collector = common::start(config).await;
    fill(collector.store());
    let mut client = client(&home, &collector).await;
    let asked =
        |days| wire::ListSpareProposalsRequest { class: "disk".to_owned(), resupply_days: days, ..Default::default() };
    let answer = client.list_spare_proposals(asked(90)).await.unwrap().into_inner();
    let one = &answer.proposals[0];
    assert_eq!((answer.proposals.len(), one.site.as_str(), one.basis()), (1, "sites/dc1", Basis::Model));
    assert_eq!((one.in_place, one.foretold.len(), one.on_shelf), (160, 1, Some(1)));
    // Nobody knows how often that rule is right: the part is counted as needed.
    let foretold = &one.foretold[0];
    assert_eq!(
        (foretold.ticket.as_str(), foretold.probability, foretold.source()),
        ("tickets/5", 1.0, From::Unmeasured)
    );
    // The rate is that of the model, drawn to itself: it is alone in its class. 159 disks for 90 days, and the foretold one.
    let watched = 157.0 * years(DAYS) + 3.0 * years(200) + 3.0 * years(199);
    let expected = one.expected.unwrap();
    near(expected.mean, 1.0 + 159.0 * years(90) * 3.0 / watched, 0.02);
    assert!(expected.low > 1.0 && expected.high < 3.0, "{expected:?}");
    assert_eq!((one.needed, one.order), (3, 2), "{one:?}");
    assert_eq!(answer.unmatched_stock, ["dc1: NO-SUCH"]);
    // Two predictions of that rule are verified, one of them right: half of the next ones are, as far as anybody knows.
    let mut tickets = Tickets { before: 7, all: Vec::new() };
    tickets.open(7, "disk/Bay 2", "disk_failure", true, 30).said(20, Verdict::Confirmed);
    tickets.open(8, "disk/Bay 2", "disk_failure", true, 30).said(20, Verdict::NoFaultFound);
    tickets.put(collector.store());
    let measured = client.list_spare_proposals(asked(90)).await.unwrap().into_inner();
    let foretold = &measured.proposals[0].foretold[0];
    assert_eq!((foretold.probability, foretold.source()), (0.5, From::Precision));
    // A file that cannot be read is said to be so.
    std::fs::write(&stock, "site,part,quantity\ndc1,x,many\n").unwrap();
    let wrong = client.list_spare_proposals(asked(0)).await.unwrap_err();
    assert_eq!(wrong.code(), Code::FailedPrecondition);
    assert!(wrong.message().contains("line 2"), "{wrong}");
    let wrong = wire::ListSpareProposalsRequest { service_level: 1.0, ..Default::default() };
    std::fs::write(&stock, "site,part,quantity\n").unwrap();
    assert_eq!(client.list_spare_proposals(wrong).await.unwrap_err().code(), Code::InvalidArgument);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_class_that_was_hardly_watched_only_predictions_count() {
    let home = Home::new();
    let collector = start(&home).await;
    let store = collector.store();
    store.apply(Applied { servers: vec![server(1, "dc1", 10)], ..Applied::default() }, ago(0)).unwrap();
    for days in [10, 0] {
        let inventories = vec![inventory(1, days, parts(1, &[]))];
        store.apply(Applied { inventories, ..Applied::default() }, ago(0)).unwrap();
    }
    let mut tickets = Tickets::default();
    tickets.open(1, "disk/Bay 0", "disk_failure", false, 3);
    tickets.put(store);
    let mut client = client(&home, &collector).await;
    let request = wire::ListSpareProposalsRequest { class: "disk".to_owned(), ..Default::default() };
    let answer = client.list_spare_proposals(request).await.unwrap().into_inner();
    let one = &answer.proposals[0];
    // One disk of four failed within ten days: that is no rate of 30 a year.
    assert_eq!(
        (one.basis(), one.needed, one.expected.unwrap().mean, one.on_shelf),
        (Basis::ForetoldOnly, 0, 0.0, None)
    );
    assert_eq!((answer.service_level, answer.resupply_days), (0.95, 30));
    collector.stop().await.unwrap();
}

fn health(n: usize, status: Status, points: u8) -> HealthRecord {
    let penalty = Penalty {
        points,
        component: "disk/Bay 0".to_owned(),
        rule: "disk.says_so".to_owned(),
        reason: format!("the drive of srv-{n} says so"),
    };
    let health = Health {
        score: Some(100 - points),
        status,
        penalties: if points > 0 { vec![penalty] } else { Vec::new() },
        assessed_at: ago(0),
        newest_reading: Some(ago(0)),
    };
    HealthRecord { scope: Scope::Server(id(n)), health }
}

/// A collector with a topology of two racks and two customers.
async fn placed(home: &Home) -> (Collector, Config) {
    let topology = home.dir().with_file_name("topology.csv");
    let rows = "server,rack,customer\nsrv-1,R 1,acme\nsrv-2,R 1,acme\nsrv-3,R2,bolt\nsrv-4,,\n";
    std::fs::write(&topology, rows).unwrap();
    let mut config = home.config();
    config.topology.file = Some(topology);
    let collector = common::start(config.clone()).await;
    let servers = (1..=4).map(|n| server(n, "dc1", 100)).collect();
    let healths = vec![health(1, Status::Critical, 60), health(2, Status::Ok, 0), health(3, Status::Stale, 0)];
    collector.store().apply(Applied { servers, healths, ..Applied::default() }, ago(0)).unwrap();
    (collector, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn racks_sites_and_customers_are_as_well_as_their_servers_and_say_why_not() {
    let home = Home::new();
    let (collector, _) = placed(&home).await;
    let mut client = client(&home, &collector).await;
    let answer = client.list_rollups(wire::ListRollupsRequest::default()).await.unwrap().into_inner();
    let names: Vec<&str> = answer.rollups.iter().map(|r| r.health.as_ref().unwrap().name.as_str()).collect();
    assert_eq!(names, ["sites/dc1/racks/R%201", "sites/dc1/racks/R2", "sites/dc1", "customers/acme", "customers/bolt"]);
    assert_eq!((answer.without_rack, answer.without_customer), (1, 1));
    let of = |name: &str| {
        let at = names.iter().position(|n| *n == name).unwrap();
        (&answer.rollups[at], answer.rollups[at].health.clone().unwrap())
    };
    let (counts, rack) = of("sites/dc1/racks/R%201");
    // Half of the worst loss and half of the mean one: 30 + 15.
    assert_eq!((rack.score, rack.status().as_str_name(), counts.servers), (Some(55), "STATUS_CRITICAL", 2));
    let lost: u32 = rack.penalties.iter().map(|p| p.points).sum();
    assert_eq!((lost, rack.penalties[0].component.as_str()), (45, "servers/srv-1"));
    assert_eq!(rack.penalties[0].reason, "disk/Bay 0: the drive of srv-1 says so");
    // Nothing recent is known: that is not OK, whatever the points.
    let (counts, stale) = of("customers/bolt");
    assert_eq!((stale.status().as_str_name(), counts.stale, counts.ok), ("STATUS_STALE", 1, 0));
    let (counts, _) = of("sites/dc1");
    assert_eq!((counts.servers, counts.unknown), (4, 1));
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_sees_its_own_figures_and_no_shelf() {
    let home = Home::new();
    let (mut collector, config) = placed(&home).await;
    for n in 1..=4 {
        let inventories = vec![inventory(n, 0, parts(n, &[]))];
        collector.store().apply(Applied { inventories, ..Applied::default() }, ago(0)).unwrap();
    }
    let limits = Limits { customers: BTreeSet::from(["acme".to_owned()]), ..Limits::default() };
    let (token, _) = make_limited(&DataDir::open(home.dir()).unwrap(), Role::Customer, "acme", &limits).unwrap();
    collector.reload(config).unwrap();
    let channel = home.channel(collector.operators_addr()).await;
    let mut client = FleetServiceClient::new(with_token(channel, token.reveal()));
    assert_eq!(rates(&mut client, "disk").await[0].in_place, 8);
    let rollups = client.list_rollups(wire::ListRollupsRequest::default()).await.unwrap().into_inner();
    let servers: Vec<u64> = rollups.rollups.iter().map(|r| r.servers).collect();
    assert_eq!((servers, rollups.without_rack), (vec![2, 2, 2], 0));
    let spares = client.list_spare_proposals(wire::ListSpareProposalsRequest::default()).await.unwrap_err();
    assert_eq!(spares.code(), Code::PermissionDenied);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_load_of_the_next_weeks_is_foretold_where_there_were_enough() {
    let home = Home::new();
    let collector = start(&home).await;
    let store = collector.store();
    let servers = vec![server(0, "dc1", 200), server(1, "dc2", 10)];
    store.apply(Applied { servers, ..Applied::default() }, ago(0)).unwrap();
    let mut tickets = Tickets::default();
    // Two a week, and exercises, which are none.
    for week in 0..28 {
        for bay in 0..2 {
            tickets.open(0, &format!("disk/Bay {week}-{bay}"), "disk_failure", false, 3 + 7 * week);
        }
        tickets.open(0, &format!("fan/{week}"), "fan_failure", false, 3 + 7 * week).then(3 + 7 * week, Action::Drill);
    }
    tickets.put(store);
    let mut client = client(&home, &collector).await;
    let request = wire::ListLoadForecastsRequest { weeks: 3, zone: "UTC".to_owned(), ..Default::default() };
    let answer = client.list_load_forecasts(request).await.unwrap().into_inner();
    let names: Vec<&str> = answer.forecasts.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["", "sites/dc1", "sites/dc2"]);
    let all = &answer.forecasts[0];
    assert!(all.past.len() >= 27 && all.past.iter().skip(1).all(|n| *n == 2), "{:?}", all.past);
    assert_eq!((all.weeks.len(), all.weekdays.iter().sum::<u64>()), (3, 56));
    let week = all.weeks[0].tickets.unwrap();
    assert!(week.mean == 2.0 && week.low == 0.0 && (5.0..=6.0).contains(&week.high), "{week:?}");
    assert!(answer.forecasts[2].weeks.is_empty() && answer.forecasts[2].refused.contains("8 are needed"));
    collector.stop().await.unwrap();
}

/// What a question costs of 10,000 servers with 40 parts each: `cargo test --release -p outband-collector --test fleet -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes to fill the store"]
fn a_fleet_of_400_000_parts_is_counted_in_seconds() {
    use outband_collector::fleet::census::Census;
    use outband_collector::fleet::rates::{figures, lives};
    use outband_collector::fleet::spares::{Aim, proposals};
    use outband_collector::judgement::Terms;
    use outband_collector::sight::Sight;
    use outband_collector::token::Principal;
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    let (servers, each) = (10_000, 40);
    for first in (0..servers).step_by(500) {
        let all = first..first + 500;
        let records = all.clone().map(|n| server(n, &format!("dc{}", n % 8), DAYS)).collect();
        store.apply(Applied { servers: records, ..Applied::default() }, ago(0)).unwrap();
        for days in [DAYS, 0] {
            let of = |n: usize| {
                let one = |p: usize| {
                    let class = ["disk", "memory", "fan", "psu"][p % 4];
                    let model = format!("{class}-model-{}", (n + p) % 25);
                    part(&format!("{class}/{p}"), Some(&model), Some(format!("S{n}-{p}")))
                };
                inventory(n, days, (0..each).map(one).collect())
            };
            let inventories = all.clone().map(of).collect();
            store.apply(Applied { inventories, ..Applied::default() }, ago(0)).unwrap();
        }
    }
    let mut tickets = Tickets::default();
    for n in 0..4000 {
        let class = ["disk", "memory", "fan", "psu"][n % 4];
        tickets.open(n, &format!("{class}/{}", n % 4), "component_failure", false, 1 + (n as i64 % 390));
    }
    tickets.put(&store);
    let terms = Terms::try_from(&Config::default()).unwrap();
    let principal = Principal {
        role: Role::Operator,
        name: "ann".to_owned(),
        shared: false,
        sites: BTreeSet::new(),
        customers: BTreeSet::new(),
        only: None,
    };
    let sight = Sight::of(&principal, terms.clone().into(), ago(0));
    let began = Instant::now();
    let census = Census::take(&store, &terms, &sight, &Default::default(), ago(0)).unwrap();
    let counted = began.elapsed();
    assert_eq!(census.parts.len(), servers * each);
    let figures = figures(&census, Timestamp::EPOCH);
    let rated = began.elapsed() - counted;
    let aim = Aim { service_level: 0.95, resupply_days: 30 };
    let all = proposals(&census, aim, |_| None, |_| None);
    let proposed = began.elapsed() - counted - rated;
    let lives = lives(&census, |m| m.name.starts_with("disk"));
    let curve = outband_health::fleet::survival::kaplan_meier(&lives.lives);
    let drawn = began.elapsed() - counted - rated - proposed;
    eprintln!(
        "{} parts counted in {counted:?}, {} rates in {rated:?}, {} proposals in {proposed:?}, a curve of {} lives ({} steps) in {drawn:?}",
        census.parts.len(),
        figures.len(),
        all.len(),
        lives.lives.len(),
        curve.len()
    );
    assert!(counted < Duration::from_secs(30));
}
