use super::*;
use crate::redfish::memory::Memory;
use outband_schemas::{ComponentClass, Observation, Timestamp};
use serde_json::json;

fn node(uri: &str, role: Role, body: Value) -> Node {
    let uri = format!("/redfish/v1/{uri}");
    Node { uri, role, owner: String::new(), parent: String::new(), body, at: Timestamp::from_secs(1) }
}

fn drive(uri: &str, serial: &str) -> Node {
    node(uri, Role::Drive, json!({"Id": tail(uri), "SerialNumber": serial, "Model": "M"}))
}

fn with<T>(nodes: &[Node], f: impl FnOnce(&mut Report<'_>) -> T) -> (T, Vec<Reading>) {
    let mut memory = Memory::default();
    let mut report = Report { nodes, lossy: BTreeSet::new(), memory: &mut memory, out: Vec::new() };
    let result = f(&mut report);
    let readings = report.out.into_iter().filter_map(|o| if let Observation::Reading(r) = o { Some(r) } else { None });
    (result, readings.collect())
}

fn count(nodes: &[Node]) -> usize {
    with(nodes, |report| drives(report).len()).0
}

/// Every reading as `component sensor: value`.
fn lines(nodes: &[Node]) -> Vec<String> {
    let line = |r: &Reading| {
        let value = match &r.value {
            Some(Told::State { state, text }) => format!("{state:?} ({text})"),
            Some(Told::Number(n)) => n.to_string(),
            _ => format!("{:?}", r.quality),
        };
        format!("{} {}: {value}", r.component, r.sensor)
    };
    with(nodes, report).1.iter().map(line).collect()
}

#[test]
fn a_drive_below_its_chassis_and_below_its_storage_is_one_and_both_uris_are_named() {
    let nodes = [drive("Chassis/B/Drives/200", "S1"), drive("Systems/1/Storage/DA0/Drives/DA0", "S1")];
    assert_eq!(count(&nodes), 1);
    let (_, readings) = with(&nodes, report);
    let again = readings.iter().find(|r| r.source.0 == "/redfish/v1/Systems/1/Storage/DA0/Drives/DA0").unwrap();
    assert!(format!("{:?}", again.value).contains("/redfish/v1/Chassis/B/Drives/200"), "{again:?}");
}

#[test]
fn drives_that_only_repeat_a_serial_stay_apart() {
    assert_eq!(count(&[drive("Systems/1/Storage/1/Drives/1", "S1"), drive("Systems/2/Storage/1/Drives/1", "S1")]), 2);
    assert_eq!(count(&[drive("Chassis/B/Drives/1", "N/A"), drive("Systems/1/Storage/1/Drives/1", "N/A")]), 2);
    let mut other = drive("Systems/1/Storage/1/Drives/2", "S1");
    other.body["CapacityBytes"] = 1000.into();
    assert_eq!(count(&[drive("Chassis/B/Drives/1", "S1"), other]), 2);
}

#[test]
fn a_drive_that_says_nothing_of_its_state_is_there_and_unknown() {
    assert_eq!(lines(&[drive("Chassis/B/Drives/1", "S1")]), ["disk/1 health: Unknown (no status given)"]);
}

#[test]
fn hpes_second_view_of_a_drive_adds_its_figures() {
    let extra =
        json!({"SerialNumber": "S1", "PowerOnHours": 7, "UncorrectedReadErrors": 0, "Status": {"Health": "OK"}});
    let nodes = [
        drive("Systems/1/Storage/1/Drives/1", "S1"),
        node("Systems/1/SmartStorage/ArrayControllers/1/DiskDrives/0", Role::SmartDrive, extra),
    ];
    let lines = lines(&nodes);
    assert!(lines.contains(&"disk/1 PowerOnHours: 7".to_owned()), "{lines:?}");
    assert_eq!(lines.len(), 3);
}

#[test]
fn the_metrics_of_a_controller_built_into_a_drive_are_the_drives() {
    let mut metrics =
        node("Systems/1/Storage/1/Controllers/0/Metrics", Role::DriveDetail, json!({"NVMeSMART": {"PowerOnHours": 9}}));
    metrics.parent = "/redfish/v1/Systems/1/Storage/1/Controllers/0".to_owned();
    let nodes = [
        drive("Systems/1/Storage/1/Drives/1", "S1"),
        node("Systems/1/Storage/1/Controllers/0", Role::StorageController, json!({"Id": "0", "SerialNumber": "S1"})),
        metrics,
    ];
    assert!(lines(&nodes).contains(&"disk/1 PowerOnHours: 9".to_owned()), "{:?}", lines(&nodes));
}

#[test]
fn a_flash_drive_whose_life_is_empty_says_so_and_a_disk_does_not() {
    let of = |media: &str| {
        let body =
            json!({"Id": "1", "MediaType": media, "PredictedMediaLifeLeftPercent": null, "Status": {"Health": "OK"}});
        lines(&[node("Chassis/B/Drives/1", Role::Drive, body)])
    };
    assert_eq!(of("SSD")[1], "disk/1 PredictedMediaLifeLeftPercent: Unavailable(NoReading)");
    assert_eq!(of("HDD").len(), 1);
}

#[test]
fn a_life_that_holds_something_else_is_malformed_at_its_own_pointer() {
    let body = json!({"Id": "1", "PredictedMediaLifeLeftPercent": [], "Status": {"Health": "OK"}});
    let (_, readings) = with(&[node("Chassis/B/Drives/1", Role::Drive, body)], report);
    assert_eq!(readings[1].source.0, "/redfish/v1/Chassis/B/Drives/1#/PredictedMediaLifeLeftPercent");
    assert!(format!("{:?}", readings[1].quality).contains("Malformed"));
}

#[test]
fn wear_and_indicator_and_rebuild_are_states() {
    let body = json!({"Id": "1", "Status": {"Health": "OK"}, "StatusIndicator": "InACriticalArray",
        "Operations": [{"OperationName": "Rebuild", "PercentageComplete": 40}], "Oem": {"Hpe": {"WearStatus": "TwoPercentThreshold"}}});
    assert_eq!(
        lines(&[node("Chassis/B/Drives/1", Role::Drive, body)]),
        [
            "disk/1 health: Ok (OK)",
            "disk/1 StatusIndicator: Warning (InACriticalArray)",
            "disk/1 WearStatus: Warning (TwoPercentThreshold)",
            "disk/1 operation: Warning (Rebuild 40 %)",
        ]
    );
}

#[test]
fn a_volume_says_its_raid_and_uses_its_makers_word_where_status_is_silent() {
    let volume = |body: Value| lines(&[node("Systems/1/Storage/R/Volumes/1", Role::Volume, body)]).remove(0);
    assert_eq!(
        volume(json!({"Id": "1", "RAIDType": "RAID1", "Status": {"State": "Enabled", "Health": "OK"}})),
        "volume/R 1 health: Ok (Enabled, OK, RAID1)"
    );
    assert_eq!(
        volume(json!({"Id": "1", "Oem": {"Cisco": {"VolumeState": "Degraded"}}, "VolumeType": "Mirrored"})),
        "volume/R 1 health: Warning (Degraded, Mirrored)"
    );
    assert_eq!(
        volume(json!({"Id": "1", "Oem": {"Huawei": {"State": "Optimal", "VolumeRaidLevel": "RAID5"}}})),
        "volume/R 1 health: Ok (Optimal, RAID5)"
    );
}

#[test]
fn what_backs_a_controllers_cache_is_told() {
    let nodes = [
        node(
            "Systems/1/Storage/R/Controllers/0",
            Role::StorageController,
            json!({"Id": "0", "SerialNumber": "C1", "Status": {"Health": "OK"},
            "CacheSummary": {"Status": {"Health": "Warning"}}, "Oem": {"Huawei": {"CapacitanceStatus": {"State": "Enabled", "Health": "Critical"}}}}),
        ),
        node(
            "Systems/1/SmartStorage/ArrayControllers/2",
            Role::SmartStorage,
            json!({"Id": "2", "AdapterType": "SmartArray", "SerialNumber": "C1",
            "BackupPowerSourceStatus": "Failed", "Status": {"Health": "OK"}}),
        ),
        node(
            "Systems/1/Storage/RAID.1",
            Role::Storage,
            json!({"Oem": {"Dell": {"DellControllerBattery": {"Id": "Battery.1", "PrimaryStatus": "OK", "RAIDState": "Ready"}}}}),
        ),
        node(
            "Chassis/1",
            Role::Chassis,
            json!({"Id": "1", "Oem": {"Hpe": {"SmartStorageBattery": [{"Index": 1, "Status": {"Health": "OK", "State": "Enabled"}}]}}}),
        ),
    ];
    assert_eq!(
        lines(&nodes),
        [
            "storage_controller/R 0 health: Ok (OK)",
            "storage_controller/R 0 cache: Warning (Warning)",
            "storage_controller/R 0 CapacitanceStatus: Critical (Enabled, Critical)",
            "storage_controller/R 0 BackupPowerSourceStatus: Critical (Failed)",
            "battery/Storage battery 1 health: Ok (Enabled, OK)",
            "battery/Battery.1 health: Ok (Ready, OK)",
        ]
    );
    assert_eq!(ComponentClass::Battery.as_str(), "battery");
}

#[test]
fn spare_blocks_come_with_the_drives_own_limit() {
    let nvme = json!({"AvailableSparePercent": 40, "AvailableSpareThresholdPercent": 10});
    let with_limit = |smart: Value| {
        let body = json!({"Id": "1", "Status": {"Health": "OK"}, "NVMeSMART": smart});
        with(&[node("Chassis/B/Drives/1", Role::Drive, body)], report).1
    };
    let spare = with_limit(nvme).into_iter().find(|r| r.kind == SensorKind::SpareLeft).unwrap();
    assert_eq!(spare.thresholds.and_then(|t| t.lower_critical), Some(10.0));
    let without = with_limit(json!({"AvailableSparePercent": 40, "AvailableSpareThresholdPercent": "N/A"}));
    assert_eq!(without.iter().find(|r| r.kind == SensorKind::SpareLeft).unwrap().thresholds, None);
}
