//! What fell due for one ticket. Pure.

use crate::judgement::Terms;
use crate::react;
use outband_schemas::Timestamp;
use outband_store::deadline::Settled;
use outband_store::{ServerRecord, TicketRecord, TicketWrite};
use outband_ticket::{Action, Command, Rebase, SlaPolicy, State, Ticket, Transition, apply, sla};
use std::time::Duration;

/// A clock that is met in the very moment in which it is due is met in time: it has run out one moment later.
const MOMENT: Duration = Duration::from_millis(1);

/// When a ticket is to be looked at next.
pub(super) fn next(state: State, log: &[Transition], terms: &Terms, now: Timestamp) -> Option<Timestamp> {
    if state == State::Closed {
        return None;
    }
    // A clock that was wrong in the future and was set right leaves entries that lie ahead: they have happened all the same.
    let now = log.last().map_or(now, |newest| now.max(newest.at));
    sla::next_due(&terms.policy, &terms.calendar, log, now).map(|due| due.plus(MOMENT))
}

/// Has a ticket name the policy that its server's contract promises it. Once: a ticket keeps its revision until it comes under another
/// package.
pub(super) fn entitle(record: &TicketRecord, server: Option<&ServerRecord>, terms: &Terms, now: Timestamp) -> Settled {
    let (mut ticket, mut log) = (record.ticket.clone(), record.log.clone());
    let (known, number) = (log.len(), ticket.number);
    if ticket.is_open()
        && let Some(policy) = server.and_then(|server| entitled(&ticket, server, terms))
    {
        let first = ticket.policy.is_none();
        let rebase = if first { Rebase::Creation } else { policy.rebase };
        let action = Action::Policy { policy: policy.name.clone(), revision: policy.revision, rebase };
        note(&mut ticket, &mut log, action, "by contract".to_owned(), now);
    }
    let next = next(ticket.state, &log, terms, now);
    Settled { ticket: number, next, write: write(record, ticket, log.split_off(known)) }
}

/// The policy that a ticket is entitled to and does not name yet.
fn entitled<'a>(ticket: &Ticket, server: &ServerRecord, terms: &'a Terms) -> Option<&'a SlaPolicy> {
    let customer = terms.topology.place(server).and_then(|place| place.customer.as_deref());
    let contract = terms.service.covering(server, customer, ticket.created_at)?;
    let named = ticket.policy.as_ref().map(|policy| policy.name.as_str());
    (named != Some(contract.package.as_str())).then(|| terms.policy.newest(&contract.package)).flatten()
}

fn write(record: &TicketRecord, ticket: Ticket, transitions: Vec<Transition>) -> Option<TicketWrite> {
    let expected_revision = Some(record.ticket.revision);
    (!transitions.is_empty()).then_some(TicketWrite { ticket, expected_revision, transitions })
}

/// Writes down what fell due by `now`, and when the ticket is to be looked at next.
pub(super) fn fire(record: &TicketRecord, terms: &Terms, now: Timestamp) -> Settled {
    let (mut ticket, mut log) = (record.ticket.clone(), record.log.clone());
    let known = log.len();
    let number = ticket.number;
    if ticket.state != State::Closed {
        for lapse in sla::unlogged_breaches(&terms.policy, &terms.calendar, &record.log, now) {
            let action = Action::Breach { target: lapse.target, cycle: lapse.cycle };
            note(&mut ticket, &mut log, action, format!("due {}", lapse.due), now);
        }
    }
    if ticket.state != State::Closed {
        for step in sla::steps(&terms.policy, &terms.calendar, &record.log, now).into_iter().filter(|s| s.at <= now) {
            let action = Action::Step { target: step.target, cycle: step.cycle, level: step.level };
            note(&mut ticket, &mut log, action, format!("due {}", step.at), now);
        }
    }
    let next = next(ticket.state, &log, terms, now);
    Settled { ticket: number, next, write: write(record, ticket, log.split_off(known)) }
}

fn note(ticket: &mut Ticket, log: &mut Vec<Transition>, action: Action, why: String, now: Timestamp) {
    let command = Command { who: react::WHO.to_owned(), why, action };
    match apply(ticket, command, now) {
        Ok(entry) => {
            *ticket = ticket.after(&entry);
            log.push(entry);
        }
        Err(error) => tracing::warn!(ticket = %ticket.number, %error, "what fell due cannot be logged"),
    }
}
