//! From a resource to those worth reading next, per section. The whole map of Redfish that we walk is here.

use super::lenient::{link, list, target, truth};
use super::memory::{Generation, Memory};
use super::walk::Node;
use crate::quirk::Platform;
use outband_schemas::Section;
use serde_json::Value;

/// What a resource is, decided by the link that led to it (types are often missing).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The service root.
    Root,
    /// A chassis.
    Chassis,
    /// A computer system.
    System,
    /// A manager: the BMC.
    Manager,
    /// `Thermal`: the older generation of temperatures and fans.
    Thermal,
    /// `Power`: the older generation of power supplies and voltages.
    Power,
    /// `ThermalSubsystem`.
    ThermalSubsystem,
    /// `PowerSubsystem`.
    PowerSubsystem,
    /// A member of `Sensors`.
    Sensor,
    /// A member of `ThermalSubsystem/Fans`.
    Fan,
    /// A member of `PowerSubsystem/PowerSupplies`.
    PowerSupply,
    /// The metrics of a power supply.
    PowerSupplyMetrics,
    /// A storage subsystem.
    Storage,
    /// A storage controller.
    StorageController,
    /// A drive.
    Drive,
    /// `DriveMetrics` or an OEM resource with a drive's SMART figures.
    DriveDetail,
    /// A logical volume.
    Volume,
    /// `SimpleStorage`.
    SimpleStorage,
    /// HPE's `SmartStorage` and its array controllers.
    SmartStorage,
    /// A drive below HPE's `SmartStorage`.
    SmartDrive,
    /// The telemetry service.
    Telemetry,
    /// A metric report with SMART figures.
    SmartReport,
    /// A log service.
    LogService,
    /// An entry of a log.
    LogEntry,
    /// A memory module.
    Memory,
    /// A processor.
    Processor,
    /// A network adapter.
    NetworkAdapter,
    /// The update service.
    UpdateService,
    /// A firmware image.
    Firmware,
}

impl Role {
    /// Whether what lies below belongs to it.
    pub(super) fn owns(self) -> bool {
        matches!(self, Self::Chassis | Self::System | Self::Manager | Self::LogService)
    }

    /// The word for people.
    pub fn what(self) -> &'static str {
        match self {
            Self::Root => "service root",
            Self::Chassis => "chassis",
            Self::System => "system",
            Self::Manager => "manager",
            Self::Thermal => "thermal",
            Self::Power => "power",
            Self::ThermalSubsystem => "thermal subsystem",
            Self::PowerSubsystem => "power subsystem",
            Self::Sensor => "sensor",
            Self::Fan => "fan",
            Self::PowerSupply => "power supply",
            Self::PowerSupplyMetrics => "power supply metrics",
            Self::Storage => "storage",
            Self::StorageController => "storage controller",
            Self::Drive => "drive",
            Self::DriveDetail => "drive metrics",
            Self::Volume => "volume",
            Self::SimpleStorage => "simple storage",
            Self::SmartStorage => "smart storage",
            Self::SmartDrive => "smart storage drive",
            Self::Telemetry => "telemetry service",
            Self::SmartReport => "SMART metric report",
            Self::LogService => "log service",
            Self::LogEntry => "log entry",
            Self::Memory => "memory module",
            Self::Processor => "processor",
            Self::NetworkAdapter => "network adapter",
            Self::UpdateService => "update service",
            Self::Firmware => "firmware image",
        }
    }
}

/// Roles that add to another resource: where the BMC has none, nothing is missing.
pub(super) fn optional(role: Role) -> bool {
    matches!(role, Role::PowerSupplyMetrics | Role::DriveDetail | Role::Telemetry | Role::SmartReport)
}

/// A resource or collection to read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Next {
    pub(super) uri: String,
    pub(super) role: Role,
    pub(super) collection: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Ask for it.
    Ask(Next),
    /// It was in the resource at hand.
    Has { uri: String, role: Role, body: Value },
}

fn one(from: &Value, field: &str, role: Role) -> Option<Step> {
    link(from, field).map(|uri| Step::Ask(Next { uri, role, collection: false }))
}

fn all(from: &Value, field: &str, role: Role) -> Option<Step> {
    link(from, field).map(|uri| Step::Ask(Next { uri, role, collection: true }))
}

/// The elements of an array: links to follow, or the resources themselves. Some BMCs put a link to a collection in an array's place.
fn each(node: &Node, from: &Value, field: &str, role: Role) -> Vec<Step> {
    if let Some(Value::Object(_)) = from.get(field) {
        return all(from, field, role).into_iter().collect();
    }
    let steps = list(from, field).iter().enumerate().filter_map(|(index, element)| {
        if super::lenient::is_inline(element) && (element.get("Id").is_some() || target(element).is_none()) {
            let uri = target(element).unwrap_or_else(|| format!("{}#/{field}/{index}", node.uri));
            return Some(Step::Has { uri, role, body: element.clone() });
        }
        target(element).map(|uri| Step::Ask(Next { uri, role, collection: false }))
    });
    steps.collect()
}

/// What to read after `node` for `section`.
pub(super) fn from(section: Section, node: &Node, memory: &Memory, platform: Platform) -> Vec<Step> {
    let body = &node.body;
    match section {
        Section::Sensors => sensors(node, body, memory),
        Section::Drives => drives(node, body, platform),
        Section::Log => log(node, body),
        Section::Inventory => inventory(node, body),
        Section::Host => Vec::new(),
    }
}

fn top(body: &Value, roles: &[Role]) -> Vec<Step> {
    let fields = [
        ("Chassis", Role::Chassis),
        ("Systems", Role::System),
        ("Managers", Role::Manager),
        ("UpdateService", Role::UpdateService),
    ];
    fields
        .into_iter()
        .filter(|(_, role)| roles.contains(role))
        .filter_map(
            |(field, role)| if role == Role::UpdateService { one(body, field, role) } else { all(body, field, role) },
        )
        .collect()
}

fn sensors(node: &Node, body: &Value, memory: &Memory) -> Vec<Step> {
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

fn storage(node: &Node, body: &Value) -> Vec<Step> {
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

fn drives(node: &Node, body: &Value, platform: Platform) -> Vec<Step> {
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
                .filter(|(name, value)| {
                    name.to_ascii_uppercase().contains("SMART") && !super::lenient::is_inline(value)
                })
                .filter_map(|(_, value)| target(value))
                .map(|uri| Step::Ask(Next { uri, role: Role::DriveDetail, collection: false }));
            smart.chain(one(body, "Metrics", Role::DriveDetail)).collect()
        }
        _ => storage(node, body),
    }
}

fn log(node: &Node, body: &Value) -> Vec<Step> {
    match node.role {
        Role::Root => top(body, &[Role::System, Role::Manager, Role::Chassis]),
        Role::System | Role::Manager | Role::Chassis => {
            all(body, "LogServices", Role::LogService).into_iter().collect()
        }
        Role::LogService if truth(body, "ServiceEnabled") == Some(false) => Vec::new(),
        Role::LogService => all(body, "Entries", Role::LogEntry).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn inventory(node: &Node, body: &Value) -> Vec<Step> {
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
