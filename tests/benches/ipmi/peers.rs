//! What others need for a poll of the same BMCs, where they are installed: one process a poll, as they are used.

use crate::fleet::{Fleet, PASSWORD, Sick, USER};
use crate::process::{cpu_of_children, cpu_with_children};
use outband_tests::{Child, free_port, skip, wait_until};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// BMCs that each of them polls, and how often.
const BMCS: usize = 10;
const ROUNDS: usize = 3;

/// Prints a line for each that is there; `ours` is what a poll of our client takes, in milliseconds of CPU.
pub(crate) fn run(ours: f64) {
    let fleet = Fleet::bmcs(BMCS, Sick::default());
    let dir = tempfile::tempdir().unwrap();
    println!("| peer | ms CPU a poll | times ours | ms wall a poll | failed |");
    println!("|---|---|---|---|---|");
    for suite in ["3", "17"] {
        let plain = |at: &SocketAddr| ipmitool(at, suite, None);
        commands(&format!("ipmitool -C {suite} sdr elist"), &fleet, ours, &plain);
        let cache = |at: &SocketAddr| dir.path().join(format!("{}.sdr", at.port()));
        for at in &fleet.at {
            let mut dump = ipmitool(at, suite, None);
            let dumped = dump.args(["sdr", "dump"]).arg(cache(at)).stdout(Stdio::null()).stderr(Stdio::null()).status();
            // Where it is not installed, that was said already.
            dumped.ok();
        }
        let cached = |at: &SocketAddr| ipmitool(at, suite, Some(&cache(at)));
        commands(&format!("ipmitool -C {suite} -S CACHE sdr elist"), &fleet, ours, &cached);
        let sensors = |at: &SocketAddr| ipmi_sensors(at, suite, dir.path());
        commands(&format!("ipmi-sensors -I {suite}, its cache warm"), &fleet, ours, &sensors);
    }
    exporter(&fleet, ours, dir.path());
}

fn ipmitool(at: &SocketAddr, suite: &str, cache: Option<&Path>) -> Command {
    let mut command = Command::new("ipmitool");
    command.args([
        "-I",
        "lanplus",
        "-H",
        "127.0.0.1",
        "-p",
        &at.port().to_string(),
        "-C",
        suite,
        "-U",
        USER,
        "-P",
        PASSWORD,
    ]);
    if let Some(cache) = cache {
        command.arg("-S").arg(cache);
    }
    command
}

fn ipmi_sensors(at: &SocketAddr, suite: &str, dir: &Path) -> Command {
    let mut command = Command::new("ipmi-sensors");
    command.args(["-D", "LAN_2_0", "-h", &at.to_string(), "-I", suite, "-u", USER, "-p", PASSWORD, "-l", "USER"]);
    command.arg("--quiet-cache").arg("--sdr-cache-directory").arg(dir);
    command
}

/// Polls every BMC a few times by a command that is made for each.
fn commands(name: &str, fleet: &Fleet, ours: f64, command: &dyn Fn(&SocketAddr) -> Command) {
    let once = |at: &SocketAddr| {
        let mut command = command(at);
        if command.get_program() == "ipmitool" {
            command.args(["sdr", "elist"]);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    // The first call may fill a cache.
    for at in &fleet.at {
        if let Err(error) = once(at) {
            return skip(format!("{name}: {error}"));
        }
    }
    let (begun, before, mut failed) = (Instant::now(), cpu_of_children(), 0);
    for _ in 0..ROUNDS {
        failed += fleet.at.iter().filter(|at| !once(at).unwrap().success()).count();
    }
    tell(name, cpu_of_children() - before, begun.elapsed(), ours, failed);
}

fn tell(name: &str, cpu: Duration, wall: Duration, ours: f64, failed: usize) {
    let each = |d: Duration| d.as_secs_f64() * 1000.0 / (BMCS * ROUNDS) as f64;
    println!("| {name} | {:.1} | {:.0} | {:.0} | {failed} |", each(cpu), each(cpu) / ours, each(wall));
}

/// The exporter's program polls when it is asked, by processes of its own.
fn exporter(fleet: &Fleet, ours: f64, dir: &Path) {
    let name = "prometheus-ipmi-exporter";
    let module = |collectors: &str| {
        format!(
            "    user: \"{USER}\"\n    pass: \"{PASSWORD}\"\n    driver: \"LAN_2_0\"\n    privilege: \"user\"\n    timeout: 20000\n    collectors: [{collectors}]\n"
        )
    };
    let config = dir.join("exporter.yml");
    let text = format!("modules:\n  default:\n{}  sensors:\n{}", module("bmc, ipmi, chassis, sel"), module("ipmi"));
    std::fs::write(&config, text).unwrap();
    let port = free_port().unwrap();
    let mut command = Command::new(name);
    command.arg(format!("--config.file={}", config.display())).arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let running = match Child::start(name, command.stdout(Stdio::null()).stderr(Stdio::null())) {
        Ok(running) => running,
        Err(error) => return skip(format!("{name}: {error}")),
    };
    let scrape = |at: &SocketAddr, module: &str| -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        write!(stream, "GET /ipmi?target={at}&module={module} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    if !wait_until(Duration::from_secs(10), || TcpStream::connect(("127.0.0.1", port)).is_ok()) {
        return skip(format!("{name} does not listen"));
    }
    for module in ["sensors", "default"] {
        let (begun, before, mut failed) = (Instant::now(), cpu_with_children(running.id()), 0);
        for _ in 0..ROUNDS {
            let whole =
                |at: &&SocketAddr| scrape(at, module).is_ok_and(|a| a.contains("ipmi_up{collector=\"ipmi\"} 1"));
            failed += fleet.at.iter().filter(|at| !whole(at)).count();
        }
        tell(
            &format!("{name}, module {module}"),
            cpu_with_children(running.id()) - before,
            begun.elapsed(),
            ours,
            failed,
        );
    }
}
