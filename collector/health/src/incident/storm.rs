//! Storms: many incidents of a short while that one cause explains. A pure function of the incidents that could be part of one; the order in
//! which they came does not matter.
//!
//! A cause is named like an incident, because it becomes one: its `server` is the site, its component the feed, zone, rack, agent or firmware.

use super::{Incident, IncidentKey, Stage};
use crate::config::FoldingConfig;
use crate::{Fault, Level};
use outband_schemas::{ComponentClass, ComponentId, IdError, ServerId, SiteId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The `server` under which causes of a site stand. The collector's ids of real servers hold no dot.
pub fn place_of_site(site: &SiteId) -> Result<ServerId, IdError> {
    ServerId::new(format!("site.{site}"))
}

/// What many incidents may have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A power feed, by its name in the topology.
    Feed(String),
    /// A cooling zone, by its name in the topology.
    Zone(String),
    /// A rack, by its name in the topology.
    Rack(String),
    /// An agent, by its id.
    Agent(String),
    /// A firmware of BMCs that is new to them: model and version.
    Firmware(String),
}

impl Cause {
    /// What is wrong where this is the cause.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Feed(_) => Fault::PowerFeedLost,
            Self::Zone(_) => Fault::CoolingLost,
            Self::Rack(_) => Fault::RackSilent,
            Self::Agent(_) => Fault::AgentBlind,
            Self::Firmware(_) => Fault::FirmwareWave,
        }
    }

    /// Whether this could be why a component shows `fault`. What a cause does not explain is independent of it, however much of it there is: a
    /// drive fails by itself while its rack has no power.
    pub fn explains(&self, fault: Fault, component: &ComponentId) -> bool {
        match self {
            Self::Feed(_) => match fault {
                Fault::PowerInputLost | Fault::BmcSilent => true,
                Fault::RedundancyLost => is_of_power(component),
                _ => false,
            },
            Self::Zone(_) => fault == Fault::Overheating,
            Self::Rack(_) => matches!(fault, Fault::PowerInputLost | Fault::BmcSilent | Fault::Overheating),
            Self::Agent(_) => matches!(fault, Fault::BmcSilent | Fault::AgentSilent),
            Self::Firmware(_) => matches!(
                fault,
                Fault::BmcSilent
                    | Fault::EventBurst
                    | Fault::ComponentFailure
                    | Fault::VoltageOutOfRange
                    | Fault::FanFailure
                    | Fault::Overheating
            ),
        }
    }

    /// The incident that this becomes at a site. What a firmware breaks is one incident for each fault.
    pub fn key(&self, site: &ServerId, fault: Fault) -> IncidentKey {
        let (class, slot) = match self {
            Self::Feed(name) => (ComponentClass::PowerSupply, format!("feed {name}")),
            Self::Zone(name) => (ComponentClass::Chassis, format!("cooling zone {name}")),
            Self::Rack(name) => (ComponentClass::Chassis, format!("rack {name}")),
            Self::Agent(name) => (ComponentClass::Agent, name.clone()),
            Self::Firmware(name) => (ComponentClass::Firmware, format!("{name}: {fault}")),
        };
        IncidentKey { server: site.clone(), component: ComponentId::lenient(class, slot), fault: self.fault() }
    }
}

/// What a cause is called by what is seen of it: a feed of which no supply tells is not said to be lost.
fn as_seen(cause: &IncidentKey, members: &[IncidentKey]) -> IncidentKey {
    let fault = match cause.fault {
        Fault::PowerFeedLost if is_only_silence(members) => Fault::FeedSilent,
        fault => fault,
    };
    IncidentKey { fault, ..cause.clone() }
}

/// The cause that a storm goes by, whatever was seen of it first: what comes later of the same feed is a part of the same storm.
pub fn cause_of(storm: &IncidentKey) -> IncidentKey {
    let fault = match storm.fault {
        Fault::FeedSilent => Fault::PowerFeedLost,
        fault => fault,
    };
    IncidentKey { fault, ..storm.clone() }
}

/// Whether all that is known of each is that its BMC is silent.
pub fn is_only_silence(members: &[IncidentKey]) -> bool {
    !members.is_empty() && members.iter().all(|member| member.fault == Fault::BmcSilent)
}

fn is_of_power(component: &ComponentId) -> bool {
    let slot = component.slot().to_lowercase();
    component.class() == ComponentClass::PowerSupply
        || slot.contains("power")
        || slot.contains("psu")
        || slot.contains("ps ")
}

/// An incident that may be part of a storm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suspect {
    /// The incident.
    pub key: IncidentKey,
    /// When its condition began.
    pub onset: Timestamp,
    /// What may be behind it.
    pub causes: Vec<IncidentKey>,
}

/// Incidents that one cause explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storm {
    /// The cause, as far as it is seen.
    pub cause: IncidentKey,
    /// What it explains, in the order of the keys.
    pub members: Vec<IncidentKey>,
}

/// The storms among the suspects: the cause that explains the most servers first, then, of those that it leaves, the next. `size` says how many servers
/// a cause could have reached.
pub fn storms(suspects: &[Suspect], size: impl Fn(&IncidentKey) -> usize, config: &FoldingConfig) -> Vec<Storm> {
    let mut left: BTreeSet<&Suspect> = suspects.iter().collect();
    let mut found = Vec::new();
    loop {
        let mut by_cause: BTreeMap<&IncidentKey, Vec<&Suspect>> = BTreeMap::new();
        for suspect in &left {
            for cause in &suspect.causes {
                by_cause.entry(cause).or_default().push(suspect);
            }
        }
        let best = by_cause
            .into_iter()
            .filter_map(|(cause, of_cause)| {
                let together = closest(of_cause, Duration::from_secs(config.window_secs));
                let servers = servers(&together);
                (servers >= least(config)).then_some((cause, together, servers))
            })
            .filter(|(cause, _, servers)| cause.fault == Fault::FirmwareWave || is_many(*servers, size(cause), config))
            .max_by(|a, b| a.2.cmp(&b.2).then_with(|| b.0.fault.cmp(&a.0.fault)).then_with(|| b.0.cmp(a.0)));
        let Some((cause, together, _)) = best else { return found };
        let members: Vec<IncidentKey> = together.iter().map(|s| s.key.clone()).collect();
        found.push(Storm { cause: as_seen(cause, &members), members });
        for member in together {
            left.remove(member);
        }
    }
}

/// Two servers with the same fault are a coincidence, whatever the config says.
fn least(config: &FoldingConfig) -> usize {
    usize::try_from(config.min_servers).unwrap_or(usize::MAX).max(2)
}

fn is_many(servers: usize, of: usize, config: &FoldingConfig) -> bool {
    servers.saturating_mul(100) >= of.saturating_mul(usize::from(config.share_percent))
}

/// The most servers whose conditions began within `window` of each other.
fn closest(mut suspects: Vec<&Suspect>, window: Duration) -> Vec<&Suspect> {
    suspects.sort_by(|a, b| (a.onset, &a.key).cmp(&(b.onset, &b.key)));
    let mut best: &[&Suspect] = &[];
    for (from, first) in suspects.iter().enumerate() {
        let until = first.onset.plus(window);
        let to = suspects.partition_point(|s| s.onset <= until);
        let some = suspects.get(from..to).unwrap_or_default();
        if servers(some) > servers(best) {
            best = some;
        }
    }
    let mut best = best.to_vec();
    best.sort();
    best
}

fn servers(suspects: &[&Suspect]) -> usize {
    suspects.iter().map(|s| &s.key.server).collect::<BTreeSet<_>>().len()
}

/// The incident that a storm is.
pub fn parent(storm: &Storm, members: &[&Incident], now: Timestamp) -> Incident {
    let mut parent = Incident {
        key: storm.cause.clone(),
        stage: Stage::Open,
        predicted: true,
        level: Level::Advice,
        rules: Vec::new(),
        reason: String::new(),
        evidence: Vec::new(),
        onset: now,
        noted_at: now,
        newest: now,
        hits: 0,
        actual_hits: 0,
        clean: 0,
        clean_at: None,
        part_serial: None,
        ticket: None,
        hold: None,
        members: Vec::new(),
        returns: Vec::new(),
        follows: None,
        sightings: Vec::new(),
    };
    for member in members {
        embrace(&mut parent, member);
    }
    parent
}

/// Takes one more member in: the storm is as old as its oldest, and as grave as its gravest.
pub fn embrace(parent: &mut Incident, member: &Incident) {
    if let Err(at) = parent.members.binary_search(&member.key) {
        parent.members.insert(at, member.key.clone());
    }
    parent.onset = parent.onset.min(member.onset);
    parent.level = parent.level.max(member.level);
    parent.predicted &= member.predicted;
    for rule in &member.rules {
        if !parent.rules.contains(rule) {
            parent.rules.push(rule.clone());
        }
    }
}

/// Whether so few of a storm's servers still show it that its cause is over.
pub fn is_over(holding: usize, ever: usize, config: &FoldingConfig) -> bool {
    holding.saturating_mul(100) <= ever.saturating_mul(usize::from(config.over_percent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + secs)
    }

    fn key(server: usize, fault: Fault) -> IncidentKey {
        IncidentKey {
            server: ServerId::new(format!("srv-{server:03}")).unwrap(),
            component: ComponentId::new(ComponentClass::PowerSupply, "1").unwrap(),
            fault,
        }
    }

    fn cause(cause: Cause) -> IncidentKey {
        cause.key(&ServerId::new("site.dc1").unwrap(), Fault::PowerInputLost)
    }

    fn suspect(server: usize, secs: i64, causes: &[&IncidentKey]) -> Suspect {
        Suspect {
            key: key(server, Fault::PowerInputLost),
            onset: at(secs),
            causes: causes.iter().map(|c| (*c).clone()).collect(),
        }
    }

    #[test]
    fn many_servers_of_one_feed_are_one_storm_and_two_are_none() {
        let feed = cause(Cause::Feed("A".into()));
        let many: Vec<Suspect> = (0..30).map(|i| suspect(i, i as i64, &[&feed])).collect();
        let found = storms(&many, |_| 40, &FoldingConfig::default());
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].cause, found[0].members.len()), (&feed, 30));
        assert_eq!(storms(&many[..2], |_| 2, &FoldingConfig::default()), []);
    }

    #[test]
    fn a_few_of_many_are_no_storm() {
        let feed = cause(Cause::Feed("A".into()));
        let few: Vec<Suspect> = (0..5).map(|i| suspect(i, 0, &[&feed])).collect();
        assert_eq!(storms(&few, |_| 40, &FoldingConfig::default()), []);
        assert_eq!(storms(&few, |_| 8, &FoldingConfig::default()).len(), 1);
    }

    #[test]
    fn what_began_hours_apart_has_no_common_cause() {
        let feed = cause(Cause::Feed("A".into()));
        let apart: Vec<Suspect> = (0..5).map(|i| suspect(i, i as i64 * 3600, &[&feed])).collect();
        assert_eq!(storms(&apart, |_| 5, &FoldingConfig::default()), []);
    }

    #[test]
    fn of_two_possible_feeds_the_one_that_explains_more_is_the_cause() {
        let (a, b) = (cause(Cause::Feed("A".into())), cause(Cause::Feed("B".into())));
        let mut some: Vec<Suspect> = (0..4).map(|i| suspect(i, 0, &[&a, &b])).collect();
        some.extend((4..8).map(|i| suspect(i, 0, &[&b])));
        let found = storms(&some, |_| 8, &FoldingConfig::default());
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].cause, found[0].members.len()), (&b, 8));
    }

    #[test]
    fn a_feed_of_which_only_silence_is_seen_is_not_said_to_be_lost_and_is_the_same_cause() {
        let feed = cause(Cause::Feed("A".into()));
        let silent: Vec<Suspect> =
            (0..8).map(|i| Suspect { key: key(i, Fault::BmcSilent), ..suspect(i, 0, &[&feed]) }).collect();
        let found = storms(&silent, |_| 8, &FoldingConfig::default());
        assert_eq!(
            (found.len(), found[0].cause.fault, cause_of(&found[0].cause)),
            (1, Fault::FeedSilent, feed.clone())
        );
        let mut one_tells = silent;
        one_tells.push(suspect(9, 0, &[&feed]));
        assert_eq!(storms(&one_tells, |_| 9, &FoldingConfig::default())[0].cause, feed);
    }

    #[test]
    fn a_drive_that_fails_is_explained_by_nothing() {
        let disk = ComponentId::new(ComponentClass::Disk, "1").unwrap();
        let name = || "x".to_owned();
        for cause in [
            Cause::Feed(name()),
            Cause::Zone(name()),
            Cause::Rack(name()),
            Cause::Agent(name()),
            Cause::Firmware(name()),
        ] {
            assert!(!cause.explains(Fault::DiskFailure, &disk), "{cause:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_changes_nothing_and_no_suspect_is_in_two_storms(
            picked in proptest::collection::vec((0_usize..60, 0_i64..900, 0_usize..4), 0..80),
            seed in 0_usize..1000,
        ) {
            let feeds: Vec<IncidentKey> = ["A", "B", "C"].iter().map(|f| cause(Cause::Feed((*f).into()))).collect();
            let mut suspects: Vec<Suspect> = picked
                .iter()
                .map(|(server, secs, feed)| {
                    let causes: Vec<&IncidentKey> = if *feed == 3 { feeds.iter().collect() } else { vec![&feeds[*feed]] };
                    suspect(*server, *secs, &causes)
                })
                .collect();
            let config = FoldingConfig { share_percent: 10, ..FoldingConfig::default() };
            let found = storms(&suspects, |_| 20, &config);
            if !suspects.is_empty() {
                let by = seed % suspects.len();
                suspects.rotate_left(by);
                suspects.reverse();
            }
            prop_assert_eq!(&storms(&suspects, |_| 20, &config), &found);
            for storm in &found {
                let servers: BTreeSet<_> = storm.members.iter().map(|m| &m.server).collect();
                prop_assert!(servers.len() >= 3);
            }
        }
    }
}
