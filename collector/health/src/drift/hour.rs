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
    /// The least distance between two values that followed each other and differed.
    grain: Option<f32>,
}

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
            self.values.push(value as f32);
        }
        self.seen = self.seen.saturating_add(1);
        let value = value as f32;
        let apart = self.last.map_or(0.0, |last| (value - last).abs());
        // Closer than this is the same number, written twice.
        if apart > value.abs() * 1e-6 && self.grain.is_none_or(|grain| apart < grain) {
            self.grain = Some(apart);
        }
        self.last = Some(value);
    }

    /// The step in which the sensor counts, as far as was seen; 0: not known.
    pub(super) fn grain(&self) -> f64 {
        self.grain.map_or(0.0, f64::from)
    }

    /// The hour's median: no single bad read moves it. With one reading an hour it is that reading.
    pub(super) fn median(&self) -> Option<f64> {
        crate::stats::median(self.values.iter().map(|v| f64::from(*v)))
    }

    /// The hour's first value: what one look at the sensor shows, bad reads and all.
    pub(super) fn first(&self) -> Option<f64> {
        self.values.first().map(|v| f64::from(*v))
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
    fn an_hour_of_many_values_keeps_few_and_the_same_median() {
        let mut hour = Hour::default();
        for n in 0..3600 {
            hour.push(f64::from(n));
        }
        assert!(hour.values.len() <= KEPT);
        let median = hour.median().unwrap();
        assert!((1400.0..2200.0).contains(&median), "{median}");
        assert_eq!(hour.first(), Some(0.0));
    }

    #[test]
    fn one_wild_value_of_an_hour_moves_nothing() {
        let mut hour = Hour::default();
        for v in [50.0, 51.0, 9999.0, 50.5, 49.5] {
            hour.push(v);
        }
        assert_eq!(hour.median(), Some(50.5));
    }
}
