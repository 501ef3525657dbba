//! What one collector costs that holds a site: servers with 80 sensors a minute, over gRPC and TLS into a store on disk, with everything on that is on by default.
//!
//! ```text
//! cargo bench -p outband-collector --bench load -- [--servers 500] [--minutes 60] [--live 3] [--seed 1] [--dir DIR]
//! ```
//! First the last `--minutes` are sent as a backlog, as fast as they are assessed; then `--live` minutes pass in real time, each server read in its own
//! second. The agents are a process of their own. What is printed is the collector's alone.

#![allow(clippy::print_stdout, reason = "a measurement tells what it found")]

mod feed;
mod site;

use feed::Feed;
use outband_collector::app::Collector;
use outband_collector::config::Config;
use outband_store::{Page, SqliteStore, Store, TicketFilter};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)).cloned();
    let number = |name: &str, or: u64| value(name).map_or(Ok(or), |v| v.parse());
    let (servers, seed) = (usize::try_from(number("--servers", 500)?)?, number("--seed", 1)?);
    if let (Some(addr), Some(data)) = (value("--feed"), value("--data")) {
        let feed = Feed { addr: &addr, data: Path::new(&data), servers, seed };
        // A thread of its own for the connections: pings are answered while bodies are made.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        return runtime.block_on(feed.run());
    }
    let below = value("--dir").map_or_else(std::env::temp_dir, PathBuf::from);
    let home = tempfile::Builder::new().prefix("outband-load-").tempdir_in(below)?;
    let load = Load { servers, seed, minutes: number("--minutes", 60)?, live: number("--live", 3)? };
    load.measure(home.path())
}

/// Bodies that the assessment takes at once.
const STEP: usize = 256;

struct Load {
    servers: usize,
    seed: u64,
    minutes: u64,
    live: u64,
}

/// The agents' process.
struct Agents {
    child: Child,
    tell: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Agents {
    fn ask(&mut self, verb: &str, number: u64) -> Result<(), Box<dyn Error>> {
        writeln!(self.tell, "{verb} {number}")?;
        Ok(self.tell.flush()?)
    }

    fn done(&mut self) -> Result<(), Box<dyn Error>> {
        let mut line = String::new();
        self.told.read_line(&mut line)?;
        if line.starts_with("done") { Ok(()) } else { Err("the agents ended".into()) }
    }
}

impl Load {
    fn measure(&self, home: &Path) -> Result<(), Box<dyn Error>> {
        let topology = home.join("topology.csv");
        std::fs::write(&topology, site::topology(self.servers))?;
        let mut config = Config::parse("[listen]\nagents = '127.0.0.1:0'\noperators = '127.0.0.1:0'\n")
            .map_err(|p| p.to_string())?;
        let data = home.join("data");
        config.data.dir = Some(data.clone());
        config.data.keep_free_mib = 0;
        config.topology.file = Some(topology);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let collector = runtime.block_on(Collector::start(config))?;
        let mut agents = self.agents(&collector, &data)?;
        let store = collector.store().clone();
        let minute_now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())? / 60_000;
        println!(
            "{} servers, {} sensors each; cores: %. of one core a simulated or real minute",
            self.servers,
            site::SENSORS
        );
        println!(
            "phase   minutes  wall s  CPU s/min  writer s/min  % of a core  us/reading  RSS MB  peak MB  store MB  tickets"
        );
        let mut before = Usage::now()?;
        let every = (self.minutes / 6).max(1);
        for minute in 0..self.minutes {
            agents.ask("replay", (minute_now - self.minutes + minute) * 60_000)?;
            agents.done()?;
            assessed(&store)?;
            if (minute + 1) % every == 0 || minute + 1 == self.minutes {
                let now = Usage::now()?;
                let minutes = if (minute + 1) % every == 0 { every } else { self.minutes % every };
                self.line("backlog", minutes, &before, &now, &store, &data)?;
                before = now;
            }
        }
        caught_up(&store)?;
        if self.live > 0 {
            // What comes late of the backlog is over before the measurement begins.
            agents.ask("live", 1)?;
            agents.done()?;
            let before = Usage::now()?;
            agents.ask("live", self.live)?;
            agents.done()?;
            caught_up(&store)?;
            self.line("live", self.live, &before, &Usage::now()?, &store, &data)?;
        }
        drop(agents.tell);
        agents.child.wait()?;
        drop(store);
        Ok(runtime.block_on(collector.stop())?)
    }

    fn agents(&self, collector: &Collector, data: &Path) -> Result<Agents, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--feed", &collector.agents_addr().to_string(), "--data"])
            .arg(data)
            .args(["--servers", &self.servers.to_string(), "--seed", &self.seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (tell, told) = (child.stdin.take().ok_or("no stdin")?, child.stdout.take().ok_or("no stdout")?);
        Ok(Agents { child, tell, told: BufReader::new(told) })
    }

    fn line(
        &self,
        phase: &str,
        minutes: u64,
        before: &Usage,
        now: &Usage,
        store: &SqliteStore,
        data: &Path,
    ) -> Result<(), Box<dyn Error>> {
        let per = |seconds: f64| seconds / minutes as f64;
        let cpu = per(now.cpu - before.cpu);
        let each = cpu * 1e6 / (self.servers * site::SENSORS) as f64;
        let tickets = store.tickets(&TicketFilter::default(), &Page::first(100_000))?.rows.len();
        println!(
            "{phase:8} {minutes:6} {:7.0} {cpu:10.2} {:13.2} {:12.1} {each:11.2} {:7.0} {:8.0} {:9.0} {tickets:8}",
            now.at.duration_since(before.at).as_secs_f64(),
            per(now.writer - before.writer),
            cpu / 60.0 * 100.0,
            now.rss,
            now.peak,
            megabytes(data)?,
        );
        Ok(())
    }
}

/// Waits until no more bodies wait to be assessed than one step takes.
fn assessed(store: &SqliteStore) -> Result<(), Box<dyn Error>> {
    while store.log_after(store.cursor()?, STEP)?.len() >= STEP {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Waits until nothing does.
fn caught_up(store: &SqliteStore) -> Result<(), Box<dyn Error>> {
    while !store.log_after(store.cursor()?, 1)?.is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn megabytes(dir: &Path) -> Result<f64, Box<dyn Error>> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let is_dir = entry.file_type()?.is_dir();
        bytes += if is_dir { (megabytes(&entry.path())? * 1e6) as u64 } else { entry.metadata()?.len() };
    }
    Ok(bytes as f64 / 1e6)
}

/// What this process has used.
struct Usage {
    at: Instant,
    /// Seconds of all threads but the main one, those that ended too.
    cpu: f64,
    /// Of them, the thread that writes the store.
    writer: f64,
    /// Megabytes in memory, now and at most.
    rss: f64,
    peak: f64,
}

impl Usage {
    fn now() -> Result<Self, Box<dyn Error>> {
        let (mut writer, mut own) = (0.0, 0.0);
        let main = std::process::id().to_string();
        for task in std::fs::read_dir("/proc/self/task")? {
            let task = task?;
            // A thread may end while it is looked at.
            let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { continue };
            if task.file_name().to_str() == Some(&main) {
                own = seconds(&stat)?;
            }
            if stat.contains("(store-writer)") {
                writer += seconds(&stat)?;
            }
        }
        let status = std::fs::read_to_string("/proc/self/status")?;
        let field = |name: &str| -> Result<f64, Box<dyn Error>> {
            let line = status.lines().find(|l| l.starts_with(name)).ok_or("no such field in /proc/self/status")?;
            let kib: f64 = line.split_whitespace().nth(1).ok_or("no value")?.parse()?;
            Ok(kib * 1024.0 / 1e6)
        };
        // The main thread only looks on.
        let cpu = seconds(&std::fs::read_to_string("/proc/self/stat")?)? - own;
        Ok(Self { at: Instant::now(), cpu, writer, rss: field("VmRSS")?, peak: field("VmHWM")? })
    }
}

/// User and system time of a `stat` of /proc: its fields 14 and 15, in ticks of 10 ms.
fn seconds(stat: &str) -> Result<f64, Box<dyn Error>> {
    let behind = stat.rsplit_once(')').ok_or("no stat")?.1;
    let mut fields = behind.split_whitespace().skip(11);
    let mut tick = || -> Result<f64, Box<dyn Error>> { Ok(fields.next().ok_or("a short stat")?.parse()?) };
    Ok((tick()? + tick()?) / 100.0)
}
