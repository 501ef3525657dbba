//! `outband maintenance`.

use crate::context::Context;
use crate::covers::PlaceArgs;
use crate::error::Error;
use crate::once::{ChangeArgs, RequestArgs};
use crate::output::{self, Column, List};
use crate::when::{self, Time};
use crate::words::Word;
use crate::{covers, paging, watch};
use clap::{Args, Subcommand};
use outband_proto::maintenance::{
    CreateWindowRequest, EndWindowRequest, ListWindowsRequest, Selector, UpdateWindowRequest, Window,
};
use serde::Serialize;

/// What a window covers: everything that is given has to fit.
#[derive(Debug, Args)]
pub(crate) struct CoverArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// The fault, e.g. disk_failure
    #[arg(long)]
    fault: Option<String>,
    /// The rule that speaks for it, e.g. disk.smart_growth
    #[arg(long)]
    rule: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MaintenanceCommand {
    /// Those that nobody has ended
    List {
        /// Ended ones too
        #[arg(long)]
        all: bool,
    },
    /// Plan one, or begin one now
    Add {
        #[command(flatten)]
        covers: CoverArgs,
        /// When it first begins, on the clocks of its zone: 2026-01-31T22:00 [default: now]
        #[arg(long, value_name = "TIME")]
        starts: Option<String>,
        /// How long: 90m, 4h, 2d; at most 31d
        #[arg(long, value_name = "SPAN")]
        lasts: String,
        /// IANA time zone, e.g. Asia/Shanghai [default: UTC]
        #[arg(long)]
        zone: Option<String>,
        /// How it comes again: FREQ=DAILY, WEEKLY or MONTHLY with INTERVAL, BYDAY, UNTIL [default: once]
        #[arg(long, value_name = "RRULE")]
        every: Option<String>,
        /// Why
        #[arg(long)]
        why: String,
        /// What to call it [default: the reason]
        #[arg(long)]
        title: Option<String>,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Do not hear of something for a while, from now on
    Mute {
        #[command(flatten)]
        covers: CoverArgs,
        /// How long: 90m, 4h, 2d; at most 31d
        #[arg(long, value_name = "SPAN")]
        lasts: String,
        /// It is known, and somebody sees to it elsewhere
        #[arg(long)]
        known_issue: bool,
        /// Why
        #[arg(long)]
        why: String,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Change one; what is left out stays
    Edit {
        /// Its number
        number: String,
        /// What it covers: where any of these is given, all of it is as given
        #[command(flatten)]
        covers: CoverArgs,
        /// When it first begins, on the clocks of its zone
        #[arg(long, value_name = "TIME")]
        starts: Option<String>,
        /// How long
        #[arg(long, value_name = "SPAN")]
        lasts: Option<String>,
        /// IANA time zone
        #[arg(long)]
        zone: Option<String>,
        /// How it comes again
        #[arg(long, value_name = "RRULE")]
        every: Option<String>,
        /// Why
        #[arg(long)]
        why: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// End one for good: what it covers and still holds gets its ticket
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
    kind: String,
    title: String,
    covers: String,
    starts: String,
    zone: String,
    lasts_secs: i64,
    recurrence: String,
    /// Until when it covers something now.
    covers_until: Time,
    reason: String,
    author: String,
    created_at: Time,
    ended_at: Time,
    etag: String,
    changes: Vec<Change>,
}

#[derive(Debug, Clone, Serialize)]
struct Change {
    at: Time,
    who: String,
    what: String,
}

const COLUMNS: &[Column<View>] = &[
    Column { key: "name", head: Word::Name, wide: false, cell: |v, _| number(&v.name), raw: |v| v.name.clone() },
    Column { key: "kind", head: Word::Kind, wide: false, cell: |v, _| v.kind.clone(), raw: |v| v.kind.clone() },
    Column { key: "covers", head: Word::Covers, wide: false, cell: |v, _| v.covers.clone(), raw: |v| v.covers.clone() },
    Column {
        key: "starts",
        head: Word::From,
        wide: false,
        cell: |v, _| format!("{} {}", v.starts.replace('T', " "), v.zone),
        raw: |v| v.starts.clone(),
    },
    Column {
        key: "lasts_secs",
        head: Word::Lasts,
        wide: false,
        cell: |v, s| when::span(v.lasts_secs.saturating_mul(1000), s.lang),
        raw: |v| v.lasts_secs.to_string(),
    },
    Column {
        key: "recurrence",
        head: Word::Recurs,
        wide: false,
        cell: |v, _| if v.recurrence.is_empty() { "–".to_owned() } else { v.recurrence.clone() },
        raw: |v| v.recurrence.clone(),
    },
    Column {
        key: "covers_until",
        head: Word::InForceUntil,
        wide: false,
        cell: |v, _| v.covers_until.short(),
        raw: |v| v.covers_until.text(),
    },
    Column { key: "reason", head: Word::Why, wide: false, cell: |v, _| v.reason.clone(), raw: |v| v.reason.clone() },
    Column { key: "author", head: Word::Who, wide: false, cell: |v, _| v.author.clone(), raw: |v| v.author.clone() },
    Column {
        key: "ended_at",
        head: Word::Ended,
        wide: true,
        cell: |v, _| v.ended_at.short(),
        raw: |v| v.ended_at.text(),
    },
    Column { key: "title", head: Word::Title, wide: true, cell: |v, _| v.title.clone(), raw: |v| v.title.clone() },
    Column { key: "zone", head: Word::Zone, wide: true, cell: |v, _| v.zone.clone(), raw: |v| v.zone.clone() },
    Column { key: "etag", head: Word::Version, wide: true, cell: |v, _| v.etag.clone(), raw: |v| v.etag.clone() },
];

fn number(name: &str) -> String {
    name.trim_start_matches("windows/").to_owned()
}

impl From<Window> for View {
    fn from(w: Window) -> Self {
        let changes = w.changes.into_iter().map(|c| Change { at: Time(c.at_ms), who: c.who, what: c.what }).collect();
        Self {
            covers: covers::words(w.selector),
            name: w.name,
            kind: w.kind,
            title: w.title,
            starts: w.starts,
            zone: w.zone,
            lasts_secs: w.lasts_secs,
            recurrence: w.recurrence,
            covers_until: Time::optional(w.covers_until_ms),
            reason: w.reason,
            author: w.author,
            created_at: Time(w.created_at_ms),
            ended_at: Time::optional(w.ended_at_ms),
            etag: w.etag,
            changes,
        }
    }
}

pub(crate) async fn run(context: &Context, command: Option<MaintenanceCommand>) -> Result<(), Error> {
    match command.unwrap_or(MaintenanceCommand::List { all: false }) {
        MaintenanceCommand::List { all } => {
            watch::show(context, async || {
                let request = ListWindowsRequest { all };
                let windows = context.api.maintenance().list_windows(request).await?.into_inner().windows;
                table(context, windows).await
            })
            .await
        }
        MaintenanceCommand::Add { covers, starts, lasts, zone, every, why, title, request } => {
            let window = Window {
                kind: "maintenance".to_owned(),
                title: title.unwrap_or_default(),
                starts: starts.unwrap_or_default(),
                zone: zone.unwrap_or_default(),
                recurrence: every.unwrap_or_default(),
                ..window(covers, Some(&lasts), why)?
            };
            create(context, window, request.request_id).await
        }
        MaintenanceCommand::Mute { covers, lasts, known_issue, why, request } => {
            let kind = if known_issue { "known_issue" } else { "mute" }.to_owned();
            create(context, Window { kind, ..window(covers, Some(&lasts), why)? }, request.request_id).await
        }
        MaintenanceCommand::Edit { number, covers, starts, lasts, zone, every, why, change } => {
            let lasts_secs = lasts.as_deref().map(when::seconds).transpose()?.unwrap_or_default();
            let window = Window {
                name: name(&number),
                selector: selector(covers),
                starts: starts.unwrap_or_default(),
                zone: zone.unwrap_or_default(),
                recurrence: every.unwrap_or_default(),
                reason: why.unwrap_or_default(),
                lasts_secs,
                etag: change.if_etag,
                ..Window::default()
            };
            let request = UpdateWindowRequest { window: Some(window), request_id: change.request.request_id };
            show(context, context.api.maintenance().update_window(request).await?.into_inner().window).await
        }
        MaintenanceCommand::End { number, change } => {
            let request =
                EndWindowRequest { name: name(&number), etag: change.if_etag, request_id: change.request.request_id };
            show(context, context.api.maintenance().end_window(request).await?.into_inner().window).await
        }
    }
}

fn name(number: &str) -> String {
    format!("windows/{}", number.trim_start_matches("windows/"))
}

fn window(covers: CoverArgs, lasts: Option<&str>, reason: String) -> Result<Window, Error> {
    let selector = selector(covers).ok_or_else(|| {
        Error::Usage(
            "say what it covers: --site, --rack, --server, --model, --component, --fault, --rule or --customer"
                .to_owned(),
        )
    })?;
    let lasts_secs = lasts.map(when::seconds).transpose()?.unwrap_or_default();
    Ok(Window { selector: Some(selector), lasts_secs, reason, ..Window::default() })
}

/// What is covered; `None` where nothing is said.
fn selector(covers: CoverArgs) -> Option<Selector> {
    let (fault, rule) = (covers.fault.unwrap_or_default(), covers.rule.unwrap_or_default());
    let selector = Selector { fault, rule, ..covers.place.selector() };
    (selector != Selector::default()).then_some(selector)
}

async fn create(context: &Context, window: Window, request_id: String) -> Result<(), Error> {
    let request = CreateWindowRequest { window: Some(window), request_id };
    show(context, context.api.maintenance().create_window(request).await?.into_inner().window).await
}

async fn show(context: &Context, window: Option<Window>) -> Result<(), Error> {
    output::print(&table(context, window.into_iter().collect()).await?)
}

async fn table(context: &Context, windows: Vec<Window>) -> Result<String, Error> {
    let views: Vec<View> = windows.into_iter().map(View::from).collect();
    // They come in one answer.
    let paged = paging::follow(context.limit, async |_, _| Ok((views.clone(), String::new()))).await?;
    context.render(&List { name: "windows", columns: COLUMNS, paged, none: Word::NoWindows })
}
