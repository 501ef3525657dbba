//! An incident changed: what its ticket needs to know, and what is written.

use super::Assessor;
use crate::assess::draft::Draft;
use crate::assess::{Error, draft};
use crate::react::{Context, react};
use outband_health::{Incident, IncidentChange, Stage, What};
use outband_schemas::{ComponentClass, Timestamp};
use outband_store::{Sequence, ServerRecord, Store, TicketWrite};
use outband_ticket::{Redundancy, TicketNumber};

impl<S: Store> Assessor<S> {
    /// Moves the ticket of an incident that changed.
    pub(super) fn answer(
        &mut self,
        mut change: IncidentChange,
        draft: &mut Draft,
        now: Timestamp,
    ) -> Result<(), Error> {
        if change.what != What::Noted && change.what != What::Dropped {
            let key = &change.incident.key;
            tracing::info!(server = %key.server, component = %key.component, fault = %key.fault, what = ?change.what, reason = %change.incident.reason, "incident");
        }
        let context = self.context(&change);
        let record = change.incident.ticket.and_then(|n| self.tickets.get(&TicketNumber(n))).map(|(r, _)| r);
        let store = &self.store;
        let number = || Ok::<_, Error>(TicketNumber(store.reserve(Sequence::Ticket)?));
        let write: Option<TicketWrite> = react(&change, record.map(|r| &r.ticket), &context, number, now)?;
        if let Some(write) = write {
            change.incident.ticket = Some(write.ticket.number.0);
            let record = draft::after(record, &write);
            self.remember(record);
            draft.ticket(write);
            if let Some(live) = self.live.get_mut(&change.incident.key.server) {
                live.take(&change);
            }
        }
        draft.incident(&change);
        Ok(())
    }

    fn context(&self, change: &IncidentChange) -> Context {
        let key = &change.incident.key;
        let record = self.servers.get(&key.server);
        Context {
            site: record.map(|r| r.site.clone()),
            server_name: record.and_then(known_as).unwrap_or_else(|| key.server.to_string()),
            redundancy: self.redundancy(change),
        }
    }

    /// Whether another part of the same class has already failed.
    fn redundancy(&self, change: &IncidentChange) -> Redundancy {
        let key = &change.incident.key;
        let class = key.component.class();
        if !matches!(class, ComponentClass::PowerSupply | ComponentClass::Fan | ComponentClass::Disk) {
            return Redundancy::Unknown;
        }
        let other = |i: &&Incident| {
            let same_class = i.key.component.class() == class && i.key.component != key.component;
            same_class && !i.predicted && i.stage == Stage::Open
        };
        let incidents = self.live.get(&key.server).map(|l| l.incidents.as_slice()).unwrap_or_default();
        if incidents.iter().any(|i| other(&i)) { Redundancy::Gone } else { Redundancy::Unknown }
    }
}

/// What people call a server: its host's name, or else those that the agents' configs give its BMCs.
fn known_as(record: &ServerRecord) -> Option<String> {
    let targets: Vec<&str> = record.targets.iter().map(|t| t.target.as_str()).collect();
    record.identity.hostname.clone().or_else(|| Some(targets.join(", "))).filter(|name| !name.is_empty())
}
