//! Back-tests: what would have been said of a history, by the very code that runs live.

mod names;
mod order;
mod rack;
mod readings;
mod report;
pub(crate) mod spill;
pub(crate) mod table;

use crate::train;
use clap::{ArgGroup, Args};
use std::io;
use std::path::PathBuf;

/// Replay a history and tell what would have been predicted, by the code that runs live.
///
/// --readings: slow wear of fans, power supplies, cooling and memory. The alarms are written as server,component,class,at,score, once a day while
/// a condition lasts; a score of 1 is a finding, and more is worse.
///
/// --drives: failures of disks. The alarms are written as drive,day,score for each drive with new errors; a score of 0.5 opens a ticket.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("history").required(true).args(["readings", "drives"])))]
pub struct Backtest {
    #[command(flatten)]
    readings: Option<Readings>,
    #[command(flatten)]
    disks: Option<train::cli::Disks>,
    /// Where the alarms go. Its directory has to have room for 16 bytes a reading meanwhile.
    #[arg(long, value_name = "FILE")]
    alarms: PathBuf,
}

/// A history of readings.
#[derive(Debug, Args)]
pub struct Readings {
    /// The readings: server,component,kind,at,value; kinds temperature, fan_speed, fan_duty, power, voltage, current, memory_ce_count; times
    /// RFC 3339 or seconds since 1970; in any order in which each server's stand in the order of time. May be compressed (.zst).
    #[arg(long, value_name = "FILE", required = false)]
    readings: PathBuf,
    /// What happened: server,component,event,at. Replacements begin anew, firmware updates and the like explain steps.
    #[arg(long, value_name = "FILE", requires = "readings")]
    events: Option<PathBuf>,
    /// Where servers stand: server,rack. What moves a rack alike is no server's fault.
    #[arg(long, value_name = "FILE", requires = "readings")]
    topology: Option<PathBuf>,
    /// What really failed, where it is known: server,component,class,onset,fails_at. Then the table tells what the alarms were worth.
    #[arg(long, value_name = "FILE", requires = "readings")]
    truth: Option<PathBuf>,
}

/// A back-test failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A column is missing.
    #[error("{path}: the first line has to name the columns, and {name} is missing; there may be {all}")]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        name: String,
        /// All columns that are known.
        all: String,
    },
    /// There is nothing to look at.
    #[error("{0} holds no reading")]
    Empty(PathBuf),
    /// The readings, sorted by server, cannot be kept beside the alarms.
    #[error("cannot keep the readings in a temporary file beside the alarms (16 bytes each): {0}")]
    Spill(io::Error),
    /// No history was named.
    #[error("name a history: --readings or --drives")]
    Nothing,
    /// Disks: their tables, or the model.
    #[error(transparent)]
    Disks(#[from] Box<train::Error>),
    /// The alarms cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Backtest {
    /// Replays, writes the alarms, and gives the table. Progress, and what was wrong with the input, goes to `say`.
    pub fn run(&self, say: &mut dyn FnMut(&str)) -> Result<String, Error> {
        match (&self.readings, &self.disks) {
            (Some(readings), _) => readings::run(readings, &self.alarms, say),
            (None, Some(disks)) => Ok(disks.run(&self.alarms, say).map_err(Box::new)?),
            (None, None) => Err(Error::Nothing),
        }
    }
}
