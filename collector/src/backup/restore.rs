//! Restoring a backup.

use super::{Error, STORE, apart, failed, open};
use crate::record;
use age::{Decryptor, IdentityFile};
use outband_store::audit::Audit;
use outband_store::sqlite::Options;
use outband_store::{SqliteStore, Store, StoreError};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// What was restored, after it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// How many tickets; each is what its log says.
    pub tickets: usize,
    /// How many entries of the audit log.
    pub entries: i64,
    /// The hash of the last entry.
    pub head: String,
}

/// Restores the backup `from` into `dir`, a directory that is empty or not there. Where anything fails, it stays so.
pub fn restore(from: &Path, identity: &Path, dir: &Path) -> Result<Restored, Error> {
    restore_with(from, identity, dir, None)
}

/// Like [`restore`], with the directory in which closed files of history are kept apart.
pub fn restore_with(from: &Path, identity: &Path, dir: &Path, apart: Option<&Path>) -> Result<Restored, Error> {
    match fs::read_dir(dir).map(Iterator::count) {
        Ok(1..) => return Err(Error::NotEmpty(dir.to_owned())),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Err(Error::NotEmpty(dir.to_owned())),
        Err(e) => return Err(failed("cannot read", dir)(e)),
    }
    let unusable = |why: String| Error::Identity { path: identity.to_owned(), why };
    let identities = IdentityFile::from_buffer(open(identity)?).map_err(|e| unusable(e.to_string()))?;
    let identities = identities.into_identities().map_err(|e| unusable(e.to_string()))?;
    let undecrypted = |source| Error::Decrypt { path: from.to_owned(), source };
    let decryptor = Decryptor::new_buffered(open(from)?).map_err(undecrypted)?;
    let mut clear = decryptor.decrypt(identities.iter().map(|i| &**i as &dyn age::Identity)).map_err(undecrypted)?;

    let beside = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = failed("cannot write", dir);
    // Mode 0700, and gone where anything below fails.
    let staged = tempfile::Builder::new().prefix(".restore-").tempdir_in(beside).map_err(&write)?;
    unpack(&mut clear, from, staged.path())?;
    // Only at its end is it known that nothing was cut off.
    io::copy(&mut clear, &mut io::sink()).map_err(failed("cannot read", from))?;
    apart::fetch(staged.path(), from, apart, &identities)?;
    let restored = verify(from, staged.path())?;
    fs::rename(staged.path(), dir).map_err(&write)?;
    fs::File::open(beside).and_then(|d| d.sync_all()).map_err(&write)?;
    Ok(restored)
}

fn unpack(clear: &mut impl Read, from: &Path, to: &Path) -> Result<(), Error> {
    let read = failed("cannot read", from);
    let mut archive = tar::Archive::new(clear);
    for entry in archive.entries().map_err(&read)? {
        let mut entry = entry.map_err(&read)?;
        let name = entry.path().map_err(&read)?.into_owned();
        let is_below = name.components().all(|c| matches!(c, Component::Normal(_)));
        if !is_below || !entry.header().entry_type().is_file() {
            return Err(Error::Foreign { path: from.to_owned(), why: format!("it holds {}", name.display()) });
        }
        let path: PathBuf = to.join(&name);
        let write = failed("cannot write", &path);
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(&write)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(&write)?;
        io::copy(&mut entry, &mut file).map_err(failed("cannot unpack", from))?;
        file.sync_all().map_err(&write)?;
    }
    Ok(())
}

fn verify(from: &Path, dir: &Path) -> Result<Restored, Error> {
    if !dir.join(STORE).is_file() {
        return Err(Error::Foreign { path: from.to_owned(), why: "it holds no store".to_owned() });
    }
    let failed = |source: StoreError| Error::Store { path: from.to_owned(), source };
    let options = Options { check_up_to_bytes: u64::MAX, ..Options::new(dir) };
    let store = SqliteStore::open(&options).map_err(failed)?;
    if let Some(detail) = store.damage() {
        return Err(failed(StoreError::Damaged { what: "history".to_owned(), detail }));
    }
    let checked = record::check(&store, &[]).map_err(failed)?;
    let chain = store.verify_audit(None).map_err(failed)?;
    store.close().map_err(failed)?;
    if !checked.wrong.is_empty() || chain.broken.is_some() {
        let audit = chain.broken.map_or("whole".to_owned(), |(seq, why)| format!("{} at entry {seq}", why.as_str()));
        return Err(Error::Tampered { path: from.to_owned(), tickets: checked.wrong.len(), audit });
    }
    Ok(Restored { tickets: checked.tickets, entries: chain.entries, head: chain.head.to_string() })
}
