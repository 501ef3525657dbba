//! `outband gaps`.

use crate::context::Context;
use crate::error::Error;
use crate::output::{Column, List};
use crate::readings::{place, word};
use crate::when::Time;
use crate::words::Word;
use crate::{name, paging, watch};
use outband_proto::telemetry::{ListGapsRequest, ServerGap};
use outband_schemas::Cause;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct View {
    /// The server; empty where a piece of an agent's stream is missing.
    server: String,
    /// The agent whose stream it is.
    agent: String,
    component: Option<String>,
    cause: String,
    detail: String,
    observed_at: Time,
    source: String,
    from: Time,
    to: Time,
}

const COLUMNS: &[Column<View>] = &[
    Column {
        key: "observed_at",
        head: Word::Age,
        wide: false,
        cell: |v, s| v.observed_at.age(s.now_ms, s.lang),
        raw: |v| v.observed_at.text(),
    },
    Column {
        key: "server",
        head: Word::Server,
        wide: false,
        // An agent keeps its prefix, so that it is not taken for a server.
        cell: |v, _| if v.server.is_empty() { v.agent.clone() } else { name::short(&v.server) },
        raw: |v| v.server.clone(),
    },
    Column {
        key: "agent",
        head: Word::Agent,
        wide: true,
        cell: |v, _| name::short(&v.agent),
        raw: |v| v.agent.clone(),
    },
    Column {
        key: "component",
        head: Word::Component,
        wide: false,
        cell: |v, _| v.component.clone().unwrap_or_else(|| "–".to_owned()),
        raw: |v| v.component.clone().unwrap_or_default(),
    },
    Column { key: "cause", head: Word::Cause, wide: false, cell: |v, _| v.cause.clone(), raw: |v| v.cause.clone() },
    Column { key: "detail", head: Word::Detail, wide: false, cell: |v, _| v.detail.clone(), raw: |v| v.detail.clone() },
    Column { key: "from", head: Word::From, wide: true, cell: |v, _| v.from.short(), raw: |v| v.from.text() },
    Column { key: "to", head: Word::To, wide: true, cell: |v, _| v.to.short(), raw: |v| v.to.text() },
    Column { key: "source", head: Word::Source, wide: true, cell: |v, _| v.source.clone(), raw: |v| v.source.clone() },
];

impl From<ServerGap> for View {
    fn from(g: ServerGap) -> Self {
        let gap = g.gap.unwrap_or_default();
        Self {
            server: g.server,
            agent: g.agent,
            component: gap.component.map(|c| place(Some(c))),
            cause: word(gap.cause, Cause::from_number),
            detail: gap.detail,
            observed_at: Time(gap.observed_at_ms),
            source: gap.source,
            from: Time::optional(gap.from_ms),
            to: Time::optional(gap.to_ms),
        }
    }
}

pub(crate) async fn run(context: &Context, server: Option<String>) -> Result<(), Error> {
    let parent = name::server(server.as_deref().unwrap_or("-"));
    watch::show(context, async || {
        let paged = paging::follow(context.limit, async |page_size, page_token| {
            let request = ListGapsRequest { parent: parent.clone(), page_size, page_token };
            let answer = context.api.telemetry().list_gaps(request).await?.into_inner();
            Ok((answer.gaps.into_iter().map(View::from).collect(), answer.next_page_token))
        })
        .await?;
        context.render(&List { name: "gaps", columns: COLUMNS, paged, none: Word::NoGaps })
    })
    .await
}
