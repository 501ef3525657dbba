//! When to send again, when to give up, and which request number to use next.

use std::time::{Duration, Instant};

const FIRST_TIMEOUT: Duration = Duration::from_millis(500);
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(250);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(4);
const FIRST_BUSY_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_BUSY_PAUSE: Duration = Duration::from_secs(1);
/// How long an answer may still be under way after its request was answered or given up.
const OWED_FOR: Duration = Duration::from_secs(30);

/// The one thing that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Awaiting<Step> {
    pub(super) step: Step,
    /// The request number or message tag that the answer must carry.
    pub(super) token: u8,
    pub(super) begun: Instant,
    pub(super) transmissions: u32,
    pub(super) wants_new_number: bool,
    /// Whether the last thing heard was "node busy".
    pub(super) was_busy: bool,
    deadline: Instant,
    next: Instant,
    timeout: Duration,
    busy_pause: Duration,
    answers: u32,
}

impl<Step> Awaiting<Step> {
    pub(super) fn new(step: Step, now: Instant, within: Duration, timeout: Duration) -> Self {
        Self {
            step,
            token: 0,
            begun: now,
            transmissions: 0,
            wants_new_number: false,
            was_busy: false,
            deadline: now + within,
            next: now,
            timeout,
            busy_pause: FIRST_BUSY_PAUSE,
            answers: 0,
        }
    }

    /// Notes a transmission; the wait for its answer is twice as long as the one before.
    pub(super) fn sent(&mut self, now: Instant) {
        self.transmissions += 1;
        self.wants_new_number = false;
        self.next = now + self.timeout;
        self.timeout = (self.timeout * 2).min(LONGEST_TIMEOUT);
    }

    /// The BMC asks to come again later. It has answered, so the next try needs a number of its own.
    pub(super) fn answered_busy(&mut self, now: Instant) {
        self.answers += 1;
        self.wants_new_number = true;
        self.was_busy = true;
        self.next = now + self.busy_pause;
        self.busy_pause = (self.busy_pause * 2).min(LONGEST_BUSY_PAUSE);
    }

    pub(super) fn wake_at(&self) -> Instant {
        self.next.min(self.deadline)
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.deadline
    }

    pub(super) fn wants_transmission(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// A round trip, where it can be told which transmission was answered (Karn's rule).
    pub(super) fn sample(&self, now: Instant) -> Option<Duration> {
        (self.transmissions == 1).then(|| now.duration_since(self.begun))
    }

    /// How many answers may still be under way, once one more has come.
    pub(super) fn owed_answers(&self) -> u32 {
        self.transmissions.saturating_sub(self.answers + 1)
    }
}

/// How long a BMC takes to answer, smoothed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RoundTrip(Option<Duration>);

impl RoundTrip {
    pub(super) fn learn(&mut self, sample: Duration) {
        self.0 = Some(self.0.map_or(sample, |smooth| (smooth * 7 + sample) / 8));
    }

    /// How long to wait before a first repetition. A repetition too early makes a slow BMC slower, hence the wide margin.
    pub(super) fn timeout(&self) -> Duration {
        self.0.map_or(FIRST_TIMEOUT, |smooth| (smooth * 6).clamp(SHORTEST_TIMEOUT, LONGEST_TIMEOUT))
    }
}

/// The 64 request numbers. One for which an answer may still be under way is not used again until that is most unlikely.
#[derive(Debug, Clone)]
pub(super) struct RequestNumbers {
    last: u8,
    owed_until: [Option<Instant>; 64],
}

impl Default for RequestNumbers {
    fn default() -> Self {
        Self { last: 0, owed_until: [None; 64] }
    }
}

impl RequestNumbers {
    /// A number for a request whose answer is not waited for.
    pub(super) fn any(&mut self) -> u8 {
        self.last = (self.last + 1) % 64;
        self.last
    }

    pub(super) fn next(&mut self, now: Instant) -> u8 {
        for _ in 0..64 {
            let number = self.any();
            let slot = &mut self.owed_until[usize::from(number)];
            if slot.is_none_or(|until| until <= now) {
                *slot = None;
                return number;
            }
        }
        // All are owed: the one that has been so for longest.
        let oldest = (0u8..64).min_by_key(|n| self.owed_until[usize::from(*n)]).unwrap_or(0);
        self.last = oldest;
        oldest
    }

    /// A request is over, and this many of its answers have not come.
    pub(super) fn done(&mut self, number: u8, owed: u32, now: Instant) {
        if owed > 0 {
            self.owed_until[usize::from(number % 64)] = Some(now + OWED_FOR);
        }
    }
}

/// A point in time to count from in tests; which one does not matter.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant")]
pub(super) fn some_time() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_an_answer_under_way_is_passed_over_until_it_is_unlikely_to_come() {
        let now = some_time();
        let mut numbers = RequestNumbers::default();
        let first = numbers.next(now);
        numbers.done(first, 1, now);
        assert!((0..200).all(|_| numbers.next(now) != first));
        let later = now + OWED_FOR;
        assert!((0..64).any(|_| numbers.next(later) == first));
    }

    #[test]
    fn when_every_number_is_owed_the_oldest_is_used() {
        let now = some_time();
        let mut numbers = RequestNumbers::default();
        for n in 0..64u8 {
            numbers.done(n, 1, now + Duration::from_millis(u64::from((n + 32) % 64)));
        }
        assert_eq!(numbers.next(now), 32);
    }

    #[test]
    fn waits_double_from_one_transmission_to_the_next() {
        let now = some_time();
        let mut awaiting = Awaiting::new((), now, Duration::from_secs(10), FIRST_TIMEOUT);
        awaiting.sent(now);
        assert_eq!(awaiting.wake_at(), now + FIRST_TIMEOUT);
        let second = awaiting.wake_at();
        awaiting.sent(second);
        assert_eq!(awaiting.wake_at(), second + FIRST_TIMEOUT * 2);
    }

    #[test]
    fn a_repeated_request_is_no_sample_of_the_round_trip() {
        let now = some_time();
        let mut awaiting = Awaiting::new((), now, Duration::from_secs(10), FIRST_TIMEOUT);
        awaiting.sent(now);
        assert!(awaiting.sample(now).is_some());
        awaiting.sent(now);
        assert!(awaiting.sample(now).is_none());
    }
}
