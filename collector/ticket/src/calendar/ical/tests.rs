//! What files say, and what they may not say unheard.

use super::*;
use crate::Calendar;

fn terms() -> Terms {
    Terms { tz: "Asia/Shanghai".to_owned(), years: 2025..=2027, make_up_as: Weekday::Fri }
}

fn read(events: &str) -> Import {
    read_as(events, &terms())
}

fn read_as(events: &str, terms: &Terms) -> Import {
    let text =
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}\r\nEND:VCALENDAR\r\n", events.trim().replace('\n', "\r\n"));
    import(&[("a.ics", &text)], terms).unwrap()
}

fn event(lines: &str) -> String {
    format!("BEGIN:VEVENT\n{}\nEND:VEVENT\n", lines.trim())
}

fn holidays(import: &Import) -> Vec<&str> {
    import.holidays.iter().map(String::as_str).collect()
}

fn complaints(import: &Import) -> String {
    import.unknown.iter().map(|u| format!("{}: {}\n", u.line, u.what)).collect()
}

#[test]
fn an_event_of_whole_days_closes_them_and_its_end_is_not_among_them() {
    let import = read(&event("DTSTART;VALUE=DATE:20261001\nDTEND;VALUE=DATE:20261004\nSUMMARY:National Day"));
    assert_eq!(holidays(&import), ["2026-10-01", "2026-10-02", "2026-10-03"]);
    assert_eq!(import.unknown, []);
}

#[test]
fn without_an_end_it_is_one_day_and_with_a_duration_so_many() {
    let one = event("DTSTART;VALUE=DATE:20260501\nSUMMARY:Labour Day");
    let week = event("DTSTART;VALUE=DATE:20260601\nDURATION:P1W\nSUMMARY:Works holiday");
    let import = read(&format!("{one}{week}"));
    assert_eq!(import.holidays.len(), 8);
    assert!(import.holidays.contains("2026-06-07"));
}

#[test]
fn apples_calendar_tells_worked_days_from_closed_ones_and_festivals_close_nothing() {
    let import = read(
        &[
            event(
                "DTSTART;VALUE=DATE:20260214\nSUMMARY;LANGUAGE=zh_CN:春节（班）\nX-APPLE-SPECIAL-DAY:ALTERNATE-WORKDAY",
            ),
            event("DTSTART;VALUE=DATE:20260216\nSUMMARY;LANGUAGE=zh_CN:春节（休）\nX-APPLE-SPECIAL-DAY:WORK-HOLIDAY"),
            event("DTSTART;VALUE=DATE:20260126\nSUMMARY;LANGUAGE=zh_CN:腊八节"),
        ]
        .concat(),
    );
    assert_eq!(holidays(&import), ["2026-02-16"]);
    assert_eq!(import.make_up, BTreeMap::from([("2026-02-14".to_owned(), Weekday::Fri)]));
    assert!(complaints(&import).contains("腊八节"), "{}", complaints(&import));
}

#[test]
fn signs_in_summaries_mark_days_and_a_course_is_no_sign() {
    for (summary, worked) in [
        ("国庆节 班", true),
        ("【班】国庆节", true),
        ("上班(补春节假期)", true),
        ("班", true),
        ("Special Working Day", true),
        ("国庆节 休", false),
        ("放假", false),
        ("不上班", false),
        ("Non-working day", false),
    ] {
        let import = read(&event(&format!("DTSTART;VALUE=DATE:20260214\nSUMMARY:{summary}")));
        assert_eq!(
            (import.make_up.len(), import.holidays.len()),
            (usize::from(worked), usize::from(!worked)),
            "{summary}"
        );
    }
    let marked = event("DTSTART;VALUE=DATE:20260216\nSUMMARY:春节（休）");
    let import = read(&format!("{marked}{}", event("DTSTART;VALUE=DATE:20260218\nSUMMARY:培训班")));
    assert_eq!((import.make_up.len(), holidays(&import)), (0, vec!["2026-02-16"]));
}

#[test]
fn googles_observances_are_listed_and_its_public_holidays_close() {
    let import = read(
        &[
            event("DTSTART;VALUE=DATE:20260501\nSUMMARY:Labour Day\nDESCRIPTION:Public holiday"),
            event("DTSTART;VALUE=DATE:20260214\nSUMMARY:Valentine's Day\nDESCRIPTION:Observance\\nTo hide observances\\, go to Settings"),
        ]
        .concat(),
    );
    assert_eq!(holidays(&import), ["2026-05-01"]);
    assert!(complaints(&import).contains("observance"), "{}", complaints(&import));
}

#[test]
fn what_comes_every_year_is_unrolled_from_its_first_year_on() {
    let christmas =
        event("DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=YEARLY\nEXDATE;VALUE=DATE:20270101\nSUMMARY:New Year");
    let import = read_as(&christmas, &Terms { years: 2025..=2028, ..terms() });
    assert_eq!(holidays(&import), ["2026-01-01", "2028-01-01"]);
}

#[test]
fn rules_of_weekdays_and_months_hold_as_the_standard_says() {
    for (start, rule, expected) in [
        // Thanksgiving; Memorial Day; Friday the 13th; the last day of February; every second week; the 100th Monday is none.
        ("20251127", "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", vec!["2025-11-27", "2026-11-26", "2027-11-25"]),
        ("20250526", "FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO", vec!["2025-05-26", "2026-05-25", "2027-05-31"]),
        (
            "20260213",
            "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;UNTIL=20261231",
            vec!["2026-02-13", "2026-03-13", "2026-11-13"],
        ),
        ("20250228", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1", vec!["2025-02-28", "2026-02-28", "2027-02-28"]),
        ("20260105", "FREQ=WEEKLY;INTERVAL=2;COUNT=3;BYDAY=MO", vec!["2026-01-05", "2026-01-19", "2026-02-02"]),
        ("20250106", "FREQ=YEARLY;BYDAY=1MO", vec!["2025-01-06", "2026-01-05", "2027-01-04"]),
        ("20240229", "FREQ=YEARLY;UNTIL=20280301T000000Z", vec![]),
        ("20260131", "FREQ=MONTHLY;COUNT=3", vec!["2026-01-31", "2026-03-31", "2026-05-31"]),
        (
            "20260101",
            "FREQ=DAILY;INTERVAL=100;UNTIL=20261231",
            vec!["2026-01-01", "2026-04-11", "2026-07-20", "2026-10-28"],
        ),
    ] {
        let import = read(&event(&format!("DTSTART;VALUE=DATE:{start}\nRRULE:{rule}\nSUMMARY:x")));
        assert_eq!(holidays(&import), expected, "{rule}: {}", complaints(&import));
    }
}

#[test]
fn more_dates_may_be_named_one_by_one() {
    let import = read(&event("DTSTART;VALUE=DATE:20260101\nRDATE;VALUE=DATE:20260315,20260401\nSUMMARY:x"));
    assert_eq!(holidays(&import), ["2026-01-01", "2026-03-15", "2026-04-01"]);
}

#[test]
fn a_rule_that_is_not_read_is_named_and_closes_nothing() {
    for line in [
        "RRULE:FREQ=YEARLY;BYWEEKNO=20",
        "RRULE:FREQ=HOURLY",
        "RRULE:FREQ=YEARLY;BYSETPOS=-1;BYDAY=MO",
        "EXRULE:FREQ=DAILY",
    ] {
        let import = read(&event(&format!("DTSTART;VALUE=DATE:20260101\n{line}\nSUMMARY:x")));
        assert_eq!(import.holidays.len(), 0, "{line}");
        assert!(complaints(&import).contains("is not read here"), "{line}: {}", complaints(&import));
    }
}

#[test]
fn a_closed_afternoon_is_a_break_in_the_calendars_zone() {
    let utc = event("DTSTART:20260303T060000Z\nDTEND:20260303T100000Z\nSUMMARY:Office closed");
    let berlin = event("DTSTART;TZID=Europe/Berlin:20260304T080000\nDURATION:PT1H30M\nSUMMARY:closed");
    let floating = event("DTSTART:20260305T220000\nDTEND:20260306T020000\nSUMMARY:closed");
    let import = read(&format!("{utc}{berlin}{floating}"));
    let piece = |from: &str, to: &str| vec![(from.to_owned(), to.to_owned())];
    assert_eq!(import.breaks["2026-03-03"], piece("14:00:00", "18:00:00"));
    assert_eq!(import.breaks["2026-03-04"], piece("15:00:00", "16:30:00"));
    assert_eq!(import.breaks["2026-03-05"], piece("22:00:00", "24:00"));
    assert_eq!(import.breaks["2026-03-06"], piece("00:00:00", "02:00:00"));
    let calendar =
        Calendar::try_from(&import.into_spec(CalendarSpec { tz: "Asia/Shanghai".into(), ..CalendarSpec::default() }));
    assert!(!calendar.unwrap().is_open("2026-03-03T06:00:00Z".parse().unwrap()));
}

#[test]
fn a_worked_day_with_times_has_those_hours() {
    let import = read(&event(
        "DTSTART;TZID=China Standard Time:20260214T090000\nDTEND;TZID=China Standard Time:20260214T120000\nSUMMARY:补班",
    ));
    assert_eq!(import.overrides["2026-02-14"], [("09:00:00".to_owned(), "12:00:00".to_owned())]);
}

#[test]
fn folded_lines_quoted_parameters_and_marks_of_byte_order_are_read() {
    let text = "\u{feff}BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE;X-A=\"b;c:d\":2026\n 1001\nSUMMARY:国庆\n\t节（休）\nEND:VEVENT\nEND:VCALENDAR";
    let import = import(&[("a.ics", text)], &terms()).unwrap();
    assert_eq!((holidays(&import), complaints(&import)), (vec!["2026-10-01"], String::new()));
}

#[test]
fn what_is_broken_is_listed_by_file_and_line() {
    for (lines, expected) in [
        ("SUMMARY:x", "no DTSTART"),
        ("DTSTART;VALUE=DATE:20261301\nSUMMARY:x", "no date or time"),
        ("DTSTART;TZID=Mars/Base:20260101T080000\nDURATION:PT1H\nSUMMARY:closed", "Mars/Base"),
        ("DTSTART;VALUE=DATE:20260101\nSUMMARY:x\nSTATUS:CANCELLED", "cancelled"),
        ("DTSTART;VALUE=DATE:20260101\nSUMMARY:x\nRECURRENCE-ID;VALUE=DATE:20260101", "RECURRENCE-ID"),
        ("DTSTART:20260101T080000\nDTEND:20260101T090000\nSUMMARY:Meeting", "not marked"),
        ("DTSTART:20260101T080000\nSUMMARY:closed", "no length"),
        ("DTSTART;VALUE=DATE:20260101\nDTEND;VALUE=DATE:20251201\nSUMMARY:x", "days"),
        ("DTSTART;VALUE=DATE:20260101\nDTEND;VALUE=DATE:20300101\nSUMMARY:x", "days"),
        ("DTSTART;VALUE=DATE:20260101\nDTEND:20260102T000000\nSUMMARY:x", "only one has a time"),
        ("DTSTART;VALUE=DATE:20260101\nDURATION:-P1D\nSUMMARY:x", "DURATION"),
        ("this is no line\nDTSTART;VALUE=DATE:20280101\nSUMMARY:x", "no content line"),
    ] {
        let import = read(&event(lines));
        assert!(complaints(&import).contains(expected), "{lines}: {}", complaints(&import));
        assert_eq!((import.holidays.len(), import.breaks.len()), (0, 0), "{lines}");
        assert_eq!(import.unknown[0].file, "a.ics");
    }
    let cut = import(&[("b.ics", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260101\n")], &terms()).unwrap();
    assert!(complaints(&cut).contains("cut off"), "{}", complaints(&cut));
    let todo = read("BEGIN:VTODO\nSUMMARY:x\nEND:VTODO");
    assert!(complaints(&todo).contains("VTODO"));
}

#[test]
fn days_outside_of_the_years_are_counted() {
    let import = read(&event("DTSTART;VALUE=DATE:20241230\nDTEND;VALUE=DATE:20250102\nSUMMARY:x"));
    assert_eq!((holidays(&import), import.outside), (vec!["2025-01-01"], 2));
}

#[test]
fn of_two_files_that_disagree_the_worked_day_wins_and_that_is_said() {
    let file = |lines: &str| format!("BEGIN:VCALENDAR\n{}END:VCALENDAR\n", event(lines));
    let (a, b) = (file("DTSTART;VALUE=DATE:20260214\nSUMMARY:放假"), file("DTSTART;VALUE=DATE:20260214\nSUMMARY:上班"));
    let import = import(&[("a", &a), ("b", &b)], &terms()).unwrap();
    assert_eq!((import.holidays.len(), import.make_up.len()), (0, 1));
    assert!(complaints(&import).contains("2026-02-14"));
}

proptest::proptest! {
    #[test]
    fn no_file_makes_the_import_panic(lines in proptest::collection::vec(
        "(BEGIN|END|DTSTART|DTEND|DURATION|RRULE|EXDATE|RDATE|SUMMARY)(;VALUE=DATE|;TZID=Europe/Berlin)?:?(VEVENT|VCALENDAR|[0-9]{8}(T[0-9]{6}Z?)?|P[0-9]{1,9}[DWM]|FREQ=(YEARLY|DAILY|WEEKLY)(;(COUNT|INTERVAL|BYDAY|BYMONTHDAY)=[-0-9MOF]{1,9})?|.{0,8})",
        0..40,
    )) {
        let text = format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260101\n{}", lines.join("\n"));
        proptest::prop_assert!(import(&[("a", &text)], &terms()).is_ok());
    }
}
