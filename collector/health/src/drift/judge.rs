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
    /// Adds what came of others.
    pub fn add(&mut self, other: Tally) {
        self.failures += other.failures;
        self.caught += other.caught;
        self.in_time += other.in_time;
        self.right += other.right;
        self.wrong += other.wrong;
    }
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

/// Judges the tickets of one class over `from..to`. Failures count that came in that time and began to show after `begun`, when the history begins.
pub fn judge<K: Ord>(
    class: SignClass,
    failures: &[Failure<K>],
    tickets: &BTreeMap<K, Vec<Timestamp>>,
    begun: Timestamp,
    (from, to): (Timestamp, Timestamp),
) -> Tally {
    let worn: Vec<&Failure<K>> = failures.iter().filter(|f| f.class == class && f.foreseeable()).collect();
    let mut tally = Tally::default();
    for (part, opened) in tickets {
        for at in opened.iter().filter(|at| (from..to).contains(at)) {
            let wears = |f: &&&Failure<K>| f.part == *part && f.onset <= *at && *at <= f.fails.plus(STAYS);
            if worn.iter().any(|f| wears(&f)) {
                tally.right += 1;
            } else {
                tally.wrong += 1;
            }
        }
    }
    for failure in worn.iter().filter(|f| (from..to).contains(&f.fails) && f.onset >= begun) {
        tally.failures += 1;
        let opened = tickets.get(&failure.part).into_iter().flatten();
        if let Some(at) = opened.copied().find(|at| (failure.onset..failure.fails).contains(at)) {
            tally.caught += 1;
            tally.in_time += u32::from(failure.fails.since(at) >= IN_TIME);
        }
    }
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
}
