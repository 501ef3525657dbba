//! What a client remembers of a BMC from one poll to the next, so that names stay and nothing is asked in vain.

use super::cache::Cache;
pub use super::expand::Expand;
use super::expand::Expander;
use super::lenient::{error_of, is_inline, target};
use super::portions::Portions;
use super::rotation::Rotation;
use super::route::Role;
use super::steady::Steady;
use super::walk::{Answer, Get, key, members, next_link};
use crate::quirk::Platform;
use outband_schemas::{Cause, ComponentClass, ComponentId, Section, SensorKind, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long to wait for an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Patience {
    /// As configured.
    #[default]
    Usual,
    /// Less: it did not answer the last times, and others wait.
    Short,
    /// More: it is slow, and nobody waits.
    Long,
}

/// Which of the two generations of resources a chassis is read from, per kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// `Thermal` and `Power`.
    Old,
    /// `ThermalSubsystem`, `PowerSubsystem` and `Sensors`.
    New,
}

/// Every how many polls something that hung is waited for as long as it may take.
const HOPEFUL: u8 = 8;

/// What was learned. Empty for a new client; it loses nothing but requests when it is forgotten.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    pub(super) expander: Expander,
    pub(super) cache: Cache,
    pub(super) steady: Steady,
    /// Whether the poll whose resources are reported read only what it knew to be there.
    pub(super) partial: bool,
    /// Time-outs in a row, by URI.
    hung: BTreeMap<String, u8>,
    /// Chassis whose two generations call a sensor by the same name.
    same_names: BTreeSet<(String, &'static str)>,
    /// Chassis that were read.
    chassis: BTreeSet<String>,
    chosen: BTreeMap<(String, &'static str), Generation>,
    names: BTreeMap<(ComponentClass, String, String), ComponentId>,
    taken: BTreeSet<ComponentId>,
    sensors: BTreeMap<(SensorKind, String, String), ComponentId>,
    taken_sensors: BTreeSet<(SensorKind, ComponentId)>,
    places: BTreeMap<String, ComponentId>,
    ranks: BTreeMap<String, usize>,
    /// What is read a few a poll, in turn.
    pub(super) rotation: Rotation,
    /// What an inventory has still to read.
    pub(super) portions: Portions,
}

impl Memory {
    /// Learns from the service root what queries the BMC says it supports.
    pub(super) fn learn_features(&mut self, root: &Value, platform: Platform) {
        if !platform.expand_drops_fields() && !platform.refuses_expand() {
            self.expander.learn(root);
        }
    }

    /// Takes a collection that was read before the first poll, e.g. to see whether one may. Polls go on with it.
    pub fn seed(&mut self, uri: &str, body: &Value, at: Timestamp) {
        let members = members(body.clone());
        let links: Vec<String> = members.iter().filter_map(target).collect();
        if links.len() != members.len() || next_link(body).is_some() {
            return;
        }
        self.expander.count(uri, links.len());
        for (member, link) in members.iter().zip(&links) {
            if is_inline(member) && error_of(member).is_none() {
                self.cache.put_aside(&key(link), member, at);
            }
        }
        let links: Vec<Value> = links.into_iter().map(|uri| json!({"@odata.id": uri})).collect();
        self.cache.put_aside(&key(uri), &json!({"Members": links}), at);
    }

    /// Takes how long a request took, whatever came of it. Called before [`super::walk::Walk::handle_body`].
    pub fn took(&mut self, get: &Get, elapsed: Duration) {
        if get.plain {
            self.expander.took(elapsed);
        }
    }

    /// Takes whether a resource answered.
    pub(super) fn answered(&mut self, get: &Get, answer: &Answer) {
        if matches!(answer, Answer::Failed { cause: Cause::Timeout, .. }) {
            let times = self.hung.entry(get.resource.clone()).or_default();
            *times = times.wrapping_add(1).max(1);
        } else if get.patience != Patience::Long {
            // What needed long will need long again.
            self.hung.remove(&get.resource);
        }
    }

    /// How long to wait for a resource: sensors do not wait twice for what hangs, and the other sections give it time.
    pub(super) fn patience(&self, resource: &str, section: Section, role: Role) -> Patience {
        let hung = self.hung.get(resource).copied().unwrap_or(0);
        match (section, hung) {
            (_, 0) if role == Role::LogEntry => Patience::Long,
            (_, 0) => Patience::Usual,
            (Section::Sensors, _) => Patience::Short,
            (_, times) if times == 1 || times % HOPEFUL == 0 => Patience::Long,
            _ => Patience::Short,
        }
    }

    /// Notes that a chassis was read.
    pub(super) fn read_chassis(&mut self, uri: &str) {
        self.chassis.insert(uri.to_owned());
    }

    /// Whether a chassis was ever read.
    pub(super) fn knows_chassis(&self, uri: &str) -> bool {
        self.chassis.contains(uri)
    }

    /// The first chassis in the order of the BMC.
    pub(super) fn first_chassis(&self) -> Option<&str> {
        self.chassis.iter().map(String::as_str).min_by_key(|uri| self.rank(uri))
    }

    /// Whether both generations of a chassis call a sensor by the same name, which a complete look tells by `same` of `least` names.
    pub(super) fn shares_names(&mut self, chassis: &str, what: &'static str, same: usize, least: usize) -> bool {
        let key = (chassis.to_owned(), what);
        if !self.partial && same > 0 && same * 2 >= least {
            self.same_names.insert(key.clone());
        }
        self.same_names.contains(&key)
    }

    /// The generation a chassis was read from before, for `what`.
    pub(super) fn chosen(&self, chassis: &str, what: &'static str) -> Option<Generation> {
        self.chosen.get(&(chassis.to_owned(), what)).copied()
    }

    /// Which of two generations to believe: the one that was believed before as long as it gives anything, else the one that gives more, and the
    /// old one (fewer requests) where both give as much.
    pub(super) fn choose(&mut self, chassis: &str, what: &'static str, old: usize, new: usize) -> Generation {
        let before = self.chosen(chassis, what);
        let choice = match before {
            // A part of the resources says nothing of which generation gives more.
            Some(before) if self.partial => before,
            Some(Generation::Old) if old > 0 => Generation::Old,
            Some(Generation::New) if new > 0 => Generation::New,
            _ if new > old => Generation::New,
            _ => Generation::Old,
        };
        if old + new > 0 {
            self.chosen.insert((chassis.to_owned(), what), choice);
        }
        choice
    }

    /// The place of a part: its wished name, or that with the end of its URI where another part has that name already. Once given, a name stays with
    /// the part (known by URI and wished name), whatever else comes and goes.
    pub(super) fn part(&mut self, class: ComponentClass, wished: &str, uri: &str) -> ComponentId {
        let key = (class, uri.to_owned(), wished.to_owned());
        if let Some(known) = self.names.get(&key) {
            return known.clone();
        }
        let id = spellings(class, wished, uri)
            .find(|id| !self.taken.contains(id))
            .unwrap_or_else(|| ComponentId::lenient(class, uri));
        self.taken.insert(id.clone());
        self.names.insert(key, id.clone());
        self.place(&id, uri);
        id
    }

    /// The place that a sensor watches. Two sensors of one kind never share one, so that each is a series of its own. Once given, it stays with the
    /// sensor, known by its URI and its own name.
    pub(super) fn sensor(
        &mut self,
        class: ComponentClass,
        wished: &str,
        kind: SensorKind,
        uri: &str,
        name: &str,
    ) -> ComponentId {
        let key = (kind, uri.to_owned(), name.to_owned());
        if let Some(known) = self.sensors.get(&key) {
            return known.clone();
        }
        let id = spellings(class, wished, uri)
            .find(|id| !self.taken_sensors.contains(&(kind, id.clone())))
            .unwrap_or_else(|| ComponentId::lenient(class, uri));
        self.taken_sensors.insert((kind, id.clone()));
        self.sensors.insert(key, id.clone());
        id
    }

    /// Whether any sensor of a kind watches a part of a class.
    pub(super) fn has_sensor(&self, kind: SensorKind, class: ComponentClass) -> bool {
        self.taken_sensors.iter().any(|(k, id)| *k == kind && id.class() == class)
    }

    /// Whether a sensor of a kind has this name.
    pub(super) fn has_named(&self, kind: SensorKind, name: &str) -> bool {
        self.sensors.keys().any(|(k, _, known)| *k == kind && known == name)
    }

    /// Notes that a URI speaks of a place.
    pub(super) fn place(&mut self, id: &ComponentId, uri: &str) {
        self.places.insert(place_key(uri), id.clone());
    }

    /// Notes that a URI of the generation that is not read from speaks of a place too, if that place is known: log entries may point at either.
    pub(super) fn alias(&mut self, id: &ComponentId, uri: &str) {
        if self.places.values().any(|known| known == id) {
            self.places.entry(place_key(uri)).or_insert_with(|| id.clone());
        }
    }

    /// The place that a URI was seen to be, for log entries that point at one.
    pub(super) fn place_at(&self, uri: &str) -> Option<&ComponentId> {
        self.places.get(&place_key(uri))
    }

    /// Every place known so far.
    pub(super) fn places(&self) -> impl Iterator<Item = &ComponentId> {
        self.places.values()
    }

    /// Notes a chassis in the order in which the BMC lists them.
    pub(super) fn list_chassis(&mut self, uri: &str) {
        let next = self.ranks.len();
        self.ranks.entry(uri.to_owned()).or_insert(next);
    }

    /// A chassis' place in that order.
    pub(super) fn rank(&self, uri: &str) -> usize {
        self.ranks.get(uri).copied().unwrap_or(usize::MAX)
    }
}

/// One spelling for one place: escapes resolved, no slashes at the ends of path and pointer. Makers write `Thermal#/Fans/0`, `Thermal/#/Fans/0` and
/// `Thermal#Fans/0`.
fn place_key(uri: &str) -> String {
    let plain = percent_encoding::percent_decode_str(uri.trim()).decode_utf8_lossy();
    match plain.split_once('#') {
        Some((path, pointer)) => format!("{}#{}", path.trim_end_matches('/'), pointer.trim_matches('/')),
        None => plain.trim_end_matches('/').to_owned(),
    }
}

/// Ever longer spellings of a name: alone, with the last segment of its URI, with the last three, and so on.
fn spellings<'a>(class: ComponentClass, wished: &'a str, uri: &'a str) -> impl Iterator<Item = ComponentId> + 'a {
    let segments: Vec<&str> = uri.trim_end_matches('/').split('/').filter(|s| !s.is_empty()).collect();
    let count = segments.len();
    std::iter::once(ComponentId::lenient(class, wished)).chain((1..=count).map(move |n| {
        let end = segments.get(count - n..).unwrap_or_default().join("/");
        ComponentId::lenient(class, format!("{wished} ({end})"))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_parts_of_one_name_get_two_places_that_stay() {
        let mut memory = Memory::default();
        let first = memory.part(ComponentClass::Disk, "Bay 1", "/redfish/v1/a/Drives/1");
        let second = memory.part(ComponentClass::Disk, "Bay 1", "/redfish/v1/b/Drives/1");
        assert_ne!(first, second);
        assert_eq!(
            memory.part(ComponentClass::Disk, "Bay 1", "/redfish/v1/b/Drives/1"),
            second,
            "even though it is asked first"
        );
        assert_eq!(memory.part(ComponentClass::Disk, "Bay 1", "/redfish/v1/a/Drives/1"), first);
    }

    #[test]
    fn a_temperature_and_a_voltage_may_share_a_place_but_two_temperatures_may_not() {
        let mut memory = Memory::default();
        let cpu = ComponentClass::Cpu;
        let a = memory.sensor(cpu, "CPU1", SensorKind::Temperature, "/t#/0", "CPU1 Temp");
        assert_eq!(a, memory.sensor(cpu, "CPU1", SensorKind::Voltage, "/v#/0", "CPU1 Volt"));
        assert_ne!(a, memory.sensor(cpu, "CPU1", SensorKind::Temperature, "/t#/1", "CPU1 Temp"));
    }

    #[test]
    fn a_member_is_found_under_every_spelling_of_its_pointer() {
        let mut memory = Memory::default();
        let fan = ComponentId::lenient(ComponentClass::Fan, "Fan 1");
        memory.place(&fan, "/redfish/v1/Chassis/1/Thermal#/Fans/0");
        for spelling in
            ["Thermal#/Fans/0", "Thermal/#/Fans/0", "Thermal#Fans/0", "Thermal#/Fans/0/", "Thermal#%2FFans%2F0"]
        {
            assert_eq!(memory.place_at(&format!("/redfish/v1/Chassis/1/{spelling}")), Some(&fan), "{spelling}");
        }
        assert_eq!(memory.place_at("/redfish/v1/Chassis/1/Thermal"), None, "the whole is not one of its members");
    }

    #[test]
    fn the_generation_read_before_is_kept_while_it_gives_anything() {
        let mut memory = Memory::default();
        assert_eq!(memory.choose("/c", "fan", 3, 3), Generation::Old);
        assert_eq!(memory.choose("/c", "fan", 2, 3), Generation::Old);
        assert_eq!(memory.choose("/c", "fan", 0, 3), Generation::New);
    }
}
