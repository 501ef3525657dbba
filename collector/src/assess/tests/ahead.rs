//! A start while history is ahead of the assessment.

use super::*;
use outband_store::chunk::Point;
use outband_store::drift::{Drifts, Wear};
use outband_store::head::Arrival;
use outband_store::putaway::PutAway;

/// The reallocated sectors of a drive, as they came at these moments.
fn drive(observed: &[(Timestamp, f64)]) -> Vec<Vec<u8>> {
    let one = |(at, n): &(Timestamp, f64)| number("disk/Bay 1", SensorKind::ReallocatedSectors, *n, *at);
    let set = |came: &(Timestamp, f64)| ObservationSet {
        target: TargetId::new("bmc1").unwrap(),
        section: Section::Drives,
        polled_at: came.0,
        observations: vec![one(came)],
    };
    observed.iter().map(|came| encode_set(&set(came))).collect()
}

/// Puts readings away as whoever overtakes the assessment does.
fn put_away(room: &Room, observed: &[(Timestamp, f64)]) {
    let server = room.store.servers(None, &Page::first(1)).unwrap().rows.remove(0).id;
    let of = |(at, n): &(Timestamp, f64)| match number("disk/Bay 1", SensorKind::ReallocatedSectors, *n, *at) {
        Observation::Reading(reading) => reading,
        other => panic!("{other:?}"),
    };
    let readings: Vec<Reading> = observed.iter().map(of).collect();
    let series = room.store.series_of(vec![(server, readings.clone())]).unwrap().remove(0);
    let arrivals = series.into_iter().zip(readings).map(|(series, r)| Arrival {
        series,
        received_at: Some(room.now),
        point: Point { at: r.observed_at, value: r.value, quality: r.quality },
    });
    let last = room.store.log_after(0, 1000).unwrap().last().unwrap().id;
    room.store.put_away(last, arrivals.collect()).unwrap();
    assert!(room.store.put_away_through().unwrap() >= last);
}

#[test]
fn after_a_start_readings_that_are_history_already_are_judged_once() {
    let mut room = Room::new();
    growing(&mut room, 1);
    assert_eq!(room.tickets().len(), 0);
    // The collector dies; what came meanwhile is history before it is assessed. Another increase, to and fro: still two are too few.
    (room.assessor, room.learnt) = (None, Learnt::default());
    let observed: Vec<(Timestamp, f64)> = [8.0, 16.0, 16.0].map(|n| (room.later(), n)).to_vec();
    let bodies = drive(&observed);
    room.commit(Section::Drives.lane(), bodies);
    put_away(&room, &observed);
    room.step();
    assert_eq!(room.tickets().len(), 0, "two increases are not enough, however they came to be known");
    // And nothing was lost by it: the third opens, with what came before.
    for n in [24.0, 32.0] {
        room.later();
        room.disk(n);
    }
    let ticket = room.only_ticket().ticket;
    let evidence: Vec<&str> = ticket.evidence.iter().map(|e| e.text.as_str()).collect();
    assert!(evidence.contains(&"reallocated_sectors 8 -> 16"), "{evidence:?}");
}

/// What is learnt of the wear of fans over 25 days that come at once, in the midst of which a part is told of; with history ahead or with it.
fn learnt(is_ahead: bool) -> Wear {
    let mut room = Room::new();
    let from = room.now;
    let poll = |hour: u64| {
        let at = from.plus(Duration::from_secs(hour * 3600));
        let duty = 40.0 + (hour % 24) as f64;
        let fan = |n: u64| {
            let rpm = 100.0 * duty * (1.0 - 0.0002 * (hour * n) as f64);
            [(SensorKind::FanDuty, duty), (SensorKind::FanSpeed, rpm.round())]
                .map(|(kind, value)| number(&format!("fan/{n}"), kind, value, at))
        };
        encode_set(&ObservationSet {
            target: TargetId::new("bmc1").unwrap(),
            section: Section::Sensors,
            polled_at: at,
            observations: (0..3).flat_map(fan).collect(),
        })
    };
    let part = |serial: &str, hour: u64| {
        let at = from.plus(Duration::from_secs(hour * 3600));
        encode_set(&ObservationSet {
            target: TargetId::new("bmc1").unwrap(),
            section: Section::Inventory,
            polled_at: at,
            observations: vec![inventory("SN1", Some(("fan/2", serial)), at)],
        })
    };
    room.wait(30 * 86_400);
    room.send_body(Lane::Telemetry, poll(0));
    room.send_body(Lane::Event, part("F1", 1));
    room.commit(Lane::Telemetry, (1..200).map(poll).collect());
    // In the lane of readings, so that it keeps its place.
    room.commit(Lane::Telemetry, vec![part("F2", 200)]);
    room.commit(Lane::Telemetry, (200..600).map(poll).collect());
    if is_ahead {
        put_away(&room, &[]);
    }
    room.step();
    room.learnt.wears.save(&room.store).unwrap();
    let server = room.store.servers(None, &Page::first(1)).unwrap().rows.remove(0).id;
    room.store.wear(&server).unwrap().unwrap()
}

#[test]
fn what_is_learnt_of_readings_that_are_history_already_is_what_is_learnt_of_new_ones() {
    let wear = learnt(true);
    assert_ne!(wear, Wear::default());
    assert_eq!(wear, learnt(false));
}
