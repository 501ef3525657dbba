//! The demo: a simulated site, a real agent, a real collector, and what they make of it. Agent and collector are driven as an operator would
//! drive them, by config files and signals; nothing in them knows that the site is simulated.

mod config;
mod programs;
mod report;
mod watch;

use crate::process::ProcessError;
use crate::sim::fleet::{self, Credentials, Server};
use programs::Programs;
use report::Report;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use watch::{Operator, Watch};

/// Name of the site in configs and resource names.
const SITE: &str = "demo";
/// How long a look at the collector may take, and how long to wait for the next.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the demo is to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many servers the site has.
    pub servers: usize,
    /// What the site, its noise and its faults are made from.
    pub seed: u64,
    /// Start the simulated site and nothing else.
    pub site_only: bool,
    /// End once a drive's and a fan's failure are predicted.
    pub until_tickets: bool,
    /// When to give up; only with `until_tickets`.
    pub timeout: Duration,
    /// Print JSON instead of text.
    pub json: bool,
    /// Leave the temporary directory behind.
    pub keep: bool,
}

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A program could not be built, started or ended.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Something of the system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A program ended by itself.
    #[error("{program} ended ({how}); the end of its log:\n{log}")]
    Ended {
        /// The program.
        program: &'static str,
        /// Its exit status.
        how: String,
        /// The last lines of its log.
        log: String,
    },
    /// The collector did not come up.
    #[error("the collector was not ready within {0:?}; the end of its log:\n{1}")]
    NotReady(Duration, String),
    /// The collector cannot be asked.
    #[error("the collector at {endpoint} cannot be asked: {why}")]
    Ask {
        /// Where.
        endpoint: String,
        /// Why.
        why: String,
    },
}

impl DemoError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Runs the demo. Exit code 0: it was interrupted, or the tickets wished for are open; 1: they were not in time.
pub async fn run(options: Options) -> Result<ExitCode, DemoError> {
    // Signals are caught from the first moment on, so that nothing is left behind.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DemoError::io("signals"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(DemoError::io("signals"))?;
    let mut report = Report::new(&options);
    if options.site_only {
        let (_site, _credentials) = start_site(&options, &report).await?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        return Ok(ExitCode::SUCCESS);
    }
    report.building();
    tokio::task::spawn_blocking(programs::build).await.map_err(|e| DemoError::io("build")(io::Error::other(e)))??;

    // Tokens and passwords lie in it.
    let closed = std::fs::Permissions::from_mode(0o700);
    let dir = tempfile::Builder::new()
        .permissions(closed)
        .prefix("outband-demo-")
        .tempdir()
        .map_err(DemoError::io("temporary directory"))?;
    let root: PathBuf = if options.keep { dir.keep() } else { dir.path().to_owned() };
    let mut stage = Stage::default();
    let outcome = tokio::select! {
        outcome = drive(&options, &root, &mut stage, &mut report) => outcome,
        _ = interrupt.recv() => Ok(ExitCode::SUCCESS),
        _ = terminate.recv() => Ok(ExitCode::SUCCESS),
    };
    report.ending();
    drop(stage);
    outcome
}

/// What runs. The programs end before the site does, so that the agent can close its sessions.
#[derive(Debug, Default)]
struct Stage {
    programs: Option<Programs>,
    site: Vec<Server>,
}

async fn start_site(options: &Options, report: &Report) -> Result<(Vec<Server>, Credentials), DemoError> {
    let credentials = Credentials { user: "monitor".to_owned(), password: format!("{:016x}", rand::random::<u64>()) };
    let plans = fleet::troubled_site(options.servers, options.seed);
    report.site(&plans, options.seed);
    let site = fleet::start(plans, &credentials, 1.0).await.map_err(DemoError::io("simulated site"))?;
    if options.site_only {
        report.bmcs(&site, &credentials);
    }
    Ok((site, credentials))
}

async fn drive(options: &Options, root: &Path, stage: &mut Stage, report: &mut Report) -> Result<ExitCode, DemoError> {
    let (site, credentials) = start_site(options, report).await?;
    stage.site = site;
    let started = Instant::now();
    let started_ms = report::now_ms();
    let programs = stage.programs.insert(Programs::start_collector(root)?);
    let door = programs.wait_for_collector().await?;
    programs.start_agent(&stage.site, &credentials, &door)?;
    report.running(programs, &door, started.elapsed());

    let mut operator = Operator::connect(&door)?;
    let mut watch = Watch::new(started_ms);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        programs.check()?;
        match operator.look().await {
            Ok(seen) => {
                let news = watch.take(seen);
                report.news(&news, &watch, started.elapsed());
            }
            Err(error) => tracing::debug!(%error, "look"),
        }
        if options.until_tickets {
            if watch.missing().is_empty() {
                report.done(&watch, options, started.elapsed());
                return Ok(ExitCode::SUCCESS);
            }
            if started.elapsed() > options.timeout {
                report.failed(&watch, options, started.elapsed());
                return Ok(ExitCode::FAILURE);
            }
        }
    }
}
