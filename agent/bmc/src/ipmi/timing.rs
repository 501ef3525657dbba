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
    sent_at: Instant,
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
            sent_at: now,
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
        self.sent_at = now;
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

    /// How long the last transmission was waited for.
    pub(super) fn last_timeout(&self) -> Duration {
        self.next.saturating_duration_since(self.sent_at)
    }

    /// How many answers may still be under way, once one more has come.
    pub(super) fn owed_answers(&self) -> u32 {
        self.transmissions.saturating_sub(self.answers + 1)
    }
}

/// How long a BMC takes to answer, smoothed; and how long it was waited for when it took longer than that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RoundTrip {
    smooth: Option<Duration>,
    backed_off: Option<Duration>,
}

impl RoundTrip {
    pub(super) fn learn(&mut self, sample: Duration) {
        self.smooth = Some(self.smooth.map_or(sample, |smooth| (smooth * 7 + sample) / 8));
        self.backed_off = None;
    }

    /// A repeated request was answered, and nobody knows which time: the longer wait stays until an answer can be measured (RFC 6298 §5.7). Without that a BMC
    /// slower than the first wait would be asked everything twice for ever. A third of what a request may take leaves room for repetitions where it was a loss.
    pub(super) fn keep_back(&mut self, waited: Duration, whole: Duration) {
        self.backed_off = Some(waited.min(whole / 3).clamp(SHORTEST_TIMEOUT, LONGEST_TIMEOUT));
    }

    /// How long to wait before a first repetition. A repetition too early makes a slow BMC slower, hence the wide margin.
    pub(super) fn timeout(&self) -> Duration {
        let by_measure = self.smooth.map(|smooth| (smooth * 6).clamp(SHORTEST_TIMEOUT, LONGEST_TIMEOUT));
        self.backed_off.or(by_measure).unwrap_or(FIRST_TIMEOUT)
    }
}

/// The 64 request numbers. One for which an answer may still be under way is not used again until that is most unlikely.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestNumbers {
    last: u8,
    /// Nearly always empty, and then it costs nothing.
    owed_until: Vec<(u8, Instant)>,
}

impl RequestNumbers {
    /// A number for a request whose answer is not waited for.
    pub(super) fn any(&mut self) -> u8 {
        self.last = (self.last + 1) % 64;
        self.last
    }

    pub(super) fn next(&mut self, now: Instant) -> u8 {
        self.owed_until.retain(|(_, until)| *until > now);
        for _ in 0..64 {
            let number = self.any();
            if self.owed_until.iter().all(|(owed, _)| *owed != number) {
                return number;
            }
        }
        // All are owed: the one that has been so for longest.
        let oldest = self.owed_until.iter().enumerate().min_by_key(|(_, (_, until))| *until).map(|(at, _)| at);
        if let Some(at) = oldest {
            (self.last, _) = self.owed_until.swap_remove(at);
        }
        self.last
    }

    /// A request is over, and this many of its answers have not come.
    pub(super) fn done(&mut self, number: u8, owed: u32, now: Instant) {
        if owed > 0 {
            self.owed_until.retain(|(n, _)| *n != number);
            self.owed_until.push((number, now + OWED_FOR));
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
    fn a_slow_bmc_is_waited_for_longer_until_an_answer_can_be_measured() {
        let mut trip = RoundTrip::default();
        trip.keep_back(Duration::from_secs(2), Duration::from_secs(10));
        assert_eq!(trip.timeout(), Duration::from_secs(2));
        trip.learn(Duration::from_secs(3));
        assert_eq!(trip.timeout(), LONGEST_TIMEOUT);
        let mut fast = RoundTrip::default();
        fast.learn(Duration::from_millis(5));
        assert_eq!(fast.timeout(), SHORTEST_TIMEOUT);
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
