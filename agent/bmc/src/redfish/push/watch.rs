//! The shell of push: a handle on a client's session that opens the BMC's stream and keeps a subscription there.
//!
//! It never logs in: where the session has expired, the next poll renews it, under the guard that keeps accounts from being locked.

use super::super::http::{Flow, Method, Reply};
use super::super::lenient::{self, BodyError};
use super::super::transport::Client;
use super::super::walk::Answer;
use super::record::{self, Delivery};
use super::service::{self, Service, Standing, Wanted};
use super::sse::{Event, Parser};
use outband_schemas::{Cause, Timestamp};
use reqwest::header::{HeaderValue, LOCATION, RETRY_AFTER};
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// The largest event of a stream, and the largest body of a post.
pub const MAX_EVENT: usize = 1 << 20;
/// More subscriptions than any BMC has room for: a longer list is not read to its end.
const MAX_LISTED: usize = 64;

/// Why a stream or a subscription is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The BMC does not offer it, or not to us: it is polled.
    #[error("{0}")]
    NotOffered(String),
    /// Every place is taken.
    #[error("{0}")]
    Full(String),
    /// The session has expired; a poll renews it.
    #[error("the session has expired")]
    Expired,
    /// It did not work this time.
    #[error("{detail}")]
    Failed {
        /// What kind of failure.
        cause: Cause,
        /// What happened. Holds no secrets.
        detail: String,
        /// How long the BMC asks to be left alone.
        retry_after: Option<Duration>,
    },
}

/// A handle on an open session for what the BMC tells by itself. Requests through it count as the session's own.
#[derive(Debug)]
pub struct Watch {
    client: Client,
}

/// Tells one session from another. Shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionMark(Option<HeaderValue>);

impl fmt::Debug for SessionMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionMark(…)")
    }
}

/// An open stream. It holds one of the two permits for requests in flight until it is dropped.
#[derive(Debug)]
pub struct Stream {
    flow: Flow,
    parser: Parser,
    lines: u64,
}

impl Watch {
    pub(in super::super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// What the EventService offers.
    pub async fn service(&self) -> Result<Service, Refusal> {
        let uri = lenient::link(self.client.root(), "EventService")
            .ok_or_else(|| Refusal::NotOffered("the BMC has no EventService".to_owned()))?;
        Service::of(&self.get(&uri).await?).map_err(|why| Refusal::NotOffered(format!("{uri}: {why}")))
    }

    /// Opens the stream of `service`, after the event `last_id` where one is given.
    pub async fn open(&self, service: &Service, last_id: Option<&str>) -> Result<Stream, Refusal> {
        let mut refused = Refusal::NotOffered("the BMC offers no stream of events".to_owned());
        for uri in service.stream_uris() {
            match self.client.http().open(&uri, last_id).await {
                Ok(flow) => return Ok(Stream { flow, parser: Parser::new(MAX_EVENT), lines: 0 }),
                Err(reply) => refused = refusal(&uri, &reply),
            }
            if !matches!(refused, Refusal::NotOffered(_)) {
                break;
            }
        }
        Err(refused)
    }

    /// Reads what a stream's event or a post brought.
    pub fn read(&self, body: &[u8], stream_id: Option<&str>, at: Timestamp) -> Result<Delivery, BodyError> {
        self.client.remembering(|memory| record::read(body, stream_id, memory, at))
    }

    /// Sees to it that the BMC has the wanted subscription once, and none that an earlier run left. The subscription's URI.
    pub async fn subscribe(&self, service: &Service, wanted: &Wanted) -> Result<String, Refusal> {
        let collection = service
            .subscriptions
            .as_ref()
            .ok_or_else(|| Refusal::NotOffered("the BMC offers no subscriptions".to_owned()))?;
        let listed = self.listed(collection).await?;
        let mut ours = None;
        for (uri, body) in &listed {
            match service::standing(body, wanted) {
                Standing::Foreign => {}
                Standing::Ours if ours.is_none() => ours = Some(uri.clone()),
                Standing::Ours | Standing::Leftover => self.unsubscribe(uri).await?,
            }
        }
        match ours {
            Some(uri) => Ok(uri),
            None => self.create(collection, service, wanted, listed.len()).await,
        }
    }

    /// Deletes every subscription of ours, for one that was being made when it was given up.
    pub async fn sweep(&self, wanted: &Wanted) -> Result<(), Refusal> {
        let Some(collection) = self.service().await?.subscriptions else { return Ok(()) };
        for (uri, body) in self.listed(&collection).await? {
            if service::standing(&body, wanted) != Standing::Foreign {
                self.unsubscribe(&uri).await?;
            }
        }
        Ok(())
    }

    /// Which session it is: another than before means that the BMC had forgotten that one, as it does in a reset.
    pub fn session(&self) -> SessionMark {
        SessionMark(self.client.http().token())
    }

    /// Whether the subscription is still there and delivers. One that the BMC has suspended is deleted.
    pub async fn stands(&self, uri: &str, wanted: &Wanted) -> Result<bool, Refusal> {
        let body = match self.get(uri).await {
            Ok(body) => body,
            Err(Refusal::NotOffered(_)) => return Ok(false),
            Err(refused) => return Err(refused),
        };
        let state = body.get("Status").and_then(|s| lenient::text(s, "State"));
        let suspended = matches!(state.as_deref(), Some("Disabled" | "UnavailableOffline"));
        match service::standing(&body, wanted) {
            Standing::Ours => Ok(true),
            // Another client's by now, under an id that was used again: not ours to delete.
            Standing::Foreign => Ok(false),
            Standing::Leftover if suspended => self.unsubscribe(uri).await.map(|()| false),
            Standing::Leftover => Ok(false),
        }
    }

    /// Deletes the subscription at `uri` if it is ours, of this run or an earlier one: by now the URI may be another client's.
    pub async fn forget(&self, uri: &str, wanted: &Wanted) -> Result<(), Refusal> {
        match self.get(uri).await {
            Ok(body) if service::standing(&body, wanted) != Standing::Foreign => self.unsubscribe(uri).await,
            Ok(_) | Err(Refusal::NotOffered(_)) => Ok(()),
            Err(refused) => Err(refused),
        }
    }

    /// Deletes a subscription of ours. That it is gone already is as good.
    pub async fn unsubscribe(&self, uri: &str) -> Result<(), Refusal> {
        let reply = self.client.http().send(Method::Delete, uri, None).await;
        match reply.answer {
            Answer::Http { status: 200..=299 | 404 | 410, .. } => Ok(()),
            _ => Err(refusal(uri, &reply)),
        }
    }

    async fn create(
        &self,
        collection: &str,
        service: &Service,
        wanted: &Wanted,
        listed: usize,
    ) -> Result<String, Refusal> {
        let mut refused = None;
        for body in service.requests(wanted) {
            let reply = self.client.http().send(Method::Post, collection, Some(body.to_string().into_bytes())).await;
            let (status, said) = match &reply.answer {
                Answer::Http { status, body, .. } => (*status, lenient::parse(body).ok()),
                Answer::Failed { .. } => return Err(refusal(collection, &reply)),
            };
            if (200..=299).contains(&status) {
                let location =
                    reply.headers.get(LOCATION).and_then(|l| l.to_str().ok()).and_then(super::super::ladder::path_of);
                return match location.or_else(|| said.as_ref().and_then(lenient::target)) {
                    Some(uri) => Ok(uri),
                    None => self.find(collection, wanted).await,
                };
            }
            let said = said.as_ref().and_then(lenient::error_of).unwrap_or_default();
            if service::is_full(status, &said) {
                let why = format!(
                    "{collection} has no room for another subscription, {listed} are listed: HTTP {status}: {said}"
                );
                return Err(Refusal::Full(why));
            }
            let bad_request = matches!(status, 400 | 409 | 415 | 422 | 500);
            refused = Some(match refusal(collection, &reply) {
                Refusal::NotOffered(why) if listed > 0 => {
                    Refusal::NotOffered(format!("{why} ({listed} subscriptions are listed there)"))
                }
                other => other,
            });
            if !bad_request {
                break;
            }
        }
        Err(refused.unwrap_or_else(|| Refusal::NotOffered("no subscription could be asked for".to_owned())))
    }

    /// The subscription that was made just now, of a BMC that does not say where it is.
    async fn find(&self, collection: &str, wanted: &Wanted) -> Result<String, Refusal> {
        let listed = self.listed(collection).await?;
        let ours = listed.into_iter().find(|(_, body)| service::standing(body, wanted) == Standing::Ours);
        ours.map(|(uri, _)| uri).ok_or_else(|| Refusal::Failed {
            cause: Cause::BmcError,
            detail: format!("{collection}: a subscription was accepted and is not there"),
            retry_after: None,
        })
    }

    async fn listed(&self, collection: &str) -> Result<Vec<(String, Value)>, Refusal> {
        let body = self.get(collection).await?;
        let mut listed = Vec::new();
        for member in lenient::list(&body, "Members").iter().take(MAX_LISTED) {
            let Some(uri) = lenient::target(member) else { continue };
            if lenient::text(member, "Destination").is_some() {
                listed.push((uri, member.clone()));
                continue;
            }
            match self.get(&uri).await {
                Ok(body) => listed.push((uri, body)),
                Err(refused @ Refusal::Expired) => return Err(refused),
                // One that cannot be read is not known to be ours, and is left alone.
                Err(why) => tracing::debug!(uri, %why, "a subscription could not be read"),
            }
        }
        Ok(listed)
    }

    async fn get(&self, uri: &str) -> Result<Value, Refusal> {
        let reply = self.client.http().send(Method::Get, uri, None).await;
        let Answer::Http { status: 200..=299, body, .. } = &reply.answer else { return Err(refusal(uri, &reply)) };
        let malformed = |detail: String| Refusal::Failed { cause: Cause::Malformed, detail, retry_after: None };
        let body = lenient::parse(body).map_err(|e| malformed(format!("{uri}: {e}")))?;
        match lenient::error_of(&body) {
            Some(said) => Err(Refusal::NotOffered(format!("{uri}: {said}"))),
            None => Ok(body),
        }
    }
}

impl Stream {
    /// Waits for the stream: an event, or `None` for a sign of life. An error says how it ended. May be cancelled and called again.
    pub async fn next(&mut self) -> Result<Option<Event>, String> {
        if let Some(event) = self.parser.next_event() {
            return Ok(Some(event));
        }
        loop {
            match self.flow.chunk().await? {
                Some(bytes) => self.parser.push(&bytes),
                None => return Err("the BMC ended the stream".to_owned()),
            }
            let alive = std::mem::replace(&mut self.lines, self.parser.lines()) != self.parser.lines();
            if let Some(event) = self.parser.next_event() {
                return Ok(Some(event));
            }
            if alive {
                return Ok(None);
            }
        }
    }

    /// How long the BMC asks to wait before a reconnect.
    pub fn retry(&self) -> Option<Duration> {
        self.parser.retry_ms().map(Duration::from_millis)
    }

    /// Events that were skipped since they were too large.
    pub fn skipped(&self) -> u64 {
        self.parser.skipped()
    }
}

fn refusal(uri: &str, reply: &Reply) -> Refusal {
    let (status, body) = match &reply.answer {
        Answer::Http { status, body, .. } => (*status, body),
        Answer::Failed { cause, detail } => {
            return Refusal::Failed { cause: *cause, detail: format!("{uri}: {detail}"), retry_after: None };
        }
    };
    let said = lenient::parse(body).ok().and_then(|b| lenient::error_of(&b));
    let detail = match said {
        Some(said) => format!("{uri}: HTTP {status}: {said}"),
        None => format!("{uri}: HTTP {status}"),
    };
    let retry_after = reply.headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok());
    let failed = |cause, detail| Refusal::Failed { cause, detail, retry_after: retry_after.map(Duration::from_secs) };
    match status {
        401 => Refusal::Expired,
        429 | 503 if service::is_full(status, &detail) => Refusal::Full(detail),
        429 | 503 => failed(Cause::Busy, detail),
        200..=299 => Refusal::NotOffered(format!("{uri}: what is there is no stream of events")),
        400 | 403..=406 | 410 | 415 | 422 | 501 => Refusal::NotOffered(detail),
        _ => failed(Cause::BmcError, detail),
    }
}
