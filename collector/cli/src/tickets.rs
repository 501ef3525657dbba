//! `outband tickets`.

use crate::context::{self, Context};
use crate::decide::{DecideCommand, LastWordArgs};
use crate::error::Error;
use crate::output::{self, List};
use crate::ticket_view::{COLUMNS, View};
use crate::words::Word;
use crate::{name, paging, watch, when};
use clap::{Args, Subcommand, ValueEnum};
use outband_proto::ticket::{
    CommentTicketRequest, GetTicketRequest, ListTicketsRequest, State, Ticket, TransitionTicketRequest,
    WatchTicketsRequest,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub(crate) enum StateArg {
    New,
    Assigned,
    InProgress,
    WaitingForCustomer,
    WaitingForParts,
    Resolved,
    Closed,
    Reopened,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub(crate) enum ResolutionArg {
    /// The fault was there and is repaired
    Repaired,
    /// There was no fault
    FalseAlarm,
}

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum TriageArg {
    Hardware,
    FirmwareConfiguration,
    Compatibility,
    EnvironmentCooling,
    EnvironmentPower,
    Network,
    Unknown,
}

impl TriageArg {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::FirmwareConfiguration => "firmware_configuration",
            Self::Compatibility => "compatibility",
            Self::EnvironmentCooling => "environment_cooling",
            Self::EnvironmentPower => "environment_power",
            Self::Network => "network",
            Self::Unknown => "unknown",
        }
    }
}

/// A ticket, and why it is moved.
#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// The ticket's number
    pub(crate) number: String,
    /// Why, for the ticket's log
    #[arg(long, alias = "reason", default_value = "", hide_default_value = true)]
    pub(crate) why: String,
    /// Only if the ticket is still as it was when this etag was read (see `-o json`)
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ETAG")]
    pub(crate) if_etag: String,
    /// A name for this request, best a UUID: sent again within 24 hours, it is answered as before and not done again
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    pub(crate) request_id: String,
}

/// A ticket that something is said on.
#[derive(Debug, Args)]
pub(crate) struct RemarkArgs {
    /// The ticket's number
    pub(crate) number: String,
    /// Only if the ticket is still as it was when this etag was read (see `-o json`)
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ETAG")]
    pub(crate) if_etag: String,
    /// A name for this request, best a UUID: sent again within 24 hours, it is answered as before and not done again
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    pub(crate) request_id: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TicketsCommand {
    /// Open tickets, or those asked for
    List {
        /// Closed and resolved ones too
        #[arg(long, conflicts_with = "state")]
        all: bool,
        /// Only in these states
        #[arg(long, value_enum, value_delimiter = ',')]
        state: Vec<StateArg>,
        /// Only of this server
        #[arg(long)]
        server: Option<String>,
        /// Only these kinds of trouble
        #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
        triage: Vec<TriageArg>,
    },
    /// One ticket with its evidence, clocks and history
    Get {
        /// The ticket's number
        number: String,
        /// As it stood then: 2026-01-31T08:00:00Z, 2026-01-31, or 30m, 6h, 2d ago
        #[arg(long, value_name = "TIME", conflicts_with = "watch")]
        at: Option<String>,
    },
    /// All that somebody needs who calls about it: on one page, to be read aloud, or as a file
    #[command(
        after_help = "Serials are spelled in groups, every gap is a question with the way to its answer. Names of people, addresses and secrets are left out.\nThe impact on the customer is the newest comment that begins with `impact:` or `影响：`.\n\nExamples:\n  outband tickets callpack 12                                              to be read aloud\n  outband tickets callpack 12 --lang zh-CN --zone Asia/Shanghai            the same in Chinese\n  outband tickets callpack 12 --format html --out 12.html                  to be printed\n  outband tickets callpack 12 --format zip --out 12.zip                    with the raw entries of the server's log"
    )]
    Callpack(crate::callpack::CallPackArgs),
    /// How its clocks were counted: every span, pause and reason, so that the sum can be redone
    #[command(
        after_help = "Examples:\n  outband tickets sla 12                 what was counted, and what was not\n  outband tickets sla 12 --at 2d         as it stood two days ago\n  outband tickets sla 12 -o csv          the counted spans for a spreadsheet: their sum is the time used"
    )]
    Sla {
        /// The ticket's number
        number: String,
        /// For which moment: 2026-01-31T08:00:00Z, 2026-01-31, or 30m, 6h, 2d ago; now where it is left out
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// Give it to somebody (stops the respond clock)
    Assign {
        #[command(flatten)]
        ticket: MoveArgs,
        /// To whom
        assignee: String,
    },
    /// Work begins
    Start {
        #[command(flatten)]
        ticket: MoveArgs,
    },
    /// The root cause is found (stops the locate clock)
    Locate {
        #[command(flatten)]
        ticket: MoveArgs,
        /// The root cause
        cause: String,
    },
    /// Wait for the customer (pauses the clocks by default)
    WaitCustomer {
        #[command(flatten)]
        ticket: MoveArgs,
    },
    /// Wait for parts (the clocks run on by default)
    WaitParts {
        #[command(flatten)]
        ticket: MoveArgs,
    },
    /// Go on after waiting
    Resume {
        #[command(flatten)]
        ticket: MoveArgs,
    },
    /// It is done (stops the repair clock); clean polls then close it
    Resolve {
        #[command(flatten)]
        ticket: MoveArgs,
        /// How it ended
        #[arg(long = "as", value_enum, default_value_t = ResolutionArg::Repaired)]
        resolution: ResolutionArg,
        #[command(flatten)]
        said: LastWordArgs,
    },
    /// Close it, best with what it was: rules are judged by it
    #[command(
        after_help = "Examples:\n  outband tickets close 12 --verdict confirmed\n  outband tickets close 12 --verdict other_part --part psu/2\n\nA ticket that predicted a failure is not closed without a verdict. Any other one is; until somebody says what it was (`outband tickets verdict`), it\nconfirms nothing and is counted as not given in `outband predictions precision --all`."
    )]
    Close {
        #[command(flatten)]
        ticket: MoveArgs,
        #[command(flatten)]
        said: LastWordArgs,
    },
    /// It is not done after all
    Reopen {
        #[command(flatten)]
        ticket: MoveArgs,
    },
    /// The work goes on in another ticket; this one is closed
    Merge {
        #[command(flatten)]
        ticket: MoveArgs,
        /// The other ticket's number
        into: String,
    },
    /// It is a part of a larger incident
    Parent {
        #[command(flatten)]
        ticket: MoveArgs,
        /// The number of that incident's ticket; `none`: of none any more
        parent: String,
    },
    /// It has to do with another ticket
    Link {
        #[command(flatten)]
        ticket: MoveArgs,
        /// The other ticket's number
        to: String,
        /// How: related, duplicate, caused_by, follows_up
        #[arg(long, default_value = "related")]
        kind: String,
        /// It does not after all
        #[arg(long)]
        undo: bool,
    },
    /// Say something on it
    Comment {
        #[command(flatten)]
        ticket: RemarkArgs,
        /// The comment
        text: String,
        /// The customer may read it: an update, as far as clocks are concerned
        #[arg(long, alias = "to-customer")]
        customer: bool,
    },
    #[command(flatten)]
    Decide(DecideCommand),
}

/// Every state in which somebody still has to do something.
const OPEN: [State; 6] = [
    State::New,
    State::Assigned,
    State::InProgress,
    State::WaitingForCustomer,
    State::WaitingForParts,
    State::Reopened,
];

pub(crate) async fn run(context: &Context, command: Option<TicketsCommand>) -> Result<(), Error> {
    let command =
        command.unwrap_or(TicketsCommand::List { all: false, state: Vec::new(), server: None, triage: Vec::new() });
    match command {
        TicketsCommand::List { all, state, server, triage } => list(context, states(all, &state), server, triage).await,
        TicketsCommand::Get { number, at: None } => get(context, name::ticket(&number)).await,
        TicketsCommand::Callpack(asked) => crate::callpack::callpack(context, asked).await,
        TicketsCommand::Sla { number, at } => crate::sla::sums(context, &number, at.as_deref()).await,
        TicketsCommand::Get { number, at: Some(at) } => {
            let at_ms = Some(when::parse(&at, context::now_ms())?);
            let request = GetTicketRequest { name: name::ticket(&number), at_ms };
            show(context, context.api.tickets().get_ticket(request).await?.into_inner().ticket)
        }
        TicketsCommand::Comment { ticket, text, customer } => {
            let request = CommentTicketRequest {
                name: name::ticket(&ticket.number),
                text,
                etag: ticket.if_etag,
                request_id: ticket.request_id,
                visibility: if customer { "customer" } else { "internal" }.to_owned(),
            };
            show(context, context.api.tickets().comment_ticket(request).await?.into_inner().ticket)
        }
        TicketsCommand::Assign { ticket, assignee } => {
            transition(context, ticket, "assign", |r| TransitionTicketRequest { assignee, ..r }).await
        }
        TicketsCommand::Locate { ticket, cause } => {
            transition(context, ticket, "locate", |r| TransitionTicketRequest { detail: cause, ..r }).await
        }
        TicketsCommand::Resolve { ticket, resolution, said } => {
            let detail = match resolution {
                ResolutionArg::Repaired => "repaired",
                ResolutionArg::FalseAlarm => "false_alarm",
            };
            let with = |r| said.with(TransitionTicketRequest { detail: detail.to_owned(), ..r });
            transition(context, ticket, "resolve", with).await
        }
        TicketsCommand::Merge { ticket, into } => {
            transition(context, ticket, "merge", |r| TransitionTicketRequest { detail: name::ticket(&into), ..r }).await
        }
        TicketsCommand::Parent { ticket, parent } if parent == "none" => {
            transition(context, ticket, "unparent", |r| r).await
        }
        TicketsCommand::Parent { ticket, parent } => {
            transition(context, ticket, "parent", |r| TransitionTicketRequest { detail: name::ticket(&parent), ..r })
                .await
        }
        TicketsCommand::Link { ticket, to, kind, undo } => {
            let action = format!("{}:{kind}", if undo { "unlink" } else { "link" });
            transition(context, ticket, &action, |r| TransitionTicketRequest { detail: name::ticket(&to), ..r }).await
        }
        TicketsCommand::Decide(command) => crate::decide::run(context, command).await,
        TicketsCommand::Start { ticket } => transition(context, ticket, "start", |r| r).await,
        TicketsCommand::WaitCustomer { ticket } => transition(context, ticket, "wait_for_customer", |r| r).await,
        TicketsCommand::WaitParts { ticket } => transition(context, ticket, "wait_for_parts", |r| r).await,
        TicketsCommand::Resume { ticket } => transition(context, ticket, "resume", |r| r).await,
        TicketsCommand::Close { ticket, said } => transition(context, ticket, "close", |r| said.with(r)).await,
        TicketsCommand::Reopen { ticket } => transition(context, ticket, "reopen", |r| r).await,
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

async fn list(
    context: &Context,
    states: Vec<i32>,
    server: Option<String>,
    triage: Vec<TriageArg>,
) -> Result<(), Error> {
    let triage: Vec<String> = triage.into_iter().map(|kind| kind.word().to_owned()).collect();
    let server = server.map(|s| name::server(&s)).unwrap_or_default();
    let fetch = async || {
        let paged = paging::follow(context.limit, async |page_size, page_token| {
            let request = ListTicketsRequest {
                page_size,
                page_token,
                server: server.clone(),
                states: states.clone(),
                triage: triage.clone(),
            };
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
        context.render(&View::from(answer))
    };
    watch::show_on(context, fetch, async || subscribe(context, Vec::new()).await).await
}

async fn subscribe(
    context: &Context,
    states: Vec<i32>,
) -> Result<tonic::Streaming<outband_proto::ticket::WatchTicketsResponse>, Error> {
    Ok(context.api.tickets().watch_tickets(WatchTicketsRequest { states }).await?.into_inner())
}

pub(crate) async fn transition(
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

pub(crate) fn show(context: &Context, ticket: Option<Ticket>) -> Result<(), Error> {
    output::print(&context.render(&View::from(ticket.unwrap_or_default()))?)
}
