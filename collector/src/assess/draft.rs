//! What a step is about to write, gathered row by row.

use outband_health::{Incident, IncidentChange, IncidentKey, What};
use outband_schemas::Timestamp;
use outband_store::{Applied, TicketRecord, TicketWrite};
use outband_ticket::TicketNumber;
use std::collections::BTreeMap;

/// What a step is about to write.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// All that is simply added.
    pub(super) applied: Applied,
    incidents: BTreeMap<(IncidentKey, Timestamp), Incident>,
    dropped: Vec<IncidentKey>,
    tickets: BTreeMap<TicketNumber, TicketWrite>,
}

impl Draft {
    /// The change of an incident, as it shall be stored.
    pub(super) fn incident(&mut self, change: &IncidentChange) {
        let incident = &change.incident;
        let name = (incident.key.clone(), incident.noted_at);
        if change.what == What::Dropped {
            self.incidents.remove(&name);
            self.dropped.push(incident.key.clone());
        } else {
            self.incidents.insert(name, incident.clone());
        }
    }

    /// The change of a ticket; one ticket may change several times in a step.
    pub(super) fn ticket(&mut self, write: TicketWrite) {
        match self.tickets.get_mut(&write.ticket.number) {
            Some(before) => {
                before.ticket = write.ticket;
                before.transitions.extend(write.transitions);
            }
            None => {
                self.tickets.insert(write.ticket.number, write);
            }
        }
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.applied == Applied::default()
            && self.incidents.is_empty()
            && self.dropped.is_empty()
            && self.tickets.is_empty()
    }

    /// Whether watchers would see it.
    pub(super) fn is_news(&self) -> bool {
        let a = &self.applied;
        !(a.healths.is_empty() && a.servers.is_empty() && self.tickets.is_empty())
    }

    /// All of it.
    pub(super) fn finish(self) -> Applied {
        Applied {
            incidents: self.incidents.into_values().collect(),
            dropped: self.dropped,
            tickets: self.tickets.into_values().collect(),
            ..self.applied
        }
    }
}

/// A ticket in memory after a write.
pub(super) fn after(record: Option<&TicketRecord>, write: &TicketWrite) -> TicketRecord {
    let mut log = record.map(|r| r.log.clone()).unwrap_or_default();
    log.extend(write.transitions.iter().cloned());
    TicketRecord { ticket: write.ticket.clone(), log, change: record.map_or(0, |r| r.change) }
}
