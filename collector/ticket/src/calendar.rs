//! Business time: which instants are open, and arithmetic over them.
//!
//! Conventions. A window is `[start, end)` in the calendar's zone; an end at or before its start lies on the next local
//! day, and 24:00 is the next day's 00:00. The windows of a date are, in this order: its `overrides`, even on a holiday; those of the
//! weekday as which it is made up for (`make_up`); none on `holidays` and `holidays_yearly`; those of the `week`. Then `breaks`
//! cut out pieces of local time, whichever date's window they fall into; `weekly_breaks` do so too, except on a date with
//! overrides. A local time that a change of clocks skips is shifted forward by the gap, one that comes twice is the first
//! (RFC 5545), for both edges alike, so that adjacent windows tile; a window that ends up empty is none. Durations are real seconds.

pub mod ical;
mod periods;
mod revision;
pub mod shipped;
mod spec;
mod zone;

use jiff::tz::TimeZone;
use outband_schemas::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use revision::{Basis, CalendarRevision, Change, Flag};
pub use spec::{CalendarError, CalendarSpec, Week, Weekday};
pub use zone::tzdb_version;
use zone::{Day, Stretch, date_of, day_of, instant};

/// A span of time, half open: from, to.
pub type Span = (Timestamp, Timestamp);

/// How far ahead or back an answer is searched, in days: beyond it there is none. A thousand years of a calendar that opens a minute
/// a week are walked in less than a second.
const HORIZON_DAYS: i32 = 366 * 1000;

/// Where nothing opens for so many days, nothing does.
const EMPTY_DAYS: i32 = 366 * 12;

/// Local seconds of a day, `[start, end)`; an end beyond 86,400 lies on the next day.
type Window = (i32, i32);

/// Open hours in a zone, with holidays. Made from a [`CalendarSpec`], or [`Calendar::always`].
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
    /// Monday first.
    week: [Vec<Window>; 7],
    weekly_breaks: [Vec<Window>; 7],
    holidays: BTreeSet<Day>,
    /// Month and day.
    yearly: BTreeSet<(i8, i8)>,
    /// The weekday whose hours the day has, 0 for Monday.
    make_up: BTreeMap<Day, usize>,
    overrides: BTreeMap<Day, Vec<Window>>,
    breaks: BTreeMap<Day, Vec<Window>>,
    has_breaks: bool,
    /// The last day that is unlike its week.
    last_exception: Day,
    /// Open around the clock, so that no zone matters.
    always: bool,
    basis: Basis,
    /// The time for which holidays are known, where they are not known for all of it.
    valid: Option<Span>,
}

impl Calendar {
    /// Open around the clock.
    pub fn always() -> Self {
        Self {
            zone: TimeZone::UTC,
            week: std::array::from_fn(|_| vec![(0, 86_400)]),
            weekly_breaks: std::array::from_fn(|_| Vec::new()),
            holidays: BTreeSet::new(),
            yearly: BTreeSet::new(),
            make_up: BTreeMap::new(),
            overrides: BTreeMap::new(),
            breaks: BTreeMap::new(),
            has_breaks: false,
            last_exception: 0,
            always: true,
            basis: Basis::new("always", 0),
            valid: None,
        }
    }

    /// The zone in which the windows are local.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Whether `at` is open.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.periods(at).next().is_some_and(|(from, _)| from <= at)
    }

    /// The earliest open instant at or after `at`.
    pub fn opens_at(&self, at: Timestamp) -> Option<Timestamp> {
        self.periods(at).next().map(|(from, _)| from.max(at))
    }

    /// The end of the open period that holds `at`, else of the next one; adjacent windows are one period. `None` where it
    /// never ends.
    pub fn closes_at(&self, at: Timestamp) -> Option<Timestamp> {
        if self.always {
            return None;
        }
        let never = days_after(at, EMPTY_DAYS);
        let mut periods = self.periods(at);
        let (_, mut end) = periods.next()?;
        for (from, to) in periods {
            if from > end {
                break;
            }
            if to > never {
                return None;
            }
            end = to;
        }
        Some(end)
    }

    /// The earliest instant at which `target` of open time outside `pauses` has passed since `start`. An exact fit lands on
    /// closing time, not on the next opening. A target of zero is due at the first open instant.
    pub fn due(&self, start: Timestamp, target: Duration, pauses: &[Span]) -> Option<Timestamp> {
        let mut left = target;
        // After a pause that never ends nothing is open.
        let endless = pauses.iter().filter(|(_, end)| end.as_millis() == i64::MAX).map(|(begin, _)| *begin).min();
        let until = days_after(start, HORIZON_DAYS).min(endless.unwrap_or(Timestamp::from_millis(i64::MAX)));
        for (from, to) in self.pieces(start, until, pauses) {
            let length = to.since(from);
            if left <= length {
                return Some(from.plus(left));
            }
            left -= length;
        }
        None
    }

    /// Open time outside `pauses` in `[from, to)`; zero where `to` is not after `from`.
    pub fn elapsed(&self, from: Timestamp, to: Timestamp, pauses: &[Span]) -> Duration {
        self.counted(from, to, pauses).map(|(start, end)| end.since(start)).sum()
    }

    /// The spans whose sum [`Calendar::elapsed`] is, in order, so that it can be redone by hand.
    pub fn counted<'a>(
        &'a self,
        from: Timestamp,
        to: Timestamp,
        pauses: &'a [Span],
    ) -> impl Iterator<Item = Span> + 'a {
        self.pieces(from, to.max(from), pauses)
    }

    /// The latest instant at or before `anchor` from which exactly `offset` of open time outside `pauses` remains until `anchor`.
    pub fn before(&self, anchor: Timestamp, offset: Duration, pauses: &[Span]) -> Option<Timestamp> {
        if offset.is_zero() {
            return Some(anchor);
        }
        let mut days: i32 = 4;
        while days < HORIZON_DAYS {
            days *= 2;
            let begin = days_before(anchor, days);
            let elapsed = self.elapsed(begin, anchor, pauses);
            if elapsed.is_zero() && days > EMPTY_DAYS && begin < self.first_exception() {
                return None;
            }
            let Some(mut spare) = elapsed.checked_sub(offset) else { continue };
            for (from, to) in self.pieces(begin, anchor, pauses) {
                let length = to.since(from);
                if spare < length {
                    return Some(from.plus(spare));
                }
                spare -= length;
            }
        }
        None
    }

    /// `days` business days (days on which a window begins) after `start`, before it where negative: at the same local time of
    /// day, or the first open instant after it; with `end_of_day` at the end of that day's last window.
    pub fn due_days(&self, start: Timestamp, days: i32, end_of_day: bool) -> Option<Timestamp> {
        let local = instant(start)?.to_zoned(self.zone.clone()).datetime();
        let first = day_of(local.date());
        let mut day = first;
        let (mut left, step) = (days.unsigned_abs(), if days < 0 { -1 } else { 1 });
        let (mut found, mut stretch) = (first, Stretch::around(&self.zone, start));
        while left > 0 || (end_of_day && self.day(day, &mut stretch).is_empty()) {
            day += step;
            // One that never opens is not searched for a thousand years.
            let barren = (day - found).abs() > EMPTY_DAYS && !self.exceptions().contains(&day);
            if barren || (day - first).abs() > HORIZON_DAYS {
                return None;
            }
            if left > 0 && !self.day(day, &mut stretch).is_empty() {
                (left, found) = (left - 1, day);
            }
        }
        if end_of_day {
            return self.day(day, &mut stretch).into_iter().map(|(_, to)| to).max();
        }
        let same_time = if days == 0 { start } else { self.local_instant(date_of(day)?.to_datetime(local.time()))? };
        self.opens_at(same_time)
    }
}

impl Calendar {
    /// The days among which those that are unlike their week lie.
    fn exceptions(&self) -> std::ops::RangeInclusive<Day> {
        let firsts = [self.overrides.keys().next(), self.make_up.keys().next()];
        firsts.into_iter().flatten().min().copied().unwrap_or(Day::MAX)..=self.last_exception
    }

    /// A time before all of them.
    fn first_exception(&self) -> Timestamp {
        Timestamp::from_millis((i64::from(*self.exceptions().start()) - 3).saturating_mul(zone::DAY_MS))
    }
}

fn days_after(at: Timestamp, days: i32) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_add(i64::from(days) * zone::DAY_MS))
}

fn days_before(at: Timestamp, days: i32) -> Timestamp {
    days_after(at, -days)
}

#[cfg(test)]
mod tests;
