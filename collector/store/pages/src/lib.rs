//! Bytes that flip on the disk are noticed when they are read, and not believed. SQLite itself has no checksums of pages: a flipped bit in a text is another
//! text.
//!
//! A file layer between SQLite and its own: the last eight bytes of each page, which SQLite leaves alone where the file says so (byte 20 of its header, "reserved
//! space"), hold a CRC32C of the page and its number; and what is read from the write-ahead log is compared with the checksums that SQLite keeps in it, but looks
//! at only after a crash. What does not fit fails with `SQLITE_IOERR_DATA`, and is remembered by [`fault`].
//!
//! A file without the reserved bytes is read and written as it is; its log is compared all the same. Another program may read such a file, but not write to
//! it: it would leave old checksums behind.

mod check;
mod fault;
mod log;
mod page;
mod shim;

pub use fault::{Fault, Where, fault, forget};
pub use log::{Cut, cut};
pub use page::RESERVED;
pub use shim::{NEW_PAGES, NotInstalled, PAGES, install};
