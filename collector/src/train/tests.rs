//! Of a fleet made for the tests, and, where they are there, of the histories of real drives.

use super::backtest::{self, Ask};
use super::judge::{Alarm, Judge};
use super::source::{Histories, Life, Reading, date, day};
use super::{fit, shipped};
use outband_health::model::{Attribute, Drive, Smart, Vendor};

/// 300 drives over 200 days; a third get errors, and of these those whose errors go on fail.
fn fleet() -> Histories {
    let mut history = Histories::default();
    for n in 0..300_i32 {
        let ails = n % 3 == 0;
        let dies = n % 6 == 0;
        let onset = 20 + (n * 7) % 150;
        let last = if dies { onset + 12 } else { 199 };
        let drive = Drive { family: "M".to_owned(), vendor: Vendor::Seagate, capacity: Some(4.0), rotating: None };
        let place = history.lives.len();
        let (id, model) = (format!("D{n:03}"), "M".to_owned());
        history.lives.push(Life { id, model, drive, first: 0, last, failed: dies });
        let mut smart = Smart { hours: Some(1000.0), ..Smart::default() };
        smart.raw[Attribute::ReallocatedSectors as usize] = Some(0.0);
        smart.raw[Attribute::PendingSectors as usize] = Some(0.0);
        history.readings.push(Reading { day: 0, drive: place, smart });
        for (step, at) in (onset..last).step_by(2).take(if dies { 9 } else { 1 }).enumerate().filter(|_| ails) {
            smart.raw[Attribute::ReallocatedSectors as usize] = Some(8.0 * (step + 1) as f64);
            history.readings.push(Reading { day: at, drive: place, smart });
        }
    }
    history.readings.sort_by_key(|r| (r.day, r.drive));
    history
}

#[test]
fn the_same_history_gives_the_same_model_bit_for_bit() {
    let text = || {
        let (model, _) = fit::fit(&fleet(), 199, "t", &mut |_| {}).unwrap();
        serde_json::to_string(&model).unwrap()
    };
    assert_eq!(text(), text());
}

#[test]
fn what_happens_after_the_end_of_training_is_not_learnt() {
    let mut later = fleet();
    let (before, _) = fit::fit(&later, 150, "t", &mut |_| {}).unwrap();
    for life in later.lives.iter_mut().filter(|l| l.last > 150) {
        (life.last, life.failed) = (199, !life.failed);
    }
    later.readings.retain(|r| r.day <= 150);
    let (after, _) = fit::fit(&later, 150, "t", &mut |_| {}).unwrap();
    assert_eq!(before, after);
}

#[test]
fn errors_that_go_on_score_higher_than_one_that_stays() {
    let history = fleet();
    let (model, facts) = fit::fit(&history, 120, "t", &mut |_| {}).unwrap();
    assert!(facts.positives >= 50);
    let report = backtest::run(&model, &history, Ask { from: 121, to: 199, budget: 1.0 }, &mut |_| {});
    let best = |dies: bool| {
        let of = report.alarms.iter().filter(|a| history.lives[a.drive].failed == dies);
        of.map(|a| a.score).fold(0.0, f64::max)
    };
    assert!(best(true) > best(false), "{} {}", best(true), best(false));
    let judge = Judge::new(&history, 121, 199);
    assert!(judge.within(&report.alarms, 1.0).unwrap().recall > 0.9);
}

#[test]
fn the_judge_counts_as_an_operator_would() {
    let mut history = fleet();
    history.lives.truncate(2);
    (history.lives[0].last, history.lives[0].failed) = (100, true);
    (history.lives[1].last, history.lives[1].failed) = (199, false);
    let judge = Judge::new(&history, 50, 180);
    let alarm = |drive, day, score| Alarm { drive, day, score };
    // Too early: wrong. Still open: no other. After 30 days: another, and right.
    let alarms = [alarm(0, 60, 0.9), alarm(0, 89, 0.9), alarm(0, 90, 0.9), alarm(1, 70, 0.9), alarm(1, 80, 0.2)];
    let outcome = judge.at(&alarms, 0.5);
    assert_eq!((outcome.tickets, outcome.wrong, outcome.lead), (3, 2, Some(10)));
    assert!((outcome.recall - 1.0).abs() < 1e-9);
    // 51 days of one drive, 101 of the other.
    assert!((judge.months - 152.0 / 30.4375).abs() < 1e-9, "{}", judge.months);
}

#[test]
fn days_are_read_as_they_are_written() {
    assert_eq!(day("1970-01-02"), Some(1));
    assert_eq!(day("2015-03-01").map(date).as_deref(), Some("2015-03-01"));
    assert_eq!(day("2015-02-30"), None);
}

#[test]
fn the_shipped_model_is_one() {
    assert!(shipped().is_ok());
}

#[test]
fn a_period_in_which_no_ticket_can_be_judged_is_told() {
    let history = fleet();
    let ask = Ask { from: 180, to: 199, budget: 0.1 };
    let (model, _) = fit::fit(&history, 120, "t", &mut |_| {}).unwrap();
    let report = backtest::run(&model, &history, ask, &mut |_| {});
    assert!(report.table(&Judge::new(&history, ask.from, ask.to), 0.1).contains("longer than 30 days"));
}
