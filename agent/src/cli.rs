//! From the command line to what it asks for; exit codes are made here.

use crate::args::{AcceptArgs, Cli, Command, LogFormat, ProbeArgs};
use crate::config::{self, Surroundings};
use crate::discover::args::DiscoverArgs;
use crate::enrol::args::JoinArgs;
use crate::enrol::join;
use crate::poll::pins::Pins;
use crate::{app, check, discover, logging, probe};
use clap::CommandFactory;
use outband_bmc::Trust;
use std::io::{self, Write};
use std::process::ExitCode;

/// Done as asked.
pub const OK: u8 = 0;
/// It did not work.
pub const FAILED: u8 = 1;
/// The command line or the config is wrong.
pub const USAGE: u8 = 2;

/// Does what the command line asks for.
pub async fn run(cli: Cli) -> ExitCode {
    let code = match cli.command {
        Command::Run(args) => {
            logging::start(cli.log_format, "info");
            match app::run(&args.config, &Surroundings::of_process()).await {
                Ok(()) => OK,
                Err(app::Error::Config(invalid)) => say(&invalid, USAGE),
                Err(error) => say(&error, FAILED),
            }
        }
        Command::CheckConfig(args) => {
            let around = Surroundings::of_process();
            match check::run(&args.config.config, &around, args.output, &mut io::stdout().lock()) {
                Ok(true) => OK,
                Ok(false) => USAGE,
                Err(error) => say(&error, FAILED),
            }
        }
        Command::Probe(args) => probe(cli.log_format, &args).await,
        Command::Discover(args) => discover(cli.log_format, &args).await,
        Command::AcceptCert(args) => accept(&args),
        Command::Join(args) => join(cli.log_format, &args).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "outband-agent", &mut io::stdout());
            OK
        }
    };
    ExitCode::from(code)
}

async fn probe(log: LogFormat, args: &ProbeArgs) -> u8 {
    logging::start(log, "error");
    let mut out = io::BufWriter::new(io::stdout());
    let result = probe::run(args, &mut out, &mut io::stderr()).await;
    match result.and_then(|read| Ok(out.flush().map(|()| read)?)) {
        Ok(true) => OK,
        Ok(false) => FAILED,
        // Whoever read the output has seen enough, e.g. `| head`.
        Err(probe::Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => OK,
        Err(error @ (probe::Error::Output(_) | probe::Error::Ca { .. })) => say(&error, FAILED),
        Err(
            error @ (probe::Error::Password(_)
            | probe::Error::NoPassword
            | probe::Error::NoUser
            | probe::Error::NoRecord
            | probe::Error::WrongProtocol(..)),
        ) => say(&error, USAGE),
    }
}

async fn discover(log: LogFormat, args: &DiscoverArgs) -> u8 {
    logging::start(log, "error");
    let mut out = io::BufWriter::new(io::stdout());
    match discover::run(args, &mut out, &mut io::stderr()).await {
        Ok(true) => OK,
        Ok(false) => FAILED,
        Err(discover::Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => OK,
        Err(error @ (discover::Error::Output(_) | discover::Error::Socket(_) | discover::Error::File(_))) => {
            say(&error, FAILED)
        }
        Err(error) => say(&error, USAGE),
    }
}

async fn join(log: LogFormat, args: &JoinArgs) -> u8 {
    logging::start(log, "error");
    match join::run(args, &mut io::stdout(), &mut io::stderr()).await {
        Ok(()) => OK,
        Err(error) if error.is_usage() => say(&error, USAGE),
        Err(error) => say(&error, FAILED),
    }
}

fn accept(args: &AcceptArgs) -> u8 {
    let config = match config::load(&args.config.config, &Surroundings::of_process()) {
        Ok(config) => config,
        Err(invalid) => return say(&invalid, USAGE),
    };
    let Some(target) = config.targets.get(&args.target) else {
        return say(&format!("no target {} in {}", args.target, args.config.config.display()), USAGE);
    };
    let pins = Pins::of(&config.data_dir);
    let accepted = match &target.target.trust {
        Trust::FirstUse => pins.set(&args.target, args.fingerprint),
        // What the config expects is offered again, and is to be believed again.
        Trust::Pinned(print) if *print == args.fingerprint => pins.accept(&args.target),
        Trust::Pinned(_) | Trust::Ca(_) => {
            let why =
                "its certificate is named in the config: change fingerprint or ca_file there, then reload the agent";
            return say(&format!("{}: {why}", args.target), USAGE);
        }
    };
    match accepted {
        Ok(()) => say(&format!("{}: {} is accepted from the next poll on", args.target, args.fingerprint), OK),
        Err(error) => say(&error, FAILED),
    }
}

/// Says something to the person at the terminal; a closed stderr is nobody to tell.
fn say(what: &dyn std::fmt::Display, code: u8) -> u8 {
    match writeln!(io::stderr(), "{what}") {
        Ok(()) | Err(_) => code,
    }
}
