//! A store written anew, page by page of what is in use, each with its checksum: a backup's copy, and the file of a version that had none.

use super::super::error::{During, damaged};
use super::connect;
use crate::StoreError;
use outband_pages::{NEW_PAGES, RESERVED};
use rusqlite::{Connection, FileControl, OpenFlags};
use std::fmt::Write;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where the header of a file says how many bytes of each page are not SQLite's.
const RESERVED_AT: u64 = 20;

/// Has the pages of a file that is empty yet, or of what is written anew of it, leave room for checksums.
pub(super) fn reserve(db: &Connection) -> Result<(), StoreError> {
    db.file_control(None::<&str>, FileControl::ReserveBytes(&mut i32::from(RESERVED)))
        .during("making room for checksums")
}

/// Writes what the connection sees at this moment to `to`, a file that is not there yet (made with mode 0600). Not forced to the disk.
pub(in crate::sqlite) fn write(db: &Connection, to: &Path, doing: &'static str) -> Result<(), StoreError> {
    let unavailable = |e: std::io::Error| StoreError::Unavailable { doing, source: e.into() };
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(unavailable)?;
    reserve(db)?;
    db.execute("VACUUM INTO ?1", [uri(to)]).during(doing)?;
    Ok(())
}

/// The file, to be made by the layer of new files.
fn uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(*byte)),
            // Writing to a string does not fail.
            other => write!(uri, "%{other:02x}").unwrap_or_default(),
        }
    }
    uri + "?vfs=" + NEW_PAGES
}

/// Writes the file of a version that knew no checksums anew, where it is one. Whoever calls has the directory for himself. The old file is in place until the
/// new one is whole and on the disk; where that cannot be made, the old one is used as it is, and the next start tries again.
pub(super) fn convert(path: &Path) {
    match has_room(path) {
        Ok(true) => return,
        Ok(false) => {}
        Err(error) => return tracing::debug!(%error, "the store's header cannot be read"),
    }
    let bytes = fs::metadata(path).map_or(0, |m| m.len());
    tracing::info!(
        bytes,
        "the store has no checksums of its pages yet: it is written anew, once, which takes as many bytes of the disk \
         again; no agent is served meanwhile"
    );
    let new = with(path, ".new");
    match convert_to(path, &new) {
        Ok(()) => tracing::info!("the store has checksums of its pages"),
        Err(error) => {
            tracing::warn!(
                %error,
                "the store goes on without checksums of its pages: bytes that change on the disk may go unseen; make room \
                 and start the collector again, or restore a backup"
            );
            remove(&new).unwrap_or_default();
        }
    }
}

/// Whether the pages of the file have room for a checksum, or there are none yet.
fn has_room(path: &Path) -> std::io::Result<bool> {
    let mut byte = [0];
    let file = File::open(path)?;
    if file.metadata()?.len() <= RESERVED_AT {
        return Ok(true);
    }
    file.read_exact_at(&mut byte, RESERVED_AT)?;
    Ok(byte[0] != 0)
}

fn convert_to(path: &Path, new: &Path) -> Result<(), StoreError> {
    let doing = "writing the store anew with checksums";
    let unavailable = |e: std::io::Error| StoreError::Unavailable { doing, source: e.into() };
    remove(new).map_err(unavailable)?;
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).during(doing)?;
    write(&db, new, doing)?;
    db.close().map_err(|(_, e)| e).during(doing)?;
    // The log of the old file would be taken for the new one's.
    let log = with(path, "-wal");
    if fs::metadata(&log).is_ok_and(|m| m.len() > 0) {
        return Err(damaged("the write-ahead log", "it is still there after it was folded into the file"));
    }
    File::open(new).and_then(|f| f.sync_all()).map_err(unavailable)?;
    fs::rename(new, path).map_err(unavailable)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|d| d.sync_all()).map_err(unavailable)
}

/// Removes what a start that was cut off left.
fn remove(new: &Path) -> std::io::Result<()> {
    for file in [new.to_owned(), with(new, "-journal")] {
        match fs::remove_file(file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
