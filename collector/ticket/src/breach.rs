//! Foretelling that a clock will be missed, as arithmetic over what stands in logs.
//!
//! The rule, in words. A clock is likely to be missed where one of these holds:
//! - nobody works on its ticket, and so many percent of the time allowed are used (75 unless the config says otherwise);
//! - the work that stands before the ticket in its queue, shared among those who work there, and then the ticket's own work take longer than
//!   the time that is left, even if all of it were done in three quarters of what it usually takes. What a ticket takes is the median of what tickets with the same fault took from the moment at which somebody
//!   began; of one that is under way, the median of those that took longer than it has taken already, less that.
//!
//! Graver tickets stand before others, then older ones before younger ones, and what somebody works on before all. A ticket that somebody
//! has stands in his queue, any other in that of its site. One that waits for the customer or for parts stands before nobody.
//!
//! The median means: more likely than not; the quarter keeps what is uncertain from being told too early. All times are open time of the clock in question, so that nights and pauses count nowhere.

use crate::{Priority, Target};
use outband_schemas::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// With fewer tickets of a kind known, nothing is said about what one takes.
const ENOUGH: usize = 5;
/// So many of the newest of a kind are remembered.
const KEPT: usize = 200;

/// What tickets took, from the moment at which somebody began until a clock was met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Experience {
    of_fault: BTreeMap<(Target, String), VecDeque<Duration>>,
    of_all: BTreeMap<Target, VecDeque<Duration>>,
}

impl Experience {
    /// Takes in what one ticket took.
    pub fn note(&mut self, target: &Target, fault: &str, took: Duration) {
        let kinds = [
            self.of_fault.entry((target.clone(), fault.to_owned())).or_default(),
            self.of_all.entry(target.clone()).or_default(),
        ];
        for kind in kinds {
            if kind.len() == KEPT {
                kind.pop_front();
            }
            kind.push_back(took);
        }
    }

    /// What a ticket that has taken so long already is likely to take still, and how many tickets say so; `None` where too few are known.
    pub fn left(&self, target: &Target, fault: &str, spent: Duration) -> Option<(Duration, usize)> {
        let known = |kind: Option<&VecDeque<Duration>>| {
            let mut longer: Vec<Duration> = kind?.iter().copied().filter(|took| *took >= spent).collect();
            longer.sort_unstable();
            let median = *longer.get(longer.len() / 2)?;
            (longer.len() >= ENOUGH).then_some((median.saturating_sub(spent), longer.len()))
        };
        known(self.of_fault.get(&(target.clone(), fault.to_owned()))).or_else(|| known(self.of_all.get(target)))
    }
}

/// An open ticket, as a queue sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job<'a> {
    /// Where it stands.
    pub site: &'a str,
    /// Who has it.
    pub assignee: Option<&'a str>,
    /// Whether somebody works on it.
    pub begun: bool,
    /// Whether it waits for somebody else.
    pub waits: bool,
    /// How urgent it is.
    pub priority: Priority,
    /// Since when.
    pub opened: Timestamp,
    /// What it is likely to take still; `None`: not known.
    pub left: Option<Duration>,
}

/// Where a ticket stands in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// So many tickets are before it.
    pub ahead: u32,
    /// So many people work there.
    pub people: u32,
    /// What the tickets before it take still, all of them added up; `None` where that is not known of one.
    pub before: Option<Duration>,
}

/// Where each ticket stands.
pub fn places(jobs: &[Job<'_>]) -> Vec<Place> {
    let mut order: Vec<(usize, &Job<'_>)> = jobs.iter().enumerate().collect();
    order.sort_by_key(|(i, job)| (!job.begun, job.priority, job.opened, *i));
    let mut people: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for job in jobs {
        people.entry(job.site).or_default().extend(job.assignee);
    }
    let none = Place { ahead: 0, people: 1, before: Some(Duration::ZERO) };
    let mut sites: BTreeMap<&str, Place> = BTreeMap::new();
    let mut persons: BTreeMap<(&str, &str), Place> = BTreeMap::new();
    let mut places = vec![none; jobs.len()];
    for (i, job) in order {
        let of_site = sites.entry(job.site).or_insert(Place {
            people: people.get(job.site).map_or(1, |p| u32::try_from(p.len().max(1)).unwrap_or(u32::MAX)),
            ..none
        });
        let mut of_person = job.assignee.map(|who| persons.entry((job.site, who)).or_insert(none));
        if let Some(place) = places.get_mut(i).filter(|_| !job.begun) {
            *place = of_person.as_deref().copied().unwrap_or(*of_site);
        }
        for queue in [Some(of_site), of_person.take()].into_iter().flatten().filter(|_| !job.waits) {
            queue.ahead = queue.ahead.saturating_add(1);
            queue.before = queue.before.zip(job.left).map(|(sum, left)| sum.saturating_add(left));
        }
    }
    places
}

/// A clock that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prospect {
    /// The time used.
    pub elapsed: Duration,
    /// The time left.
    pub remaining: Duration,
    /// Whether somebody works on its ticket.
    pub begun: bool,
    /// Where its ticket stands.
    pub place: Place,
    /// What its own work is likely to take still; `None`: not known.
    pub left: Option<Duration>,
}

/// Why a clock is likely to be missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Risk {
    /// Nobody works on it, and so many percent are used.
    Untouched {
        /// The share of the time allowed.
        used_percent: u32,
    },
    /// It would be met later than it is due, by more than a quarter of what is still to be done.
    Late {
        /// From now until it would be met.
        met_in: Duration,
    },
}

impl Prospect {
    /// The share of the time allowed that is used, in percent.
    pub fn used_percent(&self) -> u32 {
        match self.elapsed.saturating_add(self.remaining).as_millis() {
            0 => 100,
            allowed => u32::try_from(self.elapsed.as_millis() * 100 / allowed).unwrap_or(u32::MAX),
        }
    }

    /// From now until it is met at the pace of its queue; `None` where too little is known.
    pub fn met_in(&self) -> Option<Duration> {
        let turn = self.place.before?.checked_div(self.place.people.max(1))?;
        Some(turn.saturating_add(self.left?))
    }

    /// Whether it is likely to be missed, and why. `alarm_percent`: the share from which on a ticket that nobody works on is late; 0: never.
    pub fn risk(&self, alarm_percent: u32) -> Option<Risk> {
        let used_percent = self.used_percent();
        match self.met_in() {
            Some(met_in) if met_in * 3 / 4 > self.remaining => Some(Risk::Late { met_in }),
            _ if !self.begun && alarm_percent > 0 && used_percent >= alarm_percent => {
                Some(Risk::Untouched { used_percent })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn minutes(n: u64) -> Duration {
        Duration::from_secs(n * 60)
    }

    fn job(assignee: Option<&'static str>, begun: bool, priority: Priority, opened: i64) -> Job<'static> {
        let opened = Timestamp::from_secs(opened);
        Job { site: "dc1", assignee, begun, waits: false, priority, opened, left: Some(minutes(30)) }
    }

    fn prospect(used: u64, left: u64, place: Place) -> Prospect {
        Prospect { elapsed: minutes(used), remaining: minutes(left), begun: false, place, left: Some(minutes(30)) }
    }

    #[test]
    fn what_a_ticket_takes_is_the_median_of_its_kind_and_of_those_that_took_as_long_already() {
        let mut known = Experience::default();
        for took in [10, 20, 30, 40, 50, 60, 70, 80, 90] {
            known.note(&Target::REPAIR, "disk_failure", minutes(took));
        }
        let left = |fault, spent| known.left(&Target::REPAIR, fault, minutes(spent));
        assert_eq!(left("disk_failure", 0), Some((minutes(50), 9)));
        assert_eq!(left("disk_failure", 45), Some((minutes(25), 5)), "50, 60, 70, 80, 90");
        assert_eq!(left("disk_failure", 55), None, "four are too few");
        assert_eq!(left("fan_failure", 0), Some((minutes(50), 9)), "of another kind: all faults");
        assert_eq!(known.left(&Target::LOCATE, "disk_failure", minutes(0)), None);
    }

    #[test]
    fn graver_older_and_begun_tickets_stand_before_others() {
        use Priority::{P1, P2, P3};
        let jobs = [
            job(None, false, P2, 20),
            job(None, false, P1, 30),
            job(Some("li"), true, P3, 25),
            job(Some("wang"), false, P2, 10),
            job(Some("wang"), false, P2, 15),
            Job { waits: true, ..job(Some("li"), false, P1, 1) },
        ];
        let places = places(&jobs);
        let place = |i: usize| (places[i].ahead, places[i].people, places[i].before);
        assert_eq!(
            place(0),
            (4, 2, Some(minutes(120))),
            "li's, the P1 and both of wang's; what waits is before nobody"
        );
        assert_eq!(place(1), (1, 2, Some(minutes(30))));
        assert_eq!(place(2), (0, 1, Some(minutes(0))), "somebody works on it");
        assert_eq!(place(4), (1, 1, Some(minutes(30))), "its owner's queue");
    }

    #[test]
    fn a_long_queue_foretells_a_breach_before_the_time_is_used() {
        let place = |ahead, people| Place { ahead, people, before: Some(minutes(u64::from(ahead) * 30)) };
        let risk = |ahead, people| prospect(60, 180, place(ahead, people)).risk(75);
        assert_eq!(risk(3, 2), None);
        assert_eq!(risk(12, 2), None, "three quarters of 210 minutes are less than 180");
        assert_eq!(risk(16, 2), Some(Risk::Late { met_in: minutes(270) }));
    }

    #[test]
    fn a_ticket_that_nobody_touches_is_at_risk_once_much_of_its_time_is_used() {
        let unknown = Place { ahead: 3, people: 1, before: None };
        assert_eq!(prospect(74, 26, unknown).risk(75), None);
        assert_eq!(prospect(75, 25, unknown).risk(75), Some(Risk::Untouched { used_percent: 75 }));
        assert_eq!(Prospect { begun: true, ..prospect(75, 25, unknown) }.risk(75), None);
        assert_eq!(prospect(75, 25, unknown).risk(0), None);
    }

    proptest! {
        #[test]
        fn more_time_used_never_makes_a_breach_less_likely(used in 0_u64..500, allowed in 1_u64..500, ahead in 0_u32..50) {
            let place = Place { ahead, people: 2, before: Some(minutes(u64::from(ahead) * 10)) };
            let risk = |used: u64| prospect(used, allowed.saturating_sub(used), place).risk(80).is_some();
            prop_assert!(!risk(used) || risk(used + 1));
        }

        #[test]
        fn nobody_stands_before_himself_and_each_is_before_at_most_all_others(
            jobs in prop::collection::vec((0..3_usize, any::<bool>(), any::<bool>(), 0..4_usize, 0_i64..50), 0..30),
        ) {
            let jobs: Vec<Job<'_>> = jobs
                .into_iter()
                .map(|(who, begun, waits, priority, opened)| Job {
                    waits,
                    ..job([None, Some("li"), Some("wang")][who], begun && who > 0, Priority::ALL[priority], opened)
                })
                .collect();
            for place in places(&jobs) {
                prop_assert!((place.ahead as usize) < jobs.len().max(1) && place.people >= 1);
                prop_assert_eq!(place.before, Some(minutes(30 * u64::from(place.ahead))));
            }
        }
    }
}
