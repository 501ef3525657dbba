//! What was found wrong in this process. SQLite swallows some failures (of a checkpoint after a commit), and a query's failure is seen by who asked only.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Files of which faults are remembered at once; those of tests come and go.
const MOST: usize = 64;

static FAULTS: Mutex<Vec<(PathBuf, Fault)>> = Mutex::new(Vec::new());

/// Something on the disk that is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// In which of the two files.
    pub place: Where,
    /// Of the page or the frame, from 1.
    pub number: u64,
}

/// Which file a fault is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// A page of the file itself.
    Page,
    /// A frame of its write-ahead log.
    Log,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Where::Page => "page",
            Where::Log => "frame of the write-ahead log",
        };
        write!(f, "{place} {} is not what was written there", self.number)
    }
}

/// The first fault of this file or of its log that was met since the file was opened.
pub fn fault(file: &Path) -> Option<Fault> {
    let file = known(file);
    FAULTS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .find(|(path, _)| *path == file)
        .map(|(_, fault)| *fault)
}

/// Forgets what was met of this file: it is opened anew.
pub fn forget(file: &Path) {
    let file = known(file);
    FAULTS.lock().unwrap_or_else(PoisonError::into_inner).retain(|(path, _)| *path != file);
}

/// Remembers a fault of the file that SQLite calls so.
pub(crate) fn note(file: &Path, fault: Fault) {
    let file = known(file);
    let mut faults = FAULTS.lock().unwrap_or_else(PoisonError::into_inner);
    if faults.iter().any(|(path, _)| *path == file) {
        return;
    }
    tracing::error!(file = %file.display(), %fault, "bytes changed on the disk: keep the file, restore a backup, look after the disk");
    if faults.len() == MOST {
        faults.remove(0);
    }
    faults.push((file, fault));
}

/// SQLite follows links, and so does this.
fn known(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_owned())
}
