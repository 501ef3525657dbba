//! How often predictions were right, as the reliability report tells it. What nobody has verified counts neither as right nor as wrong.

use super::case::Known;
use crate::outcome::precision::Precision;
use outband_ticket::{Answer, Outcome};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What became of what a rule foretold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Foretold {
    /// The rule.
    pub rule: String,
    /// Predictions that came true, or that a test confirmed.
    pub right: u64,
    /// Predictions of which a test found nothing, or another part.
    pub wrong: u64,
    /// Those that ended, and nobody knows.
    pub unknown: u64,
    /// Those that have not ended.
    pub pending: u64,
    /// Right ones of those that were verified, with the 95 % interval (Wilson); `None` where there is none.
    pub precision: Option<f64>,
    /// Its lower end.
    pub at_least: Option<f64>,
    /// Its upper end.
    pub at_most: Option<f64>,
    /// The median time from the ticket to the failure or its confirmation.
    #[serde(serialize_with = "super::json::maybe_span")]
    pub lead: Option<Duration>,
}

/// The figures in the making.
#[derive(Debug, Default)]
pub(super) struct Heap(BTreeMap<String, Precision>);

impl Heap {
    /// Adds a ticket that foretold something, as far as that is known.
    pub(super) fn add(&mut self, known: &Known<'_>) {
        let outcome = Outcome::of(known.log).filter(|o| o.predicted && o.answer != Answer::Aside);
        if let Some(outcome) = outcome {
            self.0.entry(known.ticket.rule.clone()).or_default().add(&outcome);
        }
    }

    /// By rule.
    pub(super) fn report(self) -> Vec<Foretold> {
        let one = |(rule, p): (String, Precision)| {
            let interval = p.interval();
            Foretold {
                rule,
                right: p.right,
                wrong: p.wrong,
                unknown: p.unknown,
                pending: p.pending,
                precision: p.share(),
                at_least: interval.map(|i| i.0),
                at_most: interval.map(|i| i.1),
                lead: p.median_lead(),
            }
        };
        self.0.into_iter().map(one).collect()
    }
}
