//! The short form of the example `deadlines`: a few thousand deadlines in half a minute, with six kills and the wall clock set by hours and a
//! year. How late they may be is the long run's to say, on a machine that does nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "../examples/deadlines/rig.rs"]
mod rig;

use rig::{Plan, measure, watch};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const PLAN: Plan = Plan { tickets: 1_500, span: 24, limit: Duration::from_secs(10) };
/// Tells the process that is killed where the store is.
const STORE: &str = "OUTBAND_DEADLINES_STORE";

/// Not a test of its own: the process that the other one kills.
#[test]
fn the_process_that_is_killed() {
    if let Some(dir) = std::env::var_os(STORE) {
        watch(Path::new(&dir), PLAN.span).unwrap();
    }
}

#[test]
fn each_deadline_fires_once_across_kills_and_steps_of_the_wall_clock() {
    let dir = tempfile::tempdir().unwrap();
    let spawn = || {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--exact", "the_process_that_is_killed"]).env(STORE, dir.path());
        Ok(command.stdout(Stdio::null()).spawn()?)
    };
    let verdict = measure(PLAN, dir.path(), spawn).unwrap();
    assert!(verdict.is_good(PLAN), "{verdict:?}");
}
