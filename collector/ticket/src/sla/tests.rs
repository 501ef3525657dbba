//! The clocks over logs made by the real state machine.

use super::*;
use crate::calendar::{Calendar, CalendarSpec};
use crate::{Command, Opening, Priority, Rebase, Resolution, Ticket, TicketNumber, apply, state};
use outband_schemas::{ComponentClass, ComponentId, ServerId};
use proptest::prelude::*;

const T0: &str = "2026-01-05T10:00:00Z"; // a Monday

fn t(minutes: i64) -> Timestamp {
    let start: Timestamp = T0.parse().unwrap();
    Timestamp::from_millis(start.as_millis() + minutes * 60_000)
}

struct Story {
    ticket: Ticket,
    log: Vec<Transition>,
}

impl Story {
    fn opened(priority: Priority) -> Self {
        let opening = Opening {
            number: TicketNumber(1),
            priority,
            title: "Disk bay 1: failure predicted".to_owned(),
            site: None,
            server: ServerId::new("srv-1").unwrap(),
            component: ComponentId::lenient(ComponentClass::Disk, "Bay 1"),
            fault: "disk_failure".to_owned(),
            rule: "disk.smart_growth".to_owned(),
            predicted: true,
            reason: "reallocated sectors grow".to_owned(),
            evidence: Vec::new(),
            onset: t(0),
            part_serial: None,
        };
        let (ticket, first) = Ticket::open(opening, "collector", t(0));
        Self { ticket, log: vec![first] }
    }

    fn then(mut self, minute: i64, action: Action) -> Self {
        let command = Command { who: "ann".to_owned(), why: "test".to_owned(), action };
        let transition = apply(&self.ticket, command, t(minute)).unwrap();
        self.ticket = self.ticket.after(&transition);
        self.log.push(transition);
        self
    }

    fn clock(&self, target: Target, minute: i64) -> SlaClock {
        clock(&usual(), &business(), &target, &self.log, t(minute)).unwrap()
    }
}

fn business() -> Calendars {
    Calendar::try_from(&CalendarSpec::default()).unwrap().into()
}

fn usual() -> Policies {
    SlaPolicy::default().into()
}

fn assign() -> Action {
    Action::Assign { to: "bob".to_owned() }
}

fn repaired() -> Action {
    Action::Resolve { resolution: Resolution::Repaired }
}

#[test]
fn a_new_p2_ticket_has_three_running_clocks() {
    let story = Story::opened(Priority::P2);
    let all = clocks(&usual(), &business(), &story.log, t(1));
    let dues: Vec<_> = all.iter().map(|c| (c.target.clone(), c.status, c.due)).collect();
    let running = ClockStatus::Running;
    assert_eq!(
        dues,
        [
            (Target::RESPOND, running, Some(t(15))),
            (Target::LOCATE, running, Some(t(60))),
            (Target::REPAIR, running, Some(t(240)))
        ]
    );
}

#[test]
fn assigning_in_time_meets_the_response_and_only_that() {
    let story = Story::opened(Priority::P2).then(15, assign());
    assert_eq!(story.clock(Target::RESPOND, 500).status, ClockStatus::Met);
    assert_eq!(story.clock(Target::LOCATE, 16).status, ClockStatus::Running);
}

#[test]
fn what_is_met_after_it_was_due_is_met_late_and_says_when_it_ran_out() {
    let clock = Story::opened(Priority::P2).then(16, assign()).clock(Target::RESPOND, 20);
    assert_eq!((clock.status, clock.breached_at), (ClockStatus::MetLate, Some(t(15))));
}

#[test]
fn only_waiting_for_the_customer_pauses() {
    let parts = Story::opened(Priority::P2).then(5, assign()).then(10, Action::WaitForParts);
    assert_eq!(parts.clock(Target::REPAIR, 30).status, ClockStatus::Running);
    let customer = Story::opened(Priority::P2).then(5, assign()).then(10, Action::WaitForCustomer);
    let paused = customer.clock(Target::REPAIR, 500);
    assert_eq!((paused.status, paused.due, paused.elapsed), (ClockStatus::Paused, None, Duration::from_secs(600)));
    let resumed = customer.then(500, Action::Resume).clock(Target::REPAIR, 510);
    assert_eq!((resumed.status, resumed.due), (ClockStatus::Running, Some(t(730))));
}

#[test]
fn a_pause_does_not_undo_a_breach() {
    let story = Story::opened(Priority::P1).then(1, assign()).then(61, Action::WaitForCustomer);
    assert_eq!(story.clock(Target::REPAIR, 100).status, ClockStatus::Breached);
}

#[test]
fn reopening_takes_back_what_resolving_had_met() {
    let story = Story::opened(Priority::P2).then(1, assign()).then(100, repaired()).then(200, Action::Reopen);
    assert_eq!(story.clock(Target::REPAIR, 239).status, ClockStatus::Running);
    assert_eq!(story.clock(Target::REPAIR, 241).status, ClockStatus::Breached);
    assert_eq!(story.clock(Target::RESPOND, 241).status, ClockStatus::Met);
    assert_eq!(story.clock(Target::LOCATE, 241).status, ClockStatus::Breached);
}

#[test]
fn a_failure_that_comes_true_starts_the_clocks_of_its_new_priority() {
    let worse = Action::Prioritise { priority: Priority::P2, rebase: Rebase::Change };
    let story = Story::opened(Priority::P3).then(3000, worse);
    assert_eq!(story.clock(Target::RESPOND, 3001).due, Some(t(3015)));
}

#[test]
fn a_wrong_priority_is_recounted_from_the_creation_and_keeps_its_pauses() {
    let story =
        Story::opened(Priority::P2).then(0, assign()).then(10, Action::WaitForCustomer).then(30, Action::Resume);
    let lower = Action::Prioritise { priority: Priority::P1, rebase: Rebase::Creation };
    assert_eq!(story.then(40, lower).clock(Target::REPAIR, 41).due, Some(t(80)));
}

#[test]
fn the_next_business_day_ends_with_its_last_window() {
    let story = Story::opened(Priority::P3);
    assert_eq!(story.clock(Target::REPAIR, 1).due, Some("2026-01-06T18:00:00Z".parse().unwrap()));
    assert_eq!(story.clock(Target::REPAIR, 1).allowance.to_string(), "next business day");
}

#[test]
fn a_pause_extends_a_day_count_by_the_open_time_it_took() {
    let story =
        Story::opened(Priority::P3).then(1, assign()).then(60, Action::WaitForCustomer).then(120, Action::Resume);
    assert_eq!(story.clock(Target::REPAIR, 130).due, Some("2026-01-07T10:00:00Z".parse().unwrap()));
}

#[test]
fn p4_has_no_clock_to_locate() {
    let story = Story::opened(Priority::P4);
    assert_eq!(clock(&usual(), &business(), &Target::LOCATE, &story.log, t(1)), None);
}

#[test]
fn a_breach_is_logged_once() {
    let (policy, calendar) = (usual(), business());
    let story = Story::opened(Priority::P2);
    assert_eq!(unlogged_breaches(&policy, &calendar, &story.log, t(15)), []);
    assert_eq!(
        unlogged_breaches(&policy, &calendar, &story.log, t(16)),
        [Lapse { target: Target::RESPOND, cycle: 1, due: t(15) }]
    );
    let story = story.then(16, Action::Breach { target: Target::RESPOND, cycle: 1 });
    assert_eq!(unlogged_breaches(&policy, &calendar, &story.log, t(17)), []);
    assert_eq!(next_due(&policy, &calendar, &story.log, t(17)), Some(t(60)));
}

fn action(pick: u8) -> Action {
    match pick {
        0 => assign(),
        1 => Action::Start,
        2 => Action::Locate { root_cause: "worn".to_owned() },
        3 => Action::WaitForCustomer,
        4 => Action::WaitForParts,
        5 => Action::Resume,
        6 => repaired(),
        7 => Action::Close,
        _ => Action::Reopen,
    }
}

proptest! {
    #[test]
    fn a_clock_never_runs_backwards(picks in prop::collection::vec((0_u8..9, 0_i64..120), 0..12), probe in 0_i64..2000) {
        let mut story = Story::opened(Priority::P2);
        let mut minute = 0;
        for (pick, gap) in picks {
            minute += gap;
            let action = action(pick);
            if state::next(story.ticket.state, action.verb()).is_some() {
                story = story.then(minute, action);
            }
        }
        // A met clock may be taken back by a reopening; what is compared is the time used while it is not met.
        for target in [Target::RESPOND, Target::LOCATE, Target::REPAIR] {
            let (a, b) = (story.clock(target.clone(), minute + probe), story.clock(target, minute + probe + 7));
            prop_assert!(a.elapsed <= b.elapsed);
            prop_assert!(a.breached_at.is_none() || a.breached_at == b.breached_at);
        }
    }

    #[test]
    fn the_ticket_is_the_fold_over_its_log(picks in prop::collection::vec(0_u8..9, 0..20)) {
        let mut story = Story::opened(Priority::P2);
        let opened = story.ticket.clone();
        for (minute, pick) in (1..).zip(picks) {
            let action = action(pick);
            if state::next(story.ticket.state, action.verb()).is_some() {
                story = story.then(minute, action);
            }
        }
        let folded = story.log.iter().fold(opened, |ticket, entry| ticket.after(entry));
        prop_assert_eq!(folded, story.ticket);
    }
}
