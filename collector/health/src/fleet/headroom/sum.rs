//! The power of several servers, hour by hour.

use super::course::Course;
use super::{Span, quantile};
use crate::fleet::usage::HOURS;

/// An hour counts while at most this share of its sum is of servers that told nothing in it.
const FILLED: f64 = 0.1;
/// A day counts with so many hours.
const DAY_HOURS: usize = 12;

/// The power of several servers, hour by hour, in W.
#[derive(Debug, Clone)]
pub struct Sum {
    /// What was told.
    known: Vec<f64>,
    /// What servers that told nothing in the hour usually draw.
    filled: Vec<f64>,
    /// The sum of what each drew at most within the hour.
    peak: Vec<f64>,
}

/// How much is drawn, in W.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// The mean.
    pub mean: f64,
    /// What 95 of 100 hours are not above, of the means of hours.
    pub p95: f64,
    /// The most: if within an hour all servers drew their most at once.
    pub max: f64,
    /// Hours that count.
    pub hours: usize,
    /// Hours that do not, because too much was unknown in them.
    pub left_out: usize,
    /// Which share of the energy is not told but taken from what those servers usually draw.
    pub filled: f64,
}

impl Sum {
    /// Of nothing yet.
    pub fn new(span: &Span) -> Self {
        let none = vec![0.0; span.hours()];
        Self { known: none.clone(), filled: none.clone(), peak: none }
    }

    /// Adds this share of a server.
    pub fn add(&mut self, of: &Course, share: f64) {
        let sums = self.known.iter_mut().zip(&mut self.filled).zip(&mut self.peak);
        for (((known, filled), peak), (mean, most)) in sums.zip(of.mean.iter().zip(&of.peak)) {
            match mean {
                Some(watts) => {
                    *known += f64::from(*watts) * share;
                    *peak += f64::from(most.unwrap_or(*watts)) * share;
                }
                None => {
                    *filled += of.usual * share;
                    *peak += of.usual * share;
                }
            }
        }
    }

    /// This and another together.
    pub fn with(&self, other: &Self) -> Self {
        let both = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect();
        Self {
            known: both(&self.known, &other.known),
            filled: both(&self.filled, &other.filled),
            peak: both(&self.peak, &other.peak),
        }
    }

    /// The hours that count: place, sum, the part of it that was filled, most.
    fn hours(&self) -> impl Iterator<Item = (usize, f64, f64, f64)> {
        let all = self.known.iter().zip(&self.filled).zip(&self.peak).enumerate();
        let all = all.map(|(at, ((known, filled), peak))| (at, known + filled, *filled, *peak));
        all.filter(|(_, sum, filled, _)| *sum > 0.0 && *filled <= sum * FILLED)
    }

    /// How much is drawn; `None` where no hour counts.
    pub fn load(&self) -> Option<Load> {
        let mut load = Load { mean: 0.0, p95: 0.0, max: 0.0, hours: 0, left_out: 0, filled: 0.0 };
        let mut sums = Vec::new();
        for (_, sum, filled, most) in self.hours() {
            load.filled += filled;
            load.max = load.max.max(most);
            sums.push(sum);
        }
        let whole: f64 = sums.iter().sum();
        load.hours = sums.len();
        load.left_out = self.known.iter().filter(|known| **known > 0.0).count() - load.hours;
        load.mean = whole / f64::from(u32::try_from(load.hours).unwrap_or(u32::MAX));
        load.filled /= whole.max(f64::MIN_POSITIVE);
        load.p95 = quantile(sums, 0.95)?;
        Some(load)
    }

    /// The p95 of each day that has enough hours, by its place.
    pub fn daily(&self) -> Vec<(usize, f64)> {
        let mut days: Vec<(usize, Vec<f64>)> = Vec::new();
        for (at, sum, ..) in self.hours() {
            match days.last_mut() {
                Some((day, sums)) if *day == at / HOURS => sums.push(sum),
                _ => days.push((at / HOURS, vec![sum])),
            }
        }
        let enough = days.into_iter().filter(|(_, sums)| sums.len() >= DAY_HOURS);
        enough.filter_map(|(day, sums)| Some((day, quantile(sums, 0.95)?))).collect()
    }
}
