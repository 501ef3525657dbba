//! What was made of the bodies, written in one transaction with the cursor.

use super::change;
use super::error::{During, is_duplicate, to_json};
use super::ingest::{checked_row, store_gap};
use super::readings;
use super::recall::store_firmware;
use super::ticket;
use super::writer::{Memory, Staged};
use crate::StoreError;
use crate::query::Scope;
use crate::record::{Applied, HealthRecord, Poison, ServerEvents, ServerGaps, ServerInventory, ServerRecord};
use outband_health::{Incident, IncidentKey, Stage};
use outband_schemas::{AgentId, Cause, Gap, Lane, LogEvent, ServerId, Source, SpoolId, Timestamp};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// A gap that is noticed again within this many milliseconds goes on: one hour.
const GAP_GOES_ON_MS: i64 = 3600 * 1000;

/// Writes it all.
pub(super) fn apply(db: &Connection, memory: &mut Memory, applied: Applied, at: Timestamp) -> Result<(), StoreError> {
    if let Some(through) = applied.through {
        move_cursor(db, through)?;
    }
    for ((agent, spool), through) in &applied.urgent {
        move_lane(db, agent, *spool, *through)?;
    }
    let mut moved = false;
    for server in &applied.servers {
        moved |= store_server(db, server)?;
    }
    if moved {
        memory.staged.push(Staged::Moved);
    }
    readings::store_readings(db, memory, &applied.readings)?;
    for events in &applied.events {
        store_events(db, events)?;
    }
    for gaps in &applied.gaps {
        store_gaps(db, gaps)?;
    }
    for inventory in &applied.inventories {
        store_parts(db, inventory)?;
    }
    for health in &applied.healths {
        store_health(db, health)?;
    }
    for key in &applied.dropped {
        drop_incident(db, key)?;
    }
    for incident in &applied.incidents {
        store_incident(db, incident)?;
    }
    for write in &applied.tickets {
        ticket::write(db, write)?;
    }
    for poison in &applied.poison {
        quarantine(db, poison, at)?;
    }
    let mut newest: BTreeMap<(&AgentId, Lane), Timestamp> = BTreeMap::new();
    for (agent, lane, observed) in &applied.observed {
        let known = newest.entry((agent, *lane)).or_insert(*observed);
        *known = (*observed).max(*known);
    }
    for ((agent, lane), observed) in newest {
        store_observed(db, agent, lane, observed)?;
    }
    for firmware in &applied.firmware {
        store_firmware(db, firmware)?;
    }
    Ok(())
}

fn move_cursor(db: &Connection, through: i64) -> Result<(), StoreError> {
    let moved = db
        .prepare_cached("UPDATE state SET cursor = ?1 WHERE cursor < ?1")
        .and_then(|mut s| s.execute([through]))
        .during("moving the cursor")?;
    if moved == 1 { Ok(()) } else { Err(StoreError::Conflict { what: format!("the cursor ({through})") }) }
}

fn move_lane(db: &Connection, agent: &AgentId, spool: SpoolId, through: i64) -> Result<(), StoreError> {
    let moved = db
        .prepare_cached(
            "UPDATE lane SET assessed = ?4 WHERE agent = ?1 AND spool_id = ?2 AND lane = ?3 AND assessed < ?4",
        )
        .and_then(|mut s| s.execute((agent.as_str(), spool.to_string(), Lane::Event.number(), through)))
        .during("noting how far an event lane was assessed")?;
    if moved == 1 {
        Ok(())
    } else {
        Err(StoreError::Conflict { what: format!("the event lane of {agent} ({through})") })
    }
}

/// Answers whether a target is of another server now than before, or of one for the first time.
fn store_server(db: &Connection, server: &ServerRecord) -> Result<bool, StoreError> {
    let doing = "storing a server";
    db.prepare_cached(
        "INSERT INTO server (id, site, identity, first_seen, last_seen, merged_into, rev) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)
         ON CONFLICT (id) DO UPDATE SET site = excluded.site, identity = excluded.identity,
            first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen),
            merged_into = excluded.merged_into, rev = rev + 1",
    )
    .and_then(|mut s| {
        s.execute((
            server.id.as_str(),
            server.site.as_str(),
            serde_json::to_string(&server.identity).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?,
            server.first_seen.as_millis(),
            server.last_seen.as_millis(),
            server.merged_into.as_ref().map(ServerId::as_str),
        ))
    })
    .during(doing)?;
    let mut moved = 0;
    for bound in &server.targets {
        moved += db
            .prepare_cached(
                "INSERT INTO target (agent, target, server) VALUES (?1, ?2, ?3)
                 ON CONFLICT (agent, target) DO UPDATE SET server = excluded.server WHERE server <> excluded.server",
            )
            .and_then(|mut s| s.execute((bound.agent.as_str(), bound.target.as_str(), server.id.as_str())))
            .during(doing)?;
    }
    Ok(moved > 0)
}

fn store_events(db: &Connection, events: &ServerEvents) -> Result<(), StoreError> {
    let doing = "storing a log entry";
    for event in &events.events {
        let body = to_json(doing, event)?;
        db.prepare_cached(
            "INSERT INTO event (server, natural_key, severity, observed_at, received_at, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (server, natural_key) DO NOTHING",
        )
        .and_then(|mut s| {
            s.execute((
                events.server.as_str(),
                event.natural_key(),
                event.severity.number(),
                event.observed_at.as_millis(),
                events.received_at.as_millis(),
                body,
            ))
        })
        .during(doing)?;
    }
    Ok(())
}

/// Which of these entries are stored already.
pub(super) fn known_events(db: &Connection, server: &ServerId, events: &[LogEvent]) -> Result<Vec<bool>, StoreError> {
    let doing = "looking for log entries";
    let mut query = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM event WHERE server = ?1 AND natural_key = ?2)")
        .during(doing)?;
    events.iter().map(|e| query.query_row((server.as_str(), e.natural_key()), |r| r.get(0)).during(doing)).collect()
}

fn store_gaps(db: &Connection, gaps: &ServerGaps) -> Result<(), StoreError> {
    let doing = "storing a gap";
    for gap in &gaps.gaps {
        let (at, print) = (gap.observed_at.as_millis(), fingerprint(gap));
        let longer = db
            .prepare_cached(
                "UPDATE gap SET observed_at = min(observed_at, ?3), last_observed = max(last_observed, ?3), count = count + 1
                 WHERE id = (SELECT id FROM gap WHERE server = ?1 AND fingerprint = ?2 AND last_observed >= ?3 - ?4
                             AND observed_at <= ?3 + ?4 ORDER BY last_observed DESC LIMIT 1)",
            )
            .and_then(|mut s| s.execute((gaps.server.as_str(), &print, at, GAP_GOES_ON_MS)))
            .during(doing)?;
        if longer == 0 {
            let body = to_json(doing, gap)?;
            db.prepare_cached(
                "INSERT INTO gap (server, fingerprint, observed_at, last_observed, count, body)
                 VALUES (?1, ?2, ?3, ?3, 1, ?4)",
            )
            .and_then(|mut s| s.execute((gaps.server.as_str(), &print, at, body)))
            .during(doing)?;
        }
    }
    Ok(())
}

/// What makes two gaps one that goes on.
fn fingerprint(gap: &Gap) -> String {
    let place = gap.component.as_ref().map(ToString::to_string).unwrap_or_default();
    let span = gap.span.map(|(a, b)| format!("{}-{}", a.as_millis(), b.as_millis())).unwrap_or_default();
    format!("{place}\u{1f}{}\u{1f}{}\u{1f}{span}", gap.cause.number(), gap.source)
}

fn store_parts(db: &Connection, found: &ServerInventory) -> Result<(), StoreError> {
    let doing = "storing a part";
    change::note_clock(db, found)?;
    for part in &found.inventory.parts {
        change::note_firmware(db, &found.server, part, found.inventory.observed_at)?;
        let body = to_json(doing, part)?;
        db.prepare_cached(
            "INSERT INTO part (server, component, serial, body, first_seen, last_seen) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
             ON CONFLICT (server, component, serial) DO UPDATE SET
                body = CASE WHEN excluded.last_seen >= last_seen THEN excluded.body ELSE body END,
                first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen)",
        )
        .and_then(|mut s| {
            s.execute((
                found.server.as_str(),
                part.component.to_string(),
                part.serial.as_deref().unwrap_or_default(),
                body,
                found.inventory.observed_at.as_millis(),
            ))
        })
        .during(doing)?;
    }
    Ok(())
}

fn store_health(db: &Connection, record: &HealthRecord) -> Result<(), StoreError> {
    let doing = "storing a health score";
    let (server, level) = match &record.scope {
        Scope::Site(_) => (None, 0),
        Scope::Server(server) => (Some(server), 1),
        Scope::Component(server, _) => (Some(server), 2),
    };
    let body = to_json(doing, &record.health)?;
    db.prepare_cached(
        "INSERT INTO health (scope, server, level, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (scope) DO UPDATE SET body = excluded.body",
    )
    .and_then(|mut s| s.execute((record.scope.to_string(), server.map(ServerId::as_str), level, body)))
    .during(doing)?;
    Ok(())
}

fn drop_incident(db: &Connection, key: &IncidentKey) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM incident WHERE server = ?1 AND component = ?2 AND fault = ?3 AND ended = 0")
        .and_then(|mut s| s.execute((key.server.as_str(), key.component.to_string(), key.fault.as_str())))
        .during("dropping an incident")?;
    Ok(())
}

fn store_incident(db: &Connection, incident: &Incident) -> Result<(), StoreError> {
    let doing = "storing an incident";
    let body = to_json(doing, incident)?;
    let key = &incident.key;
    let stored = db
        .prepare_cached(
            "INSERT INTO incident (server, component, fault, noted_at, ended, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (server, component, fault, noted_at) DO UPDATE SET ended = excluded.ended, body = excluded.body",
        )
        .and_then(|mut s| {
            s.execute((
                key.server.as_str(),
                key.component.to_string(),
                key.fault.as_str(),
                incident.noted_at.as_millis(),
                matches!(incident.stage, Stage::Ended { .. }),
                body,
            ))
        });
    match stored {
        Err(e) if is_duplicate(&e) => Err(StoreError::Conflict {
            what: format!("the incident of {} {} {}", key.server, key.component, key.fault),
        }),
        other => other.map(|_| ()).during(doing),
    }
}

fn quarantine(db: &Connection, poison: &Poison, at: Timestamp) -> Result<(), StoreError> {
    tell_if_lost(db, poison.row)?;
    db.execute(
        "INSERT INTO quarantine (row_id, lane_id, seq, received_at, body, error, at)
         SELECT id, lane_id, seq, received_at, body, ?2, ?3 FROM ingest_log WHERE id = ?1
         ON CONFLICT (row_id) DO UPDATE SET error = excluded.error, at = excluded.at",
        (poison.row, &poison.error, at.as_millis()),
    )
    .during("storing a body that could not be understood")?;
    Ok(())
}

/// A row whose bytes changed after they were acknowledged is gone for good, here and at the agent: what it held is told as a gap, once.
fn tell_if_lost(db: &Connection, row: i64) -> Result<(), StoreError> {
    let doing = "telling what a damaged body held";
    let mut query = db
        .prepare_cached(
            "SELECT g.id, l.agent, l.spool_id, l.lane, g.seq, g.received_at, g.body, g.crc, l.newest_observed
             FROM ingest_log g JOIN lane l ON l.id = g.lane_id
             WHERE g.id = ?1 AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.row_id = g.id)",
        )
        .during(doing)?;
    let mut rows = query.query([row]).during(doing)?;
    let Some(r) = rows.next().during(doing)? else { return Ok(()) };
    let lost = checked_row(r)?;
    if !lost.damaged {
        return Ok(());
    }
    // When it was seen stood in it. What its lane told before it is older, and it came here then.
    let before: Option<i64> = r.get(8).during(doing)?;
    let from = before.map_or(lost.received_at, Timestamp::from_millis).min(lost.received_at);
    let gap = Gap {
        component: None,
        cause: Cause::Malformed,
        detail: format!(
            "entry {} of the {} lane changed on the collector's disk after it was acknowledged",
            lost.seq,
            lost.lane.as_str()
        ),
        observed_at: lost.received_at,
        source: Source(format!("spool:{}/{}/{}-{}", lost.spool_id, lost.lane.as_str(), lost.seq, lost.seq)),
        span: Some((from, lost.received_at)),
    };
    store_gap(db, &lost.agent, &gap, 1)
}

fn store_observed(db: &Connection, agent: &AgentId, lane: Lane, observed: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE lane SET newest_observed = max(coalesce(newest_observed, ?3), ?3)
         WHERE agent = ?1 AND lane = ?2 AND spool_id = (SELECT spool_id FROM agent WHERE name = ?1)",
    )
    .and_then(|mut s| s.execute((agent.as_str(), lane.number(), observed.as_millis())))
    .during("noting how far a lane was assessed")?;
    Ok(())
}
