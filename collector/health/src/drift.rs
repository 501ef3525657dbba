//! Slow change: what wears over days and weeks, seen against the part's own past at equal load.
//!
//! Each hour of each sensor becomes one value (its middle); the values of an hour become measures (a fan's speed for its duty, a supply's
//! output for its input, a processor's heat above the inlet for its power); each measure is held against its own baseline by load, day by
//! day; what its peers do alike is taken out; and what then has moved the wrong way, clearly and for days, is a [`Sign`]. Single bad reads,
//! gaps, resets and jumping clocks move nothing, since nothing here counts on the time between two values.
//!
//! Read in this order: [`watch`] (one measure), [`fan`], [`supply`], [`heat`] (what is measured), [`memory`] (which counts instead), [`sign`].

mod baseline;
mod fan;
mod heat;
mod hour;
pub mod judge;
mod mates;
mod memory;
mod sign;
mod supply;
mod watch;

pub(crate) use heat::is_inlet;
pub use sign::{Sign, SignClass, SignFact, What};
pub use watch::Measure;

use crate::draw::is_draw;
use crate::packed::{self, Packed, Pairs};
use crate::{Names, SortedMap};
use hour::Hour;
use outband_schemas::{ComponentClass, ComponentId, SensorKind, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use watch::Watch;

/// What moved the servers of a rack alike, by measure and date (days since 1970).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RackMode(BTreeMap<(Measure, i32), f64>);

impl RackMode {
    /// The medians of what the servers of a rack show; a measure of fewer than three servers says nothing of the rack.
    pub fn of<'a>(servers: impl Iterator<Item = &'a Drift>) -> Self {
        let mut all: BTreeMap<(Measure, i32), Vec<f64>> = BTreeMap::new();
        for server in servers {
            let mut own: BTreeMap<(Measure, i32), Vec<f64>> = BTreeMap::new();
            for (name, watch) in server.watches.iter() {
                for (day, level) in watch.days() {
                    own.entry((name.measure, day.date)).or_default().push(level);
                }
            }
            for (key, levels) in own {
                all.entry(key).or_default().extend(crate::stats::median(levels));
            }
        }
        let enough = all.into_iter().filter(|(_, levels)| levels.len() >= 3);
        Self(enough.filter_map(|(key, levels)| Some((key, crate::stats::median(levels)?))).collect())
    }

    fn at(&self, measure: Measure, date: i32) -> f64 {
        self.0.get(&(measure, date)).copied().unwrap_or(0.0)
    }
}

/// One sensor of a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Channel {
    kind: SensorKind,
    #[serde(with = "packed::shared")]
    sensor: Box<str>,
}

/// The sensors of a place, each with its hour.
type Channels = Vec<(Channel, Hour)>;

/// One measure of a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Name {
    component: ComponentId,
    measure: Measure,
    sensor: String,
}

/// An hour's value of a measure at a load.
struct Sample {
    name: Name,
    /// The load, in steps of the measure; `None`: it is not known, and the part is held against its mates.
    x: Option<f64>,
    y: f64,
    /// The same of the hour's first reading alone.
    first: f64,
    /// What the steps of the sensors leave unknown of it.
    grain: f64,
    /// Whether it was caught alone far below, and far above, its hour, where it is read often enough within one.
    caught: (bool, bool),
}

/// A sensor's hour: its middle, its first value, the step in which it counts.
#[derive(Debug, Clone, Copy)]
struct Told {
    mid: f64,
    first: f64,
    grain: f64,
}

impl Told {
    /// How much of it its steps leave unknown, as a share.
    fn doubt(&self) -> f64 {
        if self.mid > 0.0 { self.grain / 2.0 / self.mid } else { 0.0 }
    }
}

/// Whether a place is seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Presence {
    /// For so many hours it has not been seen, while others like it were.
    away: u32,
    /// On which date it came back.
    returned: Option<i32>,
    /// On which date it was away last, be it for an hour.
    #[serde(default)]
    missed: Option<i32>,
    /// It was away for so long that it was replaced.
    #[serde(default)]
    long: bool,
    /// The newest dates on which it stood still while it was driven, with the count of separate times.
    stalls: Vec<(i32, u32)>,
    still: bool,
}

/// The slow change of one server. Small enough to be stored with it, and to be stored is what it is made for: it cannot be learnt again from the
/// newest readings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    hour: Option<i64>,
    date: Option<i32>,
    /// Of each minute, as are the memory's; the rest is looked at once an hour.
    hours: Packed<Pairs<SortedMap<ComponentId, Channels>>>,
    watches: Packed<Pairs<BTreeMap<Name, Watch>>>,
    presence: Packed<Pairs<SortedMap<ComponentId, Presence>>>,
    memory: Packed<Pairs<SortedMap<ComponentId, memory::Errors>>>,
    mates: Packed<mates::Mates>,
    air: heat::Air,
    /// The newest dates on which something was changed on the server: firmware, a part.
    changed: BTreeSet<i32>,
}

const HOUR_MILLIS: i64 = 3_600_000;
/// A fan that was away for so many hours, and turns again, is another one.
const LONG: u32 = 6;
/// So many days after its return a part is compared with what was there before.
const SETTLED_DAYS: i32 = 3;
/// A clock that stands so many hours before what was seen last has been set back, and is followed.
const SET_BACK: i64 = 3;

impl Drift {
    /// Packs what was looked at.
    pub fn rest(&mut self, names: &Names) {
        self.hours.rest(names);
        self.watches.rest(names);
        self.presence.rest(names);
        self.memory.rest(names);
        self.mates.rest(names);
    }

    /// Whether a reading of this moment ends an hour, so that all of it is looked at.
    pub fn turns(&self, at: Timestamp) -> bool {
        self.hour.is_some_and(|current| ends(current, hour_of(at)))
    }

    /// Hands out what is looked at once an hour, to be kept elsewhere: it is most of it. Until that is brought back, only readings of this hour may be taken in.
    /// `None` where there is nothing, or it was not packed.
    pub fn put_aside(&mut self) -> Option<Vec<u8>> {
        let watches = self.watches.hand_out()?;
        let mates = self.mates.hand_out().unwrap_or_default();
        let length = u32::try_from(watches.len()).unwrap_or(u32::MAX).to_le_bytes();
        Some([length.as_slice(), &watches, &mates].concat())
    }

    /// Takes back what was put aside. `names` is the table that it was packed with.
    pub fn bring_back(&mut self, bytes: &[u8], names: &Names) {
        let Some((length, rest)) = bytes.split_first_chunk() else { return };
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let Some((watches, mates)) = rest.split_at_checked(length) else { return };
        self.watches.hand_back(watches, names);
        if !mates.is_empty() {
            self.mates.hand_back(mates, names);
        }
    }

    /// Takes in a good reading. `true`: it is the first of another day, and [`Drift::signs`] may have changed.
    pub fn take(&mut self, component: &ComponentId, kind: SensorKind, sensor: &str, value: f64, at: Timestamp) -> bool {
        if !value.is_finite() || !measured(component.class(), kind, sensor) {
            return false;
        }
        let closed = self.turn(at);
        if kind == SensorKind::CorrectableErrors {
            let date = self.date.unwrap_or_default();
            self.memory.or_default(component).count(value, date);
            return closed;
        }
        let channels = self.hours.or_default(component);
        match channels.iter_mut().find(|(c, _)| c.kind == kind && *c.sensor == *sensor) {
            Some((_, hour)) => hour.push(value),
            None => {
                let mut hour = Hour::default();
                hour.push(value);
                // Most places have one or two, and there are very many.
                channels.reserve_exact(1);
                channels.push((Channel { kind, sensor: sensor.into() }, hour));
            }
        }
        closed
    }

    /// Notes that something was changed on the server at `at` (firmware, a part, a setting): a step on that day is no wear, and what is
    /// still being learnt is learnt anew.
    pub fn changed(&mut self, at: Timestamp) {
        self.mates.restart();
        for watch in self.watches.values_mut() {
            watch.restart();
        }
        self.changed.insert(date_of(hour_of(at)));
        while self.changed.len() > 16 {
            self.changed.pop_first();
        }
    }

    /// Another part is in the place: nothing that was learnt of the old one speaks of it.
    pub fn renew(&mut self, component: &ComponentId, at: Timestamp) {
        self.watches.retain(|name, _| name.component != *component);
        self.mates.forget(component);
        self.presence.remove(component);
        self.memory.remove(component);
        self.changed(at);
    }

    /// Notes that the part in a place was pulled or put back: if it is not as it was from then on, it is another one.
    pub fn reseated(&mut self, component: &ComponentId, at: Timestamp) {
        if component.class() == ComponentClass::Fan {
            self.presence.or_default(component).missed = Some(date_of(hour_of(at)));
        }
    }

    /// Ends the hour, and the day, that `at` is not in.
    fn turn(&mut self, at: Timestamp) -> bool {
        let hour = hour_of(at);
        let Some(current) = self.hour else {
            (self.hour, self.date) = (Some(hour), Some(date_of(hour)));
            return false;
        };
        if !ends(current, hour) {
            return false;
        }
        self.close_hour();
        self.hour = Some(hour);
        let (date, before) = (date_of(hour), date_of(current));
        if date == before {
            return false;
        }
        self.close_day(before);
        self.date = Some(date);
        true
    }

    fn close_hour(&mut self) {
        let date = self.date.unwrap_or_default();
        self.note_presence(date);
        let view = View { hours: &self.hours };
        let mut samples = Vec::new();
        fan::measure(&view, &mut self.mates, &mut samples);
        supply::measure(&view, &mut samples);
        let air = self.air.hour(&fan::speeds(&view));
        heat::measure(&view, air, &mut samples);
        for sample in samples {
            self.watches.entry(sample.name.clone()).or_default().hour(&sample);
        }
        for (_, hour) in self.hours.values_mut().flatten() {
            hour.clear();
        }
    }

    fn note_presence(&mut self, date: i32) {
        let view = View { hours: &self.hours };
        let turning =
            |component: &ComponentId| view.number(component, SensorKind::FanSpeed).is_some_and(|rpm| rpm > 0.0);
        let any = view.of(ComponentClass::Fan).any(turning);
        let seen: Vec<(ComponentId, Option<f64>)> =
            view.of(ComponentClass::Fan).map(|c| (c.clone(), view.number(c, SensorKind::FanSpeed))).collect();
        for (component, rpm) in seen.into_iter().filter(|_| any) {
            let presence = self.presence.or_default(&component);
            if rpm.is_some_and(|rpm| rpm > 0.0) {
                // One reading that is lost says nothing; one that told that it stood still may.
                if presence.away >= 2 || presence.still {
                    presence.returned = Some(date);
                    presence.missed = Some(date);
                    presence.long = presence.away >= LONG;
                }
                (presence.away, presence.still) = (0, false);
                continue;
            }
            presence.away = presence.away.saturating_add(1);
            if rpm.is_some() && !presence.still {
                presence.still = true;
                match presence.stalls.last_mut() {
                    Some((day, times)) if *day == date => *times += 1,
                    _ => presence.stalls.push((date, 1)),
                }
            }
            presence.stalls.retain(|(day, _)| (0..=64).contains(&(date - *day)));
        }
    }

    fn close_day(&mut self, date: i32) {
        let against_mates = self.mates.close();
        for (name, watch) in self.watches.iter_mut() {
            let level = (name.measure == Measure::Speed)
                .then(|| against_mates.get(&(name.component.clone(), name.sensor.clone())).copied());
            watch.close(date, name.measure.terms(), level.flatten());
        }
        for errors in self.memory.values_mut() {
            errors.close(date);
        }
        self.forgive_returned(date);
        self.forgive_changed(date);
        self.forgive_steps();
    }

    /// What came back after it had been away, and is not as it was, is another one: nothing that was learnt speaks of it.
    fn forgive_returned(&mut self, date: i32) {
        let mut other = Vec::new();
        for (name, watch) in self.watches.iter() {
            let Some(presence) = self.presence.get(&name.component) else { continue };
            if let Some(since) = presence.returned.filter(|since| date - since >= SETTLED_DAYS) {
                let terms = name.measure.terms();
                let same = (0.4 * terms.effect).max(3.0 * watch.scatter(terms)).max(watch.grain());
                if presence.long || watch.shift(since).abs() > same {
                    other.push(name.clone());
                }
            }
        }
        other.iter().for_each(|name| self.begin_anew(name));
        for presence in self.presence.values_mut() {
            presence.returned = presence.returned.filter(|since| date - since < SETTLED_DAYS);
        }
    }

    /// What a change of the server did to measures that depend on how it is run is no wear, however little it was.
    fn forgive_changed(&mut self, date: i32) {
        for since in self.changed.iter().copied().filter(|since| date - since == SETTLED_DAYS) {
            for (name, watch) in self.watches.iter_mut().filter(|(name, _)| name.measure.terms().forgives_steps) {
                watch.accept(name.measure.terms(), since, watch.shift(since));
            }
        }
    }

    /// A step is wear only where it befell one fan alone, for no reason that is known.
    fn forgive_steps(&mut self) {
        let steps: Vec<(Name, i32, f64)> = self
            .watches
            .iter()
            .filter_map(|(name, watch)| {
                let (date, by) = watch.step(name.measure.terms())?;
                Some((name.clone(), date, by))
            })
            .collect();
        let mut anew = Vec::new();
        for (name, date, by) in &steps {
            let terms = name.measure.terms();
            let near = |other: i32| (other - date).abs() <= 2;
            let presence = self.presence.get(&name.component);
            let another = presence.is_some_and(|p| p.returned.or(p.missed).is_some_and(near));
            let explained = self.changed.iter().copied().any(near);
            let alike = steps.iter().any(|(other, when, how)| {
                other.measure == name.measure
                    && other.component != name.component
                    && near(*when)
                    && how.signum() == by.signum()
            });
            let better = if terms.worse == watch::Worse::Down { *by } else { -*by };
            let Some(watch) = self.watches.get_mut(name) else { continue };
            if better >= terms.effect || another {
                // Much better at once: it was repaired, cleaned or replaced, and had been worn while it was learnt or since.
                anew.push(name.clone());
            } else if terms.forgives_steps || explained || alike {
                watch.accept(terms, *date, *by);
            } else if better > 0.0 {
                // Better than it ever was is a new normal; as good as it was before is none: else each return would add to what is forgiven.
                let above = if *by > 0.0 { watch.now().clamp(0.0, *by) } else { watch.now().clamp(*by, 0.0) };
                watch.forgive(*date, above);
            }
        }
        anew.iter().for_each(|name| self.begin_anew(name));
    }

    /// Another part is in the place, as far as this measure shows: what was learnt speaks of the one before.
    fn begin_anew(&mut self, name: &Name) {
        self.watches.remove(name);
        if name.measure == Measure::Speed {
            self.mates.forget(&name.component);
        }
    }

    /// How the measures of a place went, day by day, oldest first: measure, sensor, day, distance from its normal in the measure's unit.
    pub fn course(&self, component: &ComponentId) -> impl Iterator<Item = (Measure, &str, Timestamp, f64)> {
        let own = self.watches.iter().filter(move |(name, _)| name.component == *component);
        own.flat_map(|(name, watch)| {
            watch.days().map(|(day, level)| (name.measure, name.sensor.as_str(), day_start(day.date), level))
        })
    }

    /// What has moved the wrong way, clearly and for days, in the order of the places; `rack` is what moved the rack alike.
    pub fn signs(&self, rack: &RackMode) -> Vec<Sign> {
        let mut signs = fan::signs(self);
        signs.extend(supply::signs(self));
        signs.extend(heat::signs(self, rack));
        signs.extend(memory::signs(&self.memory));
        signs
    }
}

/// Whether a place's readings of this kind are measured here.
fn measured(class: ComponentClass, kind: SensorKind, sensor: &str) -> bool {
    use SensorKind as K;
    match kind {
        K::Power if class != ComponentClass::PowerSupply => is_draw(sensor),
        K::FanSpeed | K::FanDuty | K::Power | K::InputPower | K::OutputPower | K::Efficiency => true,
        K::Voltage | K::Current => class == ComponentClass::PowerSupply,
        K::Temperature => !matches!(class, ComponentClass::Disk | ComponentClass::Agent | ComponentClass::Volume),
        K::CorrectableErrors => class == ComponentClass::Memory,
        _ => false,
    }
}

/// Whether a reading of one hour ends another.
fn ends(current: i64, hour: i64) -> bool {
    hour > current || current - hour >= SET_BACK
}

fn hour_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(HOUR_MILLIS)
}

fn date_of(hour: i64) -> i32 {
    i32::try_from(hour.div_euclid(24)).unwrap_or(i32::MAX)
}

fn day_start(date: i32) -> Timestamp {
    Timestamp::from_millis(i64::from(date) * 24 * HOUR_MILLIS)
}

/// An hour of a server, as the measures see it.
struct View<'a> {
    hours: &'a SortedMap<ComponentId, Channels>,
}

impl<'a> View<'a> {
    fn of(&self, class: ComponentClass) -> impl Iterator<Item = &'a ComponentId> {
        self.hours.keys().filter(move |c| c.class() == class)
    }

    fn components(&self) -> impl Iterator<Item = &'a ComponentId> {
        self.hours.keys()
    }

    /// The sensors of one kind, by name.
    fn sensors(&self, component: &ComponentId, kind: SensorKind) -> impl Iterator<Item = (&'a str, Told)> {
        let channels = self.hours.get(component).into_iter().flatten();
        channels.filter(move |(channel, _)| channel.kind == kind).filter_map(|(channel, hour)| {
            let told = Told { mid: hour.middle()?, first: hour.first()?, grain: hour.grain() };
            Some((channel.sensor.as_ref(), told))
        })
    }

    /// The values of a sensor within the hour.
    fn values(&self, component: &ComponentId, kind: SensorKind, sensor: &str) -> &'a [f32] {
        let mut channels = self.hours.get(component).into_iter().flatten();
        channels.find(|(c, _)| c.kind == kind && *c.sensor == *sensor).map_or(&[], |(_, hour)| hour.values())
    }

    /// Whether the place ever told this kind.
    fn has(&self, component: &ComponentId, kind: SensorKind) -> bool {
        self.hours.get(component).is_some_and(|channels| channels.iter().any(|(channel, _)| channel.kind == kind))
    }

    /// The middle of the first sensor of one kind.
    fn number(&self, component: &ComponentId, kind: SensorKind) -> Option<f64> {
        self.sensors(component, kind).next().map(|(_, told)| told.mid)
    }
}

#[cfg(test)]
mod tests;
