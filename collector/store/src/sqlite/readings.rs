//! Readings that come in: the journal, and the latest values of sensors that memory holds nothing of any more.

use super::error::During;
use super::parts;
use super::writer::{Memory, Staged};
use crate::StoreError;
use crate::chunk::{self, Point};
use crate::head::{Arrival, Head, Newest};
use crate::journal;
use crate::record::ServerReadings;
use rusqlite::Connection;

/// Writes readings to the journal. What is the latest of a sensor is seen in memory until it is sealed ([`keep_latest`]).
pub(super) fn store_readings(db: &Connection, memory: &mut Memory, sets: &[ServerReadings]) -> Result<(), StoreError> {
    let mut arrivals = Vec::with_capacity(sets.iter().map(|set| set.readings.len()).sum());
    for set in sets {
        let mut names = memory.series.of(db, &set.server)?;
        for reading in &set.readings {
            let series = names.id(db, reading)?;
            parts::note_hours(db, &set.server, reading)?;
            let point =
                Point { at: reading.observed_at, value: reading.value.clone(), quality: reading.quality.clone() };
            arrivals.push(Arrival { series, received_at: Some(set.received_at), point });
        }
    }
    store_arrivals(db, memory, arrivals)
}

/// Writes points to the journal.
pub(super) fn store_arrivals(db: &Connection, memory: &mut Memory, arrivals: Vec<Arrival>) -> Result<(), StoreError> {
    if arrivals.is_empty() {
        return Ok(());
    }
    let row = db
        .prepare_cached("INSERT INTO journal (body) VALUES (?1)")
        .and_then(|mut s| s.insert([journal::encode(arrivals.iter())]))
        .during("storing readings")?;
    memory.staged.push(Staged::Points(row, arrivals));
    Ok(())
}

/// Keeps the latest values of these series, which memory is about to forget.
pub(super) fn keep_latest(db: &Connection, latest: impl Iterator<Item = (i64, Newest)>) -> Result<(), StoreError> {
    let doing = "storing latest values";
    let mut keep = db
        .prepare_cached(
            "INSERT INTO latest (series, observed_at, received_at, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (series) DO UPDATE SET observed_at = excluded.observed_at,
                received_at = excluded.received_at, body = excluded.body
             WHERE excluded.observed_at >= observed_at",
        )
        .during(doing)?;
    for (series, Newest { point, received_at }) in latest {
        // Of what an older version wrote to the journal the latest values are stored already.
        let Some(received_at) = received_at else { continue };
        keep.execute((series, point.at.as_millis(), received_at.as_millis(), chunk::encode(vec![point])))
            .during(doing)?;
    }
    Ok(())
}

/// Reads the journal back into memory, at start. A row that is damaged is lost, and said to be.
pub(super) fn load_head(db: &Connection) -> Result<Head, StoreError> {
    let doing = "reading the journal";
    let mut head = Head::default();
    let mut query = db.prepare("SELECT id, body FROM journal ORDER BY id").during(doing)?;
    let mut rows = query.query([]).during(doing)?;
    while let Some(r) = rows.next().during(doing)? {
        let row: i64 = r.get(0).during(doing)?;
        let body = r.get_ref(1).and_then(|v| Ok(v.as_blob()?)).during(doing)?;
        let (arrivals, read) = journal::decode(body);
        head.add(row, &arrivals);
        if let Err(error) = read {
            tracing::error!(row, %error, "a row of the journal is damaged: the readings behind this place of it are lost");
        }
    }
    Ok(head)
}
