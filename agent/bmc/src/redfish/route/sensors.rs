//! Section sensors: what to read after a resource.

use super::{Role, Step, all, one, top};
use crate::redfish::memory::{Generation, Memory};
use crate::redfish::walk::Node;
use serde_json::Value;

pub(super) fn sensors(node: &Node, body: &Value, memory: &Memory) -> Vec<Step> {
    match node.role {
        Role::Root => top(body, &[Role::Chassis, Role::System]),
        Role::Chassis => {
            if memory.is_quiet(&node.uri) {
                return Vec::new();
            }
            // What the last poll found to be the lesser source is not asked for again.
            let settled = |what, generation| memory.chosen(&node.uri, what).is_none_or(|g| g == generation);
            let any = |kinds: &[&'static str], generation| kinds.iter().any(|what| settled(*what, generation));
            let mut steps = Vec::new();
            if any(&["temperature", "fan"], Generation::Old) {
                steps.extend(one(body, "Thermal", Role::Thermal));
            }
            if any(&["voltage", "power_supply"], Generation::Old) {
                steps.extend(one(body, "Power", Role::Power));
            }
            if settled("fan", Generation::New) {
                steps.extend(one(body, "ThermalSubsystem", Role::ThermalSubsystem));
            }
            if settled("power_supply", Generation::New) {
                steps.extend(one(body, "PowerSubsystem", Role::PowerSubsystem));
            }
            let others = memory.chosen(&node.uri, "other").is_some();
            if others || any(&["temperature", "fan", "voltage"], Generation::New) {
                steps.extend(all(body, "Sensors", Role::Sensor));
            }
            steps
        }
        Role::ThermalSubsystem => all(body, "Fans", Role::Fan).into_iter().collect(),
        Role::PowerSubsystem => all(body, "PowerSupplies", Role::PowerSupply).into_iter().collect(),
        Role::PowerSupply => one(body, "Metrics", Role::PowerSupplyMetrics).into_iter().collect(),
        _ => Vec::new(),
    }
}
