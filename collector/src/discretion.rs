//! What a customer reads of a ticket, over the API as in reports: how the work goes on and what was written to them; no name of who works for the
//! provider, nothing of what those say among themselves, no address and no secret. Whoever shows a ticket to a customer goes through
//! [`Discretion`] and nowhere else.

use crate::callpack::privacy::{Scrubber, people, rewritten};
use crate::react::WHO;
use outband_ticket::{Action, Ticket, Transition, Visibility};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What stands for whoever works for the provider.
pub const DESK: &str = "service desk";
/// What stands for a customer, where another reads.
pub const CUSTOMER: &str = "customer";

/// A customer who reads. The default one is not known by name, and knows nobody.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    own: Option<String>,
    customers: Arc<BTreeSet<String>>,
}

impl Reader {
    /// One of this name, where it is known, and the names that only customers have.
    pub fn new(own: Option<String>, customers: BTreeSet<String>) -> Self {
        Self { own, customers: Arc::new(customers) }
    }

    /// What this customer reads of a ticket.
    pub fn of(&self, ticket: &Ticket, log: &[Transition]) -> Discretion<'_> {
        let others = people(ticket, log).filter(|name| self.own.as_ref() != Some(name));
        self.scrubbed(Scrubber::new(others, []))
    }

    /// What this customer reads, where it is known already whose names stand in it.
    pub fn scrubbed(&self, scrub: Scrubber) -> Discretion<'_> {
        Discretion { reader: self, scrub }
    }
}

/// Makes of a ticket what a customer reads of it.
#[derive(Debug)]
pub struct Discretion<'a> {
    reader: &'a Reader,
    scrub: Scrubber,
}

impl Discretion<'_> {
    /// Who somebody is to the reader.
    pub fn who(&self, name: &str) -> String {
        let shown = match name {
            "" | WHO => name,
            _ if self.reader.own.as_deref() == Some(name) => name,
            _ if self.reader.customers.contains(name) => CUSTOMER,
            _ => DESK,
        };
        shown.to_owned()
    }

    /// What people wrote, without names, addresses and secrets.
    pub fn text(&self, text: &str) -> String {
        self.scrub.clean_lines(text)
    }

    /// An entry of a ticket's log; `None` where it is not for customers. Of reasons, only the collector's own: what people write there is
    /// written for colleagues.
    pub fn entry(&self, entry: &Transition) -> Option<Transition> {
        if !is_public(&entry.action) {
            return None;
        }
        let action = match &entry.action {
            Action::Assign { to } => Action::Assign { to: self.who(to) },
            // What it was opened with stands in the ticket as it is shown.
            Action::Open { priority, .. } => Action::Open { priority: *priority, opening: None },
            other => rewritten(other, |text| self.text(text)),
        };
        let why = if entry.who == WHO { self.text(&entry.why) } else { String::new() };
        Some(Transition { who: self.who(&entry.who), why, action, ..entry.clone() })
    }

    /// The ticket itself.
    pub fn ticket(&self, ticket: &Ticket) -> Ticket {
        let mut shown = ticket.clone();
        shown.comments.retain(|comment| comment.visibility == Visibility::Customer);
        for comment in &mut shown.comments {
            comment.who = self.who(&comment.who);
            comment.text = self.text(&comment.text);
        }
        shown.assignee = ticket.assignee.as_deref().map(|name| self.who(name));
        let texts = [&mut shown.title, &mut shown.reason].into_iter().chain(&mut shown.root_cause);
        let texts = texts.chain(shown.evidence.iter_mut().map(|fact| &mut fact.text));
        texts.chain(shown.suppressed.iter_mut().map(|s| &mut s.by)).for_each(|text| *text = self.text(text));
        shown.access.clear();
        shown.overrides.clear();
        (shown.triage, shown.triage_set) = (None, None);
        shown
    }
}

/// Whether customers may read of it: how the work went on, and what was written to them.
pub fn is_public(action: &Action) -> bool {
    match action {
        Action::Open { .. }
        | Action::Assign { .. }
        | Action::Start
        | Action::Locate { .. }
        | Action::WaitForCustomer
        | Action::WaitForParts
        | Action::Resume
        | Action::Resolve { .. }
        | Action::Close
        | Action::Reopen
        | Action::Prioritise { .. }
        | Action::Escalate
        | Action::Breach { .. }
        | Action::Milestone { .. }
        | Action::Verdict { .. }
        | Action::Drill => true,
        Action::Comment { visibility, .. } => *visibility == Visibility::Customer,
        Action::Step { .. }
        | Action::Evidence { .. }
        | Action::Policy { .. }
        | Action::Acknowledge { .. }
        | Action::Link { .. }
        | Action::Unlink { .. }
        | Action::Merge { .. }
        | Action::Parent { .. }
        | Action::Suppress { .. }
        | Action::Release
        | Action::Override { .. }
        | Action::Triage { .. }
        | Action::SetTriage { .. }
        | Action::Access { .. }
        | Action::Import { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::{ComponentClass, ComponentId, ServerId, Timestamp};
    use outband_ticket::{Command, Opening, Priority, TicketNumber, apply};

    /// A ticket that wang works on, and its log.
    fn tale() -> (Ticket, Vec<Transition>) {
        let opening = Opening {
            number: TicketNumber(1),
            priority: Priority::P2,
            title: "disk of wang's rack".to_owned(),
            site: None,
            server: ServerId::new("srv-1").unwrap(),
            component: ComponentId::new(ComponentClass::Disk, "Bay 1").unwrap(),
            fault: "disk_failure".to_owned(),
            rule: "disk.says_so".to_owned(),
            predicted: false,
            reason: "the drive says so".to_owned(),
            evidence: Vec::new(),
            onset: Timestamp::EPOCH,
            part_serial: None,
        };
        let (mut ticket, first) = Ticket::open(opening, WHO, Timestamp::EPOCH);
        let mut log = vec![first];
        let text = "wang brings a drive".to_owned();
        for action in [
            Action::Assign { to: "zhaolei".to_owned() },
            Action::Comment { text, visibility: Visibility::Customer },
            Action::Comment { text: "between us".to_owned(), visibility: Visibility::Internal },
            Action::Suppress { by: "maintenance 1: ask wang".to_owned(), until: None },
        ] {
            let command = Command { who: "wang".to_owned(), why: "because".to_owned(), action };
            log.push(apply(&ticket, command, Timestamp::EPOCH).unwrap());
            ticket = ticket.after(&log[log.len() - 1]);
        }
        (ticket, log)
    }

    fn reader(own: &str) -> Reader {
        Reader::new(Some(own.to_owned()), BTreeSet::from(["acme".to_owned(), "li".to_owned()]))
    }

    #[test]
    fn whoever_works_for_the_provider_is_the_service_desk_and_another_customer_a_customer() {
        let (reader, (ticket, log)) = (reader("acme"), tale());
        let told = reader.of(&ticket, &log);
        let who = ["wang", "operator", "li", "acme", "collector", ""].map(|name| told.who(name));
        assert_eq!(who, ["service desk", "service desk", "customer", "acme", "collector", ""]);
    }

    #[test]
    fn a_ticket_is_shown_without_names_whoever_has_it_and_whoever_said_something() {
        let (reader, (ticket, log)) = (reader("acme"), tale());
        let shown = reader.of(&ticket, &log).ticket(&ticket);
        assert_eq!(shown.title, "disk of [person]'s rack");
        assert_eq!(shown.comments.len(), 1);
        assert_eq!(shown.assignee.as_deref(), Some(DESK));
        assert_eq!(
            (shown.comments[0].who.as_str(), shown.comments[0].text.as_str()),
            (DESK, "[person] brings a drive")
        );
        assert_eq!(shown.suppressed.map(|s| s.by).as_deref(), Some("maintenance 1: ask [person]"));
    }

    #[test]
    fn an_entry_is_shown_without_what_people_wrote_for_colleagues_and_only_if_it_is_for_customers() {
        let (reader, (ticket, log)) = (reader("acme"), tale());
        let told = reader.of(&ticket, &log);
        let shown: Vec<_> = log.iter().filter_map(|entry| told.entry(entry)).collect();
        let words: Vec<_> = shown.iter().map(|e| e.action.word().into_owned()).collect();
        assert_eq!(words, ["open", "assign", "comment"]);
        assert_eq!(shown[1].action, Action::Assign { to: DESK.to_owned() });
        assert_eq!((shown[1].who.as_str(), shown[1].why.as_str()), (DESK, ""));
        // The collector's own reasons are for whoever reads the ticket.
        assert_eq!((shown[0].who.as_str(), &shown[0].why), (WHO, &log[0].why));
        assert!(!serde_json::to_string(&shown).unwrap().contains("wang"));
    }
}
