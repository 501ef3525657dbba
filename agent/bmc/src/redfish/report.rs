//! From the resources of one walk to observations: what the rooms for each kind of resource share.

use super::lenient::{self, Field, Number, number, text};
use super::memory::Memory;
use super::route::Role;
use super::walk::{Node, tail};
use super::{chassis, faults, inventory, slow, storage};
use crate::quirk::Platform;
use outband_schemas::{
    Cause, ComponentClass, ComponentId, Observation, Quality, Reading, Section, SensorKind, Source, State, Suspicion,
    Thresholds, Timestamp, Value,
};
use serde_json::Value as Json;
use std::collections::{BTreeSet, HashSet};

/// What the resources of a walk say. Log entries are not in it: see [`super::log`].
pub(super) fn observations(
    section: Section,
    nodes: &[Node],
    lossy: BTreeSet<String>,
    memory: &mut Memory,
    platform: Platform,
    at: Timestamp,
) -> Vec<Observation> {
    let mut report = Report { nodes, lossy, memory, out: Vec::new() };
    match section {
        Section::Sensors => chassis::report(&mut report),
        Section::Drives => {
            storage::report(&mut report);
            slow::report(&mut report);
        }
        Section::Inventory => inventory::report(&mut report, platform, at),
        Section::Log | Section::Host => {}
    }
    let mut seen = HashSet::new();
    report.out.retain(|o| match o {
        // Two halves of one fan each carry its state.
        Observation::Reading(r) => seen.insert((r.component.clone(), r.kind, r.sensor.clone())),
        _ => true,
    });
    let lost = faults::gaps(section, nodes, &report.out);
    report.out.extend(lost.into_iter().map(Observation::Gap));
    report.out
}

/// A report in the making.
pub(super) struct Report<'a> {
    pub(super) nodes: &'a [Node],
    /// The chassis, systems and managers of which something could not be read.
    pub(super) lossy: BTreeSet<String>,
    pub(super) memory: &'a mut Memory,
    pub(super) out: Vec<Observation>,
}

impl<'a> Report<'a> {
    pub(super) fn of(&self, role: Role) -> impl Iterator<Item = &'a Node> + use<'a> {
        let nodes = self.nodes;
        nodes.iter().filter(move |n| n.role == role)
    }

    pub(super) fn below(&self, role: Role, owner: &'a str) -> impl Iterator<Item = &'a Node> + use<'a> {
        self.of(role).filter(move |n| n.owner == owner)
    }

    pub(super) fn push(&mut self, reading: Option<Reading>) {
        self.out.extend(reading.map(Observation::Reading));
    }

    /// A name as it is to be used for a place: that of a chassis other than the first carries the chassis' own.
    pub(super) fn within(&self, chassis: &str, name: &str) -> String {
        let first = self.memory.first_chassis();
        let id = tail(chassis);
        let known = self.memory.knows_chassis(chassis);
        let plain = |text: &str| -> String {
            text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
        };
        if !known || first == Some(chassis) || plain(name).contains(&plain(id)) {
            name.to_owned()
        } else {
            format!("{id} {name}")
        }
    }
}

/// A resource's `Status`, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) state: Option<String>,
    pub(super) health: Option<String>,
}

impl Status {
    pub(super) fn of(resource: &Json) -> Self {
        match resource.get("Status") {
            Some(status @ Json::Object(_)) => {
                let health = ["Health", "HealthRollup", "HealthRollUp"].iter().find_map(|f| text(status, f));
                let state = text(status, "State");
                // H3C's R4900 G6 has the two of its manager mixed up: Health `Enabled`, State `OK` (github.com/bb-Ricardo/check_redfish, issue 200).
                let mixed_up = health.as_deref().is_some_and(is_state) && state.as_deref().is_some_and(is_health);
                if mixed_up { Self { state: health, health: state } } else { Self { state, health } }
            }
            _ => Self { state: None, health: text(resource, "Status") },
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        self.state.as_deref() == Some("Absent")
    }

    fn is_off(&self) -> bool {
        matches!(self.state.as_deref(), Some("Disabled" | "StandbyOffline" | "UnavailableOffline"))
    }

    /// What it means for health. No word on health is not OK: it is unknown.
    pub(super) fn meaning(&self) -> State {
        if self.is_absent() {
            return State::Absent;
        }
        match self.health.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("ok" | "good" | "normal") => State::Ok,
            Some("warning" | "degraded" | "minor") => State::Warning,
            Some("critical" | "failed" | "fatal" | "major") => State::Critical,
            _ => State::Unknown,
        }
    }

    /// The BMC's own words, e.g. `Enabled, OK`; `None` where it says nothing.
    pub(super) fn words(&self) -> Option<String> {
        let words: Vec<&str> = [&self.state, &self.health].into_iter().filter_map(|w| w.as_deref()).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

fn is_state(word: &str) -> bool {
    matches!(word, "Enabled" | "Disabled" | "Absent" | "StandbyOffline" | "UnavailableOffline")
}

fn is_health(word: &str) -> bool {
    matches!(word, "OK" | "Warning" | "Critical")
}

/// Where and when something was read.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) uri: String,
    pub(super) at: Timestamp,
}

/// A state reading of a part that is a unit of service: one that says nothing of its state is there, and unknown.
pub(super) fn part_state(component: &ComponentId, status: &Status, seen: &Seen) -> Option<Reading> {
    let silent = Status { state: Some("no status given".to_owned()), health: None };
    state(component, "health", if status.words().is_some() { status } else { &silent }, seen)
}

/// A state reading; `None` where the resource has no status.
pub(super) fn state(component: &ComponentId, sensor: &str, status: &Status, seen: &Seen) -> Option<Reading> {
    let text = status.words()?;
    Some(Reading {
        component: component.clone(),
        kind: SensorKind::State,
        sensor: sensor.to_owned(),
        value: Some(Value::State { state: status.meaning(), text }),
        quality: Quality::Good,
        observed_at: seen.at,
        source: Source(seen.uri.clone()),
        thresholds: None,
    })
}

/// A number that a resource gives, or says it should give.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    pub(super) kind: SensorKind,
    pub(super) sensor: String,
    pub(super) number: Field<Number>,
    pub(super) thresholds: Thresholds,
}

impl Figure {
    pub(super) fn new(kind: SensorKind, sensor: impl Into<String>, number: impl Into<Field<Number>>) -> Self {
        Self { kind, sensor: sensor.into(), number: number.into(), thresholds: Thresholds::default() }
    }
}

/// The reading of a figure; `None` for an empty place, whose zeros mean nothing. One that was lost names its field as its source.
pub(super) fn analog(component: &ComponentId, figure: Figure, status: &Status, seen: &Seen) -> Option<Reading> {
    if status.is_absent() {
        return None;
    }
    let source = figure.number.bad().map_or_else(|| seen.uri.clone(), |bad| bad.pointer(&seen.uri));
    let (value, quality) = match figure.number {
        Field::Bad(_) => (None, Quality::Unavailable(Cause::Malformed)),
        _ if status.is_off() => (None, Quality::Unavailable(Cause::Disabled)),
        Field::Absent | Field::Null => (None, Quality::Unavailable(Cause::NoReading)),
        // What a BMC writes is finite, but a factor to the kind's unit may carry it beyond all numbers.
        Field::Value(n) if !n.value.is_finite() => (None, Quality::Unavailable(Cause::Malformed)),
        Field::Value(n) => {
            let (low, high) = figure.kind.row().range;
            let quality = match n {
                n if !(low..=high).contains(&n.value) => Quality::Suspect(Suspicion::OutOfRange),
                n if n.coerced => Quality::Suspect(Suspicion::Coerced),
                _ => Quality::Good,
            };
            (Some(Value::Number(n.value)), quality)
        }
    };
    Some(Reading {
        component: component.clone(),
        kind: figure.kind,
        sensor: figure.sensor,
        value,
        quality,
        observed_at: seen.at,
        source: Source(source),
        thresholds: Some(figure.thresholds.finite()).filter(|t| !t.is_empty()),
    })
}

/// The limits of the older generation (`UpperThresholdCritical`, …).
pub(super) fn old_thresholds(resource: &Json) -> Thresholds {
    let limit = |field: &str| number(resource, field).map(|n| n.value);
    Thresholds {
        lower_non_recoverable: limit("LowerThresholdFatal"),
        lower_critical: limit("LowerThresholdCritical"),
        lower_non_critical: limit("LowerThresholdNonCritical"),
        upper_non_critical: limit("UpperThresholdNonCritical"),
        upper_critical: limit("UpperThresholdCritical"),
        upper_non_recoverable: limit("UpperThresholdFatal"),
    }
}

/// The limits of a `Sensor` resource.
pub(super) fn new_thresholds(resource: &Json) -> Thresholds {
    let all = resource.get("Thresholds").unwrap_or(&Json::Null);
    let limit = |field: &str| all.get(field).and_then(|t| number(t, "Reading")).map(|n| n.value);
    Thresholds {
        lower_non_recoverable: limit("LowerFatal"),
        lower_critical: limit("LowerCritical"),
        lower_non_critical: limit("LowerCaution"),
        upper_non_critical: limit("UpperCaution"),
        upper_critical: limit("UpperCritical"),
        upper_non_recoverable: limit("UpperFatal"),
    }
}

/// Upper limits of 0 °C are how some BMCs (iLO 4, OpenBMC) write "none".
pub(super) fn without_zero_uppers(mut limits: Thresholds) -> Thresholds {
    for upper in [&mut limits.upper_non_critical, &mut limits.upper_critical, &mut limits.upper_non_recoverable] {
        *upper = upper.filter(|u| *u != 0.0);
    }
    limits
}

/// A resource's name: the first of `fields` that is set.
pub(super) fn name(resource: &Json, fields: &[&str]) -> Option<String> {
    fields.iter().find_map(|f| text(resource, f)).map(|n| lenient::clip(&n, 100))
}

/// A sensor's name without the words that only repeat what it measures: `CPU1 Temp` is the temperature of `CPU1`.
pub(super) fn place_name(name: &str) -> String {
    const WORDS: [&str; 16] = [
        "temperature",
        "temp",
        "tach",
        "tachometer",
        "speed",
        "rpm",
        "pwm",
        "duty",
        "voltage",
        "volt",
        "current",
        "power",
        "status",
        "sensor",
        "reading",
        "fanspeed",
    ];
    let mut rest = name.trim();
    loop {
        let cut = rest.rfind([' ', '_', '-', '.']).filter(|i| {
            let last = rest.get(i + 1..).unwrap_or_default().to_ascii_lowercase();
            WORDS.contains(&last.as_str())
        });
        match cut.and_then(|i| rest.get(..i)).map(|r| r.trim_end_matches([' ', '_', '-', '.'])) {
            Some(shorter) if !shorter.is_empty() => rest = shorter,
            _ => return rest.to_owned(),
        }
    }
}

/// The class of part that a sensor watches, from its `PhysicalContext` or else its name.
pub(super) fn class_of(resource: &Json, name: &str) -> ComponentClass {
    let context = text(resource, "PhysicalContext").unwrap_or_default();
    match context.as_str() {
        "CPU" | "CPUSubsystem" => return ComponentClass::Cpu,
        "Memory" | "MemorySubsystem" => return ComponentClass::Memory,
        "GPU" | "GPUSubsystem" | "Accelerator" => return ComponentClass::Gpu,
        "Intake" | "Exhaust" | "Chassis" | "Room" | "Front" | "Back" => return ComponentClass::Chassis,
        "NetworkingDevice" | "Transceiver" => return ComponentClass::Network,
        _ => {}
    }
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| name.contains(w));
    match () {
        () if has(&["dimm", "memory"]) => ComponentClass::Memory,
        () if has(&["gpu"]) => ComponentClass::Gpu,
        () if has(&["cpu", "processor"]) => ComponentClass::Cpu,
        () if has(&["inlet", "ambient", "exhaust", "outlet", "intake"]) => ComponentClass::Chassis,
        () => ComponentClass::Board,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen() -> Seen {
        Seen { uri: "/x".to_owned(), at: Timestamp::from_secs(1) }
    }

    fn figure_of(resource: &Json) -> Figure {
        Figure::new(SensorKind::Temperature, "t", lenient::number_field(resource, "ReadingCelsius"))
    }

    #[test]
    fn an_empty_place_gives_no_zero_and_a_silent_sensor_says_so() {
        let place = ComponentId::lenient(ComponentClass::Cpu, "1");
        let figure = |n: Option<Number>| Figure::new(SensorKind::Temperature, "t", n);
        let zero = Some(Number { value: 0.0, coerced: false });
        let absent = Status::of(&json!({"Status": {"State": "Absent"}}));
        assert_eq!(analog(&place, figure(zero), &absent, &seen()), None);
        let enabled = Status::of(&json!({"Status": {"State": "Enabled"}}));
        assert_eq!(
            analog(&place, figure(None), &enabled, &seen()).unwrap().quality,
            Quality::Unavailable(Cause::NoReading)
        );
        let lost = analog(&place, figure_of(&json!({"ReadingCelsius": {}})), &enabled, &seen()).unwrap();
        assert_eq!(
            (lost.quality, lost.source.0.as_str()),
            (Quality::Unavailable(Cause::Malformed), "/x#/ReadingCelsius")
        );
        let off = Status::of(&json!({"Status": {"State": "Disabled"}}));
        assert_eq!(analog(&place, figure(zero), &off, &seen()).unwrap().quality, Quality::Unavailable(Cause::Disabled));
    }

    #[test]
    fn a_state_without_health_is_unknown_and_not_ok() {
        assert_eq!(Status::of(&json!({"Status": {"State": "Enabled", "Health": null}})).meaning(), State::Unknown);
        assert_eq!(Status::of(&json!({"Status": {"State": "Enabled", "Health": "Ok"}})).meaning(), State::Ok);
        assert_eq!(
            Status::of(&json!({"Status": {"State": "Enabled", "HealthRollup": "Critical"}})).meaning(),
            State::Critical
        );
        assert_eq!(Status::of(&json!({"Status": {"State": "Enabled", "Health": "Enabled"}})).meaning(), State::Unknown);
        assert_eq!(Status::of(&json!({"Status": {"State": "Quiesced"}})).words().unwrap(), "Quiesced");
        let mixed_up = Status::of(&json!({"Status": {"State": "OK", "Health": "Enabled"}}));
        assert_eq!((mixed_up.meaning(), mixed_up.words().unwrap()), (State::Ok, "Enabled, OK".to_owned()));
    }

    #[test]
    fn a_place_is_named_without_the_word_for_what_is_measured() {
        assert_eq!(place_name("CPU1 Temp"), "CPU1");
        assert_eq!(place_name("Fan 1A Tach"), "Fan 1A");
        assert_eq!(place_name("FAN_1_PWM"), "FAN_1");
        assert_eq!(place_name("Temp"), "Temp");
        assert_eq!(place_name("PS1 Status"), "PS1");
    }

    #[test]
    fn a_number_outside_its_kinds_range_is_doubted() {
        let place = ComponentId::lenient(ComponentClass::Cpu, "1");
        let hot = Figure::new(SensorKind::Temperature, "t", Some(Number { value: 3000.0, coerced: false }));
        let reading = analog(&place, hot, &Status::default(), &seen()).unwrap();
        assert_eq!(reading.quality, Quality::Suspect(Suspicion::OutOfRange));
    }
}
