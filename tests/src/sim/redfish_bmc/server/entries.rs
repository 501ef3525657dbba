//! The event log: a log service whose entries stand in the collection itself, oldest first.

use super::{link, status};
use crate::sim::machine::{Entry, Happening, Machine};
use outband_schemas::Timestamp;
use serde_json::{Value, json};

pub(super) const BASE: &str = "/Systems/1/LogServices/Sel";

pub(super) fn service(machine: &Machine) -> Value {
    json!({
        "@odata.type": "#LogService.v1_2_0.LogService", "Id": "Sel", "Name": "System Event Log", "LogEntryType": "SEL",
        "MaxNumberOfRecords": machine.spec.log_capacity, "OverWritePolicy": "WrapsWhenFull", "ServiceEnabled": true,
        "DateTime": written(machine.bmc_time()), "DateTimeLocalOffset": "+00:00", "Status": status("OK"),
        "Entries": link(&format!("{BASE}/Entries")),
        "Actions": {"#LogService.ClearLog": {"target": format!("/redfish/v1{BASE}/Actions/LogService.ClearLog")}},
    })
}

pub(super) fn all(machine: &Machine) -> Value {
    let members: Vec<Value> = machine.log.entries().map(|e| entry(machine, e)).collect();
    json!({
        "@odata.type": "#LogEntryCollection.LogEntryCollection", "Name": "System Event Log Entries",
        "Members@odata.count": members.len(), "Members": members,
    })
}

pub(super) fn entry(machine: &Machine, entry: &Entry) -> Value {
    let told = tell(machine, &entry.happening);
    json!({
        "@odata.id": format!("/redfish/v1{BASE}/Entries/{}", entry.id), "@odata.type": "#LogEntry.v1_9_0.LogEntry",
        "Id": entry.id.to_string(), "Name": format!("Log Entry {}", entry.id), "EntryType": "SEL", "Created": written(entry.time),
        "Severity": if entry.asserted { told.severity } else { "OK" }, "SensorType": told.sensor_type,
        "EntryCode": if entry.asserted { "Assert" } else { "Deassert" }, "MessageId": told.message_id, "Message": told.message,
        "Links": told.origin.map_or_else(|| json!({}), |o| json!({"OriginOfCondition": link(&o)})),
    })
}

/// How an entry is worded.
struct Told {
    message: String,
    message_id: &'static str,
    severity: &'static str,
    sensor_type: Option<&'static str>,
    origin: Option<String>,
}

fn tell(machine: &Machine, happening: &Happening) -> Told {
    let told = |message: String, message_id, severity, sensor_type, origin| Told {
        message,
        message_id,
        severity,
        sensor_type,
        origin,
    };
    let drive = |bay: &usize| Some(format!("/Systems/1/Storage/RAID1/Drives/{bay}"));
    let slot = |dimm: &usize| machine.dimms.get(*dimm).map_or("?", |d| d.slot.as_str());
    let module = |dimm: &usize| Some(format!("/Systems/1/Memory/{}", slot(dimm)));
    match happening {
        Happening::SystemBoot => {
            told("System power-up.".into(), "Platform.1.0.PlatformInitialized", "OK", Some("System Event"), None)
        }
        Happening::LogCleared => {
            told("The event log was cleared.".into(), "Base.1.8.LogCleared", "OK", Some("Event Logging Disabled"), None)
        }
        Happening::FanLow { fan, rpm } => told(
            format!("Fan {} speed ({rpm:.0} RPM) is below its lower critical threshold.", fan + 1),
            "SensorEvent.1.0.ReadingBelowLowerCriticalThreshold",
            "Critical",
            Some("Fan"),
            Some(format!("/Chassis/1/ThermalSubsystem/Fans/{}", fan + 1)),
        ),
        Happening::InletHigh { celsius } => told(
            format!("Inlet Temp ({celsius:.0} degrees C) is above its upper critical threshold."),
            "SensorEvent.1.0.ReadingAboveUpperCriticalThreshold",
            "Critical",
            Some("Temperature"),
            Some("/Chassis/1/Thermal#/Temperatures/0".to_owned()),
        ),
        Happening::PsuInputLost { psu } => told(
            format!("PSU {} lost its AC input.", psu + 1),
            "Power.1.0.PowerSupplyInputLost",
            "Critical",
            Some("Power Supply / Converter"),
            Some(format!("/Chassis/1/Power#/PowerSupplies/{psu}")),
        ),
        Happening::PowerRedundancyLost => told(
            "Power supply redundancy lost.".into(),
            "Redundancy.1.0.RedundancyLost",
            "Warning",
            Some("Power Unit"),
            Some("/Chassis/1/Power#/Redundancy/0".to_owned()),
        ),
        Happening::DrivePredicted { bay } => told(
            format!("Disk{bay} predicts its own failure."),
            "StorageDevice.1.1.DrivePredictiveFailure",
            "Warning",
            Some("Drive Slot/Bay"),
            drive(bay),
        ),
        Happening::EccCorrected { dimm } => told(
            format!("Correctable ECC error at DIMM {}.", slot(dimm)),
            "Memory.1.0.CorrectableECCError",
            "Warning",
            Some("Memory"),
            module(dimm),
        ),
        Happening::EccLimit { dimm } => told(
            format!("Correctable ECC logging limit reached at DIMM {}.", slot(dimm)),
            "Memory.1.0.CorrectableECCLoggingLimitReached",
            "Warning",
            Some("Memory"),
            module(dimm),
        ),
        Happening::Raw(raw) => {
            let hex: String = raw.iter().map(|b| format!("{b:02x}")).collect();
            told(format!("Event {hex}."), "Base.1.8.GenericEvent", "OK", None, None)
        }
    }
}

/// A time in seconds since the Unix epoch, as Redfish writes it.
pub(super) fn written(unix: i64) -> String {
    Timestamp::from_millis(unix * 1000).to_string()
}
