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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::synthetic;
    use crate::judgement::Terms;
    use crate::maintenance::Windows;
    use outband_store::drill::Drill;
    use outband_store::maintenance::{Selector, Window};
    use outband_store::sqlite::Options;
    use outband_store::{SqliteStore, TicketRecord};
    use outband_ticket::{Opening, Priority};
    use std::time::Instant;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    /// An assessor that holds so many open tickets, ten on each server.
    fn crowd(dir: &std::path::Path, tickets: u64) -> Assessor<SqliteStore> {
        let store = SqliteStore::open(&Options::new(dir)).unwrap();
        let terms = Terms::try_from(&crate::config::Config::default()).unwrap();
        let mut assessor = Assessor::load(store, Default::default(), &terms, NOW).unwrap();
        for n in 1..=tickets {
            let server = ServerId::new(format!("srv-{}", n / 10)).unwrap();
            let drill = Drill {
                id: n,
                server: server.clone(),
                component: None,
                fault: "disk_failure".to_owned(),
                pages: true,
                reason: "x".to_owned(),
                runbook: String::new(),
                author: "ann".to_owned(),
                plan: None,
                starts_at: NOW,
                ends_at: NOW,
                ended_at: None,
                revision: 1,
            };
            let mut incident = synthetic::incident(&drill, NOW).unwrap();
            incident.ticket = Some(n);
            let opening = Opening {
                number: TicketNumber(n),
                priority: Priority::P3,
                title: "x".to_owned(),
                site: None,
                server: server.clone(),
                component: incident.key.component.clone(),
                fault: "disk_failure".to_owned(),
                rule: "disk.smart_growth".to_owned(),
                predicted: true,
                reason: "x".to_owned(),
                evidence: Vec::new(),
                onset: NOW,
                part_serial: None,
            };
            let (ticket, opened) = Ticket::open(opening, "collector", NOW);
            assessor.remember(TicketRecord { ticket, log: vec![opened], change: 1 });
            assessor.live.entry(server).or_default().incidents.push(incident);
        }
        assessor
    }

    fn window(id: u64, selector: Selector) -> Window {
        Window {
            id,
            kind: WindowKind::Maintenance,
            name: "x".to_owned(),
            selector,
            starts: "2027-01-15T08:00:00".to_owned(),
            lasts_secs: 3600,
            zone: "UTC".to_owned(),
            recurrence: None,
            reason: "x".to_owned(),
            author: "ann".to_owned(),
            created_at: NOW,
            ended_at: None,
            revision: 1,
        }
    }

    fn of_server(id: &str) -> Selector {
        Selector { server: Some(id.to_owned()), ..Selector::default() }
    }

    fn suppressed(assessor: &Assessor<SqliteStore>) -> usize {
        assessor.tickets.values().filter(|r| r.ticket.suppressed.is_some()).count()
    }

    #[test]
    fn a_window_of_one_server_has_only_its_tickets_looked_at_and_no_step_looks_at_too_many() {
        let dir = tempfile::tempdir().unwrap();
        let mut assessor = crowd(dir.path(), 12_000);
        let mut draft = Draft::default();
        assert!(assessor.hushing.due.is_empty(), "without a window there is nothing to look at");
        assessor.windows = Windows::new(vec![window(1, of_server("srv-7"))]);
        assessor.ask_windows(NOW);
        assert_eq!(assessor.hushing.due.len(), 10);
        assessor.hush(&mut draft, NOW).unwrap();
        assert_eq!((suppressed(&assessor), assessor.hushing.due.len()), (10, 0));
        let all = Selector { fault: Some("disk_failure".to_owned()), ..Selector::default() };
        assessor.windows = Windows::new(vec![window(2, all)]);
        let later = |secs| NOW.plus(Duration::from_secs(secs));
        assessor.hush(&mut draft, later(10)).unwrap();
        assert_eq!(suppressed(&assessor), SOME);
        for secs in 11..14 {
            assessor.hush(&mut draft, later(secs)).unwrap();
        }
        assert_eq!(suppressed(&assessor), 12_000);
        assessor.windows = Windows::new(Vec::new());
        for secs in 30..34 {
            assessor.hush(&mut draft, later(secs)).unwrap();
        }
        assert_eq!(suppressed(&assessor), 0);
    }

    #[test]
    #[ignore = "measures; run with --ignored --nocapture"]
    fn what_a_hundred_thousand_tickets_cost() {
        let dir = tempfile::tempdir().unwrap();
        let mut assessor = crowd(dir.path(), 100_000);
        let mut now = NOW;
        let mut timed = |what: &str, assessor: &mut Assessor<SqliteStore>| {
            now = now.plus(HUSH);
            let (mut draft, began) = (Draft::default(), Instant::now());
            assessor.hush(&mut draft, now).unwrap();
            eprintln!("{what}: {:?}", began.elapsed());
        };
        timed("no window", &mut assessor);
        assessor.windows = Windows::new(vec![window(1, of_server("srv-7"))]);
        timed("a window of one server begins", &mut assessor);
        timed("and goes on", &mut assessor);
        let site = Selector { site: Some("dc2".to_owned()), ..Selector::default() };
        assessor.windows = Windows::new(vec![window(1, of_server("srv-7")), window(2, site)]);
        for _ in 0..3 {
            timed("a window of a site begins, one step", &mut assessor);
        }
    }
}
