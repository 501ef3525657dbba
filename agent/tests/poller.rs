//! The poller against BMCs made of code: what lands in the spool, and what a slow, dead or changed BMC does to the others.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

use outband_agent::clock::SystemClock;
use outband_agent::config::{Cadence, Limits, TargetConfig};
use outband_agent::poll::bmc::{Connect, Session};
use outband_agent::poll::pins::Pins;
use outband_agent::poll::run::{Plan, Poller};
use outband_agent::spooler::{Options, Spooler};
use outband_bmc::{Address, Bookmark, ConnectError, Credentials, Fingerprint, Rung, Secret, Target, Trust};
use outband_bmc::{PollError, Polled};
use outband_proto::convert::decode_set;
use outband_schemas::{Cause, Lane, Observation, ObservationSet, Section, TargetId};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How a BMC behaves, by host name; tests change it while the poller runs.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Hangs,
    Unreachable,
    Refuses,
    /// Every session dies after one poll.
    Forgets,
    Certificate(u8),
}

#[derive(Debug, Default)]
struct World {
    moods: HashMap<String, Mood>,
    connects: HashMap<String, usize>,
    open: HashMap<String, i64>,
    bookmarks: Vec<Option<String>>,
}

#[derive(Debug, Clone, Default)]
struct Bmcs(Arc<Mutex<World>>);

impl Bmcs {
    fn set(&self, host: &str, mood: Mood) {
        self.0.lock().unwrap().moods.insert(host.to_owned(), mood);
    }

    fn connects(&self, host: &str) -> usize {
        self.0.lock().unwrap().connects.get(host).copied().unwrap_or(0)
    }

    fn open(&self) -> i64 {
        self.0.lock().unwrap().open.values().sum()
    }

    fn mood(&self, host: &str) -> Mood {
        self.0.lock().unwrap().moods.get(host).copied().unwrap_or(Mood::Well)
    }
}

#[derive(Debug)]
struct Fake {
    bmcs: Bmcs,
    host: String,
    polls: usize,
    certificate: Option<Fingerprint>,
}

impl Connect for Bmcs {
    type Session = Fake;

    async fn connect(&self, target: &Target) -> Result<Fake, ConnectError> {
        let (Address::Ipmi { host, .. } | Address::Redfish { host, .. }) = &target.address;
        *self.0.lock().unwrap().connects.entry(host.clone()).or_default() += 1;
        let fail = |rung, cause| ConnectError {
            rung,
            cause,
            detail: "no".to_owned(),
            remedy: "mend it".to_owned(),
            offered: None,
        climbed: Vec::new(),
        };
        let mut certificate = None;
        match self.mood(host) {
            Mood::Unreachable => return Err(fail(Rung::Reach, Cause::Unreachable)),
            Mood::Refuses => return Err(fail(Rung::Login, Cause::Denied)),
            Mood::Certificate(n) => {
                let offered = Fingerprint([n; 32]);
                certificate = Some(offered);
                if matches!(target.trust, Trust::Pinned(pin) if pin != offered) {
                    return Err(fail(Rung::Security, Cause::Certificate));
                }
            }
            Mood::Well | Mood::Hangs | Mood::Forgets => {}
        }
        *self.0.lock().unwrap().open.entry(host.clone()).or_default() += 1;
        Ok(Fake { bmcs: self.clone(), host: host.clone(), polls: 0, certificate })
    }
}

impl Session for Fake {
    async fn poll(&mut self, section: Section, bookmark: Option<&Bookmark>) -> Result<Polled, PollError> {
        self.polls += 1;
        let mut polled = Polled::default();
        match self.bmcs.mood(&self.host) {
            Mood::Hangs => pending().await,
            Mood::Unreachable => return Err(PollError { cause: Cause::Timeout, detail: "lost".to_owned() }),
            Mood::Forgets if self.polls > 1 => {
                return Err(PollError { cause: Cause::Denied, detail: "session expired".to_owned() });
            }
            _ => {}
        }
        if section == Section::Log {
            self.bmcs.0.lock().unwrap().bookmarks.push(bookmark.map(|b| b.0.clone()));
            let n: u64 = bookmark.map_or(0, |b| b.0.parse().unwrap());
            polled.bookmark = Some(Bookmark((n + 1).to_string()));
        }
        Ok(polled)
    }

    fn certificate(&self) -> Option<Fingerprint> {
        self.certificate
    }

    async fn close(self) -> Result<(), PollError> {
        *self.bmcs.0.lock().unwrap().open.entry(self.host.clone()).or_default() -= 1;
        Ok(())
    }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn id(name: &str) -> TargetId {
    TargetId::new(name).unwrap()
}

fn target(name: &str, url: &str) -> TargetConfig {
    let target = Target {
        address: url.parse().unwrap(),
        credentials: Credentials { user: "u".into(), password: Secret::new("p") },
        cipher: None,
        trust: Trust::FirstUse,
        request_deadline: ms(500),
    };
    let cadence = Cadence { sensors: ms(20), drives: ms(60), log: ms(20), inventory: ms(200) };
    TargetConfig { id: id(name), target, cadence }
}

fn plan(targets: &[TargetConfig]) -> Plan {
    let targets: BTreeMap<TargetId, TargetConfig> = targets.iter().map(|t| (t.id.clone(), t.clone())).collect();
    Plan { targets: Arc::new(targets), limits: Limits { at_once: 8, poll_deadline: ms(300) } }
}

struct Running {
    bmcs: Bmcs,
    spooler: Spooler,
    plan: watch::Sender<Plan>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    dir: tempfile::TempDir,
}

impl Running {
    fn start(bmcs: Bmcs, targets: &[TargetConfig]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { path: dir.path().join("spool.db"), spool: outband_spool::Options::default() };
        let (spooler, ..) = Spooler::start(options, SystemClock, || 7).unwrap();
        let rng = SmallRng::seed_from_u64(1);
        let poller = Poller::with(bmcs.clone(), spooler.clone(), Pins::of(dir.path()), SystemClock, rng);
        let (plan, plans) = watch::channel(plan(targets));
        let cancel = CancellationToken::new();
        let task = tokio::spawn(poller.run(plans, cancel.clone()));
        Self { bmcs, spooler, plan, cancel, task, dir }
    }

    async fn sets(&self, lane: Lane) -> Vec<ObservationSet> {
        let spool = self.spooler.held().borrow().id;
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let peek = self.spooler.peek(spool, lane, after, 1 << 20).await.unwrap();
            if peek.bodies.is_empty() {
                return all;
            }
            after += i64::try_from(peek.bodies.len()).unwrap();
            all.extend(peek.bodies.iter().map(|b| decode_set(b).unwrap().set));
        }
    }

    /// Waits until the sets of a lane are as wanted.
    async fn until(&self, lane: Lane, what: &str, wanted: impl Fn(&[ObservationSet]) -> bool) -> Vec<ObservationSet> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let sets = self.sets(lane).await;
            if wanted(&sets) {
                return sets;
            }
            assert!(Instant::now() < deadline, "never: {what}; seen {sets:#?}");
            tokio::time::sleep(ms(5)).await;
        }
    }

    async fn stop(self) -> Bmcs {
        self.cancel.cancel();
        self.task.await.unwrap();
        self.bmcs
    }
}

/// Polls that were read. A busy machine may add that polls were left out; that is no failure of a BMC.
fn count(sets: &[ObservationSet], target: &str, section: Section) -> usize {
    sets.iter().filter(|s| s.target.as_str() == target && s.section == section && gap(s).is_none()).count()
}

/// The gap that says that a poll failed.
fn gap(set: &ObservationSet) -> Option<&outband_schemas::Gap> {
    match set.observations.as_slice() {
        [Observation::Gap(gap)] if gap.span.is_none() => Some(gap),
        _ => None,
    }
}

#[tokio::test]
async fn each_section_lands_in_its_lane_and_the_session_is_kept() {
    let run = Running::start(Bmcs::default(), &[target("a", "ipmi://a")]);
    run.until(Lane::Telemetry, "sensors and drives", |s| {
        count(s, "a", Section::Sensors) > 3 && count(s, "a", Section::Drives) > 1
    })
    .await;
    let events = run.until(Lane::Event, "log", |s| count(s, "a", Section::Log) > 2).await;
    assert_eq!(events[0].section, Section::Inventory, "the server is identified first");
    assert_eq!(run.bmcs.connects("a"), 1);
    assert_eq!(run.stop().await.open(), 0, "every session is ended");
}

#[tokio::test]
async fn the_log_goes_on_where_the_stored_bookmark_ends() {
    let run = Running::start(Bmcs::default(), &[target("a", "ipmi://a")]);
    run.until(Lane::Event, "three logs", |s| count(s, "a", Section::Log) >= 3).await;
    let stored = run.spooler.bookmark("a").await.unwrap().unwrap();
    assert!(String::from_utf8(stored).unwrap().parse::<u64>().unwrap() >= 3);
    let bmcs = run.stop().await;
    let seen = bmcs.0.lock().unwrap().bookmarks.clone();
    assert_eq!(seen[..3], [None, Some("1".to_owned()), Some("2".to_owned())]);
}

#[tokio::test]
async fn a_hanging_bmc_holds_up_nobody_and_is_told_as_a_gap() {
    let bmcs = Bmcs::default();
    bmcs.set("a", Mood::Hangs);
    let run = Running::start(bmcs, &[target("a", "ipmi://a"), target("b", "ipmi://b")]);
    let sets = run
        .until(Lane::Event, "the gap of a", |s| s.iter().any(|s| s.target.as_str() == "a" && gap(s).is_some()))
        .await;
    let gap = sets.iter().filter(|s| s.target.as_str() == "a").find_map(gap).unwrap();
    assert_eq!((gap.cause, gap.component.as_ref().unwrap().to_string()), (Cause::Cancelled, "bmc/a".to_owned()));
    assert!(gap.detail.contains("poll_deadline"));
    run.until(Lane::Telemetry, "b goes on", |s| count(s, "b", Section::Sensors) > 10).await;
    run.stop().await;
}

#[tokio::test]
async fn silence_goes_to_the_event_lane_when_it_begins_and_then_to_the_sections_own() {
    let bmcs = Bmcs::default();
    let mut a = target("a", "ipmi://a");
    // Only sensors are polled again: nothing else may bring the news.
    let hour = Duration::from_secs(3600);
    a.cadence = Cadence { drives: hour, log: hour, inventory: hour, ..a.cadence };
    let run = Running::start(bmcs.clone(), &[a]);
    run.until(Lane::Telemetry, "readings", |s| {
        count(s, "a", Section::Sensors) > 2 && count(s, "a", Section::Drives) > 0
    })
    .await;
    run.until(Lane::Event, "the first log", |s| count(s, "a", Section::Log) > 0).await;
    bmcs.set("a", Mood::Unreachable);
    let silent =
        |s: &&ObservationSet| s.section == Section::Sensors && gap(s).is_some_and(|g| g.cause == Cause::Unreachable);
    let events = run.until(Lane::Event, "news of silence", |s| s.iter().any(|s| silent(&s))).await;
    assert!(gap(events.iter().find(silent).unwrap()).unwrap().detail.contains("mend it"));
    run.until(Lane::Telemetry, "still silent", |s| s.iter().filter(silent).count() > 1).await;
    bmcs.set("a", Mood::Well);
    let before = run.sets(Lane::Telemetry).await.len();
    run.until(Lane::Telemetry, "readings again", |s| count(&s[before..], "a", Section::Sensors) > 2).await;
    assert_eq!(run.sets(Lane::Event).await.iter().filter(silent).count(), 1, "it is news once");
    run.stop().await;
}

#[tokio::test]
async fn an_expired_session_costs_no_poll() {
    let bmcs = Bmcs::default();
    bmcs.set("a", Mood::Forgets);
    let run = Running::start(bmcs, &[target("a", "ipmi://a")]);
    let sets = run.until(Lane::Telemetry, "sensors", |s| count(s, "a", Section::Sensors) > 3).await;
    assert!(sets.iter().all(|s| gap(s).is_none()), "{sets:?}");
    let bmcs = run.stop().await;
    assert!(bmcs.connects("a") > 3);
    assert_eq!(bmcs.open(), 0);
}

#[tokio::test]
async fn a_refused_login_is_not_tried_again_at_once() {
    let bmcs = Bmcs::default();
    bmcs.set("a", Mood::Refuses);
    let run = Running::start(bmcs, &[target("a", "ipmi://a"), target("b", "ipmi://b")]);
    run.until(Lane::Telemetry, "b goes on", |s| count(s, "b", Section::Sensors) > 20).await;
    let bmcs = run.stop().await;
    assert_eq!(bmcs.connects("a"), 1);
}

#[tokio::test]
async fn a_certificate_is_pinned_on_first_use_and_a_changed_one_is_refused_until_accepted() {
    let bmcs = Bmcs::default();
    bmcs.set("a", Mood::Certificate(1));
    let run = Running::start(bmcs.clone(), &[target("a", "https://a")]);
    run.until(Lane::Telemetry, "readings", |s| count(s, "a", Section::Sensors) > 0).await;
    let pins = Pins::of(run.dir.path());
    assert_eq!(pins.get(&id("a")).unwrap(), Some(Fingerprint([1; 32])));
    bmcs.set("a", Mood::Certificate(2));
    // A change of the target ends the session, as a restart of the BMC would.
    let mut changed = target("a", "https://a");
    changed.target.request_deadline = ms(501);
    run.plan.send(plan(&[changed])).unwrap();
    let sets = run
        .until(Lane::Event, "the gap", |s| s.iter().any(|s| gap(s).is_some_and(|g| g.cause == Cause::Certificate)))
        .await;
    let detail = &sets.iter().filter_map(gap).find(|g| g.cause == Cause::Certificate).unwrap().detail;
    assert!(detail.contains(&Fingerprint([1; 32]).to_string()) && detail.contains("accept-cert"), "{detail}");
    assert_eq!(pins.get(&id("a")).unwrap(), Some(Fingerprint([1; 32])), "trust does not move by itself");
    pins.set(&id("a"), Fingerprint([2; 32])).unwrap();
    let before = run.sets(Lane::Telemetry).await.len();
    run.until(Lane::Telemetry, "readings again", |s| count(&s[before..], "a", Section::Sensors) > 0).await;
    run.stop().await;
}

#[tokio::test]
async fn a_reload_adds_and_removes_targets_without_disturbing_the_others() {
    let bmcs = Bmcs::default();
    let (a, b, c) = (target("a", "ipmi://a"), target("b", "ipmi://b"), target("c", "ipmi://c"));
    let run = Running::start(bmcs, &[a.clone(), b]);
    run.until(Lane::Telemetry, "both", |s| count(s, "a", Section::Sensors) > 0 && count(s, "b", Section::Sensors) > 0)
        .await;
    run.plan.send(plan(&[a, c])).unwrap();
    run.until(Lane::Telemetry, "the new one", |s| count(s, "c", Section::Sensors) > 0).await;
    let b_so_far = count(&run.sets(Lane::Telemetry).await, "b", Section::Sensors);
    let sets = run.until(Lane::Telemetry, "the old one goes on", |s| count(s, "c", Section::Sensors) > 10).await;
    assert!(count(&sets, "b", Section::Sensors) <= b_so_far + 1, "at most the one that was in flight");
    assert_eq!(run.bmcs.connects("a"), 1, "its session stayed");
    let bmcs = run.stop().await;
    assert_eq!(bmcs.open(), 0);
}

#[tokio::test]
async fn a_poll_in_flight_does_not_keep_the_poller_from_stopping() {
    let bmcs = Bmcs::default();
    bmcs.set("a", Mood::Hangs);
    let run = Running::start(bmcs.clone(), &[target("a", "ipmi://a")]);
    let deadline = Instant::now() + Duration::from_secs(10);
    while bmcs.connects("a") == 0 {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    let asked = Instant::now();
    let bmcs = run.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(4));
    assert_eq!(bmcs.open(), 0);
}
