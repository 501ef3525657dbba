//! What a walk asks, takes and gives back.

use crate::Bookmark;
use crate::redfish::expand::Form;
use crate::redfish::memory::Patience;
use crate::redfish::route::Role;
use outband_schemas::{Cause, Observation, Timestamp};
use serde_json::Value;

/// How much one walk may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests.
    pub requests: usize,
    /// Bytes of one body.
    pub body: usize,
    /// Failures to reach the BMC at all, one after another, after which the walk gives up.
    pub unreachable_in_a_row: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests: 20_000, body: 32 << 20, unreachable_in_a_row: 3 }
    }
}

/// A request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Get {
    /// Path and query.
    pub uri: String,
    /// To be sent as `If-None-Match`, where the resource was read before and a 304 is as good as its body.
    pub if_none_match: Option<String>,
    /// How long to wait for the answer.
    pub patience: Patience,
    /// The resource, without query.
    pub(in crate::redfish) resource: String,
    /// Whether it is a request for one resource, whose time says how fast the BMC is.
    pub(in crate::redfish) plain: bool,
    pub(super) ticket: u64,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP answer.
    Http {
        /// The status code.
        status: u16,
        /// The body.
        body: Vec<u8>,
        /// Its `ETag`, where the BMC gave one.
        etag: Option<String>,
    },
    /// No answer.
    Failed {
        /// What kind of failure.
        cause: Cause,
        /// What happened, for people.
        detail: String,
    },
}

/// A resource as it was read.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its URI, without trailing slash; members that have none of their own get their collection's with a JSON pointer.
    pub uri: String,
    /// What it is.
    pub role: Role,
    /// The URI of the chassis, system, manager or log service that it belongs to.
    pub owner: String,
    /// The resource or collection that led to it.
    pub parent: String,
    /// The resource.
    pub body: Value,
    /// When it was read.
    pub at: Timestamp,
}

impl Node {
    /// The last segment of the URI.
    pub fn tail(&self) -> &str {
        tail(&self.uri)
    }
}

/// The last segment of a URI.
pub fn tail(uri: &str) -> &str {
    uri.trim_end_matches('/').rsplit('/').next().unwrap_or(uri)
}

#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) uri: String,
    pub(super) role: Role,
    pub(super) collection: bool,
    pub(super) form: Form,
    /// For a page of a log in whose midst reading goes on: the log's beginning, in case that the page is not the right one any more.
    pub(super) else_from: Option<String>,
    pub(super) owner: String,
    pub(super) parent: String,
    pub(super) mode: Mode,
    /// Its tag was no good: the whole body is wanted.
    pub(super) untagged: bool,
}

/// What to do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Follow its links.
    Look,
    /// Its members may not all have come: see whether others are missing.
    Check,
    /// It is known what it links to.
    Known,
    /// The same, and only this page is wanted.
    Window,
    /// The resource is known; what it links to is to come with it.
    Unfold,
    /// Only see which members there are.
    List,
}

impl Mode {
    pub(super) fn follows(self) -> bool {
        matches!(self, Self::Look | Self::Check | Self::Unfold)
    }
}

/// What a walk saw.
#[derive(Debug)]
pub struct Outcome {
    /// What was seen, gaps included.
    pub observations: Vec<Observation>,
    /// For [`Section::Log`]: how far the logs are read now.
    pub bookmark: Option<Bookmark>,
    /// Why nothing at all was read, where that is so: the section failed.
    pub failed: Option<(Cause, String)>,
    /// What was put off, to spare the BMC: the next poll of the section goes on with it.
    pub more: Option<String>,
}
