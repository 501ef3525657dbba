//! `[outcomes]`: what is made of what became of tickets.

use crate::config::load::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is made of what became of tickets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutcomesConfig {
    /// A rule that is right less often than this share of its verified tickets (0 to 1; the upper end of the 95 % interval counts) is
    /// proposed to be muted by `outband predictions precision`. Nothing is muted by itself. Left out: nothing is proposed.
    pub mute_below: Option<f64>,
}

impl OutcomesConfig {
    /// What is wrong with it.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let bad = self.mute_below.filter(|bound| !(0.0..=1.0).contains(bound));
        let problem = |bound| Problem {
            at: "outcomes.mute_below".to_owned(),
            what: format!("{bound} is no share between 0 and 1"),
        };
        bad.map(problem).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_bound_is_a_share_and_there_is_none_by_default() {
        assert_eq!(Config::default().outcomes.mute_below, None);
        let parsed = |bound: &str| Config::parse(&format!("[outcomes]\nmute_below = {bound}"));
        assert_eq!(parsed("0.3").unwrap().outcomes.mute_below, Some(0.3));
        assert!(parsed("30.0").unwrap_err().to_string().contains("30 is no share between 0 and 1"));
        assert!(parsed("nan").is_err());
    }
}
