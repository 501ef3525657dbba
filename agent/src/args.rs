//! The command line.

use crate::discover::args::DiscoverArgs;
use crate::enrol::args::JoinArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use outband_bmc::{Address, CipherSuite, Fingerprint};
use outband_schemas::{Section, TargetId};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  Try one BMC before it goes into the config:
    outband-agent probe ipmi://10.0.0.12 --user monitor --password-file bmc.pass
    outband-agent probe https://10.0.0.13 --user monitor --password-file bmc.pass --accept-new-cert
  Read this server itself, by /dev/ipmi0 and smartctl:
    outband-agent probe local://
  Find the BMCs of a network:
    outband-agent discover 10.0.0.0/24
  Get a certificate from the collector, with the line that `outband agent invite` printed:
    outband-agent join
  Look for mistakes in a config, then run it:
    outband-agent check-config --config agent.toml
    outband-agent run --config agent.toml
  Tell a running agent to read its config again:
    systemctl reload outband-agent      (or: kill -HUP its process)

Passwords come from files of mode 0600, from systemd credentials or from the environment, never from flags.
OUTBAND_LOG sets what is logged, e.g. OUTBAND_LOG=debug or OUTBAND_LOG=info,outband_bmc=trace.";

/// Polls a site's BMCs over IPMI and Redfish, and streams what it saw to the Outband collector.
#[derive(Debug, Parser)]
#[command(name = "outband-agent", version, about, after_help = EXAMPLES)]
pub struct Cli {
    /// How the log on stderr is written.
    #[arg(long, value_enum, default_value_t, global = true)]
    pub log_format: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How a log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people and journals.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Poll the targets of a config and send what is seen to the collector, until stopped.
    Run(ConfigArgs),
    /// List everything that is wrong with a config. Exit code: 0 nothing, 2 something.
    CheckConfig(CheckArgs),
    /// Poll one BMC once, in full, and print what it says. Exit code: 0 read, 1 not, 2 usage.
    Probe(Box<ProbeArgs>),
    /// Find the BMCs of a network, and write a targets file. Exit code: 0 something found, 1 nothing, 2 usage.
    Discover(Box<DiscoverArgs>),
    /// Accept a BMC's changed certificate: pin another fingerprint for a target.
    AcceptCert(AcceptArgs),
    /// Get a certificate from the collector: with the line of an invite, or with six words that an operator approves.
    Join(Box<JoinArgs>),
    /// Print completions for a shell, e.g. `outband-agent completions bash > /etc/bash_completion.d/outband-agent`.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Which config.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// The config file.
    #[arg(long, value_name = "FILE", default_value = "/etc/outband/agent.toml", env = "OUTBAND_AGENT_CONFIG")]
    pub config: PathBuf,
}

/// `check-config`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Which config.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How problems are printed.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: CheckOutput,
}

/// How problems are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum CheckOutput {
    /// One line a problem: file, line, field, what is wrong.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// `probe`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outband-agent probe ipmi://10.0.0.12 --user monitor --password-file bmc.pass
  outband-agent probe ipmi://10.0.0.12:6230 --user monitor --password-file bmc.pass --cipher 3 --section sensors
  outband-agent probe https://10.0.0.13 --user monitor --password-file bmc.pass --ca site-ca.pem -o json | jq .
  OUTBAND_PASSWORD=… outband-agent probe https://10.0.0.13 --user monitor --accept-new-cert
  outband-agent probe local:// --section drives")]
pub struct ProbeArgs {
    /// The BMC: ipmi://HOST[:PORT] or https://HOST[:PORT]; or this server itself: local:// (by /dev/ipmi0, smartctl and its load), local:///dev/ipmi1.
    #[arg(value_name = "URL")]
    pub address: Address,
    /// The BMC's user; the least privilege that reads sensors is enough. Not for local://, where nobody logs in.
    #[arg(long)]
    pub user: Option<String>,
    /// The file with the password, mode 0600. Without it, the environment variable OUTBAND_PASSWORD is taken.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// IPMI: the cipher suite, 3 or 17. Default: 17, then 3. Weaker ones are used only when named here: 0, 1, 2, 15, 16, 1.5-md5, 1.5-md2, 1.5-password.
    #[arg(long, value_name = "SUITE")]
    pub cipher: Option<CipherSuite>,
    /// Redfish: believe whatever certificate is offered, and print its fingerprint.
    #[arg(long, conflicts_with_all = ["ca", "fingerprint"])]
    pub accept_new_cert: bool,
    /// Redfish: the CA that vouches for the BMC, PEM.
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    pub ca: Option<PathBuf>,
    /// Redfish: the SHA-256 of the BMC's certificate.
    #[arg(long, value_name = "HEX")]
    pub fingerprint: Option<Fingerprint>,
    /// Poll only this section; may be given several times. Default: all.
    #[arg(long = "section", value_name = "SECTION", value_parser = section)]
    pub sections: Vec<Section>,
    /// Poll the sensors once more at the end, as a running agent does each minute, to see what that costs.
    #[arg(long)]
    pub steady: bool,
    /// Where refused logins are on record, so that no account is locked by trying: the agent's data directory. Default: agent.data_dir of
    /// $OUTBAND_AGENT_CONFIG or /etc/outband/agent.toml where that may be written, else outband-agent in $XDG_STATE_HOME or ~/.local/state.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Give up after so many seconds in all; what was read by then is printed.
    #[arg(long, value_name = "S", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub deadline: u64,
    /// How long one request may take, retransmissions included, in seconds.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub request_deadline: u64,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: ProbeOutput,
}

/// How a probe is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ProbeOutput {
    /// For people.
    #[default]
    Table,
    /// One JSON object a line, each with `type`: reading, event, inventory, gap, and at the end summary.
    Json,
}

/// `accept-cert`
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// Which config.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The target.
    pub target: TargetId,
    /// The fingerprint to accept, as the gap, the log or `probe` shows it; compare it with the BMC's own page first.
    pub fingerprint: Fingerprint,
}

fn section(text: &str) -> Result<Section, String> {
    let words = || Section::OF_BMC.map(Section::as_str).join(", ");
    Section::OF_BMC.into_iter().find(|s| s.as_str() == text).ok_or_else(|| format!("sections are {}", words()))
}
