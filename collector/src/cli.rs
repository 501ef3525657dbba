//! The command line.

#![allow(clippy::print_stdout, reason = "this is the one module whose output is the program's answer")]

use crate::app::{Collector, Error};
use crate::config::Config;
use crate::datadir::DataDir;
use crate::token::{self, Role, Tokens};
use crate::{run, tls};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// Takes in what Outband's agents saw, scores health, predicts failures, keeps tickets and their SLA clocks.
#[derive(Debug, Parser)]
#[command(
    name = "outband-collector",
    version,
    after_help = "\
Try it without any config:
  outband-collector run
It makes its certificate authority and its tokens, listens on the loopback, and prints what to do next.

Give an agent access:
  copy ca.pem and agent.token from the data directory to the agent's machine, and name both in agent.toml;
  or make a token of its own: outband-collector token agent dc1 > dc1.token

The log goes to stderr; OUTBAND_LOG sets what is in it, e.g. OUTBAND_LOG=debug or OUTBAND_LOG=outband_collector::ingest=debug."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the collector until SIGTERM or Ctrl-C. SIGHUP reloads the config and the tokens.
    Run {
        /// The config file. Without one: defaults, in one data directory that is printed at the start.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Check a config file and list everything that is wrong with it.
    CheckConfig {
        /// The config file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Make a token and print it, or print where the first one is.
    ///
    /// With NAME, a new token is printed once, on stdout; only its digest is kept. A running collector knows it after SIGHUP. An
    /// agent's token of its own lets in the agent of that name only; an operator's name stands in the log of each ticket moved.
    /// Without NAME, the path of the token made on the first start is printed.
    Token {
        /// Whose token.
        role: RoleArg,
        /// The agent's id, or the operator's name.
        name: Option<String>,
        /// The config file, for its data directory.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print the JSON Schema of the config file.
    Schema,
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    /// Sends observations.
    Agent,
    /// Asks, and moves tickets.
    Operator,
}

impl Cli {
    /// Does what was asked. Exit codes: 0 done, 1 failed, 2 wrong usage (clap's).
    pub fn execute(self) -> ExitCode {
        let done = match self.command {
            Command::Run { config } => run::run(config),
            Command::CheckConfig { config } => check(config),
            Command::Token { role, name, config } => make_token(role, name, config),
            Command::Schema => schema(),
            Command::Completions { shell } => {
                clap_complete::generate(shell, &mut Cli::command(), "outband-collector", &mut std::io::stdout());
                Ok(())
            }
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("outband-collector: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

fn check(path: PathBuf) -> Result<(), Error> {
    let config = Config::load(&path)?;
    let dir = Collector::data_root(&config)?;
    println!("{} is right", path.display());
    println!("  agents     {}", config.listen.agents);
    println!("  operators  {}", config.listen.operators);
    println!("  data       {}", dir.display());
    println!("  names      {}", tls::server_names(&config.tls.server_names).into_iter().collect::<Vec<_>>().join(", "));
    Ok(())
}

fn make_token(role: RoleArg, name: Option<String>, config: Option<PathBuf>) -> Result<(), Error> {
    let config = config.map_or_else(|| Ok(Config::default()), |path| Config::load(&path))?;
    let dir = DataDir::open(Collector::data_root(&config)?)?;
    let role = match role {
        RoleArg::Agent => Role::Agent,
        RoleArg::Operator => Role::Operator,
    };
    match name {
        Some(name) => {
            let (token, path) = token::make(&dir, role, &name)?;
            println!("{}", token.reveal());
            eprintln!(
                "made a token for {role} {name}; it is shown this once. Its digest is {}: remove it to revoke the token.",
                path.display()
            );
            eprintln!("A running collector knows it after: systemctl reload outband-collector (or SIGHUP).");
        }
        None => {
            Tokens::load_or_make(&dir)?;
            println!("{}", dir.path(&role.token_file()).display());
        }
    }
    Ok(())
}

fn schema() -> Result<(), Error> {
    println!("{:#}", Config::schema().as_value());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
