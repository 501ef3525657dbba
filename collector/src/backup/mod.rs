//! Backups: all of the data directory in one archive, encrypted to people who keep their keys elsewhere, and back again.
//!
//! The file is a tar archive in the age format (<https://age-encryption.org/v1>): `age -d` and `tar x` read it, too.

mod apart;
pub mod cli;
mod restore;
mod save;

pub use apart::Apart;
pub use restore::{Restored, restore, restore_with};
pub use save::{save, save_with};

use outband_store::StoreError;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// The store's file, in the data directory and in the archive.
const STORE: &str = "store.db";

/// Why there is no backup, or nothing restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// To whom it is encrypted cannot be understood.
    #[error("{what} is not an age recipient (age1...): {why}")]
    Recipient {
        /// Where it stands. Never the text itself: it may be an identity, given by mistake.
        what: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// To nobody.
    #[error("nobody could read this backup: give --recipient or --recipients-file")]
    Nobody,
    /// A file or directory cannot be used.
    #[error("{doing} {path}: {source}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It cannot be encrypted.
    #[error("cannot encrypt: {0}")]
    Encrypt(#[from] age::EncryptError),
    /// It cannot be decrypted.
    #[error("cannot decrypt {path}: {source}")]
    Decrypt {
        /// The backup.
        path: PathBuf,
        /// What age says.
        source: age::DecryptError,
    },
    /// The identity file cannot be used.
    #[error("{path} is no file of age identities (age-keygen makes one): {why}")]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The archive is not one of ours.
    #[error("{path} is not a backup of a collector: {why}")]
    Foreign {
        /// The backup.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is something already.
    #[error("{0} is not an empty directory: a backup is restored into a new one")]
    NotEmpty(PathBuf),
    /// Another backup runs.
    #[error("another backup of {0} runs")]
    Running(PathBuf),
    /// The store in it, or that it is made of, fails.
    #[error("{path}: {source}")]
    Store {
        /// The directory of the store, or the backup.
        path: PathBuf,
        /// The store's reason.
        source: StoreError,
    },
    /// The store in it was changed by something else than a collector.
    #[error(
        "{path} is not what a collector wrote: {tickets} tickets differ from their logs, the audit log is {audit}; nothing was restored"
    )]
    Tampered {
        /// The backup.
        path: PathBuf,
        /// How many tickets.
        tickets: usize,
        /// The first entry that is wrong.
        audit: String,
    },
}

/// Says what was tried with a file.
fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File { doing, path: path.clone(), source }
}

fn open(path: &Path) -> Result<BufReader<File>, Error> {
    File::open(path).map(BufReader::new).map_err(failed("cannot read", path))
}
