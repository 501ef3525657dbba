//! An entry of a log: what it says, and what tells it from others.

use super::cursor::Order;
use crate::redfish::lenient::{self, clip, link, text, time, truth};
use crate::redfish::meaning;
use crate::redfish::memory::Memory;
use outband_schemas::{LogEvent, Source, Timestamp};
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// An entry as it was read.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) uri: String,
    id: String,
    number: Option<u64>,
    created: Option<Timestamp>,
    /// Changes when the entry is edited in place.
    pub(super) digest: u64,
    body: Value,
}

impl Entry {
    /// `None` for what is no entry: placeholders without any word or time.
    pub(super) fn of(uri: String, body: Value) -> Option<Self> {
        let says =
            ["Message", "MessageId", "Created", "EventTimestamp", "Name"].iter().any(|f| text(&body, f).is_some());
        says.then(|| {
            let tail = crate::redfish::walk::tail(&uri);
            let id = text(&body, "Id").or_else(|| text(&body, "RecordId")).unwrap_or_else(|| tail.to_owned());
            let (number, created, digest) = (id.parse().ok(), created(&body), digest_of(&id, &body));
            Self { uri, id, number, created, digest, body }
        })
    }

    /// What the entry says, read at `at`.
    pub(super) fn event(&self, log: &str, memory: &Memory, at: Timestamp) -> LogEvent {
        let body = &self.body;
        let code = text(body, "MessageId")
            .or_else(|| text(body, "OemLogEntryCode"))
            .or_else(|| text(body, "EventId"))
            .unwrap_or_default();
        let message = text(body, "Message")
            .or_else(|| text(body, "Description"))
            .or_else(|| text(body, "Name"))
            .unwrap_or_default();
        let sensor_type = text(body, "SensorType").or_else(|| text(body, "OemSensorType")).unwrap_or_default();
        let origin = link(body, "OriginOfCondition");
        let kind = meaning::kind(&code, &sensor_type, &message);
        LogEvent {
            component: meaning::component(kind, origin.as_deref(), &message, memory),
            log: name_of(log),
            id: self.id.clone(),
            kind,
            severity: meaning::severity(body),
            deasserted: is_over(body, &message),
            message: clip(&message, 2000),
            code: clip(&code, 200),
            bmc_time: self.created,
            observed_at: at,
            source: Source(self.uri.clone()),
            raw: canonical(body),
        }
    }
}

fn created(body: &Value) -> Option<Timestamp> {
    time(body, "Created").or_else(|| time(body, "EventTimestamp"))
}

fn is_over(body: &Value, message: &str) -> bool {
    let repaired = || ["Hpe", "Hp"].iter().find_map(|o| truth(body.get("Oem")?.get(*o)?, "Repaired"));
    truth(body, "Resolved") == Some(true)
        || text(body, "EntryCode").is_some_and(|c| c.eq_ignore_ascii_case("deassert"))
        || repaired() == Some(true)
        || message.to_ascii_lowercase().contains("deasserted")
}

/// The log's name: `Systems/1/IML` of `/redfish/v1/Systems/1/LogServices/IML`. Ids alone repeat between systems and managers.
pub(in crate::redfish) fn name_of(uri: &str) -> String {
    uri.trim_start_matches("/redfish/v1/").replace("/LogServices", "").trim_matches('/').to_owned()
}

/// What makes an entry the entry it is.
const IDENTITY: [&str; 7] =
    ["Created", "EventTimestamp", "MessageId", "Message", "EntryCode", "SensorType", "SensorNumber"];
/// What is edited in place while an entry stays in its log: a condition that ended or came again.
const STATE: [&str; 4] = ["Severity", "MessageSeverity", "Resolved", "Modified"];
/// The same in a maker's section: HPE's IML counts repetitions in the entry of the first (`Count`, `Updated`) and marks what was repaired.
const OEM_STATE: [&str; 5] = ["Severity", "Repaired", "Count", "Updated", "Resolved"];

/// FNV-1a, folded to 47 bits: digests are stored, so they must be the same in every version.
pub(super) fn digest(parts: impl Iterator<Item = String>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain([1]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    (hash ^ (hash >> 47)) & 0x7fff_ffff_ffff
}

fn digest_of(id: &str, body: &Value) -> u64 {
    let own = IDENTITY.iter().chain(&STATE).map(|f| text(body, f).unwrap_or_default());
    let arguments = lenient::list(body, "MessageArgs").iter().filter_map(lenient::as_text);
    let makers = body.get("Oem").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let edited =
        makers.flat_map(|maker| OEM_STATE.iter().filter_map(move |f| Some(format!("{f}={}", text(maker, f)?))));
    digest(std::iter::once(id.to_owned()).chain(own).chain(arguments).chain(edited))
}

/// The entry as compact JSON with sorted fields, without annotations and links: the same whether it was read inline or by itself.
fn canonical(body: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                let kept: BTreeMap<&String, Value> = fields
                    .iter()
                    .filter(|(name, _)| {
                        !name.contains('@')
                            && !matches!(name.as_str(), "Links" | "links" | "Actions" | "AdditionalDataURI")
                    })
                    .map(|(name, value)| (name, sorted(value)))
                    .collect();
                Value::Object(kept.into_iter().map(|(name, value)| (name.clone(), value)).collect::<Map<_, _>>())
            }
            Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
            other => other.clone(),
        }
    }
    sorted(body).to_string()
}

/// How a page lists its entries: by their ids and by their times, which must not contradict each other. One step against the others is where ids start again
/// or a clock was set.
pub(super) fn order_of(entries: &[&Entry]) -> Option<Order> {
    let by_id = |a: &Entry, b: &Entry| Some(a.number?.cmp(&b.number?));
    let by_time = |a: &Entry, b: &Entry| Some(a.created?.as_millis().cmp(&b.created?.as_millis()));
    let steps = |compare: &dyn Fn(&Entry, &Entry) -> Option<Ordering>| {
        entries.windows(2).fold((0, 0), |(up, down), pair| match pair {
            [a, b] => match compare(a, b) {
                Some(Ordering::Less) => (up + 1, down),
                Some(Ordering::Greater) => (up, down + 1),
                _ => (up, down),
            },
            _ => (up, down),
        })
    };
    let clear = |(up, down): (usize, usize)| match (up, down) {
        (up, down) if up > 0 && (down == 0 || (down == 1 && up > 4)) => Some(Order::OldestFirst),
        (up, down) if down > 0 && (up == 0 || (up == 1 && down > 4)) => Some(Order::NewestFirst),
        _ => None,
    };
    let (ids, times) = (steps(&by_id), steps(&by_time));
    match (clear(ids), clear(times)) {
        (Some(by_id), Some(by_time)) => Some(by_id).filter(|order| *order == by_time),
        (Some(order), None) => Some(order),
        (None, order) => order.filter(|_| ids == (0, 0)),
    }
}
