//! The loop that writes into the logs of tickets what falls due, each thing once.
//!
//! The store keeps for each ticket when something next falls due, and up to which change of tickets that index goes. A step looks
//! at what changed since, and at what is due: never at all tickets. What is written is made from the ticket as it stands, in one
//! transaction with its next deadline, and only if nobody changed it meanwhile: a crash anywhere neither loses nor doubles. Other
//! promises (a config, a calendar, a policy) have every open ticket looked at anew, a portion a step.

mod fire;

use crate::judgement::{self, Judgement, Terms};
use crate::query::pulse::Pulse;
use crate::react;
use outband_schemas::{Clock, Timestamp};
use outband_store::audit::{Actor, Audit, Deed, Outcome};
use outband_store::deadline::{Deadlines, Indexed, Settled};
use outband_store::{Page, Store, StoreError, TicketFilter};
use outband_ticket::{State, TicketNumber};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How long to wait after the store refused.
const RETRY: Duration = Duration::from_secs(2);
/// So many tickets an entry of the audit log names.
const NAMED: usize = 50;
/// So many tickets a step, of those that changed and of those that are due.
const PORTION: usize = 500;

/// Why the loop ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store.
    #[error("watching deadlines: {0}")]
    Store(#[from] StoreError),
    /// A step panicked.
    #[error("watching deadlines failed: {0}")]
    Task(#[from] JoinError),
}

/// What a step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// So many entries were written into logs.
    pub fired: usize,
    /// There is more to do at once.
    pub more: bool,
}

/// Watches deadlines, a step at a time.
#[derive(Debug)]
pub struct Watch<S> {
    store: S,
    indexed: Indexed,
    /// The terms that were printed last, and their print.
    print: Option<(Arc<Terms>, String)>,
    recount: Option<Recount>,
}

/// All open tickets are looked at anew.
#[derive(Debug, Default)]
struct Recount {
    tickets: usize,
    /// Those for which something falls due at another time.
    moved: Vec<TicketNumber>,
}

impl<S: Store + Deadlines + Audit> Watch<S> {
    /// Goes on where the store's index ends.
    pub fn load(store: S) -> Result<Self, StoreError> {
        let indexed = store.indexed()?;
        Ok(Self { store, indexed, print: None, recount: None })
    }

    /// Indexes what changed and writes what fell due, a portion of each.
    pub fn step(&mut self, terms: &Arc<Terms>, now: Timestamp) -> Result<Done, StoreError> {
        self.heed(terms, now)?;
        let unread = self.index(terms, now)?;
        if !unread && let Some(recount) = self.recount.take() {
            self.note(recount.told(), now)?;
        }
        let (fired, undone) = self.fire(terms, now)?;
        Ok(Done { fired, more: unread || undone })
    }

    /// Begins anew where the promises are others.
    fn heed(&mut self, terms: &Arc<Terms>, now: Timestamp) -> Result<(), StoreError> {
        if self.print.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, terms)) {
            self.print = Some((terms.clone(), terms.print()));
        }
        let Some((_, print)) = &self.print else { return Ok(()) };
        if *print == self.indexed.terms {
            return Ok(());
        }
        let print = print.clone();
        if self.indexed.change > 0 {
            let by = judgement::changes(&self.indexed.terms, &print).join(", ");
            tracing::info!(by, "what clocks count by has changed: all open tickets are computed anew");
            self.note(format!("the clocks of all open tickets are computed anew by {by}"), now)?;
            self.recount = Some(Recount::default());
        }
        self.indexed = Indexed { change: 0, terms: print };
        Ok(())
    }

    /// Writes into the audit log what the collector itself did.
    fn note(&self, detail: String, at: Timestamp) -> Result<(), StoreError> {
        let actor = Actor { name: react::WHO.to_owned(), peer: None };
        let deed = Deed {
            at,
            role: react::WHO.to_owned(),
            method: "deadlines".to_owned(),
            resource: String::new(),
            detail,
            outcome: Outcome::Done,
            request_id: None,
            before: None,
            after: None,
        };
        self.store.audit(actor, deed).map(|_| ())
    }

    fn index(&mut self, terms: &Terms, now: Timestamp) -> Result<bool, StoreError> {
        let filter = TicketFilter { changed_after: Some(self.indexed.change), ..TicketFilter::default() };
        let changed = self.store.tickets(&filter, &Page::first(PORTION))?;
        let Some(last) = changed.rows.last() else { return Ok(false) };
        let indexed = Indexed { change: last.change, ..self.indexed.clone() };
        let mut found = Vec::with_capacity(changed.rows.len());
        for record in &changed.rows {
            let bought = !terms.service.contracts.is_empty();
            let server = if bought { self.store.server(&record.ticket.server)? } else { None };
            found.push(fire::entitle(record, server.as_ref(), terms, now));
        }
        if let Some(recount) = &mut self.recount {
            let numbers: Vec<TicketNumber> = found.iter().map(|settled| settled.ticket).collect();
            let before = self.store.next_due(&numbers)?;
            for (record, settled) in changed.rows.iter().zip(&found) {
                recount.tickets += usize::from(record.ticket.state != State::Closed);
                if settled.next != before.get(&settled.ticket).copied() {
                    recount.moved.push(settled.ticket);
                }
            }
        }
        // One that was changed meanwhile comes again, as its change does.
        self.store.settle(found, Some(indexed.clone()))?;
        self.indexed = indexed;
        Ok(changed.next.is_some())
    }

    fn fire(&self, terms: &Terms, now: Timestamp) -> Result<(usize, bool), StoreError> {
        let due = self.store.due(now, PORTION)?;
        if due.is_empty() {
            return Ok((0, false));
        }
        let mut found = Vec::with_capacity(due.len());
        for ticket in &due {
            found.push(match self.store.ticket(*ticket)? {
                Some(record) => fire::fire(&record, terms, now),
                None => Settled { ticket: *ticket, next: None, write: None },
            });
        }
        let entries = |s: &Settled| s.write.as_ref().map_or(0, |w| w.transitions.len());
        let all: usize = found.iter().map(entries).sum();
        let lost: Vec<(TicketNumber, usize)> = found.iter().map(|s| (s.ticket, entries(s))).collect();
        let changed = self.store.settle(found, None)?;
        let lost: usize = lost.iter().filter(|(n, _)| changed.contains(n)).map(|(_, n)| n).sum();
        Ok((all - lost, due.len() == PORTION || !changed.is_empty()))
    }
}

impl Recount {
    fn told(self) -> String {
        let mut moved: Vec<String> = self.moved.iter().take(NAMED).map(ToString::to_string).collect();
        if self.moved.len() > NAMED {
            moved.push("…".to_owned());
        }
        let which = if moved.is_empty() { String::new() } else { format!(": {}", moved.join(", ")) };
        format!(
            "{} tickets are computed anew; something falls due at another time for {}{which}",
            self.tickets,
            self.moved.len()
        )
    }
}

/// Watches until `shutdown` is cancelled. Tells `pulse` when something fell due.
pub async fn run<S: Store + Deadlines + Audit, C: Clock + Send + Sync + 'static>(
    store: S,
    clock: Arc<C>,
    judgement: Judgement,
    pulse: Pulse,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let mut watch: Option<Watch<S>> = None;
    loop {
        let (ours, now, terms, before) = (store.clone(), clock.now(), judgement.terms(), watch.take());
        let step = tokio::task::spawn_blocking(move || {
            let mut watch = match before {
                Some(watch) => watch,
                None => Watch::load(ours)?,
            };
            let done = watch.step(&terms, now)?;
            Ok::<_, StoreError>((watch, done))
        });
        let wait = match step.await? {
            Ok((after, done)) => {
                watch = Some(after);
                if done.fired > 0 {
                    tracing::warn!(entries = done.fired, "SLA clocks ran out");
                    pulse.beat();
                }
                if done.more { Duration::ZERO } else { TICK }
            }
            Err(StoreError::Closed) => return Ok(()),
            Err(error) => {
                tracing::error!(%error, "deadlines are not watched; it is tried again");
                RETRY
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = sleep(wait) => {}
        }
    }
}

#[cfg(test)]
mod tests;
