use super::*;
use crate::report::case::tests::{Tale, assign, resolve, t};
use outband_ticket::{Action, Calendar, Rebase, Resolution, SlaPolicy, Verdict};
use proptest::prelude::*;

const DAY: i64 = 1440;
const MONTH: i64 = 31 * DAY;

fn calendars() -> Calendars {
    Calendar::always().into()
}

fn policies() -> Policies {
    let gold = |revision| SlaPolicy { name: "gold".to_owned(), revision, ..SlaPolicy::default() };
    Policies::new(SlaPolicy::default(), [gold(1), gold(2)])
}

fn month(label: &str) -> Period {
    Period::parse(label, "UTC").unwrap()
}

fn report_as_of(tales: &[Tale], label: &str, as_of: Timestamp) -> SlaReport {
    let (policies, calendars) = (policies(), calendars());
    let promises = Promises { policies: &policies, calendars: &calendars };
    sla(tales.iter().map(Tale::case), promises, month(label), Scope::default(), as_of)
}

fn report(tales: &[Tale]) -> SlaReport {
    report_as_of(tales, "2026-10", t(MONTH * 3))
}

fn repaired(minute: i64) -> Tale {
    Tale::opened(1, Priority::P2, 0).then(5, assign("wang")).then(minute, resolve(Resolution::Repaired))
}

fn total(report: &SlaReport, group: Group, clock: &Target) -> (u64, u64) {
    let of = report.lines.iter().filter(|l| l.group == group && l.clock == *clock);
    of.fold((0, 0), |(met, missed), l| (met + l.met, missed + l.missed))
}

#[test]
fn what_was_met_in_time_is_met_and_what_ran_out_is_a_miss_with_its_story() {
    let report = report(&[repaired(300)]);
    assert_eq!(total(&report, Group::Counted, &Target::RESPOND), (1, 0));
    assert_eq!(total(&report, Group::Counted, &Target::REPAIR), (0, 1));
    let miss = report.misses.iter().find(|m| m.clock == Target::REPAIR).unwrap();
    assert_eq!((miss.due, miss.met_at, miss.over), (t(240), Some(t(300)), Duration::from_secs(3600)));
    let waits: Vec<_> = miss.waits.iter().map(|w| (w.state, w.length().as_secs() / 60)).collect();
    assert_eq!(waits, [(State::New, 5), (State::Assigned, 295)]);
    assert_eq!(
        miss.timeline.iter().map(|e| e.action.word().into_owned()).collect::<Vec<_>>(),
        ["open", "assign", "resolve"]
    );
    assert_eq!(report.tickets.by_class, BTreeMap::from([(Class::Repaired, 1)]));
}

#[test]
fn a_customers_report_holds_no_names() {
    let text = serde_json::to_string(&report(&[repaired(300)]).for_customer(&Reader::default())).unwrap();
    assert!(!text.contains("wang") && !text.contains("because"), "{text}");
}

#[test]
fn time_waited_for_the_customer_is_shown_and_not_counted() {
    let tale = Tale::opened(1, Priority::P2, 0)
        .then(5, assign("wang"))
        .then(60, Action::WaitForCustomer)
        .then(660, Action::Resume)
        .then(900, resolve(Resolution::Repaired));
    let report = report(&[tale]);
    let miss = report.misses.iter().find(|m| m.clock == Target::REPAIR).unwrap();
    assert_eq!((miss.due, miss.paused.as_secs() / 60, miss.elapsed.as_secs() / 60), (t(840), 600, 300));
    let waiting = &report.waiting[0];
    assert_eq!((waiting.for_customer.as_secs() / 60, waiting.for_parts), (600, Duration::ZERO));
}

#[test]
fn waiting_for_parts_runs_on_and_is_shown() {
    let tale = Tale::opened(1, Priority::P2, 0)
        .then(5, assign("wang"))
        .then(10, Action::WaitForParts)
        .then(400, resolve(Resolution::Repaired));
    let report = report(&[tale]);
    assert_eq!(total(&report, Group::Counted, &Target::REPAIR), (0, 1));
    assert_eq!(report.waiting[0].for_parts, Duration::from_secs(390 * 60));
    assert!(report.waiting[0].parts_stop.is_empty());
}

#[test]
fn what_recovered_and_false_alarms_are_measured_apart_and_drills_are_only_listed() {
    let end = |number, resolution| Tale::opened(number, Priority::P2, 0).then(300, resolve(resolution));
    let drill = Tale::opened(3, Priority::P2, 0).then(0, Action::Drill).then(300, resolve(Resolution::Repaired));
    let report = report(&[end(1, Resolution::Recovered), end(2, Resolution::FalseAlarm), drill]);
    assert!(report.lines.iter().all(|l| l.group != Group::Counted));
    assert_eq!(total(&report, Group::Recovered, &Target::REPAIR), (0, 1));
    assert_eq!(total(&report, Group::FalseAlarm, &Target::REPAIR), (0, 1));
    assert!(report.misses.iter().all(|m| m.ticket != 3));
    let aside: Vec<_> = report.set_aside.iter().map(|a| (a.ticket, a.group, a.runs)).collect();
    assert_eq!(aside, [(3, Group::Drill, 3)]);
}

#[test]
fn a_run_decided_in_a_maintenance_window_is_set_aside_and_the_others_are_not() {
    let quiet = Action::Suppress { by: "maintenance 3: new PDU".to_owned(), until: Some(t(100)) };
    let tale = Tale::opened(1, Priority::P2, 0)
        .then(5, assign("wang"))
        .then(20, quiet)
        .then(100, Action::Release)
        .then(300, resolve(Resolution::Repaired));
    let report = report(&[tale]);
    // To locate it ran out at 60, inside the window.
    assert_eq!(total(&report, Group::Maintenance, &Target::LOCATE), (0, 1));
    assert_eq!(total(&report, Group::Counted, &Target::LOCATE), (0, 0));
    assert_eq!(total(&report, Group::Counted, &Target::REPAIR), (0, 1));
}

#[test]
fn over_the_edge_of_a_month_each_run_and_each_ticket_is_counted_once() {
    // Opened ten minutes before November, answered before it, never repaired in time, repaired in December.
    let tale = Tale::opened(1, Priority::P2, MONTH - 10)
        .then(MONTH - 5, assign("wang"))
        .then(MONTH + 31 * DAY, resolve(Resolution::Repaired));
    let now = t(MONTH * 4);
    let of = |label| report_as_of(std::slice::from_ref(&tale), label, now);
    let (october, november, december) = (of("2026-10"), of("2026-11"), of("2026-12"));
    assert_eq!(total(&october, Group::Counted, &Target::RESPOND), (1, 0));
    assert_eq!(total(&november, Group::Counted, &Target::RESPOND), (0, 0));
    assert_eq!(total(&october, Group::Counted, &Target::REPAIR), (0, 0));
    assert_eq!(total(&november, Group::Counted, &Target::REPAIR), (0, 1));
    assert_eq!(total(&december, Group::Counted, &Target::REPAIR), (0, 0));
    let class = |r: &SlaReport| r.tickets.by_class.keys().copied().collect::<Vec<_>>();
    assert_eq!(
        (class(&october), class(&november), class(&december)),
        (vec![Class::Open], vec![Class::Open], vec![Class::Repaired])
    );
    assert_eq!((october.tickets.opened, november.tickets.carried_in, december.tickets.carried_in), (1, 1, 1));
}

#[test]
fn a_report_of_the_past_says_again_what_it_said_then() {
    let then = repaired(100);
    let later = then
        .clone()
        .then(2 * MONTH, Action::Reopen)
        .then(2 * MONTH + 1, Action::Verdict { verdict: Verdict::FalseAlarm, detail: String::new(), part: None });
    let as_of = t(MONTH + 5);
    assert_eq!(report_as_of(&[then], "2026-10", as_of), report_as_of(&[later], "2026-10", as_of));
}

#[test]
fn a_month_in_which_the_policy_changed_shows_both() {
    let under = |number, revision| {
        let policy = Action::Policy { policy: "gold".to_owned(), revision, rebase: Rebase::Creation };
        let opened = Tale::opened(number, Priority::P2, i64::try_from(number).unwrap() * DAY);
        let at = i64::try_from(number).unwrap() * DAY;
        opened.then(at, policy).then(at + 5, assign("wang"))
    };
    let report = report(&[under(1, 1), under(20, 2)]);
    let told: Vec<_> =
        report.lines.iter().filter(|l| l.clock == Target::RESPOND).map(|l| (l.revision, l.met)).collect();
    assert_eq!(told, [(1, 1), (2, 1)]);
}

#[test]
fn a_month_of_nothing_has_no_lines() {
    let report = report(&[]);
    assert_eq!((report.lines.len(), report.misses.len(), report.tickets), (0, 0, Tickets::default()));
}

/// A ticket that went whatever way.
fn tale(number: u64, start: i64, picks: &[(u8, i64)]) -> Tale {
    let mut tale = Tale::opened(number, Priority::ALL[usize::try_from(number).unwrap() % 4], start);
    let mut minute = start;
    for (pick, later) in picks {
        minute += later;
        let action = match pick {
            0 => assign("wang"),
            1 => Action::Start,
            2 => Action::Locate { root_cause: "worn out".to_owned() },
            3 => Action::WaitForCustomer,
            4 => Action::WaitForParts,
            5 => Action::Resume,
            6 => resolve(Resolution::Repaired),
            7 => resolve(Resolution::Recovered),
            8 => resolve(Resolution::FalseAlarm),
            9 => Action::Reopen,
            10 => Action::Close,
            11 => Action::Prioritise { priority: Priority::P1, rebase: Rebase::Creation },
            12 => Action::Policy { policy: "gold".to_owned(), revision: 2, rebase: Rebase::Change },
            13 => Action::Suppress { by: "maintenance 1: x".to_owned(), until: Some(t(minute + 500)) },
            14 => Action::Release,
            15 => Action::Drill,
            16 => Action::Merge { into: outband_ticket::TicketNumber(number + 1) },
            _ => Action::Verdict { verdict: Verdict::FalseAlarm, detail: String::new(), part: None },
        };
        tale = tale.perhaps(minute, action);
    }
    tale
}

fn tales() -> impl Strategy<Value = Vec<Tale>> {
    let one = (0..4 * MONTH, prop::collection::vec((0_u8..18, 0_i64..6 * DAY), 0..12));
    prop::collection::vec(one, 0..12)
        .prop_map(|all| (1..).zip(all).map(|(number, (start, picks))| tale(number, start, &picks)).collect())
}

proptest! {
    #[test]
    fn every_ticket_is_in_exactly_one_class_and_totals_are_the_sums_of_their_parts(tales in tales()) {
        for label in ["2026-10", "2026-11", "2026-12"] {
            let r = report_as_of(&tales, label, t(6 * MONTH));
            prop_assert_eq!(r.tickets.by_class.values().sum::<u64>(), r.tickets.opened + r.tickets.carried_in);
            prop_assert_eq!(r.tickets.by_class.get(&Class::Open).copied().unwrap_or(0), u64::try_from(r.open.len()).unwrap());
            let missed: u64 = r.lines.iter().filter(|l| l.group < Group::Maintenance).map(|l| l.missed).sum();
            prop_assert_eq!(missed, u64::try_from(r.misses.len()).unwrap());
            let aside: u64 = r.lines.iter().filter(|l| l.group >= Group::Maintenance).map(Line::decided).sum();
            prop_assert_eq!(aside, r.set_aside.iter().map(|a| a.runs).sum::<u64>());
        }
    }

    #[test]
    fn the_months_of_a_year_come_to_the_year(tales in tales()) {
        let as_of = t(16 * MONTH);
        let months: Vec<SlaReport> = [2026, 2027].iter()
            .flat_map(|year| (1..=12).map(move |month| format!("{year}-{month:02}")))
            .map(|label| report_as_of(&tales, &label, as_of)).collect();
        let years = ["2026", "2027"].map(|label| report_as_of(&tales, label, as_of));
        let decided = |all: &[SlaReport]| all.iter().flat_map(|r| &r.lines).map(Line::decided).sum::<u64>();
        prop_assert_eq!(decided(&months), decided(&years));
        let misses = |all: &[SlaReport]| -> Vec<(u64, Target, u32)> {
            let mut found: Vec<_> = all.iter().flat_map(|r| &r.misses).map(|m| (m.ticket, m.clock.clone(), m.cycle)).collect();
            found.sort();
            found
        };
        prop_assert_eq!(misses(&months), misses(&years));
        // Each ticket that has ended, ended in exactly one month.
        let ended = |all: &[SlaReport]| all.iter().flat_map(|r| &r.tickets.by_class)
            .filter(|(class, _)| !matches!(class, Class::Open | Class::Drill)).map(|(_, n)| n).sum::<u64>();
        prop_assert_eq!(ended(&months), ended(&years));
    }

    #[test]
    fn the_order_of_the_tickets_does_not_matter(tales in tales(), seed in any::<u64>()) {
        let mut shuffled = tales.clone();
        shuffled.sort_by_key(|tale| tale.ticket.number.0.wrapping_mul(seed | 1));
        prop_assert_eq!(report(&tales), report(&shuffled));
    }
}
