//! What is measured of Outband.

use crate::Plan;
use crate::bodies::Bodies;
use crate::feed::{Agent, Failed, MINUTE_MS, Site};
use crate::process::{Process, Used, bytes, used};
use crate::site::{OF_AGENT, SENSORS};
use crate::table::Column;
use outband_collector::putaway::BEHIND;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Minutes of all servers that may be acknowledged and not yet be history.
const MINUTES_AHEAD: usize = 3;

/// A collector that runs.
pub(crate) struct Ours {
    pub(crate) process: Process,
    pub(crate) addr: String,
    pub(crate) data: PathBuf,
}

impl Ours {
    pub(crate) fn start(plan: &Plan, data: &Path, servers: usize, bare: bool) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--serve").arg(data);
        command.args(["--series", &(servers * SENSORS).to_string(), "--seed", &plan.seed.to_string()]);
        if bare {
            command.arg("--bare");
        }
        let mut process = Process::talking(&mut command)?;
        let addr = process.line()?;
        Ok(Self { process, addr, data: data.to_owned() })
    }

    /// Waits until nothing that came waits to be assessed (`idle`), or to be put away (`put`).
    pub(crate) fn until(&mut self, what: &str) -> Result<(), Box<dyn Error>> {
        while self.process.ask(what)? != "1" {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Connects all agents of a site.
pub(crate) async fn connect(site: &Arc<Site>, ours: &Ours, next: &[[i64; 2]]) -> Result<Vec<Agent>, Failed> {
    let mut agents = Vec::new();
    for number in 0..site.servers.div_ceil(OF_AGENT) {
        let next = next.get(number).copied().unwrap_or([1, 1]);
        agents.push(Agent::connect(site, number, &ours.addr, &ours.data, next).await?);
    }
    Ok(agents)
}

/// Has every agent do something at the same time.
pub(crate) async fn all<F, W>(agents: Vec<Agent>, work: W) -> Vec<(Agent, Result<(), Failed>)>
where
    F: Future<Output = (Agent, Result<(), Failed>)> + Send + 'static,
    W: Fn(Agent) -> F,
{
    let mut set = tokio::task::JoinSet::new();
    for agent in agents {
        set.spawn(work(agent));
    }
    let mut done = set.join_all().await;
    done.sort_by_key(|(agent, _)| agent.number);
    done
}

/// All of them, where none failed.
pub(crate) fn well(done: Vec<(Agent, Result<(), Failed>)>) -> Result<Vec<Agent>, Box<dyn Error>> {
    let done = done.into_iter().map(|(agent, result)| result.map(|()| agent));
    Ok(done.collect::<Result<_, _>>().map_err(|e| e.to_string())?)
}

/// Has every agent say what is in its servers, and waits until they are known.
pub(crate) fn introduced(
    runtime: &tokio::runtime::Runtime,
    site: &Arc<Site>,
    ours: &mut Ours,
    agents: Vec<Agent>,
) -> Result<Vec<Agent>, Box<dyn Error>> {
    let said = runtime.block_on(all(agents, |mut agent| {
        let site = site.clone();
        async move {
            let done = agent.introduce(&site).await;
            (agent, done)
        }
    }));
    ours.until(&format!("known {}", site.servers))?;
    well(said)
}

/// The throughput, what it costs, what stays on the disk, and how fast that is asked.
pub(crate) fn sustained(plan: &Plan, home: &Path, bare: bool, column: &mut Column) -> Result<(), Box<dyn Error>> {
    let data = home.join(if bare { "bare" } else { "whole" });
    let mut ours = Ours::start(plan, &data, plan.servers, bare)?;
    let site = Arc::new(Site::new(Bodies::new(plan.seed, plan.pack)?, plan.servers, plan.from));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let agents = runtime.block_on(connect(&site, &ours, &[])).map_err(|e| e.to_string())?;
    let agents = introduced(&runtime, &site, &mut ours, agents)?;
    let (begun, before, own) = (Instant::now(), ours.process.used()?, used("self")?);
    let until = begun + plan.seconds;
    let watch = Watch::start(plan, &site, &ours);
    let (everyone, minutes) = (site.clone(), plan.minutes.unwrap_or(i64::MAX));
    let running = runtime.spawn(all(agents, move |mut agent| {
        let site = everyone.clone();
        async move {
            let done = match agent.replay(&site, minutes, Some(until)).await {
                Ok(()) => agent.settled().await,
                failed => failed,
            };
            (agent, done)
        }
    }));
    // What is acknowledged is in the log; how fast that is for hours, history has to keep up with.
    let most = i64::try_from(plan.servers * MINUTES_AHEAD)?.max(4 * BEHIND);
    while !running.is_finished() {
        let waiting: i64 = ours.process.ask("waiting")?.parse()?;
        site.hold.store(waiting > most, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = runtime.block_on(running)?;
    let (wall, after, own_after) = (begun.elapsed().as_secs_f64(), ours.process.used()?, used("self")?);
    watch.stop();
    let agents = well(sent)?;
    let readings = site.acked.load(Ordering::Relaxed) as f64;
    column.set("acknowledged readings/s, fsync before", format!("{:.0}", readings / wall));
    let minutes = agents.first().map_or(0, Agent::minutes);
    column.set("readings; time they span", format!("{:.1} M; {:.1} h", readings / 1e6, minutes as f64 / 60.0));
    ours.until("put")?;
    let put = begun.elapsed().as_secs_f64();
    column.set("readings/s until all is put away", format!("{:.0}", readings / put));
    let ended = ours.process.used()?;
    let behind: f64 = ours.process.ask("behind")?.parse()?;
    if !bare {
        let share = 100.0 * (1.0 - behind * SENSORS as f64 / readings);
        column.set("assessed by then", format!("{share:.0} %"));
    }
    costs(column, readings, &before, &after, &ended, own_after.cpu - own.cpu);
    drop(agents);
    drop(runtime);
    sizes(&mut ours, readings, column)?;
    let per_cpu = readings / (ours.process.used()?.cpu - before.cpu);
    column.set("readings per CPU-second, all sealed", format!("{per_cpu:.0}"));
    column.per_cpu = Some(per_cpu);
    asked(&mut ours, plan, plan.from + minutes * MINUTE_MS, column)?;
    // Some servers of each agent: every reading once and as it was made.
    let some: Vec<String> = (0..plan.servers).step_by(plan.servers.div_ceil(50)).map(|s| s.to_string()).collect();
    let seen = ours.process.ask(&format!("verify {} {minutes} {}", plan.from, some.join(" ")))?;
    column.set("missing, doubled, different (50 servers looked at)", seen.replace(' ', ", "));
    ours.process.stop()?;
    std::fs::remove_dir_all(&data)?;
    Ok(())
}

fn costs(column: &mut Column, readings: f64, before: &Used, acked: &Used, ended: &Used, client: f64) {
    let each = |seconds: f64| format!("{:.2}", seconds * 1e6 / readings);
    column.set("CPU us a reading until acknowledged", each(acked.cpu - before.cpu));
    column.set("CPU us a reading until put away", each(ended.cpu - before.cpu));
    column.set("CPU us a reading, client", each(client));
    column.set("memory at the end; at most", format!("{:.0} MB; {:.0} MB", ended.rss, ended.peak));
}

fn sizes(ours: &mut Ours, readings: f64, column: &mut Column) -> Result<(), Box<dyn Error>> {
    let before = ours.process.used()?;
    let told = ours.process.ask("seal")?;
    let last = ours.process.used()?.cpu - before.cpu;
    column.set("sealing what was left", format!("{} s, {:.1} CPU-s", told.split(' ').next().unwrap_or("?"), last));
    let held: Vec<f64> = ours.process.ask("holdings")?.split(' ').map(|n| n.parse()).collect::<Result<_, _>>()?;
    let [raw, five, hour] = held[..] else { return Err("three figures".into()) };
    column.set("bytes a reading, sealed, with row and index", format!("{:.2}", raw / readings));
    column.set("bytes a reading, roll-ups", format!("{:.2}", (five + hour) / readings));
    column.set("bytes a reading, all files", format!("{:.2}", bytes(&ours.data) as f64 / readings));
    Ok(())
}

fn asked(ours: &mut Ours, plan: &Plan, until: i64, column: &mut Column) -> Result<(), Box<dyn Error>> {
    let told = ours.process.ask(&format!("queries {} {until}", plan.queries))?;
    let told: Vec<&str> = told.split(' ').collect();
    for (row, four) in crate::QUERIES.into_iter().zip(told.chunks_exact(4)) {
        let [p50, p99, running, rows] = four else { continue };
        column.set(row, format!("{p50} / {p99} / {running} ({rows} rows)"));
    }
    Ok(())
}

/// Says on stderr how it goes, every ten seconds.
struct Watch {
    end: Arc<std::sync::atomic::AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn start(plan: &Plan, site: &Arc<Site>, ours: &Ours) -> Self {
        let end = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (site, over, every, data) =
            (site.clone(), end.clone(), plan.seconds.min(Duration::from_secs(10)), ours.data.clone());
        let thread = std::thread::spawn(move || {
            let (mut last, mut at) = (0, Instant::now());
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
                if at.elapsed() >= every {
                    let now = site.acked.load(Ordering::Relaxed);
                    let disk = bytes(&data) as f64 / 1e6;
                    eprintln!(
                        "    {:.0} readings/s, {disk:.0} MB on disk",
                        (now - last) as f64 / at.elapsed().as_secs_f64()
                    );
                    (last, at) = (now, Instant::now());
                }
            }
        });
        Self { end, thread }
    }

    fn stop(self) {
        self.end.store(true, Ordering::Relaxed);
        // It only prints.
        self.thread.join().unwrap_or_default();
    }
}
