//! Exercises: ends those whose time is over, and begins those that are planned.

pub mod measure;
pub mod turn;

use crate::config::drills::Plan;
use crate::judgement::Judgement;
use outband_schemas::{Clock, ServerId, Timestamp};
use outband_store::audit::Note;
use outband_store::drill::{Drill, DrillChange, Drills};
use outband_store::{Store, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::task::JoinError;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often drills are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// A planned drill that could not begin on time is left out after this: people were not to be tried at any moment.
const LATE: Duration = Duration::from_secs(3600);
/// Who begins and ends drills when nobody does.
const WHO: &str = "collector";

/// The planned exercises, replaceable while the collector runs.
#[derive(Debug, Clone, Default)]
pub struct Plans {
    now: Arc<RwLock<BTreeMap<String, Plan>>>,
}

impl Plans {
    /// With these.
    pub fn new(plans: BTreeMap<String, Plan>) -> Self {
        Self { now: Arc::new(RwLock::new(plans)) }
    }

    /// Puts others in force.
    pub fn replace(&self, plans: BTreeMap<String, Plan>) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = plans;
    }

    fn now(&self) -> BTreeMap<String, Plan> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Works until `shutdown` is cancelled. A failure is logged and tried again. An error is a panic in it.
pub async fn run<S: Store + Drills, C: Clock + Send + Sync + 'static>(
    store: S,
    clock: Arc<C>,
    judgement: Judgement,
    plans: Plans,
    shutdown: CancellationToken,
) -> Result<(), JoinError> {
    look(LOOK, store, clock, judgement, plans, shutdown).await
}

async fn look<S: Store + Drills, C: Clock + Send + Sync + 'static>(
    every: Duration,
    store: S,
    clock: Arc<C>,
    judgement: Judgement,
    plans: Plans,
    shutdown: CancellationToken,
) -> Result<(), JoinError> {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let (store, now, plans, terms) = (store.clone(), clock.now(), plans.now(), judgement.terms());
        let calendar = move |name: Option<&str>| terms.calendar.business(name).clone();
        match tokio::task::spawn_blocking(move || work(&store, &plans, &calendar, now)).await? {
            Ok(()) => {}
            Err(StoreError::Closed) => return Ok(()),
            Err(error) => tracing::error!(%error, "drills were not looked at; it is tried again"),
        }
    }
}

fn work<S: Store + Drills>(
    store: &S,
    plans: &BTreeMap<String, Plan>,
    calendar: &impl Fn(Option<&str>) -> outband_ticket::Calendar,
    now: Timestamp,
) -> Result<(), StoreError> {
    for drill in store.drills(false)? {
        if drill.ends_at <= now {
            settled(end(store, drill, WHO, now, None))?;
        }
    }
    for (name, plan) in plans {
        let calendar = calendar(plan.calendar.as_deref());
        let Some(turn) = turn::of(name, plan, &calendar, now) else { continue };
        if now < turn.at || turn.at.plus(LATE) <= now || store.had_turn(&turn.name)? {
            continue;
        }
        let known = ServerId::new(plan.server.clone()).ok();
        let known = known.map(|id| store.server(&id)).transpose()?.flatten();
        let Some(server) = known else {
            tracing::error!(plan = name, server = plan.server, "no such server: the planned drill does not take place");
            continue;
        };
        let drill = Drill {
            id: 0,
            server: server.id,
            component: None,
            fault: plan.fault.clone(),
            pages: plan.pages,
            reason: format!("planned exercise {}", turn.name),
            runbook: plan.runbook.clone(),
            author: WHO.to_owned(),
            plan: Some(turn.name.clone()),
            starts_at: now,
            ends_at: now.plus(plan.lasts.duration()),
            ended_at: None,
            revision: 0,
        };
        let change = DrillChange { at: now, who: WHO.to_owned(), what: "start".to_owned(), drill };
        tracing::info!(plan = turn.name, "a planned drill begins");
        settled(store.put_drill(&change, None))?;
    }
    Ok(())
}

/// Ends a drill at `at`, before its time or at it.
pub fn end<S: Drills>(
    store: &S,
    drill: Drill,
    who: &str,
    at: Timestamp,
    note: Option<Note<Drill>>,
) -> Result<Drill, StoreError> {
    let drill = Drill { ended_at: Some(at), revision: drill.revision + 1, ..drill };
    store.put_drill(&DrillChange { at, who: who.to_owned(), what: "end".to_owned(), drill }, note)
}

/// Somebody else was faster: then it is done.
fn settled(put: Result<Drill, StoreError>) -> Result<(), StoreError> {
    match put {
        Err(StoreError::Conflict { .. }) => Ok(()),
        other => other.map(|_| ()),
    }
}

#[cfg(test)]
mod tests;
