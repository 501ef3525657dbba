//! Clocks that ran out. Pure.

use super::Terms;
use crate::react;
use outband_schemas::Timestamp;
use outband_store::{TicketRecord, TicketWrite};
use outband_ticket::{Action, Command, apply, sla};

/// The entries that a ticket's log lacks: one for each clock that ran out by `now`.
pub(super) fn log(record: &TicketRecord, terms: &Terms, now: Timestamp) -> Option<TicketWrite> {
    let mut ticket = record.ticket.clone();
    let mut transitions = Vec::new();
    for lapse in sla::unlogged_breaches(&terms.policy, &terms.calendar, &record.log, now) {
        let action = Action::Breach { target: lapse.target, cycle: lapse.cycle };
        let command = Command { who: react::WHO.to_owned(), why: format!("due {}", lapse.due), action };
        match apply(&ticket, command, now) {
            Ok(transition) => {
                ticket = ticket.after(&transition);
                transitions.push(transition);
            }
            Err(error) => tracing::warn!(ticket = %ticket.number, %error, "a breach cannot be logged"),
        }
    }
    let expected_revision = Some(record.ticket.revision);
    (!transitions.is_empty()).then_some(TicketWrite { ticket, expected_revision, transitions })
}
