//! What agents are asked to do at BMCs: who asked, who approved, what became of it.

use crate::StoreError;
use crate::audit::Note;
use crate::ingest::LogRow;
use crate::query::{Listing, Page};
use outband_schemas::{AgentId, OrderKind, ServerId, SiteId, SpoolId, TargetId, Timestamp};
use outband_ticket::TicketNumber;
use serde::{Deserialize, Serialize};

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Somebody asked for it.
    Requested,
    /// Somebody else agreed; it is sent as soon as nothing stands in the way.
    Approved,
    /// The agent may have it.
    Sent,
    /// The BMC took it.
    Done,
    /// The BMC did not, and nothing was changed.
    Failed,
    /// The agent did not try.
    Refused,
    /// It may have been done or not; it is not repeated.
    Unknown,
    /// Somebody said no, or took it back.
    Rejected,
    /// Its time was over before it was sent.
    Expired,
}

impl OrderState {
    /// Every state.
    pub const ALL: [OrderState; 9] = [
        Self::Requested,
        Self::Approved,
        Self::Sent,
        Self::Done,
        Self::Failed,
        Self::Refused,
        Self::Unknown,
        Self::Rejected,
        Self::Expired,
    ];

    /// The word on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Sent => "sent",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }

    /// Whether nothing more happens to it.
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Requested | Self::Approved | Self::Sent)
    }
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its number; 0: given out by the store.
    pub id: u64,
    /// Grows with each change; 0: not stored yet.
    pub revision: u64,
    /// Under which id the agent knows it; empty: given out by the store.
    pub wire_id: String,
    /// What is to be done.
    pub kind: OrderKind,
    /// At which server.
    pub server: ServerId,
    /// Where that stands.
    pub site: SiteId,
    /// Its model, where it is known.
    pub model: Option<String>,
    /// Which agent does it.
    pub agent: AgentId,
    /// At which of its targets.
    pub target: TargetId,
    /// The ticket that it belongs to.
    pub ticket: Option<TicketNumber>,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub requester: String,
    /// When (the collector's clock, as all times here).
    pub requested_at: Timestamp,
    /// Who approved it.
    pub approver: Option<String>,
    /// When.
    pub approved_at: Option<Timestamp>,
    /// From when on it is not sent, and not begun by the agent.
    pub expires_at: Timestamp,
    /// How far it is.
    pub state: OrderState,
    /// When it was first sent.
    pub sent_at: Option<Timestamp>,
    /// The last row of the ingest log when it was first sent: its answer comes after it.
    pub sent_after: i64,
    /// The agent's spool when it was first sent.
    pub spool_id: Option<SpoolId>,
    /// When it was settled.
    pub settled_at: Option<Timestamp>,
    /// What became of it, in words.
    pub detail: String,
    /// The bytes that it brought.
    pub content_bytes: u64,
    /// Whether its ticket's log says what became of it, or it has none.
    pub told: bool,
}

/// A change of an order: never forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderChange {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// What, in a few words.
    pub what: String,
}

/// What an order brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFile {
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// Which orders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only those that are not settled.
    pub open: bool,
    /// Only of this ticket.
    pub ticket: Option<TicketNumber>,
}

/// Whether orders are sent at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderSwitch {
    /// Whether they are not.
    pub stopped: bool,
    /// Who said so.
    pub who: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// The room of orders.
pub trait Orders {
    /// Writes an order, the change, what it brought, who did it and what is answered in one transaction, and gives back the order as it is stored. A new one gets its
    /// numbers; a known one has to be at the revision that is stored, else [`StoreError::Conflict`].
    fn put_order(
        &self,
        order: Order,
        change: OrderChange,
        file: Option<OrderFile>,
        note: Option<Note<Order>>,
    ) -> Result<Order, StoreError>;

    /// One order with its changes, oldest first.
    fn order(&self, id: u64) -> Result<Option<(Order, Vec<OrderChange>)>, StoreError>;

    /// Orders, newest first.
    fn orders(&self, filter: &OrderFilter, page: &Page) -> Result<Listing<Order>, StoreError>;

    /// Orders to which something is still to happen: not settled, or their ticket does not know yet. By number.
    fn pending_orders(&self) -> Result<Vec<Order>, StoreError>;

    /// Orders that were first sent at or after `since`, by number.
    fn orders_sent_since(&self, since: Timestamp) -> Result<Vec<Order>, StoreError>;

    /// What an order brought.
    fn order_file(&self, id: u64) -> Result<Option<OrderFile>, StoreError>;

    /// Whether orders are sent; `None`: nobody ever stopped them.
    fn order_switch(&self) -> Result<Option<OrderSwitch>, StoreError>;

    /// Turns the switch, with who did it and what is answered in the same transaction, and gives it back.
    fn set_order_switch(&self, switch: OrderSwitch, note: Note<OrderSwitch>) -> Result<OrderSwitch, StoreError>;

    /// The last row of the ingest log; 0: there is none.
    fn last_log_row(&self) -> Result<i64, StoreError>;

    /// Rows of the event lane of one agent after `after`, oldest first, at most `max_rows`.
    fn event_rows_after(&self, agent: &AgentId, after: i64, max_rows: usize) -> Result<Vec<LogRow>, StoreError>;

    /// The natural keys of a server's stored log entries, newest first, at most `most`.
    fn event_keys(&self, server: &ServerId, most: usize) -> Result<Vec<String>, StoreError>;
}
