//! What is packed between two looks at it says what is never packed says: all rules, slow wear and outlooks, over days of seeded servers that go wrong.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

#[path = "../../benches/load/site.rs"]
#[allow(dead_code, reason = "the load's bench uses all of it")]
mod site;

use outband_health::drift::{Drift, RackMode};
use outband_health::outlook::Course;
use outband_health::rule::{all, evaluate};
use outband_health::window::Origin;
use outband_health::{Names, RuleConfig, Window};
use outband_schemas::{
    AgentId, Cause, ComponentClass, EventKind, Gap, LogEvent, Observation, ObservationSet, Quality, Reading, Section,
    SensorKind, Severity, Source, State, TargetId, Timestamp, Value,
};
use site::Site;
use std::time::Duration;

const START: i64 = 1_800_000_000_000;
/// Minutes from one poll to the next, and days.
const EVERY: i64 = 10;
const DAYS: i64 = 3;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn one_in(&mut self, many: u64) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).is_multiple_of(many)
    }
}

/// What goes wrong with a poll: parts wear and fail for good, single readings are wild, missing or doubted, BMCs do not answer and write logs.
fn spoil(set: &mut ObservationSet, dice: &mut Dice, minute: i64) {
    let worn = 1.0 - 0.3 * (minute as f64 / (DAYS * 1440) as f64);
    let mut events = Vec::new();
    for observation in &mut set.observations {
        let Observation::Reading(r) = observation else { continue };
        let second = r.component.slot().ends_with('2') || r.component.slot().ends_with("2A");
        match &mut r.value {
            Some(Value::Number(n)) if r.kind == SensorKind::FanSpeed && second => {
                *n = (*n * worn / 60.0).round() * 60.0
            }
            Some(Value::Number(n)) if r.kind == SensorKind::Temperature && second => *n += minute as f64 / 90.0,
            Some(Value::Number(n)) if r.kind == SensorKind::CorrectableErrors && second => *n = (minute / 40) as f64,
            Some(Value::Number(n)) if dice.one_in(400) => *n *= 3.7,
            Some(Value::State { state, text }) if dice.one_in(900) => {
                (*state, *text) = (State::Critical, "Enabled, Critical".to_owned());
            }
            _ => {}
        }
        if dice.one_in(300) {
            (r.value, r.quality) = (None, Quality::Unavailable(Cause::NoReading));
        }
        if dice.one_in(3000) {
            events.push(event(r));
        }
    }
    set.observations.extend(events);
    if dice.one_in(40) {
        let gap = Gap {
            component: None,
            cause: Cause::Timeout,
            detail: "no answer".to_owned(),
            source: Source("/redfish/v1".to_owned()),
            span: None,
            observed_at: set.polled_at,
        };
        set.observations = vec![Observation::Gap(gap)];
    }
}

fn event(of: &Reading) -> Observation {
    let kinds = EventKind::ALL;
    let number = usize::try_from(of.observed_at.as_millis() / 60_000).unwrap();
    Observation::Event(LogEvent {
        component: of.component.clone(),
        log: "sel".to_owned(),
        id: number.to_string(),
        kind: kinds[number % kinds.len()],
        severity: Severity::Warning,
        deasserted: number.is_multiple_of(3),
        message: "something happened".to_owned(),
        code: String::new(),
        bmc_time: None,
        observed_at: of.observed_at,
        source: Source("sel:1".to_owned()),
        raw: number.to_string(),
    })
}

#[derive(Default)]
struct Known {
    window: Window,
    drift: Drift,
    course: Course,
}

impl Known {
    fn take(&mut self, origin: &Origin, set: &ObservationSet, config: &RuleConfig) {
        for observation in &set.observations {
            let Observation::Reading(r) = observation else { continue };
            if let (Some(value), Quality::Good) = (r.value.as_ref().and_then(Value::as_number), &r.quality) {
                self.drift.take(&r.component, r.kind, &r.sensor, value, r.observed_at);
                self.course.take(&r.component, r.kind, &r.sensor, value, r.observed_at);
            }
        }
        self.window.observe(origin, set, set.polled_at, &[], config);
    }

    fn rest(&mut self, names: &Names) {
        self.window.rest();
        self.drift.rest(names);
        self.course.rest(names);
    }
}

#[test]
fn what_is_packed_finds_what_is_never_packed_finds() {
    let (site, config, names) = (Site::new(5).unwrap(), RuleConfig::default(), Names::default());
    let rules = all(&config);
    let (mut found, mut kinds) = (0, std::collections::BTreeSet::new());
    for server in 0..3 {
        let mut dice = Dice(server as u64);
        let origin =
            Origin { agent: AgentId::new("agent-000").unwrap(), target: TargetId::new(site::target(server)).unwrap() };
        let (mut open, mut packed) = (Known::default(), Known { window: Window::sharing(&names), ..Known::default() });
        for minute in (0..DAYS * 1440).step_by(usize::try_from(EVERY).unwrap()) {
            let at = Timestamp::from_millis(START + minute * 60_000);
            let mut sets = vec![site.sensors(server, at).unwrap()];
            if minute % 60 == 0 {
                sets.push(site.drives(server, at).unwrap());
            }
            if minute % 720 == 0 {
                sets.push(site.inventory(server, at).unwrap());
            }
            for mut set in sets {
                if set.section != Section::Inventory {
                    spoil(&mut set, &mut dice, minute);
                }
                open.take(&origin, &set, &config);
                packed.take(&origin, &set, &config);
                packed.rest(&names);
            }
            let now = at.plus(Duration::from_secs(5));
            let findings = evaluate(&rules, &packed.window, now);
            assert_eq!(findings, evaluate(&rules, &open.window, now), "server {server}, minute {minute}");
            found += findings.len();
            kinds.extend(findings.iter().map(|f| f.rule.to_string()));
            for (component, place) in open.window.places() {
                let other = packed.window.place(component).unwrap();
                assert_eq!(other, place, "{component}");
                assert_eq!(other.series().count(), place.series().count());
            }
            packed.rest(&names);
        }
        assert!(open.window.of_class(ComponentClass::Fan).count() == 8);
        let mode = RackMode::of([&open.drift].into_iter());
        assert_eq!(RackMode::of([&packed.drift].into_iter()), mode);
        assert_eq!(packed.drift, open.drift);
        assert_eq!(packed.drift.signs(&mode), open.drift.signs(&mode));
        assert_eq!(packed.course, open.course);
        assert_eq!(packed.course.outlooks(&[]), open.course.outlooks(&[]));
    }
    assert!(found > 500 && kinds.len() >= 5, "{found} findings of {kinds:?}");
}
