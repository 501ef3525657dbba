//! Power supplies, feeds and voltages.

use super::*;

#[test]
fn a_feed_that_is_lost_is_the_feeds_fault_and_not_the_power_supplys() {
    let mut server = Server::new();
    for _ in 0..2 {
        server.sensors(vec![state("psu/1", State::Critical, "Presence detected, Power Supply input lost (AC/DC)")]);
    }
    assert_eq!(server.only().fault, Fault::PowerInputLost);
}

#[test]
fn an_input_voltage_that_falls_to_nothing_is_a_lost_feed() {
    let mut server = Server::new();
    for volts in [230.0, 231.0, 0.0, 0.0] {
        server.sensors(vec![number("psu/1", SensorKind::InputVoltage, volts)]);
    }
    assert_eq!(server.only().fault, Fault::PowerInputLost);
}

#[test]
fn a_second_power_supply_that_was_never_plugged_in_is_no_lost_feed() {
    let mut server = Server::new();
    for _ in 0..5 {
        server.sensors(vec![number("psu/2", SensorKind::InputVoltage, 0.0)]);
    }
    server.quiet();
}

#[test]
fn a_feed_that_is_dead_as_long_as_is_remembered_is_lost_where_its_supply_complains_of_no_failure() {
    for (text, fault) in
        [("UnavailableOffline, Critical", Fault::PowerInputLost), ("Failure detected", Fault::PsuFailure)]
    {
        let mut server = Server::new();
        for _ in 0..3 {
            let volts = number("psu/2", SensorKind::InputVoltage, 0.0);
            server.sensors(vec![state("psu/2", State::Critical, text), volts]);
        }
        assert_eq!(server.only().fault, fault, "{text}");
    }
}

#[test]
fn one_bad_read_of_the_input_voltage_is_no_lost_feed() {
    let mut server = Server::new();
    for volts in [230.0, 231.0, 0.0, 230.0, 229.0] {
        server.sensors(vec![number("psu/1", SensorKind::InputVoltage, volts)]);
        server.quiet();
    }
}

#[test]
fn a_power_supply_that_failed_says_so_by_state_or_by_log() {
    let mut server = Server::new();
    server.log(vec![]);
    server.sensors(vec![state("psu/1", State::Critical, "Failure detected")]);
    server.log(vec![event("psu/2", EventKind::PowerSupplyFailed, Severity::Critical, 1)]);
    assert_eq!(server.rules(), ["psu.failed", "psu.failed"]);
}

#[test]
fn an_entry_that_a_good_state_contradicts_is_over() {
    let mut server = Server::new();
    server.log(vec![]);
    server.log(vec![event("psu/2", EventKind::PowerSupplyFailed, Severity::Critical, 1)]);
    for _ in 0..3 {
        server.sensors(vec![state("psu/2", State::Ok, "Presence detected")]);
    }
    server.quiet();
}

#[test]
fn what_a_log_tells_of_years_ago_is_history() {
    let mut server = Server::new();
    server.log(vec![event("psu/2", EventKind::PowerSupplyFailed, Severity::Critical, 1)]);
    server.quiet();
}

#[test]
fn a_voltage_beyond_its_limits_is_found() {
    let mut server = Server::new();
    let limits = Thresholds { lower_critical: Some(11.4), upper_critical: Some(12.6), ..Thresholds::default() };
    for volts in [12.0, 11.0, 12.0, 12.1] {
        server.sensors(vec![limited("board/main", SensorKind::Voltage, volts, limits)]);
    }
    server.quiet();
    for _ in 0..3 {
        server.sensors(vec![limited("board/main", SensorKind::Voltage, 11.0, limits)]);
    }
    assert_eq!(server.only().fault, Fault::VoltageOutOfRange);
}
