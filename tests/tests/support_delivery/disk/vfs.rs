//! The file layer of SQLite, with somebody looking over its shoulder: SQLite's own is kept, and each write, truncation and sync is first shown to the
//! [`Disk`](super::Disk) in whose directory the file lies.
//!
//! Registered as the default of this process, so that spool and store need no word about it; the store's checksums of pages lie above. rusqlite has no safe way
//! to do this, hence the `unsafe`; besides those checksums (`collector/store/pages`) no other room of the project has any.
#![allow(unsafe_code, reason = "a file layer is a table of C functions; only the simulation's process holds this one")]

use super::{Change, Verdict};
use rusqlite::ffi;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::PathBuf;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

/// SQLite's own file layer.
static THEIRS: AtomicPtr<ffi::sqlite3_vfs> = AtomicPtr::new(std::ptr::null_mut());

/// The methods of a file: ours first, for SQLite; then those that do the work.
#[repr(C)]
struct Methods {
    ours: ffi::sqlite3_io_methods,
    theirs: *const ffi::sqlite3_io_methods,
}

/// Makes this the file layer of all connections opened from now on.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: SQLite's own layer lives as long as the process, and so does the leaked copy; SQLite copies neither.
        unsafe {
            let theirs = ffi::sqlite3_vfs_find(std::ptr::null());
            assert!(!theirs.is_null(), "SQLite has no file layer");
            THEIRS.store(theirs, Ordering::Release);
            let mut ours = *theirs;
            ours.pNext = std::ptr::null_mut();
            ours.zName = c"outband-watched".as_ptr();
            ours.xOpen = Some(open);
            ours.xDelete = Some(delete);
            let registered = ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1);
            assert_eq!(registered, ffi::SQLITE_OK, "the file layer is not registered");
        }
    });
}

/// The path that SQLite means; `None` for a temporary file.
///
/// # Safety
/// `name` is null or a C string.
unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    // SAFETY: as the caller says.
    (!name.is_null()).then(|| PathBuf::from(unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()))
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let theirs = THEIRS.load(Ordering::Acquire);
    // SAFETY: SQLite's arguments are handed on as they came, with the layer to which the function belongs. After success `pMethods` points to a constant
    // table; the leaked one put in its place holds the same functions but five, which hand on to the first table.
    unsafe {
        let Some(opening) = (*theirs).xOpen else { return ffi::SQLITE_CANTOPEN };
        let opened = opening(theirs, name, file, flags, out);
        let methods = (*file).pMethods;
        if opened != ffi::SQLITE_OK || methods.is_null() {
            return opened;
        }
        if let Some(path) = path_of(name)
            && super::opened(file as usize, &path)
        {
            let mut ours = *methods;
            ours.xClose = Some(close);
            ours.xWrite = Some(write);
            ours.xTruncate = Some(truncate);
            ours.xSync = Some(sync);
            // One table a file: it is little, and nobody else's.
            (*file).pMethods = (Box::into_raw(Box::new(Methods { ours, theirs: methods }))).cast();
        }
        opened
    }
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    let theirs = THEIRS.load(Ordering::Acquire);
    // SAFETY: as in `open`.
    unsafe {
        if let Some(path) = path_of(name)
            && let Verdict::Fail(code) = super::deleted(&path)
        {
            return code;
        }
        (*theirs).xDelete.map_or(ffi::SQLITE_IOERR_DELETE, |deleting| deleting(theirs, name, sync_dir))
    }
}

/// The table of those who do the work.
///
/// # Safety
/// `file` was opened by `open`, which put a [`Methods`] in place.
unsafe fn theirs(file: *mut ffi::sqlite3_file) -> &'static ffi::sqlite3_io_methods {
    // SAFETY: as the caller says; the inner table is a constant of SQLite.
    unsafe { &*(*(*file).pMethods.cast::<Methods>()).theirs }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    super::closed(file as usize);
    // SAFETY: `file` is one of `open`'s; its table is given back once nothing reads it any more.
    unsafe {
        let table: *mut Methods = (*file).pMethods.cast_mut().cast();
        (*file).pMethods = (*table).theirs;
        drop(Box::from_raw(table));
        (*(*file).pMethods).xClose.map_or(ffi::SQLITE_OK, |closing| closing(file))
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, data: *const c_void, bytes: c_int, at: i64) -> c_int {
    // SAFETY: SQLite hands over `bytes` readable bytes; `file` is one of `open`'s.
    unsafe {
        let slice = std::slice::from_raw_parts(data.cast::<u8>(), usize::try_from(bytes).unwrap_or(0));
        match super::changes(file as usize, Change::Write { at: usize::try_from(at).unwrap_or(0), bytes: slice }) {
            Verdict::Go => theirs(file).xWrite.map_or(ffi::SQLITE_IOERR_WRITE, |f| f(file, data, bytes, at)),
            Verdict::Fail(code) => code,
            Verdict::Done => ffi::SQLITE_OK,
        }
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    match super::changes(file as usize, Change::Truncate { size: usize::try_from(size).unwrap_or(0) }) {
        // SAFETY: `file` is one of `open`'s.
        Verdict::Go => unsafe { theirs(file) }.xTruncate.map_or(ffi::SQLITE_IOERR_TRUNCATE, |f| {
            // SAFETY: as above.
            unsafe { f(file, size) }
        }),
        Verdict::Fail(code) => code,
        Verdict::Done => ffi::SQLITE_OK,
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // What is durable is the disk's own book; the machine's disk need not be bothered.
    match super::changes(file as usize, Change::Sync) {
        Verdict::Go | Verdict::Done => ffi::SQLITE_OK,
        Verdict::Fail(code) => code,
    }
}
