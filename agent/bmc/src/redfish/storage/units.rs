//! Controllers with what backs their caches, and volumes.

use super::words;
use crate::redfish::inventory::serial;
use crate::redfish::lenient::{as_text, clip, list, number, text};
use crate::redfish::report::{Report, Seen, Status, name, state};
use crate::redfish::route::Role;
use crate::redfish::walk::{Node, tail};
use outband_schemas::{ComponentClass, ComponentId, Reading, State, Value as Told};
use serde_json::Value;

/// The place of a controller or volume.
pub(in crate::redfish) fn place(report: &mut Report<'_>, class: ComponentClass, node: &Node) -> ComponentId {
    let wished = name(&node.body, &["Id", "MemberId", "Name"]).unwrap_or_else(|| node.tail().to_owned());
    // Controllers are mostly "0" below a storage that has the telling name.
    let wished = if wished.chars().all(|c| c.is_ascii_digit()) {
        let holder = node.uri.split(['#']).next().unwrap_or_default();
        let below = ["/Controllers", "/Volumes", "/LogicalDrives", "/ArrayControllers"];
        let holder = below.iter().fold(holder, |uri, part| uri.split(part).next().unwrap_or(uri));
        format!("{} {wished}", tail(holder))
    } else {
        wished
    };
    report.memory.part(class, &wished, &node.uri)
}

pub(super) fn controllers(report: &mut Report<'_>) {
    let standard: Vec<&Node> = report.of(Role::StorageController).collect();
    // HPE's array controllers are listed among the standard ones by newer firmware only.
    let of_hpe: Vec<&Node> = report.of(Role::SmartStorage).filter(|n| n.body.get("AdapterType").is_some()).collect();
    let mut told: Vec<(Option<String>, ComponentId)> = Vec::new();
    for node in standard.into_iter().chain(of_hpe) {
        let own = serial(&node.body);
        let twin = told.iter().find(|(other, _)| node.role == Role::SmartStorage && own.is_some() && *other == own);
        let component = match twin {
            Some((_, component)) => component.clone(),
            None => place(report, ComponentClass::StorageController, node),
        };
        let seen = Seen { uri: node.uri.clone(), at: node.at };
        if twin.is_none() {
            report.push(state(&component, "health", &Status::of(&node.body), &seen));
        }
        if let Some(cache) = node.body.get("CacheSummary") {
            let seen = Seen { uri: format!("{}#/CacheSummary", node.uri), at: node.at };
            report.push(state(&component, "cache", &Status::of(cache), &seen));
        }
        for (sensor, pointer, said) in backing(&node.body) {
            let seen = Seen { uri: format!("{}#{pointer}", node.uri), at: node.at };
            report.push(match said {
                Said::Status(status) => state(&component, &sensor, &status, &seen),
                Said::Word(word) => words::state(&component, &sensor, &word, &seen),
            });
        }
        told.push((own, component));
    }
}

/// What keeps a cache alive without power, by its name: HPE's `BackupPowerSourceStatus` and `CacheModuleStatus`, Huawei's `CapacitanceStatus`, and the like.
fn backing(body: &Value) -> Vec<(String, String, Said)> {
    let mut found = Vec::new();
    search(body, "", 0, &mut found);
    found
}

/// How a state is written: as a `Status`, or in one word.
enum Said {
    Status(Status),
    Word(String),
}

fn search(value: &Value, pointer: &str, depth: usize, found: &mut Vec<(String, String, Said)>) {
    let Some(fields) = value.as_object().filter(|_| depth < 4) else { return };
    for (field, inner) in fields.iter().filter(|(f, _)| !f.contains('@') && !matches!(f.as_str(), "Links" | "Actions"))
    {
        let plain = field.to_ascii_lowercase();
        let backs = ["battery", "capacit", "bbu", "backuppower", "cachemodule"].iter().any(|w| plain.contains(w));
        let at = format!("{pointer}/{}", field.replace('~', "~0").replace('/', "~1"));
        if backs && ["status", "state", "health"].iter().any(|end| plain.ends_with(end)) {
            let said = match inner {
                Value::Object(_) => {
                    Some(Said::Status(Status { state: text(inner, "State"), health: text(inner, "Health") }))
                }
                other => as_text(other).map(Said::Word),
            };
            found.extend(said.map(|said| (clip(field, 60), at, said)));
        } else if depth == 0 && field == "Oem" || depth > 0 {
            search(inner, &at, depth + 1, found);
        }
    }
}

/// Batteries that have a resource of their own within another: HPE's `SmartStorageBattery` in the chassis, Dell's `DellControllerBattery` in the storage.
pub(super) fn batteries(report: &mut Report<'_>) {
    let chassis: Vec<&Node> = report.of(Role::Chassis).collect();
    for node in chassis {
        let oem = node.body.get("Oem");
        for hpe in ["Hpe", "Hp"].iter().filter_map(|o| oem?.get(*o)) {
            for (index, battery) in list(hpe, "SmartStorageBattery").iter().enumerate() {
                let seen = Seen { uri: format!("{}#/Oem/Hpe/SmartStorageBattery/{index}", node.uri), at: node.at };
                let number = text(battery, "Index").unwrap_or_else(|| (index + 1).to_string());
                let wished = report.within(&node.uri, &format!("Storage battery {number}"));
                let component = report.memory.part(ComponentClass::Battery, &wished, &seen.uri);
                report.push(state(&component, "health", &Status::of(battery), &seen));
            }
        }
    }
    let holders: Vec<&Node> = report.of(Role::Storage).chain(report.of(Role::StorageController)).collect();
    for node in holders {
        let dell = node.body.get("Oem").and_then(|o| o.get("Dell")).and_then(|d| d.get("DellControllerBattery"));
        let Some(battery) = dell.filter(|b| b.is_object()) else { continue };
        let seen = Seen { uri: format!("{}#/Oem/Dell/DellControllerBattery", node.uri), at: node.at };
        let id = name(battery, &["Id", "Name"]).unwrap_or_else(|| format!("Battery of {}", node.tail()));
        // It is shown below its storage and below its controller.
        let own = text(battery, "@odata.id").unwrap_or_else(|| seen.uri.clone());
        let component = report.memory.part(ComponentClass::Battery, &id, &own);
        let status = Status { state: text(battery, "RAIDState"), health: text(battery, "PrimaryStatus") };
        report.push(state(&component, "health", &status, &seen));
    }
}

pub(super) fn volumes(report: &mut Report<'_>) {
    for node in report.of(Role::Volume).collect::<Vec<_>>() {
        let component = place(report, ComponentClass::Volume, node);
        let seen = Seen { uri: node.uri.clone(), at: node.at };
        report.push(volume_state(&component, node, &seen));
        report.push(operation(&component, &node.body, &seen));
    }
}

/// A volume's state; its own word for it (`Optimal`, `Degraded`) where `Status` says nothing of health; and what kind of array it is.
fn volume_state(component: &ComponentId, node: &Node, seen: &Seen) -> Option<Reading> {
    let body = &node.body;
    let mut status = Status::of(body);
    let makers: Vec<&Value> = body.get("Oem").and_then(Value::as_object).into_iter().flat_map(|o| o.values()).collect();
    let within = |maker: &Value| -> Vec<Value> {
        let inner = maker.as_object().into_iter().flat_map(|o| o.values()).filter(|v| v.is_object());
        std::iter::once(maker).chain(inner).cloned().collect()
    };
    let sections: Vec<Value> = makers.into_iter().flat_map(within).collect();
    let of_maker = |fields: &[&str]| sections.iter().find_map(|s| name(s, fields));
    let word = of_maker(&["VolumeState", "RaidStatus", "State"]).filter(|_| status.health.is_none());
    if let Some(word) = &word {
        status = words::status(word);
    }
    let raid = name(body, &["RAIDType"])
        .or_else(|| of_maker(&["VolumeRaidLevel", "RaidLevel", "RAIDLevel", "RaidType"]))
        .or_else(|| text(body, "Raid").map(|level| format!("RAID{level}")))
        .or_else(|| name(body, &["VolumeType"]));
    let mut reading = state(component, "health", &status, seen)?;
    if let Some(Told::State { text, .. }) = &mut reading.value {
        // The text is the maker's own; what it means is in the state.
        if let Some(word) = word {
            *text = word;
        }
        if let Some(raid) = raid {
            *text = format!("{text}, {}", clip(&raid, 40));
        }
    }
    Some(reading)
}

/// What is being done to a drive or volume now: a rebuild says that redundancy is not back yet.
pub(super) fn operation(component: &ComponentId, body: &Value, seen: &Seen) -> Option<Reading> {
    let going = list(body, "Operations").iter().filter_map(|operation| {
        let what = name(operation, &["OperationName", "Operation"])?;
        let done = number(operation, "PercentageComplete");
        Some(done.map_or_else(|| what.clone(), |n| format!("{what} {:.0} %", n.value)))
    });
    let going: Vec<String> = going.collect();
    if going.is_empty() {
        return None;
    }
    let text = going.join(", ");
    let plain = text.to_ascii_lowercase();
    let restores = ["rebuild", "reconstruct", "recover", "resync"].iter().any(|w| plain.contains(w));
    let status = Status { state: Some(text), health: None };
    let mut reading = state(component, "operation", &status, seen)?;
    if let Some(Told::State { state, .. }) = &mut reading.value {
        *state = if restores { State::Warning } else { State::Ok };
    }
    Some(reading)
}
