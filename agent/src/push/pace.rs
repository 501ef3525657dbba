//! How often the log is read because of news: at once, and in a storm ever more rarely.

use std::time::Duration;
use tokio::time::Instant;

/// So many rings may come one after the other.
const BURST: u32 = 5;
/// A ring in hand again after so long.
const REFILL: Duration = Duration::from_secs(15);
/// News that come together are read together.
const APART: Duration = Duration::from_millis(250);

/// A bucket of rings, as the moment at which it was, or will be, full.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    full_at: Option<Instant>,
    last: Option<Instant>,
}

impl Pace {
    /// When the next ring may be.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let in_hand = self.full_at.and_then(|full| full.checked_sub(REFILL * (BURST - 1))).unwrap_or(now);
        let apart = self.last.map_or(now, |last| last + APART);
        now.max(in_hand).max(apart)
    }

    /// Notes a ring.
    pub(super) fn rang(&mut self, now: Instant) {
        self.full_at = Some(self.full_at.map_or(now, |full| full.max(now)) + REFILL);
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_few_rings_come_at_once_and_more_only_after_a_while() {
        let (mut pace, began) = (Pace::default(), Instant::now());
        let mut now = began;
        for _ in 0..BURST {
            now = pace.next(now);
            pace.rang(now);
        }
        assert!(now < began + Duration::from_secs(2));
        assert!(pace.next(now) >= began + REFILL);
        let later = now + REFILL * BURST;
        assert_eq!(pace.next(later), later);
    }

    proptest! {
        #[test]
        fn however_the_news_come_an_hour_has_few_rings(gaps in proptest::collection::vec(0u64..90_000, 1..4000)) {
            let began = Instant::now();
            let (mut pace, mut at, mut rings) = (Pace::default(), began, 0u32);
            for gap in gaps {
                at += Duration::from_millis(gap / 4);
                if at > began + Duration::from_secs(3600) { break }
                if pace.next(at) <= at { pace.rang(at); rings += 1; }
            }
            prop_assert!(rings <= 3600 / 15 + BURST);
        }
    }
}
