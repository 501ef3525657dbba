//! Logs that are read through a walk from a service that keeps, clears, wraps, edits and fails.

use crate::Bookmark;
use crate::redfish::memory::Memory;
use crate::redfish::walk::{Answer, Limits, Walk};
use outband_schemas::{Gap, LogEvent, Observation, Section, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const SERVICE: &str = "/redfish/v1/Systems/1/LogServices/SEL";
const ENTRIES: &str = "/redfish/v1/Systems/1/LogServices/SEL/Entries";

/// How a log lists its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    Old,
    New,
    Shuffled,
}

/// A BMC with one log.
#[derive(Debug, Clone)]
struct Bmc {
    entries: Vec<Value>,
    listing: Listing,
    page: usize,
    linked: bool,
    expands: bool,
    capacity: usize,
    next_id: u64,
    /// Ids start again after this one.
    last_id: u64,
    named: bool,
    clock: i64,
    serial: u64,
    /// The page requests of this poll that fail, by their number.
    fails: BTreeSet<usize>,
    pages_asked: usize,
    requests: Vec<String>,
}

impl Bmc {
    fn new(listing: Listing, page: usize) -> Self {
        Self {
            entries: Vec::new(),
            listing,
            page,
            linked: false,
            expands: false,
            capacity: 10_000,
            next_id: 1,
            last_id: 1_000_000,
            named: false,
            clock: 1_600_000_000,
            serial: 0,
            fails: BTreeSet::new(),
            pages_asked: 0,
            requests: Vec::new(),
        }
    }

    fn append(&mut self, count: usize) {
        for _ in 0..count {
            self.serial += 1;
            self.clock += 7;
            let id = if self.named {
                format!("e{:x}", self.serial.wrapping_mul(0x9e37_79b9))
            } else {
                self.next_id.to_string()
            };
            self.next_id = if self.next_id >= self.last_id { 1 } else { self.next_id + 1 };
            self.entries.push(json!({
                "@odata.id": format!("{ENTRIES}/{id}"), "Id": id, "Severity": "Warning",
                "Created": Timestamp::from_secs(self.clock).to_string(), "Message": format!("Event {}", self.serial),
            }));
            if self.entries.len() > self.capacity {
                self.entries.remove(0);
            }
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.next_id = 1;
    }

    fn edit(&mut self, index: usize) {
        let serial = self.serial;
        let at = index % self.entries.len().max(1);
        if let Some(entry) = self.entries.get_mut(at) {
            entry["Oem"] = json!({"Hpe": {"Repaired": true, "Count": serial}});
        }
    }

    fn listed(&self) -> Vec<Value> {
        let mut all = self.entries.clone();
        match self.listing {
            Listing::Old => {}
            Listing::New => all.reverse(),
            Listing::Shuffled => {
                all.sort_by_key(|e| super::entry::digest(std::iter::once(e["Message"].to_string())));
            }
        }
        all
    }

    fn answer(&mut self, uri: &str) -> Option<Value> {
        self.requests.push(uri.to_owned());
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let expanded = query.contains("expand");
        let link = |uri: &str| json!({"@odata.id": uri});
        Some(match path {
            "/redfish/v1/Systems" => json!({"@odata.id": path, "Members": [link("/redfish/v1/Systems/1")]}),
            "/redfish/v1/Systems/1" => {
                json!({"@odata.id": path, "Id": "1", "LogServices": link("/redfish/v1/Systems/1/LogServices")})
            }
            "/redfish/v1/Systems/1/LogServices" => json!({"@odata.id": path, "Members": [link(SERVICE)]}),
            SERVICE => json!({"@odata.id": path, "Id": "SEL", "Entries": link(ENTRIES)}),
            ENTRIES => {
                let number = self.pages_asked;
                self.pages_asked += 1;
                if self.fails.contains(&number) || (expanded && !self.expands) {
                    return None;
                }
                let skip = query.split('&').find_map(|p| p.strip_prefix("$skip=")?.parse::<usize>().ok()).unwrap_or(0);
                let all = self.listed();
                let total = all.len();
                let page: Vec<Value> = all
                    .into_iter()
                    .skip(skip)
                    .take(self.page)
                    .map(|e| if self.linked && !expanded { json!({"@odata.id": e["@odata.id"]}) } else { e })
                    .collect();
                let end = skip + page.len();
                let mut body = json!({"@odata.id": path, "Members@odata.count": total, "Members": page});
                if end < total {
                    body["Members@odata.nextLink"] = format!("{ENTRIES}?$skip={end}").into();
                }
                body
            }
            _ => self.entries.iter().find(|e| e["@odata.id"] == path)?.clone(),
        })
    }

    fn poll(&mut self, bookmark: Option<&Bookmark>) -> (Vec<LogEvent>, Vec<Gap>, Bookmark) {
        let root = match self.expands {
            true => json!({"@odata.id": "/redfish/v1", "Systems": {"@odata.id": "/redfish/v1/Systems"},
                "ProtocolFeaturesSupported": {"ExpandQuery": {"NoLinks": true, "ExpandAll": true, "Levels": true, "MaxLevels": 2}}}),
            false => json!({"@odata.id": "/redfish/v1", "Systems": {"@odata.id": "/redfish/v1/Systems"}}),
        };
        self.pages_asked = 0;
        self.requests.clear();
        let at = Timestamp::from_secs(self.clock);
        let mut memory = Memory::default();
        let mut walk = Walk::new(Section::Log, &root, &mut memory, bookmark, Limits::default(), at);
        while let Some(get) = walk.poll_get(&mut memory) {
            let (status, body) = match self.answer(&get.uri) {
                Some(body) => (200, body.to_string().into_bytes()),
                None => (500, Vec::new()),
            };
            walk.handle_body(&mut memory, &get, Answer::Http { status, body, etag: None }, at);
        }
        let outcome = walk.finish(&mut memory, at);
        let (mut events, mut gaps) = (Vec::new(), Vec::new());
        for observation in outcome.observations {
            match observation {
                Observation::Event(event) => events.push(event),
                Observation::Gap(gap) => gaps.push(gap),
                _ => {}
            }
        }
        (events, gaps, outcome.bookmark.unwrap())
    }

    /// The requests for pages and entries of the last poll.
    fn of_log(&self) -> usize {
        self.requests.iter().filter(|r| r.starts_with(ENTRIES)).count()
    }
}

/// An operator who keeps bookmarks and counts what is told.
#[derive(Debug, Default)]
struct Listener {
    bookmark: Option<Bookmark>,
    told: BTreeMap<String, usize>,
    messages: BTreeSet<(String, bool)>,
}

impl Listener {
    fn poll(&mut self, bmc: &mut Bmc) -> Vec<String> {
        let (events, _, bookmark) = bmc.poll(self.bookmark.as_ref());
        self.bookmark = Some(bookmark);
        for event in &events {
            *self.told.entry(event.natural_key()).or_default() += 1;
            self.messages.insert((event.message.clone(), event.deasserted));
        }
        events.into_iter().map(|e| e.message).collect()
    }

    fn missing(&self, bmc: &Bmc) -> Vec<Value> {
        let told = |e: &Value| {
            self.messages.contains(&(e["Message"].as_str().unwrap().to_owned(), e["Oem"]["Hpe"]["Repaired"] == true))
        };
        bmc.entries.iter().filter(|e| !told(e)).cloned().collect()
    }
}

fn listings() -> impl Strategy<Value = Listing> {
    prop_oneof![Just(Listing::Old), Just(Listing::New), Just(Listing::Shuffled)]
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Clear,
    Edit(usize),
    Clock(i64),
    Relist(Listing),
    Poll(BTreeSet<usize>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (1usize..12).prop_map(Step::Append),
        1 => Just(Step::Clear),
        1 => (0usize..50).prop_map(Step::Edit),
        1 => (-1_000_000i64..1_000_000).prop_map(Step::Clock),
        1 => listings().prop_map(Step::Relist),
        5 => proptest::collection::btree_set(0usize..6, 0..3).prop_map(Step::Poll),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Pages fail, the log is cleared, wraps, is edited and lists otherwise than before; in the end each entry that is in the log was told, and none twice.
    #[test]
    fn every_entry_is_told_exactly_once_whatever_became_of_its_log(
        listing in listings(), page in prop_oneof![2usize..20, Just(1000)], capacity in prop_oneof![5usize..40, Just(10_000)],
        last_id in prop_oneof![6u64..30, Just(1_000_000)], named in any::<bool>(), steps in steps(),
    ) {
        // A few entries in order may be so by chance.
        let page = if listing == Listing::Shuffled { page + 10 } else { page };
        let mut bmc = Bmc { capacity, last_id, named, ..Bmc::new(listing, page) };
        let mut listener = Listener::default();
        let one_page = page >= 1000;
        for step in steps {
            match step {
                Step::Append(count) => bmc.append(count),
                Step::Clear => bmc.clear(),
                // Old pages of long logs are not read again; a log that changes its order is no log of many pages.
                Step::Edit(index) if one_page => bmc.edit(index),
                Step::Relist(listing) if one_page => bmc.listing = listing,
                Step::Edit(_) | Step::Relist(_) => {}
                Step::Clock(step) => bmc.clock += step,
                Step::Poll(fails) => {
                    bmc.fails = fails;
                    listener.poll(&mut bmc);
                }
            }
        }
        bmc.fails.clear();
        // Where no order can be seen, an interrupted reading is finished first, and the one after it finds what came in its front meanwhile.
        listener.poll(&mut bmc);
        listener.poll(&mut bmc);
        prop_assert_eq!(listener.missing(&bmc), Vec::<Value>::new());
        prop_assert!(listener.told.values().all(|n| *n == 1), "{:?}", listener.told);
        prop_assert!(listener.poll(&mut bmc).is_empty());
    }

    /// After a page that failed an entry may be told again; its natural key keeps it single.
    #[test]
    fn no_entry_that_is_only_linked_to_is_missed_and_without_failures_none_is_told_twice(
        listing in listings(), page in prop_oneof![3usize..8, Just(1000)], expands in any::<bool>(), steps in steps(),
    ) {
        let page = if listing == Listing::Shuffled { page + 10 } else { page };
        let mut bmc = Bmc { linked: true, expands, ..Bmc::new(listing, page) };
        let mut listener = Listener::default();
        let mut failed = false;
        for step in steps {
            match step {
                Step::Append(count) => bmc.append(count),
                Step::Clear => bmc.clear(),
                Step::Poll(fails) => {
                    failed |= !fails.is_empty();
                    bmc.fails = fails;
                    listener.poll(&mut bmc);
                }
                _ => {}
            }
        }
        bmc.fails.clear();
        // Where no order can be seen, an interrupted reading is finished first, and the one after it finds what came in its front meanwhile.
        listener.poll(&mut bmc);
        listener.poll(&mut bmc);
        prop_assert_eq!(listener.missing(&bmc), Vec::<Value>::new());
        prop_assert!(failed || listener.told.values().all(|n| *n == 1), "{:?}", listener.told);
    }
}

#[test]
fn a_log_that_did_not_change_costs_one_request() {
    for listing in [Listing::Old, Listing::New] {
        let mut bmc = Bmc::new(listing, 10);
        bmc.append(95);
        let mut listener = Listener::default();
        assert_eq!(listener.poll(&mut bmc).len(), 95);
        assert_eq!(bmc.of_log(), 10);
        assert!(listener.poll(&mut bmc).is_empty());
        assert_eq!(bmc.of_log(), 1, "{listing:?} {:?}", bmc.requests);
        bmc.append(3);
        assert_eq!(listener.poll(&mut bmc).len(), 3);
        assert_eq!(bmc.of_log(), 1, "{listing:?} {:?}", bmc.requests);
    }
}

#[test]
fn a_log_that_is_given_up_half_way_is_read_on_from_there() {
    for listing in [Listing::Old, Listing::New] {
        let mut bmc = Bmc::new(listing, 10);
        bmc.append(200);
        bmc.fails = [7].into();
        let mut listener = Listener::default();
        assert_eq!(listener.poll(&mut bmc).len(), 70, "{listing:?}");
        bmc.append(4);
        bmc.fails.clear();
        assert_eq!(listener.poll(&mut bmc).len(), 134, "{listing:?}");
        assert!(bmc.of_log() <= 16, "{listing:?}: {} requests", bmc.of_log());
        assert!(listener.told.values().all(|n| *n == 1));
        assert!(listener.poll(&mut bmc).is_empty());
        assert_eq!(bmc.of_log(), 1, "{listing:?}");
    }
}

#[test]
fn an_entry_that_was_repaired_is_told_again_as_over() {
    let mut bmc = Bmc::new(Listing::Old, 1000);
    bmc.append(5);
    let (first, _, bookmark) = bmc.poll(None);
    bmc.edit(2);
    let (again, _, _) = bmc.poll(Some(&bookmark));
    assert_eq!(again.len(), 1);
    assert!(again[0].deasserted && !first[2].deasserted);
    assert_eq!(again[0].id, first[2].id);
    assert_ne!(again[0].natural_key(), first[2].natural_key());
}

#[test]
fn two_entries_with_one_id_are_two() {
    let mut bmc = Bmc { last_id: 1, ..Bmc::new(Listing::Old, 1000) };
    bmc.append(3);
    assert_eq!(Listener::default().poll(&mut bmc).len(), 3);
}

#[test]
fn a_log_longer_than_what_is_remembered_tells_no_old_entry_again() {
    for listing in [Listing::Old, Listing::New] {
        let mut bmc = Bmc::new(listing, 10_000);
        bmc.append(5000);
        let mut listener = Listener::default();
        assert_eq!(listener.poll(&mut bmc).len(), 5000);
        bmc.append(2);
        assert_eq!(listener.poll(&mut bmc).len(), 2, "{listing:?}");
        assert!(listener.poll(&mut bmc).is_empty(), "{listing:?}");
    }
}

#[test]
fn linked_entries_are_read_in_one_expanded_request_where_the_bmc_can() {
    let mut bmc = Bmc { linked: true, expands: true, ..Bmc::new(Listing::Old, 1000) };
    bmc.append(20);
    assert_eq!(Listener::default().poll(&mut bmc).len(), 20);
    assert_eq!(bmc.of_log(), 2, "{:?}", bmc.requests);
    let mut plain = Bmc { expands: false, ..bmc };
    assert_eq!(Listener::default().poll(&mut plain).len(), 20);
    assert_eq!(plain.of_log(), 21);
}

#[test]
fn a_log_that_lists_less_than_it_says_is_named() {
    let mut bmc = Bmc::new(Listing::Old, 1000);
    bmc.append(3);
    let mut memory = Memory::default();
    let root = json!({"@odata.id": "/redfish/v1", "Systems": {"@odata.id": "/redfish/v1/Systems"}});
    let at = Timestamp::from_secs(1);
    let mut walk = Walk::new(Section::Log, &root, &mut memory, None, Limits::default(), at);
    while let Some(get) = walk.poll_get(&mut memory) {
        let mut body = bmc.answer(&get.uri).unwrap();
        if get.uri == ENTRIES {
            body["Members@odata.count"] = 9.into();
        }
        walk.handle_body(
            &mut memory,
            &get,
            Answer::Http { status: 200, body: body.to_string().into_bytes(), etag: None },
            at,
        );
    }
    let outcome = walk.finish(&mut memory, at);
    let gaps: Vec<&Gap> =
        outcome.observations.iter().filter_map(|o| if let Observation::Gap(g) = o { Some(g) } else { None }).collect();
    assert!(
        matches!(gaps.as_slice(), [gap] if gap.detail.contains("9 entries") && gap.source.0 == ENTRIES),
        "{gaps:?}"
    );
    assert_eq!(outcome.observations.len(), 4);
}
