//! Refusals on their way into the audit log. The gate that refuses must not wait for the disk, and nobody may fill it by
//! asking for what he may not have.

use crate::audit::Caller;
use outband_schemas::Clock;
use outband_store::audit::{Actor, Audit, Deed, Outcome};
use outband_store::{Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

/// So many may wait.
const WAITING: usize = 256;
/// So many are written one by one in a [`PERIOD`]; the others are counted.
const SINGLY: usize = 100;
const PERIOD: Duration = Duration::from_secs(60);

/// A refusal.
#[derive(Debug)]
struct Refusal {
    caller: Caller,
    method: String,
    resource: String,
    detail: String,
}

/// Where gates put refusals. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Refusals {
    out: mpsc::Sender<Refusal>,
    lost: Arc<AtomicU64>,
}

impl Refusals {
    /// A place to put refusals, and what [`run`] takes them from.
    pub fn new() -> (Self, Waiting) {
        let (out, waiting) = mpsc::channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        (Self { out, lost: lost.clone() }, Waiting { waiting, lost })
    }

    /// Notes a refusal; does not wait.
    pub fn note(&self, caller: Caller, method: &str, detail: String) {
        self.note_about(caller, method, "", detail);
    }

    /// Like [`Refusals::note`], where it is known what it would have been done to.
    pub fn note_about(&self, caller: Caller, method: &str, resource: &str, detail: String) {
        let (method, resource) = (method.to_owned(), resource.to_owned());
        if self.out.try_send(Refusal { caller, method, resource, detail }).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The refusals that wait to be written.
#[derive(Debug)]
pub struct Waiting {
    waiting: mpsc::Receiver<Refusal>,
    lost: Arc<AtomicU64>,
}

/// Writes refusals until `shutdown` is cancelled. A failure is logged; an error is a panic in it.
pub async fn run<S, C>(store: S, clock: Arc<C>, mut from: Waiting, shutdown: CancellationToken) -> Result<(), JoinError>
where
    S: Store + Audit,
    C: Clock + Send + Sync + 'static,
{
    let mut periods = tokio::time::interval(PERIOD);
    let mut written = 0;
    loop {
        let refusal = tokio::select! {
            refusal = from.waiting.recv() => refusal,
            _ = periods.tick() => {
                written = 0;
                let lost = from.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tell(&store, collector(), many(lost, &*clock)).await?;
                }
                continue;
            }
            () = shutdown.cancelled() => None,
        };
        // Nothing comes any more where all gates are gone, either.
        let Some(refusal) = refusal else { return Ok(()) };
        if written >= SINGLY {
            from.lost.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        written += 1;
        let Refusal { caller, method, resource, detail } = refusal;
        let deed = Deed { outcome: Outcome::Denied, ..caller.did(clock.now(), &method, resource, detail) };
        tell(&store, caller.actor(), deed).await?;
    }
}

fn collector() -> Actor {
    Actor { name: crate::react::WHO.to_owned(), peer: None }
}

fn many(lost: u64, clock: &impl Clock) -> Deed {
    Deed {
        at: clock.now(),
        role: String::new(),
        method: String::new(),
        resource: String::new(),
        detail: format!("{lost} further calls were denied"),
        outcome: Outcome::Denied,
        request_id: None,
        before: None,
        after: None,
    }
}

async fn tell<S: Store + Audit>(store: &S, actor: Actor, deed: Deed) -> Result<(), JoinError> {
    let store = store.clone();
    match tokio::task::spawn_blocking(move || store.audit(actor, deed)).await? {
        Ok(_) | Err(StoreError::Closed) => {}
        Err(error) => tracing::error!(%error, "a refusal is not in the audit log"),
    }
    Ok(())
}
