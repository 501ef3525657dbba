//! Where a fan's duty belongs: with the speed that it makes, so that a fan that turns slower at equal duty is seen to.

use super::sdr::Sensor;
use super::sensor;
use outband_schemas::{ComponentClass, ComponentId, SensorKind};

/// The words at the end of a name that say what is measured of a fan, and not of which one.
const MEASURES: [&str; 7] = ["duty", "cycle", "pwm", "speed", "tach", "tachometer", "rpm"];
/// A fan has two rotors at most. More tachometers of one entity are those of a BMC that does not number its fans.
const MAX_ROTORS: usize = 2;

/// The place of each sensor: its own, but for a fan's duty that of the tachometer it drives. That is one of the same name, else the first of the same entity.
pub(super) fn components(sensors: &[Sensor]) -> Vec<ComponentId> {
    let of_kind = |kind| move |s: &&Sensor| is_fan(s, kind);
    let tachometers: Vec<&Sensor> = sensors.iter().filter(of_kind(SensorKind::FanSpeed)).collect();
    let place = |duty: &Sensor| {
        let named = tachometers.iter().filter(|t| bare(&t.name) == bare(&duty.name));
        if let Some(tachometer) = named.min_by_key(|t| (!same_entity(t, duty), t.key)) {
            return Some(sensor::component(tachometer));
        }
        let rotors: Vec<&&Sensor> = tachometers.iter().filter(|t| same_entity(t, duty)).collect();
        let duties = sensors.iter().filter(of_kind(SensorKind::FanDuty)).filter(|d| same_entity(d, duty)).count();
        let numbered = rotors.len() <= MAX_ROTORS && duties == 1;
        rotors.into_iter().filter(|_| numbered).min_by_key(|t| t.key).map(|t| sensor::component(t))
    };
    let joined = |s: &Sensor| Some(s).filter(|s| is_fan(s, SensorKind::FanDuty)).and_then(place);
    sensors.iter().map(|s| joined(s).unwrap_or_else(|| sensor::component(s))).collect()
}

fn is_fan(s: &Sensor, kind: SensorKind) -> bool {
    s.analog.as_ref().is_some_and(|a| sensor::kind(s, a).0 == kind)
        && sensor::component(s).class() == ComponentClass::Fan
}

fn same_entity(a: &Sensor, b: &Sensor) -> bool {
    // Instances from 60h on count within their owner.
    a.entity == b.entity && (a.entity.instance < 0x60 || a.key.owner == b.key.owner)
}

/// `FAN1 Duty`, `FAN1_PWM` and `Fan1 Speed` are all of `fan1`.
fn bare(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let mut rest = lower.trim();
    loop {
        let cut = rest.rfind([' ', '_', '-', '.']).and_then(|at| Some((rest.get(..at)?, rest.get(at + 1..)?)));
        match cut.filter(|(_, last)| MEASURES.contains(last)) {
            Some((shorter, _)) if !shorter.is_empty() => rest = shorter.trim_end_matches([' ', '_', '-', '.']),
            _ => return rest.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sdr::{Analog, Entity, Factors, Format, SensorKey};
    use super::*;

    fn fan(name: &str, instance: u8, number: u8, percent: bool) -> Sensor {
        let factors = Factors { m: 1, b: 0, b_exponent: 0, result_exponent: 0 };
        Sensor {
            key: SensorKey { owner: 0x20, channel: 0, lun: 0, number },
            entity: Entity { id: 29, instance },
            sensor_type: 4,
            event_type: 1,
            readable_states: 0,
            thresholds_readable: false,
            analog: Some(Analog {
                format: Format::Unsigned,
                percent,
                rate: 0,
                modifier_use: 0,
                base_unit: if percent { 0 } else { 18 },
                modifier_unit: 0,
                linearization: 0,
                factors,
                thresholds: [None; 6],
                exactness: super::super::sdr::Exactness::default(),
            }),
            name: name.to_owned(),
        }
    }

    fn rpm(name: &str, instance: u8, number: u8) -> Sensor {
        fan(name, instance, number, false)
    }

    fn duty(name: &str, instance: u8, number: u8) -> Sensor {
        fan(name, instance, number, true)
    }

    fn places(sensors: &[Sensor]) -> Vec<String> {
        components(sensors).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_duty_joins_the_speed_of_its_entity() {
        let sensors = [duty("PWM 1", 1, 9), rpm("FAN1", 1, 1), rpm("FAN2", 2, 2), duty("PWM 2", 2, 10)];
        assert_eq!(places(&sensors), ["fan/FAN1", "fan/FAN1", "fan/FAN2", "fan/FAN2"]);
    }

    #[test]
    fn a_duty_joins_the_speed_of_its_name_where_the_entity_says_nothing() {
        for named in ["FAN1 Duty", "Fan1_PWM", "FAN1 Duty Cycle", "fan1 speed"] {
            assert_eq!(places(&[rpm("FAN1", 1, 1), duty(named, 7, 2)]), ["fan/FAN1", "fan/FAN1"], "{named}");
        }
        assert_eq!(places(&[rpm("FAN1 Tach", 1, 1), duty("FAN1", 7, 2)]), ["fan/FAN1 Tach", "fan/FAN1 Tach"]);
    }

    #[test]
    fn two_rotors_stay_two_places_and_their_duty_joins_the_first() {
        let sensors = [rpm("Fan1B", 1, 2), rpm("Fan1A", 1, 1), duty("Fan1 Duty", 1, 3)];
        assert_eq!(places(&sensors), ["fan/Fan1B", "fan/Fan1A", "fan/Fan1A"]);
    }

    #[test]
    fn fans_that_share_one_entity_take_only_the_duty_of_their_name() {
        let fans = (1..=4).map(|n| rpm(&format!("FAN{n}"), 1, n));
        let duties = [duty("FAN2 PWM", 1, 12), duty("Zone PWM", 1, 13)];
        let sensors: Vec<Sensor> = fans.chain(duties).collect();
        assert_eq!(places(&sensors)[4..], ["fan/FAN2", "fan/Zone PWM"]);
    }

    #[test]
    fn a_duty_without_a_tachometer_keeps_its_own_place() {
        assert_eq!(places(&[rpm("FAN1", 1, 1), duty("FAN2 Duty", 2, 2)]), ["fan/FAN1", "fan/FAN2 Duty"]);
    }
}
