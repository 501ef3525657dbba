//! What an answer of a calendar costs: `cargo bench -p outband-ticket --bench calendar`.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark measures time and prints it")]

use outband_schemas::Timestamp;
use outband_ticket::calendar::shipped::shipped;
use outband_ticket::calendar::{Week, Weekday};
use outband_ticket::{Calendar, CalendarSpec};
use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: u32 = 2000;

fn measure(what: &str, mut question: impl FnMut(i64)) {
    for round in 0..100 {
        question(round);
    }
    let begin = Instant::now();
    for round in 0..ROUNDS {
        question(i64::from(round));
    }
    println!("{what:<64} {:>9.2} µs", begin.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
}

fn main() -> Result<(), Box<dyn Error>> {
    let workdays = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri];
    let lunch = Week::on(&workdays, &[("12:00", "13:00")]);
    let week = Week::on(&workdays, &[("09:00", "17:00")]);
    let berlin = CalendarSpec { tz: "Europe/Berlin".to_owned(), week, ..CalendarSpec::default() };
    let with_breaks = CalendarSpec { weekly_breaks: lunch, ..berlin.clone() };
    let cn = shipped("cn-9-18").ok_or("cn-9-18 is not shipped")??;
    let calendars = [
        ("Berlin, weekdays", Calendar::try_from(&berlin)?),
        ("Berlin, weekdays, a lunch break", Calendar::try_from(&with_breaks)?),
        ("China 2024-2026, holidays, make-up days", Calendar::try_from(&cn)?),
        ("around the clock", Calendar::always()),
    ];
    let start: Timestamp = "2025-01-02T08:00:00Z".parse()?;
    let hours = |n: u64| Duration::from_secs(n * 3600);
    for (name, calendar) in &calendars {
        let at = |round: i64| start.plus(Duration::from_secs(round.unsigned_abs() * 60));
        measure(&format!("{name}: due in 4 open hours"), |n| {
            black_box(calendar.due(at(n), hours(4), &[]));
        });
        measure(&format!("{name}: due in 2000 open hours, a year"), |n| {
            black_box(calendar.due(at(n), hours(2000), &[]));
        });
        let pauses: Vec<_> = (0..20).map(|n| (at(n * 9000), at(n * 9000 + 300))).collect();
        measure(&format!("{name}: elapsed over a year, 20 pauses"), |n| {
            black_box(calendar.elapsed(at(n), at(n).plus(hours(24 * 365)), &pauses));
        });
        measure(&format!("{name}: 2 open hours before"), |n| {
            black_box(calendar.before(at(n), hours(2), &[]));
        });
        measure(&format!("{name}: end of the fifth business day"), |n| {
            black_box(calendar.due_days(at(n), 5, true));
        });
    }
    Ok(())
}
