//! Changes of priority and policy, over random logs: they never lose a pause, and what is counted anew can be redone by hand.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_schemas::{ComponentClass, ComponentId, ServerId, Timestamp};
use outband_ticket::sla::account;
use outband_ticket::{
    Action, Allowance, Calendar, Calendars, ClockSpec, Command, Hours, Milestone, Opening, Policies, Priority, Rebase,
    Rejected, SlaPolicy, State, Target, Ticket, TicketNumber, Transition, apply,
};
use proptest::prelude::*;
use std::time::Duration;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

struct Story {
    ticket: Ticket,
    log: Vec<Transition>,
}

impl Story {
    fn opened() -> Self {
        let opening = Opening {
            number: TicketNumber(1),
            priority: Priority::P2,
            title: String::new(),
            site: None,
            server: ServerId::new("s1").unwrap(),
            component: ComponentId::new(ComponentClass::Disk, "1").unwrap(),
            fault: "disk_failure".to_owned(),
            rule: String::new(),
            predicted: false,
            reason: String::new(),
            evidence: Vec::new(),
            onset: at(0),
            part_serial: None,
        };
        let (ticket, entry) = Ticket::open(opening, "collector", at(0));
        Self { ticket, log: vec![entry] }
    }

    fn act(&mut self, action: Action, secs: i64) -> Result<(), Rejected> {
        let command = Command { who: "li".to_owned(), why: String::new(), action };
        let entry = apply(&self.ticket, command, at(secs))?;
        self.ticket = self.ticket.after(&entry);
        self.log.push(entry);
        Ok(())
    }

    fn then(mut self, action: Action, secs: i64) -> Self {
        self.act(action, secs).unwrap();
        self
    }

    /// How long it waited for the customer until then, added up from the log alone.
    fn waited(&self, until: Timestamp) -> Duration {
        let ends = self.log.iter().skip(1).map(|e| e.at).chain([until]);
        let spans = self.log.iter().zip(ends).filter(|(e, _)| e.to == State::WaitingForCustomer);
        spans.map(|(e, end)| end.min(until).since(e.at.min(until))).sum()
    }
}

fn gold(revision: u32, hours: u64) -> SlaPolicy {
    let within = Allowance::Within(Duration::from_secs(hours * 3600));
    let repair = ClockSpec::named(Target::REPAIR).with(&Priority::ALL, Hours::Always, within);
    SlaPolicy { name: "gold".to_owned(), revision, clocks: vec![repair], ..SlaPolicy::default() }
}

fn policies() -> Policies {
    let usual = SlaPolicy { name: "default".to_owned(), ..gold(1, 4) };
    Policies::new(usual, [gold(1, 8), gold(2, 2)])
}

fn change(pick: u8, rebase: Rebase) -> Action {
    match pick % 6 {
        0 => Action::Prioritise { priority: Priority::P1, rebase },
        1 => Action::Prioritise { priority: Priority::P2, rebase },
        2 => Action::Prioritise { priority: Priority::P4, rebase },
        3 => Action::Policy { policy: "default".to_owned(), revision: 1, rebase },
        n => Action::Policy { policy: "gold".to_owned(), revision: u32::from(n) - 3, rebase },
    }
}

fn step(pick: u8) -> Action {
    match pick {
        0 => Action::Assign { to: "li".to_owned() },
        1 => Action::Start,
        2..5 => Action::WaitForCustomer,
        5 => Action::WaitForParts,
        6..8 => Action::Resume,
        8 => Action::Milestone { milestone: Milestone::Onsite, reached_at: None },
        n => change(n, if n.is_multiple_of(2) { Rebase::Creation } else { Rebase::Change }),
    }
}

/// What the repair clock counts, from when, and the sum of the pauses that fall into it.
fn repair(log: &[Transition], now: Timestamp) -> (Timestamp, Duration, Duration) {
    let all = account(&policies(), &Calendars::from(Calendar::always()), log, now);
    let sum = all.into_iter().find(|a| a.clock.target == Target::REPAIR).unwrap();
    let (start, counted) = (sum.start, sum.clock.elapsed);
    let paused = sum.pauses.iter().map(|p| p.to.unwrap_or(now).min(now).since(p.from.max(start))).sum();
    (start, counted, paused)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_change_never_loses_a_pause(
        steps in prop::collection::vec((0_u8..15, 0_i64..9000), 0..24),
        pick in 0_u8..6,
        later in 0_i64..9000,
    ) {
        let (mut story, mut secs) = (Story::opened(), 0);
        for (pick, gap) in steps {
            secs += gap;
            // What the state does not allow is left out.
            story.act(step(pick), secs).unwrap_or_default();
        }
        secs += later;
        let (now, waited) = (at(secs), story.waited(at(secs)));

        let mut from_creation = Story { ticket: story.ticket.clone(), log: story.log.clone() };
        from_creation.act(change(pick, Rebase::Creation), secs).unwrap();
        let (start, counted, paused) = repair(&from_creation.log, now);
        prop_assert_eq!((start, paused), (at(0), waited), "every pause of the log, and nothing else");
        prop_assert_eq!(counted + paused, now.since(at(0)));

        let mut from_change = Story { ticket: story.ticket.clone(), log: story.log.clone() };
        from_change.act(change(pick, Rebase::Change), secs).unwrap();
        prop_assert_eq!(repair(&from_change.log, now), (now, Duration::ZERO, Duration::ZERO));
        // What was left behind is there again as soon as it counts again.
        from_change.act(change(pick + 1, Rebase::Creation), secs).unwrap();
        prop_assert_eq!(repair(&from_change.log, now), (at(0), counted, waited));
    }
}

fn reached(milestone: Milestone, secs: i64) -> Action {
    Action::Milestone { milestone, reached_at: Some(at(secs)) }
}

fn clock(story: &Story, name: Target, minutes: u64, secs: i64) -> Vec<(u32, Timestamp, Option<Timestamp>)> {
    let within = Allowance::Within(Duration::from_secs(minutes * 60));
    let spec = ClockSpec::named(name).with(&Priority::ALL, Hours::Always, within);
    let policy = SlaPolicy { clocks: vec![spec], ..SlaPolicy::default() };
    let all = account(&policy.into(), &Calendars::from(Calendar::always()), &story.log, at(secs));
    all.into_iter().map(|a| (a.clock.cycle, a.start, a.clock.met_at)).collect()
}

#[test]
fn a_milestone_that_is_told_afterwards_meets_its_clock_when_it_was_reached() {
    let story = Story::opened().then(reached(Milestone::Onsite, 600), 5000);
    assert_eq!(clock(&story, Target::ONSITE, 60, 5000), [(1, at(0), Some(at(600)))]);
    // Nobody knew before it was told.
    assert_eq!(clock(&story, Target::ONSITE, 60, 4999), [(1, at(0), None)]);
}

#[test]
fn an_update_that_is_told_afterwards_divides_the_cadence_where_it_was() {
    let update = || Action::Milestone { milestone: Milestone::CustomerUpdate, reached_at: None };
    let story = Story::opened().then(update(), 900).then(reached(Milestone::CustomerUpdate, 300), 1000);
    let runs = [(1, at(0), Some(at(300))), (2, at(300), Some(at(900))), (3, at(900), None)];
    assert_eq!(clock(&story, Target::UPDATE_CADENCE, 15, 1000), runs);
}

#[test]
fn a_milestone_that_is_told_afterwards_moves_no_pause() {
    let story = Story::opened()
        .then(Action::Assign { to: "li".to_owned() }, 10)
        .then(Action::WaitForCustomer, 100)
        .then(Action::Resume, 400)
        .then(reached(Milestone::Contact, 200), 500);
    assert_eq!(repair(&story.log, at(500)), (at(0), Duration::from_secs(200), Duration::from_secs(300)));
}

#[test]
fn a_milestone_is_neither_told_before_it_is_reached_nor_of_a_time_without_the_ticket_nor_days_later() {
    let mut story = Story::opened();
    let day = 86_400;
    for (reached_at, told_at) in [(11, 10), (-1, 10), (0, 3 * day + 1)] {
        let refused = story.act(reached(Milestone::Onsite, reached_at), told_at);
        assert!(matches!(refused, Err(Rejected::NotThen(_))), "{reached_at} told at {told_at}");
    }
    story.act(reached(Milestone::Onsite, 0), 3 * day).unwrap();
    assert_eq!(Ticket::fold(TicketNumber(1), &story.log).unwrap(), story.ticket);
}
