//! How long a BMC wants to be left alone (429 and 503 with `Retry-After`, RFC 9110 §10.2.3), for everybody who asks it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait where the BMC does not say.
const PAUSE: Duration = Duration::from_millis(500);
/// A request waits for so long at most; a BMC that wants longer is not asked until then.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A BMC that wants to be left alone for longer than this is tried again all the same.
const LONGEST_REST: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
struct State {
    until: Option<Instant>,
    /// Answers in a row by which it is busy.
    refusals: u32,
}

/// The rest that a BMC asked for. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Rest(Arc<Mutex<State>>);

impl Rest {
    fn state<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How long the BMC still wants to be left alone.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.state(|s| s.until).and_then(|until| until.checked_duration_since(now)).filter(|d| !d.is_zero())
    }

    /// It is busy, and said for how many seconds, if it did. How long this request is to wait before another try; `None`: not at all.
    ///
    /// One resource that is always busy says nothing of the others: only when nothing else was answered in between is the whole BMC left alone for long.
    pub(super) fn busy(&self, said: Option<u64>, now: Instant) -> Option<Duration> {
        let pause = said.map_or(PAUSE, Duration::from_secs);
        self.state(|s| {
            s.refusals = s.refusals.saturating_add(1);
            if pause <= LONGEST_WAIT || s.refusals > 1 {
                s.until = s.until.max(Some(now + pause.min(LONGEST_REST)));
            }
        });
        (pause <= LONGEST_WAIT).then_some(pause)
    }

    /// It answered.
    pub(super) fn answered(&self) {
        self.state(|s| s.refusals = 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_busy_resource_is_no_busy_bmc_but_two_in_a_row_are() {
        let (rest, now) = (Rest::default(), far());
        assert_eq!(rest.busy(Some(30), now), None);
        assert_eq!(rest.left(now), None);
        rest.answered();
        assert_eq!(rest.busy(Some(30), now), None);
        assert_eq!(rest.left(now), None, "another was answered in between");
        assert_eq!(rest.busy(Some(30), now), None);
        assert_eq!(rest.left(now), Some(Duration::from_secs(30)));
        assert_eq!(rest.left(now + Duration::from_secs(31)), None);
    }

    #[test]
    fn a_short_rest_is_everybodys_and_the_request_is_made_again() {
        let (rest, now) = (Rest::default(), far());
        assert_eq!(rest.busy(Some(2), now), Some(Duration::from_secs(2)));
        assert_eq!(rest.clone().left(now), Some(Duration::from_secs(2)));
        assert_eq!(rest.busy(None, now), Some(PAUSE));
    }

    #[test]
    fn no_rest_is_longer_than_ten_minutes() {
        let (rest, now) = (Rest::default(), far());
        rest.busy(Some(1_000_000), now);
        rest.busy(Some(1_000_000), now);
        assert_eq!(rest.left(now), Some(LONGEST_REST));
    }

    #[allow(clippy::disallowed_methods, reason = "a test's point in time; nothing depends on which")]
    fn far() -> Instant {
        Instant::now()
    }
}
