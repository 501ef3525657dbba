//! outband-demo: see the whole loop at work, from simulated BMCs to tickets with running clocks.

use clap::{Parser, ValueEnum};
use outband_tests::demo::{self, Options};
use std::process::ExitCode;
use std::time::Duration;

/// Starts a simulated site, a real agent and a real collector, lets faults develop, and shows what becomes of them.
#[derive(Debug, Parser)]
#[command(name = "outband-demo", version, about)]
struct Cli {
    /// How many servers the site has.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(2..=500))]
    servers: u16,
    /// What the site and its faults are made from: the same seed makes the same trouble.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Start the simulated site alone and print its BMCs' addresses, for `outband-agent probe` and the like.
    #[arg(long, conflicts_with = "until_tickets")]
    site_only: bool,
    /// End with 0 once tickets for a predicted drive failure and a predicted fan failure are open, with 1 if they are not in time.
    #[arg(long)]
    until_tickets: bool,
    /// When to give up, in seconds; with --until-tickets.
    #[arg(long, value_name = "S", default_value_t = 120)]
    timeout: u64,
    /// How the outcome is printed.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Leave configs, logs and data behind, in the temporary directory that is named at the start.
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON document at the end; progress on stderr. Needs --until-tickets.
    Json,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("OUTBAND_LOG").unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let options = Options {
        servers: usize::from(cli.servers),
        seed: cli.seed,
        site_only: cli.site_only,
        until_tickets: cli.until_tickets || cli.output == Output::Json,
        timeout: Duration::from_secs(cli.timeout),
        json: cli.output == Output::Json,
        keep: cli.keep,
    };
    let outcome =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map(|r| r.block_on(demo::run(options)));
    match outcome {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => fail(&error),
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("outband-demo: {error}");
    ExitCode::FAILURE
}
