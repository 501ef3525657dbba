//! The step: everything that is in memory, and what a run of rows or a tick does to it.

mod answer;
mod drill;
mod firmware;
mod fold;
mod own;

use super::Kept;
use super::draft::{self, Draft};
use super::identity::Servers;
use super::live::{Live, same};
use super::own::{Vitals, place_of_collector};
use super::rebuild::{self, pages};
use super::wear::Wears;
use super::{Error, Terms, verdict};
use crate::maintenance::Windows;
use crate::react;
use crate::thresholds::Overrides;
use crate::topology::Topology;
use firmware::Firmware;
use fold::{Hushing, Running};
use outband_health::rule::{self, Rule};
use outband_health::window::{Hosted, Origin};
use outband_health::{FoldingConfig, Health, Incident, IncidentKey, RuleConfig, score};
use outband_proto::convert::decode_set;
use outband_schemas::{AgentId, ComponentClass, Observation, ObservationSet, Section, ServerId, SiteId, Timestamp};
use outband_store::drill::Drill;
use outband_store::recall::BmcFirmware;
use outband_store::{
    AgentRecord, AgentTarget, HealthRecord, LogRow, Page, Poison, Scope, Sequence, ServerEvents, ServerGaps,
    ServerInventory, ServerReadings, ServerRecord, StoreError, TicketFilter, TicketRecord,
};
use outband_ticket::{Policies, State, TicketNumber};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Rows a step.
const ROWS: usize = 256;
/// A server that sent nothing is judged again after this long: silence and staleness come with time alone.
const JUDGE_AGAIN: Duration = Duration::from_secs(5);

/// Servers that a step reads from the store though they sent nothing.
const WAKE: usize = 16;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    /// Whether watchers would see it.
    pub(super) changed: bool,
    /// Whether more rows may wait.
    pub(super) more: bool,
}

/// Everything that is in memory.
pub(super) struct Assessor<S> {
    store: S,
    cursor: i64,
    servers: Servers,
    live: BTreeMap<ServerId, Live>,
    /// Incidents of servers that are not in `live` yet.
    waiting: BTreeMap<ServerId, Vec<Incident>>,
    /// Scores of servers, those not in `live` yet included.
    scores: BTreeMap<ServerId, Health>,
    sites: BTreeMap<SiteId, Health>,
    agents: BTreeMap<AgentId, AgentRecord>,
    /// The latest observation of each agent (the agent's clock).
    observed: BTreeMap<AgentId, Timestamp>,
    /// Tickets that are not closed, with when their next clock runs out.
    tickets: BTreeMap<TicketNumber, TicketRecord>,
    change: i64,
    rules: Vec<Box<dyn Rule>>,
    config: RuleConfig,
    folding: FoldingConfig,
    policy: Policies,
    topology: Arc<Topology>,
    windows: Windows,
    overrides: Overrides,
    /// Which tickets have to be compared with the windows.
    hushing: Hushing,
    /// When the collector last looked at itself.
    looked_at: Timestamp,
    /// What exercises said, and did not take back yet.
    exercises: BTreeSet<IncidentKey>,
    /// Exercises that begin in this moment.
    drills: BTreeMap<IncidentKey, Drill>,
    /// Tickets that belong to another's, and that one.
    parents: BTreeMap<TicketNumber, TicketNumber>,
    /// Incidents that ended a short while ago, of servers that are not in `live` yet.
    past: BTreeMap<ServerId, Vec<Incident>>,
    /// Incidents that are kept without a ticket, or were when they were last looked at.
    held: BTreeSet<IncidentKey>,
    /// Storms by their cause.
    storms: BTreeMap<IncidentKey, Running>,
    firmware: BTreeMap<ServerId, Firmware>,
    wears: Wears,
}

impl<S: Kept> Assessor<S> {
    /// From the store, and from what outlives an assessor.
    pub(super) fn load(store: S, wears: Wears, terms: &Terms, now: Timestamp) -> Result<Self, Error> {
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
            servers,
            live: BTreeMap::new(),
            waiting: BTreeMap::new(),
            scores,
            sites,
            agents: BTreeMap::new(),
            observed: BTreeMap::new(),
            tickets: BTreeMap::new(),
            change: 0,
            rules: rule::all(&terms.rules),
            config: terms.rules.clone(),
            folding: terms.folding.clone(),
            policy: terms.policy.clone(),
            topology: terms.topology.clone(),
            windows: Windows::default(),
            overrides: Overrides::default(),
            hushing: Hushing::default(),
            looked_at: Timestamp::EPOCH,
            exercises: BTreeSet::new(),
            drills: BTreeMap::new(),
            parents: BTreeMap::new(),
            past: BTreeMap::new(),
            held: BTreeSet::new(),
            storms: BTreeMap::new(),
            firmware: BTreeMap::new(),
            wears,
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
        for incident in assessor.store.ended_incidents(now.minus(flap))? {
            assessor.past.entry(incident.key.server.clone()).or_default().push(incident);
        }
        for BmcFirmware { server, model, version, since } in assessor.store.bmc_firmwares()? {
            assessor.firmware.insert(server, Firmware { model, version, since });
        }
        Ok(assessor)
    }

    /// Takes in the next rows, looks at what time alone changes, and writes it all.
    /// `vitals` is asked now and then.
    pub(super) fn step(
        &mut self,
        terms: &Terms,
        now: Timestamp,
        vitals: impl FnOnce(&S) -> Result<Vitals, StoreError>,
    ) -> Result<Done, Error> {
        if self.config != terms.rules {
            self.rules = rule::all(&terms.rules);
            self.config = terms.rules.clone();
        }
        self.folding = terms.folding.clone();
        if self.policy != terms.policy {
            self.policy = terms.policy.clone();
        }
        self.topology = terms.topology.clone();
        let mut draft = Draft::default();
        self.read_windows()?;
        self.read_thresholds()?;
        self.refresh(&mut draft, now)?;
        let rows = self.store.log_after(self.cursor, ROWS)?;
        let mut touched = BTreeSet::new();
        let mut known = BTreeSet::new();
        for row in &rows {
            self.row(row, &mut draft, &mut touched, &mut known, now)?;
        }
        draft.applied.through = rows.last().map(|row| row.id);
        draft.applied.servers = self.servers.take_changed();
        if rows.len() < ROWS {
            self.wake(now)?;
            self.judge_wear(now)?;
            touched.extend(self.judge_quiet(&mut draft, now)?);
        }
        self.exercise(&mut draft, now)?;
        self.judge_own(vitals, &mut draft, now)?;
        self.settle(&mut draft, now)?;
        self.score(&touched, &mut draft, now);
        if draft.is_empty() {
            return Ok(Done { changed: false, more: false });
        }
        let done = Done { changed: draft.is_news(), more: !rows.is_empty() };
        let through = draft.applied.through;
        self.store.apply(draft.finish(), now)?;
        self.cursor = through.unwrap_or(self.cursor);
        Ok(done)
    }

    /// What rules find now of servers that are in memory.
    #[cfg(test)]
    pub(super) fn all_findings(&self) -> Vec<IncidentKey> {
        let of = |(server, live): (&ServerId, &Live)| -> Vec<IncidentKey> {
            let key = |f: &outband_health::Finding| IncidentKey {
                server: server.clone(),
                component: f.component.clone(),
                fault: f.fault,
            };
            live.findings().iter().map(key).collect()
        };
        self.live.iter().flat_map(of).collect()
    }

    /// Agents as they are now, and what people did to tickets since the last step.
    fn refresh(&mut self, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        for agent in self.store.agents()? {
            let before = self.agents.insert(agent.agent.clone(), agent.clone());
            if before.is_some_and(|b| b.targets != agent.targets) {
                self.forget_targets(&agent);
            }
        }
        let filter = TicketFilter { changed_after: Some(self.change), ..TicketFilter::default() };
        let changed: Vec<TicketRecord> = pages(|page: &Page| self.store.tickets(&filter, page))?;
        for record in changed {
            self.change = self.change.max(record.change);
            let record = match react::merged(&record.ticket, now)? {
                Some(write) => {
                    let record = draft::after(Some(&record), &write);
                    draft.ticket(write);
                    record
                }
                None => record,
            };
            self.heed(&record, draft, now)?;
            self.remember(record);
        }
        Ok(())
    }

    fn remember(&mut self, record: TicketRecord) {
        let ticket = &record.ticket;
        self.hushing.ticket(ticket);
        match ticket.parent.filter(|_| ticket.is_open()) {
            Some(parent) => self.parents.insert(ticket.number, parent),
            None => self.parents.remove(&ticket.number),
        };
        if ticket.state == State::Closed {
            self.tickets.remove(&ticket.number);
        } else {
            self.tickets.insert(ticket.number, record);
        }
    }

    /// Tells the incident of a ticket what people said by moving it.
    fn heed(&mut self, record: &TicketRecord, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        let server = record.ticket.server.clone();
        let live = self.live(&server, now)?;
        let number = Some(record.ticket.number.0);
        let Some(incident) = live.incidents.iter().find(|i| i.ticket == number) else { return Ok(()) };
        if let Some(incident) = verdict::heed(incident, record) {
            self.put(incident, draft);
        }
        Ok(())
    }

    fn forget_targets(&mut self, agent: &AgentRecord) {
        let gone: Vec<(ServerId, Origin)> = self
            .servers
            .of_agent(&agent.agent)
            .flat_map(|record| record.targets.iter().map(|t| (record.id.clone(), t)))
            .filter(|(_, t)| t.agent == agent.agent && !agent.targets.contains(&t.target))
            .map(|(id, t)| (id, Origin { agent: t.agent.clone(), target: t.target.clone() }))
            .collect();
        for (server, origin) in gone {
            let Some(live) = self.live.get_mut(&server) else { continue };
            let is_host = live.window.contacts().any(|(o, c)| *o == origin && c.has_read(Section::Host));
            if !is_host {
                live.window.forget(&origin);
            }
        }
    }

    /// One server in memory, read from the store where it is not there yet.
    fn live(&mut self, server: &ServerId, now: Timestamp) -> Result<&mut Live, Error> {
        if !self.live.contains_key(server) {
            let mut live = Live::default();
            if let Some(record) = self.servers.get(server)
                && record.rev > 0
            {
                live.window = rebuild::window(&self.store, record, now, &self.config)?;
                live.window.wears(self.wears.recall(&self.store, server)?);
                let components = pages(|page| self.store.healths(Some(&Scope::Server(server.clone())), page))?;
                live.components = components
                    .into_iter()
                    .filter_map(|r| match r.scope {
                        Scope::Component(_, component) => Some((component, r.health)),
                        Scope::Site(_) | Scope::Server(_) => None,
                    })
                    .collect();
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
    fn wake(&mut self, now: Timestamp) -> Result<(), Error> {
        let asleep = self.servers.all().filter(|r| r.rev > 0 && !self.live.contains_key(&r.id));
        let ids: Vec<ServerId> = asleep.take(WAKE).map(|r| r.id.clone()).collect();
        for id in ids {
            self.live(&id, now)?;
        }
        Ok(())
    }

    fn row(
        &mut self,
        row: &LogRow,
        draft: &mut Draft,
        touched: &mut BTreeSet<ServerId>,
        known: &mut BTreeSet<(ServerId, String)>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let decoded = match decode_set(&row.body) {
            Ok(decoded) => decoded,
            Err(error) => {
                tracing::error!(row = row.id, agent = %row.agent, %error, "a body cannot be understood; it is kept apart");
                draft.applied.poison.push(Poison { row: row.id, error: error.to_string() });
                return Ok(());
            }
        };
        if let Some(first) = decoded.rejected.first() {
            let count = decoded.rejected.len();
            tracing::error!(row = row.id, agent = %row.agent, count, %first, "observations cannot be understood; the rest of the body is used");
            draft.applied.poison.push(Poison { row: row.id, error: format!("{count} observations: {first}") });
        }
        let set = decoded.set;
        let at = set.polled_at.min(row.received_at);
        let server = self.locate(row, &set, draft)?;
        self.observed.insert(row.agent.clone(), at);
        draft.applied.observed.push((row.agent.clone(), row.lane, at));
        let fresh = self.sort_out(&server, row, &set, draft, known)?;
        let config = self.config.clone();
        let hosted = (set.section == Section::Host).then(|| self.hosted(&row.agent, row.received_at));
        let origin = Origin { agent: row.agent.clone(), target: set.target.clone() };
        let cadence = self.agents.get(&row.agent).map(|a| a.sensor_interval);
        let wears = self.wears.clone();
        let live = self.live(&server, now)?;
        live.cadence = cadence.or(live.cadence);
        let word = live.sources.judged(&mut live.window, &origin, &set, row.received_at);
        // Of what is only a word, log entries are left out.
        let (set, fresh) = word.as_ref().map_or((&set, fresh.as_slice()), |word| (word, &[]));
        let renewed = wears.observe(&server, &live.window, set, row.received_at, now);
        live.window.renewed(&renewed);
        live.window.observe(&origin, set, row.received_at, fresh, &config);
        if let Some(hosted) = hosted {
            live.window.hosts(hosted);
        }
        self.judge(&server, draft, now)?;
        touched.insert(server);
        Ok(())
    }

    /// The server that a set belongs to.
    fn locate(&mut self, row: &LogRow, set: &ObservationSet, draft: &mut Draft) -> Result<ServerId, Error> {
        let target = AgentTarget { agent: row.agent.clone(), target: set.target.clone() };
        let site = match self.agents.get(&row.agent) {
            Some(agent) => agent.site.clone(),
            None => SiteId::new(row.agent.as_str())?,
        };
        let store = &self.store;
        let mut server = self.servers.saw(&target, &site, row.received_at, || {
            Ok::<_, Error>(ServerId::new(format!("srv-{}", store.reserve(Sequence::Server)?))?)
        })?;
        for observation in &set.observations {
            let Observation::Inventory(inventory) = observation else { continue };
            if let Some(found) = self.servers.identify(&target, &inventory.identity) {
                if let Some(merged) = found.merged {
                    tracing::info!(%merged, into = %found.server, "two targets are one server");
                    self.live.remove(&merged);
                    self.scores.remove(&merged);
                    self.wears.forget(&merged);
                }
                server = found.server;
            }
            if let Some(firmware) = Firmware::after(self.firmware.get(&server), inventory)
                && self.firmware.get(&server) != Some(&firmware)
            {
                draft.applied.firmware.push(BmcFirmware {
                    server: server.clone(),
                    model: firmware.model.clone(),
                    version: firmware.version.clone(),
                    since: firmware.since,
                });
                if let Some(since) = firmware.since {
                    self.wears.changed(&server, since);
                }
                self.firmware.insert(server.clone(), firmware);
            }
        }
        Ok(server)
    }

    /// Puts the observations where they are stored, and says of each log entry whether it is new.
    fn sort_out(
        &self,
        server: &ServerId,
        row: &LogRow,
        set: &ObservationSet,
        draft: &mut Draft,
        known: &mut BTreeSet<(ServerId, String)>,
    ) -> Result<Vec<bool>, Error> {
        let (mut readings, mut events, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
        for observation in &set.observations {
            match observation {
                Observation::Reading(reading) => readings.push(reading.clone()),
                Observation::Event(event) => events.push(event.clone()),
                Observation::Gap(gap) => gaps.push(gap.clone()),
                Observation::Inventory(inventory) => draft
                    .applied
                    .inventories
                    .push(ServerInventory { server: server.clone(), inventory: inventory.clone() }),
            }
        }
        let mut fresh = Vec::new();
        if !events.is_empty() {
            let stored = self.store.known_events(server, &events)?;
            fresh = events
                .iter()
                .zip(stored)
                .map(|(event, stored)| known.insert((server.clone(), event.natural_key())) && !stored)
                .collect();
        }
        let (server, received_at) = (server.clone(), row.received_at);
        if !readings.is_empty() {
            draft.applied.readings.push(ServerReadings { server: server.clone(), received_at, readings });
        }
        if !events.is_empty() {
            draft.applied.events.push(ServerEvents { server: server.clone(), received_at, events });
        }
        if !gaps.is_empty() {
            draft.applied.gaps.push(ServerGaps { server, gaps });
        }
        Ok(fresh)
    }

    fn hosted(&self, agent: &AgentId, at: Timestamp) -> Hosted {
        let record = self.agents.get(agent);
        Hosted {
            agent: agent.clone(),
            heard_at: record.map_or(at, |r| r.last_heard.max(at)),
            interval: record.map_or(Duration::from_secs(60), |r| r.sensor_interval),
        }
    }

    /// Runs the rules on one server; what changes of its incidents moves their tickets.
    fn judge(&mut self, server: &ServerId, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        let findings = self.found(server, now);
        let Some(live) = self.live.get_mut(server) else { return Ok(()) };
        for change in live.judge(server, findings, &self.config, now) {
            self.answer(change, draft, now)?;
        }
        Ok(())
    }

    /// Judges the servers that sent nothing for a while.
    fn judge_quiet(&mut self, draft: &mut Draft, now: Timestamp) -> Result<BTreeSet<ServerId>, Error> {
        let due = |live: &Live| live.judged_at.is_none_or(|at| now.since(at) >= JUDGE_AGAIN);
        let own = place_of_collector()?;
        let quiet: Vec<ServerId> =
            self.live.iter().filter(|(id, l)| due(l) && **id != own).map(|(id, _)| id.clone()).collect();
        for server in &quiet {
            let Some(live) = self.live.get_mut(server) else { continue };
            let agents: BTreeSet<AgentId> = live.window.contacts().map(|(o, _)| o.agent.clone()).collect();
            for agent in &agents {
                if let Some(at) = self.observed.get(agent) {
                    live.window.agent_observed(agent, *at);
                }
            }
            if let Some(hosted) = live.window.hosted().cloned()
                && let Some(record) = self.agents.get(&hosted.agent)
            {
                let heard_at = record.last_heard.max(hosted.heard_at);
                live.window.hosts(Hosted { heard_at, interval: record.sensor_interval, ..hosted });
            }
            self.judge(server, draft, now)?;
        }
        Ok(quiet.into_iter().collect())
    }

    /// Looks at what closed a day; the rules see it when they next judge.
    fn judge_wear(&mut self, now: Timestamp) -> Result<(), Error> {
        for (server, signs) in self.wears.judge(&self.store, self.servers.all(), &self.topology, now)? {
            if let Some(live) = self.live.get_mut(&server) {
                live.window.wears(signs);
            }
        }
        Ok(())
    }

    /// Scores the servers that were judged, and their sites.
    fn score(&mut self, touched: &BTreeSet<ServerId>, draft: &mut Draft, now: Timestamp) {
        let mut sites = BTreeSet::new();
        for id in touched {
            let (Some(live), Some(record)) = (self.live.get_mut(id), self.servers.get(id)) else { continue };
            let (changed, health) = live.score(id, &self.config, now);
            draft.applied.healths.extend(changed);
            let before = self.scores.get(id);
            let news = before.is_none_or(|b| !same(b, &health));
            if news || before.is_none_or(|b| b.newest_reading != health.newest_reading) {
                draft.applied.healths.push(HealthRecord { scope: Scope::Server(id.clone()), health: health.clone() });
                self.scores.insert(id.clone(), health);
            }
            if news || !self.sites.contains_key(&record.site) {
                sites.insert(record.site.clone());
            }
        }
        for site in sites {
            let of_site = self.servers.all().filter(|r| r.site == site);
            let healths: Vec<(ServerId, Health)> =
                of_site.filter_map(|r| Some((r.id.clone(), self.scores.get(&r.id)?.clone()))).collect();
            let health = score::site(&healths, now);
            draft.applied.healths.push(HealthRecord { scope: Scope::Site(site.clone()), health: health.clone() });
            self.sites.insert(site, health);
        }
    }
}

impl<S> std::fmt::Debug for Assessor<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assessor").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}
