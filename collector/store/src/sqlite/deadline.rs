//! The index of deadlines, revisions of policies, and the collector's time.

use super::error::{During, from_json, is_duplicate, to_json};
use super::{SqliteStore, ticket};
use crate::StoreError;
use crate::deadline::{Deadlines, Indexed, KeptTime, Settled};
use outband_schemas::Timestamp;
use outband_ticket::{SlaPolicy, TicketNumber};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeMap;

impl Deadlines for SqliteStore {
    fn indexed(&self) -> Result<Indexed, StoreError> {
        self.read(|db| {
            let row = |r: &rusqlite::Row<'_>| Ok(Indexed { change: r.get(0)?, terms: r.get(1)? });
            db.query_row("SELECT change, terms FROM deadline_index", [], row).during("reading the index of deadlines")
        })
    }

    fn due(&self, now: Timestamp, max: usize) -> Result<Vec<TicketNumber>, StoreError> {
        let doing = "reading deadlines";
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        self.read(|db| {
            let mut query = db
                .prepare_cached("SELECT ticket FROM deadline WHERE due <= ?1 ORDER BY due, ticket LIMIT ?2")
                .during(doing)?;
            let rows = query.query_map((now.as_millis(), max), |r| r.get::<_, i64>(0)).during(doing)?;
            rows.map(|n| Ok(TicketNumber(n.during(doing)?.unsigned_abs()))).collect()
        })
    }

    fn settle(&self, found: Vec<Settled>, indexed: Option<Indexed>) -> Result<Vec<TicketNumber>, StoreError> {
        self.inner.writer.write(move |db, _| {
            let mut changed = Vec::new();
            for one in &found {
                if !settle(db, one)? {
                    changed.push(one.ticket);
                }
            }
            if let Some(indexed) = &indexed {
                db.execute("UPDATE deadline_index SET change = ?1, terms = ?2", (indexed.change, &indexed.terms))
                    .during("storing the index of deadlines")?;
            }
            Ok(changed)
        })
    }

    fn next_due(&self, tickets: &[TicketNumber]) -> Result<BTreeMap<TicketNumber, Timestamp>, StoreError> {
        let doing = "reading deadlines";
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT due FROM deadline WHERE ticket = ?1").during(doing)?;
            let mut found = BTreeMap::new();
            for ticket in tickets {
                let number = i64::try_from(ticket.0).unwrap_or(i64::MAX);
                let due: Option<i64> = query.query_row([number], |r| r.get(0)).optional().during(doing)?;
                found.extend(due.map(|due| (*ticket, Timestamp::from_millis(due))));
            }
            Ok(found)
        })
    }

    fn policies(&self) -> Result<Vec<(Timestamp, SlaPolicy)>, StoreError> {
        let doing = "reading policies";
        self.read(|db| {
            let mut query =
                db.prepare_cached("SELECT since, body FROM sla_policy ORDER BY name, revision").during(doing)?;
            let rows = query.query_map([], |r| Ok((r.get(0)?, r.get::<_, String>(1)?))).during(doing)?;
            rows.map(|row| {
                let (since, body) = row.during(doing)?;
                Ok((Timestamp::from_millis(since), from_json("a policy", &body)?))
            })
            .collect()
        })
    }

    fn keep_policy(&self, policy: &SlaPolicy, since: Timestamp) -> Result<(), StoreError> {
        let doing = "storing a policy";
        let (policy, body) = (policy.clone(), to_json(doing, policy)?);
        self.inner.writer.write(move |db, _| {
            let kept = db.execute(
                "INSERT INTO sla_policy (name, revision, since, body) VALUES (?1, ?2, ?3, ?4)",
                (&policy.name, policy.revision, since.as_millis(), body),
            );
            match kept {
                Err(e) if is_duplicate(&e) => {
                    Err(StoreError::Conflict { what: format!("policy {} revision {}", policy.name, policy.revision) })
                }
                other => other.map(|_| ()).during(doing),
            }
        })
    }

    fn kept_time(&self) -> Result<Option<KeptTime>, StoreError> {
        self.read(|db| {
            let row = |r: &rusqlite::Row<'_>| {
                Ok(KeptTime { at: Timestamp::from_millis(r.get(0)?), boot: r.get(1)?, boot_id: r.get(2)? })
            };
            db.query_row("SELECT at, boot, boot_id FROM collector_time", [], row).optional().during("reading the time")
        })
    }

    fn keep_time(&self, time: KeptTime) -> Result<(), StoreError> {
        self.inner.writer.write(move |db, _| {
            db.execute(
                "INSERT INTO collector_time (one, at, boot, boot_id) VALUES (1, ?1, ?2, ?3)
                 ON CONFLICT (one) DO UPDATE SET at = excluded.at, boot = excluded.boot, boot_id = excluded.boot_id",
                (time.at.as_millis(), time.boot, &time.boot_id),
            )
            .map(|_| ())
            .during("storing the time")
        })
    }
}

/// Writes what was found of one ticket; `false` where it was changed meanwhile.
fn settle(db: &Connection, one: &Settled) -> Result<bool, StoreError> {
    let doing = "storing a deadline";
    let number = i64::try_from(one.ticket.0).unwrap_or(i64::MAX);
    if let Some(write) = &one.write {
        db.execute_batch("SAVEPOINT deadline").during(doing)?;
        let written = ticket::write(db, write);
        let end = if written.is_ok() { "RELEASE deadline" } else { "ROLLBACK TO deadline; RELEASE deadline" };
        db.execute_batch(end).during(doing)?;
        match written {
            Err(StoreError::Conflict { .. }) => return Ok(false),
            other => other?,
        }
    }
    match one.next {
        Some(due) => db
            .prepare_cached(
                "INSERT INTO deadline (ticket, due) VALUES (?1, ?2) ON CONFLICT (ticket) DO UPDATE SET due = excluded.due",
            )
            .and_then(|mut s| s.execute((number, due.as_millis()))),
        None => db
            .prepare_cached("DELETE FROM deadline WHERE ticket = ?1")
            .and_then(|mut s| s.execute([number])),
    }
    .during(doing)?;
    Ok(true)
}
