use super::*;
use outband_store::KnownEntry;
use proptest::prelude::*;

const WINDOW: usize = 1000;

fn up(message: Up) -> wire::StreamRequest {
    wire::StreamRequest { message: Some(message) }
}

fn hello() -> wire::Hello {
    wire::Hello {
        agent: "dc1".to_owned(),
        spool_id: SpoolId::from_bits(7).to_string(),
        lanes: vec![wire::LaneState { lane: wire::Lane::Event.into(), oldest: 1, next: 1 }],
        site: "site-a".to_owned(),
        version: "0.1.0".to_owned(),
        targets: vec!["s1".to_owned()],
        sensor_interval_ms: 30_000,
        protocol: 1,
    }
}

fn batch(first_seq: i64, bodies: usize) -> wire::Batch {
    wire::Batch { lane: wire::Lane::Telemetry.into(), first_seq, bodies: vec![vec![1; 10]; bodies], skipped: None }
}

fn skip(first: i64, last: i64) -> wire::Skipped {
    wire::Skipped { first, last, reason: u32::from(Cause::Evicted.number()), ..wire::Skipped::default() }
}

/// A session that the store admitted, with the telemetry lane stored through `mark`.
fn open(mark: i64) -> Session {
    let mut session = Session::new(WINDOW);
    session.handle_message(up(Up::Hello(hello()))).unwrap();
    let admission =
        Admission { epoch: Epoch(3), marks: vec![(Lane::Event, 0), (Lane::Telemetry, mark)], known: Vec::new() };
    session.handle_admission(&admission).unwrap();
    session
}

fn send(session: &mut Session, batch: wire::Batch) -> Result<Step, Farewell> {
    session.handle_message(up(Up::Batch(batch)))
}

#[test]
fn the_first_message_must_be_hello() {
    let farewell = send(&mut Session::new(WINDOW), batch(1, 1)).unwrap_err();
    assert_eq!(farewell.reason, Reason::Protocol);
    assert!(farewell.detail.contains("Hello"));
}

#[test]
fn an_agent_of_a_later_protocol_is_told_which_is_known_here() {
    let later = wire::Hello { protocol: PROTOCOL + 1, ..hello() };
    let farewell = Session::new(WINDOW).handle_message(up(Up::Hello(later))).unwrap_err();
    assert_eq!(farewell.reason, Reason::ProtocolVersion);
    assert!(farewell.detail.contains("upgrade the collector first"), "{}", farewell.detail);
    let older = wire::Hello { protocol: 0, ..hello() };
    assert!(matches!(Session::new(WINDOW).handle_message(up(Up::Hello(older))), Ok(Step::Admit(_))));
}

#[test]
fn nothing_is_read_between_hello_and_welcome() {
    let mut session = Session::new(WINDOW);
    assert!(session.has_room());
    session.handle_message(up(Up::Hello(hello()))).unwrap();
    assert!(!session.has_room());
}

#[test]
fn welcome_says_where_each_lane_stands() {
    let mut session = Session::new(WINDOW);
    session.handle_message(up(Up::Hello(hello()))).unwrap();
    let known = vec![KnownEntry { lane: Lane::Telemetry, seq: 40, crc32c: 7 }];
    let admission = Admission { epoch: Epoch(1), marks: vec![(Lane::Telemetry, 41), (Lane::Event, 5)], known };
    let Some(Down::Welcome(welcome)) = session.handle_admission(&admission).unwrap().message else {
        panic!("no Welcome")
    };
    let marks: Vec<_> = welcome.lanes.iter().map(|l| (l.lane(), l.committed)).collect();
    assert_eq!(marks, [(wire::Lane::Event, 5), (wire::Lane::Telemetry, 41)]);
    let known: Vec<_> = welcome.lanes.iter().map(|l| (l.known_seq, l.known_crc32c)).collect();
    assert_eq!(known, [(0, 0), (40, 7)], "by which the agent tells whether its spool is the same");
    assert_eq!(welcome.window_bytes, 1000);
}

#[test]
fn a_second_hello_ends_the_stream() {
    assert_eq!(open(0).handle_message(up(Up::Hello(hello()))).unwrap_err().reason, Reason::Protocol);
}

#[test]
fn a_batch_that_follows_the_mark_goes_to_the_store_unopened_under_the_streams_epoch() {
    let Step::Submit { batch, bytes } = send(&mut open(41), batch(42, 3)).unwrap() else { panic!("not submitted") };
    assert_eq!((batch.epoch, batch.first_seq, batch.bodies.len(), bytes), (Epoch(3), 42, 3, 30));
}

#[test]
fn a_resend_goes_to_the_store_which_knows_what_it_has() {
    assert!(matches!(send(&mut open(41), batch(40, 3)), Ok(Step::Submit { .. })));
}

#[test]
fn a_jump_is_refused_and_the_answer_names_both_ends() {
    let farewell = send(&mut open(41), batch(43, 1)).unwrap_err();
    assert_eq!(farewell.reason, Reason::Protocol);
    assert!(farewell.detail.contains("43") && farewell.detail.contains("41"), "{}", farewell.detail);
}

#[test]
fn a_jump_is_measured_from_what_is_on_its_way_to_the_store() {
    let mut session = open(0);
    send(&mut session, batch(1, 3)).unwrap();
    assert!(send(&mut session, batch(4, 1)).is_ok());
}

#[test]
fn a_skip_that_covers_the_jump_is_taken_even_without_bodies() {
    let mut session = open(41);
    let skipping = wire::Batch { skipped: Some(skip(42, 99)), ..batch(100, 0) };
    let Ok(Step::Submit { batch: taken, .. }) = send(&mut session, skipping) else { panic!("not submitted") };
    assert_eq!(taken.skipped.map(|s| (s.first, s.last, s.cause)), Some((42, 99, Cause::Evicted)));
    assert!(send(&mut session, batch(100, 1)).is_ok());
}

#[test]
fn a_skip_that_leaves_a_hole_before_or_after_it_is_refused() {
    for (first, last) in [(43, 99), (42, 98), (42, 100), (50, 42)] {
        let skipping = wire::Batch { skipped: Some(skip(first, last)), ..batch(100, 1) };
        assert!(send(&mut open(41), skipping).is_err(), "{first} to {last}");
    }
}

#[test]
fn a_batch_of_nothing_is_refused() {
    assert!(send(&mut open(0), batch(1, 0)).is_err());
}

#[test]
fn numbers_at_the_end_of_the_range_do_not_wrap() {
    assert!(send(&mut open(i64::MAX - 1), batch(i64::MAX, 2)).is_err());
    let skipping = wire::Batch { skipped: Some(skip(1, i64::MAX)), ..batch(i64::MIN, 1) };
    assert!(send(&mut open(0), skipping).is_err());
    assert!(send(&mut open(i64::MAX), batch(1, 1)).is_ok(), "what lies before the mark is a repetition");
}

#[test]
fn a_full_window_stops_the_reading_until_the_store_answers() {
    let mut session = open(0);
    let Ok(Step::Submit { bytes, .. }) = send(&mut session, batch(1, 100)) else { panic!("not submitted") };
    assert!(!session.has_room());
    session.handle_committed(Lane::Telemetry, bytes, Committed { through: 100, stored: 100 });
    assert!(session.has_room() && !session.is_waiting());
}

#[test]
fn an_ack_says_what_the_store_said_and_not_what_was_sent() {
    let mut session = open(0);
    send(&mut session, batch(1, 2)).unwrap();
    let ack = session.handle_committed(Lane::Telemetry, 20, Committed { through: 90, stored: 0 });
    assert_eq!(ack.message, Some(Down::Ack(wire::Ack { lane: wire::Lane::Telemetry.into(), committed: 90 })));
}

#[test]
fn each_refusal_of_the_store_has_its_own_farewell() {
    let session = open(0);
    let agent = AgentId::new("dc1").unwrap();
    let reason = |e: StoreError| session.handle_store_error(&e).reason;
    assert_eq!(reason(StoreError::Fenced { agent }), Reason::Fenced);
    assert_eq!(reason(StoreError::Closed), Reason::Shutdown);
    assert_eq!(reason(StoreError::DifferentBody { lane: Lane::Event, seq: 1 }), Reason::SpoolRolledBack);
    let full = std::io::Error::other("disk full");
    assert_eq!(reason(StoreError::Unavailable { doing: "commit", source: full.into() }), Reason::StoreUnavailable);
}

#[test]
fn a_hello_that_makes_no_sense_is_refused_with_the_reason() {
    let twice = vec![hello().lanes[0], hello().lanes[0]];
    let backwards = vec![wire::LaneState { lane: wire::Lane::Event.into(), oldest: 5, next: 4 }];
    for (bad, word) in [
        (wire::Hello { agent: "a b".to_owned(), ..hello() }, "agent"),
        (wire::Hello { spool_id: "7".to_owned(), ..hello() }, "spool"),
        (wire::Hello { site: String::new(), ..hello() }, "site"),
        (wire::Hello { lanes: twice, ..hello() }, "twice"),
        (wire::Hello { lanes: backwards, ..hello() }, "range"),
        (wire::Hello { sensor_interval_ms: -1, ..hello() }, "interval"),
    ] {
        let farewell = Session::new(WINDOW).handle_message(up(Up::Hello(bad))).unwrap_err();
        assert!(farewell.detail.contains(word), "{}", farewell.detail);
    }
}

proptest! {
    /// Whatever the agent sends, what goes to the store leaves no hole: each sequence through the last one was sent as a
    /// body or skipped.
    #[test]
    fn what_goes_to_the_store_never_leaves_a_hole(
        mark in 0i64..20,
        sent in proptest::collection::vec((1i64..60, 0usize..6, proptest::option::of((1i64..60, 0i64..6))), 0..60),
    ) {
        let mut session = Session::new(usize::MAX);
        session.handle_message(up(Up::Hello(hello()))).unwrap();
        session.handle_admission(&Admission { epoch: Epoch(1), marks: vec![(Lane::Telemetry, mark)], known: Vec::new() }).unwrap();
        let mut covered = mark;
        for (first_seq, bodies, skipped) in sent {
            let skipped = skipped.map(|(first, more)| skip(first, first + more));
            match send(&mut session, wire::Batch { skipped, ..batch(first_seq, bodies) }) {
                Ok(Step::Submit { batch, .. }) => {
                    let begins = batch.skipped.as_ref().map_or(batch.first_seq, |s| s.first);
                    prop_assert!(begins <= covered + 1, "a hole between {} and {}", covered, begins);
                    covered = covered.max(batch.first_seq - 1 + batch.bodies.len() as i64);
                }
                Ok(other) => prop_assert!(false, "{other:?}"),
                Err(farewell) => prop_assert_eq!(farewell.reason, Reason::Protocol),
            }
        }
    }
}
