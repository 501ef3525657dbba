//! From findings to incidents: a pure, deterministic, idempotent step. The same evaluation a second time changes nothing.

use super::{Incident, IncidentChange, IncidentKey, Stage, What};
use crate::config::{IncidentConfig, Sightings};
use crate::{Evidence, Fault, Finding, Window};
use outband_schemas::{ComponentId, ServerId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What rules found on one server, and what was seen there at all.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The server.
    pub server: ServerId,
    /// What rules found.
    pub findings: Vec<Finding>,
    /// For each open incident: what was seen where it is. Absence is never recovery.
    pub watched: BTreeMap<(ComponentId, Fault), Watched>,
    /// Whether the newest reading is of now. Backlog adds evidence; it opens nothing and ends nothing.
    pub caught_up: bool,
    /// Incidents that ended a while ago: what comes back soon is the same trouble, and what was known then opens nothing that cannot end by itself.
    pub past: BTreeMap<(ComponentId, Fault), Past>,
    /// What was observed since then is of now even while readings of the past are still coming: log entries overtake them.
    pub fresh_since: Option<Timestamp>,
}

/// What is remembered of an incident that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// When it ended (the collector's clock).
    pub ended_at: Timestamp,
    /// Its ticket, if it had one.
    pub ticket: Option<u64>,
    /// When it had come back before.
    pub returns: Vec<Timestamp>,
}

/// What was seen where an incident is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched {
    /// The newest moment at which something was seen that could have shown the fault.
    pub vouched: Option<Timestamp>,
    /// The serial of the part that is there now.
    pub serial: Option<String>,
}

impl Evaluation {
    /// What rules found in a window, and what was seen where its open incidents are.
    pub fn of(
        server: ServerId,
        window: &Window,
        findings: Vec<Finding>,
        open: &[Incident],
        caught_up: bool,
        fresh_since: Option<Timestamp>,
    ) -> Self {
        let watched = open
            .iter()
            .map(|incident| {
                let (component, fault) = (&incident.key.component, incident.key.fault);
                let serial = window.place(component).and_then(|p| p.serial()).map(str::to_owned);
                ((component.clone(), fault), Watched { vouched: window.vouched(component, fault), serial })
            })
            .collect();
        Self { server, findings, watched, caught_up, past: BTreeMap::new(), fresh_since }
    }
}

/// How much evidence an incident keeps: the first ones, and the newest.
const FIRST: usize = 8;
const NEWEST: usize = 24;

/// What the evaluation changes at `now` (the collector's clock), in the order of the keys. `open` are the incidents of that
/// server that have not ended.
pub fn reconcile(
    open: &[Incident],
    evaluation: &Evaluation,
    config: &IncidentConfig,
    now: Timestamp,
) -> Vec<IncidentChange> {
    let mut groups: BTreeMap<(ComponentId, Fault), Vec<&Finding>> = BTreeMap::new();
    for finding in &evaluation.findings {
        groups.entry((finding.component.clone(), finding.fault)).or_default().push(finding);
    }
    let live = |incident: &&Incident| !matches!(incident.stage, Stage::Ended { .. });
    let known: BTreeMap<(ComponentId, Fault), &Incident> =
        open.iter().filter(live).map(|i| ((i.key.component.clone(), i.key.fault), i)).collect();
    let keys: BTreeSet<&(ComponentId, Fault)> = groups.keys().chain(known.keys()).collect();
    let nothing = Watched::default();
    keys.into_iter()
        .filter_map(|key| {
            let group = groups.get(key).map(Vec::as_slice).unwrap_or_default();
            let watched = evaluation.watched.get(key).unwrap_or(&nothing);
            let Evaluation { caught_up, fresh_since, .. } = *evaluation;
            let past = evaluation.past.get(key);
            let step = Step { config, now, caught_up, fresh_since, watched, past };
            match (known.get(key), group.split_first()) {
                (Some(incident), _) => step.known(incident, group),
                (None, Some(_)) if step.is_settled(key.1, group) => None,
                (None, Some((first, rest))) => Some(step.unknown(&evaluation.server, first, rest)),
                (None, None) => None,
            }
        })
        .collect()
}

struct Step<'a> {
    config: &'a IncidentConfig,
    now: Timestamp,
    caught_up: bool,
    fresh_since: Option<Timestamp>,
    watched: &'a Watched,
    past: Option<&'a Past>,
}

/// So many returns are remembered.
const RETURNS: usize = 32;
/// So many sightings are remembered.
const SIGHTINGS: usize = 64;

fn change(incident: Incident, what: What) -> Option<IncidentChange> {
    Some(IncidentChange { incident, what })
}

impl Step<'_> {
    fn unknown(&self, server: &ServerId, first: &Finding, rest: &[&Finding]) -> IncidentChange {
        let key = IncidentKey { server: server.clone(), component: first.component.clone(), fault: first.fault };
        let mut incident = Incident {
            key,
            stage: Stage::Pending,
            predicted: true,
            level: first.level,
            rules: Vec::new(),
            reason: first.reason.clone(),
            evidence: Vec::new(),
            onset: first.onset,
            noted_at: self.now,
            newest: first.newest,
            hits: 0,
            actual_hits: 0,
            clean: 0,
            clean_at: None,
            part_serial: None,
            ticket: None,
            hold: None,
            members: Vec::new(),
            returns: Vec::new(),
            follows: None,
            sightings: Vec::new(),
        };
        let group: Vec<&Finding> = std::iter::once(first).chain(rest.iter().copied()).collect();
        absorb(&mut incident, &group, true);
        self.sight(&mut incident, &group, true);
        if let Some(past) = self.past
            && self.now.since(past.ended_at) <= self.flap()
        {
            incident.follows = past.ticket;
            incident.returns.clone_from(&past.returns);
            self.came_back(&mut incident);
        }
        let what = if self.ripe(&incident, &group) { open(&mut incident, &group) } else { What::Noted };
        IncidentChange { incident, what }
    }

    /// Whether all this was known when it ended by a new part or by a person's word: only what shows since then is new.
    fn is_settled(&self, fault: Fault, group: &[&Finding]) -> bool {
        !fault.clears_itself() && self.past.is_some_and(|past| newest(group) <= past.ended_at)
    }

    fn known(&self, before: &Incident, group: &[&Finding]) -> Option<IncidentChange> {
        if let Some(replaced) = self.replaced(before, group) {
            return Some(replaced);
        }
        match before.stage {
            Stage::Pending => self.pending(before, group),
            Stage::Open => self.open(before, group),
            Stage::Verifying { since } => self.verifying(before, group, since),
            Stage::Dismissed { .. } => self.dismissed(before, group),
            Stage::Ended { .. } => None,
        }
    }

    /// Another part sits in the place.
    fn replaced(&self, before: &Incident, group: &[&Finding]) -> Option<IncidentChange> {
        let (old, new) = (before.part_serial.as_ref()?, self.watched.serial.as_ref()?);
        if old == new {
            return None;
        }
        let what = What::Replaced { old: old.clone(), new: new.clone() };
        let moved = |stage| Incident {
            stage,
            part_serial: Some(new.clone()),
            hits: 0,
            actual_hits: 0,
            clean: 0,
            clean_at: None,
            ..before.clone()
        };
        match before.stage {
            Stage::Open => change(moved(Stage::Verifying { since: self.now }), what),
            Stage::Verifying { since } => {
                let moved = moved(Stage::Verifying { since });
                self.verifying(&moved, group, since).or_else(|| change(moved, What::Noted))
            }
            Stage::Pending | Stage::Dismissed { .. } => change(before.clone(), What::Dropped),
            Stage::Ended { .. } => None,
        }
    }

    fn pending(&self, before: &Incident, group: &[&Finding]) -> Option<IncidentChange> {
        if group.is_empty() {
            // What has to be found several times may be away in between.
            if self.is_awaited(before) {
                return None;
            }
            // A single clean poll ends what never lasted; no poll at all says nothing.
            return self.clean_after(before, before.newest).then(|| change(before.clone(), What::Dropped))?;
        }
        let mut after = before.clone();
        let again = newest(group) > before.newest;
        absorb(&mut after, group, again);
        self.sight(&mut after, group, again);
        if self.ripe(&after, group) {
            let what = open(&mut after, group);
            return change(after, what);
        }
        (after != *before).then(|| change(after, What::Noted))?
    }

    fn open(&self, before: &Incident, group: &[&Finding]) -> Option<IncidentChange> {
        let mut after = before.clone();
        if group.is_empty() {
            // Only where it can end by itself; all else waits for a part or a person.
            if !(before.key.fault.clears_itself() && self.caught_up && self.count_clean(&mut after, before.newest)) {
                return None;
            }
            // What comes and goes has to stay away for longer.
            let flaps = !before.returns.is_empty() && self.now.since(before.newest) < self.flap();
            if after.clean < self.config.clear_polls || flaps {
                return change(after, What::Noted);
            }
            let since = self.now;
            return change(
                Incident { stage: Stage::Verifying { since }, clean: 0, hits: 0, actual_hits: 0, ..after },
                What::Recovered,
            );
        }
        let again = newest(group) > before.newest;
        absorb(&mut after, group, again);
        (after.clean, after.clean_at) = (0, None);
        if before.key.fault.clears_itself() && before.clean >= self.config.clear_polls {
            self.came_back(&mut after);
        }
        let seen = group.iter().any(|f| !f.predicted && after.actual_hits >= f.confirm && self.is_of_now(f));
        let worse = group.iter().any(|f| f.level > before.level && (f.predicted || seen) && self.is_of_now(f));
        if before.predicted && seen {
            after.predicted = false;
            grave(&mut after, group);
            return change(after, What::Escalated);
        }
        if worse {
            grave(&mut after, group);
            return change(after, What::Escalated);
        }
        if after.evidence != before.evidence || after.rules != before.rules {
            return change(after, What::Evidence);
        }
        // That it goes on is no news: only what counts towards a change is kept.
        let counts = before.clean != 0 || (before.predicted && after.actual_hits != before.actual_hits);
        counts.then(|| change(after, What::Noted))?
    }

    fn verifying(&self, before: &Incident, group: &[&Finding], since: Timestamp) -> Option<IncidentChange> {
        let mut after = before.clone();
        let renewed: Vec<&Finding> = group.iter().copied().filter(|f| f.newest > since).collect();
        if renewed.is_empty() {
            if !(self.caught_up && self.count_clean(&mut after, since)) {
                return None;
            }
            if after.clean < self.config.verify_polls {
                return change(after, What::Noted);
            }
            return change(Incident { stage: Stage::Ended { at: self.now }, ..after }, What::Verified);
        }
        absorb(&mut after, &renewed, newest(&renewed) > before.newest);
        (after.clean, after.clean_at) = (0, None);
        if self.ripe(&after, &renewed) {
            let seen = group.iter().any(|f| !f.predicted && after.actual_hits >= f.confirm);
            (after.stage, after.predicted) = (Stage::Open, before.predicted && !seen);
            // What was known before the repair counts again, too: it was not repaired.
            grave(&mut after, group);
            self.came_back(&mut after);
            return change(after, What::Recurred);
        }
        (after != *before).then(|| change(after, What::Noted))?
    }

    fn dismissed(&self, before: &Incident, group: &[&Finding]) -> Option<IncidentChange> {
        let mut after = before.clone();
        if group.is_empty() {
            if !(self.caught_up && self.count_clean(&mut after, before.newest)) {
                return None;
            }
            let over = after.clean >= self.config.verify_polls;
            return change(after, if over { What::Dropped } else { What::Noted });
        }
        absorb(&mut after, group, newest(group) > before.newest);
        (after.clean, after.clean_at) = (0, None);
        let seen = group.iter().any(|f| !f.predicted && after.actual_hits >= f.confirm);
        let worse = group.iter().any(|f| f.level > before.level && after.hits >= f.confirm);
        if self.caught_up && (worse || (before.predicted && seen)) {
            // It is no false alarm any more: a new incident, and a new ticket.
            (after.ticket, after.stage) = (None, Stage::Open);
            after.predicted = before.predicted && !seen;
            grave(&mut after, group);
            return change(after, What::Opened);
        }
        (after != *before).then(|| change(after, What::Noted))?
    }

    /// Whether it lasted long enough, and still does.
    fn ripe(&self, incident: &Incident, group: &[&Finding]) -> bool {
        let lasted =
            |f: &&Finding| if f.predicted { incident.hits >= f.confirm } else { incident.actual_hits >= f.confirm };
        let often = |f: &&Finding| match self.config.sightings.get(f.rule.as_str()) {
            Some(needed) => self.sighted(incident, needed) >= needed.times,
            None => true,
        };
        group.iter().any(|f| lasted(f) && often(f) && self.is_of_now(f))
    }

    /// How often it was found within the span.
    fn sighted(&self, incident: &Incident, needed: &Sightings) -> u32 {
        let span = Duration::from_secs(needed.within_secs);
        let within = incident.sightings.iter().filter(|at| incident.newest.since(**at) <= span);
        u32::try_from(within.count()).unwrap_or(u32::MAX)
    }

    /// Notes that a rule which has to find it several times has found it once more.
    fn sight(&self, incident: &mut Incident, group: &[&Finding], again: bool) {
        let counts = |f: &&Finding| self.config.sightings.contains_key(f.rule.as_str());
        if again && group.iter().any(counts) {
            incident.sightings.push(newest(group));
            if incident.sightings.len() > SIGHTINGS {
                incident.sightings.remove(0);
            }
        }
    }

    /// Whether more sightings may still come in time.
    fn is_awaited(&self, incident: &Incident) -> bool {
        let spans = incident.rules.iter().filter_map(|rule| self.config.sightings.get(rule.as_str()));
        let longest = spans.map(|needed| needed.within_secs).max();
        longest.is_some_and(|secs| self.now.since(incident.newest) <= Duration::from_secs(secs))
    }

    fn flap(&self) -> Duration {
        Duration::from_secs(self.config.flap_secs)
    }

    /// Counts a return of what can end by itself, and says so. Nothing else comes and goes: it waits for a part or a person.
    fn came_back(&self, incident: &mut Incident) {
        if !incident.key.fault.clears_itself() || self.config.flap_secs == 0 {
            return;
        }
        incident.returns.retain(|at| self.now.since(*at) <= self.flap().saturating_mul(24));
        incident.returns.push(self.now);
        if incident.returns.len() > RETURNS {
            incident.returns.remove(0);
        }
        let text = format!("flapping: it came back {} times since {}", incident.returns.len(), incident.onset);
        incident.evidence.retain(|e| !e.text.starts_with("flapping: "));
        incident.evidence.push(Evidence { observed_at: incident.newest, text });
    }

    /// Whether a finding speaks for now, not for a past that is told late.
    fn is_of_now(&self, finding: &Finding) -> bool {
        self.caught_up || self.fresh_since.is_some_and(|since| finding.newest >= since)
    }

    fn clean_after(&self, incident: &Incident, since: Timestamp) -> bool {
        let counted = incident.clean_at.unwrap_or(since).max(since);
        self.watched.vouched.is_some_and(|vouched| vouched > counted)
    }

    /// Counts a clean poll, where there was one after `since` that is not counted yet.
    fn count_clean(&self, incident: &mut Incident, since: Timestamp) -> bool {
        let clean = self.clean_after(incident, since);
        if clean {
            incident.clean = incident.clean.saturating_add(1);
            incident.clean_at = self.watched.vouched;
            (incident.hits, incident.actual_hits) = (0, 0);
        }
        clean
    }
}

fn newest(group: &[&Finding]) -> Timestamp {
    group.iter().map(|f| f.newest).max().unwrap_or(Timestamp::EPOCH)
}

/// Takes in what the findings of one poll say. `again`: it is a poll that was not counted yet.
fn absorb(incident: &mut Incident, group: &[&Finding], again: bool) {
    if again {
        incident.hits = incident.hits.saturating_add(1);
        let seen = group.iter().any(|f| !f.predicted);
        incident.actual_hits = if seen { incident.actual_hits.saturating_add(1) } else { 0 };
    }
    incident.newest = incident.newest.max(newest(group));
    for finding in group {
        incident.onset = incident.onset.min(finding.onset);
        if !incident.rules.contains(&finding.rule) {
            incident.rules.push(finding.rule.clone());
        }
        incident.part_serial = incident.part_serial.take().or_else(|| finding.part_serial.clone());
        for fact in &finding.evidence {
            keep(&mut incident.evidence, fact);
        }
    }
}

/// A fact is told once, whenever it was seen.
fn keep(evidence: &mut Vec<Evidence>, fact: &Evidence) {
    if evidence.iter().any(|e| e.text == fact.text) {
        return;
    }
    // Once facts were left out, an old one that comes up again is not new.
    let full = evidence.len() >= FIRST + NEWEST;
    if full && evidence.last().is_some_and(|last| last.observed_at >= fact.observed_at) {
        return;
    }
    if full {
        evidence.remove(FIRST);
    }
    let at = evidence.partition_point(|e| e.observed_at <= fact.observed_at);
    evidence.insert(at, fact.clone());
}

fn open(incident: &mut Incident, group: &[&Finding]) -> What {
    incident.stage = Stage::Open;
    incident.predicted = !group.iter().any(|f| !f.predicted && incident.actual_hits >= f.confirm);
    grave(incident, group);
    What::Opened
}

/// The worst level, and the reason of the gravest finding: an actual failure before a predicted one.
fn grave(incident: &mut Incident, group: &[&Finding]) {
    let actual = !incident.predicted;
    let eligible = || group.iter().filter(|f| actual || f.predicted);
    if let Some(level) = eligible().map(|f| f.level).max() {
        incident.level = incident.level.max(level);
    }
    if let Some(gravest) = eligible().max_by_key(|f| (!f.predicted, f.level, f.penalty)) {
        incident.reason.clone_from(&gravest.reason);
    }
}
