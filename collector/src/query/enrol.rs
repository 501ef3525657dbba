//! Who may join, and which agent no longer belongs.

use crate::audit::Caller;
use crate::enrol::service::{is_known, issue, taken};
use crate::enrol::{INVITE_LONGEST, INVITE_USUAL, Office};
use crate::query::once::{Known, Once};
use crate::query::problem::{changed_meanwhile, invalid, not_found};
use crate::query::ticket::text;
use crate::query::{Desk, name};
use crate::token::{self, TokenKey};
use outband_proto::enrol as wire;
use outband_proto::enrol::identity_service_server::IdentityService;
use outband_schemas::enrol::{InviteLine, read_words};
use outband_schemas::{AgentId, Clock, SiteId, Timestamp};
use outband_store::audit::{Audit, Deed, Noted, Sha256Hash};
use outband_store::enrol::{Enrolments, Invite};
use outband_store::{Store, StoreError};
use prost::Message;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tonic::{Request, Response, Status};

const CREATE: &str = "outband.enrol.v1.IdentityService/CreateInvite";
const REVOKE_INVITE: &str = "outband.enrol.v1.IdentityService/RevokeInvite";
const APPROVE: &str = "outband.enrol.v1.IdentityService/ApprovePendingAgent";
const REVOKE_AGENT: &str = "outband.enrol.v1.IdentityService/RevokeAgent";

#[tonic::async_trait]
impl<S: Store + Audit + Enrolments, C: Clock + Send + Sync + 'static> IdentityService for Desk<S, C> {
    async fn create_invite(
        &self,
        request: Request<wire::CreateInviteRequest>,
    ) -> Result<Response<wire::CreateInviteResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known::<_, wire::CreateInviteResponse>(&caller, CREATE, &r.request_id, &r).await? {
            Known::Answered(answer) => {
                let id =
                    answer.invite.as_ref().map(|invite| invite_number(&invite.name)).transpose()?.unwrap_or_default();
                let line = self.line(&r, &self.secret(id, &caller, Some(&r.request_id))?)?;
                return Ok(Response::new(wire::CreateInviteResponse { line, ..answer }));
            }
            Known::New(once) => once,
        };
        let site = name::read_site("site", &r.site)?;
        let agent =
            Some(&r.agent).filter(|agent| !agent.is_empty()).map(|agent| read_agent("agent", agent)).transpose()?;
        let valid = match u64::try_from(r.valid_secs) {
            Ok(0) => INVITE_USUAL,
            Ok(secs) if secs <= INVITE_LONGEST.as_secs() => Duration::from_secs(secs),
            _ => {
                return Err(invalid(
                    "valid_secs",
                    format!("an invite is good for {} s at most", INVITE_LONGEST.as_secs()),
                ));
            }
        };
        // Whoever names an address that is none uses up no number.
        self.line(&r, &[0; 16])?;
        let id = self.ask(|store| store.reserve_invite()).await?;
        let secret = self.secret(id, &caller, once.id.as_deref())?;
        let line = self.line(&r, &secret)?;
        let now = self.now();
        let invite = Invite {
            id,
            site,
            agent,
            who: caller.principal.name.clone(),
            created_at: now,
            expires_at: now.plus(valid),
            ended_at: None,
            used_by: None,
        };
        // Without the line: the store keeps no secret.
        let answer = wire::CreateInviteResponse { invite: Some(shown(&invite, now)), line: String::new() };
        let whose = invite.agent.as_ref().map(|agent| format!("agent {agent} at ")).unwrap_or_default();
        let detail = format!("for {whose}{} until {}", name::site(&invite.site), invite.expires_at);
        let noted = noted(&caller, &once, caller.did(now, CREATE, format!("invites/{id}"), detail), &answer);
        let digest = Sha256Hash(Sha256::digest(secret).into());
        self.ask(move |store| store.add_invite(invite, digest, noted)).await?;
        Ok(Response::new(wire::CreateInviteResponse { line, ..answer }))
    }

    async fn list_invites(
        &self,
        request: Request<wire::ListInvitesRequest>,
    ) -> Result<Response<wire::ListInvitesResponse>, Status> {
        let (all, now) = (request.into_inner().all, self.now());
        let found = self.ask(S::invites).await?;
        let invites =
            found.iter().filter(|invite| all || invite.is_open(now)).map(|invite| shown(invite, now)).collect();
        Ok(Response::new(wire::ListInvitesResponse { invites }))
    }

    async fn revoke_invite(
        &self,
        request: Request<wire::RevokeInviteRequest>,
    ) -> Result<Response<wire::RevokeInviteResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, REVOKE_INVITE, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let id = invite_number(&r.name)?;
        let no_such = || not_found("Invite", &r.name, "list the invites to see those there are");
        let invite = self.ask(S::invites).await?.into_iter().find(|invite| invite.id == id).ok_or_else(no_such)?;
        let now = self.now();
        if invite.used_by.is_some() || invite.ended_at.is_some() {
            return Ok(Response::new(wire::RevokeInviteResponse { invite: Some(shown(&invite, now)) }));
        }
        let after = Invite { ended_at: Some(now), ..invite };
        let answer = wire::RevokeInviteResponse { invite: Some(shown(&after, now)) };
        let noted =
            noted(&caller, &once, caller.did(now, REVOKE_INVITE, format!("invites/{id}"), String::new()), &answer);
        match self.ask(move |store| not_twice(store.revoke_invite(id, now, noted))).await? {
            true => Ok(Response::new(answer)),
            false => Err(changed_meanwhile(&r.name, None)),
        }
    }

    async fn list_pending_agents(
        &self,
        _: Request<wire::ListPendingAgentsRequest>,
    ) -> Result<Response<wire::ListPendingAgentsResponse>, Status> {
        let waiting = self.office()?.pending().open(self.now());
        let agents = waiting
            .into_iter()
            .map(|knock| wire::PendingAgent {
                words: knock.words,
                agent: knock.wish.as_ref().map(name::agent).unwrap_or_default(),
                peer: knock.peer.map(|ip| ip.to_string()).unwrap_or_default(),
                asked_at_ms: knock.asked_at.as_millis(),
                expires_at_ms: knock.expires_at.as_millis(),
            })
            .collect();
        Ok(Response::new(wire::ListPendingAgentsResponse { agents }))
    }

    async fn approve_pending_agent(
        &self,
        request: Request<wire::ApprovePendingAgentRequest>,
    ) -> Result<Response<wire::ApprovePendingAgentResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, APPROVE, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let words = read_words(&r.words).map_err(|e| invalid("words", e.to_string()))?.join(" ");
        let site = name::read_site("site", &r.site)?;
        let named =
            Some(&r.agent).filter(|agent| !agent.is_empty()).map(|agent| read_agent("agent", agent)).transpose()?;
        let office = self.office()?.clone();
        let _turn = office.names().await;
        let now = self.now();
        let knock = office.pending().of_words(&words, now).ok_or_else(|| {
            let hint = "no agent that waits shows these words: compare them with those on the agent's side; where they differ, somebody sits in between";
            not_found("PendingAgent", &words, hint)
        })?;
        let agent = match (named, knock.wish) {
            (Some(named), _) => named,
            (None, Some(wish)) => {
                let asked = wish.clone();
                if self.ask(move |store| is_known(store, &asked)).await? {
                    return Err(taken(&wish));
                }
                wish
            }
            (None, None) => return Err(invalid("agent", "this agent has no wish: say how it is to be called")),
        };
        let issued = issue(&office, &knock.key, &agent, &site, now)?;
        let answer = wire::ApprovePendingAgentResponse {
            name: name::agent(&agent),
            site: name::site(&site),
            not_after_ms: issued.record.not_after.as_millis(),
        };
        let record = issued.record.clone();
        let detail = format!("certificate {} for {}, words: {words}", record.serial, name::site(&site));
        let deed = Deed { after: Some(record.serial.clone()), ..caller.did(now, APPROVE, name::agent(&agent), detail) };
        let noted = noted(&caller, &once, deed, &answer);
        self.ask(move |store| store.certify(record, noted)).await?;
        office.pending().approve(&words, issued.wire, now);
        Ok(Response::new(answer))
    }

    async fn revoke_agent(
        &self,
        request: Request<wire::RevokeAgentRequest>,
    ) -> Result<Response<wire::RevokeAgentResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, REVOKE_AGENT, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let agent = read_agent("name", &r.name)?;
        let why = text("reason", &r.reason)?;
        let office = self.office()?.clone();
        // Nothing is issued to it meanwhile.
        let _turn = office.names().await;
        let asked = agent.clone();
        if !self.ask(move |store| is_known(store, &asked)).await? {
            return Err(not_found("Agent", &r.name, "list the agents to see those there are"));
        }
        let now = self.now();
        let cut = self.registry.connected_since(&agent).is_some();
        let answer = wire::RevokeAgentResponse { name: name::agent(&agent), revoked_at_ms: now.as_millis(), cut };
        let noted = noted(&caller, &once, caller.did(now, REVOKE_AGENT, name::agent(&agent), why), &answer);
        let (live, whom) = (office.live().clone(), agent.clone());
        self.ask(move |store| {
            store.revoke_agent(&whom, now, noted)?;
            live.refresh(store)
        })
        .await?;
        // After the door knows: who comes back finds it shut.
        self.registry.cut(&agent);
        Ok(Response::new(answer))
    }
}

impl<S: Store + Audit + Enrolments, C: Clock + Send + Sync + 'static> Desk<S, C> {
    fn office(&self) -> Result<&Office, Status> {
        self.office.as_ref().ok_or_else(|| Status::unimplemented("this collector enrols no agents"))
    }

    /// The secret of an invite: the same each time where the request has an id.
    fn secret(&self, id: u64, caller: &Caller, request_id: Option<&str>) -> Result<[u8; 16], Status> {
        let made = match (&self.token_key, request_id) {
            (Some(key), Some(request_id)) => TokenKey::invite(key, id, &caller.principal.name, request_id),
            _ => token::random_bytes(),
        };
        made.map_err(|e| Status::internal(e.to_string()))
    }

    fn line(&self, request: &wire::CreateInviteRequest, secret: &[u8; 16]) -> Result<String, Status> {
        let office = self.office()?;
        let addresses = if request.addresses.is_empty() { office.addresses() } else { request.addresses.clone() };
        let line = InviteLine::new(addresses, office.ca_sha256(), *secret);
        line.map(|line| line.reveal()).map_err(|e| invalid("addresses", e.to_string()))
    }
}

/// The entry of the audit log, and the answer to be kept.
fn noted(caller: &Caller, once: &Once, deed: Deed, answer: &impl Message) -> Noted {
    let deed = Deed { request_id: once.id.clone(), ..deed };
    Noted { actor: caller.actor(), deed, answer: once.answer(answer) }
}

/// Whether it was done; not where somebody else was quicker.
fn not_twice(done: Result<(), StoreError>) -> Result<bool, StoreError> {
    match done {
        Err(StoreError::Conflict { .. }) => Ok(false),
        other => other.map(|()| true),
    }
}

fn read_agent(field: &str, name: &str) -> Result<AgentId, Status> {
    let bare = name.strip_prefix("agents/").unwrap_or(name);
    AgentId::new(bare).map_err(|e| invalid(field, e.to_string()))
}

fn invite_number(name: &str) -> Result<u64, Status> {
    let number = name.strip_prefix("invites/").and_then(|n| n.parse().ok());
    number.ok_or_else(|| invalid("name", format!("{name:?} is not invites/NUMBER")))
}

fn shown(invite: &Invite, now: Timestamp) -> wire::Invite {
    let over = invite.expires_at <= now;
    let (ended_at, ended) = match (invite.ended_at, &invite.used_by) {
        (Some(at), Some(_)) => (Some(at), "used"),
        (Some(at), None) => (Some(at), "revoked"),
        (None, _) if over => (Some(invite.expires_at), "expired"),
        (None, _) => (None, ""),
    };
    let site: &SiteId = &invite.site;
    wire::Invite {
        name: format!("invites/{}", invite.id),
        site: name::site(site),
        agent: invite.agent.as_ref().map(name::agent).unwrap_or_default(),
        created_by: invite.who.clone(),
        created_at_ms: invite.created_at.as_millis(),
        expires_at_ms: invite.expires_at.as_millis(),
        ended_at_ms: ended_at.map(Timestamp::as_millis),
        ended: ended.to_owned(),
        used_by: invite.used_by.as_ref().map(name::agent).unwrap_or_default(),
    }
}
