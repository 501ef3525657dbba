//! `[stream]`: how long agents' streams stand.

use crate::config::load::Problem;
use crate::config::span::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long agents' streams stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StreamConfig {
    /// About how long: each stream ends between three and five quarters of it, with a GoAway that loses nothing, and the agent comes back at once, to its first
    /// address, with the certificate that it has by then. 1m to 7d.
    #[schemars(with = "String")]
    pub age: Span,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self { age: Span::from_secs(3600) }
    }
}

impl StreamConfig {
    pub(super) fn problems(&self) -> Vec<Problem> {
        if (SHORTEST..=LONGEST).contains(&self.age.duration()) {
            return Vec::new();
        }
        vec![Problem { at: "stream.age".to_owned(), what: format!("{} is not between 1m and 7d", self.age) }]
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::time::Duration;

    #[test]
    fn an_age_that_would_cut_streams_all_the_time_or_never_is_refused() {
        let of = |age: &str| Config::parse(&format!("[stream]\nage = '{age}'"));
        assert_eq!(of("90m").unwrap().stream.age.duration(), Duration::from_secs(5400));
        for wrong in ["0s", "59s", "8d"] {
            assert_eq!(of(wrong).unwrap_err().0[0].at, "stream.age", "{wrong}");
        }
    }
}
