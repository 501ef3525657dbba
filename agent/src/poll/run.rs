//! The poller: makes the polls that [`super::schedule`] says are due, each in a task of its own, and keeps sessions between them.

use super::bmc::{Connect, Network};
use super::door::{Door, Keys};
use super::fresh::{Fresh, Wish};
use super::guard::Guard;
use super::one::{Finished, Task, Tools};
use super::pins::Pins;
use super::schedule::{Job, Outcome, Schedule};
use crate::config::{Limits, TargetConfig};
use crate::push::{Bell, Push};
use crate::spooler::Spooler;
use outband_bmc::Address;
use outband_bmc::ipmi::hub::Hub;
use outband_schemas::{Cause, Clock, Section, TargetId, Timestamp};
use rand::Rng;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// The loop turns at least this often, and says so in [`Tally::beat`].
const BEAT: Duration = Duration::from_secs(5);
/// What is due begins in steps: hundreds a second that begin each for itself would wake their threads each for itself.
const STEP: Duration = Duration::from_millis(50);
/// How soon a poll that put something off is followed by one that goes on.
const GO_ON_AFTER: Duration = Duration::from_secs(20);
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
    config: Arc<TargetConfig>,
    door: Arc<Door<S>>,
    silent: Option<Cause>,
    last_read: HashMap<Section, Timestamp>,
    in_flight: BTreeSet<Section>,
    cancel: CancellationToken,
    /// What a reload made of it while a poll was in flight; the inner `None`: it is no longer polled.
    after: Option<Option<Arc<TargetConfig>>>,
}

/// Polls BMCs. `C` opens sessions, `K` tells the time, `R` is a seeded source for jitter.
pub struct Poller<C: Connect, K, R> {
    tools: Tools<C, K>,
    schedule: Schedule<R>,
    live: BTreeMap<TargetId, Live<C::Session>>,
    running: JoinSet<Finished>,
    tasks: HashMap<Id, (TargetId, Section)>,
    /// Targets whose session was opened and can be shared.
    opened: mpsc::UnboundedReceiver<TargetId>,
    /// What is asked because of what BMCs tell by themselves.
    bells: Option<mpsc::UnboundedReceiver<Bell>>,
    /// BMCs that somebody wants read whole, now.
    wishes: Option<mpsc::UnboundedReceiver<Wish>>,
    fresh: Fresh,
    closing: JoinSet<()>,
    tally: watch::Sender<Tally>,
    silent: usize,
}

impl<K: Clock + Clone + Send + Sync + 'static, R: Rng> Poller<Network, K, R> {
    /// A poller of real BMCs; IPMI goes through `hub`.
    pub fn new(hub: Hub, spooler: Spooler, pins: Pins, guard: Guard, clock: K, rng: R) -> Self {
        Self::with(Network::through(hub), spooler, pins, guard, clock, rng)
    }
}

impl<C: Connect, K: Clock + Clone + Send + Sync + 'static, R: Rng> Poller<C, K, R> {
    /// A poller of whatever `connect` opens sessions to.
    pub fn with(connect: C, spooler: Spooler, pins: Pins, guard: Guard, clock: K, rng: R) -> Self {
        let keys = Keys { connect, pins, guard, deadline: Duration::from_secs(180) };
        let (tell, opened) = mpsc::unbounded_channel();
        let tools = Tools { keys, clock, spooler, opened: tell, push: Push::off() };
        Self {
            tools,
            schedule: Schedule::new(1, rng),
            live: BTreeMap::new(),
            running: JoinSet::new(),
            tasks: HashMap::new(),
            opened,
            bells: None,
            wishes: None,
            fresh: Fresh::default(),
            closing: JoinSet::new(),
            tally: watch::Sender::default(),
            silent: 0,
        }
    }

    /// Listens to what BMCs tell by themselves, too.
    pub fn listening(mut self, push: Push, bells: mpsc::UnboundedReceiver<Bell>) -> Self {
        self.tools.push = push;
        self.bells = Some(bells);
        self
    }

    /// Reads BMCs whole when somebody wants that, too.
    pub fn obliging(mut self, wishes: mpsc::UnboundedReceiver<Wish>) -> Self {
        self.wishes = Some(wishes);
        self
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
            // Whatever else happens is a look at what is due, too.
            let next = self.schedule.poll_timeout().map_or(beat, |at| at.clamp(now + STEP, beat));
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
                Some(target) = self.opened.recv() => self.opened(&target),
                Some(bell) = next_of(&mut self.bells) => self.rung(bell),
                Some(wish) = next_of(&mut self.wishes) => self.wished(wish),
                Some(_) = self.closing.join_next() => {}
                () = sleep_until(next) => {}
            }
            self.fresh.overdue(Instant::now());
            self.tell();
        }
        self.stop().await;
    }

    fn start(&mut self, job: Job) {
        let Some(live) = self.live.get_mut(&job.target) else {
            self.schedule.remove(&job.target);
            return;
        };
        live.in_flight.insert(job.section);
        let task = Task {
            last_read: live.last_read.get(&job.section).copied(),
            config: live.config.clone(),
            door: live.door.clone(),
            cancel: live.cancel.clone(),
            job,
        };
        let what = (task.job.target.clone(), task.job.section);
        let id = self.running.spawn(self.tools.clone().run(task)).id();
        self.tasks.insert(id, what);
    }

    /// The target's session is open and can be shared: whatever else needs it begins here.
    fn opened(&mut self, target: &TargetId) {
        self.schedule.session_shared(target);
    }

    fn rung(&mut self, bell: Bell) {
        let now = Instant::now();
        match bell {
            Bell::Ring(target) => self.schedule.hasten(&target, Section::Log, now),
            Bell::Slow(target, every) => self.schedule.slow_down(&target, Section::Log, every, now),
        }
    }

    /// Has every section polled that is not being polled now. A BMC that has to be left alone is.
    fn wished(&mut self, wish: Wish) {
        let (target, now) = (wish.target.clone(), Instant::now());
        let Some(live) = self.live.get(&target) else { return wish.in_vain("this agent has no such target") };
        if let Some(held) = self.schedule.left_alone_until(&target).filter(|held| *held >= wish.until) {
            let secs = held.saturating_duration_since(now).as_secs();
            let why = live.silent.map_or("it asked for that", Cause::as_str);
            return wish.in_vain(&format!("the BMC is left alone for another {secs} s: {why}"));
        }
        if self.fresh.begin(wish, now) {
            for section in Section::OF_BMC.into_iter().filter(|s| !live.in_flight.contains(s)) {
                self.schedule.hasten(&target, section, now);
            }
        }
    }

    fn ended(&mut self, ended: Result<(Id, Finished), JoinError>) {
        let (id, finished) = match ended {
            Ok((id, finished)) => (id, Some(finished)),
            Err(error) => {
                tracing::error!(%error, "a poll ended in a defect of the agent; what it saw is lost");
                (error.id(), None)
            }
        };
        let Some((target, section)) = self.tasks.remove(&id) else { return };
        self.tally.send_modify(|t| t.polls += 1);
        let Some(live) = self.live.get_mut(&target) else { return };
        live.in_flight.remove(&section);
        match &finished {
            Some(f) => self.fresh.polled(&target, section, f.trouble.as_deref(), f.outcome),
            None => self.fresh.polled(&target, section, Some("a defect of the agent"), Outcome::SectionFailed),
        }
        let mut outcome = Outcome::SectionFailed;
        let rest = finished.as_ref().and_then(|f| f.rest);
        let more = finished.as_ref().is_some_and(|f| f.more);
        if let Some(finished) = finished.filter(|f| !f.cancelled) {
            outcome = finished.outcome;
            self.silent = self.silent + usize::from(finished.silent.is_some()) - usize::from(live.silent.is_some());
            live.silent = finished.silent;
            if let Some(at) = finished.read_at {
                live.last_read.insert(section, at);
            }
            if finished.stopped {
                // A poll beside this one ends too.
                std::mem::take(&mut live.cancel).cancel();
            }
        }
        self.schedule.done(&target, section, outcome, Instant::now());
        if more {
            self.schedule.hasten(&target, section, Instant::now() + GO_ON_AFTER);
        }
        if let Some(wish) = rest {
            self.schedule.rest(&target, wish, Instant::now());
        }
        if !live.in_flight.is_empty() {
            return;
        }
        match live.after.take() {
            None => {}
            Some(None) => self.drop_target(&target),
            Some(Some(config)) => self.replace(config),
        }
    }

    /// Brings the targets in line with a plan; those that did not change are not disturbed.
    fn apply(&mut self, plan: &Plan) {
        self.tools.keys.deadline = plan.limits.poll_deadline;
        self.schedule.set_at_once(plan.limits.at_once);
        let gone: Vec<TargetId> = self.live.keys().filter(|id| !plan.targets.contains_key(*id)).cloned().collect();
        for id in gone {
            match self.live.get_mut(&id) {
                Some(live) if !live.in_flight.is_empty() => {
                    live.after = Some(None);
                    live.cancel.cancel();
                }
                _ => self.drop_target(&id),
            }
        }
        for (id, config) in plan.targets.iter() {
            match self.live.get_mut(id) {
                None => self.replace(Arc::new(config.clone())),
                Some(live) if live.after.is_none() && live.config.same_bmc(config) => {
                    if live.config.cadence != config.cadence {
                        self.schedule.set(id, config.cadence, Instant::now());
                    }
                    live.config = Arc::new(config.clone());
                }
                Some(live) if !live.in_flight.is_empty() => {
                    live.after = Some(Some(Arc::new(config.clone())));
                    live.cancel.cancel();
                }
                Some(_) => self.replace(Arc::new(config.clone())),
            }
        }
        self.tell();
    }

    fn replace(&mut self, config: Arc<TargetConfig>) {
        self.drop_target(&config.id.clone());
        self.schedule.set(&config.id, config.cadence, Instant::now());
        if matches!(config.target.address, Address::Ipmi { .. } | Address::Local { .. }) {
            // Those of IPMI share a socket and a loop: one that waits costs nothing.
            self.schedule.set_light(&config.id);
        }
        let live = Live {
            door: Arc::new(Door::new()),
            silent: None,
            last_read: HashMap::new(),
            in_flight: BTreeSet::new(),
            cancel: CancellationToken::new(),
            after: None,
            config,
        };
        self.live.insert(live.config.id.clone(), live);
    }

    fn drop_target(&mut self, id: &TargetId) {
        self.schedule.remove(id);
        self.fresh.forget(id);
        let Some(live) = self.live.remove(id) else { return };
        self.silent -= usize::from(live.silent.is_some());
        let id = id.clone();
        let left = self.tools.push.leave(&id);
        self.closing.spawn(async move {
            left.await;
            live.door.shut(id.as_str()).await;
        });
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

/// What comes next; never, where nobody listens.
async fn next_of<T>(inbox: &mut Option<mpsc::UnboundedReceiver<T>>) -> Option<T> {
    match inbox {
        Some(inbox) => inbox.recv().await,
        None => std::future::pending().await,
    }
}
