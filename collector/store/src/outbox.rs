//! The outbox: notices to people, from their making to their delivery.
//!
//! A notice is a row before it is sent and stays one afterwards: a crash loses none, and makes none twice. It is sent at least once; whoever
//! gets it twice knows by its key.

use crate::audit::Note;
use crate::error::StoreError;
use crate::query::{Listing, Page};
use crate::record::TicketRecord;
use outband_schemas::Timestamp;
use outband_ticket::{Priority, TicketNumber};

/// Where a notice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeState {
    /// To be sent at its next try.
    Pending,
    /// The channel took it.
    Delivered,
    /// Tried as often as it may be; kept, and sent again only if somebody asks.
    Failed,
    /// Nobody needs it any more: acknowledged, or over.
    Cancelled,
}

impl NoticeState {
    /// Every one.
    pub const ALL: [NoticeState; 4] = [Self::Pending, Self::Delivered, Self::Failed, Self::Cancelled];

    /// The word used in the store, on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

/// A notice to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeDraft {
    /// Of which ticket.
    pub ticket: TicketNumber,
    /// Of which entry of its log.
    pub seq: u32,
    /// 0: sent at once; 1 and more: fallbacks, in their order.
    pub step: u32,
    /// What happened, e.g. `opened`, `breach`.
    pub cause: String,
    /// The channel, as the config names it.
    pub channel: String,
    /// The recipient, as the config names it: addresses stay in the config.
    pub recipient: String,
    /// The language of the text (BCP 47).
    pub lang: String,
    /// The ticket's priority at that moment.
    pub priority: Priority,
    /// One line.
    pub subject: String,
    /// The text.
    pub body: String,
    /// Not to be sent before (the collector's clock).
    pub not_before: Timestamp,
    /// Whether it may wait and go out together with others.
    pub digest: bool,
}

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its number.
    pub id: i64,
    /// What was made. `not_before` is the next try.
    pub draft: NoticeDraft,
    /// The same on every delivery of it, and on no other notice's: 32 hexadecimal digits.
    pub key: String,
    /// Where it stands.
    pub state: NoticeState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was made (the collector's clock).
    pub made_at: Timestamp,
    /// When it was delivered, given up or cancelled.
    pub settled_at: Option<Timestamp>,
    /// The last error; why it was cancelled. Empty where there is none.
    pub error: String,
    /// The key of the digest that it goes out in, once that is settled.
    pub batch: Option<String>,
}

/// Tickets whose logs have entries that no notices were made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Unnoticed {
    /// The change through which these tickets are read: becomes the cursor.
    pub through: i64,
    /// Entries from before this are nobody's news.
    pub since: Timestamp,
    /// Each with the entry through which notices were made; 0: none.
    pub tickets: Vec<(TicketRecord, u32)>,
}

/// What was made of [`Unnoticed`]. Written in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// The new cursor.
    pub through: i64,
    /// The new mark of each ticket.
    pub marks: Vec<(TicketNumber, u32)>,
    /// The notices. One that is there already is passed over.
    pub notices: Vec<NoticeDraft>,
}

/// What became of a notice that was due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The channel took it.
    Delivered,
    /// Not now.
    Retry {
        /// When to try again.
        at: Timestamp,
        /// Why it failed.
        error: String,
    },
    /// Not now, and not because of it: the channel takes nothing for a while. Not counted as a try.
    Later {
        /// When to try again.
        at: Timestamp,
        /// Why.
        error: String,
    },
    /// A digest that can never be delivered as one: each of its notices is sent by itself, under its own key.
    Apart {
        /// Why.
        error: String,
    },
    /// Never.
    Failed {
        /// Why.
        error: String,
    },
    /// It was not tried: it has to wait.
    Held {
        /// When to look at it again.
        until: Timestamp,
        /// Why.
        why: String,
    },
    /// It was not tried: nobody needs it any more.
    Cancelled {
        /// Why.
        why: String,
    },
}

/// Which notices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoticeFilter {
    /// Of this ticket.
    pub ticket: Option<TicketNumber>,
    /// In this state.
    pub state: Option<NoticeState>,
    /// Of this channel.
    pub channel: Option<String>,
    /// For this recipient.
    pub recipient: Option<String>,
}

/// What a channel should have delivered and did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// The channel.
    pub channel: String,
    /// So many notices.
    pub count: u64,
    /// Since when the oldest of them is to be sent: its first try, or when it fell due where it was not tried yet.
    pub since: Timestamp,
    /// What the channel said to the oldest; empty where it was not tried yet.
    pub error: String,
}

/// Notices, from their making to their delivery. Verbs block, as those of [`crate::Store`].
pub trait Outbox: Clone + Send + Sync + 'static {
    /// Begins, where it has not begun before: what happened until now is nobody's news. `instance`: random text that makes this store's
    /// keys unlike any other's; used the first time only.
    fn begin_outbox(&self, instance: &str, at: Timestamp) -> Result<(), StoreError>;

    /// The next tickets, at most `limit`, that changed since the last [`Outbox::make_notices`]; `None`: none did.
    fn unnoticed(&self, limit: usize) -> Result<Option<Unnoticed>, StoreError>;

    /// Writes what was made. Answers how many notices are new.
    fn make_notices(&self, made: Made, at: Timestamp) -> Result<usize, StoreError>;

    /// What is due, or was tried, and is not delivered yet, by channel, the one that has waited longest first. What waits by design
    /// (fallbacks, digests, quiet hours) is not among it.
    fn oldest_unsent(&self, now: Timestamp) -> Result<Vec<Unsent>, StoreError>;

    /// Puts a recipient's notices that are due and may go out together into one digest, or into several where they are many,
    /// unless one of theirs is still on its way.
    fn gather_digests(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Pending notices whose time has come, at most `limit` of each channel, the gravest first, then the oldest. All of a digest or
    /// none of it.
    fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<Notice>, StoreError>;

    /// Notes what became of a notice, for all notices that were sent together.
    fn settle_notices(&self, ids: &[i64], outcome: Outcome, at: Timestamp) -> Result<(), StoreError>;

    /// One notice.
    fn notice(&self, id: i64) -> Result<Option<Notice>, StoreError>;

    /// Notices, newest first.
    fn notices(&self, filter: &NoticeFilter, page: &Page) -> Result<Listing<Notice>, StoreError>;

    /// Has a notice that was settled sent once more, under the same key. [`StoreError::NotFound`] where there is none.
    fn replay_notice(&self, id: i64, at: Timestamp, note: Option<Note<Notice>>) -> Result<Notice, StoreError>;

    /// The notice of a key; of a digest, its first.
    fn notice_of_key(&self, key: &str) -> Result<Option<Notice>, StoreError>;

    /// Drops notices that were settled before this, a portion of them. Answers how many; 0: none is left.
    fn expire_notices(&self, before: Timestamp) -> Result<usize, StoreError>;
}
