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
/// A spread of the hours so many times that of its normal is erratic.
const ERRATIC: f64 = 2.1;
/// Less than this is no spread.
const LEAST_SPREAD: f64 = 0.006;
/// A tachometer that counts in steps may flip between two of them: that is so much of what its steps leave unknown.
const FLIPS: f64 = 0.8;
/// So many days are looked at for it.
const ERRATIC_DAYS: usize = 5;
/// A tachometer that is read so often in an hour is looked at within it.
const OFTEN: usize = 5;
/// So many times the spread of its siblings is erratic whatever it was while it was learnt, if it has grown by this much since.
const SIBLINGS: f64 = 3.0;
const GROWN: f64 = 1.25;
/// So many days are looked at for strange readings, and on so many of them there have to be some.
const STRANGE_SPAN: i32 = 8;
const STRANGE_DAYS: usize = 3;
/// So many strange readings at least; where all of them stood still, so many: that is also how a tachometer is misread.
const STRANGE: f64 = 5.0;
const STRANGE_ZEROS: f64 = 7.0;
/// So many days tell how often it was strange before.
const ENOUGH: f64 = 5.0;

/// The speeds of an hour, of those that turn.
pub(super) fn speeds(view: &View<'_>) -> BTreeMap<Tach, Told> {
    let all = view.of(ComponentClass::Fan).flat_map(|c| {
        view.sensors(c, SensorKind::FanSpeed).map(move |(sensor, told)| ((c.clone(), sensor.to_owned()), told))
    });
    all.filter(|(_, told)| told.mid > 0.0).collect()
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
    let mids: BTreeMap<Tach, f64> = speeds.iter().map(|(tach, told)| (tach.clone(), told.mid.ln())).collect();
    mates.hour(&mids);
    let within: BTreeMap<&Tach, Vec<f64>> =
        speeds.iter().filter_map(|(tach, told)| Some((tach, within(view, tach, told)?))).collect();
    for (tach, told) in &speeds {
        let own = duties.iter().find(|(c, _)| *c == &tach.0).map(|(_, duty)| *duty);
        let (x, y, grain) = match own.or(common).filter(|duty| *duty >= 1.0) {
            Some(duty) => (Some(duty / DUTY_STEP), told.mid.ln() - duty.ln(), told.doubt()),
            None => match mates.off(tach, &mids) {
                // The steps of both tachometers leave their doubt.
                Some(off) => (None, off, 1.5 * told.doubt()),
                None => continue,
            },
        };
        let first = y + told.first.max(1.0).ln() - told.mid.ln();
        let name = Name { component: tach.0.clone(), measure: Measure::Speed, sensor: tach.1.clone() };
        let caught = caught(within.get(tach), within.iter().filter(|(other, _)| other.0 != tach.0).map(|(_, w)| w));
        samples.push(Sample { name, x, y, first, grain, caught });
    }
}

/// How a tachometer's values within an hour lie around its middle (logarithm), with what its duty explains taken off. `None`: it is read too seldom.
fn within(view: &View<'_>, tach: &Tach, told: &Told) -> Option<Vec<f64>> {
    let values = view.values(&tach.0, SensorKind::FanSpeed, &tach.1);
    if values.len() < OFTEN {
        return None;
    }
    let around = |value: f32, middle: f64| (f64::from(value).max(1.0) / middle).ln();
    let mut off: Vec<f64> = values.iter().map(|v| around(*v, told.mid)).collect();
    let duty = view.sensors(&tach.0, SensorKind::FanDuty).next().filter(|(_, duty)| duty.mid >= 1.0);
    if let Some((sensor, duty)) = duty {
        let duties = view.values(&tach.0, SensorKind::FanDuty, sensor);
        if duties.len() == values.len() {
            off.iter_mut().zip(duties).for_each(|(off, value)| *off -= around(*value, duty.mid));
        }
    }
    Some(off)
}

/// Whether a fan was caught alone far below, and far above, its speed of the hour: what drives fans faster for some minutes drives more than one.
fn caught<'a>(own: Option<&Vec<f64>>, others: impl Iterator<Item = &'a Vec<f64>> + Clone) -> (bool, bool) {
    let Some(own) = own else { return (false, false) };
    let far = Measure::Speed.terms().wild;
    let beside = || others.clone().filter(|o| o.len() == own.len());
    if beside().next().is_none() {
        return (false, false);
    }
    let alone = |is_far: &dyn Fn(f64) -> bool| {
        own.iter().enumerate().any(|(at, off)| {
            is_far(*off) && beside().all(|other| other.get(at).is_some_and(|theirs| is_far(off - theirs)))
        })
    };
    (alone(&|off| off < -far), alone(&|off| off > far))
}

/// What the other fans of the server moved by, by date.
fn siblings(drift: &Drift, name: &Name) -> BTreeMap<i32, f64> {
    let mut by_date: BTreeMap<i32, Vec<f64>> = BTreeMap::new();
    for (day, level) in others(drift, name).flat_map(Watch::days) {
        by_date.entry(day.date).or_default().push(level);
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

/// The tachometers of the other places, as far as they were learnt.
fn others<'a>(drift: &'a Drift, name: &'a Name) -> impl Iterator<Item = &'a Watch> {
    let others = drift.watches.iter().filter(|(n, _)| n.measure == name.measure && n.component != name.component);
    others.map(|(_, watch)| watch)
}

/// A tachometer that jumps about for days, while its siblings' do not and its own did not.
fn erratic(drift: &Drift, name: &Name) -> Option<SignFact> {
    let watch = drift.watches.get(name)?;
    let calm = |watch: &Watch| {
        let normal = f64::from(watch.normal()?.spread);
        Some(normal.max(LEAST_SPREAD).max(FLIPS * watch.grain()))
    };
    let own = calm(watch)?;
    let share = |date: i32, spread: f64| {
        let on_date = |w: &Watch| Some(f64::from(w.days().rev().find(|(d, _)| d.date == date)?.0.spread));
        // Slower or at another load, all of them may jump about more than they did.
        let more = median(others(drift, name).filter_map(|w| Some(on_date(w)? / calm(w)?))).map_or(1.0, |m| m.max(1.0));
        let theirs = median(others(drift, name).filter_map(on_date)).filter(|_| spread >= GROWN * own);
        let least = LEAST_SPREAD.max(FLIPS * watch.grain());
        let wide = (own * more).min(theirs.map_or(f64::INFINITY, |theirs| (SIBLINGS * theirs).max(least)));
        spread / wide / ERRATIC
    };
    let newest = watch.days().rev().take(ERRATIC_DAYS);
    let shares: Vec<(i32, f64)> = newest.map(|(day, _)| (day.date, share(day.date, f64::from(day.spread)))).collect();
    let mut sorted: Vec<f64> = shares.iter().map(|s| s.1).collect();
    sorted.sort_by(f64::total_cmp);
    // Most of the days, and all but one nearly.
    let (second, most) = (*sorted.get(1)?, *sorted.get(ERRATIC_DAYS / 2).filter(|_| sorted.len() == ERRATIC_DAYS)?);
    let since = shares.iter().filter(|s| s.1 >= 1.0).map(|s| s.0).min()?;
    (most >= 1.0 && second >= 0.8).then(|| SignFact {
        measure: name.measure,
        sensor: name.sensor.clone(),
        by: watch.days().next_back().map_or(0.0, |(d, _)| f64::from(d.spread)),
        what: What::Erratic,
        share: most.min(3.0),
        since: day_start(since),
    })
}

/// A fan that is caught far below its speed, or standing still, on several days, and far more often than before: it sticks and starts
/// again. A tachometer that is misread now and then is so all its life, and as often too high as too low.
fn strange(drift: &Drift, name: &Name) -> Option<SignFact> {
    let watch = drift.watches.get(name)?;
    let today = watch.days().next_back()?.0.date;
    // By date: how often it was caught slow, standing still, and too high.
    let mut by_date: BTreeMap<i32, (f64, f64, f64)> =
        watch.days().map(|(day, _)| (day.date, (f64::from(day.wild), 0.0, f64::from(day.high)))).collect();
    let known = by_date.len();
    for (date, times) in drift.presence.get(&name.component).into_iter().flat_map(|p| &p.stalls) {
        by_date.entry(*date).or_default().1 += f64::from(*times);
    }
    let low = |day: &(f64, f64, f64)| day.0 + day.1;
    let recent = || by_date.range(today - STRANGE_SPAN + 1..=today).filter(|(_, day)| low(day) > 0.0);
    let times: f64 = recent().map(|(_, day)| low(day)).sum();
    let slow: f64 = recent().map(|(_, day)| day.0).sum();
    // What wears now may have begun a little before.
    let before: f64 = by_date.range(..today - 2 * STRANGE_SPAN).map(|(_, day)| low(day)).sum();
    let high: f64 = by_date.values().map(|day| day.2).sum();
    let span = f64::from(STRANGE_SPAN);
    let days = known as f64 - 2.0 * span;
    // Until so many days lie before, how it was while it was learnt has to do: a tachometer may be misread so since ever.
    let learnt = watch.normal().map(|n| f64::from(n.wild)).filter(|_| days < ENOUGH).unwrap_or(0.0);
    let usual = (((before + 0.25) / days.max(ENOUGH)).max(learnt) + high / known.max(1) as f64) * span;
    let bound = (if slow > 0.0 { STRANGE } else { STRANGE_ZEROS }).max(usual + 4.5 * usual.sqrt() + 2.0);
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
    let newest = |w: &Watch| median(w.days().rev().take(LASTING).map(|(_, level)| level));
    others(drift, name).filter_map(newest).filter(|level| level / by > 0.5).count() >= ALIKE
}
