//! What notices an entry of a ticket's log makes, and whether one whose time has come is still wanted. Pure.

mod ask;

pub(super) use ask::Asked;

use super::text;
use crate::config::notify::{Cause, Notify, PriorityName, Recipient, Rule};
use crate::react::WHO;
use crate::service::Contact;
use crate::words::Audience;
use outband_schemas::{Timestamp, TriageClass};
use outband_store::{Notice, NoticeDraft, TicketRecord};
use outband_ticket::escalation::Step;
use outband_ticket::{AccessStep, Action, Calendars, Policies, Ticket, Transition, Visibility};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a ticket that is suppressed until nobody knows when is left alone before it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Whose server a ticket is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Subject {
    /// What people call the server.
    pub(super) server_name: String,
    /// The customer, where one is known.
    pub(super) customer: Option<String>,
    /// Whom the contract names, by role.
    pub(super) contacts: BTreeMap<String, Vec<Contact>>,
}

/// Who is told what, and what is promised.
#[derive(Debug, Clone, Copy)]
pub(super) struct By<'a> {
    /// The config.
    pub(super) notify: &'a Notify,
    /// What is promised, with the steps of escalations.
    pub(super) policies: &'a Policies,
}

/// The notices of the entries after `mark`. Entries from before `since`, and those that are too old to be news, make none.
pub(super) fn drafts(
    by: By<'_>,
    record: &TicketRecord,
    mark: u32,
    since: Timestamp,
    subject: &Subject,
    now: Timestamp,
) -> Vec<NoticeDraft> {
    let notify = by.notify;
    let mut drafts: Vec<NoticeDraft> = Vec::new();
    let oldest = since.max(now.minus(notify.news_for.duration()));
    for (i, entry) in record.log.iter().enumerate().filter(|(_, e)| e.seq > mark && e.at >= oldest) {
        let past = record.log.get(..i).unwrap_or_default();
        let Some(cause) = cause(entry, past) else { continue };
        if cause == Cause::Opened && record.ticket.parent.is_some() {
            // The ticket of the larger incident tells it.
            continue;
        }
        let step = ask::step(by.policies, &record.log, i);
        let asked =
            step.map_or_else(Vec::new, |step| ask::asked(step, &subject.contacts, record.ticket.class(), notify));
        let news = News { record, entry, cause, subject, asked: &asked, now };
        let was = reclassed(entry, past);
        let is_news = |rule: &&Rule| was.is_none_or(|was| !concerns(rule, Some(was)));
        let fitting = notify.rules.iter().filter(|rule| fits(rule, &record.ticket, subject, cause));
        for rule in fitting.filter(is_news) {
            let fallbacks = rule.fallbacks.iter().filter(|_| cause.calls_for_somebody());
            let later = fallbacks.map(|f| (f.after.duration(), &f.to));
            for (step, (after, names)) in (0..).zip([(Duration::ZERO, &rule.to)].into_iter().chain(later)) {
                for name in names {
                    // Who helps whom is between the provider's people.
                    let may = |to: &&Recipient| cause != Cause::Access || to.audience == Audience::Operator;
                    if let Some(to) = notify.recipients.get(name).filter(may) {
                        add(&mut drafts, news.draft((step, after), (name, to)));
                    }
                }
            }
        }
        // Whoever is asked is asked for an answer: step 0 is what is told in any case.
        for (turn, one) in (0..).zip(asked.iter().filter(|one| !one.recipients.is_empty())) {
            for (name, to) in &one.recipients {
                let after = step.map_or(Duration::ZERO, |step| step.each.saturating_mul(turn));
                let told = |d: &NoticeDraft| d.seq == entry.seq && d.recipient == *name && d.not_before <= entry.at;
                if !(after.is_zero() && drafts.iter().any(told)) {
                    add(&mut drafts, news.draft((turn + 1, after), (name, to)));
                }
            }
        }
    }
    drafts
}

/// Two rules may name one person: the earlier time counts.
fn add(drafts: &mut Vec<NoticeDraft>, draft: NoticeDraft) {
    let same = |d: &&mut NoticeDraft| (d.seq, d.step, &d.recipient) == (draft.seq, draft.step, &draft.recipient);
    match drafts.iter_mut().find(same) {
        Some(known) => known.not_before = known.not_before.min(draft.not_before),
        None => drafts.push(draft),
    }
}

/// An entry of a log that people are told of.
struct News<'a> {
    record: &'a TicketRecord,
    entry: &'a Transition,
    cause: Cause,
    subject: &'a Subject,
    asked: &'a [Asked],
    now: Timestamp,
}

impl News<'_> {
    fn draft(&self, (step, after): (u32, Duration), (name, to): (&String, &Recipient)) -> NoticeDraft {
        let (ticket, entry) = (&self.record.ticket, self.entry);
        let facts = text::Facts {
            ticket,
            log: &self.record.log,
            entry,
            cause: self.cause,
            step,
            server_name: &self.subject.server_name,
            asked: (!self.asked.is_empty()).then_some((self.asked, self.now)),
        };
        let text = text::text(&facts, to);
        // What is urgent waits for no digest.
        let digest = to.digest.filter(|_| step == 0 && !disturbs(to, ticket));
        NoticeDraft {
            ticket: ticket.number,
            seq: entry.seq,
            step,
            cause: self.cause.as_str().to_owned(),
            channel: to.channel.clone(),
            recipient: name.clone(),
            lang: to.language.tag().to_owned(),
            priority: ticket.priority,
            subject: text.subject,
            body: text.body,
            not_before: digest
                .map_or(entry.at.plus(after), |every| super::quiet::digest_at(entry.at, every.duration(), &to.zone)),
            digest: digest.is_some(),
        }
    }
}

/// Whether a ticket is urgent enough to disturb at any time.
fn disturbs(to: &Recipient, ticket: &Ticket) -> bool {
    let name = PriorityName::from(ticket.priority);
    match &to.quiet {
        Some(quiet) => name == PriorityName::P1 || !quiet.priorities.contains(&name),
        None => name <= PriorityName::P2,
    }
}

fn fits(rule: &Rule, ticket: &Ticket, subject: &Subject, cause: Cause) -> bool {
    let site = ticket.site.as_ref().map_or("", |s| s.as_str());
    rule.causes.contains(&cause)
        && (rule.priorities.is_empty() || rule.priorities.contains(&ticket.priority.into()))
        && (rule.sites.is_empty() || rule.sites.iter().any(|s| s == site))
        && (rule.customers.is_empty() || subject.customer.as_ref().is_some_and(|c| rule.customers.contains(c)))
        && (rule.faults.is_empty() || rule.faults.contains(&ticket.fault))
        && concerns(rule, ticket.class())
}

/// Whether a kind of trouble is a rule's. Of what nobody has looked at, nothing is known.
fn concerns(rule: &Rule, class: Option<TriageClass>) -> bool {
    rule.triage.is_empty() || rule.triage.contains(&class.unwrap_or(TriageClass::Unknown))
}

/// The kind that a ticket had before an entry that gives it another one; `None`: the entry does not, or it is the first. What is computed gives none to a
/// ticket of which a person has said what it is.
fn reclassed(entry: &Transition, past: &[Transition]) -> Option<TriageClass> {
    if !matches!(entry.action, Action::Triage { .. } | Action::SetTriage { .. }) {
        return None;
    }
    let was = class(past.iter())?;
    let is = class(past.iter().chain([entry]))?;
    (was != is).then_some(was)
}

/// The kind of trouble that a log ends with.
fn class<'a>(log: impl DoubleEndedIterator<Item = &'a Transition> + Clone) -> Option<TriageClass> {
    let set = log.clone().rev().find_map(|entry| match &entry.action {
        Action::SetTriage { class } => Some(*class),
        Action::Import { snapshot } => Some(snapshot.triage_set.as_ref().map(|set| set.class)),
        _ => None,
    });
    set.flatten().or_else(|| {
        log.rev().find_map(|entry| match &entry.action {
            Action::Triage { triage } => Some(triage.class),
            _ => None,
        })
    })
}

/// What an entry means to people; `None`: nothing that they have to be told.
fn cause(entry: &Transition, past: &[Transition]) -> Option<Cause> {
    Some(match &entry.action {
        Action::Open { .. } => Cause::Opened,
        Action::Prioritise { priority, .. } => {
            let before = past.iter().rev().find_map(|e| match &e.action {
                Action::Open { priority, .. } | Action::Prioritise { priority, .. } => Some(*priority),
                _ => None,
            });
            // Graver is smaller. Relief is nobody's alarm.
            return before.is_none_or(|before| *priority < before).then_some(Cause::Worse);
        }
        Action::Escalate => Cause::Worse,
        Action::Reopen => Cause::Reopened,
        Action::Step { level: Step::FORETOLD, .. } => Cause::AtRisk,
        Action::Step { .. } => Cause::Escalation,
        Action::Breach { .. } => Cause::Breach,
        Action::Assign { .. } => Cause::Assigned,
        Action::Comment { visibility: Visibility::Customer, .. } => Cause::Update,
        Action::WaitForCustomer => Cause::Waiting,
        Action::Resolve { .. } => Cause::Resolved,
        // A repair that the same step resolved and verified was told as resolved.
        Action::Close => Cause::Closed,
        Action::Access { step: AccessStep::Reminded, .. } => Cause::Access,
        // To those whom the new kind concerns, and the old one did not, it is a new ticket.
        Action::Triage { .. } | Action::SetTriage { .. } if reclassed(entry, past).is_some() => Cause::Opened,
        Action::Triage { .. } | Action::SetTriage { .. } => return None,
        Action::Comment { visibility: Visibility::Internal, .. }
        | Action::Start
        | Action::Locate { .. }
        | Action::WaitForParts
        | Action::Resume
        | Action::Evidence { .. }
        | Action::Milestone { .. }
        | Action::Policy { .. }
        | Action::Acknowledge { .. }
        | Action::Link { .. }
        | Action::Unlink { .. }
        | Action::Merge { .. }
        | Action::Parent { .. }
        | Action::Verdict { .. }
        | Action::Suppress { .. }
        | Action::Release
        | Action::Override { .. }
        | Action::Drill
        | Action::Access { step: AccessStep::Granted { .. } | AccessStep::Ended, .. }
        | Action::Import { .. } => return None,
    })
}

/// What to do with a notice whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judged {
    /// Send it.
    Send,
    /// Look at it again then.
    Wait(Timestamp, String),
    /// Nobody needs it any more.
    Drop(String),
}

/// Whether a notice is still wanted, as its ticket and its recipient stand now.
pub(super) fn judge(
    notice: &Notice,
    record: &TicketRecord,
    to: &Recipient,
    calendars: &Calendars,
    now: Timestamp,
) -> Judged {
    let (draft, ticket) = (&notice.draft, &record.ticket);
    if draft.step > 0
        && let Some(who) = acknowledged_by(record, draft.seq)
    {
        return Judged::Drop(format!("acknowledged by {who}"));
    }
    if draft.step > 0 && !ticket.is_open() {
        return Judged::Drop(format!("the ticket is {}", ticket.state));
    }
    if let Some(held) = &ticket.suppressed
        && held.until.is_none_or(|until| until > now)
    {
        if !ticket.is_open() {
            return Judged::Drop(format!("over before {} ended", held.by));
        }
        // It may be released before its time.
        let until = held.until.map_or(now.plus(LOOK_AGAIN), |until| until.min(now.plus(LOOK_AGAIN)));
        return Judged::Wait(until, format!("held by {}", held.by));
    }
    // A ticket that has become urgent since is not kept quiet.
    match super::quiet::until(to, draft.priority.min(ticket.priority), calendars, now) {
        Some(until) => Judged::Wait(until, "quiet hours".to_owned()),
        None => Judged::Send,
    }
}

/// Who has taken note since an entry of the log: whoever acknowledges, takes the ticket or gives it to somebody.
fn acknowledged_by(record: &TicketRecord, seq: u32) -> Option<&str> {
    let later = record.log.iter().filter(|e| e.seq > seq && e.who != WHO);
    later
        .filter(|e| matches!(e.action, Action::Acknowledge { .. } | Action::Assign { .. } | Action::Start))
        .map(|e| e.who.as_str())
        .next()
}

#[cfg(test)]
mod tests;
