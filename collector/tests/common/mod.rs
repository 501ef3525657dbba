//! A collector on free ports in a directory of its own, and clients that know its CA.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests: a failure here is the test's failure")]

pub mod month;
pub mod probe;
pub mod raw;

use outband_collector::app::Collector;
use outband_collector::config::Config;
use outband_proto::ingest::ingest_service_client::IngestServiceClient;
use outband_proto::ingest::{
    Batch, GoAway, Hello, Lane, LaneState, StreamRequest, StreamResponse, Welcome, stream_request, stream_response,
};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Request, Status, Streaming};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A directory for a collector. It stays until the test ends, whatever starts and stops in it.
pub struct Home {
    tmp: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self { tmp: tempfile::tempdir().unwrap() }
    }

    pub fn dir(&self) -> PathBuf {
        self.tmp.path().join("data")
    }

    pub fn config(&self) -> Config {
        let text = "[listen]\nagents = '127.0.0.1:0'\noperators = '127.0.0.1:0'\n";
        let mut config = Config::parse(text).unwrap();
        config.data.dir = Some(self.dir());
        // What the disk of this machine has left is not what is tested.
        config.data.keep_free_mib = 0;
        config
    }

    pub async fn start(&self) -> Collector {
        start(self.config()).await
    }

    pub fn token(&self, role: &str) -> String {
        std::fs::read_to_string(self.dir().join(format!("{role}.token"))).unwrap().trim().to_owned()
    }

    pub async fn channel(&self, addr: SocketAddr) -> Channel {
        channel(addr, &self.dir().join("ca.pem")).await.unwrap()
    }

    pub async fn ingest(&self, collector: &Collector) -> IngestServiceClient<WithToken> {
        let channel = self.channel(collector.agents_addr()).await;
        IngestServiceClient::new(with_token(channel, &self.token("agent")))
    }

    pub async fn operator(&self, collector: &Collector) -> WithToken {
        let channel = self.channel(collector.operators_addr()).await;
        with_token(channel, &self.token("operator"))
    }
}

/// A collector that has looked at its store: what a test writes there itself stays as it was written.
pub async fn start(config: Config) -> Collector {
    let collector = Collector::start(config).await.unwrap();
    tokio::time::timeout(PATIENCE, collector.settled()).await.unwrap();
    collector
}

pub async fn channel(addr: SocketAddr, ca: &Path) -> Result<Channel, tonic::transport::Error> {
    let ca = Certificate::from_pem(std::fs::read(ca).unwrap());
    let tls = ClientTlsConfig::new().ca_certificate(ca).domain_name("localhost");
    Channel::from_shared(format!("https://{addr}")).unwrap().tls_config(tls)?.connect().await
}

pub type WithToken = InterceptedService<Channel, Bearer>;

pub fn with_token(channel: Channel, token: &str) -> WithToken {
    InterceptedService::new(channel, Bearer(format!("Bearer {token}").parse().unwrap()))
}

#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// An agent's end of a stream.
pub struct Agent {
    up: mpsc::Sender<StreamRequest>,
    down: Streaming<StreamResponse>,
}

impl Agent {
    /// Opens a stream and says hello; the answer is not read yet.
    pub async fn call(client: &mut IngestServiceClient<WithToken>, hello: Hello) -> Result<Self, Status> {
        let (up, messages) = mpsc::channel(64);
        up.send(request(stream_request::Message::Hello(hello))).await.unwrap();
        let down = client.stream(ReceiverStream::new(messages)).await?.into_inner();
        Ok(Self { up, down })
    }

    /// Opens a stream and reads the Welcome.
    pub async fn join(client: &mut IngestServiceClient<WithToken>, hello: Hello) -> (Self, Welcome) {
        let mut agent = Self::call(client, hello).await.unwrap();
        match agent.next().await {
            Ok(Some(stream_response::Message::Welcome(welcome))) => (agent, welcome),
            other => panic!("no Welcome but {other:?}"),
        }
    }

    pub async fn send(&self, batch: Batch) {
        self.sender().send(batch).await;
    }

    /// The sending half, to send while acks are read.
    pub fn sender(&self) -> Sender {
        Sender(self.up.clone())
    }

    pub async fn next(&mut self) -> Result<Option<stream_response::Message>, Status> {
        let answer = tokio::time::timeout(PATIENCE, self.down.message()).await.expect("an answer in time")?;
        Ok(answer.and_then(|a| a.message))
    }

    /// The lane and mark of the next Ack.
    pub async fn ack(&mut self) -> (Lane, i64) {
        match self.next().await {
            Ok(Some(stream_response::Message::Ack(ack))) => (ack.lane(), ack.committed),
            other => panic!("no Ack but {other:?}"),
        }
    }

    /// The GoAway with which the stream ends, Acks before it passed over.
    pub async fn go_away(&mut self) -> GoAway {
        loop {
            match self.next().await {
                Ok(Some(stream_response::Message::Ack(_))) => {}
                Ok(Some(stream_response::Message::GoAway(go_away))) => return go_away,
                other => panic!("no GoAway but {other:?}"),
            }
        }
    }
}

/// The sending half of an agent's stream.
pub struct Sender(mpsc::Sender<StreamRequest>);

impl Sender {
    pub async fn send(&self, batch: Batch) {
        self.0.send(request(stream_request::Message::Batch(batch))).await.unwrap();
    }
}

fn request(message: stream_request::Message) -> StreamRequest {
    StreamRequest { message: Some(message) }
}

pub fn hello(agent: &str, spool: u128) -> Hello {
    Hello {
        agent: agent.to_owned(),
        spool_id: format!("{spool:032x}"),
        lanes: [Lane::Event, Lane::Telemetry]
            .map(|lane| LaneState { lane: lane.into(), oldest: 1, next: 1_000 })
            .to_vec(),
        site: "site-a".to_owned(),
        version: "0.0.0-test".to_owned(),
        targets: vec!["s1".to_owned()],
        sensor_interval_ms: 30_000,
        ..Hello::default()
    }
}

/// Bodies that say which they are.
pub fn batch(lane: Lane, first_seq: i64, count: i64) -> Batch {
    let bodies = (first_seq..first_seq + count).map(|seq| format!("{lane:?} {seq}").into_bytes()).collect();
    Batch { lane: lane.into(), first_seq, bodies, skipped: None }
}
