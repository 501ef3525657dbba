//! How long to wait before the next attempt: exponential, with full jitter, so that a site's agents do not come back all at once.

use rand::{Rng, RngExt};
use std::time::Duration;

/// The first step.
pub const MIN: Duration = Duration::from_millis(500);
/// No wait is longer.
pub const MAX: Duration = Duration::from_secs(60);

/// Counts failures in a row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Another failure: how long to wait now.
    pub fn next(&mut self, rng: &mut impl Rng) -> Duration {
        let wait = jitter(base(self.failures), rng);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// It works again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The most to wait after so many failures: 0.5 s, doubled each time, at most 60 s.
pub fn base(failures: u32) -> Duration {
    let factor = 1u32.checked_shl(failures).unwrap_or(u32::MAX);
    MIN.saturating_mul(factor).min(MAX)
}

/// Anything from nothing to `base`, evenly.
pub fn jitter(base: Duration, rng: &mut impl Rng) -> Duration {
    base.mul_f64(rng.random_range(0.0..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;

    proptest! {
        #[test]
        fn the_base_never_falls_and_stays_in_its_bounds(failures in 0u32..100) {
            prop_assert!(base(failures) >= MIN && base(failures) <= MAX);
            prop_assert!(base(failures) <= base(failures + 1));
        }

        #[test]
        fn jitter_stays_between_nothing_and_the_base(failures in 0u32..100, seed: u64) {
            let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
            prop_assert!(jitter(base(failures), &mut rng) <= base(failures));
        }
    }

    #[test]
    fn jitter_spreads_over_the_whole_span() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        let waits: Vec<_> = (0..200).map(|_| jitter(MAX, &mut rng)).collect();
        assert!(waits.iter().any(|w| *w < MAX / 10) && waits.iter().any(|w| *w > MAX * 9 / 10));
    }

    #[test]
    fn a_reset_begins_again_at_the_first_step() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        let mut backoff = Backoff::default();
        (0..20).for_each(|_| assert!(backoff.next(&mut rng) <= MAX));
        backoff.reset();
        assert!(backoff.next(&mut rng) <= MIN);
    }
}
