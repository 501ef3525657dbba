//! `outband-agent discover`, as written on the command line.

use super::addresses::Range;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `discover`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  See who is there; nobody is logged in to:
    outband-agent discover 10.0.0.0/24
    outband-agent discover 10.0.0.10-10.0.0.60 10.0.1.7 -o json | jq .
  Try the logins of a config on each BMC found, and write a targets file for it:
    outband-agent discover 10.0.0.0/24 --config agent.toml --credentials monitor --credentials factory --write targets.csv
  Then in agent.toml:  targets_csv = \"targets.csv\"

How a BMC is found: presence ping and channel capabilities on UDP 623, the Redfish service root on TCP 443, and SSDP on the local network.
Trying a login shows the user's name, and over Redfish the password, to whoever answers at the address: try logins only on networks that only BMCs are on. A user is refused
at most twice an hour by one BMC, whatever is running here; after that the BMC is left alone, since it would lock the account.

Exit code: 0 something was found, 1 nothing, or it did not work, 2 usage.")]
pub struct DiscoverArgs {
    /// Where to look: 10.0.0.0/24, 10.0.0.5-10.0.0.90, 10.0.0.7, fd00::7.
    #[arg(value_name = "RANGE", required = true)]
    pub ranges: Vec<Range>,
    /// A config whose logins are to be tried; its targets are known already and not tried.
    #[arg(long, value_name = "FILE", env = "OUTBAND_AGENT_CONFIG")]
    pub config: Option<PathBuf>,
    /// The name of a `[credentials.NAME]` of the config to try; may be given several times, tried in this order.
    #[arg(long = "credentials", value_name = "NAME", requires = "config")]
    pub credentials: Vec<String>,
    /// Write what was found as a targets file (CSV). A file that is there is kept, and new targets are added to it.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Which of a BMC's two protocols becomes its target.
    #[arg(long, value_enum, default_value_t)]
    pub prefer: Prefer,
    /// How many addresses are looked at, and logged in to, at the same time.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub at_once: u16,
    /// IPMI's UDP port.
    #[arg(long, value_name = "PORT", default_value_t = 623, value_parser = clap::value_parser!(u16).range(1..))]
    pub ipmi_port: u16,
    /// Redfish's TCP port; may be given several times.
    #[arg(long = "https-port", value_name = "PORT", default_values_t = [443], value_parser = clap::value_parser!(u16).range(1..))]
    pub https_ports: Vec<u16>,
    /// Do not search by multicast (SSDP).
    #[arg(long)]
    pub no_ssdp: bool,
    /// How long an answer may take, in seconds.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub request_deadline: u64,
    /// No progress on stderr.
    #[arg(short, long)]
    pub quiet: bool,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: DiscoverOutput,
}

/// Which protocol becomes the target of a BMC that has both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Prefer {
    /// Redfish where it lets us in, else IPMI.
    #[default]
    Redfish,
    /// IPMI where it lets us in, else Redfish.
    Ipmi,
    /// A target for each; the collector merges them by the server's serial number.
    Both,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DiscoverOutput {
    /// For people.
    #[default]
    Table,
    /// One JSON object a BMC and line, then one with `type` summary.
    Json,
}
