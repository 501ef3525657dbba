//! What an agent says of a BMC.

use crate::{ComponentId, LogEvent, Reading, Source, TargetId, Timestamp, reading::Cause};
use serde::{Deserialize, Serialize};

/// One thing seen, or one thing that could not be seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Observation {
    /// A sensor's value.
    Reading(Reading),
    /// An entry of a log.
    Event(LogEvent),
    /// What a server is and what is in it.
    Inventory(Inventory),
    /// Something that should have been read and was not.
    Gap(Gap),
}

/// What one poll of one section of one target saw: the unit that is spooled, sent and stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservationSet {
    /// The BMC polled.
    pub target: TargetId,
    /// The part of it that was polled.
    pub section: Section,
    /// When the poll began (the agent's clock).
    pub polled_at: Timestamp,
    /// What was seen.
    pub observations: Vec<Observation>,
}

/// A part of a BMC that has its own cadence, so that slow logs never delay sensors. The number is stable: it goes over
/// the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Section {
    /// Temperatures, fans, voltages, power, discrete states.
    Sensors = 1,
    /// Drives with life and SMART figures.
    Drives = 2,
    /// New log entries.
    Log = 3,
    /// Identity, parts, firmware.
    Inventory = 4,
    /// The agent's own host.
    Host = 5,
}

impl Section {
    /// Every section, in the order of its number.
    pub const ALL: [Section; 5] = [Self::Sensors, Self::Drives, Self::Log, Self::Inventory, Self::Host];
    /// The sections that a BMC has.
    pub const OF_BMC: [Section; 4] = [Self::Sensors, Self::Drives, Self::Log, Self::Inventory];

    /// The stable number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The section of a stable number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.number() == number)
    }

    /// The word used in configs and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sensors => "sensors",
            Self::Drives => "drives",
            Self::Log => "log",
            Self::Inventory => "inventory",
            Self::Host => "host",
        }
    }

    /// The lane in which what this section saw is sent.
    pub fn lane(self) -> Lane {
        match self {
            Self::Log | Self::Inventory => Lane::Event,
            Self::Sensors | Self::Drives | Self::Host => Lane::Telemetry,
        }
    }
}

/// One of the two queues between agent and collector, each with its own sequence, so that a backlog of telemetry never
/// delays a failure. The number is stable: it goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Lane {
    /// Log entries, inventory, gaps: few, and first.
    Event = 1,
    /// Readings: many.
    Telemetry = 2,
}

impl Lane {
    /// Both lanes, the urgent one first.
    pub const ALL: [Lane; 2] = [Self::Event, Self::Telemetry];

    /// The stable number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The lane of a stable number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|l| l.number() == number)
    }

    /// The word used in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Telemetry => "telemetry",
        }
    }
}

/// What names a server. All-zero, all-F and shared values are no identity: the parser leaves them out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The chassis serial (Dell: service tag).
    pub serial: Option<String>,
    /// The system UUID, lower case with hyphens.
    pub uuid: Option<String>,
    /// The maker.
    pub manufacturer: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The host's own name, where the BMC knows it.
    pub hostname: Option<String>,
    /// The asset tag.
    pub asset_tag: Option<String>,
}

/// What a server is and what is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// What names it.
    pub identity: Identity,
    /// The parts in their places, firmware images included.
    pub parts: Vec<Part>,
    /// How far the BMC's clock is ahead of the agent's, in milliseconds; `None` where it is not known.
    pub bmc_clock_offset_ms: Option<i64>,
    /// When the agent read it (the agent's clock).
    pub observed_at: Timestamp,
    /// Where in the BMC it was read.
    pub source: Source,
}

/// The thing in a place: a drive by its serial, a firmware image by its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The place.
    pub component: ComponentId,
    /// The maker.
    pub manufacturer: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The maker's part number.
    pub part_number: Option<String>,
    /// The serial number.
    pub serial: Option<String>,
    /// The firmware version.
    pub firmware: Option<String>,
    /// Size in bytes: of a drive, a memory module, a volume.
    pub capacity_bytes: Option<u64>,
    /// Where in the BMC it was read.
    pub source: Source,
}

/// Something that should have been read and was not. A gap is shown and scored; it is never taken for "OK".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The place, where the gap is of one place; else the whole section is missing.
    pub component: Option<ComponentId>,
    /// Why.
    pub cause: Cause,
    /// Why, in words: what failed, for people. Holds no secrets.
    pub detail: String,
    /// When the agent noticed (the agent's clock).
    pub observed_at: Timestamp,
    /// The URI, sensor or record that could not be read.
    pub source: Source,
    /// The span of time that is missing, where the gap is of time: first and last.
    pub span: Option<(Timestamp, Timestamp)>,
}
