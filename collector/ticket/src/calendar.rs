//! Business time: which instants are open, and arithmetic over them.
//!
//! Conventions. A window is `[start, end)` in the calendar's zone; an end at or before its start lies on the next local
//! day, and 24:00 is the next day's 00:00. A date in `overrides` replaces the week's windows, even on a holiday; then
//! `holidays` and `holidays_yearly` close the day; then `breaks` cut pieces out. A local time that a change of clocks skips is shifted
//! forward by the gap, one that comes twice is the first (RFC 5545), for both edges alike, so that adjacent windows tile. Durations
//! are real seconds.

mod periods;
mod spec;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use outband_schemas::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use spec::{CalendarError, CalendarSpec, Week};

/// A span of time, half open: from, to.
pub type Span = (Timestamp, Timestamp);

/// How far ahead or back an answer is searched, in days: beyond it there is none.
const HORIZON_DAYS: i64 = 366 * 12;

/// Local seconds of a day, `[start, end)`; an end beyond 86,400 lies on the next day.
type Window = (i32, i32);

/// Open hours in a zone, with holidays. Made from a [`CalendarSpec`], or [`Calendar::always`].
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
    /// Monday first.
    week: [Vec<Window>; 7],
    holidays: BTreeSet<Date>,
    /// Month and day.
    yearly: BTreeSet<(i8, i8)>,
    overrides: BTreeMap<Date, Vec<Window>>,
    breaks: BTreeMap<Date, Vec<Window>>,
    always: bool,
}

impl Calendar {
    /// Open around the clock.
    pub fn always() -> Self {
        Self {
            zone: TimeZone::UTC,
            week: std::array::from_fn(|_| vec![(0, 86_400)]),
            holidays: BTreeSet::new(),
            yearly: BTreeSet::new(),
            overrides: BTreeMap::new(),
            breaks: BTreeMap::new(),
            always: true,
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
        let horizon = horizon(at);
        let mut periods = self.periods(at);
        let (_, mut end) = periods.next()?;
        for (from, to) in periods {
            if from > end {
                return Some(end);
            }
            if to > horizon {
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
        for (from, to) in self.pieces(start, horizon(start), pauses) {
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
        if to <= from {
            return Duration::ZERO;
        }
        self.pieces(from, to, pauses).map(|(start, end)| end.since(start)).sum()
    }

    /// The latest instant at or before `anchor` from which exactly `offset` of open time remains until `anchor`.
    pub fn before(&self, anchor: Timestamp, offset: Duration) -> Option<Timestamp> {
        if offset.is_zero() {
            return Some(anchor);
        }
        let mut days: i64 = 8;
        while days <= HORIZON_DAYS * 2 {
            let begin = anchor.minus(Duration::from_secs(86_400 * days.unsigned_abs()));
            let open: Vec<Span> = self
                .periods(begin)
                .take_while(|(from, _)| *from < anchor)
                .map(|(from, to)| (from.max(begin), to.min(anchor)))
                .collect();
            let mut left = offset;
            for (from, to) in open.iter().rev() {
                let length = to.since(*from);
                if left <= length {
                    return Some(to.minus(left));
                }
                left -= length;
            }
            days *= 2;
        }
        None
    }

    /// `days` business days (days with any window) after `start`, before it where negative: at the same local time of day, or
    /// the first open instant after it; with `end_of_day` at the end of that day's last window.
    pub fn due_days(&self, start: Timestamp, days: i32, end_of_day: bool) -> Option<Timestamp> {
        let local = periods::instant(start)?.to_zoned(self.zone.clone()).datetime();
        let mut date = local.date();
        let (mut left, back) = (days.unsigned_abs(), days < 0);
        let mut searched = 0;
        while left > 0 || (end_of_day && self.windows(date).is_empty()) {
            date = if back { date.yesterday() } else { date.tomorrow() }.ok()?;
            searched += 1;
            if searched > HORIZON_DAYS {
                return None;
            }
            if left > 0 && !self.windows(date).is_empty() {
                left -= 1;
            }
        }
        if end_of_day {
            return self.day(date).into_iter().map(|(_, to)| to).max();
        }
        let same_time = if days == 0 { start } else { self.local_instant(date.to_datetime(local.time()))? };
        self.opens_at(same_time)
    }
}

fn horizon(at: Timestamp) -> Timestamp {
    at.plus(Duration::from_secs(86_400 * HORIZON_DAYS.unsigned_abs()))
}

#[cfg(test)]
mod tests;
