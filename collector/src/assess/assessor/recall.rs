//! What is read from the store: all that outlives a start, and a server when something is first asked of it.

use super::fold::{Hushing, Running};
use super::{Assessor, Firmware, is_recent};
use crate::assess::identity::Servers;
use crate::assess::live::{Live, REMEMBERED};
use crate::assess::rebuild::{self, pages};
use crate::assess::{Error, Kept, Learnt, Terms, verdict};
use crate::maintenance::Windows;
use crate::thresholds::Overrides;
use outband_health::outlook::Outlook;
use outband_health::{Incident, Names, SortedMap, Window, rule};
use outband_schemas::{ComponentClass, Lane, ServerId, Timestamp};
use outband_store::recall::BmcFirmware;
use outband_store::{Scope, ServerRecord};
use outband_ticket::TicketNumber;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Servers that a step reads from the store though they sent nothing.
const WAKE: usize = 16;

impl<S: Kept> Assessor<S> {
    /// From the store, and from what outlives an assessor.
    pub(in crate::assess) fn load(store: S, learnt: Learnt, terms: &Terms, now: Timestamp) -> Result<Self, Error> {
        learnt.forget_erased(&store)?;
        learnt.disks.load(&store)?;
        let servers = Servers::new(pages(|page| store.servers(None, page))?);
        let mut scores = BTreeMap::new();
        let mut sites = BTreeMap::new();
        for record in pages(|page| store.healths(None, page))? {
            match record.scope {
                Scope::Server(id) => {
                    scores.insert(id, record.health);
                }
                Scope::Site(id) => {
                    sites.insert(id, record.health);
                }
                Scope::Component(..) => {}
            }
        }
        let mut assessor = Self {
            cursor: store.cursor()?,
            ahead: store.put_away_through()?,
            servers,
            live: BTreeMap::new(),
            waiting: BTreeMap::new(),
            scores,
            sites,
            agents: BTreeMap::new(),
            agents_at: None,
            awake_at: None,
            quiet_at: None,
            observed: BTreeMap::new(),
            tickets: BTreeMap::new(),
            change: 0,
            rules: rule::all(&terms.rules),
            config: terms.rules.clone(),
            folding: terms.folding.clone(),
            policy: terms.policy.clone(),
            topology: terms.topology.clone(),
            groups: Default::default(),
            compatibility: terms.compatibility.clone(),
            windows: Windows::default(),
            overrides: Overrides::default(),
            hushing: Hushing::default(),
            looked_at: Timestamp::EPOCH,
            exercises: BTreeSet::new(),
            drills: BTreeMap::new(),
            parents: BTreeMap::new(),
            past: BTreeMap::new(),
            held: BTreeSet::new(),
            names: Names::default(),
            storms: BTreeMap::new(),
            firmware: BTreeMap::new(),
            wears: learnt.wears,
            disks: learnt.disks,
            predicting: terms.disks.clone(),
            store,
        };
        for record in assessor.store.open_tickets()? {
            assessor.change = assessor.change.max(record.change);
            assessor.remember(record);
        }
        // Those that were merged in the moment before a crash are still to be closed.
        let merged = assessor.tickets.values().filter(|r| r.ticket.merged_into.is_some()).map(|r| r.change).min();
        assessor.change = merged.map_or(assessor.change, |change| change - 1);
        for agent in assessor.store.agents()? {
            assessor.agents.insert(agent.agent.clone(), agent);
        }
        for incident in assessor.store.open_incidents()? {
            if incident.hold.is_some() {
                assessor.held.insert(incident.key.clone());
            }
            if let (false, Some(ticket)) = (incident.members.is_empty(), incident.ticket) {
                assessor.storms.insert(incident.key.clone(), Running::new(&incident, ticket, now));
            }
            assessor.recall_exercise(&incident);
            assessor.waiting.entry(incident.key.server.clone()).or_default().push(incident);
        }
        let flap = Duration::from_secs(terms.rules.incident.flap_secs);
        for incident in assessor.store.ended_incidents(now.minus(flap.max(REMEMBERED)))? {
            assessor.past.entry(incident.key.server.clone()).or_default().push(incident);
        }
        for BmcFirmware { server, model, version, since } in assessor.store.bmc_firmwares()? {
            assessor.firmware.insert(server, Firmware { model, version, since });
        }
        Ok(assessor)
    }

    /// One server in memory, read from the store where it is not there yet.
    pub(super) fn live(&mut self, server: &ServerId, now: Timestamp) -> Result<&mut Live, Error> {
        if !self.live.contains_key(server) {
            let mut live = Box::<Live>::default();
            live.window = Window::sharing(&self.names);
            if let Some(record) = self.servers.get(server)
                && record.rev > 0
            {
                let until = self.seen_until(record, now);
                live.window = rebuild::window(&self.store, record, until, &self.config, &self.names)?;
                let inherit = |drives, outlooks| self.disks.inherit(&self.store, server, drives, outlooks);
                live.window.wears(self.wears.recall(&self.store, server, inherit)?);
                live.window.judged(self.disks.said(server));
                live.window.foresees(self.outlooks(server));
                let components = pages(|page| self.store.healths(Some(&Scope::Server(server.clone())), page))?;
                live.components = components
                    .into_iter()
                    .filter_map(|r| match r.scope {
                        Scope::Component(_, component) => Some((component, r.health)),
                        Scope::Site(_) | Scope::Server(_) => None,
                    })
                    .collect::<SortedMap<_, _>>()
                    .into();
                let agent = record.targets.first().and_then(|t| self.agents.get(&t.agent));
                live.cadence = agent.map(|a| a.sensor_interval);
                self.recall_host(record, &mut live);
            }
            for incident in self.waiting.remove(server).unwrap_or_default() {
                let incident = self.recall_verdict(incident)?;
                if incident.hold.is_some() {
                    self.held.insert(incident.key.clone());
                }
                live.incidents.push(incident);
            }
            for incident in self.past.remove(server).unwrap_or_default() {
                live.recall(&incident);
            }
            self.hushing.woke(server);
            self.live.insert(server.clone(), live);
        }
        Ok(self.live.entry(server.clone()).or_default())
    }

    /// Up to when the history of a server was assessed. It is no more than stored, but where history is ahead: what is still to be assessed must not be seen twice.
    fn seen_until(&self, record: &ServerRecord, now: Timestamp) -> Timestamp {
        if self.ahead <= self.cursor {
            return now;
        }
        let lanes = record.targets.iter().filter_map(|t| self.agents.get(&t.agent)).flat_map(|agent| &agent.lanes);
        let newest = lanes.filter(|l| l.lane == Lane::Telemetry).filter_map(|l| l.newest_observed).max();
        newest.map_or(now, |newest| newest.minus(Duration::from_millis(1)).min(now))
    }

    /// What is foreseen of a server's parts.
    pub(super) fn outlooks(&self, server: &ServerId) -> Vec<Outlook> {
        [self.wears.outlooks(server), self.disks.outlooks(server)].concat()
    }

    /// An incident as its ticket has it: what a person said in the moment before a crash still counts.
    fn recall_verdict(&self, incident: Incident) -> Result<Incident, Error> {
        let Some(number) = incident.ticket.map(TicketNumber) else { return Ok(incident) };
        let record = match self.tickets.get(&number) {
            Some(record) => Some(record.clone()),
            None => self.store.ticket(number)?,
        };
        Ok(record.and_then(|record| verdict::heed(&incident, &record)).unwrap_or(incident))
    }

    /// The agent that runs on a server, known by the readings that agents send of their own hosts.
    fn recall_host(&self, record: &ServerRecord, live: &mut Live) {
        if live.window.of_class(ComponentClass::Agent).next().is_none() {
            return;
        }
        if let Some(target) = record.targets.first()
            && let Some(agent) = self.agents.get(&target.agent)
        {
            live.window.hosts(self.hosted(&agent.agent, agent.last_heard));
        }
    }

    /// Brings servers that sent nothing since the start into memory, a few a step: they may be silent.
    pub(super) fn wake(&mut self, now: Timestamp) -> Result<(), Error> {
        if is_recent(self.awake_at, now) {
            return Ok(());
        }
        let asleep = self.servers.all().filter(|r| r.rev > 0 && !self.live.contains_key(&r.id));
        let ids: Vec<ServerId> = asleep.take(WAKE).map(|r| r.id.clone()).collect();
        self.awake_at = ids.is_empty().then_some(now);
        for id in ids {
            self.live(&id, now)?;
        }
        Ok(())
    }
}
