//! The file layer: SQLite's own, with [`Watched`] in between where bytes of a database or of its log are read and written.
//!
//! rusqlite has no safe way to register one, hence the `unsafe`.
#![allow(unsafe_code, reason = "a file layer is a table of C functions")]

use crate::check::Watched;
use rusqlite::ffi;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The name of the layer, for `Connection::open_with_flags_and_vfs`: a file has checksums where it says so.
pub const PAGES: &str = "outband-pages";
/// The name of the layer for a file that is being made: it has checksums from its first byte on, and 8 reserved bytes are a must.
pub const NEW_PAGES: &str = "outband-new-pages";

/// The layer below.
static BELOW: AtomicPtr<ffi::sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());

/// SQLite did not take the layer.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("SQLite takes no checksums of pages: code {code}")]
pub struct NotInstalled {
    /// SQLite's code.
    pub code: c_int,
}

/// Makes both layers known to SQLite, above the one that is its default now; it stays the default. Once a process, however often called.
pub fn install() -> Result<(), NotInstalled> {
    static DONE: OnceLock<c_int> = OnceLock::new();
    match *DONE.get_or_init(register) {
        ffi::SQLITE_OK => Ok(()),
        code => Err(NotInstalled { code }),
    }
}

fn register() -> c_int {
    // SAFETY: the layer below lives as long as the process, and so do the leaked copies. The functions of the copies that are the layer below's own look at
    // nothing of the table but what is copied.
    unsafe {
        let below = ffi::sqlite3_vfs_find(ptr::null());
        if below.is_null() {
            return ffi::SQLITE_ERROR;
        }
        BELOW.store(below, Ordering::Release);
        let layers: [(&CStr, _); 2] =
            [(c"outband-pages", open_known as Open), (c"outband-new-pages", open_new as Open)];
        for (name, open) in layers {
            let mut layer = *below;
            layer.pNext = ptr::null_mut();
            layer.zName = name.as_ptr();
            layer.szOsFile += HANDLE as c_int;
            layer.xOpen = Some(open);
            let done = ffi::sqlite3_vfs_register(Box::leak(Box::new(layer)), 0);
            if done != ffi::SQLITE_OK {
                return done;
            }
        }
        ffi::SQLITE_OK
    }
}

type Open = unsafe extern "C" fn(
    *mut ffi::sqlite3_vfs,
    ffi::sqlite3_filename,
    *mut ffi::sqlite3_file,
    c_int,
    *mut c_int,
) -> c_int;

/// An open file: SQLite allots room for this and, right behind, for the handle of the layer below.
#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    watched: *mut Watched,
}

/// A multiple of eight, to which SQLite aligns handles.
const HANDLE: usize = size_of::<Handle>().next_multiple_of(8);

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // The second version has the shared memory of a write-ahead log; the third were memory maps, of which nobody would see the reads.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn open_known(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: as SQLite hands them over.
    unsafe { open(name, file, flags, out, false) }
}

unsafe extern "C" fn open_new(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: as SQLite hands them over.
    unsafe { open(name, file, flags, out, true) }
}

/// # Safety
/// The arguments are those of SQLite's `xOpen`.
unsafe fn open(
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
    new: bool,
) -> c_int {
    let vfs = BELOW.load(Ordering::Acquire);
    // SAFETY: `file` has room for a `Handle` and for a handle of the layer below, which the size in the table says. A temporary file has no name; it and
    // journals are the layer below's alone.
    unsafe {
        let Some(opening) = (*vfs).xOpen else { return ffi::SQLITE_CANTOPEN };
        let is_log = flags & ffi::SQLITE_OPEN_WAL != 0;
        if name.is_null() || !(is_log || flags & ffi::SQLITE_OPEN_MAIN_DB != 0) {
            return opening(vfs, name, file, flags, out);
        }
        let handle: *mut Handle = file.cast();
        (*handle).base.pMethods = ptr::null();
        (*handle).watched = ptr::null_mut();
        let below = below(file);
        (*below).pMethods = ptr::null();
        let opened = opening(vfs, name, below, flags, out);
        if opened != ffi::SQLITE_OK {
            if let Some(closing) = (*below).pMethods.as_ref().and_then(|m| m.xClose) {
                closing(below);
            }
            return opened;
        }
        let path = path_of(name);
        let watched = if is_log { Watched::log(of_log(path)) } else { Watched::pages(path, new) };
        (*handle).watched = Box::into_raw(Box::new(watched));
        (*handle).base.pMethods = &raw const METHODS;
        opened
    }
}

/// # Safety
/// `name` is a C string.
unsafe fn path_of(name: *const c_char) -> PathBuf {
    // SAFETY: as the caller says.
    PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()))
}

/// The file that a log belongs to.
fn of_log(path: PathBuf) -> PathBuf {
    let mut name = path.into_os_string().into_vec();
    if name.ends_with(b"-wal") {
        name.truncate(name.len() - 4);
    }
    PathBuf::from(std::ffi::OsString::from_vec(name))
}

/// The handle of the layer below.
///
/// # Safety
/// `file` is one that `open` was given.
unsafe fn below(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: as the caller says, it lies right behind.
    unsafe { file.byte_add(HANDLE) }
}

/// What is known of the file.
///
/// # Safety
/// `file` was opened by `open` and is not closed. SQLite uses a file from one thread at a time, so that nobody else holds the same.
unsafe fn watched<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Watched {
    // SAFETY: as the caller says.
    unsafe { &mut *(*file.cast::<Handle>()).watched }
}

/// Reads from the layer below.
///
/// # Safety
/// As for [`watched`].
unsafe fn read_below(file: *mut ffi::sqlite3_file, into: &mut [u8], at: u64) -> c_int {
    let (Ok(bytes), Ok(at)) = (c_int::try_from(into.len()), i64::try_from(at)) else { return ffi::SQLITE_IOERR_READ };
    // SAFETY: as the caller says; the slice is writable for its length.
    unsafe {
        let below = below(file);
        (*(*below).pMethods).xRead.map_or(ffi::SQLITE_IOERR_READ, |f| f(below, into.as_mut_ptr().cast(), bytes, at))
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once, and uses it no more.
    unsafe {
        let handle: *mut Handle = file.cast();
        drop(Box::from_raw((*handle).watched));
        (*handle).watched = ptr::null_mut();
        let below = below(file);
        (*(*below).pMethods).xClose.map_or(ffi::SQLITE_OK, |f| f(below))
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, bytes: c_int, at: i64) -> c_int {
    // SAFETY: SQLite hands over room for `bytes` bytes, which the layer below has filled once it says so.
    unsafe {
        let below = below(file);
        let done = (*(*below).pMethods).xRead.map_or(ffi::SQLITE_IOERR_READ, |f| f(below, into, bytes, at));
        let (Ok(length), Ok(at)) = (usize::try_from(bytes), u64::try_from(at)) else { return done };
        if done != ffi::SQLITE_OK {
            return done;
        }
        let filled = std::slice::from_raw_parts(into.cast::<u8>(), length);
        watched(file).has_read(filled, at, &mut |into, at| read_below(file, into, at))
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, data: *const c_void, bytes: c_int, at: i64) -> c_int {
    let (Ok(length), Ok(place)) = (usize::try_from(bytes), u64::try_from(at)) else { return ffi::SQLITE_IOERR_WRITE };
    // SAFETY: SQLite hands over `bytes` readable bytes.
    unsafe {
        let given = std::slice::from_raw_parts(data.cast::<u8>(), length);
        let below = below(file);
        match watched(file).passes_on(given, place, &mut |into, at| read_below(file, into, at)) {
            Ok(written) => (*(*below).pMethods)
                .xWrite
                .map_or(ffi::SQLITE_IOERR_WRITE, |f| f(below, written.as_ptr().cast(), bytes, at)),
            Err(code) => code,
        }
    }
}

/// A method that the layer below does alone.
macro_rules! handed_on {
    ($name:ident, $method:ident, $without:expr $(, $argument:ident: $type:ty)*) => {
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $type)*) -> c_int {
            // SAFETY: SQLite's arguments, handed on as they came to the layer below's own handle.
            unsafe {
                let below = below(file);
                (*(*below).pMethods).$method.map_or($without, |f| f(below $(, $argument)*))
            }
        }
    };
}

handed_on!(truncate, xTruncate, ffi::SQLITE_IOERR_TRUNCATE, size: i64);
handed_on!(sync, xSync, ffi::SQLITE_IOERR_FSYNC, flags: c_int);
handed_on!(file_size_below, xFileSize, ffi::SQLITE_IOERR_FSTAT, size: *mut i64);
handed_on!(lock, xLock, ffi::SQLITE_IOERR_LOCK, level: c_int);
handed_on!(unlock, xUnlock, ffi::SQLITE_IOERR_UNLOCK, level: c_int);
handed_on!(check_reserved_lock, xCheckReservedLock, ffi::SQLITE_IOERR_CHECKRESERVEDLOCK, out: *mut c_int);
handed_on!(file_control_below, xFileControl, ffi::SQLITE_NOTFOUND, operation: c_int, argument: *mut c_void);
handed_on!(sector_size, xSectorSize, 0);
handed_on!(shm_map, xShmMap, ffi::SQLITE_IOERR_SHMMAP, page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void);
handed_on!(shm_lock, xShmLock, ffi::SQLITE_IOERR_SHMLOCK, offset: c_int, count: c_int, flags: c_int);
handed_on!(shm_unmap, xShmUnmap, ffi::SQLITE_OK, delete: c_int);

/// Before a checkpoint writes its first page SQLite says so here, and asks for the size next: that is where a damaged log stops it.
unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: as in `handed_on`.
    unsafe {
        match operation {
            ffi::SQLITE_FCNTL_CKPT_START => {
                if let Some(frames) = committed(file) {
                    watched(file).begins_to_fold(frames);
                }
            }
            ffi::SQLITE_FCNTL_CKPT_DONE => watched(file).has_folded(),
            _ => {}
        }
        file_control_below(file, operation, argument)
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: as in `handed_on`.
    unsafe {
        match watched(file).may_fold() {
            true => file_size_below(file, size),
            false => ffi::SQLITE_IOERR_DATA,
        }
    }
}

/// How many frames of the log are committed, as its index says: the fifth number of its header. <https://www.sqlite.org/walformat.html#the_wal_index_file_format>
///
/// # Safety
/// As for [`watched`]; SQLite is in a checkpoint, so that the index is there.
unsafe fn committed(file: *mut ffi::sqlite3_file) -> Option<u64> {
    let mut index: *mut c_void = ptr::null_mut();
    // SAFETY: the first region of the index has 32 KiB and stays mapped while the file is open; others may write to it, hence the volatile read.
    unsafe {
        let done = shm_map(file, 0, 32_768, 0, &raw mut index);
        (done == ffi::SQLITE_OK && !index.is_null()).then(|| u64::from(index.cast::<u32>().add(4).read_volatile()))
    }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: as in `handed_on`.
    unsafe {
        let below = below(file);
        if let Some(f) = (*(*below).pMethods).xShmBarrier {
            f(below);
        }
    }
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as in `handed_on`.
    unsafe {
        let below = below(file);
        let told = (*(*below).pMethods).xDeviceCharacteristics.map_or(0, |f| f(below));
        // A part of a page has no checksum: SQLite is to read whole ones.
        told & !ffi::SQLITE_IOCAP_SUBPAGE_READ
    }
}
