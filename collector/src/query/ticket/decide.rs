//! What people decide on a ticket: how urgent it is, what it is promised, what it was, and what was reached on its way.

use crate::judgement::Terms;
use crate::query::problem::invalid;
use crate::react;
use outband_proto::ticket as wire;
use outband_schemas::{Timestamp, TriageClass};
use outband_store::TicketRecord;
use outband_ticket::{Action, Milestone, Priority, Rebase, Resolution, Ticket, Verdict, sla};
use tonic::Status;

/// The words of the requests that decide something.
pub(super) const WORDS: &str = "prioritise, policy, verdict:WHAT (WHAT: confirmed, no_fault_found, false_alarm, other_part, replaced_without_test), set_triage:CLASS, clear_triage";

/// What a request decides, where it decides something.
pub(super) fn action(request: &wire::TransitionTicketRequest, terms: &Terms) -> Option<Result<Action, Status>> {
    let detail = request.detail.trim();
    Some(match request.action.split_once(':') {
        None if request.action == "prioritise" => priority(detail),
        None if request.action == "policy" => policy(detail, terms),
        None if request.action == "clear_triage" => Ok(Action::SetTriage { class: None }),
        Some(("verdict", word)) => verdict("action", word, detail, &request.part),
        Some(("set_triage", word)) => match TriageClass::from_word(word) {
            Some(class) => Ok(Action::SetTriage { class: Some(class) }),
            None => {
                let known = words(TriageClass::ALL.map(TriageClass::as_str));
                Err(invalid("action", format!("{word:?} is none of {known}")))
            }
        },
        _ => return None,
    })
}

/// What a person says that it was. Only of another part it has to be said which.
fn verdict(field: &str, word: &str, detail: &str, part: &str) -> Result<Action, Status> {
    let verdict = Verdict::from_word(word)
        .ok_or_else(|| invalid(field, format!("{word:?} is none of {}", words(Verdict::ALL.map(Verdict::as_str)))))?;
    Ok(Action::Verdict { verdict, detail: detail.to_owned(), part: other_part(verdict, part)? })
}

/// The part that was at fault instead, by its serial or its place.
pub(in crate::query) fn other_part(verdict: Verdict, part: &str) -> Result<Option<String>, Status> {
    let part = Some(super::text("part", part)?).filter(|part| !part.is_empty());
    if part.is_some() && verdict != Verdict::OtherPart {
        return Err(invalid("part", "names the part that was at fault instead: with the verdict other_part only"));
    }
    Ok(part)
}

/// What is said of a ticket in the step that ends it, where something is.
pub(super) fn last_word(request: &wire::TransitionTicketRequest, wished: &Action) -> Result<Option<Action>, Status> {
    let given = request.verdict.trim();
    match wished {
        Action::Verdict { .. } if given.is_empty() => return Ok(None),
        Action::Close | Action::Resolve { .. } if !given.is_empty() => {}
        _ if given.is_empty() && request.part.trim().is_empty() => return Ok(None),
        _ if given.is_empty() => {
            return Err(invalid("part", "names the part that was at fault instead: with the verdict other_part only"));
        }
        _ => return Err(invalid("verdict", "is said with resolve and close; else as verdict:WHAT")),
    }
    // What `resolve` says in `detail` is how it ended.
    let detail = if matches!(wished, Action::Close) { request.detail.trim() } else { "" };
    let said = verdict("verdict", given, detail, &request.part)?;
    let contradicts = matches!(wished, Action::Resolve { resolution: Resolution::FalseAlarm })
        && matches!(said, Action::Verdict { verdict: Verdict::Confirmed | Verdict::ReplacedWithoutTest, .. });
    if contradicts {
        return Err(invalid("verdict", format!("{given} and resolved as a false alarm contradict each other")));
    }
    Ok(Some(said))
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
    fn the_step_that_ends_a_ticket_may_say_what_it_was_and_which_part() {
        let request = |verdict: &str, part: &str| wire::TransitionTicketRequest {
            verdict: verdict.to_owned(),
            part: part.to_owned(),
            ..wire::TransitionTicketRequest::default()
        };
        let said = last_word(&request("other_part", " PSU7 "), &Action::Close).unwrap();
        let part = Some("PSU7".to_owned());
        assert_eq!(said, Some(Action::Verdict { verdict: Verdict::OtherPart, detail: String::new(), part }));
        assert_eq!(last_word(&request("", ""), &Action::Close).unwrap(), None);
        let alarm = Action::Resolve { resolution: Resolution::FalseAlarm };
        for (verdict, part, wished) in [
            ("maybe", "", &Action::Close),
            ("confirmed", "PSU7", &Action::Close),
            ("", "PSU7", &Action::Close),
            ("confirmed", "", &Action::Start),
            ("confirmed", "", &alarm),
        ] {
            assert!(last_word(&request(verdict, part), wished).is_err(), "{verdict} {part} {wished:?}");
        }
    }

    #[test]
    fn a_kind_of_trouble_is_set_by_its_word_and_cleared() {
        let set = Action::SetTriage { class: Some(TriageClass::EnvironmentPower) };
        assert_eq!(asked("set_triage:environment_power", "").unwrap().unwrap(), set);
        assert_eq!(asked("clear_triage", "").unwrap().unwrap(), Action::SetTriage { class: None });
        assert!(asked("set_triage:software", "").unwrap().is_err());
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
