//! Events pushed by the service (DSP0266 §12): Server-Sent Events, and subscriptions that are delivered to.

use crate::sim::https::{Answer, Call};
use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;

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

/// What is pushed, and to whom.
#[derive(Debug)]
pub(super) struct Events {
    options: Option<Push>,
}

impl Events {
    pub(super) fn new(options: Option<Push>) -> Self {
        Self { options }
    }

    pub(super) fn handle(&self, _call: &Call) -> Option<Answer> {
        None
    }

    pub(super) fn streams(&self) -> usize {
        0
    }

    pub(super) fn entry(&self, _entry: &Value) {}

    pub(super) fn resource(&self, _path: &str) -> Option<Bytes> {
        None
    }

    pub(super) fn fallback(&self, _path: &str) -> Option<Bytes> {
        None
    }

    pub(super) fn touches(&self, _path: &str) -> bool {
        false
    }

    pub(super) fn complete(&self, _path: &str, _value: &mut Value) {}
}
