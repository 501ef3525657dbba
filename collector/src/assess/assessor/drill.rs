//! Exercises: they begin, and end with everything that was said for them.

use super::Assessor;
use crate::assess::draft::Draft;
use crate::assess::synthetic::{self, is_drill};
use crate::assess::{Error, Kept};
use outband_health::{Incident, IncidentChange, IncidentKey, Stage, What};
use outband_schemas::Timestamp;
use outband_store::drill::Drill;
use outband_store::{Page, TicketFilter};
use std::collections::BTreeMap;

impl<S: Kept> Assessor<S> {
    /// Says what drills that are on say, and takes back what those that are over said.
    pub(super) fn exercise(&mut self, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        let stored = self.store.drills(false)?;
        if stored.is_empty() && self.exercises.is_empty() {
            return Ok(());
        }
        let on: BTreeMap<IncidentKey, Drill> =
            stored.into_iter().filter(|d| d.is_on(now)).filter_map(|d| Some((synthetic::key(&d)?, d))).collect();
        for key in self.exercises.clone() {
            if on.contains_key(&key) {
                continue;
            }
            self.exercises.remove(&key);
            if let Some(incident) = self.find(&key, now)? {
                let ended = Incident { stage: Stage::Ended { at: now }, newest: now, ..incident };
                self.write(IncidentChange { incident: ended, what: What::Recovered }, draft, now)?;
            }
        }
        for (key, drill) in on {
            if self.exercises.contains(&key) {
                continue;
            }
            if self.find(&key, now)?.is_none() && !self.had_ticket(&key)? {
                let Some(incident) = synthetic::incident(&drill, now) else { continue };
                self.live(&key.server, now)?;
                self.drills.insert(key.clone(), drill);
                self.write(IncidentChange { incident, what: What::Opened }, draft, now)?;
                self.drills.remove(&key);
            }
            self.exercises.insert(key);
        }
        Ok(())
    }

    /// Whether there is a ticket of this exercise: somebody may have closed it before the end.
    fn had_ticket(&self, key: &IncidentKey) -> Result<bool, Error> {
        let filter = TicketFilter { server: Some(key.server.clone()), ..TicketFilter::default() };
        let mut page = Page::first(500);
        loop {
            let listing = self.store.tickets(&filter, &page)?;
            if listing.rows.iter().any(|r| r.ticket.drill && r.ticket.component == key.component) {
                return Ok(true);
            }
            match listing.next {
                Some(next) => page = Page::after(next, 500),
                None => return Ok(false),
            }
        }
    }

    /// Exercises that were on when the collector ended.
    pub(super) fn recall_exercise(&mut self, incident: &Incident) {
        if is_drill(incident) {
            self.exercises.insert(incident.key.clone());
        }
    }
}
