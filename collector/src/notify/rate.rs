//! So many a minute and no more. Pure: the time is an argument.

use std::time::Duration;

/// A bucket that holds what a channel may still send: a sixth of a minute's at most, so that a burst is not the whole minute's.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: f64,
    size: f64,
    level: f64,
    at: Duration,
}

impl Bucket {
    /// A full bucket. Times are since any fixed moment.
    pub(super) fn new(per_minute: u32, at: Duration) -> Self {
        let size = (f64::from(per_minute) / 6.0).max(1.0);
        Self { per_second: f64::from(per_minute) / 60.0, size, level: size, at }
    }

    /// Takes one, or says that there is none yet.
    pub(super) fn take(&mut self, at: Duration) -> bool {
        let passed = at.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(at);
        self.level = (self.level + passed * self.per_second).min(self.size);
        let there = self.level >= 1.0;
        if there {
            self.level -= 1.0;
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
        fn no_minute_sees_more_than_a_seventh_more_than_it_may(
            per_minute in 1u32..200, gaps in prop::collection::vec(0u64..3000, 1..600),
        ) {
            let mut at = Duration::ZERO;
            let mut bucket = Bucket::new(per_minute, at);
            let mut taken = Vec::new();
            for gap in gaps {
                at += Duration::from_millis(gap);
                if bucket.take(at) {
                    taken.push(at);
                }
            }
            let most = f64::from(per_minute) + (f64::from(per_minute) / 6.0).max(1.0);
            for from in &taken {
                let minute = taken.iter().filter(|t| *t >= from && **t < *from + Duration::from_secs(60)).count();
                prop_assert!(minute as f64 <= most + 1.0, "{minute} of {per_minute}");
            }
        }
    }

    #[test]
    fn an_empty_bucket_fills_again() {
        let mut bucket = Bucket::new(6, Duration::ZERO);
        assert!(bucket.take(Duration::ZERO) && !bucket.take(Duration::from_secs(9)));
        assert!(bucket.take(Duration::from_secs(10)));
    }
}
