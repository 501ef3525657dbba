//! What a `kill -9` of the collector in the midst of taking in costs: nothing that was acknowledged, and nothing twice.

use crate::Plan;
use crate::bodies::Bodies;
use crate::feed::Site;
use crate::ours::{Ours, all, connect, introduced, well};
use crate::site::SENSORS;
use crate::table::Column;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Sends, kills, starts anew, sends on from the marks to a whole minute, and looks at every reading.
pub(crate) fn killed(plan: &Plan, home: &Path, bare: bool, column: &mut Column) -> Result<(), Box<dyn Error>> {
    let data = home.join("killed");
    let mut ours = Ours::start(plan, &data, plan.kill_servers, bare)?;
    let site = Arc::new(Site::new(Bodies::new(plan.seed, plan.pack)?, plan.kill_servers, plan.from));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let agents = runtime.block_on(connect(&site, &ours, &[])).map_err(|e| e.to_string())?;
    let agents = introduced(&runtime, &site, &mut ours, agents)?;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(ours.process.id())?);
    let blow = async {
        tokio::time::sleep(plan.kill_after).await;
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)
    };
    let work = all(agents, |mut agent| {
        let site = site.clone();
        async move {
            let done = agent.replay(&site, i64::MAX, None).await;
            (agent, done)
        }
    });
    let (sent, blow) = runtime.block_on(async { tokio::join!(work, blow) });
    blow?;
    ours.process.kill()?;
    let acked: Vec<[i64; 2]> =
        sent.iter().map(|(agent, _)| [0, 1].map(|lane| agent.acked[lane].load(Ordering::Acquire))).collect();
    let minutes = sent.iter().map(|(agent, _)| agent.minutes()).max().unwrap_or(0) + 1;
    drop(sent);
    drop(ours);
    let mut ours = Ours::start(plan, &data, plan.kill_servers, bare)?;
    // An agent's spool goes on where it stood; more than this it has not sent.
    let spools: Vec<[i64; 2]> = acked.iter().map(|[events, _]| [events + 1, i64::MAX / 2]).collect();
    let agents = runtime.block_on(connect(&site, &ours, &spools)).map_err(|e| e.to_string())?;
    let lost: i64 = agents
        .iter()
        .zip(&acked)
        .flat_map(|(agent, acked)| (0..2).map(|lane| (acked[lane] - agent.acked[lane].load(Ordering::Acquire)).max(0)))
        .sum();
    let done = runtime.block_on(all(agents, |mut agent| {
        let site = site.clone();
        async move {
            let done = match agent.replay(&site, minutes, None).await {
                Ok(()) => agent.settled().await,
                failed => failed,
            };
            (agent, done)
        }
    }));
    drop(well(done)?);
    drop(runtime);
    ours.until("put")?;
    let everyone: Vec<String> = (0..plan.kill_servers).map(|s| s.to_string()).collect();
    let seen = ours.process.ask(&format!("verify {} {minutes} {}", plan.from, everyone.join(" ")))?;
    let seen: Vec<&str> = seen.split(' ').collect();
    let acked: i64 = acked.iter().map(|lanes| lanes[1]).sum::<i64>() * SENSORS as i64;
    column
        .set("kill -9: acknowledged; of these lost", format!("{:.1} M; {}", acked as f64 / 1e6, lost * SENSORS as i64));
    column.set(
        "kill -9: after sending on: missing, doubled, different",
        format!("{} of {:.1} M", seen.join(", "), (minutes * (plan.kill_servers * SENSORS) as i64) as f64 / 1e6),
    );
    ours.process.stop()?;
    std::fs::remove_dir_all(&data)?;
    Ok(())
}
