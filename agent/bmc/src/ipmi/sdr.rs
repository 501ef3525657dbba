//! Sensor data records (IPMI 2.0 §43), read as they are found in the field: lengths that lie, names cut short, junk. Nothing here can panic.

mod relation;
mod text;

pub use relation::{Association, Contained, DeviceLocator, Oem};
use std::fmt;
pub(super) use text::text;

/// Header of a record: id, version, type, length of the body.
pub const HEADER_LEN: usize = 5;

/// One record of the repository, as far as it is of use.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Types 01h and 02h; a shared compact record stands for several sensors.
    Sensor(Sensor),
    /// Type 03h: a sensor that only sends events.
    EventOnly(EventOnly),
    /// Type 11h: where FRU data lies.
    Fru(FruLocator),
    /// Type 12h: a management controller.
    Controller(ControllerLocator),
    /// Types 08h and 09h: what holds what.
    Association(Association),
    /// Type 10h: a device that is neither a controller nor FRU data.
    Device(DeviceLocator),
    /// Type C0h: a maker's own.
    Oem(Oem),
    /// A record of another type.
    Other(u8),
}

/// What names a sensor: names repeat, this does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SensorKey {
    /// Slave address or software id of the owner.
    pub owner: u8,
    /// Channel on which the owner is reached.
    pub channel: u8,
    /// Logical unit, 0 to 3.
    pub lun: u8,
    /// Sensor number.
    pub number: u8,
}

impl fmt::Display for SensorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ipmi:{:02x}.{:x}.{:02x}", self.owner, self.lun, self.number)
    }
}

/// The thing that a sensor watches (§43.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entity {
    /// What it is.
    pub id: u8,
    /// Which one. From 60h on the number is relative to the owner.
    pub instance: u8,
}

/// A sensor that can be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensor {
    /// What names it.
    pub key: SensorKey,
    /// What it watches.
    pub entity: Entity,
    /// Table 42-3.
    pub sensor_type: u8,
    /// Table 42-1: 01h threshold, 02h to 0Ch generic, 6Fh sensor-specific.
    pub event_type: u8,
    /// Discrete: which states can be read.
    pub readable_states: u16,
    /// Whether the record's flags say that the thresholds can be read from the sensor.
    pub thresholds_readable: bool,
    /// How its numbers are made, if it has any.
    pub analog: Option<Analog>,
    /// Its name.
    pub name: String,
}

/// How a raw byte becomes a number with a unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Analog {
    /// How the byte counts.
    pub format: Format,
    /// Whether the unit is a percentage of the base unit.
    pub percent: bool,
    /// Rate unit: 0 none, 1 µs, 2 ms, 3 s, 4 min, 5 h, 6 day.
    pub rate: u8,
    /// How the modifier unit applies: 0 not, 1 base/modifier, 2 base × modifier.
    pub modifier_use: u8,
    /// Table 43-15.
    pub base_unit: u8,
    /// Table 43-15.
    pub modifier_unit: u8,
    /// 0 to 0Bh; from 70h on the factors depend on the reading.
    pub linearization: u8,
    /// The factors.
    pub factors: Factors,
    /// Raw thresholds of those that are readable, in the order of [`THRESHOLD_NAMES`].
    pub thresholds: [Option<u8>; 6],
    /// How exact its numbers are.
    pub exactness: Exactness,
}

/// How far off a number may be, and how far it must come back before a crossed threshold is no longer crossed (§43.1, bytes 26 to 29, 43 and 44).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exactness {
    /// In halves of a raw count, to either side.
    pub tolerance: u8,
    /// In hundredths of a percent, times ten to the power of the exponent.
    pub accuracy: u16,
    /// That exponent, 0 to 3.
    pub accuracy_exponent: u8,
    /// Raw counts below an upper threshold at which it is no longer crossed; `None` where the record says that there is none.
    pub positive_hysteresis: Option<u8>,
    /// Raw counts above a lower threshold at which it is no longer crossed; `None` where the record says that there is none.
    pub negative_hysteresis: Option<u8>,
}

impl Exactness {
    fn parse(record: &[u8]) -> Option<Self> {
        let (m_high, b_high, accuracy_high) = (*record.get(25)?, *record.get(27)?, *record.get(28)?);
        // Only 1 and 2 of the capabilities say that hysteresis can be read; 3 is fixed by the maker, 0 none.
        let has_hysteresis = matches!(record.get(11)? >> 4 & 3, 1 | 2);
        let hysteresis = |at: usize| record.get(at).copied().filter(|_| has_hysteresis);
        Some(Self {
            tolerance: m_high & 0x3F,
            accuracy: u16::from(b_high & 0x3F) | u16::from(accuracy_high >> 4) << 6,
            accuracy_exponent: accuracy_high >> 2 & 3,
            positive_hysteresis: hysteresis(42),
            negative_hysteresis: hysteresis(43),
        })
    }
}

/// The order of [`Analog::thresholds`], which is that of the mask bits.
pub const THRESHOLD_NAMES: [&str; 6] = ["lnc", "lc", "lnr", "unc", "uc", "unr"];

/// How a raw byte counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 0 to 255.
    Unsigned,
    /// -127 to 127, with two zeros.
    OnesComplement,
    /// -128 to 127.
    TwosComplement,
}

/// y = (M·x + B·10^b_exponent) · 10^result_exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factors {
    /// Multiplier, ten bits signed.
    pub m: i16,
    /// Offset, ten bits signed.
    pub b: i16,
    /// Exponent of the offset, four bits signed.
    pub b_exponent: i8,
    /// Exponent of the result, four bits signed.
    pub result_exponent: i8,
}

impl Factors {
    /// From the six bytes that follow the linearisation, in an SDR or in the answer to Get Sensor Reading Factors.
    pub fn parse(bytes: &[u8; 6]) -> Self {
        let &[m_low, m_high, b_low, b_high, _accuracy, exponents] = bytes;
        Self {
            m: signed(u16::from(m_low) | u16::from(m_high & 0xC0) << 2, 10),
            b: signed(u16::from(b_low) | u16::from(b_high & 0xC0) << 2, 10),
            b_exponent: signed(u16::from(exponents & 0x0F), 4) as i8,
            result_exponent: signed(u16::from(exponents >> 4), 4) as i8,
        }
    }
}

fn signed(value: u16, bits: u32) -> i16 {
    let shift = 16 - bits;
    ((value << shift) as i16) >> shift
}

/// A sensor that only sends events: it is known by name in the log, and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventOnly {
    /// What names it.
    pub key: SensorKey,
    /// What it watches.
    pub entity: Entity,
    /// Table 42-3.
    pub sensor_type: u8,
    /// Its name.
    pub name: String,
}

/// Where FRU data lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FruLocator {
    /// Slave address of the controller.
    pub controller: u8,
    /// FRU device id at that controller.
    pub device: u8,
    /// Whether Read FRU Data works; else it is a bare EEPROM on a bus.
    pub logical: bool,
    /// Logical unit of the commands.
    pub lun: u8,
    /// What it describes.
    pub entity: Entity,
    /// Its name.
    pub name: String,
}

/// A management controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerLocator {
    /// Slave address.
    pub address: u8,
    /// Its name.
    pub name: String,
}

/// Why a record says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Shorter than the fixed part of its type.
    #[error("a record of type {kind:#04x} has {len} bytes, too few")]
    TooShort {
        /// The record's type.
        kind: u8,
        /// Its length in bytes, header included.
        len: usize,
    },
    /// No header.
    #[error("no record: {0} bytes")]
    NoHeader(usize),
}

/// The type and the whole length of a record whose header is given.
pub fn announced(header: &[u8]) -> Option<(u8, usize)> {
    let &[_, _, _, kind, len] = header.first_chunk()?;
    Some((kind, HEADER_LEN + usize::from(len)))
}

/// Reads one record, header included. The length in the header is not trusted: what is there is read.
pub fn parse(record: &[u8]) -> Result<Vec<Record>, RecordError> {
    let (kind, _) = announced(record).ok_or(RecordError::NoHeader(record.len()))?;
    let short = RecordError::TooShort { kind, len: record.len() };
    let records = match kind {
        0x01 => vec![Record::Sensor(full(record).ok_or(short)?)],
        0x02 => compact(record).ok_or(short)?.into_iter().map(Record::Sensor).collect(),
        0x03 => event_only(record).ok_or(short)?.into_iter().map(Record::EventOnly).collect(),
        0x08 => vec![Record::Association(Association::of_system(record).ok_or(short)?)],
        0x09 => vec![Record::Association(Association::of_devices(record).ok_or(short)?)],
        0x10 => vec![Record::Device(DeviceLocator::parse(record).ok_or(short)?)],
        0x11 => vec![Record::Fru(fru(record).ok_or(short)?)],
        0x12 => vec![Record::Controller(controller(record).ok_or(short)?)],
        0xC0 => vec![Record::Oem(Oem::parse(record).ok_or(short)?)],
        other => vec![Record::Other(other)],
    };
    Ok(records)
}

fn key(record: &[u8]) -> Option<SensorKey> {
    let (owner, lun) = (*record.get(5)?, *record.get(6)?);
    Some(SensorKey { owner, channel: lun >> 4, lun: lun & 3, number: *record.get(7)? })
}

fn entity(record: &[u8], at: usize) -> Option<Entity> {
    // Bit 7 tells a logical entity from a physical one.
    Some(Entity { id: *record.get(at)?, instance: *record.get(at + 1)? & 0x7F })
}

fn le16(record: &[u8], at: usize) -> Option<u16> {
    record.get(at..)?.first_chunk().map(|b| u16::from_le_bytes(*b))
}

fn full(record: &[u8]) -> Option<Sensor> {
    let event_type = *record.get(13)?;
    let units = *record.get(20)?;
    let format = match units >> 6 {
        0 => Some(Format::Unsigned),
        1 => Some(Format::OnesComplement),
        2 => Some(Format::TwosComplement),
        _ => None,
    };
    let readable = record.get(18)? & 0x3F;
    let mut thresholds = [None; 6];
    if event_type == 1 {
        // The record keeps them the other way round than the mask: bit 0 is byte 41.
        for (bit, at) in (36..=41).rev().enumerate() {
            if readable >> bit & 1 == 1 {
                thresholds[bit] = record.get(at).copied();
            }
        }
    }
    let base_unit = *record.get(21)?;
    let percent = units & 1 == 1;
    let analog = match format {
        // HP puts numbers behind discrete types; a unit gives them away.
        Some(format) if event_type == 1 || base_unit != 0 || percent => Some(Analog {
            format,
            percent,
            rate: units >> 3 & 7,
            modifier_use: units >> 1 & 3,
            base_unit,
            modifier_unit: *record.get(22)?,
            linearization: record.get(23)? & 0x7F,
            factors: Factors::parse(record.get(24..30)?.first_chunk()?),
            thresholds,
            exactness: Exactness::parse(record)?,
        }),
        _ => None,
    };
    Some(Sensor {
        key: key(record)?,
        entity: entity(record, 8)?,
        sensor_type: *record.get(12)?,
        event_type,
        readable_states: le16(record, 18)?,
        thresholds_readable: event_type == 1 && matches!(record.get(11)? >> 2 & 3, 1 | 2),
        analog,
        name: text::name(record, 47).trim().to_owned(),
    })
}

/// The number of sensors that a record stands for, and how their names and entities go on (§43.2, bytes 24 and 25).
struct Sharing {
    count: u8,
    alphabetic: bool,
    offset: u8,
    instances_go_on: bool,
}

impl Sharing {
    fn parse(record: &[u8], at: usize) -> Option<Self> {
        let (how, more) = (*record.get(at)?, *record.get(at + 1)?);
        Some(Self {
            count: (how & 0x0F).max(1),
            alphabetic: how >> 4 & 3 == 1,
            offset: more & 0x7F,
            instances_go_on: more & 0x80 != 0,
        })
    }

    /// The key, entity and name of each sensor.
    fn expand(&self, key: SensorKey, entity: Entity, name: &str) -> Vec<(SensorKey, Entity, String)> {
        (0..self.count)
            .map_while(|i| {
                let key = SensorKey { number: key.number.checked_add(i)?, ..key };
                let step = if self.instances_go_on { i } else { 0 };
                let entity = Entity { instance: entity.instance.saturating_add(step) & 0x7F, ..entity };
                let name = if self.count == 1 { name.to_owned() } else { format!("{name}{}", self.suffix(i)) };
                Some((key, entity, name.trim().to_owned()))
            })
            .collect()
    }

    fn suffix(&self, i: u8) -> String {
        let n = u32::from(self.offset) + u32::from(i);
        if self.alphabetic {
            let letter = |n: u32| char::from_u32('A' as u32 + n % 26).unwrap_or('?');
            let first = (n / 26).checked_sub(1).map(letter);
            first.into_iter().chain([letter(n)]).collect()
        } else {
            n.to_string()
        }
    }
}

fn compact(record: &[u8]) -> Option<Vec<Sensor>> {
    let sharing = Sharing::parse(record, 23)?;
    let expanded = sharing.expand(key(record)?, entity(record, 8)?, &text::name(record, 31));
    let (sensor_type, event_type, readable_states) = (*record.get(12)?, *record.get(13)?, le16(record, 18)?);
    let sensor = |(key, entity, name)| Sensor {
        key,
        entity,
        sensor_type,
        event_type,
        readable_states,
        thresholds_readable: false,
        analog: None,
        name,
    };
    Some(expanded.into_iter().map(sensor).collect())
}

fn event_only(record: &[u8]) -> Option<Vec<EventOnly>> {
    let sharing = Sharing::parse(record, 12)?;
    let expanded = sharing.expand(key(record)?, entity(record, 8)?, &text::name(record, 16));
    let sensor_type = *record.get(10)?;
    Some(expanded.into_iter().map(|(key, entity, name)| EventOnly { key, entity, sensor_type, name }).collect())
}

fn fru(record: &[u8]) -> Option<FruLocator> {
    let access = *record.get(7)?;
    Some(FruLocator {
        controller: *record.get(5)?,
        device: *record.get(6)?,
        logical: access & 0x80 != 0,
        lun: access >> 3 & 3,
        entity: entity(record, 12)?,
        name: text::name(record, 15).trim().to_owned(),
    })
}

fn controller(record: &[u8]) -> Option<ControllerLocator> {
    Some(ControllerLocator { address: *record.get(5)?, name: text::name(record, 15).trim().to_owned() })
}

#[cfg(test)]
mod tests;
