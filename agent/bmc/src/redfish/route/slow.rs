//! Section drives, beside the drives: what is read slowly, in turn, because it costs a request for little; and power and cooling outside of chassis.

use super::{Next, Role, Step, all, list, one, target};
use crate::redfish::lenient::link;
use crate::redfish::memory::Memory;
use crate::redfish::walk::Node;
use crate::redfish::{equipment, metrics, module};
use serde_json::Value;

pub(super) fn slow(node: &Node, body: &Value, memory: &mut Memory) -> Vec<Step> {
    match node.role {
        Role::Root => {
            let due = if memory.rotation.begin_drives() { memory.rotation.due() } else { Vec::new() };
            let due = due
                .into_iter()
                .map(|(role, turn)| Step::Ask(Next { uri: turn.uri, role, collection: turn.collection }));
            due.chain(units(node, body)).collect()
        }
        // Which module it is that its system calls unwell is not left to the next inventory.
        Role::System => {
            let lists =
                [("MemorySummary", "Memory", Role::Memory), ("ProcessorSummary", "Processors", Role::Processor)];
            let unwell = lists.into_iter().filter(|(summary, ..)| module::is_unwell(body, summary));
            unwell.filter_map(|(_, field, role)| all(body, field, role)).collect()
        }
        Role::Equipment => units(node, body),
        Role::EquipmentUnit => {
            let parts = equipment::PARTS.iter().filter_map(|field| Some((*field, link(body, field)?)));
            let turns = parts.filter_map(|(field, uri)| in_turn(memory, uri, Role::EquipmentPart, field != "Metrics"));
            turns.chain(one(body, "LeakDetection", Role::LeakDetection)).collect()
        }
        Role::LeakDetection => all(body, "LeakDetectors", Role::LeakDetector).into_iter().collect(),
        _ => reports(body, node, memory),
    }
}

/// From the service root to equipment, and from that to its units. Only racks have it.
pub(super) fn units(node: &Node, body: &Value) -> Vec<Step> {
    match node.role {
        Role::Root => {
            ["PowerEquipment", "ThermalEquipment"].iter().filter_map(|f| one(body, f, Role::Equipment)).collect()
        }
        Role::Equipment => equipment::UNITS.iter().filter_map(|f| all(body, f, Role::EquipmentUnit)).collect(),
        _ => Vec::new(),
    }
}

/// From the service root to the telemetry service: in its turn, as all that hangs below it.
pub(super) fn telemetry(body: &Value, memory: &mut Memory) -> Option<Step> {
    in_turn(memory, link(body, "TelemetryService")?, Role::Telemetry, false)
}

/// From the telemetry service to the reports that may add something. Their list is read plain: what is in it is judged by name first.
fn reports(body: &Value, node: &Node, memory: &mut Memory) -> Vec<Step> {
    match node.role {
        Role::Telemetry => link(body, "MetricReportDefinitions")
            .and_then(|uri| in_turn(memory, uri, Role::MetricDefinition, false))
            .into_iter()
            .collect(),
        Role::MetricDefinition => {
            let members = list(body, "Members").iter().filter_map(target).filter(|uri| metrics::is_wanted(uri));
            let turns = members.filter_map(|uri| in_turn(memory, uri, Role::MetricDefinition, false));
            let mut steps: Vec<Step> = turns.collect();
            let report = metrics::report_of(body);
            steps.extend(report.and_then(|uri| in_turn(memory, uri, Role::MetricReport, false)));
            steps
        }
        _ => Vec::new(),
    }
}

/// Leak detection hangs below a resource that is read with the sensors, but is itself read in turn. Whether there are network adapters decides what else is
/// asked about links.
pub(super) fn notice(node: &Node, memory: &mut Memory) {
    if node.role == Role::Chassis && link(&node.body, "NetworkAdapters").is_some() {
        memory.rotation.notice_adapters();
    }
    if node.role == Role::ThermalSubsystem
        && let Some(uri) = link(&node.body, "LeakDetection")
    {
        memory.rotation.offer(Role::LeakDetection, uri.trim_end_matches('/'), false);
    }
}

/// A resource that takes its turn, where that is now.
pub(super) fn in_turn(memory: &mut Memory, uri: String, role: Role, collection: bool) -> Option<Step> {
    let uri = uri.trim_end_matches('/').to_owned();
    memory.rotation.offer(role, &uri, collection).then_some(Step::Ask(Next { uri, role, collection }))
}
