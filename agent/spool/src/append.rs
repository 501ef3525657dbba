//! Appending: entries and bookmarks in one transaction.

use crate::{Entry, Error, Lane, Spool, crc, keep, open};
use rusqlite::{Connection, OptionalExtension, params};

/// Entries of one lane, with the bookmarks that are true once they are kept.
#[derive(Debug, Clone, Copy)]
pub struct Append<'a> {
    /// The lane.
    pub lane: Lane,
    /// What to keep, oldest first.
    pub entries: &'a [Entry],
    /// How far something has been read: key and bytes.
    pub bookmarks: &'a [(String, Vec<u8>)],
}

impl Spool {
    /// Keeps the entries and sets the bookmarks, or neither. Returns once they are on the disk, with the sequence of the first.
    pub fn append(&mut self, lane: Lane, entries: &[Entry], bookmarks: &[(String, Vec<u8>)]) -> Result<i64, Error> {
        let first = self.lanes.get(lane).next;
        self.append_all(&[Append { lane, entries, bookmarks }])?;
        Ok(first)
    }

    /// Like [`Spool::append`] for several at once, for the price of one: all are kept, or none.
    pub fn append_all(&mut self, appends: &[Append<'_>]) -> Result<(), Error> {
        let incoming = appends.iter().flat_map(|a| a.entries).map(|e| cost(&e.body)).sum();
        let within = match self.append_within(appends, incoming) {
            // The disk may be full long before the quota is.
            Err(full @ Error::Full { .. }) => match self.give_way(incoming) {
                Ok(true) => self.append_within(appends, incoming)?,
                Ok(false) | Err(Error::Full { .. }) => return Err(full),
                Err(other) => return Err(other),
            },
            done => done?,
        };
        if within {
            let newest = appends.iter().flat_map(|a| a.entries).map(|e| e.at_ms).max();
            return newest.map_or(Ok(()), |at_ms| self.ease(at_ms));
        }
        let detail = "the quota is used up by entries that may not be evicted".to_owned();
        Err(Error::Full { path: self.path.clone(), detail })
    }

    /// Whether they fit into the quota; where not, nothing is changed.
    fn append_within(&mut self, appends: &[Append<'_>], incoming: u64) -> Result<bool, Error> {
        let path = &self.path;
        let fail = |e| Error::from_sqlite(path, e);
        let mut lanes = self.lanes;
        let tx = self.connection.transaction().map_err(fail)?;
        if !keep::make_room(&tx, &mut lanes, self.options.quota_bytes, incoming).map_err(fail)? {
            return Ok(false);
        }
        for append in appends {
            let state = lanes.get_mut(append.lane);
            for entry in append.entries {
                insert(&tx, append.lane, state.next, entry).map_err(fail)?;
                state.next += 1;
            }
            open::write_lane(&tx, append.lane, *state).map_err(fail)?;
            for (key, value) in append.bookmarks {
                set_bookmark(&tx, key, value).map_err(fail)?;
            }
        }
        tx.commit().map_err(fail)?;
        self.lanes = lanes;
        Ok(true)
    }

    /// The bookmark of a key. One whose bytes changed on the disk is as good as none.
    pub fn bookmark(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let row: Option<(Vec<u8>, i64)> = self
            .connection
            .prepare_cached("SELECT value, crc FROM bookmark WHERE key = ?1")
            .and_then(|mut s| s.query_row([key], |r| Ok((r.get(0)?, r.get(1)?))).optional())
            .map_err(|e| Error::from_sqlite(&self.path, e))?;
        Ok(row.and_then(|(value, sum)| {
            let whole = bookmark_crc(key, &value) == sum;
            if !whole {
                tracing::warn!(
                    key,
                    "a bookmark has a wrong checksum and is dropped; its log is read from the beginning"
                );
            }
            whole.then_some(value)
        }))
    }
}

/// Bytes of file that a body takes, about: its pages where it overflows one, and the row's own fields.
fn cost(body: &[u8]) -> u64 {
    let bytes = body.len() as u64;
    if bytes <= 4000 { bytes + 32 } else { bytes + open::PAGE_BYTES }
}

pub(crate) fn insert(connection: &Connection, lane: Lane, seq: i64, entry: &Entry) -> rusqlite::Result<()> {
    // A row that damage moved to this number is none of ours.
    let sql = format!("INSERT OR REPLACE INTO {} VALUES (?1, ?2, ?3, ?4)", lane.table());
    let sum = crc::of_entry(lane, seq, entry.at_ms, &entry.body);
    connection.prepare_cached(&sql)?.execute(params![seq, entry.at_ms, sum, entry.body])?;
    Ok(())
}

fn set_bookmark(connection: &Connection, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO bookmark VALUES (?1, ?2, ?3)")?.execute(params![
        key,
        value,
        bookmark_crc(key, value)
    ])?;
    Ok(())
}

fn bookmark_crc(key: &str, value: &[u8]) -> i64 {
    crc::of(&[key.as_bytes(), &[0], value])
}
