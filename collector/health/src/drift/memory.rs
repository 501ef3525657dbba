//! Memory modules: corrected errors that come on several days. One burst on one day is common, and no sign.

use super::sign::What;
use super::watch::Measure;
use super::{Sign, SignClass, SignFact, day_start};
use crate::SortedMap;
use outband_schemas::ComponentId;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Days that are looked at.
const SPAN: i32 = 14;
/// So many days with errors, and so many errors, within that span are a sign.
const DAYS: usize = 4;
const ERRORS: f64 = 18.0;
/// A day with so many errors counts as a day with errors: fewer are what any module has.
const OF_A_DAY: f64 = 2.0;

/// The corrected errors of one module.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Errors {
    count: Option<f64>,
    /// A lower count that waits for a second one: a counter that was reset, or a bad read.
    fallen: Option<f64>,
    today: f64,
    days: VecDeque<(i32, f64)>,
    date: i32,
}

impl Errors {
    pub(super) fn count(&mut self, value: f64, date: i32) {
        self.date = date;
        let Some(count) = self.count else {
            self.count = Some(value);
            return;
        };
        if value >= count {
            self.today += value - count;
            (self.count, self.fallen) = (Some(value), None);
            return;
        }
        match self.fallen {
            // The counter began anew; what it has since counted came after the reset.
            Some(fallen) if value >= fallen => {
                self.today += value;
                (self.count, self.fallen) = (Some(value), None);
            }
            _ => self.fallen = Some(value),
        }
    }

    #[cfg(test)]
    pub(super) fn of_day(&self, date: i32) -> f64 {
        self.days.iter().filter(|(d, _)| *d == date).map(|(_, n)| n).sum()
    }

    pub(super) fn close(&mut self, date: i32) {
        if self.today > 0.0 {
            self.days.push_back((date, self.today));
            self.today = 0.0;
        }
        self.date = date;
        // Where a clock was ahead for a while, what was counted then was counted until now.
        for (day, _) in &mut self.days {
            *day = date.min(*day);
        }
        while self.days.front().is_some_and(|(d, _)| date - d >= SPAN) {
            self.days.pop_front();
        }
    }
}

pub(super) fn signs(modules: &SortedMap<ComponentId, Errors>) -> Vec<Sign> {
    let sick = |errors: &Errors| errors.days.iter().filter(|(_, n)| *n >= OF_A_DAY).count() >= DAYS;
    let ill = modules.values().filter(|e| sick(e)).count();
    // What befalls most modules at once is not the modules': a processor, a voltage, heat.
    if ill > 2 && ill * 2 > modules.len() {
        return Vec::new();
    }
    modules.iter().filter(|(_, e)| sick(e)).filter_map(|(component, errors)| sign(component, errors)).collect()
}

fn sign(component: &ComponentId, errors: &Errors) -> Option<Sign> {
    let total: f64 = errors.days.iter().map(|(_, n)| n).sum();
    // The greatest day counts as much as the next: one burst is not a trend.
    let mut sorted: Vec<f64> = errors.days.iter().map(|(_, n)| *n).collect();
    sorted.sort_by(f64::total_cmp);
    let greatest = sorted.pop()?;
    let steady = total - greatest + greatest.min(*sorted.last()?);
    let (since, _) = errors.days.front()?;
    let share = (steady / ERRORS).sqrt();
    let fact = SignFact {
        measure: Measure::Errors,
        sensor: String::new(),
        what: What::Errors,
        by: total,
        share,
        since: day_start(*since),
    };
    Some(Sign::new(component, SignClass::Dimm, share, vec![fact]))
}
