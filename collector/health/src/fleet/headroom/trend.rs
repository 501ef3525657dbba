//! How something goes on from day to day, and when it reaches its limit.

use crate::outlook::line::Slope;
use crate::stats::median;

/// So many days at least tell a trend: two whole weeks, as weekends differ.
pub const LEAST_DAYS: usize = 14;
/// What lies farther ahead is not told.
pub const AHEAD_DAYS: f64 = 365.0;

/// A line through the p95 of days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// What a day adds: the median of the slopes of all pairs of days (Theil 1950, Sen 1968).
    pub a_day: f64,
    /// The interval that holds 80 of 100.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Where the line is on the newest day.
    pub now: f64,
    /// How far to each side of that 80 of 100 lie.
    pub aside: f64,
    /// The newest day, since 1970.
    pub last: i32,
    /// Days that it goes through.
    pub days: usize,
}

/// A line, or too few days for one: so many.
pub type Trend = Result<Line, usize>;

/// Of the days, in their order.
pub fn trend(days: &[(i32, f64)]) -> Trend {
    let points: Vec<(f64, f64)> = days.iter().map(|(date, value)| (f64::from(*date), *value)).collect();
    let enough = (points.len() >= LEAST_DAYS).then_some(points.len());
    let line = enough.and_then(|count| {
        let slope = Slope::of(&points)?;
        let last = days.last()?.0;
        let apart = |(x, y): &(f64, f64)| y - slope.rate * x;
        let middle = median(points.iter().map(apart))?;
        let spread = 1.4826 * median(points.iter().map(|p| (apart(p) - middle).abs()))?;
        // A line's end is twice as uncertain as its middle.
        let aside = 2.0 * 1.2816 * spread / f64::from(u32::try_from(count).unwrap_or(u32::MAX)).sqrt();
        let now = middle + slope.rate * f64::from(last);
        Some(Line { a_day: slope.rate, low: slope.low, high: slope.high, now, aside, last, days: count })
    });
    line.ok_or(points.len())
}

/// When a limit is reached. Days are counted since 1970.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Full {
    /// It is already.
    Already,
    /// Perhaps from the first day on.
    From {
        /// The first day of the interval that holds 80 of 100.
        first: i32,
        /// If it goes on as the line does; `None`: not within a year.
        likely: Option<i32>,
        /// The last day of the interval; `None`: not within a year.
        last: Option<i32>,
    },
    /// Not within a year, at the upper end of the interval either.
    NotWithinYear,
}

impl Line {
    /// When it reaches a limit.
    pub fn full(&self, limit: f64) -> Full {
        if self.now >= limit {
            return Full::Already;
        }
        let day = |left: f64, rate: f64| {
            let days = if left <= 0.0 {
                0.0
            } else if rate > 0.0 {
                left / rate
            } else {
                f64::INFINITY
            };
            (days <= AHEAD_DAYS).then(|| self.last.saturating_add(whole(days)))
        };
        let left = limit - self.now;
        match day(left - self.aside, self.high) {
            None => Full::NotWithinYear,
            Some(first) => Full::From { first, likely: day(left, self.a_day), last: day(left + self.aside, self.low) },
        }
    }
}

/// Days that are at most a year.
#[expect(clippy::cast_possible_truncation, reason = "at most a year")]
fn whole(days: f64) -> i32 {
    days.ceil().clamp(0.0, AHEAD_DAYS) as i32
}
