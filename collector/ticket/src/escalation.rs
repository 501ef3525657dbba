//! Escalation, as arithmetic: which step of a clock falls due when, whom it asks and in which order. Who sends is elsewhere; what was
//! sent stands in the ticket's log.

use crate::calendar::{Calendar, Span};
use outband_schemas::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When a step falls due, in the open time of its clock: nights, holidays and pauses do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// So long before the clock is due.
    Before(Duration),
    /// So long after.
    After(Duration),
    /// When so many percent of the time allowed are used; more than 100 lie after it is due.
    Percent(u16),
}

/// A step of an escalation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its level, from 1, unique within a clock.
    pub level: u32,
    /// When it falls due.
    pub when: When,
    /// Whom it asks, by the names that notices know: the first at once, each next one where nobody acknowledged.
    pub to: Vec<String>,
    /// How long each of them has to acknowledge, in real time.
    pub each: Duration,
}

impl When {
    /// The moment, for a clock that counts from `start` and allows so much open time. One that would lie before the start is due at once.
    pub fn moment(self, hours: &Calendar, start: Timestamp, allowed: Duration, pauses: &[Span]) -> Option<Timestamp> {
        let after = match self {
            Self::Before(lead) => allowed.saturating_sub(lead),
            Self::After(lag) => allowed.saturating_add(lag),
            Self::Percent(share) => {
                let millis = allowed.as_millis().saturating_mul(u128::from(share)) / 100;
                Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
            }
        };
        hours.due(start, after, pauses)
    }
}

impl Step {
    /// The level that stands in a log where a clock was foretold to be missed: no step of a policy has it.
    pub const FORETOLD: u32 = 0;

    /// Who is to be asked by `now`, in their order, for a step that fell due at `at` and was acknowledged at `acknowledged`.
    pub fn asked(&self, at: Timestamp, acknowledged: Option<Timestamp>, now: Timestamp) -> &[String] {
        let until = acknowledged.map_or(now, |ack| ack.min(now));
        if now < at || until < at {
            return &[];
        }
        let tries = match self.each.as_millis() {
            0 => self.to.len(),
            each => usize::try_from(until.since(at).as_millis() / each).unwrap_or(usize::MAX).saturating_add(1),
        };
        self.to.get(..tries.min(self.to.len())).unwrap_or(&[])
    }

    /// When the next one is to be asked, where nobody acknowledges; `None` where all were.
    pub fn next_asked(&self, at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let asked = self.asked(at, None, now).len();
        if asked >= self.to.len() {
            return None;
        }
        let tries = u32::try_from(asked).ok()?;
        Some(at.plus(self.each.checked_mul(tries)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::CalendarSpec;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn minutes(n: u64) -> Duration {
        Duration::from_secs(n * 60)
    }

    fn step() -> Step {
        let to = ["duty", "deputy", "manager"].map(str::to_owned).to_vec();
        Step { level: 1, when: When::Percent(50), to, each: minutes(5) }
    }

    #[test]
    fn leads_lags_and_shares_count_open_time_only() {
        // Weekdays 09:00 to 18:00 UTC; four hours from Friday 16:00 end on Monday at 11:00.
        let hours = Calendar::try_from(&CalendarSpec::default()).unwrap();
        let start = at("2026-01-09T16:00:00Z");
        let moment = |when: When| when.moment(&hours, start, minutes(240), &[]);
        assert_eq!(moment(When::Before(minutes(60))), Some(at("2026-01-12T10:00:00Z")));
        assert_eq!(moment(When::Percent(25)), Some(at("2026-01-09T17:00:00Z")));
        assert_eq!(moment(When::Percent(75)), Some(at("2026-01-12T10:00:00Z")));
        assert_eq!(moment(When::After(minutes(30))), Some(at("2026-01-12T11:30:00Z")));
        assert_eq!(moment(When::Before(minutes(999))), Some(start));
        let pause = (at("2026-01-09T16:00:00Z"), at("2026-01-09T16:30:00Z"));
        assert_eq!(When::Percent(25).moment(&hours, start, minutes(240), &[pause]), Some(at("2026-01-09T17:30:00Z")));
    }

    #[test]
    fn each_is_asked_in_turn_until_somebody_acknowledges() {
        let (step, due) = (step(), at("2026-01-05T10:00:00Z"));
        let asked = |minute, ack: Option<u64>| {
            step.asked(due, ack.map(|m| due.plus(minutes(m))), due.plus(minutes(minute))).len()
        };
        assert_eq!([0, 4, 5, 10, 99].map(|m| asked(m, None)), [1, 1, 2, 3, 3]);
        assert_eq!([7, 99].map(|m| asked(m, Some(6))), [2, 2]);
        assert_eq!(step.asked(due, None, due.minus(minutes(1))).len(), 0);
        assert_eq!(step.next_asked(due, due.plus(minutes(1))), Some(due.plus(minutes(5))));
        assert_eq!(step.next_asked(due, due.plus(minutes(10))), None);
    }

    proptest! {
        #[test]
        fn later_steps_are_never_due_earlier(a in 0_u16..300, b in 0_u16..300, allowed in 1_u64..5000) {
            let hours = Calendar::try_from(&CalendarSpec::default()).unwrap();
            let start = at("2026-01-09T16:00:00Z");
            let moment = |share| When::Percent(share).moment(&hours, start, minutes(allowed), &[]);
            prop_assert!(moment(a.min(b)) <= moment(a.max(b)));
        }
    }
}
