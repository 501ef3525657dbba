//! What can happen to a ticket. Every change of one is one of these, in its log.

use crate::ticket::{Evidence, Opening, Ticket, TicketNumber};
use crate::{Priority, Target, Verb};
use outband_schemas::{Timestamp, Triage, TriageClass};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

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
    /// The work goes on in the ticket that it was merged into. Counted apart from repairs.
    Merged,
}

impl Resolution {
    /// Every one.
    pub const ALL: [Resolution; 4] = [Self::Repaired, Self::Recovered, Self::FalseAlarm, Self::Merged];
}

impl Resolution {
    /// The word used on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repaired => "repaired",
            Self::Recovered => "recovered",
            Self::FalseAlarm => "false_alarm",
            Self::Merged => "merged",
        }
    }

    /// The resolution of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == word)
    }
}

/// From when the clocks of a new priority, or of a new policy, count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rebase {
    /// From the ticket's creation, pauses kept: it was wrong from the start.
    Creation,
    /// From this change: the condition got worse now, or the contract changed now.
    Change,
}

/// Who may read a comment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// The provider's people only.
    #[default]
    Internal,
    /// The customer too.
    Customer,
}

impl Visibility {
    /// The word used on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Customer => "customer",
        }
    }
}

/// Something that was reached on a ticket's way; clocks start and stop at these, states do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    /// The call, or the alert, was picked up.
    Pickup,
    /// The customer was called back.
    Contact,
    /// The first answer that says something.
    FirstResponse,
    /// Somebody works on the machine from afar.
    RemoteAccess,
    /// Somebody stands before it.
    Onsite,
    /// Service is back, the fault is not repaired yet.
    Workaround,
    /// The customer was told how it stands.
    CustomerUpdate,
}

impl Milestone {
    /// Every one, in the order in which a ticket usually reaches them.
    pub const ALL: [Milestone; 7] = [
        Self::Pickup,
        Self::Contact,
        Self::FirstResponse,
        Self::RemoteAccess,
        Self::Onsite,
        Self::Workaround,
        Self::CustomerUpdate,
    ];

    /// How late a milestone may be told: a visit of a Friday evening on the Monday after.
    pub const TOLD_WITHIN: Duration = Duration::from_secs(72 * 60 * 60);

    /// The word used on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pickup => "pickup",
            Self::Contact => "contact",
            Self::FirstResponse => "first_response",
            Self::RemoteAccess => "remote_access",
            Self::Onsite => "onsite",
            Self::Workaround => "workaround",
            Self::CustomerUpdate => "customer_update",
        }
    }

    /// The milestone of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.as_str() == word)
    }
}

/// How one ticket belongs to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// They have to do with each other.
    Related,
    /// This one is about the same fault as the other.
    Duplicate,
    /// The other is what caused this one.
    CausedBy,
    /// This one takes up what the other left.
    FollowsUp,
}

impl LinkKind {
    /// Every one.
    pub const ALL: [LinkKind; 4] = [Self::Related, Self::Duplicate, Self::CausedBy, Self::FollowsUp];

    /// The word used on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Related => "related",
            Self::Duplicate => "duplicate",
            Self::CausedBy => "caused_by",
            Self::FollowsUp => "follows_up",
        }
    }

    /// The kind of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == word)
    }
}

/// What a person says that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The fault was there.
    Confirmed,
    /// The part was tested, and nothing was found.
    NoFaultFound,
    /// There never was anything.
    FalseAlarm,
    /// There was a fault, of another part.
    OtherPart,
    /// The part was replaced, or repaired, and nobody tested it: what it was is not known.
    ReplacedWithoutTest,
}

impl Verdict {
    /// Every one.
    pub const ALL: [Verdict; 5] =
        [Self::Confirmed, Self::NoFaultFound, Self::FalseAlarm, Self::OtherPart, Self::ReplacedWithoutTest];

    /// The word used on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::NoFaultFound => "no_fault_found",
            Self::FalseAlarm => "false_alarm",
            Self::OtherPart => "other_part",
            Self::ReplacedWithoutTest => "replaced_without_test",
        }
    }

    /// The verdict of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.as_str() == word)
    }
}

/// What became of somebody's temporary access to a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessStep {
    /// It was given.
    Granted {
        /// To whom.
        holder: String,
        /// With the rights of which role.
        role: String,
        /// Until when at most.
        until: Timestamp,
    },
    /// The ticket is resolved, and it is still open.
    Reminded,
    /// It is over.
    Ended,
}

impl AccessStep {
    /// The word used on the wire and in output.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Granted { .. } => "granted",
            Self::Reminded => "reminded",
            Self::Ended => "ended",
        }
    }
}

/// What happened to a ticket, or shall happen. The names of stored fields keep clear of those of an entry of the log
/// (`seq`, `at`, `who`, `why`, `from`, `to`), which stand beside them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// It was opened.
    Open {
        /// With this priority.
        priority: Priority,
        /// What it was opened with. `None` in logs from before it was kept: then an [`Action::Import`] follows later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opening: Option<Box<Opening>>,
    },
    /// Somebody has it now.
    Assign {
        /// Who.
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
        /// Which run of a clock that repeats, from 1.
        #[serde(default = "first")]
        cycle: u32,
    },
    /// A step of an escalation fell due.
    Step {
        /// Of which clock.
        target: Target,
        /// Of which run of it, from 1.
        cycle: u32,
        /// The level of it, from 1.
        level: u32,
    },
    /// Somebody said something.
    Comment {
        /// What.
        text: String,
        /// To whom.
        #[serde(default)]
        visibility: Visibility,
    },
    /// More is known of what is wrong. What is `None` stays as it was.
    Evidence {
        /// Facts that were not known before, oldest first.
        #[serde(default)]
        facts: Vec<Evidence>,
        /// Why there is a ticket, in words, where that changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The line that names it, where that changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// The serial of the part at fault, where it is known now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part_serial: Option<String>,
    },
    /// Something was reached.
    Milestone {
        /// What.
        milestone: Milestone,
        /// When it was, where it is told afterwards: not before the ticket was opened, not in the future, at most [`Milestone::TOLD_WITHIN`]
        /// ago. `None`: now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reached_at: Option<Timestamp>,
    },
    /// Another policy, or another revision of it, is in force.
    Policy {
        /// Its name.
        policy: String,
        /// Its revision.
        revision: u32,
        /// From when its clocks count.
        rebase: Rebase,
    },
    /// Somebody has seen the notices of an escalation.
    Acknowledge {
        /// The level of it, from 1.
        level: u32,
    },
    /// It belongs to another ticket.
    Link {
        /// How.
        kind: LinkKind,
        /// Which.
        #[serde(rename = "ticket")]
        to: TicketNumber,
    },
    /// It does not belong to that ticket after all.
    Unlink {
        /// How it did.
        kind: LinkKind,
        /// Which.
        #[serde(rename = "ticket")]
        to: TicketNumber,
    },
    /// The work goes on in another ticket. Moves nothing: who merges also resolves, as [`Resolution::Merged`].
    Merge {
        /// Which.
        into: TicketNumber,
    },
    /// It is a part of a larger incident.
    Parent {
        /// That incident's ticket; `None`: of none any more.
        number: Option<TicketNumber>,
    },
    /// A person says what it was. The collector does where nobody else did and it knows no more than that a part was replaced.
    Verdict {
        /// What.
        verdict: Verdict,
        /// What was found and done, in words.
        #[serde(default)]
        detail: String,
        /// The part that was at fault instead, by its serial or its place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<String>,
    },
    /// Nobody is paged for it for a while.
    Suppress {
        /// Because of what, e.g. the name of a maintenance window.
        by: String,
        /// Until when, where that is known.
        #[serde(default)]
        until: Option<Timestamp>,
    },
    /// It is as it was before it was suppressed.
    Release,
    /// A person has decided otherwise than the rules would.
    Override {
        /// What, e.g. `priority`.
        what: String,
        /// Until when; `None`: until it is overridden again.
        #[serde(default)]
        until: Option<Timestamp>,
    },
    /// It is an exercise: left out of statistics.
    Drill,
    /// Something became of somebody's temporary access to it.
    Access {
        /// The number of the grant.
        grant: u64,
        /// What.
        step: AccessStep,
    },
    /// What kind of trouble it is, as far as is known now.
    Triage {
        /// That.
        triage: Triage,
    },
    /// A person says what kind of trouble it is, whatever is computed; `None`: what is computed counts again. The entry's `why` says why.
    SetTriage {
        /// What kind.
        class: Option<TriageClass>,
    },
    /// The ticket as it stood when logs began to hold every change. Only in logs that began before.
    Import {
        /// It.
        snapshot: Box<Ticket>,
    },
}

/// Logs from before clocks repeated know of one run only.
const fn first() -> u32 {
    1
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
            Self::Prioritise { .. }
            | Self::Escalate
            | Self::Breach { .. }
            | Self::Step { .. }
            | Self::Evidence { .. }
            | Self::Policy { .. }
            | Self::Suppress { .. }
            | Self::Release
            | Self::Override { .. } => Verb::Note,
            // What is said afterwards, too: reports are written after the repair.
            Self::Comment { .. }
            | Self::Milestone { .. }
            | Self::Acknowledge { .. }
            | Self::Link { .. }
            | Self::Unlink { .. }
            | Self::Merge { .. }
            | Self::Parent { .. }
            | Self::Verdict { .. }
            | Self::Drill
            | Self::Triage { .. }
            | Self::SetTriage { .. }
            | Self::Access { .. }
            | Self::Import { .. } => Verb::Remark,
        }
    }

    /// The word on the wire and in output: `assign`, `wait_for_parts`, `breach:respond`, `milestone:onsite`.
    pub fn word(&self) -> Cow<'static, str> {
        match self {
            Self::Prioritise { .. } => Cow::Borrowed("prioritise"),
            Self::Escalate => Cow::Borrowed("escalate"),
            Self::Breach { target, .. } => Cow::Owned(format!("breach:{}", target.as_str())),
            Self::Step { target, level, .. } => Cow::Owned(format!("step:{}:{level}", target.as_str())),
            Self::Comment { .. } => Cow::Borrowed("comment"),
            Self::Evidence { .. } => Cow::Borrowed("evidence"),
            Self::Milestone { milestone, .. } => Cow::Owned(format!("milestone:{}", milestone.as_str())),
            Self::Policy { .. } => Cow::Borrowed("policy"),
            Self::Acknowledge { .. } => Cow::Borrowed("acknowledge"),
            Self::Link { kind, .. } => Cow::Owned(format!("link:{}", kind.as_str())),
            Self::Unlink { kind, .. } => Cow::Owned(format!("unlink:{}", kind.as_str())),
            Self::Merge { .. } => Cow::Borrowed("merge"),
            Self::Parent { .. } => Cow::Borrowed("parent"),
            Self::Verdict { verdict, .. } => Cow::Owned(format!("verdict:{}", verdict.as_str())),
            Self::Triage { triage } => Cow::Owned(format!("triage:{}", triage.class.as_str())),
            Self::SetTriage { class: Some(class) } => Cow::Owned(format!("set_triage:{}", class.as_str())),
            Self::SetTriage { class: None } => Cow::Borrowed("clear_triage"),
            Self::Suppress { .. } => Cow::Borrowed("suppress"),
            Self::Release => Cow::Borrowed("release"),
            Self::Override { .. } => Cow::Borrowed("override"),
            Self::Drill => Cow::Borrowed("drill"),
            Self::Access { step, .. } => Cow::Owned(format!("access:{}", step.as_str())),
            Self::Import { .. } => Cow::Borrowed("import"),
            other => Cow::Borrowed(other.verb().as_str()),
        }
    }
}
