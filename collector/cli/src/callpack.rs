//! `outband tickets callpack` and `outband timeline`.

use crate::context::{self, Context};
use crate::error::Error;
use crate::output::{self, Column, List};
use crate::paging::Paged;
use crate::when::{self, Time};
use crate::words::{Lang, Word};
use crate::{name, record};
use clap::{Args, ValueEnum};
use outband_proto::callpack::{Entry, Format, GenerateCallPackRequest, GetTimelineRequest};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// To be read aloud
    Text,
    /// To be printed
    Html,
    /// For programs
    Json,
    /// All of these, with the raw entries of the server's log
    Zip,
}

#[derive(Debug, Args)]
pub(crate) struct CallPackArgs {
    /// The ticket's number
    number: String,
    /// As what [default: text; with -o json, json]
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
    /// IANA time zone in which times are told, e.g. Asia/Shanghai [default: UTC]
    #[arg(long)]
    zone: Option<String>,
    /// The file to write; else it is printed
    #[arg(long, value_name = "FILE", required_if_eq("format", "zip"))]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TimelineArgs {
    /// The server
    server: String,
    /// From when on: 2026-01-31T08:00:00Z, 2026-01-31, or 30m, 6h, 2d ago [default: the first]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until when [default: now]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

fn tag(lang: Lang) -> String {
    match lang {
        Lang::En => "en",
        Lang::ZhCn => "zh-CN",
    }
    .to_owned()
}

pub(crate) async fn callpack(context: &Context, asked: CallPackArgs) -> Result<(), Error> {
    let usual = if context.format == output::Format::Json { FormatArg::Json } else { FormatArg::Text };
    let format = match asked.format.unwrap_or(usual) {
        FormatArg::Text => Format::Text,
        FormatArg::Html => Format::Html,
        FormatArg::Json => Format::Json,
        FormatArg::Zip => Format::Zip,
    };
    let request = GenerateCallPackRequest {
        name: name::ticket(&asked.number),
        language: tag(context.lang),
        format: format.into(),
        time_zone: asked.zone.unwrap_or_default(),
    };
    let mut pieces = context.api.call_packs().generate_call_pack(request).await?.into_inner();
    let Some(path) = asked.out else {
        let mut file = Vec::new();
        while let Some(piece) = pieces.message().await? {
            file.extend(piece.chunk);
        }
        return output::print(&String::from_utf8_lossy(&file));
    };
    let mut file = record::Partial::create(&path)?;
    while let Some(piece) = pieces.message().await? {
        file.write(&piece.chunk)?;
    }
    file.finish()
}

#[derive(Debug, Serialize)]
struct View {
    at: Time,
    clock: String,
    bmc_time: Time,
    source: String,
    component: String,
    severity: String,
    text: String,
}

const COLUMNS: &[Column<View>] = &[
    Column { key: "at", head: Word::Time, wide: false, cell: |v, _| v.at.short(), raw: |v| v.at.text() },
    Column { key: "clock", head: Word::Clock, wide: true, cell: |v, _| v.clock.clone(), raw: |v| v.clock.clone() },
    Column {
        key: "bmc_time",
        head: Word::BmcTime,
        wide: true,
        cell: |v, _| v.bmc_time.short(),
        raw: |v| v.bmc_time.text(),
    },
    Column { key: "source", head: Word::Source, wide: false, cell: |v, _| v.source.clone(), raw: |v| v.source.clone() },
    Column {
        key: "component",
        head: Word::Component,
        wide: false,
        cell: |v, _| v.component.clone(),
        raw: |v| v.component.clone(),
    },
    Column {
        key: "severity",
        head: Word::Severity,
        wide: true,
        cell: |v, _| v.severity.clone(),
        raw: |v| v.severity.clone(),
    },
    Column { key: "text", head: Word::What, wide: false, cell: |v, _| v.text.clone(), raw: |v| v.text.clone() },
];

impl From<Entry> for View {
    fn from(e: Entry) -> Self {
        Self {
            at: Time(e.at_ms),
            clock: e.clock,
            bmc_time: Time::optional(e.bmc_time_ms),
            source: e.source,
            component: e.component,
            severity: e.severity,
            text: e.text,
        }
    }
}

pub(crate) async fn timeline(context: &Context, asked: TimelineArgs) -> Result<(), Error> {
    let time = |text: Option<&String>| text.map(|t| when::parse(t, context::now_ms())).transpose();
    let request = GetTimelineRequest {
        server: name::server(&asked.server),
        from_ms: time(asked.from.as_ref())?,
        to_ms: time(asked.to.as_ref())?,
        language: tag(context.lang),
    };
    let answer = context.api.call_packs().get_timeline(request).await?.into_inner();
    let mut rows: Vec<View> = answer.entries.into_iter().map(View::from).collect();
    let mut more = answer.truncated;
    if context.limit > 0 && rows.len() > context.limit {
        // What is newest is what one asks for.
        rows.drain(..rows.len() - context.limit);
        more = true;
    }
    let list = List { name: "entries", columns: COLUMNS, paged: Paged { rows, more }, none: Word::NoEvents };
    output::print(&context.render(&list)?)
}
