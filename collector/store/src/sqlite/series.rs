//! Which number a sensor has.

use super::error::{During, to_json};
use crate::StoreError;
use outband_schemas::{Reading, ServerId};
use rusqlite::Connection;
use std::collections::HashMap;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    component: String,
    kind: u16,
    sensor: String,
    source: String,
}

#[derive(Debug)]
struct Known {
    id: i64,
    thresholds: Option<String>,
}

/// Numbers of series, read from the file when a server is first met.
#[derive(Debug, Default)]
pub(super) struct SeriesCache {
    servers: HashMap<ServerId, HashMap<Key, Known>>,
}

impl SeriesCache {
    /// Forgets all: what it holds may never have been committed.
    pub(super) fn clear(&mut self) {
        self.servers.clear();
    }

    /// The number of the reading's series; a new one where it was never seen. Keeps the newest thresholds with it.
    pub(super) fn id(&mut self, db: &Connection, server: &ServerId, reading: &Reading) -> Result<i64, StoreError> {
        let doing = "looking up a series";
        if !self.servers.contains_key(server) {
            self.servers.insert(server.clone(), load(db, server)?);
        }
        let known = self.servers.entry(server.clone()).or_default();
        let thresholds = match reading.thresholds.filter(|t| !t.is_empty()) {
            Some(t) => Some(to_json(doing, &t)?),
            None => None,
        };
        let key = Key {
            component: reading.component.to_string(),
            kind: reading.kind.number(),
            sensor: reading.sensor.clone(),
            source: reading.source.0.clone(),
        };
        if let Some(known) = known.get_mut(&key) {
            if known.thresholds != thresholds {
                db.prepare_cached("UPDATE series SET thresholds = ?2 WHERE id = ?1")
                    .and_then(|mut s| s.execute((known.id, &thresholds)))
                    .during(doing)?;
                known.thresholds = thresholds;
            }
            return Ok(known.id);
        }
        let id = db
            .prepare_cached(
                "INSERT INTO series (server, component, class, kind, sensor, source, thresholds)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )
            .and_then(|mut s| {
                s.insert((
                    server.as_str(),
                    &key.component,
                    reading.component.class().number(),
                    key.kind,
                    &key.sensor,
                    &key.source,
                    &thresholds,
                ))
            })
            .during(doing)?;
        known.insert(key, Known { id, thresholds });
        Ok(id)
    }
}

fn load(db: &Connection, server: &ServerId) -> Result<HashMap<Key, Known>, StoreError> {
    let doing = "reading the series of a server";
    let mut query = db
        .prepare_cached("SELECT component, kind, sensor, source, id, thresholds FROM series WHERE server = ?1")
        .during(doing)?;
    let rows = query
        .query_map([server.as_str()], |r| {
            Ok((
                Key { component: r.get(0)?, kind: r.get(1)?, sensor: r.get(2)?, source: r.get(3)? },
                Known { id: r.get(4)?, thresholds: r.get(5)? },
            ))
        })
        .during(doing)?;
    rows.collect::<Result<_, _>>().during(doing)
}
