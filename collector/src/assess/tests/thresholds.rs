//! Thresholds that are other for some servers.

use super::*;
use outband_store::maintenance::Selector;
use outband_store::threshold::{Threshold, ThresholdChange, Thresholds};

impl Room {
    fn set(&self, selector: Selector, parameter: &str, value: f64, lasts_secs: u64) -> Threshold {
        let threshold = Threshold {
            id: 0,
            selector,
            parameter: parameter.to_owned(),
            value,
            reason: "this firmware counts twice".to_owned(),
            author: "ann".to_owned(),
            created_at: self.now,
            until: self.now.plus(Duration::from_secs(lasts_secs)),
            ended_at: None,
            revision: 0,
        };
        self.keep("create", threshold)
    }

    fn keep(&self, what: &str, threshold: Threshold) -> Threshold {
        let change = ThresholdChange { at: self.now, who: "ann".to_owned(), what: what.to_owned(), threshold };
        self.store.put_threshold(&change, None).unwrap()
    }

    /// `n` further increases of the drive's counter.
    fn grow(&mut self, from: u32, n: u32) {
        for i in from..from + n {
            self.later();
            self.disk(f64::from(i) * 8.0);
        }
    }
}

fn component(text: &str) -> Selector {
    Selector { component: Some(text.to_owned()), ..Selector::default() }
}

#[test]
fn a_higher_threshold_holds_a_ticket_back_only_where_it_is_for_and_only_as_long_as_it_lasts() {
    for (selector, held) in [
        (component("disk"), true),
        (component("disk/Bay 1"), true),
        (component("disk/Bay 2"), false),
        (component("fan"), false),
        (Selector { site: Some("dc1".to_owned()), ..Selector::default() }, true),
        (Selector { site: Some("dc2".to_owned()), ..Selector::default() }, false),
        (Selector { model: Some("R750".to_owned()), ..Selector::default() }, false),
    ] {
        let mut room = Room::new();
        room.set(selector.clone(), "disk.increases", 50.0, 600);
        growing(&mut room, 5);
        assert_eq!(room.tickets().is_empty(), held, "{selector:?}");
        room.wait(601);
        room.disk(40.0);
        assert_eq!(room.tickets().len(), 1, "{selector:?}: its time is over");
    }
}

#[test]
fn a_threshold_that_is_ended_counts_no_more() {
    let mut room = Room::new();
    let set = room.set(component("disk"), "disk.increases", 50.0, 86_400);
    growing(&mut room, 5);
    assert_eq!(room.tickets().len(), 0);
    room.keep("end", Threshold { ended_at: Some(room.now), revision: set.revision + 1, ..set });
    room.grow(6, 1);
    assert_eq!(room.tickets().len(), 1);
}

#[test]
fn finding_and_ticket_say_that_another_threshold_was_in_force_and_whose() {
    let mut room = Room::new();
    room.set(component("disk"), "disk.increases", 1.0, 86_400);
    growing(&mut room, 1);
    let record = room.only_ticket();
    let ticket = record.ticket;
    assert!(ticket.reason.contains("threshold 1: disk.increases is 1 instead of 3"), "{}", ticket.reason);
    assert!(ticket.evidence.iter().any(|e| e.text.contains("by ann until")), "{:?}", ticket.evidence);
    let entry = record.log.iter().find(|e| matches!(e.action, Action::Override { .. })).unwrap();
    assert_eq!((entry.who.as_str(), entry.why.as_str()), ("ann", "this firmware counts twice"));
    assert_eq!(ticket.overrides.len(), 1);
}

#[test]
fn a_threshold_that_had_no_part_in_it_is_not_named() {
    let mut room = Room::new();
    room.set(component("disk"), "disk.life_warning", 50.0, 86_400);
    growing(&mut room, 5);
    let ticket = room.only_ticket().ticket;
    assert!(!ticket.reason.contains("threshold") && ticket.overrides.is_empty(), "{}", ticket.reason);
}

#[test]
fn a_limit_of_a_temperature_may_be_set_in_the_place_of_the_bmcs() {
    let mut room = Room::new();
    let hot = |room: &mut Room| {
        for _ in 0..4 {
            let at = room.later();
            let mut air = number("cpu/1", SensorKind::Temperature, 88.0, at);
            if let Observation::Reading(reading) = &mut air {
                reading.thresholds = Some(outband_schemas::Thresholds {
                    upper_critical: Some(85.0),
                    ..outband_schemas::Thresholds::default()
                });
            }
            room.send(Section::Sensors, vec![air]);
        }
    };
    room.set(component("cpu/1"), "limit.temperature_critical", 92.0, 3600);
    hot(&mut room);
    assert_eq!(room.tickets().len(), 0);
    room.set(component("cpu/1"), "limit.temperature_critical", 87.0, 3600);
    hot(&mut room);
    let ticket = room.only_ticket().ticket;
    assert!(ticket.reason.contains("over its critical limit of 87 Cel"), "{}", ticket.reason);
}
