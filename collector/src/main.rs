//! outband-collector.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    outband_collector::cli::Cli::parse().execute()
}
