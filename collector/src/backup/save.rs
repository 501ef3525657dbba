//! Making a backup.

use super::apart::{self, Apart};
use super::{Error, STORE, failed};
use age::Encryptor;
use age::x25519::Recipient;
use outband_store::sqlite;
use outband_store::volume::Volume;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use tar::Builder;

/// Where the copy of the store lies until it is encrypted: as closed as the store itself, and never outside of its directory.
const WORK: &str = "backup.new";
/// What is of this process or this machine only; the store is copied as it is at one moment instead.
const LEFT_OUT: [&str; 7] = [STORE, "store.db-wal", "store.db-shm", "store.lock", "run.json", HISTORY, WORK];
/// The files of history: each is copied while nobody writes to it.
const HISTORY: &str = "history";

/// Writes all of the data directory `root`, encrypted to these people, to `to`. A collector may run on it.
pub fn save(root: &Path, to: &Path, recipients: &[Recipient]) -> Result<(), Error> {
    save_with(root, to, recipients, None)
}

/// Like [`save`], with closed files of history kept apart.
pub fn save_with(root: &Path, to: &Path, recipients: &[Recipient], apart: Option<Apart<'_>>) -> Result<(), Error> {
    let people = recipients.iter().map(|r| r as &dyn age::Recipient);
    let encryptor = match recipients {
        [] => return Err(Error::Nobody),
        _ => Encryptor::with_recipients(people)?,
    };
    let _lock = take(root)?;
    let work = Work::make(root.join(WORK))?;

    let beside = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = failed("cannot write", to);
    // Mode 0600, and gone where anything below fails.
    let out = tempfile::NamedTempFile::new_in(beside).map_err(&write)?;
    let encrypted = encryptor.wrap_output(BufWriter::new(out)).map_err(&write)?;
    let mut archive = Builder::new(encrypted);
    archive.mode(tar::HeaderMode::Deterministic);
    // The files before the store: a deed that is taken into the audit log meanwhile is then in both, and counts once; never in neither.
    for name in files(root)? {
        add(&mut archive, &root.join(&name), &name).map_err(failed("cannot back up", &root.join(&name)))?;
    }
    let copy = work.0.join(STORE);
    sqlite::copy(root, &copy).map_err(|source| Error::Store { path: root.to_owned(), source })?;
    add(&mut archive, &copy, Path::new(STORE)).map_err(failed("cannot back up", &copy))?;
    // History after the store: what was sealed in between is in both, and sealed again; the other way round it were in neither.
    let of_store = |source| Error::Store { path: root.to_owned(), source };
    for name in sqlite::history_files(root).map_err(of_store)? {
        let path = root.join(&name);
        let closed = apart.filter(|apart| ended(&name).is_some_and(|end| end < apart.before));
        match sqlite::still(&path, || add_history(&mut archive, &path, &name, closed, recipients)) {
            Ok(added) => added?,
            // It went meanwhile, because it was old.
            Err(_) if !path.exists() => {}
            Err(source) => return Err(of_store(source)),
        }
    }
    let encrypted = archive.into_inner().map_err(&write)?;
    let mut out = encrypted.finish().map_err(&write)?;
    out.flush().map_err(&write)?;
    let out = out.into_inner().map_err(|e| write(e.into_error()))?;
    out.as_file().sync_all().map_err(&write)?;
    out.persist(to).map_err(|e| write(e.error))?;
    File::open(beside).and_then(|d| d.sync_all()).map_err(&write)
}

/// Every file below `root` that goes in, by its path there.
fn files(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let (mut found, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(dir) = open.pop() {
        let full = root.join(&dir);
        let read = failed("cannot read", &full);
        for entry in fs::read_dir(&full).map_err(&read)? {
            let entry = entry.map_err(&read)?;
            let name = dir.join(entry.file_name());
            if LEFT_OUT.iter().any(|left| name == Path::new(left)) || name.extension().is_some_and(|e| e == "new") {
                continue;
            }
            let kind = entry.file_type().map_err(&read)?;
            if kind.is_dir() {
                open.push(name);
            } else if kind.is_file() {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn add(archive: &mut Builder<impl Write>, from: &Path, name: &Path) -> io::Result<()> {
    match File::open(from) {
        Ok(mut file) => archive.append_file(name, &mut file),
        // Taken or replaced by the collector meanwhile.
        Err(e) if e.kind() == io::ErrorKind::NotFound && name != Path::new(STORE) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Adds a file of history, or what names it where it is kept apart.
fn add_history(
    archive: &mut Builder<impl Write>,
    path: &Path,
    name: &Path,
    apart: Option<Apart<'_>>,
    recipients: &[Recipient],
) -> Result<(), Error> {
    let fail = failed("cannot back up", path);
    let Some(Apart { dir, .. }) = apart else { return add(archive, path, name).map_err(fail) };
    let file = name.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let sum = apart::keep(path, file, dir, recipients)?;
    let mut header = tar::Header::new_gnu();
    header.set_size(sum.len() as u64);
    header.set_mode(0o600);
    let name = name.with_file_name(format!("{file}.{}", apart::APART));
    archive.append_data(&mut header, name, sum.as_bytes()).map_err(fail)
}

/// When the span of a file of history ended, in milliseconds since 1970.
fn ended(name: &Path) -> Option<i64> {
    Volume::named(name.file_name()?.to_str()?).map(|volume| volume.end)
}

/// Two at once would write the same copy.
fn take(root: &Path) -> Result<File, Error> {
    let fail = failed("cannot lock", root);
    let lock = File::open(root).map_err(&fail)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::Running(root.to_owned())),
        Err(TryLockError::Error(e)) => Err(fail(e)),
    }
}

/// A directory for the copy, removed at the end; one that a crash left, at the beginning.
struct Work(PathBuf);

impl Work {
    fn make(path: PathBuf) -> Result<Self, Error> {
        let fail = failed("cannot make", &path);
        match fs::remove_dir_all(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(fail(e)),
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(&path).map_err(&fail)?;
        Ok(Self(path))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the backup's copy of the store is not removed; the next backup does it");
        }
    }
}
