//! What a window remembers, whatever comes.

use super::*;
use outband_schemas::{AgentId, Quality, Source, TargetId, Value};
use proptest::prelude::*;

fn origin() -> Origin {
    Origin { agent: AgentId::new("a1").unwrap(), target: TargetId::new("bmc1").unwrap() }
}

fn reading(kind: SensorKind, value: f64, at: Timestamp) -> Reading {
    Reading {
        component: "disk/1".parse().unwrap(),
        kind,
        sensor: "x".to_owned(),
        value: Some(Value::Number(value)),
        quality: Quality::Good,
        observed_at: at,
        source: Source("ipmi:20.0.1".to_owned()),
        thresholds: None,
    }
}

fn counter(window: &Window) -> &Counter {
    let place = window.place(&"disk/1".parse().unwrap()).unwrap();
    match place.of_kind(SensorKind::MediaErrors).next().map(|(_, s)| &s.track) {
        Some(Track::Counter(counter)) => counter,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn a_window_is_bounded_and_never_fails_whatever_is_read(
        values in prop::collection::vec((0.0_f64..1e6, -5000_i64..5000), 1..300),
    ) {
        let mut window = Window::default();
        let mut now = 1_800_000_000_000_i64;
        for (value, step) in values {
            now += step;
            let at = Timestamp::from_millis(now);
            let set = ObservationSet {
                target: origin().target,
                section: Section::Drives,
                polled_at: at,
                observations: vec![
                    Observation::Reading(reading(SensorKind::MediaErrors, value.floor(), at)),
                    Observation::Reading(reading(SensorKind::Temperature, value, at)),
                ],
            };
            window.observe(&origin(), &set, at, &[], &RuleConfig::default());
        }
        let place = window.place(&"disk/1".parse().unwrap()).unwrap();
        for (_, series) in place.series() {
            match &series.track {
                Track::Counter(c) => prop_assert!(c.steps().count() <= 32),
                Track::Gauge(g) => prop_assert!(g.samples().len() <= 16),
                Track::Switch(_) | Track::Text => {}
            }
        }
        let times: Vec<Timestamp> = counter(&window).steps().map(|s| s.at).collect();
        prop_assert!(times.is_sorted());
        prop_assert!(counter(&window).steps().all(|s| s.to > s.from));
    }

    #[test]
    fn a_counter_that_only_grows_is_known_exactly(increments in prop::collection::vec(0_u32..4, 1..30)) {
        let mut window = Window::default();
        let mut total = 0.0;
        for (n, by) in increments.iter().enumerate() {
            total += f64::from(*by);
            let at = Timestamp::from_secs(1000 + i64::try_from(n).unwrap());
            window.replay(&[reading(SensorKind::MediaErrors, total, at)], &RuleConfig::default());
        }
        prop_assert_eq!(counter(&window).value(), Some(total));
        let rises = increments.iter().skip(1).filter(|by| **by > 0).count();
        prop_assert_eq!(counter(&window).steps().count(), rises);
    }
}

#[test]
fn nothing_is_observed_after_it_came() {
    let mut window = Window::default();
    let came = Timestamp::from_secs(1000);
    let ahead = Timestamp::from_secs(9000);
    let set = ObservationSet {
        target: origin().target,
        section: Section::Drives,
        polled_at: ahead,
        observations: vec![Observation::Reading(reading(SensorKind::MediaErrors, 0.0, ahead))],
    };
    window.observe(&origin(), &set, came, &[], &RuleConfig::default());
    assert_eq!(window.newest(), Some(came));
    assert_eq!(window.place(&"disk/1".parse().unwrap()).unwrap().newest(), Some(came));
}

#[test]
fn what_could_show_a_fault_vouches_only_as_far_as_the_oldest_of_it_was_read() {
    let mut window = Window::default();
    let (early, late) = (Timestamp::from_secs(1000), Timestamp::from_secs(2000));
    window.replay(&[reading(SensorKind::FailurePredicted, 0.0, early)], &RuleConfig::default());
    window.replay(&[reading(SensorKind::MediaErrors, 0.0, late)], &RuleConfig::default());
    assert_eq!(window.vouched(&"disk/1".parse().unwrap(), Fault::DiskFailure), Some(early));
}
