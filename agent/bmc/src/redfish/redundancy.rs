//! Redundancy of fans and power supplies, where the BMC tells of it.

use super::lenient::{as_text, list, text};
use super::memory::Generation;
use super::report::{Report, Seen, Status, name, state};
use super::route::Role;
use outband_schemas::{ComponentClass, Value as Said};
use serde_json::Value;

/// The groups of a chassis: a state each, with what the BMC says of how many there are and must be.
pub(super) fn report(report: &mut Report<'_>, chassis: &str) {
    let groups = [
        (Role::Thermal, "Redundancy", "fan", "Fan Redundancy", Generation::Old),
        (Role::ThermalSubsystem, "FanRedundancy", "fan", "Fan Redundancy", Generation::New),
        (Role::Power, "Redundancy", "power_supply", "PSU Redundancy", Generation::Old),
        (Role::PowerSubsystem, "PowerSupplyRedundancy", "power_supply", "PSU Redundancy", Generation::New),
    ];
    let nodes = report.nodes;
    for (role, field, what, fallback, generation) in groups {
        if report.memory.chosen(chassis, what).is_some_and(|chosen| chosen != generation) {
            continue;
        }
        for node in nodes.iter().filter(|n| n.role == role && n.owner == chassis) {
            for (index, group) in list(&node.body, field).iter().enumerate().filter(|(_, g)| g.is_object()) {
                let wished = report.within(chassis, &name(group, &["Name"]).unwrap_or_else(|| fallback.to_owned()));
                let seen = Seen { uri: format!("{}#/{field}/{index}", node.uri), at: node.at };
                let component = report.memory.sensor(
                    ComponentClass::Chassis,
                    &wished,
                    outband_schemas::SensorKind::State,
                    &seen.uri,
                    &wished,
                );
                report.memory.place(&component, &seen.uri);
                let mut reading = state(&component, "redundancy", &Status::of(group), &seen);
                if let Some(Said::State { text, .. }) = reading.as_mut().and_then(|r| r.value.as_mut()) {
                    *text = std::iter::once(text.clone()).chain(numbers(group)).collect::<Vec<_>>().join(", ");
                }
                report.push(reading);
            }
        }
    }
}

/// The numbers of a group (`Redundancy` of the older generation, `RedundantGroup` of the newer), by the names of their fields.
fn numbers(group: &Value) -> Vec<String> {
    let mode = match group.get("Mode").or_else(|| group.get("RedundancyType")) {
        // iDRAC 8 puts an array of objects here.
        Some(Value::Array(modes)) => modes.first().and_then(|m| text(m, "Member").or_else(|| as_text(m))),
        Some(mode) => as_text(mode),
        None => None,
    };
    let fields = ["MinNumNeeded", "MinNeededInGroup", "MaxNumSupported", "MaxSupportedInGroup"];
    let limits = fields.into_iter().filter_map(|field| Some(format!("{field} {}", text(group, field)?)));
    let members = ["RedundancySet", "RedundancyGroup"].iter().map(|field| list(group, field).len()).max();
    let members = members.filter(|n| *n > 0).map(|n| format!("{n} members"));
    mode.into_iter().chain(limits).chain(members).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redfish::memory::Memory;
    use crate::redfish::walk::Node;
    use outband_schemas::{Observation, State, Timestamp};
    use serde_json::json;

    #[test]
    fn a_group_is_told_with_its_numbers_whichever_its_generation() {
        let node = |role, body| Node {
            uri: "/redfish/v1/Chassis/1/X".to_owned(),
            role,
            owner: "/redfish/v1/Chassis/1".to_owned(),
            parent: String::new(),
            body,
            at: Timestamp::from_secs(1),
        };
        let nodes = [
            node(
                Role::Power,
                json!({"Redundancy": [{"Name": "PSUs", "Mode": [{"Member": "N+1"}], "MinNumNeeded": 2,
                    "RedundancySet": [{"@odata.id": "/a"}, {"@odata.id": "/b"}], "Status": {"State": "Enabled", "Health": "Ok"}}]}),
            ),
            node(
                Role::ThermalSubsystem,
                json!({"FanRedundancy": [7, {"RedundancyType": "NPlusM", "MinNeededInGroup": null, "MaxSupportedInGroup": 6,
                    "Status": {"State": "Enabled", "Health": "Warning"}}]}),
            ),
        ];
        let mut memory = Memory::default();
        let mut built = Report { nodes: &nodes, lossy: Default::default(), memory: &mut memory, out: Vec::new() };
        super::report(&mut built, "/redfish/v1/Chassis/1");
        let told: Vec<(State, String)> = built
            .out
            .iter()
            .filter_map(|o| match o {
                Observation::Reading(r) => match r.value.clone()? {
                    Said::State { state, text } => Some((state, text)),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        assert_eq!(
            told,
            [
                (State::Warning, "Enabled, Warning, NPlusM, MaxSupportedInGroup 6".to_owned()),
                (State::Ok, "Enabled, Ok, N+1, MinNumNeeded 2, 2 members".to_owned())
            ]
        );
    }
}
