//! How many parts will be needed, and so have to be on the shelf.

use super::gamma::quantile;
use super::rate::Belief;
use serde::{Deserialize, Serialize};

/// What may fail within a time: parts of which only the rate is known, and parts whose failure was foretold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Demand {
    /// Parts, by what is believed of their rate, each with the part-years that they will be at risk.
    pub at_risk: Vec<(Belief, f64)>,
    /// The probabilities of those that were foretold.
    pub foretold: Vec<f64>,
}

/// An expected number, with the 95 % interval of that expectation: how well it is known, not how chance falls.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The mean.
    pub mean: f64,
    /// The mean is at least so large.
    pub low: f64,
    /// And at most so large.
    pub high: f64,
}

impl Demand {
    /// How many failures are expected.
    pub fn expected(&self) -> Expected {
        let (shape, scale) = self.unforeseen();
        let foretold: f64 = self.foretold.iter().map(|p| p.clamp(0.0, 1.0)).sum();
        Expected {
            mean: shape * scale + foretold,
            low: quantile(shape, 0.025) * scale + foretold,
            high: quantile(shape, 0.975) * scale + foretold,
        }
    }

    /// The gamma distribution of the expected number of failures that nobody foretold, as shape and scale: a sum of gamma variates,
    /// by its mean and variance (Welch and Satterthwaite). Exact where all have one rate.
    fn unforeseen(&self) -> (f64, f64) {
        let mean: f64 = self.at_risk.iter().map(|(b, years)| b.mean() * years).sum();
        let variance: f64 = self.at_risk.iter().map(|(b, years)| b.shape * (years / b.years).powi(2)).sum();
        if mean > 0.0 && variance > 0.0 { (mean * mean / variance, variance / mean) } else { (0.0, 0.0) }
    }

    /// The probability of each number of failures, from none on, until `level` of all is told: the counts of a gamma-Poisson (negative
    /// binomial) distribution and of a Poisson-binomial one, added. At least one entry.
    pub fn distribution(&self, level: f64) -> Vec<f64> {
        let foretold = poisson_binomial(&self.foretold);
        let (shape, scale) = self.unforeseen();
        let level = level.clamp(0.0, MOST_CERTAIN);
        let mut unforeseen: Vec<f64> = Vec::new();
        // Negative binomial by its recurrence: P(k+1) = P(k) (k + shape) q / (k + 1), q = scale / (1 + scale).
        let q = scale / (1.0 + scale);
        let mut term = (shape * (-q).ln_1p()).exp();
        let mut all = Vec::new();
        let (mut told, mut k) = (0.0, 0.0);
        for n in 0..MOST {
            unforeseen.push(term);
            term *= (k + shape) * q / (k + 1.0);
            k += 1.0;
            let p: f64 =
                foretold.iter().enumerate().filter_map(|(f, p)| Some(p * unforeseen.get(n.checked_sub(f)?)?)).sum();
            all.push(p);
            told += p;
            if told >= level {
                break;
            }
        }
        all
    }

    /// So many parts are enough with this probability: the smallest such number. As many have to be on the shelf at the beginning of
    /// the time after which new ones come, where each one taken is ordered anew at once (base stock; Palm 1938).
    pub fn needed(&self, level: f64) -> u64 {
        (self.distribution(level).len() - 1) as u64
    }
}

/// No shelf makes it more certain: numbers cannot tell it from 1.
const MOST_CERTAIN: f64 = 0.999_999;
/// So many parts are told of at most.
const MOST: usize = 200_000;

/// The probability of each number of events that come independently, each with its own probability: exact, by adding one after
/// another.
pub fn poisson_binomial(probabilities: &[f64]) -> Vec<f64> {
    let mut of = vec![1.0];
    for p in probabilities.iter().map(|p| if p.is_finite() { p.clamp(0.0, 1.0) } else { 0.0 }) {
        let mut next = vec![0.0; of.len() + 1];
        for (k, was) in of.iter().enumerate() {
            if let Some(stays) = next.get_mut(k) {
                *stays += was * (1.0 - p);
            }
            if let Some(grows) = next.get_mut(k + 1) {
                *grows += was * p;
            }
        }
        of = next;
    }
    of
}

#[cfg(test)]
mod tests;
