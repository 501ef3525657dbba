//! The collector's own findings, and the thresholds that are other for some servers.

use super::Assessor;
use crate::assess::draft::Draft;
use crate::assess::own::{Vitals, findings, homeless, place_of_collector};
use crate::assess::{Error, Kept};
use crate::react::Overruled;
use crate::thresholds::{self, Overrides, in_words, moves};
use outband_health::{Finding, Incident};
use outband_schemas::{AgentId, ServerId, Timestamp};
use outband_store::StoreError;
use std::collections::BTreeSet;
use std::time::Duration;

/// How often the collector looks at itself.
const LOOK: Duration = Duration::from_secs(5);

impl<S: Kept> Assessor<S> {
    /// Judges the collector itself.
    pub(super) fn judge_own(
        &mut self,
        vitals: impl FnOnce(&S) -> Result<Vitals, StoreError>,
        draft: &mut Draft,
        now: Timestamp,
    ) -> Result<(), Error> {
        if now.since(self.looked_at) < LOOK {
            return Ok(());
        }
        self.looked_at = now;
        let vitals = vitals(&self.store)?;
        let hosted: BTreeSet<AgentId> =
            self.live.values().filter_map(|live| Some(live.window.hosted()?.agent.clone())).collect();
        // Which agents have a host among the servers is known only once all servers are in memory.
        let all = self.servers.all().all(|r| r.rev == 0 || self.live.contains_key(&r.id));
        let agents = self.agents.values().map(|a| (&a.agent, a.last_heard, a.sensor_interval));
        let alone = if all { homeless(agents, &hosted) } else { Vec::new() };
        let own = place_of_collector()?;
        let config = self.config.clone();
        let live = self.live(&own, now)?;
        for change in live.judge_own(&own, findings(&vitals, &alone, now), &config, now) {
            self.answer(change, draft, now)?;
        }
        Ok(())
    }

    /// What the rules find on a server now, by the thresholds that are in force there.
    pub(super) fn found(&self, server: &ServerId, now: Timestamp) -> Vec<Finding> {
        let Some(live) = self.live.get(server) else { return Vec::new() };
        let set = match self.overrides.is_empty() {
            true => Vec::new(),
            false => self.overrides.of(server, &self.whereabouts(server), now),
        };
        thresholds::findings(&self.rules, &self.config, &set, &live.window, now)
    }

    /// The thresholds that moved what is said of an incident, for its ticket.
    pub(super) fn overruled(&self, incident: &Incident, now: Timestamp) -> Vec<Overruled> {
        let server = &incident.key.server;
        let set = self.overrides.of(server, &self.whereabouts(server), now);
        let moved = |t: &&outband_store::threshold::Threshold| {
            incident.rules.iter().any(|rule| moves(t, &incident.key.component, rule))
        };
        set.iter()
            .filter(moved)
            .map(|t| Overruled {
                who: t.author.clone(),
                why: t.reason.clone(),
                what: in_words(t, &self.config),
                until: t.until,
            })
            .collect()
    }

    /// The thresholds as they are stored now.
    pub(super) fn read_thresholds(&mut self) -> Result<(), Error> {
        let stored = self.store.thresholds(false)?;
        if !self.overrides.are(&stored) {
            self.overrides = Overrides::new(stored);
        }
        Ok(())
    }
}
