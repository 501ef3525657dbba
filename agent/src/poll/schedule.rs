//! What is due: sans-IO, so that it can be tested in virtual time.
//!
//! Constraints, written before the code:
//! - one poll in flight per target; where its session is open and can be shared, one of sensors and one of another section; a limit over all;
//! - polls of a section keep their phase: lateness of one does not shift the next, and what was missed is told, never stacked; phases fill the cadence evenly,
//!   however many targets there are and whenever they were added;
//! - targets that cost a poll neither task nor socket of weight ([`Schedule::set_light`]) have slots of their own: those that are dead or slow take none of the others';
//! - right after a target is added, inventory goes first, once: the collector needs to know which server it is; where it is slow and the session can be
//!   shared, sensors wait for it no longer than [`FIRST_LOOK`];
//! - sensors before log before drives before inventory, but none of them starves: what waits long enough goes before what
//!   matters more;
//! - a quarter of the slots is kept for sensors, so that slow walks of others never delay them;
//! - a target that fails is tried ever more rarely, with a bound, and never holds a slot while it waits.

use crate::config::Cadence;
use outband_schemas::{Section, TargetId};
use rand::{Rng, RngExt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// So many polls of light targets at the same time.
const LIGHT_AT_ONCE: usize = 4096;
/// Multiples of it, cut to their fractions, fill the interval from 0 to 1 evenly at every count (the golden ratio: Knuth, TAOCP vol. 3, §6.4).
const GOLDEN: f64 = 0.618_033_988_749_894_9;
/// Targets start this far apart, so that a restart is no storm, however many there are: a first look reads hundreds of records, and what thousands of them hold at
/// once is never quite given back.
const START_SPACING: Duration = Duration::from_millis(10);
/// No target is left alone for longer than this because it failed.
const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// A failing target is left alone for at most this many of its sensor cadences.
const MAX_BACKOFF_CADENCES: u32 = 8;
/// A busy BMC that wants to be left alone for longer is asked again after so long.
const LONGEST_WISH: Duration = Duration::from_secs(900);
/// How long sensors wait at most for a first inventory that is being read, and no longer than their own cadence.
const FIRST_LOOK: Duration = Duration::from_secs(30);
/// How far each step down in [`PRIORITY`] counts as coming due later.
const PATIENCE: Duration = Duration::from_secs(5);

/// The order in which sections that are due are polled.
const PRIORITY: [Section; 4] = [Section::Sensors, Section::Log, Section::Drives, Section::Inventory];

/// A poll to be made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The BMC.
    pub target: TargetId,
    /// The part of it.
    pub section: Section,
    /// How many polls of this section were missed since the last one because earlier ones took too long.
    pub missed: u64,
}

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was read, perhaps with gaps.
    Done,
    /// This section could not be read; others may.
    SectionFailed,
    /// The BMC could not be spoken to.
    TargetFailed,
    /// The BMC answers that it is busy, and perhaps for how long.
    Busy(Option<Duration>),
    /// There is a reason not to speak to the BMC for so long.
    LeaveAlone(Duration),
}

#[derive(Debug)]
struct Slot {
    /// Which part of a cadence after the schedule's own beginning its regular moments are.
    phase: f64,
    /// One of the section's regular moments; the others are whole cadences after it.
    anchor: Instant,
    due: Instant,
    polled: bool,
    failures: u32,
    missed: u64,
    /// Something happened during the poll in flight that it may not have seen.
    again: bool,
    /// Polling this often is enough for now, whatever the cadence.
    slowed: Option<Duration>,
}

/// What is known of each section of [`PRIORITY`].
#[derive(Debug)]
struct Sections([Slot; PRIORITY.len()]);

impl Sections {
    fn get(&self, section: Section) -> Option<&Slot> {
        self.0.get(place(section)?)
    }

    fn get_mut(&mut self, section: Section) -> Option<&mut Slot> {
        self.0.get_mut(place(section)?)
    }

    fn each_mut(&mut self) -> impl Iterator<Item = (Section, &mut Slot)> {
        PRIORITY.into_iter().zip(&mut self.0)
    }
}

#[derive(Debug)]
struct Entry {
    /// Its name, which all of its places share.
    id: Arc<TargetId>,
    is_light: bool,
    /// Its places in [`Lane::ready`]: from when it may be polled for each section.
    ready_at: [Option<Instant>; PRIORITY.len()],
    cadence: Cadence,
    sections: Sections,
    in_flight: BTreeSet<Section>,
    /// Its session is open and can be shared: sensors may be polled beside another section.
    shared: bool,
    /// When sensors no longer wait for the first inventory.
    first_look_until: Option<Instant>,
    failures: u32,
    /// Left alone until then because it failed; a poll that succeeds ends that.
    not_before: Option<Instant>,
    /// Left alone until then because it asked for that, or because there is a reason; a poll that was in flight does not end that.
    leave_until: Option<Instant>,
}

/// The schedule of all targets. `R` is a seeded source: jitter is not for secrets.
#[derive(Debug)]
pub struct Schedule<R> {
    rng: R,
    /// When the first target was added: phases count from there.
    begun: Option<Instant>,
    /// How many targets were added so far, for their phases.
    added: u32,
    targets: BTreeMap<TargetId, Entry>,
    heavy: Lane,
    light: Lane,
}

/// Targets that share slots.
#[derive(Debug)]
struct Lane {
    at_once: usize,
    /// Targets by the moment from which they may be polled, for each section of [`PRIORITY`]: which poll is next is told by the first of each, however many wait.
    ready: [BTreeSet<(Instant, Arc<TargetId>)>; PRIORITY.len()],
    in_flight: usize,
    /// Those in flight that are not of sensors.
    others_in_flight: usize,
}

impl Lane {
    fn new(at_once: usize) -> Self {
        Self { at_once: at_once.max(1), ready: Default::default(), in_flight: 0, others_in_flight: 0 }
    }

    fn is_full(&self) -> bool {
        self.in_flight >= self.at_once
    }

    /// A quarter of the slots is for sensors alone.
    fn others_may_start(&self) -> bool {
        self.others_in_flight < (self.at_once - self.at_once / 4).max(1)
    }

    /// The target of each section that may be polled first, if it may start.
    fn next(&self) -> impl Iterator<Item = (Instant, &TargetId, Section)> {
        let sections = if self.is_full() {
            0
        } else if self.others_may_start() {
            PRIORITY.len()
        } else {
            // Sensors stand first.
            1
        };
        self.ready.iter().zip(PRIORITY).take(sections).filter_map(|(ready, section)| {
            let (at, id) = ready.first()?;
            Some((*at, &**id, section))
        })
    }

    /// Takes a target's places from before, and gives it those that it has now.
    fn place(
        &mut self,
        id: &Arc<TargetId>,
        before: [Option<Instant>; PRIORITY.len()],
        now: [Option<Instant>; PRIORITY.len()],
    ) {
        for (ready, (before, now)) in self.ready.iter_mut().zip(before.into_iter().zip(now)) {
            if before == now {
                continue;
            }
            if let Some(at) = before {
                ready.remove(&(at, id.clone()));
            }
            if let Some(at) = now {
                ready.insert((at, id.clone()));
            }
        }
    }

    fn started(&mut self, section: Section) {
        self.in_flight += 1;
        self.others_in_flight += usize::from(section != Section::Sensors);
    }

    fn landed(&mut self, section: Section) {
        self.in_flight -= 1;
        self.others_in_flight -= usize::from(section != Section::Sensors);
    }
}

impl<R: Rng> Schedule<R> {
    /// An empty schedule that allows `at_once` polls at the same time (at least one).
    pub fn new(at_once: usize, rng: R) -> Self {
        Self {
            rng,
            begun: None,
            added: 0,
            targets: BTreeMap::new(),
            heavy: Lane::new(at_once),
            light: Lane::new(LIGHT_AT_ONCE),
        }
    }

    /// A poll of this target costs little while it waits: it takes none of the slots that the others share.
    pub fn set_light(&mut self, id: &TargetId) {
        let Some(entry) = self.targets.get_mut(id).filter(|entry| !entry.is_light) else { return };
        self.heavy.place(&entry.id, std::mem::take(&mut entry.ready_at), [None; PRIORITY.len()]);
        for section in entry.in_flight.clone() {
            self.heavy.landed(section);
            self.light.started(section);
        }
        entry.is_light = true;
        self.index(id);
    }

    /// Changes how many polls may run at the same time.
    pub fn set_at_once(&mut self, at_once: usize) {
        self.heavy.at_once = at_once.max(1);
    }

    /// Adds a target, or gives one that is there another cadence.
    pub fn set(&mut self, id: &TargetId, cadence: Cadence, now: Instant) {
        if let Some(entry) = self.targets.get_mut(id) {
            for (section, slot) in entry.sections.each_mut() {
                slot.due = slot.due.min(now + cadence.of(section));
                slot.anchor = slot.due;
                slot.slowed = slot.slowed.filter(|slowed| *slowed > cadence.of(section));
            }
            entry.cadence = cadence;
            self.index(id);
            return;
        }
        self.begun.get_or_insert(now);
        let others = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
        let spread = START_SPACING.saturating_mul(others);
        let phase = (f64::from(self.added) * GOLDEN).fract();
        self.added = self.added.wrapping_add(1);
        let jitter = START_SPACING.min(spread).mul_f64(self.rng.random::<f64>());
        let due = now + spread + jitter;
        let slot = |section| {
            // Sections of one target are apart, too.
            let phase = (phase + f64::from(rank(section)) / 4.0).fract();
            Slot { phase, anchor: due, due, polled: false, failures: 0, missed: 0, again: false, slowed: None }
        };
        let entry = Entry {
            id: Arc::new(id.clone()),
            is_light: false,
            ready_at: [None; PRIORITY.len()],
            cadence,
            sections: Sections(PRIORITY.map(slot)),
            in_flight: BTreeSet::new(),
            shared: false,
            first_look_until: None,
            failures: 0,
            not_before: None,
            leave_until: None,
        };
        self.targets.insert(id.clone(), entry);
        self.index(id);
    }

    /// Forgets a target. A poll of it that is in flight no longer counts.
    pub fn remove(&mut self, id: &TargetId) {
        if let Some(entry) = self.targets.remove(id) {
            let lane = self.lane(entry.is_light);
            entry.in_flight.into_iter().for_each(|section| lane.landed(section));
            lane.place(&entry.id, entry.ready_at, [None; PRIORITY.len()]);
        }
    }

    /// The target's session is open and can be shared from now on, until a poll says that the BMC cannot be spoken to.
    pub fn session_shared(&mut self, id: &TargetId) {
        if let Some(entry) = self.targets.get_mut(id) {
            entry.shared = true;
            self.index(id);
        }
    }

    /// Something happened that a poll of the section will show: it is due now, also if one is in flight that may have missed it.
    pub fn hasten(&mut self, id: &TargetId, section: Section, now: Instant) {
        let Some(entry) = self.targets.get_mut(id) else { return };
        let in_flight = entry.in_flight.contains(&section);
        let Some(slot) = entry.sections.get_mut(section) else { return };
        slot.again = in_flight;
        slot.due = slot.due.min(now);
        self.index(id);
    }

    /// The BMC wants to be left alone for so long, whatever it was polled for.
    pub fn rest(&mut self, id: &TargetId, wish: Duration, now: Instant) {
        if let Some(entry) = self.targets.get_mut(id) {
            entry.leave_until = entry.leave_until.max(Some(now + wish.min(LONGEST_WISH)));
            self.index(id);
        }
    }

    /// What a poll of the section would show comes by itself now, so that polling this often is enough; `None`: it does not any more.
    pub fn slow_down(&mut self, id: &TargetId, section: Section, slowed: Option<Duration>, now: Instant) {
        let Some(entry) = self.targets.get_mut(id) else { return };
        let cadence = entry.cadence.of(section);
        let Some(slot) = entry.sections.get_mut(section) else { return };
        slot.slowed = slowed.filter(|slowed| *slowed > cadence);
        if slot.polled && !entry.in_flight.contains(&section) {
            slot.due = slot.due.max(now).min(now + slot.slowed.unwrap_or(cadence));
            slot.anchor = slot.due;
        }
        self.index(id);
    }

    /// Until when nothing is asked of a target, because it failed, asked for that, or there is a reason.
    pub fn left_alone_until(&self, id: &TargetId) -> Option<Instant> {
        self.targets.get(id).and_then(|entry| entry.not_before.max(entry.leave_until))
    }

    fn lane(&mut self, is_light: bool) -> &mut Lane {
        if is_light { &mut self.light } else { &mut self.heavy }
    }

    /// The next poll to make now, if any; it counts as in flight until [`Schedule::done`].
    pub fn poll_due(&mut self, now: Instant) -> Option<Job> {
        let (_, target, section) = [&self.heavy, &self.light]
            .into_iter()
            .flat_map(Lane::next)
            .filter(|(at, ..)| *at <= now)
            .map(|(at, id, section)| (at + PATIENCE * rank(section), id, section))
            .min_by(|a, b| a.0.cmp(&b.0))?;
        let target = target.clone();
        let entry = self.targets.get_mut(&target)?;
        entry.in_flight.insert(section);
        if section == Section::Inventory {
            entry.first_look_until.get_or_insert(now + FIRST_LOOK.min(entry.cadence.sensors));
        }
        let slot = entry.sections.get_mut(section)?;
        let missed = std::mem::take(&mut slot.missed);
        // What came due while it was left alone was not missed for slowness.
        slot.due = entry.leave_until.map_or(slot.due, |until| slot.due.max(until));
        let is_light = entry.is_light;
        self.lane(is_light).started(section);
        self.index(&target);
        Some(Job { target, section, missed })
    }

    /// When [`Schedule::poll_due`] will next have something; `None` while it waits for polls in flight, or for nothing.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [&self.heavy, &self.light].into_iter().flat_map(Lane::next).map(|(at, ..)| at).min()
    }

    /// Notes how a poll ended.
    pub fn done(&mut self, id: &TargetId, section: Section, outcome: Outcome, now: Instant) {
        let Some(entry) = self.targets.get_mut(id) else { return };
        let landed = entry.in_flight.remove(&section);
        let jitter = 0.5 + self.rng.random::<f64>() / 2.0;
        let (cadence, sensors) = (entry.cadence.of(section), entry.cadence.sensors);
        if matches!(outcome, Outcome::Done | Outcome::SectionFailed) {
            entry.recovered(now);
        }
        let Some(slot) = entry.sections.get_mut(section) else { return };
        slot.advance(slot.slowed.unwrap_or(cadence), self.begun.unwrap_or(now), now);
        match outcome {
            Outcome::Done => slot.failures = 0,
            Outcome::SectionFailed => {
                slot.failures = slot.failures.saturating_add(1);
                slot.due = slot.due.min(now + doubled(sensors, slot.failures).mul_f64(jitter));
            }
            Outcome::TargetFailed | Outcome::Busy(_) | Outcome::LeaveAlone(_) => {
                slot.due = now;
                slot.missed = 0;
                entry.failures = entry.failures.saturating_add(1);
                // A busy BMC keeps its session.
                entry.shared &= matches!(outcome, Outcome::Busy(_));
                let most = MAX_BACKOFF.min(sensors.saturating_mul(MAX_BACKOFF_CADENCES));
                let backoff = doubled(sensors / 2, entry.failures).min(most).mul_f64(jitter);
                let asked = match outcome {
                    Outcome::LeaveAlone(wait) => wait,
                    Outcome::Busy(Some(wait)) => wait.min(LONGEST_WISH),
                    _ => Duration::ZERO,
                };
                // The first wish of a busy BMC is believed; after that it is left alone for longer and longer, like any that fails.
                let told = matches!(outcome, Outcome::LeaveAlone(_))
                    || matches!(outcome, Outcome::Busy(Some(_))) && entry.failures == 1;
                if !told {
                    entry.not_before = Some(now + backoff);
                }
                entry.leave_until = entry.leave_until.max(Some(now + asked));
            }
        }
        if std::mem::take(&mut slot.again) {
            slot.due = slot.due.min(now);
        }
        let is_light = entry.is_light;
        if landed {
            self.lane(is_light).landed(section);
        }
        self.index(id);
    }

    /// Puts a target in its place among those that are ready, after anything about it changed.
    fn index(&mut self, id: &TargetId) {
        let Some(entry) = self.targets.get_mut(id) else { return };
        let now = PRIORITY.map(|section| entry.ready_at(section));
        let before = std::mem::replace(&mut entry.ready_at, now);
        let (id, is_light) = (entry.id.clone(), entry.is_light);
        self.lane(is_light).place(&id, before, now);
    }
}

impl Entry {
    /// From when a section may be polled, as far as the others are concerned; any moment gone by where nothing stands against it.
    fn may_start(&self, section: Section) -> Option<Instant> {
        let due = self.sections.get(section)?.due;
        let beside = match self.in_flight.first() {
            None => false,
            Some(other) => {
                let one_of_each = (*other == Section::Sensors) != (section == Section::Sensors);
                if !(self.shared && self.in_flight.len() == 1 && one_of_each) {
                    return None;
                }
                true
            }
        };
        let unidentified = self.sections.get(Section::Inventory).is_some_and(|slot| !slot.polled);
        match section {
            Section::Inventory => Some(due),
            _ if !unidentified => Some(due),
            // The first inventory is being read, and sensors have waited for it long enough.
            Section::Sensors if beside => self.first_look_until,
            _ => None,
        }
    }

    /// From when it may be polled for a section that is due.
    fn ready_at(&self, section: Section) -> Option<Instant> {
        let due = self.may_start(section)?.max(self.sections.get(section)?.due);
        Some(self.not_before.max(self.leave_until).map_or(due, |hold| due.max(hold)))
    }

    /// The BMC speaks: what came due while it was left alone is due now, and was not missed for slowness.
    fn recovered(&mut self, now: Instant) {
        self.not_before = None;
        if std::mem::take(&mut self.failures) > 0 {
            self.sections.each_mut().for_each(|(_, slot)| slot.due = slot.due.max(now));
        }
    }
}

impl Slot {
    /// Makes the next regular moment after `now` due, and counts those that passed meanwhile.
    fn advance(&mut self, cadence: Duration, begun: Instant, now: Instant) {
        if !std::mem::replace(&mut self.polled, true) {
            // Targets that began together do not stay together; and waiting for one's turn at the start is no slowness. The second poll is half a cadence to one and
            // a half after the first.
            let soonest = now + cadence / 2;
            let moment = begun + cadence.mul_f64(self.phase);
            let behind = soonest.saturating_duration_since(moment).as_nanos().div_ceil(cadence.as_nanos().max(1));
            self.anchor = moment + cadence.saturating_mul(u32::try_from(behind).unwrap_or(u32::MAX));
            self.due = self.anchor;
            return;
        }
        let moments = |at: Instant| match at.checked_duration_since(self.anchor) {
            Some(after) => u32::try_from(after.as_nanos() / cadence.as_nanos().max(1)).unwrap_or(u32::MAX - 1) + 1,
            None => 0,
        };
        let passed = moments(now);
        // A poll that was due between two regular moments stands for the second of them.
        let between = self.anchor + cadence.saturating_mul(moments(self.due).saturating_sub(1)) != self.due;
        let stands_for = moments(self.due) + u32::from(between);
        self.missed += u64::from(passed.saturating_sub(stands_for));
        self.due = self.anchor + cadence.saturating_mul(passed);
    }
}

fn place(section: Section) -> Option<usize> {
    PRIORITY.iter().position(|p| *p == section)
}

fn rank(section: Section) -> u32 {
    place(section).and_then(|p| u32::try_from(p).ok()).unwrap_or(u32::MAX)
}

fn doubled(base: Duration, failures: u32) -> Duration {
    base.saturating_mul(1u32 << failures.saturating_sub(1).min(16))
}

#[cfg(test)]
mod tests;
