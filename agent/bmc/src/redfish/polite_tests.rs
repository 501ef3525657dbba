//! Walks over a service that exists only here: how few requests they make, how long none of them may take, and that nothing is lost by that.

use super::memory::Memory;
use super::walk::{Answer, Limits, Outcome, Walk};
use outband_schemas::{Cause, Gap, Observation, Reading, Section, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const AT: Timestamp = Timestamp::from_secs(1_800_000_000);

/// What a service makes of `$top` and `$skip`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pages {
    Honoured,
    Ignored,
    /// `$skip` is ignored, `$top` is not.
    TopOnly,
    /// The count is that of the members sent.
    CountsWhatItSends,
    /// No page holds more than seven.
    AtMostSeven,
    Refused,
}

struct Service {
    resources: BTreeMap<String, Value>,
    asked: Vec<String>,
    hangs: BTreeSet<String>,
    expands: bool,
    unfolds: bool,
    pages: Pages,
    tags: bool,
    /// Seconds of one request; an expanded one takes half of it more for each member.
    seconds: f64,
    longest: f64,
    not_modified: usize,
    now: Timestamp,
}

impl Service {
    fn new(resources: &[(&str, Value)]) -> Self {
        Self {
            resources: resources.iter().map(|(path, body)| (format!("/redfish/v1{path}"), body.clone())).collect(),
            asked: Vec::new(),
            hangs: BTreeSet::new(),
            expands: true,
            unfolds: true,
            pages: Pages::Honoured,
            tags: false,
            seconds: 0.3,
            longest: 0.0,
            not_modified: 0,
            now: AT,
        }
    }

    fn set(&mut self, path: &str, body: Value) {
        self.resources.insert(format!("/redfish/v1{path}"), body);
    }

    fn root(&self) -> Value {
        let mut root = self.resources.get("/redfish/v1").cloned().unwrap();
        root["ProtocolFeaturesSupported"] = json!({"ExpandQuery": {"NoLinks": self.expands, "Levels": true}});
        root
    }

    fn unfolded(&self, value: &Value, count: &mut usize) -> Value {
        let target = value.get("@odata.id").and_then(Value::as_str).filter(|_| value.as_object().unwrap().len() == 1);
        match target.and_then(|uri| self.resources.get(uri)) {
            Some(body) => {
                *count += 1;
                let mut body = body.clone();
                if let Some(uri) = target.filter(|_| body.get("@odata.id").is_none()) {
                    body["@odata.id"] = uri.into();
                }
                body
            }
            None => value.clone(),
        }
    }

    fn serve(&self, uri: &str) -> Option<(Value, usize)> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let mut body = self.resources.get(path).cloned()?;
        let number = |name: &str| query.split('&').find_map(|p| p.strip_prefix(name)?.parse::<usize>().ok());
        let (top, skip) = (number("$top="), number("$skip=").unwrap_or(0));
        let mut members = 0;
        if let Some(list) = body.get("Members").and_then(Value::as_array).cloned() {
            let all = list.len();
            let (skip, top) = match self.pages {
                Pages::Refused if top.is_some() => return None,
                Pages::Ignored | Pages::Refused => (0, all),
                Pages::TopOnly => (0, top.unwrap_or(all)),
                Pages::AtMostSeven => (skip, top.unwrap_or(all).min(if top.is_some() { 7 } else { all })),
                Pages::Honoured | Pages::CountsWhatItSends => (skip, top.unwrap_or(all)),
            };
            let mut list: Vec<Value> = list.into_iter().skip(skip).take(top).collect();
            if self.expands && query.contains("$expand") {
                list = list.iter().map(|m| self.unfolded(m, &mut members)).collect();
            }
            let count = if self.pages == Pages::CountsWhatItSends { list.len() } else { all };
            body["Members"] = list.into();
            body["Members@odata.count"] = count.into();
        } else if self.expands && self.unfolds && query.contains("$expand") {
            for (_, value) in body.as_object_mut().unwrap() {
                let new = match &*value {
                    Value::Array(list) => list
                        .iter()
                        .map(|v| if v.is_object() { self.unfolded(v, &mut members) } else { v.clone() })
                        .collect(),
                    Value::Object(_) => self.unfolded(value, &mut members),
                    other => other.clone(),
                };
                *value = new;
            }
        }
        Some((body, members))
    }

    fn poll(&mut self, section: Section, memory: &mut Memory) -> Outcome {
        self.asked.clear();
        let mut walk = Walk::new(section, &self.root(), memory, None, Limits::default(), self.now);
        while let Some(get) = walk.poll_get(memory) {
            self.asked.push(get.uri.clone());
            let path = get.uri.split('?').next().unwrap_or_default();
            let (answer, seconds) = match self.serve(&get.uri) {
                _ if self.hangs.iter().any(|h| path.starts_with(h)) => {
                    (Answer::Failed { cause: Cause::Timeout, detail: "no answer".to_owned() }, 10.0)
                }
                Some((body, members)) => {
                    let text = body.to_string();
                    let etag = self.tags.then(|| format!("W/\"{}\"", text.bytes().map(u64::from).sum::<u64>()));
                    let members = f64::from(u32::try_from(members).unwrap());
                    let seconds = self.seconds * (1.0 + members / 2.0);
                    self.longest = self.longest.max(seconds);
                    if etag.is_some() && etag == get.if_none_match {
                        self.not_modified += 1;
                        (Answer::Http { status: 304, body: Vec::new(), etag }, seconds)
                    } else {
                        (Answer::Http { status: 200, body: text.into_bytes(), etag }, seconds)
                    }
                }
                None => (Answer::Http { status: 404, body: Vec::new(), etag: None }, self.seconds),
            };
            self.now = self.now.plus(Duration::from_secs_f64(seconds));
            memory.took(&get, Duration::from_secs_f64(seconds));
            walk.handle_body(memory, &get, answer, self.now);
        }
        self.now = self.now.plus(Duration::from_secs(60));
        walk.finish(memory, self.now)
    }
}

fn link(path: &str) -> Value {
    json!({"@odata.id": format!("/redfish/v1{path}")})
}

fn list(paths: impl IntoIterator<Item = String>) -> Value {
    let members: Vec<Value> = paths.into_iter().map(|p| link(&p)).collect();
    json!({"Members@odata.count": members.len(), "Members": members})
}

fn readings(outcome: &Outcome) -> Vec<&Reading> {
    outcome.observations.iter().filter_map(|o| if let Observation::Reading(r) = o { Some(r) } else { None }).collect()
}

fn sensors_told(outcome: &Outcome) -> BTreeSet<String> {
    readings(outcome).iter().map(|r| format!("{} {}", r.component, r.sensor)).collect()
}

fn gaps(outcome: &Outcome) -> Vec<&Gap> {
    outcome.observations.iter().filter_map(|o| if let Observation::Gap(g) = o { Some(g) } else { None }).collect()
}

/// A server with one chassis of both generations: `extra` of its sensors are only in the newer one.
fn server(extra: usize) -> Service {
    let temperature = |n: usize| json!({"Name": format!("T{n} Temp"), "ReadingCelsius": 30 + n});
    let sensor = |name: String, kind: &str, unit: &str| json!({"Id": name, "Name": name, "Reading": 30, "ReadingType": kind, "ReadingUnits": unit});
    let temperatures: Vec<Value> = (0..6).map(temperature).collect();
    let fans: Vec<Value> =
        (0..4).map(|n| json!({"Name": format!("Fan {n}"), "Reading": 5000, "ReadingUnits": "RPM"})).collect();
    let mut service = Service::new(&[
        ("", json!({"Chassis": link("/Chassis"), "Systems": link("/Systems")})),
        ("/Chassis", list(["/Chassis/1".to_owned()])),
        (
            "/Chassis/1",
            json!({"Id": "1", "Status": {"Health": "OK"}, "Thermal": link("/Chassis/1/Thermal"), "Power": link("/Chassis/1/Power"),
                "Sensors": link("/Chassis/1/Sensors")}),
        ),
        ("/Chassis/1/Thermal", json!({"Temperatures": temperatures, "Fans": fans})),
        ("/Chassis/1/Power", json!({"PowerSupplies": [{"Name": "PSU1", "PowerInputWatts": 200}]})),
        ("/Systems", list(["/Systems/1".to_owned()])),
        (
            "/Systems/1",
            json!({"Id": "1", "PowerState": "On", "Status": {"Health": "OK"}, "Storage": link("/Systems/1/Storage")}),
        ),
    ]);
    let old = (0..6).map(|n| (format!("T{n}Temp"), sensor(format!("T{n} Temp"), "Temperature", "Cel")));
    let new = (0..extra).map(|n| (format!("P{n}"), sensor(format!("P{n}"), "Power", "W")));
    let all: Vec<(String, Value)> = old.chain(new).collect();
    service.set("/Chassis/1/Sensors", list(all.iter().map(|(id, _)| format!("/Chassis/1/Sensors/{id}"))));
    for (id, body) in all {
        service.set(&format!("/Chassis/1/Sensors/{id}"), body);
    }
    service
}

#[test]
fn a_steady_poll_takes_four_requests_and_two_seconds_and_everything_has_its_turn() {
    for expands in [true, false] {
        let mut service = server(8);
        service.expands = expands;
        let mut memory = Memory::default();
        let whole = sensors_told(&service.poll(Section::Sensors, &mut memory));
        let mut seen = BTreeSet::new();
        for _ in 0..10 {
            let began = service.now;
            let outcome = service.poll(Section::Sensors, &mut memory);
            let took = service.now.since(began) - Duration::from_secs(60);
            assert!(service.asked.len() <= 4 && took <= Duration::from_secs(2), "{took:?} {:?}", service.asked);
            let told = sensors_told(&outcome);
            assert!(told.contains("board/T3 T3 Temp") && told.iter().any(|t| t.starts_with("fan/")), "{told:?}");
            assert!(gaps(&outcome).is_empty());
            seen.extend(told);
        }
        assert_eq!(seen, whole, "the names stay, and all come");
    }
}

#[test]
fn a_chassis_that_is_put_in_is_found_within_ten_polls() {
    for expands in [true, false] {
        let mut service = server(2);
        service.expands = expands;
        let mut memory = Memory::default();
        service.poll(Section::Sensors, &mut memory);
        service.poll(Section::Sensors, &mut memory);
        service.set("/Chassis", list(["/Chassis/1".to_owned(), "/Chassis/Tray".to_owned()]));
        service.set("/Chassis/Tray", json!({"Id": "Tray", "Thermal": link("/Chassis/Tray/Thermal")}));
        service.set("/Chassis/Tray/Thermal", json!({"Temperatures": [{"Name": "GPU Temp", "ReadingCelsius": 50}]}));
        let polls = (1..=10)
            .find(|_| sensors_told(&service.poll(Section::Sensors, &mut memory)).iter().any(|t| t.contains("GPU")));
        assert!(polls.is_some(), "expands: {expands}");
    }
}

#[test]
fn a_figure_is_never_told_as_read_when_it_was_not() {
    let mut service = server(0);
    let mut memory = Memory::default();
    let mut told: BTreeSet<(String, Timestamp)> = BTreeSet::new();
    for section in [Section::Inventory, Section::Sensors, Section::Sensors, Section::Drives, Section::Sensors] {
        let outcome = service.poll(section, &mut memory);
        for r in readings(&outcome).iter().filter(|_| section == Section::Sensors) {
            assert!(told.insert((format!("{} {} {}", r.component, r.kind, r.sensor), r.observed_at)), "{r:?} twice");
        }
    }
}

#[test]
fn what_one_section_has_read_another_does_not_ask_for() {
    let mut service = server(0);
    service.set("/Systems/1/Storage", list(["/Systems/1/Storage/A".to_owned()]));
    service.set("/Systems/1/Storage/A", json!({"Id": "A", "Drives": [link("/Systems/1/Storage/A/Drives/1")]}));
    service.set("/Systems/1/Storage/A/Drives/1", json!({"Id": "1", "SerialNumber": "S1", "Status": {"Health": "OK"}}));
    let mut memory = Memory::default();
    let mut asked = Vec::new();
    for section in Section::OF_BMC {
        service.poll(section, &mut memory);
        service.now = service.now.minus(Duration::from_secs(60));
        asked.append(&mut service.asked);
    }
    let once: BTreeSet<&String> = asked.iter().collect();
    assert_eq!(once.len(), asked.len(), "{asked:?}");
    service.poll(Section::Drives, &mut memory);
    assert!(service.asked.iter().any(|uri| uri.contains("Drives/1")), "what is told is read anew: {:?}", service.asked);
}

#[test]
fn what_did_not_change_is_told_with_the_time_at_which_the_bmc_said_so() {
    let mut service = server(3);
    service.tags = true;
    let mut memory = Memory::default();
    let first = service.poll(Section::Sensors, &mut memory);
    let again = service.poll(Section::Sensors, &mut memory);
    assert!(service.not_modified >= 2, "{}", service.not_modified);
    let time = |o: &Outcome| readings(o).iter().find(|r| r.sensor == "T1 Temp").unwrap().observed_at;
    assert!(time(&again) > time(&first));
}

/// Firmware images behind a service that pages in some way or other.
fn firmware(count: usize, pages: Pages, seconds: f64) -> (Service, BTreeSet<String>) {
    let mut service = Service::new(&[
        ("", json!({"UpdateService": link("/UpdateService")})),
        ("/UpdateService", json!({"FirmwareInventory": link("/UpdateService/FirmwareInventory")})),
    ]);
    let uris: Vec<String> = (0..count).map(|n| format!("/UpdateService/FirmwareInventory/{n}")).collect();
    for (n, uri) in uris.iter().enumerate() {
        service.set(uri, json!({"Id": n.to_string(), "Name": format!("Image {n}"), "Version": format!("1.{n}")}));
    }
    service.set("/UpdateService/FirmwareInventory", list(uris));
    service.pages = pages;
    service.seconds = seconds;
    (service, (0..count).map(|n| format!("1.{n}")).collect())
}

fn versions(outcome: &Outcome) -> Vec<String> {
    let inventories =
        outcome.observations.iter().filter_map(|o| if let Observation::Inventory(i) = o { Some(i) } else { None });
    inventories.flat_map(|i| &i.parts).filter_map(|p| p.firmware.clone()).collect()
}

#[test]
fn a_long_list_is_read_in_pages_where_the_bmc_has_them() {
    let (mut service, all) = firmware(106, Pages::Honoured, 0.25);
    let outcome = service.poll(Section::Inventory, &mut Memory::default());
    assert_eq!(versions(&outcome).into_iter().collect::<BTreeSet<_>>(), all);
    assert!(service.asked.len() <= 6, "{:?}", service.asked);
    assert!(service.longest <= 5.0, "{}", service.longest);
}

#[test]
fn members_that_an_expanded_answer_lacks_or_spoils_are_asked_for_themselves() {
    let mut service = Service::new(&[("", json!({"Chassis": link("/Chassis")}))]);
    let uris: Vec<String> = (0..4).map(|n| format!("/Chassis/{n}")).collect();
    for uri in &uris {
        service.set(uri, json!({"Id": uri.trim_start_matches("/Chassis/"), "Status": {"Health": "OK"}}));
    }
    service.set("/Chassis", list(uris));
    let whole = service.unfolded(&link("/Chassis/0"), &mut 0);
    let spoilt = json!({"@odata.id": "/redfish/v1/Chassis/1", "error": {"code": "Base.1.8.GeneralError", "message": "internal"}});
    let broken = json!({"Members@odata.count": 4, "Members": [whole, spoilt, link("/Chassis/2")]});
    let mut memory = Memory::default();
    for _ in 0..2 {
        let mut asked = Vec::new();
        let mut walk = Walk::new(Section::Sensors, &service.root(), &mut memory, None, Limits::default(), AT);
        while let Some(get) = walk.poll_get(&mut memory) {
            asked.push(get.uri.clone());
            let body = match get.uri.contains("$expand") {
                true => Some(broken.clone()),
                false => service.resources.get(&get.uri).cloned(),
            };
            let status = if body.is_some() { 200 } else { 404 };
            let body = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
            walk.handle_body(&mut memory, &get, Answer::Http { status, body, etag: None }, AT);
        }
        let outcome = walk.finish(&mut memory, AT);
        let told: Vec<String> = readings(&outcome).iter().map(|r| r.component.to_string()).collect();
        assert_eq!(told, ["chassis/0", "chassis/1", "chassis/2", "chassis/3"], "{asked:?}");
        assert!(gaps(&outcome).is_empty(), "{:?}", gaps(&outcome));
        memory = Memory::default();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a BMC takes `$top` and `$skip`, every member is read, none is told twice, and none is asked for without end.
    #[test]
    fn every_member_is_read_once_however_the_bmc_pages(
        count in 0usize..130, pages in 0usize..6, expands in any::<bool>(), millis in 1u32..900,
    ) {
        use Pages::*;
        let pages = [Honoured, Ignored, TopOnly, CountsWhatItSends, AtMostSeven, Refused][pages];
        let (mut service, all) = firmware(count, pages, f64::from(millis) / 1000.0);
        service.expands = expands;
        let mut memory = Memory::default();
        for _ in 0..2 {
            let (mut told, mut asked) = (Vec::new(), 0);
            for _ in 0..8 {
                let outcome = service.poll(Section::Inventory, &mut memory);
                told.extend(versions(&outcome));
                asked += service.asked.len();
                if outcome.more.is_none() {
                    break;
                }
            }
            prop_assert_eq!(told.len(), all.len(), "{:?}", &service.asked);
            prop_assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), all.clone());
            prop_assert!(asked <= count + 8, "{:?}", &service.asked);
        }
        // Only a BMC that ignores `$top` may be asked for too much, until that is known.
        prop_assert!(service.longest <= 5.0 || pages == Ignored, "{} {:?} {:?}", service.longest, pages, &service.asked);
    }
}

/// An inventory as `Observation::Inventory` has it, if it was told.
fn inventory(outcome: &Outcome) -> Option<&outband_schemas::Inventory> {
    outcome.observations.iter().find_map(|o| if let Observation::Inventory(i) = o { Some(i) } else { None })
}

#[test]
fn a_long_list_that_comes_member_by_member_is_read_in_portions_that_all_say_whose_they_are() {
    let (mut service, all) = firmware(60, Pages::Ignored, 0.4);
    service.expands = false;
    service.set("/Systems", list(["/Systems/1".to_owned()]));
    service.set(
        "/Systems/1",
        json!({"Id": "1", "SerialNumber": "SN1", "BiosVersion": "B-77", "Status": {"Health": "OK"}}),
    );
    let mut root = service.resources["/redfish/v1"].clone();
    root["Systems"] = link("/Systems");
    service.set("", root);
    let mut memory = Memory::default();
    let (mut told, mut polls) = (BTreeSet::new(), Vec::new());
    loop {
        let outcome = service.poll(Section::Inventory, &mut memory);
        let versions = versions(&outcome);
        assert_eq!(inventory(&outcome).and_then(|i| i.identity.serial.as_deref()), Some("SN1"), "portion {polls:?}");
        polls.push(versions.len());
        told.extend(versions);
        match outcome.more {
            Some(left) => assert!(left.contains("firmware image"), "{left}"),
            None => break,
        }
        assert!(service.asked.len() <= 24, "{:?}", service.asked);
    }
    assert_eq!(polls, [0, 24, 24, 13], "the BIOS, which no image is, comes with the last");
    assert!(told.is_superset(&all) && told.len() == 61);
    service.poll(Section::Inventory, &mut memory);
    assert!(service.asked.iter().any(|uri| uri.ends_with("/Systems/1")), "the next inventory begins anew");
}

#[test]
fn a_storage_comes_with_its_drives_in_one_request_or_drive_by_drive() {
    let mut service = server(0);
    let drives: Vec<String> = (0..6).map(|n| format!("/Systems/1/Storage/A/Drives/{n}")).collect();
    service.set("/Systems/1/Storage", list(["/Systems/1/Storage/A".to_owned()]));
    let links: Vec<Value> = drives.iter().map(|d| link(d)).collect();
    service.set(
        "/Systems/1/Storage/A",
        json!({"Id": "A", "Drives": links, "Volumes": link("/Systems/1/Storage/A/Volumes")}),
    );
    service.set("/Systems/1/Storage/A/Volumes", list([]));
    for (n, drive) in drives.iter().enumerate() {
        service.set(drive, json!({"Id": n.to_string(), "SerialNumber": format!("S{n}"), "Status": {"Health": "OK"}}));
    }
    let mut told = Vec::new();
    for unfolds in [true, false] {
        service.unfolds = unfolds;
        let mut memory = Memory::default();
        told.push(sensors_told(&service.poll(Section::Drives, &mut memory)));
        let of_drives = service.asked.iter().filter(|uri| uri.contains("/Drives/")).count();
        assert_eq!(of_drives, if unfolds { 0 } else { 6 }, "{:?}", service.asked);
        service.poll(Section::Drives, &mut memory);
        let tries = service.asked.iter().filter(|uri| uri.contains("Storage/A?")).count();
        assert_eq!(tries, usize::from(unfolds), "what does not expand is not asked to again: {:?}", service.asked);
    }
    assert_eq!(told[0], told[1]);
    assert!(told[0].len() >= 6);
}

#[test]
fn sensors_that_only_repeat_are_left_out_named_and_looked_through_later() {
    let mut service = server(0);
    let (mut ids, mut last) = (Vec::new(), String::new());
    for n in 0..120 {
        last = format!("D{n}");
        let body = json!({"Id": last, "Name": last, "Reading": 0, "ReadingUnits": "", "Status": {"State": "Enabled"}});
        service.set(&format!("/Chassis/1/Sensors/{last}"), body);
        ids.push(format!("/Chassis/1/Sensors/{last}"));
    }
    service.set(
        &format!("/Chassis/1/Sensors/{last}"),
        json!({"Id": last, "Name": "Late Power", "Reading": 7, "ReadingType": "Power", "ReadingUnits": "W"}),
    );
    service.set("/Chassis/1/Sensors", list(ids));
    let mut memory = Memory::default();
    let outcome = service.poll(Section::Sensors, &mut memory);
    assert!(service.longest <= 5.0 && service.asked.len() < 12, "{} {:?}", service.longest, service.asked);
    let told = gaps(&outcome);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].source.0.ends_with("/Chassis/1/Sensors") && told[0].detail.contains("of 120 sensors"), "{told:?}");
    let found = (0..60)
        .any(|_| sensors_told(&service.poll(Section::Sensors, &mut memory)).iter().any(|t| t.contains("Late Power")));
    assert!(found, "what says something is found in the end");
}

#[test]
fn a_chassis_that_hangs_costs_two_waits_and_nothing_but_itself() {
    let mut service = server(0);
    service.expands = false;
    service.set("/Chassis", list(["/Chassis/Bad".to_owned(), "/Chassis/1".to_owned()]));
    let below = ["Thermal", "Power", "Sensors"];
    let mut bad = json!({"Id": "Bad"});
    for name in below {
        bad[name] = link(&format!("/Chassis/Bad/{name}"));
        service.hangs.insert(format!("/redfish/v1/Chassis/Bad/{name}"));
    }
    service.set("/Chassis/Bad", bad);
    let mut memory = Memory::default();
    for poll in 0..4 {
        let outcome = service.poll(Section::Sensors, &mut memory);
        let waits = service.asked.iter().filter(|uri| uri.contains("/Bad/")).count();
        assert!(waits <= 2, "{poll}: {:?}", service.asked);
        assert!(
            sensors_told(&outcome).contains("board/T1 T1 Temp")
                || sensors_told(&outcome).contains("board/1 T1 T1 Temp"),
            "{poll}: {:?}",
            sensors_told(&outcome)
        );
        assert!(gaps(&outcome).iter().any(|g| g.cause == Cause::Timeout && g.source.0.contains("/Bad")), "{poll}");
        assert!(outcome.failed.is_none());
    }
}

#[test]
fn what_needs_a_licence_is_asked_for_once() {
    let mut service = server(0);
    service.expands = false;
    service.set("/Systems/1/Storage", list(["/Systems/1/Storage/A".to_owned()]));
    let drives: Vec<Value> = (0..5).map(|n| link(&format!("/Systems/1/Storage/A/Drives/{n}"))).collect();
    service.set("/Systems/1/Storage/A", json!({"Id": "A", "Drives": drives}));
    for n in 0..5 {
        let metrics = format!("/Systems/1/Storage/A/Drives/{n}/Metrics");
        service
            .set(&format!("/Systems/1/Storage/A/Drives/{n}"), json!({"Id": n.to_string(), "Metrics": link(&metrics)}));
        let refusal = json!({"error": {"code": "LIC501", "message": "A required license is missing"}});
        service.set(&metrics, refusal);
    }
    let outcome = service.poll(Section::Drives, &mut Memory::default());
    assert_eq!(service.asked.iter().filter(|uri| uri.ends_with("/Metrics")).count(), 1, "{:?}", service.asked);
    let told: usize = gaps(&outcome).iter().filter(|g| g.detail.contains("license")).count();
    assert!(told >= 1, "{:?}", gaps(&outcome));
}
