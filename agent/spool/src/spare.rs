//! Bytes that lie ready for the day on which the disk is full.
//!
//! To evict is to write: the pages that change go to the write-ahead log first, and that log, once it is folded into the file, wants room for pages that are new
//! there. On a disk without a free byte neither works. The spare is given back to the file system then: room for a whole log, so that the oldest entries can go
//! and the file live on inside the pages it has.

use std::io::Write;
use std::path::{Path, PathBuf};

/// How long not to try again, in milliseconds, where the disk had no room for it.
const AGAIN_AFTER_MS: i64 = 600_000;

/// The file beside the spool.
#[derive(Debug)]
pub(crate) struct Spare {
    path: PathBuf,
    bytes: u64,
    there: bool,
    /// When it was last missed; nothing before somebody says what time it is.
    missed_ms: Option<i64>,
}

impl Spare {
    /// The spare of a spool file; made where it is wanted and not there.
    pub(crate) fn beside(spool: &Path, bytes: u64) -> Self {
        let mut name = spool.as_os_str().to_owned();
        name.push("-spare");
        let mut spare = Self { path: PathBuf::from(name), bytes, there: false, missed_ms: None };
        spare.there = bytes > 0 && std::fs::metadata(&spare.path).is_ok_and(|m| m.len() == bytes);
        spare.make();
        spare
    }

    /// Gives the bytes back to the file system.
    pub(crate) fn spend(&mut self) {
        self.missed_ms = None;
        if std::mem::take(&mut self.there)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the spool's spare file cannot be removed");
        }
    }

    /// Makes it again once in a while, after it was spent; whether it is there again.
    pub(crate) fn make_again(&mut self, now_ms: i64) -> bool {
        if self.there {
            return false;
        }
        // A clock that was put back must not put it off for ever.
        let waits = |since: i64| (since..since.saturating_add(AGAIN_AFTER_MS)).contains(&now_ms);
        let due = self.missed_ms.is_some_and(|since| !waits(since));
        if due || self.missed_ms.is_none() {
            self.missed_ms = Some(now_ms);
        }
        if !due {
            return false;
        }
        self.make();
        self.there
    }

    fn make(&mut self) {
        if self.there || self.bytes == 0 {
            return;
        }
        match self.write() {
            Ok(()) => self.there = true,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "there is no room for the spool's spare file; on a full disk nothing can give way");
                // What is half there would only take room.
                if let Err(error) = std::fs::remove_file(&self.path) {
                    tracing::debug!(path = %self.path.display(), %error, "nothing to remove");
                }
            }
        }
    }

    fn write(&self) -> std::io::Result<()> {
        let mut file = std::fs::File::create(&self.path)?;
        // Bytes that no file system makes smaller.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut left = self.bytes;
        let mut block = Vec::with_capacity(1 << 16);
        while left > 0 {
            block.clear();
            while block.len() < 1 << 16 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                block.extend_from_slice(&state.to_le_bytes());
            }
            block.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            file.write_all(&block)?;
            left -= block.len() as u64;
        }
        file.sync_all()
    }
}
