//! How agents come to certificates of their own, keep them, and lose them.
//!
//! A certificate says which agent at which site its bearer is ([`identity`]). It is issued by the collector's CA ([`crate::tls::Authority`]) for a
//! key that never leaves the agent: to whoever has the line of an invite, or to whoever shows the six words that an operator approved
//! ([`pending`]). [`service`] is what agents call, `query/enrol.rs` what operators call; both share the [`Office`]. [`live`] is what the door asks.

pub mod identity;
pub mod live;
pub mod pending;
pub mod service;
pub mod throttle;

pub use identity::AgentIdentity;
pub use live::{Live, Presented};

use crate::config::enrol::EnrolConfig;
use crate::tls::{self, AgentKey, Authority};
use outband_proto::enrol::IssuedCertificate;
use outband_schemas::enrol::{words, words_input};
use outband_schemas::{AgentId, SiteId, Timestamp};
use outband_store::enrol::AgentCertificate;
use pending::Pending;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use throttle::Throttle;

/// How long an invite is good if nobody says otherwise.
pub const INVITE_USUAL: Duration = Duration::from_secs(3600);
/// How long at most.
pub const INVITE_LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// What agents' and operators' sides of enrolment share. Clones are the same office.
#[derive(Debug, Clone)]
pub struct Office {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    authority: Authority,
    live: Live,
    pending: Pending,
    throttle: Throttle,
    config: RwLock<Arc<EnrolConfig>>,
    server_names: Vec<String>,
    agents_addr: SocketAddr,
    /// Names are given out one at a time: of two who want the same, one gets it.
    names: tokio::sync::Mutex<()>,
}

/// A certificate and what is written down of it.
#[derive(Debug, Clone)]
pub struct Issued {
    /// What is kept.
    pub record: AgentCertificate,
    /// What the agent gets.
    pub wire: IssuedCertificate,
}

impl Office {
    /// An office of this CA. `agents_addr`: where agents' listener is bound.
    pub fn new(
        authority: Authority,
        live: Live,
        config: EnrolConfig,
        server_names: Vec<String>,
        agents_addr: SocketAddr,
    ) -> Self {
        let inner = Inner {
            authority,
            live,
            pending: Pending::default(),
            throttle: Throttle::default(),
            config: RwLock::new(Arc::new(config)),
            server_names,
            agents_addr,
            names: tokio::sync::Mutex::new(()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Puts another config in force.
    pub fn replace(&self, config: EnrolConfig) {
        // A holder that panicked left a whole value: it is replaced in one step.
        *self.inner.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    fn config(&self) -> Arc<EnrolConfig> {
        self.inner.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whose certificates are refused.
    pub fn live(&self) -> &Live {
        &self.inner.live
    }

    /// Who waits for an operator.
    pub fn pending(&self) -> &Pending {
        &self.inner.pending
    }

    pub(crate) fn throttle(&self) -> &Throttle {
        &self.inner.throttle
    }

    /// Held while it is found out whether a name is free, until it is taken.
    pub(crate) async fn names(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.names.lock().await
    }

    /// SHA-256 of the CA's certificate.
    pub fn ca_sha256(&self) -> [u8; 32] {
        self.inner.authority.ca_sha256()
    }

    /// The six words of a key, as its agent shows them if it speaks to this collector and to nobody in between.
    pub fn words(&self, key: &AgentKey) -> String {
        words(&Sha256::digest(words_input(&self.ca_sha256(), &key.public_key())).into()).join(" ")
    }

    /// Where an invite sends an agent.
    pub fn addresses(&self) -> Vec<String> {
        let config = self.config();
        if !config.addresses.is_empty() {
            return config.addresses.clone();
        }
        let inner = &self.inner;
        if inner.server_names.is_empty() {
            return vec![inner.agents_addr.to_string()];
        }
        let port = inner.agents_addr.port();
        let bracketed =
            |name: &String| if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") };
        inner.server_names.iter().map(bracketed).collect()
    }

    /// A certificate for this key. Nothing is written down yet.
    pub fn issue(&self, key: &AgentKey, agent: &AgentId, site: &SiteId, now: Timestamp) -> Result<Issued, tls::Error> {
        let issued_at = self.inner.live.issue_after(agent, now);
        let not_after = Timestamp::from_secs(issued_at.plus(self.config().certificate.duration()).as_secs());
        let identity =
            AgentIdentity { agent: agent.clone(), site: site.clone(), serial: String::new(), issued_at, not_after };
        let (pem, serial) = self.inner.authority.sign(key, &identity)?;
        let wire = IssuedCertificate {
            agent: format!("agents/{agent}"),
            site: format!("sites/{site}"),
            certificate_pem: pem,
            ca_pem: self.inner.authority.ca_pem().to_owned(),
            not_before_ms: issued_at.as_millis(),
            not_after_ms: not_after.as_millis(),
        };
        let record = AgentCertificate { serial, agent: agent.clone(), site: site.clone(), issued_at, not_after };
        Ok(Issued { record, wire })
    }
}
