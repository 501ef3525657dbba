//! Terms and holds in SQLite.

mod customer;
mod prune;
mod rows;

pub(super) use rows::{loosened, with_column};

use super::decision::{bodies, signed};
use super::error::{During, to_json};
use super::files::forget_due;
use super::{SqliteStore, audit};
use crate::StoreError;
use crate::audit::{Actor, Deed, Note};
use crate::keeping::{CustomerErased, CustomerErasure, Hold, Keeping, Pruned};
use crate::retention::Limits;
use outband_schemas::{ServerId, Timestamp};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;

impl Keeping for SqliteStore {
    fn put_hold(&self, hold: &Hold, note: Option<Note<Hold>>) -> Result<Hold, StoreError> {
        let hold = hold.clone();
        self.inner.writer.write(move |db, _| {
            let hold = put(db, hold)?;
            audit::note(db, note, &hold)?;
            Ok(hold)
        })
    }

    fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        self.read(|db| bodies(db, "a hold", "SELECT body FROM hold ORDER BY id", []))
    }

    fn prune(
        &self,
        limits: &Limits,
        held: &BTreeSet<ServerId>,
        at: Timestamp,
        dry_run: bool,
    ) -> Result<Pruned, StoreError> {
        let limits = *limits;
        if dry_run {
            return self.read(|db| prune::count(db, &limits, held));
        }
        // Mostly there is nothing, which a reader can say.
        let due = self.read(|db| prune::count(db, &limits, held))?;
        if due.tickets.is_empty() && due.audit == 0 {
            return Ok(Pruned::default());
        }
        let held = held.clone();
        self.inner.writer.write(move |db, _| prune::portion(db, &limits, &held, at))
    }

    fn erase_customer(
        &self,
        erasure: &CustomerErasure,
        actor: Actor,
        deed: Deed,
    ) -> Result<CustomerErased, StoreError> {
        let erasure = erasure.clone();
        // The files of history first: what fails after them is done again, and finds less.
        let _turn = self.inner.files.turn();
        let history = if erasure.records { self.erase_history(&erasure.servers, erasure.dry_run)? } else { 0 };
        self.inner.writer.write(move |db, _| {
            let erased = customer::erase(db, &erasure, history, &actor, deed)?;
            if erasure.records && !erasure.dry_run {
                forget_due(db, &erasure.servers)?;
            }
            Ok(erased)
        })
    }
}

fn put(db: &Connection, mut hold: Hold) -> Result<Hold, StoreError> {
    let doing = "storing a hold";
    if hold.id == 0 {
        // The number is in the body, so the row comes first.
        db.execute("INSERT INTO hold (released, revision, body) VALUES (0, 0, '{}')", []).during(doing)?;
        hold.id = db.last_insert_rowid().unsigned_abs();
        hold.revision = 1;
    }
    let what = || format!("hold {}", hold.id);
    let stored: Option<i64> = db
        .query_row("SELECT revision FROM hold WHERE id = ?1", [signed(hold.id)], |r| r.get(0))
        .optional()
        .during(doing)?;
    match stored {
        None => return Err(StoreError::NotFound { what: what() }),
        Some(revision) if revision.saturating_add(1) != signed(hold.revision) => {
            return Err(StoreError::Conflict { what: what() });
        }
        Some(_) => {}
    }
    let row = (signed(hold.id), hold.released.is_some(), signed(hold.revision), to_json(doing, &hold)?);
    db.execute("UPDATE hold SET released = ?2, revision = ?3, body = ?4 WHERE id = ?1", row).during(doing)?;
    Ok(hold)
}
