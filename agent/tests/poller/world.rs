//! BMCs that do as they are told, and a poller that polls them.

use outband_agent::clock::SystemClock;
use outband_agent::config::{Cadence, Limits, TargetConfig};
use outband_agent::poll::bmc::{Connect, Session};
use outband_agent::poll::fresh::{Whole, Wish};
use outband_agent::poll::guard::Guard;
use outband_agent::poll::pins::Pins;
use outband_agent::poll::run::{Plan, Poller, Tally};
use outband_agent::spooler::{Options, Spooler};
use outband_bmc::{Address, Bookmark, ConnectError, Credentials, Fingerprint, Rung, Secret, Target, Trust};
use outband_bmc::{PollError, Polled, Standing};
use outband_proto::convert::decode_set;
use outband_schemas::{Cause, Gap, Lane, Observation, ObservationSet, Section, Source, TargetId, Timestamp};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// How a BMC behaves, by host name; tests change it while the poller runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Well,
    Hangs,
    Unreachable,
    Refuses,
    /// Every session dies after one poll.
    Forgets,
    Certificate(u8),
    /// Its session stands; what comes with the next handshake is another certificate.
    Replaced(u8),
    /// Every section but sensors takes until its time is over, and tells what it read by then.
    Slow,
    /// It answers that it is busy, and for how many milliseconds.
    Busy(u64),
    /// The password was changed at the BMC while a session was open.
    Forgot,
}

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) moods: HashMap<String, Mood>,
    pub(crate) connects: HashMap<String, usize>,
    pub(crate) open: HashMap<String, i64>,
    pub(crate) bookmarks: Vec<Option<String>>,
    /// Polls in flight, by host.
    pub(crate) polling: HashMap<String, Vec<Section>>,
    /// The most there ever were at one host.
    pub(crate) at_once: usize,
    /// Handles on sessions, ever.
    pub(crate) polls: HashMap<String, usize>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Bmcs(pub(crate) Arc<Mutex<World>>);

impl Bmcs {
    pub(crate) fn set(&self, host: &str, mood: Mood) {
        self.0.lock().unwrap().moods.insert(host.to_owned(), mood);
    }

    pub(crate) fn connects(&self, host: &str) -> usize {
        self.0.lock().unwrap().connects.get(host).copied().unwrap_or(0)
    }

    pub(crate) fn open(&self) -> i64 {
        self.0.lock().unwrap().open.values().sum()
    }

    pub(crate) fn polls(&self, host: &str) -> usize {
        self.0.lock().unwrap().polls.get(host).copied().unwrap_or(0)
    }

    pub(crate) fn at_once(&self) -> usize {
        self.0.lock().unwrap().at_once
    }

    pub(crate) fn mood(&self, host: &str) -> Mood {
        self.0.lock().unwrap().moods.get(host).copied().unwrap_or(Mood::Well)
    }
}

#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) bmcs: Bmcs,
    pub(crate) host: String,
    pub(crate) polls: usize,
    pub(crate) certificate: Option<Fingerprint>,
    /// Redfish: others may use it at the same time.
    pub(crate) shareable: bool,
    pub(crate) refused: bool,
}

/// A poll in flight, which ends however it ends.
pub(crate) struct InFlight<'a>(&'a Bmcs, &'a str, Section);

impl<'a> InFlight<'a> {
    pub(crate) fn begin(bmcs: &'a Bmcs, host: &'a str, section: Section) -> Self {
        let mut world = bmcs.0.lock().unwrap();
        *world.polls.entry(host.to_owned()).or_default() += 1;
        let polling = world.polling.entry(host.to_owned()).or_default();
        polling.push(section);
        let (now, slow) = (polling.len(), polling.iter().filter(|s| **s != Section::Sensors).count());
        assert!(slow <= 1, "one slow section at a time: {polling:?}");
        world.at_once = world.at_once.max(now);
        Self(bmcs, host, section)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut world = self.0.0.lock().unwrap();
        let polling = world.polling.get_mut(self.1).unwrap();
        let place = polling.iter().position(|s| *s == self.2).unwrap();
        polling.remove(place);
    }
}

impl Connect for Bmcs {
    type Session = Fake;

    async fn connect(&self, target: &Target) -> Result<Fake, ConnectError> {
        let (host, _) = target.address.host_port().unwrap();
        let host = &host.to_owned();
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
            Mood::Certificate(n) | Mood::Replaced(n) => {
                let offered = Fingerprint([n; 32]);
                certificate = Some(offered);
                if matches!(target.trust, Trust::Pinned(pin) if pin != offered) {
                    let error = fail(Rung::Security, Cause::Certificate);
                    return Err(ConnectError { offered: Some(offered), ..error });
                }
            }
            Mood::Forgot => return Err(fail(Rung::Login, Cause::Denied)),
            Mood::Well | Mood::Hangs | Mood::Forgets | Mood::Slow | Mood::Busy(_) => {}
        }
        *self.0.lock().unwrap().open.entry(host.clone()).or_default() += 1;
        let shareable = matches!(target.address, Address::Redfish { .. });
        Ok(Fake { bmcs: self.clone(), host: host.clone(), polls: 0, certificate, shareable, refused: false })
    }
}

impl Session for Fake {
    async fn poll(
        &mut self,
        section: Section,
        bookmark: Option<&Bookmark>,
        until: tokio::time::Instant,
    ) -> Result<Polled, PollError> {
        self.polls += 1;
        let _in_flight = InFlight::begin(&self.bmcs, &self.host, section);
        let mut polled = Polled::default();
        match self.bmcs.mood(&self.host) {
            Mood::Hangs => pending().await,
            Mood::Unreachable => return Err(PollError { cause: Cause::Timeout, detail: "lost".to_owned() }),
            Mood::Forgets if self.polls > 1 => {
                return Err(PollError { cause: Cause::Denied, detail: "session expired".to_owned() });
            }
            Mood::Forgot => {
                self.refused = true;
                return Err(PollError { cause: Cause::Denied, detail: "HTTP 401".to_owned() });
            }
            Mood::Replaced(_) if section == Section::Sensors => {
                return Err(PollError { cause: Cause::Certificate, detail: "no handshake".to_owned() });
            }
            Mood::Replaced(_) => pending().await,
            Mood::Busy(_) => return Err(PollError { cause: Cause::Busy, detail: "HTTP 503".to_owned() }),
            Mood::Slow if section != Section::Sensors => {
                tokio::time::sleep_until(until).await;
                polled.observations.push(Observation::Gap(Gap {
                    component: None,
                    cause: Cause::Cancelled,
                    detail: "the poll's time was over".to_owned(),
                    observed_at: Timestamp::from_secs(1),
                    source: Source("/redfish/v1/rest".to_owned()),
                    span: None,
                }));
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

    fn share(&self) -> Option<Self> {
        let Fake { bmcs, host, certificate, shareable, .. } = self;
        shareable.then(|| Fake {
            bmcs: bmcs.clone(),
            host: host.clone(),
            polls: self.polls,
            certificate: *certificate,
            shareable: true,
            refused: false,
        })
    }

    fn certificate(&self) -> Option<Fingerprint> {
        self.certificate
    }

    fn standing(&self) -> Standing {
        let mood = self.bmcs.mood(&self.host);
        let changed_certificate = match (mood, self.certificate) {
            (Mood::Replaced(n), Some(first)) if first != Fingerprint([n; 32]) => Some((first, Fingerprint([n; 32]))),
            _ => None,
        };
        let wants_rest = match mood {
            Mood::Busy(millis) => Some(ms(millis)),
            _ => None,
        };
        Standing { changed_certificate, refused_logins: u64::from(self.refused), wants_rest }
    }

    async fn close(self) -> Result<(), PollError> {
        *self.bmcs.0.lock().unwrap().open.entry(self.host.clone()).or_default() -= 1;
        Ok(())
    }
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn id(name: &str) -> TargetId {
    TargetId::new(name).unwrap()
}

pub(crate) fn target(name: &str, url: &str) -> TargetConfig {
    let target = Target {
        address: url.parse().unwrap(),
        credentials: Credentials::new("u", Secret::new("p")),
        cipher: None,
        trust: Trust::FirstUse,
        request_deadline: ms(500),
    };
    let cadence = Cadence { sensors: ms(20), drives: ms(60), log: ms(20), inventory: ms(200) };
    TargetConfig { id: id(name), target, cadence, push: Default::default() }
}

pub(crate) fn plan(targets: &[TargetConfig]) -> Plan {
    let targets: BTreeMap<TargetId, TargetConfig> = targets.iter().map(|t| (t.id.clone(), t.clone())).collect();
    Plan { targets: Arc::new(targets), limits: Limits { at_once: 8, poll_deadline: ms(300) } }
}

pub(crate) struct Running {
    pub(crate) bmcs: Bmcs,
    pub(crate) spooler: Spooler,
    pub(crate) plan: watch::Sender<Plan>,
    pub(crate) cancel: CancellationToken,
    pub(crate) task: tokio::task::JoinHandle<()>,
    pub(crate) tally: watch::Receiver<Tally>,
    pub(crate) wishes: mpsc::UnboundedSender<Wish>,
    pub(crate) dir: tempfile::TempDir,
}

impl Running {
    pub(crate) fn start(bmcs: Bmcs, targets: &[TargetConfig]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), bmcs, targets)
    }

    pub(crate) fn start_in(dir: tempfile::TempDir, bmcs: Bmcs, targets: &[TargetConfig]) -> Self {
        let options = Options {
            path: dir.path().join("spool.db"),
            spool: outband_spool::Options::default(),
            gather: Duration::ZERO,
        };
        let (spooler, ..) = Spooler::start(options, SystemClock, || 7).unwrap();
        let rng = SmallRng::seed_from_u64(1);
        let (pins, guard) = (Pins::of(dir.path()), Guard::of(dir.path()));
        let (wishes, inbox) = mpsc::unbounded_channel();
        let poller = Poller::with(bmcs.clone(), spooler.clone(), pins, guard, SystemClock, rng).obliging(inbox);
        let tally = poller.tally();
        let (plan, plans) = watch::channel(plan(targets));
        let cancel = CancellationToken::new();
        let task = tokio::spawn(poller.run(plans, cancel.clone()));
        Self { bmcs, spooler, plan, cancel, task, tally, wishes, dir }
    }

    pub(crate) async fn sets(&self, lane: Lane) -> Vec<ObservationSet> {
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

    /// Has a BMC read whole, as somebody who asks for that has.
    pub(crate) async fn read_whole(&self, target: &str, within: Duration) -> Whole {
        let (reply, answer) = oneshot::channel();
        self.wishes.send(Wish { target: id(target), until: tokio::time::Instant::now() + within, reply }).unwrap();
        tokio::time::timeout(Duration::from_secs(20), answer).await.expect("no answer in 20 s").unwrap()
    }

    /// Waits until the sets of a lane are as wanted.
    pub(crate) async fn until(
        &self,
        lane: Lane,
        what: &str,
        wanted: impl Fn(&[ObservationSet]) -> bool,
    ) -> Vec<ObservationSet> {
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

    pub(crate) async fn stop(self) -> Bmcs {
        self.end().await.0
    }

    /// Stops it, and leaves its data for the next start.
    pub(crate) async fn end(self) -> (Bmcs, tempfile::TempDir) {
        self.cancel.cancel();
        self.task.await.unwrap();
        (self.bmcs, self.dir)
    }
}

/// Polls that were read. A busy machine may add that polls were left out; that is no failure of a BMC.
pub(crate) fn count(sets: &[ObservationSet], target: &str, section: Section) -> usize {
    sets.iter().filter(|s| s.target.as_str() == target && s.section == section && gap(s).is_none()).count()
}

/// The gap that says that a poll failed.
pub(crate) fn gap(set: &ObservationSet) -> Option<&outband_schemas::Gap> {
    match set.observations.as_slice() {
        [Observation::Gap(gap)] if gap.span.is_none() => Some(gap),
        _ => None,
    }
}
