//! What is promised: named policies, each in revisions. A ticket names the revision that it was promised.

use crate::calendar::Calendar;
use crate::sla::{Allowance, ClockSpec, Hours, Target};
use crate::{Priority, Rebase, State};
use outband_schemas::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One revision of what is promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlaPolicy {
    /// Its name, e.g. `gold`.
    pub name: String,
    /// Grows with each change of what it promises, from 1.
    pub revision: u32,
    /// From when the clocks of a ticket count that comes to this policy later, by a new contract or a new revision.
    pub rebase: Rebase,
    /// From when they count when the priority changes: by default from the change, since things got worse, or better, then.
    #[serde(default = "change")]
    pub reprioritise: Rebase,
    /// Its clocks, in the order in which they are shown.
    pub clocks: Vec<ClockSpec>,
}

const fn change() -> Rebase {
    Rebase::Change
}

impl SlaPolicy {
    /// The policy of tickets that name none.
    pub const DEFAULT: &str = "default";

    /// A clock by its name.
    pub fn clock(&self, name: &Target) -> Option<&ClockSpec> {
        self.clocks.iter().find(|c| c.name == *name)
    }

    /// Whether both promise the same, whatever their revisions.
    pub fn promises_as(&self, other: &SlaPolicy) -> bool {
        let terms = |p: &SlaPolicy| (p.rebase, p.reprioritise);
        self.name == other.name && terms(self) == terms(other) && self.clocks == other.clocks
    }

    /// The policy with every clock paused in these states only.
    #[must_use]
    pub fn pausing_in(mut self, states: &BTreeSet<State>) -> Self {
        for clock in &mut self.clocks {
            clock.pauses.clone_from(states);
        }
        self
    }
}

const fn minutes(n: u64) -> Allowance {
    Allowance::Within(Duration::from_secs(n * 60))
}

impl Default for SlaPolicy {
    /// Respond, locate, repair. P1: 5 min, 15 min, 1 h; P2: 15 min, 1 h, 4 h, both around the clock. P3: 1 h, 4 h, next
    /// business day; P4: next business day, none, 5 business days, both in business hours. Only waiting for the customer
    /// pauses: spares are the provider's promise.
    fn default() -> Self {
        use Hours::{Always, Business};
        use Priority::{P1, P2, P3, P4};
        let days = Allowance::BusinessDays;
        Self {
            name: Self::DEFAULT.to_owned(),
            revision: 1,
            rebase: Rebase::Creation,
            reprioritise: Rebase::Change,
            clocks: vec![
                ClockSpec::named(Target::RESPOND)
                    .with(&[P1], Always, minutes(5))
                    .with(&[P2], Always, minutes(15))
                    .with(&[P3], Business, minutes(60))
                    .with(&[P4], Business, days(1)),
                ClockSpec::named(Target::LOCATE)
                    .with(&[P1], Always, minutes(15))
                    .with(&[P2], Always, minutes(60))
                    .with(&[P3], Business, minutes(240)),
                ClockSpec::named(Target::REPAIR)
                    .with(&[P1], Always, minutes(60))
                    .with(&[P2], Always, minutes(240))
                    .with(&[P3], Business, days(1))
                    .with(&[P4], Business, days(5)),
            ],
        }
    }
}

/// Every policy in every revision that a ticket may name, and those of tickets that name none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// The first revision for tickets that name none.
    first: SlaPolicy,
    /// Later ones, with the time from which each is in force, oldest first.
    later: Vec<(Timestamp, SlaPolicy)>,
    revisions: BTreeMap<(String, u32), SlaPolicy>,
}

impl Policies {
    /// The policy of tickets that name none, and others.
    pub fn new(usual: SlaPolicy, others: impl IntoIterator<Item = SlaPolicy>) -> Self {
        Self::kept(usual, others.into_iter().map(|policy| (Timestamp::EPOCH, policy)))
    }

    /// Every revision that is kept, with the time from which each is in force. Those of [`SlaPolicy::DEFAULT`] are for tickets that name
    /// none; where there is no such one, `usual` is.
    pub fn kept(usual: SlaPolicy, all: impl IntoIterator<Item = (Timestamp, SlaPolicy)>) -> Self {
        let (mut later, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(_, policy)| policy.name == SlaPolicy::DEFAULT);
        later.sort_by_key(|(since, policy)| (*since, policy.revision));
        let first = if later.is_empty() { usual } else { later.remove(0).1 };
        let policies = later.iter().chain(&others).map(|(_, policy)| policy).chain([&first]);
        let revisions = policies.map(|p| ((p.name.clone(), p.revision), p.clone())).collect();
        Self { first, later, revisions }
    }

    /// The policy of tickets that name none, for those that are opened now.
    pub fn usual(&self) -> &SlaPolicy {
        self.later.last().map_or(&self.first, |(_, policy)| policy)
    }

    /// The policy of tickets that name none, for one that was opened then: a ticket keeps its revision. One from before the first
    /// revision has that.
    pub fn usual_at(&self, opened: Timestamp) -> &SlaPolicy {
        let known = self.later.iter().rev().find(|(since, _)| *since <= opened);
        known.map_or(&self.first, |(_, policy)| policy)
    }

    /// A revision of a policy. One that is not known is answered by the next newer one of its name, else by the newest.
    pub fn revision(&self, name: &str, revision: u32) -> Option<&SlaPolicy> {
        let of_name = |from: u32| self.revisions.range((name.to_owned(), from)..=(name.to_owned(), u32::MAX));
        let newer = of_name(revision).next();
        newer.or_else(|| of_name(0).next_back()).map(|(_, policy)| policy)
    }

    /// The newest revision of a policy.
    pub fn newest(&self, name: &str) -> Option<&SlaPolicy> {
        self.revision(name, u32::MAX)
    }

    /// The names of all policies.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self.revisions.keys().map(|(name, _)| name.as_str()).collect();
        names.dedup();
        names.into_iter()
    }
}

impl From<SlaPolicy> for Policies {
    fn from(usual: SlaPolicy) -> Self {
        Self::new(usual, [])
    }
}

/// The calendars by which clocks count.
#[derive(Debug, Clone)]
pub struct Calendars {
    always: Calendar,
    usual: Calendar,
    named: BTreeMap<String, Calendar>,
}

impl Calendars {
    /// The usual calendar of business hours, and others by their names.
    pub fn new(usual: Calendar, named: BTreeMap<String, Calendar>) -> Self {
        Self { always: Calendar::always(), usual, named }
    }

    /// Every calendar that has a name, and the usual one as `business`.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Calendar)> {
        [("business", &self.usual)].into_iter().chain(self.named.iter().map(|(name, c)| (name.as_str(), c)))
    }

    /// Whether a calendar has this name.
    pub fn knows(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    /// The business hours of a clock. A calendar that is not known is answered by the usual one.
    pub fn business(&self, name: Option<&str>) -> &Calendar {
        name.and_then(|name| self.named.get(name)).unwrap_or(&self.usual)
    }

    /// The hours in which a clock runs.
    pub fn hours(&self, hours: Hours, name: Option<&str>) -> &Calendar {
        match hours {
            Hours::Always => &self.always,
            Hours::Business => self.business(name),
        }
    }
}

impl From<Calendar> for Calendars {
    fn from(usual: Calendar) -> Self {
        Self::new(usual, BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gold(revision: u32) -> SlaPolicy {
        SlaPolicy { name: "gold".to_owned(), revision, ..SlaPolicy::default() }
    }

    #[test]
    fn a_ticket_keeps_the_revision_that_it_names() {
        let all = Policies::new(SlaPolicy::default(), [gold(1), gold(3)]);
        assert_eq!(all.revision("gold", 1).map(|p| p.revision), Some(1));
        assert_eq!(all.revision("gold", 2).map(|p| p.revision), Some(3));
        assert_eq!(all.newest("gold").map(|p| p.revision), Some(3));
        assert_eq!(all.newest("silver"), None);
    }

    #[test]
    fn a_ticket_that_names_no_policy_keeps_the_default_that_it_was_opened_under() {
        let default = |revision| SlaPolicy { revision, ..SlaPolicy::default() };
        let at = Timestamp::from_secs;
        let all = Policies::kept(default(9), [(at(200), default(2)), (at(0), gold(1)), (at(100), default(1))]);
        assert_eq!([50, 100, 199, 200].map(|t| all.usual_at(at(t)).revision), [1, 1, 1, 2]);
        assert_eq!(all.usual().revision, 2);
        assert_eq!(all.names().collect::<Vec<_>>(), ["default", "gold"]);
        assert_eq!(Policies::kept(default(9), []).usual_at(at(0)).revision, 9);
    }
}
