//! Orders, every change of them, and what they brought.

use super::error::{During, from_json, to_json};
use super::query::next_token;
use super::{SqliteStore, audit, ingest};
use crate::StoreError;
use crate::audit::Note;
use crate::ingest::LogRow;
use crate::order::{Order, OrderChange, OrderFile, OrderFilter, OrderSwitch, Orders};
use crate::query::{Listing, Page};
use outband_schemas::{AgentId, Lane, ServerId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

impl Orders for SqliteStore {
    fn put_order(
        &self,
        order: Order,
        change: OrderChange,
        file: Option<OrderFile>,
        note: Option<Note<Order>>,
    ) -> Result<Order, StoreError> {
        self.inner.writer.write(move |db, _| {
            let order = put(db, order, &change, file.as_ref())?;
            audit::note(db, note, &order)?;
            Ok(order)
        })
    }

    fn order(&self, id: u64) -> Result<Option<(Order, Vec<OrderChange>)>, StoreError> {
        self.read(|db| {
            let Some(order) = bodies(db, "SELECT body FROM remediation WHERE id = ?1", [signed(id)])?.pop() else {
                return Ok(None);
            };
            Ok(Some((order, changes(db, id)?)))
        })
    }

    fn orders(&self, filter: &OrderFilter, page: &Page) -> Result<Listing<Order>, StoreError> {
        self.read(|db| list(db, filter, page))
    }

    fn pending_orders(&self) -> Result<Vec<Order>, StoreError> {
        self.read(|db| bodies(db, "SELECT body FROM remediation WHERE settled = 0 OR told = 0 ORDER BY id", []))
    }

    fn orders_sent_since(&self, since: Timestamp) -> Result<Vec<Order>, StoreError> {
        let sql = "SELECT body FROM remediation WHERE sent_at >= ?1 ORDER BY id";
        self.read(|db| bodies(db, sql, [since.as_millis()]))
    }

    fn order_file(&self, id: u64) -> Result<Option<OrderFile>, StoreError> {
        self.read(|db| {
            db.query_row("SELECT media_type, content FROM remediation_file WHERE remediation = ?1", [signed(id)], |r| {
                Ok(OrderFile { media_type: r.get(0)?, content: r.get(1)? })
            })
            .optional()
            .during("reading what an order brought")
        })
    }

    fn order_switch(&self) -> Result<Option<OrderSwitch>, StoreError> {
        self.read(|db| {
            db.query_row("SELECT stopped, who, why, at FROM remediation_switch", [], |r| {
                let at = Timestamp::from_millis(r.get(3)?);
                Ok(OrderSwitch { stopped: r.get(0)?, who: r.get(1)?, why: r.get(2)?, at })
            })
            .optional()
            .during("reading the switch of orders")
        })
    }

    fn set_order_switch(&self, switch: OrderSwitch, note: Note<OrderSwitch>) -> Result<OrderSwitch, StoreError> {
        self.inner.writer.write(move |db, _| {
            db.execute(
                "INSERT OR REPLACE INTO remediation_switch (one, stopped, who, why, at) VALUES (1, ?1, ?2, ?3, ?4)",
                (switch.stopped, &switch.who, &switch.why, switch.at.as_millis()),
            )
            .during("turning the switch of orders")?;
            audit::note(db, Some(note), &switch)?;
            Ok(switch)
        })
    }

    fn last_log_row(&self) -> Result<i64, StoreError> {
        self.read(|db| {
            db.query_row("SELECT coalesce(max(id), 0) FROM ingest_log", [], |r| r.get(0))
                .during("looking for the end of the ingest log")
        })
    }

    fn event_rows_after(&self, agent: &AgentId, after: i64, max_rows: usize) -> Result<Vec<LogRow>, StoreError> {
        self.read(|db| event_rows(db, agent, after, max_rows))
    }

    fn event_keys(&self, server: &ServerId, most: usize) -> Result<Vec<String>, StoreError> {
        let doing = "reading the keys of log entries";
        self.read(|db| {
            db.prepare_cached("SELECT natural_key FROM event WHERE server = ?1 ORDER BY id DESC LIMIT ?2")
                .and_then(|mut s| s.query_map((server.as_str(), limit(most)), |r| r.get(0))?.collect())
                .during(doing)
        })
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

fn bodies(db: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Order>, StoreError> {
    let doing = "reading orders";
    let mut query = db.prepare_cached(sql).during(doing)?;
    let mut rows = query.query(params).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        out.push(from_json("an order", r.get_ref(0).and_then(|v| Ok(v.as_str()?)).during(doing)?)?);
    }
    Ok(out)
}

fn changes(db: &Connection, id: u64) -> Result<Vec<OrderChange>, StoreError> {
    db.prepare_cached("SELECT at, who, what FROM remediation_change WHERE remediation = ?1 ORDER BY revision")
        .and_then(|mut s| {
            s.query_map([signed(id)], |r| {
                Ok(OrderChange { at: Timestamp::from_millis(r.get(0)?), who: r.get(1)?, what: r.get(2)? })
            })?
            .collect()
        })
        .during("reading the changes of an order")
}

fn list(db: &Connection, filter: &OrderFilter, page: &Page) -> Result<Listing<Order>, StoreError> {
    let mut clause = "1".to_owned();
    let mut params: Vec<Value> = Vec::new();
    if let Some(token) = &page.token {
        clause.push_str(" AND id < ?");
        params.push(token.parse::<i64>().map_err(|_| StoreError::BadToken)?.into());
    }
    if filter.open {
        clause.push_str(" AND settled = 0");
    }
    if let Some(ticket) = filter.ticket {
        clause.push_str(" AND ticket = ?");
        params.push(signed(ticket.0).into());
    }
    let most = page.limit.max(1);
    params.push(limit(most).saturating_add(1).into());
    let sql = format!("SELECT body FROM remediation WHERE {clause} ORDER BY id DESC LIMIT ?");
    next_token(bodies(db, &sql, params_from_iter(params))?, most, |last| Ok(last.id.to_string()))
}

fn event_rows(db: &Connection, agent: &AgentId, after: i64, max_rows: usize) -> Result<Vec<LogRow>, StoreError> {
    let doing = "reading the event lane";
    let mut query = db
        .prepare_cached(
            "SELECT g.id, l.agent, l.spool_id, l.lane, g.seq, g.received_at, g.body, g.crc
             FROM ingest_log g JOIN lane l ON l.id = g.lane_id
             WHERE g.id > ?1 AND l.agent = ?2 AND l.lane = ?3 ORDER BY g.id LIMIT ?4",
        )
        .during(doing)?;
    let mut rows =
        query.query((after, agent.as_str(), i64::from(Lane::Event.number()), limit(max_rows))).during(doing)?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().during(doing)? {
        let row = ingest::checked_row(r)?;
        // What the disk made of it is no answer.
        if !row.damaged {
            out.push(row);
        }
    }
    Ok(out)
}

fn put(db: &Connection, mut order: Order, change: &OrderChange, file: Option<&OrderFile>) -> Result<Order, StoreError> {
    let doing = "storing an order";
    if order.id == 0 {
        // The numbers are in the body, so the row comes first.
        db.execute(
            "INSERT INTO remediation (revision, wire_id, settled, told, body) VALUES (0, lower(hex(randomblob(16))), 0, 0, '{}')",
            [],
        )
        .during(doing)?;
        order.id = db.last_insert_rowid().unsigned_abs();
        order.wire_id = db
            .query_row("SELECT wire_id FROM remediation WHERE id = ?1", [signed(order.id)], |r| r.get(0))
            .during(doing)?;
        order.revision = 0;
    }
    let what = || format!("order {}", order.id);
    let stored: Option<i64> = db
        .query_row("SELECT revision FROM remediation WHERE id = ?1", [signed(order.id)], |r| r.get(0))
        .optional()
        .during(doing)?;
    match stored {
        None => return Err(StoreError::NotFound { what: what() }),
        Some(revision) if revision != signed(order.revision) => return Err(StoreError::Conflict { what: what() }),
        Some(_) => {}
    }
    order.revision += 1;
    if let Some(file) = file {
        order.content_bytes = file.content.len() as u64;
        db.execute(
            "INSERT INTO remediation_file (remediation, media_type, content) VALUES (?1, ?2, ?3)",
            (signed(order.id), &file.media_type, &file.content),
        )
        .during(doing)?;
    }
    db.execute(
        "UPDATE remediation SET revision = ?2, settled = ?3, told = ?4, ticket = ?5, sent_at = ?6, body = ?7 WHERE id = ?1",
        (
            signed(order.id),
            signed(order.revision),
            order.state.is_settled(),
            order.told,
            order.ticket.map(|t| signed(t.0)),
            order.sent_at.map(Timestamp::as_millis),
            to_json(doing, &order)?,
        ),
    )
    .during(doing)?;
    db.execute(
        "INSERT INTO remediation_change (remediation, revision, at, who, what) VALUES (?1, ?2, ?3, ?4, ?5)",
        (signed(order.id), signed(order.revision), change.at.as_millis(), &change.who, &change.what),
    )
    .during(doing)?;
    Ok(order)
}
