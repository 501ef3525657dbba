//! Invites, certificates, revocations.

use super::error::{During, damaged};
use super::{SqliteStore, audit, ticket};
use crate::StoreError;
use crate::audit::{Noted, Sha256Hash};
use crate::enrol::{AgentCertificate, Enrolments, Invite};
use outband_schemas::{AgentId, IdError, SiteId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};
use std::time::Duration;

const WRITING: &str = "storing how an agent joins";
const READING: &str = "reading how agents join";
/// Invites that are over are shown for so long; the audit log keeps them for good.
const SHOWN: Duration = Duration::from_secs(90 * 24 * 3600);
const INVITE: &str = "SELECT id, site, agent, who, created_at, expires_at, ended_at, used_by FROM invite";

impl Enrolments for SqliteStore {
    fn reserve_invite(&self) -> Result<u64, StoreError> {
        self.inner.writer.write(|db, _| ticket::reserve(db, "invite", 1))
    }

    fn add_invite(&self, invite: Invite, digest: Sha256Hash, noted: Noted) -> Result<(), StoreError> {
        self.inner.writer.write(move |db, _| {
            db.execute(
                "INSERT INTO invite (id, digest, site, agent, who, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                (
                    signed(invite.id),
                    digest.0,
                    invite.site.as_str(),
                    invite.agent.as_ref().map(AgentId::as_str),
                    &invite.who,
                    invite.created_at.as_millis(),
                    invite.expires_at.as_millis(),
                ),
            )
            .during(WRITING)?;
            let old = invite.created_at.minus(SHOWN).as_millis();
            db.execute("DELETE FROM invite WHERE expires_at < ?1", [old]).during(WRITING)?;
            audit::keep(db, &noted).map(|_| ())
        })
    }

    fn revoke_invite(&self, id: u64, at: Timestamp, noted: Noted) -> Result<(), StoreError> {
        self.inner.writer.write(move |db, _| {
            end(db, id, at, None)?;
            audit::keep(db, &noted).map(|_| ())
        })
    }

    fn invites(&self) -> Result<Vec<Invite>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(&format!("{INVITE} ORDER BY id")).during(READING)?;
            let mut rows = query.query([]).during(READING)?;
            let mut out = Vec::new();
            while let Some(row) = rows.next().during(READING)? {
                out.push(invite(row)?);
            }
            Ok(out)
        })
    }

    fn invite_of(&self, digest: Sha256Hash) -> Result<Option<Invite>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(&format!("{INVITE} WHERE digest = ?1")).during(READING)?;
            let mut rows = query.query([digest.0]).during(READING)?;
            rows.next().during(READING)?.map(invite).transpose()
        })
    }

    fn redeem(&self, id: u64, certificate: AgentCertificate, noted: Noted) -> Result<(), StoreError> {
        self.inner.writer.write(move |db, _| {
            end(db, id, certificate.issued_at, Some(&certificate.agent))?;
            certify(db, &certificate)?;
            audit::keep(db, &noted).map(|_| ())
        })
    }

    fn certify(&self, certificate: AgentCertificate, noted: Noted) -> Result<(), StoreError> {
        self.inner.writer.write(move |db, _| {
            certify(db, &certificate)?;
            audit::keep(db, &noted).map(|_| ())
        })
    }

    fn certificates(&self) -> Result<Vec<AgentCertificate>, StoreError> {
        self.read(|db| {
            // SQLite takes the other columns of the row that has the maximum.
            let sql =
                "SELECT serial, agent, site, max(issued_at), not_after FROM agent_certificate GROUP BY agent ORDER BY agent";
            let mut query = db.prepare_cached(sql).during(READING)?;
            let mut rows = query.query([]).during(READING)?;
            let mut out = Vec::new();
            while let Some(row) = rows.next().during(READING)? {
                out.push(AgentCertificate {
                    serial: row.get(0).during(READING)?,
                    agent: AgentId::new(text(row, 1)?).map_err(broken)?,
                    site: SiteId::new(text(row, 2)?).map_err(broken)?,
                    issued_at: at(row, 3)?,
                    not_after: at(row, 4)?,
                });
            }
            Ok(out)
        })
    }

    fn revoke_agent(&self, agent: &AgentId, at: Timestamp, noted: Noted) -> Result<(), StoreError> {
        let agent = agent.clone();
        self.inner.writer.write(move |db, _| {
            db.execute(
                "INSERT INTO agent_revocation (agent, revoked_at) VALUES (?1, ?2)
                 ON CONFLICT (agent) DO UPDATE SET revoked_at = max(revoked_at, excluded.revoked_at)",
                (agent.as_str(), at.as_millis()),
            )
            .during(WRITING)?;
            audit::keep(db, &noted).map(|_| ())
        })
    }

    fn revocations(&self) -> Result<Vec<(AgentId, Timestamp)>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT agent, revoked_at FROM agent_revocation").during(READING)?;
            let mut rows = query.query([]).during(READING)?;
            let mut out = Vec::new();
            while let Some(row) = rows.next().during(READING)? {
                out.push((AgentId::new(text(row, 0)?).map_err(broken)?, at(row, 1)?));
            }
            Ok(out)
        })
    }
}

fn end(db: &Connection, id: u64, at: Timestamp, used_by: Option<&AgentId>) -> Result<(), StoreError> {
    let ended: Option<i64> = db
        .query_row(
            "UPDATE invite SET ended_at = ?2, used_by = ?3 WHERE id = ?1 AND ended_at IS NULL RETURNING id",
            (signed(id), at.as_millis(), used_by.map(AgentId::as_str)),
            |row| row.get(0),
        )
        .optional()
        .during(WRITING)?;
    ended.map(|_| ()).ok_or_else(|| StoreError::Conflict { what: format!("invite {id}") })
}

fn certify(db: &Connection, certificate: &AgentCertificate) -> Result<(), StoreError> {
    let AgentCertificate { serial, agent, site, issued_at, not_after } = certificate;
    // What ended before this one was issued lets nobody in any more.
    db.execute(
        "DELETE FROM agent_certificate WHERE agent = ?1 AND not_after < ?2",
        (agent.as_str(), issued_at.as_millis()),
    )
    .during(WRITING)?;
    db.execute(
        "INSERT INTO agent_certificate (serial, agent, site, issued_at, not_after) VALUES (?1, ?2, ?3, ?4, ?5)",
        (serial, agent.as_str(), site.as_str(), issued_at.as_millis(), not_after.as_millis()),
    )
    .during(WRITING)?;
    Ok(())
}

fn invite(row: &Row<'_>) -> Result<Invite, StoreError> {
    let agent = |column| -> Result<Option<AgentId>, StoreError> {
        let name: Option<String> = row.get(column).during(READING)?;
        name.map(AgentId::new).transpose().map_err(broken)
    };
    let ended: Option<i64> = row.get(6).during(READING)?;
    Ok(Invite {
        id: row.get::<_, i64>(0).during(READING)?.unsigned_abs(),
        site: SiteId::new(text(row, 1)?).map_err(broken)?,
        agent: agent(2)?,
        who: text(row, 3)?,
        created_at: at(row, 4)?,
        expires_at: at(row, 5)?,
        ended_at: ended.map(Timestamp::from_millis),
        used_by: agent(7)?,
    })
}

fn text(row: &Row<'_>, column: usize) -> Result<String, StoreError> {
    row.get(column).during(READING)
}

fn at(row: &Row<'_>, column: usize) -> Result<Timestamp, StoreError> {
    row.get(column).map(Timestamp::from_millis).during(READING)
}

fn broken(error: IdError) -> StoreError {
    damaged("how an agent joined", error)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
