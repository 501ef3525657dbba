//! Each rule fires on a fault that develops, and stays quiet on what only looks like one.

use super::*;
use crate::window::{Hosted, Origin};
use crate::{Fault, Level};
use outband_schemas::{
    AgentId, Cause, ComponentId, EventKind, Gap, Inventory, LogEvent, Observation, ObservationSet, Part, Reading,
    Section, SensorKind, Severity, Source, State, TargetId, Thresholds, Timestamp, Value,
};
use std::time::Duration;

/// A server that is polled every minute.
struct Server {
    window: Window,
    config: RuleConfig,
    now: Timestamp,
    /// How far the agent's clock is off, in seconds.
    skew: i64,
}

fn origin() -> Origin {
    Origin { agent: AgentId::new("a1").unwrap(), target: TargetId::new("bmc1").unwrap() }
}

impl Server {
    fn new() -> Self {
        Self {
            window: Window::default(),
            config: RuleConfig::default(),
            now: Timestamp::from_secs(1_800_000_000),
            skew: 0,
        }
    }

    fn minute(&mut self) {
        self.now = self.now.plus(Duration::from_secs(60));
    }

    fn agent_time(&self) -> Timestamp {
        Timestamp::from_millis(self.now.as_millis() + self.skew * 1000)
    }

    fn poll(&mut self, section: Section, observations: Vec<Observation>) {
        self.minute();
        let polled_at = self.agent_time();
        let observations = observations.into_iter().map(|o| stamp(o, polled_at)).collect();
        let set = ObservationSet { target: origin().target, section, polled_at, observations };
        self.window.observe(&origin(), &set, self.now, &[], &self.config);
    }

    fn sensors(&mut self, observations: Vec<Observation>) {
        self.poll(Section::Sensors, observations);
    }

    fn drives(&mut self, observations: Vec<Observation>) {
        self.poll(Section::Drives, observations);
    }

    fn log(&mut self, observations: Vec<Observation>) {
        self.poll(Section::Log, observations);
    }

    fn fans(&mut self, rpm: &[f64]) {
        let fan = |(i, rpm): (usize, &f64)| number(&format!("fan/{i}"), SensorKind::FanSpeed, *rpm);
        self.sensors(rpm.iter().enumerate().map(fan).collect());
    }

    fn found(&self) -> Vec<Finding> {
        evaluate(&all(&self.config), &self.window, self.now)
    }

    fn rules(&self) -> Vec<String> {
        self.found().iter().map(|f| f.rule.to_string()).collect()
    }

    fn only(&self) -> Finding {
        let mut found = self.found();
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }

    fn quiet(&self) {
        assert_eq!(self.found(), [], "nothing is wrong");
    }
}

fn stamp(observation: Observation, at: Timestamp) -> Observation {
    match observation {
        Observation::Reading(r) => Observation::Reading(Reading { observed_at: at, ..r }),
        Observation::Event(e) => Observation::Event(LogEvent { observed_at: at, ..e }),
        Observation::Inventory(i) => Observation::Inventory(Inventory { observed_at: at, ..i }),
        Observation::Gap(g) => Observation::Gap(Gap { observed_at: at, ..g }),
    }
}

fn component(name: &str) -> ComponentId {
    name.parse().unwrap()
}

fn reading(place: &str, kind: SensorKind, value: Option<Value>, quality: Quality) -> Observation {
    Observation::Reading(Reading {
        component: component(place),
        kind,
        sensor: place.to_owned(),
        value,
        quality,
        observed_at: Timestamp::EPOCH,
        source: Source("ipmi:20.0.1".to_owned()),
        thresholds: None,
    })
}

fn number(place: &str, kind: SensorKind, value: f64) -> Observation {
    reading(place, kind, Some(Value::Number(value)), Quality::Good)
}

fn limited(place: &str, kind: SensorKind, value: f64, thresholds: Thresholds) -> Observation {
    match number(place, kind, value) {
        Observation::Reading(r) => Observation::Reading(Reading { thresholds: Some(thresholds), ..r }),
        other => other,
    }
}

fn state(place: &str, state: State, text: &str) -> Observation {
    reading(place, SensorKind::State, Some(Value::State { state, text: text.to_owned() }), Quality::Good)
}

fn event(place: &str, kind: EventKind, severity: Severity, n: usize) -> Observation {
    Observation::Event(LogEvent {
        component: component(place),
        log: "sel".to_owned(),
        id: n.to_string(),
        kind,
        severity,
        deasserted: false,
        message: format!("{} {n}", kind.as_str()),
        code: String::new(),
        bmc_time: None,
        observed_at: Timestamp::EPOCH,
        source: Source::default(),
        raw: n.to_string(),
    })
}

fn ended(observation: Observation) -> Observation {
    match observation {
        Observation::Event(e) => Observation::Event(LogEvent { deasserted: true, ..e }),
        other => other,
    }
}

fn part(place: &str, serial: &str) -> Observation {
    let part = Part {
        component: component(place),
        manufacturer: None,
        model: None,
        part_number: None,
        serial: Some(serial.to_owned()),
        firmware: None,
        capacity_bytes: None,
        source: Source::default(),
    };
    Observation::Inventory(Inventory {
        identity: outband_schemas::Identity::default(),
        parts: vec![part],
        bmc_clock_offset_ms: None,
        observed_at: Timestamp::EPOCH,
        source: Source::default(),
    })
}

fn gap(cause: Cause) -> Observation {
    Observation::Gap(Gap {
        component: Some(component("bmc/bmc1")),
        cause,
        detail: String::new(),
        observed_at: Timestamp::EPOCH,
        source: Source::default(),
        span: None,
    })
}

fn counter(server: &mut Server, kind: SensorKind, values: &[f64]) {
    for value in values {
        server.drives(vec![number("disk/1", kind, *value)]);
    }
}

mod disk {
    use super::*;

    #[test]
    fn counters_that_keep_growing_predict_a_failure() {
        let mut server = Server::new();
        counter(&mut server, SensorKind::ReallocatedSectors, &[0.0, 0.0, 8.0, 8.0, 24.0, 40.0]);
        let found = server.only();
        assert_eq!(
            (found.rule.as_str(), found.fault, found.predicted),
            ("disk.smart_growth", Fault::DiskFailure, true)
        );
        assert!(found.reason.contains("reallocated_sectors 0 -> 40 in 3 increases"), "{}", found.reason);
        assert_eq!(found.evidence.len(), 3);
        assert_eq!(found.onset, server.now.minus(Duration::from_secs(180)));
    }

    #[test]
    fn one_jump_however_great_predicts_nothing() {
        let mut server = Server::new();
        counter(&mut server, SensorKind::ReallocatedSectors, &[0.0, 900.0, 900.0, 900.0]);
        server.quiet();
    }

    #[test]
    fn a_counter_that_was_high_when_first_seen_predicts_nothing() {
        let mut server = Server::new();
        counter(&mut server, SensorKind::ReportedUncorrectable, &[5000.0; 9]);
        server.quiet();
    }

    #[test]
    fn a_counter_reset_is_no_growth() {
        let mut server = Server::new();
        counter(&mut server, SensorKind::MediaErrors, &[7.0, 8.0, 0.0, 0.0, 1.0, 1.0]);
        server.quiet();
    }

    #[test]
    fn bad_single_reads_are_no_growth() {
        let mut server = Server::new();
        counter(&mut server, SensorKind::MediaErrors, &[2.0, 65535.0, 2.0, 2.0, 65535.0, 2.0, 0.0, 2.0, 65535.0, 2.0]);
        server.quiet();
    }

    #[test]
    fn two_counters_of_one_event_count_once() {
        let mut server = Server::new();
        for n in [0.0, 1.0, 2.0] {
            server.drives(vec![
                number("disk/1", SensorKind::ReallocatedSectors, n),
                number("disk/1", SensorKind::ReallocationEvents, n),
                number("disk/1", SensorKind::PendingSectors, n),
            ]);
        }
        server.quiet();
    }

    #[test]
    fn cable_errors_predict_no_drive_failure() {
        let mut server = Server::new();
        counter(&mut server, SensorKind::CrcErrors, &[0.0, 5.0, 9.0, 15.0, 40.0]);
        server.quiet();
    }

    #[test]
    fn growth_is_of_the_part_and_ends_with_it() {
        let mut server = Server::new();
        server.poll(Section::Inventory, vec![part("disk/1", "OLD")]);
        counter(&mut server, SensorKind::ReallocatedSectors, &[0.0, 8.0, 16.0, 24.0]);
        assert_eq!(server.only().part_serial.as_deref(), Some("OLD"));
        server.poll(Section::Inventory, vec![part("disk/1", "NEW")]);
        counter(&mut server, SensorKind::ReallocatedSectors, &[30.0, 30.0]);
        server.quiet();
    }

    #[test]
    fn a_bad_read_amid_true_growth_hides_nothing() {
        for values in [[0.0, 1.0, 500.0, 1.0, 2.0, 3.0], [5.0, 6.0, 0.0, 7.0, 8.0, 8.0]] {
            let mut server = Server::new();
            counter(&mut server, SensorKind::MediaErrors, &values);
            assert!(server.only().reason.contains("in 3 increases"), "{}", server.only().reason);
        }
    }

    #[test]
    fn growth_long_ago_is_forgotten() {
        let mut server = Server::new();
        server.config.disk.memory_polls = 20;
        counter(&mut server, SensorKind::ReallocatedSectors, &[0.0, 8.0, 16.0, 24.0]);
        counter(&mut server, SensorKind::ReallocatedSectors, &[24.0; 30]);
        server.quiet();
    }

    #[test]
    fn a_drive_that_predicts_its_own_failure_is_believed_at_the_second_poll() {
        let mut server = Server::new();
        counter(&mut server, SensorKind::FailurePredicted, &[0.0, 1.0]);
        server.quiet();
        counter(&mut server, SensorKind::FailurePredicted, &[1.0]);
        assert!(server.only().predicted);
    }

    #[test]
    fn an_nvme_that_is_merely_hot_is_not_failing_and_one_that_is_read_only_has() {
        let mut server = Server::new();
        counter(&mut server, SensorKind::CriticalWarning, &[2.0, 2.0]);
        server.quiet();
        counter(&mut server, SensorKind::CriticalWarning, &[8.0, 8.0]);
        assert_eq!((server.only().predicted, server.only().level), (false, Level::Critical));
    }

    #[test]
    fn life_left_is_advice_at_ten_percent_and_a_prediction_at_three() {
        let mut server = Server::new();
        counter(&mut server, SensorKind::LifeLeft, &[11.0; 3]);
        server.quiet();
        counter(&mut server, SensorKind::LifeLeft, &[9.0; 3]);
        assert_eq!((server.only().fault, server.only().level), (Fault::DiskWear, Level::Advice));
        counter(&mut server, SensorKind::LifeLeft, &[3.0; 3]);
        assert!(server.only().predicted);
    }

    #[test]
    fn a_failed_state_is_a_failure_and_an_empty_bay_is_none() {
        let mut server = Server::new();
        server.drives(vec![state("disk/1", State::Critical, "Drive Fault")]);
        assert_eq!((server.only().fault, server.only().confirm), (Fault::DiskFailure, 2));
        server.drives(vec![state("disk/1", State::Absent, "")]);
        server.quiet();
    }

    #[test]
    fn a_log_entry_that_the_drive_will_fail_holds_until_it_is_taken_back() {
        let mut server = Server::new();
        server.log(vec![]);
        let said = || event("disk/1", EventKind::DrivePredictedFailure, Severity::Warning, 1);
        server.log(vec![said()]);
        assert!(server.only().predicted);
        server.log(vec![ended(said())]);
        server.quiet();
    }
}

mod fan {
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
            server
                .sensors(vec![number("fan/1", SensorKind::FanSpeed, rpm), number("fan/1", SensorKind::FanDuty, 40.0)]);
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
                server.sensors(vec![
                    number("fan/1", SensorKind::FanSpeed, rpm),
                    number("fan/1", SensorKind::FanDuty, duty),
                ]);
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
}

mod power {
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
}

mod heat {
    use super::*;

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
}

mod log {
    use super::*;

    #[test]
    fn a_burst_of_corrected_errors_predicts_and_an_uncorrected_one_has_happened() {
        let mut server = Server::new();
        server.log(vec![]);
        for n in 0..9 {
            server.log(vec![event("memory/A1", EventKind::MemoryCorrectable, Severity::Warning, n)]);
        }
        server.quiet();
        server.log(vec![event("memory/A1", EventKind::MemoryCorrectable, Severity::Warning, 9)]);
        assert!(server.only().predicted);
        server.log(vec![event("memory/A2", EventKind::MemoryUncorrectable, Severity::Critical, 10)]);
        assert!(server.found().iter().any(|f| !f.predicted && f.component.slot() == "A2"));
    }

    #[test]
    fn corrected_errors_spread_over_weeks_are_no_burst() {
        let mut server = Server::new();
        server.log(vec![]);
        for n in 0..30 {
            server.now = server.now.plus(Duration::from_secs(86_400 / 2));
            server.log(vec![event("memory/A1", EventKind::MemoryCorrectable, Severity::Warning, n)]);
        }
        server.quiet();
    }

    #[test]
    fn the_same_entry_again_and_again_is_advice_and_reboots_are_not() {
        let mut server = Server::new();
        server.log(vec![]);
        for n in 0..30 {
            server.log(vec![
                event("board/main", EventKind::Other, Severity::Warning, n),
                event("server/main", EventKind::PowerChange, Severity::Ok, 1000 + n),
            ]);
        }
        assert_eq!((server.only().rule.as_str(), server.only().level), ("log.burst", Level::Advice));
    }

    #[test]
    fn lost_redundancy_that_a_part_explains_is_that_parts_ticket() {
        let mut server = Server::new();
        server.log(vec![]);
        server.log(vec![
            event("server/PS Redundancy", EventKind::RedundancyLost, Severity::Critical, 1),
            event("psu/2", EventKind::PowerSupplyInputLost, Severity::Critical, 2),
        ]);
        assert_eq!(server.only().fault, Fault::PowerInputLost);
        server.drives(vec![state("volume/1", State::Warning, "Degraded"), state("disk/4", State::Critical, "Failed")]);
        assert_eq!(server.found().iter().filter(|f| f.fault == Fault::RedundancyLost).count(), 0);
    }

    #[test]
    fn a_degraded_volume_without_a_failed_drive_has_lost_its_redundancy() {
        let mut server = Server::new();
        server.drives(vec![state("volume/1", State::Warning, "Degraded")]);
        assert_eq!((server.only().fault, server.only().confirm), (Fault::RedundancyLost, 3));
    }

    #[test]
    fn lost_redundancy_is_found_and_its_return_ends_it() {
        let mut server = Server::new();
        server.log(vec![]);
        let lost = || event("server/power", EventKind::RedundancyLost, Severity::Critical, 1);
        server.log(vec![lost()]);
        assert_eq!(server.only().fault, Fault::RedundancyLost);
        server.log(vec![ended(lost())]);
        server.quiet();
    }
}

mod silence {
    use super::*;

    #[test]
    fn a_bmc_that_does_not_answer_is_found_with_its_reason() {
        let mut server = Server::new();
        server.sensors(vec![number("fan/1", SensorKind::FanSpeed, 9000.0)]);
        for _ in 0..4 {
            server.sensors(vec![gap(Cause::Timeout)]);
        }
        server.quiet();
        server.sensors(vec![gap(Cause::Timeout)]);
        let found = server.only();
        assert_eq!((found.fault, found.component.to_string().as_str()), (Fault::BmcSilent, "bmc/bmc1"));
        assert!(found.reason.contains("timeout"), "{}", found.reason);
    }

    #[test]
    fn a_bmc_that_reboots_is_not_silent() {
        let mut server = Server::new();
        for _ in 0..5 {
            server.sensors(vec![number("fan/1", SensorKind::FanSpeed, 9000.0)]);
            for _ in 0..3 {
                server.sensors(vec![gap(Cause::Unreachable)]);
            }
        }
        server.quiet();
    }

    #[test]
    fn a_bmc_whose_log_still_answers_is_not_silent() {
        let mut server = Server::new();
        for _ in 0..9 {
            server.sensors(vec![gap(Cause::BmcError)]);
            server.log(vec![]);
        }
        server.quiet();
    }

    #[test]
    fn a_target_that_its_agent_no_longer_speaks_of_is_found() {
        let mut server = Server::new();
        for _ in 0..4 {
            server.sensors(vec![number("fan/1", SensorKind::FanSpeed, 9000.0)]);
        }
        server.window.agent_observed(&origin().agent, server.now.plus(Duration::from_secs(600)));
        server.quiet();
        server.now = server.now.plus(Duration::from_secs(600));
        assert!(server.only().reason.contains("stopped polling"));
    }

    #[test]
    fn an_agent_is_silent_after_five_of_its_intervals() {
        let mut server = Server::new();
        let heard_at = server.now;
        server.window.hosts(Hosted { agent: origin().agent, heard_at, interval: Duration::from_secs(60) });
        server.now = heard_at.plus(Duration::from_secs(300));
        server.quiet();
        server.now = heard_at.plus(Duration::from_secs(301));
        assert_eq!((server.only().fault, server.only().onset), (Fault::AgentSilent, heard_at));
    }
}

#[test]
fn every_rule_has_a_name_of_its_own() {
    let rules = all(&RuleConfig::default());
    let mut names: Vec<String> = rules.iter().map(|r| r.id().to_string()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), rules.len());
}

#[test]
fn a_window_that_was_replayed_from_history_finds_the_same() {
    let mut server = Server::new();
    let mut history = Vec::new();
    for n in 0..45_u32 {
        let loss = if n < 25 { 0.0 } else { 0.01 * f64::from(n - 24) };
        let speeds = [9000.0, 9000.0, 9000.0 * (1.0 - loss), 9000.0];
        let fans: Vec<Observation> =
            speeds.iter().enumerate().map(|(i, rpm)| number(&format!("fan/{i}"), SensorKind::FanSpeed, *rpm)).collect();
        let at = server.now.plus(Duration::from_secs(60));
        history.extend(fans.iter().cloned().map(|o| stamp(o, at)).filter_map(|o| match o {
            Observation::Reading(r) => Some(r),
            _ => None,
        }));
        server.sensors(fans);
    }
    let mut replayed = Window::default();
    replayed.replay(&history, &server.config);
    assert_eq!(evaluate(&all(&server.config), &replayed, server.now), server.found());
    assert_eq!(server.found().len(), 1);
}
