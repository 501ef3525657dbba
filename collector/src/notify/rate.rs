//! So many a minute and no more. Pure: the time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

/// A minute as the other side may measure it: what was sent at the end of ours may arrive at the beginning of its own.
const MINUTE: Duration = Duration::from_secs(62);

/// What a channel sent within the last minute.
#[derive(Debug)]
pub(super) struct Limit {
    per_minute: usize,
    sent: VecDeque<Duration>,
}

impl Limit {
    /// Nothing was sent yet.
    pub(super) fn new(per_minute: u32) -> Self {
        Self { per_minute: usize::try_from(per_minute).unwrap_or(usize::MAX), sent: VecDeque::new() }
    }

    /// How many a minute.
    pub(super) fn per_minute(&self) -> usize {
        self.per_minute
    }

    /// Takes one, or says that the minute is full. Times are since any fixed moment and never go back.
    pub(super) fn take(&mut self, at: Duration) -> bool {
        while self.sent.front().is_some_and(|sent| at.saturating_sub(*sent) >= MINUTE) {
            self.sent.pop_front();
        }
        let there = self.sent.len() < self.per_minute;
        if there {
            self.sent.push_back(at);
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_minute_of_the_other_side_sees_more_than_it_may(
            per_minute in 1u32..100, waits in prop::collection::vec((0u64..3000, 0u64..1500), 1..600),
        ) {
            let mut limit = Limit::new(per_minute);
            let (mut at, mut arrivals) = (Duration::ZERO, Vec::new());
            for (gap, on_the_way) in waits {
                at += Duration::from_millis(gap);
                if limit.take(at) {
                    arrivals.push(at + Duration::from_millis(on_the_way));
                }
            }
            for from in &arrivals {
                let minute = arrivals.iter().filter(|t| *t >= from && **t < *from + Duration::from_secs(60)).count();
                prop_assert!(minute <= per_minute as usize, "{minute} of {per_minute}");
            }
        }
    }

    #[test]
    fn a_full_minute_is_over_after_a_minute() {
        let mut limit = Limit::new(2);
        let at = Duration::from_secs;
        assert!(limit.take(at(0)) && limit.take(at(1)) && !limit.take(at(61)));
        assert!(limit.take(at(62)) && !limit.take(at(62)) && limit.take(at(63)));
    }
}
