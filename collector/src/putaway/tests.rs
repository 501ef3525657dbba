use super::*;
use outband_proto::convert::encode_set;
use outband_schemas::{
    ComponentClass, ComponentId, Identity, Lane, ObservationSet, Quality, Section, SensorKind, ServerId, SiteId,
    Source, SpoolId, TargetId, Thresholds, Timestamp, Value,
};
use outband_store::fill::Fill;
use outband_store::order::Orders;
use outband_store::sqlite::Options;
use outband_store::{
    AgentHello, AgentTarget, Applied, Epoch, HistoryFilter, IncomingBatch, LaneState, Page, SeriesFilter, ServerRecord,
    SqliteStore,
};

const T0: i64 = 1_800_000_000;

/// A collector whose assessment does not come to anything.
struct Room {
    dir: tempfile::TempDir,
    store: SqliteStore,
    epoch: Epoch,
    sent: i64,
}

fn agent() -> AgentId {
    AgentId::new("a1").unwrap()
}

fn server(n: i64) -> ServerId {
    ServerId::new(format!("srv-{n}")).unwrap()
}

/// What is read of one target in a minute: the values of two fans.
fn body(target: &str, minute: i64, limit: Option<f64>) -> Vec<u8> {
    let observed_at = Timestamp::from_secs(T0 + 60 * minute);
    let fan = |n: i64| {
        let slot = format!("Fan {n}");
        Observation::Reading(Reading {
            component: ComponentId::new(ComponentClass::Fan, &slot).unwrap(),
            kind: SensorKind::FanSpeed,
            sensor: slot,
            value: Some(Value::Number((1000 * n + minute) as f64)),
            quality: Quality::Good,
            observed_at,
            source: Source(format!("ipmi:{n}")),
            thresholds: limit.map(|l| Thresholds { lower_critical: Some(l), ..Thresholds::default() }),
        })
    };
    let (target, section) = (TargetId::new(target).unwrap(), Section::Sensors);
    encode_set(&ObservationSet { target, section, polled_at: observed_at, observations: vec![fan(1), fan(2)] })
}

impl Room {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
        let lane = |lane| LaneState { lane, oldest: 1, next: 1 };
        let hello = AgentHello {
            agent: agent(),
            site: SiteId::new("dc1").unwrap(),
            spool_id: SpoolId::from_bits(7),
            version: "test".to_owned(),
            targets: Vec::new(),
            sensor_interval: Duration::from_secs(60),
            lanes: Lane::ALL.map(lane).to_vec(),
        };
        let epoch = store.hello(&hello, Timestamp::from_secs(T0)).unwrap().epoch;
        Self { dir, store, epoch, sent: 0 }
    }

    /// The assessment got to know a target.
    fn knows(&self, target: &str, server: ServerId) {
        let at = Timestamp::from_secs(T0);
        let record = ServerRecord {
            id: server,
            site: SiteId::new("dc1").unwrap(),
            identity: Identity::default(),
            targets: vec![AgentTarget { agent: agent(), target: TargetId::new(target).unwrap() }],
            first_seen: at,
            last_seen: at,
            merged_into: None,
            rev: 0,
        };
        self.store.apply(Applied { servers: vec![record], ..Applied::default() }, at).unwrap();
    }

    fn send(&mut self, bodies: Vec<Vec<u8>>) {
        let (first_seq, count) = (self.sent + 1, i64::try_from(bodies.len()).unwrap());
        self.sent += count;
        let batch = IncomingBatch {
            epoch: self.epoch,
            agent: agent(),
            spool_id: SpoolId::from_bits(7),
            lane: Lane::Telemetry,
            first_seq,
            bodies,
            skipped: None,
        };
        self.store.commit(batch, Timestamp::from_secs(T0 + 9)).unwrap();
    }

    /// Puts away until there is no more to be done.
    fn put_away(&self) -> Done {
        let mut hand = None;
        loop {
            match step(&self.store, &mut hand).unwrap() {
                Done::Some => {}
                done => return done,
            }
        }
    }

    fn values(&self, of: &ServerId) -> Vec<(String, i64, Option<f64>)> {
        let series = SeriesFilter { server: Some(of.clone()), ..SeriesFilter::default() };
        let filter = HistoryFilter { series, from: Timestamp::EPOCH, to: Timestamp::from_secs(2 * T0) };
        let rows = self.store.history(&filter, &Page::first(100_000)).unwrap().rows;
        rows.into_iter()
            .map(|p| (p.sensor, (p.observed_at.as_secs() - T0) / 60, p.value.and_then(|v| v.as_number())))
            .collect()
    }
}

/// So many bodies that the assessment is overtaken.
fn many(target: &str) -> Vec<Vec<u8>> {
    (0..BEHIND + 100).map(|minute| body(target, minute, None)).collect()
}

#[test]
fn what_the_assessment_is_far_from_is_history_all_the_same_and_after_a_crash_too() {
    let mut room = Room::new();
    room.knows("bmc1", server(1));
    room.send(many("bmc1"));
    assert_eq!(room.put_away(), Done::Idle);
    let values = room.values(&server(1));
    assert_eq!(values.len() as i64, 2 * (BEHIND + 100));
    assert!(values.contains(&("Fan 2".to_owned(), 77, Some(2077.0))));
    let through = room.store.put_away_through().unwrap();
    assert_eq!(through, room.store.last_log_row().unwrap());
    let Room { dir, store, .. } = room;
    drop(store);
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    assert_eq!((store.put_away_through().unwrap(), store.cursor().unwrap()), (through, 0));
    let room = Room { dir, store, epoch: Epoch(1), sent: 0 };
    assert_eq!(room.values(&server(1)), values);
    let latest = room.store.latest(&SeriesFilter::default(), &Page::first(9)).unwrap().rows;
    let of = |n: f64| Some(Value::Number(1000.0 * n + (BEHIND + 99) as f64));
    assert_eq!(latest.iter().map(|l| l.reading.value.clone()).collect::<Vec<_>>(), [of(1.0), of(2.0)]);
    assert!(latest.iter().all(|l| l.received_at == Timestamp::from_secs(T0 + 9)));
}

#[test]
fn an_assessment_that_is_overtaken_rests_until_history_is_there() {
    let mut room = Room::new();
    room.knows("bmc1", server(1));
    let step = Duration::from_millis(10);
    assert_eq!(rest(&room.store, step).unwrap(), Duration::ZERO);
    room.send(many("bmc1"));
    assert_eq!(rest(&room.store, step).unwrap(), step * RESTS);
    assert_eq!(rest(&room.store, 100 * step).unwrap(), LONGEST_REST, "what is urgent waits for its next step");
    room.put_away();
    assert_eq!(rest(&room.store, step).unwrap(), Duration::ZERO);
}

#[test]
fn an_assessment_that_history_waits_for_does_not_rest() {
    let mut room = Room::new();
    room.knows("bmc1", server(1));
    room.send(vec![body("bmc2", 0, None)]);
    room.send(many("bmc1"));
    assert_eq!(room.put_away(), Done::Waits);
    assert_eq!(rest(&room.store, Duration::from_millis(10)).unwrap(), Duration::ZERO);
}

#[test]
fn the_series_of_many_new_servers_are_written_at_once() {
    let mut room = Room::new();
    let targets: Vec<String> = (0..ROWS).map(|n| format!("bmc{n}")).collect();
    for (n, target) in (0..).zip(&targets) {
        room.knows(target, server(n));
    }
    for minute in 0..5 {
        room.send(targets.iter().map(|target| body(target, minute, None)).collect());
    }
    let commits = || room.store.filling().unwrap().commits;
    let before = commits();
    let mut hand = None;
    assert_eq!(step(&room.store, &mut hand).unwrap(), Done::Some);
    assert_eq!(commits() - before, 2);
    assert_eq!(room.put_away(), Done::Idle);
    for n in [0, 100, ROWS as i64 - 1] {
        let values: Vec<_> = (0..5).map(|minute| ("Fan 2".to_owned(), minute, Some((2000 + minute) as f64))).collect();
        let of_fan: Vec<_> = room.values(&server(n)).into_iter().filter(|v| v.0 == "Fan 2").collect();
        assert_eq!(of_fan, values);
    }
}

#[test]
fn an_assessment_that_keeps_up_is_left_alone() {
    let mut room = Room::new();
    room.knows("bmc1", server(1));
    room.send((0..BEHIND - 1).map(|minute| body("bmc1", minute, None)).collect());
    assert_eq!(room.put_away(), Done::Idle);
    assert_eq!((room.store.put_away_through().unwrap(), room.values(&server(1)).len()), (0, 0));
}

#[test]
fn a_target_that_was_never_assessed_is_waited_for() {
    let mut room = Room::new();
    room.knows("bmc1", server(1));
    room.send(vec![body("bmc1", 0, None), body("bmc2", 0, None)]);
    room.send(many("bmc1"));
    assert_eq!(room.put_away(), Done::Waits);
    assert_eq!(room.values(&server(1)).len(), 2);
    room.knows("bmc2", server(2));
    assert_eq!(room.put_away(), Done::Idle);
    assert_eq!(room.values(&server(2)).len(), 2);
}

#[test]
fn a_target_that_turned_out_to_be_another_server_goes_on_there() {
    let mut room = Room::new();
    room.knows("bmc1", server(1));
    room.send(many("bmc1"));
    let mut hand = None;
    assert_eq!(step(&room.store, &mut hand).unwrap(), Done::Some);
    room.knows("bmc1", server(2));
    while step(&room.store, &mut hand).unwrap() == Done::Some {}
    let (before, after) = (room.values(&server(1)), room.values(&server(2)));
    assert_eq!((before.len(), before.len() + after.len()), (2 * ROWS, usize::try_from(2 * (BEHIND + 100)).unwrap()));
    assert!(after.iter().all(|(_, minute, _)| *minute >= ROWS as i64));
}

#[test]
fn limits_are_those_of_the_newest_reading_also_where_they_go_to_and_fro() {
    let mut room = Room::new();
    room.knows("bmc1", server(1));
    room.send(many("bmc1"));
    room.send(vec![body("bmc1", 9000, Some(500.0)), body("bmc1", 9001, Some(600.0)), body("bmc1", 9002, Some(500.0))]);
    room.put_away();
    let latest = room.store.latest(&SeriesFilter::default(), &Page::first(9)).unwrap().rows;
    let limits: Vec<_> = latest.iter().map(|l| l.reading.thresholds.and_then(|t| t.lower_critical)).collect();
    assert_eq!(limits, [Some(500.0); 2]);
}

#[test]
fn limits_that_come_and_go_within_one_step_are_those_of_the_newest_reading() {
    let mut room = Room::new();
    room.knows("bmc1", server(1));
    room.send(many("bmc1"));
    let mut hand = None;
    while step(&room.store, &mut hand).unwrap() == Done::Some {}
    room.send(vec![body("bmc1", 9000, Some(500.0)), body("bmc1", 9001, None)]);
    while step(&room.store, &mut hand).unwrap() == Done::Some {}
    let latest = room.store.latest(&SeriesFilter::default(), &Page::first(9)).unwrap().rows;
    assert!(latest.iter().all(|l| l.reading.thresholds.is_none()));
}

#[test]
fn a_body_that_cannot_be_understood_holds_up_no_other() {
    let mut room = Room::new();
    room.knows("bmc1", server(1));
    room.send(vec![b"nonsense".to_vec(), Vec::new(), outband_proto::pack::pack(body("bmc1", 5000, None))]);
    room.send(many("bmc1"));
    assert_eq!(room.put_away(), Done::Idle);
    assert_eq!(room.values(&server(1)).len() as i64, 2 * (BEHIND + 101));
}
