//! `outband tickets`.

use crate::args::{MoveArgs, ResolutionArg, StateArg, TicketsCommand as C};
use crate::context::{self, Context};
use crate::error::Error;
use crate::output::{self, List};
use crate::ticket_view::{COLUMNS, View};
use crate::words::Word;
use crate::{name, paging, watch, when};
use outband_proto::ticket::{
    CommentTicketRequest, GetTicketRequest, ListTicketsRequest, State, Ticket, TransitionTicketRequest,
    WatchTicketsRequest,
};

/// Every state in which somebody still has to do something.
const OPEN: [State; 6] = [
    State::New,
    State::Assigned,
    State::InProgress,
    State::WaitingForCustomer,
    State::WaitingForParts,
    State::Reopened,
];

pub(crate) async fn run(context: &Context, command: Option<C>) -> Result<(), Error> {
    let command = command.unwrap_or(C::List { all: false, state: Vec::new(), server: None });
    match command {
        C::List { all, state, server } => list(context, states(all, &state), server).await,
        C::Get { number, at: None } => get(context, name::ticket(&number)).await,
        C::Sla { number, at } => crate::sla::sums(context, &number, at.as_deref()).await,
        C::Get { number, at: Some(at) } => {
            let at_ms = Some(when::parse(&at, context::now_ms())?);
            let request = GetTicketRequest { name: name::ticket(&number), at_ms };
            show(context, context.api.tickets().get_ticket(request).await?.into_inner().ticket)
        }
        C::Comment { ticket, text, to_customer } => {
            let request = CommentTicketRequest {
                name: name::ticket(&ticket.number),
                text,
                etag: ticket.if_etag,
                request_id: ticket.request_id,
                visibility: if to_customer { "customer" } else { "internal" }.to_owned(),
            };
            show(context, context.api.tickets().comment_ticket(request).await?.into_inner().ticket)
        }
        C::Assign { ticket, assignee } => {
            transition(context, ticket, "assign", |r| TransitionTicketRequest { assignee, ..r }).await
        }
        C::Locate { ticket, cause } => {
            transition(context, ticket, "locate", |r| TransitionTicketRequest { detail: cause, ..r }).await
        }
        C::Resolve { ticket, resolution } => {
            let detail = match resolution {
                ResolutionArg::Repaired => "repaired",
                ResolutionArg::FalseAlarm => "false_alarm",
            };
            transition(context, ticket, "resolve", |r| TransitionTicketRequest { detail: detail.to_owned(), ..r }).await
        }
        C::Merge { ticket, into } => {
            transition(context, ticket, "merge", |r| TransitionTicketRequest { detail: name::ticket(&into), ..r }).await
        }
        C::Parent { ticket, parent } if parent == "none" => transition(context, ticket, "unparent", |r| r).await,
        C::Parent { ticket, parent } => {
            transition(context, ticket, "parent", |r| TransitionTicketRequest { detail: name::ticket(&parent), ..r })
                .await
        }
        C::Link { ticket, to, kind, undo } => {
            let action = format!("{}:{kind}", if undo { "unlink" } else { "link" });
            transition(context, ticket, &action, |r| TransitionTicketRequest { detail: name::ticket(&to), ..r }).await
        }
        C::Start { ticket } => transition(context, ticket, "start", |r| r).await,
        C::WaitCustomer { ticket } => transition(context, ticket, "wait_for_customer", |r| r).await,
        C::WaitParts { ticket } => transition(context, ticket, "wait_for_parts", |r| r).await,
        C::Resume { ticket } => transition(context, ticket, "resume", |r| r).await,
        C::Close { ticket } => transition(context, ticket, "close", |r| r).await,
        C::Reopen { ticket } => transition(context, ticket, "reopen", |r| r).await,
    }
}

fn states(all: bool, wanted: &[StateArg]) -> Vec<i32> {
    let states: Vec<State> = match (all, wanted) {
        (true, _) => Vec::new(),
        (false, []) => OPEN.to_vec(),
        (false, wanted) => wanted.iter().map(|s| state(*s)).collect(),
    };
    states.into_iter().map(i32::from).collect()
}

fn state(arg: StateArg) -> State {
    match arg {
        StateArg::New => State::New,
        StateArg::Assigned => State::Assigned,
        StateArg::InProgress => State::InProgress,
        StateArg::WaitingForCustomer => State::WaitingForCustomer,
        StateArg::WaitingForParts => State::WaitingForParts,
        StateArg::Resolved => State::Resolved,
        StateArg::Closed => State::Closed,
        StateArg::Reopened => State::Reopened,
    }
}

async fn list(context: &Context, states: Vec<i32>, server: Option<String>) -> Result<(), Error> {
    let server = server.map(|s| name::server(&s)).unwrap_or_default();
    let fetch = async || {
        let paged = paging::follow(context.limit, async |page_size, page_token| {
            let request = ListTicketsRequest { page_size, page_token, server: server.clone(), states: states.clone() };
            let answer = context.api.tickets().list_tickets(request).await?.into_inner();
            Ok((answer.tickets.into_iter().map(View::from).collect(), answer.next_page_token))
        })
        .await?;
        context.render(&List { name: "tickets", columns: COLUMNS, paged, none: Word::NoTickets })
    };
    watch::show_on(context, fetch, async || subscribe(context, states.clone()).await).await
}

async fn get(context: &Context, name: String) -> Result<(), Error> {
    let fetch = async || {
        let request = GetTicketRequest { name: name.clone(), at_ms: None };
        let answer = context.api.tickets().get_ticket(request).await?.into_inner();
        context.render(&View::from(answer.ticket.unwrap_or_default()))
    };
    watch::show_on(context, fetch, async || subscribe(context, Vec::new()).await).await
}

async fn subscribe(
    context: &Context,
    states: Vec<i32>,
) -> Result<tonic::Streaming<outband_proto::ticket::WatchTicketsResponse>, Error> {
    Ok(context.api.tickets().watch_tickets(WatchTicketsRequest { states }).await?.into_inner())
}

async fn transition(
    context: &Context,
    ticket: MoveArgs,
    action: &str,
    with: impl FnOnce(TransitionTicketRequest) -> TransitionTicketRequest,
) -> Result<(), Error> {
    let request = with(TransitionTicketRequest {
        name: name::ticket(&ticket.number),
        action: action.to_owned(),
        why: ticket.why,
        etag: ticket.if_etag,
        request_id: ticket.request_id,
        ..TransitionTicketRequest::default()
    });
    show(context, context.api.tickets().transition_ticket(request).await?.into_inner().ticket)
}

fn show(context: &Context, ticket: Option<Ticket>) -> Result<(), Error> {
    output::print(&context.render(&View::from(ticket.unwrap_or_default()))?)
}
