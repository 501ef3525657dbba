//! The values of one sensor within one hour, in bounded room.

use serde::{Deserialize, Serialize};

/// At most so many values of an hour are kept, evenly spread over it.
const KEPT: usize = 12;

/// One sensor's values within the current hour.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Hour {
    values: Vec<f32>,
    /// Every so manyth value is kept; doubles whenever the room is full.
    stride: u32,
    seen: u32,
    last: Option<f32>,
    /// The least distance between two values that followed each other that was seen often.
    grain: Option<f32>,
    /// Lesser distances, and how often each was seen.
    lesser: Vec<(f32, u8)>,
    /// How many values followed another, and how many of them were the same.
    pairs: u16,
    same: u16,
}

/// A sensor whose steps are finer than its noise seldom tells the same twice, and its noise takes the steps' doubt away: one in so many.
const SELDOM: u16 = 8;

/// So many pairs say whether they do so now: at a load that stands still the same sensor may tell the same for days.
const PAIRS: u16 = 128;

/// So many lesser distances are kept.
const LESSER: usize = 5;
/// A distance that was seen so often is the sensor's step; a seldom one is between a misread value and a right one.
const OFTEN: u8 = 4;

impl Hour {
    #[allow(clippy::cast_possible_truncation, reason = "seven digits are more than a sensor has")]
    pub(super) fn push(&mut self, value: f64) {
        let stride = self.stride.max(1);
        if self.seen.is_multiple_of(stride) {
            if self.values.len() == KEPT {
                let mut at = 0_usize;
                self.values.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                self.stride = stride * 2;
            }
            if self.values.len() == self.values.capacity() {
                self.values.reserve_exact(KEPT / 3);
            }
            self.values.push(value as f32);
        }
        self.seen = self.seen.saturating_add(1);
        let value = value as f32;
        let apart = self.last.map_or(0.0, |last| (value - last).abs());
        self.last = Some(value);
        // Closer than this is the same number, written twice.
        let same = value.abs() * 1e-5;
        if self.pairs >= PAIRS {
            (self.pairs, self.same) = (self.pairs / 2, self.same / 2);
        }
        self.pairs += 1;
        self.same += u16::from(apart <= same);
        if apart <= same || self.grain.is_some_and(|grain| apart >= grain - same) {
            return;
        }
        let times = match self.lesser.iter_mut().find(|(step, _)| (step - apart).abs() <= same) {
            Some((_, times)) => {
                *times = times.saturating_add(1);
                *times
            }
            None => {
                self.lesser.reserve_exact(1);
                self.lesser.push((apart, 1));
                self.lesser.sort_by(|a, b| a.0.total_cmp(&b.0));
                self.lesser.truncate(LESSER);
                1
            }
        };
        if times >= OFTEN {
            self.grain = Some(apart);
            self.lesser.retain(|(step, _)| *step < apart - same);
        }
    }

    /// The step in which the sensor counts, where it matters; 0: not known, or finer than its noise.
    pub(super) fn grain(&self) -> f64 {
        let coarse = self.same >= self.pairs / SELDOM;
        self.grain.filter(|_| coarse).map_or(0.0, f64::from)
    }

    /// The middle of the hour's values: no single bad read moves it. With one reading an hour it is that reading.
    pub(super) fn middle(&self) -> Option<f64> {
        crate::stats::middle(self.values.iter().map(|v| f64::from(*v)))
    }

    /// The hour's first value: what one look at the sensor shows, bad reads and all.
    pub(super) fn first(&self) -> Option<f64> {
        self.values.first().map(|v| f64::from(*v))
    }

    /// The values that are kept of the hour, evenly spread over it, in their order.
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        (self.stride, self.seen) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_many_values_keeps_few_and_the_same_middle() {
        let mut hour = Hour::default();
        for n in 0..3600 {
            hour.push(f64::from(n));
        }
        assert!(hour.values.len() <= KEPT);
        let middle = hour.middle().unwrap();
        assert!((1400.0..2200.0).contains(&middle), "{middle}");
        assert_eq!(hour.first(), Some(0.0));
    }

    #[test]
    fn a_sensor_that_counts_in_steps_shows_its_step_through_a_few_misread_values() {
        let mut hour = Hour::default();
        for n in 0..40_i32 {
            hour.push(if n % 13 == 5 { 4017.3 + f64::from(n) } else { 5040.0 + 120.0 * f64::from(n / 2 % 3) });
        }
        assert!((hour.grain() - 120.0).abs() < 0.1, "{}", hour.grain());
        let mut smooth = Hour::default();
        for n in 0..40_i32 {
            smooth.push(5000.0 * f64::from(n).sin());
        }
        assert_eq!(smooth.grain(), 0.0);
    }

    #[test]
    fn a_sensor_whose_steps_its_noise_hid_shows_them_once_what_it_measures_stands_still() {
        let mut hour = Hour::default();
        for n in 0..4000 {
            hour.push((150.0 + 20.0 * f64::from(n).sin()).round() * 2.0);
        }
        assert_eq!(hour.grain(), 0.0);
        for n in 0..96 {
            hour.push(if n % 5 == 0 { 92.0 } else { 94.0 });
        }
        assert!((hour.grain() - 2.0).abs() < 1e-3, "{}", hour.grain());
    }

    #[test]
    fn one_wild_value_of_an_hour_moves_nothing() {
        let mut hour = Hour::default();
        for v in [50.0, 51.0, 9999.0, 50.5, 49.5] {
            hour.push(v);
        }
        assert!((hour.middle().unwrap() - 50.5).abs() < 0.6);
    }
}
