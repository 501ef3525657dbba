//! Drives, as deflated JSON: fields that a later version adds have their defaults, and names cost little.

use super::SqliteStore;
use super::error::During;
use crate::StoreError;
use crate::drives::{DriveFleet, DriveRecord, Drives, KeptDrives};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use outband_schemas::ServerId;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Write;

const READING: &str = "reading drives";
const DOING: &str = "storing drives";

impl Drives for SqliteStore {
    fn drives(&self) -> Result<KeptDrives, StoreError> {
        self.read(|db| {
            let mut kept = KeptDrives::default();
            let mut rows = db.prepare_cached("SELECT key, body FROM drive ORDER BY key").during(READING)?;
            let mut rows = rows.query([]).during(READING)?;
            while let Some(row) = rows.next().during(READING)? {
                let key: String = row.get(0).during(READING)?;
                match inflated(&row.get::<_, Vec<u8>>(1).during(READING)?) {
                    Ok(drive) => kept.drives.push((key, drive)),
                    Err(_) => kept.damaged.push(key),
                }
            }
            if let Some(body) = fleet(db)? {
                match inflated::<DriveFleet>(&body) {
                    Ok(fleet) => kept.fleet = Some(fleet),
                    Err(_) => kept.damaged.push("fleet".to_owned()),
                }
            }
            Ok(kept)
        })
    }

    fn drives_of(&self, server: &ServerId) -> Result<Vec<DriveRecord>, StoreError> {
        self.read(|db| {
            let mut rows = db
                .prepare_cached(
                    "SELECT body FROM drive WHERE server = ?1 AND component IS NOT NULL ORDER BY component, key",
                )
                .during(READING)?;
            let bodies = rows.query_map([server.as_str()], |r| r.get::<_, Vec<u8>>(0)).during(READING)?;
            let mut drives = Vec::new();
            for body in bodies {
                drives.extend(inflated::<DriveRecord>(&body.during(READING)?).ok());
            }
            Ok(drives)
        })
    }

    fn keep_drives(
        &self,
        drives: &[(String, &DriveRecord)],
        gone: &[String],
        fleet: Option<&DriveFleet>,
    ) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(drives.len());
        for (key, drive) in drives {
            let component = drive.place.as_ref().map(|(_, component)| component.to_string());
            rows.push((key.clone(), drive.server().map(ToString::to_string), component, deflated(drive)?));
        }
        let fleet = fleet.map(deflated).transpose()?;
        if rows.is_empty() && gone.is_empty() && fleet.is_none() {
            return Ok(());
        }
        let gone = gone.to_vec();
        self.inner.writer.write(move |db, _| {
            let sql = "INSERT INTO drive VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) DO UPDATE
                       SET server = excluded.server, component = excluded.component, body = excluded.body";
            let mut put = db.prepare_cached(sql).during(DOING)?;
            for (key, server, component, body) in &rows {
                put.execute((key, server, component, body)).during(DOING)?;
            }
            let mut drop = db.prepare_cached("DELETE FROM drive WHERE key = ?1").during(DOING)?;
            for key in &gone {
                drop.execute([key]).during(DOING)?;
            }
            if let Some(body) = &fleet {
                let sql = "INSERT INTO drive_fleet VALUES (0, ?1) ON CONFLICT (id) DO UPDATE SET body = excluded.body";
                db.execute(sql, [body]).during(DOING)?;
            }
            Ok(())
        })
    }
}

fn fleet(db: &Connection) -> Result<Option<Vec<u8>>, StoreError> {
    db.query_row("SELECT body FROM drive_fleet", [], |r| r.get(0)).optional().during(READING)
}

fn inflated<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_reader(std::io::BufReader::new(DeflateDecoder::new(body)))
}

fn deflated<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let refused = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Refused { doing: DOING, source };
    let json = serde_json::to_vec(value).map_err(|e| refused(e.into()))?;
    let mut body = DeflateEncoder::new(Vec::new(), Compression::fast());
    body.write_all(&json).map_err(|e| refused(e.into()))?;
    body.finish().map_err(|e| refused(e.into()))
}
