//! What operators ask: servers, parts, events, gaps, health.

use super::error::{During, damaged, from_json, parsed};
use crate::StoreError;
use crate::query::{EventFilter, GapFilter, Listing, Page, Scope, SeriesFilter};
use crate::record::{AgentTarget, EventRecord, GapRecord, HealthRecord, PartRecord, ServerRecord};
use outband_schemas::{AgentId, ServerId, SiteId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

/// Cuts the row that was read beyond the page, and makes the next page's token where there was one.
pub(super) fn next_token<T>(
    mut rows: Vec<T>,
    limit: usize,
    token: impl FnOnce(&T) -> Result<String, serde_json::Error>,
) -> Result<Listing<T>, StoreError> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = match rows.last().filter(|_| more) {
        Some(last) => {
            Some(token(last).map_err(|e| StoreError::Refused { doing: "making a page token", source: e.into() })?)
        }
        None => None,
    };
    Ok(Listing { rows, next })
}

fn one_more(limit: usize) -> Value {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1).into()
}

/// The condition of a filter over `series s`, with its parameters.
pub(super) fn series_where(filter: &SeriesFilter) -> (String, Vec<Value>) {
    let mut clause = "1".to_owned();
    let mut params = Vec::new();
    if let Some(server) = &filter.server {
        clause.push_str(" AND s.server = ?");
        params.push(server.as_str().to_owned().into());
    }
    if let Some(component) = &filter.component {
        clause.push_str(" AND s.component = ?");
        params.push(component.to_string().into());
    }
    if let Some(class) = filter.class {
        clause.push_str(" AND s.class = ?");
        params.push(i64::from(class.number()).into());
    }
    if let Some(kind) = filter.kind {
        clause.push_str(" AND s.kind = ?");
        params.push(i64::from(kind.number()).into());
    }
    (clause, params)
}

const SERVER: &str = "SELECT id, site, identity, first_seen, last_seen, merged_into, rev FROM server";

/// One server.
pub(super) fn server(db: &Connection, id: &ServerId) -> Result<Option<ServerRecord>, StoreError> {
    Ok(server_rows(db, &format!("{SERVER} WHERE id = ?"), vec![id.as_str().to_owned().into()])?.pop())
}

/// Servers by id.
pub(super) fn servers(
    db: &Connection,
    site: Option<&SiteId>,
    page: &Page,
) -> Result<Listing<ServerRecord>, StoreError> {
    let mut clause = "merged_into IS NULL".to_owned();
    let mut params: Vec<Value> = Vec::new();
    if let Some(site) = site {
        clause.push_str(" AND site = ?");
        params.push(site.as_str().to_owned().into());
    }
    if let Some(token) = &page.token {
        clause.push_str(" AND id > ?");
        params.push(token.clone().into());
    }
    let limit = page.limit.max(1);
    params.push(one_more(limit));
    let rows = server_rows(db, &format!("{SERVER} WHERE {clause} ORDER BY id LIMIT ?"), params)?;
    next_token(rows, limit, |last| Ok(last.id.to_string()))
}

fn server_rows(db: &Connection, sql: &str, params: Vec<Value>) -> Result<Vec<ServerRecord>, StoreError> {
    let doing = "reading servers";
    let mut query = db.prepare_cached(sql).during(doing)?;
    let mut rows = query.query(params_from_iter(params)).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        let id: ServerId = parsed("a server's id", &r.get::<_, String>(0).during(doing)?)?;
        let merged: Option<String> = r.get(5).during(doing)?;
        out.push(ServerRecord {
            targets: targets(db, &id)?,
            id,
            site: parsed("a site", &r.get::<_, String>(1).during(doing)?)?,
            identity: from_json("a server's identity", &r.get::<_, String>(2).during(doing)?)?,
            first_seen: Timestamp::from_millis(r.get(3).during(doing)?),
            last_seen: Timestamp::from_millis(r.get(4).during(doing)?),
            merged_into: merged.map(|m| parsed("a server's id", &m)).transpose()?,
            rev: r.get(6).during(doing)?,
        });
    }
    Ok(out)
}

fn targets(db: &Connection, server: &ServerId) -> Result<Vec<AgentTarget>, StoreError> {
    let doing = "reading a server's targets";
    let mut query =
        db.prepare_cached("SELECT agent, target FROM target WHERE server = ?1 ORDER BY agent, target").during(doing)?;
    let mut rows = query.query([server.as_str()]).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        out.push(AgentTarget {
            agent: parsed("an agent's name", &r.get::<_, String>(0).during(doing)?)?,
            target: parsed("a target's name", &r.get::<_, String>(1).during(doing)?)?,
        });
    }
    Ok(out)
}

/// The parts of a server, by place, the newest of a place last.
pub(super) fn parts(db: &Connection, server: &ServerId) -> Result<Vec<PartRecord>, StoreError> {
    let doing = "reading parts";
    let mut query = db
        .prepare_cached(
            "SELECT body, first_seen, last_seen, component FROM part WHERE server = ?1
             ORDER BY component, last_seen, first_seen",
        )
        .during(doing)?;
    let mut rows = query.query([server.as_str()]).during(doing)?;
    let mut out: Vec<PartRecord> = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        let record = PartRecord {
            part: from_json("a part", &r.get::<_, String>(0).during(doing)?)?,
            first_seen: Timestamp::from_millis(r.get(1).during(doing)?),
            last_seen: Timestamp::from_millis(r.get(2).during(doing)?),
            current: true,
        };
        if let Some(before) = out.last_mut().filter(|b| b.part.component == record.part.component) {
            before.current = false;
        }
        out.push(record);
    }
    Ok(out)
}

fn before(token: Option<&String>) -> Result<i64, StoreError> {
    token.map_or(Ok(i64::MAX), |t| t.parse().map_err(|_| StoreError::BadToken))
}

/// Log entries, newest first.
pub(super) fn events(db: &Connection, filter: &EventFilter, page: &Page) -> Result<Listing<EventRecord>, StoreError> {
    let doing = "reading log entries";
    let mut clause = "id < ? AND severity >= ?".to_owned();
    let least = filter.min_severity.map_or(0, |s| i64::from(s.number()));
    let mut params: Vec<Value> = vec![before(page.token.as_ref())?.into(), least.into()];
    if let Some(server) = &filter.server {
        clause.push_str(" AND server = ?");
        params.push(server.as_str().to_owned().into());
    }
    let limit = page.limit.max(1);
    params.push(one_more(limit));
    let sql = format!("SELECT id, server, body, received_at FROM event WHERE {clause} ORDER BY id DESC LIMIT ?");
    let mut query = db.prepare_cached(&sql).during(doing)?;
    let mut rows = query.query(params_from_iter(params)).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        out.push(EventRecord {
            id: r.get(0).during(doing)?,
            server: parsed("a server's id", &r.get::<_, String>(1).during(doing)?)?,
            event: from_json("a log entry", &r.get::<_, String>(2).during(doing)?)?,
            received_at: Timestamp::from_millis(r.get(3).during(doing)?),
        });
    }
    next_token(out, limit, |last| Ok(last.id.to_string()))
}

/// Gaps, newest first.
pub(super) fn gaps(db: &Connection, filter: &GapFilter, page: &Page) -> Result<Listing<GapRecord>, StoreError> {
    let doing = "reading gaps";
    let mut clause = "id < ?".to_owned();
    let mut params: Vec<Value> = vec![before(page.token.as_ref())?.into()];
    if let Some(server) = &filter.server {
        clause.push_str(" AND server = ?");
        params.push(server.as_str().to_owned().into());
    }
    if let Some(agent) = &filter.agent {
        clause.push_str(" AND agent = ?");
        params.push(agent.as_str().to_owned().into());
    }
    let limit = page.limit.max(1);
    params.push(one_more(limit));
    let sql = format!(
        "SELECT id, server, agent, body, observed_at, last_observed, count FROM gap WHERE {clause} ORDER BY id DESC LIMIT ?"
    );
    let mut query = db.prepare_cached(&sql).during(doing)?;
    let mut rows = query.query(params_from_iter(params)).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        out.push(gap(r)?);
    }
    next_token(out, limit, |last| Ok(last.id.to_string()))
}

fn gap(r: &Row<'_>) -> Result<GapRecord, StoreError> {
    let doing = "reading gaps";
    let server: Option<String> = r.get(1).during(doing)?;
    let agent: Option<String> = r.get(2).during(doing)?;
    let mut gap: outband_schemas::Gap = from_json("a gap", &r.get::<_, String>(3).during(doing)?)?;
    gap.observed_at = Timestamp::from_millis(r.get(4).during(doing)?);
    Ok(GapRecord {
        id: r.get(0).during(doing)?,
        server: server.map(|s| parsed::<ServerId>("a server's id", &s)).transpose()?,
        agent: agent.map(|a| parsed::<AgentId>("an agent's name", &a)).transpose()?,
        gap,
        last_observed: Timestamp::from_millis(r.get(5).during(doing)?),
        count: r.get(6).during(doing)?,
    })
}

/// The health of one thing.
pub(super) fn health(db: &Connection, scope: &Scope) -> Result<Option<HealthRecord>, StoreError> {
    let body: Option<String> = db
        .prepare_cached("SELECT body FROM health WHERE scope = ?1")
        .and_then(|mut s| s.query_row([scope.to_string()], |r| r.get(0)).optional())
        .during("reading health")?;
    body.map(|b| Ok(HealthRecord { scope: scope.clone(), health: from_json("a health score", &b)? })).transpose()
}

/// Health by name.
pub(super) fn healths(
    db: &Connection,
    parent: Option<&Scope>,
    page: &Page,
) -> Result<Listing<HealthRecord>, StoreError> {
    let doing = "reading health";
    let (clause, of) = match parent {
        None => ("level < 2 AND ?2 = ''", String::new()),
        Some(Scope::Site(site)) => {
            ("level = 1 AND server IN (SELECT id FROM server WHERE site = ?2)", site.to_string())
        }
        Some(Scope::Server(server)) => ("level = 2 AND server = ?2", server.to_string()),
        Some(Scope::Component(..)) => return Ok(Listing { rows: Vec::new(), next: None }),
    };
    let merged = "(server IS NULL OR server NOT IN (SELECT id FROM server WHERE merged_into IS NOT NULL))";
    let sql =
        format!("SELECT scope, body FROM health WHERE scope > ?1 AND {clause} AND {merged} ORDER BY scope LIMIT ?3");
    let limit = page.limit.max(1);
    let mut query = db.prepare_cached(&sql).during(doing)?;
    let mut rows = query.query((page.token.as_deref().unwrap_or_default(), of, one_more(limit))).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        out.push(HealthRecord {
            scope: scope(&r.get::<_, String>(0).during(doing)?)?,
            health: from_json("a health score", &r.get::<_, String>(1).during(doing)?)?,
        });
    }
    next_token(out, limit, |last| Ok(last.scope.to_string()))
}

fn scope(text: &str) -> Result<Scope, StoreError> {
    if let Some(site) = text.strip_prefix("sites/") {
        return Ok(Scope::Site(parsed("a site", site)?));
    }
    let rest = text.strip_prefix("servers/").ok_or_else(|| damaged("a health score's name", text))?;
    match rest.split_once("/components/") {
        None => Ok(Scope::Server(parsed("a server's id", rest)?)),
        Some((server, component)) => {
            Ok(Scope::Component(parsed("a server's id", server)?, parsed("a component", component)?))
        }
    }
}
