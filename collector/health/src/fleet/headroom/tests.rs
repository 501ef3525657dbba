use super::course::{Course, Meter, Why};
use super::group::{ASSUMED_LIMIT, Group};
use super::sum::Sum;
use super::trend::{Full, LEAST_DAYS, trend};
use super::*;
use crate::fleet::usage::{Day, Hours, Inlet, Level, Power, day_start};
use proptest::prelude::*;

const LAST: i32 = 20_000;

/// Thirty days, of which the last is over.
fn span() -> Span {
    Span::ending(Timestamp::from_millis(day_start(LAST).as_millis() + 86_399_000), 30)
}

fn hours(value: impl Fn(usize) -> Option<f64>) -> Hours {
    let mut hours = Hours::default();
    hours.0.iter_mut().enumerate().for_each(|(h, to)| *to = value(h).map(|v| v as f32));
    hours
}

/// A day in which every hour has this power.
fn drawing(watts: impl Fn(usize) -> Option<f64>) -> Day {
    let mean = hours(watts);
    let power = Power { sensor: "power".to_owned(), mean, peak: mean };
    Day { seen: 24, power: Some(power), ..Day::default() }
}

/// Days of a server: the power in each hour of each, by its place in the span.
fn days(of: std::ops::Range<usize>, watts: impl Fn(usize, usize) -> Option<f64>) -> Vec<(i32, Day)> {
    of.map(|day| (span().date(day), drawing(|hour| watts(day, hour)))).collect()
}

fn even(watts: f64) -> Course {
    Course::of(&span(), &days(0..30, |_, _| Some(watts)))
}

fn near(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 0.011 * wanted.abs().max(0.1), "{found} is not {wanted}");
}

#[test]
fn a_quantile_is_the_least_value_that_so_many_are_not_above() {
    let values: Vec<f64> = (1..=24).map(f64::from).collect();
    assert_eq!(quantile(values.clone(), 0.95), Some(23.0));
    assert_eq!((quantile(values.clone(), 0.5), quantile(values, 1.0)), (Some(12.0), Some(24.0)));
    assert_eq!((quantile(vec![7.0], 0.95), quantile(Vec::new(), 0.95)), (Some(7.0), None));
}

#[test]
fn a_sum_is_of_what_is_drawn_in_the_same_hour() {
    // One by day, one by night: together they never draw more than one of them.
    let span = span();
    let turns = |day: bool| {
        let watts = move |_, hour: usize| Some(if (hour < 12) == day { 500.0 } else { 100.0 });
        Course::of(&span, &days(0..30, watts))
    };
    let mut group = Group::new(&span);
    group.add("servers/a", &turns(true), 1.0, true);
    group.add("servers/b", &turns(false), 1.0, true);
    let load = group.load().unwrap();
    assert_eq!((load.mean, load.p95, load.max, load.hours, load.left_out), (600.0, 600.0, 600.0, 720, 0));
    assert_eq!(group.room(1000.0).unwrap().left, 400.0);
}

#[test]
fn more_servers_fit_by_what_the_median_one_draws() {
    let mut group = Group::new(&span());
    for (n, watts) in [200.0, 410.0, 420.0, 430.0, 900.0].into_iter().enumerate() {
        group.add(&format!("servers/{n}"), &even(watts), 1.0, true);
    }
    let room = group.room(4100.0).unwrap();
    assert_eq!((room.left, room.each, room.more, room.at_most), (1740.0, Some(420.0), Some(4), false));
    let over = group.room(2000.0).unwrap();
    assert_eq!((over.left, over.more), (-360.0, Some(0)));
}

#[test]
fn who_tells_nothing_counts_as_unknown_and_not_as_nothing() {
    let mut group = Group::new(&span());
    group.add("servers/a", &even(400.0), 1.0, true);
    group.add("servers/gone", &Course::of(&span(), &days(0..25, |_, _| Some(400.0))), 1.0, false);
    let deaf = (span().date(29), Day { seen: 24, ..Day::default() });
    group.add("servers/deaf", &Course::of(&span(), &[deaf]), 1.0, false);
    group.add("servers/never", &Course::of(&span(), &[]), 1.0, false);
    assert_eq!(group.load().unwrap().p95, 400.0);
    let why: Vec<(Why, u64)> = group.unknown().iter().map(|(w, n)| (*w, *n)).collect();
    assert_eq!(why, [(Why::NoSensor, 1), (Why::Silent, 1), (Why::Nothing, 1)]);
    assert!(group.room(1000.0).unwrap().at_most, "what is left is at most this");
    let mut nobody = Group::new(&span());
    nobody.add("servers/never", &Course::of(&span(), &[]), 1.0, false);
    assert_eq!((nobody.load(), nobody.room(1000.0)), (None, None));
}

#[test]
fn a_short_gap_is_filled_with_what_is_usual_and_said_to_be() {
    let mut group = Group::new(&span());
    for n in 0..11 {
        group.add(&format!("servers/{n}"), &even(300.0), 1.0, true);
    }
    let gap = |day: usize, _| (day != 10).then_some(300.0);
    group.add("servers/gap", &Course::of(&span(), &days(0..30, gap)), 1.0, true);
    let load = group.load().unwrap();
    assert_eq!((load.p95, load.hours, load.left_out), (3600.0, 720, 0));
    near(load.filled, 1.0 / 30.0 / 12.0);
    // Two of three silent: such hours say nothing.
    let mut few = Group::new(&span());
    few.add("servers/a", &even(300.0), 1.0, true);
    few.add("servers/b", &Course::of(&span(), &days(0..30, gap)), 1.0, true);
    let load = few.load().unwrap();
    assert_eq!((load.p95, load.hours, load.left_out, load.filled), (600.0, 696, 24, 0.0));
}

#[test]
fn a_rack_that_grows_is_full_when_the_line_reaches_the_limit_and_the_interval_holds_the_day() {
    let span = span();
    let mut group = Group::new(&span);
    for n in 0..10 {
        // 1 W a day each, with a daily wave and some noise.
        let watts = move |day: usize, hour: usize| {
            let noise = ((day * 37 + hour * 17 + n * 101) % 13) as f64 - 6.0;
            Some(300.0 + day as f64 + 20.0 * (hour as f64 / 24.0 * std::f64::consts::TAU).sin() + noise)
        };
        group.add(&format!("servers/{n}"), &Course::of(&span, &days(0..30, watts)), 1.0, true);
    }
    let line = group.trend().unwrap();
    assert!((line.a_day - 10.0).abs() < 0.7 && line.low <= 10.0 && 10.0 <= line.high, "{line:?}");
    let now = line.now;
    match group.full(now + 500.0).unwrap() {
        Full::From { first, likely: Some(likely), last: Some(last) } => {
            assert!(first <= LAST + 50 && LAST + 50 <= last, "{first} {last}");
            assert!((likely - LAST - 50).abs() <= 5 && last - first < 40, "{likely} {first} {last}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(group.full(now - 1.0), Some(Full::Already));
    assert_eq!(group.full(now + 100_000.0), Some(Full::NotWithinYear));
}

#[test]
fn a_server_that_came_is_no_growth() {
    let told: Vec<Vec<bool>> = [0, 0, 0, 12].map(|from| (0..30).map(|day| day >= from).collect()).to_vec();
    let there = steady(&told);
    assert_eq!(there, [true, true, true, false]);
    let mut group = Group::new(&span());
    for (n, there) in there.into_iter().enumerate() {
        let from = if n == 3 { 12 } else { 0 };
        group.add(&format!("servers/{n}"), &Course::of(&span(), &days(from..30, |_, _| Some(400.0))), 1.0, there);
    }
    assert_eq!((group.trend().unwrap().a_day, group.steadies(), group.servers()), (0.0, 3, 4));
    // What it draws is drawn all the same: the rack is as full as it is now.
    assert_eq!(group.load().unwrap().p95, 1600.0);
    assert_eq!(group.full(1700.0), Some(Full::NotWithinYear));
    assert_eq!(group.full(1500.0), Some(Full::Already));
}

#[test]
fn days_on_which_nobody_watched_are_nobodys_fault() {
    let told =
        |days: &[std::ops::Range<usize>]| (0..30).map(|d| days.iter().any(|r| r.contains(&d))).collect::<Vec<bool>>();
    // Watched since day 10, with an outage of a week.
    let all = [told(&[10..15, 22..30]), told(&[10..15, 22..30]), told(std::slice::from_ref(&(22..30)))];
    assert_eq!(steady(&all), [true, true, false]);
    assert_eq!(steady(&[vec![false; 30]]), [false]);
    assert_eq!(steady(&[]), Vec::<bool>::new());
}

#[test]
fn too_few_days_are_no_trend_and_gaps_move_none() {
    let few: Vec<(i32, f64)> = (0..LEAST_DAYS as i32 - 1).map(|d| (d, f64::from(d))).collect();
    assert_eq!(trend(&few).unwrap_err(), LEAST_DAYS - 1);
    let gaps: Vec<(i32, f64)> = (0..60).filter(|d| d % 7 < 3).map(|d| (d, 100.0 + 2.0 * f64::from(d))).collect();
    near(trend(&gaps).unwrap().a_day, 2.0);
    // A day that ran wild, and one that was reset to nothing.
    let wild = gaps.iter().map(|(d, v)| {
        (
            *d,
            if *d == 21 {
                9e4
            } else if *d == 42 {
                0.0
            } else {
                *v
            },
        )
    });
    near(trend(&wild.collect::<Vec<_>>()).unwrap().a_day, 2.0);
}

#[test]
fn the_hottest_server_counts_against_its_own_limit() {
    let breathing = |warm: f64, limit: Option<f32>| {
        let day = |n: usize| {
            let inlet = Inlet {
                sensor: "Inlet".to_owned(),
                mean: hours(|_| Some(warm + n as f64 * 0.1)),
                max: warm as f32 + 4.0,
                limit,
            };
            Day { seen: 24, inlet: Some(inlet), ..Day::default() }
        };
        let days: Vec<(i32, Day)> = (0..30).map(|n| (span().date(n), day(n))).collect();
        Course::of(&span(), &days)
    };
    let mut group = Group::new(&span());
    group.add("servers/cool", &breathing(20.0, None), 1.0, true);
    group.add("servers/warm", &breathing(27.0, Some(45.0)), 1.0, true);
    let heat = group.thermal().unwrap();
    // 35 - 22.8 is nearer than 45 - 29.8.
    assert_eq!((heat.servers, heat.assumed, heat.nearest.name.as_str()), (2, 1, "servers/cool"));
    assert!(heat.nearest.assumed && heat.nearest.limit == ASSUMED_LIMIT);
    near(heat.nearest.left(), 12.2);
    // 0.1 K a day nearer: 121 days are left.
    match heat.full.unwrap() {
        Full::From { likely: Some(day), .. } => assert!((day - LAST - 121).abs() <= 3, "{day}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(group.load(), None, "nobody tells the power");
}

#[test]
fn use_is_told_where_it_is_and_else_stood_for_by_the_power() {
    let level = |p95: f32| Some(Level { mean: p95 / 2.0, p95, max: p95 });
    let mut told = days(0..30, |_, _| Some(300.0));
    told.iter_mut().for_each(|(_, day)| day.cpu = level(60.0));
    let mut group = Group::new(&span());
    group.add("servers/a", &Course::of(&span(), &told), 1.0, true);
    let half = |_: usize, hour: usize| Some(if hour == 7 { 400.0 } else { 200.0 });
    group.add("servers/b", &Course::of(&span(), &days(0..30, half)), 1.0, true);
    let used = group.used();
    let of = |meter: Meter| *used.iter().find(|u| u.meter == meter).unwrap();
    let cpu = of(Meter::Cpu);
    assert_eq!((cpu.servers, cpu.mean, cpu.p95, cpu.full), (1, 30.0, 60.0, Some(Full::NotWithinYear)));
    let proxy = of(Meter::PowerShare);
    assert_eq!((proxy.servers, proxy.p95), (1, 50.0));
    assert!(used.len() == 2, "{used:?}");
}

#[test]
fn a_supply_may_be_lost_or_the_server_is_held_to_less() {
    let with = |capacity: Option<f32>, cap: Option<f32>, supplies: u8| {
        let mut days = days(29..30, |_, _| Some(300.0));
        days.iter_mut().for_each(|(_, d)| (d.capacity, d.cap, d.supplies) = (capacity, cap, supplies));
        Course::of(&span(), &days).limit()
    };
    assert_eq!(with(Some(1600.0), None, 2), Some((800.0, true)));
    assert_eq!(with(Some(800.0), None, 1), Some((800.0, false)));
    assert_eq!(with(Some(3000.0), Some(1200.0), 4), Some((1200.0, true)));
    assert_eq!(with(None, Some(500.0), 2), Some((500.0, false)));
    assert_eq!(with(None, None, 2), None);
}

#[test]
fn what_one_feed_carried_the_other_carries_too_when_it_is_lost() {
    let (mut own, mut more) = (Sum::new(&span()), Sum::new(&span()));
    for _ in 0..10 {
        own.add(&even(400.0), 0.5);
        more.add(&even(400.0), 0.5);
    }
    assert_eq!(own.load().unwrap().p95, 2000.0);
    assert_eq!(own.with(&more).load().unwrap().p95, 4000.0);
}

proptest! {
    #[test]
    fn the_order_of_days_and_of_servers_says_nothing(watts in prop::collection::vec(prop::collection::vec(50.0..900.0_f64, 30), 1..6), turn in 0_usize..30) {
        let of = |w: &Vec<f64>| days(0..30, |day, _| w.get(day).copied());
        let add = |group: &mut Group, n: usize, d: &[(i32, Day)]| group.add(&format!("servers/{n}"), &Course::of(&span(), d), 1.0, true);
        let (mut there, mut back) = (Group::new(&span()), Group::new(&span()));
        for (n, w) in watts.iter().enumerate() {
            add(&mut there, n, &of(w));
        }
        for (n, w) in watts.iter().enumerate().rev() {
            let mut turned = of(w);
            turned.rotate_left(turn);
            add(&mut back, n, &turned);
        }
        let (a, b) = (there.load().unwrap(), back.load().unwrap());
        prop_assert!((a.p95 - b.p95).abs() < 1e-6 && (a.mean - b.mean).abs() < 1e-6 && a.hours == b.hours);
        let (a, b) = (there.trend().unwrap(), back.trend().unwrap());
        prop_assert!((a.a_day - b.a_day).abs() < 1e-6 && (a.now - b.now).abs() < 1e-6);
    }

    #[test]
    fn kilowatts_are_as_full_on_the_same_days_as_watts(a_day in 0.2..5.0_f64, left in 10.0..400.0_f64) {
        let at = |scale: f64| {
            let points: Vec<(i32, f64)> =
                (0..30).map(|d| (LAST - 29 + d, scale * (1000.0 + a_day * f64::from(d) + f64::from(d * 7 % 5)))).collect();
            let line = trend(&points).unwrap();
            line.full(line.now + left * scale)
        };
        prop_assert_eq!(at(1.0), at(1.0 / 1024.0));
    }

    #[test]
    fn gaps_move_no_mean_of_what_never_changes(watts in 50.0..900.0_f64, holes in prop::collection::btree_set(0_usize..720, 0..600)) {
        let told = |day: usize, hour: usize| (!holes.contains(&(day * 24 + hour)) || day == 29).then_some(watts);
        let mut sum = Sum::new(&span());
        sum.add(&Course::of(&span(), &days(0..30, told)), 1.0);
        let load = sum.load().unwrap();
        prop_assert!((load.mean - watts).abs() < 1e-3 && (load.p95 - watts).abs() < 1e-3);
        prop_assert_eq!(load.filled, 0.0);
    }
}
