//! Keeps the agent from locking a BMC's door: BMCs lock an account after a few wrong passwords.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How many refused logins a BMC may see from us in [`WINDOW`].
const MOST: usize = 2;
/// An hour.
const WINDOW: Duration = Duration::from_secs(3600);
/// The wait after the first refusal: long enough for someone to see it and mend the password.
const FIRST_WAIT: Duration = Duration::from_secs(300);

/// The refused logins of one target within the last hour.
#[derive(Debug, Clone, Default)]
pub struct LoginGuard {
    refused: VecDeque<Instant>,
}

impl LoginGuard {
    /// Notes a refusal and says when the next login may be tried.
    pub fn refused(&mut self, now: Instant) -> Instant {
        self.refused.push_back(now);
        while self.refused.len() > MOST {
            self.refused.pop_front();
        }
        match self.refused.front() {
            Some(oldest) if self.refused.len() == MOST => (now + FIRST_WAIT).max(*oldest + WINDOW),
            _ => now + FIRST_WAIT,
        }
    }

    /// Forgets the refusals: a login succeeded.
    pub fn accepted(&mut self) {
        self.refused.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_hour_sees_more_than_two_refused_logins(waits in prop::collection::vec(0u64..4000, 1..60)) {
            let mut guard = LoginGuard::default();
            let mut now = Instant::now();
            let mut tried = Vec::new();
            for wait in waits {
                tried.push(now);
                now = guard.refused(now) + Duration::from_secs(wait);
            }
            for pair in tried.windows(MOST + 1) {
                prop_assert!(pair[MOST] - pair[0] >= WINDOW);
            }
        }
    }

    #[test]
    fn a_login_that_succeeds_wipes_the_slate() {
        let mut guard = LoginGuard::default();
        let now = Instant::now();
        guard.refused(now);
        guard.accepted();
        assert_eq!(guard.refused(now), now + FIRST_WAIT);
    }
}
