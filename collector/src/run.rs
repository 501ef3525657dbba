//! `outband-collector run`: the process around a [`Collector`] - signals, systemd, the log.

use crate::app::{Collector, Error};
use crate::config::Config;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use outband_store::Store;
use sd_notify::NotifyState;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Runs until SIGTERM or Ctrl-C.
pub fn run(path: Option<PathBuf>) -> Result<(), Error> {
    start_log();
    let config = read(&path)?;
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Process)?;
    runtime.block_on(async {
        let mut signals = Signals::new().map_err(Error::Process)?;
        let mut collector = Collector::start(config).await?;
        tell_systemd(&[NotifyState::Ready]);
        let watchdog = tokio::spawn(watchdog(collector.store().clone()));
        let end = loop {
            tokio::select! {
                error = collector.failed() => break Err(error),
                what = signals.next() => match what {
                    Asked::Stop => break Ok(()),
                    Asked::Reload => reload(&mut collector, &path),
                },
            }
        };
        tell_systemd(&[NotifyState::Stopping]);
        tracing::info!("stopping");
        let stopped = collector.stop().await;
        watchdog.abort();
        end.and(stopped)
    })
}

/// Each connection is a file: as many as the system allows this process. The soft limit is for programs that use `select`.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) });
    if let Err(error) = raised {
        tracing::warn!(%error, "the number of open files stays as it was");
    }
}

fn read(path: &Option<PathBuf>) -> Result<Config, Error> {
    match path {
        Some(path) => Ok(Config::load(path)?),
        None => Ok(Config::default()),
    }
}

fn reload(collector: &mut Collector, path: &Option<PathBuf>) {
    match read(path).and_then(|config| collector.reload(config)) {
        Ok(()) => tracing::info!("reloaded the config and the tokens"),
        Err(error) => tracing::error!(%error, "not reloaded; what was in force stays"),
    }
}

fn start_log() {
    let filter = EnvFilter::try_from_env("OUTBAND_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // The journal writes the time itself.
    let set = if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().with_ansi(false).try_init()
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    if let Err(error) = set {
        eprintln!("outband-collector: the log cannot be set up: {error}");
    }
}

enum Asked {
    Stop,
    Reload,
}

struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.term.recv() => Asked::Stop,
            _ = self.int.recv() => Asked::Stop,
            _ = self.hup.recv() => Asked::Reload,
        }
    }
}

fn tell_systemd(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot tell systemd");
    }
}

/// Tells systemd that the collector lives, as long as the store answers.
async fn watchdog<S: Store>(store: S) {
    let Some(every) = sd_notify::watchdog_enabled().map(|t| t / 3).filter(|t| *t > Duration::ZERO) else { return };
    loop {
        tokio::time::sleep(every).await;
        let asked = store.clone();
        // A full disk is an answer too: only a store that hangs is a reason to start anew.
        match tokio::task::spawn_blocking(move || asked.cursor().is_ok()).await {
            Ok(_) => tell_systemd(&[NotifyState::Watchdog]),
            Err(error) => tracing::error!(%error, "the store cannot be asked"),
        }
    }
}
