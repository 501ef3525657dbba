//! Voltages, power supplies and power drawn: `Power`, and `PowerSubsystem` with its metrics.

use super::chassis::Item;
use super::lenient::{self, Field, Number, excerpt_field, first_number, link, list, number_field, text, truth};
use super::memory::Generation;
use super::oem;
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
    metrics: Option<&'a Node>,
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
            let metrics = report.of(Role::PowerSupplyMetrics).find(|m| m.parent == node.uri);
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
        let read: BTreeSet<&str> = report.below(Role::Sensor, chassis).map(|s| s.uri.as_str()).collect();
        for Told { figure, seen } in supply_figures(&supply, &read) {
            let status = if figure.kind == SensorKind::InputVoltage { &measures } else { &status };
            report.push(analog(&component, figure, status, &seen));
        }
    }
    let nodes = report.nodes;
    for node in nodes.iter().filter(|n| n.role == Role::Power && n.owner == chassis) {
        for (index, control) in list(&node.body, "PowerControl").iter().enumerate().filter(|(_, c)| c.is_object()) {
            power_control(report, chassis, node, index, control);
        }
        domains(report, chassis, node);
    }
}

/// An element of `PowerControl`: what is drawn, the extremes and mean over the BMC's own interval, and the limits that it is held to.
fn power_control(report: &mut Report<'_>, chassis: &str, node: &Node, index: usize, control: &Json) {
    let fields = [
        ("PowerConsumedWatts", None),
        ("AverageConsumedWatts", Some("PowerMetrics")),
        ("MinConsumedWatts", Some("PowerMetrics")),
        ("MaxConsumedWatts", Some("PowerMetrics")),
        ("LimitInWatts", Some("PowerLimit")),
        ("PowerCapacityWatts", None),
    ];
    let found = fields.map(|(field, holder)| {
        let number = match holder {
            Some(holder) => number_field(control.get(holder).unwrap_or(&Json::Null), field).below(holder),
            None => number_field(control, field),
        };
        (field, number)
    });
    let drawn = found.iter().any(|(field, n)| *field == "PowerConsumedWatts" && *n != Field::Absent);
    if !drawn && !found.iter().any(|(_, n)| n.is_telling()) {
        return;
    }
    let seen = Seen { uri: format!("{}#/PowerControl/{index}", node.uri), at: node.at };
    let wished = name(control, &["Name"]).unwrap_or_else(|| "Power Control".to_owned());
    let slot = report.within(chassis, &wished);
    let component = report.memory.sensor(ComponentClass::Chassis, &slot, SensorKind::Power, &seen.uri, &wished);
    report.memory.place(&component, &seen.uri);
    let status = Status::of(control);
    for (field, number) in found {
        let is_drawn = field == "PowerConsumedWatts";
        if number.is_telling() || is_drawn && number == Field::Null {
            let sensor = if is_drawn { wished.clone() } else { format!("{wished} {field}") };
            report.push(analog(&component, Figure::new(SensorKind::Power, sensor, number), &status, &seen));
        }
    }
}

/// What processors, memory and GPUs draw, as iLO gives it beside what the server draws (`Oem.Hpe.PowerMetric`). One that is not metered is 0 there.
fn domains(report: &mut Report<'_>, chassis: &str, node: &Node) {
    for (vendor, body) in oem::vendors(&node.body) {
        let Some(metric) = body.get("PowerMetric") else { continue };
        let seen = Seen { uri: format!("{}#/Oem/{vendor}/PowerMetric", node.uri), at: node.at };
        for (field, metered, class) in [
            ("CpuWatts", "HasCpuPowerMetering", ComponentClass::Cpu),
            ("DimmWatts", "HasDimmPowerMetering", ComponentClass::Memory),
            ("GpuWatts", "HasGpuPowerMetering", ComponentClass::Gpu),
        ] {
            let watts = number_field(metric, field);
            let wished = report.within(chassis, field);
            let component = report.memory.sensor(class, &wished, SensorKind::Power, &seen.uri, field);
            if watts.is_telling() && truth(body, metered) != Some(false) {
                report.push(analog(
                    &component,
                    Figure::new(SensorKind::Power, field, watts),
                    &Status::default(),
                    &seen,
                ));
            }
        }
    }
}

/// A supply's state, with what it says of its feed (`LineInputStatus`, PowerSupply v1.5).
fn supply_state(component: &ComponentId, status: &Status, supply: &Supply<'_>) -> Option<Reading> {
    let mut reading = part_state(component, status, &supply.seen);
    let feed = match lenient::text(supply.body, "LineInputStatus").as_deref() {
        Some("LossOfInput") => "input lost".to_owned(),
        Some("OutOfRange") => "input out of range".to_owned(),
        None | Some("Normal") => return reading,
        Some(other) => format!("LineInputStatus {other}"),
    };
    if let Some(Value::State { text, .. }) = reading.as_mut().and_then(|r| r.value.as_mut()) {
        *text = format!("{text}, {feed}");
    }
    reading
}

/// A figure and where it stands.
struct Told {
    figure: Figure,
    seen: Seen,
}

/// The figures of a supply: those of the resource itself, and those of its metrics (`PowerSupplyMetrics`, sensor excerpts). What a sensor of its own tells
/// already (`read`) is not told again, but for input and output, which have kinds of their own only here. `EfficiencyRatings` are what the maker promises
/// for a load: no measurement.
fn supply_figures(supply: &Supply<'_>, read: &BTreeSet<&str>) -> Vec<Told> {
    use SensorKind as K;
    let at = |kind: K, sensor: &str, number: Field<Number>, seen: &Seen| Told {
        figure: Figure::new(kind, sensor, number),
        seen: seen.clone(),
    };
    let metrics = supply.metrics.map(|node| (&node.body, Seen { uri: node.uri.clone(), at: node.at }));
    let mut told = Vec::new();
    for (kind, metric, fields) in [
        (K::InputVoltage, "InputVoltage", &["LineInputVoltage", "InputVoltage"][..]),
        (K::InputPower, "InputPowerWatts", &["PowerInputWatts"]),
        (K::OutputPower, "OutputPowerWatts", &["PowerOutputWatts", "LastPowerOutputWatts"]),
        (K::Efficiency, "EfficiencyPercent", &["EfficiencyPercent"]),
    ] {
        let measured = metrics.as_ref().map(|(body, seen)| at(kind, kind.as_str(), excerpt_field(body, metric), seen));
        let own = at(kind, kind.as_str(), first_number(supply.body, fields), &supply.seen);
        told.push(measured.filter(|m| m.figure.number.is_value()).unwrap_or(own));
    }
    let body = metrics.as_ref().map_or((supply.body, &supply.seen), |(body, seen)| (*body, seen));
    for (kind, sensor, field, factor) in [
        (K::Current, "input_current", "InputCurrentAmps", 1.0),
        (K::Frequency, "input_frequency", "FrequencyHz", 1.0),
        (K::Temperature, "temperature", "TemperatureCelsius", 1.0),
        (K::FanDuty, "fan", "FanSpeedPercent", 1.0),
        (K::Energy, "energy", "EnergykWh", 3.6e6),
    ] {
        if !has_own_sensor(body.0.get(field), read) {
            let number = excerpt_field(body.0, field).map(|n| Number { value: n.value * factor, ..n });
            told.push(at(kind, sensor, number, body.1));
        }
    }
    let rpm = body.0.get("FanSpeedPercent").map_or(Field::Absent, |fan| number_field(fan, "SpeedRPM"));
    told.push(at(K::FanSpeed, "fan", rpm.below("FanSpeedPercent"), body.1));
    for (kind, word, field) in [
        (K::Voltage, "rail_voltage", "RailVoltage"),
        (K::Current, "rail_current", "RailCurrentAmps"),
        (K::Power, "rail_power", "RailPowerWatts"),
    ] {
        for (index, rail) in list(body.0, field).iter().enumerate() {
            if !has_own_sensor(Some(rail), read) {
                let seen = Seen { uri: format!("{}#/{field}/{index}", body.1.uri), at: body.1.at };
                told.push(at(kind, &format!("{word} {}", index + 1), number_field(rail, "Reading"), &seen));
            }
        }
    }
    told.retain(|t| t.figure.number.is_telling());
    told
}

/// Whether an excerpt repeats a sensor that was read.
fn has_own_sensor(excerpt: Option<&Json>, read: &BTreeSet<&str>) -> bool {
    excerpt.and_then(|e| link(e, "DataSourceUri")).is_some_and(|uri| read.contains(uri.trim_end_matches('/')))
}

/// The part in a power supply's place; `None` where the place is empty.
pub(super) fn part(component: ComponentId, supply: &Supply<'_>) -> Option<Part> {
    let body = supply.body;
    (!Status::of(body).is_absent()).then(|| Part {
        component,
        manufacturer: text(body, "Manufacturer"),
        model: text(body, "Model"),
        part_number: name(body, &["PartNumber", "SparePartNumber"]).or_else(|| oem::oem_text(body, &["FruPartNumber"])),
        serial: super::inventory::serial(body),
        firmware: name(body, &["FirmwareVersion", "Version"]),
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
    use serde_json::json;

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

    fn node(role: Role, uri: &str, parent: &str, body: Json) -> Node {
        let owner = "/redfish/v1/Chassis/1".to_owned();
        let at = outband_schemas::Timestamp::from_secs(1);
        Node { uri: uri.to_owned(), role, owner, parent: parent.to_owned(), body, at }
    }

    fn told(nodes: &[Node]) -> Vec<(String, f64)> {
        let mut memory = crate::redfish::memory::Memory::default();
        let mut built = Report { nodes, lossy: BTreeSet::new(), memory: &mut memory, out: Vec::new() };
        super::report(&mut built, "/redfish/v1/Chassis/1");
        let readings = built.out.into_iter().filter_map(|o| match o {
            outband_schemas::Observation::Reading(r) => Some(r),
            _ => None,
        });
        readings
            .filter_map(|r| Some((format!("{} {} {}", r.component, r.kind, r.sensor), r.value?.as_number()?)))
            .collect()
    }

    #[test]
    fn metrics_of_a_supply_are_told_but_for_those_with_a_sensor_of_their_own() {
        let psu = "/redfish/v1/Chassis/1/PowerSubsystem/PowerSupplies/1";
        let sensor = "/redfish/v1/Chassis/1/Sensors/PS1Temp";
        let nodes = [
            node(Role::Sensor, sensor, "", json!({"Reading": 40})),
            node(
                Role::PowerSupply,
                psu,
                "",
                json!({"Name": "PSU1", "Status": {"State": "Enabled", "Health": "OK"},
                "EfficiencyRatings": [{"EfficiencyPercent": 94, "LoadPercent": 50}]}),
            ),
            node(
                Role::PowerSupplyMetrics,
                "/m",
                psu,
                json!({
                    "InputVoltage": {"Reading": 230.5, "DataSourceUri": "/v"}, "InputCurrentAmps": {"Reading": 1.5},
                    "TemperatureCelsius": {"Reading": 40, "DataSourceUri": sensor},
                    "EnergykWh": {"Reading": 2}, "FrequencyHz": {"Reading": null},
                    "FanSpeedPercent": {"Reading": 60, "SpeedRPM": 3290}, "RailVoltage": [{"Reading": 12.1}, 7]}),
            ),
        ];
        let expected = [
            ("psu/1 input_voltage input_voltage", 230.5),
            ("psu/1 current input_current", 1.5),
            ("psu/1 fan_duty fan", 60.0),
            ("psu/1 energy energy", 7.2e6),
            ("psu/1 fan_speed fan", 3290.0),
            ("psu/1 voltage rail_voltage 1", 12.1),
        ];
        assert_eq!(told(&nodes), expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn power_control_gives_what_is_drawn_its_extremes_and_its_limits() {
        let power = json!({"PowerControl": [
            {"Name": "Server", "PowerConsumedWatts": 300, "PowerCapacityWatts": 800, "PowerLimit": {"LimitInWatts": null},
             "PowerMetrics": {"MinConsumedWatts": 280, "MaxConsumedWatts": 410, "AverageConsumedWatts": "305", "IntervalInMin": 20}},
            {"Name": "Nothing"}],
            "Oem": {"Hpe": {"HasGpuPowerMetering": false, "PowerMetric": {"CpuWatts": 60, "GpuWatts": 0}}}});
        let expected = [
            ("chassis/Server power Server", 300.0),
            ("chassis/Server power Server AverageConsumedWatts", 305.0),
            ("chassis/Server power Server MinConsumedWatts", 280.0),
            ("chassis/Server power Server MaxConsumedWatts", 410.0),
            ("chassis/Server power Server PowerCapacityWatts", 800.0),
            ("cpu/CpuWatts power CpuWatts", 60.0),
        ];
        let nodes = [node(Role::Power, "/redfish/v1/Chassis/1/Power", "", power)];
        assert_eq!(told(&nodes), expected.map(|(name, value)| (name.to_owned(), value)));
    }
}
