//! Events pushed by the service (DSP0266 §12): Server-Sent Events, and subscriptions that are delivered to.

mod deliver;
mod hub;
mod stream;
mod subscription;

use super::tree::key;
use super::{error, locked};
use crate::sim::https::{Answer, Call};
use bytes::Bytes;
use hub::{Hub, State, Told, record};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use subscription::Subscription;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Events are pushed.
#[derive(Debug, Clone)]
pub struct Push {
    /// The event stream; `None`: there is none.
    pub sse: Option<Sse>,
    /// How many subscriptions there may be; 0: none can be made.
    pub slots: usize,
    /// Whether a record names its log entry.
    pub log_entry: bool,
    /// Whether subscriptions are gone after [`super::Service::reset_bmc`].
    pub forgets: bool,
    /// How often a delivery is tried again before the subscription's `DeliveryRetryPolicy` applies.
    pub retries: u32,
    /// How long it waits in between.
    pub retry_every: Duration,
    /// Properties without which a subscription is refused, besides `Destination`.
    pub requires: Vec<String>,
    /// Properties with which a subscription is refused.
    pub refuses: Vec<String>,
}

/// The event stream.
#[derive(Debug, Clone)]
pub struct Sse {
    /// Where it is.
    pub uri: String,
    /// What it says of when to come back.
    pub retry: Option<Duration>,
    /// How often a comment is sent to keep it open.
    pub comment_every: Option<Duration>,
    /// After how long without an event it is closed.
    pub idle_timeout: Option<Duration>,
    /// How many past events a client with `Last-Event-ID` is given again.
    pub replays: usize,
    /// How many streams there may be; more are refused with 503. 0: 2.
    pub streams: usize,
}

impl Default for Push {
    fn default() -> Self {
        Self {
            sse: Some(Sse::default()),
            slots: 4,
            log_entry: true,
            forgets: false,
            retries: 3,
            retry_every: Duration::from_millis(200),
            requires: Vec::new(),
            refuses: Vec::new(),
        }
    }
}

impl Default for Sse {
    fn default() -> Self {
        Self {
            uri: "/redfish/v1/EventService/SSE".to_owned(),
            retry: None,
            comment_every: None,
            idle_timeout: None,
            replays: 0,
            streams: 0,
        }
    }
}

const SERVICE: &str = "/redfish/v1/EventService";
const SUBSCRIPTIONS: &str = "/redfish/v1/EventService/Subscriptions";
const TEST_EVENT: &str = "/redfish/v1/EventService/Actions/EventService.SubmitTestEvent";

/// What is pushed, and to whom.
#[derive(Debug)]
pub(super) struct Events {
    hub: Option<Arc<Hub>>,
    /// Streams and couriers; they end when this goes.
    tasks: Mutex<JoinSet<()>>,
    runtime: Handle,
}

impl Events {
    /// Needs a tokio runtime.
    pub(super) fn new(options: Option<Push>) -> Self {
        let hub = options.map(|options| Arc::new(Hub::new(options)));
        Self { hub, tasks: Mutex::default(), runtime: Handle::current() }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = locked(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(task, &self.runtime);
    }

    /// Answers what concerns events, other than GETs of resources; `None`: go on.
    pub(super) fn handle(&self, call: &Call) -> Option<Answer> {
        let hub = self.hub.as_ref()?;
        let path = call.path.trim_end_matches('/');
        let sse = hub.options.sse.as_ref().is_some_and(|s| s.uri.trim_end_matches('/') == path);
        match call.method.as_str() {
            "GET" if sse => Some(match stream::open(hub, call.last_event_id.as_deref()) {
                Some((answer, task)) => {
                    self.spawn(task);
                    answer
                }
                None => error(503, "Base.1.8.EventSubscriptionLimitExceeded"),
            }),
            "POST" if path == SUBSCRIPTIONS && hub.options.slots > 0 => Some(self.subscribe(hub, call)),
            "POST" if path == TEST_EVENT => {
                let said: Value = serde_json::from_slice(&call.body).unwrap_or_default();
                hub.tell(vec![if said.is_object() { said } else { json!({"EventType": "Alert"}) }]);
                Some(Answer::status(204, ""))
            }
            "DELETE" => {
                let number = path.strip_prefix(SUBSCRIPTIONS)?.strip_prefix('/')?.parse().ok()?;
                Some(if hub.unsubscribe(number) {
                    Answer::status(204, "")
                } else {
                    error(404, "Base.1.8.ResourceMissingAtURI")
                })
            }
            "PATCH" => {
                let number: u64 = path.strip_prefix(SUBSCRIPTIONS)?.strip_prefix('/')?.parse().ok()?;
                let mut state = locked(&hub.state);
                let Some(subscription) = state.subscriptions.get_mut(&number) else {
                    return Some(error(404, "Base.1.8.ResourceMissingAtURI"));
                };
                subscription.patch(&serde_json::from_slice(&call.body).unwrap_or_default());
                Some(Answer::json(subscription.resource(number).to_string()))
            }
            _ => None,
        }
    }

    fn subscribe(&self, hub: &Arc<Hub>, call: &Call) -> Answer {
        let Ok(said @ Value::Object(_)) = serde_json::from_slice::<Value>(&call.body) else {
            return error(400, "Base.1.8.MalformedJSON");
        };
        if hub.options.requires.iter().any(|name| said.get(name).is_none()) {
            return error(400, "Base.1.8.PropertyMissing");
        }
        if hub.options.refuses.iter().any(|name| said.get(name).is_some()) {
            return error(400, "Base.1.8.PropertyUnknown");
        }
        let mut state = locked(&hub.state);
        if state.subscriptions.len() >= hub.options.slots {
            return error(503, "Base.1.8.EventSubscriptionLimitExceeded");
        }
        let number = state.subscribed + 1;
        let (subscription, courier) = match Subscription::new(number, said) {
            Ok(both) => both,
            Err(_) => return error(400, "Base.1.8.PropertyValueNotInList"),
        };
        state.subscribed = number;
        let resource = subscription.resource(number);
        state.subscriptions.insert(number, subscription);
        self.spawn(courier.run(Arc::downgrade(hub)));
        Answer::status(201, resource.to_string()).with("location", format!("{SUBSCRIPTIONS}/{number}"))
    }

    /// Streams that are open.
    pub(super) fn streams(&self) -> usize {
        self.hub.as_ref().map_or(0, |h| h.streams.load(Ordering::Relaxed))
    }

    /// Deliveries that were taken.
    pub(super) fn delivered(&self) -> u64 {
        self.hub.as_ref().map_or(0, |h| h.delivered.load(Ordering::Relaxed))
    }

    /// Subscriptions as resources.
    pub(super) fn subscriptions(&self) -> Vec<Value> {
        let Some(hub) = &self.hub else { return Vec::new() };
        locked(&hub.state).subscriptions.iter().map(|(number, s)| s.resource(*number)).collect()
    }

    /// Pushes the event of a log entry.
    pub(super) fn entry(&self, entry: &Value) {
        if let Some(hub) = &self.hub {
            hub.tell(vec![record(entry, hub.options.log_entry)]);
        }
    }

    /// Pushes an event of these records.
    pub(super) fn records(&self, records: Vec<Value>) {
        if let Some(hub) = &self.hub {
            hub.tell(records);
        }
    }

    /// Sends text into the open streams as it is.
    pub(super) fn text(&self, text: String) {
        if let Some(hub) = &self.hub {
            hub.say(Told::Text(text));
        }
    }

    /// Ends all streams.
    pub(super) fn end_streams(&self, broken: bool) {
        if let Some(hub) = &self.hub {
            hub.say(if broken { Told::Broken } else { Told::End });
        }
    }

    /// A BMC's reset: streams break; numbers begin again and subscriptions are gone, where the options say so.
    pub(super) fn reset(&self) {
        let Some(hub) = &self.hub else { return };
        hub.say(Told::Broken);
        if hub.options.forgets {
            *locked(&hub.state) = State::default();
        }
    }

    /// Resources that live here.
    pub(super) fn resource(&self, path: &str) -> Option<Bytes> {
        let hub = self.hub.as_ref().filter(|h| h.options.slots > 0)?;
        let (path, base) = (key(path), key(SUBSCRIPTIONS));
        let rest = path.strip_prefix(&base)?;
        let state = locked(&hub.state);
        if rest.is_empty() {
            let members: Vec<Value> =
                state.subscriptions.keys().map(|n| json!({"@odata.id": format!("{SUBSCRIPTIONS}/{n}")})).collect();
            let collection = json!({"@odata.id": SUBSCRIPTIONS, "Name": "Event Subscriptions",
                "@odata.type": "#EventDestinationCollection.EventDestinationCollection",
                "Members@odata.count": members.len(), "Members": members});
            return Some(collection.to_string().into());
        }
        let number = rest.strip_prefix('/')?.parse().ok()?;
        Some(state.subscriptions.get(&number)?.resource(number).to_string().into())
    }

    /// What stands in for a resource that the content does not have.
    pub(super) fn fallback(&self, path: &str) -> Option<Bytes> {
        let known = self.hub.is_some() && key(path) == key(SERVICE);
        known.then(|| {
            let service = json!({"@odata.id": SERVICE, "@odata.type": "#EventService.v1_7_0.EventService",
                "Id": "EventService", "Name": "Event Service", "Status": {"State": "Enabled", "Health": "OK"}});
            service.to_string().into()
        })
    }

    /// Whether [`Self::complete`] has something to say of a resource.
    pub(super) fn touches(&self, path: &str) -> bool {
        self.hub.is_some() && (key(path) == key(SERVICE) || key(path) == "/redfish/v1")
    }

    /// Says in the service root and in the event service what there is.
    pub(super) fn complete(&self, path: &str, value: &mut Value) {
        let (Some(hub), Value::Object(object)) = (&self.hub, value) else { return };
        if key(path) == "/redfish/v1" {
            object.entry("EventService").or_insert_with(|| json!({"@odata.id": SERVICE}));
            return;
        }
        let options = &hub.options;
        object.insert("ServiceEnabled".to_owned(), true.into());
        match &options.sse {
            Some(sse) => object.insert("ServerSentEventUri".to_owned(), sse.uri.clone().into()),
            None => object.remove("ServerSentEventUri"),
        };
        if options.slots > 0 {
            object.insert("Subscriptions".to_owned(), json!({"@odata.id": SUBSCRIPTIONS}));
            object.insert("DeliveryRetryAttempts".to_owned(), options.retries.into());
            object.insert("DeliveryRetryIntervalSeconds".to_owned(), options.retry_every.as_secs().into());
            object.insert("Actions".to_owned(), json!({"#EventService.SubmitTestEvent": {"target": TEST_EVENT}}));
        } else {
            object.remove("Subscriptions");
        }
    }
}
