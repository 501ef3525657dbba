//! Makers' own words for the state of drives, volumes and batteries.

use crate::redfish::report::Status;

/// A word as a status: the word itself, and the health that it means where that is known.
pub(super) fn status(word: &str) -> Status {
    let plain: String = word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let is = |words: &[&str]| words.contains(&plain.as_str());
    let health = match () {
        () if is(&["absent", "notpresent", "notinstalled"]) => {
            return Status { state: Some("Absent".to_owned()), health: None };
        }
        () if is(&[
            "ok",
            "optimal",
            "online",
            "present",
            "normal",
            "good",
            "ready",
            "charged",
            "hotspare",
            "fullycharged",
        ]) =>
        {
            Some("OK")
        }
        () if is(&["charging", "learning", "low", "warning"]) => Some("Warning"),
        () if ["degraded", "rebuild", "predict", "recover", "threshold", "inacriticalarray"]
            .iter()
            .any(|w| plain.contains(w)) =>
        {
            Some("Warning")
        }
        () if ["fail", "offline", "critical", "wearout", "missing", "faulty"].iter().any(|w| plain.contains(w)) => {
            Some("Critical")
        }
        () => None,
    };
    Status { state: Some(word.to_owned()), health: health.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::State;

    #[test]
    fn makers_words_mean_what_redfish_says_elsewhere() {
        for (word, meaning) in [
            ("Optimal", State::Ok),
            ("Partially Degraded", State::Warning),
            ("Failed", State::Critical),
            ("NotPresent", State::Absent),
            ("FivePercentThreshold", State::Warning),
            ("WearOut", State::Critical),
            ("InACriticalArray", State::Warning),
            ("InAFailedArray", State::Critical),
            ("PredictiveFailureAnalysis", State::Warning),
            ("Frobnicated", State::Unknown),
        ] {
            assert_eq!(status(word).meaning(), meaning, "{word}");
        }
    }
}
