//! Section log: every entry of every log service once, with a bookmark that survives clears, wraps and clocks that were set back.

use super::lenient::{self, clip, link, text, time, truth};
use super::meaning;
use super::memory::Memory;
use super::route::Role;
use super::walk::{Loss, Node};
use crate::Bookmark;
use outband_schemas::{LogEvent, Source, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// How many digests of entries without number and time are kept per log.
const MAX_DIGESTS: usize = 512;

/// How far one log was read. Entries are known by the highest id and by the latest time: an id that starts again after a wrap has a later time, and an
/// entry written after the BMC's clock was set back has a higher id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// The highest numeric id, with the digest of its entry: another digest under that id means that the log was cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    top: Option<(u64, u64)>,
    /// The latest time, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latest: Option<i64>,
    /// Digests of the entries that have no numeric id: those of the latest time, and those without a time.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    digests: BTreeSet<u64>,
    /// The page that held the newest entry, where the log lists the oldest first: reading goes on there, and not at the log's beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Cursors {
    v: u8,
    logs: BTreeMap<String, Cursor>,
}

/// Reads logs from where a bookmark ends.
#[derive(Debug)]
pub(super) struct Reader {
    cursors: Cursors,
    /// Per log: the last page that was read, and the digests of its entries.
    last_pages: BTreeMap<String, (String, BTreeSet<u64>)>,
}

impl Reader {
    /// A bookmark that cannot be read is none: everything is read again, and the natural key of the entries keeps them single.
    pub(super) fn new(bookmark: Option<&Bookmark>) -> Self {
        let cursors = bookmark.and_then(|b| serde_json::from_str::<Cursors>(&b.0).ok()).filter(|c| c.v == 1);
        let cursors = cursors.unwrap_or(Cursors { v: 1, logs: BTreeMap::new() });
        Self { cursors, last_pages: BTreeMap::new() }
    }

    /// Where to go on reading a log; `None`: at its beginning.
    pub(super) fn resume_at(&self, log: &str) -> Option<String> {
        self.cursors.logs.get(log)?.page.clone()
    }

    /// Whether a page holds an entry up to which the log was read: then it is the right page to go on with.
    pub(super) fn holds_end(&self, log: &str, members: &[Value]) -> bool {
        let Some(cursor) = self.cursors.logs.get(log) else { return false };
        let is_end = |digest| cursor.top.is_some_and(|(_, top)| top == digest) || cursor.digests.contains(&digest);
        members.iter().any(|m| is_end(digest_of(m)))
    }

    /// Notes a page that was read.
    pub(super) fn page(&mut self, log: &str, uri: &str, members: &[Value]) {
        self.last_pages.insert(log.to_owned(), (uri.to_owned(), members.iter().map(digest_of).collect()));
    }

    /// Whether an entry that is only linked to has to be fetched. The top one is, to see that the log was not cleared meanwhile.
    pub(super) fn wants(&self, log: &str, id: &str) -> bool {
        match (self.cursors.logs.get(log).and_then(|c| c.top), numeric(id)) {
            (Some((top, _)), Some(id)) => id >= top,
            _ => true,
        }
    }

    /// Whether a page reaches back to what was read before: then older pages of a log that lists the newest first need not be read.
    pub(super) fn enough(&self, log: &str, members: &[Value]) -> bool {
        let Some((top, digest)) = self.cursors.logs.get(log).and_then(|c| c.top) else { return false };
        let ids: Vec<u64> = members.iter().filter_map(|m| numeric(&id_of(m, ""))).collect();
        let newest_first = ids.len() > 1 && ids.is_sorted_by(|a, b| a > b);
        newest_first && members.iter().any(|m| numeric(&id_of(m, "")) == Some(top) && digest_of(m) == digest)
    }

    /// The new entries, and how far the logs are read with them. A log of which something could not be read keeps its old place.
    pub(super) fn finish(mut self, nodes: &[Node], losses: &[Loss], memory: &Memory) -> (Vec<LogEvent>, Bookmark) {
        let mut events = Vec::new();
        let logs: BTreeSet<&str> =
            nodes.iter().filter(|n| n.role == Role::LogEntry).map(|n| n.owner.as_str()).collect();
        for log in logs {
            let entries: Vec<Entry<'_>> =
                nodes.iter().filter(|n| n.role == Role::LogEntry && n.owner == log).filter_map(Entry::of).collect();
            let before = self.cursors.logs.get(log).cloned().unwrap_or_default();
            let known = if before.cleared(&entries) { Cursor::default() } else { before.clone() };
            let name = log_name(log);
            events.extend(entries.iter().filter(|e| known.is_new(e)).map(|e| e.event(&name, memory)));
            let incomplete = losses.iter().any(|l| l.owner == log);
            if !incomplete {
                let mut cursor = known.advanced(&entries);
                cursor.page = self.last_pages.get(log).and_then(|(uri, held)| {
                    let newest = cursor.top.is_some_and(|(_, digest)| held.contains(&digest))
                        || !cursor.digests.is_disjoint(held);
                    (newest && uri.contains("skip")).then(|| uri.clone())
                });
                self.cursors.logs.insert(log.to_owned(), cursor);
            }
        }
        let text = serde_json::to_string(&self.cursors).unwrap_or_default();
        (events, Bookmark(text))
    }
}

impl Cursor {
    /// Whether the log was cleared since: its top entry is another one now, or there are only lower ids.
    fn cleared(&self, entries: &[Entry<'_>]) -> bool {
        let Some((top, digest)) = self.top else { return false };
        match entries.iter().find(|e| e.number == Some(top)) {
            Some(entry) => entry.digest != digest,
            None => entries.iter().filter_map(|e| e.number).max().is_some_and(|max| max < top),
        }
    }

    fn is_new(&self, entry: &Entry<'_>) -> bool {
        let later = match (entry.created, self.latest) {
            (Some(created), Some(latest)) => created.as_millis() > latest,
            (Some(_), None) => self.top.is_none(),
            (None, _) => false,
        };
        match (entry.number, self.top) {
            (Some(id), Some((top, _))) => id > top || later,
            (Some(_), None) => true,
            (None, _) if entry.created.is_some_and(|c| Some(c.as_millis()) != self.latest) => {
                later || self.latest.is_none()
            }
            (None, _) => !self.digests.contains(&entry.digest),
        }
    }

    fn advanced(mut self, entries: &[Entry<'_>]) -> Self {
        let top = entries.iter().filter_map(|e| Some((e.number?, e.digest))).max_by_key(|(id, _)| *id);
        self.top = match (self.top, top) {
            (Some(old), Some(new)) if new.0 < old.0 => Some(old),
            (old, new) => new.or(old),
        };
        let latest = entries.iter().filter_map(|e| e.created).map(Timestamp::as_millis).max();
        if latest > self.latest {
            self.latest = latest;
            self.digests.clear();
        }
        for entry in entries.iter().filter(|e| e.number.is_none()) {
            let at_the_end = entry.created.is_none_or(|c| Some(c.as_millis()) == self.latest);
            if at_the_end && self.digests.len() < MAX_DIGESTS {
                self.digests.insert(entry.digest);
            }
        }
        self
    }
}

struct Entry<'a> {
    node: &'a Node,
    id: String,
    number: Option<u64>,
    created: Option<Timestamp>,
    digest: u64,
}

impl<'a> Entry<'a> {
    /// `None` for what is no entry: placeholders without any word or time.
    fn of(node: &'a Node) -> Option<Self> {
        let body = &node.body;
        let says =
            ["Message", "MessageId", "Created", "EventTimestamp", "Name"].iter().any(|f| text(body, f).is_some());
        says.then(|| {
            let id = id_of(body, node.tail());
            Self { node, number: numeric(&id), id, created: created(body), digest: digest_of(body) }
        })
    }

    fn event(&self, log: &str, memory: &Memory) -> LogEvent {
        let body = &self.node.body;
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
            log: log.to_owned(),
            id: self.id.clone(),
            kind,
            severity: meaning::severity(body),
            deasserted: is_over(body, &message),
            message: clip(&message, 2000),
            code: clip(&code, 200),
            bmc_time: self.created,
            observed_at: self.node.at,
            source: Source(self.node.uri.clone()),
            raw: canonical(body),
        }
    }
}

fn created(body: &Value) -> Option<Timestamp> {
    time(body, "Created").or_else(|| time(body, "EventTimestamp"))
}

fn id_of(body: &Value, tail: &str) -> String {
    let by_uri = || lenient::target(body).map(|uri| super::walk::tail(&uri).to_owned());
    text(body, "Id").or_else(|| text(body, "RecordId")).or_else(by_uri).unwrap_or_else(|| tail.to_owned())
}

fn numeric(id: &str) -> Option<u64> {
    id.parse().ok()
}

fn is_over(body: &Value, message: &str) -> bool {
    let repaired = || ["Hpe", "Hp"].iter().find_map(|o| truth(body.get("Oem")?.get(*o)?, "Repaired"));
    truth(body, "Resolved") == Some(true)
        || text(body, "EntryCode").is_some_and(|c| c.eq_ignore_ascii_case("deassert"))
        || repaired() == Some(true)
        || message.to_ascii_lowercase().contains("deasserted")
}

/// The log's name: `Systems/1/IML` of `/redfish/v1/Systems/1/LogServices/IML`. Ids alone repeat between systems and managers.
fn log_name(uri: &str) -> String {
    uri.trim_start_matches("/redfish/v1/").replace("/LogServices", "").trim_matches('/').to_owned()
}

/// What makes an entry the entry it is, and does not change while it stays in the log.
fn digest_of(body: &Value) -> u64 {
    let fields = ["Id", "Created", "EventTimestamp", "MessageId", "Message"];
    let all: Vec<String> = fields.iter().map(|f| text(body, f).unwrap_or_default()).collect();
    // FNV-1a, 64 bit: the digest is stored, so it must be the same in every version.
    all.join("\u{1}")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LOG: &str = "/redfish/v1/Systems/1/LogServices/SEL";

    fn entry(id: &str, created: Option<i64>, message: &str) -> Node {
        let created = created.map(|c| Timestamp::from_secs(c).to_string());
        let body = json!({"Id": id, "Created": created.unwrap_or_else(|| "0000-00-00T00:00:00Z".to_owned()), "Message": message});
        let uri = format!("{LOG}/Entries/{id}");
        Node {
            uri,
            role: Role::LogEntry,
            owner: LOG.to_owned(),
            parent: String::new(),
            body,
            at: Timestamp::from_secs(9),
        }
    }

    fn read(bookmark: Option<&Bookmark>, nodes: &[Node]) -> (Vec<String>, Bookmark) {
        let (events, bookmark) = Reader::new(bookmark).finish(nodes, &[], &Memory::default());
        (events.into_iter().map(|e| e.id).collect(), bookmark)
    }

    #[test]
    fn an_entry_is_told_once_whatever_the_order_of_the_log() {
        let old: Vec<Node> = (1..=3).map(|i| entry(&i.to_string(), Some(i), "x")).collect();
        let (first, bookmark) = read(None, &old);
        assert_eq!(first, ["1", "2", "3"]);
        let mut both: Vec<Node> = (1..=4).map(|i| entry(&i.to_string(), Some(i), "x")).collect();
        assert_eq!(read(Some(&bookmark), &both).0, ["4"]);
        both.reverse();
        let (new, bookmark) = read(Some(&bookmark), &both);
        assert_eq!(new, ["4"]);
        assert!(read(Some(&bookmark), &both).0.is_empty());
    }

    #[test]
    fn a_cleared_log_is_read_from_its_start_even_with_the_clock_set_back() {
        let (_, bookmark) = read(None, &[entry("1", Some(100), "a"), entry("2", Some(200), "b")]);
        let (new, _) = read(Some(&bookmark), &[entry("1", Some(50), "log cleared")]);
        assert_eq!(new, ["1"]);
        let same_top = [entry("1", Some(50), "log cleared"), entry("2", Some(51), "c")];
        assert_eq!(read(Some(&bookmark), &same_top).0, ["1", "2"]);
    }

    #[test]
    fn an_entry_after_the_clock_was_set_back_is_new_by_its_id() {
        let (_, bookmark) = read(None, &[entry("1", Some(100), "a")]);
        assert_eq!(read(Some(&bookmark), &[entry("1", Some(100), "a"), entry("2", Some(5), "b")]).0, ["2"]);
    }

    #[test]
    fn ids_that_start_again_are_new_by_their_time_and_told_once() {
        let full = [entry("65534", Some(100), "a"), entry("65535", Some(101), "b")];
        let (_, bookmark) = read(None, &full);
        let wrapped = [entry("1", Some(102), "c"), entry("65535", Some(101), "b")];
        let (new, bookmark) = read(Some(&bookmark), &wrapped);
        assert_eq!(new, ["1"]);
        assert!(read(Some(&bookmark), &wrapped).0.is_empty());
    }

    #[test]
    fn entries_without_a_time_go_by_their_id() {
        let (_, bookmark) = read(None, &[entry("1", None, "a")]);
        assert_eq!(read(Some(&bookmark), &[entry("1", None, "a"), entry("2", None, "b")]).0, ["2"]);
    }

    #[test]
    fn entries_with_neither_number_nor_time_are_told_once() {
        let (_, bookmark) = read(None, &[entry("FFDC", None, "a")]);
        assert_eq!(read(Some(&bookmark), &[entry("FFDC", None, "a"), entry("MPFA", None, "b")]).0, ["MPFA"]);
    }

    #[test]
    fn journal_entries_of_one_instant_are_all_told_once() {
        let (_, bookmark) = read(None, &[entry("j_1", Some(7), "a")]);
        let more = [entry("j_1", Some(7), "a"), entry("j_2", Some(7), "b"), entry("j_3", Some(8), "c")];
        let (new, bookmark) = read(Some(&bookmark), &more);
        assert_eq!(new, ["j_2", "j_3"]);
        assert!(read(Some(&bookmark), &more).0.is_empty());
    }

    #[test]
    fn the_raw_form_does_not_depend_on_annotations_or_order() {
        let a = json!({"Id": "1", "@odata.etag": "x", "Message": "m", "Links": {}});
        let b: Value = serde_json::from_str(r#"{"Message":"m","Id":"1","@odata.type":"t"}"#).unwrap();
        assert_eq!(canonical(&a), canonical(&b));
    }

    #[test]
    fn a_log_is_named_by_its_holder_too() {
        assert_eq!(log_name(LOG), "Systems/1/SEL");
    }
}
