//! What a poll of the sensors asks for once the BMC was looked through: what gives figures, each time, and a few of the other things in turn.
//!
//! The first poll follows every link. From then on a poll asks for the resources that gave something the minute counts for (`Thermal`, `Power`, or what the
//! chassis has instead), and fills up with others whose turn it is: the health of systems and chassis, sensors that only the other generation has, and the
//! collections in which new chassis and systems would show. Whatever changes there, or fails, makes the next poll look through everything again.

use super::route::Role;
use outband_schemas::{Observation, SensorKind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Requests of one poll, unless what is needed each time is more.
const REQUESTS: usize = 4;
/// What one poll is expected to take at most, in seconds, unless what is needed each time takes longer.
const SECONDS: f64 = 2.0;
/// After so many polls everything that takes turns has had its turn, at a BMC that is asked for much anyway.
const WITHIN: usize = 5;
/// After so many polls everything is looked through again.
const LOOK_AGAIN: u32 = 60;

/// A resource, or some or all of the members of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) uri: String,
    pub(super) role: Role,
    pub(super) of: What,
    pub(super) owner: String,
    pub(super) parent: String,
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A resource.
    One,
    /// A collection with all its members, of which there are so many.
    All(usize),
    /// Some members of a collection.
    Some { skip: usize, top: usize },
    /// The list of members, which are not asked for.
    List,
}

impl Ask {
    /// Members that the answer brings.
    pub(super) fn members(&self) -> usize {
        match self.of {
            What::One | What::List => 0,
            What::All(n) => n,
            What::Some { top, .. } => top,
        }
    }
}

#[derive(Debug, Clone)]
struct Turn {
    ask: Ask,
    /// Every how many polls it should come.
    every: u32,
    waited: u32,
    /// It has not given anything yet; it leaves the round if it does not.
    on_trial: bool,
}

/// What was learned from looking through a BMC.
#[derive(Debug, Clone, Default)]
struct Plan {
    always: Vec<Ask>,
    turns: Vec<Turn>,
    /// Members of the collections of chassis and systems.
    listed: BTreeMap<String, BTreeSet<String>>,
    /// Which links a chassis had.
    links: BTreeMap<String, Vec<String>>,
    polls: u32,
}

/// The plan for polls of the sensors, once there is one.
#[derive(Debug, Clone, Default)]
pub(super) struct Steady {
    plan: Option<Plan>,
    /// What the poll under way asks out of turn.
    asked: Vec<Ask>,
}

impl Steady {
    /// What to ask for in this poll; `None`: look through everything. `cost` tells how many seconds a request is expected to take.
    pub(super) fn begin(&mut self, cost: impl Fn(&Ask) -> f64) -> Option<Vec<Ask>> {
        self.asked.clear();
        let plan = self.plan.as_mut()?;
        plan.polls += 1;
        if plan.polls > LOOK_AGAIN || (plan.always.is_empty() && plan.turns.is_empty()) {
            self.plan = None;
            return None;
        }
        let mut asks = plan.always.clone();
        let mut seconds: f64 = asks.iter().map(&cost).sum();
        for turn in &mut plan.turns {
            turn.waited += 1;
        }
        let mut order: Vec<usize> = (0..plan.turns.len()).collect();
        let urgency = |t: &Turn| f64::from(t.waited) / f64::from(t.every.max(1));
        order.sort_by(|a, b| match (plan.turns.get(*a), plan.turns.get(*b)) {
            (Some(a), Some(b)) => urgency(b).total_cmp(&urgency(a)),
            _ => std::cmp::Ordering::Equal,
        });
        // Where much is needed each time the others have their turns too, before what they told last is old.
        let least = match asks.len() >= REQUESTS || seconds > SECONDS {
            true => plan.turns.iter().filter(|t| !t.on_trial).count() / WITHIN,
            false => 1,
        };
        for index in order {
            let Some(turn) = plan.turns.get_mut(index) else { continue };
            let takes = cost(&turn.ask);
            let room = asks.len() < REQUESTS && seconds + takes <= SECONDS;
            if self.asked.len() < least.max(1) || room {
                turn.waited = 0;
                seconds += takes;
                self.asked.push(turn.ask.clone());
                asks.push(turn.ask.clone());
            }
        }
        Some(asks)
    }

    /// Everything is to be looked through at the next poll.
    pub(super) fn forget(&mut self) {
        self.plan = None;
    }

    /// Whether there is a plan.
    #[cfg(test)]
    pub(super) fn is_planned(&self) -> bool {
        self.plan.is_some()
    }

    /// A list of chassis or systems was read: another one than before is looked into.
    pub(super) fn list(&mut self, collection: &str, members: BTreeSet<String>) {
        if self.plan.as_ref().is_some_and(|p| p.listed.get(collection).is_some_and(|before| *before != members)) {
            self.plan = None;
        }
    }

    /// A chassis was read again: one that links to other things than before is looked into.
    pub(super) fn chassis(&mut self, uri: &str, body: &Value) {
        if self.plan.as_ref().is_some_and(|p| p.links.get(uri).is_some_and(|before| *before != links(body))) {
            self.plan = None;
        }
    }

    /// After a poll by plan: what was on trial and gave nothing leaves the round.
    pub(super) fn tried(&mut self, gave: impl Fn(&Ask) -> bool) {
        let Some(plan) = &mut self.plan else { return };
        for ask in &self.asked {
            let fruitful = gave(ask);
            plan.turns.retain_mut(|turn| {
                let this = turn.ask == *ask;
                turn.on_trial &= !(this && fruitful);
                !(this && turn.on_trial)
            });
        }
    }

    /// After a complete look.
    pub(super) fn learn(&mut self, plan: Learned) {
        let turns = plan.turns.into_iter().map(|(ask, every)| Turn { ask, every, waited: 0, on_trial: false });
        let trials = plan.trials.into_iter().map(|ask| Turn { ask, every: 30, waited: 0, on_trial: true });
        let turns = turns.chain(trials).collect();
        self.plan = Some(Plan { always: plan.always, turns, listed: plan.listed, links: plan.links, polls: 0 });
    }
}

/// What a complete look comes to.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// Asked for at each poll.
    pub(super) always: Vec<Ask>,
    /// Asked for in turn, about every so many polls.
    pub(super) turns: Vec<(Ask, u32)>,
    /// Not read yet; asked for in turn once, and further if they give something.
    pub(super) trials: Vec<Ask>,
    pub(super) listed: BTreeMap<String, BTreeSet<String>>,
    pub(super) links: BTreeMap<String, Vec<String>>,
}

impl Learned {
    /// Notes what a chassis links to.
    pub(super) fn chassis(&mut self, uri: &str, body: &Value) {
        self.links.insert(uri.to_owned(), links(body));
    }
}

/// The names of what a chassis links to for its sensors.
fn links(body: &Value) -> Vec<String> {
    let fields = ["Thermal", "Power", "ThermalSubsystem", "PowerSubsystem", "Sensors", "EnvironmentMetrics"];
    fields.iter().filter(|f| body.get(**f).is_some_and(Value::is_object)).map(|f| (*f).to_owned()).collect()
}

/// The resources that readings came from, and the readings' kinds.
pub(super) fn sources(observations: &[Observation]) -> BTreeMap<String, Vec<SensorKind>> {
    let mut sources: BTreeMap<String, Vec<SensorKind>> = BTreeMap::new();
    for observation in observations {
        if let Observation::Reading(r) = observation {
            let uri = r.source.0.split('#').next().unwrap_or_default().trim_end_matches('/');
            sources.entry(uri.to_owned()).or_default().push(r.kind);
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ask(uri: &str, role: Role) -> Ask {
        Ask { uri: uri.to_owned(), role, of: What::One, owner: String::new(), parent: String::new() }
    }

    fn planned(always: usize, turns: usize) -> Steady {
        let mut steady = Steady::default();
        let always = (0..always).map(|n| ask(&format!("/always/{n}"), Role::Thermal)).collect();
        let turns = (0..turns).map(|n| (ask(&format!("/turn/{n}"), Role::Sensor), 3)).collect();
        steady.learn(Learned { always, turns, ..Learned::default() });
        steady
    }

    #[test]
    fn a_poll_asks_for_what_counts_and_fills_up_with_what_has_its_turn() {
        let mut steady = planned(2, 6);
        let mut seen = BTreeSet::new();
        for _ in 0..3 {
            let asks = steady.begin(|_| 0.3).unwrap();
            assert_eq!(asks.len(), 4);
            assert!(asks.iter().filter(|a| a.uri.starts_with("/always")).count() == 2);
            seen.extend(asks.into_iter().map(|a| a.uri));
        }
        assert_eq!(seen.len(), 8, "everything had its turn: {seen:?}");
    }

    #[test]
    fn a_slow_bmc_is_asked_less_but_something_always_has_its_turn() {
        let mut steady = planned(2, 3);
        assert_eq!(steady.begin(|_| 0.6).unwrap().len(), 3);
        assert_eq!(steady.begin(|_| 3.0).unwrap().len(), 3);
        assert_eq!(planned(31, 3).begin(|_| 0.1).unwrap().len(), 32);
    }

    #[test]
    fn another_list_or_another_link_is_looked_into() {
        let chassis = json!({"Thermal": {"@odata.id": "/t"}});
        let mut learned = Learned { always: vec![ask("/t", Role::Thermal)], ..Learned::default() };
        learned.listed.insert("/Chassis".to_owned(), ["/Chassis/1".to_owned()].into());
        learned.chassis("/Chassis/1", &chassis);
        let mut steady = Steady::default();
        steady.learn(learned);
        steady.list("/Chassis", ["/Chassis/1".to_owned()].into());
        steady.chassis("/Chassis/1", &chassis);
        assert!(steady.is_planned());
        let mut other = steady.clone();
        other.list("/Chassis", ["/Chassis/1".to_owned(), "/Chassis/2".to_owned()].into());
        assert!(!other.is_planned());
        steady.chassis("/Chassis/1", &json!({"Thermal": {"@odata.id": "/t"}, "Sensors": {"@odata.id": "/s"}}));
        assert!(!steady.is_planned());
    }

    #[test]
    fn what_gave_nothing_on_trial_leaves_the_round() {
        let mut steady = Steady::default();
        let trials = vec![ask("/a", Role::Sensor), ask("/b", Role::Sensor)];
        steady.learn(Learned { trials, ..Learned::default() });
        assert_eq!(steady.begin(|_| 0.1).unwrap().len(), 2);
        steady.tried(|a| a.uri == "/a");
        let left: Vec<String> = steady.begin(|_| 0.1).unwrap().into_iter().map(|a| a.uri).collect();
        assert_eq!(left, ["/a"]);
    }

    #[test]
    fn after_an_hour_everything_is_looked_through_again() {
        let mut steady = planned(1, 1);
        assert_eq!((0..100).take_while(|_| steady.begin(|_| 0.1).is_some()).count(), 60);
    }
}
