//! What a measure was at each load when the part was new to us: learnt from its first days, then kept.

use crate::SortedMap;
use crate::stats::middle;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many hours make a baseline: ten days, so that each day of a week is in it.
pub(super) const LEARN_HOURS: u16 = 240;
/// So many values make the level of a load.
const ENOUGH: usize = 6;
/// A load that comes up later has its level from so many values.
const LATER: usize = 24;
/// At most so many values of one load are kept while learning.
const KEPT: usize = 48;
/// Levels of loads at most so many steps away speak for a load without one.
const REACH: i32 = 2;

/// A measure's level by load, in steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    hours: u16,
    learning: SortedMap<i32, Vec<(f32, f32)>>,
    /// By step: the load at which its values were learnt, and their level.
    levels: BTreeMap<i32, (f32, f32)>,
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
            self.learn(step, (x, y), KEPT, ENOUGH);
            if self.learnt() {
                self.learning = SortedMap::default();
            }
        } else if self.level(x).is_none() {
            self.learn(step, (x, y - moved), LATER, LATER);
            if self.levels.contains_key(&step) {
                self.learning.remove(&step);
            }
        }
        self.level(x).map(|level| y - level)
    }

    #[allow(clippy::cast_possible_truncation, reason = "seven digits are more than a sensor has")]
    fn learn(&mut self, step: i32, (x, y): (f64, f64), kept: usize, enough: usize) {
        let values = self.learning.or_default(&step);
        if values.len() < kept {
            if values.len() == values.capacity() {
                values.reserve_exact(ENOUGH);
            }
            values.push((x as f32, y as f32));
        }
        if values.len() >= enough
            && let Some(load) = middle(values.iter().map(|v| f64::from(v.0)))
            && let Some(level) = middle(values.iter().map(|v| f64::from(v.1)))
        {
            self.levels.insert(step, (load as f32, level as f32));
        }
    }

    /// The level at a load: on the line through the nearest two steps that have one, at most half a step beyond them.
    fn level(&self, x: f64) -> Option<f64> {
        let own = step(x.round());
        let load = |l: &&(f32, f32)| f64::from(l.0);
        let mut below = self.levels.range(own - REACH..=own).map(|(_, l)| l).rev().filter(|l| load(l) <= x);
        let mut above = self.levels.range(own..=own + REACH).map(|(_, l)| l).filter(|l| load(l) > x);
        // Between two levels, the line through them. Beyond the last, for half a step, the line through it and the farthest in reach: two loads
        // that lie close say little of the slope.
        let (near, far) = match (below.next(), above.next()) {
            (Some(a), Some(b)) => (a, b),
            (Some(near), None) => (near, below.next_back().unwrap_or(near)),
            (None, Some(near)) => (near, above.next_back().unwrap_or(near)),
            (None, None) => return None,
        };
        let between = (load(&near) - x) * (load(&far) - x) <= 0.0;
        if !between && (load(&near) - x).abs() > 0.5 {
            return None;
        }
        let apart = load(&far) - load(&near);
        let slope =
            if apart.abs() < if between { 1e-6 } else { 1.25 } { 0.0 } else { f64::from(far.1 - near.1) / apart };
        Some(f64::from(near.1) + slope * (x - load(&near)))
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
