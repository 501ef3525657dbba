//! What a log says of one clock: its cycles and its pauses. The fold from which everything else is computed.

use super::{ClockSpec, Event, Hours, Target, Term};
use crate::calendar::Span;
use crate::policy::{Calendars, Policies, SlaPolicy};
use crate::{Action, Allowance, Priority, Rebase, State, Transition};
use outband_schemas::Timestamp;

/// A time in which a clock did not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// From when.
    pub from: Timestamp,
    /// Until when; `None` while it lasts.
    pub to: Option<Timestamp>,
    /// The ticket's state that made it.
    pub state: State,
}

const FOREVER: Timestamp = Timestamp::from_millis(i64::MAX);

impl Pause {
    pub(super) fn span(&self) -> Span {
        (self.from, self.to.unwrap_or(FOREVER))
    }
}

/// One run of a clock, from its start until it is met.
#[derive(Debug, Clone)]
pub(super) struct Cycle<'a> {
    /// From 1.
    pub(super) number: u32,
    /// When it began, before anything was rebased.
    pub(super) origin: Timestamp,
    /// From when it counts.
    pub(super) start: Timestamp,
    pub(super) met: Option<Timestamp>,
    /// Met only because the ticket was resolved.
    implied: bool,
    pub(super) policy: &'a SlaPolicy,
    pub(super) priority: Priority,
}

impl<'a> Cycle<'a> {
    fn new(number: u32, start: Timestamp, policy: &'a SlaPolicy, priority: Priority) -> Self {
        Self { number, origin: start, start, met: None, implied: false, policy, priority }
    }

    fn rebase(&mut self, rebase: Rebase, at: Timestamp, policy: &'a SlaPolicy, priority: Priority) {
        // What was met in time stays so when things get worse later.
        if rebase == Rebase::Change && self.met.is_some() {
            return;
        }
        (self.policy, self.priority) = (policy, priority);
        self.start = match rebase {
            Rebase::Creation => self.origin,
            Rebase::Change => at,
        };
    }
}

/// The course of one clock.
#[derive(Debug)]
pub(super) struct Course<'a> {
    pub(super) spec: &'a ClockSpec,
    /// Oldest first; never empty. Of a clock that does not repeat there is one.
    pub(super) cycles: Vec<Cycle<'a>>,
    pub(super) pauses: Vec<Pause>,
}

/// The policy that is in force at the end of a log.
pub(super) fn policy<'a>(policies: &'a Policies, log: &[Transition], now: Timestamp) -> &'a SlaPolicy {
    let told = log.iter().take_while(|e| e.at <= now).filter_map(|entry| named(policies, entry)).last();
    told.map_or_else(|| opened_under(policies, log), |(policy, _)| policy)
}

/// The policy of a ticket that names none.
fn opened_under<'a>(policies: &'a Policies, log: &[Transition]) -> &'a SlaPolicy {
    log.first().map_or(policies.usual(), |opened| policies.usual_at(opened.at))
}

fn named<'a>(policies: &'a Policies, entry: &Transition) -> Option<(&'a SlaPolicy, Rebase)> {
    let Action::Policy { policy, revision, rebase } = &entry.action else { return None };
    Some((policies.revision(policy, *revision)?, *rebase))
}

/// What the log tells by `now`, in the order in which it happened: a milestone that was told afterwards stands where it was reached.
fn happened(log: &[Transition], now: Timestamp) -> Vec<(Timestamp, &Transition)> {
    let opened = log.first().map_or(now, |first| first.at);
    let told = log.iter().take_while(|entry| entry.at <= now);
    let mut all: Vec<_> = told.map(|entry| (entry.happened_at().max(opened), entry)).collect();
    if !all.is_sorted_by_key(|(at, _)| *at) {
        // Stable, so that nothing but milestones moves.
        all.sort_by_key(|(at, _)| *at);
    }
    all
}

/// Follows the log for one clock of the policy that is in force at its end. `None` where it never began, or the log does not begin with an opening.
pub(super) fn follow<'a>(
    policies: &'a Policies,
    target: &Target,
    log: &[Transition],
    now: Timestamp,
) -> Option<Course<'a>> {
    let spec = policy(policies, log, now).clock(target)?;
    let Action::Open { mut priority, .. } = log.first()?.action else { return None };
    let mut policy = opened_under(policies, log);
    let mut course = Course { spec, cycles: Vec::new(), pauses: Vec::new() };
    let mut was_open = true;
    for (at, entry) in happened(log, now) {
        if let Some((other, rebase)) = named(policies, entry) {
            policy = other;
            course.rebase(rebase, at, policy, priority);
        }
        if let Action::Prioritise { priority: other, rebase } = entry.action {
            priority = other;
            course.rebase(rebase, at, policy, priority);
        }
        // A clock that the policy of that time did not have is followed as the present one has it.
        let then = policy.clock(target).unwrap_or(spec);
        let event = Event::of(entry);
        // A milestone moves nothing; told afterwards, it knows nothing of the state of then.
        let milestone = matches!(entry.action, Action::Milestone { .. });
        let is_open = if milestone { was_open } else { entry.to.is_open() };
        match course.cycles.last_mut() {
            None if event.is_some_and(|e| then.start.contains(&e)) => {
                course.cycles.push(Cycle::new(1, at, policy, priority));
            }
            Some(cycle) if cycle.met.is_none() && event.is_some_and(|e| then.stop.contains(&e)) => {
                // Resolving meets it either way; reopening takes that back.
                (cycle.met, cycle.implied) = (Some(at), event == Some(Event::Resolved));
                if then.repeat && is_open {
                    let next = cycle.number.saturating_add(1);
                    course.cycles.push(Cycle::new(next, at, policy, priority));
                }
            }
            Some(cycle) if cycle.met.is_none() && !is_open => {
                (cycle.met, cycle.implied) = (Some(at), true);
            }
            Some(cycle) if cycle.implied && !was_open && is_open => {
                if then.repeat {
                    let next = cycle.number.saturating_add(1);
                    course.cycles.push(Cycle::new(next, at, policy, priority));
                } else {
                    (cycle.met, cycle.implied) = (None, false);
                    (cycle.policy, cycle.priority) = (policy, priority);
                }
            }
            _ => {}
        }
        was_open = is_open;
        if !milestone {
            course.pause(then.pauses.contains(&entry.to), entry);
        }
    }
    (!course.cycles.is_empty()).then_some(course)
}

impl<'a> Course<'a> {
    /// Pauses are the ticket's history: no change of priority or policy touches them.
    fn rebase(&mut self, rebase: Rebase, at: Timestamp, policy: &'a SlaPolicy, priority: Priority) {
        if let Some(cycle) = self.cycles.last_mut() {
            cycle.rebase(rebase, at, policy, priority);
        }
    }

    fn pause(&mut self, pauses: bool, entry: &Transition) {
        let running = self.pauses.last_mut().filter(|p| p.to.is_none());
        match (running, pauses) {
            (Some(pause), true) if pause.state == entry.to => {}
            (Some(pause), _) => {
                pause.to = Some(entry.at);
                if pauses {
                    self.pauses.push(Pause { from: entry.at, to: None, state: entry.to });
                }
            }
            (None, true) => self.pauses.push(Pause { from: entry.at, to: None, state: entry.to }),
            (None, false) => {}
        }
    }

    pub(super) fn paused(&self) -> bool {
        self.pauses.last().is_some_and(|p| p.to.is_none())
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        self.pauses.iter().map(Pause::span).collect()
    }

    /// What a cycle is promised.
    pub(super) fn term(&self, cycle: &Cycle<'_>) -> Option<Term> {
        let spec = cycle.policy.clock(&self.spec.name).unwrap_or(self.spec);
        spec.targets.get(&cycle.priority).copied()
    }

    /// When a cycle is due if nothing more pauses it; `None` while it is paused for good, or never.
    pub(super) fn due(&self, calendars: &Calendars, cycle: &Cycle<'_>, term: Term) -> Option<Timestamp> {
        let name = self.spec.calendar.as_deref();
        let pauses = self.spans();
        match term.allowance {
            Allowance::Within(time) => calendars.hours(term.hours, name).due(cycle.start, time, &pauses),
            Allowance::BusinessDays(days) => {
                let calendar = calendars.business(name);
                let end = calendar.due_days(cycle.start, i32::try_from(days).ok()?, true)?;
                let open = calendar.elapsed(cycle.start, end, &[]);
                let paused = open.saturating_sub(calendar.elapsed(cycle.start, end, &pauses));
                if paused.is_zero() { Some(end) } else { calendar.due(end, paused, &pauses) }
            }
        }
    }

    /// The hours in which it runs for a term.
    pub(super) fn hours<'c>(&self, calendars: &'c Calendars, hours: Hours) -> &'c crate::Calendar {
        calendars.hours(hours, self.spec.calendar.as_deref())
    }
}
