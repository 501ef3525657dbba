//! What a drive's polls of a day come to: one reading a day, as the model was trained on.
//!
//! A value is believed when two polls in a row agree on its direction: of what was known, the poll before and the newest, the middle one
//! counts. So a single bad read changes nothing, upward or downward, and a counter that truly fell (new firmware, a reset) or rose is
//! taken over by the next poll. A drive that is polled once a day is a day behind.

use super::{Attribute, Day, History, Smart};
use serde::{Deserialize, Serialize};

/// Where power-on hours stand, behind the attributes.
const HOURS: usize = Attribute::COUNT;

/// The two newest polls of one value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Pair {
    before: Option<f64>,
    newest: Option<f64>,
    /// The day of the newest.
    on: Day,
}

impl Pair {
    fn settled(&self, known: Option<f64>, day: Day) -> Option<f64> {
        let newest = self.newest.filter(|_| self.on == day)?;
        match (self.before, known) {
            (Some(before), Some(known)) => Some(before.min(newest).max(before.max(newest).min(known))),
            _ => Some(known.unwrap_or(newest)),
        }
    }
}

/// A value that a poll gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The raw value of an attribute.
    Raw(Attribute),
    /// Power-on hours.
    Hours,
}

/// The polls of a drive that are no reading of a day yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Polled {
    day: Option<Day>,
    hours: Option<f64>,
    pairs: Vec<Pair>,
}

/// What came of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It belongs to the day that is open.
    Kept,
    /// It is of an earlier day: a clock was put back, or it comes late. It is left out.
    Late,
}

impl Polled {
    /// The day that is open.
    pub fn day(&self) -> Option<Day> {
        self.day
    }

    /// Takes in a value. A day before has to be closed first ([`Self::close`]).
    pub fn take(&mut self, day: Day, field: Field, value: f64) -> Taken {
        if self.day.is_some_and(|open| day < open) {
            return Taken::Late;
        }
        self.day = Some(day);
        self.pairs.resize(HOURS + 1, Pair::default());
        let place = match field {
            Field::Raw(attribute) => attribute as usize,
            Field::Hours => HOURS,
        };
        if let Some(pair) = self.pairs.get_mut(place).filter(|_| value.is_finite() && value >= 0.0) {
            *pair = Pair { before: pair.newest, newest: Some(value), on: day };
        }
        Taken::Kept
    }

    /// Closes the open day: what it came to goes into the history. Answers the day.
    pub fn close(&mut self, history: &mut History) -> Option<Day> {
        let day = self.day.take()?;
        let smart = self.smart(day, history);
        self.hours = smart.hours.or(self.hours);
        history.read(day, &smart);
        Some(day)
    }

    fn smart(&self, day: Day, history: &History) -> Smart {
        let of = |place: usize, known| self.pairs.get(place).and_then(|pair: &Pair| pair.settled(known, day));
        let mut smart = Smart { hours: of(HOURS, self.hours), ..Smart::default() };
        for (attribute, raw) in Attribute::ALL.into_iter().zip(&mut smart.raw) {
            *raw = of(attribute as usize, history.track(attribute).now());
        }
        smart
    }

    /// Whether the open day has values that the history does not.
    pub fn has_news(&self, history: &History) -> bool {
        let new = |day: Day| {
            let smart = self.smart(day, history);
            Attribute::ALL.into_iter().zip(smart.raw).any(|(a, raw)| raw.is_some() && raw != history.track(a).now())
        };
        self.day.is_some_and(new)
    }

    /// Whether the hours run far behind what they were, in two polls in a row: it is another drive.
    pub fn is_another(&self) -> bool {
        let (Some(known), Some(pair)) = (self.hours, self.pairs.get(HOURS)) else { return false };
        let behind = |hours: Option<f64>| hours.is_some_and(|h| h + ANOTHER < known);
        behind(pair.before) && behind(pair.newest)
    }
}

/// So many power-on hours less than before are another drive's.
const ANOTHER: f64 = 48.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECTORS: Field = Field::Raw(Attribute::ReallocatedSectors);

    /// Each day's polls, and where the sectors stand at its end.
    fn run(days: &[&[f64]]) -> (History, Vec<Option<f64>>) {
        let (mut polled, mut history, mut stands) = (Polled::default(), History::default(), Vec::new());
        for (day, polls) in (0..).zip(days) {
            for value in *polls {
                assert_eq!(polled.take(day, SECTORS, *value), Taken::Kept);
            }
            polled.close(&mut history);
            stands.push(history.track(Attribute::ReallocatedSectors).now());
        }
        (history, stands)
    }

    #[test]
    fn a_single_bad_read_changes_nothing() {
        let (history, stands) =
            run(&[&[8.0, 8.0], &[8.0, 0.0, 8.0], &[8.0, 65_535.0], &[8.0, 8.0], &[0.0], &[8.0, 8.0]]);
        assert_eq!(stands, [Some(8.0); 6]);
        assert_eq!(history.last_error(), None);
    }

    #[test]
    fn what_two_polls_agree_on_is_taken_over_upward_and_downward() {
        let (history, stands) = run(&[&[8.0, 8.0], &[8.0, 16.0, 24.0], &[24.0], &[0.0, 0.0], &[0.0]]);
        assert_eq!(stands, [Some(8.0), Some(16.0), Some(24.0), Some(0.0), Some(0.0)]);
        assert_eq!(history.track(Attribute::ReallocatedSectors).rises(), 2, "that it was reset is no error");
    }

    #[test]
    fn one_poll_a_day_is_a_day_behind_and_loses_nothing() {
        let (_, stands) = run(&[&[0.0], &[8.0], &[16.0], &[], &[16.0], &[16.0]]);
        assert_eq!(stands, [Some(0.0), Some(0.0), Some(8.0), Some(8.0), Some(16.0), Some(16.0)]);
    }

    #[test]
    fn what_is_of_an_earlier_day_is_left_out() {
        let mut polled = Polled::default();
        polled.take(5, SECTORS, 8.0);
        assert_eq!(polled.take(4, SECTORS, 99.0), Taken::Late);
        let mut history = History::default();
        assert_eq!(polled.close(&mut history), Some(5));
        assert_eq!(history.track(Attribute::ReallocatedSectors).now(), Some(8.0));
        assert_eq!(polled.close(&mut history), None);
    }

    #[test]
    fn hours_that_fall_far_are_another_drives_when_two_polls_say_so() {
        let (mut polled, mut history) = (Polled::default(), History::default());
        for _ in 0..2 {
            polled.take(0, Field::Hours, 30_000.0);
        }
        polled.close(&mut history);
        polled.take(1, Field::Hours, 12.0);
        assert!(!polled.is_another());
        polled.take(1, Field::Hours, 13.0);
        assert!(polled.is_another());
    }

    proptest! {
        #[test]
        fn a_day_stands_at_a_value_that_was_read(polls in prop::collection::vec(prop::collection::vec(0.0..100.0_f64, 0..4), 1..12)) {
            let days: Vec<&[f64]> = polls.iter().map(Vec::as_slice).collect();
            let (_, stands) = run(&days);
            for stand in stands.into_iter().flatten() {
                prop_assert!(polls.iter().flatten().any(|v| *v == stand));
            }
        }
    }
}
