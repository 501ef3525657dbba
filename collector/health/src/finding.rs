//! What a rule says of a component: one [`Finding`], with its reason and the facts it rests on.

use outband_schemas::{ComponentId, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The name of a rule, `<class>.<what>`, e.g. `disk.smart_growth`. It is in tickets and on the wire: never rename one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(Cow<'static, str>);

impl RuleId {
    /// The name of a rule of this crate.
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a component, whoever found it: with server and component it is what one ticket is about. A
/// predicted and an actual failure of one part are the same fault, so that the second escalates the ticket of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A drive fails or has failed.
    DiskFailure,
    /// A drive's endurance is used up.
    DiskWear,
    /// A fan fails or has failed.
    FanFailure,
    /// A power supply fails or has failed.
    PsuFailure,
    /// A power supply gets no input.
    PowerInputLost,
    /// Redundancy of power supplies or fans is lost.
    RedundancyLost,
    /// Too hot, or soon.
    Overheating,
    /// A voltage out of its limits.
    VoltageOutOfRange,
    /// Memory errors, corrected in bursts or uncorrected.
    MemoryErrors,
    /// A processor reports internal errors.
    ProcessorErrors,
    /// A PCIe or bus error.
    BusErrors,
    /// A component says that it is not well, and no other fault fits.
    ComponentFailure,
    /// The same log entry again and again.
    EventBurst,
    /// The BMC gives no readings.
    BmcSilent,
    /// The agent is not heard.
    AgentSilent,
    /// A power feed is lost: the cause of many a [`Fault::PowerInputLost`]. Of a site, not of a server.
    PowerFeedLost,
    /// A cooling zone gets too hot: the cause of many an [`Fault::Overheating`]. Of a site, not of a server.
    CoolingLost,
    /// A whole rack is dark: the cause of many a [`Fault::BmcSilent`]. Of a site, not of a server.
    RackSilent,
    /// BMCs of one power feed are silent together, and no supply told of a lost input first: the feed, or the switch that hangs on it. Of a site, not
    /// of a server.
    FeedSilent,
    /// An agent reaches its BMCs no more, though it is heard itself: the cause of many a [`Fault::BmcSilent`]. Of a site, not of a server.
    AgentBlind,
    /// The same fault shows on many servers whose BMCs just got the same firmware. Of a site, not of a server.
    FirmwareWave,
    /// The collector's own clock stepped, and nobody says which time is right.
    ClockStepped,
    /// The disk that holds the collector's store is nearly full.
    StoreNearlyFull,
    /// The file of the collector's store is damaged.
    StoreDamaged,
    /// A channel does not deliver the collector's notices.
    NoticesStuck,
    /// What an agent sent could not be understood, or was spoilt on the collector's disk: kept apart, and missing everywhere else.
    AgentUnreadable,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 26] = [
        Self::DiskFailure,
        Self::DiskWear,
        Self::FanFailure,
        Self::PsuFailure,
        Self::PowerInputLost,
        Self::RedundancyLost,
        Self::Overheating,
        Self::VoltageOutOfRange,
        Self::MemoryErrors,
        Self::ProcessorErrors,
        Self::BusErrors,
        Self::ComponentFailure,
        Self::EventBurst,
        Self::BmcSilent,
        Self::AgentSilent,
        Self::PowerFeedLost,
        Self::CoolingLost,
        Self::RackSilent,
        Self::FeedSilent,
        Self::AgentBlind,
        Self::FirmwareWave,
        Self::ClockStepped,
        Self::StoreNearlyFull,
        Self::StoreDamaged,
        Self::NoticesStuck,
        Self::AgentUnreadable,
    ];

    /// The word used in tickets and output, e.g. `disk_failure`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DiskFailure => "disk_failure",
            Self::DiskWear => "disk_wear",
            Self::FanFailure => "fan_failure",
            Self::PsuFailure => "psu_failure",
            Self::PowerInputLost => "power_input_lost",
            Self::RedundancyLost => "redundancy_lost",
            Self::Overheating => "overheating",
            Self::VoltageOutOfRange => "voltage_out_of_range",
            Self::MemoryErrors => "memory_errors",
            Self::ProcessorErrors => "processor_errors",
            Self::BusErrors => "bus_errors",
            Self::ComponentFailure => "component_failure",
            Self::EventBurst => "event_burst",
            Self::BmcSilent => "bmc_silent",
            Self::AgentSilent => "agent_silent",
            Self::PowerFeedLost => "power_feed_lost",
            Self::CoolingLost => "cooling_lost",
            Self::RackSilent => "rack_silent",
            Self::FeedSilent => "feed_silent",
            Self::AgentBlind => "agent_blind",
            Self::FirmwareWave => "firmware_wave",
            Self::ClockStepped => "clock_stepped",
            Self::StoreNearlyFull => "store_nearly_full",
            Self::StoreDamaged => "store_damaged",
            Self::NoticesStuck => "notices_stuck",
            Self::AgentUnreadable => "agent_unreadable",
        }
    }

    /// Whether the condition can end without anybody touching the server, so that clean polls resolve it as recovered.
    /// All others end by a new part or by a person's verdict.
    pub fn clears_itself(self) -> bool {
        match self {
            Self::PowerInputLost
            | Self::Overheating
            | Self::BmcSilent
            | Self::AgentSilent
            | Self::PowerFeedLost
            | Self::CoolingLost
            | Self::RackSilent
            | Self::FeedSilent
            | Self::AgentBlind
            | Self::ClockStepped
            | Self::StoreNearlyFull
            | Self::NoticesStuck
            | Self::AgentUnreadable => true,
            // Nothing is whole again because it was not looked at yet.
            Self::StoreDamaged
            | Self::DiskFailure
            | Self::DiskWear
            | Self::FanFailure
            | Self::PsuFailure
            | Self::RedundancyLost
            | Self::VoltageOutOfRange
            | Self::MemoryErrors
            | Self::ProcessorErrors
            | Self::BusErrors
            | Self::ComponentFailure
            | Self::EventBurst
            | Self::FirmwareWave => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How grave a finding is, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing; nothing is about to fail.
    Advice,
    /// Degraded, or a failure is predicted.
    Warning,
    /// Failed, or out of its critical limits.
    Critical,
    /// The server is about to stop, or has.
    Fatal,
}

/// One fact that speaks for a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Evidence {
    /// When it was observed (the agent's clock).
    pub observed_at: Timestamp,
    /// The fact, for people, e.g. `reallocated_sectors 8 -> 24`.
    pub text: String,
}

/// What a rule says of a component now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule that says it.
    pub rule: RuleId,
    /// What is wrong.
    pub fault: Fault,
    /// Where.
    pub component: ComponentId,
    /// Whether a failure is predicted rather than seen.
    pub predicted: bool,
    /// How grave it is.
    pub level: Level,
    /// Points that the component's score loses for it, 1 to 100.
    pub penalty: u8,
    /// Why, in words, with the figures.
    pub reason: String,
    /// The facts, oldest first.
    pub evidence: Vec<Evidence>,
    /// When the condition began, as far as is known.
    pub onset: Timestamp,
    /// The newest moment at which the condition was observed to hold (the agent's clock).
    pub newest: Timestamp,
    /// How many polls it has to hold before it is taken for an incident; 1 where the rule itself already waited, or an
    /// event says it.
    pub confirm: u32,
    /// The serial of the part at fault, where it is known.
    pub part_serial: Option<String>,
}
