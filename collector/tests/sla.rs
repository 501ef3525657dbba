//! What clocks come to, over real TLS: the sum behind each, breaches that log themselves, contracts, and the collector's time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::{Home, PATIENCE, WithToken};
use outband_collector::app::Collector;
use outband_collector::calendars::Shelf;
use outband_collector::config::Config;
use outband_collector::datadir::DataDir;
use outband_proto::sla::sla_service_client::SlaServiceClient;
use outband_proto::sla::{ComputeSlaRequest, ConfirmTimeRequest, GetTimeRequest};
use outband_proto::ticket::ticket_service_client::TicketServiceClient;
use outband_proto::ticket::{ReachMilestoneRequest, TransitionTicketRequest};
use outband_schemas::{ComponentClass, ComponentId, Identity, ServerId, SiteId, Timestamp};
use outband_store::audit::{Audit, AuditFilter};
use outband_store::deadline::Deadlines;
use outband_store::{Applied, ServerRecord, SqliteStore, Store, TicketWrite};
use outband_ticket::{Action, CalendarRevision, CalendarSpec, Opening, Priority, Ticket, TicketNumber, Verdict};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tonic::Code;

fn ago(secs: u64) -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap()).minus(Duration::from_secs(secs))
}

/// A P1 ticket that was opened so many seconds ago.
fn open(store: &SqliteStore, secs: u64) {
    let (server, at) = (ServerId::new("srv-1").unwrap(), ago(secs));
    let record = ServerRecord {
        id: server.clone(),
        site: SiteId::new("dc1").unwrap(),
        identity: Identity::default(),
        targets: Vec::new(),
        first_seen: at,
        last_seen: at,
        merged_into: None,
        rev: 0,
    };
    let opening = Opening {
        number: TicketNumber(1),
        priority: Priority::P1,
        title: "Fan failed".to_owned(),
        site: None,
        server,
        component: ComponentId::new(ComponentClass::Fan, "1").unwrap(),
        fault: "fan_failure".to_owned(),
        rule: "fan.state".to_owned(),
        predicted: false,
        reason: "it stands still".to_owned(),
        evidence: Vec::new(),
        onset: at,
        part_serial: None,
    };
    let (ticket, entry) = Ticket::open(opening, "collector", at);
    let write = TicketWrite { ticket, expected_revision: None, transitions: vec![entry] };
    store.apply(Applied { servers: vec![record], tickets: vec![write], ..Applied::default() }, at).unwrap();
}

async fn sla(home: &Home, collector: &Collector) -> SlaServiceClient<WithToken> {
    SlaServiceClient::new(home.operator(collector).await)
}

/// Waits until the log of the ticket holds an entry.
async fn logged(collector: &Collector, is: impl Fn(&Action) -> bool) {
    let held = || collector.store().ticket(TicketNumber(1)).unwrap().unwrap().log.iter().any(|e| is(&e.action));
    let wait = async {
        while !held() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the log never holds it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_can_redo_the_sum_behind_a_clock() {
    let home = Home::new();
    let collector = home.start().await;
    open(collector.store(), 600);
    logged(&collector, |a| matches!(a, Action::Breach { .. })).await;
    let request = ComputeSlaRequest { name: "tickets/1".to_owned(), at_ms: None };
    let answer = sla(&home, &collector).await.compute_sla(request).await.unwrap().into_inner();
    let statuses: Vec<_> = answer.runs.iter().map(|r| (r.clock.as_str(), r.status.as_str())).collect();
    assert_eq!(statuses, [("respond", "breached"), ("locate", "running"), ("repair", "running")]);
    for run in &answer.runs {
        let sum: i64 = run.spans.iter().map(|s| s.to_ms - s.from_ms).sum();
        assert_eq!(sum, run.elapsed_ms, "{run:?}");
        assert_eq!((run.calendar.as_str(), run.spans[0].why.as_str()), ("always", "started"));
    }
    assert!(!answer.tzdb.is_empty());
    let none = ComputeSlaRequest { name: "tickets/9".to_owned(), at_ms: None };
    assert_eq!(sla(&home, &collector).await.compute_sla(none).await.unwrap_err().code(), Code::NotFound);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_of_the_config_decides_what_a_new_ticket_is_promised() {
    let home = Home::new();
    let file = home.dir().with_extension("service.toml");
    let contract =
        "[customers.a]\nname='A'\n[contracts.c]\ncustomer='a'\npackage='gold'\nfrom='2020-01-01'\nuntil='2099-12-31'
        sites=['dc1']\n[packages.gold]\nclocks=[{name='onsite',targets={P1='4h'}}]";
    std::fs::write(&file, contract).unwrap();
    let mut config: Config = home.config();
    config.service.file = Some(file);
    let collector = common::start(config).await;
    open(collector.store(), 60);
    logged(&collector, |a| matches!(a, Action::Policy { .. })).await;
    let request = ComputeSlaRequest { name: "tickets/1".to_owned(), at_ms: None };
    let answer = sla(&home, &collector).await.compute_sla(request).await.unwrap().into_inner();
    let runs: Vec<_> = answer.runs.iter().map(|r| (r.clock.as_str(), r.policy.as_str(), r.policy_revision)).collect();
    assert_eq!(runs, [("onsite", "gold", 1)]);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_collectors_time_is_the_machines_as_long_as_nobody_sets_it() {
    let home = Home::new();
    let collector = home.start().await;
    let mut client = sla(&home, &collector).await;
    let told = client.get_time(GetTimeRequest {}).await.unwrap().into_inner();
    assert!(told.at_ms.abs_diff(ago(0).as_millis()) < 5000);
    assert_eq!(told.held_ms, None);
    assert_eq!(client.confirm_time(ConfirmTimeRequest::default()).await.unwrap().into_inner().step_ms, 0);
    collector.stop().await.unwrap();
}

/// The calendar `cn` of a data directory: weekdays, with these holidays, known until then.
fn keep_calendar(home: &Home, revision: u32, holidays: &[String], until: &str) {
    let shelf = Shelf::new(DataDir::open(home.dir().to_owned()).unwrap());
    let spec = CalendarSpec { holidays: holidays.to_vec(), ..CalendarSpec::default() };
    let revision = CalendarRevision {
        id: "cn".to_owned(),
        revision,
        spec,
        valid_from: None,
        valid_until: Some(until.to_owned()),
        source: "test".to_owned(),
        imported_at: ago(0),
    };
    shelf.keep(&revision).unwrap();
}

fn date(days: u64) -> String {
    ago(0).plus(Duration::from_secs(days * 86_400)).to_string()[..10].to_owned()
}

async fn repair(client: &mut SlaServiceClient<WithToken>) -> (i64, Vec<String>, i32) {
    let request = ComputeSlaRequest { name: "tickets/1".to_owned(), at_ms: None };
    let run = client.compute_sla(request).await.unwrap().into_inner().runs.remove(0);
    (run.due_ms.unwrap(), run.flags, run.calendar_revision)
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_beyond_their_calendar_are_flagged_and_computed_anew_when_the_next_year_is_imported() {
    let home = Home::new();
    keep_calendar(&home, 1, &[], &date(1));
    let file = home.dir().with_extension("service.toml");
    let contract =
        "[customers.a]\nname='A'\n[contracts.c]\ncustomer='a'\npackage='days'\nfrom='2020-01-01'\nuntil='2099-12-31'
        sites=['dc1']\n[packages.days]\nclocks=[{name='repair',targets={P1='5 business days'},calendar='cn'}]";
    std::fs::write(&file, contract).unwrap();
    let mut config: Config = home.config();
    config.service.file = Some(file);
    let mut collector = common::start(config.clone()).await;
    open(collector.store(), 60);
    logged(&collector, |a| matches!(a, Action::Policy { .. })).await;
    let mut client = sla(&home, &collector).await;
    let (before, flags, revision) = repair(&mut client).await;
    assert_eq!((flags, revision), (vec!["beyond_calendar".to_owned()], 1));

    // The next year is known now, and begins with a fortnight of holidays.
    keep_calendar(&home, 2, &(1..=14).map(date).collect::<Vec<_>>(), "2099-12-31");
    collector.reload(config).unwrap();
    let (after, flags, revision) = repair(&mut client).await;
    assert_eq!((flags, revision), (Vec::new(), 2));
    assert!(after > before + 7 * 86_400_000, "{before} became {after}");
    // The index follows, and the audit log says by what, and for which tickets.
    let told = async {
        loop {
            let page = outband_store::Page::first(100);
            let entries = collector.store().audited(&AuditFilter::default(), &page).unwrap().rows;
            let mut told = entries.iter().filter(|e| e.actor.name == "collector").map(|e| e.deed.detail.as_str());
            if told.clone().any(|t| t.contains("calendar cn 2")) && told.any(|t| t.contains("another time for 1: 1")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("the audit log never says it");
    let due = collector.store().next_due(&[TicketNumber(1)]).unwrap();
    assert_eq!(due[&TicketNumber(1)].as_millis(), after + 1);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_reach_and_decide_on_a_ticket_stands_in_its_log_once() {
    let home = Home::new();
    let collector = home.start().await;
    open(collector.store(), 600);
    let mut client = TicketServiceClient::new(home.operator(&collector).await);
    let reach = |milestone: &str, reached_at: Timestamp| ReachMilestoneRequest {
        name: "tickets/1".to_owned(),
        milestone: milestone.to_owned(),
        reached_at_ms: Some(reached_at.as_millis()),
        request_id: "call-88123".to_owned(),
        ..ReachMilestoneRequest::default()
    };
    // A telephone system that sends it twice; another request under the same id is a mistake.
    let call = reach("pickup", ago(300));
    let first = client.reach_milestone(call.clone()).await.unwrap().into_inner();
    assert_eq!(client.reach_milestone(call).await.unwrap().into_inner(), first);
    let other = client.reach_milestone(reach("onsite", ago(300))).await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists);
    for (milestone, when) in
        [("onsite", ago(0).plus(Duration::from_secs(600))), ("onsite", ago(700)), ("lunch", ago(1))]
    {
        let wrong = ReachMilestoneRequest { request_id: String::new(), ..reach(milestone, when) };
        assert_eq!(client.reach_milestone(wrong).await.unwrap_err().code(), Code::InvalidArgument, "{milestone}");
    }
    for (action, detail) in
        [("prioritise", "P3"), ("verdict:no_fault_found", "tested for a day"), ("policy", "default")]
    {
        let request = TransitionTicketRequest {
            name: "tickets/1".to_owned(),
            action: action.to_owned(),
            detail: detail.to_owned(),
            ..TransitionTicketRequest::default()
        };
        client.transition_ticket(request).await.unwrap();
    }
    let ticket = collector.store().ticket(TicketNumber(1)).unwrap().unwrap().ticket;
    assert_eq!((ticket.priority, ticket.verdict), (Priority::P3, Some(Verdict::NoFaultFound)));
    assert_eq!(ticket.overrides.iter().map(|o| o.what.as_str()).collect::<Vec<_>>(), ["priority"]);
    assert_eq!(ticket.policy.map(|p| (p.name, p.revision)), Some(("default".to_owned(), 1)));
    let page = outband_store::Page::first(100);
    let filter = AuditFilter { resource: Some("tickets/1".to_owned()), ..AuditFilter::default() };
    let told: Vec<String> =
        collector.store().audited(&filter, &page).unwrap().rows.into_iter().map(|e| e.deed.detail).collect();
    assert_eq!(told, ["policy", "verdict:no_fault_found", "prioritise", "milestone:pickup"]);
    collector.stop().await.unwrap();
}
