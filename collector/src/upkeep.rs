//! Keeps the store in order: seals finished history, drops what is older than the retention.

use crate::judgement::{self, Judgement};
use crate::record;
use outband_schemas::{Clock, Timestamp};
use outband_store::keeping::Keeping;
use outband_store::{Retention, Store, StoreError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::task::JoinError;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const SEAL_EVERY: Duration = Duration::from_secs(60);
const EXPIRE_EVERY: Duration = Duration::from_secs(15 * 60);

/// How long things are kept, replaceable while the collector runs.
#[derive(Debug, Clone)]
pub struct Terms {
    retention: Arc<RwLock<Retention>>,
}

impl Terms {
    /// With this retention.
    pub fn new(retention: Retention) -> Self {
        Self { retention: Arc::new(RwLock::new(retention)) }
    }

    /// Puts another retention in force.
    pub fn replace(&self, retention: Retention) {
        *self.retention.write().unwrap_or_else(PoisonError::into_inner) = retention;
    }

    /// What is in force.
    pub fn now(&self) -> Retention {
        *self.retention.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works until `shutdown` is cancelled. A failure is logged and tried again: the store says itself when it is full. An error is a panic in it.
pub async fn run<S: Store + Keeping, C: Clock + Send + Sync + 'static>(
    store: S,
    clock: Arc<C>,
    terms: Terms,
    judgement: Judgement,
    shutdown: CancellationToken,
) -> Result<(), JoinError> {
    let mut ticks = interval(SEAL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut expired: Option<Instant> = None;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let expire = expired.is_none_or(|at| at.elapsed() >= EXPIRE_EVERY).then(|| terms.now());
        let (store, now, promised) = (store.clone(), clock.now(), judgement.terms());
        match tokio::task::spawn_blocking(move || work(&store, now, expire, &promised)).await? {
            Ok(()) if expire.is_some() => expired = Some(Instant::now()),
            Ok(()) => {}
            Err(StoreError::Closed) => return Ok(()),
            Err(error) => tracing::error!(%error, "upkeep of the store failed; it is tried again"),
        }
    }
}

fn work<S: Store + Keeping>(
    store: &S,
    now: Timestamp,
    expire: Option<Retention>,
    promised: &judgement::Terms,
) -> Result<(), StoreError> {
    let sealed = store.seal(now)?;
    if sealed.chunks > 0 {
        tracing::debug!(chunks = sealed.chunks, points = sealed.points, bytes = sealed.bytes, "sealed history");
    }
    match expire {
        Some(retention) => {
            store.expire(now, &retention)?;
            let held = record::hold::held(store, promised)?;
            // Portion by portion, so that nobody else waits long for the store.
            while store.prune(&retention.limits(now), &held, now, false)?.more {}
            Ok(())
        }
        None => Ok(()),
    }
}
