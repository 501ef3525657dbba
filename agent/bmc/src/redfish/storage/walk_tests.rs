//! Drives that are read through a walk: what is asked for, and what is lost with what cannot be read.

use crate::redfish::memory::Memory;
use crate::redfish::walk::{Answer, Limits, Outcome, Walk};
use outband_schemas::{Observation, Section, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn link(uri: &str) -> Value {
    json!({"@odata.id": uri})
}

/// A BMC without expansion; what it does not have is 404, and what is null fails with 500.
fn poll(resources: &[(&str, Value)]) -> (Outcome, Vec<String>) {
    let map: BTreeMap<&str, &Value> = resources.iter().map(|(uri, body)| (*uri, body)).collect();
    let root = json!({"@odata.id": "/redfish/v1", "Systems": link("/redfish/v1/Systems"), "Chassis": link("/redfish/v1/Chassis")});
    let (mut memory, at) = (Memory::default(), Timestamp::from_secs(1));
    let mut walk = Walk::new(Section::Drives, &root, &mut memory, None, Limits::default(), at);
    let mut asked = Vec::new();
    while let Some(get) = walk.poll_get(&mut memory) {
        let (status, body) = match map.get(get.uri.as_str()) {
            Some(Value::Null) => (500, Vec::new()),
            Some(body) => (200, body.to_string().into_bytes()),
            None => (404, Vec::new()),
        };
        asked.push(get.uri.clone());
        walk.handle_body(&mut memory, &get, Answer::Http { status, body, etag: None }, at);
    }
    (walk.finish(&mut memory, at), asked)
}

fn components(outcome: &Outcome) -> Vec<String> {
    let readings = outcome.observations.iter().filter_map(|o| match o {
        Observation::Reading(r) if r.sensor == "health" => Some(r.component.to_string()),
        _ => None,
    });
    readings.collect()
}

const STORAGE: &str = "/redfish/v1/Systems/1/Storage";

/// A system with one storage whose drives are these.
fn system(drives: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let links: Vec<Value> = drives.iter().map(|(uri, _)| link(uri)).collect();
    let mut resources = vec![
        ("/redfish/v1/Chassis", json!({"@odata.id": "/redfish/v1/Chassis", "Members": []})),
        (
            "/redfish/v1/Systems",
            json!({"@odata.id": "/redfish/v1/Systems", "Members": [link("/redfish/v1/Systems/1")]}),
        ),
        (
            "/redfish/v1/Systems/1",
            json!({"@odata.id": "/redfish/v1/Systems/1", "Id": "1", "Storage": link(STORAGE),
            "SimpleStorage": link("/redfish/v1/Systems/1/SimpleStorage")}),
        ),
        (STORAGE, json!({"@odata.id": STORAGE, "Members": [link("/redfish/v1/Systems/1/Storage/R")]})),
        (
            "/redfish/v1/Systems/1/Storage/R",
            json!({"@odata.id": "/redfish/v1/Systems/1/Storage/R", "Id": "R", "Drives": links}),
        ),
        (
            "/redfish/v1/Systems/1/SimpleStorage",
            json!({"@odata.id": "/redfish/v1/Systems/1/SimpleStorage",
            "Members": [link("/redfish/v1/Systems/1/SimpleStorage/1")]}),
        ),
        (
            "/redfish/v1/Systems/1/SimpleStorage/1",
            json!({"@odata.id": "/redfish/v1/Systems/1/SimpleStorage/1", "Id": "1",
            "Devices": [{"Name": "SATA 0", "Status": {"Health": "OK"}}]}),
        ),
    ];
    resources.extend(drives.iter().cloned());
    resources
}

fn drive(id: &str) -> Value {
    json!({"@odata.id": format!("/redfish/v1/Systems/1/Storage/R/Drives/{id}"), "Id": id, "Name": id, "Status": {"Health": "OK"}})
}

#[test]
fn one_drive_that_fails_is_named_and_loses_no_other() {
    let (outcome, _) = poll(&system(&[
        ("/redfish/v1/Systems/1/Storage/R/Drives/a", drive("a")),
        ("/redfish/v1/Systems/1/Storage/R/Drives/b", Value::Null),
        ("/redfish/v1/Systems/1/Storage/R/Drives/c", drive("c")),
    ]));
    assert_eq!(components(&outcome), ["disk/a", "disk/c"]);
    let gaps: Vec<_> =
        outcome.observations.iter().filter_map(|o| if let Observation::Gap(g) = o { Some(g) } else { None }).collect();
    assert!(
        matches!(gaps.as_slice(), [gap] if gap.source.0.ends_with("/Drives/b") && gap.detail.contains("500")),
        "{gaps:?}"
    );
}

#[test]
fn simple_storage_is_asked_for_only_where_there_are_no_drives() {
    let (outcome, asked) = poll(&system(&[("/redfish/v1/Systems/1/Storage/R/Drives/a", drive("a"))]));
    assert_eq!(components(&outcome), ["disk/a"]);
    assert!(!asked.iter().any(|uri| uri.contains("SimpleStorage")), "{asked:?}");
    let (outcome, _) = poll(&system(&[]));
    assert_eq!(components(&outcome), ["disk/SATA 0"]);
}

#[test]
fn a_drive_is_asked_for_its_smart_resources_and_for_its_temperature_where_it_tells_none() {
    let with = |body: Value| {
        let mut drive = drive("a");
        drive.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        poll(&system(&[("/redfish/v1/Systems/1/Storage/R/Drives/a", drive)])).1
    };
    let smart = link("/redfish/v1/Systems/1/Storage/R/Drives/a/Oem/Dell/DellNVMeSMARTAttributes");
    let environment = link("/redfish/v1/Systems/1/Storage/R/Drives/a/EnvironmentMetrics");
    let asked = with(json!({"Oem": {"Dell": {"DellNVMeSMARTAttributes": smart}}, "EnvironmentMetrics": environment}));
    assert!(asked.iter().any(|uri| uri.ends_with("DellNVMeSMARTAttributes")), "{asked:?}");
    assert!(asked.iter().any(|uri| uri.ends_with("EnvironmentMetrics")), "{asked:?}");
    let asked = with(json!({"Oem": {"Lenovo": {"Temperature": 30}}, "EnvironmentMetrics": environment}));
    assert!(!asked.iter().any(|uri| uri.ends_with("EnvironmentMetrics")), "{asked:?}");
}

#[test]
fn hpes_logical_drives_stand_in_for_volumes() {
    let smart = "/redfish/v1/Systems/1/SmartStorage";
    let mut resources = system(&[("/redfish/v1/Systems/1/Storage/R/Drives/a", drive("a"))]);
    resources[2].1["Oem"] = json!({"Hpe": {"Links": {"SmartStorage": link(smart)}}});
    resources.extend([
        (smart, json!({"@odata.id": smart, "Links": {"ArrayControllers": link("/redfish/v1/Systems/1/SmartStorage/ArrayControllers")}})),
        ("/redfish/v1/Systems/1/SmartStorage/ArrayControllers", json!({"Members": [link("/redfish/v1/Systems/1/SmartStorage/ArrayControllers/0")]})),
        ("/redfish/v1/Systems/1/SmartStorage/ArrayControllers/0", json!({"Id": "0", "AdapterType": "SmartArray", "Status": {"Health": "OK"},
            "Links": {"LogicalDrives": link("/redfish/v1/Systems/1/SmartStorage/ArrayControllers/0/LogicalDrives")}})),
        ("/redfish/v1/Systems/1/SmartStorage/ArrayControllers/0/LogicalDrives", json!({"Members": [link("/redfish/v1/Systems/1/SmartStorage/ArrayControllers/0/LogicalDrives/1")]})),
        ("/redfish/v1/Systems/1/SmartStorage/ArrayControllers/0/LogicalDrives/1", json!({"Id": "1", "Raid": "1", "Status": {"Health": "Warning"}})),
    ]);
    let (outcome, _) = poll(&resources);
    let told: Vec<String> = outcome.observations.iter().map(|o| format!("{o:?}")).collect();
    assert!(told.iter().any(|o| o.contains("Warning, RAID1")), "{told:#?}");
}
