//! What is due: sans-IO, so that it can be tested in virtual time.
//!
//! Constraints, written before the code:
//! - one poll in flight per target, a limit over all;
//! - polls of a section keep their phase: lateness of one does not shift the next, and what was missed is told, never stacked;
//! - right after a target is added, inventory goes first, once: the collector needs to know which server it is;
//! - sensors before log before drives before inventory, but none of them starves: what waits long enough goes before what
//!   matters more;
//! - a quarter of the slots is kept for sensors, so that slow walks of others never delay them;
//! - a target that fails is tried ever more rarely, with a bound, and never holds a slot while it waits.

use super::guard::LoginGuard;
use crate::config::Cadence;
use outband_schemas::{Section, TargetId};
use rand::{Rng, RngExt};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// Targets start this far apart, so that a restart is no storm.
const START_SPACING: Duration = Duration::from_millis(20);
/// No target is left alone for longer than this because it failed.
const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// A failing target is left alone for at most this many of its sensor cadences.
const MAX_BACKOFF_CADENCES: u32 = 8;
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
    /// The BMC refused the login.
    LoginRefused,
}

#[derive(Debug)]
struct Slot {
    /// One of the section's regular moments; the others are whole cadences after it.
    anchor: Instant,
    due: Instant,
    polled: bool,
    failures: u32,
    missed: u64,
}

#[derive(Debug)]
struct Entry {
    /// Its place in [`Schedule::ready`], while it is idle.
    ready_at: Option<Instant>,
    cadence: Cadence,
    sections: BTreeMap<Section, Slot>,
    in_flight: Option<Section>,
    failures: u32,
    not_before: Option<Instant>,
    guard: LoginGuard,
}

/// The schedule of all targets. `R` is a seeded source: jitter is not for secrets.
#[derive(Debug)]
pub struct Schedule<R> {
    at_once: usize,
    rng: R,
    targets: BTreeMap<TargetId, Entry>,
    /// Idle targets by the moment from which they could be polled.
    ready: BTreeSet<(Instant, TargetId)>,
    in_flight: usize,
    /// Those in flight that are not of sensors.
    others_in_flight: usize,
}

impl<R: Rng> Schedule<R> {
    /// An empty schedule that allows `at_once` polls at the same time (at least one).
    pub fn new(at_once: usize, rng: R) -> Self {
        Self {
            at_once: at_once.max(1),
            rng,
            targets: BTreeMap::new(),
            ready: BTreeSet::new(),
            in_flight: 0,
            others_in_flight: 0,
        }
    }

    /// Changes how many polls may run at the same time.
    pub fn set_at_once(&mut self, at_once: usize) {
        self.at_once = at_once.max(1);
    }

    /// Adds a target, or gives one that is there another cadence.
    pub fn set(&mut self, id: &TargetId, cadence: Cadence, now: Instant) {
        if let Some(entry) = self.targets.get_mut(id) {
            for (section, slot) in &mut entry.sections {
                slot.due = slot.due.min(now + cadence.of(*section));
                slot.anchor = slot.due;
            }
            entry.cadence = cadence;
            self.index(id);
            return;
        }
        let others = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
        let spread = START_SPACING.saturating_mul(others).min(cadence.sensors);
        let due = now + spread.mul_f64(self.rng.random::<f64>());
        let slot = |section| (section, Slot { anchor: due, due, polled: false, failures: 0, missed: 0 });
        let entry = Entry {
            ready_at: None,
            cadence,
            sections: Section::OF_BMC.into_iter().map(slot).collect(),
            in_flight: None,
            failures: 0,
            not_before: None,
            guard: LoginGuard::default(),
        };
        self.targets.insert(id.clone(), entry);
        self.index(id);
    }

    /// Forgets a target. A poll of it that is in flight no longer counts.
    pub fn remove(&mut self, id: &TargetId) {
        if let Some(entry) = self.targets.remove(id) {
            self.landed(entry.in_flight);
            if let Some(at) = entry.ready_at {
                self.ready.remove(&(at, id.clone()));
            }
        }
    }

    /// The next poll to make now, if any; it counts as in flight until [`Schedule::done`].
    pub fn poll_due(&mut self, now: Instant) -> Option<Job> {
        if self.in_flight >= self.at_once {
            return None;
        }
        let others = self.others_may_start();
        let (_, target, section) = self
            .ready
            .iter()
            .take_while(|(at, _)| *at <= now)
            .filter_map(|(_, id)| self.targets.get(id).map(|entry| (id, entry)))
            .flat_map(|(id, entry)| entry.open_sections().map(move |(section, due)| (due, id, section)))
            .filter(|(due, _, section)| *due <= now && (others || *section == Section::Sensors))
            .map(|(due, id, section)| (due + PATIENCE * rank(section), id, section))
            .min_by(|a, b| a.0.cmp(&b.0))?;
        let target = target.clone();
        let entry = self.targets.get_mut(&target)?;
        entry.in_flight = Some(section);
        let missed = entry.sections.get_mut(&section).map_or(0, |slot| std::mem::take(&mut slot.missed));
        self.in_flight += 1;
        self.others_in_flight += usize::from(section != Section::Sensors);
        self.index(&target);
        Some(Job { target, section, missed })
    }

    /// When [`Schedule::poll_due`] will next have something; `None` while it waits for polls in flight, or for nothing.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.in_flight >= self.at_once {
            None
        } else if self.others_may_start() {
            self.ready.first().map(|(at, _)| *at)
        } else {
            self.targets
                .values()
                .filter(|e| e.in_flight.is_none())
                .filter_map(|e| e.ready_at(Some(Section::Sensors)))
                .min()
        }
    }

    /// Notes how a poll ended.
    pub fn done(&mut self, id: &TargetId, section: Section, outcome: Outcome, now: Instant) {
        let Some(entry) = self.targets.get_mut(id) else { return };
        let landed = entry.in_flight.take();
        let jitter = 0.5 + self.rng.random::<f64>() / 2.0;
        let (cadence, sensors) = (entry.cadence.of(section), entry.cadence.sensors);
        if matches!(outcome, Outcome::Done | Outcome::SectionFailed) {
            entry.recovered(now);
        }
        let Some(slot) = entry.sections.get_mut(&section) else { return };
        slot.advance(cadence, jitter, now);
        match outcome {
            Outcome::Done => slot.failures = 0,
            Outcome::SectionFailed => {
                slot.failures = slot.failures.saturating_add(1);
                slot.due = slot.due.min(now + doubled(sensors, slot.failures).mul_f64(jitter));
            }
            Outcome::TargetFailed => {
                slot.due = now;
                slot.missed = 0;
                entry.failures = entry.failures.saturating_add(1);
                let most = MAX_BACKOFF.min(sensors.saturating_mul(MAX_BACKOFF_CADENCES));
                entry.not_before = Some(now + doubled(sensors / 2, entry.failures).min(most).mul_f64(jitter));
            }
            Outcome::LoginRefused => {
                slot.due = now;
                slot.missed = 0;
                entry.failures = entry.failures.saturating_add(1);
                entry.not_before = Some(entry.guard.refused(now));
            }
        }
        self.landed(landed);
        self.index(id);
    }

    /// A quarter of the slots is for sensors alone.
    fn others_may_start(&self) -> bool {
        self.others_in_flight < (self.at_once - self.at_once / 4).max(1)
    }

    fn landed(&mut self, section: Option<Section>) {
        self.in_flight -= usize::from(section.is_some());
        self.others_in_flight -= usize::from(section.is_some_and(|s| s != Section::Sensors));
    }

    /// Puts a target in its place among those that are ready, after anything about it changed.
    fn index(&mut self, id: &TargetId) {
        let Some(entry) = self.targets.get_mut(id) else { return };
        let now = if entry.in_flight.is_some() { None } else { entry.ready_at(None) };
        if entry.ready_at == now {
            return;
        }
        if let Some(at) = std::mem::replace(&mut entry.ready_at, now) {
            self.ready.remove(&(at, id.clone()));
        }
        if let Some(at) = now {
            self.ready.insert((at, id.clone()));
        }
    }
}

impl Entry {
    /// The sections that may be polled next, with when they are due.
    fn open_sections(&self) -> impl Iterator<Item = (Section, Instant)> {
        let unidentified = self.sections.get(&Section::Inventory).is_some_and(|slot| !slot.polled);
        self.sections
            .iter()
            .filter(move |(section, _)| !unidentified || **section == Section::Inventory)
            .map(|(section, slot)| (*section, slot.due))
    }

    /// From when it could be polled, or one of its sections.
    fn ready_at(&self, only: Option<Section>) -> Option<Instant> {
        let due = self.open_sections().filter(|(s, _)| only.is_none_or(|o| o == *s)).map(|(_, due)| due).min()?;
        Some(self.not_before.map_or(due, |hold| due.max(hold)))
    }

    /// The BMC speaks: what came due while it was left alone is due now, and was not missed for slowness.
    fn recovered(&mut self, now: Instant) {
        self.guard.accepted();
        self.not_before = None;
        if std::mem::take(&mut self.failures) > 0 {
            self.sections.values_mut().for_each(|slot| slot.due = slot.due.max(now));
        }
    }
}

impl Slot {
    /// Makes the next regular moment after `now` due, and counts those that passed meanwhile.
    fn advance(&mut self, cadence: Duration, jitter: f64, now: Instant) {
        if !std::mem::replace(&mut self.polled, true) {
            // Targets that began together do not stay together; and waiting for one's turn at the start is no slowness.
            self.anchor = now + cadence.mul_f64(jitter);
            self.due = self.anchor;
            return;
        }
        let moments = |at: Instant| match at.checked_duration_since(self.anchor) {
            Some(after) => u32::try_from(after.as_nanos() / cadence.as_nanos().max(1)).unwrap_or(u32::MAX - 1) + 1,
            None => 0,
        };
        let passed = moments(now);
        self.missed += u64::from(passed.saturating_sub(moments(self.due)));
        self.due = self.anchor + cadence.saturating_mul(passed);
    }
}

fn rank(section: Section) -> u32 {
    PRIORITY.iter().position(|p| *p == section).and_then(|p| u32::try_from(p).ok()).unwrap_or(u32::MAX)
}

fn doubled(base: Duration, failures: u32) -> Duration {
    base.saturating_mul(1u32 << failures.saturating_sub(1).min(16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;
    use std::collections::HashMap;

    fn schedule(at_once: usize) -> Schedule<SmallRng> {
        Schedule::new(at_once, SmallRng::seed_from_u64(7))
    }

    fn id(n: usize) -> TargetId {
        TargetId::new(format!("t{n}")).unwrap()
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Runs virtual time until `end`; `cost` says how long a poll takes and how it ends. Returns every poll with its start.
    fn run(
        schedule: &mut Schedule<SmallRng>,
        start: Instant,
        end: Duration,
        mut cost: impl FnMut(&Job, Duration) -> (Duration, Outcome),
    ) -> Vec<(Duration, Job)> {
        let mut log = Vec::new();
        let mut flying: Vec<(Instant, Job, Outcome)> = Vec::new();
        let mut now = start;
        while now - start < end {
            while let Some(job) = schedule.poll_due(now) {
                let (takes, outcome) = cost(&job, now - start);
                flying.push((now + takes, job.clone(), outcome));
                log.push((now - start, job));
            }
            let next = flying.iter().map(|f| f.0).chain(schedule.poll_timeout()).min();
            now = next.unwrap_or(start + end).max(now);
            let (over, rest): (Vec<_>, Vec<_>) = flying.into_iter().partition(|f| f.0 <= now);
            flying = rest;
            for (_, job, outcome) in over {
                schedule.done(&job.target, job.section, outcome, now);
            }
        }
        log
    }

    fn of(log: &[(Duration, Job)], target: &TargetId, section: Section) -> Vec<Duration> {
        log.iter().filter(|(_, j)| j.target == *target && j.section == section).map(|(t, _)| *t).collect()
    }

    #[test]
    fn inventory_goes_first_once_then_sensors() {
        let start = Instant::now();
        let mut schedule = schedule(4);
        schedule.set(&id(0), Cadence::default(), start);
        let log = run(&mut schedule, start, secs(5), |_, _| (secs(1), Outcome::Done));
        let order: Vec<Section> = log.iter().map(|(_, j)| j.section).collect();
        assert_eq!(order, [Section::Inventory, Section::Sensors, Section::Log, Section::Drives]);
    }

    #[test]
    fn an_inventory_that_cannot_be_read_does_not_keep_sensors_waiting() {
        let start = Instant::now();
        let mut schedule = schedule(4);
        schedule.set(&id(0), Cadence::default(), start);
        let log = run(&mut schedule, start, secs(300), |job, _| match job.section {
            Section::Inventory => (secs(1), Outcome::SectionFailed),
            _ => (secs(1), Outcome::Done),
        });
        assert!(of(&log, &id(0), Section::Sensors).len() >= 4);
        assert!(of(&log, &id(0), Section::Inventory).len() <= 5, "it is tried again, ever more rarely");
    }

    #[test]
    fn polls_keep_their_phase_whatever_they_take() {
        let start = Instant::now();
        let mut schedule = schedule(4);
        schedule.set(&id(0), Cadence::default(), start);
        let log = run(&mut schedule, start, secs(1200), |_, _| (secs(2), Outcome::Done));
        let sensors = of(&log, &id(0), Section::Sensors);
        for pair in sensors[1..].windows(2) {
            let apart = pair[1] - pair[0];
            assert!(apart >= secs(52) && apart <= secs(68), "{apart:?}: only another section in flight may shift it");
        }
        assert!((sensors.len() as i64 - 20).abs() <= 1, "{}", sensors.len());
    }

    #[test]
    fn an_overrun_is_told_and_never_stacked() {
        let start = Instant::now();
        let mut schedule = schedule(4);
        let cadence = Cadence { sensors: secs(2), drives: secs(4000), log: secs(4000), inventory: secs(4000) };
        schedule.set(&id(0), cadence, start);
        let log = run(&mut schedule, start, secs(100), |_, _| (secs(5), Outcome::Done));
        let sensors = of(&log, &id(0), Section::Sensors);
        assert!(sensors.windows(2).all(|p| p[1] - p[0] >= secs(5)));
        let missed: u64 = log.iter().map(|(_, j)| j.missed).sum();
        let made = sensors.len() as u64;
        assert!((45..=50).contains(&(made + missed)), "made {made}, missed {missed}, of about 48");
    }

    #[test]
    fn a_slow_log_never_delays_another_targets_sensors() {
        let start = Instant::now();
        let mut schedule = schedule(4);
        let cadence = Cadence { sensors: secs(60), drives: secs(60), log: secs(30), inventory: secs(600) };
        (0..8).for_each(|n| schedule.set(&id(n), cadence, start));
        let slow = |job: &Job, _| match job.section {
            Section::Sensors => (Duration::from_millis(100), Outcome::Done),
            _ if job.target == id(7) => (Duration::from_millis(100), Outcome::Done),
            _ => (secs(300), Outcome::Done),
        };
        let log = run(&mut schedule, start, secs(1800), slow);
        // Three of four slots are taken by walks that never end; the last is for sensors.
        let sensors = log.iter().filter(|(t, j)| j.section == Section::Sensors && *t > secs(600)).count();
        assert!(sensors > 20, "{sensors}");
    }

    #[test]
    fn a_dead_target_is_tried_ever_more_rarely_but_never_forgotten() {
        let start = Instant::now();
        let mut schedule = schedule(4);
        schedule.set(&id(0), Cadence::default(), start);
        let log = run(&mut schedule, start, secs(3600), |_, _| (secs(10), Outcome::TargetFailed));
        let apart: Vec<Duration> = log.windows(2).map(|p| p[1].0 - p[0].0).collect();
        assert!(apart.iter().all(|d| *d <= MAX_BACKOFF + secs(10)));
        assert!((12..=40).contains(&log.len()), "{}", log.len());
        assert!(log.iter().all(|(_, j)| j.missed == 0), "back-off is not slowness");
    }

    #[test]
    fn a_target_that_comes_back_is_polled_in_full_at_once() {
        let start = Instant::now();
        let mut schedule = schedule(4);
        schedule.set(&id(0), Cadence::default(), start);
        let log = run(&mut schedule, start, secs(1500), |_, at| {
            if (secs(30)..secs(900)).contains(&at) {
                (secs(1), Outcome::TargetFailed)
            } else {
                (secs(1), Outcome::Done)
            }
        });
        let back = log.iter().map(|(t, _)| *t).find(|t| *t >= secs(900)).unwrap();
        for section in [Section::Sensors, Section::Log, Section::Drives] {
            let first = of(&log, &id(0), section).into_iter().find(|t| *t >= back).unwrap();
            assert!(first - back <= secs(5), "{section:?} {:?}", first - back);
        }
        assert!(log.iter().all(|(_, j)| j.missed == 0));
    }

    #[test]
    fn a_refused_login_is_tried_at_most_twice_an_hour() {
        let start = Instant::now();
        let mut schedule = schedule(4);
        let cadence = Cadence { sensors: secs(2), drives: secs(4), log: secs(2), inventory: secs(10) };
        schedule.set(&id(0), cadence, start);
        let log = run(&mut schedule, start, secs(4 * 3600), |_, _| (secs(1), Outcome::LoginRefused));
        assert!(log.windows(3).all(|w| w[2].0 - w[0].0 >= secs(3600)), "{log:?}");
        assert!(log.len() >= 6);
    }

    #[test]
    fn a_removed_target_is_polled_no_more() {
        let start = Instant::now();
        let mut schedule = schedule(4);
        schedule.set(&id(0), Cadence::default(), start);
        let job = schedule.poll_due(start).unwrap();
        schedule.remove(&id(0));
        schedule.done(&job.target, job.section, Outcome::Done, start);
        assert_eq!(schedule.poll_timeout(), None);
    }

    proptest! {
        #[test]
        fn no_target_has_two_polls_in_flight_and_no_limit_is_broken(
            seed in any::<u64>(), at_once in 1usize..9, targets in 1usize..30, steps in prop::collection::vec((0u64..3000, any::<u8>()), 1..400),
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut schedule = Schedule::new(at_once, SmallRng::seed_from_u64(seed));
            let cadence = Cadence { sensors: secs(2), drives: secs(4), log: secs(3), inventory: secs(9) };
            (0..targets).for_each(|n| schedule.set(&id(n), cadence, now));
            let mut flying: HashMap<TargetId, Section> = HashMap::new();
            for (millis, dice) in steps {
                now += Duration::from_millis(millis);
                while let Some(job) = schedule.poll_due(now) {
                    prop_assert!(flying.insert(job.target, job.section).is_none());
                }
                prop_assert!(flying.len() <= at_once);
                if at_once > 1 {
                    let others = flying.values().filter(|s| **s != Section::Sensors).count();
                    prop_assert!(others <= at_once - at_once / 4);
                }
                let outcome = match dice % 4 { 0 => Outcome::TargetFailed, 1 => Outcome::SectionFailed, _ => Outcome::Done };
                if let Some(target) = flying.keys().nth(usize::from(dice) % flying.len().max(1)).cloned() {
                    let section = flying.remove(&target).unwrap();
                    schedule.done(&target, section, outcome, now);
                }
                // What is promised for later is later, and never so far that a target is forgotten.
                if let Some(at) = schedule.poll_timeout() {
                    prop_assert!(at <= now + secs(9 + 300));
                }
            }
        }

        #[test]
        fn every_section_gets_its_turn_even_where_polls_take_longer_than_their_cadence(seed in any::<u64>(), takes in 1u64..9) {
            let start = Instant::now();
            let mut schedule = Schedule::new(1, SmallRng::seed_from_u64(seed));
            let cadence = Cadence { sensors: secs(2), drives: secs(4), log: secs(2), inventory: secs(6) };
            (0..3).for_each(|n| schedule.set(&id(n), cadence, start));
            let log = run(&mut schedule, start, secs(600), |_, _| (secs(takes), Outcome::Done));
            for n in 0..3 {
                for section in Section::OF_BMC {
                    prop_assert!(of(&log, &id(n), section).len() >= 3, "{n} {section:?}");
                }
            }
        }

        #[test]
        fn the_same_seed_makes_the_same_schedule(seed in any::<u64>()) {
            let start = Instant::now();
            let make = || {
                let mut schedule = Schedule::new(3, SmallRng::seed_from_u64(seed));
                (0..5).for_each(|n| schedule.set(&id(n), Cadence::default(), start));
                run(&mut schedule, start, secs(400), |_, _| (secs(1), Outcome::Done))
            };
            prop_assert_eq!(make(), make());
        }
    }
}
