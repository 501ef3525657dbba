//! What BMCs make of JSON and of Redfish, over a real socket: what can be read is read, and what cannot is told by name.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_bmc::client::Bmc;
use outband_bmc::{Credentials, Polled, Secret, Target, Trust};
use outband_schemas::{
    Cause, Clock, ComponentClass, Gap, Observation, Quality, Reading, Section, SensorKind, Timestamp, Value,
};
use outband_tests::sim::machine::{Machine, Shared, Spec};
use outband_tests::sim::redfish_bmc::{
    Expand, Fault, Login, Misdeed, Options, RedfishMap, RedfishServer, Service, Where,
};
use serde_json::{Value as Json, json};
use std::time::Duration;
use tokio::runtime::Runtime;

const THERMAL: &str = "/redfish/v1/Chassis/1/Thermal";

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn options(expand: Expand, faults: Vec<Fault>) -> Options {
    let login = Some(Login { user: "operator".to_owned(), password: "secret".to_owned() });
    Options { login, expand, faults, ..Options::default() }
}

async fn machine(faults: Vec<Fault>) -> Service {
    let machine = Shared::new(Machine::new(Spec::new("r1-u01", "NG0000018", 18), Vec::new()), 1.0);
    RedfishServer::serve(machine, options(Expand::Advertised, faults)).await.unwrap()
}

async fn poll(service: &Service, section: Section) -> Polled {
    let target = Target {
        address: service.url().parse().unwrap(),
        credentials: Credentials::new("operator", Secret::new("secret")),
        cipher: None,
        trust: Trust::FirstUse,
        request_deadline: Duration::from_secs(20),
    };
    let mut bmc = Bmc::connect(&target).await.unwrap();
    let polled = bmc.poll(section, None, &Fixed).await.unwrap();
    bmc.close().await.unwrap();
    polled
}

fn gaps(polled: &Polled) -> Vec<&Gap> {
    polled.observations.iter().filter_map(|o| if let Observation::Gap(g) = o { Some(g) } else { None }).collect()
}

fn readings(polled: &Polled, kind: SensorKind) -> Vec<&Reading> {
    let all = polled.observations.iter().filter_map(|o| if let Observation::Reading(r) = o { Some(r) } else { None });
    all.filter(|r| r.kind == kind).collect()
}

fn temperatures(polled: &Polled) -> Vec<f64> {
    let read = readings(polled, SensorKind::Temperature);
    read.iter().filter_map(|r| r.value.as_ref().and_then(Value::as_number)).collect()
}

/// A service of one chassis, one system and one manager, with more resources or others in their places.
fn tree(more: Vec<(&str, Json)>) -> RedfishMap {
    let link = |uri: &str| json!({"@odata.id": uri});
    let map = RedfishMap::new([
        (
            "/redfish/v1",
            json!({"Id": "RootService", "Name": "Root Service", "RedfishVersion": "1.15.0", "Systems": link("/redfish/v1/Systems"),
            "Chassis": link("/redfish/v1/Chassis"), "Managers": link("/redfish/v1/Managers"), "SessionService": link("/redfish/v1/SessionService"),
            "Links": {"Sessions": link("/redfish/v1/SessionService/Sessions")}}),
        ),
        ("/redfish/v1/Chassis", json!({"Members": [link("/redfish/v1/Chassis/1")]})),
        ("/redfish/v1/Chassis/1", json!({"Id": "1", "Name": "Chassis", "Thermal": link(THERMAL)})),
        (
            THERMAL,
            json!({"Temperatures": [{"MemberId": "0", "Name": "Inlet", "ReadingCelsius": 21, "Status": {"State": "Enabled", "Health": "OK"}}]}),
        ),
        ("/redfish/v1/Systems", json!({"Members": [link("/redfish/v1/Systems/1")]})),
        (
            "/redfish/v1/Systems/1",
            json!({"Id": "1", "Name": "System", "SerialNumber": "BOARD1", "SKU": "TAG1", "Memory": link("/redfish/v1/Systems/1/Memory")}),
        ),
        ("/redfish/v1/Systems/1/Memory", json!({"Members": []})),
        ("/redfish/v1/Managers", json!({"Members": [link("/redfish/v1/Managers/1")]})),
        ("/redfish/v1/Managers/1", json!({"Id": "1", "Name": "Manager"})),
    ]);
    more.into_iter().for_each(|(path, resource)| map.put(path, &resource));
    map
}

async fn serve(more: Vec<(&str, Json)>, expand: Expand) -> Service {
    tree(more).serve(options(expand, Vec::new())).await.unwrap()
}

fn root(fields: Json) -> Json {
    let mut root = json!({"Id": "RootService", "Name": "Root Service", "RedfishVersion": "1.15.0", "Systems": {"@odata.id": "/redfish/v1/Systems"},
        "Chassis": {"@odata.id": "/redfish/v1/Chassis"}, "Managers": {"@odata.id": "/redfish/v1/Managers"},
        "Links": {"Sessions": {"@odata.id": "/redfish/v1/SessionService/Sessions"}}});
    let (Json::Object(root_fields), Json::Object(fields)) = (&mut root, fields) else { return root };
    root_fields.extend(fields);
    root_fields.retain(|_, value| !value.is_null());
    root
}

#[test]
fn a_body_in_whatever_dress_is_read_whole() {
    let error =
        r#"{"error":{"code":"Base.1.0.GeneralError","@Message.ExtendedInfo":[{"Message":"no sufficient licence"}]}}"#;
    let dresses = [
        Misdeed::Bom,
        Misdeed::Latin1,
        Misdeed::ControlCharacters,
        Misdeed::Before(error.into()),
        Misdeed::Before("\r\n\r\n".into()),
        Misdeed::After("\n<!-- 3 ms -->".into()),
        Misdeed::After("\0\0".into()),
    ];
    runtime().block_on(async {
        let service = machine(Vec::new()).await;
        let proper = temperatures(&poll(&service, Section::Sensors).await).len();
        assert!(proper > 2);
        for dress in dresses {
            service.set_faults(vec![Fault::always(Where::At(THERMAL.to_owned()), dress.clone())]);
            let polled = poll(&service, Section::Sensors).await;
            assert!(gaps(&polled).is_empty(), "{dress:?}: {:?}", gaps(&polled));
            assert_eq!(temperatures(&polled).len(), proper, "{dress:?}");
        }
    });
}

#[test]
fn a_body_in_another_encoding_or_mended_json_is_read() {
    let text = r#"{"@odata.id":"/redfish/v1/Chassis/1/Thermal","Temperatures":[{"Name":"进风口","ReadingCelsius":21.5,"Status":{"State":"Enabled"}},]}"#;
    let wide: Vec<u8> = [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let gbk = [
        &text.as_bytes()[..text.find('进').unwrap()],
        b"\xbd\xf8\xb7\xe7\xbf\xda",
        &text.as_bytes()[text.find('口').unwrap() + 3..],
    ]
    .concat();
    runtime().block_on(async {
        for body in [text.as_bytes().to_vec(), wide, gbk] {
            let service = machine(vec![Fault::always(Where::At(THERMAL.to_owned()), Misdeed::Body(body.into()))]).await;
            let polled = poll(&service, Section::Sensors).await;
            let told = readings(&polled, SensorKind::Temperature);
            assert_eq!(told.len(), 1, "{:?}", gaps(&polled));
            assert_eq!((told[0].sensor.as_str(), told[0].value.clone()), ("进风口", Some(Value::Number(21.5))));
        }
    });
}

#[test]
fn an_error_served_as_a_resource_is_a_gap_with_the_bmcs_words() {
    runtime().block_on(async {
        let service = machine(vec![Fault::always(Where::At(THERMAL.to_owned()), Misdeed::ErrorAs200)]).await;
        let polled = poll(&service, Section::Sensors).await;
        let gaps = gaps(&polled);
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert_eq!((gaps[0].cause, gaps[0].source.0.as_str()), (Cause::BmcError, THERMAL));
        assert!(gaps[0].detail.contains("GeneralError"), "{}", gaps[0].detail);
    });
}

#[test]
fn a_body_of_nothing_but_brackets_is_a_gap() {
    runtime().block_on(async {
        let deep = [b"{\"a\":".to_vec(), vec![b'['; 200_000]].concat();
        let service = machine(vec![Fault::always(Where::At(THERMAL.to_owned()), Misdeed::Body(deep.into()))]).await;
        let polled = poll(&service, Section::Sensors).await;
        assert_eq!(gaps(&polled).iter().map(|g| g.cause).collect::<Vec<_>>(), [Cause::Malformed]);
    });
}

#[test]
fn a_body_larger_than_any_resource_is_a_gap() {
    runtime().block_on(async {
        let large = [b"{\"Temperatures\": []".to_vec(), vec![b' '; 33 << 20], b"}".to_vec()].concat();
        let service = machine(vec![Fault::always(Where::At(THERMAL.to_owned()), Misdeed::Body(large.into()))]).await;
        let polled = poll(&service, Section::Sensors).await;
        let gaps = gaps(&polled);
        assert_eq!(
            gaps.iter().map(|g| (g.cause, g.source.0.as_str())).collect::<Vec<_>>(),
            [(Cause::Malformed, THERMAL)]
        );
        assert!(gaps[0].detail.contains("larger than"), "{}", gaps[0].detail);
    });
}

#[test]
fn a_field_of_the_wrong_type_is_told_by_its_pointer_and_costs_nothing_else() {
    let thermal = json!({"Temperatures": [
        {"Name": "A", "ReadingCelsius": {"odd": 1}, "Status": {"State": "Enabled"}},
        {"Name": "B", "ReadingCelsius": "hot"},
        {"Name": "C", "ReadingCelsius": null},
        {"Name": "D", "ReadingCelsius": 40, "UpperThresholdCritical": []},
        {"Name": "E", "ReadingCelsius": 41, "Status": {"State": "Disabled"}}, "nonsense"]});
    runtime().block_on(async {
        let service = serve(vec![(THERMAL, thermal)], Expand::Advertised).await;
        let polled = poll(&service, Section::Sensors).await;
        let told: Vec<_> = readings(&polled, SensorKind::Temperature)
            .into_iter()
            .map(|r| (r.sensor.as_str(), r.quality.clone(), r.source.0.rsplit_once("Thermal").unwrap().1))
            .collect();
        assert_eq!(
            told,
            [
                ("A", Quality::Unavailable(Cause::Malformed), "#/Temperatures/0/ReadingCelsius"),
                ("B", Quality::Unavailable(Cause::Malformed), "#/Temperatures/1/ReadingCelsius"),
                ("C", Quality::Unavailable(Cause::NoReading), "#/Temperatures/2"),
                ("D", Quality::Good, "#/Temperatures/3"),
                ("E", Quality::Unavailable(Cause::Disabled), "#/Temperatures/4"),
            ]
        );
        let gaps = gaps(&polled);
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        for lost in ["Temperatures/3/UpperThresholdCritical holds an array", "Temperatures/5 holds the text"] {
            assert!(gaps[0].detail.contains(lost), "{}", gaps[0].detail);
        }
    });
}

#[test]
fn what_a_broken_link_or_collection_would_have_led_to_is_told() {
    let cases = [
        (("/redfish/v1/Chassis/1", json!({"Id": "1", "Thermal": 7})), "/redfish/v1/Chassis/1#/Thermal"),
        (("/redfish/v1/Chassis/1", json!({"Id": "1", "Thermal": {"@odata.id": []}})), "/redfish/v1/Chassis/1#/Thermal"),
        ((THERMAL, json!({"Temperatures": {"0": {}}})), "/redfish/v1/Chassis/1/Thermal#/Temperatures"),
        (("/redfish/v1/Chassis", json!({"Members": "none"})), "/redfish/v1/Chassis#/Members"),
        (
            ("/redfish/v1/Chassis", json!({"Members": [{"@odata.id": "/redfish/v1/Chassis/1"}, 5]})),
            "/redfish/v1/Chassis#/Members/1",
        ),
    ];
    runtime().block_on(async {
        for (resource, pointer) in cases {
            let service = serve(vec![resource.clone()], Expand::Advertised).await;
            let polled = poll(&service, Section::Sensors).await;
            let told: Vec<_> = gaps(&polled).iter().map(|g| (g.cause, g.source.0.clone())).collect();
            assert_eq!(told, [(Cause::Malformed, pointer.to_owned())], "{resource:?}");
        }
    });
}

#[test]
fn of_a_member_that_is_a_link_to_nowhere_no_drive_is_made_up() {
    let chassis = json!({"Id": "1", "Drives": {"@odata.id": "/redfish/v1/Chassis/1/Drives"}});
    let drives = json!({"Members": [{"@odata.id": 7}, {}, {"@odata.id": "/redfish/v1/Chassis/1/Drives/1"}]});
    let drive = json!({"Id": "1", "Name": "Drive 1", "Status": {"State": "Enabled", "Health": "OK"}});
    let more = vec![
        ("/redfish/v1/Chassis/1", chassis),
        ("/redfish/v1/Chassis/1/Drives", drives),
        ("/redfish/v1/Chassis/1/Drives/1", drive),
    ];
    runtime().block_on(async {
        let service = serve(more, Expand::Advertised).await;
        let polled = poll(&service, Section::Drives).await;
        let states = readings(&polled, SensorKind::State);
        let disks = states.iter().filter(|r| r.component.class() == ComponentClass::Disk && r.sensor == "health");
        assert_eq!(disks.count(), 1, "{states:?}");
        let told: Vec<_> = gaps(&polled).iter().map(|g| (g.cause, g.source.0.as_str())).collect();
        assert_eq!(told, [(Cause::Malformed, "/redfish/v1/Chassis/1/Drives#/Members/0")]);
    });
}

#[test]
fn a_part_whose_serial_is_no_text_is_told_and_says_so() {
    let member = |id: usize, serial: Json| {
        json!({"@odata.id": format!("/redfish/v1/Systems/1/Memory/{id}"), "Id": id.to_string(), "DeviceLocator": format!("A{id}"), "SerialNumber": serial,
            "Model": "M", "Status": {"State": "Enabled", "Health": "OK"}})
    };
    let memory = json!({"Members": [member(1, json!("S1")), member(2, json!({})), member(3, json!({}))]});
    runtime().block_on(async {
        let service = serve(vec![("/redfish/v1/Systems/1/Memory", memory)], Expand::Advertised).await;
        let polled = poll(&service, Section::Inventory).await;
        let parts = polled
            .observations
            .iter()
            .find_map(|o| if let Observation::Inventory(i) = o { Some(&i.parts) } else { None });
        let serials: Vec<_> =
            parts.unwrap().iter().filter(|p| p.model.as_deref() == Some("M")).map(|p| p.serial.clone()).collect();
        assert_eq!(serials, [Some("S1".to_owned()), None, None]);
        let gaps: Vec<_> = gaps(&polled).into_iter().filter(|g| g.cause == Cause::Malformed).collect();
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!(gaps[0].detail.contains("2 × memory module: SerialNumber holds an object"), "{}", gaps[0].detail);
    });
}

#[test]
fn of_a_body_that_ends_in_its_midst_the_whole_elements_are_told_and_the_rest_is_a_gap() {
    let body = r#"{"@odata.id":"/redfish/v1/Chassis/1/Thermal","Id":"Thermal","Temperatures":[{"Name":"A","ReadingCelsius":40},{"Name":"B","ReadingCelsius":41"#;
    runtime().block_on(async {
        let service = machine(vec![Fault::always(Where::At(THERMAL.to_owned()), Misdeed::Body(body.into()))]).await;
        let polled = poll(&service, Section::Sensors).await;
        assert_eq!(temperatures(&polled), [40.0]);
        let gaps = gaps(&polled);
        assert_eq!(
            gaps.iter().map(|g| (g.cause, g.source.0.as_str())).collect::<Vec<_>>(),
            [(Cause::Malformed, THERMAL)]
        );
        assert!(gaps[0].detail.contains("1 whole"), "{}", gaps[0].detail);
    });
}

fn serial(polled: &Polled) -> Option<String> {
    let identity = polled
        .observations
        .iter()
        .find_map(|o| if let Observation::Inventory(i) = o { Some(&i.identity) } else { None });
    identity.and_then(|i| i.serial.clone())
}

#[test]
fn an_idrac_8_that_only_its_manager_betrays_is_named_by_its_service_tag() {
    let manager = json!({"Id": "iDRAC.Embedded.1", "Name": "Manager", "Model": "13G Monolithic"});
    runtime().block_on(async {
        let plain = serve(Vec::new(), Expand::Advertised).await;
        assert_eq!(serial(&poll(&plain, Section::Inventory).await).as_deref(), Some("BOARD1"));
        let idrac = serve(vec![("/redfish/v1/Managers/1", manager)], Expand::Advertised).await;
        assert_eq!(serial(&poll(&idrac, Section::Inventory).await).as_deref(), Some("TAG1"));
    });
}

#[test]
fn a_root_that_forgets_its_links_is_walked_where_that_is_known_of_it() {
    let forgetful = root(json!({"Vendor": "AMI", "RedfishVersion": "1.11.0", "Chassis": null, "Systems": null}));
    runtime().block_on(async {
        let service = serve(vec![("/redfish/v1", forgetful)], Expand::Advertised).await;
        assert_eq!(temperatures(&poll(&service, Section::Sensors).await), [21.0]);
    });
}

#[test]
fn a_bmc_whose_expansion_drops_fields_or_fails_is_not_asked_to_expand() {
    let features = json!({"ExpandQuery": {"NoLinks": true, "ExpandAll": true, "Levels": true, "MaxLevels": 6}});
    let link = |id: usize| json!({"@odata.id": format!("/redfish/v1/Systems/1/Memory/{id}")});
    let cases = [
        (json!({"Vendor": "Lenovo", "Oem": {"Ami": {"RtpVersion": "13.09.1"}}}), Expand::Hollow),
        (json!({"Vendor": "Fujitsu", "Product": "iRMC S5"}), Expand::Refused(400)),
    ];
    runtime().block_on(async {
        for (mut vendor, expand) in cases {
            vendor["ProtocolFeaturesSupported"] = features.clone();
            let module = |id: usize| json!({"Id": id.to_string(), "DeviceLocator": format!("A{id}"), "SerialNumber": format!("S{id}"), "Model": "M"});
            let more = vec![
                ("/redfish/v1", root(vendor)),
                ("/redfish/v1/Systems/1/Memory", json!({"Members": [link(1), link(2)]})),
                ("/redfish/v1/Systems/1/Memory/1", module(1)),
                ("/redfish/v1/Systems/1/Memory/2", module(2)),
            ];
            let service = serve(more, expand).await;
            let polled = poll(&service, Section::Inventory).await;
            let told = format!("{:?}", polled.observations);
            assert!(told.contains("S1") && told.contains("S2"), "{told}");
            assert!(!service.requests().iter().any(|r| r.contains("expand")), "{:?}", service.requests());
        }
    });
}
