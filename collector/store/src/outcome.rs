//! What became of tickets: whether rules and models were right, as far as somebody has verified it.
//!
//! ```ignore
//! // What the disk model has learnt of its own predictions since a moment:
//! let filter = OutcomeFilter { rule: Some("disk.predicted".to_owned()), known_since: Some(at), ..OutcomeFilter::default() };
//! for outcome in store.outcomes(&filter)? {
//!     // outcome.serial, outcome.outcome.answer (Right or Wrong), outcome.outcome.known_at, outcome.outcome.failed_at()
//! }
//! ```

use crate::StoreError;
use outband_schemas::{ComponentId, ServerId, SiteId, Timestamp};
use outband_ticket::{Outcome, TicketNumber};

/// What became of one ticket, and what it was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketOutcome {
    /// The ticket.
    pub ticket: TicketNumber,
    /// The rule that found it first, e.g. `disk.smart_growth`.
    pub rule: String,
    /// What was wrong, or going to be, e.g. `disk_failure`.
    pub fault: String,
    /// The site of the server, where it is known.
    pub site: Option<SiteId>,
    /// The server.
    pub server: ServerId,
    /// The place in it.
    pub component: ComponentId,
    /// The serial of the part, where it is known.
    pub serial: Option<String>,
    /// The model of the part, where it is known.
    pub model: Option<String>,
    /// The version of the model that foretold it, e.g. `disk-1`; `None`: a rule alone did.
    pub predictor: Option<String>,
    /// Whether it was right.
    pub outcome: Outcome,
    /// Of `outcome.other`: which part of the server that is.
    pub other: OtherPart,
}

/// The part that was at fault instead of the one that a ticket is about, as far as it is known among those of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtherPart {
    /// Its place.
    pub component: Option<ComponentId>,
    /// Its serial.
    pub serial: Option<String>,
    /// Its model.
    pub model: Option<String>,
}

/// Which outcomes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutcomeFilter {
    /// Of this rule; `None`: of all.
    pub rule: Option<String>,
    /// Only of tickets that foretold a failure.
    pub predicted: bool,
    /// Opened at this time or later (the collector's clock).
    pub opened_since: Option<Timestamp>,
    /// Verified at this time or later, as right or as wrong; the others are left out.
    pub known_since: Option<Timestamp>,
}

/// Reads what became of tickets. Verbs block, as those of [`crate::Store`].
pub trait Outcomes {
    /// What became of tickets, by number: about 300 bytes each in memory.
    fn outcomes(&self, filter: &OutcomeFilter) -> Result<Vec<TicketOutcome>, StoreError>;
}
