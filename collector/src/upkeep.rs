//! Keeps the store in order: seals finished history, drops what is older than the retention.

pub mod thin;

use crate::judgement::{self, Judgement};
use crate::record;
use outband_schemas::{Clock, SensorKind, Timestamp};
use outband_store::history::{History, Holding};
use outband_store::keeping::Keeping;
use outband_store::retention::KindTerms;
use outband_store::{Retention, Sealed, Store, StoreError};
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
    now: Arc<RwLock<(Retention, KindTerms)>>,
}

impl Terms {
    /// With this retention, the same for all kinds of sensors.
    pub fn new(retention: Retention) -> Self {
        Self { now: Arc::new(RwLock::new((retention, KindTerms::new()))) }
    }

    /// Puts another retention in force, with what counts for single kinds of sensors.
    pub fn replace(&self, retention: Retention, kinds: KindTerms) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = (retention, kinds);
    }

    /// What is in force.
    pub fn now(&self) -> Retention {
        self.now.read().unwrap_or_else(PoisonError::into_inner).0
    }

    /// The kinds that have terms of their own.
    pub fn kinds(&self) -> KindTerms {
        self.now.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// What is in force for a kind; without one, for all that have no term of their own.
    pub fn of_kind(&self, kind: Option<SensorKind>) -> Retention {
        kind.map_or_else(|| self.now(), |kind| self.now().of_kind(&self.kinds(), kind))
    }
}

/// Works until `shutdown` is cancelled. A failure is logged and tried again: the store says itself when it is full. An error is a panic in it.
pub async fn run<S: Store + Keeping + History, C: Clock + Send + Sync + 'static>(
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
        let expire =
            expired.is_none_or(|at| at.elapsed() >= EXPIRE_EVERY).then(|| terms.now().of_files(&terms.kinds()));
        let (store, now, promised) = (store.clone(), clock.now(), judgement.terms());
        match tokio::task::spawn_blocking(move || work(&store, now, expire, &promised)).await? {
            Ok(()) if expire.is_some() => expired = Some(Instant::now()),
            Ok(()) => {}
            Err(StoreError::Closed) => return Ok(()),
            Err(error) => tracing::error!(%error, "upkeep of the store failed; it is tried again"),
        }
    }
}

fn work<S: Store + Keeping + History>(
    store: &S,
    now: Timestamp,
    expire: Option<Retention>,
    promised: &judgement::Terms,
) -> Result<(), StoreError> {
    let sealed = store.seal(now).inspect(|sealed| {
        if sealed.chunks > 0 || sealed.rolled > 0 {
            let Sealed { chunks, points, bytes, rolled } = sealed;
            tracing::debug!(chunks, points, bytes, rolled, "sealed history");
        }
    });
    // On a full disk nothing can be sealed before something went.
    let expired = expire_due(store, now, expire, promised);
    sealed.and(expired)
}

fn expire_due<S: Store + Keeping + History>(
    store: &S,
    now: Timestamp,
    expire: Option<Retention>,
    promised: &judgement::Terms,
) -> Result<(), StoreError> {
    match expire {
        Some(retention) => {
            store.expire(now, &retention)?;
            let held = record::hold::held(store, promised)?;
            // Portion by portion, so that nobody else waits long for the store.
            while store.prune(&retention.limits(now), &held, now, false)?.more {}
            for Holding { class, files, bytes, .. } in store.holdings()? {
                tracing::info!(resolution = class.as_str(), files, bytes, "history on the disk");
            }
            Ok(())
        }
        None => Ok(()),
    }
}
