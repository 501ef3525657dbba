//! Fans held against each other, where no duty is told. A fan that wears falls behind every other; what drives a zone of fans another way
//! leaves those of one zone as they were to each other. So what counts is the least that a fan has moved against the others, one of them left
//! out, which may itself wear.

use crate::stats::median;
use outband_schemas::ComponentId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A tachometer: the place and the sensor.
pub(super) type Tach = (ComponentId, String);

/// So many hours show how the fans turn against each other.
const LEARN_HOURS: usize = 120;
/// Two fans have to have been seen together so often.
const TOGETHER: usize = 60;
/// With so many others, one of them is left out.
const MANY: usize = 4;

/// How the fans of a server turn against each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Mates {
    /// While learning: the logarithm of the speed by hour.
    #[serde(with = "super::pairs")]
    speeds: BTreeMap<Tach, Vec<Option<f32>>>,
    hours: usize,
    /// Once learnt: by how much each is faster than each other (logarithm).
    #[serde(with = "super::pairs")]
    usual: BTreeMap<Tach, Vec<(Tach, f32)>>,
}

impl Mates {
    /// Takes in an hour: the logarithm of each speed.
    #[allow(clippy::cast_possible_truncation, reason = "seven digits are more than a sensor has")]
    pub(super) fn hour(&mut self, speeds: &BTreeMap<Tach, f64>) {
        if self.hours >= LEARN_HOURS || speeds.len() < 2 {
            return;
        }
        for (tach, speed) in speeds {
            let own = self.speeds.entry(tach.clone()).or_default();
            own.resize(self.hours, None);
            own.push(Some(*speed as f32));
        }
        self.hours += 1;
        if self.hours == LEARN_HOURS {
            let speeds = std::mem::take(&mut self.speeds);
            self.usual = speeds.keys().map(|tach| (tach.clone(), usual(&speeds, tach))).collect();
        }
    }

    /// Begins to learn again, if it has not learnt yet: what is driven another way now tells nothing of the rest.
    pub(super) fn restart(&mut self) {
        if self.hours < LEARN_HOURS {
            (self.hours, self.speeds) = (0, BTreeMap::new());
        }
    }

    /// The least that a fan has moved against the others in this hour. `None` before that is learnt, or alone.
    pub(super) fn moved(&self, tach: &Tach, speeds: &BTreeMap<Tach, f64>) -> Option<f64> {
        let own = speeds.get(tach)?;
        let against = self.usual.get(tach)?.iter();
        let mut moves: Vec<f64> =
            against.filter_map(|(other, usual)| Some(own - speeds.get(other)? - f64::from(*usual))).collect();
        moves.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        moves.get(usize::from(moves.len() >= MANY)).copied()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "seven digits are more than a sensor has")]
fn usual(speeds: &BTreeMap<Tach, Vec<Option<f32>>>, tach: &Tach) -> Vec<(Tach, f32)> {
    let Some(own) = speeds.get(tach) else { return Vec::new() };
    let against = |theirs: &Vec<Option<f32>>| {
        let ratios: Vec<f64> = own.iter().zip(theirs).filter_map(|(a, b)| Some(f64::from((*a)? - (*b)?))).collect();
        median(ratios.iter().copied()).filter(|_| ratios.len() >= TOGETHER)
    };
    let others = speeds.iter().filter(|(other, _)| other.0 != tach.0);
    others.filter_map(|(other, theirs)| Some((other.clone(), against(theirs)? as f32))).collect()
}
