//! `outband grants`.

use crate::context::Context;
use crate::error::Error;
use crate::once::{ChangeArgs, RequestArgs};
use crate::output::{self, Column, List};
use crate::paging::Paged;
use crate::when::Time;
use crate::words::Word;
use crate::{name, record};
use clap::{Subcommand, ValueEnum};
use outband_proto::grant::{CreateGrantRequest, EndGrantRequest, Grant, ListGrantsRequest};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Looks at the ticket and its server
    Viewer,
    /// Works on the ticket, too
    Engineer,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GrantsCommand {
    /// Open ones
    List {
        /// Only of this ticket
        #[arg(long, value_name = "NUMBER")]
        ticket: Option<String>,
        /// Those that are over, too
        #[arg(long)]
        all: bool,
    },
    /// Give somebody access to one ticket for a while
    Add {
        /// The ticket's number
        ticket: String,
        /// Who gets it
        #[arg(long = "to", value_name = "NAME")]
        holder: String,
        /// With which rights
        #[arg(long, value_enum, default_value_t = RoleArg::Viewer)]
        role: RoleArg,
        /// How long: 90m, 4h; at most 24h
        #[arg(long = "for", value_name = "SPAN", default_value = "4h")]
        lasts: String,
        /// How you made sure who they are: number called back, staff number
        #[arg(long, value_name = "HOW")]
        verified: String,
        /// What for
        #[arg(long)]
        why: String,
        /// The file that the token is written to, for nobody else to read; else it is printed
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// End one before its time
    End {
        /// Its number
        number: String,
        /// Why, for the ticket's log
        #[arg(long, default_value = "", hide_default_value = true)]
        why: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

#[derive(Debug, Serialize)]
struct View {
    name: String,
    ticket: String,
    holder: String,
    role: String,
    granted_by: String,
    granted_at: Time,
    until: Time,
    ended_at: Time,
    ended: String,
    verified: String,
    reason: String,
    etag: String,
}

const COLUMNS: &[Column<View>] = &[
    Column {
        key: "name",
        head: Word::Number,
        wide: false,
        cell: |v, _| v.name.trim_start_matches("grants/").to_owned(),
        raw: |v| v.name.clone(),
    },
    Column {
        key: "ticket",
        head: Word::Ticket,
        wide: false,
        cell: |v, _| name::short(&v.ticket),
        raw: |v| v.ticket.clone(),
    },
    Column { key: "holder", head: Word::Holder, wide: false, cell: |v, _| v.holder.clone(), raw: |v| v.holder.clone() },
    Column { key: "role", head: Word::Role, wide: false, cell: |v, _| v.role.clone(), raw: |v| v.role.clone() },
    Column { key: "until", head: Word::Until, wide: false, cell: |v, _| v.until.short(), raw: |v| v.until.text() },
    Column {
        key: "ended",
        head: Word::Ended,
        wide: false,
        cell: |v, _| {
            if v.ended.is_empty() { "–".to_owned() } else { format!("{} ({})", v.ended_at.short(), v.ended) }
        },
        raw: |v| v.ended.clone(),
    },
    Column {
        key: "ended_at",
        head: Word::Ended,
        wide: true,
        cell: |v, _| v.ended_at.short(),
        raw: |v| v.ended_at.text(),
    },
    Column {
        key: "granted_by",
        head: Word::Who,
        wide: true,
        cell: |v, _| v.granted_by.clone(),
        raw: |v| v.granted_by.clone(),
    },
    Column {
        key: "granted_at",
        head: Word::Time,
        wide: true,
        cell: |v, _| v.granted_at.short(),
        raw: |v| v.granted_at.text(),
    },
    Column {
        key: "verified",
        head: Word::VerifiedHow,
        wide: true,
        cell: |v, _| v.verified.clone(),
        raw: |v| v.verified.clone(),
    },
    Column { key: "reason", head: Word::Why, wide: false, cell: |v, _| v.reason.clone(), raw: |v| v.reason.clone() },
    Column { key: "etag", head: Word::Hash, wide: true, cell: |v, _| v.etag.clone(), raw: |v| v.etag.clone() },
];

impl From<Grant> for View {
    fn from(g: Grant) -> Self {
        Self {
            name: g.name,
            ticket: g.ticket,
            holder: g.holder,
            role: g.role,
            granted_by: g.granted_by,
            granted_at: Time(g.granted_at_ms),
            until: Time(g.until_ms),
            ended_at: Time::optional(g.ended_at_ms),
            ended: g.ended,
            verified: g.verified,
            reason: g.reason,
            etag: g.etag,
        }
    }
}

pub(crate) async fn run(context: &Context, command: Option<GrantsCommand>) -> Result<(), Error> {
    match command.unwrap_or(GrantsCommand::List { ticket: None, all: false }) {
        GrantsCommand::List { ticket, all } => {
            let request = ListGrantsRequest { ticket: ticket.map(|t| name::ticket(&t)).unwrap_or_default(), all };
            show(context, context.api.grants().list_grants(request).await?.into_inner().grants)
        }
        GrantsCommand::Add { ticket, holder, role, lasts, verified, why, out, request: RequestArgs { request_id } } => {
            let lasts = outband_schemas::time::duration(&lasts).map_err(|e| Error::Usage(e.to_string()))?;
            // Before anything is asked: a token that cannot be put down is lost.
            let once = record::Once::to(out.as_deref())?;
            let request = CreateGrantRequest {
                ticket: name::ticket(&ticket),
                holder,
                role: match role {
                    RoleArg::Viewer => "viewer",
                    RoleArg::Engineer => "engineer",
                }
                .to_owned(),
                verified,
                reason: why,
                // 0 would be taken for the usual time.
                lasts_secs: i64::try_from(lasts.as_secs().max(1)).unwrap_or(i64::MAX),
                request_id,
            };
            let (once, answer) = once.answered(context.api.grants().create_grant(request).await)?;
            if once.tell(&answer.token)? { show(context, answer.grant.into_iter().collect()) } else { Ok(()) }
        }
        GrantsCommand::End { number, why, change } => {
            let ChangeArgs { if_etag: etag, request: RequestArgs { request_id } } = change;
            let bare = number.trim_start_matches("grants/");
            let request = EndGrantRequest { name: format!("grants/{bare}"), reason: why, etag, request_id };
            show(context, context.api.grants().end_grant(request).await?.into_inner().grant.into_iter().collect())
        }
    }
}

fn show(context: &Context, grants: Vec<Grant>) -> Result<(), Error> {
    let paged = Paged { rows: grants.into_iter().map(View::from).collect(), more: false };
    output::print(&context.render(&List { name: "grants", columns: COLUMNS, paged, none: Word::NoGrants })?)
}
