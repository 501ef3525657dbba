//! Readings put away ahead of the assessment.

use super::SqliteStore;
use super::error::{During, parsed};
use super::readings::store_arrivals;
use crate::StoreError;
use crate::head::Arrival;
use crate::putaway::PutAway;
use outband_schemas::{AgentId, Reading, ServerId};
use rusqlite::OptionalExtension;

impl PutAway for SqliteStore {
    fn waiting(&self) -> Result<(i64, i64), StoreError> {
        let sql = "SELECT max(0, last - cursor), max(0, last - max(cursor, put_away))
                   FROM state, (SELECT coalesce(max(id), 0) AS last FROM ingest_log)";
        self.read(|db| {
            db.prepare_cached(sql)
                .and_then(|mut s| s.query_row([], |r| Ok((r.get(0)?, r.get(1)?))))
                .during("looking how many rows of the ingest log wait")
        })
    }

    fn put_away_through(&self) -> Result<i64, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT max(cursor, put_away) FROM state")
                .and_then(|mut s| s.query_row([], |r| r.get(0)))
                .during("reading how far readings are put away")
        })
    }

    fn moves(&self) -> u64 {
        self.inner.writer.moves()
    }

    fn servers_of(&self, targets: &[(AgentId, &str)]) -> Result<Vec<Option<ServerId>>, StoreError> {
        let doing = "looking for the server of a target";
        self.read(|db| {
            let mut query =
                db.prepare_cached("SELECT server FROM target WHERE agent = ?1 AND target = ?2").during(doing)?;
            let mut of = |(agent, target): &(AgentId, &str)| {
                let found: Option<String> =
                    query.query_row((agent.as_str(), target), |r| r.get(0)).optional().during(doing)?;
                found.map(|id| parsed("a server's id", &id)).transpose()
            };
            targets.iter().map(&mut of).collect()
        })
    }

    fn series_of(&self, readings: Vec<(ServerId, Vec<Reading>)>) -> Result<Vec<Vec<i64>>, StoreError> {
        self.inner.writer.write(move |db, memory| {
            let mut of = |(server, readings): &(ServerId, Vec<Reading>)| {
                let mut names = memory.series.of(db, server)?;
                readings.iter().map(|reading| names.id(db, reading)).collect()
            };
            readings.iter().map(&mut of).collect()
        })
    }

    fn put_away(&self, through: i64, arrivals: Vec<Arrival>) -> Result<(), StoreError> {
        self.inner.writer.write(move |db, memory| {
            store_arrivals(db, memory, arrivals)?;
            db.prepare_cached("UPDATE state SET put_away = max(put_away, ?1)")
                .and_then(|mut s| s.execute([through]))
                .during("noting how far readings are put away")?;
            Ok(())
        })
    }
}
