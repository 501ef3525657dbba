//! The simulated Redfish service against `redfishtool`, a client that others wrote, and what it does when told to misbehave.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_tests::sim::machine::{Fault, FaultKind, Happening};
use outband_tests::sim::redfish_bmc::{
    Doors, Etag, Fault as Wrong, Misdeed, Options, Push, RedfishServer, RedfishTree, Service, Where,
};
use outband_tests::{skip, wait_until, workspace_dir};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
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

/// What `sim_redfish_client.py` prints; `None`, said on stderr, where the client that it drives is not installed.
fn python_client(service: &Service) -> Option<Value> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace_dir().join("target"), PathBuf::from);
    let own = target.join("python/bin/python3");
    let python = if own.exists() { own } else { PathBuf::from("python3") };
    let script = workspace_dir().join("tests/tests/sim_redfish_client.py");
    let mut command = Command::new(&python);
    command.arg(script).arg(service.url()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            skip(format!("{}: {error}", python.display()));
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(format!("{USER}\n{PASSWORD}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.code() == Some(77) {
        skip(format!("the Python client `redfish` is not installed: {}", String::from_utf8_lossy(&output.stderr)));
        return None;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(parsed(&output))
}

#[test]
fn the_clients_of_others_log_in_expand_page_hold_etags_listen_and_log_out() {
    let runtime = runtime();
    let machine = machine(Vec::new());
    for _ in 0..59 {
        machine.now().log(Happening::EccCorrected { dimm: 2 }, true);
    }
    let expand = serde_json::json!({"ExpandQuery": {"NoLinks": true, "Levels": true, "MaxLevels": 1}});
    let options =
        Options { features: Some(expand), etag: Etag::Weak, push: Some(Push::default()), max_sessions: 1, ..options() };
    let service = runtime.block_on(RedfishServer::serve(machine.clone(), options)).unwrap();
    let Some(told) = python_client(&service) else { return };
    let dimms = machine.now().dimms.len();
    let wanted = serde_json::json!({
        "wrong_password": "InvalidCredentialsError", "serial": "NG0000018", "members": [dimms, dimms], "serials": [0, dimms],
        "pages": [50, 10], "etag": [200, 304], "missing": 404, "sse": ["text/event-stream", "over the stream"],
        "subscribed": 201, "delivered": ["python", "delivered"], "unsubscribed": 204,
    });
    assert_eq!(told, wanted);
    let stats = service.stats();
    assert_eq!((stats.open_sessions, stats.logins, stats.failed_logins), (0, 1, 1));
    assert!(service.subscriptions().is_empty());
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
fn a_session_that_is_not_used_ends_and_one_that_is_used_stays() {
    runtime().block_on(async {
        let idle = Duration::from_millis(600);
        let service =
            RedfishServer::serve(machine(Vec::new()), Options { session_idle: Some(idle), ..options() }).await.unwrap();
        let (status, token, _) = log_in(&service, "/redfish/v1/SessionService/Sessions", PASSWORD).await;
        assert_eq!(status, 201);
        let used = async || {
            let request =
                client(&service).get(format!("{}/redfish/v1/Systems", service.url())).header("x-auth-token", &token);
            request.send().await.unwrap().status().as_u16()
        };
        let end = std::time::Instant::now() + idle * 2;
        while std::time::Instant::now() < end {
            assert_eq!(used().await, 200);
        }
        assert!(wait_until(idle * 10, || service.open_sessions() == 0));
        assert_eq!(used().await, 401);
    });
}

#[test]
fn sessions_are_opened_at_the_doors_that_there_are() {
    const NEW: &str = "/redfish/v1/SessionService/Sessions";
    const OLD: &str = "/redfish/v1/Sessions";
    runtime().block_on(async {
        for (doors, new, old, basic) in [
            (Doors::Both, 201, 201, 200),
            (Doors::New, 201, 404, 200),
            (Doors::Old, 405, 201, 200),
            (Doors::BasicOnly, 405, 405, 200),
            (Doors::NoBasic, 201, 201, 401),
        ] {
            let service = RedfishServer::serve(machine(Vec::new()), Options { doors, ..options() }).await.unwrap();
            let told = [log_in(&service, NEW, PASSWORD).await.0, log_in(&service, OLD, PASSWORD).await.0];
            assert_eq!((told, get(&service, "/redfish/v1/Systems").await.unwrap().0), ([new, old], basic), "{doors:?}");
        }
        let doors = Doors::AbsoluteLocation;
        let service = RedfishServer::serve(machine(Vec::new()), Options { doors, ..options() }).await.unwrap();
        let (_, token, location) = log_in(&service, NEW, PASSWORD).await;
        assert!(location.starts_with(&format!("{}/redfish/v1/", service.url())), "{location}");
        let ended = client(&service).delete(&location).header("x-auth-token", token).send().await.unwrap();
        assert_eq!((ended.status().as_u16(), service.open_sessions()), (204, 0));
    });
}

/// Status, token and location of the answer to a login.
async fn log_in(service: &Service, path: &str, password: &str) -> (u16, String, String) {
    let url = format!("{}{path}", service.url());
    let body = serde_json::json!({"UserName": USER, "Password": password});
    let response = client(service).post(url).json(&body).send().await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    (response.status().as_u16(), header("x-auth-token"), header("location"))
}

#[test]
fn too_many_failed_logins_in_a_row_lock_everybody_out() {
    runtime().block_on(async {
        let service =
            RedfishServer::serve(machine(Vec::new()), Options { lock_out: Some(2), ..options() }).await.unwrap();
        let path = "/redfish/v1/SessionService/Sessions";
        let try_with = async |password| log_in(&service, path, password).await.0;
        let one = [("wrong", 401), (PASSWORD, 201)];
        let two = [("wrong", 401), ("wrong", 401), (PASSWORD, 401)];
        for (password, status) in one.into_iter().chain(one).chain(two) {
            assert_eq!(try_with(password).await, status);
        }
        assert_eq!((service.stats().logins, service.stats().failed_logins), (2, 5));
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
