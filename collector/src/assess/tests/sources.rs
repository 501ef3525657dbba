//! Several targets of one server.

use super::*;

#[test]
fn two_targets_with_one_serial_are_one_server() {
    let mut room = Room::new();
    for target in ["bmc1", "bmc2"] {
        let at = room.later();
        room.send_of(at, Section::Sensors, target, vec![number("chassis/air", SensorKind::Temperature, 22.0, at)]);
        room.send_of(at, Section::Inventory, target, vec![inventory("SN9", None, at)]);
    }
    let servers = room.store.servers(None, &Page::first(9)).unwrap().rows;
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0].targets.len(), 2);
}

/// A temperature far over its limit, as one protocol names it.
fn hot(component: &str, source: &str, at: Timestamp) -> Observation {
    let Observation::Reading(mut r) = number(component, SensorKind::Temperature, 95.0, at) else { panic!("a reading") };
    r.source = Source(source.to_owned());
    r.thresholds = Some(Thresholds { upper_critical: Some(80.0), ..Thresholds::default() });
    Observation::Reading(r)
}

#[test]
fn a_server_with_an_ipmi_and_a_redfish_target_gets_one_ticket_for_one_condition() {
    let mut room = Room::new();
    for target in ["bmc1", "bmc2"] {
        room.send_of(room.now, Section::Inventory, target, vec![inventory("SN1", None, room.now)]);
    }
    for _ in 0..6 {
        let at = room.later();
        room.send_of(at, Section::Sensors, "bmc1", vec![hot("chassis/Inlet Temp", "ipmi:20.0.01", at)]);
        room.send_of(
            at,
            Section::Sensors,
            "bmc2",
            vec![hot("chassis/Inlet", "/redfish/v1/Chassis/1/Thermal#/Temperatures/0", at)],
        );
    }
    assert_eq!(room.only_ticket().ticket.component.to_string(), "chassis/Inlet");
    let latest = room.store.latest(&Default::default(), &Page::first(10)).unwrap();
    assert_eq!(latest.rows.len(), 2, "what IPMI says is stored all the same");
}

#[test]
fn when_redfish_falls_silent_what_ipmi_says_is_judged() {
    let mut room = Room::new();
    for target in ["bmc1", "bmc2"] {
        room.send_of(room.now, Section::Inventory, target, vec![inventory("SN1", None, room.now)]);
    }
    let at = room.later();
    let well = number("chassis/Inlet", SensorKind::Temperature, 20.0, at);
    let Observation::Reading(mut r) = well else { panic!("a reading") };
    r.source = Source("/redfish/v1/Chassis/1/Thermal#/Temperatures/0".to_owned());
    room.send_of(at, Section::Sensors, "bmc2", vec![Observation::Reading(r)]);
    for _ in 0..10 {
        let at = room.later();
        room.send_of(at, Section::Sensors, "bmc1", vec![hot("chassis/Inlet Temp", "ipmi:20.0.01", at)]);
        room.send_of(at, Section::Sensors, "bmc2", vec![silence("bmc2", at)]);
    }
    let faults: Vec<String> = room.tickets().iter().map(|t| t.ticket.fault.clone()).collect();
    assert!(faults.contains(&"overheating".to_owned()), "{faults:?}");
}
