//! The chassis: temperatures, fans, power supplies and voltages.

use super::{collection, link, status, tenth};
use crate::sim::machine::{Limits, Machine, Psu, RAILS, Thermal};
use serde_json::{Value, json};

pub(super) fn resource(machine: &Machine, path: &[&str]) -> Option<Value> {
    match path {
        [] => Some(collection("Chassis", "/Chassis", ["1".to_owned()])),
        ["1"] => Some(json!({
            "@odata.type": "#Chassis.v1_14_0.Chassis", "Id": "1", "Name": "Chassis", "ChassisType": "RackMount",
            "Manufacturer": machine.spec.manufacturer, "Model": machine.spec.model, "SerialNumber": machine.spec.serial,
            "PartNumber": "NG-CH-2U", "AssetTag": machine.spec.name, "PowerState": "On", "Status": status("OK"),
            "Location": {"Placement": {"Rack": format!("R{}", machine.spec.rack + 1)}},
            "Thermal": link("/Chassis/1/Thermal"), "Power": link("/Chassis/1/Power"),
            "ThermalSubsystem": link("/Chassis/1/ThermalSubsystem"),
            "Links": {"ComputerSystems": [link("/Systems/1")], "ManagedBy": [link("/Managers/1")]},
        })),
        ["1", "Thermal"] => Some(thermal(machine)),
        ["1", "Power"] => Some(power(machine)),
        ["1", "ThermalSubsystem"] => Some(json!({
            "@odata.type": "#ThermalSubsystem.v1_0_0.ThermalSubsystem", "Id": "ThermalSubsystem", "Name": "Thermal Subsystem",
            "Status": status("OK"), "Fans": link("/Chassis/1/ThermalSubsystem/Fans"),
        })),
        ["1", "ThermalSubsystem", "Fans"] => {
            let fans = (1..=machine.thermal.fans.len()).map(|n| n.to_string());
            Some(collection("Fan", "/Chassis/1/ThermalSubsystem/Fans", fans))
        }
        ["1", "ThermalSubsystem", "Fans", number] => {
            let fan = machine.thermal.fans.get(number.parse::<usize>().ok()?.checked_sub(1)?)?;
            Some(json!({
                "@odata.type": "#Fan.v1_0_0.Fan", "Id": number, "Name": format!("Fan {number}"), "PhysicalContext": "SystemBoard",
                "Status": status(fan_health(fan.rpm)), "SpeedPercent": {"Reading": tenth(fan.duty), "SpeedRPM": fan.rpm.round()},
                "Location": {"PartLocation": {"ServiceLabel": format!("Fan {number}"), "LocationType": "Bay"}},
            }))
        }
        _ => None,
    }
}

fn fan_health(rpm: f64) -> &'static str {
    if rpm < Thermal::FAN.critical {
        "Critical"
    } else if rpm < Thermal::FAN.caution {
        "Warning"
    } else {
        "OK"
    }
}

fn heat_health(celsius: f64, limits: Limits) -> &'static str {
    if celsius > limits.critical {
        "Critical"
    } else if celsius > limits.caution {
        "Warning"
    } else {
        "OK"
    }
}

fn thermal(machine: &Machine) -> Value {
    let t = &machine.thermal;
    let places = [
        ("Inlet Temp", "Intake", t.inlet, Thermal::INLET),
        ("Exhaust Temp", "Exhaust", t.exhaust, Thermal::EXHAUST),
        ("CPU1 Temp", "CPU", t.cpus[0], Thermal::CPU),
        ("CPU2 Temp", "CPU", t.cpus[1], Thermal::CPU),
        ("DIMM Temp", "Memory", t.memory, Thermal::BOARD),
        ("PCH Temp", "SystemBoard", t.chipset, Thermal::BOARD),
    ];
    let temperatures: Vec<Value> = (0..)
        .zip(places)
        .map(|(i, (name, context, celsius, limits))| {
            json!({
                "@odata.id": format!("/redfish/v1/Chassis/1/Thermal#/Temperatures/{i}"), "MemberId": i.to_string(), "Name": name,
                "SensorNumber": i + 1, "PhysicalContext": context, "ReadingCelsius": tenth(celsius), "Status": status(heat_health(celsius, limits)),
                "UpperThresholdNonCritical": limits.caution, "UpperThresholdCritical": limits.critical, "UpperThresholdFatal": limits.fatal,
                "LowerThresholdNonCritical": null,
            })
        })
        .collect();
    let fans: Vec<Value> = (0..)
        .zip(&t.fans)
        .map(|(i, fan)| {
            json!({
                "@odata.id": format!("/redfish/v1/Chassis/1/Thermal#/Fans/{i}"), "MemberId": i.to_string(), "Name": format!("Fan {}", i + 1),
                "Reading": fan.rpm.round(), "ReadingUnits": "RPM", "Status": status(fan_health(fan.rpm)),
                "LowerThresholdNonCritical": Thermal::FAN.caution, "LowerThresholdCritical": Thermal::FAN.critical,
                "LowerThresholdFatal": Thermal::FAN.fatal,
            })
        })
        .collect();
    json!({"@odata.type": "#Thermal.v1_7_0.Thermal", "Id": "Thermal", "Name": "Thermal", "Temperatures": temperatures, "Fans": fans})
}

fn power(machine: &Machine) -> Value {
    let supplies: Vec<Value> = (0..)
        .zip(&machine.psus)
        .map(|(i, psu)| {
            json!({
                "@odata.id": format!("/redfish/v1/Chassis/1/Power#/PowerSupplies/{i}"), "MemberId": i.to_string(),
                "Name": format!("PSU {}", i + 1), "Manufacturer": machine.spec.manufacturer, "Model": "NG-PSU-900",
                "SerialNumber": psu.serial, "FirmwareVersion": "1.07", "PowerSupplyType": "AC", "LineInputVoltageType": "AC240V",
                "PowerCapacityWatts": Psu::CAPACITY_WATTS, "LineInputVoltage": tenth(psu.input_volts),
                "PowerInputWatts": tenth(psu.input_watts), "PowerOutputWatts": tenth(psu.output_watts),
                "Status": if psu.input_ok { status("OK") } else { json!({"State": "UnavailableOffline", "Health": "Critical"}) },
            })
        })
        .collect();
    let voltages: Vec<Value> = (0..)
        .zip(RAILS.iter().zip(&machine.volts))
        .map(|(i, (rail, volts))| {
            json!({
                "@odata.id": format!("/redfish/v1/Chassis/1/Power#/Voltages/{i}"), "MemberId": i.to_string(), "Name": rail.name,
                "ReadingVolts": (volts * 1000.0).round() / 1000.0, "Status": status("OK"),
                "UpperThresholdCritical": rail.nominal * 1.1, "LowerThresholdCritical": rail.nominal * 0.9,
            })
        })
        .collect();
    let redundancy = if machine.power_redundant() { "OK" } else { "Critical" };
    json!({
        "@odata.type": "#Power.v1_7_0.Power", "Id": "Power", "Name": "Power", "PowerSupplies": supplies, "Voltages": voltages,
        "PowerControl": [{"@odata.id": "/redfish/v1/Chassis/1/Power#/PowerControl/0", "MemberId": "0", "Name": "System Power Control",
            "PowerConsumedWatts": tenth(machine.input_watts()), "Status": status("OK")}],
        "Redundancy": [{"@odata.id": "/redfish/v1/Chassis/1/Power#/Redundancy/0", "MemberId": "0", "Name": "PSU Redundancy", "Mode": "N+m",
            "MinNumNeeded": 1, "MaxNumSupported": machine.psus.len(), "Status": status(redundancy)}],
    })
}
