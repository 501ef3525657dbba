//! Fans: the speed at equal duty, or against the siblings where no duty is told.

use super::watch::{LASTING, Measure};
use super::{Drift, Name, Sample, Sign, SignClass, SignFact, View, day_start};
use crate::stats::median;
use outband_schemas::{ComponentClass, ComponentId, SensorKind};
use std::collections::BTreeMap;

/// Duties are compared in steps of 5 %.
const DUTY_STEP: f64 = 5.0;
/// The siblings' speed is compared in steps of 10 %.
const SIBLINGS_STEP: f64 = 0.1;
/// Siblings speak for a fan where there are so many.
const SIBLINGS: usize = 2;
/// A share of wild hours in a day that a healthy tachometer does not have.
const WILD: f64 = 0.2;
/// A spread of the hours so many times that of its normal is erratic, from this spread on.
const ERRATIC: f64 = 3.0;
const ERRATIC_FROM: f64 = 0.012;
/// So many separate times within two weeks, on so many days, a fan stood still and started again.
const STALLS: u32 = 3;
const STALL_DAYS: usize = 2;

pub(super) fn measure(view: &View<'_>, samples: &mut Vec<Sample>) {
    let duties: Vec<(&ComponentId, f64)> =
        view.components().filter_map(|c| Some((c, view.number(c, SensorKind::FanDuty)?))).collect();
    // One duty for all fans, where the BMC gives just one.
    let common = match duties.as_slice() {
        [(_, one)] => Some(*one),
        _ => None,
    };
    let speeds: Vec<(&ComponentId, &str, f64, f64)> = view
        .of(ComponentClass::Fan)
        .flat_map(|c| view.sensors(c, SensorKind::FanSpeed).map(move |(sensor, rpm, first)| (c, sensor, rpm, first)))
        .filter(|(_, _, rpm, _)| *rpm > 0.0)
        .collect();
    for (component, sensor, rpm, first) in &speeds {
        let own = duties.iter().find(|(c, _)| c == component).map(|(_, duty)| *duty);
        let others = || speeds.iter().filter(|s| s.0 != *component).map(|s| s.2);
        let load = match own.or(common).filter(|duty| *duty >= 1.0) {
            Some(duty) => Some((duty / DUTY_STEP, duty)),
            None if others().count() >= SIBLINGS => median(others()).map(|m| (m.ln() / SIBLINGS_STEP, m)),
            None => None,
        };
        if let Some((x, by)) = load {
            let name = Name { component: (*component).clone(), measure: Measure::Speed, sensor: (*sensor).to_owned() };
            samples.push(Sample { name, x, y: (rpm / by).ln(), first: (first.max(1.0) / by).ln() });
        }
    }
}

/// What the other fans of the server moved by, by date.
fn siblings(drift: &Drift, name: &Name) -> BTreeMap<i32, f64> {
    let mut by_date: BTreeMap<i32, Vec<f64>> = BTreeMap::new();
    let others = drift.watches.iter().filter(|(n, _)| n.measure == name.measure && n.component != name.component);
    for (_, watch) in others {
        for (day, level) in watch.days() {
            by_date.entry(day.date).or_default().push(level);
        }
    }
    by_date.into_iter().filter_map(|(date, levels)| Some((date, median(levels)?))).collect()
}

pub(super) fn signs(drift: &Drift) -> Vec<Sign> {
    let mut signs: Vec<Sign> = Vec::new();
    for (name, watch) in drift.watches.iter().filter(|(n, _)| n.measure == Measure::Speed) {
        let common = siblings(drift, name);
        let slow = watch.drift(name.measure.terms(), |date| common.get(&date).copied().unwrap_or(0.0));
        let mut facts: Vec<SignFact> = slow.map(|d| SignFact::of(name, &d)).into_iter().collect();
        facts.extend(erratic(drift, name));
        facts.extend(stalls(drift, &name.component));
        let score = facts.iter().map(|f| f.share).fold(0.0, f64::max);
        if score <= 0.0 {
            continue;
        }
        match signs.last_mut().filter(|s| s.component == name.component) {
            Some(sign) => {
                sign.score = sign.score.max(score);
                sign.facts.extend(facts);
            }
            None => signs.push(Sign::new(&name.component, SignClass::Fan, score, facts)),
        }
    }
    signs
}

/// A tachometer that jumps about for days, while its siblings' do not and its own did not.
fn erratic(drift: &Drift, name: &Name) -> Option<SignFact> {
    let watch = drift.watches.get(name)?;
    let normal = watch.normal()?;
    let newest: Vec<_> = watch.days().rev().take(LASTING + 1).map(|(day, _)| *day).collect();
    if newest.len() <= LASTING {
        return None;
    }
    let of_others = |f: fn(&super::watch::Day) -> f32, date: i32| {
        let others = drift.watches.iter().filter(|(n, _)| n.measure == name.measure && n.component != name.component);
        median(others.filter_map(|(_, w)| Some(f64::from(f(w.days().rev().find(|(d, _)| d.date == date)?.0)))))
            .unwrap_or(0.0)
    };
    let calm = f64::from(normal.spread).max(ERRATIC_FROM / ERRATIC);
    let shares: Vec<(i32, f64)> = newest
        .iter()
        .map(|day| {
            let spread = f64::from(day.spread) / calm.max(of_others(|d| d.spread, day.date)) / ERRATIC;
            let wild = f64::from(day.wild) - f64::from(normal.wild) - of_others(|d| d.wild, day.date);
            (day.date, spread.max(wild / WILD))
        })
        .collect();
    // All but one of the newest days.
    let mut sorted: Vec<f64> = shares.iter().map(|s| s.1).collect();
    sorted.sort_by(f64::total_cmp);
    let share = *sorted.get(1)?;
    let since = shares.iter().filter(|s| s.1 >= 1.0).map(|s| s.0).min()?;
    (share >= 1.0).then(|| SignFact {
        measure: name.measure,
        sensor: name.sensor.clone(),
        by: f64::from(newest.first().map_or(0.0, |d| d.spread)),
        what: super::sign::What::Erratic,
        share: share.min(3.0),
        since: day_start(since),
    })
}

/// A fan that stood still and started again, on several days: it is close to standing still for good.
fn stalls(drift: &Drift, component: &ComponentId) -> Option<SignFact> {
    let presence = drift.presence.get(component)?;
    let times: u32 = presence.stalls.iter().map(|(_, n)| n).sum();
    let (since, _) = presence.stalls.first()?;
    (times >= STALLS && presence.stalls.len() >= STALL_DAYS).then(|| SignFact {
        measure: Measure::Speed,
        sensor: String::new(),
        by: f64::from(times),
        what: super::sign::What::Stalls,
        share: (f64::from(times) / f64::from(STALLS)).min(3.0),
        since: day_start(*since),
    })
}
