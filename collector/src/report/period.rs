//! The time that a report is about: a month or a year as a zone's calendar has it.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use outband_schemas::Timestamp;
use serde::Serialize;

/// A month or a year of a zone, `[from, to)`. Months are as long as they are there: one with a change of clocks has an hour more or less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Period {
    /// `2026-10`, or `2026`.
    pub label: String,
    /// The IANA name of the zone.
    pub zone: String,
    /// Its first instant.
    #[serde(serialize_with = "super::json::time")]
    pub from: Timestamp,
    /// The first instant after it.
    #[serde(serialize_with = "super::json::time")]
    pub to: Timestamp,
}

/// The text names no such time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No month and no year.
    #[error("{0:?} is neither a month such as 2026-10 nor a year such as 2026")]
    Label(String),
    /// No zone.
    #[error("{0:?} is no time zone such as Asia/Shanghai")]
    Zone(String),
}

impl Period {
    /// The month or year of this label in the zone of this IANA name.
    pub fn parse(label: &str, zone: &str) -> Result<Self, Error> {
        let bad = || Error::Label(label.to_owned());
        let tz = TimeZone::get(zone).map_err(|_| Error::Zone(zone.to_owned()))?;
        let number = |text: &str, digits: usize| {
            let plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| text.parse::<i16>().ok()).flatten().ok_or_else(bad)
        };
        let (first, after) = match label.split_once('-') {
            None => {
                let year = number(label, 4)?;
                (Date::new(year, 1, 1), Date::new(year.saturating_add(1), 1, 1))
            }
            Some((year, month)) => {
                let (year, month) = (number(year, 4)?, i8::try_from(number(month, 2)?).map_err(|_| bad())?);
                let after = if month == 12 { (year.saturating_add(1), 1) } else { (year, month.saturating_add(1)) };
                (Date::new(year, month, 1), Date::new(after.0, after.1, 1))
            }
        };
        let begins = |day: Result<Date, jiff::Error>| {
            // A midnight that a change of clocks skips is the first instant after it; of two, the first.
            let midnight = day.and_then(|day| day.at(0, 0, 0, 0).to_zoned(tz.clone()));
            midnight.map(|z| Timestamp::from_millis(z.timestamp().as_millisecond())).map_err(|_| bad())
        };
        Ok(Self { label: label.to_owned(), zone: zone.to_owned(), from: begins(first)?, to: begins(after)? })
    }

    /// The month that an instant lies in.
    pub fn month_of(at: Timestamp, zone: &str) -> Result<Self, Error> {
        let tz = TimeZone::get(zone).map_err(|_| Error::Zone(zone.to_owned()))?;
        let instant = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let day = instant.to_zoned(tz).date();
        Self::parse(&format!("{:04}-{:02}", day.year(), day.month()), zone)
    }

    /// Whether an instant lies in it.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// An instant as clocks on the wall of a zone show it, with their offset: `2026-10-01T08:15:00+08:00`.
pub fn local(at: Timestamp, zone: &TimeZone) -> String {
    let instant = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    instant.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// Days since 1899-12-30 on those clocks: how spreadsheets count time.
pub fn serial(at: Timestamp, zone: &TimeZone) -> f64 {
    let instant = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let local = instant.to_zoned(zone.clone()).datetime();
    let days = (local.date() - date(1899, 12, 30)).get_days();
    let secs = i32::from(local.hour()) * 3600 + i32::from(local.minute()) * 60 + i32::from(local.second());
    f64::from(days) + f64::from(secs) / 86_400.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hours(label: &str, zone: &str) -> u64 {
        let p = Period::parse(label, zone).unwrap();
        p.to.since(p.from).as_secs() / 3600
    }

    #[test]
    fn a_month_is_as_long_as_it_is_in_its_zone() {
        assert_eq!(hours("2026-10", "Asia/Shanghai"), 31 * 24);
        assert_eq!(hours("2026-10", "Europe/Berlin"), 31 * 24 + 1);
        assert_eq!(hours("2026-03", "Europe/Berlin"), 31 * 24 - 1);
        assert_eq!(hours("2028-02", "UTC"), 29 * 24);
        assert_eq!(hours("2100-02", "UTC"), 28 * 24);
        assert_eq!(hours("2028", "UTC"), 366 * 24);
    }

    #[test]
    fn a_month_begins_at_its_zones_midnight() {
        let p = Period::parse("2026-10", "Asia/Shanghai").unwrap();
        assert_eq!(
            (p.from.to_string().as_str(), p.to.to_string().as_str()),
            ("2026-09-30T16:00:00Z", "2026-10-31T16:00:00Z")
        );
        assert!(p.holds(p.from) && !p.holds(p.to));
        // Havana's clocks skipped from 24:00 to 01:00 on 1 April 2012.
        let p = Period::parse("2012-04", "America/Havana").unwrap();
        assert_eq!(p.from.to_string(), "2012-04-01T05:00:00Z");
    }

    #[test]
    fn what_is_no_month_and_no_zone_is_refused() {
        for wrong in ["", "2026-13", "2026-00", "26-10", "2026-1", "2026-10-01", "october", "+026-10"] {
            assert!(matches!(Period::parse(wrong, "UTC"), Err(Error::Label(_))), "{wrong}");
        }
        assert!(matches!(Period::parse("2026-10", "Mars/Olympus"), Err(Error::Zone(_))));
    }

    #[test]
    fn spreadsheets_count_days_from_1899() {
        let at: Timestamp = "2026-10-01T04:00:00Z".parse().unwrap();
        let tz = TimeZone::get("Asia/Shanghai").unwrap();
        assert!((serial(at, &tz) - 46_296.5).abs() < 1e-9);
        assert_eq!(local(at, &tz), "2026-10-01T12:00:00+08:00");
    }

    proptest! {
        #[test]
        fn each_instant_lies_in_exactly_one_month(ms in 1_500_000_000_000_i64..2_000_000_000_000, zone in prop::sample::select(vec![
            "UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia",
        ])) {
            let at = Timestamp::from_millis(ms);
            let month = Period::month_of(at, zone).unwrap();
            prop_assert!(month.holds(at));
            let next = Period::month_of(month.to, zone).unwrap();
            prop_assert_eq!(next.from, month.to);
            prop_assert!(!next.holds(at));
        }
    }
}
