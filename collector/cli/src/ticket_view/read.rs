//! A ticket as it comes over the wire.

use super::{Access, Clock, Comment, Evidence, Member, Transition, Triage, View};
use crate::when::Time;
use outband_proto::ticket as wire;

fn state(state: wire::State) -> &'static str {
    use wire::State as S;
    match state {
        S::Unspecified => "",
        S::New => "new",
        S::Assigned => "assigned",
        S::InProgress => "in_progress",
        S::WaitingForCustomer => "waiting_for_customer",
        S::WaitingForParts => "waiting_for_parts",
        S::Resolved => "resolved",
        S::Closed => "closed",
        S::Reopened => "reopened",
    }
}

impl From<wire::Ticket> for View {
    fn from(t: wire::Ticket) -> Self {
        use wire::Priority as P;
        let priority = match t.priority() {
            P::Unspecified => "",
            P::P1 => "P1",
            P::P2 => "P2",
            P::P3 => "P3",
            P::P4 => "P4",
        };
        Self {
            state: state(t.state()),
            priority,
            name: t.name,
            title: t.title,
            server: t.server,
            component: t.component,
            site: t.site,
            cause: t.cause,
            fault: t.fault,
            root_cause: t.root_cause,
            parent: t.parent,
            merged_into: t.merged_into,
            links: t.links.into_iter().map(|l| format!("{} {}", l.kind, l.to)).collect(),
            suppressed_by: t.suppressed_by,
            triage: t.triage.map(Triage::from),
            triage_computed: t.triage_computed.map(Triage::from),
            verdict: t.verdict,
            policy: if t.policy.is_empty() { String::new() } else { format!("{} {}", t.policy, t.policy_revision) },
            predicted: t.predicted,
            reason: t.reason,
            evidence: t
                .evidence
                .into_iter()
                .map(|e| Evidence { observed_at: Time(e.observed_at_ms), text: e.text })
                .collect(),
            clocks: t.clocks.into_iter().map(Clock::from).collect(),
            transitions: t.transitions.into_iter().map(Transition::from).collect(),
            comments: t
                .comments
                .into_iter()
                .map(|c| Comment { at: Time(c.at_ms), who: c.who, text: c.text, visibility: c.visibility })
                .collect(),
            onset: Time(t.onset_ms),
            created_at: Time(t.created_at_ms),
            updated_at: Time(t.updated_at_ms),
            assignee: t.assignee,
            resolution: t.resolution,
            part_serial: t.part_serial,
            etag: t.etag,
            members_total: 0,
            members: Vec::new(),
            accesses: Vec::new(),
        }
    }
}

impl From<wire::GetTicketResponse> for View {
    fn from(answer: wire::GetTicketResponse) -> Self {
        let member = |m: wire::Member| Member { state: state(m.state()), name: m.name, title: m.title };
        let access =
            |a: wire::Access| Access { grant: a.grant, holder: a.holder, role: a.role, until: Time(a.until_ms) };
        Self {
            members_total: answer.members_total,
            members: answer.members.into_iter().map(member).collect(),
            accesses: answer.accesses.into_iter().map(access).collect(),
            ..Self::from(answer.ticket.unwrap_or_default())
        }
    }
}

impl From<wire::Clock> for Clock {
    fn from(c: wire::Clock) -> Self {
        use wire::clock::Status as S;
        let status = match c.status() {
            S::Running => "running",
            S::Paused => "paused",
            S::Met => "met",
            S::Breached => "breached",
            S::MetLate => "met_late",
            S::Unspecified => "unknown",
        };
        Self {
            name: c.name,
            status,
            target: c.target,
            target_ms: c.target_ms,
            elapsed_ms: c.elapsed_ms,
            due: Time::optional(c.due_ms),
            met_at: Time::optional(c.met_at_ms),
            breached_at: Time::optional(c.breached_at_ms),
            flags: c.flags,
        }
    }
}

impl From<wire::Transition> for Transition {
    fn from(t: wire::Transition) -> Self {
        Self {
            at: Time(t.at_ms),
            from: state(t.from()),
            to: state(t.to()),
            who: t.who,
            action: t.action,
            why: t.why,
            reached_at: Time::optional(t.reached_at_ms),
        }
    }
}

impl From<wire::Triage> for Triage {
    fn from(t: wire::Triage) -> Self {
        let set_at = Time::optional(t.set_at_ms);
        Self { class: t.class, confidence: t.confidence, because: t.because, set_by: t.set_by, set_at }
    }
}
