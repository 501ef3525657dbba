//! The way to the collector: what the spool holds goes up, and is released once the collector has stored it.
//!
//! [`session`] is sans-IO and knows the protocol; [`client`] owns the connection; [`backoff`] says how long to wait between two.

pub mod backoff;
pub mod client;
pub mod session;

pub use client::{run, run_over};

use outband_schemas::{AgentId, SiteId, TargetId};
use std::path::PathBuf;
use std::time::Duration;

/// Where the collector is and how it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `https://HOST:PORT` of one collector identity, tried in turn.
    pub endpoints: Vec<String>,
    /// The CA that vouches for the collector, in PEM form. Read again at every connect.
    pub ca_file: PathBuf,
    /// How the agent says who it is.
    pub credential: Credential,
    /// The name in the collector's certificate, where it is not the endpoint's host.
    pub server_name: Option<String>,
}

/// How an agent says who it is. Files are read again at every connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// By a bearer token in this file.
    Token(PathBuf),
    /// By a certificate of its own.
    Identity {
        /// Key and certificate, PEM.
        file: PathBuf,
        /// How often it was renewed: the stream comes back with the new one.
        renewed: u64,
    },
}

/// How the agent announces itself. When it changes, the agent says Hello again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce {
    /// The agent.
    pub agent: AgentId,
    /// Its site.
    pub site: SiteId,
    /// Its version, for people.
    pub version: String,
    /// The targets that it polls.
    pub targets: Vec<TargetId>,
    /// How often it polls sensors.
    pub sensor_interval: Duration,
}

/// All that a reload may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the collector is.
    pub options: Options,
    /// How the agent announces itself.
    pub announce: Announce,
}

/// How the connection is, for status lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// The endpoint that said Welcome, while the stream stands.
    pub connected: Option<String>,
    /// Why the last attempt or stream ended.
    pub last_error: Option<String>,
}
