//! Readings put away ahead of the assessment: what came faster than it can be assessed becomes history all the same.
//!
//! Usually the assessment puts readings away with everything else it makes of a row ([`crate::Store::apply`]). Far behind, it is overtaken: whoever
//! overtakes it notes how far, and both may put the same reading away, which changes nothing.

use crate::StoreError;
use crate::head::Arrival;
use outband_schemas::{AgentId, Reading, ServerId};

/// What the one who overtakes needs.
pub trait PutAway {
    /// How many rows of the ingest log wait: to be assessed, to be put away. At most so many; some may be gone.
    fn waiting(&self) -> Result<(i64, i64), StoreError>;

    /// Through which row of the ingest log every reading is put away.
    fn put_away_through(&self) -> Result<i64, StoreError>;

    /// Grows whenever a target came to a server, after which [`PutAway::servers_of`] may answer otherwise.
    fn moves(&self) -> u64;

    /// The servers of targets (agent, target), in their order; `None` for one that was never assessed.
    fn servers_of(&self, targets: &[(AgentId, &str)]) -> Result<Vec<Option<ServerId>>, StoreError>;

    /// The numbers of the series of these readings, those of one server together, in their order. Those that are new get one; the limits of each become those of
    /// its reading. All in one transaction: a fleet that comes at once is written once.
    fn series_of(&self, readings: Vec<(ServerId, Vec<Reading>)>) -> Result<Vec<Vec<i64>>, StoreError>;

    /// Puts points away, all those of the rows after the last such call through `through`. Durable when it answers. Points that are stored already change nothing.
    fn put_away(&self, through: i64, arrivals: Vec<Arrival>) -> Result<(), StoreError>;
}
