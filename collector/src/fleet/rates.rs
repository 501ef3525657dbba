//! Failures a part-year, by model and by month; survival by age; and what rate is believed of a part.

use super::census::{Census, Model, Watched, YEAR_MS, signed_ms};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use outband_health::fleet::rate::{Belief, Exposure, prior};
use outband_health::fleet::survival::Life;
use outband_schemas::{ComponentClass, Timestamp};
use std::collections::BTreeMap;

/// The figures of one model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// The model, an index.
    pub model: usize,
    /// Parts that were watched.
    pub parts: u64,
    /// Those of them that are in place.
    pub in_place: u64,
    /// Failures and part-years.
    pub exposure: Exposure,
    /// Failures that somebody verified.
    pub verified: u64,
    /// What is believed, as far as the class tells.
    pub drawn: Option<Belief>,
}

/// Part-years of a span within another.
fn years_within(span: (Timestamp, Timestamp), within: (Timestamp, Timestamp)) -> f64 {
    (signed_ms(span.0.max(within.0), span.1.min(within.1)) / YEAR_MS).max(0.0)
}

/// What was watched and failed of a part within a span of time; `None` where it was not there then.
fn of_part(part: &Watched, within: (Timestamp, Timestamp)) -> Option<Exposure> {
    if part.to < within.0 || part.from >= within.1 {
        return None;
    }
    let failed = part.failed && part.to >= within.0 && part.to < within.1;
    Some(Exposure { failures: u64::from(failed), years: years_within((part.from, part.to), within) })
}

/// Figures by model, from a time until now: those of servers' own models, too.
pub fn figures(census: &Census, since: Timestamp) -> Vec<Figures> {
    let within = (since, Timestamp::from_millis(i64::MAX));
    let empty =
        |model| Figures { model, parts: 0, in_place: 0, exposure: Exposure::default(), verified: 0, drawn: None };
    let mut all: Vec<Figures> = (0..census.models.len()).map(empty).collect();
    for part in &census.parts {
        let (Some(of), Some(seen)) = (all.get_mut(part.model), of_part(part, within)) else { continue };
        of.parts += 1;
        of.in_place += u64::from(part.current);
        of.exposure += seen;
        of.verified += u64::from(part.verified && seen.failures > 0);
    }
    for machine in census.machines.iter().filter(|m| m.watched.1 >= since) {
        if let Some(of) = all.get_mut(machine.model) {
            of.parts += 1;
            of.in_place += u64::from(signed_ms(machine.watched.1, census.now) <= 30.0 * 86_400_000.0);
            of.exposure.years += years_within(machine.watched, within);
        }
    }
    for failure in census.failures.iter().filter(|f| f.at >= since) {
        let model = census.machines.get(failure.machine).map(|m| m.model);
        if let Some(of) = model.and_then(|model| all.get_mut(model)) {
            of.exposure.failures += 1;
            of.verified += u64::from(failure.verified);
        }
    }
    all.retain(|of| of.parts > 0);
    for (class, prior) in priors(census, &all) {
        let ours = all.iter_mut().filter(|of| census.models.get(of.model).is_some_and(|m| m.class == class));
        for of in ours {
            of.drawn = prior.map(|prior| prior.after(of.exposure));
        }
    }
    all.sort_by_key(|of| census.models.get(of.model));
    all
}

/// What the models of each class are drawn to.
fn priors(census: &Census, all: &[Figures]) -> BTreeMap<ComponentClass, Option<Belief>> {
    let mut by_class: BTreeMap<ComponentClass, Vec<Exposure>> = BTreeMap::new();
    for of in all {
        if let Some(model) = census.models.get(of.model) {
            by_class.entry(model.class).or_default().push(of.exposure);
        }
    }
    by_class.into_iter().map(|(class, models)| (class, prior(&models, None))).collect()
}

/// The figures of one model, or class, in one month.
#[derive(Debug, Clone, PartialEq)]
pub struct Month {
    /// Its first day.
    pub month: Date,
    /// The class, and the model's name; empty: the class as a whole.
    pub of: Model,
    /// Failures and part-years.
    pub exposure: Exposure,
}

/// So many months, the one that runs included, oldest first.
pub fn months(census: &Census, zone: &TimeZone, count: i32, by_model: bool) -> Vec<Month> {
    let Ok(now) = jiff::Timestamp::from_millisecond(census.now.as_millis()) else { return Vec::new() };
    let this = now.to_zoned(zone.clone()).date().first_of_month();
    let begin = |date: Date| {
        let midnight = date.to_zoned(zone.clone()).ok()?;
        Some(Timestamp::from_millis(midnight.timestamp().as_millisecond()))
    };
    let back = |n: i32| this.checked_sub(jiff::Span::new().try_months(n).ok()?).ok();
    let spans: Vec<(Date, (Timestamp, Timestamp))> = (0..count)
        .rev()
        .filter_map(|n| {
            let first = back(n)?;
            Some((first, (begin(first)?, begin(first.checked_add(jiff::Span::new().try_months(1).ok()?).ok()?)?)))
        })
        .collect();
    let mut all: BTreeMap<(Date, Model), Exposure> = BTreeMap::new();
    let mut add = |date: Date, model: usize, seen: Exposure| {
        let Some(model) = census.models.get(model) else { return };
        let name = if by_model { model.name.clone() } else { String::new() };
        *all.entry((date, Model { class: model.class, name })).or_default() += seen;
    };
    // Of each part only the months that it was there in.
    for part in &census.parts {
        for (date, span) in &spans {
            if let Some(seen) = of_part(part, *span) {
                add(*date, part.model, seen);
            }
        }
    }
    for machine in &census.machines {
        for (date, span) in spans.iter().filter(|(_, s)| machine.watched.0 < s.1 && machine.watched.1 >= s.0) {
            let seen = Exposure { failures: 0, years: years_within(machine.watched, *span) };
            add(*date, machine.model, seen);
        }
    }
    for failure in &census.failures {
        let month = spans.iter().find(|(_, (from, to))| *from <= failure.at && failure.at < *to);
        if let (Some((date, _)), Some(machine)) = (month, census.machines.get(failure.machine)) {
            add(*date, machine.model, Exposure { failures: 1, years: 0.0 });
        }
    }
    all.into_iter().map(|((month, of), exposure)| Month { month, of, exposure }).collect()
}

/// The lives of parts, in years.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lives {
    /// By age; where no age is known, since they were first seen.
    pub lives: Vec<Life>,
    /// Whether ages are known.
    pub aged: bool,
    /// Parts of which the age is not known, while others' is, and their failures.
    pub ageless: (u64, u64),
}

/// The lives of the parts of some models.
pub fn lives(census: &Census, of: impl Fn(&Model) -> bool) -> Lives {
    let ours: Vec<&Watched> = census.parts.iter().filter(|p| census.models.get(p.model).is_some_and(&of)).collect();
    let aged: Vec<Life> =
        ours.iter().filter_map(|p| p.ages.map(|(enter, exit)| Life { enter, exit, failed: p.failed })).collect();
    if aged.is_empty() {
        let since = |p: &&Watched| Life { enter: 0.0, exit: signed_ms(p.from, p.to) / YEAR_MS, failed: p.failed };
        return Lives { lives: ours.iter().map(since).collect(), aged: false, ageless: (0, 0) };
    }
    let ageless = ours.iter().filter(|p| p.ages.is_none());
    let ageless = ageless.fold((0, 0), |(n, failed), p| (n + 1, failed + u64::from(p.failed)));
    Lives { lives: aged, aged: true, ageless }
}

/// Years at which the rate of a model may change: early failures, then wear.
const BANDS: [f64; 6] = [0.25, 1.0, 2.0, 3.0, 4.0, 5.0];
/// With fewer part-years than this of a whole class, nothing is said of what comes.
pub const LEAST_YEARS: f64 = 20.0;
/// With fewer failures than this of parts of known age, the rate of a model is one for all ages.
const LEAST_AGED: u64 = 5;

fn band(age: f64) -> usize {
    BANDS.iter().take_while(|edge| age >= **edge).count()
}

/// What rate is believed of parts, by model and age.
#[derive(Debug)]
pub struct Rates {
    /// With how often more than at all ages it fails in each band; empty: at every age alike.
    by_model: BTreeMap<usize, (Belief, Vec<f64>)>,
}

impl Rates {
    /// As the parts of the census tell.
    pub fn of(census: &Census) -> Self {
        let all = figures(census, Timestamp::EPOCH);
        let class = |of: &Figures| census.models.get(of.model).map(|m| m.class);
        let mut whole: BTreeMap<ComponentClass, Exposure> = BTreeMap::new();
        for of in &all {
            *whole.entry(class(of).unwrap_or(ComponentClass::Other)).or_default() += of.exposure;
        }
        let mut aged: BTreeMap<usize, Vec<Exposure>> = BTreeMap::new();
        for part in &census.parts {
            if let Some(ages) = part.ages {
                add_bands(
                    aged.entry(part.model).or_insert_with(|| vec![Exposure::default(); BANDS.len() + 1]),
                    ages,
                    part,
                );
            }
        }
        let mut by_model = BTreeMap::new();
        for of in &all {
            let Some(class) = class(of).and_then(|class| whole.get(&class)) else { continue };
            if class.years < LEAST_YEARS {
                continue;
            }
            // Where none of the class has failed, its parts are as good as all of them together.
            let Some(belief) = of.drawn.or_else(|| Belief::alone(*class)) else { continue };
            let bands = aged.get(&of.model).filter(|b| b.iter().map(|e| e.failures).sum::<u64>() >= LEAST_AGED);
            let drawn = bands.and_then(|bands| prior(bands, Some(belief.mean())));
            let factors = bands
                .zip(drawn)
                .map(|(bands, drawn)| bands.iter().map(|seen| drawn.after(*seen).mean() / belief.mean()).collect());
            by_model.insert(of.model, (belief, factors.unwrap_or_default()));
        }
        Self { by_model }
    }

    /// What is believed of a model, and how often more than that a part of this age fails; `None` where too little was watched. How
    /// well the rate is known is that of the model: its bands of age are made of the same failures.
    pub fn believed(&self, model: usize, age: Option<f64>) -> Option<(Belief, f64)> {
        let (whole, factors) = self.by_model.get(&model)?;
        Some((*whole, age.and_then(|age| factors.get(band(age)).copied()).unwrap_or(1.0)))
    }
}

fn add_bands(bands: &mut [Exposure], (enter, exit): (f64, f64), part: &Watched) {
    for (i, seen) in bands.iter_mut().enumerate() {
        let low = i.checked_sub(1).and_then(|i| BANDS.get(i)).copied().unwrap_or(0.0);
        let high = BANDS.get(i).copied().unwrap_or(f64::INFINITY);
        seen.years += (exit.min(high) - enter.max(low)).max(0.0);
        seen.failures += u64::from(part.failed && band(exit) == i);
    }
}
