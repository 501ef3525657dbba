//! The client against a small collector on loopback, over real TLS.

mod line;

use super::*;
use crate::spooler::Body;
use crate::uplink::Announce;
use outband_proto::ingest::ingest_service_server::{IngestService, IngestServiceServer};
use outband_proto::ingest::{
    Ack, GoAway, LaneMark, Welcome, go_away, stream_request::Message as Up, stream_response::Message as Down,
};
use outband_schemas::{AgentId, Clock, Lane, SiteId, Timestamp};
use rand::SeedableRng;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::transport::{Identity, Server, ServerTlsConfig};

const TOKEN: &str = "s3cret-token-of-a-test";

#[derive(Clone, Default)]
struct Collector {
    /// Bodies by lane number; empty ones for what was skipped.
    stored: Arc<Mutex<[Vec<Vec<u8>>; 3]>>,
    hellos: Arc<Mutex<u32>>,
    /// The spool whose batches are refused as other entries than those that are stored, and the one that said Hello last.
    rolled_back: Arc<Mutex<[Option<String>; 2]>>,
    /// Breaks the streams that stand.
    cut: CancellationToken,
    /// Ends the streams that stand for new ones.
    aged: CancellationToken,
    mood: Mood,
}

/// What it makes of those who come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Kind,
    /// It refuses every stream.
    Refuses,
    /// It is older than the agent.
    Older,
    /// It stores, and acknowledges nothing.
    Withholds,
    /// It takes packed bodies.
    Packed,
}

impl Collector {
    fn stored(&self, lane: Lane) -> Vec<Vec<u8>> {
        self.stored.lock().unwrap()[usize::from(lane.number())].clone()
    }

    fn refuses(&self) -> bool {
        let [refused, current] = &*self.rolled_back.lock().unwrap();
        refused.is_some() && refused == current
    }

    fn answer(&self, message: Up) -> Down {
        let mut stored = self.stored.lock().unwrap();
        match message {
            Up::Hello(_) if self.mood == Mood::Older => Down::GoAway(GoAway {
                reason: go_away::Reason::ProtocolVersion.into(),
                detail: "protocol 1 is not known here".to_owned(),
            }),
            Up::Hello(hello) => {
                self.rolled_back.lock().unwrap()[1] = Some(hello.spool_id);
                *self.hellos.lock().unwrap() += 1;
                let lanes = [1, 2].map(|lane: i32| LaneMark {
                    lane,
                    committed: stored[lane as usize].len() as i64,
                    ..LaneMark::default()
                });
                Down::Welcome(Welcome {
                    lanes: lanes.to_vec(),
                    window_bytes: 4000,
                    packed: self.mood == Mood::Packed,
                    protocol: 1,
                })
            }
            Up::Batch(_) if self.refuses() => Down::GoAway(GoAway {
                reason: go_away::Reason::SpoolRolledBack.into(),
                detail: "lane event holds another body under 1".to_owned(),
            }),
            Up::Batch(b) => {
                let lane = &mut stored[b.lane as usize];
                if let Some(skipped) = b.skipped {
                    assert_eq!(skipped.first, lane.len() as i64 + 1);
                    lane.extend((skipped.first..=skipped.last).map(|_| Vec::new()));
                }
                assert_eq!(b.first_seq, lane.len() as i64 + 1);
                lane.extend(b.bodies);
                Down::Ack(Ack { lane: b.lane, committed: lane.len() as i64 })
            }
            Up::OrderResult(_) => panic!("no order was given"),
        }
    }
}

#[tonic::async_trait]
impl IngestService for Collector {
    type StreamStream = ReceiverStream<Result<StreamResponse, tonic::Status>>;

    async fn stream(
        &self,
        request: tonic::Request<tonic::Streaming<StreamRequest>>,
    ) -> Result<tonic::Response<Self::StreamStream>, tonic::Status> {
        let token = request.metadata().get("authorization").and_then(|v| v.to_str().ok());
        if token != Some(&format!("Bearer {TOKEN}")) {
            return Err(tonic::Status::unauthenticated("no such token"));
        }
        if self.mood == Mood::Refuses {
            return Err(tonic::Status::permission_denied("not here"));
        }
        let (tx, rx) = mpsc::channel(8);
        let (collector, mut messages) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            let answering = async {
                while let Ok(Some(StreamRequest { message: Some(message) })) = messages.message().await {
                    let message = Some(collector.answer(message));
                    if collector.mood == Mood::Withholds && matches!(message, Some(Down::Ack(_))) {
                        continue;
                    }
                    if tx.send(Ok(StreamResponse { message })).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                () = collector.cut.cancelled() => {}
                () = collector.aged.cancelled() => {
                    let aged = GoAway { reason: go_away::Reason::Aged.into(), detail: String::new() };
                    tx.send(Ok(StreamResponse { message: Some(Down::GoAway(aged)) })).await.unwrap_or_default();
                }
                () = answering => {}
            }
        });
        Ok(tonic::Response::new(ReceiverStream::new(rx)))
    }
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_700_000_000)
    }
}

/// A certificate for `localhost` that vouches for itself: certificate and key, PEM.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

struct Site {
    dir: tempfile::TempDir,
    spooler: Spooler,
    link: watch::Receiver<Link>,
    settings: watch::Sender<Settings>,
    cancel: CancellationToken,
}

impl Site {
    fn begin(endpoints: Vec<String>, ca: &str, token: &str) -> Self {
        Self::begin_over(Tls, endpoints, ca, token)
    }

    fn begin_over(dial: impl Dial + 'static, endpoints: Vec<String>, ca: &str, token: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), ca).unwrap();
        std::fs::write(dir.path().join("token"), format!("{token}\n")).unwrap();
        let options =
            spooler::Options { path: dir.path().join("spool.db"), spool: Default::default(), gather: Duration::ZERO };
        let mut ids = 0;
        let (spooler, _, _) = Spooler::start(options, Fixed, move || {
            ids += 1;
            ids
        })
        .unwrap();
        let settings = Settings {
            options: Options {
                endpoints,
                ca_file: dir.path().join("ca.pem"),
                credential: Credential::Token(dir.path().join("token")),
                server_name: None,
            },
            announce: Announce {
                agent: AgentId::new("dc1").unwrap(),
                site: SiteId::new("site-a").unwrap(),
                version: "0".to_owned(),
                targets: Vec::new(),
                sensor_interval: Duration::from_secs(60),
            },
        };
        let (settings, seen) = watch::channel(settings);
        let (tell, link) = watch::channel(Link::default());
        let cancel = CancellationToken::new();
        tokio::spawn(run_over(
            dial,
            seen,
            spooler.clone(),
            tell,
            mpsc::channel(1).0,
            rand::rngs::StdRng::seed_from_u64(1),
            cancel.clone(),
        ));
        Self { dir, spooler, link, settings, cancel }
    }

    async fn append(&self, lane: Lane, body: &[u8]) {
        let body = Body { bytes: body.to_vec(), at: Fixed.now() };
        self.spooler.append(lane, vec![body], Vec::new()).await.unwrap();
    }

    /// Waits until the collector's marks cover all that is held.
    async fn delivered(&self) {
        let mut held = self.spooler.held();
        let all = |h: &spooler::Held| [h.lanes.event, h.lanes.telemetry].iter().all(|l| l.released + 1 == l.next);
        tokio::time::timeout(Duration::from_secs(30), held.wait_for(all))
            .await
            .expect("not delivered in 30 s")
            .unwrap();
    }

    async fn failed(&mut self) -> String {
        let failed = self.link.wait_for(|l| l.last_error.is_some());
        let link = tokio::time::timeout(Duration::from_secs(30), failed).await.expect("no failure in 30 s").unwrap();
        link.last_error.clone().unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

async fn serve(collector: Collector, pem: &(String, String), port: u16) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(&pem.0, &pem.1));
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let server = Server::builder().tls_config(tls).unwrap().add_service(IngestServiceServer::new(collector));
    let task = tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
    (port, task)
}

#[tokio::test]
async fn bodies_reach_the_collector_once_over_a_restart_of_it() {
    let (mut collector, pem) = (Collector::default(), certificate());
    let (port, server) = serve(collector.clone(), &pem, 0).await;
    let site = Site::begin(vec![format!("https://localhost:{port}")], &pem.0, TOKEN);
    for i in 0..50u8 {
        site.append(Lane::Telemetry, &[i; 300]).await;
    }
    site.append(Lane::Event, b"event").await;
    site.delivered().await;
    server.abort();
    collector.cut.cancel();
    collector.cut = CancellationToken::new();
    assert!(server.await.unwrap_err().is_cancelled());
    for i in 50..100u8 {
        site.append(Lane::Telemetry, &[i; 300]).await;
    }
    let (_, server) = serve(collector.clone(), &pem, port).await;
    site.delivered().await;
    let expected: Vec<Vec<u8>> = (0..100u8).map(|i| vec![i; 300]).collect();
    assert_eq!(collector.stored(Lane::Telemetry), expected);
    assert_eq!(collector.stored(Lane::Event), [b"event"]);
    assert!(*collector.hellos.lock().unwrap() >= 2, "the stream never broke");
    server.abort();
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused_before_the_token_is_sent() {
    let (collector, pem) = (Collector::default(), certificate());
    let (port, server) = serve(collector.clone(), &pem, 0).await;
    let mut site = Site::begin(vec![format!("https://localhost:{port}")], &certificate().0, TOKEN);
    let error = site.failed().await;
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    assert_eq!(*collector.hellos.lock().unwrap(), 0);
    server.abort();
}

#[tokio::test]
async fn a_refused_token_is_reported_without_the_token() {
    let (collector, pem) = (Collector::default(), certificate());
    let (port, server) = serve(collector.clone(), &pem, 0).await;
    let mut site = Site::begin(vec![format!("https://localhost:{port}")], &pem.0, "another-secret");
    let error = site.failed().await;
    assert!(error.contains("no such token") && !error.contains("another-secret"), "{error}");
    // The token file is read again at every connect: a new token needs no restart.
    std::fs::write(site.dir.path().join("token"), TOKEN).unwrap();
    site.append(Lane::Event, b"x").await;
    site.delivered().await;
    server.abort();
}

#[tokio::test]
async fn the_next_address_is_tried_where_one_does_not_answer() {
    let (collector, pem) = (Collector::default(), certificate());
    let (port, server) = serve(collector.clone(), &pem, 0).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoints = vec![format!("https://localhost:{closed}"), format!("https://localhost:{port}")];
    let site = Site::begin(endpoints, &pem.0, TOKEN);
    site.append(Lane::Event, b"x").await;
    site.delivered().await;
    assert!(site.link.borrow().connected.as_ref().unwrap().ends_with(&port.to_string()));
    server.abort();
}

#[tokio::test]
async fn changed_settings_make_the_agent_say_hello_again() {
    let (collector, pem) = (Collector::default(), certificate());
    let (port, server) = serve(collector.clone(), &pem, 0).await;
    let site = Site::begin(vec![format!("https://localhost:{port}")], &pem.0, TOKEN);
    site.append(Lane::Event, b"x").await;
    site.delivered().await;
    site.settings.send_modify(|s| s.announce.version = "1".to_owned());
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    while *collector.hellos.lock().unwrap() < 2 {
        assert!(tokio::time::Instant::now() < until, "no second Hello in 30 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.abort();
}

#[tokio::test]
async fn an_address_without_tls_is_refused() {
    let mut site = Site::begin(vec!["http://localhost:1".to_owned()], &certificate().0, TOKEN);
    assert!(site.failed().await.contains("https://HOST:PORT"));
}

#[tokio::test]
async fn a_spool_that_lost_commits_takes_a_new_id_and_sends_again() {
    let (collector, pem) = (Collector::default(), certificate());
    collector.stored.lock().unwrap()[2].extend([vec![1], vec![2], vec![3]]);
    let (port, server) = serve(collector.clone(), &pem, 0).await;
    let site = Site::begin(vec![format!("https://localhost:{port}")], &pem.0, TOKEN);
    let mut held = site.spooler.held();
    let before = held.borrow().id;
    let renewed = held.wait_for(|h| h.id != before);
    tokio::time::timeout(Duration::from_secs(30), renewed).await.expect("no new id in 30 s").unwrap();
    server.abort();
}

#[tokio::test]
async fn a_spool_that_was_rolled_back_is_refused_once_and_delivered_under_a_new_id() {
    let (collector, pem) = (Collector::default(), certificate());
    let (port, server) = serve(collector.clone(), &pem, 0).await;
    let site = Site::begin(vec![format!("https://localhost:{port}")], &pem.0, TOKEN);
    let before = site.spooler.held().borrow().id;
    collector.rolled_back.lock().unwrap()[0] = Some(before.to_string());
    site.append(Lane::Event, b"x").await;
    site.delivered().await;
    assert_ne!(site.spooler.held().borrow().id, before);
    assert_eq!(collector.stored(Lane::Event), [&b""[..], b"x"], "number 1 stands for what the spool may have lost");
    server.abort();
}
