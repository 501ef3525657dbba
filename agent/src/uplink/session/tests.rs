use super::*;
use outband_proto::ingest::{
    Batch, GoAway, LaneMark, Revoke, stream_request::Message as Up, stream_response::Message as Down,
};
use outband_schemas::{AgentId, Cause, SiteId, SpoolId, TargetId};
use outband_spool::{Lanes, SkipReason, Skipped};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::Duration;

/// A spool in memory. Body `None`: evicted.
#[derive(Debug, Default, Clone)]
struct FakeSpool {
    lanes: [Vec<Option<Vec<u8>>>; 2],
    released: [i64; 2],
}

fn slot(lane: Lane) -> usize {
    Lane::ALL.iter().position(|l| *l == lane).unwrap()
}

impl FakeSpool {
    fn held(&self) -> Held {
        let lane = |lane: Lane| {
            let entries = &self.lanes[slot(lane)];
            let next = entries.len() as i64 + 1;
            let oldest = entries.iter().position(Option::is_some).map_or(next, |i| i as i64 + 1);
            outband_spool::LaneState { oldest, next, released: self.released[slot(lane)] }
        };
        Held { id: SpoolId::from_bits(1), lanes: Lanes { event: lane(Lane::Event), telemetry: lane(Lane::Telemetry) } }
    }

    fn append(&mut self, lane: Lane, body: Vec<u8>) {
        self.lanes[slot(lane)].push(Some(body));
    }

    fn evict(&mut self, lane: Lane) {
        if let Some(oldest) = self.lanes[slot(lane)].iter_mut().find(|b| b.is_some()) {
            *oldest = None;
        }
    }

    fn peek(&self, lane: Lane, after: i64, max_bytes: usize) -> Peek {
        let rest = &self.lanes[slot(lane)][after as usize..];
        let gone = rest.iter().take_while(|b| b.is_none()).count() as i64;
        let skipped = (gone > 0).then_some(Skipped {
            first: after + 1,
            last: after + gone,
            reason: SkipReason::Evicted,
            from_ms: 5,
            to_ms: 6,
        });
        let mut bytes = 0;
        let whole = rest[gone as usize..].iter().map_while(Clone::clone);
        let fit = |b: &Vec<u8>| {
            bytes += b.len();
            bytes <= max_bytes || bytes == b.len()
        };
        Peek { skipped, first_seq: after + gone + 1, bodies: whole.take_while(fit).collect() }
    }
}

fn announce() -> Announce {
    Announce {
        agent: AgentId::new("dc1").unwrap(),
        site: SiteId::new("site-a").unwrap(),
        version: "0.1.0".to_owned(),
        targets: vec![TargetId::new("bmc1").unwrap()],
        sensor_interval: Duration::from_secs(60),
    }
}

fn down(message: Down) -> StreamResponse {
    StreamResponse { message: Some(message) }
}

fn welcome(event: i64, telemetry: i64, window_bytes: i64) -> StreamResponse {
    let mark = |lane, committed| LaneMark { lane: wire(lane), committed, ..LaneMark::default() };
    down(Down::Welcome(Welcome {
        lanes: vec![mark(Lane::Event, event), mark(Lane::Telemetry, telemetry)],
        window_bytes,
        packed: true,
        protocol: 1,
    }))
}

fn ack(lane: Lane, committed: i64) -> StreamResponse {
    down(Down::Ack(Ack { lane: wire(lane), committed }))
}

/// Does all that the session wants; what it sends goes to the returned list.
fn settle(session: &mut Session, spool: &mut FakeSpool) -> Vec<Up> {
    let mut sent = Vec::new();
    while let Some(action) = session.poll_action() {
        match action {
            Action::Send(request) => sent.push(request.message.unwrap()),
            Action::Peek { lane, after, max_bytes } => {
                session.handle_peek(lane, spool.peek(lane, after, max_bytes)).unwrap()
            }
            Action::Release { lane, through } => {
                let released = &mut spool.released[slot(lane)];
                *released = through.max(*released);
            }
            Action::Order(_) | Action::Revoke(_) => {}
        }
    }
    sent
}

fn batches(sent: Vec<Up>) -> Vec<Batch> {
    sent.into_iter()
        .map(|m| match m {
            Up::Batch(b) => b,
            other => panic!("not a batch: {other:?}"),
        })
        .collect()
}

/// A session past its Hello, over a spool with so many telemetry bodies of 100 bytes.
fn begun(telemetry: usize) -> (Session, FakeSpool) {
    let mut spool = FakeSpool::default();
    (0..telemetry).for_each(|i| spool.append(Lane::Telemetry, vec![i as u8; 100]));
    let mut session = Session::new(&announce(), spool.held());
    settle(&mut session, &mut spool);
    (session, spool)
}

#[test]
fn the_first_message_is_a_hello_that_says_what_is_held() {
    let mut spool = FakeSpool::default();
    spool.append(Lane::Event, vec![1]);
    let mut session = Session::new(&announce(), spool.held());
    let sent = settle(&mut session, &mut spool);
    let [Up::Hello(hello)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((hello.agent.as_str(), hello.site.as_str(), hello.sensor_interval_ms), ("dc1", "site-a", 60_000));
    assert_eq!(hello.spool_id, SpoolId::from_bits(1).to_string());
    assert_eq!(hello.lanes[0], LaneState { lane: wire(Lane::Event), oldest: 1, next: 2 });
    assert_eq!(hello.targets, ["bmc1"]);
}

#[test]
fn nothing_is_sent_before_welcome() {
    let (mut session, mut spool) = begun(3);
    assert_eq!(settle(&mut session, &mut spool), []);
}

#[test]
fn sending_resumes_after_the_collectors_mark() {
    let (mut session, mut spool) = begun(5);
    session.handle_message(welcome(0, 3, 1000)).unwrap();
    let sent = batches(settle(&mut session, &mut spool));
    assert_eq!((sent[0].first_seq, sent[0].bodies.len()), (4, 2));
    assert_eq!(spool.released[1], 3, "the mark is as good as an Ack");
}

#[test]
fn a_collector_that_lost_entries_gets_them_again() {
    let (mut session, mut spool) = begun(5);
    spool.released[1] = 5;
    session.handle_held(spool.held());
    session.handle_message(welcome(0, 2, 1000)).unwrap();
    let sent = batches(settle(&mut session, &mut spool));
    assert_eq!((sent[0].first_seq, sent[0].bodies.len()), (3, 3));
}

#[test]
fn what_is_gone_is_skipped_from_the_mark_exactly() {
    let (mut session, mut spool) = begun(5);
    (0..3).for_each(|_| spool.evict(Lane::Telemetry));
    session.handle_message(welcome(0, 1, 1000)).unwrap();
    let sent = batches(settle(&mut session, &mut spool));
    let skipped = sent[0].skipped.as_ref().unwrap();
    assert_eq!((skipped.first, skipped.last, sent[0].first_seq), (2, 3, 4));
    assert_eq!(skipped.reason, u32::from(Cause::Evicted.number()));
    assert_eq!((skipped.from_ms, skipped.to_ms), (5, 6));
}

#[test]
fn a_mark_beyond_the_spools_numbers_ends_the_stream() {
    let (mut session, _) = begun(5);
    let error = session.handle_message(welcome(0, 6, 1000)).unwrap_err();
    assert_eq!(error, Error::MarkAhead { lane: Lane::Telemetry, mark: 6, next: 6 });
}

/// A Welcome of a collector that has telemetry through 3 and knows the body of this entry.
fn knows(seq: i64, body: &[u8]) -> StreamResponse {
    let known_crc32c = outband_spool::body_crc32c(body);
    let mark = LaneMark { lane: wire(Lane::Telemetry), committed: 3, known_seq: seq, known_crc32c };
    down(Down::Welcome(Welcome { lanes: vec![mark], window_bytes: 1000, packed: true, protocol: 1 }))
}

#[test]
fn where_the_collector_knows_the_same_entry_the_stream_goes_on_and_releases_up_to_the_mark() {
    let (mut session, mut spool) = begun(5);
    session.handle_message(knows(2, &[1; 100])).unwrap();
    let sent = batches(settle(&mut session, &mut spool));
    assert_eq!((sent[0].first_seq, sent[0].bodies.len()), (4, 2));
    assert_eq!(spool.released[1], 3);
}

#[test]
fn another_entry_than_the_collector_knows_asks_for_a_new_id_before_anything_is_sent_or_released() {
    let (mut session, spool) = begun(5);
    session.handle_message(knows(3, b"of a life that was rolled back")).unwrap();
    let Some(Action::Peek { lane, after, max_bytes }) = session.poll_action() else { panic!("nothing is compared") };
    let error = session.handle_peek(lane, spool.peek(lane, after, max_bytes)).unwrap_err();
    assert!(error.needs_new_spool_id(), "{error}");
}

#[test]
fn what_the_spool_holds_no_more_cannot_be_compared_and_hinders_nothing() {
    let (mut session, mut spool) = begun(5);
    (0..4).for_each(|_| spool.evict(Lane::Telemetry));
    session.handle_held(spool.held());
    session.handle_message(knows(3, b"whatever")).unwrap();
    let sent = batches(settle(&mut session, &mut spool));
    assert_eq!((sent[0].skipped.as_ref().map(|s| (s.first, s.last)), sent[0].first_seq), (Some((4, 4)), 5));
}

#[test]
fn an_entry_known_beyond_the_mark_breaks_the_protocol() {
    let (mut session, _) = begun(5);
    assert!(matches!(session.handle_message(knows(4, &[3; 100])), Err(Error::Protocol(_))));
}

#[test]
fn a_spool_whose_entries_the_collector_has_otherwise_needs_a_new_id_and_no_other_farewell_asks_for_one() {
    let ended = |reason: go_away::Reason| {
        let (mut session, mut spool) = begun(5);
        session.handle_message(welcome(0, 0, 1000)).unwrap();
        settle(&mut session, &mut spool);
        let go_away = GoAway { reason: reason.into(), detail: "lane event holds another body under 1".to_owned() };
        session.handle_message(StreamResponse { message: Some(Down::GoAway(go_away)) }).unwrap_err()
    };
    let rolled_back = ended(go_away::Reason::SpoolRolledBack);
    assert!(
        rolled_back.needs_new_spool_id() && rolled_back.to_string().contains("another body under 1"),
        "{rolled_back}"
    );
    for reason in [go_away::Reason::Protocol, go_away::Reason::Fenced, go_away::Reason::StoreUnavailable] {
        assert!(!ended(reason).needs_new_spool_id(), "{reason:?}");
    }
}

#[test]
fn a_full_window_stops_the_sending_and_an_ack_lets_it_go_on() {
    let (mut session, mut spool) = begun(50);
    session.handle_message(welcome(0, 0, 1000)).unwrap();
    settle(&mut session, &mut spool);
    assert!(session.in_flight() <= 1000 && session.in_flight() >= 700, "{}", session.in_flight());
    assert_eq!(settle(&mut session, &mut spool), []);
    session.handle_message(ack(Lane::Telemetry, 7)).unwrap();
    assert_eq!(batches(settle(&mut session, &mut spool))[0].first_seq, 8);
    assert_eq!(spool.released[1], 7);
}

#[test]
fn an_event_overtakes_a_backlog_of_telemetry_even_in_a_full_window() {
    let (mut session, mut spool) = begun(5000);
    session.handle_message(welcome(0, 0, 1000)).unwrap();
    settle(&mut session, &mut spool);
    spool.append(Lane::Event, vec![9; 200]);
    session.handle_held(spool.held());
    let sent = batches(settle(&mut session, &mut spool));
    assert_eq!(sent.iter().map(Batch::lane).collect::<Vec<_>>(), [outband_proto::ingest::Lane::Event]);
}

#[test]
fn a_body_larger_than_the_window_goes_when_nothing_else_is_on_its_way() {
    let mut spool = FakeSpool::default();
    spool.append(Lane::Telemetry, vec![1; 100]);
    spool.append(Lane::Telemetry, vec![2; 9000]);
    let mut session = Session::new(&announce(), spool.held());
    settle(&mut session, &mut spool);
    session.handle_message(welcome(0, 0, 1000)).unwrap();
    assert_eq!(batches(settle(&mut session, &mut spool)).len(), 1);
    session.handle_message(ack(Lane::Telemetry, 1)).unwrap();
    assert_eq!(batches(settle(&mut session, &mut spool))[0].bodies[0].len(), 9000);
}

#[test]
fn a_body_larger_than_any_collector_takes_is_told_as_lost_and_holds_up_nothing() {
    let mut spool = FakeSpool::default();
    let huge = || vec![7; LARGEST_BODY + 1];
    for body in [vec![1; 10], huge(), huge(), vec![2; LARGEST_BODY], vec![3; 10]] {
        spool.append(Lane::Telemetry, body);
    }
    let mut session = Session::new(&announce(), spool.held());
    settle(&mut session, &mut spool);
    session.handle_message(welcome(0, 0, 1000)).unwrap();
    let mut sent = Vec::new();
    for _ in 0..spool.held().lanes.telemetry.next {
        for batch in batches(settle(&mut session, &mut spool)) {
            let through = batch.first_seq - 1 + batch.bodies.len() as i64;
            let lost = batch.skipped.map(|s| (s.first, s.last, s.reason));
            sent.push((lost, batch.first_seq, batch.bodies.iter().map(Vec::len).collect::<Vec<_>>()));
            session.handle_message(ack(Lane::Telemetry, through)).unwrap();
        }
    }
    let lost = |seq| Some((seq, seq, u32::from(Cause::Malformed.number())));
    let wanted = vec![
        (None, 1, vec![10]),
        (lost(2), 3, vec![]),
        (lost(3), 4, vec![]),
        (None, 4, vec![LARGEST_BODY]),
        (None, 5, vec![10]),
    ];
    assert_eq!(sent, wanted);
}

#[test]
fn acks_that_the_protocol_does_not_allow_end_the_stream_and_release_nothing() {
    for bad in [ack(Lane::Telemetry, 4), ack(Lane::Telemetry, 1), down(Down::Ack(Ack { lane: 0, committed: 1 }))] {
        let (mut session, mut spool) = begun(3);
        session.handle_message(welcome(0, 0, 1000)).unwrap();
        settle(&mut session, &mut spool);
        session.handle_message(ack(Lane::Telemetry, 2)).unwrap();
        settle(&mut session, &mut spool);
        assert!(matches!(session.handle_message(bad), Err(Error::Protocol(_))));
        settle(&mut session, &mut spool);
        assert_eq!(spool.released[1], 2);
    }
}

#[test]
fn nothing_may_come_before_welcome_and_welcome_comes_once() {
    let (mut session, _) = begun(3);
    assert!(matches!(session.handle_message(ack(Lane::Event, 0)), Err(Error::Protocol(_))));
    let (mut session, _) = begun(3);
    session.handle_message(welcome(0, 0, 1000)).unwrap();
    assert!(matches!(session.handle_message(welcome(0, 0, 1000)), Err(Error::Protocol(_))));
}

#[test]
fn orders_and_their_revocations_are_handed_on_only_after_the_welcome() {
    let order = || down(Down::Order(Order { id: "o-1".to_owned(), kind: "identify".to_owned(), ..Order::default() }));
    let revoke = || down(Down::Revoke(Revoke { id: "o-1".to_owned() }));
    let (mut session, mut spool) = begun(0);
    assert!(session.handle_message(order()).is_err() && session.handle_message(revoke()).is_err());
    session.handle_message(welcome(0, 0, 1000)).unwrap();
    settle(&mut session, &mut spool);
    session.handle_message(order()).unwrap();
    session.handle_message(revoke()).unwrap();
    assert!(matches!(session.poll_action(), Some(Action::Order(order)) if order.id == "o-1"));
    assert_eq!(session.poll_action(), Some(Action::Revoke("o-1".to_owned())));
    assert_eq!(session.poll_action(), None);
    for id in [String::new(), "x".repeat(129)] {
        let order = Order { id, ..Order::default() };
        assert!(session.handle_message(down(Down::Order(order))).is_err(), "an id that cannot be remembered");
    }
}

#[test]
fn a_go_away_ends_the_stream_with_the_collectors_words() {
    let (mut session, _) = begun(0);
    let message = GoAway { reason: go_away::Reason::Fenced.into(), detail: "newer".to_owned() };
    let error = session.handle_message(down(Down::GoAway(message))).unwrap_err();
    assert_eq!(error.to_string(), "the collector ended the stream: another stream of this agent took over: newer");
}

#[test]
fn a_message_of_a_later_version_is_passed_over() {
    let (mut session, _) = begun(0);
    assert_eq!(session.handle_message(StreamResponse { message: None }), Ok(()));
}

/// What the collector has of one number.
#[derive(Debug, Clone, PartialEq)]
enum Stored {
    Body(Vec<u8>),
    Gone,
}

/// A collector that knows the rules, and a wire on which messages take their time.
struct Pair {
    spool: FakeSpool,
    session: Option<Session>,
    stored: [Vec<Stored>; 2],
    backup: [Vec<Stored>; 2],
    /// The most that was ever stored, by lane.
    most: [i64; 2],
    up: VecDeque<Up>,
    down: VecDeque<StreamResponse>,
    window: i64,
    /// Everything ever appended, by lane.
    truth: [Vec<Vec<u8>>; 2],
}

#[derive(Debug, Clone)]
enum Fault {
    Append { event: bool, bytes: usize },
    Evict,
    Deliver { up: u8, down: u8 },
    Cut,
    Backup,
    Restore,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        5 => (any::<bool>(), 0usize..600).prop_map(|(event, bytes)| Fault::Append { event, bytes }),
        1 => Just(Fault::Evict),
        6 => (0u8..4, 0u8..4).prop_map(|(up, down)| Fault::Deliver { up, down }),
        1 => Just(Fault::Cut),
        1 => Just(Fault::Backup),
        1 => Just(Fault::Restore),
    ]
}

impl Pair {
    fn new(window: i64) -> Self {
        Self {
            spool: FakeSpool::default(),
            session: None,
            stored: Default::default(),
            backup: Default::default(),
            most: [0; 2],
            up: VecDeque::new(),
            down: VecDeque::new(),
            window,
            truth: Default::default(),
        }
    }

    fn run(&mut self) {
        let spool = &mut self.spool;
        let session = self.session.get_or_insert_with(|| Session::new(&announce(), spool.held()));
        session.handle_held(spool.held());
        self.up.extend(settle(session, spool));
        for lane in Lane::ALL {
            assert!(spool.released[slot(lane)] <= self.most[slot(lane)], "released before it was stored");
        }
    }

    fn cut(&mut self) {
        self.session = None;
        self.up.clear();
        self.down.clear();
    }

    fn apply(&mut self, fault: &Fault) {
        match fault {
            Fault::Append { event, bytes } => {
                let lane = if *event { Lane::Event } else { Lane::Telemetry };
                let body = vec![self.truth[slot(lane)].len() as u8; *bytes];
                self.truth[slot(lane)].push(body.clone());
                self.spool.append(lane, body);
            }
            Fault::Evict => self.spool.evict(Lane::Telemetry),
            Fault::Deliver { up, down } => {
                (0..*up).for_each(|_| self.deliver_up());
                (0..*down).for_each(|_| self.deliver_down());
            }
            Fault::Cut => self.cut(),
            Fault::Backup => self.backup = self.stored.clone(),
            Fault::Restore => {
                self.stored = self.backup.clone();
                self.cut();
            }
        }
        self.run();
    }

    fn deliver_up(&mut self) {
        match self.up.pop_front() {
            Some(Up::Hello(_)) => {
                let [event, telemetry] = [self.stored[0].len() as i64, self.stored[1].len() as i64];
                self.down.push_back(welcome(event, telemetry, self.window));
            }
            Some(Up::Batch(batch)) => self.store(batch),
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }

    fn store(&mut self, batch: Batch) {
        let lane = Lane::try_from(batch.lane()).unwrap();
        let stored = &mut self.stored[slot(lane)];
        let begins = batch.skipped.as_ref().map_or(batch.first_seq, |s| s.first);
        assert_eq!(begins, stored.len() as i64 + 1, "neither a hole nor a repetition");
        if let Some(s) = &batch.skipped {
            assert_eq!(s.last + 1, batch.first_seq, "a skip must reach to the bodies exactly");
            (s.first..=s.last).for_each(|_| stored.push(Stored::Gone));
        }
        stored.extend(batch.bodies.into_iter().map(Stored::Body));
        let committed = stored.len() as i64;
        self.most[slot(lane)] = committed.max(self.most[slot(lane)]);
        self.down.push_back(ack(lane, committed));
    }

    fn deliver_down(&mut self) {
        if let (Some(session), Some(message)) = (&mut self.session, self.down.pop_front()) {
            session.handle_message(message).unwrap();
        }
    }
}

proptest! {
    /// Whatever is cut, evicted, delayed or restored: the collector never sees a hole or a repetition, what it has is what was appended or is named as gone because it
    /// was evicted, nothing is released that it did not have, and once the wire is good everything arrives.
    #[test]
    fn through_any_faults_everything_arrives_once_or_is_named_as_gone(
        window in 1i64..3000,
        faults in proptest::collection::vec(fault(), 0..120),
    ) {
        let mut pair = Pair::new(window);
        for fault in &faults {
            pair.apply(fault);
        }
        for _ in 0..2000 {
            pair.apply(&Fault::Deliver { up: 1, down: 1 });
        }
        for lane in Lane::ALL {
            let truth = &pair.truth[slot(lane)];
            prop_assert_eq!(pair.stored[slot(lane)].len(), truth.len(), "not everything arrived");
            for (i, stored) in pair.stored[slot(lane)].iter().enumerate() {
                match stored {
                    Stored::Body(body) => prop_assert_eq!(body, &truth[i]),
                    Stored::Gone => prop_assert!(pair.spool.lanes[slot(lane)][i].is_none()),
                }
            }
            prop_assert_eq!(pair.spool.released[slot(lane)], truth.len() as i64);
        }
    }
}
