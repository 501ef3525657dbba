//! The event log as SEL records (IPMI 2.0 §32).

use super::sensors::{
    DRIVE_SLOT, FAN, FIRST_DIMM, FIRST_DRIVE, FIRST_FAN, FIRST_PSU, INLET, MEMORY, POWER_REDUNDANCY, POWER_SUPPLY,
    POWER_UNIT, REDUNDANCY, SPECIFIC, TEMPERATURE, THRESHOLD,
};
use crate::sim::machine::{Entry, Happening, Thermal};

/// Raw value of a fan's speed as its sensor has it.
fn rpm(value: f64) -> u8 {
    (value / 60.0).round().clamp(0.0, 255.0) as u8
}

/// An entry as its 16 bytes.
pub(super) fn record(entry: &Entry) -> [u8; 16] {
    let threshold = |offset: u8, reading: u8, limit: u8| [0x50 | offset, reading, limit];
    let (kind, number, reading_type, data) = match &entry.happening {
        Happening::SystemBoot => (0x1d, 0xf0, SPECIFIC, [0x00, 0xff, 0xff]),
        Happening::LogCleared => (0x10, 0xf1, SPECIFIC, [0x02, 0xff, 0xff]),
        Happening::FanLow { fan, rpm: speed } => {
            (FAN, FIRST_FAN + *fan as u8, THRESHOLD, threshold(2, rpm(*speed), rpm(Thermal::FAN.critical)))
        }
        Happening::InletHigh { celsius } => {
            (TEMPERATURE, INLET, THRESHOLD, threshold(9, *celsius as u8, Thermal::INLET.critical as u8))
        }
        Happening::PsuInputLost { psu } => (POWER_SUPPLY, FIRST_PSU + *psu as u8, SPECIFIC, [0x03, 0xff, 0xff]),
        Happening::PowerRedundancyLost => (POWER_UNIT, POWER_REDUNDANCY, REDUNDANCY, [0x01, 0xff, 0xff]),
        Happening::DrivePredicted { bay } => (DRIVE_SLOT, FIRST_DRIVE + *bay as u8, SPECIFIC, [0x02, 0xff, 0xff]),
        Happening::EccCorrected { dimm } => (MEMORY, FIRST_DIMM + *dimm as u8, SPECIFIC, [0x20, 0xff, *dimm as u8]),
        Happening::EccLimit { dimm } => (MEMORY, FIRST_DIMM + *dimm as u8, SPECIFIC, [0x25, 0xff, *dimm as u8]),
        Happening::Raw(raw) => {
            let mut out = *raw;
            out[..2].copy_from_slice(&entry.id.to_le_bytes());
            if raw[2] < 0xe0 {
                out[3..7].copy_from_slice(&(entry.time as u32).to_le_bytes());
            }
            return out;
        }
    };
    let mut out = [0; 16];
    out[..2].copy_from_slice(&entry.id.to_le_bytes());
    out[2] = 0x02;
    out[3..7].copy_from_slice(&(entry.time as u32).to_le_bytes());
    // Generator: the BMC. Event message format of IPMI 1.5 and later.
    out[7..10].copy_from_slice(&[0x20, 0x00, 0x04]);
    out[10] = kind;
    out[11] = number;
    out[12] = reading_type | if entry.asserted { 0 } else { 0x80 };
    out[13..].copy_from_slice(&data);
    out
}
