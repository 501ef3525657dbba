//! The files of history: small databases beside the main one, in `history/`.
//!
//! What is sealed is committed here first; only then does the main file forget it and name the file in its table `volume`. So a
//! crash in between leaves readings in both, and sealing them again changes nothing.
//!
//! They have a rollback journal, not a write-ahead log: a file that nobody writes to is one file, whole, and can be read where
//! nothing can be written.

mod care;
mod hold;
mod look;
mod thin;

pub(super) use care::{forget_due, holdings};
pub(super) use hold::Hold;
pub(super) use look::{Found, Look};

use super::error::{During, damaged};
use crate::StoreError;
use crate::volume::{Class, Volume};
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The layout of these files.
const LAYOUT: i64 = 1;
const SCHEMA: &str = "CREATE TABLE chunk (
    key  INTEGER PRIMARY KEY, -- the place of the row's span in the file's, above 40 bits of the series
    body BLOB NOT NULL
) STRICT;";
/// Connections that wait for the next query.
const IDLE: usize = 64;
/// So many of them, the newest, keep their pages: up to 2 MB each, which is what SQLite keeps by default.
const WARM: usize = 16;

/// What the main file knows of a file of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Stands in the file, too.
    pub(super) mark: i64,
    /// What was lost of it.
    pub(super) damage: Option<String>,
}

/// The files of the main file's table.
pub(super) type Known = BTreeMap<Volume, Entry>;

/// The directory of these files.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    idle: Mutex<Vec<(Volume, Connection)>>,
    damage: Mutex<BTreeMap<String, String>>,
    turn: Mutex<()>,
    /// Whoever makes files anew.
    thinning: Mutex<()>,
    /// How often a file was taken from under its name: what was open before is not for the next query.
    generation: AtomicU64,
}

/// Why a file cannot be used, when it is the file's fault and not the moment's.
type Lost = String;

fn unavailable(doing: &'static str) -> impl Fn(std::io::Error) -> StoreError {
    move |e| StoreError::Unavailable { doing, source: e.into() }
}

impl Files {
    /// Those of this data directory. Opens nothing yet.
    pub(super) fn new(data_dir: &Path) -> Self {
        Self {
            dir: data_dir.join("history"),
            idle: Mutex::default(),
            damage: Mutex::default(),
            turn: Mutex::default(),
            thinning: Mutex::default(),
            generation: AtomicU64::new(0),
        }
    }

    /// Whose turn it is to change them. Held from the first commit to a file to that of the main one.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a file is.
    fn path(&self, volume: &Volume) -> PathBuf {
        self.dir.join(volume.file_name())
    }

    /// What is wrong with them, as far as that was seen.
    pub(super) fn damage(&self) -> Option<String> {
        let damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<String> = damage.iter().map(|(name, why)| format!("history/{name}: {why}")).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Notes what is wrong with a file, or that nothing is.
    pub(super) fn note(&self, volume: &Volume, lost: Option<&str>) {
        let name = volume.file_name();
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        match lost {
            Some(why) if damage.get(&name).is_none_or(|known| known != why) => {
                tracing::error!(file = %self.path(volume).display(), why, "a file of history is lost or damaged: restore it from a backup");
                damage.insert(name, why.to_owned());
            }
            Some(_) => {}
            None => drop(damage.remove(&name)),
        }
    }

    /// Looks into every file of the table, whole: each that is damaged or missing is noted.
    pub(super) fn check(&self, known: &Known) -> Result<(), StoreError> {
        for (volume, entry) in known {
            let lost = match self.open(volume, entry)? {
                Err(lost) => Some(lost),
                Ok(db) => {
                    let found = db.query_row("PRAGMA quick_check(1)", [], |r| r.get::<_, String>(0));
                    match found.during("checking a file of history") {
                        Ok(found) if found == "ok" => entry.damage.clone(),
                        Ok(found) => Some(found),
                        Err(StoreError::Damaged { detail, .. }) => Some(detail),
                        Err(other) => return Err(other),
                    }
                }
            };
            self.note(volume, lost.as_deref());
        }
        Ok(())
    }

    /// Another file that somebody put where one was lost counts as that file, come back. Answers those of which this is so.
    pub(super) fn come_back(&self, known: &Known) -> Result<Vec<(Volume, Entry)>, StoreError> {
        let mut back = Vec::new();
        for (volume, entry) in known.iter().filter(|(_, e)| e.damage.is_some()) {
            if let Ok(db) = self.connect(volume)?
                && let Ok(found) = mark(&db)
                && found != entry.mark
            {
                tracing::info!(file = %self.path(volume).display(), "a lost file of history is back");
                back.push((*volume, Entry { mark: found, damage: None }));
            }
        }
        Ok(back)
    }

    /// A connection for queries.
    fn open(&self, volume: &Volume, entry: &Entry) -> Result<Result<Connection, Lost>, StoreError> {
        let waiting = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.iter().position(|(v, _)| v == volume).map(|at| idle.remove(at).1)
        };
        if let Some(db) = waiting {
            return Ok(Ok(db));
        }
        let opened = self.connect(volume).map(|db| db.map(|db| (mark(&db), db)));
        let (found, db) = match opened? {
            Err(lost) => return Ok(Err(lost)),
            Ok(opened) => opened,
        };
        match found {
            Ok(mark) if mark == entry.mark => {}
            Ok(_) => return Ok(Err("it is another file than the one that was written here".to_owned())),
            Err(StoreError::Damaged { detail, .. }) => return Ok(Err(detail)),
            Err(other) => return Err(other),
        }
        db.execute_batch("PRAGMA query_only = ON").during("opening a file of history")?;
        Ok(Ok(db))
    }

    /// Not read-only: what a crash left half written is rolled back by whoever opens the file first.
    fn connect(&self, volume: &Volume) -> Result<Result<Connection, Lost>, StoreError> {
        let doing = "opening a file of history";
        let path = self.path(volume);
        match fs::metadata(&path) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Err("it is missing".to_owned())),
            Err(e) => return Err(unavailable(doing)(e)),
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags).during(doing)?;
        db.busy_timeout(Duration::from_secs(10)).during(doing)?;
        let set = db.execute_batch(
            "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL;
             PRAGMA cell_size_check = ON; PRAGMA secure_delete = ON;",
        );
        match set.during(doing) {
            Ok(()) => Ok(Ok(db)),
            Err(StoreError::Damaged { detail, .. }) => Ok(Err(detail)),
            Err(other) => Err(other),
        }
    }

    fn give_back(&self, volume: Volume, db: Connection, generation: u64) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE && generation == self.generation.load(Ordering::Acquire) {
            idle.push((volume, db));
            if let Some((_, db)) = idle.len().checked_sub(WARM + 1).and_then(|at| idle.get(at))
                && let Err(error) = db.release_memory()
            {
                tracing::debug!(%error, "a file of history keeps its pages in memory");
            }
        }
    }

    /// Has `act` change a file, made where there is none, in one transaction that is durable when this answers. A file that
    /// was lost is set aside, and another takes its place, so that it holds up nothing: the answer says so. The caller has
    /// the turn.
    pub(super) fn write<T>(
        &self,
        volume: &Volume,
        known: Option<&Entry>,
        mut act: impl FnMut(&Connection) -> Result<T, StoreError>,
    ) -> Result<(T, Entry), StoreError> {
        let mut entry = match (known, self.path(volume).exists()) {
            // Of a file that the main one does not name, nothing was forgotten yet.
            (None, false) => self.make(volume)?,
            (None, true) => match self.connect(volume)?.map(|db| mark(&db)) {
                Ok(Ok(mark)) => Entry { mark, damage: None },
                Err(_) | Ok(Err(StoreError::Damaged { .. })) => {
                    self.set_aside(volume)?;
                    self.make(volume)?
                }
                Ok(Err(other)) => return Err(other),
            },
            (Some(entry), _) => entry.clone(),
        };
        let why = match self.try_write(volume, &entry, &mut act) {
            Err(StoreError::Damaged { what, detail }) => format!("{what}: {detail}"),
            other => return other.map(|done| (done, entry)),
        };
        self.note(volume, Some(&why));
        self.set_aside(volume)?;
        let new = self.make(volume)?;
        entry = Entry { damage: Some(entry.damage.unwrap_or(why)), ..new };
        self.try_write(volume, &entry, &mut act).map(|done| (done, entry))
    }

    fn try_write<T>(
        &self,
        volume: &Volume,
        entry: &Entry,
        act: &mut impl FnMut(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let doing = "writing a file of history";
        self.wait_for_copy(volume)?;
        let db = match self.connect(volume)? {
            Ok(db) => db,
            Err(lost) => return Err(damaged("a file of history", lost)),
        };
        if mark(&db)? != entry.mark {
            return Err(damaged("a file of history", "it is another file than the one that was written here"));
        }
        db.execute_batch("BEGIN IMMEDIATE").during(doing)?;
        let done = act(&db)?;
        db.execute_batch("COMMIT").during(doing)?;
        Ok(done)
    }

    /// Makes an empty file. One that a crash left without its mark is made again.
    fn make(&self, volume: &Volume) -> Result<Entry, StoreError> {
        let doing = "making a file of history";
        if !self.dir.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(unavailable(doing))?;
        }
        let path = self.path(volume);
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(unavailable(doing))?;
        let db = match self.connect(volume)? {
            Ok(db) => db,
            Err(lost) => return Err(damaged("a file of history", lost)),
        };
        let page = page_size(volume.class);
        db.execute_batch(&format!("PRAGMA page_size = {page}; PRAGMA journal_mode = DELETE; BEGIN IMMEDIATE;"))
            .during(doing)?;
        let mark: i64 = db.query_row("SELECT 1 + abs(random() % 2147483646)", [], |r| r.get(0)).during(doing)?;
        db.execute_batch(&format!("{} COMMIT;", layout(mark))).during(doing)?;
        let parent = self.dir.parent().unwrap_or(&self.dir);
        for dir in [&self.dir, parent] {
            File::open(dir).and_then(|d| d.sync_all()).map_err(unavailable(doing))?;
        }
        Ok(Entry { mark, damage: None })
    }

    /// Puts a lost file, if there is one, under a name beside its own.
    fn set_aside(&self, volume: &Volume) -> Result<(), StoreError> {
        self.forget(volume);
        let path = self.path(volume);
        let aside = (1..).map(|n| path.with_extension(format!("damaged-{n}"))).find(|p| !p.exists());
        match aside.map(|aside| fs::rename(&path, aside)) {
            Some(Err(e)) if e.kind() != ErrorKind::NotFound => Err(unavailable("setting a file of history aside")(e)),
            _ => Ok(()),
        }
    }

    /// Closes what is open of a file for the next query.
    fn forget(&self, volume: &Volume) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::Release);
        idle.retain(|(v, _)| v != volume);
    }

    /// Removes a file that the main one does not name any more.
    pub(super) fn unlink(&self, volume: &Volume) -> Result<(), StoreError> {
        self.forget(volume);
        self.note(volume, None);
        match fs::remove_file(self.path(volume)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(unavailable("removing a file of history")(e)),
            _ => Ok(()),
        }
    }

    /// The bytes of a file; 0 where it is not there.
    pub(super) fn bytes(&self, volume: &Volume) -> u64 {
        fs::metadata(self.path(volume)).map_or(0, |m| m.len())
    }
}

/// Rows of buckets are larger than those of readings.
fn page_size(class: Class) -> u32 {
    if class == Class::Raw { 4096 } else { 16_384 }
}

/// What makes an empty database a file of history with this mark.
fn layout(mark: i64) -> String {
    format!("{SCHEMA} PRAGMA user_version = {LAYOUT}; PRAGMA application_id = {mark};")
}

/// What stands in the file, where it is one of ours.
fn mark(db: &Connection) -> Result<i64, StoreError> {
    let doing = "opening a file of history";
    let number = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |r| r.get::<_, i64>(0)).during(doing);
    match number("user_version")? {
        LAYOUT => number("application_id"),
        0 => Err(damaged("a file of history", "it is empty")),
        other => Err(damaged("a file of history", format!("layout {other} is unknown to this version"))),
    }
}

/// The files that the main one names.
pub(super) fn known(db: &Connection) -> Result<Known, StoreError> {
    let doing = "reading the files of history";
    let mut query = db.prepare_cached("SELECT class, start, end_at, mark, damage FROM volume").during(doing)?;
    let mut rows = query.query([]).during(doing)?;
    let mut out = Known::new();
    while let Some(r) = rows.next().during(doing)? {
        let class: i64 = r.get(0).during(doing)?;
        let class = Class::from_number(class).ok_or_else(|| damaged("a file of history", format!("class {class}")))?;
        let volume = Volume { class, start: r.get(1).during(doing)?, end: r.get(2).during(doing)? };
        out.insert(volume, Entry { mark: r.get(3).during(doing)?, damage: r.get(4).during(doing)? });
    }
    Ok(out)
}

/// Readings from before this are gone, in milliseconds since 1970.
pub(super) fn raw_from(db: &Connection) -> Result<i64, StoreError> {
    db.prepare_cached("SELECT raw_from FROM history_state")
        .and_then(|mut s| s.query_row([], |r| r.get(0)))
        .during("reading since when there are readings")
}

/// Names a file in the main one.
pub(super) fn name(db: &Connection, volume: &Volume, entry: &Entry) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO volume (name, class, start, end_at, mark, damage) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (name) DO UPDATE SET mark = excluded.mark, damage = excluded.damage
         WHERE mark <> excluded.mark OR damage IS NOT excluded.damage",
    )
    .and_then(|mut s| {
        s.execute((volume.file_name(), volume.class.number(), volume.start, volume.end, entry.mark, &entry.damage))
    })
    .during("naming a file of history")?;
    Ok(())
}
