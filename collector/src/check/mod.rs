//! Health checks: a server's BMC is read whole, by the agent that polls it anyway, and what is known then is told in one report.
//!
//! Read in this order: [`turn`] (when one comes by itself), [`step`] (what happens to one), [`report`] (what it tells), [`doc`] (as a page).

pub mod doc;
pub mod report;
pub mod step;
pub mod turn;

use crate::config::check::HealthCheckConfig;
use crate::ingest::Registry;
use crate::judgement::Judgement;
use outband_schemas::{Clock, ServerId, Timestamp};
use outband_store::check::{Check, CheckState, Checks};
use outband_store::order::Orders;
use outband_store::{Page, ServerRecord, Store, StoreError};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use step::Sent;
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

/// How often checks that are under way are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is looked whether one comes by itself.
const PLAN: Duration = Duration::from_secs(60);
/// Servers a page, when all are looked through.
const SERVERS: usize = 1000;
/// Who asks where nobody does.
pub const WHO: &str = crate::react::WHO;

/// The terms in force, replaceable while the collector runs, and a bell that says that there is something to do. Clones share both.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    config: Arc<RwLock<Arc<HealthCheckConfig>>>,
    bell: Arc<Notify>,
}

impl Terms {
    /// By this config.
    pub fn new(config: HealthCheckConfig) -> Self {
        Self { config: Arc::new(RwLock::new(Arc::new(config))), bell: Arc::default() }
    }

    /// Puts another config in force.
    pub fn replace(&self, config: HealthCheckConfig) {
        // A holder that panicked left a whole value: it is replaced in one step.
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.ring();
    }

    /// The config in force.
    pub fn now(&self) -> Arc<HealthCheckConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Somebody asked for a check.
    pub fn ring(&self) {
        self.bell.notify_one();
    }
}

/// A check that somebody, or the schedule, asks for now.
pub fn asked_for(server: ServerId, requester: &str, plan: Option<String>, now: Timestamp) -> Check {
    Check {
        id: 0,
        revision: 0,
        server,
        requester: requester.to_owned(),
        plan,
        requested_at: now,
        state: CheckState::Waiting,
        why: String::new(),
        asked: None,
        unread: Vec::new(),
        ended_at: None,
        report: None,
    }
}

/// Sees to checks until `shutdown` is cancelled. A failure is logged and tried again. An error is a panic in it.
pub async fn run<S: Store + Orders + Checks, C: Clock + Send + Sync + 'static>(
    store: S,
    clock: Arc<C>,
    terms: Terms,
    judgement: Judgement,
    registry: Registry,
    shutdown: CancellationToken,
) -> Result<(), JoinError> {
    let (mut sent, mut planned, mut busy) = (Sent::default(), None, true);
    while !shutdown.is_cancelled() {
        let (store, config, judged, registry, now) =
            (store.clone(), terms.now(), judgement.terms(), registry.clone(), clock.now());
        let plans = planned.is_none_or(|at: Timestamp| now.since(at) >= PLAN || now < at);
        let looked = tokio::task::spawn_blocking(move || {
            let mut sent = sent;
            let by = step::By { config: &config, terms: &judged, registry: &registry };
            let done = (|| {
                if plans {
                    plan(&store, &by, now)?;
                }
                step::take(&store, &by, &mut sent, now)
            })();
            (sent, done)
        })
        .await?;
        sent = looked.0;
        match looked.1 {
            Ok(open) => {
                if plans {
                    planned = Some(now);
                }
                busy = open;
            }
            Err(StoreError::Closed) => return Ok(()),
            Err(error) => tracing::error!(%error, "health checks cannot be seen to now; it is tried again"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = terms.bell.notified() => {}
            () = tokio::time::sleep(if busy { LOOK } else { PLAN / 12 }) => {}
        }
    }
    Ok(())
}

/// Asks for the checks that have come by themselves.
fn plan<S: Store + Checks>(store: &S, by: &step::By<'_>, now: Timestamp) -> Result<(), StoreError> {
    let Some(day) = turn::day(by.config, now) else { return Ok(()) };
    let had: BTreeSet<ServerId> = store.checked_in(&day.name)?.into_iter().collect();
    let agents = step::agents(store)?;
    let mut page = Page::first(SERVERS);
    loop {
        let listing = store.servers(None, &page)?;
        for record in listing.rows {
            let due = !had.contains(&record.id) && turn::is_due(&record.id, by.config, &day, now);
            if !due || !is_meant(&record, by) || step::polled(&record, &agents).next().is_none() {
                continue;
            }
            match store.put_check(asked_for(record.id, WHO, Some(day.name.clone()), now)) {
                Ok(_) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        match listing.next {
            Some(next) => page = Page::after(next, SERVERS),
            None => return Ok(()),
        }
    }
}

/// Whether the config has this server checked by itself.
fn is_meant(record: &ServerRecord, by: &step::By<'_>) -> bool {
    let place = by.terms.topology.place(record);
    let among = |names: &[String], found: Option<&str>| {
        names.is_empty() || found.is_some_and(|found| names.iter().any(|name| name == found))
    };
    let model = place.and_then(|p| p.model.as_deref()).or(record.identity.model.as_deref());
    among(&by.config.sites, Some(record.site.as_str()))
        && among(&by.config.racks, place.and_then(|p| p.rack.as_deref()))
        && among(&by.config.models, model)
        && among(&by.config.customers, place.and_then(|p| p.customer.as_deref()))
}

#[cfg(test)]
mod tests;
