//! A calendar as it stands in a config file.

use super::zone::{Day, LAST_DAY, day_of};
use super::{Basis, Calendar, Window};
use jiff::civil::Date;
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

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// Every day, Monday first.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    fn index(self) -> usize {
        Self::ALL.iter().position(|day| *day == self).unwrap_or(0)
    }
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
    /// Dates that have the hours of a day of the week, holiday or not: a Saturday that is worked in exchange for a holiday
    /// (调休) is `"2026-02-14" = "fri"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub make_up: BTreeMap<String, Weekday>,
    /// Pieces cut out of every week, such as lunch; not on a date with `overrides`.
    #[serde(default, skip_serializing_if = "Week::is_empty")]
    pub weekly_breaks: Week,
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
            make_up: BTreeMap::new(),
            weekly_breaks: Week::default(),
        }
    }
}

impl Week {
    /// The same windows on each of these days.
    pub fn on(days: &[Weekday], windows: &[(&str, &str)]) -> Self {
        let mut week = Self::default();
        for day in days {
            *week.of_mut(*day) = windows.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        }
        week
    }

    /// The windows of a day.
    pub fn of_mut(&mut self, day: Weekday) -> &mut Vec<(String, String)> {
        match day {
            Weekday::Mon => &mut self.mon,
            Weekday::Tue => &mut self.tue,
            Weekday::Wed => &mut self.wed,
            Weekday::Thu => &mut self.thu,
            Weekday::Fri => &mut self.fri,
            Weekday::Sat => &mut self.sat,
            Weekday::Sun => &mut self.sun,
        }
    }

    fn days(&self) -> [&[(String, String)]; 7] {
        [&self.mon, &self.tue, &self.wed, &self.thu, &self.fri, &self.sat, &self.sun]
    }

    fn is_empty(&self) -> bool {
        self.days().iter().all(|day| day.is_empty())
    }

    fn windows(&self) -> Result<[Vec<Window>; 7], CalendarError> {
        let mut week = std::array::from_fn(|_| Vec::new());
        for (slot, day) in week.iter_mut().zip(self.days()) {
            *slot = windows(day)?;
        }
        Ok(week)
    }
}

impl TryFrom<&CalendarSpec> for Calendar {
    type Error = CalendarError;

    fn try_from(spec: &CalendarSpec) -> Result<Self, CalendarError> {
        let zone = TimeZone::get(&spec.tz).map_err(|source| CalendarError::Zone { name: spec.tz.clone(), source })?;
        let dated = |map: &BTreeMap<String, Vec<(String, String)>>| -> Result<BTreeMap<Day, Vec<Window>>, _> {
            map.iter().map(|(text, list)| Ok((day(text)?, windows(list)?))).collect()
        };
        let mut calendar = Self {
            zone,
            week: spec.week.windows()?,
            weekly_breaks: spec.weekly_breaks.windows()?,
            holidays: spec.holidays.iter().map(|text| day(text)).collect::<Result<_, _>>()?,
            yearly: spec.holidays_yearly.iter().map(|d| month_day(d)).collect::<Result<_, _>>()?,
            make_up: spec
                .make_up
                .iter()
                .map(|(text, like)| Ok((day(text)?, like.index())))
                .collect::<Result<_, CalendarError>>()?,
            overrides: dated(&spec.overrides)?,
            breaks: dated(&spec.breaks)?,
            has_breaks: !spec.breaks.is_empty() || !spec.weekly_breaks.is_empty(),
            last_exception: 0,
            always: false,
            basis: Basis::new("", 0),
            valid: None,
        };
        let exceptions =
            [calendar.overrides.keys().max(), calendar.make_up.keys().max(), calendar.holidays.iter().max()];
        calendar.last_exception = exceptions.into_iter().flatten().copied().max().unwrap_or(0);
        calendar.always = calendar.is_always();
        Ok(calendar)
    }
}

impl Calendar {
    fn is_always(&self) -> bool {
        let usual = self.holidays.is_empty() && self.yearly.is_empty() && self.overrides.is_empty() && !self.has_breaks;
        usual && self.week.iter().all(|windows| windows.contains(&(0, 86_400)))
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

/// Local seconds of `H:MM`, `HH:MM` or `HH:MM:SS`, 24:00 included.
fn seconds(text: &str) -> Result<i32, CalendarError> {
    let bad = || CalendarError::Time { text: text.to_owned() };
    let mut parts = text.split(':');
    let mut field = |most: i32, digits: std::ops::RangeInclusive<usize>| match parts.next() {
        Some(part) if digits.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()) => {
            part.parse::<i32>().ok().filter(|n| *n <= most).ok_or_else(bad)
        }
        None if digits.contains(&0) => Ok(0),
        _ => Err(bad()),
    };
    let (hours, minutes, seconds) = (field(24, 1..=2)?, field(59, 2..=2)?, field(59, 0..=2)?);
    let total = hours * 3600 + minutes * 60 + seconds;
    if parts.next().is_some() || total > 86_400 { Err(bad()) } else { Ok(total) }
}

/// The number of a date such as `2026-10-01`.
pub(super) fn day(text: &str) -> Result<Day, CalendarError> {
    date(text).map(|d| day_of(d).min(LAST_DAY))
}

pub(super) fn date(text: &str) -> Result<Date, CalendarError> {
    text.parse().map_err(|_| CalendarError::Date { text: text.to_owned(), example: "2026-10-01" })
}

fn month_day(text: &str) -> Result<(i8, i8), CalendarError> {
    // 2024 is a leap year, so that 02-29 is a day.
    format!("2024-{text}")
        .parse::<Date>()
        .map(|d| (d.month(), d.day()))
        .map_err(|_| CalendarError::Date { text: text.to_owned(), example: "12-25" })
}
