//! What operators ask: one file a service, over one [`Desk`]. Nothing here decides; it reads the store, and moves a ticket only
//! through `outband_ticket::apply`.

pub mod agent;
pub mod audit;
pub mod callpack;
pub mod check;
mod contact;
pub mod drill;
pub mod enrol;
pub mod fleet;
pub mod grant;
mod headroom;
pub mod health;
pub mod incident;
pub mod maintenance;
pub mod name;
pub mod notice;
mod once;
pub mod order;
pub mod outcome;
pub mod page;
pub mod problem;
pub mod pulse;
pub mod record;
pub mod report;
mod selector;
pub mod sla;
pub mod telemetry;
pub mod threshold;
pub mod ticket;

use crate::audit::Refusals;
use crate::auth::Gate;
use crate::check as checks;
use crate::config::notify::Notify;
use crate::discretion::Reader;
use crate::enrol::Office;
use crate::fleet as spares;
use crate::grant::Live;
use crate::ingest::Registry;
use crate::judgement::{Judgement, Terms};
use crate::notify;
use crate::orders;
use crate::sight::Sight;
use crate::token::{Principal, Role, TokenKey};
use crate::upkeep;
use outband_schemas::{Clock, Timestamp};
use outband_store::{Retention, Store, StoreError};
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
    refusals: Option<Refusals>,
    retention: upkeep::Terms,
    telling: Option<notify::Terms>,
    access: Option<Live>,
    gate: Option<Gate>,
    orders: Option<orders::Terms>,
    spares: spares::Terms,
    checks: Option<checks::Terms>,
    office: Option<Office>,
    token_key: Option<Arc<TokenKey>>,
    turns: once::Turns,
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
            refusals: self.refusals.clone(),
            retention: self.retention.clone(),
            telling: self.telling.clone(),
            access: self.access.clone(),
            gate: self.gate.clone(),
            orders: self.orders.clone(),
            spares: self.spares.clone(),
            checks: self.checks.clone(),
            office: self.office.clone(),
            token_key: self.token_key.clone(),
            turns: self.turns.clone(),
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
        let retention = upkeep::Terms::new(Retention::default());
        Self {
            store,
            clock,
            registry,
            pulse,
            judgement,
            refusals: None,
            retention,
            telling: None,
            access: None,
            gate: None,
            orders: None,
            spares: spares::Terms::default(),
            checks: None,
            office: None,
            token_key: None,
            turns: once::Turns::default(),
            shutdown,
        }
    }

    /// The desk, with a place to note whom it refused.
    #[must_use]
    pub fn noting(self, refusals: Refusals) -> Self {
        Self { refusals: Some(refusals), ..self }
    }

    /// The desk, knowing who is told what.
    #[must_use]
    pub fn with_telling(self, telling: notify::Terms) -> Self {
        Self { telling: Some(telling), ..self }
    }

    /// The desk, knowing the door that temporary accesses go through.
    #[must_use]
    pub fn with_access(self, access: Live) -> Self {
        Self { access: Some(access), ..self }
    }

    /// The desk, knowing the tokens: which names are customers'.
    #[must_use]
    pub fn with_gate(self, gate: Gate) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// The desk, with the key from which it makes tokens that may have to be told twice.
    #[must_use]
    pub fn with_token_key(self, key: TokenKey) -> Self {
        Self { token_key: Some(Arc::new(key)), ..self }
    }

    /// The desk, knowing what agents may be asked to do.
    #[must_use]
    pub fn with_orders(self, orders: orders::Terms) -> Self {
        Self { orders: Some(orders), ..self }
    }

    /// The desk, knowing who sees to health checks.
    #[must_use]
    pub fn with_checks(self, checks: checks::Terms) -> Self {
        Self { checks: Some(checks), ..self }
    }

    /// The desk, knowing who may join.
    #[must_use]
    pub fn with_office(self, office: Office) -> Self {
        Self { office: Some(office), ..self }
    }

    /// The desk, knowing how many spare parts are wanted.
    #[must_use]
    pub fn with_spares(self, spares: spares::Terms) -> Self {
        Self { spares, ..self }
    }

    fn telling(&self) -> Option<Arc<Notify>> {
        self.telling.as_ref().map(notify::Terms::now)
    }

    /// The desk, with the terms for which things are kept.
    #[must_use]
    pub fn keeping(self, retention: upkeep::Terms) -> Self {
        Self { retention, ..self }
    }

    /// See [`Pulse::settled`].
    pub async fn settled(&self) {
        self.pulse.settled().await;
    }

    /// Tells watchers anew: other terms are in force.
    pub fn answer_anew(&self) {
        self.pulse.beat();
    }

    fn terms(&self) -> Arc<Terms> {
        self.judgement.terms()
    }

    /// What a caller may see.
    pub(crate) fn sight(&self, principal: &Principal) -> Sight {
        Sight::of(principal, self.terms(), self.now())
    }

    /// A customer who reads; if the caller is none, one that is not known.
    fn reader(&self, principal: &Principal) -> Reader {
        let own = Some(principal.name.clone()).filter(|_| principal.role == Role::Customer);
        Reader::new(own, self.gate.as_ref().map(Gate::customers).unwrap_or_default())
    }

    /// The caller, where it is a customer.
    fn customer(&self, principal: &Principal) -> Option<Reader> {
        (principal.role == Role::Customer).then(|| self.reader(principal))
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
