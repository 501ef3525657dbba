//! Tickets in the words of the wire.

use crate::discretion::Reader;
use crate::judgement::Terms;
use crate::query::name;
use crate::query::problem::invalid;
use crate::query::sla::flags;
use outband_proto::ticket as wire;
use outband_schemas::{Timestamp, Triage, TriageClass};
use outband_store::TicketRecord;
use outband_ticket::sla::ClockStatus;
use outband_ticket::{
    Action, Allowance, Comment, Hours, OpenAccess, Resolution, SlaClock, State, Ticket, Transition, Verb, Verdict, sla,
};
use std::time::Duration;
use tonic::Status;

/// What operators may do. Opening, priorities and breaches are the collector's.
const ACTIONS: [Verb; 9] = [
    Verb::Assign,
    Verb::Start,
    Verb::Locate,
    Verb::WaitForCustomer,
    Verb::WaitForParts,
    Verb::Resume,
    Verb::Resolve,
    Verb::Close,
    Verb::Reopen,
];

/// The action that a request asks for.
pub(super) fn action(request: &wire::TransitionTicketRequest) -> Result<Action, Status> {
    let verb = ACTIONS.into_iter().find(|v| v.as_str() == request.action).ok_or_else(|| {
        let words: Vec<&str> = ACTIONS.iter().map(|v| v.as_str()).collect();
        let (words, also) = (words.join(", "), [super::relate::WORDS, super::decide::WORDS].join(", "));
        let what = format!("{:?} is none of {words}, {also}", request.action);
        invalid("action", what)
    })?;
    let given = |field: &str, text: &str, what: &str| match text.trim() {
        "" => Err(invalid(field, format!("{} needs {what}", request.action))),
        text => Ok(text.to_owned()),
    };
    Ok(match verb {
        Verb::Assign => Action::Assign { to: given("assignee", &request.assignee, "somebody to assign it to")? },
        Verb::Locate => Action::Locate { root_cause: given("detail", &request.detail, "the root cause")? },
        Verb::Resolve => match given("detail", &request.detail, "repaired or false_alarm")?.as_str() {
            "repaired" => Action::Resolve { resolution: Resolution::Repaired },
            "false_alarm" => Action::Resolve { resolution: Resolution::FalseAlarm },
            other => return Err(invalid("detail", format!("{other:?} is neither repaired nor false_alarm"))),
        },
        Verb::Start => Action::Start,
        Verb::WaitForCustomer => Action::WaitForCustomer,
        Verb::WaitForParts => Action::WaitForParts,
        Verb::Resume => Action::Resume,
        Verb::Close => Action::Close,
        Verb::Reopen => Action::Reopen,
        Verb::Open | Verb::Note | Verb::Remark => return Err(invalid("action", "that is the collector's to do")),
    })
}

/// The states that a request names.
pub(super) fn states(numbers: &[i32]) -> Result<Vec<State>, Status> {
    let read = |n: &i32| {
        u8::try_from(*n).ok().and_then(State::from_number).ok_or_else(|| invalid("states", format!("{n} is no state")))
    };
    numbers.iter().map(read).collect()
}

/// The kinds of trouble that a request names.
pub(super) fn classes(words: &[String]) -> Result<Vec<TriageClass>, Status> {
    let all = TriageClass::ALL.map(TriageClass::as_str).join(", ");
    let read = |word: &String| {
        TriageClass::from_word(word).ok_or_else(|| invalid("triage", format!("{word:?} is none of {all}")))
    };
    words.iter().map(read).collect()
}

/// A ticket with its clocks as they stand at `now`, as a customer reads it where one does.
pub(super) fn ticket(record: &TicketRecord, terms: &Terms, now: Timestamp, customer: Option<&Reader>) -> wire::Ticket {
    let told = customer.map(|reader| reader.of(&record.ticket, &record.log));
    let shown = told.as_ref().map(|told| told.ticket(&record.ticket));
    let ticket = shown.as_ref().unwrap_or(&record.ticket);
    let clocks = sla::clocks(&terms.policy, &terms.calendar, &record.log, now);
    let policy = sla::policy(&terms.policy, &record.log, now);
    wire::Ticket {
        name: name::ticket(ticket.number),
        state: i32::from(ticket.state.number()),
        priority: i32::from(ticket.priority.number()),
        title: ticket.title.clone(),
        server: name::server(&ticket.server),
        component: ticket.component.to_string(),
        cause: ticket.rule.clone(),
        fault: ticket.fault.clone(),
        root_cause: ticket.root_cause.clone().unwrap_or_default(),
        parent: ticket.parent.map(name::ticket).unwrap_or_default(),
        merged_into: ticket.merged_into.map(name::ticket).unwrap_or_default(),
        links: ticket
            .links
            .iter()
            .map(|l| wire::Link { kind: l.kind.as_str().to_owned(), to: name::ticket(l.to) })
            .collect(),
        verdict: ticket.verdict.map_or("", Verdict::as_str).to_owned(),
        policy: policy.name.clone(),
        policy_revision: i32::try_from(policy.revision).unwrap_or(i32::MAX),
        suppressed_by: ticket.suppressed.as_ref().map(|s| s.by.clone()).unwrap_or_default(),
        predicted: ticket.predicted,
        reason: ticket.reason.clone(),
        evidence: ticket
            .evidence
            .iter()
            .map(|e| wire::Evidence { observed_at_ms: e.observed_at.as_millis(), text: e.text.clone() })
            .collect(),
        clocks: clocks.iter().map(clock).collect(),
        // Comments and evidence stand by themselves.
        transitions: record
            .log
            .iter()
            .filter(|entry| is_step(&entry.action))
            .filter_map(|entry| match &told {
                Some(told) => told.entry(entry).as_ref().map(transition),
                None => Some(transition(entry)),
            })
            .collect(),
        comments: ticket.comments.iter().map(comment).collect(),
        onset_ms: ticket.onset.as_millis(),
        created_at_ms: ticket.created_at.as_millis(),
        updated_at_ms: ticket.updated_at.as_millis(),
        assignee: ticket.assignee.clone().unwrap_or_default(),
        resolution: ticket.resolution.map_or("", Resolution::as_str).to_owned(),
        etag: ticket.etag(),
        part_serial: ticket.part_serial.clone().unwrap_or_default(),
        site: ticket.site.as_ref().map(name::site).unwrap_or_default(),
        triage: ticket.kind().filter(|_| customer.is_none()).map(|kind| wire::Triage {
            set_by: ticket.triage_set.as_ref().map(|set| set.who.clone()).unwrap_or_default(),
            set_at_ms: ticket.triage_set.as_ref().map(|set| set.at.as_millis()),
            ..triage(&kind)
        }),
        triage_computed: (ticket.triage.as_ref())
            .filter(|_| customer.is_none() && ticket.triage_set.is_some())
            .map(triage),
    }
}

fn triage(of: &Triage) -> wire::Triage {
    wire::Triage {
        class: of.class.as_str().to_owned(),
        confidence: of.confidence.as_str().to_owned(),
        because: of.because.clone(),
        ..wire::Triage::default()
    }
}

/// A part of a larger incident, as a customer reads it where one does.
pub(super) fn member(record: &TicketRecord, customer: Option<&Reader>) -> wire::Member {
    let Ticket { number, title, state, .. } = &record.ticket;
    let title = customer.map_or_else(|| title.clone(), |reader| reader.of(&record.ticket, &record.log).text(title));
    wire::Member { name: name::ticket(*number), title, state: i32::from(state.number()) }
}

pub(super) fn access(access: &OpenAccess) -> wire::Access {
    wire::Access {
        grant: format!("grants/{}", access.grant),
        holder: access.holder.clone(),
        role: access.role.clone(),
        until_ms: access.until.as_millis(),
    }
}

fn clock(clock: &SlaClock) -> wire::Clock {
    use wire::clock::Status as Wire;
    let status = match clock.status {
        ClockStatus::Running => Wire::Running,
        ClockStatus::Paused => Wire::Paused,
        ClockStatus::Met => Wire::Met,
        ClockStatus::Breached => Wire::Breached,
        ClockStatus::MetLate => Wire::MetLate,
    };
    let at = |t: Option<Timestamp>| t.map(Timestamp::as_millis);
    wire::Clock {
        name: clock.target.as_str().to_owned(),
        status: status.into(),
        target_ms: match clock.allowance {
            Allowance::Within(time) => millis(time),
            Allowance::BusinessDays(_) => 0,
        },
        elapsed_ms: millis(clock.elapsed),
        due_ms: at(clock.due),
        met_at_ms: at(clock.met_at),
        target: in_words(clock.allowance, clock.hours),
        breached_at_ms: at(clock.breached_at),
        flags: flags(&clock.flags),
    }
}

fn is_step(action: &Action) -> bool {
    !matches!(action, Action::Comment { .. } | Action::Evidence { .. })
}

fn comment(c: &Comment) -> wire::Comment {
    let visibility = c.visibility.as_str().to_owned();
    wire::Comment { at_ms: c.at.as_millis(), who: c.who.clone(), text: c.text.clone(), visibility }
}

fn transition(entry: &Transition) -> wire::Transition {
    let state = |s: State| i32::from(s.number());
    wire::Transition {
        at_ms: entry.at.as_millis(),
        who: entry.who.clone(),
        why: entry.why.clone(),
        action: entry.action.word().into_owned(),
        from: entry.from.map_or(0, state),
        to: state(entry.to),
        reached_at_ms: match entry.action {
            Action::Milestone { reached_at, .. } => reached_at.map(Timestamp::as_millis),
            _ => None,
        },
    }
}

/// `15 min`, `4 h of business hours`, `next business day`, `5 business days`.
pub(in crate::query) fn in_words(allowance: Allowance, hours: Hours) -> String {
    let time = match allowance {
        Allowance::BusinessDays(1) => return "next business day".to_owned(),
        Allowance::BusinessDays(days) => return format!("{days} business days"),
        Allowance::Within(time) => time.as_secs(),
    };
    let text = match time {
        s if s >= 3600 && s % 3600 == 0 => format!("{} h", s / 3600),
        s if s >= 60 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    };
    match hours {
        Hours::Always => text,
        Hours::Business => format!("{text} of business hours"),
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    fn request(action: &str, detail: &str) -> wire::TransitionTicketRequest {
        wire::TransitionTicketRequest { action: action.to_owned(), detail: detail.to_owned(), ..Default::default() }
    }

    #[test]
    fn the_states_and_priorities_of_the_wire_are_those_of_the_crate() {
        for state in State::ALL {
            let wire = wire::State::try_from(i32::from(state.number())).unwrap();
            assert_eq!(wire.as_str_name(), format!("STATE_{}", state.as_str().to_uppercase()));
        }
        for priority in outband_ticket::Priority::ALL {
            let wire = wire::Priority::try_from(i32::from(priority.number())).unwrap();
            assert_eq!(wire.as_str_name(), format!("PRIORITY_{priority}"));
        }
    }

    #[test]
    fn what_an_action_needs_must_be_given() {
        for bad in
            [request("assign", ""), request("locate", " "), request("resolve", ""), request("resolve", "recovered")]
        {
            assert_eq!(action(&bad).unwrap_err().code(), Code::InvalidArgument, "{bad:?}");
        }
        let good = action(&request("resolve", "false_alarm")).unwrap();
        assert_eq!(good, Action::Resolve { resolution: Resolution::FalseAlarm });
    }

    #[test]
    fn operators_cannot_do_what_is_the_collectors() {
        for word in ["open", "note", "escalate", "breach:repair", ""] {
            let status = action(&request(word, "")).unwrap_err();
            assert!(status.message().contains("wait_for_parts"), "{status}");
        }
    }

    #[test]
    fn a_target_is_said_in_words() {
        let within = |secs| Allowance::Within(Duration::from_secs(secs));
        assert_eq!(in_words(within(900), Hours::Always), "15 min");
        assert_eq!(in_words(within(4 * 3600), Hours::Business), "4 h of business hours");
        assert_eq!(in_words(Allowance::BusinessDays(1), Hours::Business), "next business day");
    }
}
