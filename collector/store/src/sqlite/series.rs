//! Which number a sensor has.

use super::error::{During, to_json};
use crate::StoreError;
use outband_schemas::{Reading, ServerId, Thresholds};
use rusqlite::Connection;
use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};

/// What names a series of a server, as a digest: there are many, and their words are long. It tells some hundred names of one server apart, so that 64 bits of which
/// nobody knows the secret are enough: with ten thousand servers two names look alike once in 10^11 times.
type Key = u64;

#[derive(Debug)]
struct Known {
    key: Key,
    id: i64,
    /// A digest of its limits as they are stored; 0: it has none.
    thresholds: u64,
}

/// A digest of limits: which there are, to the last bit. Never 0.
fn digest(limits: &Thresholds) -> u64 {
    let Thresholds {
        lower_non_recoverable: a,
        lower_critical: b,
        lower_non_critical: c,
        upper_non_critical: d,
        upper_critical: e,
        upper_non_recoverable: f,
    } = *limits;
    let mut hasher = DefaultHasher::new();
    [a, b, c, d, e, f].map(|limit| limit.map(f64::to_bits)).hash(&mut hasher);
    hasher.finish().max(1)
}

/// Numbers of series, read from the file when a server is first met.
#[derive(Debug, Default)]
pub(super) struct SeriesCache {
    servers: HashMap<ServerId, Vec<Known>>,
    digests: Digests,
}

/// Digests of names, with a secret: nobody can choose names that look alike.
#[derive(Debug, Default)]
struct Digests(RandomState);

impl Digests {
    /// `component` as it is written, in pieces.
    fn of(&self, component: [&str; 3], kind: u16, sensor: &str, source: &str) -> Key {
        let mut hasher = self.0.build_hasher();
        component.iter().for_each(|piece| hasher.write(piece.as_bytes()));
        (kind, sensor, source).hash(&mut hasher);
        hasher.finish()
    }
}

/// The series of one server.
pub(super) struct OfServer<'a> {
    server: &'a ServerId,
    known: &'a mut Vec<Known>,
    digests: &'a Digests,
    /// Where the next one is looked for first: sensors come in the same order each time.
    next: usize,
}

impl SeriesCache {
    /// Forgets all: what it holds may never have been committed.
    pub(super) fn clear(&mut self) {
        self.servers.clear();
    }

    /// The series of a server.
    pub(super) fn of<'a>(&'a mut self, db: &Connection, server: &'a ServerId) -> Result<OfServer<'a>, StoreError> {
        if !self.servers.contains_key(server) {
            self.servers.insert(server.clone(), load(db, server, &self.digests)?);
        }
        let known = self.servers.entry(server.clone()).or_default();
        Ok(OfServer { server, known, digests: &self.digests, next: 0 })
    }
}

impl OfServer<'_> {
    /// The number of the reading's series; a new one where it was never seen. Keeps the newest thresholds with it.
    pub(super) fn id(&mut self, db: &Connection, reading: &Reading) -> Result<i64, StoreError> {
        let doing = "looking up a series";
        let limits = reading.thresholds.filter(|t| !t.is_empty());
        let thresholds = limits.as_ref().map_or(0, digest);
        let stored = || limits.map(|t| to_json(doing, &t)).transpose();
        let component = &reading.component;
        let words = [component.class().as_str(), "/", component.slot()];
        let key = self.digests.of(words, reading.kind.number(), &reading.sensor, &reading.source.0);
        let (before, after) = self.known.split_at(self.next.min(self.known.len()));
        let found = after.iter().position(|k| k.key == key).map(|at| at + before.len());
        if let Some(at) = found.or_else(|| before.iter().position(|k| k.key == key))
            && let Some(known) = self.known.get_mut(at)
        {
            self.next = at + 1;
            if known.thresholds != thresholds {
                let stored = stored()?;
                db.prepare_cached("UPDATE series SET thresholds = ?2 WHERE id = ?1")
                    .and_then(|mut s| s.execute((known.id, &stored)))
                    .during(doing)?;
                known.thresholds = thresholds;
            }
            return Ok(known.id);
        }
        let stored = stored()?;
        let id = db
            .prepare_cached(
                "INSERT INTO series (server, component, class, kind, sensor, source, thresholds)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )
            .and_then(|mut s| {
                s.insert((
                    self.server.as_str(),
                    component.to_string(),
                    component.class().number(),
                    reading.kind.number(),
                    &reading.sensor,
                    &reading.source.0,
                    &stored,
                ))
            })
            .during(doing)?;
        if self.known.len() == self.known.capacity() {
            // By an eighth and not by half: a server has its series for good.
            self.known.reserve_exact((self.known.len() / 8).max(8));
        }
        self.known.push(Known { key, id, thresholds });
        self.next = self.known.len();
        Ok(id)
    }
}

fn load(db: &Connection, server: &ServerId, digests: &Digests) -> Result<Vec<Known>, StoreError> {
    let doing = "reading the series of a server";
    let mut query = db
        .prepare_cached(
            "SELECT component, kind, sensor, source, id, thresholds FROM series WHERE server = ?1 ORDER BY id",
        )
        .during(doing)?;
    let rows = query
        .query_map([server.as_str()], |r| {
            let text = |i: usize| r.get_ref(i).and_then(|v| Ok(v.as_str()?));
            let key = digests.of([text(0)?, "", ""], r.get(1)?, text(2)?, text(3)?);
            // Limits that cannot be read are written anew with the next reading.
            let limits = r.get_ref(5)?.as_str_or_null()?.and_then(|t| serde_json::from_str::<Thresholds>(t).ok());
            Ok(Known { key, id: r.get(4)?, thresholds: limits.as_ref().map_or(0, digest) })
        })
        .during(doing)?;
    rows.collect::<Result<_, _>>().during(doing)
}
