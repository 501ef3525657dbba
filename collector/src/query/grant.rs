//! Temporary accesses.

use crate::audit::Caller;
use crate::auth;
use crate::grant::{self, LONGEST, ROLES, USUAL};
use crate::query::once::Known;
use crate::query::problem::{changed_meanwhile, invalid, not_found, rejected};
use crate::query::ticket::text;
use crate::query::{Desk, name};
use crate::token::{self, Token};
use outband_proto::grant as wire;
use outband_proto::grant::grant_service_server::GrantService;
use outband_schemas::Clock;
use outband_store::audit::{Audit, Deed, Sha256Hash};
use outband_store::grant::{Grant, GrantEnd, Grants};
use outband_store::{Store, StoreError};
use outband_ticket::{AccessStep, State};
use std::time::Duration;
use tonic::{Request, Response, Status};

const CREATE: &str = "outband.grant.v1.GrantService/CreateGrant";
const END: &str = "outband.grant.v1.GrantService/EndGrant";
/// How often it is tried anew when somebody else changed the ticket in between.
const TRIES: usize = 5;
/// The longest name of somebody, in bytes.
const MAX_NAME: usize = 64;

#[tonic::async_trait]
impl<S: Store + Audit + Grants, C: Clock + Send + Sync + 'static> GrantService for Desk<S, C> {
    async fn list_grants(
        &self,
        request: Request<wire::ListGrantsRequest>,
    ) -> Result<Response<wire::ListGrantsResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let of = if r.ticket.is_empty() { None } else { Some(name::read_ticket(&r.ticket)?) };
        let all = r.all;
        let found = self
            .ask(move |store| sight.seen(store.grants(of, all)?, |sight, grant| sight.number(store, grant.ticket)))
            .await?;
        Ok(Response::new(wire::ListGrantsResponse { grants: found.iter().map(shown).collect() }))
    }

    async fn create_grant(
        &self,
        request: Request<wire::CreateGrantRequest>,
    ) -> Result<Response<wire::CreateGrantResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known::<_, wire::CreateGrantResponse>(&caller, CREATE, &r.request_id, &r).await? {
            Known::Answered(answer) => {
                let id = answer.grant.as_ref().map(|grant| read(&grant.name)).transpose()?.unwrap_or_default();
                let (token, _) = self.token(id, &caller, Some(&r.request_id))?;
                return Ok(Response::new(wire::CreateGrantResponse { token: token.reveal().to_owned(), ..answer }));
            }
            Known::New(once) => once,
        };
        let number = name::read_ticket(&r.ticket)?;
        let holder = holder(&r.holder)?;
        let role = ROLES.iter().find(|role| role.as_str() == r.role).ok_or_else(|| {
            invalid(
                "role",
                format!("{:?} is neither viewer nor engineer; no other rights are given away for a while", r.role),
            )
        })?;
        let verified =
            needed("verified", &r.verified, "say how you made sure who they are: number called back, staff number")?;
        let reason = needed("reason", &r.reason, "say what the access is for")?;
        let lasts = match u64::try_from(r.lasts_secs) {
            Ok(0) => USUAL,
            Ok(secs) if secs <= LONGEST.as_secs() => Duration::from_secs(secs),
            _ => {
                return Err(invalid(
                    "lasts_secs",
                    format!("an access lasts 24 hours at most ({} s)", LONGEST.as_secs()),
                ));
            }
        };
        // Whoever may not see the ticket uses up no number, either.
        self.read_for(CREATE, number, &caller).await?;
        let id = self.ask(|store| store.reserve_grant()).await?;
        let (token, digest) = self.token(id, &caller, once.id.as_deref())?;
        for _ in 0..TRIES {
            let ticket = self.read_for(CREATE, number, &caller).await?.ticket;
            if ticket.state == State::Closed {
                return Err(Status::failed_precondition(format!(
                    "{} is closed: there is nothing to help with",
                    name::ticket(number)
                )));
            }
            let now = self.now();
            let grant = Grant {
                id,
                ticket: number,
                holder: holder.clone(),
                role: role.as_str().to_owned(),
                verified: verified.clone(),
                reason: reason.clone(),
                granted_by: caller.principal.name.clone(),
                granted_at: now,
                until: now.plus(lasts),
                ended: None,
                reminded: false,
            };
            let step = AccessStep::Granted { holder: holder.clone(), role: grant.role.clone(), until: grant.until };
            let deed = Deed {
                request_id: once.id.clone(),
                after: Some(etag(&grant)),
                ..caller.did(now, CREATE, called(id), format!("{role} of {}", name::ticket(number)))
            };
            let write = grant::write(grant.clone(), step, &reason, &ticket, caller.actor(), deed)
                .map_err(|e| rejected(&name::ticket(number), &e))?;
            if self.kept(move |store| store.add_grant(write, digest)).await? {
                let answer = wire::CreateGrantResponse { grant: Some(shown(&grant)), token: String::new() };
                // Without the token: the store keeps none in clear.
                self.remember(&caller, once, &answer).await?;
                return Ok(Response::new(wire::CreateGrantResponse { token: token.reveal().to_owned(), ..answer }));
            }
        }
        Err(changed_meanwhile(&name::ticket(number), None))
    }

    async fn end_grant(
        &self,
        request: Request<wire::EndGrantRequest>,
    ) -> Result<Response<wire::EndGrantResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, END, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let id = read(&r.name)?;
        let why = text("reason", &r.reason)?;
        for _ in 0..TRIES {
            let grant = self.ask(move |store| store.grant(id)).await?.ok_or_else(|| no_such(&r.name))?;
            // Whether there is one of a ticket that somebody may not see is not his to know.
            let ticket = self.read_for(END, grant.ticket, &caller).await.map_err(|_| no_such(&r.name))?.ticket;
            let was = etag(&grant);
            if !r.etag.is_empty() && r.etag != was {
                return Err(changed_meanwhile(&r.name, Some(&was)));
            }
            if grant.ended.is_some() {
                return Ok(Response::new(wire::EndGrantResponse { grant: Some(shown(&grant)) }));
            }
            let now = self.now();
            let after = Grant { ended: Some((now, GrantEnd::Revoked)), ..grant };
            let deed = Deed {
                request_id: once.id.clone(),
                before: Some(was),
                after: Some(etag(&after)),
                ..caller.did(now, END, called(id), String::new())
            };
            let write = grant::write(after.clone(), AccessStep::Ended, &why, &ticket, caller.actor(), deed)
                .map_err(|e| rejected(&name::ticket(after.ticket), &e))?;
            if self.kept(move |store| store.change_grant(write)).await? {
                let answer = wire::EndGrantResponse { grant: Some(shown(&after)) };
                self.remember(&caller, once, &answer).await?;
                return Ok(Response::new(answer));
            }
        }
        Err(changed_meanwhile(&r.name, None))
    }
}

impl<S: Store + Audit + Grants, C: Clock + Send + Sync + 'static> Desk<S, C> {
    /// The token of a grant: the same each time where the request has an id.
    fn token(&self, id: u64, caller: &Caller, request_id: Option<&str>) -> Result<(Token, Sha256Hash), Status> {
        let made = match (&self.token_key, request_id) {
            (Some(key), Some(request_id)) => key.temporary(id, &caller.principal.name, request_id),
            _ => token::temporary(),
        };
        made.map_err(|e| Status::internal(e.to_string()))
    }

    /// Whether it was written; not where somebody else was quicker. The door knows of it before anybody is answered.
    async fn kept(&self, write: impl FnOnce(&S) -> Result<(), StoreError> + Send + 'static) -> Result<bool, Status> {
        let live = self.access.clone();
        let written = self
            .ask(move |store| match write(store) {
                Err(StoreError::Conflict { .. }) => Ok(false),
                other => {
                    other?;
                    live.map_or(Ok(()), |live| live.refresh(store))?;
                    Ok(true)
                }
            })
            .await?;
        if written {
            self.pulse.beat();
        }
        Ok(written)
    }
}

fn needed(field: &str, given: &str, what: &str) -> Result<String, Status> {
    let given = text(field, given)?;
    if given.is_empty() { Err(invalid(field, what)) } else { Ok(given) }
}

/// Whose it is: the name goes into the ticket's log.
fn holder(name: &str) -> Result<String, Status> {
    let name = name.trim();
    let role = token::Role::ALL.iter().any(|role| role.as_str() == name) || name == crate::react::WHO;
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) || role {
        return Err(invalid("holder", format!("the name of a person is wanted, {MAX_NAME} bytes at most")));
    }
    Ok(name.to_owned())
}

fn called(id: u64) -> String {
    format!("grants/{id}")
}

fn read(name: &str) -> Result<u64, Status> {
    let number = name.strip_prefix("grants/").and_then(|n| n.parse().ok());
    number.ok_or_else(|| invalid("name", format!("{name:?} is not grants/NUMBER")))
}

fn no_such(name: &str) -> Status {
    not_found("Grant", name, "list the grants to see those there are")
}

fn etag(grant: &Grant) -> String {
    format!("{}-{}{}", grant.id, u8::from(grant.reminded), u8::from(grant.ended.is_some()))
}

fn shown(grant: &Grant) -> wire::Grant {
    wire::Grant {
        name: called(grant.id),
        ticket: name::ticket(grant.ticket),
        holder: grant.holder.clone(),
        role: grant.role.clone(),
        verified: grant.verified.clone(),
        reason: grant.reason.clone(),
        granted_by: grant.granted_by.clone(),
        granted_at_ms: grant.granted_at.as_millis(),
        until_ms: grant.until.as_millis(),
        ended_at_ms: grant.ended.map(|(at, _)| at.as_millis()),
        ended: grant.ended.map_or("", |(_, how)| how.as_str()).to_owned(),
        etag: etag(grant),
    }
}
