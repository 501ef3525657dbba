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
