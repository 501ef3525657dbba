//! The real store, with the collector's death between it and whoever asks, and the deliberate mistakes of the mutants.

use super::disk::Disk;
use super::oracle::Oracle;
use super::{Mutant, lock};
use outband_health::Incident;
use outband_schemas::{AgentId, LogEvent, ServerId, SiteId, SpoolId, Timestamp};
use outband_store::{
    AgentHello, AgentRecord, Applied, Committed, EventFilter, EventRecord, GapFilter, GapRecord, HealthRecord,
    HistoryFilter, HistoryPoint, IncomingBatch, LatestReading, Listing, LogRow, OnAdmitted, OnCommitted, Page,
    PartRecord, Poisoned, QuarantinedRow, Retention, Scope, Sealed, Sequence, SeriesFilter, ServerRecord, SqliteStore,
    Store, StoreError, TicketFilter, TicketRecord, TicketWrite,
};
use outband_ticket::TicketNumber;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// Commits that wait although they were acknowledged.
type Owed = mpsc::UnboundedSender<(IncomingBatch, Timestamp)>;

/// A store that answers at once or, once its disk is dead, never. Writes are done in the caller's turn, so that nothing depends on threads.
#[derive(Clone)]
pub(crate) struct SimStore {
    /// The real one.
    pub(crate) real: SqliteStore,
    disk: Disk,
    oracle: Arc<Mutex<Oracle>>,
    mutant: Mutant,
    /// Of the mutant without a mark: the spool id under which the stream of an epoch is stored.
    lives: Arc<Mutex<HashMap<i64, SpoolId>>>,
    owed: Owed,
}

impl SimStore {
    /// Over a real store on this disk.
    pub(crate) fn new(real: SqliteStore, disk: Disk, oracle: Arc<Mutex<Oracle>>, mutant: Mutant) -> Self {
        let (owed, mut waiting) = mpsc::unbounded_channel::<(IncomingBatch, Timestamp)>();
        let (late, on) = (real.clone(), disk.clone());
        tokio::spawn(async move {
            while let Some((batch, at)) = waiting.recv().await {
                tokio::time::sleep(Duration::from_millis(200)).await;
                if on.is_dead() || late.commit(batch, at).is_err() {
                    return;
                }
            }
        });
        Self { real, disk, oracle, mutant, lives: Arc::default(), owed }
    }

    fn commit_now(&self, mut batch: IncomingBatch, at: Timestamp) -> Result<Committed, StoreError> {
        if let Some(id) = lock(&self.lives).get(&batch.epoch.0) {
            batch.spool_id = *id;
        }
        let end = batch.first_seq + i64::try_from(batch.bodies.len()).unwrap_or(0) - 1;
        match self.mutant {
            Mutant::AckBeforeCommit => {
                let committed = Committed { through: end, stored: batch.bodies.len() };
                self.owed.send((batch, at)).map(|()| committed).map_err(|_| StoreError::Closed)
            }
            Mutant::Shuffled => {
                batch.bodies.reverse();
                self.real.commit(batch, at)
            }
            _ => self.real.commit(batch, at),
        }
    }
}

/// Verbs that the ingest does not use, or only reads with.
macro_rules! same {
    ($($verb:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*) => {
        $(fn $verb(&self, $($arg: $ty),*) -> $out {
            self.real.$verb($($arg),*)
        })*
    };
}

impl Store for SimStore {
    fn hello_then(&self, hello: AgentHello, at: Timestamp, done: OnAdmitted) {
        if self.disk.is_dead() {
            return;
        }
        let mut hello = hello;
        if self.mutant == Mutant::NoMark {
            hello.spool_id = SpoolId::from_bits(hello.spool_id.bits() ^ (lock(&self.lives).len() as u128 + 1));
        }
        let id = hello.spool_id;
        let mut result = self.real.hello(&hello, at);
        if let (Mutant::Blind, Ok(admission)) = (self.mutant, &mut result) {
            admission.known.clear();
        }
        if let (Mutant::NoMark, Ok(admission)) = (self.mutant, &result) {
            lock(&self.lives).insert(admission.epoch.0, id);
        }
        if !self.disk.is_dead() {
            lock(&self.oracle).hellos += 1;
            done(result);
        }
    }

    fn commit_then(&self, batch: IncomingBatch, at: Timestamp, done: OnCommitted) {
        if self.disk.is_dead() {
            return;
        }
        let bodies = batch.bodies.clone();
        let result = self.commit_now(batch, at);
        if self.disk.is_dead() {
            return;
        }
        if result.is_ok() {
            let mut oracle = lock(&self.oracle);
            bodies.iter().for_each(|body| oracle.acked(body));
        }
        done(result);
    }

    /// Not of what is tried here.
    fn heard(&self, _: &AgentId, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    fn on_commit(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.real.on_commit(wake);
    }

    same! {
        agents() -> Result<Vec<AgentRecord>, StoreError>;
        log_after(after: i64, max_rows: usize) -> Result<Vec<LogRow>, StoreError>;
        urgent(max_rows: usize) -> Result<Vec<LogRow>, StoreError>;
        cursor() -> Result<i64, StoreError>;
        known_events(server: &ServerId, events: &[LogEvent]) -> Result<Vec<bool>, StoreError>;
        apply(applied: Applied, at: Timestamp) -> Result<(), StoreError>;
        reserve(sequence: Sequence) -> Result<u64, StoreError>;
        open_incidents() -> Result<Vec<Incident>, StoreError>;
        poisoned(since: Timestamp) -> Result<Vec<Poisoned>, StoreError>;
        quarantined(page: &Page) -> Result<Listing<QuarantinedRow>, StoreError>;
        ticket(number: TicketNumber) -> Result<Option<TicketRecord>, StoreError>;
        tickets(filter: &TicketFilter, page: &Page) -> Result<Listing<TicketRecord>, StoreError>;
        open_tickets() -> Result<Vec<TicketRecord>, StoreError>;
        update_ticket(write: TicketWrite) -> Result<TicketRecord, StoreError>;
        server(id: &ServerId) -> Result<Option<ServerRecord>, StoreError>;
        servers(site: Option<&SiteId>, page: &Page) -> Result<Listing<ServerRecord>, StoreError>;
        parts(server: &ServerId) -> Result<Vec<PartRecord>, StoreError>;
        latest(filter: &SeriesFilter, page: &Page) -> Result<Listing<LatestReading>, StoreError>;
        history(filter: &HistoryFilter, page: &Page) -> Result<Listing<HistoryPoint>, StoreError>;
        events(filter: &EventFilter, page: &Page) -> Result<Listing<EventRecord>, StoreError>;
        gaps(filter: &GapFilter, page: &Page) -> Result<Listing<GapRecord>, StoreError>;
        health(scope: &Scope) -> Result<Option<HealthRecord>, StoreError>;
        healths(parent: Option<&Scope>, page: &Page) -> Result<Listing<HealthRecord>, StoreError>;
        seal(now: Timestamp) -> Result<Sealed, StoreError>;
        expire(now: Timestamp, retention: &Retention) -> Result<(), StoreError>;
        damage() -> Option<String>;
        close() -> Result<(), StoreError>;
    }
}
