//! Fans.

use super::*;

const WELL: [f64; 6] = [9000.0, 9050.0, 8950.0, 9010.0, 8990.0, 9000.0];

fn scaled(by: f64) -> Vec<f64> {
    WELL.iter().map(|rpm| rpm * by).collect()
}

fn settled() -> Server {
    let mut server = Server::new();
    for _ in 0..25 {
        server.fans(&WELL);
    }
    server.quiet();
    server
}

#[test]
fn a_fan_that_falls_behind_its_siblings_is_predicted_to_fail() {
    let mut server = settled();
    for n in 1..=20 {
        let mut rpm = scaled(1.0);
        rpm[2] *= 1.0 - 0.01 * f64::from(n);
        server.fans(&rpm);
    }
    let found = server.only();
    assert_eq!((found.rule.as_str(), found.component.slot(), found.predicted), ("fan.decay", "2", true));
    assert!(found.reason.contains("against its siblings"), "{}", found.reason);
}

#[test]
fn decay_shows_while_all_fans_follow_the_load() {
    let mut server = settled();
    for n in 1..=24 {
        let load = if n % 6 < 3 { 1.3 } else { 0.8 };
        let mut rpm = scaled(load);
        rpm[4] *= 1.0 - 0.01 * f64::from(n);
        server.fans(&rpm);
    }
    assert_eq!(server.only().component.slot(), "4");
}

#[test]
fn a_fan_that_turns_slower_at_the_same_duty_is_predicted_to_fail() {
    let mut server = Server::new();
    let poll = |server: &mut Server, rpm: f64| {
        server.sensors(vec![number("fan/1", SensorKind::FanSpeed, rpm), number("fan/1", SensorKind::FanDuty, 40.0)]);
    };
    for _ in 0..25 {
        poll(&mut server, 8000.0);
    }
    server.quiet();
    for n in 1..=20 {
        poll(&mut server, 8000.0 * (1.0 - 0.01 * f64::from(n)));
    }
    assert!(server.only().reason.contains("at the same duty"));
}

#[test]
fn a_slower_fan_at_a_lower_duty_is_well() {
    let mut server = Server::new();
    for duty in [40.0, 20.0, 40.0, 20.0] {
        for _ in 0..25 {
            let rpm = duty * 200.0;
            server
                .sensors(vec![number("fan/1", SensorKind::FanSpeed, rpm), number("fan/1", SensorKind::FanDuty, duty)]);
        }
    }
    server.quiet();
}

#[test]
fn new_firmware_that_slows_all_fans_is_no_decay() {
    let mut server = settled();
    for _ in 0..30 {
        server.fans(&scaled(0.6));
    }
    server.quiet();
}

#[test]
fn a_zone_that_slows_down_is_no_decay() {
    let mut server = settled();
    for _ in 0..30 {
        let mut rpm = scaled(1.0);
        rpm[0] *= 0.7;
        rpm[1] *= 0.7;
        rpm[2] *= 0.7;
        server.fans(&rpm);
    }
    server.quiet();
}

#[test]
fn hot_air_that_speeds_all_fans_up_is_no_decay() {
    let mut server = settled();
    for n in 1..=30 {
        server.fans(&scaled(1.0 + 0.03 * f64::from(n)));
    }
    server.quiet();
}

#[test]
fn a_pulled_fan_is_neither_decay_nor_failure_and_its_return_begins_anew() {
    let mut server = settled();
    for _ in 0..10 {
        let mut all: Vec<Observation> = scaled(1.5)[1..]
            .iter()
            .enumerate()
            .map(|(i, rpm)| number(&format!("fan/{}", i + 1), SensorKind::FanSpeed, *rpm))
            .collect();
        all.push(state("fan/0", State::Absent, "Device Absent"));
        server.sensors(all);
        server.quiet();
    }
    // Another model in its place.
    for _ in 0..30 {
        let mut all: Vec<Observation> = WELL[1..]
            .iter()
            .enumerate()
            .map(|(i, rpm)| number(&format!("fan/{}", i + 1), SensorKind::FanSpeed, *rpm))
            .collect();
        all.push(number("fan/0", SensorKind::FanSpeed, 7000.0));
        all.push(state("fan/0", State::Ok, "Device Present"));
        server.sensors(all);
    }
    server.quiet();
}

#[test]
fn one_bad_read_is_no_decay_and_no_failure() {
    let mut server = settled();
    for n in 0..20 {
        let mut rpm = scaled(1.0);
        if n % 5 == 0 {
            rpm[3] = 0.0;
        }
        server.fans(&rpm);
    }
    server.quiet();
}

#[test]
fn a_clock_that_jumps_back_is_no_decay() {
    let mut server = settled();
    server.skew = -3600;
    for _ in 0..30 {
        server.fans(&WELL);
    }
    server.quiet();
}

#[test]
fn a_fan_that_hardly_turns_is_found_without_any_limit() {
    let mut server = settled();
    for _ in 0..6 {
        let mut rpm = scaled(1.0);
        rpm[3] = 300.0;
        server.fans(&rpm);
    }
    assert_eq!(server.only().rule.as_str(), "fan.decay");
}

#[test]
fn a_fan_that_stands_has_failed() {
    let mut server = settled();
    for _ in 0..3 {
        let mut rpm = scaled(1.0);
        rpm[3] = 0.0;
        server.fans(&rpm);
    }
    let found = server.only();
    assert_eq!((found.rule.as_str(), found.predicted, found.level), ("fan.state", false, Level::Critical));
}

#[test]
fn a_fan_below_its_critical_limit_has_failed_and_one_with_a_limit_of_zero_has_not() {
    let mut server = Server::new();
    let limits = |low| Thresholds { lower_critical: Some(low), ..Thresholds::default() };
    for _ in 0..3 {
        server.sensors(vec![
            limited("fan/1", SensorKind::FanSpeed, 500.0, limits(600.0)),
            limited("fan/2", SensorKind::FanSpeed, 500.0, limits(0.0)),
        ]);
    }
    assert_eq!(server.only().component.slot(), "1");
}
