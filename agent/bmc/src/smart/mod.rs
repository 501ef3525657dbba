//! SMART, life and error figures of drives, normalised to the catalogue's kinds.
//!
//! Redfish has few of them as standard (`Drive.PredictedMediaLifeLeftPercent`, `FailurePredicted`, `DriveMetrics` with `NVMeSMART`); the rest is
//! each maker's own. They are found by what they are called, wherever in a drive's resource (or its OEM sub-resource) they stand:
//!
//! - plain fields, at any depth below `Oem`: `PowerOnHours`, `PercentageDriveLifeUsed` (Supermicro), `SSDEnduranceUtilizationPercentage` (HPE), …: [`names`];
//! - ATA attribute tables: an array whose elements have an attribute number and a raw value: [`ata`];
//! - metric reports, whose values name their drive;
//! - what `smartctl --json` prints of a drive of the agent's own host: [`smartctl`].

mod ata;
mod names;
pub mod smartctl;
#[cfg(test)]
mod tests;

use crate::redfish::lenient::{Field, Number, list, text, truth};
pub use ata::by_ata_id;
use ata::{Row, row};
use names::{by_name, sensed};
use outband_schemas::SensorKind;
use serde_json::Value;

/// A figure of a drive.
#[derive(Debug, Clone, PartialEq)]
pub struct SmartFigure {
    /// What it is.
    pub kind: SensorKind,
    /// The maker's name for it.
    pub sensor: String,
    /// The value in the kind's unit, or that the field holds none.
    pub number: Field<Number>,
    /// JSON pointer within the resource.
    pub pointer: String,
}

/// What a drive's resource, or one that adds to it, tells of its life. Each kind at most once: a value before a field that holds none, and the standard
/// field before any OEM field.
pub fn figures(resource: &Value) -> Vec<SmartFigure> {
    let mut out = Vec::new();
    collect(resource, "", 0, &mut out);
    let mut seen = Vec::new();
    // Fields near the top are the standard ones.
    out.sort_by_key(|f: &SmartFigure| (!f.number.is_value(), f.pointer.matches('/').count()));
    out.retain(|f| {
        let new = !seen.contains(&f.kind);
        seen.push(f.kind);
        new
    });
    out
}

/// The spare blocks, in percent, below which the drive itself warns (NVMe SMART / Health Information log, byte 4), wherever in a resource it stands.
pub fn spare_limit(resource: &Value) -> Option<f64> {
    const NAMES: [&str; 3] =
        ["AvailableSpareThresholdPercent", "AvailableSpareThreshold", "AvailableSpareThresholdPercentage"];
    fn find(value: &Value, depth: usize) -> Option<f64> {
        let fields = value.as_object().filter(|_| depth < 6)?;
        let own = NAMES.iter().find_map(|name| crate::redfish::lenient::number(value, name));
        own.map(|n| n.value).or_else(|| fields.values().find_map(|inner| find(inner, depth + 1)))
    }
    find(resource, 0).filter(|limit| (0.0..=100.0).contains(limit))
}

/// What does not speak of the drive's life, or not of what is now.
const LEFT_OUT: [&str; 8] =
    ["Links", "Actions", "Thresholds", "Status", "Metrics", "EnvironmentMetrics", "Settings", "Operations"];

fn collect(value: &Value, pointer: &str, depth: usize, out: &mut Vec<SmartFigure>) {
    if depth > 8 {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                if name.contains('@') || LEFT_OUT.contains(&name.as_str()) {
                    continue;
                }
                let at = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                let known = by_name(name);
                match (known, inner) {
                    // An excerpt such as {"TemperatureCelsius": {"Reading": 41}} is a figure too.
                    (Some((kind, sense)), Value::Object(excerpt)) if excerpt.contains_key("Reading") => {
                        push(out, kind, sense, name, excerpt.get("Reading").unwrap_or(&Value::Null), &at);
                    }
                    // What Redfish itself names holds a figure and nothing else.
                    (Some((kind, sense)), _) if depth == 0 => push(out, kind, sense, name, inner, &at),
                    (_, Value::Object(bits)) if name == "CriticalWarnings" => out.extend(warnings(bits, &at)),
                    (_, Value::Array(reasons)) if name == "DiskDriveStatusReasons" => {
                        out.extend(reasons_of(reasons, &at))
                    }
                    (_, Value::Object(_) | Value::Array(_)) => collect(inner, &at, depth + 1, out),
                    (Some((kind, sense)), _) => push(out, kind, sense, name, inner, &at),
                    (None, _) => {}
                }
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                let pointer = format!("{pointer}/{index}");
                match row(element) {
                    Some(Row::Figure(kind, sensor, number)) => {
                        out.push(SmartFigure { kind, sensor, number: Field::Value(number), pointer });
                    }
                    Some(Row::Other) => {}
                    None => collect(element, &pointer, depth + 1, out),
                }
            }
        }
        _ => {}
    }
}

fn push(out: &mut Vec<SmartFigure>, kind: SensorKind, sense: names::Sense, name: &str, value: &Value, pointer: &str) {
    let number = sensed(sense, value, pointer);
    if number.is_telling() {
        out.push(SmartFigure { kind, sensor: name.to_owned(), number, pointer: pointer.to_owned() });
    }
}

/// `NVMeSMART.CriticalWarnings` (StorageControllerMetrics): one truth for each bit of the NVMe SMART log's byte 0.
fn warnings(bits: &serde_json::Map<String, Value>, pointer: &str) -> Option<SmartFigure> {
    const BITS: [(&str, f64); 5] = [
        ("SpareCapacityWornOut", 1.0),
        ("OverallSubsystemDegraded", 4.0),
        ("MediaInReadOnly", 8.0),
        ("PowerBackupFailed", 16.0),
        ("PMRUnreliable", 32.0),
    ];
    let all = Value::Object(bits.clone());
    let set: Vec<f64> =
        BITS.iter().filter_map(|(name, bit)| truth(&all, name).map(|yes| if yes { *bit } else { 0.0 })).collect();
    (!set.is_empty()).then(|| SmartFigure {
        kind: SensorKind::CriticalWarning,
        sensor: "CriticalWarnings".to_owned(),
        number: Field::Value(Number { value: set.iter().sum(), coerced: false }),
        pointer: pointer.to_owned(),
    })
}

/// HPE's `DiskDriveStatusReasons`: a list of reasons, `None` where there is none.
fn reasons_of(reasons: &[Value], pointer: &str) -> Option<SmartFigure> {
    let words: Vec<String> = reasons.iter().filter_map(|r| Some(r.as_str()?.to_ascii_lowercase())).collect();
    let predicted = words.iter().any(|w| w.contains("predict"));
    let none = !words.is_empty() && words.iter().all(|w| matches!(w.as_str(), "none" | "ok"));
    (predicted || none).then(|| SmartFigure {
        kind: SensorKind::FailurePredicted,
        sensor: "DiskDriveStatusReasons".to_owned(),
        number: Field::Value(Number { value: f64::from(u8::from(predicted)), coerced: false }),
        pointer: pointer.to_owned(),
    })
}

/// What a metric report (iDRAC 9's `StorageDiskSMARTData`, `NVMeSMARTData`) tells of the drive at `uri` whose id is `drive`: by the FQDD in the value's OEM
/// section, or by the property that the value was taken from.
pub fn from_metric_report(report: &Value, drive: &str, uri: &str) -> Vec<SmartFigure> {
    let values = list(report, "MetricValues").iter().enumerate();
    let own = values.filter(|(_, v)| {
        let dell = v.get("Oem").and_then(|o| o.get("Dell"));
        let named = dell.is_some_and(|d| ["FQDD", "ContextID"].iter().any(|f| text(d, f).as_deref() == Some(drive)));
        let property = text(v, "MetricProperty");
        let rest = property.as_deref().and_then(|p| p.strip_prefix(uri));
        named || rest.is_some_and(|rest| rest.starts_with(['#', '/']))
    });
    let mut seen = Vec::new();
    let figures = own.filter_map(|(index, v)| {
        let property = || Some(text(v, "MetricProperty")?.rsplit('/').next()?.to_owned());
        let name = text(v, "MetricId").filter(|id| by_name(id).is_some()).or_else(property)?;
        let (kind, sense) = by_name(&name)?;
        let pointer = format!("/MetricValues/{index}");
        // Metric values are strings by the schema: nothing was cut out of a text.
        let plain = |n: Number| Number { coerced: false, ..n };
        let number = sensed(sense, v.get("MetricValue")?, &format!("{pointer}/MetricValue")).map(plain);
        if !number.is_telling() || seen.contains(&kind) {
            return None;
        }
        seen.push(kind);
        Some(SmartFigure { kind, sensor: name, number, pointer })
    });
    figures.collect()
}
