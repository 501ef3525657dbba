//! Which URIs to GET for a section, in what order, and what became of each. Sans-IO: it is given bodies and gives back what to ask next.

mod answer;
mod collection;
mod loss;
mod sensors;
mod terms;
mod unfold;

use super::cache::Want;
use super::expand::Form;
use super::memory::Memory;
use super::portions::Member;
use super::route::{self, Next, Role};
use super::{log, report};
use crate::Bookmark;
use crate::quirk::Platform;
pub(super) use collection::{members, next_link};
use loss::{Loss, gaps};
use outband_schemas::{Cause, Gap, Observation, Section, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
pub use terms::{Answer, Get, Limits, Node, Outcome, tail};
use terms::{Mode, Pending};

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
    /// Members of collections, and fields of log entries, that hold something else than they should.
    faults: Vec<Gap>,
    /// Whether the body at hand is cut off: it is not kept for other sections.
    cut_off: bool,
    next_ticket: u64,
    /// Resources and pages that were read.
    read: usize,
    /// Resources that were not asked for, as they had been read shortly before.
    taken: usize,
    unreachable_in_a_row: usize,
    /// Time-outs below each chassis, system, manager and log service.
    hangs: BTreeMap<String, usize>,
    /// From a member to its collection and its place there.
    origins: HashMap<String, (String, usize)>,
    sensors: sensors::Sensors,
    /// What the BMC wants a licence for, by role and last segment, and how it said so.
    unlicensed: BTreeMap<(Role, String), (Cause, String)>,
    /// Resources that were asked for again, with what they link to.
    folded: BTreeMap<String, Node>,
    now: Timestamp,
    gave_up: bool,
    /// The lesser views of what was not found were asked for.
    looked_again: bool,
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
            faults: Vec::new(),
            cut_off: false,
            next_ticket: 0,
            read: 0,
            taken: 0,
            unreachable_in_a_row: 0,
            hangs: BTreeMap::new(),
            origins: HashMap::new(),
            sensors: sensors::Sensors::default(),
            folded: BTreeMap::new(),
            unlicensed: BTreeMap::new(),
            now: at,
            gave_up: false,
            looked_again: false,
            stopped: None,
            platform,
        };
        memory.learn_features(root, platform);
        if section == Section::Sensors && walk.begin_steady(memory) {
            return walk;
        }
        if section == Section::Inventory && walk.go_on(memory) {
            return walk;
        }
        let body = platform.whole_root(root);
        let (owner, parent) = (String::new(), String::new());
        walk.arrived(memory, Node { uri: "/redfish/v1".to_owned(), role: Role::Root, owner, parent, body, at });
        walk
    }

    /// The next request, if there is one to make now. `None` with nothing in flight means that the walk is done.
    pub fn poll_get(&mut self, memory: &mut Memory) -> Option<Get> {
        if self.gave_up {
            return None;
        }
        let pending = self.next_pending(memory)?;
        if usize::try_from(self.next_ticket).unwrap_or(usize::MAX) >= self.limits.requests {
            self.gave_up = true;
            self.queue.push_front(pending);
            return None;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let uri = memory.expander.uri(&pending.uri, pending.form);
        let resource = key(&pending.uri);
        let etag = memory.cache.etag(&resource, &uri).filter(|_| !pending.untagged).map(str::to_owned);
        let plain = pending.form == Form::Plain && !matches!(pending.role, Role::LogEntry | Role::SmartReport);
        let patience = memory.patience(&resource, self.section, pending.role);
        self.in_flight.insert(ticket, pending);
        Some(Get { uri, if_none_match: etag, patience, resource, plain, ticket })
    }

    /// The next thing to ask for. What lies below something that hangs comes last, and is left out if it hangs again.
    fn next_pending(&mut self, memory: &mut Memory) -> Option<Pending> {
        loop {
            let Some(pending) = self.pop() else {
                if self.section == Section::Sensors && self.second_look(memory) {
                    continue;
                }
                if !std::mem::replace(&mut self.looked_again, true) {
                    for (next, owner, parent) in route::drives::lesser(self.section, &self.nodes) {
                        self.ask(memory, next, &owner, &parent);
                    }
                    continue;
                }
                return None;
            };
            let Some(pending) = self.unless_kept(memory, pending) else { continue };
            if let Some((cause, said)) = self.unlicensed.get(&(pending.role, tail(&pending.uri).to_owned())).cloned() {
                self.lost(pending, cause, format!("not asked for, as of its like: {said}"), self.now);
                continue;
            }
            let hangs = self.hangs.get(&pending.owner).copied().unwrap_or(0);
            if hangs < 2 || pending.owner.is_empty() {
                return Some(pending);
            }
            let detail = format!("not asked for, as {} hangs", pending.owner);
            self.lost(pending, Cause::Timeout, detail, self.now);
        }
    }

    /// Goes on with an inventory of which members were put off; `false` where none were, and it begins anew.
    fn go_on(&mut self, memory: &mut Memory) -> bool {
        let portion = memory.portions.next();
        if portion.is_empty() {
            memory.portions.begin();
            return false;
        }
        self.looked_again = true;
        for Member { uri, role, owner, collection, index } in portion {
            self.origins.insert(uri.trim_end_matches('/').to_owned(), (collection.clone(), index));
            self.ask(memory, Next { uri, role, collection: false }, &owner, &collection);
        }
        true
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

    /// What a resource is wanted for: logs are told, and not what leads to them.
    fn want(&self, role: Role) -> Want {
        match (self.section, role) {
            (Section::Log, Role::Chassis | Role::System | Role::Manager | Role::LogService)
            | (Section::Drives, Role::Chassis | Role::System) => Want::Way,
            _ => Want::Figures,
        }
    }

    /// Goes on with a log. Its further pages wait behind what else is to be read, so that one long log does not keep the others.
    fn follow(&mut self, from: &Pending, follow: Vec<log::Follow>, at: Timestamp) {
        for next in follow {
            let (uri, collection, form, else_from) = match next {
                log::Follow::Page { uri, else_from } => (uri, true, Form::Plain, else_from),
                log::Follow::Expanded(uri) => (uri, true, Form::Expanded, None),
                log::Follow::Entry(uri) => (uri, false, Form::Plain, None),
                log::Follow::Lost { uri, cause, detail } => {
                    self.lost(Pending { uri, else_from: None, ..from.clone() }, cause, detail, at);
                    continue;
                }
            };
            if is_ours(&uri) {
                self.queue.push_back(Pending { uri, collection, form, else_from, ..from.clone() });
            }
        }
    }

    fn arrived(&mut self, memory: &mut Memory, node: Node) {
        let owner = if node.role.owns() { node.uri.clone() } else { node.owner.clone() };
        if node.role == Role::Chassis {
            memory.read_chassis(&node.uri);
        }
        if node.role == Role::Manager {
            self.platform = self.platform.completed_by(&node.body);
        }
        let steps = route::from(self.section, &node, memory, self.platform);
        if self.unfold(memory, &node, &steps) {
            return;
        }
        for next in steps {
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
        self.known(memory, node);
    }

    /// Takes a resource without following its links.
    fn known(&mut self, memory: &mut Memory, node: Node) {
        if node.role == Role::Chassis {
            memory.steady.chassis(&node.uri, &node.body);
        }
        let sensor = (node.role == Role::Sensor).then(|| node.owner.clone());
        self.nodes.push(node);
        if let Some(owner) = sensor {
            self.weigh_sensors(&owner);
        }
    }

    fn ask(&mut self, memory: &mut Memory, next: Next, owner: &str, parent: &str) {
        let uri = match next.uri.split_once('#') {
            Some((before, _)) if !before.is_empty() => before.to_owned(),
            _ => next.uri,
        };
        let known = key(&uri);
        if !is_ours(&uri) || !self.seen.insert(known.clone()) {
            return;
        }
        let Next { role, collection, .. } = next;
        let form = match role {
            _ if !collection => Form::Plain,
            Role::LogEntry | Role::SmartReport | Role::MetricReport => Form::Plain,
            _ => memory.expander.first(&uri, role),
        };
        let (uri, else_from) = match role {
            Role::LogEntry => self.log.begin(owner, uri),
            _ => (uri, None),
        };
        let (owner, parent) = (owner.to_owned(), parent.to_owned());
        let pending =
            Pending { uri, role, collection, form, else_from, owner, parent, mode: Mode::Look, untagged: false };
        match memory.cache.take(&known, self.section, self.want(role), self.now) {
            Some((body, at)) if collection => {
                self.taken += 1;
                self.collection(memory, Pending { form: Form::Plain, ..pending }, body, None, at);
            }
            Some((body, at)) => {
                let Pending { uri, role, owner, parent, .. } = pending;
                let uri = uri.trim_end_matches('/').to_owned();
                self.arrived(memory, Node { uri, role, owner, parent, body, at });
            }
            None => self.queue.push_back(pending),
        }
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
        // Where the way was known, one request that hangs is not the whole BMC.
        let one_hangs = self.taken > 0 && self.losses.len() == 1 && !self.gave_up;
        let by_session = |l: &&Loss| match l.cause {
            Cause::NotSupported | Cause::BmcError | Cause::Malformed => false,
            Cause::Timeout => !one_hangs,
            _ => true,
        };
        let failed = match (self.read, self.losses.iter().find(by_session)) {
            (0, Some(loss)) => Some((loss.cause, format!("{}: {}", loss.uri, loss.detail))),
            _ => None,
        };
        let lossy = self.losses.iter().map(|l| l.owner.clone()).collect();
        memory.partial = self.sensors.by_plan;
        let mut observations = report::observations(self.section, &self.nodes, lossy, memory, self.platform, at);
        if self.section == Section::Sensors {
            self.remember(memory, &observations);
        }
        let bookmark = (self.section == Section::Log).then(|| {
            let (events, bookmark) = self.log.finish();
            observations.extend(events.into_iter().map(Observation::Event));
            bookmark
        });
        memory.cache.tidy(at);
        observations.extend(gaps(&self.losses).into_iter().chain(self.faults).map(Observation::Gap));
        let more = memory.portions.words().filter(|_| self.section == Section::Inventory);
        Outcome { observations, bookmark, failed, more }
    }
}

/// Whether a link leads to a resource of the service. Anything else that a BMC serves is none of ours.
fn is_ours(uri: &str) -> bool {
    uri.starts_with("/redfish") || uri.starts_with("/rest/")
}

/// One spelling for one resource: no trailing slash, escapes resolved. Case stays: Redfish URIs are case-sensitive.
pub(super) fn key(uri: &str) -> String {
    let plain = percent_encoding::percent_decode_str(uri).decode_utf8_lossy().into_owned();
    let path = plain.split('?').next().unwrap_or(&plain);
    path.trim_end_matches('/').to_owned()
}

fn page_key(uri: &str) -> String {
    percent_encoding::percent_decode_str(uri).decode_utf8_lossy().into_owned()
}
