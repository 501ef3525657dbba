//! One row of the ingest log: what it holds, which server it is of, where each of its observations is stored.

use super::{Assessor, Firmware};
use crate::assess::draft::Draft;
use crate::assess::{Error, Kept};
use outband_health::window::{Hosted, Origin};
use outband_proto::convert::decode_set;
use outband_schemas::{
    AgentId, LogEvent, Observation, ObservationSet, Section, SensorKind, ServerId, SiteId, Timestamp,
};
use outband_store::recall::BmcFirmware;
use outband_store::{AgentTarget, LogRow, Poison, Sequence, ServerEvents, ServerGaps, ServerInventory, ServerReadings};
use std::collections::BTreeSet;
use std::time::Duration;

/// Why a body whose checksum is wrong is kept apart.
const SPOILT: &str = "its bytes changed on the collector's disk after they were acknowledged";

impl<S: Kept> Assessor<S> {
    pub(super) fn row(
        &mut self,
        row: &LogRow,
        draft: &mut Draft,
        touched: &mut BTreeSet<ServerId>,
        known: &mut BTreeSet<(ServerId, String)>,
        now: Timestamp,
    ) -> Result<(), Error> {
        if row.damaged {
            tracing::error!(row = row.id, agent = %row.agent, "a body is not what was acknowledged; it is kept apart");
            draft.applied.poison.push(Poison { row: row.id, error: SPOILT.to_owned() });
            return Ok(());
        }
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
        let whole = decoded.set;
        let set = &whole;
        let at = set.polled_at.min(row.received_at);
        if !self.agents.contains_key(&row.agent) {
            self.read_agents(now)?;
        }
        let server = self.locate(row, set, draft)?;
        self.observed.insert(row.agent.clone(), at);
        draft.applied.observed.push((row.agent.clone(), row.lane, at));
        let fresh = self.fresh(&server, set, known)?;
        let config = self.config.clone();
        let hosted = (set.section == Section::Host).then(|| self.hosted(&row.agent, row.received_at));
        let origin = Origin { agent: row.agent.clone(), target: set.target.clone() };
        let cadence = self.agents.get(&row.agent).map(|a| a.sensor_interval);
        let (wears, disks) = (self.wears.clone(), self.disks.clone());
        let live = self.live(&server, now)?;
        live.cadence = cadence.or(live.cadence);
        let word = live.sources.judged(&mut live.window, &origin, set, row.received_at);
        // Of what is only a word, log entries are left out.
        let (set, fresh) = word.as_ref().map_or((set, fresh.as_slice()), |word| (word, &[]));
        let renewed = wears.observe(&server, &live.window, set, row.received_at, now);
        live.window.renewed(&renewed);
        live.window.observe(&origin, set, row.received_at, fresh, &config);
        let moved = disks.observe(&server, &live.incidents, set, row.received_at);
        if let Some(hosted) = hosted {
            live.window.hosts(hosted);
        }
        for other in &moved {
            self.tell(other);
        }
        self.disks.keep_moved(&self.store)?;
        if !renewed.is_empty() {
            self.wears.keep(&self.store, &server)?;
        }
        self.judge(&server, draft, now)?;
        put_away(&server, row, whole, row.id <= self.ahead, draft);
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
                    self.disks.merge(&merged, &found.server);
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

    /// Whether each log entry of a set is new.
    fn fresh(
        &self,
        server: &ServerId,
        set: &ObservationSet,
        known: &mut BTreeSet<(ServerId, String)>,
    ) -> Result<Vec<bool>, Error> {
        let entry = |o: &Observation| match o {
            Observation::Event(event) => Some(event.clone()),
            Observation::Reading(_) | Observation::Gap(_) | Observation::Inventory(_) => None,
        };
        let events: Vec<LogEvent> = set.observations.iter().filter_map(entry).collect();
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let stored = self.store.known_events(server, &events)?;
        let is_new =
            |(event, stored): (&LogEvent, bool)| known.insert((server.clone(), event.natural_key())) && !stored;
        Ok(events.iter().zip(stored).map(is_new).collect())
    }

    pub(super) fn hosted(&self, agent: &AgentId, at: Timestamp) -> Hosted {
        let record = self.agents.get(agent);
        Hosted {
            agent: agent.clone(),
            heard_at: record.map_or(at, |r| r.last_heard.max(at)),
            interval: record.map_or(Duration::from_secs(60), |r| r.sensor_interval),
        }
    }
}

/// Puts the observations where they are stored. Of a row whose readings are put away already, only those are that stand elsewhere as well.
fn put_away(server: &ServerId, row: &LogRow, set: ObservationSet, is_done: bool, draft: &mut Draft) {
    let (mut readings, mut events, mut gaps) = (Vec::with_capacity(set.observations.len()), Vec::new(), Vec::new());
    for observation in set.observations {
        match observation {
            Observation::Reading(reading) if is_done && reading.kind != SensorKind::PowerOnHours => {}
            Observation::Reading(reading) => readings.push(reading),
            Observation::Event(event) => events.push(event),
            Observation::Gap(gap) => gaps.push(gap),
            Observation::Inventory(inventory) => {
                draft.applied.inventories.push(ServerInventory { server: server.clone(), inventory });
            }
        }
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
}
