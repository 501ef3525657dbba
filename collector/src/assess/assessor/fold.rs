//! Which open incidents get a ticket, and when: those that a cause shared with others may explain wait for it, those that a storm explains are a part of its
//! ticket, those in a maintenance window wait for its end. All are kept with their evidence, and are looked at again in every step.

mod hush;
mod storm;

use super::Assessor;
use crate::assess::draft::Draft;
use crate::assess::synthetic::is_drill;
use crate::assess::{Error, Kept};
use crate::maintenance::Whereabouts;
use crate::topology::Place;
pub(super) use hush::Hushing;
use outband_health::incident::storm::{Cause, cause_of, place_of_site};
use outband_health::{Fault, Hold, Incident, IncidentChange, IncidentKey, Stage, Verdict, What};
use outband_schemas::{ServerId, SiteId, Timestamp};
use outband_store::ServerRecord;
use outband_store::maintenance::Window;
use outband_ticket::TicketNumber;
use std::time::Duration;
pub(super) use storm::Running;

/// No incident waits longer for a common cause.
const LONGEST_WATCH: Duration = Duration::from_secs(600);

/// What people call a window, where it keeps something from being told.
fn name(window: &Window) -> String {
    format!("{} {}: {}", window.kind.as_str(), window.id, window.name)
}

impl<S: Kept> Assessor<S> {
    /// Why an incident that has just opened gets no ticket yet; `None`: it gets one now.
    pub(super) fn hold(&self, incident: &Incident, now: Timestamp) -> Option<Hold> {
        if is_drill(incident) {
            return None;
        }
        if let Some(hold) = self.suppressed(incident, now) {
            return Some(hold);
        }
        let causes = self.causes(&incident.key, now);
        if let Some(into) = causes.iter().find_map(|cause| self.storms.get(cause)).filter(|s| s.is_on) {
            return Some(Hold::Folded { into: into.ticket });
        }
        let least = usize::try_from(self.folding.min_servers).unwrap_or(usize::MAX).max(2);
        let shared = causes.iter().any(|cause| self.size(cause, now) >= least);
        shared.then(|| Hold::Watched { until: now.plus(self.patience(&incident.key)) })
    }

    /// The maintenance window that covers it now.
    fn suppressed(&self, incident: &Incident, now: Timestamp) -> Option<Hold> {
        let (window, until) = self.windows.covering(incident, &self.whereabouts(&incident.key.server), now)?;
        Some(Hold::Suppressed { by: name(window), until })
    }

    /// Where a server stands.
    pub(super) fn whereabouts(&self, server: &ServerId) -> Whereabouts<'_> {
        let record = self.servers.get(server);
        Whereabouts {
            site: record.map(|r| &r.site),
            place: record.and_then(|r| self.topology.place(r)),
            model: record.and_then(|r| r.identity.model.as_deref()),
        }
    }

    /// How long to wait for others that the same cause may have struck: time enough for every server to have been polled.
    fn patience(&self, key: &IncidentKey) -> Duration {
        let usual = Duration::from_secs(self.folding.hold_secs);
        match self.live.get(&key.server).and_then(|live| live.cadence) {
            Some(cadence) => usual.min(cadence * 3).max((cadence * 3 / 2).min(LONGEST_WATCH)),
            None => usual,
        }
    }

    /// What could be behind an incident.
    fn causes(&self, key: &IncidentKey, now: Timestamp) -> Vec<IncidentKey> {
        if self.folding.hold_secs == 0 {
            return Vec::new();
        }
        let Some(record) = self.servers.get(&key.server) else { return Vec::new() };
        let Ok(site) = place_of_site(&record.site) else { return Vec::new() };
        let mut causes = self.reaches(record);
        causes.extend(self.firmware.get(&key.server).and_then(|f| f.is_new(now, &self.folding)).map(Cause::Firmware));
        let explains = causes.into_iter().filter(|c| c.explains(key.fault, &key.component));
        explains.map(|cause| cause.key(&site, key.fault)).collect()
    }

    /// What a server shares with others.
    fn reaches(&self, record: &ServerRecord) -> Vec<Cause> {
        let mut causes: Vec<Cause> = record.targets.iter().map(|t| Cause::Agent(t.agent.to_string())).collect();
        causes.dedup();
        if let Some(Place { rack, feeds, zone, .. }) = self.topology.place(record) {
            causes.extend(feeds.iter().cloned().map(Cause::Feed));
            causes.extend(zone.clone().map(Cause::Zone));
            causes.extend(rack.clone().map(Cause::Rack));
        }
        causes
    }

    /// How many servers a cause could reach.
    fn size(&self, cause: &IncidentKey, now: Timestamp) -> usize {
        if cause.fault == Fault::FirmwareWave {
            let names = self.firmware.values().filter_map(|f| f.is_new(now, &self.folding));
            return names.filter(|name| cause.component.slot().starts_with(&format!("{name}: "))).count();
        }
        let cause = &cause_of(cause);
        let of_site = self.servers.all().filter(|r| place_of_site(&r.site).is_ok_and(|site| site == cause.server));
        let is_it = |c: &Cause| c.fault() == cause.fault && c.key(&cause.server, cause.fault) == *cause;
        of_site.filter(|record| self.reaches(record).iter().any(is_it)).count()
    }

    /// Looks again at what has no ticket.
    pub(super) fn settle(&mut self, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        self.hush(draft, now)?;
        if self.held.is_empty() && self.storms.is_empty() {
            return Ok(());
        }
        let mut open = Vec::new();
        for key in self.held.clone() {
            match self.find(&key, now)? {
                Some(incident) if incident.hold.is_some() => {
                    if incident.stage == Stage::Open {
                        open.push(incident);
                    }
                }
                _ => {
                    self.held.remove(&key);
                }
            }
        }
        self.follow_storms(draft, now)?;
        for incident in &open {
            // Merged by a person into a ticket that is closed now.
            if let Some(Hold::Folded { into }) = incident.hold
                && !self.storms.values().any(|storm| storm.ticket == into)
                && !self.tickets.contains_key(&TicketNumber(into))
                && self.find(&incident.key, now)?.is_some_and(|i| i.hold == incident.hold)
            {
                self.release(incident, None, draft, now)?;
            }
        }
        for incident in &open {
            if let Some(Hold::Suppressed { by, until }) = &incident.hold
                && self
                    .suppressed(incident, now)
                    .is_none_or(|hold| hold != Hold::Suppressed { by: by.clone(), until: *until })
            {
                self.reconsider(incident, draft, now)?;
            }
        }
        self.find_storms(draft, now)?;
        for incident in open {
            let Some(incident) = self.find(&incident.key, now)? else { continue };
            if let Some(Hold::Watched { until }) = incident.hold
                && until <= now
            {
                self.release(&incident, None, draft, now)?;
            }
        }
        Ok(())
    }

    /// An incident as it is in memory.
    pub(super) fn find(&mut self, key: &IncidentKey, now: Timestamp) -> Result<Option<Incident>, Error> {
        Ok(self.live(&key.server, now)?.incidents.iter().find(|i| i.key == *key).cloned())
    }

    /// Its window is over, or another one: what still holds is treated as if it had opened now.
    fn reconsider(&mut self, incident: &Incident, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        match self.hold(incident, now) {
            Some(hold) => self.put(Incident { hold: Some(hold), ..incident.clone() }, draft),
            None => return self.release(incident, None, draft, now),
        }
        Ok(())
    }

    /// Gives an incident that still holds a ticket of its own. One that nobody has found lately, and that cannot end by itself, is verified first: somebody may
    /// have repaired it meanwhile.
    fn release(
        &mut self,
        incident: &Incident,
        after: Option<u64>,
        draft: &mut Draft,
        now: Timestamp,
    ) -> Result<(), Error> {
        let key = &incident.key;
        let found = self.live.get(&key.server).is_some_and(|live| live.finds(&key.component, key.fault));
        if !found && !incident.predicted && !key.fault.clears_itself() {
            let verifying = incident.after_verdict(Verdict::Repaired, now);
            self.held.remove(key);
            self.put(Incident { hold: None, ..verifying }, draft);
            return Ok(());
        }
        self.held.remove(key);
        let incident = Incident { hold: None, follows: after.or(incident.follows), ..incident.clone() };
        self.write(IncidentChange { incident, what: What::Opened }, draft, now)
    }

    /// Keeps an incident that changed without a word to its ticket.
    pub(super) fn put(&mut self, incident: Incident, draft: &mut Draft) {
        if incident.hold.is_some() {
            self.held.insert(incident.key.clone());
        }
        let change = IncidentChange { incident, what: What::Noted };
        if let Some(live) = self.live.get_mut(&change.incident.key.server) {
            live.take(&change);
        }
        draft.incident(&change);
    }

    /// The windows as they are stored now.
    pub(super) fn read_windows(&mut self) -> Result<(), Error> {
        let stored = self.store.windows(false)?;
        if !self.windows.are(&stored) {
            self.windows = crate::maintenance::Windows::new(stored);
        }
        Ok(())
    }

    /// The site of a cause, for its ticket.
    pub(super) fn site_of(&self, key: &IncidentKey) -> Option<SiteId> {
        match self.servers.get(&key.server) {
            Some(record) => Some(record.site.clone()),
            None => key.server.as_str().strip_prefix("site.").and_then(|site| SiteId::new(site).ok()),
        }
    }
}
