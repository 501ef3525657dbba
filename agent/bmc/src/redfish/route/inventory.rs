//! Section inventory: what to read after a resource.

use super::drives::storage;
use super::slow::{in_turn, telemetry, units};
use super::{Role, Step, all, one, top};
use crate::redfish::lenient::link;
use crate::redfish::memory::{Generation, Memory};
use crate::redfish::network;
use crate::redfish::walk::Node;
use serde_json::Value;

pub(super) fn inventory(node: &Node, body: &Value, memory: &mut Memory) -> Vec<Step> {
    let own = match node.role {
        Role::Root => {
            memory.rotation.begin_inventory();
            let mut steps = top(body, &[Role::System, Role::Chassis, Role::Manager, Role::UpdateService]);
            steps.extend(telemetry(body, memory));
            steps.extend(units(node, body));
            steps
        }
        Role::System => {
            let mut steps = vec![all(body, "Processors", Role::Processor), all(body, "Memory", Role::Memory)];
            // A system's view of its ports: where those of the adapters are read it adds nothing. Where no chassis turns out to have adapters it is asked
            // for after all.
            if let Some(uri) = link(body, "EthernetInterfaces").filter(|_| memory.rotation.has_adapters()) {
                steps.push(in_turn(memory, uri, Role::EthernetInterface, true));
            }
            steps.into_iter().flatten().collect()
        }
        Role::Chassis => {
            let adapters = all(body, "NetworkAdapters", Role::NetworkAdapter);
            let old = one(body, "Power", Role::Power);
            let new = one(body, "PowerSubsystem", Role::PowerSubsystem);
            // The older generation takes one request; where it turns out to hold no supplies the newer one is asked for after all.
            let supplies = match memory.chosen(&node.uri, "power_supply") {
                Some(Generation::New) => new.or(old),
                Some(Generation::Old) | None => old.or(new),
            };
            [supplies, adapters].into_iter().flatten().collect()
        }
        Role::PowerSubsystem => all(body, "PowerSupplies", Role::PowerSupply).into_iter().collect(),
        Role::NetworkAdapter => {
            let (collection, single) = network::ports(body);
            let whole = collection.is_some();
            let uris = collection.into_iter().chain(single);
            uris.filter_map(|uri| in_turn(memory, uri, Role::NetworkPort, whole)).collect()
        }
        Role::Memory => metrics(node, body, memory, Role::MemoryMetrics),
        Role::Processor => metrics(node, body, memory, Role::ProcessorMetrics),
        Role::UpdateService => {
            let inventories = ["FirmwareInventory", "SoftwareInventory"];
            inventories.into_iter().filter_map(|field| all(body, field, Role::Firmware)).collect()
        }
        Role::Equipment => units(node, body),
        _ => Vec::new(),
    };
    own.into_iter().chain(storage(node, body)).collect()
}

/// What adds to a module that is there: one request each, so they take turns.
fn metrics(node: &Node, body: &Value, memory: &mut Memory, role: Role) -> Vec<Step> {
    if body.get("Status").and_then(|s| s.get("State")).and_then(Value::as_str) == Some("Absent") {
        return Vec::new();
    }
    let inline = body.get("Metrics").filter(|m| crate::redfish::lenient::is_inline(m));
    if let Some(metrics) = inline {
        let uri = link(body, "Metrics").unwrap_or_else(|| format!("{}#/Metrics", node.uri));
        return vec![Step::Has { uri, role, body: metrics.clone() }];
    }
    let links = [("Metrics", role), ("EnvironmentMetrics", Role::EnvironmentMetrics)];
    links.into_iter().filter_map(|(field, role)| in_turn(memory, link(body, field)?, role, false)).collect()
}
