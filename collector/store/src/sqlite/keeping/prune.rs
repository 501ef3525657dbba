//! What is older than its term goes, a portion at a time, and the audit log says what.

use super::rows::{ranges, take_out};
use crate::StoreError;
use crate::audit::{Actor, Deed, Outcome, Sha256Hash};
use crate::keeping::Pruned;
use crate::retention::Limits;
use crate::sqlite::audit::{anchor, append, loosen_audit};
use crate::sqlite::error::{During, from_json};
use outband_schemas::{ServerId, Timestamp};
use outband_ticket::{State, Ticket, TicketNumber};
use rusqlite::Connection;
use std::collections::BTreeSet;

const DOING: &str = "dropping what is older than its term";

/// Tickets that go in one transaction.
const TICKETS: usize = 200;
/// Entries of the audit log that go in one transaction.
const ENTRIES: i64 = 5000;

/// The method of the entries that tell of it.
pub(in crate::sqlite) const METHOD: &str = "outband.collector/Retention";

/// Everything that is due.
pub(super) fn count(db: &Connection, limits: &Limits, held: &BTreeSet<ServerId>) -> Result<Pruned, StoreError> {
    let tickets = due(db, limits.tickets, held, usize::MAX)?.0;
    let audit = match last_due(db, limits.audit, held, i64::MAX)? {
        Some((seq, _)) => usize::try_from(seq - anchor(db)?.map_or(0, |(seq, _)| seq)).unwrap_or_default(),
        None => 0,
    };
    let tickets = tickets.into_iter().map(|n| TicketNumber(n.unsigned_abs())).collect();
    Ok(Pruned { tickets, rows: 0, audit, more: false })
}

/// Drops a portion.
pub(super) fn portion(
    db: &Connection,
    limits: &Limits,
    held: &BTreeSet<ServerId>,
    at: Timestamp,
) -> Result<Pruned, StoreError> {
    let mut pruned = Pruned::default();
    let (numbers, more) = due(db, limits.tickets, held, TICKETS)?;
    if !numbers.is_empty() {
        pruned.rows = take_out(db, &numbers)?;
        let detail = format!(
            "{} tickets closed before {} went, with {} rows about them: {}",
            numbers.len(),
            limits.tickets,
            pruned.rows,
            ranges(&numbers)
        );
        tell(db, at, "tickets".to_owned(), detail)?;
    }
    pruned.tickets = numbers.into_iter().map(|n| TicketNumber(n.unsigned_abs())).collect();
    pruned.more = more;
    if let Some((seq, hash)) = last_due(db, limits.audit, held, ENTRIES)? {
        let gone = loosen_audit(db, |db| {
            let gone = db.execute("DELETE FROM audit WHERE seq <= ?1", [seq]).during(DOING)?;
            db.execute(
                "INSERT INTO audit_anchor (one, seq, hash) VALUES (1, ?1, ?2)
                 ON CONFLICT (one) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
                (seq, hash.0),
            )
            .during(DOING)?;
            Ok(gone)
        })?;
        let detail = format!("{gone} entries from before {} went; the chain goes on from here", limits.audit);
        tell(db, at, format!("audit/{seq}:{hash}"), detail)?;
        pruned.audit = gone;
        pruned.more |= i64::try_from(gone).is_ok_and(|n| n >= ENTRIES);
    }
    Ok(pruned)
}

fn tell(db: &Connection, at: Timestamp, resource: String, detail: String) -> Result<(), StoreError> {
    let deed = Deed {
        at,
        role: String::new(),
        method: METHOD.to_owned(),
        resource,
        detail,
        outcome: Outcome::Done,
        request_id: None,
        before: None,
        after: None,
    };
    append(db, &Actor { name: "collector".to_owned(), peer: None }, &deed).map(|_| ())
}

/// What an unclosed ticket refers to.
pub(super) fn needed(db: &Connection) -> Result<BTreeSet<i64>, StoreError> {
    let mut needed = BTreeSet::new();
    let mut query = db.prepare_cached("SELECT body FROM ticket WHERE state <> ?1").during(DOING)?;
    let mut rows = query.query([State::Closed.number()]).during(DOING)?;
    while let Some(row) = rows.next().during(DOING)? {
        let body: String = row.get(0).during(DOING)?;
        let ticket: Ticket = from_json("a ticket", &body)?;
        let others = ticket.links.iter().map(|link| link.to).chain(ticket.parent).chain(ticket.merged_into);
        needed.extend(others.map(|n| i64::try_from(n.0).unwrap_or(i64::MAX)));
    }
    // What still holds although its ticket was closed: somebody said so.
    let sql = "SELECT DISTINCT json_extract(body, '$.ticket') FROM incident WHERE ended = 0";
    let mut query = db.prepare_cached(sql).during(DOING)?;
    let numbers = query.query_map([], |row| row.get::<_, Option<i64>>(0)).during(DOING)?;
    for number in numbers {
        needed.extend(number.during(DOING)?);
    }
    Ok(needed)
}

/// Closed tickets that were last changed before then, at most so many; and whether there may be more.
fn due(
    db: &Connection,
    before: Timestamp,
    held: &BTreeSet<ServerId>,
    most: usize,
) -> Result<(Vec<i64>, bool), StoreError> {
    let sql = "SELECT number, server FROM ticket WHERE open = 0 AND state = ?1 AND json_extract(body, '$.updated_at') < ?2 ORDER BY number";
    let mut query = db.prepare_cached(sql).during(DOING)?;
    let mut rows = query.query((State::Closed.number(), before.as_millis())).during(DOING)?;
    let mut keep: Option<BTreeSet<i64>> = None;
    let mut found = Vec::new();
    while let Some(row) = rows.next().during(DOING)? {
        let (number, server): (i64, String) = (row.get(0).during(DOING)?, row.get(1).during(DOING)?);
        if held.iter().any(|h| h.as_str() == server) {
            continue;
        }
        let keep = match &mut keep {
            Some(keep) => keep,
            // Only where there is something to go: it reads every open ticket.
            None => keep.insert(needed(db)?),
        };
        if keep.contains(&number) {
            continue;
        }
        if found.len() >= most {
            return Ok((found, true));
        }
        found.push(number);
    }
    Ok((found, false))
}

/// The last entry of the audit log up to which all are older than that and none is about a ticket that is not closed, or that is held.
fn last_due(
    db: &Connection,
    before: Timestamp,
    held: &BTreeSet<ServerId>,
    most: i64,
) -> Result<Option<(i64, Sha256Hash)>, StoreError> {
    let sql = "SELECT a.seq, a.at, a.hash, t.state, t.server FROM audit a
        LEFT JOIN ticket t ON t.number = CAST(substr(json_extract(a.body, '$.resource'), 9) AS INTEGER)
            AND json_extract(a.body, '$.resource') LIKE 'tickets/%'
        ORDER BY a.seq LIMIT ?1";
    let mut query = db.prepare_cached(sql).during(DOING)?;
    let mut rows = query.query([most]).during(DOING)?;
    let mut last = None;
    while let Some(row) = rows.next().during(DOING)? {
        let at: i64 = row.get(1).during(DOING)?;
        let state: Option<u8> = row.get(3).during(DOING)?;
        let server: Option<String> = row.get(4).during(DOING)?;
        let live = state.is_some_and(|s| s != State::Closed.number());
        if at >= before.as_millis() || live || server.is_some_and(|s| held.iter().any(|h| h.as_str() == s)) {
            break;
        }
        last = Some((row.get(0).during(DOING)?, Sha256Hash(row.get(2).during(DOING)?)));
    }
    Ok(last)
}
