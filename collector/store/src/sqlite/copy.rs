//! A consistent copy of a store that is in use.

use super::error::During;
use super::files::{Files, Hold};
use super::open::{Options, anew, connect};
use crate::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Copies the store of this directory to `to`, a file that is not there yet (made with mode 0600), as it is at one moment. Whether a
/// collector runs there does not matter: writers do not wait for it. Each page that is read is compared with its checksum, and each page
/// of the copy has one, also where the store's have none yet.
pub fn copy(data_dir: &Path, to: &Path) -> Result<(), StoreError> {
    let from = connect(&Options::new(data_dir).file(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let doing = "copying the store";
    from.busy_timeout(Duration::from_secs(5)).during(doing)?;
    anew::write(&from, to, doing)
}

/// The files of history of this directory, by their paths below it.
pub fn history(data_dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let dir = Files::new(data_dir);
    Ok(dir.there()?.iter().map(|volume| Path::new("history").join(volume.file_name())).collect())
}

/// Does something while this file of history is whole and nobody can commit to it; one that a crash left half written is mended
/// first. Who seals meanwhile waits, or tries again.
pub fn still<T>(file: &Path, act: impl FnOnce() -> T) -> Result<T, StoreError> {
    let doing = "holding a file of history still";
    // Where nothing can be written, nobody does.
    let _hold = Hold::of(file).inspect_err(|error| tracing::debug!(%error, "a copy that nobody waits for")).ok();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags).during(doing)?;
    db.busy_timeout(Duration::from_secs(30)).during(doing)?;
    db.execute_batch("BEGIN").during(doing)?;
    db.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(())).during(doing)?;
    let done = act();
    db.execute_batch("COMMIT").during(doing)?;
    Ok(done)
}
