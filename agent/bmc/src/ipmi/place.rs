//! Which component a sensor, an event or a FRU belongs to.

use super::sdr::{Association, Entity};
use outband_schemas::{ComponentClass, ComponentId};

/// Sensor types that say what they watch whatever their entity is (table 42-3).
mod sensor_type {
    pub(super) const PROCESSOR: u8 = 0x07;
    pub(super) const POWER_SUPPLY: u8 = 0x08;
    pub(super) const MEMORY: u8 = 0x0C;
    pub(super) const DRIVE_SLOT: u8 = 0x0D;
    pub(super) const BATTERY: u8 = 0x29;
}

/// Event/reading type 0Bh: the redundancy of a group.
const REDUNDANCY: u8 = 0x0B;

/// The place that a sensor watches: its entity decides, then its type, then its name.
///
/// - Redundancy sensors speak of a group, not of one part: `chassis/<name>`.
/// - Processors (entity 3, 65), memory (8, 32, and 34 when the type is memory), drives (4, 26) and power supplies (10) have one place per instance:
///   `cpu/1`, `memory/4`, `disk/3`, `psu/2`. Instances from 60h on count within their owner and may repeat, so there the name is the place.
/// - Fans (29, 30) are one place per sensor, since an instance often holds two rotors: `fan/Fan1A`.
/// - Add-in cards (11) that call themselves GPU: `gpu/<instance>`; others `other/<name>`.
/// - Batteries (40) `battery/<name>`, management controllers (6, 46) `bmc/<name>`, chassis and air (12, 23 to 25, 27, 39, 55, 64) `chassis/<name>`.
/// - All else is `board/<name>`.
pub fn of_sensor(entity: Entity, sensor_type: u8, event_type: u8, name: &str) -> ComponentId {
    if event_type == REDUNDANCY {
        return ComponentId::lenient(ComponentClass::Chassis, name);
    }
    let class = class_of(entity.id, sensor_type, name);
    let by_instance = matches!(
        class,
        ComponentClass::Cpu
            | ComponentClass::Memory
            | ComponentClass::Disk
            | ComponentClass::PowerSupply
            | ComponentClass::Gpu
    ) && is_home_of(class, entity.id)
        && (1..0x60).contains(&entity.instance);
    if by_instance {
        ComponentId::lenient(class, entity.instance.to_string())
    } else {
        ComponentId::lenient(class, name)
    }
}

/// The place of a FRU.
pub fn of_fru(entity: Entity, name: &str) -> ComponentId {
    of_sensor(entity, 0, 0, name)
}

/// The place of what has no counted place of its own but is held by a part that has: the regulator within a power supply is of the power supply.
pub fn within(own: ComponentId, entity: Entity, owner: u8, associations: &[Association]) -> ComponentId {
    if !matches!(own.class(), ComponentClass::Board | ComponentClass::Other) {
        return own;
    }
    let holders = associations.iter().filter(|a| a.holds(entity, owner)).map(|a| a.container);
    let mut places =
        holders.map(|holder| of_sensor(holder, 0, 0, "")).filter(|place| place.slot().parse::<u8>().is_ok());
    places.next().unwrap_or(own)
}

/// Whether the instances of this entity count the parts of this class. (Entity 34 is the firmware, even where its sensor speaks of memory.)
fn is_home_of(class: ComponentClass, entity: u8) -> bool {
    match class {
        ComponentClass::Cpu => matches!(entity, 3 | 65),
        ComponentClass::Memory => matches!(entity, 8 | 32),
        ComponentClass::Disk => matches!(entity, 4 | 26),
        ComponentClass::PowerSupply => entity == 10,
        ComponentClass::Gpu => entity == 11,
        _ => false,
    }
}

fn class_of(entity: u8, sensor: u8, name: &str) -> ComponentClass {
    match entity {
        3 | 65 => return ComponentClass::Cpu,
        4 | 26 => return ComponentClass::Disk,
        8 | 32 => return ComponentClass::Memory,
        10 => return ComponentClass::PowerSupply,
        29 | 30 => return ComponentClass::Fan,
        40 => return ComponentClass::Battery,
        _ => {}
    }
    match sensor {
        sensor_type::PROCESSOR => ComponentClass::Cpu,
        sensor_type::POWER_SUPPLY => ComponentClass::PowerSupply,
        sensor_type::MEMORY => ComponentClass::Memory,
        sensor_type::DRIVE_SLOT => ComponentClass::Disk,
        sensor_type::BATTERY => ComponentClass::Battery,
        _ => match entity {
            6 | 46 => ComponentClass::Bmc,
            11 if name.to_ascii_uppercase().contains("GPU") => ComponentClass::Gpu,
            11 => ComponentClass::Other,
            12 | 23..=25 | 27 | 39 | 55 | 64 => ComponentClass::Chassis,
            _ => ComponentClass::Board,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::sdr::Contained;
    use super::*;

    fn place(id: u8, instance: u8, sensor_type: u8, event_type: u8, name: &str) -> String {
        of_sensor(Entity { id, instance }, sensor_type, event_type, name).to_string()
    }

    #[test]
    fn parts_that_are_counted_go_by_instance() {
        assert_eq!(place(10, 2, 1, 1, "PSU2 Temp"), "psu/2");
        assert_eq!(place(4, 3, 0x0D, 0x6F, "HDD3 Status"), "disk/3");
        assert_eq!(place(32, 7, 0x0C, 0x6F, "DIMM7 Status"), "memory/7");
        assert_eq!(place(3, 1, 1, 1, "CPU1 Temp"), "cpu/1");
    }

    #[test]
    fn two_rotors_of_one_fan_entity_are_two_places() {
        assert_ne!(place(29, 1, 4, 1, "Fan1A"), place(29, 1, 4, 1, "Fan1B"));
    }

    #[test]
    fn instances_relative_to_the_owner_go_by_name() {
        assert_eq!(place(4, 0x60, 0x0D, 0x6F, "Drive 1"), "disk/Drive 1");
    }

    #[test]
    fn the_redundancy_of_power_supplies_is_no_third_power_supply() {
        assert_eq!(place(10, 3, 8, 0x0B, "PS Redundancy"), "chassis/PS Redundancy");
    }

    #[test]
    fn what_a_power_supply_holds_is_of_the_power_supply_and_what_a_chassis_holds_is_not_of_the_chassis() {
        let held = Contained { id: 20, first: 3, last: 4, owner: None };
        let association = |id| Association { container: Entity { id, instance: 2 }, contained: vec![held] };
        let regulator = Entity { id: 20, instance: 4 };
        let own = of_sensor(regulator, 2, 1, "VRM Volt");
        let place = |container| within(own.clone(), regulator, 0x20, &[association(container)]).to_string();
        assert_eq!(place(10), "psu/2");
        assert_eq!(place(23), "board/VRM Volt");
        // A fan stays a fan.
        let fan = of_sensor(Entity { id: 29, instance: 3 }, 4, 1, "Fan");
        assert_eq!(within(fan.clone(), regulator, 0x20, &[association(10)]), fan);
    }

    #[test]
    fn memory_errors_that_the_firmware_reports_are_of_memory_but_of_no_numbered_module() {
        assert_eq!(place(34, 1, 0x0C, 0x6F, "ECC Err"), "memory/ECC Err");
    }
}
