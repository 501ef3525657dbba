//! The store on one SQLite file: `<data_dir>/store.db`.

mod assess;
mod audit;
mod change;
mod check;
mod copy;
mod deadline;
mod decision;
mod drift;
mod drill;
mod drives;
mod error;
mod grant;
mod history;
mod ingest;
mod keeping;
mod maintenance;
mod migrate;
mod open;
mod order;
mod outbox;
mod outcome;
mod parts;
mod pool;
mod query;
mod readings;
mod recall;
mod seal;
mod series;
mod threshold;
mod ticket;
mod upkeep;
mod writer;

pub use copy::copy;
pub use open::Options;

use crate::error::StoreError;
use crate::head::Head;
use crate::ingest::{Admission, AgentHello, AgentRecord, IncomingBatch, LogRow};
use crate::query::{EventFilter, GapFilter, HistoryFilter, Listing, Page, Scope, SeriesFilter, TicketFilter};
use crate::record::{
    Applied, EventRecord, GapRecord, HealthRecord, HistoryPoint, LatestReading, PartRecord, QuarantinedRow,
    ServerRecord, TicketRecord, TicketWrite,
};
use crate::retention::Retention;
use crate::store::{OnCommitted, Sealed, Sequence, Store};
use error::During;
use outband_health::Incident;
use outband_schemas::{AgentId, LogEvent, ServerId, SiteId, Timestamp};
use outband_ticket::TicketNumber;
use pool::Pool;
use std::fs::File;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use writer::Writer;

/// A store on one SQLite file. Clones are the same store; the last one to go closes it.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

// The fields end in this order: the writer before the lock.
struct Inner {
    writer: Writer,
    pool: Pool,
    head: Arc<RwLock<Head>>,
    max_head_points: usize,
    damage: open::Damage,
    _lock: File,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the store, or makes it. Refuses a directory that another process uses, a damaged file and a newer schema.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        let lock = open::take_directory(&options.data_dir)?;
        let damage = open::Damage::default();
        let db = open::open_writer(options, &damage)?;
        let head = Arc::new(RwLock::new(readings::load_head(&db)?));
        let writer = Writer::start(db, Arc::clone(&head))?;
        let pool = Pool::new(options.file(), options.readers);
        let inner = Inner { writer, pool, head, max_head_points: options.max_head_points, damage, _lock: lock };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn head(&self) -> RwLockReadGuard<'_, Head> {
        self.inner.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, query: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.inner.pool.read(query)
    }
}

impl Store for SqliteStore {
    fn hello(&self, hello: &AgentHello, at: Timestamp) -> Result<Admission, StoreError> {
        let hello = hello.clone();
        self.inner.writer.write(move |db, _| ingest::hello(db, &hello, at))
    }

    fn commit_then(&self, batch: IncomingBatch, at: Timestamp, done: OnCommitted) {
        self.inner.writer.submit(false, move |db, memory| ingest::commit(db, memory, &batch, at), done);
    }

    fn heard(&self, agent: &AgentId, at: Timestamp) -> Result<(), StoreError> {
        let agent = agent.clone();
        self.inner.writer.write(move |db, _| ingest::heard(db, &agent, at))
    }

    fn agents(&self) -> Result<Vec<AgentRecord>, StoreError> {
        self.read(ingest::agents)
    }

    fn on_commit(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.inner.writer.subscribe(wake);
    }

    fn log_after(&self, after: i64, max_rows: usize) -> Result<Vec<LogRow>, StoreError> {
        self.read(|db| ingest::log_after(db, after, max_rows))
    }

    fn cursor(&self) -> Result<i64, StoreError> {
        self.read(|db| db.query_row("SELECT cursor FROM state", [], |r| r.get(0)).during("reading the cursor"))
    }

    fn known_events(&self, server: &ServerId, events: &[LogEvent]) -> Result<Vec<bool>, StoreError> {
        self.read(|db| assess::known_events(db, server, events))
    }

    fn apply(&self, applied: Applied, at: Timestamp) -> Result<(), StoreError> {
        self.inner.writer.write(move |db, memory| assess::apply(db, memory, applied, at))
    }

    fn reserve(&self, sequence: Sequence) -> Result<u64, StoreError> {
        let name = match sequence {
            Sequence::Ticket => "ticket",
            Sequence::Server => "server",
        };
        self.inner.writer.write(move |db, _| ticket::reserve(db, name))
    }

    fn open_incidents(&self) -> Result<Vec<Incident>, StoreError> {
        self.read(ticket::open_incidents)
    }

    fn quarantined(&self, page: &Page) -> Result<Listing<QuarantinedRow>, StoreError> {
        self.read(|db| ingest::quarantined(db, page))
    }

    fn ticket(&self, number: TicketNumber) -> Result<Option<TicketRecord>, StoreError> {
        self.read(|db| ticket::one(db, number))
    }

    fn tickets(&self, filter: &TicketFilter, page: &Page) -> Result<Listing<TicketRecord>, StoreError> {
        self.read(|db| ticket::list(db, filter, page))
    }

    fn open_tickets(&self) -> Result<Vec<TicketRecord>, StoreError> {
        self.read(ticket::not_closed)
    }

    fn update_ticket(&self, write: TicketWrite) -> Result<TicketRecord, StoreError> {
        self.inner.writer.write(move |db, _| {
            ticket::write(db, &write)?;
            let number = write.ticket.number;
            ticket::one(db, number)?.ok_or_else(|| StoreError::NotFound { what: format!("ticket {number}") })
        })
    }

    fn server(&self, id: &ServerId) -> Result<Option<ServerRecord>, StoreError> {
        self.read(|db| query::server(db, id))
    }

    fn servers(&self, site: Option<&SiteId>, page: &Page) -> Result<Listing<ServerRecord>, StoreError> {
        self.read(|db| query::servers(db, site, page))
    }

    fn parts(&self, server: &ServerId) -> Result<Vec<PartRecord>, StoreError> {
        self.read(|db| query::parts(db, server))
    }

    fn latest(&self, filter: &SeriesFilter, page: &Page) -> Result<Listing<LatestReading>, StoreError> {
        self.read(|db| history::latest(db, filter, page))
    }

    fn history(&self, filter: &HistoryFilter, page: &Page) -> Result<Listing<HistoryPoint>, StoreError> {
        // What is sealed between a look at the file and one at the head is in neither: then look again.
        for _ in 0..3 {
            let before = self.head().seals();
            let of_series = |id, from, to| self.head().of_series(id, from, to);
            let answer = self.read(|db| history::history(db, &of_series, filter, page))?;
            if self.head().seals() == before {
                return Ok(answer);
            }
        }
        // The head is locked before the read transaction takes its snapshot, and after the connection is taken: the other
        // way round, queries that wait for a connection would hold up those that have one.
        self.read(|db| {
            let head = self.head();
            history::history(db, &|id, from, to| head.of_series(id, from, to), filter, page)
        })
    }

    fn events(&self, filter: &EventFilter, page: &Page) -> Result<Listing<EventRecord>, StoreError> {
        self.read(|db| query::events(db, filter, page))
    }

    fn gaps(&self, filter: &GapFilter, page: &Page) -> Result<Listing<GapRecord>, StoreError> {
        self.read(|db| query::gaps(db, filter, page))
    }

    fn health(&self, scope: &Scope) -> Result<Option<HealthRecord>, StoreError> {
        self.read(|db| query::health(db, scope))
    }

    fn healths(&self, parent: Option<&Scope>, page: &Page) -> Result<Listing<HealthRecord>, StoreError> {
        self.read(|db| query::healths(db, parent, page))
    }

    fn seal(&self, now: Timestamp) -> Result<Sealed, StoreError> {
        let mut total = Sealed::default();
        loop {
            let (head, limit) = (Arc::clone(&self.inner.head), self.inner.max_head_points);
            let some = self.inner.writer.write_alone(move |db, memory| seal::seal(db, memory, &head, now, limit))?;
            total.chunks += some.chunks;
            total.points += some.points;
            total.bytes += some.bytes;
            if some.chunks < seal::SEAL_AT_ONCE {
                return Ok(total);
            }
        }
    }

    fn expire(&self, now: Timestamp, retention: &Retention) -> Result<(), StoreError> {
        let limits = retention.limits(now);
        loop {
            if !self.inner.writer.write(move |db, _| upkeep::expire(db, &limits))? {
                return Ok(());
            }
        }
    }

    fn damage(&self) -> Option<String> {
        self.inner.damage.get().cloned()
    }

    fn close(&self) -> Result<(), StoreError> {
        self.inner.writer.close()
    }
}
