//! outband-agent: polls a site's BMCs and streams what it saw to the collector.

use clap::Parser;
use outband_agent::{args::Cli, cli};
use std::process::ExitCode;

/// A poll makes hundreds of short texts on one thread and drops them on another: with the system's allocator that was a third of what it costs to build and pack
/// what was read.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One TLS provider for every connection. It can only be set already by ourselves.
    let provider = rustls::crypto::ring::default_provider().install_default();
    // The loop that speaks IPMI has a thread of its own; together they are as many as there are cores.
    let others = std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(others).enable_all().build();
    match (provider, runtime) {
        (Ok(()), Ok(runtime)) => runtime.block_on(cli::run(cli)),
        (Err(_), _) | (_, Err(_)) => ExitCode::FAILURE,
    }
}
