//! `outband-agent join`

use clap::Args;
use outband_schemas::AgentId;
use std::path::PathBuf;

/// `join`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  With the line that `outband agent invite --site SITE` printed, typed or pasted after the command:
    outband-agent join
  The same, from a file of mode 0600, or from another command:
    outband-agent join invite.line
    ssh operator@desk outband agent invite --site dc1 | outband-agent join --agent dc1-agent-1
  Without a line: six words are shown, and the agent waits until an operator has approved the same words (outband agent pending):
    outband-agent join --collector collector.example:7442 --agent dc1-agent-1

A line may be given as the argument itself, too; then everybody on this machine can see it while the command runs. It lets one agent in, once.
The key is made here and never leaves. Key and certificate go into identity.pem in the data directory, with ca.pem beside it; what has to stand in
the config is printed. The running agent renews its certificate by itself.")]
pub struct JoinArgs {
    /// The file that holds the line; `-`: standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    pub line: String,
    /// Without a line: where the collector is.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "line")]
    pub collector: Option<String>,
    /// What this agent is to be called; not needed where the invite says it.
    #[arg(long, value_name = "NAME")]
    pub agent: Option<AgentId>,
    /// The name in the collector's certificate, where it is not the host of the address.
    #[arg(long, value_name = "NAME")]
    pub domain: Option<String>,
    /// Where key and certificate are kept: the agent's data directory.
    #[arg(long, value_name = "DIR", default_value = crate::config::DEFAULT_DATA_DIR)]
    pub dir: PathBuf,
}
