//! The config file: every field has a default, so that none is needed; unknown ones are refused; all problems are listed.

pub mod calendar;
pub mod check;
pub mod drills;
pub mod enrol;
pub mod history;
pub mod load;
pub mod metrics;
pub mod notify;
pub mod orders;
pub mod outcomes;
pub mod predict;
pub mod sla;
pub mod span;
pub mod spares;
pub mod stream;

use calendar::BusinessHours;
use load::Problem;
use notify::Notify;
use outband_health::{FoldingConfig, RuleConfig};
use outband_store::Retention;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use sla::{Contracts, Sla};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Why there is no config.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is wrong.
    #[error("{path} cannot be used:{problems}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong with it.
        problems: Problems,
    },
}

/// Everything that is wrong with a config, one a line when printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|p| write!(f, "\n  {p}"))
    }
}

/// The collector's config.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    pub listen: Listen,
    /// Where it keeps what it knows.
    pub data: Data,
    /// Its certificate.
    pub tls: Tls,
    /// The thresholds of the rules that judge health. They count polls wherever they can.
    #[schemars(schema_with = "health_schema")]
    pub health: RuleConfig,
    /// How long things are kept.
    #[schemars(schema_with = "retention_schema")]
    pub retention: Retention,
    /// Kinds of sensors whose history is kept for another time.
    pub history: history::HistoryConfig,
    /// What is promised, and when business hours are.
    pub sla: Sla,
    /// Business hours that clocks may name.
    pub calendars: BTreeMap<String, BusinessHours>,
    /// When many incidents are told as one ticket with their common cause.
    #[schemars(schema_with = "folding_schema")]
    pub folding: FoldingConfig,
    /// Customers, contracts and packages.
    pub service: Contracts,
    /// Where servers stand and what feeds them.
    pub topology: Where,
    /// Who is told what, on which channel, when.
    pub notify: Notify,
    /// What is foretold of disks.
    pub predict: predict::Predict,
    /// What agents may be asked to do at BMCs.
    pub orders: orders::OrdersConfig,
    /// Health checks that come by themselves.
    pub health_check: check::HealthCheckConfig,
    /// What is made of what became of tickets.
    pub outcomes: outcomes::OutcomesConfig,
    /// Exercises that come by themselves, by name.
    pub drills: BTreeMap<String, drills::Plan>,
    /// How agents get certificates of their own.
    pub enrol: enrol::EnrolConfig,
    /// How long agents' streams stand.
    pub stream: stream::StreamConfig,
    /// How many spare parts are proposed.
    pub spares: spares::SparesConfig,
    /// Figures of the collector itself.
    pub metrics: metrics::MetricsConfig,
}

/// Where servers stand and what feeds them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Where {
    /// A CSV file with the columns `server,rack,unit,power_feed,cooling_zone,model,customer,rack_limit_w,feed_limit_w`. `server` is the id, the serial or the
    /// target of a server; several feeds, and their limits, are separated by semicolons. The limits (W) are what the rack and each feed can carry.
    pub file: Option<PathBuf>,
}

/// Where it listens. Whatever the address, nothing is answered without a token; the default is the loopback only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// For agents, e.g. `0.0.0.0:7442`. Port 0: any free port, which is then written to `run.json` in the data directory.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "address")]
    pub agents: SocketAddr,
    /// For operators.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "address")]
    pub operators: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        Self { agents: SocketAddr::from(([127, 0, 0, 1], 7442)), operators: SocketAddr::from(([127, 0, 0, 1], 7443)) }
    }
}

/// Where it keeps what it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// The data directory. Left out: systemd's STATE_DIRECTORY, else `outband-collector` in XDG_STATE_HOME, else
    /// `~/.local/state/outband-collector`.
    pub dir: Option<PathBuf>,
    /// With less room on its disk than this, in MiB, there is a ticket; with less than a quarter of it, an urgent one. Default 4096. 0: never.
    pub keep_free_mib: u64,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: None, keep_free_mib: 4096 }
    }
}

/// Its certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Names and addresses by which agents and operators reach it; those of the loopback are always among them.
    pub server_names: Vec<String>,
}

impl Config {
    /// Reads a config file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|problems| Error::Wrong { path: path.to_owned(), problems })
    }

    /// Reads a config from text, or says everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let (config, mut problems) = load::tolerant::<Self>(text);
        if let Some(config) = &config {
            problems.extend(config.problems());
        }
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(Problems(problems)),
        }
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.sla.problems();
        problems.extend(self.notify.problems());
        problems.extend(drills::problems(&self.drills));
        problems.extend(self.orders.problems());
        problems.extend(self.enrol.problems());
        problems.extend(self.stream.problems());
        problems.extend(self.history.problems(&self.retention));
        problems.extend(self.spares.problems());
        problems.extend(self.outcomes.problems());
        problems.extend(self.health_check.problems());
        problems.extend(self.predict.problems());
        problems.extend(calendar::problems(&self.calendars));
        let mut add = |at: &str, what: String| problems.push(Problem { at: at.to_owned(), what });
        if self.listen.agents == self.listen.operators && self.listen.agents.port() != 0 {
            add("listen.operators", format!("agents and operators cannot share {}", self.listen.agents));
        }
        if let Some(dir) = &self.data.dir
            && !dir.is_absolute()
        {
            add(
                "data.dir",
                format!("{} is not absolute; it would depend on where the collector is started", dir.display()),
            );
        }
        if let Some(addr) = self.metrics.listen
            && addr.port() != 0
            && (addr == self.listen.agents || addr == self.listen.operators)
        {
            add("metrics.listen", format!("{addr} is where agents or operators come in"));
        }
        for (i, name) in self.tls.server_names.iter().enumerate() {
            if !is_server_name(name) {
                add(
                    &format!("tls.server_names[{i}]"),
                    format!("{name:?} is neither a host name nor an IP address (no port, no scheme)"),
                );
            }
        }
        if self.folding.share_percent > 100 || self.folding.over_percent >= 100 {
            add("folding", "share_percent is at most 100, over_percent less".to_owned());
        }
        for (at, zero) in [
            ("retention.raw_days", self.retention.raw_days == 0),
            ("retention.five_minute_days", self.retention.five_minute_days == 0),
            ("retention.hour_days", self.retention.hour_days == 0),
            ("retention.event_days", self.retention.event_days == 0),
            ("retention.ticket_days", self.retention.ticket_days == 0),
            ("retention.audit_days", self.retention.audit_days == 0),
        ] {
            if zero {
                add(at, "0 would keep nothing".to_owned());
            }
        }
        // What is made of something is made before that goes.
        for (at, coarse, finer, fine) in [
            ("retention.five_minute_days", self.retention.five_minute_days, "raw_days", self.retention.raw_days),
            ("retention.hour_days", self.retention.hour_days, "five_minute_days", self.retention.five_minute_days),
        ] {
            if coarse < fine {
                add(
                    at,
                    format!("{coarse} is less than {finer}, {fine}: the coarser history is what is left of the finer"),
                );
            }
        }
        problems
    }

    /// The JSON Schema of the file.
    pub fn schema() -> schemars::Schema {
        let mut schema = schemars::schema_for!(Config);
        schema.insert("title".to_owned(), "Outband collector configuration".into());
        schema
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        let what = format!(
            "{text:?} is no address to listen on; write e.g. \"127.0.0.1:7442\", \"0.0.0.0:7442\" or \"[::1]:7442\""
        );
        serde::de::Error::custom(what)
    })
}

fn is_server_name(name: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name.parse::<std::net::IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(label))
}

fn health_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    foreign(&RuleConfig::default(), "The thresholds of the rules that judge health.")
}

fn folding_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    foreign(&FoldingConfig::default(), "When many incidents are told as one ticket with their common cause.")
}

fn retention_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    foreign(&Retention::default(), "How long things are kept.")
}

/// The schema of a section whose type is a pure crate's, which knows nothing of JSON Schema: its fields, types and defaults are
/// those of its default value.
fn foreign<T: Serialize>(default: &T, description: &str) -> schemars::Schema {
    let value = serde_json::to_value(default).unwrap_or_default();
    let mut schema = describe(&value);
    if let Some(map) = schema.as_object_mut() {
        map.insert("description".to_owned(), description.into());
    }
    schemars::Schema::try_from(schema).unwrap_or_default()
}

fn describe(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::{Value, json};
    match value {
        // A table whose keys the user chooses.
        Value::Object(fields) if fields.is_empty() => json!({ "type": "object" }),
        Value::Object(fields) => {
            let properties: serde_json::Map<_, _> = fields.iter().map(|(k, v)| (k.clone(), describe(v))).collect();
            json!({ "type": "object", "additionalProperties": false, "properties": properties })
        }
        Value::Array(_) => json!({ "type": "array", "default": value }),
        Value::String(_) => json!({ "type": "string", "default": value }),
        Value::Bool(_) => json!({ "type": "boolean", "default": value }),
        Value::Number(n) if n.is_f64() => json!({ "type": "number", "default": value }),
        Value::Number(_) => json!({ "type": "integer", "minimum": 0, "default": value }),
        Value::Null => json!({}),
    }
}

#[cfg(test)]
mod tests;
