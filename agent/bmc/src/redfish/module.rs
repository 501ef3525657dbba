//! Processors, GPUs and memory modules: their states, their error counts, and the summaries that a system gives of them.

use super::lenient::{Field, Number, excerpt_field, number_field, text, truth};
use super::oem;
use super::report::{Figure, Report, Seen, Status, analog, name, state};
use super::route::Role;
use super::walk::Node;
use outband_schemas::{ComponentClass, ComponentId, Quality, Reading, SensorKind, Source, State, Value as Said};
use serde_json::Value;

/// Where a processor, memory module or manager sits.
pub(super) fn place(report: &mut Report<'_>, class: ComponentClass, node: &Node) -> ComponentId {
    let body = &node.body;
    let located = match class {
        ComponentClass::Memory => name(body, &["DeviceLocator", "Id", "Name"]),
        ComponentClass::Cpu => name(body, &["Socket", "Id", "Name"])
            .filter(|s| s.chars().any(|c| c.is_ascii_alphabetic()))
            .or_else(|| name(body, &["Id"])),
        _ => name(body, &["Id", "Name"]),
    };
    let wished = located.unwrap_or_else(|| node.tail().to_owned());
    // A GPU is listed among the processors.
    let class = match text(body, "ProcessorType").as_deref() {
        Some("GPU" | "Accelerator") => ComponentClass::Gpu,
        _ => class,
    };
    report.memory.part(class, &wished, &node.uri)
}

/// The states of a module: its health, and what its maker or its memory says besides. What adds to it is known by its place from now on.
pub(super) fn states(report: &mut Report<'_>, component: &ComponentId, node: &Node) {
    let body = &node.body;
    let seen = Seen { uri: node.uri.clone(), at: node.at };
    let status = Status::of(body);
    report.push(state(component, "health", &status, &seen));
    for field in ["Metrics", "EnvironmentMetrics"] {
        if let Some(uri) = super::lenient::link(body, field) {
            report.memory.place(component, &uri);
        }
    }
    if status.is_absent() {
        return;
    }
    for (vendor, own) in oem::vendors(body) {
        let seen = Seen { uri: format!("{}#/Oem/{vendor}", node.uri), at: node.at };
        if let Some(word) = text(own, "DIMMStatus") {
            report.push(said(component, "dimm_status", dimm_status(&word), word, &seen));
        }
        if let Some(failed) = truth(own, "RowRemappingFailed") {
            let pending = truth(own, "RowRemappingPending") == Some(true);
            let (state, words) = match (failed, pending) {
                (true, _) => (State::Critical, "RowRemappingFailed"),
                (false, true) => (State::Warning, "RowRemappingPending"),
                (false, false) => (State::Ok, "no RowRemappingFailed"),
            };
            report.push(said(component, "row_remapping", state, words.to_owned(), &seen));
        }
    }
    if let Some(throttled) = truth(body, "Throttled") {
        let causes = super::lenient::list(body, "ThrottleCauses").iter().filter_map(super::lenient::as_text);
        let words: Vec<String> = std::iter::once(format!("Throttled {throttled}")).chain(causes).collect();
        // Slow for want of power or cooling: no verdict on its own health.
        report.push(said(component, "throttled", State::Ok, words.join(", "), &seen));
    }
}

/// iLO's `DIMMStatus` (iLO 5 and 6 resource definitions, HpeMemoryExt).
fn dimm_status(word: &str) -> State {
    match word {
        "GoodInUse" | "GoodPartiallyInUse" | "PresentSpare" => State::Ok,
        "NotPresent" => State::Absent,
        "Degraded" | "DoesNotMatch" | "ConfigurationError" | "MapOutConfiguration" => State::Warning,
        "MapOutError" | "ExpectedButMissing" => State::Critical,
        _ => State::Unknown,
    }
}

/// A state in words that are no `Status`.
pub(super) fn said(component: &ComponentId, sensor: &str, state: State, text: String, seen: &Seen) -> Option<Reading> {
    Some(Reading {
        component: component.clone(),
        kind: SensorKind::State,
        sensor: sensor.to_owned(),
        value: Some(Said::State { state, text }),
        quality: Quality::Good,
        observed_at: seen.at,
        source: Source(seen.uri.clone()),
        thresholds: None,
    })
}

/// What a system says of all its parts of a kind. Its body is read with the sensors anyway; the parts themselves are read far less often.
pub(super) fn summaries(report: &mut Report<'_>, component: &ComponentId, system: &Node) {
    let body = &system.body;
    for (field, sensor) in [("MemorySummary", "memory_summary"), ("ProcessorSummary", "processor_summary")] {
        if let Some(summary) = body.get(field) {
            let seen = Seen { uri: format!("{}#/{field}", system.uri), at: system.at };
            report.push(state(component, sensor, &Status::of(summary), &seen));
        }
    }
    for (vendor, own) in oem::vendors(body) {
        for (holder, fields) in own.as_object().into_iter().flatten() {
            let seen = Seen { uri: format!("{}#/Oem/{vendor}/{holder}", system.uri), at: system.at };
            for (field, value) in fields.as_object().into_iter().flatten() {
                let told = match holder.as_str() {
                    "DellSystem" => dell(field, value),
                    "AggregateHealthStatus" => hpe(field, value),
                    _ => None,
                };
                if let Some((sensor, state, text)) = told {
                    report.push(said(component, &sensor, state, text, &seen));
                }
            }
        }
    }
}

/// iDRAC: `FanRollupStatus: "OK"`.
fn dell(field: &str, value: &Value) -> Option<(String, State, String)> {
    let what = field.strip_suffix("RollupStatus").or_else(|| field.strip_suffix("PrimaryStatus"))?;
    let status = Status { state: None, health: value.as_str().map(str::to_owned) };
    Some((format!("{what} rollup"), status.meaning(), status.words()?))
}

/// iLO: `Fans: {"Status": {"Health": "OK"}}` and `FanRedundancy: "Redundant"`.
fn hpe(field: &str, value: &Value) -> Option<(String, State, String)> {
    if let Some(word) = value.as_str().filter(|_| field.ends_with("Redundancy")) {
        let (state, text) = match word {
            "Redundant" => (State::Ok, word.to_owned()),
            // Was redundant and is no more; `NonRedundant` may never have been.
            "FailedRedundant" => (State::Warning, format!("{word}, redundancy lost")),
            _ => (State::Unknown, word.to_owned()),
        };
        return Some((field.to_owned(), state, text));
    }
    let status = Status::of(value);
    value.get("Status").and_then(|_| Some((format!("{field} rollup"), status.meaning(), status.words()?)))
}

/// Whether a system's summary of its parts says that one of them is not well: then they are worth reading before their time.
pub(super) fn is_unwell(system: &Value, summary: &str) -> bool {
    system.get(summary).is_some_and(|s| matches!(Status::of(s).meaning(), State::Warning | State::Critical))
}

/// The figures of `MemoryMetrics`, `ProcessorMetrics` and `EnvironmentMetrics`, in the places of the modules that they belong to.
pub(super) fn metrics(report: &mut Report<'_>) {
    for role in [Role::MemoryMetrics, Role::ProcessorMetrics, Role::EnvironmentMetrics] {
        for node in report.of(role) {
            let Some(component) =
                report.memory.place_at(&node.uri).or_else(|| report.memory.place_at(&node.parent)).cloned()
            else {
                continue;
            };
            let seen = Seen { uri: node.uri.clone(), at: node.at };
            let status = Status::of(&node.body);
            let figures = match role {
                Role::EnvironmentMetrics => environment(report, &node.body),
                _ => counts(&node.body).into_iter().chain(own_heat(report, &component, &node.body)).collect(),
            };
            let alarms = alarms(&node.body);
            if figures.is_empty() && alarms.is_none() {
                report.memory.rotation.drop(role, &node.uri);
            }
            for figure in figures {
                report.push(analog(&component, figure, &status, &seen));
            }
            if let Some((state, text)) = alarms {
                report.push(said(&component, "alarm_trips", state, text, &seen));
            }
        }
    }
}

/// A number at a path of objects. A lost one names its whole path.
fn at(body: &Value, path: &[&str]) -> Field<Number> {
    let Some((field, holders)) = path.split_last() else { return Field::Absent };
    let mut holder = body;
    for name in holders {
        match holder.get(name) {
            Some(inner) => holder = inner,
            None => return Field::Absent,
        }
    }
    let found = number_field(holder, field);
    if holders.is_empty() { found } else { found.below(&holders.join("/")) }
}

/// Error counts and times of throttling. Counts of the current period are told only where none over the life are.
fn counts(body: &Value) -> Vec<Figure> {
    use SensorKind::{CorrectableErrors as Correctable, RowRemaps, UncorrectableErrors as Uncorrectable};
    let mut figures = Vec::new();
    for (holder, sensor) in [(&[][..], "ecc"), (&["CacheMetricsTotal"], "cache_ecc")] {
        for (kind, field) in [(Correctable, "CorrectableECCErrorCount"), (Uncorrectable, "UncorrectableECCErrorCount")]
        {
            let over = |span: &'static str| at(body, &[holder, &[span, field]].concat());
            figures.push(Figure::new(kind, sensor, over("LifeTime").or_else(|| over("CurrentPeriod"))));
        }
    }
    for (kind, sensor, path) in [
        (Correctable, "persistent", &["CorrectedPersistentErrorCount"][..]),
        (Correctable, "volatile", &["CorrectedVolatileErrorCount"]),
        (Correctable, "core", &["CorrectableCoreErrorCount"]),
        (Uncorrectable, "core", &["UncorrectableCoreErrorCount"]),
        (Correctable, "other", &["CorrectableOtherErrorCount"]),
        (Uncorrectable, "other", &["UncorrectableOtherErrorCount"]),
        (SensorKind::PcieCorrectable, "pcie", &["PCIeErrors", "CorrectableErrorCount"]),
        (SensorKind::PcieUncorrectable, "pcie non-fatal", &["PCIeErrors", "NonFatalErrorCount"]),
        (SensorKind::PcieUncorrectable, "pcie fatal", &["PCIeErrors", "FatalErrorCount"]),
        (SensorKind::LifeLeft, "life_left", &["HealthData", "PredictedMediaLifeLeftPercent"]),
        (SensorKind::SpareLeft, "spare_left", &["HealthData", "RemainingSpareBlockPercentage"]),
    ] {
        figures.push(Figure::new(kind, sensor, at(body, path)));
    }
    for (vendor, own) in oem::vendors(body) {
        let below = |found: Field<Number>| found.below(&format!("Oem/{vendor}"));
        for (kind, sensor, path) in [
            (RowRemaps, "correctable", ["RowRemapping", "CorrectableRowRemappingCount"]),
            (RowRemaps, "uncorrectable", ["RowRemapping", "UncorrectableRowRemappingCount"]),
            (Correctable, "errors", ["ProcessorErrorCounts", "Correctable"]),
            (Uncorrectable, "errors", ["ProcessorErrorCounts", "Uncorrectable"]),
            (Correctable, "errors", ["MemoryErrorCounts", "Correctable"]),
            (Uncorrectable, "errors", ["MemoryErrorCounts", "Uncorrectable"]),
        ] {
            figures.push(Figure::new(kind, sensor, below(at(own, &path))));
        }
        throttled(own, "HardwareViolationThrottleDuration", &mut figures);
    }
    for field in ["PowerLimitThrottleDuration", "ThermalLimitThrottleDuration"] {
        throttled(body, field, &mut figures);
    }
    figures.retain(|f| f.number.is_telling());
    figures
}

fn throttled(body: &Value, field: &str, figures: &mut Vec<Figure>) {
    if let Some(seconds) = text(body, field).as_deref().and_then(duration) {
        let number = Number { value: seconds, coerced: false };
        figures.push(Figure::new(SensorKind::ThrottledTime, field, Field::Value(number)));
    }
}

/// A duration of ISO 8601 as Redfish uses it (`P1DT2H3M4.5S`, DSP0266 §9.6.4), in seconds.
fn duration(text: &str) -> Option<f64> {
    let (days, rest) = match text.strip_prefix('P')?.split_once('T') {
        Some((days, time)) => (days, time),
        None => (text.strip_prefix('P')?, ""),
    };
    let mut seconds = match days.strip_suffix('D') {
        Some(days) => days.parse::<f64>().ok()? * 86_400.0,
        None if days.is_empty() => 0.0,
        None => return None,
    };
    let mut rest = rest;
    for (unit, factor) in [('H', 3600.0), ('M', 60.0), ('S', 1.0)] {
        if let Some((number, after)) = rest.split_once(unit) {
            seconds += number.parse::<f64>().ok()? * factor;
            rest = after;
        }
    }
    (rest.is_empty() && text.len() > 1 && seconds.is_finite()).then_some(seconds)
}

/// Temperature and power that a processor tells of itself, where no sensor tells those of its class.
fn own_heat(report: &Report<'_>, component: &ComponentId, body: &Value) -> Vec<Figure> {
    let fields = [
        (SensorKind::Temperature, "TemperatureCelsius"),
        (SensorKind::Power, "ConsumedPowerWatt"),
        (SensorKind::ThermalMargin, "ThrottlingCelsius"),
    ];
    let missing = fields.into_iter().filter(|(kind, _)| !report.memory.has_sensor(*kind, component.class()));
    let figures = missing.map(|(kind, field)| Figure::new(kind, field, number_field(body, field)));
    figures.filter(|f| f.number.is_telling()).collect()
}

/// The excerpts of `EnvironmentMetrics` whose sensors were not read themselves.
fn environment(report: &Report<'_>, body: &Value) -> Vec<Figure> {
    let fields = [
        (SensorKind::Temperature, "TemperatureCelsius", 1.0),
        (SensorKind::Power, "PowerWatts", 1.0),
        (SensorKind::Energy, "EnergykWh", 3.6e6),
        (SensorKind::Humidity, "HumidityPercent", 1.0),
    ];
    let told_already = |field: &str| {
        let source = body.get(field).and_then(|e| super::lenient::link(e, "DataSourceUri"));
        source.is_some_and(|uri| report.memory.place_at(&uri).is_some())
    };
    let figures = fields.into_iter().filter(|(_, field, _)| !told_already(field)).map(|(kind, field, factor)| {
        let number = excerpt_field(body, field).map(|n| Number { value: n.value * factor, ..n });
        Figure::new(kind, field, number)
    });
    figures.filter(|f| f.number.is_telling()).collect()
}

/// The alarms of a memory module (`HealthData.AlarmTrips`); `None` where it has none to tell of.
fn alarms(body: &Value) -> Option<(State, String)> {
    let health = body.get("HealthData")?;
    let trips = health.get("AlarmTrips").and_then(Value::as_object);
    let known = trips.into_iter().flatten().chain(
        health
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| matches!(name.as_str(), "DataLossDetected" | "PerformanceDegraded")),
    );
    let known: Vec<(&str, bool)> = known.filter_map(|(name, v)| Some((name.as_str(), v.as_bool()?))).collect();
    if known.is_empty() {
        return None;
    }
    let tripped: Vec<&str> = known.into_iter().filter(|(_, tripped)| *tripped).map(|(name, _)| name).collect();
    let state = match tripped.as_slice() {
        [] => return Some((State::Ok, "no AlarmTrips".to_owned())),
        names if names.iter().any(|n| matches!(*n, "UncorrectableECCError" | "DataLossDetected")) => State::Critical,
        _ => State::Warning,
    };
    Some((state, tripped.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redfish::memory::Memory;
    use outband_schemas::{Observation, Timestamp};
    use proptest::prelude::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    fn node(role: Role, uri: &str, body: Value) -> Node {
        let at = Timestamp::from_secs(1);
        Node { uri: uri.to_owned(), role, owner: String::new(), parent: String::new(), body, at }
    }

    fn told(nodes: &[Node], memory: &mut Memory, by: impl Fn(&mut Report<'_>)) -> Vec<String> {
        let mut built = Report { nodes, lossy: BTreeSet::new(), memory, out: Vec::new() };
        by(&mut built);
        let readings = built.out.into_iter().filter_map(|o| match o {
            Observation::Reading(r) => Some(r),
            _ => None,
        });
        let words = readings.map(|r| match r.value {
            Some(Said::Number(n)) => format!("{} {} {} {n}", r.component, r.kind, r.sensor),
            Some(Said::State { state, text }) => format!("{} {} {state:?} {text}", r.component, r.sensor),
            other => format!("{} {} {} {other:?} {:?}", r.component, r.kind, r.sensor, r.quality),
        });
        words.collect()
    }

    #[test]
    fn error_counts_are_told_in_the_place_of_their_module() {
        let mut memory = Memory::default();
        let dimm = node(
            Role::Memory,
            "/redfish/v1/Systems/1/Memory/A1",
            json!({"Id": "A1", "Metrics": {"@odata.id": "/redfish/v1/Systems/1/Memory/A1/X"}, "Status": {"State": "Enabled", "Health": "OK"}}),
        );
        told(std::slice::from_ref(&dimm), &mut memory, |r| {
            let component = place(r, ComponentClass::Memory, &dimm);
            states(r, &component, &dimm);
        });
        let metrics_of = node(
            Role::MemoryMetrics,
            "/redfish/v1/Systems/1/Memory/A1/X",
            json!({"LifeTime": {"CorrectableECCErrorCount": 17, "UncorrectableECCErrorCount": []},
                "CurrentPeriod": {"CorrectableECCErrorCount": 2},
                "HealthData": {"AlarmTrips": {"CorrectableECCError": true, "Temperature": false}, "DataLossDetected": null}}),
        );
        assert_eq!(
            told(&[metrics_of], &mut memory, metrics),
            [
                "memory/A1 correctable_errors ecc 17",
                "memory/A1 uncorrectable_errors ecc None Unavailable(Malformed)",
                "memory/A1 alarm_trips Warning CorrectableECCError"
            ]
        );
    }

    #[test]
    fn metrics_that_say_nothing_get_no_more_turns() {
        let mut memory = Memory::default();
        memory.part(ComponentClass::Cpu, "1", "/p");
        memory.rotation.offer(Role::ProcessorMetrics, "/p", false);
        assert!(
            told(&[node(Role::ProcessorMetrics, "/p", json!({"BandwidthPercent": 3}))], &mut memory, metrics)
                .is_empty()
        );
        assert!(memory.rotation.due().is_empty());
    }

    #[test]
    fn a_processors_own_temperature_is_told_only_where_no_sensor_tells_it() {
        let body = json!({"TemperatureCelsius": 44, "CoreVoltage": 1, "ThermalLimitThrottleDuration": "PT1M2.5S"});
        let nodes = [node(Role::ProcessorMetrics, "/p", body)];
        let mut memory = Memory::default();
        memory.part(ComponentClass::Cpu, "1", "/p");
        let time = "cpu/1 throttled_time ThermalLimitThrottleDuration 62.5";
        assert_eq!(told(&nodes, &mut memory, metrics), [time, "cpu/1 temperature TemperatureCelsius 44"]);
        memory.sensor(ComponentClass::Cpu, "CPU1", SensorKind::Temperature, "/t#/0", "CPU1 Temp");
        assert_eq!(told(&nodes, &mut memory, metrics), [time]);
    }

    #[test]
    fn a_system_tells_of_its_parts_in_every_makers_words() {
        let system = node(
            Role::System,
            "/redfish/v1/Systems/1",
            json!({"MemorySummary": {"Status": {"Health": "Warning"}}, "ProcessorSummary": {"Count": 2},
                "Oem": {"Dell": {"DellSystem": {"FanRollupStatus": "OK", "SDCardRollupStatus": null, "Id": "x"}},
                    "Hpe": {"AggregateHealthStatus": {"FanRedundancy": "FailedRedundant", "Storage": {"Status": {"Health": "Critical"}}, "Other": 4}}}}),
        );
        let mut said = told(&[], &mut Memory::default(), |r| {
            summaries(r, &ComponentId::lenient(ComponentClass::Server, "1"), &system);
        });
        said.sort();
        assert_eq!(
            said,
            [
                "server/1 Fan rollup Ok OK",
                "server/1 FanRedundancy Warning FailedRedundant, redundancy lost",
                "server/1 Storage rollup Critical Critical",
                "server/1 memory_summary Warning Warning"
            ]
        );
    }

    #[test]
    fn durations_are_read_as_the_specification_writes_them() {
        for (text, seconds) in
            [("PT0S", Some(0.0)), ("P1DT1H1M1S", Some(90_061.0)), ("P2D", Some(172_800.0)), ("PT1.5S", Some(1.5))]
        {
            assert_eq!(duration(text), seconds, "{text}");
        }
        for bad in ["", "P", "T1S", "PT1X", "1 s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_duration_or_none(text in "P?[0-9DTHMS.-]{0,12}") {
            prop_assert!(duration(&text).is_none_or(f64::is_finite));
        }
    }
}
