//! What comes in: hello, mark, ingest log.

use super::error::{During, damaged, from_json, parsed, to_json};
use super::query::next_token;
use super::writer::{Memory, Staged};
use crate::StoreError;
use crate::ingest::{
    Admission, AgentHello, AgentRecord, Committed, Epoch, IncomingBatch, KnownEntry, LaneRecord, LogRow, Skipped,
};
use crate::query::{Listing, Page};
use crate::record::{Poisoned, QuarantinedRow};
use outband_schemas::{AgentId, Cause, Gap, Lane, Source, SpoolId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, Rows};
use std::time::Duration;

/// Bodies of one answer of `log_after`, in bytes, at about which it ends.
const LOG_BYTES: usize = 4 << 20;

/// Admits a stream and fences the older ones.
pub(super) fn hello(db: &Connection, hello: &AgentHello, at: Timestamp) -> Result<Admission, StoreError> {
    let doing = "admitting an agent";
    let targets = to_json(doing, &hello.targets)?;
    let interval = i64::try_from(hello.sensor_interval.as_millis()).unwrap_or(i64::MAX);
    tell_of_other_spool(db, hello, at)?;
    let epoch = db
        .query_row(
            "INSERT INTO agent (name, site, version, targets, sensor_interval_ms, spool_id, epoch, hello_at, last_heard)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7)
             ON CONFLICT (name) DO UPDATE SET site = excluded.site, version = excluded.version, targets = excluded.targets,
                sensor_interval_ms = excluded.sensor_interval_ms, spool_id = excluded.spool_id, epoch = epoch + 1,
                hello_at = excluded.hello_at, last_heard = max(last_heard, excluded.last_heard)
             RETURNING epoch",
            (
                hello.agent.as_str(),
                hello.site.as_str(),
                &hello.version,
                targets,
                interval,
                hello.spool_id.to_string(),
                at.as_millis(),
            ),
            |r| r.get(0),
        )
        .during(doing)?;
    let mut marks = Vec::with_capacity(Lane::ALL.len());
    let mut known = Vec::with_capacity(Lane::ALL.len());
    for lane in Lane::ALL {
        let next = hello.lanes.iter().find(|l| l.lane == lane).map_or(1, |l| l.next);
        let committed = db
            .query_row(
                "INSERT INTO lane (agent, spool_id, lane, committed, announced) VALUES (?1, ?2, ?3, 0, ?4)
                 ON CONFLICT (agent, spool_id, lane) DO UPDATE SET announced = max(announced, excluded.announced)
                 RETURNING committed",
                (hello.agent.as_str(), hello.spool_id.to_string(), lane.number(), next.saturating_sub(1).max(0)),
                |r| r.get(0),
            )
            .during(doing)?;
        marks.push((lane, committed));
        known.extend(known_entry(db, hello, lane, committed)?);
    }
    Ok(Admission { epoch: Epoch(epoch), marks, known })
}

/// An agent that is known comes with a spool that nobody knows here: its old file was deleted, set aside or replaced, and with it went what was not sent. The
/// agent itself may not know (a deleted file leaves nothing that could tell), or may have told a collector that was put back to a backup since.
fn tell_of_other_spool(db: &Connection, hello: &AgentHello, at: Timestamp) -> Result<(), StoreError> {
    let doing = "looking for the agent's last spool";
    let name = hello.agent.as_str();
    let spool = hello.spool_id.to_string();
    let heard: Option<i64> = db
        .prepare_cached(
            "SELECT last_heard FROM agent WHERE name = ?1 AND spool_id <> ?2
             AND NOT EXISTS (SELECT 1 FROM lane WHERE agent = ?1 AND spool_id = ?2)",
        )
        .and_then(|mut s| s.query_row((name, &spool), |r| r.get(0)).optional())
        .during(doing)?;
    let Some(heard) = heard.map(Timestamp::from_millis) else { return Ok(()) };
    let gap = Gap {
        component: None,
        cause: Cause::SpoolLost,
        detail: "the agent came with another spool than before: what only the old one held is lost".to_owned(),
        observed_at: at,
        source: Source(format!("spool:{spool}")),
        span: Some((heard.min(at), heard.max(at))),
    };
    store_gap(db, &hello.agent, &gap, 1)
}

/// The newest entry of a lane through `mark` whose body is still in the ingest log.
fn known_entry(db: &Connection, hello: &AgentHello, lane: Lane, mark: i64) -> Result<Option<KnownEntry>, StoreError> {
    db.prepare_cached(
        "SELECT g.seq, g.body, g.crc FROM ingest_log g JOIN lane l ON l.id = g.lane_id
         WHERE l.agent = ?1 AND l.spool_id = ?2 AND l.lane = ?3 AND g.seq <= ?4 ORDER BY g.seq DESC LIMIT 1",
    )
    .and_then(|mut s| {
        s.query_row((hello.agent.as_str(), hello.spool_id.to_string(), lane.number(), mark), |r| {
            // What came, not what is there now: a bit that flipped here does not make the agent's spool another one.
            let came: Option<u32> = r.get(2)?;
            let crc32c = came.map_or_else(|| Ok(crc32c::crc32c(r.get_ref(1)?.as_blob()?)), Ok::<_, rusqlite::Error>)?;
            Ok(KnownEntry { lane, seq: r.get(0)?, crc32c })
        })
        .optional()
    })
    .during("looking for the newest entry of a lane")
}

/// Notes that an agent is alive.
pub(super) fn heard(db: &Connection, agent: &AgentId, at: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE agent SET last_heard = max(last_heard, ?2) WHERE name = ?1")
        .and_then(|mut s| s.execute((agent.as_str(), at.as_millis())))
        .during("noting an agent")?;
    Ok(())
}

/// Stores a batch and moves the mark.
pub(super) fn commit(
    db: &Connection,
    memory: &mut Memory,
    batch: &IncomingBatch,
    at: Timestamp,
) -> Result<Committed, StoreError> {
    let doing = "storing a batch";
    let found: Option<(i64, i64, i64)> = db
        .prepare_cached(
            "SELECT l.id, l.committed, a.epoch FROM lane l JOIN agent a ON a.name = l.agent
             WHERE l.agent = ?1 AND l.spool_id = ?2 AND l.lane = ?3",
        )
        .and_then(|mut s| {
            s.query_row((batch.agent.as_str(), batch.spool_id.to_string(), batch.lane.number()), |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?))
            })
            .optional()
        })
        .during(doing)?;
    let Some((lane_id, mark, epoch)) = found else {
        return Err(StoreError::NotFound { what: format!("spool {} of agent {}", batch.spool_id, batch.agent) });
    };
    if epoch != batch.epoch.0 {
        return Err(StoreError::Fenced { agent: batch.agent.clone() });
    }
    let from = follow(batch, mark)?;
    if let Some((skipped, first)) = from.skipped {
        store_skip(db, batch, skipped, first)?;
    }
    let mut through = from.mark;
    let mut stored = 0;
    let sql = "INSERT INTO ingest_log (lane_id, seq, received_at, body, crc) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut insert = db.prepare_cached(sql).during(doing)?;
    for (body, seq) in batch.bodies.iter().zip(batch.first_seq..) {
        if seq <= through {
            refuse_other_body(db, lane_id, batch.lane, seq, body)?;
            continue;
        }
        insert.execute((lane_id, seq, at.as_millis(), body, crc32c::crc32c(body))).during(doing)?;
        through = seq;
        stored += 1;
    }
    if through > mark {
        db.prepare_cached("UPDATE lane SET committed = ?2, announced = max(announced, ?2) WHERE id = ?1")
            .and_then(|mut s| s.execute((lane_id, through)))
            .during(doing)?;
    }
    heard(db, &batch.agent, at)?;
    if stored > 0 {
        memory.staged.push(Staged::Logged);
    }
    Ok(Committed { through, stored })
}

struct Follows<'a> {
    /// The mark once what was skipped is noted.
    mark: i64,
    /// What is missing for good, from which sequence on.
    skipped: Option<(&'a Skipped, i64)>,
}

/// Whether the batch follows on the mark. A skip that begins before the mark counts from the mark: those entries did come.
fn follow(batch: &IncomingBatch, mark: i64) -> Result<Follows<'_>, StoreError> {
    let jump = || StoreError::Jump {
        lane: batch.lane,
        mark,
        first_seq: batch.first_seq,
        skipped: batch.skipped.as_ref().map(|s| (s.first, s.last)),
    };
    let next = mark.checked_add(1).ok_or_else(jump)?;
    let end = i64::try_from(batch.bodies.len()).ok().and_then(|n| batch.first_seq.checked_add(n));
    if batch.first_seq < 1 || end.is_none() {
        return Err(jump());
    }
    match &batch.skipped {
        Some(s) if s.first > s.last || s.first < 1 || s.last.checked_add(1) != Some(batch.first_seq) => Err(jump()),
        Some(s) if s.first > next => Err(jump()),
        Some(s) if s.last >= next => Ok(Follows { mark: s.last, skipped: Some((s, next)) }),
        Some(_) => Ok(Follows { mark, skipped: None }),
        None if batch.first_seq > next => Err(jump()),
        None => Ok(Follows { mark, skipped: None }),
    }
}

/// A body that came before must be the same as now, as far as it is still at hand.
fn refuse_other_body(db: &Connection, lane_id: i64, lane: Lane, seq: i64, body: &[u8]) -> Result<(), StoreError> {
    let same: Option<bool> = db
        .prepare_cached(
            "SELECT CASE WHEN crc IS NULL THEN body = ?3 ELSE crc = ?4 END FROM ingest_log WHERE lane_id = ?1 AND seq = ?2",
        )
        .and_then(|mut s| s.query_row((lane_id, seq, body, crc32c::crc32c(body)), |r| r.get(0)).optional())
        .during("comparing a body")?;
    if same == Some(false) { Err(StoreError::DifferentBody { lane, seq }) } else { Ok(()) }
}

fn store_skip(db: &Connection, batch: &IncomingBatch, skipped: &Skipped, first: i64) -> Result<(), StoreError> {
    let gap = Gap {
        component: None,
        cause: skipped.cause,
        detail: skipped.detail.clone(),
        observed_at: skipped.to,
        source: Source(format!("spool:{}/{}/{first}-{}", batch.spool_id, batch.lane.as_str(), skipped.last)),
        span: Some((skipped.from, skipped.to)),
    };
    store_gap(db, &batch.agent, &gap, skipped.last - first + 1)
}

pub(super) fn store_gap(db: &Connection, agent: &AgentId, gap: &Gap, count: i64) -> Result<(), StoreError> {
    let doing = "storing what an agent lost";
    db.execute(
        "INSERT INTO gap (agent, fingerprint, observed_at, last_observed, count, body) VALUES (?1, ?2, ?3, ?3, ?4, ?5)",
        (agent.as_str(), &gap.source.0, gap.observed_at.as_millis(), count, to_json(doing, gap)?),
    )
    .during(doing)?;
    Ok(())
}

/// Rows of the ingest log, oldest first.
pub(super) fn log_after(db: &Connection, after: i64, max_rows: usize) -> Result<Vec<LogRow>, StoreError> {
    let doing = "reading the ingest log";
    let mut query = db
        .prepare_cached(
            "SELECT g.id, l.agent, l.spool_id, l.lane, g.seq, g.received_at, g.body, g.crc, g.seq <= l.assessed
             FROM ingest_log g JOIN lane l ON l.id = g.lane_id WHERE g.id > ?1 ORDER BY g.id LIMIT ?2",
        )
        .during(doing)?;
    some(query.query((after, i64::try_from(max_rows).unwrap_or(i64::MAX))).during(doing)?)
}

/// Rows of the event lane that were not assessed yet, oldest first. Found by the lanes' sequences, without a look at the telemetry between them.
pub(super) fn urgent(db: &Connection, max_rows: usize) -> Result<Vec<LogRow>, StoreError> {
    let doing = "reading the ingest log";
    let mut query = db
        .prepare_cached(
            "SELECT g.id, l.agent, l.spool_id, l.lane, g.seq, g.received_at, g.body, g.crc, 0
             FROM ingest_log g JOIN lane l ON l.id = g.lane_id
             WHERE g.id IN (SELECT e.id FROM lane o CROSS JOIN ingest_log e ON e.lane_id = o.id AND e.seq > o.assessed
                            WHERE o.lane = ?1 AND e.id > (SELECT cursor FROM state) ORDER BY e.id LIMIT ?2)
             ORDER BY g.id",
        )
        .during(doing)?;
    some(query.query((Lane::Event.number(), i64::try_from(max_rows).unwrap_or(i64::MAX))).during(doing)?)
}

/// The rows, as far as a bound on their bodies lets.
fn some(mut rows: Rows<'_>) -> Result<Vec<LogRow>, StoreError> {
    let (mut out, mut bytes) = (Vec::new(), 0);
    while bytes < LOG_BYTES
        && let Some(r) = rows.next().during("reading the ingest log")?
    {
        let row = checked_row(r)?;
        bytes += row.body.len();
        out.push(LogRow { assessed: r.get(8).during("reading the ingest log")?, ..row });
    }
    Ok(out)
}

/// A row of the ingest log and, as its eighth column, the checksum of the body that came.
pub(super) fn checked_row(r: &Row<'_>) -> Result<LogRow, StoreError> {
    let came: Option<u32> = r.get(7).during("reading the ingest log")?;
    let row = log_row(r)?;
    Ok(LogRow { damaged: came.is_some_and(|crc| crc != crc32c::crc32c(&row.body)), ..row })
}

/// The columns of a row of the ingest log, in the order of the queries here.
fn log_row(r: &Row<'_>) -> Result<LogRow, StoreError> {
    let doing = "reading the ingest log";
    let text = |i: usize| r.get_ref(i).and_then(|v| Ok(v.as_str()?)).during(doing);
    Ok(LogRow {
        id: r.get(0).during(doing)?,
        agent: parsed::<AgentId>("an agent's name", text(1)?)?,
        spool_id: parsed::<SpoolId>("a spool id", text(2)?)?,
        lane: lane(r.get(3).during(doing)?)?,
        seq: r.get(4).during(doing)?,
        received_at: Timestamp::from_millis(r.get(5).during(doing)?),
        body: r.get(6).during(doing)?,
        damaged: false,
        assessed: false,
    })
}

/// Agents of whose bodies some were kept apart since then. Looks at no more than so many rows of the log that nobody could read all of them in a night.
pub(super) fn poisoned(db: &Connection, since: Timestamp) -> Result<Vec<Poisoned>, StoreError> {
    let doing = "looking for what was kept apart";
    // `error` is that of the row with the maximum.
    let mut query = db
        .prepare_cached(
            "SELECT l.agent, count(*), min(q.at), max(q.row_id), q.error
             FROM (SELECT row_id, lane_id, at, error FROM quarantine ORDER BY row_id DESC LIMIT 10000) q
             JOIN lane l ON l.id = q.lane_id WHERE q.at >= ?1 GROUP BY l.agent ORDER BY l.agent",
        )
        .during(doing)?;
    let mut rows = query.query([since.as_millis()]).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        out.push(Poisoned {
            agent: parsed("an agent's name", &r.get::<_, String>(0).during(doing)?)?,
            count: r.get::<_, i64>(1).during(doing)?.unsigned_abs(),
            since: Timestamp::from_millis(r.get(2).during(doing)?),
            error: r.get(4).during(doing)?,
        });
    }
    Ok(out)
}

/// Bodies that could not be understood, oldest first.
pub(super) fn quarantined(db: &Connection, page: &Page) -> Result<Listing<QuarantinedRow>, StoreError> {
    let doing = "reading the quarantine";
    let after: i64 = page.token.as_ref().map_or(Ok(0), |t| t.parse().map_err(|_| StoreError::BadToken))?;
    let limit = page.limit.max(1);
    let mut query = db
        .prepare_cached(
            "SELECT q.row_id, l.agent, l.spool_id, l.lane, q.seq, q.received_at, q.body, q.error, q.at
             FROM quarantine q JOIN lane l ON l.id = q.lane_id WHERE q.row_id > ?1 ORDER BY q.row_id LIMIT ?2",
        )
        .during(doing)?;
    let mut rows = query.query((after, i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1))).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        out.push(QuarantinedRow {
            row: log_row(r)?,
            error: r.get(7).during(doing)?,
            at: Timestamp::from_millis(r.get(8).during(doing)?),
        });
    }
    next_token(out, limit, |last| Ok(last.row.id.to_string()))
}

fn lane(number: u8) -> Result<Lane, StoreError> {
    Lane::from_number(number).ok_or_else(|| damaged("a lane", number))
}

/// All agents with both lanes of their current spool.
pub(super) fn agents(db: &Connection) -> Result<Vec<AgentRecord>, StoreError> {
    let doing = "reading the agents";
    let mut query = db
        .prepare_cached(
            "SELECT name, site, version, targets, sensor_interval_ms, spool_id, epoch, hello_at, last_heard
             FROM agent ORDER BY name",
        )
        .during(doing)?;
    let mut rows = query.query([]).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        let text = |i: usize| r.get::<_, String>(i).during(doing);
        let millis = r.get::<_, i64>(4).during(doing)?;
        let agent: AgentId = parsed("an agent's name", &text(0)?)?;
        let spool_id: SpoolId = parsed("a spool id", &text(5)?)?;
        out.push(AgentRecord {
            lanes: lanes(db, &agent, spool_id)?,
            agent,
            site: parsed("a site", &text(1)?)?,
            version: text(2)?,
            targets: from_json("an agent's targets", &text(3)?)?,
            sensor_interval: Duration::from_millis(u64::try_from(millis).unwrap_or(0)),
            spool_id,
            epoch: Epoch(r.get(6).during(doing)?),
            hello_at: Timestamp::from_millis(r.get(7).during(doing)?),
            last_heard: Timestamp::from_millis(r.get(8).during(doing)?),
        });
    }
    Ok(out)
}

fn lanes(db: &Connection, agent: &AgentId, spool_id: SpoolId) -> Result<Vec<LaneRecord>, StoreError> {
    let doing = "reading an agent's lanes";
    let mut query = db
        .prepare_cached(
            "SELECT lane, committed, announced, newest_observed FROM lane WHERE agent = ?1 AND spool_id = ?2 ORDER BY lane",
        )
        .during(doing)?;
    let mut rows = query.query((agent.as_str(), spool_id.to_string())).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        out.push(LaneRecord {
            lane: lane(r.get(0).during(doing)?)?,
            committed: r.get(1).during(doing)?,
            announced: r.get(2).during(doing)?,
            newest_observed: r.get::<_, Option<i64>>(3).during(doing)?.map(Timestamp::from_millis),
        });
    }
    Ok(out)
}
