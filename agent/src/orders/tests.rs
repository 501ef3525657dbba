use super::*;
use crate::config::{Cadence, OrderRule, PushMode};
use crate::spooler;
use outband_bmc::{Credentials, Secret, Target, Trust};
use outband_schemas::{SpoolId, Timestamp};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Semaphore;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

#[derive(Debug, Clone)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Notes what it is asked to do; each deed takes a permit.
#[derive(Debug, Clone)]
struct Fake {
    acted: Arc<Mutex<Vec<String>>>,
    permits: Arc<Semaphore>,
}

impl Hand for Fake {
    async fn act(&self, order: Given) -> Done {
        self.acted.lock().unwrap().push(format!("{} {}", order.kind, order.target.id));
        self.permits.acquire().await.unwrap().forget();
        Done::said(Outcome::Done, "as it was asked")
    }

    async fn read(&self, target: TargetId, _within: Duration) -> Done {
        self.acted.lock().unwrap().push(format!("read {target}"));
        Done { unread: vec![(Section::Log, "HTTP 500".to_owned())], ..Done::said(Outcome::Done, "read: sensors") }
    }
}

fn plan(allow: &[OrderKind]) -> Plan {
    let target = |id: &str| {
        let target = Target {
            address: "https://bmc".parse().unwrap(),
            credentials: Credentials::new("u", Secret::new("p")),
            cipher: None,
            trust: Trust::FirstUse,
            request_deadline: Duration::from_secs(5),
        };
        let id = TargetId::new(id).unwrap();
        (id.clone(), TargetConfig { id, target, cadence: Cadence::default(), push: PushMode::Off })
    };
    let rule = OrderRule { allow: allow.iter().copied().collect(), targets: vec!["*".to_owned()] };
    Plan {
        agent: AgentId::new("a1").unwrap(),
        orders: Orders { rules: vec![rule] },
        targets: Arc::new([target("bmc1"), target("bmc2")].into()),
    }
}

struct Stage {
    dir: tempfile::TempDir,
    spooler: Spooler,
    fake: Fake,
    ask: mpsc::Sender<Ask>,
    cancel: CancellationToken,
    runs: tokio::task::JoinHandle<()>,
}

fn open(dir: &tempfile::TempDir) -> Spooler {
    let options = spooler::Options {
        path: dir.path().join("spool.db"),
        spool: outband_spool::Options::default(),
        gather: Duration::ZERO,
    };
    Spooler::start(options, Fixed, || 7).unwrap().0
}

impl Stage {
    fn begin(allow: &[OrderKind], permits: usize) -> Self {
        Self::over(tempfile::tempdir().unwrap(), allow, permits)
    }

    fn over(dir: tempfile::TempDir, allow: &[OrderKind], permits: usize) -> Self {
        let spooler = open(&dir);
        let fake = Fake { acted: Arc::default(), permits: Arc::new(Semaphore::new(permits)) };
        let (ask, inbox) = mpsc::channel(16);
        let (_, plan) = watch::channel(plan(allow));
        let cancel = CancellationToken::new();
        let runner = Runner { hand: fake.clone(), spooler: spooler.clone(), clock: Fixed, plan };
        let runs = tokio::spawn(runner.run(inbox, cancel.clone()));
        Self { dir, spooler, fake, ask, cancel, runs }
    }

    async fn order(&self, id: &str, kind: &str, target: &str) {
        self.send(order(id, kind, target)).await;
    }

    async fn send(&self, order: wire::Order) {
        self.ask.send(Ask::Order(Box::new(order))).await.unwrap();
    }

    /// The answers in the event lane, once there are so many.
    async fn answers(&self, count: usize) -> Vec<(String, Outcome, String)> {
        let mut held = self.spooler.held();
        let wait = held.wait_for(|h| h.lanes.event.next > count as i64);
        tokio::time::timeout(Duration::from_secs(10), wait).await.expect("no answer in 10 s").unwrap();
        let peek = self.spooler.peek(SpoolId::from_bits(7), Lane::Event, 0, 1 << 20).await.unwrap();
        let answer = |body: &Vec<u8>| AnswerBody::decode(body.as_slice()).unwrap().answer.unwrap();
        peek.bodies.iter().map(answer).map(|a| (a.id.clone(), a.outcome(), a.detail)).collect()
    }

    async fn acted(&self, count: usize) -> Vec<String> {
        for _ in 0..2000 {
            if self.fake.acted.lock().unwrap().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.fake.acted.lock().unwrap().clone()
    }
}

fn order(id: &str, kind: &str, target: &str) -> wire::Order {
    wire::Order {
        id: id.to_owned(),
        kind: kind.to_owned(),
        target: target.to_owned(),
        expires_at_ms: NOW.as_millis() + 60_000,
        agent: "a1".to_owned(),
        spool_id: SpoolId::from_bits(7).to_string(),
        ..wire::Order::default()
    }
}

#[tokio::test]
async fn an_order_is_carried_out_once_however_often_it_comes_and_answered_once() {
    let stage = Stage::begin(&[OrderKind::Identify], 9);
    stage.order("o-1", "identify", "bmc1").await;
    assert_eq!(stage.answers(1).await, [("o-1".to_owned(), Outcome::Done, "as it was asked".to_owned())]);
    stage.order("o-1", "identify", "bmc1").await;
    assert_eq!(stage.answers(2).await[1], stage.answers(1).await[0], "it says again what became of it");
    stage.order("o-2", "identify", "bmc2").await;
    assert_eq!(stage.answers(3).await.len(), 3);
    assert_eq!(stage.acted(2).await, ["identify bmc1", "identify bmc2"]);
}

#[tokio::test]
async fn what_the_config_does_not_allow_and_what_is_not_for_this_agent_is_refused() {
    let stage = Stage::begin(&[OrderKind::Identify], 9);
    let expired = wire::Order { expires_at_ms: NOW.as_millis(), ..order("o-3", "identify", "bmc1") };
    let others = wire::Order { agent: "a2".to_owned(), ..order("o-4", "identify", "bmc1") };
    stage.order("o-1", "reset_bmc", "bmc1").await;
    stage.order("o-2", "identify", "bmc9").await;
    stage.send(expired).await;
    stage.send(others).await;
    stage.order("o-5", "power_off", "bmc1").await;
    let answers = stage.answers(5).await;
    let words = ["does not allow reset_bmc", "no target", "expired", "for the agent", "knows no order"];
    for ((id, outcome, detail), word) in answers.iter().zip(words) {
        assert!(*outcome == Outcome::Refused && detail.contains(word), "{id}: {detail}");
    }
    assert_eq!(stage.acted(0).await, [""; 0]);
}

#[tokio::test]
async fn an_order_that_was_sent_to_another_spool_is_unknown_and_not_repeated() {
    let stage = Stage::begin(&[OrderKind::Identify], 9);
    let spool_id = SpoolId::from_bits(6).to_string();
    stage.send(wire::Order { spool_id, ..order("o-1", "identify", "bmc1") }).await;
    assert_eq!(stage.answers(1).await[0].1, Outcome::Unknown);
    assert_eq!(stage.acted(0).await, [""; 0]);
}

#[tokio::test]
async fn what_a_kill_cut_off_is_answered_as_unknown_and_never_done_again() {
    let stage = Stage::begin(&[OrderKind::Identify], 0);
    stage.order("o-1", "identify", "bmc1").await;
    assert_eq!(stage.acted(1).await.len(), 1);
    // As a kill does it: at once, and nothing is written any more.
    let Stage { dir, spooler, runs, .. } = stage;
    runs.abort();
    assert!(runs.await.is_err());
    drop(spooler);
    let stage = Stage::over(dir, &[OrderKind::Identify], 9);
    let answers = stage.answers(1).await;
    assert_eq!((answers[0].0.as_str(), answers[0].1), ("o-1", Outcome::Unknown), "{answers:?}");
    stage.order("o-1", "identify", "bmc1").await;
    stage.order("o-2", "identify", "bmc2").await;
    let answers = stage.answers(3).await;
    assert_eq!((answers[1].1, answers[2].0.as_str()), (Outcome::Unknown, "o-2"));
    assert_eq!(stage.acted(1).await, ["identify bmc2"]);
}

#[tokio::test]
async fn one_order_a_bmc_at_a_time_and_what_waits_can_be_revoked() {
    let stage = Stage::begin(&[OrderKind::Identify, OrderKind::Collect], 0);
    stage.order("o-1", "collect", "bmc1").await;
    stage.order("o-2", "identify", "bmc1").await;
    stage.order("o-3", "identify", "bmc2").await;
    assert_eq!(stage.acted(2).await, ["collect bmc1", "identify bmc2"]);
    for id in ["o-1", "o-2", "o-9"] {
        stage.ask.send(Ask::Revoke(id.to_owned())).await.unwrap();
    }
    let revoked = stage.answers(2).await;
    assert_eq!(revoked.iter().map(|(id, ..)| id.as_str()).collect::<Vec<_>>(), ["o-2", "o-9"]);
    assert!(revoked.iter().all(|(_, outcome, _)| *outcome == Outcome::Refused));
    stage.fake.permits.add_permits(9);
    assert_eq!(stage.answers(4).await.len(), 4, "what was begun is answered with what became of it");
    stage.order("o-9", "identify", "bmc1").await;
    stage.order("o-4", "identify", "bmc2").await;
    assert_eq!(stage.answers(6).await[5].0, "o-4");
    assert_eq!(stage.acted(3).await.len(), 3, "revoked before it came");
}

#[tokio::test]
async fn when_the_agent_stops_what_is_being_done_is_still_answered() {
    let stage = Stage::begin(&[OrderKind::Identify], 0);
    stage.order("o-1", "identify", "bmc1").await;
    stage.acted(1).await;
    stage.cancel.cancel();
    stage.fake.permits.add_permits(1);
    assert_eq!(stage.answers(1).await[0].1, Outcome::Done);
}

#[tokio::test]
async fn to_read_a_bmc_now_needs_no_leave_and_is_answered_with_what_could_not_be_read() {
    let stage = Stage::begin(&[], 0);
    stage.order("o-1", "poll", "bmc1").await;
    stage.order("o-2", "poll", "bmc9").await;
    let answers = stage.answers(2).await;
    let of = |id: &str| answers.iter().find(|(name, ..)| name == id).unwrap();
    assert_eq!((of("o-1").1, of("o-2").1), (Outcome::Done, Outcome::Refused));
    assert_eq!(stage.acted(1).await, ["read bmc1"]);
    let peek = stage.spooler.peek(SpoolId::from_bits(7), Lane::Event, 0, 1 << 20).await.unwrap();
    let told: Vec<Answer> =
        peek.bodies.iter().filter_map(|b| AnswerBody::decode(b.as_slice()).unwrap().answer).collect();
    let unread: Vec<&Unread> = told.iter().flat_map(|a| &a.unread).collect();
    assert!(matches!(unread.as_slice(), [u] if u.section == "log" && u.why == "HTTP 500"), "{told:?}");
}
