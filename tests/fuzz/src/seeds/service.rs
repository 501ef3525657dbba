//! A small Redfish service, and walks over it that put its bodies into the order in which they are asked for.

use crate::AT;
use outband_bmc::redfish::memory::Memory;
use outband_bmc::redfish::walk::{Answer, Limits, Walk};
use outband_schemas::Section;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn link(path: &str) -> Value {
    json!({"@odata.id": format!("/redfish/v1{path}")})
}

fn links(paths: &[&str]) -> Value {
    Value::Array(paths.iter().map(|p| link(p)).collect())
}

fn collection(paths: &[&str]) -> Value {
    json!({"Members": links(paths), "Members@odata.count": paths.len()})
}

/// A service root: the two low bits say whose it is, the next how it expands collections.
pub fn root(how: u8) -> Value {
    let mut root = json!({
        "@odata.id": "/redfish/v1",
        "Chassis": link("/Chassis"),
        "Systems": link("/Systems"),
        "Managers": link("/Managers"),
        "UpdateService": link("/UpdateService"),
        "TelemetryService": link("/TelemetryService"),
    });
    root["Vendor"] = json!(["Dell", "HPE", "Supermicro", "Lenovo"][usize::from(how & 3)]);
    match how >> 2 & 3 {
        1 => root["ProtocolFeaturesSupported"] = json!({"ExpandQuery": {"NoLinks": true}}),
        2 => root["ProtocolFeaturesSupported"] = json!({"ExpandQuery": {"ExpandAll": true}}),
        _ => {}
    }
    root
}

fn ok() -> Value {
    json!({"State": "Enabled", "Health": "OK"})
}

/// Everything below the root.
fn tree() -> BTreeMap<String, Value> {
    let resources = [
        ("/Chassis", collection(&["/Chassis/1", "/Chassis/2"])),
        (
            "/Chassis/1",
            json!({"Id": "1", "SerialNumber": "CH1", "Thermal": link("/Chassis/1/Thermal"), "Power": link("/Chassis/1/Power"),
            "ThermalSubsystem": link("/Chassis/1/TS"), "PowerSubsystem": link("/Chassis/1/PS"), "Sensors": link("/Chassis/1/Sensors"),
            "NetworkAdapters": link("/Chassis/1/Net"), "Drives": link("/Chassis/1/Drives"), "Links": {"Drives": links(&["/Chassis/1/Drives/1"])}}),
        ),
        ("/Chassis/2", json!({"Id": "2", "Status": {"State": "Absent"}})),
        (
            "/Chassis/1/Thermal",
            json!({"Temperatures": [
                {"Name": "CPU1 Temp", "ReadingCelsius": "46 degrees C", "UpperThresholdCritical": 95, "UpperThresholdFatal": "N/A", "Status": ok(), "PhysicalContext": "CPU"},
                {"Name": "DTS", "ReadingCelsius": null, "Status": {"State": "Absent"}}],
            "Fans": [{"FanName": "Fan 1", "CurrentReading": 40, "Units": "Percent", "Status": ok()}, {"Name": "Fan 2", "Reading": 4200, "ReadingUnits": "RPM"}]}),
        ),
        (
            "/Chassis/1/Power",
            json!({"Voltages": [{"Name": "P12V", "ReadingVolts": 12.1, "LowerThresholdCritical": 10.8, "Status": ok()}],
            "PowerSupplies": [{"Name": "PSU1", "SerialNumber": "P1", "LineInputVoltage": 230, "PowerInputWatts": 200, "PowerOutputWatts": 180, "Status": ok()}],
            "PowerControl": [{"Name": "System Power", "PowerConsumedWatts": 380}], "Redundancy": [{"Name": "PSU", "Status": ok()}]}),
        ),
        ("/Chassis/1/TS", json!({"Fans": link("/Chassis/1/TS/Fans")})),
        ("/Chassis/1/TS/Fans", collection(&["/Chassis/1/TS/Fans/1"])),
        (
            "/Chassis/1/TS/Fans/1",
            json!({"Id": "1", "Name": "Fan 1", "SpeedPercent": {"Reading": 40, "SpeedRPM": 4200, "DataSourceUri": "/redfish/v1/Chassis/1/Sensors/f"}, "Status": ok()}),
        ),
        ("/Chassis/1/PS", json!({"PowerSupplies": link("/Chassis/1/PS/S")})),
        ("/Chassis/1/PS/S", collection(&["/Chassis/1/PS/S/0"])),
        (
            "/Chassis/1/PS/S/0",
            json!({"Id": "0", "Name": "PSU 0", "Metrics": link("/Chassis/1/PS/S/0/M"), "Status": ok()}),
        ),
        (
            "/Chassis/1/PS/S/0/M",
            json!({"InputVoltage": {"Reading": 230}, "InputPowerWatts": {"Reading": 200}, "OutputPowerWatts": {"Reading": 1}}),
        ),
        (
            "/Chassis/1/Sensors",
            json!({"Members": [{"@odata.id": "/redfish/v1/Chassis/1/Sensors/t", "Id": "t", "Name": "Inlet Temp", "Reading": 22.5, "ReadingUnits": "Cel",
                "Thresholds": {"UpperCritical": {"Reading": 50}}, "Status": ok()}, link("/Chassis/1/Sensors/f")],
            "Members@odata.nextLink": "/redfish/v1/Chassis/1/Sensors?$skip=2"}),
        ),
        (
            "/Chassis/1/Sensors?$skip=2",
            json!({"Members": [{"Id": "e", "Name": "Energy", "Reading": 12, "ReadingType": "EnergykWh", "ReadingUnits": "kW.h"}]}),
        ),
        (
            "/Chassis/1/Sensors/f",
            json!({"Id": "f", "Name": "Fan 1 Speed", "Reading": 4200, "ReadingType": "Rotational", "ReadingUnits": "RPM"}),
        ),
        ("/Chassis/1/Net", collection(&["/Chassis/1/Net/1"])),
        (
            "/Chassis/1/Net/1",
            json!({"Id": "1", "Model": "NIC", "SerialNumber": "N1", "Controllers": [{"FirmwarePackageVersion": "1"}]}),
        ),
        ("/Chassis/1/Drives", collection(&["/Chassis/1/Drives/1"])),
        ("/Chassis/1/Drives/1", json!({"Id": "1", "SerialNumber": "S1", "Model": "M"})),
        ("/Systems", collection(&["/Systems/1"])),
        (
            "/Systems/1",
            json!({"Id": "1", "UUID": "4c4c4544-0051-3510-8052-b4c04f4d3732", "SerialNumber": "SN1", "SKU": "TAG", "Manufacturer": "Maker", "Model": "Server",
            "HostName": "h", "Storage": link("/Systems/1/Storage"), "SimpleStorage": link("/Systems/1/Simple"), "Processors": link("/Systems/1/Cpus"),
            "Memory": link("/Systems/1/Mem"), "LogServices": link("/Systems/1/Logs"), "Oem": {"Hpe": {"SmartStorage": link("/Systems/1/Smart")}}}),
        ),
        ("/Systems/1/Storage", collection(&["/Systems/1/Storage/1"])),
        (
            "/Systems/1/Storage/1",
            json!({"Id": "1", "Drives": links(&["/Systems/1/Storage/1/Drives/1"]), "Volumes": link("/Systems/1/Storage/1/Volumes"),
            "StorageControllers": [{"MemberId": "0", "Name": "RAID", "SerialNumber": "C1", "Status": ok()}], "Controllers": link("/Systems/1/Storage/1/Controllers")}),
        ),
        (
            "/Systems/1/Storage/1/Drives/1",
            json!({"Id": "1", "SerialNumber": "S1", "Model": "M", "CapacityBytes": 960_197_124_096u64, "PredictedMediaLifeLeftPercent": 97,
            "FailurePredicted": false, "PhysicalLocation": {"PartLocation": {"ServiceLabel": "Bay 1", "LocationOrdinalValue": 1}}, "Metrics": link("/Systems/1/Storage/1/Drives/1/M"),
            "Oem": {"Dell": {"DellNVMeSMARTAttributes": link("/Systems/1/Storage/1/Drives/1/Smart"), "PercentageUsed": 3}}, "Status": ok()}),
        ),
        (
            "/Systems/1/Storage/1/Drives/1/M",
            json!({"PowerOnHours": 1200, "NVMeSMART": {"PercentageUsed": 3, "DataUnitsWritten": "12", "CriticalWarnings": {"SpareUnderThreshold": false}}}),
        ),
        (
            "/Systems/1/Storage/1/Drives/1/Smart",
            json!({"Attributes": [{"Id": 5, "Name": "Reallocated", "RawValue": 8}, {"ID": "194", "Raw": "65570"}]}),
        ),
        ("/Systems/1/Storage/1/Volumes", collection(&["/Systems/1/Storage/1/Volumes/1"])),
        (
            "/Systems/1/Storage/1/Volumes/1",
            json!({"Id": "1", "RAIDType": "RAID1", "Status": {"Health": "Warning", "State": "Degraded"}}),
        ),
        ("/Systems/1/Storage/1/Controllers", collection(&[])),
        (
            "/Systems/1/Simple",
            json!({"Members": [{"Id": "s", "Devices": [{"Name": "SATA 1", "Status": ok(), "CapacityBytes": 1}]}]}),
        ),
        ("/Systems/1/Smart", json!({"PhysicalDrives": link("/Systems/1/Smart/D")})),
        (
            "/Systems/1/Smart/D",
            json!({"Member": [], "Members": [{"Id": "0", "Location": "1I:3:4", "SerialNumber": "S1", "PowerOnHours": 3, "SSDEnduranceUtilizationPercentage": 2}]}),
        ),
        ("/Systems/1/Cpus", collection(&["/Systems/1/Cpus/1"])),
        ("/Systems/1/Cpus/1", json!({"Id": "1", "Socket": 1, "Model": "CPU", "ProcessorType": "GPU", "Status": ok()})),
        ("/Systems/1/Mem", collection(&["/Systems/1/Mem/A1"])),
        (
            "/Systems/1/Mem/A1",
            json!({"Id": "A1", "CapacityMiB": 32768, "SerialNumber": "M1", "DeviceLocator": "DIMM A1", "Status": ok()}),
        ),
        ("/Systems/1/Logs", collection(&["/Systems/1/Logs/SEL"])),
        (
            "/Systems/1/Logs/SEL",
            json!({"Id": "SEL", "ServiceEnabled": true, "Entries": link("/Systems/1/Logs/SEL/Entries")}),
        ),
        (
            "/Systems/1/Logs/SEL/Entries",
            json!({"Members": [
            {"@odata.id": "/redfish/v1/Systems/1/Logs/SEL/Entries/2", "Id": "2", "Created": "2024-08-08T18:48:07-05:00", "Severity": "Critical", "Message": "The power input for power supply 1 is lost.",
                "MessageId": "PSU0003", "SensorType": "Power Supply", "EntryCode": "Assert", "OriginOfCondition": link("/Chassis/1/Power")},
            {"Id": "1", "Created": "0000-00-00T00:00:00Z", "Name": "Log Entry 1", "Message": "Correctable memory error at DIMM A1", "Oem": {"Hpe": {"Repaired": true}}}],
            "Members@odata.nextLink": "/redfish/v1/Systems/1/Logs/SEL/Entries?$skip=2"}),
        ),
        (
            "/Systems/1/Logs/SEL/Entries?$skip=2",
            json!({"Members": [{"Id": "0", "Created": "1999-01-01 00:00:00", "Message": "Log cleared"}]}),
        ),
        ("/Managers", collection(&["/Managers/1"])),
        (
            "/Managers/1",
            json!({"Id": "1", "DateTime": "2024-08-08T18:48:07Z", "FirmwareVersion": "7.0", "LogServices": link("/Managers/1/Logs")}),
        ),
        ("/Managers/1/Logs", collection(&[])),
        ("/UpdateService", json!({"FirmwareInventory": link("/UpdateService/F")})),
        ("/UpdateService/F", collection(&["/UpdateService/F/1"])),
        ("/UpdateService/F/1", json!({"Id": "1", "Name": "BIOS", "Version": "2.1"})),
        ("/TelemetryService", json!({"MetricReports": link("/TelemetryService/R")})),
        ("/TelemetryService/R", collection(&["/TelemetryService/R/StorageDiskSMARTData"])),
        (
            "/TelemetryService/R/StorageDiskSMARTData",
            json!({"MetricValues": [{"MetricId": "ReallocatedBlockCount", "MetricValue": "3", "Oem": {"Dell": {"FQDD": "1"}}}]}),
        ),
    ];
    resources.into_iter().map(|(path, body)| (format!("/redfish/v1{path}"), body)).collect()
}

/// Seeds of `redfish_walk`: two polls over the tree, for each section and each kind of root.
pub fn redfish_walk() -> Vec<Vec<u8>> {
    let tree = tree();
    let mut seeds = Vec::new();
    for how in [0u8, 4, 8, 16, 32] {
        for (number, section) in (0u8..).zip(Section::OF_BMC) {
            let mut out = vec![how | number];
            let (mut memory, mut bookmark) = (Memory::default(), None);
            for _ in 0..2 {
                let mut walk =
                    Walk::new(section, &root(how / 4), &mut memory, bookmark.as_ref(), Limits::default(), AT);
                while let Some(get) = walk.poll_get(&mut memory) {
                    let body = tree.get(&get.uri).map(|b| b.to_string().into_bytes());
                    let status = if body.is_some() { 200 } else { 404 };
                    // An empty body is no JSON, much as a 404 is none.
                    let body = body.unwrap_or_default();
                    out.extend(&body);
                    out.push(0x1E);
                    walk.handle_body(&mut memory, &get, Answer::Http { status, body, etag: None }, AT);
                }
                let outcome = walk.finish(&mut memory, AT);
                bookmark = outcome.bookmark;
            }
            seeds.push(out);
        }
    }
    seeds
}

/// Seeds of `redfish_body`: every resource, and what BMCs make of JSON.
pub fn redfish_body() -> Vec<Vec<u8>> {
    let odd: [&[u8]; 24] = [
        b"\xef\xbb\xbf{\"a\":\"x\ry\"}",
        b"{\"a\": ,\"b\":2,\"c\":NaN,\"d\":[1,-Infinity],\"e\":007,\"f\":True,\"g\":\"C:\\x\",\"h\":[1,,2,],}",
        b"{\"a\":\"f\xfcr 21 \xb0C\"}",
        b"{\"a\":\"\xb7\xe7\xc9\xc8\"}",
        b"{\"a\":\"\xe9\xa3\x8e\xe6\x89\x87\xe9\xa3\x8e\xe6\x89\"}",
        b"\xff\xfe{\0\"\0a\0\"\0:\01\0}\0",
        b"\0{\0\"\0a\0\"\0:\01\0}",
        br#"{"error":{"code":"x","@Message.ExtendedInfo":[{"MessageId":"m","Message":"n"}]}}{"@odata.id":"/redfish/v1","Id":"r"}"#,
        b"<html><body>504</body></html>",
        b"HTTP/1.1 200 OK {x}\r\n\r\n{\"a\": 1}} trailing\0",
        b"{\"a\":[1,2",
        br#"{"@odata.id":"/t","Temperatures":[{"Name":"A","ReadingCelsius":40},{"Name":"B","Rea"#,
        br#"{"Members":[{"@odata.id":"/t/1"},{"@odata.id":"/t/2"}],"Members@odata.nextLink":"/t?$skip=2","Members@odata.count"#,
        b"{\"Name\": PS1 Status,\n\"Links\": {}\n\"Reading\": 46 degrees C,\n\"Fans\": [{\"a\": 1} {\"a\": 2}]}",
        br#"{"Messages":[{"MessageID":"iLO.0.10.X"}],"Type":"ExtendedError.1.0.0","Name":"Extended Error Information"}"#,
        br#"{"Reading":"12,5 V","a":"0x1F","b":"1.2e3","c":"1,234","d":"46 degrees C","e":"N/A","f":"--","g":"3 of 4"}"#,
        br#"{"Created":"02 Aug 2024, 05:14:30.000 PM","a":"Thu Aug  8 18:48:11 2024","b":"2020/07/09-11:44:00","c":"2024-06-11T00:14:55-0500"}"#,
        br#"{"Created":"0000-00-00T00:00:00Z","a":1723142887,"b":"2012-03-07T14:44+06:00","c":"9999-12-31T23:59:59+00:00"}"#,
        br#"{"Vendor":"Dell","Product":"Integrated Dell Remote Access Controller","Id":"iDRAC.Embedded.1","Model":"13G Monolithic","RedfishVersion":"1.4.0"}"#,
        br#"{"Vendor":"AMI","RedfishVersion":"1.11.0","Oem":{"Ami":{"RtpVersion":"13.09.1"},"Hpe":{"Manager":[{"ManagerType":"iLO 5"}]}}}"#,
        br#"{"Status":{"Health":"Enabled","State":"OK"},"ReadingCelsius":{"Reading":41},"SerialNumber":{},"Thermal":7,"Members":"none"}"#,
        br#"{"a":1,"a":{"@odata.id":7},"@odata.id":["/x"],"Links":"y"}"#,
        b"[{}]",
        b"\"text\"",
    ];
    tree().values().map(|v| v.to_string().into_bytes()).chain(odd.map(<[u8]>::to_vec)).collect()
}

/// Streams of server-sent events; the first byte says where they are cut.
pub fn redfish_sse() -> Vec<Vec<u8>> {
    let record = json!({
        "EventType": "Alert", "EventId": "7", "EventTimestamp": "2026-01-31T08:00:00-06:00", "Severity": "Critical", "MemberId": "0",
        "Message": "Fan 3 failed.", "MessageId": "Alert.1.0.Fan", "Context": "c",
        "LogEntry": {"@odata.id": "/redfish/v1/Systems/1/LogServices/SEL/Entries/7"},
        "OriginOfCondition": {"@odata.id": "/redfish/v1/Chassis/1"},
    });
    let event = json!({"@odata.type": "#Event.v1_9_0.Event", "Id": "1", "Events": [record, record]});
    let report = json!({"@odata.type": "#MetricReport.v1_4_0.MetricReport", "MetricValues": []});
    let service = json!({
        "ServiceEnabled": true, "ServerSentEventUri": "/redfish/v1/SSE", "Subscriptions": {"@odata.id": "/redfish/v1/EventService/Subscriptions"},
        "EventTypesForSubscription": ["Alert"], "EventFormatTypes": ["Event"], "SSEFilterPropertiesSupported": {"EventFormatType": true},
    });
    let pretty = serde_json::to_string_pretty(&event).unwrap_or_default();
    let streams = [
        format!("\u{feff}: keep-alive\r\n\r\nretry: 5000\r\nid: 1\r\nevent: message\r\ndata: {event}\r\n\r\n"),
        format!("id: 2\ndata: {pretty}\n\ndata: {report}\n\ndata: {record}\n\n"),
        pretty.lines().map(|line| format!("data: {line}\r")).collect::<String>() + "\r",
        format!("data: {service}\n\ndata: [{event},{event}]\n\n"),
    ];
    streams.into_iter().zip([1u8, 7, 255, 0]).map(|(stream, cut)| [vec![cut], stream.into_bytes()].concat()).collect()
}
