//! How often the log is read because of news: at once, and in a storm ever more rarely.

use std::time::Duration;
use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(30);
/// After so long without a ring, the next is at once again.
const QUIET: Duration = Duration::from_secs(60);

/// The last ring, and the least distance to the next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    last: Option<(Instant, Duration)>,
}

impl Pace {
    /// When the next ring may be.
    pub(super) fn next(&self, now: Instant) -> Instant {
        self.last.map_or(now, |(last, step)| now.max(last + step))
    }

    /// Notes a ring.
    pub(super) fn rang(&mut self, now: Instant) {
        let step = match self.last {
            Some((last, step)) if now < last + QUIET => step.saturating_mul(2).min(MOST),
            _ => FIRST,
        };
        self.last = Some((now, step));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn after_a_quiet_minute_the_bell_rings_at_once_again() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.next(now), now);
        (0..9).for_each(|_| pace.rang(pace.next(now)));
        assert!(pace.next(now) > now + Duration::from_secs(60));
        let later = pace.next(now) + QUIET;
        assert_eq!(pace.next(later), later);
        pace.rang(later);
        assert_eq!(pace.next(later), later + FIRST);
    }

    proptest! {
        #[test]
        fn however_the_news_come_an_hour_has_few_rings(gaps in proptest::collection::vec(0u64..90, 1..2000)) {
            let began = Instant::now();
            let (mut pace, mut at, mut rings) = (Pace::default(), began, 0u32);
            for gap in gaps {
                at += Duration::from_secs(gap);
                if at > began + Duration::from_secs(3600) { break }
                if pace.next(at) <= at { pace.rang(at); rings += 1; }
            }
            prop_assert!(rings <= 130);
        }
    }
}
