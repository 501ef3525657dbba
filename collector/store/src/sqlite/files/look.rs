//! A query's look into the files of history.

use super::{Files, Known, known, raw_from};
use crate::StoreError;
use crate::sqlite::error::During;
use crate::volume::{Class, Volume};
use outband_schemas::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// What is at a place.
pub(in crate::sqlite) enum Found {
    /// The bytes of a row.
    Row(Vec<u8>),
    /// No row.
    Nothing,
    /// It cannot be known: the file is lost.
    Lost,
}

/// The files as one query sees them: each opened when it is first needed, in a read transaction until the look ends.
pub(in crate::sqlite) struct Look<'a> {
    files: &'a Files,
    known: Known,
    main: bool,
    raw_from: i64,
    generation: u64,
    open: RefCell<BTreeMap<Volume, Option<Connection>>>,
}

impl<'a> Look<'a> {
    /// Of the files that this state of the main one names.
    pub(in crate::sqlite) fn new(files: &'a Files, db: &Connection) -> Result<Self, StoreError> {
        let main = "SELECT EXISTS (SELECT 1 FROM chunk WHERE start >= 0 AND start < ?1)";
        let main = db
            .prepare_cached(main)
            .and_then(|mut s| s.query_row([Volume::END], |r| r.get(0)))
            .during("looking for chunks of an older store")?;
        let generation = files.generation.load(Ordering::Acquire);
        Ok(Self { files, known: known(db)?, main, raw_from: raw_from(db)?, generation, open: RefCell::default() })
    }

    /// Readings from before this are gone.
    pub(in crate::sqlite) fn raw_from(&self) -> i64 {
        self.raw_from
    }

    /// Whether the main file may hold chunks of this window: it is outside of the calendar, or an older version left some.
    pub(in crate::sqlite) fn in_main(&self, start: i64) -> bool {
        self.main || Class::Raw.row(Timestamp::from_millis(start)).is_none()
    }

    /// The files of a class whose span touches this one, oldest first.
    pub(in crate::sqlite) fn volumes(
        &self,
        class: Class,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = &Volume> {
        let touches = move |v: &&Volume| v.class == class && v.start < to.as_millis() && from.as_millis() < v.end;
        self.known.keys().filter(touches)
    }

    /// The first moments of what was lost of readings in a span.
    pub(in crate::sqlite) fn lost(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
        let mut out = Vec::new();
        for volume in self.volumes(Class::Raw, from, to) {
            let replaced = self.known.get(volume).is_some_and(|e| e.damage.is_some());
            if replaced || self.with(volume, |_| Ok(()))?.is_none() {
                out.push(Timestamp::from_millis(volume.start).max(from));
            }
        }
        Ok(out)
    }

    /// A row.
    pub(in crate::sqlite) fn row(&self, class: Class, start: i64, series: i64) -> Result<Found, StoreError> {
        let Some(volume) = Volume::holding(class, Timestamp::from_millis(start)) else { return Ok(Found::Nothing) };
        let Some(key) = volume.key(start, series) else { return Ok(Found::Nothing) };
        if !self.known.contains_key(&volume) {
            return Ok(Found::Nothing);
        }
        let body = self.with(&volume, |db| {
            db.prepare_cached("SELECT body FROM chunk WHERE key = ?1")
                .and_then(|mut s| s.query_row([key], |r| r.get(0)).optional())
                .during("reading a row of history")
        })?;
        Ok(match body {
            None => Found::Lost,
            Some(None) => Found::Nothing,
            Some(Some(body)) => Found::Row(body),
        })
    }

    /// The starts of the rows of a class that any sensor has in a span.
    pub(in crate::sqlite) fn starts(
        &self,
        class: Class,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<i64>, StoreError> {
        let mut out = Vec::new();
        for volume in self.volumes(class, from, to) {
            let found = self.with(volume, |db| {
                let mut query = db
                    .prepare_cached("SELECT EXISTS (SELECT 1 FROM chunk WHERE key >= ?1 AND key < ?2)")
                    .during("reading a file of history")?;
                let mut found = Vec::new();
                for start in volume.rows(from, to) {
                    let Some(key) = volume.key(start, 0) else { continue };
                    let there = query.query_row((key, key + Volume::KEYS), |r| r.get(0));
                    if there.during("reading a file of history")? {
                        found.push(start);
                    }
                }
                Ok(found)
            })?;
            out.extend(found.unwrap_or_default());
        }
        Ok(out)
    }

    /// Asks a file; `None` where it is lost.
    fn with<T>(
        &self,
        volume: &Volume,
        ask: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut open = self.open.borrow_mut();
        if !open.contains_key(volume) {
            let Some(entry) = self.known.get(volume) else { return Ok(None) };
            let db = match self.files.open(volume, entry)? {
                Ok(db) => {
                    db.execute_batch("BEGIN").during("beginning to read")?;
                    Some(db)
                }
                Err(lost) => {
                    self.files.note(volume, Some(&lost));
                    None
                }
            };
            open.insert(*volume, db);
        }
        let Some(Some(db)) = open.get(volume) else { return Ok(None) };
        match ask(db) {
            Ok(answer) => Ok(Some(answer)),
            // The other rows of the file may be whole.
            Err(StoreError::Damaged { detail, .. }) => {
                self.files.note(volume, Some(&detail));
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        for (volume, db) in std::mem::take(self.open.get_mut()) {
            if let Some(db) = db
                && db.execute_batch("COMMIT").is_ok()
            {
                self.files.give_back(volume, db, self.generation);
            }
        }
    }
}
