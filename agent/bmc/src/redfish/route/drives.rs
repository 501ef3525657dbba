//! Section drives: what to read after a resource.

use super::{Next, Role, Step, all, each, list, one, top};
use crate::quirk::Platform;
use crate::redfish::lenient::{is_inline, target};
use crate::redfish::report::Status;
use crate::redfish::walk::Node;
use crate::smart;
use outband_schemas::{Section, SensorKind};
use serde_json::Value;

pub(super) fn drives(node: &Node, body: &Value, platform: Platform) -> Vec<Step> {
    match node.role {
        Role::Root => {
            let mut steps = top(body, &[Role::System, Role::Chassis]);
            if platform.reports_smart_as_metrics() {
                steps.extend(one(body, "TelemetryService", Role::Telemetry));
            }
            steps
        }
        Role::Telemetry => all(body, "MetricReports", Role::SmartReport).into_iter().collect(),
        Role::Storage => {
            let mut steps = storage(node, body);
            // A volume is made of drives.
            let empty = matches!(body.get("Drives"), Some(Value::Array(drives)) if drives.is_empty());
            if !empty {
                steps.extend(each(node, body, "Volumes", Role::Volume));
            }
            steps
        }
        Role::StorageController => one(body, "Metrics", Role::DriveDetail).into_iter().collect(),
        Role::Drive => details(body),
        _ => storage(node, body),
    }
}

/// Resources with more figures of a drive: its makers' SMART resources, its metrics, and its environment where it tells no temperature itself.
fn details(body: &Value) -> Vec<Step> {
    if Status::of(body).is_absent() {
        return Vec::new();
    }
    let oem = [body.get("Oem"), body.get("Links").and_then(|l| l.get("Oem"))];
    let vendors = oem.into_iter().flatten().filter_map(Value::as_object).flat_map(|o| o.values());
    let linked = vendors
        .filter_map(Value::as_object)
        .flat_map(|vendor| vendor.iter())
        .filter(|(name, value)| name.to_ascii_uppercase().contains("SMART") && !is_inline(value))
        .filter_map(|(_, value)| target(value))
        .map(|uri| Step::Ask(Next { uri, role: Role::DriveDetail, collection: false }));
    let warm = smart::figures(body).iter().any(|f| f.kind == SensorKind::Temperature);
    let environment = one(body, "EnvironmentMetrics", Role::DriveDetail).filter(|_| !warm);
    linked.chain(one(body, "Metrics", Role::DriveDetail)).chain(environment).collect()
}

/// From a system or chassis to its drives.
pub(super) fn storage(node: &Node, body: &Value) -> Vec<Step> {
    match node.role {
        Role::System => {
            let hpe = ["Hpe", "Hp"].iter().find_map(|oem| body.get("Oem")?.get(*oem));
            let own = all(body, "Storage", Role::Storage);
            own.into_iter().chain(hpe.and_then(|oem| one(oem, "SmartStorage", Role::SmartStorage))).collect()
        }
        Role::Chassis => {
            let links = body.get("Links").unwrap_or(&Value::Null);
            let mut steps: Vec<Step> = all(body, "Drives", Role::Drive).into_iter().collect();
            steps.extend(each(node, links, "Drives", Role::Drive));
            steps
        }
        Role::Storage => {
            let mut steps = each(node, body, "Drives", Role::Drive);
            let inline = list(body, "StorageControllers").iter().any(|c| c.get("Status").is_some());
            steps.extend(each(node, body, "StorageControllers", Role::StorageController));
            // The collection shows the same controllers again.
            steps.extend(all(body, "Controllers", Role::StorageController).filter(|_| !inline));
            steps
        }
        Role::SmartStorage => {
            let fields = [
                ("ArrayControllers", Role::SmartStorage),
                ("HostBusAdapters", Role::SmartStorage),
                ("PhysicalDrives", Role::SmartDrive),
                ("UnconfiguredDrives", Role::SmartDrive),
                ("UnassignedDrives", Role::SmartDrive),
            ];
            fields.into_iter().filter_map(|(field, role)| all(body, field, role)).collect()
        }
        _ => Vec::new(),
    }
}

/// What to read when everything else was: lesser views of drives and volumes, where the better ones show none. With the chassis or system that each belongs
/// to, and the resource that leads to it.
pub(in crate::redfish) fn lesser(section: Section, nodes: &[Node]) -> Vec<(Next, String, String)> {
    if !matches!(section, Section::Drives | Section::Inventory) {
        return Vec::new();
    }
    let has = |roles: &[Role]| nodes.iter().any(|n| roles.contains(&n.role) && !Status::of(&n.body).is_absent());
    let none = !has(&[Role::Drive, Role::SmartDrive]);
    let has_supplies = |chassis: &str| {
        nodes.iter().filter(|n| n.owner == chassis).any(|n| match n.role {
            Role::Power => !list(&n.body, "PowerSupplies").is_empty(),
            role => role == Role::PowerSubsystem,
        })
    };
    let no_volume = section == Section::Drives && !has(&[Role::Volume]);
    let no_adapters = !nodes.iter().any(|n| n.role == Role::Chassis && n.body.get("NetworkAdapters").is_some());
    let inventory = section == Section::Inventory;
    let steps = nodes.iter().flat_map(|node| {
        let body = &node.body;
        let steps = match node.role {
            Role::System => [
                all(body, "SimpleStorage", Role::SimpleStorage).filter(|_| none),
                all(body, "EthernetInterfaces", Role::EthernetInterface).filter(|_| inventory && no_adapters),
            ],
            Role::Root if none => [all(body, "Storage", Role::Storage), None],
            Role::SmartStorage if no_volume => [all(body, "LogicalDrives", Role::Volume), None],
            Role::Chassis if inventory && !has_supplies(&node.uri) => {
                [one(body, "PowerSubsystem", Role::PowerSubsystem), None]
            }
            _ => [None, None],
        };
        let owner = if node.role.owns() { &node.uri } else { &node.owner };
        steps.into_iter().flatten().filter_map(move |step| match step {
            Step::Ask(next) => Some((next, owner.clone(), node.uri.clone())),
            Step::Has { .. } => None,
        })
    });
    steps.collect()
}
