//! What the collector finds wrong with itself: the same way as everything else, finding to incident to ticket.

use outband_health::{Evidence, Fault, Finding, Level, RuleId};
use outband_schemas::{AgentId, ComponentClass, ComponentId, IdError, ServerId, Timestamp};
use outband_store::Poisoned;
use std::collections::BTreeSet;
use std::time::Duration;

/// With less free than this share of what is to be kept free, the collector is about to lose what comes.
const OUT: u64 = 4;
/// A notice that is not delivered for so long is stuck.
const STUCK: Duration = Duration::from_secs(15 * 60);
/// An agent is silent after so many of its sensor intervals, and never sooner than [`SILENT`].
const INTERVALS: u32 = 5;
const SILENT: Duration = Duration::from_secs(120);

/// The `server` under which what is wrong with the collector stands. Its ids of real servers hold a hyphen.
pub fn place_of_collector() -> Result<ServerId, IdError> {
    ServerId::new("collector")
}

/// What the collector sees of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vitals {
    /// By how many milliseconds the wall clock is ahead of the collector's, where it is not followed.
    pub clock_ahead_ms: Option<i64>,
    /// The bytes that are free on the disk that holds the store, and those that are to be kept free.
    pub disk: Option<(u64, u64)>,
    /// What is wrong with the file of the store, where something is.
    pub damage: Option<String>,
    /// Channels that do not deliver.
    pub unsent: Vec<Stuck>,
    /// Agents of whose bodies some were kept apart lately.
    pub poisoned: Vec<Poisoned>,
}

/// A channel that does not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// The channel.
    pub channel: String,
    /// How many notices wait.
    pub count: u64,
    /// Since when the oldest does.
    pub since: Timestamp,
    /// What the channel said last.
    pub error: String,
}

/// An agent of whose host nothing is known: no server of its own can say that it is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Homeless {
    pub(super) agent: AgentId,
    pub(super) heard_at: Timestamp,
    pub(super) interval: Duration,
}

/// What is wrong with the collector now.
pub(super) fn findings(vitals: &Vitals, agents: &[Homeless], now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(ahead) = vitals.clock_ahead_ms {
        let (seconds, side) = (ahead.unsigned_abs() / 1000, if ahead > 0 { "ahead of" } else { "behind" });
        let reason = format!(
            "the wall clock is {seconds} s {side} the collector's time and was not set from the network; set it right, or confirm it with `outband time --confirm`"
        );
        // The exact figure drifts with each look: it is no new fact.
        let fact = format!("the wall clock is {side} the collector's time by about {}", about(seconds));
        found.push(finding("collector.clock", Fault::ClockStepped, "clock", Level::Critical, reason, fact, now));
    }
    if let Some((free, wanted)) = vitals.disk.filter(|(free, wanted)| free < wanted) {
        let out = free < wanted / OUT;
        let level = if out { Level::Critical } else { Level::Warning };
        let limit = if out { wanted / OUT } else { wanted };
        let mib = |bytes: u64| bytes / (1 << 20);
        let reason = format!("{} MiB of the disk that holds the store are free", mib(free));
        let fact = format!("less than {} MiB of the disk that holds the store are free", mib(limit));
        let f = finding("collector.disk", Fault::StoreNearlyFull, "disk", level, reason, fact, now);
        found.push(Finding { predicted: !out, ..f });
    }
    if let Some(damage) = &vitals.damage {
        let reason =
            format!("the file of the store is damaged: {damage}; stop the collector, keep the file, restore a backup");
        let (fault, level) = (Fault::StoreDamaged, Level::Critical);
        found.push(finding("collector.store", fault, "store", level, reason, damage.clone(), now));
    }
    for stuck in vitals.unsent.iter().filter(|s| now.since(s.since) >= STUCK) {
        let Stuck { channel, count, since, error } = stuck;
        let why = if error.is_empty() { String::new() } else { format!(": {error}") };
        let reason = format!("channel {channel} has not delivered since {since}, {count} notices wait{why}");
        let fact = format!("channel {channel} has not delivered since {since}");
        let place = format!("notices {channel}");
        let f = finding("collector.notices", Fault::NoticesStuck, &place, Level::Critical, reason, fact, now);
        found.push(Finding { onset: *since, ..f });
    }
    for Poisoned { agent, count, since, error } in &vitals.poisoned {
        let bodies = if *count == 1 { "1 body".to_owned() } else { format!("{count} bodies") };
        let reason = format!(
            "{bodies} of agent {agent} since {since} could not be understood and are kept apart, the last because: {error}"
        );
        let fact =
            Evidence { observed_at: *since, text: format!("what agent {agent} sent could not be understood: {error}") };
        let f = finding("agent.unreadable", Fault::AgentUnreadable, "", Level::Warning, reason, String::new(), now);
        let component = ComponentId::lenient(ComponentClass::Agent, agent.as_str());
        found.push(Finding { component, onset: *since, evidence: vec![fact], ..f });
    }
    for Homeless { agent, heard_at, interval } in agents {
        let limit = interval.saturating_mul(INTERVALS).max(SILENT);
        if now.since(*heard_at) > limit {
            let reason = format!("agent {agent} has not been heard since {heard_at}");
            let fact = Evidence { observed_at: *heard_at, text: format!("agent {agent} last heard") };
            let f = finding("agent.silent", Fault::AgentSilent, "", Level::Critical, reason, String::new(), now);
            let component = ComponentId::lenient(ComponentClass::Agent, agent.as_str());
            found.push(Finding { component, onset: *heard_at, evidence: vec![fact], ..f });
        }
    }
    found
}

fn finding(
    rule: &'static str,
    fault: Fault,
    place: &str,
    level: Level,
    reason: String,
    fact: String,
    now: Timestamp,
) -> Finding {
    Finding {
        rule: RuleId::new(rule),
        fault,
        component: ComponentId::lenient(ComponentClass::Other, place),
        predicted: false,
        level,
        penalty: 0,
        reason,
        evidence: vec![Evidence { observed_at: now, text: fact }],
        onset: now,
        newest: now,
        confirm: 2,
        part_serial: None,
    }
}

/// A span without its last digits.
fn about(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Agents of whose hosts nothing is known.
pub(super) fn homeless<'a>(
    agents: impl Iterator<Item = (&'a AgentId, Timestamp, Duration)>,
    hosted: &BTreeSet<AgentId>,
) -> Vec<Homeless> {
    agents
        .filter(|(agent, ..)| !hosted.contains(*agent))
        .map(|(agent, heard_at, interval)| Homeless { agent: agent.clone(), heard_at, interval })
        .collect()
}
