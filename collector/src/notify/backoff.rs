//! When to try again: doubling, with full jitter, and never before the other side wants it. Pure.

use std::time::Duration;

/// The longest wait that another side may ask for.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// The longest wait after `failed` tries (1 and more).
pub(super) fn most(first: Duration, longest: Duration, failed: u32) -> Duration {
    let doubled = 2u32.checked_pow(failed.saturating_sub(1)).and_then(|factor| first.checked_mul(factor));
    doubled.unwrap_or(longest).min(longest)
}

/// The wait: drawn between nothing and the most (`draw` in 0 to 1), so that those who failed together do not come back together; the other
/// side's wish, where it is longer.
pub(super) fn wait(most: Duration, draw: f64, wish: Option<Duration>) -> Duration {
    most.mul_f64(draw.clamp(0.0, 1.0)).max(wish.unwrap_or_default().min(PATIENCE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_wait_is_never_longer_than_the_longest_nor_shorter_than_the_wish(
            failed in 1u32..100, draw in 0.0f64..1.0, wish in 0u64..5000,
        ) {
            let (first, longest) = (Duration::from_secs(5), Duration::from_secs(900));
            let most = most(first, longest, failed);
            prop_assert!(most >= first && most <= longest);
            let wish = Duration::from_secs(wish);
            let wait = wait(most, draw, Some(wish));
            prop_assert!(wait >= wish.min(PATIENCE) && wait <= longest.max(PATIENCE));
        }
    }

    #[test]
    fn the_most_doubles_until_the_longest() {
        let of = |n| most(Duration::from_secs(5), Duration::from_secs(30), n).as_secs();
        assert_eq!([of(1), of(2), of(3), of(4), of(40)], [5, 10, 20, 30, 30]);
    }
}
