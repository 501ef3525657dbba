//! The outbox in SQLite.

use super::error::{During, damaged};
use super::query::next_token;
use super::{SqliteStore, audit, ticket};
use crate::StoreError;
use crate::audit::Note;
use crate::outbox::{Made, Notice, NoticeDraft, NoticeFilter, NoticeState, Outbox, Outcome, Unnoticed, Unsent};
use crate::query::{Listing, Page, TicketFilter};
use outband_schemas::Timestamp;
use outband_ticket::{Priority, TicketNumber};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use sha2::{Digest, Sha256};

const COLUMNS: &str = "id, ticket, seq, step, cause, channel, recipient, lang, priority, subject, body, key, state, \
    attempts, made_at, next_try, settled_at, error, batch, digest";

/// So many notices a digest holds at most: what does not fit into a message is read by nobody.
const DIGEST: usize = 50;

/// Due, to go out in a digest, and in none yet.
const LOOSE: &str = "state = 'pending' AND digest AND batch IS NULL AND next_try <= ?1";

impl Outbox for SqliteStore {
    fn begin_outbox(&self, instance: &str, at: Timestamp) -> Result<(), StoreError> {
        let instance = instance.to_owned();
        self.inner.writer.write(move |db, _| {
            db.execute(
                "INSERT INTO outbox (one, change, since, instance) SELECT 1, change, ?1, ?2 FROM state WHERE true
                 ON CONFLICT (one) DO NOTHING",
                (at.as_millis(), instance),
            )
            .during("beginning the outbox")
            .map(drop)
        })
    }

    fn unnoticed(&self, limit: usize) -> Result<Option<Unnoticed>, StoreError> {
        self.read(|db| unnoticed(db, limit))
    }

    fn make_notices(&self, made: Made, at: Timestamp) -> Result<usize, StoreError> {
        self.inner.writer.write(move |db, _| make(db, &made, at))
    }

    fn gather_digests(&self, now: Timestamp) -> Result<(), StoreError> {
        // Mostly there is none, which a reader can say.
        let sql = format!("SELECT EXISTS (SELECT 1 FROM notice WHERE {LOOSE})");
        let loose: bool = self
            .read(|db| db.query_row(&sql, [now.as_millis()], |r| r.get(0)).during("looking for a digest to gather"))?;
        if !loose {
            return Ok(());
        }
        self.inner.writer.write(move |db, _| gather(db, now))
    }

    fn oldest_unsent(&self, now: Timestamp) -> Result<Vec<Unsent>, StoreError> {
        self.read(|db| unsent(db, now))
    }

    fn notice_of_key(&self, key: &str) -> Result<Option<Notice>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM notice WHERE key = ?1 OR batch = ?1 ORDER BY key = ?1 DESC, id LIMIT 1");
        self.read(|db| Ok(collect(db, &sql, vec![key.to_owned().into()])?.pop()))
    }

    fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<Notice>, StoreError> {
        self.read(|db| due(db, now, limit))
    }

    fn settle_notices(&self, ids: &[i64], outcome: Outcome, at: Timestamp) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        self.inner.writer.write(move |db, _| ids.iter().try_for_each(|id| settle(db, *id, &outcome, at)))
    }

    fn notice(&self, id: i64) -> Result<Option<Notice>, StoreError> {
        self.read(|db| one(db, id))
    }

    fn notices(&self, filter: &NoticeFilter, page: &Page) -> Result<Listing<Notice>, StoreError> {
        self.read(|db| list(db, filter, page))
    }

    fn replay_notice(&self, id: i64, at: Timestamp, note: Option<Note<Notice>>) -> Result<Notice, StoreError> {
        self.inner.writer.write(move |db, _| {
            // Out of its digest: the others of it were not asked for.
            db.execute(
                "UPDATE notice SET state = 'pending', attempts = 0, next_try = ?2, first_try = NULL, settled_at = NULL,
                    batch = NULL, digest = 0
                 WHERE id = ?1",
                (id, at.as_millis()),
            )
            .during("replaying a notice")?;
            let replayed = one(db, id)?.ok_or_else(|| StoreError::NotFound { what: format!("notice {id}") })?;
            audit::note(db, note, &replayed)?;
            Ok(replayed)
        })
    }

    fn expire_notices(&self, before: Timestamp) -> Result<usize, StoreError> {
        self.inner.writer.write(move |db, _| {
            db.execute(
                "DELETE FROM notice WHERE id IN (SELECT id FROM notice WHERE settled_at < ?1 LIMIT 1000)",
                [before.as_millis()],
            )
            .during("dropping old notices")
        })
    }
}

fn unnoticed(db: &Connection, limit: usize) -> Result<Option<Unnoticed>, StoreError> {
    let doing = "reading the outbox's cursor";
    let state: Option<(i64, i64)> = db
        .prepare_cached("SELECT change, since FROM outbox")
        .and_then(|mut s| s.query_row([], |r| Ok((r.get(0)?, r.get(1)?))).optional())
        .during(doing)?;
    let Some((change, since)) = state else { return Ok(None) };
    let filter = TicketFilter { changed_after: Some(change), ..TicketFilter::default() };
    let records = ticket::list(db, &filter, &Page::first(limit))?.rows;
    let Some(through) = records.last().map(|r| r.change) else { return Ok(None) };
    let mut marks = db.prepare_cached("SELECT seq FROM outbox_mark WHERE ticket = ?1").during(doing)?;
    let mut tickets = Vec::with_capacity(records.len());
    for record in records {
        let seq: Option<u32> =
            marks.query_row([number(record.ticket.number)], |r| r.get(0)).optional().during(doing)?;
        tickets.push((record, seq.unwrap_or(0)));
    }
    Ok(Some(Unnoticed { through, since: Timestamp::from_millis(since), tickets }))
}

fn make(db: &Connection, made: &Made, at: Timestamp) -> Result<usize, StoreError> {
    let doing = "making notices";
    let instance: String = db.query_row("SELECT instance FROM outbox", [], |r| r.get(0)).during(doing)?;
    db.execute("UPDATE outbox SET change = max(change, ?1)", [made.through]).during(doing)?;
    for (ticket, seq) in &made.marks {
        db.prepare_cached(
            "INSERT INTO outbox_mark VALUES (?1, ?2) ON CONFLICT (ticket) DO UPDATE SET seq = max(seq, excluded.seq)",
        )
        .and_then(|mut s| s.execute((number(*ticket), seq)))
        .during(doing)?;
    }
    let mut new = 0;
    for draft in &made.notices {
        new += insert(db, draft, &instance, at)?;
    }
    Ok(new)
}

fn insert(db: &Connection, draft: &NoticeDraft, instance: &str, at: Timestamp) -> Result<usize, StoreError> {
    let key = key(instance, draft);
    db.prepare_cached(
        "INSERT INTO notice (ticket, seq, step, cause, channel, recipient, lang, priority, subject, body, key, state, attempts,
            made_at, next_try, error, digest)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'pending', 0, ?12, ?13, '', ?14)
         ON CONFLICT (ticket, seq, step, channel, recipient) DO NOTHING",
    )
    .and_then(|mut s| {
        s.execute((
            number(draft.ticket),
            draft.seq,
            draft.step,
            &draft.cause,
            &draft.channel,
            &draft.recipient,
            &draft.lang,
            draft.priority.number(),
            &draft.subject,
            &draft.body,
            key,
            at.as_millis(),
            draft.not_before.as_millis(),
            draft.digest,
        ))
    })
    .during("writing a notice")
}

/// The name of a notice for whoever gets it twice: of what it is, not of when it was sent.
fn key(instance: &str, draft: &NoticeDraft) -> String {
    let mut hash = Sha256::new();
    let NoticeDraft { ticket, seq, step, channel, recipient, .. } = draft;
    hash.update(format!("{instance}\n{ticket}\n{seq}\n{step}\n{channel}\n{recipient}"));
    hex(&hash.finalize())
}

/// The first half of a digest: 128 bits.
fn hex(digest: &[u8]) -> String {
    digest.iter().take(16).map(|b| format!("{b:02x}")).collect()
}

fn gather(db: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let doing = "gathering a digest";
    let now = now.as_millis();
    let sql = format!("SELECT id, channel, recipient, key FROM notice WHERE {LOOSE} ORDER BY channel, recipient, id");
    let loose: Vec<(i64, String, String, String)> = db
        .prepare_cached(&sql)
        .and_then(|mut s| s.query_map([now], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?.collect())
        .during(doing)?;
    let mut put = db.prepare_cached("UPDATE notice SET batch = ?2 WHERE id = ?1").during(doing)?;
    for of_one in loose.chunk_by(|a, b| (&a.1, &a.2) == (&b.1, &b.2)) {
        for members in of_one.chunks(DIGEST) {
            // Of its members: other members, another digest.
            let keys: Vec<&str> = members.iter().map(|m| m.3.as_str()).collect();
            let key = hex(&Sha256::digest(keys.join(",")));
            for (id, ..) in members {
                put.execute((id, &key)).during(doing)?;
            }
        }
    }
    Ok(())
}

fn unsent(db: &Connection, now: Timestamp) -> Result<Vec<Unsent>, StoreError> {
    let doing = "looking for what is not sent";
    // `error` is that of the row with the minimum.
    let mut query = db
        .prepare_cached(
            "SELECT channel, count(*), min(coalesce(first_try, next_try)) AS since,
                CASE WHEN first_try IS NULL THEN '' ELSE error END
             FROM notice WHERE state = 'pending' AND (first_try IS NOT NULL OR next_try <= ?1)
             GROUP BY channel ORDER BY since, channel",
        )
        .during(doing)?;
    let read = |r: &Row<'_>| {
        let (count, since): (i64, i64) = (r.get(1)?, r.get(2)?);
        let since = Timestamp::from_millis(since);
        Ok(Unsent { channel: r.get(0)?, count: count.unsigned_abs(), since, error: r.get(3)? })
    };
    query.query_map([now.as_millis()], read).and_then(Iterator::collect).during(doing)
}

fn due(db: &Connection, now: Timestamp, limit: usize) -> Result<Vec<Notice>, StoreError> {
    // So many of each channel: one that has no room must not keep the others from being seen.
    let sql = format!(
        "SELECT {COLUMNS} FROM (
             SELECT *, row_number() OVER (PARTITION BY channel ORDER BY priority, id) AS place FROM notice
             WHERE state = 'pending' AND next_try <= ?1 AND (NOT digest OR batch IS NOT NULL))
         WHERE place <= ?2 ORDER BY priority, id"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut due = collect(db, &sql, vec![now.as_millis().into(), limit.into()])?;
    // The whole of a digest, wherever the limit cut.
    let mut batches: Vec<String> = due.iter().filter_map(|n| n.batch.clone()).collect();
    batches.sort();
    batches.dedup();
    for batch in batches {
        let sql = format!("SELECT {COLUMNS} FROM notice WHERE state = 'pending' AND batch = ?1 ORDER BY id");
        for notice in collect(db, &sql, vec![batch.into()])? {
            if due.iter().all(|d| d.id != notice.id) {
                due.push(notice);
            }
        }
    }
    Ok(due)
}

fn settle(db: &Connection, id: i64, outcome: &Outcome, at: Timestamp) -> Result<(), StoreError> {
    // Whether it was sent, whether that counts, and whether it stays in its digest.
    let (state, sent, counts, stays, next, error) = match outcome {
        Outcome::Delivered => (NoticeState::Delivered, true, 1, true, at, ""),
        Outcome::Retry { at, error } => (NoticeState::Pending, true, 1, true, *at, error.as_str()),
        Outcome::Later { at, error } => (NoticeState::Pending, true, 0, true, *at, error.as_str()),
        Outcome::Apart { error } => (NoticeState::Pending, true, 0, false, at, error.as_str()),
        Outcome::Failed { error } => (NoticeState::Failed, true, 1, true, at, error.as_str()),
        Outcome::Held { until, why } => (NoticeState::Pending, false, 0, false, *until, why.as_str()),
        Outcome::Cancelled { why } => (NoticeState::Cancelled, false, 0, true, at, why.as_str()),
    };
    let settled = (state != NoticeState::Pending).then_some(at.as_millis());
    db.prepare_cached(
        "UPDATE notice SET state = ?2, attempts = attempts + ?3, next_try = ?4, error = ?5, settled_at = ?6,
            batch = CASE WHEN ?7 THEN batch END, digest = digest AND (?7 OR NOT ?8),
            first_try = CASE WHEN ?8 THEN coalesce(first_try, ?9) ELSE first_try END WHERE id = ?1",
    )
    .and_then(|mut s| {
        let millis = at.as_millis();
        s.execute((id, state.as_str(), counts, next.as_millis(), error, settled, stays, sent, millis))
    })
    .during("settling a notice")
    .map(drop)
}

fn one(db: &Connection, id: i64) -> Result<Option<Notice>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM notice WHERE id = ?1");
    Ok(collect(db, &sql, vec![id.into()])?.pop())
}

fn list(db: &Connection, filter: &NoticeFilter, page: &Page) -> Result<Listing<Notice>, StoreError> {
    let before: i64 = match &page.token {
        Some(token) => token.parse().map_err(|_| StoreError::BadToken)?,
        None => i64::MAX,
    };
    let mut clause = "id < ?".to_owned();
    let mut params: Vec<Value> = vec![before.into()];
    if let Some(ticket) = filter.ticket {
        clause.push_str(" AND ticket = ?");
        params.push(number(ticket).into());
    }
    if let Some(state) = filter.state {
        clause.push_str(" AND state = ?");
        params.push(state.as_str().to_owned().into());
    }
    for (column, value) in [("channel", &filter.channel), ("recipient", &filter.recipient)] {
        if let Some(value) = value {
            clause.push_str(&format!(" AND {column} = ?"));
            params.push(value.clone().into());
        }
    }
    let limit = page.limit.max(1);
    params.push(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1).into());
    let sql = format!("SELECT {COLUMNS} FROM notice WHERE {clause} ORDER BY id DESC LIMIT ?");
    next_token(collect(db, &sql, params)?, limit, |last| Ok(last.id.to_string()))
}

fn collect(db: &Connection, sql: &str, params: Vec<Value>) -> Result<Vec<Notice>, StoreError> {
    let doing = "reading notices";
    let mut query = db.prepare_cached(sql).during(doing)?;
    let mut rows = query.query(params_from_iter(params)).during(doing)?;
    let mut out = Vec::new();
    while let Some(row) = rows.next().during(doing)? {
        out.push(read(row)?);
    }
    Ok(out)
}

fn read(row: &Row<'_>) -> Result<Notice, StoreError> {
    let doing = "reading a notice";
    let word: String = row.get(12).during(doing)?;
    let priority: u8 = row.get(8).during(doing)?;
    let of = |n: i64| TicketNumber(n.unsigned_abs());
    Ok(Notice {
        id: row.get(0).during(doing)?,
        draft: NoticeDraft {
            ticket: of(row.get(1).during(doing)?),
            seq: row.get(2).during(doing)?,
            step: row.get(3).during(doing)?,
            cause: row.get(4).during(doing)?,
            channel: row.get(5).during(doing)?,
            recipient: row.get(6).during(doing)?,
            lang: row.get(7).during(doing)?,
            priority: Priority::from_number(priority).ok_or_else(|| damaged("a notice's priority", priority))?,
            subject: row.get(9).during(doing)?,
            body: row.get(10).during(doing)?,
            not_before: Timestamp::from_millis(row.get(15).during(doing)?),
            digest: row.get(19).during(doing)?,
        },
        key: row.get(11).during(doing)?,
        state: NoticeState::from_word(&word).ok_or_else(|| damaged("a notice's state", &word))?,
        attempts: row.get(13).during(doing)?,
        made_at: Timestamp::from_millis(row.get(14).during(doing)?),
        settled_at: row.get::<_, Option<i64>>(16).during(doing)?.map(Timestamp::from_millis),
        error: row.get(17).during(doing)?,
        batch: row.get(18).during(doing)?,
    })
}

fn number(number: TicketNumber) -> i64 {
    i64::try_from(number.0).unwrap_or(i64::MAX)
}
