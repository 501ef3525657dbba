//! A Redfish service generated from a [`Machine`]: what a current BMC with both generations of thermal resources shows.

mod chassis;
mod entries;
mod storage;
mod system;

use super::{Content, NextLink, Options, Pages, Service, Where, error};
use crate::sim::https::{Answer, Call};
use crate::sim::machine::{Machine, Shared};
use bytes::Bytes;
use serde_json::{Value, json};
use std::io;

/// The service of one server.
#[derive(Debug)]
pub struct RedfishServer {
    machine: Shared,
}

impl RedfishServer {
    /// Serves a server over HTTPS on loopback until the handle is dropped. Needs a tokio runtime.
    ///
    /// Its log comes in pages of 50 entries unless the options say otherwise.
    pub async fn serve(machine: Shared, mut options: Options) -> io::Result<Service> {
        if options.pages.is_empty() {
            let log = Where::At(format!("/redfish/v1{}/Entries", entries::BASE));
            options.pages.push(Pages { place: log, size: 50, next: NextLink::Skip });
        }
        Service::start(Self { machine }, options).await
    }
}

impl Content for RedfishServer {
    fn get(&self, path: &str, query: Option<&str>) -> Option<Bytes> {
        if query.is_some() {
            return None;
        }
        let machine = self.machine.now();
        let rest = path.trim_end_matches('/').strip_prefix("/redfish")?;
        let segments: Vec<&str> = rest.strip_prefix("/v1")?.split('/').filter(|s| !s.is_empty()).collect();
        let mut resource = resource(&machine, &segments)?;
        if let Some(object) = resource.as_object_mut() {
            object.insert("@odata.id".to_owned(), json!(path.trim_end_matches('/')));
        }
        Some(Bytes::from(resource.to_string()))
    }

    fn act(&self, call: &Call) -> Option<Answer> {
        let clear = "/redfish/v1/Systems/1/LogServices/Sel/Actions/LogService.ClearLog";
        if call.method == "PATCH" && call.path.trim_end_matches('/') == "/redfish/v1/Systems/1" {
            return Some(self.light(call));
        }
        if call.method != "POST" {
            return None;
        }
        if call.path != clear {
            return Some(error(404, "Base.1.8.ResourceMissingAtURI"));
        }
        let mut machine = self.machine.now();
        let time = machine.bmc_time();
        machine.log.clear(time);
        Some(Answer::status(204, ""))
    }

    fn fresh_entries(&self, seen: &mut u64) -> Vec<Value> {
        let machine = self.machine.now();
        let fresh = usize::try_from(machine.log.written() - *seen).unwrap_or(usize::MAX);
        *seen = machine.log.written();
        let skip = machine.log.len().saturating_sub(fresh);
        machine.log.entries().skip(skip).map(|e| entries::entry(&machine, e)).collect()
    }

    fn was_reset(&self) {
        self.machine.now().bmc_resets += 1;
    }

    fn silent(&self) -> bool {
        self.machine.now().silent
    }
}

impl RedfishServer {
    /// The one thing of the system that can be set.
    fn light(&self, call: &Call) -> Answer {
        let said: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        match said["IndicatorLED"].as_str() {
            Some("Blinking" | "Lit") => self.machine.now().identify = true,
            Some("Off") => self.machine.now().identify = false,
            _ => return error(400, "Base.1.8.PropertyValueNotInList"),
        }
        Answer::status(204, "")
    }
}

fn resource(machine: &Machine, segments: &[&str]) -> Option<Value> {
    match segments {
        [] => Some(root(machine)),
        ["Systems", rest @ ..] => system::resource(machine, rest),
        ["Chassis", rest @ ..] => chassis::resource(machine, rest),
        ["Managers", rest @ ..] => system::manager(machine, rest),
        ["UpdateService", rest @ ..] => system::firmware(machine, rest),
        ["SessionService"] => Some(json!({
            "@odata.type": "#SessionService.v1_1_8.SessionService", "Id": "SessionService", "Name": "Session Service",
            "SessionTimeout": 1800, "ServiceEnabled": true, "Sessions": link("/SessionService/Sessions"),
        })),
        _ => None,
    }
}

fn root(machine: &Machine) -> Value {
    json!({
        "@odata.type": "#ServiceRoot.v1_9_0.ServiceRoot", "Id": "RootService", "Name": "Root Service", "RedfishVersion": "1.11.0",
        "UUID": machine.spec.uuid_text(), "Vendor": machine.spec.manufacturer, "Product": "Northgate BMC",
        "Systems": link("/Systems"), "Chassis": link("/Chassis"), "Managers": link("/Managers"),
        "UpdateService": link("/UpdateService"), "SessionService": link("/SessionService"),
        "Links": {"Sessions": link("/SessionService/Sessions")},
    })
}

/// A link to a resource below `/redfish/v1`.
fn link(path: &str) -> Value {
    json!({"@odata.id": format!("/redfish/v1{path}")})
}

/// A collection of links.
fn collection(kind: &str, base: &str, members: impl IntoIterator<Item = String>) -> Value {
    let members: Vec<Value> = members.into_iter().map(|m| link(&format!("{base}/{m}"))).collect();
    json!({
        "@odata.type": format!("#{kind}Collection.{kind}Collection"), "Name": format!("{kind} Collection"),
        "Members@odata.count": members.len(), "Members": members,
    })
}

/// A status: whether it is there, and how well it is.
fn status(health: &str) -> Value {
    json!({"State": "Enabled", "Health": health})
}

/// To one decimal, as BMCs give their readings.
fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
