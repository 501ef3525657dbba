//! Section inventory: what to read after a resource.

use super::drives::storage;
use super::{Role, Step, all, one, top};
use crate::redfish::walk::Node;
use serde_json::Value;

pub(super) fn inventory(node: &Node, body: &Value) -> Vec<Step> {
    let own = match node.role {
        Role::Root => top(body, &[Role::System, Role::Chassis, Role::Manager, Role::UpdateService]),
        Role::System => [all(body, "Processors", Role::Processor), all(body, "Memory", Role::Memory)]
            .into_iter()
            .flatten()
            .collect(),
        Role::Chassis => {
            let steps = [
                one(body, "Power", Role::Power),
                one(body, "PowerSubsystem", Role::PowerSubsystem),
                all(body, "NetworkAdapters", Role::NetworkAdapter),
            ];
            steps.into_iter().flatten().collect()
        }
        Role::PowerSubsystem => all(body, "PowerSupplies", Role::PowerSupply).into_iter().collect(),
        Role::UpdateService => {
            let inventories = ["FirmwareInventory", "SoftwareInventory"];
            inventories.into_iter().filter_map(|field| all(body, field, Role::Firmware)).collect()
        }
        _ => Vec::new(),
    };
    own.into_iter().chain(storage(node, body)).collect()
}
