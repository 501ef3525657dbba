//! The figures, against independent computations and published ones.

use super::*;
use outband_schemas::{ServerId, SiteId, Timestamp};
use outband_store::outcome::OtherPart;
use outband_ticket::{TicketNumber, Verdict};

fn outcome(number: u64, rule: &str, site: &str, answer: Answer) -> TicketOutcome {
    let opened_at = Timestamp::from_secs(1_800_000_000);
    let basis = match answer {
        Answer::Right => Basis::Verdict(Verdict::Confirmed),
        Answer::Wrong => Basis::Verdict(Verdict::NoFaultFound),
        _ => Basis::Nothing,
    };
    let known_at = answer.is_verified().then(|| opened_at.plus(Duration::from_secs(86_400 * number)));
    TicketOutcome {
        ticket: TicketNumber(number),
        rule: rule.to_owned(),
        fault: "disk_failure".to_owned(),
        site: Some(SiteId::new(site).unwrap()),
        server: ServerId::new("srv-1").unwrap(),
        component: "disk/3".parse().unwrap(),
        serial: Some(format!("D{number}")),
        model: Some("ST4000".to_owned()),
        predictor: None,
        outcome: Outcome { predicted: true, answer, basis, opened_at, known_at, seen_at: None, other: None },
        other: OtherPart::default(),
    }
}

fn of(answers: &[Answer]) -> Precision {
    let mut precision = Precision::default();
    for (number, answer) in answers.iter().enumerate() {
        precision.add(&outcome(number as u64 + 1, "disk.predicted", "dc1", *answer).outcome);
    }
    precision
}

/// The ends of the interval by its definition: the shares at which the score test just does not reject, found by halving.
fn by_definition(right: u64, n: u64) -> (f64, f64) {
    let share = right as f64 / n as f64;
    let rejects = |p: f64| (share - p).abs() > Z * (p * (1.0 - p) / n as f64).sqrt();
    let end = |mut inside: f64, mut outside: f64| {
        for _ in 0..200 {
            let middle = f64::midpoint(inside, outside);
            if rejects(middle) { outside = middle } else { inside = middle }
        }
        inside
    };
    (if right == 0 { 0.0 } else { end(share, 0.0) }, if right == n { 1.0 } else { end(share, 1.0) })
}

#[test]
fn the_interval_is_that_of_the_score_test_for_every_small_count() {
    for n in 1..=60 {
        for right in 0..=n {
            let (low, high) = wilson(right, n).unwrap();
            let (least, most) = by_definition(right, n);
            assert!((low - least).abs() < 1e-9 && (high - most).abs() < 1e-9, "{right} of {n}: {low} {high}");
        }
    }
}

#[test]
fn the_interval_is_the_published_one() {
    // Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    for (right, n, low, high) in
        [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
    {
        let found = wilson(right, n).unwrap();
        assert!((found.0 - low).abs() < 5e-5 && (found.1 - high).abs() < 5e-5, "{right} of {n}: {found:?}");
    }
    assert_eq!((wilson(0, 0), wilson(3, 2)), (None, None));
}

#[test]
fn what_nobody_verified_counts_neither_as_right_nor_as_wrong() {
    let few = of(&[Answer::Right, Answer::Wrong, Answer::Right]);
    let more = of(&[Answer::Right, Answer::Wrong, Answer::Right, Answer::Unknown, Answer::Pending, Answer::Aside]);
    assert_eq!((few.share(), few.interval()), (more.share(), more.interval()));
    assert_eq!((more.right, more.wrong, more.unknown, more.pending), (2, 1, 1, 1));
    assert_eq!(of(&[Answer::Unknown]).share(), None);
    assert_eq!(of(&[Answer::Unknown]).interval(), None);
}

#[test]
fn the_median_lead_is_one_that_was_measured_and_only_of_the_right_ones() {
    let day = |n: u64| Some(Duration::from_secs(86_400 * n));
    assert_eq!(of(&[Answer::Right, Answer::Wrong, Answer::Right, Answer::Right]).median_lead(), day(3));
    assert_eq!(of(&[Answer::Right, Answer::Right]).median_lead(), day(1));
    assert_eq!(of(&[Answer::Wrong]).median_lead(), None);
}

#[test]
fn a_rule_is_poor_only_where_the_whole_interval_says_so() {
    let few = of(&[Answer::Wrong, Answer::Wrong, Answer::Wrong]);
    assert!(!few.is_below(0.3), "three wrong ones prove little: {:?}", few.interval());
    let many = of(&[vec![Answer::Wrong; 29], vec![Answer::Right; 2]].concat());
    assert!(many.is_below(0.3), "2 of 31: {:?}", many.interval());
    assert!(!many.is_below(0.2));
    assert!(!of(&[]).is_below(1.0));
}

#[test]
fn each_rule_stands_as_a_whole_and_then_by_group_and_the_groups_add_up() {
    let by = [By::Site, By::Customer];
    let mut tally = Tally::new(&by);
    for (n, site, answer) in [(1, "dc1", Answer::Right), (2, "dc2", Answer::Wrong), (3, "dc2", Answer::Right)] {
        tally.add(&outcome(n, "disk.predicted", site, answer), (n == 1).then_some("acme"));
    }
    tally.add(&outcome(4, "fan.decay", "dc1", Answer::Aside), None);
    let rows = tally.rows();
    let told: Vec<_> = rows.iter().map(|r| (r.by, r.value.as_deref(), r.precision.right, r.precision.wrong)).collect();
    assert_eq!(
        told,
        [
            (None, None, 2, 1),
            (Some(By::Site), Some("dc1"), 1, 0),
            (Some(By::Site), Some("dc2"), 1, 1),
            (Some(By::Customer), None, 1, 1),
            (Some(By::Customer), Some("acme"), 1, 0),
        ]
    );
}

#[test]
fn words_read_back() {
    for by in By::ALL {
        assert_eq!(By::from_word(by.as_str()), Some(by));
    }
}

#[test]
fn what_another_part_did_counts_for_the_model_of_that_part_and_what_nobody_judged_is_counted_apart() {
    let mut other = outcome(1, "disk.predicted", "dc1", Answer::Wrong);
    other.outcome.other = Some("PSU7".to_owned());
    other.other.model = Some("PWS-1K".to_owned());
    let silent = outcome(2, "disk.predicted", "dc1", Answer::Unknown);
    let mut untested = outcome(3, "disk.predicted", "dc1", Answer::Unknown);
    untested.outcome.basis = Basis::Verdict(Verdict::ReplacedWithoutTest);
    let mut tally = Tally::new(&[By::Model]);
    [&other, &silent, &untested].into_iter().for_each(|of| tally.add(of, None));
    let rows = tally.rows();
    let figures = |value: Option<&str>| {
        let p = &rows.iter().find(|row| row.value.as_deref() == value).unwrap().precision;
        (p.right, p.wrong, p.unknown, p.not_given, p.misplaced)
    };
    assert_eq!(figures(None), (0, 1, 2, 1, 1));
    assert_eq!(figures(Some("ST4000")), (0, 1, 2, 1, 0));
    assert_eq!(figures(Some("PWS-1K")), (0, 0, 0, 0, 1), "no ticket was about it");
    assert_eq!(rows.iter().find(|row| row.value.as_deref() == Some("PWS-1K")).unwrap().precision.share(), None);
}
