//! How often rules were right. Pure.

use outband_store::outcome::TicketOutcome;
use outband_ticket::{Answer, Basis, Outcome};
use std::collections::BTreeMap;
use std::time::Duration;

/// The 97.5 % quantile of the normal distribution: of two-sided 95 % intervals.
const Z: f64 = 1.959_963_984_540_054;

/// By what the figures of a rule are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    /// By the model of the part.
    Model,
    /// By the version of the model that foretold it.
    Predictor,
    /// By site.
    Site,
    /// By customer.
    Customer,
    /// By what was wrong.
    Fault,
}

impl By {
    /// Every one.
    pub const ALL: [By; 5] = [Self::Model, Self::Predictor, Self::Site, Self::Customer, Self::Fault];

    /// The word on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Predictor => "predictor",
            Self::Site => "site",
            Self::Customer => "customer",
            Self::Fault => "fault",
        }
    }

    /// What a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == word)
    }
}

/// How often something was right. Exercises and merged tickets are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precision {
    /// Tickets that were right.
    pub right: u64,
    /// Tickets that were wrong.
    pub wrong: u64,
    /// Tickets that ended, and nobody knows.
    pub unknown: u64,
    /// Tickets that have not ended.
    pub pending: u64,
    /// Of the right ones, those whose failure the machine itself has shown.
    pub seen: u64,
    /// Of the unknown ones, those that were closed, did not end by themselves, and of which nobody ever said what it was.
    pub not_given: u64,
    /// Tickets that were wrong since another part was at fault, which somebody named. By model, they count for the model of the named part, which may
    /// have no other ticket.
    pub misplaced: u64,
    leads: Vec<Duration>,
}

impl Precision {
    /// Counts a ticket.
    pub fn add(&mut self, outcome: &Outcome) {
        match outcome.answer {
            Answer::Right => self.right += 1,
            Answer::Wrong => self.wrong += 1,
            Answer::Unknown => self.unknown += 1,
            Answer::Pending => self.pending += 1,
            Answer::Aside => return,
        }
        self.not_given += u64::from(outcome.lacks_verdict());
        self.seen += u64::from(outcome.answer == Answer::Right && outcome.basis == Basis::Seen);
        self.leads.extend(outcome.lead());
    }

    /// Right ones of those that somebody has verified; `None` where there is none.
    pub fn share(&self) -> Option<f64> {
        let verified = self.right + self.wrong;
        (verified > 0).then(|| count(self.right) / count(verified))
    }

    /// The 95 % interval of [`Self::share`].
    pub fn interval(&self) -> Option<(f64, f64)> {
        wilson(self.right, self.right + self.wrong)
    }

    /// Whether it is right less often than that, beyond doubt.
    pub fn is_below(&self, bound: f64) -> bool {
        self.interval().is_some_and(|(_, high)| high < bound)
    }

    /// The median time from the ticket to the failure or its confirmation: always one that was measured.
    pub fn median_lead(&self) -> Option<Duration> {
        let mut leads = self.leads.clone();
        leads.sort_unstable();
        leads.get(leads.len().saturating_sub(1) / 2).copied()
    }
}

/// The 95 % score interval of a share (Wilson, 1927): sound for small counts, too. `None` of nothing.
pub fn wilson(right: u64, of: u64) -> Option<(f64, f64)> {
    if of == 0 || right > of {
        return None;
    }
    let (n, share) = (count(of), count(right) / count(of));
    let middle = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    // At the ends, rounding would leave a trace.
    let low = if right == 0 { 0.0 } else { (middle - half) / scale };
    let high = if right == of { 1.0 } else { (middle + half) / scale };
    Some((low, high))
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn count(n: u64) -> f64 {
    n as f64
}

/// The figures of a rule, or of a part of its tickets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The rule.
    pub rule: String,
    /// By what the row is told apart; `None`: the rule as a whole.
    pub by: Option<By>,
    /// Which one; `None` where it is not known, and of the rule as a whole.
    pub value: Option<String>,
    /// How often it was right.
    pub precision: Precision,
}

/// A rule, by what its tickets are told apart, and which they are.
type Key = (String, Option<By>, Option<String>);

/// The rows in which a ticket counts, where it is about a part of this model.
fn keys<'a>(
    by: &'a [By],
    of: &'a TicketOutcome,
    model: Option<&'a str>,
    customer: Option<&'a str>,
) -> impl Iterator<Item = Key> + 'a {
    let groups = by.iter().map(move |by| {
        let value = match by {
            By::Model => model,
            By::Predictor => of.predictor.as_deref(),
            By::Site => of.site.as_ref().map(|site| site.as_str()),
            By::Customer => customer,
            By::Fault => Some(of.fault.as_str()),
        };
        (Some(*by), value)
    });
    let all = std::iter::once((None, None)).chain(groups);
    all.map(|(by, value)| (of.rule.clone(), by, value.map(str::to_owned)))
}

/// The figures in the making.
#[derive(Debug)]
pub struct Tally<'a> {
    by: &'a [By],
    rows: BTreeMap<Key, Precision>,
}

impl<'a> Tally<'a> {
    /// Of nothing yet, to be told apart by these.
    pub fn new(by: &'a [By]) -> Self {
        Self { by, rows: BTreeMap::new() }
    }

    /// Counts a ticket.
    pub fn add(&mut self, of: &TicketOutcome, customer: Option<&str>) {
        if of.outcome.answer == Answer::Aside {
            return;
        }
        for key in keys(self.by, of, of.model.as_deref(), customer) {
            self.rows.entry(key).or_default().add(&of.outcome);
        }
        if of.outcome.other.is_some() {
            for key in keys(self.by, of, of.other.model.as_deref(), customer) {
                self.rows.entry(key).or_default().misplaced += 1;
            }
        }
    }

    /// By rule, each as a whole first.
    pub fn rows(self) -> Vec<Row> {
        let row = |((rule, by, value), precision)| Row { rule, by, value, precision };
        self.rows.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests;
