//! `outband fleet spares`.

use super::afr::{self, OfModel};
use super::{Interval, Model};
use crate::context::Context;
use crate::error::Error;
use crate::name;
use crate::output::{self, Block, Column, Document, Rows, Shown};
use crate::paging::{self, Paged};
use crate::words::Word;
use outband_proto::fleet as wire;
use serde::Serialize;

/// What a site needs of a model.
#[derive(Debug, Serialize)]
struct Proposal {
    site: String,
    #[serde(flatten)]
    model: Model,
    in_place: u64,
    foretold: Vec<Foretold>,
    expected: Option<Interval>,
    expected_30_days: Option<Interval>,
    needed: u64,
    on_shelf: Option<u64>,
    order: u64,
    /// `model`, or `foretold_only` where too little was watched to know a rate.
    basis: &'static str,
}

#[derive(Debug, Serialize)]
struct Foretold {
    ticket: String,
    rule: String,
    probability: f64,
    /// `model`, `precision`, or `unmeasured`: then it is counted as certain.
    source: &'static str,
}

/// All proposals.
#[derive(Debug, Serialize)]
struct Proposals {
    proposals: Vec<Proposal>,
    truncated: bool,
    unmatched_stock: Vec<String>,
    service_level: f64,
    resupply_days: u32,
}

impl OfModel for Proposal {
    fn model(&self) -> &Model {
        &self.model
    }

    fn in_place(&self) -> u64 {
        self.in_place
    }
}

const COLUMNS: &[Column<Proposal>] = &[
    Column { key: "site", head: Word::Site, wide: false, cell: |v, _| short(&v.site), raw: |v| v.site.clone() },
    afr::class(),
    afr::model(),
    afr::part_number(),
    afr::in_place(),
    Column { key: "foretold", head: Word::ForetoldHead, wide: false, cell: |v, _| foretold(v), raw: foretold },
    Column {
        key: "expected_30_days",
        head: Word::Expected30,
        wide: false,
        cell: |v, _| Interval::plain(v.expected_30_days.as_ref()),
        raw: |v| Interval::raw(v.expected_30_days.as_ref(), |e| e.mean),
    },
    Column {
        key: "expected",
        head: Word::ExpectedUntil,
        wide: true,
        cell: |v, _| Interval::plain(v.expected.as_ref()),
        raw: |v| Interval::raw(v.expected.as_ref(), |e| e.mean),
    },
    Column {
        key: "needed",
        head: Word::Needed,
        wide: false,
        cell: |v, _| v.needed.to_string(),
        raw: |v| v.needed.to_string(),
    },
    Column {
        key: "on_shelf",
        head: Word::OnShelf,
        wide: false,
        cell: |v, _| v.on_shelf.map_or_else(|| "–".to_owned(), |n| n.to_string()),
        raw: |v| v.on_shelf.map(|n| n.to_string()).unwrap_or_default(),
    },
    Column {
        key: "order",
        head: Word::ToOrder,
        wide: false,
        cell: |v, _| v.order.to_string(),
        raw: |v| v.order.to_string(),
    },
    Column {
        key: "basis",
        head: Word::RestsOn,
        wide: false,
        cell: |v, s| s.word(if v.basis == "model" { Word::RestsOnRates } else { Word::RestsOnForetold }),
        raw: |v| v.basis.to_owned(),
    },
];

fn short(site: &str) -> String {
    site.trim_start_matches("sites/").to_owned()
}

/// `12 (41 %), 15 (?)`.
fn foretold(of: &Proposal) -> String {
    let one = |f: &Foretold| {
        let chance = if f.source == "unmeasured" { "?".to_owned() } else { format!("{:.0} %", f.probability * 100.0) };
        format!("{} ({chance})", name::short(&f.ticket))
    };
    of.foretold.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl Document for Proposals {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        let mut blocks = vec![Block::Sheet(vec![
            (shown.word(Word::ServiceLevel), format!("{} %", super::number(self.service_level * 100.0))),
            (shown.word(Word::ResupplyDays), self.resupply_days.to_string()),
        ])];
        if self.proposals.is_empty() {
            blocks.push(Block::Note(shown.word(Word::NoOrderNeeded)));
        } else {
            blocks.push(output::table_of(None, COLUMNS, &self.proposals, shown));
        }
        if !self.unmatched_stock.is_empty() {
            let all = self.unmatched_stock.join(", ");
            blocks.push(Block::Note(format!("{}: {all}", shown.word(Word::UnmatchedStock))));
        }
        if self.truncated {
            blocks.push(Block::Note(shown.word(Word::More)));
        }
        blocks
    }

    fn rows(&self) -> Rows {
        output::raw(COLUMNS, &self.proposals)
    }
}

pub(super) async fn proposals(
    context: &Context,
    asked: wire::ListSpareProposalsRequest,
    all: bool,
) -> Result<String, Error> {
    let (mut unmatched_stock, mut service_level, mut resupply_days) = (Vec::new(), 0.0, 0);
    // What need not be ordered is left out here: pages have to be read to their end.
    let limit = if all { context.limit } else { 0 };
    let Paged { rows: mut proposals, more: mut truncated } = paging::follow(limit, async |page_size, page_token| {
        let request = wire::ListSpareProposalsRequest { page_size, page_token, ..asked.clone() };
        let answer = context.api.fleet().list_spare_proposals(request).await?.into_inner();
        (service_level, resupply_days) = (answer.service_level, answer.resupply_days);
        unmatched_stock = answer.unmatched_stock;
        Ok((answer.proposals.into_iter().map(read).collect(), answer.next_page_token))
    })
    .await?;
    proposals.retain(|p: &Proposal| all || p.order > 0);
    if context.limit > 0 && proposals.len() > context.limit {
        proposals.truncate(context.limit);
        truncated = true;
    }
    context.render(&Proposals { proposals, truncated, unmatched_stock, service_level, resupply_days })
}

fn read(p: wire::SpareProposal) -> Proposal {
    use wire::spare_proposal::{Basis, Source};
    let basis = match p.basis() {
        Basis::Model => "model",
        Basis::ForetoldOnly | Basis::Unspecified => "foretold_only",
    };
    let foretold = |f: wire::spare_proposal::Foretold| Foretold {
        source: match f.source() {
            Source::Model => "model",
            Source::Precision => "precision",
            Source::Unmeasured | Source::Unspecified => "unmeasured",
        },
        ticket: f.ticket,
        rule: f.rule,
        probability: f.probability,
    };
    Proposal {
        site: p.site,
        model: p.model.into(),
        in_place: p.in_place,
        foretold: p.foretold.into_iter().map(foretold).collect(),
        expected: Interval::of(p.expected),
        expected_30_days: Interval::of(p.expected_30_days),
        needed: p.needed,
        on_shelf: p.on_shelf,
        order: p.order,
        basis,
    }
}
