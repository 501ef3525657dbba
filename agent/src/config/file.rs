//! The config file's shape, as written: every field optional and a plain text or number, so that one look finds all problems.
//! What the values mean is checked in [`super::check`]. The JSON Schema of the file is made of these types.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// agent.toml
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// A CSV file with more targets: columns id, url, credentials and, if wanted, fingerprint, ca_file, cipher. Relative to this file.
    pub targets_csv: Option<String>,
    /// Who this agent is.
    #[serde(default)]
    #[schemars(required)]
    pub agent: AgentTable,
    /// Where it sends what it sees.
    #[serde(default)]
    #[schemars(required)]
    pub collector: CollectorTable,
    /// How often it polls; a target may have its own.
    #[serde(default)]
    pub cadence: CadenceTable,
    /// Limits of polling.
    #[serde(default)]
    pub poll: PollTable,
    /// The disk buffer that rides out a lost collector.
    #[serde(default)]
    pub spool: SpoolTable,
    /// What BMCs tell by themselves.
    #[serde(default)]
    pub push: PushTable,
    /// What may be done at BMCs on the collector's word. Nothing, unless it stands here.
    #[serde(default)]
    pub orders: OrdersTable,
    /// Named logins for BMCs.
    #[serde(default)]
    pub credentials: BTreeMap<String, CredentialsTable>,
    /// The BMCs.
    #[serde(default)]
    pub targets: Vec<TargetTable>,
}

/// `[agent]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentTable {
    /// This agent's name, unique at the collector: letters, digits, `.`, `_`, `-`.
    #[schemars(required)]
    pub id: Option<String>,
    /// The site that it watches: letters, digits, `.`, `_`, `-`.
    #[schemars(required)]
    pub site: Option<String>,
    /// Where spool and pinned certificates are kept. Default: `$STATE_DIRECTORY`, else /var/lib/outband-agent.
    pub data_dir: Option<String>,
}

/// `[collector]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectorTable {
    /// `https://HOST:PORT`; several addresses are one collector, tried in turn.
    #[schemars(required)]
    pub endpoints: Option<Vec<String>>,
    /// The collector's CA, PEM.
    #[schemars(required)]
    pub ca_file: Option<String>,
    /// The file with this agent's key and certificate, as `outband-agent join` writes it; mode 0600. The agent renews it.
    pub identity_file: Option<String>,
    /// The file with this agent's token, where it has no certificate; mode 0600 or a systemd credential.
    pub token_file: Option<String>,
    /// The name in the collector's certificate, where it is not the host of the endpoint.
    pub domain: Option<String>,
}

/// `[cadence]`, and `cadence` of a target
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CadenceTable {
    /// Temperatures, fans, voltages, power, states. Default 60s.
    pub sensors: Option<String>,
    /// Drives with life and SMART figures. Default 10m.
    pub drives: Option<String>,
    /// New log entries. Default 30s.
    pub log: Option<String>,
    /// Identity, parts, firmware. Default 6h.
    pub inventory: Option<String>,
}

/// `[poll]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PollTable {
    /// How many BMCs are polled at the same time at most. Default 64.
    pub at_once: Option<u16>,
    /// How long one request to a BMC may take, retransmissions included. Default 10s.
    pub request_deadline: Option<String>,
    /// How long one poll of sensors or drives may take before it is given up; log and inventory may take ten times as long. Default 3m.
    pub poll_deadline: Option<String>,
    /// How often the agent reads its own host. Default 60s.
    pub host: Option<String>,
}

/// `[spool]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpoolTable {
    /// How much disk it may take; when full, the oldest telemetry goes first. Default 6GiB.
    pub quota: Option<String>,
}

/// `[push]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PushTable {
    /// Whether streams of events (SSE) are opened where a BMC offers one. Default true.
    pub sse: Option<bool>,
    /// How often the log is read where its news are pushed; what is pushed is read at once. Default 10m.
    pub log: Option<String>,
    /// Where the listener for subscriptions is bound, e.g. `0.0.0.0:7443`. Default: there is none, and no subscriptions are made.
    pub listen: Option<String>,
    /// How BMCs reach the listener, e.g. `https://10.0.0.5:7443`. `http://` is for BMCs that post to nothing else.
    pub url: Option<String>,
    /// The listener's certificate, PEM. Default: the agent makes its own.
    pub cert_file: Option<String>,
    /// The key of that certificate, PEM; mode 0600 or a systemd credential.
    pub key_file: Option<String>,
}

/// `[orders]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrdersTable {
    /// What may be done: `identify`, `identify_off`, `collect`, `reset_bmc`, `clear_sel`. Default: nothing.
    pub allow: Option<Vec<String>>,
    /// At which targets: their names, or the beginning of names with a `*` after it. Default: at all.
    pub targets: Option<Vec<String>>,
    /// More of the same, for other targets.
    #[serde(default)]
    pub rules: Vec<OrderRuleTable>,
}

/// `[[orders.rules]]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderRuleTable {
    /// What may be done.
    #[schemars(required)]
    pub allow: Option<Vec<String>>,
    /// At which targets.
    #[schemars(required)]
    pub targets: Option<Vec<String>>,
}

/// `[credentials.NAME]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialsTable {
    /// The BMC user.
    #[schemars(required)]
    pub user: Option<String>,
    /// The file with the password; mode 0600 or a systemd credential.
    pub password_file: Option<String>,
    /// The environment variable with the password.
    pub password_env: Option<String>,
    /// IPMI: the file with the BMC key (K_G) in hex digits, for BMCs that have one set; guarded as password_file.
    pub bmc_key_file: Option<String>,
}

/// `[[targets]]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetTable {
    /// The BMC's name, unique within this agent: letters, digits, `.`, `_`, `-`. `agent` is taken.
    #[schemars(required)]
    pub id: Option<String>,
    /// `ipmi://HOST[:PORT]`, `https://HOST[:PORT]`, or `local://[DEVICE]` for the agent's own server (device /dev/ipmi0 where none is named).
    #[schemars(required)]
    pub url: Option<String>,
    /// The name of a `[credentials.NAME]`; `local://` needs none.
    pub credentials: Option<String>,
    /// IPMI cipher suite, 3 or 17. Default: 17, then 3. For a BMC that has neither, a weaker one is used where it is named here: 0, 1, 2, 15, 16, or of IPMI 1.5
    /// `1.5-md5`, `1.5-md2`, `1.5-password`; the agent warns of it.
    pub cipher: Option<CipherName>,
    /// Redfish: SHA-256 of the BMC's certificate, in hex. Default: pinned on first use.
    pub fingerprint: Option<String>,
    /// Redfish: the CA of the BMC's certificate, PEM.
    pub ca_file: Option<String>,
    /// Redfish: `auto` (a stream where there is one, else a subscription where there is a listener), `sse`, `subscription` or `off`. Default `auto`.
    pub push: Option<String>,
    /// Local: smartctl, by absolute path. Default: looked for in `$PATH` and the usual directories.
    pub smartctl: Option<String>,
    /// Its own cadence; what is not set is taken from `[cadence]`.
    #[serde(default)]
    pub cadence: CadenceTable,
}

/// A cipher suite's number, or a name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a cipher suite: a number such as 17, or a name such as \"1.5-md5\"")]
pub enum CipherName {
    /// A suite of RMCP+.
    Number(u8),
    /// The same in text, or a session of IPMI 1.5.
    Name(String),
}

impl fmt::Display for CipherName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The JSON Schema of agent.toml.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(File)
}
