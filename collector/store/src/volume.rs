//! Which file of history holds what. Pure.
//!
//! Readings lie in a file for each week, buckets of five minutes in one for each month, hours in one for each year, all in UTC.
//! So what is too old goes by unlinking a file, and what is closed does not change any more. Within a file a row holds two
//! hours, a day or a month of one sensor. What lies outside of [1970, 2200) was stamped by a clock that is wrong: it stays in
//! the main file.

use crate::head::WINDOW_MS;
use crate::rollup::Resolution;
use outband_schemas::Timestamp;

const DAY_MS: i64 = 86_400_000;
/// 2200-01-01, in days since 1970.
const LAST_DAY: i64 = 84_006;
/// The bits of a key that hold the series.
const SERIES_BITS: u32 = 40;

/// What a file of history holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Readings as they were taken.
    Raw,
    /// Buckets.
    Rolled(Resolution),
}

impl Class {
    /// All, the finest first.
    pub const ALL: [Class; 3] = [Self::Raw, Self::Rolled(Resolution::FiveMinutes), Self::Rolled(Resolution::Hour)];

    /// The stable number: it is in stores.
    pub fn number(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::Rolled(Resolution::FiveMinutes) => 1,
            Self::Rolled(Resolution::Hour) => 2,
        }
    }

    /// The class of a stable number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.number() == number)
    }

    /// The word used in output and in the names of files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Rolled(resolution) => resolution.as_str(),
        }
    }

    /// The span of the row that holds this time, in milliseconds since 1970, half open. `None` outside of the calendar.
    pub fn row(self, at: Timestamp) -> Option<(i64, i64)> {
        let day = day_of(at)?;
        Some(match self {
            Self::Raw => {
                let start = at.as_millis() - at.as_millis().rem_euclid(WINDOW_MS);
                (start, start + WINDOW_MS)
            }
            Self::Rolled(Resolution::FiveMinutes) => (day * DAY_MS, (day + 1) * DAY_MS),
            Self::Rolled(Resolution::Hour) => {
                let (year, month, _) = date(day);
                (first_of(year, month) * DAY_MS, first_of(year, month + 1) * DAY_MS)
            }
        })
    }
}

/// A file of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Volume {
    /// What it holds.
    pub class: Class,
    /// The first moment of its span, in milliseconds since 1970.
    pub start: i64,
    /// The first moment after its span.
    pub end: i64,
}

impl Volume {
    /// The first moment, in milliseconds since 1970, that is not of the calendar any more.
    pub const END: i64 = LAST_DAY * DAY_MS;

    /// So many keys has a span in a file.
    pub const KEYS: i64 = 1 << SERIES_BITS;

    /// The file that holds this time. `None` outside of the calendar.
    pub fn holding(class: Class, at: Timestamp) -> Option<Self> {
        let day = day_of(at)?;
        let (year, month, _) = date(day);
        let (first, next) = match class {
            Class::Raw => {
                let monday = day - weekday(day);
                (monday, monday + 7)
            }
            Class::Rolled(Resolution::FiveMinutes) => (first_of(year, month), first_of(year, month + 1)),
            Class::Rolled(Resolution::Hour) => (first_of(year, 1), first_of(year + 1, 1)),
        };
        Some(Self { class, start: first * DAY_MS, end: next * DAY_MS })
    }

    /// The file's name, e.g. `raw-2026-W47.db`, `5m-2026-11.db`, `1h-2026.db`. Weeks are those of ISO 8601.
    pub fn file_name(&self) -> String {
        let day = self.start.div_euclid(DAY_MS);
        let (year, month, _) = date(day);
        let word = self.class.as_str();
        match self.class {
            Class::Raw => {
                // A week is of the year that its Thursday is in.
                let (year, ..) = date(day + 3);
                format!("{word}-{year:04}-W{:02}.db", (day + 3 - first_of(year, 1)) / 7 + 1)
            }
            Class::Rolled(Resolution::FiveMinutes) => format!("{word}-{year:04}-{month:02}.db"),
            Class::Rolled(Resolution::Hour) => format!("{word}-{year:04}.db"),
        }
    }

    /// The file of this name, where it is one of ours.
    pub fn named(name: &str) -> Option<Self> {
        let (word, rest) = name.strip_suffix(".db")?.split_once('-')?;
        let class = Class::ALL.into_iter().find(|c| c.as_str() == word)?;
        let (year, part) = rest.split_once('-').unwrap_or((rest, "1"));
        let (year, part): (i64, i64) = (year.parse().ok()?, part.trim_start_matches('W').parse().ok()?);
        if !(1970..2200).contains(&year) || !(1..=53).contains(&part) {
            return None;
        }
        let day = match class {
            // The fourth of January is always in the first week.
            Class::Raw => first_of(year, 1) + 3 + 7 * (part - 1),
            Class::Rolled(_) => first_of(year, part.min(12)),
        };
        let volume = Self::holding(class, Timestamp::from_millis(day * DAY_MS))?;
        (volume.file_name() == name).then_some(volume)
    }

    /// The key of a row in the file: the place of its span in the file's, above the series. So the rows of one span lie
    /// together, as they are written, and a key is short.
    pub fn key(&self, start: i64, series: i64) -> Option<i64> {
        let fits = (self.start..self.end).contains(&start) && (0..1 << SERIES_BITS).contains(&series);
        fits.then(|| (self.slot(start) << SERIES_BITS) | series)
    }

    /// The series of a row's key.
    pub fn series(key: i64) -> i64 {
        key & ((1 << SERIES_BITS) - 1)
    }

    /// The starts of the rows in the file that touch a span, half open.
    pub fn rows(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = i64> + use<> {
        let class = self.class;
        let last = self.end.min(to.as_millis());
        // The first week of the calendar begins before it.
        let mut at = class.row(Timestamp::from_millis(from.as_millis().max(self.start).max(0)));
        std::iter::from_fn(move || {
            let (start, end) = at.filter(|(start, _)| *start < last)?;
            at = class.row(Timestamp::from_millis(end));
            Some(start)
        })
    }

    fn slot(&self, start: i64) -> i64 {
        match self.class {
            Class::Raw => (start - self.start) / WINDOW_MS,
            Class::Rolled(Resolution::FiveMinutes) => (start - self.start) / DAY_MS,
            Class::Rolled(Resolution::Hour) => date(start.div_euclid(DAY_MS)).1 - 1,
        }
    }
}

fn day_of(at: Timestamp) -> Option<i64> {
    let day = at.as_millis().div_euclid(DAY_MS);
    (0..LAST_DAY).contains(&day).then_some(day)
}

/// Days since the Monday of the week.
fn weekday(day: i64) -> i64 {
    // 1970-01-01 was a Thursday.
    (day + 3).rem_euclid(7)
}

/// Year, month and day of a day since 1970 (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn date(day: i64) -> (i64, i64, i64) {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// The first of a month, in days since 1970; month 13 is the next January.
fn first_of(year: i64, month: i64) -> i64 {
    let (year, month) = if month > 12 { (year + 1, month - 12) } else { (year, month) };
    let shifted_year = year - i64::from(month <= 2);
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn name(class: Class, text: &str) -> String {
        Volume::holding(class, at(text)).unwrap().file_name()
    }

    #[test]
    fn files_are_named_by_week_month_and_year() {
        assert_eq!(name(Class::Raw, "2026-11-22T23:59:59Z"), "raw-2026-W47.db");
        assert_eq!(name(Class::Raw, "2026-11-23T00:00:00Z"), "raw-2026-W48.db");
        assert_eq!(name(Class::Raw, "2027-01-03T12:00:00Z"), "raw-2026-W53.db");
        assert_eq!(name(Class::Raw, "2024-12-30T00:00:00Z"), "raw-2025-W01.db");
        assert_eq!(name(Class::Rolled(Resolution::FiveMinutes), "2028-02-29T23:00:00Z"), "5m-2028-02.db");
        assert_eq!(name(Class::Rolled(Resolution::Hour), "2027-12-31T23:00:00Z"), "1h-2027.db");
    }

    #[test]
    fn what_a_wrong_clock_stamped_has_no_file() {
        for text in ["1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z"] {
            assert_eq!(Volume::holding(Class::Raw, at(text)), None, "{text}");
        }
        assert!(Volume::holding(Class::Raw, Timestamp::from_millis(i64::MAX)).is_none());
        assert!(Volume::holding(Class::Raw, Timestamp::from_millis(i64::MIN)).is_none());
        assert!(Volume::holding(Class::Raw, at("2199-12-31T23:59:59Z")).is_some());
    }

    #[test]
    fn the_first_days_of_1970_have_rows_though_their_week_began_before() {
        let first = Volume::holding(Class::Raw, Timestamp::EPOCH).unwrap();
        assert!(first.start < 0);
        let all = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
        let rows: Vec<i64> = first.rows(all.0, all.1).collect();
        assert_eq!((rows.len(), rows[0]), (4 * 12, 0));
        assert!(rows.iter().all(|start| first.key(*start, 1).is_some()));
    }

    #[test]
    fn a_name_that_is_none_of_ours_is_no_file() {
        for name in [
            "raw-2026-W54.db",
            "raw-2025-W53.db",
            "raw-2026-W1.db",
            "5m-2026-13.db",
            "1h-2026-01.db",
            "5m-2026.db",
            "store.db",
            "raw-2026-W47.db-journal",
        ] {
            assert_eq!(Volume::named(name), None, "{name}");
        }
    }

    #[test]
    fn the_rows_of_a_file_are_those_that_touch_the_span() {
        let month = Volume::holding(Class::Rolled(Resolution::FiveMinutes), at("2026-11-22T00:00:00Z")).unwrap();
        let days = |from, to| month.rows(at(from), at(to)).count();
        assert_eq!(days("2026-11-22T23:00:00Z", "2026-11-23T00:00:00Z"), 1);
        assert_eq!(days("2026-11-22T23:00:00Z", "2026-11-23T00:00:01Z"), 2);
        assert_eq!(days("2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"), 30);
        let year = Volume::holding(Class::Rolled(Resolution::Hour), at("2026-11-22T00:00:00Z")).unwrap();
        assert_eq!(year.rows(at("2020-01-01T00:00:00Z"), at("2030-01-01T00:00:00Z")).count(), 12);
    }

    proptest! {
        #[test]
        fn a_file_holds_its_rows_and_each_row_has_a_key_of_its_own(ms in 0..LAST_DAY * DAY_MS, series in 0i64..1 << 40) {
            for class in Class::ALL {
                let moment = Timestamp::from_millis(ms);
                let volume = Volume::holding(class, moment).unwrap();
                let (start, end) = class.row(moment).unwrap();
                prop_assert_eq!(Volume::named(&volume.file_name()), Some(volume));
                prop_assert!(volume.start <= start && start <= ms && ms < end && end <= volume.end);
                let key = volume.key(start, series).unwrap();
                prop_assert_eq!(Volume::series(key), series);
                let others: Vec<i64> = volume.rows(Timestamp::EPOCH, Timestamp::from_millis(i64::MAX)).collect();
                let keys: std::collections::BTreeSet<_> = others.iter().filter_map(|s| volume.key(*s, series)).collect();
                prop_assert!(others.len() == keys.len() && keys.contains(&key) && key >= 0);
            }
        }

        #[test]
        fn dates_go_there_and_back(day in -200_000i64..200_000) {
            let (year, month, of_month) = date(day);
            prop_assert_eq!(first_of(year, month) + of_month - 1, day);
            let text = Timestamp::from_secs(day * 86_400).to_string();
            if (1970..2200).contains(&year) {
                prop_assert_eq!(format!("{year:04}-{month:02}-{of_month:02}"), text[..10].to_owned());
            }
        }
    }
}
