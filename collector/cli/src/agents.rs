//! `outband agents`.

use crate::context::Context;
use crate::error::Error;
use crate::output::{Column, List, Shown};
use crate::when::{Time, span};
use crate::words::Word;
use crate::{name, paging, watch};
use outband_proto::agent::{Agent, LaneLag, ListAgentsRequest};
use serde::Serialize;

#[derive(Debug, Serialize)]
struct View {
    name: String,
    site: String,
    version: String,
    connected: bool,
    connected_since: Time,
    last_heard: Time,
    target_count: i32,
    /// `certificate`, `token`, `revoked`.
    identity: String,
    certificate_until: Time,
    lanes: Vec<Lane>,
}

#[derive(Debug, Serialize)]
struct Lane {
    lane: String,
    committed: i64,
    announced: i64,
    /// How many entries the collector still misses.
    behind: i64,
    lag_ms: i64,
}

const COLUMNS: &[Column<View>] = &[
    Column { key: "name", head: Word::Agent, wide: false, cell: |v, _| name::short(&v.name), raw: |v| v.name.clone() },
    Column { key: "site", head: Word::Site, wide: false, cell: |v, _| site(v), raw: |v| v.site.clone() },
    Column {
        key: "connected",
        head: Word::Connected,
        wide: false,
        cell: |v, s| match (v.connected, v.connected_since.0) {
            (true, since) if since != 0 => span(s.now_ms - since, s.lang),
            (true, _) => s.word(Word::Yes),
            (false, _) => s.word(Word::No),
        },
        raw: |v| v.connected.to_string(),
    },
    Column {
        key: "last_heard",
        head: Word::LastSeen,
        wide: false,
        cell: |v, s| v.last_heard.age(s.now_ms, s.lang),
        raw: |v| v.last_heard.text(),
    },
    Column {
        key: "target_count",
        head: Word::Targets,
        wide: false,
        cell: |v, _| v.target_count.to_string(),
        raw: |v| v.target_count.to_string(),
    },
    Column {
        key: "event_lag_ms",
        head: Word::Event,
        wide: false,
        cell: |v, s| lag(v, "event", s),
        raw: |v| lag_ms(v, "event"),
    },
    Column {
        key: "telemetry_lag_ms",
        head: Word::Telemetry,
        wide: false,
        cell: |v, s| lag(v, "telemetry", s),
        raw: |v| lag_ms(v, "telemetry"),
    },
    Column {
        key: "identity",
        head: Word::SaysWho,
        wide: false,
        cell: |v, s| match v.identity.as_str() {
            "certificate" => format!("{}, {}", s.word(Word::ByCertificate), v.certificate_until.short()),
            "revoked" => s.word(Word::Revoked),
            _ => s.word(Word::ByToken),
        },
        raw: |v| v.identity.clone(),
    },
    Column {
        key: "certificate_until",
        head: Word::ExpiresAt,
        wide: true,
        cell: |v, _| v.certificate_until.short(),
        raw: |v| v.certificate_until.text(),
    },
    Column {
        key: "version",
        head: Word::Version,
        wide: true,
        cell: |v, _| v.version.clone(),
        raw: |v| v.version.clone(),
    },
];

fn site(v: &View) -> String {
    v.site.trim_start_matches("sites/").to_owned()
}

fn lane<'a>(view: &'a View, name: &str) -> Option<&'a Lane> {
    view.lanes.iter().find(|l| l.lane == name)
}

/// How old the newest stored observation is; with a backlog, how many entries it has.
fn lag(view: &View, name: &str, shown: &Shown) -> String {
    match lane(view, name) {
        None => "–".to_owned(),
        Some(l) if l.behind > 0 => format!("{} (+{})", span(l.lag_ms, shown.lang), l.behind),
        Some(l) => span(l.lag_ms, shown.lang),
    }
}

fn lag_ms(view: &View, name: &str) -> String {
    lane(view, name).map(|l| l.lag_ms.to_string()).unwrap_or_default()
}

impl From<Agent> for View {
    fn from(a: Agent) -> Self {
        Self {
            name: a.name,
            site: a.site,
            version: a.version,
            connected: a.connected,
            connected_since: Time(a.connected_since_ms),
            last_heard: Time(a.last_heard_ms),
            target_count: a.target_count,
            identity: a.identity,
            certificate_until: Time(a.certificate_until_ms),
            lanes: a.lanes.into_iter().map(Lane::from).collect(),
        }
    }
}

impl From<LaneLag> for Lane {
    fn from(l: LaneLag) -> Self {
        Self {
            behind: (l.announced - l.committed).max(0),
            lane: l.lane,
            committed: l.committed,
            announced: l.announced,
            lag_ms: l.lag_ms,
        }
    }
}

pub(crate) async fn run(context: &Context) -> Result<(), Error> {
    watch::show(context, async || {
        let paged = paging::follow(context.limit, async |page_size, page_token| {
            let request = ListAgentsRequest { page_size, page_token };
            let answer = context.api.agents().list_agents(request).await?.into_inner();
            Ok((answer.agents.into_iter().map(View::from).collect(), answer.next_page_token))
        })
        .await?;
        context.render(&List { name: "agents", columns: COLUMNS, paged, none: Word::NoAgents })
    })
    .await
}
