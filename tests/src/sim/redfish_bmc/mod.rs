//! A simulated Redfish service: real HTTPS, sessions, and resources out of a captured tree.

mod faults;
mod server;
mod sessions;
mod tree;

pub use faults::{Fault, Misdeed, Where};
pub use server::RedfishServer;
pub use sessions::Login;
pub use tree::RedfishTree;

use crate::sim::https::{Answer, Answers, Call, Server};
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a service has to say.
pub trait Content: Send + Sync + 'static {
    /// The resource at a path, as JSON; `None`: there is none.
    fn get(&self, path: &str, query: Option<&str>) -> Option<Bytes>;

    /// Whether it has stopped answering.
    fn silent(&self) -> bool {
        false
    }

    /// Anything but a GET outside of sessions; `None`: not allowed.
    fn act(&self, _call: &Call) -> Option<Answer> {
        None
    }
}

/// How a service behaves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Port on loopback; 0: any.
    pub port: u16,
    /// Who may log in; `None`: everybody may read everything.
    pub login: Option<Login>,
    /// How many sessions it can hold at once; 0: 16.
    pub max_sessions: usize,
    /// How long each answer takes.
    pub latency: Duration,
    /// What goes wrong.
    pub faults: Vec<Fault>,
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
    shared: Arc<Shared>,
}

impl Service {
    /// Starts a service. Needs a tokio runtime.
    pub async fn start(content: impl Content, options: Options) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            sessions: sessions::Sessions::new(options.login, options.max_sessions),
            latency: options.latency,
            faults: Mutex::new(options.faults),
            requests: Mutex::new(Vec::new()),
        });
        let front = Front { content, shared: Arc::clone(&shared) };
        let server = Server::start(options.port, Arc::new(front)).await?;
        let (addr, fingerprint, certificate_pem) = (server.addr, server.fingerprint, server.certificate_pem.clone());
        Ok(Self { addr, fingerprint, certificate_pem, server, shared })
    }

    /// Its address as a client writes it.
    pub fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// Every request so far, in order: `GET /redfish/v1/…`.
    pub fn requests(&self) -> Vec<String> {
        locked(&self.shared.requests).clone()
    }

    /// TCP connections taken so far.
    pub fn connections(&self) -> u64 {
        self.server.connections()
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
}

#[derive(Debug)]
struct Shared {
    sessions: sessions::Sessions,
    latency: Duration,
    faults: Mutex<Vec<Fault>>,
    requests: Mutex<Vec<String>>,
}

struct Front<C> {
    content: C,
    shared: Arc<Shared>,
}

impl<C: Content> Answers for Front<C> {
    async fn answer(&self, call: Call) -> Answer {
        if self.content.silent() {
            return Answer::Never;
        }
        let query = call.query.as_ref().map(|q| format!("?{q}")).unwrap_or_default();
        locked(&self.shared.requests).push(format!("{} {}{query}", call.method, call.path));
        let misdeed = faults::strike(&mut locked(&self.shared.faults), &call.path);
        let latency = if let Some(Misdeed::Slow(latency)) = misdeed { latency } else { self.shared.latency };
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        match misdeed {
            None | Some(Misdeed::Slow(_)) => self.proper(&call),
            Some(misdeed) => faults::spoil(misdeed, || self.proper(&call)),
        }
    }
}

impl<C: Content> Front<C> {
    fn proper(&self, call: &Call) -> Answer {
        if let Some(answer) = self.shared.sessions.handle(call) {
            return answer;
        }
        if call.method != "GET" {
            return self.content.act(call).unwrap_or_else(|| error(405, "Base.1.8.OperationNotAllowed"));
        }
        match self.content.get(&call.path, call.query.as_deref()) {
            Some(body) => Answer::json(body),
            None => error(404, "Base.1.8.ResourceMissingAtURI"),
        }
    }
}

/// An error body as the specification wants it.
fn error(status: u16, id: &str) -> Answer {
    let body = serde_json::json!({"error": {
        "code": id, "message": "See @Message.ExtendedInfo.", "@Message.ExtendedInfo": [{"MessageId": id, "Severity": "Warning"}],
    }});
    Answer::status(status, body.to_string())
}

/// The lock; a panic elsewhere while it was held leaves the value usable.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
