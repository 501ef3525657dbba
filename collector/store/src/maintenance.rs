//! Maintenance windows and overrides: what people said is not to be told for a while, or to be judged otherwise.

use crate::StoreError;
use crate::audit::Note;
use outband_schemas::Timestamp;
use serde::{Deserialize, Serialize};

/// What a window is about. What is `None` may be anything; everything that is given has to fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selector {
    /// The site.
    pub site: Option<String>,
    /// The rack, by its name in the topology.
    pub rack: Option<String>,
    /// The server, by its id.
    pub server: Option<String>,
    /// The component: `class/slot` or a class alone.
    pub component: Option<String>,
    /// The fault, e.g. `disk_failure`.
    pub fault: Option<String>,
    /// The customer, by the name in the topology.
    pub customer: Option<String>,
    /// The rule that found it first, e.g. `disk.smart_growth`.
    pub rule: Option<String>,
    /// The server's model, as the topology or else its BMC has it.
    pub model: Option<String>,
}

/// Why nobody is to hear of what a window covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowKind {
    /// Somebody works there.
    Maintenance,
    /// A rule is not to be heard there.
    Mute,
    /// It is known, and somebody sees to it elsewhere.
    KnownIssue,
}

impl WindowKind {
    /// Every kind.
    pub const ALL: [WindowKind; 3] = [Self::Maintenance, Self::Mute, Self::KnownIssue];

    /// The word on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Maintenance => "maintenance",
            Self::Mute => "mute",
            Self::KnownIssue => "known_issue",
        }
    }

    /// The kind of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == word)
    }
}

/// A span, perhaps one that comes again and again, in which what is covered is recorded and not told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its number; 0: given out by the store.
    pub id: u64,
    /// Why it is there.
    pub kind: WindowKind,
    /// What people call it.
    pub name: String,
    /// What it covers.
    pub selector: Selector,
    /// When it first begins, as clocks on the wall show it: `2026-01-31T22:00:00`.
    pub starts: String,
    /// How long it lasts, in seconds, as clocks on the wall count.
    pub lasts_secs: u64,
    /// The IANA name of the time zone of those clocks.
    pub zone: String,
    /// The RRULE by which it comes again; `None`: once.
    pub recurrence: Option<String>,
    /// Why, in words.
    pub reason: String,
    /// Who made it.
    pub author: String,
    /// When (the collector's clock).
    pub created_at: Timestamp,
    /// When somebody ended it for good; `None`: nobody did.
    pub ended_at: Option<Timestamp>,
    /// Grows with each change.
    pub revision: u64,
}

/// A change of a window: never forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowChange {
    /// When (the collector's clock).
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// `create`, `edit` or `end`.
    pub what: String,
    /// The window after it.
    pub window: Window,
}

/// Keeps windows and every change of them.
pub trait Maintenance {
    /// The windows that nobody ended, by their number; with `all`, the ended ones too.
    fn windows(&self, all: bool) -> Result<Vec<Window>, StoreError>;

    /// Writes a window, the change and what is noted of it in one transaction, and gives back the window as it is stored. A new one gets a number;
    /// a known one has to be one revision ahead of the stored one, else [`StoreError::Conflict`].
    fn put_window(&self, change: &WindowChange, note: Option<Note<Window>>) -> Result<Window, StoreError>;

    /// The changes of a window, oldest first.
    fn window_changes(&self, id: u64) -> Result<Vec<WindowChange>, StoreError>;
}
