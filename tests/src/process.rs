//! The real programs as children: built when missing or stale, ended when their guard goes.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Why a program could not be built or run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("{program} could not be started: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// Cargo refused.
    #[error("cargo build of {programs} failed: {status}")]
    Build {
        /// The programs.
        programs: String,
        /// How cargo ended.
        status: ExitStatus,
    },
    /// It could not be signalled or waited for.
    #[error("{program} could not be ended: {source}")]
    End {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
}

/// The target folder's profile folder in which this very program stands, e.g. `target/release`.
fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    let dir = exe.parent().unwrap_or(Path::new("."));
    // Test programs stand one deeper, in `deps`.
    let dir = if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir };
    dir.to_owned()
}

/// Where the program of a package stands once it is built with the profile of this very program.
pub fn program_path(name: &str) -> PathBuf {
    profile_dir().join(name)
}

/// Builds programs with the profile of this very program, so that none is stale. Cargo's own progress is shown when `show` is set.
///
/// No package is named: cargo then settles the features of dependencies for the whole workspace, as it did for this program, and what is built
/// is not built a second time with others.
pub fn build(programs: &[&str], show: bool) -> Result<(), ProcessError> {
    let dir = profile_dir();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(crate::workspace_dir()).arg("build").stdin(Stdio::null());
    cargo.args(programs.iter().flat_map(|program| ["--bin", program]));
    // The folder of the profile `dev` is called `debug`; all others bear their profile's name.
    match dir.file_name().and_then(|n| n.to_str()) {
        Some("debug") | None => {}
        Some(profile) => {
            cargo.args(["--profile", profile]);
        }
    }
    if let Some(target) = dir.parent() {
        cargo.arg("--target-dir").arg(target);
    }
    if !show {
        cargo.arg("--quiet");
    }
    // What cargo sets for the program that it runs must not reach the cargo that this program runs: it would rebuild everything.
    for (key, _) in std::env::vars_os() {
        if key.to_str().is_some_and(|k| k.starts_with("CARGO_PKG_") || k.starts_with("CARGO_MANIFEST")) {
            cargo.env_remove(key);
        }
    }
    let status = cargo.status().map_err(|source| ProcessError::Start { program: "cargo".to_owned(), source })?;
    if status.success() { Ok(()) } else { Err(ProcessError::Build { programs: programs.join(", "), status }) }
}

/// The path of a program, built first where it is missing or stale.
pub fn bin(name: &str) -> Result<PathBuf, ProcessError> {
    build(&[name], false)?;
    Ok(program_path(name))
}

/// A running program that is killed when this goes out of scope.
#[derive(Debug)]
pub struct Child {
    name: String,
    child: std::process::Child,
}

impl Child {
    /// Starts a program.
    pub fn start(name: &str, command: &mut Command) -> Result<Self, ProcessError> {
        let child = command.spawn().map_err(|source| ProcessError::Start { program: name.to_owned(), source })?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        self.child.try_wait().map_err(|source| self.end_error(source))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        let pid = i32::try_from(self.child.id()).map_err(|e| self.end_error(io::Error::other(e)))?;
        kill(Pid::from_raw(pid), signal).map_err(|e| self.end_error(e.into()))
    }

    /// Kills it as a power cut would: at once, with no chance to tidy up.
    pub fn kill(&mut self) -> Result<ExitStatus, ProcessError> {
        self.child.kill().map_err(|source| self.end_error(source))?;
        self.child.wait().map_err(|source| self.end_error(source))
    }

    /// Asks it to end (SIGTERM) and waits; kills it once `patience` has passed.
    pub fn stop(&mut self, patience: Duration) -> Result<ExitStatus, ProcessError> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        self.signal(Signal::SIGTERM)?;
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill()
    }

    fn end_error(&self, source: io::Error) -> ProcessError {
        ProcessError::End { program: self.name.clone(), source }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) && self.child.kill().is_ok() && self.child.wait().is_err() {
            tracing::warn!(program = %self.name, "killed, and it did not end");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn shell(script: &str) -> Child {
        Child::start("sh", Command::new("sh").args(["-c", script]).stdout(Stdio::piped())).unwrap()
    }

    fn lives(pid: u32) -> bool {
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), None).is_ok()
    }

    #[test]
    fn a_program_that_goes_out_of_scope_is_gone() {
        let child = shell("exec sleep 60");
        let pid = child.id();
        assert!(lives(pid));
        drop(child);
        assert!(!lives(pid));
    }

    #[test]
    fn a_program_is_asked_to_end_before_it_is_killed() {
        let mut polite = shell("exec sleep 60");
        assert_eq!(polite.stop(Duration::from_secs(10)).unwrap().signal(), Some(Signal::SIGTERM as i32));
    }

    #[test]
    fn a_program_that_will_not_end_is_killed() {
        let mut stubborn = shell("trap '' TERM; echo ready; while :; do sleep 0.05; done");
        let mut ready = [0; 6];
        std::io::Read::read_exact(&mut stubborn.child.stdout.take().unwrap(), &mut ready).unwrap();
        assert_eq!(stubborn.stop(Duration::from_millis(200)).unwrap().signal(), Some(Signal::SIGKILL as i32));
    }
}
