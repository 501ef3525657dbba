//! `[history.keep.KIND]`: kinds of sensors that are remembered for longer, or shorter, than others.

use crate::config::load::Problem;
use outband_schemas::SensorKind;
use outband_store::Retention;
use outband_store::retention::{KindTerm, KindTerms};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is special about the history of single kinds of sensors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryConfig {
    /// By kind, e.g. `temperature`: how long what was made of its readings is kept.
    pub keep: BTreeMap<String, Term>,
}

/// Terms of one kind. Readings themselves are kept equally long of all kinds (`retention.raw_days`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Term {
    /// In place of `retention.five_minute_days`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub five_minute_days: Option<u32>,
    /// In place of `retention.hour_days`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour_days: Option<u32>,
}

impl HistoryConfig {
    /// The terms, by kind. Names that are none are problems of the config.
    pub fn terms(&self) -> KindTerms {
        let of = |(name, term): (&String, &Term)| {
            let kind: SensorKind = name.parse().ok()?;
            Some((kind, KindTerm { five_minute_days: term.five_minute_days, hour_days: term.hour_days }))
        };
        self.keep.iter().filter_map(of).collect()
    }

    pub(super) fn problems(&self, retention: &Retention) -> Vec<Problem> {
        let mut problems = Vec::new();
        let terms = self.terms();
        for name in self.keep.keys() {
            let mut add = |field: &str, what: String| {
                problems.push(Problem { at: format!("history.keep.{name}{field}"), what });
            };
            let kind = match name.parse::<SensorKind>() {
                Ok(kind) => kind,
                Err(error) => {
                    add("", error.to_string());
                    continue;
                }
            };
            let of = retention.of_kind(&terms, kind);
            // What is made of something is made before that goes.
            if of.five_minute_days < of.raw_days {
                let what = format!("{} is less than retention.raw_days, {}", of.five_minute_days, of.raw_days);
                add(".five_minute_days", what);
            }
            if of.hour_days < of.five_minute_days {
                let what = format!("{} is less than five_minute_days, {}", of.hour_days, of.five_minute_days);
                add(".hour_days", what);
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use outband_schemas::SensorKind;

    #[test]
    fn a_kind_has_terms_of_its_own() {
        let config = Config::parse("[history.keep.temperature]\nfive_minute_days = 1000").unwrap();
        let of = |kind| config.retention.of_kind(&config.history.terms(), kind);
        assert_eq!(of(SensorKind::Temperature).five_minute_days, 1000);
        assert_eq!(of(SensorKind::FanSpeed), config.retention);
    }

    #[test]
    fn what_is_no_kind_and_coarse_history_that_goes_before_the_fine_are_problems() {
        let text =
            "[history.keep.warmth]\nhour_days = 9000\n[history.keep.power]\nfive_minute_days = 7\nhour_days = 6\n";
        let found: Vec<String> = Config::parse(text).unwrap_err().0.into_iter().map(|p| p.at).collect();
        let wanted = ["history.keep.power.five_minute_days", "history.keep.power.hour_days", "history.keep.warmth"];
        assert_eq!(found, wanted);
    }
}
