//! `outband drill`.

use crate::context::Context;
use crate::error::Error;
use crate::once::{ChangeArgs, RequestArgs};
use crate::output::{self, Block, Column, Document, List, Rows, Shown};
use crate::when::{self, Time};
use crate::words::Word;
use crate::{name, paging, watch};
use clap::Subcommand;
use outband_proto::drill::{Drill, EndDrillRequest, GetDrillRequest, ListDrillsRequest, StartDrillRequest};
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub(crate) enum DrillCommand {
    /// Those that are on
    List {
        /// Ended ones too
        #[arg(long)]
        all: bool,
    },
    /// One drill, its ticket, and how long people took
    Show {
        /// Its number
        number: String,
    },
    /// Say a fault of a server that is not there, from now on
    Start {
        /// The server, as `outband servers` shows it
        #[arg(long)]
        server: String,
        /// The fault, e.g. disk_failure, psu_failure, bmc_silent
        #[arg(long)]
        fault: String,
        /// The component: CLASS/SLOT [default: a place that does not exist]
        #[arg(long)]
        component: Option<String>,
        /// Page people for it, as for a real one
        #[arg(long)]
        pages: bool,
        /// How long: 30m, 2h; at most 24h
        #[arg(long, value_name = "SPAN", default_value = "1h")]
        lasts: String,
        /// What those who exercise are to do; stands in the ticket
        #[arg(long, default_value = "")]
        runbook: String,
        /// Why
        #[arg(long)]
        why: String,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// End one before its time; its ticket is closed
    End {
        /// Its number
        number: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

#[derive(Debug, Clone, Serialize)]
struct View {
    name: String,
    server: String,
    component: String,
    fault: String,
    pages: bool,
    reason: String,
    runbook: String,
    author: String,
    /// Which turn of which plan made it.
    plan: String,
    starts_at: Time,
    ends_at: Time,
    ended_at: Time,
    ticket: String,
    measures: Vec<Measure>,
    etag: String,
}

#[derive(Debug, Clone, Serialize)]
struct Measure {
    what: String,
    who: String,
    /// How long after the ticket was opened; `None`: nobody did it.
    after_ms: Option<i64>,
}

const COLUMNS: &[Column<View>] = &[
    Column { key: "name", head: Word::Number, wide: false, cell: |v, _| number(&v.name), raw: |v| v.name.clone() },
    Column {
        key: "server",
        head: Word::Server,
        wide: false,
        cell: |v, _| name::short(&v.server),
        raw: |v| v.server.clone(),
    },
    Column { key: "fault", head: Word::Fault, wide: false, cell: |v, _| v.fault.clone(), raw: |v| v.fault.clone() },
    Column {
        key: "component",
        head: Word::Component,
        wide: true,
        cell: |v, _| or_dash(&v.component),
        raw: |v| v.component.clone(),
    },
    Column {
        key: "pages",
        head: Word::Pages,
        wide: false,
        cell: |v, s| s.word(if v.pages { Word::Yes } else { Word::No }),
        raw: |v| v.pages.to_string(),
    },
    Column {
        key: "starts_at",
        head: Word::From,
        wide: false,
        cell: |v, _| v.starts_at.short(),
        raw: |v| v.starts_at.text(),
    },
    Column { key: "ends_at", head: Word::To, wide: false, cell: |v, _| v.ends_at.short(), raw: |v| v.ends_at.text() },
    Column {
        key: "ended_at",
        head: Word::Ended,
        wide: false,
        cell: |v, _| v.ended_at.short(),
        raw: |v| v.ended_at.text(),
    },
    Column { key: "author", head: Word::Who, wide: false, cell: |v, _| v.author.clone(), raw: |v| v.author.clone() },
    Column { key: "plan", head: Word::Plan, wide: true, cell: |v, _| or_dash(&v.plan), raw: |v| v.plan.clone() },
    Column { key: "reason", head: Word::Why, wide: false, cell: |v, _| v.reason.clone(), raw: |v| v.reason.clone() },
];

fn number(name: &str) -> String {
    name.trim_start_matches("drills/").to_owned()
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { text.to_owned() }
}

impl From<Drill> for View {
    fn from(d: Drill) -> Self {
        let measure = |m: outband_proto::drill::Measure| Measure { what: m.what, who: m.who, after_ms: m.after_ms };
        Self {
            name: d.name,
            server: d.server,
            component: d.component,
            fault: d.fault,
            pages: d.pages,
            reason: d.reason,
            runbook: d.runbook,
            author: d.author,
            plan: d.plan,
            starts_at: Time(d.starts_at_ms),
            ends_at: Time(d.ends_at_ms),
            ended_at: Time::optional(d.ended_at_ms),
            ticket: d.ticket,
            measures: d.measures.into_iter().map(measure).collect(),
            etag: d.etag,
        }
    }
}

/// What is measured, as people call it.
fn measured(what: &str) -> Option<Word> {
    Some(match what {
        "acknowledged" => Word::MeasuredAcknowledged,
        "picked_up" => Word::MeasuredPickedUp,
        "answered" => Word::MeasuredAnswered,
        "taken" => Word::MeasuredTaken,
        "located" => Word::MeasuredLocated,
        "resolved" => Word::MeasuredResolved,
        _ => return None,
    })
}

impl Document for View {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        let mut sheet: Vec<_> = COLUMNS.iter().map(|c| (shown.word(c.head), (c.cell)(self, shown))).collect();
        sheet.push((shown.word(Word::Ticket), or_dash(&name::short(&self.ticket))));
        if !self.runbook.is_empty() {
            sheet.push((shown.word(Word::Runbook), self.runbook.clone()));
        }
        let row = |m: &Measure| {
            let after = m.after_ms.map_or_else(|| "–".to_owned(), |ms| when::span(ms, shown.lang));
            vec![measured(&m.what).map_or(m.what.clone(), |w| shown.word(w)), after, or_dash(&m.who)]
        };
        let head = [Word::What, Word::After, Word::Who].map(|w| shown.word(w)).to_vec();
        let rows = self.measures.iter().map(row).collect();
        vec![Block::Sheet(sheet), Block::Table { title: None, head, rows }]
    }

    fn rows(&self) -> Rows {
        let row = |m: &Measure| {
            let after = m.after_ms.map(|ms| ms.to_string()).unwrap_or_default();
            vec![self.name.clone(), self.ticket.clone(), m.what.clone(), after, m.who.clone()]
        };
        (vec!["name", "ticket", "what", "after_ms", "who"], self.measures.iter().map(row).collect())
    }
}

pub(crate) async fn run(context: &Context, command: Option<DrillCommand>) -> Result<(), Error> {
    match command.unwrap_or(DrillCommand::List { all: false }) {
        DrillCommand::List { all } => {
            watch::show(context, async || {
                let drills = context.api.drills().list_drills(ListDrillsRequest { all }).await?.into_inner().drills;
                table(context, drills).await
            })
            .await
        }
        DrillCommand::Show { number } => {
            watch::show(context, async || {
                let request = GetDrillRequest { name: named(&number) };
                let found = context.api.drills().get_drill(request).await?.into_inner().drill;
                context.render(&View::from(found.unwrap_or_default()))
            })
            .await
        }
        DrillCommand::Start {
            server,
            fault,
            component,
            pages,
            lasts,
            runbook,
            why,
            request: RequestArgs { request_id },
        } => {
            let drill = Drill {
                server: name::server(&server),
                fault,
                component: component.unwrap_or_default(),
                pages,
                runbook,
                reason: why,
                ..Drill::default()
            };
            let request = StartDrillRequest { drill: Some(drill), lasts_secs: when::seconds(&lasts)?, request_id };
            let started = context.api.drills().start_drill(request).await?.into_inner().drill;
            output::print(&table(context, started.into_iter().collect()).await?)
        }
        DrillCommand::End { number, change } => {
            let ChangeArgs { if_etag: etag, request: RequestArgs { request_id } } = change;
            let request = EndDrillRequest { name: named(&number), etag, request_id };
            let ended = context.api.drills().end_drill(request).await?.into_inner().drill;
            output::print(&table(context, ended.into_iter().collect()).await?)
        }
    }
}

fn named(number: &str) -> String {
    format!("drills/{}", number.trim_start_matches("drills/"))
}

async fn table(context: &Context, drills: Vec<Drill>) -> Result<String, Error> {
    let views: Vec<View> = drills.into_iter().map(View::from).collect();
    // They come in one answer.
    let paged = paging::follow(context.limit, async |_, _| Ok((views.clone(), String::new()))).await?;
    context.render(&List { name: "drills", columns: COLUMNS, paged, none: Word::NoDrills })
}
