//! How many are left by age: Kaplan and Meier's product limit, of parts that come into sight at an age and leave it alive or failed.

use serde::{Deserialize, Serialize};

/// One part as it was watched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// Its age when watching began. Whoever failed earlier was never seen: nothing is said of ages at which nobody was watched.
    pub enter: f64,
    /// Its age when watching ended.
    pub exit: f64,
    /// Whether it ended with the failure.
    pub failed: bool,
}

/// One age at which something failed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The age, in the unit of the lives.
    pub age: f64,
    /// Parts that were watched at this age, those that failed at it included.
    pub at_risk: u64,
    /// Parts that failed at it.
    pub failed: u64,
    /// The share that lives beyond it.
    pub survival: f64,
    /// With 95 % confidence at least so large a share.
    pub low: f64,
    /// And at most so large a share.
    pub high: f64,
}

/// 97.5 % of a normal distribution lie below so many standard deviations.
const Z: f64 = 1.959_963_984_540_054;

/// The product-limit estimate (Kaplan and Meier, JASA 53, 1958) for lives that are cut on the left (Tsai, Jewell and Wang, Biometrika
/// 74, 1987) and on the right, with Greenwood's variance and log-log intervals (Kalbfleisch and Prentice, 2002, 1.4.1), which stay within
/// 0 and 1.
///
/// A life is at risk in `(enter, exit]`. One that has no length, or is no number, says nothing. One that ends unfailed at the age at which
/// another fails is still at risk there.
///
/// Where the first age at which somebody is watched is above 0, the share is of those who got as far as that age.
pub fn kaplan_meier(lives: &[Life]) -> Vec<Step> {
    let sound: Vec<&Life> = lives.iter().filter(|l| l.enter.is_finite() && l.exit > l.enter).collect();
    let sorted = |mut ages: Vec<f64>| {
        ages.sort_by(f64::total_cmp);
        ages
    };
    let enters = sorted(sound.iter().map(|l| l.enter).collect());
    let exits = sorted(sound.iter().map(|l| l.exit).collect());
    let failures = sorted(sound.iter().filter(|l| l.failed).map(|l| l.exit).collect());
    let below = |ages: &[f64], age: f64| ages.partition_point(|a| *a < age);
    let (mut survival, mut variance) = (1.0_f64, 0.0_f64);
    let mut steps = Vec::new();
    let mut next = 0;
    while let Some(&age) = failures.get(next) {
        let failed = failures.iter().skip(next).take_while(|a| a.total_cmp(&age).is_eq()).count();
        next += failed;
        let at_risk = below(&enters, age).saturating_sub(below(&exits, age));
        let (n, d) = (count(at_risk), count(failed));
        survival *= (n - d) / n;
        variance += d / (n * (n - d));
        let (low, high) = log_log(survival, variance);
        steps.push(Step { age, at_risk: at_risk as u64, failed: failed as u64, survival, low, high });
    }
    steps
}

fn count(n: usize) -> f64 {
    super::gamma::number(n as u64)
}

/// The interval of ln(−ln S), where errors are more nearly normal, and back.
fn log_log(survival: f64, variance: f64) -> (f64, f64) {
    if survival <= 0.0 || !variance.is_finite() {
        // All are gone: nothing is known of how far it could have been otherwise.
        return (0.0, 1.0);
    }
    let reach = Z * variance.sqrt() / survival.ln().abs();
    (survival.powf(reach.exp()), survival.powf((-reach).exp()))
}

/// The share that lives beyond an age; 1 before the first failure.
pub fn at(steps: &[Step], age: f64) -> f64 {
    steps.get(..steps.partition_point(|s| s.age <= age)).and_then(<[Step]>::last).map_or(1.0, |s| s.survival)
}

/// The first age beyond which at most half are left; `None` where more than that lived as far as was watched.
pub fn median(steps: &[Step]) -> Option<f64> {
    steps.iter().find(|s| s.survival <= 0.5).map(|s| s.age)
}

/// The same curve in at most `most` steps, evenly over the ages: for people and for charts. The last step stays.
pub fn thinned(steps: &[Step], most: usize) -> Vec<Step> {
    if steps.len() <= most || most == 0 {
        return steps.to_vec();
    }
    let mut thin: Vec<Step> = Vec::with_capacity(most);
    for at in 1..=most {
        if let Some(step) = steps.get((steps.len() * at).div_ceil(most).saturating_sub(1)) {
            // What fell in between is not lost: the counts of failures add up.
            let before: u64 = thin.iter().map(|s| s.failed).sum();
            let until: u64 = steps.iter().take_while(|s| s.age <= step.age).map(|s| s.failed).sum();
            thin.push(Step { failed: until - before, ..*step });
        }
    }
    thin
}

#[cfg(test)]
mod tests;
