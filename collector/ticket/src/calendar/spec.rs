//! A calendar as it stands in a config file.

use super::{Calendar, Window};
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why a calendar cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CalendarError {
    /// The zone is unknown.
    #[error("{name:?} is no IANA time zone such as Asia/Shanghai")]
    Zone {
        /// As given.
        name: String,
        /// What the zone data says.
        source: jiff::Error,
    },
    /// A date is none.
    #[error("{text:?} is no date such as {example}")]
    Date {
        /// As given.
        text: String,
        /// What it should look like.
        example: &'static str,
    },
    /// A time of day is none.
    #[error("{text:?} is no time of day such as 09:00 or 24:00")]
    Time {
        /// As given.
        text: String,
    },
}

/// Windows of each day of the week, as `["09:00", "18:00"]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "the names of the days say it")]
pub struct Week {
    pub mon: Vec<(String, String)>,
    pub tue: Vec<(String, String)>,
    pub wed: Vec<(String, String)>,
    pub thu: Vec<(String, String)>,
    pub fri: Vec<(String, String)>,
    pub sat: Vec<(String, String)>,
    pub sun: Vec<(String, String)>,
}

/// A calendar as it stands in a config file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarSpec {
    /// IANA name of the zone.
    pub tz: String,
    /// Windows of each day of the week.
    #[serde(default)]
    pub week: Week,
    /// Closed dates, `2026-10-01`.
    #[serde(default)]
    pub holidays: Vec<String>,
    /// Dates closed every year, `12-25`.
    #[serde(default)]
    pub holidays_yearly: Vec<String>,
    /// Dates with windows of their own, holiday or not.
    #[serde(default)]
    pub overrides: BTreeMap<String, Vec<(String, String)>>,
    /// Pieces cut out of a date's windows.
    #[serde(default)]
    pub breaks: BTreeMap<String, Vec<(String, String)>>,
}

impl Default for CalendarSpec {
    /// Monday to Friday, 09:00 to 18:00, UTC.
    fn default() -> Self {
        let day = || vec![("09:00".to_owned(), "18:00".to_owned())];
        Self {
            tz: "UTC".to_owned(),
            week: Week { mon: day(), tue: day(), wed: day(), thu: day(), fri: day(), ..Week::default() },
            holidays: Vec::new(),
            holidays_yearly: Vec::new(),
            overrides: BTreeMap::new(),
            breaks: BTreeMap::new(),
        }
    }
}

impl TryFrom<&CalendarSpec> for Calendar {
    type Error = CalendarError;

    fn try_from(spec: &CalendarSpec) -> Result<Self, CalendarError> {
        let zone = TimeZone::get(&spec.tz).map_err(|source| CalendarError::Zone { name: spec.tz.clone(), source })?;
        let w = &spec.week;
        let mut week: [Vec<Window>; 7] = std::array::from_fn(|_| Vec::new());
        for (slot, day) in week.iter_mut().zip([&w.mon, &w.tue, &w.wed, &w.thu, &w.fri, &w.sat, &w.sun]) {
            *slot = windows(day)?;
        }
        let dated = |map: &BTreeMap<String, Vec<(String, String)>>| -> Result<_, CalendarError> {
            map.iter().map(|(day, list)| Ok((date(day)?, windows(list)?))).collect()
        };
        Ok(Self {
            zone,
            week,
            holidays: spec.holidays.iter().map(|d| date(d)).collect::<Result<_, _>>()?,
            yearly: spec.holidays_yearly.iter().map(|d| month_day(d)).collect::<Result<_, _>>()?,
            overrides: dated(&spec.overrides)?,
            breaks: dated(&spec.breaks)?,
            always: false,
        })
    }
}

impl Calendar {
    /// The windows of a date after overrides and holidays and before breaks.
    pub(super) fn scheduled(&self, date: Date) -> &[Window] {
        if let Some(windows) = self.overrides.get(&date) {
            return windows;
        }
        if self.holidays.contains(&date) || self.yearly.contains(&(date.month(), date.day())) {
            return &[];
        }
        let index = match date.weekday() {
            Weekday::Monday => 0,
            Weekday::Tuesday => 1,
            Weekday::Wednesday => 2,
            Weekday::Thursday => 3,
            Weekday::Friday => 4,
            Weekday::Saturday => 5,
            Weekday::Sunday => 6,
        };
        &self.week[index]
    }
}

fn windows(list: &[(String, String)]) -> Result<Vec<Window>, CalendarError> {
    let mut out = Vec::with_capacity(list.len());
    for (start, end) in list {
        let (start, end) = (seconds(start)?, seconds(end)?);
        out.push((start, if end <= start { end + 86_400 } else { end }));
    }
    out.sort_unstable();
    Ok(out)
}

/// Local seconds of `HH:MM` or `HH:MM:SS`, 24:00 included.
fn seconds(text: &str) -> Result<i32, CalendarError> {
    let bad = || CalendarError::Time { text: text.to_owned() };
    let mut parts = text.split(':');
    let mut field = |most: i32, optional: bool| match parts.next() {
        Some(part) if part.len() == 2 => part.parse::<i32>().ok().filter(|n| (0..=most).contains(n)).ok_or_else(bad),
        None if optional => Ok(0),
        _ => Err(bad()),
    };
    let (hours, minutes, seconds) = (field(24, false)?, field(59, false)?, field(59, true)?);
    let total = hours * 3600 + minutes * 60 + seconds;
    if parts.next().is_some() || total > 86_400 { Err(bad()) } else { Ok(total) }
}

fn date(text: &str) -> Result<Date, CalendarError> {
    text.parse().map_err(|_| CalendarError::Date { text: text.to_owned(), example: "2026-10-01" })
}

fn month_day(text: &str) -> Result<(i8, i8), CalendarError> {
    // 2024 is a leap year, so that 02-29 is a day.
    format!("2024-{text}")
        .parse::<Date>()
        .map(|d| (d.month(), d.day()))
        .map_err(|_| CalendarError::Date { text: text.to_owned(), example: "12-25" })
}
