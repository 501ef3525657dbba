//! Which URIs to GET for a section, in what order, and what became of each. Sans-IO: it is given bodies and gives back what to ask next.

use super::lenient::{self, BodyError};
use super::memory::{Expand, Memory};
use super::route::{self, Next, Role};
use super::{log, report};
use crate::Bookmark;
use crate::quirk::Platform;
use outband_schemas::{Cause, Gap, Observation, Section, Source, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet, VecDeque};

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
    ticket: u64,
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
struct Pending {
    uri: String,
    role: Role,
    collection: bool,
    expanded: bool,
    /// For a page of a log in whose midst reading goes on: the log's beginning, in case that the page is not the right one any more.
    else_from: Option<String>,
    owner: String,
    parent: String,
}

/// Something that should have been read and was not.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    uri: String,
    pub(super) owner: String,
    parent: String,
    role: Role,
    cause: Cause,
    detail: String,
    at: Timestamp,
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
}

/// One poll of one section.
#[derive(Debug)]
pub struct Walk {
    section: Section,
    limits: Limits,
    log: log::Reader,
    queue: VecDeque<Pending>,
    in_flight: BTreeMap<u64, Pending>,
    seen: HashSet<String>,
    nodes: Vec<Node>,
    losses: Vec<Loss>,
    next_ticket: u64,
    /// Resources and pages that were read.
    read: usize,
    unreachable_in_a_row: usize,
    gave_up: bool,
    stopped: Option<&'static str>,
    platform: Platform,
}

impl Walk {
    /// Begins at a service root that was read at `at`.
    pub fn new(
        section: Section,
        root: &Value,
        memory: &mut Memory,
        bookmark: Option<&Bookmark>,
        limits: Limits,
        at: Timestamp,
    ) -> Self {
        let platform = Platform::of(root);
        let mut walk = Self {
            section,
            limits,
            log: log::Reader::new(bookmark, root),
            queue: VecDeque::new(),
            in_flight: BTreeMap::new(),
            seen: HashSet::new(),
            nodes: Vec::new(),
            losses: Vec::new(),
            next_ticket: 0,
            read: 0,
            unreachable_in_a_row: 0,
            gave_up: false,
            stopped: None,
            platform,
        };
        memory.learn_features(root, platform);
        if section == Section::Sensors {
            memory.begin_sensors();
        }
        walk.arrived(
            memory,
            Node {
                uri: "/redfish/v1".to_owned(),
                role: Role::Root,
                owner: String::new(),
                parent: String::new(),
                body: platform.whole_root(root),
                at,
            },
        );
        walk
    }

    /// The next request, if there is one to make now. `None` with nothing in flight means that the walk is done.
    pub fn poll_get(&mut self, memory: &mut Memory) -> Option<Get> {
        if self.gave_up {
            return None;
        }
        let pending = self.queue.pop_front()?;
        if usize::try_from(self.next_ticket).unwrap_or(usize::MAX) >= self.limits.requests {
            self.gave_up = true;
            self.queue.push_front(pending);
            return None;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let uri =
            if pending.expanded { format!("{}{}", pending.uri, memory.expand.query()) } else { pending.uri.clone() };
        self.in_flight.insert(ticket, pending);
        Some(Get { uri, ticket })
    }

    /// Ends the walk here, for a reason that the rest is told with.
    pub fn stop(&mut self, why: &'static str) {
        self.gave_up = true;
        self.stopped = Some(why);
    }

    /// The largest body to accept, in bytes.
    pub fn max_body(&self) -> usize {
        self.limits.body
    }

    /// Takes what became of a request.
    pub fn handle_body(&mut self, memory: &mut Memory, get: &Get, answer: Answer, at: Timestamp) {
        let Some(pending) = self.in_flight.remove(&get.ticket) else { return };
        let (cause, detail) = match answer {
            Answer::Http { status: 200..=299, body, .. } => {
                self.unreachable_in_a_row = 0;
                match lenient::parse(&body) {
                    Ok(body) => match lenient::error_of(&body) {
                        None => return self.take(memory, pending, body, at),
                        Some(said) if said.contains("ResourceMissing") => {
                            (Cause::NotSupported, format!("a link to nothing: {said}"))
                        }
                        Some(said) => (Cause::BmcError, format!("an error served as a resource: {said}")),
                    },
                    Err(error @ BodyError::Html) => (Cause::BmcError, error.to_string()),
                    Err(error) => (Cause::Malformed, error.to_string()),
                }
            }
            Answer::Http { status, body, .. } => {
                self.unreachable_in_a_row = 0;
                http_failure(status, &body)
            }
            Answer::Failed { cause, detail } => {
                self.unreachable_in_a_row += usize::from(matches!(cause, Cause::Unreachable | Cause::Timeout));
                (cause, detail)
            }
        };
        if pending.expanded && !matches!(cause, Cause::Unreachable) {
            // The collection may well be there: ask again without the query.
            memory.expand_failed();
            return self.queue.push_front(Pending { expanded: false, ..pending });
        }
        match pending.else_from.clone() {
            Some(uri) => self.queue.push_front(Pending { uri, else_from: None, ..pending }),
            None => self.lost(pending, cause, detail, at),
        }
        if self.unreachable_in_a_row >= self.limits.unreachable_in_a_row {
            self.gave_up = true;
        }
        if cause == Cause::Certificate {
            self.stop("the BMC offers another certificate");
        }
    }

    fn lost(&mut self, pending: Pending, cause: Cause, detail: String, at: Timestamp) {
        let Pending { uri, role, owner, parent, .. } = pending;
        if role == Role::LogEntry {
            self.log.lost(&owner, &uri);
        }
        if route::optional(role) && matches!(cause, Cause::NotSupported) {
            return;
        }
        self.losses.push(Loss { uri, owner, parent, role, cause, detail, at });
    }

    fn take(&mut self, memory: &mut Memory, pending: Pending, body: Value, at: Timestamp) {
        self.read += 1;
        if pending.role == Role::LogEntry {
            let Pending { uri, owner, else_from, .. } = &pending;
            let follow = match pending.collection {
                true => self.log.page(memory, owner, uri, else_from.as_deref(), body, at),
                false => self.log.entry(memory, owner, uri, body, at),
            };
            return self.follow(&pending, follow, at);
        }
        if !pending.collection {
            let uri = pending.uri.trim_end_matches('/').to_owned();
            return self.arrived(
                memory,
                Node { uri, role: pending.role, owner: pending.owner, parent: pending.parent, body, at },
            );
        }
        let next_page = next_link(&body);
        let members = members(body);
        for (index, member) in members.into_iter().enumerate() {
            self.member(memory, &pending, index, member, at);
        }
        if let Some(uri) = next_page.filter(|uri| is_ours(uri))
            && self.seen.insert(page_key(&uri))
        {
            self.queue.push_front(Pending { uri, expanded: false, else_from: None, ..pending });
        }
    }

    /// Goes on with a log. Its further pages wait behind what else is to be read, so that one long log does not keep the others.
    fn follow(&mut self, from: &Pending, follow: Vec<log::Follow>, at: Timestamp) {
        for next in follow {
            let (uri, collection, expanded, else_from) = match next {
                log::Follow::Page { uri, else_from } => (uri, true, false, else_from),
                log::Follow::Expanded(uri) => (uri, true, true, None),
                log::Follow::Entry(uri) => (uri, false, false, None),
                log::Follow::Lost { uri, cause, detail } => {
                    self.lost(Pending { uri, else_from: None, ..from.clone() }, cause, detail, at);
                    continue;
                }
            };
            if is_ours(&uri) {
                self.queue.push_back(Pending { uri, collection, expanded, else_from, ..from.clone() });
            }
        }
    }

    fn member(&mut self, memory: &mut Memory, from: &Pending, index: usize, member: Value, at: Timestamp) {
        let link = lenient::target(&member);
        if let (Role::Chassis, Some(uri)) = (from.role, &link) {
            memory.list_chassis(uri.trim_end_matches('/'));
        }
        let whole = lenient::is_inline(&member)
            && (link.is_none()
                || ["Id", "MemberId", "@odata.type", "Created"].iter().any(|f| member.get(*f).is_some()));
        let collection_uri = from.uri.split('?').next().unwrap_or(&from.uri).trim_end_matches('/').to_owned();
        match link {
            Some(uri) if !whole => {
                let wanted = match from.role {
                    Role::SmartReport => tail(&uri).to_ascii_uppercase().contains("SMART"),
                    _ => true,
                };
                if wanted {
                    let next = Next { uri, role: from.role, collection: false };
                    self.ask(memory, next, &from.owner, &collection_uri);
                }
            }
            link if member.is_object() => {
                let uri = link.unwrap_or_else(|| format!("{}#/Members/{index}", from.uri));
                let uri = uri.trim_end_matches('/').to_owned();
                if self.seen.insert(key(&uri)) {
                    self.arrived(
                        memory,
                        Node {
                            uri,
                            role: from.role,
                            owner: from.owner.clone(),
                            parent: collection_uri,
                            body: member,
                            at,
                        },
                    );
                }
            }
            _ => {}
        }
    }

    fn arrived(&mut self, memory: &mut Memory, node: Node) {
        let owner = if node.role.owns() { node.uri.clone() } else { node.owner.clone() };
        if node.role == Role::Manager {
            self.platform = self.platform.completed_by(&node.body);
        }
        for next in route::from(self.section, &node, memory, self.platform) {
            match next {
                route::Step::Ask(next) => self.ask(memory, next, &owner, &node.uri),
                route::Step::Has { uri, role, body } => {
                    if self.seen.insert(key(&uri)) {
                        let at = node.at;
                        self.arrived(
                            memory,
                            Node { uri, role, owner: owner.clone(), parent: node.uri.clone(), body, at },
                        );
                    }
                }
            }
        }
        self.nodes.push(node);
    }

    fn ask(&mut self, memory: &Memory, next: Next, owner: &str, parent: &str) {
        let uri = match next.uri.split_once('#') {
            Some((before, _)) if !before.is_empty() => before.to_owned(),
            _ => next.uri,
        };
        if !is_ours(&uri) || !self.seen.insert(key(&uri)) {
            return;
        }
        let expanded =
            next.collection && !matches!(next.role, Role::LogEntry | Role::SmartReport) && memory.expand != Expand::No;
        let (uri, else_from) = match next.role {
            Role::LogEntry => self.log.begin(owner, uri),
            _ => (uri, None),
        };
        let (owner, parent) = (owner.to_owned(), parent.to_owned());
        let Next { role, collection, .. } = next;
        self.queue.push_back(Pending { uri, role, collection, expanded, else_from, owner, parent });
    }

    /// Turns what was read into observations. What was still to be asked becomes a gap.
    pub fn finish(mut self, memory: &mut Memory, at: Timestamp) -> Outcome {
        let left = self.queue.len() + self.in_flight.len();
        if left > 0 {
            let why = if let Some(why) = self.stopped {
                why
            } else if self.unreachable_in_a_row >= self.limits.unreachable_in_a_row {
                "the BMC stopped answering"
            } else if self.gave_up {
                "the limit of requests for one poll was reached"
            } else {
                "the poll's time was over"
            };
            let pending: Vec<Pending> =
                self.queue.drain(..).chain(std::mem::take(&mut self.in_flight).into_values()).collect();
            for p in pending {
                self.lost(p, Cause::Cancelled, why.to_owned(), at);
            }
        }
        // What is only missing or broken there says nothing against the session; it is told as a gap.
        let by_session = |l: &&Loss| !matches!(l.cause, Cause::NotSupported | Cause::BmcError | Cause::Malformed);
        let failed = match (self.read, self.losses.iter().find(by_session)) {
            (0, Some(loss)) => Some((loss.cause, format!("{}: {}", loss.uri, loss.detail))),
            _ => None,
        };
        let lossy = self.losses.iter().map(|l| l.owner.clone()).collect();
        let mut observations = report::observations(self.section, &self.nodes, lossy, memory, self.platform, at);
        let bookmark = (self.section == Section::Log).then(|| {
            let (events, bookmark) = self.log.finish();
            observations.extend(events.into_iter().map(Observation::Event));
            bookmark
        });
        observations.extend(gaps(&self.losses).into_iter().map(Observation::Gap));
        Outcome { observations, bookmark, failed }
    }
}

/// One gap for each cause below one chassis, system or log: a hundred dead links in one collection are one line to read, not a hundred.
fn gaps(losses: &[Loss]) -> Vec<Gap> {
    let mut groups: BTreeMap<(&str, Role, u8, &str), Vec<&Loss>> = BTreeMap::new();
    for loss in losses {
        groups.entry((&loss.owner, loss.role, loss.cause.number(), &loss.detail)).or_default().push(loss);
    }
    let gap = |group: Vec<&Loss>| {
        let first = *group.first()?;
        let detail = match group.len() {
            1 => format!("{}: {}", first.role.what(), first.detail),
            n => format!("{n} × {}: {} (first of them: {})", first.role.what(), first.detail, first.uri),
        };
        let one_parent = group.len() > 1 && group.iter().all(|l| l.parent == first.parent);
        let source = Source(if one_parent { first.parent.clone() } else { first.uri.clone() });
        Some(Gap { component: None, cause: first.cause, detail, observed_at: first.at, source, span: None })
    };
    groups.into_values().filter_map(gap).collect()
}

fn http_failure(status: u16, body: &[u8]) -> (Cause, String) {
    let said = lenient::parse(body).ok().and_then(|b| lenient::error_of(&b));
    let cause = match status {
        401 | 403 => Cause::Denied,
        404 | 405 | 410 | 501 => Cause::NotSupported,
        429 | 503 => Cause::Busy,
        _ => Cause::BmcError,
    };
    (
        cause,
        match said {
            Some(said) => format!("HTTP {status}: {said}"),
            None => format!("HTTP {status}"),
        },
    )
}

/// The members of a collection, whatever the age of its schema.
pub(super) fn members(mut body: Value) -> Vec<Value> {
    for field in ["Members", "Items", "members"] {
        if let Some(Value::Array(list)) = body.get_mut(field).map(Value::take) {
            return list;
        }
    }
    for links in ["links", "Links"] {
        for field in ["Member", "Members"] {
            if let Some(Value::Array(list)) = body.get_mut(links).and_then(|l| l.get_mut(field)).map(Value::take) {
                return list;
            }
        }
    }
    Vec::new()
}

pub(super) fn next_link(body: &Value) -> Option<String> {
    ["Members@odata.nextLink", "@odata.nextLink", "Members@odata.nextlink"]
        .iter()
        .find_map(|f| body.get(*f).and_then(lenient::target))
        .or_else(|| lenient::link(body, "NextPage"))
}

/// Whether a link leads to a resource of the service. Anything else that a BMC serves is none of ours.
fn is_ours(uri: &str) -> bool {
    uri.starts_with("/redfish") || uri.starts_with("/rest/")
}

/// One spelling for one resource: no trailing slash, escapes resolved. Case stays: Redfish URIs are case-sensitive.
fn key(uri: &str) -> String {
    let plain = percent_encoding::percent_decode_str(uri).decode_utf8_lossy().into_owned();
    let path = plain.split('?').next().unwrap_or(&plain);
    path.trim_end_matches('/').to_owned()
}

fn page_key(uri: &str) -> String {
    percent_encoding::percent_decode_str(uri).decode_utf8_lossy().into_owned()
}
