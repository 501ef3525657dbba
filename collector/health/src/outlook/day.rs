//! Days and hours, and what a single bad read does not move.

use outband_schemas::Timestamp;
use serde::{Deserialize, Serialize};

const HOUR_MILLIS: i64 = 3_600_000;

/// The hour since 1970 that a moment is in.
pub(super) fn hour_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(HOUR_MILLIS)
}

/// The day since 1970 that an hour is in (UTC).
pub(super) fn date_of(hour: i64) -> i32 {
    i32::try_from(hour.div_euclid(24)).unwrap_or(i32::MAX)
}

/// When a day begins.
pub(super) fn day_start(date: i32) -> Timestamp {
    Timestamp::from_millis(i64::from(date) * 24 * HOUR_MILLIS)
}

/// The day that so many days and parts of one after 1970 is in, as a date; far dates end with the calendar's year 9999.
#[expect(clippy::cast_possible_truncation, reason = "clamped before")]
pub(super) fn day_at(days: f64) -> Timestamp {
    const LAST: f64 = 2_932_896.0;
    day_start(days.floor().clamp(0.0, LAST) as i32)
}

/// The newest three values: their median is what no single bad read moves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Three {
    last: Option<f64>,
    before: Option<f64>,
}

impl Three {
    /// Takes in a value; answers the median of the newest three, once there are as many.
    pub(super) fn push(&mut self, value: f64) -> Option<f64> {
        let median = self.last.zip(self.before).map(|(a, b)| a.max(b).min(value).max(a.min(b)));
        self.before = self.last.replace(value);
        median
    }
}

/// A count that is small.
pub(super) fn small(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_three_comes_with_the_third_and_knows_no_single_wild_value() {
        let mut three = Three::default();
        let told: Vec<Option<f64>> = [5.0, 5.0, 900.0, 4.0, 4.0, 0.0, 4.0].map(|v| three.push(v)).to_vec();
        assert_eq!(told, [None, None, Some(5.0), Some(5.0), Some(4.0), Some(4.0), Some(4.0)]);
    }
}
