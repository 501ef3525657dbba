//! Reading on from a number, with everything that is missing named.

use crate::{Error, Lane, Peek, SkipReason, Skipped, Spool, crc, keep};
use rusqlite::{OptionalExtension, params};

/// A row of an entry table, as it is in the file.
struct Row {
    seq: i64,
    at_ms: i64,
    whole: bool,
    body: Vec<u8>,
}

impl Spool {
    /// What comes after sequence `after`: bodies of at most `max_bytes` together, but at least one where there is one. Where entries are missing, `skipped`
    /// covers them from `after + 1` on; a range with another reason, or a lane's end, may leave the bodies empty: go on from `skipped.last`.
    pub fn peek(&self, lane: Lane, after: i64, max_bytes: usize) -> Result<Peek, Error> {
        let next = self.lanes.get(lane).next;
        let expected = after.max(0) + 1;
        if expected >= next {
            return Ok(Peek { skipped: None, first_seq: expected, bodies: Vec::new() });
        }
        self.peek_inner(lane, expected, next, max_bytes).map_err(|e| Error::from_sqlite(&self.path, e))
    }

    fn peek_inner(&self, lane: Lane, expected: i64, next: i64, max_bytes: usize) -> rusqlite::Result<Peek> {
        let sql =
            format!("SELECT seq, at_ms, crc, body FROM {} WHERE seq >= ?1 AND seq < ?2 ORDER BY seq", lane.table());
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query_map(params![expected, next], |r| {
            let (seq, at_ms, sum, body): (i64, i64, i64, Vec<u8>) = (r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?);
            Ok(Row { seq, at_ms, whole: crc::of_entry(lane, seq, at_ms, &body) == sum, body })
        })?;

        let mut skipped: Option<Skipped> = None;
        let mut wanted = expected;
        let mut row = rows.next().transpose()?;
        // What is missing or broken at the front, as long as it is for one reason.
        while wanted < next {
            let present = row.as_ref().is_some_and(|r| r.seq == wanted);
            if present && row.as_ref().is_some_and(|r| r.whole) {
                break;
            }
            let missing = if present {
                let at_ms = row.as_ref().map_or(0, |r| r.at_ms);
                let at = self.near(lane, wanted)?.unwrap_or((at_ms, at_ms));
                Skipped { first: wanted, last: wanted, reason: SkipReason::Corrupt, from_ms: at.0, to_ms: at.1 }
            } else {
                let end = row.as_ref().map_or(next, |r| r.seq.max(wanted + 1));
                self.lost_at(lane, wanted, end)?
            };
            match &mut skipped {
                None => skipped = Some(missing),
                Some(s) if s.reason == missing.reason => {
                    s.last = missing.last;
                    s.from_ms = s.from_ms.min(missing.from_ms);
                    s.to_ms = s.to_ms.max(missing.to_ms);
                }
                Some(s) => {
                    return Ok(Peek { first_seq: s.last + 1, skipped, bodies: Vec::new() });
                }
            }
            wanted = missing.last + 1;
            while row.as_ref().is_some_and(|r| r.seq < wanted) {
                row = rows.next().transpose()?;
            }
        }

        let first_seq = wanted;
        let mut bodies: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0usize;
        while let Some(r) = row.filter(|r| r.seq == wanted && r.whole) {
            bytes = bytes.saturating_add(r.body.len());
            if bytes > max_bytes && !bodies.is_empty() {
                break;
            }
            bodies.push(r.body);
            wanted += 1;
            row = rows.next().transpose()?;
        }
        Ok(Peek { skipped, first_seq, bodies })
    }

    /// Why the entries from `seq` on, before `end`, are not there. Those of which nothing is remembered were lost to damage.
    fn lost_at(&self, lane: Lane, seq: i64, end: i64) -> rusqlite::Result<Skipped> {
        let sql = format!("{} AND last >= ?2 ORDER BY first", keep::LOST);
        let known = self
            .connection
            .prepare_cached(&sql)?
            .query_map(params![lane.number(), seq], |r| keep::read_lost(lane, r))?
            .find_map(Result::transpose)
            .transpose()?;
        Ok(match known {
            Some(s) if s.first <= seq => Skipped { first: seq, last: s.last.min(end - 1), ..s },
            other => {
                let last = other.map_or(end - 1, |s| (s.first - 1).min(end - 1));
                let (from_ms, to_ms) = self.near(lane, seq)?.unwrap_or((0, 0));
                Skipped { first: seq, last, reason: SkipReason::Corrupt, from_ms, to_ms }
            }
        })
    }

    /// The times of the entries before and after `seq`: what a time that cannot be trusted lay between.
    fn near(&self, lane: Lane, seq: i64) -> rusqlite::Result<Option<(i64, i64)>> {
        let table = lane.table();
        let at =
            |sql: String| self.connection.prepare_cached(&sql)?.query_row([seq], |r| r.get::<_, i64>(0)).optional();
        let before = at(format!("SELECT at_ms FROM {table} WHERE seq < ?1 ORDER BY seq DESC LIMIT 1"))?;
        let after = at(format!("SELECT at_ms FROM {table} WHERE seq > ?1 ORDER BY seq LIMIT 1"))?;
        Ok(match (before, after) {
            (Some(b), Some(a)) => Some((b.min(a), b.max(a))),
            (Some(t), None) | (None, Some(t)) => Some((t, t)),
            (None, None) => None,
        })
    }
}
