//! What servers used of power and cooling.

use super::SqliteStore;
use super::error::{During, to_json};
use crate::StoreError;
use crate::usage::{Known, ServerUsage, Usage};
use outband_health::fleet::usage::{Day, HOURS};
use outband_schemas::ServerId;

const KEEPING: &str = "keeping what servers used";
const READING: &str = "reading what servers used";

impl Usage for SqliteStore {
    fn keep_usage(&self, of: Vec<ServerUsage>, keep_from: i32) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        for ServerUsage { server, days } in &of {
            for (date, day) in days {
                let told = day.power.as_ref().map_or(0, |p| p.mean.count());
                rows.push((server.to_string(), *date, day.seen, told.min(HOURS), to_json(KEEPING, day)?));
            }
        }
        self.inner.writer.write(move |db, _| {
            let mut put = db
                .prepare_cached(
                    "INSERT INTO usage_day (server, date, seen, told, body) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (server, date) DO UPDATE SET seen = excluded.seen, told = excluded.told, body = excluded.body",
                )
                .during(KEEPING)?;
            for (server, date, seen, told, body) in &rows {
                let told = i64::try_from(*told).unwrap_or_default();
                put.execute((server, date, seen, told, body)).during(KEEPING)?;
            }
            let mut drop =
                db.prepare_cached("DELETE FROM usage_day WHERE server = ?1 AND date < ?2").during(KEEPING)?;
            for ServerUsage { server, .. } in &of {
                drop.execute((server.as_str(), keep_from)).during(KEEPING)?;
            }
            Ok(())
        })
    }

    fn usage(&self, server: &ServerId, from: i32, to: i32) -> Result<Vec<(i32, Day)>, StoreError> {
        self.read(|db| {
            let mut query = db
                .prepare_cached(
                    "SELECT date, body FROM usage_day WHERE server = ?1 AND date BETWEEN ?2 AND ?3 ORDER BY date",
                )
                .during(READING)?;
            let mut rows = query.query((server.as_str(), from, to)).during(READING)?;
            let mut days = Vec::new();
            while let Some(row) = rows.next().during(READING)? {
                let date: i32 = row.get(0).during(READING)?;
                let body = row.get_ref(1).and_then(|v| Ok(v.as_str()?)).during(READING)?;
                match serde_json::from_str(body) {
                    Ok(day) => days.push((date, day)),
                    Err(error) => tracing::error!(%server, date, %error, "what a server used on a day is damaged"),
                }
            }
            Ok(days)
        })
    }

    fn usage_known(&self, server: &ServerId, from: i32, to: i32) -> Result<Vec<Known>, StoreError> {
        self.read(|db| {
            let mut query = db
                .prepare_cached(
                    "SELECT date, seen, told FROM usage_day WHERE server = ?1 AND date BETWEEN ?2 AND ?3 ORDER BY date",
                )
                .during(READING)?;
            let rows = query
                .query_map((server.as_str(), from, to), |r| {
                    Ok(Known { date: r.get(0)?, seen: r.get(1)?, told: r.get(2)? })
                })
                .during(READING)?;
            rows.collect::<Result<_, _>>().during(READING)
        })
    }
}
