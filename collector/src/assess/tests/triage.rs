//! What kind of trouble tickets are told to be.

use super::storms::{Dice, SERVERS, bmc, rack};
use super::*;
use crate::compat::Compatibility;
use outband_schemas::{Confidence, TriageClass};
use outband_ticket::Ticket;
use std::sync::Arc;

fn kind(ticket: &Ticket) -> (TriageClass, Confidence) {
    let triage = ticket.triage.as_ref().unwrap_or_else(|| panic!("{}: nothing is said of its kind", ticket.title));
    assert!(!triage.because.is_empty(), "{triage:?}");
    (triage.class, triage.confidence)
}

impl Room {
    /// One poll of `of` servers' inlets, those of `hot` too hot.
    fn inlets(&mut self, of: usize, hot: impl Fn(usize) -> bool) {
        self.later();
        for i in 0..of {
            let at = self.now;
            let celsius = if hot(i) { 60.0 } else { 24.0 };
            let mut inlet = number("chassis/inlet", SensorKind::Temperature, celsius, at);
            if let Observation::Reading(reading) = &mut inlet {
                reading.thresholds = Some(Thresholds {
                    upper_non_critical: Some(40.0),
                    upper_critical: Some(45.0),
                    ..Thresholds::default()
                });
            }
            self.send_of(at, Section::Sensors, &bmc(i), vec![inlet]);
        }
    }
}

#[test]
fn rack_mates_that_are_hot_together_are_the_rooms_and_one_hot_box_is_its_own() {
    let mut together = rack(10);
    for _ in 0..14 {
        together.inlets(10, |_| true);
    }
    assert_eq!(kind(&together.only_ticket().ticket), (TriageClass::EnvironmentCooling, Confidence::Strong));
    let mut alone = rack(10);
    for _ in 0..14 {
        alone.inlets(10, |i| i == 3);
    }
    assert_eq!(kind(&alone.only_ticket().ticket).0, TriageClass::Hardware);
}

#[test]
fn a_ticket_is_told_another_kind_when_its_neighbours_show_the_same_and_keeps_it() {
    let mut room = rack(10);
    // Nobody waits for a common cause: the first has its ticket before the others are hot.
    room.terms.folding.hold_secs = 0;
    for _ in 0..4 {
        room.inlets(10, |i| i == 3);
    }
    let number = room.only_ticket().ticket.number;
    assert_eq!(kind(&room.only_ticket().ticket).0, TriageClass::Hardware);
    for _ in 0..6 {
        room.inlets(10, |_| true);
    }
    let of = |room: &Room| room.store.ticket(number).unwrap().unwrap();
    assert_eq!(kind(&of(&room).ticket), (TriageClass::EnvironmentCooling, Confidence::Strong));
    room.restart();
    for _ in 0..6 {
        room.inlets(10, |i| i == 3);
    }
    let record = of(&room);
    assert_eq!(kind(&record.ticket).0, TriageClass::EnvironmentCooling, "what was seen to be so is not taken back");
    let told = |entry: &outband_ticket::Transition| match &entry.action {
        Action::Triage { triage } => Some((triage.class, triage.confidence)),
        _ => None,
    };
    let told: Vec<_> = record.log.iter().filter_map(told).collect();
    assert!((2..=3).contains(&told.len()) && told.windows(2).all(|w| w[0] != w[1]), "{told:?}");
}

#[test]
fn a_lost_feed_is_the_rooms_power_and_a_lost_cord_is_not() {
    let mut dice = Dice(3);
    let mut room = rack(SERVERS);
    room.rounds(14, &mut dice, |_, _| (false, true));
    assert_eq!(kind(&room.only_ticket().ticket), (TriageClass::EnvironmentPower, Confidence::Strong));
    let mut room = rack(SERVERS);
    room.rounds(14, &mut dice, |_, i| (i != 5, true));
    assert_eq!(kind(&room.only_ticket().ticket), (TriageClass::Hardware, Confidence::Likely));
}

#[test]
fn what_many_servers_show_after_one_update_is_the_firmwares() {
    let mut room = super::storms::updated(6, true);
    for _ in 0..14 {
        room.fans(6, |i| i >= 4);
    }
    let wave = room.open("firmware_wave").remove(0).ticket;
    assert_eq!(kind(&wave), (TriageClass::FirmwareConfiguration, Confidence::Strong));
    let mut room = super::storms::updated(6, false);
    for _ in 0..14 {
        room.fans(6, |i| i >= 4);
    }
    for record in room.open("fan_failure") {
        assert_eq!(kind(&record.ticket).0, TriageClass::Hardware, "{}", record.ticket.title);
    }
}

#[test]
fn one_silent_bmc_is_its_own_and_a_silent_site_is_the_networks() {
    for (silent, class) in [(1, TriageClass::Hardware), (10, TriageClass::Network)] {
        let mut room = rack(10);
        for _ in 0..30 {
            room.later();
            for i in 0..10 {
                let at = room.now;
                if i < silent {
                    room.send_of(at, Section::Sensors, &bmc(i), vec![silence(&bmc(i), at)]);
                } else {
                    let body = room.psu_body(i, true);
                    room.send_body(Lane::Telemetry, body);
                }
            }
        }
        assert_eq!(kind(&room.only_ticket().ticket).0, class, "{silent} silent");
    }
}

#[test]
fn a_drive_that_the_bmc_or_the_list_does_not_know_is_a_trouble_of_compatibility() {
    let mut room = Room::new();
    let unwell = |room: &mut Room, text: &str| {
        for _ in 0..4 {
            room.later();
            let value = Value::State { state: Condition::Warning, text: text.to_owned() };
            let at = room.now;
            room.send(Section::Drives, vec![reading("disk/Bay 1", SensorKind::State, value, at)]);
        }
    };
    unwell(&mut room, "Unqualified drive detected");
    assert_eq!(kind(&room.only_ticket().ticket), (TriageClass::Compatibility, Confidence::Strong));

    let mut room = Room::new();
    let csv = "component,part_model,firmware,server_model,verdict\ndisk,ST8000,SN05,,qualified\n";
    room.terms.compatibility = Arc::new(Compatibility::parse(csv).unwrap());
    room.later();
    let Observation::Inventory(mut held) = inventory("SN1", Some(("disk/Bay 1", "D1")), room.now) else {
        unreachable!()
    };
    (held.parts[0].model, held.parts[0].firmware) = (Some("ST8000".to_owned()), Some("SN01".to_owned()));
    room.send(Section::Inventory, vec![Observation::Inventory(held)]);
    for sectors in 0..5 {
        room.later();
        room.disk(f64::from(sectors) * 8.0);
    }
    let ticket = room.only_ticket().ticket;
    assert!(ticket.predicted, "{}", ticket.title);
    let triage = ticket.triage.unwrap();
    assert_eq!(triage.class, TriageClass::Compatibility);
    assert!(triage.because[0].contains("SN05"), "{triage:?}");
}
