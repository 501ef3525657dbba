//! Tickets and their clocks. The clocks are computed for the moment of the answer.

mod convert;
mod decide;
mod relate;

use crate::audit::Caller;
use crate::query::once::Known;
use crate::query::page::Pager;
use crate::query::problem::{changed_meanwhile, invalid, not_found, rejected, shutting_down};
use crate::query::{Desk, name};
use crate::sight::Sight;
use crate::token::{Principal, Role};
use crate::{auth, record};
pub(super) use convert::in_words;
use convert::{action, states, ticket};
pub(super) use decide::other_part;
use outband_proto::ticket as wire;
use outband_proto::ticket::ticket_service_server::TicketService;
use outband_proto::ticket::{
    CommentTicketRequest, CommentTicketResponse, GetTicketRequest, GetTicketResponse, ListTicketsRequest,
    ListTicketsResponse, ReachMilestoneRequest, ReachMilestoneResponse, TransitionTicketRequest,
    TransitionTicketResponse, WatchTicketsRequest, WatchTicketsResponse,
};
use outband_schemas::{Clock, Timestamp};
use outband_store::audit::{Audit, Deed};
use outband_store::{Page, Store, StoreError, TicketFilter, TicketRecord, TicketWrite};
use outband_ticket::{Action, Command, State, TicketNumber, Visibility};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

/// How often a change is tried anew when the collector itself changed the ticket in between.
const TRIES: usize = 5;
/// So many parents of a parent are looked at.
const ANCESTORS: usize = 32;
/// The longest comment or reason, in bytes.
const MAX_TEXT: usize = 16 << 10;
/// Rows a turn when a watcher reads what changed.
const BATCH: usize = 200;
/// So many parts of a larger incident are named with it.
const MEMBERS: usize = 50;

#[tonic::async_trait]
impl<S: Store + Audit, C: Clock + Send + Sync + 'static> TicketService for Desk<S, C> {
    async fn list_tickets(
        &self,
        request: Request<ListTicketsRequest>,
    ) -> Result<Response<ListTicketsResponse>, Status> {
        let who = auth::principal(&request)?;
        let r = request.into_inner();
        let pager = Pager::new("ListTickets", &(&r.server, &r.states, &r.triage));
        let page = pager.page(r.page_size, &r.page_token)?;
        let filter = TicketFilter {
            server: if r.server.is_empty() { None } else { Some(name::read_server("server", &r.server)?) },
            states: states(&r.states)?,
            triage: convert::classes(&r.triage)?,
            ..TicketFilter::default()
        };
        let sight = self.sight(&who);
        let (seen, next_page_token) = self
            .ask(move |store| {
                let listing = store.tickets(&filter, &page)?;
                let next = pager.next(&listing);
                Ok((sight.seen(listing.rows, |sight, row| sight.ticket(store, &row.ticket))?, next))
            })
            .await?;
        let (terms, now, reader) = (self.terms(), self.now(), self.customer(&who));
        let tickets = seen.iter().map(|row| ticket(row, &terms, now, reader.as_ref())).collect();
        Ok(Response::new(ListTicketsResponse { tickets, next_page_token }))
    }

    async fn get_ticket(&self, request: Request<GetTicketRequest>) -> Result<Response<GetTicketResponse>, Status> {
        let who = auth::principal(&request)?;
        let r = request.into_inner();
        let number = name::read_ticket(&r.name)?;
        let mut record = self.read(number, &who).await?;
        let at = r.at_ms.map_or_else(|| self.now(), Timestamp::from_millis);
        if r.at_ms.is_some() {
            record = record::at(&record, at).ok_or_else(|| no_such_then(number))?;
        }
        let reader = self.customer(&who);
        let mut answer = GetTicketResponse {
            ticket: Some(ticket(&record, &self.terms(), at, reader.as_ref())),
            ..GetTicketResponse::default()
        };
        if r.at_ms.is_none() {
            let sight = self.sight(&who);
            let members = self.ask(move |store| members(store, &sight, number)).await?;
            answer.members_total = i32::try_from(members.len()).unwrap_or(i32::MAX);
            answer.members =
                members.iter().take(MEMBERS).map(|record| convert::member(record, reader.as_ref())).collect();
            if reader.is_none() {
                answer.accesses = record.ticket.access.iter().map(convert::access).collect();
            }
        }
        Ok(Response::new(answer))
    }

    async fn transition_ticket(
        &self,
        request: Request<TransitionTicketRequest>,
    ) -> Result<Response<TransitionTicketResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let wish = Wish {
            method: "outband.ticket.v1.TicketService/TransitionTicket",
            number: name::read_ticket(&r.name)?,
            etag: &r.etag,
            request_id: &r.request_id,
            why: text("why", &r.why)?,
            action: relate::action(&r).or_else(|| decide::action(&r, &self.terms())).unwrap_or_else(|| action(&r))?,
        };
        if let Some(to) = relate::other(&wish.action) {
            self.relate(&wish, to, &caller).await?;
        }
        let answer = |ticket| TransitionTicketResponse { ticket: Some(ticket) };
        let Some(said) = decide::last_word(&r, &wish.action)? else {
            return Ok(Response::new(self.change(&caller, &wish, &r, answer).await?));
        };
        let steps = |_: &TicketRecord, _| Ok(vec![said.clone(), wish.action.clone()]);
        Ok(Response::new(self.change_in_steps(&caller, &wish, &r, steps, answer).await?))
    }

    async fn comment_ticket(
        &self,
        request: Request<CommentTicketRequest>,
    ) -> Result<Response<CommentTicketResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let text = text("text", &r.text)?;
        if text.is_empty() {
            return Err(invalid("text", "a comment must not be empty"));
        }
        let visibility = visibility(&r.visibility, &caller.principal)?;
        let wish = Wish {
            method: "outband.ticket.v1.TicketService/CommentTicket",
            number: name::read_ticket(&r.name)?,
            etag: &r.etag,
            request_id: &r.request_id,
            why: String::new(),
            action: Action::Comment { text, visibility },
        };
        let answer = |ticket| CommentTicketResponse { ticket: Some(ticket) };
        Ok(Response::new(self.change(&caller, &wish, &r, answer).await?))
    }

    async fn reach_milestone(
        &self,
        request: Request<ReachMilestoneRequest>,
    ) -> Result<Response<ReachMilestoneResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let wish = Wish {
            method: "outband.ticket.v1.TicketService/ReachMilestone",
            number: name::read_ticket(&r.name)?,
            etag: &r.etag,
            request_id: &r.request_id,
            why: text("why", &r.why)?,
            action: decide::milestone(&r)?,
        };
        let answer = |ticket| ReachMilestoneResponse { ticket: Some(ticket) };
        Ok(Response::new(self.change(&caller, &wish, &r, answer).await?))
    }

    type WatchTicketsStream = ReceiverStream<Result<WatchTicketsResponse, Status>>;

    async fn watch_tickets(
        &self,
        request: Request<WatchTicketsRequest>,
    ) -> Result<Response<Self::WatchTicketsStream>, Status> {
        let who = auth::principal(&request)?;
        let states = states(&request.into_inner().states)?;
        let (out, answers) = mpsc::channel(64);
        let desk = self.clone();
        tokio::spawn(async move {
            if let Err(status) = desk.send_tickets(states, &who, &out).await {
                // The watcher may be gone; then there is nobody to tell.
                out.send(Err(status)).await.unwrap_or_default();
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

impl<S: Store + Audit, C: Clock + Send + Sync + 'static> Desk<S, C> {
    /// One ticket, if the caller may see it.
    pub(super) async fn read(&self, number: TicketNumber, caller: &Principal) -> Result<TicketRecord, Status> {
        let sight = self.sight(caller);
        let record = self
            .ask(move |store| match store.ticket(number)? {
                Some(record) if sight.ticket(store, &record.ticket)? => Ok(Some(record)),
                // Whether there is one that somebody may not see is not his to know.
                _ => Ok(None),
            })
            .await?;
        record.ok_or_else(|| no_such(number))
    }

    /// Like [`Desk::read`], for a method that changes something: that somebody may not is noted.
    pub(super) async fn read_for(
        &self,
        method: &str,
        number: TicketNumber,
        caller: &Caller,
    ) -> Result<TicketRecord, Status> {
        self.read(number, &caller.principal).await.inspect_err(|status| {
            if status.code() == Code::NotFound {
                self.denied(caller, method, &name::ticket(number));
            }
        })
    }

    /// Whether a ticket may be tied to another: that has to be there, and no ticket is its own ancestor.
    async fn relate(&self, wish: &Wish<'_>, to: TicketNumber, caller: &Caller) -> Result<(), Status> {
        let (action, number) = (&wish.action, wish.number);
        let other = self.read_for(wish.method, to, caller).await?.ticket;
        if let Some(status) = relate::refuse(action, number, &other) {
            return Err(status);
        }
        let mut above = other.parent.filter(|_| matches!(action, Action::Parent { .. }));
        for _ in 0..ANCESTORS {
            let Some(next) = above else { return Ok(()) };
            if next == number {
                return Err(invalid("detail", format!("{} belongs to this one already", name::ticket(to))));
            }
            above = self.ask(move |store| store.ticket(next)).await?.and_then(|record| record.ticket.parent);
        }
        Ok(())
    }

    /// Does to a ticket what is wished, together with the entry in the audit log. With an etag, only if the ticket is still
    /// the one that was read; with an id, once: a request that comes again is answered as it was.
    pub(super) async fn change<Q: Message, A: Message + Default>(
        &self,
        caller: &Caller,
        wish: &Wish<'_>,
        request: &Q,
        answer: impl Fn(wire::Ticket) -> A + Send + Sync,
    ) -> Result<A, Status> {
        let terms = self.terms();
        let steps = |record: &TicketRecord, now| Ok(decide::steps(&wish.action, &terms, record, now));
        self.change_in_steps(caller, wish, request, steps, answer).await
    }

    /// Like [`Desk::change`], where what is wished is more than one step, by how the ticket stands: all of them, or none.
    pub(super) async fn change_in_steps<Q: Message, A: Message + Default>(
        &self,
        caller: &Caller,
        wish: &Wish<'_>,
        request: &Q,
        steps: impl Fn(&TicketRecord, Timestamp) -> Result<Vec<Action>, Status> + Send + Sync,
        answer: impl Fn(wire::Ticket) -> A + Send + Sync,
    ) -> Result<A, Status> {
        let (number, who) = (wish.number, caller.principal.name.clone());
        let reader = self.customer(&caller.principal);
        for _ in 0..TRIES {
            // Each time: the conflict may have been the same request.
            let once = match self.known(caller, wish.method, wish.request_id, request).await? {
                Known::Answered(answer) => return Ok(answer),
                Known::New(once) => once,
            };
            let now = self.now();
            let record = self.read_for(wish.method, number, caller).await?;
            let before = record.ticket.etag();
            if !wish.etag.is_empty() && wish.etag != before {
                return Err(changed_meanwhile(&name::ticket(number), Some(&before)));
            }
            let (mut after, mut entries) = (record.ticket.clone(), Vec::new());
            for action in steps(&record, now)? {
                let command = Command { who: who.clone(), why: wish.why.clone(), action };
                let entry =
                    outband_ticket::apply(&after, command, now).map_err(|e| rejected(&name::ticket(number), &e))?;
                after = after.after(&entry);
                entries.push(entry);
            }
            let deed = Deed {
                request_id: once.id.clone(),
                before: Some(before),
                after: Some(after.etag()),
                ..caller.did(now, wish.method, name::ticket(number), wish.action.word().into_owned())
            };
            let log = record.log.into_iter().chain(entries.iter().cloned()).collect();
            let told = TicketRecord { ticket: after.clone(), log, change: record.change };
            let response = answer(ticket(&told, &self.terms(), now, reader.as_ref()));
            let kept = once.answer(&response);
            let expected_revision = Some(record.ticket.revision);
            let write = TicketWrite { ticket: after, expected_revision, transitions: entries };
            let actor = caller.actor();
            let written = self
                .ask(move |store| match store.change_ticket(write, actor, deed, kept) {
                    Err(StoreError::Conflict { .. }) => Ok(false),
                    other => other.map(|_| true),
                })
                .await?;
            if written {
                self.pulse.beat();
                return Ok(response);
            }
        }
        Err(changed_meanwhile(&name::ticket(number), None))
    }

    /// Sends every ticket in these states, then each that changes, until the watcher leaves (`Ok`) or the collector stops. A
    /// ticket that leaves the states is sent once more, so that the watcher sees it go.
    async fn send_tickets(
        &self,
        states: Vec<State>,
        who: &Principal,
        out: &mpsc::Sender<Result<WatchTicketsResponse, Status>>,
    ) -> Result<(), Status> {
        // Before the first reading, so that no change falls between the two.
        let mut ear = self.pulse.listen();
        let mut shown = std::collections::HashSet::new();
        let mut seen = 0;
        loop {
            let after = seen;
            let (sight, reader) = (self.sight(who), self.customer(who));
            let (newest, records) = self
                .ask(move |store| {
                    let all = changed(store, after)?;
                    let newest = all.last().map_or(after, |record| record.change);
                    Ok((newest, sight.seen(all, |sight, record| sight.ticket(store, &record.ticket))?))
                })
                .await?;
            seen = newest;
            for record in records {
                let number = record.ticket.number;
                if states.is_empty() || states.contains(&record.ticket.state) {
                    shown.insert(number);
                } else if !shown.remove(&number) {
                    continue;
                }
                let ticket = ticket(&record, &self.terms(), self.now(), reader.as_ref());
                if out.send(Ok(WatchTicketsResponse { ticket: Some(ticket) })).await.is_err() {
                    return Ok(());
                }
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return Err(shutting_down()),
                () = out.closed() => return Ok(()),
                more = ear.next() => if !more { return Err(shutting_down()) },
            }
        }
    }
}

/// The tickets that are a part of this one, by number, those that may be seen.
fn members<S: Store>(store: &S, sight: &Sight, of: TicketNumber) -> Result<Vec<TicketRecord>, StoreError> {
    let mut all = every(store, &TicketFilter { parent: Some(of), ..TicketFilter::default() })?;
    all.reverse();
    sight.seen(all, |sight, row| sight.ticket(store, &row.ticket))
}

/// Every ticket changed after that change, in the order of changes.
fn changed<S: Store>(store: &S, after: i64) -> Result<Vec<TicketRecord>, StoreError> {
    every(store, &TicketFilter { changed_after: Some(after), ..TicketFilter::default() })
}

fn every<S: Store>(store: &S, filter: &TicketFilter) -> Result<Vec<TicketRecord>, StoreError> {
    let mut all = Vec::new();
    let mut page = Page::first(BATCH);
    loop {
        let listing = store.tickets(filter, &page)?;
        all.extend(listing.rows);
        match listing.next {
            Some(token) => page = Page::after(token, BATCH),
            None => return Ok(all),
        }
    }
}

/// What somebody wants to do to a ticket.
pub(super) struct Wish<'a> {
    pub(super) method: &'static str,
    pub(super) number: TicketNumber,
    pub(super) etag: &'a str,
    pub(super) request_id: &'a str,
    pub(super) why: String,
    pub(super) action: Action,
}

/// Who is to read a comment. What a customer says, the customer reads.
fn visibility(word: &str, of: &Principal) -> Result<Visibility, Status> {
    match (word, of.role) {
        (_, Role::Customer) | ("customer", _) => Ok(Visibility::Customer),
        ("" | "internal", _) => Ok(Visibility::Internal),
        (other, _) => Err(invalid("visibility", format!("{other:?} is neither internal nor customer"))),
    }
}

fn no_such(number: TicketNumber) -> Status {
    not_found("Ticket", &name::ticket(number), "list the tickets to see those there are")
}

fn no_such_then(number: TicketNumber) -> Status {
    not_found("Ticket", &format!("{} at that time", name::ticket(number)), "ask for a time after it was opened")
}

pub(super) fn text(field: &str, text: &str) -> Result<String, Status> {
    let text = text.trim();
    if text.len() > MAX_TEXT {
        return Err(invalid(field, format!("{} bytes are too many, {MAX_TEXT} are allowed", text.len())));
    }
    Ok(text.to_owned())
}
