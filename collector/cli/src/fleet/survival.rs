//! `outband fleet survival`.

use super::Interval;
use super::afr::{COLUMNS as MODELS, Rate};
use crate::context::Context;
use crate::error::Error;
use crate::output::{self, Block, Column, Document, Rows, Shown};
use crate::words::Word;
use outband_proto::fleet as wire;
use serde::Serialize;

/// People are shown so many steps.
const SHOWN: usize = 24;

/// A curve.
#[derive(Debug, Serialize)]
struct Curve {
    models: Vec<Rate>,
    /// `age`, or `observed` where no age is known.
    axis: &'static str,
    parts: u64,
    failures: u64,
    ageless_parts: u64,
    ageless_failures: u64,
    from_age_years: f64,
    to_age_years: f64,
    median_years: Option<f64>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Step {
    age_years: f64,
    at_risk: u64,
    failed: u64,
    survival: Option<Interval>,
}

const STEPS: &[Column<Step>] = &[
    Column {
        key: "age_years",
        head: Word::AgeYears,
        wide: false,
        cell: |v, _| format!("{:.2}", v.age_years),
        raw: |v| v.age_years.to_string(),
    },
    Column {
        key: "at_risk",
        head: Word::AtRisk,
        wide: false,
        cell: |v, _| v.at_risk.to_string(),
        raw: |v| v.at_risk.to_string(),
    },
    Column {
        key: "failed",
        head: Word::Failures,
        wide: false,
        cell: |v, _| v.failed.to_string(),
        raw: |v| v.failed.to_string(),
    },
    Column {
        key: "survival",
        head: Word::Survive,
        wide: false,
        cell: |v, _| share(v.survival.as_ref()),
        raw: |v| Interval::raw(v.survival.as_ref(), |e| e.mean),
    },
    Column {
        key: "survival_low",
        head: Word::From,
        wide: true,
        cell: |v, _| Interval::raw(v.survival.as_ref(), |e| e.low),
        raw: |v| Interval::raw(v.survival.as_ref(), |e| e.low),
    },
    Column {
        key: "survival_high",
        head: Word::To,
        wide: true,
        cell: |v, _| Interval::raw(v.survival.as_ref(), |e| e.high),
        raw: |v| Interval::raw(v.survival.as_ref(), |e| e.high),
    },
];

fn share(of: Option<&Interval>) -> String {
    let show = |v: f64| format!("{:.1}", v * 100.0);
    of.map_or_else(|| "–".to_owned(), |e| format!("{} % ({}–{})", show(e.mean), show(e.low), show(e.high)))
}

impl Document for Curve {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        let mut sheet = vec![
            (shown.word(Word::Parts), self.parts.to_string()),
            (shown.word(Word::Failures), self.failures.to_string()),
            (shown.word(Word::AgesWatched), format!("{:.2}–{:.2}", self.from_age_years, self.to_age_years)),
            (shown.word(Word::HalfLeft), self.median_years.map_or_else(|| "–".to_owned(), |m| format!("{m:.2}"))),
        ];
        if self.ageless_parts > 0 {
            sheet.push((shown.word(Word::Ageless), format!("{} ({})", self.ageless_parts, self.ageless_failures)));
        }
        let mut blocks = vec![Block::Sheet(sheet)];
        if self.axis == "observed" {
            blocks.push(Block::Note(shown.word(Word::AgesUnknown)));
        }
        let every = self.steps.len().div_ceil(SHOWN).max(1);
        // The last one is always among them.
        let first = self.steps.len().saturating_sub(1) % every;
        let head = STEPS.iter().filter(|c| !c.wide).map(|c| shown.word(c.head)).collect();
        let row = |step: &Step| STEPS.iter().filter(|c| !c.wide).map(|c| (c.cell)(step, shown)).collect();
        // What is not shown on its own counts in the next row.
        let (head_steps, rest) = self.steps.split_at(first + usize::from(!self.steps.is_empty()));
        let chunks = std::iter::once(head_steps).chain(rest.chunks(every));
        let shown_steps = chunks.filter_map(|chunk| {
            let failed = chunk.iter().map(|s| s.failed).sum();
            chunk.last().map(|last| Step { failed, ..*last })
        });
        let rows: Vec<Vec<String>> = shown_steps.map(|step| row(&step)).collect();
        if !rows.is_empty() {
            blocks.push(Block::Table { title: None, head, rows });
        }
        blocks.push(output::table_of(Some(Word::Models), MODELS, &self.models, shown));
        blocks
    }

    fn rows(&self) -> Rows {
        output::raw(STEPS, &self.steps)
    }
}

pub(super) async fn curve(context: &Context, request: wire::GetSurvivalRequest) -> Result<String, Error> {
    use wire::get_survival_response::Axis;
    let answer = context.api.fleet().get_survival(request).await?.into_inner();
    let axis = match answer.axis() {
        Axis::Age => "age",
        Axis::Observed | Axis::Unspecified => "observed",
    };
    context.render(&Curve {
        models: answer.models.into_iter().map(Rate::from).collect(),
        axis,
        parts: answer.parts,
        failures: answer.failures,
        ageless_parts: answer.ageless_parts,
        ageless_failures: answer.ageless_failures,
        from_age_years: answer.from_age,
        to_age_years: answer.to_age,
        median_years: answer.median_years,
        steps: answer
            .steps
            .into_iter()
            .map(|s| Step {
                age_years: s.age_years,
                at_risk: s.at_risk,
                failed: s.failed,
                survival: Interval::of(s.survival),
            })
            .collect(),
    })
}
