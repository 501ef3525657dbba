//! What must hold for any calendar, over random ones from a seed.
//!
//! A few thousand by default; `OUTBAND_CALENDARS=100000 OUTBAND_SEED=1 cargo test -p outband-ticket --test calendar_properties` for more.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_schemas::{ComponentClass, ComponentId, ServerId, Timestamp};
use outband_ticket::calendar::{Week, Weekday};
use outband_ticket::{
    Action, Calendar, CalendarSpec, Calendars, Command, Milestone, Opening, Policies, Priority, Rebase, Resolution,
    SlaPolicy, Span, Ticket, TicketNumber, Transition, apply, sla,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

/// Zones whose clocks change in every known way, each with a time near a change.
const PLACES: [(&str, i64); 16] = [
    ("Europe/Berlin", 1_616_893_200),
    ("America/New_York", 1_667_714_400),
    ("America/Los_Angeles", 1_394_359_200),
    ("Australia/Lord_Howe", 1_554_562_800),
    ("Australia/Sydney", 1_522_512_000),
    ("Pacific/Apia", 1_325_239_200),
    ("Pacific/Kwajalein", 745_934_400),
    ("America/Sao_Paulo", 1_541_300_400),
    ("America/St_Johns", 1_268_539_260),
    ("Asia/Kathmandu", 1_588_300_000),
    ("Pacific/Chatham", 1_680_357_600),
    ("Africa/Casablanca", 1_557_021_600),
    ("Antarctica/Troll", 1_616_893_200),
    ("Asia/Shanghai", 1_771_000_000),
    ("America/Santiago", 1_662_868_800),
    ("UTC", 1_582_934_400),
];

fn number(name: &str, otherwise: u32) -> u32 {
    std::env::var_os(name)
        .map_or(otherwise, |v| v.to_str().and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("{name}")))
}

fn clock(quarter: u32) -> String {
    format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15)
}

fn windows(most: usize) -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((0_u32..=96, 0_u32..=96).prop_map(|(a, b)| (clock(a), clock(b))), 0..=most)
}

fn week(most: usize) -> impl Strategy<Value = Week> {
    prop::collection::vec(windows(most), 7).prop_map(|days| {
        let mut week = Week::default();
        for (day, windows) in Weekday::ALL.into_iter().zip(days) {
            *week.of_mut(day) = windows;
        }
        week
    })
}

/// A calendar, a time near a change of its clocks, and the data it was made from.
fn any_calendar() -> impl Strategy<Value = (CalendarSpec, i64)> {
    let day = -6_i64..=6;
    let dated = |most| prop::collection::btree_map(-6_i64..=6, windows(most), 0..3);
    let parts = (
        prop::sample::select(&PLACES[..]),
        week(2),
        prop_oneof![3 => Just(Week::default()), 1 => week(1)],
        prop::collection::vec(day.clone(), 0..3),
        dated(2),
        dated(2),
        prop::collection::btree_map(day, prop::sample::select(&Weekday::ALL[..]), 0..2),
    );
    parts.prop_map(|((tz, near), week, weekly_breaks, holidays, overrides, breaks, make_up)| {
        let date = |days: i64| Timestamp::from_secs(near + days * 86_400).to_string()[..10].to_owned();
        let dated = |map: BTreeMap<i64, Vec<(String, String)>>| map.into_iter().map(|(d, w)| (date(d), w)).collect();
        let spec = CalendarSpec {
            tz: tz.to_owned(),
            week,
            weekly_breaks,
            holidays: holidays.into_iter().map(date).collect(),
            holidays_yearly: vec!["12-25".to_owned()],
            overrides: dated(overrides),
            breaks: dated(breaks),
            make_up: make_up.into_iter().map(|(d, like)| (date(d), like)).collect(),
        };
        (spec, near)
    })
}

/// Runs a property over the calendars asked for, and says how many they were.
#[allow(clippy::explicit_write, reason = "what eprintln prints is captured")]
fn for_all<S: Strategy>(salt: u8, strategy: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let cases = number("OUTBAND_CALENDARS", 2000);
    let mut seed = [salt; 32];
    seed[..4].copy_from_slice(&number("OUTBAND_SEED", 1).to_le_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    TestRunner::new_with_rng(config, rng).run(&strategy, property).unwrap_or_else(|e| panic!("{e}"));
    writeln!(std::io::stderr(), "held for {cases} random calendars").unwrap();
}

fn moments<const N: usize>() -> impl Strategy<Value = [i64; N]> {
    prop::array::uniform(-400_000_i64..400_000)
}

fn made(spec: &CalendarSpec) -> Calendar {
    Calendar::try_from(spec).unwrap()
}

fn pause(near: i64, edges: [i64; 2]) -> Vec<Span> {
    vec![(Timestamp::from_secs(near + edges[0].min(edges[1])), Timestamp::from_secs(near + edges[0].max(edges[1])))]
}

#[test]
fn what_has_elapsed_at_the_due_time_is_the_target_and_a_moment_before_it_is_less() {
    let strategy = (any_calendar(), moments::<3>(), 1_u64..1_000_000);
    for_all(1, strategy, |((spec, near), [start, a, b], target)| {
        let (calendar, pauses) = (made(&spec), pause(near, [a, b]));
        let (start, target) = (Timestamp::from_secs(near + start), Duration::from_secs(target));
        if let Some(due) = calendar.due(start, target, &pauses) {
            prop_assert_eq!(calendar.elapsed(start, due, &pauses), target);
            prop_assert!(calendar.elapsed(start, due.minus(Duration::from_millis(1)), &pauses) < target);
        }
        Ok(())
    });
}

#[test]
fn spans_of_time_tile_and_grow() {
    for_all(2, (any_calendar(), moments::<3>(), moments::<2>()), |((spec, near), mut at, gap)| {
        at.sort_unstable();
        let (calendar, pauses) = (made(&spec), pause(near, gap));
        let [a, b, c] = at.map(|s| Timestamp::from_secs(near + s));
        let (ab, bc) = (calendar.elapsed(a, b, &pauses), calendar.elapsed(b, c, &pauses));
        prop_assert_eq!(ab + bc, calendar.elapsed(a, c, &pauses));
        prop_assert!(ab <= calendar.elapsed(a, b, &[]) && ab <= b.since(a));
        let spans: Vec<Span> = calendar.counted(a, c, &pauses).collect();
        prop_assert!(spans.iter().all(|(from, to)| from < to), "{:?}", spans);
        prop_assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{:?}", spans);
        Ok(())
    });
}

#[test]
fn before_is_the_inverse_of_elapsed_and_the_latest_such_time() {
    for_all(3, (any_calendar(), moments::<1>(), 1_u64..500_000), |((spec, near), [anchor], offset)| {
        let (calendar, offset) = (made(&spec), Duration::from_secs(offset));
        let anchor = Timestamp::from_secs(near + anchor);
        if let Some(from) = calendar.before(anchor, offset, &[]) {
            prop_assert_eq!(calendar.elapsed(from, anchor, &[]), offset);
            prop_assert!(calendar.elapsed(from.plus(Duration::from_millis(1)), anchor, &[]) < offset);
            // Forward again, it is the anchor, or the last closing time before it.
            let due = calendar.due(from, offset, &[]).unwrap();
            prop_assert!(due <= anchor && calendar.elapsed(due, anchor, &[]).is_zero());
        }
        Ok(())
    });
}

#[test]
fn opening_and_closing_agree_with_being_open() {
    for_all(4, (any_calendar(), moments::<1>()), |((spec, near), [at])| {
        let calendar = made(&spec);
        let at = Timestamp::from_secs(near + at);
        if let Some(opens) = calendar.opens_at(at) {
            prop_assert!(calendar.is_open(opens));
            prop_assert_eq!(calendar.is_open(at), opens == at);
            prop_assert!(calendar.elapsed(at, opens, &[]).is_zero());
            if let Some(closes) = calendar.closes_at(at) {
                prop_assert!(!calendar.is_open(closes));
                prop_assert_eq!(calendar.elapsed(opens, closes, &[]), closes.since(opens));
            }
        }
        Ok(())
    });
}

#[test]
fn a_later_start_or_a_longer_target_is_never_due_earlier() {
    for_all(5, (any_calendar(), moments::<2>(), 0_u64..500_000, 0_u64..500_000), |((spec, near), at, target, more)| {
        let calendar = made(&spec);
        let due =
            |start: i64, target| calendar.due(Timestamp::from_secs(near + start), Duration::from_secs(target), &[]);
        let (early, late) = (due(at[0].min(at[1]), target), due(at[0].max(at[1]), target));
        if let (Some(early), Some(late)) = (early, late) {
            prop_assert!(early <= late);
        }
        if let (Some(short), Some(long)) = (due(at[0], target), due(at[0], target + more)) {
            prop_assert!(target == 0 || short <= long);
        }
        Ok(())
    });
}

fn opening(onset: Timestamp) -> Opening {
    Opening {
        number: TicketNumber(1),
        priority: Priority::P3,
        title: "Fan 1".to_owned(),
        site: None,
        server: ServerId::new("s1").unwrap(),
        component: ComponentId::new(ComponentClass::Fan, "1").unwrap(),
        fault: "fan_failure".to_owned(),
        rule: "fan.stopped".to_owned(),
        predicted: false,
        reason: "it stands still".to_owned(),
        evidence: Vec::new(),
        onset,
        part_serial: None,
    }
}

fn action(pick: u8) -> Action {
    let priority = [Priority::P1, Priority::P2, Priority::P3, Priority::P4][usize::from(pick) % 4];
    match pick {
        0 => Action::Assign { to: "ann".to_owned() },
        1 => Action::Start,
        2 => Action::Locate { root_cause: "worn".to_owned() },
        3 | 4 => Action::WaitForCustomer,
        5 => Action::WaitForParts,
        6 | 7 => Action::Resume,
        8 => Action::Resolve { resolution: Resolution::Repaired },
        9 => Action::Close,
        10 => Action::Reopen,
        11..15 => Action::Prioritise { priority, rebase: Rebase::Creation },
        15..19 => Action::Prioritise { priority, rebase: Rebase::Change },
        _ => Action::Milestone { milestone: Milestone::Contact, reached_at: None },
    }
}

/// What the states allow of these wishes, each so many seconds after the one before it.
fn lived(start: Timestamp, wishes: &[(u8, u64)]) -> Vec<Transition> {
    let (mut ticket, first) = Ticket::open(opening(start), "collector", start);
    let (mut log, mut now) = (vec![first], start);
    for (pick, gap) in wishes {
        now = now.plus(Duration::from_secs(*gap));
        let command = Command { who: "ann".to_owned(), why: String::new(), action: action(*pick) };
        if let Ok(entry) = apply(&ticket, command, now) {
            ticket = ticket.after(&entry);
            log.push(entry);
        }
    }
    log
}

#[test]
fn a_clock_replayed_to_any_time_is_what_it_was_then() {
    let wishes = prop::collection::vec((0_u8..20, 1_u64..40_000), 0..12);
    for_all(6, (any_calendar(), moments::<1>(), wishes), |((spec, near), [start], wishes)| {
        let calendars = Calendars::from(made(&spec));
        let policies = Policies::from(SlaPolicy::default());
        let log = lived(Timestamp::from_secs(near + start), &wishes);
        for (n, entry) in (1..).zip(&log) {
            // Until the moment before the next entry, the log as it was then and the whole log tell the same.
            let until = log.get(n).map_or(entry.at, |next| next.at.minus(Duration::from_millis(1)));
            for now in [entry.at, until] {
                let then = sla::clocks(&policies, &calendars, &log[..n], now);
                prop_assert_eq!(&then, &sla::clocks(&policies, &calendars, &log, now));
            }
        }
        Ok(())
    });
}
