//! SMART, life and error figures of drives, normalised to the catalogue's kinds.
//!
//! Redfish has few of them as standard (`Drive.PredictedMediaLifeLeftPercent`, `FailurePredicted`, `DriveMetrics` with `NVMeSMART`); the rest is
//! each maker's own. They are found by what they are called, wherever in a drive's resource (or its OEM sub-resource) they stand:
//!
//! - plain fields, at any depth below `Oem`: `PowerOnHours`, `PercentageDriveLifeUsed` (Supermicro), `SSDEnduranceUtilizationPercentage` (HPE), …;
//! - ATA attribute tables: an array whose elements have an attribute number in `Id`, `ID` or `AttributeId` and a raw value in `RawValue`, `Raw` or
//!   `RawData`, e.g. `Oem.<any>.SmartAttributes: [{"Id": 5, "RawValue": 12}]`;
//! - Huawei's `SATASmartInformation` and `SASSmartInformation`, whose fields are of the first sort.

use crate::redfish::lenient::{Number, as_number, list, number, text, truth};
use outband_schemas::SensorKind;
use serde_json::Value;

/// A figure of a drive.
#[derive(Debug, Clone, PartialEq)]
pub struct SmartFigure {
    /// What it is.
    pub kind: SensorKind,
    /// The maker's name for it.
    pub sensor: String,
    /// The value in the kind's unit.
    pub number: Number,
    /// JSON pointer within the resource.
    pub pointer: String,
}

#[derive(Debug, Clone, Copy)]
enum Sense {
    /// As it stands.
    Plain,
    /// A share used up: 100 minus it is left.
    Used,
    /// NVMe data units: thousands of 512 bytes (NVM Express base specification, SMART / Health Information).
    DataUnits,
    /// A yes or no, or a count of predictions.
    Flag,
}

/// Names without case and punctuation.
const NAMES: &[(&str, SensorKind, Sense)] = &[
    ("predictedmedialifeleftpercent", SensorKind::LifeLeft, Sense::Plain),
    ("remainingratedwriteendurancepercent", SensorKind::LifeLeft, Sense::Plain),
    ("percentdriveliferemaining", SensorKind::LifeLeft, Sense::Plain),
    ("lifeleft", SensorKind::LifeLeft, Sense::Plain),
    ("liferemaining", SensorKind::LifeLeft, Sense::Plain),
    ("lifeleftpercentage", SensorKind::LifeLeft, Sense::Plain),
    ("remnantmediawearout", SensorKind::LifeLeft, Sense::Plain),
    ("remnantmediawearoutpercent", SensorKind::LifeLeft, Sense::Plain),
    ("percentlifetimeleft", SensorKind::LifeLeft, Sense::Plain),
    ("percentagedrivelifeused", SensorKind::LifeLeft, Sense::Used),
    ("percentageused", SensorKind::LifeLeft, Sense::Used),
    ("percentused", SensorKind::LifeLeft, Sense::Used),
    ("percentlifetimeused", SensorKind::LifeLeft, Sense::Used),
    ("percentagelifeused", SensorKind::LifeLeft, Sense::Used),
    ("ssdenduranceutilizationpercentage", SensorKind::LifeLeft, Sense::Used),
    ("poweronhours", SensorKind::PowerOnHours, Sense::Plain),
    ("hoursofpoweredup", SensorKind::PowerOnHours, Sense::Plain),
    ("reallocatedsectorcount", SensorKind::ReallocatedSectors, Sense::Plain),
    ("reallocatedsectorscount", SensorKind::ReallocatedSectors, Sense::Plain),
    ("reallocatedsectors", SensorKind::ReallocatedSectors, Sense::Plain),
    ("reallocatedblockcount", SensorKind::ReallocatedSectors, Sense::Plain),
    ("growndefectcount", SensorKind::ReallocatedSectors, Sense::Plain),
    ("growndefects", SensorKind::ReallocatedSectors, Sense::Plain),
    ("elementsingrowndefectlist", SensorKind::ReallocatedSectors, Sense::Plain),
    ("badblockcount", SensorKind::ReallocatedSectors, Sense::Plain),
    ("reallocationeventcount", SensorKind::ReallocationEvents, Sense::Plain),
    ("currentpendingsectorcount", SensorKind::PendingSectors, Sense::Plain),
    ("currentpendingsectorscount", SensorKind::PendingSectors, Sense::Plain),
    ("pendingsectorcount", SensorKind::PendingSectors, Sense::Plain),
    ("pendingsectors", SensorKind::PendingSectors, Sense::Plain),
    ("offlineuncorrectable", SensorKind::OfflineUncorrectable, Sense::Plain),
    ("offlineuncorrectablesectorcount", SensorKind::OfflineUncorrectable, Sense::Plain),
    ("uncorrectablelbacount", SensorKind::OfflineUncorrectable, Sense::Plain),
    ("uncorrectableerrorcount", SensorKind::ReportedUncorrectable, Sense::Plain),
    ("uncorrectedreaderrors", SensorKind::ReportedUncorrectable, Sense::Plain),
    ("totaluncorrectedreaderrors", SensorKind::ReportedUncorrectable, Sense::Plain),
    ("uncorrectableioreaderrorcount", SensorKind::ReportedUncorrectable, Sense::Plain),
    ("reporteduncorrectable", SensorKind::ReportedUncorrectable, Sense::Plain),
    ("reporteduncorrectableerrors", SensorKind::ReportedUncorrectable, Sense::Plain),
    ("commandtimeout", SensorKind::CommandTimeouts, Sense::Plain),
    ("commandtimeoutcount", SensorKind::CommandTimeouts, Sense::Plain),
    ("crcerrorcount", SensorKind::CrcErrors, Sense::Plain),
    ("udmacrcerrorcount", SensorKind::CrcErrors, Sense::Plain),
    ("ultradmacrcerrorcount", SensorKind::CrcErrors, Sense::Plain),
    ("mediaerrors", SensorKind::MediaErrors, Sense::Plain),
    ("mediaerrorcount", SensorKind::MediaErrors, Sense::Plain),
    ("mediaanddataintegrityerrors", SensorKind::MediaErrors, Sense::Plain),
    ("mediadataintegrityerrorslower", SensorKind::MediaErrors, Sense::Plain),
    ("availablespare", SensorKind::SpareLeft, Sense::Plain),
    ("availablesparepercent", SensorKind::SpareLeft, Sense::Plain),
    ("unsafeshutdowns", SensorKind::UnsafeShutdowns, Sense::Plain),
    ("unsafeshutdowncount", SensorKind::UnsafeShutdowns, Sense::Plain),
    ("unsafeshutdownslower", SensorKind::UnsafeShutdowns, Sense::Plain),
    ("powercycles", SensorKind::PowerCycles, Sense::Plain),
    ("powercyclecount", SensorKind::PowerCycles, Sense::Plain),
    ("powercycleslower", SensorKind::PowerCycles, Sense::Plain),
    ("poweronhourslower", SensorKind::PowerOnHours, Sense::Plain),
    ("criticalwarning", SensorKind::CriticalWarning, Sense::Plain),
    ("dataunitswritten", SensorKind::BytesWritten, Sense::DataUnits),
    ("temperature", SensorKind::Temperature, Sense::Plain),
    ("temperaturecelsius", SensorKind::Temperature, Sense::Plain),
    ("currenttemperaturecelsius", SensorKind::Temperature, Sense::Plain),
    ("drivetemperature", SensorKind::Temperature, Sense::Plain),
    ("failurepredicted", SensorKind::FailurePredicted, Sense::Flag),
    ("predictivefailurestate", SensorKind::FailurePredicted, Sense::Flag),
    ("predictivefailurecount", SensorKind::FailurePredicted, Sense::Flag),
    ("smartstatus", SensorKind::FailurePredicted, Sense::Flag),
];

fn by_name(name: &str) -> Option<(SensorKind, Sense)> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.iter().find(|(n, ..)| *n == plain).map(|(_, kind, sense)| (*kind, *sense))
}

/// The kind of an ATA attribute's raw value (ACS-4 and the makers' common practice; see each kind's row in the catalogue).
pub fn by_ata_id(id: u8) -> Option<SensorKind> {
    Some(match id {
        5 => SensorKind::ReallocatedSectors,
        9 => SensorKind::PowerOnHours,
        12 => SensorKind::PowerCycles,
        187 => SensorKind::ReportedUncorrectable,
        188 => SensorKind::CommandTimeouts,
        189 => SensorKind::HighFlyWrites,
        194 => SensorKind::Temperature,
        196 => SensorKind::ReallocationEvents,
        197 => SensorKind::PendingSectors,
        198 => SensorKind::OfflineUncorrectable,
        199 => SensorKind::CrcErrors,
        _ => return None,
    })
}

fn sensed(sense: Sense, value: &Value) -> Option<Number> {
    let plain = |n: Number, f: fn(f64) -> f64| Number { value: f(n.value), coerced: n.coerced };
    match sense {
        Sense::Plain => as_number(value),
        // "Percentage used" may exceed 100 (NVMe: up to 255); nothing is left then, and not less.
        Sense::Used => as_number(value).map(|n| plain(n, |v| (100.0 - v).max(0.0))),
        Sense::DataUnits => as_number(value).map(|n| plain(n, |v| v * 512_000.0)).filter(|n| n.value.is_finite()),
        Sense::Flag => flag(value).map(|yes| Number { value: f64::from(u8::from(yes)), coerced: false }),
    }
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::String(word) => match word.trim().to_ascii_lowercase().as_str() {
            "smartalertpresent" | "predictedfailure" | "bad" | "failed" | "true" | "yes" => Some(true),
            "smartalertabsent" | "ok" | "good" | "normal" | "passed" | "false" | "no" => Some(false),
            _ => as_number(value).map(|n| n.value != 0.0),
        },
        other => truth(&serde_json::json!({ "f": other }), "f"),
    }
}

/// What a drive's resource, or one that adds to it, tells of its life. Each kind at most once: the standard field before any OEM field.
pub fn figures(resource: &Value) -> Vec<SmartFigure> {
    let mut out = Vec::new();
    collect(resource, "", 0, &mut out);
    let mut seen = Vec::new();
    // Fields near the top are the standard ones.
    out.sort_by_key(|f: &SmartFigure| f.pointer.matches('/').count());
    out.retain(|f| {
        let new = !seen.contains(&f.kind);
        seen.push(f.kind);
        new
    });
    out
}

fn collect(value: &Value, pointer: &str, depth: usize, out: &mut Vec<SmartFigure>) {
    if depth > 8 {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                if name.contains('@')
                    || matches!(name.as_str(), "Links" | "Actions" | "Thresholds" | "Status" | "Metrics")
                {
                    continue;
                }
                let at = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                if inner.is_object() || inner.is_array() {
                    // An excerpt such as {"TemperatureCelsius": {"Reading": 41}} is a figure too.
                    let excerpt = by_name(name).and_then(|(k, s)| Some((k, s, inner.get("Reading")?)));
                    match excerpt {
                        Some((kind, sense, reading)) => push(out, kind, sense, name, reading, &at),
                        None => collect(inner, &at, depth + 1, out),
                    }
                } else if let Some((kind, sense)) = by_name(name) {
                    push(out, kind, sense, name, inner, &at);
                }
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                let at = format!("{pointer}/{index}");
                match ata(element) {
                    Some((kind, number)) => {
                        let sensor = text(element, "Name")
                            .unwrap_or_else(|| format!("attribute {}", ata_id(element).unwrap_or_default()));
                        out.push(SmartFigure { kind, sensor, number, pointer: at });
                    }
                    None if ata_id(element).is_some() && raw(element).is_some() => {}
                    None => collect(element, &at, depth + 1, out),
                }
            }
        }
        _ => {}
    }
}

fn push(out: &mut Vec<SmartFigure>, kind: SensorKind, sense: Sense, name: &str, value: &Value, pointer: &str) {
    if let Some(number) = sensed(sense, value) {
        out.push(SmartFigure { kind, sensor: name.to_owned(), number, pointer: pointer.to_owned() });
    }
}

fn ata_id(element: &Value) -> Option<u8> {
    let id = ["Id", "ID", "AttributeId", "AttributeID"].iter().find_map(|f| number(element, f))?.value;
    (1u8..=254).find(|n| f64::from(*n) == id)
}

fn raw(element: &Value) -> Option<Number> {
    ["RawValue", "Raw", "RawData", "Raw_Value"].iter().find_map(|f| number(element, f))
}

/// An element of an ATA attribute table. Raw values are 48 bits; of temperature (194) and time-outs (188) makers pack more than the figure into
/// them, so only the low 16 bits count.
fn ata(element: &Value) -> Option<(SensorKind, Number)> {
    let id = ata_id(element)?;
    let kind = by_ata_id(id)?;
    let raw = raw(element)?;
    let value = if matches!(id, 188 | 194) { raw.value % 65_536.0 } else { raw.value };
    Some((kind, Number { value, ..raw }))
}

/// What a metric report (iDRAC 9's `StorageDiskSMARTData`, `NVMeSMARTData`) tells of the drive whose id is `drive`.
pub fn from_metric_report(report: &Value, drive: &str) -> Vec<SmartFigure> {
    let values = list(report, "MetricValues").iter().enumerate();
    let own = values.filter(|(_, v)| {
        let dell = v.get("Oem").and_then(|o| o.get("Dell"));
        dell.is_some_and(|d| ["FQDD", "ContextID"].iter().any(|f| text(d, f).as_deref() == Some(drive)))
    });
    let figures = own.filter_map(|(index, v)| {
        let name = text(v, "MetricId")?;
        let (kind, sense) = by_name(&name)?;
        let mut number = sensed(sense, v.get("MetricValue")?)?;
        // Metric values are strings by the schema: nothing was cut out of a text.
        number.coerced = false;
        Some(SmartFigure { kind, sensor: name, number, pointer: format!("/MetricValues/{index}") })
    });
    figures.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn told(resource: &Value) -> Vec<(SensorKind, f64)> {
        let mut told: Vec<_> = figures(resource).into_iter().map(|f| (f.kind, f.number.value)).collect();
        told.sort_by_key(|(k, _)| *k);
        told
    }

    #[test]
    fn every_makers_spelling_of_life_becomes_life_left() {
        assert_eq!(told(&json!({"PredictedMediaLifeLeftPercent": 95})), [(SensorKind::LifeLeft, 95.0)]);
        assert_eq!(
            told(&json!({"Oem": {"Supermicro": {"PercentageDriveLifeUsed": 3}}})),
            [(SensorKind::LifeLeft, 97.0)]
        );
        assert_eq!(told(&json!({"SSDEnduranceUtilizationPercentage": 1})), [(SensorKind::LifeLeft, 99.0)]);
        assert_eq!(told(&json!({"NVMeSMART": {"PercentageUsed": 180}})), [(SensorKind::LifeLeft, 0.0)]);
    }

    #[test]
    fn the_standard_field_goes_before_an_oem_field() {
        let both = json!({"Oem": {"X": {"PercentageUsed": 50}}, "PredictedMediaLifeLeftPercent": 80});
        assert_eq!(told(&both), [(SensorKind::LifeLeft, 80.0)]);
    }

    #[test]
    fn an_ata_table_is_read_by_attribute_number() {
        let table = json!({"Oem": {"Any": {"SmartAttributes": [
            {"Id": 5, "Name": "Reallocated_Sector_Ct", "RawValue": 12}, {"ID": "197", "RawValue": "8"},
            {"Id": 194, "RawValue": 141_733_920_805_u64}, {"Id": 1, "RawValue": 99}]}}});
        assert_eq!(
            told(&table),
            [
                (SensorKind::Temperature, 37.0),
                (SensorKind::ReallocatedSectors, 12.0),
                (SensorKind::PendingSectors, 8.0)
            ]
        );
    }

    #[test]
    fn huaweis_table_of_names_is_read() {
        let huawei = json!({"Oem": {"Huawei": {"SATASmartInformation": {"ReallocatedSectorsCount": 4, "SpinRetryCount": 0}, "HoursOfPoweredUp": 900}}});
        assert_eq!(told(&huawei), [(SensorKind::PowerOnHours, 900.0), (SensorKind::ReallocatedSectors, 4.0)]);
    }

    #[test]
    fn a_prediction_is_one_and_its_absence_zero_and_silence_neither() {
        assert_eq!(told(&json!({"FailurePredicted": true})), [(SensorKind::FailurePredicted, 1.0)]);
        assert_eq!(told(&json!({"FailurePredicted": false})), [(SensorKind::FailurePredicted, 0.0)]);
        assert_eq!(told(&json!({"FailurePredicted": null})), []);
        assert_eq!(
            told(&json!({"Oem": {"Dell": {"PredictiveFailureState": "SmartAlertPresent"}}})),
            [(SensorKind::FailurePredicted, 1.0)]
        );
    }

    #[test]
    fn a_metric_report_gives_each_drive_its_own_values() {
        let value =
            |fqdd: &str, id: &str, v: &str| json!({"MetricId": id, "MetricValue": v, "Oem": {"Dell": {"FQDD": fqdd}}});
        let report = json!({"MetricValues": [value("Disk.1", "CurrentPendingSectorCount", "7"), value("Disk.2", "CurrentPendingSectorCount", "0")]});
        let figures = from_metric_report(&report, "Disk.1");
        assert_eq!(figures.len(), 1);
        assert_eq!(
            (figures[0].kind, figures[0].number),
            (SensorKind::PendingSectors, Number { value: 7.0, coerced: false })
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[A-Za-z0-9 ]{0,12}".prop_map(Value::from)
        ];
        let key =
            prop_oneof!["(Id|RawValue|PowerOnHours|PercentageUsed|Oem|FailurePredicted|Temperature)", "[a-z]{1,6}"];
        leaf.prop_recursive(5, 64, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(key.clone(), inner, 0..6)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_gives_finite_figures_of_distinct_kinds(value in any_json()) {
            let figures = figures(&value);
            prop_assert!(figures.iter().all(|f| f.number.value.is_finite()));
            let mut kinds: Vec<_> = figures.iter().map(|f| f.kind).collect();
            kinds.sort();
            kinds.dedup();
            prop_assert_eq!(kinds.len(), figures.len());
        }
    }
}
