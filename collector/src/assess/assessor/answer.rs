//! An incident changed: what its ticket needs to know, and what is written.

use super::Assessor;
use crate::assess::draft::Draft;
use crate::assess::own::place_of_collector;
use crate::assess::synthetic::is_drill;
use crate::assess::{Error, Kept, draft};
use crate::react::{Context, Exercise, WHO, react};
use outband_health::{Incident, IncidentChange, Stage, What};
use outband_schemas::{ComponentClass, ServerId, Timestamp};
use outband_store::{Sequence, ServerRecord, TicketRecord, TicketWrite};
use outband_ticket::{Action, Command, Redundancy, TicketNumber, apply, sla};

impl<S: Kept> Assessor<S> {
    /// Moves the ticket of an incident that changed. One that opens may have to wait for its ticket.
    pub(super) fn answer(&mut self, change: IncidentChange, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        let IncidentChange { incident, what } = &change;
        if *what != What::Noted && *what != What::Dropped {
            let key = &incident.key;
            tracing::info!(server = %key.server, component = %key.component, fault = %key.fault, what = ?what, reason = %incident.reason, "incident");
        }
        let opens = matches!(what, What::Opened | What::Recurred) && self.ticket_of(incident).is_none();
        if opens && let Some(hold) = self.hold(incident, now) {
            tracing::info!(server = %incident.key.server, component = %incident.key.component, fault = %incident.key.fault, ?hold, "no ticket yet");
            self.put(Incident { hold: Some(hold), ..change.incident }, draft);
            return Ok(());
        }
        self.write(change, draft, now)
    }

    /// Its ticket, where that is not closed.
    fn ticket_of(&self, incident: &Incident) -> Option<&TicketRecord> {
        incident.ticket.and_then(|n| self.tickets.get(&TicketNumber(n)))
    }

    /// Moves the ticket of an incident that changed, or opens one.
    pub(super) fn write(&mut self, mut change: IncidentChange, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        let record = self.ticket_of(&change.incident);
        let opens = record.is_none() && matches!(change.what, What::Opened | What::Recurred);
        let triage = if opens { self.kind_of(&change.incident, None, now) } else { None };
        let record = self.ticket_of(&change.incident);
        let context = Context { triage, ..self.context(&change, record, now) };
        let store = &self.store;
        let number = || Ok::<_, Error>(TicketNumber(store.reserve(Sequence::Ticket)?));
        let write: Option<TicketWrite> = react(&change, record.map(|r| &r.ticket), &context, number, now)?;
        if let Some(write) = write {
            change.incident.ticket = Some(write.ticket.number.0);
            change.incident.hold = None;
            let record = draft::after(record, &write);
            self.remember(record);
            draft.ticket(write);
        }
        if let Some(live) = self.live.get_mut(&change.incident.key.server) {
            live.take(&change);
        }
        draft.incident(&change);
        Ok(())
    }

    /// What people call a server.
    pub(super) fn called(&self, server: &ServerId) -> String {
        self.servers.get(server).and_then(known_as).unwrap_or_else(|| server.to_string())
    }

    /// Logs something on an open ticket.
    pub(super) fn note(
        &mut self,
        number: TicketNumber,
        why: &str,
        actions: Vec<Action>,
        draft: &mut Draft,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(record) = self.tickets.get(&number) else { return Ok(()) };
        let mut write = TicketWrite {
            ticket: record.ticket.clone(),
            expected_revision: Some(record.ticket.revision),
            transitions: Vec::new(),
        };
        for action in actions {
            let command = Command { who: WHO.to_owned(), why: why.to_owned(), action };
            let transition = apply(&write.ticket, command, now)?;
            write.ticket = write.ticket.after(&transition);
            write.transitions.push(transition);
        }
        let record = draft::after(Some(record), &write);
        self.remember(record);
        draft.ticket(write);
        Ok(())
    }

    fn context(&self, change: &IncidentChange, record: Option<&TicketRecord>, now: Timestamp) -> Context {
        let key = &change.incident.key;
        let site = self.site_of(key);
        let server_name = match &site {
            Some(site) if !change.incident.members.is_empty() => site.to_string(),
            _ => self.called(&key.server),
        };
        let drill = self.drills.get(key);
        Context {
            site,
            server_name,
            redundancy: self.redundancy(change),
            is_server: place_of_collector().is_ok_and(|own| own != key.server),
            drill: drill.map(|d| Exercise { id: d.id, pages: d.pages, until: d.ends_at }),
            triage: None,
            overruled: if self.overrides.is_empty() { Vec::new() } else { self.overruled(&change.incident, now) },
            reprioritise: sla::policy(&self.policy, record.map_or(&[], |r| &r.log), now).reprioritise,
        }
    }

    /// Whether another part of the same class has already failed.
    fn redundancy(&self, change: &IncidentChange) -> Redundancy {
        let key = &change.incident.key;
        let class = key.component.class();
        if is_drill(&change.incident)
            || !matches!(class, ComponentClass::PowerSupply | ComponentClass::Fan | ComponentClass::Disk)
        {
            return Redundancy::Unknown;
        }
        let other = |i: &&Incident| {
            let same_class = i.key.component.class() == class && i.key.component != key.component;
            same_class && !i.predicted && i.stage == Stage::Open && !is_drill(i)
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
