//! What people decide on a ticket: how urgent it is, what it is promised, what it was, and what was reached on its way.

use crate::judgement::Terms;
use crate::query::problem::invalid;
use crate::react;
use outband_proto::ticket as wire;
use outband_schemas::Timestamp;
use outband_store::TicketRecord;
use outband_ticket::{Action, Milestone, Priority, Rebase, Resolution, Ticket, Verdict, sla};
use tonic::Status;

/// The words of the requests that decide something.
pub(super) const WORDS: &str = "prioritise, policy, verdict:WHAT (WHAT: confirmed, no_fault_found, false_alarm, other_part, replaced_without_test)";

/// What a request decides, where it decides something.
pub(super) fn action(request: &wire::TransitionTicketRequest, terms: &Terms) -> Option<Result<Action, Status>> {
    let detail = request.detail.trim();
    Some(match request.action.split_once(':') {
        None if request.action == "prioritise" => priority(detail),
        None if request.action == "policy" => policy(detail, terms),
        Some(("verdict", word)) => match Verdict::from_word(word) {
            Some(verdict) => Ok(Action::Verdict { verdict, detail: detail.to_owned(), part: None }),
            None => Err(invalid("action", format!("{word:?} is none of {}", words(Verdict::ALL.map(Verdict::as_str))))),
        },
        _ => return None,
    })
}

fn priority(detail: &str) -> Result<Action, Status> {
    let known = Priority::ALL.into_iter().find(|p| p.to_string().eq_ignore_ascii_case(detail));
    let priority = known.ok_or_else(|| invalid("detail", format!("{detail:?} is none of P1, P2, P3 and P4")))?;
    // Which it is, the policy of the ticket says: see `by_policy`.
    Ok(Action::Prioritise { priority, rebase: Rebase::Change })
}

fn policy(detail: &str, terms: &Terms) -> Result<Action, Status> {
    let policy = terms.policy.newest(detail).ok_or_else(|| {
        let known = terms.policy.names().collect::<Vec<_>>().join(", ");
        invalid("detail", format!("{detail:?} is no policy; there are {known}"))
    })?;
    Ok(Action::Policy { policy: policy.name.clone(), revision: policy.revision, rebase: policy.rebase })
}

/// An action on a ticket as it stands, with what goes into the log together with it.
pub(super) fn steps(action: &Action, terms: &Terms, record: &TicketRecord, now: Timestamp) -> Vec<Action> {
    match action {
        // From when clocks of another priority count is the policy's to say, and not the caller's.
        Action::Prioritise { priority, .. } => {
            let rebase = sla::policy(&terms.policy, &record.log, now).reprioritise;
            let decided = Action::Override { what: react::PRIORITY.to_owned(), until: None };
            vec![decided, Action::Prioritise { priority: *priority, rebase }]
        }
        Action::Resolve { resolution: Resolution::FalseAlarm } if !says_wrong(&record.ticket) => {
            let verdict = Verdict::FalseAlarm;
            vec![Action::Verdict { verdict, detail: String::new(), part: None }, action.clone()]
        }
        other => vec![other.clone()],
    }
}

/// Whether its verdict says already that there was nothing, or nothing of this part.
fn says_wrong(ticket: &Ticket) -> bool {
    matches!(ticket.verdict, Some(Verdict::NoFaultFound | Verdict::FalseAlarm | Verdict::OtherPart))
}

/// What was reached, and when.
pub(super) fn milestone(request: &wire::ReachMilestoneRequest) -> Result<Action, Status> {
    let word = request.milestone.trim();
    let milestone = Milestone::from_word(word).ok_or_else(|| {
        invalid("milestone", format!("{word:?} is none of {}", words(Milestone::ALL.map(Milestone::as_str))))
    })?;
    Ok(Action::Milestone { milestone, reached_at: request.reached_at_ms.map(Timestamp::from_millis) })
}

fn words<const N: usize>(all: [&str; N]) -> String {
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn asked(action: &str, detail: &str) -> Option<Result<Action, Status>> {
        let request = wire::TransitionTicketRequest {
            action: action.to_owned(),
            detail: detail.to_owned(),
            ..wire::TransitionTicketRequest::default()
        };
        super::action(&request, &Terms::try_from(&Config::default()).unwrap())
    }

    #[test]
    fn what_is_decided_is_read_and_what_is_no_decision_is_left_to_others() {
        let Action::Prioritise { priority, .. } = asked("prioritise", "p1").unwrap().unwrap() else { panic!() };
        assert_eq!(priority, Priority::P1);
        let verdict =
            Action::Verdict { verdict: Verdict::NoFaultFound, detail: "tested for a day".to_owned(), part: None };
        assert_eq!(asked("verdict:no_fault_found", " tested for a day ").unwrap().unwrap(), verdict);
        for (action, detail) in [("prioritise", "P5"), ("prioritise", ""), ("policy", "gold"), ("verdict:maybe", "")] {
            assert!(asked(action, detail).unwrap().is_err(), "{action} {detail}");
        }
        assert!(asked("resolve", "repaired").is_none());
    }

    #[test]
    fn every_milestone_is_reached_by_its_word() {
        for milestone in Milestone::ALL {
            let request = wire::ReachMilestoneRequest {
                milestone: milestone.as_str().to_owned(),
                reached_at_ms: Some(5000),
                ..wire::ReachMilestoneRequest::default()
            };
            let reached = Action::Milestone { milestone, reached_at: Some(Timestamp::from_secs(5)) };
            assert_eq!(super::milestone(&request).unwrap(), reached);
        }
        assert!(super::milestone(&wire::ReachMilestoneRequest::default()).is_err());
    }
}
