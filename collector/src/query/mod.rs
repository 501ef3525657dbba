//! What operators ask: one file a service, over one [`Desk`]. Nothing here decides; it reads the store, and moves a ticket only
//! through `outband_ticket::apply`.

pub mod agent;
pub mod health;
pub mod name;
pub mod page;
pub mod problem;
pub mod pulse;
pub mod telemetry;
pub mod ticket;

use crate::config::sla::Sla;
use crate::ingest::Registry;
use outband_schemas::{Clock, Timestamp};
use outband_store::{Store, StoreError};
use outband_ticket::{Calendar, SlaPolicy};
use pulse::Pulse;
use std::sync::{Arc, PoisonError, RwLock};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// What is promised, ready for use.
#[derive(Debug, Clone)]
pub struct Promises {
    /// The promises.
    pub policy: SlaPolicy,
    /// Business hours.
    pub calendar: Calendar,
}

impl TryFrom<&Sla> for Promises {
    type Error = outband_ticket::CalendarError;
    fn try_from(sla: &Sla) -> Result<Self, Self::Error> {
        Ok(Self { policy: sla.policy(), calendar: sla.calendar()? })
    }
}

/// What every service needs to answer. Cheap to clone.
#[derive(Debug)]
pub struct Desk<S, C> {
    store: S,
    clock: Arc<C>,
    registry: Registry,
    pulse: Pulse,
    promises: Arc<RwLock<Arc<Promises>>>,
    shutdown: CancellationToken,
}

impl<S: Clone, C> Clone for Desk<S, C> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            clock: self.clock.clone(),
            registry: self.registry.clone(),
            pulse: self.pulse.clone(),
            promises: self.promises.clone(),
            shutdown: self.shutdown.clone(),
        }
    }
}

impl<S: Store, C: Clock + Send + Sync + 'static> Desk<S, C> {
    /// A desk whose watches end when `shutdown` is cancelled.
    pub fn new(
        store: S,
        clock: Arc<C>,
        registry: Registry,
        pulse: Pulse,
        promises: Promises,
        shutdown: CancellationToken,
    ) -> Self {
        Self { store, clock, registry, pulse, promises: Arc::new(RwLock::new(Arc::new(promises))), shutdown }
    }

    /// Puts other promises in force.
    pub fn promise(&self, promises: Promises) {
        // A holder that panicked left a whole value: it is replaced in one step.
        *self.promises.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(promises);
        self.pulse.beat();
    }

    fn promises(&self) -> Arc<Promises> {
        self.promises.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Asks the store on a thread that may block.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&S) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Status> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || question(&store))
            .await
            .map_err(|_| problem::shutting_down())?
            .map_err(|e| problem::of_store(&e))
    }
}
