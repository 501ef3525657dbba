use super::*;
use crate::fleet::rate::tests::Dice;
use proptest::prelude::*;

fn sure(rate: f64) -> Belief {
    // A rate that is as good as known.
    Belief { shape: 1e9, years: 1e9 / rate }
}

#[test]
fn with_a_known_rate_it_is_the_poisson_table() {
    // Cumulative Poisson probabilities of mean 3: 0.9161 at 5, 0.9665 at 6, 0.9881 at 7, 0.9962 at 8.
    let demand = Demand { at_risk: vec![(sure(0.03), 100.0)], foretold: Vec::new() };
    assert_eq!([0.90, 0.95, 0.97, 0.99].map(|level| demand.needed(level)), [5, 6, 7, 8]);
    let expected = demand.expected();
    assert!((expected.mean - 3.0).abs() < 1e-9 && (expected.high - expected.low) < 0.01);
}

#[test]
fn a_rate_that_is_hardly_known_asks_for_more() {
    let known = Demand { at_risk: vec![(sure(0.03), 100.0)], foretold: Vec::new() };
    let unknown = Demand { at_risk: vec![(Belief { shape: 2.0, years: 2.0 / 0.03 }, 100.0)], foretold: Vec::new() };
    assert!(unknown.needed(0.95) > known.needed(0.95));
    let (a, b) = (known.expected(), unknown.expected());
    assert!((a.mean - b.mean).abs() < 1e-6 && b.low < a.low && b.high > a.high);
}

#[test]
fn what_was_foretold_counts_by_its_probability() {
    let none = Demand::default();
    assert_eq!((none.needed(0.95), none.expected().mean), (0, 0.0));
    let one = Demand { at_risk: Vec::new(), foretold: vec![0.6] };
    assert_eq!((one.needed(0.35), one.needed(0.95)), (0, 1));
    let two = Demand { at_risk: Vec::new(), foretold: vec![0.6, 1.0] };
    assert_eq!((two.needed(0.35), two.needed(0.95)), (1, 2));
}

#[test]
fn a_negative_binomial_is_that_of_the_textbook() {
    // Shape 2, mean 3: P(0) = (2/5)^2 = 0.16, P(1) = 2 · 0.16 · 0.6 = 0.192, P(2) = 3 · 0.16 · 0.36 = 0.1728.
    let demand = Demand { at_risk: vec![(Belief { shape: 2.0, years: 2.0 }, 3.0)], foretold: Vec::new() };
    let found = demand.distribution(0.5);
    for (p, wanted) in found.iter().zip([0.16, 0.192, 0.1728]) {
        assert!((p - wanted).abs() < 1e-12, "{found:?}");
    }
}

/// So many on the shelf last for as many of the months as was asked for: of months that were drawn one by one.
#[test]
fn the_shelf_lasts_as_often_as_was_asked() {
    let mut dice = Dice(11);
    let groups = [(Belief { shape: 12.0, years: 900.0 }, 60.0), (Belief { shape: 3.0, years: 40.0 }, 8.0)];
    let foretold = [0.3, 0.55, 0.9];
    let demand = Demand { at_risk: groups.to_vec(), foretold: foretold.to_vec() };
    let shelf = demand.needed(0.95);
    let months = 20_000;
    let lasted = |shelf: u64, dice: &mut Dice| {
        (0..months)
            .filter(|_| {
                let unforeseen: u64 = groups
                    .iter()
                    .map(|(b, years)| {
                        let rate = dice.gamma(b.shape, b.mean());
                        dice.poisson(rate * years)
                    })
                    .sum();
                let came = foretold.iter().filter(|p| dice.roll() < **p).count() as u64;
                unforeseen + came <= shelf
            })
            .count()
    };
    assert!(lasted(shelf, &mut dice) * 100 >= months * 94, "{shelf}");
    assert!(lasted(shelf - 1, &mut dice) * 100 < months * 95, "one fewer would do, too");
}

proptest! {
    #[test]
    fn foretold_failures_are_counted_over_all_ways_they_may_fall(p in proptest::collection::vec(0.0_f64..=1.0, 0..10)) {
        let fast = poisson_binomial(&p);
        let mut slow = vec![0.0; p.len() + 1];
        for fall in 0_u32..1 << p.len() {
            let chance: f64 = p.iter().enumerate().map(|(i, p)| if fall >> i & 1 == 1 { *p } else { 1.0 - p }).product();
            slow[fall.count_ones() as usize] += chance;
        }
        for (a, b) in fast.iter().zip(&slow) {
            prop_assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn more_certainty_is_never_fewer_parts(shape in 0.5_f64..50.0, years in 1.0_f64..1e4, at_risk in 0.01_f64..500.0, p in 0.0_f64..=1.0) {
        let demand = Demand { at_risk: vec![(Belief { shape, years }, at_risk)], foretold: vec![p] };
        prop_assert!(demand.needed(0.5) <= demand.needed(0.9) && demand.needed(0.9) <= demand.needed(0.99));
        let told: f64 = demand.distribution(0.99).iter().sum();
        prop_assert!((0.99..1.0 + 1e-9).contains(&told), "{}", told);
    }
}
