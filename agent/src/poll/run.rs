//! The poller: makes the polls that [`super::schedule`] says are due, each in a task of its own, and keeps sessions between them.

use super::bmc::{Connect, Network};
use super::one::{Finished, Task, Tools, close};
use super::pins::Pins;
use super::schedule::{Job, Outcome, Schedule};
use crate::config::{Limits, TargetConfig};
use crate::spooler::Spooler;
use outband_schemas::{Cause, Clock, Section, TargetId, Timestamp};
use rand::Rng;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// The loop turns at least this often, and says so in [`Tally::beat`].
const BEAT: Duration = Duration::from_secs(5);
/// How long polls and sessions may take to end when the poller stops.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What is to be polled; a reload brings another.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The BMCs.
    pub targets: Arc<BTreeMap<TargetId, TargetConfig>>,
    /// Limits.
    pub limits: Limits,
}

/// How polling goes, for status lines and the watchdog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Targets in the plan.
    pub targets: usize,
    /// Targets that are silent.
    pub silent: usize,
    /// Polls that ended since the start.
    pub polls: u64,
    /// Turns of the loop: while this grows, the poller lives.
    pub beat: u64,
}

/// A target and what is known of it.
struct Live<S> {
    config: TargetConfig,
    session: Option<S>,
    silent: Option<Cause>,
    last_read: HashMap<Section, Timestamp>,
    in_flight: bool,
    cancel: CancellationToken,
    /// What a reload made of it while a poll was in flight; the inner `None`: it is no longer polled.
    after: Option<Option<TargetConfig>>,
}

/// Polls BMCs. `C` opens sessions, `K` tells the time, `R` is a seeded source for jitter.
pub struct Poller<C: Connect, K, R> {
    tools: Tools<C, K>,
    schedule: Schedule<R>,
    live: BTreeMap<TargetId, Live<C::Session>>,
    running: JoinSet<Finished<C::Session>>,
    tasks: HashMap<Id, TargetId>,
    closing: JoinSet<()>,
    tally: watch::Sender<Tally>,
    silent: usize,
}

impl<K: Clock + Clone + Send + Sync + 'static, R: Rng> Poller<Network, K, R> {
    /// A poller of real BMCs.
    pub fn new(spooler: Spooler, pins: Pins, clock: K, rng: R) -> Self {
        Self::with(Network, spooler, pins, clock, rng)
    }
}

impl<C: Connect, K: Clock + Clone + Send + Sync + 'static, R: Rng> Poller<C, K, R> {
    /// A poller of whatever `connect` opens sessions to.
    pub fn with(connect: C, spooler: Spooler, pins: Pins, clock: K, rng: R) -> Self {
        let tools = Tools { connect, clock, spooler, pins, poll_deadline: Duration::from_secs(180) };
        Self {
            tools,
            schedule: Schedule::new(1, rng),
            live: BTreeMap::new(),
            running: JoinSet::new(),
            tasks: HashMap::new(),
            closing: JoinSet::new(),
            tally: watch::Sender::default(),
            silent: 0,
        }
    }

    /// How polling goes, told again after every turn.
    pub fn tally(&self) -> watch::Receiver<Tally> {
        self.tally.subscribe()
    }

    /// Polls until cancelled, then lets polls in flight go and ends the sessions.
    pub async fn run(mut self, mut plan: watch::Receiver<Plan>, cancel: CancellationToken) {
        let first = plan.borrow_and_update().clone();
        self.apply(&first);
        let mut plans = true;
        loop {
            let now = Instant::now();
            while let Some(job) = self.schedule.poll_due(now) {
                self.start(job);
            }
            let beat = now + BEAT;
            let next = self.schedule.poll_timeout().map_or(beat, |at| at.min(beat));
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                changed = plan.changed(), if plans => match changed {
                    Ok(()) => {
                        let new = plan.borrow_and_update().clone();
                        self.apply(&new);
                    }
                    Err(_) => plans = false,
                },
                Some(ended) = self.running.join_next_with_id() => self.ended(ended),
                Some(_) = self.closing.join_next() => {}
                () = sleep_until(next) => {}
            }
            self.tell();
        }
        self.stop().await;
    }

    fn start(&mut self, job: Job) {
        let Some(live) = self.live.get_mut(&job.target) else {
            self.schedule.remove(&job.target);
            return;
        };
        live.in_flight = true;
        let task = Task {
            last_read: live.last_read.get(&job.section).copied(),
            config: live.config.clone(),
            session: live.session.take(),
            silent: live.silent,
            cancel: live.cancel.clone(),
            job,
        };
        let target = task.job.target.clone();
        let id = self.running.spawn(self.tools.clone().run(task)).id();
        self.tasks.insert(id, target);
    }

    fn ended(&mut self, ended: Result<(Id, Finished<C::Session>), JoinError>) {
        let (id, finished) = match ended {
            Ok((id, finished)) => (id, Some(finished)),
            Err(error) => {
                tracing::error!(%error, "a poll ended in a defect of the agent; what it saw is lost");
                (error.id(), None)
            }
        };
        let Some(target) = self.tasks.remove(&id) else { return };
        self.tally.send_modify(|t| t.polls += 1);
        let Some(live) = self.live.get_mut(&target) else { return };
        live.in_flight = false;
        let Some(finished) = finished else {
            // Which section it was is not known any more; all of them may go on.
            let config = live.config.clone();
            self.replace(config);
            return;
        };
        let Finished { job, session, outcome, silent, read_at, cancelled } = finished;
        live.session = session;
        self.silent = self.silent + usize::from(silent.is_some()) - usize::from(live.silent.is_some());
        live.silent = silent;
        if let Some(at) = read_at {
            live.last_read.insert(job.section, at);
        }
        let outcome = if cancelled { Outcome::SectionFailed } else { outcome };
        self.schedule.done(&target, job.section, outcome, Instant::now());
        match live.after.take() {
            None => {}
            Some(None) => self.drop_target(&target),
            Some(Some(config)) => self.replace(config),
        }
    }

    /// Brings the targets in line with a plan; those that did not change are not disturbed.
    fn apply(&mut self, plan: &Plan) {
        self.tools.poll_deadline = plan.limits.poll_deadline;
        self.schedule.set_at_once(plan.limits.at_once);
        let gone: Vec<TargetId> = self.live.keys().filter(|id| !plan.targets.contains_key(*id)).cloned().collect();
        for id in gone {
            match self.live.get_mut(&id) {
                Some(live) if live.in_flight => {
                    live.after = Some(None);
                    live.cancel.cancel();
                }
                _ => self.drop_target(&id),
            }
        }
        for (id, config) in plan.targets.iter() {
            match self.live.get_mut(id) {
                None => self.replace(config.clone()),
                Some(live) if live.after.is_none() && live.config.same_bmc(config) => {
                    if live.config.cadence != config.cadence {
                        self.schedule.set(id, config.cadence, Instant::now());
                    }
                    live.config = config.clone();
                }
                Some(live) if live.in_flight => {
                    live.after = Some(Some(config.clone()));
                    live.cancel.cancel();
                }
                Some(_) => self.replace(config.clone()),
            }
        }
        self.tell();
    }

    fn replace(&mut self, config: TargetConfig) {
        self.drop_target(&config.id.clone());
        self.schedule.set(&config.id, config.cadence, Instant::now());
        let live = Live {
            session: None,
            silent: None,
            last_read: HashMap::new(),
            in_flight: false,
            cancel: CancellationToken::new(),
            after: None,
            config,
        };
        self.live.insert(live.config.id.clone(), live);
    }

    fn drop_target(&mut self, id: &TargetId) {
        self.schedule.remove(id);
        let Some(live) = self.live.remove(id) else { return };
        self.silent -= usize::from(live.silent.is_some());
        if let Some(session) = live.session {
            self.close_later(session, id);
        }
    }

    fn close_later(&mut self, session: C::Session, id: &TargetId) {
        let id = id.clone();
        self.closing.spawn(async move { close(session, id.as_str()).await });
    }

    async fn stop(mut self) {
        self.live.values().for_each(|live| live.cancel.cancel());
        let ended = timeout(STOP_WITHIN, async {
            while let Some(ended) = self.running.join_next_with_id().await {
                self.ended(ended);
            }
            for id in self.live.keys().cloned().collect::<Vec<_>>() {
                self.drop_target(&id);
            }
            while self.closing.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            tracing::warn!("some BMC sessions could not be ended in time; the BMCs end them by themselves");
        }
    }

    fn tell(&self) {
        self.tally.send_modify(|t| {
            t.targets = self.live.len();
            t.silent = self.silent;
            t.beat += 1;
        });
    }
}
