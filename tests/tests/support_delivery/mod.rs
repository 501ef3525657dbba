//! Spool, uplink, ingest and store over a network, disks and clocks that fail, in simulated time: everything from one number.
//!
//! Real: the spool, its service, the uplink's session and client, tonic and HTTP/2, the collector's gate, ingest session and service, the store on SQLite.
//! Simulated: the lines ([`net`]), the disks below SQLite ([`disk`]), clocks, and what agents see. TLS is left out: it changes bytes, not what is lost.
//!
//! [`run`] does what a [`Plan`] says, has all faults cease, waits until everything arrived, and asks the [`oracle`].

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test may fail it")]

mod agent;
mod collector;
pub(crate) mod disk;
mod net;
mod oracle;
mod plan;
mod store;

pub(crate) use oracle::Verdict;
pub(crate) use plan::{Fault, Plan};

use agent::{Agent, Lasting};
use collector::{Collector, empty_store};
use disk::{Cut, Disk, Image};
use net::{Flow, Net};
use oracle::Oracle;
use outband_schemas::{AgentId, Clock, Timestamp};
use outband_store::Store;
use plan::AGENTS;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Once the faults cease, everything must have arrived within this: the longest back-off, a line that is found dead, and room.
const PROGRESS_WITHIN: Duration = Duration::from_secs(600);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A deliberate mistake, to see that it is caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// None.
    None,
    /// The collector forgets with each stream how far the one before came.
    NoMark,
    /// The agent releases what it sent, acknowledged or not.
    ReleaseOnSend,
    /// The collector acknowledges first and stores later.
    AckBeforeCommit,
    /// The collector stores the bodies of a batch in another order.
    Shuffled,
    /// The collector does not say which entry it knows at its mark, so that no agent can compare.
    Blind,
    /// `PRAGMA synchronous = OFF` at the spool.
    SpoolWithoutSync,
    /// `PRAGMA synchronous = OFF` at the store.
    StoreWithoutSync,
}

/// A clock that jumps.
#[derive(Debug, Clone)]
pub(crate) struct SimClock {
    begun: Instant,
    ahead_ms: Arc<AtomicI64>,
}

impl SimClock {
    fn new() -> Self {
        Self { begun: Instant::now(), ahead_ms: Arc::default() }
    }

    fn jump(&self, ms: i64) {
        self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(1_750_000_000_000 + passed + self.ahead_ms.load(Ordering::Relaxed))
    }
}

/// What everybody in a run shares.
pub(crate) struct World {
    mutant: Mutant,
    oracle: Arc<Mutex<Oracle>>,
    names: Vec<AgentId>,
    lasting: Vec<Arc<Lasting>>,
    plan: Plan,
}

impl World {
    fn age(&self) -> Duration {
        Duration::from_millis(self.plan.age_ms)
    }

    fn spool_options(&self) -> outband_spool::Options {
        outband_spool::Options {
            quota_bytes: self.plan.quota_bytes,
            keep_released_ms: self.plan.keep_released_ms,
            spare_bytes: 0,
        }
    }
}

/// What comes by itself after a while.
#[derive(Debug, Clone, Copy)]
enum Due {
    Agent(usize),
    Collector,
    Unblock(usize),
    AgentRoom(usize),
    CollectorRoom,
}

/// Whom the run is about: those that are up, and the files of those that are down.
struct Run {
    world: World,
    net: Net,
    root: PathBuf,
    lives: u64,
    rng: StdRng,
    bell: Arc<Notify>,
    agent_clocks: Vec<SimClock>,
    clock: SimClock,
    agents: Vec<Result<Agent, Image>>,
    collector: Result<Collector, Image>,
    due: Vec<(Instant, Due)>,
    backup: Option<Image>,
    copies: Vec<Option<(Image, usize)>>,
}

/// Does what the plan says; what is found in the end. Blocks; the time that passes inside is not real.
pub(crate) fn run(plan: &Plan, mutant: Mutant) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let memory = PathBuf::from("/dev/shm");
    let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let root = tempfile::Builder::new().prefix("outband-delivery").tempdir_in(place).unwrap();
    let verdict = runtime.block_on(async {
        let mut run = Run::begin(plan.clone(), mutant, root.path().to_owned());
        run.all().await
    });
    drop(runtime);
    disk::forget(root.path());
    verdict
}

impl Run {
    fn begin(plan: Plan, mutant: Mutant, root: PathBuf) -> Self {
        let mut oracle = Oracle::default();
        oracle.allowed.evicts = plan.quota_bytes < 1 << 20;
        let world = World {
            mutant,
            oracle: Arc::new(Mutex::new(oracle)),
            names: (0..AGENTS).map(agent::name).collect(),
            lasting: (0..AGENTS).map(|_| Arc::default()).collect(),
            plan,
        };
        let seed = world.plan.seed;
        let mut run = Self {
            net: Net::new(AGENTS, seed ^ 0x6e65_7400),
            root,
            lives: 0,
            rng: StdRng::seed_from_u64(seed ^ 0x7275_6e00),
            bell: Arc::default(),
            agent_clocks: (0..AGENTS).map(|_| SimClock::new()).collect(),
            clock: SimClock::new(),
            agents: (0..AGENTS).map(|_| Err(Image::new())).collect(),
            collector: Err(empty_store().clone()),
            due: Vec::new(),
            backup: None,
            copies: vec![None; AGENTS],
            world,
        };
        run.start_collector();
        (0..AGENTS).for_each(|i| run.start_agent(i));
        run
    }

    async fn all(&mut self) -> Verdict {
        let begun = Instant::now();
        for (at, fault) in self.world.plan.faults.clone() {
            self.until(begun + Duration::from_millis(at)).await;
            self.apply(fault).await;
        }
        while let Some(last) = self.due.iter().map(|(at, _)| *at).max() {
            self.until(last).await;
        }
        self.until(Instant::now() + Duration::from_secs(5)).await;
        self.heal().await;
        let waiting = Instant::now() + PROGRESS_WITHIN;
        let mut late = None;
        while !self.is_drained() {
            if Instant::now() > waiting {
                late = Some(self.who_waits());
                break;
            }
            self.until(Instant::now() + Duration::from_secs(1)).await;
        }
        let Ok(collector) = &self.collector else {
            return Verdict { violations: vec!["no collector in the end".to_owned()], ..Verdict::default() };
        };
        let mut verdict = lock(&self.world.oracle).judge(&collector.store.real, &self.world.names);
        verdict.violations.extend(late);
        verdict
    }

    fn is_drained(&self) -> bool {
        let Ok(collector) = &self.collector else { return false };
        let known = collector.store.real.agents().unwrap();
        self.agents.iter().all(|a| a.as_ref().is_ok_and(|a| a.is_drained(&known)))
    }

    fn who_waits(&self) -> String {
        let each = self.agents.iter().map(|a| match a {
            Ok(a) => format!("{:?}, {:?}", a.spooler.held().borrow().lanes, *a.link.borrow()),
            Err(_) => "down".to_owned(),
        });
        format!("no progress: {}", each.collect::<Vec<_>>().join("; "))
    }

    /// Lets time pass, and does what comes by itself.
    async fn until(&mut self, moment: Instant) {
        loop {
            self.bury().await;
            self.due.sort_by_key(|(at, _)| *at);
            let next = self.due.first().map_or(moment, |(at, _)| (*at).min(moment));
            tokio::select! {
                biased;
                () = self.bell.notified() => continue,
                () = tokio::time::sleep_until(next) => {}
            }
            while self.due.first().is_some_and(|(at, _)| *at <= Instant::now()) {
                let (_, due) = self.due.remove(0);
                self.comes_by_itself(due);
            }
            if Instant::now() >= moment {
                return self.bury().await;
            }
        }
    }

    fn comes_by_itself(&mut self, due: Due) {
        match due {
            Due::Agent(i) => self.start_agent(i),
            Due::Collector => self.start_collector(),
            Due::Unblock(i) => self.net.block(i, false),
            Due::AgentRoom(i) => {
                if let Ok(agent) = &self.agents[i] {
                    agent.disk.set_full(false);
                }
            }
            Due::CollectorRoom => {
                if let Ok(collector) = &self.collector {
                    collector.disk.set_full(false);
                }
            }
        }
    }

    fn later(&mut self, least_ms: u64, most_ms: u64, due: Due) {
        let wait = Duration::from_millis(self.rng.random_range(least_ms..=most_ms));
        self.due.push((Instant::now() + wait, due));
    }

    fn disk(&mut self, name: &str, image: &Image) -> Disk {
        self.lives += 1;
        let seed = self.rng.random();
        Disk::new(&self.root, &format!("{name}-{}", self.lives), image, seed, self.bell.clone())
    }

    fn start_agent(&mut self, i: usize) {
        let Err(image) = &self.agents[i] else { return };
        let image = image.clone();
        let disk = self.disk("agent", &image);
        let seed = self.rng.random();
        match Agent::start(i, disk, &self.net, &self.agent_clocks[i], &self.world, seed) {
            Ok(agent) => self.agents[i] = Ok(agent),
            Err(error) => {
                tracing::debug!(%error, "an agent does not start");
                self.later(1000, 5000, Due::Agent(i));
            }
        }
    }

    fn start_collector(&mut self) {
        let Err(image) = &self.collector else { return };
        let image = image.clone();
        let disk = self.disk("collector", &image);
        match Collector::start(disk, &self.net, &self.clock, &self.world) {
            Ok(collector) => self.collector = Ok(collector),
            Err(error) => {
                tracing::debug!(%error, "the collector does not start");
                self.later(1000, 5000, Due::Collector);
            }
        }
    }

    /// Those whose disk died are taken down, and come again.
    async fn bury(&mut self) {
        for i in 0..AGENTS {
            if self.agents[i].as_ref().is_ok_and(|a| a.disk.is_dead()) {
                self.agent_ends(i, Cut::Power).await;
                self.later(10, 8000, Due::Agent(i));
            }
        }
        if self.collector.as_ref().is_ok_and(|c| c.disk.is_dead()) {
            self.collector_ends(Cut::Power);
            self.later(10, 8000, Due::Collector);
        }
    }

    /// Who loses power says no farewell; of a process that is killed, the system resets the lines.
    fn how_lines_end(&mut self, cut: Cut) -> Flow {
        if cut == Cut::Power && self.rng.random_bool(0.5) { Flow::Gone } else { Flow::Cut }
    }

    async fn agent_ends(&mut self, i: usize, cut: Cut) {
        let flow = self.how_lines_end(cut);
        if let Ok(agent) = &self.agents[i] {
            let image = agent.disk.take(cut);
            self.net.end(i, flow);
            if let Ok(agent) = std::mem::replace(&mut self.agents[i], Err(image)) {
                agent.kill().await;
            }
        }
    }

    fn collector_ends(&mut self, cut: Cut) {
        let flow = self.how_lines_end(cut);
        if let Ok(collector) = &self.collector {
            let image = collector.disk.take(cut);
            self.net.end_all(flow);
            if let Ok(collector) = std::mem::replace(&mut self.collector, Err(image)) {
                collector.kill(&self.net);
            }
        }
    }

    async fn apply(&mut self, fault: Fault) {
        tracing::debug!(?fault, "fault");
        match fault {
            Fault::Partition(i, ms) => {
                self.net.block(i, true);
                self.later(ms, ms, Due::Unblock(i));
            }
            Fault::HalfOpen(i) => self.net.end(i, Flow::Gone),
            Fault::Reset(i) => self.net.end(i, Flow::Cut),
            Fault::Slow(i, ms) => self.net.slow(i, ms),
            Fault::HelloAgain(i) => {
                if let Ok(agent) = &self.agents[i] {
                    agent.hello_again();
                }
            }
            Fault::KillAgent(i) => {
                self.agent_ends(i, Cut::Kill).await;
                self.later(10, 8000, Due::Agent(i));
            }
            Fault::KillAgentAtWrite(i, n) => self.arm_agent(i, n, Cut::Kill),
            Fault::PowerAgent(i, n) => self.arm_agent(i, n, Cut::Power),
            Fault::KillCollector => {
                self.collector_ends(Cut::Kill);
                self.later(10, 8000, Due::Collector);
            }
            Fault::KillCollectorAtWrite(n) => self.arm_collector(n, Cut::Kill),
            Fault::PowerCollector(n) => self.arm_collector(n, Cut::Power),
            Fault::StopCollector => self.stop_collector().await,
            Fault::Backup => self.back_up(),
            Fault::Restore => self.restore(),
            Fault::SpoolLost(i) => {
                self.agent_ends(i, Cut::Kill).await;
                lock(&self.world.oracle).spool_hurt(i);
                self.agents[i] = Err(Image::new());
                self.later(10, 8000, Due::Agent(i));
            }
            Fault::SpoolCopied(i) => {
                let image = match &self.agents[i] {
                    Ok(agent) => agent.disk.copy(),
                    Err(image) => image.clone(),
                };
                self.copies[i] = Some((image, lock(&self.world.oracle).moment()));
            }
            Fault::SpoolPutBack(i, apart_ms) => self.put_back(i, apart_ms).await,
            Fault::SpoolFlipped(i) => self.flip(i).await,
            Fault::AgentFull(i, ms) => {
                if let Ok(agent) = &self.agents[i] {
                    agent.disk.set_full(true);
                    self.later(ms, ms, Due::AgentRoom(i));
                }
            }
            Fault::CollectorFull(ms) => {
                if let Ok(collector) = &self.collector {
                    collector.disk.set_full(true);
                    self.later(ms, ms, Due::CollectorRoom);
                }
            }
            Fault::AgentClock(i, ms) => self.agent_clocks[i].jump(ms),
            Fault::CollectorClock(ms) => self.clock.jump(ms),
            Fault::Burst(i, records) => {
                let seed = self.rng.random();
                if let Ok(agent) = &mut self.agents[i] {
                    agent.burst(records, seed);
                }
            }
        }
    }

    fn arm_agent(&mut self, i: usize, operations: u64, cut: Cut) {
        if let Ok(agent) = &self.agents[i] {
            agent.disk.arm(operations, cut);
        }
    }

    fn arm_collector(&mut self, operations: u64, cut: Cut) {
        if let Ok(collector) = &self.collector {
            collector.disk.arm(operations, cut);
        }
    }

    async fn stop_collector(&mut self) {
        match std::mem::replace(&mut self.collector, Err(Image::new())) {
            Ok(collector) => {
                self.collector = Err(collector.stop(&self.net).await);
                self.later(10, 8000, Due::Collector);
            }
            down => self.collector = down,
        }
    }

    fn back_up(&mut self) {
        let Ok(collector) = &self.collector else { return };
        let to = self.root.join("backup.db");
        if outband_store::sqlite::copy(collector.disk.dir(), &to).is_ok() {
            self.backup = Some(Image::from([("store.db".to_owned(), std::fs::read(&to).unwrap())]));
        }
        std::fs::remove_file(&to).unwrap();
    }

    fn restore(&mut self) {
        if let Some(backup) = self.backup.clone() {
            self.collector_ends(Cut::Kill);
            lock(&self.world.oracle).allowed.restored = true;
            self.collector = Err(backup);
            self.later(10, 8000, Due::Collector);
        }
    }

    async fn put_back(&mut self, i: usize, apart_ms: u64) {
        if let Some((image, moment)) = self.copies[i].clone() {
            self.agent_ends(i, Cut::Kill).await;
            lock(&self.world.oracle).undone_since(i, moment);
            self.agents[i] = Err(image);
            self.net.block(i, true);
            self.later(apart_ms, apart_ms, Due::Unblock(i));
            self.later(0, 100, Due::Agent(i));
        }
    }

    async fn flip(&mut self, i: usize) {
        self.agent_ends(i, Cut::Kill).await;
        {
            // A damaged write-ahead log ends before the damage: commits are undone, as by an older copy.
            let mut oracle = lock(&self.world.oracle);
            oracle.spool_hurt(i);
            oracle.undone_since(i, 0);
        }
        if let Err(image) = &mut self.agents[i] {
            for bytes in image.values_mut().filter(|b| !b.is_empty()) {
                for _ in 0..self.rng.random_range(0..4) {
                    let place = self.rng.random_range(0..bytes.len());
                    bytes[place] ^= 1 << self.rng.random_range(0..8);
                }
            }
        }
        self.later(10, 8000, Due::Agent(i));
    }

    /// All faults cease, and nothing new is seen.
    async fn heal(&mut self) {
        for i in 0..AGENTS {
            self.net.block(i, false);
            self.net.slow(i, 5);
            if let Ok(agent) = &self.agents[i] {
                agent.disk.disarm();
                agent.disk.set_full(false);
            }
        }
        if let Ok(collector) = &self.collector {
            collector.disk.disarm();
            collector.disk.set_full(false);
        }
        self.bury().await;
        self.due.clear();
        (0..AGENTS).for_each(|i| self.start_agent(i));
        self.start_collector();
        self.agents.iter().filter_map(|a| a.as_ref().ok()).for_each(Agent::hush);
    }
}
