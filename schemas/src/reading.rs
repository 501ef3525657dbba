//! One value of one sensor at one moment, and how far it can be trusted.

use crate::{ComponentId, SensorKind, Source, Timestamp};
use serde::{Deserialize, Serialize};

/// A value that a BMC gave for a sensor, or the reason why it gave none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The place that the sensor watches.
    pub component: ComponentId,
    /// What is measured.
    pub kind: SensorKind,
    /// The sensor's own name, unique within component and kind. With component and kind it names one series.
    pub sensor: String,
    /// The value, in the unit of `kind`. `None` exactly when `quality` is [`Quality::Unavailable`].
    pub value: Option<Value>,
    /// How far the value can be trusted.
    pub quality: Quality,
    /// When the agent read it (the agent's clock).
    pub observed_at: Timestamp,
    /// Where in the BMC it was read.
    pub source: Source,
    /// The BMC's own limits, in the unit of `kind`.
    pub thresholds: Option<Thresholds>,
}

/// What a sensor says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// An analog value in the unit of the reading's kind. Always finite.
    Number(f64),
    /// A discrete state: what it means for health, and the BMC's own words (e.g. `Presence detected`,
    /// `Enabled, Critical`).
    State {
        /// What the state means.
        state: State,
        /// The BMC's words for it, comma separated where several bits are set.
        text: String,
    },
    /// An identifying text, such as a firmware version.
    Text(String),
}

impl Value {
    /// The number of an analog value.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Number(n) => Some(*n),
            Value::State { .. } | Value::Text(_) => None,
        }
    }
}

/// What a discrete state means for health, worst last. The number is stable: it goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum State {
    /// Not populated.
    Absent = 1,
    /// Present, and the BMC says nothing of its health. Not OK: unknown.
    Unknown = 2,
    /// Present and well.
    Ok = 3,
    /// Degraded, or its failure is predicted.
    Warning = 4,
    /// Failed.
    Critical = 5,
}

impl State {
    /// Every state, in the order of its number.
    pub const ALL: [State; 5] = [Self::Absent, Self::Unknown, Self::Ok, Self::Warning, Self::Critical];

    /// The stable number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The state of a stable number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.number() == number)
    }
}

/// How far a reading can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// As the BMC gave it.
    Good,
    /// A value, with a doubt.
    Suspect(Suspicion),
    /// No value, with the reason. Absence is data, never recovery.
    Unavailable(Cause),
}

/// Why a value is doubted. The number is stable: it goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Suspicion {
    /// Outside the plausible range of its kind.
    OutOfRange = 1,
    /// The BMC says that scanning is disabled, yet gives a value.
    ScanningDisabled = 2,
    /// A number had to be cut out of a text.
    Coerced = 3,
    /// Another source of the same sensor disagrees.
    Disagrees = 4,
}

impl Suspicion {
    /// Every suspicion, in the order of its number.
    pub const ALL: [Suspicion; 4] = [Self::OutOfRange, Self::ScanningDisabled, Self::Coerced, Self::Disagrees];

    /// The stable number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The suspicion of a stable number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.number() == number)
    }
}

/// Why there is no value, or why something could not be read. The number is stable: it goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Cause {
    /// The BMC says that it has no reading now (IPMI "reading unavailable", JSON `null`).
    NoReading = 1,
    /// Scanning of the sensor is switched off.
    Disabled = 2,
    /// The place is empty.
    Absent = 3,
    /// No answer within the deadline.
    Timeout = 4,
    /// The address cannot be reached.
    Unreachable = 5,
    /// The BMC refused the login, or the privilege is too low.
    Denied = 6,
    /// The BMC is busy or out of sessions.
    Busy = 7,
    /// The answer could not be understood.
    Malformed = 8,
    /// The BMC does not have this.
    NotSupported = 9,
    /// The BMC answered with an error of its own.
    BmcError = 10,
    /// The TLS certificate is not the pinned one, or no CA vouches for it.
    Certificate = 11,
    /// The agent had it but its spool was full, so it was dropped.
    Evicted = 12,
    /// The agent had sent and released it, and it is gone.
    Released = 13,
    /// The agent's spool file was unreadable and was set aside.
    SpoolLost = 14,
    /// The poll overran or was cancelled.
    Cancelled = 15,
    /// The sensor belongs to a controller that the agent cannot reach.
    NotReadable = 16,
}

impl Cause {
    /// Every cause, in the order of its number.
    pub const ALL: [Cause; 16] = [
        Self::NoReading,
        Self::Disabled,
        Self::Absent,
        Self::Timeout,
        Self::Unreachable,
        Self::Denied,
        Self::Busy,
        Self::Malformed,
        Self::NotSupported,
        Self::BmcError,
        Self::Certificate,
        Self::Evicted,
        Self::Released,
        Self::SpoolLost,
        Self::Cancelled,
        Self::NotReadable,
    ];

    /// The stable number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The cause of a stable number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.number() == number)
    }

    /// The word used in output, e.g. `no_reading`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoReading => "no_reading",
            Self::Disabled => "disabled",
            Self::Absent => "absent",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Denied => "denied",
            Self::Busy => "busy",
            Self::Malformed => "malformed",
            Self::NotSupported => "not_supported",
            Self::BmcError => "bmc_error",
            Self::Certificate => "certificate",
            Self::Evicted => "evicted",
            Self::Released => "released",
            Self::SpoolLost => "spool_lost",
            Self::Cancelled => "cancelled",
            Self::NotReadable => "not_readable",
        }
    }
}

/// The BMC's own limits of a sensor, in the unit of its kind. Names as in IPMI 2.0 §35.5 and Redfish `Thresholds`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Lower non-recoverable (Redfish `LowerFatal`).
    pub lower_non_recoverable: Option<f64>,
    /// Lower critical.
    pub lower_critical: Option<f64>,
    /// Lower non-critical (Redfish `LowerCaution`).
    pub lower_non_critical: Option<f64>,
    /// Upper non-critical (Redfish `UpperCaution`).
    pub upper_non_critical: Option<f64>,
    /// Upper critical.
    pub upper_critical: Option<f64>,
    /// Upper non-recoverable (Redfish `UpperFatal`).
    pub upper_non_recoverable: Option<f64>,
}

impl Thresholds {
    /// Whether no limit is known.
    pub fn is_empty(&self) -> bool {
        *self == Thresholds::default()
    }

    /// Without limits that are no finite numbers: such a limit says nothing, and no comparison with it does.
    pub fn finite(self) -> Self {
        let finite = |limit: Option<f64>| limit.filter(|l| l.is_finite());
        Self {
            lower_non_recoverable: finite(self.lower_non_recoverable),
            lower_critical: finite(self.lower_critical),
            lower_non_critical: finite(self.lower_non_critical),
            upper_non_critical: finite(self.upper_non_critical),
            upper_critical: finite(self.upper_critical),
            upper_non_recoverable: finite(self.upper_non_recoverable),
        }
    }
}
