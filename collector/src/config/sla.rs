//! `[sla]`: what is promised, and when business hours are.

use crate::config::calendar::BusinessHours;
use crate::config::load::Problem;
use crate::config::span::Span;
use outband_ticket::sla::Term;
use outband_ticket::{Allowance, Calendar, ClockSpec, Hours, Priority, SlaPolicy, State, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::str::FromStr;

/// What is promised, and when business hours are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sla {
    /// The usual calendar of business hours: one of `[calendars]` or of `outband-collector calendar list`, e.g. `cn-9-18`. Left out: the
    /// hours that are written out here.
    pub calendar: Option<String>,
    /// IANA name of the zone in which business hours are meant, e.g. `Asia/Shanghai`.
    pub timezone: String,
    /// The days of the week with business hours.
    pub workdays: Vec<Weekday>,
    /// Business hours of a workday, each as start and end, e.g. `[["09:00", "12:00"], ["13:00", "18:00"]]`.
    pub hours: Vec<(String, String)>,
    /// Dates without business hours, e.g. `2026-10-01`.
    pub holidays: Vec<String>,
    /// Dates without business hours in every year, e.g. `01-01`.
    pub holidays_yearly: Vec<String>,
    /// Dates with the hours of a workday though the week says otherwise, e.g. a worked Saturday.
    pub extra_workdays: Vec<String>,
    /// The states in which clocks pause. Waiting for parts is not among them by default: local spares are the provider's
    /// promise.
    pub pauses: Vec<Pause>,
    /// Promises of single priorities, in place of the built-in ones.
    pub targets: BTreeMap<PriorityKey, Promised>,
}

/// Customers, contracts and packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Contracts {
    /// A TOML file with `customers`, `packages` and `contracts`: what tickets of which servers are promised. Tickets that no contract
    /// covers have the promises of `[sla]`.
    pub file: Option<std::path::PathBuf>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names of the days say it")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Weekday {
    /// As calendars have it.
    pub fn of_calendar(self) -> outband_ticket::calendar::Weekday {
        use outband_ticket::calendar::Weekday as Day;
        match self {
            Self::Mon => Day::Mon,
            Self::Tue => Day::Tue,
            Self::Wed => Day::Wed,
            Self::Thu => Day::Thu,
            Self::Fri => Day::Fri,
            Self::Sat => Day::Sat,
            Self::Sun => Day::Sun,
        }
    }
}

/// A state in which clocks may pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// The customer has to do something.
    WaitingForCustomer,
    /// A part is on its way.
    WaitingForParts,
}

/// A priority as the config names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names of the priorities say it")]
pub enum PriorityKey {
    P1,
    P2,
    P3,
    P4,
}

/// What is promised for one priority. A target that is left out has no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Promised {
    /// Whether its clocks run around the clock; else in business hours.
    pub around_the_clock: bool,
    /// Time to respond.
    pub respond: Option<Within>,
    /// Time to locate the cause.
    pub locate: Option<Within>,
    /// Time to repair.
    pub repair: Option<Within>,
}

impl Promised {
    fn of(&self, clock: &ClockSpec) -> Option<Within> {
        let known = [(Target::RESPOND, self.respond), (Target::LOCATE, self.locate), (Target::REPAIR, self.repair)];
        known.into_iter().find(|(name, _)| *name == clock.name).and_then(|(_, within)| within)
    }
}

/// `15m`, or `2 business days`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within(Allowance);

impl Within {
    /// As clocks have it.
    pub fn allowance(self) -> Allowance {
        self.0
    }
}

impl FromStr for Within {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        if let [number, "business", "day" | "days"] = words.as_slice() {
            return match number.parse::<u32>() {
                Ok(days) if days > 0 => Ok(Self(Allowance::BusinessDays(days))),
                _ => Err(format!("{text:?}: business days are counted from 1, the next one")),
            };
        }
        let span: Span = text.parse().map_err(|_| {
            format!("{text:?} is no time to do something in; write e.g. \"15m\", \"4h\" or \"2 business days\"")
        })?;
        Ok(Self(Allowance::Within(span.duration())))
    }
}

impl Serialize for Within {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Allowance::Within(time) => Span::from(time).serialize(serializer),
            Allowance::BusinessDays(1) => serializer.serialize_str("1 business day"),
            Allowance::BusinessDays(days) => serializer.collect_str(&format_args!("{days} business days")),
        }
    }
}

impl<'de> Deserialize<'de> for Within {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Within {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Within".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(([0-9]+(ms|d|h|m|s))+|[1-9][0-9]* business days?)$",
            "description": "Open time, e.g. 15m, or business days, e.g. 2 business days."
        })
    }
}

impl Default for Sla {
    fn default() -> Self {
        use Weekday::{Fri, Mon, Thu, Tue, Wed};
        Self {
            calendar: None,
            timezone: "UTC".to_owned(),
            workdays: vec![Mon, Tue, Wed, Thu, Fri],
            hours: vec![("09:00".to_owned(), "18:00".to_owned())],
            holidays: Vec::new(),
            holidays_yearly: Vec::new(),
            extra_workdays: Vec::new(),
            pauses: vec![Pause::WaitingForCustomer],
            targets: BTreeMap::new(),
        }
    }
}

impl Sla {
    /// The calendar of the business hours that are written out.
    pub fn calendar_of_its_own(&self) -> Result<Calendar, outband_ticket::CalendarError> {
        let hours = BusinessHours {
            timezone: self.timezone.clone(),
            workdays: self.workdays.clone(),
            hours: self.hours.clone(),
            holidays: self.holidays.clone(),
            holidays_yearly: self.holidays_yearly.clone(),
            extra_workdays: self.extra_workdays.clone(),
            valid_until: None,
        };
        Calendar::try_from(&hours.spec())
    }

    /// The promises: the built-in ones, with those of the config in their place.
    pub fn policy(&self) -> SlaPolicy {
        let pauses = self.pauses.iter().map(|p| match p {
            Pause::WaitingForCustomer => State::WaitingForCustomer,
            Pause::WaitingForParts => State::WaitingForParts,
        });
        let mut policy = SlaPolicy::default().pausing_in(&pauses.collect());
        for (key, promised) in &self.targets {
            let priority = match key {
                PriorityKey::P1 => Priority::P1,
                PriorityKey::P2 => Priority::P2,
                PriorityKey::P3 => Priority::P3,
                PriorityKey::P4 => Priority::P4,
            };
            let hours = if promised.around_the_clock { Hours::Always } else { Hours::Business };
            for clock in &mut policy.clocks {
                clock.targets.remove(&priority);
                if let Some(Within(allowance)) = promised.of(clock) {
                    clock.targets.insert(priority, Term { hours, allowance });
                }
            }
        }
        policy
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(e) = self.calendar_of_its_own() {
            problems.push(Problem { at: "sla".to_owned(), what: e.to_string() });
        }
        if self.workdays.is_empty() || self.hours.is_empty() {
            problems.push(Problem {
                at: "sla".to_owned(),
                what: "without workdays and hours, clocks that run in business hours never run".to_owned(),
            });
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::Timestamp;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn business_hours_are_meant_in_the_zone_of_the_config() {
        let sla = Sla { timezone: "Asia/Shanghai".to_owned(), ..Sla::default() };
        let calendar = sla.calendar_of_its_own().unwrap();
        assert!(calendar.is_open(at("2026-03-02T01:00:00Z")), "Monday 09:00 in Shanghai");
        assert!(!calendar.is_open(at("2026-03-02T10:00:00Z")), "Monday 18:00 in Shanghai");
    }

    #[test]
    fn a_worked_saturday_is_open_and_a_holiday_is_not() {
        let sla = Sla {
            holidays: vec!["2026-03-02".to_owned()],
            extra_workdays: vec!["2026-03-07".to_owned()],
            ..Sla::default()
        };
        let calendar = sla.calendar_of_its_own().unwrap();
        assert!(calendar.is_open(at("2026-03-07T10:00:00Z")));
        assert!(!calendar.is_open(at("2026-03-02T10:00:00Z")));
    }

    #[test]
    fn a_promise_of_the_config_takes_the_place_of_the_built_in_one() {
        let sla: Sla =
            toml::from_str("[targets.P3]\naround_the_clock = false\nrespond = '30m'\nrepair = '2 business days'\n")
                .unwrap();
        let allowed = |policy: &SlaPolicy, target, priority| {
            policy.clock(&target).and_then(|c| c.targets.get(&priority)).map(|term| term.allowance)
        };
        let (ours, usual) = (sla.policy(), SlaPolicy::default());
        let half_an_hour = Allowance::Within(std::time::Duration::from_secs(1800));
        assert_eq!(allowed(&ours, Target::RESPOND, Priority::P3), Some(half_an_hour));
        assert_eq!(allowed(&ours, Target::REPAIR, Priority::P3), Some(Allowance::BusinessDays(2)));
        assert_eq!(allowed(&ours, Target::LOCATE, Priority::P3), None);
        for target in [Target::RESPOND, Target::LOCATE, Target::REPAIR] {
            assert_eq!(allowed(&ours, target.clone(), Priority::P1), allowed(&usual, target, Priority::P1));
        }
    }

    #[test]
    fn an_unknown_zone_is_a_problem() {
        let sla = Sla { timezone: "Mars/Olympus".to_owned(), ..Sla::default() };
        assert!(sla.problems()[0].what.contains("Mars/Olympus"));
    }
}
