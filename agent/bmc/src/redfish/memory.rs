//! What a client remembers of a BMC from one poll to the next, so that names stay and nothing is asked in vain.

use super::lenient::truth;
use crate::quirk::Platform;
use outband_schemas::{ComponentClass, ComponentId, SensorKind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How a BMC expands collections (DSP0266 §7.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expand {
    /// It does not, or not so that one could use it.
    #[default]
    No,
    /// Members but not links: `$expand=.`.
    Members,
    /// Everything: `$expand=*`.
    All,
}

impl Expand {
    /// What to append to a collection's URI.
    pub fn query(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Members => "?$expand=.($levels=1)",
            Self::All => "?$expand=*($levels=1)",
        }
    }
}

/// Which of the two generations of resources a chassis is read from, per kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// `Thermal` and `Power`.
    Old,
    /// `ThermalSubsystem`, `PowerSubsystem` and `Sensors`.
    New,
}

/// How many polls a chassis with nothing to read is left alone.
const QUIET_POLLS: u32 = 10;

/// What was learned. Empty for a new client; it loses nothing but requests when it is forgotten.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// How collections are expanded.
    pub expand: Expand,
    features_known: bool,
    expand_failures: u8,
    chosen: BTreeMap<(String, &'static str), Generation>,
    names: BTreeMap<(ComponentClass, String, String), ComponentId>,
    taken: BTreeSet<ComponentId>,
    sensors: BTreeMap<(SensorKind, String, String), ComponentId>,
    taken_sensors: BTreeSet<(SensorKind, ComponentId)>,
    places: BTreeMap<String, ComponentId>,
    ranks: BTreeMap<String, usize>,
    quiet: BTreeSet<String>,
    sensor_polls: u32,
}

impl Memory {
    /// Learns from the service root what queries the BMC says it supports.
    pub(super) fn learn_features(&mut self, root: &Value, platform: Platform) {
        if std::mem::replace(&mut self.features_known, true) {
            return;
        }
        if platform.expand_drops_fields() || platform.refuses_expand() {
            return;
        }
        let Some(query) = root.get("ProtocolFeaturesSupported").and_then(|p| p.get("ExpandQuery")) else { return };
        self.expand = match (truth(query, "NoLinks"), truth(query, "ExpandAll")) {
            (Some(true), _) => Expand::Members,
            (_, Some(true)) => Expand::All,
            _ => Expand::No,
        };
    }

    /// An expanded request failed; after three the BMC is not asked for one again.
    pub(super) fn expand_failed(&mut self) {
        self.expand_failures = self.expand_failures.saturating_add(1);
        if self.expand_failures >= 3 {
            self.expand = Expand::No;
        }
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

    /// After a poll of a chassis in which nothing failed: kinds that it has not at all are looked for in the older generation only, and a chassis that has
    /// nothing to read is left alone for some polls.
    pub(super) fn settle(&mut self, chassis: &str) {
        let kinds = ["temperature", "fan", "voltage", "power_supply"];
        let has_any = kinds.iter().chain(&["other"]).any(|what| self.chosen(chassis, what).is_some());
        if has_any {
            self.quiet.remove(chassis);
            for what in kinds {
                self.chosen.entry((chassis.to_owned(), what)).or_insert(Generation::Old);
            }
        } else {
            self.quiet.insert(chassis.to_owned());
        }
    }

    /// Counts a poll of the sensors.
    pub(super) fn begin_sensors(&mut self) {
        self.sensor_polls = self.sensor_polls.wrapping_add(1);
    }

    /// Whether a chassis had nothing to read and need not be asked now.
    pub(super) fn is_quiet(&self, chassis: &str) -> bool {
        self.quiet.contains(chassis) && !self.sensor_polls.is_multiple_of(QUIET_POLLS)
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
