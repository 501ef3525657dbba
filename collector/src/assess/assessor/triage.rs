//! What kind of trouble a ticket is about: what the neighbours of its server show, and what changed before it. Told when a ticket opens, and again when more
//! neighbours show the same, as long as it is new: of those around which something has changed.

mod groups;

pub(super) use groups::Groups;

use super::Assessor;
use crate::assess::draft::Draft;
use crate::assess::synthetic::is_drill;
use crate::assess::{Error, Kept};
use groups::Shared;
use outband_health::incident::storm::is_only_silence;
use outband_health::triage::{Case, Change, Surroundings, triage};
use outband_health::{Fault, Incident, IncidentKey, Stage};
use outband_schemas::{ComponentClass, ServerId, Timestamp, Triage, TriageClass};
use outband_store::ServerRecord;
use outband_ticket::{Action, Ticket, TicketNumber};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often open tickets are looked at again.
const LOOK: Duration = Duration::from_secs(20);
/// A ticket that is older keeps the kind that it has.
const SETTLED: Duration = Duration::from_secs(24 * 3600);
/// A ticket is told its kind no more often than this.
const TOLD: usize = 6;

impl<S: Kept> Assessor<S> {
    /// What kind of trouble an incident is, by what is known now, with the cause that it belongs to and all that belongs to that. Exercises are none.
    pub(super) fn kind_of(
        &mut self,
        incident: &Incident,
        cause: Option<(Fault, Vec<IncidentKey>)>,
        now: Timestamp,
    ) -> Option<Triage> {
        if is_drill(incident) {
            return None;
        }
        self.look_around(now);
        self.sort_out(incident, now);
        let parts = cause.as_ref().map_or(incident.members.as_slice(), |(_, members)| members);
        let only_silence = is_only_silence(parts);
        let cause = cause.as_ref().map(|(fault, _)| *fault);
        let around = Surroundings { cause, only_silence, ..self.surroundings(incident, now) };
        let facts = incident.evidence.iter().map(|fact| fact.text.as_str());
        let facts = std::iter::once(incident.reason.as_str()).chain(facts).collect();
        let key = &incident.key;
        let case = Case { fault: key.fault, component: &key.component, predicted: incident.predicted, facts };
        Some(triage(&case, &around))
    }

    /// Looks again at the tickets that are new: what neighbours show since may say more. A kind that was seen to be so is not taken back for less.
    pub(super) fn triage_again(&mut self, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        if self.groups.looked_at.is_some_and(|at| now.since(at) < LOOK && at <= now) {
            return Ok(());
        }
        self.groups.looked_at = Some(now);
        self.look_around(now);
        for number in self.changed_around(now) {
            let Some(record) = self.tickets.get(&number) else { continue };
            let told = record.log.iter().filter(|e| matches!(e.action, Action::Triage { .. })).count();
            let (before, server) = (record.ticket.triage.clone(), record.ticket.server.clone());
            if told >= TOLD {
                continue;
            }
            let incident = self.live(&server, now)?.incidents.iter().find(|i| i.ticket == Some(number.0)).cloned();
            let Some(incident) = incident else { continue };
            let cause = self.storm_of(number, now)?;
            let Some(kind) = self.kind_of(&incident, cause, now) else { continue };
            if !is_better(before.as_ref(), &kind) {
                continue;
            }
            let why = kind.because.first().cloned().unwrap_or_default();
            self.note(number, &why, vec![Action::Triage { triage: kind }], draft, now)?;
        }
        Ok(())
    }

    /// New tickets that have changed since they were last looked at, or around which something has.
    fn changed_around(&mut self, now: Timestamp) -> Vec<TicketNumber> {
        let news = self.groups.news();
        let is_new = |t: &&Ticket| t.is_open() && !t.drill && now.since(t.created_at) < SETTLED;
        let (mut looked, mut changed) = (BTreeMap::new(), Vec::new());
        for ticket in self.tickets.values().map(|record| &record.ticket).filter(is_new) {
            let above = self.parents.get(&ticket.number).and_then(|parent| self.tickets.get(parent));
            let as_of = (ticket.revision, above.map_or(0, |record| record.ticket.revision));
            if self.groups.looked.get(&ticket.number) != Some(&as_of) || news.concern(ticket) {
                changed.push(ticket.number);
            }
            looked.insert(ticket.number, as_of);
        }
        self.groups.looked = looked;
        changed
    }

    /// What a ticket belongs to, where that is a storm: its fault, and all that belongs to it.
    fn storm_of(&mut self, number: TicketNumber, now: Timestamp) -> Result<Option<(Fault, Vec<IncidentKey>)>, Error> {
        let Some(parent) = self.parents.get(&number).copied() else { return Ok(None) };
        let Some(place) = self.tickets.get(&parent).map(|r| r.ticket.server.clone()) else { return Ok(None) };
        let incidents = &self.live(&place, now)?.incidents;
        let storm = incidents.iter().find(|i| i.ticket == Some(parent.0) && !i.members.is_empty());
        Ok(storm.map(|storm| (storm.key.fault, storm.members.clone())))
    }

    /// Looks up who stands with whom, where that was not done lately, and what servers show now.
    fn look_around(&mut self, now: Timestamp) {
        let servers = self.servers.all().count();
        if self.groups.is_due(servers, now) {
            let shared: Vec<Shared> = self.servers.all().flat_map(|record| self.shares(record)).collect();
            self.groups.regroup(servers, shared.into_iter(), now);
        }
        if !self.groups.is_past(now) {
            return;
        }
        let mut shown: BTreeMap<Fault, Vec<(Timestamp, ServerId)>> = BTreeMap::new();
        let live = self.live.values().flat_map(|live| &live.incidents);
        for incident in live.chain(self.waiting.values().flatten()) {
            let holds = matches!(incident.stage, Stage::Pending | Stage::Open | Stage::Verifying { .. });
            if holds && !is_drill(incident) {
                shown.entry(incident.key.fault).or_default().push((incident.onset, incident.key.server.clone()));
            }
        }
        self.groups.show(shown, now);
    }

    /// Sorts out who of the neighbours shows what matters for an incident.
    fn sort_out(&mut self, incident: &Incident, now: Timestamp) {
        let mut groups = std::mem::take(&mut self.groups);
        if let Some(name) = self.new_firmware(&incident.key.server, now) {
            let all = self.firmware.values().filter_map(|f| f.is_new(now, &self.folding));
            groups.count_firmware(&name, all);
        }
        let shares = |id: &ServerId| {
            let mut shares = self.servers.get(id).map(|record| self.shares(record)).unwrap_or_default();
            shares.extend(self.new_firmware(id, now).map(Shared::Firmware));
            shares
        };
        groups.sort_out(&[incident.key.fault, Fault::PowerInputLost], shares);
        self.groups = groups;
    }

    /// The firmware of a server's BMC, where that is new to it.
    fn new_firmware(&self, id: &ServerId, now: Timestamp) -> Option<String> {
        self.firmware.get(id)?.is_new(now, &self.folding)
    }

    fn shares(&self, record: &ServerRecord) -> Vec<Shared> {
        let site = || record.site.clone();
        let mut shares = vec![Shared::Site(site())];
        let agents: BTreeSet<String> = record.targets.iter().map(|t| t.agent.to_string()).collect();
        shares.extend(agents.into_iter().map(Shared::Agent));
        if let Some(place) = self.topology.place(record) {
            shares.extend(place.rack.clone().map(|name| Shared::Rack(site(), name)));
            shares.extend(place.zone.clone().map(|name| Shared::Zone(site(), name)));
            shares.extend(place.feeds.iter().cloned().map(|name| Shared::Feed(site(), name)));
        }
        shares
    }

    fn surroundings(&self, incident: &Incident, now: Timestamp) -> Surroundings {
        let key = &incident.key;
        let Some(record) = self.servers.get(&key.server) else { return Surroundings::default() };
        let mates = |shared: &Shared, fault| self.groups.mates(shared, fault, &key.server, incident.onset);
        let shares = self.shares(record);
        let first = |is: fn(&Shared) -> bool| shares.iter().find(|s| is(s)).map(|s| mates(s, key.fault));
        let rack = shares.iter().find(|s| matches!(s, Shared::Rack(..)));
        let feeds = shares.iter().filter(|s| matches!(s, Shared::Feed(..))).map(|s| mates(s, key.fault));
        let firmware = self.firmware.get(&key.server);
        let new = self.new_firmware(&key.server, now);
        let wave = new.map(|name| mates(&Shared::Firmware(name), key.fault));
        let before = |at: Timestamp| (at <= incident.onset).then(|| incident.onset.since(at));
        let (part_changed, listed) = self.part(incident, record);
        Surroundings {
            rack: first(|s| matches!(s, Shared::Rack(..))),
            zone: first(|s| matches!(s, Shared::Zone(..))),
            feed: feeds.max_by_key(|m| m.same),
            agent: first(|s| matches!(s, Shared::Agent(..))),
            site: first(|s| matches!(s, Shared::Site(..))),
            dark: rack.map(|rack| mates(rack, Fault::PowerInputLost)),
            firmware: wave,
            beside: self.beside(incident),
            firmware_changed: firmware.and_then(|f| {
                let text = format!("the BMC's firmware became {}", f.version);
                Some(Change { before: before(f.since?)?, text })
            }),
            part_changed,
            listed,
            cause: None,
            only_silence: false,
        }
    }

    /// What else is wrong with the same server.
    fn beside(&self, incident: &Incident) -> Vec<Fault> {
        let all = self.live.get(&incident.key.server).map(|live| live.incidents.as_slice()).unwrap_or_default();
        let other = |i: &&Incident| i.key != incident.key && i.stage == Stage::Open && !is_drill(i);
        let faults: BTreeSet<Fault> = all.iter().filter(other).map(|i| i.key.fault).collect();
        faults.into_iter().collect()
    }

    /// The last part that was put in at the place, and what the list of parts that fit says of it. That the store does not tell now is no reason to wait.
    fn part(
        &self,
        incident: &Incident,
        record: &ServerRecord,
    ) -> (Option<Change>, Option<outband_health::triage::Listed>) {
        // These are no parts that somebody puts in.
        use ComponentClass::{Agent, Bmc, Chassis, Firmware, Other, Server};
        if matches!(incident.key.component.class(), Agent | Bmc | Chassis | Firmware | Other | Server) {
            return (None, None);
        }
        let parts = match self.store.parts(&incident.key.server) {
            Ok(parts) => parts,
            Err(error) => {
                tracing::warn!(%error, "the parts of a server cannot be read; what kind of trouble it is, is told without them");
                return (None, None);
            }
        };
        let mut here = parts.iter().filter(|p| p.part.component == incident.key.component);
        let Some(part) = here.clone().find(|p| p.current) else { return (None, None) };
        // Where nothing was there before, it came with the server.
        let was = here.find(|p| !p.current && p.part.serial != part.part.serial);
        let changed = was.filter(|_| part.first_seen <= incident.onset).map(|was| {
            let serial = |p: &outband_store::PartRecord| p.part.serial.clone().unwrap_or_else(|| "?".to_owned());
            let text = format!("part {} was replaced by {}", serial(was), serial(part));
            Change { before: incident.onset.since(part.first_seen), text }
        });
        let model = self.topology.place(record).and_then(|p| p.model.as_deref()).or(record.identity.model.as_deref());
        (changed, self.compatibility.of(&part.part, model.unwrap_or_default()))
    }
}

/// Whether a kind is worth another entry: it is another one and no less sure, or the same and surer.
fn is_better(before: Option<&Triage>, kind: &Triage) -> bool {
    before.is_none_or(|before| {
        let surer = kind.confidence >= before.confidence || before.class == TriageClass::Unknown;
        (before.class != kind.class && kind.class != TriageClass::Unknown && surer)
            || (before.class == kind.class && kind.confidence > before.confidence)
    })
}

#[cfg(test)]
mod tests;
