//! `[health_check]`: checks that come by themselves.

use super::load::Problem;
use super::span::Span;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest span over which the checks of a day are spread.
const LONGEST: Duration = Duration::from_secs(20 * 3600);

/// Health checks that come by themselves: each server's BMC is read whole every few days, and a report of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheckConfig {
    /// Every so many days, each server at a day of its own, so that each day has its share of the fleet. 0: only when somebody asks.
    pub every_days: u32,
    /// The time of day at which the day's checks begin, e.g. `02:00`.
    pub at: String,
    /// The time zone of that (IANA).
    pub zone: String,
    /// Over how long the day's checks are spread; at most 20 hours.
    #[schemars(with = "String")]
    pub spread: Span,
    /// How many BMCs of one agent are read whole for this at the same time.
    pub at_once: u32,
    /// How long a check may take before it is told that the BMC could not be read: one minute to an hour.
    #[schemars(with = "String")]
    pub patience: Span,
    /// Only servers of these sites; empty: of all.
    pub sites: Vec<String>,
    /// Only servers of these racks, as `topology.csv` names them; empty: of all.
    pub racks: Vec<String>,
    /// Only servers of these models; empty: of all.
    pub models: Vec<String>,
    /// Only servers of these customers; empty: of all.
    pub customers: Vec<String>,
    /// A CSV file of parts that fit, `component,part_model,firmware,server_model,verdict`: what is not on it, or is named as `unqualified`, is told as a
    /// trouble of compatibility. Left out: only what BMCs say of that counts.
    pub compatibility: Option<std::path::PathBuf>,
}

impl Default for HealthCheckConfig {
    fn default() -> Self {
        Self {
            every_days: 7,
            at: "02:00".to_owned(),
            zone: "UTC".to_owned(),
            spread: Span::from_secs(4 * 3600),
            at_once: 2,
            patience: Span::from_secs(600),
            sites: Vec::new(),
            racks: Vec::new(),
            models: Vec::new(),
            customers: Vec::new(),
            compatibility: None,
        }
    }
}

impl HealthCheckConfig {
    /// What is wrong with it.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |at: &str, what: String| problems.push(Problem { at: format!("health_check.{at}"), what });
        if self.every_days > 366 {
            add("every_days", "0 to 366".to_owned());
        }
        if self.minutes().is_none() {
            add("at", format!("{:?} is no time of day such as \"02:00\"", self.at));
        }
        if TimeZone::get(&self.zone).is_err() {
            add("zone", format!("there is no time zone {:?}; write e.g. \"Asia/Shanghai\"", self.zone));
        }
        if self.spread.duration() > LONGEST {
            add("spread", format!("{} is more than 20 hours", self.spread));
        }
        if self.at_once == 0 {
            add(
                "at_once",
                "with 0 nothing would ever be checked; to have none by themselves, set every_days = 0".to_owned(),
            );
        }
        let patience = self.patience.duration();
        if patience < Duration::from_secs(60) || patience > Duration::from_secs(3600) {
            add("patience", format!("{} is not between a minute and an hour", self.patience));
        }
        problems
    }

    /// Minutes since midnight at which the day's checks begin.
    pub fn minutes(&self) -> Option<u32> {
        let (hours, minutes) = self.at.split_once(':')?;
        let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
    }
}
