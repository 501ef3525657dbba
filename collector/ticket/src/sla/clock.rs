//! A clock as data: what starts it, what stops it, what pauses it, and how much time it allows.

use super::Allowance;
use crate::escalation::Step;
use crate::{Action, Milestone, Priority, State, Transition, Visibility};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The name of a clock, e.g. `respond`: lower case letters, digits and `_`, at most 40 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target(Cow<'static, str>);

/// The text is no name of a clock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a clock; write lower case letters, digits and _, e.g. `respond`")]
pub struct BadTarget(String);

impl Target {
    /// A human answers the phone.
    pub const PICKUP: Target = Target(Cow::Borrowed("pickup"));
    /// The customer is told, by whatever channel.
    pub const CONTACT: Target = Target(Cow::Borrowed("contact"));
    /// Somebody takes it: met by assigning or starting.
    pub const RESPOND: Target = Target(Cow::Borrowed("respond"));
    /// The customer has a first answer.
    pub const FIRST_RESPONSE: Target = Target(Cow::Borrowed("first_response"));
    /// Somebody is connected from afar.
    pub const REMOTE_ACCESS: Target = Target(Cow::Borrowed("remote_access"));
    /// Somebody stands before the server.
    pub const ONSITE: Target = Target(Cow::Borrowed("onsite"));
    /// The root cause is known: met by locating.
    pub const LOCATE: Target = Target(Cow::Borrowed("locate"));
    /// It works again, if not yet as it should.
    pub const WORKAROUND: Target = Target(Cow::Borrowed("workaround"));
    /// It is done: met by resolving.
    pub const REPAIR: Target = Target(Cow::Borrowed("repair"));
    /// The customer hears how it goes, again and again.
    pub const UPDATE_CADENCE: Target = Target(Cow::Borrowed("update_cadence"));

    /// The clocks that are shipped, in the order in which they are usually due.
    pub const SHIPPED: [Target; 10] = [
        Self::PICKUP,
        Self::CONTACT,
        Self::RESPOND,
        Self::FIRST_RESPONSE,
        Self::REMOTE_ACCESS,
        Self::ONSITE,
        Self::LOCATE,
        Self::WORKAROUND,
        Self::REPAIR,
        Self::UPDATE_CADENCE,
    ];

    /// The word on the wire and in output.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Target {
    type Error = BadTarget;

    fn try_from(text: String) -> Result<Self, BadTarget> {
        let well = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if text.is_empty() || text.len() > 40 || !text.bytes().all(well) {
            return Err(BadTarget(text));
        }
        Ok(Self(Cow::Owned(text)))
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        target.0.into_owned()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What may start or stop a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The ticket was opened.
    Opened,
    /// Somebody has it.
    Assigned,
    /// Work began.
    Started,
    /// The root cause is known.
    Located,
    /// It is done.
    Resolved,
    /// A human answered the phone.
    Pickup,
    /// The customer was told.
    Contact,
    /// The customer had a first answer.
    FirstResponse,
    /// Somebody is connected from afar.
    RemoteAccess,
    /// Somebody stands before the server.
    Onsite,
    /// The customer accepted a workaround.
    Workaround,
    /// The customer heard how it goes: a milestone, or a comment that the customer sees.
    CustomerUpdate,
}

impl Event {
    /// What an entry of the log is to clocks, if anything.
    pub fn of(entry: &Transition) -> Option<Self> {
        Some(match &entry.action {
            Action::Open { .. } => Self::Opened,
            Action::Assign { .. } => Self::Assigned,
            Action::Start => Self::Started,
            Action::Locate { .. } => Self::Located,
            Action::Resolve { .. } => Self::Resolved,
            Action::Milestone { milestone, .. } => match milestone {
                Milestone::Pickup => Self::Pickup,
                Milestone::Contact => Self::Contact,
                Milestone::FirstResponse => Self::FirstResponse,
                Milestone::RemoteAccess => Self::RemoteAccess,
                Milestone::Onsite => Self::Onsite,
                Milestone::Workaround => Self::Workaround,
                Milestone::CustomerUpdate => Self::CustomerUpdate,
            },
            Action::Comment { visibility: Visibility::Customer, .. } => Self::CustomerUpdate,
            _ => return None,
        })
    }
}

/// The hours in which a clock runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hours {
    /// Around the clock.
    Always,
    /// The calendar's open hours.
    Business,
}

/// What one priority is promised by one clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// The hours in which it runs.
    pub hours: Hours,
    /// The time allowed.
    pub allowance: Allowance,
}

/// A clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockSpec {
    /// Its name, unique within a policy.
    pub name: Target,
    /// It begins with the first of these.
    pub start: BTreeSet<Event>,
    /// It is met by the first of these after that. A ticket that is resolved meets what was not met before, until it is reopened.
    pub stop: BTreeSet<Event>,
    /// The states in which it pauses.
    pub pauses: BTreeSet<State>,
    /// Whether meeting it begins it anew, as long as the ticket is open.
    #[serde(default)]
    pub repeat: bool,
    /// The calendar of its business hours; `None`: the usual one.
    #[serde(default)]
    pub calendar: Option<String>,
    /// What each priority is promised. One that is missing has no such clock.
    pub targets: BTreeMap<Priority, Term>,
    /// Who is told when, before and after it is due.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

impl ClockSpec {
    /// A clock of this name without targets: as it is shipped, else one that starts with the ticket and stops when it is resolved.
    pub fn named(name: Target) -> Self {
        use Event as E;
        // To know the cause is to have responded; whoever reached the customer has answered.
        let stop: &[Event] = match name.as_str() {
            "pickup" => &[E::Pickup],
            "contact" => &[E::Contact, E::FirstResponse, E::CustomerUpdate],
            "respond" => &[E::Assigned, E::Started, E::Located],
            "first_response" => &[E::FirstResponse, E::Contact, E::CustomerUpdate],
            "remote_access" => &[E::RemoteAccess],
            "onsite" => &[E::Onsite],
            "locate" => &[E::Located],
            "workaround" => &[E::Workaround],
            "update_cadence" => &[E::CustomerUpdate],
            _ => &[E::Resolved],
        };
        Self {
            repeat: name == Target::UPDATE_CADENCE,
            name,
            start: BTreeSet::from([E::Opened]),
            stop: stop.iter().copied().collect(),
            pauses: BTreeSet::from([State::WaitingForCustomer]),
            calendar: None,
            targets: BTreeMap::new(),
            steps: Vec::new(),
        }
    }

    /// The clock with the same promise for these priorities.
    #[must_use]
    pub fn with(mut self, priorities: &[Priority], hours: Hours, allowance: Allowance) -> Self {
        self.targets.extend(priorities.iter().map(|p| (*p, Term { hours, allowance })));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_clock_reads_back_and_nothing_else_is_one() {
        let name: Target = serde_json::from_str("\"locate\"").unwrap();
        assert_eq!(name, Target::LOCATE);
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"locate\"");
        for wrong in ["", "Locate", "a b", "é", &"x".repeat(41)] {
            assert!(Target::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
