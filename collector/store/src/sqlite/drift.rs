//! The slow change of servers, as deflated JSON: fields that a later version adds have their defaults, and names cost little.

use super::SqliteStore;
use super::error::{During, damaged};
use crate::StoreError;
use crate::drift::{Drifts, Wear};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use outband_schemas::ServerId;
use rusqlite::OptionalExtension;
use std::io::Write;

const WHAT: &str = "the slow change of a server";
const DOING: &str = "storing the slow change of servers";

impl Drifts for SqliteStore {
    fn wear(&self, server: &ServerId) -> Result<Option<Wear>, StoreError> {
        let body: Option<Vec<u8>> = self.read(|db| {
            db.prepare_cached("SELECT body FROM drift WHERE server = ?1")
                .and_then(|mut s| s.query_row([server.as_str()], |r| r.get(0)).optional())
                .during("reading the slow change of a server")
        })?;
        let read = |body: Vec<u8>| serde_json::from_reader(DeflateDecoder::new(body.as_slice()));
        body.map(read).transpose().map_err(|e| damaged(WHAT, e))
    }

    fn keep_wear(&self, of: &[(ServerId, &Wear)]) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(of.len());
        for (server, wear) in of {
            rows.push((server.to_string(), deflated(wear)?));
        }
        if rows.is_empty() {
            return Ok(());
        }
        self.inner.writer.write(move |db, _| {
            let sql = "INSERT INTO drift VALUES (?1, ?2) ON CONFLICT (server) DO UPDATE SET body = excluded.body";
            let mut put = db.prepare_cached(sql).during(DOING)?;
            for row in &rows {
                put.execute((&row.0, &row.1)).during(DOING)?;
            }
            Ok(())
        })
    }
}

fn deflated(wear: &Wear) -> Result<Vec<u8>, StoreError> {
    let refused = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Refused { doing: DOING, source };
    // Written whole first: the encoder takes large pieces far faster than small ones.
    let json = serde_json::to_vec(wear).map_err(|e| refused(e.into()))?;
    let mut body = DeflateEncoder::new(Vec::new(), Compression::fast());
    body.write_all(&json).map_err(|e| refused(e.into()))?;
    body.finish().map_err(|e| refused(e.into()))
}
