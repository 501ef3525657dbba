//! What figures of drives are called.

use crate::redfish::lenient::{Bad, Field, Number, as_number};
use outband_schemas::SensorKind;
use serde_json::Value;

/// How a value becomes one of its kind's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sense {
    /// As it stands.
    Plain,
    /// A share used up: 100 minus it is left.
    Used,
    /// NVMe data units: thousands of 512 bytes (NVM Express base specification, SMART / Health Information).
    DataUnits,
    /// Minutes, told as seconds.
    Minutes,
    /// A yes or no.
    Flag,
    /// How often a failure was predicted.
    Count,
}

use Sense::{Count, DataUnits, Flag, Minutes, Plain, Used};
use SensorKind::{
    BytesRead, BytesWritten, CommandTimeouts, CrcErrors, CriticalWarning, EndToEndErrors, ErrorLogEntries,
    FailurePredicted, HighFlyWrites, LifeLeft, MediaErrors, OfflineUncorrectable, OverheatedTime, PendingSectors,
    PowerCycles, PowerOnHours, ReallocatedSectors, ReallocationEvents, ReportedUncorrectable, SpareLeft, SpinRetries,
    Temperature, UnsafeShutdowns,
};

/// Names without case and punctuation. A name whose unit no maker's document gives (a `CompositeTemperature` may be kelvins) is not here.
const NAMES: &[(&str, SensorKind, Sense)] = &[
    ("predictedmedialifeleftpercent", LifeLeft, Plain),
    ("remainingratedwriteendurancepercent", LifeLeft, Plain),
    ("percentdriveliferemaining", LifeLeft, Plain),
    ("lifeleft", LifeLeft, Plain),
    ("liferemaining", LifeLeft, Plain),
    ("remaininglife", LifeLeft, Plain),
    ("remaininglifepercent", LifeLeft, Plain),
    ("remaininglifepercentage", LifeLeft, Plain),
    ("lifeleftpercentage", LifeLeft, Plain),
    ("percentagelifeleft", LifeLeft, Plain),
    ("percentlifeleft", LifeLeft, Plain),
    ("percentlifetimeleft", LifeLeft, Plain),
    ("ssdlifeleft", LifeLeft, Plain),
    ("remnantmediawearout", LifeLeft, Plain),
    ("remnantmediawearoutpercent", LifeLeft, Plain),
    ("percentagedrivelifeused", LifeLeft, Used),
    ("percentageused", LifeLeft, Used),
    ("percentused", LifeLeft, Used),
    ("percentlifetimeused", LifeLeft, Used),
    ("percentagelifeused", LifeLeft, Used),
    ("percentageusedenduranceindicator", LifeLeft, Used),
    ("ssmediausedenduranceindicator", LifeLeft, Used),
    ("ssdenduranceutilizationpercentage", LifeLeft, Used),
    ("poweronhours", PowerOnHours, Plain),
    ("poweronhourslower", PowerOnHours, Plain),
    ("hoursofpoweredup", PowerOnHours, Plain),
    ("reallocatedsectorcount", ReallocatedSectors, Plain),
    ("reallocatedsectorscount", ReallocatedSectors, Plain),
    ("reallocatedsectors", ReallocatedSectors, Plain),
    ("reallocatedsectorct", ReallocatedSectors, Plain),
    ("reallocatedblockcount", ReallocatedSectors, Plain),
    ("growndefectcount", ReallocatedSectors, Plain),
    ("growndefects", ReallocatedSectors, Plain),
    ("elementsingrowndefectlist", ReallocatedSectors, Plain),
    ("badblockcount", ReallocatedSectors, Plain),
    ("reallocationeventcount", ReallocationEvents, Plain),
    ("reallocatedeventcount", ReallocationEvents, Plain),
    ("currentpendingsectorcount", PendingSectors, Plain),
    ("currentpendingsectorscount", PendingSectors, Plain),
    ("currentpendingsector", PendingSectors, Plain),
    ("pendingsectorcount", PendingSectors, Plain),
    ("pendingsectors", PendingSectors, Plain),
    ("offlineuncorrectable", OfflineUncorrectable, Plain),
    ("offlineuncorrectablesectorcount", OfflineUncorrectable, Plain),
    ("uncorrectablesectorcount", OfflineUncorrectable, Plain),
    ("uncorrectablelbacount", OfflineUncorrectable, Plain),
    ("uncorrectableerrorcount", ReportedUncorrectable, Plain),
    ("uncorrectedreaderrors", ReportedUncorrectable, Plain),
    ("totaluncorrectedreaderrors", ReportedUncorrectable, Plain),
    ("uncorrectableioreaderrorcount", ReportedUncorrectable, Plain),
    ("reporteduncorrectable", ReportedUncorrectable, Plain),
    ("reporteduncorrect", ReportedUncorrectable, Plain),
    ("reporteduncorrectableerrors", ReportedUncorrectable, Plain),
    ("spinretrycount", SpinRetries, Plain),
    ("spinretries", SpinRetries, Plain),
    ("endtoenderror", EndToEndErrors, Plain),
    ("endtoenderrors", EndToEndErrors, Plain),
    ("endtoenderrorcount", EndToEndErrors, Plain),
    ("endtoenderrordetectioncount", EndToEndErrors, Plain),
    ("highflywrites", HighFlyWrites, Plain),
    ("commandtimeout", CommandTimeouts, Plain),
    ("commandtimeoutcount", CommandTimeouts, Plain),
    ("crcerrorcount", CrcErrors, Plain),
    ("udmacrcerrorcount", CrcErrors, Plain),
    ("ultradmacrcerrorcount", CrcErrors, Plain),
    ("mediaerrors", MediaErrors, Plain),
    ("mediaerrorcount", MediaErrors, Plain),
    ("mediaanddataintegrityerrors", MediaErrors, Plain),
    ("mediadataintegrityerrors", MediaErrors, Plain),
    ("mediadataintegrityerrorslower", MediaErrors, Plain),
    ("availablespare", SpareLeft, Plain),
    ("availablesparepercent", SpareLeft, Plain),
    ("availablesparepercentage", SpareLeft, Plain),
    ("remainingspareblockpercentage", SpareLeft, Plain),
    ("unsafeshutdowns", UnsafeShutdowns, Plain),
    ("unsafeshutdowncount", UnsafeShutdowns, Plain),
    ("unsafeshutdownslower", UnsafeShutdowns, Plain),
    ("powercycles", PowerCycles, Plain),
    ("powercyclecount", PowerCycles, Plain),
    ("powercycleslower", PowerCycles, Plain),
    ("criticalwarning", CriticalWarning, Plain),
    ("dataunitswritten", BytesWritten, DataUnits),
    ("dataunitswrittenlower", BytesWritten, DataUnits),
    ("dataunitsread", BytesRead, DataUnits),
    ("dataunitsreadlower", BytesRead, DataUnits),
    ("numberoferrorinformationlogentries", ErrorLogEntries, Plain),
    ("warningcompositetemptimeminutes", OverheatedTime, Minutes),
    ("temperature", Temperature, Plain),
    ("temperaturec", Temperature, Plain),
    ("temperaturecelsius", Temperature, Plain),
    ("currenttemperaturecelsius", Temperature, Plain),
    ("compositetemperaturecelsius", Temperature, Plain),
    ("drivetemperature", Temperature, Plain),
    ("failurepredicted", FailurePredicted, Flag),
    ("predictivefailurestate", FailurePredicted, Flag),
    ("smartstatus", FailurePredicted, Flag),
    ("predictivefailurecount", FailurePredicted, Count),
    ("predfailcount", FailurePredicted, Count),
    ("prefailcount", FailurePredicted, Count),
];

/// The kind and sense of a field's name, whatever its case and punctuation.
pub(super) fn by_name(name: &str) -> Option<(SensorKind, Sense)> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.iter().find(|(n, ..)| *n == plain).map(|(_, kind, sense)| (*kind, *sense))
}

/// What a field of that sense holds; its pointer, where it holds nothing of the kind.
pub(super) fn sensed(sense: Sense, value: &Value, pointer: &str) -> Field<Number> {
    let bad = || {
        let field = pointer.trim_start_matches('/').to_owned();
        Field::Bad(Bad { field, ..Bad::new("", value) })
    };
    let said = |yes: bool| Field::Value(Number { value: f64::from(u8::from(yes)), coerced: false });
    let number = || match as_number(value) {
        Some(number) => Field::Value(number),
        None if is_none(value) => Field::Null,
        None => bad(),
    };
    let times = |unit: f64| match number().map(|n| Number { value: n.value * unit, ..n }) {
        Field::Value(n) if !n.value.is_finite() => bad(),
        other => other,
    };
    match sense {
        Plain => number(),
        // "Percentage used" may exceed 100 (NVMe: up to 255); nothing is left then, and not less.
        Used => number().map(|n| Number { value: (100.0 - n.value).max(0.0), ..n }),
        DataUnits => times(512_000.0),
        Minutes => times(60.0),
        Count => number().map(|n| Number { value: f64::from(u8::from(n.value > 0.0)), coerced: false }),
        Flag => match value {
            Value::Bool(yes) => said(*yes),
            Value::String(word) => match word.trim().to_ascii_lowercase().as_str() {
                "smartalertpresent" | "predictedfailure" | "bad" | "failed" | "true" | "yes" | "1" => said(true),
                "smartalertabsent" | "ok" | "good" | "normal" | "passed" | "false" | "no" | "0" => said(false),
                _ if is_none(value) => Field::Null,
                _ => bad(),
            },
            Value::Number(n) if n.as_f64() == Some(0.0) || n.as_f64() == Some(1.0) => said(n.as_f64() == Some(1.0)),
            Value::Null => Field::Null,
            _ => bad(),
        },
    }
}

fn is_none(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => {
            let plain: String =
                text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
            matches!(
                plain.as_str(),
                "" | "na"
                    | "none"
                    | "null"
                    | "unknown"
                    | "unsupported"
                    | "notsupported"
                    | "notapplicable"
                    | "notavailable"
            )
        }
        _ => false,
    }
}
