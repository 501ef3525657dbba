//! Temperatures that rise, and what only looks like it.

use super::*;

/// A server whose processor is read every ten minutes, in a room with warmer afternoons.
struct Room {
    course: Course,
    dice: Dice,
}

/// One moment: day, hour of the day.
struct Moment {
    day: i32,
    hour: f64,
}

impl Room {
    fn new() -> Self {
        Self { course: Course::default(), dice: Dice::new(11) }
    }

    /// Runs for days; `above` says how far the processor is above its inlet's air, `inlet` adds to it, `power` is the server's.
    fn run(
        &mut self,
        days: std::ops::Range<i32>,
        above: impl Fn(&Moment) -> f64,
        inlet: impl Fn(&Moment) -> f64,
        power: impl Fn(&Moment) -> f64,
    ) {
        for day in days {
            for ten in 0..144_i32 {
                let now = Moment { day, hour: f64::from(ten) / 6.0 };
                let when = at(day, 0).plus(Duration::from_secs(u64::try_from(ten).unwrap() * 600));
                let daily = ((now.hour - 9.0) / 24.0 * std::f64::consts::TAU).sin();
                let air = 22.0 + 2.0 * daily + inlet(&now);
                let mut cpu = air + above(&now) + 4.0 * daily + 0.7 * self.dice.normal();
                if self.dice.even() < 0.01 {
                    cpu = if self.dice.even() < 0.5 { 127.0 } else { 0.0 };
                }
                self.course.take(&name("chassis/Inlet Temp"), K::Temperature, "Inlet Temp", air.round(), when);
                self.course.take(&name("server/system"), K::Power, "Power", power(&now) + 30.0 * daily, when);
                self.course.take(&name("cpu/1"), K::Temperature, "CPU1 Temp", cpu.round(), when);
            }
        }
    }

    fn rises(&self) -> Vec<Rise> {
        let told = self.course.outlooks(&[]).into_iter().filter_map(|o| match o.foresight {
            Foresight::Rise(rise) => Some(rise),
            _ => None,
        });
        told.collect()
    }
}

fn day(now: &Moment) -> f64 {
    f64::from(now.day) + now.hour / 24.0
}

#[test]
fn a_processor_that_loses_its_paste_is_foretold_to_reach_its_limit() {
    let mut room = Room::new();
    room.run(0..15, |now| 40.0 + 1.2 * day(now), |_| 0.0, |_| 300.0);
    let rise = room.rises().remove(0);
    assert!((rise.a_day - 1.2).abs() < 0.15, "{rise:?}");
    assert!(rise.a_day_low <= 1.2 && 1.2 <= rise.a_day_high, "{rise:?}");
    let (days, first, last) = rise.days_to(95.0).unwrap();
    // In its warm hours of the fifteenth day it is at 24 + 40 + 4 + 17.
    assert!((days - 8.5).abs() < 2.0 && first <= days && days <= last, "{rise:?} {days}");
    assert_eq!(rise.days_to(60.0), None);
}

#[test]
fn daily_cycles_and_weekends_are_no_rise() {
    let mut room = Room::new();
    room.run(0..40, |now| if now.day % 7 >= 5 { 40.0 } else { 52.0 }, |_| 0.0, |_| 300.0);
    for days in 41..48 {
        room.run(days - 1..days, |now| if now.day % 7 >= 5 { 40.0 } else { 52.0 }, |_| 0.0, |_| 300.0);
        assert_eq!(room.rises(), [], "{days}");
    }
}

#[test]
fn a_load_that_comes_and_stays_is_no_rise_on_any_day_after_it() {
    let mut room = Room::new();
    room.run(0..21, |_| 40.0, |_| 0.0, |_| 0.0);
    for day in 21..45 {
        room.run(day..day + 1, |_| 52.0, |_| 0.0, |_| 0.0);
        assert_eq!(room.rises(), [], "{day}");
    }
}

#[test]
fn a_load_that_grows_with_the_servers_power_is_no_rise() {
    let mut room = Room::new();
    room.run(0..20, |now| 40.0 + 0.8 * day(now), |_| 0.0, |now| 300.0 + 6.0 * day(now));
    assert_eq!(room.rises(), []);
}

#[test]
fn an_aisle_that_gets_hot_is_no_rise_of_the_processor() {
    let mut room = Room::new();
    room.run(0..20, |_| 45.0, |now| 0.7 * day(now), |_| 300.0);
    assert_eq!(room.rises(), []);
}

#[test]
fn a_rise_is_foretold_through_days_on_which_nothing_was_read() {
    let mut room = Room::new();
    let paste = |now: &Moment| 40.0 + 1.2 * day(now);
    room.run(0..6, paste, |_| 0.0, |_| 300.0);
    room.run(10..19, paste, |_| 0.0, |_| 300.0);
    let rise = room.rises().remove(0);
    assert!((rise.a_day - 1.2).abs() < 0.15, "{rise:?}");
}

#[test]
fn a_rise_that_has_come_to_its_end_is_no_rise() {
    let mut room = Room::new();
    room.run(0..30, |now| 40.0 + 1.2 * day(now).min(9.0), |_| 0.0, |_| 300.0);
    assert_eq!(room.rises(), []);
}

#[test]
fn a_week_is_too_short_for_a_rise() {
    let mut room = Room::new();
    room.run(0..8, |now| 40.0 + 1.2 * day(now), |_| 0.0, |_| 300.0);
    assert_eq!(room.rises(), []);
}

/// A server with a life of its own, read every half hour: working days and weekends, load that wanders from day to day, that comes and goes in steps, seasons
/// in the room, bad reads, days that are not read; three of ten do not tell their power. `paste` says what a day adds in K from day 30 on. `each_day` is told the
/// day, how hot its warm hours are, and what is foreseen; it answers whether to go on.
fn lived(seed: u64, paste: f64, days: i32, mut each_day: impl FnMut(i32, f64, Vec<Rise>) -> bool) {
    let mut dice = Dice::new(seed);
    let mut course = Course::default();
    let (weekend, steps, knows_power) = (0.5 + 0.5 * dice.even(), dice.even() < 0.7, dice.even() < 0.7);
    let (mut wander, mut step) = (0.0, 1.0);
    for day in 0..days {
        wander = 0.7 * wander + 0.1 * dice.normal();
        if steps && dice.even() < 0.04 {
            step = 0.6 + 0.6 * dice.even();
        }
        let load = (step * (1.0 + wander) * if day % 7 >= 5 { weekend } else { 1.0 }).clamp(0.2, 1.6);
        let season = 4.0 * (f64::from(day) / 60.0).sin();
        let worn = paste * f64::from((day - 30).max(0));
        let hot = 23.4 + season + 42.0 * load.sqrt() * 1.066 + worn;
        if dice.even() < 0.05 {
            continue;
        }
        for half in 0..48_i32 {
            let when = at(day, 0).plus(Duration::from_secs(u64::try_from(half).unwrap() * 1800));
            let daily = ((f64::from(half) / 2.0 - 9.0) / 24.0 * std::f64::consts::TAU).sin();
            let inlet = 22.0 + season + 1.5 * daily + 0.3 * dice.normal();
            let power = 250.0 * load * (1.0 + 0.15 * daily);
            let cpu = inlet + 42.0 * load.sqrt() * (1.0 + 0.07 * daily) + worn + 0.8 * dice.normal();
            let cpu = if dice.even() < 0.01 { 255.0 * dice.even() } else { cpu };
            course.take(&name("chassis/Inlet Temp"), K::Temperature, "Inlet Temp", inlet.round(), when);
            if knows_power {
                course.take(&name("server/system"), K::Power, "Power", power, when);
            }
            course.take(&name("cpu/1"), K::Temperature, "CPU1 Temp", cpu.round(), when);
        }
        let told = course.outlooks(&[]).into_iter().filter_map(|o| match o.foresight {
            Foresight::Rise(rise) => Some(rise),
            _ => None,
        });
        if !each_day(day, hot, told.collect()) {
            return;
        }
    }
}

const LIMIT: f64 = 95.0;

fn is_near(rise: &Rise) -> bool {
    rise.days_to(LIMIT).is_some_and(|(days, ..)| days <= 14.0)
}

#[test]
fn servers_that_only_live_are_foretold_nothing() {
    let mut wrong = 0;
    for seed in 0..80 {
        let mut told = false;
        lived(seed, 0.0, 120, |_, _, rises| {
            told |= rises.iter().any(is_near);
            !told
        });
        wrong += u32::from(told);
    }
    println!("of 80 servers that live for 120 days {wrong} are foretold to get too hot");
    assert!(wrong <= 1, "{wrong}");
}

#[test]
fn servers_that_lose_their_paste_are_foretold_to_get_too_hot_and_about_when() {
    let (mut seen, mut within, mut before) = (0_u32, 0_u32, Vec::new());
    for seed in 0..60 {
        let (mut first, mut end) = (None, 0);
        lived(5000 + seed, 1.2, 200, |day, hot, rises| {
            end = day;
            if let (None, Some(rise)) = (first, rises.iter().find(|r| is_near(r))) {
                let (_, low, high) = rise.days_to(LIMIT).unwrap();
                let true_days = (LIMIT - rise.now) / 1.2;
                within += u32::from(low <= true_days && true_days <= high);
                first = Some(day);
            }
            day <= 30 || hot < LIMIT
        });
        seen += u32::from(first.is_some());
        before.extend(first.map(|day| f64::from(end - day)));
    }
    let lead = crate::stats::median(before).unwrap();
    println!(
        "of 60 servers that lose 1.2 K a day {seen} are told, by the median {lead} days before; the interval holds {within}"
    );
    assert!(seen >= 42 && within * 100 >= seen * 65 && lead >= 5.0, "{seen} {within} {lead}");
}
