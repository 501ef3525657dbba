//! The command line.

#![allow(clippy::print_stdout, reason = "this is the one module whose output is the program's answer")]

use crate::app::{Collector, Error};
use crate::audit::journal;
use crate::backtest::Backtest;
use crate::backup::cli::{Backup, Restore};
use crate::calendars::cli::Ask;
use crate::calendars::{self, Shelf};
use crate::config::Config;
use crate::datadir::DataDir;
use crate::token::{self, Limits, Role, Tokens};
use crate::train::cli::Train;
use crate::{clock, record, run, tls};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use outband_schemas::Timestamp;
use outband_store::audit::Audit;
use outband_store::sqlite::Options;
use outband_store::{SqliteStore, Store};
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
    /// Without NAME, the path of the token made on the first start is printed (agent and operator only).
    ///
    /// What each role may do: agent - send; viewer - look; engineer - look, work on tickets; operator - all that and run the
    /// fleet; admin - all that, the audit log too; customer - see its servers and tickets, comment on them.
    ///
    /// With --site or --customer, the token is limited to these: it sees and changes nothing else. Where both are given, both have to
    /// fit. A customer's token needs one of them.
    Token {
        /// Whose token.
        role: RoleArg,
        /// The agent's id, or the person's name.
        name: Option<String>,
        /// Only what stands at this site; may be given several times.
        #[arg(long = "site", value_name = "SITE")]
        sites: Vec<String>,
        /// Only what is this customer's, by its name in the topology or the contracts; may be given several times.
        #[arg(long = "customer", value_name = "NAME")]
        customers: Vec<String>,
        /// The config file, for its data directory.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Compare every ticket with its log, and walk the audit log. The collector must not run meanwhile.
    ///
    /// Exit code 1: something was changed by something else than the collector; each ticket, and the first entry, is named.
    Check {
        /// The config file, for its data directory.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Look at the calendars by which clocks count, and take in a new year's holidays.
    Calendar {
        /// What to do.
        #[command(subcommand)]
        ask: calendars::cli::Ask,
        /// The config file, for its data directory.
        #[arg(long, value_name = "FILE", global = true)]
        config: Option<PathBuf>,
    },
    Backup(Backup),
    Restore(Restore),
    Backtest(Backtest),
    Train(Train),
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
    /// Sees who did what, too.
    Admin,
    /// Asks, and works on tickets.
    Engineer,
    /// Asks.
    Viewer,
    /// Sees what is at its sites.
    Customer,
}

impl Cli {
    /// Does what was asked. Exit codes: 0 done, 1 failed, 2 wrong usage (clap's).
    pub fn execute(self) -> ExitCode {
        let done = match self.command {
            Command::Run { config } => run::run(config),
            Command::CheckConfig { config } => check(config),
            Command::Token { role, name, sites, customers, config } => {
                make_token(role, name, &sites, customers, config)
            }
            Command::Check { config } => check_records(config),
            Command::Calendar { ask, config } => calendar(ask, config),
            Command::Backup(ask) => backup(&ask),
            Command::Restore(ask) => restore(&ask),
            Command::Backtest(ask) => backtest(&ask),
            Command::Train(ask) => train(&ask),
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

fn make_token(
    role: RoleArg,
    name: Option<String>,
    sites: &[String],
    customers: Vec<String>,
    config: Option<PathBuf>,
) -> Result<(), Error> {
    let config = config.map_or_else(|| Ok(Config::default()), |path| Config::load(&path))?;
    let dir = DataDir::open(Collector::data_root(&config)?)?;
    let role = match role {
        RoleArg::Agent => Role::Agent,
        RoleArg::Operator => Role::Operator,
        RoleArg::Admin => Role::Admin,
        RoleArg::Engineer => Role::Engineer,
        RoleArg::Viewer => Role::Viewer,
        RoleArg::Customer => Role::Customer,
    };
    match name {
        Some(name) => {
            let limits = Limits { sites: token::sites(sites)?, customers: customers.into_iter().collect() };
            let (token, path) = token::make_limited(&dir, role, &name, &limits)?;
            let at = Timestamp::from_millis(clock::machine().wall);
            let of: Vec<String> = limits
                .sites
                .iter()
                .map(|s| format!("sites/{s}"))
                .chain(limits.customers.iter().map(|c| format!("customers/{c}")))
                .collect();
            let detail = if of.is_empty() { "not limited".to_owned() } else { format!("limited to {}", of.join(", ")) };
            if let Err(error) = journal::leave(&dir, at, "token", format!("tokens/{role}.{name}"), detail) {
                // Nobody has seen it yet: what cannot be logged is not handed out.
                std::fs::remove_file(&path).map_err(Error::Process)?;
                return Err(error.into());
            }
            println!("{}", token.reveal());
            eprintln!(
                "made a token for {role} {name}; it is shown this once. Its digest is {}: remove it to revoke the token.",
                path.display()
            );
            eprintln!("A running collector knows it after: systemctl reload outband-collector (or SIGHUP).");
        }
        None if !Role::FIRST.contains(&role) => return Err(token::Error::Name(String::new()).into()),
        None => {
            Tokens::load_or_make(&dir)?;
            println!("{}", dir.path(&role.token_file()).display());
        }
    }
    Ok(())
}

fn check_records(config: Option<PathBuf>) -> Result<(), Error> {
    let config = config.map_or_else(|| Ok(Config::default()), |path| Config::load(&path))?;
    let root = Collector::data_root(&config)?;
    let failed = |source| Error::Store { path: root.clone(), source };
    let store = SqliteStore::open(&Options::new(&root)).map_err(failed)?;
    let checked = record::check(&store, &[]).map_err(failed)?;
    println!("{} tickets, {} of them not what their logs say", checked.tickets, checked.wrong.len());
    for number in &checked.wrong {
        println!("  ticket {number}");
    }
    let chain = store.verify_audit(None).map_err(failed)?;
    println!("{} entries of the audit log are as they were written; {}:{}", chain.entries, chain.entries, chain.head);
    if let Some((seq, wrong)) = chain.broken {
        println!("  entry {seq}: {}", wrong.as_str());
    }
    store.close().map_err(failed)?;
    if checked.wrong.is_empty() && chain.broken.is_none() { Ok(()) } else { Err(Error::Tampered) }
}

fn calendar(ask: calendars::cli::Ask, config: Option<PathBuf>) -> Result<(), Error> {
    let config = config.map_or_else(|| Ok(Config::default()), |path| Config::load(&path))?;
    let dir = DataDir::open(Collector::data_root(&config)?)?;
    let at = Timestamp::from_millis(clock::machine().wall);
    if let Ask::Import { name, years, files, dry_run: false, .. } = &ask {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let detail = format!("the years {years} from {}", files.join(", "));
        journal::leave(&dir, at, "calendar import", format!("calendars/{name}"), detail)?;
    }
    let shelf = Shelf::new(dir);
    let (text, good) = calendars::cli::answer(ask, &shelf, at)?;
    print!("{text}");
    if good { Ok(()) } else { Err(Error::NoUse) }
}

fn backup(ask: &Backup) -> Result<(), Error> {
    let config = ask.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load)?;
    let dir = DataDir::open(Collector::data_root(&config)?)?;
    print!("{}", ask.run(&dir, Timestamp::from_millis(clock::machine().wall))?);
    Ok(())
}

fn restore(ask: &Restore) -> Result<(), Error> {
    print!("{}", ask.run()?);
    Ok(())
}

fn backtest(ask: &Backtest) -> Result<(), Error> {
    print!("{}", ask.run(&mut |told| eprintln!("{told}"))?);
    Ok(())
}

fn train(ask: &Train) -> Result<(), Error> {
    print!("{}", ask.run(&mut |told| eprintln!("{told}"))?);
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

    #[test]
    fn a_back_test_is_of_readings_or_of_drives_and_wants_nothing_of_the_other() {
        let parses = |line: &str| {
            Cli::try_parse_from(["outband-collector", "backtest"].into_iter().chain(line.split_whitespace())).is_ok()
        };
        let drives = "--drives d --changes c --from 2015-01-01 --to 2015-02-01";
        assert!(parses("--readings r --alarms o"));
        assert!(parses("--readings r --events e --topology t --truth w --alarms o"));
        assert!(parses(&format!("{drives} --alarms o")));
        assert!(!parses("--alarms o"));
        assert!(!parses("--events e --alarms o"));
        assert!(!parses("--drives d --alarms o"));
        assert!(!parses("--readings r"));
        assert!(!parses(&format!("{drives} --readings r --alarms o")));
    }
}
