//! Erasing a person.

mod people;

use super::append;
use crate::StoreError;
use crate::audit::{Actor, Deed, Erased};
use crate::sqlite::error::{During, from_json, to_json};
use outband_ticket::{Ticket, TicketNumber, Transition};
use rusqlite::Connection;

const DOING: &str = "erasing a person";

/// The one way around the rule that logs are only appended to. It holds again before the transaction ends.
const LOOSEN: &str = "DROP TRIGGER ticket_transition_stays";
const TIGHTEN: &str = "CREATE TRIGGER ticket_transition_stays BEFORE UPDATE ON ticket_transition
BEGIN SELECT RAISE(ABORT, 'a ticket log is append-only'); END";

/// Erases a person, or counts what there is to erase.
pub(super) fn person(
    db: &Connection,
    name: &str,
    actor: Actor,
    deed: Deed,
    dry_run: bool,
) -> Result<Erased, StoreError> {
    let pseudonym: String =
        db.query_row("SELECT 'person-' || lower(hex(randomblob(6)))", [], |r| r.get(0)).during(DOING)?;
    let mut erased = Erased::default();
    if !dry_run {
        db.execute_batch(LOOSEN).during(DOING)?;
    }
    for number in holding(db, name)? {
        ticket(db, number, name, &pseudonym, dry_run, &mut erased)?;
    }
    erased.others = people::rename(db, name, &pseudonym, dry_run)?;
    let count = "SELECT count(*) FROM audit WHERE who = ?1";
    let entries: i64 = db.query_row(count, [name], |r| r.get(0)).during(DOING)?;
    erased.audit = usize::try_from(entries).unwrap_or_default();
    if dry_run {
        return Ok(erased);
    }
    db.execute_batch(TIGHTEN).during(DOING)?;
    let forget = "UPDATE audit SET who = ?2, peer = NULL, salt = NULL WHERE who = ?1";
    db.execute(forget, (name, &pseudonym)).during(DOING)?;
    // Answers hold tickets, and these hold names.
    db.execute("DELETE FROM request WHERE who = ?1 OR instr(answer, CAST(?1 AS BLOB)) > 0", [name]).during(DOING)?;
    append(db, &actor, &Deed { resource: pseudonym.clone(), ..deed })?;
    Ok(Erased { pseudonym, ..erased })
}

/// The tickets in whose logs the name stands in any way.
fn holding(db: &Connection, name: &str) -> Result<Vec<i64>, StoreError> {
    // As JSON writes it.
    let quoted = to_json(DOING, &name)?;
    let inner = quoted.trim_matches('"');
    let mut query = db
        .prepare("SELECT DISTINCT ticket FROM ticket_transition WHERE instr(body, ?1) > 0 ORDER BY ticket")
        .during(DOING)?;
    let rows = query.query_map([inner], |r| r.get(0)).during(DOING)?;
    rows.collect::<Result<_, _>>().during(DOING)
}

fn ticket(
    db: &Connection,
    number: i64,
    name: &str,
    pseudonym: &str,
    dry_run: bool,
    erased: &mut Erased,
) -> Result<(), StoreError> {
    let mut query =
        db.prepare_cached("SELECT body FROM ticket_transition WHERE ticket = ?1 ORDER BY seq").during(DOING)?;
    let texts: Vec<String> = query.query_map([number], |r| r.get(0)).and_then(Iterator::collect).during(DOING)?;
    let mut log: Vec<Transition> = Vec::new();
    let (mut changed, mut mentions) = (0, false);
    for text in &texts {
        let entry: Transition = from_json("a ticket's log", text)?;
        let renamed = entry.renamed(name, pseudonym);
        mentions |= renamed.mentions(name);
        if renamed != entry {
            changed += 1;
            if !dry_run {
                let body = to_json(DOING, &renamed)?;
                db.execute(
                    "UPDATE ticket_transition SET body = ?3 WHERE ticket = ?1 AND seq = ?2",
                    (number, renamed.seq, body),
                )
                .during(DOING)?;
            }
        }
        log.push(renamed);
    }
    let ticket = TicketNumber(number.unsigned_abs());
    if mentions {
        erased.mentions.push(ticket);
    }
    erased.entries += changed;
    if changed == 0 || dry_run {
        return Ok(());
    }
    // What stands in the ticket is what its log says, so the names in it go with those in the log.
    let folded = Ticket::fold(ticket, &log).ok_or_else(|| StoreError::Damaged {
        what: format!("ticket {ticket}"),
        detail: "its log tells of no ticket".to_owned(),
    })?;
    db.execute("UPDATE ticket SET body = ?2 WHERE number = ?1", (number, to_json(DOING, &folded)?)).during(DOING)?;
    Ok(())
}
