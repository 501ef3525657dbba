//! Temperatures and fans: `Thermal`, `ThermalSubsystem` and `Sensors`.

use super::chassis::{Item, push};
use super::lenient::{Field, Number, clip, excerpt_field, first_number, link, list, number, number_field, text};
use super::oem;
use super::report::{
    Figure, Report, Seen, Status, analog, class_of, name, new_thresholds, old_thresholds, part_state, place_name,
    without_zero_uppers,
};
use super::walk::Node;
use outband_schemas::{ComponentClass, SensorKind, Thresholds};
use serde_json::Value;

fn pointer(node: &Node, array: &str, index: usize) -> Seen {
    Seen { uri: format!("{}#/{array}/{index}", node.uri), at: node.at }
}

/// `Thermal.Temperatures`, with those that hide within one of them.
pub(super) fn temperatures(node: &Node) -> impl Iterator<Item = Item> + use<'_> {
    let elements = list(&node.body, "Temperatures").iter().enumerate().filter(|(_, t)| t.is_object());
    elements.flat_map(|(index, t)| {
        let name = name(t, &["Name", "MemberId", "Number"]).unwrap_or_else(|| format!("Temperature {index}"));
        let seen = pointer(node, "Temperatures", index);
        let within = details(t, &seen);
        let item = Item {
            class: class_of(t, &name),
            slot: place_name(&name),
            kind: temperature_kind(&name),
            discrete: false,
            number: first_number(t, &["ReadingCelsius", "CurrentReading"]),
            thresholds: without_zero_uppers(old_thresholds(t)),
            status: Status::of(t),
            seen,
            name,
        };
        std::iter::once(item).chain(within)
    })
}

/// GPU boards of Supermicro are one element, whose `Oem/Supermicro/Details` names the temperature of each chip: `"GPU 1 Temp": "37"`.
fn details(element: &Value, seen: &Seen) -> Vec<Item> {
    let holders = oem::vendors(element).filter_map(|(vendor, body)| Some((vendor, body.get("Details")?)));
    let items = holders.flat_map(|(vendor, details)| {
        let keys = details.as_object().into_iter().flat_map(|object| object.keys());
        keys.filter(|key| key.to_ascii_lowercase().contains("temp")).map(move |key| {
            let number = number_field(details, key);
            let holder = format!("{}/Oem/{vendor}/Details", seen.uri);
            // One that was lost names its own field.
            let uri = match number.bad() {
                Some(_) => holder,
                None => format!("{holder}/{}", key.replace('~', "~0").replace('/', "~1")),
            };
            let name = clip(key, 100);
            Item {
                class: class_of(&Value::Null, &name),
                slot: place_name(&name),
                kind: temperature_kind(&name),
                discrete: false,
                number,
                thresholds: Thresholds::default(),
                status: Status::default(),
                seen: Seen { uri, at: seen.at },
                name,
            }
        })
    });
    items.collect()
}

/// Digital thermal sensors count down to throttling: theirs is no temperature.
fn temperature_kind(name: &str) -> SensorKind {
    let name = name.to_ascii_lowercase();
    let margin = name.contains("margin") || name.split([' ', '_', '-']).any(|w| w == "dts");
    if margin { SensorKind::ThermalMargin } else { SensorKind::Temperature }
}

/// `Thermal.Fans`: an item for the figure of a fan, and a second one where it is given both in RPM and as a share.
pub(super) fn fans(node: &Node) -> impl Iterator<Item = Item> + use<'_> {
    list(&node.body, "Fans").iter().enumerate().filter(|(_, f)| f.is_object()).flat_map(move |(index, f)| {
        let name = name(f, &["Name", "FanName", "MemberId"]).unwrap_or_else(|| format!("Fan {index}"));
        let item = move |(kind, number, thresholds)| Item {
            class: ComponentClass::Fan,
            slot: place_name(&name),
            kind,
            discrete: false,
            number,
            thresholds,
            status: Status::of(f),
            seen: pointer(node, "Fans", index),
            name: name.clone(),
        };
        fan_figures(f).into_iter().map(item)
    })
}

/// A fan's own figure, in the unit that it names, and the other of the two where that is given too.
fn fan_figures(fan: &Value) -> Vec<(SensorKind, Field<Number>, Thresholds)> {
    let units = ["ReadingUnits", "Units"].iter().find_map(|u| text(fan, u)).unwrap_or_default().to_ascii_lowercase();
    let in_percent = match units.as_str() {
        "" => number(fan, "MaxReadingRange").is_some_and(|most| most.value == 100.0),
        unit => unit.contains("percent") || unit == "%",
    };
    let reading = first_number(fan, &["Reading", "CurrentReading"]);
    let rpm = || {
        first_number(fan, &["ReadingRPM", "SpeedRPM"])
            .or_else(|| oem::oem_number(fan, &["SpeedRPM", "ReadingRPM", "FanSpeedRPM"]))
    };
    let share = || {
        let own = excerpt_field(fan, "SpeedPercent").or_else(|| number_field(fan, "ReadingPercent"));
        own.or_else(|| oem::oem_number(fan, &["SpeedRatio", "SpeedPercent", "DutyCycle", "FanDuty"]))
    };
    let (kind, main, other_kind, other) = if in_percent {
        (SensorKind::FanDuty, reading.or_else(share), SensorKind::FanSpeed, rpm())
    } else {
        (SensorKind::FanSpeed, reading.or_else(rpm), SensorKind::FanDuty, share())
    };
    let mut figures = vec![(kind, main, old_thresholds(fan))];
    if other.is_value() {
        figures.push((other_kind, other, Thresholds::default()));
    }
    figures
}

/// A `Sensor`: its kind by its unit, or else by its type. One with an empty unit is discrete (XCC lists its SEL sensors so): its status is what it says; a
/// figure that it gives with a type is told too, but doubted.
pub(super) fn sensor(node: &Node) -> Item {
    let s = &node.body;
    let name = name(s, &["Name", "Id"]).unwrap_or_else(|| node.tail().to_owned());
    let units = text(s, "ReadingUnits").unwrap_or_default();
    let reading_type = text(s, "ReadingType");
    let discrete = units.is_empty() && s.get("ReadingUnits").is_some();
    let (kind, factor) = match kind_of(&units, reading_type.as_deref(), &name) {
        (SensorKind::Quantity, _) if discrete => (SensorKind::State, 1.0),
        found => found,
    };
    let unit_missing = units.is_empty() && kind != SensorKind::Quantity;
    let reading =
        number_field(s, "Reading").map(|n| Number { value: n.value * factor, coerced: n.coerced || unit_missing });
    let limits = new_thresholds(s);
    let class = match kind {
        SensorKind::FanSpeed | SensorKind::FanDuty => ComponentClass::Fan,
        _ => class_of(s, &name),
    };
    let is_heat = matches!(kind, SensorKind::Temperature | SensorKind::ThermalMargin);
    Item {
        class,
        slot: place_name(&name),
        kind,
        discrete,
        number: reading,
        thresholds: if is_heat { without_zero_uppers(limits) } else { scaled(limits, factor) },
        status: Status::of(s),
        seen: Seen { uri: node.uri.clone(), at: node.at },
        name,
    }
}

fn scaled(mut limits: Thresholds, factor: f64) -> Thresholds {
    let all = [
        &mut limits.lower_non_recoverable,
        &mut limits.lower_critical,
        &mut limits.lower_non_critical,
        &mut limits.upper_non_critical,
        &mut limits.upper_critical,
        &mut limits.upper_non_recoverable,
    ];
    for limit in all {
        *limit = limit.map(|l| l * factor);
    }
    limits
}

/// The kind and the factor to its unit (UCUM, and the spellings found in the field). The unit goes first: there are fans of type `AirFlow` in `RPM`.
fn kind_of(units: &str, reading_type: Option<&str>, name: &str) -> (SensorKind, f64) {
    let by_unit = match units.trim().to_ascii_lowercase().as_str() {
        "cel" | "c" | "celsius" | "degc" | "degrees c" => Some((temperature_kind(name), 1.0)),
        "rpm" | "{rev}/min" | "rev/min" => Some((SensorKind::FanSpeed, 1.0)),
        "v" | "volts" => Some((SensorKind::Voltage, 1.0)),
        "mv" => Some((SensorKind::Voltage, 0.001)),
        "a" | "amps" => Some((SensorKind::Current, 1.0)),
        "ma" => Some((SensorKind::Current, 0.001)),
        "w" | "watts" => Some((SensorKind::Power, 1.0)),
        "mw" => Some((SensorKind::Power, 0.001)),
        "kw" => Some((SensorKind::Power, 1000.0)),
        "j" | "joules" => Some((SensorKind::Energy, 1.0)),
        "kw.h" | "kwh" => Some((SensorKind::Energy, 3.6e6)),
        "w.h" | "wh" => Some((SensorKind::Energy, 3600.0)),
        "hz" => Some((SensorKind::Frequency, 1.0)),
        "mhz" => Some((SensorKind::Frequency, 1e6)),
        "[cft_i]/min" | "cfm" => Some((SensorKind::Airflow, 1.0)),
        _ => None,
    };
    if let Some(found) = by_unit {
        return found;
    }
    let percent = matches!(units, "%" | "Percent");
    match reading_type {
        Some("Temperature") => (temperature_kind(name), 1.0),
        Some("Rotational") if percent => (SensorKind::FanDuty, 1.0),
        Some("Rotational") => (SensorKind::FanSpeed, 1.0),
        Some("Voltage") => (SensorKind::Voltage, 1.0),
        Some("Current") => (SensorKind::Current, 1.0),
        Some("Power") => (SensorKind::Power, 1.0),
        Some("EnergyJoules") => (SensorKind::Energy, 1.0),
        Some("EnergykWh") => (SensorKind::Energy, 3.6e6),
        Some("EnergyWh") => (SensorKind::Energy, 3600.0),
        Some("Humidity") => (SensorKind::Humidity, 1.0),
        Some("Frequency") => (SensorKind::Frequency, 1.0),
        Some("Percent") if name.to_ascii_lowercase().contains("fan") => (SensorKind::FanDuty, 1.0),
        Some("Percent") => (SensorKind::Utilization, 1.0),
        Some(_) => (SensorKind::Quantity, 1.0),
        None if percent => (SensorKind::Utilization, 1.0),
        None => (SensorKind::Quantity, 1.0),
    }
}

/// Fans whose items hold all there is to know: a state and a figure each.
pub(super) fn emit_fans(report: &mut Report<'_>, chassis: &str, items: Vec<Item>) {
    for item in items {
        let slot = report.within(chassis, &item.slot);
        let component = report.memory.sensor(ComponentClass::Fan, &slot, item.kind, &item.seen.uri, &item.name);
        report.memory.place(&component, &item.seen.uri);
        report.push(part_state(&component, &item.status, &item.seen));
        push(report, &component, item);
    }
}

fn speed(fan: &Value) -> (Option<Number>, Option<Number>) {
    let speed = fan.get("SpeedPercent").unwrap_or(&Value::Null);
    let rpm =
        number(speed, "SpeedRPM").or_else(|| oem::oem_number(fan, &["SpeedRPM", "ReadingRPM", "FanSpeedRPM"]).ok());
    // XCC repeats the RPM where the percentage belongs.
    let percent = excerpt_field(fan, "SpeedPercent").ok();
    (percent.filter(|p| Some(p.value) != rpm.map(|r| r.value) || p.value == 0.0), rpm)
}

/// Whether a `Fan` resource gives a figure.
pub(super) fn fan_reads(node: &Node) -> bool {
    let (percent, rpm) = speed(&node.body);
    (percent.is_some() || rpm.is_some()) && !Status::of(&node.body).is_absent()
}

/// `ThermalSubsystem/Fans`, with the tachometers that they name as their sources.
pub(super) fn emit_fan_resources(report: &mut Report<'_>, chassis: &str, fans: &[&Node], mut tachometers: Vec<Item>) {
    for node in fans {
        let (status, seen) = (Status::of(&node.body), Seen { uri: node.uri.clone(), at: node.at });
        let wished = name(&node.body, &["Name", "Id"]).unwrap_or_else(|| node.tail().to_owned());
        let slot = report.within(chassis, &place_name(&wished));
        let component = report.memory.part(ComponentClass::Fan, &slot, &node.uri);
        report.push(part_state(&component, &status, &seen));
        let (percent, rpm) = speed(&node.body);
        let source = node.body.get("SpeedPercent").and_then(|s| link(s, "DataSourceUri"));
        let own: Vec<Item> = tachometers.extract_if(.., |t| Some(&t.seen.uri) == source.as_ref()).collect();
        for tachometer in &own {
            report.memory.place(&component, &tachometer.seen.uri);
        }
        let has_rpm = own.iter().any(|t| t.kind == SensorKind::FanSpeed);
        if percent.is_some() || rpm.is_none() && !has_rpm {
            report.push(analog(&component, Figure::new(SensorKind::FanDuty, wished.clone(), percent), &status, &seen));
        }
        if rpm.is_some() && !has_rpm {
            report.push(analog(&component, Figure::new(SensorKind::FanSpeed, wished, rpm), &status, &seen));
        }
        for tachometer in own.into_iter().filter(|t| t.kind == SensorKind::FanSpeed) {
            push(report, &component, tachometer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redfish::route::Role;
    use outband_schemas::Timestamp;
    use serde_json::json;

    fn node(role: Role, body: Value) -> Node {
        let uri = "/redfish/v1/Chassis/1/T".to_owned();
        Node { uri, role, owner: String::new(), parent: String::new(), body, at: Timestamp::from_secs(1) }
    }

    #[test]
    fn one_bad_element_loses_only_itself() {
        let thermal = node(
            Role::Thermal,
            json!({"Temperatures": [null, 7, {"Name": "A", "ReadingCelsius": "46 degrees C"}, {"Name": "B", "ReadingCelsius": {}}]}),
        );
        let items: Vec<Item> = temperatures(&thermal).collect();
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].number.clone().ok(), Some(Number { value: 46.0, coerced: true }));
        assert_eq!(items[1].number.clone().ok(), None);
    }

    #[test]
    fn a_fan_is_in_percent_or_rpm_as_it_says_and_ilo_4_is_understood() {
        let thermal = node(
            Role::Thermal,
            json!({"Fans": [
            {"Name": "Fan 1", "Reading": 32, "ReadingUnits": "Percent"},
            {"Name": "Fan 2", "Reading": 6431, "ReadingUnits": "RPM"},
            {"FanName": "Fan 3", "CurrentReading": 13, "Units": "Percent"}]}),
        );
        let kinds: Vec<(String, SensorKind)> = fans(&thermal).map(|f| (f.slot, f.kind)).collect();
        assert_eq!(
            kinds,
            [
                ("Fan 1".into(), SensorKind::FanDuty),
                ("Fan 2".into(), SensorKind::FanSpeed),
                ("Fan 3".into(), SensorKind::FanDuty)
            ]
        );
    }

    #[test]
    fn a_fan_is_told_in_rpm_and_as_a_share_where_both_are_given() {
        let thermal = node(
            Role::Thermal,
            json!({"Fans": [
                {"Name": "Fan 1", "Reading": 4320, "ReadingUnits": "RPM", "Oem": {"Maker": {"SpeedRatio": 35}}},
                {"Name": "Fan 2", "Reading": 40, "ReadingUnits": "Percent", "SpeedRPM": 5100},
                {"Name": "Fan 3", "ReadingRPM": 2100},
                {"Name": "Fan 4", "Reading": 30, "MaxReadingRange": 100},
                {"Name": "Fan 5", "Reading": null, "ReadingUnits": "RPM", "SpeedPercent": {"Reading": 20}}]}),
        );
        let told: Vec<(String, SensorKind, Option<f64>)> =
            fans(&thermal).map(|f| (f.slot, f.kind, f.number.ok().map(|n| n.value))).collect();
        let fan = |name: &str, kind, value| (name.to_owned(), kind, value);
        assert_eq!(
            told,
            [
                fan("Fan 1", SensorKind::FanSpeed, Some(4320.0)),
                fan("Fan 1", SensorKind::FanDuty, Some(35.0)),
                fan("Fan 2", SensorKind::FanDuty, Some(40.0)),
                fan("Fan 2", SensorKind::FanSpeed, Some(5100.0)),
                fan("Fan 3", SensorKind::FanSpeed, Some(2100.0)),
                fan("Fan 4", SensorKind::FanDuty, Some(30.0)),
                fan("Fan 5", SensorKind::FanSpeed, None),
                fan("Fan 5", SensorKind::FanDuty, Some(20.0)),
            ]
        );
    }

    #[test]
    fn temperatures_within_one_element_are_told_each_for_itself() {
        let thermal = node(
            Role::Thermal,
            json!({"Temperatures": [{"Name": "Board", "ReadingCelsius": 41, "Oem": {"Maker": {
                "Details": {"GPU 1 Temp": "37", "GPU 2 Temp": null, "a/b Temp": [], "Note": "x"}}}}]}),
        );
        let mut told: Vec<(String, Option<f64>)> =
            temperatures(&thermal).map(|t| (t.name, t.number.ok().map(|n| n.value))).collect();
        told.sort_by(|a, b| a.0.cmp(&b.0));
        let names: Vec<&str> = told.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["Board", "GPU 1 Temp", "GPU 2 Temp", "a/b Temp"]);
        assert_eq!(told[1].1, Some(37.0));
        let gpu = temperatures(&thermal).find(|t| t.name == "GPU 1 Temp").unwrap();
        assert!(gpu.seen.uri.ends_with("#/Temperatures/0/Oem/Maker/Details/GPU 1 Temp"), "{}", gpu.seen.uri);
        let odd = temperatures(&thermal).find(|t| t.name == "a/b Temp").unwrap();
        let lost = odd.number.bad().unwrap().pointer(&odd.seen.uri);
        assert!(lost.ends_with("/Oem/Maker/Details/a~1b Temp"), "{lost}");
    }

    #[test]
    fn the_unit_decides_the_kind_before_the_type_does() {
        assert_eq!(kind_of("RPM", Some("AirFlow"), "Fan").0, SensorKind::FanSpeed);
        assert_eq!(kind_of("Watts", Some("Current"), "x").0, SensorKind::Power);
        assert_eq!(kind_of("mV", Some("Voltage"), "x"), (SensorKind::Voltage, 0.001));
        assert_eq!(kind_of("", Some("Temperature"), "CPU1 DTS").0, SensorKind::ThermalMargin);
    }

    #[test]
    fn a_sensor_without_a_unit_is_doubted() {
        let item = sensor(&node(
            Role::Sensor,
            json!({"Name": "PCIe 5 OverTemp", "ReadingType": "Temperature", "ReadingUnits": "", "Reading": 0}),
        ));
        assert!(item.discrete);
        assert_eq!(item.number.ok(), Some(Number { value: 0.0, coerced: true }));
    }
}
