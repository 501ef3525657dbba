//! Files of buckets made anew without the kinds of sensors whose term is over, while others in them are kept longer.
//!
//! The new file is written beside the old one, a portion at a time with rests between, without holding up anybody; then it takes the old one's place in one
//! step, if nothing was written to that meanwhile. So a crash at any moment leaves the old file or the new one, and what is half written is begun anew. Only
//! files are made anew whose readings are gone: nothing is made from those any more.

use super::care::is_needed;
use super::{Entry, Files, known, mark, raw_from, unavailable};
use crate::StoreError;
use crate::sqlite::SqliteStore;
use crate::sqlite::error::During;
use crate::volume::{Class, Volume};
use outband_schemas::SensorKind;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::TryLockError;
use std::time::Instant;

const DOING: &str = "making a file of history anew";
/// Rows copied in one go: some milliseconds.
const PORTION: i64 = 4096;
/// So many times as long as a portion took it rests after it.
const REST: u32 = 4;
/// Which kinds a file was made anew without. Versions that know nothing of it read the file as any other.
const NOTE: &str = "CREATE TABLE thinned (kind INTEGER PRIMARY KEY) STRICT";

/// Rows of these series are left out; sorted.
type Series = Vec<i64>;

impl SqliteStore {
    /// Makes files of buckets anew without the kinds that `gone` names for them, as long as this is `wanted`. Answers how many it made.
    pub(in crate::sqlite) fn thin_files(
        &self,
        gone: impl Fn(&Volume) -> BTreeSet<SensorKind>,
        wanted: &dyn Fn() -> bool,
    ) -> Result<usize, StoreError> {
        let files = &self.inner.files;
        let _one = match files.thinning.try_lock() {
            Ok(one) => one,
            Err(TryLockError::Poisoned(broken)) => broken.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(0),
        };
        let (all, raw_from) = self.read(|db| Ok((known(db)?, raw_from(db)?)))?;
        let mut made = 0;
        for (volume, entry) in all {
            files.drop_new(&volume)?;
            let kinds = match volume.class {
                Class::Rolled(_) if volume.end <= raw_from && entry.damage.is_none() => gone(&volume),
                _ => continue,
            };
            if kinds.is_empty() || self.read(|db| is_needed(db, &volume))? {
                continue;
            }
            if !wanted() {
                break;
            }
            match self.thin(&volume, &entry, &kinds, wanted) {
                Ok(done) => made += usize::from(done),
                // It stays as it is; who reads it says so, too.
                Err(StoreError::Damaged { detail, .. }) => {
                    files.drop_new(&volume)?;
                    tracing::warn!(file = volume.file_name(), detail, "a damaged file of history cannot be made anew");
                }
                Err(other) => {
                    files.drop_new(&volume)?;
                    return Err(other);
                }
            }
        }
        Ok(made)
    }

    /// Whether it was made anew.
    fn thin(
        &self,
        volume: &Volume,
        entry: &Entry,
        kinds: &BTreeSet<SensorKind>,
        wanted: &dyn Fn() -> bool,
    ) -> Result<bool, StoreError> {
        let files = &self.inner.files;
        let Ok(old) = files.connect(volume)? else { return Ok(false) };
        if mark(&old)? != entry.mark || thinned(&old)?.is_superset(kinds) {
            return Ok(false);
        }
        let before = version(&old)?;
        let leave = self.read(|db| series(db, kinds))?;
        let begun = Instant::now();
        if !files.copy_without(volume, &old, entry, kinds, &leave, wanted)? {
            files.drop_new(volume)?;
            return Ok(false);
        }
        let _turn = files.turn();
        let same = self.read(|db| Ok(known(db)?.get(volume) == Some(entry)))?;
        // Alone: nobody reads it by its name and gets half of either.
        old.execute_batch("BEGIN EXCLUSIVE").during(DOING)?;
        if !same || version(&old)? != before {
            files.drop_new(volume)?;
            return Ok(false);
        }
        let bytes = files.bytes(volume);
        files.swap(volume)?;
        let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        tracing::info!(
            file = volume.file_name(),
            without = names.join(" "),
            bytes,
            now = files.bytes(volume),
            took = ?begun.elapsed(),
            "history of kinds whose term is over goes"
        );
        Ok(true)
    }
}

impl Files {
    /// Where a file is while it is made anew. Backups leave out what ends like this.
    fn new_path(&self, volume: &Volume) -> PathBuf {
        self.path(volume).with_extension("new")
    }

    /// Removes what is left of a file that was to be made anew.
    pub(super) fn drop_new(&self, volume: &Volume) -> Result<(), StoreError> {
        match fs::remove_file(self.new_path(volume)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(unavailable(DOING)(e)),
            _ => Ok(()),
        }
    }

    /// Writes the new file, durable when this answers. `false`: it is not `wanted` any more.
    fn copy_without(
        &self,
        volume: &Volume,
        old: &Connection,
        entry: &Entry,
        kinds: &BTreeSet<SensorKind>,
        leave: &Series,
        wanted: &dyn Fn() -> bool,
    ) -> Result<bool, StoreError> {
        let path = self.new_path(volume);
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).map_err(unavailable(DOING))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let new = Connection::open_with_flags(&path, flags).during(DOING)?;
        // Nobody reads it before it is whole.
        let set = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA secure_delete = OFF;";
        new.execute_batch(&format!("PRAGMA page_size = {}; {set}", super::page_size(volume.class))).during(DOING)?;
        new.execute_batch(&super::layout(entry.mark)).during(DOING)?;
        new.execute_batch(NOTE).during(DOING)?;
        for kind in kinds.iter().chain(&thinned(old)?) {
            new.execute("INSERT OR IGNORE INTO thinned (kind) VALUES (?1)", [kind.number()]).during(DOING)?;
        }
        let mut after = -1;
        loop {
            if !wanted() {
                return Ok(false);
            }
            let begun = Instant::now();
            new.execute_batch("BEGIN").during(DOING)?;
            let last = copy_some(old, &new, after, leave)?;
            new.execute_batch("COMMIT").during(DOING)?;
            match last {
                Some(last) => after = last,
                None => break,
            }
            std::thread::sleep(begun.elapsed() * REST);
        }
        new.close().map_err(|(_, e)| e).during(DOING)?;
        File::open(&path).and_then(|file| file.sync_all()).map_err(unavailable(DOING))?;
        Ok(true)
    }

    /// Puts the new file in the old one's place. The caller has the turn, and the old one for itself.
    fn swap(&self, volume: &Volume) -> Result<(), StoreError> {
        fs::rename(self.new_path(volume), self.path(volume)).map_err(unavailable(DOING))?;
        // Whoever has the old one open reads it to the end of his question, and opens the new one for the next.
        self.forget(volume);
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(unavailable(DOING))
    }
}

/// Copies rows behind a key; answers the key of the last that was looked at.
fn copy_some(old: &Connection, new: &Connection, after: i64, leave: &Series) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT key, body FROM chunk WHERE key > ?1 ORDER BY key LIMIT ?2";
    let mut query = old.prepare_cached(sql).during(DOING)?;
    let mut put = new.prepare_cached("INSERT INTO chunk (key, body) VALUES (?1, ?2)").during(DOING)?;
    let mut rows = query.query((after, PORTION)).during(DOING)?;
    let mut last = None;
    while let Some(r) = rows.next().during(DOING)? {
        let key: i64 = r.get(0).during(DOING)?;
        last = Some(key);
        if leave.binary_search(&Volume::series(key)).is_err() {
            // As it is, a damaged one too: it says itself that it is.
            let body = r.get_ref(1).and_then(|v| Ok(v.as_blob()?)).during(DOING)?;
            put.execute((key, body)).during(DOING)?;
        }
    }
    Ok(last)
}

/// The series of these kinds.
fn series(db: &Connection, kinds: &BTreeSet<SensorKind>) -> Result<Series, StoreError> {
    let mut query = db.prepare_cached("SELECT id FROM series WHERE kind = ?1").during(DOING)?;
    let mut out = Series::new();
    for kind in kinds {
        let ids = query.query_map([kind.number()], |r| r.get(0)).during(DOING)?;
        for id in ids {
            out.push(id.during(DOING)?);
        }
    }
    out.sort_unstable();
    Ok(out)
}

/// The kinds that a file was made anew without.
fn thinned(db: &Connection) -> Result<BTreeSet<SensorKind>, StoreError> {
    let there = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'thinned')";
    if !db.query_row(there, [], |r| r.get::<_, bool>(0)).during(DOING)? {
        return Ok(BTreeSet::new());
    }
    let mut query = db.prepare("SELECT kind FROM thinned").during(DOING)?;
    let numbers = query.query_map([], |r| r.get::<_, u16>(0)).during(DOING)?;
    let mut out = BTreeSet::new();
    for number in numbers {
        // One of a later version: its rows are gone, and nobody here asks for it.
        out.extend(SensorKind::from_number(number.during(DOING)?));
    }
    Ok(out)
}

/// Changes when anybody else commits to the file.
fn version(db: &Connection) -> Result<i64, StoreError> {
    db.query_row("PRAGMA data_version", [], |r| r.get(0)).during(DOING)
}
