//! Heat: how far a part is above the air that comes in, at equal power and equal air.

use super::mates::Tach;
use super::watch::Measure;
use super::{Drift, Name, RackMode, Sample, Sign, SignClass, SignFact, Told, View};
use crate::stats::median;
use outband_schemas::{ComponentClass as C, ComponentId, SensorKind as K};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Loads are compared in steps of 15 %.
const LOAD_STEP: f64 = 0.15;

/// Whether a sensor stands in the air that comes in.
pub(crate) fn is_inlet(component: &ComponentId, sensor: &str) -> bool {
    [component.slot(), sensor].iter().any(|name| {
        let name = name.to_lowercase();
        ["inlet", "ambient", "intake", "front panel"].iter().any(|word| name.contains(word))
    })
}

/// The temperature of the air that comes in, where it is told.
pub(super) fn inlet(view: &View<'_>) -> Option<f64> {
    let all = view.components().filter(|c| c.class() != C::PowerSupply);
    median(all.flat_map(|c| {
        view.sensors(c, K::Temperature).filter(move |(sensor, ..)| is_inlet(c, sensor)).map(|(_, told)| told.mid)
    }))
}

/// How fast the fans turn, against how they did in the first days.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Air {
    hours: u16,
    usual: f64,
}

/// So many hours make the usual speed.
const USUAL_HOURS: u16 = 240;
/// Heat above the inlet falls with the air's speed to about this power: finned sinks in forced air have 0.5 (laminar) to 0.8 (turbulent; Incropera
/// and DeWitt, Fundamentals of Heat and Mass Transfer, ch. 7), and a part of the resistance is before the fins.
const AIR_POWER: f64 = 0.5;

impl Air {
    /// The factor by which the heat of this hour would be greater at the usual speed of the fans. How many of them turn is left out: a tachometer that tells
    /// nothing may stand at a fan that turns, and what a fan that stands still warms comes and goes in steps.
    pub(super) fn hour(&mut self, speeds: &BTreeMap<Tach, Told>) -> f64 {
        let Some(speed) = median(speeds.values().map(|told| told.mid.ln())) else { return 1.0 };
        if self.hours < USUAL_HOURS {
            self.hours += 1;
            self.usual += (speed - self.usual) / f64::from(self.hours);
        }
        (AIR_POWER * (speed - self.usual).clamp(-1.5, 1.5)).exp()
    }
}

pub(super) fn measure(view: &View<'_>, air: f64, samples: &mut Vec<Sample>) {
    let inlet = inlet(view);
    let whole = power(view);
    for component in view.components() {
        if !matches!(component.class(), C::Cpu | C::Gpu | C::Board | C::Server | C::Chassis | C::Memory | C::Other) {
            continue;
        }
        let own = view.number(component, K::Power).filter(|_| matches!(component.class(), C::Cpu | C::Gpu));
        let x = own.or(whole).filter(|w| *w > 0.0).map_or(0.0, |w| w.ln() / LOAD_STEP);
        for (sensor, told) in view.sensors(component, K::Temperature) {
            if is_inlet(component, sensor) {
                continue;
            }
            let name = Name { component: component.clone(), measure: Measure::Heat, sensor: sensor.to_owned() };
            // Without an inlet there is nothing to be above of, and the air's speed says nothing.
            let (above, air) = inlet.map_or((0.0, 1.0), |inlet| (inlet, air));
            let (y, first) = ((told.mid - above) * air, (told.first - above) * air);
            samples.push(Sample { name, x: Some(x), y, first, grain: told.grain, caught: (false, false) });
        }
    }
}

/// The server's power: its own sensor, else what its supplies take.
fn power(view: &View<'_>) -> Option<f64> {
    let own = view
        .components()
        .filter(|c| matches!(c.class(), C::Server | C::Chassis | C::Board))
        .filter_map(|c| view.number(c, K::Power))
        .reduce(f64::max);
    own.or_else(|| {
        let supplies = view.of(C::PowerSupply);
        let watts = |c: &ComponentId| view.number(c, K::InputPower).or(view.number(c, K::Power));
        supplies.filter_map(watts).reduce(|a, b| a + b)
    })
}

pub(super) fn signs(drift: &Drift, rack: &RackMode) -> Vec<Sign> {
    let mut signs: Vec<Sign> = Vec::new();
    for (name, watch) in drift.watches.iter().filter(|(n, _)| n.measure == Measure::Heat) {
        let Some(drifted) = watch.drift(name.measure.terms(), |date| rack.at(name.measure, date)) else { continue };
        let fact = SignFact::of(name, &drifted);
        match signs.last_mut().filter(|s| s.component == name.component) {
            Some(sign) => {
                sign.score = sign.score.max(fact.share);
                sign.facts.push(fact);
            }
            None => signs.push(Sign::new(&name.component, SignClass::Thermal, fact.share, vec![fact])),
        }
    }
    signs
}
