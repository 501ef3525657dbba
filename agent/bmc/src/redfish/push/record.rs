//! Event bodies (DSP0266 §12, Event schemas 1.0 to 1.x, and what vendors make of them) become records.

use super::super::lenient::{self, BodyError, clip, link, text, time, truth};
use super::super::meaning;
use super::super::memory::Memory;
use outband_schemas::{LogEvent, Source, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The log of events that no log of the BMC shows.
pub const LOG: &str = "EventService";
/// Records of one delivery beyond this are left out and counted: the log has them.
const MAX_RECORDS: usize = 512;

/// One record of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The record as an event of its own, of the log `EventService`: what is told where no log shows it.
    pub event: LogEvent,
    /// The log entry that it names.
    pub entry: Option<String>,
    /// The instance of the event (`EventId`), where it says.
    pub event_id: Option<String>,
    /// What delivered it (the stream's event id or the body's `Id`) and its place in there: the same again is a repeat.
    pub delivery: Option<String>,
}

/// What a body held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// What is worth a look at the log, in its order.
    pub records: Vec<Record>,
    /// What is no event of a server: metric reports, heartbeats, and changes of sessions, subscriptions and tasks, which our own requests cause.
    pub ignored: usize,
    /// Records left out since there were too many.
    pub left_out: usize,
}

/// Reads a body. `stream_id` is the id of the stream's event that brought it, if one did.
pub fn read(body: &[u8], stream_id: Option<&str>, memory: &Memory, at: Timestamp) -> Result<Delivery, BodyError> {
    let bodies = match serde_json::from_slice::<Vec<Value>>(body) {
        Ok(several) => several,
        Err(_) => vec![lenient::parse(body)?],
    };
    let mut delivery = Delivery::default();
    for body in &bodies {
        let id = stream_id.filter(|id| !id.is_empty()).map(str::to_owned).or_else(|| text(body, "Id"));
        for (index, record) in records(body).into_iter().enumerate() {
            if !record.is_object() || is_housekeeping(record) {
                delivery.ignored += 1;
            } else if delivery.records.len() >= MAX_RECORDS {
                delivery.left_out += 1;
            } else {
                let delivered = id.as_ref().map(|id| format!("{id}#{index}"));
                delivery.records.push(of(record, delivered, memory, at));
            }
        }
    }
    Ok(delivery)
}

/// The records of a body: its `Events`, or itself where it is one.
fn records(body: &Value) -> Vec<&Value> {
    for field in ["Events", "events", "EventRecords"] {
        match body.get(field) {
            Some(Value::Array(list)) => return list.iter().collect(),
            Some(one @ Value::Object(_)) => return vec![one],
            _ => {}
        }
    }
    let is_record = ["MessageId", "MessageID", "Message", "EventType"].iter().any(|f| text(body, f).is_some());
    // A metric report, an error, or junk is one thing that is ignored.
    if is_record && body.get("MetricValues").is_none() { vec![body] } else { vec![&Value::Null] }
}

fn of(body: &Value, delivery: Option<String>, memory: &Memory, at: Timestamp) -> Record {
    let code = text(body, "MessageId").or_else(|| text(body, "MessageID")).unwrap_or_default();
    let message = text(body, "Message").or_else(|| text(body, "Description")).unwrap_or_default();
    let message = if message.is_empty() { text(body, "EventType").unwrap_or_default() } else { message };
    let origin = link(body, "OriginOfCondition");
    let event_id = text(body, "EventId").or_else(|| text(body, "EventID"));
    let kind = meaning::kind(&code, &text(body, "SensorType").unwrap_or_default(), &message);
    let entry = entry(body, origin.as_deref());
    let source = entry.clone().or_else(|| origin.clone()).unwrap_or_else(|| "/redfish/v1/EventService".to_owned());
    let event = LogEvent {
        component: meaning::component(kind, origin.as_deref(), &message, memory),
        log: LOG.to_owned(),
        id: event_id.clone().or_else(|| delivery.clone()).unwrap_or_else(|| "-".to_owned()),
        kind,
        severity: meaning::severity(body),
        deasserted: truth(body, "Resolved") == Some(true) || message.to_ascii_lowercase().contains("deasserted"),
        message: clip(&message, 2000),
        code: clip(&code, 200),
        bmc_time: ["EventTimestamp", "Created", "TimeStamp", "Timestamp"].iter().find_map(|f| time(body, f)),
        observed_at: at,
        source: Source(source),
        raw: content(body),
    };
    Record { event, entry, event_id, delivery }
}

/// The log entry that a record names: by its link (Event 1.7 and later), as the place of the condition, or as the resource that it is itself.
fn entry(body: &Value, origin: Option<&str>) -> Option<String> {
    let own = || text(body, "@odata.type").filter(|t| t.contains("LogEntry")).and_then(|_| lenient::target(body));
    let named = ["LogEntry", "LogEntryUri", "AdditionalDataURI"].iter().find_map(|f| entry_uri(&link(body, f)?));
    named.or_else(|| entry_uri(&own()?)).or_else(|| entry_uri(origin?))
}

/// The entry that a URI leads to or below.
fn entry_uri(uri: &str) -> Option<String> {
    let plain = uri.split(['?', '#']).next().unwrap_or(uri);
    let entries = plain.find("/LogServices/").and_then(|logs| Some(logs + plain.get(logs..)?.find("/Entries/")?))?;
    let id_at = entries + "/Entries/".len();
    let id = plain.get(id_at..)?.split('/').next().filter(|id| !id.is_empty())?;
    plain.get(..id_at).map(|before| format!("{before}{id}"))
}

/// Changes that requests cause, the agent's own among them, and signs of life.
fn is_housekeeping(body: &Value) -> bool {
    let code = text(body, "MessageId").or_else(|| text(body, "MessageID")).unwrap_or_default();
    let (registry, key) = (code.split('.').next().unwrap_or(""), code.rsplit('.').next().unwrap_or(""));
    if registry == "HeartbeatEvent" || key == "RedfishServiceFunctional" || body.get("MetricValues").is_some() {
        return true;
    }
    let kind = text(body, "EventType").unwrap_or_default();
    let is_change = matches!(kind.as_str(), "ResourceAdded" | "ResourceUpdated" | "ResourceRemoved" | "MetricReport")
        || matches!(
            key,
            "ResourceCreated" | "ResourceChanged" | "ResourceUpdated" | "ResourceRemoved" | "ResourceDeleted"
        );
    let of_ours = ["/SessionService", "/Sessions/", "/EventService", "/TaskService", "/TelemetryService"];
    let origin = link(body, "OriginOfCondition").unwrap_or_default();
    is_change && of_ours.iter().any(|part| origin.contains(part))
}

/// The record without what differs from one delivery to the next.
fn content(body: &Value) -> String {
    let Value::Object(fields) = body else { return body.to_string() };
    let kept: BTreeMap<&String, &Value> = fields
        .iter()
        .filter(|(name, _)| !name.starts_with('@') && !matches!(name.as_str(), "Context" | "MemberId" | "Actions"))
        .collect();
    Value::Object(kept.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::{EventKind, Severity};
    use proptest::prelude::*;
    use serde_json::json;

    fn delivery(body: &Value) -> Delivery {
        read(body.to_string().as_bytes(), None, &Memory::default(), Timestamp::from_secs(9)).unwrap()
    }

    fn one(body: &Value) -> Record {
        let mut found = delivery(body).records;
        assert_eq!(found.len(), 1, "{body}");
        found.remove(0)
    }

    #[test]
    fn a_record_of_today_names_its_log_entry() {
        let record = one(&json!({"@odata.type": "#Event.v1_9_0.Event", "Id": "17", "Events": [{
            "EventType": "Alert", "EventId": "8765", "EventTimestamp": "2026-01-31T08:00:00-06:00", "Severity": "Critical", "MemberId": "0",
            "Message": "The power input for power supply 1 is lost.", "MessageId": "IDRAC.2.8.PSU0003",
            "LogEntry": {"@odata.id": "/redfish/v1/Managers/M/LogServices/Lclog/Entries/7/"}, "Context": "x",
            "OriginOfCondition": {"@odata.id": "/redfish/v1/Chassis/C/PowerSubsystem/PowerSupplies/PSU.1"}}]}));
        assert_eq!(record.entry.as_deref(), Some("/redfish/v1/Managers/M/LogServices/Lclog/Entries/7"));
        assert_eq!((record.event_id.as_deref(), record.delivery.as_deref()), (Some("8765"), Some("17#0")));
        assert_eq!((record.event.kind, record.event.severity), (EventKind::PowerSupplyInputLost, Severity::Critical));
        assert_eq!(record.event.bmc_time.unwrap().to_string(), "2026-01-31T14:00:00Z");
        assert_eq!(record.event.component.to_string(), "psu/1");
    }

    #[test]
    fn records_of_old_and_strange_forms_are_read() {
        let ilo4 = json!({"Type": "Event.1.0.0", "Events": [{"EventType": "Alert", "EventID": "a", "Severity": "Warning", "EventTimestamp":
            "2021-02-10T22:26:10+0000", "Message": "Fan 3 failed", "MessageID": "HpEvents.0.9.Fan", "OriginOfCondition": {"href": "/rest/v1/Chassis/1"}}]});
        assert_eq!(one(&ilo4).event_id.as_deref(), Some("a"));
        assert_eq!(one(&ilo4).event.bmc_time.unwrap().to_string(), "2021-02-10T22:26:10Z");
        let single = json!({"MessageId": "Alert.1.0.LanDisconnect", "Message": "LAN 1 was disconnected", "OriginOfCondition": "/redfish/v1/x"});
        assert_eq!(one(&single).event.source.0, "/redfish/v1/x");
        let object = json!({"Events": {"MessageId": "A.1.B", "Message": "m"}});
        assert_eq!(one(&object).event.code, "A.1.B");
        let entry = json!({"@odata.type": "#LogEntry.v1_4_0.LogEntry", "@odata.id": "/redfish/v1/Systems/1/LogServices/SEL/Entries/3", "Message": "m"});
        assert_eq!(one(&entry).entry.as_deref(), Some("/redfish/v1/Systems/1/LogServices/SEL/Entries/3"));
        let list = json!([object, single]);
        assert_eq!(delivery(&list).records.len(), 2);
    }

    #[test]
    fn reports_heartbeats_and_what_our_own_requests_cause_are_no_events() {
        let report = json!({"@odata.type": "#MetricReport.v1_4_0.MetricReport", "Id": "r", "MetricValues": [{"MetricValue": "1"}]});
        let beat = json!({"Events": [{"MessageId": "HeartbeatEvent.1.0.RedfishServiceFunctional", "Message": "ok"}]});
        let session = json!({"Events": [{"MessageId": "ResourceEvent.1.0.ResourceCreated", "Message": "The resource was created.",
            "OriginOfCondition": {"@odata.id": "/redfish/v1/SessionService/Sessions/5"}}]});
        for body in [report, beat, session] {
            assert_eq!(delivery(&body), Delivery { ignored: 1, ..Delivery::default() }, "{body}");
        }
        let drive = json!({"Events": [{"MessageId": "ResourceEvent.1.0.ResourceRemoved", "Message": "The resource was removed.",
            "OriginOfCondition": {"@odata.id": "/redfish/v1/Chassis/1/Drives/5"}}]});
        assert_eq!(delivery(&drive).records.len(), 1);
    }

    #[test]
    fn a_bad_record_loses_itself_and_not_its_neighbours() {
        let found = delivery(
            &json!({"Events": [null, "x", {"MessageId": 7, "Severity": [1], "EventTimestamp": "soon"}, {"Message": "m"}]}),
        );
        assert_eq!((found.records.len(), found.ignored), (2, 2));
        assert_eq!((found.records[0].event.bmc_time, found.records[0].event.code.as_str()), (None, "7"));
    }

    #[test]
    fn the_key_of_a_record_is_the_same_however_it_came() {
        let body = |context: &str, member: &str| {
            json!({"Id": context, "Events": [{"MessageId": "A.1.B", "Message": "m", "EventId": "5", "EventTimestamp": "2026-01-01T00:00:00Z", "Context": context,
                "MemberId": member, "@odata.id": format!("/x#{member}")}]})
        };
        assert_eq!(one(&body("a", "0")).event.natural_key(), one(&body("b", "1")).event.natural_key());
    }

    #[test]
    fn an_entry_is_found_in_links_to_and_below_it_and_nowhere_else() {
        let base = "/redfish/v1/Systems/1/LogServices/SEL/Entries/3";
        for uri in [format!("{base}/"), format!("{base}/attachment"), format!("{base}#/Message"), format!("{base}?x=1")]
        {
            assert_eq!(entry_uri(&uri).as_deref(), Some(base), "{uri}");
        }
        for uri in
            ["/redfish/v1/Systems/1/LogServices/SEL/Entries/", "/redfish/v1/Systems/1", "/Entries/3/LogServices/"]
        {
            assert_eq!(entry_uri(uri), None, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), field in "[A-Za-z@.]{0,12}", value in ".{0,20}") {
            drop(read(&bytes, None, &Memory::default(), Timestamp::EPOCH));
            let body = json!({"Events": [{ field: value.clone(), "OriginOfCondition": value.clone(), "Message": value }]});
            drop(delivery(&body));
        }
    }
}
