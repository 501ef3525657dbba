//! Chunks: sealing windows, and reading them back.
//!
//! Windows go from memory into the files of history, a portion at a time: read, committed there, and only then forgotten here
//! with the journal. Whatever fails in between is sealed again, which changes nothing.

use super::SqliteStore;
use super::error::{During, damaged};
use super::files::{self, Entry, Found, Look};
use super::readings;
use super::roll;
use super::writer::Staged;
use crate::StoreError;
use crate::chunk::{self, ChunkError, Point};
use crate::head::{PageKey, WindowKey};
use crate::store::Sealed;
use crate::volume::{Class, Volume};
use outband_schemas::{Cause, Quality, Timestamp};
use rusqlite::{Connection, OptionalExtension};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

/// Windows sealed at once.
const SEAL_AT_ONCE: usize = 4096;
/// Rows of the journal dropped in one transaction.
const JOURNAL_AT_ONCE: usize = 256;
/// Portions of an older store's chunks that are moved at once: what is older than the files of history lies in the main file.
const MOVES: usize = 8;

/// A window and points of it, sealed.
struct Window {
    key: WindowKey,
    points: usize,
    chunk: Vec<u8>,
}

impl Window {
    fn of((key, points): (WindowKey, Vec<Point>)) -> Self {
        let points = chunk::normalise(points);
        Self { key, points: points.len(), chunk: chunk::encode(points) }
    }
}

/// Where windows were until they are in their files.
enum Taken {
    /// In memory: so many points of each page.
    Head(Vec<(PageKey, usize)>),
    /// In the main file, where an older version left them.
    Main,
}

/// A chunk that could not be read when it was to be changed: its window and its bytes.
type Unread = (WindowKey, Vec<u8>);

impl SqliteStore {
    /// Seals what is due at a moment; without one, everything. The caller has the turn.
    pub(super) fn seal_windows(&self, now: Option<Timestamp>) -> Result<Sealed, StoreError> {
        let mut total = Sealed::default();
        loop {
            let limit = if now.is_some() { self.inner.max_head_bytes } else { 0 };
            let due = self.head().due(now.unwrap_or(Timestamp::EPOCH), limit, SEAL_AT_ONCE);
            if due.is_empty() {
                break;
            }
            // Page by page, packed at once: points are many times larger than their chunks, and whoever writes waits while memory is looked at.
            let (mut windows, mut pages) = (Vec::new(), Vec::with_capacity(due.len()));
            for page in due {
                let (held, count) = self.head().page(page);
                windows.extend(held.into_iter().map(Window::of));
                pages.push((page, count));
            }
            let full = windows.len() >= SEAL_AT_ONCE;
            let some = self.put_away(windows, Taken::Head(pages))?;
            total.chunks += some.chunks;
            total.points += some.points;
            total.bytes += some.bytes;
            if !full {
                break;
            }
        }
        if total.chunks > 0 {
            self.shorten_journal()?;
        }
        Ok(total)
    }

    /// Drops what is sealed from the journal. Left for the end, as it needs a look at everything in memory; what a crash leaves is sealed again.
    fn shorten_journal(&self) -> Result<(), StoreError> {
        let head = Arc::clone(&self.inner.head);
        // Alone: what is in the journal by then is in memory, too.
        let through = self
            .inner
            .writer
            .write_alone(move |_, _| Ok(head.read().unwrap_or_else(PoisonError::into_inner).sealed_through()))?;
        let sql = "DELETE FROM journal WHERE id IN (SELECT id FROM journal WHERE id <= ?1 ORDER BY id LIMIT ?2)";
        while self.inner.writer.write(move |db, _| {
            let gone = db.prepare_cached(sql).and_then(|mut s| s.execute((through, JOURNAL_AT_ONCE as i64)));
            Ok(gone.during("dropping sealed rows of the journal")? == JOURNAL_AT_ONCE)
        })? {}
        Ok(())
    }

    /// Moves chunks that an older version left in the main file. The caller has the turn.
    pub(super) fn move_chunks(&self) -> Result<(), StoreError> {
        for _ in 0..MOVES {
            let some: Vec<Window> = self.read(|db| in_main(db, SEAL_AT_ONCE))?.into_iter().map(Window::of).collect();
            let full = some.len() == SEAL_AT_ONCE;
            if some.is_empty() {
                return Ok(());
            }
            let moved = self.put_away(some, Taken::Main)?;
            tracing::info!(chunks = moved.chunks, "moved history into files of its own");
            if !full {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Writes windows to the files they belong to, and forgets them where they were: in memory, or in the main file.
    fn put_away(&self, windows: Vec<Window>, taken: Taken) -> Result<Sealed, StoreError> {
        let known = self.read(files::known)?;
        let (mut by_file, mut strays) = (BTreeMap::<Volume, Vec<Window>>::new(), Vec::new());
        for window in windows {
            match Volume::holding(Class::Raw, Timestamp::from_millis(window.key.0)) {
                Some(volume) => by_file.entry(volume).or_default().push(window),
                None => strays.push(window),
            }
        }
        let mut sealed = Sealed::default();
        let (mut named, mut unread, mut done) = (Vec::<(Volume, Entry)>::new(), Vec::<Unread>::new(), Vec::new());
        let mut failed = None;
        for (volume, windows) in by_file {
            match self.inner.files.write(&volume, known.get(&volume), |db| merge_all(db, &volume, &windows)) {
                Ok(((some, bad), entry)) => {
                    sealed.chunks += some.chunks;
                    sealed.points += some.points;
                    sealed.bytes += some.bytes;
                    named.push((volume, entry));
                    unread.extend(bad);
                    done.extend(windows.into_iter().map(|window| window.key));
                }
                // One file that cannot be written holds up no other.
                Err(error) => failed = Some(failed.unwrap_or(error)),
            }
        }
        let head = Arc::clone(&self.inner.head);
        let strayed = self.inner.writer.write_alone(move |db, memory| {
            let doing = "sealing history";
            let strayed = merge_strays(db, &strays)?;
            for (volume, entry) in &named {
                files::name(db, volume, entry)?;
            }
            for ((start, series), body) in &unread {
                db.prepare_cached("INSERT INTO damaged_chunk (start, series, body) VALUES (?1, ?2, ?3)")
                    .and_then(|mut s| s.execute((start, series, body)))
                    .during("setting a damaged chunk aside")?;
            }
            roll::days_due(db, done.iter().copied())?;
            let Taken::Head(mut pages) = taken else {
                for key in &done {
                    db.prepare_cached("DELETE FROM chunk WHERE start = ?1 AND series = ?2")
                        .and_then(|mut s| s.execute(*key))
                        .during(doing)?;
                }
                return Ok(strayed);
            };
            done.extend(strays.iter().map(|window| window.key));
            // All windows of a page lie in one file, or in none.
            let written: BTreeSet<i64> = done.iter().map(|(start, _)| *start).collect();
            pages.retain(|(page, _)| written.contains(&page.start()));
            let head = head.read().unwrap_or_else(PoisonError::into_inner);
            // What has newer points in memory needs none: they come after what is sealed, there and in the journal.
            let latest = done.iter().filter(|(start, series)| head.is_newest(*start, *series));
            readings::keep_latest(db, latest.filter_map(|(_, series)| Some((*series, head.newest(*series)?))))?;
            drop(head);
            memory.staged.push(Staged::Sealed(pages));
            Ok(strayed)
        })?;
        sealed.chunks += strayed.chunks;
        sealed.points += strayed.points;
        sealed.bytes += strayed.bytes;
        failed.map_or(Ok(sealed), Err)
    }
}

/// Merges windows into the chunks of a file.
fn merge_all(db: &Connection, volume: &Volume, windows: &[Window]) -> Result<(Sealed, Vec<Unread>), StoreError> {
    let doing = "sealing history";
    let (mut sealed, mut unread) = (Sealed::default(), Vec::new());
    let mut before = db.prepare_cached("SELECT body FROM chunk WHERE key = ?1").during(doing)?;
    let mut put = db
        .prepare_cached(
            "INSERT INTO chunk (key, body) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET body = excluded.body",
        )
        .during(doing)?;
    for window in windows {
        let (start, series) = window.key;
        let key = volume.key(start, series).ok_or_else(|| out_of_place(start, series))?;
        let stored: Option<Vec<u8>> = before.query_row([key], |r| r.get(0)).optional().during(doing)?;
        let (body, count) = merged(window, stored, &mut unread)?;
        sealed.chunks += 1;
        sealed.points += count;
        sealed.bytes += body.len();
        put.execute((key, body.as_ref())).during(doing)?;
    }
    Ok((sealed, unread))
}

/// Merges windows that no file holds into chunks of the main file.
fn merge_strays(db: &Connection, windows: &[Window]) -> Result<Sealed, StoreError> {
    let (mut sealed, mut unread) = (Sealed::default(), Vec::new());
    for window in windows {
        let key = window.key;
        let (body, count) = merged(window, main_chunk(db, key)?, &mut unread)?;
        sealed.chunks += 1;
        sealed.points += count;
        sealed.bytes += body.len();
        db.prepare_cached(
            "INSERT INTO chunk (start, series, points, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (start, series) DO UPDATE SET points = excluded.points, body = excluded.body",
        )
        .and_then(|mut s| s.execute((key.0, key.1, count as i64, body.as_ref())))
        .during("sealing history")?;
    }
    Ok(sealed)
}

/// The chunk of what was stored and what came, and how many points it has. A damaged one is set aside, so that it holds up
/// nothing.
fn merged<'a>(
    window: &'a Window,
    stored: Option<Vec<u8>>,
    unread: &mut Vec<Unread>,
) -> Result<(Cow<'a, [u8]>, usize), StoreError> {
    let key = window.key;
    let Some(stored) = stored else { return Ok((Cow::Borrowed(&window.chunk), window.points)) };
    let mut points = readable(key, &stored).unwrap_or_else(|_| {
        unread.push((key, stored));
        vec![unreadable(key.0)]
    });
    // What came is forgotten where it was once this is written.
    points.extend(readable(key, &window.chunk).map_err(|e| damaged("a chunk in memory", e))?);
    let points = chunk::normalise(points);
    let count = points.len();
    Ok((Cow::Owned(chunk::encode(points)), count))
}

fn out_of_place(start: i64, series: i64) -> StoreError {
    let source = format!("series {series} at {start} has no place in a file of history").into();
    StoreError::Refused { doing: "sealing history", source }
}

/// Chunks in the main file that belong into files, the oldest first. A damaged one is one point that says so.
fn in_main(db: &Connection, most: usize) -> Result<Vec<(WindowKey, Vec<Point>)>, StoreError> {
    let doing = "reading chunks of an older store";
    let sql = "SELECT start, series, body FROM chunk WHERE start >= 0 AND start < ?1 ORDER BY start, series LIMIT ?2";
    let mut query = db.prepare_cached(sql).during(doing)?;
    let mut rows = query.query((Volume::END, i64::try_from(most).unwrap_or(i64::MAX))).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        let key: WindowKey = (r.get(0).during(doing)?, r.get(1).during(doing)?);
        let body = r.get_ref(2).and_then(|v| Ok(v.as_blob()?)).during(doing)?;
        out.push((key, readable(key, body).unwrap_or_else(|_| vec![unreadable(key.0)])));
    }
    Ok(out)
}

/// The points of a window that was sealed. In place of a damaged chunk, or of a file that is lost, stands one point that says so.
pub(super) fn stored_chunk(db: &Connection, look: &Look<'_>, key: WindowKey) -> Result<Vec<Point>, StoreError> {
    let of = |body: &[u8]| readable(key, body).unwrap_or_else(|_| vec![unreadable(key.0)]);
    let mut points = match look.row(Class::Raw, key.0, key.1)? {
        Found::Row(body) => of(&body),
        Found::Lost => vec![unreadable(key.0)],
        Found::Nothing => Vec::new(),
    };
    if look.in_main(key.0) {
        points.extend(main_chunk(db, key)?.map(|body| of(&body)).unwrap_or_default());
    }
    Ok(points)
}

fn main_chunk(db: &Connection, key: WindowKey) -> Result<Option<Vec<u8>>, StoreError> {
    db.prepare_cached("SELECT body FROM chunk WHERE start = ?1 AND series = ?2")
        .and_then(|mut s| s.query_row(key, |r| r.get(0)).optional())
        .during("reading a chunk")
}

/// What stands in place of values that cannot be read any more.
pub(super) fn unreadable(at_ms: i64) -> Point {
    Point { at: Timestamp::from_millis(at_ms), value: None, quality: Quality::Unavailable(Cause::Malformed) }
}

fn readable(key: WindowKey, body: &[u8]) -> Result<Vec<Point>, ChunkError> {
    chunk::decode(body).inspect_err(|error| {
        tracing::error!(series = key.1, start = %Timestamp::from_millis(key.0), %error, "two hours of a sensor are damaged");
    })
}
