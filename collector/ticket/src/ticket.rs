//! What is kept of a ticket. Its log is the truth; state, priority, assignee and resolution are the fold over it.

use crate::{Priority, State, Target, Verb};
use outband_schemas::{ComponentId, ServerId, SiteId, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The number of a ticket: from 1, in the order of opening. Text form: decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketNumber(pub u64);

impl fmt::Display for TicketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One fact that speaks for a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// When it was observed (the agent's clock).
    pub observed_at: Timestamp,
    /// The fact, for people.
    pub text: String,
}

/// A remark of a person. Moves nothing, stops no clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// When (the collector's clock).
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// What.
    pub text: String,
}

/// A ticket as it stands now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Its number.
    pub number: TicketNumber,
    /// Where it stands.
    pub state: State,
    /// How urgent it is.
    pub priority: Priority,
    /// One line.
    pub title: String,
    /// The site of the server, where it is known.
    pub site: Option<SiteId>,
    /// The server.
    pub server: ServerId,
    /// The place in it.
    pub component: ComponentId,
    /// What is wrong, e.g. `disk_failure`: with server and component it is what one open ticket is about.
    pub fault: String,
    /// The rule that found it first, e.g. `disk.smart_growth`.
    pub rule: String,
    /// Whether a failure is predicted rather than seen.
    pub predicted: bool,
    /// Why, in words.
    pub reason: String,
    /// The facts, oldest first.
    pub evidence: Vec<Evidence>,
    /// When the condition began, as far as is known (the agent's clock).
    pub onset: Timestamp,
    /// When the collector knew (the collector's clock): where the clocks start.
    pub created_at: Timestamp,
    /// The newest change (the collector's clock).
    pub updated_at: Timestamp,
    /// Who has it.
    pub assignee: Option<String>,
    /// The root cause, once it is located.
    pub root_cause: Option<String>,
    /// How it was resolved; `None` while open.
    pub resolution: Option<Resolution>,
    /// The serial of the part at fault, where it is known.
    pub part_serial: Option<String>,
    /// Remarks, oldest first.
    pub comments: Vec<Comment>,
    /// How many transitions its log holds: the sequence of the newest one. Also what an etag is made of, with
    /// `revision`.
    pub transitions: u32,
    /// Grows with every change, transitions or not.
    pub revision: u64,
}

impl Ticket {
    /// The text that changes whenever the ticket does.
    pub fn etag(&self) -> String {
        format!("{}-{}", self.number, self.revision)
    }

    /// Whether somebody still has to do something for it.
    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }
}

/// How a ticket was resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// Somebody repaired it, or put in another part.
    Repaired,
    /// It ended by itself. Counted apart from repairs.
    Recovered,
    /// A person says that there was nothing.
    FalseAlarm,
}

impl Resolution {
    /// The word used on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repaired => "repaired",
            Self::Recovered => "recovered",
            Self::FalseAlarm => "false_alarm",
        }
    }

    /// The resolution of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Repaired, Self::Recovered, Self::FalseAlarm].into_iter().find(|r| r.as_str() == word)
    }
}

/// From when the clocks of a new priority count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rebase {
    /// From the ticket's creation, pauses kept: the priority was wrong from the start.
    Creation,
    /// From this change: the condition got worse now.
    Change,
}

/// What happened to a ticket, or shall happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// It was opened.
    Open {
        /// With this priority.
        priority: Priority,
    },
    /// Somebody has it now.
    Assign {
        /// Who. Named otherwise where it is stored: an entry of the log has a `to` of its own, the state after.
        #[serde(rename = "assignee")]
        to: String,
    },
    /// Work began.
    Start,
    /// The root cause is known.
    Locate {
        /// The cause.
        root_cause: String,
    },
    /// The customer has to do something.
    WaitForCustomer,
    /// A part is on its way.
    WaitForParts,
    /// Waiting is over.
    Resume,
    /// It is done; clean polls are still to verify it.
    Resolve {
        /// How.
        resolution: Resolution,
    },
    /// Verified.
    Close,
    /// Not done after all.
    Reopen,
    /// It is more, or less, urgent.
    Prioritise {
        /// The new priority.
        priority: Priority,
        /// From when its clocks count.
        rebase: Rebase,
    },
    /// The predicted failure has happened.
    Escalate,
    /// A clock ran out.
    Breach {
        /// Which.
        target: Target,
    },
}

impl Action {
    /// The row of the table of moves.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Open { .. } => Verb::Open,
            Self::Assign { .. } => Verb::Assign,
            Self::Start => Verb::Start,
            Self::Locate { .. } => Verb::Locate,
            Self::WaitForCustomer => Verb::WaitForCustomer,
            Self::WaitForParts => Verb::WaitForParts,
            Self::Resume => Verb::Resume,
            Self::Resolve { .. } => Verb::Resolve,
            Self::Close => Verb::Close,
            Self::Reopen => Verb::Reopen,
            Self::Prioritise { .. } | Self::Escalate | Self::Breach { .. } => Verb::Note,
        }
    }

    /// The word on the wire and in output: `assign`, `wait_for_parts`, `breach:respond`.
    pub fn word(&self) -> Cow<'static, str> {
        match self {
            Self::Prioritise { .. } => Cow::Borrowed("prioritise"),
            Self::Escalate => Cow::Borrowed("escalate"),
            Self::Breach { target } => Cow::Owned(format!("breach:{}", target.as_str())),
            other => Cow::Borrowed(other.verb().as_str()),
        }
    }
}

/// A wish to move a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Who wishes it: an operator's name, or `collector`.
    pub who: String,
    /// Why, for the log.
    pub why: String,
    /// What.
    pub action: Action,
}

/// An entry of a ticket's log: append-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Its place in the log, from 1.
    pub seq: u32,
    /// When (the collector's clock).
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// What.
    #[serde(flatten)]
    pub action: Action,
    /// The state before; `None` for the opening.
    pub from: Option<State>,
    /// The state after.
    pub to: State,
}

/// What a new ticket is opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Its number.
    pub number: TicketNumber,
    /// How urgent it is.
    pub priority: Priority,
    /// One line.
    pub title: String,
    /// The site of the server, where it is known.
    pub site: Option<SiteId>,
    /// The server.
    pub server: ServerId,
    /// The place in it.
    pub component: ComponentId,
    /// What is wrong, e.g. `disk_failure`.
    pub fault: String,
    /// The rule that found it.
    pub rule: String,
    /// Whether a failure is predicted rather than seen.
    pub predicted: bool,
    /// Why, in words.
    pub reason: String,
    /// The facts, oldest first.
    pub evidence: Vec<Evidence>,
    /// When the condition began, as far as is known.
    pub onset: Timestamp,
    /// The serial of the part at fault, where it is known.
    pub part_serial: Option<String>,
}

impl Ticket {
    /// Opens a ticket: itself, and the first entry of its log.
    pub fn open(opening: Opening, who: &str, at: Timestamp) -> (Ticket, Transition) {
        let ticket = Ticket {
            number: opening.number,
            state: State::New,
            priority: opening.priority,
            title: opening.title,
            site: opening.site,
            server: opening.server,
            component: opening.component,
            fault: opening.fault,
            rule: opening.rule,
            predicted: opening.predicted,
            reason: opening.reason,
            evidence: opening.evidence,
            onset: opening.onset,
            created_at: at,
            updated_at: at,
            assignee: None,
            root_cause: None,
            resolution: None,
            part_serial: opening.part_serial,
            comments: Vec::new(),
            transitions: 1,
            revision: 1,
        };
        let transition = Transition {
            seq: 1,
            at,
            who: who.to_owned(),
            why: ticket.reason.clone(),
            action: Action::Open { priority: ticket.priority },
            from: None,
            to: State::New,
        };
        (ticket, transition)
    }

    /// The ticket after an entry of its log. An entry that it already holds changes nothing.
    #[must_use]
    pub fn after(&self, transition: &Transition) -> Ticket {
        let mut ticket = self.clone();
        if transition.seq <= self.transitions {
            return ticket;
        }
        ticket.state = transition.to;
        ticket.transitions = transition.seq;
        ticket.revision = self.revision.saturating_add(1);
        ticket.updated_at = transition.at.max(self.updated_at);
        match &transition.action {
            Action::Open { priority } | Action::Prioritise { priority, .. } => ticket.priority = *priority,
            Action::Assign { to } => ticket.assignee = Some(to.clone()),
            // Whoever starts an unassigned ticket has it.
            Action::Start => ticket.assignee = ticket.assignee.or_else(|| Some(transition.who.clone())),
            Action::Locate { root_cause } => ticket.root_cause = Some(root_cause.clone()),
            Action::Resolve { resolution } => ticket.resolution = Some(*resolution),
            Action::Reopen => ticket.resolution = None,
            Action::Escalate => ticket.predicted = false,
            Action::WaitForCustomer | Action::WaitForParts | Action::Resume | Action::Close | Action::Breach { .. } => {
            }
        }
        ticket
    }

    /// The ticket with a remark more.
    #[must_use]
    pub fn with_comment(&self, comment: Comment) -> Ticket {
        let mut ticket = self.clone();
        ticket.revision = self.revision.saturating_add(1);
        ticket.updated_at = comment.at.max(self.updated_at);
        ticket.comments.push(comment);
        ticket
    }
}
