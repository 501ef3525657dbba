//! Section inventory: what a server is, what is in it, and how its BMC's clock stands.

use super::lenient::{Number, number, text, time};
use super::report::{Figure, Report, Seen, Status, analog, name};
use super::route::Role;
use super::walk::Node;
use super::{equipment, module, network, oem, power, rotation, storage};
use crate::quirk::Platform;
use outband_schemas::{
    Cause, ComponentClass, ComponentId, Gap, Identity, Inventory, Observation, Part, SensorKind, Source, Timestamp,
};
use serde_json::Value;

pub(super) fn report(report: &mut Report<'_>, platform: Platform, at: Timestamp) {
    let mut parts = Vec::new();
    for (role, class) in [
        (Role::Manager, ComponentClass::Bmc),
        (Role::Processor, ComponentClass::Cpu),
        (Role::Memory, ComponentClass::Memory),
    ] {
        for node in report.of(role) {
            let component = module::place(report, class, node);
            module::states(report, &component, node);
            if role == Role::Manager {
                clock(report, &component, node);
            }
            parts.extend(part(component, node));
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
    parts.extend(network::adapters(report));
    parts.extend(network::links(report));
    parts.extend(firmware(report));
    module::metrics(report);
    parts.extend(equipment::parts(report));
    put_off(report, at);
    let identity = match report.of(Role::System).chain(report.of(Role::Chassis)).next() {
        Some(_) => identity(report, platform),
        None => report.memory.portions.identity.clone(),
    };
    report.memory.portions.identity.clone_from(&identity);
    let worth_telling = !parts.is_empty() || identity != Identity::default();
    if worth_telling {
        let source = report.of(Role::System).next().or_else(|| report.of(Role::Chassis).next());
        let source = Source(source.map_or_else(|| "/redfish/v1".to_owned(), |n| n.uri.clone()));
        let bmc_clock_offset_ms = report.of(Role::Manager).find_map(clock_offset);
        report.out.push(Observation::Inventory(Inventory {
            identity,
            parts,
            bmc_clock_offset_ms,
            observed_at: at,
            source,
        }));
    }
}

/// The firmware images, and the BIOS as the system names it where no image does. What two inventories list under two URIs with the same name and version
/// is one image.
fn firmware(report: &mut Report<'_>) -> Vec<Part> {
    let mut images: Vec<Part> = Vec::new();
    for node in report.of(Role::Firmware) {
        let Some(version) = name(&node.body, &["Version", "VersionString"]) else { continue };
        let wished = name(&node.body, &["Name", "Id"]).unwrap_or_else(|| node.tail().to_owned());
        let image = (node.tail().to_owned(), wished.clone(), version.clone());
        if report.memory.portions.images.entry(image).or_insert_with(|| node.uri.clone()) != &node.uri {
            continue;
        }
        let component = report.memory.part(ComponentClass::Firmware, &wished, &node.uri);
        let manufacturer = text(&node.body, "Manufacturer");
        images.push(Part { manufacturer, firmware: Some(version), ..blank(component, &node.uri) });
    }
    for node in report.of(Role::System) {
        let bios = text(&node.body, "BiosVersion").map(|version| (version, format!("{}#/BiosVersion", node.uri)));
        report.memory.portions.bios.extend(bios);
    }
    if report.memory.portions.left().contains_key(&Role::Firmware) {
        return images;
    }
    for (version, uri) in std::mem::take(&mut report.memory.portions.bios) {
        let told = |v: &String| v.contains(&version) || version.contains(v.as_str());
        if !report.memory.portions.images.keys().any(|(_, _, v)| told(v)) {
            let component = report.memory.part(ComponentClass::Firmware, "BIOS", &uri);
            images.push(Part { firmware: Some(version), ..blank(component, &uri) });
        }
    }
    images
}

/// Says what was left for later polls, so that its silence is no riddle.
fn put_off(report: &mut Report<'_>, at: Timestamp) {
    for (role, count) in report.memory.rotation.put_off() {
        let detail = format!(
            "{count} × {}: not read in this poll, to spare the BMC; {} are read with each poll of the drives, in turn",
            role.what(),
            rotation::share(role)
        );
        let source = Source("/redfish/v1".to_owned());
        report.out.push(Observation::Gap(Gap {
            component: None,
            cause: Cause::Cancelled,
            detail,
            observed_at: at,
            source,
            span: None,
        }));
    }
}

/// A part of which nothing is known yet.
pub(super) fn blank(component: ComponentId, uri: &str) -> Part {
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

/// The part in a place; `None` where the place is empty.
pub(super) fn part(component: ComponentId, node: &Node) -> Option<Part> {
    let body = &node.body;
    if Status::of(body).is_absent() {
        return None;
    }
    let mib = number(body, "CapacityMiB").or_else(|| number(body, "SizeMB")).map(|n| n.value * 1_048_576.0);
    Some(Part {
        manufacturer: text(body, "Manufacturer"),
        model: name(body, &["Model", "ProcessorType"]),
        part_number: name(body, &["PartNumber", "SparePartNumber"])
            .filter(|p| is_identity(p))
            .or_else(|| oem::oem_text(body, &["PartNumber", "FruPartNumber"]).filter(|p| is_identity(p))),
        serial: serial(body).or_else(|| oem::oem_text(body, &["SerialNumber"]).filter(|s| is_identity(s))),
        firmware: name(body, &["FirmwareVersion", "FirmwareRevision"]),
        capacity_bytes: mib.and_then(bytes),
        ..blank(component, &node.uri)
    })
}

/// A size as whole bytes; `None` where it is no size.
pub(crate) fn bytes(size: f64) -> Option<u64> {
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
pub(crate) fn is_identity(text: &str) -> bool {
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

/// How far a manager's clock is ahead of ours, in milliseconds. A time in whole seconds was true for the whole of its second: its middle is taken.
fn clock_offset(manager: &Node) -> Option<i64> {
    let said = text(&manager.body, "DateTime")?;
    let middle = if said.contains('.') { 0 } else { 500 };
    let ahead = time(&manager.body, "DateTime")?.as_millis().saturating_add(middle);
    Some(ahead.saturating_sub(manager.at.as_millis()))
}

/// Each manager's own clock: there may be several, and only one of them is the inventory's.
fn clock(report: &mut Report<'_>, component: &ComponentId, manager: &Node) {
    if let Some(offset) = clock_offset(manager) {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of any two dates fit in 53 bits")]
        let number = Number { value: offset as f64 / 1000.0, coerced: false };
        let figure = Figure::new(SensorKind::ClockOffset, "clock", Some(number));
        let seen = Seen { uri: format!("{}#/DateTime", manager.uri), at: manager.at };
        report.push(analog(component, figure, &Status::default(), &seen));
    }
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
