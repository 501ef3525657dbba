//! The figures of a comparison are those of the judge.

use super::*;
use crate::train::backtest;
use crate::train::judge::Alarm;
use crate::train::source::{Histories, Life};
use outband_health::model::{Drive, SHIPPED};

/// Ten drives that fail on day 100, and a thousand that do not.
fn fleet() -> Histories {
    let life = |n: i32, failed: bool| Life {
        id: format!("D{n}"),
        model: "M".to_owned(),
        drive: Drive::default(),
        first: 0,
        last: if failed { 100 } else { 200 },
        failed,
    };
    Histories { lives: (0..1010).map(|n| life(n, n < 10)).collect(), ..Histories::default() }
}

/// A model to be named; nothing is scored by it here.
fn some_model() -> DiskModel {
    serde_json::from_str(SHIPPED).unwrap()
}

/// A report whose alarms foretell so many of the ten, and of so many more that nothing comes.
fn report(right: usize, wrong: usize) -> Report {
    let alarm = |drive, day, score| Alarm { drive, day, score };
    let mut alarms: Vec<Alarm> = (0..right).map(|drive| alarm(drive, 90, 0.9)).collect();
    alarms.extend((0..wrong).map(|n| alarm(10 + n, 60, 0.6)));
    Report { alarms, plain: Vec::new(), bins: Default::default(), quiet: Default::default() }
}

const ASK: Ask = Ask { from: 50, to: 180, budget: 0.1 };

fn lines(before: &Report, after: &Report) -> Vec<String> {
    let history = fleet();
    let model = some_model();
    let old = DiskModel { version: "disk-old".to_owned(), trained_to: "1970-01-15".to_owned(), ..model.clone() };
    let new = DiskModel { version: "disk-new".to_owned(), trained_to: "1970-02-10".to_owned(), ..model };
    let judge = Judge::new(&history, ASK.from, ASK.to);
    let sides = (Side { model: &old, report: before }, Side { model: &new, report: after });
    table(sides.0, sides.1, &judge, ASK).lines().map(str::to_owned).collect()
}

fn row<'a>(lines: &'a [String], what: &str) -> Vec<&'a str> {
    let line = lines.iter().find(|l| l.starts_with(what)).unwrap_or_else(|| panic!("{what}: {lines:#?}"));
    line[what.len()..].split_whitespace().collect()
}

#[test]
fn each_figure_stands_before_and_after_with_its_difference() {
    let told = lines(&report(4, 2), &report(7, 2));
    assert!(
        told[0].contains("disk-old (trained to 1970-01-15); after: disk-new (trained to 1970-02-10)"),
        "{}",
        told[0]
    );
    assert!(told[0].ends_with("10 failures"));
    assert_eq!(row(&told, "recall at false <= 0.1")[..3], ["0.4000", "0.7000", "+0.3000"]);
    assert_eq!(row(&told, "as it runs: recall")[..3], ["0.4000", "0.7000", "+0.3000"]);
    // 4 of 6 tickets, and 7 of 9.
    assert_eq!(row(&told, "as it runs: precision")[..3], ["0.6667", "0.7778", "+0.1111"]);
    assert_eq!(row(&told, "median lead at false <= 0.1, days")[..3], ["10", "10", "+0"]);
    assert!(told.last().unwrap().starts_with("Nothing was put in use"));
}

#[test]
fn a_lead_of_no_ticket_is_none() {
    let told = lines(&report(0, 2), &report(7, 2));
    assert_eq!(row(&told, "median lead at false <= 0.1, days"), ["-", "10", "-"]);
}

#[test]
fn the_interval_is_of_the_failures_that_only_one_of_them_foretold() {
    let interval = |told: &[String]| -> Vec<f64> {
        let line = told.iter().find(|l| l.starts_with("recall at false <= 0.2")).unwrap();
        let (_, span) = line.split_once("fleets ").unwrap();
        span.trim_end_matches(')').split(" to ").map(|n| n.parse().unwrap()).collect()
    };
    let better = interval(&lines(&report(4, 0), &report(7, 0)));
    // Three of ten drives: between none and six in 95 % of all draws of ten (binomial).
    assert!((0.0..=0.1).contains(&better[0]) && (0.5..=0.7).contains(&better[1]), "{better:?}");
    assert_eq!(interval(&lines(&report(4, 3), &report(4, 3))), [0.0, 0.0]);
}

#[test]
fn a_model_that_knows_the_period_is_named() {
    let history = fleet();
    let knowing = DiskModel { trained_to: "1970-03-30".to_owned(), ..some_model() };
    let judge = Judge::new(&history, ASK.from, ASK.to);
    let report = report(4, 2);
    let side = Side { model: &knowing, report: &report };
    let told = table(side, side, &judge, ASK);
    assert_eq!(told.matches("was trained on days of this period").count(), 2, "{told}");
}

#[test]
fn a_period_too_short_to_be_judged_is_told() {
    let history = fleet();
    let ask = Ask { from: 300, to: 310, budget: 0.1 };
    let model = some_model();
    let report = backtest::run(&model, &history, ask, &mut |_| {});
    let side = Side { model: &model, report: &report };
    assert!(table(side, side, &Judge::new(&history, 300, 310), ask).contains("no ticket can be judged"));
}
