//! Orders: the few things that agents may do at BMCs. Off by default, approved by another person, sent at most once, held by a switch.
//!
//! Read in this order: [`machine`] (the states), [`limits`] (what holds an order back), `turn` (what is done when), and
//! [`crate::query::order`] (what people ask).

pub mod limits;
pub mod machine;
#[cfg(test)]
mod tests;
mod turn;

use crate::config::orders::OrdersConfig;
use crate::ingest::Registry;
use crate::query::pulse::Pulse;
use outband_schemas::Clock;
use outband_store::audit::Audit;
use outband_store::order::Orders;
use outband_store::{Store, StoreError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use turn::Turn;

/// How often it is looked at least: limits and times of orders pass without anybody's doing.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What comes in bursts is looked at once.
const SETTLE: Duration = Duration::from_millis(50);

/// Why orders are no longer seen to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The thread that sees to them panicked.
    #[error("seeing to orders: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// The terms in force, replaceable while the collector runs, and a bell that says that there is something to do. Clones share both.
#[derive(Debug, Clone)]
pub struct Terms {
    config: Arc<RwLock<Arc<OrdersConfig>>>,
    bell: Arc<Notify>,
    /// Whether an answer may come.
    awaiting: Arc<AtomicBool>,
}

impl Terms {
    /// By this config.
    pub fn new(config: OrdersConfig) -> Self {
        Self { config: Arc::new(RwLock::new(Arc::new(config))), bell: Arc::default(), awaiting: Arc::default() }
    }

    /// Puts another config in force.
    pub fn replace(&self, config: OrdersConfig) {
        // A holder that panicked left a whole value: it is replaced in one step.
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.ring();
    }

    /// The config in force.
    pub fn now(&self) -> Arc<OrdersConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something about orders has changed.
    pub fn ring(&self) {
        self.bell.notify_one();
    }
}

/// Sends what is approved, takes the answers, and tells the tickets, until `shutdown` is cancelled.
pub async fn run<S, C>(
    store: S,
    clock: Arc<C>,
    terms: Terms,
    registry: Registry,
    pulse: Pulse,
    shutdown: CancellationToken,
) -> Result<(), Error>
where
    S: Store + Orders + Audit,
    C: Clock + Send + Sync + 'static,
{
    let (awaiting, bell) = (terms.awaiting.clone(), terms.bell.clone());
    store.on_commit(Box::new(move || {
        if awaiting.load(Ordering::Relaxed) {
            bell.notify_one();
        }
    }));
    let (mut turn, arrivals) = (Turn::default(), registry.arrivals());
    while !shutdown.is_cancelled() {
        let (store, clock, config, registry) = (store.clone(), clock.clone(), terms.now(), registry.clone());
        let (after, result) = tokio::task::spawn_blocking(move || {
            let mut turn = turn;
            let result = turn.take(&store, &*clock, &config, &registry);
            (turn, result)
        })
        .await?;
        turn = after;
        match result {
            Ok(looked) => {
                terms.awaiting.store(looked.awaiting, Ordering::Relaxed);
                if looked.told {
                    pulse.beat();
                }
            }
            Err(StoreError::Closed) => return Ok(()),
            Err(error) => tracing::error!(%error, "orders cannot be seen to now; nothing is sent"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = terms.bell.notified() => tokio::time::sleep(SETTLE).await,
            () = arrivals.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    Ok(())
}
