//! HTTP requests to one BMC: deadlines, bounded retries, counted bytes, capped bodies.

use super::memory::Patience;
use super::rest::{self, Rest};
use super::tls::{self, Shown, TlsError, Verifier};
use super::walk::Answer;
use crate::{Credentials, Fingerprint, PollStats, Target};
use outband_schemas::Cause;
use reqwest::header::{
    ACCEPT, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
};
use std::error::Error as _;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Requests in flight at one BMC, whoever makes them: more bring some of them down.
const IN_FLIGHT: usize = 2;
/// How often a busy BMC (429, 503) is asked again.
const BUSY_RETRIES: u32 = 2;
/// What hung before is not waited for for less than this.
const SHORTEST_DEADLINE: Duration = Duration::from_secs(1);
/// How long a connection takes to go back to the pool after an answer.
const POOLED_WITHIN: Duration = Duration::from_millis(1);
/// How long a stream may take to open, where requests have less.
const STREAM_OPENS_WITHIN: Duration = Duration::from_secs(30);
/// The largest body accepted outside of a walk.
const SMALL_BODY: usize = 4 << 20;

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// How a request says whose it is.
#[derive(Clone, Default)]
enum Auth {
    #[default]
    Nobody,
    Token(HeaderValue),
    Basic,
}

/// A method that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

/// The client could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(#[from] reqwest::Error),
}

/// An answer, with what of its header matters.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    pub(super) headers: HeaderMap,
    /// The token that the request carried.
    pub(super) token: Option<HeaderValue>,
    /// Whether TLS failed, as opposed to TCP or HTTP.
    pub(super) tls_failure: bool,
    /// Whether no connection came about.
    pub(super) refused: bool,
    /// Who answered.
    pub(super) peer: Option<SocketAddr>,
}

/// Requests to one BMC. Cheap to clone; clones share connections and counters.
#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    base: String,
    auth: Arc<RwLock<Auth>>,
    permits: Arc<Semaphore>,
    rest: Rest,
    pub(super) credentials: Arc<Credentials>,
    deadline: Duration,
    counters: Arc<Counters>,
    verifier: Arc<Verifier>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("base", &self.base)
            .field("has_token", &self.token().is_some())
            .finish_non_exhaustive()
    }
}

impl Http {
    pub(super) fn new(target: &Target) -> Result<Self, HttpError> {
        let (config, verifier) = tls::config(&target.trust)?;
        let base = format!("https://{}", target.address.authority());
        // A token must not follow a redirect to another host.
        let own = base.clone();
        let redirects = reqwest::redirect::Policy::custom(move |attempt| {
            let same = attempt
                .url()
                .as_str()
                .strip_prefix(own.trim_end_matches(":443"))
                .is_some_and(|rest| rest.starts_with('/') || rest.starts_with(":443/"));
            if same && attempt.previous().len() < 4 { attempt.follow() } else { attempt.stop() }
        });
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(2)
            .redirect(redirects)
            .user_agent(concat!("outband-agent/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            client,
            base,
            auth: Arc::default(),
            permits: Arc::new(Semaphore::new(IN_FLIGHT)),
            rest: Rest::default(),
            credentials: Arc::new(target.credentials.clone()),
            deadline: target.request_deadline,
            counters: Arc::default(),
            verifier,
        })
    }

    pub(super) fn token(&self) -> Option<HeaderValue> {
        match self.auth() {
            Auth::Token(token) => Some(token),
            Auth::Nobody | Auth::Basic => None,
        }
    }

    fn auth(&self) -> Auth {
        self.auth.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_auth(&self, auth: Auth) {
        *self.auth.write().unwrap_or_else(PoisonError::into_inner) = auth;
    }

    /// From now on every request, of every clone, carries this token, or none.
    pub(super) fn set_token(&self, token: Option<HeaderValue>) {
        self.set_auth(token.map_or(Auth::Nobody, |mut t| {
            t.set_sensitive(true);
            Auth::Token(t)
        }));
    }

    /// From now on every request, of every clone, carries user and password.
    pub(super) fn use_basic(&self) {
        self.set_auth(Auth::Basic);
    }

    pub(super) fn shown(&self) -> Shown {
        self.verifier.shown()
    }

    pub(super) fn certificate(&self) -> Option<Fingerprint> {
        self.verifier.shown().certificate
    }

    pub(super) fn stats(&self) -> PollStats {
        let count = |c: &AtomicU64| c.load(Ordering::Relaxed);
        PollStats {
            requests: count(&self.counters.requests),
            bytes_sent: count(&self.counters.sent),
            bytes_received: count(&self.counters.received),
            connections: self.verifier.shown().handshakes,
            ..PollStats::default()
        }
    }

    /// GETs, asking a busy BMC again a few times.
    pub(super) async fn get(&self, uri: &str, max_body: usize) -> Reply {
        self.get_if_changed(uri, None, Patience::Usual, max_body).await
    }

    /// GETs what is not as `etag` says. `patience` decides how long an answer may take.
    pub(super) async fn get_if_changed(
        &self,
        uri: &str,
        etag: Option<&str>,
        patience: Patience,
        max_body: usize,
    ) -> Reply {
        let deadline = match patience {
            Patience::Usual => self.deadline,
            Patience::Short => (self.deadline / 4).max(SHORTEST_DEADLINE).min(self.deadline),
            Patience::Long => self.deadline * 5,
        };
        let mut busy = 0;
        let mut broken = false;
        loop {
            if let Some(left) = self.rest.left(Instant::now()) {
                if left > rest::LONGEST_WAIT {
                    let detail = format!("not asked: the BMC wants to be left alone for {} s more", left.as_secs() + 1);
                    return self.reply(Answer::Failed { cause: Cause::Busy, detail });
                }
                tokio::time::sleep(left).await;
            }
            let mut request = self.request(Method::Get, uri, None);
            if let Some(etag) = etag.and_then(|tag| HeaderValue::from_str(tag).ok()) {
                request = request.header(IF_NONE_MATCH, etag);
            }
            let reply = self.once(request, deadline, max_body).await;
            match &reply.answer {
                Answer::Http { status: 429 | 503, .. } => {
                    let said = text_of(&reply.headers, &RETRY_AFTER).and_then(|v| v.trim().parse().ok());
                    let pause = self.rest.busy(said, Instant::now());
                    if pause.is_none() || busy == BUSY_RETRIES {
                        return reply;
                    }
                    busy += 1;
                }
                // BMCs drop idle connections without a word; a GET may be repeated.
                Answer::Failed { cause: Cause::Unreachable, .. } if !broken && !reply.tls_failure && !reply.refused => {
                    broken = true;
                }
                Answer::Http { .. } => {
                    self.rest.answered();
                    return reply;
                }
                Answer::Failed { .. } => return reply,
            }
        }
    }

    /// How long the BMC wants to be left alone.
    pub(super) fn wants_rest(&self) -> Option<Duration> {
        self.rest.left(Instant::now())
    }

    /// Opens a stream of server-sent events. Its permit is held, and its connection used, until it is dropped; what is no stream is a reply.
    pub(super) async fn open(&self, uri: &str, last_event_id: Option<&str>) -> Result<Flow, Reply> {
        // The semaphore is never closed.
        let permit = self.permits.clone().acquire_owned().await.ok();
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("text/event-stream"))]);
        if let Some(id) = last_event_id.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(HeaderName::from_static("last-event-id"), id);
        }
        let token = self.token();
        let request = self.request(Method::Get, uri, None).headers(headers);
        let failed = |cause, detail, tls_failure| Reply {
            answer: Answer::Failed { cause, detail },
            headers: HeaderMap::new(),
            token: token.clone(),
            tls_failure,
            refused: false,
            peer: None,
        };
        // Some send the head of their answer with the first event only.
        let patience = self.deadline.max(STREAM_OPENS_WITHIN);
        let response = match tokio::time::timeout(patience, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if is_tls(&error) => return Err(failed(Cause::Certificate, reason(error), true)),
            Ok(Err(error)) => return Err(failed(Cause::Unreachable, reason(error), false)),
            Err(_) => return Err(failed(Cause::Timeout, format!("no answer within {patience:?}"), false)),
        };
        let status = response.status().as_u16();
        let content =
            text_of(response.headers(), &reqwest::header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        // A BMC that gives no type at all may still mean it.
        if (200..=299).contains(&status) && (content.is_empty() || content.contains("event-stream")) {
            return Ok(Flow { response, _permit: permit, counters: self.counters.clone() });
        }
        let headers = kept(response.headers());
        let mut body = Vec::new();
        let reading = read_body(response, &mut body, SMALL_BODY, &self.counters);
        if !matches!(tokio::time::timeout(self.deadline, reading).await, Ok(Ok(()))) {
            body.clear();
        }
        Err(Reply {
            answer: Answer::Http { status, body, etag: None },
            headers,
            token,
            tls_failure: false,
            refused: false,
            peer: None,
        })
    }

    /// One request, once.
    pub(super) async fn send(&self, method: Method, uri: &str, body: Option<Vec<u8>>) -> Reply {
        self.once(self.request(method, uri, body), self.deadline, SMALL_BODY).await
    }

    /// PATCHes, once. `etag`: only what is still as it says; some services want that (428).
    pub(super) async fn patch(&self, uri: &str, etag: Option<&str>, body: Vec<u8>) -> Reply {
        let mut request = self.request(Method::Patch, uri, Some(body));
        if let Some(etag) = etag.and_then(|tag| HeaderValue::from_str(tag).ok()) {
            request = request.header(IF_MATCH, etag);
        }
        self.once(request, self.deadline, SMALL_BODY).await
    }

    fn reply(&self, answer: Answer) -> Reply {
        Reply { answer, headers: HeaderMap::new(), token: self.token(), tls_failure: false, refused: false, peer: None }
    }

    async fn once(&self, request: reqwest::RequestBuilder, deadline: Duration, max_body: usize) -> Reply {
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await;
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        let detail = format!("no answer within {deadline:?}");
        let mut reply = self.reply(Answer::Failed { cause: Cause::Timeout, detail });
        // `Err` is the deadline: the reply already says so.
        if let Ok(result) = tokio::time::timeout(deadline, self.exchange(request, max_body)).await {
            match result {
                Ok((status, peer, headers, body)) => {
                    reply.answer = Answer::Http { status, body, etag: text_of(&headers, &ETAG) };
                    reply.headers = headers;
                    reply.peer = peer;
                }
                Err(Broken::TooLarge) => {
                    let detail = format!("the body is larger than {max_body} bytes");
                    reply.answer = Answer::Failed { cause: Cause::Malformed, detail };
                }
                Err(Broken::Io(error)) => {
                    reply.tls_failure = is_tls(&error);
                    reply.refused = error.is_connect() && !reply.tls_failure;
                    let cause = if reply.tls_failure { Cause::Certificate } else { Cause::Unreachable };
                    reply.answer = Answer::Failed { cause, detail: reason(error) };
                }
            }
        }
        reply
    }

    fn request(&self, method: Method, uri: &str, body: Option<Vec<u8>>) -> reqwest::RequestBuilder {
        let url = format!("{}{uri}", self.base);
        let mut request = match method {
            Method::Get => self.client.get(url),
            Method::Post => self.client.post(url),
            Method::Patch => self.client.patch(url),
            Method::Delete => self.client.delete(url),
        };
        request = request.header(ACCEPT, "application/json").header(HeaderName::from_static("odata-version"), "4.0");
        request = match self.auth() {
            Auth::Nobody => request,
            Auth::Token(token) => request.header(HeaderName::from_static("x-auth-token"), token),
            Auth::Basic => request.basic_auth(&self.credentials.user, Some(self.credentials.password.expose())),
        };
        if let Some(body) = body {
            self.counters.sent.fetch_add(body.len() as u64, Ordering::Relaxed);
            request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body);
        }
        request
    }

    async fn exchange(
        &self,
        request: reqwest::RequestBuilder,
        max_body: usize,
    ) -> Result<(u16, Option<SocketAddr>, HeaderMap, Vec<u8>), Broken> {
        let response = request.send().await.map_err(Broken::Io)?;
        let status = response.status().as_u16();
        let peer = response.remote_addr();
        let headers = kept(response.headers());
        let mut body = Vec::new();
        read_body(response, &mut body, max_body, &self.counters).await?;
        // Lets the connection go back to the pool before the next request looks for one: a handshake costs a BMC a second. Other tasks bring it there, so
        // that a mere yield is sometimes too short.
        tokio::time::sleep(POOLED_WITHIN).await;
        Ok((status, peer, headers, body))
    }
}

/// An open stream. Its permit for a request in flight is given back when it is dropped.
#[derive(Debug)]
pub(super) struct Flow {
    response: reqwest::Response,
    _permit: Option<OwnedSemaphorePermit>,
    counters: Arc<Counters>,
}

impl Flow {
    /// The next bytes; `None` at the end. May be cancelled and called again.
    pub(super) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, String> {
        let chunk = self.response.chunk().await.map_err(reason)?;
        self.counters.received.fetch_add(chunk.as_ref().map_or(0, |c| c.len() as u64), Ordering::Relaxed);
        Ok(chunk.map(|c| c.to_vec()))
    }
}

async fn read_body(
    mut response: reqwest::Response,
    body: &mut Vec<u8>,
    max_body: usize,
    counters: &Counters,
) -> Result<(), Broken> {
    while let Some(chunk) = response.chunk().await.map_err(Broken::Io)? {
        counters.received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        if body.len() + chunk.len() > max_body {
            return Err(Broken::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(())
}

/// The headers of an answer that matter.
fn kept(headers: &HeaderMap) -> HeaderMap {
    [RETRY_AFTER, LOCATION, ETAG, HeaderName::from_static("x-auth-token")]
        .into_iter()
        .filter_map(|name| Some((name.clone(), headers.get(&name)?.clone())))
        .collect()
}

enum Broken {
    TooLarge,
    Io(reqwest::Error),
}

fn text_of(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
}

/// The innermost reason, without the URL.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = vec![error.to_string()];
    let mut next = error.source();
    while let Some(inner) = next {
        let said = inner.to_string();
        if !words.iter().any(|w| w.contains(&said)) {
            words.push(said);
        }
        next = inner.source();
    }
    words.last().cloned().unwrap_or_default()
}

fn is_tls(error: &reqwest::Error) -> bool {
    let mut next = error.source();
    while let Some(inner) = next {
        if inner.downcast_ref::<rustls::Error>().is_some() {
            return true;
        }
        // An I/O error hides what it wraps from `source`, and may wrap another.
        next = match inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    false
}
