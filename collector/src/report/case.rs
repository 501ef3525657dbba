//! A ticket as reports see it: what became of it, and what it waited for.

use outband_schemas::Timestamp;
use outband_store::maintenance::WindowKind;
use outband_ticket::calendar::Span;
use outband_ticket::{Action, Resolution, State, Ticket, Transition, Verdict};
use serde::Serialize;
use std::borrow::Cow;
use std::time::Duration;

/// A ticket, its log, and whose it is.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    /// The ticket.
    pub ticket: &'a Ticket,
    /// Its whole log.
    pub log: &'a [Transition],
    /// The site, where it is known.
    pub site: Option<String>,
    /// The customer, where it is known.
    pub customer: Option<String>,
    /// The model of its server, where it is known.
    pub model: Option<String>,
}

/// What became of a ticket. The first that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// An exercise.
    Drill,
    /// The work went on in another ticket.
    Merged,
    /// It ended inside a maintenance window.
    Maintenance,
    /// A person says that there was nothing.
    FalseAlarm,
    /// It ended by itself.
    Recovered,
    /// It was repaired.
    Repaired,
    /// It has not ended.
    Open,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 7] =
        [Self::Repaired, Self::Recovered, Self::FalseAlarm, Self::Merged, Self::Maintenance, Self::Drill, Self::Open];

    /// Whether it was a fault that somebody had to see to: what promises are measured by.
    pub fn is_real(self) -> bool {
        matches!(self, Self::Repaired | Self::Open)
    }
}

/// A case as far as it is known at a time.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// The ticket as it stood then.
    pub ticket: Cow<'a, Ticket>,
    /// Its log until then.
    pub log: &'a [Transition],
    /// What became of it.
    pub class: Class,
    /// When it ended, if it has: the last time that it was resolved.
    pub ended: Option<Timestamp>,
    /// When people worked in a maintenance window on what it is about.
    pub windows: Vec<Span>,
}

impl<'a> Known<'a> {
    /// What is known of a case at `as_of`; `None` where it was not opened by then.
    pub fn at(case: &Case<'a>, as_of: Timestamp) -> Option<Self> {
        let log = case.log.get(..case.log.partition_point(|entry| entry.at <= as_of))?;
        log.first()?;
        let ticket = if log.len() == case.log.len() {
            Cow::Borrowed(case.ticket)
        } else {
            Cow::Owned(Ticket::at(case.ticket.number, case.log, as_of)?)
        };
        let resolved = log.iter().rev().find(|entry| matches!(entry.action, Action::Resolve { .. }));
        let ended = resolved.map(|entry| entry.at).filter(|_| !ticket.is_open());
        let windows = windows(log);
        let class = class(&ticket, ended, &windows);
        Some(Self { ticket, log, class, ended, windows })
    }

    /// The state in which it was at a time.
    pub fn state_at(&self, at: Timestamp) -> State {
        let told = self.log.partition_point(|entry| entry.at <= at);
        self.log.get(told.saturating_sub(1)).map_or(State::New, |entry| entry.to)
    }
}

fn class(ticket: &Ticket, ended: Option<Timestamp>, windows: &[Span]) -> Class {
    if ticket.drill {
        return Class::Drill;
    }
    let Some(ended) = ended else { return Class::Open };
    match ticket.resolution {
        _ if ticket.merged_into.is_some() => Class::Merged,
        Some(Resolution::Merged) => Class::Merged,
        _ if inside(windows, ended) => Class::Maintenance,
        Some(Resolution::FalseAlarm) => Class::FalseAlarm,
        _ if ticket.verdict == Some(Verdict::FalseAlarm) => Class::FalseAlarm,
        Some(Resolution::Recovered) => Class::Recovered,
        Some(Resolution::Repaired) | None => Class::Repaired,
    }
}

/// Whether an instant lies in one of these spans.
pub fn inside(spans: &[Span], at: Timestamp) -> bool {
    spans.iter().any(|(from, to)| *from <= at && at < *to)
}

/// The spans in which a maintenance window kept a ticket quiet. Mutes and known issues are none: they stop no promise.
fn windows(log: &[Transition]) -> Vec<Span> {
    let forever = Timestamp::from_millis(i64::MAX);
    let mut all: Vec<Span> = Vec::new();
    let mut running = false;
    for entry in log {
        if !matches!(entry.action, Action::Suppress { .. } | Action::Release) {
            continue;
        }
        if let Some(last) = all.last_mut().filter(|_| running) {
            last.1 = last.1.min(entry.at);
        }
        running = match &entry.action {
            Action::Suppress { by, until } if by.starts_with(WindowKind::Maintenance.as_str()) => {
                all.push((entry.at, until.unwrap_or(forever)));
                true
            }
            _ => false,
        };
    }
    all
}

/// A time in which a ticket stood in one state with one person: whom or what it waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// The state.
    pub state: State,
    /// Who had it.
    pub assignee: Option<String>,
    /// From when.
    #[serde(serialize_with = "super::json::time")]
    pub from: Timestamp,
    /// Until when.
    #[serde(serialize_with = "super::json::time")]
    pub to: Timestamp,
}

impl Wait {
    /// How long.
    pub fn length(&self) -> Duration {
        self.to.since(self.from)
    }
}

/// What a ticket waited for in `[from, to)`, without gaps: the lengths sum up to the span's, as far as the ticket was there.
pub fn waits(log: &[Transition], (from, to): Span) -> Vec<Wait> {
    let mut all: Vec<Wait> = Vec::new();
    let mut assignee: Option<String> = None;
    for (at, entry) in log.iter().enumerate() {
        match &entry.action {
            Action::Assign { to } => assignee = Some(to.clone()),
            Action::Start if assignee.is_none() => assignee = Some(entry.who.clone()),
            Action::Import { snapshot } => assignee.clone_from(&snapshot.assignee),
            _ => {}
        }
        let until = log.get(at + 1).map_or(to, |next| next.at.min(to));
        let begin = entry.at.max(from);
        if until <= begin {
            continue;
        }
        match all.last_mut().filter(|last| last.state == entry.to && last.assignee == assignee) {
            Some(last) => last.to = until,
            None => all.push(Wait { state: entry.to, assignee: assignee.clone(), from: begin, to: until }),
        }
    }
    all
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use outband_schemas::{ComponentId, ServerId, SiteId};
    use outband_ticket::{Command, Opening, Priority, TicketNumber, apply};

    pub(in crate::report) fn t(minute: i64) -> Timestamp {
        // 2026-10-01T00:00:00Z.
        Timestamp::from_secs(1_790_812_800 + minute * 60)
    }

    /// A ticket in the making.
    #[derive(Debug, Clone)]
    pub(in crate::report) struct Tale {
        pub(in crate::report) ticket: Ticket,
        pub(in crate::report) log: Vec<Transition>,
    }

    impl Tale {
        pub(in crate::report) fn opened(number: u64, priority: Priority, minute: i64) -> Self {
            let opening = Opening {
                number: TicketNumber(number),
                priority,
                title: format!("disk/Bay {number} of srv-1: disk failing"),
                site: Some(SiteId::new("dc1").unwrap()),
                server: ServerId::new("srv-1").unwrap(),
                component: "disk/Bay 3".parse::<ComponentId>().unwrap(),
                fault: "disk_failure".to_owned(),
                rule: "disk.says_so".to_owned(),
                predicted: false,
                reason: "the drive says so".to_owned(),
                evidence: Vec::new(),
                onset: t(minute),
                part_serial: None,
            };
            let (ticket, first) = Ticket::open(opening, "collector", t(minute));
            Self { ticket, log: vec![first] }
        }

        pub(in crate::report) fn then(mut self, minute: i64, action: Action) -> Self {
            let command = Command { who: "wang".to_owned(), why: "because".to_owned(), action };
            let entry = apply(&self.ticket, command, t(minute)).unwrap();
            self.ticket = self.ticket.after(&entry);
            self.log.push(entry);
            self
        }

        /// As [`Tale::then`], where the state allows it.
        pub(in crate::report) fn perhaps(self, minute: i64, action: Action) -> Self {
            let command = Command { who: "wang".to_owned(), why: String::new(), action: action.clone() };
            if apply(&self.ticket, command, t(minute)).is_ok() { self.then(minute, action) } else { self }
        }

        pub(in crate::report) fn case(&self) -> Case<'_> {
            let site = Some("dc1".to_owned());
            Case { ticket: &self.ticket, log: &self.log, site, customer: Some("acme".to_owned()), model: None }
        }
    }

    pub(in crate::report) fn assign(to: &str) -> Action {
        Action::Assign { to: to.to_owned() }
    }

    pub(in crate::report) fn resolve(resolution: Resolution) -> Action {
        Action::Resolve { resolution }
    }

    fn class_of(tale: &Tale) -> Class {
        Known::at(&tale.case(), t(1_000_000)).unwrap().class
    }

    #[test]
    fn what_became_of_a_ticket_is_the_first_that_fits() {
        let open = Tale::opened(1, Priority::P2, 0);
        assert_eq!(class_of(&open), Class::Open);
        let repaired = open.clone().then(9, resolve(Resolution::Repaired));
        assert_eq!(class_of(&repaired), Class::Repaired);
        let verdict = Action::Verdict { verdict: Verdict::FalseAlarm, detail: String::new(), part: None };
        assert_eq!(class_of(&repaired.clone().then(10, verdict)), Class::FalseAlarm);
        assert_eq!(class_of(&repaired.clone().then(10, Action::Drill)), Class::Drill);
        assert_eq!(class_of(&repaired.clone().then(10, Action::Reopen)), Class::Open);
        assert_eq!(class_of(&repaired.then(10, Action::Merge { into: TicketNumber(7) })), Class::Merged);
        assert_eq!(class_of(&open.then(9, resolve(Resolution::Recovered))), Class::Recovered);
    }

    #[test]
    fn only_maintenance_sets_a_ticket_aside() {
        let ended_in = |by: &str| {
            let quiet = Action::Suppress { by: by.to_owned(), until: Some(t(60)) };
            Tale::opened(1, Priority::P2, 0).then(5, quiet).then(30, resolve(Resolution::Repaired))
        };
        assert_eq!(class_of(&ended_in("maintenance 3: new PDU")), Class::Maintenance);
        assert_eq!(class_of(&ended_in("known_issue 3: bad batch")), Class::Repaired);
        let after = Tale::opened(1, Priority::P2, 0)
            .then(5, Action::Suppress { by: "maintenance 3: new PDU".to_owned(), until: Some(t(60)) })
            .then(20, Action::Release)
            .then(30, resolve(Resolution::Repaired));
        assert_eq!(class_of(&after), Class::Repaired);
    }

    #[test]
    fn what_was_said_later_is_not_known_earlier() {
        let tale = Tale::opened(1, Priority::P2, 0).then(9, resolve(Resolution::Repaired));
        assert_eq!(Known::at(&tale.case(), t(8)).unwrap().class, Class::Open);
        assert!(Known::at(&tale.case(), t(-1)).is_none());
    }

    #[test]
    fn waits_have_no_gaps() {
        let tale = Tale::opened(1, Priority::P2, 0)
            .then(5, assign("wang"))
            .then(10, Action::WaitForParts)
            .then(15, Action::Comment { text: "ordered".to_owned(), visibility: Default::default() })
            .then(70, Action::Resume)
            .then(90, resolve(Resolution::Repaired));
        let all = waits(&tale.log, (t(2), t(90)));
        let told: Vec<_> = all.iter().map(|w| (w.state, w.length().as_secs() / 60, w.assignee.as_deref())).collect();
        let wang = Some("wang");
        assert_eq!(
            told,
            [
                (State::New, 3, None),
                (State::Assigned, 5, wang),
                (State::WaitingForParts, 60, wang),
                (State::InProgress, 20, wang)
            ]
        );
    }
}
