//! Handing out and erasing what is kept about people and customers.

use crate::audit::Caller;
use crate::judgement::Terms;
use crate::query::once::Known;
use crate::query::problem::{self, changed_meanwhile, invalid, not_found};
use crate::query::{Desk, name};
use crate::record::export::{self, Whose};
use crate::record::hold;
use outband_proto::record as wire;
use outband_proto::record::record_service_server::RecordService;
use outband_schemas::{Clock, ServerId};
use outband_store::audit::{Actor, Audit, Deed};
use outband_store::history::History;
use outband_store::keeping::{CustomerErasure, Hold, Keeping};
use outband_store::{Outbox, ServerRecord, Store};
use outband_ticket::TicketNumber;
use std::collections::BTreeSet;
use std::io::{Read, Seek, Write};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

const ERASE_PERSON: &str = "outband.record.v1.RecordService/ErasePerson";

const ERASE_CUSTOMER: &str = "outband.record.v1.RecordService/EraseCustomer";
const EXPORT: &str = "outband.record.v1.RecordService/ExportCustomer";
const CREATE_HOLD: &str = "outband.record.v1.RecordService/CreateHold";
const RELEASE_HOLD: &str = "outband.record.v1.RecordService/ReleaseHold";

#[tonic::async_trait]
impl<S: Store + Audit + Keeping + Outbox + History, C: Clock + Send + Sync + 'static> RecordService for Desk<S, C> {
    async fn erase_person(
        &self,
        request: Request<wire::ErasePersonRequest>,
    ) -> Result<Response<wire::ErasePersonResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, ERASE_PERSON, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let person = r.person.trim().to_owned();
        if person.is_empty() || person == crate::react::WHO {
            return Err(invalid("person", "the name of a person is wanted, as it stands on tickets"));
        }
        if person == caller.principal.name {
            return Err(invalid("person", "somebody else has to erase you: the entry of it would name you again"));
        }
        let detail = "a person was erased".to_owned();
        let now = self.now();
        let deed = Deed { request_id: once.id.clone(), ..caller.did(now, ERASE_PERSON, String::new(), detail) };
        let (actor, dry) = (caller.actor(), r.validate_only);
        let erased = self.ask(move |store| store.erase_person(&person, actor, deed, dry)).await?;
        if !dry {
            self.pulse.beat();
        }
        let answer = wire::ErasePersonResponse {
            pseudonym: erased.pseudonym,
            ticket_entries: count(erased.entries),
            audit_entries: count(erased.audit),
            mentions: erased.mentions.into_iter().map(name::ticket).collect(),
        };
        if !dry {
            self.remember(&caller, once, &answer).await?;
        }
        Ok(Response::new(answer))
    }

    type ExportCustomerStream = ReceiverStream<Result<wire::ExportCustomerResponse, Status>>;

    async fn export_customer(
        &self,
        request: Request<wire::ExportCustomerRequest>,
    ) -> Result<Response<Self::ExportCustomerStream>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let (whose, what) = whose(&r.customer, &r.sites)?;
        let (terms, now) = (self.terms(), self.now());
        let by = terms.clone();
        let sight = self.sight(&caller.principal);
        let servers = self
            .ask(move |store| {
                let mut servers = export::servers(store, &by, &whose)?;
                servers.retain(|server| sight.record(server));
                Ok(servers)
            })
            .await?;
        if servers.is_empty() {
            return Err(no_such(&what));
        }
        let deed = caller.did(now, EXPORT, what, String::new());
        let actor = caller.actor();
        let (out, pieces) = mpsc::channel(4);
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            let piece = |chunk| out.blocking_send(Ok(wire::ExportCustomerResponse { chunk })).is_ok();
            let failed = match hand_out(&store, &terms, &servers, actor, deed, piece) {
                Ok(()) | Err(export::Error::Gone) => return,
                Err(export::Error::Store(error)) => problem::of_store(&error),
                Err(error) => Status::failed_precondition(error.to_string()),
            };
            // The reader may be gone; then there is nobody to tell.
            out.blocking_send(Err(failed)).unwrap_or_default();
        });
        Ok(Response::new(ReceiverStream::new(pieces)))
    }

    async fn erase_customer(
        &self,
        request: Request<wire::EraseCustomerRequest>,
    ) -> Result<Response<wire::EraseCustomerResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, ERASE_CUSTOMER, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let (whose, what) = whose(&r.customer, &r.sites)?;
        let (terms, now) = (self.terms(), self.now());
        let keep_days = self.retention.now().ticket_least_days;
        let keep = (keep_days > 0).then(|| now.minus(Duration::from_secs(u64::from(keep_days) * 86_400)));
        let deed =
            Deed { request_id: once.id.clone(), ..caller.did(now, ERASE_CUSTOMER, String::new(), String::new()) };
        let (actor, dry_run) = (caller.actor(), r.validate_only);
        let erased = self
            .ask(move |store| {
                let found = export::servers(store, &terms, &whose)?;
                let servers: BTreeSet<ServerId> = found.into_iter().map(|server| server.id).collect();
                if servers.is_empty() {
                    return Ok(None);
                }
                let held = hold::held(store, &terms)?;
                if !dry_run && !held.is_disjoint(&servers) {
                    return Ok(Some(None));
                }
                let mut people: BTreeSet<String> = r.people.into_iter().filter(|p| !p.trim().is_empty()).collect();
                people.extend(export::people(store, &servers)?);
                let erasure = CustomerErasure { servers, people, records: r.records, keep_after: keep, dry_run };
                store.erase_customer(&erasure, actor, deed).map(|erased| Some(Some(erased)))
            })
            .await?
            .ok_or_else(|| no_such(&what))?;
        let Some(erased) = erased else {
            return Err(Status::failed_precondition(format!(
                "{what} is held: `outband record holds` says why; nothing goes before the hold is released"
            )));
        };
        let names = |all: Vec<TicketNumber>| all.into_iter().map(name::ticket).collect();
        let answer = wire::EraseCustomerResponse {
            pseudonym: erased.pseudonym,
            ticket_entries: count(erased.entries),
            audit_entries: count(erased.audit),
            notices: count(erased.notices),
            tickets: names(erased.tickets),
            kept: names(erased.kept),
            rows: count(erased.rows),
            proof: erased.proof.to_string(),
        };
        if !dry_run {
            self.remember(&caller, once, &answer).await?;
            self.pulse.beat();
        }
        Ok(Response::new(answer))
    }

    async fn preview_retention(
        &self,
        _: Request<wire::PreviewRetentionRequest>,
    ) -> Result<Response<wire::PreviewRetentionResponse>, Status> {
        let (terms, now, limits) = (self.terms(), self.now(), self.retention.now().limits(self.now()));
        let ask =
            move |store: &S| Ok((store.prune(&limits, &hold::held(store, &terms)?, now, true)?, store.holdings()?));
        let (due, holdings) = self.ask(ask).await?;
        let history = holdings.into_iter().map(|held| wire::HistoryHolding {
            resolution: held.class.as_str().to_owned(),
            files: count(held.files),
            bytes: i64::try_from(held.bytes).unwrap_or(i64::MAX),
            from_ms: held.span.map(|(from, _)| from.as_millis()),
            to_ms: held.span.map(|(_, to)| to.as_millis()),
            before_ms: limits.of(held.class).as_millis(),
        });
        Ok(Response::new(wire::PreviewRetentionResponse {
            tickets: due.tickets.into_iter().map(name::ticket).collect(),
            audit_entries: count(due.audit),
            tickets_before_ms: limits.tickets.as_millis(),
            audit_before_ms: limits.audit.as_millis(),
            history: history.collect(),
        }))
    }

    async fn list_holds(
        &self,
        request: Request<wire::ListHoldsRequest>,
    ) -> Result<Response<wire::ListHoldsResponse>, Status> {
        let all = request.into_inner().all;
        let mut holds = self.ask(S::holds).await?;
        holds.retain(|hold| all || hold.released.is_none());
        Ok(Response::new(wire::ListHoldsResponse { holds: holds.iter().map(shown).collect() }))
    }

    async fn create_hold(
        &self,
        request: Request<wire::CreateHoldRequest>,
    ) -> Result<Response<wire::CreateHoldResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, CREATE_HOLD, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let whose = hold::whose(&r.of).ok_or_else(|| invalid("of", "name customers/NAME or sites/SITE"))?;
        if r.reason.trim().is_empty() {
            return Err(invalid("reason", "say why: whoever releases it has to know"));
        }
        let (terms, now, author, of) = (self.terms(), self.now(), caller.principal.name.clone(), r.of.clone());
        let servers = self.ask(move |store| export::servers(store, &terms, &whose)).await?;
        let servers: BTreeSet<ServerId> = servers.into_iter().map(|server| server.id).collect();
        if servers.is_empty() {
            return Err(no_such(&r.of));
        }
        let reason = r.reason.trim().to_owned();
        let hold = Hold { id: 0, of, servers, reason, author, created_at: now, released: None, revision: 0 };
        let by = caller.clone();
        let tell = move |made: &Hold| {
            let hold = shown(made);
            let after = Some(hold.etag.clone());
            let deed = Deed { after, ..by.did(now, CREATE_HOLD, hold.name.clone(), made.of.clone()) };
            (deed, wire::CreateHoldResponse { hold: Some(hold) })
        };
        let made = self.noted(&caller, once, tell, move |store, note| store.put_hold(&hold, Some(note))).await?;
        Ok(Response::new(made.ok_or_else(|| changed_meanwhile("holds", None))?))
    }

    async fn release_hold(
        &self,
        request: Request<wire::ReleaseHoldRequest>,
    ) -> Result<Response<wire::ReleaseHoldResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, RELEASE_HOLD, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let id = r.name.strip_prefix("holds/").and_then(|id| id.parse::<u64>().ok());
        let id = id.ok_or_else(|| invalid("name", format!("{:?} is not holds/NUMBER", r.name)))?;
        let holds = self.ask(S::holds).await?;
        let before = holds.into_iter().find(|hold| hold.id == id);
        let before = before.ok_or_else(|| not_found("Hold", &r.name, "list the holds to see those there are"))?;
        let was = shown(&before).etag;
        if !r.etag.is_empty() && r.etag != was {
            return Err(changed_meanwhile(&r.name, Some(&was)));
        }
        if before.released.is_some() {
            return Err(Status::failed_precondition(format!("{} is released already", r.name)));
        }
        let now = self.now();
        let released = Some((now, caller.principal.name.clone()));
        let hold = Hold { released, revision: before.revision + 1, ..before };
        let (by, name) = (caller.clone(), r.name.clone());
        let tell = move |released: &Hold| {
            let hold = shown(released);
            let deed = by.did(now, RELEASE_HOLD, r.name.clone(), r.reason.trim().to_owned());
            let deed = Deed { before: Some(was.clone()), after: Some(hold.etag.clone()), ..deed };
            (deed, wire::ReleaseHoldResponse { hold: Some(hold) })
        };
        let released = self.noted(&caller, once, tell, move |store, note| store.put_hold(&hold, Some(note))).await?;
        Ok(Response::new(released.ok_or_else(|| changed_meanwhile(&name, None))?))
    }
}

/// Makes the file where nobody sees it, notes the SHA-256 of its manifest, and only then sends it: what cannot be logged is not handed out.
fn hand_out<S: Store + Audit + Outbox>(
    store: &S,
    terms: &Terms,
    servers: &[ServerRecord],
    actor: Actor,
    deed: Deed,
    mut piece: impl FnMut(Vec<u8>) -> bool,
) -> Result<(), export::Error> {
    let mut file = tempfile::tempfile()?;
    let mut full = None;
    let written = export::write(store, terms, servers, deed.at, |bytes| match file.write_all(&bytes) {
        Ok(()) => true,
        Err(error) => {
            full = Some(error);
            false
        }
    });
    if let Some(error) = full {
        return Err(error.into());
    }
    let (zip, sum) = written?;
    let detail = format!("{} servers, manifest sha256:{sum}", servers.len());
    let seq = store.audit(actor, Deed { detail, ..deed })?;
    let proof = store.audit_proof(seq)?.ok_or(export::Error::Gone)?;
    let end = export::seal(zip, &proof)?;
    file.rewind()?;
    let mut bytes = vec![0; 1 << 20];
    loop {
        match file.read(&mut bytes)? {
            0 => break,
            n => {
                if !bytes.get(..n).is_some_and(|b| piece(b.to_vec())) {
                    return Err(export::Error::Gone);
                }
            }
        }
    }
    if piece(end) { Ok(()) } else { Err(export::Error::Gone) }
}

fn shown(hold: &Hold) -> wire::Hold {
    let released = hold.released.as_ref();
    wire::Hold {
        name: format!("holds/{}", hold.id),
        of: hold.of.clone(),
        servers: hold.servers.iter().map(name::server).collect(),
        reason: hold.reason.clone(),
        author: hold.author.clone(),
        created_at_ms: hold.created_at.as_millis(),
        released_at_ms: released.map(|(at, _)| at.as_millis()),
        released_by: released.map(|(_, who)| who.clone()).unwrap_or_default(),
        etag: format!("{}-{}", hold.id, hold.revision),
    }
}

/// Whose records a request is about, and how to call them.
fn whose(customer: &str, sites: &[String]) -> Result<(Whose, String), Status> {
    match (customer.trim(), sites) {
        ("", []) => Err(invalid("customer", "name a customer of the topology or the contracts, or sites")),
        ("", sites) => {
            let read = sites.iter().map(|site| name::read_site("sites", site));
            Ok((Whose::Sites(read.collect::<Result<_, _>>()?), sites.join(",")))
        }
        (customer, []) => Ok((Whose::Customer(customer.to_owned()), format!("customers/{customer}"))),
        (_, _) => Err(invalid("sites", "name either a customer or sites")),
    }
}

fn no_such(what: &str) -> Status {
    not_found("Customer", what, "the topology and the list of servers show those there are")
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
