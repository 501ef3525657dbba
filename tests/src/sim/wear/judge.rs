//! Holds alarms against the truth, as an operator feels them.
//!
//! A ticket opens with the first alarm of a component and stays open while alarms come at least every two days, and 30 days after
//! the last; an alarm within that opens no other. It is true if the component is wearing or has failed by a mode that can be foreseen; its lead
//! is counted to the failure. A failure is caught if a true ticket opened before it, in time if a week or more before.

use super::plan::{Class, Truth};
use std::collections::BTreeMap;

/// An alarm: server, component, hour.
pub type Alarm = (usize, String, i64);

/// What came of one class.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Foreseeable failures that fell into the judged time.
    pub failures: u32,
    /// Of these, how many had a ticket before they failed.
    pub caught: u32,
    /// And a week or more before.
    pub in_time: u32,
    /// Tickets of parts that wear.
    pub right: u32,
    /// Tickets of parts that do not.
    pub wrong: u32,
}

impl Tally {
    /// Adds what came of another rack.
    pub fn add(&mut self, other: Tally) {
        self.failures += other.failures;
        self.caught += other.caught;
        self.in_time += other.in_time;
        self.right += other.right;
        self.wrong += other.wrong;
    }
}

const STAYS: i64 = 30 * 24;

/// Judges one class of one rack over the hours `from..to`. Only failures that began to show after `from` and came before `to` count. What was
/// wrong, and what was missed, goes to `note`.
pub fn judge(
    class: Class,
    truths: &[Truth],
    alarms: &[Alarm],
    from: i64,
    to: i64,
    mut note: impl FnMut(String),
) -> Tally {
    let mut tickets: BTreeMap<(usize, &str), Vec<i64>> = BTreeMap::new();
    let mut open: BTreeMap<(usize, &str), i64> = BTreeMap::new();
    let mut sorted: Vec<&Alarm> = alarms.iter().collect();
    sorted.sort_by_key(|a| a.2);
    for (server, component, at) in sorted {
        let key = (*server, component.as_str());
        if open.insert(key, at + STAYS).is_none_or(|until| until < *at) {
            tickets.entry(key).or_default().push(*at);
        }
    }
    let truths: Vec<&Truth> = truths.iter().filter(|t| t.class == class).collect();
    let mut tally = Tally::default();
    for ((server, component), opened) in &tickets {
        for at in opened.iter().filter(|at| **at >= from && **at < to) {
            let wears = truths.iter().any(|t| {
                t.server == *server
                    && t.component == *component
                    && t.foreseeable()
                    && t.onset <= *at
                    && *at <= t.fails + STAYS
            });
            if wears {
                tally.right += 1;
            } else {
                tally.wrong += 1;
                let near: Vec<String> = truths
                    .iter()
                    .filter(|t| t.server == *server)
                    .map(|t| format!("{} {} {}..{}", t.component, t.mode, t.onset, t.fails))
                    .collect();
                note(format!("server {server} {component}: wrong at hour {at} (true there: {})", near.join(", ")));
            }
        }
    }
    for truth in truths.iter().filter(|t| t.foreseeable() && t.fails < to && t.fails >= from && t.onset >= 0) {
        tally.failures += 1;
        let first = tickets
            .get(&(truth.server, truth.component.as_str()))
            .and_then(|opened| opened.iter().find(|at| **at >= truth.onset && **at < truth.fails));
        match first {
            Some(at) => {
                tally.caught += 1;
                tally.in_time += u32::from(truth.fails - at >= 7 * 24);
                if truth.fails - at < 7 * 24 {
                    note(format!("{} late by {} h", told(truth), 7 * 24 - (truth.fails - at)));
                }
            }
            None => note(format!("{} missed", told(truth))),
        }
    }
    tally
}

fn told(truth: &Truth) -> String {
    format!("server {} {}: {} {}..{}", truth.server, truth.component, truth.mode, truth.onset, truth.fails)
}
