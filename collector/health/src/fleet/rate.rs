//! Failures a part-year, with intervals, and what is believed of a model with few parts.

use super::gamma::{ln_gamma, number, quantile};
use serde::{Deserialize, Serialize};

/// What was watched: failures, and for how long parts could have failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    /// Failures that were seen.
    pub failures: u64,
    /// Part-years at risk.
    pub years: f64,
}

/// A yearly rate with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Failures a part-year.
    pub per_year: f64,
    /// With 95 % confidence it is at least so much.
    pub low: f64,
    /// And at most so much.
    pub high: f64,
}

impl std::ops::AddAssign for Exposure {
    fn add_assign(&mut self, other: Self) {
        self.failures += other.failures;
        self.years += other.years;
    }
}

impl std::iter::Sum for Exposure {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}

/// The exact 95 % interval of the mean of a Poisson count (Garwood, Biometrika 28, 1936).
pub fn garwood(count: u64) -> (f64, f64) {
    let n = number(count);
    (quantile(n, 0.025), quantile(n + 1.0, 0.975))
}

impl Exposure {
    /// The rate as it was seen; `None` where nothing was watched.
    pub fn rate(&self) -> Option<Rate> {
        if self.years.is_nan() || self.years <= 0.0 {
            return None;
        }
        let (low, high) = garwood(self.failures);
        Some(Rate { per_year: number(self.failures) / self.years, low: low / self.years, high: high / self.years })
    }
}

/// What is believed of a rate: a gamma distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Belief {
    /// Its shape: as if so many failures had been seen.
    pub shape: f64,
    /// In so many part-years.
    pub years: f64,
}

impl Belief {
    /// What is believed of one of which nothing else is known than its own counts: Jeffreys' prior and these. `None` where nothing was
    /// watched.
    pub fn alone(of: Exposure) -> Option<Self> {
        (of.years > 0.0).then(|| Self { shape: number(of.failures) + 0.5, years: of.years })
    }

    /// After so much more was seen.
    #[must_use]
    pub fn after(self, seen: Exposure) -> Self {
        Self { shape: self.shape + number(seen.failures), years: self.years + seen.years }
    }

    /// Its mean, failures a part-year.
    pub fn mean(&self) -> f64 {
        self.shape / self.years
    }

    /// Mean and 95 % credible interval.
    pub fn rate(&self) -> Rate {
        Rate {
            per_year: self.mean(),
            low: quantile(self.shape, 0.025) / self.years,
            high: quantile(self.shape, 0.975) / self.years,
        }
    }
}

/// What a model's own figures are drawn towards: how rates differ among the models of a class. Gamma-Poisson empirical Bayes: the
/// gamma distribution under which the counts that were seen are likeliest (Robbins 1956; Gelman et al., Bayesian Data Analysis, 2.6).
///
/// `mean`: the rate around which they lie, where that is known; else it is found, too. Its weight, in failures, is never more than
/// the failures that all of them have: models that are alike by chance do not make a certainty. `None` where nothing failed yet, or
/// where nothing was watched.
pub fn prior(models: &[Exposure], mean: Option<f64>) -> Option<Belief> {
    let all: Exposure = models.iter().copied().sum();
    if all.failures == 0 || all.years.is_nan() || all.years <= 0.0 {
        return None;
    }
    let pooled = number(all.failures) / all.years;
    let heaviest = number(all.failures);
    let at = |shape: f64| {
        let rate = mean.unwrap_or_else(|| likeliest_mean(models, shape, pooled));
        (likelihood(models, shape, rate), rate)
    };
    // The likelihood has one maximum in ln(shape), perhaps at an end.
    let found = maximum(0.05_f64.ln(), heaviest.max(0.06).ln(), |ln_shape| at(ln_shape.exp()).0).exp();
    let (_, rate) = at(found);
    (rate > 0.0).then(|| Belief { shape: found, years: found / rate })
}

/// The mean at which the counts are likeliest under a gamma prior of this shape.
fn likeliest_mean(models: &[Exposure], shape: f64, pooled: f64) -> f64 {
    let (low, high) = ((pooled / 1000.0).ln(), (pooled * 1000.0).ln());
    maximum(low, high, |ln_mean| likelihood(models, shape, ln_mean.exp())).exp()
}

/// ln of the probability of the counts under a gamma prior of this shape and mean, but for a constant: negative binomial.
fn likelihood(models: &[Exposure], shape: f64, mean: f64) -> f64 {
    let years = shape / mean;
    let of = |m: &Exposure| {
        let k = number(m.failures);
        // ln Γ(k + shape) − ln Γ(shape), as a sum where that is exact: the difference of large logarithms is not.
        let rise: f64 = if m.failures < 64 {
            (0..m.failures).map(|i| (shape + number(i)).ln()).sum()
        } else {
            ln_gamma(k + shape) - ln_gamma(shape)
        };
        rise - shape * (m.years / years).ln_1p() - k * (years + m.years).ln()
    };
    models.iter().filter(|m| m.years > 0.0).map(of).sum()
}

/// Where a function of one maximum has it: golden section.
fn maximum(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut fa, mut fb) = (f(a), f(b));
    while high - low > 1e-6 {
        if fa < fb {
            low = a;
            (a, fa) = (b, fb);
            b = low + ratio * (high - low);
            fb = f(b);
        } else {
            high = b;
            (b, fb) = (a, fa);
            a = high - ratio * (high - low);
            fa = f(a);
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
pub(in crate::fleet) mod tests;
