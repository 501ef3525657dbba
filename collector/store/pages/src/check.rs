//! What is done with bytes that pass between SQLite and the file. Knows no pointers.

use crate::fault::{Fault, Where, note};
use crate::{log, page};
use rusqlite::ffi;
use std::ffi::c_int;
use std::path::PathBuf;

/// Reads bytes of the same file; answers SQLite's code.
pub(crate) type Read<'a> = &'a mut dyn FnMut(&mut [u8], u64) -> c_int;

/// A file of which the bytes are looked at.
#[derive(Debug)]
pub(crate) struct Watched {
    /// The file itself, of a log the one that it belongs to.
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Pages {
        /// Each page has a checksum.
        sums: bool,
        /// Whether the file is being made with checksums: then also before its first page is there.
        new: bool,
        scratch: Vec<u8>,
        /// What is known of the log, and whether it is damaged while it is about to be folded into the file.
        chain: log::Chain,
        damaged: bool,
    },
    Log {
        page_size: Option<u64>,
        rewrites: log::Rewrites,
    },
}

impl Watched {
    pub(crate) fn pages(path: PathBuf, new: bool) -> Self {
        Self {
            path,
            kind: Kind::Pages { sums: new, new, scratch: Vec::new(), chain: log::Chain::default(), damaged: false },
        }
    }

    pub(crate) fn log(path: PathBuf) -> Self {
        Self { path, kind: Kind::Log { page_size: None, rewrites: log::Rewrites::default() } }
    }

    /// Looks at bytes that were read at this place. Answers SQLite's code.
    pub(crate) fn has_read(&mut self, bytes: &[u8], at: u64, read: Read<'_>) -> c_int {
        let fault = match &mut self.kind {
            Kind::Pages { sums, new, scratch, .. } => {
                if at == 0 && bytes.len() >= 100 && is_header(bytes) {
                    *sums = *new || bytes[20] == page::RESERVED || is_marked(bytes, scratch, read);
                }
                let size = bytes.len() as u64;
                if !*sums || !page::is_page(bytes.len()) || !at.is_multiple_of(size) {
                    return ffi::SQLITE_OK;
                }
                let number = at / size + 1;
                if u32::try_from(number).is_ok_and(|n| page::is_whole(bytes, n)) {
                    return ffi::SQLITE_OK;
                }
                Fault { place: Where::Page, number }
            }
            Kind::Log { page_size, rewrites } => {
                let Some(size) = size_of_pages(page_size, read) else { return ffi::SQLITE_OK };
                let frame = at.saturating_sub(log::HEADER) / (log::FRAME + size);
                let is_page = bytes.len() as u64 == size && at == log::page_of(frame, size);
                if !is_page || !rewrites.is_settled(frame) {
                    return ffi::SQLITE_OK;
                }
                let (mut header, mut before) = ([0; log::FRAME as usize], [0; 8]);
                let done = match read(&mut header, at - log::FRAME) {
                    ffi::SQLITE_OK => read(&mut before, log::before(frame, size)),
                    failed => failed,
                };
                if done != ffi::SQLITE_OK {
                    return done;
                }
                if log::is_whole(&before, &header, bytes) {
                    return ffi::SQLITE_OK;
                }
                Fault { place: Where::Log, number: frame + 1 }
            }
        };
        note(&self.path, fault);
        ffi::SQLITE_IOERR_DATA
    }

    /// The log, with so many committed frames, is about to be folded into the file. Where a frame is damaged nothing may be: a file with pages of after that
    /// frame, and a log that a restart believes up to it, would be of no one moment.
    pub(crate) fn begins_to_fold(&mut self, frames: u64) {
        let Kind::Pages { chain, damaged, .. } = &mut self.kind else { return };
        let mut name = self.path.clone().into_os_string();
        name.push("-wal");
        match chain.follow(name.as_ref(), frames) {
            Ok(None) => {}
            Ok(Some(frame)) => {
                *damaged = true;
                note(&self.path, Fault { place: Where::Log, number: frame + 1 });
            }
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log cannot be looked at before it is folded into its file")
            }
        }
    }

    /// Whether a log may be folded into the file, if it is about to be.
    pub(crate) fn may_fold(&self) -> bool {
        !matches!(self.kind, Kind::Pages { damaged: true, .. })
    }

    pub(crate) fn has_folded(&mut self) {
        if let Kind::Pages { damaged, .. } = &mut self.kind {
            *damaged = false;
        }
    }

    /// The bytes to be written in the place of these; `Err` with SQLite's code where they must not be.
    pub(crate) fn passes_on<'a>(&'a mut self, bytes: &'a [u8], at: u64, read: Read<'_>) -> Result<&'a [u8], c_int> {
        match &mut self.kind {
            Kind::Pages { sums, new, scratch, .. } => {
                if at == 0 && is_header(bytes) && bytes.len() >= 100 {
                    let reserves = bytes[20] == page::RESERVED;
                    if *new && !reserves {
                        tracing::error!(file = %self.path.display(), "a file of pages with checksums is being made without room for them");
                        return Err(ffi::SQLITE_IOERR_WRITE);
                    }
                    *sums |= reserves;
                }
                let size = bytes.len() as u64;
                if !*sums || !page::is_page(bytes.len()) || !at.is_multiple_of(size) {
                    return Ok(bytes);
                }
                scratch.clear();
                scratch.extend_from_slice(bytes);
                let number = u32::try_from(at / size + 1).map_err(|_| ffi::SQLITE_IOERR_WRITE)?;
                page::seal(scratch, number);
                Ok(scratch)
            }
            Kind::Log { page_size, rewrites } => {
                if at == 0 {
                    *page_size = log::page_size(bytes);
                }
                if let Some(size) = size_of_pages(page_size, read) {
                    rewrites.write(at, bytes, size);
                }
                Ok(bytes)
            }
        }
    }
}

fn is_header(bytes: &[u8]) -> bool {
    bytes.starts_with(b"SQLite format 3\0")
}

/// Whether the first page says that it has a checksum, of which this is the beginning.
fn is_marked(beginning: &[u8], scratch: &mut Vec<u8>, read: Read<'_>) -> bool {
    if page::is_page(beginning.len()) {
        return page::is_marked(beginning);
    }
    // 1 stands for 65,536, which two bytes cannot hold.
    let size = match u16::from_be_bytes([beginning[16], beginning[17]]) {
        1 => 65_536,
        size => usize::from(size),
    };
    if !page::is_page(size) {
        return false;
    }
    scratch.resize(size, 0);
    read(scratch, 0) == ffi::SQLITE_OK && page::is_marked(scratch)
}

fn size_of_pages(known: &mut Option<u64>, read: Read<'_>) -> Option<u64> {
    if known.is_none() {
        let mut header = [0; log::HEADER as usize];
        *known = (read(&mut header, 0) == ffi::SQLITE_OK).then(|| log::page_size(&header)).flatten();
    }
    *known
}
