//! When planned exercises come. Pure: the name of the plan, its seed and the turn determine the moment.

use crate::config::drills::{Every, Plan};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use outband_schemas::Timestamp;
use outband_ticket::Calendar;
use sha2::{Digest, Sha256};

/// So many moments are tried until one lies outside of business hours.
const TRIES: u32 = 512;
const MINUTE: i64 = 60_000;

/// One turn of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Plan and turn, e.g. `night/2026-Q4`, `spare/2026-10`.
    pub name: String,
    /// When it comes.
    pub at: Timestamp,
}

/// The turn of a plan in which `now` lies, in the zone of `calendar`: a moment outside of its hours, with all of the exercise within the turn. `None`
/// where the calendar leaves no such moment.
pub fn of(name: &str, plan: &Plan, calendar: &Calendar, now: Timestamp) -> Option<Turn> {
    let zone = calendar.zone();
    let today = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?.to_zoned(zone.clone()).date();
    let (label, months) = match plan.every {
        Every::Month => (format!("{name}/{:04}-{:02}", today.year(), today.month()), 1),
        Every::Quarter => (format!("{name}/{:04}-Q{}", today.year(), (today.month() - 1) / 3 + 1), 3),
    };
    let first = Date::new(today.year(), (today.month() - 1) / months * months + 1, 1).ok()?;
    let next = first.checked_add(jiff::Span::new().months(i64::from(months))).ok()?;
    let lasts = i64::try_from(plan.lasts.duration().as_millis()).ok()?;
    let (from, to) = (midnight(first, zone)?, midnight(next, zone)?.checked_sub(lasts)?);
    let minutes = u64::try_from((to - from) / MINUTE).ok().filter(|n| *n > 0)?;
    (0..TRIES).find_map(|round| {
        let minute = i64::try_from(draw(&label, plan.seed, round) % minutes).ok()?;
        let at = Timestamp::from_millis(from + minute * MINUTE);
        (!calendar.is_open(at)).then(|| Turn { name: label.clone(), at })
    })
}

fn midnight(date: Date, zone: &TimeZone) -> Option<i64> {
    Some(date.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond())
}

/// A number that the turn, the seed and the round determine.
fn draw(label: &str, seed: u64, round: u32) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(round.to_le_bytes());
    hash.update(label.as_bytes());
    hash.finalize().iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_ticket::CalendarSpec;
    use std::collections::BTreeSet;

    fn hours() -> Calendar {
        let spec = CalendarSpec { tz: "Asia/Shanghai".to_owned(), ..CalendarSpec::default() };
        Calendar::try_from(&spec).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn every_moment_of_a_quarter_gives_the_same_turn_outside_of_business_hours() {
        let calendar = hours();
        for seed in 0..200 {
            let plan = Plan { seed, ..Plan::default() };
            let turn = of("night", &plan, &calendar, at("2026-10-01T00:00:00+08:00")).unwrap();
            assert_eq!(turn.name, "night/2026-Q4");
            assert!(!calendar.is_open(turn.at), "{}", turn.at);
            assert!(turn.at >= at("2026-10-01T00:00:00+08:00") && turn.at < at("2026-12-31T23:00:00+08:00"));
            assert_eq!(of("night", &plan, &calendar, at("2026-12-31T23:59:59+08:00")).unwrap(), turn);
        }
    }

    #[test]
    fn another_turn_another_seed_and_another_plan_come_at_other_moments() {
        let calendar = hours();
        let mut moments = BTreeSet::new();
        for (name, seed, month) in [("a", 1, "01"), ("a", 1, "04"), ("a", 2, "01"), ("b", 1, "01")] {
            let plan = Plan { seed, ..Plan::default() };
            moments.insert(of(name, &plan, &calendar, at(&format!("2026-{month}-15T00:00:00Z"))).unwrap().at);
        }
        assert_eq!(moments.len(), 4);
    }

    #[test]
    fn a_month_is_a_turn_where_the_plan_says_so() {
        let plan = Plan { every: Every::Month, ..Plan::default() };
        let turn = of("spare", &plan, &hours(), at("2026-02-10T00:00:00Z")).unwrap();
        assert_eq!(turn.name, "spare/2026-02");
        assert!(turn.at >= at("2026-02-01T00:00:00+08:00") && turn.at < at("2026-03-01T00:00:00+08:00"));
    }

    #[test]
    fn where_business_hours_never_end_there_is_no_turn() {
        assert_eq!(of("night", &Plan::default(), &Calendar::always(), at("2026-02-10T00:00:00Z")), None);
    }
}
