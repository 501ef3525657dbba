//! Which part a name speaks of. Names in such tables are free: `fan1`, `FAN_3A`, `PS1`, `CPU0_DIMM_A1`, `Front Panel`.

use outband_schemas::{ComponentClass as C, ComponentId, SensorKind as K};

/// A channel of a server: the place, and the name of the sensor where it says more than the place does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) component: ComponentId,
    pub(super) sensor: &'static str,
}

/// The kind of a reading.
pub(super) fn kind(word: &[u8]) -> Option<K> {
    let word = std::str::from_utf8(word).ok()?.to_ascii_lowercase();
    match word.as_str() {
        "memory_ce_count" | "memory_ce" | "ce_count" | "correctable_errors" => Some(K::CorrectableErrors),
        "temp" => Some(K::Temperature),
        "rpm" => Some(K::FanSpeed),
        "duty" | "fan_pwm" => Some(K::FanDuty),
        other => other.parse().ok(),
    }
}

/// The place that a kind of reading of a component is held for. `kinds` are all that the component has.
pub(super) fn place(name: &str, kind: K, kinds: &[K]) -> Place {
    let has = |k: K| kinds.contains(&k);
    let (mut class, mut sensor) = spoken(name).unwrap_or_else(|| {
        let class = match () {
            () if has(K::FanSpeed) => C::Fan,
            () if has(K::CorrectableErrors) => C::Memory,
            () if has(K::Voltage) || has(K::Current) => C::PowerSupply,
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
    Place { component: ComponentId::lenient(class, name), sensor }
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
            return Some((C::Board, "inlet"));
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
        () if holds(&["install", "insert", "remov", "pull", "reseat", "maint", "service", "clean", "move"]) => {
            Some(Meaning::Changed)
        }
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
    fn only_a_new_part_ends_what_was_learnt() {
        for word in ["replaced", "psu_replaced", "Swapped"] {
            assert_eq!(meaning(word), Some(Meaning::Renewed), "{word}");
        }
        for word in ["firmware_update", "BIOS installed", "bmc update", "removed", "inserted", "fan_installed"] {
            assert_eq!(meaning(word), Some(Meaning::Changed), "{word}");
        }
        for word in ["bmc_reboot", "reset", "feed_lost", "AC lost", "feed restored", "load_migration"] {
            assert_eq!(meaning(word), Some(Meaning::Nothing), "{word}");
        }
        assert_eq!(meaning("login"), None);
    }
}
