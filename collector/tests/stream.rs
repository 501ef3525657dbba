//! The stream of an agent over a real socket: what is acknowledged is stored, once, whatever is sent again.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Agent, Home, batch, hello};
use outband_collector::app::Collector;
use outband_proto::ingest::Lane;
use outband_proto::ingest::go_away::Reason;
use outband_proto::telemetry::ListGapsRequest;
use outband_proto::telemetry::telemetry_service_client::TelemetryServiceClient;
use outband_schemas::Cause;
use outband_store::{GapFilter, LogRow, Page, Store};

fn rows(collector: &Collector) -> Vec<LogRow> {
    collector.store().log_after(0, 10_000).unwrap()
}

fn seqs(collector: &Collector, lane: outband_schemas::Lane) -> Vec<i64> {
    rows(collector).iter().filter(|r| r.lane == lane).map(|r| r.seq).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_in_the_store_unopened() {
    let home = Home::new();
    let collector = home.start().await;
    let (mut agent, _) = Agent::join(&mut home.ingest(&collector).await, hello("dc1", 1)).await;
    agent.send(batch(Lane::Telemetry, 1, 3)).await;
    assert_eq!(agent.ack().await, (Lane::Telemetry, 3));
    let bodies: Vec<String> = rows(&collector).into_iter().map(|r| String::from_utf8(r.body).unwrap()).collect();
    assert_eq!(bodies, ["Telemetry 1", "Telemetry 2", "Telemetry 3"]);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_after_a_broken_line_is_acknowledged_and_stored_once() {
    let home = Home::new();
    let collector = home.start().await;
    let mut client = home.ingest(&collector).await;
    let (mut agent, welcome) = Agent::join(&mut client, hello("dc1", 1)).await;
    assert!(welcome.lanes.iter().all(|l| l.committed == 0));
    agent.send(batch(Lane::Telemetry, 1, 5)).await;
    agent.send(batch(Lane::Event, 1, 2)).await;
    agent.ack().await;
    agent.ack().await;
    drop(agent);

    let (mut agent, welcome) = Agent::join(&mut client, hello("dc1", 1)).await;
    let marks: Vec<_> = welcome.lanes.iter().map(|l| (l.lane(), l.committed)).collect();
    assert_eq!(marks, [(Lane::Event, 2), (Lane::Telemetry, 5)]);
    agent.send(batch(Lane::Telemetry, 3, 5)).await;
    assert_eq!(agent.ack().await, (Lane::Telemetry, 7));
    assert_eq!(seqs(&collector, outband_schemas::Lane::Telemetry), [1, 2, 3, 4, 5, 6, 7]);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_and_rows_survive_a_restart_of_the_collector() {
    let home = Home::new();
    let collector = home.start().await;
    let (mut agent, _) = Agent::join(&mut home.ingest(&collector).await, hello("dc1", 1)).await;
    agent.send(batch(Lane::Event, 1, 4)).await;
    agent.ack().await;
    drop(agent);
    collector.stop().await.unwrap();

    let collector = home.start().await;
    let (_agent, welcome) = Agent::join(&mut home.ingest(&collector).await, hello("dc1", 1)).await;
    assert!(welcome.lanes.iter().any(|l| l.lane() == Lane::Event && l.committed == 4));
    assert_eq!(seqs(&collector, outband_schemas::Lane::Event), [1, 2, 3, 4]);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_life_of_the_spool_begins_at_nothing() {
    let home = Home::new();
    let collector = home.start().await;
    let mut client = home.ingest(&collector).await;
    let (mut agent, _) = Agent::join(&mut client, hello("dc1", 1)).await;
    agent.send(batch(Lane::Event, 1, 4)).await;
    agent.ack().await;
    let (_agent, welcome) = Agent::join(&mut client, hello("dc1", 2)).await;
    assert!(welcome.lanes.iter().all(|l| l.committed == 0));
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_is_refused_and_nothing_of_it_is_stored() {
    let home = Home::new();
    let collector = home.start().await;
    let (mut agent, _) = Agent::join(&mut home.ingest(&collector).await, hello("dc1", 1)).await;
    agent.send(batch(Lane::Telemetry, 1, 2)).await;
    agent.send(batch(Lane::Telemetry, 4, 2)).await;
    let go_away = agent.go_away().await;
    assert_eq!(go_away.reason(), Reason::Protocol);
    assert!(go_away.detail.contains("telemetry"), "{}", go_away.detail);
    assert_eq!(seqs(&collector, outband_schemas::Lane::Telemetry), [1, 2]);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_with_a_reason_is_stored_as_a_gap() {
    let home = Home::new();
    let collector = home.start().await;
    let (mut agent, _) = Agent::join(&mut home.ingest(&collector).await, hello("dc1", 1)).await;
    let skipped = outband_proto::ingest::Skipped {
        first: 1,
        last: 9,
        reason: u32::from(Cause::Evicted.number()),
        detail: "the spool was full".to_owned(),
        from_ms: 1_000,
        to_ms: 2_000,
    };
    agent.send(outband_proto::ingest::Batch { skipped: Some(skipped), ..batch(Lane::Telemetry, 10, 1) }).await;
    assert_eq!(agent.ack().await, (Lane::Telemetry, 10));
    let gaps = collector.store().gaps(&GapFilter::default(), &Page::first(10)).unwrap().rows;
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].gap.cause, gaps[0].gap.detail.contains("the spool was full")), (Cause::Evicted, true));

    let mut operators = TelemetryServiceClient::new(home.operator(&collector).await);
    let all = ListGapsRequest { parent: "servers/-".to_owned(), ..ListGapsRequest::default() };
    let listed = operators.list_gaps(all).await.unwrap().into_inner().gaps;
    let whose: Vec<_> = listed.iter().map(|g| (g.server.as_str(), g.agent.as_str())).collect();
    assert_eq!(whose, [("", "agents/dc1")], "any of the agent's servers may have the gap");
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_body_under_a_stored_sequence_is_refused_as_a_rolled_back_spool() {
    let home = Home::new();
    let collector = home.start().await;
    let (mut agent, _) = Agent::join(&mut home.ingest(&collector).await, hello("dc1", 1)).await;
    agent.send(batch(Lane::Event, 1, 2)).await;
    agent.ack().await;
    let other = outband_proto::ingest::Batch { bodies: vec![b"other".to_vec()], ..batch(Lane::Event, 2, 1) };
    agent.send(other).await;
    let go_away = agent.go_away().await;
    assert_eq!(go_away.reason(), Reason::SpoolRolledBack);
    assert_eq!(rows(&collector)[1].body, b"Event 2");
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_stream_of_the_same_agent_fences_the_older() {
    let home = Home::new();
    let collector = home.start().await;
    let mut client = home.ingest(&collector).await;
    let (mut older, _) = Agent::join(&mut client, hello("dc1", 1)).await;
    let (mut newer, _) = Agent::join(&mut client, hello("dc1", 1)).await;
    assert_eq!(older.go_away().await.reason(), Reason::Fenced);
    newer.send(batch(Lane::Event, 1, 1)).await;
    assert_eq!(newer.ack().await, (Lane::Event, 1));
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_told_when_the_collector_stops() {
    let home = Home::new();
    let collector = home.start().await;
    let (mut agent, _) = Agent::join(&mut home.ingest(&collector).await, hello("dc1", 1)).await;
    let (stopped, go_away) = tokio::join!(collector.stop(), agent.go_away());
    stopped.unwrap();
    assert_eq!(go_away.reason(), Reason::Shutdown);
    assert!(!home.dir().join("run.json").exists(), "a stopped collector listens nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_does_not_begin_with_hello_is_ended_with_the_reason() {
    let home = Home::new();
    let collector = home.start().await;
    let bad = outband_proto::ingest::Hello { spool_id: "nonsense".to_owned(), ..hello("dc1", 1) };
    let mut agent = Agent::call(&mut home.ingest(&collector).await, bad).await.unwrap();
    let go_away = agent.go_away().await;
    assert_eq!(go_away.reason(), Reason::Protocol);
    assert!(go_away.detail.contains("spool"), "{}", go_away.detail);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_backlog_comes_through_in_order() {
    let home = Home::new();
    let collector = home.start().await;
    let (mut agent, welcome) = Agent::join(&mut home.ingest(&collector).await, hello("dc1", 1)).await;
    // Twice the window: the stream must stop and go on without losing its place.
    let body = vec![7u8; 64 << 10];
    let batches = 2 * welcome.window_bytes / (16 * body.len() as i64);
    let sender = async {
        for i in 0..batches {
            let bodies = vec![body.clone(); 16];
            let lane = Lane::Telemetry.into();
            agent.send(outband_proto::ingest::Batch { lane, first_seq: 1 + 16 * i, bodies, skipped: None }).await;
        }
    };
    sender.await;
    let mut through = 0;
    while through < 16 * batches {
        let (_, mark) = agent.ack().await;
        assert!(mark > through, "marks go up: {through} then {mark}");
        through = mark;
    }
    collector.stop().await.unwrap();
}

/// What one stream brings through, with real commits. Run with `--ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, not a test"]
async fn what_one_stream_brings_through() {
    const BATCHES: i64 = 2_000;
    let home = Home::new();
    let collector = home.start().await;
    let (mut agent, _) = Agent::join(&mut home.ingest(&collector).await, hello("dc1", 1)).await;
    let begin = std::time::Instant::now();
    let sender = agent.sender();
    let send = tokio::spawn(async move {
        for i in 0..BATCHES {
            let bodies = vec![vec![7u8; 4 << 10]; 16];
            sender
                .send(outband_proto::ingest::Batch {
                    lane: Lane::Telemetry.into(),
                    first_seq: 1 + 16 * i,
                    bodies,
                    skipped: None,
                })
                .await;
        }
    });
    let mut acks = 0;
    while agent.ack().await.1 < 16 * BATCHES {
        acks += 1;
    }
    send.await.unwrap();
    let took = begin.elapsed().as_secs_f64();
    let bodies = 16.0 * BATCHES as f64;
    println!("{:.0} bodies/s, {:.0} MiB/s, {} acks in {took:.2} s", bodies / took, bodies / 256.0 / took, acks + 1);
    collector.stop().await.unwrap();
}
