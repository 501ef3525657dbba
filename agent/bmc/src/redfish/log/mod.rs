//! Section log: every entry of every log service once, with a bookmark that survives clears, wraps, edits, and polls that were broken off.
//!
//! All logs that a BMC serves are told, audit logs and journals too: what is of no use to one operator is evidence to another, and entries are few once the
//! first reading is done. An entry that was edited in place is told again, where reading comes by it: in every poll in a log of one page, and not in the old
//! pages of a longer one.

mod cursor;
mod entry;
mod reading;
#[cfg(test)]
mod tests;

use super::lenient::truth;
use super::memory::Memory;
use crate::Bookmark;
use cursor::{Cursors, KEPT, Order};
#[cfg(feature = "io")]
pub(super) use entry::name_of;
use outband_schemas::{Cause, LogEvent, Timestamp};
use reading::Reading;
use serde_json::Value;
use std::collections::BTreeMap;

/// What to do after a page or an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Follow {
    /// Read another page of the log; `else_from` in its place where it turns out not to be the expected one, or cannot be read.
    Page { uri: String, else_from: Option<String> },
    /// Ask for the page again with its entries expanded.
    Expanded(String),
    /// Read an entry that is only linked to.
    Entry(String),
    /// Not to be read in this poll.
    Lost { uri: String, cause: Cause, detail: String },
}

/// Reads logs from where a bookmark ends. It is given pages and entries, and says what to read next.
#[derive(Debug)]
pub(super) struct Reader {
    cursors: Cursors,
    open: BTreeMap<String, Reading>,
    events: Vec<LogEvent>,
    /// Whether the BMC says that it has `$skip`.
    skips: bool,
    /// How many digests are kept per log.
    kept: usize,
}

impl Reader {
    /// A bookmark that cannot be read is none: everything is read again, and the natural key of the entries keeps them single.
    pub(super) fn new(bookmark: Option<&Bookmark>, root: &Value) -> Self {
        let cursors = bookmark.and_then(|b| serde_json::from_str::<Cursors>(&b.0).ok());
        let cursors = cursors.filter(|c| c.v == Cursors::VERSION);
        let cursors = cursors.unwrap_or_else(|| Cursors { v: Cursors::VERSION, logs: BTreeMap::new() });
        let features = root.get("ProtocolFeaturesSupported");
        let skips = features.and_then(|f| truth(f, "TopSkipQuery")) == Some(true);
        Self { cursors, open: BTreeMap::new(), events: Vec::new(), skips, kept: KEPT }
    }

    /// Where to begin reading a log whose entries are at `entries`: a page, and the log's beginning in case that it is not the right one any more.
    pub(super) fn begin(&self, log: &str, entries: String) -> (String, Option<String>) {
        let cursor = self.cursors.logs.get(log).filter(|c| c.order != Some(Order::NewestFirst));
        match cursor.and_then(|c| c.page.clone()) {
            Some(page) => (page, Some(entries)),
            None => (entries, None),
        }
    }

    /// Takes a page. `else_from` is the one that came with it, where it was asked for in the hope that reading can go on there.
    pub(super) fn page(
        &mut self,
        memory: &Memory,
        log: &str,
        uri: &str,
        else_from: Option<&str>,
        body: Value,
        at: Timestamp,
    ) -> Vec<Follow> {
        let reading = self
            .open
            .entry(log.to_owned())
            .or_insert_with(|| Reading::after(self.cursors.logs.get(log).cloned().unwrap_or_default(), self.skips));
        let (new, follow) = reading.page(uri, else_from, body, memory.expander.of_log(uri));
        self.events.extend(new.iter().map(|entry| entry.event(log, memory, at)));
        follow
    }

    /// Takes an entry that was only linked to.
    pub(super) fn entry(&mut self, memory: &Memory, log: &str, uri: &str, body: Value, at: Timestamp) -> Vec<Follow> {
        let Some(reading) = self.open.get_mut(log) else { return Vec::new() };
        let (new, follow) = reading.entry(uri, body);
        self.events.extend(new.map(|entry| entry.event(log, memory, at)));
        follow
    }

    /// Takes that a page or an entry could not be read, or was not read in this poll.
    pub(super) fn lost(&mut self, log: &str, uri: &str) {
        if let Some(reading) = self.open.get_mut(log) {
            reading.lost(uri);
        }
    }

    /// The new entries, and how far the logs are read with them.
    pub(super) fn finish(mut self) -> (Vec<LogEvent>, Bookmark) {
        for (log, reading) in self.open {
            if let Some(cursor) = reading.finish(self.kept) {
                self.cursors.logs.insert(log, cursor);
            }
        }
        let text = serde_json::to_string(&self.cursors).unwrap_or_default();
        (self.events, Bookmark(text))
    }
}
