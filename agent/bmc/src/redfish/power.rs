//! Voltages, power supplies and power drawn: `Power`, and `PowerSubsystem` with its metrics.

use super::chassis::Item;
use super::lenient::{self, Number, list, number, number_field, text};
use super::memory::Generation;
use super::report::{Figure, Report, Seen, Status, analog, class_of, name, old_thresholds, part_state, place_name};
use super::route::Role;
use super::walk::Node;
use outband_schemas::{ComponentClass, ComponentId, Part, Quality, Reading, SensorKind, Source, State, Value};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// `Power.Voltages`.
pub(super) fn voltages(node: &Node) -> impl Iterator<Item = Item> + use<'_> {
    list(&node.body, "Voltages").iter().enumerate().filter(|(_, v)| v.is_object()).map(|(index, v)| {
        let name = name(v, &["Name", "MemberId"]).unwrap_or_else(|| format!("Voltage {index}"));
        Item {
            class: class_of(v, &name),
            slot: place_name(&name),
            kind: SensorKind::Voltage,
            discrete: false,
            number: number_field(v, "ReadingVolts"),
            thresholds: old_thresholds(v),
            status: Status::of(v),
            seen: Seen { uri: format!("{}#/Voltages/{index}", node.uri), at: node.at },
            name,
        }
    })
}

/// A power supply as either generation gives it.
pub(super) struct Supply<'a> {
    body: &'a Json,
    metrics: Option<&'a Json>,
    pub(super) seen: Seen,
}

/// The power supplies of a chassis, from the better of the two generations.
pub(super) fn supplies<'a>(report: &mut Report<'a>, chassis: &'a str) -> Vec<Supply<'a>> {
    let old: Vec<Supply<'a>> = report
        .below(Role::Power, chassis)
        .flat_map(|node| {
            list(&node.body, "PowerSupplies").iter().enumerate().filter(|(_, p)| p.is_object()).map(|(index, body)| {
                let seen = Seen { uri: format!("{}#/PowerSupplies/{index}", node.uri), at: node.at };
                Supply { body, metrics: None, seen }
            })
        })
        .collect();
    let new: Vec<Supply<'a>> = report
        .below(Role::PowerSupply, chassis)
        .map(|node| {
            let metrics = report.of(Role::PowerSupplyMetrics).find(|m| m.parent == node.uri).map(|m| &m.body);
            Supply { body: &node.body, metrics, seen: Seen { uri: node.uri.clone(), at: node.at } }
        })
        .collect();
    let present = |list: &[Supply<'_>]| list.iter().filter(|s| !Status::of(s.body).is_absent()).count();
    // Where no supply is present, the places still are worth telling of.
    match report.memory.choose(chassis, "power_supply", present(&old), present(&new)) {
        Generation::Old if !old.is_empty() => old,
        Generation::Old | Generation::New => new,
    }
}

/// Where a power supply sits. Names that only say "power supply" are replaced by a bay number.
pub(super) fn place(report: &mut Report<'_>, chassis: &str, supply: &Supply<'_>) -> ComponentId {
    let body = supply.body;
    let oem_bay = || ["Hpe", "Hp"].iter().find_map(|o| text(body.get("Oem")?.get(*o)?, "BayNumber"));
    let named = name(body, &["Name"]).map(|n| place_name(&n));
    let wished = named
        .as_deref()
        .and_then(generic_number)
        .or_else(oem_bay)
        .or_else(|| named.filter(|n| !is_generic(n)))
        .or_else(|| name(body, &["MemberId", "Id"]))
        .unwrap_or_else(|| super::walk::tail(&supply.seen.uri).to_owned());
    let wished = report.within(chassis, &wished);
    report.memory.part(ComponentClass::PowerSupply, &wished, &supply.seen.uri)
}

/// The bays of a chassis' power supplies that are known by number alone. Where one is number 0, sensors named `PS1` may mean another: then none.
pub(super) fn bays<'a>(report: &mut Report<'a>, chassis: &'a str) -> BTreeSet<String> {
    let supplies = supplies(report, chassis);
    let bays: BTreeSet<String> = supplies.iter().map(|s| place(report, chassis, s).slot().to_owned()).collect();
    let from_zero = bays.contains(&report.within(chassis, "0"));
    if from_zero { BTreeSet::new() } else { bays }
}

const GENERIC: [&str; 10] = [
    "psu",
    "ps",
    "p/s",
    "pws",
    "power supply",
    "powersupply",
    "power supply unit",
    "power supply bay",
    "hpeserverpowersupply",
    "hpserverpowersupply",
];

fn is_generic(name: &str) -> bool {
    GENERIC.contains(&name.to_ascii_lowercase().as_str())
}

/// The number in `PSU1`, `PS 1`, `P/S 1`, `Power Supply Bay 1`; `None` where there is more to the name than that.
pub(super) fn generic_number(name: &str) -> Option<String> {
    let name = name.trim();
    let head = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = name.get(head.len()..)?;
    let word = head.trim_end_matches([' ', '_', '-', '#', '.']);
    (!digits.is_empty() && is_generic(word)).then(|| digits.to_owned())
}

/// Reports a chassis' power supplies and the power it draws.
pub(super) fn report<'a>(report: &mut Report<'a>, chassis: &'a str) {
    for supply in supplies(report, chassis) {
        let component = place(report, chassis, &supply);
        let status = Status::of(supply.body);
        report.push(supply_state(&component, &status, &supply));
        // A supply that is off because its feed is dead still measures that feed.
        let measures = Status { state: status.state.clone().filter(|_| status.is_absent()), health: None };
        for (kind, found) in figures(&supply) {
            if found.is_some() {
                let sensor = kind.as_str();
                let status = if kind == SensorKind::InputVoltage { &measures } else { &status };
                report.push(analog(&component, Figure::new(kind, sensor, found), status, &supply.seen));
            }
        }
    }
    let nodes = report.nodes;
    for node in nodes.iter().filter(|n| n.role == Role::Power && n.owner == chassis) {
        for (index, control) in list(&node.body, "PowerControl").iter().enumerate().filter(|(_, c)| c.is_object()) {
            let Some(watts) = number(control, "PowerConsumedWatts") else { continue };
            let seen = Seen { uri: format!("{}#/PowerControl/{index}", node.uri), at: node.at };
            let wished = name(control, &["Name"]).unwrap_or_else(|| "Power Control".to_owned());
            let slot = report.within(chassis, &wished);
            let component = report.memory.sensor(ComponentClass::Chassis, &slot, SensorKind::Power, &seen.uri, &wished);
            report.memory.place(&component, &seen.uri);
            report.push(analog(
                &component,
                Figure::new(SensorKind::Power, wished, Some(watts)),
                &Status::of(control),
                &seen,
            ));
        }
    }
}

/// A supply's state, with what it says of its feed (`LineInputStatus`, PowerSupply v1.5).
fn supply_state(component: &ComponentId, status: &Status, supply: &Supply<'_>) -> Option<Reading> {
    let mut reading = part_state(component, status, &supply.seen);
    let feed = match lenient::text(supply.body, "LineInputStatus").as_deref() {
        Some("LossOfInput") => "input lost",
        Some("OutOfRange") => "input out of range",
        _ => return reading,
    };
    if let Some(Value::State { text, .. }) = reading.as_mut().and_then(|r| r.value.as_mut()) {
        *text = format!("{text}, {feed}");
    }
    reading
}

fn figures(supply: &Supply<'_>) -> [(SensorKind, Option<Number>); 4] {
    let body = supply.body;
    let metric = |field: &str| supply.metrics.and_then(|m| m.get(field)).and_then(|m| number(m, "Reading"));
    let input = metric("InputVoltage").or_else(|| number(body, "LineInputVoltage"));
    let into = metric("InputPowerWatts").or_else(|| number(body, "PowerInputWatts"));
    let out = metric("OutputPowerWatts")
        .or_else(|| number(body, "PowerOutputWatts"))
        .or_else(|| number(body, "LastPowerOutputWatts"));
    [
        (SensorKind::InputVoltage, input),
        (SensorKind::InputPower, into),
        (SensorKind::OutputPower, out),
        (SensorKind::Efficiency, number(body, "EfficiencyPercent")),
    ]
}

/// The part in a power supply's place; `None` where the place is empty.
pub(super) fn part(component: ComponentId, supply: &Supply<'_>) -> Option<Part> {
    let body = supply.body;
    (!Status::of(body).is_absent()).then(|| Part {
        component,
        manufacturer: text(body, "Manufacturer"),
        model: text(body, "Model"),
        part_number: name(body, &["PartNumber", "SparePartNumber"]),
        serial: super::inventory::serial(body),
        firmware: text(body, "FirmwareVersion"),
        capacity_bytes: None,
        source: Source(supply.seen.uri.clone()),
    })
}

/// Whether a system is switched on: its own word, which is no verdict on its health.
pub(super) fn power_state(component: &ComponentId, node: &Node) -> Option<Reading> {
    let text = lenient::text(&node.body, "PowerState")?;
    Some(Reading {
        component: component.clone(),
        kind: SensorKind::State,
        sensor: "power_state".to_owned(),
        value: Some(Value::State { state: State::Ok, text }),
        quality: Quality::Good,
        observed_at: node.at,
        source: Source(format!("{}#/PowerState", node.uri)),
        thresholds: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_supplies_of_every_spelling_are_known_by_their_bay() {
        for (name, bay) in
            [("PSU1", "1"), ("PS2", "2"), ("Power Supply 3", "3"), ("P/S 4", "4"), ("Power Supply Bay 1", "1")]
        {
            assert_eq!(generic_number(name).as_deref(), Some(bay), "{name}");
        }
        for none in ["PSU", "12V", "PSU1 Inlet", "7"] {
            assert_eq!(generic_number(none), None, "{none}");
        }
    }
}
