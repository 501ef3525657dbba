//! Makers' own words for the state of drives, volumes and batteries.

use crate::redfish::report::{self, Seen, Status};
use outband_schemas::{ComponentId, Reading, Value};

/// What a word says of a place. The text is the maker's word and nothing else; what it means is in the state.
pub(super) fn state(component: &ComponentId, sensor: &str, word: &str, seen: &Seen) -> Option<Reading> {
    let mut reading = report::state(component, sensor, &status(word), seen)?;
    if let Some(Value::State { text, .. }) = &mut reading.value {
        *text = word.to_owned();
    }
    Some(reading)
}

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
    use outband_schemas::{ComponentClass, State, Timestamp};

    #[test]
    fn the_text_is_the_makers_word_and_the_meaning_is_in_the_state() {
        let place = ComponentId::lenient(ComponentClass::Battery, "1");
        let seen = Seen { uri: "/x".to_owned(), at: Timestamp::from_secs(1) };
        for (word, meaning) in [("Present", State::Ok), ("NotPresent", State::Absent), ("Fail", State::Critical)] {
            let told = state(&place, "BackupPowerSourceStatus", word, &seen).unwrap().value;
            assert_eq!(told, Some(Value::State { state: meaning, text: word.to_owned() }));
        }
    }

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
