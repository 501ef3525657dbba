//! `outband health`.

use crate::context::Context;
use crate::error::Error;
use crate::output::{self, Block, Column, Document, List, Rows, Shown};
use crate::when::Time;
use crate::words::Word;
use crate::{name, paging, watch};
use outband_proto::health::{self as wire, GetHealthRequest, ListHealthRequest, WatchHealthRequest};
use serde::Serialize;

/// The health of one resource.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    pub(crate) name: String,
    pub(crate) score: Option<u32>,
    /// `ok`, `warning`, `critical`, `stale`, `unknown`.
    pub(crate) status: &'static str,
    penalties: Vec<Penalty>,
    assessed_at: Time,
    newest_reading: Time,
}

#[derive(Debug, Serialize)]
struct Penalty {
    points: u32,
    component: String,
    rule: String,
    reason: String,
}

/// One resource and those below it.
#[derive(Debug, Serialize)]
struct Tree {
    health: View,
    children: Vec<View>,
}

const COLUMNS: &[Column<View>] = &[
    Column { key: "name", head: Word::Name, wide: false, cell: |v, _| name::short(&v.name), raw: |v| v.name.clone() },
    Column {
        key: "status",
        head: Word::Status,
        wide: false,
        cell: |v, s| s.word(status_word(v.status)),
        raw: |v| v.status.to_owned(),
    },
    Column {
        key: "score",
        head: Word::Score,
        wide: false,
        cell: |v, _| v.score.map_or_else(|| "–".to_owned(), |s| s.to_string()),
        raw: |v| v.score.map(|s| s.to_string()).unwrap_or_default(),
    },
    Column {
        key: "newest_reading",
        head: Word::Age,
        wide: false,
        cell: |v, s| v.newest_reading.age(s.now_ms, s.lang),
        raw: |v| v.newest_reading.text(),
    },
    Column { key: "reasons", head: Word::Lost, wide: false, cell: |v, s| reasons(v, s), raw: |v| join(&v.penalties) },
];

const PENALTIES: &[Column<Penalty>] = &[
    Column {
        key: "points",
        head: Word::Points,
        wide: false,
        cell: |p, _| format!("-{}", p.points),
        raw: |p| p.points.to_string(),
    },
    Column {
        key: "component",
        head: Word::Component,
        wide: false,
        cell: |p, _| name::short(&p.component),
        raw: |p| p.component.clone(),
    },
    Column { key: "rule", head: Word::Rule, wide: false, cell: |p, _| p.rule.clone(), raw: |p| p.rule.clone() },
    Column { key: "reason", head: Word::Reason, wide: false, cell: |p, _| p.reason.clone(), raw: |p| p.reason.clone() },
];

pub(crate) fn status_word(status: &str) -> Word {
    match status {
        "ok" => Word::Ok,
        "warning" => Word::Warning,
        "critical" => Word::Critical,
        "stale" => Word::Stale,
        _ => Word::Unknown,
    }
}

fn line(p: &Penalty) -> String {
    format!("-{} {}: {}", p.points, name::short(&p.component), p.reason)
}

fn join(penalties: &[Penalty]) -> String {
    penalties.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// Every reason.
pub(crate) fn all_reasons(view: &View) -> String {
    join(&view.penalties)
}

/// The gravest reason, and how many more there are; in wide tables all.
pub(crate) fn reasons(view: &View, shown: &Shown) -> String {
    if shown.wide {
        return join(&view.penalties);
    }
    match view.penalties.iter().max_by_key(|p| p.points) {
        None => String::new(),
        Some(p) if view.penalties.len() == 1 => line(p),
        Some(p) => format!("{} (+{})", line(p), view.penalties.len() - 1),
    }
}

impl View {
    /// Every point lost; `None` where none is.
    pub(crate) fn penalty_table(&self, shown: &Shown) -> Option<Block> {
        let some = !self.penalties.is_empty();
        some.then(|| output::table_of(Some(Word::Penalties), PENALTIES, &self.penalties, shown))
    }
}

impl Document for Tree {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        let sheet = COLUMNS.iter().filter(|c| c.key != "reasons");
        let sheet = sheet.map(|c| (shown.word(c.head), (c.cell)(&self.health, shown))).collect();
        let mut blocks = vec![Block::Sheet(sheet)];
        blocks.extend(self.health.penalty_table(shown));
        if !self.children.is_empty() {
            blocks.push(output::table_of(Some(Word::Below), COLUMNS, &self.children, shown));
        }
        blocks
    }

    fn rows(&self) -> Rows {
        let (keys, mut rows) = output::raw(COLUMNS, std::slice::from_ref(&self.health));
        rows.extend(output::raw(COLUMNS, &self.children).1);
        (keys, rows)
    }
}

impl From<wire::Health> for View {
    fn from(h: wire::Health) -> Self {
        use wire::health::Status as S;
        let status = match h.status() {
            S::Ok => "ok",
            S::Warning => "warning",
            S::Critical => "critical",
            S::Stale => "stale",
            S::Unknown | S::Unspecified => "unknown",
        };
        let penalty =
            |p: wire::Penalty| Penalty { points: p.points, component: p.component, rule: p.rule, reason: p.reason };
        Self {
            name: h.name,
            score: h.score,
            status,
            penalties: h.penalties.into_iter().map(penalty).collect(),
            assessed_at: Time(h.assessed_at_ms),
            newest_reading: Time(h.newest_reading_ms),
        }
    }
}

pub(crate) async fn run(context: &Context, asked: Option<String>) -> Result<(), Error> {
    let name = asked.as_deref().map(name::scope);
    let fetch = async || match &name {
        Some(name) => one(context, name.clone()).await,
        None => all(context).await,
    };
    let subscribe = async || {
        let request = WatchHealthRequest { name: name.clone().unwrap_or_default() };
        Ok(context.api.health().watch_health(request).await?.into_inner())
    };
    watch::show_on(context, fetch, subscribe).await
}

async fn one(context: &Context, name: String) -> Result<String, Error> {
    let answer = context.api.health().get_health(GetHealthRequest { name }).await?.into_inner();
    context.render(&Tree {
        health: answer.health.unwrap_or_default().into(),
        children: answer.children.into_iter().map(View::from).collect(),
    })
}

async fn all(context: &Context) -> Result<String, Error> {
    let paged = paging::follow(context.limit, async |page_size, page_token| {
        let request = ListHealthRequest { page_size, page_token, parent: String::new() };
        let answer = context.api.health().list_health(request).await?.into_inner();
        Ok((answer.healths.into_iter().map(View::from).collect(), answer.next_page_token))
    })
    .await?;
    context.render(&List { name: "healths", columns: COLUMNS, paged, none: Word::NoServers })
}
