//! Whether datagrams come so thick that it pays to let a few of them gather: one system call then moves many.

use std::time::{Duration, Instant};

/// Over how long the rate is measured: longer than a poll takes where datagrams gather. Else the answer depends on itself: polls that wait have fewer datagrams in a moment, or
/// more of them under way, and whatever stirs the loop, as a BMC that is dead, sends all others from one state into the other.
const WINDOW: Duration = Duration::from_secs(1);
/// From so many datagrams in a window on. Below that a wait would cost each answer time and save nothing.
const BRISK: usize = 3000;

/// The rate of datagrams, measured in windows.
#[derive(Debug, Default)]
pub(super) struct Pace {
    since: Option<Instant>,
    count: usize,
    brisk: bool,
}

impl Pace {
    /// So many came now.
    pub(super) fn note(&mut self, count: usize, now: Instant) {
        let since = *self.since.get_or_insert(now);
        self.count += count;
        let passed = now.saturating_duration_since(since);
        if passed >= WINDOW {
            // A window that lasted longer since nothing came must hold more.
            self.brisk = self.count as f64 / passed.as_secs_f64() >= BRISK as f64 / WINDOW.as_secs_f64();
            (self.since, self.count) = (Some(now), 0);
        }
    }

    /// Whether to let datagrams gather.
    pub(super) fn is_brisk(&self) -> bool {
        self.brisk
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::timing::some_time;
    use super::*;

    #[test]
    fn many_datagrams_make_it_brisk_and_few_end_that() {
        let (mut pace, start) = (Pace::default(), some_time());
        for ms in 0..1100 {
            pace.note(4, start + Duration::from_millis(ms));
        }
        assert!(pace.is_brisk());
        pace.note(1, start + Duration::from_millis(2200));
        assert!(!pace.is_brisk());
    }
}
