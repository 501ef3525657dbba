//! The loop that says in tickets' logs which clocks are likely to be missed, before they are: notices are made of that. The rule is in
//! [`outband_ticket::breach`]; what tickets took is learned from those that were done.
//!
//! It holds of each open ticket what the rule needs, and reads from the store only what changed.

mod outlook;

pub(super) use outlook::Outlook;

use super::Terms as Telling;
use crate::judgement::{Judgement, Terms};
use crate::react::WHO;
use outband_schemas::{Clock, Timestamp};
use outband_store::{Page, Store, StoreError, TicketFilter, TicketRecord, TicketWrite};
use outband_ticket::breach::{self, Experience, Job, Prospect, Risk};
use outband_ticket::escalation::Step;
use outband_ticket::sla::{self, ClockStatus};
use outband_ticket::{Action, Calendar, Command, Priority, State, Target, TicketNumber, apply};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often clocks are looked at.
const LOOK: Duration = Duration::from_secs(15);
/// Tickets that are read at once.
const PORTION: usize = 500;

/// Why the loop ended: a look panicked.
#[derive(Debug, thiserror::Error)]
#[error("foretelling breaches failed: {0}")]
pub struct Error(#[from] JoinError);

/// Works until `shutdown` is cancelled. What fails is logged and tried again.
pub async fn run<S: Store, C: Clock + Send + Sync + 'static>(
    store: S,
    clock: Arc<C>,
    telling: Telling,
    judgement: Judgement,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    look(LOOK, store, clock, telling, judgement, shutdown).await
}

async fn look<S: Store, C: Clock + Send + Sync + 'static>(
    every: Duration,
    store: S,
    clock: Arc<C>,
    telling: Telling,
    judgement: Judgement,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let mut looks = interval(every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::default();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = looks.tick() => {}
        }
        let percent = telling.now().foretell_percent;
        if percent == 0 {
            watch = Watch::default();
            continue;
        }
        let (ours, now, terms, mut held) = (store.clone(), clock.now(), judgement.terms(), watch);
        let (seen, after) = tokio::task::spawn_blocking(move || {
            let seen = held.look(&ours, &terms, percent, now);
            (seen, held)
        })
        .await?;
        watch = after;
        match seen {
            Ok(0) => {}
            Ok(foretold) => tracing::info!(foretold, "SLA clocks are likely to be missed"),
            Err(StoreError::Closed) => return Ok(()),
            Err(error) => tracing::warn!(%error, "breaches are not foretold; it is tried again"),
        }
    }
}

/// What is known of open tickets and of what closed ones took.
#[derive(Debug, Default)]
struct Watch {
    terms: Option<Arc<Terms>>,
    change: i64,
    open: BTreeMap<TicketNumber, Held>,
    known: Experience,
    /// Tickets of which is known what they took.
    counted: BTreeSet<TicketNumber>,
}

/// An open ticket.
#[derive(Debug)]
struct Held {
    site: String,
    assignee: Option<String>,
    begun: bool,
    waits: bool,
    quiet: bool,
    priority: Priority,
    opened: Timestamp,
    fault: String,
    clocks: Vec<Running>,
}

/// A clock that ran when its ticket was read.
#[derive(Debug)]
struct Running {
    target: Target,
    cycle: u32,
    /// In which it counts; `None`: around the clock.
    hours: Option<Calendar>,
    due: Timestamp,
    read_at: Timestamp,
    elapsed: Duration,
    remaining: Duration,
    /// What of it was used when somebody began.
    used_before: Option<Duration>,
    foretold: bool,
}

impl Running {
    /// What is used and what is left by now.
    fn at(&self, now: Timestamp) -> (Duration, Duration) {
        let passed = match &self.hours {
            None => now.since(self.read_at.min(now)),
            Some(hours) => hours.elapsed(self.read_at.min(now), now, &[]),
        };
        (self.elapsed.saturating_add(passed), self.remaining.saturating_sub(passed))
    }
}

impl Watch {
    /// Reads what changed and writes what is foretold. Answers how much that is.
    fn look<S: Store>(
        &mut self,
        store: &S,
        terms: &Arc<Terms>,
        percent: u32,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        if self.terms.as_ref().is_none_or(|known| !Arc::ptr_eq(known, terms)) {
            *self = Self { terms: Some(terms.clone()), ..Self::default() };
        }
        self.read(store, terms, now)?;
        let mut foretold = 0;
        for (number, target, cycle, why) in self.likely(percent, now) {
            foretold += usize::from(write(store, number, &target, cycle, &why, now)?);
            // Even where it was changed meanwhile: it is read anew then.
            let clocks = self.open.get_mut(&number).into_iter().flat_map(|held| &mut held.clocks);
            clocks.filter(|c| c.target == target).for_each(|c| c.foretold = true);
        }
        Ok(foretold)
    }

    fn read<S: Store>(&mut self, store: &S, terms: &Terms, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let filter = TicketFilter { changed_after: Some(self.change), ..TicketFilter::default() };
            let changed = store.tickets(&filter, &Page::first(PORTION))?;
            for record in &changed.rows {
                self.take_in(record, terms, now);
            }
            let Some(last) = changed.rows.last() else { return Ok(()) };
            self.change = last.change;
        }
    }

    fn take_in(&mut self, record: &TicketRecord, terms: &Terms, now: Timestamp) {
        let ticket = &record.ticket;
        let begun_at = record.log.iter().find(|e| matches!(e.action, Action::Start)).map(|e| e.at);
        if !ticket.is_open() {
            self.open.remove(&ticket.number);
            // What nobody worked on took nobody any time.
            if let Some(begun_at) = begun_at.filter(|_| !ticket.drill && self.counted.insert(ticket.number)) {
                for (target, took) in took(record, terms, begun_at, now) {
                    self.known.note(&target, &ticket.fault, took);
                }
            }
            return;
        }
        let held = Held {
            site: ticket.site.as_ref().map_or_else(String::new, |site| site.as_str().to_owned()),
            assignee: ticket.assignee.clone(),
            begun: begun_at.is_some() && ticket.state == State::InProgress,
            waits: matches!(ticket.state, State::WaitingForCustomer | State::WaitingForParts),
            quiet: ticket.suppressed.is_some(),
            priority: ticket.priority,
            opened: ticket.created_at,
            fault: ticket.fault.clone(),
            clocks: running(record, terms, begun_at, now),
        };
        self.open.insert(ticket.number, held);
    }

    /// The clocks that are likely to be missed and of which nobody was told.
    fn likely(&self, percent: u32, now: Timestamp) -> Vec<(TicketNumber, Target, u32, String)> {
        let left = |held: &Held, target: &Target| {
            let clock = held.clocks.iter().find(|c| c.target == *target);
            let spent = clock
                .map_or(Duration::ZERO, |c| c.used_before.map_or(Duration::ZERO, |b| c.at(now).0.saturating_sub(b)));
            self.known.left(target, &held.fault, spent)
        };
        let jobs: Vec<Job<'_>> = self
            .open
            .values()
            .map(|held| Job {
                site: &held.site,
                assignee: held.assignee.as_deref(),
                begun: held.begun,
                waits: held.waits,
                priority: held.priority,
                opened: held.opened,
                left: left(held, &Target::REPAIR).map(|(left, _)| left),
            })
            .collect();
        let mut likely = Vec::new();
        for ((number, held), place) in self.open.iter().zip(breach::places(&jobs)).filter(|((_, h), _)| !h.quiet) {
            for clock in held.clocks.iter().filter(|c| !c.foretold && c.due > now) {
                let (elapsed, remaining) = clock.at(now);
                let own = left(held, &clock.target);
                let prospect =
                    Prospect { elapsed, remaining, begun: held.begun, place, left: own.map(|(left, _)| left) };
                let Some(risk) = prospect.risk(percent) else { continue };
                let queue = match (risk, own) {
                    (Risk::Late { met_in }, Some((each, samples))) => {
                        let (ahead, people) = (place.ahead, place.people);
                        Some(outlook::Queue { ahead, people, each, samples, met: now.plus(met_in) })
                    }
                    (Risk::Late { .. } | Risk::Untouched { .. }, _) => None,
                };
                let outlook = Outlook { used_percent: prospect.used_percent(), due: clock.due, queue };
                likely.push((*number, clock.target.clone(), clock.cycle, outlook.to_string()));
            }
        }
        likely
    }
}

/// How long each clock of a ticket took from the moment at which somebody began until it was met, in its own open time.
fn took(record: &TicketRecord, terms: &Terms, begun_at: Timestamp, now: Timestamp) -> Vec<(Target, Duration)> {
    let before = sla::clocks(&terms.policy, &terms.calendar, &record.log, begun_at);
    let used = |target: &Target| before.iter().find(|c| c.target == *target && c.cycle == 1).map(|c| c.elapsed);
    let clocks = sla::clocks(&terms.policy, &terms.calendar, &record.log, now).into_iter();
    let met = clocks.filter(|c| c.cycle == 1 && c.met_at.is_some());
    met.filter_map(|c| {
        Some((c.elapsed.saturating_sub(used(&c.target)?), c.target)).map(|(took, target)| (target, took))
    })
    .collect()
}

/// The clocks of a ticket that run. Those that repeat are not foretold: each customer-visible update begins them anew.
fn running(record: &TicketRecord, terms: &Terms, begun_at: Option<Timestamp>, now: Timestamp) -> Vec<Running> {
    let policy = sla::policy(&terms.policy, &record.log, now);
    let before = begun_at.map(|at| sla::clocks(&terms.policy, &terms.calendar, &record.log, at)).unwrap_or_default();
    let accounts = sla::account(&terms.policy, &terms.calendar, &record.log, now).into_iter();
    let runs = accounts.filter(|a| a.clock.status == ClockStatus::Running);
    runs.filter_map(|a| {
        let spec = policy.clock(&a.clock.target).filter(|spec| !spec.repeat)?;
        let always = a.calendar == "always";
        let same = |c: &&outband_ticket::SlaClock| (&c.target, c.cycle) == (&a.clock.target, a.clock.cycle);
        Some(Running {
            hours: (!always).then(|| terms.calendar.business(spec.calendar.as_deref()).clone()),
            due: a.clock.due?,
            read_at: now,
            elapsed: a.clock.elapsed,
            remaining: a.remaining?,
            used_before: before.iter().find(same).map(|c| c.elapsed),
            foretold: record.log.iter().any(|e| is_foretold(&e.action, &a.clock.target, a.clock.cycle)),
            cycle: a.clock.cycle,
            target: a.clock.target,
        })
    })
    .collect()
}

fn is_foretold(action: &Action, of: &Target, run: u32) -> bool {
    matches!(action, Action::Step { target, cycle, level: Step::FORETOLD } if target == of && *cycle == run)
}

/// Writes it into the log, unless somebody changed the ticket meanwhile.
fn write<S: Store>(
    store: &S,
    number: TicketNumber,
    target: &Target,
    cycle: u32,
    why: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(record) = store.ticket(number)? else { return Ok(false) };
    if record.log.iter().any(|e| is_foretold(&e.action, target, cycle)) {
        return Ok(false);
    }
    let action = Action::Step { target: target.clone(), cycle, level: Step::FORETOLD };
    let command = Command { who: WHO.to_owned(), why: why.to_owned(), action };
    let Ok(entry) = apply(&record.ticket, command, now) else { return Ok(false) };
    let (ticket, expected_revision) = (record.ticket.after(&entry), Some(record.ticket.revision));
    match store.update_ticket(TicketWrite { ticket, expected_revision, transitions: vec![entry] }) {
        Err(StoreError::Conflict { .. }) => Ok(false),
        other => other.map(|_| true),
    }
}

#[cfg(test)]
mod tests;
