//! The agent's own host, so that a starved or full machine is not taken for silent BMCs.

use crate::clock::SystemClock;
pub use crate::config::HOST_TARGET as NAME;
use crate::poll::{one, outcome};
use crate::spooler::Spooler;
use outband_schemas::{
    AgentId, Cause, Clock, ComponentClass, ComponentId, IdError, Identity, Inventory, Observation, Quality, Reading,
    Section, SensorKind, Source, TargetId, Timestamp, Value,
};
use std::path::{Path, PathBuf};
use std::time::Duration;
use sysinfo::{Disks, System};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often the host says what it is, for collectors that were restored from a backup meanwhile.
const INTRODUCE_EVERY: Duration = Duration::from_secs(6 * 60 * 60);
/// What a list of servers shows of it.
const MODEL: &str = "agent host";

/// The first look at the host needs a moment's distance from the start for its utilisation.
const FIRST_HOST_READ: Duration = Duration::from_secs(1);

/// The host could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refuses.
    #[error("this host cannot be read: {0}")]
    System(String),
    /// A name is none.
    #[error(transparent)]
    Id(#[from] IdError),
}

/// What [`run`] needs to know of the config; a reload brings another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The agent, which names the component.
    pub agent: AgentId,
    /// The directory whose file system is watched.
    pub data_dir: PathBuf,
    /// How often.
    pub every: Duration,
}

/// Reads the host. Utilisation is between two reads, so one is kept.
#[derive(Debug)]
pub struct Host {
    system: System,
    target: TargetId,
    introduced_at: Option<Timestamp>,
}

impl Host {
    /// Begins: the first [`Host::read`] covers the time since now.
    pub fn new() -> Result<Self, Error> {
        let mut system = System::new().map_err(|e| Error::System(format!("{e:?}")))?;
        system.refresh_cpu_usage();
        Ok(Self { system, target: TargetId::new(NAME)?, introduced_at: None })
    }

    /// The target under which the host is reported.
    pub fn target(&self) -> &TargetId {
        &self.target
    }

    /// What the host says now. Blocks for as long as the kernel takes to answer.
    pub fn read(&mut self, agent: &AgentId, data_dir: &Path, at: Timestamp) -> Vec<Observation> {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        // A clock that was set back is no reason for years of silence.
        let is_due = |last: Timestamp| at < last || at.since(last) >= INTRODUCE_EVERY;
        let introduction = self.introduced_at.is_none_or(is_due).then(|| introduction(System::host_name().ok(), at));
        if introduction.is_some() {
            self.introduced_at = Some(at);
        }
        let reader = Line { component: ComponentId::lenient(ComponentClass::Agent, agent.as_str()), at };
        let total = self.system.total_memory();
        let used = self.system.used_memory();
        let load = System::load_average().ok();
        let share = (total > 0).then(|| used as f64 * 100.0 / total as f64);
        let readings = [
            reader.number(SensorKind::Utilization, "cpu", Some(f64::from(self.system.global_cpu_usage()))),
            reader.number(SensorKind::Utilization, "memory", share),
            reader.number(SensorKind::MemoryUsed, "memory", Some(used as f64)),
            reader.number(SensorKind::DiskFree, "data_dir", free_space(data_dir)),
            reader.number(SensorKind::Uptime, "host", System::uptime().ok().map(|s| s as f64)),
            reader.number(SensorKind::Quantity, "load1", load.as_ref().map(|l| l.one)),
            reader.number(SensorKind::Quantity, "load5", load.as_ref().map(|l| l.five)),
            reader.number(SensorKind::Quantity, "load15", load.as_ref().map(|l| l.fifteen)),
        ];
        introduction.into_iter().chain(readings).collect()
    }
}

/// Reads the host at its cadence into the spool, until cancelled.
pub async fn run(mut plan: watch::Receiver<Plan>, spooler: Spooler, cancel: CancellationToken) {
    let mut host = match Host::new() {
        Ok(host) => host,
        Err(error) => {
            tracing::warn!(%error, "the agent's own host is not reported");
            return;
        }
    };
    let mut wait = FIRST_HOST_READ;
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            () = sleep(wait) => {}
        }
        let now = plan.borrow_and_update().clone();
        wait = now.every;
        let at = SystemClock.now();
        let read = tokio::task::spawn_blocking(move || {
            let seen = host.read(&now.agent, &now.data_dir, at);
            (host, seen)
        });
        let seen;
        (host, seen) = match read.await {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, "the agent's own host is no longer reported");
                return;
            }
        };
        let set = outcome::set(host.target(), Section::Host, at, seen);
        let lane = Section::Host.lane();
        one::keep(&spooler, NAME, lane, outcome::bodies(set), Vec::new(), &cancel).await;
    }
}

struct Line {
    component: ComponentId,
    at: Timestamp,
}

impl Line {
    fn number(&self, kind: SensorKind, sensor: &str, value: Option<f64>) -> Observation {
        let value = value.filter(|v| v.is_finite());
        Observation::Reading(Reading {
            component: self.component.clone(),
            kind,
            sensor: sensor.to_owned(),
            quality: if value.is_some() { Quality::Good } else { Quality::Unavailable(Cause::NoReading) },
            value: value.map(Value::Number),
            observed_at: self.at,
            source: Source(format!("host:{sensor}")),
            thresholds: None,
        })
    }
}

/// What the host is, for people. It names neither serial nor UUID: the collector must not take it for a server that it knows by its BMC.
fn introduction(hostname: Option<String>, at: Timestamp) -> Observation {
    Observation::Inventory(Inventory {
        identity: Identity {
            model: Some(MODEL.to_owned()),
            hostname: hostname.filter(|name| !name.is_empty()),
            ..Identity::default()
        },
        parts: Vec::new(),
        bmc_clock_offset_ms: None,
        observed_at: at,
        source: Source("host:identity".to_owned()),
    })
}

/// Bytes free on the file system that holds `path`: the one mounted deepest above it.
fn free_space(path: &Path) -> Option<f64> {
    let path = path.canonicalize().ok()?;
    let disks = Disks::new_with_refreshed_list().ok()?;
    disks
        .iter()
        .filter(|disk| path.starts_with(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().as_os_str().len())
        .map(|disk| disk.available_space() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_says_what_it_uses_in_the_units_of_the_catalogue() {
        let dir = tempfile::tempdir().unwrap();
        let mut host = Host::new().unwrap();
        let seen = host.read(&AgentId::new("a1").unwrap(), dir.path(), Timestamp::from_secs(5));
        let value = |kind, name: &str| {
            seen.iter().find_map(|o| match o {
                Observation::Reading(r) if r.kind == kind && r.sensor == name => r.value.as_ref()?.as_number(),
                _ => None,
            })
        };
        let memory = value(SensorKind::MemoryUsed, "memory").unwrap();
        assert!(memory > 1e6, "bytes, not kilobytes: {memory}");
        assert!(value(SensorKind::Utilization, "memory").is_some_and(|p| p > 0.0 && p <= 100.0));
        assert!(value(SensorKind::Uptime, "host").is_some_and(|s| s > 0.0));
        let readings = seen.iter().filter_map(|o| if let Observation::Reading(r) = o { Some(r) } else { None });
        assert!(readings.map(|r| r.component.to_string()).all(|c| c == "agent/a1"));
    }

    #[test]
    fn the_host_says_what_it_is_at_the_start_and_every_six_hours_and_never_what_could_merge_it_with_a_server() {
        let dir = tempfile::tempdir().unwrap();
        let mut host = Host::new().unwrap();
        let mut identity = |secs| {
            let seen = host.read(&AgentId::new("a1").unwrap(), dir.path(), Timestamp::from_secs(secs));
            seen.into_iter().find_map(|o| if let Observation::Inventory(i) = o { Some(i.identity) } else { None })
        };
        let first = identity(100).unwrap();
        assert_eq!((first.hostname, first.model.as_deref()), (System::host_name().ok(), Some("agent host")));
        assert_eq!((first.serial, first.uuid), (None, None));
        assert!(identity(160).is_none());
        assert!(identity(100 + 6 * 3600).is_some());
        assert!(identity(50).is_some(), "the clock was set back");
    }
}
