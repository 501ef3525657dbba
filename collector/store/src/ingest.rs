//! What comes in from agents, unopened.

use outband_schemas::{AgentId, Cause, Lane, SiteId, SpoolId, TargetId, Timestamp};
use std::time::Duration;

/// Which of an agent's streams may write. Each hello gets a greater one, and fences those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i64);

/// What an agent says of itself when it calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentHello {
    /// The agent.
    pub agent: AgentId,
    /// Its site.
    pub site: SiteId,
    /// The life of its spool file: sequences count within it.
    pub spool_id: SpoolId,
    /// Its version, for people.
    pub version: String,
    /// The targets that it polls.
    pub targets: Vec<TargetId>,
    /// How often it polls sensors.
    pub sensor_interval: Duration,
    /// What its spool holds.
    pub lanes: Vec<LaneState>,
}

/// What a spool holds of one lane. Sequences begin at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneState {
    /// The lane.
    pub lane: Lane,
    /// The oldest entry still held; `next` where there is none.
    pub oldest: i64,
    /// The sequence of the entry to be written next.
    pub next: i64,
}

/// The answer to a hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Goes with every commit of this stream.
    pub epoch: Epoch,
    /// Through which sequence each lane of this spool is stored, both lanes, 0 for nothing. A mark at or past the `next`
    /// that the agent announced means that its spool was rolled back: it must take a new spool id.
    pub marks: Vec<(Lane, i64)>,
    /// Of each lane, the newest entry at or below its mark whose body is still at hand: by it the agent notices that its spool was rolled back although its
    /// numbers went on past the mark.
    pub known: Vec<KnownEntry>,
}

/// An entry that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownEntry {
    /// The lane.
    pub lane: Lane,
    /// Its sequence.
    pub seq: i64,
    /// CRC32C of its body.
    pub crc32c: u32,
}

/// Consecutive entries of one lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingBatch {
    /// The stream's epoch.
    pub epoch: Epoch,
    /// The agent.
    pub agent: AgentId,
    /// The life of its spool file.
    pub spool_id: SpoolId,
    /// The lane.
    pub lane: Lane,
    /// The sequence of the first body, after `skipped` where that is set.
    pub first_seq: i64,
    /// The bodies, stored as they are. May be empty where `skipped` is set.
    pub bodies: Vec<Vec<u8>>,
    /// Entries that will never come: reaches from the mark to `first_seq - 1`.
    pub skipped: Option<Skipped>,
}

/// Entries that are gone. Stored as a gap; the mark moves past them in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The first sequence that is gone.
    pub first: i64,
    /// The last.
    pub last: i64,
    /// Why.
    pub cause: Cause,
    /// Why, in words.
    pub detail: String,
    /// The first moment that is missing (the agent's clock).
    pub from: Timestamp,
    /// The last.
    pub to: Timestamp,
}

/// The answer to a batch: it is safe to acknowledge through this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Everything through this sequence is stored for good.
    pub through: i64,
    /// How many bodies were new; the others were stored before.
    pub stored: usize,
}

/// One body as it came, in the order in which it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Its place in the ingest log: grows, never used twice.
    pub id: i64,
    /// Who sent it.
    pub agent: AgentId,
    /// From which life of the spool.
    pub spool_id: SpoolId,
    /// On which lane.
    pub lane: Lane,
    /// Under which sequence.
    pub seq: i64,
    /// When it came (the collector's clock).
    pub received_at: Timestamp,
    /// The body, unopened, as it is on the disk now.
    pub body: Vec<u8>,
    /// Whether these are other bytes than those that were acknowledged: nothing in them is to be believed.
    pub damaged: bool,
    /// Whether it was assessed before what came before it: of the event lane only.
    pub assessed: bool,
}

/// An agent as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRecord {
    /// The agent.
    pub agent: AgentId,
    /// Its site.
    pub site: SiteId,
    /// Its version.
    pub version: String,
    /// The targets of its last hello.
    pub targets: Vec<TargetId>,
    /// How often it polls sensors.
    pub sensor_interval: Duration,
    /// The spool of its last hello.
    pub spool_id: SpoolId,
    /// The newest epoch given out.
    pub epoch: Epoch,
    /// When it last said hello.
    pub hello_at: Timestamp,
    /// When it last said anything.
    pub last_heard: Timestamp,
    /// Both lanes of its current spool.
    pub lanes: Vec<LaneRecord>,
}

/// How far one lane of one agent is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneRecord {
    /// The lane.
    pub lane: Lane,
    /// Everything through this is stored.
    pub committed: i64,
    /// The newest sequence that the agent announced or sent.
    pub announced: i64,
    /// The newest observation assessed of this lane (the agent's clock).
    pub newest_observed: Option<Timestamp>,
}
