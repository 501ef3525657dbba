//! A simulated Redfish service: real HTTPS, sessions, queries, ETags and events over resources out of a captured tree, of memory or of the model
//! of a server.

mod account;
mod drift;
mod edits;
mod events;
mod expand;
mod faults;
mod front;
mod map;
mod options;
mod query;
mod server;
mod sessions;
mod tree;
mod view;
mod wanted;

pub use account::{Request, Stats};
pub use drift::Drift;
pub use events::{Push, Sse};
pub use faults::{Fault, Misdeed, Where};
pub use map::RedfishMap;
pub use options::{Doors, Etag, Expand, FailingMember, NextLink, Options, Pages, Share, Support};
pub use server::RedfishServer;
pub use sessions::Login;
pub use tree::RedfishTree;

use crate::sim::https::{Answer, Call, Server};
use bytes::Bytes;
use events::Events;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What a service has to say.
pub trait Content: Send + Sync + 'static {
    /// The resource at a path, or with a query the page that is kept for exactly that; `None`: there is none.
    fn get(&self, path: &str, query: Option<&str>) -> Option<Bytes>;

    /// Whether it has stopped answering.
    fn silent(&self) -> bool {
        false
    }

    /// Anything but a GET outside of sessions and events; `None`: not allowed.
    fn act(&self, _call: &Call) -> Option<Answer> {
        None
    }

    /// The BMC was restarted on somebody's word.
    fn was_reset(&self) {}

    /// Log entries, as resources, written since the last call; `seen` is for the content to remember how many there were.
    fn fresh_entries(&self, _seen: &mut u64) -> Vec<Value> {
        Vec::new()
    }
}

/// A running simulated service; it ends when this is dropped.
#[derive(Debug)]
pub struct Service {
    /// Where it listens.
    pub addr: SocketAddr,
    /// SHA-256 of its certificate in DER form.
    pub fingerprint: [u8; 32],
    /// Its self-signed certificate in PEM form.
    pub certificate_pem: String,
    server: Server,
    /// Pushes what the content writes into its log.
    _pump: JoinSet<()>,
    front: Arc<dyn Handle>,
    shared: Arc<Shared>,
}

impl Service {
    /// Starts a service. Needs a tokio runtime.
    pub async fn start(content: impl Content, options: Options) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(options));
        let front = Arc::new(front::Front { content, shared: Arc::clone(&shared) });
        let server = Server::start(shared.options.port, Arc::clone(&front)).await?;
        let mut pump = JoinSet::new();
        if shared.options.push.is_some() {
            pump.spawn(front::pump(Arc::clone(&front)));
        }
        let (addr, fingerprint, certificate_pem) = (server.addr, server.fingerprint, server.certificate_pem.clone());
        Ok(Self { addr, fingerprint, certificate_pem, server, _pump: pump, front, shared })
    }

    /// Its address as a client writes it.
    pub fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// Every request so far, in order: `GET /redfish/v1/…`.
    pub fn requests(&self) -> Vec<String> {
        self.shared.account.requests().into_iter().map(|r| format!("{} {}", r.method, r.uri)).collect()
    }

    /// Every request since the start or the last reset of the accounts, with its answer.
    pub fn accounts(&self) -> Vec<Request> {
        self.shared.account.requests()
    }

    /// What each request takes by the model of latencies, in order: method and URI, and how long.
    pub fn modelled(&self) -> Vec<(String, Duration)> {
        self.accounts().into_iter().map(|r| (format!("{} {}", r.method, r.uri), r.modelled)).collect()
    }

    /// Sums over the accounts.
    pub fn stats(&self) -> Stats {
        let requests = self.accounts();
        let connections = self.server.connections();
        let (logins, failed_logins) = self.shared.sessions.counts();
        Stats {
            requests: requests.len(),
            bytes: requests.iter().map(|r| r.bytes).sum(),
            not_modified: requests.iter().filter(|r| r.status == Some(304)).count(),
            modelled: requests.iter().map(|r| r.modelled).sum(),
            longest: requests.iter().map(|r| r.modelled).max().unwrap_or_default(),
            max_in_flight: connections.most_in_flight(),
            connections: connections.ever(),
            max_connections: connections.most(),
            logins,
            failed_logins,
            open_sessions: self.open_sessions(),
            streams: self.shared.events.streams(),
            delivered: self.shared.events.delivered(),
        }
    }

    /// Forgets all accounts so far; sessions, connections and streams that are open stay so and are counted.
    pub fn reset_stats(&self) {
        self.shared.account.forget();
        self.shared.sessions.forget_counts();
        self.server.connections().forget();
    }

    /// TCP connections taken so far.
    pub fn connections(&self) -> u64 {
        self.server.connections().ever()
    }

    /// Sessions that are open now.
    pub fn open_sessions(&self) -> usize {
        self.shared.sessions.open()
    }

    /// Ends every session, as a BMC's reset does.
    pub fn forget_sessions(&self) {
        self.shared.sessions.forget();
    }

    /// Replaces what goes wrong from now on.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        *locked(&self.shared.faults) = faults;
    }

    /// Lets readings that drift take their next value.
    pub fn tick(&self) {
        self.shared.ticks.fetch_add(1, Ordering::Relaxed);
    }

    /// A resource as it is now; `None`: there is none, or it is no JSON.
    pub fn resource(&self, path: &str) -> Option<Value> {
        self.front.json(path)
    }

    /// Replaces a resource, or adds it; it stays replaced.
    pub fn put(&self, path: &str, resource: &Value) {
        self.shared.edits.put(path, Some(Bytes::from(resource.to_string())));
    }

    /// Removes a resource.
    pub fn remove(&self, path: &str) {
        self.shared.edits.put(path, None);
    }

    /// Adds an entry to a log, given the path of its collection of entries, and pushes the event of it to whoever listens. At `capacity` the
    /// oldest entry goes: the log wraps. With `newest_first` it comes first.
    pub fn append_entry(&self, entries: &str, entry: &Value, newest_first: bool, capacity: Option<usize>) {
        let collection = self.front.whole(entries).unwrap_or_else(|| serde_json::json!({"@odata.id": entries}));
        self.shared.edits.append_entry(entries, collection, entry, newest_first, capacity);
        self.shared.events.entry(entry);
    }

    /// Pushes one event of these records to whoever listens, whether or not a log has entries of them.
    pub fn emit(&self, records: Vec<Value>) {
        self.shared.events.records(records);
    }

    /// Sends text into every open event stream as it is.
    pub fn emit_text(&self, text: &str) {
        self.shared.events.text(text.to_owned());
    }

    /// Ends every event stream: as it should end, or with its connection broken.
    pub fn end_streams(&self, broken: bool) {
        self.shared.events.end_streams(broken);
    }

    /// The subscriptions that there are, as resources.
    pub fn subscriptions(&self) -> Vec<Value> {
        self.shared.events.subscriptions()
    }

    /// A reset of the BMC: sessions end, connections and streams break, subscriptions go where [`Push::forgets`] says so.
    pub fn reset_bmc(&self) {
        self.forget_sessions();
        self.shared.events.reset();
        self.server.cut();
    }

    /// Empties a log, given the path of its collection of entries.
    pub fn clear_log(&self, entries: &str) {
        let collection = self.front.whole(entries).unwrap_or_else(|| serde_json::json!({"@odata.id": entries}));
        self.shared.edits.clear_log(entries, collection);
    }
}

/// What a [`Service`] asks of its content, whatever that is.
trait Handle: Send + Sync + std::fmt::Debug {
    fn json(&self, path: &str) -> Option<Value>;
    fn whole(&self, path: &str) -> Option<Value>;
}

impl<C: Content> Handle for front::Front<C> {
    fn json(&self, path: &str) -> Option<Value> {
        self.view().json(path)
    }

    fn whole(&self, path: &str) -> Option<Value> {
        Some(self.view().whole(path, self.view().json(path)?))
    }
}

/// What requests share.
#[derive(Debug)]
struct Shared {
    sessions: sessions::Sessions,
    events: Events,
    edits: edits::Edits,
    faults: Mutex<Vec<Fault>>,
    account: account::Account,
    /// Held by the request that is answered, where one is at a time.
    turn: tokio::sync::Mutex<()>,
    ticks: AtomicU64,
    tags: AtomicU64,
    started: Instant,
    options: Options,
}

impl Shared {
    fn new(options: Options) -> Self {
        Self {
            sessions: sessions::Sessions::new(&options),
            events: Events::new(options.push.clone()),
            edits: edits::Edits::default(),
            faults: Mutex::new(options.faults.clone()),
            account: account::Account::default(),
            turn: tokio::sync::Mutex::new(()),
            ticks: AtomicU64::new(0),
            tags: AtomicU64::new(0),
            started: Instant::now(),
            options,
        }
    }

    /// How long a URI takes by the model, nothing expanded.
    fn cost(&self, uri: &str) -> Duration {
        let place = self.options.latency_at.iter().find(|(place, _)| place.is(uri));
        place.map_or(self.options.latency, |(_, latency)| *latency)
    }

    /// How often readings have changed.
    fn step(&self, drift: &Drift) -> u64 {
        let passed = drift.every.map_or(0, |every| {
            u64::try_from(self.started.elapsed().as_nanos() / every.as_nanos().max(1)).unwrap_or(u64::MAX)
        });
        passed.wrapping_add(self.ticks.load(Ordering::Relaxed))
    }
}

/// An error as the specification wants it.
fn error(status: u16, id: &str) -> Answer {
    Answer::status(status, error_body(id).to_string())
}

fn error_body(id: &str) -> Value {
    serde_json::json!({"error": {
        "code": id, "message": "See @Message.ExtendedInfo.", "@Message.ExtendedInfo": [{"MessageId": id, "Severity": "Warning"}],
    }})
}

/// The lock; a panic elsewhere while it was held leaves the value usable.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
