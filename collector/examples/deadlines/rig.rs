//! A store of open tickets with three clocks each, a process that watches them and is killed again and again while its wall clock is set,
//! and an oracle that counts from the logs what was lost, doubled, early or late.

#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use nix::time::{ClockId, clock_gettime};
use outband_collector::clock::{self, Sight, SteadyClock};
use outband_collector::config::Config;
use outband_collector::deadline;
use outband_collector::judgement::{Judgement, Terms};
use outband_collector::query::pulse::Pulse;
use outband_schemas::{Clock, ComponentClass, ComponentId, Identity, ServerId, SiteId, Timestamp};
use outband_store::deadline::Deadlines;
use outband_store::sqlite::Options;
use outband_store::{Applied, Sequence, ServerRecord, SqliteStore, Store, TicketWrite};
use outband_ticket::{Action, Allowance, ClockSpec, Hours, Opening, Priority, SlaPolicy, Target, Ticket, TicketNumber};
use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Time to build the store before the first deadline.
const LEAD: i64 = 5_000;
/// How far collector time may be off from CLOCK_BOOTTIME at the end, in milliseconds.
const DRIFT: i64 = 500;
/// A deadline so soon after a kill has waited for the restart, too.
const RESTART: Duration = Duration::from_secs(3);

/// When something happens, as a share of the run; how far the wall clock is set off, in hours; and whether the process is killed.
const SCRIPT: [(f64, i64, bool); 11] = [
    (0.10, 2, false),
    (0.16, 2, true),
    (0.25, 0, false),
    (0.33, -2, false),
    (0.40, -2, true),
    (0.50, 0, true),
    (0.58, 8760, false),
    (0.66, 8760, true),
    (0.76, 0, false),
    (0.86, 0, true),
    (0.94, -2, true),
];

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) tickets: i64,
    /// Seconds into which the deadlines of all tickets fall.
    pub(crate) span: i64,
    /// How late one may be.
    pub(crate) limit: Duration,
}

/// What became of the deadlines.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) fired: usize,
    pub(crate) doubled: usize,
    pub(crate) lost: usize,
    pub(crate) early: usize,
    pub(crate) latest: Duration,
    /// Collector time against CLOCK_BOOTTIME at the end, in milliseconds.
    pub(crate) drift: i64,
}

impl Verdict {
    /// Each deadline fired once, and in time.
    pub(crate) fn is_good(&self, plan: Plan) -> bool {
        let once = self.fired == usize::try_from(plan.tickets * 3).unwrap_or(0);
        once && self.doubled + self.lost + self.early == 0 && self.latest <= plan.limit && self.drift.abs() <= DRIFT
    }
}

/// Each clock has a third of the span for itself.
fn policy(span: i64) -> SlaPolicy {
    let third = Duration::from_millis((span * 1000 / 3).unsigned_abs());
    let clock =
        |name, n: u32| ClockSpec::named(name).with(&[Priority::P2], Hours::Always, Allowance::Within(third * n));
    let clocks = vec![clock(Target::RESPOND, 1), clock(Target::LOCATE, 2), clock(Target::REPAIR, 3)];
    SlaPolicy { clocks, ..SlaPolicy::default() }
}

fn terms(span: i64) -> Result<Terms> {
    Ok(Terms { policy: policy(span).into(), ..Terms::try_from(&Config::default())? })
}

/// The machine's clocks, with a wall clock that a file sets.
fn set_by(dir: &Path) -> impl Fn() -> Sight + Send + Sync + 'static {
    let file = dir.join("wall");
    move || {
        let step: i64 = fs::read_to_string(&file).ok().and_then(|t| t.trim().parse().ok()).unwrap_or(0);
        let here = clock::machine();
        Sight { wall: here.wall + step, synchronised: false, ..here }
    }
}

/// What the killed process does.
pub(crate) fn watch(dir: &Path, span: i64) -> Result<()> {
    let begun = Instant::now();
    let store = SqliteStore::open(&Options::new(dir))?;
    let mut starts = fs::OpenOptions::new().create(true).append(true).open(dir.join("starts"))?;
    writeln!(starts, "{}", begun.elapsed().as_millis())?;
    let time = Arc::new(SteadyClock::looking(store.kept_time()?.as_ref(), set_by(dir)));
    let (judgement, shutdown) = (Judgement::new(terms(span)?), CancellationToken::new());
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let keep = tokio::spawn(clock::run(store.clone(), time.clone(), shutdown.clone()));
        deadline::run(store, time, judgement, Pulse::default(), shutdown).await?;
        keep.await??;
        Ok(())
    })
}

fn build(dir: &Path, tickets: i64, span: i64) -> Result<Vec<Timestamp>> {
    let store = SqliteStore::open(&Options::new(dir))?;
    let (server, third) = (ServerId::new("s1")?, span * 1000 / 3);
    let begun = Instant::now();
    let mut opened = Vec::new();
    let mut applied = Applied { servers: vec![record(&server)?], ..Applied::default() };
    let now = SteadyClock::start().now();
    // All tickets are open before the first deadline comes, however long building takes.
    let first = now.as_millis() + LEAD + tickets / 2 - third;
    for i in 0..tickets {
        let at = Timestamp::from_millis(first + third * i / tickets);
        let number = TicketNumber(u64::try_from(i + 1)?);
        let (ticket, entry) = Ticket::open(opening(number, &server)?, "collector", at);
        applied.tickets.push(TicketWrite { ticket, expected_revision: None, transitions: vec![entry] });
        opened.push(at);
        if applied.tickets.len() == 5000 || i + 1 == tickets {
            store.apply(std::mem::take(&mut applied), now)?;
        }
    }
    store.reserve(Sequence::Ticket)?;
    store.keep_time(SteadyClock::start().kept())?;
    store.close()?;
    println!("{tickets} tickets built in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(opened)
}

fn record(server: &ServerId) -> Result<ServerRecord> {
    Ok(ServerRecord {
        id: server.clone(),
        site: SiteId::new("dc1")?,
        identity: Identity::default(),
        targets: Vec::new(),
        first_seen: Timestamp::EPOCH,
        last_seen: Timestamp::EPOCH,
        merged_into: None,
        rev: 0,
    })
}

fn opening(number: TicketNumber, server: &ServerId) -> Result<Opening> {
    Ok(Opening {
        number,
        priority: Priority::P2,
        title: "Disk failure predicted".to_owned(),
        site: None,
        server: server.clone(),
        component: ComponentId::new(ComponentClass::Disk, number.to_string())?,
        fault: "disk_failure".to_owned(),
        rule: "disk.smart_growth".to_owned(),
        predicted: true,
        reason: "reallocated sectors grow".to_owned(),
        evidence: Vec::new(),
        onset: Timestamp::EPOCH,
        part_serial: None,
    })
}

/// What a process has used: seconds of CPU time, and its largest memory in MiB.
fn used(child: &Child) -> Result<(f64, u64)> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // utime and stime, in hundredths of a second.
    let ticks: f64 = fields.get(11..13).unwrap_or_default().iter().filter_map(|f| f.parse::<f64>().ok()).sum();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    Ok((ticks / 100.0, peak.unwrap_or(0_u64) / 1024))
}

/// Kills it as a power cut would.
fn kill(mut child: Child) -> Result<(f64, u64)> {
    let used = used(&child)?;
    child.kill()?;
    child.wait()?;
    Ok(used)
}

/// Runs the plan in an empty directory; `spawn` starts the process that watches.
pub(crate) fn measure(plan: Plan, dir: &Path, spawn: impl Fn() -> Result<Child>) -> Result<Verdict> {
    let opened = build(dir, plan.tickets, plan.span)?;
    let size = fs::metadata(dir.join("store.db"))?.len() >> 20;
    println!("the store has {size} MiB; {} deadlines fall into the next {} s", plan.tickets * 3, plan.span);
    let (begun, boot, start) = (Instant::now(), boot_millis()?, SteadyClock::start().now());
    let last = opened.last().copied().unwrap_or(start).plus(Duration::from_secs(plan.span.unsigned_abs()));
    let whole = last.since(start) + RESTART;
    let (mut cpu, mut peak, mut kills) = (0.0, 0, Vec::new());
    let mut child = spawn()?;
    for (share, hours, killed) in SCRIPT {
        while let Some(left) = whole.mul_f64(share).checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
            sleep(left.min(Duration::from_secs(60)));
            if left > Duration::from_secs(60) {
                let (seconds, mib) = used(&child)?;
                println!(
                    "{:6.0} s  running: {:.1} s of CPU time, {mib} MiB at most",
                    begun.elapsed().as_secs_f64(),
                    cpu + seconds
                );
            }
        }
        fs::write(dir.join("wall"), (hours * 3_600_000).to_string())?;
        let said = if killed { ", killed and started again" } else { "" };
        println!("{:6.0} s  wall clock {hours:+} h{said}", begun.elapsed().as_secs_f64());
        if killed {
            kills.push(start.plus(begun.elapsed()));
            let (seconds, mib) = kill(child)?;
            (cpu, peak) = (cpu + seconds, peak.max(mib));
            child = spawn()?;
        }
    }
    sleep(whole.saturating_sub(begun.elapsed()));
    let (seconds, mib) = kill(child)?;
    (cpu, peak) = (cpu + seconds, peak.max(mib));
    let seconds = begun.elapsed().as_secs_f64();

    let store = SqliteStore::open(&Options { check_up_to_bytes: u64::MAX, ..Options::new(dir) })?;
    let kept = store.kept_time()?.ok_or("no time was kept")?;
    // Where collector time would be, had nothing but CLOCK_BOOTTIME moved it.
    let drift = kept.at.as_millis() - (start.as_millis() + kept.boot - boot);
    let verdict = judge(&store, &opened, plan, &kills, drift)?;
    store.close()?;
    let starts = fs::read_to_string(dir.join("starts"))?;
    println!("each start opened the store in, ms: {}", starts.split_whitespace().collect::<Vec<_>>().join(" "));
    println!("collector time against CLOCK_BOOTTIME at the end: {drift} ms");
    println!(
        "CPU {cpu:.1} s in {seconds:.0} s: {:.2} ms a tick of 250 ms; at most {peak} MiB",
        cpu * 1000.0 / (seconds * 4.0)
    );
    Ok(verdict)
}

fn judge(store: &SqliteStore, opened: &[Timestamp], plan: Plan, kills: &[Timestamp], drift: i64) -> Result<Verdict> {
    let third = Duration::from_millis((plan.span * 1000 / 3).unsigned_abs());
    let (mut calm, mut restarted) = (Vec::new(), Vec::new());
    let (mut doubled, mut lost, mut early) = (0, 0, 0);
    for (number, opened) in (1..).zip(opened) {
        let log = store.ticket(TicketNumber(number))?.ok_or("a ticket is gone")?.log;
        for (n, name) in (1..).zip([Target::RESPOND, Target::LOCATE, Target::REPAIR]) {
            let due = opened.plus(third * n);
            let fired: Vec<Timestamp> = log
                .iter()
                .filter(|e| matches!(&e.action, Action::Breach { target, .. } if *target == name))
                .map(|e| e.at)
                .collect();
            doubled += fired.len().saturating_sub(1);
            // The process may have been dead when it fell due, or just started.
            let near = kills.iter().any(|kill| due.plus(Duration::from_secs(1)) >= *kill && due <= kill.plus(RESTART));
            match fired.first() {
                None => lost += 1,
                Some(at) if *at <= due => early += 1,
                Some(at) if near => restarted.push(at.since(due)),
                Some(at) => calm.push(at.since(due)),
            }
        }
    }
    let mut all: Vec<Duration> = calm.iter().chain(&restarted).copied().collect();
    for (what, late) in [("undisturbed", &mut calm), ("around kills", &mut restarted), ("all", &mut all)] {
        late.sort_unstable();
        let ms = |share: usize| late.get(late.len().saturating_sub(1) * share / 1000).map_or(0, Duration::as_millis);
        println!(
            "{what:<12} {:>7} late by p50 {} ms, p99 {} ms, at most {} ms",
            late.len(),
            ms(500),
            ms(990),
            ms(1000)
        );
    }
    println!("{doubled} doubled, {lost} lost, {early} early");
    let latest = all.last().copied().unwrap_or_default();
    Ok(Verdict { fired: all.len(), doubled, lost, early, latest, drift })
}

fn boot_millis() -> Result<i64> {
    let t = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
    Ok(t.tv_sec() * 1000 + t.tv_nsec() / 1_000_000)
}
