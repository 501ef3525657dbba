//! What alarms were worth, as an operator feels them, where it is known what really failed.
//!
//! A ticket opens with the first alarm of a part and stays open while alarms come, and 30 days after the last; an alarm within that opens
//! no other. It is right if the part is wearing, or failed by wear at most 30 days before. A failure is caught if a right ticket opened before it, in
//! time if a week or more before.

use super::SignClass;
use outband_schemas::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// A ticket stays open so long after the last alarm.
const STAYS: Duration = Duration::from_secs(30 * 86_400);
/// So long before the failure is in time.
const IN_TIME: Duration = Duration::from_secs(7 * 86_400);

/// A part that really failed, or will.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure<K> {
    /// The part.
    pub part: K,
    /// Its class.
    pub class: SignClass,
    /// When it began to show; for a failure without a sign the same as `fails`.
    pub onset: Timestamp,
    /// When it fails.
    pub fails: Timestamp,
}

impl<K> Failure<K> {
    /// Whether there is anything to see before it fails.
    pub fn foreseeable(&self) -> bool {
        self.onset < self.fails
    }
}

/// What came of a ticket, or of a failure.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<'a, K> {
    /// A ticket of a part that wears: the part, when it opened.
    Right(&'a K, Timestamp),
    /// A ticket of a part that does not.
    Wrong(&'a K, Timestamp),
    /// A failure that had a ticket, and how long before.
    Caught(&'a Failure<K>, Duration),
    /// A failure that had none.
    Missed(&'a Failure<K>),
}

/// What came of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Failures in the judged time that could be foreseen.
    pub failures: u32,
    /// Of these, how many had a ticket before they failed.
    pub caught: u32,
    /// And a week or more before.
    pub in_time: u32,
    /// Tickets of parts that wear.
    pub right: u32,
    /// Tickets of parts that do not.
    pub wrong: u32,
}

impl Tally {
    /// Counts one outcome.
    pub fn count<K>(&mut self, outcome: &Outcome<'_, K>) {
        match outcome {
            Outcome::Right(..) => self.right += 1,
            Outcome::Wrong(..) => self.wrong += 1,
            Outcome::Caught(_, before) => {
                self.failures += 1;
                self.caught += 1;
                self.in_time += u32::from(*before >= IN_TIME);
            }
            Outcome::Missed(_) => self.failures += 1,
        }
    }

    /// Adds what came of others.
    pub fn add(&mut self, other: Tally) {
        self.failures += other.failures;
        self.caught += other.caught;
        self.in_time += other.in_time;
        self.right += other.right;
        self.wrong += other.wrong;
    }

    /// The share of failures with a ticket a week or more before, and the interval that holds the true share with 95 %. `None` without
    /// failures.
    pub fn recall(&self) -> Option<(f64, f64, f64)> {
        wilson(self.in_time, self.failures)
    }
}

/// A share of so many, and its 95 % interval (Wilson 1927, Journal of the American Statistical Association 22).
pub fn wilson(part: u32, whole: u32) -> Option<(f64, f64, f64)> {
    const Z: f64 = 1.959_964;
    if whole == 0 {
        return None;
    }
    let (n, p) = (f64::from(whole), f64::from(part) / f64::from(whole));
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some((p, (middle - half).max(0.0), (middle + half).min(1.0)))
}

/// The tickets that alarms open, by part, in the order of time.
pub fn tickets<K: Ord + Clone>(alarms: impl IntoIterator<Item = (K, Timestamp)>) -> BTreeMap<K, Vec<Timestamp>> {
    let mut sorted: Vec<(K, Timestamp)> = alarms.into_iter().collect();
    sorted.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    let mut opened: BTreeMap<K, Vec<Timestamp>> = BTreeMap::new();
    let mut until: BTreeMap<K, Timestamp> = BTreeMap::new();
    for (part, at) in sorted {
        if until.insert(part.clone(), at.plus(STAYS)).is_none_or(|until| until < at) {
            opened.entry(part).or_default().push(at);
        }
    }
    opened
}

/// What came of the tickets and failures of one class over `from..to`. Failures count that came in that time and began to show after `begun`, when
/// the history begins.
pub fn outcomes<'a, K: Ord>(
    class: SignClass,
    failures: &'a [Failure<K>],
    tickets: &'a BTreeMap<K, Vec<Timestamp>>,
    begun: Timestamp,
    (from, to): (Timestamp, Timestamp),
) -> Vec<Outcome<'a, K>> {
    let worn: Vec<&Failure<K>> = failures.iter().filter(|f| f.class == class && f.foreseeable()).collect();
    let mut outcomes = Vec::new();
    for (part, opened) in tickets {
        for at in opened.iter().copied().filter(|at| (from..to).contains(at)) {
            let wears = worn.iter().any(|f| f.part == *part && f.onset <= at && at <= f.fails.plus(STAYS));
            outcomes.push(if wears { Outcome::Right(part, at) } else { Outcome::Wrong(part, at) });
        }
    }
    for failure in worn.into_iter().filter(|f| (from..to).contains(&f.fails) && f.onset >= begun) {
        let mut opened = tickets.get(&failure.part).into_iter().flatten();
        let first = opened.find(|at| (failure.onset..failure.fails).contains(at));
        outcomes.push(match first {
            Some(at) => Outcome::Caught(failure, failure.fails.since(*at)),
            None => Outcome::Missed(failure),
        });
    }
    outcomes
}

/// The same, counted.
pub fn judge<K: Ord>(
    class: SignClass,
    failures: &[Failure<K>],
    tickets: &BTreeMap<K, Vec<Timestamp>>,
    begun: Timestamp,
    judged: (Timestamp, Timestamp),
) -> Tally {
    let mut tally = Tally::default();
    outcomes(class, failures, tickets, begun, judged).iter().for_each(|outcome| tally.count(outcome));
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i64) -> Timestamp {
        Timestamp::from_secs(n * 86_400)
    }

    #[test]
    fn alarms_of_one_trouble_are_one_ticket_and_it_is_right_only_where_the_part_wears() {
        let failures = [
            Failure { part: 1, class: SignClass::Fan, onset: day(30), fails: day(60) },
            Failure { part: 2, class: SignClass::Fan, onset: day(70), fails: day(70) },
        ];
        let alarms = (45..60).map(|d| (1, day(d))).chain([(1, day(120)), (2, day(69)), (3, day(50))]);
        let tickets = tickets(alarms);
        assert_eq!(tickets[&1], [day(45), day(120)]);
        let tally = judge(SignClass::Fan, &failures, &tickets, day(0), (day(17), day(200)));
        assert_eq!(tally, Tally { failures: 1, caught: 1, in_time: 1, right: 1, wrong: 3 });
        let psu = judge(SignClass::Psu, &failures, &Default::default(), day(0), (day(17), day(200)));
        assert_eq!(psu, Tally::default());
    }

    #[test]
    fn a_ticket_that_opens_within_the_last_week_is_late() {
        let failures = [Failure { part: 1, class: SignClass::Psu, onset: day(30), fails: day(60) }];
        let tally = judge(SignClass::Psu, &failures, &tickets([(1, day(54))]), day(0), (day(17), day(200)));
        assert_eq!((tally.caught, tally.in_time), (1, 0));
    }

    #[test]
    fn a_share_of_few_is_known_less_well_than_one_of_many() {
        // Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263 and 0 of 20.
        let (_, low, high) = wilson(81, 263).unwrap();
        assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5, "{low} {high}");
        let (_, low, high) = wilson(0, 20).unwrap();
        assert!(low == 0.0 && (high - 0.1611).abs() < 5e-5, "{low} {high}");
        assert_eq!(wilson(0, 0), None);
    }
}
