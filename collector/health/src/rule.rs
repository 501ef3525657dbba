//! The rules, one file each. A rule is a pure function of a window: the same window and `now` give the same findings in the same
//! order. To add one: a file, and one line in [`all`].

mod agent_silent;
mod bmc_silent;
mod component_state;
mod disk_life_left;
mod disk_predicted;
mod disk_says_so;
mod disk_smart_growth;
mod disk_wearout;
mod fan_decay;
mod fan_state;
mod memory_cells;
mod memory_ecc;
mod psu_failed;
mod psu_input_lost;
mod redundancy_lost;
mod sel_burst;
mod temperature_limit;
mod temperature_trend;
mod voltage_limit;
mod wear;

pub use disk_predicted::{blindness, predictor};

use crate::drift::SignClass;
use crate::window::{Place, Window};
use crate::{Evidence, Fault, Finding, Level, RuleConfig, RuleId};
use outband_schemas::{ComponentClass, ComponentId, Quality, SensorKind, State, Timestamp};

/// A rule.
pub trait Rule: Send + Sync {
    /// Its name.
    fn id(&self) -> RuleId;

    /// What it finds in a window at `now` (the collector's clock).
    fn evaluate(&self, window: &Window, now: Timestamp) -> Vec<Finding>;
}

/// Every rule, with its thresholds.
pub fn all(config: &RuleConfig) -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(disk_says_so::DiskSaysSo(config.disk.clone())),
        Box::new(disk_smart_growth::DiskSmartGrowth(config.disk.clone())),
        Box::new(disk_life_left::DiskLifeLeft(config.disk.clone())),
        Box::new(disk_predicted::DiskPredicted),
        Box::new(disk_wearout::DiskWearout(config.disk.clone())),
        Box::new(fan_state::FanState(config.limit.clone())),
        Box::new(fan_decay::FanDecay(config.fan.clone())),
        Box::new(psu_input_lost::PsuInputLost),
        Box::new(psu_failed::PsuFailed),
        Box::new(redundancy_lost::RedundancyLost),
        Box::new(temperature_limit::TemperatureLimit(config.limit.clone())),
        Box::new(temperature_trend::TemperatureTrend(config.limit.clone())),
        Box::new(voltage_limit::VoltageLimit(config.limit.clone())),
        Box::new(memory_ecc::MemoryEcc(config.event.clone())),
        Box::new(component_state::ComponentState),
        Box::new(sel_burst::SelBurst(config.event.clone())),
        Box::new(bmc_silent::BmcSilent(config.silence.clone())),
        Box::new(agent_silent::AgentSilent(config.silence.clone())),
        Box::new(wear::Wear(SignClass::Fan)),
        Box::new(wear::Wear(SignClass::Psu)),
        Box::new(wear::Wear(SignClass::Thermal)),
        Box::new(wear::Wear(SignClass::Dimm)),
    ]
}

/// What all rules find, in a fixed order.
pub fn evaluate(rules: &[Box<dyn Rule>], window: &Window, now: Timestamp) -> Vec<Finding> {
    let found = rules.iter().flat_map(|rule| rule.evaluate(window, now));
    found.map(|finding| disk_predicted::remark(finding, window)).collect()
}

/// How many polls a bad state has to last: one more than a single bad read.
const STATE_POLLS: u32 = 2;

/// Points for what has failed, for what is predicted to, for what is merely worth knowing.
const FAILED: u8 = 80;
const PREDICTED: u8 = 40;
const ADVICE: u8 = 10;

/// The beginnings of a finding: an actual, critical one that is seen at `at` and has to be confirmed by nothing more.
fn finding(rule: RuleId, fault: Fault, component: &ComponentId, place: Option<&Place>, at: Timestamp) -> Finding {
    Finding {
        rule,
        fault,
        component: component.clone(),
        predicted: false,
        level: Level::Critical,
        penalty: FAILED,
        reason: String::new(),
        evidence: Vec::new(),
        onset: at,
        newest: at,
        confirm: 1,
        part_serial: place.and_then(Place::serial).map(str::to_owned),
    }
}

/// A finding made into a prediction.
fn predicted(finding: Finding) -> Finding {
    Finding { predicted: true, level: Level::Warning, penalty: PREDICTED, ..finding }
}

fn evidence(at: Timestamp, text: impl Into<String>) -> Evidence {
    Evidence { observed_at: at, text: text.into() }
}

/// The worst state of a place that the BMC gives now, its words, since when, and when it was last read.
fn worst_state(place: &Place) -> Option<(State, &str, Timestamp, Timestamp)> {
    let known = place.states().filter(|(_, series, _)| matches!(series.quality, Quality::Good | Quality::Suspect(_)));
    known
        .filter_map(|(_, series, switch)| {
            let (state, text) = switch.now()?;
            Some((state, text, switch.since()?, series.newest()?))
        })
        .max_by_key(|(state, ..)| *state)
}

/// Whether a log entry about a limit stands where a reading would tell it better. Logs that cannot name the sensor put the entry on the
/// server as a whole: there, any reading of that kind on the server tells it better.
fn is_read(window: &Window, component: &ComponentId, place: &Place, kind: SensorKind) -> bool {
    let vague = matches!(component.class(), ComponentClass::Server | ComponentClass::Bmc | ComponentClass::Other);
    let reads = |place: &Place| place.of_kind(kind).next().is_some();
    reads(place) || vague && window.places().any(|(_, place)| reads(place))
}

/// A number with at most two decimals, and no more than it needs.
fn show(n: f64) -> String {
    let rounded = (n * 100.0).round() / 100.0;
    format!("{rounded}")
}

#[cfg(test)]
mod tests;
