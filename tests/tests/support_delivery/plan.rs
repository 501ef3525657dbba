//! What goes wrong, and when: all of it from one number.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fmt;

/// Agents of a run.
pub(crate) const AGENTS: usize = 2;
/// How long faults go on, in milliseconds of simulated time.
const ACTIVE_MS: u64 = 240_000;

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An agent's way is blocked for so many milliseconds; what is on it waits.
    Partition(usize, u64),
    /// An agent's lines carry nothing any more, and nobody is told.
    HalfOpen(usize),
    /// An agent's lines are reset in the middle of a message.
    Reset(usize),
    /// An agent's way takes up to so many milliseconds a piece.
    Slow(usize, u64),
    /// An agent says Hello again while its older stream may still stand.
    HelloAgain(usize),
    /// An agent is killed now.
    KillAgent(usize),
    /// An agent is killed at the so-manieth write to its disk.
    KillAgentAtWrite(usize, u64),
    /// An agent's power fails at the so-manieth write to its disk.
    PowerAgent(usize, u64),
    /// The collector is killed now.
    KillCollector,
    /// The collector is killed at the so-manieth write to its disk.
    KillCollectorAtWrite(u64),
    /// The collector's power fails at the so-manieth write to its disk.
    PowerCollector(u64),
    /// The collector is asked to stop, and started again.
    StopCollector,
    /// A backup of the store is made.
    Backup,
    /// The collector is put back to the backup.
    Restore,
    /// An agent's spool file is deleted while it is down.
    SpoolLost(usize),
    /// A copy of an agent's spool file is made.
    SpoolCopied(usize),
    /// An agent's spool is put back to the copy; it cannot reach the collector for so many milliseconds.
    SpoolPutBack(usize, u64),
    /// Bytes of an agent's spool file change while it is down.
    SpoolFlipped(usize),
    /// An agent's disk is full for so many milliseconds.
    AgentFull(usize, u64),
    /// The collector's disk is full for so many milliseconds.
    CollectorFull(u64),
    /// An agent's clock jumps by so many milliseconds.
    AgentClock(usize, i64),
    /// The collector's clock jumps by so many milliseconds.
    CollectorClock(i64),
    /// An agent sees so many records at once, some of them larger than a stream's window.
    Burst(usize, u32),
}

impl Fault {
    /// Its name, for counting.
    pub(crate) fn name(&self) -> String {
        let text = format!("{self:?}");
        text.split('(').next().unwrap_or(&text).to_owned()
    }
}

/// The whole of a run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Where all chance comes from.
    pub(crate) seed: u64,
    /// Faults by the millisecond at which they come.
    pub(crate) faults: Vec<(u64, Fault)>,
    /// How much a spool may hold, in bytes.
    pub(crate) quota_bytes: u64,
    /// How long what was released is kept, in milliseconds.
    pub(crate) keep_released_ms: i64,
    /// How long a stream stands, about, in milliseconds.
    pub(crate) age_ms: u64,
}

const DAY_MS: i64 = 86_400_000;

impl Plan {
    /// The plan of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let evicts = rng.random_bool(0.2);
        let keep_released_ms = if rng.random_bool(0.2) { 0 } else { DAY_MS };
        let quota_bytes = if evicts { 400 << 10 } else { 256 << 20 };
        let mut faults: Vec<(u64, Fault)> = Vec::new();
        for _ in 0..rng.random_range(10..18) {
            faults.push((rng.random_range(0..ACTIVE_MS), usual(&mut rng)));
        }
        let hurt = |rng: &mut StdRng| rng.random_bool(0.2);
        if hurt(&mut rng) {
            let at = rng.random_range(0..ACTIVE_MS / 2);
            faults.push((at, Fault::Backup));
            faults.push((rng.random_range(at..ACTIVE_MS), Fault::Restore));
        }
        if hurt(&mut rng) {
            let agent = rng.random_range(0..AGENTS);
            let at = rng.random_range(0..ACTIVE_MS / 2);
            let apart = if rng.random_bool(0.5) { 0 } else { rng.random_range(0..90_000) };
            faults.push((at, Fault::SpoolCopied(agent)));
            faults.push((rng.random_range(at..ACTIVE_MS), Fault::SpoolPutBack(agent, apart)));
        }
        if hurt(&mut rng) {
            faults.push((rng.random_range(0..ACTIVE_MS), Fault::SpoolLost(rng.random_range(0..AGENTS))));
        }
        if hurt(&mut rng) {
            faults.push((rng.random_range(0..ACTIVE_MS), Fault::SpoolFlipped(rng.random_range(0..AGENTS))));
        }
        if evicts {
            // Long enough for a small spool to fill.
            let agent = rng.random_range(0..AGENTS);
            faults
                .push((rng.random_range(0..ACTIVE_MS), Fault::Partition(agent, rng.random_range(300_000..1_500_000))));
        }
        faults.sort_by_key(|(at, _)| *at);
        Self { seed, faults, quota_bytes, keep_released_ms, age_ms: age_ms(seed) }
    }

    /// A plan of these faults alone.
    pub(crate) fn only(seed: u64, faults: Vec<(u64, Fault)>) -> Self {
        Self { seed, faults, quota_bytes: 256 << 20, keep_released_ms: DAY_MS, age_ms: 3_600_000 }
    }
}

/// In a quarter of the runs streams end for new ones all the time. Of dice of its own: what else a seed decides stays as it was.
fn age_ms(seed: u64) -> u64 {
    if StdRng::seed_from_u64(!seed).random_bool(0.25) { 20_000 } else { 3_600_000 }
}

/// Any of the faults that must cost nothing at all.
fn usual(rng: &mut StdRng) -> Fault {
    let agent = rng.random_range(0..AGENTS);
    // A transaction is a handful of writes and a sync: small numbers fall into the next ones, large ones into a checkpoint.
    let writes = if rng.random_bool(0.7) { rng.random_range(1..40) } else { rng.random_range(1..3000) };
    let jump = [DAY_MS, -DAY_MS, 365 * DAY_MS, -365 * DAY_MS, 3_600_000][rng.random_range(0..5)];
    match rng.random_range(0..24) {
        0..3 => Fault::Partition(agent, rng.random_range(1..90_000)),
        3..5 => Fault::HalfOpen(agent),
        5..8 => Fault::Reset(agent),
        8 => Fault::Slow(agent, rng.random_range(1..3000)),
        9 => Fault::HelloAgain(agent),
        10 => Fault::KillAgent(agent),
        11 => Fault::KillAgentAtWrite(agent, writes),
        12..14 => Fault::PowerAgent(agent, writes),
        14 => Fault::KillCollector,
        15 => Fault::KillCollectorAtWrite(writes),
        16..18 => Fault::PowerCollector(writes),
        18 => Fault::StopCollector,
        19 => Fault::AgentFull(agent, rng.random_range(1..20_000)),
        20 => Fault::CollectorFull(rng.random_range(1..20_000)),
        21 => Fault::AgentClock(agent, jump),
        22 => Fault::CollectorClock(jump),
        _ => Fault::Burst(agent, rng.random_range(5..60)),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}, quota {} bytes, released kept {} ms",
            self.seed, self.quota_bytes, self.keep_released_ms
        )?;
        self.faults.iter().try_for_each(|(at, fault)| writeln!(f, "  {:>9.3} s  {fault:?}", *at as f64 / 1000.0))
    }
}
