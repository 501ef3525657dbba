//! A token that is limited to one customer or one site sees and changes nothing of anybody else's, whatever it calls.
//!
//! The methods come from the descriptors, and so do their requests: each field is filled, in every combination, with what belongs to the
//! other. A new method is tried without anybody writing a test for it; one that answers limited tokens without having been seen to tell
//! the other's things to an unlimited one fails here, because then nothing was tried.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod common;

use common::probe::{Protos, now, varint};
use common::raw::call;
use common::{Home, WithToken, with_token};
use outband_collector::app::Collector;
use outband_collector::config::Config;
use outband_collector::datadir::DataDir;
use outband_collector::rights::{RIGHTS, Reach};
use outband_collector::token::{Limits, Role, make_limited};
use outband_health::model::{Attribute, History, Smart};
use outband_health::{
    Evidence, Fault, Health, Incident, IncidentKey, Level, Penalty, RuleId, Stage, Status as HealthStatus,
};
use outband_proto::grant::CreateGrantRequest;
use outband_proto::grant::grant_service_client::GrantServiceClient;
use outband_schemas::{
    AgentId, ComponentClass, ComponentId, EventKind, Gap, Identity, Inventory, LogEvent, OrderKind, Part, Quality,
    Reading, SensorKind, ServerId, Severity, SiteId, Source, TargetId, Value,
};
use outband_store::audit::{Actor, Audit, AuditFilter, Deed, Outcome};
use outband_store::check::{Check, CheckState, Checks};
use outband_store::drill::{Drill, DrillChange, Drills};
use outband_store::drives::{DriveRecord, Drives};
use outband_store::maintenance::{Maintenance, Selector, Window, WindowChange, WindowKind};
use outband_store::order::{Order, OrderChange, OrderFile, OrderState, Orders};
use outband_store::threshold::{Threshold, ThresholdChange, Thresholds};
use outband_store::{
    AgentTarget, Applied, HealthRecord, Made, NoticeDraft, Outbox, Page, Scope, Sequence, ServerEvents, ServerGaps,
    ServerInventory, ServerReadings, ServerRecord, SqliteStore, Store, TicketWrite,
};
use outband_ticket::{Opening, Priority, Ticket, TicketNumber};
use prost::Message;
use std::collections::BTreeSet;
use std::time::Duration;
use tonic::Code;

/// What names the other's things. An answer may repeat what was asked, and names no more.
const NAMES: [&str; 10] = [
    "bravo",
    "server-bravo",
    "bravo-hall",
    "tickets/2",
    "notices/2",
    "windows/2",
    "orders/2",
    "drills/2",
    "thresholds/2",
    "checks/2",
];
/// What is in them, and nobody can ask for.
const SECRET: [&str; 2] = ["yankee", "zulu"];

// ---- what there is -----------------------------------------------------------------------------------------------------------------

/// Puts one of everything there, of this customer at this site.
fn furnish(store: &SqliteStore, number: TicketNumber, customer: &str, site: &str, secret: &str) {
    let at = now();
    let server = ServerId::new(format!("server-{customer}")).unwrap();
    let site = SiteId::new(site).unwrap();
    let place = site.clone();
    let disk = ComponentId::new(ComponentClass::Disk, format!("Bay {customer}")).unwrap();
    let record = ServerRecord {
        id: server.clone(),
        site: site.clone(),
        identity: Identity { serial: Some(format!("SN-{secret}")), ..Identity::default() },
        targets: vec![AgentTarget {
            agent: AgentId::new("a1").unwrap(),
            target: TargetId::new(format!("bmc-{customer}")).unwrap(),
        }],
        first_seen: at,
        last_seen: at,
        merged_into: None,
        rev: 0,
    };
    let reading = Reading {
        component: disk.clone(),
        kind: SensorKind::Temperature,
        sensor: format!("sensor of {secret}"),
        value: Some(Value::Number(31.0)),
        quality: Quality::Good,
        observed_at: at,
        source: Source(format!("ipmi:{secret}")),
        thresholds: None,
    };
    let event = LogEvent {
        component: disk.clone(),
        log: "sel".to_owned(),
        id: "1".to_owned(),
        kind: EventKind::FanLimit,
        severity: Severity::Warning,
        deasserted: false,
        message: format!("event of {secret}"),
        code: String::new(),
        bmc_time: Some(at),
        observed_at: at,
        source: Source("sel:1".to_owned()),
        raw: format!("raw {secret}"),
    };
    let gap = Gap {
        component: Some(disk.clone()),
        cause: outband_schemas::Cause::Timeout,
        detail: format!("no answer from {secret}"),
        observed_at: at,
        source: Source("ipmi".to_owned()),
        span: None,
    };
    let opening = Opening {
        number,
        priority: Priority::P2,
        title: format!("Disk failed at {secret}"),
        site: Some(site.clone()),
        server: server.clone(),
        component: disk.clone(),
        fault: "disk_failure".to_owned(),
        rule: "disk.says_so".to_owned(),
        predicted: true,
        reason: format!("the drive of {secret} says so"),
        evidence: Vec::new(),
        onset: at,
        part_serial: None,
    };
    let (ticket, entry) = Ticket::open(opening, "collector", at);
    let incident = Incident {
        key: IncidentKey { server: server.clone(), component: disk.clone(), fault: Fault::DiskFailure },
        stage: Stage::Open,
        predicted: false,
        level: Level::Critical,
        rules: vec![RuleId::new("disk.says_so")],
        reason: format!("the drive of {secret} says so"),
        evidence: vec![Evidence { observed_at: at, text: "failed".to_owned() }],
        onset: at,
        noted_at: at,
        newest: at,
        hits: 3,
        actual_hits: 3,
        clean: 0,
        clean_at: None,
        part_serial: None,
        ticket: Some(number.0),
        hold: None,
        members: Vec::new(),
        returns: Vec::new(),
        follows: None,
        sightings: Vec::new(),
    };
    let health = |scope| {
        let penalty = Penalty {
            points: 40,
            component: disk.to_string(),
            rule: "disk.says_so".to_owned(),
            reason: format!("the drive of {secret}"),
        };
        let health = Health {
            score: Some(60),
            status: HealthStatus::Critical,
            penalties: vec![penalty],
            assessed_at: at,
            newest_reading: Some(at),
        };
        HealthRecord { scope, health }
    };
    let healths = vec![
        health(Scope::Site(site)),
        health(Scope::Server(server.clone())),
        health(Scope::Component(server.clone(), disk.clone())),
    ];
    let part = Part {
        component: disk.clone(),
        manufacturer: None,
        model: Some(format!("Disk of {secret}")),
        part_number: None,
        serial: Some(format!("DISK-{secret}")),
        firmware: None,
        capacity_bytes: None,
        source: Source("redfish".to_owned()),
    };
    let inventory = Inventory {
        identity: Identity::default(),
        parts: vec![part],
        bmc_clock_offset_ms: None,
        observed_at: at,
        source: Source("redfish".to_owned()),
    };
    let applied = Applied {
        servers: vec![record],
        inventories: vec![ServerInventory { server: server.clone(), inventory }],
        readings: vec![ServerReadings { server: server.clone(), received_at: at, readings: vec![reading] }],
        events: vec![ServerEvents { server: server.clone(), received_at: at, events: vec![event] }],
        gaps: vec![ServerGaps { server: server.clone(), gaps: vec![gap] }],
        healths,
        incidents: vec![incident],
        tickets: vec![TicketWrite { ticket, expected_revision: None, transitions: vec![entry] }],
        ..Applied::default()
    };
    store.apply(applied, at).unwrap();
    let window = Window {
        id: 0,
        kind: WindowKind::Maintenance,
        name: format!("window of {secret}"),
        selector: Selector { server: Some(server.to_string()), ..Selector::default() },
        starts: "2026-01-31T22:00:00".to_owned(),
        lasts_secs: 3600,
        zone: "UTC".to_owned(),
        recurrence: None,
        reason: format!("work at {secret}"),
        author: "ann".to_owned(),
        created_at: at,
        ended_at: None,
        revision: 1,
    };
    store.put_window(&WindowChange { at, who: "ann".to_owned(), what: "create".to_owned(), window }, None).unwrap();
    let order = Order {
        id: 0,
        revision: 0,
        wire_id: String::new(),
        kind: OrderKind::Identify,
        server: server.clone(),
        site: place.clone(),
        model: None,
        agent: AgentId::new("a1").unwrap(),
        target: TargetId::new(format!("bmc-{customer}")).unwrap(),
        ticket: Some(number),
        reason: format!("look for {secret}"),
        requester: "ann".to_owned(),
        requested_at: at,
        approver: None,
        approved_at: None,
        expires_at: at.plus(Duration::from_secs(3600)),
        state: OrderState::Requested,
        sent_at: None,
        sent_after: 0,
        spool_id: None,
        settled_at: None,
        detail: String::new(),
        content_bytes: 0,
        told: false,
    };
    let asked = OrderChange { at, who: "ann".to_owned(), what: "request".to_owned() };
    let file = OrderFile { media_type: "text/plain".to_owned(), content: format!("bundle of {secret}").into_bytes() };
    store.put_order(order, asked, Some(file), None).unwrap();
    let drill = Drill {
        id: 0,
        server: server.clone(),
        component: None,
        fault: "fan_failure".to_owned(),
        pages: false,
        reason: format!("drill of {secret}"),
        runbook: String::new(),
        author: "ann".to_owned(),
        plan: None,
        starts_at: at,
        ends_at: at.plus(Duration::from_secs(3600)),
        ended_at: None,
        revision: 0,
    };
    store.put_drill(&DrillChange { at, who: "ann".to_owned(), what: "start".to_owned(), drill }, None).unwrap();
    let threshold = Threshold {
        id: 0,
        selector: Selector { server: Some(server.to_string()), ..Selector::default() },
        parameter: "disk.increases".to_owned(),
        value: 6.0,
        reason: format!("the drives of {secret}"),
        author: "ann".to_owned(),
        created_at: at,
        until: at.plus(Duration::from_secs(3600)),
        ended_at: None,
        revision: 0,
    };
    store
        .put_threshold(&ThresholdChange { at, who: "ann".to_owned(), what: "create".to_owned(), threshold }, None)
        .unwrap();
    let check = Check {
        id: 0,
        revision: 0,
        server: server.clone(),
        requester: "ann".to_owned(),
        plan: None,
        requested_at: at,
        state: CheckState::Waiting,
        why: String::new(),
        asked: None,
        unread: Vec::new(),
        ended_at: None,
        report: None,
    };
    let check = store.put_check(check).unwrap();
    let why = format!("the agent at {secret} is away");
    let over = Check { state: CheckState::Unread, revision: check.revision + 1, why, ended_at: Some(at), ..check };
    store.put_check(over).unwrap();
    let mut history = History::default();
    history.read(20_000, &Smart { raw: [Some(0.0); Attribute::COUNT], ..Smart::default() });
    let drive = DriveRecord {
        place: Some((server.clone(), disk.clone())),
        serial: Some(format!("DR-{secret}")),
        history: history.into(),
        read_on: Some(20_000),
        ..DriveRecord::default()
    };
    store.keep_drives(&[(format!("serial:DR-{secret}"), &drive)], &[], None).unwrap();
    store.begin_outbox("i", at).unwrap();
    let through = store.unnoticed(10).unwrap().map_or(1_000, |u| u.through);
    let draft = NoticeDraft {
        ticket: number,
        seq: 1,
        step: 0,
        cause: "opened".to_owned(),
        channel: "mail".to_owned(),
        recipient: format!("desk of {secret}"),
        lang: "en".to_owned(),
        priority: Priority::P2,
        subject: format!("A disk of {secret} failed"),
        body: format!("Dear {secret}"),
        not_before: at,
        digest: false,
    };
    store.make_notices(Made { through, marks: Vec::new(), notices: vec![draft] }, at).unwrap();
    let deed = Deed {
        at,
        role: "operator".to_owned(),
        method: "outband.ticket.v1.TicketService/TransitionTicket".to_owned(),
        resource: format!("tickets/{number}"),
        detail: format!("something at {secret}"),
        outcome: Outcome::Done,
        request_id: None,
        before: None,
        after: None,
    };
    store.audit(Actor { name: "li".to_owned(), peer: None }, deed).unwrap();
}

/// A contract that names somebody. It covers what stands at its site, if that is nobody else's, too.
fn contract(((customer, site), secret): ((&str, &str), &str)) -> String {
    let covers = if site == "hall" { format!("serials = ['SN-{secret}']") } else { format!("sites = ['{site}']") };
    format!(
        "[contracts.{customer}]\ncustomer = '{customer}'\npackage = 'plain'\nfrom = '2020-01-01'\nuntil = '2099-12-31'\n{covers}\n\
         contacts = {{ duty = [{{ name = 'Zhang of {secret}', recipients = ['desk'] }}] }}\n"
    )
}

/// A collector that has one of everything of two customers, at these sites.
async fn furnished(home: &Home, sites: [&str; 2]) -> (Collector, Config) {
    let topology = home.dir().with_file_name("topology.csv");
    std::fs::write(&topology, "server,customer\nserver-alfa,alfa\nserver-bravo,bravo\n").unwrap();
    let mut config = home.config();
    config.topology.file = Some(topology);
    let service = home.dir().with_file_name("service.toml");
    let contracts = ["alfa", "bravo"].into_iter().zip(sites).zip(SECRET).map(contract);
    std::fs::write(
        &service,
        format!(
            "packages.plain.clocks = []\ncustomers.alfa.name = 'A'\ncustomers.bravo.name = 'B'\n{}",
            contracts.collect::<String>()
        ),
    )
    .unwrap();
    config.service.file = Some(service);
    config.orders.allow = OrderKind::ALL.into_iter().collect();
    config.orders.two_person = false;
    let collector = common::start(config.clone()).await;
    // Both numbers first: the drill of the one opens a ticket of its own as soon as it is seen.
    let [first, second] = [(); 2].map(|()| TicketNumber(collector.store().reserve(Sequence::Ticket).unwrap()));
    assert_eq!([first.0, second.0], [1, 2], "these numbers are asked for below");
    furnish(collector.store(), first, "alfa", sites[0], SECRET[0]);
    furnish(collector.store(), second, "bravo", sites[1], SECRET[1]);
    let mut grants = GrantServiceClient::new(home.operator(&collector).await);
    for (number, secret) in (1..).zip(SECRET) {
        let grant = CreateGrantRequest {
            ticket: format!("tickets/{number}"),
            holder: format!("technician of {secret}"),
            role: "viewer".to_owned(),
            verified: "called back".to_owned(),
            reason: "on site".to_owned(),
            ..CreateGrantRequest::default()
        };
        grants.create_grant(grant).await.unwrap();
    }
    (collector, config)
}

/// Whether an answer says more of the other than was asked.
fn leaks(answer: &[u8], asked: &str) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    let digit = |c: char| c.is_ascii_digit();
    // `tickets/21` is not `tickets/2`; what follows a word is the next field.
    let names = |name: &str| {
        text.match_indices(name).any(|(at, _)| !(name.ends_with(digit) && text[at + name.len()..].starts_with(digit)))
    };
    text.contains(SECRET[1]) || NAMES.iter().any(|name| !asked.contains(name) && names(name))
}

/// Whether a request by name was answered with something although that is the other's.
fn served(answer: &[u8], asked: &str) -> bool {
    let one = [
        "tickets/2",
        "notices/2",
        "windows/2",
        "orders/2",
        "drills/2",
        "thresholds/2",
        "checks/2",
        "servers/server-bravo",
    ];
    !answer.is_empty()
        && one
            .iter()
            .any(|name| asked.starts_with(&format!("\n{}{name}", char::from(u8::try_from(name.len()).unwrap()))))
}

/// Whether an answer, whatever it says, is more than there may be: a method asked by name, or one that makes something of the other's.
fn answers(protos: &Protos, method: &str, answer: &[u8], asked: &str) -> bool {
    let first = protos.messages[&protos.methods[method]].field.first();
    let by_name = first.is_some_and(|f| ["name", "ticket"].contains(&f.name()) && f.number() == 1);
    let makes = ["/Create", "/Request", "/Run", "/Start"].iter().any(|verb| method.contains(verb))
        && NAMES.iter().any(|name| asked.contains(name));
    makes || (by_name && served(answer, asked))
}

// ---- the tests ----------------------------------------------------------------------------------------------------------------------

async fn client(home: &Home, collector: &mut Collector, config: &Config, role: Role, limits: &Limits) -> WithToken {
    let name = format!("{role}-{}", limits.customers.len() * 2 + limits.sites.len());
    let (token, _) = make_limited(&DataDir::open(home.dir()).unwrap(), role, &name, limits).unwrap();
    collector.reload(config.clone()).unwrap();
    with_token(home.channel(collector.operators_addr()).await, token.reveal())
}

/// Tries every method with a limited token, then with one that is not: the other's things are seen by that one only.
async fn try_everything(sites: [&str; 2], limits: Limits) {
    let home = Home::new();
    let (mut collector, config) = furnished(&home, sites).await;
    let protos = Protos::read();
    let limited = client(&home, &mut collector, &config, Role::Admin, &limits).await;
    let customer = client(&home, &mut collector, &config, Role::Customer, &limits).await;
    let admin = client(&home, &mut collector, &config, Role::Admin, &Limits::default()).await;
    let of_the_other = |store: &SqliteStore| {
        let mut log = store.ticket(TicketNumber(2)).unwrap().unwrap().log;
        // Clocks run meanwhile.
        log.retain(|entry| entry.who != "collector");
        let window = store.windows(true).unwrap().into_iter().find(|w| w.id == 2);
        let threshold = store.thresholds(true).unwrap().into_iter().find(|t| t.id == 2);
        (log, window, threshold, store.order(2).unwrap(), store.drill(2).unwrap())
    };
    let before = of_the_other(collector.store());
    let mut problems = Vec::new();
    for (method, _, reach) in
        RIGHTS.iter().filter(|(m, roles, _)| m.starts_with("outband.") && roles.contains(&Role::Admin))
    {
        for probe in protos.probes(method) {
            let asked = String::from_utf8_lossy(&probe).into_owned();
            for (who, token) in [("admin", &limited), ("customer", &customer)] {
                let answer = call(token, method, probe.clone()).await;
                match answer {
                    Err(status) if *reach == Reach::Fleet && status.code() == Code::PermissionDenied => {}
                    _ if *reach == Reach::Fleet => problems.push(format!("{method} let a limited {who} in")),
                    Ok(answer) if leaks(&answer, &asked) || answers(&protos, method, &answer, &asked) => {
                        problems.push(format!(
                            "{method} told a limited {who}, asked {asked:?}: {}",
                            String::from_utf8_lossy(&answer)
                        ));
                    }
                    Err(status) if status.code() == Code::Internal || leaks(status.message().as_bytes(), &asked) => {
                        problems.push(format!("{method} told a limited {who}, asked {asked:?}: {status}"));
                    }
                    Err(_) => {}
                    Ok(_) => {}
                }
            }
        }
    }
    assert_eq!(of_the_other(collector.store()), before, "something of the other's was changed");
    // Notices are tried by the collector itself meanwhile: what people do to them stands in the audit log.
    let done = collector.store().audited(&AuditFilter::default(), &Page::first(10_000)).unwrap().rows;
    let done =
        done.iter().filter(|e| !["li", "operator"].contains(&e.actor.name.as_str()) && e.deed.outcome == Outcome::Done);
    for entry in done.filter(|e| leaks(e.deed.resource.as_bytes(), "")) {
        problems.push(format!("{} did {} to {}", entry.actor.name, entry.deed.method, entry.deed.resource));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // Whoever sees all is told of the other by the same requests: else nothing was tried above.
    for (method, ..) in RIGHTS.iter().filter(|(m, roles, reach)| {
        m.starts_with("outband.") && roles.contains(&Role::Admin) && *reach == Reach::Scoped
    }) {
        let mut told = false;
        let mut said = BTreeSet::new();
        for probe in protos.probes(method) {
            let asked = String::from_utf8_lossy(&probe).into_owned();
            match call(&admin, method, probe).await {
                Ok(answer) if leaks(&answer, &asked) || answers(&protos, method, &answer, &asked) => told = true,
                Ok(_) => {}
                Err(status) => {
                    said.insert(status.message().to_owned());
                }
            }
            if told {
                break;
            }
        }
        if !told {
            problems.push(format!("{method}: no request of these tells anybody anything of the other: {said:?}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_customer_sees_nothing_of_another_at_the_same_site() {
    let customers = BTreeSet::from(["alfa".to_owned()]);
    try_everything(["hall", "hall"], Limits { customers, ..Limits::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_site_sees_nothing_of_another() {
    let sites = BTreeSet::from([SiteId::new("alfa-hall").unwrap()]);
    try_everything(["alfa-hall", "bravo-hall"], Limits { sites, ..Limits::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_token_sees_its_own() {
    let home = Home::new();
    let (mut collector, config) = furnished(&home, ["hall", "hall"]).await;
    let customers = BTreeSet::from(["alfa".to_owned()]);
    let limited = client(&home, &mut collector, &config, Role::Admin, &Limits { customers, ..Limits::default() }).await;
    let list = outband_proto::ticket::ListTicketsRequest::default().encode_to_vec();
    let tickets = call(&limited, "outband.ticket.v1.TicketService/ListTickets", list).await.unwrap();
    assert!(String::from_utf8_lossy(&tickets).contains("Disk failed at yankee"));
    for (method, parent) in
        [("ListEvents", "servers/-"), ("ListLatestReadings", "servers/server-alfa"), ("ListGaps", "servers/-")]
    {
        let mut request = Vec::new();
        varint(1 << 3 | 2, &mut request);
        varint(parent.len() as u64, &mut request);
        request.extend(parent.as_bytes());
        let told = call(&limited, &format!("outband.telemetry.v1.TelemetryService/{method}"), request).await.unwrap();
        assert!(String::from_utf8_lossy(&told).contains("yankee"), "{method}");
    }
    let servers = call(&limited, "outband.health.v1.HealthService/ListServers", Vec::new()).await.unwrap();
    assert!(String::from_utf8_lossy(&servers).contains("server-alfa"));
    collector.stop().await.unwrap();
}
