//! Drills, and every change of them.

use super::decision::{Room, Row, bodies, number, put, signed};
use super::error::{During, is_duplicate};
use super::{SqliteStore, audit};
use crate::StoreError;
use crate::audit::Note;
use crate::drill::{Drill, DrillChange, Drills};

const ROOM: Room = Room { name: "drill", one: "a drill" };

impl Drills for SqliteStore {
    fn drills(&self, all: bool) -> Result<Vec<Drill>, StoreError> {
        let sql = if all {
            "SELECT body FROM drill ORDER BY id"
        } else {
            "SELECT body FROM drill WHERE ended = 0 ORDER BY id"
        };
        self.read(|db| bodies(db, ROOM.one, sql, []))
    }

    fn drill(&self, id: u64) -> Result<Option<Drill>, StoreError> {
        let found = self.read(|db| bodies(db, ROOM.one, "SELECT body FROM drill WHERE id = ?1", [signed(id)]))?;
        Ok(found.into_iter().next())
    }

    fn put_drill(&self, change: &DrillChange, note: Option<Note<Drill>>) -> Result<Drill, StoreError> {
        let mut change = change.clone();
        self.inner.writer.write(move |db, _| {
            if change.drill.id == 0 {
                (change.drill.id, change.drill.revision) = (number(db, ROOM)?, 1);
            }
            let drill = &change.drill;
            let row = Row { id: drill.id, revision: drill.revision, ended: drill.ended_at.is_some(), at: change.at };
            put(db, ROOM, row, drill, &change)?;
            match db.execute("UPDATE drill SET plan = ?2 WHERE id = ?1", (signed(drill.id), &drill.plan)) {
                Err(e) if is_duplicate(&e) => {
                    return Err(StoreError::Conflict { what: drill.plan.clone().unwrap_or_default() });
                }
                other => other.map(|_| ()).during(ROOM.one)?,
            }
            audit::note(db, note, drill)?;
            Ok(change.drill)
        })
    }

    fn had_turn(&self, plan: &str) -> Result<bool, StoreError> {
        self.read(|db| {
            db.query_row("SELECT EXISTS (SELECT 1 FROM drill WHERE plan = ?1)", [plan], |r| r.get(0)).during(ROOM.one)
        })
    }
}
