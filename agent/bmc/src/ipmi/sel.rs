//! The system event log: its records (IPMI 2.0 §32), what they mean, and how far they have been read.

use super::{place, sdr, states};
use crate::Bookmark;
use ipmi_rs_core::storage::sdr::SensorType;
use outband_schemas::{ComponentClass, ComponentId, EventKind, LogEvent, Severity, Source, State, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Length of a record.
pub const RECORD_LEN: usize = 16;

/// The log's own name in events.
pub const LOG: &str = "sel";

/// A record of the log as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RawRecord(pub [u8; RECORD_LEN]);

impl RawRecord {
    /// The record's own id, which need not be the one that it was asked for by.
    pub fn id(self) -> u16 {
        u16::from_le_bytes([self.0[0], self.0[1]])
    }

    /// All of it in hex.
    pub fn hex(self) -> String {
        hex(&self.0)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        // Writing to a string cannot fail.
        write!(out, "{b:02x}").ok();
        out
    })
}

/// Answer to Get SEL Info (§31.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Number of records.
    pub entries: u16,
    /// When the last record was added, in the BMC's time.
    pub added: u32,
    /// When the log was last cleared or a record deleted, in the BMC's time.
    pub erased: u32,
    /// Whether records were dropped since the log is full.
    pub overflow: bool,
}

impl Info {
    /// Takes the answer apart.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let data: &[u8; 14] = data.first_chunk()?;
        let le32 = |at: usize| u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
        Some(Self {
            entries: u16::from_le_bytes([data[1], data[2]]),
            added: le32(5),
            erased: le32(9),
            overflow: data[13] & 0x80 != 0,
        })
    }
}

/// How far the log has been read. After a clear ids begin anew, so the last record is recognised by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Id of the last record read; `None` where the log was empty.
    pub last_id: Option<u16>,
    /// That record in hex.
    pub last_record: String,
    /// When the log had last been erased.
    pub erased: u32,
    /// Whether the log was full and dropped records: told once, not with every poll.
    #[serde(default)]
    pub overflow: bool,
}

impl Cursor {
    /// Reads a bookmark. One that another version or another protocol wrote is as good as none.
    pub fn read(bookmark: &Bookmark) -> Option<Self> {
        serde_json::from_str(&bookmark.0).ok()
    }

    /// Writes a bookmark.
    pub fn write(&self) -> Bookmark {
        Bookmark(serde_json::to_string(self).unwrap_or_default())
    }

    /// Whether the record now found under the last id is the one that was read: then reading goes on after it. Identical bytes prove it, unless the log was
    /// erased since and the record has no real time that would tell it from an older twin.
    pub fn is_still(&self, found: RawRecord, info: Info) -> bool {
        self.last_record == found.hex() && (self.erased == info.erased || time(found).is_some())
    }
}

/// The time of a record with a time stamp. `None` where there is none, or it counts from the BMC's start (§37.1).
pub fn time(record: RawRecord) -> Option<Timestamp> {
    let bytes = record.0;
    let has_stamp = bytes[2] < 0xE0;
    let secs = u32::from_le_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]);
    (has_stamp && is_real_time(secs)).then(|| Timestamp::from_secs(i64::from(secs)))
}

/// Up to 20000000h a stamp counts from the BMC's start; all ones means "unspecified" (§37.1).
pub fn is_real_time(secs: u32) -> bool {
    secs > 0x2000_0000 && secs != u32::MAX
}

/// A sensor as far as an event needs to know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// Its place.
    pub component: ComponentId,
    /// The record, where its numbers can be converted.
    pub sensor: Option<sdr::Sensor>,
}

/// Makes an event of a record. `known` finds the sensor of a generator (owner and logical unit) and number.
pub fn event(record: RawRecord, known: impl Fn(u8, u8, u8) -> Option<Known>, at: Timestamp) -> LogEvent {
    let bytes = record.0;
    let base = LogEvent {
        component: ComponentId::lenient(ComponentClass::Server, "system"),
        log: LOG.to_owned(),
        id: record.id().to_string(),
        kind: EventKind::Other,
        severity: Severity::Unknown,
        deasserted: false,
        message: String::new(),
        code: String::new(),
        bmc_time: time(record),
        observed_at: at,
        source: Source(format!("sel:{}", record.id())),
        raw: record.hex(),
    };
    match bytes[2] {
        0xC0..=0xDF => LogEvent {
            message: format!(
                "OEM record {:02x} | manufacturer {:06x} | {}",
                bytes[2],
                u32::from_le_bytes([bytes[7], bytes[8], bytes[9], 0]),
                hex(&bytes[10..])
            ),
            code: hex(&bytes[7..]),
            ..base
        },
        0xE0..=0xFF => LogEvent {
            message: format!("OEM record {:02x} | {}", bytes[2], hex(&bytes[3..])),
            code: hex(&bytes[3..]),
            ..base
        },
        // Type 02h; other values below C0h are reserved, and BMCs that use them mean the same.
        _ => system_event(bytes, base, known),
    }
}

fn system_event(bytes: [u8; RECORD_LEN], base: LogEvent, known: impl Fn(u8, u8, u8) -> Option<Known>) -> LogEvent {
    let [generator, channel_lun, _revision, sensor_type, number, dir_type, data1, data2, data3] =
        [bytes[7], bytes[8], bytes[9], bytes[10], bytes[11], bytes[12], bytes[13], bytes[14], bytes[15]];
    let (deasserted, event_type, offset) = (dir_type & 0x80 != 0, dir_type & 0x7F, data1 & 0x0F);
    let sensor = known(generator, channel_lun & 3, number);
    let meaning = states::meaning(event_type, sensor_type, offset);
    let state = meaning.map_or(State::Unknown, |(_, state)| state);
    let kind = kind(event_type, sensor_type, offset);
    let name = match &sensor {
        Some(sensor) if !sensor.name.is_empty() => sensor.name.clone(),
        _ => format!("{} #{number:#04x}", SensorType::from(sensor_type)),
    };
    let mut message =
        format!("{name}: {}", meaning.map_or_else(|| format!("state {offset}"), |(text, _)| text.to_owned()));
    if event_type == states::THRESHOLD {
        message.push_str(&threshold_detail(sensor.as_ref(), data1, data2, data3));
    } else if data1 & 0xF0 != 0 {
        // What these bytes mean differs by type and vendor; whoever reads the ticket may know.
        message.push_str(&format!(" (event data {data1:02x} {data2:02x} {data3:02x})"));
    }
    if deasserted {
        message.push_str(", deasserted");
    }
    LogEvent {
        component: sensor.map_or_else(|| place_by_type(sensor_type, event_type, number), |s| s.component),
        kind,
        severity: severity(state, deasserted),
        deasserted,
        message,
        code: hex(&bytes[10..]),
        ..base
    }
}

/// Where an event belongs whose sensor has no record.
fn place_by_type(sensor_type: u8, event_type: u8, number: u8) -> ComponentId {
    let nowhere = sdr::Entity { id: 0, instance: 0 };
    place::of_sensor(nowhere, sensor_type, event_type, &format!("sensor {number:#04x}"))
}

fn severity(state: State, deasserted: bool) -> Severity {
    match state {
        // The end of a bad thing is no bad thing.
        State::Warning | State::Critical if deasserted => Severity::Ok,
        State::Critical => Severity::Critical,
        State::Warning => Severity::Warning,
        State::Ok => Severity::Ok,
        State::Absent | State::Unknown => Severity::Unknown,
    }
}

/// "reading 92 > threshold 80", where the record carries them (§29.7).
fn threshold_detail(sensor: Option<&Known>, data1: u8, data2: u8, data3: u8) -> String {
    let number = |raw: u8| {
        sensor
            .and_then(|s| s.sensor.as_ref())
            .and_then(|s| s.analog.as_ref())
            .and_then(|a| super::convert::value(a, a.factors, raw))
            .map_or_else(|| format!("raw {raw:#04x}"), |v| format!("{v}"))
    };
    let mut out = String::new();
    if data1 & 0xC0 == 0x40 {
        out.push_str(&format!(", reading {}", number(data2)));
    }
    if data1 & 0x30 == 0x10 {
        out.push_str(&format!(", threshold {}", number(data3)));
    }
    out
}

/// What an event means to rules.
fn kind(event_type: u8, sensor_type: u8, offset: u8) -> EventKind {
    match event_type {
        states::SENSOR_SPECIFIC => specific_kind(sensor_type, offset),
        0x0B => EventKind::RedundancyLost,
        0x04 => match sensor_type {
            0x08 => EventKind::PowerSupplyPredictedFailure,
            0x0D => EventKind::DrivePredictedFailure,
            0x04 => EventKind::FanLimit,
            // Foretold of a module, not taken back: its corrected errors are too many.
            0x0C if offset == 1 => EventKind::MemoryCorrectable,
            _ => EventKind::Other,
        },
        0x08 => match sensor_type {
            0x08 => EventKind::PowerSupplyPresence,
            0x0D => EventKind::DrivePresence,
            _ => EventKind::Other,
        },
        states::THRESHOLD | 0x03 | 0x05..=0x07 => match sensor_type {
            0x01 => EventKind::TemperatureLimit,
            0x02 => EventKind::VoltageLimit,
            0x04 => EventKind::FanLimit,
            0x07 => EventKind::ProcessorError,
            0x08 if event_type == 0x07 => EventKind::PowerSupplyFailed,
            0x0D if event_type == 0x07 => EventKind::DriveFailed,
            _ => EventKind::Other,
        },
        _ => EventKind::Other,
    }
}

fn specific_kind(sensor_type: u8, offset: u8) -> EventKind {
    match (sensor_type, offset) {
        (0x05, _) => EventKind::Intrusion,
        (0x06 | 0x2A, _) => EventKind::Audit,
        (0x07, 0..=6 | 10..=12) => EventKind::ProcessorError,
        (0x08, 0) => EventKind::PowerSupplyPresence,
        (0x08, 1) => EventKind::PowerSupplyFailed,
        (0x08, 2) => EventKind::PowerSupplyPredictedFailure,
        (0x08, 3..=5) => EventKind::PowerSupplyInputLost,
        (0x09, 0 | 1 | 4) => EventKind::PowerChange,
        (0x0C, 0) => EventKind::MemoryCorrectable,
        (0x0C, 1 | 2) => EventKind::MemoryUncorrectable,
        (0x0C, 5) | (0x10, 0) => EventKind::MemoryLoggingLimit,
        (0x0D, 0) => EventKind::DrivePresence,
        (0x0D, 1) => EventKind::DriveFailed,
        (0x0D, 2) => EventKind::DrivePredictedFailure,
        (0x10, 2) => EventKind::LogCleared,
        (0x10, 4 | 5) => EventKind::LogFull,
        (0x11 | 0x23, _) => EventKind::Watchdog,
        (0x13, _) => EventKind::BusError,
        (0x14 | 0x1D | 0x22, _) => EventKind::PowerChange,
        (0x1F | 0x20, _) => EventKind::OsChange,
        (0x2B, _) | (0x12, 0) => EventKind::Change,
        _ => EventKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: Timestamp = Timestamp::from_secs(1_800_000_000);
    const SECS: u32 = 1_700_000_000;

    fn record(id: u16, kind: u8, secs: u32, rest: [u8; 9]) -> RawRecord {
        let mut bytes = [0; RECORD_LEN];
        bytes[..2].copy_from_slice(&id.to_le_bytes());
        bytes[2] = kind;
        bytes[3..7].copy_from_slice(&secs.to_le_bytes());
        bytes[7..].copy_from_slice(&rest);
        RawRecord(bytes)
    }

    fn event_of(rest: [u8; 9]) -> LogEvent {
        event(record(1, 2, SECS, rest), |_, _, _| None, AT)
    }

    #[test]
    fn the_loss_of_a_supplys_input_is_critical_and_its_return_is_not() {
        let lost = event_of([0x20, 0, 4, 8, 41, 0x6F, 3, 0xFF, 0xFF]);
        assert_eq!(
            (lost.kind, lost.severity, lost.deasserted),
            (EventKind::PowerSupplyInputLost, Severity::Critical, false)
        );
        let back = event_of([0x20, 0, 4, 8, 41, 0xEF, 3, 0xFF, 0xFF]);
        assert_eq!((back.kind, back.severity, back.deasserted), (EventKind::PowerSupplyInputLost, Severity::Ok, true));
    }

    #[test]
    fn a_failure_foretold_of_a_module_is_of_its_corrected_errors_and_its_end_is_not() {
        let foretold = event_of([0x20, 0, 4, 0x0C, 41, 0x04, 1, 0xFF, 0xFF]);
        assert_eq!((foretold.kind, foretold.severity), (EventKind::MemoryCorrectable, Severity::Warning));
        assert_eq!(event_of([0x20, 0, 4, 0x0C, 41, 0x04, 0, 0xFF, 0xFF]).kind, EventKind::Other);
    }

    #[test]
    fn a_stamp_that_counts_from_the_start_of_the_bmc_is_no_time() {
        let rest = [0x20, 0, 4, 8, 41, 0x6F, 3, 0xFF, 0xFF];
        assert_eq!(event(record(1, 2, 2970, rest), |_, _, _| None, AT).bmc_time, None);
        assert_eq!(event(record(1, 2, u32::MAX, rest), |_, _, _| None, AT).bmc_time, None);
        assert_eq!(
            event(record(1, 2, SECS, rest), |_, _, _| None, AT).bmc_time,
            Some(Timestamp::from_secs(i64::from(SECS)))
        );
    }

    #[test]
    fn an_oem_record_without_a_stamp_has_no_time() {
        assert_eq!(event(record(7, 0xE2, SECS, [0; 9]), |_, _, _| None, AT).bmc_time, None);
    }

    #[test]
    fn an_oem_record_names_its_maker() {
        let event = event(record(6, 0xC1, SECS, [0x57, 1, 0, 1, 2, 3, 4, 5, 6]), |_, _, _| None, AT);
        assert_eq!(event.message, "OEM record c1 | manufacturer 000157 | 010203040506");
    }

    #[test]
    fn the_raw_record_and_its_id_make_the_natural_key() {
        let event = event_of([0x20, 0, 4, 8, 41, 0x6F, 3, 0xFF, 0xFF]);
        assert_eq!((event.id.as_str(), event.raw.len()), ("1", 32));
    }

    fn info(erased: u32) -> Info {
        Info { entries: 5, added: 9, erased, overflow: false }
    }

    fn cursor(last: RawRecord, erased: u32) -> Cursor {
        Cursor { last_id: Some(last.id()), last_record: last.hex(), erased, overflow: false }
    }

    #[test]
    fn a_cursor_holds_while_its_record_is_there() {
        let last = record(5, 2, SECS, [1; 9]);
        assert!(cursor(last, 7).is_still(last, info(7)));
        // A single record was deleted elsewhere: the time of erasing moved, ours is still there.
        assert!(cursor(last, 7).is_still(last, info(8)));
    }

    #[test]
    fn after_a_clear_the_same_id_with_other_content_is_another_record() {
        let last = record(5, 2, SECS, [1; 9]);
        assert!(!cursor(last, 7).is_still(record(5, 2, SECS + 60, [1; 9]), info(8)));
    }

    #[test]
    fn after_a_clear_a_twin_without_a_real_time_is_not_trusted() {
        let last = record(1, 2, 30, [1; 9]);
        assert!(!cursor(last, 7).is_still(last, info(8)));
    }

    #[test]
    fn a_bookmark_reads_back_and_a_strange_one_is_none() {
        let cursor = cursor(record(5, 2, SECS, [1; 9]), 7);
        assert_eq!(Cursor::read(&cursor.write()), Some(cursor));
        assert_eq!(Cursor::read(&Bookmark("{\"logs\":{}}".to_owned())), None);
    }

    proptest! {
        #[test]
        fn random_records_never_panic(bytes: [u8; RECORD_LEN], info in proptest::collection::vec(any::<u8>(), 0..20)) {
            let event = event(RawRecord(bytes), |_, _, _| None, AT);
            prop_assert!(!event.message.is_empty());
            if let Some(info) = Info::parse(&info) {
                prop_assert!(usize::from(info.entries) <= 0xFFFF);
            }
        }
    }
}
