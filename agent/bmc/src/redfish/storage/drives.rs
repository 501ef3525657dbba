//! Every drive once, however often it is listed.

use crate::redfish::inventory::serial;
use crate::redfish::lenient::{as_text, clip, list, number, text};
use crate::redfish::report::{Report, Seen, Status, name};
use crate::redfish::route::Role;
use crate::redfish::walk::{Node, tail};
use outband_schemas::{ComponentClass, ComponentId, Part, Source};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A drive: its resource, what adds to it, and its place.
pub(in crate::redfish) struct Drive<'a> {
    pub(in crate::redfish) component: ComponentId,
    pub(in crate::redfish) body: &'a Value,
    pub(in crate::redfish) seen: Seen,
    /// Resources with more figures of it.
    pub(super) details: Vec<&'a Node>,
    /// Where else it is listed.
    pub(super) listings: Vec<&'a Node>,
}

/// Every drive once. Some BMCs list a drive below its storage and below its chassis, under two URIs: it is one where serial, model and size agree. HPE shows
/// the drives of an array controller once more below `SmartStorage`, with figures that the first does not have: they are matched by serial. Devices of
/// `SimpleStorage` have neither serial nor bay and count only where there is nothing better.
pub(in crate::redfish) fn drives<'a>(report: &mut Report<'a>) -> Vec<Drive<'a>> {
    let standard: Vec<&'a Node> = report.of(Role::Drive).collect();
    let extra: Vec<&'a Node> = report.of(Role::SmartDrive).collect();
    let mut drives: Vec<Drive<'a>> = Vec::new();
    let mut matched = BTreeSet::new();
    let mut places = BTreeMap::new();
    let twice = listed_twice(&standard);
    for node in standard {
        let own = details(report, node);
        let same = identity(node).filter(|s| twice.contains(s));
        let known = same.as_ref().and_then(|s| places.get(s).copied()).and_then(|index: usize| drives.get_mut(index));
        if let Some(known) = known {
            known.details.push(node);
            known.details.extend(own);
            known.listings.push(node);
            report.memory.place(&known.component, &node.uri);
            continue;
        }
        places.extend(same.map(|s| (s, drives.len())));
        let serial_here = serial(&node.body);
        let twin = extra.iter().find(|e| serial_here.is_some() && serial(&e.body) == serial_here);
        matched.extend(twin.map(|t| t.uri.clone()));
        let mut drive = drive(report, &node.body, &node.uri, node);
        drive.details = own.into_iter().chain(twin.copied()).collect();
        if let Some(twin) = twin {
            report.memory.place(&drive.component, &twin.uri);
        }
        drives.push(drive);
    }
    for node in extra.into_iter().filter(|e| !matched.contains(&e.uri)) {
        let drive = drive(report, &node.body, &node.uri, node);
        drives.push(drive);
    }
    if drives.is_empty() {
        for node in report.of(Role::SimpleStorage) {
            for (index, device) in list(&node.body, "Devices").iter().enumerate().filter(|(_, d)| d.is_object()) {
                let uri = format!("{}#/Devices/{index}", node.uri);
                let wished = name(device, &["Name"]).unwrap_or_else(|| format!("Device {index}"));
                let component = report.memory.part(ComponentClass::Disk, &wished, &uri);
                let seen = Seen { uri, at: node.at };
                drives.push(Drive { component, body: device, seen, details: Vec::new(), listings: Vec::new() });
            }
        }
    }
    drives
}

fn drive<'a>(report: &mut Report<'a>, body: &'a Value, uri: &str, node: &Node) -> Drive<'a> {
    let component = drive_place(report, body, uri);
    let seen = Seen { uri: uri.to_owned(), at: node.at };
    Drive { component, body, seen, details: Vec::new(), listings: Vec::new() }
}

/// What was read for a drive alone: its own metrics, and those of the controller that is built into it (NVMe), known by its serial.
fn details<'a>(report: &Report<'a>, node: &Node) -> Vec<&'a Node> {
    let own = serial(&node.body);
    let built_in: Vec<&str> = report
        .of(Role::StorageController)
        .filter(|c| own.is_some() && serial(&c.body) == own)
        .map(|c| c.uri.as_str())
        .collect();
    report.of(Role::DriveDetail).filter(|d| d.parent == node.uri || built_in.contains(&d.parent.as_str())).collect()
}

type Identity = (String, Option<String>, Option<String>);

/// A drive's serial, model and size; `None` where it has no serial.
fn identity(node: &Node) -> Option<Identity> {
    serial(&node.body).map(|serial| (serial, text(&node.body, "Model"), text(&node.body, "CapacityBytes")))
}

/// The drives that are listed once below each of several top collections. One that repeats within a collection is no proof: firmware that knows no
/// serial writes the same everywhere.
fn listed_twice(drives: &[&Node]) -> BTreeSet<Identity> {
    let mut collections: BTreeMap<Identity, Vec<&str>> = BTreeMap::new();
    for node in drives {
        if let Some(identity) = identity(node) {
            collections.entry(identity).or_default().push(node.uri.split('/').nth(3).unwrap_or_default());
        }
    }
    let unique = |list: &[&str]| list.iter().collect::<BTreeSet<_>>().len() == list.len();
    collections.into_iter().filter(|(_, list)| list.len() > 1 && unique(list)).map(|(identity, _)| identity).collect()
}

/// A drive's place: what is printed at its bay, else the bay's number, else the resource's id.
fn drive_place(report: &mut Report<'_>, body: &Value, uri: &str) -> ComponentId {
    let part =
        |field: &str| body.get("PhysicalLocation").and_then(|l| l.get("PartLocation")).and_then(|p| text(p, field));
    let label = part("ServiceLabel").filter(|l| !l.contains("Unknown"));
    let info = list(body, "Location").first().and_then(|l| text(l, "Info"));
    let plain = body.get("Location").and_then(as_text);
    let id = text(body, "Id").unwrap_or_else(|| tail(uri).to_owned());
    let telling_id = Some(id.clone()).filter(|i| i.chars().any(|c| c.is_ascii_alphabetic()));
    let bay = part("LocationOrdinalValue").map(|n| format!("Bay {n}"));
    let wished = label.or(info).or(plain).or(telling_id).or(bay).unwrap_or(id);
    report.memory.part(ComponentClass::Disk, &clip(&wished, 100), uri)
}

/// The part in a drive's place; `None` where the place is empty.
pub(in crate::redfish) fn part(drive: &Drive<'_>) -> Option<Part> {
    let body = drive.body;
    if Status::of(body).is_absent() {
        return None;
    }
    let from_gb = || number(body, "CapacityGB").map(|g| g.value * 1e9);
    let hpe_firmware =
        || body.get("FirmwareVersion").and_then(|f| f.get("Current")).and_then(|c| text(c, "VersionString"));
    Some(Part {
        component: drive.component.clone(),
        manufacturer: text(body, "Manufacturer"),
        model: text(body, "Model"),
        part_number: text(body, "PartNumber"),
        serial: serial(body),
        firmware: name(body, &["FirmwareVersion", "Revision"]).or_else(hpe_firmware),
        capacity_bytes: number(body, "CapacityBytes")
            .map(|n| n.value)
            .or_else(from_gb)
            .and_then(crate::redfish::inventory::bytes),
        source: Source(drive.seen.uri.clone()),
    })
}
