//! What BMCs tell by themselves: streams of events and posts to a listener, so that news are in the spool within moments and logs are read less often.
//!
//! A [`watcher`] per BMC listens, on the session that polling holds open; it rings for a poll of the log when there is news ([`desk`] says when), and every
//! poll of a log passes by the desk, where an event that was heard of twice becomes one. Nothing here is needed for completeness: whatever is not pushed, polls
//! find. See README.md for config, security and firewalls.

mod desk;
mod identity;
mod listener;
mod pace;
mod routes;
mod watcher;

pub use identity::IdentityError;

use crate::clock::SystemClock;
use crate::config::{self, PushMode, TargetConfig};
use crate::spooler::Spooler;
use desk::{Desk, Kept};
use listener::Listener;
use outband_bmc::redfish::push::watch::Watch;
use outband_schemas::{AgentId, Clock, Observation, TargetId, Timestamp};
use routes::Routes;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a watcher may take to end its subscription.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);

/// Why BMCs cannot post.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listener cannot be bound.
    #[error("push.listen {at}: {source}")]
    Bind {
        /// Where.
        at: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// It has no certificate to show.
    #[error("push: {0}")]
    Identity(#[from] IdentityError),
}

/// What a watcher asks of the poller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bell {
    /// There is news: poll the log now.
    Ring(TargetId),
    /// News come by themselves: polling the log this often is enough. `None`: they do not any more.
    Slow(TargetId, Option<Duration>),
}

/// The handle for those who poll. Cheap to clone; [`Push::off`] does nothing.
#[derive(Debug, Clone, Default)]
pub struct Push {
    inner: Option<Arc<Inner>>,
}

#[derive(Debug)]
struct Inner {
    agent: AgentId,
    stream: bool,
    log: Duration,
    /// The listener's URL and what it knows.
    posts: Option<(String, Arc<Routes>)>,
    spooler: Spooler,
    bells: mpsc::UnboundedSender<Bell>,
    watched: Mutex<HashMap<TargetId, Watched>>,
    /// Ends the listener.
    _listening: tokio_util::sync::DropGuard,
}

#[derive(Debug)]
struct Watched {
    desk: Arc<Seat>,
    session: watch::Sender<Option<Arc<Watch>>>,
    leave: CancellationToken,
    task: JoinHandle<()>,
}

/// A desk and the bell on it.
#[derive(Debug)]
struct Seat {
    desk: Mutex<Desk>,
    /// Something on it has changed.
    changed: Notify,
}

impl Seat {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Push {
    /// A handle that does nothing: everything is polled.
    pub fn off() -> Self {
        Self::default()
    }

    /// Binds the listener, where one is configured, and begins to listen. The receiver is for the poller.
    pub async fn start(
        config: &config::Push,
        agent: &AgentId,
        data_dir: &Path,
        spooler: Spooler,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Bell>), Error> {
        let (bells, rung) = mpsc::unbounded_channel();
        let listening = CancellationToken::new();
        let posts = match &config.listener {
            None => None,
            Some(listen) => {
                let tls = identity::server_config(listen, data_dir)?;
                if tls.is_none() {
                    tracing::warn!(
                        url = listen.url,
                        "BMCs post events in the clear; use an https:// URL where they can"
                    );
                }
                let routes = Arc::new(Routes::default());
                let bind = |source| Error::Bind { at: listen.at, source };
                let listener = Listener::bind(listen.at, tls, routes.clone()).await.map_err(bind)?;
                tracing::info!(at = %listener.addr().map_err(bind)?, url = listen.url, "BMCs may post events");
                tokio::spawn(listener.run(listening.clone()));
                Some((listen.url.clone(), routes))
            }
        };
        let inner = Inner {
            agent: agent.clone(),
            stream: config.stream,
            log: config.log,
            posts,
            spooler,
            bells,
            watched: Mutex::default(),
            _listening: listening.drop_guard(),
        };
        Ok((Self { inner: Some(Arc::new(inner)) }, rung))
    }

    /// A session of the target is open, and this handle on it may listen.
    pub fn opened(&self, config: &TargetConfig, session: Option<Watch>) {
        let (Some(inner), Some(session)) = (&self.inner, session) else { return };
        if config.push == PushMode::Off || (!inner.stream && inner.posts.is_none()) {
            return;
        }
        let mut watched = inner.watched();
        let watched = watched.entry(config.id.clone()).or_insert_with(|| inner.watch(config));
        watched.session.send_replace(Some(Arc::new(session)));
    }

    /// The target's session is about to end: nothing is asked through it any more.
    pub fn closing(&self, target: &TargetId) {
        if let Some(inner) = &self.inner
            && let Some(watched) = inner.watched().get(target)
        {
            watched.session.send_replace(None);
        }
    }

    /// The target is no longer polled: its subscription is to be deleted, through the session that is still open. Await what this gives before closing that.
    pub fn leave(&self, target: &TargetId) -> impl Future<Output = ()> + Send + use<> {
        let watched = self.inner.as_ref().and_then(|inner| inner.watched().remove(target));
        let target = target.clone();
        async move {
            let Some(Watched { leave, task, .. }) = watched else { return };
            leave.cancel();
            if !matches!(timeout(LEAVE_WITHIN, task).await, Ok(Ok(()))) {
                tracing::warn!(%target, "the watcher did not end in time; a subscription that stays is deleted at the next start");
            }
        }
    }

    /// A poll of the target's log that began at `began` brought `observations`. Takes out what was told before and puts in what no log shows; gives what is to
    /// be stored with them.
    pub fn log_read(
        &self,
        target: &TargetId,
        began: Timestamp,
        observations: &mut Vec<Observation>,
    ) -> Option<(String, Vec<u8>)> {
        let inner = self.inner.as_ref()?;
        let seat = inner.watched().get(target)?.desk.clone();
        let mark = {
            let mut desk = seat.desk();
            desk.log_read(began, SystemClock.now(), observations);
            desk.take_changes()
        };
        seat.changed.notify_one();
        Some((key(target), mark?))
    }
}

impl Inner {
    fn watched(&self) -> MutexGuard<'_, HashMap<TargetId, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, config: &TargetConfig) -> Watched {
        let seat = Arc::new(Seat { desk: Mutex::default(), changed: Notify::new() });
        let (session, sessions) = watch::channel(None);
        let leave = CancellationToken::new();
        let ways = watcher::Ways {
            stream: self.stream && config.push != PushMode::Subscription,
            posts: self.posts.clone().filter(|_| config.push != PushMode::Stream),
        };
        let watcher = watcher::Watcher::new(
            config.id.clone(),
            format!("outband:{}:{}", self.agent, config.id),
            ways,
            self.log,
            seat.clone(),
            sessions,
            self.spooler.clone(),
            self.bells.clone(),
        );
        let task = tokio::spawn(watcher.run(leave.clone()));
        Watched { desk: seat, session, leave, task }
    }
}

/// Where a target's desk is stored among the bookmarks: no target's name holds a slash.
fn key(target: &TargetId) -> String {
    format!("{target}/push")
}

async fn stored(spooler: &Spooler, target: &TargetId) -> Kept {
    match spooler.bookmark(key(target)).await {
        Ok(bytes) => bytes.and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%target, %error, "what was heard before the start is not known; an event may be told twice");
            Kept::default()
        }
    }
}
