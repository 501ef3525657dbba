//! Verdicts, precision, wrong predictions and the export of the own drives, over the wire.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod common;

use common::{Home, WithToken, with_token};
use outband_collector::app::Collector;
use outband_collector::config::Config;
use outband_collector::datadir::DataDir;
use outband_collector::token::{Limits, Role, make_limited};
use outband_health::model::{Attribute, History, Smart};
use outband_proto::outcome::outcome_service_client::OutcomeServiceClient;
use outband_proto::outcome::{
    ExportHistoryRequest, GetPrecisionRequest, ListOutcomesRequest, Precision, RefutePredictionRequest,
};
use outband_proto::ticket::ticket_service_client::TicketServiceClient;
use outband_proto::ticket::{GetTicketRequest, ListTicketsRequest, Ticket as WireTicket, TransitionTicketRequest};
use outband_schemas::{ComponentClass, ComponentId, Identity, ServerId, SiteId, Timestamp};
use outband_store::audit::{Audit, AuditFilter};
use outband_store::drives::{DriveRecord, Drives};
use outband_store::outcome::{OutcomeFilter, Outcomes};
use outband_store::sqlite::Options;
use outband_store::{Applied, Page, ServerRecord, SqliteStore, Store, TicketWrite};
use outband_ticket::{Action, Command, Opening, Priority, Resolution, Ticket, TicketNumber, Verdict, apply};
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tonic::Code;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap() - 60_000)
}

fn server(site: &str, at: Timestamp) -> ServerRecord {
    ServerRecord {
        id: ServerId::new(format!("server-{site}")).unwrap(),
        site: SiteId::new(site).unwrap(),
        identity: Identity::default(),
        targets: Vec::new(),
        first_seen: at,
        last_seen: at,
        merged_into: None,
        rev: 0,
    }
}

fn ticket(number: u64, site: &str, predicted: bool, at: Timestamp) -> TicketWrite {
    let opening = Opening {
        number: TicketNumber(number),
        priority: Priority::P3,
        title: "Disk failure predicted".to_owned(),
        site: Some(SiteId::new(site).unwrap()),
        server: ServerId::new(format!("server-{site}")).unwrap(),
        component: ComponentId::new(ComponentClass::Disk, format!("Bay {number}")).unwrap(),
        fault: "disk_failure".to_owned(),
        rule: "disk.smart_growth".to_owned(),
        predicted,
        reason: "sectors grow".to_owned(),
        evidence: Vec::new(),
        onset: at,
        part_serial: Some(format!("D{number}")),
    };
    let (ticket, entry) = Ticket::open(opening, "collector", at);
    TicketWrite { ticket, expected_revision: None, transitions: vec![entry] }
}

/// Predictions 1 to `n`, at site `dc1`; the last one at `dc2`. Number n + 1 is a failure that was seen.
async fn started(home: &Home, config: Config, n: u64) -> Collector {
    let collector = common::start(config).await;
    let (store, at) = (collector.store(), now());
    for _ in 0..=n {
        store.reserve(outband_store::Sequence::Ticket).unwrap();
    }
    let mut tickets: Vec<_> = (1..n).map(|number| ticket(number, "dc1", true, at)).collect();
    tickets.push(ticket(n, "dc2", true, at));
    tickets.push(ticket(n + 1, "dc1", false, at));
    let servers = vec![server("dc1", at), server("dc2", at)];
    store.apply(Applied { servers, tickets, ..Applied::default() }, at).unwrap();
    assert!(home.dir().exists());
    collector
}

async fn client(home: &Home, collector: &mut Collector, role: Role, limits: &Limits) -> WithToken {
    let (token, _) = make_limited(&DataDir::open(home.dir()).unwrap(), role, &format!("{role}"), limits).unwrap();
    collector.reload(home.config()).unwrap();
    with_token(home.channel(collector.operators_addr()).await, token.reveal())
}

async fn precision(client: &WithToken, request: GetPrecisionRequest) -> Vec<Precision> {
    let mut client = OutcomeServiceClient::new(client.clone());
    client.get_precision(request).await.unwrap().into_inner().precisions
}

async fn get(client: &WithToken, number: u64) -> WireTicket {
    let request = GetTicketRequest { name: format!("tickets/{number}"), at_ms: None };
    TicketServiceClient::new(client.clone()).get_ticket(request).await.unwrap().into_inner().ticket.unwrap()
}

async fn moves(client: &WithToken, number: u64, action: &str, detail: &str) -> Result<WireTicket, tonic::Status> {
    let request = TransitionTicketRequest {
        name: format!("tickets/{number}"),
        action: action.to_owned(),
        detail: detail.to_owned(),
        ..TransitionTicketRequest::default()
    };
    let answer = TicketServiceClient::new(client.clone()).transition_ticket(request).await?;
    Ok(answer.into_inner().ticket.unwrap())
}

fn wrong(number: u64) -> RefutePredictionRequest {
    RefutePredictionRequest {
        name: format!("tickets/{number}"),
        why: "24 h of surface scan found nothing".to_owned(),
        ..RefutePredictionRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prediction_is_closed_by_nobody_who_does_not_say_what_it_was() {
    let home = Home::new();
    let collector = started(&home, home.config(), 2).await;
    let operator = home.operator(&collector).await;
    moves(&operator, 1, "resolve", "repaired").await.unwrap();
    let refused = moves(&operator, 1, "close", "").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("give a verdict first (confirmed, no_fault_found,"), "{refused}");
    moves(&operator, 1, "verdict:other_part", "the backplane").await.unwrap();
    let closed = moves(&operator, 1, "close", "").await.unwrap();
    assert_eq!((closed.state().as_str_name(), closed.verdict.as_str()), ("STATE_CLOSED", "other_part"));
    // A false alarm says what it was by itself.
    let alarm = moves(&operator, 2, "resolve", "false_alarm").await.unwrap();
    assert_eq!(alarm.verdict, "false_alarm");
    moves(&operator, 2, "close", "").await.unwrap();
    let all = precision(&operator, GetPrecisionRequest::default()).await;
    assert_eq!((all.len(), all[0].right, all[0].wrong), (1, 0, 2));
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_prediction_is_closed_with_its_verdict_in_one_step_once_and_counts_at_once() {
    let home = Home::new();
    let collector = started(&home, home.config(), 4).await;
    let operator = home.operator(&collector).await;
    let mut outcomes = OutcomeServiceClient::new(operator.clone());
    let etag = get(&operator, 1).await.etag;
    let stale = RefutePredictionRequest { etag: "1-99".to_owned(), ..wrong(1) };
    assert_eq!(outcomes.refute_prediction(stale).await.unwrap_err().code(), Code::Aborted);
    let request = RefutePredictionRequest { etag, request_id: "r-1".to_owned(), ..wrong(1) };
    let answer = outcomes.refute_prediction(request.clone()).await.unwrap().into_inner();
    assert_eq!((answer.state.as_str(), answer.verdict.as_str()), ("closed", "no_fault_found"));
    assert_eq!(outcomes.refute_prediction(request).await.unwrap().into_inner(), answer, "sent again, done once");

    let ticket = get(&operator, 1).await;
    let told: Vec<&str> = ticket.transitions.iter().map(|t| t.action.as_str()).collect();
    assert_eq!(told, ["open", "verdict:no_fault_found", "resolve", "close"]);
    assert_eq!((ticket.resolution.as_str(), ticket.etag), ("false_alarm", answer.etag));
    let done = collector.store().audited(&AuditFilter::default(), &Page::first(50)).unwrap().rows;
    let done: Vec<_> = done.iter().filter(|e| e.deed.method.ends_with("RefutePrediction")).collect();
    assert_eq!((done.len(), done[0].deed.resource.as_str()), (1, "tickets/1"));

    let all = precision(&operator, GetPrecisionRequest::default()).await;
    let told = &all[0];
    assert_eq!((told.right, told.wrong, told.pending, told.precision), (0, 1, 3, Some(0.0)));

    // Said to be repaired, it was no failure, either; closed, it is judged all the same.
    moves(&operator, 2, "resolve", "repaired").await.unwrap();
    let part = RefutePredictionRequest { verdict: "other_part".to_owned(), part: "backplane/1".to_owned(), ..wrong(2) };
    outcomes.refute_prediction(part).await.unwrap();
    let ticket = get(&operator, 2).await;
    assert_eq!((ticket.resolution.as_str(), ticket.verdict.as_str()), ("false_alarm", "other_part"));
    moves(&operator, 3, "resolve", "repaired").await.unwrap();
    moves(&operator, 3, "verdict:confirmed", "").await.unwrap();
    moves(&operator, 3, "close", "").await.unwrap();
    let all = precision(&operator, GetPrecisionRequest::default()).await;
    assert_eq!((all[0].right, all[0].wrong), (1, 2));
    assert!(all[0].median_lead_ms.unwrap() >= 60_000);
    outcomes.refute_prediction(wrong(3)).await.unwrap();
    let all = precision(&operator, GetPrecisionRequest::default()).await;
    assert_eq!((all[0].right, all[0].wrong), (0, 3), "a later word counts");
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_says_what_it_was_in_one_step_and_what_nobody_said_is_counted_as_not_given() {
    let home = Home::new();
    let collector = started(&home, home.config(), 2).await;
    let operator = home.operator(&collector).await;
    let mut tickets = TicketServiceClient::new(operator.clone());
    moves(&operator, 1, "resolve", "repaired").await.unwrap();
    let close = TransitionTicketRequest {
        name: "tickets/1".to_owned(),
        action: "close".to_owned(),
        verdict: "other_part".to_owned(),
        part: "D9".to_owned(),
        detail: "the backplane had burnt it".to_owned(),
        request_id: "c-1".to_owned(),
        ..TransitionTicketRequest::default()
    };
    let nonsense =
        TransitionTicketRequest { verdict: "confirmed".to_owned(), request_id: String::new(), ..close.clone() };
    assert_eq!(tickets.transition_ticket(nonsense).await.unwrap_err().code(), Code::InvalidArgument);
    let closed = tickets.transition_ticket(close.clone()).await.unwrap().into_inner();
    assert_eq!(tickets.transition_ticket(close).await.unwrap().into_inner(), closed, "sent again, done once");
    let closed = closed.ticket.unwrap();
    assert_eq!((closed.state().as_str_name(), closed.verdict.as_str()), ("STATE_CLOSED", "other_part"));
    // A failure that was seen needs no verdict, and confirms nothing without one.
    moves(&operator, 3, "resolve", "repaired").await.unwrap();
    moves(&operator, 3, "close", "").await.unwrap();
    let asked = || GetPrecisionRequest { all: true, ..GetPrecisionRequest::default() };
    let all = precision(&operator, asked()).await;
    let told = |p: &Precision| (p.right, p.wrong, p.unknown, p.not_given, p.misplaced);
    assert_eq!(told(&all[0]), (0, 1, 1, 1, 1));
    moves(&operator, 3, "verdict:confirmed", "").await.unwrap();
    assert_eq!(told(&precision(&operator, asked()).await[0]), (1, 1, 0, 0, 1));
    let wrong = ListOutcomesRequest { answer: "wrong".to_owned(), ..Default::default() };
    let listed = OutcomeServiceClient::new(operator).list_outcomes(wrong).await.unwrap().into_inner().outcomes;
    assert_eq!((listed[0].other_part.as_str(), listed[0].other_component.as_str()), ("D9", ""));
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_trouble_that_a_person_sets_is_shown_as_theirs_found_by_it_and_audited() {
    let home = Home::new();
    let collector = started(&home, home.config(), 2).await;
    let operator = home.operator(&collector).await;
    let mut tickets = TicketServiceClient::new(operator.clone());
    let set = |action: &str, why: &str| TransitionTicketRequest {
        name: "tickets/1".to_owned(),
        action: action.to_owned(),
        why: why.to_owned(),
        ..TransitionTicketRequest::default()
    };
    let unsaid = tickets.transition_ticket(set("set_triage:network", "")).await.unwrap_err();
    assert!(unsaid.message().contains("why it is of another kind must not be empty"), "{unsaid}");
    tickets.transition_ticket(set("set_triage:network", "the switch was replaced")).await.unwrap();
    let kind = get(&operator, 1).await.triage.unwrap();
    assert_eq!((kind.class.as_str(), kind.confidence.as_str()), ("network", "set"));
    assert!(!kind.set_by.is_empty() && kind.set_at_ms.is_some());
    assert_eq!(kind.because, ["the switch was replaced"]);
    let of = |kind: &str| ListTicketsRequest { triage: vec![kind.to_owned()], ..ListTicketsRequest::default() };
    let found = tickets.list_tickets(of("network")).await.unwrap().into_inner().tickets;
    assert_eq!(found.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["tickets/1"]);
    tickets.transition_ticket(set("clear_triage", "")).await.unwrap();
    assert_eq!(get(&operator, 1).await.triage, None, "nothing was computed");
    assert!(tickets.list_tickets(of("network")).await.unwrap().into_inner().tickets.is_empty());
    let done = collector.store().audited(&AuditFilter::default(), &Page::first(50)).unwrap().rows;
    let details: Vec<&str> =
        done.iter().filter(|e| e.deed.resource == "tickets/1").map(|e| e.deed.detail.as_str()).collect();
    assert!(details.contains(&"set_triage:network") && details.contains(&"clear_triage"), "{details:?}");
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_with_the_reason() {
    let home = Home::new();
    let collector = started(&home, home.config(), 2).await;
    let mut outcomes = OutcomeServiceClient::new(home.operator(&collector).await);
    let code = |request: RefutePredictionRequest| {
        let mut outcomes = outcomes.clone();
        async move { outcomes.refute_prediction(request).await.unwrap_err().code() }
    };
    assert_eq!(code(RefutePredictionRequest { why: "  ".to_owned(), ..wrong(1) }).await, Code::InvalidArgument);
    assert_eq!(
        code(RefutePredictionRequest { verdict: "confirmed".to_owned(), ..wrong(1) }).await,
        Code::InvalidArgument
    );
    assert_eq!(code(RefutePredictionRequest { part: "fan/1".to_owned(), ..wrong(1) }).await, Code::InvalidArgument);
    assert_eq!(code(wrong(3)).await, Code::FailedPrecondition, "it was seen, and not foretold");
    assert_eq!(code(wrong(99)).await, Code::NotFound);
    let by = GetPrecisionRequest { by: vec!["colour".to_owned()], ..GetPrecisionRequest::default() };
    assert_eq!(outcomes.get_precision(by).await.unwrap_err().code(), Code::InvalidArgument);
    let answer = ListOutcomesRequest { answer: "aside".to_owned(), ..ListOutcomesRequest::default() };
    assert_eq!(outcomes.list_outcomes(answer).await.unwrap_err().code(), Code::InvalidArgument);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_read_figures_and_refute_nothing_and_customers_and_other_sites_see_none() {
    let home = Home::new();
    let mut collector = started(&home, home.config(), 3).await;
    let viewer = client(&home, &mut collector, Role::Viewer, &Limits::default()).await;
    assert_eq!(precision(&viewer, GetPrecisionRequest::default()).await[0].pending, 3);
    let refused = OutcomeServiceClient::new(viewer.clone()).refute_prediction(wrong(1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = OutcomeServiceClient::new(viewer).export_history(ExportHistoryRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let dc2 = Limits { sites: [SiteId::new("dc2").unwrap()].into(), ..Limits::default() };
    let customer = client(&home, &mut collector, Role::Customer, &dc2).await;
    let mut outcomes = OutcomeServiceClient::new(customer);
    let refused = outcomes.get_precision(GetPrecisionRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(outcomes.refute_prediction(wrong(3)).await.unwrap_err().code(), Code::PermissionDenied);
    let engineer = client(&home, &mut collector, Role::Engineer, &dc2).await;
    let by = GetPrecisionRequest { by: vec!["site".to_owned()], ..GetPrecisionRequest::default() };
    let seen = precision(&engineer, by).await;
    let seen: Vec<_> = seen.iter().map(|p| (p.value.as_str(), p.pending)).collect();
    assert_eq!(seen, [("", 1), ("dc2", 1)]);
    let refused = OutcomeServiceClient::new(engineer).refute_prediction(wrong(1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "it is at another site");
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_proposed_to_be_muted_only_below_a_bound_that_the_operator_set() {
    for (bound, proposed) in [(None, false), (Some(0.9), true), (Some(0.3), false)] {
        let home = Home::new();
        let mut config = home.config();
        config.outcomes.mute_below = bound;
        let collector = started(&home, config, 5).await;
        let operator = home.operator(&collector).await;
        let mut outcomes = OutcomeServiceClient::new(operator.clone());
        for number in 1..=4 {
            outcomes.refute_prediction(wrong(number)).await.unwrap();
        }
        let answer = outcomes.get_precision(GetPrecisionRequest::default()).await.unwrap().into_inner();
        let told = &answer.precisions[0];
        // 0 of 4: at most 0.4899.
        assert!((told.high.unwrap() - 0.4899).abs() < 5e-5, "{told:?}");
        assert_eq!((told.propose_mute, answer.mute_below), (proposed, bound));
        collector.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_are_listed_newest_first_page_by_page() {
    let home = Home::new();
    let collector = started(&home, home.config(), 5).await;
    let operator = home.operator(&collector).await;
    let mut outcomes = OutcomeServiceClient::new(operator.clone());
    outcomes.refute_prediction(wrong(2)).await.unwrap();
    let mut request = ListOutcomesRequest { page_size: 2, answer: "pending".to_owned(), ..Default::default() };
    let mut numbers = Vec::new();
    loop {
        let page = outcomes.list_outcomes(request.clone()).await.unwrap().into_inner();
        numbers.push(page.outcomes.iter().map(|o| o.ticket.clone()).collect::<Vec<_>>());
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(numbers, [vec!["tickets/5", "tickets/4"], vec!["tickets/3", "tickets/1"]]);
    let wrong = ListOutcomesRequest { answer: "wrong".to_owned(), ..Default::default() };
    let told = outcomes.list_outcomes(wrong).await.unwrap().into_inner().outcomes;
    assert_eq!((told.len(), told[0].basis.as_str(), told[0].part_serial.as_str()), (1, "no_fault_found", "D2"));
    let seen = ListOutcomesRequest { all: true, ..Default::default() };
    assert_eq!(outcomes.list_outcomes(seen).await.unwrap().into_inner().outcomes.len(), 6);
    collector.stop().await.unwrap();
}

/// A drive at site `dc1` that was read for ten days.
fn drive(number: u64) -> (String, DriveRecord) {
    let mut history = History::default();
    for day in 20_000..20_010 {
        let mut smart = Smart::default();
        smart.raw[Attribute::PendingSectors as usize] = Some(f64::from(day - 20_000));
        history.read(day, &smart);
    }
    let place = (ServerId::new("server-dc1").unwrap(), format!("disk/Bay {number}").parse().unwrap());
    let record = DriveRecord {
        place: Some(place),
        serial: Some(format!("D{number}")),
        model: Some("ST4000DM000".to_owned()),
        history: history.into(),
        read_on: Some(20_009),
        ..DriveRecord::default()
    };
    (format!("serial:D{number}"), record)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_own_drives_go_out_for_training_without_those_that_nobody_verified() {
    let home = Home::new();
    let collector = started(&home, home.config(), 3).await;
    let operator = home.operator(&collector).await;
    let drives = [drive(1), drive(2), drive(8)];
    let kept: Vec<(String, &DriveRecord)> = drives.iter().map(|(key, record)| (key.clone(), record)).collect();
    collector.store().keep_drives(&kept, &[], None).unwrap();
    let mut outcomes = OutcomeServiceClient::new(operator);
    outcomes.refute_prediction(wrong(1)).await.unwrap();
    let mut pieces = outcomes.export_history(ExportHistoryRequest {}).await.unwrap().into_inner();
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    while let Some(piece) = pieces.message().await.unwrap() {
        files.entry(piece.file).or_default().push_str(&String::from_utf8(piece.chunk).unwrap());
    }
    assert_eq!(files.keys().map(String::as_str).collect::<Vec<_>>(), ["changes.csv", "drives.csv", "left_out.csv"]);
    assert_eq!(
        files["drives.csv"].lines().skip(1).collect::<Vec<_>>(),
        ["D1,ST4000DM000,Seagate,,2024-10-04,2024-10-13,0", "D8,ST4000DM000,Seagate,,2024-10-04,2024-10-13,0"]
    );
    assert_eq!(files["changes.csv"].lines().count(), 1 + 2 * 10);
    assert!(files["left_out.csv"].lines().nth(1).unwrap().starts_with("D2,ST4000DM000,\"a failure was foretold"));
    collector.stop().await.unwrap();
}

/// So many tickets of which a third is right, a third wrong, and a third unknown.
fn fill(store: &SqliteStore, all: u64) {
    let at = now();
    store.apply(Applied { servers: vec![server("dc1", at)], ..Applied::default() }, at).unwrap();
    for first in (1..=all).step_by(1000) {
        let tickets = (first..first + 1000).map(|number| {
            let mut write = ticket(number, "dc1", true, at);
            let verdict = match number % 3 {
                0 => Verdict::Confirmed,
                1 => Verdict::NoFaultFound,
                _ => Verdict::ReplacedWithoutTest,
            };
            let said = Action::Verdict { verdict, detail: String::new(), part: None };
            for action in [said, Action::Resolve { resolution: Resolution::Repaired }, Action::Close] {
                let command = Command { who: "wang".to_owned(), why: String::new(), action };
                let entry = apply(&write.ticket, command, at).unwrap();
                write.ticket = write.ticket.after(&entry);
                write.transitions.push(entry);
            }
            write
        });
        store.apply(Applied { tickets: tickets.collect(), ..Applied::default() }, at).unwrap();
    }
}

#[test]
#[ignore = "a figure: run it with --ignored --nocapture"]
fn what_the_figures_of_100_000_tickets_cost() {
    use outband_collector::outcome::precision::{By, Tally};
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    fill(&store, 100_000);
    let begun = Instant::now();
    let outcomes = store.outcomes(&OutcomeFilter { predicted: true, ..OutcomeFilter::default() }).unwrap();
    let read = begun.elapsed();
    let by = [By::Model, By::Site];
    let mut tally = Tally::new(&by);
    outcomes.iter().for_each(|outcome| tally.add(outcome, None));
    let rows = tally.rows();
    eprintln!("100,000 tickets: read in {read:?}, counted in {:?}", begun.elapsed() - read);
    let whole = &rows[0].precision;
    assert_eq!((whole.right, whole.wrong, whole.unknown), (33_333, 33_334, 33_333));
}
