//! Changes of firmware, and the clocks of BMCs: written as inventories come.

use super::SqliteStore;
use super::error::{During, parsed};
use crate::StoreError;
use crate::change::{BmcClock, Changes, FirmwareChange};
use crate::record::ServerInventory;
use outband_schemas::{Part, ServerId, Timestamp};
use rusqlite::Connection;

/// A clock that is off by this much more or less than before is off by something else now: one second.
const CLOCK_MOVED_MS: i64 = 1000;

impl Changes for SqliteStore {
    fn firmware_changes(&self, server: &ServerId) -> Result<Vec<FirmwareChange>, StoreError> {
        self.read(|db| {
            let doing = "reading changes of firmware";
            let mut query = db
                .prepare_cached(
                    "SELECT component, serial, at, was, now FROM part_change WHERE server = ?1 ORDER BY at, component, serial",
                )
                .during(doing)?;
            let mut rows = query.query([server.as_str()]).during(doing)?;
            let mut out = Vec::new();
            while let Some(r) = rows.next().during(doing)? {
                let serial: String = r.get(1).during(doing)?;
                out.push(FirmwareChange {
                    component: parsed("a component", &r.get::<_, String>(0).during(doing)?)?,
                    serial: Some(serial).filter(|s| !s.is_empty()),
                    at: Timestamp::from_millis(r.get(2).during(doing)?),
                    was: r.get(3).during(doing)?,
                    now: r.get(4).during(doing)?,
                });
            }
            Ok(out)
        })
    }

    fn bmc_clocks(&self, server: &ServerId) -> Result<Vec<BmcClock>, StoreError> {
        self.read(|db| {
            let doing = "reading the clocks of BMCs";
            let mut query = db
                .prepare_cached("SELECT source, at, offset_ms FROM bmc_clock WHERE server = ?1 ORDER BY source, at")
                .during(doing)?;
            let mut rows = query.query([server.as_str()]).during(doing)?;
            let mut out = Vec::new();
            while let Some(r) = rows.next().during(doing)? {
                out.push(BmcClock {
                    source: r.get(0).during(doing)?,
                    at: Timestamp::from_millis(r.get(1).during(doing)?),
                    offset_ms: r.get(2).during(doing)?,
                });
            }
            Ok(out)
        })
    }
}

/// Notes that a part has another firmware than it had; before the part itself is written.
pub(super) fn note_firmware(
    db: &Connection,
    server: &ServerId,
    part: &Part,
    observed: Timestamp,
) -> Result<(), StoreError> {
    let Some(now) = part.firmware.as_deref().filter(|v| !v.is_empty()) else { return Ok(()) };
    db.prepare_cached(
        "INSERT INTO part_change (server, component, serial, at, was, now)
         SELECT server, component, serial, ?4, json_extract(body, '$.firmware'), ?5 FROM part
         WHERE server = ?1 AND component = ?2 AND serial = ?3 AND last_seen < ?4
           AND json_extract(body, '$.firmware') IS NOT NULL AND json_extract(body, '$.firmware') NOT IN ('', ?5)
         ON CONFLICT (server, component, serial, at) DO NOTHING",
    )
    .and_then(|mut s| {
        let serial = part.serial.as_deref().unwrap_or_default();
        s.execute((server.as_str(), part.component.to_string(), serial, observed.as_millis(), now))
    })
    .during("noting a change of firmware")?;
    Ok(())
}

/// Notes how wrong the BMC's clock is, where that is new.
pub(super) fn note_clock(db: &Connection, found: &ServerInventory) -> Result<(), StoreError> {
    let Some(offset) = found.inventory.bmc_clock_offset_ms else { return Ok(()) };
    db.prepare_cached(
        "INSERT INTO bmc_clock (server, source, at, offset_ms) SELECT ?1, ?2, ?3, ?4
         WHERE NOT EXISTS (SELECT 1 FROM (SELECT offset_ms FROM bmc_clock WHERE server = ?1 AND source = ?2 AND at <= ?3
                                          ORDER BY at DESC LIMIT 1) WHERE abs(offset_ms - ?4) <= ?5)
         ON CONFLICT (server, source, at) DO NOTHING",
    )
    .and_then(|mut s| {
        let (server, source) = (found.server.as_str(), found.inventory.source.to_string());
        s.execute((server, source, found.inventory.observed_at.as_millis(), offset, CLOCK_MOVED_MS))
    })
    .during("noting a BMC's clock")?;
    Ok(())
}
