//! The computer system, its manager and its firmware.

use super::{collection, entries, link, status, storage, tenth};
use crate::sim::machine::{Dimm, Machine};
use serde_json::{Value, json};

pub(super) fn resource(machine: &Machine, path: &[&str]) -> Option<Value> {
    match path {
        [] => Some(collection("ComputerSystem", "/Systems", ["1".to_owned()])),
        ["1"] => Some(json!({
            "@odata.type": "#ComputerSystem.v1_14_0.ComputerSystem", "Id": "1", "Name": "Computer System", "SystemType": "Physical",
            "Manufacturer": machine.spec.manufacturer, "Model": machine.spec.model, "SerialNumber": machine.spec.serial,
            "UUID": machine.spec.uuid_text(), "HostName": machine.spec.name, "AssetTag": machine.spec.name, "PowerState": "On",
            "BiosVersion": "2.14", "Status": status("OK"), "IndicatorLED": if machine.identify { "Blinking" } else { "Off" },
            "ProcessorSummary": {"Count": 2, "Model": "NG Xeon", "Status": status("OK")},
            "MemorySummary": {"TotalSystemMemoryGiB": machine.dimms.len() * 32, "Status": status("OK")},
            "Storage": link("/Systems/1/Storage"), "Memory": link("/Systems/1/Memory"), "Processors": link("/Systems/1/Processors"),
            "LogServices": link("/Systems/1/LogServices"),
            "Links": {"Chassis": [link("/Chassis/1")], "ManagedBy": [link("/Managers/1")]},
        })),
        ["1", "Storage", rest @ ..] => storage::resource(machine, rest),
        ["1", "Memory"] => {
            Some(collection("Memory", "/Systems/1/Memory", machine.dimms.iter().map(|d| d.slot.clone())))
        }
        ["1", "Memory", slot] => machine.dimms.iter().find(|d| d.slot == *slot).map(|d| memory(machine, d)),
        ["1", "Memory", slot, "MemoryMetrics"] => machine.dimms.iter().find(|d| d.slot == *slot).map(memory_metrics),
        ["1", "Processors"] => Some(collection("Processor", "/Systems/1/Processors", ["1".to_owned(), "2".to_owned()])),
        ["1", "Processors", number @ ("1" | "2")] => Some(json!({
            "@odata.type": "#Processor.v1_11_0.Processor", "Id": number, "Name": format!("CPU{number}"), "Socket": format!("CPU{number}"),
            "ProcessorType": "CPU", "Manufacturer": machine.spec.manufacturer, "Model": "NG Xeon", "TotalCores": 24, "TotalThreads": 48,
            "Status": status("OK"), "TemperatureCelsius": tenth(machine.thermal.cpus[usize::from(*number == "2")]),
        })),
        ["1", "LogServices"] => Some(collection("LogService", "/Systems/1/LogServices", ["Sel".to_owned()])),
        ["1", "LogServices", "Sel"] => Some(entries::service(machine)),
        ["1", "LogServices", "Sel", "Entries"] => Some(entries::all(machine)),
        ["1", "LogServices", "Sel", "Entries", id] => {
            machine.log.entries().find(|e| e.id.to_string() == *id).map(|e| entries::entry(machine, e))
        }
        _ => None,
    }
}

fn memory(machine: &Machine, dimm: &Dimm) -> Value {
    json!({
        "@odata.type": "#Memory.v1_11_0.Memory", "Id": dimm.slot, "Name": format!("DIMM {}", dimm.slot), "DeviceLocator": format!("DIMM_{}", dimm.slot),
        "Manufacturer": machine.spec.manufacturer, "PartNumber": "NG-DDR4-32G", "SerialNumber": dimm.serial, "CapacityMiB": 32768,
        "MemoryDeviceType": "DDR4", "OperatingSpeedMhz": 3200, "Status": status(if dimm.corrected >= 200 { "Warning" } else { "OK" }),
        "Metrics": link(&format!("/Systems/1/Memory/{}/MemoryMetrics", dimm.slot)),
    })
}

fn memory_metrics(dimm: &Dimm) -> Value {
    json!({
        "@odata.type": "#MemoryMetrics.v1_4_0.MemoryMetrics", "Id": "MemoryMetrics", "Name": format!("Metrics of DIMM {}", dimm.slot),
        "CurrentPeriod": {"CorrectableECCErrorCount": dimm.corrected, "UncorrectableECCErrorCount": 0},
        "LifeTime": {"CorrectableECCErrorCount": dimm.corrected, "UncorrectableECCErrorCount": 0},
        "HealthData": {"AlarmTrips": {"CorrectableECCError": dimm.corrected >= 200, "UncorrectableECCError": false}},
    })
}

pub(super) fn manager(machine: &Machine, path: &[&str]) -> Option<Value> {
    match path {
        [] => Some(collection("Manager", "/Managers", ["1".to_owned()])),
        ["1"] => Some(json!({
            "@odata.type": "#Manager.v1_13_0.Manager", "Id": "1", "Name": "Manager", "ManagerType": "BMC", "FirmwareVersion": "3.21",
            "Model": "Northgate BMC", "DateTime": entries::written(machine.bmc_time()), "DateTimeLocalOffset": "+00:00", "Status": status("OK"),
            "Actions": {"#Manager.Reset": {
                "target": "/redfish/v1/Managers/1/Actions/Manager.Reset",
                "ResetType@Redfish.AllowableValues": ["GracefulRestart", "ForceRestart"],
            }},
            "Links": {"ManagerForServers": [link("/Systems/1")], "ManagerForChassis": [link("/Chassis/1")]},
        })),
        _ => None,
    }
}

pub(super) fn firmware(machine: &Machine, path: &[&str]) -> Option<Value> {
    let images = [("BMC", "3.21"), ("BIOS", "2.14"), ("RAID1", "51.16.0-4076"), ("CPLD", "0.12")];
    match path {
        [] => Some(json!({
            "@odata.type": "#UpdateService.v1_9_0.UpdateService", "Id": "UpdateService", "Name": "Update Service", "Status": status("OK"),
            "FirmwareInventory": link("/UpdateService/FirmwareInventory"),
        })),
        ["FirmwareInventory"] => {
            let names = images.iter().map(|(name, _)| (*name).to_owned());
            Some(collection("SoftwareInventory", "/UpdateService/FirmwareInventory", names))
        }
        ["FirmwareInventory", name] => images.iter().find(|(n, _)| n == name).map(|(name, version)| {
            json!({
                "@odata.type": "#SoftwareInventory.v1_5_0.SoftwareInventory", "Id": name, "Name": name, "Version": version,
                "Manufacturer": machine.spec.manufacturer, "Updateable": true, "Status": status("OK"),
            })
        }),
        _ => None,
    }
}
