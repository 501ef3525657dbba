//! The step: everything that is in memory, and what a run of rows or a tick does to it.

mod answer;
mod drill;
mod firmware;
mod fold;
mod intake;
mod own;
mod recall;
mod triage;

use super::Kept;
use super::disks::{Disks, Predicting, failed_disks};
use super::draft::{self, Draft};
use super::identity::Servers;
use super::live::{Live, same};
use super::own::{Vitals, place_of_collector};
use super::rebuild::pages;
use super::wear::Wears;
use super::{Error, Terms, verdict};
use crate::compat::Compatibility;
use crate::maintenance::Windows;
use crate::react;
use crate::thresholds::Overrides;
use crate::topology::Topology;
use firmware::Firmware;
use fold::{Hushing, Running};
use outband_health::rule::{self, Rule};
use outband_health::window::{Hosted, Origin};
use outband_health::{FoldingConfig, Health, Incident, IncidentKey, Names, RuleConfig, score};
use outband_schemas::{AgentId, Lane, Section, ServerId, SiteId, Timestamp};
use outband_store::drill::Drill;
use outband_store::{AgentRecord, HealthRecord, Page, Scope, StoreError, TicketFilter, TicketRecord};
use outband_ticket::{Policies, State, TicketNumber};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Rows a step.
const ROWS: usize = 256;
/// A server that sent nothing is judged again a quarter of its agent's interval after it should have, but no sooner and no later than this: silence and
/// staleness come with time alone, and are counted in intervals. Sooner, every healthy server would be judged twice a poll.
const JUDGE_AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(75));

/// The agents, with all that each polls, are read no more often than this; one that is not known yet, at once.
const READ_AGENTS: Duration = Duration::from_secs(1);

/// Who is due by time alone is asked of all servers, which is much when each agent's batch is a step: no more often than this.
const LOOK_ROUND: Duration = Duration::from_secs(1);

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    /// Whether watchers would see it.
    pub(super) changed: bool,
    /// Whether more rows may wait.
    pub(super) more: bool,
    /// Whether so many rows waited as a step takes at most.
    pub(super) full: bool,
}

/// Everything that is in memory.
pub(super) struct Assessor<S> {
    store: S,
    cursor: i64,
    /// Through which row readings are put away, where that is further than the cursor.
    ahead: i64,
    servers: Servers,
    /// Boxed: the nodes of a map are half empty.
    live: BTreeMap<ServerId, Box<Live>>,
    /// What sensors are called, and how they tell their states.
    names: Names,
    /// Incidents of servers that are not in `live` yet.
    waiting: BTreeMap<ServerId, Vec<Incident>>,
    /// Scores of servers, those not in `live` yet included.
    scores: BTreeMap<ServerId, Health>,
    sites: BTreeMap<SiteId, Health>,
    agents: BTreeMap<AgentId, AgentRecord>,
    /// When they were last read.
    agents_at: Option<Timestamp>,
    /// When all servers were last found in memory.
    awake_at: Option<Timestamp>,
    /// When all servers were last asked whether they are to be judged again; `None`: one of them is, at once.
    quiet_at: Option<Timestamp>,
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
    /// Who stands with whom.
    groups: triage::Groups,
    /// Parts that fit.
    compatibility: Arc<Compatibility>,
    disks: Disks,
    predicting: Option<Arc<Predicting>>,
}

impl<S: Kept> Assessor<S> {
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
        self.compatibility = terms.compatibility.clone();
        self.predicting = terms.disks.clone();
        if !self.store.erasures()?.is_empty() {
            // Everything that is in memory is read anew, without what is erased.
            return Err(StoreError::Conflict { what: "the servers of an erased customer".to_owned() }.into());
        }
        let mut draft = Draft::default();
        self.read_windows()?;
        self.read_thresholds()?;
        self.refresh(&mut draft, now)?;
        self.ahead = self.store.put_away_through()?;
        let mut rows = self.store.log_after(self.cursor, ROWS)?;
        let (came, through) = (rows.len(), rows.last().map(|row| row.id));
        rows.retain(|row| !row.assessed);
        // A failure of now does not wait for an hour that was spooled.
        rows.extend(self.store.urgent(ROWS)?.into_iter().filter(|row| through.is_some_and(|last| row.id > last)));
        let mut touched = BTreeSet::new();
        let mut known = BTreeSet::new();
        for row in &rows {
            self.row(row, &mut draft, &mut touched, &mut known, now)?;
            if row.lane == Lane::Event {
                draft.applied.urgent.insert((row.agent.clone(), row.spool_id), row.seq);
            }
        }
        draft.applied.through = through;
        draft.applied.servers = self.servers.take_changed();
        if came < ROWS {
            self.wake(now)?;
            self.judge_wear(now)?;
            self.judge_disks(now)?;
            touched.extend(self.judge_quiet(&mut draft, now)?);
        }
        self.exercise(&mut draft, now)?;
        self.judge_own(vitals, &mut draft, now)?;
        self.settle(&mut draft, now)?;
        self.triage_again(&mut draft, now)?;
        self.score(&touched, &mut draft, now);
        if draft.is_empty() {
            return Ok(Done { changed: false, more: false, full: false });
        }
        let done = Done { changed: draft.is_news(), more: came > 0, full: came >= ROWS };
        self.store.apply(draft.finish(), now)?;
        self.cursor = through.unwrap_or(self.cursor);
        Ok(done)
    }

    /// What rules find now of servers that are in memory.
    #[cfg(test)]
    pub(super) fn all_findings(&self) -> Vec<IncidentKey> {
        let of = |server: &ServerId, live: &Live| -> Vec<IncidentKey> {
            let key = |f: &outband_health::Finding| IncidentKey {
                server: server.clone(),
                component: f.component.clone(),
                fault: f.fault,
            };
            live.findings().iter().map(key).collect()
        };
        self.live.iter().flat_map(|(server, live)| of(server, live)).collect()
    }

    /// Agents as they are now.
    fn read_agents(&mut self, now: Timestamp) -> Result<(), Error> {
        self.agents_at = Some(now);
        for agent in self.store.agents()? {
            let before = self.agents.insert(agent.agent.clone(), agent.clone());
            if before.is_some_and(|b| b.targets != agent.targets) {
                self.forget_targets(&agent);
            }
        }
        Ok(())
    }

    /// Agents as they were a moment ago, and what people did to tickets since the last step.
    fn refresh(&mut self, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        if self.agents_at.is_none_or(|at| now < at || now.since(at) >= READ_AGENTS) {
            self.read_agents(now)?;
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
        if is_recent(self.quiet_at, now) {
            return Ok(BTreeSet::new());
        }
        self.quiet_at = Some(now);
        let again = |live: &Live| {
            live.cadence.map_or(JUDGE_AGAIN.0, |every| (every * 5 / 4).clamp(JUDGE_AGAIN.0, JUDGE_AGAIN.1))
        };
        let due = |live: &Live| live.judged_at.is_none_or(|at| now.since(at) >= again(live));
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
            // Those of a step are scored next, and stay unpacked until then; of all servers that would be too much.
            if quiet.len() > ROWS
                && let Some(live) = self.live.get_mut(server)
            {
                live.rest(&self.names);
            }
        }
        Ok(quiet.into_iter().collect())
    }

    /// Looks at what closed a day; the rules see it when they next judge.
    fn judge_wear(&mut self, now: Timestamp) -> Result<(), Error> {
        for (server, signs) in self.wears.judge(&self.store, self.servers.all(), &self.topology, now)? {
            if let Some(live) = self.live.get_mut(&server) {
                live.window.wears(signs);
            }
            self.tell(&server);
        }
        Ok(())
    }

    /// Has the disk model judge what was read of drives on the day before; the rules see at once what it says, and when drives are used up.
    fn judge_disks(&mut self, now: Timestamp) -> Result<(), Error> {
        let failed = || self.live.values().flat_map(|live| failed_disks(&live.incidents)).collect();
        let mut servers = self.disks.foresee(&self.store, now)?;
        servers.extend(self.disks.judge(&self.store, self.predicting.as_deref(), failed, now)?);
        for server in servers {
            self.tell(&server);
            if let Some(live) = self.live.get_mut(&server) {
                live.judged_at = None;
                self.quiet_at = None;
            }
        }
        Ok(())
    }

    /// Tells a server's window what is said and foreseen of its parts.
    fn tell(&mut self, server: &ServerId) {
        let outlooks = self.outlooks(server);
        if let Some(live) = self.live.get_mut(server) {
            live.window.judged(self.disks.said(server));
            live.window.foresees(outlooks);
        }
    }

    /// Scores the servers that were judged, and their sites.
    fn score(&mut self, touched: &BTreeSet<ServerId>, draft: &mut Draft, now: Timestamp) {
        let mut sites = BTreeSet::new();
        for id in touched {
            let (Some(live), Some(record)) = (self.live.get_mut(id), self.servers.get(id)) else { continue };
            let (changed, health) = live.score(id, &self.config, now);
            live.rest(&self.names);
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

/// Whether all servers were asked a moment ago. A clock that was set back asks again.
fn is_recent(asked: Option<Timestamp>, now: Timestamp) -> bool {
    asked.is_some_and(|at| at <= now && now.since(at) < LOOK_ROUND)
}

impl<S> std::fmt::Debug for Assessor<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assessor").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}
