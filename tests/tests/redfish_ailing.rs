//! A BMC with one drive at HTTP 500, one log that takes eighteen seconds and one chassis that hangs: everything else is told, on time, and the three are named.
//!
//! A second of these tests is five at a real BMC: requests have one second instead of five, and the log takes 3.6.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod support_redfish;

use outband_bmc::client::Bmc;
use outband_schemas::{Cause, Gap, Observation, Reading, Section};
use outband_tests::sim::redfish_bmc::{Fault, Misdeed, Options, RedfishMap, RedfishTree, Service, Where};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use support_redfish::tree::{Tree, loosely};
use support_redfish::{Wall, options, runtime, target, trees};

/// Five seconds at a real BMC.
const DEADLINE: Duration = Duration::from_secs(1);
/// Eighteen seconds there.
const SLOW: Duration = Duration::from_millis(3600);

fn link(uri: &str) -> Value {
    json!({"@odata.id": uri})
}

fn collection(members: &[&str]) -> Value {
    json!({"Members": members.iter().map(|m| link(m)).collect::<Vec<_>>(), "Members@odata.count": members.len()})
}

/// A server with two chassis, three drives and two logs.
fn server() -> RedfishMap {
    let v1 = |rest: &str| format!("/redfish/v1{rest}");
    let status = json!({"State": "Enabled", "Health": "OK"});
    let mut all: Vec<(String, Value)> = vec![
        (
            v1(""),
            json!({"Id": "RootService", "Name": "Root", "RedfishVersion": "1.11.0", "Chassis": link("/redfish/v1/Chassis"),
                "Systems": link("/redfish/v1/Systems"), "Managers": link("/redfish/v1/Managers"),
                "SessionService": link("/redfish/v1/SessionService"),
                "Links": {"Sessions": link("/redfish/v1/SessionService/Sessions")}}),
        ),
        (v1("/Chassis"), collection(&["/redfish/v1/Chassis/Upper", "/redfish/v1/Chassis/Lower"])),
        (v1("/Systems"), collection(&["/redfish/v1/Systems/1"])),
        (
            v1("/Systems/1"),
            json!({"Id": "1", "Name": "System", "Status": status, "Storage": link("/redfish/v1/Systems/1/Storage"),
                "LogServices": link("/redfish/v1/Systems/1/LogServices")}),
        ),
        (v1("/Systems/1/Storage"), collection(&["/redfish/v1/Systems/1/Storage/R"])),
        (
            v1("/Systems/1/Storage/R"),
            json!({"Id": "R", "Name": "RAID", "Status": status, "Volumes": link("/redfish/v1/Systems/1/Storage/R/Volumes"),
                "Drives": (1..=3).map(|n| link(&v1(&format!("/Systems/1/Storage/R/Drives/Bay{n}")))).collect::<Vec<_>>()}),
        ),
        (v1("/Systems/1/Storage/R/Volumes"), collection(&["/redfish/v1/Systems/1/Storage/R/Volumes/V1"])),
        (v1("/Systems/1/Storage/R/Volumes/V1"), json!({"Id": "V1", "Name": "V1", "Status": status})),
        (v1("/Managers"), collection(&["/redfish/v1/Managers/1"])),
        (v1("/Managers/1"), json!({"Id": "1", "Name": "BMC", "Status": status})),
        (
            v1("/Systems/1/LogServices"),
            collection(&["/redfish/v1/Systems/1/LogServices/SEL", "/redfish/v1/Systems/1/LogServices/Audit"]),
        ),
    ];
    for log in ["SEL", "Audit"] {
        let uri = v1(&format!("/Systems/1/LogServices/{log}"));
        let entry = |n: u32| {
            json!({"@odata.id": format!("{uri}/Entries/{n}"), "Id": n.to_string(), "Name": "Entry", "Severity": "OK",
                "Created": format!("2025-01-0{n}T00:00:00Z"), "Message": format!("{log} entry {n}")})
        };
        all.push((uri.clone(), json!({"Id": log, "Name": log, "Entries": link(&format!("{uri}/Entries"))})));
        all.push((format!("{uri}/Entries"), json!({"Members": [entry(1), entry(2)], "Members@odata.count": 2})));
    }
    for drive in 1..=3 {
        all.push((
            v1(&format!("/Systems/1/Storage/R/Drives/Bay{drive}")),
            json!({"Id": format!("Bay{drive}"), "Name": "Drive", "SerialNumber": format!("S{drive}"), "Status": status,
                "PredictedMediaLifeLeftPercent": 90 + drive}),
        ));
    }
    for chassis in ["Upper", "Lower"] {
        let uri = v1(&format!("/Chassis/{chassis}"));
        all.push((
            uri.clone(),
            json!({"Id": chassis, "Name": chassis, "Status": status, "Thermal": link(&format!("{uri}/Thermal")),
                "Power": link(&format!("{uri}/Power"))}),
        ));
        all.push((
            format!("{uri}/Thermal"),
            json!({"Id": "Thermal", "Temperatures": [{"MemberId": "0", "Name": format!("{chassis} Inlet"), "ReadingCelsius": 21, "Status": status}],
                "Fans": [{"MemberId": "0", "Name": format!("{chassis} Fan 1"), "Reading": 5400, "ReadingUnits": "RPM", "Status": status}]}),
        ));
        all.push((
            format!("{uri}/Power"),
            json!({"Id": "Power", "PowerSupplies": [{"MemberId": "0", "Name": format!("{chassis} PSU 1"), "Status": status}]}),
        ));
    }
    RedfishMap::new(all)
}

fn ailments(drive: &str, log: &str, chassis: &str) -> Vec<Fault> {
    vec![
        Fault::always(Where::At(drive.to_owned()), Misdeed::Status(500)),
        Fault::always(Where::At(log.to_owned()), Misdeed::Slow(SLOW)),
        Fault::always(Where::At(chassis.to_owned()), Misdeed::Hang),
        Fault::always(Where::Under(format!("{chassis}/")), Misdeed::Hang),
    ]
}

async fn connect(service: &Service) -> Bmc {
    Bmc::connect(&target(service, DEADLINE)).await.unwrap()
}

fn gaps(observations: &[Observation]) -> Vec<&Gap> {
    observations.iter().filter_map(|o| if let Observation::Gap(g) = o { Some(g) } else { None }).collect()
}

fn readings(observations: &[Observation]) -> Vec<&Reading> {
    let readings = observations.iter().filter_map(|o| if let Observation::Reading(r) = o { Some(r) } else { None });
    readings.filter(|r| r.value.is_some()).collect()
}

/// Whether a gap names a place or one below or above it within a chassis, drive or log.
fn names(gaps: &[&Gap], uri: &str) -> bool {
    let uri = loosely(uri);
    gaps.iter().any(|g| loosely(&g.source.0).starts_with(&uri) || loosely(&g.detail).contains(&uri))
}

#[test]
fn sensors_are_told_while_a_slow_log_is_still_being_read() {
    runtime().block_on(async {
        let chassis = "/redfish/v1/Chassis/Lower";
        let log = "/redfish/v1/Systems/1/LogServices/SEL/Entries";
        let faults = ailments("/redfish/v1/Systems/1/Storage/R/Drives/Bay2", log, chassis);
        let service = server().serve(Options { faults, ..options() }).await.unwrap();
        let mut bmc = connect(&service).await;
        let mut other = bmc.share().unwrap();
        let slow = tokio::spawn(async move { other.poll(Section::Log, None, &Wall).await.unwrap() });
        // The slow request is on its way before the sensors are asked for.
        while !service.requests().iter().any(|r| r.contains(log)) {
            tokio::task::yield_now().await;
        }
        let sensors = bmc.poll(Section::Sensors, None, &Wall).await.unwrap();
        assert!(!slow.is_finished(), "the sensors did not wait for the log");
        let told = readings(&sensors.observations);
        for wanted in ["Upper/Thermal#/Temperatures/0", "Upper/Thermal#/Fans/0", "Upper/Power#/PowerSupplies/0"] {
            assert!(told.iter().any(|r| r.source.0.ends_with(wanted)), "{wanted} is told");
        }
        assert!(!told.iter().any(|r| r.source.0.contains("Lower")), "nothing is made up for the chassis that hangs");
        let gaps = gaps(&sensors.observations);
        assert!(gaps.iter().any(|g| g.source.0.contains(chassis) && g.cause == Cause::Timeout), "{gaps:?}");
        let log = slow.await.unwrap();
        let entries = log.observations.iter().filter(|o| matches!(o, Observation::Event(_))).count();
        assert_eq!(entries, 4, "a log that takes 18 s is read to its end: {:?}", log.observations);
        bmc.close().await.unwrap();
        assert_eq!(service.open_sessions(), 0);
    });
}

#[test]
fn one_drive_that_fails_to_answer_loses_only_itself() {
    runtime().block_on(async {
        let drive = "/redfish/v1/Systems/1/Storage/R/Drives/Bay2";
        let faults = ailments(drive, "/redfish/v1/Systems/1/LogServices/SEL/Entries", "/redfish/v1/Chassis/Lower");
        let service = server().serve(Options { faults, ..options() }).await.unwrap();
        let mut bmc = connect(&service).await;
        let polled = bmc.poll(Section::Drives, None, &Wall).await.unwrap();
        let told = readings(&polled.observations);
        for wanted in ["Drives/Bay1", "Drives/Bay3", "Volumes/V1"] {
            assert!(told.iter().any(|r| r.source.0.contains(wanted)), "{wanted} is told");
        }
        assert!(!told.iter().any(|r| r.source.0.contains("Bay2")));
        let gaps = gaps(&polled.observations);
        assert!(gaps.iter().any(|g| g.source.0.ends_with("Bay2") && g.cause == Cause::BmcError), "{gaps:?}");
        bmc.close().await.unwrap();
    });
}

/// Sources of everything told, section by section.
async fn sources(service: &Service) -> Vec<(Section, BTreeSet<String>, Vec<Gap>)> {
    let mut bmc = connect(service).await;
    let mut out = Vec::new();
    for section in Section::OF_BMC {
        let polled = bmc.poll(section, None, &Wall).await.unwrap();
        let source = |o: &Observation| match o {
            Observation::Reading(r) if r.value.is_some() => vec![loosely(&r.source.0)],
            Observation::Event(e) => vec![loosely(&e.source.0)],
            Observation::Inventory(i) => i.parts.iter().map(|p| loosely(&p.source.0)).collect(),
            Observation::Reading(_) | Observation::Gap(_) => Vec::new(),
        };
        let told = polled.observations.iter().flat_map(source).collect();
        out.push((section, told, gaps(&polled.observations).into_iter().cloned().collect()));
    }
    bmc.close().await.unwrap();
    out
}

/// Polls a captured tree once in health and once with the three ailments: what was told and lies elsewhere is told again.
fn rest_is_told(name: &str) {
    let Some((dir, _)) = trees() else { return };
    let dir = dir.join(name);
    let tree = Tree::open(&dir);
    let holdings = tree.holdings();
    let of_kind =
        |kind: &str| holdings.items.iter().filter(|i| i.kind == kind).map(|i| i.uri.clone()).collect::<Vec<_>>();
    // The chassis with the fewest sensors hangs, so that there is a rest.
    let sensors =
        |chassis: &String| holdings.items.iter().filter(|i| i.kind != "chassis" && i.owner == *chassis).count();
    let chassis = of_kind("chassis").into_iter().min_by_key(sensors).unwrap();
    let drive = of_kind("drive").into_iter().find(|d| !d.contains('#') && !d.starts_with(&chassis)).unwrap();
    let entry = of_kind("log_entry").into_iter().next().unwrap();
    let log = entry.rsplit_once('/').unwrap().0.split('#').next().unwrap().to_owned();
    runtime().block_on(async {
        let healthy = sources(&RedfishTree::serve(&dir, options()).await.unwrap()).await;
        let faults = ailments(&drive, &log, &chassis);
        let ailing = sources(&RedfishTree::serve(&dir, Options { faults, ..options() }).await.unwrap()).await;
        let (drive_at, chassis_at) = (loosely(&drive), format!("{}/", loosely(&chassis)));
        let mut named = BTreeSet::new();
        for ((section, before, _), (_, after, gaps)) in healthy.iter().zip(&ailing) {
            let gaps: Vec<&Gap> = gaps.iter().collect();
            // What a client puts off since the BMC is slow now, and says so, is told by a later poll.
            let put_off = |s: &str| {
                let above = gaps.iter().filter(|g| g.cause == Cause::Cancelled);
                above.into_iter().any(|g| s.starts_with(&format!("{}/", loosely(&g.source.0))))
            };
            let lost: Vec<&String> = before
                .difference(after)
                .filter(|s| !put_off(s))
                .filter(|s| !s.starts_with(&drive_at) && !s.starts_with(&chassis_at) && **s != loosely(&chassis))
                .collect();
            eprintln!(
                "{name} {}: {} told before, {} now, {} gaps",
                section.as_str(),
                before.len(),
                after.len(),
                gaps.len()
            );
            assert!(lost.is_empty(), "{name} {}: lost with what ails: {lost:?}, gaps {gaps:?}", section.as_str());
            named.extend(
                [("drive", &drive), ("chassis", &chassis)]
                    .into_iter()
                    .filter(|(_, uri)| names(&gaps, uri))
                    .map(|(what, _)| what),
            );
        }
        assert_eq!(named, BTreeSet::from(["chassis", "drive"]), "{name}: {drive} and {chassis} are named");
    });
}

#[test]
fn an_ailing_r750_tells_the_rest() {
    rest_is_told("dell-libredfish-R750");
}

#[test]
fn an_ailing_dl380a_tells_the_rest() {
    rest_is_told("hpe-emu-DL380a");
}

#[test]
fn an_ailing_sr670_tells_the_rest() {
    rest_is_told("lenovo-libredfish");
}

#[test]
fn an_ailing_821ge_tells_the_rest() {
    rest_is_told("supermicro-libredfish");
}
