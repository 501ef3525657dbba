//! Every kind of sensor, one row each: stable number, name, unit, plausible range, OpenTelemetry name.
//!
//! To add a kind, add a row with a new number. Never change or reuse a number: it is in stores and on the wire.
//! OpenTelemetry names are of the semantic conventions for hardware (`hw.*`); kinds that have none there stay under
//! `outband.`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A row of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// The kind.
    pub kind: SensorKind,
    /// The stable number.
    pub number: u16,
    /// The word used in configs and output.
    pub name: &'static str,
    /// The unit, UCUM (`Cel`, `V`, `%`, `1`), empty for states.
    pub unit: &'static str,
    /// The plausible range, in that unit: a value outside is [`crate::Suspicion::OutOfRange`].
    pub range: (f64, f64),
    /// The OpenTelemetry metric name.
    pub otel: &'static str,
    /// Whether it only ever grows (until the part is replaced or its counter is reset).
    pub counter: bool,
}

macro_rules! catalog {
    ($($(#[$doc:meta])* $kind:ident = $number:literal $name:literal $unit:literal ($low:literal, $high:literal) $otel:literal $counter:literal,)*) => {
        /// What a sensor measures.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u16)]
        pub enum SensorKind { $($(#[$doc])* $kind = $number,)* }

        /// The catalogue, in the order of its numbers.
        pub const CATALOG: &[Row] = &[$(Row {
            kind: SensorKind::$kind, number: $number, name: $name, unit: $unit, range: ($low as f64, $high as f64), otel: $otel, counter: $counter,
        },)*];

        impl SensorKind {
            /// The kind's row.
            pub fn row(self) -> &'static Row {
                match self { $(SensorKind::$kind => {
                    const ROW: Row = Row {
                        kind: SensorKind::$kind, number: $number, name: $name, unit: $unit, range: ($low as f64, $high as f64), otel: $otel, counter: $counter,
                    };
                    &ROW
                })* }
            }

            /// The kind of a stable number.
            pub fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$kind),)* _ => None }
            }
        }
    };
}

catalog! {
    /// A discrete state: presence, health, redundancy, link.
    State = 1 "state" "" (0, 0) "hw.status" false,
    /// Temperature.
    Temperature = 10 "temperature" "Cel" (-60, 200) "hw.temperature" false,
    /// Distance to the temperature at which a processor throttles, as Intel's DTS gives it.
    ThermalMargin = 11 "thermal_margin" "Cel" (-200, 200) "outband.thermal_margin" false,
    /// Fan speed.
    FanSpeed = 20 "fan_speed" "rpm" (0, 60000) "hw.fan.speed" false,
    /// Fan speed as a share of the most it can do, or the duty that it is driven with.
    FanDuty = 21 "fan_duty" "%" (0, 110) "hw.fan.speed_ratio" false,
    /// Flow of air.
    Airflow = 22 "airflow" "[cft_i]/min" (0, 10000) "outband.airflow" false,
    /// Voltage.
    Voltage = 30 "voltage" "V" (-100, 1000) "hw.voltage" false,
    /// Current.
    Current = 31 "current" "A" (-1000, 10000) "hw.current" false,
    /// Power.
    Power = 32 "power" "W" (-1000, 1000000) "hw.power" false,
    /// Energy since the counter began.
    Energy = 33 "energy" "J" (0, 1e15) "hw.energy" true,
    /// Input voltage of a power supply.
    InputVoltage = 34 "input_voltage" "V" (0, 1000) "hw.power_supply.input_voltage" false,
    /// Input power of a power supply.
    InputPower = 35 "input_power" "W" (0, 100000) "hw.power_supply.input_power" false,
    /// Output power of a power supply.
    OutputPower = 36 "output_power" "W" (0, 100000) "hw.power_supply.output_power" false,
    /// Efficiency of a power supply.
    Efficiency = 37 "efficiency" "%" (0, 100) "hw.power_supply.efficiency" false,
    /// Frequency.
    Frequency = 38 "frequency" "Hz" (0, 1e12) "outband.frequency" false,
    /// The power that a power supply is built for.
    PowerRating = 39 "power_rating" "W" (0, 100000) "hw.power_supply.limit" false,
    /// Relative humidity.
    Humidity = 40 "humidity" "%" (0, 100) "outband.humidity" false,
    /// Share of a resource in use.
    Utilization = 41 "utilization" "%" (0, 110) "outband.utilization" false,
    /// Memory of the agent's host in use.
    MemoryUsed = 42 "memory_used" "By" (0, 1e18) "system.memory.usage" false,
    /// Free space of a file system of the agent's host.
    DiskFree = 43 "disk_free" "By" (0, 1e18) "system.filesystem.usage" false,
    /// Time since the start.
    Uptime = 44 "uptime" "s" (0, 1e12) "system.uptime" false,
    /// Pressure of a coolant or of air.
    Pressure = 45 "pressure" "kPa" (-1000, 10000) "outband.pressure" false,
    /// Flow of a coolant.
    CoolantFlow = 46 "coolant_flow" "L/min" (0, 100000) "outband.coolant_flow" false,
    /// Speed at which a link runs; 0 where it is down.
    LinkSpeed = 47 "link_speed" "bit/s" (0, 1e14) "outband.network.link_speed" false,
    /// How far a clock is ahead of the agent's.
    ClockOffset = 48 "clock_offset" "s" (-1e11, 1e11) "outband.clock_offset" false,
    /// A number with no unit, or with one the catalogue does not know.
    Quantity = 49 "quantity" "1" (-1e15, 1e15) "outband.quantity" false,
    /// Life left of a drive.
    LifeLeft = 50 "life_left" "%" (0, 100) "hw.physical_disk.endurance_utilization" false,
    /// Power-on hours (ATA 9).
    PowerOnHours = 51 "power_on_hours" "h" (0, 1000000) "outband.disk.power_on_hours" true,
    /// Reallocated sectors (ATA 5) or grown defects (SAS).
    ReallocatedSectors = 52 "reallocated_sectors" "1" (0, 1e12) "hw.physical_disk.smart.reallocated_sectors" true,
    /// Sectors waiting to be reallocated (ATA 197).
    PendingSectors = 53 "pending_sectors" "1" (0, 1e12) "hw.physical_disk.smart.pending_sectors" false,
    /// Sectors that no scan could read (ATA 198).
    OfflineUncorrectable = 54 "offline_uncorrectable" "1" (0, 1e12) "hw.physical_disk.smart.offline_uncorrectable" true,
    /// Errors that the drive's ECC could not correct (ATA 187) or uncorrected read errors (SAS).
    ReportedUncorrectable = 55 "reported_uncorrectable" "1" (0, 1e12) "hw.physical_disk.smart.reported_uncorrectable" true,
    /// Commands that timed out (ATA 188).
    CommandTimeouts = 56 "command_timeouts" "1" (0, 1e15) "hw.physical_disk.smart.command_timeouts" true,
    /// Errors on the cable (ATA 199).
    CrcErrors = 57 "crc_errors" "1" (0, 1e12) "hw.physical_disk.smart.crc_errors" true,
    /// Media and data integrity errors (NVMe SMART log, bytes 160..175; Redfish `MediaErrorCount`).
    MediaErrors = 58 "media_errors" "1" (0, 1e15) "hw.physical_disk.media_errors" true,
    /// Spare blocks left (NVMe).
    SpareLeft = 59 "spare_left" "%" (0, 100) "outband.disk.spare_left" false,
    /// Bytes written over the drive's life (ATA 241, NVMe).
    BytesWritten = 60 "bytes_written" "By" (0, 1e19) "outband.disk.bytes_written" true,
    /// Whether the drive says that it will fail (Redfish `FailurePredicted`, SMART status): 1 or 0.
    FailurePredicted = 61 "failure_predicted" "1" (0, 1) "outband.disk.failure_predicted" false,
    /// Critical warning bits (NVMe SMART log, byte 0).
    CriticalWarning = 62 "critical_warning" "1" (0, 255) "outband.disk.critical_warning" false,
    /// Unsafe shutdowns (NVMe).
    UnsafeShutdowns = 63 "unsafe_shutdowns" "1" (0, 1e12) "outband.disk.unsafe_shutdowns" true,
    /// Start-stop or power cycles (ATA 12).
    PowerCycles = 64 "power_cycles" "1" (0, 1e12) "outband.disk.power_cycles" true,
    /// Sectors reallocated in events (ATA 196).
    ReallocationEvents = 65 "reallocation_events" "1" (0, 1e12) "outband.disk.reallocation_events" true,
    /// High-fly writes (ATA 189).
    HighFlyWrites = 66 "high_fly_writes" "1" (0, 1e12) "outband.disk.high_fly_writes" true,
    /// Attempts to spin up again (ATA 10).
    SpinRetries = 67 "spin_retries" "1" (0, 1e12) "outband.disk.spin_retries" true,
    /// Data that changed between the host and the medium (ATA 184).
    EndToEndErrors = 68 "end_to_end_errors" "1" (0, 1e12) "outband.disk.end_to_end_errors" true,
    /// Bytes read over the drive's life (ATA 242, NVMe).
    BytesRead = 69 "bytes_read" "By" (0, 1e19) "outband.disk.bytes_read" true,
    /// Corrected memory errors.
    CorrectableErrors = 70 "correctable_errors" "1" (0, 1e15) "hw.memory.corrected_errors" true,
    /// Uncorrected memory errors.
    UncorrectableErrors = 71 "uncorrectable_errors" "1" (0, 1e15) "hw.memory.uncorrected_errors" true,
    /// Time spent below full speed for want of power or cooling.
    ThrottledTime = 72 "throttled_time" "s" (0, 1e12) "outband.throttled_time" true,
    /// Rows of a GPU's memory that were replaced by spare ones.
    RowRemaps = 73 "row_remaps" "1" (0, 1e9) "outband.gpu.row_remaps" true,
    /// Errors of a PCIe link that were corrected.
    PcieCorrectable = 74 "pcie_correctable" "1" (0, 1e15) "outband.pcie.corrected_errors" true,
    /// Errors of a PCIe link that were not.
    PcieUncorrectable = 75 "pcie_uncorrectable" "1" (0, 1e15) "outband.pcie.uncorrected_errors" true,
    /// Entries that a drive ever made in its error log (NVMe SMART log, bytes 176..191). Refused commands are among them.
    ErrorLogEntries = 76 "error_log_entries" "1" (0, 1e15) "outband.disk.error_log_entries" true,
    /// Time that a drive spent at or above its own warning temperature (NVMe SMART log, bytes 192..195).
    OverheatedTime = 77 "overheated_time" "s" (0, 1e12) "outband.disk.overheated_time" true,
}

impl SensorKind {
    /// The stable number.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The word used in configs and output.
    pub fn as_str(self) -> &'static str {
        self.row().name
    }

    /// The unit, UCUM; empty for states.
    pub fn unit(self) -> &'static str {
        self.row().unit
    }
}

impl fmt::Display for SensorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no kind of sensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of sensor; kinds are e.g. temperature, fan_speed, reallocated_sectors")]
pub struct UnknownKind(String);

impl FromStr for SensorKind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        CATALOG.iter().find(|r| r.name == text).map(|r| r.kind).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_and_names_are_unique_and_read_back() {
        let mut seen = HashSet::new();
        for row in CATALOG {
            assert!(seen.insert(row.name), "{} stands twice", row.name);
            assert_eq!(SensorKind::from_number(row.number), Some(row.kind));
            assert_eq!(row.name.parse::<SensorKind>(), Ok(row.kind));
            assert_eq!(row.kind.row(), row);
        }
    }

    #[test]
    fn ranges_are_not_empty_but_for_states() {
        for row in CATALOG.iter().filter(|r| r.kind != SensorKind::State) {
            assert!(row.range.0 < row.range.1, "{}", row.name);
        }
    }

    #[test]
    fn the_serde_word_is_the_name() {
        for row in CATALOG {
            assert_eq!(serde_json::to_string(&row.kind).unwrap(), format!("\"{}\"", row.name));
        }
    }
}
