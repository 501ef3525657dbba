//! One ticket and another: links, parents, merges, as people ask for them.

use crate::query::name;
use crate::query::problem::invalid;
use outband_proto::ticket as wire;
use outband_ticket::{Action, LinkKind, Ticket, TicketNumber};
use tonic::Status;

/// The words of the requests that tie tickets together.
pub(super) const WORDS: &str =
    "merge, parent, unparent, link:KIND, unlink:KIND (KIND: related, duplicate, caused_by, follows_up)";

/// What a request wishes, where it is about another ticket; that ticket's number is in `detail`.
pub(super) fn action(request: &wire::TransitionTicketRequest) -> Option<Result<Action, Status>> {
    let other = || {
        let text = request.detail.trim();
        let number = text.trim_start_matches("tickets/").parse().ok().map(TicketNumber);
        number.ok_or_else(|| {
            invalid("detail", format!("{} needs the number of the other ticket, not {text:?}", request.action))
        })
    };
    let kind =
        |word: &str| LinkKind::from_word(word).ok_or_else(|| invalid("action", format!("{word:?} is no kind of link")));
    match request.action.split_once(':') {
        None if request.action == "merge" => Some(other().map(|into| Action::Merge { into })),
        None if request.action == "parent" => Some(other().map(|number| Action::Parent { number: Some(number) })),
        None if request.action == "unparent" => Some(Ok(Action::Parent { number: None })),
        Some(("link", word)) => Some(kind(word).and_then(|kind| Ok(Action::Link { kind, to: other()? }))),
        Some(("unlink", word)) => Some(kind(word).and_then(|kind| Ok(Action::Unlink { kind, to: other()? }))),
        _ => None,
    }
}

/// The other ticket that has to be there for this action.
pub(super) fn other(action: &Action) -> Option<TicketNumber> {
    match action {
        Action::Merge { into } => Some(*into),
        Action::Parent { number } => *number,
        Action::Link { to, .. } => Some(*to),
        _ => None,
    }
}

/// Why this action makes no sense between these two, if it does not.
pub(super) fn refuse(action: &Action, number: TicketNumber, other: &Ticket) -> Option<Status> {
    let to = name::ticket(other.number);
    let what = if other.number == number {
        "a ticket cannot be tied to itself".to_owned()
    } else if !matches!(action, Action::Merge { .. }) {
        return None;
    } else if !other.is_open() {
        format!("{to} is {}: nobody works on it any more", other.state)
    } else if let Some(into) = other.merged_into {
        format!("{to} was merged into {} itself", name::ticket(into))
    } else {
        return None;
    };
    Some(invalid("detail", what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(action: &str, detail: &str) -> Option<Result<Action, Status>> {
        let request = wire::TransitionTicketRequest {
            action: action.to_owned(),
            detail: detail.to_owned(),
            ..wire::TransitionTicketRequest::default()
        };
        super::action(&request)
    }

    #[test]
    fn what_ties_two_tickets_names_the_other() {
        assert_eq!(asked("merge", "tickets/7").unwrap().unwrap(), Action::Merge { into: TicketNumber(7) });
        assert_eq!(asked("parent", "7").unwrap().unwrap(), Action::Parent { number: Some(TicketNumber(7)) });
        assert_eq!(asked("unparent", "").unwrap().unwrap(), Action::Parent { number: None });
        let link = Action::Link { kind: LinkKind::CausedBy, to: TicketNumber(7) };
        assert_eq!(asked("link:caused_by", "7").unwrap().unwrap(), link);
        for (action, detail) in [("merge", ""), ("parent", "x"), ("link:friend", "7"), ("link:related", "")] {
            assert!(asked(action, detail).unwrap().is_err(), "{action} {detail}");
        }
        assert!(asked("resolve", "7").is_none());
    }
}
