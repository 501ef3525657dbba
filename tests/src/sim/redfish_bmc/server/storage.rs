//! Storage: a controller and its drives, with SMART counters the way Huawei's iBMC has them (`Oem.Huawei.SATASmartInformation`).

use super::{collection, link, status};
use crate::sim::machine::{Drive, Machine, Medium};
use serde_json::{Value, json};

const BASE: &str = "/Systems/1/Storage";

pub(super) fn resource(machine: &Machine, path: &[&str]) -> Option<Value> {
    match path {
        [] => Some(collection("Storage", BASE, ["RAID1".to_owned()])),
        ["RAID1"] => {
            let drives: Vec<Value> =
                machine.drives.iter().map(|d| link(&format!("{BASE}/RAID1/Drives/{}", d.bay))).collect();
            let health = if machine.drives.iter().any(|d| d.failure_predicted) { "Warning" } else { "OK" };
            Some(json!({
                "@odata.type": "#Storage.v1_10_0.Storage", "Id": "RAID1", "Name": "RAID Controller 1", "Status": status(health),
                "StorageControllers": [{"@odata.id": format!("/redfish/v1{BASE}/RAID1#/StorageControllers/0"), "MemberId": "0",
                    "Name": "NG RAID 9460", "Manufacturer": machine.spec.manufacturer, "Model": "NG-RAID-9460",
                    "SerialNumber": format!("RC{}", machine.spec.serial), "FirmwareVersion": "51.16.0-4076", "Status": status("OK")}],
                "Drives@odata.count": drives.len(), "Drives": drives, "Volumes": link(&format!("{BASE}/RAID1/Volumes")),
            }))
        }
        ["RAID1", "Volumes"] => Some(collection("Volume", &format!("{BASE}/RAID1/Volumes"), ["0".to_owned()])),
        ["RAID1", "Volumes", "0"] => Some(json!({
            "@odata.type": "#Volume.v1_6_0.Volume", "Id": "0", "Name": "Volume 0", "RAIDType": "RAID1", "CapacityBytes": 479_559_942_144u64,
            "Status": status("OK"),
        })),
        ["RAID1", "Drives", bay] => machine.drives.get(bay.parse::<usize>().ok()?).map(|d| drive(machine, d)),
        _ => None,
    }
}

fn drive(machine: &Machine, drive: &Drive) -> Value {
    let flash = drive.medium == Medium::Flash;
    json!({
        "@odata.type": "#Drive.v1_14_0.Drive", "Id": drive.bay.to_string(), "Name": format!("Disk{}", drive.bay),
        "Manufacturer": machine.spec.manufacturer, "Model": drive.model, "SerialNumber": drive.serial, "Revision": "NG02",
        "CapacityBytes": drive.capacity_bytes, "MediaType": if flash { "SSD" } else { "HDD" }, "Protocol": "SATA",
        "RotationSpeedRPM": if flash { Value::Null } else { json!(7200) }, "FailurePredicted": drive.failure_predicted,
        "PredictedMediaLifeLeftPercent": drive.life_left, "Status": status(if drive.failure_predicted { "Warning" } else { "OK" }),
        "PhysicalLocation": {"PartLocation": {"ServiceLabel": format!("Disk{}", drive.bay), "LocationType": "Bay",
            "LocationOrdinalValue": drive.bay}},
        "Oem": {"Huawei": {
            "DriveID": drive.bay, "Position": "HDDPlane", "FirmwareStatus": "Online", "TemperatureCelsius": drive.celsius.round(),
            "HoursOfPoweredUp": drive.power_on_hours.floor(), "SASSmartInformation": null,
            "SATASmartInformation": {"AttributeRevision": "10", "AttributeRevisionNumber": 10, "AttributeItemList": attributes(drive)},
        }},
    })
}

/// ATA attributes: id, name, limit of the normalised value, raw value.
fn attributes(drive: &Drive) -> Vec<Value> {
    let rows: [(u8, &str, u8, u64); 10] = [
        (5, "Reallocated_Sector_Ct", 10, drive.reallocated),
        (9, "Power_On_Hours", 0, drive.power_on_hours as u64),
        (12, "Power_Cycle_Count", 20, drive.power_cycles),
        (187, "Reported_Uncorrect", 0, drive.reported_uncorrectable),
        (188, "Command_Timeout", 0, drive.command_timeouts),
        (194, "Temperature_Celsius", 0, drive.celsius as u64),
        (196, "Reallocated_Event_Count", 0, drive.reallocated / 4),
        (197, "Current_Pending_Sector", 0, drive.pending),
        (198, "Offline_Uncorrectable", 0, drive.offline_uncorrectable),
        (199, "UDMA_CRC_Error_Count", 0, drive.crc_errors),
    ];
    rows.into_iter()
        .map(|(id, name, threshold, raw)| {
            // Makers let the normalised value fall as the count rises; it says less than the count.
            let value = 100u64.saturating_sub(if matches!(id, 5 | 187 | 197 | 198) { raw / 8 } else { 0 });
            json!({"Id": id, "Name": name, "Value": value, "Worst": value, "Threshold": threshold, "RawValue": raw})
        })
        .collect()
}
