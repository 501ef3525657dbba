//! The programs that the demo runs, their files and their logs.

use super::{DemoError, config};
use crate::process::{self, Child};
use crate::sim::fleet::{Credentials, Server};
use serde::Deserialize;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const AGENT: &str = "outband-agent";
const COLLECTOR: &str = "outband-collector";
/// How long the collector may take to come up, and each program to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Builds what is missing or stale.
pub(super) fn build() -> Result<(), process::ProcessError> {
    process::build(&[AGENT, COLLECTOR, "outband"], true)
}

/// The collector's door for operators.
#[derive(Debug, Clone)]
pub(super) struct Door {
    /// `https://127.0.0.1:PORT` for operators.
    pub(super) operators: String,
    /// The same for agents.
    agents: String,
    /// The collector's data directory.
    data_dir: PathBuf,
    /// Its CA, PEM.
    pub(super) ca: PathBuf,
    /// The operators' token.
    pub(super) token: PathBuf,
}

/// What the collector writes into its data directory once it listens.
#[derive(Debug, Deserialize)]
struct RunInfo {
    agents_addr: std::net::SocketAddr,
    operators_addr: std::net::SocketAddr,
}

/// The running programs. When this goes they are asked to end, agent first, so that it can still deliver what it holds.
#[derive(Debug)]
pub(super) struct Programs {
    root: PathBuf,
    collector: Child,
    agent: Option<Child>,
}

impl Programs {
    /// Starts the collector in `root`.
    pub(super) fn start_collector(root: &Path) -> Result<Self, DemoError> {
        let file = root.join("collector.toml");
        fs::write(&file, config::collector(&root.join("collector"))).map_err(DemoError::io("collector.toml"))?;
        let collector = start(COLLECTOR, root, &file)?;
        Ok(Self { root: root.to_owned(), collector, agent: None })
    }

    /// Waits until the collector listens.
    pub(super) async fn wait_for_collector(&mut self) -> Result<Door, DemoError> {
        let data_dir = self.root.join("collector");
        let end = Instant::now() + PATIENCE;
        loop {
            self.check()?;
            let run = fs::read_to_string(data_dir.join("run.json"))
                .ok()
                .and_then(|t| serde_json::from_str::<RunInfo>(&t).ok());
            if let Some(run) = run {
                let [ca, token] = ["ca.pem", "operator.token"].map(|f| data_dir.join(f));
                let url = |addr| format!("https://{addr}");
                return Ok(Door {
                    operators: url(run.operators_addr),
                    agents: url(run.agents_addr),
                    data_dir,
                    ca,
                    token,
                });
            }
            if Instant::now() > end {
                return Err(DemoError::NotReady(PATIENCE, self.log_end(COLLECTOR)));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts the agent with a target for each server.
    pub(super) fn start_agent(
        &mut self,
        site: &[Server],
        credentials: &Credentials,
        door: &Door,
    ) -> Result<(), DemoError> {
        let password = self.root.join("bmc.password");
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&password)
            .and_then(|mut f| f.write_all(credentials.password.as_bytes()))
            .map_err(DemoError::io("password file"))?;
        let file = self.root.join("agent.toml");
        let text = config::agent(site, &credentials.user, &self.root, &door.data_dir, &door.agents);
        fs::write(&file, text).map_err(DemoError::io("agent.toml"))?;
        self.agent = Some(start(AGENT, &self.root, &file)?);
        Ok(())
    }

    /// Whether all of them still run.
    pub(super) fn check(&mut self) -> Result<(), DemoError> {
        let children = [(COLLECTOR, Some(&mut self.collector)), (AGENT, self.agent.as_mut())];
        let mut ended = None;
        for (program, child) in children {
            if let Some(child) = child
                && let Some(status) = child.ended()?
            {
                ended = Some((program, status.to_string()));
            }
        }
        match ended {
            Some((program, how)) => Err(DemoError::Ended { program, how, log: self.log_end(program) }),
            None => Ok(()),
        }
    }

    /// Where a program logs.
    pub(super) fn log(&self, program: &str) -> PathBuf {
        log_file(&self.root, program)
    }

    /// The directory of it all.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn log_end(&self, program: &str) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.log(program))?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(4000)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_else(|e| format!("(no log: {e})"))
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let children = [(AGENT, self.agent.as_mut()), (COLLECTOR, Some(&mut self.collector))];
        for (program, child) in children {
            if let Some(child) = child
                && let Err(error) = child.stop(PATIENCE)
            {
                tracing::warn!(program, %error, "not ended");
            }
        }
    }
}

fn log_file(root: &Path, program: &str) -> PathBuf {
    root.join(format!("{program}.log"))
}

/// Starts a program with its config; it logs to a file. It gets a process group of its own: a Ctrl-C on the terminal is for the demo, which ends
/// its programs in order.
fn start(program: &'static str, root: &Path, config: &Path) -> Result<Child, DemoError> {
    let log = File::create(log_file(root, program)).map_err(DemoError::io("log file"))?;
    let output = log.try_clone().map_err(DemoError::io("log file"))?;
    let mut command = Command::new(process::program_path(program));
    command
        .args(["run", "--config"])
        .arg(config)
        .stdin(std::process::Stdio::null())
        .stdout(output)
        .stderr(log)
        .process_group(0);
    Ok(Child::start(program, &mut command)?)
}
