//! The SLA report for people.

use super::case::Class;
use super::doc::{Block, Cell, Doc, Table};
use super::history::Entry;
use super::labels::{self, Label};
use super::period;
use super::sla::{Group, Line, Miss, SlaReport};
use crate::words::Lang;
use jiff::tz::TimeZone;
use outband_store::maintenance::Selector;
use outband_ticket::Target;
use std::collections::BTreeMap;

/// The report as a document.
pub(super) fn doc(report: &SlaReport, lang: Lang) -> Doc {
    let l = |label: Label| label.text(lang);
    let whose = |wanted: &Option<String>| wanted.clone().unwrap_or_else(|| l(Label::All).to_owned());
    let zone = TimeZone::get(&report.period.zone).unwrap_or(TimeZone::UTC);
    let about = [
        (Label::Customer, whose(&report.scope.customer)),
        (Label::Site, whose(&report.scope.site)),
        (Label::Period, report.period.label.clone()),
        (Label::Zone, report.period.zone.clone()),
        (Label::From, period::local(report.period.from, &zone)),
        (Label::Until, period::local(report.period.to, &zone)),
        (Label::AsOf, period::local(report.as_of, &zone)),
        (Label::Tzdb, report.tzdb.to_owned()),
    ];
    let rules = [Label::RuleDecided, Label::RuleTickets, Label::RuleApart, Label::RulePauses, Label::RuleNone];
    let (counted, apart): (Vec<&Line>, Vec<&Line>) =
        report.lines.iter().filter(|line| line.group < Group::Maintenance).partition(|l| l.group == Group::Counted);
    let blocks = vec![
        Block::Table(sheet("about", l(Label::About), &about, lang)),
        Block::Table(summary(report, lang)),
        Block::Table(by_clock(&counted, lang)),
        Block::Table(attainment("attainment", Label::Attainment, &counted, lang)),
        Block::Table(attainment("apart", Label::AttainmentApart, &apart, lang)),
        Block::Table(misses(&report.misses, lang)),
        Block::Table(waits(&report.misses, lang)),
        Block::Table(timeline(&report.misses, lang)),
        Block::Table(set_aside(report, lang)),
        Block::Table(maintenance(report, lang)),
        Block::Table(open(report, lang)),
        Block::Table(waiting(report, lang)),
        Block::Table(flagged(report, lang)),
        Block::Heading(l(Label::Rules).to_owned()),
        Block::List(rules.map(|rule| l(rule).to_owned()).to_vec()),
    ];
    Doc { title: format!("{} {}", l(Label::SlaReport), report.period.label), lang, zone, blocks }
}

/// Names and values.
pub(super) fn sheet(key: &'static str, title: &str, lines: &[(Label, String)], lang: Lang) -> Table {
    let rows = lines.iter().map(|(name, value)| vec![Cell::text(name.text(lang)), Cell::text(value.clone())]).collect();
    table(key, title, &[Label::Field, Label::Value], rows, lang)
}

pub(super) fn table(key: &'static str, title: &str, columns: &[Label], rows: Vec<Vec<Cell>>, lang: Lang) -> Table {
    let columns = columns.iter().map(|c| c.text(lang).to_owned()).collect();
    Table { key, title: title.to_owned(), columns, rows, empty: Label::Nothing.text(lang).to_owned() }
}

fn summary(report: &SlaReport, lang: Lang) -> Table {
    let tickets = &report.tickets;
    let of = |class: Class| tickets.by_class.get(&class).copied().unwrap_or(0);
    let row = |label: Label, n: u64| vec![Cell::text(label.text(lang)), Cell::Count(n)];
    let mut rows: Vec<_> = Class::ALL.into_iter().map(|class| row(class.label(), of(class))).collect();
    rows.push(row(Label::SumOfClasses, tickets.by_class.values().sum()));
    rows.push(row(Label::Opened, tickets.opened));
    rows.push(row(Label::CarriedIn, tickets.carried_in));
    table("tickets", Label::Summary.text(lang), &[Label::Outcome, Label::Tickets], rows, lang)
}

fn by_clock(lines: &[&Line], lang: Lang) -> Table {
    // In the order in which clocks are usually due, as the lines are.
    let mut order: Vec<&Target> = Vec::new();
    let mut sums: BTreeMap<&Target, (u64, u64)> = BTreeMap::new();
    for line in lines {
        if !order.contains(&&line.clock) {
            order.push(&line.clock);
        }
        let (met, decided) = sums.entry(&line.clock).or_default();
        *met += line.met;
        *decided += line.decided();
    }
    let row = |name: String, (met, decided): (u64, u64)| {
        vec![
            Cell::text(name),
            Cell::Count(met),
            Cell::Count(decided - met),
            Cell::Count(decided),
            Cell::Share(met, decided),
        ]
    };
    let one =
        |clock: &&Target| row(labels::clock(clock, lang).into_owned(), sums.get(*clock).copied().unwrap_or_default());
    let mut rows: Vec<_> = order.iter().map(one).collect();
    let all = sums.values().fold((0, 0), |(met, decided), (m, d)| (met + m, decided + d));
    rows.push(row(Label::All.text(lang).to_owned(), all));
    let columns = [Label::Clock, Label::Met, Label::Missed, Label::Decided, Label::Share];
    table("by_clock", Label::ByClock.text(lang), &columns, rows, lang)
}

fn attainment(key: &'static str, title: Label, lines: &[&Line], lang: Lang) -> Table {
    let row = |line: &&Line| {
        vec![
            Cell::text(line.group.label().text(lang)),
            Cell::text(labels::clock(&line.clock, lang)),
            Cell::text(line.policy.clone()),
            Cell::Count(u64::from(line.revision)),
            Cell::text(format!("{:?}", line.priority)),
            Cell::Count(line.met),
            Cell::Count(line.missed),
            Cell::Share(line.met, line.decided()),
        ]
    };
    let columns = [
        Label::Group,
        Label::Clock,
        Label::Policy,
        Label::Revision,
        Label::Priority,
        Label::Met,
        Label::Missed,
        Label::Share,
    ];
    table(key, title.text(lang), &columns, lines.iter().map(row).collect(), lang)
}

fn misses(misses: &[Miss], lang: Lang) -> Table {
    let row = |miss: &Miss| {
        vec![
            Cell::Count(miss.ticket),
            Cell::text(miss.group.label().text(lang)),
            Cell::text(miss.title.clone()),
            Cell::text(miss.server.clone()),
            Cell::text(miss.site.clone().unwrap_or_default()),
            Cell::text(miss.customer.clone().unwrap_or_default()),
            Cell::text(format!("{:?}", miss.priority)),
            Cell::text(labels::clock(&miss.clock, lang)),
            Cell::Count(u64::from(miss.cycle)),
            Cell::text(format!("{} {}", miss.policy, miss.revision)),
            Cell::text(miss.allowed.clone()),
            Cell::Time(miss.start),
            Cell::Time(miss.due),
            Cell::time(miss.met_at),
            Cell::Span(miss.elapsed),
            Cell::Span(miss.over),
            Cell::Span(miss.paused),
        ]
    };
    let columns = [
        Label::Ticket,
        Label::Group,
        Label::Title,
        Label::Server,
        Label::Site,
        Label::Customer,
        Label::Priority,
        Label::Clock,
        Label::Run,
        Label::Policy,
        Label::Allowed,
        Label::Start,
        Label::Due,
        Label::MetAt,
        Label::Elapsed,
        Label::Over,
        Label::Paused,
    ];
    let mut all = table("misses", Label::Misses.text(lang), &columns, misses.iter().map(row).collect(), lang);
    all.empty = Label::NoMisses.text(lang).to_owned();
    all
}

fn waits(misses: &[Miss], lang: Lang) -> Table {
    let rows = misses.iter().flat_map(|miss| {
        miss.waits.iter().map(move |wait| {
            vec![
                Cell::Count(miss.ticket),
                Cell::text(labels::clock(&miss.clock, lang)),
                Cell::Count(u64::from(miss.cycle)),
                Cell::text(labels::state(wait.state).text(lang)),
                Cell::text(labels::who(wait.assignee.as_deref().unwrap_or_default(), lang)),
                Cell::Time(wait.from),
                Cell::Time(wait.to),
                Cell::Span(wait.length()),
            ]
        })
    });
    let columns = [
        Label::Ticket,
        Label::Clock,
        Label::Run,
        Label::WaitedFor,
        Label::Assignee,
        Label::From,
        Label::Until,
        Label::Length,
    ];
    table("miss_waits", Label::MissWaits.text(lang), &columns, rows.collect(), lang)
}

fn timeline(misses: &[Miss], lang: Lang) -> Table {
    let mut tickets: BTreeMap<u64, &Miss> = BTreeMap::new();
    for miss in misses {
        tickets.entry(miss.ticket).or_insert(miss);
    }
    let rows = tickets.values().flat_map(|miss| {
        miss.timeline.iter().map(Entry::from).map(|entry| {
            vec![
                Cell::Count(miss.ticket),
                Cell::Time(entry.at),
                Cell::text(entry.words(lang)),
                Cell::text(entry.whom(lang)),
                Cell::text(entry.why.clone()),
            ]
        })
    });
    let columns = [Label::Ticket, Label::At, Label::What, Label::Who, Label::Why];
    table("miss_timeline", Label::MissTimeline.text(lang), &columns, rows.collect(), lang)
}

fn set_aside(report: &SlaReport, lang: Lang) -> Table {
    let rows = report.set_aside.iter().map(|a| {
        vec![
            Cell::Count(a.ticket),
            Cell::text(a.group.label().text(lang)),
            Cell::text(a.title.clone()),
            Cell::Count(a.runs),
        ]
    });
    let columns = [Label::Ticket, Label::Group, Label::Title, Label::Runs];
    table("set_aside", Label::SetAside.text(lang), &columns, rows.collect(), lang)
}

fn maintenance(report: &SlaReport, lang: Lang) -> Table {
    let rows = report.maintenance.iter().map(|m| {
        vec![
            Cell::Count(m.window),
            Cell::text(m.name.clone()),
            Cell::text(covers(&m.covers, lang)),
            Cell::Time(m.from),
            Cell::Time(m.to),
            Cell::Span(m.to.since(m.from)),
            Cell::text(m.reason.clone()),
        ]
    });
    let columns = [Label::Window, Label::Title, Label::Covers, Label::From, Label::Until, Label::Length, Label::Why];
    table("maintenance", Label::MaintenanceWindows.text(lang), &columns, rows.collect(), lang)
}

/// What a window covers, in words.
fn covers(selector: &Selector, lang: Lang) -> String {
    let Selector { site, rack, server, component, fault, customer, rule, model } = selector;
    let all = [
        (Label::Site, site),
        (Label::Rack, rack),
        (Label::Customer, customer),
        (Label::Model, model),
        (Label::Server, server),
        (Label::Component, component),
        (Label::Fault, fault),
        (Label::Rule, rule),
    ];
    let given = all.into_iter().filter_map(|(name, value)| Some((name.text(lang), value.as_ref()?)));
    given.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("; ")
}

fn open(report: &SlaReport, lang: Lang) -> Table {
    let rows = report.open.iter().map(|p| {
        vec![
            Cell::Count(p.ticket),
            Cell::text(p.title.clone()),
            Cell::text(format!("{:?}", p.priority)),
            Cell::text(labels::state(p.state).text(lang)),
            Cell::Time(p.opened),
        ]
    });
    let columns = [Label::Ticket, Label::Title, Label::Priority, Label::State, Label::OpenedAt];
    table("open", Label::OpenAtEnd.text(lang), &columns, rows.collect(), lang)
}

fn waiting(report: &SlaReport, lang: Lang) -> Table {
    let rows = report.waiting.iter().map(|w| {
        let stops: Vec<_> = w.parts_stop.iter().map(|clock| labels::clock(clock, lang)).collect();
        vec![
            Cell::Count(w.ticket),
            Cell::text(w.title.clone()),
            Cell::Span(w.for_parts),
            Cell::text(stops.join(", ")),
            Cell::Span(w.for_customer),
        ]
    });
    let columns = [Label::Ticket, Label::Title, Label::ForParts, Label::PartsStop, Label::ForCustomer];
    table("waiting", Label::WaitingTitle.text(lang), &columns, rows.collect(), lang)
}

fn flagged(report: &SlaReport, lang: Lang) -> Table {
    let rows = report.flagged.iter().map(|f| {
        let flags: Vec<_> = f.flags.iter().map(|flag| labels::flag(*flag).text(lang)).collect();
        vec![
            Cell::Count(f.ticket),
            Cell::text(labels::clock(&f.clock, lang)),
            Cell::Count(u64::from(f.cycle)),
            Cell::text(f.calendar.clone()),
            Cell::Count(u64::from(f.calendar_revision)),
            Cell::text(flags.join("; ")),
        ]
    });
    let columns = [Label::Ticket, Label::Clock, Label::Run, Label::Calendar, Label::Revision, Label::Flags];
    table("flagged", Label::Flagged.text(lang), &columns, rows.collect(), lang)
}
