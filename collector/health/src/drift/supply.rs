//! Power supplies: efficiency, heat, output voltage at equal load, and the share that each gives.

use super::watch::Measure;
use super::{Drift, Name, Sample, Sign, SignClass, SignFact, Told, View, heat};
use crate::stats::median;
use outband_schemas::{ComponentClass, ComponentId, SensorKind as K};
use std::collections::BTreeMap;

/// Loads are compared in steps of 15 %.
const LOAD_STEP: f64 = 0.15;
/// A supply that gives less than this share of an equal one is idle, on standby or without a feed.
const IDLE: f64 = 0.16;
/// Voltages above this are those of the mains or of a busbar: droop there is not the supply's.
const OUTPUT_BELOW_VOLTS: f64 = 90.0;

/// One supply in one hour.
struct Supply<'a> {
    component: &'a ComponentId,
    power: Told,
    efficiency: Option<Told>,
    temperature: Option<Told>,
    volts: Option<Told>,
}

pub(super) fn measure(view: &View<'_>, samples: &mut Vec<Sample>) {
    let known = view.of(ComponentClass::PowerSupply).filter(|c| tells_power(view, c)).count();
    let supplies: Vec<Supply<'_>> = view.of(ComponentClass::PowerSupply).filter_map(|c| supply(view, c)).collect();
    let total: f64 = supplies.iter().map(|s| s.power.mid).sum();
    let total_first: f64 = supplies.iter().map(|s| s.power.first).sum();
    let fair = total / f64::from(u32::try_from(supplies.len()).unwrap_or(u32::MAX).max(1));
    let idle = |s: &Supply<'_>| s.power.mid < (IDLE * fair).max(5.0);
    // A pair of which one gives nothing runs another way: its hours are compared with nothing.
    if supplies.len() < known || supplies.iter().any(idle) {
        return;
    }
    let inlet = heat::inlet(view).unwrap_or(0.0);
    for supply in &supplies {
        let x = supply.power.mid.ln() / LOAD_STEP;
        let mut push = |measure, x, told: Option<Told>| {
            if let Some(Told { mid, first, grain }) = told.filter(|t| t.mid.is_finite() && t.first.is_finite()) {
                let name = Name { component: supply.component.clone(), measure, sensor: String::new() };
                samples.push(Sample { name, x: Some(x), y: mid, first, grain, caught: (false, false) });
            }
        };
        push(Measure::Efficiency, x, supply.efficiency);
        push(Measure::Voltage, x, supply.volts.map(log));
        let above = |t: Told| Told { mid: t.mid - inlet, first: t.first - inlet, grain: t.grain };
        push(Measure::SupplyHeat, x, supply.temperature.map(above));
        if supplies.len() > 1 {
            let (mid, first) = (supply.power.mid / total, supply.power.first / total_first.max(1.0));
            let share = Told { mid, first, grain: supply.power.doubt() / 2.0 };
            push(Measure::Share, total.ln() / LOAD_STEP, Some(share));
        }
    }
}

/// The logarithm of what is told; its doubt is a share then.
fn log(told: Told) -> Told {
    Told { mid: told.mid.ln(), first: told.first.max(1e-6).ln(), grain: told.doubt() }
}

fn supply<'a>(view: &View<'a>, component: &'a ComponentId) -> Option<Supply<'a>> {
    let one = |kind: K| view.sensors(component, kind).next().map(|(_, told)| told).filter(|t| t.mid > 0.0);
    let output = |kind: K| {
        let mut sensors = view.sensors(component, kind).filter(|(sensor, told)| !is_input(sensor) && told.mid > 0.0);
        sensors.next().map(|(_, told)| told)
    };
    let product = || {
        let (v, a) = (output(K::Voltage)?, output(K::Current)?);
        let (mid, first) = (v.mid * a.mid, v.first * a.first);
        Some(Told { mid, first, grain: 2.0 * mid * (v.doubt() + a.doubt()) })
    };
    let power = one(K::InputPower).or(one(K::Power)).or(one(K::OutputPower)).or(product())?;
    let ratio = |a: Told, b: Told| {
        let (a, b) = (log(a), log(b));
        Told { mid: a.mid - b.mid, first: a.first - b.first, grain: a.grain + b.grain }
    };
    let whole = Told { mid: 100.0, first: 100.0, grain: 0.0 };
    // Volts and amperes of one side, watts of the other: what comes out is less than what goes in.
    let by_product = || {
        let r = ratio(product()?, one(K::Power)?);
        Some(if r.mid > 0.02 { Told { mid: -r.mid, first: -r.first, grain: r.grain } } else { r })
    };
    let efficiency = one(K::Efficiency)
        .map(|e| ratio(e, whole))
        .or_else(|| Some(ratio(one(K::OutputPower)?, one(K::InputPower)?)))
        .or_else(by_product);
    let temperatures = view.sensors(component, K::Temperature).map(|(_, told)| told);
    let temperature = temperatures.max_by(|a, b| a.mid.total_cmp(&b.mid));
    let volts = output(K::Voltage).filter(|v| v.mid < OUTPUT_BELOW_VOLTS);
    Some(Supply { component, power, efficiency, temperature, volts })
}

/// Whether a sensor is on the side of the mains.
fn is_input(sensor: &str) -> bool {
    let sensor = sensor.to_lowercase();
    ["input", "vin", "iin"].iter().any(|word| sensor.contains(word))
}

/// Whether a place told power at any time: one that tells but its heat is measured by nothing, and hides no other.
fn tells_power(view: &View<'_>, component: &ComponentId) -> bool {
    let has = |kind: K| view.has(component, kind);
    has(K::InputPower) || has(K::Power) || has(K::OutputPower) || (has(K::Voltage) && has(K::Current))
}

/// What the other supplies moved by, by date. The share of one is what the others do not give, so it has no such measure.
fn partners(drift: &Drift, name: &Name) -> BTreeMap<i32, f64> {
    if name.measure == Measure::Share {
        return BTreeMap::new();
    }
    let mut by_date: BTreeMap<i32, Vec<f64>> = BTreeMap::new();
    for (other, watch) in drift.watches.iter() {
        if other.measure == name.measure && other.component != name.component {
            for (day, level) in watch.days() {
                by_date.entry(day.date).or_default().push(level);
            }
        }
    }
    by_date.into_iter().filter_map(|(date, levels)| Some((date, median(levels)?))).collect()
}

pub(super) fn signs(drift: &Drift) -> Vec<Sign> {
    let mut facts: BTreeMap<&ComponentId, Vec<SignFact>> = BTreeMap::new();
    for (name, watch) in drift.watches.iter() {
        if name.component.class() != ComponentClass::PowerSupply || name.measure == Measure::Heat {
            continue;
        }
        let common = partners(drift, name);
        if let Some(drifted) = watch.drift(name.measure.terms(), |date| common.get(&date).copied().unwrap_or(0.0)) {
            facts.entry(&name.component).or_default().push(SignFact::of(name, &drifted));
        }
    }
    // Each measure has its own noise: several that agree are worth more than one.
    let score = |facts: &[SignFact]| facts.iter().map(|f| f.share * f.share).sum::<f64>().sqrt();
    facts.into_iter().map(|(c, facts)| Sign::new(c, SignClass::Psu, score(&facts), facts)).collect()
}
