//! What a session is given, and what it tells.

use super::super::handshake::Privilege;
use super::super::message::Response;
use crate::{BmcKey, CipherSuite, ConnectError, RungReport, Secret, Target};
use std::time::Duration;

/// An idle session is kept open by a Get Device ID after this time, well before the BMC expires it, so that a poll every minute or every hour needs no login: two
/// datagrams instead of the ten or more of a login, which BMCs log, count and run out of.
pub const KEEP_ALIVE: Duration = Duration::from_secs(40);
/// Who logs in and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// The user's name, at most 16 bytes.
    pub user: String,
    /// The password, at most 20 bytes.
    pub password: Secret,
    /// The BMC key, where one is set.
    pub bmc_key: Option<BmcKey>,
    /// The suite to use, which may be a weak one; `None`: 17, then 3.
    pub cipher: Option<CipherSuite>,
    /// The privilege to begin with: the least, or what an earlier session came to need.
    pub privilege: Privilege,
    /// How long one request may take, retransmissions included.
    pub request_deadline: Duration,
    /// After how long an idle session is kept open by a request of its own; `None`: it is left to expire.
    pub keep_alive: Option<Duration>,
}

impl Config {
    /// How to log in to a target.
    pub fn of(target: &Target) -> Self {
        Self {
            user: target.credentials.user.clone(),
            password: target.credentials.password.clone(),
            bmc_key: target.credentials.bmc_key.clone(),
            cipher: target.cipher,
            privilege: Privilege::User,
            request_deadline: target.request_deadline,
            keep_alive: Some(KEEP_ALIVE),
        }
    }
}

/// Names a request, so that its answer can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(pub(super) u64);

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No answer, not even in a new session.
    #[error("no answer within {:.1} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The time of whoever asked was over before the BMC had answered.
    #[error("the time for it was over")]
    OutOfTime,
    /// The BMC said "node busy" until the deadline.
    #[error("the BMC is busy (0xc0)")]
    Busy,
    /// The privilege is too low, and no higher one could be had.
    #[error("the user's privilege is too low (0xd4)")]
    Denied,
    /// The session is gone and could not be opened again.
    #[error("the session is lost: {0}")]
    Lost(Box<ConnectError>),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A rung of the ladder holds. With another suite or privilege a rung may be climbed anew.
    Climbed(RungReport),
    /// The session is open; the whole ladder up to the privilege holds.
    Up,
    /// The first login failed. Nothing more will happen.
    Refused(Box<ConnectError>),
    /// A request is done.
    Answered(RequestId, Result<Response, RequestError>),
    /// The session is closed. Nothing more will happen.
    Closed,
}
