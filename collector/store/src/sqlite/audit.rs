//! The audit log and the remembered answers.

mod erase;

use super::error::{During, from_json, is_duplicate, to_json};
use super::query::next_token;
use super::{SqliteStore, ticket};
use crate::StoreError;
use crate::audit::{
    ANSWERS_KEPT, Actor, Answer, Audit, AuditEntry, AuditFilter, Chain, Deed, Erased, Note, Noted, Proof, Sha256Hash,
    Wrong,
};
use crate::query::{Listing, Page};
use crate::record::{TicketRecord, TicketWrite};
use outband_schemas::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

impl Audit for SqliteStore {
    fn audit(&self, actor: Actor, deed: Deed) -> Result<i64, StoreError> {
        self.inner.writer.write(move |db, _| append(db, &actor, &deed))
    }

    fn audit_answer(&self, actor: Actor, deed: Deed, answer: Option<Answer>) -> Result<i64, StoreError> {
        self.inner.writer.write(move |db, _| keep(db, &Noted { actor, deed, answer }))
    }

    fn remember(&self, who: &str, answer: Answer, at: Timestamp) -> Result<(), StoreError> {
        let who = who.to_owned();
        self.inner.writer.write(move |db, _| remember(db, &who, &answer, at))
    }

    fn audited(&self, filter: &AuditFilter, page: &Page) -> Result<Listing<AuditEntry>, StoreError> {
        self.read(|db| list(db, filter, page))
    }

    fn audit_proof(&self, seq: i64) -> Result<Option<Proof>, StoreError> {
        self.read(|db| proof(db, seq))
    }

    fn verify_audit(&self, until: Option<i64>) -> Result<Chain, StoreError> {
        self.read(|db| verify(db, until))
    }

    fn change_ticket(
        &self,
        write: TicketWrite,
        actor: Actor,
        deed: Deed,
        answer: Option<Answer>,
    ) -> Result<TicketRecord, StoreError> {
        self.inner.writer.write(move |db, _| {
            ticket::write(db, &write)?;
            keep(db, &Noted { actor, deed, answer })?;
            let number = write.ticket.number;
            ticket::one(db, number)?.ok_or_else(|| StoreError::NotFound { what: format!("ticket {number}") })
        })
    }

    fn erase_person(&self, name: &str, actor: Actor, deed: Deed, dry_run: bool) -> Result<Erased, StoreError> {
        let name = name.to_owned();
        self.inner.writer.write(move |db, _| erase::person(db, &name, actor, deed, dry_run))
    }

    fn answered(&self, who: &str, request_id: &str, now: Timestamp) -> Result<Option<Answer>, StoreError> {
        self.read(|db| answered(db, who, request_id, now))
    }
}

/// What is hashed of an entry.
#[derive(Serialize, Deserialize)]
struct Body {
    #[serde(flatten)]
    deed: Deed,
    /// The salted digest of who did it.
    actor: String,
}

fn of_actor(salt: &[u8], actor: &Actor) -> Sha256Hash {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(actor.name.as_bytes());
    // No name and no address holds a zero byte.
    hash.update([0]);
    hash.update(actor.peer.as_deref().unwrap_or_default().as_bytes());
    Sha256Hash(hash.finalize().into())
}

fn of_entry(before: Sha256Hash, seq: i64, body: &str) -> Sha256Hash {
    let mut hash = Sha256::new();
    hash.update(before.0);
    hash.update(seq.to_be_bytes());
    hash.update(body.as_bytes());
    Sha256Hash(hash.finalize().into())
}

/// Writes what a change is noted with. `None`: nobody asked for it.
pub(super) fn note<T>(db: &Connection, note: Option<Note<T>>, stored: &T) -> Result<(), StoreError> {
    note.map_or(Ok(()), |note| keep(db, &note(stored)).map(|_| ()))
}

pub(super) fn keep(db: &Connection, Noted { actor, deed, answer }: &Noted) -> Result<i64, StoreError> {
    if let Some(answer) = answer {
        remember(db, &actor.name, answer, deed.at)?;
    }
    append(db, actor, deed)
}

/// Appends an entry, in the transaction of what it tells of.
pub(super) fn append(db: &Connection, actor: &Actor, deed: &Deed) -> Result<i64, StoreError> {
    let doing = "writing to the audit log";
    let last: Option<(i64, [u8; 32])> = db
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
        .and_then(|mut s| s.query_row([], |r| Ok((r.get(0)?, r.get(1)?))).optional())
        .during(doing)?;
    let (last, before) = match last {
        Some(last) => last,
        // Where all that there was has gone by its age, the chain goes on all the same.
        None => anchor(db)?.map_or_else(Default::default, |(seq, hash)| (seq, hash.0)),
    };
    let seq = last.saturating_add(1);
    let salt: [u8; 16] = db.query_row("SELECT randomblob(16)", [], |r| r.get(0)).during(doing)?;
    let body = Body { deed: deed.clone(), actor: of_actor(&salt, actor).to_string() };
    let body = to_json(doing, &body)?;
    let hash = of_entry(Sha256Hash(before), seq, &body);
    db.prepare_cached("INSERT INTO audit (seq, at, body, hash, salt, who, peer) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
        .and_then(|mut s| s.execute((seq, deed.at.as_millis(), &body, hash.0, salt, &actor.name, &actor.peer)))
        .during(doing)?;
    Ok(seq)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<(i64, String, [u8; 32], Actor)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, Actor { name: row.get(3)?, peer: row.get(4)? }))
}

fn list(db: &Connection, filter: &AuditFilter, page: &Page) -> Result<Listing<AuditEntry>, StoreError> {
    let doing = "reading the audit log";
    let mut clause = "1".to_owned();
    let mut params: Vec<Value> = Vec::new();
    if let Some(token) = &page.token {
        clause.push_str(" AND seq < ?");
        params.push(token.parse::<i64>().map_err(|_| StoreError::BadToken)?.into());
    }
    if let Some(who) = &filter.who {
        clause.push_str(" AND who = ?");
        params.push(who.clone().into());
    }
    if let Some(resource) = &filter.resource {
        clause.push_str(" AND json_extract(body, '$.resource') = ?");
        params.push(resource.clone().into());
    }
    let limit = page.limit.max(1);
    params.push(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1).into());
    let sql = format!("SELECT seq, body, hash, who, peer FROM audit WHERE {clause} ORDER BY seq DESC LIMIT ?");
    let mut query = db.prepare_cached(&sql).during(doing)?;
    let mut rows = query.query(params_from_iter(params)).during(doing)?;
    let mut out = Vec::new();
    while let Some(row) = rows.next().during(doing)? {
        let (seq, body, hash, actor) = entry(row).during(doing)?;
        let body: Body = from_json("an entry of the audit log", &body)?;
        out.push(AuditEntry { seq, actor, deed: body.deed, hash: Sha256Hash(hash) });
    }
    next_token(out, limit, |last| Ok(last.seq.to_string()))
}

fn proof(db: &Connection, seq: i64) -> Result<Option<Proof>, StoreError> {
    let doing = "reading an entry of the audit log";
    let before: Option<[u8; 32]> = db
        .query_row("SELECT hash FROM audit WHERE seq = ?1", [seq.saturating_sub(1)], |r| r.get(0))
        .optional()
        .during(doing)?;
    let before = match before {
        Some(hash) => Sha256Hash(hash),
        None => anchor(db)?.map(|(_, hash)| hash).unwrap_or_default(),
    };
    db.query_row("SELECT seq, body, hash, who, peer, salt FROM audit WHERE seq = ?1", [seq], |row| {
        let (seq, body, hash, actor) = entry(row)?;
        Ok(Proof { seq, before, body, hash: Sha256Hash(hash), salt: row.get(5)?, actor })
    })
    .optional()
    .during(doing)
}

/// The last entry that retention removed.
pub(super) fn anchor(db: &Connection) -> Result<Option<(i64, Sha256Hash)>, StoreError> {
    db.query_row("SELECT seq, hash FROM audit_anchor", [], |r| Ok((r.get(0)?, Sha256Hash(r.get(1)?))))
        .optional()
        .during("reading where the audit log begins")
}

/// Does something while entries may be removed. They may not any more before the transaction ends.
pub(super) fn loosen_audit<T>(
    db: &Connection,
    act: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let doing = "removing old entries of the audit log";
    let kept: String = db
        .query_row("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'audit_kept'", [], |r| r.get(0))
        .during(doing)?;
    db.execute_batch("DROP TRIGGER audit_kept").during(doing)?;
    let done = act(db)?;
    db.execute_batch(&kept).during(doing)?;
    Ok(done)
}

/// Walks the chain, from where retention left it. That it did has to stand in the chain itself: else somebody cut it off.
fn verify(db: &Connection, until: Option<i64>) -> Result<Chain, StoreError> {
    let doing = "verifying the audit log";
    let anchor = anchor(db)?;
    let mut query = db
        .prepare_cached("SELECT seq, body, hash, who, peer, salt, at FROM audit WHERE seq <= ?1 ORDER BY seq")
        .during(doing)?;
    let mut rows = query.query([until.unwrap_or(i64::MAX)]).during(doing)?;
    let (entries, head) = anchor.unwrap_or_default();
    let mut told = anchor.is_none();
    let mut chain = Chain { entries, head, broken: None };
    while let Some(row) = rows.next().during(doing)? {
        let next = chain.entries.saturating_add(1);
        // A value of another type or length is one that was changed, too.
        let Ok((seq, body, hash, actor)) = entry(row) else {
            return Ok(Chain { broken: Some((next, Wrong::Changed)), ..chain });
        };
        told |= anchor.is_some_and(|(seq, hash)| tells_of(&body, seq, hash));
        let salt: Option<Vec<u8>> = row.get(5).during(doing)?;
        let at: i64 = row.get(6).during(doing)?;
        if let Some(wrong) = wrong(&chain, next, seq, &body, hash, &actor, salt.as_deref(), at) {
            return Ok(Chain { broken: Some((next, wrong)), ..chain });
        }
        (chain.entries, chain.head) = (seq, Sha256Hash(hash));
    }
    if !told && until.is_none() {
        return Ok(Chain { broken: Some((entries, Wrong::Missing)), ..chain });
    }
    match until {
        Some(until) if chain.entries < until => {
            Ok(Chain { broken: Some((chain.entries.saturating_add(1), Wrong::Missing)), ..chain })
        }
        _ => Ok(chain),
    }
}

/// Whether an entry says that retention removed everything up to there.
fn tells_of(body: &str, seq: i64, hash: Sha256Hash) -> bool {
    serde_json::from_str::<Body>(body).is_ok_and(|b| b.deed.resource == format!("audit/{seq}:{hash}"))
}

#[allow(clippy::too_many_arguments, reason = "the columns of one row")]
fn wrong(
    chain: &Chain,
    next: i64,
    seq: i64,
    body: &str,
    hash: [u8; 32],
    actor: &Actor,
    salt: Option<&[u8]>,
    at: i64,
) -> Option<Wrong> {
    if seq != next {
        return Some(Wrong::Missing);
    }
    if of_entry(chain.head, seq, body).0 != hash {
        return Some(Wrong::Changed);
    }
    let Ok(body) = serde_json::from_str::<Body>(body) else { return Some(Wrong::Changed) };
    if body.deed.at.as_millis() != at {
        return Some(Wrong::Changed);
    }
    let told = salt.is_none_or(|salt| of_actor(salt, actor).to_string() == body.actor);
    (!told).then_some(Wrong::Actor)
}

/// Keeps an answer; forgets those that are too old.
fn remember(db: &Connection, who: &str, answer: &Answer, at: Timestamp) -> Result<(), StoreError> {
    let doing = "remembering an answer";
    db.prepare_cached("DELETE FROM request WHERE at <= ?1").and_then(|mut s| s.execute([oldest(at)])).during(doing)?;
    let inserted = db.execute(
        "INSERT INTO request (who, id, digest, answer, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        (who, &answer.request_id, answer.digest.0, &answer.body, at.as_millis()),
    );
    match inserted {
        Err(e) if is_duplicate(&e) => {
            Err(StoreError::Conflict { what: format!("the answer to request {}", answer.request_id) })
        }
        other => other.during(doing).map(|_| ()),
    }
}

fn answered(db: &Connection, who: &str, request_id: &str, now: Timestamp) -> Result<Option<Answer>, StoreError> {
    db.prepare_cached("SELECT digest, answer FROM request WHERE who = ?1 AND id = ?2 AND at > ?3")
        .and_then(|mut s| {
            s.query_row((who, request_id, oldest(now)), |r| {
                Ok(Answer { request_id: request_id.to_owned(), digest: Sha256Hash(r.get(0)?), body: r.get(1)? })
            })
            .optional()
        })
        .during("looking for an answer")
}

fn oldest(now: Timestamp) -> i64 {
    now.as_millis().saturating_sub(i64::try_from(ANSWERS_KEPT.as_millis()).unwrap_or(i64::MAX))
}
