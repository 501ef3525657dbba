//! What falls due, each thing once and in time: builds a store of open tickets with three clocks each, has a process of its own
//! watch them, sets that process's wall clock by 2 h, -2 h and a year, kills it twice (SIGKILL), and counts from the logs.
//!
//!     cargo run --release -p outband-collector --example deadlines -- [tickets] [span in seconds]
//!
//! Without arguments: 100,000 tickets whose 300,000 deadlines fall into the next hour.

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
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Time to build the store before the first deadline.
const LEAD: i64 = 5_000;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("watch") => watch(Path::new(&args[1]), args[2].parse()?),
        _ => {
            let number = |i: usize, usual: i64| args.get(i).map_or(Ok(usual), |a| a.parse());
            measure(number(0, 100_000)?, number(1, 3600)?)
        }
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

fn watch(dir: &Path, span: i64) -> Result<()> {
    let store = SqliteStore::open(&Options::new(dir))?;
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

fn spawn(dir: &Path, span: i64) -> Result<Child> {
    Ok(Command::new(std::env::current_exe()?).arg("watch").arg(dir).arg(span.to_string()).spawn()?)
}

/// Kills it as a power cut would, and answers how much CPU time it had used.
fn kill(mut child: Child) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // utime and stime, in hundredths of a second.
    let ticks: f64 = fields.get(11..13).unwrap_or_default().iter().filter_map(|f| f.parse::<f64>().ok()).sum();
    child.kill()?;
    child.wait()?;
    Ok(ticks / 100.0)
}

fn measure(tickets: i64, span: i64) -> Result<()> {
    let dir = PathBuf::from(std::env::var("TMPDIR").unwrap_or_else(|_| "/tmp".to_owned()))
        .join(format!("outband-deadlines-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let opened = build(&dir, tickets, span)?;
    let (begun, boot) = (Instant::now(), boot_seconds()?);
    let start = SteadyClock::start().now();
    let last = opened.last().copied().unwrap_or(start).plus(Duration::from_secs(span.unsigned_abs()));
    let whole = last.since(start) + Duration::from_secs(3);
    let wait_until = |share: f64| sleep(whole.mul_f64(share).saturating_sub(begun.elapsed()));
    let set = |step: i64| fs::write(dir.join("wall"), step.to_string());

    let mut cpu = 0.0;
    let mut child = spawn(&dir, span)?;
    for (share, step, kills) in [
        (0.2, 7_200_000, false),
        (0.35, 0, false),
        (0.45, -7_200_000, true),
        (0.6, 0, false),
        (0.7, 31_536_000_000, true),
        (0.9, 0, false),
    ] {
        wait_until(share);
        set(step)?;
        if kills {
            cpu += kill(child)?;
            child = spawn(&dir, span)?;
        }
        println!(
            "{:6.1} s  wall clock {:+} h{}",
            begun.elapsed().as_secs_f64(),
            step / 3_600_000,
            if kills { ", killed and started again" } else { "" }
        );
    }
    wait_until(1.0);
    cpu += kill(child)?;

    let store = SqliteStore::open(&Options::new(&dir))?;
    let kept = store.kept_time()?.ok_or("no time was kept")?;
    let true_ms = start.as_millis() + i64::try_from((boot_seconds()? - boot).as_millis())?;
    let drift = kept.at.as_millis() - (true_ms - (boot_millis()? - kept.boot));
    report(&store, &opened, span)?;
    println!("collector time against CLOCK_BOOTTIME at the end: {drift} ms");
    let seconds = begun.elapsed().as_secs_f64();
    println!("CPU {cpu:.2} s in {seconds:.0} s: {:.2} ms a tick of 250 ms", cpu * 1000.0 / (seconds * 4.0));
    store.close()?;
    fs::remove_dir_all(&dir)?;
    Ok(())
}

fn report(store: &SqliteStore, opened: &[Timestamp], span: i64) -> Result<()> {
    let third = Duration::from_millis((span * 1000 / 3).unsigned_abs());
    let (mut late, mut doubles, mut losses, mut early) = (Vec::new(), 0, 0, 0);
    for (number, opened) in (1..).zip(opened) {
        let log = store.ticket(TicketNumber(number))?.ok_or("a ticket is gone")?.log;
        for (n, name) in (1..).zip([Target::RESPOND, Target::LOCATE, Target::REPAIR]) {
            let due = opened.plus(third * n);
            let fired: Vec<Timestamp> = log
                .iter()
                .filter(|e| matches!(&e.action, Action::Breach { target, .. } if *target == name))
                .map(|e| e.at)
                .collect();
            doubles += fired.len().saturating_sub(1);
            match fired.first() {
                None => losses += 1,
                Some(at) if *at <= due => early += 1,
                Some(at) => late.push(at.since(due)),
            }
        }
    }
    late.sort_unstable();
    let ms = |share: usize| late.get(late.len().saturating_sub(1) * share / 1000).map_or(0, Duration::as_millis);
    println!(
        "{} deadlines: late by p50 {} ms, p99 {} ms, at most {} ms; {doubles} doubled, {losses} lost, {early} early",
        late.len(),
        ms(500),
        ms(990),
        ms(1000)
    );
    Ok(())
}

fn boot_seconds() -> Result<Duration> {
    Ok(Duration::from_millis(boot_millis()?.unsigned_abs()))
}

fn boot_millis() -> Result<i64> {
    let t = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
    Ok(t.tv_sec() * 1000 + t.tv_nsec() / 1_000_000)
}
