//! The sums of a report, case by case.

use super::{Aside, Flagged, Group, Line, Miss, Pending, Promises, Scope, SlaReport, Tickets, Waiting};
use crate::callpack::privacy::{self};
use crate::report::case::{Case, Class, Known, Wait, inside, waits};
use crate::report::maintained::Maintained;
use crate::report::period::Period;
use outband_schemas::Timestamp;
use outband_ticket::calendar::{Span, tzdb_version};
use outband_ticket::sla::{self, Account, ClockStatus};
use outband_ticket::{Allowance, Priority, State, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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
