//! How many tickets a week will bring: the level of the last weeks, the season where two years are known, and an interval as wide as the
//! weeks were uneven.

use super::gamma::number;
use super::rate::Belief;
use super::spares::Demand;
use serde::{Deserialize, Serialize};

/// With fewer whole weeks than this nothing is foretold.
pub const LEAST_WEEKS: usize = 8;
/// The level is that of so many weeks at most: a fleet grows and ages.
pub const LEVEL_WEEKS: usize = 13;
/// A year, in weeks: as long as seasons take. They are told where there are two.
pub const YEAR: usize = 52;
/// A season is that of so many weeks before and after, too: one week alone is mostly chance.
const AROUND: usize = 2;
/// A season is drawn towards 1 as if so many more tickets had come as usual.
const STEADY: f64 = 20.0;

/// What is foretold of one week.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Week {
    /// The mean.
    pub expected: f64,
    /// With 95 % probability between this many tickets,
    pub low: u64,
    /// and this many.
    pub high: u64,
    /// What is usual at this time of the year, against a whole year; 1 where the history is too short to know.
    pub season: f64,
}

/// Why nothing is foretold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{weeks} whole weeks of history are too few to foretell from: {LEAST_WEEKS} are needed")]
pub struct TooLittle {
    /// Whole weeks that there are.
    pub weeks: usize,
}

/// The next weeks, from what the past ones brought, oldest first and without gaps.
pub fn forecast(past: &[u64], weeks: usize) -> Result<Vec<Week>, TooLittle> {
    if past.len() < LEAST_WEEKS {
        return Err(TooLittle { weeks: past.len() });
    }
    let seasons = seasons(past);
    // The season of a week by its distance from the first one: the same a year later.
    let season = |week: usize| seasons.get(week % YEAR).copied().unwrap_or(1.0);
    let first = past.len().saturating_sub(LEVEL_WEEKS);
    let recent: Vec<(f64, f64)> =
        past.iter().enumerate().skip(first).map(|(week, n)| (number(*n), season(week))).collect();
    let n = number(recent.len() as u64);
    let (count, due): (f64, f64) = recent.iter().fold((0.0, 0.0), |(c, d), (k, s)| (c + k, d + s));
    let level = count / due;
    // Pearson's dispersion: 1 where tickets come independently, more where they come in bursts. Never less: evenness is chance.
    let uneven: f64 = if level > 0.0 {
        recent.iter().map(|(k, s)| (k - level * s).powi(2) / (level * s)).sum::<f64>() / (n - 1.0)
    } else {
        1.0
    };
    let uneven = uneven.max(1.0);
    let one = |ahead: usize| {
        let season = season(past.len() + ahead);
        let mean = level * season;
        // The variance of a count, and that of the level, which is an estimate.
        let beyond = mean * (uneven * (1.0 + mean / count.max(1.0)) - 1.0);
        let belief = if mean > 0.0 && beyond > 0.0 {
            let shape = mean * mean / beyond;
            Belief { shape, years: shape / mean }
        } else {
            Belief { shape: 0.5, years: due.max(1.0) }
        };
        let chances = Demand { at_risk: vec![(belief, 1.0)], foretold: Vec::new() };
        Week { expected: mean, low: chances.needed(0.025), high: chances.needed(0.975), season }
    };
    Ok((0..weeks).map(one).collect())
}

/// What is usual at each week of the year, against a whole year; empty with less than two years.
fn seasons(past: &[u64]) -> Vec<f64> {
    if past.len() < 2 * YEAR {
        return Vec::new();
    }
    // Whole years, the newest ones; each against its own mean, so that growth is no season.
    let years = past.len() / YEAR;
    let skipped = past.len() - years * YEAR;
    let (mut came, mut due) = (vec![0.0; YEAR], vec![0.0; YEAR]);
    for year in past.get(skipped..).unwrap_or_default().chunks(YEAR) {
        let mean = year.iter().map(|n| number(*n)).sum::<f64>() / number(YEAR as u64);
        for (week, n) in year.iter().enumerate() {
            for near in (0..=2 * AROUND).map(|i| (week + YEAR + i - AROUND + skipped) % YEAR) {
                if let (Some(c), Some(d)) = (came.get_mut(near), due.get_mut(near)) {
                    *c += number(*n);
                    *d += mean;
                }
            }
        }
    }
    came.iter().zip(&due).map(|(c, d)| (c + STEADY) / (d + STEADY)).collect()
}

#[cfg(test)]
mod tests;
