//! `outband events`.

use crate::context::Context;
use crate::error::Error;
use crate::output::{Column, List, OfServer};
use crate::readings::{place, word};
use crate::when::Time;
use crate::words::Word;
use crate::{name, paging, watch};
use clap::ValueEnum;
use outband_proto::telemetry::{ListEventsRequest, ServerEvent};
use outband_schemas::{EventKind, Severity};
use serde::Serialize;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SeverityArg {
    Ok,
    Warning,
    Critical,
}

#[derive(Debug, Serialize)]
struct View {
    name: String,
    server: String,
    component: String,
    log: String,
    id: String,
    kind: String,
    severity: String,
    deasserted: bool,
    message: String,
    code: String,
    /// The BMC's own time, untrusted.
    bmc_time: Time,
    observed_at: Time,
    received_at: Time,
    source: String,
    raw: String,
}

impl OfServer for View {
    fn server(&self) -> &str {
        &self.server
    }
}

const COLUMNS: &[Column<View>] = &[
    Column {
        key: "observed_at",
        head: Word::Age,
        wide: false,
        cell: |v, s| v.observed_at.age(s.now_ms, s.lang),
        raw: |v| v.observed_at.text(),
    },
    Column::SERVER,
    Column {
        key: "severity",
        head: Word::Severity,
        wide: false,
        cell: |v, s| match v.severity.as_str() {
            "ok" => s.word(Word::Ok),
            "warning" => s.word(Word::Warning),
            "critical" => s.word(Word::Critical),
            _ => s.word(Word::Unknown),
        },
        raw: |v| v.severity.clone(),
    },
    Column {
        key: "component",
        head: Word::Component,
        wide: false,
        cell: |v, _| v.component.clone(),
        raw: |v| v.component.clone(),
    },
    Column { key: "kind", head: Word::Kind, wide: true, cell: |v, _| v.kind.clone(), raw: |v| v.kind.clone() },
    Column {
        key: "message",
        head: Word::Message,
        wide: false,
        cell: |v, _| if v.deasserted { format!("{} (deasserted)", v.message) } else { v.message.clone() },
        raw: |v| v.message.clone(),
    },
    Column {
        key: "deasserted",
        head: Word::State,
        wide: true,
        cell: |v, _| if v.deasserted { "deasserted" } else { "asserted" }.to_owned(),
        raw: |v| v.deasserted.to_string(),
    },
    Column { key: "log", head: Word::Log, wide: true, cell: |v, _| v.log.clone(), raw: |v| v.log.clone() },
    Column { key: "id", head: Word::Name, wide: true, cell: |v, _| v.id.clone(), raw: |v| v.id.clone() },
    Column { key: "code", head: Word::Code, wide: true, cell: |v, _| v.code.clone(), raw: |v| v.code.clone() },
    Column {
        key: "bmc_time",
        head: Word::Time,
        wide: true,
        cell: |v, _| v.bmc_time.short(),
        raw: |v| v.bmc_time.text(),
    },
];

impl From<ServerEvent> for View {
    fn from(e: ServerEvent) -> Self {
        let event = e.event.unwrap_or_default();
        let kind = u16::try_from(event.kind).ok().and_then(EventKind::from_number);
        Self {
            server: e.name.split_once("/events/").map(|(server, _)| server.to_owned()).unwrap_or_default(),
            name: e.name,
            component: place(event.component),
            log: event.log,
            id: event.id,
            kind: kind.map_or_else(|| format!("kind-{}", event.kind), |k| k.as_str().to_owned()),
            severity: word(event.severity, Severity::from_number),
            deasserted: event.deasserted,
            message: event.message,
            code: event.code,
            bmc_time: Time::optional(event.bmc_time_ms),
            observed_at: Time(event.observed_at_ms),
            received_at: Time(e.received_at_ms),
            source: event.source,
            raw: event.raw,
        }
    }
}

pub(crate) async fn run(context: &Context, server: Option<String>, severity: Option<SeverityArg>) -> Result<(), Error> {
    let parent = name::server(server.as_deref().unwrap_or("-"));
    let min_severity = severity.map_or(0, |s| {
        let severity = match s {
            SeverityArg::Ok => Severity::Ok,
            SeverityArg::Warning => Severity::Warning,
            SeverityArg::Critical => Severity::Critical,
        };
        u32::from(severity.number())
    });
    watch::show(context, async || {
        let paged = paging::follow(context.limit, async |page_size, page_token| {
            let request = ListEventsRequest { parent: parent.clone(), page_size, page_token, min_severity };
            let answer = context.api.telemetry().list_events(request).await?.into_inner();
            Ok((answer.events.into_iter().map(View::from).collect(), answer.next_page_token))
        })
        .await?;
        context.render(&List { name: "events", columns: COLUMNS, paged, none: Word::NoEvents })
    })
    .await
}
