//! What can go wrong, sorted by what the caller should do.

use std::path::PathBuf;

/// Why the spool could not do it. In every case nothing was half-written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No room: the disk is full, or the quota is and nothing may be evicted. Keep it and try again.
    #[error("the spool {path} has no room: {detail}")]
    Full {
        /// The file.
        path: PathBuf,
        /// What is full.
        detail: String,
    },
    /// The file is no longer readable. [`crate::Spool::set_aside`] it.
    #[error("the spool {path} is damaged: {detail}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// Another process has the file.
    #[error("the spool {path} is in use by another process; is another agent running?")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A newer version made the file.
    #[error(
        "the spool {path} has format {found}, this version knows {known}; run the newer agent, or move the file away"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest known.
        known: i64,
    },
    /// SQLite says otherwise: permissions, input/output errors.
    #[error("the spool {path} cannot be used: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file could not be renamed.
    #[error("the damaged spool {path} cannot be renamed to {to}: {source}")]
    Rename {
        /// The file.
        path: PathBuf,
        /// Its new name.
        to: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Error {
    /// Sorts what SQLite says.
    pub(crate) fn from_sqlite(path: &std::path::Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as C;
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(C::DatabaseCorrupt | C::NotADatabase) => Error::Damaged { path, detail: source.to_string() },
            Some(C::DiskFull) => Error::Full { path, detail: source.to_string() },
            Some(C::DatabaseBusy | C::DatabaseLocked) => Error::Locked { path },
            // A column of another type than we wrote, a row that must be there and is not: bytes flipped.
            None if is_shape(&source) => Error::Damaged { path, detail: source.to_string() },
            _ => Error::Sqlite { path, source },
        }
    }
}

fn is_shape(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    matches!(
        error,
        E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::InvalidColumnType(..)
            | E::QueryReturnedNoRows
    )
}
