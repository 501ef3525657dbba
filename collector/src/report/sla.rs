//! The SLA report of a month: a pure function of tickets, promises and time. Its rules stand in README.md beside this file.

mod tally;

use super::case::{Case, Class, Wait};
use super::maintained::Maintained;
use super::period::Period;
use crate::callpack::privacy::Scrubber;
use crate::discretion::Reader;
use outband_schemas::Timestamp;
use outband_ticket::calendar::Flag;
use outband_ticket::{Calendars, Policies, Priority, State, Target, Transition};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
pub use tally::Tally;

/// What a report is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// Of this customer; `None`: of all.
    pub customer: Option<String>,
    /// Of this site; `None`: of all.
    pub site: Option<String>,
}

/// A month of promises.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlaReport {
    /// Which month or year.
    pub period: Period,
    /// Whose.
    pub scope: Scope,
    /// What was known at this time.
    #[serde(serialize_with = "super::json::time")]
    pub as_of: Timestamp,
    /// The version of the IANA time zone database.
    pub tzdb: &'static str,
    /// Tickets by what became of them.
    pub tickets: Tickets,
    /// How promises were kept, by clock, policy and priority.
    pub lines: Vec<Line>,
    /// Every promise that was not kept, by the time at which it ran out.
    pub misses: Vec<Miss>,
    /// What is in no share above, and why.
    pub set_aside: Vec<Aside>,
    /// The maintenance windows that touched the period and what the report is about, by their beginning.
    pub maintenance: Vec<Maintained>,
    /// Tickets that were open at the end, by number.
    pub open: Vec<Pending>,
    /// How long tickets waited for others, by number.
    pub waiting: Vec<Waiting>,
    /// What was counted beyond the days for which a calendar is known.
    pub flagged: Vec<Flagged>,
    /// Who stands in the logs of its tickets: whose names no customer reads.
    #[serde(skip)]
    pub people: BTreeSet<String>,
}

impl SlaReport {
    /// The report without names of people and without what was meant for colleagues.
    #[must_use]
    pub fn for_customer(mut self, reader: &Reader) -> Self {
        let told = reader.scrubbed(Scrubber::new(std::mem::take(&mut self.people), []));
        for miss in &mut self.misses {
            miss.timeline = miss.timeline.iter().filter_map(|entry| told.entry(entry)).collect();
            for wait in &mut miss.waits {
                wait.assignee = wait.assignee.as_deref().map(|name| told.who(name));
            }
        }
        let titles =
            self.misses.iter_mut().map(|m| &mut m.title).chain(self.set_aside.iter_mut().map(|a| &mut a.title));
        let titles = titles.chain(self.open.iter_mut().map(|p| &mut p.title));
        for title in titles.chain(self.waiting.iter_mut().map(|w| &mut w.title)) {
            *title = told.text(title);
        }
        self.maintenance.iter_mut().for_each(|window| window.for_customer(&told));
        self
    }
}

/// How many tickets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tickets {
    /// Opened in the period.
    pub opened: u64,
    /// Opened before it and not ended before it.
    pub carried_in: u64,
    /// What became of them, each in exactly one class: `opened` plus `carried_in` is their sum. Those that had not ended at its end are open (a drill
    /// is a drill), whatever became of them later.
    pub by_class: BTreeMap<Class, u64>,
}

/// Why a run of a clock is in the shares, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// What promises are measured by.
    Counted,
    /// Its ticket ended by itself: measured apart.
    Recovered,
    /// Its ticket was a false alarm: measured apart.
    FalseAlarm,
    /// Decided inside a maintenance window, or its ticket ended in one.
    Maintenance,
    /// Its ticket was merged: the other one's clocks count.
    Merged,
    /// An exercise.
    Drill,
}

/// How the promises of one clock were kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Counted, or measured apart.
    pub group: Group,
    /// The clock.
    pub clock: Target,
    /// The policy.
    pub policy: String,
    /// Its revision.
    pub revision: u32,
    /// The priority.
    pub priority: Priority,
    /// Runs that were met in time.
    pub met: u64,
    /// Runs that ran out.
    pub missed: u64,
}

impl Line {
    /// Runs that were decided.
    pub fn decided(&self) -> u64 {
        self.met + self.missed
    }
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Miss {
    /// Counted, or measured apart.
    pub group: Group,
    /// The ticket.
    pub ticket: u64,
    /// Its line.
    pub title: String,
    /// The server.
    pub server: String,
    /// The site.
    pub site: Option<String>,
    /// The customer.
    pub customer: Option<String>,
    /// The clock.
    pub clock: Target,
    /// Which run of it.
    pub cycle: u32,
    /// The policy.
    pub policy: String,
    /// Its revision.
    pub revision: u32,
    /// The priority.
    pub priority: Priority,
    /// The time allowed, in words.
    pub allowed: String,
    /// From when it counted.
    #[serde(serialize_with = "super::json::time")]
    pub start: Timestamp,
    /// When it ran out.
    #[serde(serialize_with = "super::json::time")]
    pub due: Timestamp,
    /// When it was met after all.
    #[serde(serialize_with = "super::json::maybe_time")]
    pub met_at: Option<Timestamp>,
    /// Time counted until then, or until the time of the report.
    #[serde(serialize_with = "super::json::span")]
    pub elapsed: Duration,
    /// Of that, what was too long; of a promise in days, from its due time on.
    #[serde(serialize_with = "super::json::span")]
    pub over: Duration,
    /// Time in which the clock stood still.
    #[serde(serialize_with = "super::json::span")]
    pub paused: Duration,
    /// Whom and what it waited for, from its start until it was met.
    pub waits: Vec<Wait>,
    /// What happened, from the log.
    #[serde(serialize_with = "super::history::entries")]
    pub timeline: Vec<Transition>,
}

/// A run of a clock that is in no share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aside {
    /// Why.
    pub group: Group,
    /// The ticket.
    pub ticket: u64,
    /// Its line.
    pub title: String,
    /// The runs that were decided in the period; of a ticket that only ended in it, none.
    pub runs: u64,
}

/// A ticket that was open at the end of the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// The ticket.
    pub ticket: u64,
    /// Its line.
    pub title: String,
    /// Its priority.
    pub priority: Priority,
    /// Its state then.
    pub state: State,
    /// When it was opened.
    #[serde(serialize_with = "super::json::time")]
    pub opened: Timestamp,
}

/// How long a ticket waited for others in the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// The ticket.
    pub ticket: u64,
    /// Its line.
    pub title: String,
    /// For parts.
    #[serde(serialize_with = "super::json::span")]
    pub for_parts: Duration,
    /// Clocks that stand still while it waits for parts; by default none: spares are the provider's promise.
    pub parts_stop: BTreeSet<Target>,
    /// For the customer.
    #[serde(serialize_with = "super::json::span")]
    pub for_customer: Duration,
}

/// A run that counts days for which a calendar's holidays are not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flagged {
    /// The ticket.
    pub ticket: u64,
    /// The clock.
    pub clock: Target,
    /// Which run of it.
    pub cycle: u32,
    /// The calendar.
    pub calendar: String,
    /// Its revision.
    pub calendar_revision: u32,
    /// What is wrong.
    pub flags: BTreeSet<Flag>,
}

/// What is promised, and by which hours.
#[derive(Debug, Clone, Copy)]
pub struct Promises<'a> {
    /// Every revision of every policy.
    pub policies: &'a Policies,
    /// The calendars.
    pub calendars: &'a Calendars,
}

/// The report of these cases, in any order.
pub fn sla<'a>(
    cases: impl IntoIterator<Item = Case<'a>>,
    promises: Promises<'_>,
    period: Period,
    scope: Scope,
    as_of: Timestamp,
) -> SlaReport {
    let mut tally = Tally::new(promises, period, scope, as_of);
    for case in cases {
        tally.add(&case);
    }
    tally.report()
}

#[cfg(test)]
mod tests;
