use super::*;
use outband_ticket::CalendarSpec;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn to(zone: &str, quiet: &str) -> Recipient {
    toml::from_str(&format!("channel = 'mail'\nto = 'li@example.com'\nzone = '{zone}'\nquiet = {{ {quiet} }}")).unwrap()
}

fn li() -> Recipient {
    to("Asia/Shanghai", "from = '22:00', to = '07:30'")
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

/// Weekdays from nine to six; those that are shipped for China under `cn`.
fn calendars() -> Calendars {
    let usual = Calendar::try_from(&CalendarSpec::default()).unwrap();
    let cn = outband_ticket::calendar::shipped::shipped("cn-9-18").unwrap().unwrap();
    Calendars::new(usual, BTreeMap::from([("cn".to_owned(), Calendar::try_from(&cn.spec).unwrap())]))
}

fn held(to: &Recipient, priority: Priority, now: Timestamp) -> Option<Timestamp> {
    until(to, priority, &calendars(), now)
}

#[test]
fn quiet_hours_over_midnight_hold_until_the_morning_of_the_recipient() {
    let morning = Some(at("2026-03-02T07:30:00+08:00"));
    assert_eq!(held(&li(), Priority::P3, at("2026-03-01T23:00:00+08:00")), morning);
    assert_eq!(held(&li(), Priority::P3, at("2026-03-02T07:29:59+08:00")), morning);
    assert_eq!(held(&li(), Priority::P3, at("2026-03-02T07:30:00+08:00")), None);
    assert_eq!(held(&li(), Priority::P3, at("2026-03-01T12:00:00+08:00")), None);
}

#[test]
fn what_is_urgent_is_never_quiet_unless_the_operator_says_so() {
    let night = at("2026-03-01T23:00:00+08:00");
    assert_eq!(held(&li(), Priority::P2, night), None);
    let mut said = li();
    said.quiet.as_mut().unwrap().priorities.push(PriorityName::P2);
    assert!(held(&said, Priority::P2, night).is_some());
}

#[test]
fn p1_is_never_held_back_whatever_the_config_says() {
    let mut said = to("Asia/Shanghai", "from = '00:00', to = '23:59', priorities = ['P1'], calendar = 'cn'");
    assert!(check(&said.zone, said.quiet.as_ref()).is_err());
    for hour in 0..24 {
        assert_eq!(held(&said, Priority::P1, at(&format!("2026-10-01T{hour:02}:30:00+08:00"))), None);
    }
    said.quiet.as_mut().unwrap().priorities = vec![PriorityName::P4];
    assert_eq!(check(&said.zone, said.quiet.as_ref()), Ok(()));
}

#[test]
fn quiet_hours_end_when_the_clock_is_put_forward_over_their_end() {
    // 02:30 does not exist in that night: 03:30 summer time is the same moment.
    let berlin = to("Europe/Berlin", "from = '22:00', to = '02:30'");
    let ends = held(&berlin, Priority::P4, at("2026-03-29T00:10:00Z")).unwrap();
    assert_eq!(ends, at("2026-03-29T01:30:00Z"));
    assert_eq!(held(&berlin, Priority::P4, ends), None);
}

#[test]
fn quiet_hours_that_the_clock_repeats_end_once() {
    let berlin = to("Europe/Berlin", "from = '22:00', to = '02:30'");
    let ends = held(&berlin, Priority::P4, at("2026-10-24T23:00:00Z")).unwrap();
    assert_eq!(ends, at("2026-10-25T00:30:00Z"), "the first 02:30");
    assert_eq!(held(&berlin, Priority::P4, ends), None);
    let again = held(&berlin, Priority::P4, at("2026-10-25T01:10:00Z"));
    assert_eq!(again, Some(at("2026-10-25T01:30:00Z")), "what comes in the second 02:10 waits for the second 02:30");
}

#[test]
fn days_off_are_quiet_and_make_up_days_are_not() {
    let li = to("Asia/Shanghai", "from = '22:00', to = '07:30', calendar = 'cn'");
    // The holidays of October 2025 go from Wednesday 1st to Wednesday 8th.
    let after = Some(at("2025-10-09T07:30:00+08:00"));
    assert_eq!(held(&li, Priority::P3, at("2025-09-30T23:00:00+08:00")), after);
    assert_eq!(held(&li, Priority::P3, at("2025-10-03T12:00:00+08:00")), after);
    assert_eq!(held(&li, Priority::P3, at("2025-10-09T12:00:00+08:00")), None);
    // Sunday 28 September is worked to make up for it; the Sunday before is not.
    assert_eq!(held(&li, Priority::P3, at("2025-09-28T12:00:00+08:00")), None);
    assert_eq!(held(&li, Priority::P3, at("2025-09-21T12:00:00+08:00")), Some(at("2025-09-22T07:30:00+08:00")));
    assert_eq!(held(&li, Priority::P1, at("2025-10-03T12:00:00+08:00")), None);
}

#[test]
fn a_daily_digest_goes_out_at_the_same_time_of_day_in_summer_and_in_winter() {
    let daily = |text| digest_at(at(text), Duration::from_secs(DAY), "Europe/Berlin");
    assert_eq!(daily("2026-03-28T12:00:00Z"), at("2026-03-29T00:00:00+01:00"));
    assert_eq!(daily("2026-03-29T12:00:00Z"), at("2026-03-30T00:00:00+02:00"));
    let six = |text| digest_at(at(text), Duration::from_secs(6 * 3600), "Europe/Berlin");
    assert_eq!(six("2026-03-29T00:10:00Z"), at("2026-03-29T06:00:00+02:00"));
    assert_eq!(six("2026-10-25T00:10:00Z"), at("2026-10-25T06:00:00+01:00"));
}

proptest! {
    #[test]
    fn whatever_is_held_is_let_go_later_and_then_not_held(
        minutes in 0i64..60 * 24 * 730, from in 0u32..1440, long in 1u32..1380, zone in 0usize..4, off in any::<bool>(),
    ) {
        let zone = ["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Shanghai"][zone];
        let clock = |minute: u32| format!("{:02}:{:02}", minute % 1440 / 60, minute % 60);
        let calendar = if off { ", calendar = 'cn'" } else { "" };
        let to = to(zone, &format!("from = '{}', to = '{}'{calendar}", clock(from), clock(from + long)));
        let now = at("2024-06-01T00:00:00Z").plus(Duration::from_secs(minutes.unsigned_abs() * 60));
        if let Some(later) = held(&to, Priority::P3, now) {
            prop_assert!(later > now);
            prop_assert_eq!(held(&to, Priority::P3, later), None, "{} {}", now, later);
        }
    }

    #[test]
    fn a_digest_goes_out_later_and_within_its_span_and_the_hour_of_a_clock_change(
        minutes in 0i64..60 * 24 * 730, every in 1u64..48 * 60, zone in 0usize..4,
    ) {
        let zone = ["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Shanghai"][zone];
        let now = at("2024-06-01T00:00:30Z").plus(Duration::from_secs(minutes.unsigned_abs() * 60));
        let out = digest_at(now, Duration::from_secs(every * 60), zone);
        prop_assert!(out > now && out.since(now) <= Duration::from_secs(every * 60 + 2 * 3600), "{now} {out}");
    }
}

#[test]
fn a_moment_is_shown_in_the_recipients_zone() {
    assert_eq!(show(at("2026-03-01T00:30:00Z"), "Asia/Shanghai"), "2026-03-01 08:30 CST");
}
