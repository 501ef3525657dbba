//! Metric reports of the TelemetryService: figures of power and heat that stand nowhere else. Only the newest value of each metric is told, and only
//! reports of moderate size are read: some keep a day of values (XCC: 25 920 values, 8 s to answer).

use super::lenient::{Field, Number, as_text, number_field, text, truth};
use super::oem;
use super::report::{Figure, Report, Seen, Status, analog};
use super::route::Role;
use super::walk::{Node, tail};
use outband_schemas::{ComponentClass, ComponentId, SensorKind};
use serde_json::Value;
use std::collections::BTreeMap;

/// The most values that a report may hold to be worth its reading.
const MOST_VALUES: usize = 400;

/// Whether a report, or the definition of one, speaks of power or heat, by its name.
pub(super) fn is_wanted(uri: &str) -> bool {
    let name = tail(uri).to_ascii_lowercase();
    let speaks = ["power", "therm", "temp", "psu", "fan"].iter().any(|word| name.contains(word));
    // `…Event` are pushed and never served; copies of a series over other spans are told by the first of them.
    speaks && !["event", "smart", "serial", "custom"].iter().any(|word| name.contains(word))
}

/// The report of a definition, if the definition is switched on and its report is not too large.
pub(super) fn report_of(definition: &Value) -> Option<String> {
    let off = truth(definition, "MetricReportDefinitionEnabled") == Some(false)
        || definition.get("Status").and_then(|s| text(s, "State")).as_deref() == Some("Disabled");
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let large = number_field(definition, "AppendLimit").ok().is_some_and(|n| n.value > MOST_VALUES as f64);
    (!off && !large).then(|| super::lenient::link(definition, "MetricReport"))?
}

/// The newest value of each metric that was read nowhere else.
pub(super) fn report(report: &mut Report<'_>) {
    // What only leads on has done so.
    for role in [Role::Telemetry, Role::MetricDefinition] {
        for node in report.of(role) {
            report.memory.rotation.drop(role, &node.uri);
        }
    }
    for node in report.of(Role::MetricReport) {
        let newest = newest(node);
        let values = super::lenient::list(&node.body, "MetricValues").len();
        let told = newest.into_iter().filter(|metric| tell(report, node, metric)).count();
        if told == 0 || values > MOST_VALUES {
            report.memory.rotation.drop(Role::MetricReport, &node.uri);
        }
    }
}

/// A metric's newest value.
struct Metric<'a> {
    index: usize,
    name: String,
    property: Option<String>,
    /// What it is a metric of, where one report has several of a name (iDRAC).
    of: Option<String>,
    value: &'a Value,
}

/// A metric's name, its property, and what it is a metric of.
type Key = (String, Option<String>, Option<String>);

fn newest(node: &Node) -> Vec<Metric<'_>> {
    let mut newest: BTreeMap<Key, (String, Metric<'_>)> = BTreeMap::new();
    for (index, value) in super::lenient::list(&node.body, "MetricValues").iter().enumerate() {
        let property = text(value, "MetricProperty");
        let last = property.as_deref().map(|p| p.rsplit(['/', '#']).next().unwrap_or(p).to_owned());
        let Some(name) = text(value, "MetricId").or(last) else { continue };
        let of = oem::oem_text(value, &["FQDD", "ContextID"]);
        let stamp = text(value, "Timestamp").unwrap_or_default();
        let key = (name.clone(), property.clone(), of.clone());
        let metric = Metric { index, name, property, of, value };
        match newest.get(&key) {
            // One BMC writes all its times alike, so they compare as texts.
            Some((known, _)) if *known > stamp => {}
            _ => {
                newest.insert(key, (stamp, metric));
            }
        }
    }
    newest.into_values().map(|(_, metric)| metric).collect()
}

/// Tells of a metric; `false` where there is nothing new in it.
fn tell(report: &mut Report<'_>, node: &Node, metric: &Metric<'_>) -> bool {
    let Some((kind, factor)) = kind_of(&metric.name, metric.property.as_deref()) else { return false };
    let number = number_field(metric.value, "MetricValue").map(|n| Number {
        // Redfish writes the values of all metrics as texts: that it is one is no doubt.
        coerced: metric.value.get("MetricValue").and_then(as_text).is_some_and(|t| t.parse::<f64>().is_err()),
        value: n.value * factor,
    });
    let known = metric.property.as_deref().and_then(|property| place(report, property));
    let repeats = known.is_some() && metric.property.as_deref().is_some_and(is_told_directly)
        || metric.property.is_none() && (is_told_directly(&metric.name) || report.memory.has_named(kind, &metric.name));
    let class = known.as_ref().map(ComponentId::class);
    // A place without a name in common may still be one that is read: then rather nothing than the same twice.
    let doubtful =
        class.is_none() && kind != SensorKind::Power && ANY.iter().any(|c| report.memory.has_sensor(kind, *c));
    if repeats || doubtful || matches!(number, Field::Absent | Field::Null) {
        return false;
    }
    let component = known.unwrap_or_else(|| {
        ComponentId::lenient(ComponentClass::Chassis, metric.of.as_deref().unwrap_or("Power and heat"))
    });
    let seen = Seen { uri: format!("{}#/MetricValues/{}", node.uri, metric.index), at: node.at };
    report.push(analog(&component, Figure::new(kind, metric.name.clone(), number), &Status::default(), &seen));
    true
}

const ANY: [ComponentClass; 8] = [
    ComponentClass::Cpu,
    ComponentClass::Memory,
    ComponentClass::Gpu,
    ComponentClass::Board,
    ComponentClass::Chassis,
    ComponentClass::Fan,
    ComponentClass::PowerSupply,
    ComponentClass::Network,
];

/// The place that a metric's property lies in: its own pointer, or one of those above it.
fn place(report: &Report<'_>, property: &str) -> Option<ComponentId> {
    let mut rest = property;
    loop {
        if let Some(found) = report.memory.place_at(rest) {
            return Some(found.clone());
        }
        let cut = rest.rfind(['/', '#'])?;
        rest = rest.get(..cut)?;
        if !rest.contains('#') && rest.matches('/').count() < 4 {
            return None;
        }
    }
}

/// Properties that are read where they stand.
fn is_told_directly(property: &str) -> bool {
    const READ: [&str; 14] = [
        "Reading",
        "ReadingCelsius",
        "ReadingVolts",
        "ReadingRPM",
        "PowerConsumedWatts",
        "AverageConsumedWatts",
        "MinConsumedWatts",
        "MaxConsumedWatts",
        "PowerInputWatts",
        "PowerOutputWatts",
        "LastPowerOutputWatts",
        "LineInputVoltage",
        "EfficiencyPercent",
        "PowerCapacityWatts",
    ];
    READ.contains(&property.rsplit(['/', '#']).next().unwrap_or(property)) || property.contains("/Sensors/")
}

/// The kind of a metric by its name, with the factor to the kind's unit. Only names that say what they measure: ratios, times, states and counts with
/// "power" in their name are no power.
fn kind_of(name: &str, property: Option<&str>) -> Option<(SensorKind, f64)> {
    let last = property.and_then(|p| p.rsplit(['/', '#']).next()).unwrap_or_default();
    [name, last].into_iter().find_map(|name| {
        let name = name.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|w| name.contains(w));
        let not = [
            "ratio", "time", "state", "status", "count", "percent", "pct", "efficien", "usage", "util", "per", "alarm",
            "limit", "energy",
        ];
        let temperature = name.contains("temp");
        // "Temperature" itself holds "per".
        let bare = name.replace("temperature", "temp");
        if not.iter().any(|w| bare.contains(w)) {
            return None;
        }
        match () {
            () if temperature => Some((SensorKind::Temperature, 1.0)),
            () if has(&["rpm"]) => Some((SensorKind::FanSpeed, 1.0)),
            () if has(&["watt", "power"]) => Some((SensorKind::Power, 1.0)),
            () => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redfish::memory::Memory;
    use outband_schemas::{Observation, Timestamp};
    use serde_json::json;
    use std::collections::BTreeSet;

    fn told(values: Value, memory: &mut Memory) -> Vec<String> {
        let at = Timestamp::from_secs(1);
        let (uri, owner, parent) = ("/t/PowerMetrics".to_owned(), String::new(), String::new());
        let body = json!({"MetricValues": values});
        let nodes = [Node { uri, role: Role::MetricReport, owner, parent, body, at }];
        let mut built = Report { nodes: &nodes, lossy: BTreeSet::new(), memory, out: Vec::new() };
        super::report(&mut built);
        let readings = built.out.into_iter().filter_map(|o| match o {
            Observation::Reading(r) => Some(r),
            _ => None,
        });
        readings
            .filter_map(|r| Some(format!("{} {} {} {}", r.component, r.kind, r.sensor, r.value?.as_number()?)))
            .collect()
    }

    #[test]
    fn only_the_newest_value_of_a_metric_is_told_and_none_that_is_read_where_it_stands() {
        let mut memory = Memory::default();
        let control = ComponentId::lenient(ComponentClass::Chassis, "Server");
        memory.place(&control, "/redfish/v1/Chassis/1/Power#/PowerControl/0");
        let values = json!([
            {"MetricId": "CPU0Power", "MetricValue": "30", "Timestamp": "2025-01-01T00:00:02Z"},
            {"MetricId": "CPU0Power", "MetricValue": "28", "Timestamp": "2025-01-01T00:00:01Z"},
            {"MetricId": "AverageConsumedWatts", "MetricValue": "212", "Timestamp": "2025-01-01T00:00:02Z"},
            {"MetricId": "PowerToCoolRatio", "MetricValue": "3", "Timestamp": "2025-01-01T00:00:01Z"},
            {"MetricProperty": "/redfish/v1/Chassis/1/Power#/PowerControl/0/PowerMetrics/MaxConsumedWatts", "MetricValue": "410"},
            {"MetricId": "AvgPowerHour", "MetricProperty": "/redfish/v1/Chassis/1/Power#/PowerControl/0", "MetricValue": "215.5"}]);
        assert_eq!(
            told(values, &mut memory),
            ["chassis/Server power AvgPowerHour 215.5", "chassis/Power and heat power CPU0Power 30"]
        );
    }

    #[test]
    fn a_report_that_adds_nothing_gets_no_more_turns() {
        let mut memory = Memory::default();
        memory.rotation.offer(Role::MetricReport, "/t/PowerMetrics", false);
        assert!(told(json!([{"MetricId": "LastDayMaxPowerTime", "MetricValue": "x"}, 4]), &mut memory).is_empty());
        assert!(memory.rotation.due().is_empty());
    }

    #[test]
    fn definitions_that_are_off_or_keep_too_much_are_left_out() {
        let definition = |more: Value| {
            let mut body = json!({"MetricReport": {"@odata.id": "/t/R"}});
            for (key, value) in more.as_object().unwrap() {
                body[key] = value.clone();
            }
            report_of(&body)
        };
        assert_eq!(definition(json!({})).as_deref(), Some("/t/R"));
        assert_eq!(definition(json!({"AppendLimit": 40, "Status": {"State": "Enabled"}})).as_deref(), Some("/t/R"));
        for more in [
            json!({"AppendLimit": 2880}),
            json!({"MetricReportDefinitionEnabled": false}),
            json!({"Status": {"State": "Disabled"}}),
        ] {
            assert_eq!(definition(more), None);
        }
    }
}
