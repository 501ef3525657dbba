//! outband-agent: polls a site's BMCs and streams what it saw to the collector.

use clap::Parser;
use outband_agent::{args::Cli, cli};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One TLS provider for every connection. It can only be set already by ourselves.
    let provider = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match (provider, runtime) {
        (Ok(()), Ok(runtime)) => runtime.block_on(cli::run(cli)),
        (Err(_), _) | (_, Err(_)) => ExitCode::FAILURE,
    }
}
