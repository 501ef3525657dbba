//! The thresholds of the rules, as data. Spans are counted in polls rather than in days wherever a rule can, so that a site that
//! polls faster gets its answer sooner, and nothing else changes.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The thresholds of all rules. Every field has a default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleConfig {
    /// Drives.
    pub disk: DiskConfig,
    /// Fans.
    pub fan: FanConfig,
    /// Temperatures and voltages.
    pub limit: LimitConfig,
    /// Memory errors and bursts of log entries.
    pub event: EventConfig,
    /// Silence.
    pub silence: SilenceConfig,
    /// Opening, clearing and verifying.
    pub incident: IncidentConfig,
}

/// Drives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskConfig {
    /// So many distinct increases of a drive's error counters predict its failure. Default 3: one burst on a drive that
    /// then stays quiet for years is common.
    pub increases: u32,
    /// Increases older than so many polls are forgotten. Default 4000: four weeks at one poll in ten minutes.
    pub memory_polls: u32,
    /// Life left, in percent, at or below which a drive is worn. Default 10.
    pub life_warning: f64,
    /// Life left, in percent, at or below which its failure is predicted. Default 3.
    pub life_critical: f64,
    /// A drive whose endurance may be used up within so many days is found: the early end of the interval of the date counts. Default 60.
    pub wearout_days: u32,
    /// Spare blocks left, in percent, at or below which a drive that tells no limit of its own is failing. Default 10.
    pub spare_left: f64,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self {
            increases: 3,
            memory_polls: 4000,
            life_warning: 10.0,
            life_critical: 3.0,
            wearout_days: 60,
            spare_left: 10.0,
        }
    }
}

/// Fans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FanConfig {
    /// How many polls make a fan's baseline. Default 20.
    pub baseline_polls: u32,
    /// The loss of speed, in percent of the baseline at equal duty or against its siblings, that predicts a failure.
    /// Default 12.
    pub decay_percent: f64,
    /// How many polls the loss has to last. Default 5.
    pub decay_polls: u32,
    /// The fewest fans that can be compared with each other where the duty is unknown. Default 3.
    pub siblings: u32,
}

impl Default for FanConfig {
    fn default() -> Self {
        Self { baseline_polls: 20, decay_percent: 12.0, decay_polls: 5, siblings: 3 }
    }
}

/// Temperatures and voltages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitConfig {
    /// How many polls a value has to stay beyond its limit. Default 3.
    pub polls: u32,
    /// How many polls a temperature has to rise before its trend counts. Default 10, at most 16.
    pub trend_polls: u32,
    /// A temperature is predicted to reach its limit where its trend gets there within so many polls. Default 30.
    pub horizon_polls: u32,
    /// The share of the way from 20 Cel to its limit that a temperature has to have gone, in percent. Default 70.
    pub share_percent: f64,
    /// A temperature that rises from day to day is predicted to reach its limit where it gets there within so many days. Default 14.
    pub horizon_days: u32,
    /// The critical limit of temperatures in Cel, in the place of the BMC's. In no config: one number fits no whole fleet. Set for some servers only.
    #[serde(skip)]
    pub temperature_critical: Option<f64>,
}

impl LimitConfig {
    /// The critical limit of a temperature whose BMC says `its` own.
    pub fn critical(&self, its: Option<f64>) -> Option<f64> {
        self.temperature_critical.or(its)
    }
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            polls: 3,
            trend_polls: 10,
            horizon_polls: 30,
            share_percent: 70.0,
            horizon_days: 14,
            temperature_critical: None,
        }
    }
}

/// Memory errors and bursts of log entries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventConfig {
    /// So many corrected errors of a memory module within `span_secs` predict its failure. Default 10.
    pub correctable: u32,
    /// So many entries of one kind for one component within `span_secs` are a burst. Default 20.
    pub burst: u32,
    /// The span, in seconds. Default 86,400.
    pub span_secs: u64,
    /// On the first read of a BMC's log, entries older than this are history and speak for nothing now, in seconds.
    /// Default 3600.
    pub history_secs: u64,
}

impl Default for EventConfig {
    fn default() -> Self {
        Self { correctable: 10, burst: 20, span_secs: 86_400, history_secs: 3600 }
    }
}

/// Silence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SilenceConfig {
    /// A BMC is silent after so many sensor polls without a reading. Default 5.
    pub bmc_polls: u32,
    /// An agent is silent after so many of its sensor intervals without a word. Default 5.
    pub agent_polls: u32,
    /// But never sooner than this, in seconds. Default 30.
    pub at_least_secs: u64,
    /// A component's readings are stale after so many polls of their section without one. Default 5.
    pub stale_polls: u32,
}

impl Default for SilenceConfig {
    fn default() -> Self {
        Self { bmc_polls: 5, agent_polls: 5, at_least_secs: 30, stale_polls: 5 }
    }
}

/// Opening, clearing and verifying.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IncidentConfig {
    /// So many clean polls in a row end a condition that can end by itself. Default 5.
    pub clear_polls: u32,
    /// So many clean polls in a row, observed after a repair, verify it. Default 5.
    pub verify_polls: u32,
    /// Readings older than this, in seconds, are backlog: they add evidence and open nothing. Default 900.
    pub backlog_secs: u64,
    /// What ended by itself and comes back within so many seconds is flapping: it then has to stay away for as long before it counts as over, so that there is
    /// one ticket with a count instead of many. 0: never. Default 3600.
    pub flap_secs: u64,
    /// By the name of a rule: how often it has to find something, and in which span, before that opens. Default: none, each rule's own polls.
    pub sightings: BTreeMap<String, Sightings>,
}

impl Default for IncidentConfig {
    fn default() -> Self {
        Self { clear_polls: 5, verify_polls: 5, backlog_secs: 900, flap_secs: 3600, sightings: BTreeMap::new() }
    }
}

/// So many times in such a span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sightings {
    /// How often; at most 64.
    pub times: u32,
    /// In how many seconds.
    pub within_secs: u64,
}

/// When many incidents are told as one. Not one of the rules' thresholds: it stands in a table of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FoldingConfig {
    /// Incidents that a cause shared with others could explain get their tickets so much later, in seconds: time for the others to show. Not longer than
    /// three of the agent's sensor intervals; one and a half of them, up to ten minutes, where that is more. Everything else gets its ticket at once. 0: nothing is folded. Default 90.
    pub hold_secs: u64,
    /// Conditions that began within so many seconds of each other may have one cause. Default 300.
    pub window_secs: u64,
    /// So many servers at least; never fewer than 2. Default 3.
    pub min_servers: u32,
    /// So many percent of the servers that the cause could reach, at least. A wave after a firmware update needs none. Default 50.
    pub share_percent: u8,
    /// A storm is over when at most so many percent of its servers still show it; those get tickets of their own. Default 20.
    pub over_percent: u8,
    /// A BMC's firmware is new for so many seconds. Default 86,400.
    pub firmware_secs: u64,
}

impl Default for FoldingConfig {
    fn default() -> Self {
        Self {
            hold_secs: 90,
            window_secs: 300,
            min_servers: 3,
            share_percent: 50,
            over_percent: 20,
            firmware_secs: 86_400,
        }
    }
}
