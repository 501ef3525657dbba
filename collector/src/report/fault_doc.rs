//! The report of one fault for people.

use super::doc::{Block, Cell, Doc, Table};
use super::fault::{Clock, FaultReport};
use super::labels::{self, Label};
use super::prevent::prevent;
use super::sla_doc::{sheet, table};
use super::whys::WHYS;
use crate::words::{self, Lang};
use jiff::tz::TimeZone;
use outband_health::Fault;

/// The report as a document, its times in a zone.
pub(super) fn doc(report: &FaultReport, lang: Lang, zone: TimeZone) -> Doc {
    let l = |label: Label| label.text(lang);
    let fault = Fault::ALL.into_iter().find(|f| f.as_str() == report.fault);
    let called = fault.map_or(report.fault.as_str(), |f| words::fault(f, report.audience, lang));
    let kind = if report.ended.is_some() { Label::FaultReport } else { Label::Diagnosis };
    let mut blocks = Vec::new();
    let mut say = |block: Block| blocks.push(block);
    if report.drill {
        say(Block::Text(l(Label::DrillNote).to_owned()));
    }
    if report.ended.is_none() {
        say(Block::Text(l(Label::StillOpen).to_owned()));
    }
    say(Block::Table(sheet("about", l(Label::About), &about(report, called, lang, &zone), lang)));
    say(Block::Heading(l(Label::Cause).to_owned()));
    say(Block::Text(report.cause.clone().unwrap_or_else(|| l(Label::NotYetKnown).to_owned())));
    if let Some(rule) = words::rule(&report.rule, report.audience, lang) {
        say(Block::Text(rule.to_owned()));
    }
    if let Some(verdict) = report.verdict {
        say(Block::Text(format!("{}: {}", l(Label::Verdict), labels::verdict(verdict).text(lang))));
    }
    say(Block::Table(evidence(report, lang)));
    say(Block::Table(timeline(report, lang)));
    say(Block::Table(around(report, lang)));
    say(Block::Table(parts(report, lang)));
    say(Block::Table(clocks(&report.clocks, lang)));
    say(Block::Table(spans(&report.clocks, lang)));
    if report.ended.is_none() {
        if let Some(fault) = fault {
            say(Block::Heading(l(Label::Next).to_owned()));
            say(Block::Text(words::advice(fault, report.audience, lang).to_owned()));
        }
    } else {
        say(Block::Table(whys(report, lang)));
    }
    say(Block::Heading(l(Label::Prevention).to_owned()));
    if !report.whys.prevent.is_empty() {
        say(Block::List(report.whys.prevent.clone()));
    }
    match fault {
        Some(fault) => say(Block::Text(format!("{}: {}", l(Label::Recommended), prevent(fault, lang)))),
        None if report.whys.prevent.is_empty() => say(Block::Text(l(Label::ToBeFilled).to_owned())),
        None => {}
    }
    Doc { title: format!("{} {} {}: {called}", l(kind), l(Label::Ticket), report.ticket), lang, zone, blocks }
}

fn about(report: &FaultReport, called: &str, lang: Lang, zone: &TimeZone) -> Vec<(Label, String)> {
    let time = |at| super::period::local(at, zone);
    let mut lines = vec![
        (Label::Ticket, report.ticket.to_string()),
        (Label::Title, report.title.clone()),
        (Label::Fault, called.to_owned()),
        (Label::Priority, format!("{:?}", report.priority)),
        (Label::State, labels::state(report.state).text(lang).to_owned()),
        (Label::Server, report.server.clone()),
        (Label::Serial, report.serial.clone().unwrap_or_default()),
        (Label::Model, report.model.clone().unwrap_or_default()),
        (Label::Component, report.component.clone()),
        (Label::Site, report.site.clone().unwrap_or_default()),
        (Label::Customer, report.customer.clone().unwrap_or_default()),
        (Label::Contract, report.contract.clone().unwrap_or_default()),
        (Label::Package, report.package.clone().unwrap_or_default()),
        (Label::Onset, time(report.onset)),
        (Label::OpenedAt, time(report.opened)),
        (Label::EndedAt, report.ended.map(time).unwrap_or_default()),
        (Label::AsOf, time(report.as_of)),
    ];
    if let Some(kind) = &report.triage {
        lines.push((Label::Triage, crate::words::triage::told(kind, lang)));
    }
    if let Some(kind) = &report.triage_computed {
        lines.push((Label::TriageComputed, crate::words::triage::told(kind, lang)));
    }
    if let Some(resolution) = report.resolution {
        lines.push((Label::Resolution, labels::resolution(resolution).text(lang).to_owned()));
    }
    lines
}

fn evidence(report: &FaultReport, lang: Lang) -> Table {
    let mut rows = vec![vec![Cell::Time(report.onset), Cell::text(report.reason.clone())]];
    rows.extend(report.evidence.iter().map(|fact| {
        vec![
            Cell::Time(fact.at),
            Cell::text(words::evidence(&fact.text, report.audience, lang).unwrap_or_else(|| fact.text.clone())),
        ]
    }));
    table("evidence", Label::Evidence.text(lang), &[Label::At, Label::Fact], rows, lang)
}

fn timeline(report: &FaultReport, lang: Lang) -> Table {
    let row = |e: &super::history::Entry| {
        vec![Cell::Time(e.at), Cell::text(e.words(lang)), Cell::text(e.whom(lang)), Cell::text(e.why.clone())]
    };
    let columns = [Label::At, Label::What, Label::Who, Label::Why];
    table("timeline", Label::Timeline.text(lang), &columns, report.timeline.iter().map(row).collect(), lang)
}

fn around(report: &FaultReport, lang: Lang) -> Table {
    let rows = report.around.iter().map(|e| {
        let what = match lang {
            Lang::En => &e.en,
            Lang::ZhCn => &e.zh,
        };
        vec![Cell::Time(e.at), Cell::text(e.by), Cell::text(e.source), Cell::text(what.clone())]
    });
    let columns = [Label::At, Label::Clock, Label::Source, Label::What];
    table("server", Label::Around.text(lang), &columns, rows.collect(), lang)
}

fn parts(report: &FaultReport, lang: Lang) -> Table {
    let rows = report.parts.iter().map(|p| {
        let words = |text: &Option<String>| Cell::text(text.clone().unwrap_or_default());
        let which = if p.new { Label::New } else { Label::Old };
        vec![
            Cell::text(which.text(lang)),
            words(&p.serial),
            words(&p.model),
            words(&p.firmware),
            Cell::Time(p.first_seen),
            Cell::Time(p.last_seen),
        ]
    });
    let columns = [Label::Part, Label::Serial, Label::Model, Label::Firmware, Label::FirstSeen, Label::LastSeen];
    table("parts", Label::Parts.text(lang), &columns, rows.collect(), lang)
}

fn clocks(clocks: &[Clock], lang: Lang) -> Table {
    let rows = clocks.iter().map(|c| {
        vec![
            Cell::text(labels::clock(&c.clock, lang)),
            Cell::Count(u64::from(c.cycle)),
            Cell::text(labels::status(c.status).text(lang)),
            Cell::text(c.allowed.clone()),
            Cell::Span(c.elapsed),
            Cell::time(c.due),
            Cell::time(c.met_at),
            Cell::text(c.policy.clone()),
            Cell::text(c.calendar.clone()),
        ]
    });
    let columns = [
        Label::Clock,
        Label::Run,
        Label::Status,
        Label::Allowed,
        Label::Elapsed,
        Label::Due,
        Label::MetAt,
        Label::Policy,
        Label::Calendar,
    ];
    table("clocks", Label::Clocks.text(lang), &columns, rows.collect(), lang)
}

fn spans(clocks: &[Clock], lang: Lang) -> Table {
    let rows = clocks.iter().flat_map(|c| {
        c.spans.iter().map(move |s| {
            let what = s.paused_in.map_or(Label::GroupCounted, labels::state);
            vec![
                Cell::text(labels::clock(&c.clock, lang)),
                Cell::Count(u64::from(c.cycle)),
                Cell::text(what.text(lang)),
                Cell::Time(s.from),
                Cell::Time(s.to),
                Cell::Span(s.to.since(s.from)),
            ]
        })
    });
    let columns = [Label::Clock, Label::Run, Label::What, Label::From, Label::Until, Label::Length];
    table("spans", Label::Spans.text(lang), &columns, rows.collect(), lang)
}

/// Five fields, those that nobody filled in yet to be filled in by hand.
fn whys(report: &FaultReport, lang: Lang) -> Table {
    let rows = (0..WHYS).map(|at| {
        let why = report.whys.whys.get(at).map_or(Label::ToBeFilled.text(lang), String::as_str);
        vec![Cell::count(at + 1), Cell::text(why)]
    });
    let columns = [Label::Number, Label::WhyNumber];
    table("five_whys", Label::FiveWhys.text(lang), &columns, rows.collect(), lang)
}
