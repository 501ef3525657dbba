use super::*;
use crate::enrol::AgentIdentity;
use crate::token::Role;
use outband_proto::ingest::{Hello, stream_request, stream_response};
use outband_schemas::{SiteId, SpoolId, Timestamp};
use outband_store::SqliteStore;
use outband_store::sqlite::Options;
use std::collections::BTreeSet;
use std::time::Instant;

#[test]
fn a_fleet_that_came_at_once_goes_spread_over_half_an_age() {
    let age = Duration::from_secs(3600);
    let of = |n: i64| spread(age, &AgentId::new(format!("agent-{n}")).unwrap(), Epoch(1));
    let all: Vec<Duration> = (0..1000).map(of).collect();
    assert!(all.iter().all(|a| *a >= age * 3 / 4 && *a <= age * 5 / 4));
    for quarter in 0..4 {
        let from = age * (6 + quarter) / 8;
        let within = all.iter().filter(|a| **a >= from && **a < from + age / 8).count();
        assert!(within > 150, "{within} in quarter {quarter}");
    }
    assert_ne!(of(1), spread(age, &AgentId::new("agent-1").unwrap(), Epoch(2)));
}

/// Counts from when it was made.
#[derive(Debug)]
struct Ticking(Instant);

const BEGUN: Timestamp = Timestamp::from_secs(1_800_000_000);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        BEGUN.plus(self.0.elapsed())
    }
}

#[tokio::test]
async fn a_stream_ends_in_the_second_in_which_its_certificate_does() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    let clock = Arc::new(Ticking(Instant::now()));
    let (agent, site) = (AgentId::new("a1").unwrap(), SiteId::new("dc1").unwrap());
    let live = Live::of(&store, clock.clone()).unwrap();
    let not_after = BEGUN.plus(Duration::from_secs(2));
    let identity =
        AgentIdentity { agent: agent.clone(), site: site.clone(), serial: "7".to_owned(), issued_at: BEGUN, not_after };
    let principal = Principal {
        role: Role::Agent,
        name: agent.to_string(),
        shared: false,
        sites: BTreeSet::new(),
        customers: BTreeSet::new(),
        only: None,
    };
    let (out, mut answers) = mpsc::channel(64);
    let link = Link {
        store: store.clone(),
        clock: clock.clone(),
        registry: Registry::default(),
        shutdown: CancellationToken::new(),
        age: Duration::from_secs(3600),
        principal,
        presented: Some(Presented { identity, live }),
        agents: None,
        out,
    };
    let hello = Hello {
        agent: agent.to_string(),
        spool_id: SpoolId::from_bits(7).to_string(),
        site: site.to_string(),
        protocol: 1,
        ..Hello::default()
    };
    let hello = StreamRequest { message: Some(stream_request::Message::Hello(hello)) };
    let quiet = tokio_stream::iter([Ok(hello)]).chain(tokio_stream::pending());
    let running = tokio::spawn(link.run(quiet));
    let welcome = answers.recv().await.unwrap().unwrap();
    assert!(matches!(welcome.message, Some(stream_response::Message::Welcome(_))));
    let last = tokio::time::timeout(Duration::from_secs(30), answers.recv()).await.expect("the stream ends");
    let refused = last.unwrap().unwrap_err();
    assert!(refused.message().contains("has ended"), "{refused}");
    assert!(clock.now() >= not_after, "not before");
    running.await.unwrap();
    store.close().unwrap();
}
