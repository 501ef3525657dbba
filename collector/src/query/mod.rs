//! What operators ask: one file a service, over one [`Desk`]. Nothing here decides; it reads the store, and moves a ticket only
//! through `outband_ticket::apply`.

pub mod agent;
pub mod audit;
pub mod health;
pub mod incident;
pub mod maintenance;
pub mod name;
pub mod notice;
pub mod page;
pub mod problem;
pub mod pulse;
pub mod record;
pub mod sla;
pub mod telemetry;
pub mod ticket;

use crate::ingest::Registry;
use crate::judgement::{Judgement, Terms};
use outband_schemas::{Clock, Timestamp};
use outband_store::{Store, StoreError};
use pulse::Pulse;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// What every service needs to answer. Cheap to clone.
#[derive(Debug)]
pub struct Desk<S, C> {
    store: S,
    clock: Arc<C>,
    registry: Registry,
    pulse: Pulse,
    judgement: Judgement,
    shutdown: CancellationToken,
}

impl<S: Clone, C> Clone for Desk<S, C> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            clock: self.clock.clone(),
            registry: self.registry.clone(),
            pulse: self.pulse.clone(),
            judgement: self.judgement.clone(),
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
        judgement: Judgement,
        shutdown: CancellationToken,
    ) -> Self {
        Self { store, clock, registry, pulse, judgement, shutdown }
    }

    /// Tells watchers anew: other terms are in force.
    pub fn answer_anew(&self) {
        self.pulse.beat();
    }

    fn terms(&self) -> Arc<Terms> {
        self.judgement.terms()
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
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
