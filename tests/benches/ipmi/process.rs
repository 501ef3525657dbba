//! What processes cost: CPU time and memory, of this one and of others.

use outband_tests::skip;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::time::Duration;

/// Keeps a process on one core, where there are several: this one on the second, those that stand in for BMCs on the first. Without that they take each other's
/// place, and what that costs differs from run to run.
pub(crate) fn pin(pid: u32, core: usize) {
    if std::thread::available_parallelism().map_or(1, usize::from) <= core {
        return;
    }
    let mut command = Command::new("taskset");
    command.args(["-a", "-cp", &core.to_string(), &pid.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    if !command.status().is_ok_and(|status| status.success()) {
        static SAID: Once = Once::new();
        SAID.call_once(|| skip("taskset: processes are not kept on one core each"));
    }
}

/// CPU time of a process so far, user and system, of all its threads.
pub(crate) fn cpu_of(pid: u32) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    let nanos = |stat: String| stat.split(' ').next().and_then(|n| n.parse::<u64>().ok());
    let each = threads.flatten().filter_map(|t| fs::read_to_string(t.path().join("schedstat")).ok());
    Duration::from_nanos(each.filter_map(nanos).sum())
}

/// CPU time of this process so far.
pub(crate) fn cpu() -> Duration {
    cpu_of(std::process::id())
}

/// CPU time of a process and of its children that have ended, in steps of the kernel's tick.
pub(crate) fn cpu_with_children(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<u64> =
        stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(4).map(|n| n.parse().unwrap()).collect();
    Duration::from_millis(fields.iter().sum::<u64>() * 10)
}

/// CPU time of this process's children that have ended.
pub(crate) fn cpu_of_children() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).unwrap();
    let time = |t: nix::sys::time::TimeVal| Duration::from_micros(t.tv_sec() as u64 * 1_000_000 + t.tv_usec() as u64);
    time(usage.user_time()) + time(usage.system_time())
}

/// Memory of a process in KB: all that is resident, and of that what is neither file nor shared.
pub(crate) fn memory_of(pid: u32) -> (f64, f64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    (field("VmRSS:").unwrap_or(0.0), field("RssAnon:").unwrap_or(0.0))
}

/// Memory of this process in KB.
pub(crate) fn resident() -> f64 {
    memory_of(std::process::id()).0
}
