//! What is asked of the store: filters and pages.

use outband_schemas::{AgentId, ComponentClass, ComponentId, SensorKind, ServerId, Severity, SiteId, Timestamp};
use std::fmt;

/// Which page of a listing. Pages follow a key, so rows that come or go between two pages double or hide no other row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most this many rows.
    pub limit: usize,
    /// `next` of the page before; `None` for the first page. Opaque, printable ASCII or UTF-8 text.
    pub token: Option<String>,
}

impl Page {
    /// The first page, of at most `limit` rows.
    pub fn first(limit: usize) -> Self {
        Self { limit, token: None }
    }

    /// The page after `token`, of at most `limit` rows.
    pub fn after(token: impl Into<String>, limit: usize) -> Self {
        Self { limit, token: Some(token.into()) }
    }
}

/// One page of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// The token of the page after this one, where there are more rows.
    pub next: Option<String>,
}

/// What a health score is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// A site.
    Site(SiteId),
    /// A server.
    Server(ServerId),
    /// A place in a server.
    Component(ServerId, ComponentId),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Site(site) => write!(f, "sites/{site}"),
            Scope::Server(server) => write!(f, "servers/{server}"),
            Scope::Component(server, component) => write!(f, "servers/{server}/components/{component}"),
        }
    }
}

/// Which sensors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesFilter {
    /// Of this server; `None`: of all.
    pub server: Option<ServerId>,
    /// Of this place.
    pub component: Option<ComponentId>,
    /// Of places of this class.
    pub class: Option<ComponentClass>,
    /// Of this kind.
    pub kind: Option<SensorKind>,
}

/// Which part of history. The span is half open: `from` is in it, `to` is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryFilter {
    /// Which sensors.
    pub series: SeriesFilter,
    /// Observed at or after this (the agent's clock).
    pub from: Timestamp,
    /// Observed before this.
    pub to: Timestamp,
}

/// Which log entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this server; `None`: of all.
    pub server: Option<ServerId>,
    /// At least this grave.
    pub min_severity: Option<Severity>,
}

/// Which gaps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GapFilter {
    /// Of this server; `None`: of all.
    pub server: Option<ServerId>,
    /// Of this agent's stream; `None`: of all.
    pub agent: Option<AgentId>,
}

/// Which tickets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TicketFilter {
    /// Of this server; `None`: of all.
    pub server: Option<ServerId>,
    /// In one of these states; empty: in any.
    pub states: Vec<outband_ticket::State>,
    /// Of one of these kinds of trouble; empty: of any, and those of which nothing was said.
    pub triage: Vec<outband_schemas::TriageClass>,
    /// Changed after this change ([`crate::TicketRecord::change`]): what a watcher has not seen yet.
    pub changed_after: Option<i64>,
    /// A part of this one.
    pub parent: Option<outband_ticket::TicketNumber>,
    /// Opened before the second of these moments, and still open or changed since the first: all that a report of the time between is made of.
    pub between: Option<(Timestamp, Timestamp)>,
}
