//! Documents in the shape that smartmontools prints (man page smartctl(8), `json.cpp` and `ataprint.cpp`, `nvmeprint.cpp`, `scsiprint.cpp` of 7.x), written for
//! these tests.

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

fn bytes(value: Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn smartctl(exit: i32, messages: &[&str]) -> Value {
    let messages: Vec<Value> = messages.iter().map(|m| json!({"string": m, "severity": "error"})).collect();
    json!({"version": [7, 3], "exit_status": exit, "messages": messages})
}

/// The figures of a document by kind.
fn told(value: Value, exit: i32) -> BTreeMap<SensorKind, f64> {
    let drive = drive(&bytes(value), exit).unwrap();
    drive.figures.into_iter().filter_map(|f| Some((f.kind, f.number.ok()?.value))).collect()
}

fn attribute_of(id: u8, name: &str, value: u8, raw: u64, string: &str) -> Value {
    json!({"id": id, "name": name, "value": value, "worst": value, "thresh": 0, "when_failed": "", "raw": {"value": raw, "string": string}})
}

fn sata() -> Value {
    json!({
        "smartctl": smartctl(0, &[]),
        "device": {"name": "/dev/sda", "info_name": "/dev/sda [SAT]", "type": "sat", "protocol": "ATA"},
        "model_family": "Example", "model_name": "EXAMPLE HD0001", "serial_number": "ZX0A1B2C", "firmware_version": "SC60",
        "user_capacity": {"blocks": 7_814_037_168_u64, "bytes": 4_000_787_030_016_u64},
        "smart_support": {"available": true, "enabled": true},
        "smart_status": {"passed": true},
        "ata_smart_attributes": {"revision": 10, "table": [
            attribute_of(1, "Raw_Read_Error_Rate", 83, 219_012_344, "219012344"),
            attribute_of(5, "Reallocated_Sector_Ct", 100, 8 | 3 << 16, "8 (3 0)"),
            attribute_of(9, "Power_On_Hours", 50, 44_000 | 9 << 32, "44000 (9 0 0)"),
            attribute_of(187, "Reported_Uncorrect", 100, 2, "2"),
            attribute_of(188, "Command_Timeout", 100, 1 << 32 | 1 << 16 | 4, "1 1 4"),
            attribute_of(194, "Temperature_Celsius", 34, 0x0011_0000_0022, "34 (0 17 0 0 0)"),
            attribute_of(197, "Current_Pending_Sector", 100, 16, "16"),
            attribute_of(198, "Offline_Uncorrectable", 100, 15, "15"),
            attribute_of(199, "UDMA_CRC_Error_Count", 200, 0, "0"),
            attribute_of(241, "Total_LBAs_Written", 100, 1000, "1000"),
        ]},
        "power_on_time": {"hours": 44_000}, "power_cycle_count": 60, "temperature": {"current": 34},
    })
}

#[test]
fn a_sata_drive_tells_what_the_disk_model_asks_for() {
    let drive = drive(&bytes(sata()), 0).unwrap();
    assert_eq!((drive.serial.as_deref(), drive.model.as_deref()), (Some("ZX0A1B2C"), Some("EXAMPLE HD0001")));
    assert_eq!((drive.capacity_bytes, drive.kind.as_deref()), (Some(4_000_787_030_016), Some("sat")));
    assert_eq!(drive.trouble, None);
    let expected = [
        (SensorKind::FailurePredicted, 0.0),
        (SensorKind::ReallocatedSectors, 8.0),
        (SensorKind::ReportedUncorrectable, 2.0),
        (SensorKind::CommandTimeouts, 4.0),
        (SensorKind::PendingSectors, 16.0),
        (SensorKind::OfflineUncorrectable, 15.0),
        (SensorKind::CrcErrors, 0.0),
        (SensorKind::PowerOnHours, 44_000.0),
        (SensorKind::PowerCycles, 60.0),
        (SensorKind::Temperature, 34.0),
        (SensorKind::BytesWritten, 512_000.0),
    ];
    assert_eq!(told(sata(), 0), expected.into());
}

#[test]
fn an_nvme_drive_tells_its_health_log() {
    let log = json!({
        "critical_warning": 4, "temperature": 41, "available_spare": 97, "available_spare_threshold": 10, "percentage_used": 3,
        "data_units_read": 10, "data_units_written": 20, "power_cycles": 7, "power_on_hours": 900, "unsafe_shutdowns": 2,
        "media_errors": 1, "num_err_log_entries": 5, "warning_temp_time": 3, "critical_comp_time": 0,
    });
    let body = json!({
        "smartctl": smartctl(0, &[]), "device": {"type": "nvme"}, "model_name": "EXAMPLE SSD", "serial_number": "S1",
        "nvme_total_capacity": 960_197_124_096_u64, "smart_status": {"passed": true}, "nvme_smart_health_information_log": log,
    });
    let drive = drive(&bytes(body.clone()), 0).unwrap();
    assert_eq!((drive.spare_limit, drive.capacity_bytes), (Some(10.0), Some(960_197_124_096)));
    let expected = [
        (SensorKind::FailurePredicted, 0.0),
        (SensorKind::CriticalWarning, 4.0),
        (SensorKind::Temperature, 41.0),
        (SensorKind::SpareLeft, 97.0),
        (SensorKind::LifeLeft, 97.0),
        (SensorKind::BytesRead, 5_120_000.0),
        (SensorKind::BytesWritten, 10_240_000.0),
        (SensorKind::PowerCycles, 7.0),
        (SensorKind::PowerOnHours, 900.0),
        (SensorKind::UnsafeShutdowns, 2.0),
        (SensorKind::MediaErrors, 1.0),
        (SensorKind::ErrorLogEntries, 5.0),
        (SensorKind::OverheatedTime, 180.0),
    ];
    assert_eq!(told(body, 0), expected.into());
}

#[test]
fn a_sas_drive_tells_defects_and_errors_in_the_words_of_either_version() {
    let body = |vendor: &str, product: &str, revision: &str| {
        json!({
            "smartctl": smartctl(0, &[]), "device": {"type": "scsi"}, vendor: "EXAMPLE", product: "SAS900", revision: "LS0A",
            "serial_number": "W7", "smart_status": {"passed": true}, "temperature": {"current": 30, "drive_trip": 60},
            "scsi_grown_defect_list": 12, "scsi_percentage_used_endurance_indicator": 5,
            "scsi_error_counter_log": {"read": {"total_uncorrected_errors": 3, "gigabytes_processed": "2.500"}, "write": {"gigabytes_processed": "1.000"}},
        })
    };
    for (vendor, product, revision) in
        [("vendor", "product", "revision"), ("scsi_vendor", "scsi_product", "scsi_revision")]
    {
        let drive = drive(&bytes(body(vendor, product, revision)), 0).unwrap();
        let names = (drive.manufacturer.as_deref(), drive.model.as_deref(), drive.firmware.as_deref());
        assert_eq!(names, (Some("EXAMPLE"), Some("SAS900"), Some("LS0A")));
        assert!(drive.figures.iter().all(|f| f.number.clone().ok().is_some_and(|n| !n.coerced)));
    }
    let told = told(body("vendor", "product", "revision"), 0);
    assert_eq!(told[&SensorKind::ReallocatedSectors], 12.0);
    assert_eq!(told[&SensorKind::ReportedUncorrectable], 3.0);
    assert_eq!(told[&SensorKind::LifeLeft], 95.0);
    assert_eq!((told[&SensorKind::BytesRead], told[&SensorKind::BytesWritten]), (2.5e9, 1e9));
}

#[test]
fn a_flash_drives_life_is_a_normalised_value_by_name_and_no_other_attributes() {
    let body = |name: &str| json!({"smartctl": smartctl(0, &[]), "ata_smart_attributes": {"table": [attribute_of(231, name, 88, 5, "5")]}});
    assert_eq!(told(body("SSD_Life_Left"), 0), [(SensorKind::LifeLeft, 88.0)].into());
    assert_eq!(told(body("Temperature_Celsius"), 0), BTreeMap::new());
}

#[test]
fn a_drive_that_fails_says_so_by_its_word_or_by_the_exit_status() {
    let with = |status: Value, exit: i32| {
        let body = json!({"smartctl": smartctl(exit, &[]), "smart_status": status, "temperature": {"current": 30}});
        told(body, exit).get(&SensorKind::FailurePredicted).copied()
    };
    assert_eq!(with(json!({"passed": true}), 0), Some(0.0));
    assert_eq!(with(json!({"passed": false}), 0), Some(1.0));
    // Old errors in its logs (bits 5 to 7) are no failure.
    assert_eq!(with(json!({"passed": true}), 0b1110_0000), Some(0.0));
    assert_eq!(with(json!({"passed": true}), FAILING), Some(1.0));
    assert_eq!(with(Value::Null, FAILING | 4), Some(1.0));
    // Nothing is known: nothing is said.
    assert_eq!(with(Value::Null, 4), None);
}

#[test]
fn why_a_drive_tells_nothing_is_told_by_its_cause() {
    let asleep = "Device is in STANDBY mode, exit(2)";
    let cases = [
        (2, vec![asleep], Cause::NoReading),
        (2, vec!["Smartctl open device: /dev/sda failed: Permission denied"], Cause::Denied),
        (2, vec!["Smartctl open device: /dev/sdq failed: No such device"], Cause::Absent),
        (2, vec!["Read Device Identity failed: scsi error unsupported field"], Cause::Unreachable),
        (
            1,
            vec!["/dev/sdb: Unknown USB bridge [0x0bda:0x9210]", "Please specify device type with the -d option."],
            Cause::NotSupported,
        ),
        (4, vec![], Cause::BmcError),
        (-1, vec![], Cause::BmcError),
        (0, vec![], Cause::NotSupported),
    ];
    for (exit, messages, cause) in cases {
        let found = drive(&bytes(json!({"smartctl": smartctl(exit, &messages)})), exit).unwrap();
        assert_eq!(found.trouble.map(|t| t.cause), Some(cause), "{exit} {messages:?}");
    }
    let off = json!({"smartctl": smartctl(4, &[]), "smart_support": {"available": true, "enabled": false}});
    assert_eq!(drive(&bytes(off), 4).unwrap().trouble.unwrap().cause, Cause::Disabled);
}

#[test]
fn nulls_texts_and_nonsense_lose_one_figure_and_no_other() {
    let mut body = sata();
    body["temperature"] = json!({"current": null});
    body["power_on_time"] = json!({"hours": "44000"});
    body["power_cycle_count"] = json!({"strange": true});
    body["ata_smart_attributes"]["table"][6]["raw"] = Value::Null;
    body["ata_smart_attributes"]["table"][7] = json!("row");
    body["serial_number"] = json!("0000000000");
    let drive = drive(&bytes(body.clone()), 0).unwrap();
    assert_eq!(drive.serial, None);
    let lost: Vec<SensorKind> = drive.figures.iter().filter(|f| !f.number.is_value()).map(|f| f.kind).collect();
    assert_eq!(lost, [SensorKind::PowerCycles]);
    let told = told(body, 0);
    assert_eq!((told[&SensorKind::PowerOnHours], told[&SensorKind::ReallocatedSectors]), (44_000.0, 8.0));
    assert!(!told.contains_key(&SensorKind::Temperature) && !told.contains_key(&SensorKind::PendingSectors));
}

#[test]
fn the_list_of_drives_leaves_out_what_would_be_an_option_of_smartctl() {
    let listed = |name: Value, kind: Value| json!({"name": name, "type": kind, "protocol": "SCSI"});
    let body = json!({"smartctl": smartctl(0, &[]), "devices": [
        listed(json!("/dev/sda"), json!("scsi")),
        listed(json!("/dev/sda"), json!("scsi")),
        listed(json!("/dev/nvme0"), json!("nvme")),
        listed(json!("/dev/bus/0"), json!("megaraid,8")),
        listed(json!("--set=security-erase"), json!("scsi")),
        listed(json!("/dev/sd b"), json!("scsi")),
        listed(json!("/etc/passwd"), json!("scsi")),
        listed(json!("/dev/sdc"), json!("-s off")),
        listed(Value::Null, Value::Null),
    ]});
    let found = scan(&bytes(body)).unwrap();
    let named: Vec<_> = found.iter().map(|d| (d.name.as_str(), d.kind.as_deref())).collect();
    let expected =
        [("/dev/sda", None), ("/dev/nvme0", Some("nvme")), ("/dev/bus/0", Some("megaraid,8")), ("/dev/sdc", None)];
    assert_eq!(named, expected);
    assert_eq!(found[2].behind(), Some("megaraid,8"));
}

#[test]
fn what_is_not_smartctls_is_said_to_be_so() {
    assert!(matches!(scan(b""), Err(Unreadable::NotJson(_))));
    assert!(matches!(drive(br#"{"smartctl": {"#, 0), Err(Unreadable::NotJson(_))));
    assert_eq!(scan(b"{}"), Err(Unreadable::NotSmartctl));
    assert_eq!(drive(b"[1]", 0), Err(Unreadable::NotSmartctl));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[-0-9.a-f (/]{0,12}".prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("(hours|current|passed|table|raw|value|string|id)", inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_field_of_another_shape_makes_a_value_that_is_not_finite(field in 0usize..18, at in 0usize..10, value in any_json(), exit in any::<i32>()) {
        let mut body = sata();
        let keys: Vec<String> = body.as_object().unwrap().keys().filter(|k| *k != "smartctl").cloned().collect();
        body["ata_smart_attributes"]["table"][at] = value.clone();
        body[&keys[field % keys.len()]] = value;
        let drive = drive(&bytes(body), exit).unwrap();
        for figure in drive.figures {
            prop_assert!(figure.number.ok().is_none_or(|n| n.value.is_finite()));
        }
    }
}
