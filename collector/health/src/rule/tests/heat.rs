//! Temperatures.

use super::*;
use crate::outlook::Course;

fn warm(server: &mut Server, place: &str, value: f64, limit: f64) {
    let limits = Thresholds { upper_critical: Some(limit), ..Thresholds::default() };
    server.sensors(vec![limited(place, SensorKind::Temperature, value, limits)]);
}

#[test]
fn a_steady_rise_towards_the_limit_is_predicted() {
    let mut server = Server::new();
    for n in 0..16 {
        warm(&mut server, "chassis/Inlet", 30.0 + 0.5 * f64::from(n), 42.0);
    }
    let found = server.only();
    assert_eq!((found.rule.as_str(), found.predicted), ("temperature.trend", true));
    assert!(found.reason.contains("limit of 42 Cel"), "{}", found.reason);
}

#[test]
fn a_load_that_settles_is_no_trend() {
    let mut server = Server::new();
    for value in [45.0, 46.0, 60.0, 72.0, 78.0, 80.0, 81.0, 81.0, 80.0, 81.0, 80.0, 81.0, 80.0, 81.0] {
        warm(&mut server, "cpu/1", value, 100.0);
    }
    server.quiet();
}

#[test]
fn a_load_that_falls_again_is_no_trend() {
    let mut server = Server::new();
    for value in [60.0, 66.0, 72.0, 78.0, 84.0, 90.0, 89.0, 88.0, 87.0, 86.0] {
        warm(&mut server, "cpu/1", value, 100.0);
    }
    server.quiet();
}

#[test]
fn noise_near_the_limit_is_no_trend() {
    let mut server = Server::new();
    for n in 0..40 {
        warm(&mut server, "cpu/1", 88.0 + f64::from(n * 7 % 5), 100.0);
    }
    server.quiet();
}

#[test]
fn a_clock_that_jumps_back_makes_no_steep_trend() {
    let mut server = Server::new();
    for n in 0..8 {
        warm(&mut server, "cpu/1", 80.0 + f64::from(n % 2), 100.0);
    }
    server.skew = -7200;
    for n in 0..16 {
        warm(&mut server, "cpu/1", 80.0 + f64::from(n % 2), 100.0);
    }
    server.quiet();
}

#[test]
fn over_the_limit_is_found_and_a_single_bad_read_is_not() {
    let mut server = Server::new();
    for value in [80.0, 81.0, 127.0, 80.0] {
        warm(&mut server, "cpu/1", value, 100.0);
        server.quiet();
    }
    for _ in 0..3 {
        warm(&mut server, "cpu/1", 101.0, 100.0);
    }
    assert_eq!((server.only().rule.as_str(), server.only().level), ("temperature.limit", Level::Critical));
}

#[test]
fn an_entry_on_the_server_as_a_whole_says_no_more_than_its_sensors() {
    let mut server = Server::new();
    server.log(vec![]);
    let hot = || event("server/system", EventKind::TemperatureLimit, Severity::Critical, 1);
    server.log(vec![hot()]);
    assert_eq!(server.only().fault, Fault::Overheating);
    warm(&mut server, "cpu/1", 50.0, 100.0);
    server.quiet();
}

#[test]
fn hot_inlet_air_is_one_finding_with_the_rest_as_evidence() {
    let mut server = Server::new();
    let limits = |l| Thresholds { upper_critical: Some(l), ..Thresholds::default() };
    for _ in 0..3 {
        server.sensors(vec![
            limited("chassis/Inlet", SensorKind::Temperature, 48.0, limits(42.0)),
            limited("cpu/1", SensorKind::Temperature, 101.0, limits(100.0)),
        ]);
    }
    assert_eq!((server.only().component.slot(), server.only().evidence.len()), ("Inlet", 2));
}

/// A window that foresees of cpu/1 what its course tells: so many K more a day, from 60 Cel on, for so many days.
fn risen(server: &mut Server, a_day: f64, days: i32) {
    let mut course = Course::default();
    for hour in 0..days * 24 {
        let back = Duration::from_secs(u64::try_from(days * 24 - hour).unwrap() * 3600);
        let celsius = 60.0 + a_day * f64::from(hour) / 24.0 + if hour % 5 == 0 { 0.5 } else { 0.0 };
        course.take(&component("cpu/1"), SensorKind::Temperature, "cpu/1", celsius, server.now.minus(back));
    }
    let outlooks = course.outlooks(&[]);
    server.window.foresees(outlooks);
}

#[test]
fn a_rise_over_days_is_told_with_its_distance_its_rate_and_the_days_that_are_left() {
    let mut server = Server::new();
    risen(&mut server, 1.5, 15);
    for _ in 0..3 {
        warm(&mut server, "cpu/1", 81.0, 90.0);
    }
    let found = server.only();
    assert_eq!((found.rule.as_str(), found.predicted), ("temperature.trend", true));
    assert!(found.reason.contains("rises by 1.5 K a day"), "{}", found.reason);
    assert!(
        found.reason.contains("K below its limit of 90 Cel, which it reaches in about 6 days ("),
        "{}",
        found.reason
    );
    server.config.limit.share_percent = 95.0;
    server.quiet();
}

#[test]
fn a_rise_over_days_that_is_far_from_its_limit_is_not_told() {
    let mut server = Server::new();
    risen(&mut server, 0.4, 15);
    for _ in 0..3 {
        warm(&mut server, "cpu/1", 66.0, 110.0);
    }
    server.quiet();
}
