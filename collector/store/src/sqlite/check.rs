//! Health checks.

use super::SqliteStore;
use super::decision::{bodies, signed};
use super::error::{During, is_duplicate, to_json};
use super::query::next_token;
use crate::StoreError;
use crate::check::{Check, CheckFilter, Checks};
use crate::query::{Listing, Page};
use outband_schemas::ServerId;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

const ONE: &str = "a health check";

impl Checks for SqliteStore {
    fn put_check(&self, check: Check) -> Result<Check, StoreError> {
        self.inner.writer.write(move |db, _| put(db, check))
    }

    fn health_check(&self, id: u64) -> Result<Option<Check>, StoreError> {
        let found = self.read(|db| bodies(db, ONE, "SELECT body FROM health_check WHERE id = ?1", [signed(id)]))?;
        Ok(found.into_iter().next())
    }

    fn open_checks(&self) -> Result<Vec<Check>, StoreError> {
        self.read(|db| bodies(db, ONE, "SELECT body FROM health_check WHERE ended = 0 ORDER BY id", []))
    }

    fn health_checks(&self, filter: &CheckFilter, page: &Page) -> Result<Listing<Check>, StoreError> {
        let mut clause = "1".to_owned();
        let mut params: Vec<Value> = Vec::new();
        if let Some(server) = &filter.server {
            clause.push_str(" AND server = ?");
            params.push(server.as_str().to_owned().into());
        }
        if let Some(token) = &page.token {
            let before: i64 = token.parse().map_err(|_| StoreError::BadToken)?;
            clause.push_str(" AND id < ?");
            params.push(before.into());
        }
        let limit = i64::try_from(page.limit.saturating_add(1)).unwrap_or(i64::MAX);
        params.push(limit.into());
        let sql = format!("SELECT body FROM health_check WHERE {clause} ORDER BY id DESC LIMIT ?");
        let rows: Vec<Check> = self.read(|db| bodies(db, ONE, &sql, params_from_iter(&params)))?;
        next_token(rows, page.limit, |check| Ok(check.id.to_string()))
    }

    fn checked_in(&self, plan: &str) -> Result<Vec<ServerId>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT server FROM health_check WHERE plan = ?1").during(ONE)?;
            let names = query.query_map([plan], |row| row.get::<_, String>(0)).during(ONE)?;
            let mut servers = Vec::new();
            for name in names {
                servers.extend(ServerId::new(name.during(ONE)?).ok());
            }
            Ok(servers)
        })
    }
}

fn put(db: &Connection, mut check: Check) -> Result<Check, StoreError> {
    let conflict = |check: &Check| StoreError::Conflict { what: format!("health check {}", check.id) };
    if check.id == 0 {
        let row = (check.server.as_str(), check.requested_at.as_millis(), &check.plan);
        let sql = "INSERT INTO health_check (revision, server, ended, at, plan, body) VALUES (0, ?1, 0, ?2, ?3, '{}')";
        match db.execute(sql, row) {
            Err(e) if is_duplicate(&e) => return Err(conflict(&check)),
            other => other.during(ONE)?,
        };
        (check.id, check.revision) = (db.last_insert_rowid().unsigned_abs(), 1);
    }
    let body = to_json(ONE, &check)?;
    let changed = db
        .execute(
            "UPDATE health_check SET revision = ?2, ended = ?3, body = ?4 WHERE id = ?1 AND revision = ?2 - 1",
            (signed(check.id), signed(check.revision), check.state.is_over(), body),
        )
        .during(ONE)?;
    if changed == 0 {
        return Err(conflict(&check));
    }
    Ok(check)
}
