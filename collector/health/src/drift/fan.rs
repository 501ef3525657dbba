//! Fans: the speed at equal duty, or against the others where no duty is told.

use super::mates::{Mates, Tach};
use super::sign::What;
use super::watch::{LASTING, Measure, Watch};
use super::{Drift, Name, Sample, Sign, SignClass, SignFact, Told, View, day_start};
use crate::stats::median;
use outband_schemas::{ComponentClass, ComponentId, SensorKind};
use std::collections::BTreeMap;

/// Duties are compared in steps of 2 %.
const DUTY_STEP: f64 = 2.0;
/// So many other fans that move alike make it no wear.
const ALIKE: usize = 2;
/// A spread of the hours so many times that of its normal is erratic, from this spread on.
const ERRATIC: f64 = 1.8;
const ERRATIC_FROM: f64 = 0.01;
/// So many days are looked at for strange readings, and on so many of them there have to be some.
const STRANGE_SPAN: i32 = 5;
const STRANGE_DAYS: usize = 3;
/// So many strange readings at least.
const STRANGE: f64 = 5.0;

/// The speeds of an hour, of those that turn.
pub(super) fn speeds(view: &View<'_>) -> BTreeMap<Tach, Told> {
    let all = view.of(ComponentClass::Fan).flat_map(|c| {
        view.sensors(c, SensorKind::FanSpeed).map(move |(sensor, told)| ((c.clone(), sensor.to_owned()), told))
    });
    all.filter(|(_, told)| told.median > 0.0).collect()
}

pub(super) fn measure(view: &View<'_>, mates: &mut Mates, samples: &mut Vec<Sample>) {
    let duties: Vec<(&ComponentId, f64)> =
        view.components().filter_map(|c| Some((c, view.number(c, SensorKind::FanDuty)?))).collect();
    // One duty for all fans, where the BMC gives just one.
    let common = match duties.as_slice() {
        [(_, one)] => Some(*one),
        _ => None,
    };
    let speeds = speeds(view);
    let medians: BTreeMap<Tach, f64> = speeds.iter().map(|(tach, told)| (tach.clone(), told.median.ln())).collect();
    mates.hour(&medians);
    for (tach, told) in &speeds {
        let own = duties.iter().find(|(c, _)| *c == &tach.0).map(|(_, duty)| *duty);
        let (x, y, grain) = match own.or(common).filter(|duty| *duty >= 1.0) {
            Some(duty) => (duty / DUTY_STEP, told.median.ln() - duty.ln(), told.doubt()),
            None => match mates.moved(tach, &medians) {
                // The steps of both tachometers leave their doubt, and so did they while this was learnt.
                Some(moved) => (0.0, moved, 3.0 * told.doubt()),
                None => continue,
            },
        };
        let first = y + told.first.max(1.0).ln() - told.median.ln();
        let name = Name { component: tach.0.clone(), measure: Measure::Speed, sensor: tach.1.clone() };
        samples.push(Sample { name, x, y, first, grain });
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
        let slow = slow.filter(|d| !shared(drift, name, d.by));
        let mut facts: Vec<SignFact> = slow.map(|d| SignFact::of(name, &d)).into_iter().collect();
        facts.extend(erratic(drift, name));
        facts.extend(strange(drift, name));
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
    let newest: Vec<_> = watch.days().rev().take(LASTING).map(|(day, _)| *day).collect();
    if newest.len() < LASTING {
        return None;
    }
    let of_others = |date: i32| {
        let others = drift.watches.iter().filter(|(n, _)| n.measure == name.measure && n.component != name.component);
        let on_date = |w: &Watch| Some(f64::from(w.days().rev().find(|(d, _)| d.date == date)?.0.spread));
        median(others.filter_map(|(_, w)| on_date(w))).unwrap_or(0.0)
    };
    let calm = f64::from(normal.spread).max(ERRATIC_FROM / ERRATIC).max(2.0 * watch.grain());
    let shares: Vec<(i32, f64)> =
        newest.iter().map(|day| (day.date, f64::from(day.spread) / calm.max(of_others(day.date)) / ERRATIC)).collect();
    // All but one of the newest days.
    let mut sorted: Vec<f64> = shares.iter().map(|s| s.1).collect();
    sorted.sort_by(f64::total_cmp);
    let share = *sorted.get(1)?;
    let since = shares.iter().filter(|s| s.1 >= 1.0).map(|s| s.0).min()?;
    (share >= 1.0).then(|| SignFact {
        measure: name.measure,
        sensor: name.sensor.clone(),
        by: f64::from(newest.first().map_or(0.0, |d| d.spread)),
        what: What::Erratic,
        share: share.min(3.0),
        since: day_start(since),
    })
}

/// A fan that is caught far off its speed, or standing still, on most days, and far more often than before: it sticks and starts
/// again. A tachometer that is misread now and then is so all its life.
fn strange(drift: &Drift, name: &Name) -> Option<SignFact> {
    let watch = drift.watches.get(name)?;
    let today = watch.days().next_back()?.0.date;
    let mut by_date: BTreeMap<i32, f64> = watch.days().map(|(day, _)| (day.date, f64::from(day.wild))).collect();
    let known = by_date.len();
    for (date, times) in drift.presence.get(&name.component).into_iter().flat_map(|p| &p.stalls) {
        *by_date.entry(*date).or_default() += f64::from(*times);
    }
    let recent = || by_date.range(today - STRANGE_SPAN + 1..=today).filter(|(_, n)| **n > 0.0);
    let times: f64 = recent().map(|(_, n)| n).sum();
    // What wears now may have begun a little before.
    let before: f64 = by_date.range(..today - 2 * STRANGE_SPAN).map(|(_, n)| n).sum();
    let days = known.saturating_sub(2 * usize::try_from(STRANGE_SPAN).unwrap_or(0)).max(3);
    let usual = (before + 0.25) / f64::from(u32::try_from(days).unwrap_or(u32::MAX)) * f64::from(STRANGE_SPAN);
    let bound = STRANGE.max(usual + 6.0 * usual.sqrt() + 3.0);
    let since = recent().next().map(|(date, _)| *date)?;
    (times >= bound && recent().count() >= STRANGE_DAYS).then(|| SignFact {
        measure: Measure::Speed,
        sensor: name.sensor.clone(),
        by: times,
        what: What::Stalls,
        share: (times / bound).min(3.0),
        since: day_start(since),
    })
}

/// Whether what slowed this fan slowed others of the server about as much: a change of how the fans are driven, not wear.
fn shared(drift: &Drift, name: &Name, by: f64) -> bool {
    let others = drift.watches.iter().filter(|(n, _)| n.measure == name.measure && n.component != name.component);
    let moved = others.filter_map(|(_, w)| median(w.days().rev().take(LASTING).map(|(_, level)| level)));
    moved.filter(|level| level / by > 0.5).count() >= ALIKE
}
