//! Which part a name speaks of. Names in such tables are free: `fan1`, `FAN_3A`, `PS1`, `CPU0_DIMM_A1`, `Front Panel`.

use outband_schemas::{ComponentClass as C, ComponentId, SensorKind as K};

/// A channel of a server: the place, the name of the sensor where it says more than the place does, and what is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) component: ComponentId,
    pub(super) sensor: &'static str,
    pub(super) kind: K,
}

/// The kind of a reading.
pub(super) fn kind(word: &[u8]) -> Option<K> {
    let word = std::str::from_utf8(word).ok()?.trim().to_ascii_lowercase().replace(['-', ' ', '.'], "_");
    match word.as_str() {
        "memory_ce_count" | "memory_ce" | "ce_count" | "ce" | "ecc_count" | "correctable_errors" | "memory_errors"
        | "corrected_errors" | "ecc_correctable" => Some(K::CorrectableErrors),
        "temp" => Some(K::Temperature),
        "rpm" | "fan_rpm" | "tach" | "fanspeed" | "fan" => Some(K::FanSpeed),
        "duty" | "pwm" | "fan_pwm" | "fanduty" => Some(K::FanDuty),
        "power_in" | "pin" | "power_input" | "watts_in" => Some(K::InputPower),
        "power_out" | "pout" | "power_output" | "watts_out" => Some(K::OutputPower),
        "watts" => Some(K::Power),
        "voltage_in" | "vin" => Some(K::InputVoltage),
        "voltage_out" | "vout" | "volts" => Some(K::Voltage),
        "current_out" | "iout" | "amps" => Some(K::Current),
        other => other.parse().ok(),
    }
}

/// The sensor of the air that comes in.
const INLET: &str = "inlet";

/// Words in a component's name that say what is measured of it, and of which side. `PS1 Input Power` and `PS1 Temp` are of one supply.
const MEASURES: [&str; 34] = [
    "temp",
    "temperature",
    "tach",
    "tachometer",
    "rpm",
    "speed",
    "pwm",
    "duty",
    "pin",
    "pout",
    "vin",
    "vout",
    "iin",
    "iout",
    "power",
    "voltage",
    "current",
    "volt",
    "volts",
    "amps",
    "watts",
    "input",
    "output",
    "in",
    "out",
    "reading",
    "sensor",
    "ce",
    "ecc",
    "errors",
    "count",
    "pwr",
    "curr",
    "therm",
];
const INPUT: [&str; 5] = ["pin", "vin", "iin", "input", "in"];
const OUTPUT: [&str; 5] = ["pout", "vout", "iout", "output", "out"];

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty())
}

/// The part that a name speaks of, without what is measured of it; the name itself where nothing is said of that.
fn part(name: &str) -> String {
    let says = |word: &str| MEASURES.contains(&word.to_lowercase().trim_end_matches(|c: char| c.is_ascii_digit()));
    let left: Vec<&str> = words(name).filter(|w| !says(w)).collect();
    if left.is_empty() || left.len() == words(name).count() { name.to_owned() } else { left.join(" ") }
}

/// The side of a supply that a name and a kind speak of.
fn side(name: &str, kind: K) -> K {
    let says = |of: &[&str]| words(name).any(|w| of.contains(&w.to_lowercase().as_str()));
    match kind {
        K::Power if says(&INPUT) => K::InputPower,
        K::Power if says(&OUTPUT) => K::OutputPower,
        K::Voltage if says(&INPUT) => K::InputVoltage,
        other => other,
    }
}

/// Whether two names speak of one part: `PSU1` of `psu1 Pin`.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || part(a).eq_ignore_ascii_case(&part(b))
}

/// The place that a kind of reading of a component is held for. `kinds` are all that the component has.
pub(super) fn place(name: &str, kind: K, kinds: &[K]) -> Place {
    let has = |k: K| kinds.contains(&k);
    let (mut class, mut sensor) = spoken(name).unwrap_or_else(|| {
        let class = match () {
            () if has(K::FanSpeed) => C::Fan,
            () if has(K::CorrectableErrors) => C::Memory,
            () if has(K::Voltage) || has(K::Current) || has(K::InputPower) || has(K::OutputPower) => C::PowerSupply,
            () if has(K::Power) => C::Server,
            () => C::Other,
        };
        (class, "")
    });
    // The fan of a supply turns by rules of its own and is not held against those of the server.
    let of_fan = kind == K::FanSpeed || (kind == K::FanDuty && has(K::FanSpeed));
    if of_fan && class != C::PowerSupply {
        (class, sensor) = (C::Fan, "");
    }
    if kind == K::CorrectableErrors {
        (class, sensor) = (C::Memory, "");
    }
    let of_supply = class == C::PowerSupply;
    // What flows in says nothing of what comes out.
    if of_supply && kind == K::Current && side(name, K::Power) == K::InputPower {
        sensor = "input";
    }
    // What stands in the air is told by its whole name.
    let whole = sensor == INLET;
    Place {
        component: ComponentId::lenient(class, if whole { name.to_owned() } else { part(name) }),
        sensor,
        kind: if of_supply { side(name, kind) } else { kind },
    }
}

/// What a name says by itself: the class, and the sensor's name.
fn spoken(name: &str) -> Option<(C, &'static str)> {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty()).collect();
    let close: String = words.concat();
    let holds = |parts: &[&str]| parts.iter().any(|p| close.contains(p));
    let is = |whole: &[&str]| words.iter().any(|w| whole.contains(w));
    // What stands in front of what it belongs to comes first: CPU1_DIMM_A1 is a module, PSU1_FAN a fan.
    let class = match () {
        () if holds(&["fan", "blower"]) || is(&["tach"]) => C::Fan,
        () if holds(&["psu", "powersupply", "pwrsupply"]) || is(&["ps", "pem"]) => C::PowerSupply,
        () if holds(&["inlet", "ambient", "intake", "frontpanel", "airin"]) || is(&["front"]) => {
            return Some((C::Board, INLET));
        }
        () if holds(&["exhaust", "outlet", "airout"]) => C::Board,
        () if holds(&["dimm", "memory", "dram"]) || is(&["mem", "ram"]) => C::Memory,
        () if holds(&["gpu", "accelerator"]) => C::Gpu,
        () if holds(&["cpu", "processor", "socket"]) || is(&["proc"]) => C::Cpu,
        () if holds(&["disk", "nvme", "drive"]) || is(&["hdd", "ssd"]) => C::Disk,
        () if holds(&["server", "system", "chassis", "board", "node"]) || is(&["sys", "host", "mb"]) => C::Server,
        () => return None,
    };
    Some((class, ""))
}

/// What an event means for what was learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Another part is in the place.
    Renewed,
    /// Something was changed, so that a step is no wear.
    Changed,
    /// The part was pulled or put back: it may be another one.
    Reseated,
    /// Nothing that the readings do not show by themselves: a reboot, a lost feed.
    Nothing,
}

/// What the word of an event means; `None`: not known. A part that was pulled and put back may be the same one.
pub(super) fn meaning(word: &str) -> Option<Meaning> {
    let close: String = word.to_lowercase().chars().filter(|c| c.is_alphabetic()).collect();
    let holds = |parts: &[&str]| parts.iter().any(|p| close.contains(p));
    match () {
        () if holds(&["feed", "acl", "inputlo", "powerlo", "poweron", "poweroff", "migrat", "clock"]) => {
            Some(Meaning::Nothing)
        }
        () if holds(&[
            "firmware",
            "bios",
            "update",
            "upgrade",
            "flash",
            "config",
            "setting",
            "profile",
            "dutytable",
        ]) =>
        {
            Some(Meaning::Changed)
        }
        () if holds(&["reboot", "reset", "restart", "cycle", "selclear"]) => Some(Meaning::Nothing),
        () if holds(&["replac", "swap", "exchang", "renew", "newpart"]) => Some(Meaning::Renewed),
        () if holds(&["insert", "remov", "pull", "reseat", "absen", "presen", "hotplug", "eject"]) => {
            Some(Meaning::Reseated)
        }
        () if holds(&["install", "maint", "service", "clean", "move", "change"]) => Some(Meaning::Changed),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, kinds: &[K]) -> C {
        place(name, kinds[0], kinds).component.class()
    }

    #[test]
    fn names_of_many_makers_are_the_parts_they_mean() {
        let psu = [K::Power, K::Voltage, K::Temperature];
        for (name, kinds, expected) in [
            ("fan1", &[K::FanSpeed][..], C::Fan),
            ("FAN_3A", &[K::FanSpeed, K::FanDuty], C::Fan),
            ("Sys 4B", &[K::FanSpeed], C::Fan),
            ("4B", &[K::FanDuty, K::FanSpeed], C::Fan),
            ("psu2", &psu, C::PowerSupply),
            ("PS1", &psu, C::PowerSupply),
            ("power_supply_0", &psu, C::PowerSupply),
            ("PS1", &[K::FanSpeed, K::Power], C::PowerSupply),
            ("bay 1", &psu, C::PowerSupply),
            ("cpu0", &[K::Temperature], C::Cpu),
            ("Processor 1", &[K::Temperature], C::Cpu),
            ("GPU7", &[K::Temperature], C::Gpu),
            ("CPU1_DIMM_A1", &[K::CorrectableErrors], C::Memory),
            ("A1", &[K::CorrectableErrors], C::Memory),
            ("mem3", &[K::Temperature], C::Memory),
            ("exhaust", &[K::Temperature], C::Board),
            ("system", &[K::Power], C::Server),
            ("chassis", &[K::FanDuty], C::Server),
            ("VRM", &[K::Temperature], C::Other),
        ] {
            assert_eq!(class(name, kinds), expected, "{name}");
        }
        for name in ["inlet", "Ambient Temp", "front", "Air In"] {
            assert_eq!(place(name, K::Temperature, &[K::Temperature]).sensor, "inlet", "{name}");
        }
    }

    #[test]
    fn what_is_measured_of_a_part_is_no_part_of_its_name() {
        let at = |name: &str, kind: K| {
            let Place { component, kind, sensor } = place(name, kind, &[kind]);
            (component.class(), component.slot().to_owned(), kind, sensor)
        };
        let psu = |slot: &str, kind: K| (C::PowerSupply, slot.to_owned(), kind, "");
        assert_eq!(at("PSU1 Pin", K::Power), psu("PSU1", K::InputPower));
        assert_eq!(at("PSU1_POUT", K::Power), psu("PSU1", K::OutputPower));
        assert_eq!(at("PS1 Input Power", K::Power), psu("PS1", K::InputPower));
        assert_eq!(at("PS1 Output Voltage", K::Voltage), psu("PS1", K::Voltage));
        assert_eq!(at("PSU2 Vin", K::Voltage), psu("PSU2", K::InputVoltage));
        assert_eq!(at("PSU2 Iin", K::Current).3, "input");
        assert_eq!(at("PSU 1 Temp2", K::Temperature), psu("PSU 1", K::Temperature));
        assert_eq!(at("FAN_1A Tach", K::FanSpeed), (C::Fan, "FAN 1A".to_owned(), K::FanSpeed, ""));
        assert_eq!(at("fan/0", K::FanSpeed), (C::Fan, "fan/0".to_owned(), K::FanSpeed, ""));
        assert_eq!(at("CPU0 Temp", K::Temperature), (C::Cpu, "CPU0".to_owned(), K::Temperature, ""));
        assert_eq!(at("Inlet Temp", K::Temperature), (C::Board, "Inlet Temp".to_owned(), K::Temperature, INLET));
        assert_eq!(at("DIMM_A1", K::CorrectableErrors).1, "DIMM_A1");
        assert!(is_same("psu1", "PSU1 Pin") && !is_same("psu1", "psu2"));
        for (word, expected) in
            [("Fan-RPM", K::FanSpeed), ("power in", K::InputPower), ("CE_Count", K::CorrectableErrors)]
        {
            assert_eq!(kind(word.as_bytes()), Some(expected), "{word}");
        }
    }

    #[test]
    fn only_a_new_part_ends_what_was_learnt() {
        for word in ["replaced", "psu_replaced", "Swapped"] {
            assert_eq!(meaning(word), Some(Meaning::Renewed), "{word}");
        }
        for word in ["firmware_update", "BIOS installed", "bmc update", "duty_table_changed", "maintenance"] {
            assert_eq!(meaning(word), Some(Meaning::Changed), "{word}");
        }
        for word in ["removed", "inserted", "fan_pulled", "reseated", "Device Absent"] {
            assert_eq!(meaning(word), Some(Meaning::Reseated), "{word}");
        }
        for word in ["bmc_reboot", "reset", "feed_lost", "AC lost", "feed restored", "load_migration"] {
            assert_eq!(meaning(word), Some(Meaning::Nothing), "{word}");
        }
        assert_eq!(meaning("login"), None);
    }
}
