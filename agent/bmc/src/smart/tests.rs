//! One fixture for each maker's way of telling SMART, with where it is documented or was seen.

use super::*;
use proptest::prelude::*;
use serde_json::json;

/// The values told of a resource, in the order of their kinds.
fn told(resource: &Value) -> Vec<(SensorKind, f64)> {
    let mut told: Vec<_> = figures(resource).into_iter().filter_map(|f| Some((f.kind, f.number.ok()?.value))).collect();
    told.sort_by_key(|(k, _)| *k);
    told
}

#[test]
fn every_makers_spelling_of_life_becomes_life_left() {
    assert_eq!(told(&json!({"PredictedMediaLifeLeftPercent": 95})), [(SensorKind::LifeLeft, 95.0)]);
    // SmcDriveExtensions v1_0_0, SYS-821GE.
    assert_eq!(told(&json!({"Oem": {"Supermicro": {"PercentageDriveLifeUsed": 3}}})), [(SensorKind::LifeLeft, 97.0)]);
    // HpeSmartStorageDiskDrive v2_1_0.
    assert_eq!(told(&json!({"SSDEnduranceUtilizationPercentage": 1})), [(SensorKind::LifeLeft, 99.0)]);
    // NVMe: the percentage used may exceed 100.
    assert_eq!(told(&json!({"NVMeSMART": {"PercentageUsed": 180}})), [(SensorKind::LifeLeft, 0.0)]);
    // Huawei iBMC: endurance of a SAS SSD.
    assert_eq!(
        told(&json!({"Oem": {"Huawei": {"SASSmartInformation": {"SSMediaUsedEnduranceIndicator": 4}}}})),
        [(SensorKind::LifeLeft, 96.0)]
    );
    // A Cisco IMC drive's `SmartData`.
    assert_eq!(
        told(&json!({"Oem": {"Cisco": {"SmartData": {"PercentageLifeLeft": "88"}}}})),
        [(SensorKind::LifeLeft, 88.0)]
    );
}

#[test]
fn the_standard_field_goes_before_an_oem_field_and_a_value_before_none() {
    let both = json!({"Oem": {"X": {"PercentageUsed": 50}}, "PredictedMediaLifeLeftPercent": 80});
    assert_eq!(told(&both), [(SensorKind::LifeLeft, 80.0)]);
    let lost = json!({"Oem": {"X": {"PercentageUsed": 50}}, "PredictedMediaLifeLeftPercent": {"a": 1}});
    assert_eq!(told(&lost), [(SensorKind::LifeLeft, 50.0)]);
}

#[test]
fn an_nvme_drive_of_ilo_tells_its_hours_and_temperature() {
    // HpeiLODriveExt v2_0_1, DL385 Gen10 Plus v2 with iLO 5, and DL380a Gen12 with iLO 7.
    let drive = json!({"FailurePredicted": false, "PredictedMediaLifeLeftPercent": 100, "Oem": {"Hpe": {
        "CurrentTemperatureCelsius": 19, "DriveStatus": {"Health": "OK"}, "PowerOnHours": 6977,
        "TemperatureStatus": {"Health": "OK", "State": "Enabled"}, "WearStatus": "OK"}}});
    assert_eq!(
        told(&drive),
        [
            (SensorKind::Temperature, 19.0),
            (SensorKind::LifeLeft, 100.0),
            (SensorKind::PowerOnHours, 6977.0),
            (SensorKind::FailurePredicted, 0.0)
        ]
    );
}

#[test]
fn a_drive_of_hpes_smart_storage_tells_reasons_and_read_errors() {
    // HpeSmartStorageDiskDrive v2_1_0 (iLO 5) and HpSmartStorageDiskDrive 1.2.0 (iLO 4).
    let drive = |reasons: Value| {
        json!({"CurrentTemperatureCelsius": 15, "DiskDriveStatusReasons": reasons, "MaximumTemperatureCelsius": 29,
            "PowerOnHours": null, "UncorrectedReadErrors": 2, "UncorrectedWriteErrors": 0})
    };
    let base = [(SensorKind::Temperature, 15.0), (SensorKind::ReportedUncorrectable, 2.0)];
    let with = |predicted| [base[0], base[1], (SensorKind::FailurePredicted, predicted)];
    assert_eq!(told(&drive(json!(["None"]))), with(0.0));
    assert_eq!(told(&drive(json!(["PredictiveFail"]))), with(1.0));
    assert_eq!(told(&drive(json!(["SomethingElse"]))), base, "an unknown reason is neither");
}

#[test]
fn an_ata_table_is_read_by_attribute_number() {
    let table = json!({"Oem": {"Any": {"SmartAttributes": [
        {"Id": 5, "Name": "Reallocated_Sector_Ct", "RawValue": 12}, {"ID": "197", "RawValue": "8"},
        {"Id": 194, "RawValue": 141_733_920_805_u64}, {"Id": 1, "RawValue": 99}]}}});
    assert_eq!(
        told(&table),
        [(SensorKind::Temperature, 37.0), (SensorKind::ReallocatedSectors, 12.0), (SensorKind::PendingSectors, 8.0)]
    );
}

#[test]
fn what_a_mechanism_does_and_what_was_written_and_read_is_in_an_ata_table_too() {
    let table = |rows: Value| told(&json!({"Oem": {"Any": {"SmartAttributes": rows}}}));
    assert_eq!(
        table(json!([{"Id": 10, "Name": "Spin_Retry_Count", "RawValue": 2}, {"Id": 184, "RawValue": "1"},
            {"Id": 187, "RawValue": 5}, {"Id": 188, "RawValue": 65_537}, {"Id": 199, "RawValue": 4}])),
        [
            (SensorKind::ReportedUncorrectable, 5.0),
            (SensorKind::CommandTimeouts, 1.0),
            (SensorKind::CrcErrors, 4.0),
            (SensorKind::SpinRetries, 2.0),
            (SensorKind::EndToEndErrors, 1.0)
        ]
    );
    // Units as smartmontools' drive database names them: blocks, Intel's 32 MiB, and the GiB of others.
    let traffic = |written: &str, read: &str| {
        table(json!([{"Id": 241, "Name": written, "RawValue": 10}, {"Id": 242, "Name": read, "RawValue": 20}]))
    };
    let told = |written, read| vec![(SensorKind::BytesWritten, written), (SensorKind::BytesRead, read)];
    assert_eq!(traffic("Total_LBAs_Written", "Total_LBAs_Read"), told(5120.0, 10_240.0));
    assert_eq!(traffic("Host_Writes_32MiB", "Host_Reads_32MiB"), told(335_544_320.0, 671_088_640.0));
    assert_eq!(traffic("Lifetime_Writes_GiB", "Lifetime_Reads_GiB"), told(10_737_418_240.0, 21_474_836_480.0));
    assert_eq!(traffic("Total Writes (GB)", "Total Reads (GB)"), told(1e10, 2e10));
    assert_eq!(traffic("Total_Writes", "attribute 242"), [], "in which unit nobody knows");
}

#[test]
fn huaweis_attribute_list_and_its_named_fields_are_read() {
    // iBMC's Redfish provider: `AttributeItemList` with upper-case fields for SATA, named fields for SAS.
    let sata = json!({"Oem": {"Huawei": {"HoursOfPoweredUp": 900, "TemperatureCelsius": 33, "SATASmartInformation": {
        "AttributeRevision": null, "AttributeRevisionNumber": 1, "AttributeItemList": [
            {"ID": 5, "ATTRIBUTE_NAME": "Reallocated_Sector_Ct", "VALUE": 100, "WORST": 100, "THRESHOLD": 10, "RAW_VALUE": "4"},
            {"ID": 199, "ATTRIBUTE_NAME": "UDMA_CRC_Error_Count", "RAW_VALUE": "0x1F"},
            {"ID": 198, "ATTRIBUTE_NAME": "Offline_Uncorrectable", "RAW_VALUE": "000000000010"}]}}}});
    assert_eq!(
        told(&sata),
        [
            (SensorKind::Temperature, 33.0),
            (SensorKind::PowerOnHours, 900.0),
            (SensorKind::ReallocatedSectors, 4.0),
            (SensorKind::CrcErrors, 31.0)
        ],
        "what may be decimal or hexadecimal is left out"
    );
    let sas = json!({"Oem": {"Huawei": {"SASSmartInformation": {
        "ElementsInGrownDefectList": 7, "MediaErrorCount": 1, "OtherErrorCount": 9, "PredFailCount": 2}}}});
    assert_eq!(
        told(&sas),
        [(SensorKind::ReallocatedSectors, 7.0), (SensorKind::MediaErrors, 1.0), (SensorKind::FailurePredicted, 1.0)]
    );
}

#[test]
fn inspurs_and_h3cs_public_section_is_read() {
    let drive = json!({"Oem": {"Public": {"Temperature": 28, "PowerOnHours": 11_000, "MediaErrorCount": 0,
        "PredictiveFailureCount": 0, "RemainingLife": 97}}});
    assert_eq!(
        told(&drive),
        [
            (SensorKind::Temperature, 28.0),
            (SensorKind::LifeLeft, 97.0),
            (SensorKind::PowerOnHours, 11_000.0),
            (SensorKind::MediaErrors, 0.0),
            (SensorKind::FailurePredicted, 0.0)
        ]
    );
}

#[test]
fn a_lenovo_drive_tells_its_temperature() {
    // LenovoDrive v1_0_0, SR670 V2.
    let drive = json!({"PredictedMediaLifeLeftPercent": 100, "Oem": {"Lenovo": {"@odata.type": "#LenovoDrive.v1_0_0.LenovoDrive", "Temperature": 36}}});
    assert_eq!(told(&drive), [(SensorKind::Temperature, 36.0), (SensorKind::LifeLeft, 100.0)]);
}

#[test]
fn dells_sub_resources_of_a_drive_are_read() {
    // DellNVMeSMARTAttributes has the names of the metrics of `NVMeSMARTData` (iDRAC 9 telemetry); the composite temperature may be kelvins.
    let nvme = json!({"@odata.type": "#DellNVMeSMARTAttributes.v1_0_0.DellNVMeSMARTAttributes", "AvailableSpare": 100,
        "CompositeTemperature": 305, "CriticalWarning": 0, "DataUnitsWrittenLower": 1000, "DataUnitsWrittenUpper": 0,
        "MediaDataIntegrityErrorsLower": 3, "PercentageUsed": 2, "PowerCyclesLower": 40, "PowerOnHoursLower": 8123, "UnsafeShutdownsLower": 5});
    assert_eq!(
        told(&nvme),
        [
            (SensorKind::LifeLeft, 98.0),
            (SensorKind::PowerOnHours, 8123.0),
            (SensorKind::MediaErrors, 3.0),
            (SensorKind::SpareLeft, 100.0),
            (SensorKind::BytesWritten, 512_000_000.0),
            (SensorKind::CriticalWarning, 0.0),
            (SensorKind::UnsafeShutdowns, 5.0),
            (SensorKind::PowerCycles, 40.0)
        ]
    );
    // DellPCIeSSD v1_7_0 inline in the drive, R750.
    let inline =
        json!({"Oem": {"Dell": {"DellDriveSMARTAttributes": null, "DellPCIeSSD": {"AvailableSparePercent": 96}}}});
    assert_eq!(told(&inline), [(SensorKind::SpareLeft, 96.0)]);
}

#[test]
fn the_standard_nvme_section_is_read_with_its_warnings_as_bits() {
    // DSP8010: DriveMetrics and StorageControllerMetrics, `NVMeSMART`.
    let metrics = json!({"BadBlockCount": 2, "NVMeSMART": {"AvailableSparePercent": 90, "CompositeTemperatureCelsius": 34,
        "CriticalWarnings": {"MediaInReadOnly": true, "PMRUnreliable": false, "SpareCapacityWornOut": true},
        "DataUnitsRead": 3, "DataUnitsWritten": 2, "NumberOfErrorInformationLogEntries": 8, "UnsafeShutdowns": 6,
        "WarningCompositeTempTimeMinutes": 7, "MediaAndDataIntegrityErrors": 1, "PowerOnHours": 20}});
    assert_eq!(
        told(&metrics),
        [
            (SensorKind::Temperature, 34.0),
            (SensorKind::PowerOnHours, 20.0),
            (SensorKind::ReallocatedSectors, 2.0),
            (SensorKind::MediaErrors, 1.0),
            (SensorKind::SpareLeft, 90.0),
            (SensorKind::BytesWritten, 1_024_000.0),
            (SensorKind::CriticalWarning, 9.0),
            (SensorKind::UnsafeShutdowns, 6.0),
            (SensorKind::BytesRead, 1_536_000.0),
            (SensorKind::ErrorLogEntries, 8.0),
            (SensorKind::OverheatedTime, 420.0)
        ]
    );
}

#[test]
fn a_prediction_is_one_and_its_absence_zero_and_silence_neither() {
    assert_eq!(told(&json!({"FailurePredicted": true})), [(SensorKind::FailurePredicted, 1.0)]);
    assert_eq!(told(&json!({"FailurePredicted": "false"})), [(SensorKind::FailurePredicted, 0.0)]);
    assert_eq!(told(&json!({"FailurePredicted": null})), []);
    assert_eq!(
        told(&json!({"Oem": {"Dell": {"PredictiveFailureState": "SmartAlertPresent"}}})),
        [(SensorKind::FailurePredicted, 1.0)]
    );
}

#[test]
fn a_field_that_holds_something_else_is_told_as_lost() {
    let of = |value: Value| figures(&value).into_iter().map(|f| (f.kind, f.number)).collect::<Vec<_>>();
    for lost in [json!({"PredictedMediaLifeLeftPercent": "soon"}), json!({"PredictedMediaLifeLeftPercent": [1]})] {
        let figures = of(lost);
        assert!(matches!(figures.as_slice(), [(SensorKind::LifeLeft, Field::Bad(_))]), "{figures:?}");
    }
    assert!(matches!(of(json!({"FailurePredicted": 17})).as_slice(), [(SensorKind::FailurePredicted, Field::Bad(_))]));
    assert_eq!(of(json!({"PredictedMediaLifeLeftPercent": "N/A", "FailurePredicted": null})), []);
}

#[test]
fn a_metric_report_gives_each_drive_its_own_values() {
    let value =
        |fqdd: &str, id: &str, v: &str| json!({"MetricId": id, "MetricValue": v, "Oem": {"Dell": {"FQDD": fqdd}}});
    let report = json!({"MetricValues": [value("Disk.1", "CurrentPendingSectorCount", "7"), value("Disk.2", "CurrentPendingSectorCount", "0"),
        {"MetricValue": "12", "MetricProperty": "/redfish/v1/Chassis/1/Drives/9#/Oem/X/PowerOnHours"}]});
    let figures = from_metric_report(&report, "Disk.1", "/redfish/v1/Systems/1/Storage/1/Drives/Disk.1");
    assert_eq!(figures.len(), 1);
    assert_eq!(
        (figures[0].kind, figures[0].number.clone()),
        (SensorKind::PendingSectors, Field::Value(Number { value: 7.0, coerced: false }))
    );
    let figures = from_metric_report(&report, "9", "/redfish/v1/Chassis/1/Drives/9");
    assert_eq!(figures.iter().map(|f| f.kind).collect::<Vec<_>>(), [SensorKind::PowerOnHours]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[A-Za-z0-9 ]{0,12}".prop_map(Value::from)
    ];
    let key = prop_oneof![
        "(Id|RawValue|RAW_VALUE|PowerOnHours|PercentageUsed|Oem|FailurePredicted|Temperature|CriticalWarnings|DiskDriveStatusReasons)",
        "[a-z]{1,6}"
    ];
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
        prop_assert!(figures.iter().all(|f| f.number.clone().ok().is_none_or(|n| n.value.is_finite())));
        let mut kinds: Vec<_> = figures.iter().map(|f| f.kind).collect();
        kinds.sort();
        kinds.dedup();
        prop_assert_eq!(kinds.len(), figures.len());
    }
}
