//! What people said of an incident by moving its ticket. Pure.

use outband_health::{Hold, Incident, Stage, Verdict};
use outband_schemas::Timestamp;
use outband_store::TicketRecord;
use outband_ticket::{Action, Resolution, State, Ticket, Verdict as Said};

/// The incident after what its ticket says now; `None` where they agree.
pub(super) fn heed(incident: &Incident, record: &TicketRecord) -> Option<Incident> {
    let ticket = &record.ticket;
    // The work goes on in another ticket: it is a part of that.
    if let (Some(into), State::Resolved | State::Closed, Stage::Open | Stage::Verifying { .. }) =
        (ticket.merged_into, ticket.state, &incident.stage)
    {
        let hold = Some(Hold::Folded { into: into.0 });
        let follows = Some(ticket.number.0);
        return Some(Incident { stage: Stage::Open, ticket: None, hold, follows, ..incident.clone() });
    }
    let alarm = ticket.resolution == Some(Resolution::FalseAlarm) || is_refuted(incident, ticket);
    let said = match (ticket.state, &incident.stage) {
        (_, Stage::Ended { .. } | Stage::Pending) => return None,
        // What is no failure is none when its ticket is closed, either.
        (State::Resolved | State::Closed, Stage::Open | Stage::Verifying { .. }) if alarm => Verdict::FalseAlarm,
        (State::Resolved | State::Closed, Stage::Dismissed { .. }) if alarm => return None,
        (State::Resolved, Stage::Open | Stage::Dismissed { .. }) => Verdict::Repaired,
        (State::Resolved, Stage::Verifying { .. }) => return None,
        (State::Closed, Stage::Open | Stage::Verifying { .. } | Stage::Dismissed { .. }) => Verdict::Closed,
        (_, Stage::Open) => return None,
        (_, Stage::Verifying { .. } | Stage::Dismissed { .. }) => Verdict::Reopened,
    };
    Some(incident.after_verdict(said, moved_at(record)))
}

/// Whether a prediction was closed with the word that there was nothing, or nothing of this part: it still stands, and is believed no more.
fn is_refuted(incident: &Incident, ticket: &Ticket) -> bool {
    let wrong = matches!(ticket.verdict, Some(Said::NoFaultFound | Said::FalseAlarm | Said::OtherPart));
    incident.predicted && ticket.state == State::Closed && wrong
}

/// When the ticket came into its state.
fn moved_at(record: &TicketRecord) -> Timestamp {
    let moves = |a: &Action| matches!(a, Action::Resolve { .. } | Action::Close | Action::Reopen);
    record.log.iter().rev().find(|t| moves(&t.action)).map_or(record.ticket.updated_at, |t| t.at)
}
