//! One server in memory: its window, its incidents, its scores.

use super::source::Sources;
use super::synthetic::is_drill;
use outband_health::score::{self, Seen};
use outband_health::window::{Contact, Place};
use outband_health::{
    Evaluation, Fault, Finding, Health, Incident, IncidentChange, Names, Packed, Past, RuleConfig, SortedMap, Stage,
    Status, Watched, What, Window, reconcile,
};
use outband_schemas::{ComponentClass, ComponentId, Section, ServerId, Timestamp};
use outband_store::{HealthRecord, Scope};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// One server in memory.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) window: Window,
    pub(super) sources: Sources,
    pub(super) incidents: Vec<Incident>,
    pub(super) components: Packed<SortedMap<ComponentId, Health>>,
    findings: Vec<Finding>,
    /// Incidents that ended a short while ago.
    pub(super) past: BTreeMap<(ComponentId, Fault), Past>,
    /// How often its agent polls sensors.
    pub(super) cadence: Option<Duration>,
    /// When it was last judged (the collector's clock).
    pub(super) judged_at: Option<Timestamp>,
}

/// What a person ended, or a new part, is remembered for so long: what was known of it then opens nothing again. Rules forget in less.
pub(super) const REMEMBERED: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long a section may be silent before its readings are stale, where its cadence is not known yet.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How many times as long as usual a sensor that is read in turn may be silent.
const IN_TURN: u32 = 4;

impl Live {
    /// Packs what nobody looks at until the server is judged again.
    pub(super) fn rest(&mut self, names: &Names) {
        self.window.rest();
        self.components.rest(names);
    }

    /// Answers what the findings of the rules change of the incidents; they are taken over.
    pub(super) fn judge(
        &mut self,
        server: &ServerId,
        findings: Vec<Finding>,
        config: &RuleConfig,
        now: Timestamp,
    ) -> Vec<IncidentChange> {
        self.findings = findings;
        self.judged_at = Some(now);
        self.forget_past(config, now);
        let limit = Duration::from_secs(config.incident.backlog_secs);
        let caught_up =
            self.window.newest_readings().is_none_or(|newest| now.since(newest) <= limit) || self.is_silent();
        // What is said for an exercise is no rule's.
        let ours: Cow<'_, [Incident]> = match self.incidents.iter().any(is_drill) {
            true => self.incidents.iter().filter(|i| !is_drill(i)).cloned().collect::<Vec<_>>().into(),
            false => self.incidents.as_slice().into(),
        };
        let findings = self.findings.clone();
        let mut evaluation =
            Evaluation::of(server.clone(), &self.window, findings, &ours, caught_up, Some(now.minus(limit)));
        evaluation.past.clone_from(&self.past);
        let changes = reconcile(&ours, &evaluation, &config.incident, now);
        for change in &changes {
            self.take(change);
        }
        changes
    }

    /// Answers what findings change that rest on no reading: what was looked at is everything, now.
    pub(super) fn judge_own(
        &mut self,
        server: &ServerId,
        findings: Vec<Finding>,
        config: &RuleConfig,
        now: Timestamp,
    ) -> Vec<IncidentChange> {
        self.findings = findings;
        self.judged_at = Some(now);
        self.forget_past(config, now);
        let seen = Watched { vouched: Some(now), serial: None };
        let watched = self.incidents.iter().map(|i| ((i.key.component.clone(), i.key.fault), seen.clone()));
        let evaluation = Evaluation {
            server: server.clone(),
            findings: self.findings.clone(),
            watched: watched.collect(),
            caught_up: true,
            past: self.past.clone(),
            fresh_since: None,
        };
        let changes = reconcile(&self.incidents, &evaluation, &config.incident, now);
        for change in &changes {
            self.take(change);
        }
        changes
    }

    /// Remembers an incident that ended before this was in memory.
    pub(super) fn recall(&mut self, incident: &Incident) {
        if let Stage::Ended { at } = incident.stage {
            let past = Past { ended_at: at, ticket: incident.ticket, returns: incident.returns.clone() };
            self.past.insert((incident.key.component.clone(), incident.key.fault), past);
        }
    }

    /// Forgets what ended too long ago to matter.
    fn forget_past(&mut self, config: &RuleConfig, now: Timestamp) {
        let flap = Duration::from_secs(config.incident.flap_secs);
        let long = |fault: Fault| if fault.clears_itself() { flap } else { flap.max(REMEMBERED) };
        self.past.retain(|(_, fault), past| now.since(past.ended_at) <= long(*fault));
    }

    /// What rules found when it was last judged.
    #[cfg(test)]
    pub(super) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// When what a rule found was last seen to hold.
    pub(super) fn shown_at(&self, component: &ComponentId, fault: Fault) -> Option<Timestamp> {
        self.findings.iter().filter(|f| f.component == *component && f.fault == fault).map(|f| f.newest).max()
    }

    /// Whether a rule found this when it was last judged.
    pub(super) fn finds(&self, component: &ComponentId, fault: Fault) -> bool {
        self.findings.iter().any(|f| f.component == *component && f.fault == fault)
    }

    /// Silence is not a backlog, however long it lasts.
    fn is_silent(&self) -> bool {
        self.findings.iter().any(|f| f.fault == Fault::AgentSilent)
    }

    /// Takes over an incident as it is now.
    pub(super) fn take(&mut self, change: &IncidentChange) {
        let incident = &change.incident;
        self.recall(incident);
        let gone = change.what == What::Dropped || matches!(incident.stage, Stage::Ended { .. });
        match self.incidents.iter().position(|i| i.key == incident.key) {
            Some(at) if gone => {
                self.incidents.remove(at);
            }
            Some(at) => self.incidents[at] = incident.clone(),
            None if gone => {}
            None => self.incidents.push(incident.clone()),
        }
    }

    /// The scores of the server and its components now; of the components only those that changed.
    pub(super) fn score(
        &mut self,
        server: &ServerId,
        config: &RuleConfig,
        now: Timestamp,
    ) -> (Vec<HealthRecord>, Health) {
        // What is not there, and what is no part, has no health.
        let places = self.window.places().filter(|(component, place)| {
            !place.is_absent() && component.class() != ComponentClass::Firmware && place.series().next().is_some()
        });
        let mut scored: BTreeMap<&ComponentId, Health> = BTreeMap::new();
        for (component, place) in places {
            let findings: Vec<&Finding> = self.findings.iter().filter(|f| f.component == *component).collect();
            scored.insert(component, score::component(component, &findings, self.seen(place, config, now), now));
        }
        let unseen = Seen { newest: None, stale: false };
        // A BMC or an agent that is silent has no readings of its own.
        for finding in &self.findings {
            if !scored.contains_key(&finding.component) {
                let findings: Vec<&Finding> =
                    self.findings.iter().filter(|f| f.component == finding.component).collect();
                scored.insert(&finding.component, score::component(&finding.component, &findings, unseen, now));
            }
        }
        // What was scored and is gone: nothing is known of it any more.
        let gone: Vec<ComponentId> =
            self.components.keys().filter(|component| !scored.contains_key(component)).cloned().collect();
        // Little of it is written: what is only looked at need not be packed again.
        let is_left = |component: &ComponentId, before: &Health| {
            before.status != Status::Unknown || scored.contains_key(component)
        };
        if gone.iter().any(|component| self.components.get(component).is_some_and(|b| !is_left(component, b))) {
            self.components.retain(|component, before| is_left(component, before));
        }
        let left = gone.iter().filter(|component| self.components.contains_key(component));
        let left: Vec<&ComponentId> = left.collect();
        scored.extend(left.into_iter().map(|component| (component, score::component(component, &[], unseen, now))));
        let mut changed = Vec::new();
        for (component, health) in scored {
            if self.components.get(component).is_none_or(|before| !same(before, &health)) {
                let scope = Scope::Component(server.clone(), component.clone());
                changed.push(HealthRecord { scope, health: health.clone() });
                self.components.insert(component.clone(), health);
            }
        }
        let total: Vec<Health> = self.components.values().cloned().collect();
        let newest = self.window.places().filter_map(|(_, place)| place.newest()).max();
        let stale = newest.is_some_and(|newest| self.is_old(newest, Section::Sensors, None, config, now));
        (changed, score::server(&total, Seen { newest, stale }, now))
    }

    /// Whether a reading of a section is too old by the cadence of every target. One whose last two readings lay further apart (`rhythm`) is read in turn
    /// with others, and given more time, up to [`IN_TURN`] times as much; so is one that was read only once (`Some(None)`).
    fn is_old(
        &self,
        newest: Timestamp,
        section: Section,
        rhythm: Option<Option<Duration>>,
        config: &RuleConfig,
        now: Timestamp,
    ) -> bool {
        let least = Duration::from_secs(config.silence.at_least_secs);
        let patience = |contact: &Contact| {
            // An agent's own host is read in a rhythm of its own, which is not that of BMCs' sensors.
            let section = if contact.has_read(Section::Host) { Section::Host } else { section };
            let sensors = section == Section::Sensors;
            match contact.interval(section).or(self.cadence.filter(|_| sensors)) {
                Some(every) => {
                    let usual = every.saturating_mul(config.silence.stale_polls).max(least);
                    let most = usual.saturating_mul(IN_TURN);
                    let own = rhythm.map(|r| r.map_or(most, |r| r.saturating_mul(3).min(most)));
                    own.map_or(usual, |own| own.max(usual))
                }
                None => PATIENCE,
            }
        };
        self.window.contacts().all(|(_, contact)| now.since(newest) > patience(contact))
    }

    fn seen(&self, place: &Place, config: &RuleConfig, now: Timestamp) -> Seen {
        let newest = place.series().filter_map(|(_, s)| Some((s.newest()?, s.section, s.rhythm()))).max();
        let stale = newest.is_some_and(|(at, section, rhythm)| self.is_old(at, section, Some(rhythm), config, now));
        Seen { newest: newest.map(|(at, ..)| at), stale }
    }
}

/// Whether two scores say the same; when they were made does not matter.
pub(super) fn same(a: &Health, b: &Health) -> bool {
    (a.score, a.status, &a.penalties) == (b.score, b.status, &b.penalties)
}
