//! Polls of the sensors: by plan where there is one, else a look through everything, of which the plan for the next polls is made.

use super::{Form, Loss, Mode, Pending, Walk, key};
use crate::redfish::chassis;
use crate::redfish::memory::{Generation, Memory};
use crate::redfish::route::{self, Role, Step};
use crate::redfish::steady::{self, Ask, Learned, What};
use outband_schemas::{Cause, Observation, SensorKind};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// After so many sensors of a chassis it is judged whether the others are worth their requests.
const SAMPLE: usize = 8;
/// Of so many sensors at least one must say what nothing else says, for the others to be read at once.
const ONE_OF: usize = 4;
/// What a window of sensors that has its turn may take, in seconds.
const WINDOW: f64 = 1.0;

/// A member that gave something: its place, its URI, and whether it is to be read each time.
type Member = (usize, String, bool);

/// What a poll of the sensors knows beside its resources.
#[derive(Debug, Default)]
pub(super) struct Sensors {
    pub(super) by_plan: bool,
    looked_twice: bool,
    asked: Vec<Ask>,
    /// Members of the collections of chassis and systems.
    pub(super) listed: BTreeMap<String, BTreeSet<String>>,
    /// Collections that hold their members without being asked to.
    pub(super) inline: BTreeSet<String>,
    /// Chassis of which no further sensors are read in this poll.
    enough: BTreeSet<String>,
    /// Chassis whose `Sensors` only add to what `Thermal` and `Power` say.
    extra: BTreeSet<String>,
    /// What was not read: places in the collection, and members.
    left_out: BTreeMap<String, (Range<usize>, Vec<String>)>,
}

impl Sensors {
    /// Whether enough of a chassis' sensors were read.
    pub(super) fn enough(&self, owner: &str, role: Role) -> bool {
        role == Role::Sensor && self.enough.contains(owner)
    }

    /// Notes the places of members that are not read now.
    pub(super) fn left_out(&mut self, owner: &str, places: Range<usize>) {
        if !places.is_empty() {
            self.left_out.entry(owner.to_owned()).or_default().0 = places;
        }
    }
}

impl Walk {
    /// Asks for what the plan says; `false` where there is none.
    pub(super) fn begin_steady(&mut self, memory: &mut Memory) -> bool {
        let expander = memory.expander.clone();
        let Some(asks) = memory.steady.begin(|ask| expander.cost(ask.members())) else { return false };
        self.sensors.by_plan = true;
        for ask in &asks {
            let Ask { uri, role, owner, parent, .. } = ask.clone();
            self.seen.insert(key(&uri));
            let (form, mode) = match ask.of {
                What::One => (Form::Plain, Mode::Known),
                What::All(n) => (memory.expander.second(&uri, n).unwrap_or(Form::Plain), Mode::Known),
                What::Some { skip, top } => (Form::Page { skip, top }, Mode::Window),
                What::List => (Form::Plain, Mode::List),
            };
            let collection = ask.of != What::One;
            let pending =
                Pending { uri, role, collection, form, else_from: None, owner, parent, mode, untagged: false };
            self.queue.push_back(pending);
        }
        self.sensors.asked = asks;
        true
    }

    /// When `Thermal` and `Power` of every chassis came: what of the newer generation is still to be read. Whether there is anything.
    pub(super) fn second_look(&mut self, memory: &mut Memory) -> bool {
        if self.sensors.by_plan || std::mem::replace(&mut self.sensors.looked_twice, true) {
            return false;
        }
        let chassis: Vec<super::Node> = self.nodes.iter().filter(|n| n.role == Role::Chassis).cloned().collect();
        for node in chassis {
            let told = chassis::told(&self.nodes, &node.uri);
            if told.is_all() {
                self.sensors.extra.insert(node.uri.clone());
            }
            for step in route::newer(&node, told) {
                if let Step::Ask(next) = step {
                    self.ask(memory, next, &node.uri, &node.uri);
                }
            }
        }
        !self.queue.is_empty()
    }

    /// Judges whether the rest of a chassis' sensors are worth reading now, where `Thermal` and `Power` say all that a minute counts for.
    pub(super) fn weigh_sensors(&mut self, owner: &str) {
        if self.sensors.by_plan || !self.sensors.extra.contains(owner) || self.sensors.enough.contains(owner) {
            return;
        }
        let (read, new) = chassis::new_sensors(&self.nodes, owner);
        if read < SAMPLE || new * ONE_OF >= read {
            return;
        }
        self.sensors.enough.insert(owner.to_owned());
        let (out, rest) = self.queue.drain(..).partition::<std::collections::VecDeque<_>, _>(|p| {
            p.role == Role::Sensor && !p.collection && p.owner == owner
        });
        self.queue = rest;
        if !out.is_empty() {
            self.sensors.left_out.entry(owner.to_owned()).or_default().1 = out.into_iter().map(|p| p.uri).collect();
        }
    }

    /// After a poll: makes a plan of a complete look, or notes how the plan served.
    pub(super) fn remember(&mut self, memory: &mut Memory, observations: &[Observation]) {
        let mut sources = steady::sources(observations);
        for node in self.nodes.iter().filter(|n| n.role == Role::Sensor && !chassis::is_figure(n)) {
            // A state that its part tells of itself is not worth a request of its own.
            sources.remove(&node.uri);
        }
        if self.sensors.by_plan {
            let gave: BTreeSet<(String, usize)> =
                sources.keys().filter_map(|uri| self.origins.get(uri)).cloned().collect();
            memory.steady.tried(|ask| match ask.of {
                What::One | What::List => sources.contains_key(&ask.uri),
                What::All(_) => gave.iter().any(|(uri, _)| *uri == ask.uri),
                What::Some { skip, top } => {
                    gave.iter().any(|(uri, at)| *uri == ask.uri && (skip..skip + top).contains(at))
                }
            });
            // What is gone may have moved.
            if self.losses.iter().any(|l| l.cause == Cause::NotSupported) {
                memory.steady.forget();
            }
            return;
        }
        self.tell_left_out();
        let cut_short =
            self.gave_up || self.stopped.is_some() || self.losses.iter().any(|l| l.cause == Cause::Cancelled);
        let blind = self.losses.iter().any(|l| l.role == Role::Chassis || l.role == Role::System);
        if self.read == 0 && self.nodes.len() < 2 || cut_short && !self.only_left_out() || blind {
            return memory.steady.forget();
        }
        let learned = self.plan(memory, &sources);
        memory.steady.learn(learned);
    }

    fn only_left_out(&self) -> bool {
        !self.gave_up
            && self.stopped.is_none()
            && self.losses.iter().filter(|l| l.cause == Cause::Cancelled).all(|l| l.role == Role::Sensor)
    }

    /// One line for all sensors of a chassis that are not worth their requests.
    fn tell_left_out(&mut self) {
        for (owner, (places, members)) in &self.sensors.left_out {
            let count = places.len() + members.len();
            let (read, new) = chassis::new_sensors(&self.nodes, owner);
            let detail = format!(
                "{count} of {} sensors are left for later polls, a few in each: of the {read} read, {} only repeat what Thermal and Power say, or have no unit",
                count + read,
                read - new,
            );
            let (uri, owner) = (format!("{owner}/Sensors"), owner.clone());
            let uri = self
                .nodes
                .iter()
                .find(|n| n.role == Role::Sensor && n.owner == owner)
                .map_or(uri, |n| n.parent.clone());
            self.losses.push(Loss {
                uri,
                parent: owner.clone(),
                owner,
                role: Role::Sensor,
                cause: Cause::Cancelled,
                detail,
                at: self.now,
            });
        }
    }

    /// What the next polls are to ask for.
    fn plan(&self, memory: &Memory, sources: &BTreeMap<String, Vec<SensorKind>>) -> Learned {
        let mut learned = Learned { listed: self.sensors.listed.clone(), ..Learned::default() };
        let mut collections: BTreeMap<(String, Role, String), Vec<Member>> = BTreeMap::new();
        for node in &self.nodes {
            match node.role {
                Role::Root => continue,
                Role::Chassis => learned.chassis(&node.uri, &node.body),
                _ => {}
            }
            let kinds = sources.get(&node.uri).map_or(&[][..], Vec::as_slice);
            let counts = self.counts_for_the_minute(memory, node, kinds);
            if let Some((collection, index)) = self.origins.get(&node.uri) {
                let group = (collection.clone(), node.role, node.owner.clone());
                if !kinds.is_empty() || matches!(node.role, Role::Chassis | Role::System) {
                    collections.entry(group).or_default().push((*index, node.uri.clone(), counts));
                }
            } else if !kinds.is_empty() {
                let ask = one(&node.uri, node.role, &node.owner, &node.parent);
                if counts { learned.always.push(ask) } else { learned.turns.push((ask, 2)) }
            }
        }
        for ((collection, role, owner), members) in collections {
            self.plan_collection(memory, &mut learned, &collection, role, &owner, members);
        }
        for loss in self.losses.iter().filter(|l| matches!(l.role, Role::Thermal | Role::Power)) {
            // What could not be read is tried each time, and told each time that it cannot.
            learned.always.push(one(&loss.uri, loss.role, &loss.owner, &loss.parent));
        }
        for (owner, (places, members)) in &self.sensors.left_out {
            let Some(collection) = self.nodes.iter().find(|n| n.role == Role::Sensor && n.owner == *owner) else {
                continue;
            };
            let top = memory.expander.most_within(WINDOW);
            learned.trials.extend(places.clone().step_by(top).map(|skip| Ask {
                uri: collection.parent.clone(),
                role: Role::Sensor,
                of: What::Some { skip, top },
                owner: owner.clone(),
                parent: collection.parent.clone(),
            }));
            learned.trials.extend(members.iter().map(|uri| one(uri, Role::Sensor, owner, &collection.parent)));
        }
        learned
    }

    fn plan_collection(
        &self,
        memory: &Memory,
        learned: &mut Learned,
        collection: &str,
        role: Role,
        owner: &str,
        mut members: Vec<Member>,
    ) {
        members.sort();
        let whole = Ask {
            uri: collection.to_owned(),
            role,
            of: What::All(memory.expander.members(collection).unwrap_or(members.len())),
            owner: owner.to_owned(),
            parent: owner.to_owned(),
        };
        let at_once =
            self.sensors.inline.contains(collection) || memory.expander.second(collection, whole.members()).is_some();
        let list = Ask { of: What::List, ..whole.clone() };
        match role {
            Role::Chassis if at_once => learned.turns.push((whole, 5)),
            Role::Chassis | Role::System => {
                let every = if role == Role::System { 2 } else { 5 };
                let each = members.iter().map(|(_, uri, _)| (one(uri, role, owner, collection), every));
                learned.turns.extend(each);
                learned.turns.push((list, 8));
            }
            // Where a good part of the members counts, all come with them.
            _ if at_once && members.iter().filter(|m| m.2).count() * 4 > whole.members() => learned.always.push(whole),
            _ => {
                let (always, turns): (Vec<_>, Vec<_>) = members.into_iter().partition(|m| m.2);
                learned.always.extend(always.iter().map(|(_, uri, _)| one(uri, role, owner, collection)));
                let top = memory.expander.most_within(WINDOW);
                if memory.expander.has_pages() && top > 1 && turns.len() > 1 {
                    let mut end = 0;
                    for (index, _, _) in turns {
                        if index >= end {
                            end = index + top;
                            learned.turns.push((Ask { of: What::Some { skip: index, top }, ..whole.clone() }, 3));
                        }
                    }
                } else {
                    learned.turns.extend(turns.iter().map(|(_, uri, _)| (one(uri, role, owner, collection), 3)));
                }
            }
        }
    }

    /// Whether what a resource gave is to be read each time: it is where the chassis' temperatures, fans, voltages or supplies come from.
    fn counts_for_the_minute(&self, memory: &Memory, node: &super::Node, kinds: &[SensorKind]) -> bool {
        let newer = |what| memory.chosen(&node.owner, what) == Some(Generation::New);
        match node.role {
            Role::Thermal | Role::Power => !kinds.is_empty(),
            Role::Fan => newer("fan"),
            Role::PowerSupply | Role::PowerSupplyMetrics => newer("power_supply"),
            // Where there is nothing else, the sensors are what the minute counts for.
            Role::Sensor if !self.sensors.extra.contains(&node.owner) && self.brings(memory, node) => !kinds.is_empty(),
            Role::Sensor => kinds.iter().any(|kind| match kind {
                // A temperature that only this resource has is one of the chassis' temperatures all the same.
                SensorKind::Temperature => true,
                SensorKind::FanSpeed | SensorKind::FanDuty => newer("fan"),
                SensorKind::Voltage => newer("voltage"),
                _ => false,
            }),
            _ => false,
        }
    }

    /// Whether a sensor comes with the others of its chassis.
    fn brings(&self, memory: &Memory, node: &super::Node) -> bool {
        let count = memory.expander.members(&node.parent);
        self.sensors.inline.contains(&node.parent)
            || count.is_some_and(|n| memory.expander.second(&node.parent, n).is_some())
    }
}

fn one(uri: &str, role: Role, owner: &str, parent: &str) -> Ask {
    Ask { uri: uri.to_owned(), role, of: What::One, owner: owner.to_owned(), parent: parent.to_owned() }
}
