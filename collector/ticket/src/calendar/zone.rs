//! Local times of a zone as instants, and days as numbers.

use super::Window;
use jiff::civil::{Date, DateTime, Time, date};
use jiff::tz::TimeZone;
use outband_schemas::Timestamp;

/// Days since 1970-01-01.
pub(super) type Day = i32;

pub(super) const DAY_MS: i64 = 86_400_000;

/// Beyond these the zone data knows no days.
pub(super) const LAST_DAY: Day = 2_932_890;
const FIRST_DAY: Day = -4_371_580;

/// The version of the IANA time zone database that every computation uses, e.g. `2026e`. It is part of the program, so that one
/// release answers alike on every machine; the machine's own zone files are not asked.
pub fn tzdb_version() -> &'static str {
    env!("OUTBAND_TZDB_VERSION")
}

/// An instant as the zone data knows it.
pub(super) fn instant(at: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(at.as_millis()).ok()
}

/// The number of a date.
pub(super) fn day_of(on: Date) -> Day {
    let hours = on.duration_since(date(1970, 1, 1)).as_hours();
    Day::try_from(hours.div_euclid(24)).unwrap_or(LAST_DAY)
}

/// The date of a number.
pub(super) fn date_of(day: Day) -> Option<Date> {
    if !(FIRST_DAY..=LAST_DAY).contains(&day) {
        return None;
    }
    date(1970, 1, 1).checked_add(jiff::Span::new().try_days(day).ok()?).ok()
}

/// 0 is Monday.
pub(super) fn weekday_of(day: Day) -> usize {
    usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0)
}

/// The instant of a local time, "compatible": the one place where gaps and folds are decided.
pub(super) fn local_instant(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    let at = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}

/// The instants of a window's edges on a day whose clocks may change.
fn edges(zone: &TimeZone, day: Day, window: Window) -> Option<(Timestamp, Timestamp)> {
    let edge = |seconds: i32| {
        let (day, seconds) = (day + seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let time = Time::new(i8::try_from(h).ok()?, i8::try_from(m).ok()?, i8::try_from(s).ok()?, 0).ok()?;
        local_instant(zone, date_of(day)?.to_datetime(time))
    };
    Some((edge(window.0)?, edge(window.1)?))
}

/// A stretch of time in which a zone keeps its offset, so that most days need no look into the zone data.
#[derive(Debug, Clone)]
pub(super) struct Stretch<'a> {
    zone: &'a TimeZone,
    /// Milliseconds, half open.
    from: i64,
    until: i64,
    /// Local minus UTC, in milliseconds.
    offset: i64,
}

impl<'a> Stretch<'a> {
    pub(super) fn around(zone: &'a TimeZone, at: Timestamp) -> Self {
        let at = instant(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let offset = i64::from(zone.to_offset(at).seconds()) * 1000;
        // "Preceding" leaves out a change at the very instant, which is already in force then.
        let just_after = jiff::Timestamp::from_millisecond(at.as_millisecond().saturating_add(1)).unwrap_or(at);
        let from = zone.preceding(just_after).next().map_or(i64::MIN, |t| t.timestamp().as_millisecond());
        let until = zone.following(at).next().map_or(i64::MAX, |t| t.timestamp().as_millisecond());
        Self { zone, from, until, offset }
    }

    /// The instant of a day's first moment, in milliseconds, if no change of clocks is near: all local times from a day before
    /// until three days after lie at this offset then, even where a change skips or doubles a whole day.
    pub(super) fn calm(&mut self, day: Day) -> Option<i64> {
        let local = i64::from(day) * DAY_MS;
        if local - self.offset < self.from || local - self.offset >= self.until {
            *self = Self::around(self.zone, Timestamp::from_millis(local));
        }
        let at = local - self.offset;
        (at - 2 * DAY_MS >= self.from && at + 4 * DAY_MS <= self.until).then_some(at)
    }

    /// A window of a day as instants; `None` where nothing is left of it.
    pub(super) fn span(&mut self, day: Day, window: Window) -> Option<(Timestamp, Timestamp)> {
        let (from, to) = match self.calm(day) {
            Some(midnight) => {
                let edge = |seconds: i32| Timestamp::from_millis(midnight + i64::from(seconds) * 1000);
                (edge(window.0), edge(window.1))
            }
            None => edges(self.zone, day, window)?,
        };
        (from < to).then_some((from, to))
    }
}
