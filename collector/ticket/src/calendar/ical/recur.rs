//! Recurrence rules (RFC 5545 section 3.3.10), as far as days need them: every frequency from a day on, `INTERVAL`, `COUNT`, `UNTIL`,
//! `BYMONTH`, `BYMONTHDAY`, `BYDAY`. A rule with any other part is refused, not half obeyed.

use super::super::zone;
use jiff::civil::{Date, Weekday};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Every {
    Day,
    Week,
    Month,
    Year,
}

/// When an event comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    every: Every,
    interval: i32,
    count: Option<usize>,
    until: Option<Date>,
    months: Vec<i8>,
    month_days: Vec<i8>,
    /// Which of them in the month or year (0: each), and the day.
    weekdays: Vec<(i32, Weekday)>,
    week_start: Weekday,
}

impl Rule {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut rule = Self {
            every: Every::Year,
            interval: 1,
            count: None,
            until: None,
            months: Vec::new(),
            month_days: Vec::new(),
            weekdays: Vec::new(),
            week_start: Weekday::Monday,
        };
        let mut frequency = false;
        for part in text.split(';').filter(|part| !part.trim().is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("RRULE has a part {part:?}"))?;
            let bad = || format!("RRULE has {part:?}, which is not read here");
            let value = value.trim();
            let list = || value.split(',').map(str::trim);
            match name.trim().to_ascii_uppercase().as_str() {
                "FREQ" => {
                    frequency = true;
                    rule.every = match value.to_ascii_uppercase().as_str() {
                        "DAILY" => Every::Day,
                        "WEEKLY" => Every::Week,
                        "MONTHLY" => Every::Month,
                        "YEARLY" => Every::Year,
                        _ => return Err(bad()),
                    };
                }
                "INTERVAL" => rule.interval = value.parse().ok().filter(|n| *n > 0).ok_or_else(bad)?,
                "COUNT" => rule.count = Some(value.parse().map_err(|_| bad())?),
                // The day of a time in UTC may be another one here; the rule then ends within that day.
                "UNTIL" => rule.until = Some(super::event::date(value.get(..8).unwrap_or(value)).ok_or_else(bad)?),
                "BYMONTH" => rule.months = list().map(|n| n.parse().ok()).collect::<Option<_>>().ok_or_else(bad)?,
                "BYMONTHDAY" => {
                    rule.month_days = list().map(|n| n.parse().ok()).collect::<Option<_>>().ok_or_else(bad)?;
                }
                "BYDAY" => rule.weekdays = list().map(nth_weekday).collect::<Option<_>>().ok_or_else(bad)?,
                "WKST" => rule.week_start = weekday(value).ok_or_else(bad)?,
                _ => return Err(bad()),
            }
        }
        let numbered = rule.weekdays.iter().any(|(n, _)| *n != 0);
        if !frequency || numbered && matches!(rule.every, Every::Day | Every::Week) {
            return Err(format!("RRULE {text:?} is not read here"));
        }
        Ok(rule)
    }

    /// The dates from `start` until `last`, without those before it. `start` itself is always one (section 3.8.5.3).
    pub(super) fn dates(&self, start: Date, last: Date) -> Vec<Date> {
        let end = self.until.map_or(last, |until| until.min(last));
        let days = zone::day_of(start)..=zone::day_of(end);
        let all = days.filter_map(zone::date_of).filter(|date| *date == start || self.holds(*date, start));
        all.take(self.count.unwrap_or(usize::MAX)).collect()
    }

    fn holds(&self, date: Date, start: Date) -> bool {
        let (day, first) = (zone::day_of(date), zone::day_of(start));
        let steps = match self.every {
            Every::Day => day - first,
            Every::Week => (self.week_of(date) - self.week_of(start)) / 7,
            Every::Month => {
                (i32::from(date.year()) - i32::from(start.year())) * 12 + i32::from(date.month())
                    - i32::from(start.month())
            }
            Every::Year => i32::from(date.year()) - i32::from(start.year()),
        };
        let month = self.months.is_empty() || self.months.contains(&date.month());
        let month_day = self.month_days.is_empty()
            || self.month_days.iter().any(|n| {
                let n = if *n < 0 { date.days_in_month() + 1 + *n } else { *n };
                n == date.day()
            });
        let weekday = self.weekdays.is_empty() || self.weekdays.iter().any(|by| self.is_nth(*by, date));
        steps % self.interval == 0 && month && month_day && weekday && self.like_start(date, start)
    }

    /// What the rule leaves open is as on the first day.
    fn like_start(&self, date: Date, start: Date) -> bool {
        let free = self.month_days.is_empty() && self.weekdays.is_empty();
        match self.every {
            Every::Day => true,
            Every::Week => !self.weekdays.is_empty() || date.weekday() == start.weekday(),
            Every::Month => !free || date.day() == start.day(),
            Every::Year => {
                !free || date.day() == start.day() && (!self.months.is_empty() || date.month() == start.month())
            }
        }
    }

    fn is_nth(&self, (n, weekday): (i32, Weekday), date: Date) -> bool {
        if date.weekday() != weekday {
            return false;
        }
        let whole_year = self.every == Every::Year && self.months.is_empty();
        let (index, length) = if whole_year {
            (i32::from(date.day_of_year()), i32::from(date.days_in_year()))
        } else {
            (i32::from(date.day()), i32::from(date.days_in_month()))
        };
        match n {
            0 => true,
            n if n > 0 => (index - 1) / 7 + 1 == n,
            n => (length - index) / 7 + 1 == -n,
        }
    }

    /// The first day of a date's week.
    fn week_of(&self, date: Date) -> i32 {
        zone::day_of(date) - i32::from(date.weekday().since(self.week_start))
    }
}

fn nth_weekday(text: &str) -> Option<(i32, Weekday)> {
    let at = text.len().checked_sub(2)?;
    let (number, name) = (text.get(..at)?, text.get(at..)?);
    let n =
        if number.is_empty() { 0 } else { number.parse::<i32>().ok().filter(|n| *n != 0 && (-53..=53).contains(n))? };
    Some((n, weekday(name)?))
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    })
}
