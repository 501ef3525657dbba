//! The agent's config: TOML, checked as a whole before anything starts, every problem listed at once.
//!
//! [`file`] is the shape as written, [`Config`] what it means. Secrets are read while checking, so that a config that is good can run.

mod check;
pub mod file;
mod orders;
mod parse;
pub mod problem;
pub mod secret;
mod targets_csv;
pub mod units;

pub(crate) use check::DEFAULT_DATA_DIR;
pub use orders::{OrderRule, Orders};
pub use problem::Problem;

use crate::uplink::Credential;
use outband_bmc::{Credentials, Target};
use outband_schemas::{AgentId, Section, SiteId, TargetId};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The id under which the agent reports its own host; no target may have it.
pub const HOST_TARGET: &str = "agent";

/// A checked config.
#[derive(Debug, Clone)]
pub struct Config {
    /// This agent.
    pub agent: AgentId,
    /// Its site.
    pub site: SiteId,
    /// Where spool and pins are kept.
    pub data_dir: PathBuf,
    /// Where it sends what it sees.
    pub collector: Collector,
    /// The cadence of targets that have none of their own.
    pub cadence: Cadence,
    /// Limits of polling.
    pub limits: Limits,
    /// How often the agent reads its own host.
    pub host_every: Duration,
    /// The most bytes that the spool may take on disk.
    pub spool_quota: u64,
    /// What BMCs tell by themselves.
    pub push: Push,
    /// What may be done at BMCs on the collector's word.
    pub orders: Orders,
    /// The named logins.
    pub profiles: BTreeMap<String, Credentials>,
    /// The BMCs.
    pub targets: Arc<BTreeMap<TargetId, TargetConfig>>,
}

/// Where observations go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// `https://HOST:PORT`, at least one; several are one collector's addresses.
    pub endpoints: Vec<String>,
    /// The collector's CA, PEM. Read again at every connect; it could be read when the config was checked.
    pub ca_file: PathBuf,
    /// How this agent says who it is. Its file is read again at every connect, like the CA.
    pub credential: Credential,
    /// The name in the collector's certificate, where it is not the endpoint's host.
    pub domain: Option<String>,
}

/// Limits of polling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many BMCs are polled at the same time at most.
    pub at_once: usize,
    /// How long one poll of one section may take.
    pub poll_deadline: Duration,
}

/// How often each section of a BMC is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// Temperatures, fans, voltages, power, states.
    pub sensors: Duration,
    /// Drives.
    pub drives: Duration,
    /// Log entries.
    pub log: Duration,
    /// Identity, parts, firmware.
    pub inventory: Duration,
}

impl Default for Cadence {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self { sensors: secs(60), drives: secs(600), log: secs(30), inventory: secs(6 * 3600) }
    }
}

impl Cadence {
    /// The cadence of a section; the agent's own host is polled as often as sensors.
    pub fn of(&self, section: Section) -> Duration {
        match section {
            Section::Sensors | Section::Host => self.sensors,
            Section::Drives => self.drives,
            Section::Log => self.log,
            Section::Inventory => self.inventory,
        }
    }
}

/// How it is listened to what BMCs tell by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Whether streams are opened.
    pub stream: bool,
    /// How often the log is read where its news are pushed.
    pub log: Duration,
    /// Where BMCs may post to.
    pub listener: Option<Listen>,
}

/// Where BMCs may post to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Where the listener is bound.
    pub at: SocketAddr,
    /// How BMCs reach it, without a slash at the end.
    pub url: String,
    /// Its certificate; `None`: one of its own making, or none at all where the URL is plain HTTP.
    pub identity: Option<Identity>,
}

/// Files of a certificate and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, with those that lead to its CA.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// How one target may be listened to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PushMode {
    /// A stream where there is one, else a subscription where there is a listener.
    #[default]
    Auto,
    /// A stream only.
    Stream,
    /// A subscription only.
    Subscription,
    /// Not at all.
    Off,
}

/// A BMC to be polled.
#[derive(Debug, Clone)]
pub struct TargetConfig {
    /// Its name.
    pub id: TargetId,
    /// How to speak to it. [`outband_bmc::Trust::FirstUse`] means: by the pin that is kept, or pin on first use.
    pub target: Target,
    /// How often.
    pub cadence: Cadence,
    /// How it may be listened to.
    pub push: PushMode,
}

impl TargetConfig {
    /// What is weak about the sessions that its configuration allows, in words; `None` where nothing is.
    pub fn weakness(&self) -> Option<String> {
        let suite = self.target.cipher?;
        suite.weakness().map(|weakness| format!("cipher {suite}: {weakness}"))
    }

    /// Whether both speak to the same BMC in the same way, so that an open session may stay.
    pub fn same_bmc(&self, other: &TargetConfig) -> bool {
        let (a, b) = (&self.target, &other.target);
        self.id == other.id
            && a.address == b.address
            && a.credentials == b.credentials
            && a.cipher == b.cipher
            && a.trust == b.trust
            && a.request_deadline == b.request_deadline
            && self.push == other.push
    }
}

/// A config that cannot be used: every problem that was found, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// What a config may draw on besides its own text.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// systemd's `$CREDENTIALS_DIRECTORY`.
    pub credentials_dir: Option<PathBuf>,
    /// systemd's `$STATE_DIRECTORY`.
    pub state_dir: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        let state_dir = std::env::var_os("STATE_DIRECTORY").filter(|d| !d.is_empty()).map(PathBuf::from);
        Self { credentials_dir: secret::credentials_dir(), state_dir }
    }
}

/// Reads and checks the config at `path`, with the files that it names.
pub fn load(path: &Path, around: &Surroundings) -> Result<Config, Invalid> {
    match std::fs::read_to_string(path) {
        Ok(text) => read(path, &text, around),
        Err(error) => {
            let problem =
                Problem { file: path.to_owned(), line: None, field: String::new(), message: error.to_string() };
            Err(Invalid { problems: vec![problem] })
        }
    }
}

/// Checks `text` as the config that stands at `path`.
pub fn read(path: &Path, text: &str, around: &Surroundings) -> Result<Config, Invalid> {
    let mut problems = problem::Problems::new(path, text);
    let Some(file) = parse::parse(text, &mut problems) else {
        return Err(Invalid { problems: problems.into_sorted() });
    };
    match check::check(path, file, around, &mut problems) {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(Invalid { problems: problems.into_sorted() }),
    }
}

#[cfg(test)]
mod tests;
