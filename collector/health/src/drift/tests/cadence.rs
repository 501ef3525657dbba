//! What is read more often than once an hour.

use super::*;

/// Four fans read every five minutes for so many days, from day 1000 on; `rpm` says what a tachometer tells by fan and number of the reading.
fn read(days: i64, tells_duty: bool, rpm: impl Fn(usize, i64, f64) -> f64) -> Vec<Sign> {
    let mut drift = Drift::default();
    for n in 24 * 1000 * 12..24 * (1000 + days) * 12 {
        let at = Timestamp::from_secs(n * 300 + 5);
        // For some minutes of each hour all are driven faster.
        let duty = daily(0, n / 12).round() + if n % 12 < 3 { 15.0 } else { 0.0 };
        for f in 0..4 {
            let noise = 1.0 + 0.003 * ((n * 7 + f as i64 * 13) as f64).sin();
            if tells_duty {
                drift.take(&fan(f), K::FanDuty, "", duty, at);
            }
            drift.take(&fan(f), K::FanSpeed, "", (rpm(f, n, 100.0 * duty) * noise).round(), at);
        }
    }
    drift.signs(&RackMode::default())
}

#[test]
fn a_fan_that_sticks_for_minutes_is_seen_where_it_is_read_within_the_hour() {
    for tells_duty in [true, false] {
        // From day 1030 on, once in some hours, and never with the first reading of one.
        let signs = read(40, tells_duty, |f, n, rpm| {
            let sticks = f == 2 && n > 24 * 1030 * 12 && n % (12 * 7) == 5;
            if sticks { 0.4 * rpm } else { rpm }
        });
        let told: Vec<_> =
            signs.iter().filter(|s| s.score >= 1.0).map(|s| (s.component.slot(), s.facts[0].what)).collect();
        assert_eq!(told, [("fan2", What::Stalls)], "duty {tells_duty}");
    }
}

#[test]
fn a_tachometer_that_was_misread_now_and_then_since_ever_is_no_fan_that_sticks() {
    for days in [16, 20, 25, 40] {
        let signs = read(days, false, |f, n, rpm| if f == 1 && n * 7919 % 250 == 3 { 0.0 } else { rpm });
        assert!(signs.iter().all(|s| s.score < 1.0), "after {days} days: {signs:?}");
    }
}
