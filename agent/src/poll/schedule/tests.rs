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
        if (secs(30)..secs(900)).contains(&at) { (secs(1), Outcome::TargetFailed) } else { (secs(1), Outcome::Done) }
    });
    let back = log.iter().map(|(t, _)| *t).find(|t| *t >= secs(900)).unwrap();
    for section in [Section::Sensors, Section::Log, Section::Drives] {
        let first = of(&log, &id(0), section).into_iter().find(|t| *t >= back).unwrap();
        assert!(first - back <= secs(5), "{section:?} {:?}", first - back);
    }
    assert!(log.iter().all(|(_, j)| j.missed == 0));
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
