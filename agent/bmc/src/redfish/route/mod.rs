//! From a resource to those worth reading next, per section. The whole map of Redfish that we walk is here and in the rooms below, one a section.

pub(super) mod drives;
mod inventory;
mod log;
mod sensors;

pub(super) use sensors::newer;
mod slow;

use super::lenient::{link, list, target};
use super::memory::Memory;
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
    /// A port of a network adapter: `Port`, or the older `NetworkPort`.
    NetworkPort,
    /// An Ethernet interface of a system.
    EthernetInterface,
    /// `MemoryMetrics`: error counts of a memory module or of all of a system.
    MemoryMetrics,
    /// `ProcessorMetrics`: error counts, throttling and temperature of a processor.
    ProcessorMetrics,
    /// `EnvironmentMetrics`: temperature and power of one part.
    EnvironmentMetrics,
    /// `LeakDetection` of a thermal subsystem.
    LeakDetection,
    /// A leak detector.
    LeakDetector,
    /// The definition of a metric report.
    MetricDefinition,
    /// A metric report with figures of power and heat.
    MetricReport,
    /// `PowerEquipment` or `ThermalEquipment`, and the summary metrics of one such device.
    Equipment,
    /// A device of power or cooling outside of a chassis: a rack PDU, a power shelf, a cooling unit.
    EquipmentUnit,
    /// A circuit, outlet, pump or coolant connection of such a device.
    EquipmentPart,
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
            Self::NetworkPort => "network port",
            Self::EthernetInterface => "Ethernet interface",
            Self::MemoryMetrics => "memory metrics",
            Self::ProcessorMetrics => "processor metrics",
            Self::EnvironmentMetrics => "environment metrics",
            Self::LeakDetection => "leak detection",
            Self::LeakDetector => "leak detector",
            Self::MetricDefinition => "metric report definition",
            Self::MetricReport => "metric report",
            Self::Equipment => "equipment",
            Self::EquipmentUnit => "equipment unit",
            Self::EquipmentPart => "equipment part",
        }
    }
}

/// Roles that add to another resource: where the BMC has none, nothing is missing.
pub(super) fn optional(role: Role) -> bool {
    matches!(
        role,
        Role::PowerSupplyMetrics
            | Role::DriveDetail
            | Role::Telemetry
            | Role::SmartReport
            | Role::MemoryMetrics
            | Role::ProcessorMetrics
            | Role::EnvironmentMetrics
            | Role::LeakDetection
            | Role::MetricDefinition
            | Role::MetricReport
    )
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

/// A resource that a field of `from` links to.
fn one(from: &Value, field: &str, role: Role) -> Option<Step> {
    link(from, field).map(|uri| Step::Ask(Next { uri, role, collection: false }))
}

/// A collection that a field of `from` links to.
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
pub(super) fn from(section: Section, node: &Node, memory: &mut Memory, platform: Platform) -> Vec<Step> {
    let body = &node.body;
    slow::notice(node, memory);
    match section {
        Section::Sensors => sensors::sensors(node, body),
        Section::Drives => {
            let mut steps = drives::drives(node, body, platform);
            steps.extend(slow::slow(node, body, memory));
            steps
        }
        Section::Log => log::log(node, body),
        Section::Inventory => inventory::inventory(node, body, memory),
        Section::Host => Vec::new(),
    }
}

/// The members of the service root of the given roles.
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
