//! What alarms were worth, the way an operator feels it.
//!
//! A ticket opens on the first day on which a score reaches the threshold and stays open 30 days; while it is open the drive opens no
//! other. It is right if the drive fails 1 to 30 days later. Failures count in the period, drive-months and false tickets in the part of
//! it whose tickets can be judged (30 days before its end). Tickets opened before the period cost nothing, but may cover a failure in it.

use super::source::Histories;
use outband_health::model::{Day, HORIZON};
use std::collections::BTreeMap;
use std::fmt;

/// A score of a drive on a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alarm {
    /// The drive, by its place in the history.
    pub drive: usize,
    /// The day.
    pub day: Day,
    /// Comparable across drives and days.
    pub score: f64,
}

/// What a threshold gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The threshold.
    pub threshold: f64,
    /// Tickets that can be judged, and how many of them were wrong.
    pub tickets: usize,
    /// Wrong ones.
    pub wrong: usize,
    /// Share of failures that an open ticket foretold by a day or more.
    pub recall: f64,
    /// The same, counting only 7 days or more.
    pub recall_week: f64,
    /// False tickets per 100 drive-months.
    pub false_rate: f64,
    /// Median days from ticket to failure.
    pub lead: Option<Day>,
    /// The drives whose failure was foretold, and by how many days.
    pub foretold: BTreeMap<usize, Day>,
}

impl Outcome {
    /// Right tickets of all.
    pub fn precision(&self) -> f64 {
        ratio(self.tickets - self.wrong, self.tickets)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lead = self.lead.map_or_else(|| "-".to_owned(), |d| d.to_string());
        write!(
            f,
            "threshold {:.5}  tickets {:5}  recall {:.3}  precision {:.3}  false {:.3}  lead {lead:>2} d  recall at 7 d {:.3}",
            self.threshold,
            self.tickets,
            self.recall,
            self.precision(),
            self.false_rate,
            self.recall_week
        )
    }
}

/// A period, its failures and its alarms.
#[derive(Debug)]
pub struct Judge<'a> {
    history: &'a Histories,
    from: Day,
    to: Day,
    /// Failures in the period.
    pub failures: usize,
    /// Drive-months at risk.
    pub months: f64,
}

impl<'a> Judge<'a> {
    /// Of a period, both days in it.
    pub fn new(history: &'a Histories, from: Day, to: Day) -> Self {
        let days = |l: &super::source::Life| (l.last.min(to - HORIZON) - l.first.max(from) + 1).max(0);
        let months = history.lives.iter().map(|l| f64::from(days(l))).sum::<f64>() / 30.4375;
        let mut judge = Judge { history, from, to, failures: 0, months };
        judge.failures = (0..history.lives.len()).filter(|d| judge.counts(*d)).count();
        judge
    }

    /// Whether the drive's failure counts.
    pub fn counts(&self, drive: usize) -> bool {
        let counts = |l: &super::source::Life| l.failed && l.last > l.first && l.last > self.from && l.last <= self.to;
        self.history.lives.get(drive).is_some_and(counts)
    }

    /// What a threshold gives. Alarms are by drive and day.
    pub fn at(&self, alarms: &[Alarm], threshold: f64) -> Outcome {
        let (mut tickets, mut wrong) = (0, 0);
        let mut foretold = BTreeMap::new();
        let mut open: Option<(usize, Day)> = None;
        for alarm in alarms.iter().filter(|a| a.score >= threshold && a.day <= self.to) {
            let Some(life) = self.history.lives.get(alarm.drive) else { continue };
            if open.is_some_and(|(drive, until)| drive == alarm.drive && alarm.day < until) {
                continue;
            }
            open = Some((alarm.drive, alarm.day + HORIZON));
            let right = life.fails_within(alarm.day, HORIZON);
            if right && self.counts(alarm.drive) {
                foretold.insert(alarm.drive, life.last - alarm.day);
            }
            if (self.from..=self.to - HORIZON).contains(&alarm.day) {
                tickets += 1;
                wrong += usize::from(!right);
            }
        }
        let mut leads: Vec<Day> = foretold.values().copied().collect();
        leads.sort_unstable();
        let week = leads.iter().filter(|d| **d >= 7).count();
        Outcome {
            threshold,
            tickets,
            wrong,
            recall: ratio(leads.len(), self.failures),
            recall_week: ratio(week, self.failures),
            false_rate: 100.0 * as_f64(wrong) / self.months.max(f64::MIN_POSITIVE),
            lead: leads.get(leads.len() / 2).copied(),
            foretold,
        }
    }

    /// The lowest threshold that keeps within a budget of false tickets per 100 drive-months.
    pub fn within(&self, alarms: &[Alarm], budget: f64) -> Option<Outcome> {
        let mut scores: Vec<f64> = alarms.iter().map(|a| a.score).collect();
        scores.sort_by(f64::total_cmp);
        scores.dedup();
        let (mut low, mut high) = (0, scores.len().checked_sub(1)?);
        while low < high {
            let middle = usize::midpoint(low, high);
            match scores.get(middle).map(|t| self.at(alarms, *t)) {
                Some(outcome) if outcome.false_rate <= budget => high = middle,
                _ => low = middle + 1,
            }
        }
        scores.get(low).map(|t| self.at(alarms, *t))
    }
}

fn ratio(a: usize, b: usize) -> f64 {
    as_f64(a) / as_f64(b.max(1))
}

pub(super) fn as_f64(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}
