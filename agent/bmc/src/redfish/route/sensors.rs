//! Section sensors: what to read after a resource.

use super::{Role, Step, all, one, top};
use crate::redfish::chassis::Told;
use crate::redfish::walk::Node;
use serde_json::Value;

pub(super) fn sensors(node: &Node, body: &Value) -> Vec<Step> {
    match node.role {
        Role::Root => top(body, &[Role::Chassis, Role::System]),
        // The older generation says in two requests what takes the newer one dozens: what it says is asked for first.
        Role::Chassis => {
            [one(body, "Thermal", Role::Thermal), one(body, "Power", Role::Power)].into_iter().flatten().collect()
        }
        Role::ThermalSubsystem => all(body, "Fans", Role::Fan).into_iter().collect(),
        Role::PowerSubsystem => all(body, "PowerSupplies", Role::PowerSupply).into_iter().collect(),
        Role::PowerSupply => one(body, "Metrics", Role::PowerSupplyMetrics).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// What of the newer generation to read of a chassis, given what the older one told.
pub(in crate::redfish) fn newer(chassis: &Node, told: Told) -> Vec<Step> {
    let body = &chassis.body;
    let fans = if told.fans == 0 { one(body, "ThermalSubsystem", Role::ThermalSubsystem) } else { None };
    let supplies = if told.supplies == 0 { one(body, "PowerSubsystem", Role::PowerSubsystem) } else { None };
    [fans, supplies, all(body, "Sensors", Role::Sensor)].into_iter().flatten().collect()
}
