use super::*;
use proptest::prelude::*;

fn seen(failures: u64, years: f64) -> Exposure {
    Exposure { failures, years }
}

#[test]
fn the_interval_is_that_of_the_published_tables() {
    // Ulm, American Journal of Epidemiology 131 (1990), and Johnson and Kotz (1969): exact 95 % limits of a Poisson count.
    let table = [
        (0, 0.0, 3.689),
        (1, 0.025, 5.572),
        (2, 0.242, 7.225),
        (3, 0.619, 8.767),
        (5, 1.623, 11.668),
        (10, 4.795, 18.390),
        (20, 12.217, 30.888),
        (50, 37.111, 65.919),
        (100, 81.364, 121.627),
    ];
    for (count, low, high) in table {
        let (l, h) = garwood(count);
        assert!((l - low).abs() < 6e-4 && (h - high).abs() < 6e-4, "{count}: {l} {h}");
    }
}

#[test]
fn a_rate_is_failures_by_years_and_nothing_watched_is_no_rate() {
    let rate = seen(5, 250.0).rate().unwrap();
    assert!((rate.per_year - 0.02).abs() < 1e-15);
    assert!((rate.low - 1.6235 / 250.0).abs() < 1e-6 && (rate.high - 11.6683 / 250.0).abs() < 1e-6);
    assert_eq!(seen(0, 0.0).rate(), None);
    assert_eq!(seen(0, f64::NAN).rate(), None);
    let none = seen(0, 100.0).rate().unwrap();
    assert!(none.per_year == 0.0 && none.low == 0.0 && (none.high - 0.036_89).abs() < 1e-5, "{none:?}");
}

/// A generator of numbers in [0, 1): the tests need dice that fall the same way each time.
pub(in crate::fleet) struct Dice(pub(in crate::fleet) u64);

impl Dice {
    pub(in crate::fleet) fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(in crate::fleet) fn exponential(&mut self, rate: f64) -> f64 {
        -(1.0 - self.roll()).ln() / rate
    }

    pub(in crate::fleet) fn poisson(&mut self, mean: f64) -> u64 {
        let (mut at, mut n) = (self.exponential(1.0), 0);
        while at < mean {
            n += 1;
            at += self.exponential(1.0);
        }
        n
    }

    pub(in crate::fleet) fn gamma(&mut self, shape: f64, mean: f64) -> f64 {
        quantile(shape, self.roll().max(1e-12)) * mean / shape
    }
}

/// Parts that fail at a known hazard, and are watched until they fail or the fleet is five years old: the exact interval holds the
/// hazard in about 95 of 100 fleets, and never much less.
#[test]
fn the_interval_covers_the_hazard_of_a_simulated_fleet() {
    let mut dice = Dice(1);
    for (hazard, parts) in [(0.015, 400), (0.2, 30)] {
        let mut covered = 0;
        for _ in 0..1000 {
            let mut fleet = Exposure::default();
            for _ in 0..parts {
                let (fails, watched) = (dice.exponential(hazard), 5.0 * dice.roll());
                fleet += seen(u64::from(fails < watched), fails.min(watched));
            }
            let rate = fleet.rate().unwrap();
            covered += usize::from(rate.low <= hazard && hazard <= rate.high);
        }
        assert!((935..=990).contains(&covered), "{covered} of 1000 at {hazard}");
    }
}

#[test]
fn few_parts_are_drawn_to_their_class_and_many_speak_for_themselves() {
    let mut models = vec![seen(20, 2000.0), seen(6, 300.0), seen(30, 1500.0), seen(1, 150.0)];
    let few = seen(1, 5.0);
    models.push(few);
    let prior = prior(&models, None).unwrap();
    let drawn = prior.after(few).rate();
    let own = few.rate().unwrap();
    assert!(drawn.per_year < own.per_year / 3.0 && drawn.high < own.high / 3.0, "{drawn:?} {own:?}");
    let many = prior.after(models[0]).rate().per_year;
    assert!((many - 0.01).abs() < 0.003, "{many}");
}

#[test]
fn where_models_differ_the_prior_finds_how_much() {
    let mut dice = Dice(7);
    // Rates of models are gamma of shape 2 around 3 %.
    let models: Vec<Exposure> = (0..300)
        .map(|_| {
            let (rate, years) = (dice.gamma(2.0, 0.03), 50.0 + 400.0 * dice.roll());
            seen(dice.poisson(rate * years), years)
        })
        .collect();
    let found = prior(&models, None).unwrap();
    assert!((1.5..2.7).contains(&found.shape), "{found:?}");
    assert!((0.027..0.033).contains(&found.mean()), "{found:?}");
    // And its intervals hold the true rates.
    let mut held = 0;
    for _ in 0..2000 {
        let (rate, years) = (dice.gamma(2.0, 0.03), 10.0 + 40.0 * dice.roll());
        let believed = found.after(seen(dice.poisson(rate * years), years)).rate();
        held += usize::from(believed.low <= rate && rate <= believed.high);
    }
    assert!((1860..=1960).contains(&held), "{held} of 2000");
}

#[test]
fn where_nothing_failed_there_is_nothing_to_be_drawn_to() {
    assert_eq!(prior(&[], None), None);
    assert_eq!(prior(&[seen(0, 1000.0), seen(0, 3.0)], None), None);
    assert_eq!(Belief::alone(seen(3, 0.0)), None);
    let alone = Belief::alone(seen(0, 50.0)).unwrap().rate();
    assert!((alone.per_year - 0.01).abs() < 1e-12 && alone.low < 1e-4);
}

#[test]
fn a_prior_weighs_no_more_than_the_failures_that_made_it() {
    // Alike by chance: the likelihood alone would have them all the same for sure.
    let alike = vec![seen(2, 100.0); 10];
    let prior = prior(&alike, None).unwrap();
    assert!(prior.shape <= 20.0 && (prior.mean() - 0.02).abs() < 1e-3, "{prior:?}");
}

/// ln of the probability of the counts, by a sum over the rates on a fine grid: slow, and made otherwise.
fn likelihood_by_grid(models: &[Exposure], shape: f64, mean: f64) -> f64 {
    let steps = 20_000;
    models
        .iter()
        .map(|m| {
            let middle = |i: u32| quantile_free(f64::from(i), steps, mean);
            let density = |rate: f64| {
                let prior =
                    shape * (shape / mean).ln() - ln_gamma(shape) + (shape - 1.0) * rate.ln() - shape / mean * rate;
                let count = rate * m.years;
                let k = number(m.failures);
                let poisson = k * count.ln() - count - ln_gamma(k + 1.0);
                (prior + poisson).exp()
            };
            let width = 40.0 * mean / f64::from(steps);
            (0..steps).map(|i| density(middle(i)) * width).sum::<f64>().ln()
        })
        .sum()
}

fn quantile_free(i: f64, steps: u32, mean: f64) -> f64 {
    (i + 0.5) * 40.0 * mean / f64::from(steps)
}

#[test]
fn the_likelihood_is_that_of_a_sum_over_all_rates() {
    let models = [seen(3, 100.0), seen(0, 20.0), seen(70, 2500.0), seen(9, 310.0)];
    let (a, b) = ((2.5, 0.03), (6.0, 0.02));
    let fast = likelihood(&models, a.0, a.1) - likelihood(&models, b.0, b.1);
    let slow = likelihood_by_grid(&models, a.0, a.1) - likelihood_by_grid(&models, b.0, b.1);
    assert!((fast - slow).abs() < 1e-3, "{fast} {slow}");
}

proptest! {
    #[test]
    fn a_belief_lies_between_what_was_seen_and_what_it_is_drawn_to(
        counts in proptest::collection::vec((0_u64..40, 0.5_f64..2000.0), 2..12)
    ) {
        let models: Vec<Exposure> = counts.iter().map(|(k, t)| seen(*k, *t)).collect();
        if let Some(prior) = prior(&models, None) {
            for model in &models {
                let (own, drawn) = (number(model.failures) / model.years, prior.after(*model).rate());
                let (low, high) = (own.min(prior.mean()), own.max(prior.mean()));
                prop_assert!(drawn.per_year >= low * (1.0 - 1e-9) && drawn.per_year <= high * (1.0 + 1e-9));
                prop_assert!(drawn.low <= drawn.per_year && drawn.per_year <= drawn.high);
            }
        }
    }

    #[test]
    fn more_failures_are_a_higher_rate_and_more_years_a_lower_one(k in 0_u64..200, years in 0.1_f64..1e4) {
        let (a, b, c) = (seen(k, years).rate().unwrap(), seen(k + 1, years).rate().unwrap(), seen(k, years * 2.0).rate().unwrap());
        prop_assert!(a.low <= a.per_year && a.per_year <= a.high);
        prop_assert!(b.low > a.low && b.high > a.high);
        prop_assert!(c.high < a.high);
    }
}
