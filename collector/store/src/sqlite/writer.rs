//! The one thread that writes. Jobs that wait while a transaction commits share the next one (group commit); each runs in
//! a savepoint of its own, so that one that fails takes no other with it.

use super::error::{During, classify};
use super::series::SeriesCache;
use crate::StoreError;
use crate::head::{Arrival, Head, PageKey};
use rusqlite::Connection;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SendError, Sender};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

/// How many jobs share a transaction at most.
const GROUP: usize = 256;

/// Called after each transaction that put rows into the ingest log.
pub(super) type Wake = Box<dyn Fn() + Send + Sync>;

/// What the writer knows besides the file.
#[derive(Default)]
pub(super) struct Memory {
    /// Ids of series.
    pub(super) series: SeriesCache,
    /// What to do in memory once the transaction is durable.
    pub(super) staged: Vec<Staged>,
}

/// A change of memory that waits for the commit.
pub(super) enum Staged {
    /// Rows came into the ingest log.
    Logged,
    /// A target came to a server.
    Moved,
    /// Points were written to this row of the journal.
    Points(i64, Vec<Arrival>),
    /// So many points of pages were sealed.
    Sealed(Vec<(PageKey, usize)>),
}

type Finish = Box<dyn FnOnce(Result<(), StoreError>)>;

struct Ran {
    ok: bool,
    finish: Finish,
}

/// Runs on the connection inside a transaction, or is told why there is none.
type Run = Box<dyn FnOnce(Result<(&Connection, &mut Memory), StoreError>) -> Ran + Send>;

enum Job {
    Write { run: Run, alone: bool },
    Subscribe(Wake),
    Close(Sender<Result<(), StoreError>>),
}

/// A handle of the writer's thread.
pub(super) struct Writer {
    jobs: Sender<Job>,
    moves: Arc<AtomicU64>,
    commits: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(db: Connection, head: Arc<RwLock<Head>>) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel();
        let moves = Arc::<AtomicU64>::default();
        let moved = Arc::clone(&moves);
        let commits = Arc::<AtomicU64>::default();
        let committed = Arc::clone(&commits);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                Loop { db, head, memory: Memory::default(), wakes: Vec::new(), moves: moved, commits: committed }
                    .run(&queue);
            })
            .map_err(|e| StoreError::Unavailable { doing: "starting the writer", source: e.into() })?;
        Ok(Self { jobs, moves, commits, thread: Some(thread) })
    }

    /// Grows whenever a target came to a server.
    pub(super) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }

    /// How many transactions were made durable.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Has `run` write, and `done` called once that is durable or refused.
    pub(super) fn submit<T: 'static>(
        &self,
        alone: bool,
        run: impl FnOnce(&Connection, &mut Memory) -> Result<T, StoreError> + Send + 'static,
        done: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        let run: Run = Box::new(move |given| {
            let result = given.and_then(|(db, memory)| run(db, memory));
            Ran {
                ok: result.is_ok(),
                finish: Box::new(move |committed| done(result.and_then(|v| committed.map(|()| v)))),
            }
        });
        if let Err(SendError(Job::Write { run, .. })) = self.jobs.send(Job::Write { run, alone }) {
            (run(Err(StoreError::Closed)).finish)(Ok(()));
        }
    }

    /// Like `submit`, waiting for the result.
    pub(super) fn write<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Connection, &mut Memory) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_in(false, run)
    }

    /// Like `write`, in a transaction that no other job shares: what is staged by others is in memory before, and what
    /// this stages is before any other job runs.
    pub(super) fn write_alone<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Connection, &mut Memory) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_in(true, run)
    }

    fn write_in<T: Send + 'static>(
        &self,
        alone: bool,
        run: impl FnOnce(&Connection, &mut Memory) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = mpsc::channel();
        // The receiver waits below.
        self.submit(alone, run, move |result| tell.send(result).unwrap_or_default());
        told.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Has `wake` called whenever rows came into the ingest log.
    pub(super) fn subscribe(&self, wake: Wake) {
        if self.jobs.send(Job::Subscribe(wake)).is_err() {
            tracing::warn!("the store is closed: nothing will be assessed any more");
        }
    }

    /// Ends the thread after what is queued.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        let (tell, told) = mpsc::channel();
        self.jobs.send(Job::Close(tell)).map_err(|_| StoreError::Closed)?;
        told.recv().unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        match self.close() {
            Ok(()) | Err(StoreError::Closed) => {}
            Err(error) => tracing::warn!(%error, "closing the store"),
        }
        if let Some(thread) = self.thread.take() {
            // A callback may hold the last handle: then this is the writer's own thread.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("the store's writer panicked");
            }
        }
    }
}

struct Loop {
    db: Connection,
    head: Arc<RwLock<Head>>,
    memory: Memory,
    wakes: Vec<Wake>,
    moves: Arc<AtomicU64>,
    commits: Arc<AtomicU64>,
}

impl Loop {
    fn run(mut self, queue: &Receiver<Job>) {
        let mut held = None;
        while let Some(job) = held.take().or_else(|| queue.recv().ok()) {
            match job {
                Job::Write { run, alone } => held = self.group(run, alone, queue),
                Job::Subscribe(wake) => self.wakes.push(wake),
                Job::Close(tell) => {
                    let result = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
                    // Whoever asked may have stopped waiting.
                    return tell.send(result.during("folding the write-ahead log")).unwrap_or_default();
                }
            }
        }
    }

    /// Runs jobs in one transaction. Answers the first that does not belong into it.
    fn group(&mut self, first: Run, alone: bool, queue: &Receiver<Job>) -> Option<Job> {
        if let Err(error) = self.db.execute_batch("BEGIN IMMEDIATE").during("beginning to write") {
            (first(Err(error)).finish)(Ok(()));
            return None;
        }
        let mut held = None;
        let mut finishes = vec![self.one(first)];
        while !alone && !self.db.is_autocommit() && finishes.len() < GROUP {
            match queue.try_recv() {
                Ok(Job::Write { run, alone: false }) => finishes.push(self.one(run)),
                Ok(other) => {
                    held = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let committed = self.commit();
        let staged = std::mem::take(&mut self.memory.staged);
        match &committed {
            Ok(()) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                self.settle(staged);
            }
            // Ids that the cache holds may never have been written.
            Err(_) => self.memory.series.clear(),
        }
        for finish in finishes {
            finish(match &committed {
                Ok(()) => Ok(()),
                Err(e) => Err(StoreError::Unavailable { doing: "writing", source: e.to_string().into() }),
            });
        }
        held
    }

    fn one(&mut self, run: Run) -> Finish {
        let staged = self.memory.staged.len();
        if let Err(error) = self.db.execute_batch("SAVEPOINT job").during("beginning to write") {
            return run(Err(error)).finish;
        }
        let ran = run(Ok((&self.db, &mut self.memory)));
        if !ran.ok {
            self.memory.staged.truncate(staged);
            self.memory.series.clear();
        }
        // Where SQLite gave up the whole transaction there is no savepoint either, and `commit` says so to all.
        let end = if ran.ok { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
        if !self.db.is_autocommit()
            && let Err(e) = self.db.execute_batch(end)
        {
            let error = classify("ending a savepoint", e);
            tracing::error!(%error, "the transaction is given up");
            self.roll_back();
        }
        ran.finish
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.db.is_autocommit() {
            return Err(StoreError::Unavailable {
                doing: "writing",
                source: "SQLite rolled the transaction back".into(),
            });
        }
        self.db.execute_batch("COMMIT").during("committing").inspect_err(|_| self.roll_back())
    }

    fn roll_back(&self) {
        if !self.db.is_autocommit()
            && let Err(e) = self.db.execute_batch("ROLLBACK")
        {
            let error = classify("rolling back", e);
            tracing::error!(%error, "a transaction can be neither committed nor rolled back");
        }
    }

    fn settle(&self, staged: Vec<Staged>) {
        let mut logged = false;
        let mut head = self.head.write().unwrap_or_else(PoisonError::into_inner);
        for change in staged {
            match change {
                Staged::Logged => logged = true,
                Staged::Moved => {
                    self.moves.fetch_add(1, Ordering::Release);
                }
                Staged::Points(row, arrivals) => head.add(row, &arrivals),
                Staged::Sealed(keys) => head.forget(&keys),
            }
        }
        drop(head);
        if logged {
            for wake in &self.wakes {
                wake();
            }
        }
    }
}
