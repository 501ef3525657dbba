//! Tickets: a body with its key columns, and an append-only log.

use super::error::{During, from_json, is_duplicate, to_json};
use super::outcome;
use super::query::next_token;
use crate::StoreError;
use crate::query::{Listing, Page, TicketFilter};
use crate::record::{TicketRecord, TicketWrite};
use outband_ticket::{State, Ticket, TicketNumber, Transition};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

/// Writes a ticket and appends to its log. What is written has to be the fold of what was there and the new entries.
pub(super) fn write(db: &Connection, write: &TicketWrite) -> Result<(), StoreError> {
    let doing = "storing a ticket";
    let change: i64 =
        db.query_row("UPDATE state SET change = change + 1 RETURNING change", [], |r| r.get(0)).during(doing)?;
    let ticket = &write.ticket;
    let told = match write.expected_revision {
        None => Ticket::fold(ticket.number, &write.transitions),
        Some(_) => {
            kept(db, ticket.number)?.map(|before| write.transitions.iter().fold(before, |t, entry| t.after(entry)))
        }
    };
    let number = number(ticket.number);
    let revision = i64::try_from(ticket.revision).unwrap_or(i64::MAX);
    let (component, fault) = (ticket.component.to_string(), &ticket.fault);
    let (state, body) = (ticket.state.number(), to_json(doing, ticket)?);
    let written = match write.expected_revision {
        None => db.execute(
            "INSERT INTO ticket (number, server, component, fault, state, open, revision, change, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            (number, ticket.server.as_str(), &component, fault, state, ticket.is_open(), revision, change, body),
        ),
        Some(expected) => db.execute(
            "UPDATE ticket SET server = ?2, component = ?3, fault = ?4, state = ?5, open = ?6, revision = ?7, change = ?8,
                body = ?9 WHERE number = ?1 AND revision = ?10",
            (
                number,
                ticket.server.as_str(),
                &component,
                fault,
                state,
                ticket.is_open(),
                revision,
                change,
                body,
                i64::try_from(expected).unwrap_or(i64::MAX),
            ),
        ),
    };
    let what = || format!("ticket {}", ticket.number);
    match written {
        Err(e) if is_duplicate(&e) => {
            return Err(StoreError::Conflict {
                what: format!("{}, or another open ticket of {} {component} {fault},", what(), ticket.server),
            });
        }
        Err(e) => return Err(super::error::classify(doing, e)),
        Ok(1) => {}
        Ok(_) if one(db, ticket.number)?.is_some() => return Err(StoreError::Conflict { what: what() }),
        Ok(_) => return Err(StoreError::NotFound { what: what() }),
    }
    for transition in &write.transitions {
        let body = to_json(doing, transition)?;
        match db.execute(
            "INSERT INTO ticket_transition (ticket, seq, at, body) VALUES (?1, ?2, ?3, ?4)",
            (number, transition.seq, transition.at.as_millis(), body),
        ) {
            Err(e) if is_duplicate(&e) => return Err(StoreError::Conflict { what: what() }),
            other => other.during(doing)?,
        };
    }
    if told.as_ref() != Some(ticket) {
        let source = format!("{} is not what its log says", what()).into();
        return Err(StoreError::Refused { doing, source });
    }
    outcome::note(db, ticket, &write.transitions)
}

/// A ticket without its log.
fn kept(db: &Connection, of: TicketNumber) -> Result<Option<Ticket>, StoreError> {
    let body: Option<String> = db
        .prepare_cached("SELECT body FROM ticket WHERE number = ?1")
        .and_then(|mut s| s.query_row([number(of)], |r| r.get(0)).optional())
        .during("reading a ticket")?;
    body.map(|body| from_json("a ticket", &body)).transpose()
}

fn number(number: TicketNumber) -> i64 {
    i64::try_from(number.0).unwrap_or(i64::MAX)
}

/// One ticket.
pub(super) fn one(db: &Connection, of: TicketNumber) -> Result<Option<TicketRecord>, StoreError> {
    let row: Option<(i64, String)> = db
        .prepare_cached("SELECT change, body FROM ticket WHERE number = ?1")
        .and_then(|mut s| s.query_row([number(of)], |r| Ok((r.get(0)?, r.get(1)?))).optional())
        .during("reading a ticket")?;
    row.map(|(change, body)| record(db, change, &body)).transpose()
}

/// Tickets, newest first or in the order of their changes.
pub(super) fn list(db: &Connection, filter: &TicketFilter, page: &Page) -> Result<Listing<TicketRecord>, StoreError> {
    let by_change = filter.changed_after.is_some();
    let after: Option<i64> = match &page.token {
        Some(token) => Some(token.parse().map_err(|_| StoreError::BadToken)?),
        None => None,
    };
    let mut clause = "1".to_owned();
    let mut params: Vec<Value> = Vec::new();
    if let Some(server) = &filter.server {
        clause.push_str(" AND server = ?");
        params.push(server.as_str().to_owned().into());
    }
    if !filter.states.is_empty() {
        let marks = vec!["?"; filter.states.len()].join(", ");
        clause.push_str(&format!(" AND state IN ({marks})"));
        params.extend(filter.states.iter().map(|s| Value::from(i64::from(s.number()))));
    }
    if !filter.triage.is_empty() {
        let marks = vec!["?"; filter.triage.len()].join(", ");
        clause.push_str(&format!(
            " AND coalesce(json_extract(body, '$.triage_set.class'), json_extract(body, '$.triage.class')) IN ({marks})"
        ));
        params.extend(filter.triage.iter().map(|class| Value::from(class.as_str().to_owned())));
    }
    if let Some(parent) = filter.parent {
        clause.push_str(" AND json_extract(body, '$.parent') = ?");
        params.push(self::number(parent).into());
    }
    if let Some((from, to)) = filter.between {
        clause.push_str(" AND (open = 1 OR json_extract(body, '$.updated_at') >= ?)");
        clause.push_str(" AND json_extract(body, '$.created_at') < ?");
        params.extend([from, to].map(|at| Value::from(at.as_millis())));
    }
    for change in [filter.changed_after, after.filter(|_| by_change)].into_iter().flatten() {
        clause.push_str(" AND change > ?");
        params.push(change.into());
    }
    if let Some(number) = after.filter(|_| !by_change) {
        clause.push_str(" AND number < ?");
        params.push(number.into());
    }
    let limit = page.limit.max(1);
    params.push(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1).into());
    let order = if by_change { "change" } else { "number DESC" };
    let sql = format!("SELECT change, body FROM ticket WHERE {clause} ORDER BY {order} LIMIT ?");
    let out = collect(db, &sql, params)?;
    next_token(out, limit, |last| Ok(if by_change { last.change.to_string() } else { last.ticket.number.to_string() }))
}

/// Every ticket that is not closed.
pub(super) fn not_closed(db: &Connection) -> Result<Vec<TicketRecord>, StoreError> {
    let sql = "SELECT change, body FROM ticket WHERE state <> ? ORDER BY number";
    collect(db, sql, vec![Value::from(i64::from(State::Closed.number()))])
}

fn collect(db: &Connection, sql: &str, params: Vec<Value>) -> Result<Vec<TicketRecord>, StoreError> {
    let doing = "reading tickets";
    let mut query = db.prepare_cached(sql).during(doing)?;
    let mut rows = query.query(params_from_iter(params)).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        let body = r.get_ref(1).and_then(|v| Ok(v.as_str()?)).during(doing)?;
        out.push(record(db, r.get(0).during(doing)?, body)?);
    }
    Ok(out)
}

fn record(db: &Connection, change: i64, body: &str) -> Result<TicketRecord, StoreError> {
    let doing = "reading a ticket's log";
    let ticket: Ticket = from_json("a ticket", body)?;
    let mut query =
        db.prepare_cached("SELECT body FROM ticket_transition WHERE ticket = ?1 ORDER BY seq").during(doing)?;
    let mut rows = query.query([number(ticket.number)]).during(doing)?;
    let mut log: Vec<Transition> = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        log.push(from_json("a ticket's log", r.get_ref(0).and_then(|v| Ok(v.as_str()?)).during(doing)?)?);
    }
    Ok(TicketRecord { ticket, log, change })
}

/// Incidents that have not ended.
pub(super) fn open_incidents(db: &Connection) -> Result<Vec<outband_health::Incident>, StoreError> {
    let doing = "reading incidents";
    let mut query = db
        .prepare_cached("SELECT body FROM incident WHERE ended = 0 ORDER BY server, component, fault")
        .during(doing)?;
    let mut rows = query.query([]).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        out.push(from_json("an incident", r.get_ref(0).and_then(|v| Ok(v.as_str()?)).during(doing)?)?);
    }
    Ok(out)
}

/// Takes the next so many numbers of a sequence; answers the last of them.
pub(super) fn reserve(db: &Connection, name: &'static str, count: u64) -> Result<u64, StoreError> {
    let last: i64 = db
        .query_row(
            "INSERT INTO sequence (name, last) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET last = last + ?2
             RETURNING last",
            (name, i64::try_from(count).unwrap_or(i64::MAX)),
            |r| r.get(0),
        )
        .during("giving out a number")?;
    Ok(last.unsigned_abs())
}
