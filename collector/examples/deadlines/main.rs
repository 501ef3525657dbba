//! What falls due, each thing once and in time: builds a store of open tickets with three clocks each, has a process of its own
//! watch them, sets that process's wall clock by 2 h, -2 h and a year, kills it six times (SIGKILL), and counts from the logs.
//!
//!     cargo run --release -p outband-collector --example deadlines -- [tickets] [span in seconds] [late at most, in ms]
//!
//! Without arguments: 100,000 tickets whose 300,000 deadlines fall into the next hour, at most 2,000 ms late. Exit code 1 where one was lost,
//! doubled, early or too late; the store is kept then.

#![allow(clippy::print_stdout, reason = "it prints what it measured")]

mod rig;

use rig::{Plan, Result, measure, watch};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [word, dir, span] = args.as_slice()
        && word == "watch"
    {
        watch(Path::new(dir), span.parse()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let number = |i: usize, usual: i64| args.get(i).map_or(Ok(usual), |a| a.parse());
    let limit = Duration::from_millis(number(2, 2000)?.unsigned_abs());
    let plan = Plan { tickets: number(0, 100_000)?, span: number(1, 3600)?, limit };
    let dir = PathBuf::from(std::env::var("TMPDIR").unwrap_or_else(|_| "/tmp".to_owned()))
        .join(format!("outband-deadlines-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let spawn =
        || Ok(Command::new(std::env::current_exe()?).arg("watch").arg(&dir).arg(plan.span.to_string()).spawn()?);
    let verdict = measure(plan, &dir, spawn)?;
    if verdict.is_good(plan) {
        println!(
            "GOOD: each of {} deadlines fired once, at most {} ms late",
            verdict.fired,
            verdict.latest.as_millis()
        );
        fs::remove_dir_all(&dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    println!("BAD: {verdict:?}; the store is in {}", dir.display());
    Ok(ExitCode::FAILURE)
}
