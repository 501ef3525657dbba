//! `outband fleet afr` and `outband fleet trend`.

use super::{Interval, Model, WhichArgs, or_dash};
use crate::context::Context;
use crate::error::Error;
use crate::output::{self, Block, Column, Document, List, Rows, Shown};
use crate::paging::{self, Paged};
use crate::when::{self, Time};
use crate::words::Word;
use outband_proto::fleet as wire;
use serde::Serialize;

/// The figures of a model.
#[derive(Debug, Serialize)]
pub(super) struct Rate {
    #[serde(flatten)]
    model: Model,
    parts: u64,
    in_place: u64,
    part_years: f64,
    failures: u64,
    verified: u64,
    rate: Option<Interval>,
    drawn: Option<Interval>,
}

/// What is about a model.
pub(super) trait OfModel {
    /// The model.
    fn model(&self) -> &Model;
    /// How many of it are in place.
    fn in_place(&self) -> u64;
}

/// The model's class of part.
pub(super) const fn class<T: OfModel>() -> Column<T> {
    Column {
        key: "class",
        head: Word::PartClass,
        wide: false,
        cell: |v, _| v.model().class.clone(),
        raw: |v| v.model().class.clone(),
    }
}

/// The model's name.
pub(super) const fn model<T: OfModel>() -> Column<T> {
    Column {
        key: "model",
        head: Word::Model,
        wide: false,
        cell: |v, _| or_dash(&v.model().name),
        raw: |v| v.model().name.clone(),
    }
}

/// Its maker.
pub(super) const fn manufacturer<T: OfModel>() -> Column<T> {
    Column {
        key: "manufacturer",
        head: Word::Manufacturer,
        wide: true,
        cell: |v, _| or_dash(&v.model().manufacturer),
        raw: |v| v.model().manufacturer.clone(),
    }
}

/// The maker's part number.
pub(super) const fn part_number<T: OfModel>() -> Column<T> {
    Column {
        key: "part_number",
        head: Word::PartNumber,
        wide: true,
        cell: |v, _| or_dash(&v.model().part_number),
        raw: |v| v.model().part_number.clone(),
    }
}

/// How many are in place.
pub(super) const fn in_place<T: OfModel>() -> Column<T> {
    Column {
        key: "in_place",
        head: Word::InPlace,
        wide: false,
        cell: |v, _| v.in_place().to_string(),
        raw: |v| v.in_place().to_string(),
    }
}

impl OfModel for Rate {
    fn model(&self) -> &Model {
        &self.model
    }

    fn in_place(&self) -> u64 {
        self.in_place
    }
}

pub(super) const COLUMNS: &[Column<Rate>] = &[
    class(),
    model(),
    manufacturer(),
    part_number(),
    in_place(),
    Column {
        key: "parts",
        head: Word::PartsWatched,
        wide: true,
        cell: |v, _| v.parts.to_string(),
        raw: |v| v.parts.to_string(),
    },
    Column {
        key: "part_years",
        head: Word::PartYears,
        wide: false,
        cell: |v, _| super::number(v.part_years),
        raw: |v| v.part_years.to_string(),
    },
    Column {
        key: "failures",
        head: Word::Failures,
        wide: false,
        cell: |v, _| v.failures.to_string(),
        raw: |v| v.failures.to_string(),
    },
    Column {
        key: "verified",
        head: Word::OfTheseVerified,
        wide: true,
        cell: |v, _| v.verified.to_string(),
        raw: |v| v.verified.to_string(),
    },
    Column {
        key: "rate",
        head: Word::AYear,
        wide: false,
        cell: |v, _| Interval::percent(v.rate.as_ref()),
        raw: |v| Interval::raw(v.rate.as_ref(), |e| e.mean),
    },
    Column {
        key: "rate_low",
        head: Word::From,
        wide: true,
        cell: |v, _| Interval::raw(v.rate.as_ref(), |e| e.low),
        raw: |v| Interval::raw(v.rate.as_ref(), |e| e.low),
    },
    Column {
        key: "rate_high",
        head: Word::To,
        wide: true,
        cell: |v, _| Interval::raw(v.rate.as_ref(), |e| e.high),
        raw: |v| Interval::raw(v.rate.as_ref(), |e| e.high),
    },
    Column {
        key: "drawn",
        head: Word::Drawn,
        wide: false,
        cell: |v, _| Interval::percent(v.drawn.as_ref()),
        raw: |v| Interval::raw(v.drawn.as_ref(), |e| e.mean),
    },
];

impl From<wire::FailureRate> for Rate {
    fn from(r: wire::FailureRate) -> Self {
        Self {
            model: r.model.into(),
            parts: r.parts,
            in_place: r.in_place,
            part_years: r.years,
            failures: r.failures,
            verified: r.verified,
            rate: Interval::of(r.rate),
            drawn: Interval::of(r.drawn),
        }
    }
}

/// All rates, and what stands in none.
#[derive(Debug, Serialize)]
struct Rates {
    rates: Vec<Rate>,
    truncated: bool,
    unplaced_failures: u64,
    as_of: Time,
}

impl Document for Rates {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        if self.rates.is_empty() {
            return vec![Block::Note(shown.word(Word::NoParts))];
        }
        // The ends of intervals stand beside their middle already.
        let ends = ["rate_low", "rate_high"];
        let columns: Vec<&Column<Rate>> =
            COLUMNS.iter().filter(|c| (shown.wide || !c.wide) && !ends.contains(&c.key)).collect();
        let head = columns.iter().map(|c| shown.word(c.head)).collect();
        let rows = self.rates.iter().map(|rate| columns.iter().map(|c| (c.cell)(rate, shown)).collect()).collect();
        let mut blocks = vec![Block::Table { title: None, head, rows }];
        if self.unplaced_failures > 0 {
            blocks.push(Block::Note(format!("{}: {}", shown.word(Word::Unplaced), self.unplaced_failures)));
        }
        if self.truncated {
            blocks.push(Block::Note(shown.word(Word::More)));
        }
        blocks
    }

    fn rows(&self) -> Rows {
        output::raw(COLUMNS, &self.rates)
    }
}

pub(super) async fn rates(
    context: &Context,
    which: &WhichArgs,
    class: Option<String>,
    from: Option<String>,
) -> Result<String, Error> {
    let from_ms = from.map(|text| when::parse(&text, context.shown().now_ms)).transpose()?.unwrap_or(0);
    let class = class.unwrap_or_default();
    let (mut unplaced_failures, mut as_of) = (0, Time(0));
    let Paged { rows: rates, more: truncated } = paging::follow(context.limit, async |page_size, page_token| {
        let (selection, class) = (which.wire(), class.clone());
        let request = wire::ListFailureRatesRequest { page_size, page_token, selection, class, from_ms };
        let answer = context.api.fleet().list_failure_rates(request).await?.into_inner();
        (unplaced_failures, as_of) = (answer.unplaced, Time(answer.as_of_ms));
        Ok((answer.rates.into_iter().map(Rate::from).collect(), answer.next_page_token))
    })
    .await?;
    context.render(&Rates { rates, truncated, unplaced_failures, as_of })
}

/// The figures of a month.
#[derive(Debug, Serialize)]
struct Month {
    month: String,
    class: String,
    model: String,
    failures: u64,
    part_years: f64,
    rate: Option<Interval>,
}

const MONTHS: &[Column<Month>] = &[
    Column { key: "month", head: Word::Month, wide: false, cell: |v, _| v.month.clone(), raw: |v| v.month.clone() },
    Column { key: "class", head: Word::PartClass, wide: false, cell: |v, _| v.class.clone(), raw: |v| v.class.clone() },
    Column { key: "model", head: Word::Model, wide: false, cell: |v, _| or_dash(&v.model), raw: |v| v.model.clone() },
    Column {
        key: "failures",
        head: Word::Failures,
        wide: false,
        cell: |v, _| v.failures.to_string(),
        raw: |v| v.failures.to_string(),
    },
    Column {
        key: "part_years",
        head: Word::PartYears,
        wide: false,
        cell: |v, _| super::number(v.part_years),
        raw: |v| v.part_years.to_string(),
    },
    Column {
        key: "rate",
        head: Word::AYear,
        wide: false,
        cell: |v, _| Interval::percent(v.rate.as_ref()),
        raw: |v| Interval::raw(v.rate.as_ref(), |e| e.mean),
    },
];

pub(super) async fn months(context: &Context, asked: wire::ListMonthlyFailuresRequest) -> Result<String, Error> {
    let paged = paging::follow(context.limit, async |page_size, page_token| {
        let request = wire::ListMonthlyFailuresRequest { page_size, page_token, ..asked.clone() };
        let answer = context.api.fleet().list_monthly_failures(request).await?.into_inner();
        let months = answer.months.into_iter().map(|m| {
            let model = Model::from(m.model);
            Month {
                month: m.month,
                class: model.class,
                model: model.name,
                failures: m.failures,
                part_years: m.years,
                rate: Interval::of(m.rate),
            }
        });
        Ok((months.collect(), answer.next_page_token))
    })
    .await?;
    context.render(&List { name: "months", columns: MONTHS, paged, none: Word::NoParts })
}
