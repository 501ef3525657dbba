//! What a measure was at each load when the part was new to us: learnt from its first days, then kept.

use crate::stats::median;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many hours make a baseline: ten days, so that each day of a week is in it.
pub(super) const LEARN_HOURS: u16 = 240;
/// So many values make the level of a load.
const ENOUGH: usize = 6;
/// A load that comes up later has its level from so many values.
const LATER: usize = 12;
/// At most so many values of one load are kept while learning.
const KEPT: usize = 48;
/// Levels of loads at most so many steps away speak for a load without one.
const REACH: i32 = 2;

/// A measure's level by load, in steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    hours: u16,
    learning: BTreeMap<i32, Vec<f32>>,
    levels: BTreeMap<i32, f32>,
}

impl Baseline {
    /// Whether it has been learnt.
    pub(super) fn learnt(&self) -> bool {
        self.hours >= LEARN_HOURS
    }

    /// How far `y` is from what it was at the load `x` (in steps). While there is nothing to compare with: `None`, and the value is
    /// learnt from. `moved` is how far the measure has moved at other loads by now, so that a load which comes up late does not take
    /// that for its normal.
    pub(super) fn residual(&mut self, x: f64, y: f64, moved: f64) -> Option<f64> {
        let step = step(x.round());
        if !self.learnt() {
            self.hours += 1;
            self.learn(step, y, KEPT, ENOUGH);
            if self.learnt() {
                self.learning.clear();
            }
        } else if self.level(x).is_none() {
            self.learn(step, y - moved, LATER, LATER);
            if self.levels.contains_key(&step) {
                self.learning.remove(&step);
            }
        }
        self.level(x).map(|level| y - level)
    }

    #[allow(clippy::cast_possible_truncation, reason = "seven digits are more than a sensor has")]
    fn learn(&mut self, step: i32, y: f64, kept: usize, enough: usize) {
        let values = self.learning.entry(step).or_default();
        if values.len() < kept {
            values.push(y as f32);
        }
        if values.len() >= enough
            && let Some(level) = median(values.iter().map(|v| f64::from(*v)))
        {
            self.levels.insert(step, level as f32);
        }
    }

    /// The level at a load: between those of the nearest steps that have one.
    fn level(&self, x: f64) -> Option<f64> {
        let floor = step(x.floor());
        let below = self.levels.range(floor - REACH..=floor).next_back();
        let above = self.levels.range(floor + 1..=floor + REACH).next();
        match (below, above) {
            (Some((a, low)), Some((b, high))) => {
                let share = (x - f64::from(*a)) / f64::from(b - a);
                Some(f64::from(*low) + (f64::from(*high) - f64::from(*low)) * share)
            }
            // One neighbour alone speaks for one step around it.
            (Some((at, level)), None) | (None, Some((at, level))) => {
                ((x - f64::from(*at)).abs() <= 1.0).then(|| f64::from(*level))
            }
            (None, None) => None,
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "clamped before the cast")]
fn step(x: f64) -> i32 {
    x.clamp(-1e6, 1e6) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(law: impl Fn(f64) -> f64) -> Baseline {
        let mut baseline = Baseline::default();
        for hour in 0..LEARN_HOURS {
            let x = f64::from(hour % 8);
            baseline.residual(x, law(x), 0.0);
        }
        baseline
    }

    #[test]
    fn what_depends_on_the_load_alone_has_no_residual() {
        let mut baseline = learnt(|x| 3.0 + 0.5 * x);
        assert!(baseline.learnt());
        for x in [0.0, 1.5, 3.25, 7.0] {
            assert!(baseline.residual(x, 3.0 + 0.5 * x, 0.0).unwrap().abs() < 1e-5);
        }
        assert!((baseline.residual(2.0, 3.0, 0.0).unwrap() + 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_load_never_seen_is_not_judged_until_it_was_seen_often_and_then_against_what_has_moved() {
        let mut baseline = learnt(|x| x);
        // All has moved by -2 when the load 20 comes up for the first time.
        for _ in 0..LATER - 1 {
            assert_eq!(baseline.residual(20.0, 18.0, -2.0), None);
        }
        assert!((baseline.residual(20.0, 18.0, -2.0).unwrap() + 2.0).abs() < 1e-5);
    }
}
