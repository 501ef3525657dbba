//! Tickets that were there before their maintenance window are quiet inside it, and heard again after it. Which ones have to be looked at is known: those
//! that changed, and, when a window begins or ends, those that it can reach. What is looked at in one step is bounded.

use super::super::Assessor;
use crate::assess::draft::Draft;
use crate::assess::{Error, Kept};
use crate::maintenance::fits;
use crate::topology::Topology;
use outband_schemas::{ServerId, Timestamp};
use outband_store::maintenance::WindowKind;
use outband_ticket::{Action, Ticket, TicketNumber};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How often the windows are asked which of them are in force.
const HUSH: Duration = Duration::from_secs(10);
/// So many tickets are looked at in one step.
const SOME: usize = 5000;

/// Which tickets have to be compared with the windows.
#[derive(Debug, Default)]
pub(in crate::assess::assessor) struct Hushing {
    asked_at: Option<Timestamp>,
    /// The windows in force when they were last asked: number, revision, end.
    in_force: Vec<(u64, u64, Timestamp)>,
    topology: Arc<Topology>,
    due: BTreeSet<TicketNumber>,
    /// Tickets that windows made quiet.
    quiet: BTreeSet<TicketNumber>,
    open: BTreeMap<ServerId, BTreeSet<TicketNumber>>,
}

impl Hushing {
    /// Notes a ticket as it is now.
    pub(in crate::assess::assessor) fn ticket(&mut self, ticket: &Ticket) {
        let number = ticket.number;
        if ticket.suppressed.as_ref().is_some_and(|s| is_ours(&s.by)) {
            self.quiet.insert(number);
        } else {
            self.quiet.remove(&number);
        }
        let of_server = self.open.entry(ticket.server.clone()).or_default();
        if ticket.is_open() {
            of_server.insert(number);
        } else {
            of_server.remove(&number);
        }
        if of_server.is_empty() {
            self.open.remove(&ticket.server);
        }
        if !self.in_force.is_empty() || self.quiet.contains(&number) {
            self.due.insert(number);
        }
    }

    /// A server came into memory: only now its tickets can be looked at.
    pub(in crate::assess::assessor) fn woke(&mut self, server: &ServerId) {
        if !self.in_force.is_empty() || !self.quiet.is_empty() {
            self.due.extend(self.open.get(server).into_iter().flatten());
        }
    }

    fn next(&mut self) -> Vec<TicketNumber> {
        if self.due.len() <= SOME {
            return std::mem::take(&mut self.due).into_iter().collect();
        }
        let some: Vec<TicketNumber> = self.due.iter().take(SOME).copied().collect();
        some.iter().for_each(|number| {
            self.due.remove(number);
        });
        some
    }
}

/// Whether a window made a ticket quiet, and nothing else.
fn is_ours(by: &str) -> bool {
    WindowKind::ALL.iter().any(|kind| by.strip_prefix(kind.as_str()).is_some_and(|rest| rest.starts_with(' ')))
}

impl<S: Kept> Assessor<S> {
    /// Makes tickets that were there before their window quiet, and those that were made so heard again.
    pub(super) fn hush(&mut self, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        if self.hushing.asked_at.is_none_or(|at| now.since(at) >= HUSH) {
            self.ask_windows(now);
        }
        let mut actions = Vec::new();
        let windows = self.windows.in_force(now);
        for number in self.hushing.next() {
            let Some(record) = self.tickets.get(&number).filter(|r| r.ticket.is_open()) else { continue };
            let ticket = &record.ticket;
            let Some(live) = self.live.get(&ticket.server) else { continue };
            let Some(incident) = live.incidents.iter().find(|i| i.ticket == Some(number.0)) else { continue };
            let at = self.whereabouts(&ticket.server);
            let covering = windows.iter().filter(|(w, _)| fits(&w.selector, &incident.key, &incident.rules, &at));
            let covering = covering.max_by_key(|(window, until)| (*until, window.id));
            match (covering, ticket.suppressed.as_ref()) {
                (Some((window, until)), found) => {
                    let by = super::name(window);
                    let other =
                        |s: &outband_ticket::Suppression| is_ours(&s.by) && (s.by != by || s.until != Some(*until));
                    if found.is_none_or(other) {
                        actions.push((number, Action::Suppress { by, until: Some(*until) }));
                    }
                }
                (None, Some(found)) if is_ours(&found.by) => actions.push((number, Action::Release)),
                (None, _) => {}
            }
        }
        for (number, action) in actions {
            let why = if matches!(action, Action::Release) { "its window is over" } else { "it is in a window" };
            self.note(number, why, vec![action], draft, now)?;
            // What it says now is what was just compared.
            self.hushing.due.remove(&number);
        }
        Ok(())
    }

    /// Asks which windows are in force; where that changed, those that the change can reach are due.
    fn ask_windows(&mut self, now: Timestamp) {
        let windows = self.windows.in_force(now);
        let in_force: Vec<(u64, u64, Timestamp)> =
            windows.iter().map(|(w, until)| (w.id, w.revision, *until)).collect();
        let hushing = &mut self.hushing;
        hushing.asked_at = Some(now);
        let moved = !Arc::ptr_eq(&hushing.topology, &self.topology) && hushing.topology != self.topology;
        if hushing.in_force == in_force && !moved {
            return;
        }
        hushing.due.extend(&hushing.quiet);
        for (window, until) in windows {
            if !moved && hushing.in_force.contains(&(window.id, window.revision, until)) {
                continue;
            }
            match window.selector.server.as_ref().and_then(|id| ServerId::new(id.clone()).ok()) {
                Some(id) => hushing.due.extend(hushing.open.get(&id).into_iter().flatten()),
                None => hushing.due.extend(hushing.open.values().flatten()),
            }
        }
        hushing.topology = self.topology.clone();
        hushing.in_force = in_force;
    }
}
