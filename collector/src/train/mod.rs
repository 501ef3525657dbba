//! Training and back-testing of the disk model on histories of drives.
//!
//! Both replay history day by day through `outband_health::model`, which is also what runs live: a score of a day knows nothing of
//! later days. Read in this order: [`source`] (what is read), [`replay`] (day by day), [`fit`] (a model of it), [`backtest`] (tickets it
//! would have opened), [`judge`] (what they were worth), [`compare`] (two models side by side). `grow` is the only room that knows by which
//! crate trees are grown.

pub mod backtest;
mod card;
pub mod cli;
mod cohort;
pub mod compare;
pub mod fit;
mod grow;
pub mod judge;
pub mod replay;
pub mod source;

use outband_health::model::{DiskModel, Misfit, SHIPPED};
use std::path::{Path, PathBuf};

/// Training or back-testing failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A table cannot be read.
    #[error(transparent)]
    Table(#[from] crate::backtest::Error),
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The period holds too little to learn from.
    #[error("nothing to learn from: {0}")]
    Empty(&'static str),
    /// A validation in which no ticket can be judged.
    #[error("no ticket of {from} to {to} can be judged: a validation has to be longer than 30 days")]
    Short {
        /// Its first day.
        from: String,
        /// Its last.
        to: String,
    },
    /// The trees could not be grown.
    #[error("cannot grow the trees: {0}")]
    Grow(String),
    /// A model's file is no model.
    #[error("{} is no model: {source}", path.display())]
    NoModel {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A model does not fit this program.
    #[error(transparent)]
    Misfit(#[from] Misfit),
}

/// The model of a file.
pub fn load(path: &Path) -> Result<DiskModel, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let model: DiskModel =
        serde_json::from_slice(&bytes).map_err(|source| Error::NoModel { path: path.to_owned(), source })?;
    model.check()?;
    Ok(model)
}

/// The model that this program ships.
pub fn shipped() -> Result<DiskModel, Error> {
    let model: DiskModel =
        serde_json::from_str(SHIPPED).map_err(|source| Error::NoModel { path: "the shipped model".into(), source })?;
    model.check()?;
    Ok(model)
}

#[cfg(test)]
mod tests;
