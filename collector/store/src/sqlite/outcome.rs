//! What became of tickets: one row each, written with the ticket.

use super::SqliteStore;
use super::error::{During, damaged, from_json, parsed};
use super::ticket;
use crate::StoreError;
use crate::outcome::{OtherPart, OutcomeFilter, Outcomes, TicketOutcome};
use outband_schemas::{ComponentId, Part, Timestamp};
use outband_ticket::{Action, Answer, Basis, Outcome, Ticket, TicketNumber, Transition};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

const DOING: &str = "storing what became of a ticket";
const READING: &str = "reading what became of tickets";

/// Tickets whose outcome is made anew in one transaction.
const AT_ONCE: usize = 500;

impl Outcomes for SqliteStore {
    fn outcomes(&self, filter: &OutcomeFilter) -> Result<Vec<TicketOutcome>, StoreError> {
        let mut clause = "1".to_owned();
        let mut params: Vec<Value> = Vec::new();
        if let Some(rule) = &filter.rule {
            clause.push_str(" AND rule = ?");
            params.push(rule.clone().into());
        }
        if filter.predicted {
            clause.push_str(" AND predicted = 1");
        }
        for (column, since) in [("opened_at", filter.opened_since), ("known_at", filter.known_since)] {
            if let Some(since) = since {
                clause.push_str(&format!(" AND {column} >= ?"));
                params.push(since.as_millis().into());
            }
        }
        let sql = format!(
            "SELECT ticket, rule, fault, site, server, component, serial, model, predictor, predicted, answer, basis, opened_at,
                known_at, seen_at, other, other_component, other_serial, other_model FROM outcome WHERE {clause} ORDER BY ticket"
        );
        self.read(|db| {
            let mut query = db.prepare_cached(&sql).during(READING)?;
            let mut rows = query.query(params_from_iter(params)).during(READING)?;
            let mut out = Vec::new();
            while let Some(row) = rows.next().during(READING)? {
                out.push(read(row)?);
            }
            Ok(out)
        })
    }
}

fn read(row: &Row<'_>) -> Result<TicketOutcome, StoreError> {
    let text = |column: usize| row.get::<_, String>(column).during(READING);
    let maybe = |column: usize| row.get::<_, Option<String>>(column).during(READING);
    let time = |column: usize| row.get::<_, Option<i64>>(column).during(READING).map(|t| t.map(Timestamp::from_millis));
    let (answer, basis) = (text(10)?, text(11)?);
    Ok(TicketOutcome {
        ticket: TicketNumber(row.get::<_, i64>(0).during(READING)?.unsigned_abs()),
        rule: text(1)?,
        fault: text(2)?,
        site: maybe(3)?.map(|site| parsed("a site", &site)).transpose()?,
        server: parsed("a server's id", &text(4)?)?,
        component: parsed("a component", &text(5)?)?,
        serial: maybe(6)?,
        model: maybe(7)?,
        predictor: maybe(8)?,
        outcome: Outcome {
            predicted: row.get(9).during(READING)?,
            answer: Answer::from_word(&answer).ok_or_else(|| damaged("an outcome", &answer))?,
            basis: Basis::from_word(&basis).ok_or_else(|| damaged("an outcome", &basis))?,
            opened_at: Timestamp::from_millis(row.get(12).during(READING)?),
            known_at: time(13)?,
            seen_at: time(14)?,
            other: maybe(15)?,
        },
        other: OtherPart {
            component: maybe(16)?.map(|place| parsed("a component", &place)).transpose()?,
            serial: maybe(17)?,
            model: maybe(18)?,
        },
    })
}

/// Whether these entries may change what became of a ticket, or what it is known to be about.
fn matters(entries: &[Transition]) -> bool {
    entries.iter().any(|entry| {
        matches!(
            entry.action,
            Action::Open { .. }
                | Action::Import { .. }
                | Action::Escalate
                | Action::Verdict { .. }
                | Action::Resolve { .. }
                | Action::Reopen
                | Action::Close
                | Action::Drill
                | Action::Merge { .. }
                | Action::Evidence { part_serial: Some(_), .. }
        )
    })
}

/// Keeps what became of a ticket, where what was just written of it may have changed that.
pub(super) fn note(db: &Connection, ticket: &Ticket, written: &[Transition]) -> Result<(), StoreError> {
    if !matters(written) {
        return Ok(());
    }
    // The log of a new ticket is what was written.
    let whole = written.first().is_some_and(|entry| entry.seq == 1);
    let kept = if whole { None } else { ticket::one(db, ticket.number)? };
    keep(db, ticket, kept.as_ref().map_or(written, |record| &record.log))
}

fn keep(db: &Connection, ticket: &Ticket, log: &[Transition]) -> Result<(), StoreError> {
    let Some(outcome) = Outcome::of(log) else { return Ok(()) };
    let component = ticket.component.to_string();
    let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
    let other = outcome.other.as_deref().map(|named| other(db, ticket, named)).transpose()?.unwrap_or_default();
    db.prepare_cached(
        "INSERT INTO outcome (ticket, rule, fault, site, server, component, serial, model, predictor, predicted, answer, basis,
            opened_at, known_at, seen_at, other, other_component, other_serial, other_model)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
         ON CONFLICT (ticket) DO UPDATE SET serial = excluded.serial, model = coalesce(model, excluded.model),
            predicted = excluded.predicted, answer = excluded.answer, basis = excluded.basis, known_at = excluded.known_at,
            seen_at = excluded.seen_at, other = excluded.other, other_component = excluded.other_component,
            other_serial = excluded.other_serial, other_model = excluded.other_model",
    )
    .and_then(|mut s| {
        s.execute(params![
            i64::try_from(ticket.number.0).unwrap_or(i64::MAX),
            &ticket.rule,
            &ticket.fault,
            ticket.site.as_ref().map(|site| site.as_str()),
            ticket.server.as_str(),
            &component,
            ticket.part_serial.as_deref(),
            model(db, ticket, &component).unwrap_or_default(),
            predictor(log),
            outcome.predicted,
            outcome.answer.as_str(),
            outcome.basis.as_str(),
            outcome.opened_at.as_millis(),
            millis(outcome.known_at),
            millis(outcome.seen_at),
            outcome.other,
            other.component.map(|place| place.to_string()),
            other.serial,
            other.model,
        ])
    })
    .during(DOING)?;
    Ok(())
}

/// The version of the model that foretold it.
fn predictor(log: &[Transition]) -> Option<&str> {
    match &log.first()?.action {
        Action::Open { opening: Some(opening), .. } => outband_health::rule::predictor(&opening.reason),
        _ => None,
    }
}

/// The model of the part that a ticket is about: by its serial; without one, of what was in the place last.
fn model(db: &Connection, ticket: &Ticket, component: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT body FROM part WHERE server = ?1 AND component = ?2 AND (?3 IS NULL OR serial = ?3)
               ORDER BY last_seen DESC LIMIT 1";
    let body: Option<String> = db
        .prepare_cached(sql)
        .and_then(|mut s| {
            s.query_row((ticket.server.as_str(), component, ticket.part_serial.as_deref()), |r| r.get(0)).optional()
        })
        .during(DOING)?;
    Ok(body.map(|body| from_json::<Part>("a part", &body)).transpose()?.and_then(|part| part.model))
}

/// Which part of the ticket's server a verdict names, by its serial or its place: what was there last.
fn other(db: &Connection, ticket: &Ticket, named: &str) -> Result<OtherPart, StoreError> {
    let sql = "SELECT body FROM part WHERE server = ?1 AND (serial = ?2 OR component = ?2)
               ORDER BY serial = ?2 DESC, last_seen DESC LIMIT 1";
    let body: Option<String> = db
        .prepare_cached(sql)
        .and_then(|mut s| s.query_row((ticket.server.as_str(), named), |r| r.get(0)).optional())
        .during(DOING)?;
    let part = body.map(|body| from_json::<Part>("a part", &body)).transpose()?;
    Ok(match part {
        Some(Part { component, serial, model, .. }) => OtherPart { component: Some(component), serial, model },
        None => OtherPart { component: named.parse::<ComponentId>().ok(), ..OtherPart::default() },
    })
}

/// Makes what is missing anew from the logs: of tickets from before outcomes were kept.
pub(super) fn catch_up(db: &mut Connection) -> Result<(), StoreError> {
    let mut done = 0_usize;
    loop {
        let tx = db.transaction().during(DOING)?;
        let missing = missing(&tx)?;
        for number in &missing {
            if let Some(record) = ticket::one(&tx, TicketNumber(number.unsigned_abs()))? {
                keep(&tx, &record.ticket, &record.log)?;
            }
        }
        let last = missing.len() < AT_ONCE || self::missing(&tx)? == missing;
        tx.commit().during(DOING)?;
        done += missing.len();
        if last {
            break;
        }
    }
    if done > 0 {
        tracing::info!(tickets = done, "what became of tickets was read from their logs");
    }
    Ok(())
}

fn missing(db: &Connection) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT number FROM ticket WHERE number NOT IN (SELECT ticket FROM outcome) ORDER BY number LIMIT ?1";
    let mut query = db.prepare_cached(sql).during(READING)?;
    let limit = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
    query.query_map([limit], |row| row.get(0)).and_then(Iterator::collect).during(READING)
}
