//! Section inventory: what a server is, what is in it, and how its BMC's clock stands.

use super::lenient::{number, text, time};
use super::report::{Report, Seen, Status, name, state};
use super::route::Role;
use super::walk::Node;
use super::{power, storage};
use crate::quirk::Platform;
use outband_schemas::{ComponentClass, ComponentId, Identity, Inventory, Observation, Part, Source, Timestamp};
use serde_json::Value;

pub(super) fn report(report: &mut Report<'_>, platform: Platform, at: Timestamp) {
    let mut parts = Vec::new();
    for (role, class) in [
        (Role::Manager, ComponentClass::Bmc),
        (Role::Processor, ComponentClass::Cpu),
        (Role::Memory, ComponentClass::Memory),
    ] {
        for node in report.of(role) {
            parts.extend(module(report, class, node));
        }
    }
    let chassis: Vec<&Node> = report.of(Role::Chassis).collect();
    for node in chassis {
        for supply in power::supplies(report, &node.uri) {
            let component = power::place(report, &node.uri, &supply);
            parts.extend(power::part(component, &supply));
        }
    }
    let drives = storage::drives(report);
    parts.extend(drives.iter().filter_map(storage::part));
    for node in report.of(Role::StorageController) {
        let component = storage::place(report, ComponentClass::StorageController, node);
        parts.extend(part(component, node));
    }
    for node in report.of(Role::NetworkAdapter) {
        let wished = name(&node.body, &["Id", "Name"]).unwrap_or_else(|| node.tail().to_owned());
        let component = report.memory.part(ComponentClass::Network, &wished, &node.uri);
        parts.extend(part(component, node));
    }
    for node in report.of(Role::Firmware) {
        let Some(version) = text(&node.body, "Version") else { continue };
        let wished = name(&node.body, &["Name", "Id"]).unwrap_or_else(|| node.tail().to_owned());
        let component = report.memory.part(ComponentClass::Firmware, &wished, &node.uri);
        let mut image = blank(component, &node.uri);
        image.manufacturer = text(&node.body, "Manufacturer");
        image.firmware = Some(version);
        parts.push(image);
    }
    let identity = identity(report, platform);
    let worth_telling = !parts.is_empty() || identity != Identity::default();
    if worth_telling {
        let source = report.of(Role::System).next().or_else(|| report.of(Role::Chassis).next());
        let source = Source(source.map_or_else(|| "/redfish/v1".to_owned(), |n| n.uri.clone()));
        let bmc_clock_offset_ms = clock_offset(report);
        report.out.push(Observation::Inventory(Inventory {
            identity,
            parts,
            bmc_clock_offset_ms,
            observed_at: at,
            source,
        }));
    }
}

/// A processor, memory module or manager: its state, and the part where one is there.
fn module(report: &mut Report<'_>, class: ComponentClass, node: &Node) -> Option<Part> {
    let body = &node.body;
    let located = match class {
        ComponentClass::Memory => name(body, &["DeviceLocator", "Id", "Name"]),
        ComponentClass::Cpu => name(body, &["Socket", "Id", "Name"])
            .filter(|s| s.chars().any(|c| c.is_ascii_alphabetic()))
            .or_else(|| name(body, &["Id"])),
        _ => name(body, &["Id", "Name"]),
    };
    let wished = located.unwrap_or_else(|| node.tail().to_owned());
    // A GPU is listed among the processors.
    let class = match text(body, "ProcessorType").as_deref() {
        Some("GPU" | "Accelerator") => ComponentClass::Gpu,
        _ => class,
    };
    let component = report.memory.part(class, &wished, &node.uri);
    report.push(state(&component, "health", &Status::of(body), &Seen { uri: node.uri.clone(), at: node.at }));
    part(component, node)
}

fn blank(component: ComponentId, uri: &str) -> Part {
    Part {
        component,
        manufacturer: None,
        model: None,
        part_number: None,
        serial: None,
        firmware: None,
        capacity_bytes: None,
        source: Source(uri.to_owned()),
    }
}

fn part(component: ComponentId, node: &Node) -> Option<Part> {
    let body = &node.body;
    if Status::of(body).is_absent() {
        return None;
    }
    let mib = number(body, "CapacityMiB").or_else(|| number(body, "SizeMB")).map(|n| n.value * 1_048_576.0);
    Some(Part {
        manufacturer: text(body, "Manufacturer"),
        model: name(body, &["Model", "ProcessorType"]),
        part_number: text(body, "PartNumber"),
        serial: serial(body),
        firmware: name(body, &["FirmwareVersion", "Version"]),
        capacity_bytes: mib.and_then(bytes),
        ..blank(component, &node.uri)
    })
}

/// A size as whole bytes; `None` where it is no size.
pub(super) fn bytes(size: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked first, and sizes are whole"
    )]
    (1.0..9e18).contains(&size).then_some(size as u64)
}

/// A part's serial number, without the words that makers write where there is none.
pub(super) fn serial(body: &Value) -> Option<String> {
    text(body, "SerialNumber").filter(|s| is_identity(s))
}

/// Whether a text names one thing: neither zeros, nor F's, nor a word for "nothing".
fn is_identity(text: &str) -> bool {
    let plain: String = text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let nothing = [
        "na",
        "none",
        "null",
        "unknown",
        "notavailable",
        "notspecified",
        "defaultstring",
        "tobefilledbyoem",
        "empty",
        "unspecified",
        "nodimm",
    ];
    let same = |c: char| plain.chars().all(|p| p == c);
    !plain.is_empty() && !nothing.contains(&plain.as_str()) && !same('0') && !same('f') && !same('x')
}

/// Several systems in one enclosure share its chassis; then only the first system that has an identity is told of.
fn identity(report: &Report<'_>, platform: Platform) -> Identity {
    let systems: Vec<&Node> = report.of(Role::System).collect();
    let mut chassis: Vec<&Node> = report.of(Role::Chassis).collect();
    chassis.sort_by_key(|n| report.memory.rank(&n.uri));
    // A host has memory or a BIOS; accelerators and DPUs that call themselves systems mostly have not.
    let host = systems.iter().max_by_key(|n| {
        let sockets = n.body.get("ProcessorSummary").and_then(|p| number(p, "Count")).is_some_and(|c| c.value > 0.0);
        (text(&n.body, "BiosVersion").is_some(), sockets, serial(&n.body).is_some())
    });
    let pick =
        |field: &str| host.into_iter().chain(&chassis).find_map(|n| text(&n.body, field)).filter(|t| is_identity(t));
    let of_chassis = || chassis.iter().find_map(|n| serial(&n.body));
    let of_system = || host.and_then(|n| serial(&n.body));
    let serial = if platform.sku_is_serial() { pick("SKU").or_else(of_system) } else { of_system() };
    let uuid = pick("UUID")
        .map(|u| u.to_ascii_lowercase())
        .filter(|u| u.len() == 36 && u.chars().all(|c| c == '-' || c.is_ascii_hexdigit()));
    Identity {
        serial: serial.or_else(of_chassis),
        uuid,
        manufacturer: pick("Manufacturer"),
        model: pick("Model"),
        hostname: host.and_then(|n| text(&n.body, "HostName")),
        asset_tag: pick("AssetTag"),
    }
}

fn clock_offset(report: &Report<'_>) -> Option<i64> {
    report.of(Role::Manager).find_map(|n| Some(time(&n.body, "DateTime")?.as_millis().saturating_sub(n.at.as_millis())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_nothing_are_no_identity() {
        for nothing in [
            "",
            "N/A",
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF",
            "To be filled by O.E.M.",
            "Default string",
            " ",
        ] {
            assert!(!is_identity(nothing), "{nothing:?}");
        }
        assert!(is_identity("F54P1G3"));
    }
}
