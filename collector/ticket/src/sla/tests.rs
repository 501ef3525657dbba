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
            title: "Disk bay 1: failed".to_owned(),
            site: None,
            server: ServerId::new("srv-1").unwrap(),
            component: ComponentId::lenient(ComponentClass::Disk, "Bay 1"),
            fault: "disk_failure".to_owned(),
            rule: "disk.smart_growth".to_owned(),
            predicted: false,
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

fn named(name: &str, revision: u32, clocks: Vec<ClockSpec>, rebase: Rebase) -> SlaPolicy {
    SlaPolicy { name: name.to_owned(), revision, rebase, clocks, ..SlaPolicy::default() }
}

fn minutes(n: u64) -> Allowance {
    Allowance::Within(Duration::from_secs(n * 60))
}

fn cadence() -> Policies {
    let every = ClockSpec::named(Target::UPDATE_CADENCE).with(&[Priority::P2], Hours::Always, minutes(15));
    named("default", 1, vec![every], Rebase::Creation).into()
}

fn told() -> Action {
    Action::Milestone { milestone: crate::Milestone::CustomerUpdate, reached_at: None }
}

fn comment(visibility: crate::Visibility) -> Action {
    Action::Comment { text: "on our way".to_owned(), visibility }
}

#[test]
fn the_cadence_begins_anew_with_each_update_that_the_customer_sees() {
    let story = Story::opened(Priority::P2).then(10, comment(crate::Visibility::Customer));
    let all = runs(&cadence(), &business(), &story.log, t(11));
    let dues: Vec<_> = all.iter().map(|c| (c.cycle, c.status, c.due)).collect();
    assert_eq!(dues, [(1, ClockStatus::Met, Some(t(15))), (2, ClockStatus::Running, Some(t(25)))]);
    let silent = Story::opened(Priority::P2).then(10, comment(crate::Visibility::Internal));
    assert_eq!(runs(&cadence(), &business(), &silent.log, t(11)).len(), 1);
}

#[test]
fn the_cadence_rests_while_the_ticket_is_resolved_and_begins_anew_when_it_is_reopened() {
    let story = Story::opened(Priority::P2).then(10, repaired());
    assert_eq!(unlogged_breaches(&cadence(), &business(), &story.log, t(500)), []);
    let story = story.then(600, told()).then(700, Action::Reopen);
    let clock = clock(&cadence(), &business(), &Target::UPDATE_CADENCE, &story.log, t(701)).unwrap();
    assert_eq!((clock.cycle, clock.due), (2, Some(t(715))));
}

#[test]
fn each_run_that_was_missed_is_logged_by_itself() {
    let story = Story::opened(Priority::P2).then(20, told());
    let late = |story: &Story| unlogged_breaches(&cadence(), &business(), &story.log, t(40));
    assert_eq!(late(&story).iter().map(|l| (l.cycle, l.due)).collect::<Vec<_>>(), [(1, t(15)), (2, t(35))]);
    let story = story.then(40, Action::Breach { target: Target::UPDATE_CADENCE, cycle: 1 });
    assert_eq!(late(&story).iter().map(|l| l.cycle).collect::<Vec<_>>(), [2]);
}

#[test]
fn an_accepted_workaround_stops_a_repair_clock_that_says_so() {
    let mut repair = ClockSpec::named(Target::REPAIR).with(&[Priority::P2], Hours::Always, minutes(240));
    repair.stop.insert(Event::Workaround);
    let policy: Policies = named("default", 1, vec![repair], Rebase::Creation).into();
    let story = Story::opened(Priority::P2)
        .then(30, Action::Milestone { milestone: crate::Milestone::Workaround, reached_at: None });
    let met = |policies: &Policies| clock(policies, &business(), &Target::REPAIR, &story.log, t(40)).unwrap().met_at;
    assert_eq!((met(&policy), met(&usual())), (Some(t(30)), None));
}

#[test]
fn a_clock_begins_with_what_starts_it() {
    let mut onsite = ClockSpec::named(Target::ONSITE).with(&[Priority::P2], Hours::Always, minutes(240));
    onsite.start = [Event::Located].into();
    let policy: Policies = named("default", 1, vec![onsite], Rebase::Creation).into();
    let story = Story::opened(Priority::P2);
    assert_eq!(clock(&policy, &business(), &Target::ONSITE, &story.log, t(5)), None);
    let story = story.then(30, Action::Locate { root_cause: "worn".to_owned() });
    assert_eq!(clock(&policy, &business(), &Target::ONSITE, &story.log, t(31)).unwrap().due, Some(t(270)));
}

fn under(revision: u32, rebase: Rebase) -> Action {
    Action::Policy { policy: "gold".to_owned(), revision, rebase }
}

fn gold() -> Policies {
    let repair = |within| vec![ClockSpec::named(Target::REPAIR).with(&Priority::ALL, Hours::Always, minutes(within))];
    let (first, mut second) =
        (named("gold", 1, repair(100), Rebase::Creation), named("gold", 2, repair(60), Rebase::Creation));
    // The second revision pauses in no state.
    second.clocks[0].pauses.clear();
    Policies::new(SlaPolicy::default(), [first, second])
}

#[test]
fn a_ticket_keeps_the_revision_that_it_was_promised() {
    let due = |story: Story| clock(&gold(), &business(), &Target::REPAIR, &story.log, t(41)).unwrap().due;
    assert_eq!(due(Story::opened(Priority::P2).then(0, under(1, Rebase::Creation))), Some(t(100)));
    assert_eq!(due(Story::opened(Priority::P2).then(40, under(2, Rebase::Creation))), Some(t(60)));
    assert_eq!(due(Story::opened(Priority::P2).then(40, under(2, Rebase::Change))), Some(t(100)));
}

#[test]
fn what_was_met_in_time_stays_so_when_the_priority_rises_later() {
    let worse = Action::Prioritise { priority: Priority::P1, rebase: Rebase::Change };
    let story = Story::opened(Priority::P2).then(10, assign()).then(20, worse);
    assert_eq!(story.clock(Target::RESPOND, 30).status, ClockStatus::Met);
}

#[test]
fn a_pause_of_a_former_policy_is_not_lost() {
    let story = Story::opened(Priority::P2)
        .then(0, assign())
        .then(10, Action::WaitForCustomer)
        .then(30, Action::Resume)
        .then(40, under(2, Rebase::Creation));
    let clock = clock(&gold(), &business(), &Target::REPAIR, &story.log, t(41)).unwrap();
    assert_eq!((clock.due, clock.elapsed), (Some(t(80)), Duration::from_secs(21 * 60)));
}

fn any_action(pick: u8) -> Action {
    let rebase = if pick.is_multiple_of(2) { Rebase::Creation } else { Rebase::Change };
    match pick {
        0..9 => action(pick),
        9 | 10 => Action::Prioritise { priority: Priority::P2, rebase },
        11 | 12 => Action::Prioritise { priority: Priority::P3, rebase },
        13 | 14 => under(1, rebase),
        15 | 16 => under(2, rebase),
        _ => told(),
    }
}

fn any_story(picks: Vec<(u8, i64)>) -> (Story, i64) {
    let mut story = Story::opened(Priority::P2);
    let mut minute = 0;
    for (pick, gap) in picks {
        minute += gap;
        let action = any_action(pick);
        if state::next(story.ticket.state, action.verb()).is_some() {
            story = story.then(minute, action);
        }
    }
    (story, minute)
}

fn picks() -> impl Strategy<Value = Vec<(u8, i64)>> {
    prop::collection::vec((0_u8..18, 0_i64..400), 0..16)
}

/// The default policy with a cadence that repeats, and two revisions of another.
fn several() -> Policies {
    let mut usual = SlaPolicy::default();
    usual.clocks.push(ClockSpec::named(Target::UPDATE_CADENCE).with(&Priority::ALL, Hours::Business, minutes(15)));
    let gold = gold();
    Policies::new(usual, [1, 2].map(|r| gold.revision("gold", r).unwrap().clone()))
}

proptest! {
    #[test]
    fn the_spans_of_an_account_come_to_the_time_of_its_clock(picks in picks(), probe in 0_i64..9000) {
        let (story, minute) = any_story(picks);
        let now = t(minute + probe);
        for sum in account(&several(), &business(), &story.log, now) {
            let counted: Duration = sum.spans.iter().map(|s| s.to.since(s.from)).sum();
            prop_assert_eq!(counted, sum.clock.elapsed, "{:?}", sum);
            for pair in sum.spans.windows(2) {
                prop_assert!(pair[0].to <= pair[1].from);
            }
            for (span, pause) in sum.spans.iter().flat_map(|s| sum.pauses.iter().map(move |p| (s, p))) {
                prop_assert!(span.to <= pause.from || pause.to.is_some_and(|to| to <= span.from));
            }
        }
    }

    #[test]
    fn no_change_of_priority_or_policy_touches_a_pause(picks in picks()) {
        let (story, _) = any_story(picks);
        let policies = several();
        for target in [Target::REPAIR, Target::LOCATE] {
            let pauses = |log: &[Transition]| course::follow(&policies, &target, log, t(1_000_000)).map(|c| c.pauses);
            for cut in 1..story.log.len() {
                let change = matches!(story.log[cut].action, Action::Prioritise { .. } | Action::Policy { .. });
                let (Some(before), Some(after)) = (pauses(&story.log[..cut]), pauses(&story.log[..=cut])) else { continue };
                let at = story.log[cut].at;
                if change {
                    // What was over stays; what lasts began when it began, whether it goes on or not.
                    prop_assert_eq!(before.len().min(after.len()), before.len());
                    for (a, b) in before.iter().zip(&after) {
                        prop_assert_eq!((a.from, a.to.unwrap_or(at).min(at)), (b.from, b.to.unwrap_or(at).min(at)));
                    }
                }
            }
        }
    }

    #[test]
    fn the_clocks_of_a_time_past_are_those_of_the_log_that_there_was_then(picks in picks(), cut in 0_usize..16) {
        let (story, _) = any_story(picks);
        let cut = cut.min(story.log.len() - 1);
        // Entries of the same moment belong together.
        let end = story.log.iter().rposition(|e| e.at <= story.log[cut].at).unwrap();
        let now = story.log[end].at;
        let policies = several();
        prop_assert_eq!(
            runs(&policies, &business(), &story.log, now),
            runs(&policies, &business(), &story.log[..=end], now)
        );
    }

    #[test]
    fn nothing_is_logged_twice_and_nothing_is_left_out(picks in picks(), step in 1_i64..300) {
        let (mut story, minute) = any_story(picks);
        let policies = several();
        // From one deadline to the next, as whoever watches them does.
        let mut now = t(minute);
        for _ in 0..200 {
            for lapse in unlogged_breaches(&policies, &business(), &story.log, now) {
                let breach = Action::Breach { target: lapse.target.clone(), cycle: lapse.cycle };
                if state::next(story.ticket.state, breach.verb()).is_none() {
                    return Ok(());
                }
                let command = Command { who: "c".to_owned(), why: String::new(), action: breach };
                let entry = apply(&story.ticket, command, now).unwrap();
                story.ticket = story.ticket.after(&entry);
                story.log.push(entry);
            }
            prop_assert_eq!(unlogged_breaches(&policies, &business(), &story.log, now), []);
            match next_due(&policies, &business(), &story.log, now) {
                None => return Ok(()),
                Some(due) => {
                    prop_assert!(due >= now);
                    now = due.plus(Duration::from_millis(u64::try_from(step).unwrap()));
                }
            }
        }
        prop_assert!(false, "the deadlines of a ticket that nobody moves never end");
    }
}

fn escalating() -> Policies {
    use crate::escalation::{Step, When};
    let step = |level, when| Step { level, when, to: vec!["duty".to_owned()], each: Duration::ZERO };
    let mut repair = ClockSpec::named(Target::REPAIR).with(&Priority::ALL, Hours::Always, minutes(100));
    repair.steps = vec![
        step(1, When::Percent(50)),
        step(2, When::Before(Duration::from_secs(600))),
        step(3, When::After(Duration::from_secs(600))),
    ];
    named("default", 1, vec![repair], Rebase::Creation).into()
}

fn levels(story: &Story, minute: i64) -> Vec<(u32, Timestamp)> {
    steps(&escalating(), &business(), &story.log, t(minute)).into_iter().map(|s| (s.level, s.at)).collect()
}

#[test]
fn steps_are_taken_once_and_in_their_order() {
    let story = Story::opened(Priority::P2);
    assert_eq!(levels(&story, 1), [(1, t(50)), (2, t(90)), (3, t(110))]);
    let story = story.then(50, Action::Step { target: Target::REPAIR, cycle: 1, level: 1 });
    assert_eq!(levels(&story, 51), [(2, t(90)), (3, t(110))]);
    assert_eq!(next_due(&escalating(), &business(), &story.log, t(51)), Some(t(90)));
}

#[test]
fn an_acknowledgement_stops_the_steps_that_come_after_and_so_does_the_repair() {
    let story = Story::opened(Priority::P2).then(60, Action::Acknowledge { level: 1 });
    assert_eq!(levels(&story, 61), []);
    assert_eq!(levels(&Story::opened(Priority::P2).then(60, repaired()), 61), []);
}

#[test]
fn a_pause_puts_off_the_steps_and_a_worse_priority_begins_them_anew() {
    let story = Story::opened(Priority::P2).then(0, assign()).then(10, Action::WaitForCustomer);
    assert_eq!(levels(&story, 11), []);
    assert_eq!(levels(&story.then(30, Action::Resume), 31)[0], (1, t(70)));
    let worse = Action::Prioritise { priority: Priority::P1, rebase: Rebase::Change };
    let story = Story::opened(Priority::P2).then(50, Action::Step { target: Target::REPAIR, cycle: 1, level: 1 });
    assert_eq!(levels(&story.then(60, worse), 61)[0], (1, t(110)));
}
