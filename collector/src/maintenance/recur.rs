//! When a window is: a first span on the clocks of a wall, and the rule by which it comes again. The subset of RFC 5545's RRULE that maintenance
//! needs: `FREQ=DAILY|WEEKLY|MONTHLY`, `INTERVAL`, `BYDAY` (for MONTHLY with an ordinal: `1SU`, `-1FR`), `UNTIL` (a date). Pure.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};
use outband_schemas::Timestamp;

/// The longest window, in seconds: 31 days.
pub const LONGEST: u64 = 31 * 86_400;

/// Why a window is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The time of its beginning.
    #[error("{0:?} is no time; write 2026-01-31T22:00")]
    Starts(String),
    /// Its length.
    #[error("a window lasts between 60 s and 31 days, not {0} s")]
    Lasts(u64),
    /// The time zone.
    #[error("{0:?} is no time zone; write an IANA name, e.g. Asia/Shanghai")]
    Zone(String),
    /// The rule.
    #[error("{rule:?} is no recurrence: {what}; write e.g. FREQ=WEEKLY;BYDAY=SU or FREQ=MONTHLY;BYDAY=1SA")]
    Rule {
        /// It.
        rule: String,
        /// What is wrong with it.
        what: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Every {
    Day,
    Week,
    Month,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    every: Every,
    interval: i64,
    /// Days with the place in the month, 0 for every one.
    days: Vec<(i8, Weekday)>,
    until: Option<Date>,
}

/// When a window is.
#[derive(Debug, Clone)]
pub struct Schedule {
    starts: DateTime,
    lasts: SignedDuration,
    zone: TimeZone,
    rule: Option<Rule>,
}

impl Schedule {
    /// From the texts of a stored window.
    pub fn parse(starts: &str, lasts_secs: u64, zone: &str, rule: Option<&str>) -> Result<Self, Error> {
        let first: DateTime = starts.parse().map_err(|_| Error::Starts(starts.to_owned()))?;
        if !(60..=LONGEST).contains(&lasts_secs) {
            return Err(Error::Lasts(lasts_secs));
        }
        let lasts = SignedDuration::from_secs(i64::try_from(lasts_secs).map_err(|_| Error::Lasts(lasts_secs))?);
        let named = TimeZone::get(zone).map_err(|_| Error::Zone(zone.to_owned()))?;
        let rule = rule
            .map(|text| parse_rule(text).map_err(|what| Error::Rule { rule: text.to_owned(), what }))
            .transpose()?;
        Ok(Self { starts: first, lasts, zone: named, rule })
    }

    /// Until when it covers `now`, where it does. Where one occurrence runs into the next, the later end.
    pub fn covers(&self, now: Timestamp) -> Option<Timestamp> {
        self.around(now).filter(|(from, to)| *from <= now && now < *to).map(|(_, to)| to).max()
    }

    /// The occurrences that could cover `now`.
    fn around(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        self.near(now, now)
    }

    /// What of its occurrences lies between these, in their order.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let inside = move |(begin, end): (Timestamp, Timestamp)| (begin.max(from), end.min(to));
        self.near(from, to).map(inside).filter(|(begin, end)| begin < end)
    }

    /// The occurrences that could cover anything between these.
    fn near(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let date = |at: Timestamp| {
            jiff::Timestamp::from_millisecond(at.as_millis())
                .map(|t| t.to_zoned(self.zone.clone()).date())
                .unwrap_or(self.starts.date())
        };
        // An occurrence that covers an instant began at most its length before; one day more for what the zone moves.
        let back = self.lasts.as_hours() / 24 + 2;
        let first = date(from).checked_sub(back.days()).unwrap_or(self.starts.date());
        let last = date(to).checked_add(1.days()).unwrap_or(Date::MAX);
        let dates = first.series(1.day()).take_while(move |date| *date <= last);
        dates.filter(|date| self.is_on(*date)).filter_map(|date| {
            let begin = date.to_datetime(self.starts.time());
            let end = begin.checked_add(self.lasts).ok()?;
            Some((self.instant(begin)?, self.instant(end)?))
        })
    }

    fn instant(&self, civil: DateTime) -> Option<Timestamp> {
        let zoned = self.zone.to_zoned(civil).ok()?;
        Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
    }

    fn is_on(&self, date: Date) -> bool {
        let first = self.starts.date();
        let Some(rule) = &self.rule else { return date == first };
        if date < first || rule.until.is_some_and(|until| date > until) {
            return false;
        }
        let days = i64::from((date - first).get_days());
        let by_day = rule.days.is_empty() || rule.days.iter().any(|(nth, day)| is_nth(date, *nth, *day));
        match rule.every {
            Every::Day => by_day && days % rule.interval == 0,
            Every::Week => {
                let on_day = if rule.days.is_empty() { date.weekday() == first.weekday() } else { by_day };
                // Weeks are counted from Monday, as RFC 5545 does by default.
                let into = i64::from(first.weekday().to_monday_zero_offset());
                on_day && ((days + into) / 7) % rule.interval == 0
            }
            Every::Month => {
                let months = (i64::from(date.year()) - i64::from(first.year())) * 12 + i64::from(date.month())
                    - i64::from(first.month());
                let on_day = if rule.days.is_empty() { date.day() == first.day() } else { by_day };
                on_day && months % rule.interval == 0
            }
        }
    }
}

fn is_nth(date: Date, nth: i8, day: Weekday) -> bool {
    if date.weekday() != day {
        return false;
    }
    let from_start = (date.day() - 1) / 7 + 1;
    let from_end = (date.days_in_month() - date.day()) / 7 + 1;
    nth == 0 || nth == from_start || nth == -from_end
}

fn parse_rule(text: &str) -> Result<Rule, String> {
    let (mut every, mut interval, mut days, mut until) = (None, 1, Vec::new(), None);
    for part in text.trim().trim_start_matches("RRULE:").split(';').filter(|p| !p.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("{part:?} has no value"))?;
        match name.to_ascii_uppercase().as_str() {
            "FREQ" => {
                every = Some(match value.to_ascii_uppercase().as_str() {
                    "DAILY" => Every::Day,
                    "WEEKLY" => Every::Week,
                    "MONTHLY" => Every::Month,
                    _ => return Err(format!("FREQ is DAILY, WEEKLY or MONTHLY, not {value}")),
                });
            }
            "INTERVAL" => {
                let given = value.parse().ok().filter(|n: &i64| (1..=1000).contains(n));
                interval = given.ok_or_else(|| format!("INTERVAL={value} is no count"))?;
            }
            "BYDAY" => {
                for day in value.split(',') {
                    days.push(parse_day(day).ok_or_else(|| format!("{day:?} is no day"))?);
                }
            }
            "UNTIL" => {
                let date = value.get(..8).filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
                let dashed = date.map(|d| format!("{}-{}-{}", &d[..4], &d[4..6], &d[6..]));
                let read = dashed.as_deref().unwrap_or(value).parse();
                until = Some(read.map_err(|_| format!("UNTIL={value} is no date"))?);
            }
            _ => return Err(format!("{name} is not known here")),
        }
    }
    let every = every.ok_or("FREQ is missing")?;
    if every != Every::Month && days.iter().any(|(nth, _)| *nth != 0) {
        return Err("only MONTHLY takes days with a number".to_owned());
    }
    Ok(Rule { every, interval, days, until })
}

fn parse_day(text: &str) -> Option<(i8, Weekday)> {
    let text = text.trim().to_ascii_uppercase();
    let (nth, name) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let day = match name {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    };
    let nth = if nth.is_empty() { 0 } else { nth.parse().ok().filter(|n: &i8| *n != 0 && (-5..=5).contains(n))? };
    Some((nth, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn what_lies_between_two_instants_is_cut_to_them() {
        let night = window("2026-01-31T22:00", 4, "Asia/Shanghai", Some("FREQ=WEEKLY"));
        let spans: Vec<_> = night.between(at("2026-01-31T16:00:00Z"), at("2026-02-14T15:00:00Z")).collect();
        let span = |from, to| (at(from), at(to));
        assert_eq!(
            spans,
            [
                span("2026-01-31T16:00:00Z", "2026-01-31T18:00:00Z"),
                span("2026-02-07T14:00:00Z", "2026-02-07T18:00:00Z"),
                span("2026-02-14T14:00:00Z", "2026-02-14T15:00:00Z"),
            ]
        );
        let once = window("2026-01-31T22:00", 4, "UTC", None);
        assert_eq!(once.between(at("2026-02-01T02:00:00Z"), at("2027-02-01T00:00:00Z")).count(), 0);
    }

    fn window(starts: &str, hours: u64, zone: &str, rule: Option<&str>) -> Schedule {
        Schedule::parse(starts, hours * 3600, zone, rule).unwrap()
    }

    #[test]
    fn a_single_window_is_once_and_its_end_is_not_in_it() {
        let once = window("2026-01-31T22:00", 2, "Asia/Shanghai", None);
        assert_eq!(once.covers(at("2026-01-31T13:59:59Z")), None);
        assert_eq!(once.covers(at("2026-01-31T14:00:00Z")), Some(at("2026-01-31T16:00:00Z")));
        assert_eq!(once.covers(at("2026-01-31T16:00:00Z")), None);
        assert_eq!(once.covers(at("2026-02-07T14:30:00Z")), None);
    }

    #[test]
    fn a_night_of_every_sunday_reaches_into_monday() {
        let weekly = window("2026-01-04T22:00", 8, "Asia/Shanghai", Some("FREQ=WEEKLY;BYDAY=SU"));
        assert_eq!(weekly.covers(at("2026-01-11T21:00:00Z")), Some(at("2026-01-11T22:00:00Z")));
        assert_eq!(weekly.covers(at("2026-01-12T21:00:00Z")), None);
    }

    #[test]
    fn every_second_week_leaves_one_out() {
        let weekly = window("2026-01-06T10:00", 1, "UTC", Some("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH"));
        assert!(weekly.covers(at("2026-01-08T10:30:00Z")).is_some());
        assert!(weekly.covers(at("2026-01-13T10:30:00Z")).is_none());
        assert!(weekly.covers(at("2026-01-20T10:30:00Z")).is_some());
    }

    #[test]
    fn the_first_saturday_and_the_last_friday_of_a_month() {
        let monthly = window("2026-01-01T02:00", 3, "UTC", Some("FREQ=MONTHLY;BYDAY=1SA,-1FR"));
        assert!(monthly.covers(at("2026-02-07T03:00:00Z")).is_some());
        assert!(monthly.covers(at("2026-02-14T03:00:00Z")).is_none());
        assert!(monthly.covers(at("2026-02-27T03:00:00Z")).is_some());
        assert!(monthly.covers(at("2026-02-20T03:00:00Z")).is_none());
    }

    #[test]
    fn a_day_that_a_month_lacks_is_left_out() {
        let monthly = window("2026-01-31T02:00", 1, "UTC", Some("FREQ=MONTHLY"));
        assert!(monthly.covers(at("2026-03-31T02:30:00Z")).is_some());
        assert!(monthly.covers(at("2026-02-28T02:30:00Z")).is_none());
    }

    #[test]
    fn a_window_keeps_its_hours_on_the_wall_over_a_change_to_summer_time() {
        let nightly = window("2026-03-01T22:00", 8, "Europe/Berlin", Some("FREQ=DAILY"));
        assert_eq!(nightly.covers(at("2026-03-28T22:00:00Z")), Some(at("2026-03-29T04:00:00Z")));
        assert_eq!(nightly.covers(at("2026-03-27T22:00:00Z")), Some(at("2026-03-28T05:00:00Z")));
    }

    #[test]
    fn a_rule_ends_with_its_until() {
        let daily = window("2026-01-01T10:00", 1, "UTC", Some("FREQ=DAILY;UNTIL=20260103"));
        assert!(daily.covers(at("2026-01-03T10:30:00Z")).is_some());
        assert!(daily.covers(at("2026-01-04T10:30:00Z")).is_none());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for rule in
            ["FREQ=YEARLY", "BYDAY=MO", "FREQ=WEEKLY;BYDAY=1MO", "FREQ=DAILY;COUNT=3", "FREQ=WEEKLY;BYDAY=XX", "FREQ"]
        {
            assert!(Schedule::parse("2026-01-01T00:00", 3600, "UTC", Some(rule)).is_err(), "{rule}");
        }
        assert!(Schedule::parse("tomorrow", 3600, "UTC", None).is_err());
        assert!(Schedule::parse("2026-01-01T00:00", 3600, "Mars/Olympus", None).is_err());
        assert!(Schedule::parse("2026-01-01T00:00", 1, "UTC", None).is_err());
    }
}
