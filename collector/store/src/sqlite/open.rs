//! The file: where it is, who may read it, how it is opened.

pub(super) mod anew;

use super::error::{During, damaged};
use super::migrate::migrate;
use super::outcome;
use crate::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How the store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The directory that holds `store.db`. Made, readable by its owner only, where it is not there.
    pub data_dir: PathBuf,
    /// How many queries run at once.
    pub readers: usize,
    /// How large the file may become, in bytes. At that size writes answer [`StoreError::Unavailable`].
    pub max_bytes: Option<u64>,
    /// A file up to this size, in bytes, is checked whole before it is opened (about a tenth of a second for 32 MiB, on a machine that
    /// has nothing else to do). A larger one is checked while it is used, so that a restart keeps no deadline waiting.
    pub check_up_to_bytes: u64,
    /// With more bytes of points than this in memory, sealing does not wait for windows to finish.
    pub max_head_bytes: usize,
}

impl Options {
    /// The defaults, in this directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            readers: 8,
            max_bytes: None,
            check_up_to_bytes: 32 << 20,
            max_head_bytes: 192 << 20,
        }
    }

    /// Where the file is.
    pub(super) fn file(&self) -> PathBuf {
        self.data_dir.join("store.db")
    }
}

fn unavailable(doing: &'static str) -> impl Fn(std::io::Error) -> StoreError {
    move |e| StoreError::Unavailable { doing, source: e.into() }
}

/// Makes the directory and takes it for this process. The lock goes when the answer is dropped, or the process ends.
pub(super) fn take_directory(dir: &Path) -> Result<File, StoreError> {
    let doing = "making the data directory";
    if !dir.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unavailable(doing))?;
    }
    let doing = "locking the data directory";
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(dir.join("store.lock"))
        .map_err(unavailable(doing))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::Unavailable { doing, source: "another collector runs on this data directory".into() })
        }
        Err(TryLockError::Error(e)) => Err(unavailable(doing)(e)),
    }
}

/// What is known to be wrong with the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Damage(Arc<(OnceLock<PathBuf>, OnceLock<String>)>);

impl Damage {
    /// Remembers the first that was found.
    fn is(&self, what: String) {
        self.0.1.get_or_init(|| what);
    }

    /// What was found first: by the check of a large file, in its log, or by whoever read a page.
    pub(super) fn get(&self) -> Option<&String> {
        if self.0.1.get().is_none()
            && let Some(fault) = self.0.0.get().and_then(|file| outband_pages::fault(file))
        {
            self.is(changed(fault).to_string());
        }
        self.0.1.get()
    }
}

/// Opens the file for writing, with checksums of its pages, checked and at the newest schema; a large one is checked while it is used, and what is found goes
/// into `damage`.
pub(super) fn open_writer(options: &Options, damage: &Damage) -> Result<Connection, StoreError> {
    let doing = "opening the store";
    let path = options.file();
    // SQLite gives its side files the permissions of the main one.
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(unavailable(doing))?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(unavailable(doing))?;
    let size = file.metadata().map_err(unavailable(doing))?.len();
    drop(file);

    outband_pages::install().map_err(|e| StoreError::Refused { doing, source: e.into() })?;
    outband_pages::forget(&path);
    damage.0.0.get_or_init(|| path.clone());
    look_at_log(&path, damage);
    anew::convert(&path);
    let mut db = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    if size == 0 {
        anew::reserve(&db)?;
    }
    common(&db)?;
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |r| r.get(0)).during(doing)?;
    if mode != "wal" {
        return Err(damaged("journal mode", format!("asked for wal, got {mode}")));
    }
    db.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; PRAGMA journal_size_limit = 67108864;
         PRAGMA cell_size_check = ON;",
    )
    .during(doing)?;
    if size <= options.check_up_to_bytes {
        check(&db)?;
    } else {
        check_later(path, damage.clone());
    }
    migrate(&mut db)?;
    outcome::catch_up(&mut db)?;
    if let Some(max) = options.max_bytes {
        let page: u64 = db.query_row("PRAGMA page_size", [], |r| r.get::<_, i64>(0)).during(doing)?.unsigned_abs();
        let pages = i64::try_from(max / page.max(1)).unwrap_or(i64::MAX);
        db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).during(doing)?;
    }
    Ok(db)
}

/// Opens the file for queries.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    common(&db)?;
    db.execute_batch("PRAGMA query_only = ON").during("opening the store for reading")?;
    Ok(db)
}

/// A connection that compares what it reads with its checksums.
pub(super) fn connect(path: &Path, how: OpenFlags) -> Result<Connection, StoreError> {
    let doing = "opening the store";
    outband_pages::install().map_err(|e| StoreError::Refused { doing, source: e.into() })?;
    Connection::open_with_flags_and_vfs(path, how | OpenFlags::SQLITE_OPEN_NO_MUTEX, outband_pages::PAGES).during(doing)
}

/// SQLite takes a log up to the first frame that is not whole, as after a crash. Where commits lie beyond, it says nothing.
fn look_at_log(path: &Path, damage: &Damage) {
    match outband_pages::cut(&anew::with(path, "-wal")) {
        Ok(None) => {}
        Ok(Some(cut)) => {
            let what = format!(
                "store.db-wal: frame {} is not what was written there, and {} or more commits after it are lost: agents \
                 send again what they had sent, what people did in the last moments before the stop is to be looked at",
                cut.frame, cut.commits
            );
            tracing::error!(what, "the store's log was damaged");
            damage.is(what);
        }
        Err(error) => tracing::warn!(%error, "the store's log cannot be looked at"),
    }
}

fn common(db: &Connection) -> Result<(), StoreError> {
    let doing = "setting up a connection";
    db.busy_timeout(Duration::from_secs(5)).during(doing)?;
    db.set_prepared_statement_cache_capacity(64);
    db.execute_batch("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;").during(doing)
}

/// Checks the file on a thread of its own, and says so loudly where it is damaged.
fn check_later(path: PathBuf, damage: Damage) {
    let looking = move || match open_reader(&path).and_then(|db| check(&db)) {
        Ok(()) => tracing::debug!("the store was checked whole"),
        Err(error) => {
            tracing::error!(%error, "the store is damaged: stop the collector, keep the file, restore a backup");
            damage.is(error.to_string());
        }
    };
    if let Err(error) = std::thread::Builder::new().name("store-check".to_owned()).spawn(looking) {
        tracing::warn!(%error, "the store is not checked whole");
    }
}

fn check(db: &Connection) -> Result<(), StoreError> {
    let found: String = db.query_row("PRAGMA quick_check(1)", [], |r| r.get(0)).during("checking the store")?;
    if found == "ok" {
        return Ok(());
    }
    // A page that cannot be read says more than that something could not be.
    let fault = db.path().and_then(|path| outband_pages::fault(Path::new(path)));
    Err(fault.map_or_else(|| damaged("the file", found), changed))
}

/// The same words whoever met it first: the check, or somebody who read the page.
fn changed(fault: outband_pages::Fault) -> StoreError {
    damaged("store.db", format!("{fault}: {}", super::error::CHANGED))
}
