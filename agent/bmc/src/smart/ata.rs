//! Tables of ATA SMART attributes.

use crate::redfish::lenient::{Number, number, text};
use outband_schemas::SensorKind;
use serde_json::Value;

/// The kind of an ATA attribute's raw value (ACS-4 and the makers' common practice; see each kind's row in the catalogue).
pub fn by_ata_id(id: u8) -> Option<SensorKind> {
    Some(match id {
        5 => SensorKind::ReallocatedSectors,
        9 => SensorKind::PowerOnHours,
        10 => SensorKind::SpinRetries,
        12 => SensorKind::PowerCycles,
        184 => SensorKind::EndToEndErrors,
        187 => SensorKind::ReportedUncorrectable,
        188 => SensorKind::CommandTimeouts,
        189 => SensorKind::HighFlyWrites,
        194 => SensorKind::Temperature,
        196 => SensorKind::ReallocationEvents,
        197 => SensorKind::PendingSectors,
        198 => SensorKind::OfflineUncorrectable,
        199 => SensorKind::CrcErrors,
        _ => return None,
    })
}

/// What attributes 241 and 242 count in bytes, by their name: makers count in units of their own, so that the number alone says nothing. A logical
/// block is 512 bytes, as drives tell it to whoever does not ask.
pub(super) fn traffic(id: u8, name: &str) -> Option<(SensorKind, f64)> {
    let kind = match id {
        241 => SensorKind::BytesWritten,
        242 => SensorKind::BytesRead,
        _ => return None,
    };
    let plain = plain(name);
    let units = [("lba", 512.0), ("32mib", 33_554_432.0), ("gib", 1_073_741_824.0), ("gb", 1e9)];
    units.into_iter().find(|(unit, _)| plain.contains(unit)).map(|(_, bytes)| (kind, bytes))
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// An element of an attribute table.
pub(super) enum Row {
    /// An attribute that the catalogue knows.
    Figure(SensorKind, String, Number),
    /// Any other attribute, or one without a raw value that could be read.
    Other,
}

/// `None` where the element is no row of an attribute table. Rows have the attribute's number and its raw value, under names that differ in case and
/// punctuation: `Id`, `ID`, `AttributeId`; `RawValue`, `RAW_VALUE`, `Raw`.
pub(super) fn row(element: &Value) -> Option<Row> {
    let fields = element.as_object()?;
    let find = |names: &[&str]| fields.keys().find(|name| names.contains(&plain(name).as_str()));
    let id = number(element, find(&["id", "attributeid", "attributenumber", "attributeidnumber"])?)?.value;
    let id = (1u8..=254).find(|n| f64::from(*n) == id)?;
    let raw = fields.get(find(&["rawvalue", "raw", "rawdata"])?)?;
    let named = find(&["name", "attributename"]).and_then(|field| text(element, field));
    let known = by_ata_id(id).map(|kind| (kind, 1.0)).or_else(|| traffic(id, named.as_deref()?));
    let (Some((kind, unit)), Some(raw)) = (known, raw_value(raw)) else { return Some(Row::Other) };
    // Raw values are 48 bits; of temperature and time-outs makers pack more than the figure into them, so only the low 16 bits count.
    let value = if matches!(id, 188 | 194) { raw.value % 65_536.0 } else { raw.value * unit };
    if !value.is_finite() {
        return Some(Row::Other);
    }
    Some(Row::Figure(kind, named.unwrap_or_else(|| format!("attribute {id}")), Number { value, ..raw }))
}

/// A raw value: a number; a text that is one, perhaps with more behind it (`36 (Min/Max 20/45)`, `21034h+32m`); or hexadecimal with its mark. Twelve digits
/// with leading zeros may be either, and are left alone.
fn raw_value(raw: &Value) -> Option<Number> {
    let Value::String(written) = raw else { return crate::redfish::lenient::as_number(raw) };
    let written = written.trim();
    if let Some(hex) = written.strip_prefix("0x").or_else(|| written.strip_prefix("0X")) {
        let bits = u64::from_str_radix(hex.get(..12.min(hex.len()))?, 16).ok().filter(|_| hex.len() <= 12)?;
        let (high, low) = (u32::try_from(bits >> 24).ok()?, u32::try_from(bits & 0xff_ffff).ok()?);
        return Some(Number { value: f64::from(high) * 16_777_216.0 + f64::from(low), coerced: true });
    }
    let is_dump = written.len() >= 10 && written.starts_with('0') && written.bytes().all(|b| b.is_ascii_hexdigit());
    if is_dump { None } else { crate::redfish::lenient::as_number(raw) }
}
