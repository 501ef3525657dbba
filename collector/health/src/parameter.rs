//! What of the thresholds can be set otherwise for some servers, and which rules go by it.

use crate::config::RuleConfig;

/// A threshold with a name.
#[derive(Clone, Copy)]
pub struct Parameter {
    /// Its name, as in the config, e.g. `disk.increases`.
    pub name: &'static str,
    /// The rules that go by it.
    pub rules: &'static [&'static str],
    /// Its unit: a plural for people, or a UCUM symbol.
    pub unit: &'static str,
    /// The least that it may be.
    pub least: f64,
    /// The most that it may be.
    pub most: f64,
    get: fn(&RuleConfig) -> Option<f64>,
    set: fn(&mut RuleConfig, f64),
}

impl std::fmt::Debug for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Parameter").field(&self.name).finish()
    }
}

impl Parameter {
    /// The parameter of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|p| p.name == name)
    }

    /// What it is in a config; `None`: what the BMC says counts.
    pub fn of(&self, config: &RuleConfig) -> Option<f64> {
        (self.get)(config)
    }

    /// Whether it may be this.
    pub fn takes(&self, value: f64) -> bool {
        (self.least..=self.most).contains(&value)
    }

    /// Sets it. A value that it does not take changes nothing.
    pub fn set(&self, config: &mut RuleConfig, value: f64) {
        if self.takes(value) {
            (self.set)(config, value);
        }
    }
}

/// A count, from a value that lies in a parameter's bounds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounds are checked before")]
fn count(value: f64) -> u32 {
    value.round() as u32
}

macro_rules! parameters {
    ($($name:literal $rules:expr, $unit:literal, $least:literal ..= $most:literal, $($field:ident).+ as $kind:ident;)*) => {
        /// Every one.
        pub const ALL: &[Parameter] = &[$(Parameter {
            name: $name,
            rules: &$rules,
            unit: $unit,
            least: $least,
            most: $most,
            get: |config| parameters!(@get $kind config $($field).+),
            set: |config, value| parameters!(@set $kind config value $($field).+),
        }),*];
    };
    (@get count $c:ident $($field:ident).+) => { Some(f64::from($c.$($field).+)) };
    (@set count $c:ident $v:ident $($field:ident).+) => { $c.$($field).+ = count($v) };
    (@get number $c:ident $($field:ident).+) => { Some($c.$($field).+) };
    (@set number $c:ident $v:ident $($field:ident).+) => { $c.$($field).+ = $v };
    (@get limit $c:ident $($field:ident).+) => { $c.$($field).+ };
    (@set limit $c:ident $v:ident $($field:ident).+) => { $c.$($field).+ = Some($v) };
}

parameters! {
    "disk.increases" ["disk.smart_growth"], "increases", 1.0..=1000.0, disk.increases as count;
    "disk.memory_polls" ["disk.smart_growth"], "polls", 1.0..=1000000.0, disk.memory_polls as count;
    "disk.life_warning" ["disk.life_left"], "%", 0.0..=100.0, disk.life_warning as number;
    "disk.life_critical" ["disk.life_left"], "%", 0.0..=100.0, disk.life_critical as number;
    "disk.wearout_days" ["disk.wearout"], "days", 1.0..=1000.0, disk.wearout_days as count;
    "disk.spare_left" ["disk.says_so"], "%", 0.0..=100.0, disk.spare_left as number;
    "fan.decay_percent" ["fan.decay"], "%", 1.0..=100.0, fan.decay_percent as number;
    "fan.decay_polls" ["fan.decay"], "polls", 1.0..=16.0, fan.decay_polls as count;
    "limit.polls" ["temperature.limit", "temperature.trend", "voltage.limit", "fan.state"], "polls", 1.0..=1000.0, limit.polls as count;
    "limit.temperature_critical" ["temperature.limit", "temperature.trend"], "Cel", 1.0..=200.0, limit.temperature_critical as limit;
    "limit.trend_polls" ["temperature.trend"], "polls", 4.0..=16.0, limit.trend_polls as count;
    "limit.horizon_polls" ["temperature.trend"], "polls", 1.0..=10000.0, limit.horizon_polls as count;
    "limit.share_percent" ["temperature.trend"], "%", 0.0..=100.0, limit.share_percent as number;
    "limit.horizon_days" ["temperature.trend"], "days", 1.0..=60.0, limit.horizon_days as count;
    "event.correctable" ["memory.ecc"], "errors", 1.0..=1000000.0, event.correctable as count;
    "event.burst" ["log.burst"], "entries", 2.0..=1000000.0, event.burst as count;
    "silence.bmc_polls" ["bmc.silent"], "polls", 1.0..=10000.0, silence.bmc_polls as count;
    "silence.agent_polls" ["agent.silent"], "polls", 1.0..=10000.0, silence.agent_polls as count;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule;
    use std::collections::BTreeSet;

    #[test]
    fn every_parameter_is_set_alone_and_read_back() {
        for parameter in ALL {
            let mut config = RuleConfig::default();
            let usual = parameter.of(&config);
            let other = if usual == Some(parameter.least) { parameter.least + 1.0 } else { parameter.least };
            parameter.set(&mut config, other);
            assert_eq!(parameter.of(&config), Some(other), "{parameter:?}");
            let changed = ALL.iter().filter(|p| p.of(&config) != p.of(&RuleConfig::default()));
            assert_eq!(changed.map(|p| p.name).collect::<Vec<_>>(), [parameter.name]);
        }
    }

    #[test]
    fn what_lies_beyond_its_bounds_changes_nothing() {
        for parameter in ALL {
            for value in [parameter.least - 0.5, parameter.most + 1.0, f64::NAN, f64::INFINITY] {
                let mut config = RuleConfig::default();
                parameter.set(&mut config, value);
                assert_eq!(config, RuleConfig::default(), "{parameter:?} {value}");
            }
        }
    }

    #[test]
    fn the_rules_of_every_parameter_are_rules() {
        let rules: BTreeSet<String> =
            rule::all(&RuleConfig::default()).iter().map(|r| r.id().as_str().to_owned()).collect();
        for parameter in ALL {
            for rule in parameter.rules {
                assert!(rules.contains(*rule), "{parameter:?}: {rule} is none of {rules:?}");
            }
        }
    }
}
