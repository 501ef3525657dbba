//! Power supplies: efficiency, heat, output voltage at equal load, and the share that each gives.

use super::watch::Measure;
use super::{Drift, Name, Sample, Sign, SignClass, SignFact, View, heat};
use crate::stats::median;
use outband_schemas::{ComponentClass, ComponentId, SensorKind as K};
use std::collections::BTreeMap;

/// Loads are compared in steps of 15 %.
const LOAD_STEP: f64 = 0.15;
/// A supply that gives less than this share of an equal one is idle, on standby or without a feed.
const IDLE: f64 = 0.16;
/// Voltages above this are those of the mains or of a busbar: droop there is not the supply's.
const OUTPUT_BELOW_VOLTS: f64 = 90.0;

/// One supply in one hour: median and first value of each.
struct Supply<'a> {
    component: &'a ComponentId,
    power: (f64, f64),
    efficiency: Option<(f64, f64)>,
    temperature: Option<(f64, f64)>,
    volts: Option<(f64, f64)>,
}

pub(super) fn measure(view: &View<'_>, samples: &mut Vec<Sample>) {
    let known = view.of(ComponentClass::PowerSupply).count();
    let supplies: Vec<Supply<'_>> = view.of(ComponentClass::PowerSupply).filter_map(|c| supply(view, c)).collect();
    let total: (f64, f64) = supplies.iter().fold((0.0, 0.0), |t, s| (t.0 + s.power.0, t.1 + s.power.1));
    let fair = total.0 / supplies.len().max(1) as f64;
    let idle = |s: &Supply<'_>| s.power.0 < IDLE * fair || s.power.0 < 5.0;
    // A pair of which one gives nothing runs another way: its hours are compared with nothing.
    if supplies.len() < known || supplies.iter().any(idle) {
        return;
    }
    let inlet = heat::inlet(view);
    for supply in &supplies {
        let x = supply.power.0.ln() / LOAD_STEP;
        let mut push = |measure, x, value: Option<(f64, f64)>| {
            if let Some((y, first)) = value.filter(|(y, first)| y.is_finite() && first.is_finite()) {
                let name = Name { component: supply.component.clone(), measure, sensor: String::new() };
                samples.push(Sample { name, x, y, first });
            }
        };
        push(Measure::Efficiency, x, supply.efficiency);
        push(Measure::Voltage, x, supply.volts.map(|(v, first)| (v.ln(), first.max(0.1).ln())));
        push(
            Measure::SupplyHeat,
            x,
            supply.temperature.map(|(t, first)| (t - inlet.unwrap_or(0.0), first - inlet.unwrap_or(0.0))),
        );
        if supplies.len() > 1 {
            let share = (supply.power.0 / total.0, supply.power.1 / total.1.max(1.0));
            push(Measure::Share, total.0.ln() / LOAD_STEP, Some(share));
        }
    }
}

fn supply<'a>(view: &View<'a>, component: &'a ComponentId) -> Option<Supply<'a>> {
    let both = |kind: K| view.sensors(component, kind).next().map(|(_, median, first)| (median, first));
    let product = || {
        let ((v, v1), (a, a1)) = (both(K::Voltage)?, both(K::Current)?);
        Some((v * a, v1 * a1))
    };
    let power = both(K::InputPower).or(both(K::Power)).or(both(K::OutputPower)).or(product())?;
    let ratio = |a: (f64, f64), b: (f64, f64)| (b.0 > 0.0 && b.1 > 0.0).then(|| ((a.0 / b.0).ln(), (a.1 / b.1).ln()));
    let efficiency = both(K::Efficiency)
        .and_then(|e| ratio(e, (100.0, 100.0)))
        .or_else(|| ratio(both(K::OutputPower)?, both(K::InputPower)?))
        // Volts and amperes of one side, watts of the other: what comes out is less than what goes in.
        .or_else(|| {
            ratio(product()?, both(K::Power)?).map(|(y, first)| if y > 0.02 { (-y, -first) } else { (y, first) })
        });
    let temperature = view
        .sensors(component, K::Temperature)
        .map(|(_, median, first)| (median, first))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let volts = both(K::Voltage).filter(|(v, _)| *v > 0.0 && *v < OUTPUT_BELOW_VOLTS);
    Some(Supply { component, power, efficiency, temperature, volts })
}

/// What the other supplies moved by, by date. The share of one is what the others do not give, so it has no such measure.
fn partners(drift: &Drift, name: &Name) -> BTreeMap<i32, f64> {
    if name.measure == Measure::Share {
        return BTreeMap::new();
    }
    let mut by_date: BTreeMap<i32, Vec<f64>> = BTreeMap::new();
    for (other, watch) in &drift.watches {
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
    for (name, watch) in &drift.watches {
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
