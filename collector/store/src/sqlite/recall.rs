//! What was: incidents that ended, the firmware of BMCs.

use super::SqliteStore;
use super::decision::{bodies, signed};
use super::error::During;
use crate::StoreError;
use crate::recall::{BmcFirmware, Recall};
use outband_health::Incident;
use outband_schemas::{ServerId, Timestamp};
use outband_ticket::TicketNumber;
use rusqlite::Connection;

impl Recall for SqliteStore {
    fn ended_incidents(&self, since: Timestamp) -> Result<Vec<Incident>, StoreError> {
        let sql = "SELECT body FROM incident WHERE ended = 1 AND json_extract(body, '$.stage.at') >= ?1
                   ORDER BY json_extract(body, '$.stage.at'), id";
        self.read(|db| bodies(db, "an incident", sql, [since.as_millis()]))
    }

    fn incidents_of(&self, ticket: TicketNumber) -> Result<Vec<Incident>, StoreError> {
        let sql = "SELECT body FROM incident WHERE json_extract(body, '$.ticket') = ?1 ORDER BY id";
        self.read(|db| bodies(db, "an incident", sql, [signed(ticket.0)]))
    }

    fn bmc_firmwares(&self) -> Result<Vec<BmcFirmware>, StoreError> {
        let doing = "reading the firmware of BMCs";
        self.read(|db| {
            let mut query = db
                .prepare_cached("SELECT server, model, version, since FROM bmc_firmware ORDER BY server")
                .during(doing)?;
            let mut rows = query.query([]).during(doing)?;
            let mut out = Vec::new();
            while let Some(r) = rows.next().during(doing)? {
                let server: String = r.get(0).during(doing)?;
                let Ok(server) = ServerId::new(server) else { continue };
                let since: Option<i64> = r.get(3).during(doing)?;
                out.push(BmcFirmware {
                    server,
                    model: r.get(1).during(doing)?,
                    version: r.get(2).during(doing)?,
                    since: since.map(Timestamp::from_millis),
                });
            }
            Ok(out)
        })
    }
}

/// Notes the firmware of a server's BMC.
pub(super) fn store_firmware(db: &Connection, firmware: &BmcFirmware) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO bmc_firmware (server, model, version, since) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (server) DO UPDATE SET model = excluded.model, version = excluded.version, since = excluded.since",
    )
    .and_then(|mut s| {
        s.execute((
            firmware.server.as_str(),
            &firmware.model,
            &firmware.version,
            firmware.since.map(Timestamp::as_millis),
        ))
    })
    .during("storing the firmware of a BMC")?;
    Ok(())
}
