//! A package as the file writes it, and the policy that it is.

use crate::config::sla::Within;
use crate::config::span::Span;
use outband_ticket::escalation::{Step, When};
use outband_ticket::sla::{Event, Term};
use outband_ticket::{Allowance, ClockSpec, Hours, Priority, Rebase, SlaPolicy, State, Target};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What can be bought.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// From when the clocks of a ticket count that comes under it later: `creation` (the default) or `change`.
    #[serde(default = "creation")]
    pub rebase: Rebase,
    /// From when they count when the priority of a ticket changes: `change` (the default) or `creation`.
    #[serde(default = "change")]
    pub reprioritise: Rebase,
    /// The states in which its clocks pause, unless a clock says otherwise.
    #[serde(default = "customer_only")]
    pub pauses: BTreeSet<PauseIn>,
    /// Its clocks, in the order in which they are shown.
    pub clocks: Vec<Clock>,
}

fn creation() -> Rebase {
    Rebase::Creation
}

fn change() -> Rebase {
    Rebase::Change
}

fn customer_only() -> BTreeSet<PauseIn> {
    BTreeSet::from([PauseIn::WaitingForCustomer])
}

/// A state in which clocks may pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseIn {
    /// The customer has to do something.
    WaitingForCustomer,
    /// A part is on its way.
    WaitingForParts,
}

/// A clock of a package. Clocks that are shipped know what starts and stops them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Its name, e.g. `respond`.
    pub name: Target,
    /// The time allowed for each priority, e.g. `15m` or `1 business day`. One that is left out has no such clock.
    pub targets: BTreeMap<String, String>,
    /// Whether it runs in business hours only. Days are always business days.
    #[serde(default)]
    pub business_hours: bool,
    /// The calendar of its business hours, where it is not the usual one.
    #[serde(default)]
    pub calendar: Option<String>,
    /// What starts it.
    #[serde(default)]
    pub start: Option<BTreeSet<Event>>,
    /// What meets it.
    #[serde(default)]
    pub stop: Option<BTreeSet<Event>>,
    /// The states in which it pauses.
    #[serde(default)]
    pub pauses: Option<BTreeSet<PauseIn>>,
    /// Whether meeting it begins it anew.
    #[serde(default)]
    pub repeat: Option<bool>,
    /// Who is told when; levels count from 1 in this order.
    #[serde(default)]
    pub escalate: Vec<Escalate>,
}

/// A step of an escalation: exactly one of `before`, `after` and `percent`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escalate {
    /// So long before it is due.
    #[serde(default)]
    pub before: Option<Span>,
    /// So long after.
    #[serde(default)]
    pub after: Option<Span>,
    /// When so many percent of the time allowed are used.
    #[serde(default)]
    pub percent: Option<u16>,
    /// Whom it asks, in this order.
    pub to: Vec<String>,
    /// How long each has to acknowledge.
    #[serde(default)]
    pub each: Option<Span>,
}

impl Package {
    /// The policy, in its first revision.
    pub fn policy(&self, name: &str) -> Result<SlaPolicy, String> {
        let mut clocks: Vec<ClockSpec> = Vec::new();
        for clock in &self.clocks {
            if clocks.iter().any(|known| known.name == clock.name) {
                return Err(format!("the clock {} stands twice", clock.name));
            }
            clocks.push(clock.spec(&self.pauses).map_err(|e| format!("{}: {e}", clock.name))?);
        }
        Ok(SlaPolicy {
            name: name.to_owned(),
            revision: 1,
            rebase: self.rebase,
            reprioritise: self.reprioritise,
            clocks,
        })
    }
}

impl Clock {
    fn spec(&self, pauses: &BTreeSet<PauseIn>) -> Result<ClockSpec, String> {
        let mut spec = ClockSpec::named(self.name.clone());
        for (priority, within) in &self.targets {
            let known = Priority::ALL.into_iter().find(|p| format!("{p:?}") == *priority);
            let priority = known.ok_or_else(|| format!("{priority:?} is none of P1, P2, P3 and P4"))?;
            let allowance = within.parse::<Within>()?.allowance();
            let days = matches!(allowance, Allowance::BusinessDays(_));
            let hours = if self.business_hours || days { Hours::Business } else { Hours::Always };
            spec.targets.insert(priority, Term { hours, allowance });
        }
        spec.pauses = self.pauses.as_ref().unwrap_or(pauses).iter().map(|p| p.state()).collect();
        spec.calendar.clone_from(&self.calendar);
        spec.repeat = self.repeat.unwrap_or(spec.repeat);
        if let Some(start) = &self.start {
            spec.start.clone_from(start);
        }
        if let Some(stop) = &self.stop {
            spec.stop.clone_from(stop);
        }
        for (level, step) in (1..).zip(&self.escalate) {
            spec.steps.push(step.step(level)?);
        }
        Ok(spec)
    }
}

impl PauseIn {
    fn state(self) -> State {
        match self {
            Self::WaitingForCustomer => State::WaitingForCustomer,
            Self::WaitingForParts => State::WaitingForParts,
        }
    }
}

impl Escalate {
    fn step(&self, level: u32) -> Result<Step, String> {
        let when = match (self.before, self.after, self.percent) {
            (Some(lead), None, None) => When::Before(lead.duration()),
            (None, Some(lag), None) => When::After(lag.duration()),
            (None, None, Some(share)) => When::Percent(share),
            _ => return Err(format!("step {level} needs exactly one of before, after and percent")),
        };
        let each = self.each.map_or(Duration::ZERO, Span::duration);
        Ok(Step { level, when, to: self.to.clone(), each })
    }
}
