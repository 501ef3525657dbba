//! Power and cooling outside of chassis (`PowerEquipment`, `ThermalEquipment`), and leak detectors.

use super::inventory::part;
use super::lenient::{Field, Number, excerpt_field, link, list, number_field, text};
use super::module::said;
use super::report::{Figure, Report, Seen, Status, analog, name, state};
use super::route::Role;
use super::walk::{Node, tail};
use outband_schemas::{ComponentClass, ComponentId, Part, SensorKind, State};
use serde_json::Value;

/// The collections of `PowerEquipment` and `ThermalEquipment` that hold units.
pub(super) const UNITS: [&str; 12] = [
    "FloorPDUs",
    "RackPDUs",
    "PowerShelves",
    "TransferSwitches",
    "Switchgear",
    "ElectricalBuses",
    "Buses",
    "CDUs",
    "CoolingLoops",
    "HeatExchangers",
    "ImmersionUnits",
    "RPUs",
];

/// What a unit consists of, and its own metrics.
pub(super) const PARTS: [&str; 11] = [
    "Mains",
    "Branches",
    "Feeders",
    "Subfeeds",
    "Outlets",
    "Pumps",
    "PrimaryCoolantConnectors",
    "SecondaryCoolantConnectors",
    "Reservoirs",
    "Filters",
    "Metrics",
];

/// Units, their parts, and what both measure.
pub(super) fn report(report: &mut Report<'_>) {
    for node in report.of(Role::EquipmentUnit) {
        let component = unit(report, node);
        for uri in PARTS.iter().filter_map(|field| link(&node.body, field)) {
            report.memory.place(&component, &uri);
        }
        tell(report, &component, node);
    }
    for node in report.of(Role::EquipmentPart) {
        let owner = report.memory.place_at(&node.parent).cloned();
        let own = name(&node.body, &["Id", "Name"]).unwrap_or_else(|| node.tail().to_owned());
        // The summary metrics of a unit are the unit's own.
        let component = match (report.memory.place_at(&node.uri).cloned(), owner) {
            (Some(itself), _) => itself,
            (None, Some(unit)) => {
                let wished = format!("{} {} {own}", unit.slot(), tail(&node.parent));
                report.memory.part(ComponentClass::Other, &wished, &node.uri)
            }
            (None, None) => report.memory.part(ComponentClass::Other, &own, &node.uri),
        };
        tell(report, &component, node);
    }
    leaks(report);
}

/// The units as parts.
pub(super) fn parts(report: &mut Report<'_>) -> Vec<Part> {
    let nodes = report.of(Role::EquipmentUnit);
    nodes.filter_map(|node| part(unit(report, node), node)).collect()
}

fn unit(report: &mut Report<'_>, node: &Node) -> ComponentId {
    let wished = name(&node.body, &["Name", "Id"]).unwrap_or_else(|| node.tail().to_owned());
    report.memory.part(ComponentClass::Other, &wished, &node.uri)
}

fn tell(report: &mut Report<'_>, component: &ComponentId, node: &Node) {
    let seen = Seen { uri: node.uri.clone(), at: node.at };
    let status = Status::of(&node.body);
    report.push(state(component, "health", &status, &seen));
    if status.is_absent() {
        return;
    }
    if let Some(word) = text(&node.body, "BreakerState") {
        let state = match word.as_str() {
            "Normal" => State::Ok,
            "Tripped" => State::Critical,
            _ => State::Unknown,
        };
        report.push(said(component, "breaker", state, word, &seen));
    }
    if let Some(word) = text(&node.body, "PowerState") {
        // On or off as somebody wanted it: no verdict on its health.
        report.push(said(component, "power_state", State::Ok, word, &seen));
    }
    if let Some(word) = text(&node.body, "FluidLevelStatus") {
        report.push(said(component, "fluid_level", level(&word), word, &seen));
    }
    let body = &node.body;
    let fresh = |excerpt: &Value, memory: &super::memory::Memory| {
        link(excerpt, "DataSourceUri").is_none_or(|uri| memory.place_at(&uri).is_none())
    };
    for (field, kind, factor) in EXCERPTS {
        let Some(excerpt) = body.get(field) else { continue };
        if fresh(excerpt, report.memory) {
            let number = excerpt_field(body, field).map(|n| Number { value: n.value * factor, ..n });
            figure(report, component, kind, field, number, &status, &seen);
            if kind == SensorKind::FanDuty {
                let rpm = number_field(excerpt, "SpeedRPM").below(field);
                figure(report, component, SensorKind::FanSpeed, field, rpm, &status, &seen);
            }
        }
    }
    for (field, kind, factor) in PHASES {
        for (line, excerpt) in body.get(field).and_then(Value::as_object).into_iter().flatten() {
            if excerpt.is_object() && fresh(excerpt, report.memory) {
                let number = number_field(excerpt, "Reading").map(|n| Number { value: n.value * factor, ..n });
                let number = number.below(&format!("{field}/{line}"));
                figure(report, component, kind, &format!("{field} {line}"), number, &status, &seen);
            }
        }
    }
}

fn figure(
    report: &mut Report<'_>,
    component: &ComponentId,
    kind: SensorKind,
    sensor: &str,
    number: Field<Number>,
    status: &Status,
    seen: &Seen,
) {
    if number.is_telling() {
        report.push(analog(component, Figure::new(kind, sensor, number), status, seen));
    }
}

/// Sensor excerpts by the property that holds them (Circuit, Outlet, PowerDistributionMetrics, CoolantConnector, Pump), with the factor to the kind's
/// unit. `…Sensor` are of drafts that rack PDUs still speak.
const EXCERPTS: [(&str, SensorKind, f64); 20] = [
    ("Voltage", SensorKind::Voltage, 1.0),
    ("VoltageSensor", SensorKind::Voltage, 1.0),
    ("CurrentAmps", SensorKind::Current, 1.0),
    ("CurrentSensor", SensorKind::Current, 1.0),
    ("PowerWatts", SensorKind::Power, 1.0),
    ("PowerSensor", SensorKind::Power, 1.0),
    ("EnergykWh", SensorKind::Energy, 3.6e6),
    ("EnergySensor", SensorKind::Energy, 3.6e6),
    ("FrequencyHz", SensorKind::Frequency, 1.0),
    ("TemperatureCelsius", SensorKind::Temperature, 1.0),
    ("SupplyTemperatureCelsius", SensorKind::Temperature, 1.0),
    ("ReturnTemperatureCelsius", SensorKind::Temperature, 1.0),
    ("DeltaTemperatureCelsius", SensorKind::Temperature, 1.0),
    ("HumidityPercent", SensorKind::Humidity, 1.0),
    ("FlowLitersPerMinute", SensorKind::CoolantFlow, 1.0),
    ("SupplyPressurekPa", SensorKind::Pressure, 1.0),
    ("ReturnPressurekPa", SensorKind::Pressure, 1.0),
    ("DeltaPressurekPa", SensorKind::Pressure, 1.0),
    ("HeatRemovedkW", SensorKind::Power, 1000.0),
    ("PumpSpeedPercent", SensorKind::FanDuty, 1.0),
];

/// Objects of one excerpt a line.
const PHASES: [(&str, SensorKind, f64); 4] = [
    ("PolyPhaseVoltage", SensorKind::Voltage, 1.0),
    ("PolyPhaseCurrentAmps", SensorKind::Current, 1.0),
    ("PolyPhasePowerWatts", SensorKind::Power, 1.0),
    ("PolyPhaseEnergykWh", SensorKind::Energy, 3.6e6),
];

fn level(word: &str) -> State {
    match word {
        "OK" => State::Ok,
        "Warning" => State::Warning,
        "Critical" | "LeakDetected" => State::Critical,
        _ => State::Unknown,
    }
}

/// Leak detectors: their own resources, or what the leak detection says of them. A detection that knows none gets no more turns.
fn leaks(report: &mut Report<'_>) {
    for node in report.of(Role::LeakDetector) {
        let wished = name(&node.body, &["Name", "Id"]).unwrap_or_else(|| node.tail().to_owned());
        let component = report.memory.part(ComponentClass::Chassis, &wished, &node.uri);
        let seen = Seen { uri: node.uri.clone(), at: node.at };
        match text(&node.body, "DetectorState") {
            Some(word) => report.push(said(&component, "leak", level(&word), word, &seen)),
            None => report.push(state(&component, "leak", &Status::of(&node.body), &seen)),
        }
    }
    for node in report.of(Role::LeakDetection) {
        let groups = list(&node.body, "LeakDetectorGroups");
        let has_own = report.of(Role::LeakDetector).any(|d| d.parent.starts_with(&node.uri));
        if !has_own && groups.is_empty() {
            report.memory.rotation.drop(Role::LeakDetection, &node.uri);
        }
        for (group, detectors) in groups.iter().map(|g| list(g, "Detectors")).enumerate().filter(|_| !has_own) {
            for (index, detector) in detectors.iter().enumerate() {
                let Some(word) = text(detector, "DetectorState") else { continue };
                let uri = format!("{}#/LeakDetectorGroups/{group}/Detectors/{index}", node.uri);
                let wished = name(detector, &["DeviceName"]).unwrap_or_else(|| format!("Leak detector {index}"));
                let component = report.memory.part(ComponentClass::Chassis, &wished, &uri);
                report.push(said(&component, "leak", level(&word), word, &Seen { uri, at: node.at }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redfish::memory::Memory;
    use outband_schemas::{Observation, Timestamp, Value as Said};
    use serde_json::json;
    use std::collections::BTreeSet;

    fn node(role: Role, uri: &str, parent: &str, body: Value) -> Node {
        let at = Timestamp::from_secs(1);
        Node { uri: uri.to_owned(), role, owner: String::new(), parent: parent.to_owned(), body, at }
    }

    fn told(nodes: &[Node], memory: &mut Memory) -> Vec<String> {
        let mut built = Report { nodes, lossy: BTreeSet::new(), memory, out: Vec::new() };
        report(&mut built);
        let readings = built.out.into_iter().filter_map(|o| match o {
            Observation::Reading(r) => Some(r),
            _ => None,
        });
        let words = readings.filter_map(|r| match r.value? {
            Said::Number(n) => Some(format!("{} {} {n}", r.component.slot(), r.sensor)),
            Said::State { state, text } => Some(format!("{} {} {state:?} {text}", r.component.slot(), r.sensor)),
            Said::Text(_) => None,
        });
        words.collect()
    }

    #[test]
    fn outlets_keep_their_unit_and_tell_only_what_no_sensor_told() {
        let mut memory = Memory::default();
        let sensor = ComponentId::lenient(ComponentClass::Board, "x");
        memory.place(&sensor, "/redfish/v1/Chassis/PDU/Sensors/V");
        let nodes = [
            node(
                Role::EquipmentUnit,
                "/p/RackPDUs/1",
                "/p/RackPDUs",
                json!({"Name": "PDU 1", "Outlets": {"@odata.id": "/p/RackPDUs/1/Outlets"}, "Metrics": {"@odata.id": "/p/RackPDUs/1/Metrics"},
                    "Status": {"State": "Enabled", "Health": "Warning"}}),
            ),
            node(
                Role::EquipmentPart,
                "/p/RackPDUs/1/Metrics",
                "/p/RackPDUs/1",
                json!({"Id": "Metrics", "EnergykWh": {"Reading": 2}}),
            ),
            node(
                Role::EquipmentPart,
                "/p/RackPDUs/1/Outlets/A1",
                "/p/RackPDUs/1/Outlets",
                json!({"Id": "A1", "PowerState": "On", "BreakerState": "Tripped", "CurrentAmps": {"Reading": 1.5},
                    "Voltage": {"Reading": 230, "DataSourceUri": "/redfish/v1/Chassis/PDU/Sensors/V"},
                    "PolyPhaseCurrentAmps": {"Line1": {"Reading": 1.25}, "Line2": null}}),
            ),
        ];
        assert_eq!(
            told(&nodes, &mut memory),
            [
                "PDU 1 health Warning Enabled, Warning",
                "PDU 1 EnergykWh 7200000",
                "PDU 1 Outlets A1 breaker Critical Tripped",
                "PDU 1 Outlets A1 power_state Ok On",
                "PDU 1 Outlets A1 CurrentAmps 1.5",
                "PDU 1 Outlets A1 PolyPhaseCurrentAmps Line1 1.25"
            ]
        );
    }

    #[test]
    fn a_leak_is_told_and_a_detection_without_detectors_is_left_alone() {
        let mut memory = Memory::default();
        memory.rotation.offer(Role::LeakDetection, "/c/1/L", false);
        let nodes = [
            node(Role::LeakDetection, "/c/1/L", "/c/1", json!({"Id": "L"})),
            node(Role::LeakDetection, "/c/2/L", "/c/2", json!({"Id": "L"})),
            node(
                Role::LeakDetector,
                "/c/2/L/D/1",
                "/c/2/L/D",
                json!({"Name": "Manifold", "DetectorState": "LeakDetected"}),
            ),
            node(
                Role::LeakDetection,
                "/c/3/L",
                "/c/3",
                json!({"LeakDetectorGroups": [{"Detectors": [{"DeviceName": "Tray", "DetectorState": "OK"}]}]}),
            ),
        ];
        assert_eq!(told(&nodes, &mut memory), ["Manifold leak Critical LeakDetected", "Tray leak Ok OK"]);
        assert!(memory.rotation.due().is_empty());
    }
}
