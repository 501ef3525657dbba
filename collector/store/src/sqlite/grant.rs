//! Temporary accesses.

use super::error::{During, from_json, to_json};
use super::{SqliteStore, audit, ticket};
use crate::StoreError;
use crate::audit::Sha256Hash;
use crate::grant::{Grant, GrantWrite, Grants};
use outband_ticket::TicketNumber;
use rusqlite::{Connection, OptionalExtension};

impl Grants for SqliteStore {
    fn reserve_grant(&self) -> Result<u64, StoreError> {
        self.inner.writer.write(|db, _| ticket::reserve(db, "grant", 1))
    }

    fn add_grant(&self, write: GrantWrite, digest: Sha256Hash) -> Result<(), StoreError> {
        self.inner.writer.write(move |db, _| {
            let doing = "storing an access grant";
            db.execute(
                "INSERT INTO access_grant (id, ticket, open, digest, body) VALUES (?1, ?2, 1, ?3, ?4)",
                (signed(write.grant.id), signed(write.grant.ticket.0), digest.0, to_json(doing, &write.grant)?),
            )
            .during(doing)?;
            beside(db, &write)
        })
    }

    fn change_grant(&self, write: GrantWrite) -> Result<(), StoreError> {
        self.inner.writer.write(move |db, _| {
            let doing = "storing an access grant";
            let changed = db
                .execute(
                    "UPDATE access_grant SET open = ?2, body = ?3 WHERE id = ?1 AND open = 1",
                    (signed(write.grant.id), write.grant.ended.is_none(), to_json(doing, &write.grant)?),
                )
                .during(doing)?;
            if changed == 0 {
                return Err(StoreError::Conflict { what: format!("grant {}", write.grant.id) });
            }
            beside(db, &write)
        })
    }

    fn grant(&self, id: u64) -> Result<Option<Grant>, StoreError> {
        self.read(|db| {
            let body: Option<String> = db
                .prepare_cached("SELECT body FROM access_grant WHERE id = ?1")
                .and_then(|mut s| s.query_row([signed(id)], |r| r.get(0)).optional())
                .during("reading an access grant")?;
            body.map(|body| from_json("an access grant", &body)).transpose()
        })
    }

    fn grants(&self, of: Option<TicketNumber>, all: bool) -> Result<Vec<Grant>, StoreError> {
        self.read(|db| {
            let doing = "reading access grants";
            let sql =
                "SELECT body FROM access_grant WHERE (?1 IS NULL OR ticket = ?1) AND (?2 OR open = 1) ORDER BY id";
            let mut query = db.prepare_cached(sql).during(doing)?;
            let mut rows = query.query((of.map(|n| signed(n.0)), all)).during(doing)?;
            let mut out = Vec::new();
            while let Some(r) = rows.next().during(doing)? {
                out.push(from_json("an access grant", &r.get::<_, String>(0).during(doing)?)?);
            }
            Ok(out)
        })
    }

    fn open_grants(&self) -> Result<Vec<(Grant, Sha256Hash)>, StoreError> {
        self.read(|db| {
            let doing = "reading access grants";
            let mut query =
                db.prepare_cached("SELECT body, digest FROM access_grant WHERE open = 1 ORDER BY id").during(doing)?;
            let mut rows = query.query([]).during(doing)?;
            let mut out = Vec::new();
            while let Some(r) = rows.next().during(doing)? {
                let grant = from_json("an access grant", &r.get::<_, String>(0).during(doing)?)?;
                out.push((grant, Sha256Hash(r.get(1).during(doing)?)));
            }
            Ok(out)
        })
    }
}

/// The entries of the logs.
fn beside(db: &Connection, write: &GrantWrite) -> Result<(), StoreError> {
    ticket::write(db, &write.ticket)?;
    audit::append(db, &write.actor, &write.deed).map(|_| ())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
