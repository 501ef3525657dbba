//! The agents: a process of its own, so that what it costs is not the collector's. Told on stdin what to send, answers on stdout once all of it is acknowledged.

use crate::site::{OF_AGENT, Site, target};
use outband_proto::convert::encode_set;
use outband_proto::ingest::ingest_service_client::IngestServiceClient;
use outband_proto::ingest::{
    Batch, Hello, Lane, LaneState, StreamRequest, StreamResponse, stream_request, stream_response,
};
use outband_schemas::Timestamp;
use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Request, Status, Streaming};

/// Bodies of a batch when there are many.
const TOGETHER: usize = 16;
const MINUTE_MS: i64 = 60_000;

/// Who feeds whom.
pub(crate) struct Feed<'a> {
    pub(crate) addr: &'a str,
    pub(crate) data: &'a Path,
    pub(crate) servers: usize,
    pub(crate) seed: u64,
}

struct Agent {
    servers: Vec<usize>,
    up: mpsc::Sender<StreamRequest>,
    down: Streaming<StreamResponse>,
    /// By lane: the sequence of the next body.
    next: [i64; 2],
    acknowledged: [i64; 2],
}

fn now() -> Result<Timestamp, Box<dyn Error>> {
    Ok(Timestamp::from_millis(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?))
}

impl Feed<'_> {
    /// Does what stdin says until its end: `replay MS` sends what is read within the minute that begins then; `live N` sends N minutes as they pass.
    pub(crate) async fn run(&self) -> Result<(), Box<dyn Error>> {
        let site = Site::new(self.seed)?;
        let mut agents = Vec::new();
        for number in 0..self.servers.div_ceil(OF_AGENT) {
            agents.push(self.agent(number).await?);
        }
        let mut told = String::new();
        let mut first = true;
        while std::io::stdin().lock().read_line(&mut told)? > 0 {
            let (verb, number) = told.trim().split_once(' ').ok_or("a verb and a number")?;
            let number: i64 = number.parse()?;
            let begun = std::time::Instant::now();
            match verb {
                "replay" => {
                    for agent in &mut agents {
                        agent.replay(&site, number, first).await?;
                    }
                    first = false;
                    for agent in &mut agents {
                        agent.settled().await?;
                    }
                }
                "live" => live(&site, &mut agents, number).await?,
                other => return Err(other.into()),
            }
            told.clear();
            let mut out = std::io::stdout().lock();
            writeln!(out, "done {:.1}", begun.elapsed().as_secs_f64())?;
            out.flush()?;
        }
        Ok(())
    }

    async fn agent(&self, number: usize) -> Result<Agent, Box<dyn Error>> {
        let ca = Certificate::from_pem(std::fs::read(self.data.join("ca.pem"))?);
        let tls = ClientTlsConfig::new().ca_certificate(ca).domain_name("localhost");
        let channel = Channel::from_shared(format!("https://{}", self.addr))?.tls_config(tls)?.connect().await?;
        let token = std::fs::read_to_string(self.data.join("agent.token"))?;
        let bearer: MetadataValue<Ascii> = format!("Bearer {}", token.trim()).parse()?;
        let with_token = move |mut request: Request<()>| -> Result<Request<()>, Status> {
            request.metadata_mut().insert("authorization", bearer.clone());
            Ok(request)
        };
        let mut client = IngestServiceClient::new(InterceptedService::new(channel, with_token));
        let (up, messages) = mpsc::channel(64);
        let servers: Vec<usize> = (number * OF_AGENT..self.servers.min((number + 1) * OF_AGENT)).collect();
        let hello = Hello {
            agent: format!("agent-{number:03}"),
            spool_id: format!("{:032x}", number + 1),
            lanes: [Lane::Event, Lane::Telemetry]
                .map(|lane| LaneState { lane: lane.into(), oldest: 1, next: 1 })
                .to_vec(),
            site: format!("site-{}", number / 10),
            version: "load".to_owned(),
            targets: servers.iter().map(|s| target(*s)).collect(),
            sensor_interval_ms: MINUTE_MS,
            ..Hello::default()
        };
        up.send(StreamRequest { message: Some(stream_request::Message::Hello(hello)) }).await?;
        let mut down = client.stream(ReceiverStream::new(messages)).await?.into_inner();
        match down.message().await?.and_then(|m| m.message) {
            Some(stream_response::Message::Welcome(_)) => {}
            other => return Err(format!("no Welcome but {other:?}").into()),
        }
        Ok(Agent { servers, up, down, next: [1, 1], acknowledged: [0, 0] })
    }
}

fn place(lane: Lane) -> usize {
    usize::from(lane == Lane::Telemetry)
}

impl Agent {
    async fn send(&mut self, lane: Lane, bodies: Vec<Vec<u8>>) -> Result<(), Box<dyn Error>> {
        if bodies.is_empty() {
            return Ok(());
        }
        let next = &mut self.next[place(lane)];
        let batch = Batch { lane: lane.into(), first_seq: *next, skipped: None, bodies };
        *next += i64::try_from(batch.bodies.len())?;
        Ok(self.up.send(StreamRequest { message: Some(stream_request::Message::Batch(batch)) }).await?)
    }

    /// Reads until all that was sent is acknowledged.
    async fn settled(&mut self) -> Result<(), Box<dyn Error>> {
        while self.acknowledged != self.next.map(|n| n - 1) {
            match self.down.message().await?.and_then(|m| m.message) {
                Some(stream_response::Message::Ack(ack)) => self.acknowledged[place(ack.lane())] = ack.committed,
                Some(stream_response::Message::Order(_)) => {}
                other => return Err(format!("no Ack but {other:?}").into()),
            }
        }
        Ok(())
    }

    /// What is read of these servers at `at`: telemetry.
    fn polled(site: &Site, server: usize, at: i64) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
        let mut bodies = vec![encode_set(&site.sensors(server, Timestamp::from_millis(at))?)];
        if (at.div_euclid(MINUTE_MS) + server as i64).rem_euclid(60) == 0 {
            bodies.push(encode_set(&site.drives(server, Timestamp::from_millis(at))?));
        }
        Ok(bodies)
    }

    async fn replay(&mut self, site: &Site, minute: i64, first: bool) -> Result<(), Box<dyn Error>> {
        let mut bodies = Vec::new();
        for server in self.servers.clone() {
            let at = minute + offset(server);
            if first {
                let found = encode_set(&site.inventory(server, Timestamp::from_millis(at))?);
                self.send(Lane::Event, vec![found]).await?;
            }
            bodies.extend(Self::polled(site, server, at)?);
            if bodies.len() >= TOGETHER {
                self.send(Lane::Telemetry, std::mem::take(&mut bodies)).await?;
            }
        }
        self.send(Lane::Telemetry, bodies).await
    }
}

/// When in a minute a server is read, in milliseconds.
fn offset(server: usize) -> i64 {
    (server as i64 * 7919).rem_euclid(60) * 1000
}

/// As real agents do: each server in its own second of the minute, sent at once.
async fn live(site: &Site, agents: &mut [Agent], minutes: i64) -> Result<(), Box<dyn Error>> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let mut latest = Duration::ZERO;
    for _ in 0..minutes * 60 {
        ticks.tick().await;
        let at = now()?.as_millis();
        let second = at.div_euclid(1000).rem_euclid(60) * 1000;
        let begun = std::time::Instant::now();
        for agent in agents.iter_mut() {
            let mut bodies = Vec::new();
            for server in agent.servers.iter().filter(|s| offset(**s) == second) {
                bodies.extend(Agent::polled(site, *server, at)?);
            }
            agent.send(Lane::Telemetry, bodies).await?;
        }
        for agent in agents.iter_mut() {
            agent.settled().await?;
        }
        latest = latest.max(begun.elapsed());
    }
    eprintln!("all of a second was acknowledged after {:.0} ms at the latest", latest.as_secs_f64() * 1e3);
    Ok(())
}
