//! The clocks of a ticket. A clock is a fold over the ticket's log for a given `now`: nothing of it is stored, so no change of
//! priority, contract or policy can lose a pause.
//!
//! Read in this order: [`clock`](ClockSpec) (a clock as data), `course` (the fold), this file (what it comes to), [`account`] (the sum,
//! so that an auditor can redo it).

mod account;
mod allowance;
mod clock;
mod course;

pub use account::{Account, Counted, Why, account};
pub use allowance::{Allowance, BadAllowance};
pub use clock::{BadTarget, ClockSpec, Event, Hours, Target, Term};
pub use course::Pause;

use crate::calendar::Flag;
use crate::policy::{Calendars, Policies, SlaPolicy};
use crate::{Action, Transition};
use course::{Course, Cycle};
use outband_schemas::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// Where a clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockStatus {
    /// Counting.
    Running,
    /// Stopped by the ticket's state.
    Paused,
    /// Met in time.
    Met,
    /// It ran out and is not met.
    Breached,
    /// Met, but after it was due.
    MetLate,
}

/// One clock, computed for a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlaClock {
    /// What is promised.
    pub target: Target,
    /// Which run of a clock that repeats, from 1.
    pub cycle: u32,
    /// Where it stands.
    pub status: ClockStatus,
    /// The time allowed.
    pub allowance: Allowance,
    /// The hours in which it runs.
    pub hours: Hours,
    /// Open time used, without pauses.
    pub elapsed: Duration,
    /// When it will be, or was, breached if nothing pauses it; `None` while paused.
    pub due: Option<Timestamp>,
    /// When it was met.
    pub met_at: Option<Timestamp>,
    /// When it ran out, met later or not.
    pub breached_at: Option<Timestamp>,
    /// What a reader must know of the calendar that it counts by.
    #[serde(default)]
    pub flags: BTreeSet<Flag>,
}

/// A clock that ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lapse {
    /// Which.
    pub target: Target,
    /// Which run of it.
    pub cycle: u32,
    /// When it ran out.
    pub due: Timestamp,
}

/// A step of an escalation that falls due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepDue {
    /// Of which clock.
    pub target: Target,
    /// Of which run of it.
    pub cycle: u32,
    /// The level.
    pub level: u32,
    /// When.
    pub at: Timestamp,
}

/// The policy that is in force for a ticket at `now`.
pub fn policy<'a>(policies: &'a Policies, log: &[Transition], now: Timestamp) -> &'a SlaPolicy {
    course::policy(policies, log, now)
}

/// One clock at `now`, in its newest run; `None` where nothing is promised, or it has not begun. A log that is empty, or does not begin with an opening,
/// has no clocks.
pub fn clock(
    policies: &Policies,
    calendars: &Calendars,
    target: &Target,
    log: &[Transition],
    now: Timestamp,
) -> Option<SlaClock> {
    let course = course::follow(policies, target, log, now)?;
    stand(&course, course.cycles.last()?, calendars, now)
}

/// Every clock at `now`, in the order of the policy.
pub fn clocks(policies: &Policies, calendars: &Calendars, log: &[Transition], now: Timestamp) -> Vec<SlaClock> {
    let specs = policy(policies, log, now).clocks.iter();
    specs.filter_map(|spec| clock(policies, calendars, &spec.name, log, now)).collect()
}

/// Every run of every clock at `now`, in the order of the policy, each clock's oldest first.
pub fn runs(policies: &Policies, calendars: &Calendars, log: &[Transition], now: Timestamp) -> Vec<SlaClock> {
    let mut all = Vec::new();
    for spec in &policy(policies, log, now).clocks {
        if let Some(course) = course::follow(policies, &spec.name, log, now) {
            all.extend(course.cycles.iter().filter_map(|cycle| stand(&course, cycle, calendars, now)));
        }
    }
    all
}

fn stand(course: &Course<'_>, cycle: &Cycle<'_>, calendars: &Calendars, now: Timestamp) -> Option<SlaClock> {
    let term = course.term(cycle)?;
    let due = course.due(calendars, cycle, term);
    let late = |at: Timestamp| due.filter(|due| at > *due);
    let breached_at = late(cycle.met.unwrap_or(now));
    let status = match (cycle.met, breached_at) {
        (Some(_), None) => ClockStatus::Met,
        (Some(_), Some(_)) => ClockStatus::MetLate,
        (None, Some(_)) => ClockStatus::Breached,
        (None, None) if course.paused() => ClockStatus::Paused,
        (None, None) => ClockStatus::Running,
    };
    let hours = course.hours(calendars, term.hours);
    let end = cycle.met.unwrap_or(now);
    let shown = due.filter(|_| status != ClockStatus::Paused);
    Some(SlaClock {
        flags: hours.flags(cycle.start, Some(shown.map_or(end, |due| due.max(end)))),
        target: course.spec.name.clone(),
        cycle: cycle.number,
        status,
        allowance: term.allowance,
        hours: term.hours,
        elapsed: hours.elapsed(cycle.start, end, &course.spans()),
        due: shown,
        met_at: cycle.met,
        breached_at,
    })
}

/// The clocks that have run out by `now` and whose breach the log does not hold yet.
pub fn unlogged_breaches(policies: &Policies, calendars: &Calendars, log: &[Transition], now: Timestamp) -> Vec<Lapse> {
    let all = runs(policies, calendars, log, now).into_iter();
    let lapses = all.filter_map(|c| Some(Lapse { target: c.target, cycle: c.cycle, due: c.breached_at? }));
    lapses.filter(|lapse| !is_logged(log, lapse)).collect()
}

/// A run that is rebased after its breach may run out again, later.
fn is_logged(log: &[Transition], lapse: &Lapse) -> bool {
    log.iter().any(|entry| {
        matches!(&entry.action, Action::Breach { target, cycle } if *target == lapse.target && *cycle == lapse.cycle)
            && entry.at >= lapse.due
    })
}

/// The steps of escalations that the log does not hold yet, past and to come. A clock that is met has none any more, one that is paused
/// none yet; who acknowledges stops all that come after.
pub fn steps(policies: &Policies, calendars: &Calendars, log: &[Transition], now: Timestamp) -> Vec<StepDue> {
    let mut all = Vec::new();
    for spec in policy(policies, log, now).clocks.iter().filter(|spec| !spec.steps.is_empty()) {
        let Some(course) = course::follow(policies, &spec.name, log, now) else { continue };
        let Some(cycle) = course.cycles.last().filter(|c| c.met.is_none() && !course.paused()) else { continue };
        let (Some(term), false) = (course.term(cycle), is_acknowledged(log, cycle.start, now)) else { continue };
        let (hours, pauses) = (course.hours(calendars, term.hours), course.spans());
        let allowed = match term.allowance {
            Allowance::Within(time) => Some(time),
            Allowance::BusinessDays(_) => {
                course.due(calendars, cycle, term).map(|due| hours.elapsed(cycle.start, due, &pauses))
            }
        };
        let Some(allowed) = allowed else { continue };
        for step in &spec.steps {
            let Some(at) = step.when.moment(hours, cycle.start, allowed, &pauses) else { continue };
            let due = StepDue { target: spec.name.clone(), cycle: cycle.number, level: step.level, at };
            if !is_taken(log, &due, cycle.start) {
                all.push(due);
            }
        }
    }
    all.sort_by_key(|step| (step.at, step.level));
    all
}

fn is_acknowledged(log: &[Transition], since: Timestamp, now: Timestamp) -> bool {
    log.iter().any(|e| matches!(e.action, Action::Acknowledge { .. }) && e.at >= since && e.at <= now)
}

/// A step is taken once a run, unless a change had the run begin anew.
fn is_taken(log: &[Transition], due: &StepDue, since: Timestamp) -> bool {
    log.iter().any(|entry| {
        entry.at >= since
            && matches!(&entry.action, Action::Step { target, cycle, level }
                if (target, *cycle, *level) == (&due.target, due.cycle, due.level))
    })
}

/// When the next clock runs out or the next step of an escalation falls due, as far as the log tells: now or earlier where that is not logged
/// yet; `None` where no clock runs.
pub fn next_due(policies: &Policies, calendars: &Calendars, log: &[Transition], now: Timestamp) -> Option<Timestamp> {
    let all = runs(policies, calendars, log, now).into_iter();
    let pending = all.filter_map(|c| match c.breached_at {
        Some(due) => {
            Some(Lapse { target: c.target, cycle: c.cycle, due }).filter(|l| !is_logged(log, l)).map(|l| l.due)
        }
        None if c.status == ClockStatus::Running => c.due,
        None => None,
    });
    pending.chain(steps(policies, calendars, log, now).into_iter().map(|step| step.at)).min()
}

#[cfg(test)]
mod tests;
