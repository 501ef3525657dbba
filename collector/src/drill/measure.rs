//! What people did in an exercise, and how long they took. Pure: read off the ticket's log.

use outband_schemas::Timestamp;
use outband_store::TicketRecord;
use outband_ticket::{Action, Milestone, Transition};
use std::time::Duration;

/// What is measured, in the order in which it usually comes.
pub const MEASURED: [&str; 6] = ["acknowledged", "picked_up", "answered", "taken", "located", "resolved"];

/// One thing that somebody did, or that nobody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// Which of [`MEASURED`].
    pub what: &'static str,
    /// Who did it and how long after the ticket was opened; `None`: nobody did.
    pub done: Option<(String, Duration)>,
}

/// What people did with a drill's ticket. What the collector did is nobody's.
pub fn measures(record: &TicketRecord) -> Vec<Measure> {
    let by_people = |entry: &&Transition| entry.who != crate::react::WHO;
    MEASURED
        .into_iter()
        .map(|what| {
            let first = record.log.iter().filter(by_people).find(|entry| is(what, &entry.action));
            Measure { what, done: first.map(|e| (e.who.clone(), reached(e).since(record.ticket.created_at))) }
        })
        .collect()
}

/// When it was done: what is told afterwards says when it was.
fn reached(entry: &Transition) -> Timestamp {
    match entry.action {
        Action::Milestone { reached_at: Some(at), .. } => at,
        _ => entry.at,
    }
}

fn is(what: &str, action: &Action) -> bool {
    let milestone = match action {
        Action::Milestone { milestone, .. } => Some(*milestone),
        _ => None,
    };
    match what {
        "acknowledged" => matches!(action, Action::Acknowledge { .. }),
        "picked_up" => milestone == Some(Milestone::Pickup),
        "answered" => matches!(milestone, Some(Milestone::FirstResponse | Milestone::Contact)),
        "taken" => matches!(action, Action::Assign { .. } | Action::Start),
        "located" => matches!(action, Action::Locate { .. }),
        _ => matches!(action, Action::Resolve { .. }),
    }
}
