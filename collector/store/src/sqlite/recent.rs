//! A query over files and memory together.

use super::SqliteStore;
use super::files::Look;
use crate::StoreError;
use crate::head::Head;
use rusqlite::Connection;
use std::sync::{PoisonError, RwLock};

/// What no file holds yet, as a query asks for it.
pub(super) enum Recent<'a> {
    /// Locked for each question.
    Open(&'a RwLock<Head>),
    /// Locked for all of them.
    Held(&'a Head),
}

impl Recent<'_> {
    /// Asks it.
    pub(super) fn with<T>(&self, ask: impl FnOnce(&Head) -> T) -> T {
        match self {
            Self::Open(head) => ask(&head.read().unwrap_or_else(PoisonError::into_inner)),
            Self::Held(head) => ask(head),
        }
    }
}

impl SqliteStore {
    /// Asks files and memory as if they were one. What is sealed between a look at the one and at the other is in neither: then it
    /// is asked again, and at last with nothing sealed meanwhile.
    pub(super) fn whole<T>(
        &self,
        ask: impl Fn(&Connection, &Look<'_>, &Recent<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        for _ in 0..3 {
            let before = self.head().seals();
            let recent = Recent::Open(&self.inner.head);
            let answer = self.read(|db| ask(db, &Look::new(&self.inner.files, db)?, &recent))?;
            if self.head().seals() == before {
                return Ok(answer);
            }
        }
        // Memory is locked before the read transaction takes its snapshot, and after the connection is taken: the other way round,
        // queries that wait for a connection would hold up those that have one.
        self.read(|db| {
            let head = self.head();
            ask(db, &Look::new(&self.inner.files, db)?, &Recent::Held(&head))
        })
    }
}
