//! An hour in which the collector was away: every spool is full of it, all agents come back at once.

use crate::Plan;
use crate::bodies::Bodies;
use crate::feed::{Agent, EventLane, Failed, MINUTE_MS, Site};
use crate::ours::{Ours, all, connect, well};
use crate::process::Used;
use crate::site::{OF_AGENT, SENSORS};
use crate::table::Column;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Minutes of the outage.
const OUTAGE: i64 = 60;
/// Minutes before it, so that the servers are known.
const BEFORE: i64 = 2;
/// A failure this often while the agents catch up.
const EVENT_EVERY: Duration = Duration::from_secs(2);
/// How long a ticket may take once all is assessed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A new failure: when it was told, how long until it was acknowledged, and until there was a ticket.
struct Told {
    server: usize,
    at: Instant,
    acked: Duration,
    ticket: Option<Duration>,
}

/// How long until all is acknowledged and assessed, and how fast new failures get through meanwhile.
pub(crate) fn caught_up(plan: &Plan, home: &Path, column: &mut Column) -> Result<(), Box<dyn Error>> {
    let data = home.join("outage");
    let servers = plan.outage_servers;
    let (bodies, from) = (Bodies::new(plan.seed, plan.pack)?, plan.now - (BEFORE + OUTAGE) * MINUTE_MS);
    // Spools were filled long ago.
    bodies.prepare(from, BEFORE + OUTAGE)?;
    eprintln!("  {} minutes of {servers} BMCs are packed", BEFORE + OUTAGE);
    let mut ours = Ours::start(plan, &data, servers, false)?;
    let site = Arc::new(Site::new(bodies, servers, from));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let agents = runtime.block_on(connect(&site, &ours, &[])).map_err(|e| e.to_string())?;
    let known = runtime.block_on(all(agents, |mut agent| {
        let site = site.clone();
        async move {
            let done = known(&mut agent, &site).await;
            (agent, done)
        }
    }));
    drop(well(known)?);
    eprintln!("  they have said what is in them, and all before the outage is acknowledged");
    ours.until("idle")?;
    eprintln!("  and assessed: the outage");
    let begun = Instant::now();
    let before = ours.process.used()?;
    let agents = runtime.block_on(connect(&site, &ours, &[])).map_err(|e| e.to_string())?;
    let mut lanes: Vec<EventLane> = agents.iter().map(Agent::events).collect();
    let everyone = site.clone();
    let running = runtime.spawn(all(agents, move |mut agent| {
        let site = everyone.clone();
        async move {
            let done = back(&mut agent, &site).await;
            (agent, done)
        }
    }));
    let (mut told, mut acked, mut put, mut assessed) = (Vec::new(), None, None, None);
    let mut watch = Watch::new();
    loop {
        if acked.is_none() && running.is_finished() {
            acked = Some(begun.elapsed());
        }
        watch.look(&mut ours, &site)?;
        if put.is_none() && acked.is_some() && ours.process.ask("put")? == "1" {
            put = Some(begun.elapsed());
        }
        if assessed.is_none() && acked.is_some() && ours.process.ask("idle")? == "1" {
            assessed = Some((begun.elapsed(), ours.process.used()?));
        }
        // What was told last has its time, too.
        if assessed.is_some() && (told.iter().all(|t: &Told| t.ticket.is_some()) || over(&begun, &assessed)) {
            break;
        }
        if assessed.is_none() && begun.elapsed() >= EVENT_EVERY * (u32::try_from(told.len())? + 1) {
            // Each in a server of another agent.
            let lane = &mut lanes[told.len() % servers.div_ceil(OF_AGENT)];
            let server = lane.server + told.len() / servers.div_ceil(OF_AGENT);
            let at = Instant::now();
            let body = site.bodies.failure(server, plan.now).map_err(|e| e.to_string())?;
            runtime.block_on(lane.say(body)).map_err(|e| e.to_string())?;
            told.push(Told { server, at, acked: at.elapsed(), ticket: None });
        }
        let mut waiting: Vec<&mut Told> = told.iter_mut().filter(|t| t.ticket.is_none()).collect();
        if !waiting.is_empty() {
            let servers: Vec<String> = waiting.iter().map(|t| t.server.to_string()).collect();
            let open = ours.process.ask(&format!("tickets {}", servers.join(" ")))?;
            for (told, _) in waiting.iter_mut().zip(open.split(' ')).filter(|(_, open)| *open != "0") {
                told.ticket = Some(told.at.elapsed());
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let (assessed, after) = assessed.ok_or("never assessed")?;
    for (agent, done) in runtime.block_on(running)? {
        done.map_err(|e| format!("agent {}: {e}", agent.number))?;
    }
    let readings = (servers * SENSORS) as f64 * OUTAGE as f64;
    let s = |time: Option<Duration>| time.map_or("never".to_owned(), |t| format!("{:.1}", t.as_secs_f64()));
    column.set(
        "an hour's outage: BMCs; s until acknowledged; in history; assessed",
        format!("{servers}; {}; {}; {}", s(acked), s(put), s(Some(assessed))),
    );
    column.set(
        "meanwhile: CPU us a reading, memory at most",
        format!("{:.2}; {:.0} MB", (after.cpu - before.cpu) * 1e6 / readings, after.peak),
    );
    let worst = |of: &dyn Fn(&Told) -> Option<Duration>| {
        told.iter().map(of).try_fold(Duration::ZERO, |most, t| t.map(|t| most.max(t)))
    };
    let say = |time: Option<Duration>| time.map_or("never".to_owned(), |t| format!("{:.2}", t.as_secs_f64()));
    column.set(
        "meanwhile: s from a new failure to its ack; ticket, at most",
        format!("{}; {} ({} of them)", say(worst(&|t| Some(t.acked))), say(worst(&|t| t.ticket)), told.len()),
    );
    let half = |of: &dyn Fn(&Told) -> Option<Duration>| {
        let mut all: Vec<Duration> = told.iter().map(|t| of(t).unwrap_or(Duration::MAX)).collect();
        all.sort();
        all.get(all.len() / 2).copied().filter(|t| *t < Duration::MAX)
    };
    column.set(
        "meanwhile: the same, of half of them",
        format!("{}; {}", say(half(&|t| Some(t.acked))), say(half(&|t| t.ticket))),
    );
    ours.process.stop()?;
    std::fs::remove_dir_all(&data)?;
    Ok(())
}

/// Says on stderr how it goes, every five seconds.
struct Watch(Instant);

impl Watch {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn look(&mut self, ours: &mut Ours, site: &Site) -> Result<(), Box<dyn Error>> {
        if self.0.elapsed() >= Duration::from_secs(5) {
            self.0 = Instant::now();
            let acked = site.acked.load(Ordering::Relaxed) as f64 / 1e6;
            let (waiting, behind) = (ours.process.ask("waiting")?, ours.process.ask("behind")?);
            eprintln!(
                "    {acked:.1} M readings acknowledged; bodies to be put away {waiting}, to be assessed {behind}"
            );
        }
        Ok(())
    }
}

/// Whether tickets were waited for long enough.
fn over(begun: &Instant, assessed: &Option<(Duration, Used)>) -> bool {
    assessed.is_some_and(|(at, _)| begun.elapsed() > at + PATIENCE)
}

/// What was before the outage.
async fn known(agent: &mut Agent, site: &Site) -> Result<(), Failed> {
    agent.introduce(site).await?;
    agent.replay(site, BEFORE, None).await?;
    agent.settled().await
}

/// What was spooled meanwhile.
async fn back(agent: &mut Agent, site: &Site) -> Result<(), Failed> {
    agent.replay(site, BEFORE + OUTAGE, None).await?;
    agent.settled().await
}
