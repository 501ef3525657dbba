//! Whether datagrams come so thick that it pays to let a few of them gather, and for how long: one system call then moves many.

use std::time::{Duration, Instant};

/// Over how long the rate is measured: longer than a poll takes where datagrams gather. Else the answer depends on itself: polls that wait have fewer datagrams in a moment, or
/// more of them under way, and whatever stirs the loop, as a BMC that is dead, sends all others from one state into the other.
const WINDOW: Duration = Duration::from_secs(1);
/// From so many datagrams in a window on. Below that a wait would cost each answer time and save nothing.
const BRISK: usize = 3000;

/// As many are waited for as two system calls move: waking the loop costs more than a call, and a poll of a hundred answers stays well under its second.
const ENOUGH: f64 = 2.0 * super::wire::BATCH as f64;
/// The wait is no shorter than a timer can tell.
const SHORTEST: Duration = Duration::from_millis(1);
/// And no longer: a poll waits as often as it has answers.
const LONGEST: Duration = Duration::from_millis(8);

/// The rate of datagrams, measured in windows.
#[derive(Debug, Default)]
pub(super) struct Pace {
    since: Option<Instant>,
    count: usize,
    gather: Option<Duration>,
}

impl Pace {
    /// So many came now.
    pub(super) fn note(&mut self, count: usize, now: Instant) {
        let since = *self.since.get_or_insert(now);
        self.count += count;
        let passed = now.saturating_duration_since(since);
        if passed >= WINDOW {
            // A window that lasted longer since nothing came must hold more.
            let rate = self.count as f64 / passed.as_secs_f64();
            let is_brisk = rate >= BRISK as f64 / WINDOW.as_secs_f64();
            self.gather = is_brisk.then(|| Duration::from_secs_f64(ENOUGH / rate).clamp(SHORTEST, LONGEST));
            (self.since, self.count) = (Some(now), 0);
        }
    }

    /// For how long to let datagrams gather, where that pays.
    pub(super) fn gather(&self) -> Option<Duration> {
        self.gather
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::timing::some_time;
    use super::*;

    /// After a second and a little of so many datagrams each millisecond.
    fn paced(each: usize) -> (Pace, Instant) {
        let (mut pace, start) = (Pace::default(), some_time());
        for ms in 0..1100 {
            pace.note(each, start + Duration::from_millis(ms));
        }
        (pace, start)
    }

    #[test]
    fn many_datagrams_are_gathered_and_few_are_not() {
        let (mut pace, start) = paced(4);
        assert_eq!(pace.gather(), Some(LONGEST));
        pace.note(1, start + Duration::from_millis(2200));
        assert_eq!(pace.gather(), None);
    }

    #[test]
    fn the_wait_is_as_long_as_two_batches_take_to_come() {
        let millis = |each| paced(each).0.gather().unwrap().as_secs_f64() * 1000.0;
        assert!((millis(32) - 4.0).abs() < 0.1, "{}", millis(32));
        assert_eq!(paced(200).0.gather(), Some(SHORTEST));
    }
}
