//! What is kept of a ticket: nothing that its log does not say ([`crate::log`] folds it).

use crate::action::{LinkKind, Resolution, Verdict, Visibility};
use crate::{Priority, State};
use outband_schemas::{ComponentId, Confidence, ServerId, SiteId, Timestamp, Triage, TriageClass};
use serde::{Deserialize, Serialize};
use std::fmt;

/// So many facts a ticket shows at most: the oldest half shows how it began, the newest half how it is now. The log keeps
/// all that were told.
const FACTS: usize = 40;

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

impl Evidence {
    /// The known facts and more of them, each once, oldest first; the middle is left out where they are too many. Taking
    /// the same facts in again changes nothing.
    pub fn merged(known: &[Evidence], more: &[Evidence]) -> Vec<Evidence> {
        let mut facts = known.to_vec();
        for fact in more {
            if !facts.contains(fact) {
                facts.push(fact.clone());
            }
        }
        facts.sort_by_key(|fact| fact.observed_at);
        if facts.len() > FACTS {
            facts.drain(FACTS / 2..facts.len() - FACTS / 2);
        }
        facts
    }
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
    /// Who may read it.
    #[serde(default)]
    pub visibility: Visibility,
}

/// A policy of a certain revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRef {
    /// Its name.
    pub name: String,
    /// Its revision.
    pub revision: u32,
}

/// Another ticket that this one belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// How.
    pub kind: LinkKind,
    /// Which.
    pub to: TicketNumber,
}

/// Why nobody is paged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Because of what, e.g. the name of a maintenance window.
    pub by: String,
    /// Until when, where that is known.
    pub until: Option<Timestamp>,
}

/// What a person decided otherwise than the rules would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// What.
    pub what: String,
    /// Who.
    pub who: String,
    /// Until when; `None`: until it is overridden again.
    pub until: Option<Timestamp>,
}

/// What kind of trouble a person said that it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriageSet {
    /// What kind.
    pub class: TriageClass,
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// When (the collector's clock).
    pub at: Timestamp,
}

/// Somebody's temporary access to a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAccess {
    /// The number of the grant.
    pub grant: u64,
    /// Whose.
    pub holder: String,
    /// With the rights of which role.
    pub role: String,
    /// Until when at most.
    pub until: Timestamp,
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
    /// How many entries its log holds: the sequence of the newest one.
    pub transitions: u32,
    /// Grows with every entry: what an etag is made of.
    pub revision: u64,
    /// The policy in force; `None`: the default one.
    #[serde(default)]
    pub policy: Option<PolicyRef>,
    /// The highest level of escalation that somebody has acknowledged; 0: none.
    #[serde(default)]
    pub acknowledged: u32,
    /// The tickets that it belongs to.
    #[serde(default)]
    pub links: Vec<Link>,
    /// The ticket in which the work goes on.
    #[serde(default)]
    pub merged_into: Option<TicketNumber>,
    /// The ticket of the larger incident that it is a part of.
    #[serde(default)]
    pub parent: Option<TicketNumber>,
    /// What a person says that it was.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// Why nobody is paged; `None`: they are.
    #[serde(default)]
    pub suppressed: Option<Suppression>,
    /// What people decided otherwise than the rules would; those that have expired are among them.
    #[serde(default)]
    pub overrides: Vec<Override>,
    /// Whether it is an exercise.
    #[serde(default)]
    pub drill: bool,
    /// The temporary accesses that are not over.
    #[serde(default)]
    pub access: Vec<OpenAccess>,
    /// What kind of trouble it is, as computed; `None`: nothing was. What counts is [`Ticket::kind`].
    #[serde(default)]
    pub triage: Option<Triage>,
    /// What kind of trouble a person said that it is: goes before what is computed.
    #[serde(default)]
    pub triage_set: Option<TriageSet>,
}

impl Ticket {
    /// The text that changes whenever the ticket does.
    pub fn etag(&self) -> String {
        format!("{}-{}", self.number, self.revision)
    }

    /// What kind of trouble it is, as far as anybody says: a person before what is computed.
    pub fn kind(&self) -> Option<Triage> {
        let set = self.triage_set.as_ref().map(|set| Triage {
            class: set.class,
            confidence: Confidence::Set,
            because: vec![set.why.clone()],
        });
        set.or_else(|| self.triage.clone())
    }

    /// The class of [`Ticket::kind`].
    pub fn class(&self) -> Option<TriageClass> {
        self.triage_set.as_ref().map(|set| set.class).or(self.triage.as_ref().map(|triage| triage.class))
    }

    /// Whether somebody still has to do something for it.
    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }
}

/// What a new ticket is opened with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// A new ticket.
    pub(crate) fn new(opening: &Opening, at: Timestamp) -> Ticket {
        let Opening { title, site, server, component, fault, rule, reason, evidence, part_serial, .. } =
            opening.clone();
        Ticket {
            number: opening.number,
            state: State::New,
            priority: opening.priority,
            title,
            site,
            server,
            component,
            fault,
            rule,
            predicted: opening.predicted,
            reason,
            evidence,
            onset: opening.onset,
            created_at: at,
            updated_at: at,
            assignee: None,
            root_cause: None,
            resolution: None,
            part_serial,
            comments: Vec::new(),
            transitions: 1,
            revision: 1,
            policy: None,
            acknowledged: 0,
            links: Vec::new(),
            merged_into: None,
            parent: None,
            verdict: None,
            suppressed: None,
            overrides: Vec::new(),
            drill: false,
            access: Vec::new(),
            triage: None,
            triage_set: None,
        }
    }
}
