//! Each rule fires on a fault that develops, and stays quiet on what only looks like one.

mod disk;
mod fan;
mod heat;
mod log;
mod power;
mod silence;
mod wear;

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
