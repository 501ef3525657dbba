//! The parts of the whole fleet, and how long they have run.

use super::SqliteStore;
use super::error::{During, from_json, parsed};
use crate::StoreError;
use crate::parts::{Hours, Parts, Stay};
use outband_schemas::{ComponentClass, ComponentId, Quality, Reading, SensorKind, ServerId, Timestamp, Value};
use rusqlite::{Connection, Row};
use serde::Deserialize;

const DOING: &str = "reading the parts of the fleet";

/// As much of a part as is told here: the whole of it takes twice as long to read.
#[derive(Deserialize)]
struct Body {
    manufacturer: Option<String>,
    model: Option<String>,
    part_number: Option<String>,
}

impl Parts for SqliteStore {
    fn each_server(&self, take: &mut dyn FnMut(&ServerId, Vec<Stay>)) -> Result<(), StoreError> {
        self.read(|db| {
            let mut query = db
                .prepare_cached(
                    "SELECT p.server, p.component, p.serial, p.body, p.first_seen, p.last_seen,
                            h.first_at, h.first_hours, h.last_at, h.last_hours
                     FROM part p LEFT JOIN part_hours h USING (server, component, serial)
                     ORDER BY p.server, p.component, p.last_seen, p.first_seen",
                )
                .during(DOING)?;
            let mut rows = query.query([]).during(DOING)?;
            let mut of: Option<(ServerId, Vec<Stay>)> = None;
            while let Some(r) = rows.next().during(DOING)? {
                let server = r.get_ref(0).and_then(|v| Ok(v.as_str()?)).during(DOING)?;
                if of.as_ref().is_none_or(|(id, _)| id.as_str() != server) {
                    let next = (parsed("a server's id", server)?, Vec::new());
                    if let Some((id, stays)) = of.replace(next) {
                        take(&id, stays);
                    }
                }
                let Some((_, stays)) = of.as_mut() else { continue };
                let stay = stay(r)?;
                if let Some(before) = stays.last_mut().filter(|b| b.component == stay.component) {
                    before.current = false;
                }
                stays.push(stay);
            }
            if let Some((id, stays)) = of {
                take(&id, stays);
            }
            Ok(())
        })
    }

    fn each_bare_place(&self, take: &mut dyn FnMut(&ServerId, ComponentId)) -> Result<(), StoreError> {
        self.read(|db| {
            let mut query = db
                .prepare_cached(
                    "SELECT DISTINCT s.server, s.component FROM series s JOIN server v ON v.id = s.server
                     WHERE s.class IN (?1, ?2, ?3, ?4) AND v.merged_into IS NULL AND NOT EXISTS
                        (SELECT 1 FROM part p WHERE p.server = s.server AND p.component = s.component)
                     ORDER BY s.server, s.component",
                )
                .during(DOING)?;
            let mut rows = query.query(BARE.map(ComponentClass::number)).during(DOING)?;
            while let Some(r) = rows.next().during(DOING)? {
                let text = |at| r.get::<_, String>(at).during(DOING);
                take(&parsed("a server's id", &text(0)?)?, parsed("a component", &text(1)?)?);
            }
            Ok(())
        })
    }
}

/// Parts that people exchange, and that inventories may leave out although they have sensors.
const BARE: [ComponentClass; 4] =
    [ComponentClass::Memory, ComponentClass::Disk, ComponentClass::PowerSupply, ComponentClass::Fan];

fn stay(r: &Row<'_>) -> Result<Stay, StoreError> {
    let time = |at| r.get(at).map(Timestamp::from_millis).during(DOING);
    let body: Body = from_json("a part", r.get_ref(3).and_then(|v| Ok(v.as_str()?)).during(DOING)?)?;
    let told: Option<i64> = r.get(6).during(DOING)?;
    let hours = match told {
        None => None,
        Some(first_at) => Some(Hours {
            first_at: Timestamp::from_millis(first_at),
            first: r.get(7).during(DOING)?,
            last_at: time(8)?,
            last: r.get(9).during(DOING)?,
        }),
    };
    Ok(Stay {
        component: parsed("a component", r.get_ref(1).and_then(|v| Ok(v.as_str()?)).during(DOING)?)?,
        serial: r.get(2).during(DOING)?,
        manufacturer: body.manufacturer,
        model: body.model,
        part_number: body.part_number,
        first_seen: time(4)?,
        last_seen: time(5)?,
        current: true,
        hours,
    })
}

/// Notes what a part says of its running time, at most once a day, where the part that is in the place can have said it: it was
/// there, and has not run longer since it last told than time has passed (and a day more, for clocks that differ). A count that went
/// back is another part's, or a board's that forgot: it is left out.
pub(super) fn note_hours(db: &Connection, server: &ServerId, reading: &Reading) -> Result<(), StoreError> {
    if reading.kind != SensorKind::PowerOnHours {
        return Ok(());
    }
    let Some(Value::Number(hours)) = reading.value.as_ref().filter(|_| reading.quality == Quality::Good) else {
        return Ok(());
    };
    db.prepare_cached(
        "INSERT INTO part_hours (server, component, serial, first_at, first_hours, last_at, last_hours)
         SELECT server, component, serial, ?3, ?4, ?3, ?4 FROM
            (SELECT * FROM part WHERE server = ?1 AND component = ?2 ORDER BY last_seen DESC, first_seen DESC LIMIT 1)
         WHERE serial <> '' AND first_seen <= ?3
         ON CONFLICT (server, component, serial) DO UPDATE SET last_at = excluded.last_at, last_hours = excluded.last_hours
         WHERE excluded.last_at >= last_at + 86400000 AND excluded.last_hours >= last_hours
           AND excluded.last_hours <= last_hours + (excluded.last_at - last_at) / 3600000.0 + 24",
    )
    .and_then(|mut s| s.execute((server.as_str(), reading.component.to_string(), reading.observed_at.as_millis(), hours)))
    .during("noting how long a part has run")?;
    Ok(())
}
