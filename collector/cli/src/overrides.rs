//! `outband overrides`.

use crate::context::{Context, now_ms};
use crate::covers::PlaceArgs;
use crate::error::Error;
use crate::once::{ChangeArgs, RequestArgs};
use crate::output::{self, Column, List};
use crate::when::{self, Time};
use crate::words::Word;
use crate::{covers, paging, watch};
use clap::Subcommand;
use outband_proto::maintenance::Selector;
use outband_proto::threshold::{
    CreateThresholdRequest, EndThresholdRequest, ListParametersRequest, ListThresholdsRequest, Parameter, Threshold,
};
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub(crate) enum OverridesCommand {
    /// Those in force
    List {
        /// Ended ones, and those whose time is over, too
        #[arg(long)]
        all: bool,
    },
    /// What can be set, with its usual value
    Parameters,
    /// Set another threshold for some servers, from now on
    Set {
        /// Which, as `outband overrides parameters` shows it
        parameter: String,
        /// To what
        value: f64,
        #[command(flatten)]
        covers: PlaceArgs,
        /// For how long: 90m, 4h, 30d; at most 366d
        #[arg(long, value_name = "SPAN")]
        lasts: String,
        /// Why
        #[arg(long)]
        why: String,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// End one before its time
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
    parameter: String,
    value: f64,
    covers: String,
    until: Time,
    reason: String,
    author: String,
    created_at: Time,
    ended_at: Time,
    in_force: bool,
    etag: String,
}

const COLUMNS: &[Column<View>] = &[
    Column {
        key: "name",
        head: Word::Number,
        wide: false,
        cell: |v, _| v.name.trim_start_matches("thresholds/").to_owned(),
        raw: |v| v.name.clone(),
    },
    Column {
        key: "parameter",
        head: Word::Parameter,
        wide: false,
        cell: |v, _| v.parameter.clone(),
        raw: |v| v.parameter.clone(),
    },
    Column {
        key: "value",
        head: Word::Value,
        wide: false,
        cell: |v, _| v.value.to_string(),
        raw: |v| v.value.to_string(),
    },
    Column { key: "covers", head: Word::Covers, wide: false, cell: |v, _| v.covers.clone(), raw: |v| v.covers.clone() },
    Column {
        key: "until",
        head: Word::InForceUntil,
        wide: false,
        cell: |v, _| if v.in_force { v.until.short() } else { "–".to_owned() },
        raw: |v| v.until.text(),
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
    Column {
        key: "in_force",
        head: Word::State,
        wide: true,
        cell: |v, s| s.word(if v.in_force { Word::Yes } else { Word::No }),
        raw: |v| v.in_force.to_string(),
    },
];

impl From<Threshold> for View {
    fn from(t: Threshold) -> Self {
        Self {
            name: t.name,
            parameter: t.parameter,
            value: t.value,
            covers: covers::words(t.selector),
            until: Time(t.until_ms),
            reason: t.reason,
            author: t.author,
            created_at: Time(t.created_at_ms),
            ended_at: Time::optional(t.ended_at_ms),
            in_force: t.in_force,
            etag: t.etag,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
struct Settable {
    name: String,
    usual: Option<f64>,
    unit: String,
    least: f64,
    most: f64,
    rules: Vec<String>,
}

const SETTABLE: &[Column<Settable>] = &[
    Column { key: "name", head: Word::Parameter, wide: false, cell: |v, _| v.name.clone(), raw: |v| v.name.clone() },
    Column {
        key: "usual",
        head: Word::Usual,
        wide: false,
        cell: |v, s| v.usual.map_or_else(|| s.word(Word::AsTheBmcSays), |n| n.to_string()),
        raw: |v| v.usual.map(|n| n.to_string()).unwrap_or_default(),
    },
    Column { key: "unit", head: Word::Unit, wide: false, cell: |v, _| v.unit.clone(), raw: |v| v.unit.clone() },
    Column {
        key: "limits",
        head: Word::Limits,
        wide: false,
        cell: |v, _| format!("{}–{}", v.least, v.most),
        raw: |v| format!("{}-{}", v.least, v.most),
    },
    Column { key: "rules", head: Word::Rule, wide: false, cell: |v, _| v.rules.join(", "), raw: |v| v.rules.join(" ") },
];

impl From<Parameter> for Settable {
    fn from(p: Parameter) -> Self {
        Self { name: p.name, usual: p.usual, unit: p.unit, least: p.least, most: p.most, rules: p.rules }
    }
}

pub(crate) async fn run(context: &Context, command: Option<OverridesCommand>) -> Result<(), Error> {
    match command.unwrap_or(OverridesCommand::List { all: false }) {
        OverridesCommand::List { all } => {
            watch::show(context, async || {
                let request = ListThresholdsRequest { all };
                let found = context.api.thresholds().list_thresholds(request).await?.into_inner().thresholds;
                table(context, found).await
            })
            .await
        }
        OverridesCommand::Parameters => {
            let answer = context.api.thresholds().list_parameters(ListParametersRequest {}).await?.into_inner();
            let all: Vec<Settable> = answer.parameters.into_iter().map(Settable::from).collect();
            let paged = paging::follow(context.limit, async |_, _| Ok((all.clone(), String::new()))).await?;
            let list = List { name: "parameters", columns: SETTABLE, paged, none: Word::NoOverrides };
            output::print(&context.render(&list)?)
        }
        OverridesCommand::Set { parameter, value, covers, lasts, why, request: RequestArgs { request_id } } => {
            let selector = covers.selector();
            if selector == Selector::default() {
                let what = "say what it is for: --site, --rack, --server, --model, --component or --customer";
                return Err(Error::Usage(what.to_owned()));
            }
            let until_ms = now_ms().saturating_add(when::seconds(&lasts)?.saturating_mul(1000));
            let threshold =
                Threshold { selector: Some(selector), parameter, value, reason: why, until_ms, ..Threshold::default() };
            let request = CreateThresholdRequest { threshold: Some(threshold), request_id };
            let kept = context.api.thresholds().create_threshold(request).await?.into_inner().threshold;
            output::print(&table(context, kept.into_iter().collect()).await?)
        }
        OverridesCommand::End { number, change } => {
            let ChangeArgs { if_etag: etag, request: RequestArgs { request_id } } = change;
            let name = format!("thresholds/{}", number.trim_start_matches("thresholds/"));
            let request = EndThresholdRequest { name, etag, request_id };
            let kept = context.api.thresholds().end_threshold(request).await?.into_inner().threshold;
            output::print(&table(context, kept.into_iter().collect()).await?)
        }
    }
}

async fn table(context: &Context, thresholds: Vec<Threshold>) -> Result<String, Error> {
    let views: Vec<View> = thresholds.into_iter().map(View::from).collect();
    // They come in one answer.
    let paged = paging::follow(context.limit, async |_, _| Ok((views.clone(), String::new()))).await?;
    context.render(&List { name: "overrides", columns: COLUMNS, paged, none: Word::NoOverrides })
}
