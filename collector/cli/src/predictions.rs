//! `outband predictions`.

mod export;

use crate::context::Context;
use crate::error::Error;
use crate::once::{ChangeArgs, RequestArgs};
use crate::output::{self, Block, Column, Document, List, Rows, Shown};
use crate::when::{self, Time};
use crate::words::{Lang, Word};
use crate::{name, paging};
use clap::{Args, Subcommand, ValueEnum};
use outband_proto::outcome::{
    GetPrecisionRequest, ListOutcomesRequest, Precision, RefutePredictionRequest, TicketOutcome,
};
use serde::Serialize;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
A prediction is right when its failure was seen, or a test confirmed it; it is wrong when a test found nothing, or another part. A part that was replaced
without a test counts as neither. Exercises and merged tickets are left out.

Examples:
  outband predictions                                           how often each rule was right, with its 95 % interval
  outband predictions precision --by model,site --since 2026-01-01
  outband predictions precision --rule disk.predicted --by predictor -o csv
  outband predictions list --answer unknown                     those of which nobody has said what it was
  outband tickets verdict 12 confirmed --detail 'maker: head crash'
  outband predictions wrong 12 --why 'surface scan over 24 h found nothing'
  outband predictions wrong 12 --why 'backplane' --verdict other_part --part 'backplane/1'
  outband predictions export --out fleet                        drives.csv and changes.csv for outband-collector train

What nobody verified is never learnt from: the export names such drives in left_out.csv and leaves them out.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ByArg {
    /// The model of the part
    Model,
    /// The version of the model that foretold it
    Predictor,
    Site,
    Customer,
    /// What is wrong
    Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnswerArg {
    /// The failure was seen or confirmed
    Right,
    /// There was nothing, or another part was at fault
    Wrong,
    /// It ended, and nobody said what it was
    Unknown,
    /// It has not ended
    Pending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum WrongArg {
    /// The part was tested, and nothing was found
    #[value(alias = "not_found")]
    NoFaultFound,
    /// There never was anything
    FalseAlarm,
    /// There was a fault, of another part
    OtherPart,
}

#[derive(Debug, Default, Args)]
pub(crate) struct PrecisionArgs {
    /// Only this rule, e.g. disk.predicted
    #[arg(long)]
    rule: Option<String>,
    /// Only tickets opened since then: 2026-01-31, or 90d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Tell the tickets of each rule apart, too
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    by: Vec<ByArg>,
    /// Failures that were seen, too, and not only what was predicted
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PredictionsCommand {
    /// How often rules were right, as far as somebody has verified it
    Precision(PrecisionArgs),
    /// Tickets that foretold something, and what became of them, newest first
    List {
        /// Only of this rule
        #[arg(long)]
        rule: Option<String>,
        /// Only those
        #[arg(long, value_enum)]
        answer: Option<AnswerArg>,
        /// Failures that were seen, too
        #[arg(long)]
        all: bool,
    },
    /// It was wrong: the ticket is closed as a false alarm with its verdict, and stays quiet until it gets worse
    Wrong {
        /// The ticket's number
        ticket: String,
        /// What was found, for others to learn from
        #[arg(long)]
        why: String,
        /// What it was instead
        #[arg(long, value_enum, default_value_t = WrongArg::NoFaultFound)]
        verdict: WrongArg,
        /// The part that was at fault instead, by its serial or its place
        #[arg(long, default_value = "", hide_default_value = true)]
        part: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// The own drives, in the tables that `outband-collector train` reads
    Export {
        /// The directory for drives.csv, changes.csv and left_out.csv; made where it is not there
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// The word of a value on the wire: as it is typed.
fn word<V: ValueEnum>(value: &V) -> String {
    value.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}

pub(crate) async fn run(context: &Context, command: Option<PredictionsCommand>) -> Result<(), Error> {
    match command.unwrap_or(PredictionsCommand::Precision(PrecisionArgs::default())) {
        PredictionsCommand::Precision(asked) => output::print(&precision(context, &asked).await?),
        PredictionsCommand::List { rule, answer, all } => list(context, rule, answer, all).await,
        PredictionsCommand::Wrong { ticket, why, verdict, part, change } => {
            let ChangeArgs { if_etag: etag, request: RequestArgs { request_id } } = change;
            let name = name::ticket(&ticket);
            let request = RefutePredictionRequest { name, why, verdict: word(&verdict), part, etag, request_id };
            let answer = context.api.outcomes().refute_prediction(request).await?.into_inner();
            // What it comes to for the rule: the next question anybody has.
            let asked = PrecisionArgs { rule: Some(answer.rule), ..PrecisionArgs::default() };
            output::print(&precision(context, &asked).await?)
        }
        PredictionsCommand::Export { out } => export::export(context, &out).await,
    }
}

#[derive(Debug, Clone, Serialize)]
struct Figures {
    rule: String,
    by: String,
    value: String,
    right: i64,
    wrong: i64,
    unknown: i64,
    pending: i64,
    seen: i64,
    precision: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    median_lead_secs: Option<i64>,
    propose_mute: bool,
    not_given: i64,
    misplaced: i64,
}

impl From<Precision> for Figures {
    fn from(p: Precision) -> Self {
        Self {
            rule: p.rule,
            by: p.by,
            value: p.value,
            right: p.right,
            wrong: p.wrong,
            unknown: p.unknown,
            pending: p.pending,
            seen: p.seen,
            precision: p.precision,
            low: p.low,
            high: p.high,
            median_lead_secs: p.median_lead_ms.map(|ms| ms / 1000),
            propose_mute: p.propose_mute,
            not_given: p.not_given,
            misplaced: p.misplaced,
        }
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

fn share(value: Option<f64>) -> String {
    value.map(|v| format!("{v:.6}")).unwrap_or_default()
}

impl Figures {
    fn group(&self, shown: &Shown) -> String {
        let by = match self.by.as_str() {
            "" => return shown.word(Word::All),
            "model" => Word::Model,
            "predictor" => Word::Predictor,
            "site" => Word::Site,
            "customer" => Word::Customer,
            _ => Word::Fault,
        };
        let value = if self.value.is_empty() { shown.word(Word::Unknown) } else { self.value.clone() };
        format!("{} {value}", shown.word(by).to_lowercase())
    }

    fn interval(&self) -> String {
        match (self.low, self.high) {
            (Some(low), Some(high)) => format!("{:.1}–{:.1} %", 100.0 * low, 100.0 * high),
            _ => "–".to_owned(),
        }
    }

    /// A line that proposes to mute it, and how.
    fn proposal(&self, shown: &Shown) -> String {
        let covers = match self.by.as_str() {
            "site" => format!(" --site {}", self.value),
            "model" => " --model MODEL".to_owned(),
            "customer" => format!(" --customer {}", self.value),
            "fault" => format!(" --fault {}", self.value),
            _ => String::new(),
        };
        let verified = self.right + self.wrong;
        let (rule, group) = (&self.rule, self.group(shown));
        let command = format!("outband maintenance mute --rule {rule}{covers} --lasts 31d --why …");
        match shown.lang {
            Lang::En => format!("{rule}, {group}: {} of {verified} right. To mute it: {command}", self.right),
            Lang::ZhCn => format!("{rule}，{group}：{verified} 次中 {} 次正确。如需静默：{command}", self.right),
        }
    }
}

const FIGURES: &[Column<Figures>] = &[
    Column { key: "rule", head: Word::Rule, wide: false, cell: |v, _| v.rule.clone(), raw: |v| v.rule.clone() },
    Column { key: "by", head: Word::Of, wide: false, cell: |v, s| v.group(s), raw: |v| v.by.clone() },
    Column { key: "value", head: Word::Value, wide: true, cell: |v, _| v.value.clone(), raw: |v| v.value.clone() },
    Column {
        key: "right",
        head: Word::Right,
        wide: false,
        cell: |v, _| v.right.to_string(),
        raw: |v| v.right.to_string(),
    },
    Column {
        key: "wrong",
        head: Word::Wrong,
        wide: false,
        cell: |v, _| v.wrong.to_string(),
        raw: |v| v.wrong.to_string(),
    },
    Column {
        key: "unknown",
        head: Word::Unverified,
        wide: false,
        cell: |v, _| v.unknown.to_string(),
        raw: |v| v.unknown.to_string(),
    },
    Column {
        key: "not_given",
        head: Word::NotGiven,
        wide: true,
        cell: |v, _| v.not_given.to_string(),
        raw: |v| v.not_given.to_string(),
    },
    Column {
        key: "misplaced",
        head: Word::Misplaced,
        wide: true,
        cell: |v, _| v.misplaced.to_string(),
        raw: |v| v.misplaced.to_string(),
    },
    Column {
        key: "pending",
        head: Word::NotEnded,
        wide: false,
        cell: |v, _| v.pending.to_string(),
        raw: |v| v.pending.to_string(),
    },
    Column {
        key: "seen",
        head: Word::FailureSeen,
        wide: true,
        cell: |v, _| v.seen.to_string(),
        raw: |v| v.seen.to_string(),
    },
    Column {
        key: "precision",
        head: Word::Precision,
        wide: false,
        cell: |v, _| percent(v.precision),
        raw: |v| share(v.precision),
    },
    Column { key: "low", head: Word::Interval, wide: false, cell: |v, _| v.interval(), raw: |v| share(v.low) },
    Column { key: "high", head: Word::AtMost, wide: true, cell: |v, _| percent(v.high), raw: |v| share(v.high) },
    Column {
        key: "median_lead_secs",
        head: Word::MedianLead,
        wide: false,
        cell: |v, s| v.median_lead_secs.map_or_else(|| "–".to_owned(), |secs| when::span(secs * 1000, s.lang)),
        raw: |v| v.median_lead_secs.map(|secs| secs.to_string()).unwrap_or_default(),
    },
];

/// The figures, and what they propose.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    list: List<Figures>,
    /// Below this, rules are proposed to be muted.
    mute_below: Option<f64>,
}

impl Document for Report {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        let mut blocks = self.list.blocks(shown);
        let rows = &self.list.paged.rows;
        let silent: i64 = rows.iter().filter(|figures| figures.by.is_empty()).map(|figures| figures.not_given).sum();
        if silent > 0 {
            blocks.push(Block::Note(match shown.lang {
                Lang::En => format!(
                    "Of {silent} closed tickets nobody has said what it was: they confirm nothing. To say it: outband tickets verdict NUMBER …"
                ),
                Lang::ZhCn => format!("{silent} 张已关闭工单未给出结论，不计入正确或错误。补充结论：outband tickets verdict NUMBER …"),
            }));
        }
        let poor = rows.iter().filter(|figures| figures.propose_mute);
        blocks.extend(poor.map(|figures| Block::Note(figures.proposal(shown))));
        blocks
    }

    fn rows(&self) -> Rows {
        self.list.rows()
    }
}

async fn precision(context: &Context, asked: &PrecisionArgs) -> Result<String, Error> {
    let since_ms = asked.since.as_deref().map(|text| when::parse(text, context.shown().now_ms)).transpose()?;
    let request = GetPrecisionRequest {
        rule: asked.rule.clone().unwrap_or_default(),
        since_ms,
        all: asked.all,
        by: asked.by.iter().map(word).collect(),
    };
    let answer = context.api.outcomes().get_precision(request).await?.into_inner();
    let rows: Vec<Figures> = answer.precisions.into_iter().map(Figures::from).collect();
    // They come in one answer.
    let paged = paging::follow(context.limit, async |_, _| Ok((rows.clone(), String::new()))).await?;
    let list = List { name: "precisions", columns: FIGURES, paged, none: Word::NoOutcomes };
    context.render(&Report { list, mute_below: answer.mute_below })
}

#[derive(Debug, Clone, Serialize)]
struct View {
    ticket: String,
    rule: String,
    fault: String,
    server: String,
    component: String,
    part_serial: String,
    part_model: String,
    predictor: String,
    predicted: bool,
    answer: String,
    basis: String,
    opened_at: Time,
    known_at: Time,
    lead_secs: Option<i64>,
    /// The part that was at fault instead.
    other_part: String,
    other_component: String,
    other_serial: String,
    other_model: String,
}

impl From<TicketOutcome> for View {
    fn from(o: TicketOutcome) -> Self {
        Self {
            ticket: o.ticket,
            rule: o.rule,
            fault: o.fault,
            server: o.server,
            component: o.component,
            part_serial: o.part_serial,
            part_model: o.part_model,
            predictor: o.predictor,
            predicted: o.predicted,
            answer: o.answer,
            basis: o.basis,
            opened_at: Time(o.opened_at_ms),
            known_at: Time::optional(o.known_at_ms),
            lead_secs: o.lead_ms.map(|ms| ms / 1000),
            other_part: o.other_part,
            other_component: o.other_component,
            other_serial: o.other_serial,
            other_model: o.other_model,
        }
    }
}

impl output::OfServer for View {
    fn server(&self) -> &str {
        &self.server
    }
}

fn answer_word(answer: &str) -> Option<Word> {
    Some(match answer {
        "right" => Word::Right,
        "wrong" => Word::Wrong,
        "unknown" => Word::Unverified,
        "pending" => Word::NotEnded,
        _ => return None,
    })
}

const COLUMNS: &[Column<View>] = &[
    Column {
        key: "ticket",
        head: Word::Number,
        wide: false,
        cell: |v, _| name::short(&v.ticket),
        raw: |v| v.ticket.clone(),
    },
    Column { key: "rule", head: Word::Rule, wide: false, cell: |v, _| v.rule.clone(), raw: |v| v.rule.clone() },
    Column::SERVER,
    Column {
        key: "component",
        head: Word::Component,
        wide: false,
        cell: |v, _| v.component.clone(),
        raw: |v| v.component.clone(),
    },
    Column {
        key: "part_model",
        head: Word::Model,
        wide: false,
        cell: |v, _| v.part_model.clone(),
        raw: |v| v.part_model.clone(),
    },
    Column {
        key: "answer",
        head: Word::Answer,
        wide: false,
        cell: |v, s| answer_word(&v.answer).map_or_else(|| v.answer.clone(), |w| s.word(w).to_lowercase()),
        raw: |v| v.answer.clone(),
    },
    Column { key: "basis", head: Word::Verdict, wide: false, cell: |v, _| v.basis.clone(), raw: |v| v.basis.clone() },
    Column {
        key: "opened_at",
        head: Word::Opened,
        wide: false,
        cell: |v, _| v.opened_at.short(),
        raw: |v| v.opened_at.text(),
    },
    Column {
        key: "lead_secs",
        head: Word::Lead,
        wide: false,
        cell: |v, s| v.lead_secs.map_or_else(|| "–".to_owned(), |secs| when::span(secs * 1000, s.lang)),
        raw: |v| v.lead_secs.map(|secs| secs.to_string()).unwrap_or_default(),
    },
    Column {
        key: "part_serial",
        head: Word::Serial,
        wide: true,
        cell: |v, _| v.part_serial.clone(),
        raw: |v| v.part_serial.clone(),
    },
    Column {
        key: "predictor",
        head: Word::Predictor,
        wide: true,
        cell: |v, _| v.predictor.clone(),
        raw: |v| v.predictor.clone(),
    },
    Column { key: "fault", head: Word::Fault, wide: true, cell: |v, _| v.fault.clone(), raw: |v| v.fault.clone() },
    Column {
        key: "other_part",
        head: Word::Misplaced,
        wide: true,
        cell: |v, _| v.other_part.clone(),
        raw: |v| v.other_part.clone(),
    },
];

async fn list(context: &Context, rule: Option<String>, answer: Option<AnswerArg>, all: bool) -> Result<(), Error> {
    let rule = rule.unwrap_or_default();
    let answer = answer.as_ref().map(word).unwrap_or_default();
    let paged = paging::follow(context.limit, async |page_size, page_token| {
        let request = ListOutcomesRequest { page_size, page_token, rule: rule.clone(), answer: answer.clone(), all };
        let answer = context.api.outcomes().list_outcomes(request).await?.into_inner();
        Ok((answer.outcomes.into_iter().map(View::from).collect(), answer.next_page_token))
    })
    .await?;
    output::print(&context.render(&List { name: "outcomes", columns: COLUMNS, paged, none: Word::NoOutcomes })?)
}
