//! What a BMC tells by itself: a real poller and the simulated service, from an event to the spool.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

#[allow(dead_code, reason = "each test file uses its own part")]
mod support_sim;

use outband_agent::clock::SystemClock;
use outband_agent::config::{self, Cadence, Limits, Listen, PushMode, TargetConfig};
use outband_agent::poll::guard::Guard;
use outband_agent::poll::hub;
use outband_agent::poll::pins::Pins;
use outband_agent::poll::run::{Plan, Poller};
use outband_agent::push::Push as Listening;
use outband_agent::spooler::{Options as SpoolOptions, Spooler};
use outband_bmc::{Address, Credentials, Secret, Target, Trust};
use outband_proto::convert::decode_set;
use outband_schemas::{AgentId, Lane, LogEvent, Observation, TargetId};
use outband_tests::sim::machine::{Happening, Shared};
use outband_tests::sim::redfish_bmc::{Options, Push, RedfishServer, Service, Sse};
use outband_tests::{free_port, wait_until};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support_sim::{PASSWORD, USER, machine, options, runtime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(20);
/// No poll finds anything by itself within a test.
const NEVER: Duration = Duration::from_secs(3600);

/// A simulated BMC with a log of one server.
struct Bmc {
    machine: Shared,
    service: Service,
}

impl Bmc {
    async fn start(push: Push) -> Self {
        let machine = machine(Vec::new());
        let options = Options { push: Some(push), ..options() };
        let service = RedfishServer::serve(machine.clone(), options).await.unwrap();
        Self { machine, service }
    }

    /// Writes into its log, and pushes that.
    fn happens(&self, dimm: usize) {
        self.machine.now().log(Happening::EccCorrected { dimm }, true);
    }

    fn streams(&self) -> usize {
        self.service.stats().streams
    }
}

/// An agent's poller with its spool.
struct Agent {
    spooler: Spooler,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    _plan: watch::Sender<Plan>,
}

impl Agent {
    async fn start(dir: &Path, bmc: &Bmc, log: Duration, listener: Option<Listen>, mode: PushMode) -> Self {
        let target = Target {
            address: bmc.service.url().parse::<Address>().unwrap(),
            credentials: Credentials::new(USER, Secret::new(PASSWORD)),
            cipher: None,
            trust: Trust::FirstUse,
            request_deadline: Duration::from_secs(5),
        };
        let cadence = Cadence { sensors: log.max(Duration::from_secs(1)), drives: NEVER, log, inventory: NEVER };
        let config = TargetConfig { id: TargetId::new("bmc1").unwrap(), target, cadence, push: mode };
        let targets = Arc::new([(config.id.clone(), config)].into());
        let plan = Plan { targets, limits: Limits { at_once: 8, poll_deadline: Duration::from_secs(30) } };

        let spool = SpoolOptions {
            path: dir.join("spool.db"),
            spool: outband_spool::Options::default(),
            gather: Duration::ZERO,
        };
        let (spooler, ..) = Spooler::start(spool, SystemClock, || 7).unwrap();
        let push = config::Push { stream: true, log: NEVER, listener };
        let agent = AgentId::new("a1").unwrap();
        let (push, bells) = Listening::start(&push, &agent, dir, spooler.clone()).await.unwrap();
        let (pins, guard) = (Pins::of(dir), Guard::of(dir));
        let hub = hub::start(dir).unwrap();
        let poller = Poller::new(hub, spooler.clone(), pins, guard, SystemClock, SmallRng::seed_from_u64(1));
        let (plan, plans) = watch::channel(plan);
        let cancel = CancellationToken::new();
        let task = tokio::spawn(poller.listening(push, bells).run(plans, cancel.clone()));
        Self { spooler, cancel, task, _plan: plan }
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }

    /// Every event that is in the spool.
    async fn events(&self) -> Vec<LogEvent> {
        let spool = self.spooler.held().borrow().id;
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let peek = self.spooler.peek(spool, Lane::Event, after, 1 << 20).await.unwrap();
            if peek.bodies.is_empty() {
                return all;
            }
            after += i64::try_from(peek.bodies.len()).unwrap();
            for body in &peek.bodies {
                let set = decode_set(body).unwrap().set;
                all.extend(set.observations.into_iter().filter_map(|o| match o {
                    Observation::Event(event) => Some(event),
                    _ => None,
                }));
            }
        }
    }

    /// Waits until so many events are there besides that of the server's start, and how long that took.
    async fn has(&self, count: usize) -> Duration {
        let began = Instant::now();
        let count = count + 1;
        while began.elapsed() < SOON {
            if self.events().await.len() >= count {
                return began.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{count} events did not come: {:?}", self.events().await.iter().map(|e| &e.message).collect::<Vec<_>>());
    }

    /// That no event is there twice.
    async fn has_no_doubles(&self) {
        let events = self.events().await;
        let keys: BTreeSet<String> = events.iter().map(LogEvent::natural_key).collect();
        assert_eq!(keys.len(), events.len(), "{events:?}");
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < SOON, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn no_stream() -> Push {
    Push { sse: None, ..Push::default() }
}

fn listener(scheme: &str) -> Listen {
    let port = free_port().unwrap();
    Listen { at: ([127, 0, 0, 1], port).into(), url: format!("{scheme}://127.0.0.1:{port}"), identity: None }
}

fn alert(text: &str, time: &str) -> Value {
    json!({"EventType": "Alert", "MessageId": "Test.1.0.Alert", "Message": text, "EventTimestamp": time, "Severity": "Warning"})
}

#[test]
fn an_event_of_a_stream_is_in_the_spool_within_two_seconds_as_the_log_tells_it() {
    runtime().block_on(async {
        for log_entry in [true, false] {
            let bmc = Bmc::start(Push { log_entry, ..Push::default() }).await;
            let dir = tempfile::tempdir().unwrap();
            let agent = Agent::start(dir.path(), &bmc, NEVER, None, PushMode::Auto).await;
            until("no stream", || bmc.streams() == 1).await;
            agent.has(0).await;
            for round in 1..=3 {
                bmc.happens(round);
                let took = agent.has(round).await;
                eprintln!("from the event to the spool: {took:?} (link to the entry: {log_entry})");
                // The third within seconds is paced.
                assert!(took < Duration::from_secs(if round == 1 { 2 } else { 5 }), "{took:?}");
            }
            let events = agent.events().await;
            assert!(events.iter().all(|e| e.log.starts_with("Systems/1/")), "{events:?}");
            agent.has_no_doubles().await;
            agent.stop().await;
            until("a stream or session stays", || bmc.streams() == 0 && bmc.service.open_sessions() == 0).await;
        }
    });
}

#[test]
fn what_happens_while_a_stream_is_down_is_read_from_the_log_and_nothing_is_doubled() {
    runtime().block_on(async {
        for (broken, replays) in [(true, 8), (false, 0), (true, 0)] {
            let bmc = Bmc::start(Push { sse: Some(Sse { replays, ..Sse::default() }), ..Push::default() }).await;
            let dir = tempfile::tempdir().unwrap();
            let agent = Agent::start(dir.path(), &bmc, NEVER, None, PushMode::Auto).await;
            until("no stream", || bmc.streams() == 1).await;
            bmc.happens(1);
            agent.has(1).await;
            bmc.service.end_streams(broken);
            (2..5).for_each(|dimm| bmc.happens(dimm));
            agent.has(4).await;
            until("the stream was not opened again", || bmc.streams() == 1).await;
            bmc.happens(5);
            agent.has(5).await;
            agent.has_no_doubles().await;
            agent.stop().await;
        }
    });
}

#[test]
fn an_event_that_no_log_shows_is_told_once_as_an_event_of_its_own() {
    runtime().block_on(async {
        let bmc = Bmc::start(Push { sse: Some(Sse { replays: 8, ..Sse::default() }), ..Push::default() }).await;
        let dir = tempfile::tempdir().unwrap();
        let agent = Agent::start(dir.path(), &bmc, NEVER, None, PushMode::Auto).await;
        until("no stream", || bmc.streams() == 1).await;
        bmc.service.emit(vec![alert("the door was opened", "2026-01-31T08:00:00Z")]);
        agent.has(1).await;
        let event = agent.events().await.remove(1);
        assert_eq!((event.log.as_str(), event.message.as_str()), ("EventService", "the door was opened"));
        agent.stop().await;
        // The next run hears of it again, from a stream that begins at its beginning.
        let agent = Agent::start(dir.path(), &bmc, NEVER, None, PushMode::Auto).await;
        until("no stream", || bmc.streams() == 1).await;
        bmc.service.emit(vec![
            alert("the door was opened", "2026-01-31T08:00:00Z"),
            alert("and closed", "2026-01-31T08:00:09Z"),
        ]);
        agent.has(2).await;
        agent.has_no_doubles().await;
        agent.stop().await;
    });
}

#[test]
fn events_posted_by_a_subscription_are_in_the_spool_within_two_seconds_and_nothing_stays_behind() {
    runtime().block_on(async {
        for scheme in ["https", "http"] {
            let bmc = Bmc::start(no_stream()).await;
            let dir = tempfile::tempdir().unwrap();
            let agent = Agent::start(dir.path(), &bmc, NEVER, Some(listener(scheme)), PushMode::Auto).await;
            until("no subscription", || bmc.service.subscriptions().len() == 1).await;
            agent.has(0).await;
            let subscription = bmc.service.subscriptions().remove(0);
            assert_eq!(subscription["Context"], "outband:a1:bmc1", "{subscription}");
            bmc.happens(1);
            let took = agent.has(1).await;
            eprintln!("from the event to the spool, by {scheme}: {took:?}");
            assert!(took < Duration::from_secs(2), "{took:?}");
            assert!(agent.events().await[1].log.starts_with("Systems/1/"));
            agent.has_no_doubles().await;
            agent.stop().await;
            assert_eq!((bmc.service.subscriptions().len(), bmc.service.open_sessions()), (0, 0));
        }
    });
}

#[test]
fn leftovers_of_an_earlier_run_are_deleted_and_others_are_left_alone() {
    runtime().block_on(async {
        let bmc = Bmc::start(no_stream()).await;
        let post = async |destination: &str, context: &str| {
            let body = json!({"Destination": destination, "Context": context, "Protocol": "Redfish"}).to_string();
            let uri = "/redfish/v1/EventService/Subscriptions";
            let request = support_sim::asked(&bmc.service, reqwest::Method::POST, uri).body(body);
            assert_eq!(request.send().await.unwrap().status(), 201);
        };
        post("https://127.0.0.1:9/redfish-events/bmc1/old", "outband:a1:bmc1").await;
        post("https://127.0.0.1:9/elsewhere", "somebody").await;
        post("https://127.0.0.1:9/redfish-events/bmc1/x", "outband:a2:bmc1").await;
        let dir = tempfile::tempdir().unwrap();
        let agent = Agent::start(dir.path(), &bmc, NEVER, Some(listener("https")), PushMode::Auto).await;
        let contexts = || {
            let all = bmc.service.subscriptions();
            all.iter().map(|s| format!("{}{}", s["Context"], s["Destination"])).collect::<BTreeSet<_>>()
        };
        until("no subscription", || contexts().iter().any(|s| s.contains("a1") && !s.contains("old"))).await;
        assert_eq!(contexts().len(), 3, "{:?}", contexts());
        agent.stop().await;
        let left = contexts();
        assert!(left.len() == 2 && left.iter().all(|s| !s.contains("outband:a1")), "{left:?}");
    });
}

#[test]
fn a_bmc_that_was_reset_is_listened_to_again() {
    runtime().block_on(async {
        for stream in [true, false] {
            let push = Push { forgets: true, ..if stream { Push::default() } else { no_stream() } };
            let bmc = Bmc::start(push).await;
            let listens = || if stream { bmc.streams() == 1 } else { bmc.service.subscriptions().len() == 1 };
            let dir = tempfile::tempdir().unwrap();
            let log = Duration::from_secs(1);
            let agent = Agent::start(dir.path(), &bmc, log, Some(listener("https")), PushMode::Auto).await;
            until("nobody listens", listens).await;
            bmc.happens(1);
            agent.has(1).await;
            bmc.service.reset_bmc();
            bmc.happens(2);
            agent.has(2).await;
            if stream {
                until("nobody listens again", listens).await;
            }
            bmc.happens(3);
            agent.has(3).await;
            agent.has_no_doubles().await;
            agent.stop().await;
            assert_eq!(bmc.service.open_sessions(), 0);
        }
    });
}

#[test]
fn a_bmc_without_room_or_without_either_is_polled_as_before() {
    runtime().block_on(async {
        for push in [Push { slots: 0, ..no_stream() }, Push { refuses: vec!["Destination".to_owned()], ..no_stream() }]
        {
            let bmc = Bmc::start(push).await;
            let dir = tempfile::tempdir().unwrap();
            let log = Duration::from_millis(200);
            let agent = Agent::start(dir.path(), &bmc, log, Some(listener("https")), PushMode::Auto).await;
            for round in 1..4 {
                bmc.happens(round);
                agent.has(round).await;
            }
            agent.has_no_doubles().await;
            agent.stop().await;
            assert_eq!((bmc.service.subscriptions().len(), bmc.service.open_sessions()), (0, 0));
        }
    });
}

#[test]
fn a_stream_holds_one_request_in_flight_and_one_connection() {
    runtime().block_on(async {
        let bmc = Bmc::start(Push::default()).await;
        let dir = tempfile::tempdir().unwrap();
        let agent = Agent::start(dir.path(), &bmc, Duration::from_millis(100), None, PushMode::Auto).await;
        until("no stream", || bmc.streams() == 1).await;
        for round in 1..6 {
            bmc.happens(round);
            agent.has(round).await;
        }
        let stats = bmc.service.stats();
        assert!(stats.max_in_flight <= 2, "{stats:?}");
        // That of the stream and that of the polls; on a busy machine one goes back to the pool too late, and another takes its place.
        assert!(stats.max_connections <= 3, "{stats:?}");
        assert_eq!(stats.logins, 1);
        agent.stop().await;
    });
}

#[test]
fn a_target_with_push_off_is_not_listened_to() {
    runtime().block_on(async {
        let bmc = Bmc::start(Push::default()).await;
        let dir = tempfile::tempdir().unwrap();
        let log = Duration::from_millis(100);
        let agent = Agent::start(dir.path(), &bmc, log, Some(listener("https")), PushMode::Off).await;
        bmc.happens(1);
        agent.has(1).await;
        let asked = bmc.service.requests();
        assert!(!asked.iter().any(|r| r.contains("EventService")), "{asked:?}");
        agent.stop().await;
    });
}

#[test]
fn the_listener_takes_only_what_a_bmc_was_told_to_post_and_in_measure() {
    runtime().block_on(async {
        let bmc = Bmc::start(no_stream()).await;
        let dir = tempfile::tempdir().unwrap();
        let listen = listener("http");
        let (base, agent) =
            (listen.url.clone(), Agent::start(dir.path(), &bmc, NEVER, Some(listen), PushMode::Auto).await);
        until("no subscription", || bmc.service.subscriptions().len() == 1).await;
        let destination = bmc.service.subscriptions().remove(0)["Destination"].as_str().unwrap().to_owned();
        let http = support_sim::client(&bmc.service);
        let post = async |url: &str, body: Vec<u8>| http.post(url).body(body).send().await.unwrap().status().as_u16();
        let event = json!({"Id": "9", "Events": [alert("posted", "2026-01-31T08:00:00Z")]}).to_string().into_bytes();
        let mut guess = destination.clone();
        guess.pop();
        for wrong in
            [guess, format!("{base}/redfish-events/bmc1/"), format!("{base}/"), format!("{base}/redfish-events/bmc2/x")]
        {
            assert_eq!(post(&wrong, event.clone()).await, 404, "{wrong}");
        }
        assert_eq!(http.get(&destination).send().await.unwrap().status().as_u16(), 405);
        assert_eq!(post(&destination, vec![b'x'; 2 << 20]).await, 413);
        assert_eq!(post(&destination, event.clone()).await, 204);
        assert_eq!(post(&destination, b"<html>".to_vec()).await, 204, "junk rings for the log and does no harm");
        agent.has(1).await;
        assert_eq!(agent.events().await[1].message, "posted");
        let mut codes = BTreeSet::new();
        for _ in 0..100 {
            codes.insert(post(&destination, b"{}".to_vec()).await);
        }
        assert!(codes.contains(&429), "{codes:?}");
        agent.stop().await;
    });
}

#[test]
fn the_agent_itself_leaves_no_subscription_and_no_session_when_it_ends() {
    let runtime = runtime();
    let bmc = runtime.block_on(Bmc::start(no_stream()));
    let dir = tempfile::tempdir().unwrap();
    let listen = listener("https");
    let write = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    write("pass", PASSWORD);
    write("token", "t");
    let ca = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    write("ca.pem", &ca.cert.pem());
    let config = write(
        "agent.toml",
        &format!(
            "[agent]\nid = \"a1\"\nsite = \"s1\"\ndata_dir = \"data\"\n[collector]\nendpoints = [\"https://127.0.0.1:9\"]\nca_file = \"ca.pem\"\n\
             token_file = \"token\"\n[push]\nlisten = \"{}\"\nurl = \"{}\"\n[credentials.bmc]\nuser = \"{USER}\"\npassword_file = \"pass\"\n\
             [[targets]]\nid = \"bmc1\"\nurl = \"{}\"\ncredentials = \"bmc\"\n",
            listen.at,
            listen.url,
            bmc.service.url()
        ),
    );
    outband_tests::build(&["outband-agent"], false).unwrap();
    let mut command = std::process::Command::new(outband_tests::bin("outband-agent").unwrap());
    command.arg("run").arg("--config").arg(&config);
    let mut agent = outband_tests::Child::start("outband-agent", &mut command).unwrap();
    assert!(wait_until(SOON, || bmc.service.subscriptions().len() == 1), "no subscription");
    assert!(agent.stop(SOON).unwrap().success());
    assert_eq!((bmc.service.subscriptions().len(), bmc.service.open_sessions()), (0, 0));
}
