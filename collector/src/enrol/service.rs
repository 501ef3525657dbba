//! What agents call: to join, to knock, to renew. Of these only the last stands behind the gate.

use crate::enrol::pending::{Handle, Knock, WAITS};
use crate::enrol::{Issued, Office, Presented};
use crate::tls::AgentKey;
use crate::token;
use outband_proto::enrol as wire;
use outband_proto::enrol::enrol_service_server::EnrolService;
use outband_proto::enrol::renewal_service_server::RenewalService;
use outband_schemas::{AgentId, Clock, Timestamp};
use outband_store::audit::{Actor, Audit, Deed, Noted, Outcome, Sha256Hash};
use outband_store::enrol::Enrolments;
use outband_store::{Store, StoreError};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use tonic::{Request, Response, Status};

const JOIN: &str = "outband.enrol.v1.EnrolService/Join";
const RENEW: &str = "outband.enrol.v1.RenewalService/RenewCertificate";
/// The largest message that a stranger may send.
pub const MAX_MESSAGE: usize = 16 << 10;

/// The services over a store.
#[derive(Debug)]
pub struct Counter<S, C> {
    store: S,
    clock: Arc<C>,
    office: Office,
}

impl<S: Clone, C> Clone for Counter<S, C> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), clock: self.clock.clone(), office: self.office.clone() }
    }
}

impl<S: Store + Audit + Enrolments, C: Clock + Send + Sync + 'static> Counter<S, C> {
    /// Services of this office.
    pub fn new(store: S, clock: Arc<C>, office: Office) -> Self {
        Self { store, clock, office }
    }

    /// The time, and from where the call comes; an error where that address asks too often.
    fn admit<T>(&self, request: &Request<T>) -> Result<(Timestamp, Option<IpAddr>), Status> {
        let (now, peer) = (self.clock.now(), request.remote_addr().map(|addr| addr.ip()));
        if peer.is_some_and(|peer| !self.office.throttle().admits(peer, now)) {
            return Err(Status::resource_exhausted("too many requests from this address; wait a minute"));
        }
        Ok((now, peer))
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&S) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Result<T, StoreError>, Status> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || question(&store)).await.map_err(|_| Status::unavailable("shutting down"))
    }
}

#[tonic::async_trait]
impl<S: Store + Audit + Enrolments, C: Clock + Send + Sync + 'static> EnrolService for Counter<S, C> {
    async fn join(&self, request: Request<wire::JoinRequest>) -> Result<Response<wire::JoinResponse>, Status> {
        let (now, peer) = self.admit(&request)?;
        let r = request.into_inner();
        let refused = |why: &str| {
            tracing::warn!(?peer, why, "an agent that wanted to join was refused");
            // In the same words whatever it was: a stranger learns nothing of which invites there are.
            Status::permission_denied(
                "this invite lets nobody in: it is used, over, revoked or not of this collector; ask for another",
            )
        };
        if r.secret.len() != 16 {
            return Err(refused("no secret"));
        }
        let key = key(&r.csr)?;
        let digest = Sha256Hash(Sha256::digest(&r.secret).into());
        let _turn = self.office.names().await;
        let invite = self.ask(move |store| store.invite_of(digest)).await?.map_err(unavailable)?;
        let invite = invite.ok_or_else(|| refused("its secret is not known"))?;
        if !invite.is_open(now) {
            return Err(refused(if invite.ended_at.is_some() {
                "its invite has ended"
            } else {
                "its invite is too old"
            }));
        }
        let agent = match (&invite.agent, r.agent.as_str()) {
            (Some(named), "") => named.clone(),
            (Some(named), wish) if named.as_str() == wish => named.clone(),
            (Some(named), _) => {
                return Err(Status::failed_precondition(format!("this invite is for agent {named} and no other")));
            }
            (None, wish) => self.free(wish).await?,
        };
        let issued = issue(&self.office, &key, &agent, &invite.site, now)?;
        let (id, record) = (invite.id, issued.record.clone());
        let note = told(peer, &issued, JOIN, now, format!("invites/{id} of {}", invite.who));
        match self.ask(move |store| store.redeem(id, record, note)).await? {
            Err(StoreError::Conflict { .. }) => return Err(refused("its invite was used meanwhile")),
            other => other.map_err(unavailable)?,
        }
        tracing::info!(%agent, site = %invite.site, ?peer, "an agent joined");
        Ok(Response::new(wire::JoinResponse { issued: Some(issued.wire) }))
    }

    async fn knock(&self, request: Request<wire::KnockRequest>) -> Result<Response<wire::KnockResponse>, Status> {
        let (now, peer) = self.admit(&request)?;
        let r = request.into_inner();
        let key = key(&r.csr)?;
        let wish = Some(r.agent).filter(|wish| !wish.is_empty()).map(|wish| name(&wish)).transpose()?;
        let handle: Handle = token::random_bytes().map_err(|e| Status::internal(e.to_string()))?;
        let expires_at = now.plus(WAITS);
        let words = self.office.words(&key);
        let knock = Knock { words, wish, key, peer, asked_at: now, expires_at };
        self.office.pending().add(knock, handle).map_err(|e| Status::resource_exhausted(e.to_string()))?;
        tracing::info!(?peer, "an agent waits to be approved: outband agent pending");
        let answer = wire::KnockResponse { handle: handle.to_vec(), expires_at_ms: expires_at.as_millis() };
        Ok(Response::new(answer))
    }

    async fn collect(&self, request: Request<wire::CollectRequest>) -> Result<Response<wire::CollectResponse>, Status> {
        let (now, _) = self.admit(&request)?;
        let found = self.office.pending().of_handle(&request.into_inner().handle, now);
        let issued = found.ok_or_else(|| Status::not_found("nobody waits here under this handle, or no longer"))?;
        Ok(Response::new(wire::CollectResponse { issued }))
    }
}

#[tonic::async_trait]
impl<S: Store + Audit + Enrolments, C: Clock + Send + Sync + 'static> RenewalService for Counter<S, C> {
    async fn renew_certificate(
        &self,
        request: Request<wire::RenewCertificateRequest>,
    ) -> Result<Response<wire::RenewCertificateResponse>, Status> {
        let (now, peer) = self.admit(&request)?;
        let presented = request.extensions().get::<Presented>().cloned().ok_or_else(|| {
            Status::failed_precondition("this agent comes with a token: it has no certificate that could be renewed")
        })?;
        let key = key(&request.into_inner().csr)?;
        let (agent, site) = (&presented.identity.agent, &presented.identity.site);
        // Not while it is being revoked.
        let _turn = self.office.names().await;
        presented.check()?;
        let issued = issue(&self.office, &key, agent, site, now)?;
        let record = issued.record.clone();
        let note = told(peer, &issued, RENEW, now, format!("in place of {}", presented.identity.serial));
        self.ask(move |store| store.certify(record, note)).await?.map_err(unavailable)?;
        Ok(Response::new(wire::RenewCertificateResponse { issued: Some(issued.wire) }))
    }
}

impl<S: Store + Enrolments + Audit, C: Clock + Send + Sync + 'static> Counter<S, C> {
    /// The name that an agent would like to have, if nobody has it.
    async fn free(&self, wish: &str) -> Result<AgentId, Status> {
        if wish.is_empty() {
            return Err(Status::failed_precondition(
                "this invite leaves the name to the agent: say which, outband-agent join --agent NAME",
            ));
        }
        let agent = name(wish)?;
        let asked = agent.clone();
        if self.ask(move |store| is_known(store, &asked)).await?.map_err(unavailable)? {
            return Err(taken(&agent));
        }
        Ok(agent)
    }
}

/// Whether there is, or was, an agent of this name.
pub(crate) fn is_known<S: Store + Enrolments>(store: &S, agent: &AgentId) -> Result<bool, StoreError> {
    Ok(store.agents()?.iter().any(|a| a.agent == *agent)
        || store.certificates()?.iter().any(|c| c.agent == *agent)
        || store.revocations()?.iter().any(|(revoked, _)| revoked == agent))
}

/// Whoever could take a name that somebody has could speak for him.
pub(crate) fn taken(agent: &AgentId) -> Status {
    Status::failed_precondition(format!(
        "there is an agent {agent} already: choose another name, or have an operator say that it is this one (--agent {agent})"
    ))
}

pub(crate) fn issue(
    office: &Office,
    key: &AgentKey,
    agent: &AgentId,
    site: &outband_schemas::SiteId,
    now: Timestamp,
) -> Result<Issued, Status> {
    office.issue(key, agent, site, now).map_err(|error| {
        tracing::error!(%error, %agent, "an agent's certificate cannot be made");
        Status::internal("the certificate cannot be made; see the collector's log")
    })
}

fn key(csr: &[u8]) -> Result<AgentKey, Status> {
    AgentKey::of_request(csr).map_err(|e| Status::invalid_argument(e.to_string()))
}

fn name(text: &str) -> Result<AgentId, Status> {
    AgentId::new(text).map_err(|e| Status::invalid_argument(e.to_string()))
}

/// The entry of the audit log for a certificate that an agent got by itself.
fn told(peer: Option<IpAddr>, issued: &Issued, method: &str, at: Timestamp, detail: String) -> Noted {
    let record = &issued.record;
    let deed = Deed {
        at,
        role: "agent".to_owned(),
        method: method.to_owned(),
        resource: format!("agents/{}", record.agent),
        detail: format!("certificate {} until {}, {detail}", record.serial, record.not_after),
        outcome: Outcome::Done,
        request_id: None,
        before: None,
        after: Some(record.serial.clone()),
    };
    let actor = Actor { name: record.agent.to_string(), peer: peer.map(|ip| ip.to_string()) };
    Noted { actor, deed, answer: None }
}

/// What a stranger, or an agent, is told of a store that does not answer.
fn unavailable(error: StoreError) -> Status {
    tracing::error!(%error, "an agent cannot be enrolled");
    Status::unavailable("the collector cannot write this down now; try again")
}
