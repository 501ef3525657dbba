//! Finding the collector, its CA and the operator's token, and connecting.

use crate::error::Error;
use clap::Args;
use outband_proto::agent::agent_service_client::AgentServiceClient;
use outband_proto::audit::audit_service_client::AuditServiceClient;
use outband_proto::callpack::call_pack_service_client::CallPackServiceClient;
use outband_proto::check::check_service_client::CheckServiceClient;
use outband_proto::drill::drill_service_client::DrillServiceClient;
use outband_proto::enrol::identity_service_client::IdentityServiceClient;
use outband_proto::fleet::fleet_service_client::FleetServiceClient;
use outband_proto::grant::grant_service_client::GrantServiceClient;
use outband_proto::health::health_service_client::HealthServiceClient;
use outband_proto::incident::incident_service_client::IncidentServiceClient;
use outband_proto::maintenance::maintenance_service_client::MaintenanceServiceClient;
use outband_proto::notice::notice_service_client::NoticeServiceClient;
use outband_proto::order::order_service_client::OrderServiceClient;
use outband_proto::outcome::outcome_service_client::OutcomeServiceClient;
use outband_proto::record::record_service_client::RecordServiceClient;
use outband_proto::report::report_service_client::ReportServiceClient;
use outband_proto::sla::sla_service_client::SlaServiceClient;
use outband_proto::telemetry::telemetry_service_client::TelemetryServiceClient;
use outband_proto::threshold::threshold_service_client::ThresholdServiceClient;
use outband_proto::ticket::ticket_service_client::TicketServiceClient;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

/// Whom to ask, and as whom.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// The collector's operator address, https://HOST:PORT
    #[arg(long, global = true, env = "OUTBAND_ENDPOINT", value_name = "URL")]
    pub(crate) endpoint: Option<String>,

    /// The collector's CA certificate (its data directory has it as ca.pem)
    #[arg(long, global = true, env = "OUTBAND_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// The file with your operator token (never the token itself: others can read command lines)
    #[arg(long, global = true, env = "OUTBAND_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Where a collector listens for operators unless it is told otherwise.
const DEFAULT_ENDPOINT: &str = "https://127.0.0.1:7443";
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A page of tickets with all their evidence.
const MAX_MESSAGE: usize = 64 << 20;

/// `~/.config/outband/cli.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    endpoint: Option<String>,
    ca: Option<PathBuf>,
    token_file: Option<PathBuf>,
}

/// What a collector's data directory says of it, in `run.json`.
#[derive(Debug, Deserialize)]
struct RunInfo {
    operators_addr: std::net::SocketAddr,
}

/// The services, each call with the token.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    channel: Channel,
    bearer: Bearer,
}

type Service = InterceptedService<Channel, Bearer>;

/// Puts the token into every call.
#[derive(Debug, Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Api {
    pub(crate) fn health(&self) -> HealthServiceClient<Service> {
        HealthServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn telemetry(&self) -> TelemetryServiceClient<Service> {
        TelemetryServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn sla(&self) -> SlaServiceClient<Service> {
        SlaServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn tickets(&self) -> TicketServiceClient<Service> {
        TicketServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn notices(&self) -> NoticeServiceClient<Service> {
        NoticeServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn orders(&self) -> OrderServiceClient<Service> {
        OrderServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn outcomes(&self) -> OutcomeServiceClient<Service> {
        OutcomeServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn audit(&self) -> AuditServiceClient<Service> {
        AuditServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn call_packs(&self) -> CallPackServiceClient<Service> {
        CallPackServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn grants(&self) -> GrantServiceClient<Service> {
        GrantServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn identities(&self) -> IdentityServiceClient<Service> {
        IdentityServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn incidents(&self) -> IncidentServiceClient<Service> {
        IncidentServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn maintenance(&self) -> MaintenanceServiceClient<Service> {
        MaintenanceServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn drills(&self) -> DrillServiceClient<Service> {
        DrillServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn thresholds(&self) -> ThresholdServiceClient<Service> {
        ThresholdServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn reports(&self) -> ReportServiceClient<Service> {
        ReportServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn fleet(&self) -> FleetServiceClient<Service> {
        FleetServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn checks(&self) -> CheckServiceClient<Service> {
        CheckServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn record(&self) -> RecordServiceClient<Service> {
        RecordServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn agents(&self) -> AgentServiceClient<Service> {
        AgentServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }
}

/// Connects, with what the command line, the environment, the config file or the collector's own directory say; in this order.
pub(crate) async fn connect(args: &ConnectionArgs) -> Result<Api, Error> {
    let config = config_file()?;
    let local = data_dirs();
    let explicit = args.endpoint.clone().or(config.endpoint);
    let endpoint = explicit.or_else(|| local.iter().find_map(|d| running(d))).unwrap_or(DEFAULT_ENDPOINT.to_owned());
    let find = |what, given: &Option<PathBuf>, configured: Option<PathBuf>, file: &str| {
        let given = given.clone().or(configured);
        given.or_else(|| local.iter().map(|d| d.join(file)).find(|p| p.is_file())).ok_or_else(|| {
            let looked: Vec<_> = local.iter().map(|d| d.join(file).display().to_string()).collect();
            Error::NoCredentials { what, looked: looked.join(", ") }
        })
    };
    let ca = find("CA certificate", &args.ca, config.ca, "ca.pem")?;
    let token = find("operator token", &args.token_file, config.token_file, "operator.token")?;
    let bearer = bearer(&token)?;
    let channel = channel(&endpoint, &read(&ca)?).await?;
    Ok(Api { channel, bearer })
}

async fn channel(endpoint: &str, ca: &str) -> Result<Channel, Error> {
    let usage = || Error::Usage(format!("{endpoint:?} is no collector address; write https://HOST:PORT"));
    if !endpoint.starts_with("https://") {
        return Err(usage());
    }
    let unreachable =
        |e: tonic::transport::Error| Error::Unreachable { endpoint: endpoint.to_owned(), detail: chain(&e) };
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    Endpoint::from_shared(endpoint.to_owned())
        .map_err(|_| usage())?
        .tls_config(tls)
        .map_err(unreachable)?
        .connect_timeout(CONNECT_WITHIN)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_while_idle(true)
        .connect()
        .await
        .map_err(unreachable)
}

fn bearer(path: &Path) -> Result<Bearer, Error> {
    let text = read(path)?;
    let text = text.trim();
    let bad = || Error::Content { path: path.to_owned(), detail: "one line with a token is wanted here".to_owned() };
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(bad());
    }
    let mut value: MetadataValue<Ascii> = format!("Bearer {text}").parse().map_err(|_| bad())?;
    value.set_sensitive(true);
    Ok(Bearer(value))
}

fn config_file() -> Result<ConfigFile, Error> {
    let base = env("XDG_CONFIG_HOME").or_else(|| env("HOME").map(|home| home.join(".config")));
    let Some(path) = base.map(|b| b.join("outband/cli.toml")) else { return Ok(ConfigFile::default()) };
    match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).map_err(|e| Error::Content { path, detail: e.to_string() }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(ConfigFile::default()),
        Err(source) => Err(Error::File { path, source }),
    }
}

/// Where a collector on this machine keeps its files: told, installed as a service, or started by hand.
fn data_dirs() -> Vec<PathBuf> {
    if let Some(told) = env("OUTBAND_DATA_DIR") {
        return vec![told];
    }
    let state = env("XDG_STATE_HOME").or_else(|| env("HOME").map(|home| home.join(".local/state")));
    let by_hand = state.map(|s| s.join("outband-collector"));
    [PathBuf::from("/var/lib/outband-collector")].into_iter().chain(by_hand).collect()
}

/// The operators' address of the collector that runs with this directory.
fn running(dir: &Path) -> Option<String> {
    let text = std::fs::read_to_string(dir.join("run.json")).ok()?;
    let info: RunInfo = serde_json::from_str(&text).ok()?;
    Some(format!("https://{}", info.operators_addr))
}

fn env(key: &str) -> Option<PathBuf> {
    std::env::var_os(key).filter(|v| !v.is_empty()).map(PathBuf::from)
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// An error with its causes: the outermost is only "transport error".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
