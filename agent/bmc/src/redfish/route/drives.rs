//! Section drives: what to read after a resource.

use super::{Next, Role, Step, all, each, one, top};
use crate::quirk::Platform;
use crate::redfish::lenient::{is_inline, target};
use crate::redfish::walk::Node;
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
            steps.extend(all(body, "Volumes", Role::Volume));
            steps
        }
        Role::Drive => {
            let oem = [body.get("Oem"), body.get("Links").and_then(|l| l.get("Oem"))];
            let vendors = oem
                .into_iter()
                .flatten()
                .filter_map(Value::as_object)
                .flat_map(|o| o.values())
                .filter_map(Value::as_object);
            let smart = vendors
                .flat_map(|vendor| vendor.iter())
                .filter(|(name, value)| name.to_ascii_uppercase().contains("SMART") && !is_inline(value))
                .filter_map(|(_, value)| target(value))
                .map(|uri| Step::Ask(Next { uri, role: Role::DriveDetail, collection: false }));
            smart.chain(one(body, "Metrics", Role::DriveDetail)).collect()
        }
        _ => storage(node, body),
    }
}

/// From a system or chassis to its drives.
pub(super) fn storage(node: &Node, body: &Value) -> Vec<Step> {
    match node.role {
        Role::System => {
            let hpe = ["Hpe", "Hp"].iter().find_map(|oem| body.get("Oem")?.get(*oem));
            let mut steps: Vec<Step> =
                [all(body, "Storage", Role::Storage), all(body, "SimpleStorage", Role::SimpleStorage)]
                    .into_iter()
                    .flatten()
                    .collect();
            steps.extend(hpe.and_then(|oem| one(oem, "SmartStorage", Role::SmartStorage)));
            steps
        }
        Role::Chassis => {
            let links = body.get("Links").unwrap_or(&Value::Null);
            let mut steps: Vec<Step> = all(body, "Drives", Role::Drive).into_iter().collect();
            steps.extend(each(node, links, "Drives", Role::Drive));
            steps
        }
        Role::Storage => {
            let mut steps = each(node, body, "Drives", Role::Drive);
            steps.extend(each(node, body, "StorageControllers", Role::StorageController));
            steps.extend(all(body, "Controllers", Role::StorageController));
            steps
        }
        Role::SmartStorage => {
            let fields = [
                ("ArrayControllers", Role::SmartStorage),
                ("HostBusAdapters", Role::SmartStorage),
                ("PhysicalDrives", Role::SmartDrive),
                ("UnconfiguredDrives", Role::SmartDrive),
            ];
            fields.into_iter().filter_map(|(field, role)| all(body, field, role)).collect()
        }
        _ => Vec::new(),
    }
}
