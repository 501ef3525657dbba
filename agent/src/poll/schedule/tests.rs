use super::*;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

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

/// Targets of a schedule whose sessions can be shared.
fn shared(schedule: &mut Schedule<SmallRng>, targets: usize, cadence: Cadence, start: Instant) {
    for n in 0..targets {
        schedule.set(&id(n), cadence, start);
        schedule.session_shared(&id(n));
    }
}

#[test]
fn a_log_and_an_inventory_of_minutes_leave_the_cadence_of_sensors_alone_where_the_session_is_shared() {
    let start = Instant::now();
    let mut schedule = schedule(4);
    shared(&mut schedule, 1, Cadence::default(), start);
    let log = run(&mut schedule, start, secs(3600), |job, _| match job.section {
        Section::Sensors => (secs(2), Outcome::Done),
        Section::Log => (secs(18), Outcome::Done),
        _ => (secs(400), Outcome::Done),
    });
    let sensors = of(&log, &id(0), Section::Sensors);
    for pair in sensors[1..].windows(2) {
        assert_eq!(pair[1] - pair[0], secs(60));
    }
    assert!((58..=60).contains(&sensors.len()), "{}", sensors.len());
    assert!(log.iter().filter(|(_, j)| j.section == Section::Sensors).all(|(_, j)| j.missed == 0));
    let missed: u64 = log.iter().filter(|(_, j)| j.section == Section::Log).map(|(_, j)| j.missed).sum();
    let (made, lost) = (of(&log, &id(0), Section::Log).len() as u64, missed);
    // What the last slow one cost is told by the poll after it, which may not have been yet.
    assert!(
        (92..=120).contains(&(made + lost)),
        "what the slow ones cost each other is told: {made} made, {lost} missed"
    );
}

#[test]
fn a_first_inventory_holds_sensors_for_half_a_minute_and_not_for_as_long_as_it_takes() {
    let start = Instant::now();
    let mut schedule = schedule(4);
    shared(&mut schedule, 1, Cadence::default(), start);
    let log = run(&mut schedule, start, secs(300), |job, _| match job.section {
        Section::Inventory => (secs(200), Outcome::Done),
        _ => (secs(1), Outcome::Done),
    });
    assert_eq!(log[0].1.section, Section::Inventory);
    let first = of(&log, &id(0), Section::Sensors)[0];
    assert!(first >= FIRST_LOOK && first <= FIRST_LOOK + secs(1), "{first:?}");
    assert!(of(&log, &id(0), Section::Log)[0] >= secs(200), "one slow section at a time");
}

#[test]
fn without_a_shared_session_there_is_one_poll_at_a_time() {
    let start = Instant::now();
    let mut schedule = schedule(4);
    schedule.set(&id(0), Cadence::default(), start);
    let log = run(&mut schedule, start, secs(600), |_, _| (secs(40), Outcome::Done));
    assert!(log.windows(2).all(|w| w[1].0 - w[0].0 >= secs(40)));
}

#[test]
fn a_busy_bmc_is_left_alone_for_as_long_as_it_asks_whatever_else_was_in_flight() {
    let start = Instant::now();
    let mut schedule = schedule(4);
    shared(&mut schedule, 1, Cadence::default(), start);
    let log = run(&mut schedule, start, secs(900), |job, at| match job.section {
        Section::Log if (secs(100)..secs(130)).contains(&at) => (secs(1), Outcome::Busy(Some(secs(200)))),
        Section::Sensors => (secs(20), Outcome::Done),
        _ => (secs(1), Outcome::Done),
    });
    let busy = of(&log, &id(0), Section::Log).into_iter().find(|t| *t >= secs(100)).unwrap() + secs(1);
    let next = log.iter().map(|(t, _)| *t).find(|t| *t > busy).unwrap();
    assert!(next >= busy + secs(200) && next <= busy + secs(202), "busy until {:?}, asked {next:?}", busy + secs(200));
    assert!(log.iter().all(|(_, j)| j.missed == 0), "a wish that is heeded is no slowness");
}

#[test]
fn a_bmc_that_told_something_and_wants_to_rest_is_left_alone_too() {
    let start = Instant::now();
    let mut schedule = schedule(4);
    schedule.set(&id(0), Cadence::default(), start);
    run(&mut schedule, start, secs(100), |_, _| (secs(1), Outcome::Done));
    schedule.rest(&id(0), secs(120), start + secs(100));
    let log = run(&mut schedule, start + secs(100), secs(600), |_, _| (secs(1), Outcome::Done));
    assert_eq!(log[0].0, secs(120));
    assert!(log.iter().all(|(_, j)| j.missed == 0), "{log:?}");
}

#[test]
fn a_bmc_that_is_to_be_left_alone_is() {
    let start = Instant::now();
    let mut schedule = schedule(4);
    schedule.set(&id(0), Cadence::default(), start);
    let log = run(&mut schedule, start, secs(3600), |_, _| (Duration::ZERO, Outcome::LeaveAlone(secs(300))));
    assert!(log.windows(2).all(|w| w[1].0 - w[0].0 == secs(300)), "{log:?}");
}

#[test]
fn what_happens_while_a_log_is_read_is_looked_for_right_after() {
    let start = Instant::now();
    let mut schedule = schedule(4);
    schedule.set(&id(0), Cadence::default(), start);
    run(&mut schedule, start, secs(100), |_, _| (secs(1), Outcome::Done));
    let mut now = start + secs(100);
    schedule.hasten(&id(0), Section::Log, now);
    let mut job = schedule.poll_due(now).unwrap();
    while job.section != Section::Log {
        schedule.done(&id(0), job.section, Outcome::Done, now);
        job = schedule.poll_due(now).unwrap();
    }
    schedule.hasten(&id(0), Section::Log, now);
    now += secs(1);
    schedule.done(&id(0), Section::Log, Outcome::Done, now);
    assert_eq!(schedule.poll_timeout(), Some(now));
    assert_eq!(schedule.poll_due(now).unwrap().section, Section::Log);
    schedule.done(&id(0), Section::Log, Outcome::Done, now);
    assert!(schedule.poll_timeout().unwrap() > now, "once");
}

#[test]
fn a_log_that_is_told_by_itself_is_polled_less_often_until_it_is_not() {
    let start = Instant::now();
    let mut schedule = schedule(4);
    schedule.set(&id(0), Cadence::default(), start);
    run(&mut schedule, start, secs(100), |_, _| (secs(1), Outcome::Done));
    schedule.slow_down(&id(0), Section::Log, Some(secs(600)), start + secs(100));
    let slow = run(&mut schedule, start + secs(100), secs(3000), |_, _| (secs(1), Outcome::Done));
    assert!((5..=6).contains(&of(&slow, &id(0), Section::Log).len()), "{:?}", of(&slow, &id(0), Section::Log));
    assert!(slow.iter().all(|(_, j)| j.missed == 0));
    schedule.slow_down(&id(0), Section::Log, None, start + secs(3100));
    let fast = run(&mut schedule, start + secs(3100), secs(300), |_, _| (secs(1), Outcome::Done));
    assert!((9..=11).contains(&of(&fast, &id(0), Section::Log).len()));
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
    fn no_target_has_more_polls_in_flight_than_its_session_bears_and_no_limit_is_broken(
        seed in any::<u64>(), at_once in 1usize..9, targets in 1usize..30, steps in prop::collection::vec((0u64..3000, any::<u8>()), 1..400),
    ) {
        let start = Instant::now();
        let mut now = start;
        let mut schedule = Schedule::new(at_once, SmallRng::seed_from_u64(seed));
        let cadence = Cadence { sensors: secs(2), drives: secs(4), log: secs(3), inventory: secs(9) };
        (0..targets).for_each(|n| schedule.set(&id(n), cadence, now));
        // Those with an even number can be shared once a poll of them ended well.
        let sharable = |id: &TargetId| id.as_str().ends_with(['0', '2', '4', '6', '8']);
        let mut flying: Vec<(TargetId, Section)> = Vec::new();
        for (millis, dice) in steps {
            now += Duration::from_millis(millis);
            while let Some(job) = schedule.poll_due(now) {
                let beside: Vec<Section> = flying.iter().filter(|f| f.0 == job.target).map(|f| f.1).collect();
                match beside.as_slice() {
                    [] => {}
                    [other] => {
                        prop_assert!(sharable(&job.target));
                        prop_assert!((*other == Section::Sensors) != (job.section == Section::Sensors));
                    }
                    _ => prop_assert!(false, "a third"),
                }
                flying.push((job.target, job.section));
            }
            prop_assert!(flying.len() <= at_once);
            if at_once > 1 {
                let others = flying.iter().filter(|f| f.1 != Section::Sensors).count();
                prop_assert!(others <= at_once - at_once / 4);
            }
            let outcome = match dice % 7 {
                0 => Outcome::TargetFailed,
                1 => Outcome::SectionFailed,
                2 => Outcome::Busy(None),
                3 => Outcome::LeaveAlone(secs(20)),
                _ => Outcome::Done,
            };
            if !flying.is_empty() {
                let (target, section) = flying.swap_remove(usize::from(dice) % flying.len());
                schedule.done(&target, section, outcome, now);
                if outcome == Outcome::Done && sharable(&target) {
                    schedule.session_shared(&target);
                }
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

#[test]
fn phases_fill_the_cadence_evenly_however_many_targets_there_are() {
    for count in [10, 100, 1000, 5000] {
        let start = Instant::now();
        let mut schedule = schedule(count);
        let cadence = Cadence::default();
        (0..count).for_each(|n| schedule.set(&id(n), cadence, start));
        let end = cadence.sensors * 4;
        let log = run(&mut schedule, start, end, |_, _| (Duration::from_millis(1), Outcome::Done));
        // One whole cadence, well after the start, in ten parts.
        let mut parts = [0usize; 10];
        for (at, job) in log {
            if job.section == Section::Sensors && at >= cadence.sensors * 3 {
                let share = (at - cadence.sensors * 3).as_secs_f64() / cadence.sensors.as_secs_f64();
                parts[((share * 10.0) as usize).min(9)] += 1;
            }
        }
        let even = count as f64 / 10.0;
        assert!(parts.iter().all(|n| (*n as f64 - even).abs() <= even * 0.1 + 2.0), "{count}: {parts:?}");
        assert_eq!(parts.iter().sum::<usize>(), count, "each once");
    }
}

#[test]
fn light_targets_that_never_answer_take_no_slot_of_the_others() {
    let start = Instant::now();
    let mut schedule = schedule(2);
    for n in 0..50 {
        schedule.set(&id(n), Cadence::default(), start);
        if n > 0 {
            schedule.set_light(&id(n));
        }
    }
    let log = run(&mut schedule, start, secs(600), |job, _| match job.target == id(0) {
        true => (secs(1), Outcome::Done),
        false => (secs(100_000), Outcome::SectionFailed),
    });
    let apart = Cadence::default().sensors;
    assert!(of(&log, &id(0), Section::Sensors).len() as u64 >= 600 / apart.as_secs() - 2);
}

#[test]
fn a_turn_costs_no_more_where_ten_thousand_targets_wait() {
    let start = Instant::now();
    let mut schedule = schedule(1);
    for n in 0..10_000 {
        schedule.set(&id(n), Cadence::default(), start);
        schedule.set_light(&id(n));
    }
    // First inventories take all the slots but those that are kept for sensors, and no sensors may start before.
    let later = start + secs(61);
    let started = std::iter::from_fn(|| schedule.poll_due(later)).count();
    assert_eq!(started, LIGHT_AT_ONCE / 4 * 3);
    let turns = Instant::now();
    for _ in 0..10_000 {
        assert!(schedule.poll_due(later).is_none() && schedule.poll_timeout().is_none());
    }
    // A look at each that waits, in each turn, takes minutes.
    assert!(turns.elapsed() < secs(5), "{:?}", turns.elapsed());
}

#[test]
fn a_restart_begins_a_hundred_targets_a_second_however_many_there_are() {
    let start = Instant::now();
    let cadence = Cadence { sensors: secs(60), log: secs(60), ..Cadence::default() };
    let mut schedule = schedule(1);
    for n in 0..9_000 {
        schedule.set(&id(n), cadence, start);
        schedule.set_light(&id(n));
    }
    let log = run(&mut schedule, start, secs(100), |_, _| (Duration::from_millis(200), Outcome::Done));
    let mut begun = [0; 100];
    log.iter()
        .filter(|(_, job)| job.section == Section::Inventory)
        .for_each(|(at, _)| begun[at.as_secs() as usize] += 1);
    assert!(begun[..90].iter().all(|count| (99..=101).contains(count)), "{begun:?}");
    assert_eq!(begun.iter().sum::<i32>(), 9_000);
}
