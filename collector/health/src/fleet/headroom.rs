//! How much of what a rack, a feed or a site has is used, how that goes on, and when it ends. Made of [`super::usage`].
//!
//! A sum over servers is made hour by hour, of what they drew in the same hour. A server that told nothing in an hour counts with its own
//! median there, and hours in which more than a tenth of the sum would be such are left out; a server that has been silent for two days, or that tells no power, is
//! in no sum, and is told with its reason. A trend is that of servers that were there through the span: what came, went or was moved is none.
//!
//! Read in this order: [`course`] (one server over a span), [`sum`] (several), [`trend`], [`group`] (all of it for a rack).

pub mod course;
pub mod group;
pub mod sum;
pub mod trend;

use super::usage::{HOURS, date_of};
use outband_schemas::Timestamp;

/// Days that are looked at, up to now. Dates are days since 1970 (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    first: i32,
    days: usize,
    /// Hours of it that have begun.
    begun: usize,
}

impl Span {
    /// So many days, of which `now` is in the last.
    pub fn ending(now: Timestamp, days: u16) -> Self {
        let last = date_of(now);
        let days = usize::from(days.max(1));
        let first = last.saturating_sub(i32::try_from(days).unwrap_or(i32::MAX).saturating_sub(1));
        let hour = now.as_millis().div_euclid(3_600_000).rem_euclid(24);
        Self { first, days, begun: (days - 1) * HOURS + usize::try_from(hour).unwrap_or_default() + 1 }
    }

    /// The first day.
    pub fn first(&self) -> i32 {
        self.first
    }

    /// The last day.
    pub fn last(&self) -> i32 {
        self.first.saturating_add(i32::try_from(self.days - 1).unwrap_or(i32::MAX))
    }

    /// How many.
    pub fn days(&self) -> usize {
        self.days
    }

    fn hours(&self) -> usize {
        self.days * HOURS
    }

    /// The place of a day.
    fn at(&self, date: i32) -> Option<usize> {
        usize::try_from(date.checked_sub(self.first)?).ok().filter(|at| *at < self.days)
    }

    /// The day at a place.
    fn date(&self, at: usize) -> i32 {
        self.first.saturating_add(i32::try_from(at).unwrap_or(i32::MAX))
    }
}

/// What so large a share of the values is not above (nearest rank).
pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let count = values.len();
    let above = (0..count).rev().take_while(|at| crate::stats::ratio(*at, count) >= share).count();
    values.get(count.checked_sub(above + 1)?).copied()
}

/// Which of some servers were there through the span, by the days on which each told something: of the days on which half of them did (days on which
/// nobody watched are nobody's fault) at least four of five, and some of the first fifth as of the last.
pub fn steady(told: &[Vec<bool>]) -> Vec<bool> {
    let days = told.iter().map(Vec::len).max().unwrap_or_default();
    let any = told.iter().filter(|t| t.iter().any(|d| *d)).count();
    let tells = |server: &[bool], day: usize| server.get(day).copied().unwrap_or(false);
    let watched: Vec<usize> =
        (0..days).filter(|day| any > 0 && told.iter().filter(|t| tells(t, *day)).count() * 2 >= any).collect();
    let fifth = watched.len().div_ceil(5);
    let (early, late) = (watched.get(..fifth), watched.get(watched.len() - fifth..));
    let in_some =
        |server: &[bool], days: Option<&[usize]>| days.is_some_and(|days| days.iter().any(|day| tells(server, *day)));
    told.iter()
        .map(|server| {
            let there = watched.iter().filter(|day| tells(server, **day)).count();
            in_some(server, early) && in_some(server, late) && there * 5 >= watched.len() * 4
        })
        .collect()
}

#[cfg(test)]
mod tests;
