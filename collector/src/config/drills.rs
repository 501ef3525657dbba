//! `[drills.NAME]`: exercises that come by themselves.

use crate::assess::synthetic;
use crate::config::load::Problem;
use crate::config::span::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// An exercise lasts no longer.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How often an exercise comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// Once in each month of the calendar.
    Month,
    /// Once in each quarter of the calendar.
    #[default]
    Quarter,
}

/// An exercise that comes by itself: once in each turn, at a moment outside of business hours that nobody knows before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// How often.
    pub every: Every,
    /// The server that is said to have a fault, by its id.
    pub server: String,
    /// The fault, e.g. `disk_failure`.
    pub fault: String,
    /// Whether people are paged for it: that is what is tried.
    pub pages: bool,
    /// How long it lasts, at most a day.
    #[schemars(with = "String")]
    pub lasts: Span,
    /// The calendar outside of whose hours it comes; left out: the usual one.
    pub calendar: Option<String>,
    /// What those who exercise are to do; stands in the ticket.
    pub runbook: String,
    /// Moves the moments of all turns.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            every: Every::Quarter,
            server: String::new(),
            fault: "disk_failure".to_owned(),
            pages: true,
            lasts: Span::from_secs(3600),
            calendar: None,
            runbook: String::new(),
            seed: 0,
        }
    }
}

/// What is wrong with the plans.
pub(super) fn problems(plans: &BTreeMap<String, Plan>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, plan) in plans {
        let mut add = |field: &str, what: String| problems.push(Problem { at: format!("drills.{name}.{field}"), what });
        if plan.server.is_empty() {
            add("server", "say which server is to have the fault, as `outband servers` shows it".to_owned());
        }
        if synthetic::fault(&plan.fault).is_none() {
            add("fault", format!("{:?} is no fault of a server; write e.g. \"disk_failure\"", plan.fault));
        }
        if plan.lasts.duration() > LONGEST || plan.lasts.duration() < Duration::from_secs(60) {
            add("lasts", format!("{} is not between a minute and a day", plan.lasts));
        }
    }
    problems
}
