//! Tickets and their clocks. The clocks are computed for the moment of the answer.

mod convert;

use crate::auth;
use crate::query::page::Pager;
use crate::query::problem::{changed_meanwhile, invalid, not_found, rejected, shutting_down};
use crate::query::{Desk, name};
use crate::token::Principal;
use convert::{action, states, ticket};
use outband_proto::ticket::ticket_service_server::TicketService;
use outband_proto::ticket::{
    CommentTicketRequest, CommentTicketResponse, GetTicketRequest, GetTicketResponse, ListTicketsRequest,
    ListTicketsResponse, TransitionTicketRequest, TransitionTicketResponse, WatchTicketsRequest, WatchTicketsResponse,
};
use outband_schemas::{Clock, Timestamp};
use outband_store::{Page, Store, StoreError, TicketFilter, TicketRecord, TicketWrite};
use outband_ticket::{Action, Command, State, Ticket, TicketNumber, Transition, Visibility};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// How often a change is tried anew when the collector itself changed the ticket in between.
const TRIES: usize = 5;
/// The longest comment or reason, in bytes.
const MAX_TEXT: usize = 16 << 10;
/// Rows a turn when a watcher reads what changed.
const BATCH: usize = 200;

#[tonic::async_trait]
impl<S: Store, C: Clock + Send + Sync + 'static> TicketService for Desk<S, C> {
    async fn list_tickets(
        &self,
        request: Request<ListTicketsRequest>,
    ) -> Result<Response<ListTicketsResponse>, Status> {
        let r = request.into_inner();
        let pager = Pager::new("ListTickets", &(&r.server, &r.states));
        let page = pager.page(r.page_size, &r.page_token)?;
        let filter = TicketFilter {
            server: if r.server.is_empty() { None } else { Some(name::read_server("server", &r.server)?) },
            states: states(&r.states)?,
            changed_after: None,
        };
        let listing = self.ask(move |store| store.tickets(&filter, &page)).await?;
        let next_page_token = pager.next(&listing);
        let (terms, now) = (self.terms(), self.now());
        let tickets = listing.rows.iter().map(|row| ticket(row, &terms, now)).collect();
        Ok(Response::new(ListTicketsResponse { tickets, next_page_token }))
    }

    async fn get_ticket(&self, request: Request<GetTicketRequest>) -> Result<Response<GetTicketResponse>, Status> {
        let number = name::read_ticket(&request.into_inner().name)?;
        let record = self.ask(move |store| store.ticket(number)).await?.ok_or_else(|| no_such(number))?;
        Ok(Response::new(GetTicketResponse { ticket: Some(ticket(&record, &self.terms(), self.now())) }))
    }

    async fn transition_ticket(
        &self,
        request: Request<TransitionTicketRequest>,
    ) -> Result<Response<TransitionTicketResponse>, Status> {
        let who = auth::principal(&request)?;
        let r = request.into_inner();
        let number = name::read_ticket(&r.name)?;
        let action = action(&r)?;
        let why = text("why", &r.why)?;
        let record = self
            .change(number, &r.etag, &who, move |ticket, who, now| {
                let command = Command { who: who.to_owned(), why: why.clone(), action: action.clone() };
                act(ticket, command, now)
            })
            .await?;
        Ok(Response::new(TransitionTicketResponse { ticket: Some(ticket(&record, &self.terms(), self.now())) }))
    }

    async fn comment_ticket(
        &self,
        request: Request<CommentTicketRequest>,
    ) -> Result<Response<CommentTicketResponse>, Status> {
        let who = auth::principal(&request)?;
        let r = request.into_inner();
        let number = name::read_ticket(&r.name)?;
        let text = text("text", &r.text)?;
        if text.is_empty() {
            return Err(invalid("text", "a comment must not be empty"));
        }
        let record = self
            .change(number, "", &who, move |ticket, who, now| {
                let action = Action::Comment { text: text.clone(), visibility: Visibility::Internal };
                act(ticket, Command { who: who.to_owned(), why: String::new(), action }, now)
            })
            .await?;
        Ok(Response::new(CommentTicketResponse { ticket: Some(ticket(&record, &self.terms(), self.now())) }))
    }

    type WatchTicketsStream = ReceiverStream<Result<WatchTicketsResponse, Status>>;

    async fn watch_tickets(
        &self,
        request: Request<WatchTicketsRequest>,
    ) -> Result<Response<Self::WatchTicketsStream>, Status> {
        let states = states(&request.into_inner().states)?;
        let (out, answers) = mpsc::channel(64);
        let desk = self.clone();
        tokio::spawn(async move {
            if let Err(status) = desk.send_tickets(states, &out).await {
                // The watcher may be gone; then there is nobody to tell.
                out.send(Err(status)).await.unwrap_or_default();
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

impl<S: Store, C: Clock + Send + Sync + 'static> Desk<S, C> {
    /// Changes a ticket as `change` says of its newest state. With an etag, only if it is still the one that was read.
    async fn change(
        &self,
        number: TicketNumber,
        etag: &str,
        who: &Principal,
        change: impl Fn(&Ticket, &str, Timestamp) -> Result<(Ticket, Vec<Transition>), Status> + Send + Sync,
    ) -> Result<TicketRecord, Status> {
        for _ in 0..TRIES {
            let record = self.ask(move |store| store.ticket(number)).await?.ok_or_else(|| no_such(number))?;
            let current = record.ticket.etag();
            if !etag.is_empty() && etag != current {
                return Err(changed_meanwhile(&name::ticket(number), Some(&current)));
            }
            let now = self.now();
            let (after, transitions) = change(&record.ticket, &who.name, now)?;
            let expected_revision = Some(record.ticket.revision);
            let write = TicketWrite { ticket: after, expected_revision, transitions };
            let written = self
                .ask(move |store| match store.update_ticket(write) {
                    Err(StoreError::Conflict { .. }) => Ok(None),
                    other => other.map(Some),
                })
                .await?;
            if let Some(record) = written {
                self.pulse.beat();
                return Ok(record);
            }
        }
        Err(changed_meanwhile(&name::ticket(number), None))
    }

    /// Sends every ticket in these states, then each that changes, until the watcher leaves (`Ok`) or the collector stops. A
    /// ticket that leaves the states is sent once more, so that the watcher sees it go.
    async fn send_tickets(
        &self,
        states: Vec<State>,
        out: &mpsc::Sender<Result<WatchTicketsResponse, Status>>,
    ) -> Result<(), Status> {
        // Before the first reading, so that no change falls between the two.
        let mut ear = self.pulse.listen();
        let mut shown = std::collections::HashSet::new();
        let mut seen = 0;
        loop {
            let after = seen;
            for record in self.ask(move |store| changed(store, after)).await? {
                seen = seen.max(record.change);
                let number = record.ticket.number;
                if states.is_empty() || states.contains(&record.ticket.state) {
                    shown.insert(number);
                } else if !shown.remove(&number) {
                    continue;
                }
                let ticket = ticket(&record, &self.terms(), self.now());
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

/// Every ticket changed after that change, in the order of changes.
fn changed<S: Store>(store: &S, after: i64) -> Result<Vec<TicketRecord>, StoreError> {
    let filter = TicketFilter { changed_after: Some(after), ..TicketFilter::default() };
    let mut all = Vec::new();
    let mut page = Page::first(BATCH);
    loop {
        let listing = store.tickets(&filter, &page)?;
        all.extend(listing.rows);
        match listing.next {
            Some(token) => page = Page::after(token, BATCH),
            None => return Ok(all),
        }
    }
}

fn act(ticket: &Ticket, command: Command, now: Timestamp) -> Result<(Ticket, Vec<Transition>), Status> {
    let entry = outband_ticket::apply(ticket, command, now).map_err(|e| rejected(&name::ticket(ticket.number), &e))?;
    Ok((ticket.after(&entry), vec![entry]))
}

fn no_such(number: TicketNumber) -> Status {
    not_found("Ticket", &name::ticket(number), "list the tickets to see those there are")
}

fn text(field: &str, text: &str) -> Result<String, Status> {
    let text = text.trim();
    if text.len() > MAX_TEXT {
        return Err(invalid(field, format!("{} bytes are too many, {MAX_TEXT} are allowed", text.len())));
    }
    Ok(text.to_owned())
}
