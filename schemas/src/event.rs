//! Entries of a BMC's log: the SEL of IPMI, the log services of Redfish.

use crate::{ComponentId, Source, Timestamp};
use serde::{Deserialize, Serialize};

/// One entry of a BMC's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEvent {
    /// The place that the entry speaks of.
    pub component: ComponentId,
    /// Which log: `sel`, or the Redfish log service with its holder, e.g. `Systems/1/Sel`: Ids alone repeat between systems and managers.
    pub log: String,
    /// The entry's id within that log, as the BMC gives it (SEL record ids in decimal). Ids repeat after a clear.
    pub id: String,
    /// What happened, as far as it is understood.
    pub kind: EventKind,
    /// How grave the BMC calls it.
    pub severity: Severity,
    /// Whether the condition ended (an IPMI deassertion, a Redfish resolved entry).
    pub deasserted: bool,
    /// The text of the entry.
    pub message: String,
    /// The BMC's own code: Redfish `MessageId`, or the SEL's event bytes in hex.
    pub code: String,
    /// The BMC's own time. Untrusted: stored and shown, never used for a clock. `None` where it is "pre-init" or unreadable.
    pub bmc_time: Option<Timestamp>,
    /// When the agent read it (the agent's clock).
    pub observed_at: Timestamp,
    /// Where in the BMC it was read.
    pub source: Source,
    /// The raw record in hex, or the raw JSON: what a digest of the content is made of.
    pub raw: String,
}

impl LogEvent {
    /// The key under which a server's log entry is stored once, however often it is read: log, id, BMC time and a digest of the
    /// content. The agent's time and the source are not part of it.
    pub fn natural_key(&self) -> String {
        let time = self.bmc_time.map_or_else(|| "-".to_owned(), |t| t.as_millis().to_string());
        format!("{}/{}/{}/{:016x}", self.log, self.id, time, fnv1a64(self.raw.as_bytes()))
    }
}

/// FNV-1a, 64 bit: stable across versions and machines, unlike the standard library's hasher. Not for secrets.
fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// How grave a BMC calls an entry. The number is stable: it goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Severity {
    /// The BMC does not say.
    Unknown = 1,
    /// Informational.
    Ok = 2,
    /// Needs attention.
    Warning = 3,
    /// Failed.
    Critical = 4,
}

impl Severity {
    /// Every severity, in the order of its number.
    pub const ALL: [Severity; 4] = [Self::Unknown, Self::Ok, Self::Warning, Self::Critical];

    /// The stable number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The severity of a stable number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.number() == number)
    }

    /// The word used in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal $word:literal,)*) => {
        /// What an entry means, as far as rules need to know. The number is stable: it goes over the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u16)]
        pub enum EventKind { $($(#[$doc])* $name = $number,)* }

        impl EventKind {
            /// Every kind, in the order of its number.
            pub const ALL: &[EventKind] = &[$(Self::$name),*];

            /// The stable number.
            pub fn number(self) -> u16 { self as u16 }

            /// The kind of a stable number.
            pub fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// The word used in output.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

event_kinds! {
    /// Not one of the kinds below.
    Other = 1 "other",
    /// The log was cleared.
    LogCleared = 2 "log_cleared",
    /// The log is full or nearly so.
    LogFull = 3 "log_full",
    /// A temperature crossed one of its limits.
    TemperatureLimit = 10 "temperature_limit",
    /// A voltage crossed one of its limits.
    VoltageLimit = 11 "voltage_limit",
    /// A fan crossed one of its limits, or stopped.
    FanLimit = 12 "fan_limit",
    /// Redundancy of fans or power supplies was lost or degraded.
    RedundancyLost = 13 "redundancy_lost",
    /// A power supply failed.
    PowerSupplyFailed = 20 "power_supply_failed",
    /// A power supply's failure is predicted.
    PowerSupplyPredictedFailure = 21 "power_supply_predicted_failure",
    /// A power supply has no input.
    PowerSupplyInputLost = 22 "power_supply_input_lost",
    /// A power supply was pulled or put in.
    PowerSupplyPresence = 23 "power_supply_presence",
    /// A drive failed.
    DriveFailed = 30 "drive_failed",
    /// A drive says that it will fail.
    DrivePredictedFailure = 31 "drive_predicted_failure",
    /// A drive was pulled or put in.
    DrivePresence = 32 "drive_presence",
    /// A memory error was corrected.
    MemoryCorrectable = 40 "memory_correctable",
    /// A memory error could not be corrected.
    MemoryUncorrectable = 41 "memory_uncorrectable",
    /// So many corrected memory errors that logging stopped.
    MemoryLoggingLimit = 42 "memory_logging_limit",
    /// A processor reports an internal error, a thermal trip or the like.
    ProcessorError = 50 "processor_error",
    /// A PCIe or bus error.
    BusError = 51 "bus_error",
    /// Power on, power off, reset.
    PowerChange = 60 "power_change",
    /// The operating system booted, stopped or crashed.
    OsChange = 61 "os_change",
    /// The watchdog fired.
    Watchdog = 62 "watchdog",
    /// The chassis was opened.
    Intrusion = 63 "intrusion",
    /// Firmware or configuration changed.
    Change = 64 "change",
    /// Somebody logged in or failed to.
    Audit = 65 "audit",
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ComponentClass;

    fn event() -> LogEvent {
        LogEvent {
            component: ComponentId::lenient(ComponentClass::Disk, "Bay 1"),
            log: "sel".to_owned(),
            id: "17".to_owned(),
            kind: EventKind::DriveFailed,
            severity: Severity::Critical,
            deasserted: false,
            message: "Drive fault".to_owned(),
            code: "6f01".to_owned(),
            bmc_time: Some(Timestamp::from_secs(1_700_000_000)),
            observed_at: Timestamp::from_secs(1_700_000_100),
            source: Source("sel:17".to_owned()),
            raw: "110002".to_owned(),
        }
    }

    #[test]
    fn the_natural_key_does_not_depend_on_when_or_where_the_entry_was_read() {
        let first = event();
        let again = LogEvent { observed_at: Timestamp::from_secs(9), source: Source("/other".to_owned()), ..event() };
        assert_eq!(first.natural_key(), again.natural_key());
    }

    #[test]
    fn a_reused_id_with_other_content_has_another_key() {
        let reused = LogEvent { raw: "110003".to_owned(), ..event() };
        assert_ne!(event().natural_key(), reused.natural_key());
    }

    #[test]
    fn the_digest_never_changes_between_versions() {
        assert_eq!(fnv1a64(b"foobar"), 0x85944171f73967e8, "test vector of the FNV reference code");
    }

    #[test]
    fn kind_numbers_read_back() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_number(kind.number()), Some(*kind));
        }
    }
}
