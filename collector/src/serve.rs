//! The two listeners: one for agents, one for operators. TLS and a token on both; [`door`] bounds what strangers can take up.

pub mod door;

use crate::auth::Gate;
use crate::clock::Timekeeper;
use crate::enrol::service::{Counter, MAX_MESSAGE as MAX_ENROLMENT};
use crate::ingest::Ingest;
use crate::ingest::service::MAX_MESSAGE;
use crate::query::Desk;
use crate::tls::ServerIdentity;
use door::{Door, Guests, Limits};
use outband_proto::DESCRIPTORS;
use outband_proto::agent::agent_service_server::AgentServiceServer;
use outband_proto::audit::audit_service_server::AuditServiceServer;
use outband_proto::callpack::call_pack_service_server::CallPackServiceServer;
use outband_proto::check::check_service_server::CheckServiceServer;
use outband_proto::drill::drill_service_server::DrillServiceServer;
use outband_proto::enrol::enrol_service_server::EnrolServiceServer;
use outband_proto::enrol::identity_service_server::IdentityServiceServer;
use outband_proto::enrol::renewal_service_server::RenewalServiceServer;
use outband_proto::fleet::fleet_service_server::FleetServiceServer;
use outband_proto::grant::grant_service_server::GrantServiceServer;
use outband_proto::health::health_service_server::HealthServiceServer;
use outband_proto::incident::incident_service_server::IncidentServiceServer;
use outband_proto::ingest::ingest_service_server::IngestServiceServer;
use outband_proto::maintenance::maintenance_service_server::MaintenanceServiceServer;
use outband_proto::notice::notice_service_server::NoticeServiceServer;
use outband_proto::order::order_service_server::OrderServiceServer;
use outband_proto::outcome::outcome_service_server::OutcomeServiceServer;
use outband_proto::record::record_service_server::RecordServiceServer;
use outband_proto::report::report_service_server::ReportServiceServer;
use outband_proto::sla::sla_service_server::SlaServiceServer;
use outband_proto::telemetry::telemetry_service_server::TelemetryServiceServer;
use outband_proto::threshold::threshold_service_server::ThresholdServiceServer;
use outband_proto::ticket::ticket_service_server::TicketServiceServer;
use outband_schemas::Clock;
use outband_store::audit::Audit;
use outband_store::change::Changes;
use outband_store::check::Checks;
use outband_store::drill::Drills;
use outband_store::drives::Drives;
use outband_store::enrol::Enrolments;
use outband_store::grant::Grants;
use outband_store::history::History;
use outband_store::keeping::Keeping;
use outband_store::maintenance::Maintenance;
use outband_store::order::Orders;
use outband_store::outcome::Outcomes;
use outband_store::parts::Parts;
use outband_store::recall::Recall;
use outband_store::threshold::Thresholds;
use outband_store::usage::Usage;
use outband_store::{Outbox, Store};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

/// How long a peer may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often a quiet peer is asked whether it is still there, and how long it may take to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(15));

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr} for {whom}: {source}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// For whom.
        whom: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The server failed.
    #[error("serving {whom} failed: {source}")]
    Serve {
        /// Whom.
        whom: &'static str,
        /// The library's reason.
        source: tonic::transport::Error,
    },
    /// The descriptors that reflection shows cannot be read.
    #[error("server reflection cannot be built: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A bound listener, not yet served.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    addr: SocketAddr,
    door: Door,
}

impl Bound {
    /// Binds; port 0 becomes a free one.
    pub async fn bind(addr: SocketAddr, whom: &'static str) -> Result<Self, Error> {
        let fail = |source| Error::Bind { addr, whom, source };
        let listener = TcpListener::bind(addr).await.map_err(fail)?;
        let addr = listener.local_addr().map_err(fail)?;
        Ok(Self { listener, addr, door: Door::new(whom, Limits::default()) })
    }

    /// Its door.
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    /// The address with its real port.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

fn tls(identity: &ServerIdentity) -> ServerTlsConfig {
    ServerTlsConfig::new().identity(Identity::from_pem(&identity.chain_pem, &identity.key_pem)).timeout(HANDSHAKE)
}

fn server(tls: ServerTlsConfig, whom: &'static str) -> Result<Server, Error> {
    Server::builder().tls_config(tls).map(kept_alive).map_err(|source| Error::Serve { whom, source })
}

/// A server that pings its peers: a line that is silently gone is noticed within the two times.
pub fn kept_alive(server: Server) -> Server {
    server.http2_keepalive_interval(Some(KEEPALIVE.0)).http2_keepalive_timeout(Some(KEEPALIVE.1))
}

/// Serves agents until `shutdown` is cancelled and every stream has ended.
pub async fn agents<S, C>(
    bound: Bound,
    identity: &ServerIdentity,
    gate: &Gate,
    ingest: Ingest<S, C>,
    counter: Counter<S, C>,
    shutdown: CancellationToken,
) -> Result<(), Error>
where
    S: Store + Audit + Enrolments,
    C: Clock + Send + Sync + 'static,
{
    let whom = "agents";
    let service = IngestServiceServer::new(ingest).max_decoding_message_size(MAX_MESSAGE);
    // Whoever comes with a certificate has one of ours; whoever comes with none needs a token, or wants to join.
    let tls = tls(identity).client_ca_root(Certificate::from_pem(&identity.ca_pem)).client_auth_optional(true);
    let renewal = RenewalServiceServer::new(counter.clone()).max_decoding_message_size(MAX_ENROLMENT);
    server(tls, whom)?
        .add_service(gate.guard(bound.door.greet(service)))
        .add_service(gate.guard(bound.door.greet(renewal)))
        .add_service(EnrolServiceServer::new(counter).max_decoding_message_size(MAX_ENROLMENT))
        .serve_with_incoming_shutdown(incoming(bound), shutdown.cancelled_owned())
        .await
        .map_err(|source| Error::Serve { whom, source })
}

/// Serves operators until `shutdown` is cancelled and every watch has ended.
pub async fn operators<S, C>(
    bound: Bound,
    identity: &ServerIdentity,
    gate: &Gate,
    desk: Desk<S, C>,
    shutdown: CancellationToken,
) -> Result<(), Error>
where
    S: Store
        + Audit
        + Checks
        + Keeping
        + Changes
        + Grants
        + Maintenance
        + Orders
        + Outbox
        + Drills
        + Thresholds
        + Recall
        + Outcomes
        + Parts
        + Drives
        + Enrolments
        + Usage
        + History,
    C: Timekeeper + Send + Sync + 'static,
{
    let whom = "operators";
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (v1, v1alpha) = (reflection().build_v1()?, reflection().build_v1alpha()?);
    let door = bound.door();
    // Behind the gate, as all else: a stranger gets nothing but a refusal. A load balancer is given a viewer's token, or looks whether the port is open.
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<HealthServiceServer<Desk<S, C>>>().await;
    let ending = shutdown.clone();
    let end = async move {
        ending.cancelled().await;
        reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    };
    server(tls(identity), whom)?
        .add_service(gate.guard(door.greet(health)))
        .add_service(gate.guard(door.greet(v1)))
        .add_service(gate.guard(door.greet(v1alpha)))
        .add_service(gate.guard(door.greet(HealthServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(TelemetryServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(TicketServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(SlaServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(ReportServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(FleetServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(AuditServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(CheckServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(DrillServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(ThresholdServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(RecordServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(NoticeServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(OrderServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(OutcomeServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(CallPackServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(GrantServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(IdentityServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(IncidentServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(MaintenanceServiceServer::new(desk.clone()))))
        .add_service(gate.guard(door.greet(AgentServiceServer::new(desk))))
        .serve_with_incoming_shutdown(incoming(bound), end)
        .await
        .map_err(|source| Error::Serve { whom, source })
}

fn incoming(bound: Bound) -> Guests {
    Guests::new(bound.listener, bound.door)
}
