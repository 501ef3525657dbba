//! Section sensors: for each chassis the better of the two generations of resources, so that each physical sensor is reported once.

use super::lenient::list;
use super::lenient::{Field, Number};
use super::memory::Generation;
use super::report::{Report, Seen, Status, name, place_name, state};
use super::route::Role;
use super::walk::Node;
use super::{module, power, redundancy, thermal};
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
                module::summaries(report, &component, node);
            }
        }
    }
    // A poll by plan does not read the chassis themselves, but what they hold.
    let holders = report.nodes.iter().map(|n| if n.role == Role::Chassis { n.uri.as_str() } else { n.owner.as_str() });
    let mut chassis: Vec<&str> = holders.filter(|uri| report.memory.knows_chassis(uri)).collect();
    chassis.sort_by_key(|uri| (report.memory.rank(uri), *uri));
    chassis.dedup();
    let by_plan = report.memory.partial;
    for owner in chassis {
        // A generation that could not be read for once is not the lesser one for that.
        report.memory.partial = by_plan || report.lossy.contains(owner);
        one_chassis(report, owner);
    }
    report.memory.partial = by_plan;
}

/// How much the older generation told of a chassis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    temperatures: usize,
    pub(super) fans: usize,
    pub(super) supplies: usize,
}

impl Told {
    /// Whether nothing is missing that a server has.
    pub(super) fn is_all(self) -> bool {
        self.temperatures > 0 && self.fans > 0
    }
}

/// What `Thermal` and `Power` told of a chassis.
pub(super) fn told(nodes: &[Node], owner: &str) -> Told {
    let of = |role| nodes.iter().filter(move |n| n.role == role && n.owner == owner);
    let supplies = of(Role::Power).flat_map(|n| list(&n.body, "PowerSupplies")).filter(|s| s.is_object()).count();
    Told {
        temperatures: of(Role::Thermal).flat_map(thermal::temperatures).filter(Item::readable).count(),
        fans: of(Role::Thermal).flat_map(thermal::fans).filter(Item::readable).count(),
        supplies,
    }
}

/// How many sensors of a chassis were read, and how many of them say what neither `Thermal` nor `Power` says.
pub(super) fn new_sensors(nodes: &[Node], owner: &str) -> (usize, usize) {
    let of = |role| nodes.iter().filter(move |n| n.role == role && n.owner == owner);
    let thermals = of(Role::Thermal).flat_map(|n| thermal::temperatures(n).chain(thermal::fans(n)));
    let known: BTreeSet<String> =
        thermals.chain(of(Role::Power).flat_map(power::voltages)).map(|i| plain(&i.name)).collect();
    let sensors: Vec<Item> = of(Role::Sensor).map(thermal::sensor).collect();
    let is_new = |i: &&Item| {
        i.readable()
            && !i.discrete
            && !matches!(i.kind, SensorKind::State | SensorKind::Quantity)
            && !known.contains(&plain(&i.name))
    };
    (sensors.len(), sensors.iter().filter(is_new).count())
}

/// Whether a `Sensor` is a figure, and not a state.
pub(super) fn is_figure(node: &Node) -> bool {
    !thermal::sensor(node).discrete
}

/// A name by which sensors of the two generations are told to be the same.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Which items of the two generations to tell, and which only repeat them. Where both call a sensor by one name the older generation is told, with what
/// the newer one adds; else the fuller one, since one sensor under two names would be told twice.
fn merged(
    report: &mut Report<'_>,
    owner: &str,
    what: &'static str,
    old: Vec<Item>,
    mut new: Vec<Item>,
) -> (Vec<Item>, Vec<Item>) {
    let names: BTreeSet<String> = old.iter().map(|i| plain(&i.name)).collect();
    // One without a unit is a state, whatever its type.
    let figures: Vec<&Item> = new.iter().filter(|i| !i.discrete).collect();
    let same = figures.iter().filter(|i| names.contains(&plain(&i.name))).count();
    let shared = report.memory.shares_names(owner, what, same, old.len().min(figures.len()));
    let readable_new = figures.iter().filter(|i| i.readable()).count();
    let added = figures.iter().filter(|i| i.readable() && !names.contains(&plain(&i.name))).count();
    let with_added = if shared && readable(&old) > 0 { readable(&old) + added } else { readable(&old) };
    match report.memory.choose(owner, what, with_added, readable_new) {
        Generation::Old if shared => {
            let more: Vec<Item> = new.extract_if(.., |i| !names.contains(&plain(&i.name))).collect();
            (old.into_iter().chain(more).collect(), new)
        }
        Generation::Old => (old, new),
        Generation::New => (new, old),
    }
}

fn one_chassis<'a>(report: &mut Report<'a>, owner: &'a str) {
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
    let (read, other) = merged(report, owner, "temperature", old_temperatures, new_temperatures);
    emit(report, owner, &bays, read);
    alias(report, owner, &bays, &other);
    let (read, other) = merged(report, owner, "voltage", old_voltages, new_voltages);
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
