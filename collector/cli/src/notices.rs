//! `outband notices`.

use crate::context::Context;
use crate::error::Error;
use crate::once::ChangeArgs;
use crate::output::{self, Block, Column, Document, List, Rows, Shown};
use crate::when::Time;
use crate::words::Word;
use crate::{name, paging, watch};
use clap::{Subcommand, ValueEnum};
use outband_proto::notice::{
    AcknowledgeTicketRequest, AcknowledgeTicketResponse, GetNoticeRequest, ListNoticesRequest, Notice,
    ReplayNoticeRequest, State,
};
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NoticeStateArg {
    /// To be sent at its next try
    Pending,
    /// The channel took it
    Delivered,
    /// Given up; kept until somebody replays it
    Failed,
    /// Nobody needs it any more
    Cancelled,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NoticesCommand {
    /// Notices, newest first
    List {
        /// Only of this ticket
        #[arg(long, value_name = "NUMBER")]
        ticket: Option<String>,
        /// Only in this state
        #[arg(long, value_enum)]
        state: Option<NoticeStateArg>,
        /// Only of this channel, as collector.toml names it
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// Only for this recipient, as collector.toml names it
        #[arg(long, value_name = "NAME")]
        recipient: Option<String>,
    },
    /// One notice with its text
    Show {
        /// The notice's number
        number: String,
    },
    /// Send it once more, under the same key
    Replay {
        /// The notice's number
        #[arg(required_unless_present = "failed", conflicts_with = "failed")]
        number: Option<String>,
        /// All that were given up, e.g. while a mail server was down
        #[arg(long)]
        failed: bool,
        /// With --failed: only of this channel
        #[arg(long, value_name = "NAME", requires = "failed")]
        channel: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Take note of a ticket: its fallbacks are told no more
    Ack {
        /// The ticket's number
        #[arg(required_unless_present = "key")]
        ticket: Option<String>,
        /// The key of the notice that was answered, for whoever answers for a phone or a chat: the log then names the channel
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// Why, for the ticket's log
        #[arg(long, default_value = "", hide_default_value = true)]
        why: String,
        /// The level of escalation; 0: the highest so far
        #[arg(long, default_value_t = 0)]
        level: u32,
    },
}

#[derive(Debug, Serialize)]
struct View {
    name: String,
    ticket: String,
    seq: u32,
    step: u32,
    cause: String,
    channel: String,
    recipient: String,
    language: String,
    priority: String,
    subject: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    body: String,
    key: String,
    #[serde(serialize_with = "state_name")]
    state: State,
    attempts: u32,
    made_at: Time,
    next_try: Time,
    settled_at: Time,
    error: String,
}

fn state_name<S: serde::Serializer>(state: &State, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(raw(*state))
}

fn raw(state: State) -> &'static str {
    match state {
        State::Unspecified => "",
        State::Pending => "pending",
        State::Delivered => "delivered",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
    }
}

fn shown(state: State, shown: &Shown) -> String {
    shown.word(match state {
        State::Unspecified => Word::Unknown,
        State::Pending => Word::Pending,
        State::Delivered => Word::Delivered,
        State::Failed => Word::Failed,
        State::Cancelled => Word::Cancelled,
    })
}

const COLUMNS: &[Column<View>] = &[
    Column {
        key: "name",
        head: Word::Number,
        wide: false,
        cell: |v, _| number(&v.name).to_owned(),
        raw: |v| v.name.clone(),
    },
    Column {
        key: "made_at",
        head: Word::Age,
        wide: false,
        cell: |v, s| v.made_at.age(s.now_ms, s.lang),
        raw: |v| v.made_at.text(),
    },
    Column {
        key: "ticket",
        head: Word::Ticket,
        wide: false,
        cell: |v, _| name::short(&v.ticket),
        raw: |v| v.ticket.clone(),
    },
    Column {
        key: "priority",
        head: Word::Priority,
        wide: false,
        cell: |v, _| v.priority.clone(),
        raw: |v| v.priority.clone(),
    },
    Column { key: "cause", head: Word::What, wide: false, cell: |v, _| v.cause.clone(), raw: |v| v.cause.clone() },
    Column {
        key: "step",
        head: Word::Fallback,
        wide: true,
        cell: |v, _| v.step.to_string(),
        raw: |v| v.step.to_string(),
    },
    Column {
        key: "channel",
        head: Word::Channel,
        wide: false,
        cell: |v, _| v.channel.clone(),
        raw: |v| v.channel.clone(),
    },
    Column {
        key: "recipient",
        head: Word::Recipient,
        wide: false,
        cell: |v, _| v.recipient.clone(),
        raw: |v| v.recipient.clone(),
    },
    Column {
        key: "state",
        head: Word::State,
        wide: false,
        cell: |v, s| shown(v.state, s),
        raw: |v| raw(v.state).to_owned(),
    },
    Column {
        key: "attempts",
        head: Word::Tries,
        wide: false,
        cell: |v, _| v.attempts.to_string(),
        raw: |v| v.attempts.to_string(),
    },
    Column {
        key: "next_try",
        head: Word::NextTry,
        wide: true,
        cell: |v, _| v.next_try.short(),
        raw: |v| v.next_try.text(),
    },
    Column { key: "error", head: Word::Detail, wide: false, cell: |v, _| v.error.clone(), raw: |v| v.error.clone() },
    Column {
        key: "subject",
        head: Word::Title,
        wide: true,
        cell: |v, _| v.subject.clone(),
        raw: |v| v.subject.clone(),
    },
    Column { key: "key", head: Word::Key, wide: true, cell: |v, _| v.key.clone(), raw: |v| v.key.clone() },
];

impl From<Notice> for View {
    fn from(n: Notice) -> Self {
        let state = n.state();
        Self {
            state,
            name: n.name,
            ticket: n.ticket,
            seq: n.seq,
            step: n.step,
            cause: n.cause,
            channel: n.channel,
            recipient: n.recipient,
            language: n.language,
            priority: n.priority,
            subject: n.subject,
            body: n.body,
            key: n.key,
            attempts: n.attempts,
            made_at: Time(n.made_at_ms),
            next_try: Time::optional(n.next_try_ms),
            settled_at: Time::optional(n.settled_at_ms),
            error: n.error,
        }
    }
}

impl Document for View {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        let columns = COLUMNS.iter().filter(|c| c.key != "subject");
        let sheet = columns.map(|c| (shown.word(c.head), (c.cell)(self, shown))).collect();
        vec![Block::Sheet(sheet), Block::Note(format!("{}\n\n{}", self.subject, self.body))]
    }

    fn rows(&self) -> Rows {
        let keys = COLUMNS.iter().map(|c| c.key).collect();
        (keys, vec![COLUMNS.iter().map(|c| (c.raw)(self)).collect()])
    }
}

/// A ticket that was acknowledged.
#[derive(Debug, Serialize)]
struct Acknowledged {
    ticket: String,
    level: u32,
    etag: String,
}

impl Document for Acknowledged {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        vec![Block::Note(format!("{} {}", shown.word(Word::Acknowledged), name::short(&self.ticket)))]
    }

    fn rows(&self) -> Rows {
        (vec!["ticket", "level", "etag"], vec![vec![self.ticket.clone(), self.level.to_string(), self.etag.clone()]])
    }
}

pub(crate) async fn run(context: &Context, command: Option<NoticesCommand>) -> Result<(), Error> {
    let all = NoticesCommand::List { ticket: None, state: None, channel: None, recipient: None };
    match command.unwrap_or(all) {
        NoticesCommand::List { ticket, state, channel, recipient } => {
            let ticket = ticket.as_deref().map(name::ticket).unwrap_or_default();
            let (channel, recipient) = (channel.unwrap_or_default(), recipient.unwrap_or_default());
            let state = i32::from(wire_state(state));
            list(context, ListNoticesRequest { ticket, state, channel, recipient, ..Default::default() }).await
        }
        NoticesCommand::Show { number } => {
            let request = GetNoticeRequest { name: full(&number) };
            show(context, context.api.notices().get_notice(request).await?.into_inner().notice)
        }
        NoticesCommand::Replay { number: Some(number), change, .. } => {
            let request = ReplayNoticeRequest {
                name: full(&number),
                etag: change.if_etag,
                request_id: change.request.request_id,
            };
            show(context, context.api.notices().replay_notice(request).await?.into_inner().notice)
        }
        NoticesCommand::Replay { number: None, channel, .. } => replay_failed(context, channel).await,
        NoticesCommand::Ack { ticket, key, why, level } => {
            let name = ticket.as_deref().map(name::ticket).unwrap_or_default();
            let key = key.unwrap_or_default();
            let request = AcknowledgeTicketRequest { name, key, level, why, ..Default::default() };
            let AcknowledgeTicketResponse { etag, level, ticket } =
                context.api.notices().acknowledge_ticket(request).await?.into_inner();
            output::print(&context.render(&Acknowledged { ticket, level, etag })?)
        }
    }
}

/// Has everything sent again that was given up.
async fn replay_failed(context: &Context, channel: Option<String>) -> Result<(), Error> {
    let failed = State::Failed;
    let request =
        ListNoticesRequest { state: i32::from(failed), channel: channel.unwrap_or_default(), ..Default::default() };
    let paged = fetch(context, &request).await?;
    let mut rows = Vec::with_capacity(paged.rows.len());
    for notice in paged.rows {
        let request = ReplayNoticeRequest { name: notice.name, ..Default::default() };
        let replayed = context.api.notices().replay_notice(request).await?.into_inner().notice;
        rows.extend(replayed.map(|n| View::from(Notice { body: String::new(), ..n })));
    }
    let paged = paging::Paged { rows, more: paged.more };
    output::print(&context.render(&List { name: "notices", columns: COLUMNS, paged, none: Word::NoNotices })?)
}

fn wire_state(state: Option<NoticeStateArg>) -> State {
    match state {
        None => State::Unspecified,
        Some(NoticeStateArg::Pending) => State::Pending,
        Some(NoticeStateArg::Delivered) => State::Delivered,
        Some(NoticeStateArg::Failed) => State::Failed,
        Some(NoticeStateArg::Cancelled) => State::Cancelled,
    }
}

async fn fetch(context: &Context, asked: &ListNoticesRequest) -> Result<paging::Paged<Notice>, Error> {
    paging::follow(context.limit, async |page_size, page_token| {
        let request = ListNoticesRequest { page_size, page_token, ..asked.clone() };
        let answer = context.api.notices().list_notices(request).await?.into_inner();
        Ok((answer.notices, answer.next_page_token))
    })
    .await
}

async fn list(context: &Context, asked: ListNoticesRequest) -> Result<(), Error> {
    watch::show(context, async || {
        let found = fetch(context, &asked).await?;
        let paged = paging::Paged { rows: found.rows.into_iter().map(View::from).collect(), more: found.more };
        context.render(&List { name: "notices", columns: COLUMNS, paged, none: Word::NoNotices })
    })
    .await
}

fn show(context: &Context, notice: Option<Notice>) -> Result<(), Error> {
    output::print(&context.render(&View::from(notice.unwrap_or_default()))?)
}

/// `notices/3` → `3`.
fn number(name: &str) -> &str {
    name.strip_prefix("notices/").unwrap_or(name)
}

/// `3`, `#3` or `notices/3` → `notices/3`.
fn full(text: &str) -> String {
    format!("notices/{}", number(text.trim_start_matches('#')))
}
