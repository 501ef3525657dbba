//! The configs of the demo, as an operator would write them. What is compressed in time is compressed here and nowhere else: short cadences for
//! the agent, short spans for the rules.

use crate::sim::fleet::Server;
use std::fmt::Write;
use std::path::Path;

/// collector.toml.
pub(super) fn collector(data_dir: &Path) -> String {
    let dir = toml::Value::String(data_dir.display().to_string());
    format!(
        r#"# Ports are chosen by the system and written to run.json in the data directory.
[listen]
agents = "127.0.0.1:0"
operators = "127.0.0.1:0"

[data]
dir = {dir}
# The demo is no place to watch the disk of.
keep_free_mib = 0

# Rules count polls. The agent polls every two seconds instead of every minute, so a baseline of six polls is twelve seconds.
[health.fan]
baseline_polls = 6
decay_polls = 3

[health.silence]
bmc_polls = 3
at_least_secs = 15
"#
    )
}

/// agent.toml.
pub(super) fn agent(site: &[Server], user: &str, root: &Path, collector: &Path, endpoint: &str) -> String {
    let quoted = |path: std::path::PathBuf| toml::Value::String(path.display().to_string());
    let mut out = format!(
        r#"[agent]
id = "demo-agent"
site = "{site_name}"
data_dir = {data}

[collector]
endpoints = ["{endpoint}"]
ca_file = {ca}
token_file = {token}

[cadence]
sensors = "2s"
drives = "4s"
log = "2s"
inventory = "1m"

[poll]
request_deadline = "3s"
poll_deadline = "20s"
host = "10s"

[credentials.bmc]
user = "{user}"
password_file = {password}
"#,
        site_name = super::SITE,
        data = quoted(root.join("agent")),
        ca = quoted(collector.join("ca.pem")),
        token = quoted(collector.join("agent.token")),
        password = quoted(root.join("bmc.password")),
    );
    for server in site {
        // Writing to a String cannot fail.
        write!(
            out,
            "\n[[targets]]\nid = \"{}\"\nurl = \"{}\"\ncredentials = \"bmc\"\n",
            server.plan.spec.name,
            server.bmc.url()
        )
        .unwrap_or_default();
    }
    out
}
