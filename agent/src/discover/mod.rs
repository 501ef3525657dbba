//! `outband-agent discover`: finds the BMCs of a network, says what each is, tries logins where asked to, and writes a targets file.

mod addresses;
pub mod args;
mod file;
mod find;
mod login;
mod progress;
mod report;

pub use addresses::{Range, RangeError};
pub use file::FileError;

use crate::config::{self, Config, Surroundings};
use crate::poll::guard::Guard;
use args::{DiscoverArgs, DiscoverOutput};
use login::{Entry, Login};
use progress::{Progress, Stage};
use report::Bmc;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::net::IpAddr;
use std::time::Duration;
use tokio::task::JoinSet;

/// Why a discovery could not be made. Holds no secrets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A range that is too large.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// The config cannot be used.
    #[error("{0}")]
    Config(config::Invalid),
    /// A profile that the config has not.
    #[error("no [credentials.{name}] in the config; there are {known}")]
    NoProfile {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The targets file.
    #[error("--write: {0}")]
    File(#[from] FileError),
    /// No socket can be opened.
    #[error("no UDP socket can be opened: {0}")]
    Socket(io::Error),
    /// The output is gone.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Discovers, prints to `out`, and shows progress on `err`. Returns whether anything was found.
pub async fn run(args: &DiscoverArgs, out: &mut impl Write, err: &mut impl Write) -> Result<bool, Error> {
    let addresses = addresses::all(&args.ranges)?;
    let config = match &args.config {
        Some(path) => Some(config::load(path, &Surroundings::of_process()).map_err(Error::Config)?),
        None => None,
    };
    let logins = logins(args, config.as_ref())?;
    let terminal = io::stderr().is_terminal();
    let mut progress = Progress::new(err, terminal, args.quiet);
    let found = find::find(args, &addresses, &mut progress).await.map_err(Error::Socket)?;
    let known = config.as_ref().map(known).unwrap_or_default();
    let bmcs: Vec<Bmc> = found
        .into_iter()
        .map(|(address, found)| Bmc {
            known: known.get(&address).cloned(),
            address,
            found,
            redfish: Entry::default(),
            ipmi: Entry::default(),
        })
        .collect();
    let bmcs = match &config {
        Some(config) if !logins.is_empty() => log_in(args, bmcs, &logins, config, &mut progress).await,
        _ => bmcs,
    };
    progress.end();
    match args.output {
        DiscoverOutput::Table => report::table(&bmcs, &logins, out)?,
        DiscoverOutput::Json => report::lines(&bmcs, addresses.len(), args.ipmi_port, out)?,
    }
    out.flush()?;
    let targets: Vec<report::Target> = bmcs.iter().flat_map(|b| b.targets(args.prefer, args.ipmi_port)).collect();
    if let Some(path) = &args.write {
        let added = file::add(path, &targets)?;
        let without = targets.iter().filter(|t| t.credentials.is_empty()).count();
        let note = match without {
            0 => String::new(),
            n => format!("; {n} of those found have no login yet: fill in the column credentials"),
        };
        writeln!(err, "{}: {added} targets added{note}", path.display())?;
    }
    if args.output == DiscoverOutput::Table {
        writeln!(err, "{} BMCs at {} addresses", bmcs.len(), addresses.len())?;
    }
    Ok(!bmcs.is_empty())
}

/// The logins to try, in the order of the command line.
fn logins(args: &DiscoverArgs, config: Option<&Config>) -> Result<Vec<Login>, Error> {
    let profiles = config.map(|c| &c.profiles);
    let login = |name: &String| {
        let found = profiles.and_then(|p| p.get(name));
        let known = || profiles.map_or_else(String::new, |p| p.keys().cloned().collect::<Vec<_>>().join(", "));
        found
            .map(|c| Login { profile: name.clone(), credentials: c.clone() })
            .ok_or_else(|| Error::NoProfile { name: name.clone(), known: known() })
    };
    args.credentials.iter().map(login).collect()
}

/// The targets of a config by address; those that are named by a host name are not looked up.
fn known(config: &Config) -> BTreeMap<IpAddr, String> {
    let targets = config.targets.values().filter_map(|t| {
        let (host, _) = t.target.address.host_port()?;
        Some((host.parse().ok()?, t.target.address.to_string()))
    });
    targets.collect()
}

/// Tries the logins on every BMC that is not a target yet, some BMCs at once, the logins of one after another.
async fn log_in(
    args: &DiscoverArgs,
    bmcs: Vec<Bmc>,
    logins: &[Login],
    config: &Config,
    progress: &mut Progress<'_>,
) -> Vec<Bmc> {
    let guard = Guard::of(&config.data_dir);
    let (mut done, waiting): (Vec<Bmc>, Vec<Bmc>) = bmcs.into_iter().partition(|b| b.known.is_some());
    let (total, mut ended) = (waiting.len(), 0);
    progress.begin(Stage::Login, total);
    let mut waiting = waiting.into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < usize::from(args.at_once) {
            let Some(bmc) = waiting.next() else { break };
            let within = Duration::from_secs(args.request_deadline);
            running.spawn(login::try_all(bmc, logins.to_vec(), guard.clone(), args.ipmi_port, within));
        }
        match running.join_next().await {
            None => break,
            Some(Ok(bmc)) => {
                ended += 1;
                progress.at(ended, bmc.redfish.profile().or(bmc.ipmi.profile()));
                done.push(bmc);
            }
            Some(Err(error)) => tracing::error!(%error, "a login ended in a defect of the agent"),
        }
    }
    done.sort_by_key(|b| b.address);
    done
}
