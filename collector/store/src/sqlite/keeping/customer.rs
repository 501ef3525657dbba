//! Erasing a customer.

use super::prune::needed;
use super::rows::{loosened, take_out};
use crate::StoreError;
use crate::audit::{Actor, Deed, Sha256Hash};
use crate::keeping::{CustomerErased, CustomerErasure};
use crate::sqlite::audit::append;
use crate::sqlite::erasure::{TAKEN_OUT, note};
use crate::sqlite::error::{During, from_json, to_json};
use outband_ticket::{Action, State, Ticket, TicketNumber, Transition};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

const DOING: &str = "erasing a customer";

/// What stands in place of what was erased.
const ERASED: &str = "[erased]";

/// Erases what is to be erased, or counts it. `history`: so many rows of the files of history go with it.
pub(super) fn erase(
    db: &Connection,
    erasure: &CustomerErasure,
    history: usize,
    actor: &Actor,
    deed: Deed,
) -> Result<CustomerErased, StoreError> {
    let pseudonym: String =
        db.query_row("SELECT 'customer-' || lower(hex(randomblob(6)))", [], |r| r.get(0)).during(DOING)?;
    let mut erased = CustomerErased::default();
    let tickets = tickets(db, erasure)?;
    let going = if erasure.records { going(db, erasure, &tickets, &mut erased)? } else { Vec::new() };
    let logs = ["ticket_transition".to_owned()];
    loosened(db, &logs, |db| {
        for number in tickets.iter().map(|t| t.0).filter(|n| !going.contains(n)) {
            rewrite(db, number, erasure, &pseudonym, &mut erased)?;
        }
        Ok(())
    })?;
    notices(db, erasure, &tickets, &mut erased)?;
    audit(db, erasure, &pseudonym, &mut erased)?;
    if erasure.records {
        erased.rows = history + records(db, erasure, &going)?;
    }
    if erasure.dry_run {
        return Ok(erased);
    }
    for person in &erasure.people {
        db.execute("DELETE FROM request WHERE who = ?1", [person]).during(DOING)?;
    }
    // Answers hold tickets; which ones cannot be seen from outside.
    db.execute("DELETE FROM request", []).during(DOING)?;
    let detail = format!(
        "a customer was erased: {} entries of tickets, {} of this log, {} notices; {} tickets and {} other rows went, {} tickets stay; what went has the hash {}",
        erased.entries,
        erased.audit,
        erased.notices,
        erased.tickets.len(),
        erased.rows,
        erased.kept.len(),
        erased.proof
    );
    append(db, actor, &Deed { resource: pseudonym.clone(), detail, ..deed })?;
    Ok(CustomerErased { pseudonym, ..erased })
}

/// Number, state and last change of the customer's tickets.
fn tickets(db: &Connection, erasure: &CustomerErasure) -> Result<Vec<(i64, u8, i64)>, StoreError> {
    let mut all = Vec::new();
    let sql = "SELECT number, state, json_extract(body, '$.updated_at') FROM ticket WHERE server = ?1 ORDER BY number";
    let mut query = db.prepare_cached(sql).during(DOING)?;
    for server in &erasure.servers {
        let rows =
            query.query_map([server.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).during(DOING)?;
        for row in rows {
            all.push(row.during(DOING)?);
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// The tickets that go; those that stay and the proof are told.
fn going(
    db: &Connection,
    erasure: &CustomerErasure,
    tickets: &[(i64, u8, i64)],
    erased: &mut CustomerErased,
) -> Result<Vec<i64>, StoreError> {
    let needed = needed(db)?;
    let mut going = Vec::new();
    let mut proof = Sha256::new();
    for (number, state, changed) in tickets {
        let late = erasure.keep_after.is_some_and(|after| *changed > after.as_millis());
        let ticket = TicketNumber(number.unsigned_abs());
        if *state != State::Closed.number() || late || needed.contains(number) {
            erased.kept.push(ticket);
            continue;
        }
        for body in log(db, *number)? {
            proof.update(body);
            // No JSON holds a line end that is not escaped.
            proof.update(b"\n");
        }
        erased.tickets.push(ticket);
        going.push(*number);
    }
    erased.proof = Sha256Hash(proof.finalize().into());
    Ok(going)
}

fn log(db: &Connection, number: i64) -> Result<Vec<String>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT body FROM ticket_transition WHERE ticket = ?1 ORDER BY seq").during(DOING)?;
    query.query_map([number], |r| r.get(0)).and_then(Iterator::collect).during(DOING)
}

/// Takes the names of the customer's people, and what they wrote, out of one ticket.
fn rewrite(
    db: &Connection,
    number: i64,
    erasure: &CustomerErasure,
    pseudonym: &str,
    erased: &mut CustomerErased,
) -> Result<(), StoreError> {
    let mut entries: Vec<Transition> = Vec::new();
    let mut changed = 0;
    for text in log(db, number)? {
        let entry: Transition = from_json("a ticket's log", &text)?;
        let without = erasure.people.iter().fold(silenced(&entry, erasure), |e, name| e.renamed(name, pseudonym));
        if without != entry {
            changed += 1;
            if !erasure.dry_run {
                let body = to_json(DOING, &without)?;
                let row = (number, without.seq, body);
                db.execute("UPDATE ticket_transition SET body = ?3 WHERE ticket = ?1 AND seq = ?2", row)
                    .during(DOING)?;
            }
        }
        entries.push(without);
    }
    erased.entries += changed;
    if changed == 0 || erasure.dry_run {
        return Ok(());
    }
    let ticket = TicketNumber(number.unsigned_abs());
    let folded = Ticket::fold(ticket, &entries).ok_or_else(|| StoreError::Damaged {
        what: format!("ticket {ticket}"),
        detail: "its log tells of no ticket".to_owned(),
    })?;
    db.execute("UPDATE ticket SET body = ?2 WHERE number = ?1", (number, to_json(DOING, &folded)?)).during(DOING)?;
    Ok(())
}

/// The entry without what the customer's people wrote.
fn silenced(entry: &Transition, erasure: &CustomerErasure) -> Transition {
    let mut entry = entry.clone();
    if erasure.people.contains(&entry.who) {
        if !entry.why.is_empty() {
            ERASED.clone_into(&mut entry.why);
        }
        if let Action::Comment { text, .. } = &mut entry.action {
            ERASED.clone_into(text);
        }
    }
    if let Action::Import { snapshot } = &mut entry.action {
        for comment in snapshot.comments.iter_mut().filter(|c| erasure.people.contains(&c.who)) {
            ERASED.clone_into(&mut comment.text);
        }
        for set in snapshot.triage_set.iter_mut().filter(|set| erasure.people.contains(&set.who)) {
            ERASED.clone_into(&mut set.why);
        }
    }
    entry
}

/// Notices that nobody waits for any more lose their text and say no more who got them.
fn notices(
    db: &Connection,
    erasure: &CustomerErasure,
    tickets: &[(i64, u8, i64)],
    erased: &mut CustomerErased,
) -> Result<(), StoreError> {
    let of = "WHERE ticket = ?1 AND state <> 'pending' AND body <> ''";
    for (number, ..) in tickets {
        let count: i64 =
            db.query_row(&format!("SELECT count(*) FROM notice {of}"), [number], |r| r.get(0)).during(DOING)?;
        erased.notices += usize::try_from(count).unwrap_or_default();
        if !erasure.dry_run {
            let sql =
                format!("UPDATE notice SET subject = '', body = '', error = '', recipient = 'erased-' || id {of}");
            db.execute(&sql, [number]).during(DOING)?;
        }
    }
    Ok(())
}

fn audit(
    db: &Connection,
    erasure: &CustomerErasure,
    pseudonym: &str,
    erased: &mut CustomerErased,
) -> Result<(), StoreError> {
    for person in &erasure.people {
        let count: i64 =
            db.query_row("SELECT count(*) FROM audit WHERE who = ?1", [person], |r| r.get(0)).during(DOING)?;
        erased.audit += usize::try_from(count).unwrap_or_default();
        if !erasure.dry_run {
            let forget = "UPDATE audit SET who = ?2, peer = NULL, salt = NULL WHERE who = ?1";
            db.execute(forget, (person, pseudonym)).during(DOING)?;
        }
    }
    Ok(())
}

/// Takes the records out; answers how many rows other than the tickets' own.
fn records(db: &Connection, erasure: &CustomerErasure, going: &[i64]) -> Result<usize, StoreError> {
    let of = [
        ("event", "server = ?1"),
        ("gap", "server = ?1"),
        ("drift", "server = ?1"),
        ("drive", "server = ?1"),
        ("drive", TAKEN_OUT),
        ("usage_day", "server = ?1"),
        // One whose ticket stays is told of by it.
        ("incident", "server = ?1 AND ended = 1 AND json_extract(body, '$.ticket') IS NULL"),
        ("chunk", "series IN (SELECT id FROM series WHERE server = ?1)"),
        ("damaged_chunk", "series IN (SELECT id FROM series WHERE server = ?1)"),
    ];
    let mut rows = 0;
    for server in &erasure.servers {
        if !erasure.dry_run {
            note(db, server)?;
        }
        for (table, which) in of {
            if erasure.dry_run {
                let sql = format!("SELECT count(*) FROM {table} WHERE {which}");
                let count: i64 = db.query_row(&sql, [server.as_str()], |r| r.get(0)).during(DOING)?;
                rows += usize::try_from(count).unwrap_or_default();
            } else {
                rows += db.execute(&format!("DELETE FROM {table} WHERE {which}"), [server.as_str()]).during(DOING)?;
            }
        }
    }
    if !erasure.dry_run {
        rows += take_out(db, going)?;
    }
    Ok(rows)
}
