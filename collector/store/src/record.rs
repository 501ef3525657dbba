//! What was made of the bodies: what the assess loop writes, and what operators read.

use crate::ingest::LogRow;
use crate::query::Scope;
use crate::recall::BmcFirmware;
use outband_health::{Health, Incident, IncidentKey};
use outband_schemas::{
    AgentId, ComponentId, Gap, Identity, Inventory, Lane, LogEvent, Part, Quality, Reading, SensorKind, ServerId,
    SiteId, Source, SpoolId, TargetId, Timestamp, Value,
};
use outband_ticket::{Ticket, Transition};
use std::collections::BTreeMap;

/// Everything that the assess loop made of a run of ingest-log rows, or of a tick of its timer. Written in one transaction
/// with the cursor, so that a crash neither loses nor doubles.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Applied {
    /// The last ingest-log row that this rests on: becomes the cursor. `None` on a tick: the cursor stays.
    pub through: Option<i64>,
    /// Through which sequence of the event lane of each spool this rests on bodies, behind `through` or not.
    pub urgent: BTreeMap<(AgentId, SpoolId), i64>,
    /// Servers that are new or changed.
    pub servers: Vec<ServerRecord>,
    /// Readings: each becomes history, and the latest value of its sensor where it is newer than that.
    pub readings: Vec<ServerReadings>,
    /// Log entries: one that is stored already is left out.
    pub events: Vec<ServerEvents>,
    /// Gaps: one that goes on is made longer.
    pub gaps: Vec<ServerGaps>,
    /// Inventories.
    pub inventories: Vec<ServerInventory>,
    /// Health scores, each replacing the one before.
    pub healths: Vec<HealthRecord>,
    /// Incidents that are new, changed or ended, each as it is now. Name: key and `noted_at`.
    pub incidents: Vec<Incident>,
    /// Incidents to be forgotten: the one of each key that has not ended.
    pub dropped: Vec<IncidentKey>,
    /// Tickets that opened or changed.
    pub tickets: Vec<TicketWrite>,
    /// Bodies that could not be understood. They are kept.
    pub poison: Vec<Poison>,
    /// The newest observation of each agent's lane (the agent's clock): what its lag is measured from.
    pub observed: Vec<(AgentId, Lane, Timestamp)>,
    /// The firmware of BMCs that is new or changed.
    pub firmware: Vec<BmcFirmware>,
}

/// A server. Found by chassis serial, then system UUID, then target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRecord {
    /// Its id, issued by the collector.
    pub id: ServerId,
    /// Where it stands.
    pub site: SiteId,
    /// What names it.
    pub identity: Identity,
    /// The targets that make it up. A target that belonged to another server moves here.
    pub targets: Vec<AgentTarget>,
    /// When it was first seen (the collector's clock).
    pub first_seen: Timestamp,
    /// When it last sent anything (the collector's clock).
    pub last_seen: Timestamp,
    /// The server that this one turned out to be. Such a record is no longer listed.
    pub merged_into: Option<ServerId>,
    /// Grows with each write. Set by the store; ignored on writing.
    pub rev: i64,
}

/// One BMC, as an agent names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentTarget {
    /// The agent.
    pub agent: AgentId,
    /// The target, unique within the agent.
    pub target: TargetId,
}

/// Readings of one server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerReadings {
    /// The server.
    pub server: ServerId,
    /// When they came (the collector's clock).
    pub received_at: Timestamp,
    /// The readings.
    pub readings: Vec<Reading>,
}

/// Log entries of one server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerEvents {
    /// The server.
    pub server: ServerId,
    /// When they came (the collector's clock).
    pub received_at: Timestamp,
    /// The entries.
    pub events: Vec<LogEvent>,
}

/// Gaps of one server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerGaps {
    /// The server.
    pub server: ServerId,
    /// The gaps.
    pub gaps: Vec<Gap>,
}

/// What one target says is in a server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerInventory {
    /// The server.
    pub server: ServerId,
    /// The inventory.
    pub inventory: Inventory,
}

/// A health score and what it is of.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthRecord {
    /// What it is of.
    pub scope: Scope,
    /// The score with its reasons.
    pub health: Health,
}

/// A ticket to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketWrite {
    /// The ticket as it shall stand. A new one has a number from [`crate::Store::reserve`].
    pub ticket: Ticket,
    /// The [`Ticket::revision`] that it was made from; `None` for a new ticket. Another one in the store is a conflict.
    pub expected_revision: Option<u64>,
    /// The new entries of its log, in their order. Appended.
    pub transitions: Vec<Transition>,
}

/// A body that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// Its row in the ingest log.
    pub row: i64,
    /// Why.
    pub error: String,
}

/// An agent of whose bodies some were kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poisoned {
    /// The agent.
    pub agent: AgentId,
    /// How many, of the newest ten thousand of all agents.
    pub count: u64,
    /// When the first of them was found.
    pub since: Timestamp,
    /// Why the newest was kept apart.
    pub error: String,
}

/// A body that could not be understood, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedRow {
    /// The row as it stood in the ingest log.
    pub row: LogRow,
    /// Why it could not be understood.
    pub error: String,
    /// When it was set aside (the collector's clock).
    pub at: Timestamp,
}

/// The newest value of a sensor.
#[derive(Debug, Clone, PartialEq)]
pub struct LatestReading {
    /// The server.
    pub server: ServerId,
    /// The reading.
    pub reading: Reading,
    /// When it came (the collector's clock).
    pub received_at: Timestamp,
}

/// One value of a sensor's history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPoint {
    /// The server.
    pub server: ServerId,
    /// The place.
    pub component: ComponentId,
    /// What is measured.
    pub kind: SensorKind,
    /// The sensor's name.
    pub sensor: String,
    /// Where in the BMC it was read.
    pub source: Source,
    /// When it was read (the agent's clock).
    pub observed_at: Timestamp,
    /// The value. `None` exactly when `quality` is unavailable.
    pub value: Option<Value>,
    /// How far it can be trusted.
    pub quality: Quality,
}

/// A stored log entry.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRecord {
    /// Its number in the store.
    pub id: i64,
    /// The server.
    pub server: ServerId,
    /// The entry.
    pub event: LogEvent,
    /// When it first came (the collector's clock).
    pub received_at: Timestamp,
}

/// A stored gap: of a server, or of an agent's stream.
#[derive(Debug, Clone, PartialEq)]
pub struct GapRecord {
    /// Its number in the store.
    pub id: i64,
    /// The server; `None` where entries of an agent's stream are gone.
    pub server: Option<ServerId>,
    /// The agent whose stream has the gap.
    pub agent: Option<AgentId>,
    /// The gap as it was first noticed.
    pub gap: Gap,
    /// When it was last noticed (the agent's clock).
    pub last_observed: Timestamp,
    /// How often it was noticed.
    pub count: i64,
}

/// A part in its place, now or in the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRecord {
    /// The part.
    pub part: Part,
    /// When this serial was first seen in this place (the agent's clock).
    pub first_seen: Timestamp,
    /// When it was last seen there.
    pub last_seen: Timestamp,
    /// Whether it is the newest part seen in that place.
    pub current: bool,
}

/// A stored ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketRecord {
    /// The ticket.
    pub ticket: Ticket,
    /// Its whole log, oldest first.
    pub log: Vec<Transition>,
    /// The store's count of ticket changes when it last changed: orders changes over all tickets.
    pub change: i64,
}
