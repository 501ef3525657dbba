//! `outband orders`.

use crate::context::Context;
use crate::error::Error;
use crate::once::{ChangeArgs, RequestArgs};
use crate::output::{self, Block, Column, Document, Format, List, OfServer, Rows, Shown};
use crate::record::Partial;
use crate::when::Time;
use crate::words::Word;
use crate::{name, paging, watch};
use clap::{Subcommand, ValueEnum};
use outband_proto::order::{
    ApproveOrderRequest, GetAttachmentRequest, GetOrderRequest, ListOrdersRequest, Order, RejectOrderRequest,
    RequestOrderRequest, ResumeOrdersRequest, StopOrdersRequest, Switch,
};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Have the server's locator light blink
    Identify,
    /// End that
    IdentifyOff,
    /// Read all logs, raw, and the inventory, into a file
    Collect,
    /// Restart the BMC; the server runs on
    ResetBmc,
    /// Empty the system event log, once every entry of it is stored here
    ClearSel,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OrdersCommand {
    /// Those that are not settled, and the switch
    List {
        /// Settled ones too
        #[arg(long)]
        all: bool,
        /// Only of this ticket
        #[arg(long)]
        ticket: Option<String>,
    },
    /// One order, what became of it, and every change
    Get {
        /// Its number
        number: String,
    },
    /// Ask for something to be done; somebody else has to approve it
    Request {
        /// What
        kind: Kind,
        /// The server, as `outband servers` shows it
        server: String,
        /// Why
        #[arg(long)]
        why: String,
        /// The ticket that it belongs to; its history will tell what became of it
        #[arg(long)]
        ticket: Option<String>,
        /// AGENT/TARGET, where the server has several
        #[arg(long)]
        target: Option<String>,
        /// Only say what would be sent, and what stands in the way of it
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Let an order be sent
    Approve {
        /// Its number
        number: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Say no, or take back what was not sent yet
    Reject {
        /// Its number
        number: String,
        /// Why
        #[arg(long)]
        why: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Send nothing more, and have agents leave undone what they have not begun
    Stop {
        /// Why
        #[arg(long)]
        why: String,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Send again what is approved
    Resume {
        /// Why
        #[arg(long)]
        why: String,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Write what an order brought to a file
    File {
        /// Its number
        number: String,
        /// The file to write
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Serialize)]
struct View {
    name: String,
    kind: String,
    state: String,
    /// Of one that is approved: why it is not sent now.
    waits_for: String,
    server: String,
    site: String,
    model: String,
    agent: String,
    target: String,
    ticket: String,
    reason: String,
    requester: String,
    requested_at: Time,
    approver: String,
    approved_at: Time,
    expires_at: Time,
    sent_at: Time,
    settled_at: Time,
    detail: String,
    file_bytes: i64,
    etag: String,
    changes: Vec<Change>,
}

#[derive(Debug, Clone, Serialize)]
struct Change {
    at: Time,
    who: String,
    what: String,
}

impl OfServer for View {
    fn server(&self) -> &str {
        &self.server
    }
}

const COLUMNS: &[Column<View>] = &[
    Column { key: "name", head: Word::Number, wide: false, cell: |v, _| number(&v.name), raw: |v| v.name.clone() },
    Column { key: "kind", head: Word::Kind, wide: false, cell: |v, _| v.kind.clone(), raw: |v| v.kind.clone() },
    Column { key: "state", head: Word::State, wide: false, cell: |v, _| v.state.clone(), raw: |v| v.state.clone() },
    Column::SERVER,
    Column { key: "target", head: Word::Target, wide: false, cell: |v, _| v.target.clone(), raw: |v| v.target.clone() },
    Column {
        key: "ticket",
        head: Word::Ticket,
        wide: false,
        cell: |v, _| or_dash(&name::short(&v.ticket)),
        raw: |v| v.ticket.clone(),
    },
    Column {
        key: "requester",
        head: Word::Requester,
        wide: false,
        cell: |v, _| v.requester.clone(),
        raw: |v| v.requester.clone(),
    },
    Column {
        key: "approver",
        head: Word::Approver,
        wide: false,
        cell: |v, _| or_dash(&v.approver),
        raw: |v| v.approver.clone(),
    },
    Column {
        key: "expires_at",
        head: Word::ExpiresAt,
        wide: true,
        cell: |v, _| v.expires_at.short(),
        raw: |v| v.expires_at.text(),
    },
    Column { key: "reason", head: Word::Why, wide: true, cell: |v, _| v.reason.clone(), raw: |v| v.reason.clone() },
    Column { key: "agent", head: Word::Agent, wide: true, cell: |v, _| v.agent.clone(), raw: |v| v.agent.clone() },
    Column {
        key: "detail",
        head: Word::Detail,
        wide: false,
        cell: |v, _| or_dash(if v.detail.is_empty() { &v.waits_for } else { &v.detail }),
        raw: |v| v.detail.clone(),
    },
];

fn number(name: &str) -> String {
    name.trim_start_matches("orders/").to_owned()
}

fn named(number: &str) -> String {
    format!("orders/{}", number.trim_start_matches("orders/"))
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { text.to_owned() }
}

impl From<Order> for View {
    fn from(o: Order) -> Self {
        let changes = o.changes.into_iter().map(|c| Change { at: Time(c.at_ms), who: c.who, what: c.what }).collect();
        Self {
            name: o.name,
            kind: o.kind,
            state: o.state,
            waits_for: o.waits_for,
            server: o.server,
            site: o.site,
            model: o.model,
            agent: o.agent,
            target: o.target,
            ticket: o.ticket,
            reason: o.reason,
            requester: o.requester,
            requested_at: Time(o.requested_at_ms),
            approver: o.approver,
            approved_at: Time::optional(o.approved_at_ms),
            expires_at: Time(o.expires_at_ms),
            sent_at: Time::optional(o.sent_at_ms),
            settled_at: Time::optional(o.settled_at_ms),
            detail: o.detail,
            file_bytes: o.attachment_bytes,
            etag: o.etag,
            changes,
        }
    }
}

impl Document for View {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        let mut sheet: Vec<_> = COLUMNS.iter().map(|c| (shown.word(c.head), (c.cell)(self, shown))).collect();
        if self.file_bytes > 0 {
            sheet.push((shown.word(Word::OrderFile), format!("{} B", self.file_bytes)));
        }
        let head = [Word::Time, Word::Who, Word::What].map(|w| shown.word(w)).to_vec();
        let rows = self.changes.iter().map(|c| vec![c.at.short(), c.who.clone(), c.what.clone()]).collect();
        vec![Block::Sheet(sheet), Block::Table { title: None, head, rows }]
    }

    fn rows(&self) -> Rows {
        let row = |c: &Change| vec![self.name.clone(), c.at.text(), c.who.clone(), c.what.clone()];
        (vec!["name", "at", "who", "what"], self.changes.iter().map(row).collect())
    }
}

/// What a dry run says.
#[derive(Debug, Serialize)]
struct Rehearsal {
    order: View,
    notes: Vec<String>,
}

impl Document for Rehearsal {
    fn blocks(&self, _: &Shown) -> Vec<Block> {
        self.notes.iter().cloned().map(Block::Note).collect()
    }

    fn rows(&self) -> Rows {
        (vec!["note"], self.notes.iter().map(|n| vec![n.clone()]).collect())
    }
}

/// Whether orders are sent.
#[derive(Debug, Serialize)]
struct SwitchView {
    stopped: bool,
    who: String,
    why: String,
    at: Time,
}

impl From<Switch> for SwitchView {
    fn from(s: Switch) -> Self {
        Self { stopped: s.stopped, who: s.who, why: s.why, at: Time(s.at_ms) }
    }
}

impl Document for SwitchView {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        let word = if self.stopped { Word::OrdersStopped } else { Word::OrdersSent };
        vec![Block::Note(format!("{} ({} {}: {})", shown.word(word), self.at.short(), self.who, self.why))]
    }

    fn rows(&self) -> Rows {
        let row = vec![self.stopped.to_string(), self.who.clone(), self.why.clone(), self.at.text()];
        (vec!["stopped", "who", "why", "at"], vec![row])
    }
}

pub(crate) async fn run(context: &Context, command: Option<OrdersCommand>) -> Result<(), Error> {
    let mut api = context.api.orders();
    match command.unwrap_or(OrdersCommand::List { all: false, ticket: None }) {
        OrdersCommand::List { all, ticket } => {
            let ticket = ticket.map(|t| name::ticket(&t)).unwrap_or_default();
            watch::show(context, async || list(context, all, &ticket).await).await
        }
        OrdersCommand::Get { number } => {
            watch::show(context, async || {
                let request = GetOrderRequest { name: named(&number) };
                let found = context.api.orders().get_order(request).await?.into_inner().order;
                context.render(&View::from(found.unwrap_or_default()))
            })
            .await
        }
        OrdersCommand::Request { kind, server, why, ticket, target, dry_run, request } => {
            let kind = kind.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default();
            let request = RequestOrderRequest {
                kind,
                server: name::server(&server),
                target: target.unwrap_or_default(),
                ticket: ticket.map(|t| name::ticket(&t)).unwrap_or_default(),
                reason: why,
                validate_only: dry_run,
                request_id: request.request_id,
            };
            let answer = api.request_order(request).await?.into_inner();
            if dry_run {
                let order = View::from(answer.order.unwrap_or_default());
                return output::print(&context.render(&Rehearsal { order, notes: answer.notes })?);
            }
            one(context, answer.order).await
        }
        OrdersCommand::Approve { number, change } => {
            let ChangeArgs { if_etag: etag, request: RequestArgs { request_id } } = change;
            let request = ApproveOrderRequest { name: named(&number), etag, request_id };
            one(context, api.approve_order(request).await?.into_inner().order).await
        }
        OrdersCommand::Reject { number, why, change } => {
            let ChangeArgs { if_etag: etag, request: RequestArgs { request_id } } = change;
            let request = RejectOrderRequest { name: named(&number), why, etag, request_id };
            one(context, api.reject_order(request).await?.into_inner().order).await
        }
        OrdersCommand::Stop { why, request: RequestArgs { request_id } } => {
            let switch = api.stop_orders(StopOrdersRequest { why, request_id }).await?.into_inner().switch;
            output::print(&context.render(&SwitchView::from(switch.unwrap_or_default()))?)
        }
        OrdersCommand::Resume { why, request: RequestArgs { request_id } } => {
            let switch = api.resume_orders(ResumeOrdersRequest { why, request_id }).await?.into_inner().switch;
            output::print(&context.render(&SwitchView::from(switch.unwrap_or_default()))?)
        }
        OrdersCommand::File { number, file } => {
            let request = GetAttachmentRequest { name: named(&number) };
            let mut pieces = api.get_attachment(request).await?.into_inner();
            let mut out = Partial::create(&file)?;
            while let Some(piece) = pieces.message().await? {
                out.write(&piece.chunk)?;
            }
            out.finish()
        }
    }
}

async fn list(context: &Context, all: bool, ticket: &str) -> Result<String, Error> {
    let mut switch = None;
    let paged = paging::follow(context.limit, async |page_size, page_token| {
        let request = ListOrdersRequest { all, page_size, page_token, ticket: ticket.to_owned() };
        let answer = context.api.orders().list_orders(request).await?.into_inner();
        switch = answer.switch;
        Ok((answer.orders.into_iter().map(View::from).collect(), answer.next_page_token))
    })
    .await?;
    let table = context.render(&List { name: "orders", columns: COLUMNS, paged, none: Word::NoOrders })?;
    // For people only: programs read the switch from `stop` and `resume`, and why an order waits from the order.
    match switch.filter(|s| s.stopped && matches!(context.format, Format::Table | Format::Wide)) {
        Some(switch) => Ok(format!("{}{table}", context.render(&SwitchView::from(switch))?)),
        None => Ok(table),
    }
}

async fn one(context: &Context, order: Option<Order>) -> Result<(), Error> {
    let views: Vec<View> = order.into_iter().map(View::from).collect();
    let paged = paging::follow(context.limit, async |_, _| Ok((views.clone(), String::new()))).await?;
    output::print(&context.render(&List { name: "orders", columns: COLUMNS, paged, none: Word::NoOrders })?)
}
