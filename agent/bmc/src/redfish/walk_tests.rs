//! Walks over services that exist only here: what is asked for, and what becomes of failures.

use super::memory::Memory;
use super::walk::{Answer, Limits, Outcome, Walk};
use crate::Bookmark;
use outband_schemas::{Cause, Gap, Observation, Quality, Section, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const AT: Timestamp = Timestamp::from_secs(1_800_000_000);

struct Service {
    resources: BTreeMap<String, Value>,
    asked: Vec<String>,
}

impl Service {
    fn new(resources: &[(&str, Value)]) -> Self {
        let resources = resources.iter().map(|(path, body)| (format!("/redfish/v1{path}"), body.clone())).collect();
        Self { resources, asked: Vec::new() }
    }

    fn root(&self) -> Value {
        self.resources.get("/redfish/v1").cloned().unwrap()
    }

    fn answer(&mut self, uri: &str) -> Answer {
        self.asked.push(uri.to_owned());
        match self.resources.get(uri) {
            Some(body) => Answer::Http { status: 200, body: body.to_string().into_bytes(), etag: None },
            None => Answer::Http { status: 404, body: Vec::new(), etag: None },
        }
    }

    fn poll(&mut self, section: Section, memory: &mut Memory, bookmark: Option<&Bookmark>) -> Outcome {
        let mut walk = Walk::new(section, &self.root(), memory, bookmark, Limits::default(), AT);
        while let Some(get) = walk.poll_get(memory) {
            let answer = self.answer(&get.uri);
            walk.handle_body(memory, &get, answer, AT);
        }
        walk.finish(memory, AT)
    }
}

fn link(uri: &str) -> Value {
    json!({"@odata.id": format!("/redfish/v1{uri}")})
}

fn gaps(outcome: &Outcome) -> Vec<&Gap> {
    outcome.observations.iter().filter_map(|o| if let Observation::Gap(g) = o { Some(g) } else { None }).collect()
}

fn components(outcome: &Outcome) -> Vec<String> {
    let readings = outcome.observations.iter();
    readings
        .filter_map(
            |o| if let Observation::Reading(r) = o { Some(format!("{} {}", r.component, r.kind)) } else { None },
        )
        .collect()
}

fn one_chassis(features: Value) -> Service {
    Service::new(&[
        ("", json!({"Chassis": link("/Chassis"), "ProtocolFeaturesSupported": {"ExpandQuery": features}})),
        ("/Chassis", json!({"Members": [link("/Chassis/1")]})),
        ("/Chassis/1", json!({"Id": "1", "Thermal": link("/Chassis/1/Thermal/")})),
        ("/Chassis/1/Thermal/", json!({"Temperatures": [{"Name": "CPU1 Temp", "ReadingCelsius": 40}]})),
    ])
}

#[test]
fn a_supply_that_is_off_for_want_of_input_still_tells_of_its_feed() {
    let off = json!({"State": "UnavailableOffline", "Health": "Critical"});
    let mut service = Service::new(&[
        ("", json!({"Chassis": link("/Chassis")})),
        ("/Chassis", json!({"Members": [link("/Chassis/1")]})),
        ("/Chassis/1", json!({"Id": "1", "Power": link("/Chassis/1/Power")})),
        (
            "/Chassis/1/Power",
            json!({"PowerSupplies": [
                {"Name": "PSU1", "LineInputVoltage": 0, "PowerInputWatts": 0, "Status": off},
                {"Name": "PSU2", "LineInputStatus": "LossOfInput", "Status": off},
            ]}),
        ),
    ]);
    let outcome = service.poll(Section::Sensors, &mut Memory::default(), None);
    let told: Vec<String> = outcome
        .observations
        .iter()
        .filter_map(|o| if let Observation::Reading(r) = o { Some(r) } else { None })
        .map(|r| match &r.value {
            Some(outband_schemas::Value::State { text, .. }) => format!("{} {}: {text}", r.component, r.kind),
            Some(outband_schemas::Value::Number(n)) => format!("{} {}: {n}", r.component, r.kind),
            _ => format!("{} {}: {:?}", r.component, r.kind, r.quality),
        })
        .collect();
    let expected = [
        "psu/1 state: UnavailableOffline, Critical",
        "psu/1 input_voltage: 0",
        "psu/1 input_power: Unavailable(Disabled)",
        "psu/2 state: UnavailableOffline, Critical, input lost",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_bmc_that_does_not_expand_is_asked_without_and_not_again() {
    let mut service = one_chassis(json!({"NoLinks": true}));
    let mut memory = Memory::default();
    let outcome = service.poll(Section::Sensors, &mut memory, None);
    assert!(service.asked.contains(&"/redfish/v1/Chassis?$expand=.($levels=1)".to_owned()));
    assert_eq!(components(&outcome), ["cpu/CPU1 temperature"]);
    assert!(gaps(&outcome).is_empty(), "{:?}", gaps(&outcome));
    for _ in 0..3 {
        service.asked.clear();
        service.poll(Section::Sensors, &mut memory, None);
    }
    assert!(service.asked.iter().all(|uri| !uri.contains("expand")), "{:?}", service.asked);
}

/// Where log entries land whose origins are these, once the sensors were read.
fn places_of_entries(service: &mut Service, origins: &[&str]) -> Vec<String> {
    let entry = |(n, origin): (usize, &&str)| json!({"@odata.id": format!("/redfish/v1/Systems/1/LogServices/L/Entries/{n}"), "Id": n.to_string(), "Message": "x", "OriginOfCondition": link(origin)});
    let entries: Vec<Value> = origins.iter().enumerate().map(entry).collect();
    let log = [
        ("", json!({"Chassis": link("/Chassis"), "Systems": link("/Systems")})),
        ("/Systems", json!({"Members": [link("/Systems/1")]})),
        ("/Systems/1", json!({"Id": "1", "LogServices": link("/Systems/1/LogServices")})),
        ("/Systems/1/LogServices", json!({"Members": [link("/Systems/1/LogServices/L")]})),
        ("/Systems/1/LogServices/L", json!({"Id": "L", "Entries": link("/Systems/1/LogServices/L/Entries")})),
        ("/Systems/1/LogServices/L/Entries", json!({"Members": entries})),
    ];
    service.resources.extend(log.map(|(path, body)| (format!("/redfish/v1{path}"), body)));
    let mut memory = Memory::default();
    service.poll(Section::Sensors, &mut memory, None);
    let outcome = service.poll(Section::Log, &mut memory, None);
    let events = outcome.observations.iter();
    events.filter_map(|o| if let Observation::Event(e) = o { Some(e.component.to_string()) } else { None }).collect()
}

#[test]
fn an_entry_that_points_at_a_member_is_of_the_place_of_that_members_readings() {
    let mut service = Service::new(&[
        ("/Chassis", json!({"Members": [link("/Chassis/1")]})),
        ("/Chassis/1", json!({"Id": "1", "Thermal": link("/Chassis/1/Thermal"), "Power": link("/Chassis/1/Power")})),
        (
            "/Chassis/1/Thermal",
            json!({
                "Temperatures": [{"Name": "CPU1 Temp", "ReadingCelsius": 40}, {"Name": "Inlet Temp", "ReadingCelsius": 22}],
                "Fans": [{"Name": "Fan 1", "Reading": 4000, "ReadingUnits": "RPM"}, {"Name": "Fan 2", "Reading": 4000, "ReadingUnits": "RPM"}],
            }),
        ),
        (
            "/Chassis/1/Power",
            json!({
                "PowerSupplies": [{"Name": "PSU1"}, {"Name": "PSU2"}],
                "Voltages": [{"Name": "P12V", "ReadingVolts": 12.1}],
                "PowerControl": [{"Name": "System Power Control", "PowerConsumedWatts": 200}],
                "Redundancy": [{"Name": "PSU Redundancy", "Status": {"Health": "OK"}}],
            }),
        ),
    ]);
    let origins = [
        ("/Chassis/1/Thermal#/Temperatures/1", "chassis/Inlet"),
        ("/Chassis/1/Thermal#/Temperatures/0", "cpu/CPU1"),
        ("/Chassis/1/Thermal#/Fans/1", "fan/Fan 2"),
        ("/Chassis/1/Power#/PowerSupplies/1", "psu/2"),
        ("/Chassis/1/Power#/Voltages/0", "board/P12V"),
        ("/Chassis/1/Power#/PowerControl/0", "chassis/System Power Control"),
        ("/Chassis/1/Power/#/Redundancy/0", "chassis/PSU Redundancy"),
        ("/Chassis/1/Thermal#/Fans/9", "server/system"),
    ];
    let read = components(&service_sensors(&mut service));
    let landed = places_of_entries(&mut service, &origins.map(|(origin, _)| origin));
    assert_eq!(landed, origins.map(|(_, place)| place));
    for (_, place) in origins.iter().filter(|(_, place)| *place != "server/system") {
        assert!(read.iter().any(|r| r.starts_with(&format!("{place} "))), "{place} has readings: {read:?}");
    }
}

fn service_sensors(service: &mut Service) -> Outcome {
    service.resources.insert("/redfish/v1".to_owned(), json!({"Chassis": link("/Chassis")}));
    service.poll(Section::Sensors, &mut Memory::default(), None)
}

#[test]
fn an_entry_may_point_at_the_generation_that_is_not_read_from() {
    let mut service = Service::new(&[
        ("/Chassis", json!({"Members": [link("/Chassis/1")]})),
        (
            "/Chassis/1",
            json!({"Id": "1", "Thermal": link("/Chassis/1/Thermal"), "Sensors": link("/Chassis/1/Sensors")}),
        ),
        ("/Chassis/1/Thermal", json!({"Temperatures": [{"Name": "CPU1 Temp", "ReadingCelsius": 40}]})),
        ("/Chassis/1/Sensors", json!({"Members": [link("/Chassis/1/Sensors/CPU1Temp")]})),
        ("/Chassis/1/Sensors/CPU1Temp", json!({"Name": "CPU1 Temp", "Reading": 40, "ReadingUnits": "Cel"})),
    ]);
    let origins = ["/Chassis/1/Thermal#/Temperatures/0", "/Chassis/1/Sensors/CPU1Temp"];
    assert_eq!(places_of_entries(&mut service, &origins), ["cpu/CPU1", "cpu/CPU1"]);
}

#[test]
fn members_that_come_expanded_are_not_asked_for() {
    let mut service = one_chassis(json!({"NoLinks": true}));
    let chassis = json!({"@odata.id": "/redfish/v1/Chassis/1", "Id": "1", "Thermal": link("/Chassis/1/Thermal/")});
    service.resources.insert("/redfish/v1/Chassis?$expand=.($levels=1)".to_owned(), json!({"Members": [chassis]}));
    let outcome = service.poll(Section::Sensors, &mut Memory::default(), None);
    assert_eq!(components(&outcome), ["cpu/CPU1 temperature"]);
    assert_eq!(service.asked.len(), 2, "{:?}", service.asked);
}

#[test]
fn a_hundred_dead_links_below_one_collection_are_one_gap_that_counts_them() {
    let links: Vec<Value> = (0..100).map(|n| link(&format!("/Chassis/{n}"))).collect();
    let mut service =
        Service::new(&[("", json!({"Chassis": link("/Chassis")})), ("/Chassis", json!({"Members": links}))]);
    let outcome = service.poll(Section::Sensors, &mut Memory::default(), None);
    let gaps = gaps(&outcome);
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].cause, gaps[0].source.0.as_str()), (Cause::NotSupported, "/redfish/v1/Chassis"));
    assert!(gaps[0].detail.starts_with("100 × chassis"), "{}", gaps[0].detail);
}

#[test]
fn a_collection_that_pages_in_a_circle_comes_to_an_end() {
    let mut service = one_chassis(json!({}));
    let circle = json!({"Members": [link("/Chassis/1")], "Members@odata.nextLink": "/redfish/v1/Chassis?$skip=1"});
    service.resources.insert("/redfish/v1/Chassis?$skip=1".to_owned(), circle.clone());
    service.resources.insert("/redfish/v1/Chassis".to_owned(), circle);
    let outcome = service.poll(Section::Sensors, &mut Memory::default(), None);
    assert_eq!(components(&outcome), ["cpu/CPU1 temperature"]);
}

#[test]
fn a_sensor_of_a_second_chassis_carries_its_name_and_one_of_the_first_does_not() {
    let mut service = one_chassis(json!({}));
    let thermal = json!({"Temperatures": [{"Name": "CPU1 Temp", "ReadingCelsius": 41}]});
    service
        .resources
        .insert("/redfish/v1/Chassis".to_owned(), json!({"Members": [link("/Chassis/1"), link("/Chassis/Blade2")]}));
    service
        .resources
        .insert("/redfish/v1/Chassis/Blade2".to_owned(), json!({"Thermal": link("/Chassis/Blade2/Thermal")}));
    service.resources.insert("/redfish/v1/Chassis/Blade2/Thermal".to_owned(), thermal);
    let outcome = service.poll(Section::Sensors, &mut Memory::default(), None);
    assert_eq!(components(&outcome), ["cpu/CPU1 temperature", "cpu/Blade2 CPU1 temperature"]);
}

#[test]
fn of_two_generations_the_fuller_is_told_and_the_lesser_not_asked_for_again() {
    let mut service = one_chassis(json!({}));
    let sensor = |name: &str| json!({"@odata.id": format!("/redfish/v1/Chassis/1/Sensors/{name}"), "Id": name, "Name": name, "Reading": 20, "ReadingUnits": "Cel", "ReadingType": "Temperature"});
    service.resources.insert(
        "/redfish/v1/Chassis/1".to_owned(),
        json!({"Id": "1", "Thermal": link("/Chassis/1/Thermal/"), "Sensors": link("/Chassis/1/Sensors")}),
    );
    service
        .resources
        .insert("/redfish/v1/Chassis/1/Sensors".to_owned(), json!({"Members": [sensor("A"), sensor("B")]}));
    let mut memory = Memory::default();
    let outcome = service.poll(Section::Sensors, &mut memory, None);
    assert_eq!(components(&outcome), ["board/A temperature", "board/B temperature"]);
    service.asked.clear();
    let again = service.poll(Section::Sensors, &mut memory, None);
    assert_eq!(components(&again), ["board/A temperature", "board/B temperature"]);
}

#[test]
fn nothing_answered_at_all_is_a_failure_and_no_empty_success() {
    let service = one_chassis(json!({}));
    let mut memory = Memory::default();
    let mut walk = Walk::new(Section::Sensors, &service.root(), &mut memory, None, Limits::default(), AT);
    while let Some(get) = walk.poll_get(&mut memory) {
        walk.handle_body(
            &mut memory,
            &get,
            Answer::Failed { cause: Cause::Unreachable, detail: "reset".to_owned() },
            AT,
        );
    }
    let failed = walk.finish(&mut memory, AT).failed.unwrap();
    assert_eq!(failed.0, Cause::Unreachable);
}

#[test]
fn links_out_of_the_service_are_not_followed() {
    let mut service = Service::new(&[(
        "",
        json!({"Chassis": {"@odata.id": "//elsewhere/redfish"}, "Systems": {"@odata.id": "/etc/passwd"}}),
    )]);
    let outcome = service.poll(Section::Sensors, &mut Memory::default(), None);
    assert!(service.asked.is_empty() && components(&outcome).is_empty(), "{:?}", service.asked);
}

#[test]
fn a_next_page_out_of_the_service_is_not_asked_for() {
    let mut service = one_chassis(json!({}));
    let page = json!({"Members": [link("/Chassis/1")], "Members@odata.nextLink": "/etc/passwd"});
    service.resources.insert("/redfish/v1/Chassis".to_owned(), page);
    service.poll(Section::Sensors, &mut Memory::default(), None);
    assert!(service.asked.iter().all(|uri| uri.starts_with("/redfish/v1")), "{:?}", service.asked);
}

#[test]
fn a_number_beyond_all_numbers_in_its_kinds_unit_is_no_value_and_no_limit() {
    let mut service = Service::new(&[
        ("", json!({"Chassis": link("/Chassis")})),
        ("/Chassis", json!({"Members": [link("/Chassis/1")]})),
        ("/Chassis/1", json!({"Id": "1", "Sensors": link("/Chassis/1/Sensors")})),
        (
            "/Chassis/1/Sensors",
            json!({"Members": [{"Id": "p", "Name": "Total", "Reading": 1e308, "ReadingUnits": "kW",
                "Thresholds": {"UpperCritical": {"Reading": 1e308}}}]}),
        ),
    ]);
    let outcome = service.poll(Section::Sensors, &mut Memory::default(), None);
    let [Observation::Reading(reading)] = outcome.observations.as_slice() else { panic!("{outcome:?}") };
    assert_eq!((reading.value.clone(), reading.thresholds), (None, None));
    assert_eq!(reading.quality, Quality::Unavailable(Cause::Malformed));
}

fn any_json() -> impl Strategy<Value = Value> {
    let uri = prop_oneof![
        "/redfish/v1/(Chassis|Systems|Managers|A|B)(/[1-3])?",
        Just("/redfish/v1/Chassis/1/Thermal".to_owned())
    ];
    let word = prop_oneof!["[A-Za-z0-9 ]{0,8}", uri.clone(), Just("Absent".to_owned()), Just("46 C".to_owned())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
        uri.prop_map(|u| json!({"@odata.id": u}))
    ];
    let key = prop_oneof![
        "(@odata.id|Members|Members@odata.nextLink|Id|Name|Status|State|Health|Links|Oem|Chassis|Systems|Managers|Thermal|Power|Temperatures|Fans|Reading)",
        "(PowerSupplies|Voltages|Sensors|Storage|Drives|LogServices|Entries|Created|Message|Memory|Processors|SerialNumber|Metrics|ReadingUnits|SpeedPercent)",
    ];
    leaf.prop_recursive(4, 48, 5, move |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from);
        let object = proptest::collection::btree_map(key.clone(), inner, 0..6)
            .prop_map(|m| Value::Object(m.into_iter().collect()));
        prop_oneof![list, object]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a BMC serves, a walk ends, tells each series once, and gives every value or the reason for its absence.
    #[test]
    fn any_service_is_walked_to_its_end(bodies in proptest::collection::vec(any_json(), 6), section in 0usize..4) {
        let section = Section::OF_BMC[section];
        let root = json!({"Chassis": link("/Chassis"), "Systems": link("/Systems"), "Managers": link("/Managers"), "UpdateService": link("/A")});
        let mut memory = Memory::default();
        for _ in 0..2 {
            let limits = Limits { requests: 200, ..Limits::default() };
            let mut walk = Walk::new(section, &root, &mut memory, None, limits, AT);
            let mut count = 0usize;
            while let Some(get) = walk.poll_get(&mut memory) {
                let body = bodies.get(count % bodies.len()).map(Value::to_string).unwrap_or_default().into_bytes();
                walk.handle_body(&mut memory, &get, Answer::Http { status: 200, body, etag: None }, AT);
                count += 1;
            }
            let outcome = walk.finish(&mut memory, AT);
            let mut series = std::collections::BTreeSet::new();
            for observation in &outcome.observations {
                if let Observation::Reading(r) = observation {
                    prop_assert!(series.insert((r.component.clone(), r.kind, r.sensor.clone())), "{:?} twice", r);
                    let unavailable = matches!(r.quality, outband_schemas::Quality::Unavailable(_));
                    prop_assert_eq!(r.value.is_none(), unavailable);
                }
            }
        }
    }
}
