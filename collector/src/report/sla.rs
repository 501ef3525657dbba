//! The SLA report of a month: a pure function of tickets, promises and time. Its rules stand in README.md beside this file.

use super::case::{Case, Class, Known, Wait, inside, waits};
use super::maintained::Maintained;
use super::period::Period;
use crate::callpack::privacy::{self, Scrubber};
use crate::discretion::Reader;
use outband_schemas::Timestamp;
use outband_ticket::calendar::{Flag, Span, tzdb_version};
use outband_ticket::sla::{self, Account, ClockStatus};
use outband_ticket::{Allowance, Calendars, Policies, Priority, State, Target, Transition};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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

/// Of which line a run is: the number is the clock's place among those that are shipped.
type Key = (Group, usize, Target, String, u32, Priority);

/// A report in the making: cases are added one by one, so that they need not all be at hand at once.
#[derive(Debug)]
pub struct Tally<'p> {
    promises: Promises<'p>,
    /// Runs that were met, and that ran out.
    lines: BTreeMap<Key, (u64, u64)>,
    report: SlaReport,
}

impl<'p> Tally<'p> {
    /// Of no case yet.
    pub fn new(promises: Promises<'p>, period: Period, scope: Scope, as_of: Timestamp) -> Self {
        let report = SlaReport {
            period,
            scope,
            as_of,
            tzdb: tzdb_version(),
            tickets: Tickets::default(),
            lines: Vec::new(),
            misses: Vec::new(),
            set_aside: Vec::new(),
            maintenance: Vec::new(),
            open: Vec::new(),
            waiting: Vec::new(),
            flagged: Vec::new(),
            people: BTreeSet::new(),
        };
        Self { promises, lines: BTreeMap::new(), report }
    }

    /// Adds a case. One that has nothing to do with the period changes nothing.
    pub fn add(&mut self, case: &Case<'_>) {
        let (from, to) = (self.report.period.from, self.report.period.to);
        let created = case.ticket.created_at;
        // The usual case of a long life first: over before the period began, by all that is known.
        let is_over = !case.ticket.is_open() && case.ticket.updated_at < from;
        if is_over || created >= to {
            return;
        }
        let Some(known) = Known::at(case, self.report.as_of) else { return };
        self.report.people.extend(privacy::people(case.ticket, case.log));
        let here = known.ended.is_none_or(|ended| ended >= from);
        let accounts = sla::account(self.promises.policies, self.promises.calendars, known.log, self.report.as_of);
        let mut runs = 0;
        let mut aside = None;
        for account in &accounts {
            let Some(decided) = decided(account).filter(|at| self.report.period.holds(*at)) else { continue };
            let group = group(&known, decided);
            self.count(account, group);
            if account.clock.breached_at.is_some() && group < Group::Maintenance {
                self.report.misses.push(miss(case, &known, account, group, self.report.as_of));
            }
            if group >= Group::Maintenance {
                (runs, aside) = (runs + 1, Some(group));
            }
            if !account.flags.is_empty() {
                self.report.flagged.push(flagged(&known, account));
            }
        }
        let place = here.then(|| self.place(&known));
        let listed = aside.or(match place {
            Some(Class::Maintenance) => Some(Group::Maintenance),
            Some(Class::Merged) => Some(Group::Merged),
            Some(Class::Drill) => Some(Group::Drill),
            _ => None,
        });
        if let Some(group) = listed {
            let title = known.ticket.title.clone();
            self.report.set_aside.push(Aside { group, ticket: known.ticket.number.0, title, runs });
        }
        if here && known.class != Class::Drill {
            self.wait(&known);
        }
    }

    /// What was known at this time.
    pub fn as_of(&self) -> Timestamp {
        self.report.as_of
    }

    /// Adds the spans of a window, and who stands in its changes.
    pub fn maintained(&mut self, spans: Vec<Maintained>, people: impl IntoIterator<Item = String>) {
        self.report.maintenance.extend(spans);
        self.report.people.extend(people);
    }

    fn count(&mut self, account: &Account, group: Group) {
        let clock = &account.clock.target;
        let order = Target::SHIPPED.iter().position(|t| t == clock).unwrap_or(Target::SHIPPED.len());
        let (policy, revision) = account.policy.clone();
        let key = (group, order, clock.clone(), policy, revision, account.priority);
        let (met, missed) = self.lines.entry(key).or_default();
        match account.clock.breached_at {
            None => *met += 1,
            Some(_) => *missed += 1,
        }
    }

    /// Puts a ticket that was there in the period into its class.
    fn place(&mut self, known: &Known<'_>) -> Class {
        let period = &self.report.period;
        let ended = known.ended.is_some_and(|ended| ended < period.to);
        let class = if ended || known.class == Class::Drill { known.class } else { Class::Open };
        let tickets = &mut self.report.tickets;
        *tickets.by_class.entry(class).or_default() += 1;
        if known.ticket.created_at >= period.from {
            tickets.opened += 1;
        } else {
            tickets.carried_in += 1;
        }
        if class == Class::Open {
            self.report.open.push(Pending {
                ticket: known.ticket.number.0,
                title: known.ticket.title.clone(),
                priority: known.ticket.priority,
                state: known.state_at(Timestamp::from_millis(period.to.as_millis() - 1)),
                opened: known.ticket.created_at,
            });
        }
        class
    }

    fn wait(&mut self, known: &Known<'_>) {
        let end = self.report.period.to.min(self.report.as_of);
        let in_state = |state: State| -> Duration {
            let all = waits(known.log, (self.report.period.from, end));
            all.iter().filter(|w| w.state == state).map(Wait::length).sum()
        };
        let waited = known.log.iter().any(|e| matches!(e.to, State::WaitingForParts | State::WaitingForCustomer));
        if !waited {
            return;
        }
        let (for_parts, for_customer) = (in_state(State::WaitingForParts), in_state(State::WaitingForCustomer));
        if for_parts.is_zero() && for_customer.is_zero() {
            return;
        }
        let policy = sla::policy(self.promises.policies, known.log, self.report.as_of);
        let stops = policy.clocks.iter().filter(|c| c.pauses.contains(&State::WaitingForParts));
        let parts_stop = stops.map(|c| c.name.clone()).collect();
        let (ticket, title) = (known.ticket.number.0, known.ticket.title.clone());
        self.report.waiting.push(Waiting { ticket, title, for_parts, parts_stop, for_customer });
    }

    /// The report.
    pub fn report(self) -> SlaReport {
        let Self { lines, mut report, .. } = self;
        let line = |((group, _, clock, policy, revision, priority), (met, missed))| Line {
            group,
            clock,
            policy,
            revision,
            priority,
            met,
            missed,
        };
        report.lines = lines.into_iter().map(line).collect();
        // Whatever the order in which the cases came.
        report.misses.sort_by(|a, b| {
            let key = |m: &Miss| (m.group, m.due, m.ticket, m.clock.clone(), m.cycle);
            key(a).cmp(&key(b))
        });
        report.set_aside.sort_by_key(|a| (a.group, a.ticket));
        report.maintenance.sort_by_key(|m| (m.from, m.window));
        report.open.sort_by_key(|p| p.ticket);
        report.waiting.sort_by_key(|w| w.ticket);
        report.flagged.sort_by(|a, b| (a.ticket, &a.clock, a.cycle).cmp(&(b.ticket, &b.clock, b.cycle)));
        report
    }
}

/// When it was known how a run came out: met in time, or out of time. `None` while neither is so.
fn decided(account: &Account) -> Option<Timestamp> {
    match account.clock.status {
        ClockStatus::Met => account.clock.met_at,
        ClockStatus::MetLate | ClockStatus::Breached => account.clock.breached_at,
        ClockStatus::Running | ClockStatus::Paused => None,
    }
}

fn group(known: &Known<'_>, decided: Timestamp) -> Group {
    match known.class {
        Class::Drill => Group::Drill,
        Class::Merged => Group::Merged,
        Class::Maintenance => Group::Maintenance,
        _ if inside(&known.windows, decided) => Group::Maintenance,
        Class::FalseAlarm => Group::FalseAlarm,
        Class::Recovered => Group::Recovered,
        Class::Repaired | Class::Open => Group::Counted,
    }
}

fn miss(case: &Case<'_>, known: &Known<'_>, account: &Account, group: Group, as_of: Timestamp) -> Miss {
    let clock = &account.clock;
    let due = clock.breached_at.unwrap_or(account.start);
    let end = clock.met_at.unwrap_or(as_of);
    let over = match clock.allowance {
        Allowance::Within(time) => clock.elapsed.saturating_sub(time),
        Allowance::BusinessDays(_) => end.since(due),
    };
    let within = |span: Span| span.1.min(end).since(span.0.max(account.start));
    let paused = account.pauses.iter().map(|p| within((p.from, p.to.unwrap_or(end)))).sum();
    Miss {
        group,
        ticket: known.ticket.number.0,
        title: known.ticket.title.clone(),
        server: known.ticket.server.to_string(),
        site: case.site.clone(),
        customer: case.customer.clone(),
        clock: clock.target.clone(),
        cycle: clock.cycle,
        policy: account.policy.0.clone(),
        revision: account.policy.1,
        priority: account.priority,
        allowed: clock.allowance.to_string(),
        start: account.start,
        due,
        met_at: clock.met_at,
        elapsed: clock.elapsed,
        over,
        paused,
        waits: waits(known.log, (account.start, end)),
        timeline: known.log.to_vec(),
    }
}

fn flagged(known: &Known<'_>, account: &Account) -> Flagged {
    Flagged {
        ticket: known.ticket.number.0,
        clock: account.clock.target.clone(),
        cycle: account.clock.cycle,
        calendar: account.calendar.clone(),
        calendar_revision: account.basis.revision,
        flags: account.flags.clone(),
    }
}

#[cfg(test)]
mod tests;
