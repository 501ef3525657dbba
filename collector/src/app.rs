//! The collector as a whole: opens what is on disk, starts the loops and the listeners, ends them in order.

use crate::audit::{self, Refusals};
use crate::auth::Gate;
use crate::check;
use crate::clock::{self, SteadyClock};
use crate::compat::{self, Compatibility};
use crate::config::{self, Config};
use crate::datadir::{self, DataDir, RunInfo};
use crate::deadline;
use crate::drill;
use crate::enrol::{self, Office, service::Counter};
use crate::fleet;
use crate::grant;
use crate::ingest::{Ingest, Registry};
use crate::judgement::{Judgement, Terms};
use crate::metrics::{self, Sources};
use crate::orders;
use crate::query::Desk;
use crate::query::pulse::Pulse;
use crate::serve::{self, Bound};
use crate::service::{self, Service};
use crate::token::{self, Role, TokenKey, Tokens};
use crate::topology::{self, Topology};
use crate::{assess, backtest, calendars, notify, putaway, record, tls, train, upkeep};
use outband_schemas::{Clock, Timestamp};
use outband_store::audit::{Actor, Audit, Deed, Outcome};
use outband_store::deadline::Deadlines;
use outband_store::sqlite::Options;
use outband_store::{SqliteStore, Store, StoreError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// With fewer days to live than this, a running collector's certificate is an operator's business.
const CERTIFICATE_DAYS: u64 = 60;
/// How long streams and watches may take to end.
const DRAIN: Duration = Duration::from_secs(15);

/// Why the collector does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What administrators of the machine did.
    #[error(transparent)]
    Journal(#[from] audit::journal::Error),
    /// A backup.
    #[error(transparent)]
    Backup(#[from] crate::backup::Error),
    /// The config.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The business hours of the config.
    #[error("[sla]: {0}")]
    Calendar(#[from] outband_ticket::CalendarError),
    /// The calendars that are kept.
    #[error(transparent)]
    Calendars(#[from] calendars::Error),
    /// What is promised to whom.
    #[error(transparent)]
    Service(#[from] service::Error),
    /// Where servers stand.
    #[error(transparent)]
    Topology(#[from] topology::Error),
    /// The list of parts that fit.
    #[error(transparent)]
    Compatibility(#[from] compat::Error),
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] datadir::Error),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The tokens.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// The store.
    #[error("{path}: {source}")]
    Store {
        /// Its directory.
        path: PathBuf,
        /// What it says.
        source: StoreError,
    },
    /// The listeners.
    #[error(transparent)]
    Serve(#[from] serve::Error),
    /// The listener for metrics.
    #[error(transparent)]
    Metrics(#[from] metrics::Error),
    /// A back-test.
    #[error(transparent)]
    Backtest(#[from] backtest::Error),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] train::Error),
    /// The assessment.
    #[error(transparent)]
    Assess(#[from] assess::Error),
    /// The deadlines.
    #[error(transparent)]
    Deadline(#[from] deadline::Error),
    /// The notices.
    #[error(transparent)]
    Notify(#[from] notify::Error),
    /// The orders.
    #[error(transparent)]
    Orders(#[from] orders::Error),
    /// What is likely to be missed.
    #[error(transparent)]
    Foretell(#[from] notify::foretell::Error),
    /// The runtime or the signals.
    #[error("cannot start: {0}")]
    Process(std::io::Error),
    /// What is kept is not what was done.
    #[error("what is kept is not what was done: the store was changed by something else than the collector")]
    Tampered,
    /// A question was answered with no.
    #[error("not done; see above")]
    NoUse,
    /// A task panicked.
    #[error("a part of the collector failed: {0}")]
    Task(#[from] JoinError),
    /// A part came to an end although nobody asked it to.
    #[error("a part of the collector ended by itself; see the log above")]
    Ended,
}

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    config: Config,
    dir: DataDir,
    store: SqliteStore,
    gate: Gate,
    desk: Desk<SqliteStore, SteadyClock>,
    judgement: Judgement,
    retention: upkeep::Terms,
    notices: notify::Terms,
    drills: drill::Plans,
    orders: orders::Terms,
    spares: fleet::Terms,
    office: Office,
    checks: check::Terms,
    info: RunInfo,
    shutdown: CancellationToken,
    tasks: JoinSet<Result<(), Error>>,
}

impl Collector {
    /// Where this config has the data directory.
    pub fn data_root(config: &Config) -> Result<PathBuf, Error> {
        match &config.data.dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(DataDir::default_root(|key| std::env::var(key).ok())?),
        }
    }

    /// Starts everything; when it returns, agents and operators are answered.
    pub async fn start(config: Config) -> Result<Self, Error> {
        // Fails only where a provider is in force already, which is then the same one.
        rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
        let dir = DataDir::open(Self::data_root(&config)?)?;
        // The store first: it takes the directory for this process, so that no other makes keys in it at the same time.
        let options = Options::new(dir.root());
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&options)).await?;
        let store = opened.map_err(|source| Error::Store { path: dir.root().to_owned(), source })?;
        let kept = store.kept_time().map_err(|source| Error::Store { path: dir.root().to_owned(), source })?;
        let clock = Arc::new(SteadyClock::resume(kept.as_ref()));
        audit::journal::take(&store, &dir)?;
        let (refusals, refused) = Refusals::new();
        let access = grant::Live::of(&store, clock.clone())
            .map_err(|source| Error::Store { path: dir.root().to_owned(), source })?;
        let agents = enrol::Live::of(&store, clock.clone())
            .map_err(|source| Error::Store { path: dir.root().to_owned(), source })?;
        let gate = Gate::new(Tokens::load_or_make(&dir)?)
            .noting(refusals.clone())
            .with_access(access.clone())
            .with_agents(agents.clone());
        let identity = tls::load_or_make(&dir, &tls::server_names(&config.tls.server_names), clock.now())?;

        let (registry, pulse, shutdown) = (Registry::default(), Pulse::default(), CancellationToken::new());
        let judgement = Judgement::new(terms(&config, &dir, &store, clock.now())?);
        let hand = judgement.clone();
        let retention = upkeep::Terms::new(config.retention);
        retention.replace(config.retention, config.history.terms());
        let desk = Desk::new(store.clone(), clock.clone(), registry.clone(), pulse.clone(), hand, shutdown.clone())
            .noting(refusals)
            .keeping(retention.clone());
        let ingest = Ingest::new(store.clone(), clock.clone(), registry.clone(), shutdown.clone())
            .refusing(agents.clone())
            .with_age(config.stream.age.duration());
        let drills = drill::Plans::new(config.drills.clone());
        let notices = notify::Terms::new(config.notify.clone(), judgement.clone());
        let desk = desk
            .with_telling(notices.clone())
            .with_access(access.clone())
            .with_gate(gate.clone())
            .with_token_key(TokenKey::load_or_make(&dir)?);
        let orders = orders::Terms::new(config.orders.clone());
        let checks = check::Terms::new(config.health_check.clone());
        let spares = fleet::Terms::new(config.spares.clone());
        let desk = desk.with_spares(spares.clone()).with_orders(orders.clone()).with_checks(checks.clone());

        let for_agents = Bound::bind(config.listen.agents, "agents").await?;
        let for_operators = Bound::bind(config.listen.operators, "operators").await?;
        let for_metrics = metrics::Bound::bind(config.metrics.listen).await?;
        let authority = tls::Authority::load_or_make(&dir, clock.now())?;
        let names = config.tls.server_names.clone();
        let office = Office::new(authority, agents, config.enrol.clone(), names, for_agents.addr());
        let desk = desk.with_office(office.clone());
        let counter = Counter::new(store.clone(), clock.clone(), office.clone());
        let info =
            RunInfo { agents_addr: for_agents.addr(), operators_addr: for_operators.addr(), pid: std::process::id() };
        let mut tasks: JoinSet<Result<(), Error>> = JoinSet::new();
        {
            let run = clock::run(store.clone(), clock.clone(), shutdown.clone());
            tasks.spawn(async move { Ok(run.await?) });
        }
        {
            let (judgement, pulse) = (judgement.clone(), pulse.clone());
            let run = deadline::run(store.clone(), clock.clone(), judgement, pulse, shutdown.clone());
            tasks.spawn(async move { Ok(run.await?) });
        }
        {
            let sources = Sources {
                store: store.clone(),
                clock: clock.clone(),
                registry: registry.clone(),
                dir: dir.root().to_owned(),
                keep_free: config.data.keep_free_mib.saturating_mul(1 << 20),
                doors: vec![("agents", for_agents.door()), ("operators", for_operators.door())],
                certificate_ends: identity.not_after,
            };
            let run = metrics::run(for_metrics, sources, shutdown.clone());
            tasks.spawn(async {
                run.await;
                Ok(())
            });
        }
        tasks.spawn(watch_certificate(identity.not_after, clock.clone(), shutdown.clone()));
        let (told, checked) = (
            audit::run(store.clone(), clock.clone(), refused, shutdown.clone()),
            record::run(store.clone(), shutdown.clone()),
        );
        tasks.spawn(async { Ok(told.await?) });
        tasks.spawn(async { Ok(checked.await?) });
        let upkeep = upkeep::run(store.clone(), clock.clone(), retention.clone(), judgement.clone(), shutdown.clone());
        tasks.spawn(async { Ok(upkeep.await?) });
        let thinned = upkeep::thin::run(store.clone(), clock.clone(), retention.clone(), shutdown.clone());
        tasks.spawn(async { Ok(thinned.await?) });
        let used = fleet::usage::run(store.clone(), clock.clone(), shutdown.clone());
        tasks.spawn(async { Ok(used.await?) });
        let telling = notify::run(store.clone(), clock.clone(), notices.clone(), shutdown.clone());
        tasks.spawn(async { Ok(telling.await?) });
        {
            let run = grant::run(store.clone(), clock.clone(), access, pulse.clone(), shutdown.clone());
            tasks.spawn(async move { Ok(run.await?) });
        }
        {
            let (ours, hand) = (notices.clone(), judgement.clone());
            let run = notify::foretell::run(store.clone(), clock.clone(), ours, hand, shutdown.clone());
            tasks.spawn(async move { Ok(run.await?) });
        }
        {
            let (checks, hand, registry) = (checks.clone(), judgement.clone(), registry.clone());
            let run = check::run(store.clone(), clock.clone(), checks, hand, registry, shutdown.clone());
            tasks.spawn(async move { Ok(run.await?) });
        }
        {
            let (orders, pulse) = (orders.clone(), pulse.clone());
            let run = orders::run(store.clone(), clock.clone(), orders, registry, pulse, shutdown.clone());
            tasks.spawn(async move { Ok(run.await?) });
        }
        {
            let run = drill::run(store.clone(), clock.clone(), judgement.clone(), drills.clone(), shutdown.clone());
            tasks.spawn(async move { Ok(run.await?) });
        }
        {
            let run = putaway::run(store.clone(), shutdown.clone());
            tasks.spawn(async move { Ok(run.await?) });
        }
        {
            let disk = (dir.root().to_owned(), config.data.keep_free_mib.saturating_mul(1 << 20));
            let run = assess::run(store.clone(), clock, disk, judgement.clone(), pulse, shutdown.clone());
            tasks.spawn(async move { Ok(run.await?) });
        }
        {
            let (identity, gate, shutdown) = (identity.clone(), gate.clone(), shutdown.clone());
            tasks.spawn(
                async move { Ok(serve::agents(for_agents, &identity, &gate, ingest, counter, shutdown).await?) },
            );
        }
        {
            let (gate, shutdown, desk) = (gate.clone(), shutdown.clone(), desk.clone());
            tasks.spawn(async move { Ok(serve::operators(for_operators, &identity, &gate, desk, shutdown).await?) });
        }
        dir.write_run_info(&info)?;
        announce(&dir, &info);
        Ok(Self {
            config,
            dir,
            store,
            gate,
            desk,
            judgement,
            retention,
            notices,
            drills,
            orders,
            spares,
            office,
            checks,
            info,
            shutdown,
            tasks,
        })
    }

    /// Where agents connect.
    pub fn agents_addr(&self) -> SocketAddr {
        self.info.agents_addr
    }

    /// Where operators connect.
    pub fn operators_addr(&self) -> SocketAddr {
        self.info.operators_addr
    }

    /// The store, for whoever watches over it.
    pub fn store(&self) -> &SqliteStore {
        &self.store
    }

    /// Returns once the assessment has caught up with what the store held at start. What is written to the store by hand before that may be assessed anew.
    pub async fn settled(&self) {
        self.desk.settled().await;
    }

    /// Waits until a part ends by itself, which none should.
    pub async fn failed(&mut self) -> Error {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(panic)) => panic.into(),
            Some(Ok(Ok(()))) | None => Error::Ended,
        }
    }

    /// Takes over another config and the tokens as they are on disk now. What needs a restart is named in the log and left
    /// as it is.
    pub fn reload(&mut self, config: Config) -> Result<(), Error> {
        let terms = terms(&config, &self.dir, &self.store, self.desk.now())?;
        let tokens = Tokens::load_or_make(&self.dir)?;
        self.judgement.replace(terms);
        self.desk.answer_anew();
        self.gate.replace(tokens);
        self.retention.replace(config.retention, config.history.terms());
        self.notices.replace(config.notify.clone());
        self.drills.replace(config.drills.clone());
        self.orders.replace(config.orders.clone());
        self.spares.replace(config.spares.clone());
        self.office.replace(config.enrol.clone());
        self.checks.replace(config.health_check.clone());
        for (section, changed) in [
            ("listen", config.listen != self.config.listen),
            ("data", config.data != self.config.data),
            ("tls", config.tls != self.config.tls),
            ("metrics", config.metrics != self.config.metrics),
            ("stream", config.stream != self.config.stream),
        ] {
            if changed {
                tracing::warn!("[{section}] changed, which needs a restart; it stays as it was");
            }
        }
        let kept = self.config.clone();
        let (listen, data, tls) = (kept.listen, kept.data, kept.tls);
        self.config = Config { listen, data, tls, metrics: kept.metrics, stream: kept.stream, ..config };
        audit::journal::take(&self.store, &self.dir)?;
        let who = Actor { name: crate::react::WHO.to_owned(), peer: None };
        self.store.audit(who, reloaded(self.desk.now())).map_err(audit::journal::Error::Store)?;
        Ok(())
    }

    /// Ends in order: agents are told, what the store already has is finished, the store is closed.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.shutdown.cancel();
        let drained = tokio::time::timeout(DRAIN, async {
            while let Some(ended) = self.tasks.join_next().await {
                match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!(%error, "a part failed while it ended"),
                    Err(error) => tracing::error!(%error, "a part failed while it ended"),
                }
            }
        });
        if drained.await.is_err() {
            tracing::warn!(
                "some connections did not end in time and are cut; agents send again what was not acknowledged"
            );
            self.tasks.shutdown().await;
        }
        self.dir.remove_run_info()?;
        let path = self.dir.root().to_owned();
        let store = self.store.clone();
        let closed = tokio::task::spawn_blocking(move || store.close()).await?;
        closed.map_err(|source| Error::Store { path, source })
    }
}

/// What the audit log says of a reload: config, tokens, calendars and contracts are those on disk from here on.
fn reloaded(at: Timestamp) -> Deed {
    Deed {
        at,
        role: String::new(),
        method: "outband.collector/Reload".to_owned(),
        resource: "config".to_owned(),
        detail: "the config, the tokens, the calendars and the contracts were read anew".to_owned(),
        outcome: Outcome::Done,
        request_id: None,
        before: None,
        after: None,
    }
}

/// What is judged and promised by, with the calendars that are kept and the files that the config names.
fn terms(config: &Config, dir: &DataDir, store: &SqliteStore, now: Timestamp) -> Result<Terms, Error> {
    let terms = Terms::try_from(config)?.with_calendars(calendars::in_force(dir, config)?);
    let service = config.service.file.as_deref().map(Service::load).transpose()?.unwrap_or_default();
    // A misspelt name would have clocks count by other hours without a word.
    if let Some(unknown) = service.calendars().find(|name| !terms.calendar.knows(name)) {
        return Err(calendars::Error::Unknown(unknown.to_owned()).into());
    }
    let revisions = service::keep_revisions(store, terms.policy.usual(), &service, now)?;
    let terms = terms.with_service(service, revisions).with_disks(predicting(&config.predict)?);
    let terms = match &config.health_check.compatibility {
        Some(file) => terms.with_compatibility(Compatibility::load(file)?),
        None => terms,
    };
    Ok(match &config.topology.file {
        Some(file) => terms.with_topology(Topology::load(file)?),
        None => terms,
    })
}

/// What disks are judged by.
fn predicting(config: &config::predict::Predict) -> Result<Option<assess::Predicting>, Error> {
    if !config.disk {
        return Ok(None);
    }
    let model = match &config.model {
        Some(path) => train::load(path)?,
        None => train::shipped()?,
    };
    Ok(Some(assess::Predicting { model, false_tickets: config.false_tickets_per_100_drive_months }))
}

/// Says where everything is: the first thing that somebody who starts a collector needs.
fn announce(dir: &DataDir, info: &RunInfo) {
    let path = |name: &str| dir.path(name).display().to_string();
    tracing::info!("data directory: {}", dir.root().display());
    tracing::info!(
        "agents connect to {}: outband agent invite here, outband-agent join there; or with {} and the token in {}",
        info.agents_addr,
        path(tls::CA_CERT),
        path(&Role::Agent.token_file())
    );
    tracing::info!(
        "operators connect to {} with {} and the token in {}",
        info.operators_addr,
        path(tls::CA_CERT),
        path(&Role::Operator.token_file())
    );
    tracing::info!(
        "next: outband --endpoint https://{} --ca {} --token-file {} health",
        info.operators_addr,
        path(tls::CA_CERT),
        path(&Role::Operator.token_file())
    );
}

/// A start renews the certificate long before its end; a collector that is never restarted says that it is time.
async fn watch_certificate(
    not_after: Timestamp,
    clock: Arc<SteadyClock>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let mut days = tokio::time::interval(Duration::from_secs(24 * 60 * 60));
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = days.tick() => {
                let left = not_after.since(clock.now()).as_secs() / (24 * 60 * 60);
                if left < CERTIFICATE_DAYS {
                    tracing::error!(days = left, "the server certificate ends soon: restart the collector to renew it");
                }
            }
        }
    }
}
