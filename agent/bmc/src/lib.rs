//! A BMC, whatever it speaks, becomes [`Observation`](outband_schemas::Observation)s.
//!
//! [`ipmi`] and [`redfish`] are sans-IO: they are given bytes, time and randomness, and give back what to send and what was seen. Only with feature `io`
//! is there a [`client`] that owns sockets.

#[cfg(feature = "io")]
pub mod action;
#[cfg(feature = "io")]
pub mod client;
pub mod discover;
pub mod ipmi;
pub mod ladder;
#[cfg(feature = "io")]
pub mod local;
pub mod polled;
pub mod quirk;
pub mod redfish;
pub mod smart;
pub mod target;

pub use ladder::{ConnectError, Rung, RungReport};
pub use polled::{PollError, Polled, Standing};
pub use target::{
    Address, AuthType, BmcKey, BmcKeyError, Bookmark, CipherSuite, CipherSuiteError, Credentials, Fingerprint,
    PollStats, Secret, Target, Trust,
};
