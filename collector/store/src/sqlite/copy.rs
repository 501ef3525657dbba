//! A consistent copy of a store that is in use.

use super::error::{During, damaged};
use super::open::{Options, open_reader};
use crate::StoreError;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// So many pages at a time: all. In parts, a copy would begin anew each time the collector writes; in one go, it is of one moment, and
/// writers do not wait for it.
const ALL: i32 = -1;

/// Copies the store of this directory to `to`, a file that is not there yet (made with mode 0600), as it is at one moment. Whether a
/// collector runs there does not matter.
pub fn copy(data_dir: &Path, to: &Path) -> Result<(), StoreError> {
    let doing = "copying the store";
    let unavailable = |e: std::io::Error| StoreError::Unavailable { doing, source: e.into() };
    let from = open_reader(&Options::new(data_dir).file())?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(unavailable)?;
    let mut copied = Connection::open(to).during(doing)?;
    copied.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF").during(doing)?;
    let backup = Backup::new(&from, &mut copied).during(doing)?;
    loop {
        match backup.step(ALL).during(doing)? {
            StepResult::Done => break,
            StepResult::Busy | StepResult::Locked => std::thread::park_timeout(Duration::from_millis(50)),
            _ => return Err(damaged("the copy", "it ended before its end")),
        }
    }
    drop(backup);
    copied.close().map_err(|(_, e)| e).during(doing)
}
