//! What every command has at hand.

use crate::connect::Api;
use crate::error::Error;
use crate::output::{self, Document, Format, Shown};
use crate::words::Lang;

/// The collector, and how the caller wants to see what it says.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) api: Api,
    pub(crate) format: Format,
    pub(crate) lang: Lang,
    /// How many rows at most; 0: all.
    pub(crate) limit: usize,
    pub(crate) watch: bool,
}

impl Context {
    /// The document as text in the wanted format.
    pub(crate) fn render(&self, document: &impl Document) -> Result<String, Error> {
        // Watchers of JSON read a document a line.
        output::render(document, self.format, &self.shown(), self.watch)
    }

    /// For whom, and when, something is shown.
    pub(crate) fn shown(&self) -> Shown {
        Shown { now_ms: now_ms(), lang: self.lang, wide: self.format == Format::Wide }
    }
}

/// The time here, in milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
