//! Section sensors: for each chassis the better of the two generations of resources, so that each physical sensor is reported once.

use super::lenient::{Field, Number};
use super::memory::Generation;
use super::report::{Report, Seen, Status, name, place_name, state};
use super::route::Role;
use super::walk::Node;
use super::{power, redundancy, thermal};
use outband_schemas::{ComponentClass, ComponentId, SensorKind, Thresholds};
use std::collections::BTreeSet;

/// A sensor before it has a place.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) class: ComponentClass,
    pub(super) name: String,
    pub(super) slot: String,
    pub(super) kind: SensorKind,
    /// Whether it says what it has to say by its status, and not, or not only, by a figure.
    pub(super) discrete: bool,
    pub(super) number: Field<Number>,
    pub(super) thresholds: Thresholds,
    pub(super) status: Status,
    pub(super) seen: Seen,
}

impl Item {
    fn readable(&self) -> bool {
        self.number.is_value() && !self.status.is_absent()
    }
}

fn readable(items: &[Item]) -> usize {
    items.iter().filter(|i| i.readable()).count()
}

pub(super) fn report(report: &mut Report<'_>) {
    for (role, class) in [(Role::System, ComponentClass::Server), (Role::Chassis, ComponentClass::Chassis)] {
        for node in report.of(role) {
            let id = name(&node.body, &["Id", "Name"]).unwrap_or_else(|| node.tail().to_owned());
            let component = report.memory.part(class, &id, &node.uri);
            let seen = Seen { uri: node.uri.clone(), at: node.at };
            report.push(state(&component, "health", &Status::of(&node.body), &seen));
            if role == Role::System {
                report.push(power::power_state(&component, node));
            }
        }
    }
    let mut chassis: Vec<&Node> = report.of(Role::Chassis).collect();
    chassis.sort_by_key(|n| report.memory.rank(&n.uri));
    for node in chassis {
        one_chassis(report, node);
    }
}

fn one_chassis<'a>(report: &mut Report<'a>, chassis: &'a Node) {
    let owner = chassis.uri.as_str();
    let old_temperatures: Vec<Item> = report.below(Role::Thermal, owner).flat_map(thermal::temperatures).collect();
    let old_fans: Vec<Item> = report.below(Role::Thermal, owner).flat_map(thermal::fans).collect();
    let old_voltages: Vec<Item> = report.below(Role::Power, owner).flat_map(power::voltages).collect();
    let fan_nodes: Vec<&Node> = report.below(Role::Fan, owner).collect();
    let mut sensors: Vec<Item> = Vec::new();
    for node in report.below(Role::Sensor, owner) {
        let known =
            |n: &str| [&old_temperatures, &old_fans, &old_voltages].iter().any(|l| l.iter().any(|i| i.name == n));
        let item = thermal::sensor(node);
        if item.kind != SensorKind::Quantity || !known(&item.name) {
            sensors.push(item);
        }
    }
    let take = |from: &mut Vec<Item>, kinds: &[SensorKind]| -> Vec<Item> {
        from.extract_if(.., |i| kinds.contains(&i.kind)).collect()
    };
    let new_temperatures = take(&mut sensors, &[SensorKind::Temperature, SensorKind::ThermalMargin]);
    let tachometers = take(&mut sensors, &[SensorKind::FanSpeed, SensorKind::FanDuty]);
    let new_voltages = take(&mut sensors, &[SensorKind::Voltage]);

    let bays = power::bays(report, owner);
    let chosen =
        |report: &mut Report<'_>, what, old: &[Item], new: usize| report.memory.choose(owner, what, readable(old), new);
    let (read, other) = match chosen(report, "temperature", &old_temperatures, readable(&new_temperatures)) {
        Generation::Old => (old_temperatures, new_temperatures),
        Generation::New => (new_temperatures, old_temperatures),
    };
    emit(report, owner, &bays, read);
    alias(report, owner, &bays, &other);
    let (read, other) = match chosen(report, "voltage", &old_voltages, readable(&new_voltages)) {
        Generation::Old => (old_voltages, new_voltages),
        Generation::New => (new_voltages, old_voltages),
    };
    emit(report, owner, &bays, read);
    alias(report, owner, &bays, &other);
    let speeds = tachometers.iter().filter(|i| i.kind == SensorKind::FanSpeed && i.readable()).count();
    let fan_resources = fan_nodes.iter().filter(|n| thermal::fan_reads(n)).count();
    let other_fans = match chosen(report, "fan", &old_fans, readable(&tachometers).max(fan_resources)) {
        Generation::Old => {
            thermal::emit_fans(report, owner, old_fans);
            tachometers
        }
        Generation::New => {
            if fan_resources >= speeds.max(1) {
                thermal::emit_fan_resources(report, owner, &fan_nodes, tachometers);
            } else {
                thermal::emit_fans(report, owner, tachometers);
            }
            old_fans
        }
    };
    alias(report, owner, &bays, &other_fans);
    report.memory.choose(owner, "other", 0, sensors.len());
    emit(report, owner, &bays, sensors);
    power::report(report, owner);
    redundancy::report(report, owner);
    if !report.lossy.contains(owner) {
        report.memory.settle(owner);
    }
}

/// The place that an item's name speaks of.
fn wished(report: &Report<'_>, chassis: &str, bays: &BTreeSet<String>, item: &Item) -> (ComponentClass, String) {
    let supply = psu_number(item).map(|n| report.within(chassis, &n)).filter(|n| bays.contains(n));
    match supply {
        Some(bay) => (ComponentClass::PowerSupply, bay),
        None => (item.class, report.within(chassis, &item.slot)),
    }
}

/// Lets log entries that point at the generation which is not read from find the place of the same name.
fn alias(report: &mut Report<'_>, chassis: &str, bays: &BTreeSet<String>, items: &[Item]) {
    for item in items {
        let (class, slot) = wished(report, chassis, bays, item);
        report.memory.alias(&ComponentId::lenient(class, slot), &item.seen.uri);
    }
}

/// Gives each item its place and reports it.
fn emit(report: &mut Report<'_>, chassis: &str, bays: &BTreeSet<String>, items: Vec<Item>) {
    for item in items {
        let (class, slot) = wished(report, chassis, bays, &item);
        let component = report.memory.sensor(class, &slot, item.kind, &item.seen.uri, &item.name);
        report.memory.place(&component, &item.seen.uri);
        if item.discrete {
            report.push(state(&component, &item.name, &item.status, &item.seen));
        }
        if item.kind != SensorKind::State {
            push(report, &component, item);
        }
    }
}

/// Reports an item that has its place.
pub(super) fn push(report: &mut Report<'_>, component: &ComponentId, item: Item) {
    let mut figure = super::report::Figure::new(item.kind, item.name, item.number);
    figure.thresholds = item.thresholds;
    let reading = super::report::analog(component, figure, &item.status, &item.seen);
    report.push(reading);
}

/// `P/S 1` and `PS1` are the power supply in bay 1, whose own resource is named by that number too.
fn psu_number(item: &Item) -> Option<String> {
    let slot = item.slot.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('-');
    power::generic_number(&place_name(slot))
}
