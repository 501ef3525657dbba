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

fn cn() -> CalendarRevision {
    shipped::shipped("cn-9-18").unwrap().unwrap()
}

#[test]
fn chinas_notices_are_read_as_an_independent_table_has_them() {
    let table: serde_json::Value = serde_json::from_str(include_str!("../../data/sla_cases.json")).unwrap();
    for year in 2024..=2026 {
        let import = shipped::cn(year).unwrap().unwrap();
        assert_eq!(import.unknown, []);
        let theirs = &table["calendars"][format!("cn-{year}")];
        let dates = |value: &serde_json::Value| -> BTreeSet<String> { serde_json::from_value(value.clone()).unwrap() };
        assert_eq!(import.holidays, dates(&theirs["holidays"]), "{year}");
        let worked: BTreeSet<String> = theirs["overrides"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(import.make_up.into_keys().collect::<BTreeSet<_>>(), worked, "{year}");
    }
    assert!(shipped::cn(2027).is_none(), "not published when this was written");
}

#[test]
fn every_shipped_calendar_opens_at_some_time() {
    for (name, _) in shipped::NAMES {
        let revision = shipped::shipped(name).unwrap().unwrap();
        let calendar = Calendar::try_from(&revision).unwrap();
        assert!(calendar.opens_at(at("2026-02-10T00:00:00Z")).is_some(), "{name}");
        assert_eq!(calendar.basis().calendar, name);
        assert!(calendar.basis().tzdb.starts_with("20"), "{:?}", calendar.basis());
    }
    assert!(shipped::shipped("mars").is_none());
}

#[test]
fn the_next_business_day_after_the_last_before_spring_festival_is_after_it() {
    let calendar = Calendar::try_from(&cn()).unwrap();
    // Saturday 14 February 2026 is worked, then come nine days off.
    let end = |from: &str| calendar.due_days(at(from), 1, true);
    assert_eq!(end("2026-02-13T08:00:00Z"), Some(at("2026-02-14T10:00:00Z")));
    assert_eq!(end("2026-02-14T08:00:00Z"), Some(at("2026-02-24T10:00:00Z")));
}

#[test]
fn a_computation_beyond_the_known_holidays_is_flagged() {
    let calendar = Calendar::try_from(&cn()).unwrap();
    let start = at("2026-12-31T09:00:00Z");
    let due = |hours: u64| calendar.due(start, Duration::from_secs(hours * 3600), &[]);
    assert_eq!(calendar.flags(start, due(1)), BTreeSet::new(), "due at 18:00 of the last known day");
    assert_eq!(calendar.flags(start, due(2)), BTreeSet::from([Flag::BeyondCalendar]));
    assert_eq!(calendar.flags(start, None), BTreeSet::from([Flag::BeyondCalendar]));
    assert_eq!(calendar.flags(at("2027-03-01T00:00:00Z"), Some(start)), BTreeSet::from([Flag::BeyondCalendar]));
    let early = at("2023-12-29T00:00:00Z");
    assert_eq!(calendar.flags(early, Some(start)), BTreeSet::from([Flag::BeforeCalendar]));
    assert_eq!(Calendar::always().flags(early, None), BTreeSet::new(), "it knows of no holidays");
}

#[test]
fn a_new_year_is_a_new_revision_and_says_what_changed() {
    let file =
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20270101\nSUMMARY:元旦（休）\nEND:VEVENT\nEND:VCALENDAR\n";
    let terms = ical::Terms { tz: "Asia/Shanghai".to_owned(), years: 2027..=2027, make_up_as: Weekday::Fri };
    let import = ical::import(&[("2027.ics", file)], &terms).unwrap();
    let (before, now) = (cn(), at("2026-11-05T00:00:00Z"));
    let after = before.with(&import, "2027.ics", now);
    assert_eq!((after.revision, after.valid_until.as_deref()), (before.revision + 1, Some("2027-12-31")));
    assert_eq!(after.valid_from, before.valid_from);
    let changes: Vec<String> = before.changes(&after).iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["2027-01-01: – → closed", "valid_until: 2026-12-31 → 2027-12-31"]);
    let start = at("2026-12-31T09:00:00Z");
    let calendar = Calendar::try_from(&after).unwrap();
    let due = calendar.due(start, Duration::from_secs(7200), &[]);
    assert_eq!((due, calendar.flags(start, due)), (Some(at("2027-01-04T02:00:00Z")), BTreeSet::new()));
    let stored: CalendarRevision = serde_json::from_str(&serde_json::to_string(&after).unwrap()).unwrap();
    assert_eq!(stored, after);
}

#[test]
fn a_year_that_is_published_again_takes_the_place_of_what_stood_there() {
    let file = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260102\nSUMMARY:放假\nEND:VEVENT\nEND:VCALENDAR\n";
    let terms = ical::Terms { tz: "Asia/Shanghai".to_owned(), years: 2026..=2026, make_up_as: Weekday::Fri };
    let after = cn().with(&ical::import(&[("a", file)], &terms).unwrap(), "a", Timestamp::EPOCH);
    let of = |year: &str| after.spec.holidays.iter().filter(|date| date.starts_with(year)).count();
    assert_eq!((of("2025"), of("2026")), (28, 1));
    assert_eq!(after.spec.make_up.keys().filter(|date| date.starts_with("2026")).count(), 0);
}

#[test]
fn years_between_two_imports_are_not_known() {
    let file = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20290102\nSUMMARY:放假\nEND:VEVENT\nEND:VCALENDAR\n";
    let terms = ical::Terms { tz: "Asia/Shanghai".to_owned(), years: 2029..=2029, make_up_as: Weekday::Fri };
    let after = cn().with(&ical::import(&[("a", file)], &terms).unwrap(), "a", Timestamp::EPOCH);
    assert_eq!((after.valid_from.as_deref(), after.valid_until.as_deref()), (Some("2029-01-01"), Some("2029-12-31")));
}

#[test]
fn a_weekly_break_cuts_every_week_but_not_a_date_with_hours_of_its_own() {
    let lunch = Week::on(&[Weekday::Mon, Weekday::Tue], &[("12:00", "13:00")]);
    let overrides = BTreeMap::from([("2026-01-06".to_owned(), vec![("09:00".to_owned(), "18:00".to_owned())])]);
    let spec = CalendarSpec { weekly_breaks: lunch, overrides, ..CalendarSpec::default() };
    let calendar = Calendar::try_from(&spec).unwrap();
    assert_eq!(calendar.closes_at(at("2026-01-05T10:00:00Z")), Some(at("2026-01-05T12:00:00Z")));
    assert!(calendar.is_open(at("2026-01-06T12:30:00Z")));
}

#[test]
fn a_break_cuts_the_window_of_the_night_before() {
    let week = Week::on(&[Weekday::Mon], &[("22:00", "06:00")]);
    let breaks = BTreeMap::from([("2026-01-06".to_owned(), vec![("02:00".to_owned(), "03:00".to_owned())])]);
    let calendar = Calendar::try_from(&CalendarSpec { week, breaks, ..CalendarSpec::default() }).unwrap();
    let (from, to) = (at("2026-01-05T22:00:00Z"), at("2026-01-06T06:00:00Z"));
    assert_eq!(calendar.elapsed(from, to, &[]), Duration::from_secs(7 * 3600));
    let spans: Vec<Span> = calendar.counted(from, to, &[]).collect();
    assert_eq!(spans, [(from, at("2026-01-06T02:00:00Z")), (at("2026-01-06T03:00:00Z"), to)]);
}

#[test]
fn a_day_that_a_zone_skips_takes_nothing_from_the_next() {
    // Samoa went from 29 to 31 December 2011: the hours of the 30th are those of the 31st, which has its own besides.
    let week = Week {
        fri: vec![("09:00".into(), "17:00".into())],
        sat: vec![("08:00".into(), "10:00".into())],
        ..Week::default()
    };
    let calendar = Calendar::try_from(&CalendarSpec { tz: "Pacific/Apia".to_owned(), week, ..CalendarSpec::default() });
    let (from, to) = (at("2011-12-30T09:00:00Z"), at("2011-12-31T12:00:00Z"));
    assert_eq!(calendar.unwrap().elapsed(from, to, &[]), Duration::from_secs(9 * 3600));
}

#[test]
fn a_pause_without_end_leaves_no_due_time_and_is_answered_at_once() {
    let forever = [(at("2026-01-05T12:00:00Z"), Timestamp::from_millis(i64::MAX))];
    let calendar = weekdays("UTC");
    let start = at("2026-01-05T09:00:00Z");
    assert_eq!(calendar.due(start, Duration::from_secs(4 * 3600), &forever), None);
    assert_eq!(calendar.due(start, Duration::from_secs(3 * 3600), &forever), Some(at("2026-01-05T12:00:00Z")));
    assert_eq!(calendar.due(at("2026-01-05T13:00:00Z"), Duration::ZERO, &forever), None);
}

#[test]
fn open_all_day_every_day_is_around_the_clock() {
    let week = Week::on(&Weekday::ALL, &[("00:00", "24:00")]);
    let calendar =
        Calendar::try_from(&CalendarSpec { tz: "Europe/Berlin".into(), week, ..CalendarSpec::default() }).unwrap();
    let now = at("2026-10-24T10:00:00Z");
    assert_eq!(calendar.closes_at(now), None);
    assert_eq!(
        calendar.due_days(now, 1, false),
        Some(at("2026-10-25T11:00:00Z")),
        "its days are still those of the zone"
    );
}

/// Asks everything at once; what matters is that it ends, and soon.
fn ask_everything(calendar: &Calendar, at: Timestamp) -> Option<Timestamp> {
    let long = [Duration::ZERO, Duration::from_secs(1), Duration::MAX];
    let all = long.map(|time| (calendar.due(at, time, &[]), calendar.before(at, time, &[])));
    for days in [0, 1, -1, i32::MAX, i32::MIN] {
        for end_of_day in [false, true] {
            calendar.due_days(at, days, end_of_day);
        }
    }
    calendar.elapsed(at, Timestamp::from_millis(i64::MAX), &[]);
    calendar.is_open(at);
    calendar.closes_at(at).or(calendar.opens_at(at)).or(all[1].0)
}

fn extremes() -> Vec<Timestamp> {
    [i64::MIN, 1 << 40, 253_402_207_200_000, i64::MAX].map(Timestamp::from_millis).to_vec()
}

#[test]
fn hours_that_never_come_have_no_answer_and_no_search_lasts_forever() {
    let closed = [
        CalendarSpec { week: Week::default(), ..CalendarSpec::default() },
        // Closed on every day of the year.
        CalendarSpec {
            holidays_yearly: (1..=12)
                .flat_map(|m| (1..=31).map(move |d| format!("{m:02}-{d:02}")))
                .filter(|d| d.parse::<u8>().is_err() && month_day_exists(d))
                .collect(),
            ..CalendarSpec::default()
        },
        // Broken off on every day of the week.
        CalendarSpec { weekly_breaks: Week::on(&Weekday::ALL, &[("00:00", "24:00")]), ..CalendarSpec::default() },
    ];
    for spec in closed {
        let calendar = Calendar::try_from(&spec).unwrap();
        for at in extremes() {
            assert_eq!(ask_everything(&calendar, at), None, "{at}");
        }
    }
}

fn month_day_exists(text: &str) -> bool {
    format!("2024-{text}").parse::<jiff::civil::Date>().is_ok()
}

#[test]
fn times_at_the_ends_of_time_are_answered_or_have_no_answer() {
    let minute = CalendarSpec { week: Week::on(&[Weekday::Sun], &[("23:59", "24:00")]), ..CalendarSpec::default() };
    let apia = CalendarSpec { tz: "Pacific/Apia".to_owned(), ..CalendarSpec::default() };
    for calendar in [&minute, &apia, &CalendarSpec::default()].map(|spec| Calendar::try_from(spec).unwrap()) {
        let answers = extremes().into_iter().filter_map(|at| ask_everything(&calendar, at)).count();
        assert!(answers >= 1, "times of our days have answers");
    }
    assert_eq!(ask_everything(&Calendar::always(), at("2026-01-01T00:00:00Z")), Some(at("2026-01-01T00:00:00Z")));
}

#[test]
fn a_target_of_many_years_is_counted_to_its_end() {
    // Forty hours a week: a thousand million seconds take 6944 weeks and 640,000 s more.
    let calendar = Calendar::try_from(&CalendarSpec {
        week: Week::on(&[Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri], &[("09:00", "17:00")]),
        ..CalendarSpec::default()
    })
    .unwrap();
    let monday: Timestamp = "2026-01-05T00:00:00Z".parse().unwrap();
    let due = calendar.due(monday, Duration::from_secs(6944 * 40 * 3600), &[]).unwrap();
    let weeks = Duration::from_secs(6943 * 7 * 86_400 + 4 * 86_400 + 17 * 3600);
    assert_eq!(due, monday.plus(weeks));
}

#[test]
fn the_29th_of_february_is_closed_in_the_years_that_have_one() {
    let spec = CalendarSpec { holidays_yearly: vec!["02-29".to_owned()], ..CalendarSpec::default() };
    let calendar = Calendar::try_from(&spec).unwrap();
    let open = |text: &str| calendar.is_open(text.parse().unwrap());
    assert!(!open("2024-02-29T10:00:00Z") && open("2024-02-28T10:00:00Z"));
    assert!(open("2023-03-01T10:00:00Z") && open("2023-02-28T10:00:00Z"));
}

#[test]
fn a_time_of_day_may_lack_its_zero_and_nothing_else() {
    let with = |start: &str| {
        let week = Week::on(&[Weekday::Mon], &[(start, "18:00")]);
        Calendar::try_from(&CalendarSpec { week, ..CalendarSpec::default() }).is_ok()
    };
    assert!(["9:00", "09:00", "09:00:30", "24:00"].into_iter().all(with));
    assert!(
        !["", "9", "009:00", "9:0", "9:00:", "+9:00", "24:01", "25:00", "09:60", "09:00:00:00"].into_iter().any(with)
    );
}
