//! What streams and subscriptions share: the events so far, and who is told of the next.

use super::super::locked;
use super::Push;
use super::subscription::Subscription;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::broadcast;

/// What open streams are told.
#[derive(Debug, Clone)]
pub(super) enum Told {
    /// To be sent as it is.
    Text(String),
    /// The stream ends as it should.
    End,
    /// The connection breaks.
    Broken,
}

/// What streams and subscriptions share.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) options: Push,
    pub(super) news: broadcast::Sender<Told>,
    pub(super) streams: AtomicUsize,
    pub(super) delivered: AtomicU64,
    pub(super) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Events so far.
    events: u64,
    /// The last ones, for streams that come back.
    past: VecDeque<(u64, Value)>,
    pub(super) subscribed: u64,
    pub(super) subscriptions: BTreeMap<u64, Subscription>,
}

impl Hub {
    pub(super) fn new(options: Push) -> Self {
        Self {
            options,
            news: broadcast::channel(1024).0,
            streams: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// What comes from now on, and what came after event `last`.
    pub(super) fn listen(&self, last: Option<u64>) -> (broadcast::Receiver<Told>, Vec<(u64, Value)>) {
        // The lock keeps new events out meanwhile: none is missed and none comes twice.
        let state = locked(&self.state);
        let past = state.past.iter().filter(|(id, _)| last.is_some_and(|last| *id > last)).cloned().collect();
        (self.news.subscribe(), past)
    }

    pub(super) fn tell(&self, records: Vec<Value>) {
        let mut state = locked(&self.state);
        state.events += 1;
        let number = state.events;
        let event = message(number, records);
        if let Some(replays) = self.options.sse.as_ref().map(|s| s.replays) {
            state.past.push_back((number, event.clone()));
            let over = state.past.len().saturating_sub(replays);
            state.past.drain(..over);
        }
        self.say(Told::Text(as_event(number, &event)));
        state.subscriptions.values().for_each(|s| s.tell(&event));
    }

    pub(super) fn say(&self, told: Told) {
        if self.news.send(told).is_err() {
            tracing::trace!("no event stream is open");
        }
    }

    pub(super) fn delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unsubscribe(&self, number: u64) -> bool {
        locked(&self.state).subscriptions.remove(&number).is_some()
    }

    pub(super) fn suspend(&self, number: u64) {
        if let Some(subscription) = locked(&self.state).subscriptions.get_mut(&number) {
            subscription.suspend();
        }
    }
}

/// An event as the specification wants it, of these records.
fn message(number: u64, mut records: Vec<Value>) -> Value {
    for (i, record) in (0..).zip(&mut records) {
        if let Value::Object(record) = record {
            record.entry("MemberId").or_insert_with(|| format!("{i}").into());
            record.entry("EventId").or_insert_with(|| format!("{number}{i:02}").into());
        }
    }
    json!({"@odata.type": "#Event.v1_7_0.Event", "Id": number.to_string(), "Name": "Event Array", "Events": records})
}

/// A message on an event stream.
pub(super) fn as_event(id: u64, event: &Value) -> String {
    format!("id: {id}\ndata: {event}\n\n")
}

/// The record of a log entry.
pub(super) fn record(entry: &Value, with_link: bool) -> Value {
    let mut record = json!({"@odata.type": "#Event.v1_7_0.EventRecord", "EventType": "Alert"});
    let taken = [
        ("Created", "EventTimestamp"),
        ("EventTimestamp", "EventTimestamp"),
        ("Severity", "Severity"),
        ("Severity", "MessageSeverity"),
        ("Message", "Message"),
        ("MessageId", "MessageId"),
        ("MessageArgs", "MessageArgs"),
    ];
    for (from, to) in taken {
        if let Some(value) = entry.get(from) {
            record[to] = value.clone();
        }
    }
    if let Some(origin) = entry.pointer("/Links/OriginOfCondition") {
        record["OriginOfCondition"] = origin.clone();
    }
    if let (true, Some(uri)) = (with_link, entry.get("@odata.id")) {
        record["LogEntry"] = json!({"@odata.id": uri});
    }
    record
}
