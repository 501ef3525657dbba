use super::report::{Report, Verdict};
use super::*;
use crate::config::Config;
use crate::judgement::Terms as Judged;
use outband_proto::ingest::stream_response::Message as Down;
use outband_proto::order::{Answer, AnswerBody, Outcome, Unread};
use outband_schemas::{AgentId, Identity, Lane, SiteId, SpoolId, TargetId};
use outband_store::check::CheckFilter;
use outband_store::{AgentHello, AgentTarget, Applied, IncomingBatch, LaneState, SqliteStore};
use prost::Message;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

/// A collector's store with one server that one agent polls.
struct Stage {
    store: SqliteStore,
    registry: Registry,
    config: HealthCheckConfig,
    terms: Judged,
    sent: Sent,
    _dir: tempfile::TempDir,
}

fn agent() -> AgentId {
    AgentId::new("a1").unwrap()
}

fn server() -> ServerId {
    ServerId::new("srv-1").unwrap()
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&outband_store::sqlite::Options::new(dir.path())).unwrap();
        let target = TargetId::new("bmc1").unwrap();
        let record = ServerRecord {
            id: server(),
            site: SiteId::new("dc1").unwrap(),
            identity: Identity { hostname: Some("web1".into()), ..Identity::default() },
            targets: vec![AgentTarget { agent: agent(), target }],
            first_seen: at(0),
            last_seen: at(0),
            merged_into: None,
            rev: 0,
        };
        store.apply(Applied { servers: vec![record], ..Applied::default() }, at(0)).unwrap();
        let terms = Judged::try_from(&Config::default()).unwrap();
        let config = HealthCheckConfig { every_days: 0, ..HealthCheckConfig::default() };
        Self { store, registry: Registry::default(), config, terms, sent: Sent::default(), _dir: dir }
    }

    fn hello(&self) -> outband_store::Admission {
        let hello = AgentHello {
            agent: agent(),
            site: SiteId::new("dc1").unwrap(),
            version: "1".to_owned(),
            spool_id: SpoolId::from_bits(7),
            lanes: [Lane::Event, Lane::Telemetry].map(|lane| LaneState { lane, oldest: 1, next: 1 }).into(),
            targets: vec![TargetId::new("bmc1").unwrap()],
            sensor_interval: Duration::from_secs(60),
        };
        self.store.hello(&hello, at(0)).unwrap()
    }

    fn look(&mut self, secs: i64) -> Check {
        let by = step::By { config: &self.config, terms: &self.terms, registry: &self.registry };
        step::take(&self.store, &by, &mut self.sent, at(secs)).unwrap();
        self.last()
    }

    fn last(&self) -> Check {
        self.store.health_checks(&CheckFilter::default(), &Page::first(1)).unwrap().rows.remove(0)
    }

    fn ask(&self, secs: i64) -> Check {
        self.store.put_check(asked_for(server(), "ann", None, at(secs))).unwrap()
    }

    fn commit(&self, epoch: outband_store::Epoch, lane: Lane, seq: i64, body: Vec<u8>, secs: i64) {
        let batch = IncomingBatch {
            agent: agent(),
            spool_id: SpoolId::from_bits(7),
            epoch,
            lane,
            first_seq: seq,
            bodies: vec![body],
            skipped: None,
        };
        self.store.commit(batch, at(secs)).unwrap();
    }
}

fn answer(check: &Check, outcome: Outcome, detail: &str, through: i64) -> Vec<u8> {
    let unread = match outcome {
        Outcome::Done => vec![Unread { section: "log".to_owned(), why: "HTTP 500".to_owned() }],
        _ => Vec::new(),
    };
    let answer = Answer {
        id: check.wire_id(),
        outcome: outcome.into(),
        detail: detail.to_owned(),
        telemetry_through: through,
        unread,
        ..Answer::default()
    };
    AnswerBody { target: "host".to_owned(), answer: Some(answer), ..AnswerBody::default() }.encode_to_vec()
}

fn told(check: &Check) -> Report {
    serde_json::from_value(check.report.clone().unwrap()).unwrap()
}

#[test]
fn a_check_is_over_when_what_was_read_has_arrived_and_is_assessed_and_not_before() {
    let mut stage = Stage::new();
    let epoch = stage.hello().epoch;
    let mut connection = stage.registry.connect(&agent(), epoch, at(0));
    let mut down = connection.messages().unwrap();
    stage.ask(10);
    assert_eq!(stage.look(10).state, CheckState::Reading);
    let check = stage.look(11);
    let order = match down.try_recv().unwrap().message {
        Some(Down::Order(order)) => order,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (order.kind.as_str(), order.target.as_str(), order.id.as_str()),
        ("poll", "bmc1", check.wire_id().as_str())
    );
    stage.look(12);
    assert!(down.try_recv().is_err(), "it is asked once a connection");
    stage.commit(epoch, Lane::Event, 1, answer(&check, Outcome::Done, "read: sensors", 1), 13);
    assert_eq!(stage.look(13).state, CheckState::Assessing);
    assert_eq!(stage.look(14).state, CheckState::Assessing, "the readings have not arrived");
    stage.commit(epoch, Lane::Telemetry, 1, b"x".to_vec(), 15);
    stage.look(15);
    assert_eq!(stage.look(16).state, CheckState::Assessing, "they are not assessed");
    let through = outband_store::order::Orders::last_log_row(&stage.store).unwrap();
    stage.store.apply(Applied { through: Some(through), ..Applied::default() }, at(17)).unwrap();
    let over = stage.look(18);
    assert_eq!((over.state, over.ended_at), (CheckState::Done, Some(at(18))));
    let report = told(&over);
    assert!(report.fresh && report.server_name == "web1");
    assert_eq!(report.unread, [("log".to_owned(), "HTTP 500".to_owned())]);
    assert!(stage.store.open_checks().unwrap().is_empty());
}

#[test]
fn a_check_of_which_nothing_is_heard_ends_and_says_why() {
    // Nobody connected.
    let mut stage = Stage::new();
    stage.hello();
    stage.ask(10);
    assert!(stage.look(10).why.contains("not connected"));
    let over = stage.look(71);
    assert!(over.state == CheckState::Unread && over.why.contains("not connected"), "{over:?}");
    assert_eq!(told(&over).verdict, Verdict::Unchecked);
    // Connected, and silent.
    let epoch = stage.hello().epoch;
    let mut connection = stage.registry.connect(&agent(), epoch, at(80));
    let _down = connection.messages().unwrap();
    stage.ask(80);
    stage.look(80);
    assert_eq!(stage.look(80 + 600).state, CheckState::Reading);
    let over = stage.look(80 + 631);
    assert!(over.state == CheckState::Unread && over.why.contains("no answer"), "{over:?}");
}

#[test]
fn an_old_agent_and_a_silent_bmc_are_told_apart() {
    let mut stage = Stage::new();
    let epoch = stage.hello().epoch;
    let mut connection = stage.registry.connect(&agent(), epoch, at(0));
    let _down = connection.messages().unwrap();
    let mut seq = 0;
    let mut ended = |stage: &mut Stage, outcome: Outcome, detail: &str| {
        stage.ask(10);
        stage.look(10);
        let check = stage.last();
        seq += 1;
        stage.commit(epoch, Lane::Event, seq, answer(&check, outcome, detail, 0), 11);
        stage.look(12)
    };
    let old = ended(&mut stage, Outcome::Refused, "this agent knows no order \"poll\"");
    assert!(old.why.contains("update it"), "{old:?}");
    let silent = ended(&mut stage, Outcome::Failed, "timeout");
    assert!(silent.why.contains("the BMC could not be read: timeout"), "{silent:?}");
    assert_eq!((old.state, silent.state), (CheckState::Unread, CheckState::Unread));
}

#[test]
fn the_schedule_checks_each_server_once_a_turn_and_only_those_that_are_meant() {
    let mut stage = Stage::new();
    stage.config = HealthCheckConfig { every_days: 1, ..HealthCheckConfig::default() };
    let plans = |stage: &Stage, now: Timestamp| {
        let by = step::By { config: &stage.config, terms: &stage.terms, registry: &stage.registry };
        plan(&stage.store, &by, now).unwrap();
        stage.store.open_checks().unwrap().len()
    };
    // Long after the day's checks began.
    let evening = Timestamp::from_millis("2027-01-15T20:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond());
    assert_eq!(plans(&stage, evening), 0, "no agent lists its BMC");
    stage.hello();
    assert_eq!(plans(&stage, evening), 1);
    assert_eq!(plans(&stage, evening.plus(Duration::from_secs(60))), 1, "once a turn");
    assert_eq!(plans(&stage, evening.plus(Duration::from_secs(86_400))), 2, "and again the next");
    stage.config.sites = vec!["dc9".to_owned()];
    assert_eq!(plans(&stage, evening.plus(Duration::from_secs(2 * 86_400))), 2);
}
