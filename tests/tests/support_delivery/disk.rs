//! A disk that remembers what was forced to it: at a power cut, of what was only written some is there, some is not, and some is torn.
//!
//! A [`Disk`] is a directory. Every write SQLite makes there is noted until it is synced; [`Disk::take`] gives the files as they would be found after the
//! process, or the power, ended now, and [`Disk::arm`] has that happen in the middle of a transaction. From then on the disk refuses all writes, so that
//! whoever still runs on it can promise nothing more.

mod vfs;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rusqlite::ffi;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Files by name.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// A write is torn at these borders.
const SECTOR: usize = 512;

/// How a machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The process is killed: what it wrote stays with the operating system.
    Kill,
    /// The power fails: only what was synced is certain.
    Power,
}

/// What SQLite is about to do to a file.
enum Change<'a> {
    Write { at: usize, bytes: &'a [u8] },
    Truncate { size: usize },
    Sync,
}

enum Verdict {
    Go,
    /// It counts as done.
    Done,
    Fail(std::ffi::c_int),
}

#[derive(Debug, Clone)]
enum Op {
    Write { at: usize, bytes: Vec<u8> },
    Truncate { size: usize },
}

impl Op {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Op::Write { at, bytes } => {
                let end = at + bytes.len();
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[*at..end].copy_from_slice(bytes);
            }
            Op::Truncate { size } => file.resize(*size, 0),
        }
    }
}

/// One file: what is certain, and what was done to it since.
#[derive(Debug, Clone, Default)]
struct Book {
    /// `None`: not even that it exists.
    durable: Option<Vec<u8>>,
    pending: Vec<Op>,
}

impl Book {
    fn now(&self) -> Vec<u8> {
        let mut file = self.durable.clone().unwrap_or_default();
        self.pending.iter().for_each(|op| op.apply(&mut file));
        file
    }

    /// As a power cut leaves it: each write not yet synced is there, is not, or is there in part.
    fn after_power(&self, keep: f64, tear: bool, rng: &mut StdRng) -> Option<Vec<u8>> {
        if self.durable.is_none() && !rng.random_bool(keep.max(0.5)) {
            return None;
        }
        let mut file = self.durable.clone().unwrap_or_default();
        for op in &self.pending {
            match op {
                Op::Write { at, bytes } if tear => {
                    for (i, piece) in bytes.chunks(SECTOR).enumerate() {
                        if rng.random_bool(keep) {
                            Op::Write { at: at + i * SECTOR, bytes: piece.to_vec() }.apply(&mut file);
                        }
                    }
                }
                op if rng.random_bool(keep) => op.apply(&mut file),
                _ => {}
            }
        }
        Some(file)
    }
}

struct State {
    dir: PathBuf,
    files: BTreeMap<String, Book>,
    rng: StdRng,
    armed: Option<(u64, Cut)>,
    image: Option<Image>,
    full: bool,
    forgets_syncs: bool,
    bell: Arc<Notify>,
}

impl State {
    fn image(&mut self, cut: Cut) -> Image {
        let dir = self.dir.clone();
        let there = |name: &String| dir.join(name).exists();
        match cut {
            Cut::Kill => self.files.iter().filter(|(n, _)| there(n)).map(|(n, b)| (n.clone(), b.now())).collect(),
            Cut::Power => {
                let rng = &mut self.rng;
                let keep = [0.0, 0.1, 0.5, 0.9, 1.0][rng.random_range(0..5)];
                let tear = rng.random_bool(0.5);
                let books = self.files.iter().filter(|(n, _)| there(n));
                books.filter_map(|(n, b)| Some((n.clone(), b.after_power(keep, tear, rng)?))).collect()
            }
        }
    }

    fn end(&mut self, cut: Cut) {
        if self.image.is_none() {
            let image = self.image(cut);
            self.image = Some(image);
            self.bell.notify_one();
        }
    }

    /// Counts an operation; whether the disk still works.
    fn works(&mut self) -> bool {
        if let Some((left, cut)) = &mut self.armed {
            *left = left.saturating_sub(1);
            if *left == 0 {
                let cut = *cut;
                self.end(cut);
            }
        }
        self.image.is_none()
    }
}

type Shared = Arc<Mutex<State>>;

static DISKS: LazyLock<Mutex<HashMap<PathBuf, Shared>>> = LazyLock::new(Mutex::default);
static OPEN: LazyLock<Mutex<HashMap<usize, (Shared, String)>>> = LazyLock::new(Mutex::default);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn disk_of(path: &Path) -> Option<(Shared, String)> {
    let disk = lock(&DISKS).get(path.parent()?)?.clone();
    Some((disk, path.file_name()?.to_string_lossy().into_owned()))
}

/// Whether the file lies on a disk of ours.
fn opened(file: usize, path: &Path) -> bool {
    let Some((disk, name)) = disk_of(path) else { return false };
    let on_disk = std::fs::read(path).unwrap_or_default();
    let mut state = lock(&disk);
    let known = state.files.get(&name).map(Book::now);
    // A file that was renamed away and begun anew is another one.
    if known.as_ref() != Some(&on_disk) {
        let pending = if on_disk.is_empty() { Vec::new() } else { vec![Op::Write { at: 0, bytes: on_disk }] };
        state.files.insert(name.clone(), Book { durable: None, pending });
    }
    drop(state);
    lock(&OPEN).insert(file, (disk, name));
    true
}

fn closed(file: usize) {
    lock(&OPEN).remove(&file);
}

fn deleted(path: &Path) -> Verdict {
    let Some((disk, name)) = disk_of(path) else { return Verdict::Go };
    let mut state = lock(&disk);
    if !state.works() {
        return Verdict::Fail(ffi::SQLITE_IOERR_DELETE);
    }
    state.files.remove(&name);
    Verdict::Go
}

fn changes(file: usize, change: Change<'_>) -> Verdict {
    let Some((disk, name)) = lock(&OPEN).get(&file).cloned() else { return Verdict::Fail(ffi::SQLITE_IOERR) };
    let mut state = lock(&disk);
    // A write may be on its way when the end comes: it is the last in the book.
    let ends = matches!(state.armed, Some((1, _)));
    if ends && let Change::Write { at, bytes } = &change {
        let op = Op::Write { at: *at, bytes: bytes.to_vec() };
        state.files.entry(name.clone()).or_default().pending.push(op);
    }
    if !state.works() {
        return Verdict::Fail(ffi::SQLITE_IOERR_WRITE);
    }
    let (full, forgets) = (state.full, state.forgets_syncs);
    let book = state.files.entry(name).or_default();
    match change {
        // A full disk lets nothing grow; what is there can be written over.
        Change::Write { .. } if full => Verdict::Fail(ffi::SQLITE_FULL),
        Change::Write { at, bytes } => {
            book.pending.push(Op::Write { at, bytes: bytes.to_vec() });
            Verdict::Go
        }
        Change::Truncate { size } => {
            book.pending.push(Op::Truncate { size });
            Verdict::Go
        }
        Change::Sync if forgets => Verdict::Done,
        Change::Sync => {
            let mut file = book.durable.take().unwrap_or_default();
            book.pending.drain(..).for_each(|op| op.apply(&mut file));
            book.durable = Some(file);
            Verdict::Done
        }
    }
}

/// A directory with a book of what is durable.
#[derive(Clone)]
pub(crate) struct Disk {
    dir: PathBuf,
    state: Shared,
}

impl Disk {
    /// A new disk below `root` that holds these files, all durable.
    /// `bell` is rung at its end.
    pub(crate) fn new(root: &Path, name: &str, image: &Image, seed: u64, bell: Arc<Notify>) -> Self {
        vfs::install();
        let dir = root.join(name);
        std::fs::create_dir_all(&dir).expect("a directory");
        let dir = dir.canonicalize().expect("a path");
        for (name, bytes) in image {
            std::fs::write(dir.join(name), bytes).expect("a file");
        }
        let book = |bytes: &Vec<u8>| Book { durable: Some(bytes.clone()), pending: Vec::new() };
        let state = State {
            dir: dir.clone(),
            files: image.iter().map(|(name, bytes)| (name.clone(), book(bytes))).collect(),
            rng: StdRng::seed_from_u64(seed),
            armed: None,
            image: None,
            full: false,
            forgets_syncs: false,
            bell,
        };
        let state = Arc::new(Mutex::new(state));
        lock(&DISKS).insert(dir.clone(), state.clone());
        Self { dir, state }
    }

    /// Where the files are.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The end, now, unless it came before: the files as they are found afterwards.
    pub(crate) fn take(&self, cut: Cut) -> Image {
        let mut state = lock(&self.state);
        state.end(cut);
        state.image.clone().unwrap_or_default()
    }

    /// The files as they are now; the disk goes on.
    pub(crate) fn copy(&self) -> Image {
        lock(&self.state).image(Cut::Kill)
    }

    /// The end comes at the so-manieth write, truncation or sync from now.
    pub(crate) fn arm(&self, operations: u64, cut: Cut) {
        lock(&self.state).armed = Some((operations.max(1), cut));
    }

    /// Whether the end came.
    pub(crate) fn is_dead(&self) -> bool {
        lock(&self.state).image.is_some()
    }

    /// No end comes any more by itself.
    pub(crate) fn disarm(&self) {
        lock(&self.state).armed = None;
    }

    /// Whether no byte more fits.
    pub(crate) fn set_full(&self, full: bool) {
        lock(&self.state).full = full;
    }

    /// Nothing is ever forced to this disk: what `PRAGMA synchronous = OFF` makes of one.
    pub(crate) fn forget_syncs(&self) {
        lock(&self.state).forgets_syncs = true;
    }
}

/// Forgets the disks below `root`.
pub(crate) fn forget(root: &Path) {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    lock(&DISKS).retain(|dir, _| !dir.starts_with(&root));
}
