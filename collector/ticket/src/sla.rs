//! The clocks of a ticket: respond, locate, repair. A clock is a fold over the ticket's log for a given `now`; nothing of it is
//! stored, so a policy that changes changes every answer at once, and pauses are never lost.

mod allowance;

pub use allowance::{Allowance, BadAllowance};

use crate::calendar::{Calendar, Span};
use crate::{Action, Priority, Rebase, State, Transition};
use outband_schemas::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Somebody takes it: met by assigning or starting.
    Respond,
    /// The root cause is known: met by locating, or by resolving.
    Locate,
    /// It is done: met by resolving.
    Repair,
}

impl Target {
    /// Every target, in the order in which they are due.
    pub const ALL: [Target; 3] = [Self::Respond, Self::Locate, Self::Repair];

    /// The word on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Respond => "respond",
            Self::Locate => "locate",
            Self::Repair => "repair",
        }
    }
}

/// The hours in which a clock runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hours {
    /// Around the clock.
    Always,
    /// The calendar's open hours.
    Business,
}

/// What is promised for one priority. A target that is `None` has no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// The hours in which its clocks run.
    pub hours: Hours,
    /// To respond.
    pub respond: Option<Allowance>,
    /// To locate.
    pub locate: Option<Allowance>,
    /// To repair.
    pub repair: Option<Allowance>,
}

/// What is promised, and what stops the clocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlaPolicy {
    /// The promise of each priority. A priority that is missing has no clocks.
    pub promises: BTreeMap<Priority, Promise>,
    /// The states in which clocks pause.
    pub pauses: BTreeSet<State>,
}

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
}

impl Promise {
    /// What is allowed for a target.
    pub fn allowance(&self, target: Target) -> Option<Allowance> {
        match target {
            Target::Respond => self.respond,
            Target::Locate => self.locate,
            Target::Repair => self.repair,
        }
    }
}

const fn minutes(n: u64) -> Option<Allowance> {
    Some(Allowance::Within(Duration::from_secs(n * 60)))
}

impl Default for SlaPolicy {
    /// Respond, locate, repair. P1: 5 min, 15 min, 1 h; P2: 15 min, 1 h, 4 h, both around the clock. P3: 1 h, 4 h, next
    /// business day; P4: next business day, none, 5 business days, both in business hours. Only waiting for the customer
    /// pauses: spares are the provider's promise.
    fn default() -> Self {
        let days = |n| Some(Allowance::BusinessDays(n));
        let (always, business) = (Hours::Always, Hours::Business);
        let promises = [
            (Priority::P1, Promise { hours: always, respond: minutes(5), locate: minutes(15), repair: minutes(60) }),
            (Priority::P2, Promise { hours: always, respond: minutes(15), locate: minutes(60), repair: minutes(240) }),
            (Priority::P3, Promise { hours: business, respond: minutes(60), locate: minutes(240), repair: days(1) }),
            (Priority::P4, Promise { hours: business, respond: days(1), locate: None, repair: days(5) }),
        ];
        Self { promises: promises.into(), pauses: BTreeSet::from([State::WaitingForCustomer]) }
    }
}

/// What the log says that a clock depends on.
struct Course {
    priority: Priority,
    start: Timestamp,
    met: Option<Timestamp>,
    pauses: Vec<Span>,
    paused: bool,
}

const FOREVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// Follows the log for one target. `None` where the log does not begin with an opening.
fn follow(policy: &SlaPolicy, target: Target, log: &[Transition], now: Timestamp) -> Option<Course> {
    let (first, rest) = log.split_first()?;
    let Action::Open { priority, .. } = first.action else { return None };
    let mut course = Course { priority, start: first.at, met: None, pauses: Vec::new(), paused: false };
    // Resolving answers for what was never answered on its own, but only until the ticket is reopened.
    let mut implied = false;
    for entry in rest.iter().take_while(|entry| entry.at <= now) {
        let own = match (&entry.action, target) {
            (Action::Assign { .. } | Action::Start, Target::Respond) | (Action::Locate { .. }, Target::Locate) => true,
            // To know the cause is to have responded.
            (Action::Locate { .. }, Target::Respond) => true,
            _ => false,
        };
        match &entry.action {
            Action::Resolve { .. } if course.met.is_none() => (course.met, implied) = (Some(entry.at), true),
            Action::Reopen if implied => (course.met, implied) = (None, false),
            Action::Prioritise { priority, rebase } => {
                course.priority = *priority;
                if *rebase == Rebase::Change && course.met.is_none() {
                    course.start = entry.at;
                }
            }
            _ if own && course.met.is_none() => course.met = Some(entry.at),
            _ => {}
        }
        let pauses = policy.pauses.contains(&entry.to);
        match (course.paused, pauses) {
            (false, true) => course.pauses.push((entry.at, FOREVER)),
            (true, false) => {
                if let Some(last) = course.pauses.last_mut() {
                    last.1 = entry.at;
                }
            }
            (false, false) | (true, true) => {}
        }
        course.paused = pauses;
    }
    Some(course)
}

/// One clock at `now`; `None` where nothing is promised. A log that is empty, or does not begin with an opening, has no clocks.
pub fn clock(
    policy: &SlaPolicy,
    calendar: &Calendar,
    target: Target,
    log: &[Transition],
    now: Timestamp,
) -> Option<SlaClock> {
    let course = follow(policy, target, log, now)?;
    let promise = policy.promises.get(&course.priority)?;
    let allowance = promise.allowance(target)?;
    let always = Calendar::always();
    let hours = match promise.hours {
        Hours::Always => &always,
        Hours::Business => calendar,
    };
    let due = due(hours, calendar, allowance, &course);
    let late = |at: Timestamp| due.filter(|due| at > *due);
    let breached_at = late(course.met.unwrap_or(now));
    let status = match (course.met, breached_at) {
        (Some(_), None) => ClockStatus::Met,
        (Some(_), Some(_)) => ClockStatus::MetLate,
        (None, Some(_)) => ClockStatus::Breached,
        (None, None) if course.paused => ClockStatus::Paused,
        (None, None) => ClockStatus::Running,
    };
    Some(SlaClock {
        target,
        status,
        allowance,
        hours: promise.hours,
        elapsed: hours.elapsed(course.start, course.met.unwrap_or(now), &course.pauses),
        due: due.filter(|_| status != ClockStatus::Paused),
        met_at: course.met,
        breached_at,
    })
}

/// Every clock at `now`, in the order in which they are due.
pub fn clocks(policy: &SlaPolicy, calendar: &Calendar, log: &[Transition], now: Timestamp) -> Vec<SlaClock> {
    Target::ALL.into_iter().filter_map(|target| clock(policy, calendar, target, log, now)).collect()
}

/// The clocks that have run out by `now` and whose breach the log does not hold yet, with the time at which each did.
pub fn unlogged_breaches(
    policy: &SlaPolicy,
    calendar: &Calendar,
    log: &[Transition],
    now: Timestamp,
) -> Vec<(Target, Timestamp)> {
    let breached = clocks(policy, calendar, log, now).into_iter().filter_map(|c| Some((c.target, c.breached_at?)));
    breached.filter(|(target, due)| !logged(log, *target, *due)).collect()
}

fn logged(log: &[Transition], target: Target, due: Timestamp) -> bool {
    log.iter().any(|entry| entry.action == Action::Breach { target } && entry.at >= due)
}

/// When the first clock that still runs is due.
pub fn next_due(policy: &SlaPolicy, calendar: &Calendar, log: &[Transition], now: Timestamp) -> Option<Timestamp> {
    let running = clocks(policy, calendar, log, now).into_iter().filter(|c| c.status == ClockStatus::Running);
    running.filter_map(|c| c.due).min()
}

fn due(hours: &Calendar, calendar: &Calendar, allowance: Allowance, course: &Course) -> Option<Timestamp> {
    match allowance {
        Allowance::Within(target) => hours.due(course.start, target, &course.pauses),
        Allowance::BusinessDays(days) => {
            let end = calendar.due_days(course.start, i32::try_from(days).ok()?, true)?;
            let open = calendar.elapsed(course.start, end, &[]);
            let paused = open.saturating_sub(calendar.elapsed(course.start, end, &course.pauses));
            if paused.is_zero() { Some(end) } else { calendar.due(end, paused, &course.pauses) }
        }
    }
}

#[cfg(test)]
mod tests;
