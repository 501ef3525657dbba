//! The slow change of servers: what takes weeks to learn and cannot be learnt again from the newest readings.

use crate::StoreError;
use outband_health::drift::{Drift, Sign};
use outband_health::outlook::{Course, Outlook};
use outband_schemas::ServerId;
use serde::{Deserialize, Serialize};

/// What is known of the slow change of one server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wear {
    /// What was learnt.
    pub drift: Drift,
    /// What it said when a day last closed.
    pub signs: Vec<Sign>,
    /// The course of its temperatures over weeks.
    pub course: Course,
    /// What was foreseen when a day last closed.
    pub outlooks: Vec<Outlook>,
}

/// Keeps the slow change of servers. Verbs block, as those of [`crate::Store`].
pub trait Drifts {
    /// What is kept of a server. [`StoreError::Damaged`] where it cannot be read: it has to be learnt anew.
    fn wear(&self, server: &ServerId) -> Result<Option<Wear>, StoreError>;

    /// Keeps what is known of some servers, in the place of what was.
    fn keep_wear(&self, of: &[(ServerId, &Wear)]) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_version_kept_that_foresaw_nothing_is_read_and_foresees_nothing() {
        let kept = serde_json::json!({"drift": Drift::default(), "signs": []});
        assert_eq!(serde_json::from_value::<Wear>(kept).unwrap(), Wear::default());
    }
}
