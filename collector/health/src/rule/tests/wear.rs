//! Slow wear.

use super::*;
use crate::drift::{Measure, Sign, SignClass, SignFact, What};

fn sign(component: &str, class: SignClass, measure: Measure, by: f64, share: f64) -> Sign {
    let since = Timestamp::from_secs(1_799_000_000);
    let fact = SignFact { measure, sensor: String::new(), what: What::Moved, by, share, since };
    Sign { component: component.parse().unwrap(), class, score: share, facts: vec![fact] }
}

#[test]
fn a_sign_of_wear_predicts_the_failure_of_a_part_that_is_read_and_says_by_how_much() {
    let mut server = Server::new();
    server.sensors(vec![number("psu/1", SensorKind::Power, 200.0), number("cpu/0", SensorKind::Temperature, 70.0)]);
    server.window.wears(vec![
        sign("psu/1", SignClass::Psu, Measure::Efficiency, -0.0226, 2.5),
        sign("cpu/0", SignClass::Thermal, Measure::Heat, 4.2, 1.2),
        sign("psu/9", SignClass::Psu, Measure::Efficiency, -0.0226, 2.5),
    ]);
    let found = server.found();
    let told: Vec<(&str, Fault, bool)> = found.iter().map(|f| (f.rule.as_str(), f.fault, f.predicted)).collect();
    assert_eq!(told, [("psu.wear", Fault::PsuFailure, true), ("cooling.wear", Fault::Overheating, true)]);
    assert_eq!(found[0].reason, "less output for its input, by 2.2 %, since 2027-01-03");
    assert_eq!(found[0].evidence[0].text, "less output for its input, by 1.8 % or more");
    assert!(found[1].reason.contains("by 4.2 Cel"), "{}", found[1].reason);
}

#[test]
fn what_has_not_come_far_enough_predicts_nothing() {
    let mut server = Server::new();
    server.sensors(vec![number("psu/1", SensorKind::Power, 200.0)]);
    server.window.wears(vec![sign("psu/1", SignClass::Psu, Measure::Efficiency, -0.008, 0.9)]);
    assert_eq!(server.rules(), Vec::<String>::new());
}
