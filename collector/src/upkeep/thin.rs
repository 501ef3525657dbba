//! Has files of history made anew without the kinds of sensors whose term is over. A loop of its own: a file takes minutes, and sealing must not wait for that.

use super::Terms;
use outband_schemas::Clock;
use outband_store::StoreError;
use outband_store::history::History;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(3600);

/// Works until `shutdown` is cancelled. A failure is logged and tried again. An error is a panic in it.
pub async fn run<S: History + Clone + Send + 'static, C: Clock + Send + Sync + 'static>(
    store: S,
    clock: Arc<C>,
    terms: Terms,
    shutdown: CancellationToken,
) -> Result<(), JoinError> {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        let kinds = terms.kinds();
        if kinds.is_empty() {
            continue;
        }
        let (store, now, retention, stop) = (store.clone(), clock.now(), terms.now(), shutdown.clone());
        let work = move || store.thin(now, &retention, &kinds, &|| !stop.is_cancelled());
        match tokio::task::spawn_blocking(work).await? {
            Ok(_) => {}
            Err(StoreError::Closed) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "a file of history cannot be made anew; it stays as it is, and is tried again")
            }
        }
    }
}
