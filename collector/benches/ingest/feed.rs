//! The agents: streams over gRPC and TLS that send minute after minute, as fast as they are acknowledged.

use crate::bodies::Bodies;
use crate::site::{OF_AGENT, SENSORS, target};
use outband_proto::ingest::ingest_service_client::IngestServiceClient;
use outband_proto::ingest::{
    Batch, Hello, Lane, LaneState, StreamRequest, StreamResponse, stream_request, stream_response,
};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Barrier, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Request, Status, Streaming};

/// Bodies of a batch.
const TOGETHER: usize = 50;
/// Bodies of an agent that may be on their way: with the window that the collector grants.
const AHEAD: usize = 1000;
pub(crate) const MINUTE_MS: i64 = 60_000;

pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// What all agents share.
pub(crate) struct Site {
    pub(crate) bodies: Bodies,
    pub(crate) servers: usize,
    /// The first minute.
    pub(crate) from: i64,
    /// Readings that were acknowledged.
    pub(crate) acked: AtomicU64,
    /// Agents send no minute before all have sent the one before.
    together: Barrier,
    /// The minute at which sending ends, known once the time is over.
    last: AtomicI64,
    /// Whether to wait until history has come nearer to what is acknowledged.
    pub(crate) hold: AtomicBool,
}

impl Site {
    pub(crate) fn new(bodies: Bodies, servers: usize, from: i64) -> Self {
        let together = Barrier::new(servers.div_ceil(OF_AGENT));
        Self {
            bodies,
            servers,
            from,
            acked: AtomicU64::new(0),
            together,
            last: AtomicI64::new(i64::MAX),
            hold: AtomicBool::new(false),
        }
    }
}

/// One agent and its stream.
pub(crate) struct Agent {
    pub(crate) number: usize,
    servers: Vec<usize>,
    up: mpsc::Sender<StreamRequest>,
    /// By lane: the sequence of the next body.
    next: [i64; 2],
    /// By lane: through which sequence it is acknowledged.
    pub(crate) acked: [Arc<AtomicI64>; 2],
    /// One for each body that may still be sent.
    room: Arc<Semaphore>,
    came: Arc<tokio::sync::Notify>,
    gone: tokio::task::JoinHandle<()>,
}

fn place(lane: Lane) -> usize {
    usize::from(lane == Lane::Telemetry)
}

impl Agent {
    /// Connects, with what the spool holds: `next` by lane, from 1.
    pub(crate) async fn connect(
        site: &Arc<Site>,
        number: usize,
        addr: &str,
        data: &Path,
        next: [i64; 2],
    ) -> Result<Self, Failed> {
        let ca = Certificate::from_pem(std::fs::read(data.join("ca.pem"))?);
        let tls = ClientTlsConfig::new().ca_certificate(ca).domain_name("localhost");
        let channel = Channel::from_shared(format!("https://{addr}"))?.tls_config(tls)?.connect().await?;
        let token = std::fs::read_to_string(data.join("agent.token"))?;
        let bearer: MetadataValue<Ascii> = format!("Bearer {}", token.trim()).parse()?;
        let with_token = move |mut request: Request<()>| -> Result<Request<()>, Status> {
            request.metadata_mut().insert("authorization", bearer.clone());
            Ok(request)
        };
        let mut client = IngestServiceClient::new(InterceptedService::new(channel, with_token));
        let (up, messages) = mpsc::channel(8);
        let servers: Vec<usize> = (number * OF_AGENT..site.servers.min((number + 1) * OF_AGENT)).collect();
        let lanes =
            [Lane::Event, Lane::Telemetry].map(|l| LaneState { lane: l.into(), oldest: 1, next: next[place(l)] });
        let hello = Hello {
            agent: format!("agent-{number:03}"),
            spool_id: format!("{:032x}", number + 1),
            lanes: lanes.to_vec(),
            site: format!("site-{}", number / 10),
            version: "bench".to_owned(),
            targets: servers.iter().map(|s| target(*s)).collect(),
            sensor_interval_ms: MINUTE_MS,
            ..Hello::default()
        };
        up.send(StreamRequest { message: Some(stream_request::Message::Hello(hello)) }).await?;
        let mut down = client.stream(ReceiverStream::new(messages)).await?.into_inner();
        let marks = match down.message().await?.and_then(|m| m.message) {
            Some(stream_response::Message::Welcome(welcome)) => welcome.lanes,
            other => return Err(format!("no Welcome but {other:?}").into()),
        };
        let mut acked = [0; 2];
        for mark in marks {
            acked[place(mark.lane())] = mark.committed;
        }
        let next = acked.map(|through| through + 1);
        let acked = acked.map(|through| Arc::new(AtomicI64::new(through)));
        let (room, came) = (Arc::new(Semaphore::new(AHEAD)), Arc::new(tokio::sync::Notify::new()));
        let reader = Reader { site: site.clone(), acked: acked.clone(), room: room.clone(), came: came.clone() };
        let gone = tokio::spawn(reader.run(down));
        Ok(Self { number, servers, up, next, acked, room, came, gone })
    }

    /// Sends bodies in batches; waits while too many are on their way.
    async fn send(&mut self, lane: Lane, bodies: Vec<Vec<u8>>) -> Result<(), Failed> {
        let count = bodies.len();
        if lane == Lane::Telemetry {
            self.room.acquire_many(u32::try_from(count)?).await?.forget();
        }
        let next = &mut self.next[place(lane)];
        let batch = Batch { lane: lane.into(), first_seq: *next, skipped: None, bodies };
        *next += i64::try_from(count)?;
        Ok(self.up.send(StreamRequest { message: Some(stream_request::Message::Batch(batch)) }).await?)
    }

    /// What is in the servers.
    pub(crate) async fn introduce(&mut self, site: &Site) -> Result<(), Failed> {
        for server in self.servers.clone() {
            let body = site.bodies.inventory(server, site.from).map_err(|e| e.to_string())?;
            self.event(body).await?;
        }
        self.settled().await
    }

    /// One body of the event lane.
    pub(crate) async fn event(&mut self, body: Vec<u8>) -> Result<(), Failed> {
        self.send(Lane::Event, vec![body]).await
    }

    /// Minutes from where its mark stands until `minutes` are sent, or `until` has passed: then all agents end with the same minute.
    pub(crate) async fn replay(&mut self, site: &Site, minutes: i64, until: Option<Instant>) -> Result<(), Failed> {
        let each = self.servers.len() as i64;
        let sent = self.next[1] - 1;
        let (mut minute, mut skip) = (sent / each, (sent % each) as usize);
        while minute < minutes.min(site.last.load(Ordering::Acquire)) {
            if until.is_some() {
                while self.number == 0 && site.hold.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                if self.number == 0 && until.is_some_and(|until| Instant::now() >= until) {
                    site.last.store(minute + 1, Ordering::Release);
                }
                site.together.wait().await;
            }
            for some in self.servers[skip..].to_vec().chunks(TOGETHER) {
                let bodies = site.bodies.polls(some, site.from + minute * MINUTE_MS).map_err(|e| e.to_string())?;
                self.send(Lane::Telemetry, bodies).await?;
            }
            (minute, skip) = (minute + 1, 0);
        }
        Ok(())
    }

    /// The urgent lane of its stream, beside what it replays.
    pub(crate) fn events(&self) -> EventLane {
        let (acked, came) = (self.acked[0].clone(), self.came.clone());
        EventLane { server: self.number * OF_AGENT, up: self.up.clone(), next: self.next[0], acked, came }
    }

    /// Waits until all that was sent is acknowledged.
    pub(crate) async fn settled(&self) -> Result<(), Failed> {
        loop {
            let came = self.came.notified();
            if (0..2).all(|lane| self.acked[lane].load(Ordering::Acquire) >= self.next[lane] - 1) {
                return Ok(());
            }
            if self.gone.is_finished() {
                return Err("the stream ended".into());
            }
            came.await;
        }
    }

    /// How many minutes of all its servers were sent.
    pub(crate) fn minutes(&self) -> i64 {
        (self.next[1] - 1) / self.servers.len() as i64
    }
}

/// See [`Agent::events`].
pub(crate) struct EventLane {
    /// The first server of the agent.
    pub(crate) server: usize,
    up: mpsc::Sender<StreamRequest>,
    next: i64,
    acked: Arc<AtomicI64>,
    came: Arc<tokio::sync::Notify>,
}

impl EventLane {
    /// Sends a body; returns once it is acknowledged.
    pub(crate) async fn say(&mut self, body: Vec<u8>) -> Result<(), Failed> {
        let batch = Batch { lane: Lane::Event.into(), first_seq: self.next, skipped: None, bodies: vec![body] };
        self.up.send(StreamRequest { message: Some(stream_request::Message::Batch(batch)) }).await?;
        loop {
            let came = self.came.notified();
            if self.acked.load(Ordering::Acquire) >= self.next {
                self.next += 1;
                return Ok(());
            }
            if self.up.is_closed() {
                return Err("the stream ended".into());
            }
            came.await;
        }
    }
}

/// The other half of a stream.
struct Reader {
    site: Arc<Site>,
    acked: [Arc<AtomicI64>; 2],
    room: Arc<Semaphore>,
    came: Arc<tokio::sync::Notify>,
}

impl Reader {
    async fn run(self, mut down: Streaming<StreamResponse>) {
        while let Ok(Some(answer)) = down.message().await {
            match answer.message {
                Some(stream_response::Message::Ack(ack)) => {
                    let lane = place(ack.lane());
                    let before = self.acked[lane].swap(ack.committed, Ordering::AcqRel);
                    let came = usize::try_from(ack.committed - before).unwrap_or(0);
                    if ack.lane() == Lane::Telemetry {
                        self.site.acked.fetch_add((came * SENSORS) as u64, Ordering::Relaxed);
                        self.room.add_permits(came);
                    }
                    self.came.notify_waiters();
                }
                Some(stream_response::Message::GoAway(away)) => eprintln!("the collector ends a stream: {away:?}"),
                _ => {}
            }
        }
        // Whoever waits for room learns that there will be none.
        self.room.close();
        self.came.notify_waiters();
    }
}
