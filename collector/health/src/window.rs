//! What rules look at: bounded features of one server's readings and log, made as they come.
//!
//! A window is fed in the order in which a target's bodies come, which is the order in which they were observed, even when the agent's
//! clock steps: a reading that seems older than its series is taken for the next one.

mod contact;
mod event;
mod fan;
mod place;
mod series;

pub use contact::{Contact, Origin};
pub use event::EventNote;
pub use fan::FanTrack;
pub use place::Place;
pub use series::{Counter, Gauge, Series, SeriesKey, Step, Switch, Track, Via};

use crate::drift::Sign;
use crate::model::Said;
use crate::outlook::Outlook;
use crate::{Fault, Names, Packed, SortedMap, config::RuleConfig};
use outband_schemas::{
    AgentId, ComponentClass, ComponentId, Gap, Lane, LogEvent, Observation, ObservationSet, Part, Reading, Section,
    SensorKind, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Everything that rules know of one server.
#[derive(Debug, Clone, Default)]
pub struct Window {
    polled: Packed<Polled>,
    /// The latest poll of any target of each agent (the agent's clock).
    agents: SortedMap<AgentId, Timestamp>,
    hosted: Option<Hosted>,
    newest: Option<Timestamp>,
    newest_readings: Option<Timestamp>,
    signs: Vec<Sign>,
    drives: SortedMap<ComponentId, Said>,
    outlooks: Vec<Outlook>,
    names: Names,
}

/// What polls come to, packed between them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Polled {
    places: SortedMap<ComponentId, Place>,
    contacts: SortedMap<Origin, Contact>,
}

/// The agent that runs on this server, and when it was last heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosted {
    /// The agent.
    pub agent: AgentId,
    /// When it was last heard (the collector's clock).
    pub heard_at: Timestamp,
    /// How often it polls sensors.
    pub interval: Duration,
}

impl Window {
    /// An empty one whose sensors' names are shared with those of other servers.
    pub fn sharing(names: &Names) -> Self {
        Self { names: names.clone(), ..Self::default() }
    }

    /// Packs what polls came to until somebody looks at it.
    pub fn rest(&mut self) {
        self.polled.rest(&self.names);
    }

    /// Takes in one poll of one section. `fresh` says of each log entry, in order, whether it is new to this server; entries
    /// that are missing there count as new. `received_at` bounds the agent's clock: nothing was observed after it came.
    pub fn observe(
        &mut self,
        origin: &Origin,
        set: &ObservationSet,
        received_at: Timestamp,
        fresh: &[bool],
        config: &RuleConfig,
    ) {
        let polled_at = set.polled_at.min(received_at);
        let mut got = 0_usize;
        let mut failed: Option<&Gap> = None;
        let mut entries = Vec::new();
        let mut via = None;
        for observation in &set.observations {
            match observation {
                Observation::Reading(reading) => {
                    self.read(set.section, reading, received_at);
                    via.get_or_insert(Via::of(&reading.source));
                    got += usize::from(reading.value.is_some());
                }
                Observation::Event(event) => {
                    entries.push(event);
                    got += 1;
                }
                Observation::Inventory(inventory) => {
                    for part in &inventory.parts {
                        self.install(part, inventory.observed_at.min(received_at));
                    }
                    got += 1;
                }
                Observation::Gap(gap) => {
                    let whole = gap.component.as_ref().is_none_or(|c| c.class() == ComponentClass::Bmc);
                    if whole && gap.span.is_none() {
                        failed = Some(gap);
                    }
                }
            }
        }
        let contact = self.polled.contacts.or_default(origin);
        let first_log = set.section == Section::Log && contact.is_first(Section::Log, polled_at);
        contact.heard(received_at);
        // An empty log poll without a gap is a good one: there was nothing new.
        match failed {
            Some(gap) if got == 0 => contact.failed(set.section, polled_at, gap),
            _ => contact.succeeded(set.section, polled_at),
        }
        let horizon = config.event.history_secs;
        for (event, fresh) in entries.into_iter().zip(fresh.iter().copied().chain(std::iter::repeat(true))) {
            if fresh {
                self.note(event, received_at, first_log.then(|| Duration::from_secs(horizon)));
            }
        }
        if let Some(via) = via.filter(|_| set.section == Section::Sensors) {
            fan::close_poll(&mut self.polled.places, via, polled_at, config);
        }
        self.newest = self.newest.max(Some(polled_at));
        if set.section.lane() == Lane::Telemetry {
            self.newest_readings = self.newest_readings.max(Some(polled_at));
        }
        self.agent_observed(&origin.agent, polled_at);
    }

    /// Notes that the BMC's log was read before this window began, so that its entries are not history.
    pub fn log_was_read(&mut self, origin: &Origin, at: Timestamp) {
        self.polled.contacts.or_default(origin).succeeded(Section::Log, at);
    }

    /// Takes in a log entry of the past, as the store kept it.
    pub fn recall(&mut self, event: &LogEvent, received_at: Timestamp) {
        self.note(event, received_at, None);
    }

    /// Takes in readings of the past, oldest first, as the store kept them. A poll ends where a sensor comes again.
    pub fn replay(&mut self, readings: &[Reading], config: &RuleConfig) {
        let mut seen: BTreeSet<(&ComponentId, SensorKind, &str, Via)> = BTreeSet::new();
        let mut begun: Option<Timestamp> = None;
        for reading in readings {
            let via = Via::of(&reading.source);
            let key = (&reading.component, reading.kind, reading.sensor.as_str(), via);
            if !seen.insert(key) {
                self.close_polls(begun, config);
                seen = BTreeSet::from([key]);
                begun = None;
            }
            begun = Some(begun.map_or(reading.observed_at, |t| t.min(reading.observed_at)));
            self.read(section_of(reading.component.class()), reading, reading.observed_at);
        }
        self.close_polls(begun, config);
        self.newest_readings = self.newest_readings.max(readings.iter().map(|r| r.observed_at).max());
        self.newest = self.newest.max(self.newest_readings);
    }

    fn close_polls(&mut self, begun: Option<Timestamp>, config: &RuleConfig) {
        let Some(begun) = begun else { return };
        for via in [Via::Ipmi, Via::Redfish] {
            fan::close_poll(&mut self.polled.places, via, begun, config);
        }
    }

    /// Sets a sensor's limits, as the newest stored reading has them.
    pub fn limit(&mut self, reading: &Reading) {
        if let Some(place) = self.polled.places.get_mut(&reading.component) {
            place.limit(reading);
        }
    }

    /// Takes in the part that is in a place, as the store kept it.
    pub fn place_part(&mut self, part: &Part, at: Timestamp) {
        self.install(part, at);
    }

    /// Notes the latest poll of any target of an agent (the agent's clock): what a silent target is measured against. Not the
    /// greatest: a clock may step back.
    pub fn agent_observed(&mut self, agent: &AgentId, at: Timestamp) {
        self.agents.insert(agent.clone(), at);
    }

    /// Notes that an agent runs on this server.
    pub fn hosts(&mut self, hosted: Hosted) {
        self.hosted = Some(hosted);
    }

    /// Forgets a target that its agent no longer polls, and every reading: those of other targets come again with their next
    /// poll.
    pub fn forget(&mut self, origin: &Origin) {
        if self.polled.contacts.remove(origin).is_none() {
            return;
        }
        for place in self.polled.places.values_mut() {
            place.forget_readings();
        }
        self.polled.places.retain(|_, place| !place.is_empty());
        let agents: BTreeSet<AgentId> = self.polled.contacts.keys().map(|o| o.agent.clone()).collect();
        self.agents.retain(|agent, _| agents.contains(agent));
    }

    fn read(&mut self, section: Section, reading: &Reading, received_at: Timestamp) {
        let place = self.polled.places.or_default(&reading.component);
        place.read(section, reading, reading.observed_at.min(received_at), &self.names);
    }

    fn install(&mut self, part: &Part, at: Timestamp) {
        if let Some(serial) = part.serial.as_deref().map(str::trim).filter(|s| !s.is_empty()) {
            self.polled.places.or_default(&part.component).install(serial, at);
        }
    }

    fn note(&mut self, event: &LogEvent, received_at: Timestamp, history: Option<Duration>) {
        let place = self.polled.places.or_default(&event.component);
        if let Some(note) = EventNote::of(event, received_at, history) {
            place.note(note);
        }
    }

    /// Sets what wears, as it was when a day last closed.
    pub fn wears(&mut self, signs: Vec<Sign>) {
        self.signs = signs;
    }

    /// Sets what is foreseen, as it was when a day last closed.
    pub fn foresees(&mut self, outlooks: Vec<Outlook>) {
        self.outlooks = outlooks;
    }

    /// Other parts are in these places: what wore is gone, and what was foreseen of it.
    pub fn renewed(&mut self, places: &[ComponentId]) {
        self.signs.retain(|sign| !places.contains(&sign.component));
        self.outlooks.retain(|outlook| !places.contains(&outlook.component));
    }

    /// Sets what the disk model says of the drives.
    pub fn judged(&mut self, drives: BTreeMap<ComponentId, Said>) {
        self.drives = drives.into_iter().collect();
    }

    /// What the disk model says of the drives.
    pub fn drives(&self) -> impl Iterator<Item = (&ComponentId, &Said)> {
        self.drives.iter()
    }

    /// What the disk model says of the drive in a place.
    pub fn said_of(&self, component: &ComponentId) -> Option<&Said> {
        self.drives.get(component)
    }

    /// What wears.
    pub fn signs(&self) -> &[Sign] {
        &self.signs
    }

    /// What is foreseen.
    pub fn outlooks(&self) -> &[Outlook] {
        &self.outlooks
    }

    /// Every place, by class and slot.
    pub fn places(&self) -> impl Iterator<Item = (&ComponentId, &Place)> {
        self.polled.places.iter()
    }

    /// The places of a class.
    pub fn of_class(&self, class: ComponentClass) -> impl Iterator<Item = (&ComponentId, &Place)> {
        self.polled.places.iter().filter(move |(component, _)| component.class() == class)
    }

    /// One place.
    pub fn place(&self, component: &ComponentId) -> Option<&Place> {
        self.polled.places.get(component)
    }

    /// The targets and how they answer.
    pub fn contacts(&self) -> impl Iterator<Item = (&Origin, &Contact)> {
        self.polled.contacts.iter()
    }

    /// The newest poll of any target of an agent.
    pub fn agent_newest(&self, agent: &AgentId) -> Option<Timestamp> {
        self.agents.get(agent).copied()
    }

    /// The agent that runs on this server.
    pub fn hosted(&self) -> Option<&Hosted> {
        self.hosted.as_ref()
    }

    /// When the newest poll was made (the agent's clock).
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// When the newest poll of readings was made (the agent's clock). Logs and inventory have a lane of their own, in which they overtake a
    /// backlog of readings.
    pub fn newest_readings(&self) -> Option<Timestamp> {
        self.newest_readings
    }

    /// The newest moment at which something was seen that could have shown `fault` at `component`: the oldest of the newest
    /// values of all series that vouch for it; without any, the newest read of a log; for a silent BMC or agent, the newest
    /// answer. `None`: never. This is what a clean poll is measured by, so that absence is never recovery.
    pub fn vouched(&self, component: &ComponentId, fault: Fault) -> Option<Timestamp> {
        match fault {
            Fault::BmcSilent => {
                let target = |o: &Origin| o.target.as_str() == component.slot();
                self.polled.contacts.iter().filter(|(o, _)| target(o)).filter_map(|(_, c)| c.newest_ok()).max()
            }
            Fault::AgentSilent => {
                self.hosted.iter().filter(|h| h.agent.as_str() == component.slot()).map(|h| h.heard_at).max()
            }
            _ => {
                let place = self.polled.places.get(component);
                let series = place.into_iter().flat_map(Place::series);
                let vouching = series.filter(|(key, _)| vouches(fault, key.kind)).map(|(_, s)| s.newest());
                match vouching.min() {
                    Some(newest) => newest,
                    None => self.polled.contacts.values().filter_map(|c| c.newest_ok_of(Section::Log)).max(),
                }
            }
        }
    }
}

/// The section with which places of a class are read, where only the class is known.
fn section_of(class: ComponentClass) -> Section {
    match class {
        ComponentClass::Disk => Section::Drives,
        ComponentClass::Agent => Section::Host,
        _ => Section::Sensors,
    }
}

/// Whether a reading of this kind could show the fault.
fn vouches(fault: Fault, kind: SensorKind) -> bool {
    use SensorKind as K;
    match fault {
        Fault::DiskFailure => {
            matches!(kind, K::State | K::FailurePredicted | K::CriticalWarning | K::ReallocatedSectors | K::MediaErrors)
        }
        Fault::DiskWear => matches!(kind, K::LifeLeft),
        Fault::FanFailure => matches!(kind, K::State | K::FanSpeed),
        Fault::PsuFailure | Fault::PowerInputLost => matches!(kind, K::State | K::InputVoltage),
        Fault::Overheating => matches!(kind, K::Temperature),
        Fault::VoltageOutOfRange => matches!(kind, K::Voltage),
        Fault::MemoryErrors => matches!(kind, K::State | K::CorrectableErrors | K::UncorrectableErrors),
        Fault::RedundancyLost | Fault::ProcessorErrors | Fault::ComponentFailure => matches!(kind, K::State),
        Fault::BusErrors
        | Fault::EventBurst
        | Fault::BmcSilent
        | Fault::AgentSilent
        | Fault::PowerFeedLost
        | Fault::CoolingLost
        | Fault::RackSilent
        | Fault::FeedSilent
        | Fault::AgentBlind
        | Fault::FirmwareWave
        | Fault::ClockStepped
        | Fault::StoreNearlyFull
        | Fault::StoreDamaged
        | Fault::NoticesStuck
        | Fault::AgentUnreadable => false,
    }
}

#[cfg(test)]
mod tests;
