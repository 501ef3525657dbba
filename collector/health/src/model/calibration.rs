//! From a score to a probability: a rising line through points that training measured.

use serde::{Deserialize, Serialize};

/// A rising, piecewise linear function of the margin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calibration {
    points: Vec<(f64, f64)>,
}

impl Calibration {
    /// From scored rows that did (true) or did not fail: the rising function that fits them best in squared error (pool adjacent
    /// violators), each step of it a point at the mean margin of its rows. Steps of fewer than `least` rows are merged.
    pub fn fit(mut rows: Vec<(f64, bool)>, least: usize) -> Self {
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut steps: Vec<Pool> = Vec::new();
        for chunk in rows.chunks(least.max(1)) {
            let mut pool = Pool::default();
            for (margin, failed) in chunk {
                pool.add(&Pool { rows: 1.0, margins: *margin, failures: f64::from(u8::from(*failed)) });
            }
            while let Some(last) = steps.pop_if(|last| last.rate() >= pool.rate()) {
                pool.add(&last);
            }
            steps.push(pool);
        }
        Calibration { points: steps.iter().map(|p| (p.margins / p.rows, p.rate())).collect() }
    }

    /// The probability of failure within 30 days at a margin.
    pub fn probability(&self, margin: f64) -> f64 {
        let after = self.points.partition_point(|p| p.0 <= margin);
        let (below, above) = (after.checked_sub(1).and_then(|i| self.points.get(i)), self.points.get(after));
        match (below, above) {
            (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (margin - a.0) / (b.0 - a.0),
            (Some(only), None) | (None, Some(only)) => only.1,
            (None, None) => f64::NAN,
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Pool {
    rows: f64,
    margins: f64,
    failures: f64,
}

impl Pool {
    fn add(&mut self, other: &Pool) {
        self.rows += other.rows;
        self.margins += other.margins;
        self.failures += other.failures;
    }

    fn rate(&self) -> f64 {
        self.failures / self.rows.max(1.0)
    }
}
