//! How many readings a second are taken in for good, what one costs, what stays of it on the disk, how fast it is asked, and what a crash loses - beside
//! VictoriaMetrics and Prometheus, where they are installed, which get the same readings by remote write.
//!
//! ```text
//! cargo bench -p outband-collector --bench ingest -- [--series 50000] [--seconds 60 | --minutes 200] [--seed 1] [--peers] [--kill] [--catch-up] [--only ours,bare,victoria-metrics,prometheus] [--dir DIR]
//! ```
//! README.md beside this file says what each row means, and what was measured.

#![allow(clippy::print_stdout, reason = "a measurement tells what it found")]

mod bodies;
mod crash;
mod feed;
mod ours;
mod outage;
mod peers;
mod process;
mod serve;
#[path = "../load/site.rs"]
#[allow(dead_code, reason = "drives are not sent here")]
mod site;
mod table;

use peers::Kind;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use table::Column;

/// The rows of the questions: milliseconds, p50 / p99.
const QUERIES: [&str; 3] =
    ["ms: a day of a sensor, raw", "ms: latest of a server", "ms: a day of one sensor of 1,000 servers at 5 minutes"];

/// What is asked for.
struct Plan {
    servers: usize,
    seconds: Duration,
    /// So many minutes of the site are sent, however long that takes: the same readings to each. Otherwise as many as there is time for.
    minutes: Option<i64>,
    seed: u64,
    /// Whether bodies go over the wire as agents pack them.
    pack: bool,
    queries: usize,
    now: i64,
    /// When the first minute begins.
    from: i64,
    peer_seconds: Duration,
    kill_servers: usize,
    kill_after: Duration,
    outage_servers: usize,
}

/// What one wrote is on the disk before the next is measured.
fn settle_disk() {
    nix::unistd::sync();
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)).cloned();
    let number = |name: &str, or: u64| value(name).map_or(Ok(or), |v| v.parse());
    let servers = usize::try_from(number("--series", 50_000)?)?.div_ceil(site::SENSORS);
    let seed = number("--seed", 1)?;
    if let Some(data) = value("--serve") {
        return serve::run(Path::new(&data), servers, seed, args.iter().any(|a| a == "--bare"));
    }
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    // So long ago that time, replayed faster than it passes, does not reach the present.
    let back = i64::try_from(number("--hours-back", 72)?)? * 3_600_000;
    let minutes = value("--minutes").map(|v| v.parse()).transpose()?;
    // Where the readings are counted, time is not.
    let seconds = if minutes.is_some() { 100_000 } else { number("--seconds", 60)? };
    let plan = Plan {
        servers,
        seconds: Duration::from_secs(seconds),
        minutes,
        now,
        pack: !args.iter().any(|a| a == "--unpacked"),
        peer_seconds: Duration::from_secs(number("--peer-seconds", seconds)?),
        kill_servers: usize::try_from(number("--kill-series", 20_000)?)?.div_ceil(site::SENSORS),
        kill_after: Duration::from_secs(number("--kill-after", 10)?),
        outage_servers: usize::try_from(number("--outage-servers", 5_000)?)?,
        seed,
        queries: usize::try_from(number("--queries", 500)?)?,
        from: (now - back).div_euclid(86_400_000) * 86_400_000,
    };
    let below = value("--dir").map_or_else(std::env::temp_dir, PathBuf::from);
    let home = tempfile::Builder::new().prefix("outband-ingest-").tempdir_in(below)?;
    let only = value("--only");
    let wanted = |what: &str| only.as_ref().is_none_or(|only| only.split(',').any(|o| o == what));
    let has = |name: &str| args.iter().any(|a| a == name);
    let mut columns = Vec::new();
    for (what, name, bare) in [("ours", "Outband", false), ("bare", "Outband, no assessment", true)] {
        if wanted(what) {
            let mut column = Column::new(name);
            settle_disk();
            if seconds > 0 {
                ours::sustained(&plan, home.path(), bare, &mut column)?;
            }
            if has("--kill") {
                crash::killed(&plan, home.path(), bare, &mut column)?;
            }
            if has("--catch-up") && !bare {
                outage::caught_up(&plan, home.path(), &mut column)?;
            }
            columns.push(column);
        }
    }
    if has("--peers") {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        for kind in [Kind::Victoria, Kind::Prometheus].into_iter().filter(|k| wanted(k.program())) {
            let mut column = Column::new(kind.name());
            settle_disk();
            if seconds > 0 {
                runtime.block_on(peers::sustained(&plan, kind, home.path(), &mut column))?;
            }
            if has("--kill") {
                runtime.block_on(peers::killed(&plan, kind, home.path(), &mut column))?;
            }
            columns.push(column);
        }
    }
    let peer = columns.iter().find(|c| c.is_of(Kind::Victoria.name())).and_then(|c| c.per_cpu);
    for column in &mut columns {
        if let (Some(own), Some(peer)) = (column.per_cpu, peer) {
            column.set("the same, of VictoriaMetrics'", format!("{:.2}", own / peer));
        }
    }
    let each = plan.minutes.map_or(format!("{seconds} s"), |minutes| format!("{minutes} minutes of the site"));
    println!("{} series of {} servers, {each} each", plan.servers * site::SENSORS, plan.servers);
    println!("{}", table::render(&columns));
    Ok(())
}
