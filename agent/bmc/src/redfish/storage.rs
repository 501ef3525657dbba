//! Section drives: drives with their life and SMART figures, controllers and volumes.

use super::lenient::{as_text, list, number, text};
use super::report::{Figure, Report, Seen, Status, analog, name, part_state, state};
use super::route::Role;
use super::walk::{Node, tail};
use crate::smart;
use outband_schemas::{ComponentClass, ComponentId, Part, Source};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A drive: its resource, what adds to it, and its place.
pub(super) struct Drive<'a> {
    pub(super) component: ComponentId,
    pub(super) body: &'a Value,
    details: Vec<&'a Node>,
    pub(super) seen: Seen,
}

pub(super) fn report(report: &mut Report<'_>) {
    let reports: Vec<&Node> = report.of(Role::SmartReport).collect();
    for drive in drives(report) {
        let status = Status::of(drive.body);
        report.push(part_state(&drive.component, &status, &drive.seen));
        if status.is_absent() {
            continue;
        }
        let bodies = std::iter::once((drive.seen.clone(), drive.body));
        let details = drive.details.iter().map(|n| (Seen { uri: n.uri.clone(), at: n.at }, &n.body));
        let mut told = BTreeSet::new();
        for (seen, body) in bodies.chain(details) {
            for figure in smart::figures(body) {
                if told.insert(figure.kind) {
                    let seen = Seen { uri: format!("{}#{}", seen.uri, figure.pointer), at: seen.at };
                    let figure = Figure::new(figure.kind, figure.sensor, figure.number);
                    report.push(analog(&drive.component, figure, &Status::default(), &seen));
                }
            }
        }
        let id = text(drive.body, "Id").unwrap_or_else(|| tail(&drive.seen.uri).to_owned());
        for node in &reports {
            for figure in smart::from_metric_report(&node.body, &id, &drive.seen.uri) {
                if told.insert(figure.kind) {
                    let seen = Seen { uri: format!("{}#{}", node.uri, figure.pointer), at: node.at };
                    report.push(analog(
                        &drive.component,
                        Figure::new(figure.kind, figure.sensor, figure.number),
                        &Status::default(),
                        &seen,
                    ));
                }
            }
        }
    }
    for (role, class) in
        [(Role::StorageController, ComponentClass::StorageController), (Role::Volume, ComponentClass::Volume)]
    {
        for node in report.of(role) {
            let component = place(report, class, node);
            report.push(state(
                &component,
                "health",
                &Status::of(&node.body),
                &Seen { uri: node.uri.clone(), at: node.at },
            ));
        }
    }
}

/// The place of a controller or volume.
pub(super) fn place(report: &mut Report<'_>, class: ComponentClass, node: &Node) -> ComponentId {
    let wished = name(&node.body, &["Id", "MemberId", "Name"]).unwrap_or_else(|| node.tail().to_owned());
    // Controllers are mostly "0" below a storage that has the telling name.
    let wished = if wished.chars().all(|c| c.is_ascii_digit()) {
        let holder = node.uri.split(['#']).next().unwrap_or_default().split("/Controllers").next().unwrap_or_default();
        let holder = holder.split("/Volumes").next().unwrap_or_default();
        format!("{} {wished}", tail(holder))
    } else {
        wished
    };
    report.memory.part(class, &wished, &node.uri)
}

/// Every drive once. Some BMCs list a drive below its storage and below its chassis, under two URIs: it is one where serial, model and id agree. HPE shows
/// the drives of an array controller once more below `SmartStorage`, with figures that the first does not have: they are matched by serial. Devices of
/// `SimpleStorage` have neither serial nor bay and count only where there is nothing better.
pub(super) fn drives<'a>(report: &mut Report<'a>) -> Vec<Drive<'a>> {
    let standard: Vec<&'a Node> = report.of(Role::Drive).collect();
    let extra: Vec<&'a Node> = report.of(Role::SmartDrive).collect();
    let mut drives: Vec<Drive<'a>> = Vec::new();
    let mut matched = BTreeSet::new();
    let mut places = BTreeMap::new();
    let twice = listed_twice(&standard);
    for node in standard {
        let serial = super::inventory::serial(&node.body);
        let own = report.of(Role::DriveDetail).filter(|d| d.parent == node.uri);
        let same = identity(node).filter(|s| twice.contains(s));
        let known = same.as_ref().and_then(|s| places.get(s).copied()).and_then(|index: usize| drives.get_mut(index));
        if let Some(known) = known {
            known.details.push(node);
            known.details.extend(own);
            report.memory.place(&known.component, &node.uri);
            continue;
        }
        places.extend(same.map(|s| (s, drives.len())));
        let twin = extra.iter().find(|e| serial.is_some() && super::inventory::serial(&e.body) == serial);
        matched.extend(twin.map(|t| t.uri.clone()));
        let details = own.chain(twin.copied()).collect();
        let component = drive_place(report, &node.body, &node.uri);
        let seen = Seen { uri: node.uri.clone(), at: node.at };
        drives.push(Drive { component, body: &node.body, details, seen });
    }
    for node in extra.into_iter().filter(|e| !matched.contains(&e.uri)) {
        let component = drive_place(report, &node.body, &node.uri);
        drives.push(Drive {
            component,
            body: &node.body,
            details: Vec::new(),
            seen: Seen { uri: node.uri.clone(), at: node.at },
        });
    }
    if drives.is_empty() {
        for node in report.of(Role::SimpleStorage) {
            for (index, device) in list(&node.body, "Devices").iter().enumerate().filter(|(_, d)| d.is_object()) {
                let uri = format!("{}#/Devices/{index}", node.uri);
                let wished = name(device, &["Name"]).unwrap_or_else(|| format!("Device {index}"));
                let component = report.memory.part(ComponentClass::Disk, &wished, &uri);
                drives.push(Drive { component, body: device, details: Vec::new(), seen: Seen { uri, at: node.at } });
            }
        }
    }
    drives
}

type Identity<'a> = (String, Option<String>, &'a str);

/// A drive's serial, model and id; `None` where it has no serial.
fn identity(node: &Node) -> Option<Identity<'_>> {
    super::inventory::serial(&node.body).map(|serial| (serial, text(&node.body, "Model"), node.tail()))
}

/// The drives that are listed once below each of several top collections. One that repeats within a collection is no proof: firmware that knows no
/// serial writes the same everywhere.
fn listed_twice<'a>(drives: &[&'a Node]) -> BTreeSet<Identity<'a>> {
    let mut collections: BTreeMap<Identity<'a>, Vec<&'a str>> = BTreeMap::new();
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
    report.memory.part(ComponentClass::Disk, &super::lenient::clip(&wished, 100), uri)
}

/// The part in a drive's place; `None` where the place is empty.
pub(super) fn part(drive: &Drive<'_>) -> Option<Part> {
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
        serial: super::inventory::serial(body),
        firmware: name(body, &["FirmwareVersion", "Revision"]).or_else(hpe_firmware),
        capacity_bytes: number(body, "CapacityBytes")
            .map(|n| n.value)
            .or_else(from_gb)
            .and_then(super::inventory::bytes),
        source: Source(drive.seen.uri.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redfish::memory::Memory;
    use outband_schemas::Timestamp;
    use serde_json::json;

    fn drive(uri: &str, serial: &str) -> Node {
        let body = json!({"Id": tail(uri), "SerialNumber": serial, "Model": "M"});
        let uri = format!("/redfish/v1/{uri}");
        Node { uri, role: Role::Drive, owner: String::new(), parent: String::new(), body, at: Timestamp::from_secs(1) }
    }

    fn count(nodes: &[Node]) -> usize {
        let mut memory = Memory::default();
        drives(&mut Report { nodes, lossy: BTreeSet::new(), memory: &mut memory, out: Vec::new() }).len()
    }

    #[test]
    fn a_drive_below_its_chassis_and_below_its_storage_is_one() {
        assert_eq!(count(&[drive("Chassis/B/Drives/200", "S1"), drive("Systems/1/Storage/1/Drives/200", "S1")]), 1);
    }

    #[test]
    fn drives_that_only_repeat_a_serial_stay_apart() {
        assert_eq!(
            count(&[drive("Systems/1/Storage/1/Drives/1", "S1"), drive("Systems/2/Storage/1/Drives/1", "S1")]),
            2
        );
        assert_eq!(count(&[drive("Chassis/B/Drives/1", "S1"), drive("Systems/1/Storage/1/Drives/2", "S1")]), 2);
        assert_eq!(count(&[drive("Chassis/B/Drives/1", "N/A"), drive("Systems/1/Storage/1/Drives/1", "N/A")]), 2);
    }

    #[test]
    fn a_drive_that_says_nothing_of_its_state_is_there_and_unknown() {
        let nodes = [drive("Chassis/B/Drives/1", "S1")];
        let mut memory = Memory::default();
        let mut built = Report { nodes: &nodes, lossy: BTreeSet::new(), memory: &mut memory, out: Vec::new() };
        report(&mut built);
        assert!(format!("{:?}", built.out).contains("Unknown"), "{:?}", built.out);
    }
}
