//! What a log entry means: its kind, gravity and place, from message ids, sensor types and, last, its words.

use super::lenient::text;
use super::memory::Memory;
use outband_schemas::{ComponentClass, ComponentId, EventKind, Severity};
use serde_json::Value;

/// How grave the BMC calls an entry. HPE keeps its own word (`Caution`, `Repaired`) below `Oem`.
pub(super) fn severity(body: &Value) -> Severity {
    let oem = || ["Hpe", "Hp"].iter().find_map(|o| text(body.get("Oem")?.get(*o)?, "Severity"));
    let word = text(body, "Severity")
        .or_else(|| text(body, "MessageSeverity"))
        .or_else(|| text(body, "EntrySeverity"))
        .or_else(oem);
    match word.unwrap_or_default().to_ascii_lowercase().as_str() {
        "ok" | "informational" | "info" | "normal" | "repaired" => Severity::Ok,
        "warning" | "caution" | "minor" | "non-critical" => Severity::Warning,
        "critical" | "error" | "fatal" | "major" => Severity::Critical,
        _ => Severity::Unknown,
    }
}

/// Words that decide, in the order in which they are looked for. All words of a row must be there.
const WORDS: &[(&[&str], EventKind)] = &[
    (&["log cleared"], EventKind::LogCleared),
    (&["log was cleared"], EventKind::LogCleared),
    (&["log is cleared"], EventKind::LogCleared),
    (&["log has been cleared"], EventKind::LogCleared),
    (&["log area reset"], EventKind::LogCleared),
    (&["iml cleared"], EventKind::LogCleared),
    (&["sel cleared"], EventKind::LogCleared),
    (&["log full"], EventKind::LogFull),
    (&["log is full"], EventKind::LogFull),
    (&["log is almost full"], EventKind::LogFull),
    (&["log is nearly full"], EventKind::LogFull),
    (&["logged in"], EventKind::Audit),
    (&["login"], EventKind::Audit),
    (&["logout"], EventKind::Audit),
    (&["logged out"], EventKind::Audit),
    (&["session", "password"], EventKind::Audit),
    (&["redundancy"], EventKind::RedundancyLost),
    (&["non-redundant"], EventKind::RedundancyLost),
    (&["uncorrectable", "memory"], EventKind::MemoryUncorrectable),
    (&["uncorrectable", "dimm"], EventKind::MemoryUncorrectable),
    (&["multi-bit", "memory"], EventKind::MemoryUncorrectable),
    (&["uncorrectable ecc"], EventKind::MemoryUncorrectable),
    (&["correctable", "logging limit"], EventKind::MemoryLoggingLimit),
    (&["correctable", "logging", "disabled"], EventKind::MemoryLoggingLimit),
    (&["correctable", "memory"], EventKind::MemoryCorrectable),
    (&["correctable", "dimm"], EventKind::MemoryCorrectable),
    (&["correctable ecc"], EventKind::MemoryCorrectable),
    (&["corrected", "memory"], EventKind::MemoryCorrectable),
    (&["single-bit", "memory"], EventKind::MemoryCorrectable),
];

const POWER: &[&str] = &["power supply", "psu", "ps1", "ps2", "powersupply"];
const DRIVE: &[&str] = &["drive", "disk", "ssd", "hdd", "nvme"];

/// What an entry means, as far as rules need to know.
pub(super) fn kind(code: &str, sensor_type: &str, message: &str) -> EventKind {
    let said = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| said.contains(w));
    if let Some((_, kind)) = WORDS.iter().find(|(all, _)| all.iter().all(|w| said.contains(w))) {
        return *kind;
    }
    match subject(code, sensor_type, &said) {
        Some(Subject::PowerSupply) => match () {
            () if has(&["predict"]) => EventKind::PowerSupplyPredictedFailure,
            () if has(&["input", "ac lost", "a/c lost", "power lost", "power cord", "ac power"]) => {
                EventKind::PowerSupplyInputLost
            }
            () if has(&["fail", "fault", "error", "critical"]) => EventKind::PowerSupplyFailed,
            () if has(&["absent", "removed", "insert", "presen", "detected", "added"]) => {
                EventKind::PowerSupplyPresence
            }
            () => EventKind::Other,
        },
        Some(Subject::Drive) => match () {
            () if has(&["predict", "smart", "wear", "life", "endurance"]) => EventKind::DrivePredictedFailure,
            () if has(&["fail", "fault", "offline", "error", "critical"]) => EventKind::DriveFailed,
            () if has(&["removed", "insert", "presen", "installed", "detected", "added"]) => EventKind::DrivePresence,
            () => EventKind::Other,
        },
        Some(Subject::Fan) => EventKind::FanLimit,
        Some(Subject::Temperature) => EventKind::TemperatureLimit,
        Some(Subject::Voltage) => EventKind::VoltageLimit,
        Some(Subject::Memory) if has(&["uncorrect"]) => EventKind::MemoryUncorrectable,
        // A predictive failure of a module is what so many corrected errors made of it.
        Some(Subject::Memory) if has(&["correct", "ecc", "predict", "pfa"]) => EventKind::MemoryCorrectable,
        Some(Subject::Processor) if has(&["error", "ierr", "thermal trip", "fail", "critical", "machine check"]) => {
            EventKind::ProcessorError
        }
        Some(Subject::Bus) if has(&["error", "fail", "fatal", "critical"]) => EventKind::BusError,
        Some(Subject::Watchdog) => EventKind::Watchdog,
        Some(Subject::Intrusion) => EventKind::Intrusion,
        Some(Subject::Audit) => EventKind::Audit,
        Some(Subject::Change) => EventKind::Change,
        Some(Subject::Power) => EventKind::PowerChange,
        Some(Subject::Os) => EventKind::OsChange,
        _ => EventKind::Other,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    PowerSupply,
    Drive,
    Fan,
    Temperature,
    Voltage,
    Memory,
    Processor,
    Bus,
    Watchdog,
    Intrusion,
    Audit,
    Change,
    Power,
    Os,
}

fn subject(code: &str, sensor_type: &str, said: &str) -> Option<Subject> {
    by_sensor_type(sensor_type).or_else(|| by_code(code)).or_else(|| by_words(said))
}

/// Redfish `LogEntry.SensorType`, which follows IPMI 2.0 table 42-3.
fn by_sensor_type(sensor_type: &str) -> Option<Subject> {
    Some(match sensor_type {
        "Power Supply / Converter" | "Power Supply" => Subject::PowerSupply,
        "Drive Slot / Bay" | "Drive Slot/Bay" => Subject::Drive,
        "Fan" | "Cooling Device" => Subject::Fan,
        "Temperature" => Subject::Temperature,
        "Voltage" => Subject::Voltage,
        "Memory" => Subject::Memory,
        "Processor" => Subject::Processor,
        "Critical Interrupt" | "PCI Express" => Subject::Bus,
        "Watchdog" | "Watchdog1" | "Watchdog2" | "Watchdog 1" | "Watchdog 2" => Subject::Watchdog,
        "Physical Chassis Security" | "Physical Security" => Subject::Intrusion,
        "Session Audit" | "Platform Security Violation Attempt" => Subject::Audit,
        "Version Change" => Subject::Change,
        "System ACPI Power State" | "System ACPI PowerState" | "Power Unit" | "Button / Switch" | "Button/Switch" => {
            Subject::Power
        }
        "OS Boot" | "BaseOSBoot/InstallationStatus" | "OS Stop / Shutdown" | "OS Stop/Shutdown" => Subject::Os,
        _ => return None,
    })
}

/// Dell's message ids begin with the category (Event and Error Message Reference Guide): `IDRAC.2.7.PDR1001`, `PSU0001`.
fn by_code(code: &str) -> Option<Subject> {
    let last = code.rsplit('.').next()?;
    let digits = last.get(3..)?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(match last.get(..3)? {
        "PSU" => Subject::PowerSupply,
        "PDR" => Subject::Drive,
        "FAN" => Subject::Fan,
        "TMP" => Subject::Temperature,
        "VLT" => Subject::Voltage,
        "MEM" => Subject::Memory,
        "CPU" => Subject::Processor,
        "PCI" => Subject::Bus,
        "USR" => Subject::Audit,
        "RED" | "SUP" => Subject::Change,
        _ => return None,
    })
}

fn by_words(said: &str) -> Option<Subject> {
    let has = |words: &[&str]| words.iter().any(|w| said.contains(w));
    Some(match () {
        () if has(POWER) => Subject::PowerSupply,
        () if has(DRIVE) && !has(&["virtual", "driver", "usb drive"]) => Subject::Drive,
        () if has(&["fan "]) || said.ends_with("fan") || has(&["fan_", "fan1", "fan2", "fans"]) => Subject::Fan,
        () if has(&["temperature", "overheat", "thermal"]) => Subject::Temperature,
        () if has(&["voltage"]) => Subject::Voltage,
        () if has(&["dimm", "memory"]) => Subject::Memory,
        () if has(&["processor", "cpu"]) => Subject::Processor,
        () if has(&["pcie", "pci ", "bus "]) => Subject::Bus,
        () if has(&["watchdog"]) => Subject::Watchdog,
        () if has(&["intrusion", "chassis open", "chassis is open"]) => Subject::Intrusion,
        () if has(&["firmware", "configuration", "setting"]) => Subject::Change,
        () if has(&[
            "power state",
            "powered on",
            "powered off",
            "power on",
            "power off",
            "server reset",
            "turned on",
            "turned off",
            "power restored",
        ]) =>
        {
            Subject::Power
        }
        _ => return None,
    })
}

/// The place that an entry speaks of: the one its link names, a known place named in its words, a place read out of its words, or the server.
pub(super) fn component(kind: EventKind, origin: Option<&str>, message: &str, memory: &Memory) -> ComponentId {
    if let Some(known) = origin.and_then(|uri| memory.place_at(uri)) {
        return known.clone();
    }
    let Some((class, words)) = place_words(kind) else { return ComponentId::lenient(ComponentClass::Server, "system") };
    let said = message.to_ascii_lowercase();
    let known = memory
        .places()
        .filter(|p| p.class() == class && p.slot().len() > 2 && holds_word(&said, &p.slot().to_ascii_lowercase()));
    if let Some(known) = known.max_by_key(|p| p.slot().len()) {
        return known.clone();
    }
    let named = words.iter().find_map(|word| phrase(message, &said, word));
    match named {
        Some((_, Some(number))) if class == ComponentClass::PowerSupply => ComponentId::lenient(class, number),
        Some((phrase, _)) => ComponentId::lenient(class, phrase),
        None => ComponentId::lenient(ComponentClass::Server, "system"),
    }
}

fn place_words(kind: EventKind) -> Option<(ComponentClass, &'static [&'static str])> {
    Some(match kind {
        EventKind::PowerSupplyFailed
        | EventKind::PowerSupplyInputLost
        | EventKind::PowerSupplyPredictedFailure
        | EventKind::PowerSupplyPresence => (ComponentClass::PowerSupply, &["power supply", "psu", "ps"]),
        EventKind::DriveFailed | EventKind::DrivePredictedFailure | EventKind::DrivePresence => {
            (ComponentClass::Disk, &["bay", "disk", "drive", "slot", "ssd", "hdd", "nvme"])
        }
        EventKind::FanLimit => (ComponentClass::Fan, &["fan"]),
        EventKind::MemoryCorrectable | EventKind::MemoryUncorrectable | EventKind::MemoryLoggingLimit => {
            (ComponentClass::Memory, &["dimm"])
        }
        EventKind::ProcessorError => (ComponentClass::Cpu, &["cpu", "processor"]),
        _ => return None,
    })
}

fn holds_word(said: &str, word: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    said.match_indices(word).any(|(at, _)| {
        edge(said.get(..at).and_then(|s| s.chars().next_back()))
            && edge(said.get(at + word.len()..).and_then(|s| s.chars().next()))
    })
}

/// `DIMM_A1`, `Fan 3`, `power supply 2`: a word and the designator that follows it, which must hold a digit. The designator alone is given where it is a
/// number.
fn phrase(message: &str, said: &str, word: &str) -> Option<(String, Option<String>)> {
    // Lower-casing ASCII keeps every byte in its place; other text is not searched.
    let mut starts = said
        .match_indices(word)
        .filter(|(at, _)| said.get(..*at).is_some_and(|s| !s.ends_with(|c: char| c.is_ascii_alphanumeric())));
    starts.find_map(|(at, _)| {
        let rest = message.get(at + word.len()..)?;
        let gap = rest.len() - rest.trim_start_matches([' ', '_', '-', '#', ':']).len();
        let after = rest.get(gap..)?;
        let length = after
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')))
            .unwrap_or(after.len());
        let designator = after.get(..length)?.trim_end_matches(['.', ':', '-', '_']);
        if gap > 2 || !designator.bytes().any(|b| b.is_ascii_digit()) || designator.len() > 40 {
            return None;
        }
        let whole = message.get(at..at + word.len() + gap + designator.len())?;
        let number = designator.bytes().all(|b| b.is_ascii_digit()).then(|| designator.to_owned());
        Some((whole.to_owned(), number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn makers_ways_of_saying_a_thing_mean_the_same() {
        let cases = [
            ("IDRAC.2.7.PSU0003", "", "The power input for power supply 1 is lost.", EventKind::PowerSupplyInputLost),
            ("IDRAC.2.7.PDR1001", "", "Fault detected on drive 4 in disk drive bay 1.", EventKind::DriveFailed),
            ("", "Memory", "[ OEM ] Correctable ECC @DIMMB1", EventKind::MemoryCorrectable),
            ("", "", "Uncorrectable Memory Error detected at DIMM A3", EventKind::MemoryUncorrectable),
            (
                "IDRAC.2.7.MEM0701",
                "",
                "Correctable memory error rate exceeded for DIMM_A1.",
                EventKind::MemoryCorrectable,
            ),
            (
                "",
                "",
                "Corrected Memory Error threshold exceeded (Processor 1, Memory Module 4)",
                EventKind::MemoryCorrectable,
            ),
            ("", "Memory", "Predictive failure asserted for DIMM 3", EventKind::MemoryCorrectable),
            ("", "Drive Slot / Bay", "Predictive failure asserted", EventKind::DrivePredictedFailure),
            ("IDRAC.2.7.USR0030", "", "Successfully logged in using root, from 1.2.3.4 and REDFISH.", EventKind::Audit),
            ("", "", "Security log cleared by: System Administrator", EventKind::LogCleared),
            ("", "Fan", "Lower Critical going low", EventKind::FanLimit),
            (
                "CrayAlerts.ResourcePowerStateChanged",
                "",
                "The power state of resource /redfish/v1/Chassis/Blade0 has changed to type On.",
                EventKind::PowerChange,
            ),
            ("", "", "kernel: Booting Linux on physical CPU 0x0", EventKind::Other),
        ];
        for (code, sensor, message, expected) in cases {
            assert_eq!(kind(code, sensor, message), expected, "{message}");
        }
    }

    #[test]
    fn a_place_is_read_out_of_the_words() {
        let place = |kind, message| component(kind, None, message, &Memory::default()).to_string();
        assert_eq!(place(EventKind::MemoryCorrectable, "[ OEM ] Correctable ECC @DIMMB1"), "memory/DIMMB1");
        assert_eq!(place(EventKind::PowerSupplyInputLost, "The power input for power supply 1 is lost."), "psu/1");
        assert_eq!(place(EventKind::FanLimit, "Fan 3 is below its limit"), "fan/Fan 3");
        assert_eq!(place(EventKind::FanLimit, "Lower Critical going low"), "server/system");
    }

    #[test]
    fn a_link_to_a_known_place_goes_before_words() {
        let mut memory = Memory::default();
        let fan = memory.part(ComponentClass::Fan, "Fan 9", "/redfish/v1/Chassis/1/Fans/9");
        assert_eq!(component(EventKind::FanLimit, Some("/redfish/v1/Chassis/1/Fans/9/"), "Fan 3 failed", &memory), fan);
    }

    proptest! {
        #[test]
        fn any_words_have_a_meaning_without_panic(message in ".{0,60}", word in "(fan|dimm|psu|power supply|drive|cpu)") {
            let message = format!("{message} {word} {message}");
            let kind = kind("", "", &message);
            drop(component(kind, None, &message, &Memory::default()).to_string());
        }
    }
}
