//! The simulated Redfish service against `redfishtool`, a client that others wrote, and what it does when told to misbehave.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_tests::sim::machine::{Fault, FaultKind};
use outband_tests::sim::redfish_bmc::{Fault as Wrong, Misdeed, Options, RedfishServer, RedfishTree, Service, Where};
use outband_tests::{skip, wait_until};
use serde_json::Value;
use std::process::{Command, Output};
use std::time::Duration;

#[allow(dead_code, reason = "each test file uses its own part")]
mod support_sim;

use support_sim::{PASSWORD, USER, client, get, get_json, machine, options, runtime};

/// What `redfishtool` prints; `None`, said on stderr, where it is not installed.
fn redfishtool(service: &Service, password: &str, command: &[&str]) -> Option<Output> {
    let mut tool = Command::new("redfishtool");
    tool.args(["-r", &service.addr.to_string(), "-S", "Always", "-A", "Session", "-u", USER, "-p", password]);
    match tool.args(command).output() {
        Ok(output) => Some(output),
        Err(error) => {
            skip(format!("redfishtool: {error}"));
            None
        }
    }
}

fn parsed(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text} {error}"))
}

#[test]
fn redfishtool_walks_systems_and_chassis_in_a_session_that_it_ends() {
    let runtime = runtime();
    let machine = machine(Vec::new());
    let service = runtime.block_on(RedfishServer::serve(machine.clone(), options())).unwrap();
    let Some(output) = redfishtool(&service, PASSWORD, &["Systems", "-I", "1", "get"]) else { return };
    assert_eq!(parsed(&output)["SerialNumber"], "NG0000018");
    let Some(output) = redfishtool(&service, PASSWORD, &["Chassis", "-I", "1", "Thermal"]) else { return };
    let thermal = parsed(&output);
    assert_eq!(thermal["Temperatures"].as_array().unwrap().len(), 6);
    let inlet = thermal["Temperatures"][0]["ReadingCelsius"].as_f64().unwrap();
    assert!((inlet - machine.now().thermal.inlet).abs() < 2.0, "{inlet}");
    let Some(output) = redfishtool(&service, PASSWORD, &["Chassis", "-I", "1", "Power"]) else { return };
    assert_eq!(parsed(&output)["PowerSupplies"].as_array().unwrap().len(), 2);
    let Some(output) = redfishtool(&service, PASSWORD, &["Systems", "-I", "1", "-i", "Sel", "-E", "Logs"]) else {
        return;
    };
    assert!(String::from_utf8_lossy(&output.stdout).contains("System power-up."), "{output:?}");
    assert_eq!(service.open_sessions(), 0);
}

#[test]
fn a_wrong_password_opens_no_session() {
    let runtime = runtime();
    let service = runtime.block_on(RedfishServer::serve(machine(Vec::new()), options())).unwrap();
    let Some(output) = redfishtool(&service, "wrong", &["Systems", "-I", "1", "get"]) else { return };
    assert!(!output.status.success());
    assert_eq!(service.open_sessions(), 0);
}

#[test]
fn every_link_of_a_generated_service_leads_to_a_resource() {
    runtime().block_on(async {
        let service = RedfishServer::serve(machine(Vec::new()), options()).await.unwrap();
        let mut todo = vec!["/redfish/v1".to_owned()];
        let mut seen = std::collections::BTreeSet::new();
        while let Some(path) = todo.pop() {
            let path = path.split('#').next().unwrap_or_default().to_owned();
            if !seen.insert(path.clone()) {
                continue;
            }
            gather(&get_json(&service, &path).await, &mut todo);
        }
        assert!(seen.len() > 50, "{seen:?}");
    });
}

fn gather(value: &Value, links: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            links.extend(object.get("@odata.id").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|v| gather(v, links));
        }
        Value::Array(array) => array.iter().for_each(|v| gather(v, links)),
        _ => {}
    }
}

#[test]
fn a_wearing_drive_shows_in_its_smart_table_and_then_predicts_its_failure() {
    runtime().block_on(async {
        let wears = Fault { kind: FaultKind::DiskWears { bay: 3 }, onset: 0.1, over: 1.0 };
        let service = RedfishServer::serve(machine(vec![wears]), options()).await.unwrap();
        let path = "/redfish/v1/Systems/1/Storage/RAID1/Drives/3";
        let mut worst = 0;
        loop {
            let drive = get_json(&service, path).await;
            let table = &drive["Oem"]["Huawei"]["SATASmartInformation"]["AttributeItemList"];
            let row = table.as_array().unwrap().iter().find(|a| a["Id"] == 5).unwrap();
            let reallocated = row["RawValue"].as_u64().unwrap();
            assert!(reallocated >= worst, "{reallocated} after {worst}");
            worst = reallocated;
            if drive["FailurePredicted"] == true {
                break;
            }
        }
        assert!(worst > 400, "{worst}");
        let entries = get_json(&service, "/redfish/v1/Systems/1/LogServices/Sel/Entries").await;
        assert_eq!(entries["Members"][1]["MessageId"], "StorageDevice.1.1.DrivePredictiveFailure");
    });
}

#[test]
fn a_long_log_comes_in_pages() {
    runtime().block_on(async {
        let machine = machine(Vec::new());
        for _ in 0..119 {
            machine.now().log(outband_tests::sim::machine::Happening::EccCorrected { dimm: 2 }, true);
        }
        let service = RedfishServer::serve(machine, options()).await.unwrap();
        let mut next = Some("/redfish/v1/Systems/1/LogServices/Sel/Entries".to_owned());
        let mut sizes = Vec::new();
        while let Some(path) = next {
            let page = get_json(&service, &path).await;
            assert_eq!(page["Members@odata.count"], 120);
            sizes.push(page["Members"].as_array().unwrap().len());
            next = page["Members@odata.nextLink"].as_str().map(str::to_owned);
        }
        assert_eq!(sizes, [50, 50, 20]);
    });
}

#[test]
fn a_misbehaving_service_does_what_it_was_told() {
    runtime().block_on(async {
        let at = |path: &str, misdeed| Wrong::always(Where::At(format!("/redfish/v1/{path}")), misdeed);
        let faults = vec![
            Wrong::first(1, Where::At("/redfish/v1/Chassis".to_owned()), Misdeed::Status(503)),
            at("Systems", Misdeed::Html(504)),
            at("Managers", Misdeed::TruncatedJson),
            at("UpdateService", Misdeed::BrokenOff),
        ];
        let service = RedfishServer::serve(machine(Vec::new()), Options { faults, ..options() }).await.unwrap();
        assert_eq!(get(&service, "/redfish/v1/Chassis").await.unwrap().0, 503);
        assert_eq!(get(&service, "/redfish/v1/Chassis/").await.unwrap().0, 200);
        assert!(get(&service, "/redfish/v1/Systems").await.unwrap().1.starts_with(b"<html>"));
        let (status, text) = get(&service, "/redfish/v1/Managers").await.unwrap();
        assert!(status == 200 && serde_json::from_slice::<Value>(&text).is_err());
        assert!(get(&service, "/redfish/v1/UpdateService").await.is_err());
    });
}

#[test]
fn sessions_are_limited_and_free_again_when_ended() {
    runtime().block_on(async {
        let service =
            RedfishServer::serve(machine(Vec::new()), Options { max_sessions: 2, ..options() }).await.unwrap();
        let http = client(&service);
        let url = format!("{}/redfish/v1/SessionService/Sessions", service.url());
        let log_in = || http.post(&url).json(&serde_json::json!({"UserName": USER, "Password": PASSWORD})).send();
        let first = log_in().await.unwrap();
        assert_eq!(first.status(), 201);
        assert_eq!(log_in().await.unwrap().status(), 201);
        assert_eq!(log_in().await.unwrap().status(), 503);
        let header = |name: &str| first.headers()[name].to_str().unwrap().to_owned();
        let session = format!("{}{}", service.url(), header("location"));
        let ended = http.delete(session).header("x-auth-token", header("x-auth-token")).send().await.unwrap();
        assert_eq!(ended.status(), 204);
        assert_eq!(log_in().await.unwrap().status(), 201);
    });
}

#[test]
fn a_silent_bmc_answers_nobody() {
    runtime().block_on(async {
        let silent = Fault { kind: FaultKind::BmcSilent, onset: 0.05, over: 1.0 };
        let machine = machine(vec![silent]);
        let service = RedfishServer::serve(machine.clone(), options()).await.unwrap();
        assert!(wait_until(Duration::from_secs(5), || machine.now().silent));
        let request = client(&service).get(service.url()).timeout(Duration::from_millis(300)).send();
        assert!(request.await.unwrap_err().is_timeout());
    });
}

#[test]
fn a_captured_tree_is_served_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let folder = dir.path().join(path);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("index.json"), text).unwrap();
    };
    put("redfish/v1", r#"{"Name":"Root"}"#);
    put("redfish/v1/Chassis/Fans/0x17%7C%7CFan", r#"{"Name":"Odd"}"#);
    put("redfish/v1/Logs/Entries", r#"{"Name":"First"}"#);
    put("redfish/v1/Logs/Entries?$skip=50", r#"{"Name":"Second"}"#);
    runtime().block_on(async {
        let service = RedfishTree::serve(dir.path(), Options::default()).await.unwrap();
        for (path, name) in [
            ("/redfish/v1/", "Root"),
            ("/redfish/v1/Chassis/Fans/0x17||Fan", "Odd"),
            ("/redfish/V1/logs/Entries", "First"),
            ("/redfish/v1/Logs/Entries?$skip=50", "Second"),
        ] {
            assert_eq!(get_json(&service, path).await["Name"], name, "{path}");
        }
        assert_eq!(get(&service, "/redfish/v1/Nothing").await.unwrap().0, 404);
    });
}
