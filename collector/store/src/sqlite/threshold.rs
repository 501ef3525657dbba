//! Thresholds that somebody set otherwise, and every change of them.

use super::decision::{Room, Row, bodies, number, put, signed};
use super::{SqliteStore, audit};
use crate::StoreError;
use crate::audit::Note;
use crate::threshold::{Threshold, ThresholdChange, Thresholds};

const ROOM: Room = Room { name: "threshold", one: "a threshold" };

impl Thresholds for SqliteStore {
    fn thresholds(&self, all: bool) -> Result<Vec<Threshold>, StoreError> {
        let sql = if all {
            "SELECT body FROM threshold ORDER BY id"
        } else {
            "SELECT body FROM threshold WHERE ended = 0 ORDER BY id"
        };
        self.read(|db| bodies(db, ROOM.one, sql, []))
    }

    fn put_threshold(&self, change: &ThresholdChange, note: Option<Note<Threshold>>) -> Result<Threshold, StoreError> {
        let mut change = change.clone();
        self.inner.writer.write(move |db, _| {
            if change.threshold.id == 0 {
                (change.threshold.id, change.threshold.revision) = (number(db, ROOM)?, 1);
            }
            let threshold = &change.threshold;
            let ended = threshold.ended_at.is_some();
            let row = Row { id: threshold.id, revision: threshold.revision, ended, at: change.at };
            put(db, ROOM, row, threshold, &change)?;
            audit::note(db, note, threshold)?;
            Ok(change.threshold)
        })
    }

    fn threshold_changes(&self, id: u64) -> Result<Vec<ThresholdChange>, StoreError> {
        let sql = "SELECT body FROM decision WHERE room = 'threshold' AND id = ?1 ORDER BY revision";
        self.read(|db| bodies(db, ROOM.one, sql, [signed(id)]))
    }
}
