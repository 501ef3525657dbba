//! What a poll of one section comes to, whatever the BMC speaks.

use crate::Bookmark;
use outband_schemas::{Cause, Observation};

/// What one poll of one section brought. What could not be read is in there too, as gaps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Polled {
    /// What was seen.
    pub observations: Vec<Observation>,
    /// For [`Section::Log`]: how far the logs are read now. Store it together with the observations.
    pub bookmark: Option<Bookmark>,
}

/// Why a whole section could not be polled. The session is gone: connect again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct PollError {
    /// What kind of failure.
    pub cause: Cause,
    /// What happened, for people. Holds no secrets.
    pub detail: String,
}
