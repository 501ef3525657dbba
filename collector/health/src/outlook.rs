//! What is foreseen of a part from its own course over weeks: when a drive's endurance is used up, when a temperature reaches its limit.
//!
//! Little is kept of each day, with the drive or with the server: it cannot be learnt again from the newest readings. Once a day it becomes
//! [`Outlook`]s; where too little was seen, there is a [`Refusal`] instead of a date. Single bad reads, gaps, counters that begin anew and
//! clocks that jump move nothing: each is told apart before it counts.
//!
//! Read in this order: [`life`] (drives), [`heat`] (temperatures), [`line`] (the arithmetic of both).

mod day;
mod heat;
mod life;
pub(crate) mod line;

pub use heat::Rise;
pub use life::{Basis, Endurance, Refusal, WearOut};

use crate::draw::is_draw;
use crate::drift::is_inlet;
use crate::{Names, Packed, SortedMap};
use day::{date_of, day_start, hour_of};
use heat::{Air, Heat};
use outband_schemas::{ComponentClass as C, ComponentId, SensorKind as K, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is foreseen of one sensor of a place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// The place.
    pub component: ComponentId,
    /// The sensor.
    pub sensor: String,
    /// On which day this was told. It stands until it has moved by so much that it is worth telling again.
    pub told_at: Timestamp,
    /// What is foreseen.
    pub foresight: Foresight,
}

/// What is foreseen, or why nothing is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Foresight {
    /// A drive's endurance will be used up.
    WearOut(WearOut),
    /// Nothing can be said of when a drive's endurance will be used up.
    NoDate(Refusal),
    /// A temperature rises from day to day at comparable inlet air.
    Rise(Rise),
}

/// The course of one server's temperatures over weeks, in bounded room.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Course {
    hour: Option<i64>,
    date: Option<i32>,
    /// Drives by place, as versions kept them that did not know them by their serials yet.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    drives: BTreeMap<ComponentId, Endurance>,
    heats: Packed<SortedMap<ComponentId, Vec<Heat>>>,
    air: Packed<Air>,
}

/// A clock that stands so many hours before what was seen last has been set back, and is followed.
const SET_BACK: i64 = 3;

impl Course {
    /// Packs what was looked at.
    pub fn rest(&mut self, names: &Names) {
        self.heats.rest(names);
        self.air.rest(names);
    }

    /// Takes in a good reading. `true`: it is the first of another day, and [`Course::outlooks`] may have changed.
    pub fn take(&mut self, component: &ComponentId, kind: K, sensor: &str, value: f64, at: Timestamp) -> bool {
        if !value.is_finite() || !kept(component.class(), kind, sensor) {
            return false;
        }
        let closed = self.turn(at);
        match kind {
            K::Temperature if is_inlet(component, sensor) => self.air.breathe(component, sensor, value),
            K::Temperature => {
                let heats = self.heats.or_default(component);
                match heats.iter_mut().find(|h| h.sensor == sensor) {
                    Some(heat) => heat.read(value),
                    None => {
                        heats.reserve_exact(1);
                        heats.push(Heat::new(sensor, value));
                    }
                }
            }
            _ => self.air.draw(component, kind, sensor, value),
        }
        closed
    }

    /// Another part is in the place: nothing that was learnt of the old one speaks of it.
    pub fn renew(&mut self, component: &ComponentId) {
        self.heats.remove(component);
    }

    /// Hands out what an earlier version kept of drives by their places.
    pub fn take_drives(&mut self) -> BTreeMap<ComponentId, Endurance> {
        std::mem::take(&mut self.drives)
    }

    /// Ends the hour, and the day, that `at` is not in.
    fn turn(&mut self, at: Timestamp) -> bool {
        let hour = hour_of(at);
        let Some(current) = self.hour else {
            (self.hour, self.date) = (Some(hour), Some(date_of(hour)));
            return false;
        };
        if hour == current || (hour < current && current - hour < SET_BACK) {
            return false;
        }
        let hour_air = self.air.close();
        for heat in self.heats.values_mut().flatten() {
            heat.close_hour(&hour_air);
        }
        self.hour = Some(hour);
        let (date, before) = (date_of(hour), date_of(current));
        if date == before {
            return false;
        }
        for heat in self.heats.values_mut().flatten() {
            heat.close_day(before);
        }
        if date < before {
            // What was noted of days that have not been yet came of a clock that was wrong.
            self.heats.values_mut().flatten().for_each(|heat| heat.forget_after(date));
        } else {
            // By the day that has closed: the new one may be that of a clock that jumped.
            self.heats.values_mut().for_each(|heats| heats.retain(|heat| !heat.is_gone(before)));
            self.heats.retain(|_, heats| !heats.is_empty());
        }
        self.date = Some(date);
        true
    }

    /// What is foreseen of each part, in the order of the places. `before` is what was told last: it stands where little has changed.
    pub fn outlooks(&self, before: &[Outlook]) -> Vec<Outlook> {
        let Some(today) = self.date else { return Vec::new() };
        let heats = self.heats.iter().flat_map(|(component, heats)| {
            heats.iter().filter_map(move |h| Some((component, h.sensor.as_str(), Foresight::Rise(h.rise(today)?))))
        });
        let told = |(component, sensor, foresight): (&ComponentId, &str, Foresight)| {
            let known = before.iter().find(|o| o.component == *component && o.sensor == sensor);
            match known.filter(|known| known.foresight.stands(&foresight)) {
                Some(known) => known.clone(),
                None => {
                    let (component, sensor) = (component.clone(), sensor.to_owned());
                    Outlook { component, sensor, told_at: day_start(today), foresight }
                }
            }
        };
        heats.map(told).collect()
    }
}

impl Foresight {
    /// Whether this still says what `newer` would.
    fn stands(&self, newer: &Self) -> bool {
        match (self, newer) {
            (Self::WearOut(old), Self::WearOut(new)) => old.stands(new),
            (Self::Rise(old), Self::Rise(new)) => old.stands(new),
            _ => false,
        }
    }
}

/// Whether the course of a place's readings of this kind is kept.
fn kept(class: C, kind: K, sensor: &str) -> bool {
    match kind {
        K::Temperature => !matches!(class, C::Agent | C::Volume),
        K::Power => match class {
            C::PowerSupply => true,
            C::Server | C::Chassis | C::Board => is_draw(sensor),
            _ => false,
        },
        K::InputPower => class == C::PowerSupply,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
