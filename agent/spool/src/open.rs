//! Opening the file, making a new one, setting a damaged one aside.

mod second;

use crate::spare::Spare;
use crate::{Error, Lane, LaneState, Lanes, Opened, Options, SkipReason, Skipped, Spool, crc, keep};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::{Path, PathBuf};

/// The newest format of the file that this version reads and writes.
const FORMAT: i64 = 2;
pub(crate) const PAGE_BYTES: u64 = 4096;
/// The WAL is folded into the file every so many pages.
const CHECKPOINT_PAGES: i64 = 1000;
/// How long an agent that is just ending may still hold the file.
const LOCK_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);

const SCHEMA: &str = "
CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), id BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE TABLE lane (lane INTEGER PRIMARY KEY, next INTEGER NOT NULL, released INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE TABLE event_entry (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE telemetry_entry (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE lost (lane INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, reason INTEGER NOT NULL,
    from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (lane, first)) STRICT, WITHOUT ROWID;
CREATE TABLE release_log (lane INTEGER NOT NULL, bucket INTEGER NOT NULL, through INTEGER NOT NULL, crc INTEGER NOT NULL,
    PRIMARY KEY (lane, bucket)) STRICT, WITHOUT ROWID;
CREATE TABLE bookmark (key TEXT PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE seen_order (id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

impl Spool {
    /// Opens the file, or makes it. An unreadable one is renamed to `<file>.bad-<now_ms>` and a new one begun, under the id `new_id`: 128 random bits,
    /// used only where a file is made. `now_ms` is in milliseconds since the Unix epoch.
    pub fn open(path: impl Into<PathBuf>, options: Options, new_id: u128, now_ms: i64) -> Result<Opened, Error> {
        let path = path.into();
        match Self::open_file(&path, options, new_id) {
            Ok((spool, fresh)) => Ok(Opened { spool, fresh, set_aside: None }),
            Err(Error::Damaged { detail, .. }) => {
                tracing::error!(path = %path.display(), detail, "the spool is damaged; setting it aside and beginning a new one");
                Self::begin_again(path, options, new_id, now_ms)
            }
            Err(e) => Err(e),
        }
    }

    /// Sets the file aside although it is open, because an operation said [`Error::Damaged`], and begins a new one under `new_id`.
    pub fn set_aside(self, new_id: u128, now_ms: i64) -> Result<Opened, Error> {
        let Spool { connection, path, options, .. } = self;
        // A damaged file need not close cleanly; the lock goes with the handle either way.
        if let Err((_, source)) = connection.close() {
            tracing::warn!(path = %path.display(), %source, "the damaged spool did not close cleanly");
        }
        Self::begin_again(path, options, new_id, now_ms)
    }

    fn begin_again(path: PathBuf, options: Options, new_id: u128, now_ms: i64) -> Result<Opened, Error> {
        let aside = rename_aside(&path, now_ms)?;
        let (mut spool, fresh) = Self::open_file(&path, options, new_id)?;
        spool.tell_all_lost(now_ms)?;
        Ok(Opened { spool, fresh, set_aside: Some(aside) })
    }

    /// Number 1 of either lane stands for whatever the old file held, so that the loss is told like any other.
    fn tell_all_lost(&mut self, now_ms: i64) -> Result<(), Error> {
        let path = &self.path;
        let fail = |e| Error::from_sqlite(path, e);
        let tx = self.connection.transaction().map_err(fail)?;
        let mut lanes = self.lanes;
        for lane in Lane::ALL {
            let state = lanes.get_mut(lane);
            let lost = Skipped { first: 1, last: 1, reason: SkipReason::Corrupt, from_ms: now_ms, to_ms: now_ms };
            keep::record_lost(&tx, lane, &lost).map_err(fail)?;
            *state = LaneState { oldest: 2, next: 2, released: 0 };
            write_lane(&tx, lane, *state).map_err(fail)?;
        }
        tx.commit().map_err(fail)?;
        self.lanes = lanes;
        Ok(())
    }

    fn open_file(path: &Path, options: Options, new_id: u128) -> Result<(Spool, bool), Error> {
        let fail = |e| Error::from_sqlite(path, e);
        let mut connection = Connection::open(path).map_err(fail)?;
        configure(&connection, options).map_err(fail)?;
        let format: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0)).map_err(fail)?;
        if format > FORMAT {
            return Err(Error::Newer { path: path.to_owned(), found: format, known: FORMAT });
        }
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0)).map_err(fail)?;
        let fresh = format == 0 && tables == 0;
        let damaged = |detail: &str| Error::Damaged { path: path.to_owned(), detail: detail.to_owned() };
        if format < 1 && !fresh {
            return Err(damaged("its format number is not one of ours"));
        }
        if fresh {
            create(&mut connection, new_id).map_err(fail)?;
        }
        if format == 1 {
            second::write(&mut connection).map_err(fail)?;
        }
        if schema(&connection).map_err(fail)? != expected_schema().map_err(fail)? {
            return Err(damaged("its tables are not those that were made"));
        }
        let id = read_id(&connection).map_err(fail)?.ok_or_else(|| damaged("its id has a wrong checksum"))?;
        let read = |lane| {
            let state = read_lane(&connection, lane).map_err(fail)?;
            state.ok_or_else(|| damaged("the state of a lane has a wrong checksum"))
        };
        let lanes = Lanes { event: read(Lane::Event)?, telemetry: read(Lane::Telemetry)? };
        let spare = Spare::beside(path, options.spare_bytes);
        Ok((Spool { connection, path: path.to_owned(), options, id, lanes, spare }, fresh))
    }
}

fn configure(connection: &Connection, options: Options) -> rusqlite::Result<()> {
    connection.busy_timeout(LOCK_WITHIN)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES as i64)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    // Exclusive before WAL: SQLite then needs no shared memory file. Switching to WAL takes the lock.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", 4 * CHECKPOINT_PAGES * PAGE_BYTES as i64)?;
    set_bound(connection, options.quota_bytes)
}

/// No page beyond this bound; one below the file's size means that size.
pub(crate) fn set_bound(connection: &Connection, quota_bytes: u64) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "max_page_count", max_pages(quota_bytes), |_| Ok(()))
}

/// The hard bound: the quota, and room for what an eviction itself writes.
fn max_pages(quota_bytes: u64) -> i64 {
    let pages = quota_bytes / PAGE_BYTES;
    i64::try_from(pages.saturating_add(pages / 8).saturating_add(64)).unwrap_or(i64::MAX)
}

fn create(connection: &mut Connection, id: u128) -> rusqlite::Result<()> {
    let tx = connection.transaction()?;
    tx.execute_batch(SCHEMA)?;
    write_id(&tx, id)?;
    for lane in Lane::ALL {
        write_lane(&tx, lane, LaneState { oldest: 1, next: 1, released: 0 })?;
    }
    tx.pragma_update(None, "user_version", FORMAT)?;
    tx.commit()
}

/// The tables as the file describes them: a bit flipped here would make each later statement fail in its own way.
fn schema(connection: &Connection) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")?;
    statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect()
}

fn expected_schema() -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(SCHEMA)?;
    schema(&connection)
}

pub(crate) fn write_id(connection: &Connection, id: u128) -> rusqlite::Result<()> {
    let bytes = id.to_be_bytes();
    connection.execute("INSERT OR REPLACE INTO meta VALUES (1, ?1, ?2)", params![bytes, crc::of(&[&bytes])])?;
    Ok(())
}

fn read_id(connection: &Connection) -> rusqlite::Result<Option<u128>> {
    let (bytes, sum): (Vec<u8>, i64) =
        connection.query_row("SELECT id, crc FROM meta", [], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(bytes.as_slice().try_into().ok().map(u128::from_be_bytes).filter(|_| crc::of(&[&bytes]) == sum))
}

/// Writes the lane's numbers; `oldest` is not stored, it is what the entries say.
pub(crate) fn write_lane(connection: &Connection, lane: Lane, state: LaneState) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO lane VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        lane.number(),
        state.next,
        state.released,
        lane_crc(lane, state.next, state.released)
    ])?;
    Ok(())
}

fn lane_crc(lane: Lane, next: i64, released: i64) -> i64 {
    crc::of(&[&lane.number().to_le_bytes(), &next.to_le_bytes(), &released.to_le_bytes()])
}

fn read_lane(connection: &Connection, lane: Lane) -> rusqlite::Result<Option<LaneState>> {
    let (next, released, sum): (i64, i64, i64) =
        connection.query_row("SELECT next, released, crc FROM lane WHERE lane = ?1", [lane.number()], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })?;
    let oldest = oldest(connection, lane)?.unwrap_or(next);
    Ok((lane_crc(lane, next, released) == sum && oldest <= next).then_some(LaneState { oldest, next, released }))
}

pub(crate) fn oldest(connection: &Connection, lane: Lane) -> rusqlite::Result<Option<i64>> {
    let sql = format!("SELECT seq FROM {} ORDER BY seq LIMIT 1", lane.table());
    connection.prepare_cached(&sql)?.query_row([], |r| r.get(0)).optional()
}

/// Moves the file and its WAL; what lies beside it under the new name is kept for whoever wants to look.
fn rename_aside(path: &Path, now_ms: i64) -> Result<PathBuf, Error> {
    let with = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = with(path, &format!(".bad-{now_ms}"));
    for suffix in ["-wal", "-shm", ""] {
        let (from, to) = (with(path, suffix), with(&aside, suffix));
        match std::fs::rename(&from, &to) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Rename { path: from, to, source });
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(aside)
}
