//! A ticket's log, and the fold over it: what stands in a [`Ticket`] is there because an entry says so.

use crate::action::{AccessStep, Action};
use crate::ticket::{
    Comment, Evidence, Link, OpenAccess, Override, PolicyRef, Suppression, Ticket, TicketNumber, TriageSet,
};
use crate::{Opening, State};
use outband_schemas::Timestamp;
use serde::{Deserialize, Serialize};

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

impl Transition {
    /// When what it tells of happened: a milestone may be told afterwards.
    pub fn happened_at(&self) -> Timestamp {
        match self.action {
            Action::Milestone { reached_at: Some(reached), .. } => reached.min(self.at),
            _ => self.at,
        }
    }
}

impl Ticket {
    /// Opens a ticket: itself, and the first entry of its log.
    pub fn open(opening: Opening, who: &str, at: Timestamp) -> (Ticket, Transition) {
        let ticket = Ticket::new(&opening, at);
        let transition = Transition {
            seq: 1,
            at,
            who: who.to_owned(),
            why: ticket.reason.clone(),
            action: Action::Open { priority: ticket.priority, opening: Some(Box::new(opening)) },
            from: None,
            to: State::New,
        };
        (ticket, transition)
    }

    /// The ticket that a log, or the beginning of one, tells of. `None` where it does not begin with an opening, has a gap,
    /// is another ticket's, or nothing in it says what the ticket is about.
    pub fn fold(number: TicketNumber, log: &[Transition]) -> Option<Ticket> {
        Self::fold_while(number, log, |_| true)
    }

    /// The ticket as it stood at `time`: the fold of the entries up to then. `None` before it was opened, too.
    pub fn at(number: TicketNumber, log: &[Transition], time: Timestamp) -> Option<Ticket> {
        Self::fold_while(number, log, |entry| entry.at <= time)
    }

    fn fold_while(number: TicketNumber, log: &[Transition], shows: impl Fn(&Transition) -> bool) -> Option<Ticket> {
        let (first, rest) = log.split_first().filter(|(first, _)| shows(first))?;
        let mut ticket = beginning(first, rest)?;
        if ticket.number != number {
            return None;
        }
        for entry in rest.iter().take_while(|entry| shows(entry)) {
            if Some(entry.seq) != ticket.transitions.checked_add(1) {
                return None;
            }
            ticket.take_in(entry);
        }
        Some(ticket)
    }

    /// The ticket after an entry of its log. An entry that it already holds changes nothing.
    #[must_use]
    pub fn after(&self, transition: &Transition) -> Ticket {
        let mut ticket = self.clone();
        if transition.seq > self.transitions {
            ticket.take_in(transition);
        }
        ticket
    }

    fn take_in(&mut self, entry: &Transition) {
        self.change(entry);
        self.state = entry.to;
        self.transitions = entry.seq;
        self.revision = self.revision.saturating_add(1);
        self.updated_at = entry.at.max(self.updated_at);
    }

    /// What the action itself says.
    fn change(&mut self, entry: &Transition) {
        match &entry.action {
            Action::Open { priority, .. } | Action::Prioritise { priority, .. } => self.priority = *priority,
            Action::Assign { to } => self.assignee = Some(to.clone()),
            // Whoever starts an unassigned ticket has it.
            Action::Start => self.assignee = self.assignee.take().or_else(|| Some(entry.who.clone())),
            Action::Locate { root_cause } => self.root_cause = Some(root_cause.clone()),
            Action::Resolve { resolution } => self.resolution = Some(*resolution),
            Action::Reopen => self.resolution = None,
            Action::Escalate => self.predicted = false,
            Action::Comment { text, visibility } => self.comments.push(Comment {
                at: entry.at,
                who: entry.who.clone(),
                text: text.clone(),
                visibility: *visibility,
            }),
            Action::Evidence { facts, reason, title, part_serial } => {
                self.evidence = Evidence::merged(&self.evidence, facts);
                if let Some(reason) = reason {
                    self.reason.clone_from(reason);
                }
                if let Some(title) = title {
                    self.title.clone_from(title);
                }
                if part_serial.is_some() {
                    self.part_serial.clone_from(part_serial);
                }
            }
            Action::Policy { policy, revision, .. } => {
                self.policy = Some(PolicyRef { name: policy.clone(), revision: *revision });
            }
            Action::Acknowledge { level } => self.acknowledged = self.acknowledged.max(*level),
            Action::Link { kind, to } => {
                let link = Link { kind: *kind, to: *to };
                if !self.links.contains(&link) {
                    self.links.push(link);
                }
            }
            Action::Unlink { kind, to } => self.links.retain(|link| (link.kind, link.to) != (*kind, *to)),
            Action::Merge { into } => self.merged_into = Some(*into),
            Action::Parent { number } => self.parent = *number,
            Action::Verdict { verdict, .. } => self.verdict = Some(*verdict),
            Action::Suppress { by, until } => self.suppressed = Some(Suppression { by: by.clone(), until: *until }),
            Action::Release => self.suppressed = None,
            Action::Override { what, until } => {
                self.overrides.retain(|o| o.what != *what);
                self.overrides.push(Override { what: what.clone(), who: entry.who.clone(), until: *until });
            }
            Action::Drill => self.drill = true,
            Action::Triage { triage } => self.triage = Some(triage.clone()),
            Action::SetTriage { class } => {
                self.triage_set = class.map(|class| TriageSet {
                    class,
                    who: entry.who.clone(),
                    why: entry.why.clone(),
                    at: entry.at,
                });
            }
            Action::Access { grant, step } => match step {
                AccessStep::Granted { holder, role, until } => self.access.push(OpenAccess {
                    grant: *grant,
                    holder: holder.clone(),
                    role: role.clone(),
                    until: *until,
                }),
                AccessStep::Ended => self.access.retain(|open| open.grant != *grant),
                AccessStep::Reminded => {}
            },
            Action::Import { snapshot } => self.clone_from(snapshot),
            Action::WaitForCustomer
            | Action::WaitForParts
            | Action::Resume
            | Action::Close
            | Action::Breach { .. }
            | Action::Step { .. }
            | Action::Milestone { .. } => {}
        }
    }
}

/// The ticket after the first entry. Where that does not hold what the ticket was opened with, what never changes is taken
/// from the import that follows later; what was known of it in between was not kept, and is left out.
fn beginning(first: &Transition, rest: &[Transition]) -> Option<Ticket> {
    let Action::Open { priority, opening } = &first.action else { return None };
    let opening = match opening {
        Some(opening) => Opening::clone(opening),
        None => rest.iter().find_map(|entry| match &entry.action {
            Action::Import { snapshot: s } => Some(Opening {
                number: s.number,
                priority: *priority,
                title: s.title.clone(),
                site: s.site.clone(),
                server: s.server.clone(),
                component: s.component.clone(),
                fault: s.fault.clone(),
                rule: s.rule.clone(),
                predicted: s.predicted,
                reason: first.why.clone(),
                evidence: Vec::new(),
                onset: s.onset,
                part_serial: None,
            }),
            _ => None,
        })?,
    };
    (first.seq == 1).then(|| Ticket::new(&opening, first.at))
}

impl Transition {
    /// The entry with another name wherever `name` stands as somebody's. What people wrote in their own words stays; see
    /// [`Transition::mentions`].
    #[must_use]
    pub fn renamed(&self, name: &str, other: &str) -> Transition {
        let mut entry = self.clone();
        let rename = |who: &mut String| {
            if who == name {
                other.clone_into(who);
            }
        };
        rename(&mut entry.who);
        match &mut entry.action {
            Action::Assign { to } => rename(to),
            Action::Access { step: AccessStep::Granted { holder, .. }, .. } => rename(holder),
            Action::Import { snapshot } => {
                snapshot.assignee.iter_mut().for_each(rename);
                snapshot.comments.iter_mut().for_each(|comment| rename(&mut comment.who));
                snapshot.overrides.iter_mut().for_each(|o| rename(&mut o.who));
                snapshot.access.iter_mut().for_each(|a| rename(&mut a.holder));
                snapshot.triage_set.iter_mut().for_each(|set| rename(&mut set.who));
            }
            _ => {}
        }
        entry
    }

    /// Whether what people wrote here holds `name`.
    pub fn mentions(&self, name: &str) -> bool {
        let own = match &self.action {
            Action::Comment { text, .. } => text.contains(name),
            Action::Locate { root_cause } => root_cause.contains(name),
            Action::Verdict { detail, part, .. } => {
                detail.contains(name) || part.as_ref().is_some_and(|part| part.contains(name))
            }
            Action::Import { snapshot } => {
                snapshot.comments.iter().any(|comment| comment.text.contains(name))
                    || snapshot.root_cause.as_ref().is_some_and(|cause| cause.contains(name))
                    || snapshot.triage_set.as_ref().is_some_and(|set| set.why.contains(name))
            }
            _ => false,
        };
        own || self.why.contains(name)
    }
}
