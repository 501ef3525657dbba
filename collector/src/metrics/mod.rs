//! Figures of the collector itself, for whoever watches over it: everything that can fill up, and who is kept out.
//!
//! [`gather`] looks, [`text`] writes, [`http`] answers. Nothing is kept between two scrapes: each one looks anew. Names and units follow
//! OpenTelemetry's conventions as Prometheus spells them: `outband_collector_<thing>_<unit>`, base units, `_total` for counts.
//! `deploy/alerts.yml` holds rules that use them.

mod gather;
mod http;
pub mod text;

pub use gather::Sources;

use outband_store::fill::Fill;
use outband_store::history::History;
use outband_store::{Outbox, Store};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::Timekeeper;

/// Why nothing is told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("[metrics] cannot listen on {addr}: {source}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// A bound listener, not yet served.
#[derive(Debug)]
pub struct Bound(TcpListener);

impl Bound {
    /// Binds, where there is an address.
    pub async fn bind(addr: Option<SocketAddr>) -> Result<Option<Self>, Error> {
        let Some(addr) = addr else { return Ok(None) };
        let listener = TcpListener::bind(addr).await.map_err(|source| Error::Bind { addr, source })?;
        let bound = listener.local_addr().map_err(|source| Error::Bind { addr, source })?;
        if !bound.ip().is_loopback() {
            tracing::warn!("metrics are told to whoever reaches {bound}: there is neither TLS nor a token on it");
        }
        tracing::info!("metrics: http://{bound}/metrics");
        Ok(Some(Self(listener)))
    }
}

/// Answers until `shutdown` is cancelled; at once, where there is no listener, it only waits for that.
pub async fn run<S, C>(bound: Option<Bound>, sources: Sources<S, C>, shutdown: CancellationToken)
where
    S: Store + Fill + History + Outbox,
    C: Timekeeper + Send + Sync + 'static,
{
    let Some(Bound(listener)) = bound else { return shutdown.cancelled().await };
    let page = move || {
        let sources = sources.clone();
        async move {
            let told = tokio::task::spawn_blocking(move || sources.page()).await;
            match told {
                Ok(Ok(page)) => Some(page),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the store's figures cannot be told");
                    None
                }
                Err(error) => {
                    tracing::error!(%error, "the metrics failed");
                    None
                }
            }
        }
    };
    http::serve(listener, page, shutdown).await;
}
