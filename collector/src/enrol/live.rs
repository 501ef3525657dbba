//! Whose certificates are refused, as the door knows it.

use crate::enrol::AgentIdentity;
use outband_schemas::{AgentId, Clock, Timestamp};
use outband_store::StoreError;
use outband_store::enrol::Enrolments;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tonic::Status;

/// Revocations, and the time by which certificates end. Clones share them.
#[derive(Clone)]
pub struct Live {
    revoked: Arc<RwLock<HashMap<AgentId, Timestamp>>>,
    clock: Arc<dyn Clock + Send + Sync>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl Live {
    /// The revocations that are stored.
    pub fn of<S: Enrolments>(store: &S, clock: Arc<dyn Clock + Send + Sync>) -> Result<Self, StoreError> {
        let live = Self { revoked: Arc::default(), clock };
        live.refresh(store)?;
        Ok(live)
    }

    /// Reads anew what is revoked.
    pub fn refresh<S: Enrolments>(&self, store: &S) -> Result<(), StoreError> {
        // Under the lock: of two who refresh at a time, the later reading stays.
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        *revoked = store.revocations()?.into_iter().collect();
        Ok(())
    }

    /// Until when what was issued to an agent is refused.
    pub fn revoked(&self, agent: &AgentId) -> Option<Timestamp> {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).get(agent).copied()
    }

    /// Whether this certificate lets its bearer in now.
    pub fn check(&self, identity: &AgentIdentity) -> Result<(), Status> {
        let AgentIdentity { agent, issued_at, not_after, .. } = identity;
        // Certificates know whole seconds.
        if self.revoked(agent).is_some_and(|until| issued_at.as_secs() <= until.as_secs()) {
            return Err(Status::unauthenticated(format!(
                "the certificate of agent {agent} was revoked; to join anew it needs an invite that names it: outband agent invite --agent {agent} --site SITE"
            )));
        }
        if self.clock.now() >= *not_after {
            return Err(Status::unauthenticated(format!(
                "the certificate of agent {agent} has ended; to join anew it needs an invite that names it"
            )));
        }
        Ok(())
    }

    /// When a certificate that is issued now is said to be: not in the second in which the agent's others were revoked.
    pub fn issue_after(&self, agent: &AgentId, now: Timestamp) -> Timestamp {
        let now = Timestamp::from_secs(now.as_secs());
        match self.revoked(agent) {
            Some(until) if now.as_secs() <= until.as_secs() => {
                Timestamp::from_secs(until.as_secs()).plus(Duration::from_secs(1))
            }
            _ => now,
        }
    }
}

/// The certificate with which somebody was let in. The gate puts it into the request's extensions.
#[derive(Debug, Clone)]
pub struct Presented {
    /// What it says.
    pub identity: AgentIdentity,
    pub(crate) live: Live,
}

impl Presented {
    /// Whether it would still let its bearer in.
    pub fn check(&self) -> Result<(), Status> {
        self.live.check(&self.identity)
    }
}
