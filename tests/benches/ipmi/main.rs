//! What polling many BMCs over IPMI costs: one client process, simulated BMCs in another, and beside it a bare loop that moves as many datagrams of the same
//! lengths and does nothing else. Figures and what they mean: `README.md` beside this file.
//!
//! ```text
//! cargo bench -p outband-tests --bench ipmi -- [--bmcs 1,200,1000,10000] [--rounds 3] [--seconds 5] [--suites 3,17] [--every SECONDS] [--no-bare] [--no-peers]
//! cargo bench -p outband-tests --bench ipmi -- --agent [--bmcs 1000,10000] [--every 60] [--minutes 6] [--awake]
//! cargo bench -p outband-tests --bench ipmi -- --sick [--rounds 5] [--seconds 10] [--every 5]
//! ```
//! Each BMC has 102 sensors. Without `--every` each is polled again as soon as it was polled: what is told then is the work of a poll, not the time that it takes at a
//! BMC of the field. Client and bare loop take turns, `--rounds` times; a row is the round in the middle, with the least and the most times bare. CPU time is that of the client alone, user and system. `--agent` runs the agent's program, spool and all, at BMCs that nap for a millisecond, or with `--awake` do not; `--sick` looks at what dead and slow
//! BMCs cost the others.
#![allow(clippy::unwrap_used, reason = "a measurement: it stops where its input is wrong")]
#![allow(clippy::print_stdout, reason = "a measurement tells what it found")]

mod agent;
mod bare;
mod fleet;
mod floor;
mod many;
mod peers;
mod process;
mod sick;

use fleet::{Fleet, Sick};
use many::{Cost, Plan};
use outband_bmc::CipherSuite;
use std::time::Duration;
use tokio::task::LocalSet;

/// The arguments of the command line.
pub(crate) struct Args(Vec<String>);

impl Args {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|a| a == name)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().position(|a| a == name).and_then(|at| self.0.get(at + 1)).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.value(name).map(|v| v.parse().unwrap())
    }

    fn seconds(&self, name: &str) -> Option<Duration> {
        self.value(name).map(|v| Duration::from_secs_f64(v.parse().unwrap()))
    }

    fn list(&self, name: &str, or: &str) -> Vec<usize> {
        self.value(name).unwrap_or(or).split(',').map(|n| n.parse().unwrap()).collect()
    }
}

fn main() {
    let args = Args(std::env::args().collect());
    if let Some(count) = args.number("--serve") {
        return fleet::serve(count, Sick { slow: args.number("--slow").unwrap(), dead: 0 }, args.has("--naps"));
    }
    if let Some(count) = args.number("--echo") {
        return fleet::echo(count, args.number("--length").unwrap());
    }
    if args.has("--agent") {
        return agent::run(&args);
    }
    // The agent's program, which has more threads than one, has the cores for itself.
    process::pin(std::process::id(), 1);
    if args.has("--sick") {
        return run(sick::run(&args));
    }
    table(&args);
}

/// Runs a client: one thread, as the loop of a hub has in an agent, and everything else on it, too.
fn run<T>(client: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(LocalSet::new().run_until(client))
}

fn table(args: &Args) {
    let every = args.seconds("--every");
    let lasts = args.seconds("--seconds").unwrap_or(Duration::from_secs(if every.is_some() { 120 } else { 5 }));
    let rounds = args.number("--rounds").unwrap_or(if every.is_some() { 1 } else { 3 });
    println!(
        "| suite | BMCs | polls/s | ms CPU a poll | datagrams a poll | p50 ms | p99 ms | KB a BMC | logins | % of a core | cold s | cold ms CPU a BMC | by one call | bare ms | times bare | codes and cipher ms | these and bare, times bare |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let mut ours = f64::NAN;
    for suite in args.list("--suites", "3,17") {
        let suite = CipherSuite::from_id(suite as u8).unwrap();
        for bmcs in args.list("--bmcs", "1,200,1000,10000") {
            let plan = Plan { suite, lasts, every };
            let mut turns: Vec<_> =
                (0..rounds.max(1)).map(|_| Turn::take(&plan, bmcs, !args.has("--no-bare"))).collect();
            turns.sort_by(|a, b| a.times_bare().total_cmp(&b.times_bare()));
            let ends = [turns.first(), turns.last()].map(|turn| turn.map_or(f64::NAN, Turn::times_bare));
            let middle = turns.swap_remove(turns.len() / 2);
            row(&middle, suite, bmcs, ends);
            ours = middle.cost.cpu;
        }
    }
    if !args.has("--no-peers") {
        peers::run(ours);
    }
}

/// The client's turn, and the bare loop's after it.
struct Turn {
    cost: Cost,
    /// Milliseconds of CPU that the bare loop takes for as much.
    bare: Option<f64>,
    /// Milliseconds of CPU of codes and cipher by themselves.
    codes: f64,
}

impl Turn {
    fn take(plan: &Plan, bmcs: usize, beside_bare: bool) -> Self {
        let fleet = Fleet::bmcs(bmcs, Sick::default());
        let cost = run(many::measure(plan, &fleet));
        drop(fleet);
        let exchanges = cost.datagrams / 2.0;
        let bare = beside_bare.then(|| {
            let length = bare::length(plan.suite);
            let echoes = Fleet::echoes(bmcs, length);
            bare::cost(&echoes, length, cost.batch, exchanges, plan.lasts.min(Duration::from_secs(10)))
        });
        let codes = floor::cost(plan.suite, bmcs, exchanges);
        Self { cost, bare, codes }
    }

    fn times_bare(&self) -> f64 {
        self.bare.map_or(f64::NAN, |bare| self.cost.cpu / bare)
    }
}

fn row(turn: &Turn, suite: CipherSuite, bmcs: usize, [least, most]: [f64; 2]) {
    let Turn { cost, codes, .. } = turn;
    let (bare, times, floor) = turn.bare.map_or(("–".to_owned(), "–".to_owned(), "–".to_owned()), |bare| {
        let times = format!("{:.2} ({least:.2}–{most:.2})", turn.times_bare());
        (format!("{bare:.3}"), times, format!("{:.2}", (codes + bare) / bare))
    });
    println!(
        "| {} | {bmcs} | {:.1} | {:.3} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {:.1} | {:.2} | {:.2} | {:.1} | {bare} | {times} | {codes:.3} | {floor} |{}{}",
        suite,
        cost.per_second,
        cost.cpu,
        cost.datagrams,
        cost.time(0.5),
        cost.time(0.99),
        cost.kb_per_bmc,
        cost.logins,
        cost.share_of_core,
        cost.cold.as_secs_f64(),
        cost.cold_cpu,
        cost.batch,
        if cost.late > 0 { format!("  {} LATE", cost.late) } else { String::new() },
        if cost.not_whole > 0 { format!("  {} NOT WHOLE", cost.not_whole) } else { String::new() },
    );
}
