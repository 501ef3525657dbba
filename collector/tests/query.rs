//! What operators are answered, over real TLS: pages, names, errors with their reasons, tickets, watches, reflection.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::{Home, PATIENCE, WithToken};
use outband_collector::app::Collector;
use outband_health::{Health, Status as HealthStatus};
use outband_proto::health::health_service_client::HealthServiceClient;
use outband_proto::health::{GetHealthRequest, GetServerRequest, ListServersRequest, WatchHealthRequest};
use outband_proto::telemetry::telemetry_service_client::TelemetryServiceClient;
use outband_proto::telemetry::{ListEventsRequest, ListLatestReadingsRequest, ListReadingsRequest};
use outband_proto::ticket::clock::Status as ClockStatus;
use outband_proto::ticket::ticket_service_client::TicketServiceClient;
use outband_proto::ticket::{
    CommentTicketRequest, GetTicketRequest, ListTicketsRequest, State, TransitionTicketRequest, WatchTicketsRequest,
};
use outband_schemas::{
    ComponentClass, ComponentId, Identity, Quality, Reading, SensorKind, ServerId, SiteId, Source, Timestamp, Value,
};
use outband_store::{Applied, HealthRecord, Scope, ServerReadings, ServerRecord, Store, TicketWrite};
use outband_ticket::{Opening, Priority, Ticket, TicketNumber};
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::{Code, Status};
use tonic_types::StatusExt;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

fn site() -> SiteId {
    SiteId::new("site-a").unwrap()
}

fn server_id(n: usize) -> ServerId {
    ServerId::new(format!("srv-{n:03}")).unwrap()
}

fn server(n: usize) -> ServerRecord {
    ServerRecord {
        id: server_id(n),
        site: site(),
        identity: Identity { serial: Some(format!("SN{n}")), ..Identity::default() },
        targets: Vec::new(),
        first_seen: now(),
        last_seen: now(),
        merged_into: None,
        rev: 0,
    }
}

fn fan() -> ComponentId {
    ComponentId::new(ComponentClass::Fan, "Fan 1/A").unwrap()
}

fn health(scope: Scope, score: u8) -> HealthRecord {
    let health = Health {
        score: Some(score),
        status: HealthStatus::Ok,
        penalties: Vec::new(),
        assessed_at: now(),
        newest_reading: None,
    };
    HealthRecord { scope, health }
}

fn reading(seconds_ago: i64, rpm: f64) -> Reading {
    Reading {
        component: fan(),
        kind: SensorKind::FanSpeed,
        sensor: "Fan 1/A".to_owned(),
        value: Some(Value::Number(rpm)),
        quality: Quality::Good,
        observed_at: Timestamp::from_millis(now().as_millis() - 1000 * seconds_ago),
        source: Source("ipmi:20.0.30".to_owned()),
        thresholds: None,
    }
}

fn opening(number: TicketNumber) -> TicketWrite {
    let opening = Opening {
        number,
        priority: Priority::P2,
        title: "Fan 1/A is failing".to_owned(),
        site: Some(site()),
        server: server_id(0),
        component: fan(),
        fault: "fan_failure".to_owned(),
        rule: "fan.decay".to_owned(),
        predicted: true,
        reason: "its speed falls".to_owned(),
        evidence: Vec::new(),
        onset: now(),
        part_serial: None,
    };
    let (ticket, transition) = Ticket::open(opening, "collector", now());
    TicketWrite { ticket, expected_revision: None, transitions: vec![transition] }
}

/// A collector that knows seven servers, one of which has a fan with a history and a ticket.
async fn furnished(home: &Home) -> Collector {
    let collector = home.start().await;
    let store = collector.store();
    let number = TicketNumber(store.reserve(outband_store::Sequence::Ticket).unwrap());
    let readings = (0..10).rev().map(|i| reading(10 * i, 8000.0 - i as f64)).collect();
    let applied = Applied {
        servers: (0..7).map(server).collect(),
        healths: (0..7)
            .map(|n| health(Scope::Server(server_id(n)), 100))
            .chain([health(Scope::Site(site()), 99)])
            .collect(),
        readings: vec![ServerReadings { server: server_id(0), received_at: now(), readings }],
        tickets: vec![opening(number)],
        ..Applied::default()
    };
    store.apply(applied, now()).unwrap();
    collector
}

async fn tickets(home: &Home, collector: &Collector) -> TicketServiceClient<WithToken> {
    TicketServiceClient::new(home.operator(collector).await)
}

fn transition(action: &str) -> TransitionTicketRequest {
    TransitionTicketRequest { name: "tickets/1".to_owned(), action: action.to_owned(), ..Default::default() }
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> Status {
    answer.expect_err("should be refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_every_server_once() {
    let home = Home::new();
    let collector = furnished(&home).await;
    let mut client = HealthServiceClient::new(home.operator(&collector).await);
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListServersRequest { page_size: 3, page_token: token, ..Default::default() };
        let page = client.list_servers(request).await.unwrap().into_inner();
        assert!(page.servers.len() <= 3);
        names.extend(page.servers.into_iter().map(|s| s.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let all: Vec<String> = (0..7).map(|n| format!("servers/{}", server_id(n))).collect();
    assert_eq!(names, all);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_that_was_never_given_out_is_an_invalid_argument() {
    let home = Home::new();
    let collector = furnished(&home).await;
    let mut client = HealthServiceClient::new(home.operator(&collector).await);
    let first =
        client.list_servers(ListServersRequest { page_size: 3, ..Default::default() }).await.unwrap().into_inner();
    let foreign =
        ListServersRequest { page_token: first.next_page_token, site: "sites/site-a".to_owned(), page_size: 3 };
    for bad in [ListServersRequest { page_token: "zz".to_owned(), ..Default::default() }, foreign] {
        let status = refused(client.list_servers(bad).await);
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "page_token");
    }
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_not_found_by_its_name() {
    let home = Home::new();
    let collector = furnished(&home).await;
    let operator = home.operator(&collector).await;
    let mut health = HealthServiceClient::new(operator.clone());
    let status = refused(health.get_server(GetServerRequest { name: "servers/none".to_owned() }).await);
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("servers/none"));
    let status = refused(health.get_health(GetHealthRequest { name: "sites/none".to_owned() }).await);
    assert_eq!(status.code(), Code::NotFound);
    let mut telemetry = TelemetryServiceClient::new(operator.clone());
    let request = ListLatestReadingsRequest { parent: "servers/none".to_owned(), ..Default::default() };
    assert_eq!(refused(telemetry.list_latest_readings(request).await).code(), Code::NotFound);
    let mut tickets = TicketServiceClient::new(operator);
    let status =
        refused(tickets.get_ticket(GetTicketRequest { name: "tickets/99".to_owned(), ..Default::default() }).await);
    assert_eq!(status.code(), Code::NotFound);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_value_and_the_history_of_a_sensor_are_answered() {
    let home = Home::new();
    let collector = furnished(&home).await;
    let mut client = TelemetryServiceClient::new(home.operator(&collector).await);
    let parent = "servers/srv-000".to_owned();
    let latest =
        ListLatestReadingsRequest { parent: parent.clone(), component: "fan".to_owned(), ..Default::default() };
    let latest = client.list_latest_readings(latest).await.unwrap().into_inner().readings;
    assert_eq!(latest.len(), 1);
    assert_eq!(latest[0].value, Some(outband_proto::telemetry::reading::Value::Number(8000.0)));
    let history =
        ListReadingsRequest { parent, component: "fan/Fan 1/A".to_owned(), page_size: 4, ..Default::default() };
    let history = client.list_readings(history).await.unwrap().into_inner();
    let times: Vec<i64> = history.readings.iter().map(|r| r.observed_at_ms).collect();
    assert_eq!(times.len(), 4);
    assert!(times.is_sorted() && !history.next_page_token.is_empty());
    assert_eq!(history.resolution, "raw");
    let of = |resolution: &str| ListReadingsRequest {
        parent: "servers/srv-000".to_owned(),
        component: "fan/Fan 1/A".to_owned(),
        page_size: 1000,
        resolution: resolution.to_owned(),
        ..Default::default()
    };
    let all = client.list_readings(of("raw")).await.unwrap().into_inner().readings;
    for resolution in ["5m", "1h"] {
        let answer = client.list_readings(of(resolution)).await.unwrap().into_inner();
        assert_eq!((answer.resolution.as_str(), answer.readings.len()), (resolution, 0));
        let counted: u32 = answer.summaries.iter().map(|s| s.good + s.suspect + s.unavailable).sum();
        assert_eq!(counted as usize, all.len());
        let sound =
            |s: &outband_proto::telemetry::ReadingSummary| s.min <= s.mean && s.mean <= s.max && s.from_ms < s.to_ms;
        assert!(answer.summaries.iter().all(sound), "{:?}", answer.summaries);
    }
    // From 1970 on: in hours.
    assert_eq!(client.list_readings(of("auto")).await.unwrap().into_inner().resolution, "1h");
    assert_eq!(refused(client.list_readings(of("2m")).await).code(), Code::InvalidArgument);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_that_ends_before_it_begins_is_an_invalid_argument() {
    let home = Home::new();
    let collector = furnished(&home).await;
    let mut client = TelemetryServiceClient::new(home.operator(&collector).await);
    let request =
        ListReadingsRequest { parent: "servers/srv-000".to_owned(), from_ms: 2000, to_ms: 1000, ..Default::default() };
    assert_eq!(refused(client.list_readings(request).await).code(), Code::InvalidArgument);
    let request = ListEventsRequest { parent: "servers/-".to_owned(), min_severity: 9, ..Default::default() };
    assert_eq!(refused(client.list_events(request).await).code(), Code::InvalidArgument);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_moves_with_its_clocks_and_its_log_says_who_and_why() {
    let home = Home::new();
    let collector = furnished(&home).await;
    let mut client = tickets(&home, &collector).await;
    let ticket = client
        .get_ticket(GetTicketRequest { name: "tickets/1".to_owned(), ..Default::default() })
        .await
        .unwrap()
        .into_inner()
        .ticket
        .unwrap();
    let clocks: Vec<_> = ticket.clocks.iter().map(|c| (c.name.as_str(), c.status(), c.target.as_str())).collect();
    assert_eq!(
        clocks,
        [
            ("respond", ClockStatus::Running, "15 min"),
            ("locate", ClockStatus::Running, "1 h"),
            ("repair", ClockStatus::Running, "4 h")
        ]
    );
    let request = TransitionTicketRequest {
        assignee: "li".to_owned(),
        why: "on shift".to_owned(),
        etag: ticket.etag,
        ..transition("assign")
    };
    let ticket = client.transition_ticket(request).await.unwrap().into_inner().ticket.unwrap();
    assert_eq!((ticket.state(), ticket.assignee.as_str()), (State::Assigned, "li"));
    assert_eq!(ticket.clocks[0].status(), ClockStatus::Met);
    let last = ticket.transitions.last().unwrap();
    assert_eq!((last.who.as_str(), last.why.as_str(), last.action.as_str()), ("operator", "on shift", "assign"));
    assert_eq!((last.from(), last.to()), (State::New, State::Assigned));
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_changed_meanwhile_is_not_overwritten() {
    let home = Home::new();
    let collector = furnished(&home).await;
    let mut client = tickets(&home, &collector).await;
    let read = client
        .get_ticket(GetTicketRequest { name: "tickets/1".to_owned(), ..Default::default() })
        .await
        .unwrap()
        .into_inner()
        .ticket
        .unwrap();
    client.transition_ticket(transition("start")).await.unwrap();
    let late = TransitionTicketRequest { etag: read.etag, ..transition("wait_for_parts") };
    let status = refused(client.transition_ticket(late).await);
    assert_eq!(status.code(), Code::Aborted);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "CHANGED_MEANWHILE");
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_move_names_those_that_are_possible() {
    let home = Home::new();
    let collector = furnished(&home).await;
    let mut client = tickets(&home, &collector).await;
    let status = refused(client.transition_ticket(transition("close")).await);
    assert_eq!(status.code(), Code::FailedPrecondition);
    let details = status.get_error_details();
    let allowed = &details.error_info().unwrap().metadata["allowed_actions"];
    assert_eq!(allowed, "assign,start,locate,resolve");
    assert_eq!(refused(client.transition_ticket(transition("explode")).await).code(), Code::InvalidArgument);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_at_the_same_time_are_all_kept() {
    let home = Home::new();
    let collector = furnished(&home).await;
    let client = tickets(&home, &collector).await;
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..4 {
        let mut client = client.clone();
        let request =
            CommentTicketRequest { name: "tickets/1".to_owned(), text: format!("note {n}"), ..Default::default() };
        writers.spawn(async move { client.comment_ticket(request).await.map(|_| ()) });
    }
    writers.join_all().await.into_iter().for_each(|r| r.unwrap());
    let list = client.clone().list_tickets(ListTicketsRequest::default()).await.unwrap().into_inner();
    let mut texts: Vec<_> = list.tickets[0].comments.iter().map(|c| c.text.clone()).collect();
    texts.sort();
    assert_eq!(texts, ["note 0", "note 1", "note 2", "note 3"]);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_of_tickets_sees_what_is_there_what_changes_and_what_leaves() {
    let home = Home::new();
    let collector = furnished(&home).await;
    let mut client = tickets(&home, &collector).await;
    let request = WatchTicketsRequest { states: vec![State::New.into(), State::Assigned.into()] };
    let mut watch = client.watch_tickets(request).await.unwrap().into_inner();
    for (action, seen) in [("", State::New), ("assign", State::Assigned), ("start", State::InProgress)] {
        if !action.is_empty() {
            let request = TransitionTicketRequest { assignee: "li".to_owned(), ..transition(action) };
            client.transition_ticket(request).await.unwrap();
        }
        let message = tokio::time::timeout(PATIENCE, watch.message()).await.expect("a change in time").unwrap();
        assert_eq!(message.unwrap().ticket.unwrap().state(), seen);
    }
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_of_health_is_told_when_the_collector_stops() {
    let home = Home::new();
    let collector = furnished(&home).await;
    let mut client = HealthServiceClient::new(home.operator(&collector).await);
    let mut watch =
        client.watch_health(WatchHealthRequest { name: "sites/site-a".to_owned() }).await.unwrap().into_inner();
    let mut names = Vec::new();
    for _ in 0..8 {
        let message = tokio::time::timeout(PATIENCE, watch.message()).await.expect("health in time").unwrap();
        names.push(message.unwrap().health.unwrap().name);
    }
    assert_eq!((names[0].as_str(), names[7].as_str()), ("sites/site-a", "servers/srv-006"));
    let (stopped, end) = tokio::join!(collector.stop(), watch.message());
    stopped.unwrap();
    assert_eq!(refused(end).code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_shows_every_service_in_both_versions() {
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::{v1, v1alpha};
    let home = Home::new();
    let collector = home.start().await;
    let operator = home.operator(&collector).await;
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(operator.clone());
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!("no list") };
    let names: Vec<String> = list.service.into_iter().map(|s| s.name).collect();
    for service in
        ["health.v1.HealthService", "telemetry.v1.TelemetryService", "ticket.v1.TicketService", "agent.v1.AgentService"]
    {
        assert!(names.contains(&format!("outband.{service}")), "{service} is not among {names:?}");
    }
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(operator);
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_check_of_grpc_answers_whoever_may_look() {
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    let home = Home::new();
    let collector = home.start().await;
    let mut stranger = HealthClient::new(home.channel(collector.operators_addr()).await);
    let refused = stranger.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    let mut client = HealthClient::new(home.operator(&collector).await);
    for service in ["", "outband.health.v1.HealthService"] {
        let answer = client.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    collector.stop().await.unwrap();
}
