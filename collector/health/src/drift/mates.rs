//! Fans held against each other, where no duty is told. A fan that wears falls behind every other; what drives a zone of fans another way
//! leaves those of one zone as they were to each other. So what counts is the least that a fan has moved against any other.

use crate::packed::Pairs;
use crate::stats::{median, middle};
use outband_schemas::ComponentId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A tachometer: the place and the sensor.
pub(super) type Tach = (ComponentId, String);

/// So many hours show how the fans turn against each other.
const LEARN_HOURS: usize = 120;
/// Two fans have to have been seen together so often.
const TOGETHER: usize = 60;
/// A day needs so many hours to count, and is at most so long.
const DAY_HOURS: usize = 4;
const TODAY_HOURS: usize = 48;

/// How the fans of a server turn against each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Mates {
    /// While learning: the logarithm of the speed by hour.
    speeds: Pairs<BTreeMap<Tach, Vec<Option<f32>>>>,
    hours: usize,
    /// Once learnt: by how much each is faster than each other (logarithm).
    usual: Pairs<BTreeMap<Tach, Vec<(Tach, f32)>>>,
    /// Today's, by hour.
    #[serde(default)]
    today: Pairs<BTreeMap<Tach, Vec<Option<f32>>>>,
    #[serde(default)]
    today_hours: usize,
}

impl Mates {
    /// Takes in an hour: the logarithm of each speed.
    pub(super) fn hour(&mut self, speeds: &BTreeMap<Tach, f64>) {
        if speeds.len() < 2 {
            return;
        }
        if self.today_hours < TODAY_HOURS {
            note(&mut self.today, self.today_hours, speeds);
            self.today_hours += 1;
        }
        if self.hours >= LEARN_HOURS {
            return;
        }
        note(&mut self.speeds, self.hours, speeds);
        self.hours += 1;
        if self.hours == LEARN_HOURS {
            let speeds = std::mem::take(&mut self.speeds);
            for tach in speeds.keys() {
                let known = self.usual.entry(tach.clone()).or_default();
                let new: Vec<(Tach, f32)> =
                    usual(&speeds, tach).into_iter().filter(|(other, _)| known.iter().all(|k| k.0 != *other)).collect();
                known.extend(new);
            }
        }
    }

    /// Another fan is in a place: how it turns against the others is learnt again, and what is known of the others stays.
    pub(super) fn forget(&mut self, component: &ComponentId) {
        self.usual.retain(|tach, _| tach.0 != *component);
        for others in self.usual.values_mut() {
            others.retain(|(other, _)| other.0 != *component);
        }
        (self.hours, self.speeds) = (0, Pairs::default());
    }

    /// Begins to learn again, if it has not learnt yet: what is driven another way now tells nothing of the rest.
    pub(super) fn restart(&mut self) {
        if self.hours < LEARN_HOURS {
            (self.hours, self.speeds) = (0, Pairs::default());
        }
    }

    /// How far a fan is from where the others say it should be in this hour. `None` before that is learnt, or alone.
    pub(super) fn off(&self, tach: &Tach, speeds: &BTreeMap<Tach, f64>) -> Option<f64> {
        let own = speeds.get(tach)?;
        let against = self.usual.get(tach)?.iter();
        median(against.filter_map(|(other, usual)| Some(own - speeds.get(other)? - f64::from(*usual))))
    }

    /// Ends the day: the least that each fan has moved against the others. Over a day, so that the steps of the tachometers even out; against each other one alone,
    /// so that what drives a zone another way moves none of it.
    pub(super) fn close(&mut self) -> BTreeMap<Tach, f64> {
        let today = std::mem::take(&mut self.today);
        self.today_hours = 0;
        let moved = |(tach, usual): (&Tach, &Vec<(Tach, f32)>)| {
            let own = today.get(tach)?;
            let against = |(other, usual): &(Tach, f32)| {
                let apart = apart(own, today.get(other)?);
                middle(apart.iter().copied()).filter(|_| apart.len() >= DAY_HOURS).map(|by| by - f64::from(*usual))
            };
            Some((tach.clone(), usual.iter().filter_map(against).min_by(|a, b| a.abs().total_cmp(&b.abs()))?))
        };
        self.usual.iter().filter_map(moved).collect()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "seven digits are more than a sensor has")]
fn note(hours: &mut BTreeMap<Tach, Vec<Option<f32>>>, number: usize, speeds: &BTreeMap<Tach, f64>) {
    for (tach, speed) in speeds {
        let own = hours.entry(tach.clone()).or_default();
        own.resize(number, None);
        own.push(Some(*speed as f32));
    }
}

/// By how much one is faster than the other, hour by hour.
fn apart(own: &[Option<f32>], theirs: &[Option<f32>]) -> Vec<f64> {
    own.iter().zip(theirs).filter_map(|(a, b)| Some(f64::from((*a)? - (*b)?))).collect()
}

#[allow(clippy::cast_possible_truncation, reason = "seven digits are more than a sensor has")]
fn usual(speeds: &BTreeMap<Tach, Vec<Option<f32>>>, tach: &Tach) -> Vec<(Tach, f32)> {
    let Some(own) = speeds.get(tach) else { return Vec::new() };
    let against = |theirs: &[Option<f32>]| {
        let apart = apart(own, theirs);
        middle(apart.iter().copied()).filter(|_| apart.len() >= TOGETHER)
    };
    let others = speeds.iter().filter(|(other, _)| other.0 != tach.0);
    others.filter_map(|(other, theirs)| Some((other.clone(), against(theirs)? as f32))).collect()
}
