//! What a poll of one section comes to, whatever the BMC speaks.

use crate::{Bookmark, Fingerprint};
use outband_schemas::{Cause, Observation};
use std::time::Duration;

/// What one poll of one section brought. What could not be read is in there too, as gaps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Polled {
    /// What was seen.
    pub observations: Vec<Observation>,
    /// For [`Section::Log`]: how far the logs are read now. Store it together with the observations.
    pub bookmark: Option<Bookmark>,
    /// What was put off, to spare the BMC, for people: another poll of the section, soon, goes on with it.
    pub more: Option<String>,
}

/// What a session has met that says how to go on with its BMC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// The certificate that the session began with and another one that was offered since, and refused.
    pub changed_certificate: Option<(Fingerprint, Fingerprint)>,
    /// How often a login was refused since the session began: the password was changed at the BMC, or the user.
    pub refused_logins: u64,
    /// How long the BMC asked to be left alone (`Retry-After`), counted from now.
    pub wants_rest: Option<Duration>,
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
