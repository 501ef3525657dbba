//! `[calendars.NAME]`: business hours that clocks may name, written out in the config.

use crate::config::load::Problem;
use crate::config::sla::Weekday;
use outband_schemas::Timestamp;
use outband_ticket::{Calendar, CalendarRevision, CalendarSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Business hours. Calendars with many holidays are better imported: `outband-collector calendar import`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BusinessHours {
    /// IANA name of the zone in which they are meant, e.g. `Asia/Shanghai`.
    pub timezone: String,
    /// The days of the week on which they begin.
    pub workdays: Vec<Weekday>,
    /// Those of a workday, each as start and end; an end at or before its start lies on the next day.
    pub hours: Vec<(String, String)>,
    /// Dates without any, e.g. `2026-10-01`.
    pub holidays: Vec<String>,
    /// Dates without any in every year, e.g. `01-01`.
    pub holidays_yearly: Vec<String>,
    /// Dates with the hours of a workday though the week says otherwise, e.g. a worked Saturday.
    pub extra_workdays: Vec<String>,
    /// The last date whose holidays are known: clocks that count later ones are flagged.
    pub valid_until: Option<String>,
}

impl Default for BusinessHours {
    fn default() -> Self {
        use Weekday::{Fri, Mon, Thu, Tue, Wed};
        Self {
            timezone: "UTC".to_owned(),
            workdays: vec![Mon, Tue, Wed, Thu, Fri],
            hours: vec![("09:00".to_owned(), "18:00".to_owned())],
            holidays: Vec::new(),
            holidays_yearly: Vec::new(),
            extra_workdays: Vec::new(),
            valid_until: None,
        }
    }
}

impl BusinessHours {
    /// As calendars are written.
    pub fn spec(&self) -> CalendarSpec {
        let days: Vec<_> = self.workdays.iter().map(|day| day.of_calendar()).collect();
        let mut spec = CalendarSpec { tz: self.timezone.clone(), ..CalendarSpec::default() };
        spec.week = outband_ticket::calendar::Week::default();
        for day in days {
            spec.week.of_mut(day).clone_from(&self.hours);
        }
        spec.holidays.clone_from(&self.holidays);
        spec.holidays_yearly.clone_from(&self.holidays_yearly);
        spec.overrides = self.extra_workdays.iter().map(|date| (date.clone(), self.hours.clone())).collect();
        spec
    }

    /// As a calendar of this name. The config has no revisions: 0.
    pub fn revision(&self, name: &str) -> CalendarRevision {
        CalendarRevision {
            id: name.to_owned(),
            revision: 0,
            spec: self.spec(),
            valid_from: None,
            valid_until: self.valid_until.clone(),
            source: "config".to_owned(),
            imported_at: Timestamp::EPOCH,
        }
    }
}

pub(super) fn problems(all: &BTreeMap<String, BusinessHours>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, hours) in all {
        let at = || format!("calendars.{name}");
        if let Err(e) = Calendar::try_from(&hours.revision(name)) {
            problems.push(Problem { at: at(), what: e.to_string() });
        }
        if (hours.workdays.is_empty() || hours.hours.is_empty()) && hours.extra_workdays.is_empty() {
            problems.push(Problem { at: at(), what: "without workdays and hours it never opens".to_owned() });
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_that_never_open_or_stand_in_no_zone_are_a_problem() {
        let of = |hours: BusinessHours| problems(&BTreeMap::from([("night".to_owned(), hours)]));
        assert!(of(BusinessHours::default()).is_empty());
        let nowhere = of(BusinessHours { timezone: "Mars/Olympus".to_owned(), ..BusinessHours::default() });
        assert!(nowhere[0].what.contains("Mars/Olympus") && nowhere[0].at == "calendars.night");
        assert!(of(BusinessHours { hours: Vec::new(), ..BusinessHours::default() })[0].what.contains("never opens"));
        let someday = BusinessHours { valid_until: Some("soon".to_owned()), ..BusinessHours::default() };
        assert!(of(someday)[0].what.contains("soon"));
    }
}
