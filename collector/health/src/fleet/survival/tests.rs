use super::*;
use crate::fleet::rate::tests::Dice;
use proptest::prelude::*;

fn life(enter: f64, exit: f64, failed: bool) -> Life {
    Life { enter, exit, failed }
}

/// Remission times of the group given 6-MP: Freireich et al., Blood 21 (1963), as in Kalbfleisch and Prentice, table 1.1 and Klein and
/// Moeschberger, Survival Analysis, example 4.1 and table 4.1A.
#[test]
fn the_curve_is_that_of_the_textbook() {
    let failed = [6, 6, 6, 7, 10, 13, 16, 22, 23];
    let left = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35];
    let lives: Vec<Life> = failed
        .iter()
        .map(|t| life(0.0, f64::from(*t), true))
        .chain(left.iter().map(|t| life(0.0, f64::from(*t), false)))
        .collect();
    let steps = kaplan_meier(&lives);
    // Age, at risk, failed, share, standard error by Greenwood.
    let table = [
        (6, 21, 3, 0.857, 0.0764),
        (7, 17, 1, 0.807, 0.0869),
        (10, 15, 1, 0.753, 0.0963),
        (13, 12, 1, 0.690, 0.1068),
        (16, 11, 1, 0.627, 0.1141),
        (22, 7, 1, 0.538, 0.1282),
        (23, 6, 1, 0.448, 0.1346),
    ];
    assert_eq!(steps.len(), table.len());
    for (step, (age, at_risk, failed, share, error)) in steps.iter().zip(table) {
        assert_eq!((step.age, step.at_risk, step.failed), (f64::from(age), at_risk, failed));
        assert!((step.survival - share).abs() < 6e-4, "{step:?}");
        // ln(-ln S) ± Z·error / (S ln S), solved for the error.
        let reach = (step.low.ln() / step.survival.ln()).ln();
        let found = reach * step.survival * step.survival.ln().abs() / Z;
        assert!((found - error).abs() < 6e-4, "{found} {step:?}");
    }
    // R, survfit(conf.type = "log-log") at 10: 0.5032 to 0.8894.
    let ten = steps[2];
    assert!((ten.low - 0.5032).abs() < 2e-4 && (ten.high - 0.8894).abs() < 2e-4, "{ten:?}");
    assert_eq!(median(&steps), Some(23.0));
    assert!((at(&steps, 12.9) - 0.753).abs() < 6e-4 && at(&steps, 5.9) == 1.0);
}

/// The definition, one age after another, counted anew each time.
fn slowly(lives: &[Life]) -> Vec<(f64, f64)> {
    let mut ages: Vec<f64> = lives.iter().filter(|l| l.failed).map(|l| l.exit).collect();
    ages.sort_by(f64::total_cmp);
    ages.dedup();
    let mut share = 1.0;
    ages.iter()
        .map(|age| {
            let n = lives.iter().filter(|l| l.enter < *age && l.exit >= *age).count() as f64;
            let d = lives.iter().filter(|l| l.failed && l.exit == *age).count() as f64;
            share *= 1.0 - d / n;
            (*age, share)
        })
        .collect()
}

proptest! {
    #[test]
    fn the_curve_is_its_definition(
        lives in proptest::collection::vec((0_u32..30, 1_u32..30, any::<bool>()), 1..60)
    ) {
        let lives: Vec<Life> =
            lives.iter().map(|(e, d, f)| life(f64::from(*e), f64::from(e + d), *f)).collect();
        let (steps, slow) = (kaplan_meier(&lives), slowly(&lives));
        prop_assert_eq!(steps.len(), slow.len());
        for (step, (age, share)) in steps.iter().zip(slow) {
            prop_assert_eq!(step.age, age);
            prop_assert!((step.survival - share).abs() < 1e-9);
            prop_assert!(step.low <= step.survival + 1e-12 && step.survival <= step.high + 1e-12);
        }
        let failed: u64 = steps.iter().map(|s| s.failed).sum();
        prop_assert_eq!(failed, lives.iter().filter(|l| l.failed).count() as u64);
        prop_assert_eq!(thinned(&steps, 3).iter().map(|s| s.failed).sum::<u64>(), failed);
        prop_assert!(thinned(&steps, 3).len() <= 3);
    }

    #[test]
    fn whoever_came_into_sight_late_changes_nothing_before(late in 1_u32..20) {
        let early = [life(0.0, 5.0, true), life(0.0, 30.0, false)];
        let more = [early[0], early[1], life(f64::from(5 + late), 29.0, false)];
        prop_assert_eq!(kaplan_meier(&early), kaplan_meier(&more));
    }
}

/// Parts that wear (Weibull, shape 3), put to work at any time and watched only in a window, so that most come into sight old: the truth
/// lies in the interval in about 95 of 100 fleets. Without the cut on the left the curve would be far too good.
#[test]
fn the_interval_covers_the_truth_of_a_fleet_that_was_seen_late() {
    let mut dice = Dice(3);
    let (mut covered, mut naive) = (0, 0);
    let truth = (-(2.0_f64 / 3.0).powi(3)).exp();
    for _ in 0..500 {
        let mut lives = Vec::new();
        while lives.len() < 150 {
            let fails = 3.0 * dice.exponential(1.0).cbrt();
            let enter = 4.0 * dice.roll();
            let leaves = enter + 2.0 * dice.roll();
            if fails > enter {
                lives.push(life(enter, fails.min(leaves), fails < leaves));
            }
        }
        let share = |lives: &[Life]| {
            let steps = kaplan_meier(lives);
            steps.iter().rev().find(|s| s.age <= 2.0).map_or((1.0, 1.0), |s| (s.low, s.high))
        };
        let (low, high) = share(&lives);
        covered += usize::from(low <= truth && truth <= high);
        let uncut: Vec<Life> = lives.iter().map(|l| Life { enter: 0.0, ..*l }).collect();
        let (low, high) = share(&uncut);
        naive += usize::from(low <= truth && truth <= high);
    }
    assert!(covered >= 460, "{covered} of 500");
    assert!(naive < 350, "{naive} of 500: nothing was tried");
}

#[test]
fn what_has_no_length_says_nothing_and_nothing_has_no_curve() {
    assert!(kaplan_meier(&[]).is_empty());
    assert!(kaplan_meier(&[life(3.0, 3.0, true), life(f64::NAN, 4.0, true), life(5.0, 4.0, true)]).is_empty());
    assert_eq!(median(&[]), None);
    // The last one fails: the share is nothing, and how far that is chance cannot be said.
    let all = kaplan_meier(&[life(0.0, 1.0, true)]);
    assert_eq!((all[0].survival, all[0].low, all[0].high), (0.0, 0.0, 1.0));
}
