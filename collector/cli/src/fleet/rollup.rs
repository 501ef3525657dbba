//! `outband fleet health`.

use crate::context::Context;
use crate::error::Error;
use crate::health::{self, View};
use crate::output::{Column, List};
use crate::paging;
use crate::words::Word;
use outband_proto::fleet as wire;
use serde::Serialize;

/// The health of a rack, a site or a customer.
#[derive(Debug, Serialize)]
struct Rollup {
    #[serde(flatten)]
    health: View,
    servers: u64,
    ok: u64,
    warning: u64,
    critical: u64,
    stale: u64,
    unknown: u64,
}

const COLUMNS: &[Column<Rollup>] = &[
    Column {
        key: "name",
        head: Word::Name,
        wide: false,
        cell: |v, _| crate::name::plain(&v.health.name),
        raw: |v| v.health.name.clone(),
    },
    Column {
        key: "status",
        head: Word::Status,
        wide: false,
        cell: |v, s| s.word(health::status_word(v.health.status)),
        raw: |v| v.health.status.to_owned(),
    },
    Column {
        key: "score",
        head: Word::Score,
        wide: false,
        cell: |v, _| v.health.score.map_or_else(|| "–".to_owned(), |s| s.to_string()),
        raw: |v| v.health.score.map(|s| s.to_string()).unwrap_or_default(),
    },
    Column {
        key: "servers",
        head: Word::Servers,
        wide: false,
        cell: |v, _| v.servers.to_string(),
        raw: |v| v.servers.to_string(),
    },
    Column { key: "ok", head: Word::Ok, wide: true, cell: |v, _| v.ok.to_string(), raw: |v| v.ok.to_string() },
    Column {
        key: "warning",
        head: Word::Warning,
        wide: true,
        cell: |v, _| v.warning.to_string(),
        raw: |v| v.warning.to_string(),
    },
    Column {
        key: "critical",
        head: Word::Critical,
        wide: true,
        cell: |v, _| v.critical.to_string(),
        raw: |v| v.critical.to_string(),
    },
    Column {
        key: "stale",
        head: Word::Stale,
        wide: true,
        cell: |v, _| v.stale.to_string(),
        raw: |v| v.stale.to_string(),
    },
    Column {
        key: "unknown",
        head: Word::Unknown,
        wide: true,
        cell: |v, _| v.unknown.to_string(),
        raw: |v| v.unknown.to_string(),
    },
    Column {
        key: "reasons",
        head: Word::Lost,
        wide: false,
        cell: |v, s| health::reasons(&v.health, s),
        raw: |v| health::all_reasons(&v.health),
    },
];

pub(super) async fn rollups(context: &Context, asked: wire::ListRollupsRequest) -> Result<String, Error> {
    let mut paged = paging::follow(context.limit, async |page_size, page_token| {
        let request = wire::ListRollupsRequest { page_size, page_token, ..asked.clone() };
        let answer = context.api.fleet().list_rollups(request).await?.into_inner();
        let rollups = answer.rollups.into_iter().map(|r| Rollup {
            health: r.health.unwrap_or_default().into(),
            servers: r.servers,
            ok: r.ok,
            warning: r.warning,
            critical: r.critical,
            stale: r.stale,
            unknown: r.unknown,
        });
        Ok((rollups.collect(), answer.next_page_token))
    })
    .await?;
    // The worst first; what is not known is worse than what is.
    paged.rows.sort_by(|a: &Rollup, b| (a.health.score, &a.health.name).cmp(&(b.health.score, &b.health.name)));
    context.render(&List { name: "rollups", columns: COLUMNS, paged, none: Word::NoServers })
}
