//! The states of a ticket and the one table of moves between them.

use crate::action::{Action, Milestone, Resolution, Verdict};
use crate::log::{Command, Transition};
use crate::ticket::Ticket;
use outband_schemas::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a ticket stands. The number is that of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum State {
    /// Opened; nobody has it yet.
    New = 1,
    /// Somebody has it.
    Assigned = 2,
    /// Somebody works on it.
    InProgress = 3,
    /// The customer has to do something.
    WaitingForCustomer = 4,
    /// A part is on its way.
    WaitingForParts = 5,
    /// Done; clean polls are still to verify it.
    Resolved = 6,
    /// Verified. Nothing moves it any more.
    Closed = 7,
    /// It was not done after all.
    Reopened = 8,
}

impl State {
    /// Every state, in the order of its number.
    pub const ALL: [State; 8] = [
        Self::New,
        Self::Assigned,
        Self::InProgress,
        Self::WaitingForCustomer,
        Self::WaitingForParts,
        Self::Resolved,
        Self::Closed,
        Self::Reopened,
    ];

    /// The stable number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The state of a stable number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.number() == number)
    }

    /// The word used in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Assigned => "assigned",
            Self::InProgress => "in_progress",
            Self::WaitingForCustomer => "waiting_for_customer",
            Self::WaitingForParts => "waiting_for_parts",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
            Self::Reopened => "reopened",
        }
    }

    /// Whether somebody still has to do something.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Resolved | Self::Closed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A row of the table: an action without its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Open it.
    Open,
    /// Give it to somebody.
    Assign,
    /// Begin to work.
    Start,
    /// Name the root cause.
    Locate,
    /// Wait for the customer.
    WaitForCustomer,
    /// Wait for a part.
    WaitForParts,
    /// Go on after waiting.
    Resume,
    /// Call it done.
    Resolve,
    /// Verified.
    Close,
    /// Not done after all.
    Reopen,
    /// Log something that moves nothing and has a meaning only before the end: a breach, another priority.
    Note,
    /// Log something that moves nothing, also after the end: a comment, a link.
    Remark,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Verb; 12] = [
        Self::Open,
        Self::Assign,
        Self::Start,
        Self::Locate,
        Self::WaitForCustomer,
        Self::WaitForParts,
        Self::Resume,
        Self::Resolve,
        Self::Close,
        Self::Reopen,
        Self::Note,
        Self::Remark,
    ];

    /// The word on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Assign => "assign",
            Self::Start => "start",
            Self::Locate => "locate",
            Self::WaitForCustomer => "wait_for_customer",
            Self::WaitForParts => "wait_for_parts",
            Self::Resume => "resume",
            Self::Resolve => "resolve",
            Self::Close => "close",
            Self::Reopen => "reopen",
            Self::Note => "note",
            Self::Remark => "remark",
        }
    }

    /// Whether it is done to move a ticket, rather than to log something.
    pub fn is_move(self) -> bool {
        !matches!(self, Self::Note | Self::Remark)
    }

    /// The verb of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.as_str() == word)
    }
}

use State::{Assigned, Closed, InProgress, New, Reopened, Resolved, WaitingForCustomer, WaitingForParts};

/// Every move that there is: from, verb, to. What does not stand here is rejected.
pub const MOVES: &[(State, Verb, State)] = &[
    (New, Verb::Assign, Assigned),
    (New, Verb::Start, InProgress),
    (New, Verb::Locate, New),
    (New, Verb::Resolve, Resolved),
    (New, Verb::Note, New),
    (New, Verb::Remark, New),
    (Assigned, Verb::Assign, Assigned),
    (Assigned, Verb::Start, InProgress),
    (Assigned, Verb::Locate, Assigned),
    (Assigned, Verb::WaitForCustomer, WaitingForCustomer),
    (Assigned, Verb::WaitForParts, WaitingForParts),
    (Assigned, Verb::Resolve, Resolved),
    (Assigned, Verb::Note, Assigned),
    (Assigned, Verb::Remark, Assigned),
    (InProgress, Verb::Assign, InProgress),
    (InProgress, Verb::Locate, InProgress),
    (InProgress, Verb::WaitForCustomer, WaitingForCustomer),
    (InProgress, Verb::WaitForParts, WaitingForParts),
    (InProgress, Verb::Resolve, Resolved),
    (InProgress, Verb::Note, InProgress),
    (InProgress, Verb::Remark, InProgress),
    (WaitingForCustomer, Verb::Assign, WaitingForCustomer),
    (WaitingForCustomer, Verb::Locate, WaitingForCustomer),
    (WaitingForCustomer, Verb::WaitForParts, WaitingForParts),
    (WaitingForCustomer, Verb::Resume, InProgress),
    (WaitingForCustomer, Verb::Resolve, Resolved),
    (WaitingForCustomer, Verb::Note, WaitingForCustomer),
    (WaitingForCustomer, Verb::Remark, WaitingForCustomer),
    (WaitingForParts, Verb::Assign, WaitingForParts),
    (WaitingForParts, Verb::Locate, WaitingForParts),
    (WaitingForParts, Verb::WaitForCustomer, WaitingForCustomer),
    (WaitingForParts, Verb::Resume, InProgress),
    (WaitingForParts, Verb::Resolve, Resolved),
    (WaitingForParts, Verb::Note, WaitingForParts),
    (WaitingForParts, Verb::Remark, WaitingForParts),
    (Resolved, Verb::Close, Closed),
    (Resolved, Verb::Reopen, Reopened),
    (Resolved, Verb::Note, Resolved),
    (Resolved, Verb::Remark, Resolved),
    (Reopened, Verb::Assign, Assigned),
    (Reopened, Verb::Start, InProgress),
    (Reopened, Verb::Locate, Reopened),
    (Reopened, Verb::WaitForCustomer, WaitingForCustomer),
    (Reopened, Verb::WaitForParts, WaitingForParts),
    (Reopened, Verb::Resolve, Resolved),
    (Reopened, Verb::Note, Reopened),
    (Reopened, Verb::Remark, Reopened),
    (Closed, Verb::Remark, Closed),
];

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The table has no such move.
    #[error("a ticket that is {from} cannot {}; it can {}", verb.as_str(), words(allowed))]
    NoSuchMove {
        /// The state it is in.
        from: State,
        /// What was asked.
        verb: Verb,
        /// What it can.
        allowed: Vec<Verb>,
    },
    /// A text that must be given was empty.
    #[error("{what} must not be empty")]
    Empty {
        /// Which.
        what: &'static str,
    },
    /// A milestone cannot have been reached then.
    #[error("a milestone can be told {0}")]
    NotThen(&'static str),
    /// A prediction is not closed before somebody has said what it was.
    #[error("a failure was predicted, and nobody has said what it was: give a verdict first ({})", verdicts())]
    NoVerdict,
}

fn verdicts() -> String {
    Verdict::ALL.map(Verdict::as_str).join(", ")
}

fn words(verbs: &[Verb]) -> String {
    let words: Vec<&str> = verbs.iter().filter(|v| v.is_move()).map(|v| v.as_str()).collect();
    if words.is_empty() { "do nothing any more".to_owned() } else { words.join(", ") }
}

/// Where `verb` leads from `from`; `None` where the table has no such move.
pub fn next(from: State, verb: Verb) -> Option<State> {
    MOVES.iter().find(|(f, v, _)| *f == from && *v == verb).map(|(_, _, to)| *to)
}

/// What can be done with a ticket in this state.
pub fn allowed(from: State) -> Vec<Verb> {
    MOVES.iter().filter(|(f, _, _)| *f == from).map(|(_, v, _)| *v).collect()
}

/// What a command does to a ticket at `at`. Changes nothing: [`Ticket::after`] folds the answer in. A time before the
/// newest entry of the log is moved up to it, so that the log never runs backwards.
pub fn apply(ticket: &Ticket, command: Command, at: Timestamp) -> Result<Transition, Rejected> {
    if command.who.trim().is_empty() {
        return Err(Rejected::Empty { what: "who" });
    }
    match &command.action {
        Action::Assign { to } if to.trim().is_empty() => return Err(Rejected::Empty { what: "the assignee" }),
        Action::Locate { root_cause } if root_cause.trim().is_empty() => {
            return Err(Rejected::Empty { what: "the root cause" });
        }
        Action::Comment { text, .. } if text.trim().is_empty() => return Err(Rejected::Empty { what: "a comment" }),
        Action::SetTriage { class: Some(_) } if command.why.trim().is_empty() => {
            return Err(Rejected::Empty { what: "why it is of another kind" });
        }
        Action::Milestone { reached_at: Some(reached), .. } => {
            let told_at = at.max(ticket.updated_at);
            if *reached > told_at {
                return Err(Rejected::NotThen("once it is reached, not before"));
            }
            if *reached < ticket.created_at {
                return Err(Rejected::NotThen("of a time after the ticket was opened only"));
            }
            if told_at.since(*reached) > Milestone::TOLD_WITHIN {
                return Err(Rejected::NotThen(
                    "within 72 h; comment on the ticket, and say why it was not told earlier",
                ));
            }
        }
        _ => {}
    }
    let (from, verb) = (ticket.state, command.action.verb());
    let to = next(from, verb).ok_or_else(|| Rejected::NoSuchMove { from, verb, allowed: allowed(from) })?;
    if matches!(command.action, Action::Close) && lacks_verdict(ticket) {
        return Err(Rejected::NoVerdict);
    }
    Ok(Transition {
        seq: ticket.transitions.saturating_add(1),
        at: at.max(ticket.updated_at),
        who: command.who,
        why: command.why,
        action: command.action,
        from: Some(from),
        to,
    })
}

/// Whether it would be closed without anybody knowing whether the prediction was right, although somebody could say.
fn lacks_verdict(ticket: &Ticket) -> bool {
    let says_itself =
        matches!(ticket.resolution, Some(Resolution::Recovered | Resolution::FalseAlarm | Resolution::Merged));
    ticket.predicted && ticket.verdict.is_none() && !says_itself && !ticket.drill && ticket.merged_into.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_move_stands_twice() {
        let mut seen = BTreeSet::new();
        for (from, verb, _) in MOVES {
            assert!(seen.insert((*from, *verb)), "{from} {verb:?}");
        }
    }

    #[test]
    fn every_state_can_be_reached_and_only_closed_is_final() {
        let mut reached = BTreeSet::from([State::New]);
        for _ in State::ALL {
            reached.extend(MOVES.iter().filter(|(f, ..)| reached.contains(f)).map(|m| m.2).collect::<Vec<_>>());
        }
        assert_eq!(reached.len(), State::ALL.len());
        for state in State::ALL {
            assert_eq!(allowed(state).into_iter().any(Verb::is_move), state != State::Closed, "{state}");
        }
    }

    #[test]
    fn a_refusal_says_what_can_be_done_instead() {
        let no = Rejected::NoSuchMove { from: State::Resolved, verb: Verb::Start, allowed: allowed(State::Resolved) };
        assert_eq!(no.to_string(), "a ticket that is resolved cannot start; it can close, reopen");
        let never = Rejected::NoSuchMove { from: State::Closed, verb: Verb::Reopen, allowed: allowed(State::Closed) };
        assert_eq!(never.to_string(), "a ticket that is closed cannot reopen; it can do nothing any more");
    }

    #[test]
    fn numbers_and_words_read_back() {
        for state in State::ALL {
            assert_eq!(State::from_number(state.number()), Some(state));
        }
        for verb in Verb::ALL {
            assert_eq!(Verb::from_word(verb.as_str()), Some(verb));
        }
    }
}
