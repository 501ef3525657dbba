//! A file of history that is copied, and whoever wants to write to it.
//!
//! SQLite has who writes wait for those that read, and those that come to read wait for him. A copy of a week takes minutes: nobody may wait to read for that
//! long. So a copy says that it is under way, by a lock on a file beside the other, and who writes waits for that before he begins.

use super::{Files, unavailable};
use crate::StoreError;
use crate::volume::Volume;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So long who writes waits for a copy; then he tries again later.
const WAITS: Duration = Duration::from_secs(10);
const LOOKS: Duration = Duration::from_millis(50);

/// A copy under way, until it is dropped.
#[derive(Debug)]
pub(in crate::sqlite) struct Hold {
    path: PathBuf,
    _lock: File,
}

/// The file beside a file of history.
fn beside(file: &Path) -> PathBuf {
    file.with_extension("copy")
}

impl Hold {
    /// Says that this file is copied.
    pub(in crate::sqlite) fn of(file: &Path) -> io::Result<Self> {
        let path = beside(file);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
        lock.lock_shared()?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "who writes next removes it");
        }
    }
}

impl Files {
    /// Waits until nobody copies a file, though not for long.
    pub(super) fn wait_for_copy(&self, volume: &Volume) -> Result<(), StoreError> {
        let path = beside(&self.path(volume));
        // Not there: nobody copies. Not ours: SQLite's own locks keep the copy whole all the same.
        let Ok(file) = File::open(&path) else { return Ok(()) };
        let until = Instant::now() + WAITS;
        loop {
            match file.try_lock() {
                Ok(()) => return gone(fs::remove_file(&path)).map_err(unavailable("looking after a file of history")),
                Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOOKS),
                Err(TryLockError::WouldBlock) => {
                    let source = "a backup copies it".into();
                    return Err(StoreError::Unavailable { doing: "writing a file of history", source });
                }
                Err(TryLockError::Error(_)) => return Ok(()),
            }
        }
    }
}

/// What a copy that ended removed itself is gone as well.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
