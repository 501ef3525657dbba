//! Network adapters, their ports and Ethernet interfaces: what they are and how their links stand.

use super::inventory::{blank, part};
use super::lenient::{Field, Number, as_text, list, number_field, text, truth};
use super::module::said;
use super::report::{Figure, Report, Seen, Status, analog, name, state};
use super::route::Role;
use super::walk::Node;
use outband_schemas::{ComponentClass, ComponentId, Part, Quality, SensorKind, State};
use serde_json::Value;
use std::collections::BTreeSet;

/// The collections that hold an adapter's ports, the newer one first; where the adapter only links to single ports, those links.
pub(super) fn ports(adapter: &Value) -> (Option<String>, Vec<String>) {
    let collection = ["Ports", "NetworkPorts"].iter().find_map(|field| super::lenient::link(adapter, field));
    if collection.is_some() {
        return (collection, Vec::new());
    }
    let links = list(adapter, "Controllers").iter().filter_map(|c| c.get("Links"));
    let single = links.flat_map(|l| {
        let newer = list(l, "Ports");
        if newer.is_empty() { list(l, "NetworkPorts") } else { newer }
    });
    (None, single.filter_map(super::lenient::target).collect())
}

/// The adapters: their states and parts. Their ports are known by their place from now on.
pub(super) fn adapters(report: &mut Report<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    for node in report.of(Role::NetworkAdapter) {
        let wished = name(&node.body, &["Id", "Name"]).unwrap_or_else(|| node.tail().to_owned());
        let component = report.memory.part(ComponentClass::Network, &numbered("Adapter", wished), &node.uri);
        if let (Some(collection), _) = ports(&node.body) {
            report.memory.place(&component, &collection);
        }
        let seen = Seen { uri: node.uri.clone(), at: node.at };
        report.push(state(&component, "health", &Status::of(&node.body), &seen));
        let firmware = list(&node.body, "Controllers").iter().find_map(|c| text(c, "FirmwarePackageVersion"));
        parts.extend(part(component, node).map(|p| Part { firmware: p.firmware.or(firmware), ..p }));
    }
    parts
}

/// The ports and interfaces that were read: link, speed and state of each, and the part that its addresses name. Interfaces are the system's view of the
/// ports and are told only where no port is read.
pub(super) fn links(report: &mut Report<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    for node in report.of(Role::NetworkPort) {
        // A port of …/NetworkAdapters/X/Ports/1, whichever way led to it.
        let above = node.uri.rsplitn(3, '/').nth(2).unwrap_or_default();
        let adapter = [node.parent.as_str(), above].into_iter().find_map(|uri| report.memory.place_at(uri)).cloned();
        let own = name(&node.body, &["PortId", "PhysicalPortNumber", "Id"]).unwrap_or_else(|| node.tail().to_owned());
        let wished = match adapter {
            Some(adapter) if !own.contains(adapter.slot()) => format!("{} port {own}", adapter.slot()),
            _ => own,
        };
        let component = report.memory.part(ComponentClass::Network, &wished, &node.uri);
        link(report, &component, node, &[("CurrentSpeedGbps", 1e9), ("CurrentLinkSpeedMbps", 1e6)]);
        parts.extend(addressed(component, node));
    }
    if !report.memory.rotation.knows(Role::NetworkPort) {
        let mut telling = BTreeSet::new();
        for node in report.of(Role::EthernetInterface) {
            let wished = name(&node.body, &["Id", "Name"]).unwrap_or_else(|| node.tail().to_owned());
            let component = report.memory.part(ComponentClass::Network, &numbered("Ethernet", wished), &node.uri);
            if text(&node.body, "LinkStatus").is_some() {
                report.memory.rotation.offer(Role::EthernetInterface, &node.parent, true);
                telling.insert(node.parent.as_str());
            }
            link(report, &component, node, &[("SpeedMbps", 1e6)]);
            parts.extend(addressed(component, node));
        }
        for node in report.of(Role::EthernetInterface).filter(|n| !telling.contains(n.parent.as_str())) {
            report.memory.rotation.drop(Role::EthernetInterface, &node.parent);
        }
    }
    parts
}

/// Some makers only number them.
fn numbered(word: &str, name: String) -> String {
    if name.chars().all(|c| c.is_ascii_digit()) { format!("{word} {name}") } else { name }
}

fn link(report: &mut Report<'_>, component: &ComponentId, node: &Node, speeds: &[(&str, f64)]) {
    let (body, seen) = (&node.body, Seen { uri: node.uri.clone(), at: node.at });
    let status = Status::of(body);
    report.push(state(component, "health", &status, &seen));
    if status.is_absent() {
        return;
    }
    let up = match link_state(body) {
        Some((up, words)) => {
            // A link that is down is no verdict on the port: there may be nothing at its other end.
            report.push(said(component, "link", if up { State::Ok } else { State::Unknown }, words, &seen));
            up
        }
        None if body.get("LinkStatus").is_some_and(Value::is_null) => {
            let silent = said(component, "link", State::Unknown, String::new(), &seen);
            report.push(silent.map(|reading| outband_schemas::Reading {
                value: None,
                quality: Quality::Unavailable(outband_schemas::Cause::NoReading),
                ..reading
            }));
            false
        }
        None => false,
    };
    let speed = speeds.iter().fold(Field::Absent, |found, (field, factor)| {
        found.or_else(|| number_field(body, field).map(|n| Number { value: n.value * factor, ..n }))
    });
    // Without a link some give the speed that the port could do.
    if speed.bad().is_some() || up && speed.is_value() {
        report.push(analog(component, Figure::new(SensorKind::LinkSpeed, "link", speed), &Status::default(), &seen));
    }
}

/// Whether the link is up, and in words why it is not, as far as the BMC says: switched off, no transceiver, no signal.
fn link_state(body: &Value) -> Option<(bool, String)> {
    let link = text(body, "LinkStatus");
    let switched = text(body, "LinkState");
    let said = link.clone().or_else(|| switched.clone())?;
    let up = matches!(link.as_deref().map(str::to_ascii_lowercase).as_deref(), Some("up" | "linkup"));
    let mut words = vec![said];
    if !up {
        let off = switched.as_deref() == Some("Disabled")
            || ["InterfaceEnabled", "Enabled"].iter().any(|field| truth(body, field) == Some(false));
        let transceiver = body.get("SFP").map(Status::of);
        words.extend(off.then(|| "switched off".to_owned()));
        words.extend(transceiver.filter(Status::is_absent).map(|_| "no transceiver".to_owned()));
        words.extend((truth(body, "SignalDetected") == Some(false)).then(|| "no signal".to_owned()));
    }
    Some((up, words.join(", ")))
}

/// The part in a port's place, named by its first address: MAC, world-wide name or GUID.
fn addressed(component: ComponentId, node: &Node) -> Option<Part> {
    let body = &node.body;
    let of = |holder: &str, field: &str| list(body.get(holder).unwrap_or(&Value::Null), field).iter().find_map(as_text);
    let address = of("Ethernet", "AssociatedMACAddresses")
        .or_else(|| list(body, "AssociatedNetworkAddresses").iter().find_map(as_text))
        .or_else(|| name(body, &["PermanentMACAddress", "MACAddress", "MacAddress"]))
        .or_else(|| of("FibreChannel", "AssociatedWorldWideNames"))
        .or_else(|| of("InfiniBand", "AssociatedPortGUIDs"))
        .or_else(|| super::oem::oem_text(body, &["PhysicalPortMacAddress"]));
    let address = address.filter(|a| super::inventory::is_identity(a))?;
    Some(Part { serial: Some(address.to_ascii_uppercase()), ..blank(component, &node.uri) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redfish::memory::Memory;
    use outband_schemas::{Observation, Timestamp, Value as Said};
    use serde_json::json;

    #[test]
    fn a_link_that_is_down_says_why_as_far_as_it_is_known() {
        for (body, told) in [
            (json!({"LinkStatus": "LinkUp"}), Some((true, "LinkUp"))),
            (json!({"LinkStatus": "Down", "SignalDetected": false}), Some((false, "Down, no signal"))),
            (
                json!({"LinkStatus": "LinkDown", "LinkState": "Disabled", "SFP": {"Status": {"State": "Absent"}}}),
                Some((false, "LinkDown, switched off, no transceiver")),
            ),
            (json!({"LinkStatus": "NoLink", "InterfaceEnabled": true}), Some((false, "NoLink"))),
            (json!({"LinkState": "Enabled"}), Some((false, "Enabled"))),
            (json!({"SpeedMbps": 1000}), None),
        ] {
            assert_eq!(link_state(&body), told.map(|(up, words)| (up, words.to_owned())), "{body}");
        }
    }

    #[test]
    fn ports_of_two_adapters_keep_their_own_places_and_addresses() {
        let node = |role, uri: &str, parent: &str, body| {
            let at = Timestamp::from_secs(1);
            Node { uri: uri.to_owned(), role, owner: String::new(), parent: parent.to_owned(), body, at }
        };
        let adapter = |id: &str| {
            let ports = format!("/c/{id}/Ports");
            node(Role::NetworkAdapter, &format!("/c/{id}"), "/c", json!({"Id": id, "Ports": {"@odata.id": ports}}))
        };
        let port = |adapter: &str, id: &str, mac: &str| {
            let body = json!({"Id": id, "LinkStatus": "LinkUp", "CurrentSpeedGbps": 25, "Ethernet": {"AssociatedMACAddresses": [mac]}});
            node(Role::NetworkPort, &format!("/c/{adapter}/Ports/{id}"), &format!("/c/{adapter}/Ports"), body)
        };
        let nodes = [
            adapter("NIC.1"),
            adapter("NIC.2"),
            port("NIC.1", "1", "aa:00:00:00:00:01"),
            port("NIC.2", "1", "aa:00:00:00:00:02"),
            port("NIC.2", "NIC.2-2", "n/a"),
        ];
        let mut memory = Memory::default();
        let mut built = Report { nodes: &nodes, lossy: BTreeSet::new(), memory: &mut memory, out: Vec::new() };
        adapters(&mut built);
        let parts = links(&mut built);
        let again: Vec<ComponentId> = links(&mut built).into_iter().map(|p| p.component).collect();
        assert_eq!(again, parts.iter().map(|p| p.component.clone()).collect::<Vec<_>>(), "a place stays");
        built.out.truncate(built.out.len() / 2);
        let named: Vec<(String, Option<String>)> =
            parts.into_iter().map(|p| (p.component.to_string(), p.serial)).collect();
        assert_eq!(
            named,
            [
                ("network/NIC.1 port 1".to_owned(), Some("AA:00:00:00:00:01".to_owned())),
                ("network/NIC.2 port 1".to_owned(), Some("AA:00:00:00:00:02".to_owned())),
            ]
        );
        let speeds = built.out.iter().filter_map(|o| match o {
            Observation::Reading(r) if r.kind == SensorKind::LinkSpeed => match r.value {
                Some(Said::Number(n)) => Some((r.component.slot().to_owned(), n)),
                _ => None,
            },
            _ => None,
        });
        assert_eq!(
            speeds.collect::<Vec<_>>(),
            [("NIC.1 port 1".to_owned(), 25e9), ("NIC.2 port 1".to_owned(), 25e9), ("NIC.2-2".to_owned(), 25e9)]
        );
    }
}
