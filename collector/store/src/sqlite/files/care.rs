//! Care of the files of history: what is too old goes, what is lost is said, what is erased is erased in all of them.

use super::{Entry, Files, Found, Known, Look, Lost, known, name, unavailable};
use crate::StoreError;
use crate::history::Holding;
use crate::retention::Limits;
use crate::rollup::Resolution;
use crate::sqlite::SqliteStore;
use crate::sqlite::error::During;
use crate::volume::{Class, Volume};
use outband_schemas::{ServerId, Timestamp};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Instant;

/// Rows that a check looks at in one go: some milliseconds.
const PORTION: i64 = 4096;

impl SqliteStore {
    /// Drops files that are older than their limit, once what is to be made of them is made.
    pub(in crate::sqlite) fn drop_old_files(&self, limits: &Limits) -> Result<(), StoreError> {
        let _turn = self.inner.files.turn();
        let limits = *limits;
        let doing = "dropping a file of history";
        let named = self.inner.writer.write(move |db, _| {
            let mut all = known(db)?;
            for volume in all.clone().into_keys() {
                if Timestamp::from_millis(volume.end) > limits.of(volume.class) || is_needed(db, &volume)? {
                    continue;
                }
                db.execute("DELETE FROM volume WHERE name = ?1", [volume.file_name()]).during(doing)?;
                if volume.class == Class::Raw {
                    let sql = "UPDATE history_state SET raw_from = max(raw_from, ?1)";
                    db.execute(sql, [volume.end]).during(doing)?;
                }
                tracing::info!(file = volume.file_name(), "history that is older than its term goes");
                all.remove(&volume);
            }
            Ok(all)
        })?;
        // Those that were dropped now, and those that a crash left behind.
        for volume in self.inner.files.there()? {
            if !named.contains_key(&volume) && Timestamp::from_millis(volume.end) <= limits.of(volume.class) {
                self.inner.files.unlink(&volume)?;
            }
        }
        self.inner.files.unlink_asides(|volume| Timestamp::from_millis(volume.end) <= limits.of(volume.class))
    }

    /// Erases the history of servers in every file, or counts its rows. The caller has the turn until the main file is
    /// written, too.
    pub(in crate::sqlite) fn erase_history(
        &self,
        servers: &BTreeSet<ServerId>,
        dry_run: bool,
    ) -> Result<usize, StoreError> {
        let doing = "erasing history";
        if !dry_run {
            // What is in memory and in the journal would come back with the next seal.
            self.seal_windows(None)?;
        }
        let (all, series) = self.read(|db| {
            let mut query = db.prepare_cached("SELECT id FROM series WHERE server = ?1").during(doing)?;
            let mut series: Vec<i64> = Vec::new();
            for server in servers {
                let ids = query.query_map([server.as_str()], |r| r.get(0)).during(doing)?;
                for id in ids {
                    series.push(id.during(doing)?);
                }
            }
            Ok((known(db)?, series))
        })?;
        if dry_run {
            return self.read(|db| count(&Look::new(&self.inner.files, db)?, &all, &series));
        }
        self.inner.files.unlink_asides(|_| true)?;
        for volume in all.keys() {
            self.inner.files.drop_new(volume)?;
        }
        let mut gone = 0;
        let mut replaced: Vec<(Volume, Entry)> = Vec::new();
        for (volume, entry) in &all {
            let (rows, now) = self.inner.files.write(volume, Some(entry), |db| erase(db, volume, &series))?;
            gone += rows;
            if now != *entry {
                replaced.push((*volume, now));
            }
        }
        if !replaced.is_empty() {
            self.inner
                .writer
                .write(move |db, _| replaced.iter().try_for_each(|(volume, entry)| name(db, volume, entry)))?;
        }
        Ok(gone)
    }

    /// The files that the store knows, by its writer: queries open their connections when they come.
    fn written(&self) -> Result<Known, StoreError> {
        self.inner.writer.write(|db, _| known(db))
    }

    /// Looks whether lost files are back, and into all of them.
    pub(in crate::sqlite) fn look_after_files(&self) -> Result<(), StoreError> {
        let _turn = self.inner.files.turn();
        let back = self.inner.files.come_back(&self.written()?)?;
        if !back.is_empty() {
            self.inner
                .writer
                .write(move |db, _| back.iter().try_for_each(|(volume, entry)| name(db, volume, entry)))?;
        }
        Ok(())
    }

    /// Checks every file: at once and whole where they are small, else while they are used, on a thread of its own.
    pub(in crate::sqlite) fn check_files_later(&self, at_once_up_to: u64) -> Result<(), StoreError> {
        let all = self.written()?;
        let bytes = all.keys().map(|volume| self.inner.files.bytes(volume)).fold(0, u64::saturating_add);
        if bytes <= at_once_up_to {
            return self.inner.files.check(&all);
        }
        let (inner, files) = (Arc::downgrade(&self.inner), Arc::clone(&self.inner.files));
        let looking = move || {
            for (volume, entry) in all {
                // The store may have been closed, or the file dropped, meanwhile. A check takes long: it holds nothing else.
                let Some(there) = inner.upgrade().map(|inner| inner.pool.read(known)) else { return };
                if !there.is_ok_and(|known| known.contains_key(&volume)) {
                    continue;
                }
                match files.read_through(&volume, &entry, &|| inner.strong_count() > 0) {
                    Ok(lost) => files.note(&volume, lost.as_deref()),
                    Err(error) => {
                        tracing::warn!(%error, file = volume.file_name(), "a file of history is not checked whole");
                    }
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("history-check".to_owned()).spawn(looking) {
            tracing::warn!(%error, "the files of history are not checked whole");
        }
        Ok(())
    }
}

impl Files {
    /// Reads every row of a file and holds it against its checksum, as long as this is `wanted`: a portion at a time, with a rest as long
    /// as the portion took, and without keeping the file from whoever seals. Answers what is lost of it.
    fn read_through(
        &self,
        volume: &Volume,
        entry: &Entry,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Option<Lost>, StoreError> {
        let db = match self.open(volume, entry)? {
            Ok(db) => db,
            Err(lost) => return Ok(Some(lost)),
        };
        let (mut after, mut damaged, mut last) = (-1_i64, 0_usize, None);
        while wanted() {
            let begun = Instant::now();
            match portion(&db, after) {
                Ok((None, _)) => break,
                Ok((Some(end), bad)) => {
                    after = end;
                    damaged += bad.len();
                    last = bad.last().copied().or(last);
                }
                Err(StoreError::Damaged { detail, .. }) => return Ok(Some(detail)),
                Err(other) => return Err(other),
            }
            std::thread::sleep(begun.elapsed());
        }
        let told = last.map(|key| format!("{damaged} rows are damaged, the last of series {}", Volume::series(key)));
        Ok(told.or_else(|| entry.damage.clone()))
    }
}

/// Looks at the rows behind a key. Answers the key of the last of them, and of those that are damaged.
fn portion(db: &Connection, after: i64) -> Result<(Option<i64>, Vec<i64>), StoreError> {
    let doing = "checking a file of history";
    let mut query =
        db.prepare_cached("SELECT key, body FROM chunk WHERE key > ?1 ORDER BY key LIMIT ?2").during(doing)?;
    let mut rows = query.query((after, PORTION)).during(doing)?;
    let (mut end, mut bad) = (None, Vec::new());
    while let Some(r) = rows.next().during(doing)? {
        let key = r.get(0).during(doing)?;
        let body = r.get_ref(1).and_then(|v| Ok(v.as_blob()?)).during(doing)?;
        // Rows of readings and rows of buckets end alike.
        let whole =
            body.split_last_chunk::<4>().is_some_and(|(of, sum)| crc32c::crc32c(of) == u32::from_le_bytes(*sum));
        if !whole {
            bad.push(key);
        }
        end = Some(key);
    }
    Ok((end, bad))
}

/// Whether something is still to be made of a file.
pub(super) fn is_needed(db: &Connection, volume: &Volume) -> Result<bool, StoreError> {
    let next = match volume.class {
        Class::Raw => Class::Rolled(Resolution::FiveMinutes),
        Class::Rolled(Resolution::FiveMinutes) => Class::Rolled(Resolution::Hour),
        Class::Rolled(Resolution::Hour) => return Ok(false),
    };
    // A month that begins before the file may need it, too: never, since files of days end with their months.
    let sql = "SELECT EXISTS (SELECT 1 FROM roll_due WHERE class = ?1 AND start >= ?2 AND start < ?3)";
    db.query_row(sql, (next.number(), volume.start, volume.end), |r| r.get(0)).during("dropping a file of history")
}

/// The keys that these series may have in a file.
fn keys<'a>(volume: &'a Volume, series: &'a [i64]) -> impl Iterator<Item = i64> + 'a {
    let (from, to) = (Timestamp::from_millis(volume.start), Timestamp::from_millis(volume.end));
    volume.rows(from, to).flat_map(move |start| series.iter().filter_map(move |id| volume.key(start, *id)))
}

fn erase(db: &Connection, volume: &Volume, series: &[i64]) -> Result<usize, StoreError> {
    let doing = "erasing history";
    let mut remove = db.prepare_cached("DELETE FROM chunk WHERE key = ?1").during(doing)?;
    keys(volume, series).try_fold(0, |gone, key| Ok(gone + remove.execute([key]).during(doing)?))
}

fn count(look: &Look<'_>, all: &Known, series: &[i64]) -> Result<usize, StoreError> {
    let mut rows = 0;
    for volume in all.keys() {
        let (from, to) = (Timestamp::from_millis(volume.start), Timestamp::from_millis(volume.end));
        for start in volume.rows(from, to) {
            for id in series {
                rows += usize::from(matches!(look.row(volume.class, start, *id)?, Found::Row(_)));
            }
        }
    }
    Ok(rows)
}

/// Rows of buckets of these servers are not to be made any more.
pub(in crate::sqlite) fn forget_due(db: &Connection, servers: &BTreeSet<ServerId>) -> Result<(), StoreError> {
    let sql = "DELETE FROM roll_due WHERE series IN (SELECT id FROM series WHERE server = ?1)";
    for server in servers {
        db.execute(sql, [server.as_str()]).during("erasing history")?;
    }
    Ok(())
}

/// What the files take, class by class.
pub(in crate::sqlite) fn holdings(db: &Connection, files: &Files) -> Result<Vec<Holding>, StoreError> {
    let all = known(db)?;
    let of = |class: Class| {
        let mine: Vec<&Volume> = all.keys().filter(|v| v.class == class).collect();
        let span = mine.first().zip(mine.last());
        Holding {
            class,
            files: mine.len(),
            bytes: mine.iter().map(|volume| files.bytes(volume)).fold(0, u64::saturating_add),
            span: span.map(|(a, b)| (Timestamp::from_millis(a.start), Timestamp::from_millis(b.end))),
        }
    };
    Ok(Class::ALL.map(of).to_vec())
}

impl Files {
    /// The names in the directory.
    fn names(&self) -> Result<Vec<String>, StoreError> {
        let unreadable = unavailable("reading the directory of history");
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(unreadable(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.map_err(&unreadable)?.file_name().to_str().map(str::to_owned));
        }
        Ok(names)
    }

    /// The files that are in the directory.
    pub(in crate::sqlite) fn there(&self) -> Result<Vec<Volume>, StoreError> {
        Ok(self.names()?.iter().filter_map(|name| Volume::named(name)).collect())
    }

    /// Removes those of the lost files that were set aside.
    fn unlink_asides(&self, which: impl Fn(&Volume) -> bool) -> Result<(), StoreError> {
        for name in self.names()? {
            let Some((stem, _)) = name.split_once(".damaged-") else { continue };
            if Volume::named(&format!("{stem}.db")).is_some_and(|volume| which(&volume)) {
                tracing::warn!(file = name, "a lost file of history that was set aside is removed");
                fs::remove_file(self.dir.join(&name)).map_err(unavailable("removing a file of history"))?;
            }
        }
        Ok(())
    }
}
