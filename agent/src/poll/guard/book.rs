//! The record of refused logins: a small file that several processes may write.

use super::{MOST, WINDOW};
use outband_schemas::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// When each login was refused, oldest first; times in milliseconds of Unix time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Book {
    refused: BTreeMap<String, Vec<Timestamp>>,
}

/// The record cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{path} is damaged ({why}); remove it if no login was refused within the last hour")]
    Damaged { path: PathBuf, why: String, until: Timestamp },
    #[error("{path} cannot be written: {source}")]
    Unwritable { path: PathBuf, source: io::Error },
}

impl Fault {
    /// Until when there may be refusals that count.
    pub(super) fn until(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::Damaged { until, .. } => *until,
            Self::Unwritable { .. } => now.plus(WINDOW),
        }
    }
}

impl Book {
    /// The refusals of a key that still count.
    pub(super) fn refused(&self, key: &str) -> &[Timestamp] {
        self.refused.get(key).map_or(&[], Vec::as_slice)
    }

    pub(super) fn note(&mut self, key: &str, at: Timestamp) {
        let list = self.refused.entry(key.to_owned()).or_default();
        list.push(at);
        list.sort_unstable();
    }

    /// Undoes a [`Book::note`].
    pub(super) fn take_back(&mut self, key: &str, at: Timestamp) {
        let Some(list) = self.refused.get_mut(key) else { return };
        // A clock that was set back meanwhile moved it to an earlier time.
        let place = list.iter().position(|t| *t == at).or(list.len().checked_sub(1));
        if let Some(place) = place {
            list.remove(place);
        }
    }

    /// Drops what no longer counts. What lies in the future happened now: the clock was set back.
    fn settle(&mut self, now: Timestamp) {
        for list in self.refused.values_mut() {
            list.iter_mut().for_each(|at| *at = (*at).min(now));
            list.retain(|at| now.since(*at) < WINDOW);
        }
        self.refused.retain(|_, list| !list.is_empty());
    }
}

/// From when a further try is allowed, given as many refusals as are allowed, or more.
pub(super) fn free_at(refused: &[Timestamp]) -> Timestamp {
    refused.iter().rev().nth(MOST - 1).copied().unwrap_or(Timestamp::EPOCH).plus(WINDOW)
}

/// The record as it is now; empty where there is none. A damaged one that was last written so long ago that nothing in it counts is empty too.
pub(super) fn read(path: &Path, now: Timestamp) -> Result<Book, Fault> {
    let why = match fs::read(path) {
        Ok(bytes) => match serde_json::from_slice::<Book>(&bytes) {
            Ok(mut book) => {
                book.settle(now);
                return Ok(book);
            }
            Err(error) => error.to_string(),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Book::default()),
        Err(error) => error.to_string(),
    };
    let until = written_at(path).unwrap_or(now).min(now).plus(WINDOW);
    if until <= now {
        tracing::warn!(path = %path.display(), why, "the record of refused logins is damaged; it is too old to matter");
        return Ok(Book::default());
    }
    Err(Fault::Damaged { path: path.to_owned(), why, until })
}

fn written_at(path: &Path) -> Option<Timestamp> {
    let modified = fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
    let millis = modified.duration_since(UNIX_EPOCH).ok()?.as_millis();
    i64::try_from(millis).ok().map(Timestamp::from_millis)
}

/// Whether the record's directory is there and may be written.
pub(super) fn may_write(path: &Path) -> bool {
    path.parent().is_some_and(Path::is_dir) && lock(path).is_ok()
}

/// Opens the file that is locked during a change.
fn lock(path: &Path) -> io::Result<File> {
    open(path, &path.with_extension("lock"))
}

/// Opens a file beside the record for its owner, who is whoever owns the directory: root may try a login too, and the agent goes on.
fn open(record: &Path, path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let dir = fs::metadata(record.parent().unwrap_or(Path::new(".")))?;
    if file.metadata()?.uid() != dir.uid() {
        fchown(&file, Some(dir.uid()), Some(dir.gid()))?;
    }
    Ok(file)
}

/// Changes the record while nobody else does, and has it on disk when this returns.
pub(super) fn change<T>(path: &Path, now: Timestamp, f: impl FnOnce(&mut Book) -> T) -> Result<T, Fault> {
    let unwritable = |source| Fault::Unwritable { path: path.to_owned(), source };
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unwritable)?;
    let lock = lock(path).map_err(unwritable)?;
    lock.lock().map_err(unwritable)?;
    let mut book = read(path, now)?;
    let result = f(&mut book);
    let write = || {
        let fresh = path.with_extension("json.new");
        let mut file = open(path, &fresh)?;
        file.write_all(&serde_json::to_vec(&book)?)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(unwritable)?;
    Ok(result)
}
