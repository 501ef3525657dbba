//! The service: everything wired, until it is told to stop.

use crate::clock::SystemClock;
use crate::config::{self, Config, Invalid, Surroundings};
use crate::enrol::renew;
use crate::host;
use crate::orders::{self, Runner, act::Network};
use crate::poll::guard::Guard;
use crate::poll::hub;
use crate::poll::pins::Pins;
use crate::poll::run::{Plan, Poller, Tally};
use crate::push::{self, Push};
use crate::service;
use crate::spooler::{self, Held, Spooler};
use crate::uplink::{self, Announce, Credential, Link, Settings};
use outband_schemas::{AgentId, SiteId, TargetId};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// Kept free beside the spool for a full disk: room for its write-ahead log, and for that log folded into the file.
const SPOOL_SPARE: u64 = 6 << 20;
/// A sync of the disk costs as much as the work of a poll, and nobody waits for a poll by the millisecond.
const GATHER: Duration = Duration::from_millis(200);
/// How long the spool may take to reach the collector when the agent stops; what is left goes after the next start.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// The poller turns every few seconds; silent for this long it hangs, and the watchdog is no longer fed.
const POLLER_HANGS: Duration = Duration::from_secs(60);
/// Why the agent could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The config is not usable.
    #[error("{0}")]
    Config(#[from] Invalid),
    /// The data directory cannot be made.
    #[error("the data directory {path} cannot be made: {source}")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The spool cannot be opened.
    #[error("the spool cannot be opened: {0}")]
    Spool(#[from] spooler::Error),
    /// IPMI cannot be spoken.
    #[error("the loop that speaks IPMI cannot be started: {0}")]
    Hub(io::Error),
    /// BMCs cannot post events.
    #[error(transparent)]
    Push(#[from] push::Error),
    /// Signals cannot be heard.
    #[error("signals cannot be heard: {0}")]
    Signals(io::Error),
    /// A part of the agent ended although nobody asked it to.
    #[error("the {0} ended by itself; that is a defect")]
    Ended(&'static str),
}

/// The parts that run, and the ways to tell them of a new config.
struct App {
    config: Config,
    plan: watch::Sender<Plan>,
    settings: watch::Sender<Settings>,
    /// How often the agent's certificate was renewed.
    renewed: watch::Receiver<u64>,
    host: watch::Sender<host::Plan>,
    orders: watch::Sender<orders::Plan>,
    tally: watch::Receiver<Tally>,
    link: watch::Receiver<Link>,
    held: watch::Receiver<Held>,
}

/// Runs the agent until SIGTERM or SIGINT.
pub async fn run(path: &Path, around: &Surroundings) -> Result<(), Error> {
    let config = config::load(path, around)?;
    // What BMCs say of a site is not for everybody on the machine.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir)
        .map_err(|source| Error::DataDir { path: config.data_dir.clone(), source })?;
    warn_of_weak(&config, None);
    let mut hangup = signal(SignalKind::hangup()).map_err(Error::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;

    let (spooler, spool_thread) = open_spool(&config)?;
    let (polling, sending) = (CancellationToken::new(), CancellationToken::new());
    let (pins, guard) = (Pins::of(&config.data_dir), Guard::of(&config.data_dir));
    let (push, bells) = Push::start(&config.push, &config.agent, &config.data_dir, spooler.clone()).await?;
    let (wish, wishes) = mpsc::unbounded_channel();
    let hand = Network::new(pins.clone(), guard.clone(), config.limits, wish);
    let hub = hub::start(&config.data_dir).map_err(Error::Hub)?;
    let poller = Poller::new(hub, spooler.clone(), pins, guard, SystemClock, SmallRng::from_rng(&mut rand::rng()));
    let poller = poller.listening(push, bells).obliging(wishes);
    let link = watch::Sender::new(Link::default());
    let renewed = watch::Sender::new(0);
    let mut app = App {
        plan: watch::Sender::new(plan(&config)),
        settings: watch::Sender::new(settings(&config, 0)),
        renewed: renewed.subscribe(),
        host: watch::Sender::new(host_plan(&config)),
        orders: watch::Sender::new(orders_plan(&config)),
        tally: poller.tally(),
        link: link.subscribe(),
        held: spooler.held(),
        config,
    };
    let (ask, asked) = mpsc::channel(orders::WAITING);
    let runner = Runner { hand, spooler: spooler.clone(), clock: SystemClock, plan: app.orders.subscribe() };
    let orders = tokio::spawn(runner.run(asked, polling.clone()));
    let mut uplink = tokio::spawn(uplink::run(
        app.settings.subscribe(),
        spooler.clone(),
        link,
        ask,
        SmallRng::from_rng(&mut rand::rng()),
        sending.clone(),
    ));
    let seen = app.settings.subscribe();
    let renewing = tokio::spawn(renew::run(
        renew::Network,
        move || seen.borrow().options.clone(),
        SystemClock,
        SmallRng::from_rng(&mut rand::rng()),
        renewed,
        polling.clone(),
    ));
    let mut poller = tokio::spawn(poller.run(app.plan.subscribe(), polling.clone()));
    let host = tokio::spawn(host::run(app.host.subscribe(), spooler.clone(), polling.clone()));
    drop(spooler);
    tracing::info!(agent = %app.config.agent, site = %app.config.site, targets = app.config.targets.len(), "started");
    service::ready(&app.status());

    let mut tick = interval(service::heartbeat());
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut beat = (0, Instant::now());
    let result = loop {
        tokio::select! {
            biased;
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
            _ = &mut poller => break Err(Error::Ended("poller")),
            _ = &mut uplink => break Err(Error::Ended("uplink")),
            Some(()) = hangup.recv() => app.reload(path, around),
            Ok(()) = app.renewed.changed() => app.present_anew(),
            _ = tick.tick() => {
                let turns = app.tally.borrow().beat;
                if turns != beat.0 {
                    beat = (turns, Instant::now());
                }
                if beat.1.elapsed() < POLLER_HANGS {
                    service::alive(&app.status());
                } else {
                    tracing::error!("the poller hangs; systemd's watchdog is no longer fed");
                }
            }
        }
    };
    service::stopping();
    tracing::info!("stopping");
    polling.cancel();
    finish("poller", poller).await;
    finish("host reader", host).await;
    finish("renewal", renewing).await;
    finish("orders", orders).await;
    drain(app.held.clone(), &app.link).await;
    sending.cancel();
    finish("uplink", uplink).await;
    drop(app);
    // The last handle is gone with the uplink: the thread ends, and with it the file is closed.
    if tokio::task::spawn_blocking(move || spool_thread.join()).await.is_ok_and(|joined| joined.is_err()) {
        tracing::error!("the spool's thread ended in a defect");
    }
    tracing::info!("stopped");
    result
}

impl App {
    /// Takes a new config if it is good; else keeps the old one and says what is wrong with the new.
    fn reload(&mut self, path: &Path, around: &Surroundings) {
        service::reloading();
        match config::load(path, around).map_err(Error::from) {
            Ok(new) if new.data_dir != self.config.data_dir => {
                let (old, new) = (self.config.data_dir.display(), new.data_dir.display());
                tracing::error!(%old, %new, "agent.data_dir cannot change while the agent runs: restart it; the old config stays");
            }
            Ok(new) => {
                if new.spool_quota != self.config.spool_quota {
                    tracing::warn!("spool.quota changes at the next restart");
                }
                if new.push != self.config.push {
                    tracing::warn!("[push] changes at the next restart");
                }
                warn_of_weak(&new, Some(&self.config));
                self.config = new;
                self.plan.send_replace(plan(&self.config));
                self.settings.send_if_modified(|old| replace(old, settings(&self.config, *self.renewed.borrow())));
                self.orders.send_replace(orders_plan(&self.config));
                self.host.send_if_modified(|old| replace(old, host_plan(&self.config)));
                tracing::info!(targets = self.config.targets.len(), "config reloaded");
            }
            Err(Error::Config(invalid)) => {
                for problem in &invalid.problems {
                    tracing::error!(%problem, "config not reloaded; the old one stays");
                }
            }
            Err(error) => tracing::error!(%error, "config not reloaded; the old one stays"),
        }
        service::ready(&self.status());
    }

    /// Has the stream come back with the new certificate.
    fn present_anew(&mut self) {
        let renewed = *self.renewed.borrow_and_update();
        self.settings.send_if_modified(|old| replace(old, settings(&self.config, renewed)));
    }

    fn status(&self) -> String {
        let tally = *self.tally.borrow();
        let link = self.link.borrow();
        let way = match (&link.connected, &link.last_error) {
            (Some(endpoint), _) => format!("sending to {endpoint}"),
            (None, Some(error)) => format!("not connected: {error}"),
            (None, None) => "connecting".to_owned(),
        };
        let waiting = waiting(&self.held.borrow());
        format!("{} targets, {} silent; {way}; {waiting} entries wait", tally.targets, tally.silent)
    }
}

/// Says once of each BMC what is weak about the sessions that its configuration allows; not again of those of which it was said `before`.
fn warn_of_weak(config: &Config, before: Option<&Config>) {
    for (id, target) in config.targets.iter() {
        let known = |old: &Config| old.targets.get(id).is_some_and(|old| old.weakness() == target.weakness());
        if let Some(weakness) = target.weakness().filter(|_| !before.is_some_and(known)) {
            tracing::warn!(target = %id, %weakness, "weak sessions are allowed with this BMC");
        }
    }
}

fn replace<T: PartialEq>(old: &mut T, new: T) -> bool {
    let changed = *old != new;
    *old = new;
    changed
}

fn open_spool(config: &Config) -> Result<(Spooler, std::thread::JoinHandle<()>), Error> {
    let defaults = outband_spool::Options::default();
    let options = spooler::Options {
        path: config.data_dir.join("spool.db"),
        spool: outband_spool::Options { quota_bytes: config.spool_quota, spare_bytes: SPOOL_SPARE, ..defaults },
        gather: GATHER,
    };
    let (spooler, found, thread) = Spooler::start(options, SystemClock, rand::random)?;
    if let Some(aside) = &found.set_aside {
        tracing::error!(set_aside = %aside.display(), "the spool was damaged: a new one is begun, what the old one held is lost");
    }
    Ok((spooler, thread))
}

fn plan(config: &Config) -> Plan {
    Plan { targets: config.targets.clone(), limits: config.limits }
}

fn settings(config: &Config, renewed: u64) -> Settings {
    let collector = &config.collector;
    let options = uplink::Options {
        endpoints: collector.endpoints.clone(),
        ca_file: collector.ca_file.clone(),
        credential: match &collector.credential {
            Credential::Identity { file, .. } => Credential::Identity { file: file.clone(), renewed },
            token => token.clone(),
        },
        server_name: collector.domain.clone(),
    };
    let announce = announce(&config.agent, &config.site, config.targets.keys(), config.cadence.sensors);
    Settings { options, announce }
}

fn announce<'a>(
    agent: &AgentId,
    site: &SiteId,
    targets: impl Iterator<Item = &'a TargetId>,
    sensor_interval: Duration,
) -> Announce {
    Announce {
        agent: agent.clone(),
        site: site.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        targets: targets.cloned().collect(),
        sensor_interval,
    }
}

fn orders_plan(config: &Config) -> orders::Plan {
    let targets = config.targets.clone();
    orders::Plan { agent: config.agent.clone(), orders: config.orders.clone(), targets }
}

fn host_plan(config: &Config) -> host::Plan {
    host::Plan { agent: config.agent.clone(), data_dir: config.data_dir.clone(), every: config.host_every }
}

/// Entries that the collector does not have yet.
fn waiting(held: &Held) -> i64 {
    let lanes = [held.lanes.event, held.lanes.telemetry];
    lanes.iter().map(|lane| (lane.next - 1 - lane.released).max(0)).sum()
}

/// Waits until the collector has everything, while it is connected and for a few seconds at most.
async fn drain(mut held: watch::Receiver<Held>, link: &watch::Receiver<Link>) {
    if link.borrow().connected.is_none() {
        return;
    }
    let empty = held.wait_for(|held| waiting(held) == 0);
    if timeout(DRAIN_WITHIN, empty).await.is_err() {
        tracing::info!("what the collector does not have yet stays in the spool for the next start");
    }
}

async fn finish(name: &'static str, task: JoinHandle<()>) {
    if task.is_finished() {
        return;
    }
    if let Err(error) = task.await {
        tracing::error!(name, %error, "ended in a defect");
    }
}
