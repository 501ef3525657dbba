//! What a server used in a day (UTC), hour by hour: power, the air that it breathes, its fans, its processors. Small enough to be kept for every
//! server and day; [`super::headroom`] is made of it.
//!
//! A server's power is one series: its own sensor (of the server, else the chassis, else the board), else the sum of what its supplies take, of
//! one protocol, so that a BMC that is read twice is not counted twice. Sensors that tell means, extremes, limits or capacities are no draw. Within an
//! hour single bad reads are left out (the median of three in a row); an hour without a value stays without one.

use crate::draw::{ends_with, is_draw};
use crate::drift::is_inlet;
use outband_schemas::{ComponentClass as C, ComponentId, SensorKind as K, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Hours of a day.
pub const HOURS: usize = 24;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A sensor stands for the whole server only if it tells at least so much of what the supplies take: none of them is less efficient.
const WHOLE: f64 = 0.6;
/// A sensor that tells so much of the hours of the one that tells most is as good.
const AS_GOOD: f64 = 0.9;

/// The day since 1970 that a moment is in (UTC).
pub fn date_of(at: Timestamp) -> i32 {
    i32::try_from(at.as_millis().div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

/// When a day begins.
pub fn day_start(date: i32) -> Timestamp {
    Timestamp::from_millis(i64::from(date) * DAY_MS)
}

/// A value for each hour that told one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hours(pub [Option<f32>; HOURS]);

impl Hours {
    /// The hours that told something.
    pub fn told(&self) -> impl Iterator<Item = f64> {
        self.0.iter().flatten().map(|v| f64::from(*v))
    }

    /// How many did.
    pub fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// The mean of those that did.
    fn mean(&self) -> Option<f64> {
        mean(self.told())
    }
}

/// Of one day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Day {
    /// Hours in which anything was told.
    pub seen: u8,
    /// The power that it drew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<Power>,
    /// The air that it breathes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inlet: Option<Inlet>,
    /// How much warmer the air left it, in K.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exhaust: Option<Level>,
    /// The duty of the fan that was driven hardest, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fan: Option<Level>,
    /// Use of processors, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Level>,
    /// Use of memory or its bandwidth, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Level>,
    /// Use of input and output, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io: Option<Level>,
    /// What all its supplies can give together, in W (Redfish `PowerCapacityWatts`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<f32>,
    /// The limit that it is held to, in W (Redfish `LimitInWatts`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<f32>,
    /// Power supplies that told anything.
    pub supplies: u8,
}

/// The power that a server drew, in W.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// Its own sensor; empty: the sum of its supplies.
    pub sensor: String,
    /// The mean of each hour.
    pub mean: Hours,
    /// The most of each hour.
    pub peak: Hours,
}

/// The air that a server breathes, in Cel: of the sensor that shows the warmest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inlet {
    /// The sensor.
    pub sensor: String,
    /// The mean of each hour.
    pub mean: Hours,
    /// The most.
    pub max: f32,
    /// The sensor's own upper warning threshold.
    pub limit: Option<f32>,
}

/// A quantity over a day, of the means of its hours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// The mean.
    pub mean: f32,
    /// What 95 of 100 hours are not above.
    pub p95: f32,
    /// The most that was read.
    pub max: f32,
}

/// What a sensor's readings are used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The whole server's power; the least rank speaks first.
    Whole(u8),
    /// A supply's input, or what else it tells of its power.
    Supply,
    Inlet,
    Exhaust,
    Fan,
    Cpu,
    Memory,
    Io,
    Capacity,
    Cap,
}

fn role(component: &ComponentId, kind: K, sensor: &str) -> Option<Role> {
    let class = component.class();
    let name = sensor.to_lowercase();
    let has = |word: &str| name.contains(word) || component.slot().to_lowercase().contains(word);
    match (class, kind) {
        (C::Server | C::Chassis | C::Board, K::Power) => Some(match class {
            _ if ends_with(sensor, "PowerCapacityWatts") => Role::Capacity,
            _ if ends_with(sensor, "LimitInWatts") => Role::Cap,
            _ if !is_draw(sensor) => return None,
            C::Server => Role::Whole(0),
            C::Chassis => Role::Whole(1),
            _ => Role::Whole(2),
        }),
        (C::PowerSupply, K::InputPower) => Some(Role::Supply),
        (C::PowerSupply, K::Power) if !name.starts_with("rail_power") => Some(Role::Supply),
        (C::PowerSupply, _) => None,
        (_, K::Temperature) if is_inlet(component, sensor) => Some(Role::Inlet),
        (C::Server | C::Chassis | C::Board | C::Other, K::Temperature) if has("exhaust") || has("outlet") => {
            Some(Role::Exhaust)
        }
        (C::Fan, K::FanDuty) => Some(Role::Fan),
        (C::Cpu, K::Utilization) => Some(Role::Cpu),
        (C::Memory, K::Utilization) => Some(Role::Memory),
        (C::Server | C::Chassis | C::Board | C::Other, K::Utilization) => match () {
            () if has("cpu") => Some(Role::Cpu),
            () if has("mem") => Some(Role::Memory),
            () if has("io") => Some(Role::Io),
            () => None,
        },
        _ => None,
    }
}

/// Whether a sensor's readings are used here.
pub fn is_used(component: &ComponentId, kind: K, sensor: &str) -> bool {
    role(component, kind, sensor).is_some()
}

/// A sensor whose readings are taken in.
#[derive(Debug, Clone, Copy)]
pub struct Sensor<'a> {
    /// The place.
    pub component: &'a ComponentId,
    /// What is measured.
    pub kind: K,
    /// Its name.
    pub name: &'a str,
    /// Where in the BMC it was read.
    pub source: &'a str,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    component: ComponentId,
    kind: u16,
    sensor: String,
    redfish: bool,
}

#[derive(Debug)]
struct Series {
    role: Role,
    read: BTreeMap<usize, Vec<(i64, f64)>>,
}

/// A series' hours.
#[derive(Debug, Clone, Copy, Default)]
struct Course {
    mean: Hours,
    peak: Hours,
}

/// A server's day while it is read. In whatever order readings come, the same day comes of them.
#[derive(Debug)]
pub struct DayBook {
    date: i32,
    series: BTreeMap<Key, Series>,
}

impl DayBook {
    /// Of a day of which nothing was read yet.
    pub fn of(date: i32) -> Self {
        Self { date, series: BTreeMap::new() }
    }

    /// Takes in good readings of a sensor: when, and the value in the unit of its kind. Those of other days, of sensors that are not used,
    /// and those that are no numbers are passed over.
    pub fn take(&mut self, of: Sensor<'_>, readings: impl IntoIterator<Item = (Timestamp, f64)>) {
        let Some(role) = role(of.component, of.kind, of.name) else { return };
        let start = day_start(self.date).as_millis();
        let since = |at: Timestamp| Some(at.as_millis().saturating_sub(start)).filter(|ms| (0..DAY_MS).contains(ms));
        let told = readings.into_iter().filter_map(|(at, value)| Some((since(at)?, value)));
        let mut told = told.filter(|(_, value)| value.is_finite()).peekable();
        if told.peek().is_none() {
            return;
        }
        let key = Key {
            component: of.component.clone(),
            kind: of.kind.number(),
            sensor: of.name.to_owned(),
            redfish: of.source.starts_with('/') || of.source.starts_with("redfish"),
        };
        let series = self.series.entry(key).or_insert_with(|| Series { role, read: BTreeMap::new() });
        for (since, value) in told {
            let Ok(hour) = usize::try_from(since / HOUR_MS) else { continue };
            series.read.entry(hour).or_default().push((since, value));
        }
    }

    /// The day. `limit` is the upper warning threshold of a temperature's sensor.
    pub fn close(&self, limit: impl Fn(&ComponentId, &str) -> Option<f64>) -> Day {
        let all: Vec<(&Key, Role, Course)> = self.series.iter().map(|(key, s)| (key, s.role, course(s))).collect();
        let seen: BTreeSet<usize> = self.series.values().flat_map(|s| s.read.keys().copied()).collect();
        let of = |role: Role| all.iter().filter(move |(_, r, _)| *r == role);
        let places = of(Role::Supply).map(|(key, ..)| (&key.component, key.redfish));
        let by = |redfish: bool| places.clone().filter(|p| p.1 == redfish).map(|p| p.0).collect::<BTreeSet<_>>().len();
        let steady = |role: Role| {
            let middles = of(role).filter_map(|(_, _, c)| c.mean.mean()).filter(|w| *w > 0.0);
            middles.reduce(f64::max).map(cut)
        };
        let air = inlet(&all, limit);
        let warm = hottest(of(Role::Exhaust).map(|(.., c)| c));
        let rise = air.as_ref().and_then(|air| level(&above(&warm, &air.mean)));
        Day {
            seen: u8::try_from(seen.len()).unwrap_or(u8::MAX),
            power: power(&all),
            exhaust: rise,
            inlet: air,
            fan: level(&hottest(of(Role::Fan).map(|(.., c)| c))),
            cpu: level(&together(of(Role::Cpu).map(|(.., c)| c))),
            memory: level(&together(of(Role::Memory).map(|(.., c)| c))),
            io: level(&together(of(Role::Io).map(|(.., c)| c))),
            capacity: steady(Role::Capacity),
            cap: steady(Role::Cap),
            supplies: u8::try_from(by(false).max(by(true))).unwrap_or(u8::MAX),
        }
    }
}

/// The hours of a series: single bad reads are left out where there are others beside them.
fn course(series: &Series) -> Course {
    let mut course = Course::default();
    for (hour, read) in &series.read {
        let mut read = read.clone();
        read.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let plain: Vec<f64> = read.iter().map(|(_, v)| *v).collect();
        let middles: Vec<f64> = plain.windows(3).filter_map(middle).collect();
        let values = if middles.is_empty() { plain } else { middles };
        let hours = (course.mean.0.get_mut(*hour), course.peak.0.get_mut(*hour));
        if let (Some(to), Some(top)) = hours {
            *to = mean(values.iter().copied()).map(cut);
            *top = values.into_iter().reduce(f64::max).map(cut);
        }
    }
    course
}

/// The one of three that lies between the others.
fn middle(three: &[f64]) -> Option<f64> {
    let [a, b, c] = *three else { return None };
    Some(a.max(b).min(a.min(b).max(c)))
}

/// A server that is off draws something, too: nothing at all is no measurement.
fn drawn(of: &Course) -> Course {
    let some = |hours: &Hours| Hours(hours.0.map(|v| v.filter(|v| *v > 0.0)));
    Course { mean: some(&of.mean), peak: some(&of.peak) }
}

fn power(all: &[(&Key, Role, Course)]) -> Option<Power> {
    let supplies = [false, true].map(|redfish| supplies(all, redfish));
    let supplies = supplies.into_iter().flatten().max_by_key(|s| s.mean.count());
    let wholes = all.iter().filter_map(|(key, role, course)| match role {
        Role::Whole(rank) => Some((*key, *rank, drawn(course))),
        _ => None,
    });
    let wholes: Vec<(&Key, u8, Course)> = wholes.filter(|w| w.2.mean.count() > 0).collect();
    let taken = supplies.and_then(|s| s.mean.mean()).unwrap_or_default();
    let most = wholes.iter().map(|w| w.2.mean.count()).max().unwrap_or_default();
    let best = wholes
        .into_iter()
        .filter(|w| is_most(w.2.mean.count(), most) && w.2.mean.mean() >= Some(taken * WHOLE))
        .min_by(|a, b| {
            a.1.cmp(&b.1).then(b.2.mean.mean().partial_cmp(&a.2.mean.mean()).unwrap_or(std::cmp::Ordering::Equal))
        });
    match best {
        Some((key, _, course)) => Some(Power { sensor: key.sensor.clone(), mean: course.mean, peak: course.peak }),
        None => supplies.map(|sum| Power { sensor: String::new(), mean: sum.mean, peak: sum.peak }),
    }
}

fn is_most(count: usize, most: usize) -> bool {
    crate::stats::ratio(count, most) >= AS_GOOD
}

/// What the supplies took together, as one protocol tells it: in hours in which as many of them told it as at any time of the day.
fn supplies(all: &[(&Key, Role, Course)], redfish: bool) -> Option<Course> {
    let mut of: BTreeMap<&ComponentId, (&Key, Course)> = BTreeMap::new();
    for (key, _, course) in all.iter().filter(|(k, r, _)| *r == Role::Supply && k.redfish == redfish) {
        let input = |k: &Key| k.kind == K::InputPower.number();
        let rank = |k: &Key, c: &Course| (input(k), c.mean.count());
        match of.get(&key.component) {
            Some((known, before)) if rank(known, before) >= rank(key, course) => {}
            _ => {
                of.insert(&key.component, (*key, *course));
            }
        }
    }
    let told = |hour: usize| of.values().filter(|(_, c)| c.mean.0.get(hour).is_some_and(Option::is_some)).count();
    let most = (0..HOURS).map(told).max().filter(|most| *most > 0)?;
    let sum = |pick: fn(&Course) -> &Hours| {
        let mut hours = Hours::default();
        for (hour, to) in hours.0.iter_mut().enumerate().filter(|(hour, _)| told(*hour) == most) {
            *to = Some(of.values().filter_map(|(_, c)| pick(c).0.get(hour).copied().flatten()).sum());
        }
        hours
    };
    let sum = drawn(&Course { mean: sum(|c| &c.mean), peak: sum(|c| &c.peak) });
    (sum.mean.count() > 0).then_some(sum)
}

/// Of the sensors that tell most hours the one that shows the warmest.
fn inlet(all: &[(&Key, Role, Course)], limit: impl Fn(&ComponentId, &str) -> Option<f64>) -> Option<Inlet> {
    let told = || all.iter().filter(|(_, role, c)| *role == Role::Inlet && c.mean.count() > 0);
    let most = told().map(|(.., c)| c.mean.count()).max()?;
    let (key, _, course) = told()
        .filter(|(.., c)| is_most(c.mean.count(), most))
        .max_by(|a, b| a.2.mean.mean().partial_cmp(&b.2.mean.mean()).unwrap_or(std::cmp::Ordering::Equal))?;
    Some(Inlet {
        sensor: key.sensor.clone(),
        mean: course.mean,
        max: course.peak.told().reduce(f64::max).map(cut)?,
        limit: limit(&key.component, &key.sensor).map(cut),
    })
}

/// Hour by hour the most of several.
fn hottest<'a>(all: impl Iterator<Item = &'a Course>) -> Course {
    let most = |to: &mut Hours, from: &Hours| {
        for (to, from) in to.0.iter_mut().zip(from.0) {
            *to = (*to).into_iter().chain(from).reduce(f32::max);
        }
    };
    all.fold(Course::default(), |mut sum, of| {
        most(&mut sum.mean, &of.mean);
        most(&mut sum.peak, &of.peak);
        sum
    })
}

/// Hour by hour the mean of several, and the most of them.
fn together<'a>(all: impl Iterator<Item = &'a Course> + Clone) -> Course {
    let mut sum = hottest(all.clone());
    for (hour, to) in sum.mean.0.iter_mut().enumerate() {
        *to = mean(all.clone().filter_map(|c| c.mean.0.get(hour).copied().flatten()).map(f64::from)).map(cut);
    }
    sum
}

fn above(warm: &Course, air: &Hours) -> Course {
    let over = |hours: &Hours| {
        let mut out = *hours;
        for (to, air) in out.0.iter_mut().zip(air.0) {
            *to = to.zip(air).map(|(warm, air)| warm - air);
        }
        out
    };
    Course { mean: over(&warm.mean), peak: over(&warm.peak) }
}

fn level(of: &Course) -> Option<Level> {
    let means: Vec<f64> = of.mean.told().collect();
    Some(Level {
        mean: cut(mean(means.iter().copied())?),
        p95: cut(super::headroom::quantile(means, 0.95)?),
        max: cut(of.peak.told().reduce(f64::max)?),
    })
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), v| (sum + v, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// As many digits as sensors have.
#[expect(clippy::cast_possible_truncation, reason = "seven digits are more than a sensor has")]
fn cut(value: f64) -> f32 {
    ((value * 10.0).round() / 10.0) as f32
}

#[cfg(test)]
mod tests;
