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
mod enrol;
mod erasure;
mod error;
mod files;
mod fill;
mod grant;
mod history;
mod ingest;
mod keeping;
mod maintenance;
mod migrate;
mod numbers;
mod open;
mod order;
mod outbox;
mod outcome;
mod parts;
mod pool;
mod putaway;
mod query;
mod readings;
mod recall;
mod recent;
mod roll;
mod seal;
mod series;
mod summary;
mod threshold;
mod ticket;
mod upkeep;
mod usage;
mod writer;

pub use copy::{copy, history as history_files, still};
pub use open::Options;

use crate::error::StoreError;
use crate::head::Head;
use crate::ingest::{AgentHello, AgentRecord, IncomingBatch, LogRow};
use crate::query::{EventFilter, GapFilter, HistoryFilter, Listing, Page, Scope, SeriesFilter, TicketFilter};
use crate::record::{
    Applied, EventRecord, GapRecord, HealthRecord, HistoryPoint, LatestReading, PartRecord, Poisoned, QuarantinedRow,
    ServerRecord, TicketRecord, TicketWrite,
};
use crate::retention::Retention;
use crate::store::{OnAdmitted, OnCommitted, Sealed, Sequence, Store};
use error::During;
use files::Files;
use numbers::Numbers;
use outband_health::Incident;
use outband_schemas::{AgentId, LogEvent, ServerId, SiteId, Timestamp};
use outband_ticket::TicketNumber;
use pool::Pool;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
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
    max_head_bytes: usize,
    damage: open::Damage,
    files: Arc<Files>,
    stuck: AtomicBool,
    queued: fill::Queued,
    numbers: Numbers,
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
        let files = Arc::new(Files::new(&options.data_dir));
        let inner = Inner {
            writer,
            pool,
            head,
            max_head_bytes: options.max_head_bytes,
            damage,
            files,
            stuck: AtomicBool::new(false),
            queued: fill::Queued::default(),
            numbers: Numbers::default(),
            _lock: lock,
        };
        let store = Self { inner: Arc::new(inner) };
        store.look_after_files()?;
        store.check_files_later(options.check_up_to_bytes)?;
        Ok(store)
    }

    /// Whether sealing fails while memory is full: then agents keep what they have.
    fn is_stuck(&self) -> bool {
        self.inner.stuck.load(Ordering::Relaxed) && self.head().bytes() > self.inner.max_head_bytes
    }

    fn head(&self) -> RwLockReadGuard<'_, Head> {
        self.inner.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, query: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.inner.pool.read(query)
    }
}

impl Store for SqliteStore {
    fn hello_then(&self, hello: AgentHello, at: Timestamp, done: OnAdmitted) {
        let done = self.inner.queued.count(done);
        self.inner.writer.submit(false, move |db, _| ingest::hello(db, &hello, at), done);
    }

    fn commit_then(&self, batch: IncomingBatch, at: Timestamp, done: OnCommitted) {
        if self.is_stuck() {
            let source = "history cannot be sealed, and no more of it fits into memory".into();
            return done(Err(StoreError::Unavailable { doing: "storing a batch", source }));
        }
        let done = self.inner.queued.count(done);
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

    fn urgent(&self, max_rows: usize) -> Result<Vec<LogRow>, StoreError> {
        self.read(|db| ingest::urgent(db, max_rows))
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
        self.inner.numbers.next(sequence, &self.inner.writer)
    }

    fn open_incidents(&self) -> Result<Vec<Incident>, StoreError> {
        self.read(ticket::open_incidents)
    }

    fn poisoned(&self, since: Timestamp) -> Result<Vec<Poisoned>, StoreError> {
        self.read(|db| ingest::poisoned(db, since))
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
        self.whole(|db, _, recent| history::latest(db, recent, filter, page))
    }

    fn history(&self, filter: &HistoryFilter, page: &Page) -> Result<Listing<HistoryPoint>, StoreError> {
        self.whole(|db, look, recent| history::history(db, look, recent, filter, page))
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
        let _turn = self.inner.files.turn();
        let sealed = self.seal_windows(Some(now));
        self.inner.stuck.store(sealed.is_err(), Ordering::Relaxed);
        let sealed = sealed?;
        self.move_chunks()?;
        Ok(Sealed { rolled: self.roll(now)?, ..sealed })
    }

    fn expire(&self, now: Timestamp, retention: &Retention) -> Result<(), StoreError> {
        let limits = retention.limits(now);
        loop {
            if !self.inner.writer.write(move |db, _| upkeep::expire(db, &limits))? {
                break;
            }
        }
        self.drop_old_files(&limits)
    }

    fn damage(&self) -> Option<String> {
        self.inner.damage.get().cloned().or_else(|| self.inner.files.damage())
    }

    fn close(&self) -> Result<(), StoreError> {
        self.inner.writer.close()
    }
}
