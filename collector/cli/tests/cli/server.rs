//! A collector that answers from memory, over real TLS.

use outband_proto::agent::agent_service_server::{AgentService, AgentServiceServer};
use outband_proto::agent::{Agent, LaneLag, ListAgentsRequest, ListAgentsResponse};
use outband_proto::health::health_service_server::{HealthService, HealthServiceServer};
use outband_proto::health::{self as h, health::Status as HealthStatus};
use outband_proto::telemetry::telemetry_service_server::{TelemetryService, TelemetryServiceServer};
use outband_proto::telemetry::{self as t, reading};
use outband_proto::ticket::ticket_service_server::{TicketService, TicketServiceServer};
use outband_proto::ticket::{self as k, clock};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

pub(crate) const TOKEN: &str = "operator-token-of-a-test";
/// Servers that the collector knows: more than a page.
pub(crate) const SERVERS: usize = 1203;

pub(crate) fn now_ms() -> i64 {
    i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A running collector, its files, and what it was asked to do.
pub(crate) struct Collector {
    pub(crate) endpoint: String,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) moves: Arc<Mutex<Vec<k::TransitionTicketRequest>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(dir.path().join("ca.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.path().join("operator.token"), format!("{TOKEN}\n")).unwrap();
        let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let desk = Desk::default();
        let moves = desk.moves.clone();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        runtime.spawn(async move {
            Server::builder()
                .tls_config(ServerTlsConfig::new().identity(identity))
                .unwrap()
                .add_service(HealthServiceServer::with_interceptor(desk.clone(), check))
                .add_service(TelemetryServiceServer::with_interceptor(desk.clone(), check))
                .add_service(TicketServiceServer::with_interceptor(desk.clone(), check))
                .add_service(AgentServiceServer::with_interceptor(desk, check))
                .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener))
                .await
                .unwrap();
        });
        let info = format!(r#"{{"agents_addr":"{addr}","operators_addr":"{addr}","pid":1}}"#);
        std::fs::write(dir.path().join("run.json"), info).unwrap();
        Self { endpoint: format!("https://{addr}"), dir, moves, _runtime: runtime }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn check(request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("authorization").and_then(|v| v.to_str().ok()) {
        Some(bearer) if bearer == format!("Bearer {TOKEN}") => Ok(request),
        _ => Err(Status::unauthenticated("this token is not known here, or it was revoked")),
    }
}

#[derive(Clone, Default)]
struct Desk {
    moves: Arc<Mutex<Vec<k::TransitionTicketRequest>>>,
}

fn no_such<T>(name: &str) -> Result<Response<T>, Status> {
    Err(Status::not_found(format!("there is no {name}; `ListServers` shows those there are")))
}

fn health() -> h::Health {
    h::Health {
        name: "servers/srv-1".to_owned(),
        score: Some(62),
        status: HealthStatus::Warning.into(),
        penalties: vec![h::Penalty {
            points: 38,
            component: "disk/Bay 3".to_owned(),
            rule: "disk.smart_growth".to_owned(),
            reason: "reallocated sectors grew by 40 in 6 polls".to_owned(),
        }],
        assessed_at_ms: now_ms() - 5_000,
        newest_reading_ms: now_ms() - 12_000,
    }
}

#[tonic::async_trait]
impl HealthService for Desk {
    async fn list_servers(
        &self,
        request: Request<h::ListServersRequest>,
    ) -> Result<Response<h::ListServersResponse>, Status> {
        let r = request.into_inner();
        let from: usize = r.page_token.parse().unwrap_or(0);
        let to = (from + usize::try_from(r.page_size).unwrap()).min(SERVERS);
        let servers = (from..to).map(|i| h::Server {
            name: format!("servers/srv-{i}"),
            site: "sites/dc1".to_owned(),
            model: "R750, \"rev 2\"".to_owned(),
            health: Some(health()),
            ..h::Server::default()
        });
        let next_page_token = if to < SERVERS { to.to_string() } else { String::new() };
        Ok(Response::new(h::ListServersResponse { servers: servers.collect(), next_page_token }))
    }

    async fn get_server(
        &self,
        request: Request<h::GetServerRequest>,
    ) -> Result<Response<h::GetServerResponse>, Status> {
        let name = request.into_inner().name;
        if name != "servers/srv-disks" {
            return no_such(&name);
        }
        let disk = |bay: u32, judged: Option<h::DiskJudgement>| h::Part {
            component: format!("disk/Bay {bay}"),
            disk_model: judged,
            ..h::Part::default()
        };
        let failing = h::DiskJudgement {
            verdict: "failing".to_owned(),
            probability: Some(0.413),
            model: "disk-1".to_owned(),
            since_ms: 1_800_000_000_000,
            ..h::DiskJudgement::default()
        };
        let said = |verdict: &str, reason: &str| h::DiskJudgement {
            verdict: verdict.to_owned(),
            reason: reason.to_owned(),
            ..h::DiskJudgement::default()
        };
        let parts = vec![
            disk(1, Some(failing)),
            disk(2, Some(said("not_judged", "solid_state"))),
            disk(3, Some(said("well", ""))),
            disk(4, Some(said("not_judged", "a_reason_of_tomorrow"))),
            disk(5, None),
        ];
        Ok(Response::new(h::GetServerResponse { server: Some(h::Server { name, parts, ..h::Server::default() }) }))
    }

    async fn get_health(
        &self,
        request: Request<h::GetHealthRequest>,
    ) -> Result<Response<h::GetHealthResponse>, Status> {
        match request.into_inner().name.as_str() {
            "servers/srv-1" => {
                let child = h::Health { name: "servers/srv-1/components/disk/Bay%203".to_owned(), ..health() };
                Ok(Response::new(h::GetHealthResponse { health: Some(health()), children: vec![child] }))
            }
            name => no_such(name),
        }
    }

    async fn list_health(&self, _: Request<h::ListHealthRequest>) -> Result<Response<h::ListHealthResponse>, Status> {
        let stale = h::Health {
            name: "servers/srv-2".to_owned(),
            score: None,
            status: HealthStatus::Stale.into(),
            ..h::Health::default()
        };
        Ok(Response::new(h::ListHealthResponse { healths: vec![health(), stale], next_page_token: String::new() }))
    }

    type WatchHealthStream = ReceiverStream<Result<h::WatchHealthResponse, Status>>;

    async fn watch_health(
        &self,
        _: Request<h::WatchHealthRequest>,
    ) -> Result<Response<Self::WatchHealthStream>, Status> {
        Err(Status::permission_denied("not here"))
    }
}

#[tonic::async_trait]
impl TelemetryService for Desk {
    async fn list_latest_readings(
        &self,
        _: Request<t::ListLatestReadingsRequest>,
    ) -> Result<Response<t::ListLatestReadingsResponse>, Status> {
        let component = Some(t::Component { class: 8, slot: "Fan 1A".to_owned() });
        let fan = t::Reading {
            component: component.clone(),
            kind: 20,
            sensor: "Fan 1A".to_owned(),
            value: Some(reading::Value::Number(5400.0)),
            observed_at_ms: now_ms() - 3_000,
            source: "ipmi:20.0.3b".to_owned(),
            ..t::Reading::default()
        };
        let silent = t::Reading { unavailable: 4, value: None, sensor: "Fan 1B".to_owned(), ..fan.clone() };
        let newer = t::Reading { kind: 9999, suspicion: 77, sensor: "x".to_owned(), ..fan.clone() };
        let state = t::Reading {
            kind: 1,
            value: Some(reading::Value::State(t::StateValue { state: 5, text: "Failure detected".to_owned() })),
            ..fan.clone()
        };
        let readings = vec![fan, silent, newer, state];
        Ok(Response::new(t::ListLatestReadingsResponse { readings, next_page_token: String::new() }))
    }

    async fn list_readings(
        &self,
        _: Request<t::ListReadingsRequest>,
    ) -> Result<Response<t::ListReadingsResponse>, Status> {
        Ok(Response::new(t::ListReadingsResponse::default()))
    }

    async fn list_events(&self, _: Request<t::ListEventsRequest>) -> Result<Response<t::ListEventsResponse>, Status> {
        Err(Status::internal("the store failed; see the collector's log"))
    }

    async fn list_gaps(&self, _: Request<t::ListGapsRequest>) -> Result<Response<t::ListGapsResponse>, Status> {
        let gap = t::Gap { cause: 5, detail: "no route to host".to_owned(), from_ms: Some(1), ..t::Gap::default() };
        let of_stream = t::Gap { component: None, ..gap.clone() };
        let gaps = vec![
            t::ServerGap { server: "servers/srv-1".to_owned(), gap: Some(gap), agent: String::new() },
            t::ServerGap { server: String::new(), gap: Some(of_stream), agent: "agents/dc1".to_owned() },
        ];
        Ok(Response::new(t::ListGapsResponse { gaps, next_page_token: String::new() }))
    }
}

fn ticket() -> k::Ticket {
    let clock = |name: &str, status: clock::Status, due: Option<i64>| k::Clock {
        name: name.to_owned(),
        status: status.into(),
        target: "4 h".to_owned(),
        target_ms: 14_400_000,
        elapsed_ms: 2_880_000,
        due_ms: due,
        ..k::Clock::default()
    };
    k::Ticket {
        name: "tickets/12".to_owned(),
        state: k::State::New.into(),
        priority: k::Priority::P3.into(),
        title: "Disk failure predicted in disk/Bay 3".to_owned(),
        server: "servers/srv-1".to_owned(),
        component: "disk/Bay 3".to_owned(),
        cause: "disk.smart_growth".to_owned(),
        predicted: true,
        clocks: vec![
            clock("respond", clock::Status::Met, None),
            clock("repair", clock::Status::Running, Some(now_ms() + 11_550_000)),
        ],
        created_at_ms: now_ms() - 2_880_000,
        ..k::Ticket::default()
    }
}

#[tonic::async_trait]
impl TicketService for Desk {
    async fn list_tickets(
        &self,
        request: Request<k::ListTicketsRequest>,
    ) -> Result<Response<k::ListTicketsResponse>, Status> {
        let wanted = request.into_inner().states;
        let matches = wanted.is_empty() || wanted.contains(&k::State::New.into());
        let tickets = if matches { vec![ticket()] } else { Vec::new() };
        Ok(Response::new(k::ListTicketsResponse { tickets, next_page_token: String::new() }))
    }

    async fn get_ticket(
        &self,
        request: Request<k::GetTicketRequest>,
    ) -> Result<Response<k::GetTicketResponse>, Status> {
        match request.into_inner().name.as_str() {
            "tickets/12" => {
                Ok(Response::new(k::GetTicketResponse { ticket: Some(ticket()), ..k::GetTicketResponse::default() }))
            }
            name => no_such(name),
        }
    }

    async fn transition_ticket(
        &self,
        request: Request<k::TransitionTicketRequest>,
    ) -> Result<Response<k::TransitionTicketResponse>, Status> {
        let request = request.into_inner();
        self.moves.lock().unwrap().push(request.clone());
        if request.action == "close" {
            return Err(Status::failed_precondition(
                "tickets/12: a new ticket cannot be closed; state new allows: assign",
            ));
        }
        Ok(Response::new(k::TransitionTicketResponse { ticket: Some(ticket()) }))
    }

    async fn comment_ticket(
        &self,
        _: Request<k::CommentTicketRequest>,
    ) -> Result<Response<k::CommentTicketResponse>, Status> {
        Ok(Response::new(k::CommentTicketResponse { ticket: Some(ticket()) }))
    }

    async fn reach_milestone(
        &self,
        _: Request<k::ReachMilestoneRequest>,
    ) -> Result<Response<k::ReachMilestoneResponse>, Status> {
        Ok(Response::new(k::ReachMilestoneResponse { ticket: Some(ticket()) }))
    }

    type WatchTicketsStream = ReceiverStream<Result<k::WatchTicketsResponse, Status>>;

    async fn watch_tickets(
        &self,
        _: Request<k::WatchTicketsRequest>,
    ) -> Result<Response<Self::WatchTicketsStream>, Status> {
        let (tx, rx) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move { tx.closed().await });
        Ok(Response::new(ReceiverStream::new(rx)))
    }
}

#[tonic::async_trait]
impl AgentService for Desk {
    async fn list_agents(&self, _: Request<ListAgentsRequest>) -> Result<Response<ListAgentsResponse>, Status> {
        let lane = LaneLag { lane: "telemetry".to_owned(), committed: 90, announced: 100, lag_ms: 65_000 };
        let agent = Agent {
            name: "agents/dc1".to_owned(),
            site: "sites/dc1".to_owned(),
            lanes: vec![lane],
            ..Agent::default()
        };
        Ok(Response::new(ListAgentsResponse { agents: vec![agent], next_page_token: String::new() }))
    }
}
