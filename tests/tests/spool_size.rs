//! What an outage costs an agent's disk, and how fast it sends when the collector is back.
//!
//! ```sh
//! cargo test -p outband-tests --test spool_size -- --ignored --nocapture hour      # an hour of OUTBAND_BMCS (1,000) in a spool: bytes a poll, and days within the quota
//! cargo test -p outband-tests --test spool_size -- --ignored --nocapture drains    # a backlog through one stream, and an event meanwhile
//! OUTBAND_BODIES=DIR cargo test -p outband-tests --test spool_size -- --ignored bodies_for    # what the wire's dictionary is trained on
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test may fail it")]

#[path = "../../collector/benches/load/site.rs"]
#[allow(dead_code, reason = "the site of the collector's load, of which a part is used here")]
mod site;
mod support_redfish;

use outband_agent::poll::outcome::bodies;
use outband_agent::spooler::{self, Body, Spooler};
use outband_agent::uplink::client::{self, Dial, kept_alive};
use outband_agent::uplink::{self, Announce, Link, Settings};
use outband_proto::convert::encode_set;
use outband_proto::ingest::ingest_service_server::{IngestService, IngestServiceServer};
use outband_proto::ingest::{
    Ack, StreamRequest, StreamResponse, Welcome, stream_request::Message as Up, stream_response::Message as Down,
};
use outband_schemas::{AgentId, Clock, Lane, ObservationSet, Section, SiteId, TargetId, Timestamp};
use outband_spool::{Entry, Options, Spool};
use rand::SeedableRng;
use site::Site;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint, Server};

const BEGIN_MS: i64 = 1_700_000_040_000;
const MINUTE_MS: i64 = 60_000;
/// What an agent's config says by default.
const QUOTA: u64 = 6 << 30;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |v| v.parse().expect("a number"))
}

/// What a site's agent keeps within so many minutes, poll by poll as they come: sensors each minute, drives each tenth, the inventory in the first.
fn polls(bmcs: usize, minutes: i64, mut take: impl FnMut(ObservationSet)) {
    let site = Site::new(1).unwrap();
    for minute in 0..minutes {
        for bmc in 0..bmcs {
            let at = Timestamp::from_millis(BEGIN_MS + minute * MINUTE_MS + (bmc as i64 * MINUTE_MS) / bmcs as i64);
            take(site.sensors(bmc, at).unwrap());
            if (minute + bmc as i64) % 10 == 0 {
                take(site.drives(bmc, at).unwrap());
            }
            if minute == 0 && bmc % 6 == 0 {
                take(site.inventory(bmc, at).unwrap());
            }
        }
    }
}

fn entries(set: ObservationSet) -> Vec<Entry> {
    bodies(set).into_iter().map(|b| Entry { body: b.bytes, at_ms: b.at.as_millis() }).collect()
}

/// Fills a spool; polls, plain bytes of their bodies, bytes of the file.
fn fill(path: &Path, bmcs: usize, minutes: i64) -> (u64, u64, u64) {
    let mut spool = Spool::open(path, Options { quota_bytes: 64 << 30, ..Options::default() }, 7, 0).unwrap().spool;
    let (mut count, mut plain, mut waiting) = (0, 0, Vec::new());
    polls(bmcs, minutes, |set| {
        count += 1;
        plain += encode_set(&set).len() as u64;
        waiting.extend(entries(set));
        if waiting.len() >= 256 {
            spool.append(outband_spool::Lane::Telemetry, &std::mem::take(&mut waiting), &[]).unwrap();
        }
    });
    spool.append(outband_spool::Lane::Telemetry, &waiting, &[]).unwrap();
    drop(spool);
    (count, plain, std::fs::metadata(path).unwrap().len())
}

#[test]
fn three_days_of_a_thousand_bmcs_fit_into_the_default_quota() {
    let dir = tempfile::tempdir().unwrap();
    let (bmcs, minutes) = (60, 10);
    let (count, plain, file) = fill(&dir.path().join("spool.db"), bmcs, minutes);
    let three_days = file as f64 / (bmcs as f64 * minutes as f64) * 1000.0 * 3.0 * 1440.0;
    eprintln!("{count} polls: {} bytes each plain, {} in the spool", plain / count, file / count);
    assert!(three_days < QUOTA as f64, "three days take {:.2} GiB", three_days / (1_u64 << 30) as f64);
}

#[test]
#[ignore = "a measurement"]
fn what_an_hour_takes() {
    let dir = tempfile::tempdir().unwrap();
    let bmcs = number("OUTBAND_BMCS", 1000);
    let begun = Instant::now();
    let (count, plain, file) = fill(&dir.path().join("spool.db"), bmcs, 60);
    let day = file * 24;
    eprintln!("| BMCs | polls an hour | plain bytes a poll | spool bytes a poll | spool a day | days in 6 GiB |");
    eprintln!("|---|---|---|---|---|---|");
    eprintln!(
        "| {bmcs} | {count} | {} | {} | {:.0} MiB | {:.1} |",
        plain / count,
        file / count,
        day as f64 / (1 << 20) as f64,
        QUOTA as f64 / day as f64
    );
    eprintln!("made, packed and kept in {:.1} s", begun.elapsed().as_secs_f64());
}

#[test]
#[ignore = "writes files"]
fn bodies_for_the_dictionary() {
    let Ok(to) = std::env::var("OUTBAND_BODIES") else { panic!("OUTBAND_BODIES is where to write them") };
    let to = Path::new(&to);
    let write = |name: String, set: &ObservationSet| std::fs::write(to.join(name), encode_set(set)).unwrap();
    let Some((dir, _)) = support_redfish::trees() else { return };
    for name in support_redfish::servable(dir).0 {
        let dir = dir.join(&name);
        let tree = support_redfish::tree::Tree::open(&dir);
        let told = support_redfish::runtime().block_on(support_redfish::poll_tree(
            &dir,
            &tree,
            support_redfish::options(),
            0,
            0,
        ));
        let Ok(told) = told else { continue };
        for (section, observations) in told.full {
            let at = Timestamp::from_millis(BEGIN_MS);
            let set = ObservationSet { target: TargetId::new("bmc-1").unwrap(), section, polled_at: at, observations };
            write(format!("tree-{name}-{}", section.as_str()), &set);
        }
    }
    let mut n = 0;
    polls(7, 40, |set| {
        n += 1;
        write(format!("site-{n}-{}", set.section.as_str()), &set);
    });
    assert!(n > 0 && Section::Sensors.as_str() == "sensors");
}

/// Takes everything and acknowledges it; notes when what came.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    telemetry: u64,
    events: Vec<Instant>,
}

#[tonic::async_trait]
impl IngestService for Sink {
    type StreamStream = ReceiverStream<Result<StreamResponse, tonic::Status>>;

    async fn stream(
        &self,
        request: tonic::Request<tonic::Streaming<StreamRequest>>,
    ) -> Result<tonic::Response<Self::StreamStream>, tonic::Status> {
        let (tx, rx) = mpsc::channel(8);
        let (taken, mut messages) = (self.0.clone(), request.into_inner());
        tokio::spawn(async move {
            while let Ok(Some(StreamRequest { message: Some(message) })) = messages.message().await {
                let answer = match message {
                    Up::Hello(_) => {
                        Down::Welcome(Welcome { lanes: Vec::new(), window_bytes: 8 << 20, packed: true, protocol: 1 })
                    }
                    Up::Batch(b) => {
                        let count = b.bodies.len();
                        let mut taken = taken.lock().unwrap();
                        if b.lane == i32::from(Lane::Event.number()) {
                            taken.events.push(Instant::now());
                        } else {
                            taken.telemetry += count as u64;
                        }
                        Down::Ack(Ack { lane: b.lane, committed: b.first_seq + count as i64 - 1 })
                    }
                    Up::OrderResult(_) => continue,
                };
                if tx.send(Ok(StreamResponse { message: Some(answer) })).await.is_err() {
                    return;
                }
            }
        });
        Ok(tonic::Response::new(ReceiverStream::new(rx)))
    }
}

struct Plain;

impl Dial for Plain {
    async fn dial(
        &self,
        endpoint: &str,
        _: &uplink::Options,
    ) -> Result<(Channel, Option<MetadataValue<Ascii>>), client::Error> {
        let fail = |e: tonic::transport::Error| client::Error::Connect(format!("{e:?}"));
        let endpoint = Endpoint::from_shared(endpoint.to_owned()).map_err(fail)?;
        Ok((kept_alive(endpoint).connect().await.map_err(fail)?, None))
    }
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(BEGIN_MS)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn how_fast_a_backlog_drains() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.db");
    let (bmcs, minutes) = (number("OUTBAND_BMCS", 1000), 30);
    let (count, _, _) = fill(&path, bmcs, minutes);
    let sink = Sink::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let service = IngestServiceServer::new(sink.clone()).max_decoding_message_size(16 << 20);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
    let spool = Options { quota_bytes: 64 << 30, ..Options::default() };
    let (spooler, _, _) =
        Spooler::start(spooler::Options { path, spool, gather: Duration::ZERO }, Fixed, || 9).unwrap();
    let settings = Settings {
        options: uplink::Options {
            endpoints: vec![endpoint],
            ca_file: "unused".into(),
            credential: uplink::Credential::Token("unused".into()),
            server_name: None,
        },
        announce: Announce {
            agent: AgentId::new("dc1").unwrap(),
            site: SiteId::new("site").unwrap(),
            version: "0".to_owned(),
            targets: Vec::new(),
            sensor_interval: Duration::from_secs(60),
        },
    };
    let (_settings, seen) = watch::channel(settings);
    let (tell, _link) = watch::channel(Link::default());
    let cancel = CancellationToken::new();
    let begun = Instant::now();
    let rng = rand::rngs::StdRng::seed_from_u64(1);
    tokio::spawn(uplink::run_over(Plain, seen, spooler.clone(), tell, mpsc::channel(1).0, rng, cancel.clone()));
    let mut slowest = Duration::ZERO;
    loop {
        let events = sink.0.lock().unwrap().events.len();
        let seen = Instant::now();
        let event = Body { bytes: b"event".to_vec(), at: Fixed.now() };
        spooler.append(Lane::Event, vec![event], Vec::new()).await.unwrap();
        while sink.0.lock().unwrap().events.len() == events {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        slowest = slowest.max(seen.elapsed());
        if sink.0.lock().unwrap().telemetry >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!(
        "{count} polls in {seconds:.1} s: {:.0} a second, {:.0} readings a second; the slowest event took {slowest:?}",
        count as f64 / seconds,
        count as f64 * 80.0 / seconds
    );
    cancel.cancel();
}
