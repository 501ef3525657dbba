//! Drives that wear.

use super::*;

/// A drive whose usage comes in waves: each day's writes depend on the day's before, weekends have fewer, a fifth of the days is not read.
struct Usage {
    /// How uneven the days are (of the logarithm).
    uneven: f64,
    /// How much a day is like the one before.
    alike: f64,
    weekend: f64,
    bursts: f64,
}

const CALM: Usage = Usage { uneven: 0.4, alike: 0.0, weekend: 1.0, bursts: 0.0 };
const USUAL: Usage = Usage { uneven: 0.6, alike: 0.7, weekend: 0.5, bursts: 0.0 };
const BURSTS: Usage = Usage { bursts: 0.01, ..USUAL };

const PERCENT: f64 = 3.6e12;

/// The life left and the bytes written, day by day until nothing is left.
fn worn(usage: &Usage, days: f64, dice: &mut Dice) -> Vec<(f64, f64)> {
    let (mut life, mut bytes, mut wave, mut amplified) = (40.0 + 60.0 * dice.even(), 0.0, dice.normal(), 0.0_f64);
    let mut told = Vec::new();
    while life > 0.0 {
        wave = usage.alike * wave + (1.0 - usage.alike * usage.alike).sqrt() * dice.normal();
        amplified = 0.95 * amplified + 0.03 * dice.normal();
        let week = if told.len() % 7 >= 5 { usage.weekend } else { 1.0 };
        let burst = if dice.even() < usage.bursts { 10.0 } else { 0.0 };
        let written = (usage.uneven * wave - usage.uneven * usage.uneven / 2.0).exp() * week + burst;
        bytes += written * PERCENT * 100.0 / days;
        life -= written * 100.0 / days * amplified.exp();
        told.push((life.max(0.0).ceil(), bytes));
    }
    told
}

/// The share of drives whose last day is within what was foretold `ahead` days before it, and of how many.
fn covered(usage: &Usage, ahead: usize, writes: bool, seed: u64) -> (f64, u32) {
    let (mut hits, mut all) = (0_u32, 0_u32);
    for number in 0..400 {
        let mut dice = Dice::new(seed * 1000 + number);
        let days = 200.0 + 500.0 * dice.even();
        let told = worn(usage, days, &mut dice);
        let Some(today) = told.len().checked_sub(1 + ahead) else { continue };
        let mut drive = Endurance::default();
        for (day, (life, bytes)) in told.iter().enumerate().take(today + 1) {
            if day < today && dice.even() < 0.2 {
                continue;
            }
            let date = DAY_ONE + i32::try_from(day).unwrap();
            // Thrice a day, one read of a hundred wrong.
            for _ in 0..3 {
                if writes {
                    drive.write("w", *bytes, date);
                }
                drive.live("l", if dice.even() < 0.01 { 100.0 * dice.even() } else { *life }, date);
            }
        }
        let Some((_, Ok(wear))) = drive.foresee(DAY_ONE + i32::try_from(today).unwrap()) else { continue };
        if wear.by != (if writes { Basis::Writes } else { Basis::Time }) {
            continue;
        }
        let end = day_start(DAY_ONE + i32::try_from(told.len() - 1).unwrap());
        all += 1;
        hits += u32::from(wear.early <= end && end <= wear.late);
    }
    (f64::from(hits) / f64::from(all), all)
}

#[test]
fn the_interval_holds_the_last_day_of_about_eighty_drives_of_a_hundred_a_month_and_a_quarter_ahead() {
    for (name, usage) in [("calm", &CALM), ("usual", &USUAL), ("bursts", &BURSTS)] {
        for writes in [false, true] {
            for ahead in [30, 90] {
                let (share, of) = covered(usage, ahead, writes, 7);
                println!("{name}, {ahead} days ahead, writes told {writes}: {share:.3} of {of}");
                assert!((0.70..=0.95).contains(&share) && of > 300, "{name} {ahead} {writes}: {share} of {of}");
            }
        }
    }
}

/// A drive that loses a percent every `every` days, from `life` on, for `days`.
fn steady(life: f64, every: i32, days: i32) -> Endurance {
    let mut drive = Endurance::default();
    for day in 0..days {
        for _ in 0..3 {
            drive.live("l", life - f64::from(day / every), DAY_ONE + day);
        }
    }
    drive
}

fn told(drive: &Endurance, day: i32) -> Result<WearOut, Refusal> {
    drive.foresee(DAY_ONE + day).unwrap().1
}

fn days_to(at: Timestamp, day: i32) -> i64 {
    (at.as_millis() - day_start(DAY_ONE + day).as_millis()) / 86_400_000
}

#[test]
fn a_drive_that_loses_a_percent_every_five_days_is_used_up_when_the_rest_takes_as_long() {
    let wear = told(&steady(60.0, 5, 101), 100).unwrap();
    assert_eq!((wear.left, days_to(wear.expected, 100)), (40.0, 200));
    assert!((wear.percent_a_month - 6.1).abs() < 0.1, "{wear:?}");
    assert!(days_to(wear.early, 100) > 180 && days_to(wear.late, 100) < 220, "{wear:?}");
}

#[test]
fn too_little_change_and_too_short_a_time_give_a_reason_and_no_date() {
    assert_eq!(told(&steady(60.0, 1000, 300), 299), Err(Refusal::TooLittle { steps: 0 }));
    assert_eq!(told(&steady(60.0, 90, 400), 399), Err(Refusal::TooLittle { steps: 1 }));
    assert_eq!(told(&steady(60.0, 2, 20), 19), Err(Refusal::TooShort { days: 17 }));
    assert_eq!(told(&steady(3.0, 5, 40), 39), Err(Refusal::Nothing));
}

#[test]
fn a_burst_of_writes_gives_no_date_for_tomorrow() {
    let mut drive = steady(60.0, 10, 101);
    for (day, life) in [(101, 42.0), (102, 34.0), (103, 25.0)] {
        for _ in 0..3 {
            drive.live("l", life, DAY_ONE + day);
        }
    }
    let wear = told(&drive, 103).unwrap();
    // At the burst's rate three days would be left; at the usual one 250.
    assert!(days_to(wear.expected, 103) > 150, "{wear:?}");
}

#[test]
fn life_that_goes_up_is_another_drive_and_begins_anew() {
    let mut drive = steady(60.0, 5, 101);
    for day in 101..130 {
        for _ in 0..3 {
            drive.live("l", 99.0, DAY_ONE + day);
        }
    }
    assert_eq!(told(&drive, 129), Err(Refusal::TooLittle { steps: 0 }));
}

#[test]
fn single_bad_reads_pass_no_percent_and_begin_nothing_anew() {
    let mut drive = Endurance::default();
    for day in 0..101 {
        let life = 60.0 - f64::from(day / 5);
        for value in [life, if day % 3 == 0 { 0.0 } else { 255.0 }, life, life] {
            drive.live("l", value, DAY_ONE + day);
        }
    }
    assert_eq!(told(&drive, 100).unwrap(), told(&steady(60.0, 5, 101), 100).unwrap());
}

#[test]
fn a_drive_that_is_not_read_for_a_fortnight_is_foretold_all_the_same_and_less_surely() {
    let whole = told(&steady(60.0, 5, 101), 100).unwrap();
    let mut drive = Endurance::default();
    for day in (0..101).filter(|day| !(40..54).contains(day)) {
        for _ in 0..3 {
            drive.live("l", 60.0 - f64::from(day / 5), DAY_ONE + day);
        }
    }
    let gappy = told(&drive, 100).unwrap();
    assert!((days_to(gappy.expected, 100) - days_to(whole.expected, 100)).abs() < 15, "{gappy:?}");
    assert!(days_to(gappy.late, 100) > days_to(whole.late, 100));
}

#[test]
fn a_drive_that_is_written_no_more_is_given_longer_with_every_day() {
    let mut drive = steady(60.0, 5, 101);
    let before = told(&drive, 100).unwrap();
    for day in 101..180 {
        for _ in 0..3 {
            drive.live("l", 40.0, DAY_ONE + day);
        }
    }
    let after = told(&drive, 179).unwrap();
    assert!(after.expected.since(before.expected) > Duration::from_secs(60 * 86_400), "{after:?}");
    assert!(after.late.since(after.early) > before.late.since(before.early));
}

#[test]
fn with_the_bytes_written_a_date_needs_fewer_passages_and_says_how_much_is_written() {
    let mut drive = Endurance::default();
    for day in 0..121 {
        for _ in 0..3 {
            drive.write("w", 1e15 + f64::from(day) * 5e10, DAY_ONE + day);
            drive.live("l", 20.0 - f64::from(day / 30), DAY_ONE + day);
        }
    }
    let wear = told(&drive, 120).unwrap();
    assert_eq!((wear.by, wear.bytes_a_day), (Basis::Writes, Some(5e10)));
    assert!((days_to(wear.expected, 120) - 480).abs() <= 2, "{wear:?}");
}

#[test]
fn a_count_of_bytes_that_begins_anew_is_no_negative_usage() {
    let mut drive = Endurance::default();
    for day in 0..131 {
        let bytes = if day < 60 { 1e15 + f64::from(day) * 1e12 } else { f64::from(day - 60) * 1e12 };
        for _ in 0..3 {
            drive.write("w", bytes, DAY_ONE + day);
            drive.live("l", 60.0 - f64::from(day / 5), DAY_ONE + day);
        }
    }
    let wear = told(&drive, 130).unwrap();
    assert_eq!((wear.by, wear.bytes_a_day), (Basis::Writes, Some(1e12)));
    assert!((days_to(wear.expected, 130) - 170).abs() < 10, "{wear:?}");
}

/// A drive that is read at these hours of a day: a percent every five days, from 60 on.
fn read(drive: &mut Endurance, day: i32, hours: &[i64]) {
    for hour in hours {
        drive.take(K::LifeLeft, "l", 60.0 - f64::from(day / 5), at(day, *hour));
    }
}

fn outlook(drive: &Endurance, before: Option<&Outlook>) -> Option<Outlook> {
    drive.outlook(&name("disk/1"), before)
}

#[test]
fn a_clock_that_was_a_year_ahead_for_an_hour_leaves_nothing_behind() {
    let mut drive = Endurance::default();
    for day in 0..101 {
        read(&mut drive, day, &[1, 9, 17]);
        if day == 50 {
            for hour in [1, 2, 3] {
                drive.take(K::LifeLeft, "l", 49.0, at(day + 365, hour));
            }
        }
    }
    let told = outlook(&drive, None).unwrap();
    let Foresight::WearOut(wear) = &told.foresight else { panic!("{told:?}") };
    assert!((days_to(wear.expected, 100) - 200).abs() < 10, "{wear:?}");
    assert!(days_to(wear.late, 100) - days_to(wear.early, 100) < 60, "{wear:?}");
    assert_eq!(wear.then, (at(5, 0), 59.0), "and nothing is forgotten");
}

#[test]
fn what_comes_a_little_late_counts_for_the_day_that_is_open_and_forgets_nothing() {
    let (mut in_order, mut late) = (Endurance::default(), Endurance::default());
    for day in 0..101 {
        read(&mut in_order, day, &[1, 9, 17]);
        read(&mut late, day, &[1, 9, 17, 16, 15]);
    }
    assert_eq!(outlook(&late, None), outlook(&in_order, None));
}

#[test]
fn what_was_told_stands_until_the_date_has_moved_by_a_week_and_goes_with_the_drive() {
    let mut drive = Endurance::default();
    let mut told: Option<Outlook> = None;
    let mut days = std::collections::BTreeSet::new();
    let mut dice = Dice::new(3);
    let mut life = 60.0;
    for day in 0..200 {
        life -= 0.4 * dice.even();
        for hour in [1, 9, 17] {
            drive.take(K::LifeLeft, "l", life, at(day, hour));
        }
        told = outlook(&drive, told.as_ref());
        days.extend(told.iter().filter(|o| matches!(o.foresight, Foresight::WearOut(_))).map(|o| o.told_at));
    }
    assert!((2..30).contains(&days.len()), "{}", days.len());
    let moved = drive.outlook(&name("disk/2"), told.as_ref()).unwrap();
    assert_eq!(Outlook { component: name("disk/1"), ..moved }, told.unwrap());
}

#[test]
fn of_other_kinds_and_of_no_numbers_nothing_is_taken() {
    let mut drive = Endurance::default();
    drive.take(K::Temperature, "t", 40.0, at(0, 0));
    drive.take(K::LifeLeft, "l", f64::NAN, at(0, 0));
    assert_eq!(drive, Endurance::default());
}

#[test]
fn what_was_stored_and_read_again_foresees_the_same() {
    let (mut course, mut drive) = (Course::default(), Endurance::default());
    for day in 0..101 {
        for hour in [1, 9, 17] {
            drive.take(K::BytesWritten, "w", 1e15 + f64::from(day) * 1e12, at(day, hour));
            drive.take(K::LifeLeft, "l", 60.0 - f64::from(day / 5), at(day, hour));
            course.take(&name("cpu/1"), K::Temperature, "CPU1", 60.0 + f64::from(day) * 0.1, at(day, hour));
        }
    }
    let read: Course = serde_json::from_str(&serde_json::to_string(&course).unwrap()).unwrap();
    assert_eq!(read, course);
    assert_eq!(read.outlooks(&[]), course.outlooks(&[]));
    let read: Endurance = serde_json::from_str(&serde_json::to_string(&drive).unwrap()).unwrap();
    assert_eq!(read, drive);
    assert_eq!(outlook(&read, None), outlook(&drive, None));
}

#[test]
fn what_was_kept_by_places_is_handed_out_once() {
    let kept = serde_json::json!({"hour": 480_000, "date": 20_000, "drives": {"disk/1": steady(60.0, 5, 101)}});
    let mut course: Course = serde_json::from_value(kept).unwrap();
    let drives = course.take_drives();
    assert_eq!(drives.into_iter().collect::<Vec<_>>(), [(name("disk/1"), steady(60.0, 5, 101))]);
    assert!(!serde_json::to_string(&course).unwrap().contains("drives"));
}
