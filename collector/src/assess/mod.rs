//! The loop that makes health, incidents and tickets of what agents sent.
//!
//! One step: rows of the ingest log → decoded → the server each belongs to → its window → rules → score → incidents →
//! tickets → ONE write to the store, with the cursor. A crash before that write does it all again; a crash after it does none
//! of it again. When a write fails, everything in memory is thrown away and read anew from the store: memory never knows
//! more than the store.
//!
//! Read in this order: this file (when a step is made), `assessor` (the step), `live` (one server), `draft` (what is
//! to be written), [`identity`], `assessor/fold` (what
//! waits for a ticket, and for what), `verdict` (what people said by moving tickets), `rebuild` (after a restart).

mod assessor;
mod attic;
mod disks;
mod draft;
pub mod identity;
mod live;
pub mod own;
mod rebuild;
mod source;
pub mod synthetic;
mod verdict;
mod wear;

use crate::clock::Timekeeper;
use crate::judgement::{Judgement, Terms};
use crate::putaway;
use crate::query::pulse::Pulse;
use assessor::Assessor;
use disks::Disks;
pub use disks::Predicting;
use outband_schemas::Timestamp;
use outband_store::drift::Drifts;
use outband_store::drill::Drills;
use outband_store::drives::Drives;
use outband_store::erasure::Erasures;
use outband_store::maintenance::Maintenance;
use outband_store::outcome::Outcomes;
use outband_store::putaway::PutAway;
use outband_store::recall::Recall;
use outband_store::threshold::Thresholds;
use outband_store::{Outbox, Store, StoreError};
use outband_ticket::Rejected;
use own::{Stuck, Vitals};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use wear::Wears;

/// How long rows gather before the next step, where fewer waited than a step takes: what a step costs beside its rows is paid ten
/// times a second, however many agents tell something.
const GATHER: Duration = Duration::from_millis(100);
/// How often silence and clocks are looked at when nothing comes.
const TICK: Duration = Duration::from_secs(1);
/// How long to wait where somebody else was faster.
const SETTLE: Duration = Duration::from_millis(50);
/// How long to wait after the store refused.
const RETRY: Duration = Duration::from_secs(2);

/// Why the loop ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store.
    #[error("assessing: {0}")]
    Store(#[from] StoreError),
    /// A move that the table of moves refuses: a mistake in [`crate::react`].
    #[error("assessing: {0}")]
    Rejected(#[from] Rejected),
    /// A name that is none.
    #[error("assessing: {0}")]
    Id(#[from] outband_schemas::IdError),
    /// A step panicked.
    #[error("assessing failed: {0}")]
    Task(#[from] JoinError),
}

/// What the assessment asks of a store.
pub trait Kept:
    Store + Maintenance + Drills + Thresholds + Recall + Drifts + Drives + Outcomes + Erasures + PutAway
{
}
impl<S> Kept for S where
    S: Store + Maintenance + Drills + Thresholds + Recall + Drifts + Drives + Outcomes + Erasures + PutAway
{
}

/// What is learnt over weeks and months: it outlives the rest of what is in memory, which is read anew when a step fails.
#[derive(Debug, Clone, Default)]
struct Learnt {
    wears: Wears,
    disks: Disks,
}

impl Learnt {
    /// Forgets what is erased: from memory, and what was written of it since from the store, after which the erasure is over.
    fn forget_erased(&self, store: &(impl Drives + Erasures)) -> Result<(), StoreError> {
        let erased = store.erasures()?;
        if erased.is_empty() {
            return Ok(());
        }
        // What is kept has to be in memory before something of it can be forgotten.
        self.disks.load(store)?;
        self.disks.forget(
            store,
            &erased.iter().map(|e| &e.server).collect(),
            &erased.iter().flat_map(|e| &e.drives).collect(),
        )?;
        erased.iter().for_each(|e| self.wears.forget(&e.server));
        store.forgotten(&erased)?;
        tracing::info!(servers = erased.len(), "what was learnt of an erased customer's servers is forgotten");
        Ok(())
    }

    /// Keeps what was learnt today.
    fn save(&self, store: &(impl Drifts + Drives + Erasures)) {
        if let Err(error) = self.forget_erased(store) {
            tracing::error!(%error, "what was learnt of an erased customer's servers is forgotten at the next start");
        }
        for (what, saved) in [("slow wear", self.wears.save(store)), ("drives", self.disks.save(store))] {
            match saved {
                Ok(()) | Err(StoreError::Closed) => {}
                Err(error) => tracing::error!(%error, what, "what was learnt of it today is lost; all before is kept"),
            }
        }
    }
}

/// Assesses until `shutdown` is cancelled. Tells `pulse` when anything that watchers see was written. `disk` is where the store is, and how many bytes are to be kept free there.
pub async fn run<S: Kept + Outbox, C: Timekeeper + Send + Sync + 'static>(
    store: S,
    clock: Arc<C>,
    disk: (PathBuf, u64),
    judgement: Judgement,
    pulse: Pulse,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let learnt = Learnt::default();
    learnt.wears.put_aside(&disk.0);
    let done = assess(store.clone(), clock, disk, judgement, pulse, shutdown, learnt.clone()).await;
    // What was learnt today would not be there tomorrow.
    tokio::task::spawn_blocking(move || learnt.save(&store)).await?;
    done
}

async fn assess<S: Kept + Outbox, C: Timekeeper + Send + Sync + 'static>(
    store: S,
    clock: Arc<C>,
    (dir, keep_free): (PathBuf, u64),
    judgement: Judgement,
    pulse: Pulse,
    shutdown: CancellationToken,
    learnt: Learnt,
) -> Result<(), Error> {
    let came = Arc::new(Notify::new());
    let wake = came.clone();
    store.on_commit(Box::new(move || wake.notify_one()));
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut assessor: Option<Assessor<S>> = None;
    loop {
        let (ours, now, terms) = (store.clone(), clock.now(), judgement.terms());
        let before = assessor.take();
        let (keeper, dir, learnt) = (clock.clone(), dir.clone(), learnt.clone());
        let step = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let mut assessor = match before {
                Some(assessor) => assessor,
                None => Assessor::load(ours.clone(), learnt, &terms, now)?,
            };
            let done = assessor.step(&terms, now, |store| vitals(store, &*keeper, (&dir, keep_free), now))?;
            let rest = if done.more { putaway::rest(&ours, begun.elapsed())? } else { Duration::ZERO };
            Ok::<_, Error>((assessor, done, rest))
        });
        match step.await? {
            Ok((after, done, rest)) => {
                assessor = Some(after);
                if done.changed {
                    pulse.beat();
                }
                if done.more {
                    if shutdown.is_cancelled() {
                        return Ok(());
                    }
                    let rest = pause(done.full, rest);
                    if !rest.is_zero() {
                        sleep(rest).await;
                    }
                    continue;
                }
                pulse.settle();
            }
            Err(Error::Store(StoreError::Closed)) => return Ok(()),
            // Somebody moved a ticket in the same moment: read it and do it again.
            Err(Error::Store(StoreError::Conflict { what })) => {
                tracing::info!(what, "changed meanwhile; assessed anew");
                sleep(SETTLE).await;
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "nothing was assessed; everything that came is kept, and it is tried again");
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    () = sleep(RETRY) => {}
                }
                continue;
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = came.notified() => {}
            _ = ticks.tick() => {}
        }
    }
}

/// How long rows gather after a step that history wants to `rest` so long. Where more waited than a step takes, nobody waits for more.
fn pause(was_full: bool, rest: Duration) -> Duration {
    if was_full { rest } else { rest.max(GATHER) }
}

/// Bodies that were kept apart within so long are a condition that goes on.
const POISONED: Duration = Duration::from_secs(24 * 3600);

/// What the collector sees of itself.
fn vitals<S: Store + Outbox>(
    store: &S,
    clock: &impl Timekeeper,
    (dir, keep_free): (&Path, u64),
    now: Timestamp,
) -> Result<Vitals, StoreError> {
    let disk = match nix::sys::statvfs::statvfs(dir) {
        Ok(s) => Some((s.blocks_available().saturating_mul(s.fragment_size()), keep_free)),
        Err(error) => {
            tracing::warn!(%error, "the room on the disk of the store is not known");
            None
        }
    };
    let unsent = store.oldest_unsent(now)?.into_iter();
    let stuck = |u: outband_store::Unsent| Stuck { channel: u.channel, count: u.count, since: u.since, error: u.error };
    Ok(Vitals {
        clock_ahead_ms: clock.held(),
        disk,
        damage: store.damage(),
        unsent: unsent.map(stuck).collect(),
        poisoned: store.poisoned(now.minus(POISONED))?,
    })
}

#[cfg(test)]
mod tests;
