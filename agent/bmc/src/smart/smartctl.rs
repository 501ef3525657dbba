//! What `smartctl --json` prints (smartmontools 7.0 and later): the drives of a host, and what each tells of its life.
//!
//! Nothing in it is relied on: a field may be missing, null, a text instead of a number, or of another shape than in the version at hand. What the exit status
//! means stands in smartctl(8), "EXIT STATUS".

#[cfg(test)]
mod tests;

use super::SmartFigure;
use super::ata::{by_ata_id, traffic};
use super::names::Sense::{self, DataUnits, Minutes, Plain, Used};
use super::names::sensed;
use crate::redfish::lenient::{Field, Number, as_number, clip, list, number, text, truth};
use outband_schemas::{Cause, SensorKind};
use serde_json::Value;

/// More drives than one host has.
const MOST_DEVICES: usize = 512;
/// The exit status' bits that are looked at.
const BAD_COMMAND_LINE: i32 = 1;
const NOT_OPENED: i32 = 1 << 1;
const FAILING: i32 = 1 << 3;

/// The output is not what smartctl prints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no JSON, or was cut off.
    #[error("the output of smartctl is no JSON: {0}")]
    NotJson(String),
    /// It is JSON without smartctl's own section.
    #[error("the output is not smartctl's")]
    NotSmartctl,
}

/// A drive as smartctl is asked for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device {
    /// Its file, e.g. `/dev/sda`, or that of the controller that it is behind, e.g. `/dev/bus/0`.
    pub name: String,
    /// How it is spoken to (`-d`), e.g. `nvme` or `megaraid,8`; `None`: smartctl finds out.
    pub kind: Option<String>,
}

impl Device {
    /// Its place behind a controller, e.g. `megaraid,8`; `None` where it has a file of its own.
    pub fn behind(&self) -> Option<&str> {
        self.kind.as_deref().filter(|kind| kind.contains(','))
    }
}

/// The drives that `smartctl --scan -j` lists. What could not be handed over as arguments safely is left out.
///
/// # Errors
/// When the output is not smartctl's.
pub fn scan(output: &[u8]) -> Result<Vec<Device>, Unreadable> {
    let body = body(output)?;
    let mut devices: Vec<Device> = Vec::new();
    for listed in list(&body, "devices").iter().take(MOST_DEVICES) {
        let is_plain = |word: &String| word.len() <= 100 && word.chars().all(|c| c.is_ascii_graphic());
        let Some(name) = text(listed, "name").filter(|name| name.starts_with("/dev/") && is_plain(name)) else {
            continue;
        };
        // A SATA drive is listed as SCSI: only when it is asked does smartctl see what it is.
        let kind = text(listed, "type").filter(|kind| is_plain(kind) && !kind.starts_with('-') && kind != "scsi");
        let device = Device { name, kind };
        if !devices.contains(&device) {
            devices.push(device);
        }
    }
    Ok(devices)
}

/// What a drive told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drive {
    /// The maker, where it is told apart from the model (SAS).
    pub manufacturer: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The serial number.
    pub serial: Option<String>,
    /// The firmware version.
    pub firmware: Option<String>,
    /// Size in bytes.
    pub capacity_bytes: Option<u64>,
    /// How smartctl spoke to it (`-d`).
    pub kind: Option<String>,
    /// Life and errors, each kind at most once. Pointers are into smartctl's document.
    pub figures: Vec<SmartFigure>,
    /// The spare blocks, in percent, below which the drive itself warns.
    pub spare_limit: Option<f64>,
    /// Why there are no figures, where there are none.
    pub trouble: Option<Trouble>,
}

/// Why a drive tells nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What kind of reason.
    pub cause: Cause,
    /// In words.
    pub detail: String,
}

/// What `smartctl -j -a` printed of one drive, and its exit status.
///
/// # Errors
/// When the output is not smartctl's.
pub fn drive(output: &[u8], exit: i32) -> Result<Drive, Unreadable> {
    let body = body(output)?;
    let from_scsi = |new: &str, old: &str| text(&body, new).or_else(|| text(&body, old));
    let mut drive = Drive {
        manufacturer: from_scsi("scsi_vendor", "vendor"),
        model: text(&body, "model_name").or_else(|| from_scsi("scsi_product", "product")),
        serial: text(&body, "serial_number").filter(|serial| crate::redfish::inventory::is_identity(serial)),
        firmware: text(&body, "firmware_version").or_else(|| from_scsi("scsi_revision", "revision")),
        capacity_bytes: capacity(&body),
        kind: body.get("device").and_then(|d| text(d, "type")),
        figures: figures(&body, exit),
        ..Drive::default()
    };
    let limits =
        [("nvme_smart_health_information_log", "available_spare_threshold"), ("spare_available", "threshold_percent")];
    drive.spare_limit = limits.iter().find_map(|(room, field)| Some(number(body.get(*room)?, field)?.value));
    drive.spare_limit = drive.spare_limit.filter(|limit| (0.0..=100.0).contains(limit));
    drive.trouble = drive.figures.is_empty().then(|| trouble(&body, exit));
    Ok(drive)
}

fn body(output: &[u8]) -> Result<Value, Unreadable> {
    let body: Value = serde_json::from_slice(output).map_err(|e| Unreadable::NotJson(e.to_string()))?;
    if body.get("smartctl").is_some_and(Value::is_object) { Ok(body) } else { Err(Unreadable::NotSmartctl) }
}

fn capacity(body: &Value) -> Option<u64> {
    let of_user = body.get("user_capacity").and_then(|c| number(c, "bytes"));
    let bytes = of_user.or_else(|| number(body, "nvme_total_capacity"))?;
    crate::redfish::inventory::bytes(bytes.value)
}

/// Figures that stand in one field: where, what it is, and how it is to be understood. The first of a kind that has a value counts.
const FIELDS: [(&str, SensorKind, Sense); 20] = [
    ("/temperature/current", SensorKind::Temperature, Plain),
    ("/power_on_time/hours", SensorKind::PowerOnHours, Plain),
    ("/power_cycle_count", SensorKind::PowerCycles, Plain),
    ("/nvme_smart_health_information_log/critical_warning", SensorKind::CriticalWarning, Plain),
    ("/nvme_smart_health_information_log/temperature", SensorKind::Temperature, Plain),
    ("/nvme_smart_health_information_log/available_spare", SensorKind::SpareLeft, Plain),
    ("/nvme_smart_health_information_log/percentage_used", SensorKind::LifeLeft, Used),
    ("/nvme_smart_health_information_log/data_units_read", SensorKind::BytesRead, DataUnits),
    ("/nvme_smart_health_information_log/data_units_written", SensorKind::BytesWritten, DataUnits),
    ("/nvme_smart_health_information_log/power_on_hours", SensorKind::PowerOnHours, Plain),
    ("/nvme_smart_health_information_log/power_cycles", SensorKind::PowerCycles, Plain),
    ("/nvme_smart_health_information_log/unsafe_shutdowns", SensorKind::UnsafeShutdowns, Plain),
    ("/nvme_smart_health_information_log/media_errors", SensorKind::MediaErrors, Plain),
    ("/nvme_smart_health_information_log/num_err_log_entries", SensorKind::ErrorLogEntries, Plain),
    ("/nvme_smart_health_information_log/warning_temp_time", SensorKind::OverheatedTime, Minutes),
    ("/scsi_grown_defect_list", SensorKind::ReallocatedSectors, Plain),
    ("/scsi_error_counter_log/read/total_uncorrected_errors", SensorKind::ReportedUncorrectable, Plain),
    ("/scsi_percentage_used_endurance_indicator", SensorKind::LifeLeft, Used),
    ("/endurance_used/current_percent", SensorKind::LifeLeft, Used),
    ("/spare_available/current_percent", SensorKind::SpareLeft, Plain),
];

fn figures(body: &Value, exit: i32) -> Vec<SmartFigure> {
    let mut found: Vec<SmartFigure> = verdict(body, exit).into_iter().collect();
    for (pointer, kind, sense) in FIELDS {
        if let Some(value) = body.pointer(pointer) {
            push(&mut found, kind, name_of(pointer), sensed(sense, value, pointer), pointer.to_owned());
        }
    }
    for (pointer, kind) in [
        ("/scsi_error_counter_log/read/gigabytes_processed", SensorKind::BytesRead),
        ("/scsi_error_counter_log/write/gigabytes_processed", SensorKind::BytesWritten),
    ] {
        // A text by smartctl's own making: nothing was cut out of it.
        let bytes = |n: Number| Number { value: n.value * 1e9, coerced: false };
        if let Some(value) = body.pointer(pointer) {
            push(&mut found, kind, name_of(pointer), sensed(Plain, value, pointer).map(bytes), pointer.to_owned());
        }
    }
    let table = body.get("ata_smart_attributes").map(|attributes| list(attributes, "table")).unwrap_or_default();
    for (index, row) in table.iter().enumerate() {
        let pointer = format!("/ata_smart_attributes/table/{index}");
        if let Some((kind, name, number)) = attribute(row, &pointer) {
            push(&mut found, kind, name, number, pointer);
        }
    }
    // What holds a value goes before what holds none; else the order is the one above.
    found.sort_by_key(|figure| !figure.number.is_value());
    let mut seen = Vec::new();
    found.retain(|figure| {
        let is_new = !seen.contains(&figure.kind);
        seen.push(figure.kind);
        is_new
    });
    found
}

fn name_of(pointer: &str) -> String {
    match pointer.trim_start_matches('/').split_once('/') {
        Some(("nvme_smart_health_information_log", field)) => field.to_owned(),
        _ => pointer.trim_start_matches('/').replace('/', "."),
    }
}

fn push(out: &mut Vec<SmartFigure>, kind: SensorKind, sensor: String, number: Field<Number>, pointer: String) {
    let number = match number {
        Field::Value(n) if !n.value.is_finite() => return,
        number => number,
    };
    if number.is_telling() {
        out.push(SmartFigure { kind, sensor, number, pointer });
    }
}

/// Whether the drive says that it will fail: by its own word, or by the exit status.
fn verdict(body: &Value, exit: i32) -> Option<SmartFigure> {
    let passed = body.get("smart_status").and_then(|status| truth(status, "passed"));
    let says_failing = exit >= 0 && exit & FAILING != 0;
    let fails = match passed {
        Some(passed) => !passed || says_failing,
        None if says_failing => true,
        None => return None,
    };
    let number = Field::Value(Number { value: f64::from(u8::from(fails)), coerced: false });
    let pointer = "/smart_status/passed".to_owned();
    Some(SmartFigure { kind: SensorKind::FailurePredicted, sensor: "smart_status".to_owned(), number, pointer })
}

/// A row of the table of ATA attributes. Temperature and hours stand in fields of their own, for which smartctl knows how each maker packs them.
fn attribute(row: &Value, pointer: &str) -> Option<(SensorKind, String, Field<Number>)> {
    let id = number(row, "id")?.value;
    let id = (1u8..=254).find(|n| f64::from(*n) == id)?;
    let name = text(row, "name").map(|name| clip(&name, 100));
    let named = |name: Option<String>| name.unwrap_or_else(|| format!("attribute {id}"));
    // What is left of a flash drive's life is the normalised value of a few attributes, which go by their names.
    let lives = ["SSD_Life_Left", "Media_Wearout_Indicator", "Percent_Lifetime_Remain", "Remaining_Lifetime_Perc"];
    if name.as_deref().is_some_and(|name| lives.contains(&name)) {
        return Some((SensorKind::LifeLeft, named(name), sensed(Plain, row.get("value")?, pointer)));
    }
    if matches!(id, 9 | 194) {
        return None;
    }
    let known = by_ata_id(id).map(|kind| (kind, 1.0)).or_else(|| traffic(id, name.as_deref()?));
    let (kind, unit) = known?;
    let number = match raw(id, row.get("raw")?) {
        Some(n) => Field::Value(Number { value: n.value * unit, ..n }),
        None => sensed(Plain, row.get("raw").and_then(|raw| raw.get("value")).unwrap_or(&Value::Null), pointer),
    };
    Some((kind, named(name), number))
}

/// A raw value. smartctl's text of it shows the count before what else the maker packs into the 48 bits (`8 (0 3)`); of time-outs the lowest 16 bits count.
fn raw(id: u8, raw: &Value) -> Option<Number> {
    let whole = if raw.is_object() { number(raw, "value") } else { as_number(raw) };
    if id == 188 {
        return whole.map(|n| Number { value: n.value.rem_euclid(65_536.0), ..n });
    }
    let shown = text(raw, "string").and_then(|shown| {
        let (count, rest) = shown.split_at(shown.find(|c: char| !c.is_ascii_digit()).unwrap_or(shown.len()));
        let is_count = rest.is_empty() || rest.starts_with(" (");
        count.parse::<u64>().ok().filter(|_| is_count)
    });
    #[expect(
        clippy::cast_precision_loss,
        reason = "a raw value has 48 bits; what claims more is out of the kind's range"
    )]
    let shown = shown.map(|count| Number { value: count as f64, coerced: false });
    shown.or(whole)
}

/// What smartctl says of itself and the drive, where that is bad.
fn messages(body: &Value) -> String {
    let said = body.get("smartctl").map(|s| list(s, "messages")).unwrap_or_default();
    let words: Vec<String> = said.iter().filter_map(|m| text(m, "string")).take(5).collect();
    clip(&words.join("; "), 400)
}

/// Why there are no figures.
fn trouble(body: &Value, exit: i32) -> Trouble {
    let said = messages(body);
    let of = |cause, detail: &str| Trouble {
        cause,
        detail: if said.is_empty() { detail.to_owned() } else { format!("{detail}; smartctl says: {said}") },
    };
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let is_asleep = body.get("power_mode").is_some() || has(&["STANDBY mode", "SLEEP mode", "in standby", "stopped"]);
    match () {
        () if exit < 0 => of(Cause::BmcError, "smartctl was ended by a signal"),
        () if has(&["Permission denied", "Operation not permitted"]) => {
            of(Cause::Denied, "the drive may not be read by this user; see deploy/outband-agent-local.conf")
        }
        () if exit & NOT_OPENED != 0 && is_asleep => of(Cause::NoReading, "the drive sleeps, and is not woken"),
        () if exit & BAD_COMMAND_LINE != 0 || has(&["specify device type", "Unknown USB bridge"]) => {
            of(Cause::NotSupported, "smartctl cannot speak to this drive")
        }
        () if has(&["No such device", "No such file"]) => of(Cause::Absent, "the drive is gone"),
        () if exit & NOT_OPENED != 0 => of(Cause::Unreachable, "the drive does not answer"),
        () if body.get("smart_support").and_then(|s| truth(s, "available")) == Some(false) => {
            of(Cause::NotSupported, "the drive has no SMART")
        }
        () if body.get("smart_support").and_then(|s| truth(s, "enabled")) == Some(false) => {
            of(Cause::Disabled, "SMART is switched off; smartctl -s on DEVICE switches it on")
        }
        () if exit == 0 => of(Cause::NotSupported, "the drive tells nothing of its life"),
        () => of(Cause::BmcError, &format!("smartctl ended with status {exit} and no figures")),
    }
}
