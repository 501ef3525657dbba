//! The reliability report for people.

use super::doc::{Block, Cell, Doc, Table};
use super::foretold::Foretold;
use super::labels::Label;
use super::period;
use super::reliability::{By, Figures, Reliability, Sample};
use super::sla_doc::{sheet, table};
use crate::words::Lang;
use jiff::tz::TimeZone;

/// The report as a document.
pub(super) fn doc(report: &Reliability, lang: Lang) -> Doc {
    let l = |label: Label| label.text(lang);
    let whose = |wanted: &Option<String>| wanted.clone().unwrap_or_else(|| l(Label::All).to_owned());
    let zone = TimeZone::get(&report.period.zone).unwrap_or(TimeZone::UTC);
    let about = [
        (Label::Customer, whose(&report.scope.customer)),
        (Label::Site, whose(&report.scope.site)),
        (Label::Period, report.period.label.clone()),
        (Label::Zone, report.period.zone.clone()),
        (Label::AsOf, period::local(report.as_of, &zone)),
    ];
    let blocks = vec![
        Block::Table(sheet("about", l(Label::About), &about, lang)),
        Block::Table(failures(&report.figures, lang)),
        Block::Table(sample("mtta", Label::Answers, &report.figures, |f| &f.acknowledged, true, lang)),
        Block::Table(sample("mttr", Label::Repairs, &report.figures, |f| &f.repaired, false, lang)),
        Block::Table(sample("mttr_net", Label::RepairsNet, &report.figures, |f| &f.repaired_net, false, lang)),
        Block::Table(foretold(&report.foretold, lang)),
        Block::Heading(l(Label::Rules).to_owned()),
        Block::List(
            [Label::RuleSamples, Label::RuleFailures, Label::RuleForetold, Label::RuleNone]
                .map(|r| l(r).to_owned())
                .to_vec(),
        ),
    ];
    Doc { title: format!("{} {}", l(Label::Reliability), report.period.label), lang, zone, blocks }
}

fn head(figures: &Figures, lang: Lang) -> [Cell; 2] {
    let by = match figures.by {
        By::All => Label::All,
        By::Model => Label::Model,
        By::Site => Label::Site,
        By::Customer => Label::Customer,
    };
    let name = match (&figures.name, figures.by) {
        (Some(name), _) => name.clone(),
        (None, By::All) => Label::All.text(lang).to_owned(),
        (None, _) => Label::Unknown.text(lang).to_owned(),
    };
    [Cell::text(by.text(lang)), Cell::text(name)]
}

fn failures(all: &[Figures], lang: Lang) -> Table {
    let rows = all.iter().map(|f| {
        let mut row = head(f, lang).to_vec();
        row.extend([
            Cell::Count(f.servers),
            Cell::Span(f.watched),
            Cell::Count(f.failures),
            Cell::span(f.mtbf),
            Cell::span(f.mtbf_at_least),
            Cell::span(f.mtbf_at_most),
        ]);
        row
    });
    let columns = [
        Label::Group,
        Label::Value,
        Label::Servers,
        Label::Watched,
        Label::Failures,
        Label::Mtbf,
        Label::AtLeast,
        Label::AtMost,
    ];
    table("mtbf", Label::FailuresTitle.text(lang), &columns, rows.collect(), lang)
}

fn foretold(all: &[Foretold], lang: Lang) -> Table {
    let percent = |share: Option<f64>| share.map_or(Cell::None, |share| Cell::Number(100.0 * share, 2));
    let row = |f: &Foretold| {
        vec![
            Cell::text(&f.rule),
            Cell::Count(f.right),
            Cell::Count(f.wrong),
            Cell::Count(f.unknown),
            Cell::Count(f.pending),
            Cell::Share(f.right, f.right + f.wrong),
            percent(f.at_least),
            percent(f.at_most),
            Cell::span(f.lead),
        ]
    };
    let columns = [
        Label::Rule,
        Label::ForetoldRight,
        Label::ForetoldWrong,
        Label::ForetoldUnknown,
        Label::ForetoldPending,
        Label::Share,
        Label::PercentAtLeast,
        Label::PercentAtMost,
        Label::Lead,
    ];
    table("foretold", Label::ForetoldTitle.text(lang), &columns, all.iter().map(row).collect(), lang)
}

fn sample(
    key: &'static str,
    title: Label,
    all: &[Figures],
    of: impl Fn(&Figures) -> &Sample,
    unanswered: bool,
    lang: Lang,
) -> Table {
    let rows = all.iter().map(|f| {
        let s = of(f);
        let mut row = head(f, lang).to_vec();
        row.push(Cell::Count(s.count));
        row.extend([s.mean, s.median, s.lower_quartile, s.upper_quartile, s.longest].map(Cell::span));
        row.extend(unanswered.then_some(Cell::Count(f.unanswered)));
        row
    });
    let mut columns = vec![
        Label::Group,
        Label::Value,
        Label::Count,
        Label::Mean,
        Label::Median,
        Label::LowerQuartile,
        Label::UpperQuartile,
        Label::Longest,
    ];
    columns.extend(unanswered.then_some(Label::Unanswered));
    table(key, title.text(lang), &columns, rows.collect(), lang)
}
