//! SQLite's errors in the store's words.

use crate::StoreError;
use rusqlite::ErrorCode;
use std::fmt::Display;
use std::str::FromStr;

/// Says what was tried when SQLite failed.
pub(super) trait During<T> {
    /// `doing` goes into the error.
    fn during(self, doing: &'static str) -> Result<T, StoreError>;
}

impl<T> During<T> for Result<T, rusqlite::Error> {
    fn during(self, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|e| classify(doing, e))
    }
}

/// What has happened where a checksum does not fit, and what to do.
pub(super) const CHANGED: &str = "bytes of the file changed on the disk after they were written: keep the file, restore a backup \
                                  (outband-collector restore), look after the disk";

/// Whether it may pass (the disk, the lock), is damage, or is our own mistake.
pub(super) fn classify(doing: &'static str, error: rusqlite::Error) -> StoreError {
    if error.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_IOERR_DATA) {
        return StoreError::Damaged { what: doing.to_owned(), detail: CHANGED.to_owned() };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged { what: doing.to_owned(), detail: error.to_string() }
        }
        Some(
            ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OperationAborted,
        ) => StoreError::Unavailable { doing, source: error.into() },
        _ => StoreError::Refused { doing, source: error.into() },
    }
}

/// Whether a unique index or a primary key refused.
pub(super) fn is_duplicate(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID, SQLITE_CONSTRAINT_UNIQUE};
    let codes = [SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID, SQLITE_CONSTRAINT_UNIQUE];
    error.sqlite_error().is_some_and(|e| codes.contains(&e.extended_code))
}

/// A name that was stored by us; anything else is damage.
pub(super) fn parsed<T: FromStr>(what: &str, text: &str) -> Result<T, StoreError>
where
    T::Err: Display,
{
    text.parse().map_err(|e: T::Err| damaged(what, e))
}

/// A JSON body that was stored by us.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| damaged(what, e))
}

/// A body to be stored.
pub(super) fn to_json<T: serde::Serialize>(doing: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Refused { doing, source: e.into() })
}

/// Something stored is not what was written.
pub(super) fn damaged(what: &str, detail: impl Display) -> StoreError {
    StoreError::Damaged { what: what.to_owned(), detail: detail.to_string() }
}
