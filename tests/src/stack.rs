//! A real collector and a real agent as children, with their configs in one directory, to be killed and started again at will.

use crate::process::{self, Child, ProcessError};
use crate::sim::fleet::{Credentials, Server};
use crate::wait::{free_port, wait_until};
use nix::sys::signal::Signal;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long a program may take to come up or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the stack does not stand.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A program could not be built, started or ended.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file could not be written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The collector did not say that it listens.
    #[error("the collector did not listen within {PATIENCE:?}; its log: {log}")]
    NotReady {
        /// Where its log is.
        log: PathBuf,
    },
}

/// The programs and their directory.
#[derive(Debug)]
pub struct Stack {
    root: PathBuf,
    agents_port: u16,
    operators_port: u16,
    collector: Option<Child>,
    agent: Option<Child>,
    log_filter: Option<String>,
    environment: Vec<(String, String, String)>,
}

impl Stack {
    /// Writes the configs into `root` and builds the programs. `collector_more` is appended to collector.toml, `cadence` is the cadence of every section.
    pub fn new(
        root: &Path,
        site: &[Server],
        login: &Credentials,
        cadence: &str,
        collector_more: &str,
    ) -> Result<Self, StackError> {
        process::build(&["outband-collector", "outband-agent", "outband"], false)?;
        let stack = Self {
            root: root.to_owned(),
            agents_port: free_port()?,
            operators_port: free_port()?,
            collector: None,
            agent: None,
            log_filter: None,
            environment: Vec::new(),
        };
        let collector = format!(
            "[listen]\nagents = \"127.0.0.1:{}\"\noperators = \"127.0.0.1:{}\"\n[data]\nkeep_free_mib = 0\ndir = '{}'\n{collector_more}",
            stack.agents_port,
            stack.operators_port,
            stack.collector_dir().display()
        );
        fs::write(root.join("collector.toml"), collector)?;
        let mut password =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(root.join("bmc.password"))?;
        password.write_all(login.password.as_bytes())?;
        fs::write(root.join("agent.toml"), stack.agent_config(site, login, cadence))?;
        Ok(stack)
    }

    fn agent_config(&self, site: &[Server], login: &Credentials, cadence: &str) -> String {
        let (root, dir) = (self.root.display(), self.collector_dir());
        let mut text = format!(
            "[agent]\nid = \"a1\"\nsite = \"dc1\"\ndata_dir = '{root}/agent'\n\
             [collector]\nendpoints = [\"https://127.0.0.1:{}\"]\nca_file = '{}'\ntoken_file = '{}'\n\
             [cadence]\nsensors = \"{cadence}\"\ndrives = \"{cadence}\"\nlog = \"{cadence}\"\ninventory = \"1m\"\n\
             [poll]\nrequest_deadline = \"3s\"\npoll_deadline = \"10s\"\n\
             [credentials.bmc]\nuser = \"{}\"\npassword_file = '{root}/bmc.password'\n",
            self.agents_port,
            dir.join("ca.pem").display(),
            dir.join("agent.token").display(),
            login.user,
        );
        for server in site {
            // Writing to a String cannot fail.
            write!(
                text,
                "[[targets]]\nid = \"{}\"\nurl = \"{}\"\ncredentials = \"bmc\"\n",
                server.plan.spec.name,
                server.bmc.url()
            )
            .unwrap_or_default();
        }
        text
    }

    /// The collector's data directory.
    pub fn collector_dir(&self) -> PathBuf {
        self.root.join("collector")
    }

    /// The agent's spool.
    pub fn spool(&self) -> PathBuf {
        self.root.join("agent/spool.db")
    }

    /// The collector's store.
    pub fn store(&self) -> PathBuf {
        self.collector_dir().join("store.db")
    }

    /// Where operators ask.
    pub fn operators(&self) -> String {
        format!("https://127.0.0.1:{}", self.operators_port)
    }

    /// Starts the collector and waits until it listens.
    pub fn start_collector(&mut self) -> Result<(), StackError> {
        let run = self.collector_dir().join("run.json");
        if run.exists() {
            fs::remove_file(&run)?;
        }
        self.collector = Some(self.start("outband-collector", "collector.toml")?);
        if wait_until(PATIENCE, || run.exists()) {
            Ok(())
        } else {
            Err(StackError::NotReady { log: self.log("outband-collector") })
        }
    }

    /// Starts the agent.
    pub fn start_agent(&mut self) -> Result<(), StackError> {
        self.agent = Some(self.start("outband-agent", "agent.toml")?);
        Ok(())
    }

    /// Kills the collector as a power cut would.
    pub fn kill_collector(&mut self) -> Result<(), StackError> {
        kill(self.collector.take())
    }

    /// Kills the agent as a power cut would.
    pub fn kill_agent(&mut self) -> Result<(), StackError> {
        kill(self.agent.take())
    }

    /// Asks the agent to end; how it did.
    pub fn stop_agent(&mut self) -> Result<Option<ExitStatus>, StackError> {
        stop(self.agent.take())
    }

    /// Asks the collector to end; how it did.
    pub fn stop_collector(&mut self) -> Result<Option<ExitStatus>, StackError> {
        stop(self.collector.take())
    }

    /// What programs that are started from now on shall log, as `OUTBAND_LOG` says it.
    pub fn set_log(&mut self, filter: &str) {
        self.log_filter = Some(filter.to_owned());
    }

    /// What a program finds in its environment when it is started from now on.
    pub fn set_env(&mut self, program: &str, key: &str, value: &str) {
        self.environment.push((program.to_owned(), key.to_owned(), value.to_owned()));
    }

    /// Where a program's log is.
    pub fn log(&self, program: &str) -> PathBuf {
        self.root.join(format!("{program}.log"))
    }

    /// A CLI call, ready to run but for its words.
    pub fn outband(&self) -> Command {
        let mut command = Command::new(process::program_path("outband"));
        let dir = self.collector_dir();
        command
            .args(["--endpoint", &self.operators()])
            .arg("--ca")
            .arg(dir.join("ca.pem"))
            .arg("--token-file")
            .arg(dir.join("operator.token"));
        command
    }

    /// The collector's config.
    pub fn collector_toml(&self) -> PathBuf {
        self.root.join("collector.toml")
    }

    /// The agent's config.
    pub fn agent_toml(&self) -> PathBuf {
        self.root.join("agent.toml")
    }

    /// Tells the agent to read its config again.
    pub fn reload_agent(&self) -> Result<(), StackError> {
        self.agent.as_ref().map_or(Ok(()), |agent| agent.signal(Signal::SIGHUP)).map_err(Into::into)
    }

    /// The programs that run, by process id.
    pub fn processes(&self) -> Vec<u32> {
        [&self.collector, &self.agent].into_iter().flatten().map(Child::id).collect()
    }

    /// Whether the programs that were started and not ended still run.
    pub fn runs(&mut self) -> Result<bool, StackError> {
        for child in [&mut self.collector, &mut self.agent].into_iter().flatten() {
            if child.ended()?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn start(&self, program: &str, config: &str) -> Result<Child, StackError> {
        let log = OpenOptions::new().create(true).append(true).open(self.log(program))?;
        let mut command = Command::new(process::program_path(program));
        command.args(["run", "--config"]).arg(self.root.join(config));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.envs(self.log_filter.iter().map(|filter| ("OUTBAND_LOG", filter)));
        let ours = self.environment.iter().filter(|(of, ..)| of == program);
        command.envs(ours.map(|(_, key, value)| (key, value)));
        Ok(Child::start(program, &mut command)?)
    }
}

fn kill(child: Option<Child>) -> Result<(), StackError> {
    if let Some(mut child) = child {
        child.kill()?;
    }
    Ok(())
}

fn stop(child: Option<Child>) -> Result<Option<ExitStatus>, StackError> {
    child.map(|mut c| c.stop(PATIENCE)).transpose().map_err(Into::into)
}
