use super::features::{self, What};
use super::*;
use proptest::prelude::*;

pub(super) fn smart(sectors: f64) -> Smart {
    let mut smart = Smart { hours: Some(100.0), ..Smart::default() };
    smart.raw[Attribute::ReallocatedSectors as usize] = Some(sectors);
    smart.raw[Attribute::PendingSectors as usize] = Some(0.0);
    smart
}

/// Of a maker that the model knows.
const KNOWN: Drive = Drive { family: String::new(), vendor: Vendor::Seagate, capacity: None, rotating: None };

fn feature(history: &History, day: Day, wanted: What) -> f64 {
    let mut found = f64::NAN;
    features::walk(history, &Drive::default(), &Among::default(), day, |feature, value| {
        if feature == (Feature { of: Some(Attribute::ReallocatedSectors), what: wanted }) {
            found = value;
        }
    });
    found
}

fn leaf(number: u16, value: f64) -> Node {
    Node { feature: 0, split: 0.0, missing_left: false, left: number, right: number, value }
}

/// Two trees over two features.
fn forest() -> Forest {
    let root = |feature, split| Node { feature, split, missing_left: true, left: 1, right: 2, value: 0.25 };
    let tree = |feature, split| Tree { nodes: vec![root(feature, split), leaf(1, -0.5), leaf(2, 1.0)] };
    Forest { base: -2.0, trees: vec![tree(0, 3.0), tree(1, 7.0)] }
}

pub(super) fn model() -> DiskModel {
    DiskModel {
        version: "test-1".to_owned(),
        trained_to: "2015-02-28".to_owned(),
        features: features::names(),
        forest: forest(),
        calibration: Calibration::fit(vec![(-2.0, false), (0.0, false), (0.0, true), (2.0, true)], 1),
        quiet: 0.001,
        curve: Curve { levels: vec![-1.0, 0.0, 1.0], rates: vec![4.0, 1.0, 0.25], right: vec![0.1, 0.3, 0.5] },
        cohorts: Cohorts::default(),
        peers: Peers::default(),
    }
}

#[test]
fn names_of_features_are_told_apart() {
    let mut names = features::names();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn changes_are_measured_over_their_window_and_not_from_before_the_first_reading() {
    let mut history = History::default();
    for (day, value) in [(0, 5.0), (90, 7.0), (97, 20.0)] {
        history.read(day, &smart(value));
    }
    assert_eq!(feature(&history, 100, What::Level), 20.0);
    assert_eq!(feature(&history, 100, What::Change(3)), 0.0);
    assert_eq!(feature(&history, 100, What::Change(7)), 13.0);
    assert_eq!(feature(&history, 100, What::Change(120)), 15.0);
    assert_eq!(feature(&history, 100, What::RiseDays(30)), 2.0);
    assert_eq!(feature(&history, 100, What::GreatestRise(30)), 13.0);
    assert_eq!(feature(&history, 100, What::SinceRise), 3.0);
}

#[test]
fn an_attribute_that_appears_has_not_risen() {
    let mut history = History::default();
    history.read(0, &Smart::default());
    history.read(5, &smart(900.0));
    assert_eq!(history.last_error(), None);
    assert!(!history.is_awake(5));
    assert!(feature(&history, 5, What::SinceRise).is_nan());
}

#[test]
fn a_disk_is_scored_for_three_days_after_a_new_error() {
    let mut history = History::default();
    history.read(0, &smart(0.0));
    history.read(10, &smart(8.0));
    let mut row = Vec::new();
    let scored: Vec<bool> = (9..16)
        .map(|day| matches!(model().judge(&history, &KNOWN, &Peers::default(), day, &mut row), Verdict::Scored(_)))
        .collect();
    assert_eq!(scored[1..], [true, true, true, true, false, false]);
}

#[test]
fn nothing_is_said_of_a_drive_without_platters_or_attributes_or_of_an_unknown_maker() {
    let mut history = History::default();
    let mut row = Vec::new();
    assert_eq!(model().judge(&history, &KNOWN, &Peers::default(), 0, &mut row), Verdict::Blind(Blind::NoAttributes));
    let mut grown = Smart::default();
    grown.raw[Attribute::ReallocatedSectors as usize] = Some(3.0);
    history.read(0, &grown);
    assert_eq!(
        model().judge(&history, &KNOWN, &Peers::default(), 0, &mut row),
        Verdict::Blind(Blind::NoAttributes),
        "as SAS drives do"
    );
    history.read(0, &smart(0.0));
    assert_eq!(
        model().judge(&history, &Drive::default(), &Peers::default(), 0, &mut row),
        Verdict::Blind(Blind::UnknownMaker)
    );
    let flash = Drive { rotating: Some(false), ..Drive::default() };
    assert_eq!(model().judge(&history, &flash, &Peers::default(), 0, &mut row), Verdict::Blind(Blind::SolidState));
    assert_eq!(model().judge(&history, &KNOWN, &Peers::default(), 0, &mut row), Verdict::Quiet { probability: 0.001 });
}

#[test]
fn a_model_of_other_features_is_refused() {
    assert_eq!(model().check(), Ok(()));
    let mut other = model();
    other.features.swap(0, 1);
    assert!(matches!(other.check(), Err(Misfit::Features { .. })));
    let mut torn = model();
    torn.forest.trees[0].nodes[0].right = 9;
    assert!(matches!(torn.check(), Err(Misfit::Incomplete { .. })));
}

#[test]
fn the_shipped_model_fits_this_program() {
    let shipped: DiskModel = serde_json::from_str(SHIPPED).unwrap();
    assert_eq!(shipped.check(), Ok(()));
}

#[test]
fn probabilities_rise_with_the_margin() {
    let rows = (0..400).map(|i| (f64::from(i) / 100.0, i % 7 == 0 || i > 300)).collect();
    let calibration = Calibration::fit(rows, 20);
    let steps: Vec<f64> = (-10..60).map(|i| calibration.probability(f64::from(i) / 10.0)).collect();
    assert!(steps.windows(2).all(|w| w[0] <= w[1]), "{steps:?}");
    assert!(steps[0] < 0.3 && steps[69] > 0.9);
}

/// A fleet of 3,000 drives over `days` of which `alarms` a day score `margin`, and every `right`th of these fails 13 days later.
fn live(budget: &mut Budget, days: Day, alarms: usize, margin: impl Fn(Day, usize) -> f64, right: usize, asked: f64) {
    let mut due: Vec<(Day, Opened)> = Vec::new();
    for day in 0..days {
        budget.begin(day, 3000);
        for (_, opened) in due.iter().filter(|(d, _)| *d == day) {
            budget.failed(opened);
        }
        budget.decide(asked);
        for i in 0..alarms {
            let mut opened = Opened::default();
            budget.see(&mut opened, Score { margin: margin(day, i), probability: 0.2 });
            if i % right == 0 {
                due.push((day + 13, opened));
            }
        }
    }
}

#[test]
fn the_threshold_rises_when_a_level_costs_more_than_training_said() {
    let mut budget = Budget::new(model().curve, 3000.0);
    budget.begin(0, 3000);
    let before = budget.decide(1.0);
    // 8 false tickets a day of 3,000 drives: 8 per 100 drive-months, all at a margin of 0.4.
    live(&mut budget, 120, 8, |_, _| 0.4, 1000, 1.0);
    let after = budget.decide(1.0);
    assert!((-0.1..=0.1).contains(&before), "{before}");
    assert!(after > 0.4, "{after}");
}

#[test]
fn probabilities_follow_what_came_of_the_scored() {
    let mut budget = Budget::new(model().curve, 100.0);
    assert!((budget.probability(0.2) - 0.2).abs() < 1e-9);
    // Foretold 0.2 each; every second failed.
    live(&mut budget, 200, 20, |_, _| 0.4, 2, 1.0);
    assert!((budget.probability(0.2) - 0.5).abs() < 0.03, "{}", budget.probability(0.2));
}

#[test]
fn what_has_come_of_the_last_days_counts_before_thirty_have_gone_by() {
    let mut budget = Budget::new(model().curve, 100.0);
    live(&mut budget, 25, 20, |_, _| 0.4, 2, 1.0);
    assert!((0.4..0.6).contains(&budget.probability(0.2)), "{}", budget.probability(0.2));
}

proptest! {
    #[test]
    fn what_is_read_later_changes_nothing_of_a_day(values in prop::collection::vec(0.0..50.0_f64, 2..40), cut in 1..39_usize) {
        let cut = cut.min(values.len() - 1);
        let (mut upto, mut row) = (History::default(), Vec::new());
        let mut now = Vec::new();
        let mut all = History::default();
        for (day, value) in (0..).zip(&values) {
            all.read(day, &smart(*value));
            if usize::try_from(day).unwrap() == cut {
                features::walk(&all, &Drive::default(), &Among::default(), day, |_, v| now.push(v.to_bits()));
            }
            if usize::try_from(day).unwrap() <= cut {
                upto.read(day, &smart(*value));
            }
        }
        features::walk(&upto, &Drive::default(), &Among::default(), i32::try_from(cut).unwrap(), |_, v| row.push(v.to_bits()));
        prop_assert_eq!(row, now);
    }
}
