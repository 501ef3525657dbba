//! What the tables of cases in `tests/sla_cases.rs` do not cover.

use super::*;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn weekdays(tz: &str) -> Calendar {
    Calendar::try_from(&CalendarSpec { tz: tz.to_owned(), ..CalendarSpec::default() }).unwrap()
}

#[test]
fn a_skipped_hour_is_shifted_forward_and_a_doubled_one_is_its_first() {
    let night = |from: &str, to: &str| {
        let sun = vec![(from.to_owned(), to.to_owned())];
        let week = Week { sun, ..Week::default() };
        let spec = CalendarSpec { tz: "Europe/Berlin".to_owned(), week, ..CalendarSpec::default() };
        Calendar::try_from(&spec).unwrap()
    };
    let spring = night("02:30", "04:00");
    assert_eq!(spring.opens_at(at("2026-03-28T23:00:00Z")), Some(at("2026-03-29T01:30:00Z")), "02:30 became 03:30");
    let autumn = night("02:30", "04:00");
    assert_eq!(autumn.opens_at(at("2026-10-24T23:00:00Z")), Some(at("2026-10-25T00:30:00Z")), "the first 02:30");
    assert_eq!(
        autumn.elapsed(at("2026-10-24T22:00:00Z"), at("2026-10-25T22:00:00Z"), &[]),
        Duration::from_secs(9000),
        "real seconds"
    );
}

#[test]
fn windows_that_overlap_are_open_once() {
    let day = |windows: &[(&str, &str)]| windows.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let week = Week { mon: day(&[("20:00", "04:00")]), tue: day(&[("02:00", "06:00")]), ..Week::default() };
    let calendar = Calendar::try_from(&CalendarSpec { week, ..CalendarSpec::default() }).unwrap();
    let (from, to) = (at("2026-01-05T00:00:00Z"), at("2026-01-07T00:00:00Z"));
    assert_eq!(calendar.elapsed(from, to, &[]), Duration::from_secs(10 * 3600));
    assert_eq!(calendar.closes_at(at("2026-01-05T21:00:00Z")), Some(at("2026-01-06T06:00:00Z")));
}

#[test]
fn a_calendar_that_never_opens_has_no_due_time() {
    let closed = Calendar::try_from(&CalendarSpec { week: Week::default(), ..CalendarSpec::default() }).unwrap();
    let now = at("2026-01-05T10:00:00Z");
    assert_eq!(closed.due(now, Duration::from_secs(1), &[]), None);
    assert_eq!(closed.due_days(now, 1, true), None);
    assert_eq!(closed.elapsed(now, at("2027-01-01T00:00:00Z"), &[]), Duration::ZERO);
}

#[test]
fn around_the_clock_a_due_time_is_an_addition() {
    let now = at("2026-10-25T00:30:00Z");
    assert_eq!(Calendar::always().due(now, Duration::from_secs(900), &[]), Some(at("2026-10-25T00:45:00Z")));
    assert_eq!(Calendar::always().closes_at(now), None);
}

#[test]
fn a_zone_that_is_none_is_named_in_the_error() {
    let err = Calendar::try_from(&CalendarSpec { tz: "Mars/Base".to_owned(), ..CalendarSpec::default() }).unwrap_err();
    assert!(err.to_string().contains("Mars/Base"));
}

proptest! {
    #[test]
    fn what_has_elapsed_at_the_due_time_is_the_target(
        start in 1_500_000_000_i64..1_900_000_000,
        target in 1_u64..2_000_000,
        pause in 0_i64..500_000,
        length in 0_i64..500_000,
    ) {
        let calendar = weekdays("Europe/Berlin");
        let begin = Timestamp::from_secs(start);
        let pauses = [(Timestamp::from_secs(start + pause), Timestamp::from_secs(start + pause + length))];
        let due = calendar.due(begin, Duration::from_secs(target), &pauses).unwrap();
        prop_assert_eq!(calendar.elapsed(begin, due, &pauses), Duration::from_secs(target));
        let earlier = due.minus(Duration::from_millis(1));
        prop_assert!(calendar.elapsed(begin, earlier, &pauses) < Duration::from_secs(target));
    }

    #[test]
    fn before_is_the_inverse_of_elapsed(anchor in 1_500_000_000_i64..1_900_000_000, offset in 0_u64..500_000) {
        let calendar = weekdays("America/New_York");
        let anchor = Timestamp::from_secs(anchor);
        let from = calendar.before(anchor, Duration::from_secs(offset), &[]).unwrap();
        prop_assert_eq!(calendar.elapsed(from, anchor, &[]), Duration::from_secs(offset));
    }
}
